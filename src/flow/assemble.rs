//! Takes lines in order and puts together what is spread over several: printed
//! JSON, dictionaries, and the pieces into which container runtimes cut lines.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::block::{Block, LONGEST_LINE};
use super::envelope::Piece;
use super::gather::{Document, Pieces};
use super::line::{self, Line, Misread, without_colours};
use super::read::Sink;
use super::record::{Origin, Record, Unjudged};
use super::settle::{DEEPEST, Says, Settled, SettledLine, plain};
use super::summary::{BrokenKind, LineKind, Summary};
use super::text::table::Dict;
use super::text::{Clock, Told};

/// What was begun in an input and not ended yet.
pub(crate) struct Assembler<'a, S> {
    input: u32,
    clock: Clock,
    summary: &'a mut Summary,
    sink: &'a mut S,
    document: Option<Document>,
    pieces: Pieces,
    dict: Dict,
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place {
    origin: Origin,
    /// It is the last of its input and has no line end.
    at_end: bool,
    /// How many envelopes are around it.
    depth: u32,
}

impl Place {
    /// Inside an envelope; `None` where there are too many.
    fn deeper(self) -> Option<Self> {
        (self.depth < DEEPEST).then_some(Self { depth: self.depth + 1, ..self })
    }
}

impl<'a, S: Sink> Assembler<'a, S> {
    pub(crate) fn new(input: u32, clock: Clock, summary: &'a mut Summary, sink: &'a mut S) -> Self {
        let (document, pieces, dict) = (None, Pieces::default(), Dict::default());
        Self { input, clock, summary, sink, document, pieces, dict }
    }

    /// Takes the next block, and gives it back to be filled again.
    pub(crate) fn take(&mut self, settled: Settled<S>) -> Block {
        let Settled { block, shared, lines } = settled;
        let known = self.sink.know(shared);
        let last = lines.last().map(|line| line.number);
        let mut read_anew = 0;
        for line in lines {
            if line.number == read_anew {
                continue;
            }
            let origin = Origin { input: self.input, line: line.number };
            let continues_a_piece = line.stream.is_some_and(|stream| self.pieces.has(stream));
            if continues_a_piece || matches!(line.says, Says::Open) {
                let at_end = block.unfinished && last == Some(line.number);
                read_anew = line.number;
                let bytes = block.bytes().get(line.start as usize..line.end as usize);
                let text = plain(bytes.unwrap_or_default());
                self.line(Place { origin, at_end, depth: 0 }, line::read(&text, self.clock));
            } else {
                self.settled(origin, &known, line);
            }
        }
        if block.too_long {
            let origin = Origin { input: self.input, line: block.first_line };
            let why =
                format!("longer than {} MiB; `jq -c '.[]'` makes lines of an array", LONGEST_LINE >> 20);
            self.summary.count_broken(BrokenKind::TooLong, origin, why);
        }
        block
    }

    /// Says that all lines which are there were taken. Whether more are wanted.
    pub(crate) fn pause(&mut self) -> ControlFlow<()> {
        self.sink.pause()
    }

    fn settled(&mut self, origin: Origin, known: &S::Known, line: SettledLine<S::Digest>) {
        if line.is_inner || !matches!(line.says, Says::Nothing(_)) {
            self.interrupt_document();
        }
        self.says(origin, known, line.says);
    }

    fn says(&mut self, origin: Origin, known: &S::Known, says: Says<S::Digest>) {
        match says {
            Says::Message(digest, kind) => {
                self.summary.records += 1;
                self.summary.count(kind);
                self.sink.message(known, digest, origin);
            }
            Says::Record(record, kind) => {
                self.summary.count(kind);
                self.record(origin, *record);
            }
            Says::Unjudged(unjudged, kind) => {
                self.summary.count(kind);
                self.unjudged(unjudged);
            }
            Says::Lost(number) => {
                self.summary.count(LineKind::LostEvents);
                self.lost(number);
            }
            Says::Nothing(kind) => self.summary.count(kind),
            Says::Broken(kind, why) => self.summary.count_broken(kind, origin, why),
            Says::Open => {}
        }
    }

    fn line(&mut self, place: Place, line: Line<'_>) {
        if !matches!(line, Line::Part(..) | Line::Nothing(_)) && place.depth == 0 {
            self.interrupt_document();
        }
        match line {
            Line::Opened(lines) => self.opened(place, &lines),
            Line::Piece(piece) => self.piece(place, &piece),
            Line::Dict(line) => {
                self.summary.count(LineKind::Dict);
                let told = self.dict.take(&line, self.clock);
                self.told(place.origin, told);
            }
            Line::Part(text, misread) => self.part(place, text, misread),
            line => {
                let mut shared = S::Shared::default();
                let says = Says::of::<S>(&mut shared, line);
                let known = self.sink.know(shared);
                self.says(place.origin, &known, says);
            }
        }
    }

    fn opened(&mut self, place: Place, lines: &[Cow<'_, str>]) {
        let Some(inner) = place.deeper() else {
            let why = "envelopes within envelopes within envelopes";
            return self.summary.count_broken(BrokenKind::Record, place.origin, why.into());
        };
        if lines.is_empty() {
            self.summary.count(LineKind::Noise);
        }
        for text in lines {
            self.line(inner, line::read(&without_colours(text), self.clock));
        }
    }

    /// Puts the pieces of a line together; an envelope that does not say
    /// whether the line ends is asked by reading it.
    fn piece(&mut self, place: Place, piece: &Piece<'_>) {
        let Some(inner) = place.deeper() else { return self.opened(place, &[]) };
        if piece.last == Some(true) && !self.pieces.has(piece.stream) {
            return self.opened(place, std::slice::from_ref(&piece.text));
        }
        let text = self.pieces.join(piece.stream, &piece.text);
        let plain = without_colours(&text);
        let line = line::read(&plain, self.clock);
        let cut_off = matches!(&line, Line::Part(_, misread) if misread.cut_off);
        if piece.last.unwrap_or(!cut_off) {
            return self.line(inner, line);
        }
        drop(line);
        if self.pieces.keep(piece.stream, plain.into_owned()) {
            self.summary.count(LineKind::Part);
        } else {
            let why = "pieces of a line without an end".to_owned();
            self.summary.count_broken(BrokenKind::TooLong, place.origin, why);
        }
    }

    fn part(&mut self, place: Place, text: &str, misread: Misread) {
        if place.depth > 0 {
            return self.broken_part(place, misread);
        }
        if self.document.as_ref().is_some_and(|document| !document.goes_on_with(text)) {
            self.break_document();
        }
        let mut document = match self.document.take() {
            Some(document) => document,
            None => match Document::begin(text, place.origin, misread) {
                Ok(document) => document,
                Err(misread) => return self.broken_part(place, misread),
            },
        };
        let began = Origin { line: document.origin.line, ..place.origin };
        let (objects, goes_on) = document.take(text);
        let lines = document.lines;
        if goes_on {
            self.document = Some(document);
        } else {
            self.summary.count_many(LineKind::Part, lines);
        }
        let inner = Place { origin: began, depth: 1, ..place };
        for object in objects {
            self.line(inner, line::read(&object, self.clock));
        }
    }

    fn broken_part(&mut self, place: Place, misread: Misread) {
        if place.at_end && misread.cut_off {
            self.summary.count(LineKind::Part);
            self.summary.unfinished += 1;
        } else {
            self.summary.count_broken(misread.kind, place.origin, misread.why);
        }
    }

    /// A record on a line of its own has come: a document within an object was none.
    fn interrupt_document(&mut self) {
        if self.document.as_ref().is_some_and(Document::is_within_object) {
            self.break_document();
        }
    }

    fn break_document(&mut self) {
        if let Some(document) = self.document.take() {
            self.summary.count_many(LineKind::Part, document.lines.saturating_sub(1));
            self.summary.count_broken(document.misread.kind, document.origin, document.misread.why);
        }
    }

    /// The input has ended after so many lines: what has begun stays half.
    pub(crate) fn end(mut self, lines: u64) {
        let told = self.dict.finish(self.clock);
        self.told(Origin { input: self.input, line: lines }, told);
        if let Some(document) = self.document.take() {
            self.summary.count_many(LineKind::Part, document.lines);
            self.summary.unfinished += 1;
        }
        self.summary.unfinished += self.pieces.clear();
    }

    fn told(&mut self, origin: Origin, told: Option<Told>) {
        match told {
            Some(Told::Record(record)) => self.record(origin, *record),
            Some(Told::Unjudged(unjudged)) => self.unjudged(unjudged),
            Some(Told::Lost(number)) => self.lost(number),
            Some(Told::Broken(why)) => self.summary.count_broken(BrokenKind::Text, origin, why),
            None => {}
        }
    }

    fn lost(&mut self, number: u64) {
        self.summary.lost_events = self.summary.lost_events.saturating_add(number);
    }

    fn unjudged(&mut self, unjudged: Unjudged) {
        *self.summary.unjudged.entry(unjudged).or_default() += 1;
    }

    fn record(&mut self, origin: Origin, record: Record) {
        self.summary.records += 1;
        self.sink.record(Record { origin, ..record });
    }
}
