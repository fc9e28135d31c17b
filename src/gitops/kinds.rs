//! Which kinds have a namespace, as kustomize knows it and as the cluster does.

use crate::manifest::Object;

/// What kustomize takes as the namespace of a kind that has none.
const NO_NAMESPACE: &str = "_non_namespaceable_";

/// The namespace by which kustomize compares objects.
pub(super) fn effective_namespace<'n>(group: &str, kind: &str, namespace: Option<&'n str>) -> &'n str {
    match is_known_to_be_cluster_wide(group, kind) {
        true => NO_NAMESPACE,
        false => namespace.unwrap_or("default"),
    }
}

/// Kinds of Kubernetes itself that have no namespace, as kustomize knows them.
/// It knows none of Cilium's: a clusterwide policy gets the namespace too.
pub(super) fn is_known_to_be_cluster_wide(group: &str, kind: &str) -> bool {
    let kinds: &[&str] = match group {
        "" => &["Namespace", "Node", "PersistentVolume"],
        "rbac.authorization.k8s.io" => &["ClusterRole", "ClusterRoleBinding"],
        "apiextensions.k8s.io" => &["CustomResourceDefinition"],
        "apiregistration.k8s.io" => &["APIService"],
        "storage.k8s.io" => &["StorageClass", "CSIDriver", "CSINode", "VolumeAttachment"],
        "scheduling.k8s.io" => &["PriorityClass"],
        "networking.k8s.io" => &["IngressClass"],
        "node.k8s.io" => &["RuntimeClass"],
        "policy" => &["PodSecurityPolicy"],
        "certificates.k8s.io" => &["CertificateSigningRequest"],
        "flowcontrol.apiserver.k8s.io" => &["FlowSchema", "PriorityLevelConfiguration"],
        "admissionregistration.k8s.io" => &[
            "ValidatingWebhookConfiguration",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ],
        _ => &[],
    };
    kinds.contains(&kind)
}

/// Whether a namespace means nothing to the object in the cluster.
pub(super) fn is_cluster_wide(object: &Object<'_>) -> bool {
    is_known_to_be_cluster_wide(object.group(), &object.kind)
        || object.is("cilium.io", "CiliumClusterwideNetworkPolicy")
        || object.is("cilium.io", "CiliumCIDRGroup")
}

/// Kinds that prefixes and suffixes pass over.
pub(super) fn keeps_its_name(object: &Object<'_>) -> bool {
    object.is("", "Namespace")
        || object.is("apiextensions.k8s.io", "CustomResourceDefinition")
        || object.is("apiregistration.k8s.io", "APIService")
}

/// Whether it is a policy of Kubernetes or Cilium, or a group of addresses for one.
pub(super) fn is_policy(object: &Object<'_>) -> bool {
    matches!(
        (object.group(), object.kind.as_ref()),
        ("cilium.io", "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy" | "CiliumCIDRGroup")
            | ("networking.k8s.io", "NetworkPolicy")
    )
}
