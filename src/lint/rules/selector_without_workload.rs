//! `selector-without-workload`: a selector asks for labels that no workload of
//! its namespace has: a renamed label, `app` for `app.kubernetes.io/name`, or a
//! pod on the host network, which has no identity of its own (`semantics.md` 5.4).
//!
//! It is said only where the manifests show every pod of the namespace: not
//! where a chart or an operator may make some. Mend: the label that a workload
//! has with the same key or the same value, where one is near. Unsafe.

use super::impossible_selector::contradiction;
use crate::engine::Truth;
use crate::finding::Safety;
use crate::inventory::Workload;
use crate::label::is_given;
use crate::lint::context::{Context, elements, subject_selector};
use crate::lint::found::{Findings, Found, listed};
use crate::lint::matching::matches;
use crate::lint::population::asked_namespaces;
use crate::policy::selector::{Operator, Origin, Requirement};
use crate::policy::{Peer, Policy, PolicyKind, Selector};
use crate::spelling::nearest;
use crate::yaml::Editor;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    if !context.population().has_plain_namespaces() {
        return;
    }
    for rule in &policy.rules {
        if let (Some(selector), Some(requirements)) = (subject_selector(rule), context.subject(policy, rule))
        {
            look(context, selector, &requirements, findings);
        }
    }
    for at in elements(policy) {
        for item in at.element.peers.iter().flat_map(|field| &field.items) {
            let Peer::Endpoints(selector) = &item.peer else { continue };
            let requirements = context.peer(policy, at.rule, selector);
            let lives_elsewhere = policy.kind != PolicyKind::Ccnp
                && context.namespace(policy).is_some_and(|own| {
                    !super::namespace_missing::other_namespaces(context, own, selector, &requirements)
                        .is_empty()
                });
            if !lives_elsewhere {
                look(context, selector, &requirements, findings);
            }
        }
    }
}

fn look(
    context: &Context<'_, '_>,
    selector: &Selector<'_>,
    requirements: &[Requirement<'_>],
    findings: &mut Findings<'_>,
) {
    let Some(asked) = selector.requirements.iter().find(|r| is_pod_label(r)) else { return };
    let Some(namespaces) = asked_namespaces(requirements) else { return };
    let namespaces: Vec<&str> = namespaces.collect();
    let plain = namespaces.iter().all(|name| context.population().is_plain(name));
    if !plain || selector.invalid.is_some() || may_match(context, requirements) {
        return;
    }
    // A label that Cilium filters, a misspelt key, or a contradiction is told by its own rule.
    let special = |r: &&Requirement<'_>| {
        super::misspelt_label_key::meant(r).is_some()
            || !crate::inventory::is_identity_label(&r.key, context.version())
    };
    if selector.requirements.iter().any(|r| special(&r)) || contradiction(selector).is_some() {
        return;
    }
    let shown: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let Some(value) = asked.values.first() else { return };
    let found = findings.add(
        value.span,
        format!("no workload of {} has these labels", listed(&shown)),
        format!("{}={}", asked.key, value.value),
    );
    match on_host_network(context, selector, &namespaces) {
        Some(workload) => {
            found.also(workload.place, "this one has them, on the host network");
            found.why("a pod on the host network has no identity of its own: it is host or remote-node");
            found.help("name its nodes by the entities host and remote-node");
        }
        None => propose(context, found, selector, &namespaces),
    }
}

fn may_match(context: &Context<'_, '_>, requirements: &[Requirement<'_>]) -> bool {
    context.population().candidates(requirements).any(|m| matches(requirements, &m.labels) != Truth::No)
}

/// Whether it asks for a label that tells workloads apart.
pub(super) fn is_pod_label(requirement: &Requirement<'_>) -> bool {
    requirement.operator == Operator::In
        && !is_given(&requirement.key)
        && matches!(requirement.source.as_ref(), "any" | "k8s")
        && !matches!(requirement.origin, Origin::Injected)
}

fn on_host_network<'c>(
    context: &Context<'c, '_>,
    selector: &Selector<'_>,
    namespaces: &[&str],
) -> Option<&'c Workload> {
    context.model.inventory.workloads().filter(|workload| workload.host_network).find(|workload| {
        workload.namespace.as_deref().is_some_and(|own| namespaces.contains(&own))
            && selector.requirements.iter().filter(|r| is_pod_label(r)).all(|r| {
                workload.pod_label(&r.key).is_some_and(|own| r.values.iter().any(|value| value.value == own))
            })
    })
}

/// The label of a workload that was probably meant: another spelling of the
/// value, or the same value under another key.
fn propose(context: &Context<'_, '_>, found: &mut Found, selector: &Selector<'_>, namespaces: &[&str]) {
    let workloads = || {
        let members = context.population().members().map(|member| member.workload);
        members.filter(|w| w.namespace.as_deref().is_some_and(|own| namespaces.contains(&own)))
    };
    for asked in selector.requirements.iter().filter(|r| is_pod_label(r)) {
        let [value] = asked.values.as_slice() else { continue };
        let values = workloads().filter_map(|workload| workload.pod_label(&asked.key));
        if let Some(near) = nearest(&value.value, values).filter(|near| *near != value.value) {
            let node = match asked.origin {
                Origin::Label(entry) => Some(entry.value.resolve()),
                Origin::Expression(item) => {
                    item.get("values").and_then(|values| values.items().next()).map(|item| item.value)
                }
                Origin::Injected | Origin::Added => None,
            };
            found.mend(
                Safety::Unsafe,
                format!("change {} to {near}", value.value),
                node.map(|node| Editor::default().replace(node, near)),
            );
            return;
        }
        let other_key = workloads().find_map(|workload| {
            let labels = workload.pod_labels.iter();
            labels.clone().find(|(key, own)| **own == *value.value && **key != *asked.key).map(|(key, _)| key)
        });
        if let (Some(key), Origin::Label(entry)) = (other_key, asked.origin) {
            let written = entry.key.text().unwrap_or_default();
            let new = if written.starts_with("k8s:") { format!("k8s:{key}") } else { key.to_string() };
            found.mend(
                Safety::Unsafe,
                format!("write {new} for {written}"),
                [Editor::default().rename_key(&entry, &new)],
            );
            return;
        }
    }
    found.help("compare the labels with those of the pod template");
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, mended, silent};

    fn tree(label: &str) -> String {
        let policy = cnp(&format!("endpointSelector:\n    matchLabels:\n      {label}\n  ingress: [{{}}]\n"));
        policy + &deployment("shop", "api", "app.kubernetes.io/name: api", "")
    }

    #[test]
    fn another_key_with_the_same_value_is_proposed() {
        fires("selector-without-workload", &tree("app: api"), &["api"]);
        assert!(mended(&tree("app: api")).contains("      app.kubernetes.io/name: api\n"));
    }

    #[test]
    fn a_slip_in_the_value_is_proposed() {
        assert!(mended(&tree("app.kubernetes.io/name: apo")).contains("      app.kubernetes.io/name: api\n"));
    }

    #[test]
    fn a_pod_on_the_host_network_has_no_identity() {
        let text = tree("app: agent")
            .replace("containers: [", "hostNetwork: true, containers: [")
            .replace("app.kubernetes.io/name: api", "app: agent");
        let text = text + &deployment("shop", "other", "app: other", "");
        fires("selector-without-workload", &text, &["agent"]);
    }

    #[test]
    fn nothing_is_said_where_an_operator_may_make_the_pods() {
        silent(&tree("app.kubernetes.io/name: api"));
        let operator = "---\napiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: db, namespace: shop}\nspec: {}\n";
        silent(&(tree("app: db") + operator));
        silent(&cnp("endpointSelector: {matchLabels: {app: chart}}\n  ingress: [{}]\n"));
    }
}
