//! Label selectors: how a key is read, and what makes one invalid.

use rustc_hash::FxHashMap;

use crate::manifest::Text;
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Value};

/// A selector as it is written: all requirements must hold. Without any it
/// selects every identity, before namespaces are injected.
#[derive(Debug, Clone)]
pub struct Selector<'s> {
    /// The mapping; for a NetworkPolicy peer the whole peer.
    pub value: Value<'s>,
    /// In the order in which they are written.
    pub requirements: Vec<Requirement<'s>>,
    /// Why it cannot be used, if it cannot: then it matches nothing (V7).
    pub invalid: Option<Spanned<String>>,
    /// Two keys of `matchLabels` that become one (source, key), of which Cilium keeps one (2.3).
    pub ambiguous: Option<Span>,
}

/// One condition on a label.
#[derive(Debug, Clone)]
pub struct Requirement<'s> {
    /// `any` where no source is written.
    pub source: Text<'s>,
    /// Without its source.
    pub key: Text<'s>,
    /// What is asked.
    pub operator: Operator,
    /// The values of `In` and `NotIn`.
    pub values: Vec<Spanned<Text<'s>>>,
    /// Where it is written.
    pub origin: Origin<'s>,
}

/// Where a requirement comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'s> {
    /// An entry of `matchLabels`.
    Label(Entry<'s>),
    /// An item of `matchExpressions`.
    Expression(Value<'s>),
    /// Cilium adds it; nobody wrote it (2.4, 2.5).
    Injected,
    /// The tree adds it on the way to the cluster: it is written elsewhere.
    Added,
}

/// The operators of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// The key is there and has one of the values. `matchLabels` means this.
    In,
    /// The key is not there, or has none of the values.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is not there.
    DoesNotExist,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            _ => return None,
        })
    }
}

/// How the keys of a selector are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyReading {
    /// Cilium's: `source:key`, `$name`, `reserved.name` (2.2).
    Cilium,
    /// Literally, with source `k8s`: podSelector of a NetworkPolicy (1.6).
    Kubernetes,
    /// Literally, as a label of the pod's Namespace: namespaceSelector (1.6).
    NamespaceLabel,
}

/// Reads a key as Cilium does (`semantics.md` 2.2): source and key.
pub fn read_key(text: &str) -> (&str, &str) {
    let (source, key) = if let Some(rest) = text.strip_prefix('$') {
        ("reserved", rest)
    } else if let Some((source, key)) = text.split_once(':') {
        (source, key)
    } else if let Some(rest) = text.strip_prefix("reserved.") {
        ("reserved", rest)
    } else {
        ("any", text)
    };
    let source = if source.is_empty() || source == "unspec" { "any" } else { source };
    (source, key.split_once('=').map_or(key, |(key, _)| key))
}

fn read<'s>(text: Text<'s>, reading: KeyReading) -> (Text<'s>, Text<'s>) {
    match reading {
        KeyReading::Kubernetes => (Text::Borrowed("k8s"), text),
        KeyReading::NamespaceLabel => {
            (Text::Borrowed("k8s"), Text::Owned(format!("{}{text}", crate::label::NAMESPACE_LABELS)))
        }
        KeyReading::Cilium => match text {
            Text::Borrowed(text) => {
                let (source, key) = read_key(text);
                (Text::Borrowed(source), Text::Borrowed(key))
            }
            Text::Owned(text) => {
                let (source, key) = read_key(&text);
                (Text::Owned(source.to_owned()), Text::Owned(key.to_owned()))
            }
        },
    }
}

/// Where each key of one `matchLabels` stands among the requirements.
struct Places<'s> {
    /// The first requirement that comes from this `matchLabels`.
    first: usize,
    /// Filled once there are too many keys to look through.
    known: FxHashMap<(Text<'s>, Text<'s>), usize>,
}

impl<'s> Places<'s> {
    /// The place of the requirement for this key, or the next free one.
    fn of(&mut self, requirements: &[Requirement<'s>], source: &Text<'s>, key: &Text<'s>) -> usize {
        const FEW: usize = 8;
        let next = requirements.len();
        let own = requirements.get(self.first..).unwrap_or_default();
        if own.len() <= FEW {
            let same = own.iter().position(|r| r.source == *source && r.key == *key);
            return same.map_or(next, |at| self.first + at);
        }
        for (at, own) in requirements.iter().enumerate().skip(self.first + self.known.len()) {
            self.known.insert((own.source.clone(), own.key.clone()), at);
        }
        let wanted = (source.clone(), key.clone());
        self.known.get(&wanted).copied().unwrap_or(next)
    }
}

/// Gives a scalar's text, with variables substituted where they are known.
pub type ReadText<'c, 's> = &'c dyn Fn(Value<'s>) -> Option<Text<'s>>;

impl<'s> Selector<'s> {
    /// A selector without requirements.
    pub fn empty(value: Value<'s>) -> Self {
        Self { value, requirements: Vec::new(), invalid: None, ambiguous: None }
    }

    /// Reads a label selector. A null one is read as empty.
    pub fn decode(value: Value<'s>, reading: KeyReading, text: ReadText<'_, 's>) -> Self {
        let mut selector = Self::empty(value);
        selector.add(value, reading, text);
        selector
    }

    /// AND-s another selector's requirements to this one.
    pub fn add(&mut self, value: Value<'s>, reading: KeyReading, text: ReadText<'_, 's>) {
        if !value.is_mapping() && !value.is_null() {
            self.refuse(value.span(), "a label selector must be a mapping");
        }
        for entry in value.entries() {
            match entry.key.text().as_deref() {
                Some("matchLabels") => self.match_labels(entry.value, reading, text),
                Some("matchExpressions") => {
                    for item in entry.value.items() {
                        self.expression(item.value, reading, text);
                    }
                }
                _ => self
                    .refuse(entry.key.span(), "a label selector has only matchLabels and matchExpressions"),
            }
        }
    }

    fn match_labels(&mut self, labels: Value<'s>, reading: KeyReading, text: ReadText<'_, 's>) {
        let mut places = Places { first: self.requirements.len(), known: FxHashMap::default() };
        self.requirements.reserve_exact(labels.written_entries().len());
        for entry in labels.entries() {
            let Some(key) = text(entry.key) else { continue };
            let (source, key) = read(key, reading);
            let Some(value) = text(entry.value).or_else(|| entry.value.is_null().then(Text::default)) else {
                self.refuse(entry.value.span(), "the value of a label must be text");
                continue;
            };
            let place = places.of(&self.requirements, &source, &key);
            if let Some(Requirement { origin: Origin::Label(other), .. }) = self.requirements.get(place) {
                let (other, this) = (other.key.text(), entry.key.text());
                if other != this {
                    self.ambiguous = Some(entry.key.span());
                }
                // Written twice, the last one counts; spelled in two ways, the last in order of the spelling.
                if other > this {
                    continue;
                }
            }
            self.check_key(&source, &key, entry.key.span());
            self.check_value(&value, entry.value.span());
            let requirement = Requirement {
                source,
                key,
                operator: Operator::In,
                values: vec![Spanned::new(value, entry.value.span())],
                origin: Origin::Label(entry),
            };
            match self.requirements.get_mut(place) {
                Some(same) => *same = requirement,
                None => self.requirements.push(requirement),
            }
        }
    }

    fn expression(&mut self, item: Value<'s>, reading: KeyReading, text: ReadText<'_, 's>) {
        let (mut key, mut operator, mut values) = (None, None, Vec::new());
        for entry in item.entries() {
            match entry.key.text().as_deref() {
                Some("key") => key = text(entry.value).map(|key| (key, entry.value.span())),
                Some("operator") => operator = Some(entry.value),
                Some("values") => {
                    let read = |value: Value<'s>| Some(Spanned::new(text(value)?, value.span()));
                    values = entry.value.items().filter_map(|item| read(item.value)).collect();
                }
                _ => self.refuse(entry.key.span(), "an expression has only key, operator and values"),
            }
        }
        let Some((key, key_span)) = key else {
            return self.refuse(item.span(), "an expression needs a key");
        };
        let Some(operator) = operator.and_then(|o| Operator::parse(&o.text()?)) else {
            let place = operator.map_or_else(|| item.span(), |o| o.span());
            return self.refuse(place, "the operator must be In, NotIn, Exists or DoesNotExist");
        };
        let needs_values = matches!(operator, Operator::In | Operator::NotIn);
        if needs_values == values.is_empty() {
            let what = if needs_values {
                "In and NotIn need values"
            } else {
                "Exists and DoesNotExist take no values"
            };
            self.refuse(item.span(), what);
        }
        let (source, key) = read(key, reading);
        self.check_key(&source, &key, key_span);
        for value in &values {
            let span = value.span;
            if let Some(problem) = value_problem(&value.value) {
                self.refuse(span, &problem);
            }
        }
        self.requirements.push(Requirement {
            source,
            key,
            operator,
            values,
            origin: Origin::Expression(item),
        });
    }

    fn refuse(&mut self, span: Span, why: &str) {
        self.invalid.get_or_insert_with(|| Spanned::new(why.to_owned(), span));
    }

    fn check_key(&mut self, source: &str, key: &str, span: Span) {
        if let Some(problem) = key_problem(source, key) {
            self.refuse(span, &problem);
        }
    }

    fn check_value(&mut self, value: &str, span: Span) {
        if let Some(problem) = value_problem(value) {
            self.refuse(span, &problem);
        }
    }

    /// Whether some requirement asks for this key with one of these sources,
    /// whatever its operator.
    pub fn has_key(&self, sources: &[&str], key: &str) -> bool {
        self.requirements.iter().any(|r| r.key == key && sources.contains(&r.source.as_ref()))
    }
}

/// The check runs on the internal form `<source>.<key>`, so the source counts (V7).
fn key_problem(source: &str, key: &str) -> Option<String> {
    if is_ordinary(source, key) || super::is_unknown(key) {
        return None;
    }
    let full = format!("{source}.{key}");
    let (prefix, name) = match full.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, full.as_str()),
    };
    if prefix.is_some_and(|prefix| !is_dns_subdomain(prefix)) {
        return Some(format!("the part of {key:?} before the / must be a lower-case DNS name"));
    }
    if name.is_empty() || name.len() > 63 {
        return Some(format!(
            "the name in the label key {key:?} must have 1 to 63 characters, its source included"
        ));
    }
    if !is_label_text(name) {
        return Some(format!(
            "the label key {key:?} may hold only letters, digits, -, _ and ., and must begin and end with a letter or digit"
        ));
    }
    None
}

/// Whether a key is as nearly all are: right, without a closer look.
fn is_ordinary(source: &str, key: &str) -> bool {
    let plain_source = source.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_right = match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_text(name),
        None => is_label_text(key),
    };
    !source.is_empty() && source.len() + ".".len() + key.len() <= 63 && plain_source && is_right
}

fn value_problem(value: &str) -> Option<String> {
    let is_right = value.len() <= 63 && is_label_text(value);
    if is_right || value.is_empty() || super::is_unknown(value) {
        return None;
    }
    if value.len() > 63 {
        return Some(format!("the label value {value:?} has more than 63 characters"));
    }
    Some(format!(
        "the label value {value:?} may hold only letters, digits, -, _ and ., and must begin and end with a letter or digit"
    ))
}

fn is_label_text(text: &str) -> bool {
    let text = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(text.first())
        && ends(text.last())
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A lower-case DNS name of at most 253 characters.
pub fn is_dns_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_ciliums_order() {
        for (text, want) in [
            ("app", ("any", "app")),
            ("k8s:app", ("k8s", "app")),
            ("K8S:app", ("K8S", "app")),
            ("$host", ("reserved", "host")),
            ("reserved.host", ("reserved", "host")),
            ("reserved:host", ("reserved", "host")),
            (":app", ("any", "app")),
            ("unspec:app", ("any", "app")),
            ("k8s.app", ("any", "k8s.app")),
            ("app=web", ("any", "app")),
        ] {
            assert_eq!(read_key(text), want, "{text}");
        }
    }

    #[test]
    fn keys_and_values_are_checked_with_their_source() {
        assert_eq!(key_problem("any", &"a".repeat(59)), None);
        assert!(key_problem("any", &"a".repeat(60)).is_some());
        assert!(key_problem("any", "Foo.com/x").is_some());
        assert_eq!(key_problem("k8s", "app.kubernetes.io/name"), None);
        assert!(value_problem("-web").is_some());
        assert_eq!(value_problem(""), None);
    }
}
