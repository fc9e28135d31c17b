//! `dangling-cidr-group`: `cidrGroupRef` names a CiliumCIDRGroup that is not
//! there. An unknown group holds no address, so the rule admits nobody
//! (`semantics.md` 4.4).
//!
//! A note where the tree has no group at all: it may live in another repository.
//! Mend: the nearest name of a group. Unsafe.

use crate::finding::Safety;
use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::{Peer, Policy, is_unknown};
use crate::spelling::nearest;
use crate::yaml::Editor;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    let groups = &context.model.groups;
    for item in elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items) {
        let Peer::Addresses(addresses) = &item.peer else { continue };
        let Some(group) = addresses.group.as_ref().filter(|group| !is_unknown(&group.value)) else {
            continue;
        };
        if groups.iter().any(|own| own.name == group.value || is_unknown(&own.name)) {
            continue;
        }
        let found = findings.add(
            group.span,
            format!("there is no CiliumCIDRGroup {}: the rule admits nobody", group.value),
            "no such group",
        );
        if groups.is_empty() {
            found.as_note();
        }
        let near = nearest(&group.value, groups.iter().map(|own| own.name.as_ref()));
        if let (Some(near), Some(node)) = (near, item.value.get("cidrGroupRef")) {
            found.mend(Safety::Unsafe, format!("write {near}"), [Editor::default().replace(node, near)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    const GROUP: &str = "---\napiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: offices}\nspec: {externalCIDRs: [192.0.2.0/24]}\n";

    fn tree(group: &str) -> String {
        cnp(&format!("endpointSelector: {{}}\n  ingress:\n  - fromCIDRSet:\n    - cidrGroupRef: {group}\n"))
    }

    #[test]
    fn a_group_that_is_not_there_is_found() {
        let text = tree("office") + GROUP;
        fires("dangling-cidr-group", &text, &["office"]);
        silent(&mended(&text));
    }

    #[test]
    fn without_any_group_it_is_a_note_only() {
        silent(&(tree("offices") + GROUP));
        silent(&tree("offices"));
    }
}
