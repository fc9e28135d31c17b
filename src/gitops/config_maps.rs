//! ConfigMaps of the tree, as a source of variables.

use rustc_hash::FxHashMap;

use super::files::{Files, shared_components};
use super::links::Links;
use crate::manifest::Object;
use crate::source::{FileId, Span, Spanned};
use crate::yaml::Value;

/// The key, the value and the place of one entry.
pub(super) type Entry = (String, String, Span);

/// ConfigMaps by name: written out, or made by a kustomization from literals.
pub(super) struct ConfigMaps<'t> {
    by_name: FxHashMap<String, Vec<(String, Source<'t>)>>,
}

enum Source<'t> {
    Written(Option<Value<'t>>),
    Literals(Vec<Spanned<String>>),
}

impl<'t> ConfigMaps<'t> {
    pub(super) fn read(files: &Files, objects: &[Object<'t>], links: &Links<'_, 't>) -> Self {
        let mut by_name: FxHashMap<String, Vec<_>> = FxHashMap::default();
        for object in objects.iter().filter(|object| object.is("", "ConfigMap")) {
            if let Some(name) = &object.name {
                let path = files.path(file_of(object)).to_owned();
                let source = Source::Written(object.value.get("data"));
                by_name.entry(name.value.to_string()).or_default().push((path, source));
            }
        }
        for node in links.folders.iter().filter_map(|folder| links.nodes.get(folder)) {
            for (name, literals) in &node.kustomization.config_maps {
                let literals = literals.iter().map(|l| Spanned::new(l.value.to_string(), l.span)).collect();
                let path = files.path(node.kustomization.file).to_owned();
                by_name.entry(name.to_string()).or_default().push((path, Source::Literals(literals)));
            }
        }
        Self { by_name }
    }

    /// The entries of the ConfigMap of this name that lies closest to `near`;
    /// `None` when there is none, or several lie equally close.
    pub(super) fn find(&self, name: &str, near: &str) -> Option<Vec<Entry>> {
        let found = self.by_name.get(name)?;
        let distance = |(path, _): &&(String, Source<'_>)| shared_components(path, near);
        let closest = found.iter().max_by_key(distance)?;
        let rivals = found.iter().filter(|other| distance(other) == distance(&closest)).count();
        (rivals == 1).then(|| closest.1.entries())
    }
}

impl Source<'_> {
    fn entries(&self) -> Vec<Entry> {
        match self {
            Source::Written(data) => data
                .iter()
                .flat_map(|data| data.entries())
                .filter_map(|entry| {
                    let (key, value) = (entry.key.text()?, entry.value.text()?);
                    Some((key.into_owned(), value.into_owned(), entry.span))
                })
                .collect(),
            Source::Literals(literals) => literals
                .iter()
                .filter_map(|literal| {
                    let (key, value) = literal.value.split_once('=')?;
                    let value = value.trim_matches(|quote| quote == '"' || quote == '\'');
                    Some((key.to_owned(), value.to_owned(), literal.span))
                })
                .collect(),
        }
    }
}

/// The file that an object stands in.
pub(super) fn file_of(object: &Object<'_>) -> FileId {
    object.value.tree().file
}
