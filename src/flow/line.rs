//! One line of a log, recognised for what it is (`flow-formats.md` 0). Lines are
//! decided singly, never by their file: a capture is often a mixture.

use std::borrow::Cow;

use serde_json::error::Category;

use super::envelope::{self, Opened, Piece};
use super::hubble::{Fields, Message};
use super::logfmt::{self, Logfmt};
use super::record::{Record, Unjudged};
use super::summary::{BrokenKind, LineKind};
use super::text::table::{self, DictLine};
use super::text::{Clock, Told, compact, event, monitor};

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
    /// An envelope, and the lines that were in it.
    Opened(Vec<Cow<'a, str>>),
    /// An envelope with what may be a part of a line.
    Piece(Piece<'a>),
    /// A line of a dictionary that is a record together with its neighbours.
    Dict(DictLine<'a>),
    /// Nothing that stands alone: perhaps a part of what its neighbours hold.
    Part(&'a str, Misread),
}

/// Why a line alone is no record; the truth if its neighbours do not explain it.
#[derive(Debug)]
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

/// Reads one line, without its line end and colours.
pub(crate) fn read(raw: &str, clock: Clock) -> Line<'_> {
    let line = raw.trim_matches(['\u{feff}', '\0', '\r', ' ', '\t']);
    match line.as_bytes().first() {
        None | Some(b'#') => Line::Nothing(LineKind::Noise),
        Some(b'{') => json(line),
        Some(b'"' | b'}' | b']') => Line::Part(line, Misread::new(BrokenKind::Unknown, "a fragment of JSON")),
        Some(b'[') => match envelope::open_array(line) {
            Some(items) => Line::Opened(items),
            None => bracketed(line, clock),
        },
        Some(_) => text(line, clock),
    }
}

/// `[` begins an array that goes on, `[pod/name/container]` before a line, or an IPv6 address.
fn bracketed(line: &str, clock: Clock) -> Line<'_> {
    if let Some((_, rest)) = line.strip_prefix("[pod/").and_then(|line| line.split_once("] ")) {
        return read(rest, clock);
    }
    match text(line, clock) {
        Line::Part(line, _) if line == "[" || line.starts_with("[{") => {
            let why = "an array that does not end".to_owned();
            Line::Part(line, Misread { kind: BrokenKind::Json, why, cut_off: true })
        }
        line => line,
    }
}

fn json(line: &str) -> Line<'_> {
    let text = line.strip_suffix(',').unwrap_or(line);
    let message = match Message::read(text) {
        Ok(message) => Box::new(message),
        Err(error) => return Line::Part(line, misread(&error)),
    };
    if message.flow.is_some() {
        let kind = if message.count.is_some() { LineKind::Normalised } else { LineKind::Hubble };
        return Line::Hubble(message, kind);
    }
    if let Some(lost) = message.lost_events {
        return Line::Lost(lost);
    }
    if message.is_other {
        return Line::Nothing(LineKind::HubbleOther);
    }
    if let Some(fields) = Fields::read(text).ok().filter(Fields::looks_like_a_flow) {
        return Line::Hubble(Box::new(message.with_flow(fields)), LineKind::Hubble);
    }
    let misread = Misread::new(BrokenKind::Record, "JSON without a flow in it");
    other_json(text).unwrap_or(Line::Part(line, misread))
}

/// JSON that is not Hubble's.
fn other_json(text: &str) -> Option<Line<'_>> {
    if let Some((told, kind)) = monitor::read_json(text) {
        return Some(told.map_or(Line::Nothing(kind), |told| line_of(told, kind, text)));
    }
    Some(match envelope::open(text)? {
        Opened::Lines(lines) => Line::Opened(lines),
        Opened::Piece(piece) => Line::Piece(piece),
        Opened::Event(record) => Line::Record(record, LineKind::KubernetesEvent),
        Opened::OtherEvent => Line::Nothing(LineKind::Noise),
        Opened::Agent => Line::Nothing(LineKind::AgentLog),
        Opened::Flattened => {
            let why = "flattened by `| json`, which loses the labels; export the lines themselves";
            Line::Part(text, Misread::new(BrokenKind::Record, why))
        }
    })
}

fn text(line: &str, clock: Clock) -> Line<'_> {
    if let Some(piece) = envelope::open_cri(line) {
        return cri(piece, clock);
    }
    let wrapped = [r#"{"flow":"#, r#"{"lost_events":"#].iter().find_map(|start| line.find(start));
    if let Some(at) = wrapped.filter(|_| !line.contains("msg=")) {
        // What stands before is from grep, kubectl, stern or journald.
        return json(line.get(at..).unwrap_or_default());
    }
    if let Some((told, kind)) = monitor::read(line) {
        return line_of(told, kind, line);
    }
    if let Some(told) = compact::read(line, clock) {
        return line_of(told, LineKind::Compact, line);
    }
    if let Some(logfmt) = logfmt::read(line) {
        return match logfmt {
            Logfmt::Verdict(record) => Line::Record(record, LineKind::PolicyVerdictLog),
            Logfmt::Broken(why) => Line::Part(line, Misread::new(BrokenKind::Text, why)),
            Logfmt::Wrapped(json) => Line::Opened(vec![json]),
            Logfmt::Agent => Line::Nothing(LineKind::AgentLog),
        };
    }
    if let Some(record) = event::read(line) {
        return Line::Record(Box::new(record), LineKind::KubernetesEvent);
    }
    if let Some(line) = table::dict_line(line) {
        return Line::Dict(line);
    }
    if let Some(lost) = lost_events(line) {
        return Line::Lost(lost);
    }
    if table::is_header(line) {
        return Line::Nothing(LineKind::Tab);
    }
    if let Some(told) = table::read_row(line, clock) {
        return line_of(told, LineKind::Tab, line);
    }
    other_text(line)
}

/// A whole line is read at once; what only its other pieces explain waits for them.
fn cri<'a>(piece: Piece<'a>, clock: Clock) -> Line<'a> {
    if let (Cow::Borrowed(text), Some(true)) = (&piece.text, piece.last) {
        match read(text, clock) {
            Line::Part(..) | Line::Nothing(LineKind::Noise) => {}
            line => return line,
        }
    }
    Line::Piece(piece)
}

fn line_of(told: Told, kind: LineKind, line: &str) -> Line<'_> {
    match told {
        Told::Record(record) => Line::Record(record, kind),
        Told::Unjudged(unjudged) => Line::Unjudged(unjudged, kind),
        Told::Lost(number) => Line::Lost(number),
        Told::Broken(why) => Line::Part(line, Misread::new(BrokenKind::Text, why)),
    }
}

/// `EVENTS LOST: HUBBLE_RING_BUFFER CPU(5) 1`, its forms in tables, and the monitor's `CPU 01: Lost 5 events`.
fn lost_events(line: &str) -> Option<u64> {
    if let Some((_, rest)) = line.strip_prefix("CPU ").and_then(|line| line.split_once(": Lost ")) {
        return rest.split(' ').next()?.parse().ok();
    }
    let (_, rest) = line.split_once("EVENTS LOST")?;
    let rest = rest.split("(first").next().unwrap_or(rest);
    Some(rest.split_ascii_whitespace().next_back().and_then(|word| word.parse().ok()).unwrap_or(1))
}

/// What programs say around flows (`flow-formats.md` 2.4, 3.6).
fn other_text(line: &str) -> Line<'_> {
    const NOISE: [&str; 10] = [
        "Listening for events on",
        "Press Ctrl-C",
        "Handling connection for",
        "Defaulted container",
        "Forwarding from",
        "Received an interrupt",
        "LAST SEEN",
        "NAMESPACE ",
        "No resources found",
        "--",
    ];
    const NOISE_WITHIN: [&str; 6] = [
        ": Receiving flows from ",
        " nodes are unavailable",
        " nodes removed from cluster",
        ": Error \"",
        " DROP_REASON_UNKNOWN ",
        "Receiving flows from ",
    ];
    const MONITOR: [&str; 5] = ["-> ", "<- ", ">> ", "?? ", "CPU "];
    if line.starts_with("CPU ") && line.contains(" DROP: ") {
        let why = "`monitor -vv` is not read; leave -vv out, or take `hubble observe -o jsonpb`";
        return Line::Part(line, Misread::new(BrokenKind::Text, why));
    }
    let is_event =
        line.split_ascii_whitespace().skip(1).take(2).any(|word| word == "Normal" || word == "Warning");
    if NOISE.iter().any(|start| line.starts_with(start))
        || NOISE_WITHIN.iter().any(|part| line.contains(part))
        || is_event
    {
        return Line::Nothing(LineKind::Noise);
    }
    if MONITOR.iter().any(|start| line.starts_with(start)) || line.contains("{Contents=[") {
        return Line::Nothing(LineKind::MonitorOther);
    }
    Line::Part(line, Misread::new(BrokenKind::Unknown, "not a form of flow log that is known"))
}

/// The text without the sequences that colour it.
pub(crate) fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains("\x1b[") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |end| end + 1);
        rest = after.get(end..).unwrap_or_default();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn misread(error: &serde_json::Error) -> Misread {
    let kind = if error.is_data() { BrokenKind::Record } else { BrokenKind::Json };
    let why = error.to_string();
    let why = why
        .split_once(" at line 1 column ")
        .map_or(why.clone(), |(what, column)| format!("{what} (column {column})"));
    Misread { kind, why, cut_off: error.classify() == Category::Eof }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<LineKind> {
        let plain = without_colours(text);
        match read(&plain, Clock("2026-06-01T00:00:00Z".parse().unwrap())) {
            Line::Hubble(_, kind) | Line::Record(_, kind) | Line::Unjudged(_, kind) | Line::Nothing(kind) => {
                Some(kind)
            }
            Line::Lost(_) => Some(LineKind::LostEvents),
            Line::Dict(_) => Some(LineKind::Dict),
            Line::Opened(_) | Line::Piece(_) | Line::Part(..) => None,
        }
    }

    #[test]
    fn noise_is_known_as_such() {
        for line in [
            "",
            "# a comment",
            "Listening for events on 2 CPUs with 64x4096 of shared memory",
            "Press Ctrl-C to quit",
            "Handling connection for 4245",
            "May  1 10:00:00.000 [n1]: Receiving flows from 2 nodes: a, b",
            "5m   Normal   Pulled   pod/x   Container image is there",
        ] {
            assert_eq!(kind(line), Some(LineKind::Noise), "{line}");
        }
        assert_eq!(
            kind("-> endpoint 25 flow 0x1 , identity 300->400 state new ifindex 0: a"),
            Some(LineKind::MonitorOther)
        );
        assert_eq!(kind(">> Policy updated: {}"), Some(LineKind::MonitorOther));
        assert_eq!(kind("EVENTS LOST: HUBBLE_RING_BUFFER CPU(5) 12"), Some(LineKind::LostEvents));
        assert_eq!(lost_events("CPU 01: Lost 5 events"), Some(5));
        assert_eq!(lost_events("May  1 10:00:00.000 EVENTS LOST: X CPU(5) 12 (first: a, last: b)"), Some(12));
    }

    #[test]
    fn colours_and_prefixes_are_taken_off() {
        let coloured = "May  3 10:11:12.131: \x1b[36ma/b:\x1b[33m1\x1b[0m\x1b[0m (ID:300) <> c/d:2 (ID:301) Policy denied \x1b[31mDROPPED\x1b[0m (UDP)";
        assert_eq!(kind(coloured), Some(LineKind::Compact));
        assert_eq!(kind("hubble-flows-x-2026.json:{\"flow\":{}}"), Some(LineKind::Hubble));
        assert_eq!(kind("[pod/cilium-x/cilium-agent] {\"flow\":{}}"), Some(LineKind::Hubble));
        assert_eq!(kind("2026-02-03T04:05:06.7Z stdout F {\"flow\":{}}"), Some(LineKind::Hubble));
    }

    #[test]
    fn json_of_others_is_told_from_flows() {
        assert_eq!(kind(r#"{"level":"info","msg":"Start","subsys":"daemon"}"#), Some(LineKind::AgentLog));
        assert_eq!(kind(r#"{"type":"agent","subtype":"x","message":"y"}"#), Some(LineKind::MonitorOther));
        assert_eq!(kind(r#"{"Timestamp":{"seconds":3},"Event":{}}"#), Some(LineKind::HubbleOther));
        assert_eq!(kind(r#"{"flow_verdict":"DROPPED"}"#), None);
    }
}
