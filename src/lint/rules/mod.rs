//! The rules, one a file, each named as its id.

pub(super) mod api_server_address;
pub(super) mod backward_range;
pub(super) mod cidr_managed;
pub(super) mod colliding_keys;
pub(super) mod conflicting_rules;
pub(super) mod dangling_cidr_group;
pub(super) mod dns_over_udp_only;
pub(super) mod duplicate_object;
pub(super) mod egress_without_dns;
pub(super) mod empty_list_as_deny;
pub(super) mod empty_peer_list;
pub(super) mod excepted_network;
pub(super) mod filtered_label;
pub(super) mod foreign_field;
pub(super) mod foreign_namespace;
pub(super) mod fqdn_without_dns_rule;
pub(super) mod impossible_name;
pub(super) mod impossible_selector;
pub(super) mod misspelt_label_key;
pub(super) mod namespace_missing;
pub(super) mod negative_selector;
pub(super) mod not_applied;
pub(super) mod null_section;
pub(super) mod other_side_missing;
pub(super) mod per_pod_label;
pub(super) mod policy_refused;
pub(super) mod repeated_rule;
pub(super) mod rule_split;
pub(super) mod search_domain_name;
pub(super) mod selector_without_workload;
pub(super) mod service_port;
pub(super) mod unknown_field;
pub(super) mod unknown_kind;
pub(super) mod unknown_port_name;
pub(super) mod unlisted_policy_type;
pub(super) mod unquoted_label;
pub(super) mod unquoted_port;
pub(super) mod unreadable_yaml;
pub(super) mod version_change;
pub(super) mod wrong_shape;
pub(super) mod zero_network;

#[cfg(test)]
mod refused_cases;
#[cfg(test)]
pub(super) mod testing;
