//! What an edit must not do: drop what passes, isolate who is open, undo a deny.

use super::edited::Edited;
use super::{Disproof, Prover};
use crate::diagnose::Observed;
use crate::engine::SideVerdict;
use crate::traffic::Side;

impl Prover<'_, '_, '_> {
    /// Holds an edit against all guards; says how many sides of flows that were
    /// seen to pass were judged again.
    ///
    /// # Errors
    /// Names the guard that it breaks.
    pub(in crate::repair) fn guard(&self, edited: &Edited) -> Result<usize, Disproof> {
        self.isolates_nobody(edited)?;
        let guarded = self.keeps_what_passed(edited)?;
        self.keeps_denies(edited)?;
        Ok(guarded)
    }

    fn isolates_nobody(&self, edited: &Edited) -> Result<(), Disproof> {
        let engine = &self.scene.engine;
        let isolates =
            |id, side| !engine.isolates(None, id, side) && engine.isolates(Some(&edited.overlay), id, side);
        let harmed = edited.touched.iter().any(|&id| Side::BOTH.iter().any(|&side| isolates(id, side)));
        if harmed { Err(Disproof::Isolates) } else { Ok(()) }
    }

    /// Flows that were seen to pass, and that the manifests let pass, still do.
    fn keeps_what_passed(&self, edited: &Edited) -> Result<usize, Disproof> {
        let mut guarded = 0;
        for &(flow, side) in &self.passing {
            let flow = &self.scene.passed[flow];
            if edited.touches(flow.subject(side)) {
                guarded += 1;
                if !self.after(edited, flow, side).passes() {
                    return Err(Disproof::Loses);
                }
            }
        }
        Ok(guarded)
    }

    fn keeps_denies(&self, edited: &Edited) -> Result<(), Disproof> {
        let undone = |&(drop, side): &(usize, Side)| {
            let drop = &self.scene.drops[drop];
            edited.touches(drop.subject(side))
                && !matches!(self.after(edited, drop, side), SideVerdict::DeniedByRule(_))
        };
        if self.denied.iter().any(undone) { Err(Disproof::UndoesDeny) } else { Ok(()) }
    }

    fn after(&self, edited: &Edited, flow: &Observed, side: Side) -> SideVerdict {
        let (subject, peer) = (flow.subject(side), flow.peer(side));
        self.scene.engine.side(Some(&edited.overlay), subject, peer, side, flow.packet())
    }
}
