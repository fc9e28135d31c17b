//! A new policy, the last resort: where no policy speaks of the workload alone.
//! It goes beside the policies of its namespace, in their manner.

mod place;

use super::candidate::{Candidate, Operator};
use super::dns;
use super::manner::Manner;
use super::prove::Prover;
use super::want::{Group, Want, group};
use super::words::{PeerWords, element, identifying_labels, in_pairs};
use crate::engine::IdentityId;
use crate::finding::{Label, Safety};
use crate::policy::{Policy, PolicyKind, Subject};
use crate::source::{FileId, Span};
use crate::traffic::{Packet, Side};
use crate::yaml::Datum;
use place::Place;

/// A policy for one workload that admits all of these wants.
pub(super) fn new_policy(
    prover: &Prover<'_, '_, '_>,
    subject: IdentityId,
    wants: &[&Want],
) -> Option<Candidate> {
    let scene = prover.scene;
    let namespace = scene.namespace(subject)?;
    let labels = identifying_labels(scene, subject);
    let (_, workload) = labels.first()?;
    let policies = scene.model.policies.iter();
    let neighbours: Vec<&Policy<'_>> = policies
        .filter(|policy| policy.namespace.name() == Some(namespace) && scene.model.is_editable(policy))
        .filter(|policy| policy.not_applied.is_none())
        .collect();
    let place = Place::choose(prover, &neighbours, workload)?;
    let usual = Manner { label_prefix: false, namespace_prefix: true, namespace_first: false };
    let manner = place.like.map_or(usual, |file| Manner::of(scene.model, file, None));
    let new = NewPolicy { prover, subject, kind: kind(&neighbours, wants), manner };
    let sections: Vec<(Side, Section)> = [Side::Ingress, Side::Egress]
        .into_iter()
        .filter_map(|side| Some((side, new.section(side, wants)?)))
        .collect();
    let name = free_name(&neighbours, workload);
    let parts: Vec<String> = sections.iter().flat_map(|(_, section)| section.titles.clone()).collect();
    let blame = new.blame(sections.first()?.0, &neighbours);
    let elements = sections.into_iter().map(|(side, section)| (side, section.elements)).collect();
    let document = document(new.kind, &name, namespace, &labels, elements);
    let (edits, new_files, where_to) = place.write(prover, document)?;
    let guess = wants.iter().any(|want| want.is_caller_from_outside());
    let who = super::identity_name(scene, subject);
    Some(Candidate {
        new_files,
        why: format!("{who} is isolated, and no policy is about it alone"),
        title: format!("add policy {namespace}/{name} {where_to}: {}", parts.join("; ")),
        safety: if guess { Safety::Unsafe } else { Safety::Safe },
        ..Candidate::new(Operator::AddPolicy, "missing-policy", edits, blame)
    })
}

/// A policy on its way.
struct NewPolicy<'n, 'p, 'm, 's> {
    prover: &'n Prover<'p, 'm, 's>,
    subject: IdentityId,
    kind: PolicyKind,
    manner: Manner,
}

/// The elements of one side, and whom they admit, in words.
#[derive(Default)]
struct Section {
    elements: Vec<Datum>,
    titles: Vec<String>,
}

impl NewPolicy<'_, '_, '_, '_> {
    fn section(&self, side: Side, wants: &[&Want]) -> Option<Section> {
        let scene = self.prover.scene;
        let wants: Vec<&Want> = wants.iter().copied().filter(|want| want.gap.side == side).collect();
        let mut learning =
            wants.iter().any(|want| want.peer.is_name()) && !dns::passes_proxy(scene, self.subject);
        let mut section = Section::default();
        for group in group(scene, &wants) {
            let Some(mut datum) = self.element(side, &group) else { continue };
            if learning && group.dns {
                datum = dns::through_proxy(datum, &dns::every_name());
                learning = false;
            }
            let names: Vec<_> = group.peers.iter().map(PeerWords::title).collect();
            let direction = if side == Side::Ingress { "from" } else { "to" };
            section.elements.push(datum);
            section.titles.push(format!("{direction} {}", names.join(", ")));
        }
        if learning {
            section.elements.push(dns::rule(scene, self.manner, &dns::every_name())?);
            section.titles.push("DNS through the proxy".to_owned());
        }
        (!section.elements.is_empty()).then_some(section)
    }

    fn element(&self, side: Side, group: &Group) -> Option<Datum> {
        let kubernetes = self.kind == PolicyKind::Knp;
        let ports = if kubernetes { in_pairs(&group.ports) } else { group.ports.clone() };
        element(self.kind, side, &group.peers, &group.packets, &ports, self.manner, kubernetes)
    }

    /// What isolates the workload; else what stands beside it.
    fn blame(&self, side: Side, neighbours: &[&Policy<'_>]) -> Label {
        let scene = self.prover.scene;
        let isolating = scene.engine.isolating(self.subject, side);
        let isolating = isolating.first().and_then(|index| scene.model.policies.get(*index as usize));
        let at = isolating.or(neighbours.first().copied());
        let who = super::identity_name(scene, self.subject);
        Label {
            span: at.map_or_else(|| Span::new(FileId(0), 0, 0), |policy| policy.place()),
            text: format!("isolates {who}; no policy of its own says who may pass"),
        }
    }
}

/// The kind that the namespace's own policies have; Cilium's where they are mixed
/// or a NetworkPolicy has no words for what is wanted.
fn kind(neighbours: &[&Policy<'_>], wants: &[&Want]) -> PolicyKind {
    let own = neighbours.iter().filter(|policy| !is_for_all(policy));
    let all_kubernetes =
        neighbours.iter().any(|policy| !is_for_all(policy)) && own.clone().all(|p| p.kind == PolicyKind::Knp);
    let speakable = wants.iter().all(|want| {
        want.peer.item(PolicyKind::Knp, Manner::PLAIN).is_some() && matches!(want.packet, Packet::Port(..))
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
