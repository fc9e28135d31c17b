//! An object to a [`Policy`]: CiliumNetworkPolicy and its cluster-wide sibling.
//! Unknown fields and wrong types become faults; the rest is read all the same.

use super::name::NameRule;
use super::peer::{Addresses, Peer, PeerField, PeerItem, PeerKey, ServicePeer};
use super::selector::{KeyReading, Selector};
use super::{
    Action, Element, Fault, Icmps, Namespace, Policy, PolicyKind, Rule, Section, Subject, ToPorts, Unsure,
    knp,
};
use crate::manifest::{Object, Text};
use crate::source::{Span, Spanned};
use crate::traffic::Side;
use crate::yaml::{Resolved, Value};

/// What the tree says about an object beside its own text.
pub struct Context<'c, 's> {
    /// The namespace it ends up in.
    pub namespace: Namespace<'s>,
    /// Puts in the variables of a text that the tree defines; the others stay.
    pub substitute: &'c dyn Fn(Text<'s>) -> Text<'s>,
}

/// Which kind of policy an object is, if it is one (`semantics.md` 1.1).
pub fn is_policy(object: &Object<'_>) -> Option<PolicyKind> {
    Some(match (object.group(), object.kind.as_ref()) {
        ("cilium.io", "CiliumNetworkPolicy") => PolicyKind::Cnp,
        ("cilium.io", "CiliumClusterwideNetworkPolicy") => PolicyKind::Ccnp,
        ("networking.k8s.io", "NetworkPolicy") => PolicyKind::Knp,
        _ => return None,
    })
}

/// Reads a policy; `None` when the object is no policy.
pub fn decode<'s>(object: &Object<'s>, context: Context<'_, 's>) -> Option<Policy<'s>> {
    let kind = is_policy(object)?;
    let mut decoder = Decoder { faults: Vec::new(), substitute: context.substitute };
    let (rules, has_rules) = match kind {
        PolicyKind::Knp => knp::rules(&mut decoder, object.value, &context.namespace),
        _ => decoder.cilium_rules(object.value),
    };
    let name = object.name.clone().unwrap_or_else(|| Spanned::new(Text::default(), object.value.span()));
    Some(Policy {
        kind,
        name: Spanned::new(decoder.replaced(name.value), name.span),
        namespace: context.namespace,
        value: object.value,
        document: object.document,
        rules,
        has_rules,
        faults: decoder.faults,
        not_applied: None,
        changed_by: None,
        unsure: Unsure::default(),
    })
}

/// Reads each item of a list. Policies are kept by the thousands, so their lists
/// are as long as they must be and no longer.
pub(super) fn read_all<'s, T>(
    items: impl ExactSizeIterator<Item = Value<'s>>,
    read: impl FnMut(Value<'s>) -> T,
) -> Vec<T> {
    let mut all = Vec::with_capacity(items.len());
    all.extend(items.map(read));
    all
}

/// Reads values and collects what is wrong with them.
pub(super) struct Decoder<'c, 's> {
    pub(super) faults: Vec<Fault>,
    substitute: &'c dyn Fn(Text<'s>) -> Text<'s>,
}

impl<'s> Decoder<'_, 's> {
    fn replaced(&self, text: Text<'s>) -> Text<'s> {
        if text.contains("${") { (self.substitute)(text) } else { text }
    }

    pub(super) fn wrong(&mut self, span: Span, message: impl Into<String>) {
        self.faults.push(Fault::api_server("V49", span, message));
    }

    pub(super) fn unknown_field(&mut self, key: Value<'s>, place: &str) {
        let name = key.text().unwrap_or_default();
        self.wrong(
            key.span(),
            format!("{place} has no field {name:?}; a misspelt field is refused or dropped"),
        );
    }

    /// The text of a scalar that must be a string. A plain number or boolean is
    /// read all the same, and is a fault.
    pub(super) fn string(&mut self, value: Value<'s>, what: &str) -> Option<Spanned<Text<'s>>> {
        let text = value.text()?;
        if !matches!(value.resolved(), Some(Resolved::String(_))) && !text.contains("${") {
            self.wrong(value.resolve().span(), format!("{what} must be a string: write it in quotes"));
        }
        Some(Spanned::new(self.replaced(text), value.resolve().span()))
    }

    /// The text of a scalar whatever its type.
    pub(super) fn text(&self, value: Value<'s>) -> Option<Spanned<Text<'s>>> {
        Some(Spanned::new(self.replaced(value.text()?), value.resolve().span()))
    }

    pub(super) fn integer(&mut self, value: Value<'s>, what: &str) -> Option<Spanned<i64>> {
        let span = value.resolve().span();
        match value.resolved() {
            Some(Resolved::Int(number)) => Some(Spanned::new(number, span)),
            Some(Resolved::Null) => None,
            _ => {
                let known = self.text(value).and_then(|text| text.value.parse().ok());
                if known.is_none() && !value.raw().contains("${") {
                    self.wrong(span, format!("{what} must be a whole number"));
                }
                known.map(|number| Spanned::new(number, span))
            }
        }
    }

    pub(super) fn items(
        &mut self,
        value: Value<'s>,
        what: &str,
    ) -> impl ExactSizeIterator<Item = Value<'s>> + use<'s> {
        if !value.is_sequence() && !value.is_null() {
            self.wrong(value.span(), format!("{what} must be a list"));
        }
        value.items().map(|item| item.value.resolve())
    }

    pub(super) fn strings(&mut self, value: Value<'s>, what: &str) -> Vec<Spanned<Text<'s>>> {
        let items = self.items(value, what);
        items.filter_map(|item| self.string(item, what)).collect()
    }

    pub(super) fn selector(&mut self, value: Value<'s>, reading: KeyReading) -> Selector<'s> {
        Selector::decode(value, reading, &|value| Some(self.replaced(label_text(value)?)))
    }

    pub(super) fn extend(&mut self, selector: &mut Selector<'s>, value: Value<'s>, reading: KeyReading) {
        selector.add(value, reading, &|value| Some(self.replaced(label_text(value)?)));
    }

    fn cilium_rules(&mut self, object: Value<'s>) -> (Vec<Rule<'s>>, bool) {
        let mut rules = Vec::with_capacity(1);
        let mut has_rules = false;
        for entry in object.entries() {
            match entry.key.text().as_deref() {
                Some("spec") if !entry.value.is_null() => {
                    has_rules = true;
                    rules.insert(0, self.rule(entry.value.resolve(), false));
                }
                Some("specs") if !entry.value.is_null() => {
                    has_rules = true;
                    for item in self.items(entry.value, "specs") {
                        rules.push(self.rule(item, true));
                    }
                }
                Some("apiVersion" | "kind" | "metadata" | "status" | "spec" | "specs") => {}
                _ => self.unknown_field(entry.key, "a policy"),
            }
        }
        (rules, has_rules)
    }

    fn rule(&mut self, value: Value<'s>, in_specs: bool) -> Rule<'s> {
        if !value.is_mapping() {
            self.wrong(value.span(), "a rule must be a mapping");
        }
        let (mut endpoints, mut nodes) = (None, None);
        let mut rule = Rule {
            value,
            in_specs,
            subject: Subject::Unclear,
            sections: Vec::new(),
            default_deny: [None, None],
            closes: [false, false],
        };
        for entry in value.entries() {
            let section = match entry.key.text().as_deref() {
                Some("endpointSelector") => {
                    endpoints = Some(self.selector(entry.value.resolve(), KeyReading::Cilium));
                    None
                }
                Some("nodeSelector") => {
                    nodes = Some(self.selector(entry.value.resolve(), KeyReading::Cilium));
                    None
                }
                Some("ingress") => Some((Side::Ingress, Action::Allow)),
                Some("egress") => Some((Side::Egress, Action::Allow)),
                Some("ingressDeny") => Some((Side::Ingress, Action::Deny)),
                Some("egressDeny") => Some((Side::Egress, Action::Deny)),
                Some("enableDefaultDeny") => {
                    self.default_deny(entry.value.resolve(), &mut rule.default_deny);
                    None
                }
                Some("labels" | "description" | "log") => None,
                _ => {
                    self.unknown_field(entry.key, "a rule");
                    None
                }
            };
            if let Some((side, action)) = section {
                let items = self.items(entry.value, "a section");
                let elements = read_all(items, |item| self.element(item, side, action));
                rule.sections.reserve_exact(1);
                rule.sections.push(Section { side, action, entry, elements });
            }
        }
        rule.subject = match (endpoints, nodes) {
            (Some(selector), None) => Subject::Endpoints(selector),
            (None, Some(selector)) => Subject::Nodes(selector),
            _ => Subject::Unclear,
        };
        rule
    }

    fn default_deny(&mut self, value: Value<'s>, sides: &mut [Option<Spanned<bool>>; 2]) {
        for entry in value.entries() {
            let side = match entry.key.text().as_deref() {
                Some("ingress") => Side::Ingress,
                Some("egress") => Side::Egress,
                _ => {
                    self.unknown_field(entry.key, "enableDefaultDeny");
                    continue;
                }
            };
            match entry.value.resolved() {
                Some(Resolved::Bool(value)) => {
                    sides[side as usize] = Some(Spanned::new(value, entry.value.span()));
                }
                Some(Resolved::Null) => {}
                _ => self.wrong(entry.value.span(), "enableDefaultDeny takes true or false"),
            }
        }
    }

    fn element(&mut self, value: Value<'s>, side: Side, action: Action) -> Element<'s> {
        let mut element = Element::empty(value);
        if !value.is_mapping() && !value.is_null() {
            self.wrong(value.span(), "an item of a section must be a mapping");
        }
        for entry in value.entries() {
            let key = entry.key.text();
            let key = key.as_deref().unwrap_or("");
            let inner = entry.value.resolve();
            if let Some(field) =
                PeerKey::parse(key, side).filter(|f| action == Action::Allow || *f != PeerKey::Names)
            {
                if !inner.is_null() {
                    let items = self.items(inner, key);
                    let items = read_all(items, |item| self.peer(item, field));
                    element.peers.reserve_exact(1);
                    element.peers.push(PeerField { key: field, entry, items });
                }
                continue;
            }
            match (key, side) {
                ("toPorts", _) => {
                    if !inner.is_null() {
                        let items = self.items(inner, "toPorts");
                        let lists = read_all(items, |item| self.port_list(item, action));
                        element.to_ports = Some(ToPorts { entry, lists });
                    }
                }
                ("icmps", _) => {
                    if !inner.is_null() {
                        element.icmps = Some(Icmps { entry, fields: self.icmp_fields(inner) });
                    }
                }
                ("authentication", _) if action == Action::Allow => {
                    element.authentication = inner.get("mode").and_then(|mode| self.string(mode, "mode"));
                }
                ("fromRequires", Side::Ingress) | ("toRequires", Side::Egress) => {
                    for item in self.items(inner, key) {
                        let selector = self.selector(item, KeyReading::Cilium);
                        element.requires.push(selector);
                    }
                }
                _ => self.unknown_field(entry.key, &format!("an item of {}", section_name(side, action))),
            }
        }
        element
    }

    fn peer(&mut self, value: Value<'s>, field: PeerKey) -> PeerItem<'s> {
        let peer = match field {
            PeerKey::Endpoints => Peer::Endpoints(self.selector(value, KeyReading::Cilium)),
            PeerKey::Nodes => Peer::Nodes(self.selector(value, KeyReading::Cilium)),
            PeerKey::Entities => self.string(value, "an entity").map_or(Peer::Unreadable, Peer::Entity),
            PeerKey::Cidr => match self.string(value, "a CIDR") {
                Some(cidr) => Peer::Addresses(Addresses {
                    cidr: Some(cidr),
                    group: None,
                    group_selector: None,
                    except: Vec::new(),
                }),
                None => Peer::Unreadable,
            },
            PeerKey::CidrSet => self.addresses(value, "a CIDR set"),
            PeerKey::Names => Peer::Name(self.name_rule(value)),
            PeerKey::Services => self.service(value),
            PeerKey::Groups => Peer::Group,
            PeerKey::Kubernetes => Peer::Unreadable,
        };
        PeerItem { value, peer }
    }

    pub(super) fn addresses(&mut self, value: Value<'s>, what: &str) -> Peer<'s> {
        let mut addresses = Addresses { cidr: None, group: None, group_selector: None, except: Vec::new() };
        if !value.is_mapping() {
            self.wrong(value.span(), format!("{what} must be a mapping with cidr"));
            return Peer::Unreadable;
        }
        for entry in value.entries() {
            match entry.key.text().as_deref() {
                Some("cidr") => addresses.cidr = self.string(entry.value, "cidr"),
                Some("cidrGroupRef") => addresses.group = self.string(entry.value, "cidrGroupRef"),
                Some("cidrGroupSelector") => {
                    let selector = self.selector(entry.value.resolve(), KeyReading::Cilium);
                    addresses.group_selector = Some(Box::new(selector));
                }
                Some("except") => addresses.except = self.strings(entry.value.resolve(), "except"),
                _ => self.unknown_field(entry.key, what),
            }
        }
        Peer::Addresses(addresses)
    }

    pub(super) fn name_rule(&mut self, value: Value<'s>) -> NameRule<'s> {
        let mut rule = NameRule { value, name: None, pattern: None };
        for entry in value.entries() {
            match entry.key.text().as_deref() {
                Some("matchName") => rule.name = self.string(entry.value, "matchName"),
                Some("matchPattern") => rule.pattern = self.string(entry.value, "matchPattern"),
                _ => self.unknown_field(entry.key, "a name rule"),
            }
        }
        let filled = |text: Option<Spanned<Text<'s>>>| text.filter(|text| !text.value.is_empty());
        NameRule { value, name: filled(rule.name), pattern: filled(rule.pattern) }
    }

    fn service(&mut self, value: Value<'s>) -> Peer<'s> {
        let mut peer = ServicePeer { name: None, selector: None, namespace: None };
        for entry in value.entries() {
            let inner = entry.value.resolve();
            match entry.key.text().as_deref() {
                Some("k8sService") => {
                    peer.name = inner.get("serviceName").and_then(|v| self.string(v, "serviceName"))
                }
                Some("k8sServiceSelector") => {
                    peer.selector = inner.get("selector").map(|v| self.selector(v, KeyReading::Kubernetes));
                }
                _ => {
                    self.unknown_field(entry.key, "toServices");
                    continue;
                }
            }
            peer.namespace = inner.get("namespace").and_then(|v| self.string(v, "namespace"));
        }
        Peer::Service(peer)
    }
}

/// The key of a section.
pub(crate) fn section_name(side: Side, action: Action) -> &'static str {
    match (side, action) {
        (Side::Ingress, Action::Allow) => "ingress",
        (Side::Egress, Action::Allow) => "egress",
        (Side::Ingress, Action::Deny) => "ingressDeny",
        (Side::Egress, Action::Deny) => "egressDeny",
    }
}

/// The text of a label key or value; what kubectl reads as a number or a
/// boolean is none: the API server refuses it.
fn label_text(value: Value<'_>) -> Option<Text<'_>> {
    match value.resolved()? {
        Resolved::String(text) => Some(text),
        _ if value.raw().contains("${") => value.text(),
        _ => None,
    }
}
