//! The lines of a file around a few labelled places, drawn by miette. Only these
//! lines are looked at, each is made fit to be shown, and every label is cut to
//! its first line: a span may be anything, and the drawing stays small.

use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use super::terminal::Look;
use super::visible::visible;
use super::wrap::wrapped;
use crate::finding::Label;
use crate::source::{Source, Span};

/// A longer line is cut around its first label: one line of JSON can be a whole cluster.
const LONGEST_LINE: usize = 160;
/// How much of a cut line stays before its first label.
const KEPT_BEFORE_LABEL: usize = 60;
/// Places that are no further apart are shown in one excerpt.
const LARGEST_GAP: usize = 3;

/// Draws places of one file: first the lines around `head` with its position on
/// top, then places far from it in the order of the file.
pub(super) fn draw(source: &Source, head: Span, labels: &[&Label], look: &Look) -> String {
    let line = |label: &Label| source.position(label.span.start).0;
    let mut sorted = labels.to_vec();
    sorted.sort_by_key(|label| (label.span.start, label.span.end));
    let mut groups: Vec<Vec<&Label>> = Vec::new();
    for label in sorted {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|last| line(label) <= line(last) + LARGEST_GAP) => {
                group.push(label);
            }
            _ => groups.push(vec![label]),
        }
    }
    groups.sort_by_key(|group| !group.iter().any(|label| label.span == head));
    groups.iter().map(|group| Excerpt::new(source, head, group, look.width).draw(look.color)).collect()
}

/// A few lines, and the labels at byte ranges of them.
#[derive(Debug)]
struct Excerpt {
    name: String,
    /// Line and column, from 1, that are told on top.
    position: (usize, usize),
    /// The number of the first line, from 1.
    first_line: usize,
    text: String,
    labels: Vec<(Range<usize>, String)>,
}

impl Excerpt {
    fn new(source: &Source, head: Span, group: &[&Label], width: usize) -> Self {
        let text = source.text.as_str();
        let starts = group.iter().map(|label| line_around(text, label.span.start as usize).start);
        let (first, last) =
            starts.fold((text.len(), 0), |(first, last), start| (first.min(start), last.max(start)));
        let first = if first == 0 { 0 } else { line_around(text, first - 1).start };
        let told = group.iter().find(|label| label.span == head).or(group.first());
        let mut excerpt = Self {
            name: visible(&source.name),
            position: source.position(told.map_or(0, |label| label.span.start)),
            first_line: source.position(first as u32).0,
            text: String::new(),
            labels: Vec::new(),
        };
        let mut start = first;
        while start < text.len() || excerpt.text.is_empty() {
            let line = line_around(text, start);
            excerpt.push_line(text, line.clone(), group, width);
            if line.start > last {
                break;
            }
            start = end_of_line(text, line.end);
        }
        excerpt
    }

    /// Adds a line of the file and the labels that start on it.
    fn push_line(&mut self, text: &str, line: Range<usize>, group: &[&Label], width: usize) {
        let here = |label: &&&Label| line_around(text, label.span.start as usize).start == line.start;
        let labels: Vec<&&Label> = group.iter().filter(here).collect();
        let kept = kept_of(text, line.clone(), labels.first().map(|label| label.span.start as usize));

        let cut_before = if kept.start > line.start { "…" } else { "" };
        let before = self.text.len() + cut_before.len();
        // Where a byte of the file has come to lie; what is not shown lies at the nearest end.
        let place = |at: usize| {
            let at = floor_char_boundary(text, at.clamp(kept.start, kept.end));
            before + visible(text.get(kept.start..at).unwrap_or_default()).len()
        };
        let column = |at: usize| text.get(kept.start..at).map_or(0, |before| before.chars().count());
        for label in labels {
            let (start, end) = (label.span.start as usize, label.span.end as usize);
            let room = width.saturating_sub(column(start.min(kept.end)) + 16).max(24);
            let lines = wrapped(&visible(&label.text), room);
            self.labels.push((place(start)..place(end.max(start)), lines.join("\n")));
        }
        self.text.push_str(cut_before);
        self.text.push_str(&visible(text.get(kept.clone()).unwrap_or_default()));
        self.text.push_str(if kept.end < line.end { "…\n" } else { "\n" });
    }

    fn draw(&self, color: bool) -> String {
        let styles = if color { ThemeStyles::ansi() } else { ThemeStyles::none() };
        let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
        let mut drawing = String::new();
        let drawn = GraphicalReportHandler::new_themed(theme)
            .without_syntax_highlighting()
            .without_cause_chain()
            .with_context_lines(1)
            .render_report(&mut drawing, self);
        match (drawn, drawing.split_once('\n')) {
            // The first line is the message, which miette cannot be told to leave out.
            (Ok(()), Some((_, drawing))) => drawing.to_owned(),
            _ => format!("   ╭─[{}:{}:{}]\n", self.name, self.position.0, self.position.1),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Excerpt {}

impl Diagnostic for Excerpt {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().map(|(range, text)| {
            let text = Some(text.clone()).filter(|text| !text.is_empty());
            LabeledSpan::new(text, range.start, range.len())
        })))
    }
}

impl SourceCode for Excerpt {
    /// Always the whole excerpt. miette asks without context when it wants to
    /// know the position to tell on top.
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        lines_before: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (line, column) = if lines_before == 0 { self.position } else { (self.first_line, 1) };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            (0, self.text.len()).into(),
            line - 1,
            column - 1,
            self.text.lines().count(),
        )))
    }
}

/// The line that a byte lies on, without its line end.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let at = at.min(bytes.len());
    // After the last line end there is nothing to show: the line before it stands for it.
    let at = if at > 0 && at == bytes.len() && bytes.ends_with(b"\n") { at - 1 } else { at };
    let (before, after) = bytes.split_at(at);
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let end = memchr::memchr(b'\n', after).map_or(bytes.len(), |newline| at + newline);
    let is_crlf = bytes.get(start..=end).is_some_and(|line| line.ends_with(b"\r\n"));
    start..if is_crlf { end - 1 } else { end }
}

/// The byte after a line end.
fn end_of_line(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |newline| at + newline + 1)
}

/// What is shown of a line: all, or the part around its first label.
fn kept_of(text: &str, line: Range<usize>, label: Option<usize>) -> Range<usize> {
    if line.len() <= LONGEST_LINE {
        return line;
    }
    let from = label.unwrap_or(line.start).saturating_sub(KEPT_BEFORE_LABEL);
    let from = from.clamp(line.start, line.end - LONGEST_LINE);
    floor_char_boundary(text, from)..floor_char_boundary(text, from + LONGEST_LINE)
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::source::FileId;

    fn label(start: usize, end: usize, text: &str) -> Label {
        Label { span: Span::new(FileId(0), start as u32, end as u32), text: text.into() }
    }

    fn excerpt(text: &str, labels: &[Label]) -> String {
        drawn(text, labels, Look { width: 80, ..Look::default() })
    }

    fn drawn(text: &str, labels: &[Label], look: Look) -> String {
        let source = Source::new(PathBuf::new(), "a.yaml".into(), text.into());
        draw(&source, labels[0].span, &labels.iter().collect::<Vec<_>>(), &look)
    }

    #[track_caller]
    fn assert_drawn(text: &str, labels: &[Label], want: &str) {
        let drawn = excerpt(text, labels);
        let trimmed: Vec<&str> = drawn.lines().map(str::trim_end).collect();
        assert_eq!(trimmed.join("\n"), want.trim_matches('\n'), "\n{drawn}");
    }

    #[test]
    fn a_place_is_shown_with_a_line_before_and_after() {
        assert_drawn(
            "a: 1\nb: 2\nport: \"443\"\nd: 4\ne: 5\n",
            &[label(16, 21, "not this")],
            "
   ╭─[a.yaml:3:7]
 2 │ b: 2
 3 │ port: \"443\"
   ·       ──┬──
   ·         ╰── not this
 4 │ d: 4
   ╰────",
        );
    }

    #[test]
    fn places_far_apart_are_drawn_each_by_itself_the_first_on_top() {
        assert_drawn(
            "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\n",
            &[label(30, 31, "here"), label(0, 1, "there")],
            "
   ╭─[a.yaml:7:1]
 6 │ f: 6
 7 │ g: 7
   · ┬
   · ╰── here
   ╰────
   ╭─[a.yaml:1:1]
 1 │ a: 1
   · ┬
   · ╰── there
 2 │ b: 2
   ╰────",
        );
    }

    #[test]
    fn a_span_over_lines_is_cut_to_its_first() {
        assert_drawn(
            "a:\r\n  - b\r\n  - c\r\n",
            &[label(6, 17, "all of it")],
            "
   ╭─[a.yaml:2:3]
 1 │ a:
 2 │   - b
   ·   ─┬─
   ·    ╰── all of it
 3 │   - c
   ╰────",
        );
    }

    #[test]
    fn the_end_of_a_file_is_shown_at_its_last_line() {
        let want = "
   ╭─[a.yaml:2:1]
 1 │ a: 1
   ·     ▲
   ·     ╰── nothing follows
   ╰────";
        assert_drawn("a: 1\n", &[label(5, 5, "nothing follows")], want);
    }

    #[test]
    fn an_empty_file_has_an_empty_line() {
        assert_drawn(
            "",
            &[label(0, 0, "nothing")],
            "
   ╭─[a.yaml:1:1]
 1 │
   · ▲
   · ╰── nothing
   ╰────",
        );
    }

    #[test]
    fn a_long_line_is_cut_around_its_label() {
        let line = format!("{}port{}", "x".repeat(500), "y".repeat(500));
        let drawn = excerpt(&line, &[label(500, 504, "here")]);
        assert!(drawn.contains("a.yaml:1:501"), "{drawn}");
        assert!(drawn.contains(&format!("…{}port", "x".repeat(KEPT_BEFORE_LABEL))), "{drawn}");
        assert!(drawn.contains("y…\n"), "{drawn}");
        assert!(drawn.contains(&format!("{}──┬─", " ".repeat(KEPT_BEFORE_LABEL))), "{drawn}");
    }

    #[test]
    fn nothing_in_a_file_commands_the_terminal() {
        let drawn = excerpt("a: \u{1b}[31m\u{202e}\u{9b}\r1\n", &[label(3, 4, "\u{1b}]0;x\u{7}")]);
        assert!(drawn.contains("a: ␛[31m\u{fffd}\u{fffd}␍1\n"), "{drawn}");
        assert!(drawn.contains("╰── ␛]0;x␇\n"), "{drawn}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_span_of_every_text_can_be_drawn(
            text in "[a-z:\\-\"\t\r\n\u{e4}\u{65e5}\u{1f600}\u{301}\u{feff}\u{1b}m ]{0,80}",
            spans in prop::collection::vec((0u32..100, 0u32..100, "[a-zä\n]{0,60}"), 1..6),
            color: bool,
        ) {
            let labels: Vec<Label> = spans
                .into_iter()
                .map(|(start, end, text)| Label { span: Span::new(FileId(0), start, end), text })
                .collect();
            let drawn = drawn(&text, &labels, Look { color, width: 60, hyperlinks: false });
            prop_assert!(drawn.contains("╭─["), "{drawn}");
        }
    }
}
