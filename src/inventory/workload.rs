//! Workloads: what makes pods, and the pods themselves.

use std::net::IpAddr;

use super::reader::{Reader, items};
use super::{Origin, Pair};
use crate::source::Span;
use crate::traffic::Transport;
use crate::yaml::Value;

/// Something that runs pods of one kind, or one Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `ReplicaSet`,
    /// `ReplicationController`, `Job`, `CronJob`, `Rollout`, `Pod`, or
    /// `HelmRelease` for what a chart likely makes.
    pub kind: Box<str>,
    /// `metadata.name`; for a HelmRelease the release name.
    pub name: Box<str>,
    /// Its namespace; `None` when it cannot be known.
    pub namespace: Option<Box<str>>,
    /// The labels of its pods as they are written; what reaches the identity
    /// is said by [`super::identity_labels`].
    pub pod_labels: Vec<Pair>,
    /// Keys of pod labels whose value cannot be known.
    pub unknown_labels: Vec<Box<str>>,
    /// `serviceAccountName`, where one is written.
    pub service_account: Option<Box<str>>,
    /// Whether its pods share the network of their node.
    pub host_network: bool,
    /// The ports of containers that stay up, in order.
    pub ports: Vec<ContainerPort>,
    /// The addresses of a Pod that the cluster told.
    pub addresses: Vec<IpAddr>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands.
    pub place: Span,
}

/// A port that a container declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its name.
    pub name: Option<Box<str>>,
    /// `containerPort`.
    pub number: u16,
    /// `protocol`, TCP by default.
    pub transport: Transport,
    /// The place of the number.
    pub span: Span,
}

impl Workload {
    /// The value of a pod label.
    pub fn pod_label(&self, key: &str) -> Option<&str> {
        self.pod_labels.iter().find(|(known, _)| &**known == key).map(|(_, value)| &**value)
    }

    /// The numbers of a named port; policies compare names in lower case
    /// (`semantics.md` 3.5).
    pub fn named_port(&self, name: &str, transport: Transport) -> Option<u16> {
        let named = |port: &&ContainerPort| {
            port.transport == transport && port.name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        self.ports.iter().find(named).map(|port| port.number)
    }
}

/// Where the pod's metadata and specification lie in an object of this kind.
fn pod_path(group: &str, kind: &str) -> Option<&'static [&'static str]> {
    match (group, kind) {
        ("", "Pod") => Some(&[]),
        ("apps" | "extensions", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job")
        | ("argoproj.io", "Rollout") => Some(&["spec", "template"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// Reads a workload; `None` for objects that run no pods.
pub(super) fn read(reader: &Reader<'_, '_>) -> Option<Workload> {
    let object = reader.object;
    let path = pod_path(object.group(), &object.kind)?;
    let pod = object.value.path(path);
    let spec = pod.and_then(|pod| pod.get("spec"));
    let field = |key| spec.and_then(|spec| spec.get(key));
    let mut labels = reader.pairs(pod.and_then(|pod| pod.path(&["metadata", "labels"])));
    for (key, value) in &reader.rendered.template_labels {
        labels.set(key, value);
    }
    let containers = items(spec, "containers");
    let sidecars = items(spec, "initContainers")
        .filter(|c| reader.text(c.get("restartPolicy")).as_deref() == Some("Always"));
    let status = reader.path(&["status"]).filter(|_| path.is_empty());
    let mut addresses: Vec<IpAddr> =
        items(status, "podIPs").filter_map(|item| reader.address(item.get("ip"))).collect();
    if addresses.is_empty() {
        addresses.extend(reader.address(status.and_then(|status| status.get("podIP"))));
    }
    Some(Workload {
        kind: object.kind.as_ref().into(),
        name: reader.name(),
        namespace: reader.namespace(),
        pod_labels: labels.known,
        unknown_labels: labels.unknown,
        service_account: reader.text(field("serviceAccountName").or_else(|| field("serviceAccount"))),
        host_network: reader.is_true(field("hostNetwork")),
        ports: sidecars.chain(containers).flat_map(|container| ports(reader, container)).collect(),
        addresses,
        origin: reader.origin,
        place: object.place(),
    })
}

fn ports<'a>(reader: &Reader<'_, 'a>, container: Value<'a>) -> Vec<ContainerPort> {
    items(Some(container), "ports")
        .filter_map(|port| {
            let number = port.get("containerPort");
            Some(ContainerPort {
                name: reader.text(port.get("name")),
                number: reader.port(number)?,
                transport: reader.transport(port.get("protocol"))?,
                span: number?.span(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::inventory::tests::inventory;
    use crate::traffic::Transport;

    #[test]
    fn ports_of_containers_and_of_init_containers_that_stay_are_read() {
        let inventory = inventory(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  template:\n    spec:\n      serviceAccountName: db\n      initContainers:\n      - {name: proxy, restartPolicy: Always, ports: [{name: Mesh, containerPort: 15090}]}\n      - {name: setup, ports: [{name: no, containerPort: 1}]}\n      containers:\n      - ports:\n        - {name: dns, containerPort: 53, protocol: UDP}\n        - {containerPort: 99999}\n",
        );
        let db = inventory.workloads().next().unwrap();
        assert_eq!(db.ports.len(), 2);
        assert_eq!(db.named_port("mesh", Transport::Tcp), Some(15090));
        assert_eq!(db.named_port("dns", Transport::Udp), Some(53));
        assert_eq!(db.named_port("dns", Transport::Tcp), None);
        assert_eq!(db.service_account.as_deref(), Some("db"));
    }

    #[test]
    fn every_kind_that_runs_pods_is_a_workload_and_nothing_else_is() {
        let text: String = [
            ("v1", "Pod", "metadata: {labels: {a: b}}"),
            ("apps/v1", "DaemonSet", "spec: {template: {metadata: {labels: {a: b}}}}"),
            ("batch/v1", "CronJob", "spec: {jobTemplate: {spec: {template: {metadata: {labels: {a: b}}}}}}"),
            ("argoproj.io/v1alpha1", "Rollout", "spec: {template: {metadata: {labels: {a: b}}}}"),
            ("serving.knative.dev/v1", "Service", "spec: {template: {metadata: {labels: {a: b}}}}"),
        ]
        .iter()
        .map(|(version, kind, rest)| format!("---\napiVersion: {version}\nkind: {kind}\n{rest}\n"))
        .collect();
        let inventory = inventory(&text);
        let kinds: Vec<_> = inventory.workloads().map(|w| (&*w.kind, w.pod_label("a"))).collect();
        assert_eq!(
            kinds,
            [("Pod", Some("b")), ("DaemonSet", Some("b")), ("CronJob", Some("b")), ("Rollout", Some("b"))]
        );
    }
}
