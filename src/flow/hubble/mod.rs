//! Hubble's JSON (`flow-formats.md` 1): `hubble observe -o json`, the exporter's
//! files, and what `jq` and log shippers leave of them.
//!
//! A line is read in one pass into [`Fields`] that borrow from it. The two ends
//! stay raw text there: the tally recognises an end by its text and parses each
//! only once.

mod endpoint;
mod judge;
mod value;

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use value::{Number, Present, Text, Word};

use super::record::{Event, Record, Unjudged};
use super::reply;
use super::tally::{Example, Span};
use super::{Endpoint, Flow, ObjectName, Request};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};

/// A line: `GetFlowsResponse`, `ExportEvent`, or our own normalised row.
#[derive(Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub(crate) flow: Option<Fields<'a>>,
    #[serde(borrow, alias = "lostEvents")]
    pub(crate) lost_events: Option<&'a RawValue>,
    #[serde(alias = "nodeStatus")]
    pub(crate) node_status: Option<Present>,
    #[serde(alias = "agentEvent")]
    pub(crate) agent_event: Option<Present>,
    #[serde(alias = "debugEvent")]
    pub(crate) debug_event: Option<Present>,
    #[serde(rename = "Event")]
    pub(crate) hook_event: Option<Present>,
    #[serde(borrow)]
    time: Option<Word<'a>>,
    /// Only on normalised rows: how many packets the row stands for.
    pub(crate) count: Option<Number>,
    #[serde(borrow)]
    first_seen: Option<Word<'a>>,
    #[serde(borrow)]
    last_seen: Option<Word<'a>>,
    #[serde(borrow)]
    pub(crate) examples: Option<&'a RawValue>,
}

/// `lost_events`: how many records were never written.
#[derive(Deserialize)]
pub(crate) struct LostEvents {
    #[serde(default, alias = "numEventsLost")]
    pub(crate) num_events_lost: Number,
}

/// The fields of `flow` that tell something about policy.
#[derive(Deserialize, Default)]
pub(crate) struct Fields<'a> {
    #[serde(borrow)]
    time: Option<Word<'a>>,
    #[serde(borrow)]
    pub(crate) uuid: Option<Word<'a>>,
    #[serde(borrow)]
    pub(crate) verdict: Option<Word<'a>>,
    #[serde(alias = "dropReason")]
    pub(crate) drop_reason: Option<Number>,
    #[serde(borrow, alias = "dropReasonDesc")]
    pub(crate) drop_reason_desc: Option<Word<'a>>,
    #[serde(borrow, rename = "IP", alias = "ip")]
    pub(crate) ip: Option<Addresses<'a>>,
    pub(crate) l4: Option<Layer4>,
    #[serde(borrow)]
    pub(crate) source: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) destination: Option<&'a RawValue>,
    #[serde(borrow, rename = "Type")]
    pub(crate) kind: Option<Word<'a>>,
    #[serde(borrow, alias = "sourceNames")]
    pub(crate) source_names: Option<&'a RawValue>,
    #[serde(borrow, alias = "destinationNames")]
    pub(crate) destination_names: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) l7: Option<&'a RawValue>,
    reply: Option<bool>,
    #[serde(alias = "isReply")]
    is_reply: Option<bool>,
    #[serde(alias = "eventType")]
    pub(crate) event_type: Option<EventType>,
    #[serde(borrow, alias = "sourceService")]
    pub(crate) source_service: Option<&'a RawValue>,
    #[serde(borrow, alias = "destinationService")]
    pub(crate) destination_service: Option<&'a RawValue>,
    #[serde(borrow, alias = "trafficDirection")]
    pub(crate) traffic_direction: Option<Word<'a>>,
    #[serde(alias = "policyMatchType")]
    pub(crate) policy_match_type: Option<Number>,
    #[serde(borrow, alias = "traceObservationPoint")]
    pub(crate) trace_observation_point: Option<Word<'a>>,
    pub(crate) file: Option<Present>,
    #[serde(borrow, alias = "egressDeniedBy")]
    egress_denied_by: Option<&'a RawValue>,
    #[serde(borrow, alias = "ingressDeniedBy")]
    ingress_denied_by: Option<&'a RawValue>,
    aggregate: Option<Aggregate>,
}

/// `IP`.
#[derive(Deserialize, Default)]
pub(crate) struct Addresses<'a> {
    #[serde(borrow)]
    pub(crate) source: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) destination: Option<Text<'a>>,
}

/// `l4`: at most one of its keys is there.
#[derive(Deserialize, Default)]
pub(crate) struct Layer4 {
    #[serde(rename = "TCP", alias = "tcp")]
    tcp: Option<Ports>,
    #[serde(rename = "UDP", alias = "udp")]
    udp: Option<Ports>,
    #[serde(rename = "SCTP", alias = "sctp")]
    sctp: Option<Ports>,
    #[serde(rename = "ICMPv4", alias = "icmpv4", alias = "icmpV4")]
    icmp_v4: Option<Icmp>,
    #[serde(rename = "ICMPv6", alias = "icmpv6", alias = "icmpV6")]
    icmp_v6: Option<Icmp>,
    #[serde(rename = "VRRP")]
    vrrp: Option<Present>,
    #[serde(rename = "IGMP")]
    igmp: Option<Present>,
    /// Only on normalised rows: the number of another protocol.
    protocol: Option<Number>,
}

#[derive(Deserialize)]
struct Ports {
    #[serde(default, alias = "sourcePort")]
    source_port: Number,
    #[serde(default, alias = "destinationPort")]
    destination_port: Number,
    flags: Option<reply::Flags>,
}

#[derive(Deserialize)]
struct Icmp {
    #[serde(default, rename = "type")]
    kind: Number,
}

/// `event_type`: which part of Cilium made the record.
#[derive(Deserialize, Clone, Copy)]
pub(crate) struct EventType {
    #[serde(default, rename = "type")]
    pub(crate) kind: Number,
    #[serde(default, alias = "subType")]
    pub(crate) sub_type: Number,
}

#[derive(Deserialize)]
struct Aggregate {
    #[serde(default, alias = "ingressFlowCount")]
    ingress_flow_count: Number,
    #[serde(default, alias = "egressFlowCount")]
    egress_flow_count: Number,
    #[serde(default, alias = "unknownDirectionFlowCount")]
    unknown_direction_flow_count: Number,
}

#[derive(Deserialize)]
struct DenyingPolicy<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
}

impl<'a> Message<'a> {
    /// The same with this flow in it: for flows that have no wrapper.
    pub(crate) fn with_flow(self, flow: Fields<'a>) -> Self {
        Self { flow: Some(flow), ..self }
    }

    /// First and last time of what the message tells.
    pub(crate) fn span(&self) -> Option<Span> {
        let time = || self.flow.as_ref().and_then(Fields::time).or_else(|| timestamp(self.time.as_ref()));
        let first = timestamp(self.first_seen.as_ref()).or_else(time)?;
        Some((first, timestamp(self.last_seen.as_ref()).unwrap_or(first)))
    }

    /// How many packets the message stands for; `None` for a row that only carries a DNS answer.
    pub(crate) fn weight(&self) -> Option<u64> {
        match self.count {
            Some(Number(count)) => Some(count).filter(|&count| count != 0),
            None => Some(self.flow.as_ref().map_or(1, Fields::weight)),
        }
    }

    /// Where the flow of a normalised row was seen.
    pub(crate) fn examples(&self) -> Option<Vec<Example>> {
        #[derive(Deserialize)]
        struct RawExample {
            #[serde(default)]
            input: String,
            #[serde(default)]
            line: Number,
        }
        self.count?;
        let examples: Vec<RawExample> = serde_json::from_str(self.examples?.get()).ok()?;
        Some(examples.into_iter().map(|e| Example { input: e.input, line: e.line.0 }).collect())
    }

    /// The record, if the message holds a flow.
    ///
    /// # Errors
    ///
    /// [`Unjudged`] when the record says nothing of what policy did.
    pub(crate) fn record(&self) -> Option<Result<Record, Unjudged>> {
        let fields = self.flow.as_ref()?;
        let weight = self.weight()?;
        Some(fields.record().map(|record| Record {
            time: self.span().map(|(_, last)| last),
            weight,
            ..record
        }))
    }
}

fn timestamp(word: Option<&Word<'_>>) -> Option<Timestamp> {
    match word? {
        Word::Name(text) => text.parse().ok(),
        Word::Number(_) => None,
    }
}

impl Fields<'_> {
    /// When the packet was seen.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        timestamp(self.time.as_ref())
    }

    /// Whether anything in the object is a flow's: what tells a flat flow from other JSON.
    pub(crate) fn looks_like_a_flow(&self) -> bool {
        self.verdict.is_some()
            && (self.ip.is_some()
                || self.l4.is_some()
                || self.kind.is_some()
                || self.source.is_some()
                || self.destination.is_some()
                || self.event_type.is_some())
    }

    /// How many packets the record stands for (`flow-formats.md` 1.3, `aggregate`).
    pub(crate) fn weight(&self) -> u64 {
        self.aggregate.as_ref().map_or(1, |a| {
            let sum = a.ingress_flow_count.0.saturating_add(a.egress_flow_count.0);
            sum.saturating_add(a.unknown_direction_flow_count.0).max(1)
        })
    }

    /// The record's uuid as a number.
    pub(crate) fn uuid(&self) -> Option<u128> {
        let Some(Word::Name(text)) = &self.uuid else { return None };
        let mut digits = 0u32;
        let mut value = 0u128;
        for byte in text.bytes().filter(|&b| b != b'-') {
            value = value << 4 | u128::from(char::from(byte).to_digit(16)?);
            digits += 1;
        }
        (digits == 32).then_some(value)
    }

    /// Protocol and destination port, and the port of the source.
    pub(crate) fn packet(&self) -> (Packet, Option<u16>) {
        let Some(l4) = &self.l4 else { return (Packet::Other(None), None) };
        let transports = [(Transport::Tcp, &l4.tcp), (Transport::Udp, &l4.udp), (Transport::Sctp, &l4.sctp)];
        for (transport, ports) in transports {
            if let Some(ports) = ports {
                let source = port(ports.source_port).filter(|&p| p != 0);
                return (Packet::Port(transport, port(ports.destination_port).unwrap_or(0)), source);
            }
        }
        let icmp = |family, icmp: &Icmp| Packet::Icmp(family, u8::try_from(icmp.kind.0).unwrap_or(u8::MAX));
        let packet = match l4 {
            Layer4 { icmp_v4: Some(v4), .. } => icmp(IcmpFamily::V4, v4),
            Layer4 { icmp_v6: Some(v6), .. } => icmp(IcmpFamily::V6, v6),
            Layer4 { vrrp: Some(_), .. } => Packet::Other(Some(112)),
            Layer4 { igmp: Some(_), .. } => Packet::Other(Some(2)),
            Layer4 { protocol, .. } => Packet::Other(protocol.and_then(|n| u8::try_from(n.0).ok())),
        };
        (packet, None)
    }

    /// Whether the packet answers a connection of the other end.
    pub(crate) fn is_reply(&self) -> bool {
        let said = self.is_reply.or_else(|| self.reply.filter(|&reply| reply));
        said.unwrap_or_else(|| {
            let (packet, source_port) = self.packet();
            let flags = self.l4.as_ref().and_then(|l4| l4.tcp.as_ref()?.flags);
            reply::looks_like_one(packet, source_port, flags)
        })
    }

    /// The policies that denied the packet, sorted.
    pub(crate) fn denied_by(&self) -> Vec<ObjectName> {
        if self.egress_denied_by.is_none() && self.ingress_denied_by.is_none() {
            return Vec::new();
        }
        let mut names: Vec<ObjectName> = [self.egress_denied_by, self.ingress_denied_by]
            .into_iter()
            .flatten()
            .filter_map(|raw| serde_json::from_str::<Vec<DenyingPolicy<'_>>>(raw.get()).ok())
            .flatten()
            .filter_map(|policy| {
                Some(ObjectName {
                    namespace: policy.namespace.filter(|n| !n.is_empty()).map(|n| (*n).into()),
                    name: policy.name.filter(|n| !n.is_empty()).map(|n| (*n).into())?,
                })
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The record as an owned flow.
    ///
    /// # Errors
    ///
    /// [`Unjudged`] when the record says nothing of what policy did.
    pub(crate) fn record(&self) -> Result<Record, Unjudged> {
        let event = self.event();
        let outcome = self.outcome(event)?;
        let side = self.side(event, &outcome);
        let (packet, source_port) = self.packet();
        let (source, destination) = (self.source_endpoint(), self.destination_endpoint());
        Ok(Record {
            uuid: self.uuid(),
            event,
            answers: self.answers(),
            ..Record::new(Flow {
                source,
                destination,
                packet,
                source_port,
                side,
                request: self.request(),
                denied_by: self.denied_by(),
                reply: self.is_reply(),
                outcome,
            })
        })
    }

    /// The request that a proxy looked at.
    pub(crate) fn request(&self) -> Option<Request> {
        self.l7.map(|raw| judge::Layer7::read(raw).request())
    }

    /// The addresses that a DNS answer in the record gives, each with the name.
    pub(crate) fn answers(&self) -> Vec<(IpAddr, Box<str>)> {
        self.l7.map_or_else(Vec::new, |raw| judge::Layer7::read(raw).answers())
    }

    /// The end that sent the packet.
    pub(crate) fn source_endpoint(&self) -> Endpoint {
        let ip = self.ip.as_ref().and_then(|ip| ip.source.as_deref());
        endpoint::read(self.source, ip, self.source_names, self.source_service)
    }

    /// The end that it was sent to.
    pub(crate) fn destination_endpoint(&self) -> Endpoint {
        let ip = self.ip.as_ref().and_then(|ip| ip.destination.as_deref());
        endpoint::read(self.destination, ip, self.destination_names, self.destination_service)
    }

    /// All text that says who the source is.
    pub(crate) fn source_texts(&self) -> [&str; 4] {
        let ip = self.ip.as_ref().and_then(|ip| ip.source.as_deref()).unwrap_or_default();
        let [end, names, service] = [self.source, self.source_names, self.source_service].map(text);
        [end, ip, names, service]
    }

    /// All text that says who the destination is.
    pub(crate) fn destination_texts(&self) -> [&str; 4] {
        let ip = self.ip.as_ref().and_then(|ip| ip.destination.as_deref()).unwrap_or_default();
        let [end, names, service] =
            [self.destination, self.destination_names, self.destination_service].map(text);
        [end, ip, names, service]
    }

    /// The end whose policy decided; see `flow-formats.md` 6.3.
    pub(crate) fn direction(&self) -> Option<Side> {
        match self.traffic_direction.as_ref()?.name(&["", "INGRESS", "EGRESS"]) {
            "INGRESS" => Some(Side::Ingress),
            "EGRESS" => Some(Side::Egress),
            _ => None,
        }
    }

    /// What made the record.
    pub(crate) fn event(&self) -> Event {
        judge::event(self)
    }
}

fn text<'a>(raw: Option<&'a RawValue>) -> &'a str {
    raw.map_or("", RawValue::get)
}

fn port(number: Number) -> Option<u16> {
    u16::try_from(number.0).ok()
}
