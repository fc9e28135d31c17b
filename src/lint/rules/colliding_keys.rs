//! `colliding-keys`: `app` beside `any:app` in one `matchLabels`. Cilium reads
//! both as one key and keeps one of the two values at random
//! (`semantics.md` 2.3).
//!
//! No mend: only the author knows which value counts. `matchExpressions` can
//! hold both.

use super::filtered_label::place;
use crate::lint::context::{Context, elements, subject_selector};
use crate::lint::found::Findings;
use crate::policy::selector::Requirement;
use crate::policy::{Peer, Policy, Selector};
use crate::source::Span;

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    for selector in selectors(policy) {
        if let Some(span) = selector.ambiguous {
            findings
                .add(span, "this key and another one of the selector are the same to Cilium", "one of two")
                .why("a key without source and the same key with any: become one, and which value is kept is chance")
                .help("write one of them, or both as matchExpressions");
        }
    }
}

/// Every selector of endpoints in a policy, of subjects and of peers.
pub(super) fn selectors<'p, 's>(policy: &'p Policy<'s>) -> impl Iterator<Item = &'p Selector<'s>> {
    let subjects = policy.rules.iter().filter_map(subject_selector);
    let items = elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items);
    let peers = items.filter_map(|item| match &item.peer {
        Peer::Endpoints(selector) => Some(selector),
        _ => None,
    });
    subjects.chain(peers)
}

/// Every condition of these selectors that is written, with the place of its key.
pub(super) fn conditions<'p, 's>(
    policy: &'p Policy<'s>,
) -> impl Iterator<Item = (&'p Requirement<'s>, Span)> {
    let requirements = selectors(policy).flat_map(|selector| &selector.requirements);
    requirements.filter_map(|requirement| Some((requirement, place(requirement)?)))
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    #[test]
    fn two_spellings_of_one_key_collide() {
        let text =
            cnp("endpointSelector:\n    matchLabels:\n      app: a\n      any:app: b\n  ingress: [{}]\n");
        fires("colliding-keys", &text, &["any:app"]);
    }

    #[test]
    fn keys_of_different_sources_do_not_collide() {
        silent(&cnp(
            "endpointSelector:\n    matchLabels:\n      k8s:app: a\n      container:app: c\n  ingress: [{}]\n",
        ));
    }
}
