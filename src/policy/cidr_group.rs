//! `CiliumCIDRGroup`: a list of prefixes that CIDR sets refer to by name or
//! label (`semantics.md` 4.4).

use ipnet::IpNet;

use super::peer::parse_cidr;
use crate::manifest::{Object, Text};
use crate::yaml::Value;

/// One group.
#[derive(Debug, Clone)]
pub struct CidrGroup<'s> {
    /// `metadata.name`.
    pub name: Text<'s>,
    /// `metadata.labels`.
    pub labels: Vec<(Text<'s>, Text<'s>)>,
    /// `spec.externalCIDRs`, as far as they can be read.
    pub prefixes: Vec<IpNet>,
    /// Whether one of them holds a variable that nothing here defines.
    pub incomplete: bool,
    /// The object.
    pub value: Value<'s>,
}

/// Reads a group; `None` when the object is something else.
pub fn decode<'s>(object: &Object<'s>) -> Option<CidrGroup<'s>> {
    if !object.is("cilium.io", "CiliumCIDRGroup") {
        return None;
    }
    let texts: Vec<Text<'s>> = object
        .value
        .path(&["spec", "externalCIDRs"])
        .into_iter()
        .flat_map(|list| list.items())
        .filter_map(|item| item.value.text())
        .collect();
    Some(CidrGroup {
        name: object.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        labels: object.labels().collect(),
        prefixes: texts.iter().filter_map(|text| parse_cidr(text)).collect(),
        incomplete: texts.iter().any(|text| super::is_unknown(text)),
        value: object.value,
    })
}
