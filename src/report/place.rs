//! Places as programs count them: lines and columns from 1, bytes from 0, ends
//! exclusive.

use serde::Serialize;

use super::merge::splices;
use crate::finding::{FileChange, Finding, Fix, Label};
use crate::source::{Source, Sources, Splice};

/// A point in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Position {
    pub(super) line: usize,
    /// In characters.
    pub(super) column: usize,
    /// Bytes of the file before it.
    pub(super) byte: usize,
    /// The column in bytes, for formats that count so.
    #[serde(skip)]
    pub(super) byte_column: usize,
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Region {
    pub(super) start: Position,
    pub(super) end: Position,
}

/// The bytes that go, and the text that comes.
#[derive(Debug, Serialize)]
pub(super) struct Replacement {
    #[serde(flatten)]
    pub(super) region: Region,
    pub(super) text: String,
}

impl Position {
    fn new(source: &Source, byte: usize) -> Self {
        let byte = byte.min(source.text.len());
        let (line, column) = source.position(u32::try_from(byte).unwrap_or(u32::MAX));
        let before = source.text.as_bytes().get(..byte).unwrap_or_default();
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self { line, column, byte, byte_column: byte - line_start + 1 }
    }
}

impl Region {
    fn new(source: &Source, start: usize, end: usize) -> Self {
        Self { start: Position::new(source, start), end: Position::new(source, end.max(start)) }
    }

    /// Where a label lies.
    pub(super) fn of(label: &Label, sources: &Sources) -> Self {
        let range = label.span.range();
        Self::new(&sources[label.span.file], range.start, range.end)
    }
}

/// Where a finding is shown in forms that cannot do without a place: what it
/// blames, else another place that matters, else where its fix begins.
pub(super) fn anchor<'a>(
    finding: &'a Finding,
    fix: Option<&'a Fix>,
    sources: &'a Sources,
) -> Option<(&'a str, Region)> {
    if let Some(label) = finding.primary.as_ref().or(finding.related.first()) {
        return Some((&sources[label.span.file].name, Region::of(label, sources)));
    }
    let change = fix?.files.first()?;
    Some((&change.name, replacements(change).first()?.region))
}

/// The replacements that make a file's new text of its old one, in order.
pub(super) fn replacements(change: &FileChange) -> Vec<Replacement> {
    let source = Source::new(change.path.clone(), change.name.clone(), change.before.clone());
    let replacement = |splice: Splice| Replacement {
        region: Region::new(&source, splice.range.start, splice.range.end),
        text: splice.text,
    };
    splices(change).into_iter().map(replacement).collect()
}

/// One replacement that does the work of all: from the first byte that changes to the last.
pub(super) fn covering_replacement(change: &FileChange) -> Option<Replacement> {
    let all = replacements(change);
    let (first, last) = (all.first()?, all.last()?);
    let tail = change.before.len().checked_sub(last.region.end.byte)?;
    let text = change.after.get(first.region.start.byte..change.after.len().checked_sub(tail)?)?;
    Some(Replacement {
        region: Region { start: first.region.start, end: last.region.end },
        text: text.to_owned(),
    })
}

/// A path as a URI reference. A relative one counts from the root of the repository.
pub(super) fn uri(name: &str) -> String {
    let mut uri = String::from(if name.starts_with('/') { "file://" } else { "" });
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::sample;

    #[test]
    fn columns_count_characters_or_bytes_and_offsets_bytes() {
        let (finding, sources) = sample("a: 1\nä: ü2\n", 11..12);
        let region = Region::of(finding.primary.as_ref().unwrap(), &sources);
        assert_eq!(region.start, Position { line: 2, column: 5, byte: 11, byte_column: 7 });
        assert_eq!(region.end, Position { line: 2, column: 6, byte: 12, byte_column: 8 });
    }

    #[test]
    fn one_replacement_can_do_the_work_of_several() {
        let splice = |range, text: &str| Splice { range, text: text.into() };
        let change = FileChange {
            file: Some(crate::source::FileId(0)),
            path: "a".into(),
            name: "a".into(),
            before: "a: 1\nb: 2\nc: 3\n".into(),
            after: "a: 10\nb: 2\nx: 0\nc: 3\n".into(),
            edits: vec![splice(3..4, "10"), splice(10..10, "x: 0\n")],
        };
        let one = covering_replacement(&change).unwrap();
        assert_eq!((one.region.start.byte, one.region.end.byte), (3, 10));
        assert_eq!(one.text, "10\nb: 2\nx: 0\n");
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("k8s/with space/ü#1.yaml"), "k8s/with%20space/%C3%BC%231.yaml");
        assert_eq!(uri("/tmp/a.yaml"), "file:///tmp/a.yaml");
    }
}
