//! What can be typed, what it means, and the exit code: one file a subcommand.

mod completions;
mod config;
mod explain;
mod flows;
mod input;
mod lint;
mod suggest;
mod verdict;

use std::io::Write;

use clap::{Parser, Subcommand};

/// The help of a command: what it does, how it is typed, and only then each option.
const EXAMPLES_FIRST: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to mend.
    Clean,
    /// There are findings or suggestions, as `diff` has it.
    Findings,
    /// Wrong usage or unreadable input.
    Unusable,
    /// At least one drop that policy caused has no safe fix.
    Unmended,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Findings => 1,
            Exit::Unusable => 2,
            Exit::Unmended => 3,
        }
    }
}

/// Finds out why Cilium dropped a flow and mends the manifest that caused it.
#[derive(Debug, Parser)]
#[command(name = "policyfix", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 nothing to mend, 1 findings or suggestions, 2 wrong usage or unreadable input, 3 a drop that policy caused has no safe fix."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Suggest(suggest::Arguments),
    Verdict(verdict::Arguments),
    Flows(flows::Arguments),
    Lint(Box<lint::Arguments>),
    Explain(explain::Arguments),
    Completions(completions::Arguments),
}

/// Where output goes: results to one stream, people's text to the other.
pub struct Streams<'w> {
    /// The result and nothing else.
    pub out: &'w mut dyn Write,
    /// What people read.
    pub err: &'w mut dyn Write,
}

/// Runs what was typed.
///
/// # Errors
/// When a stream cannot be written.
pub fn run(arguments: Arguments, streams: &mut Streams<'_>) -> std::io::Result<Exit> {
    match arguments.command {
        Command::Suggest(arguments) => suggest::run(&arguments, streams),
        Command::Verdict(arguments) => verdict::run(&arguments, streams),
        Command::Flows(arguments) => flows::run(&arguments, streams),
        Command::Lint(arguments) => lint::run(&arguments, streams),
        Command::Explain(arguments) => explain::run(&arguments, streams),
        Command::Completions(arguments) => completions::run(&arguments, streams),
    }
}
