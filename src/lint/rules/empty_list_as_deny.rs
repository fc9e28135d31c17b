//! `empty-list-as-deny`: `ingress: []` or `egress: []` in a Cilium policy. An
//! empty list makes no side enforced: it denies nothing (`semantics.md` 3.3).
//! `[{}]` is the default deny. In a NetworkPolicy an empty list does deny.
//!
//! Mend: `- {}`. Unsafe: it closes what was open.

use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::{Policy, PolicyKind};
use crate::yaml::{Datum, Editor};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    if policy.kind == PolicyKind::Knp {
        return;
    }
    for section in policy.rules.iter().flat_map(|rule| &rule.sections) {
        let list = section.entry.value.resolve();
        if !list.is_sequence() || list.items().len() > 0 {
            continue;
        }
        let name = section.entry.key.text().unwrap_or_default();
        findings
            .add(section.entry.span, format!("an empty {name} denies nothing"), "as if it were not there")
            .why("a side is enforced when the list has an item; the empty item {} is the default deny")
            .mend(
                Safety::Unsafe,
                format!("write an empty item, which closes {}", section.side),
                [Editor::default().insert_item(section.entry.value, 0, Datum::Map(Vec::new()))],
            );
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn an_empty_list_is_found_and_becomes_a_default_deny() {
        let text = cnp("endpointSelector: {}\n  ingress: [{}]\n  egress: []\n");
        fires("empty-list-as-deny", &text, &["egress: []"]);
        silent(&mended(&text));
    }

    #[test]
    fn a_policy_of_empty_lists_is_told_of_once() {
        fires("empty-list-as-deny", &cnp("endpointSelector: {}\n  ingress: []\n"), &["ingress: []"]);
        let told = crate::lint::rules::testing::told_in(None, &cnp("endpointSelector: {}\n  ingress: []\n"));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn the_default_deny_is_right_and_so_is_an_empty_list_of_a_network_policy() {
        silent(&cnp("endpointSelector: {}\n  ingress: [{}]\n  ingressDeny: [{}]\n"));
        silent(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Ingress], ingress: []}\n",
        );
    }
}
