//! `policyfix completions`: what a shell needs to complete commands and options.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Exit, Streams};

/// Prints completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  policyfix completions bash > /etc/bash_completion.d/policyfix")]
pub(super) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let mut text = Vec::new();
    generate(arguments.shell, &mut super::Arguments::command(), "policyfix", &mut text);
    streams.out.write_all(&text)?;
    Ok(Exit::Clean)
}
