//! What was observed: one shape for a flow, whatever log it was found in.
//!
//! `flow-formats.md` describes the logs; each format has a reader of its own in
//! this room, and the tally makes one distinct flow of many equal records.

mod assemble;
mod block;
mod cluster;
mod envelope;
mod gather;
mod hubble;
mod input;
mod labels;
mod line;
mod logfmt;
mod normal;
mod read;
pub mod reason;
mod record;
mod reply;
mod settle;
mod summary;
mod tally;
mod text;

use std::net::IpAddr;
use std::sync::Arc;

pub use cluster::local_cluster;
pub use input::Input;
pub use read::{Options, read};
pub use reason::explain as explain_reason;
pub use record::{Event, Origin, Record, Unjudged};
pub use summary::{Broken, BrokenKind, BrokenLine, LineKind, Summary, Unreadable};
pub use tally::{Distinct, Example, Keep, LeftOut, Span, Tally, follow, tally};

use crate::label::Label;
use crate::traffic::{Packet, Side};

/// One end of a flow, as the record tells it. What a record does not say is
/// absent; the inventory may fill it in later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Labels of the identity, sorted. Policy sees these and nothing else.
    pub labels: Vec<Label>,
    /// The number of the identity (`flow-formats.md` 1.5); node-local from 16777216 on.
    pub identity: Option<u32>,
    /// Namespace as the record names it; the label outranks it.
    pub namespace: Option<Box<str>>,
    /// Pod name: only a hint, policy never sees it.
    pub pod: Option<Box<str>>,
    /// The owner of the pod, guessed by Cilium from names.
    pub workload: Option<Workload>,
    /// Address.
    pub ip: Option<IpAddr>,
    /// DNS names by which the other end looked this address up, without final dot, sorted.
    pub names: Vec<Box<str>>,
    /// The Service whose frontend the address is.
    pub service: Option<ObjectName>,
}

/// The kind and name of what made a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// `Deployment`, `StatefulSet` …
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// A name within a namespace; without one for cluster-wide objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// The namespace, where it has one.
    pub namespace: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

/// What became of the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It passed.
    Forwarded,
    /// It passed, but policy would have denied it (audit mode).
    Audited,
    /// Policy denied it.
    Denied(Denial),
    /// It was dropped for a reason that is not policy: the reason's name as
    /// Hubble writes it (`CT_MAP_INSERTION_FAILED`).
    NotPolicy(Box<str>),
}

/// How policy denied a packet (`semantics.md` 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Denial {
    /// Nothing allowed it: reason 133.
    Default,
    /// A deny rule matched: reason 181.
    Rule,
    /// Mutual authentication had not succeeded: reason 189.
    Authentication,
    /// A proxy refused the request; packets of the connection pass.
    Request,
    /// Dropped, and the record does not say why (masked fields).
    Unstated,
}

/// A request that a proxy looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// HTTP.
    Http {
        /// `GET` …
        method: Box<str>,
        /// Path with query, as the URL carries it.
        path: Box<str>,
        /// Host of the URL.
        host: Box<str>,
    },
    /// A DNS query, without final dot.
    Dns {
        /// The name asked for.
        query: Box<str>,
    },
    /// Another protocol.
    Other,
}

/// What one record tells of one packet or request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The end that opened the connection. Many flows share one.
    pub source: Arc<Endpoint>,
    /// The end that was called.
    pub destination: Arc<Endpoint>,
    /// Protocol and destination port, or ICMP type.
    pub packet: Packet,
    /// The source's port: needed to tell replies, never for a rule.
    pub source_port: Option<u16>,
    /// What became of it.
    pub outcome: Outcome,
    /// Whose policy decided, where the record can be trusted on that (`flow-formats.md` 6.3).
    pub side: Option<Side>,
    /// The request, for records of a proxy.
    pub request: Option<Request>,
    /// The policies that denied it, where the record names them.
    pub denied_by: Vec<ObjectName>,
    /// An answer to a connection of the other end, said so or recognised (`flow-formats.md` 6.4).
    pub reply: bool,
}

impl Flow {
    /// Source and destination.
    pub fn ends(&self) -> [&Endpoint; 2] {
        [&self.source, &self.destination]
    }
}
