//! Members of block collections, inserted and removed as whole lines: dashes and
//! keys in the column of their siblings, comments staying with what they are about.

use std::ops::Range;

use super::fragment::Writer;
use super::habits::Place;
use super::intent::{Alteration, collection_of};
use super::lines::{column, is_blank, is_first_on_line, line_end, line_start, next_line};
use super::locate::Location;
use super::patch::Splicer;
use super::{Datum, Kind, Style, Tree, Value, scalar::Chomping};

impl Splicer<'_> {
    /// Inserts into and removes from a block collection, or fills a null.
    pub(super) fn alter_block(&mut self, value: Value<'_>, alteration: &Alteration) {
        let members = value.extents();
        let survives = |index: &usize| !alteration.removed.contains(index);
        let Some(first) = (0..members.len()).find(survives) else {
            return self.replace(value, &emptied(value, alteration));
        };
        let Some(location) = Location::of(value) else { return };
        let text = self.tree.text;
        let depth = location.depth() + 1;
        let at_dash = !is_first_on_line(text, members[0].start);
        let column = column(text, members[0].start);
        for run in removed_runs(alteration, members.len()) {
            let range = self.lines_of(&members, run, column);
            self.delete(range, depth);
        }
        let gap = if self.blank_between(&members) { self.habits.newline() } else { "" };
        for (index, member) in &alteration.inserted {
            let before = (0..*index).rev().find(survives);
            let at = match before {
                Some(before) => self.tree.closing(members[before].end, column),
                None if at_dash => members[0].start,
                None => self.tree.start_with_comments(members[first].start),
            };
            let place = Place::new(&location, value.span().range(), at);
            let writer = Writer { habits: self.habits, place: Some(&place) };
            let new = writer.block_member(&location.slot, member, column);
            let text = match before {
                // A blank line more would become part of a scalar that keeps its breaks.
                Some(before) if keeps_breaks(text, members[before].end) => writer.new_line(column) + &new,
                Some(_) => format!("{gap}{}{new}", writer.new_line(column)),
                None if at_dash => format!("{new}{gap}{}", writer.new_line(column)),
                None => format!("{:column$}{new}{}{gap}", "", self.habits.newline()),
            };
            self.insert(at, text, depth);
        }
    }

    /// The bytes of a run of members that go away while others stay.
    fn lines_of(&self, members: &[Range<usize>], run: Range<usize>, column: usize) -> Range<usize> {
        let text = self.tree.text;
        let start = members[run.start].start;
        let previous = run.start.checked_sub(1).and_then(|index| members.get(index));
        let mut end = next_line(text, self.tree.closing(members[run.end - 1].end, column));
        if previous.is_none_or(|previous| keeps_breaks(text, previous.end)) {
            while end < text.len() && is_blank(text, end) {
                end = next_line(text, end);
            }
        }
        if !is_first_on_line(text, start) {
            let spaces = text[end..].len() - text[end..].trim_start_matches(' ').len();
            return start..end + spaces;
        }
        let mut start = self.tree.start_with_comments(start);
        if let Some(previous) = previous {
            while start > previous.end && is_blank(text, line_start(text, start - 1)) {
                start = line_start(text, start - 1);
            }
        }
        self.tree.to_open_end(start..end)
    }

    /// Whether all members are set apart by blank lines.
    fn blank_between(&self, members: &[Range<usize>]) -> bool {
        let text = self.tree.text;
        let apart = |pair: &[Range<usize>]| {
            let mut line = next_line(text, pair[0].end);
            while line < pair[1].start && !is_blank(text, line) {
                line = next_line(text, line);
            }
            line < line_start(text, pair[1].start)
        };
        members.len() > 1 && members.windows(2).all(apart)
    }
}

/// Whether content that ends here is a scalar that keeps the breaks behind it.
pub(super) fn keeps_breaks(text: &str, end: usize) -> bool {
    text[..end].ends_with('\n')
}

/// What is left of a collection of which every old member goes.
pub(super) fn emptied(value: Value<'_>, alteration: &Alteration) -> Datum {
    let empty = if value.is_mapping() { Datum::Map(Vec::new()) } else { Datum::Seq(Vec::new()) };
    collection_of(&alteration.inserted).unwrap_or(empty)
}

/// Neighbouring removed members, together.
pub(super) fn removed_runs(alteration: &Alteration, count: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &index in alteration.removed.iter().filter(|index| **index < count) {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end = index + 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

impl Value<'_> {
    /// The bytes of each written member: from its dash, key or first byte to
    /// the end of its content.
    pub(super) fn extents(self) -> Vec<Range<usize>> {
        let flow = self.is_flow();
        let entries = self.written_entries().map(|entry| {
            let head = entry.colon.map_or(entry.key.full_span().end, |colon| colon + 1) as usize;
            entry.span.start as usize..entry.value.content_end().max(head)
        });
        let items = self.items().map(|item| {
            let start = item.span.start as usize;
            start..item.value.content_end().max(start + usize::from(!flow))
        });
        entries.chain(items).collect()
    }

    /// The end of its last content: no trailing blank lines, unless a `|+`
    /// scalar keeps them.
    pub(super) fn content_end(self) -> usize {
        match self.kind() {
            Kind::Mapping { flow: false } | Kind::Sequence { flow: false } => {
                self.extents().last().map_or(self.span().end as usize, |last| last.end)
            }
            Kind::Scalar(Style::Literal | Style::Folded) => match self.block() {
                Some(block) if block.chomping == Chomping::Keep => block.end as usize,
                _ => self.full_span().end as usize,
            },
            _ => self.full_span().end as usize,
        }
    }
}

impl Tree<'_> {
    /// Lines that go away, widened so that a file without a final line break
    /// still has none, unless a block scalar needs it.
    pub(super) fn to_open_end(&self, lines: Range<usize>) -> Range<usize> {
        let open = lines.end == self.text.len() && !self.text.ends_with('\n');
        if !open || lines.start == 0 || self.break_counts_before(lines.start) {
            return lines;
        }
        line_end(self.text, line_start(self.text, lines.start - 1))..lines.end
    }

    /// Whether the line break before a byte is part of a block scalar that ends
    /// there or in the blank lines behind.
    pub(super) fn break_counts_before(&self, at: usize) -> bool {
        self.blocks.iter().any(|block| {
            let range = block.content_start as usize + 1..=block.end as usize;
            range.contains(&at) && block.chomping != Chomping::Strip
        })
    }

    /// The end of the last line that belongs to a member whose content ends at
    /// `end` and whose siblings stand at `column`: its own line with the comment
    /// on it, and the lines of deeper comments below.
    pub(super) fn closing(&self, end: usize, column: usize) -> usize {
        let text = self.text;
        let mut close = line_end(text, if keeps_breaks(text, end) { line_start(text, end - 1) } else { end });
        let mut next = self.comments.partition_point(|comment| (comment.start as usize) < close);
        while let Some(comment) = self.comments.get(next) {
            let at = comment.start as usize;
            let below = comment.own_line && line_start(text, at) == next_line(text, close);
            if !below || self::column(text, at) <= column {
                break;
            }
            close = line_end(text, at);
            next += 1;
        }
        close
    }
}
