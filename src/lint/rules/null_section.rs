//! `null-section`: `ingress:` with nothing behind it, usually because its items
//! were commented out. A null is as if the key were not there (`semantics.md`
//! 3.4): the side is no longer enforced, a rule without its peers is open to
//! everybody on its ports, and one without its ports on every port.
//!
//! No mend: the comments below tell what was meant, and only to people.

use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::{PeerKey, Policy, PolicyKind};
use crate::yaml::{Entry, Value};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    for rule in &policy.rules {
        for entry in nulls(rule.value) {
            let key = entry.key.text().unwrap_or_default();
            if matches!(key.as_ref(), "ingress" | "egress" | "ingressDeny" | "egressDeny") {
                tell(findings, entry, "it makes no side enforced: no default deny comes from it");
            }
        }
    }
    for at in elements(policy) {
        for entry in nulls(at.element.value) {
            let key = entry.key.text().unwrap_or_default();
            let peers = PeerKey::parse(&key, at.section.side).is_some()
                || (policy.kind == PolicyKind::Knp && matches!(key.as_ref(), "from" | "to"));
            if peers && at.element.peers.is_empty() {
                let open = at.element.to_ports.is_some() || policy.kind == PolicyKind::Knp;
                let effect = if open { "the rule is open to everybody" } else { "the rule admits nobody" };
                tell(findings, entry, effect);
            } else if matches!(key.as_ref(), "toPorts" | "ports") && !at.element.peers.is_empty() {
                tell(findings, entry, "the rule is about every port");
            }
        }
    }
}

fn nulls(value: Value<'_>) -> impl Iterator<Item = Entry<'_>> {
    value.entries().filter(|entry| entry.value.is_null())
}

fn tell(findings: &mut Findings<'_>, entry: Entry<'_>, effect: &str) {
    let key = entry.key.text().unwrap_or_default();
    findings
        .add(entry.key.span(), format!("{key} has no value: {effect}"), "nothing stands here")
        .why("a key without value is as if it were not there")
        .help("write what is meant, or take the key away");
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    #[test]
    fn a_section_whose_items_were_commented_out_is_told() {
        fires(
            "null-section",
            &cnp("endpointSelector: {}\n  ingress: [{}]\n  egress:\n  # - toEntities: [world]\n"),
            &["egress"],
        );
    }

    #[test]
    fn peers_and_ports_without_value_are_told() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEndpoints:\n    toPorts: [{ports: [{port: '80'}]}]\n  - fromEntities: [cluster]\n    toPorts:\n",
        );
        fires("null-section", &text, &["fromEndpoints", "toPorts"]);
    }

    #[test]
    fn an_empty_item_is_no_null() {
        silent(&cnp("endpointSelector: {}\n  ingress:\n  - {}\n"));
    }
}
