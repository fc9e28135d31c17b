//! `cilium-dbg monitor`, of all versions (`flow-formats.md` 3). Identities, but
//! neither times nor names.

mod connection;
mod drop;
mod json;
mod request;
mod verdict;

use std::sync::LazyLock;

use regex::{Captures, Regex};

pub(crate) use self::json::read_json;
use super::Told;
use crate::flow::LineKind;

/// Reads a line of text; `None` if it is not the monitor's.
pub(crate) fn read(line: &str) -> Option<(Told, LineKind)> {
    if let Some(line) = line.find("xx drop (").and_then(|at| line.get(at..)) {
        return Some((found(&drop::LINE, line, drop::told), LineKind::MonitorDrop));
    }
    if let Some(line) = line.find("Policy verdict log: ").and_then(|at| line.get(at..)) {
        return Some((found(&verdict::LINE, line, verdict::told), LineKind::MonitorVerdict));
    }
    let is_request = ["<- ", "-> ", "?? "].iter().any(|arrow| {
        let rest = line.strip_prefix(arrow);
        rest.is_some_and(|rest| rest.starts_with("Request ") || rest.starts_with("Response "))
    });
    is_request.then(|| (found(&request::LINE, line, request::told), LineKind::MonitorRequest))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::record::Record;
    use crate::flow::{Denial, Outcome, Request};
    use crate::label::Label;
    use crate::traffic::{Packet, Side, Transport};

    fn record(line: &str) -> Record {
        match read(line) {
            Some((Told::Record(record), _)) => *record,
            Some((Told::Broken(why), _)) => panic!("{line}: {why}"),
            _ => panic!("no record: {line}"),
        }
    }

    #[test]
    fn the_expressions_compile() {
        assert!([&drop::LINE, &verdict::LINE, &request::LINE].into_iter().all(|line| line.is_some()));
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
        let answer = r#"{"type":"logRecord","observationPoint":"Egress","flowType":"Response","srcIdentity":3338,"DstIdentity":4545,"verdict":"Forwarded","dns":{"Query":"a.example.","IPs":["192.0.2.7"]}}"#;
        match read_json(answer) {
            Some((Some(Told::Record(record)), _)) => {
                assert_eq!(record.answers, [([192, 0, 2, 7].into(), "a.example".into())]);
            }
            _ => panic!("no answer"),
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
