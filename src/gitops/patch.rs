//! Patches of kustomize: whom they are for, and what they do.
//!
//! Deleting an object and changing its name, namespace or labels is evaluated;
//! that an object is changed otherwise is known and said, but not followed.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value as Json;

use super::json::to_json;
use super::kinds::effective_namespace;
use super::kustomization::spanned;
use crate::manifest::Text;
use crate::source::{FileId, Span, Spanned};
use crate::yaml::{Value, parse};

/// One entry of `patches`, `patchesStrategicMerge` or `patchesJson6902`.
#[derive(Debug, Clone)]
pub(super) struct Patch<'t> {
    /// The entry.
    pub(super) place: Span,
    /// Whom it is for; a strategic merge without one names it itself.
    pub(super) target: Option<Target>,
    pub(super) body: Body<'t>,
}

/// Where the patch itself is written.
#[derive(Debug, Clone)]
pub(super) enum Body<'t> {
    /// In the entry.
    Inline(Arc<[Change]>),
    /// In a file, as the entry names it.
    File(Spanned<Text<'t>>),
    /// In none of the forms that kustomize knows.
    Unreadable,
}

/// What a patch does to one object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// An object that is merged into its like.
    Merge(Json),
    /// Operations of a JSON patch.
    Operations(Vec<Json>),
}

/// A selector of objects. Names are regular expressions for the whole text.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    /// `key=value` parts of a label selector; `None` for one that is not understood.
    labels: Option<Vec<(Box<str>, Box<str>)>>,
}

/// The identity of an object that a patch is looked up for.
pub(super) struct Identity<'i> {
    pub(super) group: &'i str,
    pub(super) version: &'i str,
    pub(super) kind: &'i str,
    /// The names it has and had.
    pub(super) names: [&'i str; 2],
    /// The namespaces it has and had, as kustomize compares them.
    pub(super) namespaces: [&'i str; 2],
    pub(super) label: &'i dyn Fn(&str) -> Option<String>,
}

impl<'t> Patch<'t> {
    /// An item of `patchesStrategicMerge`: the patch as text, or its file.
    pub(super) fn strategic(item: Value<'t>) -> Self {
        let body = match spanned(Some(item)) {
            Some(text) if text.value.contains('\n') => Body::inline(&text.value),
            Some(text) => Body::File(text),
            None => Body::Unreadable,
        };
        Self { place: item.span(), target: None, body }
    }

    /// An item of `patches` or `patchesJson6902`.
    pub(super) fn read(item: Value<'t>) -> Self {
        let body = match (spanned(item.get("path")), spanned(item.get("patch"))) {
            (Some(path), _) => Body::File(path),
            (None, Some(patch)) => Body::inline(&patch.value),
            (None, None) => Body::Unreadable,
        };
        let field = |key| item.path(&["target", key]).and_then(Value::text);
        let target = item.get("target").map(|_| Target::new(field));
        Self { place: item.get("path").unwrap_or(item).span(), target, body }
    }

    /// A patch of a Flux Kustomization, which is always written inline.
    pub(super) fn from_json(patch: &Json, place: Span) -> Self {
        let body = patch.get("patch").and_then(Json::as_str).map_or(Body::Unreadable, Body::inline);
        let field = |key: &str| Some(Cow::Owned(patch.get("target")?.get(key)?.as_str()?.to_owned()));
        let target = patch.get("target").map(|_| Target::new(field));
        Self { place, target, body }
    }
}

impl Body<'_> {
    fn inline(text: &str) -> Self {
        let tree = parse(FileId(0), text);
        let changes = changes(tree.roots().map(|(_, root)| root));
        match changes.filter(|_| tree.errors.is_empty()) {
            Some(changes) => Body::Inline(changes),
            None => Body::Unreadable,
        }
    }
}

/// The changes that the documents of a patch make; `None` when one of them is
/// neither an object nor a list of operations.
pub(super) fn changes<'v>(documents: impl Iterator<Item = Value<'v>>) -> Option<Arc<[Change]>> {
    let change = |document| match to_json(document)? {
        Json::Array(operations) => Some(Change::Operations(operations)),
        object @ Json::Object(_) => Some(Change::Merge(object)),
        _ => None,
    };
    documents.map(change).collect()
}

impl Change {
    /// The target that a strategic merge names by its own kind and name.
    pub(super) fn own_target(&self) -> Option<Target> {
        let Change::Merge(object) = self else { return None };
        let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str);
        let (group, version) = group_and_version(text("/apiVersion").unwrap_or(""));
        let kind = text("/kind")?;
        let namespace = effective_namespace(group, kind, text("/metadata/namespace"));
        let exactly = |text: &str| Some(Pattern::Text(text.into()));
        Some(Target {
            group: exactly(group),
            version: exactly(version),
            kind: exactly(kind),
            name: exactly(text("/metadata/name")?),
            namespace: exactly(namespace),
            labels: Some(Vec::new()),
        })
    }

    /// Whether it takes the whole object away.
    pub(super) fn deletes(&self) -> bool {
        matches!(self, Change::Merge(object) if object.get("$patch").and_then(Json::as_str) == Some("delete"))
    }

    /// What a merge sets at this path.
    pub(super) fn sets(&self, pointer: &str) -> Option<&Json> {
        match self {
            Change::Merge(object) => object.pointer(pointer),
            Change::Operations(operations) => operations.iter().rev().find_map(|operation| {
                let replaces = matches!(operation.get("op")?.as_str()?, "add" | "replace");
                let here = operation.get("path")?.as_str()? == pointer;
                operation.get("value").filter(|_| replaces && here)
            }),
        }
    }

    /// The labels that it gives: those of the object, or of a workload's pods.
    pub(super) fn labels(&self, pointer: &str) -> Vec<(String, String)> {
        let pair = |key: &str, value: &Json| Some((key.to_owned(), value.as_str()?.to_owned()));
        let mut labels: Vec<_> = match self.sets(pointer) {
            Some(Json::Object(map)) => map.iter().filter_map(|(key, value)| pair(key, value)).collect(),
            _ => Vec::new(),
        };
        if let Change::Operations(operations) = self {
            labels.extend(operations.iter().filter_map(|operation| {
                let key = operation.get("path")?.as_str()?.strip_prefix(pointer)?.strip_prefix('/')?;
                pair(&key.replace("~1", "/").replace("~0", "~"), operation.get("value")?)
            }));
        }
        labels
    }

    /// Whether it changes something at this path or below.
    pub(super) fn touches(&self, pointer: &str) -> bool {
        match self {
            Change::Merge(object) => object.pointer(pointer).is_some(),
            Change::Operations(operations) => operations.iter().any(|operation| {
                let path = operation.get("path").and_then(Json::as_str).unwrap_or("");
                path.starts_with(pointer) || pointer.starts_with(path)
            }),
        }
    }

    /// Whether it changes more than the object's metadata.
    pub(super) fn reaches_beyond_metadata(&self) -> bool {
        match self {
            Change::Merge(Json::Object(object)) => object
                .keys()
                .any(|key| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "$patch")),
            Change::Merge(_) => true,
            Change::Operations(operations) => operations.iter().any(|operation| {
                let path = operation.get("path").and_then(Json::as_str).unwrap_or("");
                !path.starts_with("/metadata/")
            }),
        }
    }
}

impl Target {
    fn new<'f>(field: impl Fn(&'static str) -> Option<Cow<'f, str>>) -> Self {
        let pattern = |key| field(key).filter(|text| !text.is_empty()).map(|text| Pattern::new(&text));
        Self {
            group: pattern("group"),
            version: pattern("version"),
            kind: pattern("kind"),
            name: pattern("name"),
            namespace: pattern("namespace"),
            labels: field("labelSelector").map_or(Some(Vec::new()), |selector| equalities(&selector)),
        }
    }

    /// Whether the object is meant. A label selector that is not understood is
    /// taken to match: the object may be changed.
    pub(super) fn selects(&self, object: &Identity<'_>) -> bool {
        let fits = |pattern: &Option<Pattern>, texts: &[&str]| {
            pattern.as_ref().is_none_or(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        fits(&self.kind, &[object.kind])
            && fits(&self.group, &[object.group])
            && fits(&self.version, &[object.version])
            && fits(&self.name, &object.names)
            && fits(&self.namespace, &object.namespaces)
            && self
                .labels
                .iter()
                .flatten()
                .all(|(key, value)| (object.label)(key).as_deref() == Some(value.as_ref()))
    }
}

/// `a=b,c==d`; `None` for anything that is more than equality.
fn equalities(selector: &str) -> Option<Vec<(Box<str>, Box<str>)>> {
    let part = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let key = key.trim();
        let plain = !key.ends_with('!') && !key.is_empty() && !part.contains(['(', ' ']);
        plain.then(|| (key.into(), value.trim_start_matches('=').trim().into()))
    };
    selector.split(',').map(|item| part(item.trim())).collect()
}

/// The group and version of an `apiVersion`.
pub(super) fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// A text or a regular expression that must match all of a text.
#[derive(Debug, Clone)]
enum Pattern {
    Text(Box<str>),
    Expression(Arc<Regex>),
    /// An expression that cannot be read matches nothing.
    Nothing,
}

impl Pattern {
    /// The largest expression that is compiled, in bytes of its program.
    const LARGEST: usize = 1 << 20;

    fn new(text: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        if text.chars().all(plain) {
            return Pattern::Text(text.into());
        }
        let expression = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(Self::LARGEST).build();
        expression.map_or(Pattern::Nothing, |expression| Pattern::Expression(Arc::new(expression)))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Text(wanted) => **wanted == *text,
            Pattern::Expression(expression) => expression.is_match(text),
            Pattern::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str) -> (Option<Target>, Change) {
        let tree = parse(FileId(0), text);
        let patch = Patch::read(tree.roots().next().unwrap().1);
        let Body::Inline(changes) = patch.body else { panic!("{:?}", patch.body) };
        (patch.target.or_else(|| changes[0].own_target()), changes[0].clone())
    }

    fn selects(target: &Target, name: &str, namespace: &str) -> bool {
        target.selects(&Identity {
            group: "cilium.io",
            version: "v2",
            kind: "CiliumNetworkPolicy",
            names: [name, "before"],
            namespaces: [namespace, namespace],
            label: &|key| (key == "app").then(|| "web".to_owned()),
        })
    }

    #[test]
    fn a_strategic_merge_names_its_object_by_kind_name_and_namespace() {
        let (target, change) = patch(
            "patch: |\n  apiVersion: cilium.io/v2\n  kind: CiliumNetworkPolicy\n  metadata: {name: a}\n  $patch: delete\n",
        );
        let target = target.unwrap();
        assert!(
            selects(&target, "a", "default")
                && !selects(&target, "a", "n")
                && !selects(&target, "b", "default")
        );
        assert!(change.deletes() && !change.reaches_beyond_metadata());
    }

    #[test]
    fn a_target_is_a_regular_expression_for_the_whole_name() {
        let (target, change) = patch(
            "target: {kind: CiliumNetworkPolicy, name: 'web-.*', labelSelector: 'app=web'}\npatch: '[{op: replace, path: /metadata/namespace, value: team}]'\n",
        );
        let target = target.unwrap();
        assert!(selects(&target, "web-a", "x") && !selects(&target, "my-web-a", "x"));
        assert_eq!(change.sets("/metadata/namespace").and_then(Json::as_str), Some("team"));
        assert!(!change.reaches_beyond_metadata());
    }

    #[test]
    fn a_label_selector_that_does_not_fit_or_is_not_understood() {
        let (other, _) = patch("target: {labelSelector: 'app=db'}\npatch: '[]'\n");
        assert!(!selects(&other.unwrap(), "a", "x"));
        let (set, change) =
            patch("target: {labelSelector: 'app in (db)'}\npatch: '[{op: remove, path: /spec}]'\n");
        assert!(selects(&set.unwrap(), "a", "x"));
        assert!(change.reaches_beyond_metadata());
    }

    #[test]
    fn what_is_no_patch_is_unreadable() {
        for text in ["patch: just words", "patch: 'a: [1'", "options: {}"] {
            let tree = parse(FileId(0), text);
            let patch = Patch::read(tree.roots().next().unwrap().1);
            assert!(matches!(patch.body, Body::Unreadable), "{text}");
        }
    }
}
