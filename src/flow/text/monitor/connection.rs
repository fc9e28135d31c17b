//! The last words of a drop or a verdict: who talked to whom.

use crate::flow::record::{Event, Record};
use crate::flow::reply::{self, Flags};
use crate::flow::text::Told;
use crate::flow::text::host::{Host, Identity};
use crate::flow::text::observed::icmp;
use crate::flow::{Flow, Outcome};
use crate::traffic::{Packet, Side, Transport};

/// `10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN`.
pub(super) struct Connection<'a> {
    source: &'a str,
    destination: &'a str,
    pub(super) packet: Packet,
    flags: Option<Flags>,
    has_ports: bool,
}

impl<'a> Connection<'a> {
    pub(super) fn read(text: &'a str, protocol: Option<u8>) -> Result<Self, String> {
        let Some((source, rest)) = text.split_once(" -> ") else {
            return Ok(Self {
                source: "",
                destination: "",
                packet: Packet::Other(protocol.or((text == "esp").then_some(50))),
                flags: None,
                has_ports: false,
            });
        };
        let (destination, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        let (word, flags) = tail.split_once(' ').unwrap_or((tail, ""));
        let transport = match word {
            "tcp" => Some(Transport::Tcp),
            "udp" => Some(Transport::Udp),
            "sctp" => Some(Transport::Sctp),
            _ => None,
        };
        let is_v6 = destination.starts_with('[') || destination.matches(':').count() > 1;
        let packet = match transport {
            Some(transport) => Packet::Port(transport, 0),
            None if word.is_empty() => Packet::Other(protocol),
            None => icmp(if is_v6 { "ICMPv6" } else { "ICMPv4" }, word),
        };
        let has = |flag: &str| flags.split(',').any(|name| name.trim() == flag);
        let flags = (transport == Some(Transport::Tcp)).then(|| Flags { syn: has("SYN"), ack: has("ACK") });
        Ok(Self { source, destination, packet, flags, has_ports: transport.is_some() })
    }

    pub(super) fn told(
        self,
        [source, destination]: [Identity; 2],
        outcome: Outcome,
        side: Option<Side>,
        event: Event,
    ) -> Result<Told, String> {
        let (source, destination) =
            (Host::read(self.source, source)?, Host::read(self.destination, destination)?);
        let packet = match self.packet {
            Packet::Port(transport, _) => Packet::Port(transport, destination.port.unwrap_or(0)),
            packet => packet,
        };
        let source_port = source.port.filter(|_| self.has_ports);
        Ok(Told::Record(Box::new(Record {
            event,
            ..Record::new(Flow {
                source: source.end.into(),
                destination: destination.end.into(),
                packet,
                source_port,
                outcome,
                side,
                request: None,
                denied_by: Vec::new(),
                reply: reply::looks_like_one(packet, source_port, self.flags),
            })
        })))
    }
}
