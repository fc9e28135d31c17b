//! DNS through the proxy. Cilium learns the addresses of names from answers that
//! pass its DNS proxy and from nothing else (`semantics.md` 4.6), so a rule for a
//! name is worth nothing without a rule that sends the queries there.

use super::manner::Manner;
use super::words::{self, PeerWords, PortWords};
use crate::diagnose::Scene;
use crate::engine::IdentityId;
use crate::policy::ports::Literal;
use crate::policy::{Action, PeerKey, Policy, PolicyKind, PortList, Rule};
use crate::source::FileId;
use crate::traffic::{Packet, Side, Transport};
use crate::yaml::{Change, Datum, Editor};

/// Whether a flow is a DNS query to a DNS server of the cluster.
pub(super) fn is_query(scene: &Scene<'_, '_>, destination: IdentityId, packet: Packet) -> bool {
    matches!(packet, Packet::Port(Transport::Udp | Transport::Tcp, 53 | 5353 | 8053))
        && is_server(scene, destination)
}

fn is_server(scene: &Scene<'_, '_>, id: IdentityId) -> bool {
    let known = ["kube-dns", "coredns", "node-local-dns", "rke2-coredns", "core-dns"];
    scene.engine.identity(id).labels.iter().any(|label| {
        (matches!(&*label.key, "k8s-app" | "app" | "app.kubernetes.io/name" | "name")
            && known.contains(&&*label.value))
            || label.key.starts_with("dns.operator.openshift.io/")
    })
}

/// Whether DNS answers for an endpoint pass the proxy, so that names are learned.
pub(super) fn passes_proxy(scene: &Scene<'_, '_>, subject: IdentityId) -> bool {
    scene.model.policies.iter().enumerate().any(|(p, policy)| {
        scene.engine.refusals(p).is_empty()
            && policy.rules.iter().enumerate().any(|(r, rule)| {
                scene.engine.is_about(p as u32, r as u32, subject)
                    && rule.section(Side::Egress, Action::Allow).is_some_and(|section| {
                        section
                            .port_lists()
                            .any(|list| list.l7.dns.as_ref().is_some_and(|rules| !rules.is_empty()))
                    })
            })
    })
}

/// Every name: what passed before, names of the cluster among it, still passes.
pub(super) fn every_name() -> Vec<Datum> {
    vec![Datum::map([("matchPattern", "*")])]
}

/// What the tree's DNS rules let pass, where one of them lets every name pass;
/// else these names.
pub(super) fn names_in_manner(scene: &Scene<'_, '_>, names: Vec<Datum>) -> Vec<Datum> {
    let rules = scene.model.policies.iter().flat_map(|policy| &policy.rules);
    let lists = rules.flat_map(|rule| &rule.sections).flat_map(|section| section.port_lists());
    let mut patterns =
        lists.flat_map(|list| list.l7.dns.iter().flatten()).filter_map(|rule| rule.pattern.as_ref());
    if patterns.any(|pattern| pattern.value == "*") { every_name() } else { names }
}

/// The item of `toPorts` that allows DNS in a rule, if there is one.
pub(super) fn list<'m, 's>(rule: &'m Rule<'s>) -> Option<&'m PortList<'s>> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    section.port_lists().find(|list| list.ports.iter().any(|port| port.literal() == Literal::Number(53)))
}

/// Edits that send what a list allows through the proxy: it gets `rules.dns`, and
/// both transports.
pub(super) fn send_through_proxy(
    policy: &Policy<'_>,
    list: &PortList<'_>,
    names: Vec<Datum>,
) -> Option<Vec<(FileId, Change)>> {
    let file = policy.value.tree().file;
    let editor = Editor::default();
    let mut edits = Vec::new();
    if let [port] = list.ports.as_slice()
        && port.protocol.as_ref().is_some_and(|protocol| protocol.value == "UDP" || protocol.value == "TCP")
    {
        edits.push((file, editor.replace(port.value.get("protocol")?, "ANY").ok()?));
    }
    let dns = Datum::map([("dns", Datum::Seq(names))]);
    let at = list
        .value
        .written_entries()
        .position(|entry| entry.key.text().as_deref() == Some("ports"))
        .map_or(usize::MAX, |at| at + 1);
    edits.push((file, editor.insert_entry(list.value, at, "rules", dns).ok()?));
    Some(edits)
}

/// A rule that allows DNS through the proxy: to the server that was seen, or that
/// the tree holds, else to the usual one.
pub(super) fn rule(scene: &Scene<'_, '_>, manner: Manner, names: &[Datum]) -> Option<Datum> {
    let seen =
        scene.everybody.iter().copied().find(|&id| is_server(scene, id) && scene.namespace(id).is_some());
    let server = seen.and_then(|id| words::name_peer(scene, id, None)).unwrap_or_else(|| PeerWords::Pods {
        labels: vec![("k8s-app".to_owned(), "kube-dns".to_owned())],
        namespace: Some("kube-system".to_owned()),
        cluster: None,
    });
    let listens = |port: &u16| seen.is_some_and(|id| scene.listens(id, Transport::Udp, *port) == Some(true));
    let own = [53, 5353, 8053].into_iter().find(listens).unwrap_or(53);
    let port = PortWords { port: own, transport: None };
    let element = words::element(PolicyKind::Cnp, Side::Egress, &[server], &[], &[port], manner, false)?;
    Some(through_proxy(element, names))
}

/// The same element with `rules.dns` in each of its port lists.
pub(super) fn through_proxy(element: Datum, names: &[Datum]) -> Datum {
    let Datum::Map(entries) = element else { return element };
    let with_rules = |list: Datum| match list {
        Datum::Map(mut entries) => {
            entries.push(("rules".to_owned(), Datum::map([("dns", Datum::Seq(names.to_vec()))])));
            Datum::Map(entries)
        }
        other => other,
    };
    let entries = entries.into_iter().map(|(key, value)| match value {
        Datum::Seq(lists) if key == "toPorts" => {
            (key, Datum::Seq(lists.into_iter().map(with_rules).collect()))
        }
        value => (key, value),
    });
    Datum::Map(entries.collect())
}

/// The names that a rule lists in `toFQDNs`, as items of `rules.dns`.
pub(super) fn listed_names(rule: &Rule<'_>) -> Vec<Datum> {
    let elements =
        rule.section(Side::Egress, Action::Allow).into_iter().flat_map(|section| &section.elements);
    let fields = elements.flat_map(|element| &element.peers).filter(|field| field.key == PeerKey::Names);
    fields.flat_map(|field| &field.items).filter_map(|item| Datum::of(item.value).ok()).collect()
}
