//! How fast flow logs are read and counted, beside how fast their lines are.
//!
//! `cargo bench --bench flows` makes two files of 200,000 Hubble records (about
//! 140 MB): in one they come from 500 pairs of workloads, in the other every pair
//! is another. Each is tallied and shown as a table five times, and `wc -l` counts its
//! lines in the same run; the best times are compared. `-- FILE` measures that file instead.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use policyfix::flow::{Input, Keep, Options, tally};
use policyfix::report::tally::table;

const RECORDS: u32 = 200_000;
const ROUNDS: usize = 5;

fn main() -> std::io::Result<()> {
    if let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        measure("given", Path::new(&path), None)?;
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut first = None;
    for (name, pairs) in [("500 pairs", 500), ("all pairs distinct", RECORDS)] {
        let path = folder.path().join(format!("{pairs}.jsonl"));
        generate(&path, pairs)?;
        first = Some(measure(name, &path, first)?);
    }
    Ok(())
}

fn measure(name: &str, path: &Path, first: Option<Duration>) -> std::io::Result<Duration> {
    let floor = best(|| count_lines(path));
    let mut distinct = 0;
    let time = best(|| distinct = show_once(path));
    println!(
        "{name}: {} MB, {distinct} distinct; flows {time:.0?}, wc -l {floor:.0?}: {:.1} times the floor, \
         {:.1} times the first; at most {} MB of memory so far",
        std::fs::metadata(path)?.len() / 1_000_000,
        time.as_secs_f64() / floor.as_secs_f64(),
        time.as_secs_f64() / first.unwrap_or(time).as_secs_f64(),
        peak_memory_mb(),
    );
    Ok(first.unwrap_or(time))
}

fn best(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    rounds.min().unwrap_or_default()
}

/// What `policyfix flows` does.
fn show_once(path: &Path) -> usize {
    let inputs = vec![Input::Path(path.to_owned())];
    let all = tally(inputs, Options::default(), Keep::default()).distinct();
    let written = table(&all, &mut BufWriter::new(std::io::sink()));
    assert!(written.is_ok(), "nothing refuses to be thrown away");
    all.len()
}

fn count_lines(path: &Path) {
    let status = Command::new("wc").arg("-l").arg(path).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "wc -l counts the lines");
}

/// The most memory that this process has held, in MB; 0 where the system does not say.
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1000
}

/// Writes denied records between `pairs` pairs of workloads, with several pods each.
fn generate(path: &Path, pairs: u32) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for n in 0..RECORDS {
        let pair = n % pairs;
        let pod = n / pairs % 4;
        let (from, to) = (pair / 25, pair % 25 + 25 * (pair / 625));
        let (seconds, micros) = (n / 100 % 60, n % 100 * 10_000 + 7);
        let time = format!("2026-03-01T12:{:02}:{seconds:02}.{micros:06}345Z", n / 6000 % 60);
        let port = 32768 + n % 28000;
        writeln!(
            out,
            r#"{{"flow":{{"time":"{time}","uuid":"{n:08x}-93a5-4c1e-8f00-{n:012x}","verdict":"DROPPED","drop_reason":133,"IP":{{"source":"10.0.{}.{pod}","destination":"10.1.{}.{pod}","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":{port},"destination_port":8080,"flags":{{"SYN":true}}}}}},"source":{{"ID":{},"identity":{},"namespace":"team-{}","labels":["k8s:app=caller-{from}","k8s:io.kubernetes.pod.namespace=team-{}"],"pod_name":"caller-{from}-{pod}"}},"destination":{{"identity":{},"namespace":"data","labels":["k8s:app=callee-{to}","k8s:io.kubernetes.pod.namespace=data"],"pod_name":"callee-{to}-{pod}"}},"Type":"L3_L4","node_name":"n/node-1","event_type":{{"type":5}},"traffic_direction":"EGRESS","drop_reason_desc":"POLICY_DENIED","Summary":"TCP Flags: SYN"}},"node_name":"n/node-1","time":"{time}"}}"#,
            from % 250,
            to % 250,
            from % 4000,
            20_000 + from,
            from % 7,
            from % 7,
            40_000 + to,
        )?;
    }
    out.flush()
}
