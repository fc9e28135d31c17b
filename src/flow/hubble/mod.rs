//! Hubble's JSON (`flow-formats.md` 1): `hubble observe -o json`, the exporter's
//! files, and what `jq` and log shippers leave of them.
//!
//! A line is read in one pass into [`Fields`] that borrow from it. The two ends
//! stay raw text there: the tally recognises an end by its text and parses each
//! only once.

mod endpoint;
mod familiar;
mod fields;
mod judge;
mod layer4;
mod layer7;
mod reference;
mod scan;
mod value;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};

pub(crate) use self::endpoint::{number_of_end, read_end};
pub(crate) use self::fields::Fields;
pub(crate) use self::layer7::{Dns, Http, request};
pub(crate) use self::reference::Reference;
use self::scan::{Entries, NotJson, for_each};
pub(crate) use self::value::{Number, Text, Word};
use self::value::{number, timestamp, word};
use super::record::{Record, Refused};
use super::tally::{Example, Span};

/// A line: `GetFlowsResponse`, `ExportEvent`, or our own normalised row.
#[derive(Default)]
pub(crate) struct Message<'a> {
    pub(crate) flow: Option<Fields<'a>>,
    /// How many events it says were lost.
    pub(crate) lost_events: Option<u64>,
    /// It is about nodes, the agent or debugging.
    pub(crate) is_other: bool,
    time: Option<Word<'a>>,
    /// Only on normalised rows: how many packets the row stands for.
    pub(crate) count: Option<u64>,
    first_seen: Option<Word<'a>>,
    last_seen: Option<Word<'a>>,
    examples: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// Reads a line that is one object.
    ///
    /// # Errors
    ///
    /// What `serde_json` has to say of a text that is no JSON.
    pub(crate) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        Self::scan(text).map_err(|NotJson| match serde_json::from_str::<IgnoredAny>(text) {
            Err(error) => error,
            Ok(_) => serde_json::Error::custom("its flow is not an object"),
        })
    }

    fn scan(text: &'a str) -> Result<Self, NotJson> {
        let mut message = Self::default();
        let mut entries = Entries::of(text);
        while let Some(key) = entries.next_key()? {
            if key == "flow" && !entries.is_null() {
                message.flow = Some(entries.take_object(Fields::read_entries)?);
                continue;
            }
            let value = entries.take_value()?;
            if value == "null" {
                continue;
            }
            match key {
                "lost_events" | "lostEvents" => message.lost_events = Some(lost_events(value)),
                "node_status" | "nodeStatus" | "agent_event" | "agentEvent" | "debug_event"
                | "debugEvent" | "Event" => message.is_other = true,
                "time" => message.time = word(value),
                "count" => message.count = number(value),
                "first_seen" => message.first_seen = word(value),
                "last_seen" => message.last_seen = word(value),
                "examples" => message.examples = Some(value),
                _ => {}
            }
        }
        Ok(message)
    }

    /// The same with this flow in it: for flows that have no wrapper.
    pub(crate) fn with_flow(self, flow: Fields<'a>) -> Self {
        Self { flow: Some(flow), ..self }
    }

    /// First and last time of what the message tells.
    pub(crate) fn span(&self) -> Option<Span> {
        let time = || self.flow.as_ref().and_then(Fields::time).or_else(|| timestamp(self.time));
        let first = timestamp(self.first_seen).or_else(time)?;
        Some((first, timestamp(self.last_seen).unwrap_or(first)))
    }

    /// How many packets the message stands for; `None` for a row that only carries a DNS answer.
    pub(crate) fn weight(&self) -> Option<u64> {
        match self.count {
            Some(count) => Some(count).filter(|&count| count != 0),
            None => Some(self.flow.as_ref().map_or(1, |flow| flow.weight)),
        }
    }

    /// Where the flow of a normalised row was seen.
    pub(crate) fn examples(&self) -> Option<Vec<Example>> {
        #[derive(Deserialize)]
        struct RawExample {
            #[serde(default)]
            input: String,
            #[serde(default)]
            line: Number,
        }
        self.count?;
        let examples: Vec<RawExample> = serde_json::from_str(self.examples?).ok()?;
        let examples: Vec<Example> = examples
            .into_iter()
            .filter(|example| example.line.0 != 0)
            .map(|example| Example { input: example.input.into(), line: example.line.0 })
            .collect();
        (!examples.is_empty()).then_some(examples)
    }

    /// The record, if the message holds a flow.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the record says nothing of what policy did.
    pub(crate) fn record(&self) -> Option<Result<Record, Refused>> {
        let fields = self.flow.as_ref()?;
        let weight = self.weight()?;
        Some(fields.record().map(|record| Record {
            time: self.span().map(|(_, last)| last),
            weight,
            ..record
        }))
    }
}

fn lost_events(text: &str) -> u64 {
    let mut lost = 0;
    for_each(text, |key, value| {
        if matches!(key, "num_events_lost" | "numEventsLost") {
            lost = number(value).unwrap_or(1);
        }
    });
    lost
}
