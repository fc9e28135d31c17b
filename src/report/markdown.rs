//! A comment on a pull request: the summary, then each finding with its place,
//! its reason and the diff of its fix. What comes from manifests is escaped, so
//! that a label can neither mention a person nor break the page.

use super::diff::unified;
use super::notes::notes;
use super::visible::{visible, visible_lines};
use super::{Run, page_address};
use crate::finding::Finding;
use crate::source::Sources;

/// GitHub refuses a comment of more than 65,536 characters.
const LONGEST_COMMENT: usize = 60_000;

/// The comment.
pub fn comment(findings: &[Finding], sources: &Sources, run: &Run) -> String {
    // The mark by which a workflow finds its own comment again.
    let mut comment = String::from("<!-- policyfix -->\n");
    comment.push_str(&format!("### policyfix: {}\n", escaped(&run.summary)));
    for (index, finding) in findings.iter().enumerate() {
        let section = section(finding, sources, run);
        if comment.chars().count() + section.chars().count() > LONGEST_COMMENT {
            let left = findings.len() - index;
            comment.push_str(&format!("\nand {left} more, for which there is no room in a comment\n"));
            break;
        }
        comment.push_str(&section);
    }
    comment
}

fn section(finding: &Finding, sources: &Sources, run: &Run) -> String {
    let id = match page_address(finding.id) {
        Some(address) => format!("[{}]({address})", finding.id),
        None => finding.id.to_owned(),
    };
    let mut section = format!("\n#### {} {id}: {}\n\n", finding.severity.as_str(), escaped(&finding.title));
    let labels = finding.primary.iter().chain(&finding.related);
    for label in labels {
        section.push_str(&format!("- {}: {}\n", code(&sources.place(label.span)), escaped(&label.text)));
    }
    for note in notes(finding) {
        let (first, more) = note.text.split_once('\n').unwrap_or((&note.text, ""));
        section.push_str(&format!("- **{}** {}\n", note.heading, escaped(first)));
        section.push_str(&listed_code(more));
    }
    if let Some(fix) = run.offered(finding) {
        let diff = unified(&fix.files);
        let fence = fence(&diff);
        section.push_str(&format!("\n{fence}diff\n{diff}{fence}\n"));
    }
    section
}

/// Text that Markdown shows as it is, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in visible(&text.replace(['\n', '\r'], " ")).chars() {
        match char {
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '|' | '$' => escaped.extend(['\\', char]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A mention or a reference to an issue is made even from escaped text.
            '@' => escaped.push_str("&#64;"),
            '#' => escaped.push_str("&#35;"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Lines as a block of code below an item of a list; nothing for no lines.
fn listed_code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let fence = fence(text);
    let lines: String = visible_lines(text).lines().map(|line| format!("  {line}\n")).collect();
    format!("\n  {fence}\n{lines}  {fence}\n")
}

/// Text as code, whatever backticks it holds.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let space = if text.contains('`') { " " } else { "" };
    format!("{fence}{space}{}{space}{fence}", visible(text))
}

/// A fence that nothing in the text closes.
fn fence(text: &str) -> String {
    "`".repeat(longest_run(text).max(2) + 1)
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{sample, service_port};

    #[test]
    fn a_comment_tells_place_reason_and_diff() {
        let (mut finding, sources) = service_port();
        finding.notes.truncate(2);
        let run = Run { summary: "1 cause, 1 safe fix for 37 drops".into(), ..Run::default() };
        assert_eq!(
            comment(&[finding], &sources, &run),
            "\
<!-- policyfix -->
### policyfix: 1 cause, 1 safe fix for 37 drops

#### error [service-port](https://github.com/policyfix/policyfix/blob/main/src/explain/service-port.md): \
shop/api → payments/ledger TCP 50051 is dropped at ingress

- `k8s/payments/ledger.yaml:14`: this rule admits shop/api, but on 443
- `k8s/payments/service.yaml:9`: the pod listens here
- **why** 443 is the port of Service payments/ledger; policy is enforced at the pod, where it is \
targetPort 50051 (k8s/payments/service.yaml:9)
- **seen** 37 times, first on 2026-11-19 at 18:02:11, last on 2026-11-20 at 09:39:29
- **fix** change \"443\" to \"50051\" (safe)

```diff
diff --git a/k8s/payments/ledger.yaml b/k8s/payments/ledger.yaml
--- a/k8s/payments/ledger.yaml
+++ b/k8s/payments/ledger.yaml
@@ -11,5 +11,5 @@
             k8s:io.kubernetes.pod.namespace: shop
       toPorts:
         - ports:
-            - port: \"443\"
+            - port: \"50051\"
               protocol: TCP
```
"
        );
    }

    #[test]
    fn text_from_manifests_is_only_text() {
        assert_eq!(escaped("@team <b> `x` #1 a_b\nc"), "&#64;team &lt;b&gt; \\`x\\` &#35;1 a\\_b c");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(fence("a\n````\n"), "`````");
        assert_eq!(listed_code("  - a\n    b"), "\n  ```\n    - a\n      b\n  ```\n");
    }

    #[test]
    fn a_comment_is_never_too_long_for_github() {
        let (finding, sources) = sample("a: 1\n", 0..1);
        let comment = comment(&vec![finding; 2000], &sources, &Run::default());
        assert!(comment.chars().count() < 65_536);
        assert!(comment.ends_with(" more, for which there is no room in a comment\n"), "{comment}");
    }
}
