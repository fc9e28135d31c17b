//! From the end of a flow to an identity: labels that the record lacks and
//! names of ports come from the inventory.

use std::net::IpAddr;

use super::{Engine, Identity, IdentityId, NamedPort};
use crate::flow::Endpoint;
use crate::inventory::{Cluster, Inventory, LabelOrigin};
use crate::label::Label;

/// An end of a flow, ready to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// Its identity.
    pub identity: IdentityId,
    /// Where its labels are known from.
    pub origin: LabelOrigin,
}

impl Engine {
    /// Takes in the end of a flow.
    pub fn take_in(&mut self, endpoint: &Endpoint, inventory: &Inventory) -> End {
        let mut endpoint = endpoint.clone();
        let cluster = Cluster { name: &self.options.cluster, version: self.options.version };
        let origin = inventory.complete(&mut endpoint, cluster);
        let named_ports = inventory
            .named_ports(&endpoint)
            .iter()
            .flat_map(|(name, ports)| {
                ports.iter().map(|(transport, port)| NamedPort {
                    name: name.to_ascii_lowercase().into(),
                    transport: *transport,
                    port: *port,
                })
            })
            .collect();
        let outside = endpoint.labels.iter().any(is_outside);
        let identity = Identity {
            // The address of a pod or node says nothing that policy sees.
            ip: endpoint.ip.filter(|_| outside),
            names: if outside { endpoint.names } else { Vec::new() },
            labels: endpoint.labels.into_iter().filter(|label| &*label.source != "gen").collect(),
            named_ports,
        };
        End { identity: self.identify(identity), origin }
    }
}

/// Whether a label says that an identity lies outside the cluster.
fn is_outside(label: &Label) -> bool {
    &*label.source == "reserved" && label.key.starts_with("world")
}

impl Identity {
    /// An address outside the cluster.
    pub fn outside(ip: IpAddr) -> Self {
        Self { labels: vec![Label::reserved("world")], ip: Some(ip), ..Self::default() }
    }
}
