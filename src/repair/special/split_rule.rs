//! One dash too many: two items that were meant as one.

use crate::diagnose::{Gap, Scene};
use crate::finding::Label;
use crate::policy::ports::Literal;
use crate::policy::{Action, Element, Peer};
use crate::repair::candidate::{Candidate, Operator};
use crate::repair::correct::is_private;
use crate::repair::words::host_prefix;
use crate::traffic::{Packet, Side};
use crate::yaml::{Datum, Editor, Entry};

/// One dash too many: an element with the API server as peer and one with its
/// port, meant as one. The second opens the port to everybody, and the Service
/// address that was called on 443 fits neither. They are joined, and the address
/// gets a rule of its own.
pub(in crate::repair) fn split_rule(scene: &Scene<'_, '_>, gap: Gap) -> Option<Candidate> {
    let drop = &scene.drops[gap.drop];
    let peer = scene.engine.identity(drop.peer(gap.side));
    let (Side::Egress, Packet::Port(transport, wanted), Some(ip), true) =
        (gap.side, drop.packet(), peer.ip, peer.names.is_empty())
    else {
        return None;
    };
    if !matches!(wanted, 443 | 6443) || !is_private(ip) {
        return None;
    }
    let subject = drop.subject(gap.side);
    for (p, policy) in scene.model.policies.iter().enumerate() {
        for (r, rule) in policy.rules.iter().enumerate() {
            let editable = scene.model.is_editable(policy) && scene.engine.refusals(p).is_empty();
            if !editable || !scene.engine.is_about(p as u32, r as u32, subject) {
                continue;
            }
            let Some(section) = rule.section(Side::Egress, Action::Allow) else { continue };
            let pairs = section.elements.windows(2).enumerate();
            for (i, pair) in pairs {
                let [peers, ports] = pair else { continue };
                let Some(entry) = halves(peers, ports) else { continue };
                let editor = Editor::default();
                let list = section.entry.value.resolve();
                let port = Datum::map([
                    ("port", Datum::String(wanted.to_string())),
                    ("protocol", Datum::from(transport.as_str())),
                ]);
                let address = Datum::map([
                    ("toCIDR", Datum::seq([Datum::String(host_prefix(ip))])),
                    ("toPorts", Datum::seq([Datum::map([("ports", Datum::seq([port]))])])),
                ]);
                let changes = [
                    editor
                        .insert_entry(
                            peers.value,
                            usize::MAX,
                            "toPorts",
                            Datum::of(entry.value.resolve()).ok()?,
                        )
                        .ok()?,
                    editor.remove_item(list, i + 1).ok()?,
                    editor.insert_item(list, i + 2, address).ok()?,
                ];
                let file = policy.value.tree().file;
                let blame = Label {
                    span: ports.value.span(),
                    text: "opens these ports to any destination".to_owned(),
                };
                return Some(Candidate {
                    why: format!(
                        "the API server and its port stand in two items, which are OR-ed; {ip} is its Service address, which was not translated, and fits neither"
                    ),
                    title: format!("join the two items, and add {} on {transport} {wanted}", host_prefix(ip)),
                    evidence: Some("no flow that was seen used the port towards anybody else".to_owned()),
                    corrects: false,
                    ..Candidate::correction(
                        Operator::CorrectKey,
                        "rule-split",
                        changes.map(|change| (file, change)).into(),
                        blame,
                    )
                });
            }
        }
    }
    None
}

/// The `toPorts` of the second of two elements, when the first has only the API
/// server as peer and the second only ports of an API server.
fn halves<'s>(peers: &Element<'s>, ports: &Element<'s>) -> Option<Entry<'s>> {
    let [field] = peers.peers.as_slice() else { return None };
    let api_server = field
        .items
        .iter()
        .all(|item| matches!(&item.peer, Peer::Entity(name) if name.value == "kube-apiserver"));
    let alone =
        peers.to_ports.is_none() && peers.icmps.is_none() && ports.peers.is_empty() && ports.icmps.is_none();
    let to_ports = ports.to_ports.as_ref()?;
    let its_ports = to_ports
        .lists
        .iter()
        .flat_map(|list| &list.ports)
        .all(|port| matches!(port.literal(), Literal::Number(443 | 6443 | 8443 | 16443)));
    (api_server && !field.items.is_empty() && alone && its_ports).then_some(to_ports.entry)
}
