//! What the columns of `hubble observe` say together (`flow-formats.md` 2.1).

use std::net::IpAddr;

use jiff::Timestamp;

use super::host::{Host, object_name};
use crate::flow::record::{Event, Record, Unjudged};
use crate::flow::reply::{self, Flags};
use crate::flow::{Denial, Flow, ObjectName, Outcome, Request, reason};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};

/// The columns of one flow, however they were laid out.
pub(super) struct Observed<'a> {
    pub(super) time: Option<Timestamp>,
    pub(super) source: Host,
    pub(super) destination: Host,
    pub(super) kind: &'a str,
    pub(super) verdict: &'a str,
    /// The policies behind `BY`.
    pub(super) by: &'a str,
    pub(super) summary: &'a str,
    /// What the arrow says; `None` where there is none or it does not know.
    pub(super) reply: Option<bool>,
    /// The printer tells verdicts from drops: only then are two lines of one kind two packets.
    pub(super) tells_verdicts: bool,
}

impl Observed<'_> {
    /// The record.
    pub(super) fn record(self) -> Result<Record, Unjudged> {
        let (event, side) = self.event();
        let outcome = self.outcome(event)?;
        let (packet, flags) = self.packet();
        let source_port = self.source.port;
        let refused = matches!(outcome, Outcome::Denied(denial) if denial != Denial::Request);
        // Hand-made lines have `->` on denials too; the printer never.
        let said = if refused && self.reply == Some(false) { None } else { self.reply };
        let reply = said.unwrap_or_else(|| reply::looks_like_one(packet, source_port, flags));
        let request = (event == Event::Proxy).then(|| self.request());
        let denied_by = if matches!(outcome, Outcome::Denied(_)) { policies(self.by) } else { Vec::new() };
        Ok(Record {
            time: self.time,
            event,
            answers: dns_answer(self.summary),
            ..Record::new(Flow {
                source: self.source.end.into(),
                destination: self.destination.end.into(),
                packet,
                source_port,
                outcome,
                side,
                request,
                denied_by,
                reply,
            })
        })
    }

    fn event(&self) -> (Event, Option<Side>) {
        let kind = self.kind;
        if let Some(rest) = kind.strip_prefix("policy-verdict:") {
            let side = match rest.rsplit(' ').next() {
                Some("INGRESS") => Some(Side::Ingress),
                Some("EGRESS") => Some(Side::Egress),
                _ => None,
            };
            return (Event::Verdict, side);
        }
        let first = kind.split(' ').next().unwrap_or(kind);
        match first {
            "dns-request" => (Event::Proxy, Some(Side::Egress)),
            _ if first.ends_with("-request") || first.ends_with("-response") => (Event::Proxy, None),
            _ if first.starts_with("to-") => (Event::Trace, None),
            _ if first.starts_with("from-") => (Event::TraceBeforePolicy, None),
            _ if first.contains("-xlate-") => (Event::Other, None),
            "L3-Only" | "L3-L4" | "L4-Only" | "all" | "L3-Proto" | "Proto-Only" | "none" => {
                (Event::Verdict, None)
            }
            _ if self.verdict == "DROPPED" && self.tells_verdicts => (Event::Drop, None),
            _ => (Event::Unstated, None),
        }
    }

    fn outcome(&self, event: Event) -> Result<Outcome, Unjudged> {
        match (self.verdict, event) {
            (_, Event::Other) | ("TRACED" | "TRANSLATED", _) => Err(Unjudged::NotPackets),
            ("FORWARDED" | "REDIRECTED" | "ALLOWED", _) => Ok(Outcome::Forwarded),
            ("AUDIT" | "AUDITED", _) => Ok(Outcome::Audited),
            ("DROPPED" | "DENIED", Event::Proxy) if self.kind.contains("-response") => {
                Err(Unjudged::Response)
            }
            ("DROPPED" | "DENIED", Event::Proxy) => Ok(Outcome::Denied(Denial::Request)),
            ("ERROR", _) => Ok(Outcome::NotPolicy(reason::PROXY_ERROR.into())),
            ("DENIED", _) => Ok(Outcome::Denied(self.denial())),
            ("DROPPED", _) => Ok(reason::outcome_of_text(self.kind)),
            _ => Err(Unjudged::NoVerdict),
        }
    }

    /// Without a match nothing allowed the packet; with one, the rule that
    /// matched denies or asks for authentication.
    fn denial(&self) -> Denial {
        let matched = self.kind.strip_prefix("policy-verdict:").and_then(|rest| rest.split(' ').next());
        match matched {
            Some("none" | "unknown") | None => Denial::Default,
            Some(_) if self.summary.contains("Auth: ") => Denial::Authentication,
            Some(_) => Denial::Rule,
        }
    }

    fn packet(&self) -> (Packet, Option<Flags>) {
        let port = self.destination.port.unwrap_or(0);
        // The trace id and the kind of authentication stand around the packet.
        let summary = self
            .summary
            .strip_prefix("IP Trace ID: ")
            .and_then(|s| s.split_once("; "))
            .map_or(self.summary, |(_, rest)| rest);
        let summary = summary.split("; Auth: ").next().unwrap_or(summary);
        if let Some(names) = summary.strip_prefix("TCP Flags: ") {
            let has = |flag: &str| names.split(',').any(|name| name.trim() == flag);
            return (Packet::Port(Transport::Tcp, port), Some(Flags { syn: has("SYN"), ack: has("ACK") }));
        }
        let first = summary.split(' ').next().unwrap_or_default();
        let packet = match first {
            "UDP" | "DNS" => Packet::Port(Transport::Udp, port),
            "SCTP" => Packet::Port(Transport::Sctp, port),
            "ICMPv4" | "ICMPv6" => icmp(first, summary.get(first.len()..).unwrap_or_default().trim()),
            "TCP" | "Kafka" => Packet::Port(Transport::Tcp, port),
            _ if first.starts_with("HTTP") => Packet::Port(Transport::Tcp, port),
            _ if port != 0 => Packet::Port(Transport::Tcp, port),
            _ => Packet::Other(None),
        };
        (packet, None)
    }

    fn request(&self) -> Request {
        let mut words = self.summary.split(' ');
        match words.next().unwrap_or_default() {
            "DNS" => match words.next() {
                Some("Query") => Request::dns(words.next().unwrap_or_default()),
                _ => Request::dns(answered_name(self.summary).unwrap_or_default()),
            },
            protocol if protocol.starts_with("HTTP") => {
                let request = self.summary.split_once('(').map_or(self.summary, |(_, request)| request);
                let mut words =
                    request.trim_end_matches(')').split(' ').filter(|word| !word.starts_with("HTTP/"));
                Request::http(words.next().unwrap_or_default(), words.next().unwrap_or_default())
            }
            _ => Request::Other,
        }
    }
}

/// `DNS Answer "192.0.2.1,192.0.2.2" TTL: 30 (Proxy name. A)`.
fn dns_answer(summary: &str) -> Vec<(IpAddr, Box<str>)> {
    let Some(rest) = summary.strip_prefix("DNS Answer \"") else { return Vec::new() };
    let (Some((ips, _)), Some(name)) = (rest.split_once('"'), answered_name(summary)) else {
        return Vec::new();
    };
    ips.split(',').filter_map(|ip| Some((ip.trim().parse().ok()?, name.into()))).collect()
}

fn answered_name(summary: &str) -> Option<&str> {
    let (_, inside) = summary.rsplit_once('(')?;
    let name = inside.split(' ').find(|word| word.contains('.'))?;
    Some(name.trim_end_matches(['.', ')']))
}

/// `name (Kind), name (Kind)`.
fn policies(by: &str) -> Vec<ObjectName> {
    let names = by.split(", ").filter_map(|item| item.split(' ').next());
    let mut names: Vec<ObjectName> = names.filter_map(object_name).collect();
    names.sort();
    names
}

/// An ICMP message by the name that gopacket gives its type.
pub(super) fn icmp(family: &str, name: &str) -> Packet {
    let name = name.split(['(', ' ']).next().unwrap_or(name);
    let is_v6 = family == "ICMPv6";
    let number = match (is_v6, name) {
        (false, "EchoReply") => 0,
        (false, "DestinationUnreachable") => 3,
        (false, "SourceQuench") => 4,
        (false, "Redirect") => 5,
        (false, "EchoRequest") => 8,
        (false, "RouterAdvertisement") => 9,
        (false, "RouterSolicitation") => 10,
        (false, "TimeExceeded") => 11,
        (false, "ParameterProblem") => 12,
        (false, "TimestampRequest") => 13,
        (false, "TimestampReply") => 14,
        (true, "DestinationUnreachable") => 1,
        (true, "PacketTooBig") => 2,
        (true, "TimeExceeded") => 3,
        (true, "ParameterProblem") => 4,
        (true, "EchoRequest") => 128,
        (true, "EchoReply") => 129,
        (true, "RouterSolicitation") => 133,
        (true, "RouterAdvertisement") => 134,
        (true, "NeighborSolicitation") => 135,
        (true, "NeighborAdvertisement") => 136,
        (true, "Redirect") => 137,
        _ => return Packet::Other(Some(if is_v6 { 58 } else { 1 })),
    };
    Packet::Icmp(if is_v6 { IcmpFamily::V6 } else { IcmpFamily::V4 }, number)
}
