//! What becomes of each object on its way to the cluster: which of its
//! placements count in the overlay that is judged, and how they are read into
//! policies. An edited text is read the same way: its objects are matched with
//! those of the file by their order.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::Settings;
use crate::gitops::{
    self, AddedLabel, Applied, LabelReach, NotApplied, Placement, Release, is_template, substitute,
};
use crate::inventory::{self, Inventory, Pair, Rendered, Workload};
use crate::manifest::{Object, Text, objects};
use crate::policy::selector::{Operator, Origin, Requirement, Selector};
use crate::policy::{Context, Namespace, Peer, Policy, PolicyKind, Subject, decode, is_policy};
use crate::source::{FileId, Span, Spanned};
use crate::yaml::Tree;

/// What the whole tree does to its objects.
#[derive(Debug)]
pub(super) struct Delivery<'s> {
    tree: gitops::Tree<'s>,
    /// The variant that is judged: placements of others are for another cluster.
    variant: Option<usize>,
    /// The objects of each file, in order: those that stand by themselves, then
    /// those in the values of releases.
    by_file: FxHashMap<FileId, [Vec<usize>; 2]>,
    /// Namespaces that were inferred for objects whose own cannot be known.
    inferred: FxHashMap<usize, Box<str>>,
}

impl<'s> Delivery<'s> {
    /// `written` is how many of the tree's objects stand by themselves.
    pub(super) fn new(tree: gitops::Tree<'s>, written: usize, settings: &Settings) -> Self {
        let mut by_file: FxHashMap<FileId, [Vec<usize>; 2]> = FxHashMap::default();
        for (at, object) in tree.objects.iter().enumerate() {
            let file = by_file.entry(object.value.tree().file).or_default();
            file[usize::from(at >= written)].push(at);
        }
        let wanted = settings.variant.as_deref();
        let named = wanted.and_then(|wanted| tree.variants.iter().position(|name| **name == *wanted));
        let variant = named.or_else(|| (!tree.variants.is_empty()).then_some(0));
        Self { tree, variant, by_file, inferred: FxHashMap::default() }
    }

    /// What the tree says, faults and releases included.
    pub(super) fn tree(&self) -> &gitops::Tree<'s> {
        &self.tree
    }

    /// The name of the variant that is judged, where there are several.
    pub(super) fn variant(&self) -> Option<&str> {
        self.tree.variants.get(self.variant?).map(|name| &**name)
    }

    /// The placements of an object that count: those that reach the cluster;
    /// where none does, one that says why not.
    pub(super) fn placements(&self, at: usize) -> Vec<&Placement<'s>> {
        let here = |placement: &&Placement<'s>| {
            self.variant.is_none() || placement.variant.is_none() || placement.variant == self.variant
        };
        let all: Vec<_> = self.tree.placements(at).iter().filter(here).collect();
        let (reaching, left): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|placement| !matches!(placement.applied, Applied::No(_)));
        if reaching.is_empty() { left.into_iter().take(1).collect() } else { reaching }
    }

    /// Says which namespace an object whose own cannot be known is taken to have.
    pub(super) fn infer(&mut self, at: usize, namespace: &str) {
        self.inferred.insert(at, namespace.into());
    }

    /// The policies that an object of the tree becomes.
    pub(super) fn policies(&self, at: usize, object: &Object<'s>, settings: &Settings) -> Vec<Policy<'s>> {
        let placements = self.placements(at).into_iter();
        placements.filter_map(|placement| self.policy(object, Some((at, placement)), settings)).collect()
    }

    /// The policies of a file as it would be with an edit, in the order in
    /// which the model holds those of the file as it is.
    pub(super) fn policies_of<'t>(&self, tree: &'t Tree<'t>, settings: &Settings) -> Vec<Policy<'t>> {
        let written = objects(tree);
        let embedded = gitops::embedded(&written);
        let none = Default::default();
        let known = self.by_file.get(&tree.file).unwrap_or(&none);
        let mut policies = Vec::new();
        for (objects, known) in [written, embedded].iter().zip(known) {
            for (order, object) in objects.iter().enumerate() {
                match known.get(order).copied().or_else(|| self.neighbour(known)) {
                    Some(at) => {
                        let placements = self.placements(at).into_iter();
                        policies
                            .extend(placements.filter_map(|p| self.policy(object, Some((at, p)), settings)));
                    }
                    None => policies.extend(self.policy(object, None, settings)),
                }
            }
        }
        policies
    }

    /// An object that an edit has added fares like the last policy of its file.
    fn neighbour(&self, known: &[usize]) -> Option<usize> {
        let is_one =
            |at: &&usize| self.tree.objects.get(**at).is_some_and(|object| is_policy(object).is_some());
        known.iter().rev().find(is_one).copied()
    }

    fn policy<'t>(
        &self,
        object: &Object<'t>,
        placed: Option<(usize, &Placement<'_>)>,
        settings: &Settings,
    ) -> Option<Policy<'t>> {
        let kind = is_policy(object)?;
        let Some((at, placement)) = placed else {
            return decode(object, Context { namespace: as_written(object, settings), substitute: &|t| t });
        };
        if matches!(placement.applied, Applied::No(NotApplied::Patch(_))) {
            return None;
        }
        let replace = |text: Text<'t>| substitute(text.clone(), &placement.variables).known().unwrap_or(text);
        let namespace = self.namespace(object, kind, at, placement, settings);
        let mut policy = decode(object, Context { namespace, substitute: &replace })?;
        if let Some(name) = &placement.name {
            let is_renamed = self
                .tree
                .objects
                .get(at)
                .is_some_and(|written| written.name.as_ref().is_none_or(|own| *own.value != **name));
            if is_renamed {
                policy.name.value = Cow::Owned(name.to_string());
            }
        }
        if let Applied::No(why) = placement.applied {
            policy.not_applied = Some(Spanned::new(why.to_string(), place(why)));
        }
        for label in placement.labels.iter().filter(|label| label.reach == LabelReach::Selectors) {
            put_into_selectors(&mut policy, label);
        }
        Some(policy)
    }

    /// The namespace that an object ends up in. Its own text counts as long as
    /// nothing in the tree overrules it.
    fn namespace<'t>(
        &self,
        object: &Object<'t>,
        kind: PolicyKind,
        at: usize,
        placement: &Placement<'_>,
        settings: &Settings,
    ) -> Namespace<'t> {
        use gitops::{Namespace as Placed, UnknownNamespace as Why};
        if kind == PolicyKind::Ccnp {
            return Namespace::Clusterwide;
        }
        let written = self.tree.objects.get(at).and_then(|object| object.namespace.as_ref());
        let is_own = |from: &Span| written.is_some_and(|own| own.span == *from);
        let unknown = |why: Why| match self.inferred.get(&at) {
            Some(name) => Namespace::Known(Cow::Owned(name.to_string()), None),
            None => Namespace::Unknown(why.to_string()),
        };
        match (&placement.namespace, &object.namespace) {
            (Placed::Known { value, from }, _) if !is_own(from) => {
                Namespace::Known(Cow::Owned(value.to_string()), Some(*from))
            }
            (Placed::Unknown(why @ (Why::Variable(from) | Why::Template(from))), _) if !is_own(from) => {
                unknown(*why)
            }
            (_, Some(own)) => match substitute(own.value.clone(), &placement.variables).known() {
                Some(name) if is_template(&name) => unknown(Why::Template(own.span)),
                Some(name) => Namespace::Known(name, Some(own.span)),
                None => unknown(Why::Variable(own.span)),
            },
            (Placed::Unknown(why), None) => unknown(*why),
            (_, None) => as_written(object, settings),
        }
    }
}

/// The namespace by the object's own text (`semantics.md` 1.1).
pub(super) fn as_written<'t>(object: &Object<'t>, settings: &Settings) -> Namespace<'t> {
    match &object.namespace {
        _ if is_policy(object) == Some(PolicyKind::Ccnp) => Namespace::Clusterwide,
        Some(written) => Namespace::Known(written.value.clone(), Some(written.span)),
        None => Namespace::Known(Cow::Owned(settings.default_namespace.clone()), None),
    }
}

/// The place that keeps an object from the cluster.
fn place(why: NotApplied) -> Span {
    match why {
        NotApplied::Unlisted(place)
        | NotApplied::Unapplied(place)
        | NotApplied::UnusedComponent(place)
        | NotApplied::Patch(place)
        | NotApplied::Deleted(place) => place,
    }
}

/// Takes an object that is no policy into the inventory, as the cluster gets it.
pub(super) fn add_to_inventory(
    inventory: &mut Inventory,
    object: &Object<'_>,
    placement: &Placement<'_>,
    settings: &Settings,
) {
    let labels = |reaches: fn(LabelReach) -> bool| -> Vec<Pair> {
        let reaching = placement.labels.iter().filter(|label| reaches(label.reach));
        reaching.map(|label| (label.key.as_ref().into(), label.value.as_ref().into())).collect()
    };
    let written = object.name.as_ref().map_or("", |name| name.value.as_ref());
    let rendered = Rendered {
        namespace: placement.namespace.or(&settings.default_namespace).map(Cow::Borrowed),
        name: Cow::Borrowed(placement.name.as_deref().unwrap_or(written)),
        template_labels: labels(LabelReach::is_on_pods),
        selector_labels: labels(|reach| reach == LabelReach::Selectors),
        substitute: &|text| substitute(text, &placement.variables).known(),
    };
    inventory.add(inventory::Origin::Tree, object, &rendered);
}

/// The pods that a release likely makes.
pub(super) fn likely_workloads(release: &Release) -> impl Iterator<Item = Workload> {
    release.pods.iter().map(|pods| Workload {
        kind: "HelmRelease".into(),
        name: pods.name.clone(),
        namespace: release.namespace.clone(),
        pod_labels: pods.labels.clone(),
        unknown_labels: Vec::new(),
        service_account: pods.service_account.clone(),
        host_network: false,
        ports: Vec::new(),
        addresses: Vec::new(),
        origin: inventory::Origin::Likely,
        place: release.place,
    })
}

/// Kustomize puts labels into the selectors of a NetworkPolicy that have
/// `matchLabels` already.
fn put_into_selectors(policy: &mut Policy<'_>, label: &AddedLabel<'_>) {
    if policy.kind != PolicyKind::Knp {
        return;
    }
    for rule in &mut policy.rules {
        if let Subject::Endpoints(selector) = &mut rule.subject {
            let keys = ["podSelector", "matchLabels"];
            let has_labels = rule.value.path(&keys).is_some();
            put_into(selector, has_labels, label);
        }
        let elements = rule.sections.iter_mut().flat_map(|section| &mut section.elements);
        for item in elements.flat_map(|element| &mut element.peers).flat_map(|field| &mut field.items) {
            let has_labels = item.value.path(&["podSelector", "matchLabels"]).is_some();
            if let Peer::Endpoints(selector) = &mut item.peer {
                put_into(selector, has_labels, label);
            }
        }
    }
}

fn put_into(selector: &mut Selector<'_>, has_labels: bool, label: &AddedLabel<'_>) {
    if !has_labels {
        return;
    }
    selector.requirements.retain(|own| {
        !(own.source == "k8s" && own.key == label.key && matches!(own.origin, Origin::Label(_)))
    });
    selector.requirements.push(Requirement {
        source: Text::Borrowed("k8s"),
        key: Text::Owned(label.key.to_string()),
        operator: Operator::In,
        values: vec![Spanned::new(Text::Owned(label.value.to_string()), label.from)],
        origin: Origin::Added,
    });
}
