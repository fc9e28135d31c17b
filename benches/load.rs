//! What it costs to read a tree, beside what nobody can avoid.
//!
//! `cargo bench --bench load` writes 5,000, 10,000 and 20,000 policy files and
//! measures, in one run, walking and reading them (the first floor), parsing the
//! texts on one core with the parser alone (the second), and all that every command
//! does with them before its own work: load, parse, model. Then the start of the
//! whole program on one file, and the most memory that this process ever held.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use policyfix::load::{Naming, manifests};
use policyfix::model::{Model, Settings, parse_all};
use policyfix::source::FileId;
use policyfix::yaml::parse;
use walkdir::WalkDir;

const ROUNDS: usize = 5;

fn main() -> io::Result<()> {
    println!(" files      read     parse   all of it  of read and parse  of half as many");
    let mut half: Option<Duration> = None;
    for files in [5_000, 10_000, 20_000] {
        let folder = tempfile::tempdir()?;
        for number in 0..files {
            let namespace = folder.path().join(format!("ns-{}", number % 100));
            fs::create_dir_all(&namespace)?;
            fs::write(namespace.join(format!("app-{number}.yaml")), policy(number))?;
        }
        let texts = read(folder.path())?;
        let reading = best(|| read(folder.path()).map(|texts| texts.len()));
        let parsing =
            best(|| Ok(texts.iter().filter(|text| !parse(FileId(0), text).documents.is_empty()).count()));
        let whole = best(|| Ok(everything(folder.path())));
        println!(
            "{files:6} {reading:9.1?} {parsing:9.1?} {whole:11.1?} {:18.2} {:>16}",
            whole.as_secs_f64() / (reading + parsing).as_secs_f64(),
            half.map_or("-".to_owned(), |half| format!("{:.2}", whole.as_secs_f64() / half.as_secs_f64())),
        );
        half = Some(whole);
    }
    println!("most memory: {}", most_memory().unwrap_or("not told by this system".to_owned()));
    start_on_one_file()
}

/// The whole program on one small file, beside a program that does nothing.
fn start_on_one_file() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("app.yaml"), policy(1))?;
    let program = env!("CARGO_BIN_EXE_policyfix");
    let run = |program: &str, arguments: &[&str]| {
        best(|| Command::new(program).args(arguments).current_dir(folder.path()).output())
    };
    let nothing = run("true", &[]);
    let lint = run(program, &["lint", "app.yaml"]);
    println!("policyfix lint app.yaml: {lint:.1?}; a program that does nothing: {nothing:.1?}");
    Ok(())
}

fn read(folder: &Path) -> io::Result<Vec<String>> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    files.filter(|entry| entry.file_type().is_file()).map(|entry| fs::read_to_string(entry.path())).collect()
}

fn everything(folder: &Path) -> usize {
    let (sources, _) = manifests(&[folder.to_owned()], &Naming::new(folder, true));
    let trees = parse_all(&sources);
    let end = FileId(sources.len() as u32);
    Model::read(&sources, &trees, [end; 2], &Settings::default()).policies.len()
}

fn best<T>(work: impl Fn() -> io::Result<T>) -> Duration {
    let time = || {
        let start = Instant::now();
        black_box(work()).ok();
        start.elapsed()
    };
    (0..ROUNDS).map(|_| time()).min().unwrap_or_default()
}

/// `VmHWM` of this process, where the system has it.
fn most_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(format!("{} MB", kilobytes / 1024))
}

fn policy(number: usize) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: app-{number}\n  namespace: ns-{}\nspec:\n  endpointSelector:\n    matchLabels:\n      app: app-{number}\n  ingress:\n    - fromEndpoints:\n        - matchLabels:\n            app: caller-{number}\n      toPorts:\n        - ports:\n            - port: \"8080\"\n              protocol: TCP\n  egress:\n    - toEndpoints:\n        - matchLabels:\n            k8s:io.kubernetes.pod.namespace: kube-system\n            k8s-app: kube-dns\n      toPorts:\n        - ports:\n            - port: \"53\"\n              protocol: ANY\n",
        number % 100
    )
}
