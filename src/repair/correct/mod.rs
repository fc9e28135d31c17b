//! Corrections in place: one value, key or name of a near miss is put right
//! where nothing that is known uses what stands there (DESIGN 4.5).

mod address;
mod api_server;
mod label;
mod namespace;
mod port;

use super::candidate::{Candidate, Operator};
use crate::diagnose::{Gap, Miss, NearMiss, Scene};
use crate::engine::IdentityId;
use crate::finding::Label;
use crate::spelling::slips;
use crate::traffic::{Packet, Side};
use crate::yaml::{Change, Refusal};

pub(super) use api_server::{api_server, is_private};

/// What a correction is about: a near miss of one gap.
pub(super) struct Case<'c, 'm, 's> {
    /// The scene.
    pub scene: &'c Scene<'m, 's>,
    /// The denied side.
    pub gap: Gap,
    /// The near miss.
    pub near: &'c NearMiss<'m, 's>,
    /// Correct a value that something may use, too: asked for with `--prefer correct`.
    pub even_alive: bool,
}

/// All corrections for a near miss.
pub(super) fn corrections(case: &Case<'_, '_, '_>) -> Vec<Candidate> {
    if !case.scene.model.is_editable(case.near.policy) {
        return Vec::new();
    }
    let one = match &case.near.miss {
        Miss::Peer => return case.other_peer(),
        Miss::Ports => return case.ports(),
        Miss::Refused | Miss::NotApplied => None,
        Miss::PolicyNamespace => case.move_policy(),
        Miss::SubjectLabel(requirement) => case.subject_label(requirement),
        Miss::PeerNamespaceMissing(item, selector) => case.add_namespace(item, selector),
        Miss::PeerNamespace(_, selector, requirement) => case.peer_namespace(selector, requirement),
        Miss::PeerLabel(_, selector, requirement) => case.peer_label(selector, requirement),
        Miss::PeerCluster(item, selector) => case.peer_cluster(item, selector),
    };
    one.into_iter().collect()
}

impl<'m, 's> Case<'_, 'm, 's> {
    fn side(&self) -> Side {
        self.gap.side
    }

    fn subject(&self) -> IdentityId {
        self.scene.drops[self.gap.drop].subject(self.gap.side)
    }

    fn peer(&self) -> IdentityId {
        self.scene.drops[self.gap.drop].peer(self.gap.side)
    }

    fn packet(&self) -> Packet {
        self.scene.drops[self.gap.drop].packet()
    }

    /// A correction in the file of the near miss.
    fn candidate(
        &self,
        operator: Operator,
        cause: &'static str,
        change: Result<Change, Refusal>,
        blame: Label,
    ) -> Option<Candidate> {
        let edits = vec![(self.near.policy.value.tree().file, change.ok()?)];
        Some(Candidate::correction(operator, cause, edits, blame))
    }

    fn name(&self, id: IdentityId) -> String {
        super::identity_name(self.scene, id)
    }
}

/// One typing slip, a swap, or something put on behind a dash.
pub(super) fn is_near(written: &str, observed: &str) -> bool {
    let put_on = |longer: &str, shorter: &str| {
        longer.strip_prefix(shorter).is_some_and(|rest| rest.starts_with(['-', '.', '_']))
    };
    let slip = slips(written, observed).is_some_and(|slips| slips <= 1.max(observed.len() / 5).min(2));
    slip || put_on(written, observed) || put_on(observed, written)
}
