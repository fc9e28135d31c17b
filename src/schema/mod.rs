//! Whether a manifest has the shape that its kind demands: the schemas of
//! `schemas/`, compiled when first asked for, and each error at its place in
//! the file. What Cilium refuses beyond the shape is said in `policy`.

mod compiled;
mod instance;
mod message;
mod place;

use std::sync::OnceLock;

use compiled::Compiled;
use instance::Instance;

use crate::manifest::Object;
use crate::source::Span;
use crate::version::CiliumVersion;
use crate::yaml::Value;

/// A kind that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `CiliumNetworkPolicy` of `cilium.io`.
    CiliumNetworkPolicy,
    /// `CiliumClusterwideNetworkPolicy` of `cilium.io`.
    CiliumClusterwideNetworkPolicy,
    /// `NetworkPolicy` of `networking.k8s.io`.
    NetworkPolicy,
    /// `CiliumCIDRGroup` of `cilium.io`.
    CiliumCidrGroup,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [
        Kind::CiliumNetworkPolicy,
        Kind::CiliumClusterwideNetworkPolicy,
        Kind::NetworkPolicy,
        Kind::CiliumCidrGroup,
    ];

    /// The kind of an object, if it is one that has a schema.
    pub fn of(object: &Object<'_>) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| {
            let group = if *kind == Kind::NetworkPolicy { "networking.k8s.io" } else { "cilium.io" };
            object.is(group, kind.name())
        })
    }

    /// As manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::CiliumNetworkPolicy => "CiliumNetworkPolicy",
            Kind::CiliumClusterwideNetworkPolicy => "CiliumClusterwideNetworkPolicy",
            Kind::NetworkPolicy => "NetworkPolicy",
            Kind::CiliumCidrGroup => "CiliumCIDRGroup",
        }
    }

    /// The kind with which it is most easily mixed up.
    fn sibling(self) -> Option<Kind> {
        match self {
            Kind::CiliumNetworkPolicy | Kind::CiliumClusterwideNetworkPolicy => Some(Kind::NetworkPolicy),
            Kind::NetworkPolicy => Some(Kind::CiliumNetworkPolicy),
            Kind::CiliumCidrGroup => None,
        }
    }
}

/// One way in which a manifest does not have the shape of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// In which way.
    pub fault: SchemaFault,
    /// What is wrong and what would be right, in one sentence.
    pub message: String,
    /// The scalar that is wrong, the key that is unknown, or the key under
    /// which something is missing.
    pub span: Span,
    /// The JSON pointer of the node, from the object's root.
    pub pointer: String,
}

/// What a schema can have against a part of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaFault {
    /// A key that the kind does not know at this place.
    UnknownField {
        /// The key of this place that was probably meant.
        meant: Option<String>,
    },
    /// A field that must be there is not.
    MissingField,
    /// Of several fields exactly one, or at least one, must be there.
    Choice,
    /// A value of another type.
    Type,
    /// A value that is not possible here.
    Value {
        /// The word that was probably meant, where the place knows only some.
        meant: Option<String>,
    },
}

/// Checks an object against the schema of its kind as it stands in a release
/// (`semantics.md` 1.5 S1 to S24, 1.6, 7). The errors come in the order of the
/// file. A value that holds `${…}` is unknown and never wrong.
pub fn check(kind: Kind, version: CiliumVersion, root: Value<'_>) -> Vec<SchemaError> {
    let Some(compiled) = schema_of(kind, version) else { return Vec::new() };
    if compiled.validator.is_valid(Instance::Node(root)) {
        return Vec::new();
    }
    message::errors(kind, compiled, root)
}

/// The schema of a kind in a release. `None` could only be a fault in the
/// embedded schemas; a test holds that there is none.
fn schema_of(kind: Kind, version: CiliumVersion) -> Option<&'static Compiled> {
    const RELEASES: usize = CiliumVersion::ALL.len();
    static COMPILED: [[OnceLock<Option<Compiled>>; RELEASES]; Kind::ALL.len()] =
        [const { [const { OnceLock::new() }; RELEASES] }; Kind::ALL.len()];
    let release = CiliumVersion::ALL.iter().position(|known| *known == version)?;
    COMPILED[kind as usize][release].get_or_init(|| Compiled::new(kind, version)).as_ref()
}

#[cfg(test)]
mod tests;
