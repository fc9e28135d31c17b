//! Who lives in the cluster: workloads with their pod labels and ports,
//! Services with their backends, Namespaces with their labels.
//!
//! It is read from the manifests of the tree and, where `kubectl get` output is
//! given, from that, which outranks the tree. Labels seen in flows outrank both.

mod complete;
mod endpoint;
mod identity;
mod lookup;
mod named_ports;
mod pod_name;
mod reader;
mod service;
mod workload;

use std::borrow::Cow;

use rustc_hash::FxHashMap;

pub use complete::LabelOrigin;
pub use endpoint::{CiliumEndpoint, CiliumIdentity};
pub use identity::{Cluster, identity_labels, is_identity_label};
pub use named_ports::NamedPorts;
pub use service::{Backends, Service, ServicePort, TargetPort};
pub use workload::{ContainerPort, Workload};

use crate::manifest::{Object, Text};
use crate::source::{Span, Spanned};
use reader::Reader;

/// A label of an object as Kubernetes writes it: key and value.
pub type Pair = (Box<str>, Box<str>);

/// Where an entry comes from; what ranks higher counts when two disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// What a Helm chart makes by convention: no manifest shows it.
    Likely,
    /// A manifest of the tree.
    Tree,
    /// What the cluster said (`kubectl get`).
    Cluster,
}

/// What the tree makes of an object before the cluster gets it.
///
/// Several of these for one object when several overlays render it; none when
/// nothing applies it.
pub struct Rendered<'a> {
    /// Its namespace; `None` when it cannot be known.
    pub namespace: Option<Cow<'a, str>>,
    /// Its name.
    pub name: Cow<'a, str>,
    /// Labels that are put on the pods of a workload.
    pub template_labels: Vec<Pair>,
    /// Labels that are put into the selector of a Service.
    pub selector_labels: Vec<Pair>,
    /// Puts values in place of variables; `None` when the result cannot be known.
    pub substitute: &'a dyn Fn(Text<'a>) -> Option<Text<'a>>,
}

impl<'a> Rendered<'a> {
    /// An object that reaches the cluster as it is written: without a namespace
    /// it lands in `default` (`semantics.md` 1.1).
    pub fn as_written(object: &Object<'a>) -> Self {
        let text = |field: &Option<Spanned<Text<'a>>>| field.as_ref().map(|f| f.value.clone());
        Self {
            namespace: Some(text(&object.namespace).unwrap_or(Cow::Borrowed("default"))),
            name: text(&object.name).unwrap_or_default(),
            template_labels: Vec::new(),
            selector_labels: Vec::new(),
            substitute: &|text| Some(text),
        }
    }
}

/// A Namespace object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: Box<str>,
    /// Its labels.
    pub labels: Vec<Pair>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands.
    pub place: Span,
}

/// Everything that is known about who lives in the cluster.
#[derive(Debug, Default)]
pub struct Inventory {
    workloads: Vec<Workload>,
    services: Vec<Service>,
    backends: Vec<Backends>,
    namespaces: FxHashMap<Box<str>, Namespace>,
    endpoints: Vec<CiliumEndpoint>,
    identities: FxHashMap<u32, CiliumIdentity>,
    index: lookup::Index,
}

impl Inventory {
    /// Reads objects that reach the cluster as they are written.
    pub fn read(origin: Origin, objects: &[Object<'_>]) -> Self {
        let mut inventory = Self::default();
        for object in objects {
            inventory.add(origin, object, &Rendered::as_written(object));
        }
        inventory
    }

    /// Takes in one object as the cluster gets it; kinds that say nothing about
    /// who lives there are passed over.
    pub fn add<'a>(&mut self, origin: Origin, object: &Object<'a>, rendered: &Rendered<'a>) {
        let reader = Reader { origin, object, rendered };
        match (object.group(), object.kind.as_ref()) {
            ("", "Namespace") => self.add_namespace(&reader),
            ("", "Service") => self.add_service(service::read(&reader)),
            ("", "Endpoints") => self.add_backends(service::read_endpoints(&reader)),
            ("discovery.k8s.io", "EndpointSlice") => self.add_backends(service::read_slice(&reader)),
            ("cilium.io", "CiliumEndpoint") => self.add_endpoint(endpoint::read(&reader)),
            ("cilium.io", "CiliumIdentity") => self.add_identity(endpoint::read_identity(&reader)),
            _ => {
                if let Some(workload) = workload::read(&reader) {
                    self.add_workload(workload);
                }
            }
        }
    }

    fn add_namespace(&mut self, reader: &Reader<'_, '_>) {
        let namespace = Namespace {
            name: reader.name(),
            labels: reader.pairs(reader.path(&["metadata", "labels"])).known,
            origin: reader.origin,
            place: reader.object.place(),
        };
        let known = self.namespaces.get(&namespace.name);
        if known.is_none_or(|known| known.origin <= namespace.origin) {
            self.namespaces.insert(namespace.name.clone(), namespace);
        }
    }

    /// Every workload, in the order in which they were added.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.iter()
    }

    /// Every Service, in the order in which they were added.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter()
    }

    /// The Namespace object of this name.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// Every CiliumEndpoint, in the order in which they were added.
    pub fn endpoints(&self) -> impl Iterator<Item = &CiliumEndpoint> {
        self.endpoints.iter()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::manifest::objects;
    use crate::source::FileId;
    use crate::yaml::parse;

    /// The inventory of one file as it is written.
    pub(crate) fn inventory(text: &str) -> Inventory {
        with_origin(Origin::Tree, text)
    }

    pub(crate) fn with_origin(origin: Origin, text: &str) -> Inventory {
        let tree = parse(FileId(0), text);
        assert!(tree.errors.is_empty(), "{:?}", tree.errors);
        Inventory::read(origin, &objects(&tree))
    }

    #[test]
    fn an_object_without_namespace_lands_in_default() {
        let inventory = inventory("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n");
        assert_eq!(inventory.workloads().next().unwrap().namespace.as_deref(), Some("default"));
    }

    #[test]
    fn what_the_tree_makes_of_an_object_counts_and_not_what_is_written() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: written}\nspec: {template: {metadata: {labels: {app: '${APP}', tier: '${TIER}'}}}}\n";
        let tree = parse(FileId(0), text);
        let objects = objects(&tree);
        let mut inventory = Inventory::default();
        let substitute = |text: Text<'_>| match text.as_ref() {
            "${APP}" => Some("web".into()),
            other if other.contains("${") => None,
            _ => Some(text.into_owned().into()),
        };
        let rendered = Rendered {
            namespace: Some("shop".into()),
            name: "pre-web".into(),
            template_labels: vec![("team".into(), "a".into())],
            selector_labels: Vec::new(),
            substitute: &substitute,
        };
        inventory.add(Origin::Tree, &objects[0], &rendered);
        let web = inventory.workloads().next().unwrap();
        assert_eq!((web.namespace.as_deref(), &*web.name), (Some("shop"), "pre-web"));
        assert_eq!(web.pod_labels, [("app".into(), "web".into()), ("team".into(), "a".into())]);
        assert_eq!(web.unknown_labels, ["tier".into()]);
    }

    #[test]
    fn what_the_cluster_says_of_a_namespace_outranks_the_tree() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {a: '1'}}\n";
        let tree = parse(FileId(0), text);
        let other = parse(FileId(1), "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n");
        let mut inventory = Inventory::read(Origin::Cluster, &objects(&tree));
        let object = &objects(&other)[0];
        inventory.add(Origin::Tree, object, &Rendered::as_written(object));
        assert_eq!(inventory.namespace("n").unwrap().labels.len(), 1);
    }
}
