//! The embedded schemas, changed to what they were in an older release and compiled.

use jsonschema::{PatternOptions, Validator};
use serde::Deserialize;
use serde_json::Value as JsonValue;

use super::Kind;
use super::instance::Yaml;
use crate::version::CiliumVersion;

const VERSIONS: &str = include_str!("../../schemas/versions.json");

/// The file of a kind's schema without its ending, and its text.
pub(super) fn source(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::CiliumNetworkPolicy => {
            ("ciliumnetworkpolicy", include_str!("../../schemas/ciliumnetworkpolicy.json"))
        }
        Kind::CiliumClusterwideNetworkPolicy => (
            "ciliumclusterwidenetworkpolicy",
            include_str!("../../schemas/ciliumclusterwidenetworkpolicy.json"),
        ),
        Kind::NetworkPolicy => ("networkpolicy", include_str!("../../schemas/networkpolicy.json")),
        Kind::CiliumCidrGroup => ("ciliumcidrgroup", include_str!("../../schemas/ciliumcidrgroup.json")),
    }
}

/// A schema ready for use.
pub(super) struct Compiled {
    pub(super) validator: Validator<Yaml>,
    /// The schema itself: messages are read from it.
    pub(super) schema: JsonValue,
    /// Where releases differ, and why; those of other kinds left out.
    pub(super) changes: Vec<Change>,
}

/// How a schema differs in older releases.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    /// The last release for which it holds, such as `1.17`.
    until: String,
    /// What came or went in the release after it.
    pub(super) why: String,
    schemas: Vec<String>,
    /// JSON pointer into the schema.
    pub(super) at: String,
    /// What stands there; nothing when left out.
    set: Option<JsonValue>,
}

impl Compiled {
    pub(super) fn new(kind: Kind, version: CiliumVersion) -> Option<Self> {
        let (file, text) = source(kind);
        let mut schema: JsonValue = serde_json::from_str(text).ok()?;
        let mut changes = changes()?;
        changes.retain(|change| change.schemas.iter().any(|schema| schema == file));
        for change in &changes {
            if version <= change.until.parse().ok()? {
                apply(change, &mut schema)?;
            }
        }
        let validator = jsonschema::options_for::<Yaml>()
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&schema)
            .ok()?;
        Some(Self { validator, schema, changes })
    }

    /// Whether any part of the kind has a field of this name.
    pub(super) fn has_field(&self, name: &str) -> bool {
        let parts = self.schema.get("$defs").and_then(JsonValue::as_object);
        parts.into_iter().flat_map(|parts| parts.values()).any(|part| part["properties"].get(name).is_some())
    }
}

/// All changes, the newest first.
pub(super) fn changes() -> Option<Vec<Change>> {
    #[derive(Deserialize)]
    struct Versions {
        changes: Vec<Change>,
    }
    Some(serde_json::from_str::<Versions>(VERSIONS).ok()?.changes)
}

/// Sets or removes what stands at the place of a change. `None` when there is
/// no such place.
fn apply(change: &Change, schema: &mut JsonValue) -> Option<()> {
    let (parent, key) = change.at.rsplit_once('/')?;
    let parent = schema.pointer_mut(parent)?.as_object_mut()?;
    match &change.set {
        Some(value) => {
            parent.insert(key.to_owned(), value.clone());
        }
        None => {
            parent.remove(key)?;
        }
    }
    Some(())
}
