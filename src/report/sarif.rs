//! SARIF 2.1.0, which GitHub code scanning and many editors read: findings as
//! results, their pages as rules, mends as `fixes`. The structures hold what is
//! written and no more of the standard.

use serde::Serialize;
use serde_json::{Value, json};

use super::place::{Region, anchor, replacements, uri};
use super::{HOME, Run, message, page_address, pretty};
use crate::explain;
use crate::finding::{FileChange, Finding, Fix, Label};
use crate::source::Sources;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [RunEntry; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunEntry {
    tool: Value,
    automation_details: Value,
    column_kind: &'static str,
    results: Vec<ResultEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Help>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<String>,
}

#[derive(Serialize)]
struct Help {
    text: &'static str,
    markdown: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultEntry {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<FixEntry>,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: RegionEntry,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionEntry {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
    byte_offset: usize,
    byte_length: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FixEntry {
    description: Message,
    artifact_changes: Vec<ArtifactChange>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange {
    artifact_location: ArtifactLocation,
    replacements: Vec<ReplacementEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplacementEntry {
    deleted_region: RegionEntry,
    inserted_content: Message,
}

/// The log of one run. A result whose finding blames no place has no location,
/// unless another place or a file of its fix can stand for it.
pub fn log(findings: &[Finding], sources: &Sources, run: &Run) -> String {
    let mut ids: Vec<&'static str> = findings.iter().map(|finding| finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rules: Vec<Rule> = ids.iter().map(|id| rule(id)).collect();
    let driver = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": HOME,
        "rules": rules,
    });
    let entry = RunEntry {
        tool: json!({ "driver": driver }),
        automation_details: json!({ "id": format!("policyfix/{}/", run.command) }),
        column_kind: "unicodeCodePoints",
        results: findings.iter().map(|finding| result(finding, &ids, sources, run)).collect(),
    };
    pretty(&Log { schema: SCHEMA, version: "2.1.0", runs: [entry] })
}

fn rule(id: &'static str) -> Rule {
    let page = explain::page(id);
    Rule {
        id,
        short_description: Message { text: page.map_or(id, |page| page.title).to_owned() },
        help: page.map(|page| Help { text: page.text, markdown: page.text }),
        help_uri: page_address(id),
    }
}

fn result(finding: &Finding, ids: &[&str], sources: &Sources, run: &Run) -> ResultEntry {
    let offered = run.offered(finding);
    let label = finding.primary.as_ref().map(|label| label.text.as_str());
    let anchor = anchor(finding, offered, sources);
    let related = finding.related.iter().enumerate();
    ResultEntry {
        rule_id: finding.id,
        rule_index: ids.binary_search(&finding.id).unwrap_or_default(),
        level: finding.severity.as_str(),
        message: Message { text: message(finding) },
        locations: anchor.map(|anchor| location(anchor, None, label)).into_iter().collect(),
        related_locations: related.map(|(index, label)| related_location(index, label, sources)).collect(),
        fixes: offered.map(fix_entry).into_iter().collect(),
    }
}

fn related_location(index: usize, label: &Label, sources: &Sources) -> Location {
    let place = (sources[label.span.file].name.as_str(), Region::of(label, sources));
    location(place, Some(index + 1), Some(&label.text))
}

fn location((name, place): (&str, Region), id: Option<usize>, label: Option<&str>) -> Location {
    Location {
        id,
        physical_location: PhysicalLocation { artifact_location: artifact(name), region: region(place) },
        message: label.filter(|text| !text.is_empty()).map(|text| Message { text: text.to_owned() }),
    }
}

fn fix_entry(fix: &Fix) -> FixEntry {
    let change = |change: &FileChange| ArtifactChange {
        artifact_location: artifact(&change.name),
        replacements: replacements(change)
            .into_iter()
            .map(|replacement| ReplacementEntry {
                deleted_region: region(replacement.region),
                inserted_content: Message { text: replacement.text },
            })
            .collect(),
    };
    FixEntry {
        description: Message { text: format!("{} ({})", fix.title, fix.safety.as_str()) },
        artifact_changes: fix.files.iter().map(change).collect(),
    }
}

fn artifact(name: &str) -> ArtifactLocation {
    ArtifactLocation { uri: uri(name) }
}

fn region(region: Region) -> RegionEntry {
    RegionEntry {
        start_line: region.start.line,
        start_column: region.start.column,
        end_line: region.end.line,
        end_column: region.end.column,
        byte_offset: region.start.byte,
        byte_length: region.end.byte - region.start.byte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Safety;
    use crate::report::samples::{new_policy, sample, service_port};

    const SARIF_SCHEMA: &str = include_str!("../../tests/report/sarif-2.1.0.schema.json");

    /// Writes a log, holds it against the schema and reads it.
    fn checked(findings: &[Finding], sources: &Sources, run: &Run) -> Value {
        let log: Value = serde_json::from_str(&log(findings, sources, run)).unwrap();
        // The pattern of language tags has a bracket too many, which only some readers of patterns forgive.
        let schema: Value = serde_json::from_str(&SARIF_SCHEMA.replace("{2}]?$", "{2}?$")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        log["runs"][0].clone()
    }

    #[test]
    fn a_finding_is_a_result_with_rule_places_and_fix() {
        let (finding, sources) = service_port();
        let run = checked(&[finding], &sources, &Run { command: "suggest", ..Run::default() });
        let result = &run["results"][0];
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], result["ruleId"]);
        assert_eq!(result["level"], "error");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "k8s/payments/ledger.yaml");
        assert_eq!(place["region"]["startLine"], 14);
        assert_eq!(place["region"]["endColumn"], 26);
        assert_eq!(result["relatedLocations"][0]["message"]["text"], "the pod listens here");
        let replacement = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(replacement["insertedContent"]["text"], "\"50051\"");
        assert!(result["message"]["text"].as_str().unwrap().contains("\nwhy: 443 is the port"));
    }

    #[test]
    fn every_shape_of_finding_is_valid_sarif() {
        let (mut odd, sources) = sample("", 7..9);
        odd.id = "no-page-for-this";
        let mut nowhere = odd.clone();
        nowhere.primary = None;
        let run = checked(&[odd, nowhere, new_policy()], &sources, &Run::default());
        let results = run["results"].as_array().unwrap();
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in results {
            assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        }
        assert_eq!(results[1]["locations"], json!([]));
        let place = &results[2]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "k8s/new.yaml");
        checked(&[], &sources, &Run::default());
    }

    #[test]
    fn an_unsafe_fix_is_there_only_when_asked_for() {
        let (mut finding, sources) = service_port();
        finding.fix.as_mut().unwrap().safety = Safety::Unsafe;
        let findings = [finding];
        let fixes = |unsafe_fixes| {
            checked(&findings, &sources, &Run { unsafe_fixes, ..Run::default() })["results"][0]["fixes"]
                .clone()
        };
        assert_eq!(fixes(false), Value::Null);
        assert!(fixes(true).is_array());
    }
}
