//! Names without a DNS rule: no answer passes the proxy, so no address is learned.

use super::candidate;
use crate::diagnose::{Gap, Scene};
use crate::engine::IdentityId;
use crate::finding::Label;
use crate::policy::ports::Literal;
use crate::policy::{Action, Element, PeerKey, Policy, PortList, Rule};
use crate::repair::candidate::{Assumption, Candidate, Operator};
use crate::source::FileId;
use crate::traffic::{Packet, Side};
use crate::yaml::{Change, Datum, Editor};

/// Names are allowed, but no DNS answer passes the proxy, so no address is ever
/// learned for them and the drop shows plain `world`.
pub(in crate::repair) fn names_without_dns(scene: &Scene<'_, '_>, gap: Gap) -> Vec<Candidate> {
    let drop = &scene.drops[gap.drop];
    let subject = drop.subject(gap.side);
    let peer = scene.engine.identity(drop.peer(gap.side));
    if gap.side != Side::Egress || peer.ip.is_none() || !peer.names.is_empty() || sees_dns(scene, subject) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (p, policy) in scene.model.policies.iter().enumerate() {
        for (r, rule) in policy.rules.iter().enumerate() {
            let about = scene.model.is_editable(policy)
                && scene.engine.refusals(p).is_empty()
                && scene.engine.is_about(p as u32, r as u32, subject);
            if about {
                found.extend(learn_names(policy, rule, drop.packet()));
            }
        }
    }
    found
}

fn learn_names(policy: &Policy<'_>, rule: &Rule<'_>, packet: Packet) -> Option<Candidate> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    let named = section.elements.iter().find(|element| {
        element.peers.iter().any(|field| field.key == PeerKey::Names && !field.items.is_empty())
            && may_cover(element, packet)
    })?;
    let field = named.peers.iter().find(|field| field.key == PeerKey::Names)?;
    let edits = dns_edits(policy, rule, listed_names(rule))?;
    let names: Vec<Box<str>> = field
        .items
        .iter()
        .filter_map(|item| item.value.written_entries().next()?.value.text())
        .map(|text| text.as_ref().into())
        .collect();
    let place = dns_list(rule).map_or_else(|| field.entry.key.span(), |list| list.value.span());
    let blame = Label {
        span: place,
        text: "DNS answers do not pass the proxy here, so no address is learned".to_owned(),
    };
    Some(Candidate {
        why: format!(
            "addresses of {} are learned from DNS answers that pass Cilium's DNS proxy, and no rule sends them there",
            names.join(", ")
        ),
        title: "send the DNS queries through the proxy with rules.dns".to_owned(),
        evidence: Some(format!(
            "taken for granted: the address that was called belongs to {}",
            names.join(" or ")
        )),
        assumption: Some(Assumption::Names(names)),
        ..candidate(Operator::AddPort, "fqdn-without-dns-rule", edits, blame)
    })
}

/// Whether DNS answers for an endpoint pass the proxy, so that names are learned.
pub(in crate::repair) fn sees_dns(scene: &Scene<'_, '_>, subject: IdentityId) -> bool {
    scene.model.policies.iter().enumerate().any(|(p, policy)| {
        scene.engine.refusals(p).is_empty()
            && policy.rules.iter().enumerate().any(|(r, rule)| {
                scene.engine.is_about(p as u32, r as u32, subject)
                    && rule.section(Side::Egress, Action::Allow).is_some_and(|section| {
                        section
                            .port_lists()
                            .any(|list| list.l7.dns.as_ref().is_some_and(|rules| !rules.is_empty()))
                    })
            })
    })
}

/// Edits that let the DNS queries of a rule's subject pass the proxy: the DNS
/// rule that is there gets `rules.dns` and both transports; where there is none,
/// one is added.
pub(in crate::repair) fn dns_edits(
    policy: &Policy<'_>,
    rule: &Rule<'_>,
    names: Vec<Datum>,
) -> Option<Vec<(FileId, Change)>> {
    let file = policy.value.tree().file;
    let editor = Editor::default();
    let Some(list) = dns_list(rule) else {
        let section = rule.section(Side::Egress, Action::Allow)?;
        let change = editor.insert_item(section.entry.value.resolve(), usize::MAX, dns_rule(names));
        return Some(vec![(file, change.ok()?)]);
    };
    let mut edits = Vec::new();
    if let [port] = list.ports.as_slice()
        && port.protocol.as_ref().is_some_and(|protocol| protocol.value == "UDP" || protocol.value == "TCP")
    {
        edits.push((file, editor.replace(port.value.get("protocol")?, "ANY").ok()?));
    }
    let dns = Datum::map([("dns", Datum::Seq(names))]);
    let at = list
        .value
        .written_entries()
        .position(|entry| entry.key.text().as_deref() == Some("ports"))
        .map_or(usize::MAX, |at| at + 1);
    edits.push((file, editor.insert_entry(list.value, at, "rules", dns).ok()?));
    Some(edits)
}

/// The item of `toPorts` that allows DNS in a rule, if there is one.
fn dns_list<'m, 's>(rule: &'m Rule<'s>) -> Option<&'m PortList<'s>> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    section.port_lists().find(|list| list.ports.iter().any(|port| port.literal() == Literal::Number(53)))
}

/// The names that a rule lists in `toFQDNs`, as items of `rules.dns`.
fn listed_names(rule: &Rule<'_>) -> Vec<Datum> {
    let elements =
        rule.section(Side::Egress, Action::Allow).into_iter().flat_map(|section| &section.elements);
    let fields = elements.flat_map(|element| &element.peers).filter(|field| field.key == PeerKey::Names);
    fields.flat_map(|field| &field.items).filter_map(|item| Datum::of(item.value).ok()).collect()
}

/// The usual DNS rule: kube-dns of kube-system, through the proxy.
fn dns_rule(names: Vec<Datum>) -> Datum {
    let labels = Datum::map([
        ("k8s:io.kubernetes.pod.namespace", Datum::from("kube-system")),
        ("k8s-app", Datum::from("kube-dns")),
    ]);
    let port = Datum::map([("port", Datum::from("53")), ("protocol", Datum::from("ANY"))]);
    let ports =
        Datum::map([("ports", Datum::seq([port])), ("rules", Datum::map([("dns", Datum::Seq(names))]))]);
    Datum::map([
        ("toEndpoints", Datum::seq([Datum::map([("matchLabels", labels)])])),
        ("toPorts", Datum::seq([ports])),
    ])
}

/// Whether an element's ports could be about a packet; names count as no.
fn may_cover(element: &Element<'_>, packet: Packet) -> bool {
    let Packet::Port(transport, wanted) = packet else { return element.to_ports.is_none() };
    let Some(to_ports) = &element.to_ports else { return element.icmps.is_none() };
    to_ports.lists.iter().flat_map(|list| &list.ports).any(|port| {
        let covers = match port.literal() {
            Literal::Number(0) => true,
            Literal::Number(number) => {
                let end = port.end.map_or(i64::from(number), |end| end.value.max(i64::from(number)));
                (i64::from(number)..=end).contains(&i64::from(wanted))
            }
            _ => false,
        };
        covers && port.transports().is_some_and(|own| own.contains(&transport))
    })
}
