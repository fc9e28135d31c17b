//! `unquoted-label`: `matchLabels: {canary: true}`. Label values are text; YAML
//! reads this as a truth value (or `"1"` without quotes as a number), and the
//! API server refuses the object (`semantics.md` S9).
//!
//! Mend: quotes around what is written. Safe: it is what a pod label with that
//! spelling holds.

use crate::finding::Safety;
use crate::lint::context::{Context, elements, subject_selector};
use crate::lint::found::{EVERY_USE, Findings};
use crate::policy::{Peer, Policy, PolicyKind};
use crate::yaml::{Resolved, Value};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    let subjects = policy.rules.iter().filter_map(subject_selector).map(|selector| selector.value);
    let items = elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items);
    let peers = items.filter_map(|item| match &item.peer {
        Peer::Endpoints(selector) | Peer::Nodes(selector) => Some(selector.value),
        _ => None,
    });
    for selector in subjects.chain(peers) {
        look(selector, findings);
        if policy.kind != PolicyKind::Knp {
            continue;
        }
        for inner in ["podSelector", "namespaceSelector"] {
            if let Some(inner) = selector.get(inner) {
                look(inner, findings);
            }
        }
    }
}

fn look(selector: Value<'_>, findings: &mut Findings<'_>) {
    let labels = selector.get("matchLabels").into_iter().flat_map(|labels| labels.entries());
    let values = selector
        .get("matchExpressions")
        .into_iter()
        .flat_map(|list| list.items())
        .filter_map(|item| item.value.get("values"))
        .flat_map(|values| values.items().map(|item| item.value));
    for value in labels.map(|entry| entry.value).chain(values) {
        let kind = match value.resolved() {
            Some(Resolved::Bool(_)) => "a truth value",
            Some(Resolved::Int(_) | Resolved::Float(_)) => "a number",
            _ => continue,
        };
        let value = value.resolve();
        findings
            .add(
                value.span(),
                format!("label value {} must be in quotes", value.raw()),
                format!("read as {kind}"),
            )
            .why("label values are text: the API server refuses the object")
            .mend(
                Safety::Safe,
                format!("write \"{}\"", value.raw()),
                [EVERY_USE.replace(value, value.raw())],
            );
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn a_truth_value_is_found_and_quoted() {
        let text = cnp("endpointSelector:\n    matchLabels:\n      canary: true\n  ingress: [{}]\n");
        fires("unquoted-label", &text, &["true"]);
        assert!(mended(&text).contains("canary: \"true\"\n"));
    }

    #[test]
    fn text_is_right() {
        silent(&cnp("endpointSelector: {matchLabels: {canary: 'true'}}\n  ingress: [{}]\n"));
    }
}
