//! Peers of an element: endpoints, addresses, entities, names, Services, nodes
//! (`semantics.md` 1.3, 4).

use std::net::IpAddr;

use ipnet::IpNet;

use super::name::NameRule;
use super::selector::Selector;
use crate::manifest::Text;
use crate::source::Spanned;
use crate::traffic::Side;
use crate::yaml::{Entry, Value};

/// Which field a peer stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerKey {
    /// `fromEndpoints`, `toEndpoints`.
    Endpoints,
    /// `fromCIDR`, `toCIDR`.
    Cidr,
    /// `fromCIDRSet`, `toCIDRSet`.
    CidrSet,
    /// `fromEntities`, `toEntities`.
    Entities,
    /// `fromNodes`, `toNodes`.
    Nodes,
    /// `fromGroups`, `toGroups`.
    Groups,
    /// `toServices`.
    Services,
    /// `toFQDNs`.
    Names,
    /// `from`, `to` of a NetworkPolicy, where kinds of peers stand side by side.
    Kubernetes,
}

impl PeerKey {
    /// The key as a manifest writes it.
    pub fn as_str(self, side: Side) -> &'static str {
        let (ingress, egress) = match self {
            PeerKey::Endpoints => ("fromEndpoints", "toEndpoints"),
            PeerKey::Cidr => ("fromCIDR", "toCIDR"),
            PeerKey::CidrSet => ("fromCIDRSet", "toCIDRSet"),
            PeerKey::Entities => ("fromEntities", "toEntities"),
            PeerKey::Nodes => ("fromNodes", "toNodes"),
            PeerKey::Groups => ("fromGroups", "toGroups"),
            PeerKey::Services => ("toServices", "toServices"),
            PeerKey::Names => ("toFQDNs", "toFQDNs"),
            PeerKey::Kubernetes => ("from", "to"),
        };
        match side {
            Side::Ingress => ingress,
            Side::Egress => egress,
        }
    }

    /// The field that a key of an element on this side means.
    pub fn parse(key: &str, side: Side) -> Option<Self> {
        use PeerKey::*;
        let all = [Endpoints, Cidr, CidrSet, Entities, Nodes, Groups, Services, Names];
        all.into_iter().find(|field| {
            key == field.as_str(side) && (side == Side::Egress || !matches!(field, Services | Names))
        })
    }
}

/// One peer field of an element.
#[derive(Debug, Clone)]
pub struct PeerField<'s> {
    /// Which field.
    pub key: PeerKey,
    /// The key and the list.
    pub entry: Entry<'s>,
    /// Its items; present and empty means something else than absent (3.4).
    pub items: Vec<PeerItem<'s>>,
}

/// One item of a peer field.
#[derive(Debug, Clone)]
pub struct PeerItem<'s> {
    /// The item.
    pub value: Value<'s>,
    /// What it says.
    pub peer: Peer<'s>,
}

/// One peer.
#[derive(Debug, Clone)]
pub enum Peer<'s> {
    /// Pods (and other identities) by label.
    Endpoints(Selector<'s>),
    /// Addresses outside the cluster.
    Addresses(Addresses<'s>),
    /// A class of identities.
    Entity(Spanned<Text<'s>>),
    /// Nodes by label.
    Nodes(Selector<'s>),
    /// Names outside the cluster.
    Name(NameRule<'s>),
    /// A Service.
    Service(ServicePeer<'s>),
    /// AWS groups: nothing here can resolve them.
    Group,
    /// A peer of a NetworkPolicy that is written as `{}` (1.6).
    Anything,
    /// Something that is none of these; a fault says what.
    Unreadable,
}

/// `toCIDR`, an item of a CIDRSet, or `ipBlock`.
#[derive(Debug, Clone)]
pub struct Addresses<'s> {
    /// The prefix.
    pub cidr: Option<Spanned<Text<'s>>>,
    /// `cidrGroupRef`.
    pub group: Option<Spanned<Text<'s>>>,
    /// `cidrGroupSelector`.
    pub group_selector: Option<Box<Selector<'s>>>,
    /// `except`.
    pub except: Vec<Spanned<Text<'s>>>,
}

/// An item of `toServices`.
#[derive(Debug, Clone)]
pub struct ServicePeer<'s> {
    /// `serviceName`, when it is chosen by name.
    pub name: Option<Spanned<Text<'s>>>,
    /// The labels of the Service, when it is chosen by label.
    pub selector: Option<Selector<'s>>,
    /// `namespace`; empty means any.
    pub namespace: Option<Spanned<Text<'s>>>,
}

/// Reads a prefix, or an address as the prefix that holds it alone. Host bits
/// may be set: they are masked off (V18).
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    match text.split_once('/') {
        Some((address, length)) => {
            let plain = !length.is_empty()
                && length.bytes().all(|b| b.is_ascii_digit())
                && (length == "0" || !length.starts_with('0'));
            let length = length.parse().ok().filter(|_| plain)?;
            Some(IpNet::new(address.parse().ok()?, length).ok()?.trunc())
        }
        None => Some(IpNet::from(text.parse::<IpAddr>().ok()?)),
    }
}

/// A class of identities that policies call by name (`semantics.md` 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Entity {
    All,
    World,
    WorldIpv4,
    WorldIpv6,
    Cluster,
    Host,
    Init,
    Ingress,
    Unmanaged,
    RemoteNode,
    Health,
    None,
    KubeApiserver,
    ClusterMesh,
}

impl Entity {
    /// Every entity, with its name in manifests.
    pub const NAMES: [(&'static str, Entity); 14] = [
        ("all", Entity::All),
        ("world", Entity::World),
        ("world-ipv4", Entity::WorldIpv4),
        ("world-ipv6", Entity::WorldIpv6),
        ("cluster", Entity::Cluster),
        ("host", Entity::Host),
        ("init", Entity::Init),
        ("ingress", Entity::Ingress),
        ("unmanaged", Entity::Unmanaged),
        ("remote-node", Entity::RemoteNode),
        ("health", Entity::Health),
        ("none", Entity::None),
        ("kube-apiserver", Entity::KubeApiserver),
        ("cluster-mesh", Entity::ClusterMesh),
    ];

    /// The entity of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(own, _)| *own == name).map(|&(_, entity)| entity)
    }

    /// Its name in manifests.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, own)| *own == self).map_or("none", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_strictly_and_masked() {
        assert_eq!(parse_cidr("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse_cidr("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(parse_cidr("2001:db8::1/64").unwrap().to_string(), "2001:db8::/64");
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/255.0.0.0",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "fe80::1%eth0",
            "10.0.0.0/",
        ] {
            assert!(parse_cidr(text).is_none(), "{text}");
        }
    }
}
