//! From inputs to records, in order: while one batch of blocks is put together
//! here, the lines of the next are read on all cores and the one after it is
//! fetched from the stream.

use std::io::{self, Read};
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::assemble::Assembler;
use super::block::{Block, Blocks};
use super::hubble::Message;
use super::input::Input;
use super::record::{Origin, Record, Refused};
use super::settle::{Settled, settle};
use super::summary::{Summary, Unreadable};
use super::text::Clock;

#[cfg(test)]
mod tests;

/// How many blocks make a batch.
const BATCH: usize = 24;

/// How to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Hand records over as soon as they are written, for a pipe that stays open.
    pub follow: bool,
}

/// What takes what was read, in order. Most of the work on a Hubble message is
/// done before its turn comes, on any core, in [`Sink::digest`].
pub(crate) trait Sink {
    /// What the messages of one block have in common, as it was found.
    type Shared: Default + Send;
    /// The same, once it is known to the sink.
    type Known;
    /// What a message comes to.
    type Digest: Send;

    /// A new input begins.
    fn input(&mut self, name: &str);

    /// Looks at a message before its turn.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it says nothing of what policy did, or makes no sense.
    fn digest(shared: &mut Self::Shared, message: &Message<'_>) -> Result<Self::Digest, Refused>;

    /// Gets to know what the next messages have in common.
    fn know(&mut self, shared: Self::Shared) -> Self::Known;

    /// Takes a message.
    fn message(&mut self, known: &Self::Known, digest: Self::Digest, origin: Origin);

    /// Takes a record of another format.
    fn record(&mut self, record: Record);

    /// All that is there was taken; more may come. Whether it is wanted.
    fn pause(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

struct Each<'a>(&'a mut dyn FnMut(Record));

impl Sink for Each<'_> {
    type Shared = ();
    type Known = ();
    type Digest = Option<Box<Record>>;

    fn input(&mut self, _: &str) {}

    fn digest((): &mut (), message: &Message<'_>) -> Result<Option<Box<Record>>, Refused> {
        message.record().map(|record| record.map(Box::new)).transpose()
    }

    fn know(&mut self, (): ()) {}

    fn message(&mut self, (): &(), digest: Option<Box<Record>>, origin: Origin) {
        if let Some(record) = digest {
            (self.0)(Record { origin, ..*record });
        }
    }

    fn record(&mut self, record: Record) {
        (self.0)(record);
    }
}

/// Reads every record of all inputs, in order, and says what else was there.
///
/// An input that cannot be read does not end the run: [`Summary::unreadable`] names it.
pub fn read(inputs: Vec<Input>, options: Options, each: &mut dyn FnMut(Record)) -> Summary {
    read_into(inputs, options, &mut Each(each))
}

pub(crate) fn read_into<S: Sink>(inputs: Vec<Input>, options: Options, sink: &mut S) -> Summary {
    let mut summary = Summary::default();
    for (number, input) in inputs.into_iter().enumerate() {
        let number = number as u32;
        sink.input(&input.name());
        if let Err(error) = read_input(number, input, options, &mut summary, sink) {
            summary.unreadable.push(Unreadable { input: number, why: error.to_string() });
        }
    }
    summary
}

fn read_input<S: Sink>(
    number: u32,
    input: Input,
    options: Options,
    summary: &mut Summary,
    sink: &mut S,
) -> io::Result<()> {
    let (stream, written) = input.open()?;
    let clock = Clock(written.unwrap_or_else(Timestamp::now));
    let mut assembler = Assembler::new(number, clock, summary, sink);
    let mut blocks = Blocks::new(stream, options.follow);
    let outcome = if options.follow {
        as_it_comes(&mut blocks, &mut assembler, clock)
    } else {
        in_batches(&mut blocks, &mut assembler, clock)
    };
    assembler.end(blocks.lines_read());
    outcome
}

/// Takes what is there before it waits for more.
fn as_it_comes<R: Read, S: Sink>(
    blocks: &mut Blocks<R>,
    assembler: &mut Assembler<'_, S>,
    clock: Clock,
) -> io::Result<()> {
    let mut block = Block::default();
    while blocks.next(&mut block)? {
        block = assembler.take(settle(block, clock));
        if assembler.pause().is_break() {
            break;
        }
    }
    Ok(())
}

/// Keeps all cores busy. Nothing here waits for a message of another thread, so
/// that it can itself be called from the pool that does the work.
fn in_batches<R: Read + Send, S: Sink>(
    blocks: &mut Blocks<R>,
    assembler: &mut Assembler<'_, S>,
    clock: Clock,
) -> io::Result<()> {
    let mut spare = Vec::new();
    let mut fetched = Vec::new();
    let mut outcome = fetch(blocks, &mut spare, &mut fetched);
    let mut settled: Vec<Settled<S>> = Vec::new();
    while !(fetched.is_empty() && settled.is_empty()) {
        let mut used = Vec::new();
        let mut next = Vec::new();
        let mut ahead: Vec<Option<Settled<S>>> = Vec::new();
        ahead.resize_with(fetched.len(), || None);
        rayon::in_place_scope(|scope| {
            if outcome.is_ok() && !fetched.is_empty() {
                scope.spawn(|_| outcome = fetch(blocks, &mut spare, &mut next));
            }
            for (block, slot) in fetched.drain(..).zip(&mut ahead) {
                scope.spawn(move |_| *slot = Some(settle(block, clock)));
            }
            used.extend(settled.drain(..).map(|settled| assembler.take(settled)));
        });
        spare.append(&mut used);
        settled.extend(ahead.into_iter().flatten());
        fetched = next;
    }
    outcome
}

/// Fetches the next blocks; none at the end. Blocks before an error are kept.
fn fetch<R: Read>(blocks: &mut Blocks<R>, spare: &mut Vec<Block>, into: &mut Vec<Block>) -> io::Result<()> {
    while into.len() < BATCH {
        let mut block = spare.pop().unwrap_or_default();
        if !blocks.next(&mut block)? {
            break;
        }
        into.push(block);
    }
    Ok(())
}
