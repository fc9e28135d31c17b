//! `unreadable-yaml`: a file is no YAML, so nothing in it reaches the cluster.
//!
//! Templates are no YAML before they are rendered and are passed over. A file
//! that is no manifest by its text is a note. There is no mend: what was meant
//! cannot be read.

use crate::lint::context::Context;
use crate::lint::found::Findings;

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    for tree in context.trees.iter().filter(|tree| context.is_reported(tree.file)) {
        if tree.errors.is_empty() || is_template(tree.text) {
            continue;
        }
        for error in &tree.errors {
            let found = findings.add(error.span, format!("this is no YAML: {}", error.message), "here");
            if !is_manifest(tree.text) {
                found.as_note();
            }
        }
    }
}

/// Whether objects of Kubernetes are in it: other programs have YAML of their own.
fn is_manifest(text: &str) -> bool {
    text.contains("apiVersion") && text.contains("kind")
}

fn is_template(text: &str) -> bool {
    ["{{", "{%", "#@", "<%"].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use crate::finding::Severity;
    use crate::lint::rules::testing::{silent, told_in};

    const BROKEN: &str = "apiVersion: v1\nkind: Secret\na: [1\n---\nb: 1\n";

    #[test]
    fn a_bracket_that_is_not_closed_is_found_and_the_next_document_is_judged() {
        let told = told_in(None, BROKEN);
        let told: Vec<_> = told.iter().map(|(id, severity, _)| (*id, *severity)).collect();
        assert_eq!(told, [("unreadable-yaml", Severity::Error)]);
    }

    #[test]
    fn what_is_no_manifest_is_only_a_note() {
        silent("a: [1\n");
        assert_eq!(told_in(None, "a: [1\n").len(), 1);
    }

    #[test]
    fn a_template_is_passed_over() {
        silent("{{- if .Values.policy }}\na: [1\n{{- end }}\n");
    }
}
