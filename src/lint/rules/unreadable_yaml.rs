//! `unreadable-yaml`: a file is no YAML, so nothing in it reaches the cluster.
//!
//! Templates are no YAML before they are rendered and are passed over. There is
//! no mend: what was meant cannot be read.

use crate::lint::context::{Context, Judge};
use crate::lint::found::Findings;

pub(in crate::lint) fn check<'c, 's>(
    context: &Context<'c, 's>,
    _: &mut Judge<'_, 'c, 's>,
    findings: &mut Findings<'_>,
) {
    for tree in context.trees.iter().filter(|tree| context.is_reported(tree.file)) {
        if tree.errors.is_empty() || is_template(tree.text) {
            continue;
        }
        for error in &tree.errors {
            findings.add(error.span, format!("this is no YAML: {}", error.message), "here");
        }
    }
}

fn is_template(text: &str) -> bool {
    ["{{", "{%", "#@", "<%"].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{silent, told_in};

    #[test]
    fn a_bracket_that_is_not_closed_is_found_and_the_next_document_is_judged() {
        let told = told_in(None, "a: [1\n---\nb: 1\n");
        assert_eq!(told.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), ["unreadable-yaml"]);
    }

    #[test]
    fn a_template_is_passed_over() {
        silent("{{- if .Values.policy }}\na: [1\n{{- end }}\n");
    }
}
