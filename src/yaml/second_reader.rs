//! The second opinion: no edited text is believed before our reader finds in it
//! exactly the intended data, and serde_yaml, whose grammar is libyaml's and so
//! kubectl's, reads every changed document the same way.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    Deserialize, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::intent::Intent;
use super::patch::EditError;
use super::{Datum, Kind, Resolved, Tree, Value, parse};

/// How the edited text differs from what was intended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another number of documents.
    #[error("it holds {found} documents instead of {wanted}")]
    Documents {
        /// How many there should be.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// Our reader finds other data in a document.
    #[error("document {document} says something else at {path:?}")]
    Data {
        /// Its number in the file, from 1.
        document: usize,
        /// Where the first difference is, as `spec.ingress[0]`.
        path: String,
    },
    /// serde_yaml does not read it as we do.
    #[error("a second reader disagrees about document {document}: {why}")]
    SecondReader {
        /// Its number in the file, from 1.
        document: usize,
        /// What it says, or where it differs.
        why: String,
    },
}

/// What stands in one document: data, or text that could not be read.
#[derive(Debug, PartialEq)]
enum Content<'t> {
    Data(Datum),
    Unreadable(&'t str),
}

/// Reads the edited text with both readers.
///
/// # Errors
/// When it does not say what the intent wants.
pub(super) fn verify(before: &Tree<'_>, intent: &Intent, text: &str) -> Result<(), EditError> {
    let after = parse(before.file, text);
    let mut wanted = contents(before, intent)?;
    wanted.extend(intent.appended.iter().cloned().map(Content::Data));
    let found = contents(&after, &Intent::default())?;
    if wanted.len() != found.len() {
        return Err(Mismatch::Documents { wanted: wanted.len(), found: found.len() }.into());
    }
    for (index, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
        if wanted != found {
            let mut path = String::new();
            if let (Content::Data(wanted), Content::Data(found)) = (wanted, found) {
                first_difference(wanted, found, &mut path);
            }
            return Err(Mismatch::Data { document: index + 1, path }.into());
        }
    }
    read_changed_documents(before, &after)?;
    Ok(())
}

fn contents<'t>(tree: &Tree<'t>, intent: &Intent) -> Result<Vec<Content<'t>>, EditError> {
    let mut contents = Vec::new();
    for (index, document) in tree.documents.iter().enumerate() {
        if intent.removed.contains(&index) {
            continue;
        }
        if document.broken {
            contents.push(Content::Unreadable(&tree.text[document.start as usize..document.end as usize]));
        } else if let Some(root) = document.root {
            contents.push(Content::Data(intent.datum(tree.value(root))?));
        }
    }
    Ok(contents)
}

/// Walks to the first place where two trees differ.
fn first_difference(wanted: &Datum, found: &Datum, path: &mut String) {
    match (wanted, found) {
        (Datum::Map(wanted), Datum::Map(found)) => {
            let differing = wanted.iter().zip(found).find(|(wanted, found)| wanted != found);
            if let Some(((key, wanted), (_, found))) = differing.filter(|(a, b)| a.0 == b.0) {
                path.push('.');
                path.push_str(key);
                first_difference(wanted, found, path);
            }
        }
        (Datum::Seq(wanted), Datum::Seq(found)) => {
            let mut pairs = wanted.iter().zip(found).enumerate();
            if let Some((index, (wanted, found))) = pairs.find(|(_, (a, b))| a != b) {
                path.push_str(&format!("[{index}]"));
                first_difference(wanted, found, path);
            }
        }
        _ => {}
    }
}

fn read_changed_documents(before: &Tree<'_>, after: &Tree<'_>) -> Result<(), Mismatch> {
    fn texts<'t>(tree: &'t Tree<'_>) -> impl Iterator<Item = &'t str> {
        tree.documents.iter().map(|document| &tree.text[document.start as usize..document.end as usize])
    }
    let unchanged: HashSet<&str> = texts(before).collect();
    for (index, (document, text)) in after.documents.iter().zip(texts(after)).enumerate() {
        let Some(root) = document.root.filter(|_| !unchanged.contains(text)) else {
            continue;
        };
        let disagrees = |why: String| Mismatch::SecondReader { document: index + 1, why };
        let mut documents = serde_yaml::Deserializer::from_str(text);
        let first = documents.next().ok_or_else(|| disagrees("it finds nothing there".to_owned()))?;
        let read = Reading::deserialize(first).map_err(|error| disagrees(error.to_string()))?;
        agree(after.value(root), &read).map_err(|text| disagrees(format!("it reads {text} otherwise")))?;
    }
    Ok(())
}

/// What serde_yaml reads: merge keys and duplicates as they are written,
/// scalars by the rules of YAML 1.2.
#[derive(Debug)]
enum Reading {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Map(Vec<(Reading, Reading)>),
    Seq(Vec<Reading>),
}

/// Whether both readers see the same structure and the same scalars; the error
/// is the text of the first node where they do not.
fn agree(value: Value<'_>, read: &Reading) -> Result<(), String> {
    // No edit writes an alias, and serde_yaml mistakes anchors that are defined anew.
    if matches!(value.kind(), Kind::Alias(_)) {
        return Ok(());
    }
    let same = match read {
        Reading::Map(read) => {
            for (entry, (key, inner)) in value.written_entries().zip(read) {
                agree(entry.key, key)?;
                agree(entry.value, inner)?;
            }
            value.is_mapping() && value.written_entries().len() == read.len()
        }
        Reading::Seq(read) => {
            for (item, inner) in value.items().zip(read) {
                agree(item.value, inner)?;
            }
            value.is_sequence() && value.items().len() == read.len()
        }
        Reading::Text(text) => value.text().is_some_and(|own| own == text.as_str()),
        _ if value.is_tagged() => value.resolved().is_some(),
        scalar => value.resolved().is_some_and(|own| same_scalar(&own, scalar)),
    };
    if same { Ok(()) } else { Err(value.raw().chars().take(40).collect()) }
}

fn same_scalar(own: &Resolved<'_>, read: &Reading) -> bool {
    match (own, read) {
        (Resolved::Null, Reading::Null) => true,
        (Resolved::Bool(own), Reading::Bool(read)) => own == read,
        (Resolved::Int(own), Reading::Int(read)) => i128::from(*own) == *read,
        (Resolved::Int(own), Reading::Float(read)) => *own as f64 == *read,
        (Resolved::Float(own), Reading::Int(read)) => *own == *read as f64,
        (Resolved::Float(own), Reading::Float(read)) => own == read || (own.is_nan() && read.is_nan()),
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadingVisitor)
    }
}

struct ReadingVisitor;

impl<'de> Visitor<'de> for ReadingVisitor {
    type Value = Reading;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Reading, E> {
        Ok(Reading::Null)
    }

    fn visit_none<E>(self) -> Result<Reading, E> {
        Ok(Reading::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Reading, D::Error> {
        Reading::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Reading, E> {
        Ok(Reading::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Reading, E> {
        Ok(Reading::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Reading, E> {
        Ok(Reading::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Reading, E> {
        Ok(Reading::Int(value))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Reading, E> {
        i128::try_from(value).map(Reading::Int).map_err(|_| E::custom("a number beyond 128 bits"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Reading, E> {
        Ok(Reading::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Reading, E> {
        Ok(Reading::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Reading, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            read.push(item);
        }
        Ok(Reading::Seq(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Reading, A::Error> {
        let mut read = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            read.push(entry);
        }
        Ok(Reading::Map(read))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Reading, A::Error> {
        let (_, content): (String, _) = tagged.variant()?;
        content.newtype_variant().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn checked(before: &str, after: &str) -> Result<(), EditError> {
        verify(&parse(FileId(0), before), &Intent::default(), after)
    }

    #[test]
    fn a_text_that_says_something_else_is_named_with_its_place() {
        let before = "spec: {ingress: [{a: 1}]}\n";
        let wrong = checked(before, "spec: {ingress: [{a: 2}]}\n");
        let path = ".spec.ingress[0].a".to_owned();
        assert_eq!(wrong, Err(Mismatch::Data { document: 1, path }.into()));
        let more = checked(before, "spec: {ingress: [{a: 1}]}\n---\nb: 1\n");
        assert_eq!(more, Err(Mismatch::Documents { wanted: 1, found: 2 }.into()));
        assert!(checked(before, "spec: [\n").is_err());
    }

    #[test]
    fn what_the_readers_know_differently_is_no_difference() {
        let text = "a: [on, 017, 0o17, 1_000, 08080, ~, 0x1F, 1e3, '1', .inf]\nb: &x {k: 1}\nc: {<<: *x, k: 2}\nb: 3\n";
        assert_eq!(checked(text, &format!("# moved\n{text}")), Ok(()));
        assert_eq!(checked("!t {a: !!str 1}\n", "!t {a: !!str 1} # c\n"), Ok(()));
    }

    #[test]
    fn what_only_our_reader_takes_is_withheld() {
        let text = "a: \"b\"\n";
        assert_eq!(checked(text, text), Ok(()));
        let deep = format!("{}1{}\n", "[".repeat(200), "]".repeat(200));
        assert!(checked(&deep, &deep).is_ok(), "an unchanged document is not read again");
        let changed = checked(&deep, &format!("# c\n{deep}"));
        assert!(matches!(changed, Err(EditError::Mismatch(Mismatch::SecondReader { document: 1, .. }))));
    }
}
