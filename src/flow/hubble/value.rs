//! The values of protobuf's JSON as its many writers spell them: numbers as
//! numbers or strings, enums by name or number (`flow-formats.md` 1.2).

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// A string, borrowed from the line unless it holds escapes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// An integer, written as a number or as a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(pub(crate) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: Error>(self, v: u64) -> Result<Number, E> {
                Ok(Number(v))
            }

            fn visit_i64<E: Error>(self, v: i64) -> Result<Number, E> {
                u64::try_from(v).map(Number).map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))
            }

            fn visit_f64<E: Error>(self, v: f64) -> Result<Number, E> {
                let whole = v.fract() == 0.0 && (0.0..9e15).contains(&v);
                if whole { Ok(Number(v as u64)) } else { Err(E::invalid_value(Unexpected::Float(v), &self)) }
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Number, E> {
                v.trim().parse().map(Number).map_err(|_| E::invalid_value(Unexpected::Str(v), &self))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A word, or the number that stands for it: the value of an enum. Escapes stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// By name.
    Name(&'a str),
    /// By number.
    Number(u64),
}

impl<'a> Word<'a> {
    /// The name, looked up in `names` when only the number is written.
    pub(crate) fn name(self, names: &[&'a str]) -> &'a str {
        match self {
            Word::Name(name) => name,
            Word::Number(number) => {
                usize::try_from(number).ok().and_then(|n| names.get(n)).copied().unwrap_or("")
            }
        }
    }
}

/// Reads raw JSON as a word; `None` if it is neither string nor number.
pub(super) fn word(raw: &str) -> Option<Word<'_>> {
    match raw.as_bytes().first()? {
        b'"' => Some(Word::Name(text_of(raw))),
        b'0'..=b'9' => number(raw).map(Word::Number),
        _ => None,
    }
}

/// The inside of a raw JSON string, escapes as they are; nothing of what is none.
pub(super) fn text_of(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or_default()
}

/// The inside of a raw JSON string without its escapes; as it is where they are wrong.
pub(super) fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    serde_json::from_str(&format!("\"{raw}\"")).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// Reads raw JSON as a whole number, written as one or as a string.
pub(super) fn number(raw: &str) -> Option<u64> {
    let digits = if raw.starts_with('"') { text_of(raw) } else { raw };
    digits.parse().ok()
}

/// Reads a time; RFC 3339 in UTC, as Cilium writes it, without a detour.
pub(super) fn timestamp(word: Option<Word<'_>>) -> Option<Timestamp> {
    let Word::Name(text) = word? else { return None };
    utc(text.as_bytes()).or_else(|| text.parse().ok())
}

/// `2026-01-02T03:04:05.678901234Z`; `None` for any other form.
fn utc(text: &[u8]) -> Option<Timestamp> {
    let digits = |from: usize, to: usize| {
        text.get(from..to)?.iter().try_fold(0i64, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
        })
    };
    let (date, fraction) = text.split_at_checked(19)?;
    if date.get(4) != Some(&b'-') || date.get(10) != Some(&b'T') || date.get(13) != Some(&b':') {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let in_range =
        (1..=12).contains(&month) && (1..=28).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let nanoseconds = match fraction {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit) => {
            let number = digits.iter().fold(0i32, |number, byte| number * 10 + i32::from(byte - b'0'));
            number * 10i32.pow(9 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    if !in_range {
        return None;
    }
    // Days since 1970 by the years that begin in March (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468;
    Timestamp::new(days * 86_400 + hour * 3600 + minute * 60 + second, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_to_a_time_leads_where_the_long_one_does() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-28T23:59:59.9Z",
            "2026-03-01T00:00:00.000000001Z",
            "2100-12-11T10:09:08.123456Z",
            "1969-12-01T00:00:01Z",
            "2000-02-10T12:00:00.000Z",
        ] {
            assert_eq!(utc(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in
            ["2024-02-28T23:59:59+01:00", "2024-02-30T00:00:00Z", "2024-13-01T00:00:00Z", "24-1-1T0:0:0Z"]
        {
            assert_eq!(utc(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_may_be_strings() {
        assert_eq!(
            (number("12"), number("\"12\""), number("-1"), number("{}")),
            (Some(12), Some(12), None, None)
        );
        assert_eq!(word("3"), Some(Word::Number(3)));
        assert_eq!(word("\"DROPPED\""), Some(Word::Name("DROPPED")));
        assert_eq!(word("{}"), None);
    }
}
