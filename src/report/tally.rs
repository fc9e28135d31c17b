//! Distinct flows as a table: who called whom, and what became of it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::flows::count;
use crate::flow::{Denial, Distinct, Flow, Outcome, Tally, reason};
use crate::naming::{self, name};

const HEADER: [&str; 7] = ["FROM", "TO", "PORT", "SIDE", "REASON", "COUNT", "LAST SEEN"];

/// Writes a row for each distinct flow that did not pass, most frequent first.
///
/// # Errors
/// When the stream cannot be written.
pub fn table(all: &[Distinct], out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<[String; 7]> =
        all.iter().filter(|distinct| distinct.flow.outcome != Outcome::Forwarded).map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let header = HEADER.map(str::to_owned);
    let mut widths = [0; 7];
    for row in rows.iter().chain([&header]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in [&header].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
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
        writeln!(out, "{} is not policy's doing: {}", plain(reason), reason::explain(reason))?;
    }
    Ok(())
}

fn row(distinct: &Distinct) -> [String; 7] {
    let flow = &distinct.flow;
    let doubt = if distinct.ambiguous_names { " (or another name of its address)" } else { "" };
    [
        plain(&name(&flow.source)),
        plain(&name(&flow.destination)) + doubt,
        plain(&naming::what(flow)),
        flow.side.map_or("?", |side| side.as_str()).to_owned(),
        plain(&reason(flow)),
        distinct.count.to_string(),
        distinct.span.map_or("?".to_owned(), |(_, last)| format!("{last:.0}")),
    ]
}

fn reason(flow: &Flow) -> String {
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
    if flow.reply { format!("{reason} (a reply)") } else { reason.to_owned() }
}

/// Text from a log without what would move the cursor of a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
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
    fn a_table_shows_drops_and_hides_control_characters() {
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
        let shown = String::from_utf8(out).unwrap();
        let mut lines: Vec<&str> = shown.lines().collect();
        lines[1..].sort_unstable_by_key(|line| line.contains("UDP"));
        assert_eq!(lines, expected.lines().collect::<Vec<_>>());
        assert!(String::from_utf8(err).unwrap().contains("is not policy's doing"));
        assert_eq!(plain("a\x1b[31m"), "a\u{fffd}[31m");
    }
}
