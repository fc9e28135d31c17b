//! Questions to the inventory: whose pod is this, which workloads carry these
//! labels, which Service leads to this port.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::endpoint::{CiliumEndpoint, CiliumIdentity};
use super::pod_name::possible_owners;
use super::service::{Backends, Service, ServicePort, TargetPort};
use super::{Inventory, Origin, Pair, Workload, is_identity_label};
use crate::flow;
use crate::label::{Label, NAMESPACE};
use crate::traffic::Transport;
use crate::version::CiliumVersion;

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
    /// pod's name, by the release that the owner likely belongs to, then by address.
    pub fn find_workload(&self, end: &flow::Endpoint) -> Option<&Workload> {
        let by_name = namespace_of(end).and_then(|namespace| {
            let hint = end.workload.as_ref();
            let hinted = hint.and_then(|hint| self.named(namespace, &hint.name, |w| w.kind == hint.kind));
            hinted
                .or_else(|| self.find_pod(namespace, end.pod.as_deref()?))
                .or_else(|| self.likely_owner(namespace, &format!("{}-", hint?.name)))
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

    #[test]
    fn a_pod_that_no_manifest_shows_belongs_to_the_release_that_its_name_begins_with() {
        let mut inventory = inventory(&workload("Deployment", "other"));
        let other = inventory.workloads().next().unwrap().clone();
        let release =
            Workload { kind: "HelmRelease".into(), name: "web".into(), origin: Origin::Likely, ..other };
        inventory.add_workload(release);
        let kind = |end: &flow::Endpoint| inventory.find_workload(end).map(|w| w.kind.to_string());
        let mut end = flow::Endpoint {
            namespace: Some("n".into()),
            pod: Some("web-cache-7d8f9c6b5-q9zlw".into()),
            ..Default::default()
        };
        assert_eq!(kind(&end).as_deref(), Some("HelmRelease"));
        end.pod = None;
        end.workload = Some(flow::Workload { kind: "Deployment".into(), name: "web".into() });
        assert_eq!(kind(&end).as_deref(), Some("HelmRelease"));
        end.workload = Some(flow::Workload { kind: "Deployment".into(), name: "website".into() });
        assert_eq!(kind(&end), None);
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
}
