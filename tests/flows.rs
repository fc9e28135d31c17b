//! Every log in `tests/flows/`: one for each format that flows are found in, and
//! one for each trap in them. What `policyfix flows` makes of it stands beside it,
//! and its rows read as themselves. `SNAPSHOTS=overwrite` writes that anew.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// When each log was last written: lines without a year are from the year before.
const WRITTEN: Duration = Duration::from_secs(1_780_000_000);

fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows");
    let mut logs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    logs
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_policyfix")).args(arguments).current_dir(folder).output();
    command.unwrap()
}

/// The command, and what it printed to both streams.
fn shown(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    format!("$ policyfix {}\n{out}{err}", arguments.join(" "))
}

fn assert_read_as_expected(log: &Path, folder: &TempDir) {
    let name = log.file_name().unwrap().to_str().unwrap();
    let copy = folder.path().join(name);
    fs::copy(log, &copy).unwrap();
    File::options().write(true).open(&copy).unwrap().set_modified(SystemTime::UNIX_EPOCH + WRITTEN).unwrap();

    let as_rows = ["flows", name, "--include-audit", "--format", "jsonl"];
    let table = shown(folder.path(), &["flows", name, "--include-audit"]);
    let rows = shown(folder.path(), &as_rows);
    let expected = log.with_extension("shown");
    if std::env::var_os("SNAPSHOTS").is_some_and(|wish| wish == "overwrite") {
        fs::write(&expected, format!("{table}\n{rows}")).unwrap();
    }
    assert_eq!(fs::read_to_string(&expected).unwrap(), format!("{table}\n{rows}"), "{}", expected.display());

    let rows = run(folder.path(), &as_rows).stdout;
    fs::write(&copy, &rows).unwrap();
    assert_eq!(run(folder.path(), &as_rows).stdout, rows, "{name}: rows read as themselves");
}

/// What `policyfix flows` tells of an input, without the command and a table.
#[track_caller]
fn assert_tells(input: &[u8], options: &[&str], code: i32, told: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log"), input).unwrap();
    let output = run(folder.path(), &[&["flows", "log"], options].concat());
    assert_eq!(
        (String::from_utf8(output.stderr).unwrap().as_str(), output.status.code()),
        (told, Some(code))
    );
}

fn log(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows").join(name)).unwrap()
}

#[test]
fn what_options_leave_out_is_told() {
    let audit = log("trap-audit.log");
    assert_tells(
        &audit,
        &[],
        0,
        "1 distinct flow left out: passed only because policy was in audit mode; --include-audit shows them\n",
    );
    assert_tells(
        &audit,
        &["--include-audit", "--min-count", "2"],
        0,
        "1 distinct flow left out: seen less often than --min-count\n",
    );
    assert_tells(
        &audit,
        &["--namespace", "elsewhere"],
        0,
        "2 distinct flows left out: neither end is in --namespace\n",
    );
    assert_tells(&audit, &["--since", "2026-04-07T08:15:50Z"], 0, "2 records left out: older than --since\n");
}

#[test]
fn suggest_tells_what_options_leave_out_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log"), log("hubble-wrapped.log")).unwrap();
    let policy = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: a}\n";
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let output =
        run(folder.path(), &["suggest", "policy.yaml", "--flows", "log", "--namespace", "elsewhere"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("1 distinct flow left out: neither end is in --namespace\n"), "{told}");
}

#[test]
fn where_there_is_no_flow_it_is_said_why() {
    let pair = log("hubble-wrapped.log");
    assert_tells(b"", &[], 0, "warning: there is no flow in log\n");
    assert_tells(&pair[..300], &[], 0, "warning: there is no flow in log, only the beginning of a record\n");
    assert_tells(
        b"level=info msg=\"Regenerated endpoint\" subsys=endpoint\n",
        &[],
        0,
        "warning: there is no flow in log\n\
         help: agents do not log what policy drops; take `hubble observe -o jsonpb`, or the files of Hubble's exporter\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["flows", "."]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "error: cannot read flows from .: it is a folder; name the files in it\n");
}

#[test]
fn what_comes_before_a_packed_log_breaks_off_is_read() {
    let text = log("hubble-wrapped.log").repeat(2000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::encode_all(&text[..], 1).unwrap()] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), &packed[..packed.len() - 20]).unwrap();
        let output = run(folder.path(), &["flows", "log"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("what is packed in it breaks off"), "{told}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("pay/ledger"), "{told}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn every_format_and_trap_is_read_as_expected() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs();
    assert!(!logs.is_empty());
    for log in logs {
        assert_read_as_expected(&log, &folder);
    }
}
