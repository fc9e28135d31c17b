//! The ends of flows, each kept once. Pods with the same labels are one end, as
//! they are to policy; outside addresses stay apart by name, else by address.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::digest::EndTexts;
use crate::flow::Endpoint;
use crate::label::{self, Label};

/// How many raw texts of ends are remembered before starting anew.
const CACHED_TEXTS: usize = 8192;

/// An end, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EndId(u32);

/// All ends that were seen.
#[derive(Default)]
pub(crate) struct Ends {
    /// The first endpoint of each class, as an example of it.
    examples: Vec<Endpoint>,
    by_class: FxHashMap<Endpoint, EndId>,
    /// By the hash of the text that an end is written as.
    by_text: FxHashMap<u64, (Box<str>, EndId)>,
}

impl Ends {
    /// The end that an endpoint belongs to.
    pub(crate) fn id(&mut self, endpoint: &Endpoint) -> EndId {
        let class = class(endpoint);
        if let Some(&id) = self.by_class.get(&class) {
            return id;
        }
        let id = EndId(u32::try_from(self.examples.len()).unwrap_or(u32::MAX));
        self.examples.push(endpoint.clone());
        self.by_class.insert(class, id);
        id
    }

    /// The ends of a block.
    pub(super) fn ids_of_texts(&mut self, texts: &EndTexts) -> Vec<EndId> {
        let mut ids = Vec::with_capacity(texts.ends.len());
        for (place, end) in texts.ends.iter().enumerate() {
            ids.push(self.id_of_text(end.hash, texts.text_of(place), &end.endpoint));
        }
        ids
    }

    /// The end that is written as `text`.
    fn id_of_text(&mut self, hash: u64, text: &str, endpoint: &Endpoint) -> EndId {
        if let Some((known, id)) = self.by_text.get(&hash)
            && **known == *text
        {
            return *id;
        }
        let id = self.id(endpoint);
        if self.by_text.len() >= CACHED_TEXTS {
            self.by_text.clear();
        }
        self.by_text.insert(hash, (text.into(), id));
        id
    }

    /// The first endpoint that was seen of an end.
    pub(crate) fn example(&self, id: EndId) -> &Endpoint {
        &self.examples[id.0 as usize]
    }

    /// The examples of all ends.
    pub(crate) fn examples(&self) -> &[Endpoint] {
        &self.examples
    }
}

/// What of an endpoint tells it from others.
fn class(endpoint: &Endpoint) -> Endpoint {
    let service = endpoint.service.clone();
    if endpoint.labels.is_empty() {
        return Endpoint { service, ..class_without_labels(endpoint) };
    }
    let labelled = |labels| Endpoint {
        labels,
        namespace: endpoint.namespace.clone().filter(|_| namespace_label(endpoint).is_none()),
        service: service.clone(),
        ..Endpoint::default()
    };
    if !is_outside(endpoint) {
        return labelled(endpoint.labels.clone());
    }
    if endpoint.names.is_empty() {
        return Endpoint { ip: endpoint.ip, ..labelled(endpoint.labels.clone()) };
    }
    // One name has many addresses, and each brings its own `cidr:` label.
    let labels = endpoint.labels.iter().filter(|label| label.source.as_ref() != "cidr").cloned().collect();
    Endpoint { names: endpoint.names.clone(), ..labelled(labels) }
}

fn class_without_labels(endpoint: &Endpoint) -> Endpoint {
    let namespace = endpoint.namespace.clone();
    match endpoint {
        Endpoint { workload: Some(workload), .. } => {
            Endpoint { namespace, workload: Some(workload.clone()), ..Endpoint::default() }
        }
        Endpoint { pod: Some(pod), .. } => {
            Endpoint { namespace, pod: Some(pod.clone()), ..Endpoint::default() }
        }
        Endpoint { names, .. } if !names.is_empty() => {
            Endpoint { names: names.clone(), ..Endpoint::default() }
        }
        Endpoint { ip: Some(ip), .. } => Endpoint { ip: Some(*ip), ..Endpoint::default() },
        _ => Endpoint { namespace, identity: endpoint.identity, ..Endpoint::default() },
    }
}

/// Whether the end lies outside the cluster: known by address or name only.
pub(crate) fn is_outside(endpoint: &Endpoint) -> bool {
    endpoint.labels.iter().any(|label| match label.source.as_ref() {
        "reserved" => label.key.starts_with("world"),
        "cidr" | "fqdn" | "cidrgroup" => true,
        _ => false,
    })
}

fn namespace_label(endpoint: &Endpoint) -> Option<&str> {
    let is_namespace =
        |label: &&Label| label.source.as_ref() == "k8s" && label.key.as_ref() == label::NAMESPACE;
    endpoint.labels.iter().find(is_namespace).map(|label| label.value.as_ref())
}

impl Endpoint {
    /// The namespace: the label's, which policy sees, else the record's.
    pub fn namespace(&self) -> Option<&str> {
        namespace_label(self).or(self.namespace.as_deref())
    }

    /// The address, if the end is known by nothing better: neither a pod's labels nor a name.
    pub(crate) fn bare_address(&self) -> Option<IpAddr> {
        self.ip
            .filter(|_| self.names.is_empty() && self.pod.is_none())
            .filter(|_| self.labels.is_empty() || is_outside(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, ip: [u8; 4]) -> Endpoint {
        Endpoint {
            labels: vec![Label::k8s("app", "web"), Label::k8s(label::NAMESPACE, "shop")],
            pod: Some(name.into()),
            ip: Some(ip.into()),
            ..Endpoint::default()
        }
    }

    fn outside(ip: [u8; 4], names: &[&str]) -> Endpoint {
        let cidr = Label::new("cidr", &format!("{}/32", IpAddr::from(ip)), "");
        Endpoint {
            labels: vec![cidr, Label::reserved("world")],
            ip: Some(ip.into()),
            names: names.iter().map(|&name| name.into()).collect(),
            ..Endpoint::default()
        }
    }

    #[test]
    fn pods_with_the_same_labels_are_one_end() {
        let mut ends = Ends::default();
        let first = ends.id(&pod("web-1", [10, 0, 0, 1]));
        assert_eq!(ends.id(&pod("web-2", [10, 0, 0, 2])), first);
        assert_eq!(ends.example(first).pod.as_deref(), Some("web-1"));
    }

    #[test]
    fn addresses_outside_are_apart_by_name_else_by_address() {
        let mut ends = Ends::default();
        let bare = ends.id(&outside([192, 0, 2, 1], &[]));
        assert_ne!(ends.id(&outside([192, 0, 2, 2], &[])), bare);
        let named = ends.id(&outside([192, 0, 2, 1], &["a.example"]));
        assert_ne!(named, bare);
        assert_eq!(ends.id(&outside([192, 0, 2, 2], &["a.example"])), named);
    }

    #[test]
    fn a_text_is_compared_with_an_end_once() {
        let mut ends = Ends::default();
        let web = pod("web-1", [10, 0, 0, 1]);
        let id = ends.id_of_text(1, "web", &web);
        assert_eq!(ends.id_of_text(1, "web", &Endpoint::default()), id);
        assert_ne!(ends.id_of_text(1, "else", &Endpoint::default()), id, "hashes may be equal");
    }
}
