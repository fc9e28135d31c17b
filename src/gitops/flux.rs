//! Flux: what a Kustomization applies, where, and with which variables.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::config_maps::ConfigMaps;
use super::json::{merge, operate, to_json};
use super::kustomization::{AddedLabel, LabelReach, Layer};
use super::patch::{Change, Patch};
use super::render::{Applied, Rendition};
use super::variables::{Substituted, Variables, substitute};
use crate::manifest::{Object, Text};
use crate::source::{Span, Spanned};
use crate::yaml::Value;

/// Flux's API group for Kustomizations.
pub(super) const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// What steers the tree, with patches evaluated and variables substituted.
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

/// What a Flux Kustomization does beside building its folder.
pub(super) fn layer<'t>(steering: &Steering<'_, 't>) -> Layer<'t> {
    let patch =
        |(at, patch): (usize, &Json)| Patch::from_json(patch, steering.place(&format!("/spec/patches/{at}")));
    let label = |(key, value): (&str, &Json)| {
        Some(AddedLabel {
            key: key.to_owned().into(),
            value: value.as_str()?.to_owned().into(),
            reach: LabelReach::Metadata,
            from: steering.place("/spec/commonMetadata/labels"),
        })
    };
    let owned = |pointer| steering.text(pointer).map(|text| Cow::Owned(text.to_owned()));
    Layer {
        patches: steering.list("/spec/patches").iter().enumerate().map(patch).collect(),
        namespace: steering.spanned("/spec/targetNamespace"),
        prefix: owned("/spec/namePrefix"),
        suffix: owned("/spec/nameSuffix"),
        labels: steering.map("/spec/commonMetadata/labels").filter_map(label).collect(),
        late_patches: Vec::new(),
        opaque: Vec::new(),
    }
}

/// The variables that are defined for what a Flux Kustomization applies. One
/// without `postBuild` may get it by ways that the tree does not show.
pub(super) fn variables(steering: &Steering<'_, '_>, config_maps: &ConfigMaps<'_>, near: &str) -> Variables {
    if steering.json.pointer("/spec/postBuild").is_none() {
        return Variables::unseen();
    }
    let mut variables = Variables::complete();
    for source in steering.list("/spec/postBuild/substituteFrom") {
        let text = |key| source.get(key).and_then(Json::as_str);
        let found = match (text("kind"), text("name")) {
            (Some("ConfigMap"), Some(name)) => config_maps.find(name, near),
            _ => None,
        };
        match found {
            Some(entries) => entries.into_iter().for_each(|(key, value, place)| {
                if value.starts_with("ENC[") || value.contains("${") {
                    variables.forget(&key);
                } else {
                    variables.define(&key, &value, place);
                }
            }),
            None => variables.may_hold_more(),
        }
    }
    for (name, value) in steering.map("/spec/postBuild/substitute") {
        let place = steering.place(&format!("/spec/postBuild/substitute/{name}"));
        match value {
            Json::String(text) if !text.contains("${") => variables.define(name, text, place),
            Json::Bool(_) | Json::Number(_) => variables.define(name, &value.to_string(), place),
            Json::Null => variables.define(name, "", place),
            _ => variables.forget(name),
        }
    }
    variables
}
