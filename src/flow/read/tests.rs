use super::*;
use crate::flow::{BrokenKind, Denial, Keep, Outcome, Request, tally};
use crate::label::Label;
use crate::traffic::{Packet, Side, Transport};

fn read_bytes(bytes: Vec<u8>) -> (Vec<Record>, Summary) {
    let mut records = Vec::new();
    let input = Input::Stream("test".into(), Box::new(io::Cursor::new(bytes)));
    let summary = read(vec![input], Options::default(), &mut |record| records.push(record));
    (records, summary)
}

fn one(text: &str) -> Record {
    let (mut records, summary) = read_bytes(text.into());
    assert_eq!(records.len(), 1, "{summary:?}");
    records.remove(0)
}

const WRAPPED: &str = r#"{"flow":{"time":"2026-02-03T04:05:06.000000007Z","uuid":"00000000-0000-0000-0000-0000000000ff","verdict":"DROPPED","drop_reason":133,"IP":{"source":"10.9.0.1","destination":"192.0.2.7","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":50123,"destination_port":443,"flags":{"SYN":true}}},"source":{"ID":7,"identity":3000,"namespace":"shop","labels":["k8s:io.kubernetes.pod.namespace=shop","k8s:app=cart"],"pod_name":"cart-6d5f-x2x","workloads":[{"name":"cart","kind":"Deployment"}]},"destination":{"identity":16777300,"labels":["reserved:world","fqdn:api.example.org"]},"Type":"L3_L4","event_type":{"type":5},"destination_names":["b.example.org.","api.example.org"],"destination_service":{"name":"api","namespace":"out"},"traffic_direction":"EGRESS","drop_reason_desc":"POLICY_DENIED"},"node_name":"c/n1","time":"2026-02-03T04:05:06.000000007Z"}"#;

#[test]
fn a_wrapped_record_is_read_whole() {
    let record = one(WRAPPED);
    let flow = &record.flow;
    let namespace = Label::k8s("io.kubernetes.pod.namespace", "shop");
    assert_eq!(flow.source.labels, [Label::k8s("app", "cart"), namespace]);
    assert_eq!(flow.source.workload.as_ref().unwrap().name.as_ref(), "cart");
    assert_eq!(flow.source.identity, Some(3000));
    assert_eq!(flow.destination.ip, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(flow.destination.names, ["api.example.org".into(), "b.example.org".into()]);
    assert_eq!(flow.destination.service.as_ref().unwrap().name.as_ref(), "api");
    assert_eq!(flow.packet, Packet::Port(Transport::Tcp, 443));
    assert_eq!((flow.source_port, flow.side), (Some(50123), Some(Side::Egress)));
    assert_eq!(flow.outcome, Outcome::Denied(Denial::Default));
    assert!(!flow.reply);
    assert_eq!((record.uuid, record.weight, record.origin.line), (Some(255), 1, 1));
    assert_eq!(record.time.unwrap().to_string(), "2026-02-03T04:05:06.000000007Z");
}

#[test]
fn flat_camel_case_shuffled_and_numbered_records_say_the_same() {
    let flat = r#"{"drop_reason_desc":133, "trafficDirection":2,"eventType":{"type":"5"},"destinationNames":["b.example.org","api.example.org"],"destination":{"labels":["reserved:world","fqdn:api.example.org"],"identity":"16777300"},"source":{"workloads":[{"kind":"Deployment","name":"cart"}],"podName":"cart-6d5f-x2x","labels":["k8s:app=cart","k8s:io.kubernetes.pod.namespace=shop"],"namespace":"shop","identity":3000,"newer":{"a":[1]}},"destinationService":{"namespace":"out","name":"api"},"l4":{"TCP":{"destinationPort":443,"sourcePort":"50123","flags":{"SYN":true}}},"IP":{"destination":"192.0.2.7","source":"10.9.0.1"},"verdict":2,"uuid":"000000000000000000000000000000ff","time":"2026-02-03T04:05:06.000000007Z","extensions":null}"#;
    assert_eq!(one(flat), one(WRAPPED));
}

#[test]
fn a_side_is_believed_only_from_verdicts_drops_and_proxies() {
    let trace = WRAPPED.replace("DROPPED", "FORWARDED").replace(r#""type":5"#, r#""type":4"#);
    let record = one(&trace);
    assert_eq!((record.flow.outcome, record.flow.side), (Outcome::Forwarded, None));
    let masked =
        WRAPPED.replace(r#""event_type":{"type":5},"#, "").replace(r#""traffic_direction":"EGRESS","#, "");
    assert_eq!(one(&masked).flow.side, Some(Side::Egress), "the only local end is the source");
}

#[test]
fn a_refused_request_is_a_denial_without_a_reason_and_its_response_is_none() {
    let l7 = |kind: &str, verdict: &str| {
        let http = r#"{"method":"PUT","url":"http://api/x"}"#;
        WRAPPED
            .replace(r#"DROPPED","drop_reason":133"#, &format!(r#"{verdict}""#))
            .replace(
                r#""drop_reason_desc":"POLICY_DENIED""#,
                &format!(r#""is_reply":false,"l7":{{"type":"{kind}","http":{http}}}"#),
            )
            .replace(r#""type":5"#, r#""type":129"#)
    };
    let record = one(&l7("REQUEST", "DROPPED"));
    assert_eq!(record.flow.outcome, Outcome::Denied(Denial::Request));
    assert_eq!(record.flow.request, Some(Request::http("PUT", "http://api/x")));
    let numbered_as_a_drop = l7("REQUEST", "DROPPED").replace(r#""type":129"#, r#""type":1,"sub_type":0"#);
    assert_eq!(one(&numbered_as_a_drop).flow, record.flow, "a request is a proxy's, whatever its number");
    assert!(read_bytes(l7("RESPONSE", "DROPPED").into()).0.is_empty());
    assert_eq!(one(&l7("RESPONSE", "FORWARDED")).flow.outcome, Outcome::Forwarded);
}

#[test]
fn a_reply_is_guessed_only_where_the_record_is_silent() {
    let ports = r#""source_port":50123,"destination_port":443,"flags":{"SYN":true}"#;
    let turned = r#""source_port":443,"destination_port":50123,"flags":{"SYN":true,"ACK":true}"#;
    let answer = WRAPPED.replace(ports, turned);
    assert!(one(&answer).flow.reply);
    let denied = answer.replace(r#""Type":"#, r#""is_reply":false,"Type":"#);
    assert!(!one(&denied).flow.reply);
}

#[test]
fn what_is_no_flow_is_counted_and_passed_over() {
    let text = [
        r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"12"}}"#,
        r#"{"node_status":{"state_change":"NODE_ERROR"}}"#,
        "",
        r#"{"flow":{}}"#,
        r#"{"a":1}"#,
        r#"{"flow":{"verd"#,
        r#"{"flow":[]}"#,
        r#"{"flow":{"ti"#,
    ];
    let (records, summary) = read_bytes(text.join("\n").into());
    assert!(records.is_empty());
    assert_eq!(summary.lost_events, 12);
    assert_eq!(summary.total_lines(), 8);
    assert_eq!(summary.unfinished, 1, "half a record at the end is no error");
    assert_eq!(summary.broken_lines(), 3);
    assert_eq!(summary.broken[&BrokenKind::Json].first[0].origin.line, 6);
}

#[test]
fn records_come_in_order_whatever_the_cores_do() {
    let text: String = (1..=20_000).map(|n| WRAPPED.replace("50123", &n.to_string()) + "\n").collect();
    let (records, _) = read_bytes(text.into());
    let ports: Vec<u16> = records.iter().map(|record| record.flow.source_port.unwrap()).collect();
    assert_eq!(ports, (1..=20_000).collect::<Vec<u16>>());
    assert!(records.iter().zip(1..).all(|(record, line)| record.origin.line == line));
}

#[test]
fn bytes_that_are_no_text_spoil_only_their_own_line() {
    let mut bytes = b"\0\0\0".to_vec();
    bytes.extend_from_slice(WRAPPED.as_bytes());
    bytes.extend_from_slice(b"\n\xff\xfe\n");
    bytes.extend_from_slice(WRAPPED.replace("cart-6d5f-x2x", "\u{1}").as_bytes());
    bytes.extend_from_slice(b"\n");
    bytes.extend_from_slice(WRAPPED.as_bytes());
    let (records, summary) = read_bytes(bytes);
    assert_eq!((records.len(), summary.broken_lines()), (2, 2));
}

/// The records and the summary of a text in which `FLOW` stands for a record.
fn read_template(template: &str) -> (Vec<Record>, Summary) {
    read_bytes(template.replace("FLOW", WRAPPED).into())
}

#[test]
fn printed_json_and_arrays_are_read_over_many_lines() {
    let value: serde_json::Value = serde_json::from_str(WRAPPED).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let array = serde_json::to_string_pretty(&[&value, &value]).unwrap();
    for (text, count) in [
        (format!("{pretty}\n{pretty}\n"), 2),
        (array.clone(), 2),
        (format!("[{WRAPPED},{WRAPPED}]"), 2),
        (format!("[\n{WRAPPED},\n{WRAPPED}\n]\n"), 2),
        (format!("{array}\n{WRAPPED}"), 3),
    ] {
        let (records, summary) = read_bytes(text.clone().into());
        assert_eq!((records.len(), summary.broken_lines(), summary.unfinished), (count, 0, 0), "{text}");
        assert_eq!(records[count - 1].flow, one(WRAPPED).flow);
    }
    let (records, summary) = read_bytes(format!("{{\n\"flow\": {{\n{WRAPPED}\n").into());
    assert_eq!((records.len(), summary.broken_lines()), (1, 1), "a torn document does not swallow a record");
    let half = pretty.get(..pretty.len() / 2).unwrap();
    let (records, summary) = read_bytes(half.into());
    assert_eq!((records.len(), summary.broken_lines(), summary.unfinished), (0, 0, 1));
}

#[test]
fn lines_that_a_runtime_has_cut_are_put_together() {
    let (start, end) = WRAPPED.split_at(300);
    let cri = format!(
        "2026-02-03T04:05:06.7Z stdout P {start}\n2026-02-03T04:05:06.7Z stderr F Press Ctrl-C\n\
         2026-02-03T04:05:06.7Z stdout F {end}\n2026-02-03T04:05:06.8Z stdout F {WRAPPED}\n"
    );
    let (records, summary) = read_bytes(cri.into());
    assert_eq!((records.len(), summary.broken_lines()), (2, 0), "{summary:?}");
    let docker = |log: &str| serde_json::json!({"log": log, "stream": "stdout", "time": "t"}).to_string();
    let text = [docker(start), docker(&format!("{end}\n")), docker(&format!("{WRAPPED}\n"))].join("\n");
    let (records, summary) = read_bytes(text.into());
    assert_eq!((records.len(), summary.broken_lines()), (2, 0), "{summary:?}");
    assert_eq!(records[0].flow, one(WRAPPED).flow);
}

#[test]
fn envelopes_are_opened_whatever_they_hold() {
    let inside = |text: &str| serde_json::Value::from(text).to_string();
    let loki =
        format!(r#"{{"status":"success","data":{{"result":[{{"values":[["1",{}]]}}]}}}}"#, inside(WRAPPED));
    for text in [
        loki,
        format!(r#"{{"log":{},"stream":"stdout"}}"#, inside(WRAPPED)),
        format!(r#"{{"message":{}}}"#, inside(WRAPPED)),
        format!(r#"{{"_index":"a","_source":{WRAPPED}}}"#),
        format!(r#"{{"_source":{{"log":{}}}}}"#, inside(WRAPPED)),
        format!("level=info msg={}", inside(WRAPPED)),
        "drops.json:FLOW".into(),
        "[pod/cilium-x/cilium-agent] FLOW".into(),
    ] {
        let (records, summary) = read_template(&text);
        assert_eq!(records.len(), 1, "{text}: {summary:?}");
        assert_eq!(records[0].flow, one(WRAPPED).flow);
    }
    let endless = (0..9).fold(WRAPPED.to_owned(), |text, _| format!(r#"{{"_source":{text}}}"#));
    assert_eq!(read_bytes(endless.into()).1.broken_lines(), 1);
}

#[test]
fn a_mixture_is_decided_line_by_line() {
    let text = "Defaulted container \"cilium-agent\" out of: cilium-agent\n\
        FLOW\n\
        May  3 10:11:12.131: a/b:1 (ID:300) <> c/d:2 (ID:301) Policy denied DROPPED (UDP)\n\
        xx drop (Policy denied) flow 0x1 to endpoint 0, identity 300->400: 10.9.0.1:1 -> 10.9.0.2:53 udp\n\
        \x20 TIMESTAMP: May  3 10:11:12.131\n     SOURCE: 10.9.0.1:1\nDESTINATION: 10.9.0.2:53\n\
        \x20      TYPE: Policy denied\n    VERDICT: DROPPED\n    SUMMARY: UDP\n";
    let (records, summary) = read_template(text);
    assert_eq!((records.len(), summary.broken_lines()), (4, 0), "{summary:?}");
}

/// What `tally` makes of a text in a pool of so many threads, from within it.
fn tallied_within_a_pool(text: &str, threads: usize) -> (Summary, Vec<u8>) {
    let text = text.to_owned();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let tallied = pool.install(|| {
            let input = Input::Stream("test".into(), Box::new(io::Cursor::new(text.into_bytes())));
            let tally = tally(vec![input], Options::default(), Keep::default());
            let mut rows = Vec::new();
            tally.write(&mut rows).unwrap();
            (tally.summary, rows)
        });
        sender.send(tallied).unwrap();
    });
    receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("the pool does not wait for itself")
}

#[test]
fn logs_are_tallied_within_a_pool_alike_whatever_its_size() {
    let lines = (1..=20_000).map(|n| {
        let line = WRAPPED.replace("50123", &n.to_string()).replace("443", &(n % 700).to_string());
        if n % 3000 == 0 { line.replace('{', "{\n") } else { line }
            .replace("cart\"", &format!("{}\"", n % 41))
            + "\n"
    });
    let text: String = lines.collect();
    let alone = tallied_within_a_pool(&text, 1);
    assert!(alone.0.records >= 19_990 && alone.0.broken_lines() == 0, "{:?}", alone.0);
    for threads in [2, 5] {
        assert_eq!(tallied_within_a_pool(&text, threads), alone);
    }
}
