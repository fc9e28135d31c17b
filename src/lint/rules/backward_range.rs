//! `backward-range`: an endPort below its port. Cilium ignores such an end, and
//! the rule is about the first port alone (`semantics.md` 3.5); in a
//! NetworkPolicy the API server refuses it.
//!
//! Mend: the two numbers change places. Unsafe: it opens the ports between.

use crate::finding::{Safety, Severity};
use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::ports::Literal;
use crate::policy::{Policy, PolicyKind};
use crate::yaml::{Datum, Editor, Resolved};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
    for port in lists.flat_map(|list| &list.ports) {
        let (Literal::Number(first @ 1..), Some(end)) = (port.literal(), &port.end) else { continue };
        if end.value <= 0 || end.value >= i64::from(first) {
            continue;
        }
        let found = findings.add(
            end.span,
            match policy.kind {
                PolicyKind::Knp => {
                    format!("endPort {} lies below port {first}: the API server refuses this", end.value)
                }
                _ => {
                    format!("endPort {} lies below port {first}: the rule is about {first} alone", end.value)
                }
            },
            "the lower end comes first",
        );
        // The API server checks this in a NetworkPolicy only.
        if policy.kind != PolicyKind::Knp {
            found.severity = Severity::Warning;
        }
        if let (Some(low), Some(high)) = (port.value.get("port"), port.value.get("endPort")) {
            let is_number = matches!(low.resolved(), Some(Resolved::Int(_)));
            let with = if is_number { Datum::Int(end.value) } else { Datum::String(end.value.to_string()) };
            let editor = Editor::default();
            let changes = [editor.replace(low, with), editor.replace(high, first)];
            found.mend(Safety::Unsafe, format!("write {} to {first}", end.value), changes);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    fn ports(end: u16) -> String {
        cnp(&format!(
            "endpointSelector: {{}}\n  ingress:\n  - toPorts:\n    - ports:\n      - port: \"90\"\n        endPort: {end}\n        protocol: TCP\n"
        ))
    }

    #[test]
    fn an_end_below_the_start_is_found_and_they_change_places() {
        fires("backward-range", &ports(80), &["80"]);
        assert!(mended(&ports(80)).contains("- port: \"80\"\n        endPort: 90\n"));
    }

    #[test]
    fn a_range_that_goes_up_is_right() {
        silent(&ports(99));
    }
}
