//! Why a flow is dropped: what policy did not do is set aside and named; for
//! each side that policy denies, the rules that would admit the flow if exactly
//! one thing about them were different (near misses), read from the engine's trace.

mod aside;
mod evidence;
mod near;
mod scene;
mod workloads;

pub use aside::{Aside, Reason, sort_out};
pub use evidence::Use;
pub use near::{Miss, NearMiss, near_misses, peer_requirements};
pub use scene::{Observed, Scene};
pub use workloads::{Workloads, is_stable};

use crate::traffic::Side;

/// A side of a drop that policy denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gap {
    /// Which of the scene's drops.
    pub drop: usize,
    /// The side that denies it.
    pub side: Side,
}
