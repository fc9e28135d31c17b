//! Text to [`Tree`]. This file and `build.rs` are all that sees the parser.
//!
//! The parser is recursive and a stack overflow cannot be caught, so a cheap
//! guard refuses hostile nesting first. Where the parser takes what kubectl
//! refuses (control characters, tabs that indent blocks, an alias without anchor),
//! our own checks refuse it too. One broken document does not hide the others:
//! on an error the stream is cut at its `---` lines and read again piece by piece.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use oxc_yaml_parser::{Allocator, Parser};

use super::build::Build;
use super::datum::TooLarge;
use super::guard::{DEEPEST, check_characters, check_nesting, held, lone_tab};
use super::lifted::Lifted;
use super::{Comment, Document, Tree, unfolded};
use crate::source::{FileId, Span};

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
    let mut build = Build::new(tree, start as u32);
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
