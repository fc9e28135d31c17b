//! What is told of drops that policy did not cause, or that no allow mends.

use std::net::IpAddr;

use super::Teller;
use crate::diagnose::{Aside, Observed, Reason};
use crate::engine::ElementPlace;
use crate::finding::{Finding, Label, Note, Severity};
use crate::flow::explain_reason;
use crate::naming;
use crate::source::Span;
use crate::traffic::Side;

impl Teller<'_, '_, '_, '_> {
    /// One finding for all drops that were set aside for the same reason.
    pub(super) fn asides(&self, asides: &[Aside]) -> Vec<Finding> {
        let mut groups: Vec<(&Reason, Vec<usize>)> = Vec::new();
        for aside in asides {
            match groups.iter_mut().find(|(reason, _)| same_group(reason, &aside.reason)) {
                Some((_, drops)) => drops.push(aside.drop),
                None => groups.push((&aside.reason, vec![aside.drop])),
            }
        }
        groups.into_iter().map(|(reason, drops)| self.aside(reason, &drops)).collect()
    }

    fn aside(&self, reason: &Reason, drops: &[usize]) -> Finding {
        let observed = &self.scene.drops[drops[0]];
        let mut finding = Finding {
            id: kind(reason),
            severity: Severity::Note,
            title: self.title(drops[0], None, drops.len() - 1),
            primary: None,
            related: Vec::new(),
            notes: Vec::new(),
            fix: None,
        };
        let mut note = |heading, text: String| finding.notes.push(Note { heading, text });
        match reason {
            Reason::NotPolicy(name) => note("why", format!("{name} is not a policy decision: {}", explain_reason(name))),
            Reason::Reply => note(
                "why",
                "this is the answer of a connection that is not known any more (agent restart, timeout, asymmetric route); answers need no rule".to_owned(),
            ),
            Reason::AlreadyAllowed { by } => {
                note("why", self.already_allowed(by));
                if by.iter().any(Option::is_some) {
                    note("look",
                    "is the policy newer than the log, not applied yet, or refused by the agent? `kubectl get cnp -A` shows whether it is Valid, `cilium-dbg policy selectors` what the agent made of it".to_owned());
                }
            }
            Reason::ExplicitDeny { by, .. } => {
                finding.severity = Severity::Error;
                finding.notes.push(Note {
                    heading: "why",
                    text: "a deny rule matches, and no allow can win against it; narrow or remove the deny if it is not meant".to_owned(),
                });
                finding.primary = self.place(*by).map(|span| Label { span, text: "denies it".to_owned() });
            }
            Reason::ServiceAddress { service, ports } => note("why", self.service_address(observed, service, ports)),
            Reason::Authentication => note("why", "a rule asks for mutual authentication, which had not succeeded; the first packets of a fresh pair are dropped until it has".to_owned()),
            Reason::UnknownLabels(side) => note("why", self.unknown_labels(observed, *side)),
            Reason::Undecided(unknown) => {
                finding.severity = Severity::Warning;
                let text = naming::why_unknown(*unknown, self.scene.model);
                finding.notes.push(Note { heading: "why", text: format!("undecided: {text}") });
            }
            Reason::Broken(_, why) => {
                finding.severity = Severity::Error;
                finding.notes.push(Note {
                    heading: "why",
                    text: format!("the endpoint's policy cannot be computed: {why}; it keeps its last working one"),
                });
            }
            Reason::UnknownPort => note("why", "the record does not say which port was called: take a log that does, such as `hubble observe --verdict DROPPED -o jsonpb` without a field mask".to_owned()),
            Reason::OtherProtocol => note("why", "policy can name TCP, UDP, SCTP and ICMP only; other protocols are dropped whatever it says".to_owned()),
        }
        finding.notes.push(Note { heading: "seen", text: self.seen(drops) });
        finding
    }

    fn already_allowed(&self, by: &[Option<ElementPlace>; 2]) -> String {
        if by.iter().all(Option::is_none) {
            return "no policy in these manifests closes either side, so none of them drops it: a policy of the cluster that is not in this repository does (give --inventory with `kubectl get cnp,ccnp,netpol -A -o json`), or the log is older than the manifests".to_owned();
        }
        let said = Side::BOTH.map(|side| match by[side as usize] {
            Some(place) => {
                let policy =
                    self.scene.model.policies.get(place.policy as usize).map_or(String::new(), |p| p.title());
                let at = self
                    .place(place)
                    .map_or(String::new(), |span| format!(" ({})", self.sources.place(span)));
                format!("{side} is allowed by {policy}{at}")
            }
            None => format!("{side} is not closed by any policy here"),
        });
        format!("the manifests let it pass: {}", said.join(", "))
    }

    fn service_address(&self, observed: &Observed, service: &(Box<str>, Box<str>), ports: &[u16]) -> String {
        let (namespace, name) = service;
        let ip: Option<IpAddr> = observed.distinct.flow.destination.ip;
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        format!(
            "{} is the address of Service {namespace}/{name}, which serves {}: nothing was translated, so there is no backend or no such port; mend the client or the Service, not the policy",
            ip.map_or_else(|| "it".to_owned(), |ip| ip.to_string()),
            if ports.is_empty() { "no port".to_owned() } else { format!("port {}", ports.join(", ")) }
        )
    }

    fn unknown_labels(&self, observed: &Observed, side: Side) -> String {
        let end = if side == Side::Egress {
            &observed.distinct.flow.source
        } else {
            &observed.distinct.flow.destination
        };
        let name = naming::name(end);
        format!(
            "the labels of {name} are not known: the record has none, and no manifest here makes such a pod; give `--inventory` with the output of `kubectl get pods -A -o json`"
        )
    }

    fn place(&self, place: ElementPlace) -> Option<Span> {
        Some(naming::element(self.scene.model, place)?.value.span())
    }
}

fn same_group(a: &Reason, b: &Reason) -> bool {
    match (a, b) {
        (Reason::ExplicitDeny { by: a, .. }, Reason::ExplicitDeny { by: b, .. }) => a == b,
        (Reason::NotPolicy(a), Reason::NotPolicy(b)) => a == b,
        (Reason::ServiceAddress { service: a, .. }, Reason::ServiceAddress { service: b, .. }) => a == b,
        (Reason::AlreadyAllowed { by: a }, Reason::AlreadyAllowed { by: b }) => a == b,
        (Reason::Undecided(a), Reason::Undecided(b)) => a == b,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// The id of the page that explains a reason.
pub(super) fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::NotPolicy(_) | Reason::OtherProtocol => "not-policy",
        Reason::Reply => "reply",
        Reason::AlreadyAllowed { .. } => "already-allowed",
        Reason::ExplicitDeny { .. } => "explicit-deny",
        Reason::ServiceAddress { .. } => "service-vip",
        Reason::Authentication => "authentication",
        Reason::UnknownLabels(_) | Reason::UnknownPort | Reason::Undecided(_) | Reason::Broken(..) => {
            "undecided"
        }
    }
}
