//! `key=value` lines: the policy verdict line with `src-pod=` and `dst-pod=`
//! (`flow-formats.md` 4.1), and what agents log (4.2).

use std::borrow::Cow;

use super::record::{Event, Record};
use super::text::object_name;
use super::{Denial, Endpoint, Flow, Outcome};
use crate::traffic::{IcmpFamily, Packet, Transport};

/// What a `key=value` line is.
pub(crate) enum Logfmt<'a> {
    /// The verdict of policy on one flow.
    Verdict(Box<Record>),
    /// A verdict line whose parts do not make sense.
    Broken(String),
    /// A record in JSON, carried in the message.
    Wrapped(Cow<'a, str>),
    /// Another line of the agent.
    Agent,
}

/// Reads a line as `key=value` pairs; `None` if it has none of the keys that such a log carries.
pub(crate) fn read(line: &str) -> Option<Logfmt<'_>> {
    if !["level=", "msg="].iter().any(|key| has_key(line, key)) {
        return None;
    }
    let pairs = Pairs(line);
    let mut message = None;
    let mut fields = Fields::default();
    for (key, value) in pairs {
        match key {
            "msg" => message = Some(value),
            "src-pod" => fields.source = Some(value),
            "dst-pod" => fields.destination = Some(value),
            "proto" => fields.protocol = Some(value),
            "sport" => fields.source_port = Some(value),
            "dport" => fields.destination_port = Some(value),
            "verdict" => fields.verdict = Some(value),
            "rule" => fields.rule = Some(value),
            _ => {}
        }
    }
    let message = message?;
    if is_policy_verdict(&message) && (fields.source.is_some() || fields.destination.is_some()) {
        return Some(match fields.record() {
            Ok(record) => Logfmt::Verdict(Box::new(record)),
            Err(why) => Logfmt::Broken(why),
        });
    }
    Some(if message.trim_start().starts_with('{') { Logfmt::Wrapped(message) } else { Logfmt::Agent })
}

/// Whether a key stands at the beginning of a word.
fn has_key(line: &str, key: &str) -> bool {
    let bytes = line.as_bytes();
    line.match_indices(key).any(|(at, _)| at == 0 || bytes.get(at - 1).is_some_and(u8::is_ascii_whitespace))
}

fn is_policy_verdict(message: &str) -> bool {
    let letters = message.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.map(|c| c.to_ascii_lowercase()).eq("policyverdict".chars())
}

/// The pairs of a line, in order; words without `=` are passed over.
struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0 = self.0.trim_start();
            if self.0.is_empty() {
                return None;
            }
            let end = self.0.find([' ', '\t', '=']).unwrap_or(self.0.len());
            let (key, rest) = self.0.split_at(end);
            let Some(rest) = rest.strip_prefix('=') else {
                self.0 = rest;
                continue;
            };
            if let Some(quoted) = rest.strip_prefix('"') {
                let (value, rest) = unquote(quoted);
                self.0 = rest;
                return Some((key, value));
            }
            let end = rest.find([' ', '\t']).unwrap_or(rest.len());
            let (value, rest) = rest.split_at(end);
            self.0 = rest;
            return Some((key, Cow::Borrowed(value)));
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (Cow<'_, str>, &str) {
    let plain_end = text.find(['"', '\\']).unwrap_or(text.len());
    let (plain, rest) = text.split_at(plain_end);
    if let Some(rest) = rest.strip_prefix('"') {
        return (Cow::Borrowed(plain), rest);
    }
    let mut value = plain.to_owned();
    let mut characters = rest.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (Cow::Owned(value), rest.get(at + 1..).unwrap_or_default()),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            _ => value.push(c),
        }
    }
    (Cow::Owned(value), "")
}

#[derive(Default)]
struct Fields<'a> {
    source: Option<Cow<'a, str>>,
    destination: Option<Cow<'a, str>>,
    protocol: Option<Cow<'a, str>>,
    source_port: Option<Cow<'a, str>>,
    destination_port: Option<Cow<'a, str>>,
    verdict: Option<Cow<'a, str>>,
    rule: Option<Cow<'a, str>>,
}

impl Fields<'_> {
    fn record(&self) -> Result<Record, String> {
        let rule = self.rule.as_deref().filter(|rule| !rule.is_empty() && *rule != "<none>");
        let verdict = self.verdict.as_deref().unwrap_or_default();
        let outcome = match verdict.to_ascii_uppercase().as_str() {
            "DENY" | "DENIED" | "DROPPED" | "DROP" => {
                Outcome::Denied(if rule.is_some() { Denial::Rule } else { Denial::Default })
            }
            "AUDIT" | "AUDITED" => Outcome::Audited,
            "ALLOW" | "ALLOWED" | "FORWARDED" => Outcome::Forwarded,
            _ => return Err(format!("verdict={verdict:?} is neither a denial nor a permission")),
        };
        let denied_by = match (&outcome, rule) {
            (Outcome::Denied(_), Some(rule)) => object_name(rule).into_iter().collect(),
            _ => Vec::new(),
        };
        Ok(Record {
            event: Event::Verdict,
            ..Record::new(Flow {
                source: pod(self.source.as_deref()).into(),
                destination: pod(self.destination.as_deref()).into(),
                packet: self.packet()?,
                source_port: self.source_port.as_deref().and_then(|port| port.parse().ok()),
                outcome,
                side: None,
                request: None,
                denied_by,
                reply: false,
            })
        })
    }

    fn packet(&self) -> Result<Packet, String> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let transport = match protocol.to_ascii_uppercase().as_str() {
            "TCP" | "6" => Transport::Tcp,
            "UDP" | "17" => Transport::Udp,
            "SCTP" | "132" => Transport::Sctp,
            "ICMP" | "ICMPV4" | "1" => return Ok(Packet::Icmp(IcmpFamily::V4, 8)),
            "ICMPV6" | "58" => return Ok(Packet::Icmp(IcmpFamily::V6, 128)),
            other => return Ok(Packet::Other(other.parse().ok())),
        };
        let port = self.destination_port.as_deref().unwrap_or_default();
        let port = port.parse().map_err(|_| format!("dport={port:?} is no port"))?;
        Ok(Packet::Port(transport, port))
    }
}

/// `name(namespace)`, `namespace/name`, or a bare name.
fn pod(text: Option<&str>) -> Endpoint {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Endpoint::default();
    };
    let (namespace, name) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((name, namespace)) => (Some(namespace), name),
        None => match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        },
    };
    if let Ok(ip) = name.parse() {
        return Endpoint { ip: Some(ip), ..Endpoint::default() };
    }
    let named = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
    Endpoint { namespace: namespace.and_then(named), pod: named(name), ..Endpoint::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ObjectName;

    fn verdict(line: &str) -> Record {
        match read(line) {
            Some(Logfmt::Verdict(record)) => *record,
            _ => panic!("no verdict line: {line}"),
        }
    }

    #[test]
    fn a_verdict_line_names_two_pods_and_a_port() {
        let record = verdict(
            r#"level=debug msg="Policy Verdict" src-pod="cart-1(shop)" dst-pod="db-0(data)" proto=TCP sport=40312 dport=5432 verdict=DENY rule="<none>" reason="no matching policy""#,
        );
        let end = |namespace: &str, pod: &str| Endpoint {
            namespace: Some(namespace.into()),
            pod: Some(pod.into()),
            ..Endpoint::default()
        };
        assert_eq!(*record.flow.source, end("shop", "cart-1"));
        assert_eq!(*record.flow.destination, end("data", "db-0"));
        assert_eq!(record.flow.packet, Packet::Port(Transport::Tcp, 5432));
        assert_eq!(record.flow.source_port, Some(40312));
        assert_eq!(record.flow.outcome, Outcome::Denied(Denial::Default));
        assert_eq!(record.flow.side, None, "the line does not say whose policy it was");
    }

    #[test]
    fn pairs_come_in_any_order_and_after_any_prefix() {
        let record = verdict(
            r#"Nov  3 10:00:00 node-1 cilium[7]: dport=53 level=debug verdict=DROPPED proto=17 dst-pod=kube-system/coredns-1 rule="ops/no \"dns\"" msg=policy-verdict src-pod="""#,
        );
        assert_eq!(*record.flow.source, Endpoint::default());
        assert_eq!(record.flow.destination.namespace.as_deref(), Some("kube-system"));
        assert_eq!(record.flow.outcome, Outcome::Denied(Denial::Rule));
        let named = ObjectName { namespace: Some("ops".into()), name: "no \"dns\"".into() };
        assert_eq!(record.flow.denied_by, [named]);
    }

    #[test]
    fn nonsense_in_a_verdict_line_is_said() {
        let line = r#"level=debug msg="Policy Verdict" src-pod="a(b)" proto=TCP dport=http verdict=DENY"#;
        assert!(matches!(read(line), Some(Logfmt::Broken(why)) if why.contains("dport")));
    }

    #[test]
    fn other_lines_of_the_agent_are_known_as_such() {
        let line =
            r#"level=debug msg="Rejecting DNS query from endpoint due to policy" subsys=fqdn/dnsproxy"#;
        assert!(matches!(read(line), Some(Logfmt::Agent)));
        let line = r#"level=info msg="{\"flow\":{}}""#;
        assert!(matches!(read(line), Some(Logfmt::Wrapped(json)) if json == r#"{"flow":{}}"#));
        assert!(read("nothing of the kind").is_none());
    }
}
