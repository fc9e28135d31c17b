use std::collections::VecDeque;
use std::io::Cursor;

use std::ops::ControlFlow;

use super::*;
use crate::flow::Denial;
use crate::label::Label;
use crate::traffic::Transport;

/// A denied packet to port `port`, at `micros` after a fixed time.
struct Packets<'a> {
    uuid: u32,
    event: u8,
    micros: u32,
    source_port: u16,
    port: u16,
    pod: &'a str,
    verdict: &'a str,
    more: &'a str,
}

const PACKET: Packets<'_> = Packets {
    uuid: 0,
    event: 5,
    micros: 0,
    source_port: 40000,
    port: 80,
    pod: "cart-1",
    verdict: "DROPPED",
    more: "",
};

impl Packets<'_> {
    fn line(&self) -> String {
        let Packets { uuid, event, micros, source_port, port, pod, verdict, more } = self;
        let reason = if *verdict == "DROPPED" { r#""drop_reason_desc":"POLICY_DENIED","# } else { "" };
        let uuid = if *uuid == 0 { String::new() } else { format!(r#""uuid":"{uuid:032x}","#) };
        format!(
            r#"{{"flow":{{"time":"2026-05-04T03:02:01.{micros:06}Z",{uuid}"verdict":"{verdict}",{reason}"IP":{{"source":"10.1.0.1","destination":"10.1.0.2"}},"l4":{{"UDP":{{"source_port":{source_port},"destination_port":{port}}}}},"source":{{"identity":3001,"labels":["k8s:app=cart","k8s:io.kubernetes.pod.namespace=shop"],"pod_name":"{pod}"}},"destination":{{"identity":3002,"labels":["k8s:app=pay","k8s:io.kubernetes.pod.namespace=pay"]}},"event_type":{{"type":{event}}},"traffic_direction":"INGRESS"{more}}}}}"#
        ) + "\n"
    }
}

fn input(name: &str, text: &str) -> Input {
    Input::Stream(name.into(), Box::new(Cursor::new(text.to_owned().into_bytes())))
}

fn tally_of(text: &str) -> Tally {
    tally(vec![input("a", text)], Options::default(), Keep::default())
}

fn written(tally: &Tally) -> String {
    let mut out = Vec::new();
    tally.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn counts(text: &str) -> Vec<u64> {
    tally_of(text).distinct().iter().map(|distinct| distinct.count).collect()
}

#[test]
fn pods_retries_and_source_ports_are_one_flow_with_a_count() {
    let text: String = (0..5)
        .map(|n| {
            Packets {
                source_port: 40000 + n,
                pod: &format!("cart-{n}"),
                micros: 2000 * u32::from(n),
                ..PACKET
            }
            .line()
        })
        .collect();
    let all = tally_of(&text).distinct();
    assert_eq!(all.len(), 1);
    let distinct = &all[0];
    assert_eq!(distinct.count, 5);
    assert_eq!(distinct.flow.packet, Packet::Port(Transport::Udp, 80));
    assert_eq!(distinct.flow.source_port, Some(40000), "the first stands for all");
    let (first, last) = distinct.span.unwrap();
    assert_eq!((first.subsec_microsecond(), last.subsec_nanosecond()), (0, 8_000_000));
    let lines: Vec<u64> = distinct.examples.iter().map(|example| example.line).collect();
    assert_eq!((lines, &*distinct.examples[0].input), (vec![1, 2, 3], "a"));
}

#[test]
fn the_verdict_and_the_drop_of_a_packet_count_once() {
    let pair = |micros| {
        Packets { micros, ..PACKET }.line() + &Packets { event: 1, micros: micros + 12, ..PACKET }.line()
    };
    assert_eq!(counts(&(pair(0) + &pair(500_000))), [2]);
    assert_eq!(counts(&Packets { event: 1, ..PACKET }.line()), [1], "either may come alone");
}

#[test]
fn the_verdict_knows_better_than_a_drop_without_direction() {
    let drop = Packets { event: 1, ..PACKET }.line().replace(r#","traffic_direction":"INGRESS""#, "");
    let all = tally_of(&(drop + &Packets { micros: 5, ..PACKET }.line())).distinct();
    assert_eq!(all.iter().map(|d| (d.count, d.flow.side)).collect::<Vec<_>>(), [(1, Some(Side::Ingress))]);
}

#[test]
fn the_same_record_twice_counts_once() {
    let text = Packets { uuid: 9, ..PACKET }.line() + &Packets { uuid: 8, micros: 5000, ..PACKET }.line();
    let inputs = vec![input("a", &text), input("b", &text)];
    let tally = tally(inputs, Options::default(), Keep::default());
    assert_eq!((tally.distinct()[0].count, tally.repeated), (2, 2));
}

#[test]
fn what_passed_is_kept_apart_and_traces_before_policy_prove_nothing() {
    let passed = Packets { verdict: "FORWARDED", more: r#","is_reply":false"#, ..PACKET };
    let early = Packets { event: 4, more: r#","trace_observation_point":"FROM_ENDPOINT""#, ..passed };
    let reply = Packets { more: r#","is_reply":true"#, ..passed };
    let all = tally_of(&(passed.line() + &early.line() + &reply.line() + &PACKET.line())).distinct();
    let mut outcomes: Vec<&Outcome> = all.iter().map(|d| &d.flow.outcome).collect();
    outcomes.sort();
    assert_eq!(outcomes, [&Outcome::Forwarded, &Outcome::Denied(Denial::Default)]);
}

#[test]
fn replies_are_gathered_by_the_port_that_answers() {
    let text: String = (0..4)
        .map(|n| Packets { source_port: 53, port: 41000 + n, micros: 2000 * u32::from(n), ..PACKET }.line())
        .collect();
    let all = tally_of(&text).distinct();
    assert_eq!((all.len(), all[0].count, all[0].flow.reply), (1, 4, true));
}

#[test]
fn a_packet_that_goes_back_the_way_of_one_that_passed_is_a_reply() {
    let back = Packets { source_port: 8472, port: 41000, ..PACKET }.line();
    assert!(!tally_of(&back).distinct()[0].flow.reply);
    let there = Packets { port: 8472, verdict: "FORWARDED", more: r#","is_reply":false"#, ..PACKET }.line();
    let there = there
        .replace("3001", "0")
        .replace("3002", "3001")
        .replace("\"identity\":0", "\"identity\":3002")
        .replace("app=cart", "app=x")
        .replace("app=pay", "app=cart")
        .replace("app=x", "app=pay")
        .replace("namespace=shop", "namespace=x")
        .replace("namespace=pay", "namespace=shop")
        .replace("namespace=x", "namespace=pay");
    let all = tally_of(&(there + &back)).distinct();
    let denied = all.iter().find(|d| d.flow.outcome != Outcome::Forwarded).unwrap();
    assert!(denied.flow.reply);
}

#[test]
fn aggregated_records_count_by_their_weight() {
    let more = r#","aggregate":{"ingress_flow_count":4,"egress_flow_count":"3"}"#;
    assert_eq!(counts(&Packets { more, ..PACKET }.line()), [7]);
}

#[test]
fn only_what_is_wanted_is_kept() {
    let audit = Packets { verdict: "AUDIT", ..PACKET }.line();
    let text = PACKET.line() + &Packets { port: 81, micros: 900_000, ..PACKET }.line() + &audit;
    let kept = |keep: Keep| tally(vec![input("a", &text)], Options::default(), keep).distinct().len();
    assert_eq!(kept(Keep::default()), 2);
    assert_eq!(kept(Keep { include_audit: true, ..Keep::default() }), 3);
    assert_eq!(kept(Keep { min_count: 2, ..Keep::default() }), 0);
    assert_eq!(kept(Keep { namespace: Some("pay".into()), ..Keep::default() }), 2);
    assert_eq!(kept(Keep { namespace: Some("other".into()), ..Keep::default() }), 0);
    let since = "2026-05-04T03:02:01.5Z".parse().ok();
    assert_eq!(kept(Keep { since, ..Keep::default() }), 1);
}

#[test]
fn a_dns_answer_names_an_address_and_two_answers_leave_doubt() {
    let answer = |name: &str| {
        format!(
            r#"{{"flow":{{"time":"2026-05-04T03:02:00Z","verdict":"FORWARDED","is_reply":true,"event_type":{{"type":129}},"l7":{{"type":"RESPONSE","dns":{{"query":"{name}.","ips":["192.0.2.4"]}}}}}}}}"#
        ) + "\n"
    };
    let call = PACKET
        .line()
        .replace(r#"["k8s:app=pay","k8s:io.kubernetes.pod.namespace=pay"]"#, r#"["reserved:world"]"#)
        .replace("10.1.0.2", "192.0.2.4");
    let all = tally_of(&(call.clone() + &answer("one.example"))).distinct();
    assert_eq!((all.len(), all[0].ambiguous_names), (1, false));
    assert_eq!(all[0].flow.destination.names, ["one.example".into()]);
    let all = tally_of(&(call + &answer("one.example") + &answer("two.example"))).distinct();
    assert_eq!((all[0].flow.destination.names.len(), all[0].ambiguous_names), (2, true));
}

#[test]
fn an_end_without_labels_gets_those_of_its_identity() {
    let bare =
        PACKET.line().replace(r#""labels":["k8s:app=cart","k8s:io.kubernetes.pod.namespace=shop"],"#, "");
    let other = Packets { port: 99, ..PACKET }.line();
    let all = tally_of(&(bare + &other)).distinct();
    assert!(all.iter().all(|d| d.flow.source.labels.contains(&Label::k8s("app", "cart"))));
}

fn mixture() -> (String, String) {
    let dns = r#"{"flow":{"time":"2026-05-04T03:02:00Z","verdict":"FORWARDED","is_reply":true,"event_type":{"type":129},"l7":{"type":"RESPONSE","dns":{"query":"one.example.","ips":["192.0.2.4"]}}}}"#;
    let request =
        r#","is_reply":false,"l7":{"type":"REQUEST","http":{"method":"GET","url":"http://pay/x?y"}}"#;
    let a = [
        PACKET.line(),
        Packets { event: 1, micros: 12, ..PACKET }.line(),
        Packets { pod: "cart-9", source_port: 3, ..PACKET }.line(),
        Packets { source_port: 53, port: 50000, ..PACKET }.line(),
        Packets { event: 129, more: request, ..PACKET }
            .line()
            .replace(r#""drop_reason_desc":"POLICY_DENIED","#, ""),
        format!("{dns}\n"),
    ];
    let b = [
        Packets { micros: 700, pod: "cart-2", ..PACKET }.line(),
        Packets { verdict: "AUDIT", ..PACKET }.line(),
        Packets { verdict: "FORWARDED", event: 4, more: r#","is_reply":false"#, ..PACKET }.line(),
        PACKET.line().replace("POLICY_DENIED", "FIB_LOOKUP_FAILED"),
        PACKET.line().replace("POLICY_DENIED", "POLICY_DENY").replace(
            r#""event_type""#,
            r#""ingress_denied_by":[{"name":"no","namespace":"pay"}],"event_type""#,
        ),
        Packets { port: 8, ..PACKET }
            .line()
            .replace(r#""UDP":{"source_port":40000,"destination_port":8}"#, r#""ICMPv4":{"type":8}"#),
    ];
    (a.concat(), b.concat())
}

#[test]
fn two_logs_read_together_equal_their_rows_read_together() {
    let (a, b) = mixture();
    let keep = || Keep { include_audit: true, ..Keep::default() };
    let read = |inputs| tally(inputs, Options::default(), keep());
    let together = read(vec![input("a", &a), input("b", &b)]);
    let (rows_a, rows_b) = (read(vec![input("a", &a)]), read(vec![input("b", &b)]));
    let rows = read(vec![input("rows a", &written(&rows_a)), input("rows b", &written(&rows_b))]);
    assert_eq!(written(&rows), written(&together));
    assert_eq!(rows.distinct(), together.distinct());
    let mut merged = rows_a;
    merged.merge(&rows_b);
    assert_eq!(written(&merged), written(&together));
    assert_eq!(rows.summary.broken_lines(), 0);
}

/// A pipe into which one text after the other is written.
struct Pipe(VecDeque<Vec<u8>>);

impl std::io::Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(mut text) = self.0.pop_front() else { return Ok(0) };
        let rest = text.split_off(text.len().min(buffer.len()));
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        buffer[..text.len()].copy_from_slice(&text);
        Ok(text.len())
    }
}

fn followed(parts: Vec<String>, keep: Keep, wanted: usize) -> (Vec<Vec<u64>>, Tally) {
    let mut looks = Vec::new();
    let input =
        Input::Stream("pipe".into(), Box::new(Pipe(parts.into_iter().map(String::into_bytes).collect())));
    let tally = follow(vec![input], keep, &mut |tally| {
        looks.push(tally.distinct().iter().map(|distinct| distinct.count).collect());
        if looks.len() < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    (looks, tally)
}

#[test]
fn a_log_that_goes_on_is_looked_at_when_a_flow_has_become_frequent_enough() {
    let verdict = |micros| Packets { micros, source_port: 40000 + micros as u16, ..PACKET }.line();
    let other = Packets { port: 81, ..PACKET }.line();
    let (half, rest) = other.split_at(other.len() / 2);
    let parts = || vec![verdict(1) + &verdict(2), verdict(3), half.to_owned(), rest.to_owned(), verdict(4)];
    let (looks, tally) = followed(parts(), Keep::default(), 9);
    assert_eq!(looks, [vec![2], vec![3, 1]], "what is told once is not looked at again");
    assert_eq!((tally.summary.records, &*tally.distinct()[0].examples[0].input), (5, "pipe"));
    let (looks, _) = followed(parts(), Keep { min_count: 3, ..Keep::default() }, 9);
    assert_eq!(looks, [vec![3]]);
    let (looks, tally) = followed(parts(), Keep::default(), 1);
    assert_eq!((looks.len(), tally.summary.records), (1, 2), "nobody wants more");
}
