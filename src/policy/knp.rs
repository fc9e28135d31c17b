//! A NetworkPolicy of Kubernetes as Cilium reads it (`semantics.md` 1.6): one
//! rule, allow only.

use super::decode::{Decoder, read_all};
use super::peer::{Peer, PeerField, PeerItem, PeerKey};
use super::ports::Port;
use super::selector::{KeyReading, Operator, Origin, Requirement, Selector};
use super::{Action, Element, Namespace, PortList, Rule, Section, Subject, ToPorts, l7::Layer7};
use crate::label::NAMESPACE;
use crate::manifest::Text;
use crate::source::Spanned;
use crate::traffic::{Side, Transport};
use crate::yaml::Value;

pub(super) fn rules<'s>(
    decoder: &mut Decoder<'_, 's>,
    object: Value<'s>,
    namespace: &Namespace<'s>,
) -> (Vec<Rule<'s>>, bool) {
    let mut spec = None;
    for entry in object.entries() {
        match entry.key.text().as_deref() {
            Some("spec") => spec = Some(entry.value.resolve()).filter(|spec| !spec.is_null()),
            Some("apiVersion" | "kind" | "metadata" | "status") => {}
            _ => decoder.wrong(entry.key.span(), "a NetworkPolicy has no such field"),
        }
    }
    let Some(spec) = spec else { return (Vec::new(), false) };
    (vec![rule(decoder, spec, namespace)], true)
}

fn rule<'s>(decoder: &mut Decoder<'_, 's>, spec: Value<'s>, namespace: &Namespace<'s>) -> Rule<'s> {
    let mut subject = Selector::empty(spec);
    let mut sections = Vec::new();
    let mut types = None;
    for entry in spec.entries() {
        let value = entry.value.resolve();
        match entry.key.text().as_deref() {
            Some("podSelector") => subject = decoder.selector(value, KeyReading::Kubernetes),
            Some("policyTypes") => {
                types = Some(value).filter(|types| types.items().len() > 0);
            }
            Some(key @ ("ingress" | "egress")) => {
                let side = if key == "ingress" { Side::Ingress } else { Side::Egress };
                let items = decoder.items(value, key);
                let elements = read_all(items, |item| element(decoder, item, side, namespace));
                sections.push(Section { side, action: Action::Allow, entry, elements });
            }
            key => {
                let hint = match key {
                    Some("endpointSelector") => "; a NetworkPolicy calls it podSelector",
                    _ => "",
                };
                decoder.wrong(entry.key.span(), format!("a NetworkPolicy has no such field{hint}"));
            }
        }
    }
    let lists = |wanted: &str| {
        types.is_some_and(|types| types.items().any(|t| t.value.text().as_deref() == Some(wanted)))
    };
    let is_empty = |side| !sections.iter().any(|s: &Section<'_>| s.side == side && !s.elements.is_empty());
    let closes_ingress = is_empty(Side::Ingress) && (lists("Ingress") || !lists("Egress"));
    let closes_egress = is_empty(Side::Egress) && lists("Egress");
    Rule {
        value: spec,
        in_specs: false,
        subject: Subject::Endpoints(subject),
        sections,
        default_deny: [None, None],
        closes: [closes_egress, closes_ingress],
    }
}

fn element<'s>(
    decoder: &mut Decoder<'_, 's>,
    value: Value<'s>,
    side: Side,
    namespace: &Namespace<'s>,
) -> Element<'s> {
    let mut element = Element::empty(value);
    let peers_key = PeerKey::Kubernetes.as_str(side);
    for entry in value.entries() {
        let inner = entry.value.resolve();
        match entry.key.text().as_deref() {
            Some(key) if key == peers_key => {
                let items = decoder.items(inner, key);
                // Missing or empty peers are everything; only a filled list narrows (1.6).
                if items.len() > 0 {
                    let items = read_all(items, |item| peer(decoder, item, namespace));
                    element.peers.push(PeerField { key: PeerKey::Kubernetes, entry, items });
                }
            }
            Some("ports") => {
                let items = decoder.items(inner, "ports");
                if items.len() > 0 {
                    let ports = read_all(items, |item| port(decoder, item));
                    let list = PortList { value: inner, list: Some(inner), ports, l7: Layer7::default() };
                    element.to_ports = Some(ToPorts { entry, lists: vec![list] });
                }
            }
            key => {
                let hint = match key {
                    Some(key) if PeerKey::parse(key, side).is_some() || key == "toPorts" => {
                        "; that is a field of a CiliumNetworkPolicy"
                    }
                    _ => "",
                };
                decoder.wrong(
                    entry.key.span(),
                    format!("a rule of a NetworkPolicy has {peers_key} and ports{hint}"),
                );
            }
        }
    }
    element
}

fn peer<'s>(decoder: &mut Decoder<'_, 's>, value: Value<'s>, namespace: &Namespace<'s>) -> PeerItem<'s> {
    let (mut pods, mut namespaces, mut block) = (None, None, None);
    for entry in value.entries() {
        let inner = entry.value.resolve();
        match entry.key.text().as_deref() {
            Some("podSelector") if !inner.is_null() => pods = Some(inner),
            Some("namespaceSelector") if !inner.is_null() => namespaces = Some(inner),
            Some("ipBlock") if !inner.is_null() => block = Some(inner),
            Some("podSelector" | "namespaceSelector" | "ipBlock") => {}
            _ => decoder.wrong(
                entry.key.span(),
                "a peer of a NetworkPolicy has podSelector, namespaceSelector or ipBlock",
            ),
        }
    }
    let peer = match (block, namespaces, pods) {
        (Some(block), None, None) => decoder.addresses(block, "ipBlock"),
        (Some(block), ..) => {
            decoder.faults.push(super::Fault::agent(
                "V9",
                block.span(),
                "ipBlock and a selector cannot stand in one peer: the agent refuses the whole policy",
            ));
            Peer::Unreadable
        }
        (None, None, None) => Peer::Anything,
        (None, namespaces, pods) => Peer::Endpoints(combined(decoder, value, namespaces, pods, namespace)),
    };
    PeerItem { value, peer }
}

/// Namespace keys become labels of the pod's Namespace; an empty
/// namespaceSelector means any pod; without one the policy's own namespace is
/// meant. Nothing is added to a filled one, so that a negative one reaches
/// identities that are no pods.
fn combined<'s>(
    decoder: &mut Decoder<'_, 's>,
    value: Value<'s>,
    namespaces: Option<Value<'s>>,
    pods: Option<Value<'s>>,
    namespace: &Namespace<'s>,
) -> Selector<'s> {
    let mut selector = Selector::empty(value);
    if let Some(namespaces) = namespaces {
        decoder.extend(&mut selector, namespaces, KeyReading::NamespaceLabel);
        if selector.requirements.is_empty() {
            selector.requirements.push(injected(Operator::Exists, None));
        }
    }
    if let Some(pods) = pods {
        decoder.extend(&mut selector, pods, KeyReading::Kubernetes);
    }
    if namespaces.is_none() {
        let name = namespace.name().unwrap_or("default").to_owned();
        let name = if let Namespace::Unknown(_) = namespace { "${NAMESPACE}".to_owned() } else { name };
        selector
            .requirements
            .retain(|r| !(r.source == "k8s" && r.key == NAMESPACE && matches!(r.origin, Origin::Label(_))));
        selector
            .requirements
            .push(injected(Operator::In, Some(Spanned::new(Text::Owned(name), value.span()))));
    }
    selector
}

fn injected<'s>(operator: Operator, value: Option<Spanned<Text<'s>>>) -> Requirement<'s> {
    Requirement {
        source: Text::Borrowed("k8s"),
        key: Text::Borrowed(NAMESPACE),
        operator,
        values: value.into_iter().collect(),
        origin: Origin::Injected,
    }
}

fn port<'s>(decoder: &mut Decoder<'_, 's>, value: Value<'s>) -> Port<'s> {
    const TCP: &[Transport] = &[Transport::Tcp];
    let mut port = Port { value, port: None, end: None, protocol: None, default_transports: TCP };
    for entry in value.entries() {
        match entry.key.text().as_deref() {
            Some("port") if !entry.value.is_null() => port.port = decoder.text(entry.value),
            Some("endPort") => port.end = decoder.integer(entry.value, "endPort"),
            Some("protocol") if !entry.value.is_null() => {
                port.protocol = decoder.string(entry.value, "protocol")
            }
            Some("port" | "protocol") => {}
            _ => decoder.wrong(entry.key.span(), "a port of a NetworkPolicy has port, endPort and protocol"),
        }
    }
    port
}
