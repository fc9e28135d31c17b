//! What the lines of a block say, found out on any core. A line that stands
//! alone is settled here, envelopes and all; one that only its neighbours
//! explain is left open for the [assembler](super::assemble).

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::block::Block;
use super::envelope::Piece;
use super::line::{self, Line, without_colours};
use super::read::Sink;
use super::record::{Record, Refused, Unjudged};
use super::summary::{BrokenKind, LineKind};
use super::text::Clock;

/// How many envelopes may be around a line.
pub(crate) const DEEPEST: u32 = 4;

/// A block with what its lines say.
pub(crate) struct Settled<S: Sink> {
    pub(crate) block: Block,
    pub(crate) shared: S::Shared,
    pub(crate) lines: Vec<SettledLine<S::Digest>>,
}

/// What a line says. A line with several records in it is there several times.
pub(crate) struct SettledLine<D> {
    /// Its number in the input.
    pub(crate) number: u64,
    /// Where it stands in the block.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// It came in an envelope.
    pub(crate) is_inner: bool,
    /// The stream whose pieces it may end, where its envelope has one.
    pub(crate) stream: Option<&'static str>,
    pub(crate) says: Says<D>,
}

/// What was found.
pub(crate) enum Says<D> {
    /// A Hubble message.
    Message(D, LineKind),
    /// A record of another format.
    Record(Box<Record>, LineKind),
    /// A record that tells nothing of policy.
    Unjudged(Unjudged, LineKind),
    /// Events that were lost.
    Lost(u64),
    /// Nothing to keep.
    Nothing(LineKind),
    /// Nothing that can be read, whatever stands beside it.
    Broken(BrokenKind, String),
    /// Only its neighbours can tell.
    Open,
}

impl<D> Says<D> {
    /// What a line says without its neighbours.
    pub(crate) fn of<S: Sink<Digest = D>>(shared: &mut S::Shared, line: Line<'_>) -> Self {
        match line {
            Line::Hubble(message, kind) => match S::digest(shared, &message) {
                Ok(digest) => Says::Message(digest, kind),
                Err(Refused::Unjudged(unjudged)) => Says::Unjudged(unjudged, kind),
                Err(Refused::Broken(why)) => Says::Broken(BrokenKind::Record, why),
            },
            Line::Record(record, kind) => Says::Record(record, kind),
            Line::Unjudged(unjudged, kind) => Says::Unjudged(unjudged, kind),
            Line::Lost(number) => Says::Lost(number),
            Line::Nothing(kind) => Says::Nothing(kind),
            Line::Opened(_) | Line::Piece(_) | Line::Dict(_) | Line::Part(..) => Says::Open,
        }
    }
}

/// Reads the lines of a block.
pub(crate) fn settle<S: Sink>(block: Block, clock: Clock) -> Settled<S> {
    let bytes = block.bytes();
    let mut settler = Settler::<S> { clock, shared: S::Shared::default(), lines: Vec::new() };
    settler.lines.reserve(bytes.len() / 512 + 1);
    let is_plain = memchr(b'\x1b', bytes).is_none();
    // Checked as a whole, which is faster than line by line.
    let text = str::from_utf8(bytes).ok().filter(|_| is_plain);
    let mut start = 0;
    let ends = memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len()));
    for (number, end) in (block.first_line..).zip(ends) {
        if start < bytes.len() {
            let place = Place { number, start: start as u32, end: end as u32, depth: 0, stream: None };
            match text {
                Some(text) => settler.line(place, text.get(start..end).unwrap_or_default()),
                None => settler.line(place, &plain(bytes.get(start..end).unwrap_or_default())),
            }
        }
        start = end + 1;
    }
    let Settler { shared, lines, .. } = settler;
    Settled { block, shared, lines }
}

/// A line without colours, and what is no UTF-8 in it replaced.
pub(crate) fn plain(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => without_colours(text),
        Err(_) => Cow::Owned(without_colours(&String::from_utf8_lossy(bytes)).into_owned()),
    }
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct Place {
    number: u64,
    start: u32,
    end: u32,
    /// How many envelopes are around it.
    depth: u32,
    stream: Option<&'static str>,
}

struct Settler<S: Sink> {
    clock: Clock,
    shared: S::Shared,
    lines: Vec<SettledLine<S::Digest>>,
}

impl<S: Sink> Settler<S> {
    fn line(&mut self, place: Place, text: &str) {
        let before = self.lines.len();
        if self.settle(place, line::read(text, self.clock)).is_none() {
            self.lines.truncate(before);
            self.push(Place { depth: 0, stream: None, ..place }, Says::Open);
        }
    }

    /// Settles a line; `None` if part of it stays open.
    fn settle(&mut self, place: Place, line: Line<'_>) -> Option<()> {
        let says = match line {
            Line::Opened(lines) => return self.opened(place, &lines),
            Line::Piece(piece) => return self.piece(place, &piece),
            // The assembler knows whether it is the last of its input.
            Line::Part(_, misread) if place.depth > 0 && !misread.cut_off => {
                Says::Broken(misread.kind, misread.why)
            }
            line => Says::of::<S>(&mut self.shared, line),
        };
        if matches!(says, Says::Open) {
            return None;
        }
        self.push(place, says);
        Some(())
    }

    fn opened(&mut self, place: Place, lines: &[Cow<'_, str>]) -> Option<()> {
        let inner = Place { depth: place.depth + 1, ..place };
        if place.depth >= DEEPEST || lines.is_empty() {
            return None;
        }
        for text in lines {
            self.settle(inner, line::read(&without_colours(text), self.clock))?;
        }
        Some(())
    }

    fn piece(&mut self, place: Place, piece: &Piece<'_>) -> Option<()> {
        let is_nested = place.stream.is_some();
        if is_nested || piece.last == Some(false) {
            return None;
        }
        let inner = Place { stream: Some(piece.stream), ..place };
        self.opened(inner, std::slice::from_ref(&piece.text))
    }

    fn push(&mut self, place: Place, says: Says<S::Digest>) {
        let Place { number, start, end, depth, stream } = place;
        self.lines.push(SettledLine { number, start, end, is_inner: depth > 0, stream, says });
    }
}
