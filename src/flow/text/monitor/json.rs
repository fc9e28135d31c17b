//! The JSON of `monitor -j` (`flow-formats.md` 3.5).

use serde::Deserialize;

use super::connection::Connection;
use super::request::{labels_of, proxied};
use crate::flow::hubble::{Dns, Http, Number, Text, request};
use crate::flow::record::{Event, Unjudged};
use crate::flow::text::Told;
use crate::flow::text::host::Identity;
use crate::flow::text::observed::icmp;
use crate::flow::{Endpoint, LineKind, reason};
use crate::traffic::Side;

/// An object.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(rename = "srcLabel")]
    source: Option<Number>,
    #[serde(rename = "dstLabel")]
    destination: Option<Number>,
    #[serde(rename = "dstID")]
    endpoint: Option<Number>,
    #[serde(borrow)]
    summary: Option<Summary<'a>>,
    #[serde(borrow, rename = "observationPoint")]
    observation_point: Option<Text<'a>>,
    #[serde(borrow, rename = "flowType")]
    flow_type: Option<Text<'a>>,
    #[serde(borrow, rename = "srcEpLabels")]
    source_labels: Option<Vec<Text<'a>>>,
    #[serde(borrow, rename = "dstEpLabels")]
    destination_labels: Option<Vec<Text<'a>>>,
    #[serde(rename = "srcIdentity", alias = "SrcIdentity")]
    source_identity: Option<Number>,
    #[serde(rename = "dstIdentity", alias = "DstIdentity")]
    destination_identity: Option<Number>,
    #[serde(borrow)]
    verdict: Option<Text<'a>>,
    #[serde(borrow)]
    http: Option<Http<'a>>,
    #[serde(borrow)]
    dns: Option<Dns<'a>>,
}

#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow)]
    tcp: Option<Text<'a>>,
    #[serde(borrow)]
    udp: Option<Text<'a>>,
    #[serde(borrow)]
    sctp: Option<Text<'a>>,
    #[serde(borrow, rename = "icmpv6")]
    icmp_v6: Option<Text<'a>>,
    #[serde(borrow, rename = "icmpv4")]
    icmp_v4: Option<Text<'a>>,
    #[serde(borrow)]
    l3: Option<Ends<'a>>,
    #[serde(borrow)]
    l4: Option<Ends<'a>>,
}

#[derive(Deserialize)]
struct Ends<'a> {
    #[serde(borrow, default)]
    src: Text<'a>,
    #[serde(borrow, default)]
    dst: Text<'a>,
}

/// Reads an object; `None` if it is not the monitor's.
pub(crate) fn read_json(text: &str) -> Option<(Option<Told>, LineKind)> {
    let message: Message<'_> = serde_json::from_str(text).ok()?;
    match &*message.kind {
        "drop" if message.reason.is_some() => Some((Some(message.drop()), LineKind::MonitorDrop)),
        "logRecord" => Some((Some(message.request()), LineKind::MonitorRequest)),
        "trace" | "agent" | "debug" | "capture" | "recorder" => Some((None, LineKind::MonitorOther)),
        _ => None,
    }
}

impl Message<'_> {
    fn drop(&self) -> Told {
        let identity =
            |number: Option<Number>| number.and_then(|n| u32::try_from(n.0).ok()).map(Identity::of_number);
        let Some(summary) = &self.summary else { return Told::Unjudged(Unjudged::NotPackets) };
        let word = match summary {
            Summary { tcp: Some(_), .. } => "tcp",
            Summary { udp: Some(_), .. } => "udp",
            Summary { sctp: Some(_), .. } => "sctp",
            _ => "",
        };
        let layer = |ends: &Option<Ends<'_>>, get: fn(&Ends<'_>) -> String| {
            ends.as_ref().map(get).unwrap_or_default()
        };
        let host = |get: fn(&Ends<'_>) -> String| match (layer(&summary.l3, get), layer(&summary.l4, get)) {
            (ip, port) if port.is_empty() => ip,
            (ip, port) if ip.contains(':') => format!("[{ip}]:{port}"),
            (ip, port) => format!("{ip}:{port}"),
        };
        let (source, destination) = (host(|ends| ends.src.to_string()), host(|ends| ends.dst.to_string()));
        let flags = summary.tcp.as_deref().map(tcp_flags).unwrap_or_default();
        let text = format!("{source} -> {destination} {word} {flags}");
        let identities = [self.source, self.destination].map(|number| identity(number).unwrap_or_default());
        let side = self.endpoint.filter(|endpoint| endpoint.0 != 0).map(|_| Side::Ingress);
        let outcome = reason::outcome_of_text(self.reason.as_deref().unwrap_or_default());
        let connection = Connection::read(text.trim_end(), None).map(|mut connection| {
            connection.packet = match (&summary.icmp_v4, &summary.icmp_v6) {
                (Some(layer), _) => icmp("ICMPv4", icmp_type(layer)),
                (_, Some(layer)) => icmp("ICMPv6", icmp_type(layer)),
                _ => connection.packet,
            };
            connection
        });
        connection
            .and_then(|connection| connection.told(identities, outcome, side, Event::Drop))
            .unwrap_or_else(Told::Broken)
    }

    fn request(&self) -> Told {
        let end = |labels: &Option<Vec<Text<'_>>>, number: Option<Number>| Endpoint {
            labels: labels_of(labels.iter().flatten().map(|label| &**label)),
            identity: number.and_then(|n| u32::try_from(n.0).ok()).filter(|&n| n != 0),
            ..Endpoint::default()
        };
        let side = match self.observation_point.as_deref() {
            Some("Ingress") => Some(Side::Ingress),
            Some("Egress") => Some(Side::Egress),
            _ => None,
        };
        let mut told = proxied(
            end(&self.source_labels, self.source_identity),
            end(&self.destination_labels, self.destination_identity),
            request(self.http.as_ref(), self.dns.as_ref()),
            side,
            self.flow_type.as_deref() == Some("Request"),
            self.verdict.as_deref().unwrap_or_default(),
        );
        if let Told::Record(record) = &mut told {
            record.answers = self.dns.as_ref().map_or_else(Vec::new, Dns::answers);
        }
        told
    }
}

/// The flags in gopacket's words for a TCP layer: `{… SYN=true ACK=false …}`.
fn tcp_flags(layer: &str) -> String {
    let set = |flag: &&str| layer.contains(&format!("{flag}=true"));
    ["SYN", "ACK"].into_iter().filter(set).collect::<Vec<_>>().join(", ")
}

/// The type in gopacket's words for an ICMP layer: `{… TypeCode=EchoRequest …}`.
fn icmp_type(layer: &str) -> &str {
    layer.split_once("TypeCode=").map_or(layer, |(_, rest)| rest.split([' ', '}']).next().unwrap_or(rest))
}
