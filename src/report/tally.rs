//! Distinct flows as a table: who called whom, and what became of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use rayon::prelude::*;

use super::flows::count;
use super::visible::visible;
use crate::flow::{Denial, Distinct, Flow, LeftOut, Outcome, Tally, reason};
use crate::naming::{self, name};

const COLUMNS: usize = 7;
const HEADER: [&str; COLUMNS] = ["FROM", "TO", "PORT", "SIDE", "REASON", "COUNT", "LAST SEEN"];

/// How many rows are made ready by one thread at a time.
const ROWS_AT_A_TIME: usize = 4096;

/// Writes a row for each distinct flow that did not pass, most frequent first.
///
/// # Errors
/// When the stream cannot be written.
pub fn table(all: &[Distinct], out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Cells> = all.par_chunks(ROWS_AT_A_TIME).map(Cells::of).collect();
    if rows.iter().all(Cells::is_empty) {
        return Ok(());
    }
    let mut header = Cells::default();
    HEADER.iter().for_each(|title| header.push(title));
    let mut widths = [0; COLUMNS];
    for row in [&header].into_iter().chain(&rows).flat_map(Cells::rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in [&header].into_iter().chain(&rows).flat_map(Cells::rows) {
        let [cells @ .., last] = row;
        for (cell, width) in cells.iter().zip(widths) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{last}")?;
    }
    Ok(())
}

/// The cells of some rows, their texts one after the other.
#[derive(Default)]
struct Cells {
    text: String,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    fn of(all: &[Distinct]) -> Self {
        let mut cells = Self::default();
        all.iter()
            .filter(|distinct| distinct.flow.outcome != Outcome::Forwarded)
            .for_each(|distinct| cells.push_row(distinct));
        cells
    }

    fn push_row(&mut self, distinct: &Distinct) {
        let flow = &distinct.flow;
        let doubt = if distinct.ambiguous_names { " (or another name of its address)" } else { "" };
        self.push(&name(&flow.source));
        self.push(&(name(&flow.destination) + doubt));
        self.push(&naming::what(flow));
        self.push(flow.side.map_or("?", |side| side.as_str()));
        self.push(&reason(flow));
        self.push(&distinct.count.to_string());
        self.push(&distinct.span.map_or("?".to_owned(), |(_, last)| format!("{last:.0}")));
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(&visible(cell));
        self.ends.push(self.text.len());
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn rows(&self) -> impl Iterator<Item = [&str; COLUMNS]> {
        let mut start = 0;
        self.ends.chunks_exact(COLUMNS).map(move |ends| {
            std::array::from_fn(|column| {
                let cell = start..ends[column];
                start = cell.end;
                &self.text[cell]
            })
        })
    }
}

/// Tells people what the table leaves out and what its reasons mean.
///
/// # Errors
/// When the stream cannot be written.
pub fn tell_rest(tally: &Tally, all: &[Distinct], out: &mut dyn Write) -> io::Result<()> {
    let passed = all.iter().filter(|distinct| distinct.flow.outcome == Outcome::Forwarded).count() as u64;
    if passed > 0 {
        writeln!(out, "{} passed; --format jsonl keeps them, as evidence", count(passed, "distinct flow"))?;
    }
    tell_left_out(tally, out)?;
    let unlabelled = all.iter().filter(|distinct| lacks_labels(&distinct.flow)).count() as u64;
    if unlabelled > 0 {
        writeln!(
            out,
            "an end without labels in {}: `suggest` takes them from the manifests, or from `--inventory` \
             with the output of `kubectl get pods -A -o json`",
            count(unlabelled, "distinct flow")
        )?;
    }
    if tally.repeated > 0 {
        writeln!(out, "{} given more than once and counted once", count(tally.repeated, "record"))?;
    }
    for (why, number) in &tally.summary.unjudged {
        writeln!(out, "{} passed over: {}", count(*number, "record"), why.as_str())?;
    }
    let reasons: BTreeSet<&str> = all
        .iter()
        .filter_map(|distinct| match &distinct.flow.outcome {
            Outcome::NotPolicy(reason) => Some(reason.as_ref()),
            _ => None,
        })
        .collect();
    for reason in reasons {
        writeln!(out, "{} is not policy's doing: {}", visible(reason), reason::explain(reason))?;
    }
    Ok(())
}

/// Tells people what options have left out.
///
/// # Errors
/// When the stream cannot be written.
pub fn tell_left_out(tally: &Tally, out: &mut dyn Write) -> io::Result<()> {
    for (why, number) in tally.left_out() {
        let noun = if why == LeftOut::TooOld { "record" } else { "distinct flow" };
        writeln!(out, "{} left out: {}", count(number, noun), why_left_out(why))?;
    }
    Ok(())
}

/// Whether policy denied it, and an end is known by name or address only.
fn lacks_labels(flow: &Flow) -> bool {
    matches!(flow.outcome, Outcome::Denied(_) | Outcome::Audited)
        && (flow.source.labels.is_empty() || flow.destination.labels.is_empty())
}

fn why_left_out(why: LeftOut) -> &'static str {
    match why {
        LeftOut::TooOld => "older than --since",
        LeftOut::TooRare => "seen less often than --min-count",
        LeftOut::Elsewhere => "neither end is in --namespace",
        LeftOut::Audited => "passed only because policy was in audit mode; --include-audit shows them",
    }
}

fn reason(flow: &Flow) -> Cow<'_, str> {
    let reason = match &flow.outcome {
        Outcome::Forwarded => "passed",
        Outcome::Audited => "audit: nothing allows it",
        Outcome::Denied(Denial::Default) => "nothing allows it",
        Outcome::Denied(Denial::Rule) => "deny rule",
        Outcome::Denied(Denial::Authentication) => "authentication",
        Outcome::Denied(Denial::Request) => "request refused",
        Outcome::Denied(Denial::Unstated) => "not stated",
        Outcome::NotPolicy(reason) => reason,
    };
    if flow.reply { Cow::Owned(format!("{reason} (a reply)")) } else { Cow::Borrowed(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Input, Keep, Options, tally};

    fn tally_of(text: &str) -> Tally {
        let stream = Box::new(io::Cursor::new(text.to_owned().into_bytes()));
        tally(vec![Input::Stream("log".into(), stream)], Options::default(), Keep::default())
    }

    #[test]
    fn a_table_shows_drops_and_commands_no_terminal() {
        let text = "xx drop (Policy denied) flow 0x1 to endpoint 7, identity 300->400: 10.9.0.1:1 -> 10.9.0.2:8080 tcp SYN\n\
                    xx drop (Stale or unroutable IP) flow 0x2 to endpoint 0, identity 300->400: 10.9.0.1:1 -> 10.9.0.2:9 udp\n";
        let tally = tally_of(text);
        let all = tally.distinct();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        table(&all, &mut out).unwrap();
        tell_rest(&tally, &all, &mut err).unwrap();
        let expected = "\
FROM      TO        PORT      SIDE     REASON                  COUNT  LAST SEEN
10.9.0.1  10.9.0.2  TCP 8080  ingress  nothing allows it       1      ?
10.9.0.1  10.9.0.2  UDP 9     ?        STALE_OR_UNROUTABLE_IP  1      ?
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert!(String::from_utf8(err).unwrap().contains("is not policy's doing"));
        let mut cells = Cells::default();
        cells.push("a\x1b[31m\u{202e}");
        assert_eq!(cells.text, "a␛[31m\u{fffd}");
    }
}
