//! Names without a DNS rule: no answer passes the proxy, so no address is learned.

use crate::diagnose::{Gap, Scene};
use crate::finding::Label;
use crate::policy::ports::Literal;
use crate::policy::{Action, Element, PeerKey, Policy, Rule};
use crate::repair::candidate::{Assumption, Candidate, Operator};
use crate::repair::dns;
use crate::repair::manner::Manner;
use crate::source::FileId;
use crate::traffic::{Packet, Side};
use crate::yaml::{Change, Datum, Editor};

/// Names are allowed, but no DNS answer passes the proxy, so no address is ever
/// learned for them and the drop shows plain `world`.
pub(in crate::repair) fn names_without_dns(scene: &Scene<'_, '_>, gap: Gap) -> Vec<Candidate> {
    let drop = &scene.drops[gap.drop];
    let subject = drop.subject(gap.side);
    let peer = scene.engine.identity(drop.peer(gap.side));
    if gap.side != Side::Egress
        || peer.ip.is_none()
        || !peer.names.is_empty()
        || dns::passes_proxy(scene, subject)
    {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (p, policy) in scene.model.policies.iter().enumerate() {
        for (r, rule) in policy.rules.iter().enumerate() {
            let about = scene.model.is_editable(policy)
                && scene.engine.refusals(p).is_empty()
                && scene.engine.is_about(p as u32, r as u32, subject);
            if about {
                found.extend(learn_names(scene, policy, rule, drop.packet()));
            }
        }
    }
    found
}

fn learn_names(
    scene: &Scene<'_, '_>,
    policy: &Policy<'_>,
    rule: &Rule<'_>,
    packet: Packet,
) -> Option<Candidate> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    let named = section.elements.iter().find(|element| {
        element.peers.iter().any(|field| field.key == PeerKey::Names && !field.items.is_empty())
            && may_cover(element, packet)
    })?;
    let field = named.peers.iter().find(|field| field.key == PeerKey::Names)?;
    let queries = dns::names_in_manner(scene, dns::listed_names(rule));
    // What a proxy lets pass is a list: lookups of these pods that passed before are lost to it.
    let refused = match queries == dns::every_name() {
        true => "",
        false => "; look whether these pods ask for other names, which the DNS proxy then refuses",
    };
    let edits = dns_edits(scene, policy, rule, queries)?;
    let names: Vec<Box<str>> = field
        .items
        .iter()
        .filter_map(|item| item.value.written_entries().next()?.value.text())
        .map(|text| text.as_ref().into())
        .collect();
    let place = dns::list(rule).map_or_else(|| field.entry.key.span(), |list| list.value.span());
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
            "taken for granted: the address that was called belongs to {}{refused}",
            names.join(" or ")
        )),
        assumption: Some(Assumption::Names(names)),
        ..Candidate::correction(Operator::AddPort, "fqdn-without-dns-rule", edits, blame)
    })
}

/// Edits that send the DNS queries of a rule's subject through the proxy: the
/// rule for DNS that is there is sent there; where there is none, one is added.
fn dns_edits(
    scene: &Scene<'_, '_>,
    policy: &Policy<'_>,
    rule: &Rule<'_>,
    queries: Vec<Datum>,
) -> Option<Vec<(FileId, Change)>> {
    if let Some(list) = dns::list(rule) {
        return dns::send_through_proxy(policy, list, queries);
    }
    let file = policy.value.tree().file;
    let section = rule.section(Side::Egress, Action::Allow)?;
    let element = dns::rule(scene, Manner::of(scene.model, file, None), &queries)?;
    let change = Editor::default().insert_item(section.entry.value.resolve(), usize::MAX, element);
    Some(vec![(file, change.ok()?)])
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
