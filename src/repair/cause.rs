//! Which cause an addition answers: what kind of other end it was, and what the
//! policy said of it.

use super::dns;
use super::want::Want;
use super::words::{PeerWords, entity};
use crate::diagnose::Scene;
use crate::engine::SideVerdict;
use crate::policy::peer::parse_cidr;
use crate::policy::{Action, Element, Peer, PeerKey, Rule};
use crate::traffic::{Packet, Side, Transport};

/// The id of the cause that an added peer or rule answers.
pub(super) fn addition_cause(
    scene: &Scene<'_, '_>,
    want: &Want,
    rule: &Rule<'_>,
    element: Option<&Element<'_>>,
) -> &'static str {
    let drop = &scene.drops[want.gap.drop];
    let peer = scene.engine.identity(drop.peer(want.gap.side));
    if dns::is_query(scene, drop.destination.identity, want.packet) {
        return "dns-not-allowed";
    }
    if let Some(entity) = entity(peer) {
        return match entity {
            "kube-apiserver" if want.gap.side == Side::Egress => "api-server-entity",
            "ingress" => "ingress-identity",
            _ => "node-entity",
        };
    }
    match (&want.peer, want.packet) {
        (PeerWords::Name(_), _) => {
            let named = element.is_some_and(|e| e.peers.iter().any(|field| field.key == PeerKey::Names));
            return if named { "fqdn-pattern" } else { "external-host-missing" };
        }
        (PeerWords::Address(ip), _) if ip.is_multicast() || ip.to_string() == "255.255.255.255" => {
            return "multicast";
        }
        (PeerWords::Address(_), _) => return "external-host-missing",
        (_, Packet::Icmp(..)) => return "icmp",
        (_, Packet::Port(Transport::Tcp, 15008)) => return "mesh-port",
        (PeerWords::Pods { cluster: Some(_), .. }, _) => return "cluster-label",
        _ => {}
    }
    let address = if want.gap.side == Side::Egress {
        drop.distinct.flow.destination.ip
    } else {
        drop.distinct.flow.source.ip
    };
    let section = rule.section(want.gap.side, Action::Allow);
    let by_address =
        section.into_iter().flat_map(|s| &s.elements).flat_map(|e| &e.peers).flat_map(|f| &f.items).any(
            |item| match (&item.peer, address) {
                (Peer::Addresses(own), Some(ip)) => own
                    .cidr
                    .as_ref()
                    .and_then(|cidr| parse_cidr(&cidr.value))
                    .is_some_and(|net| net.contains(&ip)),
                _ => false,
            },
        );
    if by_address {
        return "cidr-managed";
    }
    if drop.distinct.flow.destination.service.is_some() && want.gap.side == Side::Egress {
        return "gateway-in-path";
    }
    let judgement = scene.judge(drop);
    match judgement.on(want.gap.side.other()) {
        SideVerdict::Allowed { .. } => "other-side-missing",
        _ => "peer-missing",
    }
}
