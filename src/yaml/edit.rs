//! What can be done to a file: the operations, each checked against the place
//! it touches before any text is written. A [`Change`] says what the data shall
//! be; [`super::Patch`] turns changes into bytes.

use super::intent::{Member, Step};
use super::locate::{Holder, Location};
use super::{Datum, Entry, Kind, Tree, Value};
use crate::source::{FileId, Span};

/// Whether a node that aliases repeat may be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Refuse: the edit would reach places that nobody looked at.
    #[default]
    Refuse,
    /// Edit it: the caller answers for every use.
    Allow,
}

/// Why a node cannot be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The node is an alias.
    #[error("an alias stands here; edit the anchor that it repeats")]
    Alias(Span),
    /// The node is, or is inside, an anchor that an alias repeats.
    #[error("aliases repeat what stands here, so the edit would change more than this place")]
    Shared(Span),
    /// The node is inside what `<<` merges in.
    #[error("this is merged into a mapping with <<; write the key out in that mapping instead")]
    MergeSource(Span),
    /// What would be removed holds an anchor that is needed elsewhere.
    #[error("an alias elsewhere needs an anchor in what would be removed; move the anchor first")]
    AnchorNeeded(Span),
    /// The node has a tag, or is inside one that has.
    #[error("a YAML tag stands here; edit this place by hand")]
    Tagged(Span),
    /// The document is a template.
    #[error("this document is a template; edit the values or the template by hand")]
    Template(Span),
    /// The document could not be read.
    #[error("this document cannot be read as YAML; mend that first")]
    Broken(Span),
    /// Its lines end as no system in use ends them.
    #[error("lines end with a carriage return alone; convert the line ends first")]
    OldLineEnds(Span),
    /// The file ends within a block scalar that a line break would change.
    #[error("the file ends in a block scalar without a line break; end that line first")]
    OpenEnd(Span),
    /// The node is of another kind, or has no such member.
    #[error("there is no such item or entry here")]
    NoSuchPlace(Span),
    /// The mapping has this key already.
    #[error("this key is there already")]
    KeyExists(Span),
    /// It is the only document; delete the file instead.
    #[error("this is the only document of its file; delete the file instead")]
    OnlyDocument(Span),
}

impl Refusal {
    /// The place that cannot be edited.
    pub fn span(self) -> Span {
        match self {
            Refusal::Alias(span)
            | Refusal::Shared(span)
            | Refusal::MergeSource(span)
            | Refusal::AnchorNeeded(span)
            | Refusal::Tagged(span)
            | Refusal::Template(span)
            | Refusal::Broken(span)
            | Refusal::OldLineEnds(span)
            | Refusal::OpenEnd(span)
            | Refusal::NoSuchPlace(span)
            | Refusal::KeyExists(span)
            | Refusal::OnlyDocument(span) => span,
        }
    }
}

/// One intended step on one file, already found possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub(super) file: FileId,
    pub(super) step: Step,
}

/// Makes changes. All places and indexes are those of the tree as it was read,
/// however many changes are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Editor {
    /// What to do about aliases.
    pub sharing: Sharing,
}

impl Editor {
    /// Puts another value in the place of a node. A string takes over the
    /// quotes of the scalar that it replaces.
    ///
    /// # Errors
    /// When the place cannot be edited.
    pub fn replace(self, value: Value<'_>, with: impl Into<Datum>) -> Result<Change, Refusal> {
        self.check(value)?;
        keeps_needed_anchors(value, value.span())?;
        Ok(change(value, Step::Replace(value.id(), with.into())))
    }

    /// Renames a key, keeping its quotes.
    ///
    /// # Errors
    /// When the place cannot be edited or the key is there already.
    pub fn rename_key(self, entry: &Entry<'_>, key: &str) -> Result<Change, Refusal> {
        let (mapping, _) = self.entry(entry)?;
        if !matches!(entry.key.kind(), Kind::Scalar(_)) || entry.key.is_merge_key() {
            return Err(Refusal::NoSuchPlace(entry.key.span()));
        }
        is_free(mapping, key)?;
        Ok(change(entry.key, Step::Rename(entry.key.id(), key.to_owned())))
    }

    /// Inserts an item before the one at `index`; past the last one it is
    /// appended. The node may be null: it becomes a sequence.
    ///
    /// # Errors
    /// When the place cannot be edited or is no sequence.
    pub fn insert_item(
        self,
        sequence: Value<'_>,
        index: usize,
        item: impl Into<Datum>,
    ) -> Result<Change, Refusal> {
        self.check(sequence)?;
        if !sequence.is_sequence() && !sequence.is_null() {
            return Err(Refusal::NoSuchPlace(sequence.span()));
        }
        let index = index.min(sequence.items().len());
        Ok(change(sequence, Step::Insert(sequence.id(), index, Member::Item(item.into()))))
    }

    /// Inserts an entry before the written entry at `index`; past the last one
    /// it is appended. The node may be null: it becomes a mapping.
    ///
    /// # Errors
    /// When the place cannot be edited, is no mapping, or has the key already.
    pub fn insert_entry(
        self,
        mapping: Value<'_>,
        index: usize,
        key: &str,
        value: impl Into<Datum>,
    ) -> Result<Change, Refusal> {
        self.check(mapping)?;
        if !mapping.is_mapping() && !mapping.is_null() {
            return Err(Refusal::NoSuchPlace(mapping.span()));
        }
        is_free(mapping, key)?;
        let index = index.min(mapping.written_entries().len());
        let member = Member::Entry(key.to_owned(), value.into());
        Ok(change(mapping, Step::Insert(mapping.id(), index, member)))
    }

    /// Removes an item with the comments that belong to it. The last one
    /// leaves `[]`.
    ///
    /// # Errors
    /// When the place cannot be edited or there is no such item.
    pub fn remove_item(self, sequence: Value<'_>, index: usize) -> Result<Change, Refusal> {
        self.check(sequence)?;
        let item = sequence.items().nth(index).ok_or(Refusal::NoSuchPlace(sequence.span()))?;
        keeps_needed_anchors(item.value, item.span)?;
        Ok(change(sequence, Step::Remove(sequence.id(), index)))
    }

    /// Removes an entry with the comments that belong to it. The last one
    /// leaves `{}`.
    ///
    /// # Errors
    /// When the place cannot be edited.
    pub fn remove_entry(self, entry: &Entry<'_>) -> Result<Change, Refusal> {
        let (mapping, index) = self.entry(entry)?;
        keeps_needed_anchors(entry.value, entry.span)?;
        Ok(change(mapping, Step::Remove(mapping.id(), index)))
    }

    /// Adds a document at the end of the file.
    ///
    /// # Errors
    /// When the last document cannot be read.
    pub fn append_document(self, tree: &Tree<'_>, document: impl Into<Datum>) -> Result<Change, Refusal> {
        if let Some(last) = tree.documents.last() {
            readable(tree, last.start, last.end, last.broken)?;
        }
        Ok(Change { file: tree.file, step: Step::AppendDocument(document.into()) })
    }

    /// Removes a document with its `---`.
    ///
    /// # Errors
    /// When it cannot be read or is the only one.
    pub fn remove_document(self, tree: &Tree<'_>, index: usize) -> Result<Change, Refusal> {
        let whole = tree.span(0, tree.text.len() as u32);
        let document = tree.documents.get(index).ok_or(Refusal::NoSuchPlace(whole))?;
        readable(tree, document.start, document.end, document.broken)?;
        if tree.roots().all(|(root, _)| root == index) {
            return Err(Refusal::OnlyDocument(whole));
        }
        Ok(Change { file: tree.file, step: Step::RemoveDocument(index) })
    }

    /// The mapping of an entry and the entry's index among the written ones.
    fn entry<'t>(self, entry: &Entry<'t>) -> Result<(Value<'t>, usize), Refusal> {
        let mapping = entry.key.parent().ok_or(Refusal::Broken(entry.span))?;
        self.check(mapping)?;
        let index = mapping.written_entries().position(|written| written.key == entry.key);
        index.map(|index| (mapping, index)).ok_or(Refusal::NoSuchPlace(entry.span))
    }

    fn check(self, value: Value<'_>) -> Result<(), Refusal> {
        let tree = value.tree();
        let location = Location::of(value).ok_or(Refusal::Broken(value.span()))?;
        if let Some(document) = tree.documents.get(location.document) {
            readable(tree, document.start, document.end, document.broken)?;
        }
        if matches!(value.kind(), Kind::Alias(_)) {
            return Err(Refusal::Alias(value.span()));
        }
        if location.holder == Holder::Key {
            return Err(Refusal::NoSuchPlace(value.span()));
        }
        for node in location.ancestors.iter().copied().chain([value]) {
            if node.is_tagged() {
                return Err(Refusal::Tagged(node.full_span()));
            }
            if self.sharing == Sharing::Refuse && node.is_repeated() {
                return Err(Refusal::Shared(node.full_span()));
            }
        }
        if self.sharing == Sharing::Refuse && location.is_merged(value) {
            return Err(Refusal::MergeSource(value.span()));
        }
        Ok(())
    }
}

fn change(value: Value<'_>, step: Step) -> Change {
    Change { file: value.tree().file, step }
}

fn is_free(mapping: Value<'_>, key: &str) -> Result<(), Refusal> {
    let known = mapping.written_entries().find(|entry| entry.key.text().is_some_and(|text| text == key));
    known.map_or(Ok(()), |entry| Err(Refusal::KeyExists(entry.key.span())))
}

/// Helm reads braces even in comments, so one anywhere makes a template.
fn readable(tree: &Tree<'_>, start: u32, end: u32, broken: bool) -> Result<(), Refusal> {
    let text = &tree.text[start as usize..end as usize];
    let place = |at: usize, width: u32| tree.span(start + at as u32, start + at as u32 + width);
    if let Some(at) = text.find("{{") {
        return Err(Refusal::Template(place(at, 2)));
    }
    let lone = |at: &usize| !text[at + 1..].starts_with('\n');
    if let Some(at) = memchr::memchr_iter(b'\r', text.as_bytes()).find(lone) {
        return Err(Refusal::OldLineEnds(place(at, 1)));
    }
    if broken { Err(Refusal::Broken(tree.span(start, end))) } else { Ok(()) }
}

/// Aliases outside of what goes away must not lose their anchor.
fn keeps_needed_anchors(value: Value<'_>, gone: Span) -> Result<(), Refusal> {
    let needed = value.tree().needed_anchor(gone);
    needed.map_or(Ok(()), |anchored| Err(Refusal::AnchorNeeded(anchored.full_span())))
}
