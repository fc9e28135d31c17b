//! Builds that cannot share a cluster, and objects that are declared twice.
//!
//! Two overlays of one base render the same Deployment into the same namespace:
//! they are for two clusters, and each is judged by itself. Everything that
//! does not collide is taken to live in one cluster.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::fault::{Fault, FaultKind};
use super::kinds::{is_cluster_wide, is_policy};
use super::{Applied, Placement};
use crate::manifest::Object;

/// Which start of the walk a placement comes from.
pub(super) type EntryId = usize;

/// The start of everything that is applied as it lies there.
pub(super) const BY_HAND: EntryId = 0;

/// What the walk found, ready to be compared.
pub(super) struct Comparison<'c, 't> {
    pub(super) objects: &'c [Object<'t>],
    /// The folder of each entry.
    pub(super) entries: &'c [Box<str>],
    pub(super) placements: &'c mut [Vec<Placement<'t>>],
    /// The entry of each placement.
    pub(super) origins: &'c [Vec<EntryId>],
}

type Key<'k> = (&'k str, &'k str, &'k str, &'k str);
type Place = (usize, EntryId);

impl Comparison<'_, '_> {
    /// Divides the entries into variants, tells each placement its own, and
    /// reports what is declared twice within one. Returns their names, and for
    /// each the number that rivals share.
    pub(super) fn settle(self, faults: &mut Vec<Fault>) -> (Vec<Box<str>>, Vec<usize>) {
        let pairs = self.rivals();
        let names: BTreeSet<&str> = pairs.iter().flatten().map(|name| &**name).collect();
        let variants: Vec<Box<str>> = names.into_iter().map(Box::from).collect();
        let rivalries = rivalries(&variants, &pairs);
        let of_entry: Vec<Option<usize>> = self
            .entries
            .iter()
            .map(|folder| variants.iter().position(|name| folder.split('/').any(|part| part == &**name)))
            .collect();
        for (placements, origins) in self.placements.iter_mut().zip(self.origins) {
            for (placement, entry) in placements.iter_mut().zip(origins) {
                placement.variant = of_entry.get(*entry).copied().flatten();
            }
        }
        self.report_duplicates(&of_entry, faults);
        (variants, rivalries)
    }

    /// The components of folder names in which colliding entries differ, two by two.
    fn rivals(&self) -> BTreeSet<[Box<str>; 2]> {
        // By name, and by the manifest: one base twice in a namespace is for
        // two clusters even where a suffix keeps the names apart.
        let mut holders: FxHashMap<(Key<'_>, Option<usize>), Vec<EntryId>> = FxHashMap::default();
        for (at, object) in self.objects.iter().enumerate().filter(|(_, object)| tells_clusters_apart(object))
        {
            let built = self.declared(at, object).filter(|(_, entry)| *entry != BY_HAND);
            for ((group, kind, namespace, name), entry) in built {
                for key in [((group, kind, namespace, name), None), ((group, kind, namespace, ""), Some(at))]
                {
                    let known = holders.entry(key).or_default();
                    if !known.contains(&entry) {
                        known.push(entry);
                    }
                }
            }
        }
        let mut pairs = BTreeSet::new();
        for entries in holders.values().filter(|entries| entries.len() > 1) {
            pairs.extend(entries.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))));
        }
        pairs.into_iter().filter_map(|(a, b)| self.differing(a, b)).collect()
    }

    /// The first component in which the folders of two entries differ.
    fn differing(&self, a: EntryId, b: EntryId) -> Option<[Box<str>; 2]> {
        let (a, b) = (self.entries.get(a)?, self.entries.get(b)?);
        let (a, b) = a.split('/').zip(b.split('/')).find(|(a, b)| a != b)?;
        Some([a.into(), b.into()])
    }

    /// The keys under which the cluster would know an object, one for each of
    /// its placements that is certainly applied.
    fn declared<'k>(&'k self, at: usize, object: &'k Object<'_>) -> impl Iterator<Item = (Key<'k>, EntryId)> {
        let placements = self.placements.get(at).into_iter().flatten();
        let origins = self.origins.get(at).into_iter().flatten();
        placements.zip(origins).filter_map(move |(placement, entry)| {
            if placement.applied != Applied::Yes {
                return None;
            }
            let namespace = match is_cluster_wide(object) {
                true => "",
                false => placement.namespace.or("default")?,
            };
            Some(((object.group(), object.kind.as_ref(), namespace, placement.name.as_deref()?), *entry))
        })
    }

    fn report_duplicates(&self, of_entry: &[Option<usize>], faults: &mut Vec<Fault>) {
        let mut declared: FxHashMap<(Key<'_>, Option<usize>), Vec<Place>> = FxHashMap::default();
        for (at, object) in self.objects.iter().enumerate().filter(|(_, object)| is_policy(object)) {
            for (key, entry) in self.declared(at, object) {
                let variant = of_entry.get(entry).copied().flatten();
                let places = declared.entry((key, variant)).or_default();
                places.reserve_exact(1);
                places.push((at, entry));
            }
        }
        let twice: BTreeMap<_, _> = declared.into_iter().filter(|(_, places)| places.len() > 1).collect();
        for (((_, kind, namespace, name), _), places) in twice {
            let slash = if namespace.is_empty() { "" } else { "/" };
            let object: Box<str> = format!("{kind} {namespace}{slash}{name}").into();
            let Some((first, _)) = places.first() else { continue };
            let place = |at: usize| self.objects.get(at).map(Object::place);
            let Some(first_place) = place(*first) else { continue };
            if places.iter().all(|(at, _)| at == first) {
                let times = places.len();
                faults.push(Fault {
                    place: first_place,
                    kind: FaultKind::RenderedSeveralTimes { object, times },
                });
                continue;
            }
            let others: BTreeSet<usize> = places.iter().map(|(at, _)| *at).filter(|at| at != first).collect();
            for place in others.into_iter().filter_map(place) {
                let kind = FaultKind::DuplicateObject { object: object.clone(), first: first_place };
                faults.push(Fault { place, kind });
            }
        }
    }
}

/// Numbers the variants so that those which collide, directly or through
/// others, have one number.
fn rivalries(variants: &[Box<str>], pairs: &BTreeSet<[Box<str>; 2]>) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..variants.len()).collect();
    let number = |numbers: &[usize], name| {
        let at = variants.iter().position(|own| own == name)?;
        numbers.get(at).copied()
    };
    for [a, b] in pairs {
        if let (Some(a), Some(b)) = (number(&numbers, a), number(&numbers, b)) {
            numbers.iter_mut().filter(|number| **number == b).for_each(|number| *number = a);
        }
    }
    numbers
}

/// The kinds that show whether two builds are for one cluster.
fn tells_clusters_apart(object: &Object<'_>) -> bool {
    matches!(
        (object.group(), object.kind.as_ref()),
        ("cilium.io", "CiliumNetworkPolicy")
            | ("networking.k8s.io", "NetworkPolicy")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet")
            | ("", "Service")
    )
}
