//! What is told to people: one shape for the causes of drops and for lints,
//! from which every output format is made.

use std::path::PathBuf;

use crate::source::{FileId, Source, Span, Splice};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; shown only when asked for.
    Note,
    /// Very likely wrong.
    Warning,
    /// Wrong, or refused by Cilium.
    Error,
}

impl Severity {
    /// `note`, `warning`, `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A place and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words.
    pub text: String,
}

/// A line below the excerpt: `why`, `seen`, `fix`, `proof` …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What the line is about: one short word.
    pub heading: &'static str,
    /// The text; long lines are wrapped where they are shown.
    pub text: String,
}

/// One thing that is wrong, with the place to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its id, which `policyfix explain` knows.
    pub id: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What happened, in a sentence without full stop.
    pub title: String,
    /// The place that is blamed; `None` where nothing in the manifests is.
    pub primary: Option<Label>,
    /// Other places that matter.
    pub related: Vec<Label>,
    /// Why, seen, fix, proof: in the order in which they are read.
    pub notes: Vec<Note>,
    /// The mend, where there is one.
    pub fix: Option<Fix>,
}

/// How far a fix may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Safety {
    /// Proven, and nothing else is meant by it.
    Safe,
    /// Proven, but the intent is a guess.
    Unsafe,
    /// The text cannot be edited: the edit is described.
    DisplayOnly,
}

impl Safety {
    /// `safe`, `unsafe`, `display-only`.
    pub fn as_str(self) -> &'static str {
        match self {
            Safety::Safe => "safe",
            Safety::Unsafe => "unsafe",
            Safety::DisplayOnly => "display-only",
        }
    }
}

/// A mend: what it does, and the files as they are with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in a few words: `change "443" to "50051"`.
    pub title: String,
    /// How far it may be trusted.
    pub safety: Safety,
    /// The files it touches, in order of their names; empty when it is only described.
    pub files: Vec<FileChange>,
}

/// One file with a mend applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file that was read; `None` for a new file.
    pub file: Option<FileId>,
    /// Where it lies on disk.
    pub path: PathBuf,
    /// How it is named in a diff.
    pub name: String,
    /// Its text before; empty for a new file.
    pub before: String,
    /// Its text with the mend.
    pub after: String,
    /// The splices that make the one from the other; empty for a new file.
    pub edits: Vec<Splice>,
}

impl FileChange {
    /// A file that was read, with splices that make its text into another.
    pub fn edited(file: FileId, source: &Source, edits: Vec<Splice>, after: String) -> Self {
        Self {
            file: Some(file),
            path: source.path.clone(),
            name: source.name.clone(),
            before: source.text.clone(),
            after,
            edits,
        }
    }
}
