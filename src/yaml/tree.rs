//! What is read from a file: nodes with their places, in flat lists.

use super::scalar::{Block, Style};
use super::{Entry, SyntaxError, Value};
use crate::source::{FileId, Span};

/// A node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

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
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Anchor and tag included.
    pub(super) start: u32,
    /// Where the content begins.
    pub(super) content: u32,
    pub(super) end: u32,
    /// Entries or items: a range into the tree's own lists; for a block scalar
    /// the index of its header.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) anchored: bool,
    pub(super) tagged: bool,
    /// A scalar whose text stands there letter by letter, within its quotes if it has any.
    pub(super) verbatim: bool,
    /// A mapping with `<<` among its keys.
    pub(super) merges: bool,
}

impl Node {
    pub(super) fn is_flow(self) -> bool {
        matches!(self.kind, Kind::Mapping { flow: true } | Kind::Sequence { flow: true })
    }

    pub(super) fn is_quoted(self) -> bool {
        matches!(self.kind, Kind::Scalar(Style::Single | Style::Double))
    }
}

/// One `key: value` of a mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryNode {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) key: NodeId,
    pub(super) colon: Option<u32>,
    pub(super) value: NodeId,
}

/// One item of a sequence; `start` is the dash of a block sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemNode {
    pub(super) start: u32,
    pub(super) node: NodeId,
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
    pub(super) nodes: Vec<Node>,
    pub(super) entries: Vec<EntryNode>,
    pub(super) items: Vec<ItemNode>,
    pub(super) blocks: Vec<Block>,
}

impl Tree<'_> {
    /// The roots of the documents that hold something, in order, with the
    /// index of their document.
    pub fn roots(&self) -> impl Iterator<Item = (usize, Value<'_>)> {
        self.documents.iter().enumerate().filter_map(|(i, document)| Some((i, self.value(document.root?))))
    }

    /// A node by its id.
    pub fn value(&self, id: NodeId) -> Value<'_> {
        Value::new(self, id)
    }

    /// An entry of a mapping, as it is written.
    pub(super) fn entry(&self, node: &EntryNode) -> Entry<'_> {
        Entry {
            key: self.value(node.key),
            value: self.value(node.value),
            span: self.span(node.start, node.end),
            colon: node.colon,
            merged: false,
        }
    }

    /// A span in this file.
    pub fn span(&self, start: u32, end: u32) -> Span {
        Span::new(self.file, start, end)
    }
}
