//! Hubble's JSON (`flow-formats.md` 1): `hubble observe -o json`, the exporter's
//! files, and what `jq` and log shippers leave of them.
//!
//! A line is read in one pass into [`Fields`] that borrow from it. The two ends
//! stay raw text there: the tally recognises an end by its text and parses each
//! only once.

mod endpoint;
mod familiar;
mod judge;
mod scan;
mod value;

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};

use self::scan::{Entries, NotJson, for_each};
pub(crate) use self::value::{Number, Text, Word};
use self::value::{number, text_of, timestamp, word};
use super::record::{Event, Record, Refused};
use super::reply::{self, Flags};
use super::tally::{Example, Span};
use super::{Endpoint, Flow, ObjectName, Request};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};

/// A line: `GetFlowsResponse`, `ExportEvent`, or our own normalised row.
#[derive(Default)]
pub(crate) struct Message<'a> {
    pub(crate) flow: Option<Fields<'a>>,
    /// How many events it says were lost.
    pub(crate) lost_events: Option<u64>,
    /// It is about nodes, the agent or debugging.
    pub(crate) is_other: bool,
    time: Option<Word<'a>>,
    /// Only on normalised rows: how many packets the row stands for.
    pub(crate) count: Option<u64>,
    first_seen: Option<Word<'a>>,
    last_seen: Option<Word<'a>>,
    examples: Option<&'a str>,
}

/// The fields of `flow` that tell something about policy; objects and lists
/// as raw text.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    time: Option<Word<'a>>,
    uuid: Option<&'a str>,
    verdict: Option<Word<'a>>,
    drop_reason: Option<u64>,
    drop_reason_desc: Option<Word<'a>>,
    source_ip: &'a str,
    destination_ip: &'a str,
    layer4: Layer4,
    source: &'a str,
    destination: &'a str,
    source_names: &'a str,
    destination_names: &'a str,
    source_service: &'a str,
    destination_service: &'a str,
    kind: Option<Word<'a>>,
    l7: Option<&'a str>,
    reply: bool,
    is_reply: Option<bool>,
    event_type: Option<EventType>,
    traffic_direction: Option<Word<'a>>,
    has_match_type: bool,
    has_file: bool,
    trace_observation_point: Option<Word<'a>>,
    egress_denied_by: &'a str,
    ingress_denied_by: &'a str,
    /// How many packets an aggregated record stands for (`flow-formats.md` 1.3).
    weight: u64,
    has_part_of_a_flow: bool,
    /// Numbers of ends that are known to be readable.
    source_number: Option<u64>,
    destination_number: Option<u64>,
}

/// `l4`: protocol, ports and flags.
#[derive(Clone, Copy, Default)]
struct Layer4 {
    packet: Option<Packet>,
    source_port: Option<u16>,
    flags: Option<Flags>,
}

/// `event_type`: which part of Cilium made the record.
#[derive(Clone, Copy, Default)]
struct EventType {
    kind: u64,
    sub_type: u64,
}

#[derive(Deserialize)]
struct DenyingPolicy<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a line that is one object.
    ///
    /// # Errors
    ///
    /// What `serde_json` has to say of a text that is no JSON.
    pub(crate) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        Self::scan(text).map_err(|NotJson| match serde_json::from_str::<IgnoredAny>(text) {
            Err(error) => error,
            Ok(_) => serde_json::Error::custom("its flow is not an object"),
        })
    }

    fn scan(text: &'a str) -> Result<Self, NotJson> {
        let mut message = Self::default();
        let mut entries = Entries::of(text);
        while let Some(key) = entries.next_key()? {
            if key == "flow" && !entries.is_null() {
                message.flow = Some(entries.take_object(Fields::read_entries)?);
                continue;
            }
            let value = entries.take_value()?;
            if value == "null" {
                continue;
            }
            match key {
                "lost_events" | "lostEvents" => message.lost_events = Some(lost_events(value)),
                "node_status" | "nodeStatus" | "agent_event" | "agentEvent" | "debug_event"
                | "debugEvent" | "Event" => message.is_other = true,
                "time" => message.time = word(value),
                "count" => message.count = number(value),
                "first_seen" => message.first_seen = word(value),
                "last_seen" => message.last_seen = word(value),
                "examples" => message.examples = Some(value),
                _ => {}
            }
        }
        Ok(message)
    }

    /// The same with this flow in it: for flows that have no wrapper.
    pub(crate) fn with_flow(self, flow: Fields<'a>) -> Self {
        Self { flow: Some(flow), ..self }
    }

    /// First and last time of what the message tells.
    pub(crate) fn span(&self) -> Option<Span> {
        let time = || self.flow.as_ref().and_then(Fields::time).or_else(|| timestamp(self.time));
        let first = timestamp(self.first_seen).or_else(time)?;
        Some((first, timestamp(self.last_seen).unwrap_or(first)))
    }

    /// How many packets the message stands for; `None` for a row that only carries a DNS answer.
    pub(crate) fn weight(&self) -> Option<u64> {
        match self.count {
            Some(count) => Some(count).filter(|&count| count != 0),
            None => Some(self.flow.as_ref().map_or(1, |flow| flow.weight)),
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
        let examples: Vec<RawExample> = serde_json::from_str(self.examples?).ok()?;
        let examples: Vec<Example> = examples
            .into_iter()
            .filter(|example| example.line.0 != 0)
            .map(|example| Example { input: example.input, line: example.line.0 })
            .collect();
        (!examples.is_empty()).then_some(examples)
    }

    /// The record, if the message holds a flow.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the record says nothing of what policy did.
    pub(crate) fn record(&self) -> Option<Result<Record, Refused>> {
        let fields = self.flow.as_ref()?;
        let weight = self.weight()?;
        Some(fields.record().map(|record| Record {
            time: self.span().map(|(_, last)| last),
            weight,
            ..record
        }))
    }
}

impl<'a> Fields<'a> {
    /// Reads the object of a flow.
    ///
    /// # Errors
    ///
    /// [`NotJson`] if it is none.
    pub(crate) fn read(text: &'a str) -> Result<Self, NotJson> {
        Self::read_entries(&mut Entries::of(text))
    }

    fn read_entries(entries: &mut Entries<'a>) -> Result<Self, NotJson> {
        let mut fields = Self { weight: 1, ..Self::default() };
        // The tail of a flow: where it begins, and what it told.
        let mut tail = None;
        let mut told = Vec::new();
        while let Some(key) = entries.next_key()? {
            match key {
                "destination" => {
                    (fields.destination, fields.destination_number) = entries.take_end()?;
                    let is_known = entries.take_tail(|key, value| _ = fields.take(key, value))?;
                    tail = (!is_known).then(|| entries.at());
                }
                "source" | "IP" | "ip" | "l4" => {
                    // These are different in each record: so is a tail that holds them.
                    tail = None;
                    fields.take_changing(key, entries)?;
                }
                _ => {
                    let value = entries.take_value()?;
                    if value != "null" && fields.take(key, value) && tail.is_some() {
                        told.push((key, value));
                    }
                    continue;
                }
            }
            fields.has_part_of_a_flow = true;
        }
        if let Some(start) = tail {
            entries.remember_tail(start, &told);
        }
        Ok(fields)
    }

    fn take_changing(&mut self, key: &str, entries: &mut Entries<'a>) -> Result<(), NotJson> {
        match key {
            "source" => (self.source, self.source_number) = entries.take_end()?,
            "l4" => self.layer4 = Layer4::read(entries)?,
            _ => entries.within(|key, entries| self.take_address(key, entries))?,
        }
        Ok(())
    }

    fn take_address(&mut self, key: &str, entries: &mut Entries<'a>) -> Result<(), NotJson> {
        let value = text_of(entries.take_value()?);
        match key {
            "source" => self.source_ip = value,
            "destination" => self.destination_ip = value,
            _ => {}
        }
        Ok(())
    }

    /// Takes a field; false if it tells nothing.
    fn take(&mut self, key: &str, value: &'a str) -> bool {
        match key {
            "time" => self.time = word(value),
            "uuid" => self.uuid = Some(text_of(value)),
            "verdict" => self.verdict = word(value),
            "drop_reason" | "dropReason" => self.drop_reason = number(value),
            "drop_reason_desc" | "dropReasonDesc" => self.drop_reason_desc = word(value),
            "Type" => {
                self.kind = word(value);
                self.has_part_of_a_flow = true;
            }
            "source_names" | "sourceNames" => self.source_names = value,
            "destination_names" | "destinationNames" => self.destination_names = value,
            "source_service" | "sourceService" => self.source_service = value,
            "destination_service" | "destinationService" => self.destination_service = value,
            "l7" => self.l7 = Some(value),
            "reply" => self.reply = value == "true",
            "is_reply" | "isReply" => self.is_reply = value.parse().ok(),
            "event_type" | "eventType" => {
                self.event_type = Some(EventType::read(value));
                self.has_part_of_a_flow = true;
            }
            "traffic_direction" | "trafficDirection" => self.traffic_direction = word(value),
            "policy_match_type" | "policyMatchType" => self.has_match_type = true,
            "trace_observation_point" | "traceObservationPoint" => self.trace_observation_point = word(value),
            "file" => self.has_file = true,
            "egress_denied_by" | "egressDeniedBy" => self.egress_denied_by = value,
            "ingress_denied_by" | "ingressDeniedBy" => self.ingress_denied_by = value,
            "aggregate" => self.weight = aggregated(value),
            _ => return false,
        }
        true
    }

    /// Whether the object holds what only a flow has: what tells a flat flow from other JSON.
    pub(crate) fn looks_like_a_flow(&self) -> bool {
        self.has_part_of_a_flow && self.verdict.is_some()
    }

    /// When the packet was seen.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        timestamp(self.time)
    }

    /// The record's uuid as a number.
    pub(crate) fn uuid(&self) -> Option<u128> {
        let mut digits = 0u32;
        let mut value = 0u128;
        for byte in self.uuid?.bytes() {
            let digit = match byte {
                b'-' => continue,
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return None,
            };
            value = value << 4 | u128::from(digit);
            digits += 1;
        }
        (digits == 32).then_some(value)
    }

    /// Both addresses as they are written.
    pub(crate) fn ips(&self) -> Option<(&'a str, &'a str)> {
        let known = !self.source_ip.is_empty() || !self.destination_ip.is_empty();
        known.then_some((self.source_ip, self.destination_ip))
    }

    /// Protocol and destination port, and the port of the source.
    pub(crate) fn packet(&self) -> (Packet, Option<u16>) {
        (self.layer4.packet.unwrap_or(Packet::Other(None)), self.layer4.source_port)
    }

    /// Whether the packet answers a connection of the other end.
    pub(crate) fn is_reply(&self) -> bool {
        let said = self.is_reply.or(self.reply.then_some(true));
        said.unwrap_or_else(|| {
            let (packet, source_port) = self.packet();
            reply::looks_like_one(packet, source_port, self.layer4.flags)
        })
    }

    /// The policies that denied the packet, sorted.
    pub(crate) fn denied_by(&self) -> Vec<ObjectName> {
        let lists = [self.egress_denied_by, self.ingress_denied_by];
        if lists.iter().all(|list| list.is_empty()) {
            return Vec::new();
        }
        let mut names: Vec<ObjectName> = lists
            .into_iter()
            .filter_map(|list| serde_json::from_str::<Vec<DenyingPolicy<'_>>>(list).ok())
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
    /// [`Refused`] when the record says nothing of what policy did.
    pub(crate) fn record(&self) -> Result<Record, Refused> {
        let event = self.event();
        let outcome = self.outcome(event)?;
        let side = self.side(event, &outcome);
        let (packet, source_port) = self.packet();
        let (source, destination) = (read_end(self.source_texts())?, read_end(self.destination_texts())?);
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

    /// The numbers of source and destination, where both are known to be readable by them.
    pub(crate) fn end_numbers(&self) -> [Option<u64>; 2] {
        [self.source_number, self.destination_number]
    }

    /// All text that says who the source is: endpoint, address, names, Service.
    pub(crate) fn source_texts(&self) -> [&'a str; 4] {
        [self.source, self.source_ip, self.source_names, self.source_service]
    }

    /// All text that says who the destination is.
    pub(crate) fn destination_texts(&self) -> [&'a str; 4] {
        [self.destination, self.destination_ip, self.destination_names, self.destination_service]
    }

    /// The end whose policy decided; see `flow-formats.md` 6.3.
    pub(crate) fn direction(&self) -> Option<Side> {
        match self.traffic_direction?.name(&["", "INGRESS", "EGRESS"]) {
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

/// Reads one end from its endpoint, address, names and Service.
///
/// # Errors
///
/// [`Refused`] if it cannot be read.
pub(crate) fn read_end(texts: [&str; 4]) -> Result<Endpoint, Refused> {
    let end = endpoint::read(texts)?;
    familiar::remember_end(texts[0]);
    Ok(end)
}

/// A number that equal texts of ends have in common.
pub(crate) fn number_of_end(text: &str) -> u64 {
    familiar::number(text.as_bytes())
}

impl Layer4 {
    fn read(entries: &mut Entries<'_>) -> Result<Self, NotJson> {
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

impl EventType {
    fn read(text: &str) -> Self {
        let mut event = Self::default();
        for_each(text, |key, value| match key {
            "type" => event.kind = number(value).unwrap_or(0),
            "sub_type" | "subType" => event.sub_type = number(value).unwrap_or(0),
            _ => {}
        });
        event
    }
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

fn lost_events(text: &str) -> u64 {
    let mut lost = 0;
    for_each(text, |key, value| {
        if matches!(key, "num_events_lost" | "numEventsLost") {
            lost = number(value).unwrap_or(1);
        }
    });
    lost
}

fn aggregated(text: &str) -> u64 {
    let mut sum = 0u64;
    for_each(text, |_, value| sum = sum.saturating_add(number(value).unwrap_or(0)));
    sum.max(1)
}
