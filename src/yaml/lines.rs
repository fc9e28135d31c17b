//! Lines and columns as an editor needs them, counted in bytes. A line ends
//! before its `\r\n` or `\n`.

use super::Tree;

/// Where the line of a byte begins; behind the byte-order mark on the first line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    match text[..at].rfind('\n') {
        Some(newline) => newline + 1,
        None if text.starts_with('\u{feff}') => '\u{feff}'.len_utf8().min(at),
        None => 0,
    }
}

/// Where the line of a byte ends, before its break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    if end > at && end < text.len() && text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end }
}

/// Where the next line begins, or the end of the text.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The column of a byte.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

/// The column of the first byte on the line of `at` that is no space.
pub(super) fn indent(text: &str, at: usize) -> usize {
    let start = line_start(text, at);
    text[start..].len() - text[start..].trim_start_matches(' ').len()
}

/// Whether nothing but spaces stands before a byte on its line.
pub(super) fn is_first_on_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].bytes().all(|byte| byte == b' ')
}

/// Whether the line that begins here holds nothing but white space.
pub(super) fn is_blank(text: &str, start: usize) -> bool {
    text[start..line_end(text, start)].trim().is_empty()
}

impl Tree<'_> {
    /// Where a node and the own-line comments that belong to it begin: comments
    /// directly above it at its own column. `start` is the first thing on its line.
    pub(super) fn start_with_comments(&self, start: usize) -> usize {
        let column = column(self.text, start);
        let mut first = line_start(self.text, start);
        let mut known = self.comments.partition_point(|comment| (comment.start as usize) < start);
        while let Some(comment) = known.checked_sub(1).and_then(|last| self.comments.get(last)) {
            let at = comment.start as usize;
            let directly_above = next_line(self.text, at) == first && comment.own_line;
            if !directly_above || self::column(self.text, at) != column {
                break;
            }
            first = line_start(self.text, at);
            known -= 1;
        }
        first
    }
}
