//! One end of a Hubble record (`flow-formats.md` 1.5).

use serde::Deserialize;

use super::scan::for_each;
use super::value::{Number, Text};
use crate::flow::record::Refused;
use crate::flow::{Endpoint, ObjectName, Workload};
use crate::label::Label;

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
    workloads: Option<Vec<RawWorkload<'a>>>,
}

#[derive(Deserialize)]
struct RawWorkload<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RawService<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
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
pub(super) fn read([raw, ip, names, service]: [&str; 4]) -> Result<Endpoint, Refused> {
    let raw = match raw.starts_with('{') {
        true => serde_json::from_str::<RawEndpoint<'_>>(raw)
            .map_err(|error| Refused::Broken(format!("an end of the flow cannot be read: {error}")))?,
        false => RawEndpoint::default(),
    };
    let mut labels: Vec<Label> = raw.labels.iter().flatten().map(|label| Label::parse(label)).collect();
    labels.sort();
    labels.dedup();
    Ok(Endpoint {
        labels,
        identity: raw.identity.and_then(|n| u32::try_from(n.0).ok()).filter(|&n| n != 0),
        namespace: boxed(raw.namespace),
        pod: boxed(raw.pod_name),
        workload: raw.workloads.into_iter().flatten().find_map(workload),
        ip: ip.parse().ok(),
        names: dns_names(names),
        service: parse::<RawService<'_>>(service).and_then(service_name),
    })
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<T> {
    serde_json::from_str(raw).ok()
}

fn boxed(text: Option<Text<'_>>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(|text| (*text).into())
}

fn workload(raw: RawWorkload<'_>) -> Option<Workload> {
    Some(Workload { kind: boxed(raw.kind).unwrap_or_default(), name: boxed(raw.name)? })
}

fn service_name(raw: RawService<'_>) -> Option<ObjectName> {
    Some(ObjectName { namespace: boxed(raw.namespace), name: boxed(raw.name)? })
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
