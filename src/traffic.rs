//! The words that flows, policies and the engine share about packets:
//! which side decides, which protocol, which port.

use std::fmt;

/// Who decides: the policy of the source (egress) or of the destination (ingress).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The source's policy on what it may call.
    Egress,
    /// The destination's policy on who may call it.
    Ingress,
}

impl Side {
    /// Both sides, in the order in which a packet meets them.
    pub const BOTH: [Side; 2] = [Side::Egress, Side::Ingress];

    /// `egress` or `ingress`, as manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Egress => "egress",
            Side::Ingress => "ingress",
        }
    }

    /// The side that decides at the other end.
    pub fn other(self) -> Side {
        match self {
            Side::Egress => Side::Ingress,
            Side::Ingress => Side::Egress,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A transport that policies can name by port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Transport {
    /// All three: what `ANY` and an omitted protocol mean (`semantics.md` 3.5).
    pub const ALL: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Sctp];

    /// As manifests and flows write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
            Transport::Sctp => "SCTP",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which ICMP a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IcmpFamily {
    /// ICMP for IPv4.
    V4,
    /// ICMPv6.
    V6,
}

impl IcmpFamily {
    /// As `icmps[].fields[].family` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            IcmpFamily::V4 => "IPv4",
            IcmpFamily::V6 => "IPv6",
        }
    }
}

/// What policy looks at in a packet beside its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Packet {
    /// A packet to a port of the destination.
    Port(Transport, u16),
    /// An ICMP message of this type; codes are not looked at (`semantics.md` 3.6).
    Icmp(IcmpFamily, u8),
    /// Another IP protocol, by number where it is known: policy cannot name it.
    Other(Option<u8>),
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packet::Port(transport, port) => write!(f, "{transport} {port}"),
            Packet::Icmp(IcmpFamily::V4, kind) => write!(f, "ICMP type {kind}"),
            Packet::Icmp(IcmpFamily::V6, kind) => write!(f, "ICMPv6 type {kind}"),
            Packet::Other(Some(number)) => write!(f, "IP protocol {number}"),
            Packet::Other(None) => f.write_str("unknown protocol"),
        }
    }
}
