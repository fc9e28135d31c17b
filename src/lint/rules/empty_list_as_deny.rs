//! `empty-list-as-deny`: `ingress: []` or `egress: []` in a Cilium policy. An
//! empty list makes no side enforced: it denies nothing (`semantics.md` 3.3).
//! `[{}]` is the default deny. In a NetworkPolicy an empty list does deny.
//! Where nothing else stands beside it, the agent refuses the policy from 1.18
//! on (V4), and it is an error.
//!
//! Mend: `- {}`. Unsafe: it closes what was open.

use crate::finding::{Safety, Severity};
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::{Policy, PolicyKind};
use crate::traffic::Side;
use crate::version::CiliumVersion;
use crate::yaml::{Datum, Editor};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    if policy.kind == PolicyKind::Knp {
        return;
    }
    for (rule, section) in policy.rules.iter().flat_map(|rule| rule.sections.iter().map(move |s| (rule, s))) {
        let list = section.entry.value.resolve();
        if !list.is_sequence() || list.items().len() > 0 {
            continue;
        }
        let refused = context.version() >= CiliumVersion::V1_18
            && !Side::BOTH.into_iter().any(|side| rule.speaks_of(side));
        let name = section.entry.key.text().unwrap_or_default();
        let title = if refused {
            format!("an empty {name} denies nothing, and a rule with nothing else is refused by every agent")
        } else {
            format!("an empty {name} denies nothing")
        };
        let found = findings.add(section.entry.span, title, "as if it were not there");
        if !refused {
            found.severity = Severity::Warning;
        }
        found
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
    use super::*;
    use crate::lint::rules::testing::{cnp, fires, mended, silent, told_in};

    #[test]
    fn an_empty_list_is_found_and_becomes_a_default_deny() {
        let text = cnp("endpointSelector: {}\n  ingress: [{}]\n  egress: []\n");
        fires("empty-list-as-deny", &text, &["egress: []"]);
        silent(&mended(&text));
    }

    #[test]
    fn a_policy_of_empty_lists_is_told_of_once() {
        fires("empty-list-as-deny", &cnp("endpointSelector: {}\n  ingress: []\n"), &["ingress: []"]);
        let told = told_in(None, &cnp("endpointSelector: {}\n  ingress: []\n"));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn alone_it_is_an_error_in_releases_that_refuse_it() {
        let alone = cnp("endpointSelector: {}\n  ingress: []\n");
        let severity = |version, text: &str| told_in(Some(version), text)[0].1;
        assert_eq!(severity(CiliumVersion::V1_18, &alone), Severity::Error);
        assert_eq!(severity(CiliumVersion::V1_17, &alone), Severity::Warning);
        let beside = cnp("endpointSelector: {}\n  ingress: []\n  egress: [{}]\n");
        assert_eq!(severity(CiliumVersion::V1_20, &beside), Severity::Warning);
    }

    #[test]
    fn the_default_deny_is_right_and_so_is_an_empty_list_of_a_network_policy() {
        silent(&cnp("endpointSelector: {}\n  ingress: [{}]\n  ingressDeny: [{}]\n"));
        silent(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Ingress], ingress: []}\n",
        );
    }
}
