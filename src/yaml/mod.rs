//! The YAML room: text to a tree with the byte span of every node, and edits as
//! byte splices. It knows YAML and no word of Cilium or Kubernetes.
//!
//! A file is parsed once; the typed policies, the messages and the edits all
//! read the same [`Tree`]. Nothing is ever emitted anew but what is inserted.
//!
//! An edit is said in terms of the tree as it was read and of plain data: an
//! [`Editor`] makes [`Change`]s, all of one file together become a [`Patch`], and
//! [`Patch::checked_text`] gives the new text once both readers have found in it
//! what was meant. What cannot be done is a [`Refusal`].

mod block;
mod datum;
mod edit;
#[cfg(test)]
mod edit_cases;
mod flow;
mod fragment;
mod habits;
mod intent;
mod lifted;
mod lines;
mod locate;
mod parse;
mod patch;
mod quote;
pub mod scalar;
mod second_reader;
mod stream;
mod unfolded;
mod whole;

use std::borrow::Cow;

use rustc_hash::FxHashSet;

pub use datum::{Datum, TooLarge};
pub use edit::{Change, Editor, Refusal, Sharing};
pub use habits::Habits;
pub use patch::{EditError, Patch};
pub use second_reader::Mismatch;
pub use stream::new_file;

pub use parse::{SyntaxError, catches_panics, parse};
pub use scalar::{Resolved, Style};

use crate::source::{FileId, Span};

/// A node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is written where a value could stand: null.
    Empty,
    /// A scalar, in one of five styles.
    Scalar(Style),
    /// A mapping; `flow` when written with braces.
    Mapping {
        /// Written as `{ … }`.
        flow: bool,
    },
    /// A sequence; `flow` when written with brackets.
    Sequence {
        /// Written as `[ … ]`.
        flow: bool,
    },
    /// `*name`; the node it stands for, unless no anchor has that name.
    Alias(Option<NodeId>),
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Anchor and tag included.
    start: u32,
    /// Where the content begins.
    content: u32,
    end: u32,
    /// Entries or items: a range into the tree's own lists; for a block scalar
    /// the index of its header.
    first: u32,
    count: u32,
    anchored: bool,
    tagged: bool,
}

impl Node {
    fn is_flow(self) -> bool {
        matches!(self.kind, Kind::Mapping { flow: true } | Kind::Sequence { flow: true })
    }

    fn is_quoted(self) -> bool {
        matches!(self.kind, Kind::Scalar(Style::Single | Style::Double))
    }
}

/// One `key: value` of a mapping.
#[derive(Debug, Clone, Copy)]
struct EntryNode {
    start: u32,
    end: u32,
    key: NodeId,
    colon: Option<u32>,
    value: NodeId,
}

/// One item of a sequence; `start` is the dash of a block sequence.
#[derive(Debug, Clone, Copy)]
struct ItemNode {
    start: u32,
    node: NodeId,
}

/// One document of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// From its `---`, or its first content, to the start of the next document.
    pub start: u32,
    /// One past its last byte: the start of the next document or the end of the file.
    pub end: u32,
    /// The `---` before it.
    pub marker: Option<(u32, u32)>,
    /// Its root; `None` when it holds nothing but comments, or could not be read.
    pub root: Option<NodeId>,
    /// Whether it could not be read: an error says why.
    pub broken: bool,
}

/// A `#` comment, from the `#` to the end of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comment {
    /// The `#`.
    pub start: u32,
    /// One past its text.
    pub end: u32,
    /// Whether nothing but white space stands before it on its line.
    pub own_line: bool,
}

/// All documents of one file.
#[derive(Debug)]
pub struct Tree<'s> {
    /// The file it was read from.
    pub file: FileId,
    /// The text it was read from; every span points into it.
    pub text: &'s str,
    /// In order.
    pub documents: Vec<Document>,
    /// In order.
    pub comments: Vec<Comment>,
    /// What could not be read, in order. Documents without an error are complete.
    pub errors: Vec<SyntaxError>,
    nodes: Vec<Node>,
    entries: Vec<EntryNode>,
    items: Vec<ItemNode>,
    blocks: Vec<scalar::Block>,
}

impl Tree<'_> {
    /// The roots of the documents that hold something, in order, with the
    /// index of their document.
    pub fn roots(&self) -> impl Iterator<Item = (usize, Value<'_>)> {
        self.documents.iter().enumerate().filter_map(|(i, document)| Some((i, self.value(document.root?))))
    }

    /// A node by its id.
    pub fn value(&self, id: NodeId) -> Value<'_> {
        Value { tree: self, id }
    }

    /// A span in this file.
    pub fn span(&self, start: u32, end: u32) -> Span {
        Span::new(self.file, start, end)
    }
}

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
    fn node(self) -> Node {
        self.tree.nodes[self.id.0 as usize]
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
        match value.kind() {
            Kind::Scalar(style) => {
                Some(scalar::cook(value.raw(), style, value.block().map(|block| (block, value.tree.text))))
            }
            _ => None,
        }
    }

    fn block(self) -> Option<scalar::Block> {
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
        matches!(self.resolved(), Some(Resolved::Null))
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
        let value = self.resolve();
        let node = value.node();
        let range = match node.kind {
            Kind::Mapping { .. } => node.first as usize..(node.first + node.count) as usize,
            _ => 0..0,
        };
        let tree = value.tree;
        tree.entries[range].iter().map(move |entry| Entry {
            key: tree.value(entry.key),
            value: tree.value(entry.value),
            span: tree.span(entry.start, entry.end),
            colon: entry.colon,
            merged: false,
        })
    }

    /// The entries of a mapping as a reader of the data sees them: `<<` merged
    /// in behind the written ones, which win. A duplicate key appears twice;
    /// the last one counts.
    pub fn entries(self) -> impl Iterator<Item = Entry<'t>> {
        let merged = self.merged_entries();
        self.written_entries().filter(|entry| !entry.key.is_merge_key()).chain(merged)
    }

    pub(super) fn is_merge_key(self) -> bool {
        self.kind() == Kind::Scalar(Style::Plain) && self.raw() == "<<"
    }

    /// What `<<` brings in and no written entry overrides. One level of
    /// nesting is followed for every `<<` within a merge source, to a fixed depth.
    fn merged_entries(self) -> Vec<Entry<'t>> {
        let mut merged: Vec<Entry<'t>> = Vec::new();
        if self.written_entries().any(|entry| entry.key.is_merge_key()) {
            let mut known = self.written_entries().filter_map(|entry| entry.key.text()).collect();
            self.collect_merged(&mut merged, &mut known, 0);
        }
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
        let written =
            self.written_entries().rev().find(|entry| entry.key.text().is_some_and(|text| text == key));
        written.or_else(|| {
            self.merged_entries().into_iter().find(|entry| entry.key.text().is_some_and(|text| text == key))
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
    pub fn items(self) -> impl DoubleEndedIterator<Item = Item<'t>> + ExactSizeIterator {
        let value = self.resolve();
        let node = value.node();
        let range = match node.kind {
            Kind::Sequence { .. } => node.first as usize..(node.first + node.count) as usize,
            _ => 0..0,
        };
        let tree = value.tree;
        tree.items[range].iter().map(move |item| {
            let value = tree.value(item.node);
            Item { value, span: tree.span(item.start, value.full_span().end) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree<'_> {
        parse(FileId(0), text)
    }

    fn first<'t>(tree: &'t Tree<'t>) -> Value<'t> {
        tree.roots().next().unwrap().1
    }

    #[test]
    fn every_node_has_its_exact_span() {
        let text = "a: \"1\" # one\nb:\n- x\n- {c: 'd'}\n";
        let tree = tree(text);
        let root = first(&tree);
        assert_eq!(root.get("a").unwrap().raw(), "\"1\"");
        assert_eq!(root.get("a").unwrap().text().unwrap(), "1");
        let items: Vec<_> = root.get("b").unwrap().items().collect();
        assert_eq!(&text[items[0].span.range()], "- x");
        assert_eq!(items[1].value.get("c").unwrap().raw(), "'d'");
        assert_eq!(tree.comments.len(), 1);
        assert!(!tree.comments[0].own_line);
    }

    #[test]
    fn aliases_and_merge_keys_read_as_what_they_stand_for() {
        let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nsame: *b\n";
        let tree = tree(text);
        let root = first(&tree);
        let used = root.get("use").unwrap();
        assert_eq!(used.get("x").unwrap().raw(), "1");
        assert_eq!(used.get("y").unwrap().raw(), "3");
        let keys: Vec<_> = used.entries().map(|e| (e.key.text().unwrap(), e.merged)).collect();
        assert_eq!(keys, [("y".into(), false), ("x".into(), true)]);
        assert_eq!(root.path(&["same", "y"]).unwrap().raw(), "2");
    }

    #[test]
    fn a_duplicate_key_is_visible_and_the_last_one_counts() {
        let tree = tree("a: 1\na: 2\n");
        let root = first(&tree);
        assert_eq!(root.written_entries().count(), 2);
        assert_eq!(root.get("a").unwrap().raw(), "2");
    }

    #[test]
    fn empty_and_comment_only_documents_have_no_root() {
        let tree = tree("# only words\n---\n---\na: 1\n--- # more\n# words\n");
        assert!(tree.errors.is_empty());
        assert_eq!(tree.roots().count(), 1);
    }

    #[test]
    fn one_broken_document_does_not_hide_its_neighbours() {
        let tree = tree("a: 1\n---\nb: [1\n---\nc: 3\n");
        assert_eq!(tree.errors.len(), 1);
        let keys: Vec<_> = tree.roots().map(|(_, v)| v.written_entries().next().unwrap().key.raw()).collect();
        assert_eq!(keys, ["a", "c"]);
        assert_eq!(tree.documents.iter().filter(|d| d.broken).count(), 1);
    }

    #[test]
    fn an_alias_to_nothing_is_an_error_and_not_a_value() {
        let tree = tree("a: *.example.com\n");
        assert_eq!(tree.errors.len(), 1);
    }

    #[test]
    fn a_pair_that_would_lose_its_first_key_is_an_error() {
        let text = "a: &x 1\nb: [*x: c: d]\n";
        assert_eq!(tree(text).errors.len(), 1);
        let good = "[a: 1, {b: 2}, # c\n  ? c : 3, \"d\": 4]\n";
        assert!(tree(good).errors.is_empty());
    }

    #[test]
    fn a_closing_bracket_may_stand_in_the_column_of_its_key() {
        let text = "spec:\n  a: [\n    \"x\", # c\n  ]\n  b: {\n    \"k\": \"v\"\n\n  }\nc: d\n";
        let tree = tree(text);
        assert!(tree.errors.is_empty(), "{:?}", tree.errors);
        let spec = first(&tree).get("spec").unwrap();
        assert_eq!(spec.get("a").unwrap().raw(), "[\n    \"x\", # c\n  ]");
        assert_eq!(spec.get("b").unwrap().get("k").unwrap().raw(), "\"v\"");
        assert_eq!(&text[tree.comments[0].start as usize..tree.comments[0].end as usize], "# c");
        for stray in ["a: \"b\"\n]\n", "a: b\n]\n", "a:\n  - b\n ]\n"] {
            assert_eq!(self::tree(stray).errors.len(), 1, "{stray:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_stack_overflow() {
        for text in ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(20_000), "? ".repeat(20_000)] {
            assert_eq!(tree(&text).errors.len(), 1);
        }
        let mut staircase = String::new();
        for depth in 0..2_000 {
            staircase.push_str(&" ".repeat(depth));
            staircase.push_str("a:\n");
        }
        assert_eq!(tree(&staircase).errors.len(), 1);
    }
}
