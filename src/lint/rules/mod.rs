//! The rules, one a file, each named as its id.

pub(super) mod colliding_keys;
pub(super) mod empty_list_as_deny;
pub(super) mod filtered_label;
pub(super) mod foreign_field;
pub(super) mod foreign_namespace;
pub(super) mod fqdn_without_dns_rule;
pub(super) mod null_section;
pub(super) mod policy_refused;
pub(super) mod rule_split;
pub(super) mod service_port;
pub(super) mod unknown_field;
pub(super) mod unquoted_label;
pub(super) mod unquoted_port;
pub(super) mod unreadable_yaml;
pub(super) mod wrong_shape;

#[cfg(test)]
pub(super) mod testing;
