//! `misspelt-label-key`: a selector asks for a key that is almost one of those
//! that Cilium puts on every pod, such as `k8s:io.kubernetes.pod.namespce`, or
//! for a source that no label has, such as `K8s:app`. It matches no pod
//! (`semantics.md` 2.1, 2.2).
//!
//! Mend: the key that was meant. Safe: no pod can carry the written one.

use super::colliding_keys::conditions;
use crate::finding::Safety;
use crate::label::{CLUSTER, NAMESPACE, NAMESPACE_LABELS, SERVICE_ACCOUNT, is_given};
use crate::lint::context::Context;
use crate::lint::found::{EVERY_USE, Findings};
use crate::policy::selector::{Origin, Requirement};
use crate::policy::{Policy, PolicyKind, is_unknown};
use crate::spelling::slips;
use crate::yaml::Value;

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    if policy.kind == PolicyKind::Knp {
        return;
    }
    for (requirement, span) in conditions(policy) {
        let Some(meant) = meant(requirement) else { continue };
        let written = written_key(requirement).and_then(|key| key.text()).unwrap_or_default();
        let found = findings.add(
            span,
            format!("no pod has the label {written}; did you mean {meant}?"),
            "almost a key that every pod has",
        );
        found.why("Cilium puts namespace, cluster and service account on every pod, under fixed keys with source k8s");
        let change = match requirement.origin {
            Origin::Label(entry) => Some(EVERY_USE.rename_key(&entry, &meant)),
            Origin::Expression(item) => item.get("key").map(|key| EVERY_USE.replace(key, meant.as_str())),
            Origin::Injected | Origin::Added => None,
        };
        found.mend(Safety::Safe, format!("write {meant}"), change);
    }
}

fn written_key<'s>(requirement: &Requirement<'s>) -> Option<Value<'s>> {
    match requirement.origin {
        Origin::Label(entry) => Some(entry.key),
        Origin::Expression(item) => item.get("key"),
        Origin::Injected | Origin::Added => None,
    }
}

/// The key that was probably meant, where it is not the one that is written.
pub(super) fn meant(requirement: &Requirement<'_>) -> Option<String> {
    let (source, key) = (requirement.source.as_ref(), requirement.key.as_ref());
    if is_unknown(key) {
        return None;
    }
    // `k8s.io.kubernetes…`: a dot where the colon belongs.
    if let Some(known) = key.strip_prefix("k8s.").filter(|rest| is_given(rest)) {
        return Some(format!("k8s:{known}"));
    }
    let sources =
        ["any", "k8s", "reserved", "cidr", "cidrgroup", "container", "node", "fqdn", "unspec", "gen"];
    if !matches!(source, "any" | "k8s") && !sources.contains(&source) {
        let close = source.eq_ignore_ascii_case("k8s") || slips(&source.to_lowercase(), "k8s") == Some(1);
        return close.then(|| format!("k8s:{key}"));
    }
    if !matches!(source, "any" | "k8s") || is_given(key) {
        return None;
    }
    let known = [NAMESPACE, CLUSTER, SERVICE_ACCOUNT].iter().find(|known| is_near(key, known));
    let known = known.map(|known| (*known).to_owned()).or_else(|| namespace_label(key));
    let prefix = if source == "k8s" { "k8s:" } else { "" };
    known.map(|known| format!("{prefix}{known}"))
}

/// How many slips a key may be away from the one that was meant.
const MOST_SLIPS: usize = 2;

/// Whether a key is one slip or two from another. Asked of every key of a tree,
/// so the length settles most.
fn is_near(key: &str, known: &str) -> bool {
    key.len().abs_diff(known.len()) <= MOST_SLIPS
        && matches!(slips(&key.to_lowercase(), known), Some(1..=MOST_SLIPS))
}

/// The key of a namespace's label whose beginning is misspelt.
fn namespace_label(key: &str) -> Option<String> {
    // Asked of every key of a tree as well.
    if key.len() + MOST_SLIPS < NAMESPACE_LABELS.len() {
        return None;
    }
    let parts = NAMESPACE_LABELS.matches('.').count();
    let (end, _) = key.match_indices('.').nth(parts - 1)?;
    let (head, rest) = key.split_at_checked(end + 1)?;
    is_near(head, NAMESPACE_LABELS).then(|| format!("{NAMESPACE_LABELS}{rest}"))
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    fn peer(key: &str) -> String {
        cnp(&format!(
            "endpointSelector: {{}}\n  ingress:\n  - fromEndpoints:\n    - matchLabels:\n        {key}: web\n"
        ))
    }

    #[test]
    fn a_slip_in_the_namespace_key_is_found_and_mended() {
        for (written, meant) in [
            ("k8s:io.kubernetes.pod.namespce", "k8s:io.kubernetes.pod.namespace"),
            ("io.kubernetes.pod.namepsace", "io.kubernetes.pod.namespace"),
            ("k8s.io.kubernetes.pod.namespace", "k8s:io.kubernetes.pod.namespace"),
            ("K8s:app", "k8s:app"),
            ("k8s:io.cilium.k8s.namespace.label.team", "k8s:io.cilium.k8s.namespace.labels.team"),
        ] {
            fires("misspelt-label-key", &peer(written), &[written]);
            assert!(
                mended(&peer(written)).contains(&format!("        {meant}: web\n")),
                "{}",
                mended(&peer(written))
            );
        }
    }

    #[test]
    fn keys_that_pods_have_are_right() {
        for key in
            ["k8s:io.kubernetes.pod.namespace", "k8s:app", "container:app", "io.cilium.k8s.policy.cluster"]
        {
            silent(&peer(key));
        }
    }
}
