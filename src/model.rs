//! What all manifests of a run say together: the policies in force, who lives
//! in the cluster, and what policies refer to.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::engine::{self, Engine, Resolver, ServiceFacts};
use crate::inventory::{Inventory, Origin};
use crate::manifest::{Object, Text, objects};
use crate::policy::cidr_group::{self, CidrGroup};
use crate::policy::{Context, Namespace, Policy, PolicyKind, decode, is_policy};
use crate::source::{FileId, Sources};
use crate::yaml::{Tree, parse};

/// Everything the manifests say.
#[derive(Debug)]
pub struct Model<'s> {
    /// Every policy object, in the order of files and documents; those that
    /// come from the cluster only are last.
    pub policies: Vec<Policy<'s>>,
    /// Who lives in the cluster.
    pub inventory: Inventory,
    /// The CIDR groups.
    pub groups: Vec<CidrGroup<'s>>,
    /// Every object of the tree.
    pub objects: Vec<Object<'s>>,
    /// The first file that is not of the tree but `kubectl get` output.
    pub first_inventory: FileId,
    settings: Settings,
}

/// Reads all files into trees, in order.
pub fn parse_all(sources: &Sources) -> Vec<Tree<'_>> {
    let files: Vec<_> = sources.iter().collect();
    files.into_par_iter().map(|(id, source)| parse(id, &source.text)).collect()
}

/// What the reading of manifests depends on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace of a policy that names none and gets none from the tree.
    pub default_namespace: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { default_namespace: "default".to_owned() }
    }
}

impl<'s> Model<'s> {
    /// Reads the trees. Files from `first_inventory` on are `kubectl get`
    /// output: what the cluster says outranks what the tree suggests.
    pub fn read(trees: &'s [Tree<'s>], first_inventory: FileId, settings: &Settings) -> Self {
        let read: Vec<Vec<Object<'s>>> = trees.par_iter().map(objects).collect();
        let mut model = Self {
            policies: Vec::new(),
            inventory: Inventory::default(),
            groups: Vec::new(),
            objects: Vec::new(),
            first_inventory,
            settings: settings.clone(),
        };
        for object in read.into_iter().flatten() {
            let origin =
                if object.value.tree().file < first_inventory { Origin::Tree } else { Origin::Cluster };
            model.take(object, origin);
        }
        model
    }

    fn take(&mut self, object: Object<'s>, origin: Origin) {
        if let Some(group) = cidr_group::decode(&object) {
            self.groups.push(group);
        } else if is_policy(&object).is_some() {
            let policy = self.decode(&object);
            let known = |policy: &Policy<'_>| {
                self.policies.iter().any(|own| {
                    own.kind == policy.kind
                        && own.name.value == policy.name.value
                        && own.namespace.name() == policy.namespace.name()
                })
            };
            // What the cluster says of a policy that the tree holds is an older state of it.
            if let Some(policy) = policy.filter(|policy| origin == Origin::Tree || !known(policy)) {
                self.policies.push(policy);
            }
        } else {
            let rendered = crate::inventory::Rendered::as_written(&object);
            self.inventory.add(origin, &object, &rendered);
        }
        if origin == Origin::Tree {
            self.objects.push(object);
        }
    }

    /// Reads an object as a policy, with what the tree says about it; also one
    /// of an edited text.
    pub fn decode<'t>(&self, object: &Object<'t>) -> Option<Policy<'t>> {
        let namespace = namespace(object, is_policy(object)?, &self.settings);
        decode(object, Context { namespace, substitute: &|text| text })
    }

    /// Whether a policy stands in a file of the tree, where it can be edited.
    pub fn is_editable(&self, policy: &Policy<'_>) -> bool {
        policy.value.tree().file < self.first_inventory
    }

    /// The engine over all policies.
    pub fn engine(&self, options: engine::Options) -> Engine {
        Engine::new(&self.policies, Resolver::new(&self.groups, self.services()), options)
    }

    /// What `toServices` can be resolved with.
    pub fn services(&self) -> Vec<ServiceFacts> {
        self.inventory
            .services()
            .map(|service| {
                let namespace = service.namespace.clone().unwrap_or_default();
                let backends = self.inventory.backends(&namespace, &service.name);
                ServiceFacts {
                    addresses: backends.flat_map(|backend| backend.addresses.iter().copied()).collect(),
                    name: service.name.clone(),
                    labels: service.labels.clone(),
                    selector: (!service.selector.is_empty()).then(|| service.selector.clone()),
                    namespace,
                }
            })
            .collect()
    }
}

/// The namespace that an object ends up in, by its own text (`semantics.md` 1.1).
fn namespace<'s>(object: &Object<'s>, kind: PolicyKind, settings: &Settings) -> Namespace<'s> {
    if kind == PolicyKind::Ccnp {
        return Namespace::Clusterwide;
    }
    match &object.namespace {
        Some(written) => Namespace::Known(written.value.clone(), Some(written.span)),
        None => Namespace::Known(Cow::Owned::<str>(settings.default_namespace.clone()) as Text<'s>, None),
    }
}
