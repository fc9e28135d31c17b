//! Reads the fields of one object as the cluster gets them: variables in their
//! values are substituted on the way.

use std::net::IpAddr;

use super::{Origin, Pair, Rendered};
use crate::manifest::Object;
use crate::traffic::Transport;
use crate::yaml::{Resolved, Value};

/// An object, and what the tree makes of it.
pub(super) struct Reader<'r, 'a> {
    pub(super) origin: Origin,
    pub(super) object: &'r Object<'a>,
    pub(super) rendered: &'r Rendered<'a>,
}

/// The entries of a mapping of labels.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) known: Vec<Pair>,
    /// Keys whose value cannot be known.
    pub(super) unknown: Vec<Box<str>>,
}

impl Pairs {
    /// Puts in a label over one with the same key.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.unknown.retain(|known| &**known != key);
        match self.known.iter_mut().find(|(known, _)| &**known == key) {
            Some((_, old)) => *old = value.into(),
            None => self.known.push((key.into(), value.into())),
        }
    }
}

impl<'a> Reader<'_, 'a> {
    pub(super) fn name(&self) -> Box<str> {
        self.rendered.name.as_ref().into()
    }

    pub(super) fn namespace(&self) -> Option<Box<str>> {
        self.rendered.namespace.as_deref().map(Box::from)
    }

    pub(super) fn path(&self, keys: &[&str]) -> Option<Value<'a>> {
        self.object.value.path(keys)
    }

    /// A scalar that is not null, variables substituted.
    pub(super) fn text(&self, value: Option<Value<'a>>) -> Option<Box<str>> {
        let value = value.filter(|value| !value.is_null())?;
        Some((self.rendered.substitute)(value.text()?)?.into())
    }

    /// A whole number from 0 to 65535, written as number or text.
    pub(super) fn port(&self, value: Option<Value<'a>>) -> Option<u16> {
        match value?.resolved()? {
            Resolved::Int(number) => u16::try_from(number).ok(),
            _ => self.text(value)?.parse().ok(),
        }
    }

    pub(super) fn is_true(&self, value: Option<Value<'a>>) -> bool {
        value.and_then(Value::resolved) == Some(Resolved::Bool(true))
    }

    /// The protocol of a port: TCP where none is written. `None` when it is
    /// none that policy can name.
    pub(super) fn transport(&self, value: Option<Value<'a>>) -> Option<Transport> {
        let Some(name) = self.text(value) else { return Some(Transport::Tcp) };
        Transport::ALL.into_iter().find(|transport| transport.as_str() == &*name)
    }

    /// An address; what is none (`None`, a variable) is left out.
    pub(super) fn address(&self, value: Option<Value<'a>>) -> Option<IpAddr> {
        self.text(value)?.parse().ok()
    }

    pub(super) fn pairs(&self, map: Option<Value<'a>>) -> Pairs {
        let mut pairs = Pairs::default();
        for entry in map.into_iter().flat_map(Value::entries) {
            let Some(key) = self.text(Some(entry.key)) else { continue };
            match entry.value.text() {
                None if entry.value.is_null() => pairs.set(&key, ""),
                None => {}
                Some(text) => match (self.rendered.substitute)(text) {
                    Some(value) => pairs.set(&key, &value),
                    None => pairs.unknown.push(key),
                },
            }
        }
        pairs
    }
}

/// The items under a key; none when it is no sequence.
pub(super) fn items<'a>(value: Option<Value<'a>>, key: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
    value.and_then(|value| value.get(key)).into_iter().flat_map(Value::items).map(|item| item.value.resolve())
}
