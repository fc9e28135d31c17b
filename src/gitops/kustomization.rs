//! One `kustomization.yaml`: what it lists, and what it does to what it lists.

use super::patch::Patch;
use crate::manifest::Text;
use crate::source::{FileId, Span, Spanned};
use crate::yaml::{Tree as Document, Value};

/// A label that the tree puts on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedLabel<'t> {
    /// Its key.
    pub key: Text<'t>,
    /// Its value.
    pub value: Text<'t>,
    /// Which labels of the object it joins.
    pub reach: LabelReach,
    /// Where it is written.
    pub from: Span,
}

/// How far into an object an added label goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelReach {
    /// `metadata.labels`.
    Metadata,
    /// The labels of the pods of a workload: a patch puts it there.
    Pods,
    /// `metadata.labels` and those of the pods.
    MetadataAndPods,
    /// Both, and selectors: of a Service, of a workload, and the `matchLabels`
    /// that the `podSelector`s of a NetworkPolicy already have. Selectors of
    /// Cilium's policies are not touched: kustomize does not know them.
    Selectors,
}

impl LabelReach {
    /// Whether the object itself gets it.
    pub fn is_on_object(self) -> bool {
        self != LabelReach::Pods
    }

    /// Whether the pods of a workload get it.
    pub fn is_on_pods(self) -> bool {
        self != LabelReach::Metadata
    }
}

/// What one kustomization, one Flux Kustomization or one Argo CD source does to
/// everything in it, in the order in which kustomize does it.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer<'t> {
    pub(super) patches: Vec<Patch<'t>>,
    pub(super) namespace: Option<Spanned<Text<'t>>>,
    pub(super) prefix: Option<Text<'t>>,
    pub(super) suffix: Option<Text<'t>>,
    pub(super) labels: Vec<AddedLabel<'t>>,
    /// `patchesJson6902`, which come after everything else.
    pub(super) late_patches: Vec<Patch<'t>>,
    /// Transformers and replacements: not evaluated.
    pub(super) opaque: Vec<Span>,
}

/// A kustomization as it is written.
#[derive(Debug)]
pub(super) struct Kustomization<'t> {
    pub(super) file: FileId,
    /// A place to point at when the whole file is meant.
    pub(super) place: Span,
    /// `kind: Component`: it works on what includes it.
    pub(super) is_component: bool,
    /// `resources` and `bases`.
    pub(super) resources: Vec<Spanned<Text<'t>>>,
    pub(super) components: Vec<Spanned<Text<'t>>>,
    pub(super) layer: Layer<'t>,
    /// ConfigMaps that it makes from literals: name, and `KEY=value` each.
    pub(super) config_maps: Vec<(Text<'t>, Vec<Spanned<Text<'t>>>)>,
}

impl<'t> Kustomization<'t> {
    /// Reads the first document of a file; `None` when it is no mapping.
    pub(super) fn read(document: &'t Document<'t>) -> Option<Self> {
        let (_, root) = document.roots().next()?;
        if !root.is_mapping() {
            return None;
        }
        let listed = |key| texts(root.get(key));
        Some(Self {
            file: document.file,
            place: first_line(root),
            is_component: root.get("kind").and_then(Value::text).as_deref() == Some("Component"),
            resources: listed("resources").chain(listed("bases")).collect(),
            components: listed("components").collect(),
            layer: Layer::read(root),
            config_maps: items(root, "configMapGenerator")
                .filter_map(|map| Some((map.get("name")?.text()?, texts(map.get("literals")).collect())))
                .collect(),
        })
    }
}

impl<'t> Layer<'t> {
    /// Reads the fields that transform.
    fn read(root: Value<'t>) -> Self {
        let strategic = items(root, "patchesStrategicMerge").map(Patch::strategic);
        let mut labels = pairs(root.get("commonLabels"), LabelReach::Selectors);
        for item in items(root, "labels") {
            let is_set = |key| item.get(key).and_then(Value::text).as_deref() == Some("true");
            let reach = match (is_set("includeSelectors"), is_set("includeTemplates")) {
                (true, _) => LabelReach::Selectors,
                (false, true) => LabelReach::MetadataAndPods,
                (false, false) => LabelReach::Metadata,
            };
            labels.extend(pairs(item.get("pairs"), reach));
        }
        let opaque = ["transformers", "replacements", "vars"].into_iter().filter_map(|key| root.entry(key));
        Self {
            patches: strategic.chain(items(root, "patches").map(Patch::read)).collect(),
            namespace: spanned(root.entry("namespace").map(|entry| entry.value)),
            prefix: root.get("namePrefix").and_then(Value::text),
            suffix: root.get("nameSuffix").and_then(Value::text),
            labels,
            late_patches: items(root, "patchesJson6902").map(Patch::read).collect(),
            opaque: opaque.filter(|entry| entry.value.items().len() > 0).map(|entry| entry.span).collect(),
        }
    }

    /// Whether it changes nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.patches.is_empty()
            && self.namespace.is_none()
            && self.prefix.is_none()
            && self.suffix.is_none()
            && self.labels.is_empty()
            && self.late_patches.is_empty()
            && self.opaque.is_empty()
    }
}

/// The text of a scalar and its place; `None` when it is empty or null.
pub(super) fn spanned(value: Option<Value<'_>>) -> Option<Spanned<Text<'_>>> {
    let value = value.filter(|value| !value.is_null())?;
    Some(Spanned::new(value.text().filter(|text| !text.is_empty())?, value.span()))
}

/// The items under a key, aliases followed.
pub(super) fn items<'t>(value: Value<'t>, key: &str) -> impl Iterator<Item = Value<'t>> + use<'t> {
    value.get(key).into_iter().flat_map(Value::items).map(|item| item.value.resolve())
}

fn texts<'t>(list: Option<Value<'t>>) -> impl Iterator<Item = Spanned<Text<'t>>> {
    list.into_iter().flat_map(Value::items).filter_map(|item| {
        let text = spanned(Some(item.value.resolve()))?.value;
        Some(Spanned::new(text, item.value.span()))
    })
}

fn pairs<'t>(map: Option<Value<'t>>, reach: LabelReach) -> Vec<AddedLabel<'t>> {
    let label = |entry: crate::yaml::Entry<'t>| {
        Some(AddedLabel { key: entry.key.text()?, value: entry.value.text()?, reach, from: entry.span })
    };
    map.into_iter().flat_map(Value::entries).filter_map(label).collect()
}

/// The first entry of a mapping: where to point when all of it is meant.
fn first_line(root: Value<'_>) -> Span {
    root.written_entries().next().map_or_else(|| root.span(), |entry| entry.span)
}
