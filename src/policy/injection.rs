//! What Cilium adds to a selector: the namespace of the policy and, from 1.19,
//! the local cluster (`semantics.md` 2.4, 2.5).

use super::selector::{Operator, Origin, Requirement, Selector};
use super::{Namespace, Policy, PolicyKind};
use crate::label::{CLUSTER, NAMESPACE, NAMESPACE_LABELS};
use crate::manifest::Text;
use crate::source::Spanned;
use crate::version::CiliumVersion;
use crate::yaml::Value;

/// What stands for a namespace that nobody here knows: a variable that nothing defines.
pub const UNKNOWN_NAMESPACE: &str = "${NAMESPACE}";

const WRITTEN: [&str; 2] = ["k8s", "any"];

fn added<'s>(
    key: &'static str,
    operator: Operator,
    value: Option<Text<'s>>,
    at: Value<'s>,
) -> Requirement<'s> {
    Requirement {
        source: Text::Borrowed("k8s"),
        key: Text::Borrowed(key),
        operator,
        values: value.into_iter().map(|value| Spanned::new(value, at.span())).collect(),
        origin: Origin::Injected,
    }
}

fn namespace_text<'s>(policy: &Policy<'s>) -> Text<'s> {
    match &policy.namespace {
        Namespace::Known(name, _) | Namespace::Inferred(name) => name.clone(),
        Namespace::Unknown(_) => Text::Borrowed(UNKNOWN_NAMESPACE),
        Namespace::Clusterwide => Text::Borrowed(""),
    }
}

/// The requirements as they are written, with room for what is added.
fn with_room<'s>(selector: &Selector<'s>) -> Vec<Requirement<'s>> {
    const MOST_ADDED: usize = 2;
    let mut requirements = Vec::with_capacity(selector.requirements.len() + MOST_ADDED);
    requirements.extend_from_slice(&selector.requirements);
    requirements
}

/// The requirements of an endpoint selector. A namespaced policy always means
/// its own namespace: `k8s:io.kubernetes.pod.namespace` in matchLabels is
/// overwritten; the unprefixed key is another one and stays, AND-ed.
pub fn subject<'s>(policy: &Policy<'s>, selector: &Selector<'s>) -> Vec<Requirement<'s>> {
    let mut requirements = with_room(selector);
    if policy.kind != PolicyKind::Ccnp {
        requirements
            .retain(|r| !(r.source == "k8s" && r.key == NAMESPACE && matches!(r.origin, Origin::Label(_))));
        requirements.push(added(NAMESPACE, Operator::In, Some(namespace_text(policy)), selector.value));
    }
    requirements
}

/// The requirements of a peer selector: cases P1 to P6, then the local cluster.
pub fn peer<'s>(
    policy: &Policy<'s>,
    rule_subject: Option<&Selector<'s>>,
    selector: &Selector<'s>,
    version: CiliumVersion,
    cluster: &str,
) -> Vec<Requirement<'s>> {
    let mut requirements = with_room(selector);
    let reserved = requirements.iter().any(|r| r.source == "reserved");
    if policy.kind != PolicyKind::Knp && reserved {
        return requirements;
    }
    if policy.kind != PolicyKind::Knp {
        requirements.extend(peer_namespace(policy, rule_subject, selector, version));
    }
    if version >= CiliumVersion::V1_19 && !selector.has_key(&WRITTEN, CLUSTER) {
        requirements.push(added(
            CLUSTER,
            Operator::In,
            Some(Text::Owned(cluster.to_owned())),
            selector.value,
        ));
    }
    requirements
}

/// The namespace condition of a peer of a Cilium policy, after the case that a
/// reserved key switches it off (P1).
pub fn peer_namespace<'s>(
    policy: &Policy<'s>,
    rule_subject: Option<&Selector<'s>>,
    selector: &Selector<'s>,
    version: CiliumVersion,
) -> Option<Requirement<'s>> {
    if selector.has_key(&WRITTEN, NAMESPACE) {
        return None;
    }
    if policy.kind == PolicyKind::Ccnp {
        let init = rule_subject.is_some_and(|subject| subject.has_key(&["reserved"], "init"));
        return (!init).then(|| added(NAMESPACE, Operator::Exists, None, selector.value));
    }
    let names_namespace_labels = selector
        .requirements
        .iter()
        .any(|r| WRITTEN.contains(&r.source.as_ref()) && r.key.starts_with(NAMESPACE_LABELS));
    if version >= CiliumVersion::V1_16 && names_namespace_labels {
        return None;
    }
    Some(added(NAMESPACE, Operator::In, Some(namespace_text(policy)), selector.value))
}
