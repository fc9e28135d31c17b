//! Near misses: elements that would admit a flow if exactly one thing about
//! them were different, and what that thing is.

use super::Scene;
use crate::engine::trace::Gates;
use crate::engine::{ElementPlace, IdentityId};
use crate::label::{CLUSTER, NAMESPACE};
use crate::policy::selector::{Operator, Origin, Requirement};
use crate::policy::{
    Element, Peer, PeerItem, Policy, PolicyKind, Rule, Section, Selector, Subject, injection,
};
use crate::traffic::{Packet, Side};

/// An element and the one thing that keeps it from admitting a flow.
#[derive(Debug, Clone)]
pub struct NearMiss<'m, 's> {
    /// Where it stands.
    pub place: ElementPlace,
    /// The policy.
    pub policy: &'m Policy<'s>,
    /// The rule.
    pub rule: &'m Rule<'s>,
    /// The section.
    pub section: &'m Section<'s>,
    /// The element.
    pub element: &'m Element<'s>,
    /// What would have to be different.
    pub miss: Miss<'m, 's>,
}

/// The one thing.
#[derive(Debug, Clone)]
pub enum Miss<'m, 's> {
    /// The agent or the API server refuses the policy.
    Refused,
    /// Nothing in the tree applies the policy.
    NotApplied,
    /// The policy is in another namespace than the subject.
    PolicyNamespace,
    /// A requirement of the endpoint selector fails.
    SubjectLabel(Requirement<'s>),
    /// The peer's namespace is not named, so the policy's own is meant.
    PeerNamespaceMissing(&'m PeerItem<'s>, &'m Selector<'s>),
    /// The namespace that is named is another.
    PeerNamespace(&'m PeerItem<'s>, &'m Selector<'s>, Requirement<'s>),
    /// The peer is in another cluster.
    PeerCluster(&'m PeerItem<'s>, &'m Selector<'s>),
    /// A label of the peer is another, or has another key.
    PeerLabel(&'m PeerItem<'s>, &'m Selector<'s>, Requirement<'s>),
    /// None of the peers is near; the ports fit.
    Peer,
    /// None of the ports; the peers fit.
    Ports,
}

/// All near misses for one side of a flow, in the order of the policies.
pub fn near_misses<'m, 's>(
    scene: &Scene<'m, 's>,
    subject: IdentityId,
    peer: IdentityId,
    side: Side,
    packet: Packet,
) -> Vec<NearMiss<'m, 's>> {
    let near = scene.engine.near_gates(subject, peer, side, packet);
    near.into_iter().flat_map(|gates| misses(scene, gates, subject, peer)).collect()
}

fn misses<'m, 's>(
    scene: &Scene<'m, 's>,
    gates: Gates,
    subject: IdentityId,
    peer: IdentityId,
) -> Vec<NearMiss<'m, 's>> {
    let place = gates.place;
    let Some((policy, rule, section, element)) = at(scene, place) else { return Vec::new() };
    let found = if !gates.in_force {
        out_of_force(scene, policy, gates).into_iter().collect()
    } else if !gates.subject {
        subject_misses(scene, policy, rule, subject)
    } else if !gates.peer {
        peer_misses(scene, policy, rule, element, peer)
    } else if !gates.packet {
        vec![Miss::Ports]
    } else {
        Vec::new()
    };
    found.into_iter().map(|miss| NearMiss { place, policy, rule, section, element, miss }).collect()
}

/// What keeps a policy from being in force, where that alone keeps it from
/// admitting the flow.
fn out_of_force<'m, 's>(scene: &Scene<'m, 's>, policy: &Policy<'s>, gates: Gates) -> Option<Miss<'m, 's>> {
    let is_refused = !scene.engine.refusals(gates.place.policy as usize).is_empty();
    match (policy.not_applied.is_some(), is_refused) {
        _ if gates.closed() > 0 => None,
        (true, true) => None,
        (true, false) => Some(Miss::NotApplied),
        (false, _) => Some(Miss::Refused),
    }
}

/// The parts of a policy at a place.
pub(super) fn at<'m, 's>(
    scene: &Scene<'m, 's>,
    place: ElementPlace,
) -> Option<(&'m Policy<'s>, &'m Rule<'s>, &'m Section<'s>, &'m Element<'s>)> {
    let policy = scene.model.policies.get(place.policy as usize)?;
    let rule = policy.rules.get(place.rule as usize)?;
    let section = rule.sections.get(place.section as usize)?;
    Some((policy, rule, section, section.elements.get(place.element as usize)?))
}

fn subject_misses<'m, 's>(
    scene: &Scene<'m, 's>,
    policy: &'m Policy<'s>,
    rule: &'m Rule<'s>,
    subject: IdentityId,
) -> Vec<Miss<'m, 's>> {
    let Subject::Endpoints(selector) = &rule.subject else { return Vec::new() };
    let requirements = injection::subject(policy, selector);
    let failing = scene.engine.failing(&requirements, subject);
    let [only] = failing.as_slice() else { return Vec::new() };
    let requirement = &requirements[*only];
    if matches!(requirement.origin, Origin::Injected) {
        // `{}` elsewhere is about its own namespace; moving it would say something else.
        return if selector.requirements.is_empty() { Vec::new() } else { vec![Miss::PolicyNamespace] };
    }
    vec![Miss::SubjectLabel(requirement.clone())]
}

fn peer_misses<'m, 's>(
    scene: &Scene<'m, 's>,
    policy: &'m Policy<'s>,
    rule: &'m Rule<'s>,
    element: &'m Element<'s>,
    peer: IdentityId,
) -> Vec<Miss<'m, 's>> {
    let mut found = vec![Miss::Peer];
    for item in element.peers.iter().flat_map(|field| &field.items) {
        let Peer::Endpoints(selector) = &item.peer else { continue };
        found.extend(selector_miss(scene, policy, rule, item, selector, peer));
    }
    found
}

fn selector_miss<'m, 's>(
    scene: &Scene<'m, 's>,
    policy: &'m Policy<'s>,
    rule: &'m Rule<'s>,
    item: &'m PeerItem<'s>,
    selector: &'m Selector<'s>,
    peer: IdentityId,
) -> Option<Miss<'m, 's>> {
    let requirements = peer_requirements(scene, policy, rule, selector);
    let failing = scene.engine.failing(&requirements, peer);
    let [only] = failing.as_slice() else { return None };
    let requirement = requirements[*only].clone();
    scene.namespace(peer)?;
    Some(match (&requirement.origin, requirement.key.as_ref()) {
        (Origin::Injected, CLUSTER) => Miss::PeerCluster(item, selector),
        (Origin::Injected, _) if policy.kind == PolicyKind::Knp => Miss::PeerNamespaceMissing(item, selector),
        // A bare `{}` is the whole own namespace: no word about whom the author meant elsewhere.
        (Origin::Injected, _) if selector.requirements.is_empty() => return None,
        (Origin::Injected, _) => Miss::PeerNamespaceMissing(item, selector),
        (_, NAMESPACE) if requirement.operator == Operator::In => {
            Miss::PeerNamespace(item, selector, requirement)
        }
        _ if requirement.operator == Operator::In => Miss::PeerLabel(item, selector, requirement),
        _ => return None,
    })
}

/// The requirements of a peer selector with everything injected.
pub fn peer_requirements<'s>(
    scene: &Scene<'_, 's>,
    policy: &Policy<'s>,
    rule: &Rule<'s>,
    selector: &Selector<'s>,
) -> Vec<Requirement<'s>> {
    let options = scene.engine.options();
    let subject = match &rule.subject {
        Subject::Endpoints(subject) => Some(subject),
        _ => None,
    };
    injection::peer(policy, subject, selector, options.version, &options.cluster)
}
