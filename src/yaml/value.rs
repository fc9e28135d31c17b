//! The cursor with which everything reads YAML: a node in its tree, aliases
//! followed and `<<` merged in.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use super::scalar::{self, Resolved, Style};
use super::tree::{EntryNode, ItemNode, Node};
use super::{Kind, NodeId, Tree};
use crate::source::Span;

/// One `key: value` as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'t> {
    /// The key.
    pub key: Value<'t>,
    /// The value; of kind [`Kind::Empty`] where nothing is written.
    pub value: Value<'t>,
    /// From the key to the end of the value.
    pub span: Span,
    /// The byte of the colon, where there is one.
    pub colon: Option<u32>,
    /// Whether it came in through `<<`.
    pub merged: bool,
}

/// One item of a sequence as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Item<'t> {
    /// The item's node.
    pub value: Value<'t>,
    /// From the dash (block) or the value (flow) to the end of the value.
    pub span: Span,
}

/// A node in its tree: the cursor with which everything reads YAML.
#[derive(Debug, Clone, Copy)]
pub struct Value<'t> {
    tree: &'t Tree<'t>,
    id: NodeId,
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.id == other.id
    }
}

impl<'t> Value<'t> {
    pub(super) fn new(tree: &'t Tree<'t>, id: NodeId) -> Self {
        Self { tree, id }
    }

    fn node(self) -> &'t Node {
        &self.tree.nodes[self.id.0 as usize]
    }

    /// The tree it belongs to.
    pub fn tree(self) -> &'t Tree<'t> {
        self.tree
    }

    /// Its id in the tree.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// What it is, an alias as an alias.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// The content's place, without anchor and tag. Empty for an absent value.
    pub fn span(self) -> Span {
        let node = self.node();
        self.tree.span(node.content, node.end)
    }

    /// The place with anchor and tag.
    pub fn full_span(self) -> Span {
        let node = self.node();
        self.tree.span(node.start, node.end)
    }

    /// The text as it is written.
    pub fn raw(self) -> &'t str {
        &self.tree.text[self.span().range()]
    }

    /// Whether an anchor stands before it.
    pub fn is_anchored(self) -> bool {
        self.node().anchored
    }

    /// Whether a tag stands before it.
    pub fn is_tagged(self) -> bool {
        self.node().tagged
    }

    /// The node that counts: what an alias stands for, else itself.
    pub fn resolve(self) -> Value<'t> {
        match self.kind() {
            Kind::Alias(Some(id)) => self.tree.value(id),
            _ => self,
        }
    }

    /// The scalar's style; `None` for anything else.
    pub fn style(self) -> Option<Style> {
        match self.resolve().kind() {
            Kind::Scalar(style) => Some(style),
            _ => None,
        }
    }

    /// The text of a scalar with quotes, escapes and folds taken away, whatever
    /// type it resolves to; `None` when it is no scalar.
    pub fn text(self) -> Option<Cow<'t, str>> {
        let value = self.resolve();
        let Kind::Scalar(style) = value.kind() else { return None };
        Some(match value.verbatim() {
            Some(text) => Cow::Borrowed(text),
            None => scalar::cook(value.raw(), style, value.block().map(|block| (block, value.tree.text))),
        })
    }

    /// The text where it stands as it is, which it nearly always does.
    fn verbatim(self) -> Option<&'t str> {
        let node = self.node();
        let quote = u32::from(node.is_quoted());
        node.verbatim.then(|| &self.tree.text[(node.content + quote) as usize..(node.end - quote) as usize])
    }

    /// Whether it is a scalar with this text.
    pub fn says(self, text: &str) -> bool {
        let value = self.resolve();
        match value.verbatim() {
            Some(own) => own == text,
            None => value.text().is_some_and(|own| own == text),
        }
    }

    pub(super) fn block(self) -> Option<scalar::Block> {
        let node = self.node();
        match node.kind {
            Kind::Scalar(Style::Literal | Style::Folded) => Some(self.tree.blocks[node.first as usize]),
            _ => None,
        }
    }

    /// What the scalar means to kubectl: a plain `017` is 15, `on` is true.
    /// `None` for mappings, sequences and aliases to nothing.
    pub fn resolved(self) -> Option<Resolved<'t>> {
        let value = self.resolve();
        match value.kind() {
            Kind::Empty => Some(Resolved::Null),
            Kind::Scalar(Style::Plain) => value.text().map(scalar::resolve),
            Kind::Scalar(_) => value.text().map(Resolved::String),
            _ => None,
        }
    }

    /// Whether it is null, written or not.
    pub fn is_null(self) -> bool {
        const LONGEST: usize = "null".len();
        let value = self.resolve();
        match value.kind() {
            Kind::Empty => true,
            Kind::Scalar(Style::Plain) => {
                value.raw().len() <= LONGEST && value.resolved() == Some(Resolved::Null)
            }
            _ => false,
        }
    }

    /// Whether it is a mapping.
    pub fn is_mapping(self) -> bool {
        matches!(self.resolve().kind(), Kind::Mapping { .. })
    }

    /// Whether it is a sequence.
    pub fn is_sequence(self) -> bool {
        matches!(self.resolve().kind(), Kind::Sequence { .. })
    }

    /// Whether it is written with braces or brackets.
    pub fn is_flow(self) -> bool {
        matches!(self.resolve().kind(), Kind::Mapping { flow: true } | Kind::Sequence { flow: true })
    }

    /// The entries of a mapping exactly as they are written: duplicates and
    /// `<<` included, nothing merged in. Empty for anything else.
    pub fn written_entries(self) -> impl DoubleEndedIterator<Item = Entry<'t>> + ExactSizeIterator {
        let tree = self.tree;
        self.entry_nodes().map(move |node| tree.entry(node))
    }

    fn entry_nodes(self) -> std::slice::Iter<'t, EntryNode> {
        let value = self.resolve();
        let node = value.node();
        let range = match node.kind {
            Kind::Mapping { .. } => node.first as usize..(node.first + node.count) as usize,
            _ => 0..0,
        };
        value.tree.entries[range].iter()
    }

    /// The entries of a mapping as a reader of the data sees them: `<<` merged
    /// in behind the written ones, which win. A duplicate key appears twice;
    /// the last one counts.
    pub fn entries(self) -> Entries<'t> {
        let merges = self.merges();
        let merged = if merges { self.merged_entries() } else { Vec::new() };
        Entries { tree: self.tree, nodes: self.entry_nodes(), merges, merged: merged.into_iter() }
    }

    pub(super) fn is_merge_key(self) -> bool {
        self.kind() == Kind::Scalar(Style::Plain) && self.raw() == "<<"
    }

    fn merges(self) -> bool {
        self.resolve().node().merges
    }

    /// What `<<` brings in and no written entry overrides. One level of
    /// nesting is followed for every `<<` within a merge source, to a fixed depth.
    fn merged_entries(self) -> Vec<Entry<'t>> {
        let mut merged: Vec<Entry<'t>> = Vec::new();
        let mut known = self.written_entries().filter_map(|entry| entry.key.text()).collect();
        self.collect_merged(&mut merged, &mut known, 0);
        merged
    }

    fn collect_merged(self, merged: &mut Vec<Entry<'t>>, known: &mut FxHashSet<Cow<'t, str>>, depth: usize) {
        const DEEPEST: usize = 8;
        if depth == DEEPEST {
            return;
        }
        for merge in self.written_entries().filter(|entry| entry.key.is_merge_key()) {
            let source = merge.value.resolve();
            let sources: Vec<Value<'t>> = match source.kind() {
                Kind::Sequence { .. } => source.items().map(|item| item.value.resolve()).collect(),
                _ => vec![source],
            };
            for source in sources {
                for mut entry in source.written_entries().filter(|e| !e.key.is_merge_key()) {
                    if entry.key.text().is_none_or(|key| known.insert(key)) {
                        entry.merged = true;
                        merged.push(entry);
                    }
                }
                source.collect_merged(merged, known, depth + 1);
            }
        }
    }

    /// The entry with this key; the last one when it is written twice.
    pub fn entry(self, key: &str) -> Option<Entry<'t>> {
        let written = self.written_entries().rev().find(|entry| entry.key.says(key));
        written.or_else(|| {
            let merged = if self.merges() { self.merged_entries() } else { Vec::new() };
            merged.into_iter().find(|entry| entry.key.says(key))
        })
    }

    /// The value under this key, aliases followed.
    pub fn get(self, key: &str) -> Option<Value<'t>> {
        self.entry(key).map(|entry| entry.value.resolve())
    }

    /// The value at the end of a path of keys.
    pub fn path(self, keys: &[&str]) -> Option<Value<'t>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The items of a sequence; empty for anything else.
    pub fn items(self) -> Items<'t> {
        let value = self.resolve();
        let node = value.node();
        let range = match node.kind {
            Kind::Sequence { .. } => node.first as usize..(node.first + node.count) as usize,
            _ => 0..0,
        };
        Items { tree: value.tree, nodes: value.tree.items[range].iter() }
    }
}

/// The entries of a mapping, `<<` merged in.
#[derive(Debug, Clone)]
pub struct Entries<'t> {
    tree: &'t Tree<'t>,
    nodes: std::slice::Iter<'t, EntryNode>,
    /// Whether there is a `<<` to leave out.
    merges: bool,
    merged: std::vec::IntoIter<Entry<'t>>,
}

impl<'t> Iterator for Entries<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Entry<'t>> {
        let mut written = self.nodes.by_ref().map(|node| self.tree.entry(node));
        let written = written.find(|entry| !self.merges || !entry.key.is_merge_key());
        written.or_else(|| self.merged.next())
    }
}

/// The items of a sequence.
#[derive(Debug, Clone)]
pub struct Items<'t> {
    tree: &'t Tree<'t>,
    nodes: std::slice::Iter<'t, ItemNode>,
}

impl<'t> Items<'t> {
    fn item(&self, item: &ItemNode) -> Item<'t> {
        let value = self.tree.value(item.node);
        Item { value, span: self.tree.span(item.start, value.full_span().end) }
    }
}

impl<'t> Iterator for Items<'t> {
    type Item = Item<'t>;

    fn next(&mut self) -> Option<Item<'t>> {
        self.nodes.next().map(|item| self.item(item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.nodes.size_hint()
    }
}

impl DoubleEndedIterator for Items<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.nodes.next_back().map(|item| self.item(item))
    }
}

impl ExactSizeIterator for Items<'_> {}
