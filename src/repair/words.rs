//! The data of new text: peers, ports and rules for a flow, in the terms of the
//! policy's kind.

use std::net::IpAddr;

use super::manner::Manner;
use crate::diagnose::{Scene, is_stable};
use crate::engine::{Identity, IdentityId};
use crate::inventory::is_identity_label;
use crate::label::{CLUSTER, k8s_value};
use crate::policy::{PeerKey, PolicyKind};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};
use crate::yaml::Datum;

/// Whom a new peer names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerWords {
    /// Pods by label.
    Pods {
        /// The labels that identify the workload.
        labels: Vec<(String, String)>,
        /// Its namespace, where it is not the policy's own.
        namespace: Option<String>,
        /// Its cluster, where it is not the local one.
        cluster: Option<String>,
    },
    /// A class of identities.
    Entity(&'static str),
    /// A name outside.
    Name(String),
    /// An address outside.
    Address(IpAddr),
}

/// The label keys by which workloads are commonly told apart, best first.
const IDENTIFYING: [&str; 6] = [
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
];

/// The labels that identify an endpoint's workload among all that are known in
/// its namespace: one of the common keys if it is enough, else two, else all
/// that are stable.
pub(super) fn identifying_labels(scene: &Scene<'_, '_>, id: IdentityId) -> Vec<(String, String)> {
    let identity = scene.engine.identity(id);
    let version = scene.engine.options().version;
    let own: Vec<(&str, &str)> = identity
        .labels
        .iter()
        .filter(|label| {
            &*label.source == "k8s" && is_stable(&label.key) && is_identity_label(&label.key, version)
        })
        .map(|label| (label.key.as_ref(), label.value.as_ref()))
        .collect();
    let mut ranked: Vec<(&str, &str)> =
        IDENTIFYING.iter().filter_map(|key| own.iter().find(|(own, _)| own == key).copied()).collect();
    let namespace = scene.namespace(id).unwrap_or_default();
    let alone = |labels: &[(&str, &str)]| scene.workloads().mean_only(id, namespace, labels);
    if let Some(one) = ranked.iter().find(|label| alone(&[**label])) {
        return owned(&[*one]);
    }
    for (i, first) in ranked.iter().enumerate() {
        if let Some(second) = ranked[i + 1..].iter().find(|second| alone(&[*first, **second])) {
            return owned(&[*first, *second]);
        }
    }
    if ranked.is_empty() || !alone(&ranked) {
        ranked = own;
    }
    owned(&ranked)
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// How a peer is best named: pods by label, nodes and the API server by entity,
/// a host outside by name, else by address. `world` is never a way to name it.
pub(super) fn name_peer(
    scene: &Scene<'_, '_>,
    peer: IdentityId,
    namespace: Option<&str>,
) -> Option<PeerWords> {
    let identity = scene.engine.identity(peer);
    if let Some(own) = scene.namespace(peer) {
        let cluster = k8s_value(&identity.labels, CLUSTER);
        return Some(PeerWords::Pods {
            labels: identifying_labels(scene, peer),
            namespace: (namespace != Some(own)).then(|| own.to_owned()),
            cluster: cluster.filter(|name| *name != scene.engine.options().cluster).map(str::to_owned),
        });
    }
    if let Some(entity) = entity(identity) {
        return Some(PeerWords::Entity(entity));
    }
    match (identity.names.as_slice(), identity.ip) {
        ([name, ..], _) => Some(PeerWords::Name(name.to_string())),
        ([], Some(ip)) => Some(PeerWords::Address(ip)),
        ([], None) => None,
    }
}

/// The narrowest entity that an identity inside the cluster belongs to.
pub(super) fn entity(identity: &Identity) -> Option<&'static str> {
    let known = ["kube-apiserver", "ingress", "health", "init", "unmanaged", "remote-node", "host"];
    known
        .into_iter()
        .find(|name| identity.labels.iter().any(|l| &*l.source == "reserved" && &*l.key == *name))
}

impl PeerWords {
    /// Whether it is named by a DNS name.
    pub(super) fn is_name(&self) -> bool {
        matches!(self, PeerWords::Name(_))
    }

    /// The field of a Cilium rule that such a peer stands in.
    pub(super) fn field(&self) -> PeerKey {
        match self {
            PeerWords::Pods { .. } => PeerKey::Endpoints,
            PeerWords::Entity(_) => PeerKey::Entities,
            PeerWords::Name(_) => PeerKey::Names,
            PeerWords::Address(_) => PeerKey::Cidr,
        }
    }

    /// The item of its field; `None` when the kind of policy has no word for it.
    pub(super) fn item(&self, kind: PolicyKind, manner: Manner) -> Option<Datum> {
        if kind == PolicyKind::Knp {
            return self.kubernetes_item();
        }
        Some(match self {
            PeerWords::Pods { labels, namespace, cluster } => Datum::map([(
                "matchLabels",
                selector(labels, namespace.as_deref(), cluster.as_deref(), manner),
            )]),
            PeerWords::Entity(name) => Datum::from(*name),
            PeerWords::Name(name) => Datum::map([("matchName", Datum::from(name.as_str()))]),
            PeerWords::Address(ip) => Datum::from(host_prefix(*ip)),
        })
    }

    fn kubernetes_item(&self) -> Option<Datum> {
        match self {
            PeerWords::Pods { labels, namespace, cluster: None } => {
                let mut item = Vec::new();
                if let Some(namespace) = namespace {
                    let name = Datum::map([("kubernetes.io/metadata.name", Datum::from(namespace.as_str()))]);
                    item.push(("namespaceSelector", Datum::map([("matchLabels", name)])));
                }
                let labels = Datum::map(labels.iter().map(|(k, v)| (k.as_str(), Datum::from(v.as_str()))));
                item.push(("podSelector", Datum::map([("matchLabels", labels)])));
                Some(Datum::map(item))
            }
            PeerWords::Address(ip) => {
                Some(Datum::map([("ipBlock", Datum::map([("cidr", Datum::from(host_prefix(*ip)))]))]))
            }
            PeerWords::Pods { .. } | PeerWords::Entity(_) | PeerWords::Name(_) => None,
        }
    }

    /// How messages call it.
    pub(super) fn title(&self) -> String {
        match self {
            PeerWords::Pods { labels, namespace, cluster } => {
                let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                let namespace = namespace.as_ref().map_or(String::new(), |ns| format!(" in {ns}"));
                let cluster = cluster.as_ref().map_or(String::new(), |name| format!(" of cluster {name}"));
                format!("{}{namespace}{cluster}", labels.join(", "))
            }
            PeerWords::Entity(name) => format!("entity {name}"),
            PeerWords::Name(name) => name.clone(),
            PeerWords::Address(ip) => host_prefix(*ip),
        }
    }
}

/// The matchLabels of a peer, in the manner of the file.
fn selector(
    labels: &[(String, String)],
    namespace: Option<&str>,
    cluster: Option<&str>,
    manner: Manner,
) -> Datum {
    let mut entries: Vec<(String, Datum)> =
        labels.iter().map(|(key, value)| (manner.label_key(key), Datum::from(value.as_str()))).collect();
    if let Some(cluster) = cluster {
        entries.push((manner.label_key(CLUSTER), Datum::from(cluster)));
    }
    if let Some(namespace) = namespace {
        let at = if manner.namespace_first { 0 } else { entries.len() };
        entries.insert(at, (manner.namespace_key(), Datum::from(namespace)));
    }
    Datum::map(entries)
}

/// An address as the prefix that holds it alone.
pub(super) fn host_prefix(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

/// What a new port entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PortWords {
    /// The number.
    pub port: u16,
    /// The transport; `None` for TCP, UDP and SCTP alike.
    pub transport: Option<Transport>,
}

impl PortWords {
    /// The item of `ports`. Protocol comes first where the file has it so.
    pub(super) fn item(self, kind: PolicyKind, protocol_first: bool) -> Datum {
        let number = match kind {
            PolicyKind::Knp => Datum::Int(i64::from(self.port)),
            _ => Datum::String(self.port.to_string()),
        };
        let protocol = Datum::from(self.transport.map_or("ANY", Transport::as_str));
        let mut entries = vec![("port", number), ("protocol", protocol)];
        if protocol_first {
            entries.reverse();
        }
        Datum::map(entries)
    }

    /// How messages call it.
    pub(super) fn title(self) -> String {
        self.transport.map_or_else(|| self.port.to_string(), |transport| format!("{transport} {}", self.port))
    }
}

/// The same ports with an entry for each transport in the place of `ANY`, which a
/// NetworkPolicy does not know.
pub(super) fn in_pairs(ports: &[PortWords]) -> Vec<PortWords> {
    let pair = |port: &PortWords| match port.transport {
        None => vec![Transport::Udp, Transport::Tcp],
        Some(transport) => vec![transport],
    };
    let apart = |port: &PortWords| {
        let number = port.port;
        pair(port).into_iter().map(move |transport| PortWords { port: number, transport: Some(transport) })
    };
    ports.iter().flat_map(apart).collect()
}

/// The data of `icmps` for one type.
pub(super) fn icmps(family: IcmpFamily, kind: u8) -> Datum {
    let field = Datum::map([("family", Datum::from(family.as_str())), ("type", Datum::Int(i64::from(kind)))]);
    Datum::seq([Datum::map([("fields", Datum::seq([field]))])])
}

/// A whole element: peers, then ports or ICMP types. `None` when the kind of
/// policy has no words for it.
pub(super) fn element(
    kind: PolicyKind,
    side: Side,
    peers: &[PeerWords],
    packets: &[Packet],
    ports: &[PortWords],
    manner: Manner,
    protocol_first: bool,
) -> Option<Datum> {
    let items: Vec<Datum> = peers.iter().map(|peer| peer.item(kind, manner)).collect::<Option<_>>()?;
    let field = peers.first()?.field();
    let port_items: Vec<Datum> = ports.iter().map(|port| port.item(kind, protocol_first)).collect();
    let icmp = packets.iter().find_map(|packet| match packet {
        Packet::Icmp(family, kind) => Some((*family, *kind)),
        _ => None,
    });
    if kind == PolicyKind::Knp {
        if icmp.is_some() {
            return None;
        }
        return Some(Datum::map([
            (PeerKey::Kubernetes.as_str(side), Datum::Seq(items)),
            ("ports", Datum::Seq(port_items)),
        ]));
    }
    let peers = (field.as_str(side), Datum::Seq(items));
    Some(match icmp {
        Some((family, number)) => Datum::map([peers, ("icmps", icmps(family, number))]),
        None => {
            Datum::map([peers, ("toPorts", Datum::seq([Datum::map([("ports", Datum::Seq(port_items))])]))])
        }
    })
}
