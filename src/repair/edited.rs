//! The policies of the tree as it would be with edits: which are there no more,
//! and which are there instead.

use super::listing::lists_more;
use super::prove::Prover;
use crate::finding::FileChange;
use crate::policy::Policy;
use crate::yaml::Tree;

/// Policies that an edit takes away, by their number, and those that it brings.
type Changed<'t> = (Vec<u32>, Vec<Policy<'t>>);

impl<'s> Prover<'_, '_, 's> {
    /// What edited files, read anew, change in the policies of the tree.
    pub(super) fn changed_policies<'t>(&self, files: &[FileChange], trees: &'t [Tree<'t>]) -> Changed<'t>
    where
        's: 't,
    {
        let before = |tree: &Tree<'_>| self.trees.get(tree.file.0 as usize);
        let steers = trees.iter().any(|tree| before(tree).is_some_and(|old| lists_more(self, old, tree)));
        if steers { self.delivered_anew(trees) } else { self.edited_in_place(files, trees) }
    }

    /// The policies of these files alone.
    fn edited_in_place<'t>(&self, files: &[FileChange], trees: &'t [Tree<'t>]) -> Changed<'t> {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for (file, tree) in files.iter().zip(trees) {
            let new = self.scene.model.policies_of(tree);
            let mut old = self
                .scene
                .model
                .policies
                .iter()
                .enumerate()
                .filter(|(_, p)| Some(p.value.tree().file) == file.file);
            for policy in new {
                match old.next() {
                    Some((_, before)) if before.value.raw() == policy.value.raw() => {}
                    Some((index, _)) => {
                        removed.push(index as u32);
                        added.push(policy);
                    }
                    None => added.push(policy),
                }
            }
            removed.extend(old.map(|(index, _)| index as u32));
        }
        (removed, added)
    }

    /// The same where a kustomization lists more than before: what becomes of
    /// the whole tree is found out anew.
    fn delivered_anew<'t>(&self, trees: &'t [Tree<'t>]) -> Changed<'t>
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
