//! What a kustomization builds: every object it holds, with the name,
//! namespace and labels that the build gives it.
//!
//! The order is kustomize's own: resources, components, patches, namespace,
//! prefix and suffix, labels, JSON patches. The outermost kustomization has the
//! last word.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::fault::{Fault, FaultKind};
use super::kinds::{effective_namespace, is_known_to_be_cluster_wide, keeps_its_name};
use super::kustomization::{AddedLabel, LabelReach, Layer};
use super::links::{Link, Linked, Links};
use super::patch::{Body, Change, Identity, Patch, Target, group_and_version};
use crate::manifest::{Object, Text};
use crate::source::{FileId, Span, Spanned};

/// How deep kustomizations may include each other; real trees stay below ten.
const DEEPEST: usize = 64;
/// How many objects may be rendered in all. A hostile tree doubles with every level.
const MOST: usize = 500_000;

/// One object as a build leaves it.
#[derive(Debug, Clone)]
pub(super) struct Rendition<'t> {
    /// Which of the objects it is.
    pub(super) object: usize,
    pub(super) name: Option<Text<'t>>,
    pub(super) namespace: Option<Spanned<Text<'t>>>,
    pub(super) labels: Vec<AddedLabel<'t>>,
    /// The patches that change it, in order.
    pub(super) changes: Vec<Applied>,
    /// Transformers and replacements that may change it.
    pub(super) opaque: Vec<Span>,
    /// The patch that takes it away.
    pub(super) deleted: Option<Span>,
}

/// A patch that was applied to an object.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    pub(super) place: Span,
    changes: Arc<[Change]>,
    at: usize,
}

impl Applied {
    pub(super) fn change(&self) -> Option<&Change> {
        self.changes.get(self.at)
    }
}

impl<'t> Rendition<'t> {
    /// The object as it is written.
    pub(super) fn as_written(at: usize, object: &Object<'t>) -> Self {
        Self {
            object: at,
            name: object.name.as_ref().map(|name| name.value.clone()),
            namespace: object.namespace.clone(),
            labels: Vec::new(),
            changes: Vec::new(),
            opaque: Vec::new(),
            deleted: None,
        }
    }
}

/// All that one folder builds.
#[derive(Debug, Clone)]
pub(super) struct Build<'t> {
    pub(super) items: Arc<[Rendition<'t>]>,
    /// Whether some of what it holds was not read.
    is_partial: bool,
}

/// A build under way.
#[derive(Debug, Default)]
pub(super) struct Assembly<'t> {
    pub(super) items: Vec<Rendition<'t>>,
    pub(super) is_partial: bool,
}

/// Builds folders, each once.
pub(super) struct Renderer<'r, 't> {
    pub(super) objects: &'r [Object<'t>],
    pub(super) by_file: &'r FxHashMap<FileId, Vec<usize>>,
    pub(super) links: &'r Links<'r, 't>,
    pub(super) faults: Vec<Fault>,
    built: FxHashMap<&'r str, Build<'t>>,
    open: Vec<&'r str>,
    rendered: usize,
}

impl<'r, 't> Renderer<'r, 't> {
    pub(super) fn new(
        objects: &'r [Object<'t>],
        by_file: &'r FxHashMap<FileId, Vec<usize>>,
        links: &'r Links<'r, 't>,
        faults: Vec<Fault>,
    ) -> Self {
        Self { objects, by_file, links, faults, built: FxHashMap::default(), open: Vec::new(), rendered: 0 }
    }

    /// Whether the folder was built.
    pub(super) fn has_built(&self, folder: &str) -> bool {
        self.built.contains_key(folder)
    }

    /// Builds the kustomization in a folder; `entry` asked for it.
    pub(super) fn build(&mut self, folder: &'r str, entry: Span) -> Build<'t> {
        if let Some(built) = self.built.get(folder) {
            return built.clone();
        }
        let mut assembly = Assembly::default();
        self.work_on(folder, entry, &mut assembly);
        let build = Build { items: assembly.items.into(), is_partial: assembly.is_partial };
        self.built.insert(folder, build.clone());
        build
    }

    /// Lets the kustomization in a folder work on what was assembled so far: a
    /// component changes what includes it.
    pub(super) fn work_on(&mut self, folder: &'r str, entry: Span, assembly: &mut Assembly<'t>) {
        let links = self.links;
        let Some(node) = links.nodes.get(folder) else { return };
        if self.open.contains(&folder) {
            assembly.is_partial = true;
            return self.fault(entry, FaultKind::Cycle(folder.into()));
        }
        if self.open.len() == DEEPEST {
            assembly.is_partial = true;
            return self.fault(entry, FaultKind::TooDeep(DEEPEST));
        }
        self.open.push(folder);
        assembly.is_partial |= node.is_partial;
        for link in &node.resources {
            self.include(*link, assembly);
        }
        for link in &node.components {
            match link.to {
                Linked::Folder(component) => self.work_on(component, link.entry, assembly),
                Linked::File(_) => self.include(*link, assembly),
            }
        }
        self.refuse_duplicates(assembly);
        self.transform(&node.kustomization.layer, assembly);
        self.open.pop();
    }

    /// Adds what an entry of `resources` leads to.
    pub(super) fn include(&mut self, link: Link<'r>, assembly: &mut Assembly<'t>) {
        let before = assembly.items.len();
        if self.rendered >= MOST {
            return assembly.is_partial = true;
        }
        match link.to {
            Linked::File(file) => {
                let objects = self.objects;
                let here = self.by_file.get(&file).into_iter().flatten();
                let written =
                    here.filter_map(|at| objects.get(*at).map(|object| Rendition::as_written(*at, object)));
                assembly.items.extend(written);
            }
            Linked::Folder(folder) => {
                let build = self.build(folder, link.entry);
                assembly.is_partial |= build.is_partial;
                assembly.items.extend(build.items.iter().cloned());
            }
        }
        self.rendered = self.rendered.saturating_add(assembly.items.len() - before);
        if self.rendered >= MOST {
            self.fault(link.entry, FaultKind::TooMany(MOST));
        }
    }

    fn fault(&mut self, place: Span, kind: FaultKind) {
        self.faults.push(Fault { place, kind });
    }

    /// Kustomize refuses two objects of one kind, namespace and name. The
    /// second one is left out, or a tree could double with every level.
    fn refuse_duplicates(&mut self, assembly: &mut Assembly<'t>) {
        let mut seen = FxHashMap::default();
        let mut duplicates = Vec::new();
        for (at, item) in assembly.items.iter().enumerate().filter(|(_, item)| item.deleted.is_none()) {
            let Some((object, name)) = self.objects.get(item.object).zip(item.name.as_deref()) else {
                continue;
            };
            let namespace = item.namespace.as_ref().map(|namespace| namespace.value.as_ref());
            let namespace = effective_namespace(object.group(), &object.kind, namespace);
            let key = (object.group(), object.kind.as_ref(), namespace, name);
            if let Some(first) = seen.insert(key, object.place()) {
                let named = format!("{} {name}", object.kind);
                duplicates.push((at, object.place(), first, named));
                seen.insert(key, first);
            }
        }
        for (at, place, first, object) in duplicates.into_iter().rev() {
            assembly.items.remove(at);
            if place != first {
                self.fault(place, FaultKind::DuplicateObject { object: object.into(), first });
            }
        }
    }

    /// Does to the assembled objects what a layer says.
    pub(super) fn transform(&mut self, layer: &Layer<'t>, assembly: &mut Assembly<'t>) {
        if layer.is_empty() {
            return;
        }
        for patch in &layer.patches {
            self.patch(patch, assembly);
        }
        let objects = self.objects;
        for item in assembly.items.iter_mut().filter(|item| item.deleted.is_none()) {
            let Some(object) = objects.get(item.object) else { continue };
            if let Some(namespace) = &layer.namespace {
                set_namespace(item, object, namespace);
            }
            if !keeps_its_name(object)
                && let Some(name) = &item.name
                && (layer.prefix.is_some() || layer.suffix.is_some())
            {
                let (prefix, suffix) = (layer.prefix.as_deref(), layer.suffix.as_deref());
                item.name = Some(
                    format!("{}{name}{}", prefix.unwrap_or_default(), suffix.unwrap_or_default()).into(),
                );
            }
            item.labels.extend(layer.labels.iter().cloned());
            item.opaque.extend(&layer.opaque);
        }
        for patch in &layer.late_patches {
            self.patch(patch, assembly);
        }
    }

    fn patch(&mut self, patch: &Patch<'t>, assembly: &mut Assembly<'t>) {
        let changes = match &patch.body {
            Body::Inline(changes) => changes.clone(),
            Body::File(path) => match self.patch_file(path) {
                Some(changes) => changes,
                None => return,
            },
            Body::Unreadable => return,
        };
        for (at, change) in changes.iter().enumerate() {
            let own = match &patch.target {
                Some(_) => None,
                None => change.own_target(),
            };
            let Some(target) = patch.target.as_ref().or(own.as_ref()) else { continue };
            let mut matched = false;
            for item in assembly.items.iter_mut() {
                let Some(object) = self.objects.get(item.object) else { continue };
                if item.deleted.is_none() && selects(target, item, object) {
                    matched = true;
                    let applied = Applied { place: patch.place, changes: changes.clone(), at };
                    apply(item, applied, patch.target.is_some());
                }
            }
            if !matched && own.is_some() && !assembly.is_partial {
                let named = |pointer| change.sets(pointer).and_then(|text| text.as_str()).unwrap_or_default();
                let target = format!("{} {}", named("/kind"), named("/metadata/name"));
                self.fault(patch.place, FaultKind::NoPatchTarget(target.into()));
            }
        }
    }

    /// The changes in a file that a patch names; the file was found when the
    /// kustomization was read.
    fn patch_file(&self, path: &Spanned<Text<'t>>) -> Option<Arc<[Change]>> {
        let by_entry = self.links.patches_by_entry.get(&path.span)?;
        self.links.patch_files.get(by_entry)?.clone()
    }
}

fn selects(target: &Target, item: &Rendition<'_>, object: &Object<'_>) -> bool {
    let (group, version) = group_and_version(&object.api_version);
    let first_name = object.name.as_ref().map_or("", |name| &name.value);
    let effective = |namespace: &Option<Spanned<Text<'_>>>| {
        let namespace = namespace.as_ref().map(|namespace| namespace.value.as_ref());
        effective_namespace(group, &object.kind, namespace).to_owned()
    };
    let namespaces = [effective(&item.namespace), effective(&object.namespace)];
    target.selects(&Identity {
        group,
        version,
        kind: &object.kind,
        names: [item.name.as_deref().unwrap_or_default(), first_name],
        namespaces: namespaces.each_ref().map(String::as_str),
        label: &|key| {
            let added = item.labels.iter().rev().find(|label| label.key == key);
            added.map(|label| label.value.to_string()).or_else(|| {
                object.labels().find(|(known, _)| known == key).map(|(_, value)| value.into_owned())
            })
        },
    })
}

/// Changes what is evaluated, and remembers the patch. Kustomize keeps the name
/// of an object that a merge is aimed at, and takes its namespace.
fn apply(item: &mut Rendition<'_>, applied: Applied, is_aimed: bool) {
    let place = applied.place;
    let Some(change) = applied.change() else { return };
    if change.deletes() {
        item.deleted = Some(place);
        return;
    }
    let text = |pointer| change.sets(pointer).and_then(|value| value.as_str()).map(str::to_owned);
    if matches!(change, Change::Operations(_))
        && let Some(name) = text("/metadata/name")
    {
        item.name = Some(name.into());
    }
    if is_aimed && let Some(namespace) = text("/metadata/namespace") {
        item.namespace = Some(Spanned::new(namespace.into(), place));
    }
    let reaches =
        [("/metadata/labels", LabelReach::Metadata), ("/spec/template/metadata/labels", LabelReach::Pods)];
    for (pointer, reach) in reaches {
        let added = change.labels(pointer).into_iter();
        item.labels.extend(added.map(|(key, value)| AddedLabel {
            key: key.into(),
            value: value.into(),
            reach,
            from: place,
        }));
    }
    item.changes.push(applied);
}

fn set_namespace<'t>(item: &mut Rendition<'t>, object: &Object<'t>, namespace: &Spanned<Text<'t>>) {
    if object.is("", "Namespace") {
        item.name = Some(namespace.value.clone());
    } else if !is_known_to_be_cluster_wide(object.group(), &object.kind) {
        item.namespace = Some(namespace.clone());
    }
}

/// The places of the patches and transformers whose effect is not followed.
pub(super) fn unevaluated(item: &Rendition<'_>) -> BTreeSet<Span> {
    changed(item, Change::reaches_beyond_metadata)
}

/// The places of the transformers, and of the patches that do this.
pub(super) fn changed(item: &Rendition<'_>, does: impl Fn(&Change) -> bool) -> BTreeSet<Span> {
    let patches = item.changes.iter().filter(|applied| applied.change().is_some_and(&does));
    patches.map(|applied| applied.place).chain(item.opaque.iter().copied()).collect()
}
