//! What Cilium itself says about endpoints: CiliumEndpoint and CiliumIdentity
//! objects carry the labels of an identity exactly as policy sees them.

use std::net::IpAddr;

use super::reader::{Reader, items};
use crate::label::Label;
use crate::traffic::Transport;

/// A CiliumEndpoint: a pod as Cilium knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiliumEndpoint {
    /// The name of the pod.
    pub pod: Box<str>,
    /// Its namespace.
    pub namespace: Option<Box<str>>,
    /// The number of its identity.
    pub identity: Option<u32>,
    /// The labels of its identity, sorted.
    pub labels: Vec<Label>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its named ports.
    pub named_ports: Vec<(Box<str>, Transport, u16)>,
}

/// A CiliumIdentity: which labels a number stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiliumIdentity {
    /// The number.
    pub number: u32,
    /// The labels, sorted.
    pub labels: Vec<Label>,
}

pub(super) fn read(reader: &Reader<'_, '_>) -> CiliumEndpoint {
    let status = reader.path(&["status"]);
    let identity = status.and_then(|status| status.get("identity"));
    let mut labels: Vec<Label> = items(identity, "labels")
        .filter_map(|label| reader.text(Some(label)))
        .map(|label| Label::parse(&label))
        .collect();
    labels.sort_unstable();
    let networking = status.and_then(|status| status.get("networking"));
    CiliumEndpoint {
        pod: reader.name(),
        namespace: reader.namespace(),
        identity: reader
            .text(identity.and_then(|identity| identity.get("id")))
            .and_then(|number| number.parse().ok()),
        labels,
        addresses: items(networking, "addressing")
            .flat_map(|pair| [pair.get("ipv4"), pair.get("ipv6")])
            .filter_map(|address| reader.address(address))
            .collect(),
        named_ports: items(status, "named-ports")
            .filter_map(|port| {
                let number = reader.port(port.get("port"))?;
                Some((reader.text(port.get("name"))?, reader.transport(port.get("protocol"))?, number))
            })
            .collect(),
    }
}

pub(super) fn read_identity(reader: &Reader<'_, '_>) -> Option<CiliumIdentity> {
    let mut labels: Vec<Label> = reader
        .pairs(reader.path(&["security-labels"]))
        .known
        .iter()
        .map(|(key, value)| {
            let (source, key) = key.split_once(':').unwrap_or(("unspec", key));
            Label::new(source, key, value)
        })
        .collect();
    labels.sort_unstable();
    Some(CiliumIdentity { number: reader.rendered.name.parse().ok()?, labels })
}
