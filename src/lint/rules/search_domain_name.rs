//! `search-domain-name`: `toFQDNs` names the cluster's own domain:
//! `db.shop.svc.cluster.local`, or a name that a search domain was added to.
//! Addresses inside the cluster are never matched by name (`semantics.md` 4.6).
//!
//! A Service without selector may lead out of the cluster and is passed over.
//! In `rules.dns` such names are right. No mend: the pods are named by labels.

use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::{Peer, Policy};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for item in elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items) {
        let Peer::Name(rule) = &item.peer else { continue };
        let Some(text) = rule.text() else { continue };
        let name = text.value.trim_end_matches('.').to_ascii_lowercase();
        let inside = name.ends_with(".cluster.local") || name.ends_with(".svc");
        if !inside || leads_out(context, &name) {
            continue;
        }
        findings
            .add(
                text.span,
                format!("{} is a name inside the cluster, and toFQDNs never matches those", text.value),
                "the cluster's own domain",
            )
            .why("Cilium knows addresses of pods and Services by their labels, not by their names")
            .help("name the pods with toEndpoints, or the Service with toServices");
    }
}

/// Whether it is the name of a Service that has no pods behind it.
fn leads_out(context: &Context<'_, '_>, name: &str) -> bool {
    let mut parts = name.split('.');
    let (Some(service), Some(namespace)) = (parts.next(), parts.next()) else { return false };
    context.model.inventory.service(namespace, service).is_some_and(|service| service.selector.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    fn tree(name: &str) -> String {
        cnp(&format!(
            "endpointSelector: {{}}\n  egress:\n  - toEndpoints: [{{matchLabels: {{k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}}}}]\n    toPorts: [{{ports: [{{port: '53', protocol: ANY}}], rules: {{dns: [{{matchPattern: '*.svc.cluster.local'}}, {{matchPattern: '*'}}]}}}}]\n  - toFQDNs:\n    - matchName: {name}\n"
        ))
    }

    #[test]
    fn a_name_inside_the_cluster_is_found() {
        fires("search-domain-name", &tree("db.shop.svc.cluster.local"), &["db.shop.svc.cluster.local"]);
        fires(
            "search-domain-name",
            &tree("example.com.shop.svc.cluster.local."),
            &["example.com.shop.svc.cluster.local."],
        );
    }

    #[test]
    fn a_name_outside_is_right_and_so_is_a_service_that_leads_out() {
        silent(&tree("example.com."));
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {type: ExternalName, externalName: db.example.com}\n";
        silent(&(tree("db.shop.svc.cluster.local") + service));
    }
}
