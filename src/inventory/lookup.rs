//! Questions to the inventory: whose pod is this, which workloads carry these
//! labels, which Service leads to this port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::endpoint::{CiliumEndpoint, CiliumIdentity};
use super::service::{Backends, Service, ServicePort, TargetPort};
use super::{Inventory, Origin, Pair, Workload, is_identity_label};
use crate::flow;
use crate::label::{Label, NAMESPACE};
use crate::traffic::Transport;
use crate::version::CiliumVersion;

/// Named ports: a name in lower case, and what it stands for.
pub type NamedPorts = BTreeMap<Box<str>, BTreeSet<(Transport, u16)>>;

/// Where to find what by name and address. Positions in the lists of the [`Inventory`].
#[derive(Debug, Default)]
pub(super) struct Index {
    workloads: FxHashMap<Box<str>, FxHashMap<Box<str>, Vec<usize>>>,
    by_namespace: FxHashMap<Box<str>, Vec<usize>>,
    services: FxHashMap<Box<str>, Vec<usize>>,
    pod_addresses: FxHashMap<IpAddr, usize>,
    service_addresses: FxHashMap<IpAddr, usize>,
    endpoints: FxHashMap<Box<str>, FxHashMap<Box<str>, usize>>,
    endpoint_addresses: FxHashMap<IpAddr, usize>,
}

impl Inventory {
    /// Takes in a workload, also one that no manifest shows.
    pub fn add_workload(&mut self, workload: Workload) {
        let at = self.workloads.len();
        if let Some(namespace) = &workload.namespace {
            let names = self.index.workloads.entry(namespace.clone()).or_default();
            names.entry(workload.name.clone()).or_default().push(at);
            self.index.by_namespace.entry(namespace.clone()).or_default().push(at);
        }
        if !workload.host_network {
            self.index.pod_addresses.extend(workload.addresses.iter().map(|address| (*address, at)));
        }
        self.workloads.push(workload);
    }

    pub(super) fn add_service(&mut self, service: Service) {
        let at = self.services.len();
        if let Some(namespace) = &service.namespace {
            self.index.services.entry(namespace.clone()).or_default().push(at);
        }
        self.index.service_addresses.extend(service.addresses.iter().map(|address| (*address, at)));
        self.services.push(service);
    }

    pub(super) fn add_backends(&mut self, backends: Backends) {
        self.backends.push(backends);
    }

    pub(super) fn add_endpoint(&mut self, endpoint: CiliumEndpoint) {
        let at = self.endpoints.len();
        if let Some(namespace) = &endpoint.namespace {
            let pods = self.index.endpoints.entry(namespace.clone()).or_default();
            pods.insert(endpoint.pod.clone(), at);
        }
        self.index.endpoint_addresses.extend(endpoint.addresses.iter().map(|address| (*address, at)));
        self.endpoints.push(endpoint);
    }

    pub(super) fn add_identity(&mut self, identity: Option<CiliumIdentity>) {
        if let Some(identity) = identity {
            self.identities.insert(identity.number, identity);
        }
    }

    /// The CiliumEndpoint of a flow's end: by pod name, else by address.
    pub fn find_endpoint(&self, end: &flow::Endpoint) -> Option<&CiliumEndpoint> {
        let by_name = namespace_of(end)
            .zip(end.pod.as_deref())
            .and_then(|(namespace, pod)| self.index.endpoints.get(namespace)?.get(pod));
        let at = by_name.or_else(|| self.index.endpoint_addresses.get(&end.ip?))?;
        self.endpoints.get(*at)
    }

    /// The labels of an identity by its number, where the cluster told them.
    pub fn identity(&self, number: u32) -> Option<&CiliumIdentity> {
        self.identities.get(&number)
    }

    /// The workload of a flow's end: by the owner that the record names, by the
    /// pod's name, then by address.
    pub fn find_workload(&self, end: &flow::Endpoint) -> Option<&Workload> {
        let by_name = namespace_of(end).and_then(|namespace| {
            let hinted = end
                .workload
                .as_ref()
                .and_then(|hint| self.named(namespace, &hint.name, |workload| workload.kind == hint.kind));
            hinted.or_else(|| self.find_pod(namespace, end.pod.as_deref()?))
        });
        by_name.or_else(|| self.workloads.get(*self.index.pod_addresses.get(&end.ip?)?))
    }

    /// The workload that a pod belongs to: the Pod itself where it is known,
    /// else the owner by the names that controllers give
    /// (`<deployment>-<hash>-<5>`, `<statefulset>-<n>`, `<daemonset>-<5>` …),
    /// else the release whose name the pod's begins with.
    pub fn find_pod(&self, namespace: &str, pod: &str) -> Option<&Workload> {
        if let Some(exact) = self.named(namespace, pod, |workload| &*workload.kind == "Pod") {
            return Some(exact);
        }
        possible_owners(pod)
            .into_iter()
            .find_map(|(name, kinds)| {
                self.named(namespace, name, |workload| kinds.contains(&workload.kind.as_ref()))
            })
            .or_else(|| self.likely_owner(namespace, pod))
    }

    /// The workload of this name and of the highest rank that fits.
    fn named(&self, namespace: &str, name: &str, fits: impl Fn(&Workload) -> bool) -> Option<&Workload> {
        let found = self.index.workloads.get(namespace)?.get(name)?;
        let fitting = found.iter().filter_map(|at| self.workloads.get(*at)).filter(|workload| fits(workload));
        fitting.min_by_key(|workload| std::cmp::Reverse(workload.origin))
    }

    /// Charts begin the names of their pods with the release's.
    fn likely_owner(&self, namespace: &str, pod: &str) -> Option<&Workload> {
        let dashes = pod.char_indices().rev().filter(|(_, c)| *c == '-').map(|(at, _)| at);
        dashes
            .filter_map(|at| pod.get(..at))
            .find_map(|name| self.named(namespace, name, |workload| workload.origin == Origin::Likely))
    }

    /// The workloads whose pods carry all of these labels. In every namespace
    /// where none is given; those whose namespace cannot be known may be in any.
    pub fn workloads_with<'i>(
        &'i self,
        namespace: Option<&'i str>,
        labels: &'i [Pair],
    ) -> impl Iterator<Item = &'i Workload> {
        let here = move |workload: &&Workload| {
            namespace.is_none_or(|wanted| workload.namespace.as_deref().is_none_or(|ns| ns == wanted))
        };
        let carries = |workload: &&Workload| {
            labels.iter().all(|(key, value)| workload.pod_label(key) == Some(value.as_ref()))
        };
        self.workloads.iter().filter(here).filter(carries)
    }

    /// The workloads that may have made an endpoint with these identity labels:
    /// same namespace, and every pod label that Cilium keeps is among them.
    pub fn workloads_behind<'i>(&'i self, labels: &'i [Label]) -> impl Iterator<Item = &'i Workload> {
        let namespace = labels.iter().find(|label| &*label.key == NAMESPACE).map(|label| &*label.value);
        let here = namespace.and_then(|namespace| self.index.by_namespace.get(namespace));
        here.into_iter()
            .flatten()
            .filter_map(|at| self.workloads.get(*at))
            .filter(|workload| !workload.pod_labels.is_empty() && !workload.host_network)
            .filter(|workload| carries_all(labels, &workload.pod_labels))
    }

    /// The named ports of a flow's end: what its labels tell (`gen:` labels of
    /// Cilium 1.20), its CiliumEndpoint, its workload, or the workloads that
    /// may have made an endpoint with its labels.
    pub fn named_ports(&self, end: &flow::Endpoint) -> NamedPorts {
        let mut ports = ports_in_labels(&end.labels);
        if ports.is_empty()
            && let Some(endpoint) = self.find_endpoint(end)
        {
            put_endpoint_ports(&mut ports, endpoint);
        }
        if ports.is_empty() {
            match self.find_workload(end) {
                Some(workload) => put_workload_ports(&mut ports, workload),
                None => self.workloads_behind(&end.labels).for_each(|w| put_workload_ports(&mut ports, w)),
            }
        }
        ports
    }

    /// The named ports of every pod of the cluster: up to Cilium 1.19 egress
    /// looks names up here (`semantics.md` 3.5).
    pub fn all_named_ports(&self) -> NamedPorts {
        let mut ports = NamedPorts::new();
        self.workloads.iter().filter(|w| !w.host_network).for_each(|w| put_workload_ports(&mut ports, w));
        self.endpoints.iter().for_each(|endpoint| put_endpoint_ports(&mut ports, endpoint));
        ports
    }

    /// The Services of a namespace that select an endpoint with these identity
    /// labels and lead to this port of it, each with the port that does.
    pub fn service_ports_to<'i>(
        &'i self,
        namespace: &str,
        labels: &'i [Label],
        transport: Transport,
        number: u16,
    ) -> Vec<(&'i Service, &'i ServicePort)> {
        let mut found = Vec::new();
        for service in self.services_selecting(namespace, labels) {
            for port in service.ports.iter().filter(|port| port.transport == transport) {
                let leads_there = match &port.target {
                    TargetPort::Number(target) => *target == number,
                    TargetPort::Name(name) => self
                        .workloads_with(Some(namespace), &service.selector)
                        .any(|workload| workload.named_port(name, transport) == Some(number)),
                };
                if leads_there {
                    found.push((service, port));
                }
            }
        }
        found
    }

    /// The Services of a namespace that select an endpoint with these identity labels.
    pub fn services_selecting<'i>(
        &'i self,
        namespace: &str,
        labels: &'i [Label],
    ) -> impl Iterator<Item = &'i Service> {
        let here = self.index.services.get(namespace);
        here.into_iter()
            .flatten()
            .filter_map(|at| self.services.get(*at))
            .filter(|service| !service.selector.is_empty() && carries_all(labels, &service.selector))
    }

    /// The Service of this name.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        let here = self.index.services.get(namespace)?.iter().filter_map(|at| self.services.get(*at));
        here.filter(|service| &*service.name == name).min_by_key(|s| std::cmp::Reverse(s.origin))
    }

    /// The Service that answers at an address.
    pub fn service_at(&self, address: IpAddr) -> Option<&Service> {
        self.services.get(*self.index.service_addresses.get(&address)?)
    }

    /// What lies behind the Service of this name, slice by slice.
    pub fn backends<'i>(
        &'i self,
        namespace: &'i str,
        service: &'i str,
    ) -> impl Iterator<Item = &'i Backends> {
        self.backends
            .iter()
            .filter(move |found| found.namespace.as_deref() == Some(namespace) && &*found.service == service)
    }
}

/// The namespace of a flow's end; the label outranks what the record says.
pub(super) fn namespace_of(end: &flow::Endpoint) -> Option<&str> {
    let label = end.labels.iter().find(|label| &*label.key == NAMESPACE).map(|label| &*label.value);
    label.or(end.namespace.as_deref())
}

/// Whether identity labels hold all of these labels of a pod. What the filter
/// keeps from the identity cannot be seen there and is not asked for.
fn carries_all(labels: &[Label], wanted: &[Pair]) -> bool {
    wanted.iter().all(|(key, value)| {
        !is_identity_label(key, CiliumVersion::default())
            || labels.iter().any(|l| &*l.source == "k8s" && l.key == *key && l.value == *value)
    })
}

/// Who may have made a pod of this name, the most telling pattern first.
fn possible_owners(pod: &str) -> Vec<(&str, &'static [&'static str])> {
    let mut owners: Vec<(&str, &'static [&'static str])> = Vec::new();
    let Some((owner, last)) = pod.rsplit_once('-') else { return owners };
    if is_random(last) && last.len() == 5 {
        if let Some((base, middle)) = owner.rsplit_once('-') {
            if is_random(middle) && middle.len() <= 10 {
                owners.push((base, &["Deployment", "Rollout"]));
            }
            if is_number(middle) {
                owners.push((base, &["CronJob", "Job"]));
            }
        }
        owners.push((owner, &["DaemonSet", "ReplicaSet", "ReplicationController", "Job"]));
    }
    if is_number(last) {
        owners.push((owner, &["StatefulSet"]));
    }
    owners
}

/// Kubernetes makes names from these characters only: no vowels, nothing that
/// looks like one.
fn is_random(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn put(ports: &mut NamedPorts, name: &str, transport: Transport, number: u16) {
    ports.entry(name.to_ascii_lowercase().into()).or_default().insert((transport, number));
}

fn put_workload_ports(ports: &mut NamedPorts, workload: &Workload) {
    for port in &workload.ports {
        if let Some(name) = &port.name {
            put(ports, name, port.transport, port.number);
        }
    }
}

fn put_endpoint_ports(ports: &mut NamedPorts, endpoint: &CiliumEndpoint) {
    for (name, transport, number) in &endpoint.named_ports {
        put(ports, name, *transport, *number);
    }
}

/// The table of named ports that Cilium 1.20 puts among the labels, as
/// `name.TCP.port` joined by `_` (`flow-formats.md` 5.1).
fn ports_in_labels(labels: &[Label]) -> NamedPorts {
    let mut ports = NamedPorts::new();
    let tables = labels
        .iter()
        .filter(|label| &*label.source == "gen" && label.key.starts_with("io.cilium.k8s.named-ports"));
    for entry in tables.flat_map(|label| label.value.split('_')) {
        let mut parts = entry.rsplitn(3, '.');
        let (number, transport, name) = (parts.next(), parts.next(), parts.next());
        let number = number.and_then(|number| number.parse().ok());
        let transport = Transport::ALL.into_iter().find(|known| Some(known.as_str()) == transport);
        if let (Some(name), Some(transport), Some(number)) = (name, transport, number) {
            put(&mut ports, name, transport, number);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::inventory;

    fn workload(kind: &str, name: &str) -> String {
        format!(
            "---\napiVersion: {}\nkind: {kind}\nmetadata: {{name: {name}, namespace: n}}\n",
            match kind {
                "Job" | "CronJob" => "batch/v1",
                "Pod" => "v1",
                _ => "apps/v1",
            }
        )
    }

    #[test]
    fn a_pod_is_found_by_the_name_that_its_controller_gives() {
        let text: String = [
            ("Deployment", "web"),
            ("StatefulSet", "db"),
            ("DaemonSet", "agent"),
            ("Job", "import"),
            ("CronJob", "backup"),
            ("Pod", "lone-7d8f9c6b5-q9zlw"),
            ("Deployment", "lone"),
        ]
        .iter()
        .map(|(kind, name)| workload(kind, name))
        .collect();
        let inventory = inventory(&text);
        let owner = |pod| inventory.find_pod("n", pod).map(|w| format!("{}/{}", w.kind, w.name));
        assert_eq!(owner("web-7d8f9c6b5-q9zlw").as_deref(), Some("Deployment/web"));
        assert_eq!(owner("db-0").as_deref(), Some("StatefulSet/db"));
        assert_eq!(owner("agent-x2x7k").as_deref(), Some("DaemonSet/agent"));
        assert_eq!(owner("import-x2x7k").as_deref(), Some("Job/import"));
        assert_eq!(owner("backup-29384750-x2x7k").as_deref(), Some("CronJob/backup"));
        assert_eq!(owner("lone-7d8f9c6b5-q9zlw").as_deref(), Some("Pod/lone-7d8f9c6b5-q9zlw"));
        assert_eq!(owner("web-frontend-0"), None);
        assert_eq!(owner("web"), None);
        assert!(inventory.find_pod("elsewhere", "db-0").is_none());
    }

    #[test]
    fn the_owner_that_a_record_names_comes_before_the_guess_by_name() {
        let inventory = inventory(&(workload("Deployment", "a-b2c4d") + &workload("DaemonSet", "a-b2c4d")));
        let end = flow::Endpoint {
            namespace: Some("n".into()),
            pod: Some("a-b2c4d-x2x7k".into()),
            workload: Some(flow::Workload { kind: "Deployment".into(), name: "a-b2c4d".into() }),
            ..Default::default()
        };
        assert_eq!(&*inventory.find_workload(&end).unwrap().kind, "Deployment");
    }

    const SHOP: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ledger, namespace: pay}\nspec: {template: {metadata: {labels: {app: ledger}}, spec: {containers: [{ports: [{name: grpc, containerPort: 50051}]}]}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: ledger, namespace: pay}\nspec: {clusterIP: 10.0.0.9, selector: {app: ledger}, ports: [{port: 443, targetPort: grpc}, {port: 80, targetPort: 8080}]}\n";

    #[test]
    fn the_service_that_leads_to_a_port_is_found_by_labels_and_target() {
        let inventory = inventory(SHOP);
        let labels = [Label::k8s("app", "ledger"), Label::k8s(NAMESPACE, "pay")];
        let found = inventory.service_ports_to("pay", &labels, Transport::Tcp, 50051);
        assert_eq!(found.iter().map(|(_, port)| port.port).collect::<Vec<_>>(), [443]);
        assert_eq!(inventory.service_ports_to("pay", &labels, Transport::Tcp, 8080)[0].1.port, 80);
        assert!(inventory.service_ports_to("pay", &labels, Transport::Udp, 8080).is_empty());
        assert!(inventory.service_ports_to("pay", &labels[1..], Transport::Tcp, 8080).is_empty());
        assert_eq!(&*inventory.service_at("10.0.0.9".parse().unwrap()).unwrap().name, "ledger");
    }

    #[test]
    fn named_ports_come_from_the_workload_that_carries_the_labels() {
        let inventory = inventory(SHOP);
        let end = flow::Endpoint {
            labels: vec![Label::k8s("app", "ledger"), Label::k8s("extra", "x"), Label::k8s(NAMESPACE, "pay")],
            ..Default::default()
        };
        assert_eq!(inventory.named_ports(&end)["grpc"], BTreeSet::from([(Transport::Tcp, 50051)]));
    }

    #[test]
    fn named_ports_among_the_labels_outrank_the_tree() {
        let label = Label::parse("gen:io.cilium.k8s.named-ports=dns.UDP.53_dns-tcp.TCP.53_a.b.TCP.x");
        let end = flow::Endpoint { labels: vec![label], ..Default::default() };
        let ports = Inventory::default().named_ports(&end);
        assert_eq!(ports.keys().map(|name| &**name).collect::<Vec<_>>(), ["dns", "dns-tcp"]);
    }
}
