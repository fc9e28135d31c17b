//! Which parts of a policy patches reach that are not evaluated: what they leave
//! alone is as it is written.

use super::patch::Change;
use super::render::{Applied, Rendition};

/// Parts of a policy that are not as they are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Whom it is about.
    pub subject: bool,
    /// What it allows: egress, ingress. Default deny counts as part of it.
    pub allow: [bool; 2],
    /// What it denies: egress, ingress.
    pub deny: [bool; 2],
}

const SUBJECT: &[&str] = &["/spec/endpointSelector", "/spec/nodeSelector", "/spec/podSelector", "/specs"];
const BOTH: [&str; 3] = ["/spec/enableDefaultDeny", "/spec/policyTypes", "/specs"];
const ALLOW: [&str; 2] = ["/spec/egress", "/spec/ingress"];
const DENY: [&str; 2] = ["/spec/egressDeny", "/spec/ingressDeny"];

impl Touched {
    /// By the patches of a rendition.
    pub(super) fn by(item: &Rendition<'_>) -> Self {
        let changes = || item.changes.iter().filter_map(Applied::change);
        let touches = |pointer: &str| changes().any(|change| reaches(change, pointer));
        let both = BOTH.into_iter().any(touches);
        Self {
            subject: SUBJECT.iter().any(|pointer| touches(pointer)),
            allow: ALLOW.map(|pointer| both || touches(pointer)),
            deny: DENY.map(|pointer| touches("/specs") || touches(pointer)),
        }
    }
}

/// Whether a change is at this place, below or above it. `/spec/ingressDeny` is
/// not below `/spec/ingress`.
fn reaches(change: &Change, pointer: &str) -> bool {
    let is_below = |path: &str, above: &str| {
        path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match change {
        Change::Merge(_) => change.touches(pointer) || change.sets("/$patch").is_some(),
        Change::Operations(operations) => operations.iter().any(|operation| {
            let paths = ["path", "from"].into_iter().filter_map(|key| operation.get(key)?.as_str());
            paths.into_iter().any(|path| is_below(path, pointer) || is_below(pointer, path))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_reaches_what_is_at_below_and_above_it() {
        let operation = |path: &str| Change::Operations(vec![json!({"op": "remove", "path": path})]);
        assert!(reaches(&operation("/spec/ingress/0"), "/spec/ingress"));
        assert!(reaches(&operation("/spec"), "/spec/ingress"));
        assert!(!reaches(&operation("/spec/ingressDeny/0"), "/spec/ingress"));
        assert!(!reaches(&operation("/metadata/labels/a"), "/spec/ingress"));
        let merge = Change::Merge(json!({"spec": {"egress": []}}));
        assert!(reaches(&merge, "/spec/egress") && !reaches(&merge, "/spec/ingress"));
    }
}
