//! `other-side-missing`: a rule lets a workload call another one, and the other
//! one's own policies do not admit it; or the reverse. Both sides must allow
//! (`semantics.md` 5.1), so half of the pair does nothing.
//!
//! It is said where it holds for every pair of workloads that the rule is about.
//! No mend here: `suggest` writes one with the flow that was dropped.

use crate::engine::{Engine, Identity, IdentityId, NamedPort, SideVerdict};
use crate::lint::context::{Context, ElementAt, Judge, elements};
use crate::lint::found::{Findings, listed};
use crate::lint::population::Member;
use crate::policy::ports::Literal;
use crate::policy::{Action, Peer, Policy};
use crate::traffic::{Packet, Side, Transport};

/// A rule about more pairs than this is meant generally and not for a pair.
const MOST_PAIRS: usize = 16;

pub(in crate::lint) fn check<'c, 's>(
    context: &Context<'c, 's>,
    judge: &mut Judge<'_, 'c, 's>,
    findings: &mut Findings<'_>,
) {
    if context.population().members().next().is_none() {
        return;
    }
    for policy in context.policies().filter(|policy| context.is_reported(policy.value.tree().file)) {
        for at in elements(policy).filter(|at| at.section.action == Action::Allow) {
            for item in at.element.peers.iter().flat_map(|field| &field.items) {
                look(context, judge, policy, at, &item.peer, findings);
            }
        }
    }
}

fn look<'c, 's>(
    context: &Context<'c, 's>,
    judge: &mut Judge<'_, 'c, 's>,
    policy: &Policy<'s>,
    at: ElementAt<'_, 's>,
    peer: &Peer<'s>,
    findings: &mut Findings<'_>,
) {
    let Peer::Endpoints(selector) = peer else { return };
    let Some(subject) = context.subject(policy, at.rule) else { return };
    let subjects = context.members(&subject);
    if subjects.is_empty() || subjects.len() > MOST_PAIRS {
        return;
    }
    let peers = context.members(&context.peer(policy, at.rule, selector));
    if peers.is_empty() || peers.len() * subjects.len() > MOST_PAIRS {
        return;
    }
    let side = at.section.side;
    let other = side.other();
    let mut blamed: Vec<u32> = Vec::new();
    for subject in &subjects {
        for peer in &peers {
            let called = if side == Side::Egress { peer } else { subject };
            let Some(packet) = packet(at, called) else { return };
            let engine = judge.engine();
            let (own_id, peer_id) = (identify(engine, subject), identify(engine, peer));
            let allows =
                matches!(engine.side(None, own_id, peer_id, side, packet), SideVerdict::Allowed { .. });
            if own_id == peer_id
                || !allows
                || engine.side(None, peer_id, own_id, other, packet) != SideVerdict::Denied
            {
                return;
            }
            blamed.extend(engine.enforcing(peer_id, other));
        }
    }
    blamed.sort_unstable();
    blamed.dedup();
    let names: Vec<String> = peers.iter().map(|peer| title(peer)).collect();
    let what = if side == Side::Egress {
        format!("{} may be called here, and does not admit it", listed(&names))
    } else {
        format!("{} may call here, and its own policies do not let it", listed(&names))
    };
    let found =
        findings.add(selector.value.span(), what, format!("{other} of the other side is closed to this"));
    found.why("a connection needs both: egress at its source and ingress at its destination");
    for policy in blamed.iter().filter_map(|at| context.model.policies.get(*at as usize)).take(3) {
        found.also(policy.place(), format!("this closes {other} of {}", listed(&names)));
    }
}

fn title(member: &Member<'_>) -> String {
    format!("{}/{}", member.workload.namespace.as_deref().unwrap_or_default(), member.workload.name)
}

/// A packet that the element is about, on a port where the called pod listens.
fn packet(at: ElementAt<'_, '_>, called: &Member<'_>) -> Option<Packet> {
    let ports = &called.workload.ports;
    let Some(to_ports) = &at.element.to_ports else {
        let port = ports.first()?;
        return Some(Packet::Port(port.transport, port.number));
    };
    let entry = to_ports.lists.iter().flat_map(|list| &list.ports).next()?;
    let transport: Transport = *entry.transports()?.first()?;
    let number = match entry.literal() {
        Literal::Number(number @ 1..) => number,
        Literal::Name(name) => called.workload.named_port(&name, transport)?,
        _ => return None,
    };
    Some(Packet::Port(transport, number))
}

fn identify(engine: &mut Engine, member: &Member<'_>) -> IdentityId {
    let named_ports = member.workload.ports.iter().filter_map(|port| {
        let name = port.name.as_deref()?.to_ascii_lowercase().into();
        Some(NamedPort { name, transport: port.transport, port: port.number })
    });
    let named_ports = named_ports.collect();
    engine.identify(Identity { labels: member.labels.clone(), named_ports, ..Identity::default() })
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, silent};

    fn tree(admitted: &str) -> String {
        let egress = cnp(
            "endpointSelector: {matchLabels: {app: web}}\n  enableDefaultDeny: {egress: true}\n  egress:\n  - toEndpoints: [{matchLabels: {app: api}}]\n    toPorts: [{ports: [{port: '80', protocol: TCP}]}]\n  - toEndpoints: [{matchLabels: {k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}}]\n    toPorts: [{ports: [{port: '53', protocol: ANY}]}]\n",
        );
        let ingress = cnp(&format!("endpointSelector: {{matchLabels: {{app: api}}}}\n  ingress:\n  - fromEndpoints: [{{matchLabels: {{app: {admitted}}}}}]\n")).replace("name: x", "name: api");
        let workloads: String = ["web", "api", "other"]
            .iter()
            .map(|app| deployment("shop", app, &format!("app: {app}"), "{containerPort: 80}"))
            .collect();
        format!("{egress}---\n{ingress}{workloads}")
    }

    #[test]
    fn a_callee_that_does_not_admit_its_caller_is_found() {
        fires("other-side-missing", &tree("other"), &["{matchLabels: {app: api}}"]);
    }

    #[test]
    fn a_caller_that_is_not_let_out_is_found() {
        let closed = cnp("endpointSelector: {matchLabels: {app: other}}\n  egress: [{}]\n")
            .replace("name: x", "name: closed");
        let text = tree("web").replace(
            "[{matchLabels: {app: web}}]",
            "[{matchLabels: {app: web}}, {matchLabels: {app: other}}]",
        );
        fires("other-side-missing", &format!("{text}---\n{closed}"), &["{matchLabels: {app: other}}"]);
    }

    #[test]
    fn a_pair_of_rules_that_fit_is_right_and_so_is_an_open_side() {
        silent(&tree("web"));
        silent(&tree("web").replace("metadata:\n  name: api", "metadata:\n  name: api2"));
    }
}
