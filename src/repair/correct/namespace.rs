//! Namespaces and clusters of a near miss: the policy's own, and those of its peers.

use super::{Case, is_near};
use crate::diagnose::peer_requirements;
use crate::finding::Label;
use crate::label::{CLUSTER, NAMESPACE, k8s_value};
use crate::policy::selector::Requirement;
use crate::policy::{Namespace, PeerField, PeerItem, PolicyKind, Selector, Subject, injection};
use crate::repair::candidate::{Candidate, Operator};
use crate::repair::manner::{Manner, labels_prefixed};
use crate::yaml::{Datum, Editor};

impl<'m, 's> Case<'_, 'm, 's> {
    /// The selector finds nobody in its own namespace and the subject in another.
    pub(super) fn move_policy(&self) -> Option<Candidate> {
        let (policy, rule) = (self.near.policy, self.near.rule);
        let Namespace::Known(from, Some(span)) = &policy.namespace else { return None };
        let to = self.scene.namespace(self.subject())?;
        let Subject::Endpoints(selector) = &rule.subject else { return None };
        if self.scene.anybody(&injection::subject(policy, selector)) {
            return None;
        }
        let value = policy.value.path(&["metadata", "namespace"])?;
        // What a kustomization or Flux says cannot be mended here.
        if value.span() != *span {
            return None;
        }
        let blame = Label { span: *span, text: format!("selects nobody here; its pods live in {to}") };
        let change = Editor::default().replace(value, to);
        Some(Candidate {
            why: format!("{} lies in namespace {from} and can select pods there only", policy.name.value),
            title: format!("change the namespace {from} to {to}"),
            evidence: Some(format!("no known pod of {from} matches the selector")),
            ..self.candidate(Operator::MovePolicy, "policy-namespace", change, blame)?
        })
    }

    /// The peer's namespace is not named: nobody in the policy's own fits.
    pub(super) fn add_namespace(&self, item: &PeerItem<'s>, selector: &Selector<'s>) -> Option<Candidate> {
        let namespace = self.scene.namespace(self.peer())?;
        if self.scene.anybody(&peer_requirements(self.scene, self.near.policy, self.near.rule, selector)) {
            return None;
        }
        let manner =
            Manner::of(self.scene.model, self.near.policy.value.tree().file, labels_prefixed(selector));
        let change = if self.near.policy.kind == PolicyKind::Knp {
            let labels = Datum::map([("kubernetes.io/metadata.name", Datum::from(namespace))]);
            Editor::default().insert_entry(
                item.value,
                0,
                "namespaceSelector",
                Datum::map([("matchLabels", labels)]),
            )
        } else {
            let datum = Datum::from(namespace);
            match selector.value.get("matchLabels") {
                Some(labels) => {
                    let at = if manner.namespace_first { 0 } else { usize::MAX };
                    Editor::default().insert_entry(labels, at, &manner.namespace_key(), datum)
                }
                None => Editor::default().insert_entry(
                    selector.value,
                    0,
                    "matchLabels",
                    Datum::map([(manner.namespace_key(), datum)]),
                ),
            }
        };
        let policy_namespace = self.near.policy.namespace.name().unwrap_or_default();
        let blame = Label {
            span: item.value.span(),
            text: format!("means pods of {policy_namespace}, the policy's own namespace"),
        };
        Some(Candidate {
            why: format!(
                "a peer without a namespace means the policy's own; {} lives in {namespace}",
                self.name(self.peer())
            ),
            title: format!("name the namespace {namespace}"),
            evidence: Some(format!("no known pod of {policy_namespace} matches the peer")),
            ..self.candidate(Operator::AddNamespace, "namespace-missing", change, blame)?
        })
    }

    pub(super) fn peer_namespace(
        &self,
        selector: &Selector<'s>,
        requirement: &Requirement<'s>,
    ) -> Option<Candidate> {
        let namespace = self.scene.namespace(self.peer())?;
        let in_list = requirement.values.len() > 1;
        if !in_list
            && self.scene.anybody(&peer_requirements(self.scene, self.near.policy, self.near.rule, selector))
        {
            return None;
        }
        let value = self.value_to_replace(requirement, namespace)?;
        let written = value.text().unwrap_or_default();
        if in_list && !is_near(&written, namespace) {
            return None;
        }
        let blame =
            Label { span: value.span(), text: format!("{} lives in {namespace}", self.name(self.peer())) };
        let change = Editor::default().replace(value, namespace);
        Some(Candidate {
            why: format!(
                "the rule admits such pods of namespace {written}; {} lives in {namespace}",
                self.name(self.peer())
            ),
            title: format!("change the namespace {written} to {namespace}"),
            evidence: Some(format!("no known pod of {written} matches the peer")),
            ..self.candidate(Operator::CorrectValue, "wrong-namespace", change, blame)?
        })
    }

    /// From 1.19 a peer means the local cluster: a second one names the other.
    pub(super) fn peer_cluster(&self, item: &PeerItem<'s>, selector: &Selector<'s>) -> Option<Candidate> {
        let cluster = k8s_value(&self.scene.engine.identity(self.peer()).labels, CLUSTER)?;
        let labels = selector.value.get("matchLabels")?;
        let field = self.field_of(item)?;
        let Ok(Datum::Map(mut entries)) = Datum::of(labels) else { return None };
        // Beside the other labels, before the namespace where that comes last.
        let at = match entries.last() {
            Some((key, _)) if key.ends_with(NAMESPACE) => entries.len() - 1,
            _ => entries.len(),
        };
        entries.insert(at, (CLUSTER.to_owned(), Datum::from(cluster)));
        let peer = Datum::map([("matchLabels", Datum::Map(entries))]);
        let change = Editor::default().insert_item(field.entry.value.resolve(), usize::MAX, peer);
        let blame = Label {
            span: item.value.span(),
            text: "means pods of the local cluster (since Cilium 1.19)".to_owned(),
        };
        Some(Candidate {
            why: format!(
                "since Cilium 1.19 a peer means the local cluster only; {} is in cluster {cluster}",
                self.name(self.peer())
            ),
            title: format!("add the same peer of cluster {cluster}"),
            ..self.candidate(Operator::AddPeer, "cluster-label", change, blame)?
        })
    }

    fn field_of(&self, item: &PeerItem<'s>) -> Option<&'m PeerField<'s>> {
        self.near.element.peers.iter().find(|field| field.items.iter().any(|own| own.value == item.value))
    }
}
