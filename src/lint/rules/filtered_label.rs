//! `filtered-label`: a selector asks for a pod label that never reaches the
//! identity: `pod-template-hash`, `statefulset.kubernetes.io/pod-name`,
//! `kubernetes.io/…` (`semantics.md` 2.1). It matches no pod, however the pods
//! are labelled; with `NotIn` or `DoesNotExist` it matches all of them.
//!
//! No mend: another label that tells the pods apart is needed.

use super::colliding_keys::conditions;
use super::misspelt_label_key::meant;
use crate::inventory::is_identity_label;
use crate::label::is_given;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::selector::{Operator, Origin, Requirement};
use crate::policy::{Policy, is_unknown};
use crate::source::Span;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for (requirement, span) in conditions(policy) {
        let key = requirement.key.as_ref();
        let from_pods = matches!(requirement.source.as_ref(), "any" | "k8s");
        if !from_pods || is_given(key) {
            continue;
        }
        if is_identity_label(key, context.version()) || is_unknown(key) || meant(requirement).is_some() {
            continue;
        }
        let negative = matches!(requirement.operator, Operator::NotIn | Operator::DoesNotExist);
        let effect = if negative { "the condition always holds" } else { "the selector matches no pod" };
        findings
            .add(
                span,
                format!("Cilium keeps the label {key} out of identities, so {effect}"),
                "never part of an identity",
            )
            .why("labels that differ from pod to pod are left out, unless the agent is configured with label patterns of its own")
            .help("select by a label that names the workload, such as app.kubernetes.io/name");
    }
}

/// The key of a requirement as it is written.
pub(super) fn place(requirement: &Requirement<'_>) -> Option<Span> {
    match requirement.origin {
        Origin::Label(entry) => Some(entry.key.span()),
        Origin::Expression(item) => item.get("key").map(|key| key.span()),
        Origin::Injected | Origin::Added => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    #[test]
    fn the_name_of_a_pod_is_no_label_to_select_on() {
        let text = cnp(
            "endpointSelector:\n    matchLabels:\n      statefulset.kubernetes.io/pod-name: db-0\n  ingress: [{}]\n",
        );
        fires("filtered-label", &text, &["statefulset.kubernetes.io/pod-name"]);
    }

    #[test]
    fn labels_of_workloads_and_of_cilium_are_right() {
        silent(&cnp(
            "endpointSelector:\n    matchLabels:\n      app.kubernetes.io/name: a\n      k8s-app: b\n      io.cilium.k8s.policy.serviceaccount: c\n  ingress:\n  - fromEndpoints:\n    - matchLabels:\n        k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: shop\n",
        ));
    }
}
