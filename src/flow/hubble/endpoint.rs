//! One end of a Hubble record (`flow-formats.md` 1.5).

use serde::Deserialize;

use super::familiar;
use super::reference::{Reference, boxed};
use super::scan::for_each;
use super::value::{Number, Text};
use crate::flow::Endpoint;
use crate::flow::record::Refused;
use crate::label::{CLUSTER, Label, NAMESPACE, NAMESPACE_LABELS, SERVICE_ACCOUNT};

#[derive(Deserialize, Default)]
struct RawEndpoint<'a> {
    identity: Option<Number>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Option<Vec<Text<'a>>>,
    #[serde(borrow, alias = "podName")]
    pod_name: Option<Text<'a>>,
    #[serde(borrow)]
    workloads: Option<Vec<Reference<'a>>>,
}

/// Whether the end lives on the node that made the record: only then it has an id.
pub(super) fn is_local(endpoint: &str) -> bool {
    let mut local = false;
    for_each(endpoint, |key, value| local |= matches!(key, "ID" | "id") && value != "0");
    local
}

/// Reads one end from its endpoint, address, names and Service. In flat flows
/// other programs may use the endpoint's key for something that is no object.
///
/// # Errors
///
/// An endpoint without which its labels would be lost unseen.
fn read([raw, ip, names, service]: [&str; 4]) -> Result<Endpoint, Refused> {
    let raw = match raw.starts_with('{') {
        true => serde_json::from_str::<RawEndpoint<'_>>(raw).map_err(|error| {
            Refused::Broken(format!("an end of the flow cannot be read: {}", words(&error)))
        })?,
        false => RawEndpoint::default(),
    };
    let mut labels: Vec<Label> = raw.labels.iter().flatten().map(|text| label(text)).collect();
    labels.sort();
    labels.dedup();
    Ok(Endpoint {
        labels,
        identity: raw.identity.and_then(|n| u32::try_from(n.0).ok()).filter(|&n| n != 0),
        namespace: boxed(raw.namespace),
        pod: boxed(raw.pod_name),
        workload: raw.workloads.into_iter().flatten().find_map(Reference::workload),
        ip: ip.parse().ok(),
        names: dns_names(names),
        service: parse::<Reference<'_>>(service).and_then(Reference::object_name),
    })
}

/// What is wrong, without a place: that of the end, not of the line, would mislead.
fn words(error: &serde_json::Error) -> String {
    let words = error.to_string();
    words.split_once(" at line ").map_or(words.clone(), |(words, _)| words.to_owned())
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

/// Reads one end from its endpoint, address, names and Service.
///
/// # Errors
///
/// [`Refused`] if it cannot be read.
pub(crate) fn read_end(texts: [&str; 4]) -> Result<Endpoint, Refused> {
    let end = read(texts)?;
    familiar::remember_end(texts[0]);
    Ok(end)
}

/// A number that equal texts of ends have in common.
pub(crate) fn number_of_end(text: &str) -> u64 {
    familiar::number(text.as_bytes())
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<T> {
    serde_json::from_str(raw).ok()
}

fn dns_names(raw: &str) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = parse::<Vec<Text<'_>>>(raw)
        .iter()
        .flatten()
        .map(|name| name.trim_end_matches('.'))
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect();
    names.sort();
    names.dedup();
    names
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
