//! The API server by address: the entity and the port that was seen, in the
//! place of a CIDR that can match nothing.

use std::net::IpAddr;

use crate::diagnose::{Gap, Scene};
use crate::finding::Label;
use crate::policy::peer::{Addresses, parse_cidr};
use crate::policy::ports::Literal;
use crate::policy::{Action, Element, Peer, PeerKey, Policy, PolicyKind};
use crate::repair::candidate::{Candidate, Operator};
use crate::repair::words::entity;
use crate::traffic::{Packet, Side, Transport};
use crate::yaml::{Datum, Editor};

/// Where an address of the API server was allowed by CIDR: the entity and the
/// port that was seen, in the place of what cannot match.
pub(in crate::repair) fn api_server(scene: &Scene<'_, '_>, gap: Gap) -> Vec<Candidate> {
    let drop = &scene.drops[gap.drop];
    let peer = drop.peer(gap.side);
    if entity(scene.engine.identity(peer)) != Some("kube-apiserver") {
        return Vec::new();
    }
    let Packet::Port(transport, wanted) = drop.packet() else { return Vec::new() };
    let mut found = Vec::new();
    for (index, policy) in scene.model.policies.iter().enumerate() {
        if policy.kind == PolicyKind::Knp
            || !scene.model.is_editable(policy)
            || !scene.engine.refusals(index).is_empty()
        {
            continue;
        }
        for (number, rule) in policy.rules.iter().enumerate() {
            if !scene.engine.is_about(index as u32, number as u32, drop.subject(gap.side)) {
                continue;
            }
            let sections = rule.sections.iter().filter(|s| s.side == gap.side && s.action == Action::Allow);
            for element in sections.flat_map(|section| &section.elements) {
                found.extend(by_entity(
                    policy,
                    element,
                    gap.side,
                    transport,
                    wanted,
                    drop.distinct.flow.destination.ip,
                ));
            }
        }
    }
    found
}

fn by_entity(
    policy: &Policy<'_>,
    element: &Element<'_>,
    side: Side,
    transport: Transport,
    wanted: u16,
    address: Option<IpAddr>,
) -> Option<Candidate> {
    let field = element.peers.iter().find(|f| f.key == PeerKey::Cidr || f.key == PeerKey::CidrSet)?;
    let [item] = field.items.as_slice() else { return None };
    let Peer::Addresses(Addresses { cidr: Some(cidr), .. }) = &item.peer else { return None };
    let net = parse_cidr(&cidr.value)?;
    let lists = element.to_ports.as_ref()?;
    let [port] = lists.lists.first()?.ports.as_slice() else { return None };
    let number = match port.literal() {
        Literal::Number(number) if port.transports()?.contains(&transport) => number,
        _ => return None,
    };
    let is_host = net.prefix_len() == net.max_prefix_len();
    let is_service = is_host && [443, 6443].contains(&number) && is_private(net.addr());
    let is_it = is_host && address.is_some_and(|ip| net.contains(&ip));
    if !is_service && !is_it {
        return None;
    }
    let file = policy.value.tree().file;
    let editor = Editor::default();
    let rename = editor.rename_key(&field.entry, PeerKey::Entities.as_str(side)).ok()?;
    let mut edits = vec![(file, rename)];
    let entity = Datum::from("kube-apiserver");
    edits.push((file, editor.replace(item.value, entity).ok()?));
    if number != wanted {
        edits.push((file, editor.replace(port.value.get("port")?, wanted.to_string()).ok()?));
    }
    let blame =
        Label { span: cidr.span, text: "a CIDR never means the API server of the cluster".to_owned() };
    Some(Candidate {
        why: "the API server runs on nodes: its Service address is translated before policy looks, and CIDRs mean addresses outside the cluster only".to_owned(),
        title: format!("name the entity kube-apiserver on {transport} {wanted} in place of {}", cidr.value),
        evidence: Some(format!("{} can match nothing that Cilium sees", cidr.value)),
        ..Candidate::correction(Operator::SwapPeer, "api-server-entity", edits, blame)
    })
}

/// An address of a private network, as Service addresses are.
pub(in crate::repair) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.octets()[0] == 100,
        IpAddr::V6(ip) => ip.segments()[0] & 0xfe00 == 0xfc00,
    }
}
