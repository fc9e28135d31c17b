//! `wrong-shape`: a value that the schema of the kind does not allow: a list
//! where a mapping is due, a word that is none of those possible, two keys of
//! which only one may be there (`semantics.md` 1.5, S1 to S24).
//!
//! Mends: a protocol in lower case is written in capitals, an address in a CIDR
//! field gets its prefix length. Both safe: the object is refused as it stands.

use std::net::IpAddr;

use super::unknown_field::UNKNOWN;
use crate::finding::Safety;
use crate::lint::context::{Context, Judge};
use crate::lint::found::{Findings, Found};
use crate::schema::SchemaError;
use crate::yaml::{Editor, Value};

pub(in crate::lint) fn check<'c, 's>(
    context: &Context<'c, 's>,
    _: &mut Judge<'_, 'c, 's>,
    findings: &mut Findings<'_>,
) {
    for (at, errors) in context.shape() {
        let Some(object) = context.model.objects().get(*at) else { continue };
        for error in errors.iter().filter(|error| !error.message.contains(UNKNOWN)) {
            let found = findings.add(error.span, error.message.clone(), "the API server refuses this");
            if let Some(value) = value_at(object.value, &error.pointer) {
                mend(found, error, value);
            }
        }
    }
}

fn mend(found: &mut Found, error: &SchemaError, value: Value<'_>) {
    let Some(text) = value.text() else { return };
    let field = error.pointer.rsplit('/').find(|step| step.parse::<usize>().is_err()).unwrap_or_default();
    let better = match field {
        "protocol" => {
            let capitals = text.to_ascii_uppercase();
            matches!(capitals.as_str(), "TCP" | "UDP" | "SCTP" | "ANY").then_some(capitals)
        }
        "cidr" | "toCIDR" | "fromCIDR" | "except" | "externalCIDRs" => text
            .parse::<IpAddr>()
            .ok()
            .map(|address| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })),
        _ => None,
    };
    if let Some(better) = better.filter(|better| *better != text) {
        let title = format!("write {better}");
        found.mend(Safety::Safe, title, [Editor::default().replace(value, better)]);
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
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn a_protocol_in_lower_case_is_mended() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: tcp\n",
        );
        fires("wrong-shape", &text, &["tcp"]);
        assert!(mended(&text).contains("protocol: TCP\n"));
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
