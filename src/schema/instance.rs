//! The YAML tree in the shape in which the schema validator reads JSON, so that
//! a document is checked where it lies and nothing is copied.
//!
//! Scalars have the type that kubectl gives them. A key whose value is null is
//! absent, as the API server drops it before it looks (`semantics.md` 1.4 V5).

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Map, Number, Value as JsonValue};

use crate::yaml::{Entry, Resolved, Value};

/// The representation: JSON read from a YAML tree.
pub(super) struct Yaml;

/// A node of the tree, or a key seen as a value.
#[derive(Clone, Copy)]
pub(super) enum Instance<'t> {
    Node(Value<'t>),
    Key(&'t str),
}

impl Json for Yaml {
    type Node<'a> = Instance<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = 2;
    /// An alias reaches back only, so nothing holds itself.
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Instance<'_>) -> T) -> T {
        f(Instance::Key(string))
    }
}

impl<'t> Instance<'t> {
    fn resolved(self) -> Option<Resolved<'t>> {
        match self {
            Instance::Node(value) => value.resolved(),
            Instance::Key(text) => Some(Resolved::String(Cow::Borrowed(text))),
        }
    }
}

impl<'t> Node<'t, Yaml> for Instance<'t> {
    type Object = Mapping<'t>;
    type Array = Sequence<'t>;
    type Number = Number;

    fn as_object(&self) -> Option<Mapping<'t>> {
        match self {
            Instance::Node(value) if value.is_mapping() => Some(Mapping::new(value.resolve())),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Sequence<'t>> {
        match self {
            Instance::Node(value) if value.is_sequence() => Some(Sequence(value.resolve())),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'t, str>> {
        match self.resolved()? {
            Resolved::String(text) => Some(text),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Number> {
        match self.resolved()? {
            Resolved::Int(number) => Some(number.into()),
            // JSON has no infinity; a number it must be all the same.
            Resolved::Float(number) => Some(Number::from_f64(number).unwrap_or_else(|| 0.into())),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.resolved()? {
            Resolved::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.json_type() == JsonType::Null
    }

    fn json_type(&self) -> JsonType {
        match self.resolved() {
            Some(Resolved::Null) => JsonType::Null,
            Some(Resolved::Bool(_)) => JsonType::Boolean,
            Some(Resolved::Int(_) | Resolved::Float(_)) => JsonType::Number,
            Some(Resolved::String(_)) => JsonType::String,
            None if self.as_object().is_some() => JsonType::Object,
            None if self.as_array().is_some() => JsonType::Array,
            // An alias to nothing; the reader has told of it.
            None => JsonType::Null,
        }
    }

    fn equals_value(&self, expected: &JsonValue) -> bool {
        match (expected, self.resolved()) {
            (JsonValue::String(expected), Some(Resolved::String(text))) => *expected == text,
            (JsonValue::String(_), _) => false,
            _ => *self.to_value() == *expected,
        }
    }

    /// For messages only, which never print a container: its content is left out.
    fn to_value(&self) -> Cow<'t, JsonValue> {
        Cow::Owned(match self.resolved() {
            Some(Resolved::Bool(truth)) => JsonValue::Bool(truth),
            Some(Resolved::Int(_) | Resolved::Float(_)) => {
                self.as_number().map_or(JsonValue::Null, JsonValue::Number)
            }
            Some(Resolved::String(text)) => JsonValue::String(text.into_owned()),
            None if self.as_object().is_some() => JsonValue::Object(Map::new()),
            None if self.as_array().is_some() => JsonValue::Array(Vec::new()),
            Some(Resolved::Null) | None => JsonValue::Null,
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self {
            Instance::Node(value) => {
                let value = value.resolve();
                let tree = std::ptr::from_ref(value.tree()) as usize;
                Some(NodeIdentity::tagged(tree, value.span().start))
            }
            Instance::Key(_) => None,
        }
    }
}

/// A mapping, with what `<<` brings in.
pub(super) struct Mapping<'t> {
    value: Value<'t>,
    /// All entries where something is merged in; else they are read in place.
    merged: Option<Vec<Entry<'t>>>,
}

impl<'t> Mapping<'t> {
    fn new(value: Value<'t>) -> Self {
        let merges = value.written_entries().any(|entry| entry.key.raw() == "<<");
        Self { value, merged: merges.then(|| value.entries().collect()) }
    }
}

impl<'t> Object<'t, Yaml> for Mapping<'t> {
    type Node = Instance<'t>;
    type MemberName = Cow<'t, str>;
    type MembersIter = Members<'t>;

    fn len(&self) -> usize {
        self.members().count()
    }

    fn get(&self, key: &String) -> Option<Instance<'t>> {
        self.members().filter(|(name, _)| name == key).last().map(|(_, value)| value)
    }

    fn members(&self) -> Members<'t> {
        Members { value: self.value, merged: self.merged.clone(), next: 0 }
    }
}

/// The entries of a mapping that have a key to speak of and a value.
pub(super) struct Members<'t> {
    value: Value<'t>,
    merged: Option<Vec<Entry<'t>>>,
    next: usize,
}

impl<'t> Iterator for Members<'t> {
    type Item = (Cow<'t, str>, Instance<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match &self.merged {
                Some(entries) => *entries.get(self.next)?,
                None => self.value.written_entries().nth(self.next)?,
            };
            self.next += 1;
            if let Some(name) = entry.key.text().filter(|_| !entry.value.is_null()) {
                return Some((name, Instance::Node(entry.value)));
            }
        }
    }
}

/// A sequence.
pub(super) struct Sequence<'t>(Value<'t>);

impl<'t> Array<'t, Yaml> for Sequence<'t> {
    type Node = Instance<'t>;
    type ElementsIter = Elements<'t>;

    fn len(&self) -> usize {
        self.0.items().len()
    }

    fn elements(&self) -> Elements<'t> {
        Elements { value: self.0, next: 0 }
    }
}

/// The items of a sequence.
pub(super) struct Elements<'t> {
    value: Value<'t>,
    next: usize,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Instance<'t>;

    fn next(&mut self) -> Option<Instance<'t>> {
        let item = self.value.items().nth(self.next)?;
        self.next += 1;
        Some(Instance::Node(item.value))
    }
}
