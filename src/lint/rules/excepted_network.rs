//! `excepted-network`: an `except` that takes away all of its `cidr`, such as
//! the same network again. Nothing is left, and the rule admits nobody; in a
//! NetworkPolicy the API server refuses it (`semantics.md` 1.6, V23).
//!
//! No mend: what was to stay open is not written.

use ipnet::IpNet;

use crate::finding::Severity;
use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::peer::{Addresses, parse_cidr};
use crate::policy::{Peer, Policy, PolicyKind};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    for item in elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items) {
        let Peer::Addresses(addresses) = &item.peer else { continue };
        let Some((net, excepts)) = networks(addresses) else { continue };
        let (Some(first), Some(cidr)) = (addresses.except.first(), &addresses.cidr) else { continue };
        let covers = |excepts: &[IpNet]| excepts.iter().any(|except| except.contains(&net));
        if !covers(&excepts) && (excepts.len() < 2 || !covers(&IpNet::aggregate(&excepts))) {
            continue;
        }
        let found = findings.add(
            cidr.span,
            format!("the exceptions take away all of {}: nobody is meant", cidr.value),
            "nothing is left of it",
        );
        found.also(first.span, "as much as the network itself");
        if policy.kind != PolicyKind::Knp {
            found.severity = Severity::Warning;
        }
        found.why("an exception is taken from the network that it stands beside, and from nothing else");
    }
}

/// The network and its exceptions, where the agent takes all of them.
fn networks(addresses: &Addresses<'_>) -> Option<(IpNet, Vec<IpNet>)> {
    let net = parse_cidr(&addresses.cidr.as_ref()?.value)?;
    let excepts: Option<Vec<IpNet>> = addresses
        .except
        .iter()
        .map(|except| {
            let begins_inside =
                except.value.split_once('/')?.0.parse().is_ok_and(|a| net.contains::<&std::net::IpAddr>(&a));
            parse_cidr(&except.value).filter(|_| begins_inside)
        })
        .collect();
    Some((net, excepts?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::rules::testing::{cnp, fires, silent, told_in};

    fn excepting(except: &str) -> String {
        cnp(&format!(
            "endpointSelector: {{}}\n  ingress:\n  - fromCIDRSet:\n    - cidr: 198.51.100.0/24\n      except: [{except}]\n"
        ))
    }

    #[test]
    fn exceptions_that_leave_nothing_are_found() {
        for except in ["198.51.100.0/24", "198.51.100.0/8", "198.51.100.0/25, 198.51.100.128/25"] {
            fires("excepted-network", &excepting(except), &["198.51.100.0/24"]);
        }
    }

    #[test]
    fn a_network_policy_with_them_is_refused() {
        let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.0/24]}}]}]}\n";
        assert_eq!(told_in(None, text), [("excepted-network", Severity::Error, "198.51.100.0/24".into())]);
    }

    #[test]
    fn a_part_may_be_taken_away() {
        silent(&excepting("198.51.100.0/25"));
        silent(&excepting("198.51.100.0/25, 198.51.100.128/26"));
        silent(&excepting("${NET}"));
    }
}
