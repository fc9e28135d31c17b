//! Plain data: what a document says once aliases, merges, duplicates and
//! spelling are taken away. It is what an edit intends, and what the patched
//! text must read back as.

use super::{Resolved, Value, intent::Intent};

/// The most nodes and the deepest nesting that are expanded from one document:
/// far above any manifest, far below an alias bomb.
pub(super) const MOST_NODES: usize = 200_000;
pub(super) const DEEPEST: usize = 512;

/// A tree of plain data.
#[derive(Debug, Clone)]
pub enum Datum {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    String(String),
    /// Entries in their written order, each key once.
    Map(Vec<(String, Datum)>),
    /// Items in order.
    Seq(Vec<Datum>),
}

/// A document expands to more than is sane: aliases of aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("aliases expand to more than {MOST_NODES} nodes or {DEEPEST} levels; write out what they stand for")]
pub struct TooLarge;

impl Datum {
    /// What a node says to kubectl: aliases and merges expanded, scalars
    /// resolved, the last of duplicate keys. Keys are texts, as in JSON.
    ///
    /// # Errors
    /// When aliases blow it up beyond any manifest's size.
    pub fn of(value: Value<'_>) -> Result<Datum, TooLarge> {
        Intent::default().datum(value)
    }

    /// A mapping from pairs.
    pub fn map<K: Into<String>, V: Into<Datum>>(entries: impl IntoIterator<Item = (K, V)>) -> Datum {
        Datum::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// A sequence from items.
    pub fn seq<V: Into<Datum>>(items: impl IntoIterator<Item = V>) -> Datum {
        Datum::Seq(items.into_iter().map(Into::into).collect())
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Datum> {
        match self {
            Datum::Map(entries) => entries.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether it holds others: a mapping or a sequence, empty or not.
    pub fn is_collection(&self) -> bool {
        matches!(self, Datum::Map(_) | Datum::Seq(_))
    }

    /// Entries of a mapping or items of a sequence; 0 for a scalar.
    pub(super) fn len(&self) -> usize {
        match self {
            Datum::Map(entries) => entries.len(),
            Datum::Seq(items) => items.len(),
            _ => 0,
        }
    }

    /// Whether a collection holds further collections that are not empty.
    pub(super) fn is_nested(&self) -> bool {
        let filled = |datum: &Datum| datum.len() > 0;
        match self {
            Datum::Map(entries) => entries.iter().any(|(_, value)| filled(value)),
            Datum::Seq(items) => items.iter().any(filled),
            _ => false,
        }
    }
}

/// Not-a-number equals itself here: the question is whether two texts say the same.
impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Datum::Null, Datum::Null) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::Int(a), Datum::Int(b)) => a == b,
            (Datum::Float(a), Datum::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Datum::String(a), Datum::String(b)) => a == b,
            (Datum::Map(a), Datum::Map(b)) => a == b,
            (Datum::Seq(a), Datum::Seq(b)) => a == b,
            _ => false,
        }
    }
}

impl From<Resolved<'_>> for Datum {
    fn from(resolved: Resolved<'_>) -> Self {
        match resolved {
            Resolved::Null => Datum::Null,
            Resolved::Bool(value) => Datum::Bool(value),
            Resolved::Int(value) => Datum::Int(value),
            Resolved::Float(value) => Datum::Float(value),
            Resolved::String(text) => Datum::String(text.into_owned()),
        }
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Datum::String(text.to_owned())
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Self {
        Datum::String(text)
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Datum::Bool(value)
    }
}

impl From<i64> for Datum {
    fn from(value: i64) -> Self {
        Datum::Int(value)
    }
}

impl From<u16> for Datum {
    fn from(value: u16) -> Self {
        Datum::Int(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    fn datum(text: &str) -> Result<Datum, TooLarge> {
        let tree = parse(FileId(0), text);
        assert!(tree.errors.is_empty(), "{:?}", tree.errors);
        Datum::of(tree.roots().next().unwrap().1)
    }

    #[test]
    fn scalars_are_what_kubectl_reads() {
        let read = datum("[017, on, ~, '8080', 1.5, web]").unwrap();
        let want =
            [Datum::Int(15), Datum::Bool(true), Datum::Null, "8080".into(), Datum::Float(1.5), "web".into()];
        assert_eq!(read, Datum::seq(want));
    }

    #[test]
    fn aliases_and_merges_are_expanded_and_the_last_duplicate_wins() {
        let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n  z: 4\n  z: 5\n";
        let used = datum(text).unwrap();
        let want = Datum::map([("y", 3_i64), ("z", 5), ("x", 1)]);
        assert_eq!(used.get("use"), Some(&want));
    }
}
