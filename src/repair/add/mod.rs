//! Additions to a policy that already selects the subject: a port, a peer or a
//! rule beside its like. One edit serves all drops of the same kind.

mod rules;

use super::candidate::{Candidate, Operator};
use super::cause::addition_cause;
use super::manner::Manner;
use super::want::Want;
use super::words::{PeerWords, PortWords, name_peer};
use super::{dns, place};
use crate::diagnose::{Gap, Miss, Scene, near_misses};
use crate::engine::IdentityId;
use crate::finding::Label;
use crate::policy::selector::{Origin, Requirement};
use crate::policy::{
    Action, Element, PeerField, PeerKey, Policy, PolicyKind, PortList, Rule, Section, Subject,
};
use crate::traffic::{Packet, Side};
use crate::yaml::{Change, Editor, Refusal};

/// A rule that new peers and ports can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target {
    /// Which policy.
    pub policy: usize,
    /// Which of its rules.
    pub rule: usize,
}

/// The rule that is about this workload and nobody else, best one first: with a
/// section for the side, then the one that says most precisely whom it means.
pub(super) fn target(scene: &Scene<'_, '_>, gap: Gap) -> Option<Target> {
    let subject = scene.drops[gap.drop].subject(gap.side);
    let peer = scene.drops[gap.drop].peer(gap.side);
    let mut best: Option<((bool, bool, usize), Target)> = None;
    for (policy_index, rule_index) in scene.engine.rules_for(subject) {
        let Some(policy) = scene.model.policies.get(policy_index as usize) else { continue };
        let Some(rule) = policy.rules.get(rule_index as usize) else { continue };
        if !scene.model.is_editable(policy) || !names_somebody(rule) {
            continue;
        }
        let about = |id| scene.engine.is_about(policy_index, rule_index, id);
        let mut subjects = scene.engine.subjects_of(policy_index);
        if subjects.any(|id| !scene.workloads().same(id, subject) && about(id)) {
            continue;
        }
        let section =
            rule.section(gap.side, Action::Allow).is_some_and(|section| !section.elements.is_empty());
        let speaks = name_peer(scene, peer, policy.namespace.name())
            .is_some_and(|words| words.item(policy.kind, Manner::PLAIN).is_some());
        if !speaks || (policy.kind == PolicyKind::Knp && !section) || ends_icmp_in_knp(policy, scene, gap) {
            continue;
        }
        let cost = (!section, policy.kind == PolicyKind::Knp, usize::MAX - requirement_count(rule));
        if best.is_none_or(|(known, _)| cost < known) {
            best = Some((cost, Target { policy: policy_index as usize, rule: rule_index as usize }));
        }
    }
    best.map(|(_, target)| target)
}

fn ends_icmp_in_knp(policy: &Policy<'_>, scene: &Scene<'_, '_>, gap: Gap) -> bool {
    policy.kind == PolicyKind::Knp && matches!(scene.drops[gap.drop].packet(), Packet::Icmp(..))
}

/// `{}` is about everybody, also about pods that nobody knows yet.
fn names_somebody(rule: &Rule<'_>) -> bool {
    requirement_count(rule) > 0
}

fn requirement_count(rule: &Rule<'_>) -> usize {
    match &rule.subject {
        Subject::Endpoints(selector) => selector.requirements.len(),
        _ => 0,
    }
}

/// Additions for all wants of one rule and side, in the order in which they are
/// to be tried; those that share nothing with each other are independent.
pub(super) struct Additions<'a, 'm, 's> {
    /// The scene.
    pub scene: &'a Scene<'m, 's>,
    /// The policy.
    pub policy: &'m Policy<'s>,
    /// The rule.
    pub rule: &'m Rule<'s>,
    /// The side.
    pub side: Side,
}

impl<'m, 's> Additions<'_, 'm, 's> {
    fn section(&self) -> Option<&'m Section<'s>> {
        self.rule.section(self.side, Action::Allow)
    }

    fn elements(&self) -> impl Iterator<Item = &'m Element<'s>> {
        self.section().into_iter().flat_map(|section| &section.elements)
    }

    fn manner(&self) -> Manner {
        Manner::of(self.scene.model, self.policy.value.tree().file, None)
    }

    fn subject(&self, want: &Want) -> IdentityId {
        self.scene.drops[want.gap.drop].subject(self.side)
    }

    /// Ways to serve one want by extending an element that is there.
    pub(super) fn extensions(&self, want: &Want) -> Vec<Candidate> {
        let drop = &self.scene.drops[want.gap.drop];
        let (subject, peer) = (drop.subject(self.side), drop.peer(self.side));
        let near = near_misses(self.scene, subject, peer, self.side, want.packet);
        let here = near.iter().filter(|near| near.rule.value == self.rule.value);
        here.filter_map(|near| match &near.miss {
            Miss::Ports => self.add_port(near.element, want),
            Miss::Peer => self.add_peer(near.element, want),
            Miss::PeerNamespace(_, _, requirement) | Miss::PeerLabel(_, _, requirement) => {
                self.add_value(requirement, want)
            }
            _ => None,
        })
        .collect()
    }

    /// The same peers, another port.
    fn add_port(&self, element: &'m Element<'s>, want: &Want) -> Option<Candidate> {
        let Packet::Port(transport, port) = want.packet else { return None };
        let drop = &self.scene.drops[want.gap.drop];
        let dns = dns::is_query(self.scene, drop.destination.identity, want.packet);
        let list = element.to_ports.as_ref()?.lists.iter().find(|list| takes_port(list, dns))?;
        let ports = list.list?;
        let any = dns && list.ports.iter().any(|own| own.protocol.as_ref().is_some_and(|p| p.value == "ANY"));
        let words = PortWords { port, transport: (!any).then_some(transport) };
        let item = words.item(self.policy.kind, protocol_first(list));
        let twin = list.ports.iter().any(|own| own.literal() == crate::policy::ports::Literal::Number(port));
        let last = list.ports.last().map_or(list.value, |last| last.value);
        let blame = Label {
            span: last.span(),
            text: format!("this rule admits {}, but not on {}", self.peer_name(want), words.title()),
        };
        let cause = if twin {
            "udp-twin"
        } else if dns {
            "dns-port"
        } else {
            "wrong-port"
        };
        let change = Editor::default().insert_item(ports, usize::MAX, item);
        let mut candidate = self.candidate(Operator::AddPort, cause, change, blame)?;
        candidate.why =
            format!("the rule that admits {} does not name {}", self.peer_name(want), words.title());
        candidate.title = format!("add port {}", words.title());
        Some(candidate)
    }

    /// The same ports, another peer of the same kind.
    fn add_peer(&self, element: &'m Element<'s>, want: &Want) -> Option<Candidate> {
        let field = self.field_for(element, &want.peer)?;
        let manner = self.manner();
        let item = want.peer.item(self.policy.kind, manner)?;
        let index = place::peer_index(field, &want.peer);
        let change = Editor::default().insert_item(field.entry.value.resolve(), index, item);
        let blame = Label {
            span: field.entry.key.span(),
            text: format!("{} is not among these", self.peer_name(want)),
        };
        let cause = addition_cause(self.scene, want, self.rule, Some(element));
        let mut candidate = self.candidate(Operator::AddPeer, cause, change, blame)?;
        candidate.why = self.why(want);
        candidate.title = format!("add {} to {}", want.peer.title(), field.key.as_str(self.side));
        Some(candidate)
    }

    /// A list of values in a selector that lacks the one of this peer.
    fn add_value(&self, requirement: &Requirement<'s>, want: &Want) -> Option<Candidate> {
        let Origin::Expression(expression) = requirement.origin else { return None };
        let peer = self.scene.engine.identity(self.scene.drops[want.gap.drop].peer(self.side));
        let observed = crate::label::k8s_value(&peer.labels, &requirement.key)?;
        let values = expression.get("values")?;
        let written: Vec<&str> = requirement.values.iter().map(|value| value.value.as_ref()).collect();
        let sorted = written.is_sorted();
        let index = if sorted { written.partition_point(|value| *value < observed) } else { written.len() };
        let change = Editor::default().insert_item(values, index, observed);
        let blame = Label { span: values.span(), text: format!("{observed} is not among these") };
        let is_namespace = requirement.key == crate::label::NAMESPACE;
        let cause = if is_namespace { "wrong-namespace" } else { "peer-label" };
        let mut candidate = self.candidate(Operator::AddPeer, cause, change, blame)?;
        candidate.why = self.why(want);
        candidate.title = format!("add {observed} to the values of {}", requirement.key);
        Some(candidate)
    }

    fn field_for(&self, element: &'m Element<'s>, peer: &PeerWords) -> Option<&'m PeerField<'s>> {
        let wanted = if self.policy.kind == PolicyKind::Knp { PeerKey::Kubernetes } else { peer.field() };
        element.peers.iter().find(|field| field.key == wanted && !field.items.is_empty())
    }

    fn why(&self, want: &Want) -> String {
        let who = super::identity_name(self.scene, self.subject(want));
        let other = self.peer_name(want);
        let passing = match self.side {
            Side::Ingress => format!("lets in {other}"),
            Side::Egress => format!("lets it call {other}"),
        };
        format!("{who} is isolated on {}, and no policy {passing} on {}", self.side, want.packet)
    }

    fn peer_name(&self, want: &Want) -> String {
        super::identity_name(self.scene, self.scene.drops[want.gap.drop].peer(self.side))
    }

    fn candidate(
        &self,
        operator: Operator,
        cause: &'static str,
        change: Result<Change, Refusal>,
        blame: Label,
    ) -> Option<Candidate> {
        let edits = vec![(self.policy.value.tree().file, change.ok()?)];
        Some(Candidate::new(operator, cause, edits, blame))
    }
}

fn lists<'e, 's>(element: &'e Element<'s>) -> impl Iterator<Item = &'e PortList<'s>> {
    element.to_ports.iter().flat_map(|to_ports| &to_ports.lists)
}

/// Whether a port can be put into a list: L7 rules would apply to it too.
fn takes_port(list: &PortList<'_>, dns: bool) -> bool {
    let plain = !list.l7.redirects();
    plain || (dns && list.l7.dns.is_some())
}

/// Whether `protocol` stands before `port` in the items of a list.
fn protocol_first(list: &PortList<'_>) -> bool {
    let first = list.ports.first().and_then(|port| port.value.written_entries().next());
    first.is_some_and(|entry| entry.key.text().as_deref() == Some("protocol"))
}
