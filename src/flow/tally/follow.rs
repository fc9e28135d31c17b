//! Following a log that goes on: a tally that is looked at whenever all that
//! was written so far has been counted.

use std::ops::ControlFlow;

use super::digest::{Digest, EndTexts};
use super::ends::EndId;
use super::{Keep, Tally};
use crate::flow::hubble::Message;
use crate::flow::input::Input;
use crate::flow::read::{Options, Sink, read_into};
use crate::flow::record::Refused;
use crate::flow::{Origin, Record};

struct Follower<'a> {
    tally: Tally,
    /// How many flows were seen often enough when it was last looked at.
    looked_at: usize,
    look: &'a mut dyn FnMut(&Tally) -> ControlFlow<()>,
}

impl Follower<'_> {
    fn look(&mut self) -> ControlFlow<()> {
        if self.tally.kept_count() == self.looked_at {
            return ControlFlow::Continue(());
        }
        self.looked_at = self.tally.kept_count();
        (self.look)(&self.tally)
    }
}

impl Sink for Follower<'_> {
    type Shared = EndTexts;
    type Known = Vec<EndId>;
    type Digest = Digest;

    fn input(&mut self, name: &str) {
        self.tally.input(name);
    }

    fn digest(ends: &mut EndTexts, message: &Message<'_>) -> Result<Digest, Refused> {
        Tally::digest(ends, message)
    }

    fn know(&mut self, ends: EndTexts) -> Vec<EndId> {
        self.tally.know(ends)
    }

    fn message(&mut self, known: &Vec<EndId>, digest: Digest, origin: Origin) {
        self.tally.message(known, digest, origin);
    }

    fn record(&mut self, record: Record) {
        Sink::record(&mut self.tally, record);
    }

    fn pause(&mut self) -> ControlFlow<()> {
        self.look()
    }
}

/// Counts the flows of inputs that are being written. `look` is called when a
/// distinct flow has become frequent enough to be kept, and all that was there
/// has been counted: the two records of a packet, and answers beside it. It says
/// whether to go on.
pub fn follow(inputs: Vec<Input>, keep: Keep, look: &mut dyn FnMut(&Tally) -> ControlFlow<()>) -> Tally {
    let mut follower = Follower { tally: Tally::new(keep), looked_at: 0, look };
    let summary = read_into(inputs, Options { follow: true }, &mut follower);
    // What only the end of an input completes.
    _ = follower.look();
    follower.tally.summary = summary;
    follower.tally
}
