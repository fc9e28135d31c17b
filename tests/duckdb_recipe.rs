//! The DuckDB recipe of `docs/flows.md`, run as it stands there: its rows must
//! be those of `policyfix flows` on the same log. Without Python, DuckDB and a
//! way to install it the test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Runs the text of its first argument; what it names is read and written in the current folder.
const RUN: &str = "import duckdb, sys; duckdb.sql(sys.argv[1])";

/// The folder from which Python imports DuckDB; empty when it needs none.
fn duckdb() -> Option<PathBuf> {
    // Installed once for a `target/`, not once a run.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("duckdb");
    let imports = |folder: &Path| succeeds(python(folder).args(["-c", "import duckdb"]));
    if imports(Path::new("")) {
        return Some(PathBuf::new());
    }
    let pip = ["-m", "pip", "install", "--quiet", "--retries", "0", "--timeout", "5", "--target"];
    let is_there = || {
        imports(&folder) || succeeds(python(&folder).args(pip).arg(&folder).arg("duckdb")) && imports(&folder)
    };
    is_there().then_some(folder)
}

fn python(folder: &Path) -> Command {
    let mut command = Command::new("python3");
    if !folder.as_os_str().is_empty() {
        command.env("PYTHONPATH", folder);
    }
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The first code block below a heading of the document.
fn recipe(heading: &str) -> String {
    let document = include_str!("../docs/flows.md");
    let (_, section) = document.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, code) = section.split_once("```sql\n").unwrap();
    code.split_once("```").unwrap().0.to_owned()
}

/// A record of a packet to `l4`, `micros` after a fixed time.
fn record(micros: u32, event: u8, ends: [(&str, &str); 2], l4: Value, more: Value) -> String {
    let end = |(app, pod): (&str, &str)| match app {
        "world" => json!({"identity": 2, "labels": ["reserved:world"]}),
        _ => json!({
            "ID": 7, "identity": app.len() as u32 + 3000, "namespace": app, "pod_name": pod,
            "labels": [format!("k8s:app={app}"), format!("k8s:io.kubernetes.pod.namespace={app}")],
            "workloads": [{"name": app, "kind": "Deployment"}],
        }),
    };
    let address = |(app, pod): (&str, &str)| match app {
        "world" => pod.to_owned(),
        _ => format!("10.0.{}.{}", app.len(), pod.len()),
    };
    let [source, destination] = ends;
    let mut flow = json!({
        "time": format!("2026-11-20T09:00:{:02}.{:06}Z", micros / 1_000_000, micros % 1_000_000),
        "verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "Summary": "x",
        "IP": {"source": address(source), "destination": address(destination), "ipVersion": "IPv4"},
        "l4": l4, "source": end(source), "destination": end(destination), "Type": "L3_L4",
        "event_type": {"type": event}, "traffic_direction": "INGRESS",
    });
    for (key, value) in more.as_object().unwrap() {
        flow[key] = value.clone();
    }
    let time = flow["time"].clone();
    json!({"flow": flow, "node_name": "one", "time": time}).to_string() + "\n"
}

/// A log with twins, retries, several pods of one workload, an outside end,
/// replies, requests, an aggregated record, a DNS answer and what is no flow.
fn log() -> String {
    let tcp = |from: u32, to: u32| json!({"TCP": {"source_port": from, "destination_port": to, "flags": {"SYN": true}}});
    let udp = |from: u32, to: u32| json!({"UDP": {"source_port": from, "destination_port": to}});
    let passed = json!({"verdict": "FORWARDED", "drop_reason_desc": "", "is_reply": false,
        "trace_observation_point": "TO_ENDPOINT"});
    let reply = json!({"verdict": "FORWARDED", "drop_reason_desc": "", "is_reply": true,
        "trace_observation_point": "TO_ENDPOINT"});
    let request = json!({"Type": "L7", "drop_reason_desc": "", "is_reply": false,
        "l7": {"type": "REQUEST", "latency_ns": "5", "http": {"method": "GET", "url": "http://pay/x"}}});
    let answer = json!({"verdict": "FORWARDED", "Type": "L7", "is_reply": true,
        "l7": {"type": "RESPONSE", "dns": {"query": "b.example.", "ips": ["192.0.2.3"]}}});
    let (cart, pay) = (("cart", "cart-0"), ("pay", "pay-0"));
    let mut log = String::new();
    for n in 0..40 {
        let at = n * 700_000 + 100_100;
        let port = 40_000 + n * 13;
        let pod = if n % 3 == 0 { cart } else { ("cart", "cart-10") };
        let outside = ("world", if n % 2 == 0 { "192.0.2.3" } else { "192.0.2.4" });
        log += &record(at, 5, [pod, pay], tcp(port, 8080), json!({}));
        log += &record(at + 20, 1, [pod, pay], tcp(port, 8080), json!({}));
        log += &record(at + 50_000, 5, [pod, pay], tcp(port, 8080), json!({}));
        log += &record(at + 50_020, 1, [pod, pay], tcp(port, 8080), json!({}));
        log += &record(at + 100_000, 1, [pod, pay], tcp(port, 8443), json!({}));
        log +=
            &record(at + 200_000, 5, [pod, outside], udp(port, 53), json!({"traffic_direction": "EGRESS"}));
        log += &record(at + 300_000, 4, [pod, pay], tcp(port, 9090), passed.clone());
        log += &record(at + 300_900, 4, [pay, pod], tcp(9090, port), reply.clone());
        log += &record(at + 400_000, 1, [pay, cart], udp(53, port), json!({}));
        log += &record(at + 500_000, 129, [pod, pay], tcp(port, 8080), request.clone());
        log += &record(at + 600_000, 5, [pod, pay], json!({"ICMPv4": {"type": 8}}), json!({}));
    }
    let aggregated = json!({"aggregate": {"ingress_flow_count": 7, "unknown_direction_flow_count": 2}});
    log += &record(29_000_000, 5, [cart, pay], tcp(39_000, 7070), aggregated);
    log += &record(30_000_000, 129, [pay, cart], udp(53, 41_000), answer);
    let _ = writeln!(log, r#"{{"lost_events":{{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"1"}}}}"#);
    log
}

/// The normalised rows of a log, without what a recipe cannot know.
fn rows(log: &Path) -> Vec<Value> {
    let policyfix = Command::new(env!("CARGO_BIN_EXE_policyfix"))
        .args(["flows", "--format", "jsonl"])
        .arg(log)
        .output()
        .unwrap();
    assert!(policyfix.status.success(), "{}", String::from_utf8_lossy(&policyfix.stderr));
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        let fields = row.as_object_mut().unwrap();
        fields.remove("examples");
        if let Some(Value::String(time)) = fields.get_mut("last_seen") {
            time.truncate("2026-11-20T09:00:00.000".len());
        }
        row
    };
    let mut rows: Vec<Value> = String::from_utf8(policyfix.stdout).unwrap().lines().map(row).collect();
    rows.sort_by_key(Value::to_string);
    rows
}

#[test]
fn the_duckdb_recipe_makes_the_rows_that_policyfix_makes() {
    let Some(packages) = duckdb() else {
        eprintln!("skipped: Python cannot import duckdb, and pip cannot install it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let log_file = folder.path().join("archive/log.jsonl");
    fs::create_dir(folder.path().join("archive")).unwrap();
    fs::write(&log_file, log()).unwrap();
    let run =
        python(&packages).args(["-c", RUN, &recipe("DuckDB")]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let (made, expected) = (rows(&folder.path().join("rows.jsonl")), rows(&log_file));
    assert_eq!(expected.len(), 10, "{expected:#?}");
    assert_eq!(made, expected);
}
