//! What the entries of a kustomization lead to: files and folders of the tree,
//! or nothing that was read.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::fault::{Fault, FaultKind};
use super::files::{Files, join};
use super::kustomization::Kustomization;
use super::patch::{Body, Change, Patch, changes};
use crate::manifest::Text;
use crate::source::{FileId, Span, Spanned};
use crate::yaml::Tree as Document;

/// A listed file or folder, and the entry that lists it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<'f> {
    pub(super) entry: Span,
    pub(super) to: Linked<'f>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Linked<'f> {
    File(FileId),
    /// A folder with a kustomization.
    Folder(&'f str),
}

/// A kustomization with its entries followed.
#[derive(Debug)]
pub(super) struct Node<'f, 't> {
    pub(super) kustomization: Kustomization<'t>,
    pub(super) folder: &'f str,
    pub(super) resources: Vec<Link<'f>>,
    pub(super) components: Vec<Link<'f>>,
    /// Whether some of what it holds was not read.
    pub(super) is_partial: bool,
}

/// All kustomizations by their folder, and the files that hold patches.
pub(super) struct Links<'f, 't> {
    pub(super) nodes: FxHashMap<&'f str, Node<'f, 't>>,
    /// The folders of all kustomizations, sorted.
    pub(super) folders: Vec<&'f str>,
    /// What the files change that are patches; `None` for one that cannot be read.
    pub(super) patch_files: FxHashMap<FileId, Option<Arc<[Change]>>>,
    /// The file that the entry of a patch names.
    pub(super) patches_by_entry: FxHashMap<Span, FileId>,
}

impl<'f, 't> Links<'f, 't> {
    pub(super) fn read(
        files: &'f Files,
        documents: &FxHashMap<FileId, &'t Document<'t>>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut kustomizations = Vec::new();
        for (path, folder) in files.folders() {
            let mut here = folder.kustomizations.iter().filter_map(|id| documents.get(id).copied());
            let Some(first) = here.next() else { continue };
            let Some(kustomization) = Kustomization::read(first) else {
                if first.errors.is_empty() && first.roots().next().is_some() {
                    let place = first.span(0, first.text.find('\n').unwrap_or(0) as u32);
                    faults.push(Fault { place, kind: FaultKind::NotAMapping });
                }
                continue;
            };
            for other in here {
                let first = kustomization.place;
                let place = Kustomization::read(other).map_or(first, |other| other.place);
                faults.push(Fault { place, kind: FaultKind::SeveralKustomizations { first } });
            }
            kustomizations.push((path, kustomization));
        }
        let folders: Vec<&'f str> = kustomizations.iter().map(|(path, _)| *path).collect();
        let mut links = Self {
            nodes: FxHashMap::default(),
            folders,
            patch_files: FxHashMap::default(),
            patches_by_entry: FxHashMap::default(),
        };
        for (folder, kustomization) in kustomizations {
            let node = links.node(files, documents, folder, kustomization, faults);
            links.nodes.insert(folder, node);
        }
        links
    }

    fn node(
        &mut self,
        files: &'f Files,
        documents: &FxHashMap<FileId, &'t Document<'t>>,
        folder: &'f str,
        kustomization: Kustomization<'t>,
        faults: &mut Vec<Fault>,
    ) -> Node<'f, 't> {
        let resources: Vec<_> =
            kustomization.resources.iter().filter_map(|e| self.follow(files, folder, e, faults)).collect();
        let components: Vec<_> =
            kustomization.components.iter().filter_map(|e| self.follow(files, folder, e, faults)).collect();
        let listed = kustomization.resources.len() + kustomization.components.len();
        let is_partial = resources.len() + components.len() < listed;
        let layer = &kustomization.layer;
        for patch in layer.patches.iter().chain(&layer.late_patches) {
            self.read_patch(files, documents, folder, patch, faults);
        }
        Node { kustomization, folder, resources, components, is_partial }
    }

    /// Follows an entry of `resources`, `bases` or `components`.
    pub(super) fn follow(
        &self,
        files: &'f Files,
        folder: &str,
        entry: &Spanned<Text<'_>>,
        faults: &mut Vec<Fault>,
    ) -> Option<Link<'f>> {
        let text = entry.value.as_ref();
        let mut fault = |kind| faults.push(Fault { place: entry.span, kind });
        if is_remote(text) {
            fault(FaultKind::Remote(text.into()));
            return None;
        }
        let path = join(folder, text);
        if let Some(file) = files.file(&path) {
            return Some(Link { entry: entry.span, to: Linked::File(file) });
        }
        match files.known_folder(&path) {
            Some(found) if self.folders.binary_search(&found).is_ok() => {
                return Some(Link { entry: entry.span, to: Linked::Folder(found) });
            }
            // A kustomization that cannot be read as YAML is reported as such.
            Some(found) if files.folder(found).is_some_and(|f| !f.kustomizations.is_empty()) => {}
            Some(_) => fault(FaultKind::NoKustomization(text.into())),
            None if !files.would_hold(&path) => fault(FaultKind::Outside(text.into())),
            None => fault(FaultKind::Missing(text.into())),
        }
        None
    }

    fn read_patch(
        &mut self,
        files: &Files,
        documents: &FxHashMap<FileId, &'t Document<'t>>,
        folder: &str,
        patch: &Patch<'t>,
        faults: &mut Vec<Fault>,
    ) {
        let mut fault = |kind| faults.push(Fault { place: patch.place, kind });
        let path = match &patch.body {
            Body::Inline(_) => return,
            Body::Unreadable => return fault(FaultKind::UnreadablePatch),
            Body::File(path) => path,
        };
        if is_remote(&path.value) {
            return fault(FaultKind::Remote(path.value.as_ref().into()));
        }
        let wanted = join(folder, &path.value);
        let Some(file) = files.file(&wanted) else {
            let named = path.value.as_ref().into();
            return fault(match files.would_hold(&wanted) {
                true => FaultKind::Missing(named),
                false => FaultKind::Outside(named),
            });
        };
        self.patches_by_entry.insert(path.span, file);
        if self.patch_files.contains_key(&file) {
            return;
        }
        let changes =
            documents.get(&file).and_then(|document| changes(document.roots().map(|(_, root)| root)));
        if changes.is_none() {
            fault(FaultKind::UnreadablePatch);
        }
        self.patch_files.insert(file, changes);
    }
}

/// Whether an entry names something in another repository.
fn is_remote(entry: &str) -> bool {
    entry.contains("://")
        || entry.contains("?ref=")
        || entry.starts_with("git@")
        || entry.starts_with("github.com/")
        || entry.trim_start_matches("./").contains("//")
}
