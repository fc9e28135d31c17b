//! Dead or alive: whether anything that is known uses a value that a policy
//! names. A dead value is corrected in place; beside a live one another is added.

use super::{Observed, Scene};
use crate::engine::IdentityId;
use crate::traffic::{Packet, Side, Transport};

/// What is known of the use of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Something uses it.
    Alive,
    /// Nothing speaks either way.
    Unknown,
    /// Nothing that is known uses it, though something would have to.
    Dead,
}

impl Scene<'_, '_> {
    /// The flows that passed on a side of an endpoint.
    pub fn passed_on(&self, subject: IdentityId, side: Side) -> impl Iterator<Item = &Observed> {
        self.passed.iter().filter(move |passed| passed.subject(side) == subject)
    }

    /// Whether anybody known meets all of these requirements.
    pub fn anybody(&self, requirements: &[crate::policy::selector::Requirement<'_>]) -> bool {
        self.everybody.iter().any(|&id| self.engine.failing(requirements, id).is_empty())
    }

    /// Whether a port is used: by a container of one of the destinations, or by
    /// a flow that passed on this side of the subject.
    pub fn use_of_port(
        &self,
        destinations: &[IdentityId],
        subject: IdentityId,
        side: Side,
        transports: &[Transport],
        port: u16,
    ) -> Use {
        let on_it = |observed: &Observed| matches!(observed.packet(), Packet::Port(transport, own) if own == port && transports.contains(&transport));
        let mut seen = self.passed_on(subject, side).peekable();
        let seen_any = seen.peek().is_some();
        if seen.any(|passed| on_it(passed) && destinations.contains(&passed.destination.identity)) {
            return Use::Alive;
        }
        let mut known = 0;
        for &destination in destinations {
            for &transport in transports {
                match self.listens(destination, transport, port) {
                    Some(true) => return Use::Alive,
                    Some(false) => known += 1,
                    None => {}
                }
            }
        }
        if known > 0 || seen_any { Use::Dead } else { Use::Unknown }
    }
}
