//! `foreign-namespace`: the endpointSelector of a namespaced policy names
//! another namespace. With `k8s:` Cilium silently writes the policy's own
//! namespace over it, so that pods are selected that nobody meant; without the
//! prefix the selector matches nothing (`semantics.md` 2.4).
//!
//! Mend: the policy moves to the namespace that it names, where one is written
//! in its metadata. Unsafe: the key may be what is wrong.

use crate::finding::Safety;
use crate::label::NAMESPACE;
use crate::lint::context::{Context, subject_selector};
use crate::lint::found::Findings;
use crate::policy::selector::{Operator, Origin};
use crate::policy::{Namespace, Policy, PolicyKind, is_unknown};
use crate::yaml::Editor;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    if policy.kind != PolicyKind::Cnp {
        return;
    }
    let Some(own) = context.namespace(policy) else { return };
    for requirement in policy.rules.iter().filter_map(subject_selector).flat_map(|s| &s.requirements) {
        let named = requirement.key == NAMESPACE && matches!(requirement.source.as_ref(), "any" | "k8s");
        if !named
            || requirement.operator != Operator::In
            || requirement.values.iter().any(|value| value.value == own || is_unknown(&value.value))
        {
            continue;
        }
        let Some(value) = requirement.values.first() else { continue };
        let overwritten = requirement.source == "k8s" && matches!(requirement.origin, Origin::Label(_));
        let effect = if overwritten {
            format!("Cilium writes {own} over it, and the policy is about pods of {own}")
        } else {
            "the selector matches nothing".to_owned()
        };
        let found = findings.add(
            value.span,
            format!("a policy of namespace {own} cannot select pods of {}: {effect}", value.value),
            "another namespace than the policy's",
        );
        found.why("a CiliumNetworkPolicy is about pods of its own namespace; only a CiliumClusterwideNetworkPolicy can choose");
        if let Namespace::Known(_, Some(place)) = policy.namespace {
            found.also(place, "the policy's namespace");
        }
        if let Some(written) = policy.value.path(&["metadata", "namespace"]) {
            found.mend(
                Safety::Unsafe,
                format!("move the policy to namespace {}", value.value),
                [Editor::default().replace(written, value.value.as_ref())],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    #[test]
    fn another_namespace_is_overwritten_or_matches_nothing() {
        for key in ["k8s:io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace"] {
            let text =
                cnp(&format!("endpointSelector: {{matchLabels: {{\"{key}\": other}}}}\n  ingress: [{{}}]\n"));
            fires("foreign-namespace", &text, &["other"]);
        }
    }

    #[test]
    fn the_own_namespace_is_only_a_repetition() {
        silent(&cnp(
            "endpointSelector: {matchLabels: {k8s:io.kubernetes.pod.namespace: shop}}\n  ingress: [{}]\n",
        ));
        silent(&cnp(
            "endpointSelector: {matchLabels: {k8s:io.kubernetes.pod.namespace: '${NS}'}}\n  ingress: [{}]\n",
        ));
    }
}
