//! Services, and the addresses behind them.
//!
//! Policy is judged after a Service's address and port were translated to those
//! of a pod (`semantics.md` 5.2), so both ends of the translation matter.

use std::net::IpAddr;

use super::reader::{Reader, items};
use super::{Origin, Pair};
use crate::source::Span;
use crate::traffic::Transport;
use crate::yaml::Value;

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Box<str>,
    /// Its namespace; `None` when it cannot be known.
    pub namespace: Option<Box<str>>,
    /// Its own labels.
    pub labels: Vec<Pair>,
    /// `spec.selector`; empty when it selects no pods.
    pub selector: Vec<Pair>,
    /// Its ports, in order.
    pub ports: Vec<ServicePort>,
    /// `spec.type`: `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: Box<str>,
    /// Cluster, external and load balancer addresses: those that are
    /// translated to a backend.
    pub addresses: Vec<IpAddr>,
    /// Whether `externalTrafficPolicy` is `Local`: callers from outside keep
    /// their address (`semantics.md` 5.5).
    pub keeps_client_address: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands.
    pub place: Span,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name.
    pub name: Option<Box<str>>,
    /// The port of the Service's address.
    pub port: u16,
    /// The port of the pod.
    pub target: TargetPort,
    /// `protocol`, TCP by default.
    pub transport: Transport,
    /// `nodePort`, where one is given.
    pub node_port: Option<u16>,
    /// The place that says the target: `targetPort`, else `port`.
    pub span: Span,
}

/// Where a Service's port leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    /// A port number.
    Number(u16),
    /// A container port by its name.
    Name(Box<str>),
}

/// The addresses behind a Service as an EndpointSlice or Endpoints object lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends {
    /// The name of the Service.
    pub service: Box<str>,
    /// Its namespace; `None` when it cannot be known.
    pub namespace: Option<Box<str>>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Name, protocol and number of each port.
    pub ports: Vec<(Option<Box<str>>, Transport, u16)>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands.
    pub place: Span,
}

pub(super) fn read(reader: &Reader<'_, '_>) -> Service {
    let spec = reader.path(&["spec"]);
    let field = |key| spec.and_then(|spec| spec.get(key));
    let mut selector = reader.pairs(field("selector"));
    if !selector.known.is_empty() {
        for (key, value) in &reader.rendered.selector_labels {
            selector.set(key, value);
        }
    }
    let mut addresses: Vec<IpAddr> = ["clusterIPs", "externalIPs"]
        .into_iter()
        .flat_map(|key| items(spec, key))
        .filter_map(|item| reader.address(Some(item)))
        .collect();
    addresses.extend(reader.address(field("clusterIP")));
    addresses.extend(reader.address(field("loadBalancerIP")));
    let balancer = reader.path(&["status", "loadBalancer"]);
    addresses.extend(items(balancer, "ingress").filter_map(|item| reader.address(item.get("ip"))));
    addresses.sort_unstable();
    addresses.dedup();
    Service {
        name: reader.name(),
        namespace: reader.namespace(),
        labels: reader.pairs(reader.path(&["metadata", "labels"])).known,
        selector: selector.known,
        ports: items(spec, "ports").filter_map(|port| service_port(reader, port)).collect(),
        kind: reader.text(field("type")).unwrap_or_else(|| "ClusterIP".into()),
        addresses,
        keeps_client_address: reader.text(field("externalTrafficPolicy")).as_deref() == Some("Local"),
        origin: reader.origin,
        place: reader.object.place(),
    }
}

fn service_port<'a>(reader: &Reader<'_, 'a>, value: Value<'a>) -> Option<ServicePort> {
    let written = value.get("port");
    let port = reader.port(written)?;
    let target_value = value.get("targetPort").filter(|target| !target.is_null());
    let target = match (target_value, reader.port(target_value)) {
        (None, _) => TargetPort::Number(port),
        (Some(_), Some(number)) => TargetPort::Number(number),
        (Some(_), None) => TargetPort::Name(reader.text(target_value)?),
    };
    Some(ServicePort {
        name: reader.text(value.get("name")),
        port,
        target,
        transport: reader.transport(value.get("protocol"))?,
        node_port: reader.port(value.get("nodePort")),
        span: target_value.or(written)?.span(),
    })
}

fn endpoint_ports<'a>(reader: &Reader<'_, 'a>, value: Value<'a>) -> Vec<(Option<Box<str>>, Transport, u16)> {
    items(Some(value), "ports")
        .filter_map(|port| {
            let number = reader.port(port.get("port"))?;
            Some((reader.text(port.get("name")), reader.transport(port.get("protocol"))?, number))
        })
        .collect()
}

/// An EndpointSlice says in a label which Service it is for.
pub(super) fn read_slice(reader: &Reader<'_, '_>) -> Backends {
    let labels = reader.pairs(reader.path(&["metadata", "labels"])).known;
    let owner = labels.into_iter().find(|(key, _)| &**key == "kubernetes.io/service-name");
    let root = reader.object.value;
    Backends {
        service: owner.map_or_else(|| reader.name(), |(_, service)| service),
        namespace: reader.namespace(),
        addresses: items(Some(root), "endpoints")
            .flat_map(|endpoint| items(Some(endpoint), "addresses"))
            .filter_map(|address| reader.address(Some(address)))
            .collect(),
        ports: endpoint_ports(reader, root),
        origin: reader.origin,
        place: reader.object.place(),
    }
}

/// Endpoints have the name of their Service.
pub(super) fn read_endpoints(reader: &Reader<'_, '_>) -> Backends {
    let subsets = || items(Some(reader.object.value), "subsets");
    Backends {
        service: reader.name(),
        namespace: reader.namespace(),
        addresses: subsets()
            .flat_map(|subset| items(Some(subset), "addresses"))
            .filter_map(|address| reader.address(address.get("ip")))
            .collect(),
        ports: subsets().flat_map(|subset| endpoint_ports(reader, subset)).collect(),
        origin: reader.origin,
        place: reader.object.place(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::inventory;

    #[test]
    fn a_target_port_is_a_number_a_name_or_the_port_itself() {
        let inventory = inventory(
            "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\nspec:\n  clusterIP: 10.0.0.1\n  clusterIPs: [10.0.0.1, 'fd00::1']\n  externalTrafficPolicy: Local\n  selector: {app: a}\n  ports:\n  - {port: 80, targetPort: http}\n  - {port: 443, targetPort: 8443}\n  - {port: 53, protocol: UDP}\n  - {port: 81, targetPort: '8081'}\n",
        );
        let service = inventory.services().next().unwrap();
        let targets: Vec<_> = service.ports.iter().map(|port| port.target.clone()).collect();
        assert_eq!(
            targets,
            [
                TargetPort::Name("http".into()),
                TargetPort::Number(8443),
                TargetPort::Number(53),
                TargetPort::Number(8081)
            ]
        );
        assert_eq!(service.addresses.len(), 2);
        assert!(service.keeps_client_address);
        assert_eq!(service.kind.as_ref(), "ClusterIP");
    }

    #[test]
    fn slices_and_endpoints_say_what_lies_behind_a_service() {
        let inventory = inventory(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s-1, namespace: n, labels: {kubernetes.io/service-name: s}}\nendpoints: [{addresses: [192.0.2.1]}]\nports: [{port: 5432}]\n---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: t, namespace: n}\nsubsets: [{addresses: [{ip: 192.0.2.2}], ports: [{name: x, port: 1, protocol: UDP}]}]\n",
        );
        let slice = inventory.backends("n", "s").next().unwrap();
        assert_eq!(slice.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(slice.ports, [(None, Transport::Tcp, 5432)]);
        let endpoints = inventory.backends("n", "t").next().unwrap();
        assert_eq!(endpoints.ports, [(Some("x".into()), Transport::Udp, 1)]);
    }
}
