//! Whole repositories with a drop: what is edited is the source of the policy,
//! and verdicts are those of what the cluster gets from the tree.

#![allow(clippy::unwrap_used)]

mod embedded;
mod not_applied;
mod unknown;
mod variants;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A fixture repository in a git work tree of its own.
fn repository(name: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops").join(name);
    let folder = tempfile::tempdir().unwrap();
    for entry in walkdir::WalkDir::new(&from).into_iter().map(Result::unwrap) {
        let to = folder.path().join(entry.path().strip_prefix(&from).unwrap());
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(to).unwrap(),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    folder
}

/// A repository that is made up on the spot, in a git work tree of its own.
fn made(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// An end of a flow: `namespace/key=value,key=value`.
fn end(text: &str) -> serde_json::Value {
    let (namespace, labels) = text.split_once('/').unwrap();
    let mut labels: Vec<String> = labels.split(',').map(|label| format!("k8s:{label}")).collect();
    labels.push(format!("k8s:io.kubernetes.pod.namespace={namespace}"));
    labels.push("k8s:io.cilium.k8s.policy.cluster=default".to_owned());
    labels.push("k8s:io.cilium.k8s.policy.serviceaccount=default".to_owned());
    serde_json::json!({"namespace": namespace, "pod_name": "pod", "labels": labels})
}

/// Runs a command of policyfix on a repository with one dropped flow.
fn run(folder: &Path, command: &[&str], source: &str, destination: &str, port: u16) -> Output {
    let flow = serde_json::json!({"flow": {
        "time": "2026-11-20T09:39:29Z",
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": port}},
        "source": end(source),
        "destination": end(destination),
        "Type": "L3_L4",
        "event_type": {"type": 1, "sub_type": 133},
        "traffic_direction": "INGRESS",
    }});
    let flows = folder.join(".git/flows.jsonl");
    fs::write(&flows, format!("{flow}\n")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_policyfix"))
        .args(command)
        .arg("--flows")
        .arg(&flows)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The files that a diff changes or makes.
fn changed(diff: &str) -> Vec<&str> {
    diff.lines().filter_map(|line| line.strip_prefix("+++ b/")).collect()
}

#[test]
fn a_mend_for_an_overlay_is_made_in_the_base() {
    let folder = repository("overlays");
    let output =
        run(folder.path(), &["suggest", ".", "--variant", "staging"], "gw/app=gateway", "shop/app=web", 8080);
    assert_eq!(changed(&out(&output)), ["base/web-policy.yaml"]);
    assert!(
        err(&output).contains("namespace shop from overlays/staging/kustomization.yml:1"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_verdict_is_that_of_the_overlay_which_is_judged() {
    let folder = repository("overlays");
    let verdict = |variant| {
        let command = ["verdict", ".", "--variant", variant];
        out(&run(folder.path(), &command, "gw/app=gateway", "shop/app=web", 8080))
    };
    let (production, staging) = (verdict("production"), verdict("staging"));
    assert!(production.contains("enforced by shop/web-live, shop/default-deny-live"), "{production}");
    assert!(staging.contains("enforced by shop/web, shop/web-k8s"), "{staging}");
    assert!(staging.contains("namespace shop from overlays/staging/kustomization.yml:1"), "{staging}");
}

#[test]
fn the_overlay_that_is_asked_for_is_judged_with_its_base() {
    let folder = repository("overlays");
    let output =
        run(folder.path(), &["verdict", "overlays/staging"], "shop/app=gateway", "shop/app=web", 8080);
    assert!(out(&output).contains("ingress  allowed by shop/web (base/web-policy.yaml:"), "{}", out(&output));
}

#[test]
fn flux_says_the_namespace_and_the_variables_of_what_is_mended() {
    let folder = repository("flux");
    let output = run(folder.path(), &["suggest", "."], "gw/app=client", "db/app=postgres", 5432);
    assert_eq!(changed(&out(&output)), ["kubernetes/apps/db/postgres/app/policy.yaml"]);
    assert!(out(&output).contains("${SECRET_CIDR:=127.0.0.1/32}"));
    let verdict = run(folder.path(), &["verdict", "."], "gw/app=client", "db/app=postgres", 5432);
    assert!(
        out(&verdict).contains("db/postgres: namespace db from kubernetes/apps/db/postgres/ks.yaml:16"),
        "{}",
        out(&verdict)
    );
}

#[test]
fn what_is_asked_for_alone_is_placed_by_the_rest_of_the_repository() {
    let folder = repository("flux");
    let path = "kubernetes/apps/db/postgres/app/policy.yaml";
    let output = run(folder.path(), &["suggest", path], "gw/app=client", "db/app=postgres", 5432);
    assert_eq!(changed(&out(&output)), [path]);
}

#[test]
fn pods_that_a_release_likely_makes_are_not_others_than_those_that_were_seen() {
    let folder = repository("flux");
    let output =
        run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app.kubernetes.io/name=web", 8080);
    let diff = out(&output);
    assert!(changed(&diff).contains(&"kubernetes/apps/shop/web/app/networkpolicy.yaml"), "{diff}");
    assert!(!diff.contains("name: web-allow"), "{diff}");
}

/// The two clusters of one repository define the variables of the policy, each
/// for itself.
#[test]
fn variables_are_those_of_the_cluster_that_is_judged() {
    let folder = repository("clusters");
    let web = "web/app=web,stage=staging";
    let verdict = |variant| {
        let command = ["verdict", ".", "--variant", variant];
        out(&run(folder.path(), &command, "web/app=gateway", web, 8080))
    };
    let (staging, production) = (verdict("staging"), verdict("production"));
    assert!(staging.contains("ingress  denied: nothing allows it; enforced by web/web"), "{staging}");
    assert!(!production.contains("enforced by web/web"), "{production}");
    let command = ["suggest", ".", "--variant", "staging"];
    let output = run(folder.path(), &command, "web/app=gateway", web, 8080);
    assert_eq!(changed(&out(&output)), ["apps/base/web/policy.yaml"], "{}", err(&output));
    assert!(!out(&output).contains("+kind:"), "{}", out(&output));
    let gone = |line: &str| line.starts_with('-') && !line.starts_with("---");
    assert!(!out(&output).lines().any(gone), "{}", out(&output));
}

#[test]
fn what_lies_outside_of_what_was_read_is_told() {
    let folder = made(&[("overlay/kustomization.yaml", "namespace: shop\nresources: [../base]\n")]);
    std::fs::remove_dir(folder.path().join(".git")).unwrap();
    std::fs::create_dir(folder.path().join("overlay/.git")).unwrap();
    let overlay = folder.path().join("overlay");
    let output = run(&overlay, &["verdict", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert!(err(&output).contains("\"../base\" lies outside of what was read"), "{}", err(&output));
}

#[test]
fn all_that_is_wrong_with_the_tree_is_told_when_asked_for() {
    let folder = repository("overlays");
    let flow = ["gw/app=gateway", "shop/app=web"];
    let quiet = run(folder.path(), &["verdict", "."], flow[0], flow[1], 8080);
    let told = run(folder.path(), &["verdict", ".", "-v"], flow[0], flow[1], 8080);
    assert_eq!(out(&quiet), out(&told));
    let word = "base/forgotten.yaml:4: policy shop/forgotten is not applied: no kustomization lists it";
    assert!(err(&told).contains(word) && !err(&quiet).contains("forgotten"), "{}", err(&told));
}

#[test]
fn argo_cd_says_the_namespace_of_what_is_mended() {
    let folder = repository("argo");
    let output = run(folder.path(), &["suggest", "."], "shop/app=client", "web/app=web", 8080);
    assert_eq!(changed(&out(&output)), ["apps/web/policy.yaml"]);
    let verdict = run(folder.path(), &["verdict", "."], "shop/app=client", "web/app=web", 8080);
    assert!(
        out(&verdict).contains("namespace web from applications/applications.yaml:8"),
        "{}",
        out(&verdict)
    );
}

#[test]
fn what_no_kustomization_lists_takes_no_part() {
    let folder = repository("overlays");
    let text = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: forgotten, namespace: shop}\nspec: {endpointSelector: {matchLabels: {app: web}}, ingress: [{fromEntities: [all]}]}\n";
    fs::write(folder.path().join("base/forgotten.yaml"), text).unwrap();
    let output = run(folder.path(), &["verdict", "."], "gw/app=gateway", "shop/app=web", 8080);
    assert!(out(&output).contains("ingress  denied"), "{}", out(&output));
}

#[test]
fn two_manifests_of_one_policy_are_told() {
    let folder = repository("faults");
    let output = run(folder.path(), &["verdict", "."], "a/app=a", "b/app=b", 1);
    assert!(err(&output).contains("is declared twice"), "{}", err(&output));
    assert!(err(&output).contains("includes itself"), "{}", err(&output));
}
