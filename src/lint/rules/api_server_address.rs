//! `api-server-address`: the API server as people see it and not as policy does.
//! The address of Service `kubernetes` is translated to the server's own before
//! policy is asked, and its port 443 to the server's, mostly 6443
//! (`semantics.md` 5.4).
//!
//! A note: clusters differ. Where the manifests or the inventory show the
//! Service or its endpoints, a warning. Mend for the address: the entity.
//! Unsafe: the port may have to change too.

use crate::finding::{Safety, Severity};
use crate::lint::context::{Context, ElementAt, elements};
use crate::lint::found::Findings;
use crate::policy::peer::parse_cidr;
use crate::policy::ports::Literal;
use crate::policy::{Action, Peer, PeerKey, Policy, PolicyKind};
use crate::traffic::Side;
use crate::yaml::{Datum, Editor};

/// The first address of the Service range in the usual distributions.
const USUAL: [&str; 6] = ["10.96.0.1", "10.43.0.1", "10.152.183.1", "172.20.0.1", "10.100.0.1", "172.30.0.1"];

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    let allows =
        |at: &ElementAt<'_, '_>| at.section.side == Side::Egress && at.section.action == Action::Allow;
    for at in elements(policy).filter(allows) {
        by_address(context, policy, at, findings);
        by_port(context, at, findings);
    }
}

fn by_address<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    at: ElementAt<'_, 's>,
    findings: &mut Findings<'_>,
) {
    for field in &at.element.peers {
        for item in &field.items {
            let Peer::Addresses(addresses) = &item.peer else { continue };
            let Some(cidr) = &addresses.cidr else { continue };
            let Some(net) = parse_cidr(&cidr.value).filter(|net| net.prefix_len() == net.max_prefix_len())
            else {
                continue;
            };
            let known = context.model.inventory.service("default", "kubernetes");
            let certain = known.is_some_and(|service| service.addresses.contains(&net.addr()));
            if !certain && !USUAL.contains(&net.addr().to_string().as_str()) {
                continue;
            }
            let found = findings.add(
                cidr.span,
                format!("{} is the address of Service kubernetes, which policy never sees", cidr.value),
                "translated before policy is asked",
            );
            found.severity = if certain { Severity::Warning } else { Severity::Note };
            found.why("the API server is known by the entity kube-apiserver, on the port on which it listens, mostly 6443");
            if policy.kind != PolicyKind::Knp && field.items.len() == 1 && at.element.peers.len() == 1 {
                let editor = Editor::default();
                let entity = Datum::seq(["kube-apiserver"]);
                let changes = [
                    editor.rename_key(&field.entry, PeerKey::Entities.as_str(at.section.side)),
                    editor.replace(field.entry.value, entity),
                ];
                found.mend(Safety::Unsafe, "name the entity kube-apiserver", changes);
            }
        }
    }
}

fn by_port<'s>(context: &Context<'_, 's>, at: ElementAt<'_, 's>, findings: &mut Findings<'_>) {
    let items: Vec<_> = at.element.peers.iter().flat_map(|field| &field.items).collect();
    let api_server = |peer: &Peer<'_>| matches!(peer, Peer::Entity(name) if name.value == "kube-apiserver");
    let [item] = items.as_slice() else { return };
    let ports: Vec<_> =
        at.element.to_ports.iter().flat_map(|p| &p.lists).flat_map(|list| &list.ports).collect();
    let [port] = ports.as_slice() else { return };
    if !api_server(&item.peer) || port.literal() != Literal::Number(443) || port.end.is_some() {
        return;
    }
    let real: Vec<u16> = context
        .model
        .inventory
        .backends("default", "kubernetes")
        .flat_map(|backends| backends.ports.iter().map(|(.., port)| *port))
        .collect();
    if real.contains(&443) {
        return;
    }
    let Some(value) = port.value.get("port") else { return };
    let found = findings.add(
        value.span(),
        "443 is the port of Service kubernetes; most API servers listen on 6443",
        "the Service's port?",
    );
    found.why("the Service is translated before policy is asked, so the port of the server itself counts");
    match real.as_slice() {
        [real, ..] => {
            let with = real.to_string();
            found.mend(
                Safety::Safe,
                format!("change 443 to {real}"),
                [Editor::default().replace(value, with)],
            );
        }
        [] => {
            found
                .as_note()
                .help("see the endpoints of Service kubernetes: kubectl get endpointslices -n default");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::finding::Severity;
    use crate::lint::rules::testing::{cnp, fires, silent, told_in};

    const ADDRESS: &str = "endpointSelector: {}\n  egress:\n  - toCIDR:\n    - 10.96.0.1/32\n    toPorts: [{ports: [{port: '443'}]}]\n";
    const PORT: &str = "endpointSelector: {}\n  egress:\n  - toEntities: [kube-apiserver]\n    toPorts: [{ports: [{port: '443'}]}]\n";

    #[test]
    fn usual_addresses_and_the_port_of_the_service_are_notes() {
        fires("api-server-address", &cnp(ADDRESS), &["10.96.0.1/32"]);
        fires("api-server-address", &cnp(PORT), &["'443'"]);
        silent(&cnp(ADDRESS));
        silent(&cnp(PORT));
    }

    #[test]
    fn known_endpoints_make_it_certain() {
        let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: kubernetes}}\nendpoints: [{addresses: [192.0.2.1]}]\nports: [{port: 6443}]\n";
        let told = told_in(None, &(cnp(PORT) + slice));
        assert!(told.contains(&("api-server-address", Severity::Warning, "'443'".to_owned())), "{told:?}");
    }

    #[test]
    fn the_entity_on_the_servers_port_is_right() {
        assert!(told_in(None, &cnp(&PORT.replace("443", "6443"))).is_empty());
    }
}
