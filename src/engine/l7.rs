//! Ways in which the policy of an endpoint cannot be computed: objects are
//! accepted, but together they contradict each other (`semantics.md` 1.4, C1–C6).
//! The endpoint then keeps its last working policy, in both directions.

use super::compiled::CompiledRule;
use crate::policy::PortList;
use crate::policy::l7::Parser;
use crate::policy::ports::Literal;
use crate::traffic::{Side, Transport};

/// What an item of `toPorts` asks of a proxy, and on which ports.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    parser: Parser,
    ports: Vec<(Transport, PortKey)>,
    terminating: Option<String>,
    originating: Option<String>,
    server_names: bool,
    rules: bool,
    listener: Option<(String, i64)>,
}

type PortKey = (Box<str>, i64);

impl Demand {
    pub(super) fn of(list: &PortList<'_>) -> Option<Self> {
        let l7 = &list.l7;
        let parser = l7.parser()?;
        let ports = list
            .ports
            .iter()
            .flat_map(|port| {
                let key = match port.literal() {
                    Literal::Number(number) => number.to_string(),
                    Literal::Name(name) => name,
                    Literal::Unreadable | Literal::Unknown => String::new(),
                };
                let end = port.end.map_or(0, |end| end.value);
                port.transports()
                    .unwrap_or(&[])
                    .iter()
                    .map(move |&t| (t, (key.clone().into_boxed_str(), end)))
            })
            .collect();
        Some(Self {
            parser,
            ports,
            terminating: l7.terminating.as_ref().map(|tls| tls.content.clone()),
            originating: l7.originating.as_ref().map(|tls| tls.content.clone()),
            server_names: !l7.server_names.is_empty(),
            rules: l7.has_rules(),
            listener: l7.listener.as_ref().map(|listener| (listener.title.clone(), listener.priority)),
        })
    }

    fn shares_port(&self, other: &Self) -> bool {
        self.ports.iter().any(|port| other.ports.contains(port))
    }

    /// tls merges into http, kafka and l7proto; any other two parsers conflict (C1).
    fn parser_conflicts(&self, other: &Self) -> bool {
        let merges = |a: &Parser, b: &Parser| {
            *a == Parser::Tls && matches!(b, Parser::Http | Parser::Kafka | Parser::Named(_))
        };
        self.parser != other.parser
            && !merges(&self.parser, &other.parser)
            && !merges(&other.parser, &self.parser)
    }

    /// What contradicts for one and the same peer selector (C3, C4, C5).
    fn contexts_conflict(&self, other: &Self) -> bool {
        let differ = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        let unterminated = self.terminating.is_none() && other.terminating.is_none();
        let names_and_rules = (self.server_names && other.rules) || (self.rules && other.server_names);
        let listeners = match (&self.listener, &other.listener) {
            (Some((a, pa)), Some((b, pb))) => a != b && pa == pb,
            _ => false,
        };
        differ(&self.terminating, &other.terminating)
            || differ(&self.originating, &other.originating)
            || (names_and_rules && unterminated)
            || listeners
    }
}

/// Why the rules that select one endpoint cannot be computed together, if so.
pub(super) fn contradiction<'r>(
    rules: impl Iterator<Item = &'r CompiledRule> + Clone,
) -> Option<&'static str> {
    for side in Side::BOTH {
        let elements = rules.clone().flat_map(|rule| &rule.sides[side as usize].elements);
        let mut seen: Vec<(String, &Demand)> = Vec::new();
        let mut modes: Vec<(String, &str)> = Vec::new();
        for element in elements {
            for demand in &element.l7 {
                let peers = format!("{:?}", element.peers);
                for (other_peers, other) in &seen {
                    if !demand.shares_port(other) {
                        continue;
                    }
                    if demand.parser_conflicts(other) {
                        return Some("two different L7 parsers on one port");
                    }
                    if *other_peers == peers && demand.contexts_conflict(other) {
                        return Some("contradicting TLS contexts, server names or listeners on one port");
                    }
                }
                seen.push((peers, demand));
            }
            if let Some(mode) = &element.authentication {
                let key = format!("{:?} {:?}", element.peers, element.ports);
                if modes.iter().any(|(other, own)| *other == key && *own != mode.as_ref()) {
                    return Some("two different authentication modes for the same peers and ports");
                }
                modes.push((key, mode));
            }
        }
    }
    None
}
