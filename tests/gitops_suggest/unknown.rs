//! What the tree does not say: namespaces that are inferred from flows where that
//! is certain, and policies that a patch changes in a way that is not evaluated.

use super::{changed, err, made, out, run};

fn policy(namespace: &str, selector: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: web\n  namespace: {namespace}\nspec:\n  endpointSelector: {selector}\n  ingress:\n    - fromEndpoints:\n        - matchLabels: {{app: proxy}}\n"
    )
}

const WEB: &str = "{matchLabels: {app: web}}";

#[test]
fn a_namespace_is_inferred_where_one_alone_selects_an_endpoint_that_was_seen() {
    let folder = made(&[("web.yaml", &policy("${NAMESPACE}", WEB))]);
    let verdict = run(folder.path(), &["verdict", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert!(
        out(&verdict).contains("ingress  denied: nothing allows it; enforced by shop/web"),
        "{}",
        out(&verdict)
    );
    assert!(out(&verdict).contains("note     shop/web: namespace shop is inferred"), "{}", out(&verdict));
    let told = "nothing says the namespace of policy web; shop is inferred";
    assert!(err(&verdict).contains(told), "{}", err(&verdict));
    let suggestion = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert_eq!(changed(&out(&suggestion)), ["web.yaml"], "{}", err(&suggestion));
    assert!(!out(&suggestion).contains("namespace"), "{}", out(&suggestion));
    assert!(err(&suggestion).contains("shop is inferred"), "{}", err(&suggestion));
}

#[test]
fn two_namespaces_none_or_everybody_infer_nothing() {
    for (selector, source) in [
        (WEB, "data/app=web"),
        ("{matchLabels: {app: other}}", "shop/app=gateway"),
        ("{}", "shop/app=gateway"),
    ] {
        let folder = made(&[("web.yaml", &policy("${NAMESPACE}", selector))]);
        let verdict = run(folder.path(), &["verdict", "."], source, "shop/app=web", 8080);
        assert!(!err(&verdict).contains("inferred"), "{selector}: {}", err(&verdict));
        let expected = if selector.contains("other") { "allowed" } else { "undecided" };
        assert!(out(&verdict).contains(&format!("ingress  {expected}")), "{selector}: {}", out(&verdict));
    }
}

fn patched(patch: &str) -> tempfile::TempDir {
    made(&[
        ("app/web.yaml", &policy("shop", WEB)),
        ("app/kustomization.yaml", &format!("resources: [web.yaml]\npatches:\n  - patch: |\n{patch}")),
    ])
}

const MERGE: &str = "      apiVersion: cilium.io/v2\n      kind: CiliumNetworkPolicy\n      metadata: {name: web, namespace: shop}\n      spec:\n        SIDE: [{fromEndpoints: [{matchLabels: {app: gateway}}]}]\n";

#[test]
fn what_hangs_on_a_patch_that_is_not_evaluated_is_undecided() {
    let folder = patched(&MERGE.replace("SIDE", "ingress"));
    let verdict = run(folder.path(), &["verdict", "."], "shop/app=gateway", "shop/app=web", 8080);
    let told = out(&verdict);
    assert!(
        told.contains("ingress  undecided: a patch changes shop/web in a way that is not evaluated"),
        "{told}"
    );
    let suggestion = run(folder.path(), &["suggest", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert_eq!(out(&suggestion), "");
    assert!(err(&suggestion).contains("undecided"), "{}", err(&suggestion));
}

#[test]
fn the_side_that_a_patch_does_not_touch_is_decided() {
    let folder = patched(&MERGE.replace("SIDE", "egress").replace("fromE", "toE"));
    let verdict = run(folder.path(), &["verdict", "."], "shop/app=gateway", "shop/app=web", 8080);
    assert!(out(&verdict).contains("ingress  denied"), "{}", out(&verdict));
    let from_web = run(folder.path(), &["verdict", "."], "shop/app=web", "shop/app=gateway", 8080);
    assert!(out(&from_web).contains("egress   undecided"), "{}", out(&from_web));
}

#[test]
fn whom_a_patched_selector_means_is_undecided() {
    let patch = "      - {op: replace, path: /spec/endpointSelector/matchLabels/app, value: db}\n    target: {kind: CiliumNetworkPolicy}\n";
    let folder = patched(patch);
    for workload in ["shop/app=web", "shop/app=db"] {
        let verdict = run(folder.path(), &["verdict", "."], "shop/app=gateway", workload, 8080);
        assert!(out(&verdict).contains("ingress  undecided"), "{}", out(&verdict));
    }
    let elsewhere = run(folder.path(), &["verdict", "."], "shop/app=gateway", "data/app=web", 8080);
    assert!(
        out(&elsewhere).contains("ingress  allowed: no policy speaks of this side"),
        "{}",
        out(&elsewhere)
    );
}
