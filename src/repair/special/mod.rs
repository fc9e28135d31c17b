//! Mends that no single near miss tells of, one file each.

mod changed_address;
mod names;
mod open_side;
mod request;
mod split_rule;

pub(super) use changed_address::changed_address;
pub(super) use names::names_without_dns;
pub(super) use open_side::open_side;
pub(super) use request::request;
pub(super) use split_rule::split_rule;
