//! Which texts can stand plain, and how the others are quoted, so that kubectl
//! and every YAML 1.2 reader get the same string back.

use std::fmt::Write as _;

use super::{Resolved, Style, scalar};

/// Whether a string would be read as something else, or not at all, if it
/// stood plain. In flow collections brackets, braces and commas count too.
pub(super) fn needs_quotes(text: &str, in_flow: bool) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let second = text.chars().nth(1).unwrap_or(' ');
    let starts_badly = match first {
        '-' => !second.is_alphanumeric(),
        '?' | ':' | ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' | '=' => true,
        _ => text.starts_with("..."),
    };
    starts_badly
        || text == "<<"
        || text.starts_with([' ', '\t'])
        || text.ends_with([' ', '\t', ':'])
        || text.contains(": ")
        || text.contains(":\t")
        || text.contains(" #")
        || text.chars().any(|c| c == '\t' || needs_escape(c))
        || (in_flow && text.contains([',', '[', ']', '{', '}', '?']))
        || !matches!(scalar::resolve(text.into()), Resolved::String(_))
        || looks_like_a_number_or_time(text)
}

/// What older readers take for base-60 numbers, dates or octal numbers, though
/// kubectl reads text: quoted as Go's own writer does.
fn looks_like_a_number_or_time(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let sexagesimal = text.contains(':') && text.split(':').all(digits);
    let mut date = text.splitn(3, '-');
    let year = date.next().is_some_and(|year| year.len() == 4 && digits(year));
    let month = date.next().is_some_and(|month| month.len() <= 2 && digits(month));
    let day = date.next().is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()));
    sexagesimal || (year && month && day)
}

/// Characters that only an escape can write.
fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A string in a style; double quotes where the style cannot hold it.
pub(super) fn write(text: &str, style: Style, in_flow: bool) -> String {
    match style {
        Style::Plain if !needs_quotes(text, in_flow) => text.to_owned(),
        Style::Single if !text.chars().any(|c| c == '\t' || needs_escape(c)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => double(text),
    }
}

fn double(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) && (c as u32) < 0x100 => push_hex(&mut out, "\\x", 2, c),
            c if needs_escape(c) => push_hex(&mut out, "\\u", 4, c),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn push_hex(out: &mut String, mark: &str, width: usize, c: char) {
    out.push_str(mark);
    // Writing to a string cannot fail.
    let _ = write!(out, "{:0width$x}", c as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_would_misread_needs_quotes() {
        for text in [
            "",
            "8080",
            "1_000",
            "on",
            "y",
            "~",
            "null",
            "*.x",
            "0x1F",
            "1e3",
            ".inf",
            "- a",
            "-",
            "a: b",
            "a:",
            "a #b",
            " a",
            "a ",
            "&a",
            "!a",
            "@a",
            "`a",
            "%a",
            "|",
            ">",
            "{a",
            "[a",
            "#a",
            "'a",
            "\"a",
            "? a",
            "<<",
            "=",
            "12:30:45",
            "2001-01-01",
            "---",
            "...",
            "a\tb",
            "a\nb",
            "\u{feff}",
            "::1",
            "08080",
        ] {
            assert!(needs_quotes(text, false), "{text:?}");
        }
    }

    #[test]
    fn names_addresses_and_prefixed_keys_stand_plain() {
        for text in [
            "web",
            "k8s:io.kubernetes.pod.namespace",
            "app.kubernetes.io/name",
            "10.0.0.0/8",
            "10.0.0.1",
            "fd00::1",
            "api.stripe.com",
            "cilium.io/v2",
            "a#b",
            "a,b",
            "it's",
            "-foo",
            "größe",
            "a-b_c",
        ] {
            assert!(!needs_quotes(text, false), "{text:?}");
        }
        assert!(needs_quotes("a,b", true));
        assert!(!needs_quotes("k8s:app", true));
    }

    #[test]
    fn a_style_that_cannot_hold_a_text_gives_way_to_double_quotes() {
        assert_eq!(write("it's", Style::Single, false), "'it''s'");
        assert_eq!(write("a\nb", Style::Single, false), r#""a\nb""#);
        assert_eq!(write("8080", Style::Plain, false), r#""8080""#);
        assert_eq!(write("a\u{7}\u{2028}\"\\", Style::Double, false), r#""a\x07\u2028\"\\""#);
    }
}
