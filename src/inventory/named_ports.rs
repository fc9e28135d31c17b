//! Named ports: what a policy that names a port means by it
//! (`semantics.md` 3.5).

use std::collections::{BTreeMap, BTreeSet};

use super::endpoint::CiliumEndpoint;
use super::{Inventory, Workload};
use crate::flow;
use crate::label::Label;
use crate::traffic::Transport;

/// Named ports: a name in lower case, and what it stands for.
pub type NamedPorts = BTreeMap<Box<str>, BTreeSet<(Transport, u16)>>;

impl Inventory {
    /// The named ports of a flow's end: what its labels tell (`gen:` labels of
    /// Cilium 1.20), its CiliumEndpoint, its workload, or the workloads that
    /// may have made an endpoint with its labels.
    pub fn named_ports(&self, end: &flow::Endpoint) -> NamedPorts {
        let mut ports = ports_in_labels(&end.labels);
        if ports.is_empty()
            && let Some(endpoint) = self.find_endpoint(end)
        {
            put_endpoint_ports(&mut ports, endpoint);
        }
        if ports.is_empty() {
            match self.find_workload(end) {
                Some(workload) => put_workload_ports(&mut ports, workload),
                None => self.workloads_behind(&end.labels).for_each(|w| put_workload_ports(&mut ports, w)),
            }
        }
        ports
    }

    /// The named ports of every pod of the cluster: up to Cilium 1.19 egress
    /// looks names up here (`semantics.md` 3.5).
    pub fn all_named_ports(&self) -> NamedPorts {
        let mut ports = NamedPorts::new();
        self.workloads.iter().filter(|w| !w.host_network).for_each(|w| put_workload_ports(&mut ports, w));
        self.endpoints.iter().for_each(|endpoint| put_endpoint_ports(&mut ports, endpoint));
        ports
    }
}

fn put(ports: &mut NamedPorts, name: &str, transport: Transport, number: u16) {
    ports.entry(name.to_ascii_lowercase().into()).or_default().insert((transport, number));
}

fn put_workload_ports(ports: &mut NamedPorts, workload: &Workload) {
    for port in &workload.ports {
        if let Some(name) = &port.name {
            put(ports, name, port.transport, port.number);
        }
    }
}

fn put_endpoint_ports(ports: &mut NamedPorts, endpoint: &CiliumEndpoint) {
    for (name, transport, number) in &endpoint.named_ports {
        put(ports, name, *transport, *number);
    }
}

/// The table of named ports that Cilium 1.20 puts among the labels, as
/// `name.TCP.port` joined by `_` (`flow-formats.md` 5.1).
fn ports_in_labels(labels: &[Label]) -> NamedPorts {
    let mut ports = NamedPorts::new();
    let tables = labels
        .iter()
        .filter(|label| &*label.source == "gen" && label.key.starts_with("io.cilium.k8s.named-ports"));
    for entry in tables.flat_map(|label| label.value.split('_')) {
        let mut parts = entry.rsplitn(3, '.');
        let (number, transport, name) = (parts.next(), parts.next(), parts.next());
        let number = number.and_then(|number| number.parse().ok());
        let transport = Transport::ALL.into_iter().find(|known| Some(known.as_str()) == transport);
        if let (Some(name), Some(transport), Some(number)) = (name, transport, number) {
            put(&mut ports, name, transport, number);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::inventory;
    use crate::label::NAMESPACE;

    const LEDGER: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ledger, namespace: pay}\nspec: {template: {metadata: {labels: {app: ledger}}, spec: {containers: [{ports: [{name: grpc, containerPort: 50051}]}]}}}\n";

    #[test]
    fn named_ports_come_from_the_workload_that_carries_the_labels() {
        let inventory = inventory(LEDGER);
        let end = flow::Endpoint {
            labels: vec![Label::k8s("app", "ledger"), Label::k8s("extra", "x"), Label::k8s(NAMESPACE, "pay")],
            ..Default::default()
        };
        assert_eq!(inventory.named_ports(&end)["grpc"], BTreeSet::from([(Transport::Tcp, 50051)]));
    }

    #[test]
    fn named_ports_among_the_labels_outrank_the_tree() {
        let label = Label::parse("gen:io.cilium.k8s.named-ports=dns.UDP.53_dns-tcp.TCP.53_a.b.TCP.x");
        let end = flow::Endpoint { labels: vec![label], ..Default::default() };
        let ports = Inventory::default().named_ports(&end);
        assert_eq!(ports.keys().map(|name| &**name).collect::<Vec<_>>(), ["dns", "dns-tcp"]);
    }
}
