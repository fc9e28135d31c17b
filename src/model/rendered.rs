//! What kustomize and Helm make of objects on their way to the cluster: workloads
//! and Services with added labels, selectors with them, pods that charts likely make.

use std::borrow::Cow;

use super::Settings;
use crate::gitops::{AddedLabel, LabelReach, Placement, Release, substitute};
use crate::inventory::{self, Inventory, Pair, Rendered, Workload};
use crate::manifest::{Object, Text};
use crate::policy::selector::{Operator, Origin, Requirement, Selector};
use crate::policy::{Peer, Policy, PolicyKind, Subject};
use crate::source::Spanned;

/// Takes an object that is no policy into the inventory, as the cluster gets it.
pub(super) fn add_to_inventory(
    inventory: &mut Inventory,
    object: &Object<'_>,
    placement: &Placement<'_>,
    settings: &Settings,
) {
    let labels = |reaches: fn(LabelReach) -> bool| -> Vec<Pair> {
        let reaching = placement.labels.iter().filter(|label| reaches(label.reach));
        reaching.map(|label| (label.key.as_ref().into(), label.value.as_ref().into())).collect()
    };
    let written = object.name.as_ref().map_or("", |name| name.value.as_ref());
    let rendered = Rendered {
        namespace: placement.namespace.or(&settings.default_namespace).map(Cow::Borrowed),
        name: Cow::Borrowed(placement.name.as_deref().unwrap_or(written)),
        template_labels: labels(LabelReach::is_on_pods),
        selector_labels: labels(|reach| reach == LabelReach::Selectors),
        substitute: &|text| substitute(text, &placement.variables).known(),
    };
    inventory.add(inventory::Origin::Tree, object, &rendered);
}

/// The pods that a release likely makes.
pub(super) fn likely_workloads(release: &Release) -> impl Iterator<Item = Workload> {
    release.pods.iter().map(|pods| Workload {
        kind: "HelmRelease".into(),
        name: pods.name.clone(),
        namespace: release.namespace.clone(),
        pod_labels: pods.labels.clone(),
        unknown_labels: Vec::new(),
        service_account: pods.service_account.clone(),
        host_network: false,
        ports: Vec::new(),
        addresses: Vec::new(),
        origin: inventory::Origin::Likely,
        place: release.place,
    })
}

/// Kustomize puts labels into the selectors of a NetworkPolicy that have
/// `matchLabels` already.
pub(super) fn put_into_selectors(policy: &mut Policy<'_>, label: &AddedLabel<'_>) {
    if policy.kind != PolicyKind::Knp {
        return;
    }
    for rule in &mut policy.rules {
        if let Subject::Endpoints(selector) = &mut rule.subject {
            let keys = ["podSelector", "matchLabels"];
            let has_labels = rule.value.path(&keys).is_some();
            put_into(selector, has_labels, label);
        }
        let elements = rule.sections.iter_mut().flat_map(|section| &mut section.elements);
        for item in elements.flat_map(|element| &mut element.peers).flat_map(|field| &mut field.items) {
            let has_labels = item.value.path(&["podSelector", "matchLabels"]).is_some();
            if let Peer::Endpoints(selector) = &mut item.peer {
                put_into(selector, has_labels, label);
            }
        }
    }
}

fn put_into(selector: &mut Selector<'_>, has_labels: bool, label: &AddedLabel<'_>) {
    if !has_labels {
        return;
    }
    selector.requirements.retain(|own| {
        !(own.source == "k8s" && own.key == label.key && matches!(own.origin, Origin::Label(_)))
    });
    selector.requirements.push(Requirement {
        source: Text::Borrowed("k8s"),
        key: Text::Owned(label.key.to_string()),
        operator: Operator::In,
        values: vec![Spanned::new(Text::Owned(label.value.to_string()), label.from)],
        origin: Origin::Added,
    });
}
