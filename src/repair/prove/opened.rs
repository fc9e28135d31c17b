//! What an edit opens beyond the drops: every touched endpoint with everybody
//! whom the edited policies admit, on the ports that they name, one beside each,
//! and one that nobody names. Ports on which nothing listens do not count.

use super::edited::Edited;
use super::{Opened, Prover, by_workload};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};

impl Prover<'_, '_, '_> {
    /// Everything that passes with an edit, did not before, and was not seen to
    /// be wanted.
    pub(in crate::repair) fn opened(&self, edited: &Edited) -> Vec<Opened> {
        let mut packets = edited.packets.clone();
        packets.extend([
            Packet::Port(Transport::Tcp, 9),
            Packet::Port(Transport::Udp, 9),
            Packet::Icmp(IcmpFamily::V4, 8),
        ]);
        packets.sort_unstable();
        packets.dedup();
        let engine = &self.scene.engine;
        let mut opened = Vec::new();
        for &subject in &edited.touched {
            for side in Side::BOTH {
                // What an allow opens, it opens to its peers; only where default deny is gone is it everybody.
                let closed = |overlay| engine.isolates(overlay, subject, side);
                let peers = if closed(None) && !closed(Some(&edited.overlay)) {
                    self.scene.everybody.clone()
                } else {
                    edited.overlay.admitted(engine, subject, side)
                };
                for peer in peers.into_iter().filter(|peer| self.scene.everybody.binary_search(peer).is_ok())
                {
                    for &packet in &packets {
                        let (source, destination) =
                            if side == Side::Egress { (subject, peer) } else { (peer, subject) };
                        let flow = Opened { source, destination, packet };
                        if !self.wanted.contains(&by_workload(self.scene, flow))
                            && self.opens(edited, flow, side)
                        {
                            opened.push(flow);
                        }
                    }
                }
            }
        }
        opened.sort_unstable();
        opened.dedup();
        opened
    }

    fn opens(&self, edited: &Edited, flow: Opened, side: Side) -> bool {
        let engine = &self.scene.engine;
        if let Packet::Port(transport, port) = flow.packet
            && self.scene.listens(flow.destination, transport, port) == Some(false)
        {
            return false;
        }
        let (subject, peer) = if side == Side::Egress {
            (flow.source, flow.destination)
        } else {
            (flow.destination, flow.source)
        };
        let overlay = Some(&edited.overlay);
        !engine.side(None, subject, peer, side, flow.packet).passes()
            && engine.side(overlay, subject, peer, side, flow.packet).passes()
            && engine.side(overlay, peer, subject, side.other(), flow.packet).passes()
    }
}
