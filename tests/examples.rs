//! Every folder of `examples/`: the suggested diff is `expected.diff` byte by
//! byte, git applies it, and then nothing is left to mend.
//! `SNAPSHOTS=overwrite` writes the diffs anew.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use walkdir::WalkDir;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The names of the examples, sorted.
fn names() -> Vec<String> {
    let folders = WalkDir::new(examples()).min_depth(1).max_depth(1).sort_by_file_name();
    let names = folders.into_iter().map(|entry| entry.unwrap()).filter(|entry| entry.file_type().is_dir());
    names.map(|entry| entry.file_name().to_str().unwrap().to_owned()).collect()
}

/// A git work tree that holds this example and nothing else.
fn work_tree(name: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for entry in WalkDir::new(examples().join(name)) {
        let entry = entry.unwrap();
        let inside = entry.path().strip_prefix(examples()).unwrap();
        let copy = root.path().join("examples").join(inside);
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(copy).unwrap();
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
    git(root.path(), &["init", "--quiet"], b"");
    root
}

/// Runs git without the settings of who runs the tests.
#[track_caller]
fn git(folder: &Path, arguments: &[&str], input: &[u8]) {
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The command as the README of an example gives it.
fn suggest(root: &Path, name: &str, flows: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policyfix"))
        .args(["suggest", &format!("examples/{name}/manifests")])
        .args(["--flows", &format!("examples/{name}/{flows}")])
        .current_dir(root)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

#[track_caller]
fn assert_suggests(output: &Output, code: i32, diff: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), diff, "{told}");
    assert_eq!(output.status.code(), Some(code), "{told}");
}

/// The diff that the example promises.
fn expected(name: &str, suggested: &Output) -> String {
    let path = examples().join(name).join("expected.diff");
    if std::env::var_os("SNAPSHOTS").is_some_and(|wish| wish == "overwrite") {
        std::fs::write(&path, &suggested.stdout).unwrap();
    }
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_example_suggests_its_diff_and_is_mended_by_it() {
    let names = names();
    assert!(!names.is_empty());
    for name in names {
        let root = work_tree(&name);
        let suggested = suggest(root.path(), &name, "drops.jsonl");
        let expected = expected(&name, &suggested);
        assert_suggests(&suggested, 1, &expected);
        git(root.path(), &["apply"], &suggested.stdout);
        assert_suggests(&suggest(root.path(), &name, "drops.jsonl"), 0, "");
    }
}

#[test]
fn drops_as_log_lines_give_the_same_diff_as_hubbles_json() {
    let name = "implicit-deny";
    let root = work_tree(name);
    let from_json = suggest(root.path(), name, "drops.jsonl");
    let from_log = suggest(root.path(), name, "drops.log");
    assert_suggests(&from_log, 1, &String::from_utf8_lossy(&from_json.stdout));
}

#[test]
fn the_readme_shows_what_its_example_prints() {
    let readme = std::fs::read_to_string(examples().with_file_name("README.md")).unwrap();
    let name = "service-port";
    let suggested = suggest(work_tree(name).path(), name, "drops.jsonl");
    for printed in [suggested.stdout, suggested.stderr] {
        let printed = String::from_utf8(printed).unwrap();
        assert!(readme.contains(&printed), "README.md no longer shows this:\n{printed}");
    }
}

#[test]
fn every_example_tells_how_it_is_run() {
    for name in names() {
        let readme = std::fs::read_to_string(examples().join(&name).join("README.md")).unwrap();
        let command =
            format!("policyfix suggest examples/{name}/manifests --flows examples/{name}/drops.jsonl");
        assert!(readme.contains(&command), "{name}");
    }
}
