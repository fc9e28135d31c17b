//! The order in which distinct flows are told: what became of them, source,
//! destination, packet. What flows share is put in order once, so that flows
//! themselves are compared by numbers.

use rayon::prelude::*;

use super::{Entry, Tally};
use crate::traffic::{Packet, Side};

/// The places of what flows share, by their numbers.
pub(super) struct Order {
    ends: Vec<u32>,
    outcomes: Vec<u32>,
    requests: Vec<u32>,
}

/// The place of a distinct flow among others; no two have the same.
pub(super) type Place = (u32, u32, u32, Packet, Option<Side>, Option<u32>, bool);

impl Order {
    pub(super) fn of(tally: &Tally) -> Self {
        Self {
            ends: places(tally.ends.examples(), |end| {
                let namespace = end.namespace();
                // As people look for them, those of the cluster first; the rest makes the order a total one.
                (namespace.is_none(), namespace, end.pod.as_deref(), end.ip, end)
            }),
            outcomes: places(&tally.outcomes.values, |outcome| outcome),
            requests: places(&tally.requests.values, |request| request),
        }
    }

    pub(super) fn place(&self, entry: &Entry) -> Place {
        let key = &entry.key;
        (
            self.outcomes[key.outcome as usize],
            self.ends[key.source.number()],
            self.ends[key.destination.number()],
            key.packet,
            key.side,
            key.request.map(|request| self.requests[request as usize]),
            key.reply,
        )
    }
}

/// For each value its place among all of them.
fn places<'a, T, K: Ord + Send>(values: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<u32> {
    let mut order: Vec<(K, u32)> = values.iter().map(key).zip(0..).collect();
    order.par_sort_unstable();
    let mut places = vec![0; values.len()];
    for (place, (_, number)) in (0..).zip(order) {
        places[number as usize] = place;
    }
    places
}
