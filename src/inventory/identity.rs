//! The labels that Cilium puts on a pod: what a selector sees of it
//! (`semantics.md` 2.1).
//!
//! Not every label of a pod reaches its identity: a filter leaves out what
//! differs from pod to pod. A selector on such a key never matches.

use super::{Inventory, Workload};
use crate::label::{CLUSTER, Label, NAMESPACE, NAMESPACE_LABELS, SERVICE_ACCOUNT};
use crate::version::CiliumVersion;

/// Which cluster the labels are for.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// The name of the cluster, `default` where nothing else is configured.
    pub name: &'a str,
    /// The release of Cilium that runs there.
    pub version: CiliumVersion,
}

impl Default for Cluster<'_> {
    fn default() -> Self {
        Self { name: "default", version: CiliumVersion::default() }
    }
}

/// The labels that Cilium puts on the pods of a workload, sorted.
///
/// A pod on the host network has none of its own: it is `host` or
/// `remote-node`, as scheduling decides (`semantics.md` 5.4), so the answer is empty.
pub fn identity_labels(workload: &Workload, inventory: &Inventory, cluster: Cluster<'_>) -> Vec<Label> {
    if workload.host_network {
        return Vec::new();
    }
    let mut labels: Vec<Label> = Vec::new();
    let mut put = |key: &str, value: &str| {
        if is_identity_label(key, cluster.version) && !labels.iter().any(|label| &*label.key == key) {
            labels.push(Label::k8s(key, value));
        }
    };
    if let Some(namespace) = &workload.namespace {
        put(NAMESPACE, namespace);
        put(&format!("{NAMESPACE_LABELS}kubernetes.io/metadata.name"), namespace);
        for (key, value) in inventory.namespace(namespace).into_iter().flat_map(|found| &found.labels) {
            put(&format!("{NAMESPACE_LABELS}{key}"), value);
        }
    }
    put(SERVICE_ACCOUNT, workload.service_account.as_deref().unwrap_or("default"));
    put(CLUSTER, cluster.name);
    for (key, value) in workload.pod_labels.iter().filter(|(key, _)| !key.starts_with("io.cilium.k8s")) {
        put(key, value);
    }
    if workload.kind.as_ref() == "Job" {
        put("batch.kubernetes.io/job-name", &workload.name);
        put("job-name", &workload.name);
    }
    labels.sort_unstable();
    labels
}

/// Keys of which a prefix match keeps a label.
const INCLUDED: [&str; 4] = [
    "io.kubernetes.pod.namespace",
    "io.cilium.k8s.namespace.labels",
    "app.kubernetes.io",
    "io.cilium.k8s.policy.cluster",
];

/// Keys of which a prefix match drops a label, with the release that began to.
const IGNORED: [(&str, CiliumVersion); 13] = [
    ("io.kubernetes", CiliumVersion::V1_14),
    ("kubernetes.io", CiliumVersion::V1_14),
    ("k8s.io", CiliumVersion::V1_14),
    ("pod-template-generation", CiliumVersion::V1_14),
    ("pod-template-hash", CiliumVersion::V1_14),
    ("controller-revision-hash", CiliumVersion::V1_14),
    ("etcd_node", CiliumVersion::V1_14),
    ("statefulset.kubernetes.io/pod-name", CiliumVersion::V1_15),
    ("apps.kubernetes.io/pod-index", CiliumVersion::V1_15),
    ("batch.kubernetes.io/job-completion-index", CiliumVersion::V1_15),
    ("batch.kubernetes.io/controller-uid", CiliumVersion::V1_16),
    ("controller-uid", CiliumVersion::V1_16),
    ("topology.kubernetes.io", CiliumVersion::V1_19),
];

/// Whether a Kubernetes label with this key reaches the identity of a pod under
/// the default filter (`semantics.md` 2.1; releases as in 7 and
/// `flow-formats.md` 5.2). A selector on any other key matches no pod.
pub fn is_identity_label(key: &str, version: CiliumVersion) -> bool {
    let included = INCLUDED.iter().filter(|pattern| key.starts_with(*pattern)).map(|p| p.len()).max();
    let by_prefix = IGNORED
        .iter()
        .filter(|(pattern, since)| *since <= version && key.starts_with(pattern))
        .map(|(pattern, _)| pattern.len());
    // The two patterns that are more than a prefix: `.*beta\.kubernetes\.io` and `annotation.*`.
    const BETA: &str = "beta.kubernetes.io";
    let beta = key.rfind(BETA).map(|at| at + BETA.len());
    let annotation = key.starts_with("annotation").then_some(key.len());
    match by_prefix.chain(beta).chain(annotation).min() {
        None => true,
        Some(ignored) => included.is_some_and(|included| included > ignored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::inventory;

    #[test]
    fn the_default_filter_keeps_what_names_a_workload_and_drops_what_names_a_pod() {
        let newest = CiliumVersion::default();
        for kept in [
            "app",
            "k8s-app",
            "app.kubernetes.io/name",
            "helm.sh/chart",
            "batch.kubernetes.io/job-name",
            "io.kubernetes.pod.namespace",
            "io.cilium.k8s.policy.serviceaccount",
            "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name",
            "foo.kubernetes.io/bar",
        ] {
            assert!(is_identity_label(kept, newest), "{kept}");
        }
        for dropped in [
            "pod-template-hash",
            "kubernetes.io/arch",
            "statefulset.kubernetes.io/pod-name",
            "io.kubernetes.pod.name",
            "failure-domain.beta.kubernetes.io/zone",
            "annotation-x",
            "k8s.io/x",
        ] {
            assert!(!is_identity_label(dropped, newest), "{dropped}");
        }
    }

    #[test]
    fn later_releases_ignore_more_keys() {
        let first_ignored = |key| CiliumVersion::ALL.into_iter().find(|v| !is_identity_label(key, *v));
        assert_eq!(first_ignored("apps.kubernetes.io/pod-index"), Some(CiliumVersion::V1_15));
        assert_eq!(first_ignored("controller-uid"), Some(CiliumVersion::V1_16));
        assert_eq!(first_ignored("topology.kubernetes.io/zone"), Some(CiliumVersion::V1_19));
        assert_eq!(first_ignored("app"), None);
    }

    #[test]
    fn a_pod_gets_its_own_labels_and_those_of_its_namespace_service_account_and_cluster() {
        let inventory = inventory(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: money}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {template: {metadata: {labels: {app: web, pod-template-hash: x, io.cilium.k8s.policy.cluster: forged}}, spec: {serviceAccountName: web-sa}}}\n",
        );
        let web = inventory.workloads().next().unwrap();
        let labels: Vec<_> =
            identity_labels(web, &inventory, Cluster::default()).iter().map(Label::to_string).collect();
        assert_eq!(
            labels,
            [
                "k8s:app=web",
                "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop",
                "k8s:io.cilium.k8s.namespace.labels.team=money",
                "k8s:io.cilium.k8s.policy.cluster=default",
                "k8s:io.cilium.k8s.policy.serviceaccount=web-sa",
                "k8s:io.kubernetes.pod.namespace=shop",
            ]
        );
    }

    #[test]
    fn a_pod_on_the_host_network_has_no_identity_of_its_own() {
        let inventory = inventory(
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec: {template: {metadata: {labels: {app: agent}}, spec: {hostNetwork: true}}}\n",
        );
        let agent = inventory.workloads().next().unwrap();
        assert!(identity_labels(agent, &inventory, Cluster::default()).is_empty());
    }
}
