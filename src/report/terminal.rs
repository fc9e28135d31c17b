//! What a person reads: a headline, the lines that are blamed with labels on
//! them, and below, aligned, why it is so and what mends it.

use std::io::{self, Write};

use super::excerpt::draw;
use super::notes::{aligned, notes};
use super::page_address;
use super::visible::visible;
use crate::finding::{Finding, Label, Severity};
use crate::source::Sources;

/// How text is dressed for where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether there are colours.
    pub color: bool,
    /// How many columns a line may have.
    pub width: usize,
    /// Whether an id links to its page.
    pub hyperlinks: bool,
}

impl Default for Look {
    /// Plain text of 100 columns.
    fn default() -> Self {
        Self { color: false, width: 100, hyperlinks: false }
    }
}

const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";
const NOTE_INDENT: usize = 6;

impl Look {
    fn painted(self, style: &str, text: &str) -> String {
        if self.color { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }
}

fn style(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\u{1b}[1;31m",
        Severity::Warning => "\u{1b}[1;33m",
        Severity::Note => "\u{1b}[1;36m",
    }
}

/// Writes a finding: headline, excerpt, notes. Neither an empty line nor a
/// summary follows.
///
/// # Errors
/// When the stream cannot be written.
pub fn write_finding(
    finding: &Finding,
    sources: &Sources,
    look: &Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", headline(finding, look))?;
    for labels in labels_by_file(finding) {
        let Some(first) = labels.first() else { continue };
        let source = &sources[first.span.file];
        out.write_all(draw(source, first.span, &labels, look).as_bytes())?;
    }
    let width = look.width.saturating_sub(NOTE_INDENT);
    for line in aligned(&notes(finding), width, |heading| look.painted(BOLD, heading)) {
        writeln!(out, "{}", format!("{:NOTE_INDENT$}{line}", "").trim_end())?;
    }
    Ok(())
}

fn headline(finding: &Finding, look: &Look) -> String {
    let mut kind = format!("{}[{}]", finding.severity.as_str(), finding.id);
    if let Some(address) = page_address(finding.id).filter(|_| look.hyperlinks) {
        kind = format!("\u{1b}]8;;{address}\u{1b}\\{kind}\u{1b}]8;;\u{1b}\\");
    }
    let title = format!(": {}", visible(&finding.title));
    format!("{}{}", look.painted(style(finding.severity), &kind), look.painted(BOLD, &title))
}

/// The labels file by file, that of the primary place first.
fn labels_by_file(finding: &Finding) -> Vec<Vec<&Label>> {
    let mut files: Vec<Vec<&Label>> = Vec::new();
    for label in finding.primary.iter().chain(&finding.related) {
        match files.iter_mut().find(|labels| labels.iter().any(|known| known.span.file == label.span.file)) {
            Some(labels) => labels.push(label),
            None => files.push(vec![label]),
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{sample, service_port};

    fn written(finding: &Finding, sources: &Sources, look: &Look) -> String {
        let mut out = Vec::new();
        write_finding(finding, sources, look, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_finding_has_headline_excerpt_and_aligned_notes() {
        let (finding, sources) = service_port();
        let drawn = written(&finding, &sources, &Look::default());
        let drawn: Vec<&str> = drawn.lines().map(str::trim_end).collect();
        let want = "\
error[service-port]: shop/api → payments/ledger TCP 50051 is dropped at ingress
    ╭─[k8s/payments/ledger.yaml:14:21]
 13 │         - ports:
 14 │             - port: \"443\"
    ·                     ──┬──
    ·                       ╰── this rule admits shop/api, but on 443
 15 │               protocol: TCP
    ╰────
   ╭─[k8s/payments/service.yaml:9:19]
 8 │     - port: 443
 9 │       targetPort: 50051
   ·                   ──┬──
   ·                     ╰── the pod listens here
   ╰────
      why    443 is the port of Service payments/ledger; policy is enforced at the pod, where it is
             targetPort 50051 (k8s/payments/service.yaml:9)
      seen   37 times, first on 2026-11-19 at 18:02:11, last on 2026-11-20 at 09:39:29
      fix    change \"443\" to \"50051\" (safe): opens payments/ledger TCP 50051 to shop/api, nothing
             else
      proof  passes egress by shop/api-egress and ingress by payments/ledger; 212 flows that passed
             still pass";
        assert_eq!(drawn.join("\n"), want);
    }

    #[test]
    fn without_a_place_there_are_headline_and_notes() {
        let (mut finding, sources) = service_port();
        finding.primary = None;
        finding.related.clear();
        finding.notes.truncate(1);
        finding.fix = None;
        let drawn = written(&finding, &sources, &Look { width: 60, ..Look::default() });
        assert!(drawn.starts_with("error[service-port]: "), "{drawn}");
        assert!(!drawn.contains('╭'), "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 90), "{drawn}");
    }

    #[test]
    fn a_fix_without_note_is_told_by_its_title() {
        let (mut finding, sources) = service_port();
        finding.notes.clear();
        let drawn = written(&finding, &sources, &Look::default());
        assert!(drawn.ends_with("      fix    change \"443\" to \"50051\" (safe)\n"), "{drawn}");
    }

    #[test]
    fn colours_and_links_come_only_when_asked_for() {
        let (finding, sources) = service_port();
        assert!(!written(&finding, &sources, &Look::default()).contains('\u{1b}'));
        let drawn = written(&finding, &sources, &Look { color: true, width: 100, hyperlinks: true });
        assert!(drawn.contains("\u{1b}[1;31m"), "{drawn}");
        assert!(drawn.contains("\u{1b}]8;;https://"), "{drawn}");
    }

    #[test]
    fn what_is_quoted_from_a_manifest_cannot_command_the_terminal() {
        let (mut finding, sources) = sample("a: 1\n", 0..1);
        finding.title = "\u{1b}[2J".into();
        assert!(!written(&finding, &sources, &Look::default()).contains('\u{1b}'));
    }
}
