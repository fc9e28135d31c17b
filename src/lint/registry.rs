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
    /// At the tree as a whole; these rules look in parallel too.
    Tree(for<'c, 's> fn(&Context<'c, 's>, &mut Findings<'_>)),
    /// At the tree as a whole, with an engine to ask for verdicts.
    Verdicts(for<'c, 's> fn(&Context<'c, 's>, &mut Judge<'_, 'c, 's>, &mut Findings<'_>)),
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

const fn note(id: &'static str, family: Family, summary: &'static str, check: Check) -> Rule {
    Rule { id, family, severity: Severity::Note, summary, check }
}

/// Every rule.
pub static RULES: &[Rule] = &[
    error("unreadable-yaml", Family::Shape, "a file is no YAML", Check::Tree(r::unreadable_yaml::check)),
    error(
        "unknown-kind",
        Family::Shape,
        "the kind or apiVersion of a policy is misspelt",
        Check::Tree(r::unknown_kind::check),
    ),
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
    error(
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
        "conflicting-rules",
        Family::Refused,
        "policies of the same pods contradict each other, and none of them can be computed",
        Check::Verdicts(r::conflicting_rules::check),
    ),
    error(
        "colliding-keys",
        Family::Selector,
        "two keys of a selector become one",
        Check::Policy(r::colliding_keys::check),
    ),
    error(
        "impossible-selector",
        Family::Selector,
        "two conditions of a selector contradict each other",
        Check::Policy(r::impossible_selector::check),
    ),
    error(
        "misspelt-label-key",
        Family::Selector,
        "a selector asks for a key that is almost one of Cilium's",
        Check::Policy(r::misspelt_label_key::check),
    ),
    warning(
        "filtered-label",
        Family::Selector,
        "a selector asks for a label that Cilium keeps out of identities",
        Check::Policy(r::filtered_label::check),
    ),
    note(
        "per-pod-label",
        Family::Selector,
        "a selector asks for a label that changes with each run or release",
        Check::Policy(r::per_pod_label::check),
    ),
    warning(
        "selector-without-workload",
        Family::Selector,
        "no workload of the namespace has the labels of a selector",
        Check::Policy(r::selector_without_workload::check),
    ),
    warning(
        "negative-selector",
        Family::Selector,
        "a peer only says what it is not, and reaches nodes and the internet",
        Check::Policy(r::negative_selector::check),
    ),
    error(
        "foreign-namespace",
        Family::Namespace,
        "endpointSelector names another namespace than the policy's",
        Check::Policy(r::foreign_namespace::check),
    ),
    warning(
        "namespace-missing",
        Family::Namespace,
        "a peer without namespace lives in another one",
        Check::Policy(r::namespace_missing::check),
    ),
    warning(
        "service-port",
        Family::Port,
        "a rule has the port of a Service where the port of the pod counts",
        Check::Policy(r::service_port::check),
    ),
    warning(
        "unknown-port-name",
        Family::Port,
        "a rule names a port that no pod declares",
        Check::Policy(r::unknown_port_name::check),
    ),
    error(
        "backward-range",
        Family::Port,
        "an endPort lies below its port",
        Check::Policy(r::backward_range::check),
    ),
    warning(
        "api-server-address",
        Family::Address,
        "the API server is named by the address or port of its Service",
        Check::Policy(r::api_server_address::check),
    ),
    warning(
        "cidr-managed",
        Family::Address,
        "a CIDR holds only addresses of the cluster itself",
        Check::Policy(r::cidr_managed::check),
    ),
    error(
        "excepted-network",
        Family::Address,
        "the exceptions take away the whole network",
        Check::Policy(r::excepted_network::check),
    ),
    warning(
        "zero-network",
        Family::Address,
        "a network that no host is in, such as 0.0.0.0/8",
        Check::Policy(r::zero_network::check),
    ),
    warning(
        "fqdn-without-dns-rule",
        Family::Dns,
        "toFQDNs needs a DNS rule, and no policy of the subject has one",
        Check::Tree(r::fqdn_without_dns_rule::check),
    ),
    warning(
        "search-domain-name",
        Family::Dns,
        "toFQDNs names the cluster's own domain",
        Check::Policy(r::search_domain_name::check),
    ),
    error(
        "impossible-name",
        Family::Dns,
        "a name or pattern that no DNS name matches",
        Check::Policy(r::impossible_name::check),
    ),
    warning(
        "dns-over-udp-only",
        Family::Dns,
        "DNS is open over UDP and not over TCP",
        Check::Tree(r::dns_over_udp_only::check),
    ),
    warning(
        "egress-without-dns",
        Family::Dns,
        "the first rule for egress closes DNS",
        Check::Tree(r::egress_without_dns::check),
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
    warning(
        "empty-peer-list",
        Family::Effect,
        "an empty list of peers means nobody",
        Check::Policy(r::empty_peer_list::check),
    ),
    warning(
        "dangling-cidr-group",
        Family::Effect,
        "a CIDR group is not there",
        Check::Policy(r::dangling_cidr_group::check),
    ),
    warning(
        "repeated-rule",
        Family::Effect,
        "a rule has no effect beside another one",
        Check::Policy(r::repeated_rule::check),
    ),
    warning(
        "unlisted-policy-type",
        Family::Effect,
        "policyTypes leaves out a direction that has rules",
        Check::Policy(r::unlisted_policy_type::check),
    ),
    warning(
        "other-side-missing",
        Family::Effect,
        "one side allows what the other side does not",
        Check::Verdicts(r::other_side_missing::check),
    ),
    warning(
        "duplicate-object",
        Family::Tree,
        "two manifests for one policy",
        Check::Tree(r::duplicate_object::check),
    ),
    warning(
        "not-applied",
        Family::Tree,
        "no kustomization lists the file of a policy",
        Check::Policy(r::not_applied::check),
    ),
    note(
        "version-change",
        Family::Version,
        "releases of Cilium read a rule differently",
        Check::Policy(r::version_change::check),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_an_id_of_its_own_a_page_and_a_summary() {
        for (at, rule) in RULES.iter().enumerate() {
            assert!(rule.page().is_some(), "{}", rule.id);
            assert!(RULES.iter().skip(at + 1).all(|other| other.id != rule.id), "{}", rule.id);
            assert!(!rule.summary.is_empty() && !rule.summary.ends_with('.'), "{}", rule.id);
            assert!(Family::NAMES.iter().all(|(name, _)| *name != rule.id), "{}", rule.id);
        }
    }
}
