//! What policy did not do, or what no allow can mend: set aside, and said what it was.

use std::net::IpAddr;

use super::{Gap, Observed, Scene};
use crate::engine::{ElementPlace, SideVerdict, Unknown};
use crate::flow::{Denial, Outcome};
use crate::inventory::LabelOrigin;
use crate::traffic::{Packet, Side};

/// A drop that is not mended, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Aside {
    /// Which of the scene's drops.
    pub drop: usize,
    /// What it was.
    pub reason: Reason,
}

/// What a drop was that is not mended by an allow.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Dropped for a reason that is not policy.
    NotPolicy(Box<str>),
    /// An answer: its connection was not known any more.
    Reply,
    /// The manifests allow it.
    AlreadyAllowed {
        /// Per side, the element that does; `None` where nothing is enforced.
        by: [Option<ElementPlace>; 2],
    },
    /// A deny rule matches.
    ExplicitDeny {
        /// On which side.
        side: Side,
        /// Which one.
        by: ElementPlace,
    },
    /// It went to the address of a Service that had nothing behind it on that port.
    ServiceAddress {
        /// Its namespace and name.
        service: (Box<str>, Box<str>),
        /// The ports that it has.
        ports: Vec<u16>,
    },
    /// Mutual authentication had not succeeded.
    Authentication,
    /// The labels of an end are not known.
    UnknownLabels(Side),
    /// The verdict hangs on something unknown.
    Undecided(Unknown),
    /// The endpoint's policy cannot be computed.
    Broken(Side, &'static str),
    /// Neither TCP, UDP, SCTP nor ICMP.
    OtherProtocol,
    /// The record leaves out the port that was called.
    UnknownPort,
}

/// Parts the drops: those that policy denies, each with its denying sides, and
/// the others. Requests that a proxy refused are among the first: their sides
/// allow the packets.
pub fn sort_out(scene: &Scene<'_, '_>, include_audit: bool) -> (Vec<Gap>, Vec<usize>, Vec<Aside>) {
    let (mut gaps, mut requests, mut asides) = (Vec::new(), Vec::new(), Vec::new());
    for (drop, observed) in scene.drops.iter().enumerate() {
        if observed.distinct.flow.outcome == Outcome::Audited && !include_audit {
            continue;
        }
        match sort(scene, observed) {
            Sorted::Denied(sides) => gaps.extend(sides.into_iter().map(|side| Gap { drop, side })),
            Sorted::Request => requests.push(drop),
            Sorted::Aside(reason) => asides.push(Aside { drop, reason }),
        }
    }
    (gaps, requests, asides)
}

enum Sorted {
    Denied(Vec<Side>),
    Request,
    Aside(Reason),
}

fn sort(scene: &Scene<'_, '_>, observed: &Observed) -> Sorted {
    let flow = &observed.distinct.flow;
    match &flow.outcome {
        Outcome::NotPolicy(reason) => return Sorted::Aside(Reason::NotPolicy(reason.clone())),
        Outcome::Denied(Denial::Authentication) => return Sorted::Aside(Reason::Authentication),
        _ if flow.reply => return Sorted::Aside(Reason::Reply),
        _ => {}
    }
    if let Some(reason) = service_address(scene, observed) {
        return Sorted::Aside(reason);
    }
    if matches!(flow.packet, Packet::Other(_)) {
        return Sorted::Aside(Reason::OtherProtocol);
    }
    // No packet goes to port 0: logs that mask the port, or never had it, show it so.
    if matches!(flow.packet, Packet::Port(_, 0)) {
        return Sorted::Aside(Reason::UnknownPort);
    }
    let judgement = scene.judge(observed);
    for side in Side::BOTH {
        match judgement.on(side) {
            SideVerdict::DeniedByRule(by) => return Sorted::Aside(Reason::ExplicitDeny { side, by }),
            SideVerdict::Undecided(Unknown::Labels(id)) => {
                let side = if id == observed.source.identity { Side::Egress } else { Side::Ingress };
                return Sorted::Aside(Reason::UnknownLabels(side));
            }
            SideVerdict::Undecided(unknown) => return Sorted::Aside(Reason::Undecided(unknown)),
            SideVerdict::Broken(why) => return Sorted::Aside(Reason::Broken(side, why)),
            _ => {}
        }
    }
    let denied: Vec<Side> = Side::BOTH.into_iter().filter(|&side| judgement.on(side).drops()).collect();
    if !denied.is_empty() {
        return Sorted::Denied(denied);
    }
    if flow.outcome == Outcome::Denied(Denial::Request) || flow.request.is_some() {
        return Sorted::Request;
    }
    let unknown = [(Side::Egress, observed.source), (Side::Ingress, observed.destination)].into_iter().find(
        |(_, end)| {
            end.origin == LabelOrigin::Unknown && scene.engine.identity(end.identity).labels.is_empty()
        },
    );
    if let Some((side, _)) = unknown {
        return Sorted::Aside(Reason::UnknownLabels(side));
    }
    let by = Side::BOTH.map(|side| match judgement.on(side) {
        SideVerdict::Allowed { by, .. } => Some(by),
        _ => None,
    });
    Sorted::Aside(Reason::AlreadyAllowed { by })
}

/// A Service's own address as destination means that nothing was translated:
/// no backend, or a port that the Service does not have.
fn service_address(scene: &Scene<'_, '_>, observed: &Observed) -> Option<Reason> {
    let destination = &observed.distinct.flow.destination;
    let outside = destination.labels.iter().any(|label| label.key.starts_with("world"));
    let address: IpAddr = destination.ip.filter(|_| outside)?;
    let service = scene.model.inventory.service_at(address)?;
    Some(Reason::ServiceAddress {
        service: (service.namespace.clone().unwrap_or_default(), service.name.clone()),
        ports: service.ports.iter().map(|port| port.port).collect(),
    })
}
