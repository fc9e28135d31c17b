//! What records say about other records: names by DNS answers, labels by identity.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Span;
use crate::flow::Endpoint;
use crate::label::Label;

/// Identities below are reserved, from [`FIRST_LOCAL`] on they belong to one node
/// (`flow-formats.md` 1.5).
const FIRST_CLUSTER_WIDE: u32 = 256;
const FIRST_LOCAL: u32 = 1 << 24;

/// The names that DNS answers gave for addresses, with first and last time.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<IpAddr, BTreeMap<Box<str>, Option<Span>>>);

impl Answers {
    pub(super) fn add(&mut self, ip: IpAddr, name: &str, seen: Option<Span>) {
        let names = self.0.entry(ip).or_default();
        match names.get_mut(name) {
            Some(known) => *known = join(*known, seen),
            None => {
                names.insert(name.into(), seen);
            }
        }
    }

    /// The names of an address that were given by `last`; all if none was.
    /// With more than one, nothing says which of them was called.
    pub(super) fn names(&self, ip: IpAddr, last: Option<Timestamp>) -> Vec<Box<str>> {
        let Some(names) = self.0.get(&ip) else { return Vec::new() };
        let given = |span: &Option<Span>| match (span, last) {
            (Some((first, _)), Some(last)) => *first <= last,
            _ => true,
        };
        let known: Vec<Box<str>> =
            names.iter().filter(|(_, span)| given(span)).map(|(name, _)| name.clone()).collect();
        if known.is_empty() { names.keys().cloned().collect() } else { known }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &str, Option<Span>)> {
        self.0.iter().flat_map(|(ip, names)| names.iter().map(|(name, span)| (*ip, name.as_ref(), *span)))
    }
}

/// The time that covers both.
pub(super) fn join(a: Option<Span>, b: Option<Span>) -> Option<Span> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (span, None) | (None, span) => span,
    }
}

/// The labels of identities, where records agree on them.
pub(super) struct Identities<'a>(BTreeMap<u32, Option<&'a [Label]>>);

impl<'a> Identities<'a> {
    pub(super) fn of(ends: impl IntoIterator<Item = &'a Endpoint>) -> Self {
        let mut known: BTreeMap<u32, Option<&[Label]>> = BTreeMap::new();
        for end in ends {
            let Some(identity) = end.identity.filter(|n| (FIRST_CLUSTER_WIDE..FIRST_LOCAL).contains(n))
            else {
                continue;
            };
            if end.labels.is_empty() {
                continue;
            }
            known
                .entry(identity)
                .and_modify(|labels| *labels = labels.filter(|labels| *labels == end.labels.as_slice()))
                .or_insert(Some(&end.labels));
        }
        Self(known)
    }

    /// The labels of an end that has none, by its identity.
    pub(super) fn labels(&self, end: &Endpoint) -> Option<&'a [Label]> {
        if !end.labels.is_empty() {
            return None;
        }
        self.0.get(&end.identity?).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_address_has_the_names_that_were_given_before_it_was_called() {
        let mut answers = Answers::default();
        let ip = IpAddr::from([192, 0, 2, 9]);
        answers.add(ip, "old.example", Some((second(10), second(10))));
        answers.add(ip, "new.example", Some((second(30), second(30))));
        assert_eq!(answers.names(ip, Some(second(20))), ["old.example".into()]);
        assert_eq!(answers.names(ip, Some(second(40))).len(), 2, "nothing says which of both was called");
        assert_eq!(answers.names(ip, Some(second(5))).len(), 2, "clocks of nodes differ");
    }

    #[test]
    fn labels_are_taken_over_only_for_identities_of_the_whole_cluster() {
        let end = |identity, labels: &[Label]| Endpoint {
            identity: Some(identity),
            labels: labels.to_vec(),
            ..Endpoint::default()
        };
        let web = [Label::k8s("app", "web")];
        let ends = [
            end(3000, &web),
            end(4000, &web),
            end(4000, &[Label::k8s("app", "api")]),
            end(FIRST_LOCAL, &[Label::reserved("world")]),
        ];
        let identities = Identities::of(&ends);
        assert_eq!(identities.labels(&end(3000, &[])), Some(&web[..]));
        assert_eq!(identities.labels(&end(4000, &[])), None, "records disagree");
        assert_eq!(identities.labels(&end(FIRST_LOCAL, &[])), None, "another node's number");
    }
}
