//! The ends of flows, each kept once. Pods with the same labels are one end, as
//! they are to policy; outside addresses stay apart by name, else by address.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::digest::EndTexts;
use crate::flow::hubble::read_end;
use crate::flow::{Endpoint, ObjectName, Workload};
use crate::label::{self, Label};

/// How many raw texts of ends are remembered before starting anew.
const CACHED_TEXTS: usize = 8192;

/// An end, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EndId(u32);

impl EndId {
    /// Its place among all ends.
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

/// What finds the text that an end is written as: its hash and the lengths of its parts.
pub(super) type TextKey = (u64, [usize; 4]);

/// All ends that were seen.
#[derive(Default)]
pub(crate) struct Ends {
    /// The first endpoint of each class, as an example of it.
    examples: Vec<Arc<Endpoint>>,
    /// By the hash of what tells an end from others, or the next number that is free.
    by_class: FxHashMap<u64, EndId>,
    by_text: FxHashMap<TextKey, (Box<str>, EndId)>,
}

impl Ends {
    /// The end that an endpoint belongs to.
    pub(crate) fn id(&mut self, endpoint: Arc<Endpoint>) -> EndId {
        let class = class(&endpoint);
        let mut hash = FxBuildHasher.hash_one(&class);
        while let Some(&id) = self.by_class.get(&hash) {
            if self::class(self.example(id)) == class {
                return id;
            }
            hash = hash.wrapping_add(1);
        }
        let id = EndId(u32::try_from(self.examples.len()).unwrap_or(u32::MAX));
        self.by_class.insert(hash, id);
        self.examples.push(endpoint);
        id
    }

    /// The ends of a block.
    pub(super) fn ids_of_texts(&mut self, mut texts: EndTexts) -> Vec<EndId> {
        let mut ids = Vec::with_capacity(texts.len());
        for place in 0..texts.len() {
            let endpoint = texts.take_endpoint(place);
            let read = || endpoint.or_else(|| read_end(texts.texts_of(place)?).ok());
            let (key, text) = texts.whole(place);
            ids.push(self.id_of_text(key, text, read));
        }
        ids
    }

    /// The end that is written as `text`, read if that text is new.
    fn id_of_text(&mut self, key: TextKey, text: &str, read: impl FnOnce() -> Option<Endpoint>) -> EndId {
        if let Some((known, id)) = self.by_text.get(&key)
            && **known == *text
        {
            return *id;
        }
        let id = self.id(read().unwrap_or_default().into());
        if self.by_text.len() >= CACHED_TEXTS {
            self.by_text.clear();
        }
        self.by_text.insert(key, (text.into(), id));
        id
    }

    /// The first endpoint that was seen of an end.
    pub(crate) fn example(&self, id: EndId) -> &Arc<Endpoint> {
        &self.examples[id.number()]
    }

    /// The examples of all ends.
    pub(crate) fn examples(&self) -> &[Arc<Endpoint>] {
        &self.examples
    }
}

/// What of an endpoint tells it from others.
#[derive(Default, PartialEq, Eq, Hash)]
struct Class<'a> {
    labels: Cow<'a, [Label]>,
    namespace: Option<&'a str>,
    workload: Option<&'a Workload>,
    pod: Option<&'a str>,
    names: &'a [Box<str>],
    ip: Option<IpAddr>,
    identity: Option<u32>,
    service: Option<&'a ObjectName>,
}

fn class(endpoint: &Endpoint) -> Class<'_> {
    let service = endpoint.service.as_ref();
    if endpoint.labels.is_empty() {
        return Class { service, ..class_without_labels(endpoint) };
    }
    let labelled = Class {
        labels: Cow::Borrowed(&endpoint.labels),
        namespace: endpoint.namespace.as_deref().filter(|_| namespace_label(endpoint).is_none()),
        service,
        ..Class::default()
    };
    if !is_outside(endpoint) {
        return labelled;
    }
    if endpoint.names.is_empty() {
        return Class { ip: endpoint.ip, ..labelled };
    }
    // One name has many addresses, and each brings its own `cidr:` label.
    let labels = endpoint.labels.iter().filter(|label| label.source.as_ref() != "cidr").cloned().collect();
    Class { names: &endpoint.names, labels, ..labelled }
}

fn class_without_labels(endpoint: &Endpoint) -> Class<'_> {
    let namespace = endpoint.namespace.as_deref();
    match endpoint {
        Endpoint { workload: Some(workload), .. } => {
            Class { namespace, workload: Some(workload), ..Class::default() }
        }
        Endpoint { pod: Some(pod), .. } => Class { namespace, pod: Some(pod), ..Class::default() },
        Endpoint { names, .. } if !names.is_empty() => Class { names, ..Class::default() },
        Endpoint { ip: Some(ip), .. } => Class { ip: Some(*ip), ..Class::default() },
        _ => Class { namespace, identity: endpoint.identity, ..Class::default() },
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
        let first = ends.id(pod("web-1", [10, 0, 0, 1]).into());
        assert_eq!(ends.id(pod("web-2", [10, 0, 0, 2]).into()), first);
        assert_eq!(ends.example(first).pod.as_deref(), Some("web-1"));
    }

    #[test]
    fn addresses_outside_are_apart_by_name_else_by_address() {
        let mut ends = Ends::default();
        let bare = ends.id(outside([192, 0, 2, 1], &[]).into());
        assert_ne!(ends.id(outside([192, 0, 2, 2], &[]).into()), bare);
        let named = ends.id(outside([192, 0, 2, 1], &["a.example"]).into());
        assert_ne!(named, bare);
        assert_eq!(ends.id(outside([192, 0, 2, 2], &["a.example"]).into()), named);
    }

    #[test]
    fn a_text_is_read_once() {
        let mut ends = Ends::default();
        let key = (1, [3, 0, 0, 0]);
        let id = ends.id_of_text(key, "web", || Some(pod("web-1", [10, 0, 0, 1])));
        assert_eq!(ends.id_of_text(key, "web", || None), id);
        assert_ne!(ends.id_of_text(key, "api", || None), id, "hashes may be equal");
    }
}
