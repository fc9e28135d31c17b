//! What all manifests of a run say together: the policies in force, who lives
//! in the cluster, and what policies refer to, as the cluster gets them from
//! the tree.

mod delivery;
mod inference;
mod rendered;

use std::path::PathBuf;

use delivery::Delivery;
pub use inference::Inference;
use rayon::prelude::*;
use rendered::{add_to_inventory, likely_workloads};

use crate::engine::{self, Engine, Resolver, ServiceFacts};
use crate::gitops;
use crate::inventory::{Inventory, Origin, Rendered};
use crate::manifest::{Object, objects};
use crate::policy::cidr_group::{self, CidrGroup};
use crate::policy::{Context, Policy, decode, is_policy};
use crate::source::{FileId, Sources, Span};
use crate::yaml::{Tree, parse};

/// Everything the manifests say.
#[derive(Debug)]
pub struct Model<'s> {
    /// Every policy object, in the order of files and documents; those that
    /// come from the cluster only are last.
    pub policies: Vec<Policy<'s>>,
    /// Who lives in the cluster.
    pub inventory: Inventory,
    /// The CIDR groups.
    pub groups: Vec<CidrGroup<'s>>,
    /// The first file that is not of the tree but `kubectl get` output.
    pub first_inventory: FileId,
    delivery: Delivery<'s>,
    /// The files that are `kubectl get` output.
    cluster: &'s [Tree<'s>],
    settings: Settings,
}

/// Reads all files into trees, in order.
pub fn parse_all(sources: &Sources) -> Vec<Tree<'_>> {
    let files: Vec<_> = sources.iter().collect();
    files.into_par_iter().map(|(id, source)| parse(id, &source.text)).collect()
}

fn all_objects<'s>(trees: &[&'s Tree<'s>]) -> Vec<Object<'s>> {
    let read: Vec<Vec<Object<'s>>> = trees.par_iter().map(|tree| objects(tree)).collect();
    read.into_iter().flatten().collect()
}

/// What the reading of manifests depends on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace of a policy that names none and gets none from the tree.
    pub default_namespace: String,
    /// Which of several overlays that cannot share a cluster is judged: the
    /// first that one of these names, else the first by name.
    pub variants: Vec<String>,
    /// The folder that Flux and Argo CD see as the root of the repository.
    pub root: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self { default_namespace: "default".to_owned(), variants: Vec::new(), root: PathBuf::new() }
    }
}

impl<'s> Model<'s> {
    /// Reads the trees of all sources. Files from `first_around` on were not
    /// asked for: what is in them counts where it bears on what was. Those from
    /// `first_inventory` on are `kubectl get` output: what the cluster says
    /// outranks what the tree suggests.
    pub fn read(
        sources: &Sources,
        trees: &'s [Tree<'s>],
        [first_around, first_inventory]: [FileId; 2],
        settings: &Settings,
    ) -> Self {
        let (own, cluster) = trees.split_at(trees.len().min(first_inventory.0 as usize));
        let own: Vec<&Tree<'s>> = own.iter().collect();
        let delivery = Delivery::read(sources, &own, first_around, settings);
        Self::of(delivery, cluster, first_inventory, settings)
    }

    fn of(
        delivery: Delivery<'s>,
        cluster: &'s [Tree<'s>],
        first_inventory: FileId,
        settings: &Settings,
    ) -> Self {
        let mut model = Self {
            policies: Vec::new(),
            inventory: Inventory::default(),
            groups: Vec::new(),
            first_inventory,
            delivery,
            cluster,
            settings: settings.clone(),
        };
        model.take_tree();
        let told: Vec<&Tree<'s>> = cluster.iter().collect();
        all_objects(&told).iter().for_each(|object| model.take_from_cluster(object));
        model
    }

    /// What the tree says of the other clusters that it is for, each by the name
    /// of the variant that is judged there in the place of its rival here.
    pub fn others(&self) -> Vec<(Box<str>, Self)> {
        let others = self.delivery.others();
        let model = |delivery| Self::of(delivery, self.cluster, self.first_inventory, &self.settings);
        others.map(|(name, delivery)| (name.into(), model(delivery))).collect()
    }

    fn take_tree(&mut self) {
        let tree = self.delivery.tree();
        let (delivery, settings) = (&self.delivery, &self.settings);
        let policies = tree
            .objects
            .par_iter()
            .enumerate()
            .filter(|(at, object)| is_policy(object).is_some() && delivery.counts(*at));
        let policies = policies.map(|(at, object)| delivery.policies(at, object, settings));
        let policies: Vec<Vec<Policy<'s>>> = policies.collect();
        self.policies.extend(policies.into_iter().flatten());
        for (at, object) in tree.objects.iter().enumerate().filter(|(at, _)| self.delivery.counts(*at)) {
            let placements = self.delivery.placements(at);
            let is_applied =
                |placement: &&&gitops::Placement<'s>| !matches!(placement.applied, gitops::Applied::No(_));
            if is_policy(object).is_some() {
                continue;
            }
            if let Some(group) = cidr_group::decode(object) {
                self.groups
                    .extend(placements.iter().any(|placement| is_applied(&placement)).then_some(group));
            } else {
                for placement in placements.iter().filter(is_applied) {
                    add_to_inventory(&mut self.inventory, object, placement, &self.settings);
                }
            }
        }
        for workload in self.delivery.releases().flat_map(likely_workloads) {
            self.inventory.add_workload(workload);
        }
    }

    fn take_from_cluster(&mut self, object: &Object<'s>) {
        if let Some(group) = cidr_group::decode(object) {
            self.groups.push(group);
        } else if is_policy(object).is_some() {
            let namespace = delivery::as_written(object, &self.settings);
            let policy = decode(object, Context { namespace, substitute: &|text| text });
            // What the cluster says of a policy that the tree holds is an older state of it.
            let is_known = |policy: &Policy<'_>| {
                self.policies.iter().any(|own| {
                    own.kind == policy.kind
                        && own.name.value == policy.name.value
                        && own.namespace.name() == policy.namespace.name()
                })
            };
            self.policies.extend(policy.filter(|policy| !is_known(policy)));
        } else {
            self.inventory.add(Origin::Cluster, object, &Rendered::as_written(object));
        }
    }

    /// Every object of the tree, those in the values of releases last.
    pub fn objects(&self) -> &[Object<'s>] {
        &self.delivery.tree().objects
    }

    /// Those of them that take part: they were asked for, or are applied
    /// together with something that was.
    /// With each goes its place in [`Self::objects`].
    pub fn counting_objects(&self) -> impl Iterator<Item = (usize, &Object<'s>)> {
        self.objects().iter().enumerate().filter(|(at, _)| self.delivery.counts(*at))
    }

    /// Whether a file was asked for, and does not only lie around those that were.
    pub fn is_asked_for(&self, file: FileId) -> bool {
        self.delivery.is_asked_for(file)
    }

    /// Whether what lies around says something of what was asked for.
    pub fn hangs_on_surroundings(&self) -> bool {
        self.delivery.hangs_on_surroundings()
    }

    /// What the tree does to its objects, with its faults.
    pub fn tree(&self) -> &gitops::Tree<'s> {
        self.delivery.tree()
    }

    /// The overlays that are judged, each with those that cannot share a cluster with it.
    pub fn variants(&self) -> Vec<(&str, Vec<&str>)> {
        self.delivery.variants()
    }

    /// Whether somebody named an overlay that is judged.
    pub fn variant_is_named(&self) -> bool {
        let variants = self.variants();
        self.settings.variants.iter().any(|wanted| variants.iter().any(|(name, _)| name == wanted))
    }

    /// What is wrong with the tree where that bears on policies that count.
    pub fn faults(&self) -> impl Iterator<Item = &gitops::Fault> {
        self.delivery.faults()
    }

    /// Policies that the tree changes in a way that is not evaluated, and the
    /// place that does.
    pub fn changed(&self) -> impl Iterator<Item = (&Policy<'s>, Span)> {
        self.policies.iter().filter_map(|policy| Some((policy, policy.changed_by?)))
    }

    /// The policies of a file as it would be with an edit: each is placed as the
    /// object of the same order in the file is now.
    pub fn policies_of<'t>(&self, tree: &'t Tree<'t>) -> Vec<Policy<'t>> {
        self.delivery.policies_of(tree, &self.settings)
    }

    /// All policies of the tree as they would be with the edited files among
    /// `trees`: edits of kustomizations are followed.
    pub fn policies_with<'t>(&self, sources: &Sources, trees: &[&'t Tree<'t>]) -> Vec<Policy<'t>> {
        let delivery = self.delivery.edited(sources, trees, &self.settings);
        let objects = delivery.tree().objects.iter().enumerate().filter(|(at, _)| delivery.counts(*at));
        objects.flat_map(|(at, object)| delivery.policies(at, object, &self.settings)).collect()
    }

    /// Whether a policy stands in a file of the tree, where it can be edited.
    pub fn is_editable(&self, policy: &Policy<'_>) -> bool {
        policy.value.tree().file < self.first_inventory
    }

    /// The engine over all policies.
    pub fn engine(&self, options: engine::Options) -> Engine {
        Engine::new(&self.policies, Resolver::new(&self.groups, self.services()), options)
    }

    /// What `toServices` can be resolved with.
    pub fn services(&self) -> Vec<ServiceFacts> {
        self.inventory
            .services()
            .map(|service| {
                let namespace = service.namespace.clone().unwrap_or_default();
                let backends = self.inventory.backends(&namespace, &service.name);
                ServiceFacts {
                    addresses: backends.flat_map(|backend| backend.addresses.iter().copied()).collect(),
                    name: service.name.clone(),
                    labels: service.labels.clone(),
                    selector: (!service.selector.is_empty()).then(|| service.selector.clone()),
                    namespace,
                }
            })
            .collect()
    }
}
