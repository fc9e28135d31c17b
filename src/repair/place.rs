//! Where new items go: beside their like, and in the order that a list keeps.

use super::words::{PeerWords, PortWords};
use crate::diagnose::Scene;
use crate::engine::IdentityId;
use crate::policy::ports::Literal;
use crate::policy::selector::Operator;
use crate::policy::{Element, Peer, PeerField, PeerKey, PolicyKind, Section};
use crate::traffic::Side;

/// Where a new peer goes in its field: a list that is in order stays so, else the end.
pub fn peer_index(field: &PeerField<'_>, peer: &PeerWords) -> usize {
    let keys: Vec<String> = field.items.iter().map(|item| sort_key(&item.peer)).collect();
    if !keys.is_sorted() {
        return keys.len();
    }
    let own = match peer {
        PeerWords::Pods { labels, .. } => labels.first().map_or_else(String::new, |(_, value)| value.clone()),
        PeerWords::Entity(name) => (*name).to_owned(),
        PeerWords::Name(name) => format!("matchName {name}"),
        PeerWords::Address(ip) => super::words::host_prefix(*ip),
    };
    keys.partition_point(|key| *key <= own)
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
pub fn element_index(
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
            let later = |element: &Element<'_>| {
                first_port(scene, subject, element).and_then(rank).is_some_and(|r| r > rank_of_new)
            };
            if let Some(index) = section.elements.iter().position(later) {
                return index;
            }
        }
    }
    let new_rank = peers.first().map_or(0, |peer| field_rank(peer.field()));
    section
        .elements
        .iter()
        .rposition(|element| element.peers.first().is_none_or(|field| field_rank(field.key) <= new_rank))
        .map_or(0, |last| last + 1)
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
