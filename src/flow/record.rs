//! One record of a log: a flow, and what else the log says about it.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Flow, Request};

/// Where a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The input, by its place in the list that was given.
    pub input: u32,
    /// The line, from 1.
    pub line: u64,
}

/// Which part of Cilium made the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// The verdict of policy on one side.
    Verdict,
    /// A packet was dropped.
    Drop,
    /// A packet passed a point behind the policy of its source.
    Trace,
    /// A packet passed a point before any policy was asked: proves nothing.
    TraceBeforePolicy,
    /// A proxy saw a request.
    Proxy,
    /// Socket translations, captures, agent events: not about packets that policy decides.
    Other,
    /// The record does not say.
    Unstated,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it tells.
    pub flow: Flow,
    /// When. Text without a year is placed in the year before the input's own time.
    pub time: Option<Timestamp>,
    /// Where it stands.
    pub origin: Origin,
    /// How many packets it stands for, at least 1.
    pub weight: u64,
    /// Its own number, where it has one.
    pub uuid: Option<u128>,
    /// What made it.
    pub event: Event,
    /// The addresses that a DNS answer in the record gives, each with its name.
    pub answers: Vec<(IpAddr, Box<str>)>,
}

impl Record {
    /// A record of one packet of which nothing but the flow is known.
    pub fn new(flow: Flow) -> Self {
        Self {
            flow,
            time: None,
            origin: Origin { input: 0, line: 0 },
            weight: 1,
            uuid: None,
            event: Event::Unstated,
            answers: Vec::new(),
        }
    }
}

/// Why a record is no evidence of what policy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unjudged {
    /// It is not about packets that policy decides: socket translation, debug capture.
    NotPackets,
    /// A proxy's answer that was dropped.
    Response,
    /// It carries no verdict, or one that we do not know.
    NoVerdict,
}

/// Why a record is not counted.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is no evidence.
    Unjudged(Unjudged),
    /// A part of it does not make sense; which, and why.
    Broken(String),
}

impl From<Unjudged> for Refused {
    fn from(unjudged: Unjudged) -> Self {
        Self::Unjudged(unjudged)
    }
}

impl Unjudged {
    /// A few words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Unjudged::NotPackets => "not about packets that policy decides",
            Unjudged::Response => "response of a proxy",
            Unjudged::NoVerdict => "without a verdict",
        }
    }
}

impl Request {
    /// An HTTP request by method and absolute URL.
    pub fn http(method: &str, url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        Request::Http { method: method.into(), path: path.into(), host: host.into() }
    }

    /// A DNS query.
    pub fn dns(query: &str) -> Self {
        Request::Dns { query: query.trim_end_matches('.').into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_into_host_and_path() {
        let request = |host: &str, path: &str| Request::Http {
            method: "GET".into(),
            path: path.into(),
            host: host.into(),
        };
        assert_eq!(Request::http("GET", "http://svc.ns:8080/a?b=c"), request("svc.ns:8080", "/a?b=c"));
        assert_eq!(Request::http("GET", "http://u:p@svc.ns"), request("svc.ns", "/"));
        assert_eq!(Request::http("GET", "/only"), request("", "/only"));
    }
}
