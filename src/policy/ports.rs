//! Ports of a policy: numbers, ranges, names and protocols (`semantics.md` 3.5).

use std::borrow::Cow;

use crate::manifest::Text;
use crate::source::Spanned;
use crate::traffic::Transport;
use crate::yaml::Value;

/// One item of `ports`.
#[derive(Debug, Clone)]
pub struct Port<'s> {
    /// The item.
    pub value: Value<'s>,
    /// `port` as text; in a NetworkPolicy it may be missing, which is every port.
    pub port: Option<Spanned<Text<'s>>>,
    /// `endPort`.
    pub end: Option<Spanned<i64>>,
    /// `protocol`.
    pub protocol: Option<Spanned<Text<'s>>>,
    /// What a missing protocol means: every transport, but TCP in a NetworkPolicy.
    pub default_transports: &'static [Transport],
}

/// What the text of `port` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A number; 0 is every port.
    Number(u16),
    /// A name, in lower case.
    Name(String),
    /// Neither (V28).
    Unreadable,
    /// It holds a variable that nothing here defines.
    Unknown,
}

impl Port<'_> {
    /// What `port` says; 0, every port, where it is missing.
    pub fn literal(&self) -> Literal {
        self.port.as_ref().map_or(Literal::Number(0), |port| literal(&port.value))
    }

    /// The transports it covers; `None` when the protocol is unknown to policy.
    pub fn transports(&self) -> Option<&'static [Transport]> {
        match &self.protocol {
            None => Some(self.default_transports),
            Some(protocol) if protocol.value.is_empty() => Some(self.default_transports),
            Some(protocol) => transports(&protocol.value),
        }
    }
}

/// The transports that a protocol's text means, in any case.
pub fn transports(protocol: &str) -> Option<&'static [Transport]> {
    const TCP: &[Transport] = &[Transport::Tcp];
    const UDP: &[Transport] = &[Transport::Udp];
    const SCTP: &[Transport] = &[Transport::Sctp];
    const NAMES: [(&str, &[Transport]); 4] =
        [("TCP", TCP), ("UDP", UDP), ("SCTP", SCTP), ("ANY", &Transport::ALL)];
    NAMES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(protocol)).map(|(_, transports)| transports)
}

/// Reads a port's text as Cilium does: a service name where it can be one, else
/// a Go integer literal of at most 16 bits with automatic base.
pub fn literal(text: &str) -> Literal {
    let is_decimal = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(number) = text.parse().ok().filter(|_| is_decimal) {
        return Literal::Number(number);
    }
    if super::is_unknown(text) {
        return Literal::Unknown;
    }
    if is_name(text) {
        return Literal::Name(text.to_ascii_lowercase());
    }
    go_integer(text).map_or(Literal::Unreadable, Literal::Number)
}

/// 1 to 15 letters, digits and single inner dashes, at least one a letter.
fn is_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// `strconv.ParseUint(text, 0, 16)`: a leading zero is octal, `_` may separate
/// digits, and there is no sign.
fn go_integer(text: &str) -> Option<u16> {
    let (digits, radix, prefixed) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16, true),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2, true),
        [b'0', b'o' | b'O', ..] => (&text[2..], 8, true),
        [b'0', _, ..] => (&text[1..], 8, true),
        _ => (text, 10, false),
    };
    let separators_are_fine =
        !digits.ends_with('_') && !digits.contains("__") && (prefixed || !digits.starts_with('_'));
    if digits.is_empty() || !separators_are_fine {
        return None;
    }
    let digits =
        if digits.contains('_') { Cow::Owned(digits.replace('_', "")) } else { Cow::Borrowed(digits) };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u16::from_str_radix(&digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_texts_are_read_as_go_reads_them() {
        let name = |text: &str| Literal::Name(text.into());
        for (text, want) in [
            ("80", Literal::Number(80)),
            ("0", Literal::Number(0)),
            ("017", Literal::Number(15)),
            ("1_000", Literal::Number(1000)),
            ("65535", Literal::Number(65535)),
            ("0x50", name("0x50")),
            ("0b11", name("0b11")),
            ("HTTP", name("http")),
            ("dns-tcp", name("dns-tcp")),
            ("65536", Literal::Unreadable),
            ("080", Literal::Unreadable),
            ("+80", Literal::Unreadable),
            (" 80", Literal::Unreadable),
            ("80-90", Literal::Unreadable),
            ("", Literal::Unreadable),
            ("a--b", Literal::Unreadable),
            ("abcdefghijklmnop", Literal::Unreadable),
            ("${PORT}", Literal::Unknown),
        ] {
            assert_eq!(literal(text), want, "{text:?}");
        }
    }
}
