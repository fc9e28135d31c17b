//! What the tree does to a manifest before the cluster sees it: kustomize, Flux,
//! Argo CD, Helm and `${VAR}` give it its namespace, change its name and labels,
//! or leave it out.
//!
//! Nothing is rendered to text: every object stays where it is written, and a
//! [`Placement`] says what becomes of it, once for each build that holds it. The
//! ground is `real-trees.md`.

mod argo;
mod config_maps;
mod deployment;
mod fault;
mod files;
mod flux;
mod helm;
mod json;
mod kinds;
mod kustomization;
mod links;
mod patch;
mod placement;
mod purpose;
mod render;
mod roles;
mod starts;
mod steering;
mod touched;
mod variables;
mod variants;
mod walk;

use std::path::Path;
use std::sync::Arc;

pub use fault::{Fault, FaultKind};
pub use files::KUSTOMIZATION;
pub use helm::{LikelyPods, Release, is_template};
pub use kustomization::{AddedLabel, LabelReach};
pub use purpose::{is_archived, is_mentioned, path_from};
pub use touched::Touched;
pub use variables::{Substituted, Variables, substitute};

use crate::manifest::Object;
use crate::source::{Sources, Span};
use crate::yaml::Tree as Document;

/// What becomes of one object in one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement<'t> {
    /// The namespace it lands in. Without meaning for cluster-wide kinds:
    /// kustomize sets it there too, and the cluster ignores it.
    pub namespace: Namespace,
    /// Its name in the cluster; `None` when it cannot be known.
    pub name: Option<Box<str>>,
    /// Whether it reaches the cluster.
    pub applied: Applied,
    /// Labels that the tree puts on it, in order: the last of a key counts.
    pub labels: Vec<AddedLabel<'t>>,
    /// Patches and transformers that change more than its metadata, and that
    /// are not evaluated: what is written is not all that the cluster gets.
    pub unevaluated: Vec<Span>,
    /// The parts of a policy that patches among them reach.
    pub touched: Touched,
    /// The variables that are substituted in it.
    pub variables: Arc<Variables>,
    /// The Flux Kustomization, Application or HelmRelease that applies it.
    pub applied_by: Option<Span>,
    /// Which of the [`Tree::variants`] it belongs to; `None` when to all.
    pub variant: Option<usize>,
    /// Which start of the walk leads here: what shares one is applied together.
    /// `None` for what lies there by itself.
    pub start: Option<usize>,
}

/// The namespace of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// It is this one.
    Known {
        /// Its name.
        value: Box<str>,
        /// The place that has the last word: `metadata.namespace`, the
        /// `namespace` of a kustomization, `targetNamespace` …
        from: Span,
    },
    /// Nothing names one: it lands in that of the client, normally `default`.
    Unsaid,
    /// It cannot be known.
    Unknown(UnknownNamespace),
}

impl Namespace {
    /// The namespace, with that of the client where nothing names one; `None`
    /// when it cannot be known.
    pub fn or<'n>(&'n self, client: &'n str) -> Option<&'n str> {
        match self {
            Namespace::Known { value, .. } => Some(value),
            Namespace::Unsaid => Some(client),
            Namespace::Unknown(_) => None,
        }
    }
}

/// Why a namespace cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownNamespace {
    /// It is written with a variable that the tree does not define.
    #[error("it is written with a variable that the tree does not define")]
    Variable(Span),
    /// It is written in a template, or stands in one and is that of the release.
    #[error("it is that of a template that is not rendered")]
    Template(Span),
    /// Flux applies it, and neither it, its kustomization nor a
    /// `targetNamespace` names one: Flux refuses such an object.
    #[error(
        "neither the manifest, its kustomization nor targetNamespace names one: Flux refuses such an object"
    )]
    NotForFlux(Span),
    /// It names none, and nothing in the tree says how it is applied.
    #[error("it names none, and nothing in the tree says how it is applied")]
    Unseen,
}

/// Whether an object reaches the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It does, as far as the tree says.
    Yes,
    /// It does not.
    No(NotApplied),
    /// The tree is deployed by Flux or Argo CD, and nothing in it says that
    /// this part is: it may be applied by hand, or not at all.
    Unknown,
}

/// Why an object does not reach the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// The kustomization of its folder, or of one above, does not list it.
    #[error("no kustomization lists it")]
    Unlisted(Span),
    /// The Flux Kustomization or Application that would apply it is not applied.
    #[error("what would apply it is not applied itself")]
    Unapplied(Span),
    /// It belongs to a component that nothing includes.
    #[error("it belongs to a component that nothing includes")]
    UnusedComponent(Span),
    /// It is no object but a patch for one.
    #[error("it is a patch")]
    Patch(Span),
    /// A patch takes it away.
    #[error("a patch deletes it")]
    Deleted(Span),
}

/// The whole tree: every object, and what becomes of it.
#[derive(Debug)]
pub struct Tree<'t> {
    /// Every object: those that were given, in their order, then those that
    /// stand in the values of releases.
    pub objects: Vec<Object<'t>>,
    /// What is wrong with the tree, in the order of files and places.
    pub faults: Vec<Fault>,
    /// What Helm installs.
    pub releases: Vec<Release>,
    /// The names of builds that cannot share a cluster, such as `staging` and
    /// `production` overlays of one base: each is a truth of its own. Empty
    /// when everything goes to one cluster.
    pub variants: Vec<Box<str>>,
    /// Which variants are rivals: those of one number.
    rivalries: Vec<usize>,
    placements: Vec<Vec<Placement<'t>>>,
}

impl<'t> Tree<'t> {
    /// Finds out what becomes of every object.
    ///
    /// `documents` are all files that were read as YAML, kustomizations and
    /// patches among them; `objects` are the objects in them, in order. `root`
    /// is the folder that Flux and Argo CD see as the root of the repository,
    /// written as the sources' paths are.
    pub fn read(
        sources: &Sources,
        documents: impl IntoIterator<Item = &'t Document<'t>>,
        objects: Vec<Object<'t>>,
        root: &Path,
    ) -> Self {
        walk::read(sources, documents, objects, root)
    }

    /// What becomes of an object, once for each build that holds it. Never
    /// empty for an index into [`Tree::objects`], unless the object is part of
    /// the machinery itself: a kustomization.
    pub fn placements(&self, object: usize) -> &[Placement<'t>] {
        self.placements.get(object).map_or(&[], Vec::as_slice)
    }
}

impl Tree<'_> {
    /// One variant of each set of rivals: the first that is wanted, else the
    /// first by name.
    pub fn choose(&self, wanted: &[impl AsRef<str>]) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        let named = wanted.iter().filter_map(|name| self.variants.iter().position(|v| **v == *name.as_ref()));
        for variant in named.chain(0..self.variants.len()) {
            if !chosen.iter().any(|own| self.are_rivals(*own, variant)) {
                chosen.push(variant);
            }
        }
        chosen.sort_unstable();
        chosen
    }

    /// Whether two variants cannot share a cluster, or are the same.
    pub fn are_rivals(&self, a: usize, b: usize) -> bool {
        self.rivalries.get(a) == self.rivalries.get(b)
    }
}

/// The policies that stand in the values of releases among these objects, in
/// the order in which [`Tree::objects`] holds them behind the others.
pub fn embedded<'t>(objects: &[Object<'t>]) -> Vec<Object<'t>> {
    objects.iter().flat_map(helm::embedded).map(|policy| policy.object).collect()
}
