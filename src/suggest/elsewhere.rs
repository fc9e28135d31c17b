//! What is told of the other clusters that a tree is for, and which of them the
//! drops come from where nobody says.

use std::collections::BTreeMap;

use super::Teller;
use crate::diagnose::{Scene, sort_out};
use crate::engine;
use crate::finding::Note;
use crate::flow::Distinct;
use crate::model::Model;
use crate::repair::{Fate, Fix};

/// Which of several overlays that cannot share a cluster the drops come from: the
/// one whose policies deny most of them, the first of equals.
pub fn where_dropped<'m, 's>(
    model: &'m Model<'s>,
    others: &'m [(Box<str>, Model<'s>)],
    options: &engine::Options,
    flows: &[Distinct],
) -> &'m Model<'s> {
    let denied = |model: &Model<'s>| {
        let scene = Scene::new(model, options.clone(), flows.to_vec());
        let (gaps, requests, _) = sort_out(&scene, false);
        gaps.len() + requests.len()
    };
    let mut best = (model, denied(model));
    for (_, other) in others {
        let denied = denied(other);
        if denied > best.1 {
            best = (other, denied);
        }
    }
    best.0
}

impl Teller<'_, '_, '_, '_> {
    /// How these drops fare in the other clusters, and whether the edit is one there.
    pub(super) fn elsewhere(&self, fix: &Fix, drops: &[usize]) -> Option<Note> {
        let mut by_fate: BTreeMap<Fate, Vec<&str>> = BTreeMap::new();
        for (name, fate) in self.prover.fates(fix.parts.iter(), drops).ok()? {
            by_fate.entry(fate).or_default().push(name);
        }
        let told =
            by_fate.into_iter().map(|(fate, names)| format!("in {} {}", names.join(", "), words(fate)));
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| Note {
            heading: "also",
            text: format!("{}; nothing is lost or isolated there", told.join("; ")),
        })
    }
}

fn words(fate: Fate) -> &'static str {
    match fate {
        Fate::NotConcerned => "no policy is about it",
        Fate::Passes => "it passes already",
        Fate::Mended => "it is denied too, and passes with this",
        Fate::Denied => "it is denied too, and this does not help",
        Fate::Undecided => "it cannot be told",
    }
}
