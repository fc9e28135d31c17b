//! From changes to bytes: the splices of one file, sorted, applied in one
//! forward pass, and believed only after both readers have read the result.

use std::cmp::Reverse;
use std::ops::Range;

use super::datum::TooLarge;
use super::intent::{Conflict, Intent};
use super::lines::{line_end, line_start};
use super::second_reader::{self, Mismatch};
use super::{Change, Habits, Refusal, Tree};
use crate::source::{Span, Splice};

/// Why changes could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A place cannot be edited.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Two changes want the same bytes.
    #[error("two changes touch the same place; make one of them at a time")]
    Overlap(Span),
    /// A change was made for another file.
    #[error("a change belongs to another file")]
    OtherFile,
    /// Aliases expand beyond reason.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The new text does not say what was intended: a defect of this program.
    #[error("the edited text does not read back as intended, so it is withheld; please report this: {0}")]
    Mismatch(#[from] Mismatch),
}

/// The edits of one file: sorted, none overlapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    edits: Vec<Splice>,
}

impl Patch {
    /// Turns changes into edits in the manner of the file. Insertions at the
    /// same place keep the order in which they are given.
    ///
    /// # Errors
    /// When changes touch the same bytes or belong to another file.
    pub fn new<'c>(
        tree: &Tree<'_>,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Result<Patch, EditError> {
        Self::of_intent(tree, &intent(tree, changes)?)
    }

    /// The edits, in the order of their places.
    pub fn edits(&self) -> &[Splice] {
        &self.edits
    }

    /// The edits alone, in the order of their places.
    pub fn into_edits(self) -> Vec<Splice> {
        self.edits
    }

    /// The text with the edits made. `text` is the text of the tree.
    pub fn apply(&self, text: &str) -> String {
        let added: usize = self.edits.iter().map(|edit| edit.text.len()).sum();
        let mut out = String::with_capacity(text.len() + added);
        let mut at = 0;
        for edit in &self.edits {
            out.push_str(text.get(at..edit.range.start).unwrap_or_default());
            out.push_str(&edit.text);
            at = edit.range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    /// The edits and the whole new text of a file, proved: both readers read in
    /// it exactly the data that the changes intend, and in untouched documents
    /// what was there before.
    ///
    /// # Errors
    /// When the changes cannot be made, or were made wrongly.
    pub fn checked<'c>(
        tree: &Tree<'_>,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Result<(Patch, String), EditError> {
        let intent = intent(tree, changes)?;
        let patch = Self::of_intent(tree, &intent)?;
        let text = patch.apply(tree.text);
        second_reader::verify(tree, &intent, &text)?;
        Ok((patch, text))
    }

    /// The whole new text of a file alone, as proved as [`Patch::checked`] is.
    ///
    /// # Errors
    /// When the changes cannot be made, or were made wrongly.
    pub fn checked_text<'c>(
        tree: &Tree<'_>,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Result<String, EditError> {
        Ok(Self::checked(tree, changes)?.1)
    }

    fn of_intent(tree: &Tree<'_>, intent: &Intent) -> Result<Patch, EditError> {
        let habits = Habits::of(tree);
        let mut splicer = Splicer { tree, habits: &habits, intent, splices: Vec::new() };
        splicer.run();
        let mut splices = splicer.settled();
        splices.sort_by_key(|splice| (splice.range.start, !splice.range.is_empty(), Reverse(splice.depth)));
        splices.dedup_by(|b, a| a == b && !a.range.is_empty());
        if let Some(pair) = splices.windows(2).find(|pair| pair[0].range.end > pair[1].range.start) {
            let Range { start, end } = pair[1].range;
            return Err(EditError::Overlap(tree.span(start as u32, end as u32)));
        }
        let end = tree.text.len();
        let at_open_end = splices.iter().any(|splice| splice.range.start == end && !splice.text.is_empty());
        if at_open_end && !tree.text.ends_with('\n') && tree.break_counts_before(end) {
            return Err(Refusal::OpenEnd(tree.span(end as u32, end as u32)).into());
        }
        let edits = splices.into_iter().map(|splice| Splice { range: splice.range, text: splice.text });
        Ok(Patch { edits: edits.filter(|edit| !edit.range.is_empty() || !edit.text.is_empty()).collect() })
    }
}

fn intent<'c>(tree: &Tree<'_>, changes: impl IntoIterator<Item = &'c Change>) -> Result<Intent, EditError> {
    let mut steps = Vec::new();
    for change in changes {
        if change.file != tree.file {
            return Err(EditError::OtherFile);
        }
        steps.push(&change.step);
    }
    let overlap = |conflict: Conflict| EditError::Overlap(tree.value(conflict.0).full_span());
    let intent = Intent::of(steps).map_err(overlap)?;
    let all_go = tree.roots().all(|(index, _)| intent.removed.contains(&index));
    if all_go && !intent.removed.is_empty() && intent.appended.is_empty() {
        return Err(Refusal::OnlyDocument(tree.span(0, tree.text.len() as u32)).into());
    }
    match intent.lost(tree) {
        Some(conflict) => Err(overlap(conflict)),
        None => Ok(intent),
    }
}

/// An edit before it is sorted. Of two insertions at one byte the deeper one
/// comes first: it continues what the other one follows.
#[derive(Debug, PartialEq)]
pub(super) struct Pending {
    range: Range<usize>,
    text: String,
    depth: usize,
}

/// Writes the splices of an intent.
pub(super) struct Splicer<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) habits: &'a Habits<'a>,
    pub(super) intent: &'a Intent,
    splices: Vec<Pending>,
}

impl Splicer<'_> {
    fn run(&mut self) {
        let intent = self.intent;
        for (id, key) in &intent.renamed {
            self.rename(self.tree.value(*id), key);
        }
        for (id, datum) in &intent.replaced {
            self.replace(self.tree.value(*id), datum);
        }
        for (id, alteration) in &intent.altered {
            let value = self.tree.value(*id);
            if value.is_flow() {
                self.alter_flow(value, alteration);
            } else {
                self.alter_block(value, alteration);
            }
        }
        self.documents();
    }

    /// Where what is left of the text ends once the deletions so far are done.
    pub(super) fn end_of_kept(&self) -> usize {
        let end = self.tree.text.len();
        let tails = self.splices.iter().filter(|splice| splice.text.is_empty() && splice.range.end == end);
        tails.map(|splice| splice.range.start).min().unwrap_or(end)
    }

    /// Lines that are to follow lines that go away follow what stood before those.
    fn settled(mut self) -> Vec<Pending> {
        let text = self.tree.text;
        let removed = self.splices.iter().filter(|splice| splice.text.is_empty());
        let mut removed: Vec<Range<usize>> = removed.map(|splice| splice.range.clone()).collect();
        removed.sort_by_key(|range| Reverse(range.start));
        for splice in self.splices.iter_mut().filter(|splice| splice.range.is_empty()) {
            for range in &removed {
                let at = splice.range.start;
                let at_last_line =
                    range.start < at && at < range.end && text[at..range.end].trim().is_empty();
                if at_last_line && range.start > 0 && range.start == line_start(text, range.start) {
                    let before = line_end(text, line_start(text, range.start - 1));
                    splice.range = before..before;
                }
            }
        }
        self.splices
    }

    pub(super) fn splice(&mut self, range: Range<usize>, text: String, depth: usize) {
        self.splices.push(Pending { range, text, depth });
    }

    pub(super) fn insert(&mut self, at: usize, text: String, depth: usize) {
        self.splice(at..at, text, depth);
    }

    pub(super) fn delete(&mut self, range: Range<usize>, depth: usize) {
        self.splice(range, String::new(), depth);
    }
}
