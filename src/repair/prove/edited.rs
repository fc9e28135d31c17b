//! The tree with the edits of some candidates made: its files, and the engine's
//! view of it.

use super::super::candidate::Candidate;
use super::{Disproof, Prover};
use crate::engine::{IdentityId, Overlay};
use crate::finding::FileChange;
use crate::policy::Policy;
use crate::policy::ports::Literal;
use crate::source::FileId;
use crate::traffic::Packet;
use crate::yaml::{Change, EditError, Patch, Tree, parse};

/// The tree with some edits made.
pub(in crate::repair) struct Edited {
    /// The files that change, by name.
    pub(super) files: Vec<FileChange>,
    /// The engine's view.
    pub(in crate::repair) overlay: Overlay,
    /// Whom the changed policies are about, as they were and as they are, in order.
    pub(super) touched: Vec<IdentityId>,
    /// The ports that the changed policies name, and the ones just beyond.
    pub(super) packets: Vec<Packet>,
}

impl Edited {
    /// Whether the edit can change anything for an endpoint.
    pub(super) fn touches(&self, id: IdentityId) -> bool {
        self.touched.binary_search(&id).is_ok()
    }
}

impl Prover<'_, '_, '_> {
    /// Makes the edits of candidates. `ask` is shown the policies that they change.
    ///
    /// # Errors
    /// When a place cannot be edited, the edit would not read back as intended,
    /// or Cilium would refuse what it makes.
    pub(in crate::repair) fn edited<'c, T>(
        &self,
        candidates: impl Iterator<Item = &'c Candidate> + Clone,
        ask: impl FnOnce(&[Policy<'_>]) -> T,
    ) -> Result<(Edited, T), Disproof> {
        let files = self.files(candidates)?;
        let trees: Vec<Tree<'_>> =
            files.iter().map(|file| parse(file.file.unwrap_or(FileId(u32::MAX)), &file.after)).collect();
        let (removed, added) = self.delivered_anew(&trees).unwrap_or_else(|| self.replaced(&files, &trees));
        let overlay = self.scene.engine.overlay(removed, &added);
        if (0..added.len()).any(|i| !overlay.refusals(i).is_empty()) {
            return Err(Disproof::Refused);
        }
        let packets = named_packets(&added);
        let answer = ask(&added);
        drop(added);
        // Who is only assumed to be there is nobody to guard.
        let mut touched = overlay.touched(&self.scene.engine);
        touched.retain(|id| self.scene.everybody.binary_search(id).is_ok());
        drop(trees);
        Ok((Edited { files, overlay, touched, packets }, answer))
    }

    /// The policies that go and those that come, where a file changes.
    fn replaced<'t>(&self, files: &[FileChange], trees: &'t [Tree<'t>]) -> (Vec<u32>, Vec<Policy<'t>>) {
        let mut removed = Vec::new();
        let mut added = Vec::new();
        for (file, tree) in files.iter().zip(trees) {
            let known = file.file.and_then(|file| self.policies.get(&file));
            let mut old = known.into_iter().flatten().copied();
            for policy in self.scene.model.policies_of(tree) {
                let before = old.next();
                let raw = |index: u32| self.scene.model.policies[index as usize].value.raw();
                if before.is_some_and(|index| raw(index) == policy.value.raw()) {
                    continue;
                }
                removed.extend(before);
                added.push(policy);
            }
            removed.extend(old);
        }
        (removed, added)
    }

    fn files<'c>(
        &self,
        candidates: impl Iterator<Item = &'c Candidate> + Clone,
    ) -> Result<Vec<FileChange>, Disproof> {
        let mut changes: Vec<(FileId, &Change)> = Vec::new();
        for (file, change) in candidates.clone().flat_map(|candidate| &candidate.edits) {
            changes.push((*file, change));
        }
        // Stable: what is inserted at one place keeps its order.
        changes.sort_by_key(|(file, _)| *file);
        let mut files = changes
            .chunk_by(|(a, _), (b, _)| a == b)
            .map(|changes| self.file(changes))
            .collect::<Result<Vec<_>, _>>()?;
        let new = candidates.flat_map(|candidate| &candidate.new_files);
        files.extend(new.map(|new| FileChange {
            file: None,
            path: new.path.clone(),
            name: new.name.clone(),
            before: String::new(),
            after: new.text.clone(),
            edits: Vec::new(),
        }));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Makes the changes of one file, each once.
    fn file(&self, changes: &[(FileId, &Change)]) -> Result<FileChange, Disproof> {
        let id = changes[0].0;
        let mut once: Vec<&Change> = Vec::new();
        for (_, change) in changes {
            if !once.contains(change) {
                once.push(change);
            }
        }
        let (patch, after) = Patch::checked(&self.trees[id.0 as usize], once)
            .map_err(|error: EditError| Disproof::NoEdit(error.to_string()))?;
        Ok(FileChange::edited(id, &self.sources[id], patch.into_edits(), after))
    }
}

/// The ports that policies name by number, and the ones just beyond.
fn named_packets(policies: &[Policy<'_>]) -> Vec<Packet> {
    let lists = policies.iter().flat_map(|p| &p.rules).flat_map(|r| &r.sections).flat_map(|s| s.port_lists());
    let mut packets = Vec::new();
    for port in lists.flat_map(|list| &list.ports) {
        let Literal::Number(number) = port.literal() else { continue };
        let end = port.end.and_then(|end| u16::try_from(end.value).ok()).unwrap_or(number).max(number);
        for &transport in port.transports().unwrap_or(&[]) {
            packets.extend([number, end, end.saturating_add(1)].map(|port| Packet::Port(transport, port)));
        }
    }
    packets
}
