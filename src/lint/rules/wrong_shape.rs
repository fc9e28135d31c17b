//! `wrong-shape`: a value that the schema of the kind does not allow: a list
//! where a mapping is due, a word that is none of those possible, two keys of
//! which only one may be there (`semantics.md` 1.5, S1 to S24).
//!
//! Mends: a word that is almost one of those possible, such as a protocol in
//! lower case, becomes that one; an address in a CIDR field gets its prefix
//! length. Both safe, but for entities as wide as `world`: the object is refused
//! as it stands.

use std::net::IpAddr;

use super::unknown_field::entry_at;
use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::{EVERY_USE, Findings, Found};
use crate::schema::{SchemaError, SchemaFault};
use crate::yaml::Value;

/// Words that open more than a class of hosts are never taken for granted.
const WIDE: [&str; 4] = ["all", "world", "cluster", "none"];

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    for (at, errors) in context.shape() {
        let Some(object) = context.model.objects().get(*at) else { continue };
        for error in errors {
            if matches!(error.fault, SchemaFault::UnknownField { .. }) {
                continue;
            }
            let found = findings.add(error.span, error.message.clone(), "the API server refuses this");
            let entry = entry_at(object.value, &error.pointer);
            found.entry = entry.map(|entry| (entry.key.span(), entry.value.span()));
            if let Some(value) = value_at(object.value, &error.pointer) {
                mend(found, error, value);
            }
        }
    }
}

fn mend(found: &mut Found, error: &SchemaError, value: Value<'_>) {
    let Some(text) = value.text() else { return };
    let field = error.pointer.rsplit('/').find(|step| step.parse::<usize>().is_err()).unwrap_or_default();
    let better = match (field, &error.fault) {
        ("cidr" | "toCIDR" | "fromCIDR" | "except" | "externalCIDRs", _) => text
            .parse::<IpAddr>()
            .ok()
            .map(|address| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })),
        // The other protocols need an option of the agent.
        ("protocol", SchemaFault::Value { meant }) => {
            meant.clone().filter(|meant| matches!(meant.as_str(), "TCP" | "UDP" | "SCTP" | "ANY"))
        }
        (_, SchemaFault::Value { meant }) => meant.clone(),
        _ => None,
    };
    if let Some(better) = better.filter(|better| *better != text) {
        let safety = if WIDE.contains(&better.as_str()) { Safety::Unsafe } else { Safety::Safe };
        let title = format!("write {better}");
        found.mend(safety, title, [EVERY_USE.replace(value, better)]);
    }
}

fn value_at<'t>(root: Value<'t>, pointer: &str) -> Option<Value<'t>> {
    pointer.split('/').skip(1).try_fold(root, |value, part| {
        if value.is_sequence() {
            value.items().nth(part.parse().ok()?).map(|item| item.value.resolve())
        } else {
            value.get(&part.replace("~1", "/").replace("~0", "~"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::rules::testing::{cnp, fires, mended, mended_as_far_as, silent};

    #[test]
    fn a_protocol_in_lower_case_is_mended() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: tcp\n",
        );
        fires("wrong-shape", &text, &["tcp"]);
        assert!(mended(&text).contains("protocol: TCP\n"));
    }

    #[test]
    fn a_word_that_is_almost_a_possible_one_is_mended() {
        for (wrong, right) in [
            (
                "ingress: [{fromEndpoints: [{matchExpressions: [{key: app, operator: in, values: [a]}]}]}]",
                "operator: In,",
            ),
            ("ingress: [{icmps: [{fields: [{type: 8, family: ipv4}]}]}]", "family: IPv4}"),
            ("ingress: [{fromEndpoints: [{}], authentication: {mode: requird}}]", "mode: required}"),
        ] {
            let text = cnp(&format!("endpointSelector: {{}}\n  {wrong}\n"));
            assert!(mended_as_far_as(Safety::Safe, &text).contains(right), "{text}");
        }
    }

    #[test]
    fn no_protocol_is_taken_for_icmp_nor_for_one_that_needs_an_option() {
        for protocol in ["ICMP", "IPV4"] {
            let text = cnp(&format!(
                "endpointSelector: {{}}\n  ingress: [{{toPorts: [{{ports: [{{port: \"80\", protocol: {protocol}}}]}}]}}]\n"
            ));
            fires("wrong-shape", &text, &[protocol]);
            assert_eq!(mended(&text), text);
        }
    }

    #[test]
    fn an_address_without_its_length_is_mended() {
        let text = cnp("endpointSelector: {}\n  egress:\n  - toCIDR:\n    - 192.0.2.1\n");
        fires("wrong-shape", &text, &["192.0.2.1"]);
        assert!(mended(&text).contains("- 192.0.2.1/32\n"));
    }

    #[test]
    fn a_variable_has_no_shape() {
        silent(&cnp(
            "endpointSelector: {}\n  egress:\n  - toCIDR:\n    - ${NET}\n    toPorts: [{ports: [{port: '${PORT}', protocol: '${P}'}]}]\n",
        ));
    }
}
