//! Kubernetes events `PacketDrop` (`flow-formats.md` 1.9), as text and as objects.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::host::{Host, Identity, known};
use crate::flow::record::{Event, Record};
use crate::flow::{Endpoint, Flow, reason};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};

static MESSAGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<direction>Incoming|Outgoing) packet dropped \((?P<reason>[A-Za-z0-9_]+)\) (?:from|to) ",
        r"(?P<peer>\S+)(?: \((?P<ip>[^)]*)\))?",
        r"(?: (?P<protocol>TCP|UDP|SCTP|ICMPv4|ICMPv6)(?:/(?P<port>\d+))?)?",
    ))
    .ok()
});

/// The pod that an event is about.
#[derive(Default)]
pub(crate) struct Object<'a> {
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

/// Reads a line of `kubectl get events`, or a message alone; `None` if it is neither.
pub(crate) fn read(line: &str) -> Option<Record> {
    let (before, _) = line.split_once(" packet dropped (")?;
    let words: Vec<&str> = before.split_ascii_whitespace().collect();
    // With --all-namespaces the namespace is the first column.
    let name = words.iter().find_map(|word| word.strip_prefix("pod/"));
    let namespace =
        (words.iter().position(|&word| word == "Warning") == Some(2)).then(|| words.first().copied());
    read_message(line, &Object { namespace: namespace.flatten(), name }, None)
}

/// Reads the message of an event about `object`; `None` if it is of another kind.
pub(crate) fn read_message(message: &str, object: &Object<'_>, time: Option<Timestamp>) -> Option<Record> {
    let found = MESSAGE.as_ref()?.captures(message)?;
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    let (side, incoming) = match part("direction") {
        "Incoming" => (Side::Ingress, true),
        _ => (Side::Egress, false),
    };
    let port = part("port").parse().unwrap_or(0);
    let packet = match part("protocol") {
        "TCP" => Packet::Port(Transport::Tcp, port),
        "UDP" => Packet::Port(Transport::Udp, port),
        "SCTP" => Packet::Port(Transport::Sctp, port),
        // The message leaves the type out; what is sent to be dropped is an echo request.
        "ICMPv4" => Packet::Icmp(IcmpFamily::V4, 8),
        "ICMPv6" => Packet::Icmp(IcmpFamily::V6, 128),
        _ => Packet::Other(None),
    };
    let object = Endpoint {
        namespace: object.namespace.and_then(known),
        pod: object.name.and_then(known),
        ..Endpoint::default()
    };
    let peer = peer(part("peer").trim_end_matches('.'), part("ip"));
    let (source, destination) = if incoming { (peer, object) } else { (object, peer) };
    Some(Record {
        time,
        event: Event::Drop,
        ..Record::new(Flow {
            source: source.into(),
            destination: destination.into(),
            packet,
            source_port: None,
            outcome: reason::outcome(&part("reason").to_ascii_uppercase()),
            side: Some(side),
            request: None,
            denied_by: Vec::new(),
            reply: false,
        })
    })
}

/// `namespace/pod (ip)`, `reserved-name (ip)` or an address.
fn peer(name: &str, ip: &str) -> Endpoint {
    let is_reserved = !name.contains('/') && name.parse::<std::net::IpAddr>().is_err();
    let (name, identity) = if is_reserved { (ip, Identity::read(name)) } else { (name, Identity::default()) };
    let end = Host::read(name, identity).unwrap_or_default().end;
    Endpoint { ip: end.ip.or_else(|| ip.parse().ok()), ..end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Denial, Outcome};
    use crate::label::Label;

    #[test]
    fn an_event_tells_the_pod_and_its_peer() {
        let line = "7m2s   Warning   PacketDrop   pod/cart-0   Outgoing packet dropped (policy_denied) to pay/gate-0 (10.9.0.2) TCP/8443";
        let flow = read(line).unwrap().flow;
        assert_eq!(flow.source.pod.as_deref(), Some("cart-0"));
        assert_eq!(flow.destination.namespace.as_deref(), Some("pay"));
        assert_eq!(flow.destination.ip, Some("10.9.0.2".parse().unwrap()));
        assert_eq!((flow.side, flow.outcome), (Some(Side::Egress), Outcome::Denied(Denial::Default)));
        assert_eq!(flow.packet, Packet::Port(Transport::Tcp, 8443));
    }

    #[test]
    fn a_message_alone_is_enough_and_its_tail_is_passed_over() {
        let line = "Incoming packet dropped (policy_deny) from remote-node (192.0.2.3) UDP/53. Denied by policies: x";
        let flow = read(line).unwrap().flow;
        assert_eq!(flow.source.labels, [Label::reserved("remote-node")]);
        assert_eq!(flow.source.ip, Some("192.0.2.3".parse().unwrap()));
        assert_eq!(flow.outcome, Outcome::Denied(Denial::Rule));
        let icmp = read("Outgoing packet dropped (policy_denied) to 192.0.2.8 ICMPv4.").unwrap().flow;
        assert_eq!(icmp.destination.ip, Some("192.0.2.8".parse().unwrap()));
        assert_eq!(icmp.packet, Packet::Icmp(IcmpFamily::V4, 8));
    }
}
