//! The files of the tree by their path from the repository's root, as
//! kustomize, Flux and Argo CD name them. Nothing is looked up on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use rustc_hash::FxHashMap;

use crate::source::{FileId, Source};

/// The names under which kustomize looks for its file.
pub const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What lies in one folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Its files, in order, kustomizations excluded.
    pub(super) files: Vec<FileId>,
    /// Its kustomization, in the order in which kustomize looks for it; it
    /// refuses a folder with several.
    pub(super) kustomizations: Vec<FileId>,
    /// The folders in it, by their whole path.
    pub(super) folders: BTreeSet<Box<str>>,
}

/// Every file and folder of the tree. The root's path is empty.
#[derive(Debug, Default)]
pub(super) struct Files {
    by_path: FxHashMap<Box<str>, FileId>,
    paths: Vec<Box<str>>,
    folders: BTreeMap<Box<str>, Folder>,
    /// The deepest folder that holds everything that was read.
    scope: Box<str>,
}

impl Files {
    /// Takes in the first files of a run. `is_other` knows those that are no
    /// kustomization though they are called like one.
    pub(super) fn read<'s>(
        sources: impl Iterator<Item = (FileId, &'s Source)>,
        root: &Path,
        is_other: impl Fn(FileId) -> bool,
    ) -> Self {
        let mut files = Self::default();
        files.folders.insert("".into(), Folder::default());
        for (id, source) in sources {
            files.add(id, path_in(source, root).into(), &is_other);
        }
        files.scope = files.common_folder();
        let Self { folders, paths, .. } = &mut files;
        for folder in folders.values_mut() {
            folder.kustomizations.sort_by_key(|id| {
                let name = paths.get(id.0 as usize).map(|path| split(path).1);
                KUSTOMIZATION.iter().position(|known| Some(*known) == name)
            });
        }
        files
    }

    fn add(&mut self, id: FileId, path: Box<str>, is_other: impl Fn(FileId) -> bool) {
        let (parent, name) = split(&path);
        let folder = self.folder_mut(parent);
        match KUSTOMIZATION.contains(&name) && !is_other(id) {
            true => folder.kustomizations.push(id),
            false => folder.files.push(id),
        }
        self.by_path.insert(path.clone(), id);
        self.paths.push(path);
    }

    fn common_folder(&self) -> Box<str> {
        let mut folders = self.paths.iter().map(|path| parent(path));
        let first = folders.next().unwrap_or_default();
        let common = folders.fold(first, |common, folder| {
            ancestors(common).find(|above| is_below(folder, above)).unwrap_or_default()
        });
        common.into()
    }

    /// Whether what lies at this path would have been read.
    pub(super) fn would_hold(&self, path: &str) -> bool {
        is_below(path, &self.scope) && !path.starts_with("..")
    }

    /// The folder of this path, known to those above it.
    fn folder_mut(&mut self, path: &str) -> &mut Folder {
        let mut child = path;
        while !child.is_empty() {
            let parent = parent(child);
            if !self.folders.entry(parent.into()).or_default().folders.insert(child.into()) {
                break;
            }
            child = parent;
        }
        self.folders.entry(path.into()).or_default()
    }

    /// The path of a file.
    pub(super) fn path(&self, id: FileId) -> &str {
        self.paths.get(id.0 as usize).map_or("", |path| path)
    }

    /// The folder that a file lies in.
    pub(super) fn folder_of(&self, id: FileId) -> &str {
        parent(self.path(id))
    }

    pub(super) fn file(&self, path: &str) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    pub(super) fn folder(&self, path: &str) -> Option<&Folder> {
        self.folders.get(path)
    }

    /// The path of a folder as it is kept here, if there is such a folder.
    pub(super) fn known_folder(&self, path: &str) -> Option<&str> {
        self.folders.get_key_value(path).map(|(path, _)| path.as_ref())
    }

    /// Every folder with its path, sorted.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&str, &Folder)> {
        self.folders.iter().map(|(path, folder)| (path.as_ref(), folder))
    }

    /// The folder that a path from the repository's root names, written in the
    /// file `near`. Where the root of the tree that was read is not the
    /// repository's, the folder whose path ends with it counts, and of several
    /// the one that lies closest to `near`.
    pub(super) fn at_root(&self, path: &str, near: &str) -> Option<&str> {
        let wanted = join("", path);
        if let Some(found) = self.known_folder(&wanted) {
            return Some(found);
        }
        let suffix = format!("/{wanted}");
        let ending = self.folders().map(|(path, _)| path).filter(|path| path.ends_with(&suffix));
        ending.max_by_key(|path| shared_components(path, near))
    }
}

/// Whether a path is this folder or lies in it.
fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How many leading components two paths share.
pub(super) fn shared_components(a: &str, b: &str) -> usize {
    a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b).count()
}

/// The folder part of a path.
pub(super) fn parent(path: &str) -> &str {
    split(path).0
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The path and those of all folders above it, up to the root.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| (!path.is_empty()).then(|| parent(path)))
}

/// `relative` seen from a folder, with `.` and `..` resolved. What leads out of
/// the root keeps its leading `..`.
pub(super) fn join(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn path_in(source: &Source, root: &Path) -> String {
    match source.path.strip_prefix(root) {
        Ok(path) => {
            let parts = path.components().filter_map(|part| match part {
                Component::Normal(part) => part.to_str(),
                Component::ParentDir => Some(".."),
                _ => None,
            });
            join("", &parts.collect::<Vec<_>>().join("/"))
        }
        Err(_) => join("", &source.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn paths_are_joined_without_looking_at_the_disk() {
        assert_eq!(join("a/b", "../c/./d.yaml"), "a/c/d.yaml");
        assert_eq!(join("a", "../.."), "..");
        assert_eq!(join("", "./"), "");
        assert_eq!(ancestors("a/b").collect::<Vec<_>>(), ["a/b", "a", ""]);
    }

    #[test]
    fn what_lies_beside_everything_that_was_read_may_be_there() {
        let mut sources = Sources::default();
        for name in ["a/apps/one/x.yaml", "a/apps/two/x.yaml"] {
            sources.add(Source::new(name.into(), name.into(), String::new()));
        }
        let files = Files::read(sources.iter(), Path::new(""), |_| false);
        assert!(files.would_hold("a/apps/three"));
        assert!(!files.would_hold("a/apps-more") && !files.would_hold("a/base") && !files.would_hold("../a"));
    }

    #[test]
    fn a_path_from_the_root_is_also_found_when_the_root_lies_deeper() {
        let mut sources = Sources::default();
        for name in ["x/one/apps/web/a.yaml", "x/two/apps/web/a.yaml"] {
            sources.add(Source::new(name.into(), name.into(), String::new()));
        }
        let files = Files::read(sources.iter(), Path::new(""), |_| false);
        assert_eq!(files.at_root("./apps/web", "x/two/flux/ks.yaml"), Some("x/two/apps/web"));
        assert_eq!(files.at_root("./x/one", ""), Some("x/one"));
        assert_eq!(files.at_root("./nowhere", ""), None);
    }
}
