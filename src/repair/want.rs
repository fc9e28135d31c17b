//! What denied sides want: whom to admit, on which ports; and what of it one rule
//! can say.

use std::collections::BTreeMap;

use super::dns;
use super::words::{PeerWords, PortWords};
use crate::diagnose::{Gap, Scene};
use crate::traffic::{Packet, Side};

/// What one gap wants.
#[derive(Debug, Clone)]
pub(super) struct Want {
    /// The gap.
    pub gap: Gap,
    /// How the other end is named.
    pub peer: PeerWords,
    /// On which port.
    pub packet: Packet,
}

impl Want {
    /// A caller from outside the cluster: whether it is meant to call is a guess,
    /// where no word of the author speaks for it.
    pub(super) fn is_caller_from_outside(&self) -> bool {
        self.gap.side == Side::Ingress && matches!(self.peer, PeerWords::Address(_) | PeerWords::Name(_))
    }
}

/// Wants that one element serves.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Peers of one field.
    pub(super) peers: Vec<PeerWords>,
    /// Ports, the same for all of them.
    pub(super) ports: Vec<PortWords>,
    /// What is no port: ICMP.
    pub(super) packets: Vec<Packet>,
    /// The gaps that it closes.
    pub(super) gaps: Vec<Gap>,
    /// It is for DNS queries alone.
    pub(super) dns: bool,
}

/// Puts wants together: all ports of one peer, then all peers of one field with
/// the same ports. ICMP stays apart, since it cannot share an element with ports,
/// and so does DNS, whose rules may have to name a proxy.
pub(super) fn group(scene: &Scene<'_, '_>, wants: &[&Want]) -> Vec<Group> {
    let mut by_peer: BTreeMap<(&PeerWords, bool, bool), Group> = BTreeMap::new();
    for want in wants {
        let dns = dns::is_query(scene, scene.drops[want.gap.drop].destination.identity, want.packet);
        let icmp = matches!(want.packet, Packet::Icmp(..));
        let own = by_peer.entry((&want.peer, icmp, !dns)).or_default();
        own.gaps.push(want.gap);
        own.dns = dns;
        match want.packet {
            Packet::Port(transport, port) => {
                own.ports.push(PortWords { port, transport: (!dns).then_some(transport) });
            }
            packet => own.packets.push(packet),
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for ((peer, ..), mut own) in by_peer {
        own.ports.sort_unstable();
        own.ports.dedup();
        own.packets.sort_unstable();
        own.packets.dedup();
        let like = groups.iter_mut().find(|group| {
            let field = group.peers.first().map(PeerWords::field);
            field == Some(peer.field())
                && group.dns == own.dns
                && group.ports == own.ports
                && group.packets == own.packets
        });
        match like {
            Some(group) => {
                group.peers.push(peer.clone());
                group.gaps.extend(own.gaps);
            }
            None => groups.push(Group { peers: vec![peer.clone()], ..own }),
        }
    }
    groups
}
