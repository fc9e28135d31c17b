//! Whether an element is about a peer (`semantics.md` 3.4, 4) and about a packet (3.5).

use super::compiled::{CompiledElement, CompiledPeer, IcmpTypes, Peers, PortRange, PortValue, Ports, Range};
use super::identity::Classes;
use super::truth::Truth;
use super::{Engine, Subject};
use crate::policy::icmp::Types;
use crate::policy::name::{pattern_matches, same_name};
use crate::policy::peer::Entity;
use crate::traffic::{IcmpFamily, Packet, Side, Transport};

impl Engine {
    pub(super) fn peers_match(&self, element: &CompiledElement, peer: &Subject, required: Truth) -> Truth {
        match &element.peers {
            Peers::Nobody => Truth::No,
            Peers::Everybody => Truth::Yes,
            Peers::Listed(peers) => Truth::any(peers.iter().map(|own| {
                let matched = self.peer_matches(own, peer);
                if matches!(own, CompiledPeer::Endpoints(..)) { matched.and(required) } else { matched }
            })),
        }
    }

    pub(super) fn peer_matches(&self, own: &CompiledPeer, peer: &Subject) -> Truth {
        match own {
            CompiledPeer::Endpoints(_, Some(number)) => {
                match peer.matches[*number as usize / 32] >> (number % 32 * 2) & 3 {
                    0 => Truth::No,
                    1 => Truth::Maybe,
                    _ => Truth::Yes,
                }
            }
            CompiledPeer::Endpoints(matcher, None) => matcher.matches(&peer.known),
            CompiledPeer::Entity(entity) => Truth::from(peer.known.classes.are(*entity)),
            CompiledPeer::Addresses(addresses) => {
                let inside = self.in_range(&addresses.range, peer);
                let excepted = peer
                    .known
                    .identity
                    .ip
                    .is_some_and(|ip| addresses.except.iter().any(|net| net.contains(&ip)));
                if excepted { Truth::No } else { inside }
            }
            CompiledPeer::Names(names) => {
                let outside = peer.known.classes.has(Classes::OUTSIDE);
                let version = self.options.version;
                let known = |name: &str| {
                    names.iter().any(|own| {
                        own.name.as_ref().is_some_and(|own| same_name(own, name))
                            || own.pattern.as_ref().is_some_and(|own| pattern_matches(own, name, version))
                    })
                };
                Truth::from(outside && peer.known.identity.names.iter().any(|name| known(name)))
            }
            CompiledPeer::Service(matchers, prefixes) => {
                let pods = Truth::any(matchers.iter().map(|matcher| matcher.matches(&peer.known)));
                let outside = peer.known.classes.has(Classes::OUTSIDE)
                    && peer.known.identity.ip.is_some_and(|ip| prefixes.iter().any(|net| net.contains(&ip)));
                pods.or(Truth::from(outside))
            }
            CompiledPeer::Unknown => Truth::Maybe,
        }
    }

    /// CIDRs mean identities outside the cluster only (`semantics.md` 4.3, 4.4).
    fn in_range(&self, range: &Range, peer: &Subject) -> Truth {
        let classes = peer.known.classes;
        if let Range::Everyone = range {
            return Truth::Yes;
        }
        if !classes.has(Classes::OUTSIDE) {
            return Truth::No;
        }
        let within = |nets: &[ipnet::IpNet]| match peer.known.identity.ip {
            Some(ip) => Truth::from(nets.iter().any(|net| net.contains(&ip))),
            None => Truth::Maybe,
        };
        match range {
            Range::Prefix(net) => within(std::slice::from_ref(net)),
            Range::Prefixes(nets) => within(nets),
            Range::World | Range::Everyone => Truth::Yes,
            Range::WorldOf(family) => Truth::from(outside_family(peer).is_none_or(|own| own == *family)),
            Range::CidrIdentities => Truth::from(self.has_cidr_identity(peer)),
            Range::Nothing => Truth::No,
            Range::Unknown => Truth::Maybe,
        }
    }

    /// Whether an address has an identity of its own: some policy names a
    /// prefix around it, or DNS has taught it (4.3).
    fn has_cidr_identity(&self, peer: &Subject) -> bool {
        let listed = peer.known.identity.ip.is_some_and(|ip| {
            self.policies
                .iter()
                .flat_map(|policy| &policy.rules)
                .flat_map(|rule| &rule.sides)
                .flat_map(|side| &side.elements)
                .any(|element| match &element.peers {
                    Peers::Listed(peers) => peers.iter().any(|own| match own {
                        CompiledPeer::Addresses(addresses) => {
                            let named = match &addresses.range {
                                Range::Prefix(net) => net.contains(&ip),
                                Range::Prefixes(nets) => nets.iter().any(|net| net.contains(&ip)),
                                _ => false,
                            };
                            named || addresses.except.iter().any(|net| net.contains(&ip))
                        }
                        _ => false,
                    }),
                    _ => false,
                })
        });
        listed || !peer.known.identity.names.is_empty()
    }

    /// Whether an element is about a packet, and whether a proxy gets it then.
    pub(super) fn ports_match(
        &self,
        element: &CompiledElement,
        subject: &Subject,
        peer: &Subject,
        side: Side,
        packet: Packet,
    ) -> (Truth, bool) {
        let (ranges, icmp, unknown) = match &element.ports {
            Ports::All => return (Truth::Yes, false),
            Ports::These { ranges, icmp, unknown } => (ranges, icmp, *unknown),
        };
        let destination = if side == Side::Ingress { subject } else { peer };
        match packet {
            Packet::Port(transport, port) => {
                let mut covering = ranges.iter().filter(|range| range.covers(destination, transport, port));
                let Some(first) = covering.next() else {
                    return (if unknown { Truth::Maybe } else { Truth::No }, false);
                };
                (Truth::Yes, first.redirects || covering.any(|range| range.redirects))
            }
            Packet::Icmp(family, kind) => {
                let covers = |own: &IcmpTypes| {
                    own.family == family && (own.types == Types::All || own.types == Types::One(kind))
                };
                (Truth::from(icmp.iter().any(covers)), false)
            }
            Packet::Other(_) => (Truth::No, false),
        }
    }
}

impl PortRange {
    /// A name means what the destination calls so; a name that it does not have means nothing (3.5).
    pub(super) fn covers(&self, destination: &Subject, transport: Transport, port: u16) -> bool {
        if !self.transports.contains(&transport) {
            return false;
        }
        let first = match &self.port {
            PortValue::All => return true,
            PortValue::Number(number) => *number,
            PortValue::Name(name) => match destination.known.port_of(name, transport) {
                Some(number) => number,
                None => return false,
            },
        };
        match self.end.filter(|&end| end > first) {
            Some(end) => (first..=end).contains(&port),
            None => port == first,
        }
    }
}

/// The IP family of an identity outside, where anything tells it.
fn outside_family(peer: &Subject) -> Option<IcmpFamily> {
    let classes = peer.known.classes;
    if classes.are(Entity::WorldIpv4) {
        Some(IcmpFamily::V4)
    } else if classes.are(Entity::WorldIpv6) {
        Some(IcmpFamily::V6)
    } else {
        peer.known.identity.ip.map(|ip| if ip.is_ipv4() { IcmpFamily::V4 } else { IcmpFamily::V6 })
    }
}
