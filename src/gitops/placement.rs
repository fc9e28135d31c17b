//! From what a build leaves of an object, and how the build is applied, to the
//! [`Placement`] of the object.

use std::sync::Arc;

use super::kinds::is_cluster_wide;
use super::render::{Rendition, unevaluated};
use super::variables::{Substituted, Variables, substitute};
use super::variants::{BY_HAND, EntryId};
use super::{Applied, Namespace, NotApplied, Placement, Touched, UnknownNamespace, is_template};
use crate::manifest::Object;
use crate::source::Span;

/// How the objects are applied that a build or a folder holds.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) variables: Arc<Variables>,
    /// The namespace of objects that name none.
    pub(super) namespace: Namespace,
    pub(super) applied: Applied,
    pub(super) applied_by: Option<Span>,
    pub(super) entry: EntryId,
}

impl Context {
    /// As they lie there: with `kubectl apply`, if at all.
    pub(super) fn by_hand(applied: Applied, entry: EntryId) -> Self {
        let namespace = match applied {
            Applied::Unknown => Namespace::Unknown(UnknownNamespace::Unseen),
            _ => Namespace::Unsaid,
        };
        Self { variables: Arc::new(Variables::unseen()), namespace, applied, applied_by: None, entry }
    }
}

/// What becomes of an object.
pub(super) fn placement<'t>(item: &Rendition<'t>, object: &Object<'t>, context: &Context) -> Placement<'t> {
    let variables = match is_left_alone(object) {
        true => Arc::new(Variables::literal()),
        false => context.variables.clone(),
    };
    let namespace = match &item.namespace {
        Some(namespace) => named(&namespace.value, namespace.span, &variables),
        None if is_cluster_wide(object) => Namespace::Unsaid,
        None => context.namespace.clone(),
    };
    let name = item.name.as_deref().and_then(|name| substitute(name, &variables).known());
    Placement {
        namespace,
        name: name.filter(|name| !is_template(name)).map(|name| name.as_ref().into()),
        applied: item.deleted.map_or(context.applied, |patch| Applied::No(NotApplied::Deleted(patch))),
        labels: item.labels.clone(),
        unevaluated: unevaluated(item).into_iter().collect(),
        touched: Touched::by(item),
        variables,
        applied_by: context.applied_by,
        variant: None,
        start: (context.entry != BY_HAND).then_some(context.entry),
    }
}

/// The namespace that a text names.
pub(super) fn named(text: &str, from: Span, variables: &Variables) -> Namespace {
    match substitute(text, variables) {
        Substituted::Known(text) if is_template(&text) => {
            Namespace::Unknown(UnknownNamespace::Template(from))
        }
        Substituted::Known(text) => Namespace::Known { value: text.as_ref().into(), from },
        Substituted::Unknown => Namespace::Unknown(UnknownNamespace::Variable(from)),
    }
}

/// Whether an annotation tells Flux to substitute nothing in it.
fn is_left_alone(object: &Object<'_>) -> bool {
    let annotation =
        object.value.path(&["metadata", "annotations", "kustomize.toolkit.fluxcd.io/substitute"]);
    annotation.and_then(|value| value.text()).as_deref() == Some("disabled")
}
