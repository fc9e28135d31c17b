//! `negative-selector`: a peer that only says what it is not, and so matches the
//! internet and the nodes too (`semantics.md` 2.4). A key of source `reserved`
//! takes the namespace condition away in every release; up to 1.18 so do
//! negative conditions on the namespace, in a NetworkPolicy as well.
//!
//! Mend: the condition that a namespace exists, which only pods meet. Unsafe:
//! the wider reach may be what was meant.

use crate::finding::Safety;
use crate::label::{NAMESPACE, NAMESPACE_LABELS};
use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::selector::{Operator, Requirement};
use crate::policy::{Action, Peer, Policy, PolicyKind, Selector};
use crate::version::CiliumVersion;
use crate::yaml::{Datum, Editor};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for at in elements(policy).filter(|at| at.section.action == Action::Allow) {
        for item in at.element.peers.iter().flat_map(|field| &field.items) {
            let Peer::Endpoints(selector) = &item.peer else { continue };
            if !reaches_others(policy.kind, selector, context.version()) {
                continue;
            }
            let requirements = context.peer(policy, at.rule, selector);
            if requirements.is_empty() || requirements.iter().any(is_positive) {
                continue;
            }
            let found = findings.add(
                item.value.span(),
                "this peer only says what it is not: nodes and the internet match too",
                "no condition that only pods meet",
            );
            found.why("with such a key Cilium adds no namespace to the peer, and what is no pod has none of the labels");
            if policy.kind != PolicyKind::Knp
                && let Some(list) = selector.value.entry("matchExpressions")
            {
                let exists =
                    Datum::map([("key", format!("k8s:{NAMESPACE}")), ("operator", "Exists".to_owned())]);
                found.mend(
                    Safety::Unsafe,
                    "demand that the peer has a namespace",
                    [Editor::default().insert_item(list.value, usize::MAX, exists)],
                );
            }
        }
    }
}

fn is_positive(requirement: &Requirement<'_>) -> bool {
    matches!(requirement.operator, Operator::In | Operator::Exists)
}

fn reaches_others(kind: PolicyKind, selector: &Selector<'_>, version: CiliumVersion) -> bool {
    let reserved = kind != PolicyKind::Knp && selector.requirements.iter().any(|r| r.source == "reserved");
    let about_namespace =
        selector.requirements.iter().any(|r| r.key == NAMESPACE || r.key.starts_with(NAMESPACE_LABELS));
    reserved || (about_namespace && version < CiliumVersion::V1_19)
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, fires_in, mended, silent};
    use crate::version::CiliumVersion;

    fn peer(key: &str) -> String {
        cnp(&format!(
            "endpointSelector: {{}}\n  ingress:\n  - fromEndpoints:\n    - matchExpressions:\n      - {{key: \"{key}\", operator: NotIn, values: [a]}}\n"
        ))
    }

    #[test]
    fn a_reserved_key_takes_the_namespace_away() {
        let text = peer("reserved:host");
        fires(
            "negative-selector",
            &text,
            &["matchExpressions:\n      - {key: \"reserved:host\", operator: NotIn, values: [a]}"],
        );
        silent(&mended(&text));
    }

    #[test]
    fn a_negative_namespace_reaches_the_internet_up_to_1_18() {
        let text = peer("k8s:io.kubernetes.pod.namespace");
        let place = "matchExpressions:\n      - {key: \"k8s:io.kubernetes.pod.namespace\", operator: NotIn, values: [a]}";
        fires_in(Some(CiliumVersion::V1_18), "negative-selector", &text, &[place]);
        silent(&text);
    }

    #[test]
    fn an_ordinary_key_keeps_the_namespace() {
        silent(&peer("app"));
    }
}
