//! `cilium-dbg monitor`: drops, policy verdicts and requests, as text and as
//! JSON, of all versions (`flow-formats.md` 3). Identities, but neither times nor names.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Deserialize;

use super::Told;
use super::host::{Host, Identity};
use super::observed::icmp;
use crate::flow::hubble::{Number, Text};
use crate::flow::record::{Event, Record, Unjudged};
use crate::flow::reply::{self, Flags};
use crate::flow::{Denial, Endpoint, Flow, LineKind, Outcome, Request, reason};
use crate::label::Label;
use crate::traffic::{Packet, Side, Transport};

static DROP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^xx drop \((?P<reason>.+?)\)(?: flow 0x(?P<hash>[0-9a-f]+))? to endpoint (?P<endpoint>\d+)",
        r"(?:, ifindex (?P<ifindex>\d+))?(?:, file (?P<file>[^,]+?))?,(?: ,)? ",
        r"identity (?P<source>[^ ]+?)->(?P<destination>[^ :]+): ?(?P<connection>.*)$",
    ))
    .ok()
});

static VERDICT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^Policy verdict log: flow 0x(?P<hash>[0-9a-f]+) local EP ID (?P<endpoint>\d+), ",
        r"remote ID (?P<remote>[^,]+)(?:, dst port (?P<port>\d+))?, proto (?P<protocol>\d+), ",
        r"(?P<direction>ingress true|ingress false|ingress|egress), action (?P<action>allow|deny|redirect|audit)",
        r"(?:, auth: (?P<auth>[^,]+))?, match (?P<match>[^,]+), (?P<connection>.*)$",
    ))
    .ok()
});

static REQUEST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?P<arrow><-|->|\?\?) (?P<kind>Request|Response) (?P<protocol>\S+) ",
        r"(?:from (?P<from>\S+) \((?P<from_labels>[^)]*)\) to (?P<to>\S+) \((?P<to_labels>[^)]*)\)",
        r"|to (?P<rto>\S+) \([^)]*\) from (?P<rfrom>\S+) \([^)]*\)), ",
        r"identity (?P<source>\S+?)->(?P<destination>[^ ,]+), verdict (?P<verdict>\S+)(?P<tail>.*)$",
    ))
    .ok()
});

/// Reads a line of text; `None` if it is not the monitor's.
pub(crate) fn read(line: &str) -> Option<(Told, LineKind)> {
    if let Some(line) = line.find("xx drop (").and_then(|at| line.get(at..)) {
        return Some((found(&DROP, line, drop), LineKind::MonitorDrop));
    }
    if let Some(line) = line.find("Policy verdict log: ").and_then(|at| line.get(at..)) {
        return Some((found(&VERDICT, line, verdict), LineKind::MonitorVerdict));
    }
    let is_request = ["<- ", "-> ", "?? "].iter().any(|arrow| {
        let rest = line.strip_prefix(arrow);
        rest.is_some_and(|rest| rest.starts_with("Request ") || rest.starts_with("Response "))
    });
    is_request.then(|| (found(&REQUEST, line, request), LineKind::MonitorRequest))
}

type Parse = fn(&Captures<'_>) -> Result<Told, String>;

fn found(expression: &LazyLock<Option<Regex>>, line: &str, parse: Parse) -> Told {
    let captures = expression.as_ref().and_then(|expression| expression.captures(line));
    let told = captures.ok_or_else(|| "not as any version of the monitor prints it".to_owned());
    told.and_then(|captures| parse(&captures)).unwrap_or_else(Told::Broken)
}

fn part<'a>(captures: &'a Captures<'_>, name: &str) -> &'a str {
    captures.name(name).map_or("", |part| part.as_str())
}

fn drop(found: &Captures<'_>) -> Result<Told, String> {
    let connection = Connection::read(part(found, "connection"), None)?;
    let (source, destination) =
        (Identity::read(part(found, "source")), Identity::read(part(found, "destination")));
    // An endpoint of 0 is no proof of egress.
    let side = (part(found, "endpoint") != "0").then_some(Side::Ingress);
    let outcome = reason::outcome_of_text(part(found, "reason"));
    connection.told([source, destination], outcome, side, Event::Drop)
}

fn verdict(found: &Captures<'_>) -> Result<Told, String> {
    let protocol = part(found, "protocol").parse().ok();
    let connection = Connection::read(part(found, "connection"), protocol)?;
    let remote = Identity::read(part(found, "remote"));
    let side = match part(found, "direction") {
        "ingress" | "ingress true" => Side::Ingress,
        _ => Side::Egress,
    };
    let identities = match side {
        Side::Ingress => [remote, Identity::default()],
        Side::Egress => [Identity::default(), remote],
    };
    let outcome = match (part(found, "action"), part(found, "match"), part(found, "auth")) {
        ("allow" | "redirect", ..) => Outcome::Forwarded,
        ("audit", ..) => Outcome::Audited,
        (_, "none", _) => Outcome::Denied(Denial::Default),
        (_, _, "" | "disabled") => Outcome::Denied(Denial::Rule),
        _ => Outcome::Denied(Denial::Authentication),
    };
    connection.told(identities, outcome, Some(side), Event::Verdict)
}

/// `10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN`.
struct Connection<'a> {
    source: &'a str,
    destination: &'a str,
    packet: Packet,
    flags: Option<Flags>,
    has_ports: bool,
}

impl<'a> Connection<'a> {
    fn read(text: &'a str, protocol: Option<u8>) -> Result<Self, String> {
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

    fn told(
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

fn request(found: &Captures<'_>) -> Result<Told, String> {
    let side = side_of_proxy(part(found, "arrow"));
    let tail = part(found, "tail").trim();
    let request = match part(found, "protocol") {
        "http" => {
            let mut words = tail.split(' ');
            Request::http(words.next().unwrap_or_default(), words.next().unwrap_or_default())
        }
        "dns" => Request::dns(tail.trim_start_matches("DNS proxy: ").split(' ').next().unwrap_or_default()),
        _ => Request::Other,
    };
    let end = |labels: &str, identity: &str| {
        let Identityless { labels } =
            Identityless::read(labels.trim_matches(['[', ']']).split_ascii_whitespace());
        let host = Host::read("", Identity::read(identity)).unwrap_or_default();
        if labels.is_empty() { host.end } else { Endpoint { labels, ..host.end } }
    };
    let source = end(part(found, "from_labels"), part(found, "source"));
    let destination = end(part(found, "to_labels"), part(found, "destination"));
    let is_request = part(found, "kind") == "Request";
    Ok(proxied(source, destination, request, side, is_request, part(found, "verdict")))
}

fn side_of_proxy(arrow: &str) -> Option<Side> {
    match arrow {
        "<-" => Some(Side::Ingress),
        "->" => Some(Side::Egress),
        _ => None,
    }
}

/// Labels as the monitor prints them; words without a source are no labels.
struct Identityless {
    labels: Vec<Label>,
}

impl Identityless {
    fn read<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut labels: Vec<Label> = words.filter(|word| word.contains(':')).map(Label::parse).collect();
        labels.sort();
        labels.dedup();
        Self { labels }
    }
}

fn proxied(
    source: Endpoint,
    destination: Endpoint,
    request: Request,
    side: Option<Side>,
    is_request: bool,
    verdict: &str,
) -> Told {
    let outcome = match verdict {
        "Denied" if is_request => Outcome::Denied(Denial::Request),
        "Forwarded" | "Redirected" => Outcome::Forwarded,
        "Error" => Outcome::NotPolicy(reason::PROXY_ERROR.into()),
        "Denied" => return Told::Unjudged(Unjudged::Response),
        _ => return Told::Unjudged(Unjudged::NoVerdict),
    };
    let transport = if matches!(request, Request::Dns { .. }) { Transport::Udp } else { Transport::Tcp };
    Told::Record(Box::new(Record {
        event: Event::Proxy,
        ..Record::new(Flow {
            source: source.into(),
            destination: destination.into(),
            packet: Packet::Port(transport, 0),
            source_port: None,
            outcome,
            side,
            request: Some(request),
            denied_by: Vec::new(),
            reply: !is_request,
        })
    }))
}

/// The JSON of `monitor -j` (`flow-formats.md` 3.5).
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

#[derive(Deserialize)]
struct Http<'a> {
    #[serde(borrow, default, rename = "Method")]
    method: Text<'a>,
    #[serde(borrow, rename = "URL")]
    url: Option<Url<'a>>,
}

#[derive(Deserialize)]
struct Url<'a> {
    #[serde(borrow, default, rename = "Host")]
    host: Text<'a>,
    #[serde(borrow, default, rename = "Path")]
    path: Text<'a>,
    #[serde(borrow, default, rename = "RawQuery")]
    query: Text<'a>,
}

#[derive(Deserialize)]
struct Dns<'a> {
    #[serde(borrow, default, alias = "Query")]
    query: Text<'a>,
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
        let connection = Connection::read(text.trim_end(), None).map(|connection| {
            let packet = match (&summary.icmp_v4, &summary.icmp_v6) {
                (Some(layer), _) => icmp("ICMPv4", icmp_type(layer)),
                (_, Some(layer)) => icmp("ICMPv6", icmp_type(layer)),
                _ => connection.packet,
            };
            Connection { packet, ..connection }
        });
        connection
            .and_then(|connection| connection.told(identities, outcome, side, Event::Drop))
            .unwrap_or_else(Told::Broken)
    }

    fn request(&self) -> Told {
        let end = |labels: &Option<Vec<Text<'_>>>, number: Option<Number>| {
            let Identityless { labels } = Identityless::read(labels.iter().flatten().map(|label| &**label));
            let identity = number.and_then(|n| u32::try_from(n.0).ok()).filter(|&n| n != 0);
            Endpoint { labels, identity, ..Endpoint::default() }
        };
        let request = match (&self.http, &self.dns) {
            (Some(http), _) => {
                let url = http.url.as_ref().map(|url| {
                    let query =
                        if url.query.is_empty() { String::new() } else { format!("?{}", &*url.query) };
                    format!("http://{}{}{query}", &*url.host, &*url.path)
                });
                Request::http(&http.method, &url.unwrap_or_default())
            }
            (None, Some(dns)) => Request::dns(&dns.query),
            (None, None) => Request::Other,
        };
        let side = match self.observation_point.as_deref() {
            Some("Ingress") => Some(Side::Ingress),
            Some("Egress") => Some(Side::Egress),
            _ => None,
        };
        proxied(
            end(&self.source_labels, self.source_identity),
            end(&self.destination_labels, self.destination_identity),
            request,
            side,
            self.flow_type.as_deref() == Some("Request"),
            self.verdict.as_deref().unwrap_or_default(),
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Record {
        match read(line) {
            Some((Told::Record(record), _)) => *record,
            Some((Told::Broken(why), _)) => panic!("{line}: {why}"),
            _ => panic!("no record: {line}"),
        }
    }

    #[test]
    fn the_expressions_compile() {
        assert!(DROP.is_some() && VERDICT.is_some() && REQUEST.is_some());
    }

    #[test]
    fn drops_of_all_ages_are_read() {
        let connection = "10.9.0.1:45830 -> 192.0.2.14:80 tcp SYN";
        for head in [
            "xx drop (Policy denied) flow 0xfd76 to endpoint 0, ifindex 29, file bpf_lxc.c:1274, , identity 48447->world: ",
            "xx drop (Policy denied) flow 0xfd76 to endpoint 0, file bpf_lxc.c line 1182, , identity 48447->world: ",
            "xx drop (Policy denied (L3)) flow 0xfd76 to endpoint 0, identity 48447->2: ",
            "xx drop (Policy denied, 3) to endpoint 0, identity 48447->2: ",
        ] {
            let flow = record(&format!("{head}{connection}")).flow;
            assert_eq!(flow.outcome, Outcome::Denied(Denial::Default), "{head}");
            assert_eq!(flow.packet, Packet::Port(Transport::Tcp, 80));
            assert_eq!(flow.source.identity, Some(48447));
            assert_eq!(flow.destination.labels, [Label::reserved("world")]);
            assert_eq!(flow.side, None, "endpoint 0 proves nothing");
        }
    }

    #[test]
    fn a_verdict_names_the_remote_end_and_the_side() {
        let flow = record(
            "Policy verdict log: flow 0x0 local EP ID 31, remote ID remote-node, proto 6, ingress, action deny, auth: disabled, match none, [2001:db8::22]:58416 -> [2001:db8::9]:9090 tcp SYN",
        )
        .flow;
        assert_eq!(flow.side, Some(Side::Ingress));
        assert_eq!(flow.source.labels, [Label::reserved("remote-node")]);
        assert_eq!(flow.destination.identity, None);
        let old = record(
            "Policy verdict log: flow 0x1 local EP ID 9, remote ID 22, dst port 80, proto 6, ingress false, action audit, match none, 10.9.1.2:60218 -> 10.9.1.3:80 tcp SYN",
        )
        .flow;
        assert_eq!((old.side, old.outcome), (Some(Side::Egress), Outcome::Audited));
    }

    #[test]
    fn a_match_on_a_denial_is_a_rule_or_authentication() {
        let line = |auth: &str, matched: &str| {
            record(&format!("Policy verdict log: flow 0x1 local EP ID 9, remote ID 22, proto 17, egress, action deny, auth: {auth}, match {matched}, 10.9.1.2:60218 -> 10.9.1.3:53 udp")).flow.outcome
        };
        assert_eq!(line("disabled", "L3-Only"), Outcome::Denied(Denial::Rule));
        assert_eq!(line("spire", "L3-L4"), Outcome::Denied(Denial::Authentication));
        assert_eq!(line("disabled", "none"), Outcome::Denied(Denial::Default));
    }

    #[test]
    fn what_is_blackened_is_kept_out_and_a_missing_port_is_said() {
        let line = |connection: &str| {
            format!("xx drop (Policy denied) flow 0x1 to endpoint 5, identity 300->400: {connection}")
        };
        let flow = record(&line("10.xx.0.xx:1234 -> 10.xx.0.yy:80 tcp SYN")).flow;
        assert_eq!((flow.source.ip, flow.side), (None, Some(Side::Ingress)));
        assert!(
            matches!(read(&line("10.0.x.y:1 -> 10.0.a.b:c tcp SYN")), Some((Told::Broken(why), _)) if why.contains("\"c\""))
        );
    }

    #[test]
    fn a_denied_request_is_read_from_text_and_json() {
        let flow = record(
            "<- Request http from 0 ([k8s:id=a k8s:io.kubernetes.pod.namespace=x]) to 139 ([k8s:id=b]), identity 3338->4545, verdict Denied GET http://b/private => 403",
        )
        .flow;
        assert_eq!(flow.outcome, Outcome::Denied(Denial::Request));
        assert_eq!(flow.request, Some(Request::http("GET", "http://b/private")));
        assert_eq!(flow.source.labels.len(), 2);
        let json = r#"{"type":"logRecord","observationPoint":"Ingress","flowType":"Request","l7Proto":"http","srcEpLabels":["k8s:io.kubernetes.pod.namespace=x","k8s:id=a"],"srcIdentity":3338,"dstEpLabels":["k8s:id=b"],"DstIdentity":4545,"verdict":"Denied","http":{"Method":"GET","URL":{"Host":"b","Path":"/private","User":null}}}"#;
        match read_json(json) {
            Some((Some(Told::Record(record)), LineKind::MonitorRequest)) => assert_eq!(record.flow, flow),
            _ => panic!("no request"),
        }
    }

    #[test]
    fn a_drop_is_read_from_json() {
        let json = r#"{"cpu":"CPU 01:","type":"drop","mark":"0x1","reason":"Policy denied","source":7,"bytes":74,"srcLabel":300,"dstLabel":2,"dstID":0,"Line":1,"File":2,"summary":{"ethernet":"x","ipv4":"y","tcp":"{SrcPort=40000 DstPort=443(https) SYN=true ACK=false}","l2":{"src":"a","dst":"b"},"l3":{"src":"10.9.0.1","dst":"192.0.2.1"},"l4":{"src":"40000","dst":"443"}}}"#;
        match read_json(json) {
            Some((Some(Told::Record(record)), LineKind::MonitorDrop)) => {
                assert_eq!(record.flow.packet, Packet::Port(Transport::Tcp, 443));
                assert_eq!(record.flow.destination.labels, [Label::reserved("world")]);
                assert!(!record.flow.reply);
            }
            _ => panic!("no drop"),
        }
    }
}
