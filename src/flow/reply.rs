//! Telling answers from openings when the record does not say (`flow-formats.md` 6.4).
//!
//! Policy is asked for the packets of whoever opened a connection. A denied
//! answer means that the connection was forgotten; a rule for its ephemeral
//! destination port would be wrong.

use serde::Deserialize;

use crate::traffic::{IcmpFamily, Packet, Transport};

/// The first port that Linux picks for a client by default.
pub(crate) const FIRST_EPHEMERAL: u16 = 32768;

/// Ports below this one belong to servers.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// The flags of a TCP segment that tell its place in a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Flags {
    /// Opens.
    #[serde(default, rename = "SYN", alias = "syn")]
    pub(crate) syn: bool,
    /// Acknowledges: every segment but the first.
    #[serde(default, rename = "ACK", alias = "ack")]
    pub(crate) ack: bool,
}

/// Whether the packet has the marks of an answer: from a server's port to a
/// client's, and not the opening of a TCP connection; or an echo reply.
pub(crate) fn looks_like_one(packet: Packet, source_port: Option<u16>, flags: Option<Flags>) -> bool {
    match packet {
        Packet::Icmp(IcmpFamily::V4, kind) => kind == 0,
        Packet::Icmp(IcmpFamily::V6, kind) => kind == 129,
        Packet::Other(_) => false,
        Packet::Port(transport, port) => {
            let Some(source_port @ 1..) = source_port else { return false };
            let to_client = port >= FIRST_EPHEMERAL;
            match (transport, flags) {
                (Transport::Tcp, Some(Flags { syn: true, ack })) => ack,
                (Transport::Tcp, Some(Flags { ack: true, .. })) => to_client && source_port < FIRST_EPHEMERAL,
                _ => to_client && source_port < FIRST_UNPRIVILEGED,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: Option<Flags> = Some(Flags { syn: true, ack: false });
    const SYN_ACK: Option<Flags> = Some(Flags { syn: true, ack: true });
    const ACK: Option<Flags> = Some(Flags { syn: false, ack: true });

    #[test]
    fn an_answer_comes_from_a_servers_port_to_an_ephemeral_one() {
        let udp = |port| Packet::Port(Transport::Udp, port);
        assert!(looks_like_one(udp(41763), Some(53), None));
        assert!(!looks_like_one(udp(53), Some(41763), None));
        assert!(!looks_like_one(udp(41763), Some(8472), None));
        assert!(!looks_like_one(udp(41763), None, None));
    }

    #[test]
    fn tcp_flags_decide_before_ports() {
        let tcp = |port| Packet::Port(Transport::Tcp, port);
        assert!(!looks_like_one(tcp(50051), Some(80), SYN), "an opening is no answer, whatever its ports");
        assert!(looks_like_one(tcp(40000), Some(50051), SYN_ACK));
        assert!(looks_like_one(tcp(40000), Some(8080), ACK));
        assert!(!looks_like_one(tcp(8080), Some(40000), ACK), "policy came in the middle of a connection");
        assert!(!looks_like_one(tcp(50051), Some(40000), ACK));
    }

    #[test]
    fn an_echo_reply_is_an_answer() {
        assert!(looks_like_one(Packet::Icmp(IcmpFamily::V4, 0), None, None));
        assert!(!looks_like_one(Packet::Icmp(IcmpFamily::V4, 8), None, None));
        assert!(looks_like_one(Packet::Icmp(IcmpFamily::V6, 129), None, None));
    }
}
