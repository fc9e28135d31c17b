//! Members of braces and brackets, inserted and removed with their commas, on one
//! line or on lines of their own.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Value;
use super::block::{emptied, removed_runs};
use super::fragment::Writer;
use super::habits::{Place, layout_of};
use super::intent::{Alteration, Member};
use super::lines::{column, is_first_on_line, line_end, next_line};
use super::locate::Location;
use super::patch::Splicer;

impl Splicer<'_> {
    /// Inserts into and removes from a flow collection.
    pub(super) fn alter_flow(&mut self, value: Value<'_>, alteration: &Alteration) {
        let members = value.extents();
        let survives = |index: &usize| !alteration.removed.contains(index);
        let Some(first) = (0..members.len()).find(survives) else {
            return self.replace(value, &emptied(value, alteration));
        };
        let Some(location) = Location::of(value) else { return };
        let depth = location.depth() + 1;
        for run in removed_runs(alteration, members.len()) {
            self.remove_from_flow(&members, run, alteration.inserted.is_empty(), depth);
        }
        let mut groups: BTreeMap<Option<usize>, Vec<&Member>> = BTreeMap::new();
        for (index, member) in &alteration.inserted {
            groups.entry((0..*index).rev().find(survives)).or_default().push(member);
        }
        for (before, new) in groups {
            let beside = &members[before.unwrap_or(first)];
            let place = Place::new(&location, value.span().range(), beside.start);
            let writer = Writer { habits: self.habits, place: Some(&place) };
            let column = location.base_column(value, beside.start);
            let new: Vec<String> = new
                .into_iter()
                .map(|member| writer.flow_member(&location.slot, member, layout_of(value), column))
                .collect();
            match before {
                Some(_) => self.insert_behind(beside, &new, depth),
                None => self.insert_in_front(beside, &new, depth),
            }
        }
    }

    fn insert_in_front(&mut self, first: &Range<usize>, new: &[String], depth: usize) {
        let text = self.tree.text;
        if self.has_own_lines(first) {
            let column = column(text, first.start);
            let newline = self.habits.newline();
            let lines: String = new.iter().map(|new| format!("{:column$}{new},{newline}", "")).collect();
            self.insert(self.tree.start_with_comments(first.start), lines, depth);
        } else {
            self.insert(first.start, new.join(", ") + ", ", depth);
        }
    }

    fn insert_behind(&mut self, last: &Range<usize>, new: &[String], depth: usize) {
        let text = self.tree.text;
        if !self.has_own_lines(last) {
            return self.insert(last.end, format!(", {}", new.join(", ")), depth);
        }
        let line = format!("{}{:width$}", self.habits.newline(), "", width = column(text, last.start));
        match self.comma_behind(last.end) {
            Some(comma) => {
                let lines: String = new.iter().map(|new| format!("{line}{new},")).collect();
                self.insert(self.end_of_tail(comma + 1), lines, depth);
            }
            None => {
                self.insert(last.end, ",".to_owned(), depth);
                self.insert(self.end_of_tail(last.end), line.clone() + &new.join(&format!(",{line}")), depth);
            }
        }
    }

    fn remove_from_flow(&mut self, members: &[Range<usize>], run: Range<usize>, tidy: bool, depth: usize) {
        let text = self.tree.text;
        let (first, last) = (&members[run.start], &members[run.end - 1]);
        let previous = run.start.checked_sub(1).and_then(|index| members.get(index));
        let comma = self.comma_behind(last.end);
        let close = comma.map_or(last.end, |comma| comma + 1);
        let to_line_end = self.end_of_tail(close) == line_end(text, close);
        match (members.get(run.end), previous) {
            _ if self.has_own_lines(first) && to_line_end => {
                self.delete(self.tree.start_with_comments(first.start)..next_line(text, close), depth);
                let dangling = previous.filter(|_| tidy && run.end == members.len() && comma.is_none());
                if let Some(comma) = dangling.and_then(|previous| self.comma_behind(previous.end)) {
                    self.delete(comma..comma + 1, depth);
                }
            }
            (Some(next), _) => self.delete(first.start..next.start, depth),
            (None, Some(previous)) => self.delete(previous.end..last.end, depth),
            (None, None) => {}
        }
    }

    /// Whether a member begins its line, so that a new one gets its own, too.
    fn has_own_lines(&self, member: &Range<usize>) -> bool {
        is_first_on_line(self.tree.text, member.start)
    }

    /// The comma that follows a member, behind white space and comments.
    fn comma_behind(&self, end: usize) -> Option<usize> {
        let text = self.tree.text;
        let mut at = end;
        loop {
            at += text[at..].len() - text[at..].trim_start().len();
            match text[at..].bytes().next()? {
                b',' => return Some(at),
                b'#' => at = next_line(text, at),
                _ => return None,
            }
        }
    }

    /// The end of the line if nothing but a comment follows, else `at` itself.
    fn end_of_tail(&self, at: usize) -> usize {
        let text = self.tree.text;
        let end = line_end(text, at);
        let tail = text[at..end].trim_start();
        if tail.is_empty() || tail.starts_with('#') { end } else { at }
    }
}
