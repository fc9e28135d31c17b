//! `per-pod-label`: a selector on a label that differs from one run or release
//! to the next: `job-name`, `helm.sh/chart`, `app.kubernetes.io/version`. It
//! matches today and not after the next rollout.
//!
//! Only a note: some mean exactly that release. No mend.

use super::colliding_keys::conditions;
use crate::inventory::is_identity_label;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::policy::Policy;
use crate::policy::selector::Operator;

const PASSING: [&str; 9] = [
    "job-name",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "helm.sh/chart",
    "chart",
    "app.kubernetes.io/version",
];

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for (requirement, span) in conditions(policy) {
        let key = requirement.key.as_ref();
        let passing =
            PASSING.contains(&key) && matches!(requirement.operator, Operator::In | Operator::NotIn);
        if passing && is_identity_label(key, context.version()) {
            findings
                .add(span, format!("the label {key} changes with each run or release"), "not for long")
                .help("select by a label that names the workload, such as app.kubernetes.io/name");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    #[test]
    fn the_label_of_a_chart_version_is_told() {
        fires(
            "per-pod-label",
            &cnp("endpointSelector: {matchLabels: {helm.sh/chart: a-1.0}}\n  ingress: [{}]\n"),
            &["helm.sh/chart"],
        );
    }

    #[test]
    fn the_name_of_a_workload_stays() {
        let told = crate::lint::rules::testing::told_in(
            None,
            &cnp("endpointSelector: {matchLabels: {app.kubernetes.io/name: a}}\n  ingress: [{}]\n"),
        );
        assert!(told.is_empty(), "{told:?}");
        silent(&cnp("endpointSelector: {matchLabels: {helm.sh/chart: a-1.0}}\n  ingress: [{}]\n"));
    }
}
