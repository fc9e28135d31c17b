//! Rules that share a property, found by the namespace of their subject: to ask
//! whether one of them may be about the same pods as a given rule.

use rustc_hash::FxHashMap;

use super::context::Context;
use super::matching::exclude_each_other;
use super::population::asked_namespaces;
use crate::policy::selector::Requirement;
use crate::policy::{Policy, Rule, is_unknown};

/// The subjects of some rules of the tree.
pub(super) struct Subjects<'c, 's> {
    by_namespace: FxHashMap<Box<str>, Vec<usize>>,
    anywhere: Vec<usize>,
    list: Vec<(&'c Policy<'s>, Vec<Requirement<'s>>)>,
}

impl<'c, 's> Subjects<'c, 's> {
    /// The subjects of all rules with a property, in every policy of the tree
    /// and of the cluster.
    pub(super) fn of(context: &Context<'c, 's>, has: impl Fn(&Rule<'s>) -> bool) -> Self {
        let mut subjects =
            Self { by_namespace: FxHashMap::default(), anywhere: Vec::new(), list: Vec::new() };
        for policy in &context.model.policies {
            for rule in policy.rules.iter().filter(|rule| has(rule)) {
                if let Some(requirements) = context.subject(policy, rule) {
                    subjects.add(policy, requirements);
                }
            }
        }
        subjects
    }

    fn add(&mut self, policy: &'c Policy<'s>, requirements: Vec<Requirement<'s>>) {
        let at = self.list.len();
        match known_namespaces(&requirements) {
            None => self.anywhere.push(at),
            Some(namespaces) => {
                for namespace in namespaces {
                    self.by_namespace.entry(namespace.into()).or_default().push(at);
                }
            }
        }
        self.list.push((policy, requirements));
    }

    /// The policies with a rule that may be about the same pods as these requirements.
    pub(super) fn that_may_be<'q>(
        &'q self,
        subject: &'q [Requirement<'s>],
    ) -> impl Iterator<Item = &'c Policy<'s>> + use<'q, 'c, 's> {
        let here: Box<dyn Iterator<Item = usize>> = match known_namespaces(subject) {
            None => Box::new(0..self.list.len()),
            Some(namespaces) => {
                let found = namespaces.into_iter().filter_map(|namespace| self.by_namespace.get(namespace));
                Box::new(self.anywhere.iter().chain(found.flatten()).copied())
            }
        };
        here.filter_map(|at| self.list.get(at))
            .filter(|(_, other)| !exclude_each_other(subject, other))
            .map(|(policy, _)| *policy)
    }

    /// Whether one of them may be about the same pods.
    pub(super) fn any_may_be(&self, subject: &[Requirement<'s>]) -> bool {
        self.that_may_be(subject).next().is_some()
    }
}

fn known_namespaces<'r>(requirements: &'r [Requirement<'_>]) -> Option<Vec<&'r str>> {
    asked_namespaces(requirements).filter(|namespaces| !namespaces.iter().any(|name| is_unknown(name)))
}
