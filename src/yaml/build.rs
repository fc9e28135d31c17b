//! The parser's tree turned into ours.

use oxc_yaml_parser::Span as ParsedSpan;
use oxc_yaml_parser::ast::{Content, FlowSequenceEntry, MappingItem, Node as Parsed};
use rustc_hash::FxHashMap;

use super::scalar::{Block, Chomping, Style, is_verbatim};
use super::tree::{EntryNode, ItemNode, Node};
use super::{Kind, NodeId, SyntaxError, Tree};

/// Turns the parser's tree into ours.
pub(super) struct Build<'b, 's> {
    pub(super) tree: &'b mut Tree<'s>,
    /// Where the piece begins in the file.
    pub(super) shift: u32,
    pub(super) anchors: FxHashMap<String, NodeId>,
    /// The first thing that the parser took and YAML refuses.
    pub(super) refused: Option<SyntaxError>,
}

impl<'b, 's> Build<'b, 's> {
    pub(super) fn new(tree: &'b mut Tree<'s>, shift: u32) -> Self {
        Self { tree, shift, anchors: FxHashMap::default(), refused: None }
    }

    fn text(&self, span: ParsedSpan) -> &str {
        &self.tree.text[(span.start + self.shift) as usize..(span.end + self.shift) as usize]
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.tree.nodes.push(node);
        NodeId(self.tree.nodes.len() as u32 - 1)
    }

    /// A value that is not written, where it could stand.
    fn empty(&mut self, at: u32) -> NodeId {
        let at = at + self.shift;
        self.push(Node {
            kind: Kind::Empty,
            start: at,
            content: at,
            end: at,
            first: 0,
            count: 0,
            anchored: false,
            tagged: false,
            verbatim: false,
            merges: false,
        })
    }

    fn optional(&mut self, node: Option<&Parsed<'_>>, at: u32, indent: u32) -> NodeId {
        match node {
            Some(node) => self.node(node, indent),
            None => self.empty(at),
        }
    }

    /// `indent` is the column of the collection that holds the node, which an
    /// explicit indentation indicator of a block scalar counts from.
    pub(super) fn node(&mut self, parsed: &Parsed<'_>, indent: u32) -> NodeId {
        let content = parsed.content.span();
        let mut first = 0;
        let mut count = 0;
        let kind = match &parsed.content {
            Content::Plain(_) => Kind::Scalar(Style::Plain),
            Content::QuoteSingle(_) => Kind::Scalar(Style::Single),
            Content::QuoteDouble(_) => Kind::Scalar(Style::Double),
            Content::BlockLiteral(block) | Content::BlockFolded(block) => {
                first = self.tree.blocks.len() as u32;
                self.tree.blocks.push(Block {
                    content_start: block.content_start + self.shift,
                    end: block.span.end + self.shift,
                    indent: block.indent,
                    parent_indent: indent,
                    chomping: match block.chomping {
                        oxc_yaml_parser::ast::Chomping::Clip => Chomping::Clip,
                        oxc_yaml_parser::ast::Chomping::Keep => Chomping::Keep,
                        oxc_yaml_parser::ast::Chomping::Strip => Chomping::Strip,
                    },
                });
                Kind::Scalar(match parsed.content {
                    Content::BlockLiteral(_) => Style::Literal,
                    _ => Style::Folded,
                })
            }
            Content::Mapping(mapping) => {
                (first, count) = self.entries(&mapping.children, self.column(mapping.span.start));
                Kind::Mapping { flow: false }
            }
            Content::FlowMapping(mapping) => {
                (first, count) = self.entries(&mapping.children, indent);
                Kind::Mapping { flow: true }
            }
            Content::Sequence(sequence) => {
                let column = self.column(sequence.span.start);
                let items = sequence
                    .children
                    .iter()
                    .map(|item| {
                        let node = self.optional(item.content.as_deref(), item.span.start + 1, column);
                        ItemNode { start: item.span.start + self.shift, node }
                    })
                    .collect();
                (first, count) = self.items(items);
                Kind::Sequence { flow: false }
            }
            Content::FlowSequence(sequence) => {
                let mut behind = sequence.span.start + 1;
                let mut items = Vec::with_capacity(sequence.children.len());
                for entry in &sequence.children {
                    behind = self.check_pair(entry, behind);
                    items.push(self.flow_item(entry, indent));
                }
                (first, count) = self.items(items);
                Kind::Sequence { flow: true }
            }
            Content::Alias(alias) => {
                let name = self.text(alias.span).trim_start_matches('*');
                let target = self.anchors.get(name).copied();
                if target.is_none() && self.refused.is_none() {
                    let span = self.tree.span(alias.span.start + self.shift, alias.span.end + self.shift);
                    let message =
                        format!("*{name} stands for an anchor that is not there; quote it if it is text");
                    self.refused = Some(SyntaxError { message, span });
                }
                Kind::Alias(target)
            }
        };
        let end = match &parsed.content {
            // Trailing blank lines belong to the scalar's token, not to what a person sees as its place.
            Content::BlockLiteral(block) | Content::BlockFolded(block) => {
                block.content_end.max(block.content_start)
            }
            _ => content.end,
        };
        let id = self.push(Node {
            kind,
            start: parsed.span.start + self.shift,
            content: content.start + self.shift,
            end: end + self.shift,
            first,
            count,
            anchored: parsed.props.anchor.is_some(),
            tagged: parsed.props.tag.is_some(),
            verbatim: self.is_verbatim(kind, content),
            merges: self.merges(kind, first, count),
        });
        if let Some(anchor) = parsed.props.anchor {
            let name = self.text(anchor.span).trim_start_matches('&').to_owned();
            self.anchors.insert(name, id);
        }
        id
    }

    fn is_verbatim(&self, kind: Kind, content: ParsedSpan) -> bool {
        matches!(kind, Kind::Scalar(style) if is_verbatim(self.text(content), style))
    }

    fn merges(&self, kind: Kind, first: u32, count: u32) -> bool {
        let entries = self.tree.entries.get(first as usize..(first + count) as usize).unwrap_or_default();
        matches!(kind, Kind::Mapping { .. })
            && entries.iter().any(|entry| self.tree.value(entry.key).is_merge_key())
    }

    fn column(&self, at: u32) -> u32 {
        let at = (at + self.shift) as usize;
        let line = self.tree.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        (at - line) as u32
    }

    fn entries(&mut self, items: &[MappingItem<'_>], indent: u32) -> (u32, u32) {
        let entries: Vec<EntryNode> = items.iter().map(|item| self.entry(item, indent)).collect();
        let first = self.tree.entries.len() as u32;
        self.tree.entries.extend(&entries);
        (first, entries.len() as u32)
    }

    fn entry(&mut self, item: &MappingItem<'_>, indent: u32) -> EntryNode {
        let key = self.optional(item.key_content(), item.span.start, indent);
        let after = item.value.as_ref().map_or(item.span.end, |value| value.span.start + 1);
        let value = self.optional(item.value_content(), after, indent);
        EntryNode {
            start: item.span.start + self.shift,
            end: item.span.end + self.shift,
            key,
            colon: item.value.as_ref().map(|value| value.span.start + self.shift),
            value,
        }
    }

    fn items(&mut self, items: Vec<ItemNode>) -> (u32, u32) {
        let first = self.tree.items.len() as u32;
        self.tree.items.extend(&items);
        (first, items.len() as u32)
    }

    /// The parser takes `[a: b: c]`, which YAML does not allow, and loses the
    /// `a`. So nothing but a comma may stand before a pair; `behind` is where the
    /// item before it ends. Returns where this one does.
    fn check_pair(&mut self, entry: &FlowSequenceEntry<'_>, behind: u32) -> u32 {
        let pair = match entry {
            FlowSequenceEntry::Item(node) => return node.span.end,
            FlowSequenceEntry::Pair(pair) => pair.span,
        };
        let before = self.text(ParsedSpan { start: behind, end: pair.start.max(behind) });
        let blank = |line: &str| {
            line.split('#').next().is_none_or(|code| code.trim_matches([' ', ',', '\t', '\r']).is_empty())
        };
        if !before.split('\n').all(blank) && self.refused.is_none() {
            let span = self.tree.span(behind + self.shift, pair.end + self.shift);
            let message = "more than one key and value in one item of a list in brackets".to_owned();
            self.refused = Some(SyntaxError { message, span });
        }
        pair.end
    }

    fn flow_item(&mut self, entry: &FlowSequenceEntry<'_>, indent: u32) -> ItemNode {
        match entry {
            FlowSequenceEntry::Item(node) => {
                let id = self.node(node, indent);
                ItemNode { start: node.span.start + self.shift, node: id }
            }
            FlowSequenceEntry::Pair(pair) => {
                let (first, count) = self.entries(std::slice::from_ref(pair), indent);
                let (start, end) = (pair.span.start + self.shift, pair.span.end + self.shift);
                let kind = Kind::Mapping { flow: true };
                let node = self.push(Node {
                    kind,
                    start,
                    content: start,
                    end,
                    first,
                    count,
                    anchored: false,
                    tagged: false,
                    verbatim: false,
                    merges: self.merges(kind, first, count),
                });
                ItemNode { start, node }
            }
        }
    }
}
