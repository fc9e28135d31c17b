//! Flux: what a Kustomization applies, where, and with which variables.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::config_maps::ConfigMaps;
use super::kustomization::{AddedLabel, LabelReach, Layer};
use super::patch::Patch;
use super::steering::Steering;
use super::variables::Variables;
use crate::yaml::Tree as Document;

/// Flux's API group for Kustomizations.
pub(super) const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// The name that `flux bootstrap` gives to the repository it works on.
pub(super) const BOOTSTRAP_SOURCE: &str = "flux-system";

/// Whether a file begins with an object of Flux, whose kind is Kustomization too:
/// some are called `kustomization.yaml`.
pub(super) fn is_of_flux(document: &Document<'_>) -> bool {
    let api_version = document.roots().next().and_then(|(_, root)| root.get("apiVersion")?.text());
    api_version.is_some_and(|text| text.starts_with("kustomize.toolkit.fluxcd.io/"))
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
