//! Which flows are wanted, and what was left out because it is not.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::ends::EndId;
use super::{Entry, Tally};
use crate::flow::Outcome;

/// Which flows are wanted.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// Records before this time are passed over; those without a time are kept.
    pub since: Option<Timestamp>,
    /// Distinct flows seen less often are passed over.
    pub min_count: u64,
    /// Flows of which neither end is in this namespace are passed over.
    pub namespace: Option<String>,
    /// Flows that passed only because policy was in audit mode are wanted too.
    pub include_audit: bool,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// Records from before [`Keep::since`].
    TooOld,
    /// Distinct flows seen less often than [`Keep::min_count`].
    TooRare,
    /// Distinct flows with neither end in [`Keep::namespace`].
    Elsewhere,
    /// Distinct flows that passed only because policy was in audit mode.
    Audited,
}

impl Tally {
    /// How much was left out, and why.
    pub fn left_out(&self) -> BTreeMap<LeftOut, u64> {
        let mut left_out = BTreeMap::new();
        if self.too_old > 0 {
            left_out.insert(LeftOut::TooOld, self.too_old);
        }
        let counted = self.entries.iter().filter(|entry| entry.count > 0);
        for why in counted.filter_map(|entry| self.why_left_out(entry)) {
            *left_out.entry(why).or_default() += 1;
        }
        left_out
    }

    pub(super) fn why_left_out(&self, entry: &Entry) -> Option<LeftOut> {
        let Keep { min_count, namespace, include_audit, .. } = &self.keep;
        let is_in = |end: EndId| self.ends.example(end).namespace() == namespace.as_deref();
        if namespace.is_some() && !is_in(entry.key.source) && !is_in(entry.key.destination) {
            Some(LeftOut::Elsewhere)
        } else if !include_audit && *self.outcomes.get(entry.key.outcome) == Outcome::Audited {
            Some(LeftOut::Audited)
        } else if entry.count < *min_count {
            Some(LeftOut::TooRare)
        } else {
            None
        }
    }
}
