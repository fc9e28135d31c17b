//! `duplicate-object`: two manifests for one policy. The later one wins where
//! both are applied, and what the other one says is not in force.
//!
//! It is said of two in one file, and of two in one folder that no kustomization
//! takes apart; overlays of one base are no duplicates. No mend.

use rustc_hash::FxHashMap;

use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::manifest::Text;
use crate::policy::{Policy, PolicyKind, is_unknown};

/// Folder, kind, written namespace and name.
type Place<'c, 's> = (&'c str, PolicyKind, Text<'s>, &'c str);

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    let mut seen: FxHashMap<Place<'_, 's>, Vec<&Policy<'s>>> = FxHashMap::default();
    for policy in context.policies().filter(|policy| !policy.name.value.is_empty()) {
        let written =
            policy.value.path(&["metadata", "namespace"]).and_then(|n| n.text()).unwrap_or_default();
        let name = policy.name.value.as_ref();
        if is_unknown(name) || is_unknown(&written) {
            continue;
        }
        let folder = folder_of(&context.sources[policy.value.tree().file].name);
        let known = seen.entry((folder, policy.kind, written, name)).or_default();
        let twin = known.iter().find(|other| {
            other.value.tree().file == policy.value.tree().file || !context.is_deployed_by_tools()
        });
        if let Some(first) = twin {
            findings
                .add(
                    policy.place(),
                    format!("{} {} stands here a second time", policy.kind.as_str(), policy.title()),
                    "the same kind, namespace and name",
                )
                .also(first.place(), "the first one")
                .why("where both are applied the later one replaces the other, and nothing tells of it");
        }
        known.reserve_exact(1);
        known.push(policy);
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    #[test]
    fn two_objects_of_one_name_are_found() {
        let policy = cnp("endpointSelector: {}\n  ingress: [{}]\n");
        fires("duplicate-object", &format!("{policy}---\n{policy}"), &["x"]);
    }

    #[test]
    fn another_namespace_or_kind_is_another_object() {
        let policy = cnp("endpointSelector: {}\n  ingress: [{}]\n");
        let other = policy.replace("namespace: shop", "namespace: web");
        silent(&format!("{policy}---\n{other}"));
    }
}
