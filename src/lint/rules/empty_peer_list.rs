//! `empty-peer-list`: `fromEndpoints: []`. From 1.16 a list that is there and
//! empty means nobody, whatever ports stand beside it; before, it meant
//! everybody (`semantics.md` 3.4, 7).
//!
//! No mend: `{}` in the list would be every pod of the namespace, no list at all
//! everybody.

use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::{PeerKey, Policy};
use crate::version::CiliumVersion;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    use PeerKey::{Cidr, CidrSet, Endpoints, Entities, Nodes};
    for field in elements(policy).flat_map(|at| &at.element.peers).filter(|field| field.items.is_empty()) {
        // What is no list at all is told as wrong-shape.
        let is_list = field.entry.value.resolve().is_sequence();
        if !is_list || !matches!(field.key, Endpoints | Cidr | CidrSet | Entities | Nodes) {
            continue;
        }
        let name = field.entry.key.text().unwrap_or_default();
        let effect = if context.version() >= CiliumVersion::V1_16 {
            "nobody is meant, and the rule has no effect"
        } else {
            "up to 1.15 everybody is meant"
        };
        findings
            .add(field.entry.span, format!("{name} is empty: {effect}"), "an empty list")
            .why("an empty list means nobody from Cilium 1.16 on, and everybody before")
            .help("write the peers, or take the rule away");
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent, told_in};

    #[test]
    fn an_empty_list_of_peers_is_found() {
        fires(
            "empty-peer-list",
            &cnp("endpointSelector: {}\n  ingress:\n  - fromEndpoints: []\n"),
            &["fromEndpoints: []"],
        );
    }

    #[test]
    fn a_word_is_no_empty_list() {
        let told = told_in(None, &cnp("endpointSelector: {}\n  ingress:\n  - fromEntities: world\n"));
        assert!(told.iter().all(|(id, ..)| *id == "wrong-shape"), "{told:?}");
    }

    #[test]
    fn a_rule_without_peers_is_another_thing() {
        silent(&cnp("endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80'}]}]\n  - {}\n"));
    }
}
