//! `conflicting-rules`: policies that are fine by themselves and contradict each
//! other: two L7 parsers on one port, two TLS contexts, two authentication modes
//! (`semantics.md` 1.4, C1 to C6). The policy of the pods cannot be computed:
//! they keep their last one, on both sides, and new pods get no connection.
//!
//! No mend: one of the two has to go.

use crate::engine::{Identity, SideVerdict};
use crate::lint::context::{Context, Judge, elements};
use crate::lint::found::Findings;
use crate::lint::matching::witness;
use crate::policy::{Policy, PolicyKind, Rule};
use crate::source::Span;
use crate::traffic::{Packet, Side, Transport};

pub(in crate::lint) fn check<'c, 's>(
    context: &Context<'c, 's>,
    judge: &mut Judge<'_, 'c, 's>,
    findings: &mut Findings<'_>,
) {
    let demanding: Vec<_> = context
        .policies()
        .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)))
        .filter_map(|(policy, rule)| Some((policy, rule, demand(rule)?)))
        .collect();
    listeners(context, findings);
    for (policy, rule, place) in &demanding {
        if !context.is_reported(place.file) {
            continue;
        }
        let Some(labels) = context.subject(policy, rule).and_then(|subject| witness(&subject)) else {
            continue;
        };
        let engine = judge.engine();
        let id = engine.identify(Identity { labels, ..Identity::default() });
        let packet = Packet::Port(Transport::Tcp, 80);
        let SideVerdict::Broken(why) = engine.side(None, id, id, Side::Ingress, packet) else { continue };
        let found = findings.add(
            *place,
            format!("the policies of these pods contradict each other: {why}"),
            "one of those that contradict",
        );
        found.why("such a policy cannot be computed: the pods keep their last one on both sides, and new pods get none");
        for (.., other) in demanding.iter().filter(|(other, ..)| other.value != policy.value).take(3) {
            found.also(*other, "this may be the other one");
        }
    }
}

/// The place where a rule asks for a proxy or for authentication.
fn demand(rule: &Rule<'_>) -> Option<Span> {
    rule.sections.iter().flat_map(|section| &section.elements).find_map(|element| {
        let lists = element.to_ports.iter().flat_map(|ports| &ports.lists);
        let l7 = lists.into_iter().filter(|list| list.l7.redirects());
        l7.map(|list| list.l7.place().unwrap_or_else(|| list.value.span()))
            .next()
            .or(element.authentication.as_ref().map(|mode| mode.span))
    })
}

/// A cluster-wide policy can only name a cluster-wide listener (C6).
fn listeners(context: &Context<'_, '_>, findings: &mut Findings<'_>) {
    let clusterwide = |policy: &&Policy<'_>| policy.kind == PolicyKind::Ccnp;
    for policy in context.policies().filter(clusterwide) {
        let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
        for kind in lists.filter_map(|list| list.l7.listener.as_ref()?.config_kind.as_ref()) {
            if kind.value == "CiliumEnvoyConfig" {
                findings
                    .add(
                        kind.span,
                        "a cluster-wide policy cannot use a CiliumEnvoyConfig",
                        "of one namespace",
                    )
                    .help("use a CiliumClusterwideEnvoyConfig");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, silent};

    fn tree(port: &str) -> String {
        let http = cnp(
            "endpointSelector: {matchLabels: {app: a}}\n  ingress:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{method: GET}]}}]\n",
        );
        let sni = cnp(&format!("endpointSelector: {{}}\n  ingress:\n  - toPorts: [{{ports: [{{port: '{port}', protocol: TCP}}], listener: {{envoyConfig: {{name: e, kind: CiliumEnvoyConfig}}, name: l}}}}]\n")).replace("name: x", "name: listener").replace("ingress", "egress");
        let http = http.replace("ingress", "egress");
        format!("{http}---\n{sni}")
    }

    #[test]
    fn two_parsers_on_one_port_are_found() {
        fires("conflicting-rules", &tree("80"), &["rules"]);
    }

    #[test]
    fn parsers_on_different_ports_go_together() {
        silent(&tree("81"));
    }
}
