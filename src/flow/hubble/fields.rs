//! The fields of a flow that tell something about policy, found in one pass.

use std::net::IpAddr;

use jiff::Timestamp;

use super::endpoint::read_end;
use super::judge;
use super::layer4::Layer4;
use super::layer7::Layer7;
use super::reference::Reference;
use super::scan::{Entries, NotJson, for_each};
use super::value::{Word, number, text_of, timestamp, word};
use crate::flow::record::{Event, Record, Refused};
use crate::flow::{Flow, ObjectName, Request, reply};
use crate::traffic::{Packet, Side};

/// The fields of `flow` that tell something about policy; objects and lists
/// as raw text.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    pub(super) time: Option<Word<'a>>,
    pub(super) uuid: Option<&'a str>,
    pub(super) verdict: Option<Word<'a>>,
    pub(super) drop_reason: Option<u64>,
    pub(super) drop_reason_desc: Option<Word<'a>>,
    pub(super) source_ip: &'a str,
    pub(super) destination_ip: &'a str,
    pub(super) layer4: Layer4,
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
    pub(super) source_names: &'a str,
    pub(super) destination_names: &'a str,
    pub(super) source_service: &'a str,
    pub(super) destination_service: &'a str,
    pub(super) kind: Option<Word<'a>>,
    pub(super) l7: Option<&'a str>,
    pub(super) reply: bool,
    pub(super) is_reply: Option<bool>,
    pub(super) event_type: Option<EventType>,
    pub(super) traffic_direction: Option<Word<'a>>,
    pub(super) has_match_type: bool,
    pub(super) has_file: bool,
    pub(super) trace_observation_point: Option<Word<'a>>,
    pub(super) egress_denied_by: &'a str,
    pub(super) ingress_denied_by: &'a str,
    /// How many packets an aggregated record stands for (`flow-formats.md` 1.3).
    pub(super) weight: u64,
    pub(super) has_part_of_a_flow: bool,
    /// Numbers of ends that are known to be readable.
    pub(super) source_number: Option<u64>,
    pub(super) destination_number: Option<u64>,
}

/// `event_type`: which part of Cilium made the record.
#[derive(Clone, Copy, Default)]
pub(super) struct EventType {
    pub(super) kind: u64,
    pub(super) sub_type: u64,
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

    pub(super) fn read_entries(entries: &mut Entries<'a>) -> Result<Self, NotJson> {
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
            .filter_map(|list| serde_json::from_str::<Vec<Reference<'_>>>(list).ok())
            .flatten()
            .filter_map(Reference::object_name)
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
                source: source.into(),
                destination: destination.into(),
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

    /// The request that a proxy looked at; a field mask may have taken away what it was.
    pub(crate) fn request(&self) -> Option<Request> {
        let request = || self.l7.map_or(Request::Other, |raw| Layer7::read(raw).request());
        (self.event() == Event::Proxy).then(request)
    }

    /// The addresses that a DNS answer in the record gives, each with the name.
    pub(crate) fn answers(&self) -> Vec<(IpAddr, Box<str>)> {
        self.l7.map_or_else(Vec::new, |raw| Layer7::read(raw).answers())
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

fn aggregated(text: &str) -> u64 {
    let mut sum = 0u64;
    for_each(text, |_, value| sum = sum.saturating_add(number(value).unwrap_or(0)));
    sum.max(1)
}
