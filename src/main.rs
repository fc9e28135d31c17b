//! The command: reads the arguments, runs them, ends with their exit code.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use policyfix::cli::{Arguments, Exit, Streams, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = BufWriter::new(io::stderr().lock());
    let mut streams = Streams { out: &mut out, err: &mut err };
    let ended = run(arguments, &mut streams);
    match ended.and_then(|exit| out.flush().and(err.flush()).map(|()| exit)) {
        Ok(exit) => ExitCode::from(exit.code()),
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(Exit::Unusable.code()),
    }
}
