//! `foreign-field`: a NetworkPolicy with Cilium's peers, or a Cilium policy with
//! the `ports`, `from` or `podSelector` of a NetworkPolicy. The API server
//! refuses the object, or drops the field, which widens the rule (V49).
//!
//! Mend for `ports` in a Cilium policy: the same ports under `toPorts`. Safe: it
//! is what the field says.

use super::unknown_field::{self, Unknown};
use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::Findings;
use crate::schema::Kind;
use crate::yaml::{Change, Datum, Editor, Entry, Refusal};

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    for unknown in unknown_field::all(context).filter(is_foreign) {
        let (name, kind) = (unknown.name(), unknown.kind);
        let other = if kind == Kind::NetworkPolicy { "CiliumNetworkPolicy" } else { "NetworkPolicy" };
        let found = findings.add(
            unknown.entry.key.span(),
            format!("{name} belongs to a {other}, and this is a {}", kind.name()),
            "not a field of this kind",
        );
        found.why(
            "the API server refuses the object, or drops the field, and the rule is wider than it reads",
        );
        match counterpart(kind, &name) {
            Some("toPorts") => {
                found.mend(Safety::Safe, "write the ports under toPorts", as_to_ports(&unknown.entry));
            }
            Some(own) => {
                found.help(format!("a {} calls it {own}", kind.name()));
            }
            None => {
                found
                    .help(format!("write the object as a {other}, or the rule with the fields of this kind"));
            }
        }
    }
}

pub(super) fn is_foreign(unknown: &Unknown<'_, '_>) -> bool {
    match unknown.kind {
        Kind::NetworkPolicy => {
            let name = unknown.name();
            name.starts_with("from") && name.len() > 4
                || matches!(
                    name.as_ref(),
                    "toEndpoints"
                        | "toCIDR"
                        | "toCIDRSet"
                        | "toEntities"
                        | "toFQDNs"
                        | "toServices"
                        | "toPorts"
                        | "endpointSelector"
                        | "ingressDeny"
                        | "egressDeny"
                        | "enableDefaultDeny"
                        | "icmps"
                )
        }
        Kind::CiliumCidrGroup => false,
        _ => counterpart(unknown.kind, &unknown.name()).is_some() || unknown.name() == "policyTypes",
    }
}

/// What the own kind calls a field of the other one.
fn counterpart(kind: Kind, name: &str) -> Option<&'static str> {
    Some(match (kind, name) {
        (Kind::NetworkPolicy, "endpointSelector") => "podSelector",
        (Kind::NetworkPolicy, "toPorts") => "ports",
        (Kind::NetworkPolicy, _) => return None,
        (_, "podSelector") => "endpointSelector",
        (_, "ports") => "toPorts",
        (_, "from") => "fromEndpoints",
        (_, "to") => "toEndpoints",
        (_, "ipBlock") => "toCIDRSet or fromCIDRSet",
        (_, "namespaceSelector") => {
            "k8s:io.kubernetes.pod.namespace, or a key below io.cilium.k8s.namespace.labels"
        }
        _ => return None,
    })
}

/// The ports of a NetworkPolicy as `toPorts`: numbers become text, and the
/// protocol that is TCP where it is missing is written out.
fn as_to_ports(entry: &Entry<'_>) -> Vec<Result<Change, Refusal>> {
    let port = |item: crate::yaml::Value<'_>| {
        let mut fields: Vec<(String, Datum)> = Vec::new();
        for field in item.entries() {
            let Some(key) = field.key.text() else { continue };
            let value = match key.as_ref() {
                "endPort" => Datum::of(field.value).unwrap_or(Datum::Null),
                _ => Datum::String(field.value.text().unwrap_or_default().into_owned()),
            };
            fields.push((key.into_owned(), value));
        }
        if fields.iter().all(|(key, _)| key != "protocol") {
            fields.push(("protocol".to_owned(), "TCP".into()));
        }
        Datum::Map(fields)
    };
    let ports = Datum::Seq(entry.value.items().map(|item| port(item.value)).collect());
    let list = Datum::seq([Datum::map([("ports", ports)])]);
    let editor = Editor::default();
    vec![editor.rename_key(entry, "toPorts"), editor.replace(entry.value, list)]
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn ports_of_a_network_policy_become_to_ports() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities: [cluster]\n    ports:\n    - port: 80\n      protocol: TCP\n",
        );
        fires("foreign-field", &text, &["ports"]);
        let mended = mended(&text);
        assert!(
            mended.contains("    toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n"),
            "{mended}"
        );
    }

    #[test]
    fn ciliums_peers_in_a_network_policy_are_told() {
        let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec:\n  podSelector: {}\n  policyTypes: [Ingress]\n  ingress:\n  - fromEndpoints:\n    - matchLabels: {app: a}\n";
        fires("foreign-field", text, &["fromEndpoints"]);
    }

    #[test]
    fn each_kind_may_have_its_own_fields() {
        silent(&cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities: [cluster]\n    toPorts: [{ports: [{port: '80'}]}]\n",
        ));
    }
}
