//! Fills in the labels of a flow's end that its record does not carry.

use super::lookup::namespace_of;
use super::{Cluster, Inventory, Origin, identity_labels};
use crate::flow;

/// The highest number of an identity that stands for a class and not for pods
/// (`flow-formats.md` 1.5).
const LAST_RESERVED: u32 = 255;
/// The first number that is local to a node: CIDRs, names and other nodes.
const FIRST_LOCAL: u32 = 1 << 24;

/// Where the labels of a flow's end are known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelOrigin {
    /// The record carries them: what policy saw.
    Flow,
    /// Cilium's own objects say them.
    Cilium,
    /// They are derived from a workload that this origin shows.
    Workload(Origin),
    /// It is a pod on the host network: `host` or `remote-node`, whichever
    /// scheduling made of it.
    HostNetwork,
    /// Nothing says them.
    Unknown,
}

impl Inventory {
    /// Fills in labels, and the namespace with them, where the record has none:
    /// from the number of its identity, its pod, its owner or its address.
    /// Labels that a record carries are never touched.
    pub fn complete(&self, end: &mut flow::Endpoint, cluster: Cluster<'_>) -> LabelOrigin {
        if !end.labels.is_empty() {
            return LabelOrigin::Flow;
        }
        if let Some(identity) = end.identity.and_then(|number| self.identity(number)) {
            end.labels = identity.labels.clone();
            return LabelOrigin::Cilium;
        }
        if end.identity.is_some_and(|number| (1..=LAST_RESERVED).contains(&number) || number >= FIRST_LOCAL) {
            return LabelOrigin::Unknown;
        }
        let found = match self.find_endpoint(end).filter(|endpoint| !endpoint.labels.is_empty()) {
            Some(endpoint) => (endpoint.labels.clone(), LabelOrigin::Cilium),
            None => match self.find_workload(end) {
                Some(workload) if workload.host_network => return LabelOrigin::HostNetwork,
                Some(workload) => {
                    (identity_labels(workload, self, cluster), LabelOrigin::Workload(workload.origin))
                }
                None => return LabelOrigin::Unknown,
            },
        };
        end.labels = found.0;
        end.namespace = namespace_of(end).map(Box::from);
        found.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::{inventory, with_origin};
    use crate::label::Label;

    const TREE: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {template: {metadata: {labels: {app: web}}}}\n---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: node, namespace: shop}\nspec: {template: {spec: {hostNetwork: true}}}\n";

    fn pod(name: &str) -> flow::Endpoint {
        flow::Endpoint { namespace: Some("shop".into()), pod: Some(name.into()), ..Default::default() }
    }

    #[test]
    fn labels_that_are_missing_come_from_the_workload_and_those_present_stay() {
        let inventory = inventory(TREE);
        let mut end = pod("web-7d8f9c6b5-q9zlw");
        assert_eq!(inventory.complete(&mut end, Cluster::default()), LabelOrigin::Workload(Origin::Tree));
        assert!(end.labels.contains(&Label::k8s("app", "web")));
        let mut end = flow::Endpoint { labels: vec![Label::reserved("world")], ..pod("web-7d8f9c6b5-q9zlw") };
        assert_eq!(inventory.complete(&mut end, Cluster::default()), LabelOrigin::Flow);
        assert_eq!(end.labels, [Label::reserved("world")]);
    }

    #[test]
    fn what_is_no_pod_by_its_identity_gets_no_labels_of_one() {
        let inventory = inventory(TREE);
        for identity in [2, 16_777_217] {
            let mut end = flow::Endpoint { identity: Some(identity), ..pod("web-7d8f9c6b5-q9zlw") };
            assert_eq!(inventory.complete(&mut end, Cluster::default()), LabelOrigin::Unknown);
            assert!(end.labels.is_empty());
        }
        assert_eq!(inventory.complete(&mut pod("node-x2x7k"), Cluster::default()), LabelOrigin::HostNetwork);
        assert_eq!(inventory.complete(&mut pod("other-0"), Cluster::default()), LabelOrigin::Unknown);
    }

    #[test]
    fn what_cilium_says_outranks_what_is_derived() {
        let inventory = with_origin(
            Origin::Cluster,
            &format!(
                "{TREE}---\napiVersion: cilium.io/v2\nkind: CiliumEndpoint\nmetadata: {{name: web-7d8f9c6b5-q9zlw, namespace: shop}}\nstatus: {{identity: {{id: 4711, labels: ['k8s:app=real', 'k8s:io.kubernetes.pod.namespace=shop']}}, networking: {{addressing: [{{ipv4: 10.0.1.7}}]}}, named-ports: [{{name: http, port: 80, protocol: TCP}}]}}\n---\napiVersion: cilium.io/v2\nkind: CiliumIdentity\nmetadata: {{name: '4712'}}\nsecurity-labels: {{'k8s:app': numbered}}\n"
            ),
        );
        let mut by_name = pod("web-7d8f9c6b5-q9zlw");
        assert_eq!(inventory.complete(&mut by_name, Cluster::default()), LabelOrigin::Cilium);
        assert!(by_name.labels.contains(&Label::k8s("app", "real")));
        let mut by_address = flow::Endpoint { ip: Some("10.0.1.7".parse().unwrap()), ..Default::default() };
        assert_eq!(inventory.complete(&mut by_address, Cluster::default()), LabelOrigin::Cilium);
        assert_eq!(by_address.namespace.as_deref(), Some("shop"));
        assert!(inventory.named_ports(&by_address).contains_key("http"));
        let mut by_number = flow::Endpoint { identity: Some(4712), ..Default::default() };
        inventory.complete(&mut by_number, Cluster::default());
        assert_eq!(by_number.labels, [Label::k8s("app", "numbered")]);
    }
}
