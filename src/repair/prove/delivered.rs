//! What an edit of a kustomization changes: what becomes of the whole tree is
//! found out anew.

use super::super::listing::lists_more;
use super::Prover;
use crate::policy::Policy;
use crate::yaml::Tree;

/// Policies that an edit takes away, by their number, and those that it brings.
pub(super) type Changed<'t> = (Vec<u32>, Vec<Policy<'t>>);

impl<'s> Prover<'_, '_, 's> {
    /// The policies that go and those that come, where a kustomization lists more
    /// of the tree than before.
    pub(super) fn delivered_anew<'t>(&self, trees: &'t [Tree<'t>]) -> Option<Changed<'t>>
    where
        's: 't,
    {
        let before = |tree: &Tree<'_>| self.trees.get(tree.file.0 as usize);
        let steers = trees.iter().any(|tree| before(tree).is_some_and(|old| lists_more(self, old, tree)));
        steers.then(|| self.redelivered(trees))
    }

    fn redelivered<'t>(&self, trees: &'t [Tree<'t>]) -> Changed<'t>
    where
        's: 't,
    {
        let model = self.scene.model;
        let edited = |tree: &'t Tree<'t>| trees.iter().find(|own| own.file == tree.file).unwrap_or(tree);
        let all: Vec<&'t Tree<'t>> = self.trees.iter().map(edited).collect();
        let mut new = model.policies_with(self.sources, &all);
        let made = trees.iter().filter(|tree| tree.file.0 as usize >= self.trees.len());
        new.extend(made.flat_map(|tree| model.policies_of(tree)));
        let mut removed = Vec::new();
        for (index, old) in model.policies.iter().enumerate().filter(|(_, old)| model.is_editable(old)) {
            match new.iter().position(|new| is_the_same(old, new)) {
                Some(at) => drop(new.remove(at)),
                None => removed.push(index as u32),
            }
        }
        (removed, new)
    }
}

/// Whether a policy means the same before and after an edit of the tree.
fn is_the_same(old: &Policy<'_>, new: &Policy<'_>) -> bool {
    old.value.tree().file == new.value.tree().file
        && old.value.raw() == new.value.raw()
        && old.title() == new.title()
        && old.not_applied.is_some() == new.not_applied.is_some()
}
