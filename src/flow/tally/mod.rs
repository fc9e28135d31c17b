//! Equal flows become one, with a count and times. Memory grows with the
//! distinct flows, not with the records.

mod count;
mod digest;
mod ends;
mod follow;
mod keep;
mod names;
mod order;
mod repeats;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use self::ends::{EndId, Ends};
pub use self::follow::follow;
pub use self::keep::{Keep, LeftOut};
use self::names::{Answers, Identities};
use self::order::{Order, Place};
use self::repeats::{Twins, Uuids};
use super::input::Input;
use super::read::{Options, read_into};
use super::{Endpoint, Flow, ObjectName, Outcome, Record, Request, Summary};
use crate::traffic::{Packet, Side};

/// First and last time of something.
pub type Span = (Timestamp, Timestamp);

/// How many examples are kept of one distinct flow.
const EXAMPLES: usize = 3;

/// How many distinct flows are made ready for writing at a time.
const AT_A_TIME: usize = 8192;

/// Where a flow was seen: the name of the input, and the line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Example {
    /// The input as it was named when the record itself was read.
    pub input: Arc<str>,
    /// The line, from 1.
    pub line: u64,
}

/// A distinct flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distinct {
    /// The flow; pods, addresses and source port are those first seen.
    pub flow: Flow,
    /// How many packets or requests.
    pub count: u64,
    /// First and last time.
    pub span: Option<Span>,
    /// The first three records.
    pub examples: Vec<Example>,
    /// A name of an end comes from DNS answers that give more than one for its address.
    pub ambiguous_names: bool,
}

/// What tells distinct flows apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: EndId,
    destination: EndId,
    /// Of replies, the port of the server that answers.
    packet: Packet,
    outcome: u32,
    request: Option<u32>,
    side: Option<Side>,
    reply: bool,
}

struct Entry {
    key: Key,
    packet: Packet,
    /// The first that was seen.
    source_port: Option<u16>,
    count: u64,
    span: Option<Span>,
    /// Input, by its place in `Tally::inputs`, and line.
    examples: [(u32, u64); EXAMPLES],
    denied_by: Vec<ObjectName>,
}

/// Counts distinct flows.
#[derive(Default)]
pub struct Tally {
    keep: Keep,
    /// What the inputs were made of.
    pub summary: Summary,
    /// Records that were passed over because their uuid was there already.
    pub repeated: u64,
    /// Records that were passed over because of their time.
    too_old: u64,
    /// The names of inputs, those of examples included.
    inputs: Vec<Arc<str>>,
    /// The input that is being read, by its place in `inputs`.
    current: u32,
    ends: Ends,
    outcomes: Interned<Outcome>,
    requests: Interned<Request>,
    index: FxHashMap<Key, usize>,
    entries: Vec<Entry>,
    /// How many of them were seen often enough.
    kept: usize,
    answers: Answers,
    uuids: Uuids,
    twins: Twins,
}

/// Values by number.
struct Interned<T> {
    values: Vec<T>,
    numbers: FxHashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: FxHashMap::default() }
    }
}

impl<T: Hash + Eq + Clone> Interned<T> {
    fn number(&mut self, value: &T) -> u32 {
        if let Some(&number) = self.numbers.get(value) {
            return number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        number
    }

    fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}

impl Tally {
    /// An empty tally that keeps what is wanted.
    pub fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// How many distinct flows were seen often enough to be kept.
    pub(crate) fn kept_count(&self) -> usize {
        self.kept
    }

    /// Counts one record of the input that is called `input`. Records that
    /// prove nothing about policy are passed over.
    pub fn add(&mut self, record: &Record, input: &str) {
        let input = self.input_number(input);
        self.add_record(record, input);
    }

    /// Adds all that another tally has counted.
    pub fn merge(&mut self, other: &Tally) {
        for entry in &other.entries {
            let examples: Vec<Example> = other.examples(entry).collect();
            self.add_row(&other.flow(entry, other.ends.examples()), entry.count, entry.span, &examples);
        }
        for (ip, name, span) in other.answers.iter() {
            self.answers.add(ip, name, span);
        }
    }

    /// An entry as it was counted, between ends that are known as `ends` has them.
    fn flow(&self, entry: &Entry, ends: &[Arc<Endpoint>]) -> Flow {
        Flow {
            source: Arc::clone(&ends[entry.key.source.number()]),
            destination: Arc::clone(&ends[entry.key.destination.number()]),
            packet: entry.packet,
            source_port: entry.source_port,
            outcome: self.outcomes.get(entry.key.outcome).clone(),
            side: entry.key.side,
            request: entry.key.request.map(|request| self.requests.get(request).clone()),
            denied_by: entry.denied_by.clone(),
            reply: entry.key.reply,
        }
    }

    fn examples<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = Example> + 'a {
        entry.examples.iter().filter(|(_, line)| *line != 0).map(|&(input, line)| Example {
            input: self.inputs.get(input as usize).cloned().unwrap_or_default(),
            line,
        })
    }

    /// The entries that are wanted, in order.
    fn wanted<K: Ord + Send>(&self, key: impl Fn(&Entry, Place) -> K + Sync) -> Vec<&Entry> {
        let order = Order::of(self);
        let is_wanted = |entry: &&Entry| entry.count > 0 && self.why_left_out(entry).is_none();
        let mut wanted: Vec<(K, &Entry)> = self
            .entries
            .par_iter()
            .filter(is_wanted)
            .map(|entry| (key(entry, order.place(entry)), entry))
            .collect();
        wanted.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
        wanted.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The distinct flows as they were counted, in order and some at a time:
    /// what is written as normalised rows.
    pub(super) fn counted(&self) -> impl Iterator<Item = Vec<Distinct>> {
        let mut wanted = self.wanted(|_, place| place).into_iter();
        std::iter::from_fn(move || {
            let some: Vec<&Entry> = wanted.by_ref().take(AT_A_TIME).collect();
            let distinct = |entry: &&Entry| self.distinct_of(entry, self.ends.examples());
            (!some.is_empty()).then(|| some.par_iter().map(distinct).collect())
        })
    }

    fn distinct_of(&self, entry: &Entry, ends: &[Arc<Endpoint>]) -> Distinct {
        Distinct {
            flow: self.flow(entry, ends),
            count: entry.count,
            span: entry.span,
            examples: self.examples(entry).collect(),
            ambiguous_names: false,
        }
    }

    /// The names that DNS answers gave, by address: what is written beside the rows.
    pub(super) fn answers(&self) -> impl Iterator<Item = (IpAddr, &str, Option<Span>)> {
        self.answers.iter()
    }

    /// The distinct flows, most frequent first, completed from what other
    /// records say: names of addresses by DNS answers, labels by identity,
    /// replies by the connection that they answer.
    pub fn distinct(&self) -> Vec<Distinct> {
        let openings = self.openings();
        let ends = self.ends_with_labels();
        let complete = |entry: &&Entry| {
            let mut distinct = self.distinct_of(entry, &ends);
            let flow = &mut distinct.flow;
            flow.reply |= entry.opening().is_some_and(|opening| openings.contains(&opening));
            let last = distinct.span.map(|(_, last)| last);
            for end in [&mut flow.source, &mut flow.destination] {
                let names = end.bare_address().map_or_else(Vec::new, |ip| self.answers.names(ip, last));
                distinct.ambiguous_names |= names.len() > 1;
                if !names.is_empty() {
                    Arc::make_mut(end).names = names;
                }
            }
            distinct
        };
        let wanted = self.wanted(|entry, place| (Reverse(entry.count), place));
        wanted.par_iter().map(complete).collect()
    }

    /// All ends, those without labels with the labels of their identity.
    fn ends_with_labels(&self) -> Vec<Arc<Endpoint>> {
        let identities = Identities::of(self.ends.examples().iter().map(AsRef::as_ref));
        let complete = |end: &Arc<Endpoint>| match identities.labels(end) {
            Some(labels) => Arc::new(Endpoint { labels: labels.to_vec(), ..Endpoint::clone(end) }),
            None => Arc::clone(end),
        };
        self.ends.examples().iter().map(complete).collect()
    }

    /// The flows that passed: who called whom on which port.
    fn openings(&self) -> FxHashSet<(EndId, EndId, Packet)> {
        let passed = |entry: &&Entry| *self.outcomes.get(entry.key.outcome) == Outcome::Forwarded;
        let opening = |entry: &Entry| (entry.key.source, entry.key.destination, entry.packet);
        self.entries.iter().filter(passed).map(opening).collect()
    }
}

/// Reads all inputs and counts their flows.
pub fn tally(inputs: Vec<Input>, options: Options, keep: Keep) -> Tally {
    let mut tally = Tally::new(keep);
    tally.summary = read_into(inputs, options, &mut tally);
    tally
}
