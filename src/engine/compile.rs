//! A policy made ready to judge: everything that depends on the Cilium version,
//! on CIDR groups and on Services is settled here, once (`semantics.md` 3, 4).

use ipnet::IpNet;

use super::compiled::{
    CompiledAddresses, CompiledElement, CompiledPeer, CompiledPolicy, CompiledRule, CompiledSide, IcmpTypes,
    OwnedName, Peers, PortRange, PortValue, Ports, Range,
};
use super::l7;
use super::matcher::Matcher;
use super::truth::Truth;
use super::{ElementPlace, Options, Resolver};
use crate::policy::peer::{Addresses, Entity, Peer, PeerKey, ServicePeer, parse_cidr};
use crate::policy::ports::{Literal, Port};
use crate::policy::selector::{Origin, Requirement};
use crate::policy::{
    Action, Element, Icmps, PeerField, Policy, PolicyKind, Rule, Section, Selector, Subject, injection,
    is_unknown, name::NameRule, refuse,
};
use crate::traffic::{IcmpFamily, Side};
use crate::version::CiliumVersion;

/// Makes a policy ready. `index` is its place in the engine's list.
pub(super) fn compile(
    policy: &Policy<'_>,
    index: u32,
    options: &Options,
    resolver: &Resolver,
) -> CompiledPolicy {
    let refusals = refuse::refusals(policy, options.version);
    let compiler = Compiler { policy, index, options, resolver };
    let rules = policy.rules.iter().enumerate().map(|(i, rule)| compiler.rule(rule, i)).collect();
    let in_force = refusals.is_empty() && policy.not_applied.is_none();
    let (rules, refused) = if in_force { (rules, Vec::new()) } else { (Vec::new(), rules) };
    CompiledPolicy { refusals, in_force, rules, refused }
}

struct Compiler<'c, 's> {
    policy: &'c Policy<'s>,
    index: u32,
    options: &'c Options,
    resolver: &'c Resolver,
}

impl<'s> Compiler<'_, 's> {
    fn version(&self) -> CiliumVersion {
        self.options.version
    }

    fn rule(&self, rule: &Rule<'s>, number: usize) -> CompiledRule {
        let unsure = self.policy.unsure;
        let subject = match &rule.subject {
            Subject::Endpoints(selector) if unsure.subject => {
                let whole = injection::subject(self.policy, selector).into_iter();
                let namespace: Vec<_> = whole.filter(|r| matches!(r.origin, Origin::Injected)).collect();
                Matcher::new(&namespace, false)
            }
            Subject::Endpoints(selector) => {
                Matcher::new(&injection::subject(self.policy, selector), selector.invalid.is_some())
            }
            // The host firewall is off by default, and no pod is a node.
            Subject::Nodes(_) | Subject::Unclear => Matcher::nothing(),
        };
        let mut sides: [CompiledSide; 2] = Default::default();
        for side in Side::BOTH {
            let compiled = &mut sides[side as usize];
            compiled.unsure = [unsure.allow[side as usize], unsure.deny[side as usize]];
            compiled.speaks = rule.speaks_of(side) || compiled.unsure.contains(&true);
            let written = rule.default_deny[side as usize].map(|deny| deny.value);
            // Before 1.16 the field does not exist.
            compiled.default_deny =
                compiled.speaks && (written.unwrap_or(true) || self.version() < CiliumVersion::V1_16);
        }
        for (section_number, section) in rule.sections.iter().enumerate() {
            for (element_number, element) in section.elements.iter().enumerate() {
                let place = ElementPlace {
                    policy: self.index,
                    rule: number as u32,
                    section: section_number as u32,
                    element: element_number as u32,
                };
                let compiled = &mut sides[section.side as usize];
                compiled.elements.push(self.element(rule, section, element, place));
                for selector in &element.requires {
                    let mut requirements = selector.requirements.clone();
                    requirements.extend(injection::peer_namespace(
                        self.policy,
                        subject_of(rule),
                        selector,
                        self.version(),
                    ));
                    let matcher = Matcher::new(&requirements, selector.invalid.is_some());
                    compiled.requires.push((section.action, matcher));
                }
            }
        }
        let certain = if unsure.subject { Truth::Maybe } else { Truth::Yes };
        CompiledRule { subject, certain, sides }
    }

    fn element(
        &self,
        rule: &Rule<'s>,
        section: &Section<'s>,
        element: &Element<'s>,
        place: ElementPlace,
    ) -> CompiledElement {
        let lists = element.to_ports.iter().flat_map(|to_ports| &to_ports.lists);
        CompiledElement {
            place,
            action: section.action,
            peers: self.peers(rule, section, element),
            ports: self.ports(element),
            l7: lists.filter_map(l7::Demand::of).collect(),
            authentication: element.authentication.as_ref().map(|mode| mode.value.as_ref().into()),
        }
    }

    /// Whom an element is about (`semantics.md` 3.4).
    fn peers(&self, rule: &Rule<'s>, section: &Section<'s>, element: &Element<'s>) -> Peers {
        let has_ports = element.to_ports.as_ref().is_some_and(|to_ports| !to_ports.lists.is_empty())
            || element.icmps.as_ref().is_some_and(|icmps| icmps.entry.value.items().len() > 0);
        let everybody_or_nobody = if has_ports { Peers::Everybody } else { Peers::Nobody };
        if self.policy.kind == PolicyKind::Knp {
            return self.kubernetes_peers(rule, element, everybody_or_nobody);
        }
        if self.version() >= CiliumVersion::V1_16 && element.peers.iter().any(means_nobody) {
            return Peers::Nobody;
        }
        let mut listed = Vec::new();
        let mut narrowed = false;
        for field in element.peers.iter().filter(|field| !field.items.is_empty()) {
            match field.key {
                PeerKey::Services if section.action == Action::Deny => {}
                PeerKey::Services => {
                    let peers: Vec<_> = field
                        .items
                        .iter()
                        .filter_map(|item| self.peer(rule, field.key, &item.peer))
                        .collect();
                    narrowed |= !peers.is_empty();
                    listed.extend(peers);
                }
                _ => {
                    narrowed = true;
                    listed
                        .extend(field.items.iter().filter_map(|item| self.peer(rule, field.key, &item.peer)));
                }
            }
        }
        if narrowed { Peers::Listed(listed) } else { everybody_or_nobody }
    }

    fn kubernetes_peers(&self, rule: &Rule<'s>, element: &Element<'s>, everybody_or_nobody: Peers) -> Peers {
        let Some(field) = element.peers.first() else { return Peers::Everybody };
        if field.items.iter().any(|item| matches!(item.peer, Peer::Anything))
            && matches!(everybody_or_nobody, Peers::Everybody)
        {
            return Peers::Everybody;
        }
        Peers::Listed(field.items.iter().filter_map(|item| self.peer(rule, field.key, &item.peer)).collect())
    }

    fn peer(&self, rule: &Rule<'s>, key: PeerKey, peer: &Peer<'s>) -> Option<CompiledPeer> {
        Some(match peer {
            Peer::Endpoints(selector) => {
                let requirements = self.peer_requirements(rule, selector);
                CompiledPeer::Endpoints(Matcher::new(&requirements, selector.invalid.is_some()), None)
            }
            Peer::Entity(name) => match Entity::parse(&name.value) {
                Some(entity) => CompiledPeer::Entity(entity),
                None if is_unknown(&name.value) => CompiledPeer::Unknown,
                None => return None,
            },
            Peer::Addresses(addresses) => {
                CompiledPeer::Addresses(self.addresses(addresses, key != PeerKey::Cidr))
            }
            Peer::Name(rule) => match rule.text() {
                Some(text) if is_unknown(&text.value) => CompiledPeer::Unknown,
                _ => CompiledPeer::Names(Box::new([owned_name(rule)])),
            },
            Peer::Service(service) => return self.service(service),
            Peer::Group => CompiledPeer::Unknown,
            Peer::Nodes(_) | Peer::Anything | Peer::Unreadable => return None,
        })
    }

    fn peer_requirements(&self, rule: &Rule<'s>, selector: &Selector<'s>) -> Vec<Requirement<'s>> {
        injection::peer(self.policy, subject_of(rule), selector, self.version(), &self.options.cluster)
    }

    fn addresses(&self, addresses: &Addresses<'s>, in_set: bool) -> CompiledAddresses {
        let except = addresses.except.iter().filter_map(|except| parse_cidr(&except.value)).collect();
        let unknown_except = addresses.except.iter().find(|except| is_unknown(&except.value));
        let range = if unknown_except.is_some() {
            Range::Unknown
        } else if let Some(cidr) = &addresses.cidr {
            self.prefix(&cidr.value, in_set)
        } else if let Some(group) = &addresses.group {
            match self.resolver.groups.iter().find(|own| own.name.as_ref() == group.value) {
                Some(own) if own.incomplete => Range::Unknown,
                Some(own) => Range::Prefixes(own.prefixes.clone().into()),
                None => Range::Unknown,
            }
        } else if let Some(selector) = &addresses.group_selector {
            self.group_selector(selector)
        } else {
            Range::Nothing
        };
        CompiledAddresses { range, except }
    }

    /// A prefix; zero-length ones mean classes of identities (4.4).
    fn prefix(&self, text: &str, in_set: bool) -> Range {
        if is_unknown(text) {
            return Range::Unknown;
        }
        let Some(net) = parse_cidr(text) else { return Range::Nothing };
        if net.prefix_len() > 0 {
            return Range::Prefix(net);
        }
        let family = if net.addr().is_ipv4() { IcmpFamily::V4 } else { IcmpFamily::V6 };
        if self.version() >= CiliumVersion::V1_19 {
            return Range::WorldOf(family);
        }
        match (text, in_set) {
            ("0.0.0.0/0" | "::/0", true) => Range::World,
            ("0.0.0.0/0" | "::/0", false) => Range::WorldOf(family),
            _ => Range::CidrIdentities,
        }
    }

    fn group_selector(&self, selector: &Selector<'s>) -> Range {
        use crate::policy::selector::Operator;
        let positive = |r: &Requirement<'_>| matches!(r.operator, Operator::In | Operator::Exists);
        if !selector.requirements.iter().any(positive) {
            return if self.version() >= CiliumVersion::V1_20 { Range::World } else { Range::Everyone };
        }
        let chosen = self.resolver.groups.iter().filter(|group| group.matches(selector));
        Range::Prefixes(chosen.flat_map(|group| group.prefixes.iter().copied()).collect())
    }

    /// The pods or addresses behind a Service (4.7). `None`: it resolves to nothing.
    fn service(&self, peer: &ServicePeer<'s>) -> Option<CompiledPeer> {
        let chosen: Vec<_> = self.resolver.services.iter().filter(|service| service.is(peer)).collect();
        if chosen.is_empty() {
            return Some(CompiledPeer::Unknown);
        }
        let mut matchers = Vec::new();
        let mut prefixes = Vec::new();
        for service in chosen {
            match &service.selector {
                Some(labels) if self.version() >= CiliumVersion::V1_17 => {
                    matchers.push(service.matcher(labels, self.version(), &self.options.cluster));
                }
                Some(_) => {}
                None => prefixes.extend(service.addresses.iter().copied().map(IpNet::from)),
            }
        }
        (!matchers.is_empty() || !prefixes.is_empty()).then_some(CompiledPeer::Service(matchers, prefixes))
    }

    fn ports(&self, element: &Element<'s>) -> Ports {
        let lists = element.to_ports.as_ref().map_or(&[][..], |to_ports| &to_ports.lists);
        let icmps = element.icmps.as_ref().filter(|icmps| icmps.entry.value.items().len() > 0);
        if lists.is_empty() && icmps.is_none() {
            return Ports::All;
        }
        let mut unknown = false;
        let mut ranges = Vec::new();
        for list in lists {
            let redirects = list.l7.redirects();
            for port in &list.ports {
                match self.port(port, redirects) {
                    Some(range) => ranges.push(range),
                    None => unknown = true,
                }
            }
        }
        Ports::These { ranges: ranges.into(), icmp: icmp_types(icmps), unknown }
    }

    /// `None` when a variable hides the port.
    fn port(&self, port: &Port<'s>, redirects: bool) -> Option<PortRange> {
        let transports = port.transports()?;
        let old = self.version() < CiliumVersion::V1_16;
        let end =
            port.end.filter(|_| !old).and_then(|end| u16::try_from(end.value).ok()).filter(|&end| end > 0);
        let (value, end) = match port.literal() {
            Literal::Number(0) => match end {
                // From 1.20 a range from 0 is every port.
                Some(end) if self.version() < CiliumVersion::V1_20 => (PortValue::Number(0), Some(end)),
                _ => (PortValue::All, None),
            },
            Literal::Number(number) => (PortValue::Number(number), end.filter(|&end| end > number)),
            Literal::Name(name) => (PortValue::Name(name.into()), end),
            Literal::Unreadable | Literal::Unknown => return None,
        };
        Some(PortRange { transports, port: value, end, redirects })
    }
}

/// Whether a peer field is there and empty: from 1.16 that is nobody, whatever stands beside it (3.4).
fn means_nobody(field: &PeerField<'_>) -> bool {
    use PeerKey::{Cidr, CidrSet, Endpoints, Entities, Nodes};
    field.items.is_empty() && matches!(field.key, Endpoints | Cidr | CidrSet | Entities | Nodes)
}

fn icmp_types(icmps: Option<&Icmps<'_>>) -> Box<[IcmpTypes]> {
    let fields = icmps.map_or(&[][..], |icmps| &icmps.fields);
    fields
        .iter()
        .filter_map(|field| {
            let family = field.family?;
            let types = crate::policy::icmp::types(family, &field.kind.as_ref()?.value);
            Some(IcmpTypes { family, types })
        })
        .collect()
}

fn subject_of<'r, 's>(rule: &'r Rule<'s>) -> Option<&'r Selector<'s>> {
    match &rule.subject {
        Subject::Endpoints(selector) | Subject::Nodes(selector) => Some(selector),
        Subject::Unclear => None,
    }
}

fn owned_name(rule: &NameRule<'_>) -> OwnedName {
    let owned = |text: &Option<crate::source::Spanned<crate::manifest::Text<'_>>>| {
        text.as_ref().map(|text| Box::from(text.value.as_ref()))
    };
    OwnedName { name: owned(&rule.name), pattern: owned(&rule.pattern) }
}
