//! Helm: releases, the labels that their pods likely carry, and the policies
//! that stand in their values. Charts are not rendered.

use serde_json::Value as Json;

use super::Namespace;
use super::argo;
use super::files::Files;
use super::kinds::is_policy;
use super::placement::named;
use super::steering::Steering;
use super::variables::Variables;
use crate::manifest::{Object, Text};
use crate::source::{Span, Spanned};
use crate::yaml::{Kind, Value};

/// Flux's API group for HelmReleases.
pub(super) const GROUP: &str = "helm.toolkit.fluxcd.io";

/// A release that the tree installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: Box<str>,
    /// Its namespace; `None` when it cannot be known.
    pub namespace: Option<Box<str>>,
    /// The name of its chart, where one is written.
    pub chart: Option<Box<str>>,
    /// What its pods are likely called and labelled.
    pub pods: Vec<LikelyPods>,
    /// Where it is declared.
    pub place: Span,
}

/// Pods that a chart makes by convention; no manifest shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikelyPods {
    /// What the names of the pods begin with.
    pub name: Box<str>,
    /// The labels that they likely carry.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// The service account they run as, where the values name one.
    pub service_account: Option<Box<str>>,
}

/// The releases that a HelmRelease, or Applications with a chart, install.
/// `namespace` is that of the object itself.
pub(super) fn releases(steering: &Steering<'_, '_>, namespace: &Namespace, files: &Files) -> Vec<Release> {
    let place = steering.object.place();
    match steering.object.group() {
        GROUP => {
            let Some(name) = release_name(steering).filter(|name| !name.contains("${")) else {
                return Vec::new();
            };
            let chart = chart_name(steering);
            vec![Release {
                namespace: release_namespace(steering, namespace).or("default").map(Box::from),
                chart: chart.map(Box::from),
                pods: likely_pods(&name, chart, steering.json.pointer("/spec/values")),
                name: name.into(),
                place,
            }]
        }
        argo::GROUP => {
            let applications = argo::applications(steering, files);
            let release = |application: &argo::Application, source: &Json| {
                let text = |pointer| source.pointer(pointer).and_then(Json::as_str);
                let chart = text("/chart")?;
                let name = text("/helm/releaseName").unwrap_or(&application.name);
                let namespace = application.text("/destination/namespace");
                let is_open = |text: &&str| !text.contains("${") && !is_template(text);
                Some(Release {
                    name: name.into(),
                    namespace: namespace.filter(is_open).map(Box::from),
                    chart: Some(chart.into()),
                    pods: likely_pods(name, Some(chart), source.pointer("/helm/valuesObject")),
                    place,
                })
            };
            let sources = applications.iter().flat_map(|application| {
                application.sources().into_iter().filter_map(move |(_, source)| release(application, source))
            });
            sources.collect()
        }
        _ => Vec::new(),
    }
}

/// The namespace of what a HelmRelease or Application installs.
pub(super) fn release_namespace(steering: &Steering<'_, '_>, own: &Namespace) -> Namespace {
    let (pointer, otherwise) = match steering.object.group() {
        GROUP => ("/spec/targetNamespace", own.clone()),
        _ => ("/spec/destination/namespace", Namespace::Unsaid),
    };
    match steering.spanned(pointer) {
        Some(target) => named(&target.value, target.span, &Variables::unseen()),
        None => otherwise,
    }
}

/// The name of the release that a HelmRelease makes, or of an Application.
pub(super) fn release_name(steering: &Steering<'_, '_>) -> Option<String> {
    let name = steering.text("/metadata/name");
    let named = steering.text("/spec/releaseName").map(str::to_owned);
    named.or_else(|| match steering.text("/spec/targetNamespace") {
        Some(namespace) => Some(format!("{namespace}-{}", name?)),
        None => name.map(str::to_owned),
    })
}

/// The chart of a HelmRelease.
fn chart_name<'s>(steering: &'s Steering<'_, '_>) -> Option<&'s str> {
    steering.text("/spec/chart/spec/chart").or_else(|| steering.text("/spec/chartRef/name"))
}

/// The pods of a release by the two conventions that carry far: charts label
/// their pods with chart and release; `app-template` labels them with release
/// and controller.
fn likely_pods(release: &str, chart: Option<&str>, values: Option<&Json>) -> Vec<LikelyPods> {
    let own_chart = chart.map(|chart| chart.rsplit('/').next().unwrap_or(chart));
    let controllers = values.and_then(|values| values.get("controllers")).and_then(Json::as_object);
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(Box::from);
    let instance = ("app.kubernetes.io/instance", release);
    match controllers {
        Some(controllers) if !controllers.is_empty() => {
            let all = values.and_then(|values| values.pointer("/defaultPodOptions/labels"));
            let pods = controllers.iter().map(|(key, controller)| {
                let suffix = if controllers.len() == 1 || key == "main" || key == release { "" } else { key };
                let name = [release, suffix].join(if suffix.is_empty() { "" } else { "-" });
                let conventional =
                    [("app.kubernetes.io/name", release), instance, ("app.kubernetes.io/controller", key)];
                let own = [all, controller.get("labels"), controller.pointer("/pod/labels")];
                LikelyPods {
                    name: name.into(),
                    labels: labels(&conventional, &own),
                    service_account: text(controller.pointer("/serviceAccount/name")),
                }
            });
            pods.collect()
        }
        _ => {
            let name = values.and_then(|values| values.get("nameOverride")).and_then(Json::as_str);
            let name = name.or(own_chart).unwrap_or(release);
            let own = [values.and_then(|values| values.get("podLabels"))];
            vec![LikelyPods {
                name: release.into(),
                labels: labels(&[("app.kubernetes.io/name", name), instance], &own),
                service_account: text(values.and_then(|values| values.pointer("/serviceAccount/name"))),
            }]
        }
    }
}

/// Conventional labels with those of the values over them.
fn labels(conventional: &[(&str, &str)], own: &[Option<&Json>]) -> Vec<(Box<str>, Box<str>)> {
    let mut labels: Vec<(Box<str>, Box<str>)> =
        conventional.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    for (key, value) in own.iter().flatten().filter_map(|map| map.as_object()).flatten() {
        let Some(value) = value.as_str().filter(|value| !value.contains("{{")) else { continue };
        labels.retain(|(known, _)| **known != **key);
        labels.push((key.as_str().into(), value.into()));
    }
    labels
}

/// A policy that stands in the values of a release.
pub(super) struct Embedded<'t> {
    pub(super) object: Object<'t>,
    /// The key that it stands under: charts make its name from it.
    pub(super) key: Option<Text<'t>>,
}

/// The policies in the values of a HelmRelease or an Application, wherever
/// they stand: under `extraObjects`, `rawResources`, `extraDeploy` …
pub(super) fn embedded<'t>(object: &Object<'t>) -> Vec<Embedded<'t>> {
    let mut roots = Vec::new();
    if object.is(GROUP, "HelmRelease") {
        roots.extend(object.value.path(&["spec", "values"]));
    } else if object.is(argo::GROUP, "Application") {
        let spec = object.value.get("spec");
        let one = spec.and_then(|spec| spec.get("source"));
        let several = spec.and_then(|spec| spec.get("sources")).into_iter().flat_map(Value::items);
        let sources = one.into_iter().chain(several.map(|source| source.value.resolve()));
        roots.extend(sources.filter_map(|source| source.path(&["helm", "valuesObject"])));
    }
    let mut found = Vec::new();
    roots.into_iter().for_each(|root| collect(root, None, object.document, &mut found));
    found
}

/// Walks what is written: what an alias stands for is found where it is written.
fn collect<'t>(value: Value<'t>, key: Option<Text<'t>>, document: usize, found: &mut Vec<Embedded<'t>>) {
    match value.kind() {
        Kind::Sequence { .. } => {
            value.items().for_each(|item| collect(item.value, key.clone(), document, found));
        }
        Kind::Mapping { .. } => match policy(value, document) {
            Some(object) => found.push(Embedded { object, key }),
            None => value
                .written_entries()
                .for_each(|entry| collect(entry.value, entry.key.text(), document, found)),
        },
        _ => {}
    }
}

/// The mapping as an object, if it is a policy that is switched on.
fn policy<'t>(value: Value<'t>, document: usize) -> Option<Object<'t>> {
    let kind = value.get("kind")?.text()?;
    let api_version = value.get("apiVersion")?.text()?;
    let field = |key| {
        let value = value.path(&["metadata", key]).filter(|value| !value.is_null())?;
        Some(Spanned::new(value.text()?, value.span()))
    };
    let object = Object {
        name: field("name"),
        namespace: field("namespace"),
        api_version,
        kind,
        value: body(value),
        document,
    };
    let is_off = value.get("enabled").and_then(Value::text).as_deref() == Some("false");
    (is_policy(&object) && !is_off).then_some(object)
}

/// `app-template` keeps the whole body of an object under its `spec`.
fn body(value: Value<'_>) -> Value<'_> {
    let inner = value.get("spec").filter(|spec| spec.get("spec").or_else(|| spec.get("specs")).is_some());
    inner.unwrap_or(value)
}

/// Whether a text is written for Helm and not for Kubernetes: it holds an
/// action that YAML knows nothing of. It is never edited.
pub fn is_template(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"{{").is_some()
}
