//! The tree as if it had been edited: some policies give way to others, and the
//! engine judges with these. A proof compiles what an edit touched and nothing
//! else, and asks only the endpoints that it is about.

use rustc_hash::FxHashMap;

use super::compile;
use super::compiled::{CompiledElement, CompiledPeer, CompiledPolicy, CompiledRule, Peers};
use super::matcher::Matcher;
use super::truth::Truth;
use super::{Engine, IdentityId};
use crate::policy::{Action, Fault, Policy};
use crate::traffic::Side;

/// Policies put in the place of others, for the identities that the engine
/// knew when it was made.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Which of the engine's policies are not there any more.
    pub(super) removed: Vec<u32>,
    added: Vec<CompiledPolicy>,
    /// Which rules of the added policies are about an identity: policy, rule, certainty.
    about: FxHashMap<IdentityId, Vec<(u32, u32, Truth)>>,
}

impl Engine {
    /// Makes the engine judge as if some policies were replaced by others.
    /// Places in the added ones count on behind the engine's own policies.
    pub fn overlay(&self, removed: Vec<u32>, added: &[Policy<'_>]) -> Overlay {
        let first = self.policies.len();
        let compile =
            |(i, policy)| compile::compile(policy, (first + i) as u32, &self.options, &self.resolver);
        let added: Vec<CompiledPolicy> = added.iter().enumerate().map(compile).collect();
        let mut about: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for (p, policy) in added.iter().enumerate() {
            for (r, rule) in policy.rules.iter().enumerate() {
                for (id, truth) in self.matched(&rule.subject) {
                    about.entry(id).or_default().push((p as u32, r as u32, truth.and(rule.certain)));
                }
            }
        }
        Overlay { removed, added, about }
    }

    /// Everybody whom a selector matches, or may match.
    fn matched(&self, matcher: &Matcher) -> impl Iterator<Item = (IdentityId, Truth)> {
        self.census
            .within(matcher.namespaces())
            .map(|id| (id, matcher.matches(&self.at(id).known)))
            .filter(|(_, truth)| *truth != Truth::No)
    }
}

impl Overlay {
    /// Everybody whom one of the policies that came or went is about, in order.
    pub fn touched(&self, engine: &Engine) -> Vec<IdentityId> {
        let went = self.removed.iter().flat_map(|&policy| engine.census.subjects_of(policy));
        let mut touched: Vec<IdentityId> = self.about.keys().copied().chain(went).collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Everybody whom the policies that came may admit to a side of a subject, on
    /// some port, in order.
    pub fn admitted(&self, engine: &Engine, subject: IdentityId, side: Side) -> Vec<IdentityId> {
        let elements = self.rules_about(subject).flat_map(|(.., rule)| &rule.sides[side as usize].elements);
        let allows = elements.filter(|element| element.action == Action::Allow);
        let mut admitted: Vec<IdentityId> = allows.flat_map(|element| peers_of(engine, element)).collect();
        admitted.sort_unstable();
        admitted.dedup();
        admitted
    }

    /// The added rules that are about an identity: policy, number, certainty, rule.
    pub(super) fn rules_about(
        &self,
        id: IdentityId,
    ) -> impl Iterator<Item = (u32, u32, Truth, &CompiledRule)> + Clone {
        self.about.get(&id).into_iter().flatten().map(|&(policy, rule, truth)| {
            (policy, rule, truth, &self.added[policy as usize].rules[rule as usize])
        })
    }

    /// Why an added policy is not in force; empty when it is.
    pub fn refusals(&self, added: usize) -> &[Fault] {
        &self.added[added].refusals
    }
}

/// Everybody whom an element is about, on some port.
fn peers_of(engine: &Engine, element: &CompiledElement) -> Vec<IdentityId> {
    match &element.peers {
        Peers::Nobody => Vec::new(),
        Peers::Everybody => engine.identities().collect(),
        Peers::Listed(peers) => peers.iter().flat_map(|peer| peers_like(engine, peer)).collect(),
    }
}

fn peers_like(engine: &Engine, peer: &CompiledPeer) -> Vec<IdentityId> {
    if let CompiledPeer::Endpoints(matcher, _) = peer {
        return engine.matched(matcher).map(|(id, _)| id).collect();
    }
    engine.identities().filter(|&id| engine.peer_matches(peer, engine.at(id)) != Truth::No).collect()
}
