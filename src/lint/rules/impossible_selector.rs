//! `impossible-selector`: two conditions of one selector contradict each other,
//! usually `matchExpressions` that were meant as alternatives. All conditions of
//! a selector must hold (`semantics.md` 2.3), so it matches nothing.
//!
//! No mend: alternatives are several values of one expression, or several
//! selectors of the list.

use super::colliding_keys::selectors;
use super::filtered_label::place;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::lint::matching::contradict;
use crate::policy::selector::Requirement;
use crate::policy::{Policy, Selector};
use crate::source::Span;

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    for selector in selectors(policy).filter(|s| s.requirements.len() > 1 && s.invalid.is_none()) {
        look(selector, findings);
    }
}

fn look(selector: &Selector<'_>, findings: &mut Findings<'_>) {
    let Some((one, span)) = contradiction(selector) else { return };
    let found = findings.add(
        span,
        format!("no label {} meets both conditions: the selector matches nothing", one.key),
        "this cannot hold",
    );
    if let Some(first) = place(one) {
        found.also(first, "while this holds");
    }
    found
        .why("all conditions of a selector must hold at once")
        .help("alternatives are several values of one In, or several selectors of the list");
}

/// The first condition that another one contradicts, and the place of the other.
pub(super) fn contradiction<'p, 's>(selector: &'p Selector<'s>) -> Option<(&'p Requirement<'s>, Span)> {
    let requirements = &selector.requirements;
    requirements.iter().enumerate().find_map(|(at, one)| {
        let mut others = requirements.iter().skip(at + 1).filter(|other| contradict(one, other));
        Some((one, others.find_map(place)?))
    })
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, silent, told_in};

    #[test]
    fn expressions_that_were_meant_as_alternatives_are_found() {
        let text = cnp(
            "endpointSelector:\n    matchExpressions:\n    - {key: app, operator: In, values: [a]}\n    - {key: \"k8s:app\", operator: In, values: [b]}\n  ingress: [{}]\n",
        );
        fires("impossible-selector", &text, &["\"k8s:app\""]);
        // The rule about selectors that match nobody leaves it to this one.
        let told = told_in(None, &(text + &deployment("shop", "c", "app: c", "")));
        assert!(told.iter().all(|(rule, ..)| *rule == "impossible-selector"), "{told:?}");
    }

    #[test]
    fn conditions_that_can_hold_together_are_right() {
        silent(&cnp(
            "endpointSelector:\n    matchExpressions:\n    - {key: app, operator: In, values: [a, b]}\n    - {key: app, operator: NotIn, values: [b]}\n    - {key: tier, operator: Exists}\n  ingress: [{}]\n",
        ));
        silent(&cnp(
            "endpointSelector:\n    matchExpressions:\n    - {key: app, operator: In, values: ['${A}']}\n    - {key: app, operator: In, values: [b]}\n  ingress: [{}]\n",
        ));
    }
}
