//! Mends that no single near miss tells of: a deny that closed a side by the
//! way, names without a DNS rule, requests that a proxy refused, and callers
//! whose address was changed on the way.

use super::candidate::{Assumption, Candidate, Operator};
use crate::diagnose::{Gap, NearMiss, Scene};
use crate::engine::IdentityId;
use crate::finding::{Label, Safety};
use crate::flow::Request;
use crate::inventory::Service;
use crate::policy::ports::Literal;
use crate::policy::{Action, Element, Peer, PeerKey, Policy, PortList, Rule};
use crate::source::FileId;
use crate::traffic::{Packet, Side};
use crate::version::CiliumVersion;
use crate::yaml::{Change, Datum, Editor};

fn candidate(
    operator: Operator,
    cause: &'static str,
    edits: Vec<(FileId, Change)>,
    blame: Label,
) -> Candidate {
    Candidate {
        operator,
        cause,
        edits,
        new_files: Vec::new(),
        blame,
        related: Vec::new(),
        why: String::new(),
        title: String::new(),
        evidence: None,
        safety: Safety::Safe,
        corrects: true,
        assumption: None,
    }
}

/// A policy that only denies has closed the side to everybody: it says so that
/// it does not mean to (`enableDefaultDeny`, from 1.16).
pub(super) fn open_side(scene: &Scene<'_, '_>, gap: Gap) -> Option<Candidate> {
    let subject = scene.drops[gap.drop].subject(gap.side);
    let [index] = scene.engine.isolating(subject, gap.side)[..] else { return None };
    let policy = scene.model.policies.get(index as usize)?;
    if scene.engine.options().version < CiliumVersion::V1_16 || !scene.model.is_editable(policy) {
        return None;
    }
    let mut closing = policy.rules.iter().filter(|rule| rule.speaks_of(gap.side));
    let (Some(rule), None) = (closing.next(), closing.next()) else { return None };
    let section = rule.section(gap.side, Action::Deny).filter(|section| !section.elements.is_empty())?;
    // `[{}]` denies nobody by rule: closing the side is all that it does.
    let denies_somebody =
        section.elements.iter().all(|element| !element.peers.is_empty() || element.to_ports.is_some());
    let allows = rule.section(gap.side, Action::Allow).is_some_and(|section| !section.elements.is_empty());
    if allows || !denies_somebody || rule.closes[gap.side as usize] {
        return None;
    }
    let no = Datum::map([(gap.side.as_str(), Datum::Bool(false))]);
    let change = match rule.value.get("enableDefaultDeny") {
        Some(written) => match written.entry(gap.side.as_str()) {
            Some(entry) => Editor::default().replace(entry.value.resolve(), false),
            None => {
                Editor::default().insert_entry(written, usize::MAX, gap.side.as_str(), Datum::Bool(false))
            }
        },
        None => Editor::default().insert_entry(rule.value, usize::MAX, "enableDefaultDeny", no),
    };
    let key = section.entry.key.span();
    let blame =
        Label { span: key, text: format!("also closes {} to everything that nothing allows", gap.side) };
    let edits = vec![(policy.value.tree().file, change.ok()?)];
    let means_it = ["default-deny", "deny-all", "denyall", "isolat", "lockdown", "lock-down"];
    let unsafe_name = means_it.iter().any(|word| policy.name.value.contains(word));
    Some(Candidate {
        why: format!(
            "a deny rule makes {} enforced, and then everything is dropped that no policy allows",
            gap.side
        ),
        title: format!("add enableDefaultDeny: {{{}: false}}", gap.side),
        evidence: Some(format!(
            "{} only denies on {}, and no other policy closes that side",
            policy.title(),
            gap.side
        )),
        safety: if unsafe_name { Safety::Unsafe } else { Safety::Safe },
        ..candidate(Operator::OpenSide, "default-deny-side-effect", edits, blame)
    })
}

/// One dash too many: an element with the API server as peer and one with its
/// port, meant as one. The second opens the port to everybody, and the Service
/// address that was called on 443 fits neither. They are joined, and the address
/// gets a rule of its own.
pub(super) fn split_rule(scene: &Scene<'_, '_>, gap: Gap) -> Option<Candidate> {
    let drop = &scene.drops[gap.drop];
    let peer = scene.engine.identity(drop.peer(gap.side));
    let (Side::Egress, Packet::Port(transport, wanted), Some(ip), true) =
        (gap.side, drop.packet(), peer.ip, peer.names.is_empty())
    else {
        return None;
    };
    if !matches!(wanted, 443 | 6443) || !super::correct::is_private(ip) {
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
                    ("toCIDR", Datum::seq([Datum::String(super::words::host_prefix(ip))])),
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
                    title: format!(
                        "join the two items, and add {} on {transport} {wanted}",
                        super::words::host_prefix(ip)
                    ),
                    evidence: Some("no flow that was seen used the port towards anybody else".to_owned()),
                    corrects: false,
                    ..candidate(
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
fn halves<'s>(peers: &Element<'s>, ports: &Element<'s>) -> Option<crate::yaml::Entry<'s>> {
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

/// The item of `toPorts` that allows DNS in a rule, if there is one.
fn dns_list<'m, 's>(rule: &'m Rule<'s>) -> Option<&'m PortList<'s>> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    section.port_lists().find(|list| list.ports.iter().any(|port| port.literal() == Literal::Number(53)))
}

/// Whether DNS answers for an endpoint pass the proxy, so that names are learned.
pub(super) fn sees_dns(scene: &Scene<'_, '_>, subject: IdentityId) -> bool {
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

/// The names that a rule lists in `toFQDNs`, as items of `rules.dns`.
fn listed_names(rule: &Rule<'_>) -> Vec<Datum> {
    let elements =
        rule.section(Side::Egress, Action::Allow).into_iter().flat_map(|section| &section.elements);
    let fields = elements.flat_map(|element| &element.peers).filter(|field| field.key == PeerKey::Names);
    fields.flat_map(|field| &field.items).filter_map(|item| Datum::of(item.value).ok()).collect()
}

/// Edits that let the DNS queries of a rule's subject pass the proxy: the DNS
/// rule that is there gets `rules.dns` and both transports; where there is none,
/// one is added.
pub(super) fn dns_edits(
    policy: &Policy<'_>,
    rule: &Rule<'_>,
    names: Vec<Datum>,
) -> Option<Vec<(FileId, Change)>> {
    let file = policy.value.tree().file;
    let editor = Editor::default();
    let Some(list) = dns_list(rule) else {
        let section = rule.section(Side::Egress, Action::Allow)?;
        let change = editor.insert_item(section.entry.value.resolve(), usize::MAX, dns_rule(names));
        return Some(vec![(file, change.ok()?)]);
    };
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

/// The usual DNS rule: kube-dns of kube-system, through the proxy.
fn dns_rule(names: Vec<Datum>) -> Datum {
    let labels = Datum::map([
        ("k8s:io.kubernetes.pod.namespace", Datum::from("kube-system")),
        ("k8s-app", Datum::from("kube-dns")),
    ]);
    let port = Datum::map([("port", Datum::from("53")), ("protocol", Datum::from("ANY"))]);
    let ports =
        Datum::map([("ports", Datum::seq([port])), ("rules", Datum::map([("dns", Datum::Seq(names))]))]);
    Datum::map([
        ("toEndpoints", Datum::seq([Datum::map([("matchLabels", labels)])])),
        ("toPorts", Datum::seq([ports])),
    ])
}

/// Names are allowed, but no DNS answer passes the proxy, so no address is ever
/// learned for them and the drop shows plain `world`.
pub(super) fn names_without_dns(scene: &Scene<'_, '_>, gap: Gap) -> Vec<Candidate> {
    let drop = &scene.drops[gap.drop];
    let subject = drop.subject(gap.side);
    let peer = scene.engine.identity(drop.peer(gap.side));
    if gap.side != Side::Egress || peer.ip.is_none() || !peer.names.is_empty() || sees_dns(scene, subject) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (p, policy) in scene.model.policies.iter().enumerate() {
        for (r, rule) in policy.rules.iter().enumerate() {
            let about = scene.model.is_editable(policy)
                && scene.engine.refusals(p).is_empty()
                && scene.engine.is_about(p as u32, r as u32, subject);
            if about {
                found.extend(learn_names(policy, rule, drop.packet()));
            }
        }
    }
    found
}

fn learn_names(policy: &Policy<'_>, rule: &Rule<'_>, packet: Packet) -> Option<Candidate> {
    let section = rule.section(Side::Egress, Action::Allow)?;
    let named = section.elements.iter().find(|element| {
        element.peers.iter().any(|field| field.key == PeerKey::Names && !field.items.is_empty())
            && may_cover(element, packet)
    })?;
    let field = named.peers.iter().find(|field| field.key == PeerKey::Names)?;
    let edits = dns_edits(policy, rule, listed_names(rule))?;
    let names: Vec<Box<str>> = field
        .items
        .iter()
        .filter_map(|item| item.value.written_entries().next()?.value.text())
        .map(|text| text.as_ref().into())
        .collect();
    let place = dns_list(rule).map_or_else(|| field.entry.key.span(), |list| list.value.span());
    let blame = Label {
        span: place,
        text: "DNS answers do not pass the proxy here, so no address is learned".to_owned(),
    };
    Some(Candidate {
        why: format!(
            "addresses of {} are learned from DNS answers that pass Cilium's DNS proxy, and no rule sends them there",
            names.join(", ")
        ),
        title: "send the DNS queries through the proxy with rules.dns".to_owned(),
        evidence: Some(format!(
            "taken for granted: the address that was called belongs to {}",
            names.join(" or ")
        )),
        assumption: Some(Assumption::Names(names)),
        ..candidate(Operator::AddPort, "fqdn-without-dns-rule", edits, blame)
    })
}

/// Whether an element's ports could be about a packet; names count as no.
fn may_cover(element: &Element<'_>, packet: Packet) -> bool {
    let Packet::Port(transport, wanted) = packet else { return element.to_ports.is_none() };
    let Some(to_ports) = &element.to_ports else { return element.icmps.is_none() };
    to_ports.lists.iter().flat_map(|list| &list.ports).any(|port| {
        let covers = match port.literal() {
            Literal::Number(0) => true,
            Literal::Number(number) => {
                let end = port.end.map_or(i64::from(number), |end| end.value.max(i64::from(number)));
                (i64::from(number)..=end).contains(&i64::from(wanted))
            }
            _ => false,
        };
        covers && port.transports().is_some_and(|own| own.contains(&transport))
    })
}

/// A request that the proxy refused: one more item beside the rules that are
/// there, never fewer rules.
pub(super) fn request(scene: &Scene<'_, '_>, drop: usize) -> Option<Candidate> {
    let observed = &scene.drops[drop];
    let request = observed.distinct.flow.request.as_ref()?;
    let sides = match request {
        Request::Dns { .. } => [Side::Egress, Side::Ingress],
        _ => observed.distinct.flow.side.map_or([Side::Ingress, Side::Egress], |side| [side, side.other()]),
    };
    sides.into_iter().find_map(|side| on_side(scene, drop, side, request))
}

fn on_side(scene: &Scene<'_, '_>, drop: usize, side: Side, request: &Request) -> Option<Candidate> {
    let observed = &scene.drops[drop];
    let places =
        scene.engine.matching(None, observed.subject(side), observed.peer(side), side, observed.packet());
    for (_, place) in places {
        let policy = scene
            .model
            .policies
            .get(place.policy as usize)
            .filter(|policy| scene.model.is_editable(policy))?;
        let element = policy
            .rules
            .get(place.rule as usize)?
            .sections
            .get(place.section as usize)?
            .elements
            .get(place.element as usize)?;
        for list in element.to_ports.iter().flat_map(|to_ports| &to_ports.lists) {
            if let Some((items, item, title)) = request_item(list, request) {
                let change = Editor::default().insert_item(items, usize::MAX, item).ok()?;
                let blame = Label {
                    span: list.l7.place().unwrap_or_else(|| list.value.span()),
                    text: "the request fits none of these".to_owned(),
                };
                return Some(Candidate {
                    why: "the packets are allowed, but a proxy looks at the requests, and none of its rules fits this one".to_owned(),
                    title,
                    ..candidate(Operator::AddPeer, "http-request", vec![(policy.value.tree().file, change)], blame)
                });
            }
        }
    }
    None
}

fn request_item<'s>(
    list: &PortList<'s>,
    request: &Request,
) -> Option<(crate::yaml::Value<'s>, Datum, String)> {
    match request {
        Request::Http { method, path, host } => {
            let rules = list.l7.http.as_ref().filter(|rules| !rules.is_empty())?;
            if rules.iter().any(|rule| rule.covers(method, path, host)) {
                return None;
            }
            let pattern = path_pattern(path);
            let item = Datum::map([
                ("method", Datum::from(method.as_ref())),
                ("path", Datum::from(pattern.as_str())),
            ]);
            Some((list.l7.http_list?, item, format!("add {method} {pattern}")))
        }
        Request::Dns { query } => {
            list.l7.dns.as_ref().filter(|rules| !rules.is_empty())?;
            let item = Datum::map([("matchName", Datum::from(query.as_ref()))]);
            Some((list.l7.dns_list?, item, format!("add the DNS name {query}")))
        }
        Request::Other => None,
    }
}

/// A path as the regular expression that fits it alone; its query is left open.
fn path_pattern(path: &str) -> String {
    match path.split_once('?') {
        Some((path, _)) => format!(r"{}(\?.*)?", regex::escape(path)),
        None => regex::escape(path),
    }
}

/// A node's address where a rule means clients outside: a Service of type
/// NodePort or LoadBalancer has put the node's address in the client's place.
pub(super) fn changed_address<'m>(
    scene: &'m Scene<'_, '_>,
    gap: Gap,
    near: &[NearMiss<'_, '_>],
) -> Option<(&'m Service, crate::source::Span)> {
    let drop = &scene.drops[gap.drop];
    let peer = scene.engine.identity(drop.peer(gap.side));
    let is_node = peer
        .labels
        .iter()
        .any(|label| &*label.source == "reserved" && matches!(&*label.key, "remote-node" | "host"))
        && !peer.labels.iter().any(|label| &*label.key == "kube-apiserver");
    if gap.side != Side::Ingress || !is_node {
        return None;
    }
    let by_address = near.iter().find_map(|near| {
        let fields = near.element.peers.iter().flat_map(|field| &field.items);
        let addresses = fields.into_iter().find(|item| matches!(item.peer, Peer::Addresses(_)));
        addresses.map(|item| item.value.span())
    })?;
    let subject = drop.subject(gap.side);
    let namespace = scene.namespace(subject)?;
    let mut services =
        scene.model.inventory.services_selecting(namespace, &scene.engine.identity(subject).labels);
    let outward = services.find(|service| {
        matches!(&*service.kind, "NodePort" | "LoadBalancer") && !service.keeps_client_address
    })?;
    Some((outward, by_address))
}
