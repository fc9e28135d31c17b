//! `not-applied`: a policy whose file no kustomization lists, in a tree that is
//! deployed by kustomizations: it never reaches the cluster, and nothing tells
//! of it.
//!
//! Silent where somebody may have meant it: in archived folders, where the
//! kustomization mentions the file (it was commented out, or is something else
//! than a resource), for patches, and for all that is not applied for another
//! reason than being forgotten. No mend: what it would close must be looked at.

use crate::gitops::{is_mentioned, path_from};
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::Policy;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    let Some(left_out) = policy.not_applied.as_ref().filter(|left_out| left_out.is_unlisted) else { return };
    let Some(kustomization) = context.trees.get(left_out.place.file.0 as usize) else { return };
    let lists = &context.sources[kustomization.file].name;
    let file = &context.sources[policy.value.tree().file].name;
    let path = path_from(lists, file).filter(|path| !is_mentioned(kustomization.text, path));
    let Some(path) = path else { return };
    findings
        .add(
            policy.place(),
            format!("nothing applies {} {}", policy.kind.as_str(), policy.title()),
            "never reaches the cluster",
        )
        .also(left_out.place, format!("does not list {path}"))
        .why("the tree is deployed by kustomizations, and a file that none of them lists is just a file")
        .help(format!("list {path} in {lists}, or move the file to where nobody takes it for applied"));
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, told_of};

    const ID: &str = "not-applied";

    /// Whether the rule fires for a policy beside a kustomization.
    fn fires(kustomization: &str, path: &str, text: &str) -> bool {
        let files =
            [("k8s/app/kustomization.yaml", kustomization), ("k8s/app/pods.yaml", "a: 1\n"), (path, text)];
        told_of(&files).iter().any(|(id, ..)| *id == ID)
    }

    fn policy() -> String {
        cnp("endpointSelector: {}\n  ingress: [{}]\n")
    }

    #[test]
    fn a_policy_that_is_not_listed_is_found() {
        assert!(fires("resources: [pods.yaml]\n", "k8s/app/policy.yaml", &policy()));
        assert!(fires("resources: [pods.yaml]\n", "k8s/app/more/policy.yaml", &policy()));
    }

    #[test]
    fn what_is_listed_or_left_out_on_purpose_is_none() {
        for (kustomization, path) in [
            ("resources: [pods.yaml, policy.yaml]\n", "k8s/app/policy.yaml"),
            ("resources:\n  - pods.yaml\n  # - policy.yaml\n", "k8s/app/policy.yaml"),
            ("resources: [pods.yaml]\npatches: [{path: policy.yaml}]\n", "k8s/app/policy.yaml"),
            ("resources: [pods.yaml]\n", "k8s/app/archive/policy.yaml"),
            ("resources: [pods.yaml]\n", "k8s/other/policy.yaml"),
        ] {
            assert!(!fires(kustomization, path, &policy()), "{kustomization} {path}");
        }
    }

    #[test]
    fn a_chart_is_not_listed_file_by_file() {
        let policy = policy();
        let files = [
            ("k8s/app/kustomization.yaml", "helmCharts: [{name: web}]\n"),
            ("k8s/app/web/Chart.yaml", "name: web\nversion: 1.0.0\n"),
            ("k8s/app/web/templates/policy.yaml", policy.as_str()),
        ];
        assert!(told_of(&files).iter().all(|(id, ..)| *id != ID));
    }
}
