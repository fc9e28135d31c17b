//! What a Flux Kustomization, an Application or a HelmRelease deploys: which
//! folder, and what it does to what lies there.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde_json::Value as Json;

use super::argo::{self, Application};
use super::config_maps::{ConfigMaps, file_of};
use super::fault::{Fault, FaultKind};
use super::files::{Files, join};
use super::flux;
use super::helm;
use super::kustomization::Layer;
use super::placement::{Context, named};
use super::render::Rendition;
use super::steering::Steering;
use super::variables::Variables;
use super::{Applied, Namespace, UnknownNamespace};
use crate::manifest::Object;
use crate::source::Span;

/// A folder that is deployed.
pub(super) struct Deployment<'r, 't> {
    /// What asks for it.
    pub(super) place: Span,
    pub(super) folder: &'r str,
    pub(super) layer: Layer<'t>,
    /// Components that are added to the folder's own, relative to it.
    pub(super) components: Vec<String>,
    /// Whether a folder without kustomization is deployed with all below it.
    pub(super) recurses: bool,
    pub(super) context: Context,
}

/// Whether the object makes others: a release, or something that deploys folders.
pub(super) fn steers(object: &Object<'_>) -> bool {
    deploys(object) || object.is(helm::GROUP, "HelmRelease")
}

/// Whether the object deploys folders of a repository.
pub(super) fn deploys(object: &Object<'_>) -> bool {
    object.is(flux::GROUP, "Kustomization")
        || object.is(argo::GROUP, "Application")
        || object.is(argo::GROUP, "ApplicationSet")
}

/// Where the paths of deployments lead.
pub(super) struct Targets<'r> {
    files: &'r Files,
    /// The sources (the name of a GitRepository, the address of a repository)
    /// that are this repository: some path in them is here.
    own_sources: FxHashSet<String>,
    /// Paths that are not there: faults when their source is this repository.
    missing: Vec<(String, Fault)>,
}

/// A path in a source as a deployment writes it.
struct SourcePath<'p> {
    source: &'p str,
    path: &'p str,
    place: Span,
}

impl<'r> Targets<'r> {
    /// Learns from what is written, before patches and variables, which sources
    /// are this repository, and which folders are deployed.
    pub(super) fn read(files: &'r Files, objects: &[Object<'_>]) -> (Self, FxHashSet<&'r str>) {
        let mut targets = Self { files, own_sources: FxHashSet::default(), missing: Vec::new() };
        let mut written = Vec::new();
        for (at, object) in objects.iter().enumerate().filter(|(_, object)| deploys(object)) {
            let item = Rendition::as_written(at, object);
            let Some(steering) = Steering::new(object, &item, &Variables::unseen()) else { continue };
            let near = files.path(file_of(object));
            if object.group() == flux::GROUP {
                let (source, path) = flux_path(&steering);
                written.push((source.to_owned(), path.to_owned(), near));
                continue;
            }
            for application in argo::applications(&steering, files) {
                for (_, source) in application.sources() {
                    let text = |key| source.get(key).and_then(Json::as_str);
                    if let Some(path) = text("path") {
                        let repository = text("repoURL").unwrap_or_default();
                        written.push((repository.to_owned(), path.to_owned(), near));
                    }
                }
            }
        }
        for (source, path, near) in &written {
            if !is_root(path) && files.at_root(path, near).is_some() {
                targets.own_sources.insert(source.clone());
            }
        }
        let folders = written.iter().filter_map(|(source, path, near)| targets.find(source, path, near));
        let folders = folders.collect();
        (targets, folders)
    }

    /// The folder of a path. Every repository has a root: that of another one
    /// is not ours.
    fn find(&self, source: &str, path: &str, near: &str) -> Option<&'r str> {
        let is_ours = self.own_sources.contains(source)
            || self.own_sources.is_empty() && source == flux::BOOTSTRAP_SOURCE;
        let files: &'r Files = self.files;
        files.at_root(path, near).filter(|_| is_ours || !is_root(path))
    }

    fn folder(&mut self, path: SourcePath<'_>, near: &str) -> Option<&'r str> {
        let found = self.find(path.source, path.path, near);
        let should_be_here = !path.path.contains("${") && self.files.would_hold(&join("", path.path));
        if found.is_none() && should_be_here && !is_root(path.path) {
            let fault = Fault { place: path.place, kind: FaultKind::MissingPath(path.path.into()) };
            self.missing.push((path.source.to_owned(), fault));
        }
        found
    }

    /// The paths that are not in this repository though others of their source are.
    pub(super) fn into_faults(self) -> impl Iterator<Item = Fault> {
        let own = self.own_sources;
        self.missing.into_iter().filter(move |(source, _)| own.contains(source)).map(|(_, fault)| fault)
    }

    /// What an object that steers the tree deploys. `namespace` is that of the object.
    pub(super) fn deployments<'t>(
        &mut self,
        steering: &Steering<'_, 't>,
        namespace: &Namespace,
        config_maps: &ConfigMaps<'_>,
        context: &Context,
    ) -> Vec<Deployment<'r, 't>> {
        match steering.object.group() {
            flux::GROUP => self.by_flux(steering, config_maps, context).into_iter().collect(),
            helm::GROUP => self.by_helm(steering, namespace, context).into_iter().collect(),
            _ => argo::applications(steering, self.files)
                .iter()
                .flat_map(|application| self.by_argo(steering, application, context))
                .collect(),
        }
    }

    fn by_flux<'t>(
        &mut self,
        steering: &Steering<'_, 't>,
        config_maps: &ConfigMaps<'_>,
        context: &Context,
    ) -> Option<Deployment<'r, 't>> {
        let object = steering.object;
        let files: &'r Files = self.files;
        let near = files.path(file_of(object));
        let (source, path) = flux_path(steering);
        let folder = self.folder(SourcePath { source, path, place: steering.place("/spec/path") }, near)?;
        Some(Deployment {
            place: object.place(),
            folder,
            layer: flux::layer(steering),
            components: steering.list("/spec/components").iter().filter_map(text_of).collect(),
            recurses: true,
            context: Context {
                variables: Arc::new(flux::variables(steering, config_maps, near)),
                namespace: Namespace::Unknown(UnknownNamespace::NotForFlux(object.place())),
                applied: Applied::Yes,
                applied_by: Some(object.place()),
                entry: context.entry,
            },
        })
    }

    /// A chart that lies in this repository.
    fn by_helm<'t>(
        &mut self,
        steering: &Steering<'_, 't>,
        namespace: &Namespace,
        context: &Context,
    ) -> Option<Deployment<'r, 't>> {
        let object = steering.object;
        let chart = steering.text("/spec/chart/spec/chart")?;
        if steering.text("/spec/chart/spec/sourceRef/kind") != Some("GitRepository") {
            return None;
        }
        let source = steering.text("/spec/chart/spec/sourceRef/name").unwrap_or_default();
        let files: &'r Files = self.files;
        let folder = templates(self.find(source, chart, files.path(file_of(object)))?, files)?;
        let target = steering.spanned("/spec/targetNamespace");
        let namespace = target.map_or_else(
            || namespace.clone(),
            |target| named(&target.value, target.span, &Variables::unseen()),
        );
        Some(Deployment {
            place: object.place(),
            folder,
            layer: Layer::default(),
            components: Vec::new(),
            recurses: true,
            context: Context {
                variables: context.variables.clone(),
                namespace,
                applied: Applied::Yes,
                applied_by: Some(object.place()),
                entry: context.entry,
            },
        })
    }

    fn by_argo<'t>(
        &mut self,
        steering: &Steering<'_, 't>,
        application: &Application,
        context: &Context,
    ) -> Vec<Deployment<'r, 't>> {
        let object = steering.object;
        let files: &'r Files = self.files;
        let near = files.path(file_of(object));
        let namespace = match application.text("/destination/namespace") {
            Some(text) => {
                let place = steering.place(&format!("{}/destination/namespace", application.at));
                named(text, place, &Variables::unseen())
            }
            None => Namespace::Unsaid,
        };
        let mut deployments = Vec::new();
        for (pointer, source) in application.sources() {
            let at = format!("{}{pointer}", application.at);
            let text = |key| source.get(key).and_then(Json::as_str);
            let Some(path) = text("path").filter(|path| !helm::is_template(path)) else { continue };
            let place = steering.place(&format!("{at}/path"));
            let repository = text("repoURL").unwrap_or_default();
            let Some(folder) = self.folder(SourcePath { source: repository, path, place }, near) else {
                continue;
            };
            let templates = templates(folder, files);
            let recurses = source.pointer("/directory/recurse").and_then(Json::as_bool) == Some(true);
            let components = source.pointer("/kustomize/components").and_then(Json::as_array);
            deployments.push(Deployment {
                place: object.place(),
                folder: templates.unwrap_or(folder),
                layer: argo::layer(source, &at, steering),
                components: components.into_iter().flatten().filter_map(text_of).collect(),
                recurses: recurses || templates.is_some(),
                context: Context {
                    variables: Arc::new(Variables::unseen()),
                    namespace: namespace.clone(),
                    applied: Applied::Yes,
                    applied_by: Some(object.place()),
                    entry: context.entry,
                },
            });
        }
        deployments
    }
}

/// The source and the path of a Flux Kustomization.
fn flux_path<'s>(steering: &'s Steering<'_, '_>) -> (&'s str, &'s str) {
    let source = steering.text("/spec/sourceRef/name").unwrap_or_default();
    (source, steering.text("/spec/path").unwrap_or("."))
}

/// The templates of the chart in a folder, if it holds one.
fn templates<'f>(folder: &str, files: &'f Files) -> Option<&'f str> {
    files.file(&join(folder, "Chart.yaml")).and_then(|_| files.known_folder(&join(folder, "templates")))
}

fn is_root(path: &str) -> bool {
    join("", path).is_empty()
}

fn text_of(value: &Json) -> Option<String> {
    value.as_str().map(str::to_owned)
}
