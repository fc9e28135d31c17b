//! Our verdict is Cilium's verdict: random policy sets and the worked cases, with
//! the answers of Cilium's own engine (tests/conformance/README.md).

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use policyfix::engine::{
    Enforcement, Engine, Identity, IdentityId, NamedPort, Options, Resolver, SideVerdict,
};
use policyfix::label::Label;
use policyfix::manifest::objects;
use policyfix::policy::{Context, Namespace, PolicyKind, decode, is_policy};
use policyfix::source::FileId;
use policyfix::traffic::{IcmpFamily, Packet, Side, Transport};
use policyfix::version::CiliumVersion;
use policyfix::yaml::parse;
use serde_json::Value;

fn lines(name: &str) -> impl Iterator<Item = Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader: Box<dyn Read> =
        if name.ends_with(".gz") { Box::new(flate2::read::GzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(reader).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map_or(Vec::new(), |list| list.iter().filter_map(Value::as_str).collect())
}

fn transport(name: &str) -> Transport {
    match name {
        "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        "SCTP" => Transport::Sctp,
        other => panic!("{other}"),
    }
}

fn identity(endpoint: &Value) -> Identity {
    let mut labels: Vec<Label> = texts(&endpoint["labels"]).into_iter().map(Label::parse).collect();
    if labels.is_empty() && endpoint["ip"].is_string() {
        labels.push(Label::reserved("world"));
    }
    let mut named_ports = Vec::new();
    for (protocol, ports) in endpoint["namedPorts"].as_object().into_iter().flatten() {
        for (name, port) in ports.as_object().into_iter().flatten() {
            let port = u16::try_from(port.as_u64().unwrap()).unwrap();
            named_ports.push(NamedPort { name: name.as_str().into(), transport: transport(protocol), port });
        }
    }
    Identity {
        labels,
        ip: endpoint["ip"].as_str().map(|ip| ip.parse().unwrap()),
        names: texts(&endpoint["names"]).into_iter().map(Into::into).collect(),
        named_ports,
    }
}

fn packet(flow: &Value) -> Packet {
    let port = flow["port"].as_u64().unwrap_or(0);
    match flow["proto"].as_str().unwrap() {
        "ICMP" => Packet::Icmp(IcmpFamily::V4, port as u8),
        "ICMPv6" => Packet::Icmp(IcmpFamily::V6, port as u8),
        name => Packet::Port(transport(name), port as u16),
    }
}

/// Judges all flows of a case: for each its two words.
fn answers(case: &Value, version: CiliumVersion) -> Vec<[&'static str; 2]> {
    let policies = texts(&case["policies"]);
    let trees: Vec<_> = policies.iter().enumerate().map(|(i, text)| parse(FileId(i as u32), text)).collect();
    let mut decoded = Vec::new();
    for tree in &trees {
        for object in objects(tree) {
            let namespace = match is_policy(&object) {
                Some(PolicyKind::Ccnp) => Namespace::Clusterwide,
                _ => object.namespace.as_ref().map_or(Namespace::Known("default".into(), None), |ns| {
                    Namespace::Known(ns.value.clone(), Some(ns.span))
                }),
            };
            let context = Context { namespace, substitute: &|text| text };
            decoded.extend(decode(&object, context));
        }
    }
    let enforcement = case["mode"].as_str().map_or(Enforcement::Default, |mode| mode.parse().unwrap());
    let options = Options { version, enforcement, ..Options::default() };
    let mut engine = Engine::new(&decoded, Resolver::default(), options);
    let ids: BTreeMap<&str, IdentityId> = case["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| (endpoint["name"].as_str().unwrap(), engine.identify(identity(endpoint))))
        .collect();
    let flows = case["flows"].as_array().unwrap().iter();
    flows
        .map(|flow| {
            let (from, to) = (ids[flow["from"].as_str().unwrap()], ids[flow["to"].as_str().unwrap()]);
            Side::BOTH.map(|side| as_recorded(&engine, from, to, side, packet(flow)))
        })
        .collect()
}

/// The random sets record Cilium's `redirect` (allowed at L4, a proxy decides) as
/// `deny` where the proxy is the only way: they were made without a proxy, and
/// what Cilium offers for asking its engine (`LookupFlow` in `pkg/policy/lookup.go`)
/// knows no redirects yet, as it says itself. That this is so exactly there is part
/// of what is compared.
fn as_recorded(
    engine: &Engine,
    from: IdentityId,
    to: IdentityId,
    side: Side,
    packet: Packet,
) -> &'static str {
    let verdict = engine.judge(from, to, packet).on(side);
    let (subject, peer) = if side == Side::Egress { (from, to) } else { (to, from) };
    match verdict {
        SideVerdict::Allowed { proxied: true, .. }
            if engine.only_through_proxy(subject, peer, side, packet) =>
        {
            "deny"
        }
        verdict => verdict.word(),
    }
}

fn compare(
    case: &Value,
    version: CiliumVersion,
    wanted: impl Fn(usize, &Value) -> [String; 2],
) -> Vec<String> {
    let got = answers(case, version);
    let mut wrong = Vec::new();
    for (i, (flow, got)) in case["flows"].as_array().unwrap().iter().zip(got).enumerate() {
        let want = wanted(i, flow);
        if got != want {
            wrong.push(format!(
                "{} in {version}: {} -> {} {} {}: Cilium says {want:?}, we say {got:?}",
                case["id"], flow["from"], flow["to"], flow["proto"], flow["port"],
            ));
        }
    }
    wrong
}

fn side_words(answer: &Value) -> [String; 2] {
    let word = |side: &str| {
        let word = answer[side].as_str().unwrap();
        match word {
            "redirect" => "allow".to_owned(),
            word if word.starts_with("error") => "error".to_owned(),
            word => word.to_owned(),
        }
    };
    [word("egress"), word("ingress")]
}

#[test]
fn every_verdict_that_holds_in_all_releases_is_ciliums() {
    let mut wrong = Vec::new();
    for case in lines("verdicts.jsonl.gz") {
        for version in [CiliumVersion::V1_18, CiliumVersion::V1_20] {
            wrong.extend(compare(&case, version, |_, flow| side_words(flow)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong, first:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn every_verdict_of_a_release_is_that_releases() {
    let mut wrong = Vec::new();
    for case in lines("verdicts-by-version.jsonl.gz") {
        for (name, version) in [("1.18", CiliumVersion::V1_18), ("1.20", CiliumVersion::V1_20)] {
            wrong.extend(compare(&case, version, |_, flow| side_words(&flow[name])));
        }
    }
    assert!(wrong.is_empty(), "{} wrong, first:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn the_worked_cases_hold() {
    let mut wrong = Vec::new();
    for case in lines("worked-cases.jsonl") {
        let wanted = &case["expect"]["verdicts"];
        wrong.extend(compare(&case, CiliumVersion::V1_18, |i, _| side_words(&wanted[i])));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
