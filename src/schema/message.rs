//! What the validator found, in words that help, at the place where it helps.
//!
//! Words for one field stand in the schema beside it (`errorMessage`, which
//! editors show too); what can be said of any field is said here.

use jsonschema::error::{TypeKind, ValidationErrorKind as Fault};
use jsonschema::{JsonType, ValidationError};
use rustc_hash::FxHashSet;
use serde_json::Value as JsonValue;

use super::compiled::Compiled;
use super::instance::Instance;
use super::place::Place;
use super::{Kind, SchemaError, SchemaFault, schema_of};
use crate::spelling::nearest;
use crate::version::CiliumVersion;
use crate::yaml::{Resolved, Value};

/// The errors of an object that is not valid, in the order of the file.
pub(super) fn errors(kind: Kind, compiled: &Compiled, root: Value<'_>) -> Vec<SchemaError> {
    let mut found = Vec::new();
    for error in compiled.validator.iter_errors(Instance::Node(root)) {
        let pointer = error.instance_path().as_str();
        let Some(place) = Place::find(root, pointer).filter(|place| !place.is_substituted()) else {
            continue;
        };
        Report { kind, compiled, place, pointer, error: &error }.write(&mut found);
    }
    found.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
    found.dedup_by(|a, b| (a.span, &a.message) == (b.span, &b.message));
    found
}

/// One error of the validator on its way to words.
struct Report<'e, 't> {
    kind: Kind,
    compiled: &'e Compiled,
    place: Place<'t>,
    pointer: &'e str,
    error: &'e ValidationError<'t>,
}

impl Report<'_, '_> {
    fn write(&self, found: &mut Vec<SchemaError>) {
        match self.error.kind() {
            Fault::AdditionalProperties { unexpected } => self.unknown_fields(unexpected, found),
            fault => found.extend(self.message(fault).map(|message| SchemaError {
                fault: self.fault(fault),
                message,
                span: self.place.span(),
                pointer: self.pointer.to_owned(),
            })),
        }
    }

    fn fault(&self, fault: &Fault) -> SchemaFault {
        match fault {
            Fault::Required { .. } => SchemaFault::MissingField,
            Fault::OneOfNotValid { .. } | Fault::OneOfMultipleValid { .. } | Fault::AnyOf { .. } => {
                SchemaFault::Choice
            }
            Fault::Type { .. } => SchemaFault::Type,
            Fault::Enum { options } => SchemaFault::Value { meant: self.meant(options).map(str::to_owned) },
            _ => SchemaFault::Value { meant: None },
        }
    }

    /// The words for anything but an unknown field; `None` where another error
    /// of the same place says it better.
    fn message(&self, fault: &Fault) -> Option<String> {
        let node = self.place.node;
        Some(match fault {
            Fault::Required { property } => {
                let name = property.as_str()?;
                if self.is_misspelt(name) {
                    return None;
                }
                format!("`{name}` is missing")
            }
            Fault::OneOfNotValid { .. } => {
                let names = self.choices("oneOf");
                if names.iter().any(|name| self.is_misspelt(name)) {
                    return None;
                }
                format!("exactly one of {} is needed, and none is there", quoted(&names))
            }
            Fault::AnyOf { .. } => {
                let names = self.choices("anyOf");
                if names.iter().any(|name| self.is_misspelt(name)) {
                    return None;
                }
                format!("at least one of {} is needed", quoted(&names))
            }
            // What is no mapping lacks no key; that it is none is told by its type.
            Fault::OneOfMultipleValid { .. } if !node.is_mapping() => return None,
            Fault::OneOfMultipleValid { .. } => {
                let mut names = self.choices("oneOf");
                names.retain(|name| node.get(name).is_some_and(|value| !value.is_null()));
                format!("only one of {} may be there", quoted(&names))
            }
            Fault::Enum { options } => self.not_among(options),
            Fault::Constant { expected_value } => {
                format!("this must be {}", expected_value.as_str().unwrap_or("something else"))
            }
            fault => self.own_words().unwrap_or_else(|| plain_words(node, fault, self.error)),
        })
    }

    /// The part of the schema that was not met.
    fn schema(&self) -> Option<&JsonValue> {
        self.compiled.schema.pointer(self.schema_pointer())
    }

    fn schema_pointer(&self) -> &str {
        let keyword = self.error.schema_path().as_str();
        keyword.rsplit_once('/').map_or("", |(schema, _)| schema)
    }

    fn own_words(&self) -> Option<String> {
        self.schema()?.get("errorMessage")?.as_str().map(str::to_owned)
    }

    /// The fields of this place.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let properties = self.schema().and_then(|schema| schema.get("properties")?.as_object());
        properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// The fields between which `oneOf` or `anyOf` chooses.
    fn choices(&self, keyword: &str) -> Vec<&str> {
        let branches = self.schema().and_then(|schema| schema.get(keyword)?.as_array());
        branches
            .into_iter()
            .flatten()
            .filter_map(|branch| branch.get("required")?.as_array()?.first()?.as_str())
            .collect()
    }

    /// Whether an unknown key beside it was probably meant to be this field, or
    /// was one in another release: then that is told, and not that the field is missing.
    fn is_misspelt(&self, field: &str) -> bool {
        self.place.node.entries().any(|entry| {
            let key = entry.key.text().unwrap_or_default();
            self.fields().all(|known| known != key)
                && (nearest(&key, self.fields()) == Some(field) || self.reason_of_release(&key).is_some())
        })
    }

    /// Why releases differ about this field.
    fn reason_of_release(&self, name: &str) -> Option<&str> {
        let at = format!("{}/properties/{name}", self.schema_pointer());
        let change = self.compiled.changes.iter().find(|change| change.at == at);
        change.map(|change| change.why.as_str())
    }

    /// Each unknown key at its place; one walk, since a hostile file may have very many.
    fn unknown_fields(&self, unexpected: &[String], found: &mut Vec<SchemaError>) {
        let unexpected: FxHashSet<&str> = unexpected.iter().map(String::as_str).collect();
        for entry in self.place.node.entries() {
            let Some(name) = entry.key.text() else { continue };
            if unexpected.contains(name.as_ref()) && !name.contains("${") {
                let (message, meant) = self.unknown_field(&name);
                found.push(SchemaError {
                    fault: SchemaFault::UnknownField { meant: meant.map(str::to_owned) },
                    message,
                    span: entry.key.span(),
                    pointer: format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1")),
                });
            }
        }
    }

    /// The words for an unknown field, and the one that was probably meant.
    fn unknown_field(&self, name: &str) -> (String, Option<&str>) {
        let why = if let Some(why) = self.reason_of_release(name) {
            format!(": {why}")
        } else if self.compiled.has_field(name) {
            ", but elsewhere: check its place and indentation".to_owned()
        } else if let Some(other) = self.kind.sibling().filter(|other| knows(*other, name)) {
            format!(": it belongs to a {}", other.name())
        } else if let Some(meant) = nearest(name, self.fields()) {
            return (format!("`{name}` is no field here; did you mean `{meant}`?"), Some(meant));
        } else {
            let fields: Vec<&str> = self.fields().collect();
            format!("; possible are {}", quoted(&fields))
        };
        (format!("`{name}` is no field here{why}"), None)
    }

    /// The one of some words that was probably meant. ICMP is none of the
    /// protocols, however near one is.
    fn meant<'o>(&self, options: &'o JsonValue) -> Option<&'o str> {
        let words = options.as_array().into_iter().flatten().filter_map(JsonValue::as_str);
        let written = self.place.node.text().filter(|text| !is_icmp(text))?;
        nearest(&written, words)
    }

    fn not_among(&self, options: &JsonValue) -> String {
        let words: Vec<&str> =
            options.as_array().into_iter().flatten().filter_map(JsonValue::as_str).collect();
        let Some(written) = self.place.node.text() else {
            return format!("one word is needed here: {}", listed(&words));
        };
        match self.meant(options) {
            Some(meant) => format!("`{written}` is not possible here; did you mean {meant}?"),
            None if is_icmp(&written) && words.contains(&"TCP") => format!(
                "`{written}` has no ports: a Cilium policy names it under `icmps`, in an item without toPorts"
            ),
            None => format!("`{written}` is not possible here; possible are {}", listed(&words)),
        }
    }
}

fn knows(kind: Kind, field: &str) -> bool {
    schema_of(kind, CiliumVersion::default()).is_some_and(|schema| schema.has_field(field))
}

fn is_icmp(text: &str) -> bool {
    matches!(text.to_ascii_uppercase().as_str(), "ICMP" | "ICMPV4" | "ICMPV6")
}

/// What can be said of any field that has no words of its own.
fn plain_words(node: Value<'_>, fault: &Fault, error: &ValidationError<'_>) -> String {
    match fault {
        Fault::Type { kind: TypeKind::Single(wanted) } => wrong_type(*wanted, node),
        Fault::MaxItems { limit } => {
            format!("at most {limit} items are possible, and these are {}", node.items().len())
        }
        Fault::MinItems { limit } => format!("at least {limit} is needed"),
        Fault::MaxLength { limit } => format!("at most {limit} characters are possible"),
        Fault::MinLength { .. } => "this must not be empty".to_owned(),
        Fault::Minimum { limit } => format!("this must be at least {limit}"),
        Fault::Maximum { limit } => format!("this must be at most {limit}"),
        Fault::UniqueItems => "one item stands here twice".to_owned(),
        _ => error.to_string(),
    }
}

fn wrong_type(wanted: JsonType, node: Value<'_>) -> String {
    let found = match node.resolved() {
        Some(Resolved::Null) => "nothing",
        Some(Resolved::Bool(_)) => "a truth value",
        Some(Resolved::Int(_) | Resolved::Float(_)) => "a number",
        Some(Resolved::String(_)) => "a string",
        None if node.is_mapping() => "a mapping",
        None => "a list",
    };
    let (needed, hint) = match wanted {
        JsonType::String if node.style().is_some() => ("a string", ": write it in quotes"),
        JsonType::String => ("a string", ""),
        JsonType::Array if node.is_mapping() => ("a list", ": begin it with `- `"),
        JsonType::Array => ("a list", ""),
        JsonType::Object if node.is_sequence() => ("a mapping", ": take the `- ` away"),
        JsonType::Object => ("a mapping", ""),
        JsonType::Boolean if found == "a string" => ("true or false", ": take the quotes away"),
        JsonType::Boolean => ("true or false", ""),
        JsonType::Integer | JsonType::Number if found == "a string" => ("a number", ": take the quotes away"),
        JsonType::Integer | JsonType::Number => ("a whole number", ""),
        JsonType::Null => ("nothing", ""),
    };
    format!("{needed} is needed here, and this is {found}{hint}")
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    listed(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
