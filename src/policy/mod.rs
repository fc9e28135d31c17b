//! What a policy means: one typed model for CiliumNetworkPolicy,
//! CiliumClusterwideNetworkPolicy and NetworkPolicy, every part with the node it
//! was read from (`semantics.md` 1).
//!
//! Decoding keeps going after a wrong value: what is wrong by itself becomes a
//! [`Fault`]. Nothing here depends on a Cilium version; what does is in
//! [`refuse`] and [`injection`].

pub mod cidr_group;
mod decode;
mod decode_ports;
mod go_regex;
pub mod icmp;
pub mod injection;
mod knp;
pub mod l7;
pub mod name;
pub mod peer;
pub mod ports;
pub mod refuse;
mod refuse_l7;
pub mod selector;

pub use decode::{Context, decode, is_policy};
pub use peer::{Peer, PeerField, PeerItem, PeerKey};
pub use selector::Selector;

use crate::manifest::Text;
use crate::source::{Span, Spanned};
use crate::traffic::Side;
use crate::yaml::{Entry, Value};

/// The three kinds, which Cilium turns into one set of rules (`semantics.md` 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyKind {
    /// CiliumNetworkPolicy.
    Cnp,
    /// CiliumClusterwideNetworkPolicy.
    Ccnp,
    /// NetworkPolicy of Kubernetes.
    Knp,
}

impl PolicyKind {
    /// As `kind` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyKind::Cnp => "CiliumNetworkPolicy",
            PolicyKind::Ccnp => "CiliumClusterwideNetworkPolicy",
            PolicyKind::Knp => "NetworkPolicy",
        }
    }
}

/// Where the namespace of a policy comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Namespace<'s> {
    /// The kind is cluster-wide and has none.
    Clusterwide,
    /// It is this one; the place says so, where one does.
    Known(Text<'s>, Option<Span>),
    /// Nothing says it, and it is the only one in which the policy selects an
    /// endpoint that was seen.
    Inferred(Text<'s>),
    /// It cannot be known: why.
    Unknown(String),
}

impl Namespace<'_> {
    /// The name, where it is known.
    pub fn name(&self) -> Option<&str> {
        match self {
            Namespace::Known(name, _) | Namespace::Inferred(name) => Some(name),
            Namespace::Clusterwide | Namespace::Unknown(_) => None,
        }
    }
}

/// Why nothing brings a policy into the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApplied {
    /// In words.
    pub why: String,
    /// The place that decides so.
    pub place: Span,
    /// The kustomization at that place would apply it if it listed its file.
    pub is_unlisted: bool,
}

/// The parts of a policy that may be other than they are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsure {
    /// Whom it is about.
    pub subject: bool,
    /// What it allows, and whether it closes the side: egress, ingress.
    pub allow: [bool; 2],
    /// What it denies: egress, ingress.
    pub deny: [bool; 2],
}

impl Unsure {
    /// Whether everything is as it is written.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// One policy object.
#[derive(Debug, Clone)]
pub struct Policy<'s> {
    /// Which kind it is.
    pub kind: PolicyKind,
    /// `metadata.name`.
    pub name: Spanned<Text<'s>>,
    /// The namespace it ends up in.
    pub namespace: Namespace<'s>,
    /// The whole object.
    pub value: Value<'s>,
    /// The document of the file that holds it.
    pub document: usize,
    /// `spec`, then each of `specs`.
    pub rules: Vec<Rule<'s>>,
    /// Whether the object has `spec` or `specs` at all.
    pub has_rules: bool,
    /// What is wrong with the object whatever the version.
    pub faults: Vec<Fault>,
    /// Why nothing brings it into the cluster; `None` when something does. Then it takes no part in any verdict.
    pub not_applied: Option<NotApplied>,
    /// A patch that changes more of it than its metadata, and is not evaluated.
    pub changed_by: Option<Span>,
    /// The parts of it that may be other than they are written.
    pub unsure: Unsure,
}

impl Policy<'_> {
    /// The place that gives it its namespace, where that is not its own text.
    pub fn namespace_from(&self) -> Option<Span> {
        let Namespace::Known(_, Some(from)) = &self.namespace else { return None };
        let own = self.value.path(&["metadata", "namespace"]).map(Value::span);
        (own != Some(*from)).then_some(*from)
    }

    /// `namespace/name`, or the name alone for a cluster-wide policy.
    pub fn title(&self) -> String {
        match self.namespace.name() {
            Some(namespace) => format!("{namespace}/{}", self.name.value),
            None => self.name.value.to_string(),
        }
    }
}

/// One `spec`: who it is about and what it lets pass.
#[derive(Debug, Clone)]
pub struct Rule<'s> {
    /// The mapping it was read from.
    pub value: Value<'s>,
    /// Whether it is an item of `specs`.
    pub in_specs: bool,
    /// Who it is about.
    pub subject: Subject<'s>,
    /// `ingress`, `egress`, `ingressDeny`, `egressDeny`, as far as they are written.
    pub sections: Vec<Section<'s>>,
    /// `enableDefaultDeny` per side: egress, ingress.
    pub default_deny: [Option<Spanned<bool>>; 2],
    /// A side that a NetworkPolicy closes by `policyTypes` alone: egress, ingress.
    pub closes: [bool; 2],
}

impl<'s> Rule<'s> {
    /// The section of this side and action, if it is written.
    pub fn section(&self, side: Side, action: Action) -> Option<&Section<'s>> {
        self.sections.iter().find(|section| section.side == side && section.action == action)
    }

    /// Whether it has an element in this direction, an empty one included:
    /// that is what makes the direction enforced (`semantics.md` 3.3).
    pub fn speaks_of(&self, side: Side) -> bool {
        self.closes[side as usize]
            || self.sections.iter().any(|section| section.side == side && !section.elements.is_empty())
    }
}

/// Whom a rule is about.
#[derive(Debug, Clone)]
pub enum Subject<'s> {
    /// `endpointSelector` or `podSelector`.
    Endpoints(Selector<'s>),
    /// `nodeSelector`: the node itself.
    Nodes(Selector<'s>),
    /// Both selectors, or none.
    Unclear,
}

/// Whether an element lets pass or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// `ingress`, `egress`.
    Allow,
    /// `ingressDeny`, `egressDeny`.
    Deny,
}

/// One of the four lists of a rule.
#[derive(Debug, Clone)]
pub struct Section<'s> {
    /// Which direction.
    pub side: Side,
    /// Allow or deny.
    pub action: Action,
    /// The key and the list.
    pub entry: Entry<'s>,
    /// Its items.
    pub elements: Vec<Element<'s>>,
}

/// One item of a section. Peers are OR-ed, ports are OR-ed, and peers and ports
/// are AND-ed (`semantics.md` 3.4).
#[derive(Debug, Clone)]
pub struct Element<'s> {
    /// The item.
    pub value: Value<'s>,
    /// The peer fields that are written, in order; null ones are not.
    pub peers: Vec<PeerField<'s>>,
    /// `fromRequires` / `toRequires` (up to 1.18).
    pub requires: Vec<Selector<'s>>,
    /// `toPorts`, or `ports` of a NetworkPolicy.
    pub to_ports: Option<ToPorts<'s>>,
    /// `icmps`.
    pub icmps: Option<Icmps<'s>>,
    /// `authentication.mode`.
    pub authentication: Option<Spanned<Text<'s>>>,
}

impl<'s> Element<'s> {
    /// An item that says nothing.
    fn empty(value: Value<'s>) -> Self {
        Self {
            value,
            peers: Vec::new(),
            requires: Vec::new(),
            to_ports: None,
            icmps: None,
            authentication: None,
        }
    }
}

/// The port lists of an element.
#[derive(Debug, Clone)]
pub struct ToPorts<'s> {
    /// The key and the list.
    pub entry: Entry<'s>,
    /// Its items; a NetworkPolicy's `ports` are one.
    pub lists: Vec<PortList<'s>>,
}

/// One item of `toPorts`.
#[derive(Debug, Clone)]
pub struct PortList<'s> {
    /// The item.
    pub value: Value<'s>,
    /// `ports`: the list's node, where it is written.
    pub list: Option<Value<'s>>,
    /// Its items.
    pub ports: Vec<ports::Port<'s>>,
    /// `rules`, `serverNames`, `listener` and TLS contexts.
    pub l7: l7::Layer7<'s>,
}

/// `icmps` of an element.
#[derive(Debug, Clone)]
pub struct Icmps<'s> {
    /// The key and the list.
    pub entry: Entry<'s>,
    /// The fields of all items.
    pub fields: Vec<icmp::Field<'s>>,
}

/// Who refuses an object with a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusedBy {
    /// The API server stores it; every agent ignores the whole object.
    Agent,
    /// The API server does not store it.
    ApiServer,
}

/// What a manifest gets wrong by itself, without any flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the check in `semantics.md` 1.4 and 1.5: `V9`, `S13`.
    pub check: &'static str,
    /// What is wrong and what Cilium does about it.
    pub message: String,
    /// The place to point at.
    pub span: Span,
    /// Who refuses it.
    pub by: RefusedBy,
}

impl Fault {
    /// A fault that the agent finds.
    pub fn agent(check: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { check, message: message.into(), span, by: RefusedBy::Agent }
    }

    /// A fault that the API server finds.
    pub fn api_server(check: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { check, message: message.into(), span, by: RefusedBy::ApiServer }
    }
}

/// Whether a text holds a variable that nothing here defines: it matches
/// nothing for certain and may match anything.
pub fn is_unknown(text: &str) -> bool {
    let brace = memchr::memchr(b'{', text.as_bytes());
    brace.is_some() && (text.contains("${") || text.contains("{{"))
}
