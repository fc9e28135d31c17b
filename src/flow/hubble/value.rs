//! The values of protobuf's JSON as its many writers spell them: numbers as
//! numbers or strings, enums by name or number (`flow-formats.md` 1.2).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Unexpected, Visitor};

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

/// A word, or the number that stands for it: the value of an enum.
#[derive(Debug, Clone)]
pub(crate) enum Word<'a> {
    /// By name.
    Name(Text<'a>),
    /// By number.
    Number(u64),
}

impl Word<'_> {
    /// The name, looked up in `names` when only the number is written.
    pub(crate) fn name<'s>(&'s self, names: &[&'s str]) -> &'s str {
        match self {
            Word::Name(name) => name,
            Word::Number(number) => {
                usize::try_from(*number).ok().and_then(|n| names.get(n)).copied().unwrap_or("")
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;
        impl<'de> Visitor<'de> for WordVisitor {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or number of an enum's value")
            }

            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Word::Name(Text(Cow::Borrowed(v))))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Word::Name(Text(Cow::Owned(v.to_owned()))))
            }

            fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Word::Number(v))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Word::Number(u64::MAX))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Word::Number(u64::MAX))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Word::Number(u64::MAX))
            }
        }
        deserializer.deserialize_any(WordVisitor)
    }
}

/// A mark that a key is there with a value other than null; the value is not kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Present)
    }
}
