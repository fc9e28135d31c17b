//! Findings as one JSON object, for programs. `docs/json.md` describes it.
//! Fields may be added within a version; one that changes its meaning or goes
//! away makes a new version.

use serde::Serialize;

use super::notes::notes;
use super::place::{Region, Replacement, replacements};
use super::{Run, page_address, pretty};
use crate::finding::{FileChange, Finding, Fix, Label, Note};
use crate::source::Sources;

/// The version of the document, a number that programs can rely on.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    tool: Tool,
    command: &'a str,
    summary: &'a str,
    findings: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    severity: &'static str,
    title: &'a str,
    page: Option<String>,
    place: Option<Place<'a>>,
    related: Vec<Place<'a>>,
    notes: Vec<NoteEntry>,
    fix: Option<FixEntry<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    #[serde(flatten)]
    region: Region,
    label: &'a str,
}

#[derive(Serialize)]
struct NoteEntry {
    heading: &'static str,
    text: String,
}

#[derive(Serialize)]
struct FixEntry<'a> {
    title: &'a str,
    safety: &'static str,
    files: Vec<FileEntry<'a>>,
}

#[derive(Serialize)]
struct FileEntry<'a> {
    file: &'a str,
    new: bool,
    edits: Vec<Replacement>,
}

/// The document of all findings.
pub fn document(findings: &[Finding], sources: &Sources, run: &Run) -> String {
    pretty(&Document {
        version: VERSION,
        tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        command: run.command,
        summary: &run.summary,
        findings: findings.iter().map(|finding| entry(finding, sources)).collect(),
    })
}

fn entry<'a>(finding: &'a Finding, sources: &'a Sources) -> Entry<'a> {
    let note = |note: Note| NoteEntry { heading: note.heading, text: note.text };
    Entry {
        id: finding.id,
        severity: finding.severity.as_str(),
        title: &finding.title,
        page: page_address(finding.id),
        place: finding.primary.as_ref().map(|label| place(label, sources)),
        related: finding.related.iter().map(|label| place(label, sources)).collect(),
        notes: notes(finding).into_iter().map(note).collect(),
        fix: finding.fix.as_ref().map(fix_entry),
    }
}

fn place<'a>(label: &'a Label, sources: &'a Sources) -> Place<'a> {
    Place { file: &sources[label.span.file].name, region: Region::of(label, sources), label: &label.text }
}

fn fix_entry(fix: &Fix) -> FixEntry<'_> {
    FixEntry {
        title: &fix.title,
        safety: fix.safety.as_str(),
        files: fix.files.iter().map(file_entry).collect(),
    }
}

fn file_entry(change: &FileChange) -> FileEntry<'_> {
    FileEntry { file: &change.name, new: change.file.is_none(), edits: replacements(change) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::samples::{new_policy, sample, service_port};

    fn run() -> Run {
        Run { command: "suggest", summary: "1 cause, 1 safe fix for 37 drops".into(), ..Run::default() }
    }

    fn read(findings: &[Finding], sources: &Sources) -> Value {
        serde_json::from_str(&document(findings, sources, &run())).unwrap()
    }

    #[test]
    fn the_document_has_places_notes_and_edits() {
        let (finding, sources) = service_port();
        let document = read(&[finding], &sources);
        assert_eq!(document["version"], 1);
        assert_eq!(document["command"], "suggest");
        let entry = &document["findings"][0];
        assert_eq!(entry["id"], "service-port");
        assert_eq!(entry["place"]["file"], "k8s/payments/ledger.yaml");
        assert_eq!(entry["place"]["start"], json!({"line": 14, "column": 21, "byte": 377}));
        assert_eq!(entry["place"]["end"], json!({"line": 14, "column": 26, "byte": 382}));
        assert_eq!(entry["related"][0]["label"], "the pod listens here");
        assert_eq!(entry["notes"][1]["heading"], "seen");
        let edits = json!([{
            "start": {"line": 14, "column": 21, "byte": 377},
            "end": {"line": 14, "column": 26, "byte": 382},
            "text": "\"50051\"",
        }]);
        let file = json!({"file": "k8s/payments/ledger.yaml", "new": false, "edits": edits});
        assert_eq!(entry["fix"]["safety"], "safe");
        assert_eq!(entry["fix"]["files"], json!([file]));
    }

    #[test]
    fn the_example_of_the_page_is_what_is_written() {
        let page = include_str!("../../docs/json.md");
        let example = page.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let mut example: Value = serde_json::from_str(example).unwrap();
        example["tool"]["version"] = env!("CARGO_PKG_VERSION").into();
        let (mut finding, sources) = service_port();
        finding.related.clear();
        finding.notes.retain(|note| note.heading == "seen");
        let mut document = read(&[finding], &sources);
        // The page has no line for the fix, to be short.
        document["findings"][0]["notes"].as_array_mut().unwrap().truncate(1);
        assert_eq!(document, example);
    }

    #[test]
    fn a_finding_without_place_or_fix_has_null_for_it() {
        let (mut finding, sources) = sample("a: 1\n", 0..1);
        finding.primary = None;
        let document = read(&[finding], &sources);
        assert_eq!(document["findings"][0]["place"], Value::Null);
        assert_eq!(document["findings"][0]["fix"], Value::Null);
    }

    #[test]
    fn a_new_file_is_one_edit_of_nothing() {
        let document = read(&[new_policy()], &Sources::default());
        let file = &document["findings"][0]["fix"]["files"][0];
        assert_eq!(file["new"], true);
        assert_eq!(file["edits"][0]["end"]["byte"], 0);
        assert_eq!(file["edits"][0]["text"], "kind: CiliumNetworkPolicy\n");
    }
}
