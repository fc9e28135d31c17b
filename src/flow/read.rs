//! From inputs to records, in order: blocks are read ahead, their lines parsed
//! on all cores, and the results handed over one by one.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::mpsc;

use jiff::Timestamp;
use memchr::{memchr, memchr_iter};

use super::block::{Block, Blocks, LONGEST_LINE};
use super::envelope::Piece;
use super::gather::{Document, Pieces};
use super::hubble::Message;
use super::input::Input;
use super::line::{self, Line, Misread, without_colours};
use super::record::{Origin, Record, Refused, Unjudged};
use super::summary::{BrokenKind, LineKind, Summary, Unreadable};
use super::text::table::Dict;
use super::text::{Clock, Told};

/// How many blocks are parsed at a time.
const BATCH: usize = 16;

/// How many envelopes may be around a line.
const DEEPEST: u32 = 4;

/// How to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Hand records over as soon as they are written, for a pipe that stays open.
    pub follow: bool,
}

/// What takes what was read, in order.
pub(crate) trait Sink {
    /// A new input begins.
    fn input(&mut self, name: &str);

    /// A Hubble message with a flow.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it says nothing of what policy did, or makes no sense.
    fn message(&mut self, message: &Message<'_>, origin: Origin) -> Result<(), Refused>;

    /// A record of another format.
    fn record(&mut self, record: Record);
}

struct Each<'a>(&'a mut dyn FnMut(Record));

impl Sink for Each<'_> {
    fn input(&mut self, _: &str) {}

    fn message(&mut self, message: &Message<'_>, origin: Origin) -> Result<(), Refused> {
        if let Some(record) = message.record() {
            (self.0)(Record { origin, ..record? });
        }
        Ok(())
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

pub(crate) fn read_into(inputs: Vec<Input>, options: Options, sink: &mut dyn Sink) -> Summary {
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

fn read_input(
    number: u32,
    input: Input,
    options: Options,
    summary: &mut Summary,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let (stream, written) = input.open()?;
    let clock = Clock(written.unwrap_or_else(Timestamp::now));
    let mut consumer =
        Consumer { summary, sink, clock, document: None, pieces: Pieces::default(), dict: Dict::default() };
    let mut blocks = Blocks::new(stream, options.follow);
    let mut current: Vec<Block> = Vec::new();
    let mut spare: Vec<Block> = Vec::new();
    let mut outcome = fill(&mut blocks, &mut current, &mut spare, options);
    while !current.is_empty() {
        let mut ahead: Vec<Block> = Vec::new();
        let reads_ahead = !options.follow && outcome.is_ok();
        rayon::in_place_scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for (place, block) in current.iter().enumerate() {
                let sender = sender.clone();
                // Nobody is there to take it only when the consumer has panicked.
                scope.spawn(move |_| _ = sender.send((place, parse(block, clock))));
            }
            drop(sender);
            if reads_ahead {
                scope.spawn(|_| outcome = fill(&mut blocks, &mut ahead, &mut spare, options));
            }
            let mut parsed: Vec<Option<Vec<Numbered<'_>>>> = current.iter().map(|_| None).collect();
            let mut due = current.iter().enumerate().peekable();
            for (place, lines) in receiver {
                if let Some(slot) = parsed.get_mut(place) {
                    *slot = Some(lines);
                }
                while let Some((place, block)) = due.peek().copied()
                    && let Some(lines) = parsed.get_mut(place).and_then(Option::take)
                {
                    consumer.block(number, block, lines);
                    due.next();
                }
            }
        });
        spare.append(&mut current);
        if !reads_ahead && outcome.is_ok() {
            outcome = fill(&mut blocks, &mut ahead, &mut spare, options);
        }
        current = ahead;
    }
    let last = consumer.dict.finish(clock);
    consumer.told(Origin { input: number, line: blocks.lines_read() }, last);
    consumer.end();
    outcome
}

/// Reads the next blocks; none at the end. Blocks before an error are kept.
fn fill<R: Read>(
    blocks: &mut Blocks<R>,
    into: &mut Vec<Block>,
    spare: &mut Vec<Block>,
    options: Options,
) -> io::Result<()> {
    let wanted = if options.follow { 1 } else { BATCH };
    while into.len() < wanted {
        let mut block = spare.pop().unwrap_or_default();
        if !blocks.next(&mut block)? {
            break;
        }
        into.push(block);
    }
    Ok(())
}

/// A line with its number.
struct Numbered<'a> {
    number: u64,
    line: Result<Line<'a>, Plain>,
}

/// A line that had to be cleaned before it can be read: colours taken off,
/// what is no UTF-8 replaced.
struct Plain(String);

fn parse(block: &Block, clock: Clock) -> Vec<Numbered<'_>> {
    let bytes = block.bytes();
    let text = str::from_utf8(bytes);
    let has_colours = memchr(b'\x1b', bytes).is_some();
    let mut lines = Vec::with_capacity(bytes.len() / 512 + 1);
    let mut start = 0;
    let ends = memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len()));
    for (number, end) in (block.first_line..).zip(ends) {
        if start < bytes.len() {
            let line = match text {
                Ok(text) if !has_colours => Ok(line::read(text.get(start..end).unwrap_or_default(), clock)),
                _ => match str::from_utf8(bytes.get(start..end).unwrap_or_default()) {
                    Ok(text) => read_line(text, clock),
                    Err(_) => {
                        let bytes = bytes.get(start..end).unwrap_or_default();
                        Err(Plain(without_colours(&String::from_utf8_lossy(bytes)).into_owned()))
                    }
                },
            };
            lines.push(Numbered { number, line });
        }
        start = end + 1;
    }
    lines
}

fn read_line(text: &str, clock: Clock) -> Result<Line<'_>, Plain> {
    match without_colours(text) {
        Cow::Borrowed(text) => Ok(line::read(text, clock)),
        Cow::Owned(text) => Err(Plain(text)),
    }
}

/// Takes parsed lines in order and puts together what is spread over several.
struct Consumer<'a> {
    summary: &'a mut Summary,
    sink: &'a mut dyn Sink,
    clock: Clock,
    document: Option<Document>,
    pieces: Pieces,
    dict: Dict,
}

impl Consumer<'_> {
    fn block(&mut self, input: u32, block: &Block, lines: Vec<Numbered<'_>>) {
        let last = lines.last().map(|line| line.number);
        for Numbered { number, line } in lines {
            let place = Place {
                origin: Origin { input, line: number },
                at_end: block.unfinished && last == Some(number),
                depth: 0,
            };
            match line {
                Ok(line) => self.line(place, line),
                Err(Plain(text)) => self.line(place, line::read(&text, self.clock)),
            }
        }
        if block.too_long {
            let origin = Origin { input, line: block.first_line };
            let why =
                format!("longer than {} MiB; `jq -c '.[]'` makes lines of an array", LONGEST_LINE >> 20);
            self.summary.count_broken(BrokenKind::TooLong, origin, why);
        }
    }

    fn line(&mut self, place: Place, line: Line<'_>) {
        if !matches!(line, Line::Part(..) | Line::Nothing(_)) && place.depth == 0 {
            self.interrupt_document();
        }
        match line {
            Line::Hubble(message, kind) => {
                match self.sink.message(&message, place.origin) {
                    Ok(()) => self.summary.records += 1,
                    Err(Refused::Unjudged(unjudged)) => self.unjudged(unjudged),
                    Err(Refused::Broken(why)) => {
                        return self.summary.count_broken(BrokenKind::Record, place.origin, why);
                    }
                }
                self.summary.count(kind);
            }
            Line::Record(record, kind) => {
                self.summary.count(kind);
                self.record(place.origin, *record);
            }
            Line::Unjudged(unjudged, kind) => {
                self.summary.count(kind);
                self.unjudged(unjudged);
            }
            Line::Lost(number) => {
                self.summary.count(LineKind::LostEvents);
                self.summary.lost_events = self.summary.lost_events.saturating_add(number);
            }
            Line::Nothing(kind) => self.summary.count(kind),
            Line::Opened(lines) => self.opened(place, &lines),
            Line::Piece(piece) => self.piece(place, &piece),
            Line::Dict(line) => {
                self.summary.count(LineKind::Dict);
                let told = self.dict.take(&line, self.clock);
                self.told(place.origin, told);
            }
            Line::Part(text, misread) => self.part(place, text, misread),
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

    /// The input has ended: what has begun stays half.
    fn end(&mut self) {
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
            Some(Told::Broken(why)) => self.summary.count_broken(BrokenKind::Text, origin, why),
            None => {}
        }
    }

    fn unjudged(&mut self, unjudged: Unjudged) {
        *self.summary.unjudged.entry(unjudged).or_default() += 1;
    }

    fn record(&mut self, origin: Origin, record: Record) {
        self.summary.records += 1;
        self.sink.record(Record { origin, ..record });
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Denial, Outcome, Request};
    use crate::label::Label;
    use crate::traffic::{Packet, Side, Transport};

    fn read_bytes(bytes: Vec<u8>) -> (Vec<Record>, Summary) {
        let mut records = Vec::new();
        let input = Input::Stream("test".into(), Box::new(io::Cursor::new(bytes)));
        let summary = read(vec![input], Options::default(), &mut |record| records.push(record));
        (records, summary)
    }

    fn one(text: &str) -> Record {
        let (mut records, summary) = read_bytes(text.into());
        assert_eq!(records.len(), 1, "{summary:?}");
        records.remove(0)
    }

    const WRAPPED: &str = r#"{"flow":{"time":"2026-02-03T04:05:06.000000007Z","uuid":"00000000-0000-0000-0000-0000000000ff","verdict":"DROPPED","drop_reason":133,"IP":{"source":"10.9.0.1","destination":"192.0.2.7","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":50123,"destination_port":443,"flags":{"SYN":true}}},"source":{"ID":7,"identity":3000,"namespace":"shop","labels":["k8s:io.kubernetes.pod.namespace=shop","k8s:app=cart"],"pod_name":"cart-6d5f-x2x","workloads":[{"name":"cart","kind":"Deployment"}]},"destination":{"identity":16777300,"labels":["reserved:world","fqdn:api.example.org"]},"Type":"L3_L4","event_type":{"type":5},"destination_names":["b.example.org.","api.example.org"],"destination_service":{"name":"api","namespace":"out"},"traffic_direction":"EGRESS","drop_reason_desc":"POLICY_DENIED"},"node_name":"c/n1","time":"2026-02-03T04:05:06.000000007Z"}"#;

    #[test]
    fn a_wrapped_record_is_read_whole() {
        let record = one(WRAPPED);
        let flow = &record.flow;
        let namespace = Label::k8s("io.kubernetes.pod.namespace", "shop");
        assert_eq!(flow.source.labels, [Label::k8s("app", "cart"), namespace]);
        assert_eq!(flow.source.workload.as_ref().unwrap().name.as_ref(), "cart");
        assert_eq!(flow.source.identity, Some(3000));
        assert_eq!(flow.destination.ip, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(flow.destination.names, ["api.example.org".into(), "b.example.org".into()]);
        assert_eq!(flow.destination.service.as_ref().unwrap().name.as_ref(), "api");
        assert_eq!(flow.packet, Packet::Port(Transport::Tcp, 443));
        assert_eq!((flow.source_port, flow.side), (Some(50123), Some(Side::Egress)));
        assert_eq!(flow.outcome, Outcome::Denied(Denial::Default));
        assert!(!flow.reply);
        assert_eq!((record.uuid, record.weight, record.origin.line), (Some(255), 1, 1));
        assert_eq!(record.time.unwrap().to_string(), "2026-02-03T04:05:06.000000007Z");
    }

    #[test]
    fn flat_camel_case_shuffled_and_numbered_records_say_the_same() {
        let flat = r#"{"drop_reason_desc":133, "trafficDirection":2,"eventType":{"type":"5"},"destinationNames":["b.example.org","api.example.org"],"destination":{"labels":["reserved:world","fqdn:api.example.org"],"identity":"16777300"},"source":{"workloads":[{"kind":"Deployment","name":"cart"}],"podName":"cart-6d5f-x2x","labels":["k8s:app=cart","k8s:io.kubernetes.pod.namespace=shop"],"namespace":"shop","identity":3000,"newer":{"a":[1]}},"destinationService":{"namespace":"out","name":"api"},"l4":{"TCP":{"destinationPort":443,"sourcePort":"50123","flags":{"SYN":true}}},"IP":{"destination":"192.0.2.7","source":"10.9.0.1"},"verdict":2,"uuid":"000000000000000000000000000000ff","time":"2026-02-03T04:05:06.000000007Z","extensions":null}"#;
        assert_eq!(one(flat), one(WRAPPED));
    }

    #[test]
    fn a_side_is_believed_only_from_verdicts_drops_and_proxies() {
        let trace = WRAPPED.replace("DROPPED", "FORWARDED").replace(r#""type":5"#, r#""type":4"#);
        let record = one(&trace);
        assert_eq!((record.flow.outcome, record.flow.side), (Outcome::Forwarded, None));
        let masked = WRAPPED
            .replace(r#""event_type":{"type":5},"#, "")
            .replace(r#""traffic_direction":"EGRESS","#, "");
        assert_eq!(one(&masked).flow.side, Some(Side::Egress), "the only local end is the source");
    }

    #[test]
    fn a_refused_request_is_a_denial_without_a_reason_and_its_response_is_none() {
        let l7 = |kind: &str, verdict: &str| {
            let http = r#"{"method":"PUT","url":"http://api/x"}"#;
            WRAPPED
                .replace(r#"DROPPED","drop_reason":133"#, &format!(r#"{verdict}""#))
                .replace(
                    r#""drop_reason_desc":"POLICY_DENIED""#,
                    &format!(r#""is_reply":false,"l7":{{"type":"{kind}","http":{http}}}"#),
                )
                .replace(r#""type":5"#, r#""type":129"#)
        };
        let record = one(&l7("REQUEST", "DROPPED"));
        assert_eq!(record.flow.outcome, Outcome::Denied(Denial::Request));
        assert_eq!(record.flow.request, Some(Request::http("PUT", "http://api/x")));
        assert!(read_bytes(l7("RESPONSE", "DROPPED").into()).0.is_empty());
        assert_eq!(one(&l7("RESPONSE", "FORWARDED")).flow.outcome, Outcome::Forwarded);
    }

    #[test]
    fn a_reply_is_guessed_only_where_the_record_is_silent() {
        let ports = r#""source_port":50123,"destination_port":443,"flags":{"SYN":true}"#;
        let turned = r#""source_port":443,"destination_port":50123,"flags":{"SYN":true,"ACK":true}"#;
        let answer = WRAPPED.replace(ports, turned);
        assert!(one(&answer).flow.reply);
        let denied = answer.replace(r#""Type":"#, r#""is_reply":false,"Type":"#);
        assert!(!one(&denied).flow.reply);
    }

    #[test]
    fn what_is_no_flow_is_counted_and_passed_over() {
        let text = [
            r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"12"}}"#,
            r#"{"node_status":{"state_change":"NODE_ERROR"}}"#,
            "",
            r#"{"flow":{}}"#,
            r#"{"a":1}"#,
            r#"{"flow":{"verd"#,
            r#"{"flow":[]}"#,
            r#"{"flow":{"ti"#,
        ];
        let (records, summary) = read_bytes(text.join("\n").into());
        assert!(records.is_empty());
        assert_eq!(summary.lost_events, 12);
        assert_eq!(summary.total_lines(), 8);
        assert_eq!(summary.unfinished, 1, "half a record at the end is no error");
        assert_eq!(summary.broken_lines(), 3);
        assert_eq!(summary.broken[&BrokenKind::Json].first[0].origin.line, 6);
    }

    #[test]
    fn records_come_in_order_whatever_the_cores_do() {
        let text: String = (1..=20_000).map(|n| WRAPPED.replace("50123", &n.to_string()) + "\n").collect();
        let (records, _) = read_bytes(text.into());
        let ports: Vec<u16> = records.iter().map(|record| record.flow.source_port.unwrap()).collect();
        assert_eq!(ports, (1..=20_000).collect::<Vec<u16>>());
        assert!(records.iter().zip(1..).all(|(record, line)| record.origin.line == line));
    }

    #[test]
    fn bytes_that_are_no_text_spoil_only_their_own_line() {
        let mut bytes = b"\0\0\0".to_vec();
        bytes.extend_from_slice(WRAPPED.as_bytes());
        bytes.extend_from_slice(b"\n\xff\xfe\n");
        bytes.extend_from_slice(WRAPPED.replace("cart-6d5f-x2x", "\u{1}").as_bytes());
        bytes.extend_from_slice(b"\n");
        bytes.extend_from_slice(WRAPPED.as_bytes());
        let (records, summary) = read_bytes(bytes);
        assert_eq!((records.len(), summary.broken_lines()), (2, 2));
    }

    /// The records and the summary of a text in which `FLOW` stands for a record.
    fn read_template(template: &str) -> (Vec<Record>, Summary) {
        read_bytes(template.replace("FLOW", WRAPPED).into())
    }

    #[test]
    fn printed_json_and_arrays_are_read_over_many_lines() {
        let value: serde_json::Value = serde_json::from_str(WRAPPED).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let array = serde_json::to_string_pretty(&[&value, &value]).unwrap();
        for (text, count) in [
            (format!("{pretty}\n{pretty}\n"), 2),
            (array.clone(), 2),
            (format!("[{WRAPPED},{WRAPPED}]"), 2),
            (format!("[\n{WRAPPED},\n{WRAPPED}\n]\n"), 2),
            (format!("{array}\n{WRAPPED}"), 3),
        ] {
            let (records, summary) = read_bytes(text.clone().into());
            assert_eq!((records.len(), summary.broken_lines(), summary.unfinished), (count, 0, 0), "{text}");
            assert_eq!(records[count - 1].flow, one(WRAPPED).flow);
        }
        let (records, summary) = read_bytes(format!("{{\n\"flow\": {{\n{WRAPPED}\n").into());
        assert_eq!(
            (records.len(), summary.broken_lines()),
            (1, 1),
            "a torn document does not swallow a record"
        );
        let half = pretty.get(..pretty.len() / 2).unwrap();
        let (records, summary) = read_bytes(half.into());
        assert_eq!((records.len(), summary.broken_lines(), summary.unfinished), (0, 0, 1));
    }

    #[test]
    fn lines_that_a_runtime_has_cut_are_put_together() {
        let (start, end) = WRAPPED.split_at(300);
        let cri = format!(
            "2026-02-03T04:05:06.7Z stdout P {start}\n2026-02-03T04:05:06.7Z stderr F Press Ctrl-C\n\
             2026-02-03T04:05:06.7Z stdout F {end}\n2026-02-03T04:05:06.8Z stdout F {WRAPPED}\n"
        );
        let (records, summary) = read_bytes(cri.into());
        assert_eq!((records.len(), summary.broken_lines()), (2, 0), "{summary:?}");
        let docker = |log: &str| serde_json::json!({"log": log, "stream": "stdout", "time": "t"}).to_string();
        let text = [docker(start), docker(&format!("{end}\n")), docker(&format!("{WRAPPED}\n"))].join("\n");
        let (records, summary) = read_bytes(text.into());
        assert_eq!((records.len(), summary.broken_lines()), (2, 0), "{summary:?}");
        assert_eq!(records[0].flow, one(WRAPPED).flow);
    }

    #[test]
    fn envelopes_are_opened_whatever_they_hold() {
        let inside = |text: &str| serde_json::Value::from(text).to_string();
        let loki = format!(
            r#"{{"status":"success","data":{{"result":[{{"values":[["1",{}]]}}]}}}}"#,
            inside(WRAPPED)
        );
        for text in [
            loki,
            format!(r#"{{"log":{},"stream":"stdout"}}"#, inside(WRAPPED)),
            format!(r#"{{"message":{}}}"#, inside(WRAPPED)),
            format!(r#"{{"_index":"a","_source":{WRAPPED}}}"#),
            format!(r#"{{"_source":{{"log":{}}}}}"#, inside(WRAPPED)),
            format!("level=info msg={}", inside(WRAPPED)),
            "drops.json:FLOW".into(),
            "[pod/cilium-x/cilium-agent] FLOW".into(),
        ] {
            let (records, summary) = read_template(&text);
            assert_eq!(records.len(), 1, "{text}: {summary:?}");
            assert_eq!(records[0].flow, one(WRAPPED).flow);
        }
        let endless = (0..9).fold(WRAPPED.to_owned(), |text, _| format!(r#"{{"_source":{text}}}"#));
        assert_eq!(read_bytes(endless.into()).1.broken_lines(), 1);
    }

    #[test]
    fn a_mixture_is_decided_line_by_line() {
        let text = "Defaulted container \"cilium-agent\" out of: cilium-agent\n\
            FLOW\n\
            May  3 10:11:12.131: a/b:1 (ID:300) <> c/d:2 (ID:301) Policy denied DROPPED (UDP)\n\
            xx drop (Policy denied) flow 0x1 to endpoint 0, identity 300->400: 10.9.0.1:1 -> 10.9.0.2:53 udp\n\
            \x20 TIMESTAMP: May  3 10:11:12.131\n     SOURCE: 10.9.0.1:1\nDESTINATION: 10.9.0.2:53\n\
            \x20      TYPE: Policy denied\n    VERDICT: DROPPED\n    SUMMARY: UDP\n";
        let (records, summary) = read_template(text);
        assert_eq!((records.len(), summary.broken_lines()), (4, 0), "{summary:?}");
    }
}
