//! Documents of a stream, and whole new files: added and removed with their
//! `---` and the blank lines that the file puts around it.

use super::block::keeps_breaks;
use super::fragment::Writer;
use super::intent::Intent;
use super::lines::{is_blank, line_end, line_start, next_line};
use super::locate::Slot;
use super::patch::{EditError, Splicer};
use super::{Datum, Habits, parse, second_reader};
use crate::source::FileId;

/// The text of a new file that holds these documents, in the given habits.
/// Both readers have read it back.
///
/// # Errors
/// When the text does not read back as the documents: a defect of this program.
pub fn new_file(documents: &[Datum], habits: &Habits<'_>) -> Result<String, EditError> {
    let newline = habits.newline();
    let writer = Writer { habits, place: None };
    let written = documents.iter().map(|document| writer.alone(&Slot::ROOT, document, 0) + newline);
    let written: Vec<String> = written.collect();
    let marker = format!("---{newline}");
    let opening = if habits.opens_with_marker() { marker.as_str() } else { "" };
    let text = format!("{opening}{}", written.join(&marker));
    let nothing = parse(FileId(0), "");
    let intent = Intent { appended: documents.to_vec(), ..Intent::default() };
    second_reader::verify(&nothing, &intent, &text)?;
    Ok(text)
}

impl Splicer<'_> {
    /// Removes and appends documents.
    pub(super) fn documents(&mut self) {
        for &index in &self.intent.removed {
            self.remove_document(index);
        }
        for datum in &self.intent.appended {
            self.append_document(datum);
        }
    }

    fn append_document(&mut self, datum: &Datum) {
        let text = self.tree.text;
        let newline = self.habits.newline();
        let writer = Writer { habits: self.habits, place: None };
        let written = writer.alone(&Slot::ROOT, datum, 0);
        let (before, after) = self.blank_lines_around_markers();
        let before = before && !keeps_breaks(text, self.content_end_before(text.len()));
        let blank = |present: bool| if present { newline } else { "" };
        let marker = format!("{}---{newline}{}", blank(before), blank(after));
        let kept = &text[..self.end_of_kept()];
        let new = match kept.is_empty() || kept.ends_with('\n') {
            true => format!("{marker}{written}{newline}"),
            false => format!("{newline}{marker}{written}"),
        };
        self.insert(text.len(), new, 0);
    }

    /// Whether the last marker between documents has blank lines before and behind it.
    fn blank_lines_around_markers(&self) -> (bool, bool) {
        let text = self.tree.text;
        let last = self.tree.documents.iter().skip(1).rev().find_map(|document| document.marker);
        let Some((start, end)) = last.map(|(start, end)| (start as usize, end as usize)) else {
            return (false, false);
        };
        let after = next_line(text, end);
        let before = start > 0 && is_blank(text, line_start(text, start - 1));
        (before, after < text.len() && is_blank(text, after))
    }

    fn remove_document(&mut self, index: usize) {
        let text = self.tree.text;
        let documents = &self.tree.documents;
        let Some(document) = documents.get(index) else { return };
        let (mut start, mut end) = (document.start as usize, document.end as usize);
        if document.marker.is_none() && !self.intent.removed.contains(&(index + 1)) {
            end = documents.get(index + 1).map_or(end, |next| self.behind_marker(next.marker, end));
        }
        if end == text.len() {
            let content_end = self.content_end_before(start);
            while start > content_end && is_blank(text, line_start(text, start - 1)) {
                start = line_start(text, start - 1);
            }
        }
        self.delete(self.tree.to_open_end(start..end), 0);
    }

    /// Where the content of the last document before `at` that stays ends.
    fn content_end_before(&self, at: usize) -> usize {
        let stays = |index: &usize| !self.intent.removed.contains(index);
        let roots = self.tree.roots().filter(|(index, _)| stays(index)).map(|(_, root)| root.content_end());
        roots.take_while(|end| *end <= at).last().unwrap_or(0)
    }

    /// The first document needs no marker: if the file began without one, it
    /// shall do so again. A marker with something on its line stays.
    fn behind_marker(&self, marker: Option<(u32, u32)>, start: usize) -> usize {
        let text = self.tree.text;
        let Some((_, end)) = marker.filter(|(at, _)| *at as usize == start) else { return start };
        let end = end as usize;
        if !text[end..line_end(text, end)].trim().is_empty() {
            return start;
        }
        let mut line = next_line(text, end);
        while line < text.len() && is_blank(text, line) {
            line = next_line(text, line);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_written_as_its_neighbours_are() {
        let one = parse(FileId(0), "---\na:\n- {b: \"1\"}\n");
        let two = parse(FileId(1), "---\na:\n- {b: \"2\"}\nc: [x]\n");
        let document = Datum::map([
            ("a", Datum::seq([Datum::map([("b", "3")])])),
            ("c", Datum::seq(["y1"])),
            ("d", Datum::map([("e", Datum::Map(Vec::new()))])),
        ]);
        let written = new_file(std::slice::from_ref(&document), &Habits::of_all(&[&one, &two])).unwrap();
        assert_eq!(written, "---\na:\n- {b: \"3\"}\nc: [y1]\nd:\n  e: {}\n");
        let alone = new_file(&[document, Datum::map([("k", "v")])], &Habits::of_all(&[])).unwrap();
        assert_eq!(alone, "a:\n  - b: \"3\"\nc:\n  - y1\nd:\n  e: {}\n---\nk: v\n");
    }
}
