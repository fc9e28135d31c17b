//! Findings and verdicts to text: one file a format, and the only code that formats.

pub mod diff;
mod excerpt;
pub mod flows;
pub mod github;
pub mod json;
pub mod markdown;
pub mod merge;
mod notes;
pub mod patch;
mod place;
pub mod rdjson;
#[cfg(test)]
mod samples;
pub mod sarif;
pub mod tally;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod verdict;
pub(crate) mod visible;
mod wrap;
pub mod write;

use std::io::{self, Write};

use clap::ValueEnum;

use crate::explain;
use crate::finding::{Finding, Fix, Safety};
use crate::source::Sources;
use merge::{Conflict, Merge};
use terminal::Look;

/// A form in which findings and fixes can be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: the lines that are blamed, and why
    #[default]
    Text,
    /// A unified diff of all fixes, for `git apply`
    Diff,
    /// Mailed patches, one a fix, for `git am`
    Patch,
    /// One JSON object with everything (version 1, see docs/json.md)
    Json,
    /// SARIF 2.1.0 with fixes, for code scanning
    Sarif,
    /// Reviewdog's format with suggestions
    Rdjson,
    /// Annotations of GitHub Actions
    Github,
    /// A comment on a pull request
    Markdown,
}

/// What is told of the run as a whole.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The subcommand: `lint` or `suggest`.
    pub command: &'static str,
    /// What came of it, in a line without full stop.
    pub summary: String,
    /// Whether unsafe fixes are offered as well as safe ones.
    pub unsafe_fixes: bool,
    /// The date of patches: a time from the input, such as that of the last drop, so
    /// that the same input makes the same patches. Without it they have no date, and
    /// `git am` takes the time of day.
    pub date: Option<jiff::Timestamp>,
}

impl Run {
    /// The fix of a finding, where it can be made and may be offered.
    pub fn offered<'f>(&self, finding: &'f Finding) -> Option<&'f Fix> {
        let trusted = |fix: &&Fix| match fix.safety {
            Safety::Safe => true,
            Safety::Unsafe => self.unsafe_fixes,
            Safety::DisplayOnly => false,
        };
        finding.fix.as_ref().filter(trusted).filter(|fix| !fix.files.is_empty())
    }
}

/// Writes findings in a form. The fixes that a diff or patches had to leave
/// out, because they change what another fix changes, are given back.
///
/// # Errors
/// When the stream cannot be written.
pub fn render(
    format: Format,
    findings: &[Finding],
    sources: &Sources,
    run: &Run,
    look: &Look,
    out: &mut dyn Write,
) -> io::Result<Vec<Conflict>> {
    let text = match format {
        Format::Text => {
            for finding in findings {
                terminal::write_finding(finding, sources, look, out)?;
                writeln!(out)?;
            }
            return Ok(Vec::new());
        }
        Format::Diff => {
            let (merge, conflicts) = Merge::of(findings, run);
            out.write_all(diff::unified(&merge.into_files()).as_bytes())?;
            return Ok(conflicts);
        }
        Format::Patch => {
            let (patches, conflicts) = patch::patches(findings, run);
            patches.iter().try_for_each(|patch| out.write_all(patch.text.as_bytes()))?;
            return Ok(conflicts);
        }
        Format::Json => json::document(findings, sources, run),
        Format::Sarif => sarif::log(findings, sources, run),
        Format::Rdjson => rdjson::result(findings, sources, run),
        Format::Github => github::commands(findings, sources),
        Format::Markdown => markdown::comment(findings, sources, run),
    };
    out.write_all(text.as_bytes())?;
    Ok(Vec::new())
}

/// The address of the project.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// Where the page of an id can be read; `None` for an id without page.
fn page_address(id: &str) -> Option<String> {
    let page = explain::page(id)?;
    Some(format!("{HOME}/blob/main/src/explain/{}.md", page.id))
}

/// Title and notes, a line each, for formats that have one message.
fn message(finding: &Finding) -> String {
    let mut message = finding.title.clone();
    for note in notes::notes(finding) {
        message.push_str(&format!("\n{}: {}", note.heading, note.text));
    }
    visible::visible_lines(&message)
}

/// A document of JSON as it is written: indented, one line end at its end.
fn pretty(document: &impl serde::Serialize) -> String {
    // Only maps with keys other than strings cannot be written, and there are none.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use samples::{new_policy, sample, service_port};

    #[test]
    fn every_form_takes_every_finding() {
        let (finding, sources) = service_port();
        let (mut odd, _) = sample("", 7..1000);
        odd.id = "no-page";
        odd.title = "\u{1b}]0;\u{7}\r\n\u{202e}%``` --- ]]> \0".into();
        let findings = [finding, new_policy(), odd];
        for format in Format::value_variants() {
            for findings in [&findings[..], &[]] {
                let mut out = Vec::new();
                let run = Run::default();
                let left = render(*format, findings, &sources, &run, &Look::default(), &mut out).unwrap();
                assert_eq!(left, []);
                let text = String::from_utf8(out).unwrap();
                assert!(!text.contains('\u{1b}'), "{format:?}: {text}");
                assert!(findings.is_empty() || !text.is_empty(), "{format:?}");
            }
        }
    }
}
