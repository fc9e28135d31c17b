//! Records that are spread over several lines: printed JSON and the pieces into
//! which container runtimes cut long lines.

use std::collections::BTreeMap;

use super::block::LONGEST_LINE;
use super::line::Misread;
use super::record::Origin;

/// A JSON text over many lines: one object, or an array of them.
pub(crate) struct Document {
    text: String,
    /// How many brackets are open, those of the array around all included.
    depth: u32,
    /// 1 in an array, else 0.
    base: u32,
    /// Where it began, and why its first line alone is no record.
    pub(crate) origin: Origin,
    pub(crate) misread: Misread,
    /// How many lines it has.
    pub(crate) lines: u64,
}

impl Document {
    /// Begins a document if the line looks like the first of one.
    pub(crate) fn begin(line: &str, origin: Origin, misread: Misread) -> Result<Self, Misread> {
        let opens = line.starts_with(['{', '[']) && line.ends_with(['{', '[', ',']);
        if opens && misread.cut_off {
            Ok(Self { text: String::new(), depth: 0, base: 0, origin, misread, lines: 0 })
        } else {
            Err(misread)
        }
    }

    /// Whether the line can be one of a printed document.
    pub(crate) fn goes_on_with(&self, line: &str) -> bool {
        let fits = line.starts_with(['"', '{', '}', '[', ']', ',', '-', 't', 'f', 'n']);
        (fits || line.starts_with(|c: char| c.is_ascii_digit())) && self.text.len() < LONGEST_LINE
    }

    /// Whether an object has begun and not ended.
    pub(crate) fn is_within_object(&self) -> bool {
        !self.text.is_empty()
    }

    /// Takes a line; gives the objects that end in it, and whether the document goes on.
    pub(crate) fn take(&mut self, line: &str) -> (Vec<String>, bool) {
        self.lines += 1;
        let mut ended = Vec::new();
        let mut in_string = false;
        let mut escaped = false;
        for c in line.chars() {
            let outside = self.depth == self.base;
            match c {
                _ if escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                _ if in_string => {}
                '[' if self.depth == 0 => {
                    self.base = 1;
                    self.depth = 1;
                    continue;
                }
                '{' | '[' => self.depth += 1,
                ']' if outside && self.base == 1 => return (ended, false),
                '}' | ']' => self.depth = self.depth.saturating_sub(1),
                _ if outside => continue,
                _ => {}
            }
            self.text.push(c);
            if self.depth == self.base && matches!(c, '}' | ']') {
                ended.push(std::mem::take(&mut self.text));
            }
        }
        (ended, self.depth > 0)
    }
}

/// The beginnings of lines that were cut, by stream.
#[derive(Default)]
pub(crate) struct Pieces(BTreeMap<&'static str, String>);

impl Pieces {
    /// The text of a stream up to and with this piece, taken out.
    pub(crate) fn join(&mut self, stream: &'static str, piece: &str) -> String {
        let mut text = self.0.remove(stream).unwrap_or_default();
        text.push_str(piece);
        text
    }

    /// Keeps the beginning of a line; false if it is too long for one.
    pub(crate) fn keep(&mut self, stream: &'static str, text: String) -> bool {
        let fits = text.len() < LONGEST_LINE;
        if fits {
            self.0.insert(stream, text);
        }
        fits
    }

    /// Whether a line of the stream has begun.
    pub(crate) fn has(&self, stream: &'static str) -> bool {
        self.0.contains_key(stream)
    }

    /// Forgets all beginnings; how many there were.
    pub(crate) fn clear(&mut self) -> u64 {
        let count = self.0.len() as u64;
        self.0.clear();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::summary::BrokenKind;

    fn document() -> Document {
        let misread = Misread { kind: BrokenKind::Json, why: String::new(), cut_off: true };
        Document::begin("[", Origin { input: 0, line: 1 }, misread).unwrap()
    }

    #[test]
    fn objects_end_where_their_brackets_close() {
        let mut document = document();
        let mut objects = Vec::new();
        let mut open = true;
        for line in ["[", "{", "\"a\": [", "1", "],", "\"b\": \"}]\\\"{\"", "},", "{\"c\": {}}", "]"] {
            assert!(open);
            let (ended, goes_on) = document.take(line);
            objects.extend(ended);
            open = goes_on;
        }
        assert_eq!(objects, [r#"{"a": [1],"b": "}]\"{"}"#, r#"{"c": {}}"#]);
        assert!(!open);
    }

    #[test]
    fn only_what_a_printer_breaks_off_begins_a_document() {
        let misread = |cut_off| Misread { kind: BrokenKind::Json, why: String::new(), cut_off };
        let origin = Origin { input: 0, line: 1 };
        assert!(Document::begin("{", origin, misread(true)).is_ok());
        assert!(Document::begin(r#"{"flow":{"verdict":"DRO"#, origin, misread(true)).is_err());
        assert!(Document::begin("{", origin, misread(false)).is_err());
    }
}
