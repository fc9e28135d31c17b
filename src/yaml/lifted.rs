//! Closing brackets in the column of their key, or left of it: kubectl takes them
//! where the parser does not. Line breaks within brackets mean nothing, so the
//! break before such a bracket is taken away, byte for byte, and every place stays.

use std::borrow::Cow;

use super::Comment;

/// The most bytes that are parsed again for brackets; hostile files have many.
const MOST_BYTES: usize = 64 << 20;

/// A text with some of its closing brackets lifted to the line before.
#[derive(Debug)]
pub(super) struct Lifted<'s> {
    text: Cow<'s, str>,
    closers: Vec<usize>,
    comments: Vec<Comment>,
    tries: usize,
}

impl<'s> Lifted<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        Self { text: Cow::Borrowed(text), closers: Vec::new(), comments: Vec::new(), tries: 0 }
    }

    /// The text to parse.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The lifted brackets: each must turn out to close something.
    pub(super) fn closers(&self) -> &[usize] {
        &self.closers
    }

    /// Comments that had to give way.
    pub(super) fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// Lifts the bracket that begins its line at `at`; false when there is none.
    pub(super) fn lift(&mut self, at: usize) -> bool {
        self.tries += 1;
        if !matches!(self.text.as_bytes().get(at), Some(b']' | b'}'))
            || self.tries.saturating_mul(self.text.len()) > MOST_BYTES
        {
            return false;
        }
        let before = self.text[..at].trim_end_matches(' ');
        let Some(line_end) = before.strip_suffix('\n').map(str::len) else { return false };
        let line_start = before[..line_end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = before[line_start..line_end].trim_end_matches('\r');
        let blanked = match comment_start(line) {
            Some(comment) => {
                let (start, end) = (line_start + comment, line_start + line.len());
                let own_line = line[..comment].trim().is_empty();
                self.comments.push(Comment { start: start as u32, end: end as u32, own_line });
                format!("\n{}", " ".repeat(at - start - 1))
            }
            None => " ".repeat(at - line_start - line.len()),
        };
        let from = at - blanked.len();
        self.text.to_mut().replace_range(from..at, &blanked);
        if !self.closers.contains(&at) {
            self.closers.push(at);
        }
        true
    }
}

/// The `#` that begins a comment on a line, outside of quotes.
fn comment_start(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = b' ';
    for (at, byte) in line.bytes().enumerate() {
        match (quote, byte) {
            (None, b'#') if matches!(before, b' ' | b'\t') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if byte == open && before != b'\\' => quote = None,
            _ => {}
        }
        before = byte;
    }
    None
}
