//! What other programs read of this repository: the GitHub action and the
//! pre-commit hooks. The scripts of the action are run by bash with a policyfix
//! that writes down how it was called.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail, and says when it is skipped")]

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

/// The real pre-commit with the hooks of this repository and this policyfix,
/// in a repository made for it.
struct PreCommit {
    repository: tempfile::TempDir,
    tools: tempfile::TempDir,
}

impl PreCommit {
    /// `None`, said aloud, where pre-commit is not installed.
    fn new() -> Option<Self> {
        if Command::new("pre-commit").arg("--version").output().is_err() {
            eprintln!("skipped: pre-commit is not installed");
            return None;
        }
        let (tools, repository) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_policyfix"), tools.path().join("policyfix")).unwrap();
        let mut hooks = read_yaml(".pre-commit-hooks.yaml");
        for hook in hooks.as_sequence_mut().unwrap() {
            hook["language"] = "system".into();
        }
        let config = serde_json::json!({ "repos": [{ "repo": "local", "hooks": hooks }] });
        let own = Self { repository, tools };
        own.write(".pre-commit-config.yaml", &config.to_string());
        own.run("git", &["init", "--quiet"]);
        Some(own)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.repository.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.repository.path().join(name)).unwrap()
    }

    /// Whether it went well, and what it said.
    fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.repository.path())
            .env("PATH", path_with(self.tools.path()))
            .env("HOME", self.tools.path())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn policy(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: {name}\n  namespace: shop\nspec:\n  endpointSelector: {{}}\n{rest}"
    )
}

#[test]
fn a_hook_tells_of_staged_files_alone_and_judges_with_the_whole_tree() {
    let Some(hook) = PreCommit::new() else { return };
    let unquoted = "  ingress:\n    - toPorts:\n        - ports:\n            - port: 80\n";
    hook.write("staged policy.yaml", &policy("staged", unquoted));
    hook.write("not-staged.yaml", &policy("other", unquoted));
    hook.write("notes.txt", "text\n");
    hook.run("git", &["add", "staged policy.yaml", "notes.txt"]);
    let (passed, said) = hook.run("pre-commit", &["run", "policyfix-lint"]);
    assert!(!passed && said.contains("error[unquoted-port]"), "{said}");
    assert!(said.contains("staged policy.yaml:11:") && !said.contains("not-staged"), "{said}");
    // The group that the staged rule names is in a file that is not staged.
    let group = "  ingress:\n    - fromCIDRSet:\n        - cidrGroupRef: office\n";
    hook.write("staged policy.yaml", &policy("staged", group));
    hook.write("groups.yaml", "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata:\n  name: office\nspec:\n  externalCIDRs:\n    - 192.0.2.0/24\n");
    hook.run("git", &["add", "staged policy.yaml"]);
    let (passed, said) = hook.run("pre-commit", &["run", "policyfix-lint"]);
    assert!(passed, "{said}");
}

#[test]
fn the_other_hook_mends_staged_files_and_no_other() {
    let Some(hook) = PreCommit::new() else { return };
    let wrong = policy("web", "  ingress:\n    - toPorts:\n        - ports:\n            - port: 80\n");
    hook.write("staged.yml", &wrong);
    hook.write("not-staged.yaml", &wrong.replace("name: web", "name: other"));
    hook.run("git", &["add", "staged.yml"]);
    let (passed, said) = hook.run("pre-commit", &["run", "policyfix-lint-fix"]);
    assert!(!passed && said.contains("files were modified by this hook"), "{said}");
    assert_eq!(hook.read("staged.yml"), wrong.replace("port: 80", "port: \"80\""));
    assert!(hook.read("not-staged.yaml").contains("port: 80\n"));
    hook.run("git", &["add", "staged.yml"]);
    let (passed, said) = hook.run("pre-commit", &["run", "policyfix-lint-fix"]);
    assert!(passed, "{said}");
}
