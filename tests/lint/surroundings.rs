//! What lies around the folder that is linted: it is judged with where it is
//! applied together with what is linted, and never told of.

use std::path::Path;

use super::{lint, text};

const POLICY: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: web\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  ingress:\n  - fromEndpoints:\n    - {matchLabels: {app: gateway}}\n    toPorts:\n    - ports:\n      - {port: \"80\", protocol: TCP}\n";
const PODS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]}}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gateway}\nspec: {selector: {matchLabels: {app: gateway}}, template: {metadata: {labels: {app: gateway}}, spec: {containers: [{name: c, image: i}]}}}\n";

fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn told(folder: &Path, arguments: &[&str]) -> String {
    text(&lint(folder, arguments).stdout)
}

#[test]
fn a_service_of_a_fixture_is_not_that_of_the_cluster() {
    let fixture = format!("{PODS}---\n{}", POLICY.replace("port: \"80\"", "port: 80"));
    let folder = repository(&[("k8s/web.yaml", POLICY), ("tests/fixture.yaml", &fixture)]);
    assert_eq!(told(folder.path(), &["k8s"]), "");
    assert!(told(folder.path(), &["."]).contains("error[unquoted-port]"));
}

#[test]
fn what_is_applied_together_with_it_is_judged_with_and_not_told_of() {
    let pods = format!("{PODS}---\n{}", POLICY.replace("port: \"80\"", "port: 80").replace("web", "old"));
    let folder = repository(&[
        ("app/policies/web.yaml", POLICY),
        ("app/policies/kustomization.yaml", "resources: [web.yaml]\n"),
        ("app/pods.yaml", &pods),
        ("app/kustomization.yaml", "namespace: shop\nresources: [policies, pods.yaml]\n"),
    ]);
    let told = told(folder.path(), &["app/policies"]);
    assert!(told.contains("[service-port]"), "{told}");
    assert!(!told.contains("unquoted-port") && !told.contains("app/pods.yaml:1:"), "{told}");
}

#[test]
fn a_staged_file_is_judged_with_the_whole_tree() {
    let folder = repository(&[("k8s/web.yaml", POLICY), ("k8s/pods.yaml", PODS)]);
    assert!(told(folder.path(), &["--changed", "k8s/web.yaml"]).contains("[service-port]"));
    assert_eq!(told(folder.path(), &["--changed", "k8s/pods.yaml"]), "");
}

#[test]
fn a_file_around_that_is_no_yaml_is_not_told_of() {
    let folder = repository(&[("k8s/web.yaml", POLICY), ("other/broken.yaml", "a: [1\n")]);
    assert_eq!(told(folder.path(), &["k8s"]), "");
}

/// Each overlay is for a cluster of its own, and may hold policies of its own.
#[test]
fn the_policies_of_every_overlay_are_looked_at() {
    let wrong = |name: &str| POLICY.replace("name: web", name).replace("port: \"80\"", "port: 80");
    let overlay = "namespace: shop\nresources: [../../base, own.yaml]\n";
    let folder = repository(&[
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("base/web.yaml", POLICY),
        ("overlays/production/kustomization.yaml", overlay),
        ("overlays/production/own.yaml", &wrong("name: production")),
        ("overlays/staging/kustomization.yaml", overlay),
        ("overlays/staging/own.yaml", &wrong("name: staging")),
    ]);
    let told = told(folder.path(), &["."]);
    for name in ["production", "staging"] {
        assert!(told.contains(&format!("overlays/{name}/own.yaml:12:")), "{told}");
    }
    assert_eq!(told.matches("error[unquoted-port]").count(), 2, "{told}");
}
