//! What a Hubble record says of policy: `flow-formats.md` 7, "is it a denial?".

use super::layer7::Layer7;
use super::value::{Word, unescaped};
use super::{Fields, endpoint};
use crate::flow::record::{Event, Unjudged};
use crate::flow::{Denial, Outcome, reason};
use crate::traffic::Side;

const VERDICTS: [&str; 8] =
    ["", "FORWARDED", "DROPPED", "ERROR", "AUDIT", "REDIRECTED", "TRACED", "TRANSLATED"];

/// `trace_observation_point` by number.
const TRACE_POINTS: [&str; 13] = [
    "",
    "TO_PROXY",
    "TO_HOST",
    "TO_STACK",
    "TO_OVERLAY",
    "FROM_ENDPOINT",
    "FROM_PROXY",
    "FROM_HOST",
    "FROM_STACK",
    "FROM_OVERLAY",
    "FROM_NETWORK",
    "TO_NETWORK",
    "FROM_CRYPTO",
];

/// The number of `TO_ENDPOINT`, which stands apart from the others.
const TO_ENDPOINT: u64 = 101;

/// What made the record: `event_type`, or where a field mask took it away,
/// a field that only one kind of record has.
pub(super) fn event(fields: &Fields<'_>) -> Event {
    let kind = fields.event_type.map_or(0, |event| event.kind);
    let record_type = fields.kind.map_or("", |k| k.name(&["", "L3_L4", "L7", "SOCK"]));
    match kind {
        4 => trace(fields),
        3 | 7 | 130 => Event::Other,
        129 => Event::Proxy,
        // Whatever its number, a record with a request in it is a proxy's.
        _ if record_type == "L7" || fields.l7.is_some() => Event::Proxy,
        1 => Event::Drop,
        5 => Event::Verdict,
        _ if record_type == "SOCK" => Event::Other,
        _ if fields.trace_observation_point.is_some() => trace(fields),
        _ if fields.has_file => Event::Drop,
        _ if fields.has_match_type => Event::Verdict,
        _ => Event::Unstated,
    }
}

/// A trace proves that policy let the packet pass only where policy has been asked before.
fn trace(fields: &Fields<'_>) -> Event {
    let before = match fields.trace_observation_point {
        Some(Word::Number(TO_ENDPOINT)) => false,
        Some(point) => point.name(&TRACE_POINTS).starts_with("FROM_"),
        None => fields.event_type.is_some_and(|event| (5..=10).contains(&event.sub_type)),
    };
    if before { Event::TraceBeforePolicy } else { Event::Trace }
}

impl Fields<'_> {
    /// What became of the packet.
    ///
    /// # Errors
    ///
    /// [`Unjudged`] where the record is no evidence either way.
    pub(crate) fn outcome(&self, event: Event) -> Result<Outcome, Unjudged> {
        let verdict = self.verdict.map_or("", |verdict| verdict.name(&VERDICTS));
        match (verdict, event) {
            (_, Event::Other) | ("TRACED" | "TRANSLATED", _) => Err(Unjudged::NotPackets),
            ("FORWARDED" | "REDIRECTED", _) => Ok(Outcome::Forwarded),
            ("AUDIT", _) => Ok(Outcome::Audited),
            ("DROPPED", Event::Trace | Event::TraceBeforePolicy) => Err(Unjudged::NotPackets),
            ("DROPPED", Event::Proxy) => self.dropped_request(),
            ("DROPPED", _) => Ok(self.dropped()),
            ("ERROR", _) => Ok(Outcome::NotPolicy(reason::PROXY_ERROR.into())),
            _ => Err(Unjudged::NoVerdict),
        }
    }

    fn dropped_request(&self) -> Result<Outcome, Unjudged> {
        let is_response = self.l7.is_some_and(|raw| Layer7::read(raw).is_response());
        if is_response { Err(Unjudged::Response) } else { Ok(Outcome::Denied(Denial::Request)) }
    }

    fn dropped(&self) -> Outcome {
        let code = match self.drop_reason_desc {
            Some(Word::Name(name)) if !name.is_empty() && name != reason::UNKNOWN => {
                return reason::outcome(&unescaped(name));
            }
            Some(Word::Number(code)) if code != 0 => Some(code),
            _ => None,
        };
        let sub_type = || self.event_type.filter(|event| event.kind == 1).map(|event| event.sub_type);
        let code = code.or(self.drop_reason).or_else(sub_type).filter(|&code| code != 0);
        code.map_or(Outcome::Denied(Denial::Unstated), reason::outcome_of_code)
    }

    /// Whose policy decided, for records that can be trusted on it: verdicts,
    /// drops and requests (`flow-formats.md` 6.3).
    pub(crate) fn side(&self, event: Event, outcome: &Outcome) -> Option<Side> {
        let stopped = !matches!(outcome, Outcome::Forwarded);
        let trusted = match event {
            Event::Verdict | Event::Drop | Event::Proxy => true,
            Event::Unstated => stopped,
            Event::Trace | Event::TraceBeforePolicy | Event::Other => false,
        };
        if !trusted {
            return None;
        }
        self.direction().or_else(|| if stopped { self.only_local_side() } else { None })
    }

    fn only_local_side(&self) -> Option<Side> {
        match (endpoint::is_local(self.source), endpoint::is_local(self.destination)) {
            (true, false) => Some(Side::Egress),
            (false, true) => Some(Side::Ingress),
            _ => None,
        }
    }
}
