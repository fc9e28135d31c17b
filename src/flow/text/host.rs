//! Ends as text: `namespace/pod:port`, names, addresses, identities.

use std::net::IpAddr;

use crate::flow::{Endpoint, ObjectName};
use crate::label::Label;

/// The reserved identities by number (`flow-formats.md` 5.3).
const RESERVED: [&str; 11] = [
    "unknown",
    "host",
    "world",
    "unmanaged",
    "health",
    "init",
    "remote-node",
    "kube-apiserver",
    "ingress",
    "world-ipv4",
    "world-ipv6",
];

/// Who an end is to policy, where the text says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    number: Option<u32>,
    labels: Vec<Label>,
}

impl Identity {
    /// Reads `ID:4711`, `4711`, `world` or a name given to a reserved number.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        match text.strip_prefix("ID:").unwrap_or(text).parse::<u32>() {
            Ok(number) => Self::of_number(number),
            Err(_) => Self::of_name(text),
        }
    }

    pub(super) fn of_number(number: u32) -> Self {
        let name = usize::try_from(number).ok().and_then(|n| RESERVED.get(n));
        match name {
            None => Self { number: Some(number), labels: Vec::new() },
            Some(name) => Self::of_name(name),
        }
    }

    fn of_name(name: &str) -> Self {
        let number = RESERVED.iter().position(|&reserved| reserved == name);
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if name.is_empty() || number == Some(0) || !is_name {
            return Self::default();
        }
        let mut labels = vec![Label::reserved(name)];
        if name == "kube-apiserver" {
            labels.push(Label::reserved("remote-node"));
        }
        Self { number: number.and_then(|n| u32::try_from(n).ok()), labels }
    }

    fn is_reserved(&self) -> bool {
        !self.labels.is_empty()
    }
}

/// An end and its port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) end: Endpoint,
    pub(super) port: Option<u16>,
}

impl Host {
    /// Reads `host` or `host:port`; the error says what is no port.
    pub(super) fn read(text: &str, identity: Identity) -> Result<Self, String> {
        let (name, port) = split_port(text);
        let port = port.map(|port| port.parse().map_err(|_| format!("{port:?} is no port"))).transpose()?;
        Ok(Self { end: end(name, identity), port })
    }
}

/// Cuts the port off; IPv6 addresses are in brackets where they have one.
/// Old printers write the service's name behind the port: `80(http)`.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((name, port)) => (name, port.strip_prefix(':')),
            None => (text, None),
        };
    }
    let colons = text.bytes().filter(|&b| b == b':').count();
    if colons > 1 && !text.contains('/') {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.split('(').next().unwrap_or(port))),
        None => (text, None),
    }
}

/// An end by the name that is printed for it: a pod before a Service before
/// DNS names before the address. A reserved identity is no pod.
fn end(name: &str, identity: Identity) -> Endpoint {
    let reserved = identity.is_reserved();
    let end = Endpoint { identity: identity.number, labels: identity.labels, ..Endpoint::default() };
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Endpoint { ip: Some(ip), ..end };
    }
    match name.split_once('/') {
        Some(_) if reserved => Endpoint { service: object_name(name), ..end },
        Some((namespace, pod)) => Endpoint { namespace: known(namespace), pod: known(pod), ..end },
        None => Endpoint { names: dns_names(name), ..end },
    }
}

/// `namespace/name`, or the name alone.
pub(crate) fn object_name(text: &str) -> Option<ObjectName> {
    let (namespace, name) = text.split_once('/').unwrap_or(("", text));
    known(name).map(|name| ObjectName { namespace: known(namespace), name })
}

/// A word, unless nothing is written.
pub(super) fn known(word: &str) -> Option<Box<str>> {
    (!word.is_empty()).then(|| word.into())
}

/// Names with a dot in them: others are masked addresses or nothing at all.
fn dns_names(text: &str) -> Vec<Box<str>> {
    let is_name = |name: &&str| name.contains('.') && name.bytes().any(|b| b.is_ascii_alphabetic());
    let names = text.split(',').map(|name| name.trim_end_matches('.')).filter(is_name);
    let mut names: Vec<Box<str>> =
        names.filter(|name| !looks_like_an_address(name)).map(Into::into).collect();
    names.sort();
    names.dedup();
    names
}

/// An address that someone has blackened: `10.xxx.0.xx`.
fn looks_like_an_address(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_part = |part: &&str| part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit() || b == b'x');
    parts.len() == 4
        && (parts.iter().all(is_part) || parts.first().is_some_and(|part| part.parse::<u8>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, identity: &str) -> Host {
        Host::read(text, Identity::read(identity)).unwrap()
    }

    #[test]
    fn a_host_is_a_pod_an_address_or_names() {
        let pod = read("shop/cart-0:8080", "ID:3000");
        assert_eq!((pod.end.namespace.as_deref(), pod.end.pod.as_deref()), (Some("shop"), Some("cart-0")));
        assert_eq!((pod.port, pod.end.identity), (Some(8080), Some(3000)));
        let v6 = read("[2001:db8::1]:443", "world");
        assert_eq!((v6.end.ip, v6.port), (Some("2001:db8::1".parse().unwrap()), Some(443)));
        assert_eq!(v6.end.labels, [Label::reserved("world")]);
        assert_eq!(read("2001:db8::1", "").end.ip, v6.end.ip);
        let named = read("b.example,a.example:53", "ID:16777217");
        assert_eq!(named.end.names, ["a.example".into(), "b.example".into()]);
        assert_eq!(read("10.1.2.3:80(http)", "").port, Some(80));
        assert_eq!(read("", "unknown"), Host::default());
        let half = read("shop/:80", "").end;
        assert_eq!((half.namespace.as_deref(), half.pod), (Some("shop"), None));
    }

    #[test]
    fn a_reserved_end_with_an_objects_name_is_a_service() {
        let end = read("web/front:80", "world").end;
        assert_eq!((end.pod, end.service.unwrap().name.as_ref()), (None, "front"));
    }

    #[test]
    fn a_number_of_a_reserved_identity_is_its_name() {
        assert_eq!(Identity::read("2"), Identity::read("world"));
        assert_eq!(Identity::read("0"), Identity::default());
        assert_eq!(Identity::read("7").labels.len(), 2);
        assert_eq!(Identity::read("ID:300=x"), Identity::default());
    }

    #[test]
    fn a_blackened_address_is_no_name() {
        assert!(read("10.xxx.0.xx:80", "").end.names.is_empty());
        assert!(read("10.0.a.b:80", "").end.names.is_empty());
        assert!(Host::read("10.0.a.b:c", Identity::default()).is_err());
    }
}
