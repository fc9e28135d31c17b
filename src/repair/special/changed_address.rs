//! Callers whose address a Service has changed on the way.

use crate::diagnose::{Gap, NearMiss, Scene};
use crate::inventory::Service;
use crate::policy::Peer;
use crate::source::Span;
use crate::traffic::Side;

/// A node's address where a rule means clients outside: a Service of type
/// NodePort or LoadBalancer has put the node's address in the client's place.
pub(in crate::repair) fn changed_address<'m>(
    scene: &'m Scene<'_, '_>,
    gap: Gap,
    near: &[NearMiss<'_, '_>],
) -> Option<(&'m Service, Span)> {
    let drop = &scene.drops[gap.drop];
    let peer = scene.engine.identity(drop.peer(gap.side));
    let is_node = peer
        .labels
        .iter()
        .any(|label| &*label.source == "reserved" && matches!(&*label.key, "remote-node" | "host"))
        && !peer.labels.iter().any(|label| &*label.key == "kube-apiserver");
    if gap.side != Side::Ingress || !is_node {
        return None;
    }
    let by_address = near.iter().find_map(|near| {
        let fields = near.element.peers.iter().flat_map(|field| &field.items);
        let addresses = fields.into_iter().find(|item| matches!(item.peer, Peer::Addresses(_)));
        addresses.map(|item| item.value.span())
    })?;
    let subject = drop.subject(gap.side);
    let namespace = scene.namespace(subject)?;
    let mut services =
        scene.model.inventory.services_selecting(namespace, &scene.engine.identity(subject).labels);
    let outward = services.find(|service| {
        matches!(&*service.kind, "NodePort" | "LoadBalancer") && !service.keeps_client_address
    })?;
    Some((outward, by_address))
}
