//! The workloads of a tree as selectors see them, found by their labels, and
//! the namespaces of which the manifests show every pod.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine;
use crate::inventory::{Cluster, Origin, Workload, identity_labels};
use crate::label::{Label, NAMESPACE};
use crate::manifest::Object;
use crate::model::Model;
use crate::policy::is_unknown;
use crate::policy::selector::{Operator, Requirement};

/// Everyone who lives in the cluster, as far as the manifests say.
#[derive(Debug)]
pub struct Population<'c> {
    members: Vec<Member<'c>>,
    by_label: FxHashMap<(Box<str>, Box<str>), Vec<u32>>,
    plain: FxHashSet<Box<str>>,
}

/// A workload with the labels of its pods' identity.
#[derive(Debug)]
pub struct Member<'c> {
    /// The workload.
    pub workload: &'c Workload,
    /// The labels.
    pub labels: Vec<Label>,
}

impl<'c> Population<'c> {
    /// Reads a model's workloads. Pods on the host network have no identity of
    /// their own and are left out.
    pub fn of(model: &'c Model<'_>, options: &engine::Options, deployed_by_tools: bool) -> Self {
        let cluster = Cluster { name: &options.cluster, version: options.version };
        let mut members = Vec::new();
        let mut by_label: FxHashMap<(Box<str>, Box<str>), Vec<u32>> = FxHashMap::default();
        for workload in model.inventory.workloads() {
            if workload.host_network || workload.namespace.is_none() || !workload.unknown_labels.is_empty() {
                continue;
            }
            let labels = identity_labels(workload, &model.inventory, cluster);
            for label in &labels {
                by_label
                    .entry((label.key.clone(), label.value.clone()))
                    .or_default()
                    .push(members.len() as u32);
            }
            members.push(Member { workload, labels });
        }
        let plain = plain_namespaces(model, deployed_by_tools);
        Self { members, by_label, plain }
    }

    /// Whether the manifests show every pod of a namespace: it has plain
    /// workloads, and nothing in it or about it can make others.
    pub fn is_plain(&self, namespace: &str) -> bool {
        self.plain.contains(namespace)
    }

    /// Whether there is any such namespace.
    pub fn has_plain_namespaces(&self) -> bool {
        !self.plain.is_empty()
    }

    /// Everyone.
    pub fn members(&self) -> impl Iterator<Item = &Member<'c>> {
        self.members.iter()
    }

    /// Those who may meet the requirements: found by the label that the fewest carry.
    pub fn candidates(&self, requirements: &[Requirement<'_>]) -> impl Iterator<Item = &Member<'c>> {
        let found = |requirement: &Requirement<'_>| {
            let mut found: Vec<u32> = Vec::new();
            for value in &requirement.values {
                let key = (Box::from(requirement.key.as_ref()), Box::from(value.value.as_ref()));
                found.extend(self.by_label.get(&key).into_iter().flatten());
            }
            found
        };
        let listed = requirements
            .iter()
            .filter(|r| r.operator == Operator::In && matches!(r.source.as_ref(), "any" | "k8s"))
            .filter(|r| !r.values.iter().any(|value| is_unknown(&value.value)));
        let fewest = listed.map(found).min_by_key(Vec::len);
        let mut numbers = fewest.unwrap_or_else(|| (0..self.members.len() as u32).collect());
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| self.members.get(number as usize))
    }
}

/// The namespace that a selector asks for, where it asks for one by name.
pub(super) fn asked_namespaces<'r>(
    requirements: &'r [Requirement<'_>],
) -> Option<impl Iterator<Item = &'r str> + Clone> {
    let asked = requirements.iter().find(|r| r.operator == Operator::In && r.key == NAMESPACE)?;
    Some(asked.values.iter().map(|value| value.value.as_ref()))
}

fn plain_namespaces(model: &Model<'_>, deployed_by_tools: bool) -> FxHashSet<Box<str>> {
    let workloads = || model.inventory.workloads();
    // What a release likely makes is not all that it makes.
    let is_likely = |workload: &&Workload| workload.origin == Origin::Likely;
    let mut plain: FxHashSet<Box<str>> =
        workloads().filter(|w| !is_likely(w)).filter_map(|workload| workload.namespace.clone()).collect();
    for workload in workloads().filter(is_likely) {
        workload.namespace.as_ref().map(|namespace| plain.remove(namespace));
    }
    for (at, object) in model.counting_objects().filter(|(_, object)| may_make_pods(object)) {
        match landing(model, at, object) {
            Some(namespaces) if !deploys_a_source(object) => {
                plain.retain(|own| !namespaces.contains(own));
            }
            // What lands nobody knows where may land anywhere.
            _ => return FxHashSet::default(),
        }
    }
    for workload in model.inventory.workloads() {
        match &workload.namespace {
            Some(namespace) if !workload.unknown_labels.is_empty() => {
                plain.remove(namespace);
            }
            // Where it lands nobody knows, so it may be anywhere.
            None => return FxHashSet::default(),
            Some(_) => {}
        }
    }
    if deployed_by_tools {
        plain.remove("default");
    }
    plain
}

/// The namespaces in which an object makes its pods, where that is certain.
fn landing(model: &Model<'_>, at: usize, object: &Object<'_>) -> Option<Vec<Box<str>>> {
    if let Some(target) = object.value.path(&["spec", "targetNamespace"]).and_then(|value| value.text()) {
        return (!is_unknown(&target)).then(|| vec![Box::from(target.as_ref())]);
    }
    let placements = model.tree().placements(at);
    if placements.is_empty() {
        return object.namespace.as_ref().map(|namespace| vec![Box::from(namespace.value.as_ref())]);
    }
    let placements = placements.iter();
    placements.map(|placement| placement.namespace.or("default").map(Box::from)).collect()
}

/// Whether something may make pods of this object that no manifest shows.
/// Kinds of Kubernetes itself do not; of custom ones some are known not to.
fn may_make_pods(object: &Object<'_>) -> bool {
    let group = object.group();
    let built_in = !group.contains('.') || group.ends_with(".k8s.io");
    let harmless = matches!(
        group,
        "cilium.io"
            | "kustomize.config.k8s.io"
            | "external-secrets.io"
            | "bitnami.com"
            | "networking.istio.io"
            | "security.istio.io"
            | "traefik.io"
            | "source.toolkit.fluxcd.io"
            | "notification.toolkit.fluxcd.io"
    ) || matches!(
        object.kind.as_ref(),
        "ServiceMonitor"
            | "PodMonitor"
            | "PrometheusRule"
            | "Probe"
            | "ScrapeConfig"
            | "ClusterIssuer"
            | "Issuer"
            | "Certificate"
            | "Rollout"
            | "CustomResourceDefinition"
    );
    !built_in && !harmless
}

/// Whether it brings in manifests from elsewhere, into any namespace.
fn deploys_a_source(object: &Object<'_>) -> bool {
    matches!(object.group(), "argoproj.io" | "kustomize.toolkit.fluxcd.io" | "fleet.cattle.io")
}
