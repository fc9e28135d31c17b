//! `# policyfix: ignore[id] reason`: at the end of a line, on the line above, or
//! before the first line of a document, for all of it.

use super::context::Context;
use super::found::Found;
use super::registry::rule;
use super::run::Choice;
use crate::source::{FileId, Span};
use crate::spelling::nearest;
use crate::yaml::Tree;

/// One comment that silences findings.
#[derive(Debug)]
struct Ignore {
    ids: Vec<Span>,
    /// Bytes of the file in which findings are silenced.
    reach: std::ops::Range<u32>,
    file: FileId,
    used: Vec<bool>,
}

/// Every such comment in the reported files.
#[derive(Debug, Default)]
pub struct Ignores {
    list: Vec<Ignore>,
    unknown: Vec<Unused>,
    wanted: Vec<bool>,
}

/// An id in a comment that silences nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// The id in the comment.
    pub span: Span,
    /// Why it silences nothing.
    pub why: String,
}

const MARK: &str = "policyfix: ignore[";

impl Ignores {
    /// Reads the comments of all reported files.
    pub fn of(context: &Context<'_, '_>, choice: &Choice) -> Self {
        let mut ignores = Self::default();
        for tree in context.trees.iter().filter(|tree| context.is_reported(tree.file)) {
            if memchr::memmem::find(tree.text.as_bytes(), MARK.as_bytes()).is_some() {
                ignores.read(tree);
            }
        }
        let is_wanted = |id: &Span| rule(context.sources.text(*id)).is_some_and(|rule| choice.wants(rule));
        ignores.wanted = ignores.list.iter().flat_map(|ignore| &ignore.ids).map(is_wanted).collect();
        ignores
    }

    fn read(&mut self, tree: &Tree<'_>) {
        for comment in &tree.comments {
            let Some(text) = tree.text.get(comment.start as usize..comment.end as usize) else { continue };
            let Some(at) = text.find(MARK) else { continue };
            let first = at + MARK.len();
            let Some(length) = text.get(first..).and_then(|rest| rest.find(']')) else { continue };
            let ids = id_spans(tree, comment.start as usize + first, length);
            for id in &ids {
                let text = tree.text.get(id.range()).unwrap_or_default();
                if rule(text).is_none() {
                    let hint = nearest(text, super::RULES.iter().map(|rule| rule.id))
                        .map_or(String::new(), |near| format!("; did you mean {near}?"));
                    self.unknown.push(Unused { span: *id, why: format!("there is no rule {text:?}{hint}") });
                }
            }
            let reach = reach(tree, comment.start, comment.own_line);
            self.list.push(Ignore { used: vec![false; ids.len()], ids, reach, file: tree.file });
        }
    }

    /// Whether a comment silences this finding.
    pub fn silence(&mut self, context: &Context<'_, '_>, found: &Found) -> bool {
        let span = found.primary.span;
        let mut silenced = false;
        for ignore in self.list.iter_mut().filter(|i| i.file == span.file && i.reach.contains(&span.start)) {
            for (id, used) in ignore.ids.iter().zip(&mut ignore.used) {
                if context.sources.text(*id) == found.rule.id {
                    *used = true;
                    silenced = true;
                }
            }
        }
        silenced
    }

    /// What silences nothing: unknown ids, and known ones that no finding needed.
    pub fn unused(self) -> Vec<Unused> {
        let ids = self.list.iter().flat_map(|ignore| ignore.ids.iter().zip(&ignore.used));
        let idle = ids.zip(self.wanted).filter(|((_, used), wanted)| !**used && *wanted);
        let idle = idle.map(|((id, _), _)| Unused { span: *id, why: "nothing is to be ignored here".into() });
        let mut unused: Vec<Unused> = self.unknown.into_iter().chain(idle).collect();
        unused.sort_by_key(|unused| unused.span);
        unused
    }
}

fn id_spans(tree: &Tree<'_>, start: usize, length: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = start;
    for part in tree.text.get(start..start + length).unwrap_or_default().split(',') {
        let id = part.trim();
        let from = at + part.len() - part.trim_start().len();
        if !id.is_empty() {
            spans.push(tree.span(from as u32, (from + id.len()) as u32));
        }
        at += part.len() + 1;
    }
    spans
}

/// Its own line; the next line of content for a comment on a line of its own;
/// the whole document for one before its content.
fn reach(tree: &Tree<'_>, comment: u32, own_line: bool) -> std::ops::Range<u32> {
    let text = tree.text;
    let at = comment as usize;
    if !own_line {
        let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        return start as u32..line_end(text, at) as u32;
    }
    let document = tree.documents.iter().find(|d| (d.start..=d.end).contains(&comment));
    let is_head = |start: u32| comment < start;
    let head = tree
        .roots()
        .map(|(_, root)| root.full_span())
        .find(|root| is_head(root.start))
        .filter(|root| document.is_none_or(|d| root.start < d.end || d.root.is_none()))
        .filter(|root| {
            text.get(at..root.start as usize).is_some_and(|between| between.lines().all(is_blank_or_comment))
        });
    if let Some(root) = head {
        return root.start..root.end.max(root.start + 1);
    }
    let mut start = line_end(text, at);
    loop {
        let end = line_end(text, (start + 1).min(text.len()));
        let line = text.get(start..end).unwrap_or_default();
        if end >= text.len() || !is_blank_or_comment(line.trim_start_matches('\n')) {
            return start as u32..end as u32;
        }
        start = end;
    }
}

fn is_blank_or_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line == "---"
}

fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline)
}
