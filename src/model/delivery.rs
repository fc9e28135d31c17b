//! What becomes of each object on its way to the cluster: which of its
//! placements count in the overlays that are judged, and how they are read into
//! policies. An edited text is read the same way: its objects are matched with
//! those of the file by their order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Settings;
use super::rendered::put_into_selectors;
use crate::gitops::{self, Applied, LabelReach, NotApplied, Placement, Release, is_template, substitute};
use crate::manifest::{Object, Text, objects};
use crate::policy::{self, Context, Namespace, Policy, PolicyKind, decode, is_policy};
use crate::source::{FileId, Sources, Span};
use crate::yaml::Tree;

/// What the whole tree does to its objects, seen from one of the clusters that
/// it is for.
#[derive(Debug, Clone)]
pub(super) struct Delivery<'s> {
    read: Arc<Read<'s>>,
    /// The variants that are judged: placements of others are for another cluster.
    chosen: Vec<usize>,
    /// The namespaces of objects for which nothing but flows speaks.
    inferred: BTreeMap<usize, String>,
}

/// What was read, whichever cluster is looked at.
#[derive(Debug)]
struct Read<'s> {
    tree: gitops::Tree<'s>,
    /// How many of the files were read.
    files: usize,
    /// The objects of each file, in order: those that stand by themselves, then
    /// those in the values of releases.
    by_file: FxHashMap<FileId, [Vec<usize>; 2]>,
    /// The first file that was not asked for.
    first_around: FileId,
    /// The starts that lead to what was asked for.
    starts: FxHashSet<usize>,
}

impl<'s> Delivery<'s> {
    /// Reads what the tree does to its objects. Files from `first_around` on
    /// count where they bear on the others, and only then.
    pub(super) fn read(
        sources: &Sources,
        documents: &[&'s Tree<'s>],
        first_around: FileId,
        settings: &Settings,
    ) -> Self {
        let whole = Self::new(sources, documents, first_around, settings);
        let own = documents.get(..first_around.0 as usize).filter(|own| own.len() < documents.len());
        match own {
            Some(own) if !whole.hangs_on_surroundings() => Self::new(sources, own, first_around, settings),
            _ => whole,
        }
    }

    /// The delivery of the same files with other texts, looked at in the same way.
    pub(super) fn edited<'t>(
        &self,
        sources: &Sources,
        documents: &[&'t Tree<'t>],
        settings: &Settings,
    ) -> Delivery<'t> {
        let documents = documents.get(..self.read.files).unwrap_or(documents);
        let mut edited = Delivery::new(sources, documents, self.read.first_around, settings);
        edited.chosen = edited.read.tree.choose(&self.chosen_names());
        // With another number of objects nobody knows which is which.
        if edited.tree().objects.len() == self.tree().objects.len() {
            edited.inferred = self.inferred.clone();
        }
        edited
    }

    fn new(sources: &Sources, documents: &[&'s Tree<'s>], first_around: FileId, settings: &Settings) -> Self {
        let objects = super::all_objects(documents);
        let written = objects.len();
        let tree = gitops::Tree::read(sources, documents.iter().copied(), objects, &settings.root);
        let mut by_file: FxHashMap<FileId, [Vec<usize>; 2]> = FxHashMap::default();
        let mut starts = FxHashSet::default();
        for (at, object) in tree.objects.iter().enumerate() {
            let file = object.value.tree().file;
            let [own, embedded] = by_file.entry(file).or_default();
            if at < written {
                own.push(at)
            } else {
                embedded.push(at)
            }
            let bears = |placement: &&Placement<'_>| {
                file < first_around || says(placement).any(|place| place.file < first_around)
            };
            starts.extend(tree.placements(at).iter().filter(bears).filter_map(|placement| placement.start));
        }
        let chosen = tree.choose(&settings.variants);
        let read = Read { tree, files: documents.len(), by_file, first_around, starts };
        Self { read: Arc::new(read), chosen, inferred: BTreeMap::new() }
    }

    /// Takes a namespace for that of an object for which nothing else speaks.
    pub(super) fn infer(&mut self, object: usize, namespace: String) {
        self.inferred.insert(object, namespace);
    }

    /// The names of the variants that are judged.
    fn chosen_names(&self) -> Vec<&str> {
        let names = self.chosen.iter().filter_map(|variant| self.tree().variants.get(*variant));
        names.map(|name| &**name).collect()
    }

    /// The names of the variants that are judged, each with its rivals' names.
    pub(super) fn variants(&self) -> Vec<(&str, Vec<&str>)> {
        let tree = self.tree();
        let name = |variant: usize| tree.variants.get(variant).map_or("", |name| &**name);
        let rivals = |own: usize| {
            let others = (0..tree.variants.len()).filter(move |other| *other != own);
            others.filter(|other| tree.are_rivals(own, *other)).map(name).collect()
        };
        self.chosen.iter().map(|own| (name(*own), rivals(*own))).collect()
    }

    /// What the tree does in the other clusters that it is for: one by one, each
    /// variant that is not judged in the place of its rival.
    pub(super) fn others(&self) -> impl Iterator<Item = (&str, Self)> {
        let tree = self.tree();
        let left = (0..tree.variants.len()).filter(|variant| !self.chosen.contains(variant));
        left.filter_map(move |variant| {
            let beside = self.chosen.iter().copied().filter(|own| !tree.are_rivals(*own, variant));
            let chosen = beside.chain([variant]).collect();
            Some((&**tree.variants.get(variant)?, Self { chosen, ..self.clone() }))
        })
    }

    /// Whether anything that was not asked for says something of what was: it
    /// is applied together with it, or gives it its namespace, or leaves it out.
    pub(super) fn hangs_on_surroundings(&self) -> bool {
        let is_around = |span: Span| !self.is_asked_for(span.file);
        (0..self.tree().objects.len()).any(|at| {
            let object_is_around = self.is_around(at);
            self.tree().placements(at).iter().any(|placement| match object_is_around {
                true => placement.start.is_some_and(|start| self.read.starts.contains(&start)),
                false => says(placement).any(is_around),
            })
        })
    }

    fn is_around(&self, at: usize) -> bool {
        self.tree().objects.get(at).is_some_and(|object| !self.is_asked_for(object.value.tree().file))
    }

    /// Whether a file was asked for.
    pub(super) fn is_asked_for(&self, file: FileId) -> bool {
        file < self.read.first_around
    }

    /// Whether an object takes part: it was asked for, or is applied together
    /// with something that was.
    pub(super) fn counts(&self, at: usize) -> bool {
        let shares = |placement: &Placement<'_>| {
            placement.start.is_some_and(|start| self.read.starts.contains(&start))
        };
        !self.is_around(at) || self.tree().placements(at).iter().any(shares)
    }

    /// The releases that take part.
    pub(super) fn releases(&self) -> impl Iterator<Item = &Release> {
        let places: FxHashSet<Span> = self
            .tree()
            .objects
            .iter()
            .enumerate()
            .filter(|(at, _)| self.counts(*at))
            .map(|(_, object)| object.place())
            .collect();
        self.tree().releases.iter().filter(move |release| places.contains(&release.place))
    }

    /// What is wrong with the tree where that bears on policies: two of one
    /// name, and kustomizations that hold policies, or might, and cannot be followed.
    pub(super) fn faults(&self) -> impl Iterator<Item = &gitops::Fault> {
        let objects = &self.tree().objects;
        let counting = objects.iter().enumerate().filter(|(at, _)| self.counts(*at));
        let files: FxHashSet<FileId> = counting.map(|(_, object)| object.value.tree().file).collect();
        let has_policies = objects.iter().any(|object| is_policy(object).is_some());
        self.tree().faults.iter().filter(move |fault| {
            let is_near = self.is_asked_for(fault.place.file) || files.contains(&fault.place.file);
            is_near && (has_policies || fault.hides_objects())
        })
    }

    /// What the tree says, faults and releases included.
    pub(super) fn tree(&self) -> &gitops::Tree<'s> {
        &self.read.tree
    }

    /// The placements of an object that count: those that reach the cluster;
    /// where none does, one that says why not.
    pub(super) fn placements(&self, at: usize) -> Vec<&Placement<'s>> {
        let here = |placement: &&Placement<'s>| {
            placement.variant.is_none_or(|variant| self.chosen.contains(&variant))
        };
        let all: Vec<_> = self.tree().placements(at).iter().filter(here).collect();
        let (reaching, left): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|placement| !matches!(placement.applied, Applied::No(_)));
        if reaching.is_empty() { left.into_iter().take(1).collect() } else { reaching }
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
        let known = self.read.by_file.get(&tree.file).unwrap_or(&none);
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
            |at: &&usize| self.tree().objects.get(**at).is_some_and(|object| is_policy(object).is_some());
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
                .tree()
                .objects
                .get(at)
                .is_some_and(|written| written.name.as_ref().is_none_or(|own| *own.value != **name));
            if is_renamed {
                policy.name.value = Cow::Owned(name.to_string());
            }
        }
        if let Applied::No(why) = placement.applied {
            policy.not_applied = Some(policy::NotApplied {
                why: why.to_string(),
                place: place(why),
                is_unlisted: matches!(why, NotApplied::Unlisted(_)),
            });
        }
        policy.changed_by = placement.unevaluated.first().copied();
        let gitops::Touched { subject, allow, deny } = placement.touched;
        policy.unsure = policy::Unsure { subject, allow, deny };
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
        let written = self.tree().objects.get(at).and_then(|object| object.namespace.as_ref());
        let is_own = |from: &Span| written.is_some_and(|own| own.span == *from);
        let inferred = self.inferred.get(&at).map(|name| Namespace::Inferred(Cow::Owned(name.clone())));
        let unknown = |why: Why| inferred.clone().unwrap_or_else(|| Namespace::Unknown(why.to_string()));
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

/// The places that say what becomes of an object.
fn says(placement: &Placement<'_>) -> impl Iterator<Item = Span> {
    let named = match placement.namespace {
        gitops::Namespace::Known { from, .. } => Some(from),
        _ => None,
    };
    let left_out = match placement.applied {
        Applied::No(why) => Some(place(why)),
        _ => None,
    };
    let labels = placement.labels.iter().map(|label| label.from);
    let changes = placement.unevaluated.iter().copied();
    named.into_iter().chain(left_out).chain(placement.applied_by).chain(labels).chain(changes)
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
