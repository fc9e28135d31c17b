//! Counting: from a record, a row or a digested message to its entry in the tally.

use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::digest::{Digest, EndTexts, More};
use super::ends::EndId;
use super::names::join;
use super::repeats::Twin;
use super::{EXAMPLES, Entry, Example, Key, Span, Tally};
use crate::flow::hubble::Message;
use crate::flow::read::Sink;
use crate::flow::record::Refused;
use crate::flow::reply::FIRST_EPHEMERAL;
use crate::flow::{Denial, Endpoint, Event, Flow, ObjectName, Origin, Outcome, Record, Request};
use crate::traffic::{Packet, Side, Transport};

/// What is counted of a flow, its ends apart.
pub(super) struct Seen {
    pub(super) packet: Packet,
    pub(super) source_port: Option<u16>,
    pub(super) outcome: Outcome,
    pub(super) request: Option<Box<Request>>,
    pub(super) side: Option<Side>,
    pub(super) reply: bool,
    pub(super) event: Event,
    pub(super) weight: u64,
    pub(super) span: Option<Span>,
    /// The packet's ends and ports as a number; `None` for rows that are counted already.
    pub(super) packet_number: Option<u64>,
}

/// Source and destination.
type Between = [EndId; 2];

impl Tally {
    pub(super) fn add_record(&mut self, record: &Record, input: u32) {
        if record.uuid.is_some_and(|uuid| !self.uuids.insert(uuid)) {
            self.repeated += 1;
            return;
        }
        let span = record.time.map(|time| (time, time));
        for (ip, name) in &record.answers {
            self.answers.add(*ip, name, span);
        }
        let flow = &record.flow;
        let end = |end: &Endpoint| FxBuildHasher.hash_one((end.ip, &end.namespace, &end.pod, &end.names));
        let ends = (end(&flow.source), end(&flow.destination));
        let seen = Seen {
            event: record.event,
            weight: record.weight,
            span,
            packet_number: Some(FxBuildHasher.hash_one((ends, flow.packet, flow.source_port))),
            ..seen(flow)
        };
        let between = self.between(flow);
        if let Some(entry) = self.count(between, &seen) {
            self.add_details(entry, &flow.denied_by, [(input, record.origin.line)]);
        }
    }

    /// Adds a distinct flow that is counted already.
    pub(super) fn add_row(&mut self, flow: &Flow, count: u64, span: Option<Span>, examples: &[Example]) {
        let between = self.between(flow);
        if let Some(entry) = self.count(between, &Seen { weight: count, span, ..seen(flow) }) {
            let examples = self.numbered(examples);
            self.add_details(entry, &flow.denied_by, examples);
        }
    }

    fn numbered(&mut self, examples: &[Example]) -> Vec<(u32, u64)> {
        examples.iter().map(|example| (self.input_number(&example.input), example.line)).collect()
    }

    fn between(&mut self, flow: &Flow) -> Between {
        [&flow.source, &flow.destination].map(|end| self.ends.id(Arc::clone(end)))
    }

    /// Counts a Hubble message.
    fn add_digest(&mut self, known: &[EndId], digest: &Digest, origin: Origin) {
        if digest.uuid.is_some_and(|uuid| !self.uuids.insert(uuid)) {
            self.repeated += 1;
            return;
        }
        let more = digest.more.as_deref();
        for (ip, name) in more.iter().flat_map(|more| &more.answers) {
            self.answers.add(*ip, name, more.and_then(|more| more.span));
        }
        let Some(seen) = &digest.seen else { return };
        let [Some(source), Some(destination)] = digest.ends.map(|end| known.get(end as usize).copied())
        else {
            return;
        };
        let Some(entry) = self.count([source, destination], seen) else { return };
        let denied_by = more.map_or(&[][..], |more| &more.denied_by);
        match more {
            Some(More { examples: Some(examples), .. }) => {
                let examples = self.numbered(examples);
                self.add_details(entry, denied_by, examples);
            }
            _ => self.add_details(entry, denied_by, [(self.current, origin.line)]),
        }
    }

    /// Counts; the entry, unless the record proves nothing or its packet was counted.
    fn count(&mut self, between: Between, seen: &Seen) -> Option<usize> {
        let passed = seen.outcome == Outcome::Forwarded;
        let proves_nothing = passed && (seen.reply || seen.event == Event::TraceBeforePolicy);
        if proves_nothing {
            return None;
        }
        if self.is_too_old(seen.span) {
            self.too_old += 1;
            return None;
        }
        let has_twin = matches!(seen.outcome, Outcome::Denied(denial) if denial != Denial::Request);
        let entry = self.entry(between, seen);
        if let Some(packet) = seen.packet_number.filter(|_| has_twin && seen.weight == 1) {
            let time = seen.span.map(|(time, _)| time);
            let stated = seen.outcome != Outcome::Denied(Denial::Unstated);
            if let Some(twin) = self.twins.meet(packet, seen.event, time, stated, entry) {
                return self.count_twin(seen, entry, twin);
            }
        }
        self.add_to(entry, seen.weight, seen);
        Some(entry)
    }

    fn add_to(&mut self, entry: usize, weight: u64, seen: &Seen) {
        let enough = self.keep.min_count.max(1);
        let counted = &mut self.entries[entry];
        let before = counted.count;
        counted.count = before.saturating_add(weight);
        counted.see(seen);
        self.kept += usize::from(before < enough && counted.count >= enough);
    }

    /// The second record of a packet: where it knows better, the packet moves
    /// to its entry.
    fn count_twin(&mut self, seen: &Seen, entry: usize, twin: Twin) -> Option<usize> {
        if twin.entry == entry {
            self.entries[entry].see(seen);
            return twin.better.then_some(entry);
        }
        if !twin.better {
            return None;
        }
        let before = &mut self.entries[twin.entry];
        before.count = before.count.saturating_sub(1);
        self.add_to(entry, 1, seen);
        Some(entry)
    }

    fn is_too_old(&self, span: Option<Span>) -> bool {
        matches!((self.keep.since, span), (Some(since), Some((_, last))) if last < since)
    }

    /// The entry that a record belongs to, made if it is new.
    fn entry(&mut self, [source, destination]: Between, seen: &Seen) -> usize {
        let packet = match (seen.reply, seen.packet, seen.source_port) {
            (true, Packet::Port(transport, _), Some(port)) => Packet::Port(transport, port),
            _ => seen.packet,
        };
        let key = Key {
            source,
            destination,
            packet,
            outcome: self.outcomes.number(&seen.outcome),
            request: seen.request.as_deref().map(|request| self.requests.number(request)),
            side: seen.side,
            reply: seen.reply,
        };
        let next = self.entries.len();
        let entry = *self.index.entry(key).or_insert(next);
        if entry == next {
            self.entries.push(Entry {
                key,
                packet: seen.packet,
                source_port: None,
                count: 0,
                span: None,
                examples: [(0, 0); EXAMPLES],
                denied_by: Vec::new(),
            });
        }
        entry
    }

    /// Keeps examples as long as there is room, and the guilty policies if they are new.
    fn add_details(
        &mut self,
        entry: usize,
        denied_by: &[ObjectName],
        examples: impl IntoIterator<Item = (u32, u64)>,
    ) {
        let entry = &mut self.entries[entry];
        if entry.denied_by.is_empty() && !denied_by.is_empty() {
            entry.denied_by = denied_by.to_vec();
        }
        let mut free = entry.examples.iter_mut().filter(|(_, line)| *line == 0);
        for (example, slot) in examples.into_iter().zip(&mut free) {
            *slot = example;
        }
    }

    pub(super) fn input_number(&mut self, name: &str) -> u32 {
        let known = self.inputs.iter().position(|known| **known == *name);
        let number = known.unwrap_or_else(|| {
            self.inputs.push(name.into());
            self.inputs.len() - 1
        });
        number as u32
    }
}

impl Entry {
    /// The flow that this one would be the answer to, where packets alone do
    /// not tell: from a UDP server on a high port to an ephemeral port.
    pub(super) fn opening(&self) -> Option<(EndId, EndId, Packet)> {
        match (self.packet, self.source_port) {
            (Packet::Port(transport, FIRST_EPHEMERAL..), Some(port)) if transport != Transport::Tcp => {
                Some((self.key.destination, self.key.source, Packet::Port(transport, port)))
            }
            _ => None,
        }
    }

    fn see(&mut self, seen: &Seen) {
        self.span = join(self.span, seen.span);
        self.source_port = self.source_port.or(seen.source_port);
    }
}

fn seen(flow: &Flow) -> Seen {
    Seen {
        packet: flow.packet,
        source_port: flow.source_port,
        outcome: flow.outcome.clone(),
        request: flow.request.clone().map(Box::new),
        side: flow.side,
        reply: flow.reply,
        event: Event::Unstated,
        weight: 1,
        span: None,
        packet_number: None,
    }
}

impl Sink for Tally {
    type Shared = EndTexts;
    type Known = Vec<EndId>;
    type Digest = Digest;

    fn input(&mut self, name: &str) {
        self.current = self.input_number(name);
        self.twins.clear();
    }

    fn digest(ends: &mut EndTexts, message: &Message<'_>) -> Result<Digest, Refused> {
        Digest::of(ends, message)
    }

    fn know(&mut self, ends: EndTexts) -> Vec<EndId> {
        self.ends.ids_of_texts(ends)
    }

    fn message(&mut self, known: &Vec<EndId>, digest: Digest, origin: Origin) {
        self.add_digest(known, &digest, origin);
    }

    fn record(&mut self, record: Record) {
        self.add_record(&record, self.current);
    }
}
