//! The list of rules, written by hand. Its order is the order of `--list-rules`
//! and of the exit: of two findings about the shape of one place the first
//! rule's is told.

use super::context::{Context, Judge};
use super::found::Findings;
use super::rules as r;
use crate::explain::{self, Page};
use crate::finding::Severity;
use crate::policy::Policy;

/// What a rule is about; `--select` and `--ignore` take these too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// The manifest has not the shape of its kind.
    Shape,
    /// The cluster stores it and the agent refuses it.
    Refused,
    /// Selectors and labels.
    Selector,
    /// Namespaces.
    Namespace,
    /// Ports.
    Port,
    /// Addresses.
    Address,
    /// Names outside the cluster, and the DNS that they need.
    Dns,
    /// Rules that do nothing, or another thing than they seem to.
    Effect,
    /// Objects and where they lie.
    Tree,
    /// What differs between releases.
    Version,
}

impl Family {
    /// Every family, with its name on the command line.
    pub const NAMES: [(&'static str, Family); 10] = [
        ("shape", Family::Shape),
        ("refused", Family::Refused),
        ("selector", Family::Selector),
        ("namespace", Family::Namespace),
        ("port", Family::Port),
        ("address", Family::Address),
        ("dns", Family::Dns),
        ("effect", Family::Effect),
        ("tree", Family::Tree),
        ("version", Family::Version),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }
}

/// How a rule looks.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// At each policy by itself; policies are looked at in parallel.
    Policy(for<'s> fn(&Context<'_, 's>, &Policy<'s>, &mut Findings<'_>)),
    /// At the tree as a whole, with an engine to ask for verdicts.
    Tree(for<'c, 's> fn(&Context<'c, 's>, &mut Judge<'_, 'c, 's>, &mut Findings<'_>)),
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// What it is called: a fault, that reads well after "allow".
    pub id: &'static str,
    /// What it is about.
    pub family: Family,
    /// How grave its findings are at most.
    pub severity: Severity,
    /// The fault, in one line.
    pub summary: &'static str,
    /// How it looks.
    pub check: Check,
}

impl Rule {
    /// Its page for `policyfix explain`.
    pub fn page(&self) -> Option<&'static Page> {
        explain::page(self.id)
    }
}

/// The rule of this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

const fn error(id: &'static str, family: Family, summary: &'static str, check: Check) -> Rule {
    Rule { id, family, severity: Severity::Error, summary, check }
}

const fn warning(id: &'static str, family: Family, summary: &'static str, check: Check) -> Rule {
    Rule { id, family, severity: Severity::Warning, summary, check }
}

/// Every rule.
pub static RULES: &[Rule] = &[
    error("unreadable-yaml", Family::Shape, "a file is no YAML", Check::Tree(r::unreadable_yaml::check)),
    error(
        "unquoted-port",
        Family::Shape,
        "a port of a Cilium policy is a number and must be text",
        Check::Policy(r::unquoted_port::check),
    ),
    error(
        "unquoted-label",
        Family::Shape,
        "a label value is read as a number or a truth value",
        Check::Policy(r::unquoted_label::check),
    ),
    error(
        "foreign-field",
        Family::Shape,
        "a field belongs to the other kind of policy",
        Check::Tree(r::foreign_field::check),
    ),
    error(
        "unknown-field",
        Family::Shape,
        "a field is misspelt or stands at the wrong place",
        Check::Tree(r::unknown_field::check),
    ),
    warning(
        "empty-list-as-deny",
        Family::Effect,
        "an empty section denies nothing",
        Check::Policy(r::empty_list_as_deny::check),
    ),
    error(
        "wrong-shape",
        Family::Shape,
        "a value has not the shape that the API server demands",
        Check::Tree(r::wrong_shape::check),
    ),
    error(
        "policy-refused",
        Family::Refused,
        "every agent refuses the policy, though the cluster stores it",
        Check::Policy(r::policy_refused::check),
    ),
    error(
        "colliding-keys",
        Family::Selector,
        "two keys of a selector become one",
        Check::Policy(r::colliding_keys::check),
    ),
    warning(
        "filtered-label",
        Family::Selector,
        "a selector asks for a label that Cilium keeps out of identities",
        Check::Policy(r::filtered_label::check),
    ),
    error(
        "foreign-namespace",
        Family::Namespace,
        "endpointSelector names another namespace than the policy's",
        Check::Policy(r::foreign_namespace::check),
    ),
    warning(
        "service-port",
        Family::Port,
        "a rule has the port of a Service where the port of the pod counts",
        Check::Policy(r::service_port::check),
    ),
    warning(
        "fqdn-without-dns-rule",
        Family::Dns,
        "toFQDNs needs a DNS rule, and no policy of the subject has one",
        Check::Tree(r::fqdn_without_dns_rule::check),
    ),
    warning(
        "rule-split",
        Family::Effect,
        "peers and ports stand in two rules, by one dash too many",
        Check::Policy(r::rule_split::check),
    ),
    warning(
        "null-section",
        Family::Effect,
        "a key without value is as if it were not there",
        Check::Policy(r::null_section::check),
    ),
];
