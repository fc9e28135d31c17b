//! `dns-over-udp-only`: port 53 is open over UDP and not over TCP. Long answers
//! are cut over UDP and asked for again over TCP; such names then fail, and only
//! they.
//!
//! Mend: protocol ANY, or a second entry in a NetworkPolicy. Unsafe: it opens a
//! port.

use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::lint::subjects::Subjects;
use crate::policy::ports::{Literal, Port};
use crate::policy::{Action, Element, PolicyKind, Rule};
use crate::traffic::{Side, Transport};
use crate::yaml::{Datum, Editor};

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    let over_tcp = Subjects::of(context, |rule| allows(rule).any(|element| opens(element, Transport::Tcp)));
    for subject in context.reported_subjects() {
        let by_udp = |element| Some((element, is_dns(element, Transport::Udp)?));
        let Some((element, port)) = allows(subject.rule).find_map(by_udp) else { continue };
        if over_tcp.any_may_be(&subject.requirements) {
            continue;
        }
        let place = port.protocol.as_ref().map_or(port.value.span(), |protocol| protocol.span);
        let found =
            findings.add(place, "DNS is open over UDP and not over TCP", "long answers come over TCP");
        found.why("an answer that does not fit is asked for again over TCP, so that some names fail and others do not");
        let editor = Editor::default();
        let change = if subject.policy.kind == PolicyKind::Knp {
            let both = Datum::Map(vec![("protocol".into(), "TCP".into()), ("port".into(), Datum::Int(53))]);
            element.to_ports.as_ref().map(|ports| editor.insert_item(ports.entry.value, usize::MAX, both))
        } else {
            port.value.get("protocol").map(|protocol| editor.replace(protocol, "ANY"))
        };
        found.mend(Safety::Unsafe, "open TCP too", change);
    }
}

/// The items of a rule's egress section.
pub(super) fn allows<'r, 's>(rule: &'r Rule<'s>) -> impl Iterator<Item = &'r Element<'s>> {
    rule.section(Side::Egress, Action::Allow).into_iter().flat_map(|section| &section.elements)
}

/// The entry for port 53 and this transport alone.
fn is_dns<'e, 's>(element: &'e Element<'s>, transport: Transport) -> Option<&'e Port<'s>> {
    let ports = element.to_ports.iter().flat_map(|ports| &ports.lists).flat_map(|list| &list.ports);
    ports
        .into_iter()
        .find(|port| port.literal() == Literal::Number(53) && port.transports() == Some(&[transport][..]))
}

/// Whether an element lets pass port 53 over this transport, as far as can be known.
pub(super) fn opens(element: &Element<'_>, transport: Transport) -> bool {
    let Some(to_ports) = &element.to_ports else {
        return !element.peers.is_empty() && element.icmps.is_none();
    };
    let ports = to_ports.lists.iter().flat_map(|list| &list.ports);
    ports.into_iter().any(|port| {
        let transports = port.transports().unwrap_or(&Transport::ALL);
        let number = match port.literal() {
            Literal::Number(0) | Literal::Name(_) | Literal::Unknown => true,
            // Some distributions run their DNS on these.
            Literal::Number(first) => {
                let last = port.end.as_ref().map_or(i64::from(first), |end| end.value);
                matches!(first, 5353 | 8053 | 1053 | 9153) || (i64::from(first) <= 53 && 53 <= last)
            }
            Literal::Unreadable => false,
        };
        transports.contains(&transport) && number
    })
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    const DNS: &str = "endpointSelector: {}\n  egress:\n  - toEndpoints:\n    - matchLabels: {k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}\n    toPorts:\n    - ports:\n      - port: \"53\"\n        protocol: UDP\n";

    #[test]
    fn udp_alone_is_found_and_becomes_any() {
        fires("dns-over-udp-only", &cnp(DNS), &["UDP"]);
        assert_eq!(mended(&cnp(DNS)), cnp(&DNS.replace("UDP", "ANY")));
    }

    #[test]
    fn both_are_right_in_one_entry_in_two_and_in_two_policies() {
        silent(&cnp(&DNS.replace("UDP", "ANY")));
        silent(&cnp(&format!("{DNS}      - port: \"53\"\n        protocol: TCP\n")));
        let tcp = cnp(&DNS.replace("UDP", "TCP")).replace("name: x", "name: tcp");
        silent(&format!("{}---\n{tcp}", cnp(DNS)));
    }
}
