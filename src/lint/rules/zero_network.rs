//! `zero-network`: `0.0.0.0/8` and its like, written for `0.0.0.0/0`. No host
//! has such an address, so the rule admits nobody.
//!
//! Mend: `/0`. Unsafe: it opens the rule to the internet. Silent in deny rules
//! and in `except`, where lists of unroutable networks are common and right.

use crate::finding::Safety;
use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::peer::parse_cidr;
use crate::policy::{Action, Peer, Policy};
use crate::yaml::Editor;

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    for at in elements(policy).filter(|at| at.section.action == Action::Allow) {
        for item in at.element.peers.iter().flat_map(|field| &field.items) {
            let Peer::Addresses(addresses) = &item.peer else { continue };
            let Some(cidr) = &addresses.cidr else { continue };
            let zero = parse_cidr(&cidr.value).is_some_and(|net| {
                net.addr().is_ipv4() && net.addr().is_unspecified() && net.prefix_len() >= 8
            });
            if !zero {
                continue;
            }
            let found =
                findings.add(cidr.span, format!("no host has an address in {}", cidr.value), "0.0.0.0/0?");
            let node = if item.value.is_mapping() { item.value.get("cidr") } else { Some(item.value) };
            found.mend(
                Safety::Unsafe,
                "write 0.0.0.0/0",
                node.map(|node| Editor::default().replace(node, "0.0.0.0/0")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn a_network_of_no_host_is_found() {
        let text = cnp("endpointSelector: {}\n  egress:\n  - toCIDRSet:\n    - cidr: 0.0.0.0/8\n");
        fires("zero-network", &text, &["0.0.0.0/8"]);
        assert!(mended(&text).contains("cidr: 0.0.0.0/0\n"));
    }

    #[test]
    fn it_is_right_as_an_exception_and_in_a_deny() {
        silent(&cnp(
            "endpointSelector: {}\n  egress:\n  - toCIDRSet: [{cidr: 0.0.0.0/0, except: [0.0.0.0/8]}]\n  egressDeny:\n  - toCIDR: [0.0.0.0/8]\n",
        ));
    }
}
