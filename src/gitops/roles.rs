//! How each file of the tree comes to be applied, before anything is built:
//! listed, a patch, covered by a folder that is deployed whole, or by itself.

use rustc_hash::{FxHashMap, FxHashSet};

use super::NotApplied;
use super::files::{Files, ancestors};
use super::links::{Linked, Links, Node};
use super::patch::Body;
use crate::source::FileId;

/// How a file comes to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A kustomization lists it.
    Listed,
    /// It lies in a folder that Flux or Argo CD deploys whole, or that has a
    /// kustomization which cannot be read.
    Covered,
    /// Nothing in the tree applies it, and nothing says that it is not applied.
    Plain,
    /// It is not applied.
    Not(NotApplied),
}

/// The roles of all files, and which kustomizations others include.
pub(super) struct Roles<'r> {
    listed: FxHashSet<FileId>,
    pub(super) included: FxHashSet<&'r str>,
    /// The folders that Flux and Argo CD deploy.
    pub(super) targets: FxHashSet<&'r str>,
    patches: FxHashMap<FileId, NotApplied>,
}

impl<'r> Roles<'r> {
    pub(super) fn new(links: &'r Links<'r, '_>, targets: FxHashSet<&'r str>) -> Self {
        let mut roles = Self {
            listed: FxHashSet::default(),
            included: FxHashSet::default(),
            targets,
            patches: FxHashMap::default(),
        };
        for node in links.folders.iter().filter_map(|folder| links.nodes.get(folder)) {
            for link in node.resources.iter().chain(&node.components) {
                match link.to {
                    Linked::File(file) => {
                        roles.listed.insert(file);
                    }
                    Linked::Folder(folder) => {
                        roles.included.insert(folder);
                    }
                }
            }
            let layer = &node.kustomization.layer;
            for patch in layer.patches.iter().chain(&layer.late_patches) {
                if let Body::File(path) = &patch.body
                    && let Some(file) = links.patches_by_entry.get(&path.span)
                {
                    roles.patches.insert(*file, NotApplied::Patch(path.span));
                }
            }
        }
        roles
    }

    pub(super) fn of(&self, file: FileId, files: &Files, links: &Links<'_, '_>) -> Role {
        if self.listed.contains(&file) {
            return Role::Listed;
        }
        if let Some(patch) = self.patches.get(&file) {
            return Role::Not(*patch);
        }
        let folder = files.folder_of(file);
        for above in ancestors(folder) {
            if let Some(node) = links.nodes.get(above) {
                return match speaks_for(node, folder) {
                    true => Role::Not(NotApplied::Unlisted(node.kustomization.place)),
                    false => Role::Plain,
                };
            }
            let is_unreadable = files.folder(above).is_some_and(|here| !here.kustomizations.is_empty());
            if is_unreadable || self.targets.contains(above) {
                return Role::Covered;
            }
        }
        Role::Plain
    }
}

/// Whether a kustomization that does not list a file of this folder means that
/// the file is not applied. One at the root of the repository speaks only for
/// its own folder: what lies in others may be deployed in another way.
fn speaks_for(node: &Node<'_, '_>, folder: &str) -> bool {
    !node.folder.is_empty() || folder.is_empty()
}
