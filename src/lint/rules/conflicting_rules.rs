//! `conflicting-rules`: policies that are fine by themselves and contradict each
//! other: two L7 parsers on one port, two TLS contexts, two authentication modes
//! (`semantics.md` 1.4, C1 to C6). The policy of the pods cannot be computed:
//! they keep their last one, on both sides, and new pods get no connection.
//!
//! No mend: one of the two has to go.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::{Identity, SideVerdict, Truth};
use crate::label::Label;
use crate::lint::context::{Context, Judge, elements};
use crate::lint::found::Findings;
use crate::lint::matching::{matches, witness};
use crate::lint::subjects::RuleSubject;
use crate::policy::l7::Parser;
use crate::policy::{Policy, PolicyKind, PortList, Rule};
use crate::source::Span;
use crate::traffic::{Packet, Side, Transport};

/// A rule that asks for proxies or authentication.
struct Demand<'q, 'c, 's> {
    subject: &'q RuleSubject<'c, 's>,
    places: Vec<Span>,
}

impl Demand<'_, '_, '_> {
    fn is_about(&self, labels: &[Label]) -> bool {
        matches(&self.subject.requirements, labels) == Truth::Yes
    }
}

pub(in crate::lint) fn check<'c, 's>(
    context: &Context<'c, 's>,
    judge: &mut Judge<'_, 'c, 's>,
    findings: &mut Findings<'_>,
) {
    listeners(context, findings);
    let suspects = suspects(context);
    if suspects.is_empty() {
        return;
    }
    let live = context.subjects().iter().filter(|subject| context.is_live(subject.file()));
    let demands: Vec<Demand<'_, 'c, 's>> = live
        .filter_map(|subject| {
            let suspect = wishes(subject.rule).filter(|(matter, ..)| suspects.contains(matter));
            let mut places: Vec<Span> = suspect.map(|(.., place)| place).collect();
            places.dedup();
            (!places.is_empty()).then_some(Demand { subject, places })
        })
        .collect();
    for demand in demands.iter().filter(|demand| context.is_reported(demand.subject.file())) {
        let broken =
            pods(context, demand).into_iter().find_map(|labels| Some((why(judge, &labels)?, labels)));
        let (Some((why, labels)), Some(place)) = (broken, demand.places.first()) else { continue };
        let found = findings.add(
            *place,
            format!("the policies of these pods contradict each other: {why}"),
            "one of those that contradict",
        );
        found.why("such a policy cannot be computed: the pods keep their last one on both sides, and new pods get none");
        let others = demands.iter().filter(|other| other.is_about(&labels)).flat_map(|other| &other.places);
        for other in others.filter(|other| *other != place).take(3) {
            found.also(*other, "this may be the other one");
        }
    }
}

/// Whose policies are looked at: one pod with just the labels that the rule
/// asks for, and the workloads that have them, since more rules may be about these.
fn pods(context: &Context<'_, '_>, demand: &Demand<'_, '_, '_>) -> Vec<Vec<Label>> {
    let requirements = &demand.subject.requirements;
    let members = context.members(requirements).into_iter().map(|member| member.labels.clone());
    witness(requirements).into_iter().chain(members).collect()
}

fn why(judge: &mut Judge<'_, '_, '_>, labels: &[Label]) -> Option<&'static str> {
    let engine = judge.engine();
    let id = engine.identify(Identity { labels: labels.to_vec(), ..Identity::default() });
    match engine.side(None, id, id, Side::Ingress, Packet::Port(Transport::Tcp, 80)) {
        SideVerdict::Broken(why) => Some(why),
        _ => None,
    }
}

/// What can be asked in two ways that contradict each other.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Matter<'p> {
    /// The proxy of this port, up to this end, on this side.
    Port(Side, &'p str, Option<i64>),
    /// Authentication.
    Mode,
}

/// In which way it is asked.
#[derive(PartialEq, Eq, Clone)]
enum Wish<'p> {
    Mode(&'p str),
    Proxy {
        parser: Parser,
        server_names: bool,
        terminating: Option<&'p str>,
        originating: Option<&'p str>,
        listener: Option<(&'p str, i64)>,
    },
}

/// The matters that the tree asks for in two ways; whether these meet at one
/// pod is for the engine to say.
fn suspects<'c>(context: &Context<'c, '_>) -> FxHashSet<Matter<'c>> {
    let mut first: FxHashMap<Matter<'c>, Wish<'c>> = FxHashMap::default();
    let mut suspects = FxHashSet::default();
    for (matter, wish, _) in context.policies().flat_map(|policy| &policy.rules).flat_map(wishes) {
        match first.get(&matter) {
            Some(known) if *known != wish => drop(suspects.insert(matter)),
            Some(_) => {}
            None => drop(first.insert(matter, wish)),
        }
    }
    suspects
}

/// All that a rule asks for, with its place.
fn wishes<'p>(rule: &'p Rule<'_>) -> impl Iterator<Item = (Matter<'p>, Wish<'p>, Span)> {
    let elements = rule.sections.iter().flat_map(|s| s.elements.iter().map(move |element| (s.side, element)));
    elements.flat_map(|(side, element)| {
        let mode = element.authentication.as_ref();
        let mode = mode.map(|mode| (Matter::Mode, Wish::Mode(&mode.value), mode.span));
        let lists = element.to_ports.iter().flat_map(|ports| &ports.lists);
        mode.into_iter().chain(lists.flat_map(move |list| proxies(side, list)))
    })
}

fn proxies<'p>(side: Side, list: &'p PortList<'_>) -> impl Iterator<Item = (Matter<'p>, Wish<'p>, Span)> {
    let l7 = &list.l7;
    let place = l7.place().unwrap_or_else(|| list.value.span());
    let wish = l7.parser().map(|parser| Wish::Proxy {
        parser,
        server_names: !l7.server_names.is_empty(),
        terminating: l7.terminating.as_ref().map(|context| context.content.as_str()),
        originating: l7.originating.as_ref().map(|context| context.content.as_str()),
        listener: l7.listener.as_ref().map(|listener| (listener.title.as_str(), listener.priority)),
    });
    wish.into_iter().flat_map(move |wish| {
        list.ports.iter().map(move |port| {
            let number = port.port.as_ref().map_or("", |text| text.value.as_ref());
            (Matter::Port(side, number, port.end.as_ref().map(|end| end.value)), wish.clone(), place)
        })
    })
}

/// A cluster-wide policy can only name a cluster-wide listener (C6).
fn listeners(context: &Context<'_, '_>, findings: &mut Findings<'_>) {
    let clusterwide = |policy: &&Policy<'_>| policy.kind == PolicyKind::Ccnp;
    for policy in context.policies().filter(clusterwide) {
        let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
        for kind in lists.filter_map(|list| list.l7.listener.as_ref()?.config_kind.as_ref()) {
            if kind.value == "CiliumEnvoyConfig" {
                findings
                    .add(
                        kind.span,
                        "a cluster-wide policy cannot use a CiliumEnvoyConfig",
                        "of one namespace",
                    )
                    .help("use a CiliumClusterwideEnvoyConfig");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, deployment, fires, found, silent, told_in};

    const LISTENER: &str = "{envoyConfig: {name: e, kind: CiliumEnvoyConfig}, name: l}";

    fn tree(port: &str) -> String {
        let http = cnp(
            "endpointSelector: {matchLabels: {app: a}}\n  ingress:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{method: GET}]}}]\n",
        );
        let sni = cnp(&format!("endpointSelector: {{}}\n  ingress:\n  - toPorts: [{{ports: [{{port: '{port}', protocol: TCP}}], listener: {{envoyConfig: {{name: e, kind: CiliumEnvoyConfig}}, name: l}}}}]\n")).replace("name: x", "name: listener").replace("ingress", "egress");
        let http = http.replace("ingress", "egress");
        format!("{http}---\n{sni}")
    }

    #[test]
    fn two_parsers_on_one_port_are_found() {
        fires("conflicting-rules", &tree("80"), &["rules"]);
    }

    #[test]
    fn rules_of_different_selectors_are_found_where_a_workload_has_the_labels_of_both() {
        let apart = tree("80").replace("endpointSelector: {}", "endpointSelector: {matchLabels: {tier: b}}");
        silent(&apart);
        let both = deployment("shop", "both", "app: a, tier: b", "");
        fires("conflicting-rules", &format!("{apart}{both}"), &["rules", LISTENER]);
    }

    #[test]
    fn the_other_places_are_those_of_rules_about_the_same_pods() {
        let elsewhere = cnp("endpointSelector: {matchLabels: {app: z}}\n  egress:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{}]}}]\n").replace("namespace: shop", "namespace: z");
        let sources = crate::lint::rules::testing::sources(&format!("{}---\n{elsewhere}", tree("80")));
        let mut found = found(&sources);
        found.retain(|found| found.rule.id == "conflicting-rules");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].related.len(), 1);
    }

    /// One input for each of C1 to C6: what the rules ask of port 80.
    #[test]
    fn every_way_to_contradict_is_found() {
        let listener = |name: &str, kind: &str| {
            format!("listener: {{envoyConfig: {{kind: {kind}, name: e}}, name: {name}}}")
        };
        let tls =
            |name: &str| format!("terminatingTLS: {{secret: {{name: {name}}}}}, rules: {{http: [{{}}]}}");
        let (http, sni) = ("rules: {http: [{}]}".to_owned(), "serverNames: [a.example.com]".to_owned());
        for (check, one, other) in [
            ("C1", http.clone(), listener("l", "CiliumEnvoyConfig")),
            ("C3", tls("a"), tls("b")),
            ("C4", sni, http),
            ("C5", listener("l", "CiliumEnvoyConfig"), listener("m", "CiliumEnvoyConfig")),
        ] {
            let ports =
                |rest: &str| format!("{{toPorts: [{{ports: [{{port: '80', protocol: TCP}}], {rest}}}]}}");
            let text = cnp(&format!(
                "endpointSelector: {{}}\n  egress:\n  - {}\n  - {}\n",
                ports(&one),
                ports(&other)
            ));
            assert!(
                told_in(None, &text).iter().any(|(id, ..)| *id == "conflicting-rules"),
                "{check}\n{text}"
            );
        }
        let modes = "endpointSelector: {}\n  ingress:\n  - {fromEndpoints: [{}], authentication: {mode: required}}\n  - {fromEndpoints: [{}], authentication: {mode: disabled}}\n";
        fires("conflicting-rules", &cnp(modes), &["required"]);
        let clusterwide = cnp(&format!("endpointSelector: {{}}\n  egress: [{{toPorts: [{{ports: [{{port: '80', protocol: TCP}}], {}}}]}}]\n", listener("l", "CiliumEnvoyConfig"))).replace("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy").replace("  namespace: shop\n", "");
        fires("conflicting-rules", &clusterwide, &["CiliumEnvoyConfig"]);
    }

    #[test]
    fn parsers_on_different_ports_go_together() {
        silent(&tree("81"));
    }
}
