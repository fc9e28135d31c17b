//! What of a Hubble message is counted, found out on any core before the
//! message's turn comes, so that counting itself is little work.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::ops::Range;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHasher};

use super::count::Seen;
use super::{Example, Span};
use crate::flow::hubble::{Fields, Message};
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
        let source = ends.place(fields.source_texts(), || fields.source_endpoint())?;
        let destination = ends.place(fields.destination_texts(), || fields.destination_endpoint())?;
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
    pub(super) ends: Vec<EndText>,
    by_hash: FxHashMap<u64, u32>,
}

/// One of them.
pub(super) struct EndText {
    pub(super) hash: u64,
    range: Range<usize>,
    pub(super) endpoint: Endpoint,
}

impl EndTexts {
    /// The place of the end that is written as these texts.
    fn place(
        &mut self,
        texts: [&str; 4],
        parse: impl FnOnce() -> Result<Endpoint, Refused>,
    ) -> Result<u32, Refused> {
        let start = self.text.len();
        for text in texts {
            self.text.push_str(text);
            self.text.push('\n');
        }
        let range = start..self.text.len();
        let mut hasher = FxHasher::default();
        hasher.write(self.get(&range).as_bytes());
        let hash = hasher.finish();
        let known = self.by_hash.get(&hash).copied();
        let is_known = |&place: &u32| self.text_of(place as usize) == self.get(&range);
        if let Some(place) = known.filter(is_known) {
            self.text.truncate(start);
            return Ok(place);
        }
        let place = self.ends.len() as u32;
        self.ends.push(EndText { hash, range, endpoint: parse()? });
        self.by_hash.insert(hash, place);
        Ok(place)
    }

    fn hash(&self, place: u32) -> u64 {
        self.ends.get(place as usize).map_or(0, |end| end.hash)
    }

    /// How an end is written.
    pub(super) fn text_of(&self, place: usize) -> &str {
        self.ends.get(place).map_or("", |end| self.get(&end.range))
    }

    fn get(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}
