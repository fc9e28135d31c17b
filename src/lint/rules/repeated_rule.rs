//! `repeated-rule`: an item of a section stands there twice, or beside one that
//! admits everybody on every port. It has no effect, and who changes one of them
//! wonders.
//!
//! Mend for the same item twice: the later one goes. Safe: rules are not
//! ordered, and the first one stays.

use rustc_hash::FxHashMap;

use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::{Action, Element, Peer, Policy, Section};
use crate::yaml::{Datum, Editor};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    for section in policy.rules.iter().flat_map(|rule| &rule.sections).filter(|s| s.elements.len() > 1) {
        twice(section, findings);
        shadowed(section, findings);
    }
}

fn twice(section: &Section<'_>, findings: &mut Findings<'_>) {
    let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
    for (at, element) in section.elements.iter().enumerate() {
        let Some(&first) = seen.get(element.value.raw()) else {
            seen.insert(element.value.raw(), at);
            continue;
        };
        let same = section.elements.get(first).is_some_and(
            |first| matches!((Datum::of(first.value), Datum::of(element.value)), (Ok(a), Ok(b)) if a == b),
        );
        let Some(item) = section.entry.value.items().nth(at).filter(|_| same) else { continue };
        let found = findings.add(item.span, "this rule stands here twice", "the same as an earlier one");
        if let Some(first) = section.elements.get(first) {
            found.also(first.value.span(), "the first one");
        }
        found.mend(
            Safety::Safe,
            "take the second one away",
            [Editor::default().remove_item(section.entry.value, at)],
        );
    }
}

fn shadowed(section: &Section<'_>, findings: &mut Findings<'_>) {
    if section.action == Action::Deny {
        return;
    }
    let Some(wide) = section.elements.iter().find(|element| admits_all(element)) else { return };
    let redirects = |element: &Element<'_>| {
        element.to_ports.iter().flat_map(|ports| &ports.lists).any(|list| list.l7.redirects())
    };
    for element in &section.elements {
        if admits_all(element) || redirects(element) || element.authentication.is_some() {
            continue;
        }
        let Some(first) = element.peers.first().map(|field| field.entry.key.span()) else { continue };
        findings
            .add(
                first,
                "this rule has no effect beside one that admits everybody on every port",
                "admitted anyway",
            )
            .also(wide.value.span(), "everybody, on every port")
            .as_note();
    }
}

/// `fromEntities: [all]` without ports.
fn admits_all(element: &Element<'_>) -> bool {
    let all = |peer: &Peer<'_>| matches!(peer, Peer::Entity(name) if name.value == "all");
    element.to_ports.is_none()
        && element.icmps.is_none()
        && element.authentication.is_none()
        && element.peers.iter().flat_map(|field| &field.items).any(|item| all(&item.peer))
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn the_same_item_twice_is_found_and_goes() {
        let item = "  - fromEntities:\n    - cluster\n";
        let text =
            cnp(&format!("endpointSelector: {{}}\n  ingress:\n{item}  - fromEntities: [host]\n{item}"));
        fires("repeated-rule", &text, &["- fromEntities:\n    - cluster"]);
        assert_eq!(
            mended(&text),
            cnp(&format!("endpointSelector: {{}}\n  ingress:\n{item}  - fromEntities: [host]\n"))
        );
    }

    #[test]
    fn rules_that_differ_are_right() {
        silent(&cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities: [cluster]\n  - fromEntities: [host]\n",
        ));
    }

    #[test]
    fn what_stands_beside_everybody_is_a_note() {
        let text =
            cnp("endpointSelector: {}\n  ingress:\n  - fromEntities: [all]\n  - fromEndpoints: [{}]\n");
        fires("repeated-rule", &text, &["fromEndpoints"]);
        silent(&text);
    }
}
