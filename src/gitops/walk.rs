//! The walk through the tree: what is applied first, what that applies in turn,
//! and what is left over.
//!
//! It starts at kustomizations that no other includes and at files that lie by
//! themselves. Flux Kustomizations, Applications and HelmReleases that it meets
//! lead on. What is never reached is not applied, and the walk says why.

use std::collections::VecDeque;
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use super::config_maps::{ConfigMaps, file_of};
use super::deployment::{Deployment, Targets, steers};
use super::fault::{Fault, FaultKind};
use super::files::{Files, ancestors, join};
use super::helm::{self, Release};
use super::links::{Link, Linked, Links};
use super::placement::{Context, placement};
use super::render::{Assembly, Renderer, Rendition, changed};
use super::roles::{Role, Roles};
use super::steering::Steering;
use super::variants::{BY_HAND, Comparison, EntryId};
use super::{Applied, Namespace, NotApplied, Placement, Tree, UnknownNamespace};
use crate::manifest::Object;
use crate::source::{FileId, Sources, Span};
use crate::yaml::Tree as Document;

/// How many placements there may be in all.
const MOST_PLACEMENTS: usize = 500_000;

/// Objects in the values of a release: the index of each and the key it stands under.
type EmbeddedIn = FxHashMap<usize, Vec<(usize, Option<String>)>>;

struct Walk<'r, 't> {
    files: &'r Files,
    objects: &'r [Object<'t>],
    links: &'r Links<'r, 't>,
    roles: &'r Roles<'r>,
    targets: Targets<'r>,
    config_maps: &'r ConfigMaps<'t>,
    embedded: &'r EmbeddedIn,
    renderer: Renderer<'r, 't>,
    placements: Vec<Vec<Placement<'t>>>,
    origins: Vec<Vec<EntryId>>,
    placed: usize,
    entries: Vec<Box<str>>,
    /// What steers the tree and is still to be followed, with its own namespace.
    queue: VecDeque<(Rendition<'t>, Context, Namespace)>,
    visited: FxHashSet<(usize, EntryId, Option<String>, Option<String>)>,
    /// Folders that were deployed.
    reached: FxHashSet<&'r str>,
    releases: Vec<Release>,
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
    let (targets, folders) = Targets::read(&files, &objects);
    let roles = Roles::new(&links, folders);
    let mut walk = Walk {
        files: &files,
        objects: &objects,
        links: &links,
        roles: &roles,
        targets,
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
    };
    walk.run();
    let Walk { renderer, targets, mut placements, origins, entries, mut releases, .. } = walk;
    let mut faults = renderer.faults;
    faults.extend(targets.into_faults());
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
        for above in ancestors(folder) {
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
        Context::by_hand(applied, self.entries.len() - 1)
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
            let deployments = self.deployments(&item, object, &context);
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
            for deployment in self.deployments(&item, object, &context) {
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
            .filter(|item| self.is_unplaced(item))
            .filter(|item| self.objects.get(item.object).is_some_and(|object| !steers(object)))
            .collect();
        self.place_all(new.into_iter(), &deployment.context);
    }

    fn is_steering_and_unplaced(&self, at: usize) -> bool {
        self.objects.get(at).is_some_and(steers) && self.placements.get(at).is_some_and(Vec::is_empty)
    }

    /// Components that nothing includes. What they are meant to patch is not there.
    fn unused_components(&mut self) {
        for folder in self.links.folders.iter().copied() {
            let Some(node) = self.links.nodes.get(folder) else { continue };
            let is_used = self.roles.included.contains(folder) || self.reached.contains(folder);
            if !node.kustomization.is_component || is_used {
                continue;
            }
            let place = node.kustomization.place;
            let context = self.by_hand(folder, Applied::No(NotApplied::UnusedComponent(place)));
            let mut assembly = Assembly { is_partial: true, ..Assembly::default() };
            self.renderer.work_on(folder, place, &mut assembly);
            self.place_all(assembly.items.into_iter(), &context);
        }
    }

    fn is_unplaced(&self, item: &Rendition<'_>) -> bool {
        self.placements.get(item.object).is_some_and(Vec::is_empty)
    }

    /// What nothing has reached: files that lie by themselves, templates of
    /// charts, and what nothing applies.
    fn leftovers(&mut self, by_hand: Applied) {
        let embedded: FxHashSet<usize> = self.embedded.values().flatten().map(|(at, _)| *at).collect();
        for (at, object) in self.objects.iter().enumerate() {
            let is_placed = self.placements.get(at).is_none_or(|placed| !placed.is_empty());
            if is_placed || object.group() == "kustomize.config.k8s.io" || embedded.contains(&at) {
                continue;
            }
            let file = file_of(object);
            let is_template = self.is_in_a_chart(self.files.folder_of(file));
            let applied = match self.roles.of(file, self.files, self.links) {
                Role::Plain if is_template => Applied::Unknown,
                Role::Plain => by_hand,
                Role::Not(why) => Applied::No(why),
                Role::Listed | Role::Covered => Applied::Unknown,
            };
            let mut context = Context::by_hand(applied, BY_HAND);
            if is_template {
                context.namespace = Namespace::Unknown(UnknownNamespace::Template(object.place()));
            }
            self.place(Rendition::as_written(at, object), &context);
        }
        self.queue.clear();
    }

    fn is_in_a_chart(&self, folder: &str) -> bool {
        ancestors(folder).any(|above| {
            above
                .strip_suffix("templates")
                .is_some_and(|chart| self.files.file(&join(chart, "Chart.yaml")).is_some())
        })
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
            self.place_embedded(&item, object, &placement, context);
            if !matches!(placement.applied, Applied::No(_)) {
                self.queue.push_back((item.clone(), context.clone(), placement.namespace.clone()));
            }
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
        let release = helm::release_name(&steering);
        let context = Context {
            namespace: helm::release_namespace(&steering, &placement.namespace),
            applied: placement.applied,
            applied_by: Some(object.place()),
            ..context.clone()
        };
        let changes = changed(item, |change| change.touches("/spec/values"));
        for (at, key) in policies {
            let Some(policy) = self.objects.get(*at) else { continue };
            let mut embedded = Rendition::as_written(*at, policy);
            embedded.opaque.extend(&changes);
            if embedded.name.is_none() {
                let parts = release.as_deref().into_iter().chain(key.as_deref());
                embedded.name = Some(parts.collect::<Vec<_>>().join("-").into());
            }
            self.place(embedded, &context);
        }
    }

    /// Follows what was met until nothing new is.
    fn drain(&mut self) {
        while let Some((item, context, namespace)) = self.queue.pop_front() {
            let Some(object) = self.objects.get(item.object) else { continue };
            if !self.visited.insert(visit(&item, &context)) {
                continue;
            }
            let Some(steering) = Steering::new(object, &item, &context.variables) else { continue };
            for deployment in self.targets.deployments(&steering, &namespace, self.config_maps, &context) {
                self.deploy(deployment);
            }
            self.releases.extend(helm::releases(&steering, &namespace, self.files));
        }
    }

    /// What an object deploys that nothing was found to apply.
    fn deployments(
        &mut self,
        item: &Rendition<'t>,
        object: &'r Object<'t>,
        context: &Context,
    ) -> Vec<Deployment<'r, 't>> {
        let namespace = placement(item, object, context).namespace;
        let steering = Steering::new(object, item, &context.variables);
        let deployments = steering
            .map(|steering| self.targets.deployments(&steering, &namespace, self.config_maps, context));
        deployments.unwrap_or_default()
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
            let path = join(deployment.folder, component);
            if let Some(folder) = self.files.known_folder(&path) {
                self.reached.insert(folder);
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
}

fn visit(item: &Rendition<'_>, context: &Context) -> (usize, EntryId, Option<String>, Option<String>) {
    let namespace = item.namespace.as_ref().map(|namespace| namespace.value.to_string());
    (item.object, context.entry, item.name.as_ref().map(|name| name.to_string()), namespace)
}
