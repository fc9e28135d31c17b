//! The objects that steer the tree, as they reach the cluster: only of these are
//! patches carried out and variables put in place in full.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::json::{merge, operate, to_json};
use super::patch::Change;
use super::render::{Applied, Rendition};
use super::variables::{Substituted, Variables, substitute};
use crate::manifest::{Object, Text};
use crate::source::{Span, Spanned};
use crate::yaml::Value;

/// An object that steers the tree, with patches evaluated and variables substituted.
pub(super) struct Steering<'o, 't> {
    pub(super) object: &'o Object<'t>,
    pub(super) json: Json,
}

impl<'o, 't> Steering<'o, 't> {
    /// The object as it reaches the cluster; `None` when it unfolds to too much.
    pub(super) fn new(object: &'o Object<'t>, item: &Rendition<'t>, variables: &Variables) -> Option<Self> {
        let mut json = to_json(object.value)?;
        for change in item.changes.iter().filter_map(Applied::change) {
            match change {
                Change::Merge(patch) => merge(&mut json, patch),
                Change::Operations(operations) => {
                    operations.iter().for_each(|operation| {
                        operate(&mut json, operation);
                    });
                }
            }
        }
        let metadata = json.get_mut("metadata").and_then(Json::as_object_mut);
        if let (Some(metadata), Some(name)) = (metadata, &item.name) {
            metadata.insert("name".into(), Json::from(name.as_ref()));
        }
        substitute_all(&mut json, variables);
        Some(Self { object, json })
    }

    /// A text that is not empty.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// A text with the place where it is written, or else that of the object.
    pub(super) fn spanned(&self, pointer: &str) -> Option<Spanned<Text<'t>>> {
        Some(Spanned::new(Cow::Owned(self.text(pointer)?.to_owned()), self.place(pointer)))
    }

    /// Where the value at this pointer is written; the place of the object when
    /// a patch brought it in.
    pub(super) fn place(&self, pointer: &str) -> Span {
        written(self.object.value, pointer).unwrap_or_else(|| self.object.place())
    }

    pub(super) fn list(&self, pointer: &str) -> &[Json] {
        self.json.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
    }

    pub(super) fn map(&self, pointer: &str) -> impl Iterator<Item = (&str, &Json)> {
        let map = self.json.pointer(pointer).and_then(Json::as_object);
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }
}

/// The place of the value at a JSON pointer; an alias is its own place.
fn written(root: Value<'_>, pointer: &str) -> Option<Span> {
    let mut value = root;
    for part in pointer.split('/').skip(1) {
        let here = value.resolve();
        value = match part.parse::<usize>() {
            Ok(at) if here.is_sequence() => here.items().nth(at)?.value,
            _ => here.entry(part)?.value,
        };
    }
    Some(value.span())
}

/// Puts values in place of variables in every text; a text that holds an
/// unknown one stays as it is.
fn substitute_all(json: &mut Json, variables: &Variables) {
    match json {
        Json::String(text) => {
            if text.contains("${")
                && let Substituted::Known(known) = substitute(text.clone(), variables)
            {
                *text = known.into_owned();
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| substitute_all(item, variables)),
        Json::Object(map) => map.values_mut().for_each(|value| substitute_all(value, variables)),
        _ => {}
    }
}
