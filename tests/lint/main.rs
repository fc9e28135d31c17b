//! The linter on whole trees: valid ones are silent, mends hold and are made
//! once, and what was accepted or ignored stays so.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod fixes;
mod surroundings;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")
}

fn lint(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_policyfix"));
    command.arg("lint").args(arguments).current_dir(folder).output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn is_silent(tree: &Path) {
    let output = lint(tree.parent().unwrap(), &[tree.to_str().unwrap()]);
    assert_eq!(text(&output.stdout), "", "{tree:?}");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_shop_is_silent() {
    is_silent(&here().join("shop"));
}

#[test]
fn the_ready_made_policies_are_silent() {
    is_silent(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"));
}

/// What looks wrong and is right: each document of this tree says what.
#[test]
fn what_only_looks_wrong_is_silent() {
    is_silent(&here().join("quiet"));
}

#[test]
fn every_mended_tree_of_the_causes_is_silent() {
    let mut seen = 0;
    for entry in std::fs::read_dir(here().join("healthy")).unwrap() {
        // Each is a tree of its own.
        let alone = tempfile::tempdir().unwrap();
        let file = alone.path().join("tree.yaml");
        std::fs::copy(entry.unwrap().path(), &file).unwrap();
        is_silent(&file);
        seen += 1;
    }
    assert!(seen > 20);
}

const WRONG: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  endpointSelector: {}\n  ingress:\n  - fromEndpoint:\n    - {}\n    toPorts:\n    - ports:\n      - port: 80\n        protocol: tcp\n";

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    std::fs::create_dir(folder.path().join("k8s")).unwrap();
    std::fs::write(folder.path().join("k8s/web.yaml"), WRONG).unwrap();
    folder
}

#[test]
fn findings_exit_with_1_and_fix_mends_them_once() {
    let folder = repository();
    let told = lint(folder.path(), &[]);
    assert_eq!(told.status.code(), Some(1));
    let out = text(&told.stdout);
    for id in ["unknown-field", "unquoted-port", "wrong-shape"] {
        assert!(out.contains(&format!("error[{id}]")), "{out}");
    }
    assert!(out.contains("k8s/web.yaml:13:15"), "{out}");
    assert_eq!(lint(folder.path(), &["--fix"]).status.code(), Some(0));
    let mended = std::fs::read_to_string(folder.path().join("k8s/web.yaml")).unwrap();
    let want = WRONG.replace("fromEndpoint:", "fromEndpoints:").replace("port: 80", "port: \"80\"");
    assert_eq!(mended, want.replace("tcp", "TCP"));
    lint(folder.path(), &["--fix", "--unsafe-fixes"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("k8s/web.yaml")).unwrap(), mended);
}

#[test]
fn diff_changes_no_file_and_names_it_as_git_does() {
    let folder = repository();
    let output = lint(folder.path(), &["--diff"]);
    assert_eq!(output.status.code(), Some(1));
    let diff = text(&output.stdout);
    assert!(diff.contains("--- a/k8s/web.yaml\n+++ b/k8s/web.yaml\n@@"), "{diff}");
    assert_eq!(text(&lint(folder.path(), &["--format", "diff"]).stdout), diff);
    assert_eq!(std::fs::read_to_string(folder.path().join("k8s/web.yaml")).unwrap(), WRONG);
}

#[test]
fn findings_come_in_every_form() {
    let folder = repository();
    for (format, mark) in
        [("json", "\"unquoted-port\""), ("sarif", "\"unquoted-port\""), ("github", "::error")]
    {
        let output = lint(folder.path(), &["--format", format]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains(mark), "{format}");
    }
}

#[test]
fn rules_are_chosen_by_id_and_family() {
    let folder = repository();
    let only = text(&lint(folder.path(), &["--select", "unquoted-port"]).stdout);
    assert!(only.contains("unquoted-port") && !only.contains("unknown-field"), "{only}");
    assert_eq!(lint(folder.path(), &["--ignore", "shape"]).status.code(), Some(0));
    let wrong = lint(folder.path(), &["--select", "unquoted-prot"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("did you mean unquoted-port?"));
}

#[test]
fn a_comment_silences_its_line_the_next_one_or_its_document() {
    let folder = repository();
    let file = folder.path().join("k8s/web.yaml");
    let at_line = WRONG.replace("port: 80\n", "port: 80 # policyfix: ignore[unquoted-port] old cluster\n");
    let above =
        WRONG.replace("      - port: 80\n", "      # policyfix: ignore[unquoted-port] x\n      - port: 80\n");
    let head = format!("# policyfix: ignore[unquoted-port, unknown-field] x\n{WRONG}");
    for text_with in [at_line, above, head] {
        std::fs::write(&file, &text_with).unwrap();
        let output = lint(folder.path(), &[]);
        assert!(!text(&output.stdout).contains("error[unquoted-port]"), "{text_with}");
        assert!(text(&output.stdout).contains("wrong-shape"));
        assert!(!text(&output.stderr).contains("note:"), "{}", text(&output.stderr));
    }
    std::fs::write(&file, format!("# policyfix: ignore[rule-split, unquoted-prot]\n{WRONG}")).unwrap();
    let told = text(&lint(folder.path(), &[]).stderr);
    assert!(told.contains("ignore[rule-split]: nothing is to be ignored here"), "{told}");
    assert!(told.contains("did you mean unquoted-port?"), "{told}");
}

#[test]
fn a_baseline_accepts_what_is_there_wherever_its_line_goes_and_tells_what_is_mended() {
    let folder = repository();
    let file = folder.path().join("k8s/web.yaml");
    assert_eq!(lint(folder.path(), &["--baseline", "b.json", "--update-baseline"]).status.code(), Some(0));
    std::fs::write(&file, format!("# moved\n\n{WRONG}")).unwrap();
    let output = lint(folder.path(), &["--baseline", "b.json"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    std::fs::write(&file, WRONG.replace("port: 80", "port: \"80\"")).unwrap();
    let output = lint(folder.path(), &["--baseline", "b.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("the baseline holds what is mended: unquoted-port"));
}

#[test]
fn the_configuration_is_found_upwards_and_its_faults_are_told() {
    let folder = repository();
    let config = folder.path().join("policyfix.toml");
    std::fs::write(&config, "[lint]\nselect = ['unquoted-port']\n").unwrap();
    let only = text(&lint(&folder.path().join("k8s"), &[]).stdout);
    assert!(only.contains("unquoted-port") && !only.contains("unknown-field"), "{only}");
    std::fs::write(&config, "[lint]\nexclude = ['k8s']\n").unwrap();
    assert_eq!(lint(folder.path(), &[]).status.code(), Some(0));
    std::fs::write(&config, "[lint]\nselct = []\n").unwrap();
    let wrong = lint(folder.path(), &[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("selct"));
}

#[test]
fn suggest_and_verdict_read_the_configuration_and_options_outrank_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // A plain selector reaches pods of other clusters up to 1.18.
    let policy = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: web}\nspec: {endpointSelector: {}, ingress: [{fromEndpoints: [{}]}]}\n";
    std::fs::write(at("web.yaml"), policy).unwrap();
    let flow = r#"{"flow":{"time":"2026-11-20T09:39:29Z","verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","IP":{"source":"10.1.0.1","destination":"10.1.0.2"},"l4":{"TCP":{"source_port":40000,"destination_port":8080}},"source":{"identity":3001,"labels":["k8s:app=a","k8s:io.kubernetes.pod.namespace=shop","k8s:io.cilium.k8s.policy.cluster=east"]},"destination":{"identity":3002,"labels":["k8s:app=b","k8s:io.kubernetes.pod.namespace=shop","k8s:io.cilium.k8s.policy.cluster=west"]},"event_type":{"type":5},"traffic_direction":"INGRESS"}}"#;
    std::fs::write(at("drops.jsonl"), format!("{flow}\n")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policyfix"));
        command.args(arguments).args(["--flows", "drops.jsonl"]).current_dir(folder.path());
        command.output().expect("the command runs")
    };
    let ingress = |arguments: &[&str]| {
        let out = text(&run(&[&["verdict", "--format", "json"], arguments].concat()).stdout);
        let line: serde_json::Value = serde_json::from_str(&out).unwrap();
        line["ingress"].as_str().unwrap().to_owned()
    };
    assert_eq!(ingress(&[]), "allow", "no policy speaks of namespace shop");
    std::fs::write(at("policyfix.toml"), "default-namespace = 'shop'\ncluster-name = 'west'\n").unwrap();
    assert_eq!(ingress(&[]), "deny");
    assert_eq!(ingress(&["--cluster-name", "east"]), "allow");
    assert_eq!(ingress(&["--default-namespace", "other"]), "allow");
    std::fs::write(at("policyfix.toml"), "default-namespace = 'shop'\ncilium-version = '1.18'\n").unwrap();
    assert_eq!(ingress(&[]), "allow");
    assert_eq!(ingress(&["--cilium-version", "1.20"]), "deny");
    std::fs::write(at("policyfix.toml"), "enforcement = 'always'\n").unwrap();
    assert_eq!(ingress(&[]), "deny");
    assert_eq!(ingress(&["--enforcement", "never"]), "allow");
    std::fs::write(at("policyfix.toml"), "default-namespace = 'shop'\ncluster-name = 'west'\n").unwrap();
    assert_eq!(run(&["suggest"]).status.code(), Some(1));
    std::fs::write(at("policyfix.toml"), "default-namespce = 'shop'\n").unwrap();
    for command in ["suggest", "verdict"] {
        let wrong = run(&[command]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(text(&wrong.stderr).contains("default-namespce"), "{}", text(&wrong.stderr));
    }
}

#[test]
fn changed_files_are_reported_and_the_rest_is_only_judged_with() {
    let folder = repository();
    std::fs::write(folder.path().join("k8s/good.yaml"), "a: 1\n").unwrap();
    assert_eq!(lint(folder.path(), &["--changed", "k8s/good.yaml"]).status.code(), Some(0));
    assert_eq!(lint(folder.path(), &["--changed", "k8s/web.yaml", "k8s/good.yaml"]).status.code(), Some(1));
}

#[test]
fn rules_are_listed_and_counted() {
    let folder = repository();
    let rules = text(&lint(folder.path(), &["--list-rules"]).stdout);
    assert!(rules.lines().count() >= 15 && rules.contains("service-port"));
    let counts = text(&lint(folder.path(), &["--statistics"]).stdout);
    assert!(counts.contains("1  unquoted-port"), "{counts}");
}

#[test]
fn help_begins_with_examples() {
    for command in ["lint", "suggest", "verdict", "flows"] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_policyfix"));
        let help = text(&run.args([command, "--help"]).output().expect("the command runs").stdout);
        let at = |words: &str| help.find(words).unwrap_or_else(|| unreachable!("{command}: {words}\n{help}"));
        assert!(at("Usage:") < at("Examples:") && at("Examples:") < at("Options:"), "{help}");
        assert_eq!(help.matches("Examples:").count(), 1, "{help}");
    }
}
