//! `unlisted-policy-type`: a NetworkPolicy with rules for a direction that its
//! policyTypes leave out. Kubernetes says that these rules do nothing; Cilium
//! enforces them (`semantics.md` 1.6).
//!
//! Mend: the direction is added to policyTypes, which is what Cilium does.
//! Unsafe: the rules may be what is wrong.

use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::{Policy, PolicyKind};
use crate::traffic::Side;
use crate::yaml::Editor;

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    if policy.kind != PolicyKind::Knp {
        return;
    }
    for rule in &policy.rules {
        let Some(types) = rule.value.get("policyTypes").filter(|types| types.items().len() > 0) else {
            continue;
        };
        for section in rule.sections.iter().filter(|section| !section.elements.is_empty()) {
            let name = if section.side == Side::Ingress { "Ingress" } else { "Egress" };
            if types.items().any(|item| item.value.text().as_deref() == Some(name)) {
                continue;
            }
            findings
                .add(
                    section.entry.key.span(),
                    format!("policyTypes leaves {name} out, and Cilium enforces these rules all the same"),
                    "not among policyTypes",
                )
                .also(types.span(), "policyTypes")
                .mend(
                    Safety::Unsafe,
                    format!("add {name} to policyTypes"),
                    [Editor::default().insert_item(types, usize::MAX, name)],
                );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{fires, mended, silent};

    const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec:\n  podSelector: {}\n  policyTypes:\n  - Egress\n  ingress:\n  - {}\n  egress:\n  - {}\n";

    #[test]
    fn rules_for_a_direction_that_is_left_out_are_found() {
        fires("unlisted-policy-type", POLICY, &["ingress"]);
        silent(&mended(POLICY));
    }

    #[test]
    fn a_type_without_rules_is_a_default_deny() {
        silent(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n",
        );
    }
}
