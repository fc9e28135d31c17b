//! What comes out hangs on what goes in, and not on how many threads worked on it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &[&str], threads: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policyfix"))
        .args(arguments)
        .current_dir(folder)
        .env("RAYON_NUM_THREADS", threads)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

#[test]
fn one_thread_and_eight_print_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/broken/missing-rule-015");
    for arguments in [
        &["suggest", "repo", "--flows", "flows.jsonl"][..],
        &["verdict", "repo", "--flows", "flows.jsonl"],
        &["lint", "repo", "--pedantic"],
        &["flows", "flows.jsonl", "--format", "jsonl"],
    ] {
        let one = run(&folder, arguments, "1");
        assert!(!one.stdout.is_empty() || !one.stderr.is_empty(), "{arguments:?} says nothing");
        assert_eq!(one, run(&folder, arguments, "8"), "{arguments:?}");
    }
}
