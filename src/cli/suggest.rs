//! `policyfix suggest`: diagnoses each drop and writes the diff to standard
//! output, the findings to standard error.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::flows::KeepArguments;
use super::input::{Files, FlowArguments, Setup, TreeArguments};
use super::{Exit, Streams};
use crate::engine;
use crate::finding::{Safety, Severity};
use crate::flow::{self, Distinct, Keep};
use crate::model::Model;
use crate::repair::Prefer;
use crate::report::terminal::{Look, write_finding};
use crate::report::{Format, Run, diff, flows::count, patch, render, write};
use crate::source::Sources;
use crate::suggest::{Suggestion, Tally, Wishes, suggest, where_dropped};
use crate::yaml::Tree;

/// Finds out why flows are dropped and writes the smallest correct edits as a diff
#[derive(Debug, Args)]
#[command(
    help_template = super::EXAMPLES_FIRST,
    after_help = "Examples:\n  policyfix suggest k8s/ --flows drops.jsonl | git apply\n  hubble observe --verdict DROPPED -o jsonpb --last 1000 | policyfix suggest k8s/ --flows -\n  policyfix suggest k8s/ --flows drops.jsonl --write\n  policyfix suggest k8s/ --flows drops.jsonl --out patches/ && git am patches/*.patch"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    tree: TreeArguments,
    #[command(flatten)]
    flows: FlowArguments,
    #[command(flatten)]
    keep: KeepArguments,
    /// Change the files instead of printing a diff
    #[arg(long, conflicts_with = "out")]
    write: bool,
    /// Write one patch a fix into this folder, for `git am`, instead of printing a diff
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print: text is a diff on standard output and the findings on standard error
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Take fixes too whose intent is a guess
    #[arg(long)]
    unsafe_fixes: bool,
    /// Where evidence leaves a choice: correct what is there, or add beside it
    #[arg(long, value_enum)]
    prefer: Option<PreferArgument>,
    /// Tell the next best fixes too, this many for each drop
    #[arg(long, value_name = "N", default_value_t = 0)]
    alternatives: usize,
    /// Go on reading, as from `hubble observe -f`, and tell each new finding once
    #[arg(long, conflicts_with_all = ["write", "out", "format"])]
    follow: bool,
    /// End with code 0 also when there are findings
    #[arg(long)]
    exit_zero: bool,
    /// Say nothing of drops that policy did not cause
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreferArgument {
    /// Correct a value where that mends, also one that something else may use
    Correct,
    /// Correct nothing, add only
    Add,
}

impl Arguments {
    fn wishes(&self) -> Wishes {
        Wishes {
            unsafe_fixes: self.unsafe_fixes,
            prefer: match self.prefer {
                Some(PreferArgument::Add) => Prefer::Add,
                Some(PreferArgument::Correct) => Prefer::Correct,
                None => Prefer::Evidence,
            },
            include_audit: self.keep.keep().include_audit,
            alternatives: self.alternatives,
        }
    }
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let Some(setup) = arguments.tree.setup(streams)? else { return Ok(Exit::Unusable) };
    let files = setup.read();
    if !files.tell_problems(streams)? {
        return Ok(Exit::Unusable);
    }
    let trees = files.trees();
    files.tell_broken(&trees, streams)?;
    let mut model = files.model(&trees, &setup.settings());
    files.tell_tree(&model, arguments.tree.verbose, streams)?;
    if arguments.follow {
        files.tell_variants(&model, streams)?;
        return follow(arguments, &setup, &files, &trees, &model, streams);
    }
    // Audited flows are evidence at least; whether they count as drops is a wish.
    let keep = Keep { include_audit: true, ..arguments.keep.keep() };
    let tally = flow::tally(arguments.flows.inputs(), flow::Options::default(), keep);
    crate::report::flows::tell_summary(&tally.summary, &arguments.flows.names(), streams.err)?;
    crate::report::tally::tell_left_out(&tally, streams.err)?;
    if !tally.summary.unreadable.is_empty() || tally.summary.is_all_broken() {
        return Ok(Exit::Unusable);
    }
    let wishes = arguments.wishes();
    let flows = tally.distinct();
    let options = setup.engine_options_for(flows.iter().map(|seen| &seen.flow), streams)?;
    let ends = flows.iter().flat_map(|seen| seen.flow.ends());
    files.tell_inferred(&model.infer_namespaces(ends, &options), streams)?;
    let others = if model.variant_is_named() { Vec::new() } else { model.others() };
    let model = match others.is_empty() {
        true => &model,
        false => where_dropped(&model, &others, &options, &flows),
    };
    files.tell_variants(model, streams)?;
    let date = last_seen(&flows);
    let suggestion = suggest(model, &trees, &files.sources, options, flows, wishes);
    let summary = last_line(&suggestion, arguments.unsafe_fixes);
    let run = Run { command: "suggest", summary, unsafe_fixes: arguments.unsafe_fixes, date };
    if arguments.format == Format::Text {
        tell(&suggestion, &files.sources, arguments.quiet, streams)?;
    }
    writeln!(streams.err, "{}", run.summary)?;
    if !deliver(arguments, &suggestion, &files, &run, streams)? {
        return Ok(Exit::Unusable);
    }
    let exit = exit(&suggestion.tally);
    Ok(if arguments.exit_zero { Exit::Clean } else { exit })
}

/// Reads a log that goes on. Whenever a flow comes that was not seen before, all
/// that was seen is diagnosed anew, and what was not told yet is told, with the
/// diff of its fix alone.
fn follow(
    arguments: &Arguments,
    setup: &Setup<'_>,
    files: &Files,
    trees: &[Tree<'_>],
    model: &Model<'_>,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let keep = Keep { include_audit: true, ..arguments.keep.keep() };
    let mut told: BTreeSet<(&'static str, String)> = BTreeSet::new();
    let mut written = Ok(());
    // Known once a flow has told which cluster it was decided in.
    let mut known: Option<engine::Options> = None;
    let summary = flow::follow(arguments.flows.inputs(), keep, &mut |tally| {
        let flows = tally.distinct();
        written = (|| {
            let options = match known.clone() {
                Some(options) => options,
                None => setup.engine_options_for(flows.iter().map(|seen| &seen.flow), streams)?,
            };
            if flows.iter().any(|seen| seen.flow.decided_in().is_some()) {
                known = Some(options.clone());
            }
            let suggestion = suggest(model, trees, &files.sources, options, flows, arguments.wishes());
            tell_new(&suggestion, files, arguments, &mut told, streams)
        })();
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .summary;
    written?;
    crate::report::flows::tell_summary(&summary, &arguments.flows.names(), streams.err)?;
    Ok(if told.is_empty() || arguments.exit_zero { Exit::Clean } else { Exit::Findings })
}

/// Tells the findings that were not told before. A finding is known by its
/// cause and its fix: that more flows share it is nothing new.
fn tell_new(
    suggestion: &Suggestion,
    files: &Files,
    arguments: &Arguments,
    told: &mut BTreeSet<(&'static str, String)>,
    streams: &mut Streams<'_>,
) -> io::Result<()> {
    for finding in &suggestion.findings {
        if arguments.quiet && finding.severity == Severity::Note {
            continue;
        }
        let name = finding.fix.as_ref().map_or_else(|| finding.title.clone(), |fix| fix.title.clone());
        if !told.insert((finding.id, name)) {
            continue;
        }
        write_finding(finding, &files.sources, &look(), streams.err)?;
        writeln!(streams.err)?;
        streams.err.flush()?;
        let wanted = |fix: &&crate::finding::Fix| arguments.unsafe_fixes || fix.safety == Safety::Safe;
        if let Some(fix) = finding.fix.as_ref().filter(wanted) {
            streams.out.write_all(diff::unified(&fix.files).as_bytes())?;
            streams.out.flush()?;
        }
    }
    Ok(())
}

/// How text looks on this terminal.
fn look() -> Look {
    Look { color: io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(), ..Look::default() }
}

/// Puts the fixes where they are wanted. Whether they got there.
fn deliver(
    arguments: &Arguments,
    suggestion: &Suggestion,
    files: &Files,
    run: &Run,
    streams: &mut Streams<'_>,
) -> io::Result<bool> {
    let written = if arguments.write {
        write::write_changes(&suggestion.files, files.naming.base())
    } else if let Some(folder) = &arguments.out {
        let (patches, conflicts) = patch::patches(&suggestion.findings, run);
        for conflict in conflicts {
            writeln!(streams.err, "warning: {conflict}")?;
        }
        write::save_patches(&patches, folder)
    } else {
        Ok(())
    };
    if let Err(error) = written {
        writeln!(streams.err, "error: {error}")?;
        return Ok(false);
    }
    let elsewhere = arguments.write || arguments.out.is_some();
    match arguments.format {
        Format::Text | Format::Diff if elsewhere => {}
        // Proven together, not only each alone.
        Format::Text | Format::Diff => streams.out.write_all(diff::unified(&suggestion.files).as_bytes())?,
        format => {
            let conflicts =
                render(format, &suggestion.findings, &files.sources, run, &Look::default(), streams.out)?;
            for conflict in conflicts {
                writeln!(streams.err, "warning: {conflict}")?;
            }
        }
    }
    Ok(true)
}

/// The time of the last flow: the date of patches, so that they are the same each time.
fn last_seen(flows: &[Distinct]) -> Option<jiff::Timestamp> {
    flows.iter().filter_map(|distinct| distinct.span).map(|(_, last)| last).max()
}

fn tell(
    suggestion: &Suggestion,
    sources: &Sources,
    quiet: bool,
    streams: &mut Streams<'_>,
) -> io::Result<()> {
    let look = look();
    let shown = suggestion.findings.iter().filter(|finding| !quiet || finding.severity != Severity::Note);
    for finding in shown {
        write_finding(finding, sources, &look, streams.err)?;
        writeln!(streams.err)?;
    }
    Ok(())
}

/// What it all came to, in one line.
fn last_line(suggestion: &Suggestion, unsafe_taken: bool) -> String {
    let tally = &suggestion.tally;
    let is_unsafe = |finding: &&crate::finding::Finding| {
        finding.fix.as_ref().is_some_and(|fix| fix.safety == Safety::Unsafe)
    };
    let unsafe_ones = suggestion.findings.iter().filter(is_unsafe).count();
    let mut parts = Vec::new();
    if tally.drops > 0 {
        let fixes = if tally.fixes == 1 { "1 fix".to_owned() } else { format!("{} fixes", tally.fixes) };
        parts.push(format!("{fixes} for {} of {}", tally.mended, count(tally.drops, "drop")));
    } else {
        parts.push("no drop to mend".to_owned());
    }
    if unsafe_ones > 0 && !unsafe_taken {
        parts.push(format!("{unsafe_ones} more with --unsafe-fixes"));
    }
    if tally.postponed > 0 {
        parts.push(format!("{} for the next run, as they do not go together with these", tally.postponed));
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

/// What the exit code tells: whether a drop that policy caused stays.
fn exit(tally: &Tally) -> Exit {
    if tally.unmended > 0 || tally.withheld > 0 || tally.denied_on_purpose > 0 {
        Exit::Unmended
    } else if tally.fixes > 0 {
        Exit::Findings
    } else {
        Exit::Clean
    }
}
