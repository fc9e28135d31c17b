//! Where new items go: beside their like, and in the order that a list keeps.

use super::words::{PeerWords, PortWords};
use crate::diagnose::Scene;
use crate::engine::IdentityId;
use crate::policy::ports::Literal;
use crate::policy::selector::Operator;
use crate::policy::{Element, Peer, PeerField, PeerKey, PolicyKind, Section};
use crate::traffic::Side;

/// Where a new peer goes in its field: a list that is in order stays so, else the end.
pub(super) fn peer_index(field: &PeerField<'_>, peer: &PeerWords) -> usize {
    let keys: Vec<String> = field.items.iter().map(|item| sort_key(&item.peer)).collect();
    if !keys.is_sorted() {
        return keys.len();
    }
    let own = peer_key(peer);
    keys.partition_point(|key| *key <= own)
}

/// The same for a peer that is not written yet.
fn peer_key(peer: &PeerWords) -> String {
    match peer {
        PeerWords::Pods { labels, .. } => labels.first().map_or_else(String::new, |(_, value)| value.clone()),
        PeerWords::Entity(name) => (*name).to_owned(),
        PeerWords::Name(name) => format!("matchName {name}"),
        PeerWords::Address(ip) => super::words::host_prefix(*ip),
    }
}

/// What people put peers in order by: the workload's name, the entity, the name.
fn sort_key(peer: &Peer<'_>) -> String {
    match peer {
        Peer::Endpoints(selector) => selector
            .requirements
            .iter()
            .find(|r| r.operator == Operator::In && r.key != crate::label::NAMESPACE)
            .and_then(|r| r.values.first())
            .map_or_else(String::new, |value| value.value.to_string()),
        Peer::Entity(name) => name.value.to_string(),
        Peer::Name(rule) => {
            let kind = if rule.name.is_some() { "matchName" } else { "matchPattern" };
            format!("{kind} {}", rule.text().map_or("", |text| &text.value))
        }
        Peer::Addresses(addresses) => {
            addresses.cidr.as_ref().map_or_else(String::new, |cidr| cidr.value.to_string())
        }
        _ => String::new(),
    }
}

/// Where a new element goes: behind the last of its kind (pods, then entities,
/// then what lies outside); among rules for the subject's own ports in the
/// order in which its containers list them.
pub(super) fn element_index(
    scene: &Scene<'_, '_>,
    kind: PolicyKind,
    section: &Section<'_>,
    subject: IdentityId,
    peers: &[PeerWords],
    ports: &[PortWords],
) -> usize {
    if kind != PolicyKind::Knp && section.side == Side::Ingress {
        let own: Vec<u16> = scene.ports(subject).iter().map(|port| port.number).collect();
        let rank = |port: u16| own.iter().position(|own| *own == port);
        if let Some(rank_of_new) = ports.first().and_then(|port| rank(port.port)) {
            let ranks: Vec<Option<usize>> =
                section.elements.iter().map(|own| first_port(scene, subject, own).and_then(rank)).collect();
            if let Some(index) = ranks.iter().position(|own| own.is_some_and(|own| own > rank_of_new)) {
                return index;
            }
            if let Some(index) = ranks.iter().rposition(|own| own.is_some_and(|own| own < rank_of_new)) {
                return index + 1;
            }
        }
    }
    let new_rank = peers.first().map_or(0, |peer| field_rank(peer.field()));
    let rank_of = |element: &Element<'_>| element.peers.first().map_or(0, |field| field_rank(field.key));
    let like: Vec<usize> = (0..section.elements.len())
        .filter(|&i| rank_of(&section.elements[i]) == new_rank && !is_dns_rule(&section.elements[i]))
        .collect();
    let names: Vec<String> = like.iter().map(|&i| element_key(&section.elements[i])).collect();
    let own = peers.first().map(peer_key).unwrap_or_default();
    // One item is in no order yet: what is new comes behind it.
    let ordered = names.len() > 1 && names.is_sorted();
    if let (Some(first), true) = (names.iter().position(|name| *name > own), ordered) {
        return like[first];
    }
    if let Some(last) = like.last() {
        return last + 1;
    }
    // The rule for DNS stands last among those for pods.
    let before_dns =
        section.elements.iter().position(|element| rank_of(element) == new_rank && is_dns_rule(element));
    let dns = ports.iter().any(|port| port.port == 53);
    if let Some(index) = before_dns.filter(|_| !dns) {
        return index;
    }
    section.elements.iter().rposition(|element| rank_of(element) <= new_rank).map_or(0, |last| last + 1)
}

/// Whether an element is for DNS only.
fn is_dns_rule(element: &Element<'_>) -> bool {
    let mut ports =
        element.to_ports.iter().flat_map(|to_ports| &to_ports.lists).flat_map(|list| &list.ports).peekable();
    ports.peek().is_some() && ports.all(|port| port.literal() == Literal::Number(53))
}

/// What rules are put in order by: their first peer.
fn element_key(element: &Element<'_>) -> String {
    let first = element.peers.first().and_then(|field| field.items.first());
    first.map(|item| sort_key(&item.peer)).unwrap_or_default()
}

fn first_port(scene: &Scene<'_, '_>, subject: IdentityId, element: &Element<'_>) -> Option<u16> {
    let port = element.to_ports.as_ref()?.lists.first()?.ports.first()?;
    match port.literal() {
        Literal::Number(number) => Some(number),
        Literal::Name(name) => {
            let named = &scene.engine.identity(subject).named_ports;
            named.iter().find(|own| *own.name == *name).map(|own| own.port)
        }
        _ => None,
    }
}

fn field_rank(key: PeerKey) -> usize {
    match key {
        PeerKey::Endpoints | PeerKey::Kubernetes => 0,
        PeerKey::Services => 1,
        PeerKey::Entities | PeerKey::Nodes => 2,
        PeerKey::Cidr | PeerKey::CidrSet | PeerKey::Groups => 3,
        PeerKey::Names => 4,
    }
}
