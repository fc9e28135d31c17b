//! Policies that stand in the values of a release: judged where the release
//! lands, and edited where they stand.

use super::{changed, err, made, out, repository, run};

#[test]
fn a_policy_in_the_values_of_a_release_is_judged_and_mended_in_place() {
    let folder = repository("flux");
    let source = "shop/app.kubernetes.io/name=web";
    let verdict = run(folder.path(), &["verdict", "."], source, "db/app=postgres", 5432);
    assert!(out(&verdict).contains("shop/web-policy"), "{}", out(&verdict));
    let suggestion = run(folder.path(), &["suggest", "."], source, "db/app=postgres", 5432);
    let diff = out(&suggestion);
    assert!(changed(&diff).contains(&"kubernetes/apps/shop/web/app/helmrelease.yaml"), "{diff}");
    assert!(diff.contains("+            egress: [{toEndpoints: [{matchLabels: {"), "{diff}");
}

/// A release with a policy under a key of its values, written in block style.
fn release(key: &str, policy: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  chart: {{spec: {{chart: web}}}}\n  values:\n    {key}:\n{policy}"
    )
}

const LISTED: &str = "      # who may call
      - apiVersion: cilium.io/v2
        kind: CiliumNetworkPolicy
        metadata:
          name: web
        spec:
          endpointSelector:
            matchLabels:
              app.kubernetes.io/name: web
          ingress:
            - fromEndpoints:
                - matchLabels:
                    app: gateway
              toPorts:
                - ports:
                    - port: \"80\"
                      protocol: TCP
";

#[test]
fn listed_objects_are_edited_in_place_and_keep_their_comments() {
    for key in ["extraObjects", "extraDeploy", "rawResources", "extraManifests"] {
        let folder = made(&[("web.yaml", &release(key, LISTED))]);
        let (source, destination) = ("shop/app=gateway", "shop/app.kubernetes.io/name=web");
        let output = run(folder.path(), &["suggest", "."], source, destination, 8080);
        let diff = out(&output);
        assert_eq!(changed(&diff), ["web.yaml"], "{key}: {}", err(&output));
        assert!(diff.contains("                    - port: \"80\""), "{diff}");
        assert!(diff.contains("port: \"8080\""), "{diff}");
        let lines = diff.lines().filter(|line| line.starts_with(['+', '-'])).count();
        assert!(lines <= 5, "{diff}");
    }
}

/// Text in values is no YAML of ours: it is neither judged nor edited.
#[test]
fn a_policy_that_is_written_as_text_is_left_alone() {
    let text = "      - |\n        apiVersion: cilium.io/v2\n        kind: CiliumNetworkPolicy\n        metadata: {name: web}\n        spec: {endpointSelector: {matchLabels: {app: web}}, ingress: [{}]}\n";
    let folder = made(&[("web.yaml", &release("extraDeploy", text))]);
    let output = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert_eq!(out(&output), "");
}
