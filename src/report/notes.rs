//! What is read below the place: why, seen, fix, proof.

use super::visible::visible_lines;
use super::wrap::wrapped;
use crate::finding::{Finding, Note};

/// So that headings of up to five letters, which most are, stand in one column everywhere.
const SHORTEST_HEADING: usize = 5;
/// However narrow the page is.
const NARROWEST_TEXT: usize = 30;

/// The notes of a finding as they are read; a fix of which no note speaks is
/// told by its title.
pub(super) fn notes(finding: &Finding) -> Vec<Note> {
    let mut notes = finding.notes.clone();
    if let Some(fix) = &finding.fix
        && !notes.iter().any(|note| note.heading == "fix")
    {
        notes.push(Note { heading: "fix", text: format!("{} ({})", fix.title, fix.safety.as_str()) });
    }
    notes
}

/// The notes as lines no longer than a width: the headings, painted, in one
/// column and the texts in another.
pub(super) fn aligned(notes: &[Note], width: usize, paint: impl Fn(&str) -> String) -> Vec<String> {
    let longest = notes.iter().map(|note| note.heading.chars().count()).max().unwrap_or(0);
    let column = longest.max(SHORTEST_HEADING) + 2;
    let width = width.saturating_sub(column).max(NARROWEST_TEXT);
    let mut lines = Vec::new();
    for note in notes {
        let gap = column - note.heading.chars().count();
        let mut start = format!("{}{:gap$}", paint(note.heading), "");
        for line in wrapped(&visible_lines(&note.text), width) {
            lines.push(format!("{start}{line}").trim_end().to_owned());
            start = " ".repeat(column);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_texts_have_a_column_each() {
        let note = |heading, text: &str| Note { heading, text: text.into() };
        let notes = [
            note("why", "this is a line that is too long to be one"),
            note("instead", "add:\n\n  - port: \"53\""),
        ];
        let lines = aligned(&notes, 39, str::to_uppercase);
        assert_eq!(
            lines.join("\n"),
            "\
WHY      this is a line that is too
         long to be one
INSTEAD  add:

           - port: \"53\""
        );
    }
}
