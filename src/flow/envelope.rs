//! What log shippers and APIs put around a line (`flow-formats.md` 1.7): CRI,
//! docker, fluent-bit, Elasticsearch, Loki, lists and arrays. An envelope is
//! opened to the lines in it, and each of them is recognised anew.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::hubble::{Reference, Text};
use super::record::Record;
use super::text::event;

/// What was in an envelope.
pub(crate) enum Opened<'a> {
    /// Whole lines.
    Lines(Vec<Cow<'a, str>>),
    /// A line that may be cut into pieces.
    Piece(Piece<'a>),
    /// A Kubernetes event about a dropped packet.
    Event(Box<Record>),
    /// A Kubernetes event about something else.
    OtherEvent,
    /// A line of an agent's log.
    Agent,
    /// A record whose fields were flattened, and its lists lost, by `| json` in Loki.
    Flattened,
}

/// A part of a line, as container runtimes cut long lines.
pub(crate) struct Piece<'a> {
    /// The stream that it belongs to: pieces of one stream follow each other.
    pub(crate) stream: &'static str,
    /// The text.
    pub(crate) text: Cow<'a, str>,
    /// Whether the line ends here, where the envelope says so.
    pub(crate) last: Option<bool>,
}

/// Opens a line of a container's log as the kubelet writes it:
/// `<time> stdout F <text>`; `None` if it is none.
pub(crate) fn open_cri(line: &str) -> Option<Piece<'_>> {
    let (time, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let stream = match stream {
        "stdout" => "stdout",
        "stderr" => "stderr",
        _ => return None,
    };
    let (tag, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let last = match tag.split(':').next() {
        Some("F") => true,
        Some("P") => false,
        _ => return None,
    };
    let is_time = time.len() >= 20 && time.as_bytes().get(10) == Some(&b'T');
    is_time.then_some(Piece { stream, text: Cow::Borrowed(text), last: Some(last) })
}

/// Opens an array on one line; `None` if it is none.
pub(crate) fn open_array(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let items: Vec<&RawValue> = serde_json::from_str(line).ok()?;
    Some(items.into_iter().map(|item| Cow::Borrowed(item.get())).collect())
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    log: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    #[serde(borrow, rename = "_raw")]
    raw: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    line: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "_source")]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    hits: Option<&'a RawValue>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    logtag: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    level: Option<&'a RawValue>,
    #[serde(borrow)]
    flow_verdict: Option<&'a RawValue>,
}

/// `event.original`, where Elastic's agents put the line.
#[derive(Deserialize)]
struct Original<'a> {
    #[serde(borrow)]
    original: &'a RawValue,
}

/// The answer of Elasticsearch.
#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<&'a RawValue>,
}

/// The answer of Loki.
#[derive(Deserialize)]
struct Streams<'a> {
    #[serde(borrow)]
    result: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow)]
    values: Vec<Vec<&'a RawValue>>,
}

/// A Kubernetes event.
#[derive(Deserialize)]
struct KubernetesEvent<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow, alias = "note")]
    message: Option<Text<'a>>,
    #[serde(borrow, alias = "involvedObject", alias = "regarding")]
    object: Option<Reference<'a>>,
    #[serde(borrow, rename = "lastTimestamp")]
    last: Option<Text<'a>>,
    #[serde(borrow, rename = "eventTime")]
    time: Option<Text<'a>>,
}

/// Opens an object that is no flow itself; `None` if nothing is known to be in it.
pub(crate) fn open(text: &str) -> Option<Opened<'_>> {
    let object: Object<'_> = serde_json::from_str(text).ok()?;
    if object.kind.is_some_and(|kind| kind.get() == "\"Event\"") {
        return kubernetes_event(text);
    }
    if object.flow_verdict.is_some() {
        return Some(Opened::Flattened);
    }
    let lists = [object.items.and_then(array), object.hits.and_then(hits), object.data.and_then(streams)];
    if let Some(lines) = lists.into_iter().flatten().next() {
        return Some(Opened::Lines(lines));
    }
    if let Some(source) = object.source {
        return Some(Opened::Lines(vec![content(source)?]));
    }
    if let Some(log) = object.log {
        return object.piece(content(log)?);
    }
    let original = object.event.and_then(|event| serde_json::from_str::<Original<'_>>(event.get()).ok());
    let candidates = [
        object.message,
        object.raw,
        original.map(|event| event.original),
        object.body,
        object.line,
        object.msg,
    ];
    let inner = candidates.into_iter().flatten().next().and_then(content)?;
    if object.level.is_some() && !inner.trim_start().starts_with('{') {
        return Some(Opened::Agent);
    }
    Some(Opened::Lines(vec![inner]))
}

impl<'a> Object<'a> {
    /// docker writes the line's end into `log`; fluent-bit takes it off and may add `logtag`.
    fn piece(&self, text: Cow<'a, str>) -> Option<Opened<'a>> {
        let stream = match self.stream.and_then(content).as_deref() {
            Some("stderr") => "stderr",
            _ => "stdout",
        };
        let last = match self.logtag {
            Some(tag) => Some(tag.get() != "\"P\""),
            _ if text.ends_with('\n') => Some(true),
            _ => None,
        };
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches('\n')),
            Cow::Owned(text) => Cow::Owned(text.trim_end_matches('\n').to_owned()),
        };
        Some(Opened::Piece(Piece { stream, text, last }))
    }
}

/// The text of a value that is a string or an object.
fn content(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0),
        Some(b'{') => Some(Cow::Borrowed(raw.get())),
        _ => None,
    }
}

fn array(raw: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    open_array(raw.get())
}

fn hits(raw: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    let hits: Hits<'_> = serde_json::from_str(raw.get()).ok()?;
    Some(hits.hits.into_iter().map(|hit| Cow::Borrowed(hit.get())).collect())
}

fn streams(raw: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    let streams: Streams<'_> = serde_json::from_str(raw.get()).ok()?;
    let values = streams.result.into_iter().flat_map(|stream| stream.values);
    Some(values.filter_map(|value| content(value.get(1)?)).collect())
}

fn kubernetes_event(text: &str) -> Option<Opened<'_>> {
    let event: KubernetesEvent<'_> = serde_json::from_str(text).ok()?;
    if event.reason.as_deref() != Some("PacketDrop") {
        return Some(Opened::OtherEvent);
    }
    let object = event.object.as_ref();
    let object = event::Object {
        namespace: object.and_then(|object| object.namespace.as_deref()),
        name: object.and_then(|object| object.name.as_deref()),
    };
    let time = event.last.as_deref().or(event.time.as_deref()).and_then(|time| time.parse().ok());
    let record = event::read_message(event.message.as_deref().unwrap_or_default(), &object, time)?;
    Some(Opened::Event(Box::new(record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        match open(text) {
            Some(Opened::Lines(lines)) => lines.into_iter().map(Cow::into_owned).collect(),
            _ => panic!("no lines: {text}"),
        }
    }

    #[test]
    fn each_envelope_gives_its_lines() {
        assert_eq!(lines(r#"{"_index":"x","_source":{"flow":{}}}"#), [r#"{"flow":{}}"#]);
        assert_eq!(lines(r#"{"hits":{"total":1,"hits":[{"_source":{"a":1}}]}}"#), [r#"{"_source":{"a":1}}"#]);
        assert_eq!(
            lines(r#"{"labels":{"a":"b"},"line":"{\"flow\":{}}","timestamp":"t"}"#),
            [r#"{"flow":{}}"#]
        );
        assert_eq!(lines(r#"{"message":"xx drop"}"#), ["xx drop"]);
        assert_eq!(lines(r#"{"event":{"original":"{\"flow\":{}}"},"host":1}"#), [r#"{"flow":{}}"#]);
        let loki = r#"{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[["1","one"],["2","two"]]},{"stream":{},"values":[["3","three"]]}]}}"#;
        assert_eq!(lines(loki), ["one", "two", "three"]);
        assert_eq!(lines(r#"{"kind":"List","items":[{"kind":"Event"},{"kind":"Event"}]}"#).len(), 2);
        assert!(open(r#"{"some":"thing"}"#).is_none());
    }

    #[test]
    fn a_cut_line_is_told_from_a_whole_one() {
        let piece = |text| match open(text) {
            Some(Opened::Piece(piece)) => (piece.stream, piece.text.into_owned(), piece.last),
            _ => panic!("no piece: {text}"),
        };
        assert_eq!(
            piece(r#"{"log":"a\n","stream":"stderr","time":"t"}"#),
            ("stderr", "a".into(), Some(true))
        );
        assert_eq!(piece(r#"{"log":"a","stream":"stdout","time":"t"}"#).2, None);
        assert_eq!(piece(r#"{"log":"a","logtag":"P"}"#).2, Some(false));
        let cri = open_cri("2026-02-03T04:05:06.7Z stdout P part of it").unwrap();
        assert_eq!((cri.text.as_ref(), cri.last), ("part of it", Some(false)));
        assert!(open_cri("2026-02-03T04:05:06.7Z something else here").is_none());
    }

    #[test]
    fn only_events_about_dropped_packets_are_records() {
        let event = r#"{"kind":"Event","reason":"PacketDrop","message":"Incoming packet dropped (policy_denied) from a/b (10.0.0.1) TCP/80","involvedObject":{"kind":"Pod","namespace":"shop","name":"cart-0"},"lastTimestamp":"2026-02-03T04:05:06Z","count":3}"#;
        match open(event) {
            Some(Opened::Event(record)) => {
                assert_eq!(record.flow.destination.namespace.as_deref(), Some("shop"));
                assert!(record.time.is_some());
            }
            _ => panic!("no event"),
        }
        assert!(matches!(
            open(r#"{"kind":"Event","reason":"Pulled","message":"x"}"#),
            Some(Opened::OtherEvent)
        ));
    }
}
