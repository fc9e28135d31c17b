//! `unknown-kind`: a policy whose kind or apiVersion is misspelt. The API server
//! knows no such kind, so the policy never reaches the cluster, and a tool that
//! applies the tree stops there or, worse, goes on.
//!
//! Mend: the kind or apiVersion that was meant. Safe: nothing else is near.

use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::manifest::Object;
use crate::spelling::nearest;
use crate::yaml::Editor;

const POLICIES: [(&str, &str); 4] = [
    ("CiliumNetworkPolicy", "cilium.io/v2"),
    ("CiliumClusterwideNetworkPolicy", "cilium.io/v2"),
    ("CiliumCIDRGroup", "cilium.io/v2"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
];

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    for object in context.model.objects().iter().filter(|o| context.is_reported(o.value.tree().file)) {
        match POLICIES.iter().find(|(kind, _)| *kind == object.kind) {
            Some((kind, version)) => wrong_version(object, kind, version, findings),
            None => misspelt(object, findings),
        }
    }
}

fn wrong_version(object: &Object<'_>, kind: &str, version: &str, findings: &mut Findings<'_>) {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    // Calico has a NetworkPolicy of its own.
    let other_kind = kind == "NetworkPolicy" && object.group().contains("projectcalico.org");
    // Releases part about the version of this one, and the schema knows which.
    let is_known = object.api_version == version
        || (object.group() == group
            && kind == "CiliumCIDRGroup"
            && object.api_version.ends_with("/v2alpha1"));
    if is_known || other_kind || object.api_version.is_empty() {
        return;
    }
    let Some(written) = object.value.get("apiVersion") else { return };
    findings
        .add(written.span(), format!("{kind} is no kind of {}", object.api_version), "another apiVersion")
        .why("the API server knows no such kind, so the policy never reaches the cluster")
        .mend(Safety::Safe, format!("write {version}"), [Editor::default().replace(written, version)]);
}

fn misspelt(object: &Object<'_>, findings: &mut Findings<'_>) {
    let group = object.group();
    let kinds =
        POLICIES.iter().filter(|(_, version)| version.split_once('/').is_some_and(|(own, _)| own == group));
    let Some(meant) = nearest(&object.kind, kinds.map(|(kind, _)| *kind)) else { return };
    let Some(written) = object.value.get("kind").filter(|_| !is_another(&object.kind)) else { return };
    findings
        .add(
            written.span(),
            format!("there is no kind {}; did you mean {meant}?", object.kind),
            "no such kind",
        )
        .why("the API server knows no such kind, so the policy never reaches the cluster")
        .mend(Safety::Safe, format!("write {meant}"), [Editor::default().replace(written, meant)]);
}

/// Kinds of the same groups that are near to a policy's by chance, and lists.
fn is_another(kind: &str) -> bool {
    kind.ends_with("List")
        || matches!(kind, "CiliumNodeConfig" | "CiliumEnvoyConfig" | "ClusterNetworkPolicy")
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn a_misspelt_kind_is_found_and_mended() {
        let text = cnp("endpointSelector: {}\n  ingress: [{}]\n")
            .replace("kind: CiliumNetworkPolicy", "kind: CiliumNetworkPolciy");
        fires("unknown-kind", &text, &["CiliumNetworkPolciy"]);
        assert!(mended(&text).contains("kind: CiliumNetworkPolicy\n"));
    }

    #[test]
    fn the_api_version_of_another_kind_is_found_and_mended() {
        let text =
            cnp("endpointSelector: {}\n  ingress: [{}]\n").replace("cilium.io/v2", "networking.k8s.io/v1");
        fires("unknown-kind", &text, &["networking.k8s.io/v1"]);
        silent(&mended(&text));
    }

    #[test]
    fn a_version_that_there_is_not_is_found_and_mended() {
        let right = cnp("endpointSelector: {}\n  ingress: [{}]\n");
        for wrong in ["cilium.io/v1", "cilium.io/v2alpha1"] {
            let text = right.replace("cilium.io/v2", wrong);
            fires("unknown-kind", &text, &[wrong]);
            assert_eq!(mended(&text), right);
        }
        silent(
            "apiVersion: cilium.io/v2alpha1\nkind: CiliumCIDRGroup\nmetadata: {name: a}\nspec: {externalCIDRs: [192.0.2.0/24]}\n",
        );
    }

    #[test]
    fn other_kinds_are_not_taken_for_policies() {
        silent(
            "apiVersion: cilium.io/v2\nkind: CiliumNode\nmetadata: {name: a}\n---\napiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: a}\n",
        );
    }
}
