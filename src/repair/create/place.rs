//! Where a new policy goes: beside the policies of its namespace, into a file of
//! its own where they have theirs, and into the kustomization that lists them.

use std::path::{Path, PathBuf};

use super::super::candidate::NewFile;
use super::super::listing;
use super::super::prove::Prover;
use super::is_for_all;
use crate::policy::Policy;
use crate::source::FileId;
use crate::yaml::{Change, Datum, Editor, Habits, new_file};

/// Where a new policy goes.
pub(super) struct Place {
    /// The file whose manner it takes.
    pub(super) like: Option<FileId>,
    /// A file of its own, or a document at the end of that file.
    own_file: Option<PathBuf>,
}

impl Place {
    /// Beside the policies for single workloads of the namespace: in a file of
    /// its own where they have theirs, else at the end of their file. Where
    /// only namespace-wide ones are there, beside them.
    pub(super) fn choose(
        prover: &Prover<'_, '_, '_>,
        neighbours: &[&Policy<'_>],
        workload: &str,
    ) -> Option<Self> {
        let single: Vec<&Policy<'_>> =
            neighbours.iter().copied().filter(|policy| !is_for_all(policy)).collect();
        let beside = if single.is_empty() { neighbours } else { &single };
        let like = beside.last().map(|policy| policy.value.tree().file);
        let Some(file) = like else {
            let model = prover.scene.model;
            let any = model
                .policies
                .iter()
                .find(|policy| model.is_editable(policy) && policy.not_applied.is_none());
            let folder = any.and_then(|policy| {
                prover.sources[policy.value.tree().file].path.parent().map(Path::to_owned)
            });
            return Some(Self {
                like: any.map(|p| p.value.tree().file),
                own_file: Some(folder?.join(format!("{workload}.yaml"))),
            });
        };
        let path = &prover.sources[file].path;
        let mut files: Vec<FileId> = beside.iter().map(|policy| policy.value.tree().file).collect();
        files.sort_unstable();
        files.dedup();
        let named_alike = |file: &FileId| {
            let stem =
                prover.sources[*file].path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let here = beside.iter().filter(|policy| policy.value.tree().file == *file);
            here.clone()
                .any(|policy| stem == policy.name.value || policy.name.value.starts_with(&format!("{stem}-")))
        };
        let one_each = files.len() > 1 || (!single.is_empty() && files.iter().any(named_alike));
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("yaml");
        let own_file = path.parent().map(|folder| folder.join(format!("{workload}.{ending}")));
        let free = own_file.filter(|path| one_each && !path.exists());
        Some(Self { like, own_file: free })
    }

    pub(super) fn write(self, prover: &Prover<'_, '_, '_>, document: Datum) -> Option<Written> {
        let Some(path) = self.own_file else {
            let file = self.like?;
            let tree = &prover.trees[file.0 as usize];
            let change = Editor::default().append_document(tree, document).ok()?;
            return Some((
                vec![(file, change)],
                Vec::new(),
                format!("at the end of {}", prover.sources[file].name),
            ));
        };
        let habits = match self.like {
            Some(file) => Habits::of(&prover.trees[file.0 as usize]),
            None => Habits::of_all(&[]),
        };
        let text = new_file(std::slice::from_ref(&document), &habits).ok()?;
        let like = self.like?;
        let sibling = &prover.sources[like];
        let folder = sibling.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let file_name = path.file_name()?.to_str()?.to_owned();
        let shown = format!("{folder}{file_name}");
        let mut edits = Vec::new();
        edits.extend(list_in_kustomization(prover, like, &file_name));
        Some((edits, vec![NewFile { path, name: shown.clone(), text }], format!("in {shown}")))
    }
}

/// The edits, the new files, and where the policy went, in words.
type Written = (Vec<(FileId, Change)>, Vec<NewFile>, String);

/// The kustomization that lists a file lists its new neighbour too.
fn list_in_kustomization(
    prover: &Prover<'_, '_, '_>,
    sibling: FileId,
    new: &str,
) -> Option<(FileId, Change)> {
    let name = &prover.sources[sibling].name;
    let (folder, own) = name.rsplit_once('/').unwrap_or(("", name));
    let kustomization = listing::kustomization_in(prover, folder)?;
    let lists_sibling = listing::listed(kustomization).iter().any(|entry| entry == own);
    let change = listing::entry(kustomization, new).filter(|_| lists_sibling)?;
    Some((kustomization.file, change))
}
