//! Input that means harm, or that only machines write: every command must end
//! in time, in bounded memory, with a message and one of its own exit codes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long one run may take. A tenth is usual; the rest is for busy machines.
const TIME: Duration = Duration::from_secs(20);

/// The address space that one run may use, in KiB: 2 GiB, most of it never touched.
const MEMORY: &str = "2097152";

/// A debug build is many times slower, so its inputs are a tenth as long.
const SCALE: usize = if cfg!(debug_assertions) { 1 } else { 10 };

const POLICY: &str =
    "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: own, namespace: default}\n";

const DROP: &str = r#"{"flow":{"time":"2026-11-20T09:39:29Z","verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","IP":{"source":"10.1.0.1","destination":"10.1.0.2"},"l4":{"TCP":{"source_port":40000,"destination_port":8080}},"source":{"identity":3001,"labels":["k8s:app=cart","k8s:io.kubernetes.pod.namespace=default"]},"destination":{"identity":3002,"labels":["k8s:app=pay","k8s:io.kubernetes.pod.namespace=default"]},"event_type":{"type":5},"traffic_direction":"INGRESS"}}
"#;

/// How a run ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    messages: String,
}

/// Runs policyfix within its limits.
fn run(arguments: &[&OsStr]) -> Ended {
    let messages = tempfile::tempfile().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v \"$0\"; exec \"$@\"", MEMORY, env!("CARGO_BIN_EXE_policyfix")])
        .args(arguments)
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(messages.try_clone().unwrap())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > TIME {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?} did not end within {TIME:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let mut messages = messages;
    let mut told = Vec::new();
    std::io::Seek::rewind(&mut messages).unwrap();
    std::io::Read::read_to_end(&mut messages, &mut told).unwrap();
    let ended = Ended { code: status.code(), messages: String::from_utf8_lossy(&told).into_owned() };
    assert!(matches!(ended.code, Some(0..=3)), "{arguments:?}: {status}\n{:.2000}", ended.messages);
    let words = &ended.messages;
    assert!(!words.contains("panicked") && !words.contains("has a fault"), "{arguments:?}: {words:.2000}");
    ended
}

/// The commands that read a tree, `lint` where it is built in.
fn tree_commands() -> Vec<&'static str> {
    let help = Command::new(env!("CARGO_BIN_EXE_policyfix")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    ["suggest", "verdict", "lint"].into_iter().filter(|name| help.contains(&format!("\n  {name} "))).collect()
}

/// Runs every command that reads a tree on it.
fn read_tree(tree: &Path) -> Vec<Ended> {
    let folder = tempfile::tempdir().unwrap();
    let drops = folder.path().join("drops.jsonl");
    fs::write(&drops, DROP).unwrap();
    let run = |command: &str| match command {
        "lint" => run(&[OsStr::new(command), tree.as_os_str()]),
        _ => run(&[OsStr::new(command), tree.as_os_str(), OsStr::new("--flows"), drops.as_os_str()]),
    };
    tree_commands().into_iter().map(run).collect()
}

/// A tree with one file.
fn tree_of(text: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.yaml"), text).unwrap();
    folder
}

fn read_text(text: &str) -> Vec<Ended> {
    read_tree(tree_of(text.as_bytes()).path())
}

/// Reads a log and answers how that ended and how many rows came out.
fn read_flows(log: &[u8]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    fs::write(&file, log).unwrap();
    run(&[OsStr::new("flows"), file.as_os_str(), OsStr::new("--format"), OsStr::new("jsonl")])
}

/// `level` from 1 to `levels`, each of nine aliases of the one before.
fn aliases_of_aliases(levels: usize, innermost: &str) -> String {
    let level = |n: usize| format!("x{n}: &x{n} [{}]\n", vec![format!("*x{}", n - 1); 9].join(", "));
    format!("x0: &x0 {innermost}\n") + &(1..=levels).map(level).collect::<String>()
}

#[test]
fn aliases_of_aliases_are_refused_with_a_word() {
    for innermost in ["{app: x}", "{fromEndpoints: [{matchLabels: {app: x}}]}"] {
        let bomb = aliases_of_aliases(30, innermost);
        let text = format!("{bomb}---\n{POLICY}{bomb}spec: {{endpointSelector: {{}}, ingress: *x30}}\n");
        for ended in read_text(&text).into_iter().take(1) {
            assert!(ended.messages.contains("aliases expand to more than"), "{}", ended.messages);
        }
    }
}

#[test]
fn merges_of_merges_are_refused() {
    let level =
        |n: usize| format!("m{n}: &m{n} {{<<: [{}]}}\n", vec![format!("*m{}", n - 1); 100].join(", "));
    let merges: String = (1..10).map(level).collect();
    read_text(&format!("m0: &m0 {{a: b}}\n{merges}{POLICY}spec: {{endpointSelector: {{<<: *m9}}}}\n"));
    let keys: String = (0..10_000 * SCALE).map(|n| format!("  k{n}: v\n")).collect();
    read_text(&format!("m: &m\n{keys}{POLICY}spec: {{endpointSelector: {{matchLabels: {{<<: *m}}}}}}\n"));
}

#[test]
fn rules_that_aliases_multiply_are_refused() {
    let peers: String = (0..300).map(|n| format!("    - {{matchLabels: {{app: a{n}}}}}\n")).collect();
    let rules = "  - *rule\n".repeat(300);
    let specs = vec!["{endpointSelector: {}, ingress: *rules}"; 300].join(", ");
    read_text(&format!(
        "{POLICY}spec:\n  endpointSelector: {{}}\n  ingress: &rules\n  - &rule\n    fromEndpoints:\n{peers}{rules}specs: [{specs}]\n"
    ));
    let pods = "- *pod\n".repeat(5000);
    let labels: Vec<String> = (0..2000).map(|n| format!("k{n}: v")).collect();
    read_text(&format!(
        "kind: List\napiVersion: v1\nitems:\n- &pod {{apiVersion: v1, kind: Pod, metadata: {{name: a, labels: {{{}}}}}}}\n{pods}",
        labels.join(", ")
    ));
}

#[test]
fn an_anchor_within_itself_is_refused() {
    read_text(&format!(
        "{POLICY}spec: &s\n  endpointSelector: {{}}\n  ingress: &i [*i, {{fromEndpoints: *s}}]\n"
    ));
    read_text("a: &a {<<: *a}\n");
}

#[test]
fn nesting_of_any_shape_is_refused() {
    const DEEP: usize = 100_000;
    let indented: String = (0..2000).map(|n| format!("{:n$}a:\n", "")).collect();
    let anchors: String = (0..DEEP).map(|n| format!("&a{n} ")).collect();
    let shapes = [
        "[".repeat(DEEP),
        "{a: ".repeat(DEEP),
        "[{a: ".repeat(DEEP),
        format!("a: {}{}\n", "[".repeat(DEEP), "]".repeat(DEEP)),
        "- ".repeat(DEEP) + "x\n",
        "? ".repeat(DEEP) + "x\n",
        ": ".repeat(DEEP) + "x\n",
        "!t ".repeat(DEEP) + "x\n",
        "a: ".repeat(DEEP) + "x\n",
        anchors + "x\n",
        indented,
    ];
    let folder = tempfile::tempdir().unwrap();
    for (number, shape) in shapes.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.yaml")), shape).unwrap();
        fs::write(folder.path().join(format!("{number}-policy.yaml")), format!("{POLICY}spec: {shape}"))
            .unwrap();
    }
    read_tree(folder.path());
}

/// Texts on which assertions of the parser fail, in debug builds at least.
#[test]
fn what_the_parser_gives_up_on_is_told_in_words() {
    for text in ["[: ? 'c'}\n-  [\n? ]:", "[[]a::,]]: , 'c',", "\n[:  ? 'c''c':}]"] {
        let ended = read_text(&format!("apiVersion: v1\nkind: List\n---\n{text}"));
        assert!(ended.iter().any(|ended| ended.code == Some(1)), "{ended:?}");
    }
}

#[test]
fn a_log_may_nest_as_deep_as_it_likes() {
    const DEEP: usize = 100_000;
    for open in ["[", "{\"flow\":", "{\"log\":\"", "{\"flow\":{\"source\":["] {
        read_flows((open.repeat(DEEP) + "\n" + DROP).as_bytes());
    }
}

#[test]
fn scalars_may_be_long() {
    let length = 300_000 * SCALE;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("plain.yaml", format!("{POLICY}a: {}\n", "x".repeat(length)));
    write("quoted.yaml", format!("{POLICY}a: \"{}\"\n", "\\x41".repeat(length / 4)));
    write("block.yaml", format!("{POLICY}a: |\n{}", "  line\n".repeat(length / 7)));
    write("lines.yaml", format!("a:\n{}", "  x\n".repeat(length / 4)));
    write("quotes.yaml", "'".repeat(length));
    write("blank.yaml", "\n".repeat(length));
    write("spaces.yaml", " ".repeat(length));
    write(
        "label.yaml",
        format!("{POLICY}spec: {{endpointSelector: {{matchLabels: {{a: {}}}}}}}", "x".repeat(length)),
    );
    read_tree(folder.path());
}

#[test]
fn a_file_that_is_larger_than_any_manifest_is_not_read() {
    let text = format!("{POLICY}a: {}\n", "x".repeat(50 << 20));
    for ended in read_text(&text) {
        assert!(ended.messages.contains("file.yaml"), "{}", ended.messages);
    }
}

#[test]
fn collections_may_be_long() {
    let labels: String = (0..20_000 * SCALE).map(|n| format!("      k{n}: v\n")).collect();
    read_text(&format!("{POLICY}spec:\n  endpointSelector:\n    matchLabels:\n{labels}"));
    read_text(&"---\na: b\n".repeat(10_000 * SCALE));
    read_text(&format!("---\n{POLICY}spec: {{endpointSelector: {{}}}}\n").repeat(300 * SCALE));
    let cidrs: Vec<String> =
        (0..2000 * SCALE).map(|n| format!("10.{}.{}.0/24", n / 256 % 256, n % 256)).collect();
    read_text(&format!(
        "{POLICY}spec:\n  endpointSelector: {{}}\n  egress: [{{toCIDRSet: [{{cidr: 10.0.0.0/8, except: [{}]}}]}}]\n",
        cidrs.join(", ")
    ));
    let pattern = "*a".repeat(10_000 * SCALE);
    read_text(&format!(
        "{POLICY}spec:\n  endpointSelector: {{}}\n  egress: [{{toFQDNs: [{{matchPattern: '{pattern}'}}]}}]\n"
    ));
}

#[test]
fn keys_may_be_written_twice() {
    let twice = "  endpointSelector: {}\n".repeat(1000 * SCALE);
    read_text(&format!("{POLICY}spec:\n{twice}spec: 1\nspec: {{endpointSelector: {{}}}}\n"));
}

#[test]
fn bytes_that_are_no_text_are_told_of() {
    let mut bytes = POLICY.as_bytes().to_vec();
    bytes.extend(b"a: \"\x00\x01\x1b[31m\x7f\"\nb: \xff\xfe\n\xc2\x85: \xe2\x80\xa8\n");
    read_tree(tree_of(&bytes).path());
    read_text(&format!("{POLICY}a: \"\u{1b}[31m\u{7f}\u{85}\"\n"));
    read_text(&format!(
        "\u{feff}{}spec:\r\n  endpointSelector: {{}}\r  ingress: [{{}}]\n",
        POLICY.replace('\n', "\r\n")
    ));
    let ended = read_flows(&[b"\x00\xff\xfe{\x1b[2J\n", DROP.as_bytes()].concat());
    assert_eq!(ended.code, Some(0));
    assert!(!ended.messages.contains('\u{1b}'), "{:?}", ended.messages);
}

#[test]
fn half_a_surrogate_costs_its_line_at_most() {
    let half = DROP.replace("k8s:app=cart", r"k8s:app=\ud800").replace("\"flow\"", r#""\udfff":1,"flow""#);
    let ended = read_flows(format!("{half}{DROP}").as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}

#[test]
fn a_line_of_a_log_may_be_long() {
    let long = DROP.replace("k8s:app=cart", &"x".repeat(2_000_000 * SCALE));
    read_flows(format!("{long}{DROP}").as_bytes());
    let labels: Vec<String> = (0..20_000 * SCALE).map(|n| format!("\"k8s:a{n}=b\"")).collect();
    read_flows(DROP.replace("\"k8s:app=cart\"", &labels.join(",")).as_bytes());
}

#[test]
fn a_packed_log_that_unfolds_to_much_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.gz");
    let mut packer =
        flate2::write::GzEncoder::new(fs::File::create(&file).unwrap(), flate2::Compression::fast());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..20 * SCALE {
        packer.write_all(&zeros).unwrap();
    }
    packer.finish().unwrap();
    run(&[OsStr::new("flows"), file.as_os_str()]);
}

#[test]
fn a_folder_may_hold_what_is_no_file() {
    let folder = tree_of(format!("{POLICY}spec: {{endpointSelector: {{}}}}\n").as_bytes());
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("below")).unwrap();
    symlink("..", at("below/up")).unwrap();
    symlink("loop.yaml", at("loop.yaml")).unwrap();
    symlink("/nowhere/at/all", at("gone.yaml")).unwrap();
    symlink("/dev/zero", at("zero.yaml")).unwrap();
    symlink("/dev/tty", at("tty.yaml")).unwrap();
    fs::create_dir(at("folder.yaml")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe.yaml")).status().unwrap().success());
    read_tree(folder.path());
    for name in ["pipe.yaml", "zero.yaml"] {
        for ended in read_tree(&at(name)) {
            assert_eq!(ended.code, Some(2), "{name} is named and cannot be read: {}", ended.messages);
        }
    }
}

#[test]
fn what_is_named_and_cannot_be_read_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for ended in read_tree(&folder.path().join("missing")) {
        assert_eq!(ended.code, Some(2), "{}", ended.messages);
        assert!(ended.messages.contains("missing"), "{}", ended.messages);
    }
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = fs::read_dir(&closed).is_ok();
    if !is_root {
        for ended in read_tree(&closed) {
            assert_eq!(ended.code, Some(2), "{}", ended.messages);
        }
        read_tree(folder.path());
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_of_files_may_be_any_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 6] =
        [b"new\nline.yaml", b"quo\"te'.yaml", b"\xff\xfe.yaml", b"-rf.yaml", b"\x1b[31m.yaml", b" .yaml"];
    for name in names {
        let text = format!("{POLICY}spec: {{endpointSelector: {{}}, ingress: [{{}}]}}\n---\na: [\n");
        fs::write(folder.path().join(OsStr::from_bytes(name)), text).unwrap();
    }
    for ended in read_tree(folder.path()) {
        assert!(!ended.messages.contains('\u{1b}'), "{:?}", ended.messages);
    }
}

#[test]
fn files_may_vanish_while_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: usize| folder.path().join(format!("{n}.yaml"));
    let write = |n| fs::write(path(n), format!("{POLICY}spec: {{endpointSelector: {{}}}}\n")).unwrap();
    (0..300).for_each(write);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                fs::remove_file(path(n)).unwrap();
                thread::sleep(Duration::from_micros(300));
            }
        });
        read_tree(folder.path());
    });
}
