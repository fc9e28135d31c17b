//! `namespace-missing`: a peer without namespace means the policy's own
//! namespace (`semantics.md` 2.4), and the labels that it asks for exist only in
//! another one.
//!
//! It is said only where the manifests show every pod of the policy's
//! namespace. Mend: the namespace, where it is only one. Unsafe: the policy may
//! be older than the workload that it waits for.

use std::collections::BTreeSet;

use crate::engine::Truth;
use crate::finding::Safety;
use crate::label::NAMESPACE;
use crate::lint::context::{Context, elements};
use crate::lint::found::{Findings, listed};
use crate::lint::matching::matches;
use crate::policy::selector::{Operator, Origin, Requirement};
use crate::policy::{Peer, Policy, PolicyKind, Selector};
use crate::yaml::{Change, Datum, Editor, Refusal};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    let Some(own) = context.namespace(policy).filter(|own| context.population().is_plain(own)) else {
        return;
    };
    for at in elements(policy) {
        for item in at.element.peers.iter().flat_map(|field| &field.items) {
            let Peer::Endpoints(selector) = &item.peer else { continue };
            let requirements = context.peer(policy, at.rule, selector);
            let elsewhere = other_namespaces(context, own, selector, &requirements);
            if elsewhere.is_empty() {
                continue;
            }
            let names: Vec<String> = elsewhere.iter().map(|name| (*name).to_owned()).collect();
            let found = findings.add(
                item.value.span(),
                format!("this peer is looked for in {own}, and such pods live in {} only", listed(&names)),
                "no namespace is written",
            );
            found.why("a peer without namespace means the policy's own namespace");
            if let [namespace] = names.as_slice() {
                let title = format!("add the namespace {namespace}");
                found.mend(Safety::Unsafe, title, [with_namespace(policy.kind, selector, namespace)]);
            }
        }
    }
}

/// The namespaces with workloads that meet all that is written, where the own
/// one has none and none is written.
pub(super) fn other_namespaces<'c>(
    context: &Context<'c, '_>,
    own: &str,
    selector: &Selector<'_>,
    requirements: &[Requirement<'_>],
) -> BTreeSet<&'c str> {
    let injected = requirements.iter().any(|r| {
        matches!(r.origin, Origin::Injected)
            && r.key == NAMESPACE
            && r.operator == Operator::In
            && r.values.iter().all(|value| value.value == own)
    });
    let positive = selector.requirements.iter().any(|r| r.operator == Operator::In);
    if !injected || !positive || !context.workloads(requirements).is_empty() {
        return BTreeSet::new();
    }
    let written: Vec<_> = selector
        .requirements
        .iter()
        .filter(|r| !(r.key == NAMESPACE && matches!(r.origin, Origin::Injected)))
        .cloned()
        .collect();
    context
        .population()
        .candidates(&written)
        .filter(|member| matches(&written, &member.labels) == Truth::Yes)
        .filter_map(|member| member.workload.namespace.as_deref())
        .filter(|namespace| *namespace != own)
        .collect()
}

fn with_namespace(kind: PolicyKind, selector: &Selector<'_>, namespace: &str) -> Result<Change, Refusal> {
    let editor = Editor::default();
    if kind == PolicyKind::Knp {
        let labels = Datum::map([("kubernetes.io/metadata.name", namespace)]);
        return editor.insert_entry(
            selector.value,
            0,
            "namespaceSelector",
            Datum::map([("matchLabels", labels)]),
        );
    }
    let key = format!("k8s:{NAMESPACE}");
    match selector.value.entry("matchLabels").filter(|entry| entry.value.is_mapping()) {
        Some(entry) => editor.insert_entry(entry.value, usize::MAX, &key, namespace),
        None => {
            editor.insert_entry(selector.value, 0, "matchLabels", Datum::map([(key.as_str(), namespace)]))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, mended, silent};

    fn tree(peer: &str) -> String {
        let policy = cnp(&format!(
            "endpointSelector: {{matchLabels: {{app: api}}}}\n  ingress:\n  - fromEndpoints:\n    - matchLabels:\n        {peer}\n"
        ));
        policy + &deployment("shop", "api", "app: api", "") + &deployment("web", "front", "app: front", "")
    }

    #[test]
    fn a_peer_that_lives_elsewhere_is_found_and_gets_its_namespace() {
        fires("namespace-missing", &tree("app: front"), &["matchLabels:\n        app: front"]);
        let mended = mended(&tree("app: front"));
        assert!(
            mended.contains("        app: front\n        k8s:io.kubernetes.pod.namespace: web\n"),
            "{mended}"
        );
        silent(&mended);
    }

    #[test]
    fn a_peer_of_the_own_namespace_is_right_and_where_a_chart_may_make_pods_nothing_is_said() {
        silent(&tree("app: api"));
        let chart = "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: front, namespace: shop}\nspec: {}\n";
        silent(&(tree("app: front") + chart));
    }
}
