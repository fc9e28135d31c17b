//! A selector ready to be asked: requirements with everything injected, as
//! owned text (`semantics.md` 2.3).

use super::identity::Known;
use super::truth::Truth;
use crate::label::{Label, NAMESPACE};
use crate::policy::is_unknown;
use crate::policy::peer::parse_cidr;
use crate::policy::selector::{Operator, Requirement};

/// All requirements of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Matcher {
    requirements: Box<[Condition]>,
    /// A selector that fails validation matches nothing.
    invalid: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Condition {
    source: Box<str>,
    key: Box<str>,
    operator: Operator,
    values: Box<[Box<str>]>,
    /// Some of the values hold a variable; they are not in `values`.
    unknown_values: bool,
    unknown_key: bool,
}

impl Matcher {
    pub(super) fn new(requirements: &[Requirement<'_>], invalid: bool) -> Self {
        let requirements = requirements.iter().map(Condition::new).collect();
        Self { requirements, invalid }
    }

    /// Makes a selector that nothing matches.
    pub(super) fn nothing() -> Self {
        Self { requirements: Box::default(), invalid: true }
    }

    pub(super) fn matches(&self, known: &Known) -> Truth {
        if self.invalid {
            return Truth::No;
        }
        Truth::all(self.requirements.iter().map(|condition| condition.holds(known)))
    }

    /// The namespaces outside which nothing can match, where the selector says so.
    pub(super) fn namespaces(&self) -> Option<&[Box<str>]> {
        self.requirements
            .iter()
            .find(|c| {
                c.operator == Operator::In
                    && c.key.as_ref() == NAMESPACE
                    && matches!(c.source.as_ref(), "k8s" | "any")
                    && !c.unknown_values
            })
            .map(|c| c.values.as_ref())
    }
}

impl Condition {
    fn new(requirement: &Requirement<'_>) -> Self {
        let known = requirement.values.iter().filter(|value| !is_unknown(&value.value));
        let values: Box<[Box<str>]> = known.map(|value| Box::from(value.value.as_ref())).collect();
        Self {
            source: requirement.source.as_ref().into(),
            key: requirement.key.as_ref().into(),
            operator: requirement.operator,
            unknown_values: values.len() < requirement.values.len(),
            values,
            unknown_key: is_unknown(&requirement.key),
        }
    }

    fn holds(&self, known: &Known) -> Truth {
        if self.unknown_key {
            return Truth::Maybe;
        }
        if self.source.as_ref() == "cidr" {
            return self.holds_for_address(known);
        }
        let label = known.identity.labels.iter().find(|label| {
            label.key == self.key && (self.source.as_ref() == "any" || label.source == self.source)
        });
        self.holds_for(label)
    }

    fn holds_for(&self, label: Option<&Label>) -> Truth {
        match self.operator {
            Operator::Exists => Truth::from(label.is_some()),
            Operator::DoesNotExist => Truth::from(label.is_none()),
            Operator::In => label.map_or(Truth::No, |label| self.lists(&label.value)),
            Operator::NotIn => label.map_or(Truth::Yes, |label| !self.lists(&label.value)),
        }
    }

    fn lists(&self, value: &str) -> Truth {
        if self.values.iter().any(|own| own.as_ref() == value) {
            Truth::Yes
        } else if self.unknown_values {
            Truth::Maybe
        } else {
            Truth::No
        }
    }

    /// `cidr:` keys ask for a prefix; an identity has it when its address lies within.
    fn holds_for_address(&self, known: &Known) -> Truth {
        let net = parse_cidr(&self.key.replace('-', ":")).or_else(|| parse_cidr(&self.key));
        let within = match (net, known.identity.ip) {
            (Some(net), Some(ip)) => {
                known.classes.has(super::identity::Classes::OUTSIDE) && net.contains(&ip)
            }
            _ => false,
        };
        match self.operator {
            Operator::Exists | Operator::In => Truth::from(within),
            Operator::NotIn | Operator::DoesNotExist => Truth::from(!within),
        }
    }
}
