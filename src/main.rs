//! The command: reads the arguments, runs them, ends with their exit code.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use policyfix::cli::{Arguments, Exit, Streams, run};

fn main() -> ExitCode {
    tell_panics_in_words();
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    // Not locked: a panic on another thread must be able to say so.
    let mut err = BufWriter::new(io::stderr());
    let mut streams = Streams { out: &mut out, err: &mut err };
    let ended = run(arguments, &mut streams);
    match ended.and_then(|exit| out.flush().and(err.flush()).map(|()| exit)) {
        Ok(exit) => ExitCode::from(exit.code()),
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(Exit::Unusable.code()),
    }
}

/// A panic that the library catches is told as a finding. Any other is a fault
/// of this program, and people read words.
fn tell_panics_in_words() {
    std::panic::set_hook(Box::new(|panic| {
        if policyfix::yaml::catches_panics() {
            return;
        }
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let why = panic.payload_as_str().unwrap_or("no words");
        // Nothing is left to do when nobody can be told.
        let _ = writeln!(
            io::stderr(),
            "error: policyfix has a fault{place}: {why}; please report it with what it read"
        );
    }));
}
