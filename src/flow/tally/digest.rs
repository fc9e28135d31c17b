//! What of a Hubble message is counted, found out on any core before the
//! message's turn comes, so that counting itself is little work.

use std::hash::BuildHasher;
use std::net::IpAddr;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::count::Seen;
use super::ends::TextKey;
use super::{Example, Span};
use crate::flow::hubble::{Fields, Message, number_of_end, read_end};
use crate::flow::record::Refused;
use crate::flow::{Endpoint, ObjectName};

/// A message as it is counted.
pub(crate) struct Digest {
    pub(super) uuid: Option<u128>,
    /// Source and destination, by their places in [`EndTexts`].
    pub(super) ends: [u32; 2],
    /// `None` for a row that only carries a DNS answer.
    pub(super) seen: Option<Seen>,
    pub(super) more: Option<Box<More>>,
}

/// What few messages tell.
#[derive(Default)]
pub(super) struct More {
    pub(super) span: Option<Span>,
    pub(super) answers: Vec<(IpAddr, Box<str>)>,
    pub(super) denied_by: Vec<ObjectName>,
    /// Where the flow of a normalised row was seen.
    pub(super) examples: Option<Vec<Example>>,
}

impl Digest {
    /// # Errors
    ///
    /// [`Refused`] when the message says nothing of what policy did, or makes no sense.
    pub(super) fn of(ends: &mut EndTexts, message: &Message<'_>) -> Result<Self, Refused> {
        let Some(fields) = &message.flow else {
            return Ok(Self { uuid: None, ends: [0; 2], seen: None, more: None });
        };
        let event = fields.event();
        let outcome = fields.outcome(event)?;
        let span = message.span();
        let more = More::of(message, fields, span);
        let (uuid, weight) = (fields.uuid(), message.weight());
        let Some(weight) = weight else {
            return Ok(Self { uuid, ends: [0; 2], seen: None, more });
        };
        let (packet, source_port) = fields.packet();
        let [source, destination] = fields.end_numbers();
        let source = ends.place(fields.source_texts(), source)?;
        let destination = ends.place(fields.destination_texts(), destination)?;
        let between = match fields.ips() {
            Some(addresses) => FxBuildHasher.hash_one(addresses),
            None => FxBuildHasher.hash_one((ends.hash(source), ends.hash(destination))),
        };
        let packet_number = FxBuildHasher.hash_one((between, packet, source_port));
        let seen = Seen {
            packet,
            source_port,
            side: fields.side(event, &outcome),
            outcome,
            request: fields.request().map(Box::new),
            reply: fields.is_reply(),
            event,
            weight,
            span,
            packet_number: message.count.is_none().then_some(packet_number),
        };
        Ok(Self { uuid, ends: [source, destination], seen: Some(seen), more })
    }
}

impl More {
    fn of(message: &Message<'_>, fields: &Fields<'_>, span: Option<Span>) -> Option<Box<Self>> {
        let more = Self {
            span,
            answers: fields.answers(),
            denied_by: fields.denied_by(),
            examples: message.examples(),
        };
        let is_empty = more.answers.is_empty() && more.denied_by.is_empty() && more.examples.is_none();
        (!is_empty).then(|| Box::new(more))
    }
}

/// The ends of a block's messages, each once, as they are written.
#[derive(Default)]
pub(crate) struct EndTexts {
    text: String,
    ends: Vec<EndText>,
    by_hash: FxHashMap<u64, u32>,
}

/// One of them: endpoint, address, names and Service, one text after the other.
struct EndText {
    hash: u64,
    start: usize,
    lengths: [usize; 4],
    /// As it was read, unless such an end was read a short while ago.
    endpoint: Option<Endpoint>,
}

impl EndTexts {
    /// The place of the end that is written as these texts; `number` stands for
    /// the first of them if that is known to be readable.
    fn place(&mut self, texts: [&str; 4], number: Option<u64>) -> Result<u32, Refused> {
        let lengths = texts.map(str::len);
        let endpoint = match number {
            Some(_) => None,
            None => Some(read_end(texts)?),
        };
        let number = number.unwrap_or_else(|| number_of_end(texts[0]));
        let hash = FxBuildHasher.hash_one((number, texts[1], texts[2], texts[3]));
        if let Some(&place) = self.by_hash.get(&hash)
            && self.texts_of(place as usize) == Some(texts)
        {
            return Ok(place);
        }
        let place = self.ends.len() as u32;
        let start = self.text.len();
        texts.iter().for_each(|text| self.text.push_str(text));
        self.ends.push(EndText { hash, start, lengths, endpoint });
        self.by_hash.insert(hash, place);
        Ok(place)
    }

    fn hash(&self, place: u32) -> u64 {
        self.ends.get(place as usize).map_or(0, |end| end.hash)
    }

    /// The texts of an end.
    pub(super) fn texts_of(&self, place: usize) -> Option<[&str; 4]> {
        let end = self.ends.get(place)?;
        let mut at = end.start;
        let mut texts = [""; 4];
        for (text, length) in texts.iter_mut().zip(end.lengths) {
            *text = self.text.get(at..at + length)?;
            at += length;
        }
        Some(texts)
    }

    /// What finds an end among others, and its texts as one.
    pub(super) fn whole(&self, place: usize) -> (TextKey, &str) {
        let Some(end) = self.ends.get(place) else { return ((0, [0; 4]), "") };
        let length: usize = end.lengths.iter().sum();
        let text = self.text.get(end.start..end.start + length).unwrap_or_default();
        ((end.hash, end.lengths), text)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The end as it was read, if it was.
    pub(super) fn take_endpoint(&mut self, place: usize) -> Option<Endpoint> {
        self.ends.get_mut(place)?.endpoint.take()
    }
}
