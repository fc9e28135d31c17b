//! `cidr-managed`: a CIDR that holds only addresses of the cluster itself: a
//! pod's, a Service's, or a range that `policyfix.toml` calls `managed-cidrs`.
//! CIDRs mean addresses outside the cluster (`semantics.md` 4.3), so the rule
//! never fits.
//!
//! No mend: pods are named by labels, nodes and the API server by entities.

use ipnet::IpNet;

use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::peer::parse_cidr;
use crate::policy::{Peer, Policy};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for item in elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items) {
        let Peer::Addresses(addresses) = &item.peer else { continue };
        let Some((cidr, net)) =
            addresses.cidr.as_ref().and_then(|cidr| Some((cidr, parse_cidr(&cidr.value)?)))
        else {
            continue;
        };
        let Some(owner) = owner(context, net) else { continue };
        findings
            .add(cidr.span, format!("{} belongs to {owner}, which no CIDR matches", cidr.value), "an address of the cluster")
            .why("CIDR rules mean addresses outside the cluster; Services are translated to their pods before policy is asked")
            .help("name pods with toEndpoints or fromEndpoints, nodes and the API server with entities");
    }
}

fn owner(context: &Context<'_, '_>, net: IpNet) -> Option<String> {
    if let Some(range) = context.options.managed.iter().find(|range| range.contains(&net)) {
        return Some(format!("the cluster's own range {range}"));
    }
    if net.prefix_len() < net.max_prefix_len() {
        return None;
    }
    let inventory = &context.model.inventory;
    let title = |namespace: Option<&str>, name: &str| format!("{}/{name}", namespace.unwrap_or_default());
    if let Some(service) = inventory.service_at(net.addr()) {
        return Some(format!("Service {}", title(service.namespace.as_deref(), &service.name)));
    }
    let pod = inventory.workloads().find(|workload| workload.addresses.contains(&net.addr()))?;
    let kind = if pod.host_network { "a node, that of" } else { "pod" };
    Some(format!("{kind} {}", title(pod.namespace.as_deref(), &pod.name)))
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    fn tree(cidr: &str) -> String {
        let policy = cnp(&format!("endpointSelector: {{}}\n  egress:\n  - toCIDR:\n    - {cidr}\n"));
        policy
            + "---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: 10.96.3.4, selector: {app: db}, ports: [{port: 5432}]}\n"
    }

    #[test]
    fn the_address_of_a_service_is_found() {
        fires("cidr-managed", &tree("10.96.3.4/32"), &["10.96.3.4/32"]);
    }

    #[test]
    fn a_range_that_holds_more_than_the_cluster_is_right() {
        silent(&tree("10.0.0.0/8"));
        silent(&tree("192.0.2.1/32"));
    }
}
