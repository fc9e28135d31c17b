//! `policyfix lint`: mistakes that need no flow to see, and their mends.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use rustc_hash::FxHashSet;

use super::config::ConfigError;
use super::input::{Files, Setup as TreeSetup, TreeArguments};
use super::{Exit, Streams};
use crate::finding::{FileChange, Finding, Safety, Severity};
use crate::lint::baseline::Baseline;
use crate::lint::{Choice, Context, Found, Options, Outcome, RULES, Unused, fix, run as ask};
use crate::model::{Settings, parse_all};
use crate::report::terminal::Look;
use crate::report::{Format, Run, diff, flows::count, render, write};
use crate::source::{FileId, Sources};

/// Finds mistakes in policies that need no flow to see
#[derive(Debug, Args)]
#[command(
    help_template = super::EXAMPLES_FIRST,
    after_help = "Examples:\n  policyfix lint k8s/\n  policyfix lint --fix\n  policyfix lint --diff | git apply\n  policyfix lint --select shape,service-port\n  policyfix lint --changed k8s/a.yaml k8s/b.yaml\n\nA comment `# policyfix: ignore[id] reason` silences a finding at its line, on the line above it,\nor before the first line of a document for all of it."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    tree: TreeArguments,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Make the mends that are safe, in the files
    #[arg(long, conflicts_with = "diff")]
    fix: bool,
    /// Make those too whose intent is a guess (with --fix or --diff)
    #[arg(long)]
    unsafe_fixes: bool,
    /// Write the mends as a diff to standard output, and change no file
    #[arg(long)]
    diff: bool,
    /// Ask only these rules and families
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    select: Vec<String>,
    /// Leave these rules and families out
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Tell notes too
    #[arg(long)]
    pedantic: bool,
    /// Count the findings of each rule
    #[arg(long)]
    statistics: bool,
    /// List all rules
    #[arg(long)]
    list_rules: bool,
    /// Findings that are accepted for now
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings into the baseline
    #[arg(long)]
    update_baseline: bool,
    /// Report on these files only, and judge with the whole tree: what pre-commit passes
    #[arg(long, value_name = "FILE", num_args = 0..)]
    changed: Option<Vec<PathBuf>>,
    /// Exit with 0 whatever is found
    #[arg(long)]
    exit_zero: bool,
}

/// Why a run cannot be made: wrong usage.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Name(#[from] crate::lint::UnknownName),
    #[error("cannot read the baseline {}: {why}", path.display())]
    Baseline { path: PathBuf, why: String },
    #[error("--update-baseline needs --baseline FILE")]
    NoBaseline,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    if arguments.list_rules {
        list_rules(streams)?;
        return Ok(Exit::Clean);
    }
    let setup = match Setup::of(arguments) {
        Ok(setup) => setup,
        Err(error) => {
            writeln!(streams.err, "error: {error}")?;
            return Ok(Exit::Unusable);
        }
    };
    let files = setup.tree.read();
    if !files.tell_problems(streams)? {
        return Ok(Exit::Unusable);
    }
    let options = setup.options(arguments, &files);
    let exit = if arguments.fix || arguments.diff || arguments.format == Format::Diff {
        mend(arguments, &setup, &options, &files, streams)?
    } else {
        report(arguments, &setup, &options, &files.sources, files.firsts(), streams)?
    };
    let unread = !files.problems.is_empty();
    Ok(match exit {
        Exit::Findings if arguments.exit_zero => Exit::Clean,
        Exit::Clean if unread => Exit::Unusable,
        exit => exit,
    })
}

/// What was typed and what the configuration says, put together.
struct Setup<'a> {
    tree: TreeSetup<'a>,
    choice: Choice,
    baseline: Option<PathBuf>,
    accepted: Option<Baseline>,
    settings: Settings,
}

impl<'a> Setup<'a> {
    fn of(arguments: &'a Arguments) -> Result<Self, UsageError> {
        let tree = arguments.tree.with_configuration()?;
        let config = &tree.config.lint;
        let select = if arguments.select.is_empty() { &config.select } else { &arguments.select };
        let ignore: Vec<String> = config.ignore.iter().chain(&arguments.ignore).cloned().collect();
        let choice = Choice::new(select, &ignore, arguments.pedantic || config.pedantic)?;
        let configured = config.baseline.as_ref().map(|path| tree.folder.join(path));
        let baseline = arguments.baseline.clone().or(configured);
        if arguments.update_baseline && baseline.is_none() {
            return Err(UsageError::NoBaseline);
        }
        let accepted = match &baseline {
            Some(path) if !arguments.update_baseline => Some(read_baseline(path)?),
            _ => None,
        };
        let settings = tree.settings();
        Ok(Self { tree, choice, baseline, accepted, settings })
    }

    fn options(&self, arguments: &Arguments, files: &Files) -> Options {
        Options {
            engine: self.tree.engine_options(),
            version_is_given: self.tree.version().is_some(),
            reported: self.reported(arguments, files),
            managed: self.tree.config.managed(),
        }
    }

    /// The files to report on; `None` for all.
    fn reported(&self, arguments: &Arguments, files: &Files) -> Option<FxHashSet<FileId>> {
        let excluded: Vec<String> = self
            .tree
            .config
            .lint
            .exclude
            .iter()
            .map(|path| files.naming.name(&self.tree.folder.join(path)))
            .collect();
        if arguments.changed.is_none() && excluded.is_empty() {
            return None;
        }
        let changed: Option<FxHashSet<String>> = arguments
            .changed
            .as_ref()
            .map(|changed| changed.iter().map(|path| files.naming.name(path)).collect());
        let is_excluded = |name: &str| {
            excluded.iter().any(|prefix| {
                name.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let wanted = files.sources.iter().filter(|(_, source)| {
            changed.as_ref().is_none_or(|changed| changed.contains(&source.name))
                && !is_excluded(&source.name)
        });
        Some(wanted.map(|(id, _)| id).collect())
    }
}

fn read_baseline(path: &Path) -> Result<Baseline, UsageError> {
    let wrong = |why: String| UsageError::Baseline { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Baseline::parse(&text).map_err(|error| wrong(error.to_string()))
}

/// Tells what is found.
fn report(
    arguments: &Arguments,
    setup: &Setup<'_>,
    options: &Options,
    sources: &Sources,
    firsts: [FileId; 2],
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let trees = parse_all(sources);
    let model = crate::model::Model::read(sources, &trees, firsts, &setup.settings);
    let context = Context::new(&model, &trees, sources, firsts[1], options);
    let mut outcome = ask(&context, &setup.choice);
    if arguments.update_baseline {
        return update_baseline(setup, &context, &outcome, streams);
    }
    if let Some(baseline) = &setup.accepted {
        let stale = baseline.accept(&context, &mut outcome.findings);
        // A run over some files does not see what the others still need.
        for entry in stale.iter().filter(|_| options.reported.is_none()) {
            let what = format!("{} in {}: {}", entry.rule, entry.object, entry.content);
            writeln!(
                streams.err,
                "note: the baseline holds what is mended: {what}; write it anew with --update-baseline"
            )?;
        }
    }
    tell_unused(&outcome.unused, sources, streams)?;
    if arguments.statistics {
        statistics(&outcome.findings, streams)?;
    } else {
        let findings: Vec<Finding> =
            outcome.findings.iter().map(|found| fix::finding(&context, found)).collect();
        let summary = summary(&outcome.findings);
        let run = Run { command: "lint", summary, unsafe_fixes: arguments.unsafe_fixes, date: None };
        for conflict in render(arguments.format, &findings, sources, &run, &look(), streams.out)? {
            writeln!(streams.err, "warning: {conflict}")?;
        }
        if !findings.is_empty() {
            writeln!(streams.err, "{}", run.summary)?;
        }
    }
    let graver = outcome.findings.iter().any(|found| found.severity > Severity::Note);
    Ok(if graver { Exit::Findings } else { Exit::Clean })
}

fn update_baseline(
    setup: &Setup<'_>,
    context: &Context<'_, '_>,
    outcome: &Outcome,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let Some(path) = &setup.baseline else { return Ok(Exit::Unusable) };
    let text = Baseline::of(context, &outcome.findings).text();
    if let Err(error) = std::fs::write(path, text) {
        writeln!(streams.err, "error: cannot write the baseline {}: {error}", path.display())?;
        return Ok(Exit::Unusable);
    }
    let number = count(outcome.findings.len() as u64, "finding");
    writeln!(streams.err, "{number} accepted in {}", path.display())?;
    Ok(Exit::Clean)
}

/// Makes the mends, and tells what is left.
fn mend(
    arguments: &Arguments,
    setup: &Setup<'_>,
    options: &Options,
    files: &Files,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let safety = if arguments.unsafe_fixes { Safety::Unsafe } else { Safety::Safe };
    let mended = fix::mend(&files.sources, files.firsts(), &setup.settings, options, &setup.choice, safety);
    let changes = changes(&files.sources, &mended);
    if !arguments.fix {
        streams.out.write_all(diff::unified(&changes).as_bytes())?;
        return Ok(if changes.is_empty() { Exit::Clean } else { Exit::Findings });
    }
    if let Err(error) = write::write_changes(&changes, files.naming.base()) {
        writeln!(streams.err, "error: {error}")?;
        return Ok(Exit::Unusable);
    }
    if !changes.is_empty() {
        writeln!(streams.err, "mended {}", count(changes.len() as u64, "file"))?;
    }
    report(arguments, setup, options, &mended, files.firsts(), streams)
}

/// The files whose text is another now.
fn changes(before: &Sources, after: &Sources) -> Vec<FileChange> {
    let pairs = before.iter().map(|(id, source)| (id, source, &after[id].text));
    let changed = pairs.filter(|(_, source, text)| source.text != **text);
    changed
        .map(|(id, source, text)| FileChange {
            file: Some(id),
            path: source.path.clone(),
            name: source.name.clone(),
            before: source.text.clone(),
            after: text.clone(),
            edits: Vec::new(),
        })
        .collect()
}

/// Colours only where somebody looks.
fn look() -> Look {
    Look { color: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(), ..Look::default() }
}

fn tell_unused(unused: &[Unused], sources: &Sources, streams: &mut Streams<'_>) -> io::Result<()> {
    for unused in unused {
        let id = sources.text(unused.span);
        writeln!(streams.err, "{}: note: ignore[{id}]: {}", sources.place(unused.span), unused.why)?;
    }
    Ok(())
}

/// What was found, in one line.
fn summary(findings: &[Found]) -> String {
    let of = |safety: Safety| {
        let mends = findings.iter().filter_map(|found| found.mend.as_ref());
        mends.filter(|mend| mend.safety == safety && !mend.changes.is_empty()).count()
    };
    let mut parts = vec![count(findings.len() as u64, "finding")];
    if of(Safety::Safe) > 0 {
        parts.push(format!("{} safe to mend with --fix", of(Safety::Safe)));
    }
    if of(Safety::Unsafe) > 0 {
        parts.push(format!("{} with --unsafe-fixes", of(Safety::Unsafe)));
    }
    parts.join(", ")
}

fn statistics(findings: &[Found], streams: &mut Streams<'_>) -> io::Result<()> {
    let mut counts: Vec<_> = RULES
        .iter()
        .map(|rule| (findings.iter().filter(|found| found.rule.id == rule.id).count(), rule))
        .filter(|(count, _)| *count > 0)
        .collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    for (count, rule) in counts {
        writeln!(streams.out, "{count:>6}  {:<28}  {}", rule.id, rule.summary)?;
    }
    Ok(())
}

fn list_rules(streams: &mut Streams<'_>) -> io::Result<()> {
    for rule in RULES {
        let (family, severity) = (rule.family.as_str(), rule.severity.as_str());
        writeln!(streams.out, "{:<28}  {family:<10}  {severity:<8}  {}", rule.id, rule.summary)?;
    }
    Ok(())
}
