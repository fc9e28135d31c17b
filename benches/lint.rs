//! How long the linter takes beside reading and parsing alone.
//!
//! `cargo bench --bench lint` makes 5,000 and 10,000 policy files in 100 namespaces
//! and measures, in one run, reading and parsing them (the floor) and the whole
//! lint. The best of several rounds are compared; the aim is at most 1.6 times the
//! floor, and 2.2 times the time for twice the files.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use policyfix::lint::{Choice, Context, Options, run};
use policyfix::load::{Naming, manifests};
use policyfix::model::{Model, Settings, parse_all};
use policyfix::source::FileId;

const FILES: [usize; 2] = [5_000, 10_000];
const NAMESPACES: usize = 100;
const ROUNDS: usize = 7;

fn main() -> std::io::Result<()> {
    println!(" files  read and parse      lint  of the floor  of half as many  findings");
    let mut half: Option<Duration> = None;
    for files in FILES {
        let folder = tempfile::tempdir()?;
        write(folder.path(), files)?;
        let (mut floor, mut whole) = (Duration::MAX, Duration::MAX);
        let mut findings = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            read_and_parse(folder.path());
            floor = floor.min(start.elapsed());
            let start = Instant::now();
            findings = lint(folder.path());
            whole = whole.min(start.elapsed());
        }
        let growth = half.map_or(String::new(), |half| format!("{:.2}", ratio(whole, half)));
        let [floor_in_words, whole_in_words] = [floor, whole].map(|time| format!("{time:.1?}"));
        println!(
            "{files:6}  {floor_in_words:>14}  {whole_in_words:>8}  {:>12.2}  {growth:>15}  {findings:8}",
            ratio(whole, floor),
        );
        half = Some(whole);
    }
    Ok(())
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn write(folder: &Path, files: usize) -> std::io::Result<()> {
    for number in 0..files {
        let namespace = folder.join(format!("ns-{}", number % NAMESPACES));
        fs::create_dir_all(&namespace)?;
        fs::write(namespace.join(format!("app-{number}.yaml")), policy(number, files))?;
    }
    Ok(())
}

fn read_and_parse(folder: &Path) -> usize {
    let (sources, _) = manifests(&[folder.to_owned()], &Naming::new(folder, true));
    parse_all(&sources).len()
}

fn lint(folder: &Path) -> usize {
    let (sources, _) = manifests(&[folder.to_owned()], &Naming::new(folder, true));
    let trees = parse_all(&sources);
    let end = FileId(sources.len() as u32);
    let model = Model::read(&sources, &trees, [end; 2], &Settings::default());
    let options = Options::default();
    let context = Context::new(&model, &trees, &sources, end, &options);
    run(&context, &Choice::default()).findings.len()
}

/// A policy as people write them: two sides, DNS, a name outside.
fn policy(number: usize, files: usize) -> String {
    let namespace = number % NAMESPACES;
    format!(
        "# yaml-language-server: $schema=ciliumnetworkpolicy.json
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: app-{number}
  namespace: ns-{namespace}
spec:
  endpointSelector:
    matchLabels:
      app.kubernetes.io/name: app-{number}
  ingress:
    # the shop front
    - fromEndpoints:
        - matchLabels:
            app.kubernetes.io/name: app-{}
            k8s:io.kubernetes.pod.namespace: ns-{}
      toPorts:
        - ports:
            - port: \"8080\"
              protocol: TCP
    - fromEntities:
        - ingress
      toPorts:
        - ports:
            - port: \"8443\"
              protocol: TCP
  egress:
    - toEndpoints:
        - matchLabels:
            k8s:io.kubernetes.pod.namespace: kube-system
            k8s-app: kube-dns
      toPorts:
        - ports:
            - port: \"53\"
              protocol: ANY
          rules:
            dns:
              - matchPattern: \"*\"
    - toFQDNs:
        - matchName: api-{number}.example.com
      toPorts:
        - ports:
            - port: \"443\"
              protocol: TCP
    - toCIDRSet:
        - cidr: 198.51.100.0/24
          except:
            - 198.51.100.128/25
",
        (number + 1) % files,
        (number + 1) % NAMESPACES,
    )
}
