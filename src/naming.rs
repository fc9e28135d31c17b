//! How things are called when people are told of them: the end of a flow, a
//! request, what an undecided verdict hangs on.

use crate::engine::{ElementPlace, Unknown};
use crate::flow::{Endpoint, Flow, Request};
use crate::label::NAMESPACE;
use crate::model::Model;
use crate::policy::Element;

/// The element at a place.
pub fn element<'m, 's>(model: &'m Model<'s>, place: ElementPlace) -> Option<&'m Element<'s>> {
    let rule = model.policies.get(place.policy as usize)?.rules.get(place.rule as usize)?;
    rule.sections.get(place.section as usize)?.elements.get(place.element as usize)
}

/// What an undecided verdict hangs on, in words.
pub fn why_unknown(unknown: Unknown, model: &Model<'_>) -> String {
    let title =
        |policy: u32| model.policies.get(policy as usize).map_or(String::new(), |policy| policy.title());
    let is_changed =
        |policy: u32| model.policies.get(policy as usize).is_some_and(|policy| !policy.unsure.is_nothing());
    match unknown {
        Unknown::Element(ElementPlace { policy, .. }) | Unknown::Rule { policy, .. }
            if is_changed(policy) =>
        {
            format!("a patch changes {} in a way that is not evaluated", title(policy))
        }
        Unknown::Labels(_) => "the labels of an end are not known".to_owned(),
        Unknown::Element(place) => {
            format!("a rule of {} hangs on a value that the manifests do not define", title(place.policy))
        }
        Unknown::Rule { policy, .. } => {
            format!("whom {} selects hangs on a value that the manifests do not define", title(policy))
        }
    }
}

/// How an end of a flow is called: namespace and workload, else what is known.
pub fn name(end: &Endpoint) -> String {
    let label =
        |key: &str| end.labels.iter().find(|label| &*label.key == key).map(|label| label.value.as_ref());
    let namespace = label(NAMESPACE).or(end.namespace.as_deref());
    let reserved: Vec<_> =
        end.labels.iter().filter(|l| &*l.source == "reserved").map(|label| label.key.as_ref()).collect();
    if let Some(namespace) = namespace {
        let keys = ["app.kubernetes.io/name", "app", "k8s-app", "name", "app.kubernetes.io/instance"];
        let workload = end.workload.as_ref().map(|workload| workload.name.as_ref());
        let known = workload.or_else(|| keys.iter().find_map(|key| label(key))).or(end.pod.as_deref());
        let name =
            known.map_or_else(|| format!("a pod in {namespace}"), |known| format!("{namespace}/{known}"));
        // Policy sees the reserved identity, whatever pod the record names beside it.
        return if reserved.is_empty() { name } else { format!("{name} ({})", reserved.join(", ")) };
    }
    match (end.names.first(), end.ip, reserved.as_slice()) {
        (Some(name), ..) => name.to_string(),
        (None, Some(ip), []) => ip.to_string(),
        (None, Some(ip), reserved) => format!("{ip} ({})", reserved.join(", ")),
        (None, None, []) => end.pod.as_deref().unwrap_or("unknown").to_owned(),
        (None, None, reserved) => reserved.join(", "),
    }
}

/// The packet of a flow, and the request in it: `TCP 8080 POST /public`.
pub fn what(flow: &Flow) -> String {
    match &flow.request {
        Some(Request::Http { method, path, .. }) => format!("{} {method} {path}", flow.packet),
        Some(Request::Dns { query }) => format!("{} query {query}", flow.packet),
        Some(Request::Other) | None => flow.packet.to_string(),
    }
}
