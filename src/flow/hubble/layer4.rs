//! `l4` of a record: protocol, ports and flags (`flow-formats.md` 1.3).

use super::scan::{Entries, NotJson, for_each};
use super::value::number;
use crate::flow::reply::Flags;
use crate::traffic::{IcmpFamily, Packet, Transport};

/// `l4`: protocol, ports and flags.
#[derive(Clone, Copy, Default)]
pub(super) struct Layer4 {
    pub(super) packet: Option<Packet>,
    pub(super) source_port: Option<u16>,
    pub(super) flags: Option<Flags>,
}

impl Layer4 {
    pub(super) fn read(entries: &mut Entries<'_>) -> Result<Self, NotJson> {
        let mut layer4 = Self::default();
        entries.within(|key, entries| match key {
            "TCP" | "tcp" => layer4.ports(Transport::Tcp, entries),
            "UDP" | "udp" => layer4.ports(Transport::Udp, entries),
            "SCTP" | "sctp" => layer4.ports(Transport::Sctp, entries),
            _ => entries.take_value().map(|value| layer4.take(key, value)),
        })?;
        Ok(layer4)
    }

    fn take(&mut self, key: &str, value: &str) {
        self.packet = match key {
            "ICMPv4" | "icmpv4" => Some(icmp(IcmpFamily::V4, value)),
            "ICMPv6" | "icmpv6" => Some(icmp(IcmpFamily::V6, value)),
            "VRRP" => Some(Packet::Other(Some(112))),
            "IGMP" => Some(Packet::Other(Some(2))),
            // Only on normalised rows: the number of another protocol.
            "protocol" => Some(Packet::Other(number(value).and_then(|n| u8::try_from(n).ok()))),
            _ => return,
        };
    }

    fn ports(&mut self, transport: Transport, entries: &mut Entries<'_>) -> Result<(), NotJson> {
        let mut destination = 0;
        entries.within(|key, entries| {
            match key {
                "source_port" | "sourcePort" => self.source_port = port(entries.take_value()?),
                "destination_port" | "destinationPort" => {
                    destination = port(entries.take_value()?).unwrap_or(0);
                }
                "flags" => self.flags = Some(flags(entries)?),
                _ => _ = entries.take_value()?,
            }
            Ok(())
        })?;
        self.packet = Some(Packet::Port(transport, destination));
        Ok(())
    }
}

fn flags(entries: &mut Entries<'_>) -> Result<Flags, NotJson> {
    let mut flags = Flags::default();
    entries.within(|flag, entries| {
        let is_set = entries.take_value()? == "true";
        match flag {
            "SYN" => flags.syn = is_set,
            "ACK" => flags.ack = is_set,
            _ => {}
        }
        Ok(())
    })?;
    Ok(flags)
}

/// An absent type is 0, as protobuf has it.
fn icmp(family: IcmpFamily, text: &str) -> Packet {
    let mut kind = 0;
    for_each(text, |key, value| {
        if key == "type" {
            kind = number(value).and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX);
        }
    });
    Packet::Icmp(family, kind)
}

fn port(value: &str) -> Option<u16> {
    number(value).and_then(|n| u16::try_from(n).ok())
}
