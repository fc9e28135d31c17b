//! The other clusters that a tree is for: overlays that cannot share one with
//! those that are judged. An edit of what they have in common is an edit in each
//! of them, so it must do no harm in any.

use std::collections::BTreeSet;

use super::candidate::Candidate;
use super::identity_name;
use super::prove::{Disproof, Opened, Proven, Prover};
use crate::diagnose::{Scene, is_stable};
use crate::engine::{Identity, IdentityId, Judgement, SideVerdict};
use crate::traffic::Side;

/// What an edit of a manifest does where else the manifest is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Namespaces and overlays in which it opens to the same workloads what it
    /// opens here.
    pub alike: BTreeSet<String>,
    /// What else it opens in other overlays, in words.
    pub surplus: BTreeSet<String>,
}

/// What becomes of a drop in another cluster, before and with an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// No policy there is about either end.
    NotConcerned,
    /// It passes there already.
    Passes,
    /// It is denied there too, and passes with the edit.
    Mended,
    /// It is denied there too, and the edit does not help.
    Denied,
    /// It cannot be told.
    Undecided,
}

impl<'m, 's> Prover<'_, 'm, 's> {
    /// Looks at the other clusters too.
    #[must_use]
    pub fn beside(mut self, others: Vec<(String, Self)>) -> Self {
        self.beside = others;
        self
    }

    /// Parts what edits open, here and in other clusters: what is wanted
    /// of the same workloads in another overlay, and what is beyond that.
    ///
    /// # Errors
    /// When they do harm in one of the clusters.
    pub(super) fn spread<'c>(
        &self,
        candidates: impl Iterator<Item = &'c Candidate> + Clone,
        opened: Vec<Opened>,
    ) -> Result<(Vec<Opened>, Spread), Disproof> {
        let (alike, opened): (Vec<Opened>, Vec<Opened>) =
            opened.into_iter().partition(|flow| self.is_of_another_overlay(*flow));
        let mut spread = Spread::default();
        let namespaces = alike.iter().filter_map(|flow| self.scene.namespace(flow.destination));
        spread.alike.extend(namespaces.map(str::to_owned));
        for (name, other) in &self.beside {
            let (edited, ()) = other.edited(candidates.clone(), |_| ())?;
            other.guard(&edited)?;
            for flow in other.opened(&edited) {
                if self.has_counterpart(flow, other.scene) {
                    spread.alike.insert(name.clone());
                    continue;
                }
                let name_of = |id| identity_name(other.scene, id);
                let (source, destination) = (name_of(flow.source), name_of(flow.destination));
                spread.surplus.insert(format!("{source} → {destination} {} in {name}", flow.packet));
            }
        }
        Ok((opened, spread))
    }

    /// Whether a flow within one namespace is what is wanted within another, where
    /// one manifest is applied in both.
    fn is_of_another_overlay(&self, flow: Opened) -> bool {
        let within = |flow: &Opened| {
            let namespace = self.scene.namespace(flow.destination)?;
            (self.scene.namespace(flow.source) == Some(namespace)).then_some(namespace)
        };
        let Some(there) = within(&flow) else { return false };
        let policies = &self.scene.model.policies;
        self.wanted().filter(|wanted| self.is_like(wanted, flow, self.scene)).any(|wanted| {
            let of = |namespace| policies.iter().filter(move |p| p.namespace.name() == Some(namespace));
            within(wanted).is_some_and(|here| {
                here != there && of(here).any(|own| of(there).any(|p| p.value.span() == own.value.span()))
            })
        })
    }

    /// Whether a flow in another cluster is what is wanted here, between the same
    /// workloads of that cluster: their namespace may be called otherwise.
    fn has_counterpart(&self, flow: Opened, other: &Scene<'m, 's>) -> bool {
        self.wanted().any(|wanted| self.is_like(wanted, flow, other))
    }

    fn is_like(&self, wanted: &Opened, flow: Opened, other: &Scene<'m, 's>) -> bool {
        let is_like = |own: IdentityId, there: IdentityId| {
            is_counterpart(self.scene.engine.identity(own), other.engine.identity(there))
        };
        wanted.packet == flow.packet
            && is_like(wanted.source, flow.source)
            && is_like(wanted.destination, flow.destination)
    }

    /// The names of the other clusters, each with what becomes of these drops there.
    ///
    /// # Errors
    /// When the edits cannot be made there.
    pub fn fates<'c>(
        &self,
        fixes: impl Iterator<Item = &'c Proven> + Clone,
        drops: &[usize],
    ) -> Result<Vec<(&str, Fate)>, Disproof> {
        let mut fates = Vec::new();
        for (name, other) in &self.beside {
            let (edited, ()) = other.edited(fixes.clone().map(|fix| &fix.candidate), |_| ())?;
            let fate = drops.iter().filter_map(|drop| {
                let drop = other.scene.drops.get(*drop)?;
                let (source, destination) = (drop.source.identity, drop.destination.identity);
                let judge =
                    |overlay| other.scene.engine.judge_with(overlay, source, destination, drop.packet());
                Some(fate(judge(None), judge(Some(&edited.overlay))))
            });
            // Of several drops the one that fares worst.
            fates.extend(fate.max().map(|fate| (name.as_str(), fate)));
        }
        Ok(fates)
    }
}

fn fate(before: Judgement, after: Judgement) -> Fate {
    let sides = Side::BOTH.map(|side| before.on(side));
    let is_open = |verdict: &SideVerdict| matches!(verdict, SideVerdict::NotEnforced | SideVerdict::NotHere);
    if sides.iter().all(is_open) {
        Fate::NotConcerned
    } else if before.passes() {
        Fate::Passes
    } else if !sides.iter().any(|side| side.drops()) {
        Fate::Undecided
    } else if after.passes() {
        Fate::Mended
    } else {
        Fate::Denied
    }
}

/// Whether an end there has no label that tells it from an end here, but for its
/// namespace.
fn is_counterpart(own: &Identity, there: &Identity) -> bool {
    let mut told = there.labels.iter().filter(|label| &*label.source == "k8s" && is_stable(&label.key));
    let mut told_any = false;
    let all = told.all(|label| {
        told_any = true;
        own.labels.iter().any(|known| known.key == label.key && known.value == label.value)
    });
    if told_any { all } else { own.labels == there.labels && own.ip == there.ip && own.names == there.names }
}
