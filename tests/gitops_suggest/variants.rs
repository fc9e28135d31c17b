//! Overlays of one base that cannot share a cluster: each is a truth of its own,
//! and an edit of the base is proven in each.

use super::{changed, err, made, out, run};

const BASE: &str = "resources: [web.yaml, pods.yaml]\n";
const WEB: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: web\nspec:\n  endpointSelector:\n    matchLabels: {app: web}\n  ingress:\n    - fromEndpoints:\n        - matchLabels: {app: proxy}\n      toPorts:\n        - ports:\n            - {port: \"8080\", protocol: TCP}\n";
const OVERLAY: &str = "namespace: shop\nresources: [../../base]\n";

fn deployment(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{selector: {{matchLabels: {{{labels}}}}}, template: {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: c, image: i, ports: [{{containerPort: 8080}}]}}]}}}}}}\n"
    )
}

/// Two overlays of one base; the production overlay also holds this file.
fn tree(more_in_production: &str) -> tempfile::TempDir {
    let pods =
        ["web", "gateway", "proxy"].map(|name| deployment(name, &format!("app: {name}"))).join("---\n");
    let production = OVERLAY.replace("../../base", "../../base, more.yaml");
    made(&[
        ("base/kustomization.yaml", BASE),
        ("base/web.yaml", WEB),
        ("base/pods.yaml", &pods),
        ("overlays/staging/kustomization.yaml", OVERLAY),
        ("overlays/production/kustomization.yaml", &production),
        ("overlays/production/more.yaml", more_in_production),
    ])
}

const ALLOWS: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: more}\nspec: {endpointSelector: {matchLabels: {app: web}}, ingress: [{fromEndpoints: [{matchLabels: {app: gateway}}]}]}\n";

#[test]
fn an_edit_of_the_base_is_proven_in_every_overlay() {
    let folder = tree(&deployment("other", "app: other"));
    let output = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    let told = err(&output);
    assert_eq!(changed(&out(&output)), ["base/web.yaml"], "{told}");
    assert!(told.contains("production and staging cannot share a cluster; production is judged"), "{told}");
    assert!(told.contains("also   in staging it is denied too, and passes with this"), "{told}");
}

#[test]
fn drops_come_from_the_overlay_that_denies_them() {
    let folder = tree(ALLOWS);
    let output = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    let told = err(&output);
    assert_eq!(changed(&out(&output)), ["base/web.yaml"], "{told}");
    assert!(told.contains("staging is judged"), "{told}");
    assert!(told.contains("also   in production it passes already"), "{told}");
    let named = ["suggest", ".", "--variant", "production"];
    let named = run(folder.path(), &named, "shop/app=gateway", "shop/app=web", 8080);
    assert_eq!(out(&named), "");
    assert!(err(&named).contains("already-allowed"), "{}", err(&named));
}

#[test]
fn what_an_edit_opens_in_another_overlay_makes_it_unsafe() {
    let folder = tree(&deployment("canary", "app: gateway, track: canary"));
    let command = ["suggest", ".", "--variant", "staging"];
    let output = run(folder.path(), &command, "shop/app=gateway", "shop/app=web", 8080);
    let told = err(&output);
    assert_eq!(out(&output), "", "{told}");
    assert!(told.contains("(unsafe)") && told.contains("TCP 8080 in production"), "{told}");
}

/// The same workloads under another namespace are what is wanted there.
#[test]
fn the_same_workloads_in_the_namespace_of_another_overlay_are_no_surplus() {
    let folder = tree(&deployment("other", "app: other"));
    let elsewhere = OVERLAY.replace("namespace: shop", "namespace: shop-staging");
    std::fs::write(folder.path().join("overlays/staging/kustomization.yaml"), elsewhere).unwrap();
    let output = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    let told = err(&output);
    assert_eq!(changed(&out(&output)), ["base/web.yaml"], "{told}");
    assert!(told.contains("the same in shop-staging, nothing else"), "{told}");
}

#[test]
fn a_verdict_tells_in_which_overlay_it_is_another() {
    let folder = tree(ALLOWS);
    let flow = ["shop/app=gateway", "shop/app=web"];
    let text = out(&run(folder.path(), &["verdict", "."], flow[0], flow[1], 8080));
    assert!(text.contains("allowed by shop/more"), "{text}");
    assert!(text.contains("[hangs on the overlay: deny in staging]"), "{text}");
    let json = out(&run(folder.path(), &["verdict", ".", "--format", "json"], flow[0], flow[1], 8080));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ingress_variants"]["staging"], "deny");
    assert_eq!(json["ingress"], "allow");
}

/// Overlays of two bases choose independently: naming one does not take the
/// other base out of the cluster.
#[test]
fn overlays_of_another_base_stay_when_one_is_named() {
    let folder = tree(&deployment("other", "app: other"));
    let add = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    add("db/base/kustomization.yaml", "resources: [db.yaml]\n");
    add("db/base/db.yaml", &WEB.replace("web", "db"));
    add("db/overlays/blue/kustomization.yaml", "namespace: data\nresources: [../../base]\n");
    add("db/overlays/green/kustomization.yaml", "namespace: data\nresources: [../../base]\n");
    for variant in ["staging", "blue", "green"] {
        let command = ["verdict", ".", "--variant", variant];
        let text = out(&run(folder.path(), &command, "shop/app=gateway", "data/app=db", 8080));
        assert!(
            text.contains("ingress  denied: nothing allows it; enforced by data/db"),
            "{variant}: {text}"
        );
        let text = out(&run(folder.path(), &command, "shop/app=gateway", "shop/app=web", 8080));
        assert!(text.contains("enforced by shop/web"), "{variant}: {text}");
    }
}
