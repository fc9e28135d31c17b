//! Where a node stands in its tree: what it is the value or the item of, under
//! which key, and how deep. Found from the root when asked, so that parsing
//! pays nothing for it.

use std::borrow::Cow;

use super::lines::{column, indent, line_start};
use super::{Kind, NodeId, Tree, Value};
use crate::source::Span;

/// What holds a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// It is the root of a document.
    Document,
    /// It is a key of the mapping.
    Key,
    /// It is the value of an entry that begins at `start`; `head` is one past
    /// the colon, or past the key where no colon stands.
    Entry { start: usize, head: usize, colon: bool },
    /// It is an item; `head` is one past the dash of a block sequence, or the
    /// item's first byte in a flow sequence.
    Item { head: usize },
}

/// The place of a node by name: habits are kept by slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot<'t> {
    /// The nearest key above; empty at the root.
    pub(super) key: Cow<'t, str>,
    /// Whether it is an item of the sequence under that key.
    pub(super) item: bool,
}

impl<'t> Slot<'t> {
    pub(super) const ROOT: Slot<'static> = Slot { key: Cow::Borrowed(""), item: false };

    /// The value under a key.
    pub(super) fn under(key: impl Into<Cow<'t, str>>) -> Self {
        Self { key: key.into(), item: false }
    }

    /// An item of the sequence in this slot.
    pub(super) fn items(&self) -> Slot<'t> {
        Slot { key: self.key.clone(), item: true }
    }
}

/// A node's place.
#[derive(Debug, Clone)]
pub(super) struct Location<'t> {
    /// The nodes around it, the root first; the last one holds it.
    pub(super) ancestors: Vec<Value<'t>>,
    pub(super) holder: Holder,
    pub(super) slot: Slot<'t>,
    /// Its document.
    pub(super) document: usize,
}

impl<'t> Location<'t> {
    /// Finds a node; `None` when it does not hang in any document, as in one
    /// that could not be read.
    pub(super) fn of(value: Value<'t>) -> Option<Self> {
        let start = value.full_span().start;
        let tree = value.tree();
        let document = tree.documents.partition_point(|document| document.start <= start).checked_sub(1)?;
        let root = tree.value(tree.documents.get(document)?.root?);
        let mut location =
            Location { ancestors: Vec::new(), holder: Holder::Document, slot: Slot::ROOT, document };
        (root == value || location.descend(root, value)).then_some(location)
    }

    fn descend(&mut self, within: Value<'t>, target: Value<'t>) -> bool {
        let span = target.full_span();
        let holds = |value: Value<'t>| {
            value == target || (value.full_span().start <= span.start && span.end <= value.full_span().end)
        };
        self.ancestors.push(within);
        let slot = self.slot.clone();
        match within.kind() {
            Kind::Mapping { .. } => {
                for entry in within.written_entries().filter(|entry| holds(entry.key) || holds(entry.value)) {
                    self.holder = Holder::Key;
                    if entry.key == target || self.descend(entry.key, target) {
                        return true;
                    }
                    self.holder = Holder::Entry {
                        start: entry.span.start as usize,
                        head: entry.colon.map_or(entry.span.end, |colon| colon + 1) as usize,
                        colon: entry.colon.is_some(),
                    };
                    self.slot = Slot::under(entry.key.text().unwrap_or_default());
                    if entry.value == target || self.descend(entry.value, target) {
                        return true;
                    }
                    self.slot = slot.clone();
                }
            }
            Kind::Sequence { flow } => {
                self.slot = slot.items();
                for item in within.items().filter(|item| holds(item.value)) {
                    self.holder = Holder::Item { head: item.span.start as usize + usize::from(!flow) };
                    if item.value == target || self.descend(item.value, target) {
                        return true;
                    }
                }
                self.slot = slot;
            }
            _ => {}
        }
        self.ancestors.pop();
        false
    }

    /// Whether it stands within braces or brackets.
    pub(super) fn in_flow(&self) -> bool {
        self.ancestors.last().is_some_and(|ancestor| ancestor.is_flow())
    }

    /// Whether it stands inside what a `<<` of its own document merges in.
    pub(super) fn is_merged(&self, value: Value<'t>) -> bool {
        let inner = self.ancestors.iter().skip(1).copied().chain([value]);
        self.ancestors.iter().zip(inner).any(|(outer, inner)| {
            outer.written_entries().any(|entry| entry.key.is_merge_key() && entry.value == inner)
        })
    }

    /// The column that the lines of a flow collection are indented against if
    /// it begins at `at`, in or in place of `value`: that of its line, or behind
    /// a dash that of the item, or that of its key.
    pub(super) fn base_column(&self, value: Value<'t>, at: usize) -> usize {
        let text = value.tree().text;
        let outermost = self.ancestors.iter().copied().find(|ancestor| ancestor.is_flow()).unwrap_or(value);
        let begins = outermost.full_span().start as usize;
        if line_start(text, begins) != line_start(text, at) {
            return indent(text, at);
        }
        let holder = match outermost == value {
            true => Some(self.holder),
            false => Location::of(outermost).map(|location| location.holder),
        };
        match holder {
            Some(Holder::Entry { start, .. }) => column(text, start),
            Some(Holder::Item { .. }) => column(text, begins),
            Some(Holder::Document | Holder::Key) | None => 0,
        }
    }

    /// How many nodes are around it.
    pub(super) fn depth(&self) -> usize {
        self.ancestors.len()
    }
}

impl<'t> Tree<'t> {
    fn aliases(&self) -> impl Iterator<Item = (Value<'_>, NodeId)> {
        let ids = (0..self.nodes.len() as u32).map(NodeId);
        ids.filter_map(|id| match self.value(id).kind() {
            Kind::Alias(Some(target)) => Some((self.value(id), target)),
            _ => None,
        })
    }

    /// A node within `gone` whose anchor an alias outside of it needs.
    pub(super) fn needed_anchor(&self, gone: Span) -> Option<Value<'_>> {
        let inside = |value: Value<'_>| {
            let span = value.full_span();
            gone.start <= span.start && span.end <= gone.end
        };
        let needed = self.aliases().find(|(alias, target)| !inside(*alias) && inside(self.value(*target)));
        needed.map(|(_, target)| self.value(target))
    }
}

impl<'t> Value<'t> {
    /// Whether it has an anchor that an alias repeats.
    pub fn is_repeated(self) -> bool {
        self.is_anchored() && self.tree().aliases().any(|(_, target)| target == self.id())
    }

    /// The nodes that hold this one, the root first: mappings, sequences, and
    /// for what stands in a complex key, that key. Empty for a root.
    pub fn ancestors(self) -> Vec<Value<'t>> {
        Location::of(self).map_or_else(Vec::new, |location| location.ancestors)
    }

    /// The node that holds this one.
    pub fn parent(self) -> Option<Value<'t>> {
        self.ancestors().pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    #[test]
    fn a_node_knows_its_slot_and_what_is_around_it() {
        let text = "a: 1\n---\nspec:\n  egress:\n  - {toPorts: [{port: }]}\n";
        let tree = parse(FileId(0), text);
        let root = tree.roots().nth(1).unwrap().1;
        let egress = root.path(&["spec", "egress"]).unwrap();
        let rule = egress.items().next().unwrap().value;
        let port = rule.get("toPorts").unwrap().items().next().unwrap().value.entry("port").unwrap().value;
        let location = Location::of(rule).unwrap();
        assert_eq!((location.document, location.depth(), location.in_flow()), (1, 3, false));
        assert_eq!(location.slot, Slot::under("egress").items());
        let location = Location::of(port).unwrap();
        assert_eq!((location.depth(), location.in_flow()), (6, true));
        assert_eq!(location.slot, Slot::under("port"));
        assert_eq!(port.ancestors()[2], egress);
        assert_eq!(root.parent(), None);
    }
}
