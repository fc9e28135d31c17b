//! `rule-split`: one dash too many: a rule with peers and no ports, followed by
//! a rule with ports and no peers. The first admits its peers on every port, the
//! second admits everybody on its ports; both together is what nobody writes.
//!
//! Mend: one rule with the peers and the ports. Unsafe: it closes what was open.

use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::{Action, Element, Policy, PolicyKind};
use crate::yaml::{Change, Datum, Editor, Refusal, Value};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    let ports_key = if policy.kind == PolicyKind::Knp { "ports" } else { "toPorts" };
    for section in policy.rules.iter().flat_map(|rule| &rule.sections).filter(|s| s.action == Action::Allow) {
        for (at, pair) in section.elements.windows(2).enumerate() {
            let [peers, ports] = pair else { continue };
            if !has_peers_only(peers) || !has_ports_only(ports) {
                continue;
            }
            let Some(entry) = &ports.to_ports else { continue };
            let found = findings.add(
                entry.entry.key.span(),
                format!("{ports_key} stands in a rule of its own, so these ports are open to everybody"),
                "one dash too many?",
            );
            if let Some(field) = peers.peers.first() {
                found.also(field.entry.key.span(), "and these peers are admitted on every port");
            }
            found.why(
                "items of a list are alternatives; peers and ports that belong together stand in one item",
            );
            found.mend(
                Safety::Unsafe,
                "put the ports into the rule before",
                joined(section.entry.value, at, peers, entry.entry.key.text().as_deref(), entry.entry.value),
            );
        }
    }
}

fn has_peers_only(element: &Element<'_>) -> bool {
    element.peers.iter().any(|field| !field.items.is_empty())
        && element.to_ports.is_none()
        && element.icmps.is_none()
}

fn has_ports_only(element: &Element<'_>) -> bool {
    element.peers.is_empty() && element.requires.is_empty() && element.to_ports.is_some()
}

fn joined(
    list: Value<'_>,
    at: usize,
    peers: &Element<'_>,
    key: Option<&str>,
    ports: Value<'_>,
) -> Vec<Result<Change, Refusal>> {
    let editor = Editor::default();
    let Ok(ports) = Datum::of(ports) else { return Vec::new() };
    let last = peers.value.written_entries().len();
    vec![
        editor.insert_entry(peers.value, last, key.unwrap_or("toPorts"), ports),
        editor.remove_item(list, at + 1),
    ]
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn peers_and_ports_in_two_rules_are_found_and_joined() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities:\n    - ingress\n  - toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n",
        );
        fires("rule-split", &text, &["toPorts"]);
        assert!(mended(&text).ends_with("  - fromEntities:\n    - ingress\n    toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n"));
    }

    #[test]
    fn one_rule_with_both_is_right_and_so_are_ports_alone() {
        silent(&cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities: [ingress]\n    toPorts: [{ports: [{port: '80'}]}]\n  - toPorts: [{ports: [{port: '81'}]}]\n",
        ));
    }
}
