//! A baseline: findings that a repository has accepted for now. They are known
//! by rule, object and content, so that lines may move; what is mended must go
//! from the baseline too, and is told.

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::found::Found;
use crate::manifest::Object;

/// The version of the format.
const VERSION: u32 = 1;

/// The content of a baseline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    findings: Vec<Entry>,
}

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The id of the rule.
    pub rule: String,
    /// The object in which it is: kind, namespace and name; the file where it is in none.
    pub object: String,
    /// The text that it points at, and what is said of it.
    pub content: String,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is no baseline.
    #[error("this is no baseline of policyfix: {0}; write a new one with --update-baseline")]
    Unreadable(#[from] serde_json::Error),
    /// A later release wrote it.
    #[error(
        "the baseline has version {0}, and this release knows version {VERSION}; write a new one with --update-baseline"
    )]
    Version(u32),
}

impl Baseline {
    /// Of these findings.
    pub fn of(context: &Context<'_, '_>, findings: &[Found]) -> Self {
        let mut findings: Vec<Entry> = findings.iter().map(|found| Entry::of(context, found)).collect();
        findings.sort();
        Self { version: VERSION, findings }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no baseline, or one of another version.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_str(text)?;
        if baseline.version != VERSION {
            return Err(BaselineError::Version(baseline.version));
        }
        Ok(baseline)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Takes away the findings that are accepted, each entry as often as it
    /// stands here, and returns the entries that accept nothing any more.
    pub fn accept(&self, context: &Context<'_, '_>, findings: &mut Vec<Found>) -> Vec<Entry> {
        let mut left = self.findings.clone();
        findings.retain(|found| {
            let entry = Entry::of(context, found);
            let accepted = left.iter().position(|own| *own == entry);
            if let Some(at) = accepted {
                left.remove(at);
            }
            accepted.is_none()
        });
        left
    }
}

impl Entry {
    fn of(context: &Context<'_, '_>, found: &Found) -> Self {
        let span = found.primary.span;
        let object = context.model.objects().iter().find(|object| {
            let own = object.value.full_span();
            own.file == span.file && (own.start..=own.end).contains(&span.start)
        });
        let title = object.map_or_else(|| context.sources[span.file].name.clone(), title);
        let words: Vec<&str> = context.sources.text(span).split_whitespace().collect();
        Self {
            rule: found.rule.id.to_owned(),
            object: title,
            content: format!("{}: {}", words.join(" "), found.title),
        }
    }
}

fn title(object: &Object<'_>) -> String {
    let text = |field: &Option<crate::source::Spanned<crate::manifest::Text<'_>>>| {
        field.as_ref().map(|field| field.value.to_string()).unwrap_or_default()
    };
    format!("{} {}/{}", object.kind, text(&object.namespace), text(&object.name))
}
