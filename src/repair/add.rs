//! Additions to a policy that already selects the subject: a port, a peer or a
//! rule beside its like. One edit serves all drops of the same kind.

use std::collections::BTreeMap;

use super::candidate::{Candidate, Operator};
use super::cause::{addition_cause, is_dns};
use super::manner::Manner;
use super::place;
use super::words::{self, PeerWords, PortWords, name_peer};
use crate::diagnose::{Gap, Miss, Scene, near_misses};
use crate::engine::IdentityId;
use crate::finding::{Label, Safety};
use crate::policy::selector::{Origin, Requirement};
use crate::policy::{
    Action, Element, PeerField, PeerKey, Policy, PolicyKind, PortList, Rule, Section, Subject,
};
use crate::traffic::{Packet, Side};
use crate::yaml::{Change, Datum, Editor, Refusal};

/// A rule that new peers and ports can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target {
    /// Which policy.
    pub policy: usize,
    /// Which of its rules.
    pub rule: usize,
}

/// What one gap wants.
#[derive(Debug, Clone)]
pub(super) struct Want {
    /// The gap.
    pub gap: Gap,
    /// How the other end is named.
    pub peer: PeerWords,
    /// On which port.
    pub packet: Packet,
}

/// The rule that is about this workload and nobody else, best one first: with a
/// section for the side, then the one that says most precisely whom it means.
pub(super) fn target(scene: &Scene<'_, '_>, gap: Gap) -> Option<Target> {
    let subject = scene.drops[gap.drop].subject(gap.side);
    let peer = scene.drops[gap.drop].peer(gap.side);
    let mut best: Option<((bool, bool, usize), Target)> = None;
    for (policy_index, policy) in scene.model.policies.iter().enumerate() {
        let is_out = policy.not_applied.is_some() || !scene.engine.refusals(policy_index).is_empty();
        if !scene.model.is_editable(policy) || is_out {
            continue;
        }
        for (rule_index, rule) in policy.rules.iter().enumerate() {
            let about = |id| scene.engine.is_about(policy_index as u32, rule_index as u32, id);
            if !names_somebody(rule) || !about(subject) {
                continue;
            }
            if scene.everybody.iter().any(|&id| !scene.workloads().same(id, subject) && about(id)) {
                continue;
            }
            let section =
                rule.section(gap.side, Action::Allow).is_some_and(|section| !section.elements.is_empty());
            let speaks = name_peer(scene, peer, policy.namespace.name())
                .is_some_and(|words| words.item(policy.kind, Manner::PLAIN).is_some());
            if !speaks || (policy.kind == PolicyKind::Knp && !section) || ends_icmp_in_knp(policy, scene, gap)
            {
                continue;
            }
            let cost = (!section, policy.kind == PolicyKind::Knp, usize::MAX - requirement_count(rule));
            if best.is_none_or(|(known, _)| cost < known) {
                best = Some((cost, Target { policy: policy_index, rule: rule_index }));
            }
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
        let dns = is_dns(self.scene, drop.destination.identity, want.packet);
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
        let observed = crate::diagnose::label(peer, "k8s", &requirement.key)?;
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

    /// New elements for all of these wants: peers with the same ports share one.
    pub(super) fn rules(&self, wants: &[&Want]) -> Vec<(Candidate, Vec<Gap>)> {
        let manner = self.manner();
        group(self.scene, wants)
            .into_iter()
            .filter_map(|Group { peers, ports, packets, gaps }| {
                let first_port = self.policy.kind == PolicyKind::Knp;
                let protocol_first = self.elements().flat_map(lists).map(protocol_first).next().unwrap_or(first_port);
                let ports = self.dns_ports(&ports);
                let datum = words::element(self.policy.kind, self.side, &peers, &packets, &ports, manner, protocol_first)?;
                let want = wants.iter().find(|want| gaps.contains(&want.gap))?;
                let (change, blame) = self.insert(datum, &peers, &ports, want);
                let cause = addition_cause(self.scene, want, self.rule, None);
                let mut candidate = self.candidate(Operator::AddRule, cause, change, blame)?;
                candidate.why = self.why(want);
                let names: Vec<_> = peers.iter().map(PeerWords::title).collect();
                let ports: Vec<_> = ports.iter().map(|port| port.title()).collect();
                let ports = if ports.is_empty() { want.packet.to_string() } else { ports.join(", ") };
                candidate.title = format!("add a rule for {} on {ports}", names.join(" and "));
                if let Some(safety) = self.doubt(want) {
                    candidate.safety = safety;
                    candidate.evidence = Some("a caller from outside for whom no rule here speaks: whether it is meant to call is a guess".to_owned());
                }
                Some((candidate, gaps))
            })
            .collect()
    }

    /// DNS ports in the manner of the file: two entries where it writes two.
    fn dns_ports(&self, ports: &[PortWords]) -> Vec<PortWords> {
        let mut out = Vec::new();
        for port in ports {
            let pair =
                port.transport.is_none() && (self.policy.kind == PolicyKind::Knp || self.writes_pairs());
            if pair {
                use crate::traffic::Transport::{Tcp, Udp};
                out.extend(
                    [Udp, Tcp].map(|transport| PortWords { port: port.port, transport: Some(transport) }),
                );
            } else {
                out.push(*port);
            }
        }
        out
    }

    fn writes_pairs(&self) -> bool {
        let file = self.policy.value.tree().file;
        let policies = self.scene.model.policies.iter().filter(|policy| policy.value.tree().file == file);
        let lists = policies.flat_map(|p| &p.rules).flat_map(|r| &r.sections).flat_map(|s| s.port_lists());
        let dns = lists
            .flat_map(|list| &list.ports)
            .filter(|port| port.literal() == crate::policy::ports::Literal::Number(53));
        let mut dns = dns.peekable();
        dns.peek().is_some() && dns.all(|port| port.protocol.as_ref().is_some_and(|p| p.value != "ANY"))
    }

    /// Callers from outside are not let in without a word from the author.
    fn doubt(&self, want: &Want) -> Option<Safety> {
        let outside = matches!(want.peer, PeerWords::Address(_) | PeerWords::Name(_));
        (self.side == Side::Ingress && outside).then_some(Safety::Unsafe)
    }

    fn insert(
        &self,
        datum: Datum,
        peers: &[PeerWords],
        ports: &[PortWords],
        want: &Want,
    ) -> (Result<Change, Refusal>, Label) {
        let not_named = format!("no rule here admits {} on {}", self.peer_name(want), want.packet);
        match self.section() {
            Some(section) => {
                let index = place::element_index(
                    self.scene,
                    self.policy.kind,
                    section,
                    self.subject(want),
                    peers,
                    ports,
                );
                let change = Editor::default().insert_item(section.entry.value.resolve(), index, datum);
                (change, Label { span: section.entry.key.span(), text: not_named })
            }
            None => {
                let change = Editor::default().insert_entry(
                    self.rule.value,
                    usize::MAX,
                    self.side.as_str(),
                    Datum::seq([datum]),
                );
                (
                    change,
                    Label {
                        span: self.policy.place(),
                        text: format!("this policy says nothing of {}", self.side),
                    },
                )
            }
        }
    }

    fn why(&self, want: &Want) -> String {
        let who = self.scene.drops[want.gap.drop].subject(self.side);
        let who = super::identity_name(self.scene, who);
        let (verb, other) = match self.side {
            Side::Ingress => ("let in", self.peer_name(want)),
            Side::Egress => ("call", self.peer_name(want)),
        };
        match self.side {
            Side::Ingress => {
                format!("{who} is isolated on ingress, and no policy lets in {other} on {}", want.packet)
            }
            Side::Egress => format!(
                "{who} is isolated on egress, and no policy lets it {verb} {other} on {}",
                want.packet
            ),
        }
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
        Some(Candidate {
            operator,
            cause,
            edits: vec![(self.policy.value.tree().file, change.ok()?)],
            new_files: Vec::new(),
            blame,
            related: Vec::new(),
            why: String::new(),
            title: String::new(),
            evidence: None,
            safety: Safety::Safe,
            corrects: false,
            assumption: None,
        })
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

/// Wants that one element serves.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Peers of one field.
    pub(super) peers: Vec<PeerWords>,
    /// Ports, the same for all of them.
    pub(super) ports: Vec<PortWords>,
    /// What is no port: ICMP.
    pub(super) packets: Vec<Packet>,
    /// The gaps that it closes.
    pub(super) gaps: Vec<Gap>,
}

/// Puts wants together: all ports of one peer, then all peers of one field with
/// the same ports. ICMP stays apart: it cannot share an element with ports.
pub(super) fn group(scene: &Scene<'_, '_>, wants: &[&Want]) -> Vec<Group> {
    let mut by_peer: BTreeMap<(&PeerWords, bool), Group> = BTreeMap::new();
    for want in wants {
        let icmp = matches!(want.packet, Packet::Icmp(..));
        let own = by_peer.entry((&want.peer, icmp)).or_default();
        own.gaps.push(want.gap);
        match want.packet {
            Packet::Port(transport, port) => {
                let dns = is_dns(scene, scene.drops[want.gap.drop].destination.identity, want.packet);
                own.ports.push(PortWords { port, transport: (!dns).then_some(transport) });
            }
            packet => own.packets.push(packet),
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for ((peer, _), mut own) in by_peer {
        own.ports.sort_unstable();
        own.ports.dedup();
        own.packets.sort_unstable();
        own.packets.dedup();
        let like = groups.iter_mut().find(|group| {
            let field = group.peers.first().map(PeerWords::field);
            field == Some(peer.field()) && group.ports == own.ports && group.packets == own.packets
        });
        match like {
            Some(group) => {
                group.peers.push(peer.clone());
                group.gaps.extend(own.gaps);
            }
            None => groups.push(Group { peers: vec![peer.clone()], ..own }),
        }
    }
    groups
}
