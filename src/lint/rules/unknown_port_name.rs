//! `unknown-port-name`: a rule names a port that no container of the pods
//! declares. A name is looked up in the ports of the called pod, so the entry
//! means nothing (`semantics.md` 3.5). Up to 1.19 egress looked in the ports of
//! all pods of the cluster.
//!
//! It is said only where the manifests show every pod that is meant. Mend: the
//! nearest declared name. Unsafe: another port may have been meant.

use super::service_port::called;
use crate::finding::Safety;
use crate::lint::context::{Context, elements};
use crate::lint::found::{Findings, listed};
use crate::policy::Policy;
use crate::policy::ports::Literal;
use crate::spelling::nearest;
use crate::traffic::Side;
use crate::version::CiliumVersion;
use crate::yaml::Editor;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for at in elements(policy) {
        let lists = at.element.to_ports.iter().flat_map(|ports| &ports.lists);
        for port in lists.flat_map(|list| &list.ports) {
            let Literal::Name(name) = port.literal() else { continue };
            let Some(value) = port.value.get("port") else { continue };
            let Some(members) = called(context, policy, at) else { continue };
            let is_plain =
                |namespace: Option<&str>| namespace.is_some_and(|n| context.population().is_plain(n));
            if !members.iter().all(|member| is_plain(member.workload.namespace.as_deref())) {
                continue;
            }
            let transports = port.transports().unwrap_or_default();
            let has = |workload: &crate::inventory::Workload| {
                transports.iter().any(|transport| workload.named_port(&name, *transport).is_some())
            };
            let cluster_wide = at.section.side == Side::Egress && context.version() < CiliumVersion::V1_20;
            let known = if cluster_wide {
                context.model.inventory.workloads().any(has)
            } else {
                members.iter().any(|member| has(member.workload))
            };
            if known {
                continue;
            }
            let mut names: Vec<String> = members
                .iter()
                .flat_map(|member| member.workload.ports.iter().filter_map(|port| port.name.as_deref()))
                .map(str::to_owned)
                .collect();
            names.sort();
            names.dedup();
            let declared = match names.as_slice() {
                [] => "they name no port".to_owned(),
                names => format!("they have {}", listed(names)),
            };
            let found = findings.add(
                value.span(),
                format!("no pod that is meant here has a port called {name}"),
                declared,
            );
            found.why("a port's name is looked up in the containers of the called pod; one that is not there means nothing");
            if let Some(near) = nearest(&name, names.iter().map(String::as_str)) {
                found.mend(Safety::Unsafe, format!("write {near}"), [Editor::default().replace(value, near)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, mended, silent};

    fn tree(port: &str) -> String {
        let policy = cnp(&format!(
            "endpointSelector: {{matchLabels: {{app: api}}}}\n  ingress:\n  - fromEntities: [cluster]\n    toPorts:\n    - ports:\n      - port: {port}\n"
        ));
        policy + &deployment("shop", "api", "app: api", "{name: metrics, containerPort: 9090}")
    }

    #[test]
    fn a_name_that_no_container_declares_is_found() {
        fires("unknown-port-name", &tree("metric"), &["metric"]);
        assert!(mended(&tree("metric")).contains("- port: metrics\n"));
    }

    #[test]
    fn a_declared_name_is_right() {
        silent(&tree("metrics"));
    }
}
