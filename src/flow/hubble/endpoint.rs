//! One end of a Hubble record (`flow-formats.md` 1.5).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::value::{Number, Text};
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

/// The id of an endpoint: only the observing node's own endpoints have one.
#[derive(Deserialize, Default)]
struct Local {
    #[serde(rename = "ID", alias = "id")]
    id: Option<Number>,
}

/// Whether the end lives on the node that made the record.
pub(super) fn is_local(raw: Option<&RawValue>) -> bool {
    raw.and_then(|raw| serde_json::from_str::<Local>(raw.get()).ok())
        .and_then(|local| local.id)
        .is_some_and(|id| id != Number(0))
}

/// Reads one end; what does not fit is taken as absent.
pub(super) fn read(
    raw: Option<&RawValue>,
    ip: Option<&str>,
    names: Option<&RawValue>,
    service: Option<&RawValue>,
) -> Endpoint {
    let raw: RawEndpoint<'_> = parse(raw).unwrap_or_default();
    let mut labels: Vec<Label> = raw.labels.iter().flatten().map(|label| Label::parse(label)).collect();
    labels.sort();
    labels.dedup();
    Endpoint {
        labels,
        identity: raw.identity.and_then(|n| u32::try_from(n.0).ok()).filter(|&n| n != 0),
        namespace: boxed(raw.namespace),
        pod: boxed(raw.pod_name),
        workload: raw.workloads.into_iter().flatten().find_map(workload),
        ip: ip.and_then(|ip| ip.parse().ok()),
        names: dns_names(names),
        service: parse::<RawService<'_>>(service).and_then(service_name),
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
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

fn dns_names(raw: Option<&RawValue>) -> Vec<Box<str>> {
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
