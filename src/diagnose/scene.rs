//! The scene of a diagnosis: what was dropped, what was seen to pass, and
//! everybody who is known, judged by one engine.

use rustc_hash::FxHashMap;

use super::workloads::Workloads;
use crate::engine::{self, End, Engine, Identity, IdentityId, Judgement};
use crate::flow::{Distinct, Outcome};
use crate::inventory::{Cluster, ContainerPort, Origin, Workload, identity_labels};
use crate::label::{Label, NAMESPACE, k8s_value};
use crate::model::Model;
use crate::policy::Peer;
use crate::traffic::{Packet, Side, Transport};

/// A distinct flow with its ends taken in.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What was seen.
    pub distinct: Distinct,
    /// The end that called.
    pub source: End,
    /// The end that was called.
    pub destination: End,
}

impl Observed {
    /// The end whose policy decides on a side.
    pub fn subject(&self, side: Side) -> IdentityId {
        match side {
            Side::Egress => self.source.identity,
            Side::Ingress => self.destination.identity,
        }
    }

    /// The end that it decides about.
    pub fn peer(&self, side: Side) -> IdentityId {
        self.subject(side.other())
    }

    /// Protocol and port.
    pub fn packet(&self) -> Packet {
        self.distinct.flow.packet
    }
}

/// All that a diagnosis rests on.
pub struct Scene<'m, 's> {
    /// What the manifests say.
    pub model: &'m Model<'s>,
    /// The judge.
    pub engine: Engine,
    /// What did not pass, most frequent first.
    pub drops: Vec<Observed>,
    /// What was seen to pass.
    pub passed: Vec<Observed>,
    /// Everybody known: the ends of all flows, the workloads, nodes and the world.
    pub everybody: Vec<IdentityId>,
    ports: FxHashMap<IdentityId, Vec<ContainerPort>>,
    assumed: FxHashMap<IdentityId, IdentityId>,
    workloads: Workloads,
}

/// An address that stands for the rest of the internet (RFC 5737).
const SOMEWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(198, 51, 100, 77);

impl<'m, 's> Scene<'m, 's> {
    /// Takes everybody in and parts the flows.
    pub fn new(model: &'m Model<'s>, options: engine::Options, flows: Vec<Distinct>) -> Self {
        let mut engine = model.engine(options);
        let (mut drops, mut passed) = (Vec::new(), Vec::new());
        for distinct in flows {
            let source = engine.take_in(&distinct.flow.source, &model.inventory);
            let destination = engine.take_in(&distinct.flow.destination, &model.inventory);
            let observed = Observed { distinct, source, destination };
            match observed.distinct.flow.outcome {
                Outcome::Forwarded => passed.push(observed),
                _ => drops.push(observed),
            }
        }
        let mut scene = Self {
            model,
            engine,
            drops,
            passed,
            everybody: Vec::new(),
            ports: FxHashMap::default(),
            assumed: FxHashMap::default(),
            workloads: Workloads::default(),
        };
        scene.take_in_the_rest();
        scene
    }

    fn take_in_the_rest(&mut self) {
        let options = self.engine.options().clone();
        let cluster = Cluster { name: &options.cluster, version: options.version };
        let inventory = &self.model.inventory;
        let observed: Vec<IdentityId> = self.engine.identities().collect();
        for workload in inventory.workloads().filter(|workload| !workload.host_network) {
            if workload.origin == Origin::Likely && observed.iter().any(|&id| self.may_be(id, workload)) {
                continue;
            }
            let labels = identity_labels(workload, inventory, cluster);
            if labels.iter().any(|label| &*label.key == NAMESPACE) {
                self.engine.take_in(&crate::flow::Endpoint { labels, ..Default::default() }, inventory);
            }
        }
        for classes in
            [&["host"][..], &["remote-node"], &["kube-apiserver", "remote-node"], &["ingress"], &["health"]]
        {
            let labels = classes.iter().map(|class| Label::reserved(class)).collect();
            self.engine.identify(Identity { labels, ..Identity::default() });
        }
        self.engine.identify(Identity::outside(SOMEWHERE.into()));
        self.everybody = self.engine.identities().collect();
        for &id in &self.everybody {
            let labels = &self.engine.identity(id).labels;
            let ports =
                inventory.workloads_behind(labels).flat_map(|workload| workload.ports.clone()).collect();
            self.ports.insert(id, ports);
        }
        self.workloads = Workloads::of(&self.engine, &self.everybody);
        self.assume_names();
    }

    /// Whether an observed endpoint may be one of the pods that a release likely
    /// makes: the guess at its labels is then outranked by what was seen, and
    /// nobody else.
    fn may_be(&self, id: IdentityId, workload: &Workload) -> bool {
        let identity = self.engine.identity(id);
        let own = |key: &str| k8s_value(&identity.labels, key);
        let differs = |(key, value): &(Box<str>, Box<str>)| own(key).is_some_and(|own| *own != **value);
        workload.namespace.as_deref() == own(NAMESPACE)
            && workload.pod_labels.iter().any(|(key, value)| own(key) == Some(value))
            && !workload.pod_labels.iter().any(differs)
    }

    /// An address outside that no DNS answer explains, as it would be if it
    /// belonged to the names that the policies list.
    fn assume_names(&mut self) {
        let mut names: Vec<Box<str>> = Vec::new();
        for rule in self.model.policies.iter().flat_map(|policy| &policy.rules) {
            let elements = rule.sections.iter().flat_map(|section| &section.elements);
            for item in elements.flat_map(|element| &element.peers).flat_map(|field| &field.items) {
                let Peer::Name(name) = &item.peer else { continue };
                names.extend(name.text().map(|text| text.value.replace('*', "x").into_boxed_str()));
            }
        }
        names.sort_unstable();
        names.dedup();
        for &id in &self.everybody {
            let identity = self.engine.identity(id);
            if identity.ip.is_some() && identity.names.is_empty() {
                let assumed = Identity { names: names.clone(), ..identity.clone() };
                self.assumed.insert(id, self.engine.identify(assumed));
            }
        }
    }

    /// An end as it would be if its address belonged to the names that the
    /// policies list.
    pub fn assumed(&self, id: IdentityId) -> IdentityId {
        self.assumed.get(&id).copied().unwrap_or(id)
    }

    /// The judgement of a drop as the manifests stand.
    pub fn judge(&self, observed: &Observed) -> Judgement {
        self.engine.judge(observed.source.identity, observed.destination.identity, observed.packet())
    }

    /// Which identities are one workload.
    pub fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    /// The container ports of an endpoint, as far as a workload shows them.
    pub fn ports(&self, id: IdentityId) -> &[ContainerPort] {
        self.ports.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether an endpoint is known to have its ports listed and this one is among them.
    pub fn listens(&self, id: IdentityId, transport: Transport, port: u16) -> Option<bool> {
        let ports = self.ports(id);
        (!ports.is_empty()).then(|| ports.iter().any(|own| own.transport == transport && own.number == port))
    }

    /// The namespace of an endpoint.
    pub fn namespace(&self, id: IdentityId) -> Option<&str> {
        k8s_value(&self.engine.identity(id).labels, NAMESPACE)
    }
}
