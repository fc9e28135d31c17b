//! A policy that no kustomization lists and that would have allowed the flow: it
//! is listed, or told of where that may not be meant.

use super::{changed, err, made, out, run};

const POLICY: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: web-from-gateway\nspec:\n  endpointSelector:\n    matchLabels: {app: web}\n  ingress:\n    - fromEndpoints:\n        - matchLabels: {app: gateway}\n      toPorts:\n        - ports:\n            - {port: \"8080\", protocol: TCP}\n";
const CLOSED: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: default-deny\nspec:\n  endpointSelector: {}\n  ingress: [{}]\n";
const LISTS: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: shop\nresources:\n  - deny.yaml\n  - pods.yaml\n";
const PODS: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]}}}\n";

fn suggest(kustomization: &str, path: &str, policy: &str) -> (String, String) {
    let folder = made(&[
        ("app/kustomization.yaml", kustomization),
        ("app/deny.yaml", CLOSED),
        ("app/pods.yaml", PODS),
        (path, policy),
    ]);
    let output = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    (out(&output), err(&output))
}

#[test]
fn a_forgotten_policy_is_listed() {
    let (diff, told) = suggest(LISTS, "app/web.yaml", POLICY);
    assert_eq!(changed(&diff), ["app/kustomization.yaml"], "{told}");
    assert!(diff.contains("   - pods.yaml\n+  - web.yaml"), "{diff}");
    assert!(told.contains("error[not-applied]"), "{told}");
    assert!(told.contains("list web.yaml in app/kustomization.yaml (safe)"), "{told}");
}

#[test]
fn a_list_in_order_stays_in_order_and_keeps_its_manner() {
    let lists = LISTS.replace("- deny", "- ./deny").replace("- pods", "- ./pods");
    let (diff, _) = suggest(&lists, "app/new.yaml", POLICY);
    assert!(diff.contains("   - ./deny.yaml\n+  - ./new.yaml\n   - ./pods.yaml"), "{diff}");
}

#[test]
fn what_was_left_out_on_purpose_is_told_of_and_stays_out() {
    let commented = format!("{LISTS}  # - web.yaml\n");
    let (diff, told) = suggest(&commented, "app/web.yaml", POLICY);
    assert!(!changed(&diff).contains(&"app/kustomization.yaml") && !diff.is_empty(), "{diff}");
    assert!(told.contains("would admit it, but is not applied: no kustomization lists it"), "{told}");
    let (diff, _) = suggest(LISTS, "app/archive/web.yaml", POLICY);
    assert!(!changed(&diff).contains(&"app/kustomization.yaml") && !diff.is_empty(), "{diff}");
}

/// A file that holds more than policies brings more than policies.
#[test]
fn a_file_with_other_objects_is_not_listed() {
    let mixed = format!("{POLICY}---\n{}", PODS.replace("web", "other"));
    let (diff, _) = suggest(LISTS, "app/web.yaml", &mixed);
    assert!(!changed(&diff).contains(&"app/kustomization.yaml"), "{diff}");
}

/// The proof sees the whole file: what would close an open workload is no fix.
#[test]
fn a_policy_that_would_isolate_somebody_is_not_listed() {
    let open = POLICY.to_owned() + "---\n" + &POLICY.replace("web", "db").replace("gateway", "nobody");
    let folder = made(&[
        ("app/kustomization.yaml", &LISTS.replace("deny.yaml", "closed.yaml")),
        (
            "app/closed.yaml",
            &CLOSED.replace("endpointSelector: {}", "endpointSelector: {matchLabels: {app: web}}"),
        ),
        ("app/pods.yaml", &format!("{PODS}---\n{}", PODS.replace("web", "db"))),
        ("app/web.yaml", &open),
    ]);
    let output = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert!(!changed(&out(&output)).contains(&"app/kustomization.yaml"), "{}", out(&output));
}
