//! What an input was made of: lines by kind, and what could not be read.

use std::collections::BTreeMap;

use super::record::{Origin, Unjudged};

/// What a line is (`flow-formats.md` 0). Envelopes count as what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LineKind {
    /// Hubble JSON with a flow, wrapped or flat.
    Hubble,
    /// Hubble JSON that says that events were lost.
    LostEvents,
    /// Hubble JSON without a flow: node status, agent and debug events.
    HubbleOther,
    /// A row of our own normalised output.
    Normalised,
    /// `hubble observe`, compact.
    Compact,
    /// `hubble observe -o tab`, its header included.
    Tab,
    /// `hubble observe -o dict`.
    Dict,
    /// `xx drop (…)` of `cilium-dbg monitor`, text or JSON.
    MonitorDrop,
    /// `Policy verdict log:` of `cilium-dbg monitor`.
    MonitorVerdict,
    /// A request or response seen by a proxy, from `cilium-dbg monitor`.
    MonitorRequest,
    /// Anything else that `cilium-dbg monitor` prints.
    MonitorOther,
    /// A Kubernetes `PacketDrop` event.
    KubernetesEvent,
    /// `msg="Policy Verdict" src-pod=…`.
    PolicyVerdictLog,
    /// A line that the agent logs about something else, or too little about a denial.
    AgentLog,
    /// A part of a record that goes on in the next lines.
    Part,
    /// What programs print around records: prompts, progress, comments, blank lines.
    Noise,
    /// Not readable, or not a form that is known.
    Broken,
}

impl LineKind {
    /// A few words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            LineKind::Hubble => "Hubble JSON",
            LineKind::LostEvents => "Hubble lost events",
            LineKind::HubbleOther => "Hubble JSON without a flow",
            LineKind::Normalised => "policyfix flows",
            LineKind::Compact => "hubble observe, compact",
            LineKind::Tab => "hubble observe, tab",
            LineKind::Dict => "hubble observe, dict",
            LineKind::MonitorDrop => "monitor drop",
            LineKind::MonitorVerdict => "monitor policy verdict",
            LineKind::MonitorRequest => "monitor request",
            LineKind::MonitorOther => "monitor, other",
            LineKind::KubernetesEvent => "Kubernetes PacketDrop event",
            LineKind::PolicyVerdictLog => "policy verdict log line",
            LineKind::AgentLog => "agent log",
            LineKind::Part => "part of a longer record",
            LineKind::Noise => "noise",
            LineKind::Broken => "broken",
        }
    }
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BrokenKind {
    /// It looks like JSON, and is not.
    Json,
    /// It is JSON, but a field of it has an impossible value or the object is no record.
    Record,
    /// It begins like a known text format and goes on differently.
    Text,
    /// It is longer than any record.
    TooLong,
    /// It is nothing that is known.
    Unknown,
}

impl BrokenKind {
    /// A few words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            BrokenKind::Json => "broken JSON",
            BrokenKind::Record => "JSON that is no flow record",
            BrokenKind::Text => "broken text record",
            BrokenKind::TooLong => "line too long",
            BrokenKind::Unknown => "unknown form",
        }
    }
}

/// One line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLine {
    /// Where it is.
    pub origin: Origin,
    /// Why it could not be read.
    pub why: String,
}

/// All broken lines of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broken {
    /// How many.
    pub count: u64,
    /// The first three.
    pub first: Vec<BrokenLine>,
}

/// An input that could not be opened or read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The input, by its place in the list that was given.
    pub input: u32,
    /// Why.
    pub why: String,
}

/// What all inputs together were made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines by kind.
    pub lines: BTreeMap<LineKind, u64>,
    /// Records that told something of a packet.
    pub records: u64,
    /// Records that told nothing of policy, by the reason.
    pub unjudged: BTreeMap<Unjudged, u64>,
    /// Broken lines by kind.
    pub broken: BTreeMap<BrokenKind, Broken>,
    /// Events that Hubble says it lost: with any, the absence of a flow proves nothing.
    pub lost_events: u64,
    /// Inputs that end in half a record, as a file does that is being written.
    pub unfinished: u64,
    /// Inputs that could not be read.
    pub unreadable: Vec<Unreadable>,
}

impl Summary {
    /// How many lines were read.
    pub fn total_lines(&self) -> u64 {
        self.lines.values().sum()
    }

    /// How many lines were broken.
    pub fn broken_lines(&self) -> u64 {
        self.broken.values().map(|broken| broken.count).sum()
    }

    /// Whether there was something to read, and none of it is a form that is known.
    pub fn is_all_broken(&self) -> bool {
        self.records == 0 && self.broken_lines() > 0
    }

    pub(crate) fn count(&mut self, kind: LineKind) {
        self.count_many(kind, 1);
    }

    pub(crate) fn count_many(&mut self, kind: LineKind, lines: u64) {
        if lines > 0 {
            *self.lines.entry(kind).or_default() += lines;
        }
    }

    pub(crate) fn count_broken(&mut self, kind: BrokenKind, origin: Origin, why: String) {
        self.count(LineKind::Broken);
        let broken = self.broken.entry(kind).or_default();
        broken.count += 1;
        if broken.first.len() < 3 {
            broken.first.push(BrokenLine { origin, why });
        }
    }
}
