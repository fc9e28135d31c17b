//! `fqdn-without-dns-rule`: a rule with toFQDNs, and nobody lets Cilium see the
//! DNS answers of its subject. Cilium learns the addresses behind a name only
//! from answers that pass its DNS proxy (`semantics.md` 4.6), so the rule never
//! admits anything.
//!
//! A DNS rule in any policy that may select the same pods is enough. Mend: the
//! plain rule for port 53 in the same spec gets `rules.dns`; safe, since the
//! pods could ask any name before. Without one, a rule to kube-dns is added;
//! unsafe, since the cluster's DNS may live elsewhere.

use crate::finding::Safety;
use crate::label::NAMESPACE;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::lint::subjects::Subjects;
use crate::policy::ports::Literal;
use crate::policy::{Action, Element, PeerKey, Rule};
use crate::traffic::{Side, Transport};
use crate::yaml::{Change, Datum, Editor, Refusal};

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    let seeing = Subjects::of(context, |rule| rule.sections.iter().flat_map(|s| &s.elements).any(shows_dns));
    for subject in context.reported_subjects() {
        let rule = subject.rule;
        let elements = || rule.sections.iter().flat_map(|section| &section.elements);
        let mut fields = elements().flat_map(|element| &element.peers);
        let named = fields.find(|field| field.key == PeerKey::Names && !field.items.is_empty());
        let Some(named) = named else { continue };
        if elements().any(shows_dns) || seeing.any_may_be(&subject.requirements) {
            continue;
        }
        let found = findings.add(
            named.entry.key.span(),
            "toFQDNs without a DNS rule: Cilium never learns the addresses behind these names",
            "no policy shows Cilium the DNS answers of these pods",
        );
        found.why("addresses are learned from DNS answers that pass Cilium's proxy, which a rule with rules.dns brings into the path");
        match plain_dns(rule) {
            Some(element) => {
                found.mend(Safety::Safe, "let the DNS rule pass through the proxy", through_proxy(element));
            }
            None => {
                found.mend(Safety::Unsafe, "add a rule for the cluster's DNS", with_dns(rule));
            }
        }
    }
}

fn shows_dns(element: &Element<'_>) -> bool {
    let lists = element.to_ports.iter().flat_map(|ports| &ports.lists);
    lists.into_iter().any(|list| list.l7.dns.as_ref().is_some_and(|rules| !rules.is_empty()))
}

/// The element that allows port 53 without rules for a proxy.
fn plain_dns<'r, 's>(rule: &'r Rule<'s>) -> Option<&'r Element<'s>> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    section.elements.iter().find(|element| {
        let names_pods = element.peers.iter().any(|field| field.key == PeerKey::Endpoints);
        let lists = element.to_ports.as_ref().map_or(&[][..], |ports| &ports.lists);
        names_pods
            && !lists.is_empty()
            && lists.iter().all(|list| {
                list.l7.rules.is_none()
                    && !list.ports.is_empty()
                    && list.ports.iter().all(|port| {
                        port.literal() == Literal::Number(53)
                            && port.end.is_none()
                            && port
                                .transports()
                                .is_some_and(|t| t.contains(&Transport::Udp) || t == [Transport::Tcp])
                    })
            })
    })
}

fn every_name() -> Datum {
    Datum::map([("dns", Datum::seq([Datum::map([("matchPattern", "*")])]))])
}

fn through_proxy(element: &Element<'_>) -> Vec<Result<Change, Refusal>> {
    let lists = element.to_ports.iter().flat_map(|ports| &ports.lists);
    lists
        .map(|list| {
            let last = list.value.written_entries().len();
            Editor::default().insert_entry(list.value, last, "rules", every_name())
        })
        .collect()
}

fn with_dns(rule: &Rule<'_>) -> Vec<Result<Change, Refusal>> {
    let Some(section) = rule.section(Side::Egress, Action::Allow) else { return Vec::new() };
    vec![Editor::default().insert_item(section.entry.value, 0, dns_element(true))]
}

/// A rule for the cluster's DNS, seen by the proxy or not.
pub(super) fn dns_element(seen: bool) -> Datum {
    let namespace = format!("k8s:{NAMESPACE}");
    let labels = Datum::map([(namespace.as_str(), "kube-system"), ("k8s-app", "kube-dns")]);
    let port = Datum::map([("port", "53"), ("protocol", "ANY")]);
    let mut ports = vec![("ports".to_owned(), Datum::seq([port]))];
    if seen {
        ports.push(("rules".to_owned(), every_name()));
    }
    let peers = Datum::seq([Datum::map([("matchLabels", labels)])]);
    Datum::map([("toEndpoints", peers), ("toPorts", Datum::seq([Datum::Map(ports)]))])
}

#[cfg(test)]
mod tests {
    use crate::finding::Safety;
    use crate::lint::rules::testing::{cnp, fires, mended, mended_as_far_as, silent};

    const NAMES: &str = "  - toFQDNs:\n    - matchName: example.com\n";
    const PLAIN: &str = "  - toEndpoints:\n    - matchLabels:\n        k8s:io.kubernetes.pod.namespace: kube-system\n        k8s-app: kube-dns\n    toPorts:\n    - ports:\n      - port: \"53\"\n        protocol: ANY\n";

    #[test]
    fn a_plain_dns_rule_is_led_through_the_proxy() {
        let text = cnp(&format!("endpointSelector: {{}}\n  egress:\n{NAMES}{PLAIN}"));
        fires("fqdn-without-dns-rule", &text, &["toFQDNs"]);
        let mended = mended_as_far_as(Safety::Safe, &text);
        assert!(
            mended.ends_with(
                "        protocol: ANY\n      rules:\n        dns:\n        - matchPattern: \"*\"\n"
            ),
            "{mended}"
        );
    }

    #[test]
    fn without_a_dns_rule_one_is_added() {
        let text = cnp(&format!("endpointSelector: {{}}\n  egress:\n{NAMES}"));
        assert_eq!(mended_as_far_as(Safety::Safe, &text), text);
        silent(&mended(&text));
    }

    #[test]
    fn a_dns_rule_of_another_policy_that_selects_the_pods_is_enough() {
        let names = cnp(&format!("endpointSelector: {{matchLabels: {{app: a}}}}\n  egress:\n{NAMES}"));
        let dns = cnp(&format!(
            "endpointSelector: {{}}\n  egress:\n{PLAIN}      rules: {{dns: [{{matchPattern: '*'}}]}}\n"
        ))
        .replace("name: x", "name: dns");
        silent(&format!("{names}---\n{dns}"));
        let elsewhere = dns.replace("namespace: shop", "namespace: other");
        fires("fqdn-without-dns-rule", &format!("{names}---\n{elsewhere}"), &["toFQDNs"]);
    }
}
