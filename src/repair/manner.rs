//! The manner of a file: how its selectors spell the namespace key and other
//! labels, and how it writes DNS ports. New text follows it.

use crate::label::NAMESPACE;
use crate::model::Model;
use crate::policy::selector::Origin;
use crate::policy::{Peer, Policy, PolicyKind, Selector, Subject};
use crate::source::FileId;

/// How selectors are spelled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// Other labels carry `k8s:`.
    pub label_prefix: bool,
    /// The namespace key carries `k8s:`.
    pub namespace_prefix: bool,
    /// The namespace key stands before the other labels.
    pub namespace_first: bool,
}

/// What one selector shows.
#[derive(Debug, Clone, Copy)]
struct Sample {
    namespace: Option<(bool, bool)>,
    labels_prefixed: Option<bool>,
}

impl Manner {
    /// No prefix anywhere: for questions to which the manner does not matter.
    pub(super) const PLAIN: Self =
        Self { label_prefix: false, namespace_prefix: false, namespace_first: false };

    /// The manner of a file; what it does not show is taken from the tree, and
    /// what the tree does not show from the usual. `labels` says how the labels
    /// of a selector are spelled that is already there.
    pub(super) fn of(model: &Model<'_>, file: FileId, labels: Option<bool>) -> Self {
        let here: Vec<Sample> = samples(model, |policy| policy.value.tree().file == file);
        let anywhere = || samples(model, |_| true);
        let label_prefix =
            labels.or_else(|| majority(here.iter().filter_map(|s| s.labels_prefixed))).unwrap_or(false);
        let (prefix, first) = namespace_manner(&here, label_prefix);
        let tree = if prefix.is_none() || first.is_none() {
            namespace_manner(&anywhere(), label_prefix)
        } else {
            (None, None)
        };
        Self {
            label_prefix,
            namespace_prefix: prefix.or(tree.0).unwrap_or(true),
            namespace_first: first.or(tree.1).unwrap_or(false),
        }
    }

    /// The namespace key as it is written here.
    pub(super) fn namespace_key(self) -> String {
        if self.namespace_prefix { format!("k8s:{NAMESPACE}") } else { NAMESPACE.to_owned() }
    }

    /// Another label's key as it is written here.
    pub(super) fn label_key(self, key: &str) -> String {
        if self.label_prefix { format!("k8s:{key}") } else { key.to_owned() }
    }
}

/// Prefix and place of the namespace key. Selectors whose other labels are
/// spelled alike speak first; else a file that spells both alike in every
/// selector goes on doing so.
fn namespace_manner(samples: &[Sample], label_prefix: bool) -> (Option<bool>, Option<bool>) {
    let named = || samples.iter().filter_map(|s| Some((s.namespace?, s.labels_prefixed)));
    let like = named().filter(|(_, labels)| *labels == Some(label_prefix));
    let alike = named().all(|((prefix, _), labels)| labels.is_none_or(|labels| labels == prefix));
    let prefix = majority(like.map(|((prefix, _), _)| prefix)).or_else(|| {
        let any = named().next().is_some();
        if any && alike { Some(label_prefix) } else { majority(named().map(|((prefix, _), _)| prefix)) }
    });
    (prefix, majority(named().map(|((_, first), _)| first)))
}

fn majority(votes: impl Iterator<Item = bool>) -> Option<bool> {
    let (mut yes, mut all) = (0, 0);
    for vote in votes {
        all += 1;
        yes += usize::from(vote);
    }
    (all > 0).then(|| yes * 2 > all)
}

fn samples(model: &Model<'_>, of: impl Fn(&Policy<'_>) -> bool) -> Vec<Sample> {
    let policies = model.policies.iter().filter(|policy| policy.kind != PolicyKind::Knp && of(policy));
    policies.flat_map(selectors).filter_map(sample).collect()
}

/// Every endpoint selector of a policy, subjects and peers.
fn selectors<'p, 's>(policy: &'p Policy<'s>) -> impl Iterator<Item = &'p Selector<'s>> {
    policy.rules.iter().flat_map(|rule| {
        let subject = match &rule.subject {
            Subject::Endpoints(selector) => Some(selector),
            _ => None,
        };
        let elements = rule.sections.iter().flat_map(|section| &section.elements);
        let items = elements.flat_map(|element| &element.peers).flat_map(|field| &field.items);
        let peers = items.filter_map(|item| match &item.peer {
            Peer::Endpoints(selector) => Some(selector),
            _ => None,
        });
        subject.into_iter().chain(peers)
    })
}

fn sample(selector: &Selector<'_>) -> Option<Sample> {
    let mut sample = Sample { namespace: None, labels_prefixed: None };
    let mut others = 0;
    for requirement in &selector.requirements {
        let Origin::Label(entry) = requirement.origin else { continue };
        let prefixed = entry.key.text().is_some_and(|key| key.starts_with("k8s:"));
        if requirement.key == NAMESPACE {
            sample.namespace = Some((prefixed, others == 0));
        } else if requirement.source == "k8s" || requirement.source == "any" {
            others += 1;
            sample.labels_prefixed = Some(sample.labels_prefixed.unwrap_or(true) && prefixed);
        }
    }
    // A namespace alone is neither first nor last.
    if others == 0 {
        sample.namespace = None;
    }
    (sample.namespace.is_some() || sample.labels_prefixed.is_some()).then_some(sample)
}

/// How the labels of one selector are spelled: `None` when it has none.
pub(super) fn labels_prefixed(selector: &Selector<'_>) -> Option<bool> {
    sample(selector)?.labels_prefixed
}
