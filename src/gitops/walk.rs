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
use super::files::{Files, join};
use super::flux;
use super::helm::{self, Release};
use super::links::{Link, Linked, Links};
use super::placement::{Context, placement};
use super::render::{Assembly, Renderer, Rendition, changed};
use super::roles::Roles;
use super::steering::Steering;
use super::variants::{Comparison, EntryId};
use super::{Applied, Namespace, Placement, Tree};
use crate::manifest::Object;
use crate::source::{FileId, Sources, Span};
use crate::yaml::Tree as Document;

/// How many placements there may be in all.
const MOST_PLACEMENTS: usize = 500_000;

/// Objects in the values of a release: the index of each and the key it stands under.
type EmbeddedIn = FxHashMap<usize, Vec<(usize, Option<String>)>>;

/// The walk: what it knows, what it has found, and what is still to do.
pub(super) struct Walk<'r, 't> {
    pub(super) files: &'r Files,
    pub(super) objects: &'r [Object<'t>],
    pub(super) links: &'r Links<'r, 't>,
    pub(super) roles: &'r Roles<'r>,
    pub(super) targets: Targets<'r>,
    pub(super) config_maps: &'r ConfigMaps<'t>,
    pub(super) embedded: &'r EmbeddedIn,
    pub(super) renderer: Renderer<'r, 't>,
    pub(super) placements: Vec<Vec<Placement<'t>>>,
    pub(super) origins: Vec<Vec<EntryId>>,
    pub(super) placed: usize,
    pub(super) entries: Vec<Box<str>>,
    /// What steers the tree and is still to be followed, with its own namespace.
    pub(super) queue: VecDeque<(Rendition<'t>, Context, Namespace)>,
    pub(super) visited: FxHashSet<(usize, EntryId, Option<String>, Option<String>)>,
    /// Folders that were deployed.
    pub(super) reached: FxHashSet<&'r str>,
    pub(super) releases: Vec<Release>,
}

pub(super) fn read<'t>(
    sources: &Sources,
    documents: impl IntoIterator<Item = &'t Document<'t>>,
    mut objects: Vec<Object<'t>>,
    root: &Path,
) -> Tree<'t> {
    let documents: FxHashMap<FileId, &'t Document<'t>> = documents.into_iter().map(|d| (d.file, d)).collect();
    let given = sources.iter().filter(|(id, _)| documents.contains_key(id));
    let files =
        Files::read(given, root, |id| documents.get(&id).is_some_and(|document| flux::is_of_flux(document)));
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
    let (variants, rivalries) = comparison.settle(&mut faults);
    faults.sort_by_key(|fault| fault.place);
    faults.dedup();
    releases.sort_by_key(|release| release.place);
    releases.dedup();
    Tree { objects, faults, releases, variants, rivalries, placements }
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
    pub(super) fn place_all(&mut self, items: impl Iterator<Item = Rendition<'t>>, context: &Context) {
        items.for_each(|item| self.place(item, context));
    }

    /// Says of one object what becomes of it, and remembers to follow it.
    pub(super) fn place(&mut self, item: Rendition<'t>, context: &Context) {
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
            // Nearly every object has one place.
            placements.reserve_exact(1);
            placements.push(placement);
            origins.reserve_exact(1);
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
    pub(super) fn drain(&mut self) {
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
    pub(super) fn deployments(
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

    pub(super) fn deploy(&mut self, deployment: Deployment<'r, 't>) {
        self.reached.insert(deployment.folder);
        let assembly = self.assemble(&deployment);
        self.place_all(assembly.items.into_iter(), &deployment.context);
    }

    /// Builds the folder of a deployment and does to it what the deployment says.
    pub(super) fn assemble(&mut self, deployment: &Deployment<'r, 't>) -> Assembly<'t> {
        let mut assembly = Assembly::default();
        let entry = deployment.place;
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

/// What tells two visits of one object apart.
pub(super) fn visit(
    item: &Rendition<'_>,
    context: &Context,
) -> (usize, EntryId, Option<String>, Option<String>) {
    let namespace = item.namespace.as_ref().map(|namespace| namespace.value.to_string());
    (item.object, context.entry, item.name.as_ref().map(|name| name.to_string()), namespace)
}
