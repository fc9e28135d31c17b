//! Which objects Cilium refuses: the agent's checks V1 to V48
//! (`semantics.md` 1.4). One failing check refuses the whole object, and a
//! refused object changes nothing.

use super::name::{NameRule, has_allowed_characters};
use super::peer::{Addresses, Entity, Peer, PeerKey, parse_cidr};
use super::ports::{Literal, Port};
use super::{
    Action, Element, Fault, Policy, PolicyKind, PortList, Rule, Section, Selector, Subject, is_unknown,
};
use crate::manifest::Text;
use crate::source::{Span, Spanned};
use crate::traffic::Side;
use crate::version::CiliumVersion;

/// Everything for which this release refuses the policy, agent and API server
/// alike; empty when it takes part.
pub fn refusals(policy: &Policy<'_>, version: CiliumVersion) -> Vec<Fault> {
    let mut check = Check { policy, version, faults: policy.faults.clone() };
    check.object();
    for rule in &policy.rules {
        check.rule(rule);
    }
    check.faults
}

/// Most ports in one list, and most fields of one ICMP item (V14, V26).
const MOST_ENTRIES: usize = 40;

pub(super) struct Check<'p, 's> {
    policy: &'p Policy<'s>,
    pub(super) version: CiliumVersion,
    pub(super) faults: Vec<Fault>,
}

impl<'s> Check<'_, 's> {
    pub(super) fn fail(&mut self, check: &'static str, span: Span, message: impl Into<String>) {
        self.faults.push(Fault::agent(check, span, message));
    }

    fn object(&mut self) {
        if self.policy.name.value.is_empty() {
            self.fail("V1", self.policy.value.span(), "the policy has no name");
        }
        if !self.policy.has_rules && self.policy.kind != PolicyKind::Knp {
            self.fail("V2", self.policy.place(), "the policy has neither spec nor specs");
        }
    }

    fn rule(&mut self, rule: &Rule<'s>) {
        self.subject(rule);
        let empty = !Side::BOTH.into_iter().any(|side| rule.speaks_of(side));
        if empty && self.policy.kind != PolicyKind::Knp && self.version >= CiliumVersion::V1_18 {
            self.fail(
                "V4",
                rule.sections.first().map_or_else(|| rule.value.span(), |s| s.entry.span),
                "all of ingress, ingressDeny, egress and egressDeny are empty: the agent refuses the policy; `[{}]` would be a default deny",
            );
        }
        for section in &rule.sections {
            for element in &section.elements {
                self.element(rule, section, element);
            }
        }
    }

    fn subject(&mut self, rule: &Rule<'s>) {
        match &rule.subject {
            Subject::Endpoints(selector) => self.selector(selector),
            Subject::Nodes(selector) => {
                self.selector(selector);
                let noticed = !rule.in_specs || self.version >= CiliumVersion::V1_19;
                if self.policy.kind == PolicyKind::Cnp && noticed {
                    self.fail(
                        "V3",
                        selector.value.span(),
                        "nodeSelector needs a CiliumClusterwideNetworkPolicy",
                    );
                }
                for section in &rule.sections {
                    for list in section.port_lists() {
                        let egress_web = section.side == Side::Egress
                            && (list.l7.http.is_some() || list.l7.kafka.is_some());
                        if (section.side == Side::Ingress || egress_web) && list.l7.has_rules() {
                            let check = if section.side == Side::Ingress { "V8" } else { "V32" };
                            self.fail(check, list.value.span(), "the host firewall has no such L7 rules");
                        }
                    }
                }
            }
            Subject::Unclear => {
                let both = rule.value.get("endpointSelector").is_some();
                let (check, message) = if both {
                    ("V6", "a rule has both endpointSelector and nodeSelector; keep one")
                } else {
                    ("V5", "a rule needs an endpointSelector; `{}` selects every pod")
                };
                self.fail(check, rule.value.span(), message);
            }
        }
    }

    fn selector(&mut self, selector: &Selector<'s>) {
        if let Some(why) = &selector.invalid {
            self.fail("V7", why.span, why.value.clone());
        }
    }

    fn element(&mut self, rule: &Rule<'s>, section: &Section<'s>, element: &Element<'s>) {
        // Before 1.18 deny elements were hardly checked.
        if section.action == Action::Deny && self.version < CiliumVersion::V1_18 {
            return;
        }
        self.combined_peers(section.side, element);
        for field in &element.peers {
            for item in &field.items {
                self.peer(field.key, &item.peer, item.value.span());
            }
        }
        for selector in &element.requires {
            if self.version >= CiliumVersion::V1_19 {
                self.fail(
                    "V49",
                    selector.value.span(),
                    "fromRequires and toRequires are gone since Cilium 1.19",
                );
            }
            self.selector(selector);
        }
        self.icmps(element);
        let services = element.peers.iter().find(|f| f.key == PeerKey::Services && !f.items.is_empty());
        if let (Some(services), Some(_), true) =
            (services, &element.to_ports, self.version <= CiliumVersion::V1_16)
        {
            self.fail(
                "V17",
                services.entry.key.span(),
                "toServices together with toPorts is refused up to Cilium 1.16",
            );
        }
        for list in element.to_ports.iter().flat_map(|to_ports| &to_ports.lists) {
            self.port_list(rule, section, list);
        }
    }

    /// Two kinds of peers cannot stand in one element (V9).
    fn combined_peers(&mut self, side: Side, element: &Element<'s>) {
        let filled: Vec<_> = element.peers.iter().filter(|field| !field.items.is_empty()).collect();
        if let [first, second, ..] = filled.as_slice() {
            let (a, b) = (first.key.as_str(side), second.key.as_str(side));
            self.fail(
                "V9",
                second.entry.key.span(),
                format!("{a} and {b} cannot stand in one item: the agent refuses the whole policy, so none of its rules is in force"),
            );
        }
    }

    fn peer(&mut self, key: PeerKey, peer: &Peer<'s>, span: Span) {
        match peer {
            Peer::Endpoints(selector) => self.selector(selector),
            Peer::Nodes(selector) => {
                self.fail("V10", span, "selecting nodes by label needs the option enable-node-selector-labels, which is off by default");
                self.selector(selector);
            }
            Peer::Entity(name) => {
                let known = Entity::parse(&name.value)
                    .is_some_and(|e| e != Entity::ClusterMesh || self.version >= CiliumVersion::V1_20);
                if !known && !is_unknown(&name.value) {
                    self.fail("V11", name.span, format!("there is no entity {:?}", name.value));
                }
            }
            Peer::Addresses(addresses) => self.addresses(key, addresses, span),
            Peer::Name(rule) => self.name_rule(rule),
            Peer::Service(_) | Peer::Group | Peer::Anything | Peer::Unreadable => {}
        }
    }

    fn addresses(&mut self, key: PeerKey, addresses: &Addresses<'s>, span: Span) {
        if key == PeerKey::Cidr {
            if let Some(cidr) = addresses.cidr.as_ref().filter(|cidr| !is_unknown(&cidr.value))
                && parse_cidr(&cidr.value).is_none()
            {
                self.fail("V18", cidr.span, format!("{:?} is no CIDR", cidr.value));
            }
            return;
        }
        let count = usize::from(addresses.cidr.as_ref().is_some_and(|cidr| !cidr.value.is_empty()))
            + usize::from(addresses.group.as_ref().is_some_and(|group| !group.value.is_empty()))
            + usize::from(addresses.group_selector.is_some());
        match count {
            0 => self.fail("V19", span, "an address range needs cidr, cidrGroupRef or cidrGroupSelector"),
            1 => {}
            _ => self.fail(
                "V20",
                span,
                "an address range takes one of cidr, cidrGroupRef and cidrGroupSelector",
            ),
        }
        if let Some(selector) = &addresses.group_selector {
            self.selector(selector);
        }
        let Some(cidr) = &addresses.cidr else { return };
        if is_unknown(&cidr.value) {
            return;
        }
        let Some(net) = parse_prefix(&cidr.value) else {
            return self.fail(
                "V21",
                cidr.span,
                format!("{:?} is no CIDR; write it with its prefix length", cidr.value),
            );
        };
        for except in addresses.except.iter().filter(|except| !is_unknown(&except.value)) {
            self.except(net, except);
        }
    }

    /// Only the address of an except must lie in the range; its length is not compared (V22, V23).
    fn except(&mut self, net: ipnet::IpNet, except: &Spanned<Text<'s>>) {
        if parse_prefix(&except.value).is_none() {
            return self.fail(
                "V22",
                except.span,
                format!("{:?} is no CIDR; write it with its prefix length", except.value),
            );
        }
        let address =
            except.value.split_once('/').and_then(|(address, _)| address.parse::<std::net::IpAddr>().ok());
        if address.is_none_or(|address| !net.contains(&address)) {
            self.fail(
                "V23",
                except.span,
                format!("{} does not lie in {net}: the agent refuses the whole policy", except.value),
            );
        }
    }

    fn name_rule(&mut self, rule: &NameRule<'s>) {
        if rule.name.is_some() && rule.pattern.is_some() {
            self.fail("V24", rule.value.span(), "matchName and matchPattern cannot stand in one item");
        }
        self.name_characters(rule);
    }

    pub(super) fn name_characters(&mut self, rule: &NameRule<'s>) {
        for (text, pattern) in [(&rule.name, false), (&rule.pattern, true)] {
            if let Some(text) = text
                && !is_unknown(&text.value)
                && !has_allowed_characters(&text.value, pattern)
            {
                let hint = if text.value.contains('*') { "; a name with * is a matchPattern" } else { "" };
                self.fail(
                    "V25",
                    text.span,
                    format!("{:?} holds a character that no DNS name has{hint}", text.value),
                );
            }
        }
    }

    fn icmps(&mut self, element: &Element<'s>) {
        let Some(icmps) = &element.icmps else { return };
        let has_ports = element.to_ports.as_ref().is_some_and(|to_ports| !to_ports.lists.is_empty());
        let has_items = icmps.entry.value.items().len() > 0;
        if has_ports && has_items {
            self.fail("V12", icmps.entry.key.span(), "icmps and toPorts cannot stand in one item");
        }
        for fields in icmps.entry.value.items().filter_map(|item| item.value.get("fields")) {
            if fields.items().len() > MOST_ENTRIES {
                self.fail("V14", fields.span(), "an item of icmps takes at most 40 fields");
            }
        }
        for field in &icmps.fields {
            match (field.family, &field.kind) {
                (None, _) => self.fail("V15", field.value.span(), "the family must be IPv4 or IPv6"),
                (Some(family), Some(kind)) => {
                    let number = kind.value.parse::<i64>().is_ok();
                    let known = number || super::icmp::number_of(family, &kind.value).is_some();
                    if !known && !is_unknown(&kind.value) {
                        self.fail(
                            "V16",
                            kind.span,
                            format!("{} has no ICMP type {:?}", family.as_str(), kind.value),
                        );
                    }
                }
                (Some(_), None) => self.fail("V16", field.value.span(), "a field of icmps needs a type"),
            }
        }
    }

    fn port_list(&mut self, rule: &Rule<'s>, section: &Section<'s>, list: &PortList<'s>) {
        if list.ports.len() > MOST_ENTRIES {
            self.fail("V26", list.value.span(), "a list of ports takes at most 40");
        }
        for port in &list.ports {
            self.port(port);
        }
        self.layer7(rule, section, list);
    }

    fn port(&mut self, port: &Port<'s>) {
        if self.policy.kind != PolicyKind::Knp && port.port.as_ref().is_some_and(|text| text.value.is_empty())
        {
            self.fail("V27", port.value.span(), "a port is missing its number");
        } else if port.literal() == Literal::Unreadable {
            let (text, span) =
                port.port.as_ref().map_or(("", port.value.span()), |port| (&port.value, port.span));
            self.fail("V28", span, format!("{text:?} is neither a port number nor a port name"));
        }
        if let Some(protocol) = &port.protocol
            && port.transports().is_none()
            && !is_unknown(&protocol.value)
        {
            self.fail(
                "V29",
                protocol.span,
                format!("policy knows TCP, UDP, SCTP and ANY, not {:?}", protocol.value),
            );
        }
    }
}

impl<'s> Section<'s> {
    /// All items of all `toPorts` of the section.
    pub fn port_lists(&self) -> impl Iterator<Item = &PortList<'s>> {
        self.elements.iter().flat_map(|e| &e.to_ports).flat_map(|to_ports| &to_ports.lists)
    }
}

impl Policy<'_> {
    /// A place to point at: the name, else the object.
    pub fn place(&self) -> Span {
        self.name.span
    }
}

fn parse_prefix(text: &str) -> Option<ipnet::IpNet> {
    parse_cidr(text).filter(|_| text.contains('/'))
}
