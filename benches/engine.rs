//! Verdicts per second and time to compile with 10 to 10,000 policies and 1,000
//! endpoints, on one core. The floor is hashing the same flows in the same run.
//! The bar is 1,000,000 verdicts a second with 1,000 policies.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::time::{Duration, Instant};

use policyfix::engine::{Engine, Identity, IdentityId, Options};
use policyfix::label::{CLUSTER, Label, NAMESPACE};
use policyfix::model::{Model, Settings, parse_all};
use policyfix::source::{FileId, Source, Sources};
use policyfix::traffic::{Packet, Transport};
use rustc_hash::FxHasher;

const ENDPOINTS: u32 = 1_000;
const NAMESPACES: u32 = 50;
const FLOWS: u32 = 200_000;
const ROUNDS: usize = 5;

fn main() {
    println!("policies  compile  a policy  take in 1,000  verdicts/s  a verdict  hashing  ratio  pass");
    for policies in [10, 100, 1_000, 10_000] {
        measure(policies);
    }
}

fn measure(policies: u32) {
    let mut sources = Sources::default();
    for number in 0..policies {
        let name = format!("{number}.yaml");
        sources.add(Source::new(name.clone().into(), name, policy(number)));
    }
    let trees = parse_all(&sources);
    let model = Model::read(&sources, &trees, [FileId(policies); 2], &Settings::default());
    let compile = best(|| {
        black_box(model.engine(Options::default()));
    });
    let mut engine = model.engine(Options::default());
    let start = Instant::now();
    let ids: Vec<IdentityId> = (0..ENDPOINTS).map(|number| engine.identify(endpoint(number))).collect();
    let take_in = start.elapsed();
    let flows = flows(&ids);
    let mut passed = 0;
    let judge = best(|| passed = count_passing(&engine, &flows));
    let floor = best(|| {
        for flow in &flows {
            let mut hasher = FxHasher::default();
            flow.hash(&mut hasher);
            black_box(hasher.finish());
        }
    });
    println!(
        "{policies:8} {compile:8.1?} {:9.2?} {take_in:14.1?} {:11.0} {:10.1?} {:8.1?} {:6.1} {:4.0}%",
        compile / policies,
        f64::from(FLOWS) / judge.as_secs_f64(),
        judge / FLOWS,
        floor / FLOWS,
        judge.as_secs_f64() / floor.as_secs_f64(),
        100.0 * f64::from(passed) / f64::from(FLOWS),
    );
}

fn best(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    rounds.min().unwrap_or_default()
}

fn count_passing(engine: &Engine, flows: &[(IdentityId, IdentityId, Packet)]) -> u32 {
    flows.iter().map(|&(from, to, packet)| u32::from(engine.judge(from, to, packet).passes())).sum()
}

/// Of four policies one speaks of callees, one of names and addresses, one is
/// cluster-wide on an expression, and one denies.
fn policy(number: u32) -> String {
    let (namespace, app) = (number % NAMESPACES, number / NAMESPACES % 20);
    let head = |kind: &str, namespace: String| {
        format!(
            "apiVersion: cilium.io/v2\nkind: {kind}\nmetadata:\n  name: p{number}\n{namespace}spec:\n  endpointSelector:\n    matchLabels:\n      app: app-{app}\n"
        )
    };
    let own = head("CiliumNetworkPolicy", format!("  namespace: team-{namespace}\n"));
    match number % 8 {
        0 => format!(
            "{own}      tier: back\n  egress:\n  - toFQDNs: [{{matchName: a{number}.example.com}}, {{matchPattern: '*.example.org'}}]\n    toPorts: [{{ports: [{{port: '443', protocol: TCP}}]}}]\n  - toCIDRSet: [{{cidr: 10.0.0.0/8, except: [10.{app}.0.0/16]}}]\n"
        ),
        1 => format!(
            "{}  ingress:\n  - fromEndpoints: [{{matchExpressions: [{{key: app, operator: In, values: [app-{app}, app-1]}}, {{key: tier, operator: Exists}}, {{key: 'k8s:io.kubernetes.pod.namespace', operator: In, values: [team-{namespace}, team-1]}}]}}]\n",
            head("CiliumClusterwideNetworkPolicy", String::new()).replace(
                "    matchLabels:\n",
                &format!("    matchLabels:\n      k8s:io.kubernetes.pod.namespace: team-{namespace}\n")
            )
        ),
        2 => format!(
            "{own}  enableDefaultDeny: {{ingress: false}}\n  ingressDeny:\n  - fromEntities: [world]\n  - fromEndpoints: [{{matchLabels: {{app: app-{}, tier: front}}}}]\n",
            (app + 7) % 20
        ),
        _ => format!(
            "{own}  ingress:\n  - fromEndpoints: [{{matchLabels: {{app: app-{}}}}}, {{matchLabels: {{app: app-{}, k8s:io.kubernetes.pod.namespace: team-{}}}}}]\n    toPorts: [{{ports: [{{port: '8080', protocol: TCP}}, {{port: '9090', protocol: TCP}}]}}]\n  egress:\n  - toEndpoints: [{{matchLabels: {{app: app-{}}}}}]\n    toPorts: [{{ports: [{{port: '8080', protocol: TCP}}]}}]\n  - toEndpoints: [{{matchLabels: {{k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}}}}]\n    toPorts: [{{ports: [{{port: '53', protocol: ANY}}]}}]\n",
            (app + 1) % 20,
            (app + 2) % 20,
            (namespace + 1) % NAMESPACES,
            (app + 3) % 20
        ),
    }
}

fn endpoint(number: u32) -> Identity {
    if number % 20 == 19 {
        return Identity::outside(std::net::Ipv4Addr::new(10, (number / 20) as u8, 0, 1).into());
    }
    let labels = vec![
        Label::k8s("app", &format!("app-{}", number / NAMESPACES % 20)),
        Label::k8s("tier", if number.is_multiple_of(2) { "front" } else { "back" }),
        Label::k8s(NAMESPACE, &format!("team-{}", number % NAMESPACES)),
        Label::k8s(CLUSTER, "default"),
    ];
    Identity { labels, ..Identity::default() }
}

/// Half of the calls stay in their namespace.
fn flows(ids: &[IdentityId]) -> Vec<(IdentityId, IdentityId, Packet)> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    (0..FLOWS)
        .map(|number| {
            let from = random(ENDPOINTS);
            let near = from % NAMESPACES + NAMESPACES * random(ENDPOINTS / NAMESPACES);
            let to = if number % 2 == 0 { near } else { random(ENDPOINTS) };
            let port = [8080, 9090, 443, 5432][random(4) as usize];
            (ids[from as usize], ids[to as usize], Packet::Port(Transport::Tcp, port))
        })
        .collect()
}
