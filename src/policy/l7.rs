//! What a port entry asks of a proxy: HTTP, DNS and other L7 rules, SNI, TLS
//! and listeners (`semantics.md` 1.3, 3.8).

use super::go_regex::translated;
use super::name::NameRule;
use crate::manifest::Text;
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Value};

/// Everything beside `ports` in an item of `toPorts`.
#[derive(Debug, Clone, Default)]
pub struct Layer7<'s> {
    /// `rules`, where it is written.
    pub rules: Option<Entry<'s>>,
    /// `rules.http`.
    pub http: Option<Vec<HttpRule<'s>>>,
    /// The list of `rules.http`.
    pub http_list: Option<Value<'s>>,
    /// `rules.dns`.
    pub dns: Option<Vec<NameRule<'s>>>,
    /// The list of `rules.dns`.
    pub dns_list: Option<Value<'s>>,
    /// `rules.kafka`: its items.
    pub kafka: Option<Vec<Value<'s>>>,
    /// `rules.l7proto`.
    pub protocol: Option<Spanned<Text<'s>>>,
    /// `rules.l7`: its items.
    pub generic: Vec<Value<'s>>,
    /// `serverNames`.
    pub server_names: Vec<Spanned<Text<'s>>>,
    /// `listener`.
    pub listener: Option<Box<Listener<'s>>>,
    /// `terminatingTLS`, as text: equal texts are equal contexts.
    pub terminating: Option<Box<TlsContext<'s>>>,
    /// `originatingTLS`.
    pub originating: Option<Box<TlsContext<'s>>>,
}

/// One item of `rules.http`.
#[derive(Debug, Clone)]
pub struct HttpRule<'s> {
    /// The item.
    pub value: Value<'s>,
    /// `method`, a regular expression matched in full.
    pub method: Option<Spanned<Text<'s>>>,
    /// `path`, a regular expression matched in full.
    pub path: Option<Spanned<Text<'s>>>,
    /// `host`, a regular expression matched in full.
    pub host: Option<Spanned<Text<'s>>>,
    /// Whether it also asks for headers, which no flow record shows reliably.
    pub headers: bool,
}

impl HttpRule<'_> {
    /// Whether a request fits; headers are not looked at.
    pub fn covers(&self, method: &str, path: &str, host: &str) -> bool {
        let fits = |pattern: &Option<Spanned<Text<'_>>>, text: &str| match pattern {
            None => true,
            Some(pattern) if pattern.value.is_empty() => true,
            Some(pattern) => translated(&pattern.value)
                .and_then(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")).ok())
                .is_some_and(|regex| regex.is_match(text)),
        };
        fits(&self.method, method) && fits(&self.path, path) && fits(&self.host, host)
    }
}

/// `listener` of a port entry.
#[derive(Debug, Clone)]
pub struct Listener<'s> {
    /// The mapping.
    pub value: Value<'s>,
    /// `envoyConfig.kind`.
    pub config_kind: Option<Spanned<Text<'s>>>,
    /// `envoyConfig.name` and `name`.
    pub title: String,
    /// `priority`.
    pub priority: i64,
}

/// A TLS context, compared by what it names.
#[derive(Debug, Clone)]
pub struct TlsContext<'s> {
    /// The mapping.
    pub value: Value<'s>,
    /// Its content, for comparison.
    pub content: String,
}

/// The parser that a port entry hands its traffic to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Parser {
    /// `rules.http`.
    Http,
    /// `rules.kafka`.
    Kafka,
    /// `rules.dns`.
    Dns,
    /// `rules.l7proto`.
    Named(String),
    /// `serverNames` or TLS contexts alone.
    Tls,
    /// A listener.
    Listener,
}

impl<'s> Layer7<'s> {
    /// Whether any L7 rule is in it.
    pub fn has_rules(&self) -> bool {
        self.rule_count() > 0
    }

    /// The number of L7 rules.
    pub fn rule_count(&self) -> usize {
        let count = |list: Option<usize>| list.unwrap_or(0);
        count(self.http.as_ref().map(Vec::len))
            + count(self.dns.as_ref().map(Vec::len))
            + count(self.kafka.as_ref().map(Vec::len))
            + self.generic.len()
    }

    /// Whether an allowed packet goes through a proxy.
    pub fn redirects(&self) -> bool {
        self.parser().is_some()
    }

    /// The parser, if traffic goes to one (C1).
    pub fn parser(&self) -> Option<Parser> {
        let filled =
            |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list: &Vec<Value<'s>>| !list.is_empty());
        if self.listener.is_some() {
            Some(Parser::Listener)
        } else if self.http.as_ref().is_some_and(|list| !list.is_empty()) {
            Some(Parser::Http)
        } else if filled(&self.kafka) {
            Some(Parser::Kafka)
        } else if self.dns.as_ref().is_some_and(|list| !list.is_empty()) {
            Some(Parser::Dns)
        } else if let Some(protocol) = self.protocol.as_ref().filter(|_| !self.generic.is_empty()) {
            Some(Parser::Named(protocol.value.to_string()))
        } else if !self.server_names.is_empty() || self.terminating.is_some() || self.originating.is_some() {
            Some(Parser::Tls)
        } else {
            None
        }
    }

    /// Where the L7 part stands, for messages.
    pub fn place(&self) -> Option<Span> {
        self.rules.map(|entry| entry.key.span()).or_else(|| self.listener.as_ref().map(|l| l.value.span()))
    }
}
