//! A new policy, the last resort: where no policy speaks of the workload alone.
//! It goes beside the policies of its namespace, in their manner.

use std::path::{Path, PathBuf};

use super::add::{Group, Want, group};
use super::candidate::{Candidate, NewFile, Operator};
use super::listing;
use super::manner::Manner;
use super::prove::Prover;
use super::words::{PeerWords, PortWords, element, identifying_labels};
use crate::diagnose::Gap;
use crate::engine::IdentityId;
use crate::finding::{Label, Safety};
use crate::policy::{Policy, PolicyKind, Subject};
use crate::source::FileId;
use crate::traffic::{Side, Transport};
use crate::yaml::{Datum, Editor, Habits, new_file};

/// A policy for one workload that admits all of these wants.
pub(super) fn new_policy(
    prover: &Prover<'_, '_, '_>,
    subject: IdentityId,
    wants: &[&Want],
) -> Option<(Candidate, Vec<Gap>)> {
    let scene = prover.scene;
    let namespace = scene.namespace(subject)?;
    let labels = identifying_labels(scene, subject);
    let (_, workload) = labels.first()?;
    let neighbours: Vec<&Policy<'_>> = scene
        .model
        .policies
        .iter()
        .filter(|policy| policy.namespace.name() == Some(namespace) && scene.model.is_editable(policy))
        .filter(|policy| policy.not_applied.is_none())
        .collect();
    let place = Place::choose(prover, &neighbours, workload)?;
    let manner = place
        .like
        .map_or(Manner { label_prefix: false, namespace_prefix: true, namespace_first: false }, |file| {
            Manner::of(scene.model, file, None)
        });
    let kind = kind(&neighbours, wants);
    let mut sections = Vec::new();
    let mut gaps = Vec::new();
    let mut parts = Vec::new();
    for side in [Side::Ingress, Side::Egress] {
        let on_side: Vec<&Want> = wants.iter().copied().filter(|want| want.gap.side == side).collect();
        let mut elements = Vec::new();
        for Group { peers, ports, packets, gaps: own } in group(scene, &on_side) {
            let ports = spelled(kind, ports);
            let Some(datum) = element(kind, side, &peers, &packets, &ports, manner, kind == PolicyKind::Knp)
            else {
                continue;
            };
            elements.push(datum);
            gaps.extend(own);
            let names: Vec<_> = peers.iter().map(PeerWords::title).collect();
            parts.push(format!("{} {}", if side == Side::Ingress { "from" } else { "to" }, names.join(", ")));
        }
        if !elements.is_empty() {
            sections.push((side, elements));
        }
    }
    if sections.is_empty() {
        return None;
    }
    let name = free_name(&neighbours, workload);
    let document = document(kind, &name, namespace, &labels, sections);
    let blame_at =
        neighbours.first().map_or_else(|| crate::source::Span::new(FileId(0), 0, 0), |policy| policy.place());
    let who = super::identity_name(scene, subject);
    let isolating = scene.engine.isolating(subject, gaps.first()?.side);
    let isolating = isolating.first().and_then(|index| scene.model.policies.get(*index as usize));
    let unsure = wants.iter().any(|want| {
        want.gap.side == Side::Ingress && matches!(want.peer, PeerWords::Address(_) | PeerWords::Name(_))
    });
    let (edits, new_files, where_to) = place.write(prover, document)?;
    let candidate = Candidate {
        operator: Operator::AddPolicy,
        cause: "missing-policy",
        edits,
        new_files,
        blame: Label {
            span: isolating.map_or(blame_at, |policy| policy.place()),
            text: format!("isolates {who}; no policy of its own says who may pass"),
        },
        related: Vec::new(),
        why: format!("{who} is isolated, and no policy is about it alone"),
        title: format!("add policy {namespace}/{name} {where_to}: {}", parts.join("; ")),
        evidence: None,
        safety: if unsure { Safety::Unsafe } else { Safety::Safe },
        corrects: false,
        assumption: None,
    };
    Some((candidate, gaps))
}

/// The kind that the namespace's own policies have; Cilium's where they are mixed
/// or a NetworkPolicy has no words for what is wanted.
fn kind(neighbours: &[&Policy<'_>], wants: &[&Want]) -> PolicyKind {
    let own = neighbours.iter().filter(|policy| !is_for_all(policy));
    let all_kubernetes =
        neighbours.iter().any(|policy| !is_for_all(policy)) && own.clone().all(|p| p.kind == PolicyKind::Knp);
    let speakable = wants.iter().all(|want| {
        want.peer.item(PolicyKind::Knp, Manner::PLAIN).is_some()
            && matches!(want.packet, crate::traffic::Packet::Port(..))
    });
    if all_kubernetes && speakable { PolicyKind::Knp } else { PolicyKind::Cnp }
}

/// Whether a policy is about the whole namespace, like a default deny.
fn is_for_all(policy: &Policy<'_>) -> bool {
    policy.rules.iter().all(|rule| match &rule.subject {
        Subject::Endpoints(selector) => selector.requirements.is_empty(),
        _ => true,
    })
}

/// A NetworkPolicy has no `ANY`.
fn spelled(kind: PolicyKind, ports: Vec<PortWords>) -> Vec<PortWords> {
    if kind != PolicyKind::Knp {
        return ports;
    }
    let both = |port: PortWords| match port.transport {
        None => vec![Transport::Udp, Transport::Tcp]
            .into_iter()
            .map(|t| PortWords { transport: Some(t), ..port })
            .collect(),
        Some(_) => vec![port],
    };
    ports.into_iter().flat_map(both).collect()
}

fn free_name(neighbours: &[&Policy<'_>], workload: &str) -> String {
    let taken = |name: &str| neighbours.iter().any(|policy| policy.name.value == name);
    let plain: String = workload.to_ascii_lowercase().replace(['_', '.'], "-");
    let mut names =
        [plain.clone(), format!("{plain}-allow")].into_iter().chain((2..).map(|n| format!("{plain}-{n}")));
    names.find(|name| !taken(name)).unwrap_or(plain)
}

fn document(
    kind: PolicyKind,
    name: &str,
    namespace: &str,
    labels: &[(String, String)],
    sections: Vec<(Side, Vec<Datum>)>,
) -> Datum {
    let (api, selector) = match kind {
        PolicyKind::Knp => ("networking.k8s.io/v1", "podSelector"),
        _ => ("cilium.io/v2", "endpointSelector"),
    };
    let labels = Datum::map(labels.iter().map(|(key, value)| (key.as_str(), Datum::from(value.as_str()))));
    let mut spec = vec![(selector.to_owned(), Datum::map([("matchLabels", labels)]))];
    if kind == PolicyKind::Knp {
        let types = sections
            .iter()
            .map(|(side, _)| Datum::from(if *side == Side::Ingress { "Ingress" } else { "Egress" }));
        spec.push(("policyTypes".to_owned(), Datum::seq(types)));
    }
    spec.extend(
        sections.into_iter().map(|(side, elements)| (side.as_str().to_owned(), Datum::Seq(elements))),
    );
    Datum::map([
        ("apiVersion", Datum::from(api)),
        ("kind", Datum::from(kind.as_str())),
        ("metadata", Datum::map([("name", Datum::from(name)), ("namespace", Datum::from(namespace))])),
        ("spec", Datum::map(spec)),
    ])
}

/// Where a new policy goes.
struct Place {
    /// The file whose manner it takes.
    like: Option<FileId>,
    /// A file of its own, or a document at the end of that file.
    own_file: Option<PathBuf>,
}

impl Place {
    /// Beside the policies for single workloads of the namespace: in a file of
    /// its own where they have theirs, else at the end of their file. Where
    /// only namespace-wide ones are there, beside them.
    fn choose(prover: &Prover<'_, '_, '_>, neighbours: &[&Policy<'_>], workload: &str) -> Option<Self> {
        let single: Vec<&Policy<'_>> =
            neighbours.iter().copied().filter(|policy| !is_for_all(policy)).collect();
        let beside = if single.is_empty() { neighbours } else { &single };
        let like = beside.last().map(|policy| policy.value.tree().file);
        let Some(file) = like else {
            let any = prover
                .scene
                .model
                .policies
                .iter()
                .find(|policy| prover.scene.model.is_editable(policy) && policy.not_applied.is_none());
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

    fn write(self, prover: &Prover<'_, '_, '_>, document: Datum) -> Option<Written> {
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

type Written = (Vec<(FileId, crate::yaml::Change)>, Vec<NewFile>, String);

/// The kustomization that lists a file lists its new neighbour too.
fn list_in_kustomization(
    prover: &Prover<'_, '_, '_>,
    sibling: FileId,
    new: &str,
) -> Option<(FileId, crate::yaml::Change)> {
    let name = &prover.sources[sibling].name;
    let (folder, own) = name.rsplit_once('/').unwrap_or(("", name));
    let kustomization = listing::kustomization_in(prover, folder)?;
    let lists_sibling = listing::listed(kustomization).iter().any(|entry| entry == own);
    let change = listing::entry(kustomization, new).filter(|_| lists_sibling)?;
    Some((kustomization.file, change))
}
