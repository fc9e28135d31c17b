//! What a flow log was made of, as far as people should know it.

use std::io::{self, Write};

use super::visible::visible;
use crate::flow::{LineKind, Summary};

const AGENTS_LOG_NO_DROPS: &str = "help: agents do not log what policy drops; take `hubble observe -o jsonpb`, or the files of \
     Hubble's exporter";

/// Tells which inputs and lines could not be read and how many events were
/// lost. Says nothing when all is well.
///
/// # Errors
/// When the stream cannot be written.
pub fn tell_summary(summary: &Summary, inputs: &[String], out: &mut dyn Write) -> io::Result<()> {
    let name = |input: u32| inputs.get(input as usize).map_or_else(|| "?".to_owned(), |name| visible(name));
    for unreadable in &summary.unreadable {
        writeln!(
            out,
            "error: cannot read flows from {}: {}",
            name(unreadable.input),
            visible(&unreadable.why)
        )?;
    }
    for (kind, broken) in &summary.broken {
        writeln!(out, "warning: skipped {} ({}):", count(broken.count, "line"), kind.as_str())?;
        for line in &broken.first {
            writeln!(out, "  {}:{}: {}", name(line.origin.input), line.origin.line, visible(&line.why))?;
        }
        let more = broken.count - broken.first.len() as u64;
        if more > 0 {
            writeln!(out, "  and {more} more")?;
        }
    }
    if summary.lost_events > 0 {
        writeln!(
            out,
            "warning: Hubble lost {}: that a flow is not in the log proves nothing",
            count(summary.lost_events, "event")
        )?;
    }
    let nothing = summary.records == 0 && summary.unreadable.is_empty();
    if nothing {
        let half = if summary.unfinished > 0 { ", only the beginning of a record" } else { "" };
        writeln!(out, "warning: there is no flow in {}{half}", visible(&inputs.join(", ")))?;
        if summary.lines.contains_key(&LineKind::AgentLog) {
            writeln!(out, "{AGENTS_LOG_NO_DROPS}")?;
        }
    }
    Ok(())
}

/// `1 line`, `2 lines`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
