//! One end of a Hubble record (`flow-formats.md` 1.5).

use serde::Deserialize;

use super::familiar;
use super::reference::{Reference, boxed};
use super::scan::for_each;
use super::value::{Number, Text};
use crate::flow::record::Refused;
use crate::flow::{Endpoint, labels};

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
    Ok(Endpoint {
        labels: labels::read(raw.labels.iter().flatten().map(|label| &**label)),
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
