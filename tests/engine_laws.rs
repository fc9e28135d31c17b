//! Laws of the engine that hold for all policies: what an allow may do, what a
//! deny may do, and what makes no difference.

#![allow(clippy::unwrap_used)]

use policyfix::engine::{Engine, Identity, IdentityId, Options};
use policyfix::label::{CLUSTER, Label, NAMESPACE};
use policyfix::model::{Model, Settings, parse_all};
use policyfix::source::{FileId, Source, Sources};
use policyfix::traffic::{Packet, Side, Transport};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAMESPACES: [&str; 2] = ["shop", "bank"];
const APPS: [&str; 3] = ["web", "api", "db"];
const PORTS: [u16; 3] = [80, 443, 5432];

/// A policy with one section.
#[derive(Debug, Clone)]
struct Rule {
    /// None: cluster-wide.
    namespace: Option<&'static str>,
    subject: Value,
    section: &'static str,
    default_deny: Option<bool>,
    elements: Vec<Value>,
}

impl Rule {
    fn manifest(&self, number: usize) -> Value {
        let mut spec = json!({ "endpointSelector": self.subject, (self.section): self.elements });
        if let Some(deny) = self.default_deny {
            let side = self.section.trim_end_matches("Deny");
            spec["enableDefaultDeny"] = json!({ (side): deny });
        }
        let kind =
            if self.namespace.is_some() { "CiliumNetworkPolicy" } else { "CiliumClusterwideNetworkPolicy" };
        let mut metadata = json!({ "name": format!("p{number}") });
        if let Some(namespace) = self.namespace {
            metadata["namespace"] = namespace.into();
        }
        json!({ "apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec })
    }
}

fn selector() -> impl Strategy<Value = Value> {
    let app = prop::sample::select(&APPS);
    let namespace = prop::sample::select(&NAMESPACES);
    prop_oneof![
        1 => Just(json!({})),
        4 => app.clone().prop_map(|app| json!({ "matchLabels": { "app": app } })),
        2 => (app.clone(), namespace).prop_map(|(app, namespace)| {
            json!({ "matchLabels": { "app": app, "k8s:io.kubernetes.pod.namespace": namespace } })
        }),
        1 => app.prop_map(|app| {
            json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": [app] }] })
        }),
    ]
}

fn subject() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(json!({})),
        3 => prop::sample::select(&APPS).prop_map(|app| json!({ "matchLabels": { "app": app } })),
    ]
}

fn peers(side: &'static str) -> impl Strategy<Value = Value> {
    let way = if side == "egress" { "to" } else { "from" };
    let entities = prop::sample::select(&["world", "host", "kube-apiserver", "cluster", "all"]);
    prop_oneof![
        1 => Just(json!({})),
        5 => prop::collection::vec(selector(), 1..3)
            .prop_map(move |selectors| json!({ (format!("{way}Endpoints")): selectors })),
        2 => entities.prop_map(move |entity| json!({ (format!("{way}Entities")): [entity] })),
        1 => Just(json!({ (format!("{way}CIDRSet")): [{ "cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"] }] })),
    ]
}

fn port() -> impl Strategy<Value = Value> {
    let protocol = prop::sample::select(&["TCP", "UDP", "ANY"]);
    let end = prop::option::weighted(0.2, 444_u16..500);
    (prop::sample::select(&PORTS), protocol, end).prop_map(|(port, protocol, end)| {
        let mut written = json!({ "port": port.to_string(), "protocol": protocol });
        if let Some(end) = end.filter(|end| *end > port) {
            written["endPort"] = end.into();
        }
        written
    })
}

fn element(side: &'static str) -> impl Strategy<Value = Value> {
    let ports = prop::option::of(prop::collection::vec(port(), 1..3));
    (peers(side), ports).prop_map(|(mut element, ports)| {
        if let Some(ports) = ports {
            element["toPorts"] = json!([{ "ports": ports }]);
        }
        element
    })
}

fn rule_in(sections: &'static [&'static str]) -> impl Strategy<Value = Rule> {
    prop::sample::select(sections).prop_flat_map(|section| {
        let namespace = prop::option::weighted(0.8, prop::sample::select(&NAMESPACES));
        let side = if section.starts_with("egress") { "egress" } else { "ingress" };
        let elements = prop::collection::vec(element(side), 1..3);
        (namespace, subject(), prop::option::weighted(0.3, any::<bool>()), elements).prop_map(
            move |(namespace, subject, default_deny, elements)| Rule {
                namespace,
                subject,
                section,
                default_deny,
                elements,
            },
        )
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let any_rule = prop_oneof![
        4 => rule_in(&["ingress", "egress"]),
        1 => rule_in(&["ingressDeny", "egressDeny"]),
    ];
    prop::collection::vec(any_rule, 0..6)
}

/// What becomes of every call, and which sides are closed.
#[derive(Debug, PartialEq)]
struct Outcome {
    verdicts: Vec<Verdict>,
    closed: Vec<[bool; 2]>,
}

/// One side of one call.
#[derive(Debug, PartialEq)]
struct Verdict {
    subject: usize,
    side: Side,
    call: String,
    passes: bool,
    word: &'static str,
}

fn outcome(manifests: &[Value]) -> Outcome {
    let text = manifests.iter().map(|manifest| format!("---\n{manifest}\n")).collect::<String>();
    let mut sources = Sources::default();
    sources.add(Source::new("a.yaml".into(), "a.yaml".into(), text));
    let trees = parse_all(&sources);
    let model = Model::read(&sources, &trees, [FileId(1); 2], &Settings::default());
    assert_eq!(model.policies.len(), manifests.len());
    let mut engine = model.engine(Options::default());
    for policy in 0..model.policies.len() {
        assert_eq!(engine.refusals(policy), []);
    }
    let ids = everybody(&mut engine);
    let mut packets = PORTS.map(|port| Packet::Port(Transport::Tcp, port)).to_vec();
    packets.extend([Packet::Port(Transport::Udp, 80), Packet::Port(Transport::Tcp, 470)]);
    let mut verdicts = Vec::new();
    for (from, &source) in ids.iter().enumerate() {
        for (to, &destination) in ids.iter().enumerate() {
            for &packet in &packets {
                let judgement = engine.judge(source, destination, packet);
                for side in Side::BOTH {
                    let verdict = judgement.on(side);
                    let subject = if side == Side::Egress { from } else { to };
                    let call = format!("{from} -> {to} {packet}");
                    verdicts.push(Verdict {
                        subject,
                        side,
                        call,
                        passes: verdict.passes(),
                        word: verdict.word(),
                    });
                }
            }
        }
    }
    let closed = ids.iter().map(|&id| Side::BOTH.map(|side| engine.isolates(None, id, side))).collect();
    Outcome { verdicts, closed }
}

fn everybody(engine: &mut Engine) -> Vec<IdentityId> {
    let mut identities = Vec::new();
    for namespace in NAMESPACES {
        for app in APPS {
            let labels = vec![
                Label::k8s("app", app),
                Label::k8s(NAMESPACE, namespace),
                Label::k8s(CLUSTER, "default"),
            ];
            identities.push(Identity { labels, ..Identity::default() });
        }
    }
    for reserved in ["host", "kube-apiserver"] {
        identities.push(Identity { labels: vec![Label::reserved(reserved)], ..Identity::default() });
    }
    identities.extend(["10.1.2.3", "10.9.0.1"].map(|ip| Identity::outside(ip.parse().unwrap())));
    identities.into_iter().map(|identity| engine.identify(identity)).collect()
}

fn manifests(rules: &[Rule]) -> Vec<Value> {
    rules.iter().enumerate().map(|(number, rule)| rule.manifest(number)).collect()
}

/// The element with each of its ports in an element of its own.
fn split(element: &Value) -> Vec<Value> {
    let Some(ports) = element["toPorts"][0]["ports"].as_array() else { return vec![element.clone()] };
    let with = |port: &Value| {
        let mut one = element.clone();
        one["toPorts"] = json!([{ "ports": [port] }]);
        one
    };
    ports.iter().map(with).collect()
}

/// The element with each of its ports in a list of its own.
fn split_lists(element: &Value) -> Value {
    let mut element = element.clone();
    if let Some(ports) = element["toPorts"][0]["ports"].as_array().cloned() {
        element["toPorts"] = ports.iter().map(|port| json!({ "ports": [port] })).collect();
    }
    element
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_allow_denies_nothing_but_by_closing_a_side_that_was_open(
        rules in rules(),
        added in rule_in(&["ingress", "egress"]),
    ) {
        let before = outcome(&manifests(&rules));
        let after = outcome(&manifests(&[&rules[..], &[added]].concat()));
        for (before_it, after_it) in before.verdicts.iter().zip(&after.verdicts) {
            let (subject, side) = (before_it.subject, before_it.side as usize);
            if before_it.passes && before.closed[subject][side] == after.closed[subject][side] {
                prop_assert!(after_it.passes, "{before_it:?}");
            }
        }
    }

    #[test]
    fn an_allow_with_default_deny_off_denies_nothing_at_all(
        rules in rules(),
        added in rule_in(&["ingress", "egress"]),
    ) {
        let added = Rule { default_deny: Some(false), ..added };
        let before = outcome(&manifests(&rules));
        let after = outcome(&manifests(&[&rules[..], &[added]].concat()));
        prop_assert_eq!(&before.closed, &after.closed);
        for (before, after) in before.verdicts.iter().zip(&after.verdicts).filter(|(before, _)| before.passes) {
            prop_assert!(after.passes, "{before:?}");
        }
    }

    #[test]
    fn a_deny_lets_nothing_pass(rules in rules(), added in rule_in(&["ingressDeny", "egressDeny"])) {
        let before = outcome(&manifests(&rules));
        let after = outcome(&manifests(&[&rules[..], &[added]].concat()));
        for (before, after) in before.verdicts.iter().zip(&after.verdicts).filter(|(_, after)| after.passes) {
            prop_assert!(before.passes, "{after:?}");
        }
    }

    #[test]
    fn the_order_of_policies_and_of_elements_does_not_matter(rules in rules(), turn in 0_usize..5) {
        let mut other = rules.clone();
        for rule in &mut other {
            rule.elements.reverse();
        }
        other.reverse();
        if !other.is_empty() {
            let turn = turn % other.len();
            other.rotate_left(turn);
        }
        prop_assert_eq!(outcome(&manifests(&rules)), outcome(&manifests(&other)));
    }

    #[test]
    fn ports_may_be_split_into_elements_or_lists(rules in rules()) {
        let whole = outcome(&manifests(&rules));
        let mut elements = rules.clone();
        let mut lists = rules;
        for rule in &mut elements {
            rule.elements = rule.elements.iter().flat_map(split).collect();
        }
        for rule in &mut lists {
            rule.elements = rule.elements.iter().map(split_lists).collect();
        }
        prop_assert_eq!(&whole, &outcome(&manifests(&elements)));
        prop_assert_eq!(&whole, &outcome(&manifests(&lists)));
    }
}
