//! `service-port`: a rule has the port of a Service where the port of the pod
//! counts. Cilium translates the Service before it asks policy
//! (`semantics.md` 5.2), so the rule never fits.
//!
//! It is said only where every workload that the rule means is behind such a
//! Service and none of them listens on the port that is written. Mend: the
//! target port. Safe: the old value is used by nobody.

use std::collections::BTreeSet;

use crate::finding::Safety;
use crate::inventory::{Inventory, Service, ServicePort, TargetPort, Workload};
use crate::lint::context::{Context, ElementAt, elements};
use crate::lint::found::Findings;
use crate::policy::ports::{Literal, Port};
use crate::policy::{Peer, Policy};
use crate::traffic::{Side, Transport};
use crate::yaml::{Datum, Editor};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    if context.model.inventory.services().next().is_none() {
        return;
    }
    for at in elements(policy).filter(|at| at.element.to_ports.is_some()) {
        let Some(workloads) = called(context, policy, at) else { continue };
        let lists = at.element.to_ports.iter().flat_map(|ports| &ports.lists);
        for port in lists.flat_map(|list| &list.ports) {
            look(context, &workloads, port, findings);
        }
    }
}

/// The workloads whose ports an element is about: the subject for ingress, the
/// peers for egress. `None` where they cannot be known or are not only workloads.
pub(super) fn called<'c, 's>(
    context: &Context<'c, 's>,
    policy: &Policy<'s>,
    at: ElementAt<'_, 's>,
) -> Option<Vec<&'c Workload>> {
    let workloads = if at.section.side == Side::Ingress {
        context.workloads(&context.subject(policy, at.rule)?)
    } else {
        let items: Vec<_> = at.element.peers.iter().flat_map(|field| &field.items).collect();
        let mut found = Vec::new();
        for item in items {
            let Peer::Endpoints(selector) = &item.peer else { return None };
            let here = context.workloads(&context.peer(policy, at.rule, selector));
            // A selector that matches nobody here is about somebody elsewhere.
            if here.is_empty() {
                return None;
            }
            found.extend(here);
        }
        found
    };
    (!workloads.is_empty()).then_some(workloads)
}

fn look(context: &Context<'_, '_>, workloads: &[&Workload], port: &Port<'_>, findings: &mut Findings<'_>) {
    let (Literal::Number(written), Some(transports), None) = (port.literal(), port.transports(), &port.end)
    else {
        return;
    };
    let Some(value) = port.value.get("port").filter(|_| written != 0) else { return };
    let inventory = &context.model.inventory;
    let mut targets: BTreeSet<u16> = BTreeSet::new();
    let mut blamed: Option<(&Service, &ServicePort)> = None;
    for workload in workloads {
        let listens = |port: u16| {
            workload.ports.iter().any(|own| own.number == port && transports.contains(&own.transport))
        };
        if workload.ports.is_empty() || listens(written) {
            return;
        }
        let mut leads_elsewhere = false;
        for (service, service_port) in services_of(inventory, workload) {
            if !transports.contains(&service_port.transport) {
                continue;
            }
            let target = target(workload, service_port);
            if target == Some(written) {
                return;
            }
            if let Some(target) = target.filter(|target| service_port.port == written && listens(*target)) {
                targets.insert(target);
                blamed.get_or_insert((service, service_port));
                leads_elsewhere = true;
            }
        }
        if !leads_elsewhere {
            return;
        }
    }
    let (Some((service, service_port)), Some(target)) = (blamed, targets.first()) else { return };
    let namespace = service.namespace.as_deref().unwrap_or_default();
    let found = findings.add(
        value.span(),
        format!("{written} is the port of Service {namespace}/{}, and policy wants the pod's", service.name),
        format!(
            "the pods listen on {}",
            targets.iter().map(u16::to_string).collect::<Vec<_>>().join(" and ")
        ),
    );
    found.why("a Service is translated before policy is asked: the port on which the pod listens counts, on both sides");
    found.also(service_port.span, format!("the Service leads from {written} to {target}"));
    if targets.len() == 1 {
        let with =
            if value.style().is_some_and(|_| matches!(value.resolved(), Some(crate::yaml::Resolved::Int(_))))
            {
                Datum::from(*target)
            } else {
                Datum::String(target.to_string())
            };
        found.mend(
            Safety::Safe,
            format!("change {written} to {target}"),
            [Editor::default().replace(value, with)],
        );
    }
}

/// The Services of a workload's namespace that select its pods, with each of their ports.
fn services_of<'i>(
    inventory: &'i Inventory,
    workload: &'i Workload,
) -> impl Iterator<Item = (&'i Service, &'i ServicePort)> {
    let selects = |service: &&Service| {
        service.namespace == workload.namespace
            && !service.selector.is_empty()
            && service.selector.iter().all(|(key, value)| workload.pod_label(key) == Some(value))
    };
    inventory
        .services()
        .filter(selects)
        .flat_map(|service| service.ports.iter().map(move |port| (service, port)))
}

fn target(workload: &Workload, port: &ServicePort) -> Option<u16> {
    match &port.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => {
            let transport: Transport = port.transport;
            workload.named_port(name, transport)
        }
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
    fn the_port_of_the_pod_is_right() {
        silent(&tree("8080"));
    }
}
