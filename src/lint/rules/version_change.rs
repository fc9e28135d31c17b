//! `version-change`: a rule that releases of Cilium read differently
//! (`semantics.md` 7). Notes, and only where the release is not said: with
//! `--cilium-version`, or `cilium-version` in `policyfix.toml`, the rules judge by it.

use super::filtered_label::place;
use crate::label::{NAMESPACE, NAMESPACE_LABELS};
use crate::lint::context::{Context, ElementAt, elements};
use crate::lint::found::Findings;
use crate::policy::ports::Literal;
use crate::policy::selector::Operator;
use crate::policy::{Peer, Policy, PolicyKind};
use crate::source::Span;
use crate::traffic::Side;

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    if context.options.version_is_given {
        return;
    }
    for at in elements(policy) {
        for item in at.element.peers.iter().flat_map(|field| &field.items) {
            for (span, what) in peer_changes(policy.kind, &item.peer) {
                tell(findings, span, what);
            }
        }
        for span in named_egress_ports(at) {
            tell(
                findings,
                span,
                "up to Cilium 1.19 a port's name is looked up in the ports of all pods, from 1.20 on in those of the called one",
            );
        }
    }
}

fn tell(findings: &mut Findings<'_>, span: Span, what: &str) {
    findings
        .add(span, format!("releases read this differently: {what}"), "depends on the release")
        .help("say the release with --cilium-version, or cilium-version in policyfix.toml");
}

fn peer_changes(kind: PolicyKind, peer: &Peer<'_>) -> Vec<(Span, &'static str)> {
    let mut changes = Vec::new();
    match peer {
        Peer::Endpoints(selector) => {
            for requirement in &selector.requirements {
                let Some(span) = place(requirement) else { continue };
                let negative = matches!(requirement.operator, Operator::NotIn | Operator::DoesNotExist);
                let namespace_label = requirement.key.starts_with(NAMESPACE_LABELS);
                if negative && (namespace_label || requirement.key == NAMESPACE) {
                    changes.push((span, "up to Cilium 1.18 a negative condition on the namespace also matches nodes and the internet"));
                } else if namespace_label && kind == PolicyKind::Cnp {
                    changes.push((span, "up to Cilium 1.15 the policy's own namespace is demanded beside labels of a namespace"));
                }
            }
        }
        Peer::Name(rule) => {
            let doubled = rule.pattern.as_ref().filter(|pattern| pattern.value.starts_with("**"));
            changes.extend(doubled.map(|pattern| {
                (
                    pattern.span,
                    "from Cilium 1.19 on a leading ** is one or more parts of a name, before it is one",
                )
            }));
        }
        _ => {}
    }
    changes
}

fn named_egress_ports(at: ElementAt<'_, '_>) -> Vec<Span> {
    if at.section.side == Side::Ingress {
        return Vec::new();
    }
    let ports = at.element.to_ports.iter().flat_map(|ports| &ports.lists).flat_map(|list| &list.ports);
    ports
        .filter(|p| matches!(p.literal(), Literal::Name(_)))
        .filter_map(|p| Some(p.port.as_ref()?.span))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, told_in};
    use crate::version::CiliumVersion;

    const NAMED: &str = "endpointSelector: {}\n  egress:\n  - toEntities: [cluster]\n    toPorts: [{ports: [{port: metrics}]}]\n";

    #[test]
    fn what_releases_read_differently_is_a_note() {
        fires("version-change", &cnp(NAMED), &["metrics"]);
    }

    #[test]
    fn with_a_release_nothing_is_said() {
        assert!(told_in(Some(CiliumVersion::V1_20), &cnp(NAMED)).is_empty());
        assert!(told_in(None, &cnp(&NAMED.replace("metrics", "'80'"))).is_empty());
    }
}
