//! A refused policy: what it meant, in words that Cilium takes, where that is
//! certain. All of its faults are mended, or none.

use super::candidate::{Candidate, Operator};
use crate::diagnose::{Gap, NearMiss, Scene};
use crate::engine::Identity;
use crate::finding::Label;
use crate::policy::peer::{Addresses, parse_cidr};
use crate::policy::ports::Literal;
use crate::policy::{Element, Fault, Peer, PeerField, PeerKey, Policy, Section};
use crate::source::{FileId, Span};
use crate::spelling::nearest;
use crate::yaml::{Change, Datum, Editor, Entry, Value};

/// The mend of a refused policy that would admit the drop.
pub(super) fn mend(scene: &Scene<'_, '_>, gap: Gap, near: &NearMiss<'_, '_>) -> Option<Candidate> {
    let policy = near.policy;
    if !scene.model.is_editable(policy) {
        return None;
    }
    let faults = scene.engine.refusals(near.place.policy as usize);
    let peer = scene.engine.identity(scene.drops[gap.drop].peer(gap.side));
    let mut edits = Vec::new();
    let mut titles: Vec<String> = Vec::new();
    for fault in faults {
        let (changes, title) = mend_fault(policy, fault, peer)?;
        edits.extend(changes.into_iter().map(|change| (policy.value.tree().file, change)));
        titles.push(title);
    }
    let first = faults.first()?;
    let blame = Label { span: first.span, text: "refused".to_owned() };
    let others = faults.iter().skip(1);
    Some(Candidate {
        related: others.map(|fault| Label { span: fault.span, text: fault.message.clone() }).collect(),
        why: format!("{}; a refused policy takes no part, with none of its rules", first.message),
        title: titles.join("; "),
        ..Candidate::correction(Operator::MendRefused, "policy-refused", dedup(edits), blame)
    })
}

fn dedup(edits: Vec<(FileId, Change)>) -> Vec<(FileId, Change)> {
    let mut kept: Vec<(FileId, Change)> = Vec::new();
    for edit in edits {
        if !kept.contains(&edit) {
            kept.push(edit);
        }
    }
    kept
}

fn mend_fault(policy: &Policy<'_>, fault: &Fault, peer: &Identity) -> Option<(Vec<Change>, String)> {
    match fault.check {
        "V9" => split_peers(policy, fault.span),
        "V12" => split_icmps(policy, fault.span),
        "V23" => around_except(policy, fault.span, peer),
        "V25" => name_to_pattern(policy, fault.span),
        "V28" => port_text(policy, fault.span),
        "V49" => field_or_quotes(policy, fault),
        _ => None,
    }
}

fn elements<'p, 's>(
    policy: &'p Policy<'s>,
) -> impl Iterator<Item = (&'p Section<'s>, usize, &'p Element<'s>)> {
    let sections = policy.rules.iter().flat_map(|rule| &rule.sections);
    sections.flat_map(|section| {
        section.elements.iter().enumerate().map(move |(i, element)| (section, i, element))
    })
}

/// The ports on which API servers listen.
const API_SERVER_PORTS: [u16; 4] = [443, 6443, 8443, 16443];

/// Two kinds of peers in one element become two elements. Each keeps all ports,
/// unless they part plainly into those of the API server and the others.
fn split_peers(policy: &Policy<'_>, span: Span) -> Option<(Vec<Change>, String)> {
    let (section, index, element) = elements(policy)
        .find(|(.., element)| element.peers.iter().any(|field| field.entry.key.span() == span))?;
    let filled: Vec<&PeerField<'_>> = element.peers.iter().filter(|field| !field.items.is_empty()).collect();
    let [first, second] = filled.as_slice() else { return None };
    let editor = Editor::default();
    let mut changes = vec![editor.remove_entry(&second.entry).ok()?];
    let mut moved =
        vec![(second.key.as_str(section.side).to_owned(), Datum::of(second.entry.value.resolve()).ok()?)];
    for entry in element.value.entries() {
        let key = entry.key.text()?;
        if element.peers.iter().any(|field| field.entry.key == entry.key) {
            continue;
        }
        let mut value = Datum::of(entry.value.resolve()).ok()?;
        if key == "toPorts"
            && let Some((own, other)) = part_ports(element, first, second)
        {
            let list = element.to_ports.as_ref()?.lists.first()?.list?;
            for &port in &other {
                changes.push(editor.remove_item(list, port).ok()?);
            }
            value = without_ports(value, &own)?;
        }
        moved.push((key.into_owned(), value));
    }
    changes.push(editor.insert_item(section.entry.value.resolve(), index + 1, Datum::Map(moved)).ok()?);
    let (a, b) = (first.key.as_str(section.side), second.key.as_str(section.side));
    Some((changes, format!("give {a} and {b} a rule each")))
}

/// Which ports (by index) stay with the first peers and which go with the
/// second, when one of the two is the API server.
fn part_ports(
    element: &Element<'_>,
    first: &PeerField<'_>,
    second: &PeerField<'_>,
) -> Option<(Vec<usize>, Vec<usize>)> {
    let [list] = element.to_ports.as_ref()?.lists.as_slice() else { return None };
    let is_api_server = |field: &PeerField<'_>| {
        field.key == PeerKey::Entities
            && field
                .items
                .iter()
                .all(|item| matches!(&item.peer, Peer::Entity(name) if name.value == "kube-apiserver"))
    };
    let numbers: Vec<Option<u16>> = list
        .ports
        .iter()
        .map(|port| match port.literal() {
            Literal::Number(number) => Some(number),
            _ => None,
        })
        .collect();
    let (api, others): (Vec<usize>, Vec<usize>) = (0..numbers.len())
        .partition(|&i| numbers[i].is_some_and(|number| API_SERVER_PORTS.contains(&number)));
    if api.is_empty() || others.is_empty() {
        return None;
    }
    match (is_api_server(first), is_api_server(second)) {
        (false, true) => Some((others, api)),
        (true, false) => Some((api, others)),
        _ => None,
    }
}

/// The data of `toPorts` without the ports at these places of its only list.
fn without_ports(datum: Datum, gone: &[usize]) -> Option<Datum> {
    let Datum::Seq(lists) = datum else { return None };
    let mut lists = lists.into_iter();
    let Some(Datum::Map(entries)) = lists.next() else { return None };
    let kept = entries.into_iter().map(|(key, value)| match (key.as_str(), value) {
        ("ports", Datum::Seq(ports)) => {
            let ports =
                ports.into_iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, port)| port);
            (key, Datum::Seq(ports.collect()))
        }
        (_, value) => (key, value),
    });
    Some(Datum::seq([Datum::Map(kept.collect())]))
}

/// `icmps` and `toPorts` in one element become two with the same peers.
fn split_icmps(policy: &Policy<'_>, span: Span) -> Option<(Vec<Change>, String)> {
    let (section, index, element) = elements(policy)
        .find(|(.., element)| element.icmps.as_ref().is_some_and(|icmps| icmps.entry.key.span() == span))?;
    let icmps = element.icmps.as_ref()?;
    let mut moved = Vec::new();
    for entry in element.value.entries().filter(|entry| entry.key.text().as_deref() != Some("toPorts")) {
        moved.push((entry.key.text()?.into_owned(), Datum::of(entry.value.resolve()).ok()?));
    }
    let editor = Editor::default();
    let changes = vec![
        editor.remove_entry(&icmps.entry).ok()?,
        editor.insert_item(section.entry.value.resolve(), index + 1, Datum::Map(moved)).ok()?,
    ];
    Some((changes, "give icmps a rule of its own".to_owned()))
}

/// An except outside its range: the range is corrected to the one of the same
/// length around the except, when that also holds the address that was called.
fn around_except(policy: &Policy<'_>, span: Span, peer: &Identity) -> Option<(Vec<Change>, String)> {
    let items = elements(policy).flat_map(|(.., element)| &element.peers).flat_map(|field| &field.items);
    let (item, addresses) = items.into_iter().find_map(|item| match &item.peer {
        Peer::Addresses(own) if own.except.iter().any(|except| except.span == span) => Some((item, own)),
        _ => None,
    })?;
    let Addresses { cidr: Some(cidr), except, .. } = addresses else { return None };
    let written = parse_cidr(&cidr.value)?;
    let around = parse_cidr(&except.first()?.value)?;
    let right = ipnet::IpNet::new(around.addr(), written.prefix_len()).ok()?.trunc();
    let holds_all =
        except.iter().all(|except| parse_cidr(&except.value).is_some_and(|net| right.contains(&net.addr())));
    let holds_peer = peer.ip.is_none_or(|ip| right.contains(&ip));
    if !holds_all || !holds_peer {
        return None;
    }
    let place = item.value.get("cidr").or_else(|| item.value.path(&["ipBlock", "cidr"]))?;
    let change = Editor::default().replace(place, right.to_string()).ok()?;
    Some((vec![change], format!("change {} to {right}, which holds what it excepts", cidr.value)))
}

fn entry_at<'s>(value: Value<'s>, span: Span, depth: usize) -> Option<Entry<'s>> {
    if depth == 0 {
        return None;
    }
    for entry in value.written_entries() {
        if entry.key.span() == span || entry.value.span() == span {
            return Some(entry);
        }
        if let Some(found) = entry_at(entry.value, span, depth - 1) {
            return Some(found);
        }
    }
    value.items().find_map(|item| entry_at(item.value, span, depth - 1))
}

/// Deeper than any policy.
const DEEPEST: usize = 16;

/// A name with a star is a pattern.
fn name_to_pattern(policy: &Policy<'_>, span: Span) -> Option<(Vec<Change>, String)> {
    let entry = entry_at(policy.value, span, DEEPEST)?;
    if entry.key.text().as_deref() != Some("matchName") || !entry.value.text()?.contains('*') {
        return None;
    }
    let change = Editor::default().rename_key(&entry, "matchPattern").ok()?;
    Some((vec![change], "write matchPattern for a name with *".to_owned()))
}

/// `080` is 80, `80-90` is a range.
fn port_text(policy: &Policy<'_>, span: Span) -> Option<(Vec<Change>, String)> {
    let mut lists =
        elements(policy).flat_map(|(.., element)| &element.to_ports).flat_map(|to_ports| &to_ports.lists);
    let port = lists.find_map(|list| {
        list.ports.iter().find(|port| port.port.as_ref().is_some_and(|text| text.span == span))
    })?;
    let text = port.port.as_ref()?.value.trim().to_owned();
    let place = port.value.get("port")?;
    let editor = Editor::default();
    if let Some((from, to)) = text.split_once('-') {
        let (from, to): (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        let entries: Vec<_> = port.value.written_entries().collect();
        let at =
            entries.iter().position(|entry| entry.value.resolve() == place).map_or(usize::MAX, |at| at + 1);
        let end = editor.insert_entry(port.value, at, "endPort", Datum::Int(i64::from(to))).ok()?;
        return Some((
            vec![editor.replace(place, from.to_string()).ok()?, end],
            format!("write the range {text} as port and endPort"),
        ));
    }
    let number: u16 = text.trim_start_matches(['+', '0']).parse().ok()?;
    Some((vec![editor.replace(place, number.to_string()).ok()?], format!("write {number} for {text:?}")))
}

/// A misspelt field gets its right name; a number that must be text gets quotes.
fn field_or_quotes(policy: &Policy<'_>, fault: &Fault) -> Option<(Vec<Change>, String)> {
    const FIELDS: [&str; 34] = [
        "endpointSelector",
        "nodeSelector",
        "ingress",
        "egress",
        "ingressDeny",
        "egressDeny",
        "enableDefaultDeny",
        "description",
        "fromEndpoints",
        "fromCIDR",
        "fromCIDRSet",
        "fromEntities",
        "toEndpoints",
        "toCIDR",
        "toCIDRSet",
        "toEntities",
        "toFQDNs",
        "toServices",
        "toPorts",
        "icmps",
        "ports",
        "port",
        "endPort",
        "protocol",
        "rules",
        "matchName",
        "matchPattern",
        "matchLabels",
        "matchExpressions",
        "cidr",
        "except",
        "podSelector",
        "namespaceSelector",
        "ipBlock",
    ];
    let entry = entry_at(policy.value, fault.span, DEEPEST)?;
    if entry.key.span() == fault.span {
        let written = entry.key.text()?;
        let right = if written == "fromPorts" { "toPorts" } else { nearest(&written, FIELDS)? };
        let change = Editor::default().rename_key(&entry, right).ok()?;
        return Some((vec![change], format!("write {right} for {written}")));
    }
    let text = entry.value.text()?;
    let change = Editor::default().replace(entry.value.resolve(), Datum::String(text.to_string())).ok()?;
    Some((vec![change], format!("put {text} in quotes")))
}
