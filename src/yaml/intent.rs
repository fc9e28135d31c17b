//! What a set of changes intends: alterations keyed by the nodes of the tree as
//! it was read, so that several changes never shift each other's places. The
//! intended data and the new text are both derived from it, independently.

use std::collections::{BTreeMap, BTreeSet};

use super::datum::{DEEPEST, MOST_NODES, TooLarge};
use super::locate::Location;
use super::{Datum, Kind, NodeId, Tree, Value};

/// A new member of a collection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Member {
    Item(Datum),
    Entry(String, Datum),
}

/// What happens to the members of one collection. Indexes count the written
/// members; a new member stands before the one at its index.
#[derive(Debug, Default)]
pub(super) struct Alteration {
    pub(super) inserted: Vec<(usize, Member)>,
    pub(super) removed: BTreeSet<usize>,
}

/// One thing that a change does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Replace(NodeId, Datum),
    Rename(NodeId, String),
    Insert(NodeId, usize, Member),
    Remove(NodeId, usize),
    AppendDocument(Datum),
    RemoveDocument(usize),
}

/// All steps over one tree, by the node that they touch.
#[derive(Debug, Default)]
pub(super) struct Intent {
    pub(super) replaced: BTreeMap<NodeId, Datum>,
    pub(super) renamed: BTreeMap<NodeId, String>,
    pub(super) altered: BTreeMap<NodeId, Alteration>,
    pub(super) appended: Vec<Datum>,
    pub(super) removed: BTreeSet<usize>,
}

/// Two steps want different things of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict(pub(super) NodeId);

impl Intent {
    /// Collects steps; the same replacement, renaming or removal twice is one.
    pub(super) fn of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Result<Intent, Conflict> {
        let mut intent = Intent::default();
        for step in steps {
            match step {
                Step::Replace(node, datum) => put(&mut intent.replaced, *node, datum)?,
                Step::Rename(node, key) => put(&mut intent.renamed, *node, key)?,
                Step::Insert(node, index, member) => {
                    intent.altered.entry(*node).or_default().inserted.push((*index, member.clone()));
                }
                Step::Remove(node, index) => {
                    intent.altered.entry(*node).or_default().removed.insert(*index);
                }
                Step::AppendDocument(datum) => intent.appended.push(datum.clone()),
                Step::RemoveDocument(index) => {
                    intent.removed.insert(*index);
                }
            }
        }
        for alteration in intent.altered.values_mut() {
            alteration.inserted.sort_by_key(|(index, _)| *index);
        }
        match intent.altered.keys().find(|node| intent.replaced.contains_key(node)) {
            Some(node) => Err(Conflict(*node)),
            None => Ok(intent),
        }
    }

    /// A node that is touched though it goes away with what is around it.
    pub(super) fn lost(&self, tree: &Tree<'_>) -> Option<Conflict> {
        let touched = self.replaced.keys().chain(self.renamed.keys()).chain(self.altered.keys());
        touched.copied().find(|id| self.is_lost(tree.value(*id))).map(Conflict)
    }

    fn is_lost(&self, value: Value<'_>) -> bool {
        let Some(location) = Location::of(value) else { return true };
        let inner = location.ancestors.iter().skip(1).copied().chain([value]);
        self.removed.contains(&location.document)
            || location.ancestors.iter().zip(inner).any(|(outer, inner)| {
                self.replaced.contains_key(&outer.id())
                    || self.altered.get(&outer.id()).is_some_and(|alteration| {
                        let entries = outer.written_entries();
                        let member = entries.map(|entry| entry.key == inner || entry.value == inner);
                        let member = member.chain(outer.items().map(|item| item.value == inner));
                        member.enumerate().any(|(index, held)| held && alteration.removed.contains(&index))
                    })
            })
    }

    /// The data of a node once the steps are done.
    pub(super) fn datum(&self, value: Value<'_>) -> Result<Datum, TooLarge> {
        Expansion { intent: self, left: MOST_NODES }.datum(value, 0)
    }
}

fn put<T: Clone + PartialEq>(map: &mut BTreeMap<NodeId, T>, node: NodeId, value: &T) -> Result<(), Conflict> {
    match map.insert(node, value.clone()) {
        Some(before) if before != *value => Err(Conflict(node)),
        _ => Ok(()),
    }
}

/// Expands a node within a budget of nodes and levels.
struct Expansion<'i> {
    intent: &'i Intent,
    left: usize,
}

impl Expansion<'_> {
    fn datum(&mut self, value: Value<'_>, depth: usize) -> Result<Datum, TooLarge> {
        self.left = self.left.checked_sub(1).filter(|_| depth < DEEPEST).ok_or(TooLarge)?;
        if let Some(datum) = self.intent.replaced.get(&value.id()) {
            return Ok(datum.clone());
        }
        match value.kind() {
            Kind::Alias(Some(target)) => self.datum(value.tree().value(target), depth + 1),
            Kind::Mapping { .. } => self.mapping(value, depth),
            Kind::Sequence { .. } => self.sequence(value, depth),
            Kind::Empty | Kind::Scalar(_) | Kind::Alias(None) => Ok(match self.filled(value) {
                Some(datum) => datum,
                None => value.resolved().map_or(Datum::Null, Datum::from),
            }),
        }
    }

    /// What was put into a node that was null.
    fn filled(&self, value: Value<'_>) -> Option<Datum> {
        collection_of(&self.intent.altered.get(&value.id())?.inserted)
    }

    fn sequence(&mut self, value: Value<'_>, depth: usize) -> Result<Datum, TooLarge> {
        let alteration = self.intent.altered.get(&value.id());
        let mut items = Vec::with_capacity(value.items().len());
        for (index, item) in value.items().enumerate() {
            items.extend(alteration.into_iter().flat_map(|a| a.items_at(index)));
            if alteration.is_none_or(|a| !a.removed.contains(&index)) {
                items.push(self.datum(item.value, depth + 1)?);
            }
        }
        items.extend(alteration.into_iter().flat_map(|a| a.items_at(value.items().len())));
        Ok(Datum::Seq(items))
    }

    fn mapping(&mut self, value: Value<'_>, depth: usize) -> Result<Datum, TooLarge> {
        let alteration = self.intent.altered.get(&value.id());
        let mut entries: Vec<(String, Datum)> = Vec::with_capacity(value.written_entries().len());
        let mut sources = Vec::new();
        for (index, entry) in value.written_entries().enumerate() {
            entries.extend(alteration.into_iter().flat_map(|a| a.entries_at(index)));
            if alteration.is_some_and(|a| a.removed.contains(&index)) {
                continue;
            }
            if entry.key.is_merge_key() {
                sources.push(entry.value);
                continue;
            }
            let key = match self.intent.renamed.get(&entry.key.id()) {
                Some(key) => key.clone(),
                None => entry.key.text().map_or_else(|| entry.key.raw().to_owned(), |key| key.into_owned()),
            };
            entries.push((key, self.datum(entry.value, depth + 1)?));
        }
        entries.extend(alteration.into_iter().flat_map(|a| a.entries_at(value.written_entries().len())));
        let mut entries = last_wins(entries);
        let mut keys: BTreeSet<String> = match sources.is_empty() {
            true => BTreeSet::new(),
            false => entries.iter().map(|(key, _)| key.clone()).collect(),
        };
        for source in sources {
            let merged = match self.datum(source, depth + 1)? {
                Datum::Seq(items) => items,
                datum => vec![datum],
            };
            for (key, datum) in merged.into_iter().filter_map(into_entries).flatten() {
                if keys.insert(key.clone()) {
                    entries.push((key, datum));
                }
            }
        }
        Ok(Datum::Map(entries))
    }
}

impl Alteration {
    fn at(&self, index: usize) -> impl Iterator<Item = &Member> {
        self.inserted.iter().filter(move |(at, _)| *at == index).map(|(_, member)| member)
    }

    fn items_at(&self, index: usize) -> impl Iterator<Item = Datum> {
        self.at(index).filter_map(|member| match member {
            Member::Item(datum) => Some(datum.clone()),
            Member::Entry(..) => None,
        })
    }

    fn entries_at(&self, index: usize) -> impl Iterator<Item = (String, Datum)> {
        self.at(index).filter_map(|member| match member {
            Member::Entry(key, datum) => Some((key.clone(), datum.clone())),
            Member::Item(_) => None,
        })
    }
}

/// The collection that new members alone make; `None` when there are none.
pub(super) fn collection_of(inserted: &[(usize, Member)]) -> Option<Datum> {
    let mut items = Vec::new();
    let mut entries = Vec::new();
    for (_, member) in inserted {
        match member {
            Member::Item(datum) => items.push(datum.clone()),
            Member::Entry(key, datum) => entries.push((key.clone(), datum.clone())),
        }
    }
    match (items.is_empty(), entries.is_empty()) {
        (true, true) => None,
        (false, _) => Some(Datum::Seq(items)),
        (true, false) => Some(Datum::Map(entries)),
    }
}

fn into_entries(datum: Datum) -> Option<Vec<(String, Datum)>> {
    match datum {
        Datum::Map(entries) => Some(entries),
        _ => None,
    }
}

fn last_wins(entries: Vec<(String, Datum)>) -> Vec<(String, Datum)> {
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (key, _)) in entries.iter().enumerate() {
        last.insert(key.clone(), index);
    }
    if last.len() == entries.len() {
        return entries;
    }
    let kept = entries.into_iter().enumerate().filter(|(index, (key, _))| last.get(key) == Some(index));
    kept.map(|(_, entry)| entry).collect()
}
