//! The time of a whole `suggest`, from texts in memory to proven fixes: with 150
//! policies, 1,000 workloads and 500 distinct drops the bar is 0.2 s, and doubling
//! each of the three costs at most 1.2 times as much again. `-- large` measures
//! 2,000 policies, 20,000 workloads and 5,000 drops too.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use policyfix::engine::Options;
use policyfix::flow::{Denial, Distinct, Endpoint, Flow, Outcome};
use policyfix::label::{CLUSTER, Label, NAMESPACE, NAMESPACE_LABELS, SERVICE_ACCOUNT};
use policyfix::model::{Model, Settings, parse_all};
use policyfix::source::{FileId, Source, Sources};
use policyfix::suggest::{Suggestion, Wishes, suggest};
use policyfix::traffic::{Packet, Side, Transport};

const BAR: Duration = Duration::from_millis(200);

/// How large a tree and its log are.
#[derive(Clone, Copy)]
struct Size {
    policies: u32,
    workloads: u32,
    drops: u32,
}

fn main() {
    println!("policies  workloads  drops    read   suggest     all  of the first  fixes  mended  unmended");
    let first = Size { policies: 150, workloads: 1_000, drops: 500 };
    let base = measure(first, None);
    for size in [
        Size { policies: 300, ..first },
        Size { workloads: 2_000, ..first },
        Size { drops: 1_000, ..first },
        Size { policies: 300, workloads: 2_000, drops: 1_000 },
    ] {
        measure(size, Some(base));
    }
    if base > BAR {
        println!("slower than the bar of {BAR:?}; is the machine busy?");
    }
    if std::env::args().any(|argument| argument == "large") {
        measure(Size { policies: 2_000, workloads: 20_000, drops: 5_000 }, Some(base));
    }
}

fn measure(size: Size, first: Option<Duration>) -> Duration {
    let texts = texts(size);
    let rounds = if first.is_some() { 2 } else { 3 };
    let (read, suggested, suggestion) =
        (0..rounds).map(|_| run(&texts, size)).min_by_key(|(read, suggested, _)| *read + *suggested).unwrap();
    let all = read + suggested;
    println!(
        "{:8} {:10} {:6} {read:7.0?} {suggested:9.0?} {all:7.0?} {:13.2} {:6} {:7} {:9}",
        size.policies,
        size.workloads,
        size.drops,
        all.as_secs_f64() / first.unwrap_or(all).as_secs_f64(),
        suggestion.tally.fixes,
        suggestion.tally.mended,
        suggestion.tally.unmended,
    );
    all
}

fn run(texts: &[(String, String)], size: Size) -> (Duration, Duration, Suggestion) {
    let mut sources = Sources::default();
    for (name, text) in texts {
        sources.add(Source::new(name.into(), name.clone(), text.clone()));
    }
    let start = Instant::now();
    let trees = parse_all(&sources);
    let model = Model::read(&sources, &trees, [FileId(sources.len() as u32); 2], &Settings::default());
    let read = start.elapsed();
    let flows = (0..size.drops).map(|number| drop_of(number, size)).collect();
    let start = Instant::now();
    let suggestion = suggest(&model, &trees, &sources, Options::default(), flows, Wishes::default());
    (read, start.elapsed(), suggestion)
}

/// Names that are no typing slip of each other.
fn app(number: u32) -> String {
    let words = ["ant", "birch", "cloud", "dune", "elm", "fjord", "grove", "heath", "isle", "juniper"];
    let word = |at: u32| words[(number / at % 10) as usize];
    format!(
        "{}-{}-{}{}",
        word(1),
        word(10),
        word(100),
        if number < 1_000 { String::new() } else { format!("-{}", word(1_000)) + word(10_000) }
    )
}

/// Ten workloads share a namespace.
fn namespace(number: u32) -> String {
    format!("team-{}", number / 10)
}

/// The workload that a policy is about: they lie scattered over the namespaces.
fn subject(policy: u32, size: Size) -> u32 {
    policy * (size.workloads / size.policies)
}

fn texts(size: Size) -> Vec<(String, String)> {
    let policies = (0..size.policies).map(|number| {
        let subject = subject(number, size);
        let caller = (subject + 1) % size.workloads;
        // Every fifth policy names the wrong port.
        let port = if number % 5 == 0 { 80 } else { 8080 };
        let text = format!(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  endpointSelector:\n    matchLabels:\n      app: {name}\n  ingress:\n    - fromEndpoints:\n        - matchLabels:\n            app: {caller}\n            io.kubernetes.pod.namespace: {from}\n      toPorts:\n        - ports:\n            - port: \"{port}\"\n              protocol: TCP\n",
            name = app(subject),
            namespace = namespace(subject),
            caller = app(caller),
            from = namespace(caller),
        );
        (format!("policies/{}/{}.yaml", namespace(subject), app(subject)), text)
    });
    let workloads = (0..size.workloads).map(|number| {
        let (name, namespace) = (app(number), namespace(number));
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n      containers:\n        - name: main\n          image: example/{name}:1\n          ports:\n            - name: http\n              containerPort: 8080\n"
        );
        (format!("apps/{namespace}/{name}.yaml"), text)
    });
    workloads.chain(policies).collect()
}

/// The callers of a policy's subject: first the one that it names, then others.
fn drop_of(number: u32, size: Size) -> Distinct {
    let to = subject(number % size.policies, size);
    let from = (to + 1 + number / size.policies * 37) % size.workloads;
    let wrong_port = (number % size.policies).is_multiple_of(5);
    // Who is named on the right port is not dropped there, but calls another.
    let port = if number < size.policies && !wrong_port { 9090 } else { 8080 };
    let flow = Flow {
        source: endpoint(from).into(),
        destination: endpoint(to).into(),
        packet: Packet::Port(Transport::Tcp, port),
        source_port: Some(40_000),
        outcome: Outcome::Denied(Denial::Default),
        side: Some(Side::Ingress),
        request: None,
        denied_by: Vec::new(),
        reply: false,
    };
    Distinct { flow, count: 1, span: None, examples: Vec::new(), ambiguous_names: false }
}

fn endpoint(number: u32) -> Endpoint {
    let namespace = namespace(number);
    let mut labels = vec![
        Label::k8s("app", &app(number)),
        Label::k8s(NAMESPACE, &namespace),
        Label::k8s(CLUSTER, "default"),
        Label::k8s(SERVICE_ACCOUNT, "default"),
        Label::k8s(&format!("{NAMESPACE_LABELS}kubernetes.io/metadata.name"), &namespace),
    ];
    labels.sort();
    Endpoint { labels, namespace: Some(namespace.into()), ..Endpoint::default() }
}
