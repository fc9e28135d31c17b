//! Counting: from a record to its entry in the tally, without an allocation
//! for a Hubble message whose ends and outcome were seen before.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

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

/// What is counted, once the ends are known.
struct Seen {
    source: EndId,
    destination: EndId,
    packet: Packet,
    source_port: Option<u16>,
    outcome: Outcome,
    request: Option<Request>,
    side: Option<Side>,
    reply: bool,
    event: Event,
    weight: u64,
    span: Option<Span>,
    /// The packet's ends and ports as a number; `None` for rows that are counted already.
    packet_number: Option<u64>,
}

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
            ..self.seen(flow)
        };
        if let Some(entry) = self.count(seen) {
            self.add_details(entry, || flow.denied_by.clone(), [(input, record.origin.line)]);
        }
    }

    /// Adds a distinct flow that is counted already.
    pub(super) fn add_row(&mut self, flow: &Flow, count: u64, span: Option<Span>, examples: &[Example]) {
        let seen = Seen { weight: count, span, ..self.seen(flow) };
        if let Some(entry) = self.count(seen) {
            let examples: Vec<(u32, u64)> =
                examples.iter().map(|example| (self.input_number(&example.input), example.line)).collect();
            self.add_details(entry, || flow.denied_by.clone(), examples);
        }
    }

    /// Counts a Hubble message without making a record of it.
    fn add_message(&mut self, message: &Message<'_>, input: u32, line: u64) -> Result<(), Refused> {
        let Some(fields) = &message.flow else { return Ok(()) };
        if fields.uuid().is_some_and(|uuid| !self.uuids.insert(uuid)) {
            self.repeated += 1;
            return Ok(());
        }
        let span = message.span();
        for (ip, name) in fields.answers() {
            self.answers.add(ip, &name, span);
        }
        let event = fields.event();
        let outcome = fields.outcome(event)?;
        let Some(weight) = message.weight() else { return Ok(()) };
        let (packet, source_port) = fields.packet();
        let source = self.end(&fields.source_texts(), || fields.source_endpoint())?;
        let destination = self.end(&fields.destination_texts(), || fields.destination_endpoint())?;
        let packet_number = match fields.ips() {
            Some(addresses) => FxBuildHasher.hash_one((addresses, packet, source_port)),
            None => FxBuildHasher.hash_one((source, destination, packet, source_port)),
        };
        let entry = self.count(Seen {
            source,
            destination,
            packet,
            source_port,
            side: fields.side(event, &outcome),
            outcome,
            request: fields.request(),
            reply: fields.is_reply(),
            event,
            weight,
            span,
            packet_number: message.count.is_none().then_some(packet_number),
        });
        if let Some(entry) = entry {
            match message.examples() {
                None => self.add_details(entry, || fields.denied_by(), [(input, line)]),
                Some(examples) => {
                    let examples: Vec<(u32, u64)> = examples
                        .iter()
                        .map(|example| (self.input_number(&example.input), example.line))
                        .collect();
                    self.add_details(entry, || fields.denied_by(), examples);
                }
            }
        }
        Ok(())
    }

    /// The end that is written as these texts.
    fn end(
        &mut self,
        texts: &[&str],
        parse: impl FnOnce() -> Result<Endpoint, Refused>,
    ) -> Result<EndId, Refused> {
        self.text.clear();
        for text in texts {
            self.text.push_str(text);
            self.text.push('\n');
        }
        self.ends.id_of_text(&self.text, parse)
    }

    fn seen(&mut self, flow: &Flow) -> Seen {
        Seen {
            source: self.ends.id(&flow.source),
            destination: self.ends.id(&flow.destination),
            packet: flow.packet,
            source_port: flow.source_port,
            outcome: flow.outcome.clone(),
            request: flow.request.clone(),
            side: flow.side,
            reply: flow.reply,
            event: Event::Unstated,
            weight: 1,
            span: None,
            packet_number: None,
        }
    }

    /// Counts; the entry, unless the record proves nothing or its packet was counted.
    fn count(&mut self, seen: Seen) -> Option<usize> {
        let passed = seen.outcome == Outcome::Forwarded;
        let proves_nothing = passed && (seen.reply || seen.event == Event::TraceBeforePolicy);
        if proves_nothing || self.is_too_old(seen.span) {
            return None;
        }
        let has_twin = matches!(seen.outcome, Outcome::Denied(denial) if denial != Denial::Request);
        let entry = self.entry(&seen);
        if let Some(packet) = seen.packet_number.filter(|_| has_twin && seen.weight == 1) {
            let time = seen.span.map(|(time, _)| time);
            if let Some(twin) = self.twins.meet(packet, seen.event, time, entry) {
                return self.count_twin(&seen, entry, twin);
            }
        }
        let weight = seen.weight;
        let counted = &mut self.entries[entry];
        counted.count = counted.count.saturating_add(weight);
        counted.see(&seen);
        Some(entry)
    }

    /// The second record of a packet: where it knows better whose policy it
    /// was, the packet moves to its entry.
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
        let counted = &mut self.entries[entry];
        counted.count = counted.count.saturating_add(1);
        counted.see(seen);
        Some(entry)
    }

    fn is_too_old(&self, span: Option<Span>) -> bool {
        matches!((self.keep.since, span), (Some(since), Some((_, last))) if last < since)
    }

    /// The entry that a record belongs to, made if it is new.
    fn entry(&mut self, seen: &Seen) -> usize {
        let packet = match (seen.reply, seen.packet, seen.source_port) {
            (true, Packet::Port(transport, _), Some(port)) => Packet::Port(transport, port),
            _ => seen.packet,
        };
        let key = Key {
            source: seen.source,
            destination: seen.destination,
            packet,
            outcome: self.outcomes.number(&seen.outcome),
            request: self.requests.number(&seen.request),
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
        denied_by: impl FnOnce() -> Vec<ObjectName>,
        examples: impl IntoIterator<Item = (u32, u64)>,
    ) {
        let entry = &mut self.entries[entry];
        if entry.denied_by.is_empty() {
            entry.denied_by = denied_by();
        }
        let mut free = entry.examples.iter_mut().filter(|(_, line)| *line == 0);
        for (example, slot) in examples.into_iter().zip(&mut free) {
            *slot = example;
        }
    }

    pub(super) fn input_number(&mut self, name: &str) -> u32 {
        let known = self.inputs.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.inputs.push(name.to_owned());
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

impl Sink for Tally {
    fn input(&mut self, name: &str) {
        self.current = self.input_number(name);
        self.twins.clear();
    }

    fn message(&mut self, message: &Message<'_>, origin: Origin) -> Result<(), Refused> {
        self.add_message(message, self.current, origin.line)
    }

    fn record(&mut self, record: Record) {
        self.add_record(&record, self.current);
    }
}
