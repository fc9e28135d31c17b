//! Identities: what policy sees of an endpoint (`semantics.md` 2.1, 4.1).

use std::net::IpAddr;

use crate::label::{CLUSTER, Label, NAMESPACE};
use crate::policy::peer::Entity;
use crate::traffic::Transport;

/// Which identity of an [`Engine`](super::Engine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityId(pub(super) u32);

/// A port that a pod has given a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedPort {
    /// In lower case.
    pub name: Box<str>,
    /// Its transport.
    pub transport: Transport,
    /// Its number.
    pub port: u16,
}

/// Everything about an endpoint that a verdict can depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Labels, in any order; sorted when the engine takes the identity in.
    pub labels: Vec<Label>,
    /// Address: decides CIDRs for identities outside the cluster.
    pub ip: Option<IpAddr>,
    /// DNS names by which the address was learned.
    pub names: Vec<Box<str>>,
    /// Ports with a name.
    pub named_ports: Vec<NamedPort>,
}

/// Classes of identities as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Classes(u16);

impl Classes {
    pub(super) const HOST: Self = Self(1);
    pub(super) const WORLD: Self = Self(1 << 1);
    pub(super) const WORLD_IPV4: Self = Self(1 << 2);
    pub(super) const WORLD_IPV6: Self = Self(1 << 3);
    pub(super) const UNMANAGED: Self = Self(1 << 4);
    pub(super) const HEALTH: Self = Self(1 << 5);
    pub(super) const INIT: Self = Self(1 << 6);
    pub(super) const REMOTE_NODE: Self = Self(1 << 7);
    pub(super) const KUBE_APISERVER: Self = Self(1 << 8);
    pub(super) const INGRESS: Self = Self(1 << 9);
    /// A label with the key `host`, of any source: no policy is enforced (2.1).
    pub(super) const HOST_KEY: Self = Self(1 << 10);
    /// A label with the key `init`, of any source: default deny without any policy (2.1).
    pub(super) const INIT_KEY: Self = Self(1 << 11);
    pub(super) const POD: Self = Self(1 << 12);
    pub(super) const LOCAL_CLUSTER: Self = Self(1 << 13);
    pub(super) const ANY_CLUSTER: Self = Self(1 << 14);

    pub(super) const OUTSIDE: Self = Self(Self::WORLD.0 | Self::WORLD_IPV4.0 | Self::WORLD_IPV6.0);
    const IN_CLUSTER: Self = Self(
        Self::HOST.0
            | Self::REMOTE_NODE.0
            | Self::INIT.0
            | Self::INGRESS.0
            | Self::HEALTH.0
            | Self::UNMANAGED.0
            | Self::KUBE_APISERVER.0
            | Self::LOCAL_CLUSTER.0,
    );

    pub(super) fn has(self, any_of: Self) -> bool {
        self.0 & any_of.0 != 0
    }

    fn of(labels: &[Label], cluster: &str) -> Self {
        let mut classes = 0;
        for label in labels {
            classes |= match (label.source.as_ref(), label.key.as_ref()) {
                ("reserved", "host") => Self::HOST.0,
                ("reserved", "world") => Self::WORLD.0,
                ("reserved", "world-ipv4") => Self::WORLD_IPV4.0,
                ("reserved", "world-ipv6") => Self::WORLD_IPV6.0,
                ("reserved", "unmanaged") => Self::UNMANAGED.0,
                ("reserved", "health") => Self::HEALTH.0,
                ("reserved", "init") => Self::INIT.0,
                ("reserved", "remote-node") => Self::REMOTE_NODE.0,
                ("reserved", "kube-apiserver") => Self::KUBE_APISERVER.0,
                ("reserved", "ingress") => Self::INGRESS.0,
                ("k8s", NAMESPACE) => Self::POD.0,
                ("k8s", CLUSTER) if label.value.as_ref() == cluster => {
                    Self::LOCAL_CLUSTER.0 | Self::ANY_CLUSTER.0
                }
                ("k8s", CLUSTER) => Self::ANY_CLUSTER.0,
                _ => 0,
            };
            classes |= match label.key.as_ref() {
                "host" => Self::HOST_KEY.0,
                "init" => Self::INIT_KEY.0,
                _ => 0,
            };
        }
        Self(classes)
    }

    /// Whether an entity means identities of these classes (`semantics.md` 4.2).
    pub(super) fn are(self, entity: Entity) -> bool {
        match entity {
            Entity::All => true,
            Entity::None => false,
            Entity::World => self.has(Self::OUTSIDE),
            Entity::WorldIpv4 => self.has(Self::WORLD_IPV4),
            Entity::WorldIpv6 => self.has(Self::WORLD_IPV6),
            Entity::Cluster => self.has(Self::IN_CLUSTER),
            Entity::ClusterMesh => self.has(Self::IN_CLUSTER) || self.has(Self::ANY_CLUSTER),
            Entity::Host => self.has(Self::HOST),
            Entity::Init => self.has(Self::INIT),
            Entity::Ingress => self.has(Self::INGRESS),
            Entity::Unmanaged => self.has(Self::UNMANAGED),
            Entity::RemoteNode => self.has(Self::REMOTE_NODE),
            Entity::Health => self.has(Self::HEALTH),
            Entity::KubeApiserver => self.has(Self::KUBE_APISERVER),
        }
    }

    /// Whether Cilium enforces policy at such an endpoint at all (`semantics.md` 5.1).
    pub(super) fn has_policy(self) -> bool {
        self.has(Self::POD) || self.has(Self::HEALTH) || self.has(Self::INGRESS) || self.has(Self::INIT)
    }
}

/// An identity as the engine keeps it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) identity: Identity,
    pub(super) classes: Classes,
}

impl Known {
    pub(super) fn new(mut identity: Identity, cluster: &str) -> Self {
        identity.labels.sort_by(|a, b| (&a.key, &a.source).cmp(&(&b.key, &b.source)));
        let classes = Classes::of(&identity.labels, cluster);
        Self { identity, classes }
    }

    /// What labels with the namespace's key say, whatever their source: a
    /// selector that names none takes any.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.identity.labels.iter().filter(|l| l.key.as_ref() == NAMESPACE).map(|label| label.value.as_ref())
    }

    /// Whether a number is what this endpoint calls by a name.
    pub(super) fn port_of(&self, name: &str, transport: Transport) -> Option<u16> {
        let named = self.identity.named_ports.iter();
        named.clone().find(|own| own.transport == transport && own.name.as_ref() == name).map(|own| own.port)
    }
}
