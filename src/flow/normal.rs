//! Normalised rows: a tally as JSON lines that every reader of flows reads.
//!
//! A row is Hubble's own JSON (`{"flow": …}`) with a count, first and last time
//! and examples beside the flow, so that rows can be made by SQL from archives of
//! flow JSON as well. A row with count 0 carries a DNS answer.

use std::io::{self, Write};
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::tally::{Distinct, Tally};
use super::{Denial, Endpoint, Flow, ObjectName, Outcome, Request, reason};
use crate::traffic::{IcmpFamily, Packet, Side};

impl Tally {
    /// Writes the tally as normalised rows, sorted.
    ///
    /// # Errors
    ///
    /// Whatever `out` answers.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows: Vec<String> = self.counted().map(|distinct| row(&distinct)).collect();
        rows.sort();
        let answers = self.answers().map(|(ip, name, span)| answer(ip, name, span));
        for row in rows.into_iter().chain(answers) {
            writeln!(out, "{row}")?;
        }
        Ok(())
    }
}

/// The flow as Hubble's JSON: the same text for the same flow.
pub(super) fn flow_text(flow: &Flow) -> String {
    flow_json(flow).to_string()
}

fn row(distinct: &Distinct) -> String {
    let mut row = Map::new();
    row.insert("flow".into(), flow_json(&distinct.flow));
    row.insert("count".into(), distinct.count.into());
    insert_span(&mut row, distinct.span);
    let examples =
        distinct.examples.iter().map(|example| json!({"input": example.input, "line": example.line}));
    row.insert("examples".into(), examples.collect());
    Value::Object(row).to_string()
}

fn answer(ip: IpAddr, name: &str, span: Option<(Timestamp, Timestamp)>) -> String {
    let mut row = Map::new();
    let dns = json!({"query": format!("{name}."), "ips": [ip.to_string()]});
    let flow = json!({
        "verdict": "FORWARDED", "Type": "L7", "event_type": {"type": 129}, "is_reply": true,
        "l7": {"type": "RESPONSE", "dns": dns},
    });
    row.insert("flow".into(), flow);
    row.insert("count".into(), 0.into());
    insert_span(&mut row, span);
    Value::Object(row).to_string()
}

fn insert_span(row: &mut Map<String, Value>, span: Option<(Timestamp, Timestamp)>) {
    if let Some((first, last)) = span {
        row.insert("first_seen".into(), first.to_string().into());
        row.insert("last_seen".into(), last.to_string().into());
    }
}

fn flow_json(flow: &Flow) -> Value {
    let mut json = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            _ => false,
        };
        if !empty {
            json.insert(key.to_owned(), value);
        }
    };
    let (verdict, reason) = verdict(&flow.outcome);
    put("verdict", verdict.into());
    put("drop_reason_desc", reason.into());
    put("IP", addresses(flow));
    put("l4", layer4(flow));
    put("source", endpoint(&flow.source));
    put("destination", endpoint(&flow.destination));
    put("source_names", names(&flow.source));
    put("destination_names", names(&flow.destination));
    put("source_service", flow.source.service.as_ref().map_or(Value::Null, object_name));
    put("destination_service", flow.destination.service.as_ref().map_or(Value::Null, object_name));
    put("is_reply", flow.reply.into());
    put("event_type", event_type(flow));
    let direction = match flow.side {
        Some(Side::Egress) => "EGRESS".into(),
        Some(Side::Ingress) => "INGRESS".into(),
        None => Value::Null,
    };
    put("traffic_direction", direction);
    let (kind, layer7) = match &flow.request {
        Some(request) => ("L7", layer7(request)),
        None => ("L3_L4", Value::Null),
    };
    put("Type", kind.into());
    put("l7", layer7);
    let denied_by = if flow.side == Some(Side::Ingress) { "ingress_denied_by" } else { "egress_denied_by" };
    put(denied_by, flow.denied_by.iter().map(object_name).collect());
    Value::Object(json)
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

/// The kind of record that says as much: one of a proxy for requests, a
/// verdict where the side is known, a trace for what passed otherwise.
fn event_type(flow: &Flow) -> Value {
    let kind = match (&flow.request, flow.side, &flow.outcome) {
        (Some(_), ..) => 129,
        (None, Some(_), _) => 5,
        (None, None, Outcome::Forwarded) => 4,
        (None, None, _) => return Value::Null,
    };
    json!({"type": kind})
}

fn addresses(flow: &Flow) -> Value {
    let mut json = Map::new();
    for (key, end) in [("source", &flow.source), ("destination", &flow.destination)] {
        if let Some(ip) = end.ip {
            json.insert(key.into(), ip.to_string().into());
        }
    }
    Value::Object(json)
}

fn layer4(flow: &Flow) -> Value {
    match flow.packet {
        Packet::Port(transport, port) => {
            let mut ports = Map::new();
            if let Some(source_port) = flow.source_port {
                ports.insert("source_port".into(), source_port.into());
            }
            ports.insert("destination_port".into(), port.into());
            json!({transport.as_str(): ports})
        }
        Packet::Icmp(IcmpFamily::V4, kind) => json!({"ICMPv4": {"type": kind}}),
        Packet::Icmp(IcmpFamily::V6, kind) => json!({"ICMPv6": {"type": kind}}),
        Packet::Other(Some(number)) => json!({"protocol": number}),
        Packet::Other(None) => Value::Null,
    }
}

fn endpoint(end: &Endpoint) -> Value {
    let mut json = Map::new();
    if let Some(identity) = end.identity {
        json.insert("identity".into(), identity.into());
    }
    if let Some(namespace) = &end.namespace {
        json.insert("namespace".into(), namespace.as_ref().into());
    }
    if !end.labels.is_empty() {
        json.insert("labels".into(), end.labels.iter().map(ToString::to_string).collect());
    }
    if let Some(pod) = &end.pod {
        json.insert("pod_name".into(), pod.as_ref().into());
    }
    if let Some(workload) = &end.workload {
        json.insert("workloads".into(), json!([{"name": workload.name, "kind": workload.kind}]));
    }
    Value::Object(json)
}

fn names(end: &Endpoint) -> Value {
    end.names.iter().map(AsRef::as_ref).collect()
}

fn object_name(object: &ObjectName) -> Value {
    match &object.namespace {
        Some(namespace) => json!({"name": object.name, "namespace": namespace}),
        None => json!({"name": object.name}),
    }
}

fn layer7(request: &Request) -> Value {
    match request {
        Request::Http { method, path, host } => {
            json!({"type": "REQUEST", "http": {"method": method, "url": format!("http://{host}{path}")}})
        }
        Request::Dns { query } => json!({"type": "REQUEST", "dns": {"query": format!("{query}.")}}),
        Request::Other => json!({"type": "REQUEST"}),
    }
}
