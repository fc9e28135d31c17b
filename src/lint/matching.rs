//! Whether a selector matches labels, and whether two selectors can match the
//! same pod: the questions that lint rules ask without a flow (`semantics.md` 2.3).

use crate::engine::Truth;
use crate::label::Label;
use crate::policy::is_unknown;
use crate::policy::selector::{Operator, Requirement};

/// Whether an identity with these labels meets all requirements.
pub(super) fn matches(requirements: &[Requirement<'_>], labels: &[Label]) -> Truth {
    Truth::all(requirements.iter().map(|requirement| holds(requirement, labels)))
}

fn holds(requirement: &Requirement<'_>, labels: &[Label]) -> Truth {
    if is_unknown(&requirement.key) {
        return Truth::Maybe;
    }
    let label = labels.iter().find(|label| {
        *label.key == *requirement.key
            && (requirement.source == "any" || *label.source == *requirement.source)
    });
    match (requirement.operator, label) {
        (Operator::Exists, label) => Truth::from(label.is_some()),
        (Operator::DoesNotExist, label) => Truth::from(label.is_none()),
        (Operator::In, None) => Truth::No,
        (Operator::In, Some(label)) => lists(requirement, &label.value),
        (Operator::NotIn, None) => Truth::Yes,
        (Operator::NotIn, Some(label)) => !lists(requirement, &label.value),
    }
}

fn lists(requirement: &Requirement<'_>, value: &str) -> Truth {
    if requirement.values.iter().any(|own| own.value == value) {
        Truth::Yes
    } else if requirement.values.iter().any(|own| is_unknown(&own.value)) {
        Truth::Maybe
    } else {
        Truth::No
    }
}

/// Whether no identity can meet the requirements of both.
pub(super) fn exclude_each_other(a: &[Requirement<'_>], b: &[Requirement<'_>]) -> bool {
    a.iter().any(|one| b.iter().any(|other| contradict(one, other)))
}

/// Whether no identity can meet both requirements. Keys of source `any` and of
/// a written source may be the same label.
pub(super) fn contradict(a: &Requirement<'_>, b: &Requirement<'_>) -> bool {
    let same_label = a.key == b.key && (a.source == b.source || a.source == "any" || b.source == "any");
    if !same_label || is_unknown(&a.key) || has_unknown_value(a) || has_unknown_value(b) {
        return false;
    }
    let listed = |value: &str, by: &Requirement<'_>| by.values.iter().any(|own| own.value == value);
    match (a.operator, b.operator) {
        (Operator::In, Operator::In) => !a.values.iter().any(|value| listed(&value.value, b)),
        (Operator::In, Operator::NotIn) => a.values.iter().all(|value| listed(&value.value, b)),
        (Operator::NotIn, Operator::In) => b.values.iter().all(|value| listed(&value.value, a)),
        (Operator::In | Operator::Exists, Operator::DoesNotExist)
        | (Operator::DoesNotExist, Operator::In | Operator::Exists) => true,
        _ => false,
    }
}

fn has_unknown_value(requirement: &Requirement<'_>) -> bool {
    requirement.values.iter().any(|value| is_unknown(&value.value))
}

/// The labels of a pod that meets the requirements, as far as they demand any;
/// `None` where a variable hides one.
pub(super) fn witness(requirements: &[Requirement<'_>]) -> Option<Vec<Label>> {
    let mut labels: Vec<Label> = Vec::new();
    for requirement in requirements {
        let value = match requirement.operator {
            Operator::In => requirement.values.first()?.value.as_ref(),
            Operator::Exists => "any",
            Operator::NotIn | Operator::DoesNotExist => continue,
        };
        if is_unknown(value) || is_unknown(&requirement.key) {
            return None;
        }
        let source = if requirement.source == "any" { "k8s" } else { &requirement.source };
        if !labels.iter().any(|label| *label.key == *requirement.key && &*label.source == source) {
            labels.push(Label::new(source, &requirement.key, value));
        }
    }
    (matches(requirements, &labels) == Truth::Yes).then_some(labels)
}
