//! A policy that would admit the drop and that no kustomization lists: it is
//! listed. Only where nothing speaks against it; a policy that somebody took
//! out on purpose is told of, and stays where it is.

use super::Fix;
use super::candidate::{Candidate, Operator};
use super::prove::Prover;
use crate::diagnose::{Miss, NearMiss, Scene, near_misses};
use crate::finding::Label;
use crate::gitops::{KUSTOMIZATION, is_archived, is_mentioned, path_from};
use crate::manifest::objects;
use crate::policy::{Policy, cidr_group, is_policy};
use crate::yaml::{Change, Datum, Editor, Tree, Value};

/// The policy listed in the kustomization of its folder.
pub(super) fn list(prover: &Prover<'_, '_, '_>, near: &NearMiss<'_, '_>) -> Option<Candidate> {
    let policy = near.policy;
    let left_out = policy.not_applied.as_ref().filter(|left_out| left_out.is_unlisted)?;
    let file = left_out.place.file;
    let kustomization = prover.trees.get(file.0 as usize)?;
    let path = path_from(&prover.sources[file].name, &prover.sources[policy.value.tree().file].name)?;
    if !is_meant(prover, policy, kustomization, path) {
        return None;
    }
    let title = policy.title();
    let edits = vec![(file, entry(kustomization, path)?)];
    let blame = Label { span: policy.place(), text: "would admit it, but nothing applies it".to_owned() };
    Some(Candidate {
        related: vec![Label { span: left_out.place, text: format!("does not list {path}") }],
        why: format!("{title} would admit it, but {}, so it never reaches the cluster", left_out.why),
        title: format!("list {path} in {}", prover.sources[file].name),
        ..Candidate::correction(Operator::ListPolicy, "not-applied", edits, blame)
    })
}

/// The policies that would admit these drops if something applied them.
pub fn not_applied(scene: &Scene<'_, '_>, fix: &Fix) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for gap in fix.parts.iter().flat_map(|part| &part.mends) {
        let drop = &scene.drops[gap.drop];
        let near = near_misses(scene, drop.subject(gap.side), drop.peer(gap.side), gap.side, drop.packet());
        let told = near.iter().filter_map(told);
        let blamed = |label: &Label| fix.parts.iter().any(|part| part.candidate.blame.span == label.span);
        for label in told.filter(|label| !blamed(label)) {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
    }
    labels
}

/// What is said of a policy that would admit a drop if something applied it.
fn told(near: &NearMiss<'_, '_>) -> Option<Label> {
    let left_out = near.policy.not_applied.as_ref().filter(|_| matches!(near.miss, Miss::NotApplied))?;
    let text = format!("would admit it, but is not applied: {}", left_out.why);
    Some(Label { span: near.policy.place(), text })
}

/// Whether everything says that the policy was forgotten, and nothing that it
/// was left out: its file holds policies alone, the kustomization does not
/// mention it, and no other manifest has its name.
fn is_meant(prover: &Prover<'_, '_, '_>, policy: &Policy<'_>, kustomization: &Tree<'_>, path: &str) -> bool {
    let own = policy.value.tree();
    let is_network = |object| is_policy(object).is_some() || cidr_group::decode(object).is_some();
    let twin = prover.scene.model.policies.iter().any(|other| {
        other.not_applied.is_none() && other.kind == policy.kind && other.title() == policy.title()
    });
    let folder = path.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
    let lists_its_like =
        |folder: &String| listed(kustomization).iter().any(|entry| entry.starts_with(folder));
    objects(own).iter().all(is_network)
        && !is_archived(&prover.sources[own.file].name)
        && !is_mentioned(kustomization.text, path)
        && !twin
        && folder.as_ref().is_none_or(lists_its_like)
}

/// The entry of a file in the `resources` of a kustomization, as it writes its own.
pub(super) fn entry(kustomization: &Tree<'_>, path: &str) -> Option<Change> {
    let (_, root) = kustomization.roots().next()?;
    let Some(resources) = root.get("resources") else {
        let list = Datum::seq([Datum::from(path)]);
        return Editor::default().insert_entry(root, usize::MAX, "resources", list).ok();
    };
    let written: Vec<_> = resources.items().filter_map(|item| item.value.text()).collect();
    let prefix = if written.iter().any(|entry| entry.starts_with("./")) { "./" } else { "" };
    let own = format!("{prefix}{path}");
    let at = match written.len() > 1 && written.is_sorted() && written.len() == resources.items().len() {
        true => written.partition_point(|entry| **entry < *own),
        false => usize::MAX,
    };
    Editor::default().insert_item(resources, at, own).ok()
}

/// The kustomization in a folder; of several, the one that kustomize takes.
pub(super) fn kustomization_in<'s>(prover: &Prover<'_, '_, 's>, folder: &str) -> Option<&'s Tree<'s>> {
    let slash = if folder.is_empty() { "" } else { "/" };
    KUSTOMIZATION.into_iter().find_map(|name| {
        let name = format!("{folder}{slash}{name}");
        let (id, _) = prover.sources.iter().find(|(_, source)| source.name == name)?;
        prover.trees.get(id.0 as usize)
    })
}

/// What a kustomization lists, `./` left out.
pub(super) fn listed(kustomization: &Tree<'_>) -> Vec<String> {
    let root = kustomization.roots().next().map(|(_, root)| root);
    let resources = root.and_then(|root| root.get("resources")).into_iter().flat_map(Value::items);
    let texts = resources.filter_map(|item| item.value.resolve().text());
    texts.map(|text| text.trim_start_matches("./").to_owned()).collect()
}

/// Whether an edit of a kustomization makes it list a file that lies there already.
pub(super) fn lists_more(prover: &Prover<'_, '_, '_>, before: &Tree<'_>, after: &Tree<'_>) -> bool {
    let name = &prover.sources[before.file].name;
    let folder = name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let known = listed(before);
    let mut new = listed(after).into_iter().filter(|entry| !known.contains(entry));
    new.any(|entry| {
        let path = format!("{folder}{entry}");
        prover.sources.iter().any(|(_, source)| source.name == path)
    })
}
