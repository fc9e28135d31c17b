//! A policy that only denies has closed its side by the way.

use crate::diagnose::{Gap, Scene};
use crate::finding::{Label, Safety};
use crate::policy::Action;
use crate::repair::candidate::{Candidate, Operator};
use crate::version::CiliumVersion;
use crate::yaml::{Datum, Editor};

/// A policy that only denies has closed the side to everybody: it says so that
/// it does not mean to (`enableDefaultDeny`, from 1.16).
pub(in crate::repair) fn open_side(scene: &Scene<'_, '_>, gap: Gap) -> Option<Candidate> {
    let subject = scene.drops[gap.drop].subject(gap.side);
    let [index] = scene.engine.isolating(subject, gap.side)[..] else { return None };
    let policy = scene.model.policies.get(index as usize)?;
    if scene.engine.options().version < CiliumVersion::V1_16 || !scene.model.is_editable(policy) {
        return None;
    }
    let mut closing = policy.rules.iter().filter(|rule| rule.speaks_of(gap.side));
    let (Some(rule), None) = (closing.next(), closing.next()) else { return None };
    let section = rule.section(gap.side, Action::Deny).filter(|section| !section.elements.is_empty())?;
    // `[{}]` denies nobody by rule: closing the side is all that it does.
    let denies_somebody =
        section.elements.iter().all(|element| !element.peers.is_empty() || element.to_ports.is_some());
    let allows = rule.section(gap.side, Action::Allow).is_some_and(|section| !section.elements.is_empty());
    if allows || !denies_somebody || rule.closes[gap.side as usize] {
        return None;
    }
    let no = Datum::map([(gap.side.as_str(), Datum::Bool(false))]);
    let change = match rule.value.get("enableDefaultDeny") {
        Some(written) => match written.entry(gap.side.as_str()) {
            Some(entry) => Editor::default().replace(entry.value.resolve(), false),
            None => {
                Editor::default().insert_entry(written, usize::MAX, gap.side.as_str(), Datum::Bool(false))
            }
        },
        None => Editor::default().insert_entry(rule.value, usize::MAX, "enableDefaultDeny", no),
    };
    let key = section.entry.key.span();
    let blame =
        Label { span: key, text: format!("also closes {} to everything that nothing allows", gap.side) };
    let edits = vec![(policy.value.tree().file, change.ok()?)];
    let means_it = ["default-deny", "deny-all", "denyall", "isolat", "lockdown", "lock-down"];
    let unsafe_name = means_it.iter().any(|word| policy.name.value.contains(word));
    Some(Candidate {
        why: format!(
            "a deny rule makes {} enforced, and then everything is dropped that no policy allows",
            gap.side
        ),
        title: format!("add enableDefaultDeny: {{{}: false}}", gap.side),
        evidence: Some(format!(
            "{} only denies on {}, and no other policy closes that side",
            policy.title(),
            gap.side
        )),
        safety: if unsafe_name { Safety::Unsafe } else { Safety::Safe },
        ..Candidate::correction(Operator::OpenSide, "default-deny-side-effect", edits, blame)
    })
}
