//! Workflow commands of GitHub Actions: one line a finding, which the runner
//! shows as an annotation at the place.

use super::message;
use super::place::anchor;
use crate::finding::{Finding, Severity};
use crate::source::Sources;

/// A command for each finding.
pub fn commands(findings: &[Finding], sources: &Sources) -> String {
    findings.iter().map(|finding| command(finding, sources)).collect()
}

fn command(finding: &Finding, sources: &Sources) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = vec![("title", finding.id.to_owned())];
    if let Some((name, region)) = anchor(finding, finding.fix.as_ref(), sources) {
        properties.push(("file", name.to_owned()));
        properties.push(("line", region.start.line.to_string()));
        properties.push(("endLine", region.end.line.to_string()));
        // GitHub knows columns within one line only, and counts the last one in.
        if region.start.line == region.end.line {
            let last = (region.end.column - 1).max(region.start.column);
            properties.push(("col", region.start.column.to_string()));
            properties.push(("endColumn", last.to_string()));
        }
    }
    let properties: Vec<String> =
        properties.into_iter().map(|(name, value)| format!("{name}={}", escaped_property(&value))).collect();
    format!("::{kind} {}::{}\n", properties.join(","), escaped(&message(finding)))
}

/// Text that cannot end the command or begin another.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As [`escaped`], for a value in the list of properties.
fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{sample, service_port};

    #[test]
    fn a_finding_is_an_annotation_at_its_place() {
        let (mut finding, sources) = service_port();
        finding.notes.truncate(1);
        finding.fix = None;
        assert_eq!(
            commands(&[finding], &sources),
            "::error title=service-port,file=k8s/payments/ledger.yaml,line=14,endLine=14,col=21,endColumn=25::\
             shop/api → payments/ledger TCP 50051 is dropped at ingress%0A\
             why: 443 is the port of Service payments/ledger; policy is enforced at the pod, \
             where it is targetPort 50051 (k8s/payments/service.yaml:9)\n"
        );
    }

    #[test]
    fn nothing_in_a_message_can_be_a_command() {
        let (mut finding, sources) = sample("a:\n  b\n", 0..6);
        finding.title = "100%\r\n::set-output name=x::y".into();
        assert_eq!(
            commands(&[finding], &sources),
            "::warning title=wrong-port,file=a.yaml,line=1,endLine=2::100%25␍%0A::set-output name=x::y\n"
        );
        assert_eq!(escaped_property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
    }

    #[test]
    fn without_a_place_there_is_only_the_title() {
        let (mut finding, sources) = sample("", 0..0);
        finding.primary = None;
        assert_eq!(commands(&[finding], &sources), "::warning title=wrong-port::something is wrong\n");
    }
}
