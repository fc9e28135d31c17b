//! Text to [`Tree`]: the only file that sees the parser.
//!
//! The parser is recursive and a stack overflow cannot be caught, so a cheap
//! guard refuses hostile nesting first. Where the parser takes what kubectl
//! refuses (control characters, tabs that indent blocks, an alias without anchor),
//! our own checks refuse it too. One broken document does not hide the others:
//! on an error the stream is cut at its `---` lines and read again piece by piece.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use oxc_yaml_parser::ast::{Content, FlowSequenceEntry, MappingItem, Node as Parsed};
use oxc_yaml_parser::{Allocator, Parser, Span as ParsedSpan};
use rustc_hash::FxHashMap;

use super::datum::TooLarge;
use super::lifted::Lifted;
use super::scalar::{Block, Chomping, Style};
use super::{Comment, Document, EntryNode, ItemNode, Kind, Node, NodeId, Tree, unfolded};
use crate::source::{FileId, Span};

/// The deepest nesting that is read; kubectl's own objects stay below 20.
const DEEPEST: usize = 256;

/// Why a document could not be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in words that follow "cannot read this as YAML:".
    pub message: String,
    /// The place.
    pub span: Span,
}

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread would be caught here and told as an error of
/// the text. A program's panic hook can ask this and say nothing of it; the
/// library leaves the hook alone, which is the whole process's.
pub fn catches_panics() -> bool {
    CAUGHT.get()
}

/// The parser asserts what it believes about its own tokens; one that proves
/// wrong costs this piece, and the allocator is not looked at afterwards.
fn caught<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    CAUGHT.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(false);
    done
}

/// Reads every document of a file.
///
/// Never fails as a whole: what cannot be read is in `errors`, and the
/// documents around it are there.
pub fn parse(file: FileId, text: &str) -> Tree<'_> {
    let mut tree = Tree {
        file,
        text,
        documents: Vec::new(),
        comments: Vec::new(),
        errors: Vec::new(),
        nodes: Vec::new(),
        entries: Vec::new(),
        items: Vec::new(),
        blocks: Vec::new(),
    };
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    if let Err(error) = parse_piece(&mut tree, bom, text.len()) {
        let pieces = document_pieces(text, bom);
        if pieces.len() == 1 {
            tree.broken(bom, text.len(), error);
        } else {
            for (start, end) in pieces {
                if let Err(error) = parse_piece(&mut tree, start, end) {
                    tree.broken(start, end, error);
                }
            }
        }
    }
    close_documents(&mut tree);
    tree
}

impl Tree<'_> {
    fn broken(&mut self, start: usize, end: usize, error: SyntaxError) {
        let (start, end) = (start as u32, end as u32);
        self.documents.push(Document { start, end, marker: None, root: None, broken: true });
        self.errors.push(error);
    }
}

/// Each document reaches to the start of the next one.
fn close_documents(tree: &mut Tree<'_>) {
    let mut next = tree.text.len() as u32;
    for document in tree.documents.iter_mut().rev() {
        document.end = next;
        next = document.start;
    }
}

/// The ranges between lines that begin with `---`: by the YAML specification
/// such a line can stand nowhere but between documents.
fn document_pieces(text: &str, from: usize) -> Vec<(usize, usize)> {
    let mut starts = vec![from];
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && at > from {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).collect()
}

fn parse_piece(tree: &mut Tree<'_>, start: usize, end: usize) -> Result<(), SyntaxError> {
    let file = tree.file;
    let piece = &tree.text[start..end];
    let error = |message: String, at: usize, to: usize| SyntaxError {
        message,
        span: Span::new(file, (start + at) as u32, (start + to).min(end) as u32),
    };
    check_characters(piece).map_err(|(what, at)| error(what.into(), at, at + 1))?;
    check_nesting(piece)
        .map_err(|at| error(format!("nesting is deeper than {DEEPEST} levels"), at, at + 1))?;
    let mut lifted = Lifted::new(piece);
    loop {
        match read_piece(tree, start, &lifted) {
            Ok(()) => return Ok(()),
            Err(refused) if lifted.lift((refused.span.start as usize).saturating_sub(start)) => {}
            Err(refused) => return Err(refused),
        }
    }
}

/// Reads a piece whose brackets may have been lifted out of their column.
fn read_piece(tree: &mut Tree<'_>, start: usize, lifted: &Lifted<'_>) -> Result<(), SyntaxError> {
    let file = tree.file;
    let end = start + lifted.text().len();
    let error = |message: String, at: usize, to: usize| SyntaxError {
        message,
        span: Span::new(file, (start + at) as u32, (start + to).min(end) as u32),
    };
    let allocator = Allocator::default();
    let root = caught(|| Parser::new(&allocator, lifted.text()).parse())
        .map_err(|_| error("the YAML reader gave up on this; please report it".into(), 0, end - start))?
        .map_err(|e| error(e.kind.to_string(), e.span.start as usize, e.span.end as usize))?;
    let mark = (tree.nodes.len(), tree.entries.len(), tree.items.len(), tree.blocks.len());
    let mut build = Build { tree, shift: start as u32, anchors: FxHashMap::default(), refused: None };
    let mut documents = Vec::with_capacity(root.children.len());
    for document in &root.children {
        build.anchors.clear();
        let first = build.tree.nodes.len();
        let node = document.body.content.as_deref().map(|node| build.node(node, 0));
        if let Some(span) = unfolded::too_large(build.tree, first) {
            build.refused.get_or_insert_with(|| SyntaxError { message: TooLarge.to_string(), span });
        }
        let at = document.directives_end_marker.map_or(document.span.start, |m| {
            document.head.directives.first().map_or(m.start, |d| d.span.start)
        });
        documents.push(Document {
            start: at + build.shift,
            end: 0,
            marker: document.directives_end_marker.map(|m| (m.start + build.shift, m.end + build.shift)),
            root: node,
            broken: false,
        });
    }
    let refused = build.refused.or_else(|| {
        let closes = |at: usize| {
            tree.nodes[mark.0..].iter().any(|node| node.is_flow() && node.end as usize == start + at + 1)
        };
        let stray = lifted.closers().iter().find(|at| !closes(**at))?;
        Some(error("a closing bracket that closes nothing".into(), *stray, *stray + 1))
    });
    let refused = refused.or_else(|| {
        let lone = lone_tab(lifted.text(), || held(&tree.nodes[mark.0..], start))?;
        Some(error("a tab cannot indent a line; use spaces".into(), lone, lone + 1))
    });
    if let Some(refused) = refused {
        tree.nodes.truncate(mark.0);
        tree.entries.truncate(mark.1);
        tree.items.truncate(mark.2);
        tree.blocks.truncate(mark.3);
        return Err(refused);
    }
    let shift = start as u32;
    if let Some(first) = documents.first_mut() {
        first.start = shift;
    }
    tree.documents.extend(documents);
    tree.comments.extend(root.comments.iter().map(|comment| Comment {
        start: comment.span.start + shift,
        end: comment.span.end + shift,
        own_line: comment.own_line_column.is_some(),
    }));
    if !lifted.comments().is_empty() {
        tree.comments.extend(lifted.comments().iter().map(|comment| Comment {
            start: comment.start + shift,
            end: comment.end + shift,
            own_line: comment.own_line,
        }));
        tree.comments.sort_by_key(|comment| comment.start);
    }
    Ok(())
}

/// libyaml, and so kubectl, refuses control characters anywhere.
fn check_characters(text: &str) -> Result<(), (&'static str, usize)> {
    match text.bytes().position(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        Some(at) => Err(("a control character, which YAML does not allow", at)),
        None => Ok(()),
    }
}

/// The first tab that would indent a line of a block. libyaml refuses it, and
/// does not within brackets and quotes: JSON is often indented so.
fn lone_tab(text: &str, held: impl FnOnce() -> Vec<(usize, usize)>) -> Option<usize> {
    memchr::memchr(b'\t', text.as_bytes())?;
    let held = held();
    let is_held = |at: usize| {
        let after = held.partition_point(|(start, _)| *start < at);
        after.checked_sub(1).and_then(|last| held.get(last)).is_some_and(|(_, end)| at < *end)
    };
    let mut line_start = true;
    text.bytes().enumerate().find_map(|(at, byte)| {
        let tab = byte == b'\t' && line_start;
        line_start = matches!(byte, b'\n' | b'\r') || (line_start && matches!(byte, b' ' | b'\t'));
        (tab && !is_held(at)).then_some(at)
    })
}

/// The outermost ranges within brackets or quotes, in order, counted in the piece.
fn held(nodes: &[Node], start: usize) -> Vec<(usize, usize)> {
    let nodes = nodes.iter().filter(|node| node.is_flow() || node.is_quoted());
    let mut ranges: Vec<_> = nodes.map(|n| (n.content as usize - start, n.end as usize - start)).collect();
    ranges.sort_unstable();
    let mut outermost: Vec<(usize, usize)> = Vec::new();
    for range in ranges {
        if outermost.last().is_none_or(|last| range.0 >= last.1) {
            outermost.push(range);
        }
    }
    outermost
}

/// An upper bound on nesting, without parsing: block levels are indents that
/// grow and indicators that begin a line; flow levels are open brackets. Text
/// in quotes or comments can only raise it.
fn check_nesting(text: &str) -> Result<(), usize> {
    let mut indents: Vec<usize> = Vec::new();
    let mut open: usize = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        let blank = body.trim_end().is_empty() || body.starts_with('#');
        if !blank {
            while indents.last().is_some_and(|&last| last >= indent) {
                indents.pop();
            }
            indents.push(indent);
        }
        let mut leading = 0;
        let mut rest = body;
        while let Some(after) =
            rest.strip_prefix(['-', '?', ':']).filter(|after| after.starts_with([' ', '\n', '\r']))
        {
            leading += 1;
            rest = after.trim_start_matches(' ');
        }
        for byte in body.bytes() {
            match byte {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
            if indents.len() + leading + open > DEEPEST {
                return Err(at);
            }
        }
        at += line.len();
    }
    Ok(())
}

/// Turns the parser's tree into ours.
struct Build<'b, 's> {
    tree: &'b mut Tree<'s>,
    /// Where the piece begins in the file.
    shift: u32,
    anchors: FxHashMap<String, NodeId>,
    /// The first thing that the parser took and YAML refuses.
    refused: Option<SyntaxError>,
}

impl Build<'_, '_> {
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
    fn node(&mut self, parsed: &Parsed<'_>, indent: u32) -> NodeId {
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
        });
        if let Some(anchor) = parsed.props.anchor {
            let name = self.text(anchor.span).trim_start_matches('&').to_owned();
            self.anchors.insert(name, id);
        }
        id
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
                let node = self.push(Node {
                    kind: Kind::Mapping { flow: true },
                    start,
                    content: start,
                    end,
                    first,
                    count,
                    anchored: false,
                    tagged: false,
                });
                ItemNode { start, node }
            }
        }
    }
}
