//! A candidate: edits that might mend some drops, and the cause that they answer.

use std::path::PathBuf;

use crate::finding::{Label, Safety};
use crate::source::FileId;
use crate::yaml::Change;

/// What kind of edit a candidate makes, from the most local to the least
/// (DESIGN 4.4). The order is part of the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// Another value in the place of a dead one.
    CorrectValue,
    /// Another key for a label.
    CorrectKey,
    /// The namespace of a peer.
    AddNamespace,
    /// A port beside the others.
    AddPort,
    /// A peer beside the others.
    AddPeer,
    /// Another kind of peer in the place of one that cannot match.
    SwapPeer,
    /// `enableDefaultDeny: false`.
    OpenSide,
    /// A rule in the policy that already selects the subject.
    AddRule,
    /// Another namespace for the policy.
    MovePolicy,
    /// An entry for its file in a kustomization.
    ListPolicy,
    /// What a refused policy meant, in words that Cilium takes.
    MendRefused,
    /// A new policy.
    AddPolicy,
}

/// A file that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFile {
    /// Where.
    pub path: PathBuf,
    /// Its name in a diff.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Edits that might mend one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What kind of edit.
    pub operator: Operator,
    /// The id of the cause, which `policyfix explain` knows.
    pub cause: &'static str,
    /// The edits, with the file that each belongs to.
    pub edits: Vec<(FileId, Change)>,
    /// Files to be made.
    pub new_files: Vec<NewFile>,
    /// The place that is blamed.
    pub blame: Label,
    /// Other places that matter.
    pub related: Vec<Label>,
    /// Why the flow is dropped, in a sentence.
    pub why: String,
    /// What the edit does, in a few words.
    pub title: String,
    /// What speaks for this edit and not another.
    pub evidence: Option<String>,
    /// How far it may be trusted if the proof holds.
    pub safety: Safety,
    /// It puts right what the policy already says: what else that opens is the
    /// author's own word.
    pub corrects: bool,
    /// Something to hold true that the log does not show; the proof rests on it.
    pub assumption: Option<Assumption>,
}

impl Candidate {
    /// An addition that needs no assumption, safe as far as its proof goes. Why
    /// and title are still to be said.
    pub(super) fn new(
        operator: Operator,
        cause: &'static str,
        edits: Vec<(FileId, Change)>,
        blame: Label,
    ) -> Self {
        Self {
            operator,
            cause,
            edits,
            new_files: Vec::new(),
            blame,
            related: Vec::new(),
            why: String::new(),
            title: String::new(),
            evidence: None,
            safety: Safety::Safe,
            corrects: false,
            assumption: None,
        }
    }

    /// An edit that puts right what the policy already says.
    pub(super) fn correction(
        operator: Operator,
        cause: &'static str,
        edits: Vec<(FileId, Change)>,
        blame: Label,
    ) -> Self {
        Self { corrects: true, ..Self::new(operator, cause, edits, blame) }
    }
}

/// What a proof takes for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumption {
    /// An address outside goes by these names, once DNS passes the proxy.
    Names(Vec<Box<str>>),
}
