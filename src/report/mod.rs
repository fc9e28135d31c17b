//! Findings and verdicts to text: one file a format, and the only code that formats.

pub mod diff;
mod excerpt;
pub mod flows;
#[cfg(test)]
mod samples;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod verdict;
mod wrap;

use crate::explain;
use crate::finding::{Finding, Note};

/// Where the page of an id can be read; `None` for an id without page.
fn page_address(id: &str) -> Option<String> {
    let page = explain::page(id)?;
    Some(format!("{}/blob/main/src/explain/{}.md", env!("CARGO_PKG_REPOSITORY"), page.id))
}

/// The notes of a finding as they are read; a fix of which no note speaks is
/// told by its title.
fn notes(finding: &Finding) -> Vec<Note> {
    let mut notes = finding.notes.clone();
    if let Some(fix) = &finding.fix
        && !notes.iter().any(|note| note.heading == "fix")
    {
        notes.push(Note { heading: "fix", text: format!("{} ({})", fix.title, fix.safety.as_str()) });
    }
    notes
}
