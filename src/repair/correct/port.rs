//! Ports of a near miss: another number, protocol or name, or a range that is too short.

use super::{Case, is_near};
use crate::diagnose::{Use, peer_requirements};
use crate::engine::{IdentityId, NamedPort};
use crate::finding::Label;
use crate::policy::ports::{Literal, Port};
use crate::policy::{Peer, PolicyKind};
use crate::repair::candidate::{Candidate, Operator};
use crate::source::Span;
use crate::traffic::{Packet, Side, Transport};
use crate::yaml::{Datum, Editor};

impl<'s> Case<'_, '_, 's> {
    /// Corrections of ports: protocol, number, name, end of a range.
    pub(super) fn ports(&self) -> Vec<Candidate> {
        let Packet::Port(..) = self.packet() else { return Vec::new() };
        let lists = self.near.element.to_ports.iter().flat_map(|to_ports| &to_ports.lists);
        lists.flat_map(|list| &list.ports).filter_map(|port| self.port(port)).collect()
    }

    /// The destinations that a port of the element is meant for.
    fn destinations(&self) -> Vec<IdentityId> {
        let drop = &self.scene.drops[self.gap.drop];
        if self.side() == Side::Ingress {
            return vec![drop.destination.identity];
        }
        let mut meant = vec![drop.destination.identity];
        for &id in &self.scene.everybody {
            let matches =
                self.near.element.peers.iter().flat_map(|f| &f.items).any(|item| match &item.peer {
                    Peer::Endpoints(selector) => {
                        let requirements =
                            peer_requirements(self.scene, self.near.policy, self.near.rule, selector);
                        self.scene.engine.failing(&requirements, id).is_empty()
                    }
                    _ => false,
                });
            if matches && !meant.contains(&id) {
                meant.push(id);
            }
        }
        meant
    }

    fn port(&self, port: &Port<'s>) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let transports = port.transports()?;
        let destinations = self.destinations();
        match port.literal() {
            Literal::Number(number) if number == wanted => self.protocol(port, &destinations),
            Literal::Number(number) if !transports.contains(&transport) || number == 0 => None,
            Literal::Number(number) => match port.end.filter(|end| end.value > i64::from(number)) {
                Some(end) => self.range_end(port, number, end.value),
                None => self.number(port, number, &destinations),
            },
            Literal::Name(name) if transports.contains(&transport) => self.port_name(port, &name),
            Literal::Name(name) => self.protocol_of_name(port, &name),
            _ => None,
        }
    }

    fn protocol(&self, port: &Port<'s>, destinations: &[IdentityId]) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let written = port.protocol.as_ref()?;
        let used =
            self.scene.use_of_port(destinations, self.subject(), self.side(), port.transports()?, wanted);
        if used != Use::Dead && !self.even_alive {
            return None;
        }
        let value = port.value.get("protocol")?;
        let blame = Label { span: written.span, text: format!("the drop is {transport}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "wrong-protocol",
            Editor::default().replace(value, transport.as_str()),
            blame,
        )?;
        Some(Candidate {
            why: format!(
                "the rule admits {} on {wanted}, but by {}, and the drop is {transport}",
                self.name(self.peer()),
                written.value
            ),
            title: format!("change {} to {transport}", written.value),
            evidence: Some(format!("nothing that is known uses {} {wanted} here", written.value)),
            ..candidate
        })
    }

    /// A name that the destination has, but for the other transport.
    fn protocol_of_name(&self, port: &Port<'s>, name: &str) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let destination = self.scene.drops[self.gap.drop].destination.identity;
        let named = &self.scene.engine.identity(destination).named_ports;
        let has = |own: &NamedPort| *own.name == *name && own.transport == transport && own.port == wanted;
        let other = |own: &NamedPort| *own.name == *name && own.transport != transport;
        if !named.iter().any(has) || named.iter().any(other) {
            return None;
        }
        let written = port.protocol.as_ref()?;
        let blame = Label { span: written.span, text: format!("{name} is a {transport} port") };
        let change = Editor::default().replace(port.value.get("protocol")?, transport.as_str());
        let candidate = self.candidate(Operator::CorrectValue, "wrong-protocol", change, blame)?;
        Some(Candidate {
            why: format!(
                "{name} names a {transport} port of the destination; by {} it names none",
                written.value
            ),
            title: format!("change {} to {transport}", written.value),
            evidence: Some("a name that nobody has for this protocol means no port at all".to_owned()),
            ..candidate
        })
    }

    fn range_end(&self, port: &Port<'s>, number: u16, end: i64) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let last = i64::from(self.last_beyond(transport, number).unwrap_or(wanted));
        let length = end - i64::from(number) + 1;
        // Farther away than the range is long, it is another port and not a short range.
        if wanted < number && i64::from(number - wanted) <= length {
            return self.range_start(port, number, wanted);
        }
        if i64::from(wanted) <= end || last - end > length {
            return None;
        }
        let value = port.value.get("endPort")?;
        let blame = Label { span: value.span(), text: format!("the range ends before {wanted}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "port-range-too-short",
            Editor::default().replace(value, Datum::Int(last)),
            blame,
        )?;
        Some(Candidate {
            why: format!("the rule admits {number} to {end}; the drop is on {wanted}"),
            title: format!("end the range at {last} instead of {end}"),
            evidence: None,
            ..candidate
        })
    }

    fn range_start(&self, port: &Port<'s>, number: u16, wanted: u16) -> Option<Candidate> {
        let value = port.value.get("port")?;
        let datum = if self.near.policy.kind == PolicyKind::Knp {
            Datum::Int(i64::from(wanted))
        } else {
            Datum::String(wanted.to_string())
        };
        let blame = Label { span: value.span(), text: format!("the range begins after {wanted}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "port-range-too-short",
            Editor::default().replace(value, datum),
            blame,
        )?;
        Some(Candidate {
            why: format!("the range begins at {number}; the drop is on {wanted}"),
            title: format!("begin the range at {wanted} instead of {number}"),
            ..candidate
        })
    }

    /// The highest port above a range on which the same two ends were dropped.
    fn last_beyond(&self, transport: Transport, from: u16) -> Option<u16> {
        let same = |drop: &&crate::diagnose::Observed| {
            drop.subject(self.side()) == self.subject() && drop.peer(self.side()) == self.peer()
        };
        let ports = self.scene.drops.iter().filter(same).filter_map(|drop| match drop.packet() {
            Packet::Port(own, port) if own == transport && port > from => Some(port),
            _ => None,
        });
        ports.max()
    }

    fn number(&self, port: &Port<'s>, number: u16, destinations: &[IdentityId]) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let written = port.port.as_ref()?;
        let destination = self.scene.drops[self.gap.drop].destination.identity;
        let services = self.services_from(number, destination);
        let used =
            self.scene.use_of_port(destinations, self.subject(), self.side(), port.transports()?, number);
        // DNS is looked up by its Service port on some ways: 53 stays.
        let dns = number == 53;
        if dns || (!self.even_alive && (used == Use::Alive || (used == Use::Unknown && services.is_empty())))
        {
            return None;
        }
        let value = port.value.get("port")?;
        let datum = if self.near.policy.kind == PolicyKind::Knp {
            Datum::Int(i64::from(wanted))
        } else {
            Datum::String(wanted.to_string())
        };
        let change = Editor::default().replace(value, datum);
        let cause = if services.is_empty() { "wrong-port" } else { "service-port" };
        let blame = Label {
            span: written.span,
            text: format!("this rule admits {}, but on {number}", self.name(self.peer())),
        };
        let candidate = self.candidate(Operator::CorrectValue, cause, change, blame)?;
        let why = match services.first() {
            Some((service, _)) => format!(
                "{number} is the port of Service {service}; policy is enforced at the pod, where it is {wanted}"
            ),
            None => format!("the rule admits port {number}; the drop is on {transport} {wanted}"),
        };
        Some(Candidate {
            why,
            title: format!("change {number} to {wanted}"),
            evidence: Some(match used {
                Use::Dead => format!(
                    "no container that the rule reaches listens on {number}, and no flow that was seen used it"
                ),
                _ => format!("the Service maps {number} to {wanted}"),
            }),
            related: services
                .into_iter()
                .map(|(name, span)| Label { span, text: format!("Service {name}") })
                .collect(),
            ..candidate
        })
    }

    /// The Services that lead from this port to the port of the drop.
    fn services_from(&self, number: u16, destination: IdentityId) -> Vec<(String, Span)> {
        let Packet::Port(transport, wanted) = self.packet() else { return Vec::new() };
        let Some(namespace) = self.scene.namespace(destination) else { return Vec::new() };
        let labels = &self.scene.engine.identity(destination).labels;
        let found = self.scene.model.inventory.service_ports_to(namespace, labels, transport, wanted);
        found
            .into_iter()
            .filter(|(_, port)| port.port == number)
            .map(|(service, port)| (format!("{namespace}/{}", service.name), port.span))
            .collect()
    }

    /// A port name that the destination does not have: the name it meant, or the number.
    fn port_name(&self, port: &Port<'s>, name: &str) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let destination = self.scene.drops[self.gap.drop].destination.identity;
        let ports = &self.scene.engine.identity(destination).named_ports;
        if ports.iter().any(|own| &*own.name == name && own.transport == transport) {
            return None;
        }
        let right = ports.iter().find(|own| own.transport == transport && own.port == wanted);
        let meant = right.filter(|own| is_near(name, &own.name)).map(|own| own.name.to_string());
        let value = port.value.get("port")?;
        let datum = match &meant {
            Some(name) => Datum::String(name.clone()),
            None if self.near.policy.kind == PolicyKind::Knp => Datum::Int(i64::from(wanted)),
            None => Datum::String(wanted.to_string()),
        };
        let to = meant.unwrap_or_else(|| wanted.to_string());
        let change = Editor::default().replace(value, datum);
        let has = right.map_or_else(String::new, |own| format!("; it calls {wanted} {}", own.name));
        let blame =
            Label { span: value.span(), text: format!("the destination has no port of this name{has}") };
        let candidate = self.candidate(Operator::CorrectValue, "named-port", change, blame)?;
        Some(Candidate {
            why: format!(
                "no container of the destination names a {transport} port {name}, so the rule admits nothing{has}"
            ),
            title: format!("change {name} to {to}"),
            evidence: Some("a name that nobody has means no port at all".to_owned()),
            ..candidate
        })
    }
}
