//! The walk through the tree: what is applied first, what that applies in turn,
//! and what is left over.
//!
//! It starts at kustomizations that no other includes and at files that lie by
//! themselves. Flux Kustomizations, Applications and HelmReleases that it meets
//! lead on. What is never reached is not applied, and the walk says why.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value as Json;

use super::argo::{self, Application};
use super::config_maps::{ConfigMaps, file_of};
use super::fault::{Fault, FaultKind};
use super::files::Files;
use super::flux::{self, Steering};
use super::helm::{self, Release};
use super::kustomization::Layer;
use super::links::{Link, Linked, Links};
use super::render::{Assembly, Renderer, Rendition, is_known_to_be_cluster_wide, unevaluated};
use super::roles::{Role, Roles};
use super::variables::{Substituted, Variables, substitute};
use super::variants::{BY_HAND, Comparison, EntryId};
use super::{Applied, Namespace, NotApplied, Placement, Tree, UnknownNamespace};
use crate::manifest::Object;
use crate::source::{FileId, Sources, Span};
use crate::yaml::Tree as Document;

/// How many placements there may be in all.
const MOST_PLACEMENTS: usize = 500_000;

/// How objects are applied that a build or a folder holds.
#[derive(Debug, Clone)]
struct Context {
    variables: Arc<Variables>,
    /// The namespace of objects that name none.
    namespace: Namespace,
    applied: Applied,
    applied_by: Option<Span>,
    entry: EntryId,
}

/// What a Flux Kustomization or Application deploys.
struct Deployment<'r, 't> {
    folder: &'r str,
    layer: Layer<'t>,
    /// Components that are added to the folder's own, relative to it.
    components: Vec<String>,
    /// Whether a folder without kustomization is deployed with all below it.
    recurses: bool,
    context: Context,
}

/// Objects in the values of a release: the index of each and the key it stands under.
type EmbeddedIn = FxHashMap<usize, Vec<(usize, Option<String>)>>;

struct Walk<'r, 't> {
    files: &'r Files,
    objects: &'r [Object<'t>],
    links: &'r Links<'r, 't>,
    roles: &'r Roles<'r>,
    config_maps: &'r ConfigMaps<'t>,
    embedded: &'r EmbeddedIn,
    renderer: Renderer<'r, 't>,
    placements: Vec<Vec<Placement<'t>>>,
    origins: Vec<Vec<EntryId>>,
    placed: usize,
    entries: Vec<Box<str>>,
    queue: VecDeque<(Rendition<'t>, Context)>,
    visited: FxHashSet<(usize, EntryId, Option<String>, Option<String>)>,
    /// Folders that were deployed.
    reached: FxHashSet<&'r str>,
    releases: Vec<Release>,
    paths: SourcePaths,
}

/// Paths by the name of the source that they are in: a path that is not there
/// is a fault only when the source is this repository.
#[derive(Default)]
struct SourcePaths {
    found: FxHashSet<String>,
    missing: Vec<(String, Fault)>,
}

pub(super) fn read<'t>(
    sources: &Sources,
    documents: &'t [Document<'t>],
    mut objects: Vec<Object<'t>>,
    root: &Path,
) -> Tree<'t> {
    let files = Files::read(sources, root);
    let documents: FxHashMap<FileId, &'t Document<'t>> = documents.iter().map(|d| (d.file, d)).collect();
    let mut by_file: FxHashMap<FileId, Vec<usize>> = FxHashMap::default();
    for (at, object) in objects.iter().enumerate() {
        by_file.entry(file_of(object)).or_default().push(at);
    }
    let embedded = embed(&mut objects);
    let mut faults = Vec::new();
    let links = Links::read(&files, &documents, &mut faults);
    let config_maps = ConfigMaps::read(&files, &objects, &links);
    let roles = Roles::new(&links, static_targets(&files, &objects));
    let mut walk = Walk {
        files: &files,
        objects: &objects,
        links: &links,
        roles: &roles,
        config_maps: &config_maps,
        embedded: &embedded,
        renderer: Renderer::new(&objects, &by_file, &links, faults),
        placements: vec![Vec::new(); objects.len()],
        origins: vec![Vec::new(); objects.len()],
        placed: 0,
        entries: vec!["".into()],
        queue: VecDeque::new(),
        visited: FxHashSet::default(),
        reached: FxHashSet::default(),
        releases: Vec::new(),
        paths: SourcePaths::default(),
    };
    walk.run();
    let Walk { renderer, mut placements, origins, entries, mut releases, paths, .. } = walk;
    let mut faults = renderer.faults;
    let missing = paths.missing.into_iter().filter(|(source, _)| paths.found.contains(source));
    faults.extend(missing.map(|(_, fault)| fault));
    let comparison =
        Comparison { objects: &objects, entries: &entries, placements: &mut placements, origins: &origins };
    let variants = comparison.settle(&mut faults);
    faults.sort_by_key(|fault| fault.place);
    faults.dedup();
    releases.sort_by_key(|release| release.place);
    releases.dedup();
    Tree { objects, faults, releases, variants, placements }
}

/// Adds the policies that stand in the values of releases to the objects.
fn embed(objects: &mut Vec<Object<'_>>) -> EmbeddedIn {
    let mut embedded = EmbeddedIn::default();
    for at in 0..objects.len() {
        let found = objects.get(at).map(helm::embedded).unwrap_or_default();
        for policy in found {
            let key = policy.key.map(|key| key.into_owned());
            embedded.entry(at).or_default().push((objects.len(), key));
            objects.push(policy.object);
        }
    }
    embedded
}

/// Whether the object applies others.
fn steers(object: &Object<'_>) -> bool {
    object.is(flux::GROUP, "Kustomization")
        || object.is(helm::GROUP, "HelmRelease")
        || object.is(argo::GROUP, "Application")
        || object.is(argo::GROUP, "ApplicationSet")
}

/// The folders that Flux and Argo CD deploy as far as what is written says it,
/// before patches and variables.
fn static_targets<'f>(files: &'f Files, objects: &[Object<'_>]) -> FxHashSet<&'f str> {
    let mut targets = FxHashSet::default();
    for (at, object) in objects.iter().enumerate().filter(|(_, object)| steers(object)) {
        let near = files.path(file_of(object));
        let item = Rendition::as_written(at, object);
        let Some(steering) = Steering::new(object, &item, &Variables::unseen()) else { continue };
        if object.is(flux::GROUP, "Kustomization") {
            targets.extend(files.from_root(steering.text("/spec/path").unwrap_or("."), near));
        } else if object.group() == argo::GROUP {
            let applications = argo::applications(&steering, files);
            let paths = applications.iter().flat_map(|app| app.sources());
            let paths = paths.filter_map(|(_, source)| source.get("path")?.as_str());
            targets.extend(paths.filter_map(|path| files.from_root(path, near)));
        }
    }
    targets
}

impl<'r, 't> Walk<'r, 't> {
    fn run(&mut self) {
        let roots = self.roots();
        let (steering, others): (Vec<_>, Vec<_>) =
            roots.into_iter().partition(|folder| self.holds_steering(folder));
        for folder in steering {
            self.start_at(folder, Applied::Yes);
        }
        self.start_at_plain_files();
        self.start_at_what_deploys_itself();
        let managed = !self.reached.is_empty();
        let by_hand = if managed { Applied::Unknown } else { Applied::Yes };
        for folder in others {
            if !self.reached.contains(folder) {
                self.start_at(folder, by_hand);
            }
        }
        self.cycles();
        self.follow_what_is_not_applied();
        self.unused_components();
        self.leftovers(by_hand);
    }

    /// Kustomizations that nothing in the tree includes or deploys.
    fn roots(&self) -> Vec<&'r str> {
        let is_root = |folder: &&str| {
            let component = self.links.nodes.get(*folder).is_some_and(|node| node.kustomization.is_component);
            !component && !self.roles.included.contains(*folder) && !self.is_deployed(folder)
        };
        self.links.folders.iter().copied().filter(is_root).collect()
    }

    /// Whether a folder is deployed by itself, or with one above it that has no
    /// kustomization.
    fn is_deployed(&self, folder: &str) -> bool {
        for above in super::files::ancestors(folder) {
            if self.roles.targets.contains(above) {
                return true;
            }
            if above != folder && self.links.nodes.contains_key(above) {
                return false;
            }
        }
        false
    }

    fn place_of(&self, folder: &str) -> Span {
        let node = self.links.nodes.get(folder);
        node.map_or(Span::new(FileId(0), 0, 0), |node| node.kustomization.place)
    }

    fn holds_steering(&mut self, folder: &'r str) -> bool {
        let build = self.renderer.build(folder, self.place_of(folder));
        build.items.iter().any(|item| self.objects.get(item.object).is_some_and(steers))
    }

    fn by_hand(&mut self, folder: &str, applied: Applied) -> Context {
        self.entries.push(folder.into());
        Context {
            variables: Arc::new(Variables::unseen()),
            namespace: Namespace::Unsaid,
            applied,
            applied_by: None,
            entry: self.entries.len() - 1,
        }
    }

    fn start_at(&mut self, folder: &'r str, applied: Applied) {
        let context = self.by_hand(folder, applied);
        let build = self.renderer.build(folder, self.place_of(folder));
        self.place_all(build.items.iter().cloned(), &context);
        self.drain();
    }

    /// Files that lie by themselves and steer the tree.
    fn start_at_plain_files(&mut self) {
        let mut contexts: FxHashMap<&'r str, Context> = FxHashMap::default();
        for (at, object) in self.objects.iter().enumerate().filter(|(_, object)| steers(object)) {
            let file = file_of(object);
            if self.roles.of(file, self.files, self.links) == Role::Plain {
                let folder = self.files.folder_of(file);
                if !contexts.contains_key(folder) {
                    let context = self.by_hand(folder, Applied::Yes);
                    contexts.insert(folder, context);
                }
                if let Some(context) = contexts.get(folder).cloned() {
                    self.place(Rendition::as_written(at, object), &context);
                }
            }
        }
        self.drain();
    }

    /// What `flux bootstrap` writes: a Kustomization in the folder that it
    /// deploys. Somebody applied it by hand once.
    fn start_at_what_deploys_itself(&mut self) {
        for at in 0..self.objects.len() {
            if !self.is_steering_and_unplaced(at) {
                continue;
            }
            let Some(object) = self.objects.get(at) else { continue };
            let context = self.by_hand(self.files.folder_of(file_of(object)), Applied::Yes);
            let item = Rendition::as_written(at, object);
            let deployments = self.deployments(&item, &context);
            let deploys_itself = deployments
                .iter()
                .any(|deployment| self.assemble(deployment).items.iter().any(|item| item.object == at));
            if deploys_itself {
                self.visited.insert(visit(&item, &context));
                deployments.into_iter().for_each(|deployment| self.deploy(deployment));
                self.drain();
            } else {
                self.entries.pop();
            }
        }
    }

    /// Kustomizations that only include each other: no root leads there.
    fn cycles(&mut self) {
        for folder in self.links.folders.iter().copied() {
            let Some(node) = self.links.nodes.get(folder) else { continue };
            let is_in_a_cycle = !node.kustomization.is_component
                && self.roles.included.contains(folder)
                && !self.is_deployed(folder)
                && !self.renderer.has_built(folder);
            if is_in_a_cycle {
                self.start_at(folder, Applied::Unknown);
            }
        }
    }

    /// What is not applied would have applied something: that is not applied either.
    fn follow_what_is_not_applied(&mut self) {
        for at in 0..self.objects.len() {
            let Some(object) = self.objects.get(at).filter(|_| self.is_steering_and_unplaced(at)) else {
                continue;
            };
            let folder = self.files.folder_of(file_of(object));
            let context = self.by_hand(folder, Applied::No(NotApplied::Unapplied(object.place())));
            let item = Rendition::as_written(at, object);
            for deployment in self.deployments(&item, &context) {
                self.deploy_unapplied(deployment, object.place());
            }
        }
    }

    /// Places only what nothing else has placed.
    fn deploy_unapplied(&mut self, mut deployment: Deployment<'r, 't>, by: Span) {
        deployment.context.applied = Applied::No(NotApplied::Unapplied(by));
        let assembly = self.assemble(&deployment);
        let new: Vec<_> = assembly
            .items
            .into_iter()
            .filter(|item| self.placements.get(item.object).is_some_and(Vec::is_empty))
            .filter(|item| self.objects.get(item.object).is_some_and(|object| !steers(object)))
            .collect();
        self.place_all(new.into_iter(), &deployment.context);
    }

    fn is_steering_and_unplaced(&self, at: usize) -> bool {
        self.objects.get(at).is_some_and(steers) && self.placements.get(at).is_some_and(Vec::is_empty)
    }

    fn unused_components(&mut self) {
        for folder in self.links.folders.iter().copied() {
            let place = self.place_of(folder);
            if self.links.nodes.get(folder).is_some_and(|node| node.kustomization.is_component) {
                let context = self.by_hand(folder, Applied::No(NotApplied::UnusedComponent(place)));
                let build = self.renderer.build(folder, place);
                let new: Vec<_> = build.items.iter().filter(|item| self.is_unplaced(item)).cloned().collect();
                self.place_all(new.into_iter(), &context);
            }
        }
    }

    fn is_unplaced(&self, item: &Rendition<'_>) -> bool {
        self.placements.get(item.object).is_some_and(Vec::is_empty)
    }

    /// What nothing has reached: files that lie by themselves, and those that
    /// nothing applies.
    fn leftovers(&mut self, by_hand: Applied) {
        for (at, object) in self.objects.iter().enumerate() {
            if self.placements.get(at).is_none_or(|placed| !placed.is_empty()) {
                continue;
            }
            let file = file_of(object);
            let applied = match self.roles.of(file, self.files, self.links) {
                Role::Plain => by_hand,
                Role::Not(why) => Applied::No(why),
                Role::Listed | Role::Covered => Applied::Unknown,
            };
            let is_kustomization = object.group() == "kustomize.config.k8s.io";
            let is_embedded = self.embedded.values().flatten().any(|(embedded, _)| *embedded == at);
            if is_kustomization || is_embedded {
                continue;
            }
            let context = Context {
                variables: Arc::new(Variables::unseen()),
                namespace: Namespace::Unsaid,
                applied,
                applied_by: None,
                entry: BY_HAND,
            };
            self.place(Rendition::as_written(at, object), &context);
        }
        self.queue.clear();
    }

    fn place_all(&mut self, items: impl Iterator<Item = Rendition<'t>>, context: &Context) {
        items.for_each(|item| self.place(item, context));
    }

    /// Says of one object what becomes of it, and remembers to follow it.
    fn place(&mut self, item: Rendition<'t>, context: &Context) {
        let Some(object) = self.objects.get(item.object) else { return };
        if self.placed == MOST_PLACEMENTS {
            let kind = FaultKind::TooMany(MOST_PLACEMENTS);
            self.renderer.faults.push(Fault { place: object.place(), kind });
        }
        self.placed = self.placed.saturating_add(1);
        if self.placed > MOST_PLACEMENTS {
            return;
        }
        let placement = placement(&item, object, context);
        if steers(object) {
            self.queue.push_back((item.clone(), context.clone()));
            self.place_embedded(&item, object, &placement, context);
        }
        if let (Some(placements), Some(origins)) =
            (self.placements.get_mut(item.object), self.origins.get_mut(item.object))
        {
            placements.push(placement);
            origins.push(context.entry);
        }
    }

    /// The policies in the values of a release land where the release does.
    fn place_embedded(
        &mut self,
        item: &Rendition<'t>,
        object: &'r Object<'t>,
        placement: &Placement<'t>,
        context: &Context,
    ) {
        let Some(policies) = self.embedded.get(&item.object) else { return };
        let Some(steering) = Steering::new(object, item, &context.variables) else { return };
        let (release, pointer) = match object.group() {
            helm::GROUP => (helm::release_name(&steering), "/spec/targetNamespace"),
            _ => (steering.text("/metadata/name").map(str::to_owned), "/spec/destination/namespace"),
        };
        let namespace = match steering.spanned(pointer) {
            Some(target) => known_or_not(&target.value, target.span, &Variables::literal()),
            None if object.group() == helm::GROUP => placement.namespace.clone(),
            None => Namespace::Unsaid,
        };
        let context = Context {
            namespace,
            applied: placement.applied,
            applied_by: Some(object.place()),
            variables: context.variables.clone(),
            entry: context.entry,
        };
        for (at, key) in policies {
            let Some(policy) = self.objects.get(*at) else { continue };
            let mut embedded = Rendition::as_written(*at, policy);
            embedded.opaque.extend(item.opaque.iter().chain(unevaluated(item).iter()));
            if embedded.name.is_none() {
                let parts = release.as_deref().into_iter().chain(key.as_deref());
                embedded.name = Some(parts.collect::<Vec<_>>().join("-").into());
            }
            self.place(embedded, &context);
        }
    }

    fn drain(&mut self) {
        while let Some((item, context)) = self.queue.pop_front() {
            if matches!(context.applied, Applied::No(_)) || !self.visited.insert(visit(&item, &context)) {
                continue;
            }
            for deployment in self.deployments(&item, &context) {
                self.deploy(deployment);
            }
            self.note_releases(&item, &context);
        }
    }

    fn deploy(&mut self, deployment: Deployment<'r, 't>) {
        self.reached.insert(deployment.folder);
        let assembly = self.assemble(&deployment);
        self.place_all(assembly.items.into_iter(), &deployment.context);
    }

    /// Builds the folder of a deployment and does to it what the deployment says.
    fn assemble(&mut self, deployment: &Deployment<'r, 't>) -> Assembly<'t> {
        let mut assembly = Assembly::default();
        let entry = deployment.context.applied_by.unwrap_or(Span::new(FileId(0), 0, 0));
        self.gather(deployment.folder, deployment.recurses, entry, &mut assembly);
        for component in &deployment.components {
            let path = super::files::join(deployment.folder, component);
            if let Some(folder) = self.files.known_folder(&path) {
                self.renderer.work_on(folder, entry, &mut assembly);
            }
        }
        self.renderer.transform(&deployment.layer, &mut assembly);
        assembly
    }

    /// A folder's kustomization; without one the files in it, and below it.
    fn gather(&mut self, folder: &'r str, recurses: bool, entry: Span, assembly: &mut Assembly<'t>) {
        let mut open = vec![folder];
        while let Some(path) = open.pop() {
            if let Some(node) = self.links.nodes.get(path) {
                self.reached.insert(node.folder);
                if path == folder || !node.kustomization.is_component {
                    self.renderer.include(Link { entry, to: Linked::Folder(node.folder) }, assembly);
                }
                continue;
            }
            let files: &'r Files = self.files;
            let Some(here) = files.folder(path) else { continue };
            for file in &here.files {
                self.renderer.include(Link { entry, to: Linked::File(*file) }, assembly);
            }
            if recurses {
                open.extend(here.folders.iter().rev().map(|folder| folder.as_ref()));
            }
        }
    }

    /// What an object that steers the tree deploys.
    fn deployments(&mut self, item: &Rendition<'t>, context: &Context) -> Vec<Deployment<'r, 't>> {
        let Some(object) = self.objects.get(item.object) else { return Vec::new() };
        if object.is(helm::GROUP, "HelmRelease") {
            return Vec::new();
        }
        let Some(mut steering) = Steering::new(object, item, &context.variables) else { return Vec::new() };
        if let (Some(name), Some(metadata)) =
            (&item.name, steering.json.get_mut("metadata").and_then(Json::as_object_mut))
        {
            metadata.insert("name".into(), Json::from(name.as_ref()));
        }
        match object.group() {
            flux::GROUP => self.deployment_by_flux(&steering, context).into_iter().collect(),
            _ => argo::applications(&steering, self.files)
                .iter()
                .flat_map(|application| self.deployments_by_argo(&steering, application, context))
                .collect(),
        }
    }

    fn deployment_by_flux(
        &mut self,
        steering: &Steering<'_, 't>,
        context: &Context,
    ) -> Option<Deployment<'r, 't>> {
        let object = steering.object;
        let near = self.files.path(file_of(object));
        let path = steering.text("/spec/path").unwrap_or(".");
        let source = steering.text("/spec/sourceRef/name").unwrap_or_default();
        let folder = self.folder(path, near, source, steering.place("/spec/path"))?;
        let components = steering.list("/spec/components").iter();
        Some(Deployment {
            folder,
            layer: flux::layer(steering),
            components: components.filter_map(|path| path.as_str().map(str::to_owned)).collect(),
            recurses: true,
            context: Context {
                variables: Arc::new(flux::variables(steering, self.config_maps, near)),
                namespace: Namespace::Unknown(UnknownNamespace::NotForFlux(object.place())),
                applied: Applied::Yes,
                applied_by: Some(object.place()),
                entry: context.entry,
            },
        })
    }

    fn deployments_by_argo(
        &mut self,
        steering: &Steering<'_, 't>,
        application: &Application,
        context: &Context,
    ) -> Vec<Deployment<'r, 't>> {
        let object = steering.object;
        let near = self.files.path(file_of(object));
        let namespace = match application.text("/destination/namespace") {
            Some(text) => {
                let place = steering.place(&format!("{}/destination/namespace", application.at));
                known_or_not(text, place, &Variables::unseen())
            }
            None => Namespace::Unsaid,
        };
        let mut deployments = Vec::new();
        for (pointer, source) in application.sources() {
            let at = format!("{}{pointer}", application.at);
            let text = |pointer| source.pointer(pointer).and_then(Json::as_str);
            let Some(path) = text("/path").filter(|path| !path.contains("{{")) else { continue };
            let place = steering.place(&format!("{at}/path"));
            let Some(folder) = self.folder(path, near, text("/repoURL").unwrap_or_default(), place) else {
                continue;
            };
            let components = source.pointer("/kustomize/components").and_then(Json::as_array);
            deployments.push(Deployment {
                folder,
                layer: argo::layer(source, &at, steering),
                components: components
                    .into_iter()
                    .flatten()
                    .filter_map(|path| path.as_str().map(str::to_owned))
                    .collect(),
                recurses: source.pointer("/directory/recurse").and_then(Json::as_bool) == Some(true)
                    || self.is_chart(folder),
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

    /// Whether a folder holds a Helm chart.
    fn is_chart(&self, folder: &str) -> bool {
        self.files.file(&super::files::join(folder, "Chart.yaml")).is_some()
    }

    fn folder(&mut self, path: &str, near: &str, source: &str, place: Span) -> Option<&'r str> {
        let files: &'r Files = self.files;
        let found = files.from_root(path, near);
        match found {
            Some(_) => {
                self.paths.found.insert(source.to_owned());
            }
            None if !path.contains("${") => {
                let fault = Fault { place, kind: FaultKind::MissingPath(path.into()) };
                self.paths.missing.push((source.to_owned(), fault));
            }
            None => {}
        }
        found
    }

    /// Remembers what a HelmRelease, or an Application with a chart, installs.
    fn note_releases(&mut self, item: &Rendition<'t>, context: &Context) {
        let Some(object) = self.objects.get(item.object) else { return };
        let Some(steering) = Steering::new(object, item, &context.variables) else { return };
        if object.is(helm::GROUP, "HelmRelease") {
            let Some(name) = helm::release_name(&steering).filter(|name| !name.contains("${")) else {
                return;
            };
            let namespace = match steering.text("/spec/targetNamespace") {
                Some(target) => known_or_not(target, object.place(), &Variables::unseen()),
                None => placement(item, object, context).namespace,
            };
            let chart = helm::chart_name(&steering);
            let pods = helm::likely_pods(&name, chart, steering.json.pointer("/spec/values"));
            self.releases.push(Release {
                name: name.into(),
                namespace: text_of(namespace),
                chart: chart.map(Box::from),
                pods,
                place: object.place(),
            });
        } else if object.group() == argo::GROUP {
            for application in argo::applications(&steering, self.files) {
                for (_, source) in application.sources() {
                    let text = |pointer| source.pointer(pointer).and_then(Json::as_str);
                    let Some(chart) = text("/chart") else { continue };
                    let name = text("/helm/releaseName").unwrap_or(&application.name);
                    let namespace = application.text("/destination/namespace");
                    let pods = helm::likely_pods(name, Some(chart), source.pointer("/helm/valuesObject"));
                    self.releases.push(Release {
                        name: name.into(),
                        namespace: namespace.filter(|text| !is_open(text)).map(Box::from),
                        chart: Some(chart.into()),
                        pods,
                        place: object.place(),
                    });
                }
            }
        }
    }
}

fn visit(item: &Rendition<'_>, context: &Context) -> (usize, EntryId, Option<String>, Option<String>) {
    let namespace = item.namespace.as_ref().map(|namespace| namespace.value.to_string());
    (item.object, context.entry, item.name.as_ref().map(|name| name.to_string()), namespace)
}

/// Whether a text still waits for a value.
fn is_open(text: &str) -> bool {
    text.contains("${") || text.contains("{{")
}

fn text_of(namespace: Namespace) -> Option<Box<str>> {
    match namespace {
        Namespace::Known { value, .. } => Some(value),
        Namespace::Unsaid => Some("default".into()),
        Namespace::Unknown(_) => None,
    }
}

fn known_or_not(text: &str, from: Span, variables: &Variables) -> Namespace {
    match substitute(text, variables) {
        Substituted::Known(text) if helm::is_template(&text) => {
            Namespace::Unknown(UnknownNamespace::Template(from))
        }
        Substituted::Known(text) => Namespace::Known { value: text.as_ref().into(), from },
        Substituted::Unknown => Namespace::Unknown(UnknownNamespace::Variable(from)),
    }
}

fn placement<'t>(item: &Rendition<'t>, object: &Object<'t>, context: &Context) -> Placement<'t> {
    let variables = match is_left_alone(object) {
        true => Arc::new(Variables::literal()),
        false => context.variables.clone(),
    };
    let namespace = match &item.namespace {
        Some(namespace) => known_or_not(&namespace.value, namespace.span, &variables),
        None if is_cluster_wide(object) => Namespace::Unsaid,
        None => context.namespace.clone(),
    };
    let name = item.name.as_deref().and_then(|name| substitute(name, &variables).known());
    Placement {
        namespace,
        name: name.filter(|name| !helm::is_template(name)).map(|name| name.as_ref().into()),
        applied: item.deleted.map_or(context.applied, |patch| Applied::No(NotApplied::Deleted(patch))),
        labels: item.labels.clone(),
        unevaluated: unevaluated(item).into_iter().collect(),
        variables,
        applied_by: context.applied_by,
        variant: None,
    }
}

/// Whether a namespace means nothing to the object.
fn is_cluster_wide(object: &Object<'_>) -> bool {
    is_known_to_be_cluster_wide(object)
        || object.is("cilium.io", "CiliumClusterwideNetworkPolicy")
        || object.is("cilium.io", "CiliumCIDRGroup")
}

/// Whether an annotation tells Flux to substitute nothing in it.
fn is_left_alone(object: &Object<'_>) -> bool {
    let annotation =
        object.value.path(&["metadata", "annotations", "kustomize.toolkit.fluxcd.io/substitute"]);
    annotation.and_then(|value| value.text()).as_deref() == Some("disabled")
}
