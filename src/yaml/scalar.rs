//! What a scalar says: quotes, escapes, folds and chomping taken away, and a
//! plain scalar resolved the way kubectl does it, which is YAML 1.1 with the
//! additions of Go's reader: `y`, `on`, `017`, `0o17`, `1_000` and `~` are no strings.

use std::borrow::Cow;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`.
    Single,
    /// `"…"`.
    Double,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

/// What becomes of the line breaks at the end of a block scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chomping {
    Clip,
    Keep,
    Strip,
}

/// The header of a block scalar and where its content stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) content_start: u32,
    pub(super) end: u32,
    pub(super) indent: Option<u32>,
    pub(super) parent_indent: u32,
    pub(super) chomping: Chomping,
}

/// A scalar's type and value as kubectl reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved<'t> {
    /// `~`, `null` or nothing.
    Null,
    /// `true`, `yes`, `on`, `y` …
    Bool(bool),
    /// A whole number, in any of its spellings.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Everything else.
    String(Cow<'t, str>),
}

/// The text of a scalar without the marks of its style.
pub(super) fn cook<'t>(raw: &'t str, style: Style, block: Option<(Block, &'t str)>) -> Cow<'t, str> {
    match (style, block) {
        (Style::Plain, _) => fold_flow(raw),
        (Style::Single, _) => {
            let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
            match fold_flow(inner) {
                text if text.contains("''") => Cow::Owned(text.replace("''", "'")),
                text => text,
            }
        }
        (Style::Double, _) => unescape(raw.get(1..raw.len().saturating_sub(1)).unwrap_or("")),
        (Style::Literal | Style::Folded, Some((block, text))) => {
            Cow::Owned(cook_block(block, text, style == Style::Folded))
        }
        (Style::Literal | Style::Folded, None) => Cow::Borrowed(raw),
    }
}

/// Whether the text of a flow scalar is what stands there, between its quotes if it has any.
pub(super) fn is_verbatim(raw: &str, style: Style) -> bool {
    let raw = raw.as_bytes();
    match style {
        Style::Plain => memchr::memchr2(b'\n', b'\r', raw).is_none(),
        Style::Double => memchr::memchr3(b'\n', b'\r', b'\\', raw).is_none(),
        Style::Single => {
            let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            memchr::memchr3(b'\n', b'\r', b'\'', inner).is_none()
        }
        Style::Literal | Style::Folded => false,
    }
}

/// Folds the line breaks of a plain or quoted scalar: one break is a space, n
/// are n - 1 breaks, white space around them goes.
fn fold_flow(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\r']) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = split_breaks(text);
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for (i, line) in lines.iter().enumerate() {
        let last = i + 1 == lines.len();
        let line = match (i, last) {
            (0, _) => line.trim_end_matches([' ', '\t']),
            (_, true) => line.trim_start_matches([' ', '\t']),
            _ => line.trim_matches([' ', '\t']),
        };
        if i > 0 {
            if line.is_empty() && !last {
                empty += 1;
                continue;
            }
            if empty == 0 {
                out.push(' ');
            } else {
                out.extend(std::iter::repeat_n('\n', empty));
                empty = 0;
            }
        }
        out.push_str(line);
    }
    Cow::Owned(out)
}

/// The lines of a scalar; a carriage return alone is a break, too.
fn split_breaks(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\n', '\r']) {
        lines.push(&rest[..at]);
        let width = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[at + width..];
    }
    lines.push(rest);
    lines
}

/// Takes the escapes out of a double-quoted scalar. An escape that YAML does
/// not know stays as it is: the parser has refused it already where it matters.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return fold_flow(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&fold_flow(&rest[..at]));
        let mut chars = rest[at + 1..].char_indices();
        let Some((_, escape)) = chars.next() else { break };
        let digits = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let mut used = at + 1 + escape.len_utf8();
        if digits > 0 {
            let hex = rest.get(used..used + digits).unwrap_or("");
            used += hex.len();
            out.push(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
        } else if matches!(escape, '\n' | '\r') {
            let after_break = &rest[used..];
            let mut line = match escape {
                '\r' => after_break.strip_prefix('\n').unwrap_or(after_break),
                _ => after_break,
            };
            // The escaped break is gone; each further one is kept.
            loop {
                line = line.trim_start_matches([' ', '\t']);
                let Some(next) = line.strip_prefix("\r\n").or_else(|| line.strip_prefix(['\n', '\r'])) else {
                    break;
                };
                out.push('\n');
                line = next;
            }
            used = rest.len() - line.len();
        } else {
            out.push(match escape {
                '0' => '\0',
                'a' => '\u{7}',
                'b' => '\u{8}',
                't' | '\t' => '\t',
                'n' => '\n',
                'v' => '\u{b}',
                'f' => '\u{c}',
                'r' => '\r',
                'e' => '\u{1b}',
                'N' => '\u{85}',
                '_' => '\u{a0}',
                'L' => '\u{2028}',
                'P' => '\u{2029}',
                other => other,
            });
        }
        rest = &rest[used..];
    }
    out.push_str(&fold_flow(rest));
    Cow::Owned(out)
}

fn cook_block(block: Block, text: &str, folded: bool) -> String {
    let content = &text[block.content_start as usize..block.end as usize];
    let mut lines = split_breaks(content);
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let indent = match block.indent {
        Some(relative) => (block.parent_indent + relative) as usize,
        // Where there are only spaces, all of them are indentation.
        None => lines.iter().find(|line| spaces(line) < line.len()).map_or(usize::MAX, |line| spaces(line)),
    };
    // What stands behind the last break is a line only if it is more than indentation.
    let ends_with_break = lines.last().is_some_and(|last| spaces(last) == last.len() && last.len() <= indent);
    if ends_with_break {
        lines.pop();
    }
    let lines: Vec<&str> = lines.into_iter().map(|line| &line[spaces(line).min(indent)..]).collect();
    let filled = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let mut out = if folded { fold_block(&lines[..filled]) } else { lines[..filled].join("\n") };
    let breaks = match block.chomping {
        Chomping::Strip => 0,
        Chomping::Clip => usize::from(filled > 0 && (ends_with_break || lines.len() > filled)),
        Chomping::Keep if filled == 0 => lines.len(),
        Chomping::Keep => lines.len() - filled + usize::from(ends_with_break),
    };
    out.extend(std::iter::repeat_n('\n', breaks));
    out
}

/// Folds the lines of a `>` scalar; lines that begin with white space are kept.
fn fold_block(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut empty = 0;
    let mut kept_before = false;
    for (i, line) in lines.iter().enumerate() {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        let kept = line.starts_with([' ', '\t']);
        if i > 0 && !(out.is_empty() && empty == i) {
            let breaks = if kept || kept_before { empty + 1 } else { empty };
            if breaks == 0 {
                out.push(' ');
            }
            out.extend(std::iter::repeat_n('\n', breaks));
        } else {
            out.extend(std::iter::repeat_n('\n', empty));
        }
        empty = 0;
        kept_before = kept;
        out.push_str(line);
    }
    out
}

/// The type and value of a plain scalar.
pub(super) fn resolve(text: Cow<'_, str>) -> Resolved<'_> {
    const LONGEST_WORD: usize = "false".len();
    if text.len() <= LONGEST_WORD
        && let Some(word) = word(&text)
    {
        return word;
    }
    let starts_like_a_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if starts_like_a_number {
        if let Some(number) = integer(&text) {
            return Resolved::Int(number);
        }
        if let Some(number) = float(&text) {
            return Resolved::Float(number);
        }
    }
    Resolved::String(text)
}

/// What a word stands for that is no string.
fn word(text: &str) -> Option<Resolved<'static>> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Resolved::Bool(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// A whole number in the spellings that Go's reader takes: decimal with `_`,
/// `0x`, `0o`, `0b`, and a leading zero for octal where all digits are octal.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] if digits.bytes().all(|b| matches!(b, b'0'..=b'7')) => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

fn float(text: &str) -> Option<f64> {
    let shaped = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'_'))
        && text.bytes().any(|b| b.is_ascii_digit());
    if !shaped {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    fn value(text: &str) -> String {
        let text = format!("a: {text}\n");
        let tree = parse(FileId(0), &text);
        assert!(tree.errors.is_empty(), "{text:?} {:?}", tree.errors);
        tree.roots().next().unwrap().1.get("a").unwrap().text().unwrap().into_owned()
    }

    #[test]
    fn scalars_are_cooked_by_style() {
        assert_eq!(value("'it''s'"), "it's");
        assert_eq!(value(r#""a\tb\x41\u00e9""#), "a\tbA\u{e9}");
        assert_eq!(value("one\n  two\n\n  three"), "one two\nthree");
        assert_eq!(value("\"one\n  two\\\n  three\""), "one twothree");
        assert_eq!(value("\"one\\\n\n  two\""), "one\ntwo");
        assert_eq!(value("|\n  one\n   two\n"), "one\n two\n");
        assert_eq!(value("|+"), "");
        assert_eq!(value(">-\n    \n  "), "");
        assert_eq!(value("|-\n  one\n"), "one");
        assert_eq!(value("|+\n  one\n\n"), "one\n\n\n");
        assert_eq!(value(">\n  one\n  two\n\n  three\n"), "one two\nthree\n");
    }

    #[test]
    fn plain_scalars_resolve_as_kubectl_reads_them() {
        let int = |n| Resolved::Int(n);
        for (text, want) in [
            ("017", int(15)),
            ("0o17", int(15)),
            ("0x1F", int(31)),
            ("0b11", int(3)),
            ("1_000", int(1000)),
            ("08080", int(8080)),
            ("+80", int(80)),
            ("y", Resolved::Bool(true)),
            ("No", Resolved::Bool(false)),
            ("~", Resolved::Null),
            ("1e3", Resolved::Float(1000.0)),
            ("12:30:45", Resolved::String("12:30:45".into())),
            ("10.0.0.1", Resolved::String("10.0.0.1".into())),
            ("web", Resolved::String("web".into())),
        ] {
            assert_eq!(resolve(text.into()), want, "{text}");
        }
    }
}
