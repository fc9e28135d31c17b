//! The story of `policyfix suggest`: read, model, judge, diagnose, propose,
//! prove, rank, write. What comes out is findings, and the files as they are
//! with every fix that may be trusted.

mod asides;
mod elsewhere;
mod fixes;

pub use elsewhere::where_dropped;

use std::collections::BTreeMap;

use crate::diagnose::{Aside, Observed, Reason, Scene, sort_out};
use crate::engine;
use crate::finding::{FileChange, Finding, Safety};
use crate::flow::Distinct;
use crate::model::Model;
use crate::naming;
use crate::repair::{self, Plan, Prefer, Prover, identity_name};
use crate::source::Sources;
use crate::traffic::Side;
use crate::yaml::Tree;

/// What to do with what is found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Fixes whose intent is a guess count too.
    pub unsafe_fixes: bool,
    /// What to favour.
    pub prefer: Prefer,
    /// Flows that passed only because policy was in audit mode count as drops.
    pub include_audit: bool,
    /// How many of the next best fixes to tell for each.
    pub alternatives: usize,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Suggestion {
    /// What is told to people, most important first.
    pub findings: Vec<Finding>,
    /// The files with every accepted fix applied.
    pub files: Vec<FileChange>,
    /// What it came to.
    pub tally: Tally,
}

/// The numbers of the last line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Drops that policy caused, by packets.
    pub drops: u64,
    /// Of these, how many the accepted fixes mend.
    pub mended: u64,
    /// Accepted fixes.
    pub fixes: usize,
    /// Fixes that are only told, because their intent is a guess.
    pub withheld: usize,
    /// Distinct drops that policy caused and nothing mends.
    pub unmended: usize,
    /// Distinct drops that policy did not cause or that no allow mends, by kind.
    pub asides: BTreeMap<&'static str, u64>,
    /// Distinct drops that are set aside for a deny rule or for want of knowledge.
    pub denied_on_purpose: usize,
}

/// Diagnoses every drop and mends what can be mended.
pub fn suggest<'s>(
    model: &Model<'s>,
    trees: &'s [Tree<'s>],
    sources: &Sources,
    options: engine::Options,
    flows: Vec<Distinct>,
    wishes: Wishes,
) -> Suggestion {
    let others = model.others();
    let beside: Vec<(String, Scene<'_, 's>)> = others
        .iter()
        .map(|(name, other)| (name.to_string(), Scene::new(other, options.clone(), flows.clone())))
        .collect();
    let scene = Scene::new(model, options, flows);
    let (gaps, requests, asides) = sort_out(&scene, wishes.include_audit);
    let provers = beside.iter().map(|(name, scene)| (name.clone(), Prover::new(scene, trees, sources)));
    let prover = Prover::new(&scene, trees, sources).beside(provers.collect());
    let plan = repair::plan(&prover, &gaps, &requests, wishes.prefer);
    Teller { scene: &scene, sources, prover: &prover, wishes }.tell(plan, &asides, requests)
}

struct Teller<'t, 'p, 'm, 's> {
    scene: &'t Scene<'m, 's>,
    sources: &'t Sources,
    prover: &'t Prover<'p, 'm, 's>,
    wishes: Wishes,
}

impl Teller<'_, '_, '_, '_> {
    fn tell(&self, plan: Plan, asides: &[Aside], requests: Vec<usize>) -> Suggestion {
        let mut outcome = Suggestion::default();
        let mut accepted: Vec<repair::Fix> = Vec::new();
        for fix in plan.fixes {
            let (finding, proven) = self.fix(&fix);
            let wanted = proven && (self.wishes.unsafe_fixes || fix.safety() == Safety::Safe);
            let packets = self.packets(&fix);
            outcome.tally.drops += packets;
            if wanted {
                outcome.tally.mended += packets;
                outcome.tally.fixes += 1;
                accepted.push(fix);
            } else {
                outcome.tally.withheld += 1;
            }
            outcome.findings.push(finding);
        }
        outcome.files = self.all_files(&mut accepted);
        let mut unmended_drops: Vec<usize> = Vec::new();
        for unmended in &plan.unmended {
            if !unmended_drops.contains(&unmended.gap.drop) {
                unmended_drops.push(unmended.gap.drop);
                outcome.tally.drops += self.scene.drops[unmended.gap.drop].distinct.count;
                outcome.findings.push(self.unmended(unmended));
            }
        }
        let mended_requests: Vec<usize> = accepted.iter().flat_map(|fix| fix.drops()).collect();
        for drop in requests.into_iter().filter(|drop| !mended_requests.contains(drop)) {
            unmended_drops.push(drop);
        }
        outcome.tally.unmended = unmended_drops.len();
        for aside in asides {
            *outcome.tally.asides.entry(asides::kind(&aside.reason)).or_default() +=
                self.scene.drops[aside.drop].distinct.count;
            if matches!(aside.reason, Reason::ExplicitDeny { .. } | Reason::Undecided(_) | Reason::Broken(..))
            {
                outcome.tally.denied_on_purpose += 1;
            }
        }
        outcome.findings.extend(self.asides(asides));
        outcome
    }

    /// The files with all accepted fixes; a fix that does not go together with
    /// the ones before it is left for the next run.
    fn all_files(&self, accepted: &mut Vec<repair::Fix>) -> Vec<FileChange> {
        let together =
            |fixes: &[repair::Fix]| self.prover.prove_together(fixes.iter().flat_map(|fix| &fix.parts));
        let mut kept: Vec<repair::Fix> = Vec::new();
        let mut files = Vec::new();
        // Halves of what does not go together are tried in turn, so that one fix
        // in the way of many costs a few proofs and not one for each.
        let mut waiting = vec![std::mem::take(accepted)];
        while let Some(mut fixes) = waiting.pop() {
            let before = kept.len();
            kept.append(&mut fixes);
            match together(&kept) {
                Ok(all) => files = all,
                Err(_) => {
                    let mut first = kept.split_off(before);
                    if first.len() > 1 {
                        let second = first.split_off(first.len() / 2);
                        waiting.extend([second, first]);
                    }
                }
            }
        }
        *accepted = kept;
        files
    }

    fn packets(&self, fix: &repair::Fix) -> u64 {
        fix.drops().into_iter().map(|drop| self.scene.drops[drop].distinct.count).sum()
    }

    fn title(&self, drop: usize, side: Option<Side>, more: usize) -> String {
        let observed = &self.scene.drops[drop];
        let side = side.or(observed.distinct.flow.side).map_or(String::new(), |side| format!(" at {side}"));
        let also = match more {
            0 => String::new(),
            1 => " (and 1 more flow)".to_owned(),
            more => format!(" (and {more} more flows)"),
        };
        let fate = if observed.distinct.flow.request.is_some() { "refused by the proxy" } else { "dropped" };
        format!("{} is {fate}{side}{also}", self.flow(observed))
    }

    fn flow(&self, observed: &Observed) -> String {
        let name = |id| identity_name(self.scene, id);
        format!(
            "{} → {} {}",
            name(observed.source.identity),
            name(observed.destination.identity),
            naming::what(&observed.distinct.flow)
        )
    }

    fn seen(&self, drops: &[usize]) -> String {
        let count: u64 = drops.iter().map(|&drop| self.scene.drops[drop].distinct.count).sum();
        let last =
            drops.iter().filter_map(|&drop| self.scene.drops[drop].distinct.span).map(|(_, last)| last).max();
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        match last {
            Some(last) => format!("{times}, last on {}", last.strftime("%Y-%m-%d at %H:%M:%S")),
            None => times,
        }
    }
}
