//! Where the walk through the tree starts, in order, and what it says of
//! everything that it has not reached.

use rustc_hash::{FxHashMap, FxHashSet};

use super::config_maps::file_of;
use super::deployment::{deploys, steers};
use super::files::{ancestors, join};
use super::kinds::is_cluster_wide;
use super::links::{Linked, Links, Node};
use super::placement::Context;
use super::render::{Assembly, Rendition};
use super::roles::Role;
use super::variants::BY_HAND;
use super::walk::{Walk, visit};
use super::{Applied, Namespace, NotApplied, Placement, Touched, UnknownNamespace};
use crate::manifest::Object;
use crate::source::Span;

impl<'r, 't> Walk<'r, 't> {
    /// Walks through the whole tree.
    pub(super) fn run(&mut self) {
        let roots = self.roots();
        let (deploying, others): (Vec<_>, Vec<_>) =
            roots.into_iter().partition(|root| self.deploys_more(root));
        for root in deploying {
            self.start_at(root, Applied::Yes);
        }
        self.start_at_plain_files();
        self.start_at_what_deploys_itself();
        let managed = !self.reached.is_empty();
        let by_hand = if managed { Applied::Unknown } else { Applied::Yes };
        for root in others {
            if !self.reached.contains(root.folder) {
                self.start_at(root, by_hand);
            }
        }
        self.cycles();
        self.follow_what_is_not_applied();
        self.unused_components();
        self.leftovers(by_hand);
    }

    /// Every kustomization, sorted by folder.
    fn nodes(&self) -> impl Iterator<Item = &'r Node<'r, 't>> + use<'r, 't> {
        let links: &'r Links<'r, 't> = self.links;
        links.folders.iter().filter_map(|folder| links.nodes.get(folder))
    }

    /// Kustomizations that nothing in the tree includes or deploys.
    fn roots(&self) -> Vec<&'r Node<'r, 't>> {
        let is_root = |node: &&Node<'_, '_>| {
            !node.kustomization.is_component
                && !self.roles.included.contains(node.folder)
                && !self.is_deployed(node.folder)
        };
        self.nodes().filter(is_root).collect()
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

    /// Whether it leads to folders beside its own.
    fn deploys_more(&mut self, root: &'r Node<'r, 't>) -> bool {
        let build = self.renderer.build(root.folder, root.kustomization.place);
        build.items.iter().any(|item| self.objects.get(item.object).is_some_and(deploys))
    }

    /// The context of what somebody applies from a folder.
    fn by_hand(&mut self, folder: &str, applied: Applied) -> Context {
        self.entries.push(folder.into());
        Context::by_hand(applied, self.entries.len() - 1)
    }

    fn start_at(&mut self, root: &'r Node<'r, 't>, applied: Applied) {
        let context = self.by_hand(root.folder, applied);
        let build = self.renderer.build(root.folder, root.kustomization.place);
        self.place_all(build.items.iter().cloned(), &context);
        self.drain();
    }

    /// Files that lie by themselves and deploy others.
    fn start_at_plain_files(&mut self) {
        let mut contexts: FxHashMap<&'r str, Context> = FxHashMap::default();
        for (at, object) in self.objects.iter().enumerate().filter(|(_, object)| deploys(object)) {
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
            let Some(object) = self.objects.get(at).filter(|object| deploys(object)) else { continue };
            if !self.is_unplaced(at) {
                continue;
            }
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
        for node in self.nodes() {
            let is_in_a_cycle = !node.kustomization.is_component
                && self.roles.included.contains(node.folder)
                && !self.is_deployed(node.folder)
                && !self.renderer.has_built(node.folder);
            if is_in_a_cycle {
                self.start_at(node, Applied::Unknown);
            }
        }
    }

    /// What is not applied would have applied something: that is not applied either.
    fn follow_what_is_not_applied(&mut self) {
        let is_idle = |at: &usize| {
            let is_not = |placement: &Placement<'_>| matches!(placement.applied, Applied::No(_));
            self.objects.get(*at).is_some_and(steers)
                && self.placements.get(*at).is_some_and(|placements| placements.iter().all(is_not))
        };
        let idle: Vec<usize> = (0..self.objects.len()).filter(is_idle).collect();
        for at in idle {
            let Some(object) = self.objects.get(at) else { continue };
            let folder = self.files.folder_of(file_of(object));
            let why = Applied::No(NotApplied::Unapplied(object.place()));
            let context = self.by_hand(folder, why);
            let item = Rendition::as_written(at, object);
            for mut deployment in self.deployments(&item, object, &context) {
                deployment.context.applied = why;
                let assembly = self.assemble(&deployment);
                let new: Vec<_> =
                    assembly.items.into_iter().filter(|item| self.is_unplaced(item.object)).collect();
                self.place_all(new.into_iter(), &deployment.context);
            }
        }
    }

    /// Components that nothing includes. What they are meant to patch is not there.
    fn unused_components(&mut self) {
        for node in self.nodes() {
            let folder = node.folder;
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

    fn is_unplaced(&self, at: usize) -> bool {
        self.placements.get(at).is_some_and(Vec::is_empty)
    }

    /// What nothing has reached: files that lie by themselves, templates of
    /// charts, and what nothing applies.
    fn leftovers(&mut self, by_hand: Applied) {
        let embedded: FxHashSet<usize> = self.embedded.values().flatten().map(|(at, _)| *at).collect();
        for (at, object) in self.objects.iter().enumerate() {
            if !self.is_unplaced(at) || object.group() == "kustomize.config.k8s.io" || embedded.contains(&at)
            {
                continue;
            }
            let file = file_of(object);
            let is_template = self.is_in_a_chart(self.files.folder_of(file));
            let applied = match self.roles.of(file, self.files, self.links) {
                // A chart is not listed file by file.
                Role::Plain | Role::Not(NotApplied::Unlisted(_)) if is_template => Applied::Unknown,
                Role::Plain => by_hand,
                Role::Not(why) => Applied::No(why),
                Role::Listed | Role::Covered => Applied::Unknown,
            };
            if let Applied::No(NotApplied::Unlisted(place)) = applied
                && self.place_like_a_neighbour(at, object, place)
            {
                continue;
            }
            let mut context = Context::by_hand(applied, BY_HAND);
            if is_template {
                context.namespace = Namespace::Unknown(UnknownNamespace::Template(object.place()));
            }
            self.place(Rendition::as_written(at, object), &context);
        }
        // What deploys folders was followed before; releases are met here.
        self.queue.retain(|(item, ..)| self.objects.get(item.object).is_some_and(|object| !deploys(object)));
        self.drain();
    }

    /// Says of what a kustomization does not list where it would land if it did:
    /// where that which it lists lands that names no namespace either. Whether
    /// there is such.
    fn place_like_a_neighbour(&mut self, at: usize, object: &'r Object<'t>, place: Span) -> bool {
        if object.namespace.is_some() || steers(object) {
            return false;
        }
        let Some(node) = self.links.nodes.get(self.files.folder_of(place.file)) else { return false };
        let listed = node.resources.iter().filter_map(|link| match link.to {
            Linked::File(file) => self.renderer.by_file.get(&file),
            Linked::Folder(_) => None,
        });
        let is_like = |other: &&usize| {
            let other = self.objects.get(**other);
            other.is_some_and(|other| other.namespace.is_none() && !is_cluster_wide(other))
        };
        let Some(neighbour) = listed.flatten().find(is_like) else { return false };
        let placed = self.placements.get(*neighbour).zip(self.origins.get(*neighbour));
        let (Some((placements, origins)), Some(own)) = (placed, self.placements.get(at)) else {
            return false;
        };
        let like: Vec<_> = placements
            .iter()
            .map(|placement| Placement {
                name: object.name.as_ref().map(|name| name.value.as_ref().into()),
                applied: Applied::No(NotApplied::Unlisted(place)),
                labels: Vec::new(),
                unevaluated: Vec::new(),
                touched: Touched::default(),
                start: None,
                ..placement.clone()
            })
            .collect();
        let (is_new, origins) = (own.is_empty() && !like.is_empty(), origins.clone());
        if let (Some(placements), Some(own)) = (self.placements.get_mut(at), self.origins.get_mut(at)) {
            placements.extend(like);
            own.extend(origins);
        }
        is_new
    }

    fn is_in_a_chart(&self, folder: &str) -> bool {
        ancestors(folder).any(|above| {
            above
                .strip_suffix("templates")
                .is_some_and(|chart| self.files.file(&join(chart, "Chart.yaml")).is_some())
        })
    }
}
