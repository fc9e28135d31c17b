//! `policyfix flows`: reads, merges and counts flow logs.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::{SpanRelativeTo, Timestamp};

use super::{Exit, Streams};
use crate::flow::{Input, Keep, Options, tally};
use crate::report::{flows, tally as report};

/// Reads, merges and counts flow logs in any form, and shows or writes what is distinct
#[derive(Debug, Args)]
#[command(
    help_template = super::EXAMPLES_FIRST,
    after_help = "Examples:\n  policyfix flows events.log events-*.log.gz\n  kubectl logs -n kube-system ds/cilium | policyfix flows -\n  policyfix flows node-*.jsonl --format jsonl > all.jsonl   # every command reads it"
)]
pub(super) struct Arguments {
    /// Logs with flows, packed or not; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    keep: KeepArguments,
}

/// Which flows are wanted.
#[derive(Debug, Args)]
pub(super) struct KeepArguments {
    /// Pass over records before this time (2026-11-20T09:00:00Z) or older than this (90m, 2h, 1d)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Pass over what was seen less often
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_count: u64,
    /// Pass over what has neither end in this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Keep what passed only because policy was in audit mode
    #[arg(long)]
    include_audit: bool,
}

impl KeepArguments {
    /// What they mean.
    pub(super) fn keep(&self) -> Keep {
        Keep {
            since: self.since,
            min_count: self.min_count,
            namespace: self.namespace.clone(),
            include_audit: self.include_audit,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table of what did not pass, for people
    #[default]
    Text,
    /// Normalised rows, one JSON object each, that every command reads
    Jsonl,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let inputs: Vec<Input> = arguments.files.iter().map(Input::from_argument).collect();
    let names: Vec<String> = inputs.iter().map(Input::name).collect();
    let tally = tally(inputs, Options::default(), arguments.keep.keep());
    match arguments.format {
        Format::Jsonl => tally.write(streams.out)?,
        Format::Text => {
            let all = tally.distinct();
            report::table(&all, streams.out)?;
            report::tell_rest(&tally, &all, streams.err)?;
        }
    }
    flows::tell_summary(&tally.summary, &names, streams.err)?;
    Ok(if tally.summary.unreadable.is_empty() { Exit::Clean } else { Exit::Unusable })
}

/// Reads a time, or how long ago.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago =
        text.parse::<jiff::Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    ago.and_then(|ago| Timestamp::now().checked_sub(ago))
        .map_err(|_| "neither a time such as 2026-11-20T09:00:00Z nor a duration such as 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_while_ago() {
        assert_eq!(since("2026-11-20T09:00:00Z").unwrap().to_string(), "2026-11-20T09:00:00Z");
        let day = since("1d").unwrap();
        let hours = since("24h").unwrap();
        assert!(hours.duration_since(day).abs().as_secs() < 60);
        assert!(since("yesterday").is_err());
    }
}
