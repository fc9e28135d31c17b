//! `policy-refused`: the API server stores the policy and every agent ignores
//! it, whole, with all its good rules (`semantics.md` 1.2, 1.4, checks V1 to V48).
//! Nothing in the cluster's behaviour tells of it but the object's status.
//!
//! Mends, where what was meant is certain: a name with a star becomes a
//! matchPattern; a range such as `80-90` gets its endPort; a port with HTTP rules
//! gets protocol TCP. Peers of two kinds in one item are put into two items with
//! the same ports; that is unsafe, since one of them may have been meant to go.

use crate::finding::{Safety, Severity};
use crate::lint::context::{Context, ElementAt, elements};
use crate::lint::found::{Findings, Found};
use crate::policy::name::NameRule;
use crate::policy::peer::Entity;
use crate::policy::ports::Port;
use crate::policy::{Fault, Peer, Policy, PolicyKind, RefusedBy, Rule, Subject};
use crate::source::Span;
use crate::spelling::nearest;
use crate::version::CiliumVersion;
use crate::yaml::{Change, Datum, Editor, Refusal, Value};

pub(in crate::lint) fn check<'s>(
    context: &Context<'_, 's>,
    policy: &Policy<'s>,
    findings: &mut Findings<'_>,
) {
    for fault in context.refusals(policy).iter().filter(|fault| fault.by == RefusedBy::Agent) {
        // What the schema refuses too is told there.
        if fault.check == "V49" {
            continue;
        }
        let found = findings.add(fault.span, fault.message.clone(), format!("check {}", fault.check));
        found.why(match policy.kind {
            PolicyKind::Knp => "the API server stores the policy, and Cilium ignores all of it",
            _ => "the API server stores the policy, and every agent ignores all of it; see the condition Valid in its status",
        });
        if hangs_on_an_option(context, policy, fault) {
            found.as_note();
        }
        mend(context, found, policy, fault);
    }
    for rule in policy.rules.iter().filter(|rule| is_never_applied(context, policy, rule)) {
        let Some(entry) = rule.value.entry("nodeSelector") else { continue };
        let found = findings.add(
            entry.key.span(),
            "this rule is never applied: nodeSelector needs a CiliumClusterwideNetworkPolicy",
            "check V3",
        );
        found.severity = Severity::Warning;
        found.why("up to Cilium 1.18 the agent does not look for it in specs, and applies the rule to nothing; later ones refuse the policy");
    }
}

/// A rule about nodes in `specs` of a namespaced policy, in releases that do not refuse it (V3).
fn is_never_applied(context: &Context<'_, '_>, policy: &Policy<'_>, rule: &Rule<'_>) -> bool {
    policy.kind == PolicyKind::Cnp
        && rule.in_specs
        && matches!(rule.subject, Subject::Nodes(_))
        && context.version() < CiliumVersion::V1_19
}

/// Whether an option of the agent, which may be on, makes it right.
fn hangs_on_an_option(context: &Context<'_, '_>, policy: &Policy<'_>, fault: &Fault) -> bool {
    let needs_option = |protocol: &str| match protocol {
        "VRRP" | "IGMP" => context.version() >= CiliumVersion::V1_19,
        "GRE" | "IPIP" | "IPV6" | "ESP" | "AH" => context.version() >= CiliumVersion::V1_20,
        _ => false,
    };
    let has = |port: &Port<'_>| port.protocol.as_ref().is_some_and(|own| needs_option(&own.value));
    match fault.check {
        "V10" => true,
        "V27" | "V28" => ports(policy).any(|port| encloses(port.value.span(), fault.span) && has(port)),
        "V29" => ports(policy)
            .any(|port| port.protocol.as_ref().is_some_and(|own| own.span == fault.span) && has(port)),
        _ => false,
    }
}

fn encloses(outer: Span, inner: Span) -> bool {
    outer.file == inner.file && outer.start <= inner.start && inner.end <= outer.end
}

fn mend<'s>(context: &Context<'_, 's>, found: &mut Found, policy: &Policy<'s>, fault: &Fault) {
    match fault.check {
        "V9" => {
            let at = elements(policy)
                .find(|at| at.element.peers.iter().any(|field| field.entry.key.span() == fault.span));
            if let Some(at) = at {
                found.mend(
                    Safety::Unsafe,
                    "make a rule of each kind of peer, with the same ports",
                    separated(at),
                );
            }
        }
        "V11" => entity(context, found, policy, fault),
        "V25" => {
            let name = names(policy).find(|rule| rule.name.as_ref().is_some_and(|n| n.span == fault.span));
            let entry = name.filter(|rule| is_pattern(rule)).and_then(|rule| rule.value.entry("matchName"));
            if let Some(entry) = entry {
                found.mend(
                    Safety::Safe,
                    "write matchPattern for matchName",
                    [Editor::default().rename_key(&entry, "matchPattern")],
                );
            }
        }
        "V28" => {
            let port =
                ports(policy).find(|port| port.port.as_ref().is_some_and(|text| text.span == fault.span));
            if let Some((port, (first, last))) = port.and_then(|port| Some((port, range_of(port)?))) {
                found.mend(
                    Safety::Safe,
                    format!("write port {first} with endPort {last}"),
                    as_range(port, first, last),
                );
            }
        }
        "V33" => {
            if let Some(port) = ports(policy).find(|port| port.value.span() == fault.span) {
                found.mend(Safety::Safe, "write protocol TCP", [with_tcp(port.value)]);
            }
        }
        _ => {}
    }
}

/// Each kind of peer in an item of its own, after the item that had them all.
fn separated(at: ElementAt<'_, '_>) -> Vec<Result<Change, Refusal>> {
    let editor = Editor::default();
    let list = at.section.entry.value;
    let Some(index) = at.section.elements.iter().position(|own| own.value == at.element.value) else {
        return Vec::new();
    };
    let kinds: Vec<_> = at.element.peers.iter().filter(|field| !field.items.is_empty()).collect();
    let mut changes = Vec::new();
    for field in kinds.iter().skip(1) {
        let peers = kinds.iter().map(|kind| kind.entry.key.id());
        let others: Vec<_> = peers.filter(|id| *id != field.entry.key.id()).collect();
        let kept = at.element.value.entries().filter(|entry| !others.contains(&entry.key.id()));
        let item: Result<Vec<(String, Datum)>, _> = kept
            .map(|entry| {
                Datum::of(entry.value).map(|d| (entry.key.text().unwrap_or_default().into_owned(), d))
            })
            .collect();
        let Ok(item) = item else { return Vec::new() };
        changes.push(editor.remove_entry(&field.entry));
        changes.push(editor.insert_item(list, index + 1, Datum::Map(item)));
    }
    changes
}

/// A misspelt entity. One that opens more than a class of hosts is never taken for granted.
fn entity(context: &Context<'_, '_>, found: &mut Found, policy: &Policy<'_>, fault: &Fault) {
    let items = elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items);
    let Some(item) = items.into_iter().find(|item| item.value.span() == fault.span) else { return };
    let Peer::Entity(name) = &item.peer else { return };
    if name.value == Entity::ClusterMesh.as_str() {
        found.help(
            "the entity cluster-mesh came in Cilium 1.20; before, name pods of other clusters by label",
        );
        return;
    }
    let is_known = |name: &&str| {
        !name.starts_with("world-") && (*name != "cluster-mesh" || context.version() >= CiliumVersion::V1_20)
    };
    let known = Entity::NAMES.iter().map(|(name, _)| *name).filter(is_known);
    let Some(meant) = nearest(&name.value, known) else { return };
    let wide = matches!(meant, "all" | "world" | "cluster" | "none");
    let safety = if wide { Safety::Unsafe } else { Safety::Safe };
    found.mend(safety, format!("write {meant}"), [Editor::default().replace(item.value, meant)]);
}

fn names<'p, 's>(policy: &'p Policy<'s>) -> impl Iterator<Item = &'p NameRule<'s>> {
    let peers = elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items);
    let peers = peers.filter_map(|item| match &item.peer {
        Peer::Name(rule) => Some(rule),
        _ => None,
    });
    let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
    peers.chain(lists.flat_map(|list| list.l7.dns.iter().flatten()))
}

/// Whether a matchName would be allowed as a matchPattern.
fn is_pattern(rule: &NameRule<'_>) -> bool {
    rule.pattern.is_none()
        && rule.name.as_ref().is_some_and(|name| {
            name.value.contains('*') && crate::policy::name::has_allowed_characters(&name.value, true)
        })
}

fn ports<'p, 's>(policy: &'p Policy<'s>) -> impl Iterator<Item = &'p Port<'s>> {
    let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
    lists.flat_map(|list| &list.ports)
}

/// `80-90`, `80:90`, `80..90`.
fn range_of(port: &Port<'_>) -> Option<(u16, u16)> {
    let text = &port.port.as_ref()?.value;
    let (first, last) = ["-", ":", ".."].iter().find_map(|mark| text.split_once(mark))?;
    let range: (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (range.0 < range.1 && port.end.is_none()).then_some(range)
}

fn as_range(port: &Port<'_>, first: u16, last: u16) -> Vec<Result<Change, Refusal>> {
    let editor = Editor::default();
    let Some(value) = port.value.get("port") else { return Vec::new() };
    let place = port.value.written_entries().position(|entry| entry.key.text().as_deref() == Some("port"));
    vec![
        editor.replace(value, first.to_string()),
        editor.insert_entry(port.value, place.map_or(usize::MAX, |at| at + 1), "endPort", last),
    ]
}

fn with_tcp(port: Value<'_>) -> Result<Change, Refusal> {
    match port.get("protocol") {
        Some(protocol) => Editor::default().replace(protocol, "TCP"),
        None => Editor::default().insert_entry(port, usize::MAX, "protocol", "TCP"),
    }
}

#[cfg(test)]
mod tests {
    use crate::finding::Safety;
    use crate::lint::rules::testing::{cnp, fires, mended, mended_as_far_as, silent};

    #[test]
    fn two_kinds_of_peers_become_two_rules_with_the_same_ports() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities:\n    - host\n    fromCIDR:\n    - 192.0.2.0/24\n    toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n",
        );
        fires("policy-refused", &text, &["fromCIDR"]);
        assert_eq!(mended_as_far_as(Safety::Safe, &text), text);
        let ports = "    toPorts:\n    - ports:\n      - port: \"80\"\n        protocol: TCP\n";
        let want =
            format!("  - fromEntities:\n    - host\n{ports}  - fromCIDR:\n    - 192.0.2.0/24\n{ports}");
        assert!(mended(&text).ends_with(&want), "{}", mended(&text));
    }

    #[test]
    fn a_name_with_a_star_becomes_a_pattern() {
        let text = cnp(
            "endpointSelector: {}\n  egress:\n  - toEndpoints: [{matchLabels: {k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}}]\n    toPorts: [{ports: [{port: '53', protocol: ANY}], rules: {dns: [{matchPattern: '*'}]}}]\n  - toFQDNs:\n    - matchPattern: a.example.com\n    - matchName: s3.*.example.com\n",
        );
        let mended = mended_as_far_as(Safety::Safe, &text);
        assert!(mended.contains("- matchPattern: s3.*.example.com\n"), "{mended}");
        silent(&mended);
    }

    #[test]
    fn a_range_in_the_port_gets_its_end() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts:\n    - ports:\n      - port: \"80-90\"\n        protocol: TCP\n",
        );
        fires("policy-refused", &text, &["\"80-90\""]);
        assert!(mended(&text).contains("      - port: \"80\"\n        endPort: 90\n        protocol: TCP\n"));
    }

    #[test]
    fn http_rules_get_protocol_tcp() {
        let text = cnp(
            "endpointSelector: {}\n  ingress:\n  - toPorts:\n    - ports:\n      - port: \"80\"\n      rules:\n        http:\n        - method: GET\n",
        );
        assert!(mended(&text).contains("      - port: \"80\"\n        protocol: TCP\n      rules:\n"));
    }

    #[test]
    fn a_policy_that_agents_take_is_right() {
        silent(&cnp(
            "endpointSelector: {}\n  ingress:\n  - fromEntities: [host]\n  - fromCIDR: [192.0.2.0/24]\n",
        ));
    }
}
