//! Reviewdog's diagnostic format, `rdjson`: it turns a fix into a suggestion that
//! a reviewer accepts with one click. A suggestion can change one stretch of the
//! file that the finding is about; a fix that needs more has none, because half
//! of it would be accepted.

use serde::Serialize;
use serde_json::{Value, json};

use super::place::{Position, Region, anchor, covering_replacement};
use super::{HOME, Run, message, page_address, pretty};
use crate::finding::{Finding, Severity};
use crate::source::Sources;

#[derive(Serialize)]
struct Diagnostic<'a> {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location<'a>>,
    severity: &'static str,
    code: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<Suggestion>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: &'a str,
    range: Range,
}

#[derive(Serialize)]
struct Range {
    start: Point,
    end: Point,
}

/// Columns are bytes here.
#[derive(Serialize)]
struct Point {
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Suggestion {
    range: Range,
    text: String,
}

/// The result of a run.
pub fn result(findings: &[Finding], sources: &Sources, run: &Run) -> String {
    let diagnostics: Vec<Diagnostic<'_>> =
        findings.iter().map(|finding| diagnostic(finding, sources, run)).collect();
    pretty(&json!({
        "source": { "name": env!("CARGO_PKG_NAME"), "url": HOME },
        "diagnostics": diagnostics,
    }))
}

fn diagnostic<'a>(finding: &'a Finding, sources: &'a Sources, run: &Run) -> Diagnostic<'a> {
    let anchor = anchor(finding, run.offered(finding), sources);
    let mut code = json!({ "value": finding.id });
    if let Some(address) = page_address(finding.id) {
        code["url"] = address.into();
    }
    Diagnostic {
        message: message(finding),
        location: anchor.map(|(path, region)| Location { path, range: range(region) }),
        severity: severity(finding.severity),
        code,
        suggestions: suggestion(finding, run, anchor.map(|(path, _)| path)).into_iter().collect(),
    }
}

fn suggestion(finding: &Finding, run: &Run, path: Option<&str>) -> Option<Suggestion> {
    let [change] = run.offered(finding)?.files.as_slice() else { return None };
    // A file that is not there yet has no line to comment on.
    if change.file.is_none() || path != Some(change.name.as_str()) {
        return None;
    }
    let replacement = covering_replacement(change)?;
    Some(Suggestion { range: range(replacement.region), text: replacement.text })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        Severity::Note => "INFO",
    }
}

fn range(region: Region) -> Range {
    let point = |position: Position| Point { line: position.line, column: position.byte_column };
    Range { start: point(region.start), end: point(region.end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FileChange;
    use crate::report::samples::{new_policy, service_port};

    fn read(finding: Finding, sources: &Sources) -> Value {
        let result: Value = serde_json::from_str(&result(&[finding], sources, &Run::default())).unwrap();
        assert_eq!(result["source"]["name"], "policyfix");
        result["diagnostics"][0].clone()
    }

    #[test]
    fn a_fix_of_the_blamed_file_is_a_suggestion() {
        let (finding, sources) = service_port();
        let range = json!({"start": {"line": 14, "column": 21}, "end": {"line": 14, "column": 26}});
        let diagnostic = read(finding, &sources);
        assert_eq!(diagnostic["severity"], "ERROR");
        assert_eq!(diagnostic["code"]["value"], "service-port");
        assert_eq!(diagnostic["location"], json!({"path": "k8s/payments/ledger.yaml", "range": range}));
        assert_eq!(diagnostic["suggestions"], json!([{"range": range, "text": "\"50051\""}]));
    }

    #[test]
    fn half_a_fix_is_never_suggested() {
        let (mut finding, sources) = service_port();
        let fix = finding.fix.as_mut().unwrap();
        fix.files.push(FileChange { name: "other.yaml".into(), ..fix.files[0].clone() });
        assert_eq!(read(finding, &sources)["suggestions"], Value::Null);
    }

    #[test]
    fn a_finding_without_place_stands_where_its_fix_begins() {
        let diagnostic = read(new_policy(), &Sources::default());
        assert_eq!(diagnostic["location"]["path"], "k8s/new.yaml");
        assert_eq!(diagnostic["suggestions"], Value::Null);
        let nowhere = Finding { fix: None, ..new_policy() };
        assert_eq!(read(nowhere, &Sources::default())["location"], Value::Null);
    }
}
