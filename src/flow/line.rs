//! One line of a log, recognised for what it is (`flow-formats.md` 0). Lines are
//! decided singly, never by their file: a capture is often a mixture.

use serde_json::error::Category;

use super::hubble::{Fields, LostEvents, Message};
use super::logfmt::{self, Logfmt};
use super::record::{Record, Unjudged};
use super::summary::{BrokenKind, LineKind};

/// What a line holds.
pub(crate) enum Line<'a> {
    /// A Hubble record, still borrowing from the line.
    Hubble(Box<Message<'a>>, LineKind),
    /// A record of another format.
    Record(Box<Record>, LineKind),
    /// A record that says nothing of policy.
    Unjudged(Unjudged, LineKind),
    /// Events that were lost, by their number.
    Lost(u64),
    /// Nothing to keep.
    Nothing(LineKind),
    /// Nothing that stands alone: perhaps a part of what its neighbours hold.
    Part(&'a str, Misread),
}

/// Why a line alone is no record; the truth if its neighbours do not explain it.
pub(crate) struct Misread {
    pub(crate) kind: BrokenKind,
    pub(crate) why: String,
    /// It reads well up to its end, as if cut off.
    pub(crate) cut_off: bool,
}

impl Misread {
    fn new(kind: BrokenKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), cut_off: false }
    }
}

/// Reads one line, without its line end.
pub(crate) fn read(raw: &str) -> Line<'_> {
    let line = raw.trim_matches(['\u{feff}', '\0', '\r', ' ', '\t']);
    if line.is_empty() || line.starts_with('#') {
        return Line::Nothing(LineKind::Noise);
    }
    if line.starts_with('{') {
        return json(line);
    }
    if let Some(logfmt) = logfmt::read(line) {
        return match logfmt {
            Logfmt::Verdict(record) => Line::Record(record, LineKind::PolicyVerdictLog),
            Logfmt::Broken(why) => Line::Part(line, Misread::new(BrokenKind::Text, why)),
            Logfmt::Wrapped(_) | Logfmt::Agent => Line::Nothing(LineKind::AgentLog),
        };
    }
    Line::Part(line, Misread::new(BrokenKind::Unknown, "not a form of flow log that is known"))
}

fn json(line: &str) -> Line<'_> {
    let text = line.strip_suffix(',').unwrap_or(line);
    let message: Message<'_> = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return Line::Part(line, misread(&error)),
    };
    if message.flow.is_some() {
        let kind = if message.count.is_some() { LineKind::Normalised } else { LineKind::Hubble };
        return Line::Hubble(Box::new(message), kind);
    }
    if let Some(lost) = message.lost_events {
        let lost = serde_json::from_str::<LostEvents>(lost.get());
        return Line::Lost(lost.map_or(1, |lost| lost.num_events_lost.0));
    }
    let other = [message.node_status, message.agent_event, message.debug_event, message.hook_event];
    if other.iter().any(Option::is_some) {
        return Line::Nothing(LineKind::HubbleOther);
    }
    match serde_json::from_str::<Fields<'_>>(text) {
        Ok(fields) if fields.looks_like_a_flow() => {
            Line::Hubble(Box::new(message.with_flow(fields)), LineKind::Hubble)
        }
        Ok(_) => Line::Part(line, Misread::new(BrokenKind::Record, "JSON without a flow in it")),
        Err(error) => Line::Part(line, misread(&error)),
    }
}

fn misread(error: &serde_json::Error) -> Misread {
    let kind = if error.is_data() { BrokenKind::Record } else { BrokenKind::Json };
    let why = error.to_string();
    let why = why
        .split_once(" at line 1 column ")
        .map_or(why.clone(), |(what, column)| format!("{what} (column {column})"));
    Misread { kind, why, cut_off: error.classify() == Category::Eof }
}
