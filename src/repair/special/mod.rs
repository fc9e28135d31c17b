//! Mends that no single near miss tells of, one file each.

mod changed_address;
mod names;
mod open_side;
mod request;
mod split_rule;

use super::candidate::{Candidate, Operator};
use crate::finding::{Label, Safety};
use crate::source::FileId;
use crate::yaml::Change;

pub(super) use changed_address::changed_address;
pub(super) use names::{dns_edits, names_without_dns, sees_dns};
pub(super) use open_side::open_side;
pub(super) use request::request;
pub(super) use split_rule::split_rule;

fn candidate(
    operator: Operator,
    cause: &'static str,
    edits: Vec<(FileId, Change)>,
    blame: Label,
) -> Candidate {
    Candidate {
        operator,
        cause,
        edits,
        new_files: Vec::new(),
        blame,
        related: Vec::new(),
        why: String::new(),
        title: String::new(),
        evidence: None,
        safety: Safety::Safe,
        corrects: true,
        assumption: None,
    }
}
