//! The proof of a candidate: the engine judges the whole tree with the edit
//! made (DESIGN 4.7). Nothing can be ranked or printed but a [`Proven`].

mod delivered;
mod edited;
mod guard;
mod opened;

use rustc_hash::{FxHashMap, FxHashSet};

use super::candidate::{Assumption, Candidate};
use super::elsewhere::Spread;
use crate::diagnose::{Gap, Observed, Scene};
use crate::engine::{IdentityId, SideVerdict};
use crate::finding::FileChange;
use crate::flow::Request;
use crate::policy::Policy;
use crate::source::{FileId, Sources};
use crate::traffic::{Packet, Side};
use crate::yaml::Tree;
use edited::Edited;

/// A candidate whose proof holds.
#[derive(Debug)]
pub struct Proven {
    /// The candidate.
    pub candidate: Candidate,
    /// The files as they are with it, by name.
    pub files: Vec<FileChange>,
    /// The denied sides that pass with it.
    pub mends: Vec<Gap>,
    /// What passes with it that nobody was seen to want.
    pub opened: Vec<Opened>,
    /// Where else the edit is one, and what it opens there.
    pub spread: Spread,
    /// How many flows that were seen to pass were judged again.
    pub guarded: usize,
    /// Other proven ways to mend the same drops, best first, in words with their cost.
    pub alternatives: Vec<String>,
}

impl Proven {
    /// The fix in words, with what it costs.
    pub fn in_words(&self) -> String {
        let opened = match self.opened.len() {
            0 => "opens nothing else".to_owned(),
            1 => "opens 1 more flow".to_owned(),
            more => format!("opens {more} more flows"),
        };
        format!("{} ({}): {opened}", self.candidate.title, self.candidate.safety.as_str())
    }
}

/// What several edits come to together.
#[derive(Debug)]
pub struct Together {
    /// The files as they are with them, by name.
    pub files: Vec<FileChange>,
    /// What passes with them that nobody was seen to want.
    pub opened: Vec<Opened>,
    /// Where else they are edits, and what they open there.
    pub spread: Spread,
    /// How many flows that were seen to pass were judged again.
    pub guarded: usize,
}

impl Together {
    /// An edit that nothing is to be put together with: it is proven already.
    fn of(alone: &Proven) -> Self {
        let Proven { files, opened, spread, guarded, .. } = alone;
        Self { files: files.clone(), opened: opened.clone(), spread: spread.clone(), guarded: *guarded }
    }
}

/// A flow that passes after an edit and did not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opened {
    /// Who may call.
    pub source: IdentityId,
    /// Whom.
    pub destination: IdentityId,
    /// On which port.
    pub packet: Packet,
}

/// Why a candidate is no fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disproof {
    /// The text cannot be edited.
    #[error("{0}")]
    NoEdit(String),
    /// No drop would pass.
    #[error("no drop would pass")]
    Useless,
    /// A flow that was seen to pass would be dropped.
    #[error("it would drop flows that pass now")]
    Loses,
    /// A side that is open would be closed to everybody not named.
    #[error("it would isolate an endpoint that is open now")]
    Isolates,
    /// A deny rule would not deny any more.
    #[error("it would undo an explicit deny")]
    UndoesDeny,
    /// Cilium would refuse the policy.
    #[error("Cilium would refuse the edited policy")]
    Refused,
}

/// Proves candidates against one scene.
pub struct Prover<'p, 'm, 's> {
    /// The scene.
    pub scene: &'p Scene<'m, 's>,
    /// All trees, by the number of their file.
    pub trees: &'s [Tree<'s>],
    /// All files.
    pub sources: &'p Sources,
    /// The policies of each file, in their order.
    policies: FxHashMap<FileId, Vec<u32>>,
    /// The drops and sides that a deny rule denies.
    denied: Vec<(usize, Side)>,
    /// What was seen to pass, and the sides on which the manifests admit it.
    passing: Vec<(usize, Side)>,
    /// What was seen to be wanted, each end by the identity that stands for its workload.
    wanted: FxHashSet<Opened>,
    /// Provers for the other clusters that the tree is for, by name.
    pub(super) beside: Vec<(String, Self)>,
}

impl<'p, 'm, 's> Prover<'p, 'm, 's> {
    /// A prover for a scene.
    pub fn new(scene: &'p Scene<'m, 's>, trees: &'s [Tree<'s>], sources: &'p Sources) -> Self {
        let verdict = |flow: &Observed, side: Side| {
            scene.engine.side(None, flow.subject(side), flow.peer(side), side, flow.packet())
        };
        let denied = sides_where(&scene.drops, |drop, side| {
            matches!(verdict(drop, side), SideVerdict::DeniedByRule(_))
        });
        let passing = sides_where(&scene.passed, |flow, side| verdict(flow, side).passes());
        let wanted = scene.drops.iter().map(|drop| {
            by_workload(
                scene,
                Opened {
                    source: drop.source.identity,
                    destination: drop.destination.identity,
                    packet: drop.packet(),
                },
            )
        });
        let mut policies: FxHashMap<FileId, Vec<u32>> = FxHashMap::default();
        for (index, policy) in scene.model.policies.iter().enumerate() {
            policies.entry(policy.value.tree().file).or_default().push(index as u32);
        }
        let (wanted, beside) = (wanted.collect(), Vec::new());
        Self { scene, trees, sources, policies, denied, passing, wanted, beside }
    }

    /// Proves a candidate against the denied sides that are still open.
    ///
    /// # Errors
    /// Says why it is no fix.
    pub fn prove(&self, candidate: Candidate, gaps: &[Gap]) -> Result<Proven, Disproof> {
        let (edited, ()) = self.edited(std::iter::once(&candidate), |_| ())?;
        let mends = self.mended(&edited, gaps, candidate.assumption.as_ref());
        if mends.is_empty() {
            return Err(Disproof::Useless);
        }
        self.proven(candidate, edited, mends)
    }

    /// Proves a mend for a request that a proxy refused: the edited rules cover
    /// it, and the packets fare as before.
    ///
    /// # Errors
    /// Says why it is no fix.
    pub fn prove_request(&self, candidate: Candidate, drop: usize) -> Result<Proven, Disproof> {
        let flow = &self.scene.drops[drop].distinct.flow;
        let (edited, covered) = self.edited(std::iter::once(&candidate), |policies| {
            flow.request.as_ref().is_some_and(|request| self.covers(policies, request))
        })?;
        if !covered {
            return Err(Disproof::Useless);
        }
        let side = flow.side.unwrap_or(Side::Ingress);
        self.proven(candidate, edited, vec![Gap { drop, side }])
    }

    fn proven(&self, candidate: Candidate, edited: Edited, mends: Vec<Gap>) -> Result<Proven, Disproof> {
        let guarded = self.guard(&edited)?;
        let (opened, spread) = self.spread(std::iter::once(&candidate), self.opened(&edited))?;
        let files = edited.files;
        Ok(Proven { candidate, files, mends, opened, spread, guarded, alternatives: Vec::new() })
    }

    /// Proves again that several fixes together mend what each mends alone. What
    /// they open is found anew: a flow that one admits at its source and another at
    /// its destination is opened by neither alone.
    ///
    /// # Errors
    /// When together they would not.
    pub fn prove_together<'c>(
        &self,
        fixes: impl Iterator<Item = &'c Proven> + Clone,
    ) -> Result<Together, Disproof> {
        let mut all = fixes.clone();
        if let (Some(alone), None) = (all.next(), all.next()) {
            return Ok(Together::of(alone));
        }
        let (edited, ()) = self.edited(fixes.clone().map(|fix| &fix.candidate), |_| ())?;
        for fix in fixes.clone() {
            let mended = self.mended(&edited, &fix.mends, fix.candidate.assumption.as_ref());
            if mended.len() < fix.mends.len() {
                return Err(Disproof::Useless);
            }
        }
        let guarded = self.guard(&edited)?;
        let (opened, spread) = self.spread(fixes.map(|fix| &fix.candidate), self.opened(&edited))?;
        Ok(Together { files: edited.files, opened, spread, guarded })
    }

    /// What was seen to be wanted and not to pass.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Opened> {
        self.wanted.iter()
    }

    /// Which of these sides pass with the edit, of those that it is about.
    fn mended(&self, edited: &Edited, gaps: &[Gap], assumption: Option<&Assumption>) -> Vec<Gap> {
        let passes = |gap: &&Gap| {
            let drop = &self.scene.drops[gap.drop];
            let (subject, peer) = (drop.subject(gap.side), drop.peer(gap.side));
            let peer = if assumption.is_some() { self.scene.assumed(peer) } else { peer };
            edited.touches(subject)
                && self
                    .scene
                    .engine
                    .side(Some(&edited.overlay), subject, peer, gap.side, drop.packet())
                    .passes()
        };
        gaps.iter().filter(passes).copied().collect()
    }

    /// Whether an L7 rule of the edited policies fits a request.
    fn covers(&self, policies: &[Policy<'_>], request: &Request) -> bool {
        let version = self.scene.engine.options().version;
        let rules = policies.iter().flat_map(|policy| &policy.rules).flat_map(|rule| &rule.sections);
        rules.flat_map(|section| section.port_lists()).any(|list| match request {
            Request::Http { method, path, host } => {
                list.l7.http.iter().flatten().any(|rule| rule.covers(method, path, host))
            }
            Request::Dns { query } => list.l7.dns.iter().flatten().any(|rule| rule.matches(query, version)),
            Request::Other => false,
        })
    }
}

fn by_workload(scene: &Scene<'_, '_>, flow: Opened) -> Opened {
    let first = |id| scene.workloads().representative(id);
    Opened { source: first(flow.source), destination: first(flow.destination), packet: flow.packet }
}

/// The flows, by number, and sides of which something holds.
fn sides_where(flows: &[Observed], holds: impl Fn(&Observed, Side) -> bool) -> Vec<(usize, Side)> {
    let sides =
        flows.iter().enumerate().flat_map(|(number, flow)| Side::BOTH.map(|side| (number, flow, side)));
    sides.filter(|(_, flow, side)| holds(flow, *side)).map(|(number, _, side)| (number, side)).collect()
}
