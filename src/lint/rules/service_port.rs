//! `service-port`: a rule has the port of a Service where the port of the pod
//! counts. Cilium translates the Service before it asks policy
//! (`semantics.md` 5.2), so the rule never fits.
//!
//! It is said only where every workload that the rule means is behind such a
//! Service and none of them listens on the port that is written. Mend: the
//! target port. Safe: the old value is used by nobody.

use std::collections::BTreeSet;

use crate::finding::Safety;
use crate::inventory::{Service, ServicePort, TargetPort};
use crate::lint::context::{Context, ElementAt, elements};
use crate::lint::found::Findings;
use crate::lint::matching::witness;
use crate::lint::population::{Member, asked_namespaces};
use crate::policy::ports::{Literal, Port};
use crate::policy::{Peer, Policy};
use crate::traffic::{Side, Transport};
use crate::yaml::{Datum, Editor, Resolved, Value};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    if context.model.inventory.services().next().is_none() {
        return;
    }
    for at in elements(policy).filter(|at| at.element.to_ports.is_some()) {
        let lists = at.element.to_ports.iter().flat_map(|ports| &ports.lists);
        let all: Vec<_> = lists.flat_map(|list| &list.ports).filter_map(Written::of).collect();
        let ports = all.iter();
        match called(context, policy, at) {
            Some(members) => ports.for_each(|port| look(context, &members, port, &all, findings)),
            None if at.section.side == Side::Egress => {
                ports.for_each(|port| look_at_services(context, policy, at, port, &all, findings));
            }
            None => {}
        }
    }
}

/// A port that is written as a number.
struct Written<'s> {
    value: Value<'s>,
    number: u16,
    transports: &'static [Transport],
}

impl<'s> Written<'s> {
    fn of(port: &Port<'s>) -> Option<Self> {
        match (port.literal(), port.transports(), &port.end) {
            (Literal::Number(number @ 1..), Some(transports), None) => {
                Some(Self { value: port.value.get("port")?, number, transports })
            }
            _ => None,
        }
    }

    /// Tells of it, with the mend.
    fn tell(
        &self,
        service: &Service,
        port: &ServicePort,
        target: u16,
        safety: Safety,
        findings: &mut Findings<'_>,
    ) {
        let namespace = service.namespace.as_deref().unwrap_or_default();
        let is_number = matches!(self.value.resolved(), Some(Resolved::Int(_)));
        let with = if is_number { Datum::from(target) } else { Datum::String(target.to_string()) };
        let title = format!(
            "{} is the port of Service {namespace}/{}, and policy wants the pod's",
            self.number, service.name
        );
        findings
            .add(self.value.span(), title, format!("the pods listen on {target}"))
            .why("a Service is translated before policy is asked: the port on which the pod listens counts, on both sides")
            .also(port.span, format!("the Service leads from {} to {target}", self.number))
            .mend(safety, format!("change {} to {target}", self.number), [Editor::default().replace(self.value, with)]);
    }
}

/// The workloads whose ports an element is about: the subject for ingress, the
/// peers for egress. `None` where they cannot be known or are not only workloads.
pub(super) fn called<'x, 'c, 's>(
    context: &'x Context<'c, 's>,
    policy: &Policy<'s>,
    at: ElementAt<'_, 's>,
) -> Option<Vec<&'x Member<'c>>> {
    let members = if at.section.side == Side::Ingress {
        context.members(&context.subject(policy, at.rule)?)
    } else {
        let mut found = Vec::new();
        for item in at.element.peers.iter().flat_map(|field| &field.items) {
            let Peer::Endpoints(selector) = &item.peer else { return None };
            let here = context.members(&context.peer(policy, at.rule, selector));
            // A selector that matches nobody here is about somebody elsewhere.
            if here.is_empty() {
                return None;
            }
            found.extend(here);
        }
        found
    };
    (!members.is_empty()).then_some(members)
}

/// Whether the element has this port too: then both were meant.
fn has(all: &[Written<'_>], number: u16) -> bool {
    all.iter().any(|own| own.number == number)
}

/// Every workload must be behind a Service with this port, and none may listen on it.
fn look(
    context: &Context<'_, '_>,
    members: &[&Member<'_>],
    port: &Written<'_>,
    all: &[Written<'_>],
    findings: &mut Findings<'_>,
) {
    let mut targets: BTreeSet<u16> = BTreeSet::new();
    let mut blamed: Option<(&Service, &ServicePort)> = None;
    for member in members {
        let ports = &member.workload.ports;
        let listens = |number: u16| {
            ports.iter().any(|own| own.number == number && port.transports.contains(&own.transport))
        };
        if ports.is_empty() || listens(port.number) {
            return;
        }
        let namespace = member.workload.namespace.as_deref().unwrap_or_default();
        let mut leads_elsewhere = false;
        for service in context.model.inventory.services_selecting(namespace, &member.labels) {
            for own in service.ports.iter().filter(|own| port.transports.contains(&own.transport)) {
                let target = match &own.target {
                    TargetPort::Number(number) => Some(*number),
                    TargetPort::Name(name) => member.workload.named_port(name, own.transport),
                };
                if target == Some(port.number) {
                    return;
                }
                if let Some(target) = target.filter(|target| own.port == port.number && listens(*target)) {
                    targets.insert(target);
                    blamed.get_or_insert((service, own));
                    leads_elsewhere = true;
                }
            }
        }
        if !leads_elsewhere {
            return;
        }
    }
    if let (Some((service, own)), Some(target), 1) = (blamed, targets.first(), targets.len())
        && !has(all, *target)
    {
        port.tell(service, own, *target, Safety::Safe, findings);
    }
}

/// Where no workload is known: the Services whose pods the peer names by all
/// the labels that they select by. Unsafe: the pods may listen on both ports.
fn look_at_services<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    at: ElementAt<'_, 's>,
    port: &Written<'_>,
    all: &[Written<'_>],
    findings: &mut Findings<'_>,
) {
    let [item] = at.element.peers.iter().flat_map(|field| &field.items).collect::<Vec<_>>()[..] else {
        return;
    };
    let Peer::Endpoints(selector) = &item.peer else { return };
    let requirements = context.peer(policy, at.rule, selector);
    let Some(labels) = witness(&requirements) else { return };
    let mut namespaces = asked_namespaces(&requirements).into_iter().flatten();
    let (Some(namespace), None) = (namespaces.next(), namespaces.next()) else { return };
    let services: Vec<_> = context.model.inventory.services_selecting(namespace, &labels).collect();
    let mut found = None;
    for (service, own) in
        services.iter().flat_map(|service| service.ports.iter().map(move |own| (*service, own)))
    {
        match own.target {
            TargetPort::Number(target) if target == port.number => return,
            TargetPort::Number(target)
                if own.port == port.number && port.transports.contains(&own.transport) =>
            {
                found.get_or_insert((service, own, target));
            }
            _ => {}
        }
    }
    if let Some((service, own, target)) = found.filter(|_| context.members(&requirements).is_empty())
        && !has(all, target)
    {
        port.tell(service, own, target, Safety::Unsafe, findings);
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, mended, silent};

    const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: shop}\nspec: {selector: {app: api}, ports: [{port: 80, targetPort: http}]}\n";

    fn tree(port: &str) -> String {
        let policy = cnp(&format!(
            "endpointSelector: {{matchLabels: {{app: api}}}}\n  ingress:\n  - fromEndpoints: [{{matchLabels: {{app: web}}}}]\n    toPorts:\n    - ports:\n      - port: \"{port}\"\n        protocol: TCP\n"
        ));
        let api = deployment("shop", "api", "app: api", "{name: http, containerPort: 8080}");
        policy + &api + &deployment("shop", "web", "app: web", "") + SERVICE
    }

    #[test]
    fn the_port_of_the_service_is_found_and_the_pods_is_written() {
        fires("service-port", &tree("80"), &["\"80\""]);
        assert!(mended(&tree("80")).contains("- port: \"8080\"\n"));
    }

    #[test]
    fn a_service_without_known_workload_is_enough_for_an_unsafe_mend() {
        let policy = cnp(
            "endpointSelector: {matchLabels: {app: web}}\n  egress:\n  - toEndpoints: [{matchLabels: {app: api}}]\n    toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n",
        );
        let text = policy + &SERVICE.replace("targetPort: http", "targetPort: 8080");
        fires("service-port", &text, &["\"80\""]);
    }

    #[test]
    fn the_port_of_the_pod_is_right() {
        silent(&tree("8080"));
    }
}
