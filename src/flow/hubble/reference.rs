//! An object that a record refers to: a workload, a Service, a policy, a pod.

use serde::Deserialize;

use super::value::Text;
use crate::flow::{ObjectName, Workload};

/// What is written of it.
#[derive(Deserialize)]
pub(crate) struct Reference<'a> {
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) name: Option<Text<'a>>,
}

impl Reference<'_> {
    /// Its name within its namespace; `None` without a name.
    pub(super) fn object_name(self) -> Option<ObjectName> {
        Some(ObjectName { namespace: boxed(self.namespace), name: boxed(self.name)? })
    }

    /// The same as what made a pod.
    pub(super) fn workload(self) -> Option<Workload> {
        Some(Workload { kind: boxed(self.kind).unwrap_or_default(), name: boxed(self.name)? })
    }
}

/// A text of its own, unless nothing is written.
pub(super) fn boxed(text: Option<Text<'_>>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(|text| (*text).into())
}
