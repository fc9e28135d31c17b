//! A fix: proven edits that belong together because they serve the same drops,
//! mostly one at each side, and the proof of them all at once.

use std::collections::{BTreeMap, BTreeSet};

use super::prove::{Disproof, Opened, Proven, Prover, Together};
use crate::finding::Safety;

/// Edits that belong together because they serve the same drops.
#[derive(Debug)]
pub struct Fix {
    /// Its parts, the most telling first.
    pub parts: Vec<Proven>,
    /// The proof of all parts together.
    pub together: Result<Together, Disproof>,
    /// How far it may be trusted: as far as the least of its parts, and less where
    /// only together they open what was not wanted.
    pub safety: Safety,
}

impl Fix {
    /// Proves parts together; `is_wanted` knows flows that are wanted beside the drops.
    pub(super) fn new(
        prover: &Prover<'_, '_, '_>,
        parts: Vec<Proven>,
        is_wanted: impl Fn(&Opened) -> bool,
    ) -> Self {
        let mut safety = parts.iter().map(|part| part.candidate.safety).max().unwrap_or(Safety::Safe);
        let together = prover.prove_together(parts.iter());
        let alone = |opened: &Opened| parts.iter().any(|part| part.opened.contains(opened));
        let elsewhere = |flow: &String| parts.iter().any(|part| part.spread.surplus.contains(flow));
        let corrects = parts.iter().all(|part| part.candidate.corrects);
        let more = |together: &Together| {
            together.opened.iter().any(|flow| !alone(flow) && !is_wanted(flow))
                || together.spread.surplus.iter().any(|flow| !elsewhere(flow))
        };
        if !corrects && together.as_ref().is_ok_and(more) {
            safety = safety.max(Safety::Unsafe);
        }
        Self { parts, together, safety }
    }

    /// The drops that it mends, in order.
    pub fn drops(&self) -> BTreeSet<usize> {
        self.parts.iter().flat_map(|part| &part.mends).map(|gap| gap.drop).collect()
    }
}

/// Puts together what serves the same drops.
pub(super) fn by_drop(chosen: Vec<Proven>) -> Vec<Vec<Proven>> {
    let mut groups: Vec<Vec<Proven>> = Vec::new();
    // Where the parts for a drop lie; groups that turn out to be one are moved together.
    let mut of_drop: BTreeMap<usize, usize> = BTreeMap::new();
    for proven in chosen {
        let linked: BTreeSet<usize> =
            proven.mends.iter().filter_map(|gap| of_drop.get(&gap.drop).copied()).collect();
        let into = linked.first().copied().unwrap_or(groups.len());
        let mut parts: Vec<Proven> = Vec::new();
        for &index in &linked {
            parts.append(&mut groups[index]);
        }
        parts.push(proven);
        for gap in parts.iter().flat_map(|part| &part.mends) {
            of_drop.insert(gap.drop, into);
        }
        match groups.get_mut(into) {
            Some(group) => *group = parts,
            None => groups.push(parts),
        }
    }
    groups.retain(|parts| !parts.is_empty());
    groups
}
