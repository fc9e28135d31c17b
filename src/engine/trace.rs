//! Why a verdict is as it is: every element that takes part, not only the first,
//! and whether a proxy stands in the way.

use super::compiled::{CompiledElement, CompiledPeer, Peers, PortRange, Ports};
use super::matcher::Matcher;
use super::truth::Truth;
use super::{ElementPlace, Engine, IdentityId, Overlay, Subject};
use crate::policy::Action;
use crate::policy::peer::Entity;
use crate::policy::selector::Requirement;
use crate::traffic::{Packet, Side, Transport};

/// At which gates an allow element that could have admitted a flow stands open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gates {
    /// The element.
    pub place: ElementPlace,
    /// The rule is about the subject.
    pub subject: bool,
    /// The element is about the peer.
    pub peer: bool,
    /// The element is about the packet.
    pub packet: bool,
    /// The policy is neither refused nor left out by the tree.
    pub in_force: bool,
}

impl Gates {
    /// How many gates are closed, refusal aside.
    pub fn closed(self) -> usize {
        [self.subject, self.peer, self.packet].into_iter().filter(|open| !open).count()
    }
}

impl Engine {
    /// The gates of every allow element of a side, of every policy, for one flow;
    /// those at which more than one gate is closed are left out.
    pub fn near_gates(
        &self,
        subject: IdentityId,
        peer: IdentityId,
        side: Side,
        packet: Packet,
    ) -> Vec<Gates> {
        let (subject, peer) = (self.at(subject), self.at(peer));
        let mut near = Vec::new();
        for policy in &self.policies {
            let in_force = policy.in_force;
            for rule in policy.rules.iter().chain(&policy.refused) {
                let about = rule.is_about(&subject.known) == Truth::Yes;
                for element in rule.sides[side as usize].elements.iter().filter(|e| e.action == Action::Allow)
                {
                    let packet = self.ports_match(element, subject, peer, side, packet).0 == Truth::Yes;
                    if !about && !packet {
                        continue;
                    }
                    let peer = self.peers_match(element, peer, Truth::Yes) == Truth::Yes;
                    let gates = Gates { place: element.place, subject: about, peer, packet, in_force };
                    if gates.closed() <= 1 {
                        near.push(gates);
                    }
                }
            }
        }
        near
    }

    /// Which of these requirements an identity does not meet for certain.
    pub fn failing(&self, requirements: &[Requirement<'_>], identity: IdentityId) -> Vec<usize> {
        let known = &self.at(identity).known;
        let meets =
            |r: &Requirement<'_>| Matcher::new(std::slice::from_ref(r), false).matches(known) == Truth::Yes;
        (0..requirements.len()).filter(|&i| !meets(&requirements[i])).collect()
    }

    /// Whether a rule of a policy is about an identity, for certain, refused or not.
    pub fn is_about(&self, policy: u32, rule: u32, identity: IdentityId) -> bool {
        let policy = &self.policies[policy as usize];
        let rules = if policy.in_force { &policy.rules } else { &policy.refused };
        rules.get(rule as usize).is_some_and(|rule| rule.is_about(&self.at(identity).known) == Truth::Yes)
    }

    /// The rules in force that are about an identity for certain, in order:
    /// policy and number.
    pub fn rules_for(&self, identity: IdentityId) -> impl Iterator<Item = (u32, u32)> {
        let certain = self.at(identity).rules.iter().filter(|(.., truth)| *truth == Truth::Yes);
        certain.map(|(policy, rule, _)| (*policy, *rule))
    }

    /// Everybody whom a policy in force is about, or may be.
    pub fn subjects_of(&self, policy: u32) -> impl Iterator<Item = IdentityId> {
        self.census.subjects_of(policy)
    }

    /// All elements of a side that match a flow for certain, allow or deny, in order.
    pub fn matching(
        &self,
        overlay: Option<&Overlay>,
        subject: IdentityId,
        peer: IdentityId,
        side: Side,
        packet: Packet,
    ) -> Vec<(Action, ElementPlace)> {
        let (subject, peer) = (self.at(subject), self.at(peer));
        self.elements_about(overlay, subject, side)
            .filter(|element| {
                self.ports_match(element, subject, peer, side, packet).0 == Truth::Yes
                    && self.peers_match(element, peer, Truth::Yes) == Truth::Yes
            })
            .map(|element| (element.action, element.place))
            .collect()
    }

    /// Whether an entity means an identity.
    pub fn is_entity(&self, identity: IdentityId, entity: Entity) -> bool {
        self.at(identity).known.classes.are(entity)
    }

    /// The policies that close a side of an endpoint by default deny, in order.
    pub fn isolating(&self, subject: IdentityId, side: Side) -> Vec<u32> {
        let subject = self.at(subject);
        let mut policies: Vec<u32> = self
            .rules_about(None, subject)
            .filter(|(.., truth, rule)| *truth == Truth::Yes && rule.sides[side as usize].default_deny)
            .map(|(policy, ..)| policy)
            .collect();
        policies.dedup();
        policies
    }

    /// The policies whose elements make a side of an endpoint enforced, in order.
    pub fn enforcing(&self, subject: IdentityId, side: Side) -> Vec<u32> {
        let subject = self.at(subject);
        let mut policies: Vec<u32> = self
            .rules_about(None, subject)
            .filter(|(.., truth, rule)| *truth == Truth::Yes && rule.sides[side as usize].speaks)
            .map(|(policy, ..)| policy)
            .collect();
        policies.dedup();
        policies
    }

    /// Whether an allowed flow passes through a proxy and in no other way. For one
    /// peer selector and port the proxy takes everything, a plain allow beside it
    /// included; a plain allow of another selector stays a way of its own.
    pub fn only_through_proxy(
        &self,
        subject: IdentityId,
        peer: IdentityId,
        side: Side,
        packet: Packet,
    ) -> bool {
        // A side without default deny is open anyway.
        if !self.isolates(None, subject, side) {
            return false;
        }
        let (subject, peer) = (self.at(subject), self.at(peer));
        let Packet::Port(transport, port) = packet else { return false };
        let mut plain: Vec<(String, String)> = Vec::new();
        let mut proxied: Vec<(String, String)> = Vec::new();
        for element in self.elements_about(None, subject, side).filter(|e| e.action == Action::Allow) {
            for selector in self.matching_selectors(element, peer) {
                match &element.ports {
                    Ports::All => plain.push((selector, String::new())),
                    Ports::These { ranges, .. } => {
                        let destination = if side == Side::Ingress { subject } else { peer };
                        for range in ranges.iter().filter(|range| range.covers(destination, transport, port))
                        {
                            let list = if range.redirects { &mut proxied } else { &mut plain };
                            list.push((selector.clone(), port_key(range, destination, transport)));
                        }
                    }
                }
            }
        }
        !proxied.is_empty() && plain.iter().all(|way| proxied.contains(way))
    }

    fn elements_about<'e>(
        &'e self,
        overlay: Option<&'e Overlay>,
        subject: &'e Subject,
        side: Side,
    ) -> impl Iterator<Item = &'e CompiledElement> {
        self.rules_about(overlay, subject)
            .filter(|(.., truth, _)| *truth == Truth::Yes)
            .flat_map(move |(.., rule)| &rule.sides[side as usize].elements)
    }

    fn matching_selectors(&self, element: &CompiledElement, peer: &Subject) -> Vec<String> {
        match &element.peers {
            Peers::Nobody => Vec::new(),
            Peers::Everybody => vec![format!("{:?}", CompiledPeer::Entity(Entity::All))],
            Peers::Listed(peers) => peers
                .iter()
                .filter(|own| self.peer_matches(own, peer) == Truth::Yes)
                .map(|own| format!("{own:?}"))
                .collect(),
        }
    }
}

/// What makes two port entries one: number and end; a name counts as its number.
fn port_key(range: &PortRange, destination: &Subject, transport: Transport) -> String {
    use super::compiled::PortValue;
    let first = match &range.port {
        PortValue::All => 0,
        PortValue::Number(number) => *number,
        PortValue::Name(name) => destination.known.port_of(name, transport).unwrap_or(0),
    };
    format!("{first}-{:?}", range.end.filter(|&end| end > first))
}
