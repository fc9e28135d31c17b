//! `unquoted-port`: `port: 80` in a Cilium policy. The field is text there; the
//! API server refuses a number (`semantics.md` 1.3, S13). In a NetworkPolicy
//! numbers are right.
//!
//! Example: `- port: 80`. Mend: `- port: "80"`. Safe: the same number, and the
//! object was refused before.

use crate::finding::Safety;
use crate::lint::context::{Context, elements};
use crate::lint::found::{EVERY_USE, Findings};
use crate::policy::{Policy, PolicyKind};
use crate::yaml::{Resolved, Value};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    // A number where text is due is a fault by itself, so most policies need no second look.
    if policy.kind == PolicyKind::Knp || policy.faults.is_empty() {
        return;
    }
    let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
    for port in lists.flat_map(|list| &list.ports) {
        let Some(value) = port.value.get("port").map(Value::resolve) else { continue };
        let Some(Resolved::Int(number)) = value.resolved() else { continue };
        findings
            .add(
                value.span(),
                format!("port {} must be in quotes", value.raw()),
                "a number; the field is text",
            )
            .why("the API server refuses the object: the port of a Cilium policy is a string")
            .mend(
                Safety::Safe,
                format!("write \"{number}\""),
                [EVERY_USE.replace(value, number.to_string())],
            );
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn a_number_is_found_and_quoted() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts:\n    - ports:\n      - port: 80\n        protocol: TCP\n",
        );
        fires("unquoted-port", &text, &["80"]);
        assert!(mended(&text).contains("- port: \"80\"\n"));
    }

    #[test]
    fn text_is_right_and_so_is_a_number_in_a_network_policy() {
        silent(&cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80'}, {port: http}]}]\n",
        ));
        silent(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec:\n  podSelector: {}\n  ingress: [{ports: [{port: 80}]}]\n",
        );
    }

    #[test]
    fn a_number_that_an_alias_repeats_is_mended_where_all_uses_want_text() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts: &web [{ports: [{port: 80, protocol: TCP}]}]\n  egress:\n  - toPorts: *web\n",
        );
        assert_eq!(mended(&text), text.replace("port: 80", "port: \"80\""));
        let both = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: cilium.io/v2\n  kind: CiliumNetworkPolicy\n  metadata: {name: a, namespace: shop}\n  spec: {endpointSelector: {}, ingress: [{toPorts: [{ports: &web [{port: 80, protocol: TCP}]}]}]}\n- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata: {name: b, namespace: shop}\n  spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{ports: *web}]}\n";
        fires("unquoted-port", both, &["80"]);
        assert_eq!(mended(both), both);
    }
}
