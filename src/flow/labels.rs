//! The labels of an end, as logs write them (`flow-formats.md` 5.1).

use crate::label::{CLUSTER, Label, NAMESPACE, NAMESPACE_LABELS, SERVICE_ACCOUNT};

/// Labels from their texts, sorted.
pub(crate) fn read<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Label> {
    let mut labels: Vec<Label> = texts.map(label).collect();
    labels.sort();
    labels.dedup();
    labels
}

/// A label as Cilium wrote it. Log shippers that take no dots in keys write `_`
/// for them: in keys of Cilium's own, and in prefixes, which cannot hold a `_`.
fn label(text: &str) -> Label {
    let mut label = Label::parse(text);
    if &*label.source == "k8s"
        && label.key.contains('_')
        && let Some(key) = dotted(&label.key)
    {
        label.key = key.into();
    }
    label
}

/// The key with its dots, where it is certain that it has lost them.
fn dotted(key: &str) -> Option<String> {
    if let Some((prefix, name)) = key.split_once('/').filter(|(prefix, _)| prefix.contains('_')) {
        let name = if name == "metadata_name" { "metadata.name" } else { name };
        return Some(format!("{}/{name}", prefix.replace('_', ".")));
    }
    let whole = [NAMESPACE, CLUSTER, SERVICE_ACCOUNT].into_iter().find(|own| own.replace('.', "_") == key);
    whole.map(str::to_owned).or_else(|| {
        key.strip_prefix(&NAMESPACE_LABELS.replace('.', "_")).map(|rest| format!("{NAMESPACE_LABELS}{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_their_dots_back_where_that_is_certain() {
        for (written, meant) in [
            ("k8s:app_kubernetes_io/name=web", "k8s:app.kubernetes.io/name=web"),
            ("k8s:io_kubernetes_pod_namespace=shop", "k8s:io.kubernetes.pod.namespace=shop"),
            (
                "k8s:io_cilium_k8s_namespace_labels_kubernetes_io/metadata_name=shop",
                "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop",
            ),
            ("k8s:io_cilium_k8s_namespace_labels_my_team=a", "k8s:io.cilium.k8s.namespace.labels.my_team=a"),
            ("k8s:my_app=web", "k8s:my_app=web"),
            ("k8s:example.org/my_app=web", "k8s:example.org/my_app=web"),
            ("container:my_app/x=web", "container:my_app/x=web"),
        ] {
            assert_eq!(label(written), Label::parse(meant));
        }
    }
}
