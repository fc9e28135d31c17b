//! What a tree gets wrong by itself. Each is a finding with a place; the rest of
//! the tree is read all the same.

use crate::source::Span;

/// Something in the tree that cannot be followed, or contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Span,
    /// What.
    pub kind: FaultKind,
}

impl Fault {
    /// Whether it hides objects: nobody knows what stands where it points to.
    pub fn hides_objects(&self) -> bool {
        matches!(self.kind, FaultKind::Missing(_) | FaultKind::Outside(_) | FaultKind::Remote(_))
    }
}

/// The kinds of [`Fault`]; as text they follow "in `file:line`:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A kustomization includes itself.
    #[error("kustomization includes itself through {0:?}: kustomize refuses to build it")]
    Cycle(Box<str>),
    /// Kustomizations include each other deeper than anything real does.
    #[error("kustomizations are nested deeper than {0} levels: what lies below is not read")]
    TooDeep(usize),
    /// The tree renders more objects than can be followed.
    #[error("the tree renders more than {0} objects: the rest is not followed")]
    TooMany(usize),
    /// A file or folder that is named and not there.
    #[error("{0:?} is not there: kustomize refuses to build this kustomization")]
    Missing(Box<str>),
    /// A folder that is named as a resource and holds no kustomization.
    #[error("folder {0:?} holds no kustomization: kustomize refuses to build this one")]
    NoKustomization(Box<str>),
    /// A path that leads out of what was read.
    #[error("{0:?} lies outside of what was read")]
    Outside(Box<str>),
    /// A base somewhere else; it is not fetched.
    #[error("{0:?} is not in this repository and is not fetched: objects in it are unknown")]
    Remote(Box<str>),
    /// A folder with several kustomizations.
    #[error("the folder holds another kustomization: kustomize refuses a folder with several")]
    SeveralKustomizations {
        /// The first one.
        first: Span,
    },
    /// A kustomization that is no mapping.
    #[error("this kustomization is no mapping and lists nothing")]
    NotAMapping,
    /// A patch that cannot be read.
    #[error("this patch cannot be read: it is neither an object nor a list of JSON patch operations")]
    UnreadablePatch,
    /// A strategic merge patch for an object that is not there.
    #[error("this patch is for {0}, which this kustomization does not hold: kustomize refuses to build it")]
    NoPatchTarget(Box<str>),
    /// The path of a Flux Kustomization or an Argo CD source is not there.
    #[error("path {0:?} is not in this repository")]
    MissingPath(Box<str>),
    /// Two manifests for one object.
    #[error("{object} is declared twice: the cluster keeps only one of the two")]
    DuplicateObject {
        /// Kind, namespace and name.
        object: Box<str>,
        /// The other declaration.
        first: Span,
    },
    /// One manifest of a cluster-wide object that several builds render.
    #[error("{object} is rendered {times} times for one cluster: the builds overwrite each other")]
    RenderedSeveralTimes {
        /// Kind and name.
        object: Box<str>,
        /// How often.
        times: usize,
    },
}
