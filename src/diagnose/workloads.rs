//! Which identities are pods of one workload, and which labels tell workloads
//! apart: answered from an index, since every proposal asks.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::{Engine, IdentityId};
use crate::label::{CLUSTER, Label, NAMESPACE, is_given};

/// A workload: all identities that differ in nothing a selector should name.
type Number = u32;
/// A label, as key and value.
type Pair = (Box<str>, Box<str>);

/// The workloads behind all known identities.
#[derive(Debug, Default)]
pub struct Workloads {
    of: FxHashMap<IdentityId, Number>,
    /// The first identity of the same workload in the same cluster.
    first: FxHashMap<IdentityId, IdentityId>,
    /// Namespace, key and value to the workloads that carry the label there.
    carriers: FxHashMap<(Box<str>, Pair), FxHashSet<Number>>,
}

impl Workloads {
    /// Numbers the workloads of these identities.
    pub(super) fn of(engine: &Engine, everybody: &[IdentityId]) -> Self {
        let mut numbers: FxHashMap<Vec<Pair>, Number> = FxHashMap::default();
        let mut firsts: FxHashMap<(Number, &str), IdentityId> = FxHashMap::default();
        let mut workloads = Self::default();
        for &id in everybody {
            let labels = &engine.identity(id).labels;
            let cluster = labels.iter().find(|label| &*label.key == CLUSTER);
            let cluster = cluster.map_or(engine.options().cluster.as_str(), |label| &label.value);
            let mut named: Vec<Pair> = labels
                .iter()
                .filter(|label| (is_stable(&label.key) && &*label.key != "job") || &*label.key == NAMESPACE)
                .map(|label| (label.key.clone(), label.value.clone()))
                .collect();
            named.sort();
            // Addresses outside have no labels that tell them apart.
            let outside =
                engine.identity(id).ip.map(|ip| (Box::from("address"), ip.to_string().into_boxed_str()));
            named.extend(outside);
            let next = numbers.len() as Number;
            let number = *numbers.entry(named).or_insert(next);
            workloads.of.insert(id, number);
            workloads.first.insert(id, *firsts.entry((number, cluster)).or_insert(id));
            workloads.index(labels, number);
        }
        workloads
    }

    fn index(&mut self, labels: &[Label], number: Number) {
        let Some(namespace) = labels.iter().find(|label| &*label.key == NAMESPACE) else { return };
        for label in labels.iter().filter(|label| &*label.source == "k8s") {
            let key = (namespace.value.clone(), (label.key.clone(), label.value.clone()));
            self.carriers.entry(key).or_default().insert(number);
        }
    }

    /// Whether two identities are one workload.
    pub fn same(&self, a: IdentityId, b: IdentityId) -> bool {
        a == b || (self.of.contains_key(&a) && self.of.get(&a) == self.of.get(&b))
    }

    /// One identity that stands for all of its workload in its cluster: pods of one
    /// workload may carry different versions, or be seen with fewer labels.
    pub fn representative(&self, id: IdentityId) -> IdentityId {
        self.first.get(&id).copied().unwrap_or(id)
    }

    /// Whether these labels, in this namespace, mean the workload of an identity alone.
    pub fn mean_only(&self, id: IdentityId, namespace: &str, labels: &[(&str, &str)]) -> bool {
        let carriers = |(key, value): &(&str, &str)| {
            self.carriers.get(&(namespace.into(), ((*key).into(), (*value).into())))
        };
        let sets: Vec<&FxHashSet<Number>> = labels.iter().filter_map(carriers).collect();
        let Some(smallest) = sets.iter().min_by_key(|set| set.len()) else { return false };
        let own = self.of.get(&id);
        let mut all = smallest.iter();
        all.all(|number| Some(number) == own || !sets.iter().all(|set| set.contains(number)))
    }
}

/// Whether a label can stand in a selector that outlives a rollout.
pub fn is_stable(key: &str) -> bool {
    !is_given(key)
        && !key.starts_with("io.cilium.")
        && !["pod-template-hash", "controller-revision-hash", "version", "job-name", "helm.sh/chart"]
            .contains(&key)
        && !key.starts_with("batch.kubernetes.io/")
}
