//! Repairs that a maintainer would merge. `scenarios/broken` holds manifests that
//! were broken in one known way, `scenarios/causes` one fixture for each cause of
//! drops; the healthy text of each is known, and judged by Cilium's own engine.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cluster;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cluster::{Endpoints, Files, calls, folder, folders, json, log, mend, read};
use policyfix::flow::Distinct;
use policyfix::manifest::objects;
use policyfix::source::FileId;
use policyfix::yaml::{Datum, parse};
use rayon::prelude::*;

/// What became of one broken tree.
struct Row {
    name: String,
    applied: bool,
    mended: bool,
    kept: bool,
    exact: bool,
    lines: usize,
}

#[test]
fn broken_manifests_pass_again_and_most_are_the_healthy_text_byte_for_byte() {
    let cases = cases("scenarios/broken");
    let rows: Vec<Row> = cases.into_par_iter().map(|(case, flows)| broken(&case, flows)).collect();
    let without = |holds: fn(&Row) -> bool| -> Vec<&str> {
        rows.iter().filter(|row| !holds(row)).map(|row| row.name.as_str()).collect()
    };
    assert_eq!(rows.len(), 61);
    assert_eq!(without(|row| row.applied), [""; 0], "the diff does not apply");
    assert_eq!(without(|row| row.mended), [""; 0], "a flow is still dropped");
    assert_eq!(without(|row| row.kept), [""; 0], "a flow that passed is lost");
    let changed: usize = rows.iter().map(|row| row.lines).sum();
    let inexact = without(|row| row.exact);
    println!(
        "{} of {} exact, {changed} changed lines; not exact: {inexact:#?}",
        rows.len() - inexact.len(),
        rows.len()
    );
    assert!(inexact.len() * 100 <= rows.len() * 15, "less than 85 % are exact; not exact: {inexact:#?}");
}

/// The cases of a folder with what was observed in each. Logs are read here, one
/// after the other: reading one waits for the pool in which the cases run.
fn cases(name: &str) -> Vec<(PathBuf, Vec<Distinct>)> {
    let folders = folders(&folder(name));
    folders.into_iter().map(|case| (case.clone(), log(&case.join("flows.jsonl")))).collect()
}

fn broken(case: &Path, flows: Vec<Distinct>) -> Row {
    let scenario = json(&case.join("scenario.json"));
    let broken = read(&case.join("repo"));
    let mended = mend(&broken, flows);
    let mut healthy = broken.clone();
    for (name, text) in scenario["healthy"].as_object().unwrap() {
        healthy.insert(name.clone(), text.as_str().unwrap().to_owned());
    }
    let endpoints = Endpoints::new(&scenario["endpoints"]);
    let passes = |key: &str| {
        endpoints.judge(&mended.files, &calls(&scenario[key])).iter().all(|judgement| judgement.passes())
    };
    let is_change =
        |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ");
    Row {
        name: case.file_name().unwrap().to_str().unwrap().to_owned(),
        applied: applied(&broken, &mended.diff).is_some_and(|files| files == mended.files),
        mended: passes("blocked"),
        kept: passes("passed"),
        exact: mended.files == healthy,
        lines: mended.diff.lines().filter(is_change).count(),
    }
}

/// The files once git has applied a diff to them.
fn applied(files: &Files, diff: &str) -> Option<Files> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut git = Command::new("git");
    git.args(["apply", "--whitespace=nowarn", "-"]).current_dir(folder.path());
    git.env("GIT_CEILING_DIRECTORIES", folder.path().parent().unwrap());
    let mut git = git.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    git.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
    git.wait().unwrap().success().then(|| read(folder.path()))
}

/// What became of the fixture of one cause.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The reference, byte for byte.
    Exact,
    /// The same policies, written otherwise, in no more changed lines.
    Same,
    /// The same policies in more changed lines.
    Longer,
    /// No edit, and none is due.
    Quiet,
    /// Something else; the diff.
    Wrong(String),
}

#[test]
fn every_cause_is_mended_as_its_reference_and_none_where_no_mend_is_due() {
    let cases = cases("scenarios/causes");
    assert_eq!(cases.len(), 31);
    let outcomes: Vec<(String, Outcome)> = cases
        .into_par_iter()
        .map(|(case, flows)| (case.file_name().unwrap().to_str().unwrap().to_owned(), cause(&case, flows)))
        .collect();
    let count = |outcome: Outcome| outcomes.iter().filter(|(_, own)| *own == outcome).count();
    println!(
        "{} exact, {} same, {} quiet",
        count(Outcome::Exact),
        count(Outcome::Same),
        count(Outcome::Quiet)
    );
    let bad: Vec<_> =
        outcomes.iter().filter(|(_, own)| matches!(own, Outcome::Longer | Outcome::Wrong(_))).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(count(Outcome::Quiet), 5);
}

fn cause(case: &Path, flows: Vec<Distinct>) -> Outcome {
    let text = |name: &str| std::fs::read_to_string(case.join(name));
    let before = text("manifests.yaml").unwrap();
    let files = Files::from([("manifests.yaml".to_owned(), before.clone())]);
    let mended = mend(&files, flows);
    let Ok(reference) = text("fixed.yaml") else {
        return if mended.diff.is_empty() { Outcome::Quiet } else { Outcome::Wrong(mended.diff) };
    };
    let after = &mended.files["manifests.yaml"];
    if mended.files.len() > 1 || applied(&files, &mended.diff).is_none_or(|applied| applied != mended.files) {
        return Outcome::Wrong(mended.diff);
    }
    if *after == reference {
        return Outcome::Exact;
    }
    if meaning(after) != meaning(&reference) {
        return Outcome::Wrong(mended.diff);
    }
    let changed = |after: &str| {
        let diff = similar::TextDiff::from_lines(before.as_str(), after);
        diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).count()
    };
    if changed(after) <= changed(&reference) { Outcome::Same } else { Outcome::Longer }
}

/// The objects of a file with what says nothing taken away: the order of keys
/// and items, quotes, and the source `k8s:` of label keys.
fn meaning(text: &str) -> Vec<String> {
    let tree = parse(FileId(0), text);
    assert!(tree.errors.is_empty(), "{:?}", tree.errors);
    objects(&tree).iter().map(|object| canonical(&Datum::of(object.value).unwrap())).collect()
}

fn canonical(datum: &Datum) -> String {
    match datum {
        Datum::Map(entries) => {
            let mut entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| {
                    format!("{}: {}", key.strip_prefix("k8s:").unwrap_or(key), canonical(value))
                })
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Datum::Seq(items) => {
            let mut items: Vec<_> = items.iter().map(canonical).collect();
            items.sort();
            format!("[{}]", items.join(", "))
        }
        scalar => plain(scalar),
    }
}

fn plain(scalar: &Datum) -> String {
    match scalar {
        Datum::Null => "null".to_owned(),
        Datum::Bool(value) => value.to_string(),
        Datum::Int(value) => value.to_string(),
        Datum::Float(value) => value.to_string(),
        Datum::String(text) => text.clone(),
        Datum::Map(_) | Datum::Seq(_) => unreachable!("a collection is no scalar"),
    }
}
