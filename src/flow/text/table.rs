//! `hubble observe -o tab` and `-o dict`: columns, or one column a line
//! (`flow-formats.md` 2.2, 2.3).

use super::host::{Host, Identity};
use super::observed::Observed;
use super::{Clock, Told};
use crate::flow::reason;

const VERDICTS: [&str; 12] = [
    "FORWARDED",
    "DROPPED",
    "ERROR",
    "AUDIT",
    "AUDITED",
    "REDIRECTED",
    "TRACED",
    "TRANSLATED",
    "ALLOWED",
    "DENIED",
    "VERDICT_UNKNOWN",
    "EVENTS LOST",
];

/// Whether the line is the header of a table.
pub(crate) fn is_header(line: &str) -> bool {
    line.starts_with("TIMESTAMP  ")
}

/// Reads a row; `None` if it is none.
pub(crate) fn read_row(line: &str, clock: Clock) -> Option<Told> {
    let (time, rest) = split_time(line);
    let cells: Vec<&str> = rest.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let (verdict_at, verdict) = cells
        .iter()
        .enumerate()
        .skip(3)
        .take(2)
        .find(|(_, cell)| VERDICTS.contains(cell))
        .map_or_else(|| (usize::MAX, ""), |(at, verdict)| (at, *verdict));
    let columns = match (time, verdict_at) {
        // With the verdict fourth there is no node column, with the verdict fifth there is.
        (Some(_), 3 | 4) => Columns {
            source: cells.get(verdict_at - 3)?,
            destination: cells.get(verdict_at - 2)?,
            kind: cells.get(verdict_at - 1)?,
            verdict,
            summary: cells.get(verdict_at + 1).copied().unwrap_or_default(),
        },
        // Printers of 2019 gave neither time nor verdict.
        (None, usize::MAX) if (3..=4).contains(&cells.len()) => {
            let kind = *cells.get(2)?;
            let dropped = reason::name_of_text(kind).is_some();
            if !dropped && !kind.starts_with("to-") && !kind.ends_with("-request") {
                return None;
            }
            Columns {
                source: cells.first()?,
                destination: cells.get(1)?,
                kind,
                verdict: if dropped { "DROPPED" } else { "FORWARDED" },
                summary: cells.get(3).copied().unwrap_or_default(),
            }
        }
        _ => return None,
    };
    Some(columns.told(time.unwrap_or_default(), clock))
}

/// The time at the head of a row, and the rest: a time may hold two blanks itself.
fn split_time(line: &str) -> (Option<&str>, &str) {
    let is_year_less =
        |time: &str| time.len() == 19 && time.get(6..7) == Some(" ") && time.get(15..16) == Some(".");
    match line.split_at_checked(19) {
        Some((time, rest)) if is_year_less(time) && rest.starts_with("  ") => (Some(time), rest),
        _ => match line.split_once("  ") {
            Some((time, rest)) if time == "N/A" || time.get(..5).is_some_and(is_year) => (Some(time), rest),
            _ => (None, line),
        },
    }
}

fn is_year(text: &str) -> bool {
    text.strip_suffix('-').is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()))
}

struct Columns<'a> {
    source: &'a str,
    destination: &'a str,
    kind: &'a str,
    verdict: &'a str,
    summary: &'a str,
}

impl Columns<'_> {
    fn told(&self, time: &str, clock: Clock) -> Told {
        let host = |text| Host::read(text, Identity::default());
        let (source, destination) = match (host(self.source), host(self.destination)) {
            (Ok(source), Ok(destination)) => (source, destination),
            (Err(why), _) | (_, Err(why)) => return Told::Broken(why),
        };
        let observed = Observed {
            time: clock.read(time),
            source,
            destination,
            kind: self.kind,
            verdict: self.verdict,
            by: "",
            summary: self.summary,
            reply: None,
            tells_verdicts: false,
        };
        observed.record().into()
    }
}

/// A record of `-o dict`, as its lines come in.
#[derive(Default)]
pub(crate) struct Dict {
    values: [String; KEYS.len()],
    filled: bool,
}

const KEYS: [&str; 7] = ["TIMESTAMP", "NODE", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY"];

/// Keys of dictionaries about nodes and agents, which are passed over.
const OTHER_KEYS: [&str; 4] = ["STATE", "NODES", "MESSAGE", "DETAILS"];

/// What a line of a dictionary is.
pub(crate) enum DictLine<'a> {
    /// A value; the key by its place.
    Value(usize, &'a str),
    /// The line between two records.
    Separator,
}

/// Reads a line of a dictionary; `None` if it is none.
pub(crate) fn dict_line(line: &str) -> Option<DictLine<'_>> {
    if line.len() >= 12 && line.bytes().all(|b| b == b'-') {
        return Some(DictLine::Separator);
    }
    let (key, value) = line.split_once(':')?;
    let at = KEYS.iter().chain(&OTHER_KEYS).position(|&known| known == key)?;
    (value.is_empty() || value.starts_with(' ')).then(|| DictLine::Value(at, value.trim()))
}

impl Dict {
    /// Takes a line; the record when one is complete.
    pub(crate) fn take(&mut self, line: &DictLine<'_>, clock: Clock) -> Option<Told> {
        match line {
            DictLine::Separator => self.finish(clock),
            DictLine::Value(at, value) => {
                let before = if *at == 0 { self.finish(clock) } else { None };
                if let Some(slot) = self.values.get_mut(*at) {
                    *slot = (*value).to_owned();
                    self.filled = true;
                }
                before
            }
        }
    }

    /// The record whose lines have come, if they are a flow's.
    pub(crate) fn finish(&mut self, clock: Clock) -> Option<Told> {
        let Self { values: [time, _, source, destination, kind, verdict, summary], filled } =
            std::mem::take(self);
        if kind == "EVENTS LOST" {
            let number = summary.rsplit(' ').next().and_then(|word| word.parse().ok());
            return Some(Told::Lost(number.unwrap_or(1)));
        }
        if !filled || destination.is_empty() {
            return None;
        }
        let columns = Columns {
            source: &source,
            destination: &destination,
            kind: &kind,
            verdict: &verdict,
            summary: &summary,
        };
        Some(columns.told(&time, clock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Denial, Outcome, Record};
    use crate::traffic::{Packet, Transport};

    fn clock() -> Clock {
        Clock("2026-06-01T00:00:00Z".parse().unwrap())
    }

    fn record(told: Option<Told>) -> Record {
        match told {
            Some(Told::Record(record)) => *record,
            _ => panic!("no record"),
        }
    }

    #[test]
    fn a_row_is_read_with_and_without_its_node() {
        let plain = "May  4 10:00:00.001   shop/cart-0:40000   pay/gate:8080   Policy denied   DROPPED   TCP Flags: SYN";
        let node = "May  4 10:00:00.001   n1   shop/cart-0:40000   pay/gate:8080   Policy denied   DROPPED   TCP Flags: SYN";
        let row = record(read_row(plain, clock()));
        assert_eq!(row.flow.outcome, Outcome::Denied(Denial::Default));
        assert_eq!(row.flow.packet, Packet::Port(Transport::Tcp, 8080));
        assert!(row.time.is_some());
        assert_eq!(record(read_row(node, clock())).flow, row.flow);
    }

    #[test]
    fn rows_of_2019_have_neither_time_nor_verdict() {
        let row = "shop/cart-0:40000   pay/gate:80(http)   Policy denied (L3)   TCP Flags: SYN";
        let row = record(read_row(row, clock()));
        assert_eq!((row.time, row.flow.outcome), (None, Outcome::Denied(Denial::Default)));
        assert!(read_row("some words   in columns   of no meaning", clock()).is_none());
    }

    #[test]
    fn a_dictionary_becomes_a_record_when_the_next_begins() {
        let text = "TIMESTAMP: May  4 10:00:00.001\nSOURCE: [2001:db8::1]:40000\nDESTINATION: 192.0.2.1:53\nTYPE: Policy denied\nVERDICT: DROPPED\nSUMMARY: UDP\n------------\nTYPE: EVENTS LOST\nSUMMARY: CPU(1) - 4\n------------\nSTATE: NODE_ERROR\nNODES: n1";
        let mut dict = Dict::default();
        let told: Vec<Told> =
            text.lines().filter_map(|line| dict.take(&dict_line(line).unwrap(), clock())).collect();
        assert!(matches!(told.get(1), Some(Told::Lost(4))));
        assert_eq!(
            (told.len(), record(told.into_iter().next()).flow.packet),
            (2, Packet::Port(Transport::Udp, 53))
        );
        assert!(dict.finish(clock()).is_none(), "the state of nodes is no flow");
    }
}
