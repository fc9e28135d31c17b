//! What was counted already: the same record given twice, and the two records
//! that Cilium writes of one denied packet (`flow-formats.md` 6.2).

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::flow::Event;

/// How many uuids a generation remembers; two generations are kept.
const GENERATION: usize = 400_000;

/// How many open packets a generation remembers.
const OPEN_PACKETS: usize = 4096;

/// The verdict and the drop of one packet are written within this time.
const TWIN_GAP: SignedDuration = SignedDuration::from_millis(1);

/// The uuids of the records that were seen last.
#[derive(Default)]
pub(super) struct Uuids {
    young: FxHashSet<u128>,
    old: FxHashSet<u128>,
}

impl Uuids {
    /// Remembers a uuid; false if it was there.
    pub(super) fn insert(&mut self, uuid: u128) -> bool {
        if self.old.contains(&uuid) || !self.young.insert(uuid) {
            return false;
        }
        if self.young.len() >= GENERATION {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        true
    }
}

/// A packet of which one record was seen and another may follow.
#[derive(Clone, Copy)]
struct Open {
    time: Option<Timestamp>,
    event: Event,
    /// The record says why.
    stated: bool,
    entry: usize,
    /// Packets with the same ends and ports, seen by records of the same kind.
    packets: u32,
}

/// Packets of which the second record is awaited.
#[derive(Default)]
pub(super) struct Twins {
    young: FxHashMap<u64, Open>,
    old: FxHashMap<u64, Open>,
}

/// The first record of a packet whose second was met.
pub(super) struct Twin {
    /// Where the first record was counted.
    pub(super) entry: usize,
    /// The second record knows better why, or whose policy it was.
    pub(super) better: bool,
}

impl Twins {
    /// Looks for the other record of a packet, and remembers this one if there is none.
    /// `packet` stands for its ends and ports; `stated` tells whether this record says
    /// why, as a verdict under a field mask may not; `entry` is where it belongs.
    pub(super) fn meet(
        &mut self,
        packet: u64,
        event: Event,
        time: Option<Timestamp>,
        stated: bool,
        entry: usize,
    ) -> Option<Twin> {
        let known = self.young.remove(&packet).or_else(|| self.old.remove(&packet));
        let open = Open { time, event, stated, entry, packets: 1 };
        let Some(before) = known.filter(|before| near(before.time, time)) else {
            self.remember(packet, open);
            return None;
        };
        if before.event == event && event != Event::Unstated {
            self.remember(packet, Open { packets: before.packets.saturating_add(1), ..open });
            return None;
        }
        if before.packets > 1 {
            self.remember(packet, Open { packets: before.packets - 1, ..before });
        }
        let better = match stated.cmp(&before.stated) {
            Ordering::Less => false,
            Ordering::Equal => event == Event::Verdict,
            Ordering::Greater => true,
        };
        Some(Twin { entry: before.entry, better })
    }

    fn remember(&mut self, packet: u64, open: Open) {
        self.young.insert(packet, open);
        if self.young.len() >= OPEN_PACKETS {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
    }

    /// Forgets all open packets: the two records of a packet stand in one input.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

fn near(a: Option<Timestamp>, b: Option<Timestamp>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.duration_since(b).abs() <= TWIN_GAP,
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Option<Timestamp> {
        Some(Timestamp::from_microsecond(micros).unwrap())
    }

    #[test]
    fn a_verdict_and_the_drop_that_follows_are_one_packet() {
        let mut twins = Twins::default();
        assert!(twins.meet(1, Event::Verdict, at(0), true, 0).is_none());
        assert!(twins.meet(1, Event::Drop, at(12), true, 0).is_some());
        assert!(twins.meet(1, Event::Drop, at(20), true, 0).is_none(), "a pair has two records");
    }

    #[test]
    fn the_record_that_says_why_is_the_better_one() {
        let mut twins = Twins::default();
        assert!(twins.meet(1, Event::Verdict, at(0), false, 0).is_none());
        assert!(twins.meet(1, Event::Drop, at(12), true, 1).is_some_and(|twin| twin.better));
        assert!(twins.meet(1, Event::Drop, at(2_000_000), true, 1).is_none());
        assert!(twins.meet(1, Event::Verdict, at(2_000_012), false, 0).is_some_and(|twin| !twin.better));
    }

    #[test]
    fn a_retry_is_another_packet() {
        let mut twins = Twins::default();
        twins.meet(1, Event::Verdict, at(0), true, 0);
        assert!(twins.meet(1, Event::Drop, at(1_000_000), true, 0).is_none());
    }

    #[test]
    fn two_packets_at_once_make_two_pairs() {
        let mut twins = Twins::default();
        let events = [Event::Verdict, Event::Verdict, Event::Drop, Event::Drop];
        let met = events.map(|event| twins.meet(1, event, at(0), true, 0).is_some());
        assert_eq!(met, [false, false, true, true]);
    }

    #[test]
    fn records_of_unknown_kind_at_one_time_are_a_pair() {
        let mut twins = Twins::default();
        assert!(twins.meet(1, Event::Unstated, at(0), true, 0).is_none());
        assert!(twins.meet(1, Event::Unstated, at(900), true, 0).is_some());
    }

    #[test]
    fn a_uuid_is_known_again_and_memory_stays_bounded() {
        let mut uuids = Uuids::default();
        assert!(uuids.insert(7));
        assert!(!uuids.insert(7));
        for n in 0..3 * GENERATION as u128 {
            uuids.insert(n << 32);
        }
        assert!(uuids.young.len() + uuids.old.len() <= 2 * GENERATION);
    }
}
