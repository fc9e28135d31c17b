//! `-> Request http from …`: what a proxy saw (`flow-formats.md` 3.4).

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::part;
use crate::flow::record::{Event, Record, Unjudged};
use crate::flow::text::Told;
use crate::flow::text::host::{Host, Identity};
use crate::flow::{Denial, Endpoint, Flow, Outcome, Request, labels, reason};
use crate::label::Label;
use crate::traffic::{Packet, Side, Transport};

pub(super) static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?P<arrow><-|->|\?\?) (?P<kind>Request|Response) (?P<protocol>\S+) ",
        r"(?:from (?P<from>\S+) \((?P<from_labels>[^)]*)\) to (?P<to>\S+) \((?P<to_labels>[^)]*)\)",
        r"|to (?P<rto>\S+) \([^)]*\) from (?P<rfrom>\S+) \([^)]*\)), ",
        r"identity (?P<source>\S+?)->(?P<destination>[^ ,]+), verdict (?P<verdict>\S+)(?P<tail>.*)$",
    ))
    .ok()
});

pub(super) fn told(found: &Captures<'_>) -> Result<Told, String> {
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
        let labels = labels_of(labels.trim_matches(['[', ']']).split_ascii_whitespace());
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
pub(super) fn labels_of<'a>(words: impl Iterator<Item = &'a str>) -> Vec<Label> {
    labels::read(words.filter(|word| word.contains(':')))
}

/// A request, or the answer to one.
pub(super) fn proxied(
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
