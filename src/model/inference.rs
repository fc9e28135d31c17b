//! The namespace of a policy for which nothing in the tree speaks: it is inferred
//! where exactly one makes the policy select an endpoint that was seen. What
//! selects everybody, or nobody, or somebody in two namespaces, stays unknown.

use std::collections::BTreeSet;

use super::Model;
use crate::engine::{self, Engine, IdentityId};
use crate::flow::Endpoint;
use crate::inventory::{Cluster, Origin, identity_labels};
use crate::label::{NAMESPACE, k8s_value};
use crate::policy::selector::{self, Requirement};
use crate::policy::{Namespace, Policy, Subject};
use crate::source::Span;

/// A namespace that was inferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inference {
    /// The policy.
    pub place: Span,
    /// Its name.
    pub policy: String,
    /// The namespace.
    pub namespace: String,
}

impl Model<'_> {
    /// Whether there are policies whose namespace nothing says.
    pub fn lacks_namespaces(&self) -> bool {
        self.policies.iter().any(lacks_namespace)
    }

    /// Infers namespaces from the ends of flows, and from the pods that the
    /// cluster told. The policies are read anew where there are any.
    pub fn infer_namespaces<'e>(
        &mut self,
        ends: impl Iterator<Item = &'e Endpoint>,
        options: &engine::Options,
    ) -> Vec<Inference> {
        if !self.lacks_namespaces() {
            return Vec::new();
        }
        let mut engine = self.engine(options.clone());
        let seen = self.seen(ends, &mut engine);
        let mut inferences = Vec::new();
        for policy in self.policies.iter().filter(|policy| lacks_namespace(policy)) {
            let namespaces = selected(policy, &engine, &seen);
            let object = self.objects().iter().position(|object| object.value.span() == policy.value.span());
            if let (1, Some(namespace), Some(object)) = (namespaces.len(), namespaces.first(), object) {
                let inference = Inference {
                    place: policy.place(),
                    policy: policy.name.value.to_string(),
                    namespace: (*namespace).to_owned(),
                };
                inferences.push((object, inference));
            }
        }
        for (object, inference) in &inferences {
            self.delivery.infer(*object, inference.namespace.clone());
        }
        if !inferences.is_empty() {
            *self = Self::of(self.delivery.clone(), self.cluster, self.first_inventory, &self.settings);
        }
        inferences.into_iter().map(|(_, inference)| inference).collect()
    }

    /// Everybody who was seen, with the namespace that each lives in.
    fn seen<'e>(
        &self,
        ends: impl Iterator<Item = &'e Endpoint>,
        engine: &mut Engine,
    ) -> BTreeSet<(IdentityId, String)> {
        let mut ids: BTreeSet<IdentityId> =
            ends.map(|end| engine.take_in(end, &self.inventory).identity).collect();
        let (name, version) = (engine.options().cluster.clone(), engine.options().version);
        let cluster = Cluster { name: &name, version };
        for pod in self.inventory.workloads().filter(|own| own.origin == Origin::Cluster && !own.host_network)
        {
            let labels = identity_labels(pod, &self.inventory, cluster);
            let end = Endpoint { labels, ..Endpoint::default() };
            ids.insert(engine.take_in(&end, &self.inventory).identity);
        }
        let namespace = |id: IdentityId| {
            let namespace = k8s_value(&engine.identity(id).labels, NAMESPACE)?;
            Some((id, namespace.to_owned()))
        };
        ids.iter().filter_map(|id| namespace(*id)).collect()
    }
}

fn lacks_namespace(policy: &Policy<'_>) -> bool {
    matches!(policy.namespace, Namespace::Unknown(_)) && policy.not_applied.is_none()
}

/// The namespaces in which the policy selects somebody who was seen, by a label
/// at least: `{}` selects somebody everywhere.
fn selected<'i>(
    policy: &Policy<'_>,
    engine: &Engine,
    seen: &'i BTreeSet<(IdentityId, String)>,
) -> BTreeSet<&'i str> {
    let mut namespaces = BTreeSet::new();
    for rule in &policy.rules {
        let Subject::Endpoints(selector) = &rule.subject else { continue };
        // The namespace that is written in a selector does not count (`semantics.md` 2.4).
        let counts = |own: &&Requirement<'_>| own.source != "k8s" || own.key != NAMESPACE;
        let own: Vec<Requirement<'_>> = selector.requirements.iter().filter(counts).cloned().collect();
        let names_somebody = own.iter().any(|own| own.operator == selector::Operator::In);
        if selector.invalid.is_some() || !names_somebody {
            continue;
        }
        let about = seen.iter().filter(|(id, _)| engine.failing(&own, *id).is_empty());
        namespaces.extend(about.map(|(_, namespace)| namespace.as_str()));
    }
    namespaces
}
