//! `policyfix suggest`: diagnoses each drop and writes the diff to standard
//! output, the findings to standard error.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};

use super::input::{FlowArguments, TreeArguments};
use super::{Exit, Streams};
use crate::finding::Safety;
use crate::flow::{self, Keep};
use crate::repair::Prefer;
use crate::report::terminal::{Look, write_finding};
use crate::report::{diff, flows::count};
use crate::source::Sources;
use crate::suggest::{Suggestion, Tally, Wishes, suggest};

/// Finds out why flows are dropped and writes the smallest correct edits as a diff
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  policyfix suggest k8s/ --flows drops.jsonl | git apply\n  hubble observe --verdict DROPPED -o jsonpb --last 1000 | policyfix suggest k8s/ --flows -\n  policyfix suggest k8s/ --flows drops.jsonl --write"
)]
pub struct Arguments {
    #[command(flatten)]
    tree: TreeArguments,
    #[command(flatten)]
    flows: FlowArguments,
    /// Change the files instead of printing a diff
    #[arg(long)]
    write: bool,
    /// Take fixes too whose intent is a guess
    #[arg(long)]
    unsafe_fixes: bool,
    /// Where evidence leaves a choice: add values beside the ones that are there, and correct none
    #[arg(long, value_enum)]
    prefer: Option<PreferArgument>,
    /// Count flows that passed only in audit mode as drops
    #[arg(long)]
    include_audit: bool,
    /// Pass over flows seen less often
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_count: u64,
    /// Pass over flows of which neither end is in this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// End with code 0 also when there are findings
    #[arg(long)]
    exit_zero: bool,
    /// Print findings without notes on what policy did not cause
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreferArgument {
    /// As the evidence says
    Correct,
    /// Correct nothing, add only
    Add,
}

pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let files = arguments.tree.read();
    if !files.tell_problems(streams)? {
        return Ok(Exit::Unusable);
    }
    let trees = files.trees();
    files.tell_broken(&trees, streams)?;
    let model = files.model(&trees, &arguments.tree.settings());
    let keep = Keep {
        min_count: arguments.min_count,
        namespace: arguments.namespace.clone(),
        include_audit: true,
        ..Keep::default()
    };
    let tally = flow::tally(arguments.flows.inputs(), flow::Options::default(), keep);
    crate::report::flows::tell_summary(&tally.summary, &arguments.flows.names(), streams.err)?;
    if !tally.summary.unreadable.is_empty() {
        return Ok(Exit::Unusable);
    }
    let wishes = Wishes {
        unsafe_fixes: arguments.unsafe_fixes,
        prefer: if arguments.prefer == Some(PreferArgument::Add) { Prefer::Add } else { Prefer::Evidence },
        include_audit: arguments.include_audit,
    };
    let options = arguments.tree.engine_options();
    let suggestion = suggest(&model, &trees, &files.sources, options, tally.distinct(), wishes);
    tell(&suggestion, &files.sources, arguments, streams)?;
    streams.out.write_all(diff::unified(&suggestion.files).as_bytes())?;
    let exit = exit(&suggestion);
    Ok(if arguments.exit_zero && exit != Exit::Unusable { Exit::Clean } else { exit })
}

fn tell(
    suggestion: &Suggestion,
    sources: &Sources,
    arguments: &Arguments,
    streams: &mut Streams<'_>,
) -> io::Result<()> {
    let look = Look {
        color: io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        ..Look::default()
    };
    for finding in &suggestion.findings {
        if arguments.quiet && finding.severity == crate::finding::Severity::Note {
            continue;
        }
        write_finding(finding, sources, &look, streams.err)?;
        writeln!(streams.err)?;
    }
    let unsafe_ones = suggestion
        .findings
        .iter()
        .filter(|finding| finding.fix.as_ref().is_some_and(|fix| fix.safety == Safety::Unsafe))
        .count();
    writeln!(streams.err, "{}", last_line(&suggestion.tally, unsafe_ones, arguments.unsafe_fixes))
}

/// What it all came to, in one line.
fn last_line(tally: &Tally, unsafe_ones: usize, taken: bool) -> String {
    let mut parts = Vec::new();
    if tally.drops > 0 {
        let fixes = if tally.fixes == 1 { "1 fix".to_owned() } else { format!("{} fixes", tally.fixes) };
        parts.push(format!("{fixes} for {} of {}", tally.mended, count(tally.drops, "drop")));
    } else {
        parts.push("no drop that policy caused".to_owned());
    }
    if unsafe_ones > 0 && !taken {
        parts.push(format!("{unsafe_ones} more with --unsafe-fixes"));
    }
    if tally.unmended > 0 {
        parts.push(format!("{} without a safe fix", count(tally.unmended as u64, "flow")));
    }
    let asides: u64 = tally.asides.values().sum();
    if asides > 0 {
        let kinds: Vec<String> =
            tally.asides.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        parts.push(format!("{} set aside ({})", count(asides, "drop"), kinds.join(", ")));
    }
    parts.join("; ")
}

fn exit(suggestion: &Suggestion) -> Exit {
    let tally = &suggestion.tally;
    if tally.unmended > 0 || tally.withheld > 0 {
        Exit::Unmended
    } else if tally.fixes > 0 || tally.denied_on_purpose > 0 {
        Exit::Findings
    } else {
        Exit::Clean
    }
}
