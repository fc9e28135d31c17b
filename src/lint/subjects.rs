//! Whom each rule of the tree is about, and rules that share a property, found by
//! the namespace of their subject: to ask whether one of them may be about the
//! same pods as a given rule.

use rustc_hash::FxHashMap;

use super::context::Context;
use super::matching::exclude_each_other;
use super::population::asked_namespaces;
use crate::policy::selector::Requirement;
use crate::policy::{Policy, Rule, is_unknown};
use crate::source::FileId;

/// A rule and whom it is about.
pub(super) struct RuleSubject<'c, 's> {
    /// The policy that holds it.
    pub(super) policy: &'c Policy<'s>,
    /// The rule.
    pub(super) rule: &'c Rule<'s>,
    /// What its subject must meet, the namespace included.
    pub(super) requirements: Vec<Requirement<'s>>,
}

impl<'c, 's> RuleSubject<'c, 's> {
    /// Those of all rules, in every policy of the tree and of the cluster, that
    /// are about endpoints.
    pub(super) fn all(context: &Context<'c, 's>) -> Vec<Self> {
        let rules = context
            .model
            .policies
            .iter()
            .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)));
        let subject = |(policy, rule)| {
            let requirements = context.subject(policy, rule)?;
            Some(Self { policy, rule, requirements })
        };
        rules.filter_map(subject).collect()
    }

    /// The file that the rule stands in.
    pub(super) fn file(&self) -> FileId {
        self.policy.value.tree().file
    }
}

/// The subjects of some rules of the tree.
pub(super) struct Subjects<'q, 'c, 's> {
    by_namespace: FxHashMap<&'q str, Vec<&'q RuleSubject<'c, 's>>>,
    anywhere: Vec<&'q RuleSubject<'c, 's>>,
    list: Vec<&'q RuleSubject<'c, 's>>,
}

impl<'q, 'c, 's> Subjects<'q, 'c, 's> {
    /// The subjects of all rules with a property.
    pub(super) fn of(context: &'q Context<'c, 's>, has: impl Fn(&Rule<'s>) -> bool) -> Self {
        let list: Vec<_> = context.subjects().iter().filter(|subject| has(subject.rule)).collect();
        let mut subjects = Self { by_namespace: FxHashMap::default(), anywhere: Vec::new(), list };
        for subject in &subjects.list {
            match known_namespaces(&subject.requirements) {
                None => subjects.anywhere.push(subject),
                Some(namespaces) => {
                    namespaces.for_each(|name| subjects.by_namespace.entry(name).or_default().push(subject))
                }
            }
        }
        subjects
    }

    /// Whether one of them may be about the same pods as these requirements.
    pub(super) fn any_may_be(&self, requirements: &[Requirement<'s>]) -> bool {
        let may_be = |other: &&RuleSubject<'c, 's>| !exclude_each_other(requirements, &other.requirements);
        match known_namespaces(requirements) {
            None => self.list.iter().any(may_be),
            Some(mut namespaces) => {
                self.anywhere.iter().any(may_be)
                    || namespaces.any(|name| self.by_namespace.get(name).into_iter().flatten().any(may_be))
            }
        }
    }
}

/// The namespaces that are asked for by name, where all of them are known.
fn known_namespaces<'r>(requirements: &'r [Requirement<'_>]) -> Option<impl Iterator<Item = &'r str>> {
    asked_namespaces(requirements).filter(|names| !names.clone().any(is_unknown))
}
