//! From the validator's JSON pointer back to a node of the tree and its span.

use crate::source::Span;
use crate::yaml::{Kind, Value};

/// A node, with the part of the file that names it.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    /// The node, an alias as an alias.
    pub(super) node: Value<'t>,
    /// The key under which it stands, or the item with its dash.
    named_by: Option<Span>,
}

impl<'t> Place<'t> {
    /// Follows a JSON pointer from an object's root.
    pub(super) fn find(root: Value<'t>, pointer: &str) -> Option<Self> {
        let mut place = Self { node: root, named_by: None };
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            place = if place.node.is_sequence() {
                let item = place.node.items().nth(step.parse().ok()?)?;
                Self { node: item.value, named_by: item.value.is_null().then_some(item.span) }
            } else {
                let entry = place.node.resolve().entry(&step)?;
                Self { node: entry.value, named_by: Some(entry.key.span()) }
            };
        }
        Some(place)
    }

    /// Whether the value, or a part of it, is put in later and so unknown.
    pub(super) fn is_substituted(self) -> bool {
        self.node.text().is_some_and(|text| text.contains("${"))
    }

    /// What to point at: what fits on a line itself, else the key that names
    /// it, else the first thing within it.
    pub(super) fn span(self) -> Span {
        let node = self.node;
        let is_block = matches!(
            node.kind(),
            Kind::Empty | Kind::Mapping { flow: false } | Kind::Sequence { flow: false }
        );
        if !is_block {
            return node.span();
        }
        let first_key = node.written_entries().next().map(|entry| entry.key.span());
        self.named_by.or(first_key).unwrap_or_else(|| node.span())
    }
}
