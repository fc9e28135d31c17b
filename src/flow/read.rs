//! From inputs to records, in order: blocks are read ahead, their lines parsed
//! on all cores, and the results handed over one by one.

use std::io::{self, Read};

use memchr::memchr_iter;
use rayon::prelude::*;

use super::block::{Block, Blocks, LONGEST_LINE};
use super::hubble::Message;
use super::input::Input;
use super::line::{self, Line, Misread};
use super::record::{Origin, Record, Unjudged};
use super::summary::{BrokenKind, LineKind, Summary, Unreadable};

/// How many blocks are parsed at a time.
const BATCH: usize = 4;

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
    /// [`Unjudged`] when it says nothing of what policy did.
    fn message(&mut self, message: &Message<'_>, origin: Origin) -> Result<(), Unjudged>;

    /// A record of another format.
    fn record(&mut self, record: Record);
}

struct Each<'a>(&'a mut dyn FnMut(Record));

impl Sink for Each<'_> {
    fn input(&mut self, _: &str) {}

    fn message(&mut self, message: &Message<'_>, origin: Origin) -> Result<(), Unjudged> {
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
        let mut consumer = Consumer { summary: &mut summary, sink };
        if let Err(error) = read_input(number, input, options, &mut consumer) {
            summary.unreadable.push(Unreadable { input: number, why: error.to_string() });
        }
    }
    summary
}

fn read_input(number: u32, input: Input, options: Options, consumer: &mut Consumer<'_>) -> io::Result<()> {
    let (stream, _) = input.open()?;
    let mut blocks = Blocks::new(stream, options.follow);
    let mut current: Vec<Block> = Vec::new();
    let mut spare: Vec<Block> = Vec::new();
    let mut outcome = fill(&mut blocks, &mut current, &mut spare, options);
    while !current.is_empty() {
        let mut ahead: Vec<Block> = Vec::new();
        let going_on = !options.follow && outcome.is_ok();
        let (parsed, next) = rayon::join(
            || current.par_iter().map(parse).collect::<Vec<_>>(),
            || going_on.then(|| fill(&mut blocks, &mut ahead, &mut spare, options)),
        );
        for (block, lines) in current.iter().zip(parsed) {
            consumer.block(number, block, lines);
        }
        spare.append(&mut current);
        match next {
            Some(result) => outcome = result,
            None if outcome.is_ok() => outcome = fill(&mut blocks, &mut ahead, &mut spare, options),
            None => {}
        }
        current = ahead;
    }
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
    line: Result<Line<'a>, InvalidText>,
}

/// A line that is not UTF-8, with what cannot be read replaced.
struct InvalidText(String);

fn parse(block: &Block) -> Vec<Numbered<'_>> {
    let bytes = block.bytes();
    let text = str::from_utf8(bytes);
    let mut lines = Vec::with_capacity(bytes.len() / 512 + 1);
    let mut number = block.first_line;
    let mut start = 0;
    for end in memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len())) {
        if start < bytes.len() {
            let line = match text {
                Ok(text) => Ok(line::read(text.get(start..end).unwrap_or_default())),
                Err(_) => read_bytes(bytes.get(start..end).unwrap_or_default()),
            };
            lines.push(Numbered { number, line });
        }
        number += 1;
        start = end + 1;
    }
    lines
}

fn read_bytes(bytes: &[u8]) -> Result<Line<'_>, InvalidText> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(line::read(text)),
        Err(_) => Err(InvalidText(String::from_utf8_lossy(bytes).into_owned())),
    }
}

/// Takes parsed lines in order.
struct Consumer<'a> {
    summary: &'a mut Summary,
    sink: &'a mut dyn Sink,
}

impl Consumer<'_> {
    fn block(&mut self, input: u32, block: &Block, lines: Vec<Numbered<'_>>) {
        let last = lines.last().map(|line| line.number);
        for Numbered { number, line } in lines {
            let origin = Origin { input, line: number };
            let at_end = block.unfinished && last == Some(number);
            match line {
                Ok(line) => self.line(origin, line, at_end),
                Err(InvalidText(text)) => self.line(origin, line::read(&text), at_end),
            }
        }
        if block.too_long {
            let origin = Origin { input, line: block.first_line };
            let why =
                format!("longer than {} MiB; `jq -c '.[]'` makes lines of an array", LONGEST_LINE >> 20);
            self.summary.count_broken(BrokenKind::TooLong, origin, why);
        }
    }

    fn line(&mut self, origin: Origin, line: Line<'_>, at_end: bool) {
        match line {
            Line::Hubble(message, kind) => {
                self.summary.count(kind);
                match self.sink.message(&message, origin) {
                    Ok(()) => self.summary.records += 1,
                    Err(unjudged) => *self.summary.unjudged.entry(unjudged).or_default() += 1,
                }
            }
            Line::Record(record, kind) => {
                self.summary.count(kind);
                self.record(origin, *record);
            }
            Line::Unjudged(unjudged, kind) => {
                self.summary.count(kind);
                *self.summary.unjudged.entry(unjudged).or_default() += 1;
            }
            Line::Lost(number) => {
                self.summary.count(LineKind::LostEvents);
                self.summary.lost_events = self.summary.lost_events.saturating_add(number);
            }
            Line::Nothing(kind) => self.summary.count(kind),
            Line::Part(_, misread) => self.part(origin, misread, at_end),
        }
    }

    fn part(&mut self, origin: Origin, misread: Misread, at_end: bool) {
        if at_end && misread.cut_off {
            self.summary.count(LineKind::Part);
            self.summary.unfinished += 1;
        } else {
            self.summary.count_broken(misread.kind, origin, misread.why);
        }
    }

    fn record(&mut self, origin: Origin, record: Record) {
        self.summary.records += 1;
        self.sink.record(Record { origin, ..record });
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
}
