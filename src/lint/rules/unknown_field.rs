//! `unknown-field`: a key that the kind does not know at this place. The API
//! server refuses the object or, with older clients, drops the key; a peer that
//! is dropped leaves a rule that admits everybody (V49).
//!
//! Example: `toPort:`. Mend: the nearest key that belongs there. Safe where one
//! is near: the object is refused as it stands.

use std::borrow::Cow;

use super::foreign_field;
use crate::finding::Safety;
use crate::lint::context::Context;
use crate::lint::found::{EVERY_USE, Findings};
use crate::schema::{Kind, SchemaFault};
use crate::yaml::{Entry, Value};

/// A key that the schema does not know.
pub(super) struct Unknown<'x, 't> {
    /// The kind of the object.
    pub(super) kind: Kind,
    /// The entry.
    pub(super) entry: Entry<'t>,
    /// The words of the schema.
    pub(super) message: &'x str,
    /// The key that was probably meant.
    pub(super) meant: Option<&'x str>,
}

impl<'t> Unknown<'_, 't> {
    pub(super) fn name(&self) -> Cow<'t, str> {
        self.entry.key.text().unwrap_or_default()
    }
}

/// Every unknown key of the reported objects.
pub(super) fn all<'x, 's>(
    context: &'x Context<'_, 's>,
) -> impl Iterator<Item = Unknown<'x, 's>> + use<'x, 's> {
    let model = context.model;
    context.shape().iter().flat_map(move |(at, errors)| {
        let object = &model.objects()[*at];
        errors.iter().filter_map(|error| {
            let SchemaFault::UnknownField { meant } = &error.fault else { return None };
            let entry = entry_at(object.value, &error.pointer)?;
            Some(Unknown { kind: Kind::of(object)?, entry, message: &error.message, meant: meant.as_deref() })
        })
    })
}

/// The entry of an object that a JSON pointer leads to.
pub(super) fn entry_at<'t>(root: Value<'t>, pointer: &str) -> Option<Entry<'t>> {
    let (path, last) = pointer.rsplit_once('/')?;
    let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
    let holder = path.split('/').skip(1).try_fold(root, |value, part| {
        if value.is_sequence() {
            value.items().nth(part.parse().ok()?).map(|item| item.value.resolve())
        } else {
            value.get(&step(part))
        }
    })?;
    holder.resolve().entry(&step(last))
}

pub(in crate::lint) fn check<'c, 's>(context: &Context<'c, 's>, findings: &mut Findings<'_>) {
    for unknown in all(context).filter(|unknown| !foreign_field::is_foreign(unknown)) {
        let found = findings.add(unknown.entry.key.span(), unknown.message, "no field of this place");
        found.why("the API server refuses the object, or drops the key, and the rule means another thing than it reads");
        if let Some(meant) = unknown.meant {
            found.mend(
                Safety::Safe,
                format!("rename it to {meant}"),
                [EVERY_USE.rename_key(&unknown.entry, meant)],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    #[test]
    fn a_misspelt_key_is_found_and_renamed() {
        let text = cnp("endpointSelector: {}\n  ingress:\n  - fromEndpoint:\n    - {}\n");
        fires("unknown-field", &text, &["fromEndpoint"]);
        assert!(mended(&text).contains("  - fromEndpoints:\n"));
    }

    #[test]
    fn a_key_that_stands_too_high_is_told_with_its_place() {
        let text = cnp("endpointSelector: {}\n  ingress: [{}]\n  toPorts: []\n");
        fires("unknown-field", &text, &["toPorts"]);
    }

    #[test]
    fn every_known_key_is_right_and_so_is_one_with_a_variable() {
        silent(&cnp(
            "description: x\n  endpointSelector: {}\n  enableDefaultDeny: {ingress: false}\n  ingress: [{}]\n",
        ));
    }
}
