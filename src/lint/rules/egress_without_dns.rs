//! `egress-without-dns`: the first rule for egress of some pods closes all else,
//! and DNS first: they cannot resolve the name of what they may call
//! (`semantics.md` 3.3).
//!
//! It is silent where any policy that may be about these pods opens port 53, or
//! closes their egress on purpose, and for rules that name addresses or entities
//! only. Mend: a rule for the cluster's DNS. Unsafe: it may live elsewhere.

use super::dns_over_udp_only::{allows, opens};
use super::fqdn_without_dns_rule::dns_element;
use super::selector_without_workload::is_pod_label;
use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::lint::subjects::Subjects;
use crate::policy::{Action, Element, Peer, PolicyKind, Rule};
use crate::traffic::{Side, Transport};
use crate::yaml::Editor;

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    let open_or_closed = Subjects::of(context, opens_or_closes_dns);
    for subject in context.reported_subjects() {
        let Some(section) = subject.rule.section(Side::Egress, Action::Allow) else { continue };
        let Some(first) = section.elements.iter().find(|element| calls_by_name(element)) else { continue };
        if !closes(subject.rule)
            || opens_or_closes_dns(subject.rule)
            || open_or_closed.any_may_be(&subject.requirements)
        {
            continue;
        }
        let place = first.peers.first().map_or(section.entry.key.span(), |field| field.entry.key.span());
        let found = findings.add(
            place,
            "these pods may call others, and not the DNS that tells where they are",
            "a name is resolved first",
        );
        found.why("the first rule for egress closes all that no rule allows, DNS included");
        found.also(section.entry.key.span(), "this closes egress");
        if subject.policy.kind != PolicyKind::Knp {
            let last = section.elements.len();
            found.mend(
                Safety::Unsafe,
                "add a rule for the cluster's DNS",
                [Editor::default().insert_item(section.entry.value, last, dns_element(false))],
            );
        }
    }
}

/// Whether it opens DNS, or closes egress and so DNS on purpose.
fn opens_or_closes_dns(rule: &Rule<'_>) -> bool {
    closes_on_purpose(rule) || allows(rule).any(|element| opens(element, Transport::Udp))
}

/// Whether it switches default deny on for egress.
fn closes(rule: &Rule<'_>) -> bool {
    rule.speaks_of(Side::Egress) && rule.default_deny[Side::Egress as usize].is_none_or(|deny| deny.value)
}

/// Whether it closes egress and allows nothing: a default deny.
fn closes_on_purpose(rule: &Rule<'_>) -> bool {
    closes(rule) && allows(rule).all(|element| element.peers.is_empty() && element.to_ports.is_none())
}

/// Whether it lets pass calls to what is called by name: workloads and Services.
/// Whole namespaces are usually scraped by address. Names outside are the matter
/// of `fqdn-without-dns-rule`.
fn calls_by_name(element: &Element<'_>) -> bool {
    element.peers.iter().flat_map(|field| &field.items).any(|item| match &item.peer {
        Peer::Service(_) => true,
        Peer::Endpoints(selector) => selector.requirements.iter().any(is_pod_label),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    const CALL: &str = "endpointSelector: {matchLabels: {app: a}}\n  egress:\n  - toEndpoints:\n    - matchLabels: {app: b}\n    toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n";

    #[test]
    fn the_first_rule_for_egress_closes_dns() {
        fires("egress-without-dns", &cnp(CALL), &["toEndpoints"]);
        silent(&mended(&cnp(CALL)));
    }

    #[test]
    fn dns_of_another_policy_is_enough_and_a_default_deny_is_meant() {
        let dns = cnp("endpointSelector: {}\n  egress:\n  - toEndpoints: [{matchLabels: {k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}}]\n    toPorts: [{ports: [{port: '53', protocol: ANY}]}]\n").replace("name: x", "name: dns");
        silent(&format!("{}---\n{dns}", cnp(CALL)));
        let deny = cnp("endpointSelector: {}\n  egress: [{}]\n").replace("name: x", "name: deny");
        silent(&format!("{}---\n{deny}", cnp(CALL)));
    }

    #[test]
    fn addresses_and_rules_that_close_nothing_need_no_dns() {
        silent(&cnp("endpointSelector: {}\n  egress:\n  - toCIDR: [192.0.2.0/24]\n"));
        silent(&cnp(&CALL.replace("  egress:", "  enableDefaultDeny: {egress: false}\n  egress:")));
    }
}
