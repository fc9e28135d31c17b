//! The YAML tree in the shape in which the schema validator reads JSON, so that
//! a document is checked where it lies and nothing is copied.
//!
//! Scalars have the type that kubectl gives them. A key whose value is null is
//! absent, as the API server drops it before it looks (`semantics.md` 1.4 V5).

use std::borrow::Cow;
use std::iter::{FilterMap, Map};

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Map as JsonMap, Number, Value as JsonValue};

use crate::yaml::{Entries, Entry, Item, Items, Kind, Resolved, Style, Value};

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

    /// A lookup walks over all members, so one walk that answers several is always better.
    const KEYS_PER_LOOKUP: usize = 64;
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
            Instance::Node(value) if value.is_mapping() => Some(Mapping(value.resolve())),
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
        let Instance::Node(value) = self else { return JsonType::String };
        match value.resolve().kind() {
            Kind::Mapping { .. } => return JsonType::Object,
            Kind::Sequence { .. } => return JsonType::Array,
            Kind::Scalar(style) if style != Style::Plain => return JsonType::String,
            _ => {}
        }
        match self.resolved() {
            Some(Resolved::Bool(_)) => JsonType::Boolean,
            Some(Resolved::Int(_) | Resolved::Float(_)) => JsonType::Number,
            Some(Resolved::String(_)) => JsonType::String,
            // Without a type is only an alias to nothing; the reader has told of it.
            Some(Resolved::Null) | None => JsonType::Null,
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
            Some(Resolved::Null) | None => match self.json_type() {
                JsonType::Object => JsonValue::Object(JsonMap::new()),
                JsonType::Array => JsonValue::Array(Vec::new()),
                _ => JsonValue::Null,
            },
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
pub(super) struct Mapping<'t>(Value<'t>);

type Member<'t> = (Cow<'t, str>, Instance<'t>);
type Members<'t> = FilterMap<Entries<'t>, fn(Entry<'t>) -> Option<Member<'t>>>;

/// An entry that has a key to speak of and a value.
fn member(entry: Entry<'_>) -> Option<Member<'_>> {
    if entry.value.is_null() {
        return None;
    }
    Some((entry.key.text()?, Instance::Node(entry.value)))
}

impl<'t> Object<'t, Yaml> for Mapping<'t> {
    type Node = Instance<'t>;
    type MemberName = Cow<'t, str>;
    type MembersIter = Members<'t>;

    fn len(&self) -> usize {
        self.0.entries().filter(|entry| entry.key.style().is_some() && !entry.value.is_null()).count()
    }

    fn get(&self, key: &String) -> Option<Instance<'t>> {
        let named = self.0.entries().filter(|entry| entry.key.says(key) && !entry.value.is_null()).last();
        named.map(|entry| Instance::Node(entry.value))
    }

    fn members(&self) -> Members<'t> {
        self.0.entries().filter_map(member)
    }
}

/// A sequence.
pub(super) struct Sequence<'t>(Value<'t>);

impl<'t> Array<'t, Yaml> for Sequence<'t> {
    type Node = Instance<'t>;
    type ElementsIter = Map<Items<'t>, fn(Item<'t>) -> Instance<'t>>;

    fn len(&self) -> usize {
        self.0.items().len()
    }

    fn elements(&self) -> Self::ElementsIter {
        self.0.items().map(|item| Instance::Node(item.value))
    }
}
