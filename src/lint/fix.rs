//! Mends made: one for a report, or as many as can be made together, again and
//! again until nothing is left to mend.
//!
//! A text is only believed when both readers read it as intended, and when the
//! schema and the agent have nothing against it that they did not have before.

use rustc_hash::FxHashMap;

use super::context::{Context, Options};
use super::found::{Found, Mend};
use super::run::{Choice, run};
use crate::finding::{FileChange, Finding, Fix, Safety};
use crate::manifest::{Object, objects};
use crate::model::{Model, Settings, parse_all};
use crate::policy::{self, Namespace, decode, refuse};
use crate::schema::{self, Kind, SchemaError, SchemaFault};
use crate::source::{FileId, Source, Sources};
use crate::version::CiliumVersion;
use crate::yaml::{Change, Patch, Tree, parse};

/// More than any chain of mends that make room for each other.
const MOST_PASSES: usize = 8;

/// The sources with every mend made that may be trusted so far. Mends that
/// touch the same place are made one after the other. `firsts` are the first
/// file that was not asked for and the first inventory, as [`Model::read`] has them.
pub fn mend(
    sources: &Sources,
    firsts: [FileId; 2],
    settings: &Settings,
    options: &Options,
    choice: &Choice,
    safety: Safety,
) -> Sources {
    let mut current = with_texts(sources, &FxHashMap::default());
    for _ in 0..MOST_PASSES {
        let texts = {
            let trees = parse_all(&current);
            let model = Model::read(&current, &trees, firsts, settings);
            let context = Context::new(&model, &trees, &current, firsts[1], options);
            let outcome = run(&context, choice);
            mended_texts(&context, &outcome.findings, safety)
        };
        if texts.is_empty() {
            break;
        }
        current = with_texts(&current, &texts);
    }
    current
}

fn with_texts(sources: &Sources, texts: &FxHashMap<FileId, String>) -> Sources {
    let mut changed = Sources::default();
    for (id, source) in sources.iter() {
        let text = texts.get(&id).unwrap_or(&source.text).clone();
        changed.add(Source::new(source.path.clone(), source.name.clone(), text));
    }
    changed
}

fn mended_texts(context: &Context<'_, '_>, findings: &[Found], safety: Safety) -> FxHashMap<FileId, String> {
    let mut texts = FxHashMap::default();
    for findings in findings.chunk_by(|a, b| a.primary.span.file == b.primary.span.file) {
        let mends: Vec<&Mend> = findings
            .iter()
            .filter_map(|found| found.mend.as_ref())
            .filter(|mend| mend.safety <= safety && !mend.changes.is_empty())
            .collect();
        let Some(first) = findings.first().filter(|_| !mends.is_empty()) else { continue };
        let file = first.primary.span.file;
        let Some(tree) = context.trees.get(file.0 as usize) else { continue };
        if let Some(text) = together(tree, &mends, context.version()).filter(|text| text != tree.text) {
            texts.insert(file, text);
        }
    }
    texts
}

/// All mends at once where they agree, else as many as go together, first come first served.
fn together(tree: &Tree<'_>, mends: &[&Mend], version: CiliumVersion) -> Option<String> {
    let all: Vec<&Change> = mends.iter().flat_map(|mend| &mend.changes).collect();
    if let Some((_, text)) = checked(tree, &all, version) {
        return Some(text);
    }
    let mut chosen: Vec<&Change> = Vec::new();
    let mut text = None;
    for mend in mends {
        let before = chosen.len();
        chosen.extend(&mend.changes);
        match checked(tree, &chosen, version) {
            Some((_, better)) => text = Some(better),
            None => chosen.truncate(before),
        }
    }
    text
}

/// The changes made, and the text with them, if it can be believed: no object
/// is worse off than before, whatever aliases carry a change to.
fn checked(tree: &Tree<'_>, changes: &[&Change], version: CiliumVersion) -> Option<(Patch, String)> {
    let (patch, text) = Patch::checked(tree, changes.iter().copied()).ok()?;
    let after = faults(&parse(tree.file, &text), version);
    if after.iter().all(|count| *count == 0) {
        return Some((patch, text));
    }
    let before = faults(tree, version);
    let none_is_worse = after.iter().zip(&before).all(|(after, before)| after <= before);
    (after.len() == before.len() && none_is_worse).then_some((patch, text))
}

/// What a key counts that nobody knows, and an object of such a kind: as much as
/// anything that comes to light below it when it is mended.
const UNKNOWN_FIELD: usize = 1000;
const UNKNOWN_KIND: usize = 1_000_000;

/// How much is wrong with the text of a file, and how much the schema and the
/// agent have against each of its objects.
fn faults(tree: &Tree<'_>, version: CiliumVersion) -> Vec<usize> {
    let of_objects = objects(tree).into_iter().map(|object| {
        let shape = match Kind::of(&object) {
            Some(kind) => schema::check(kind, version, object.value).iter().map(weight).sum(),
            None if is_almost_a_policy(&object) => UNKNOWN_KIND,
            None => 0,
        };
        let context = policy::Context { namespace: Namespace::Clusterwide, substitute: &|text| text };
        let policy = decode(&object, context);
        shape + policy.map_or(0, |policy| refuse::refusals(&policy, version).len())
    });
    std::iter::once(tree.errors.len()).chain(of_objects).collect()
}

fn weight(error: &SchemaError) -> usize {
    match error.fault {
        SchemaFault::UnknownField { .. } => UNKNOWN_FIELD,
        _ => 1,
    }
}

/// Whether an object has the group of a policy, or the kind of one without its group.
fn is_almost_a_policy(object: &Object<'_>) -> bool {
    matches!(object.group(), "cilium.io" | "networking.k8s.io")
        || Kind::ALL.iter().any(|kind| object.kind == kind.name())
}

/// A finding with its mend made, for a report.
pub fn finding(context: &Context<'_, '_>, found: &Found) -> Finding {
    Finding {
        id: found.rule.id,
        severity: found.severity,
        title: found.title.clone(),
        primary: Some(found.primary.clone()),
        related: found.related.clone(),
        notes: found.notes.clone(),
        fix: found.mend.as_ref().map(|mend| fix(context, found.primary.span.file, mend)),
    }
}

fn fix(context: &Context<'_, '_>, file: FileId, mend: &Mend) -> Fix {
    let files = change_of(context, file, mend);
    let safety = if files.is_empty() { Safety::DisplayOnly } else { mend.safety };
    Fix { title: mend.title.clone(), safety, files }
}

fn change_of(context: &Context<'_, '_>, file: FileId, mend: &Mend) -> Vec<FileChange> {
    let changes: Vec<&Change> = mend.changes.iter().collect();
    let Some(tree) = context.trees.get(file.0 as usize).filter(|_| !changes.is_empty()) else {
        return Vec::new();
    };
    let Some((patch, after)) = checked(tree, &changes, context.version()) else { return Vec::new() };
    vec![FileChange::edited(file, &context.sources[file], patch.into_edits(), after)]
}
