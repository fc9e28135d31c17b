//! Normalised rows: a tally as JSON lines that every reader of flows reads.
//!
//! A row is Hubble's own JSON (`{"flow": …}`) with a count, first and last time
//! and examples beside the flow, so that rows can be made by SQL from archives of
//! flow JSON as well. A row with count 0 carries a DNS answer.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use jiff::Timestamp;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::tally::{Distinct, Example, Tally};
use super::{Denial, Endpoint, Flow, ObjectName, Outcome, Request, Workload, reason};
use crate::label::Label;
use crate::traffic::{IcmpFamily, Packet, Side};

impl Tally {
    /// Writes the tally as normalised rows, sorted.
    ///
    /// # Errors
    ///
    /// Whatever `out` answers.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for some in self.counted() {
            let rows =
                |some: &[Distinct]| some.iter().map(|distinct| text(&Row::of(distinct)) + "\n").collect();
            let texts: Vec<String> = some.par_chunks(256).map(rows).collect();
            texts.iter().try_for_each(|text| out.write_all(text.as_bytes()))?;
        }
        for (ip, name, span) in self.answers() {
            writeln!(out, "{}", answer(ip, name, span))?;
        }
        Ok(())
    }
}

/// Rows hold nothing that cannot be written as JSON.
fn text(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

fn answer(ip: IpAddr, name: &str, span: Option<(Timestamp, Timestamp)>) -> String {
    let flow = serde_json::json!({
        "verdict": "FORWARDED", "Type": "L7", "event_type": {"type": 129}, "is_reply": true,
        "l7": {"type": "RESPONSE", "dns": {"query": format!("{name}."), "ips": [ip]}},
    });
    let (first_seen, last_seen) = span.unzip();
    text(&Row { flow, count: 0, first_seen, last_seen, examples: Vec::new() })
}

#[derive(Serialize)]
struct Row<'a, F> {
    flow: F,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_if_some")]
    first_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_if_some")]
    last_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    examples: Vec<ExampleRow<'a>>,
}

#[derive(Serialize)]
struct ExampleRow<'a> {
    input: &'a str,
    line: u64,
}

impl<'a> Row<'a, FlowRow<'a>> {
    fn of(distinct: &'a Distinct) -> Self {
        let example = |example: &'a Example| ExampleRow { input: &example.input, line: example.line };
        let (first_seen, last_seen) = distinct.span.unzip();
        Self {
            flow: FlowRow::of(&distinct.flow),
            count: distinct.count,
            first_seen,
            last_seen,
            examples: distinct.examples.iter().map(example).collect(),
        }
    }
}

/// A flow with Hubble's names. What is absent is left out.
#[derive(Serialize)]
struct FlowRow<'a> {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop_reason_desc: Option<&'a str>,
    #[serde(rename = "IP", skip_serializing_if = "Addresses::is_empty")]
    addresses: Addresses,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    l4: BTreeMap<&'static str, Layer4>,
    source: EndRow<'a>,
    destination: EndRow<'a>,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    source_names: &'a [Box<str>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    destination_names: &'a [Box<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    l7: Option<Layer7<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<EventType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_service: Option<ObjectRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_service: Option<ObjectRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic_direction: Option<&'static str>,
    is_reply: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    egress_denied_by: Vec<ObjectRow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ingress_denied_by: Vec<ObjectRow<'a>>,
}

impl<'a> FlowRow<'a> {
    fn of(flow: &'a Flow) -> Self {
        let (verdict, drop_reason_desc) = verdict(&flow.outcome);
        let denied_by = flow.denied_by.iter().map(ObjectRow::of).collect();
        let (egress_denied_by, ingress_denied_by) =
            if flow.side == Some(Side::Ingress) { (Vec::new(), denied_by) } else { (denied_by, Vec::new()) };
        Self {
            verdict,
            drop_reason_desc,
            addresses: Addresses { source: flow.source.ip, destination: flow.destination.ip },
            l4: layer4(flow),
            source: EndRow::of(&flow.source),
            destination: EndRow::of(&flow.destination),
            kind: if flow.request.is_some() { "L7" } else { "L3_L4" },
            source_names: &flow.source.names,
            destination_names: &flow.destination.names,
            l7: flow.request.as_ref().map(Layer7::of),
            event_type: event_type(flow),
            source_service: flow.source.service.as_ref().map(ObjectRow::of),
            destination_service: flow.destination.service.as_ref().map(ObjectRow::of),
            traffic_direction: flow.side.map(|side| match side {
                Side::Egress => "EGRESS",
                Side::Ingress => "INGRESS",
            }),
            is_reply: flow.reply,
            egress_denied_by,
            ingress_denied_by,
        }
    }
}

fn verdict(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Forwarded => ("FORWARDED", None),
        Outcome::Audited => ("AUDIT", None),
        Outcome::Denied(Denial::Default) => ("DROPPED", Some("POLICY_DENIED")),
        Outcome::Denied(Denial::Rule) => ("DROPPED", Some("POLICY_DENY")),
        Outcome::Denied(Denial::Authentication) => ("DROPPED", Some("AUTH_REQUIRED")),
        Outcome::Denied(Denial::Request | Denial::Unstated) => ("DROPPED", None),
        Outcome::NotPolicy(name) if **name == *reason::PROXY_ERROR => ("ERROR", None),
        Outcome::NotPolicy(name) => ("DROPPED", Some(name)),
    }
}

#[derive(Serialize)]
struct EventType {
    #[serde(rename = "type")]
    kind: u8,
}

/// The kind of record that says as much: one of a proxy for requests, a
/// verdict where the side is known, a trace for what passed otherwise.
fn event_type(flow: &Flow) -> Option<EventType> {
    let kind = match (&flow.request, flow.side, &flow.outcome) {
        (Some(_), ..) => 129,
        (None, Some(_), _) => 5,
        (None, None, Outcome::Forwarded) => 4,
        (None, None, _) => return None,
    };
    Some(EventType { kind })
}

#[derive(Serialize)]
struct Addresses {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<IpAddr>,
}

impl Addresses {
    fn is_empty(&self) -> bool {
        self.source.is_none() && self.destination.is_none()
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Layer4 {
    Ports {
        #[serde(skip_serializing_if = "Option::is_none")]
        source_port: Option<u16>,
        destination_port: u16,
    },
    Icmp {
        #[serde(rename = "type")]
        kind: u8,
    },
    Number(u8),
}

fn layer4(flow: &Flow) -> BTreeMap<&'static str, Layer4> {
    let (key, value) = match flow.packet {
        Packet::Port(transport, destination_port) => {
            (transport.as_str(), Layer4::Ports { source_port: flow.source_port, destination_port })
        }
        Packet::Icmp(IcmpFamily::V4, kind) => ("ICMPv4", Layer4::Icmp { kind }),
        Packet::Icmp(IcmpFamily::V6, kind) => ("ICMPv6", Layer4::Icmp { kind }),
        Packet::Other(Some(number)) => ("protocol", Layer4::Number(number)),
        Packet::Other(None) => return BTreeMap::new(),
    };
    BTreeMap::from([(key, value)])
}

#[derive(Serialize)]
struct EndRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "labels")]
    labels: &'a [Label],
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workloads: Option<[WorkloadRow<'a>; 1]>,
}

#[derive(Serialize)]
struct WorkloadRow<'a> {
    name: &'a str,
    kind: &'a str,
}

impl<'a> EndRow<'a> {
    fn of(end: &'a Endpoint) -> Self {
        let workload = |workload: &'a Workload| [WorkloadRow { name: &workload.name, kind: &workload.kind }];
        Self {
            identity: end.identity,
            namespace: end.namespace.as_deref(),
            labels: &end.labels,
            pod_name: end.pod.as_deref(),
            workloads: end.workload.as_ref().map(workload),
        }
    }
}

#[derive(Serialize)]
struct ObjectRow<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl<'a> ObjectRow<'a> {
    fn of(object: &'a ObjectName) -> Self {
        Self { name: &object.name, namespace: object.namespace.as_deref() }
    }
}

#[derive(Serialize)]
struct Layer7<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<Dns>,
}

#[derive(Serialize)]
struct Http<'a> {
    method: &'a str,
    url: String,
}

#[derive(Serialize)]
struct Dns {
    query: String,
}

impl<'a> Layer7<'a> {
    fn of(request: &'a Request) -> Self {
        let (http, dns) = match request {
            Request::Http { method, path, host } => {
                (Some(Http { method, url: format!("http://{host}{path}") }), None)
            }
            Request::Dns { query } => (None, Some(Dns { query: format!("{query}.") })),
            Request::Other => (None, None),
        };
        Self { kind: "REQUEST", http, dns }
    }
}

fn labels<S: Serializer>(labels: &[Label], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(labels.iter().map(ToString::to_string))
}

fn shown_if_some<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}
