//! What other programs read of this repository: the GitHub action and the
//! pre-commit hooks. The scripts of the action are run by bash with a policyfix
//! that writes down how it was called.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_yaml::Value;

/// Writes its arguments to a file, one call a line, and ends as it is told to.
const RECORDER: &str = "#!/bin/sh
printf '[%s]' \"$@\" >>\"$CALLS\"
echo >>\"$CALLS\"
echo result
exit \"$ENDS_WITH\"
";

/// A program in `folder` that records how it is called.
fn write_recorder(folder: &Path) {
    let path = folder.join("policyfix");
    fs::write(&path, RECORDER).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The search path with `folder` in front.
fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

fn read_yaml(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn steps() -> Vec<Value> {
    read_yaml("action.yml")["runs"]["steps"].as_sequence().unwrap().clone()
}

/// How a script of the action went.
struct Outcome {
    exit_code: i32,
    calls: String,
    output: String,
}

/// Runs the script of a step with these inputs.
fn run_step(name: &str, inputs: &[(&str, &str)], ends_with: i32) -> Outcome {
    let step = steps().into_iter().find(|step| step["name"] == name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("policyfix-flows")).unwrap();
    fs::write(at("policyfix-flows/drops.jsonl"), "").unwrap();
    write_recorder(folder.path());
    // As the runner calls it.
    let status = Command::new("bash")
        .args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"].as_str().unwrap()])
        .env("PATH", path_with(folder.path()))
        .env("CALLS", at("calls"))
        .env("ENDS_WITH", ends_with.to_string())
        .env("RUNNER_TEMP", folder.path())
        .env("GITHUB_OUTPUT", at("output"))
        .env("GITHUB_STEP_SUMMARY", at("summary"))
        .envs(inputs.iter().copied())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let read = |name: &str| fs::read_to_string(at(name)).unwrap_or_default();
    let temporary = folder.path().to_str().unwrap();
    Outcome {
        exit_code: status.code().unwrap(),
        calls: read("calls").replace(temporary, "TEMP"),
        output: read("output").replace(temporary, "TEMP"),
    }
}

#[test]
fn no_input_is_pasted_into_a_script() {
    for step in steps() {
        if let Some(script) = step["run"].as_str() {
            assert!(!script.contains("${{"), "{script}");
            assert_eq!(step["shell"], "bash");
        }
    }
}

#[test]
fn lint_writes_sarif_and_annotations() {
    let inputs = [("INPUT_PATHS", "k8s/\nwith space/\n"), ("INPUT_ARGUMENTS", "--pedantic\n")];
    let outcome = run_step("Lint", &inputs, 0);
    assert_eq!(
        outcome.calls,
        "[lint][--format][sarif][--pedantic][--][k8s/][with space/]\n\
         [lint][--format][github][--exit-zero][--pedantic][--][k8s/][with space/]\n"
    );
    assert_eq!(outcome.output, "exit-code=0\nsarif=TEMP/policyfix.sarif\n");
    assert_eq!(outcome.exit_code, 0);
}

#[test]
fn lint_that_cannot_read_its_input_fails_at_once() {
    let outcome = run_step("Lint", &[("INPUT_PATHS", "."), ("INPUT_ARGUMENTS", "")], 2);
    assert_eq!(outcome.calls, "[lint][--format][sarif][--][.]\n");
    assert_eq!(outcome.exit_code, 2);
}

#[test]
fn suggest_takes_flows_from_the_workspace_and_from_the_artifact() {
    let inputs = [("INPUT_PATHS", "."), ("INPUT_ARGUMENTS", ""), ("INPUT_FLOWS", "a b.jsonl")];
    let outcome = run_step("Suggest", &inputs, 3);
    assert_eq!(
        outcome.calls,
        "[suggest][--format][markdown][--out][TEMP/policyfix-patches]\
         [--flows][a b.jsonl][--flows][TEMP/policyfix-flows/drops.jsonl][--][.]\n"
    );
    assert_eq!(outcome.output, "exit-code=3\npatches=TEMP/policyfix-patches\n");
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(run_step("Suggest", &inputs, 2).exit_code, 2);
}

#[test]
fn findings_fail_the_job_at_its_end() {
    assert_eq!(run_step("Fail on findings", &[("EXIT_CODE", "3")], 0).exit_code, 3);
}

#[test]
fn the_hooks_are_lint_and_lint_with_fixes() {
    let hooks = read_yaml(".pre-commit-hooks.yaml");
    let told: Vec<_> = hooks
        .as_sequence()
        .unwrap()
        .iter()
        .map(|hook| (hook["id"].as_str().unwrap(), hook["entry"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("policyfix-lint", "policyfix lint --changed"),
            ("policyfix-lint-fix", "policyfix lint --fix --changed")
        ]
    );
}

/// Runs the real pre-commit, where it is installed, with the hooks as they
/// would be with an installed policyfix.
#[test]
fn a_hook_gets_the_staged_manifests_and_no_other_file() {
    if Command::new("pre-commit").arg("--version").output().is_err() {
        return;
    }
    let tools = tempfile::tempdir().unwrap();
    write_recorder(tools.path());
    let repository = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str], ends_with: i32| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(repository.path())
            .env("PATH", path_with(tools.path()))
            .env("HOME", tools.path())
            .env("CALLS", tools.path().join("calls"))
            .env("ENDS_WITH", ends_with.to_string())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };

    let mut hooks = read_yaml(".pre-commit-hooks.yaml");
    for hook in hooks.as_sequence_mut().unwrap() {
        hook["language"] = "system".into();
    }
    let config = serde_json::json!({ "repos": [{ "repo": "local", "hooks": hooks }] });
    let write = |name: &str, text: &str| fs::write(repository.path().join(name), text).unwrap();
    write(".pre-commit-config.yaml", &config.to_string());
    write("staged policy.yaml", "a: 1\n");
    write("staged.yml", "a: 1\n");
    write("notes.txt", "text\n");
    write("not-staged.yaml", "a: 1\n");
    run("git", &["init", "--quiet"], 0);
    run("git", &["add", "staged policy.yaml", "staged.yml", "notes.txt"], 0);

    let (passed, said) = run("pre-commit", &["run", "policyfix-lint"], 0);
    assert!(passed, "{said}");
    let (passed, said) = run("pre-commit", &["run", "policyfix-lint-fix"], 1);
    assert!(!passed, "{said}");
    let calls = fs::read_to_string(tools.path().join("calls")).unwrap();
    assert_eq!(
        calls,
        "[lint][staged policy.yaml][staged.yml]\n[lint][--fix][staged policy.yaml][staged.yml]\n"
    );
}
