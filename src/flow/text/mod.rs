//! Flows as lines for people: `hubble observe` (compact, tab, dict) and
//! `cilium-dbg monitor`. One file a format; what they share is here.

pub(super) mod compact;
pub(super) mod event;
mod host;
pub(super) mod monitor;
mod observed;
pub(super) mod table;
mod when;

pub(super) use host::object_name;
pub(super) use when::Clock;

use super::record::{Record, Unjudged};

/// What a line of text tells.
pub(super) enum Told {
    /// A packet or request.
    Record(Box<Record>),
    /// Something that says nothing of policy.
    Unjudged(Unjudged),
    /// Events that were lost, by their number.
    Lost(u64),
    /// The format is plain, but a part of it makes no sense.
    Broken(String),
}

impl From<Result<Record, Unjudged>> for Told {
    fn from(result: Result<Record, Unjudged>) -> Self {
        match result {
            Ok(record) => Told::Record(Box::new(record)),
            Err(unjudged) => Told::Unjudged(unjudged),
        }
    }
}
