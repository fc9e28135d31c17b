//! Requests that a proxy refused: one more item beside the rules that are there.

use crate::diagnose::Scene;
use crate::finding::Label;
use crate::flow::Request;
use crate::policy::PortList;
use crate::repair::candidate::{Candidate, Operator};
use crate::traffic::Side;
use crate::yaml::{Datum, Editor, Value};

/// A request that the proxy refused: one more item beside the rules that are
/// there, never fewer rules.
pub(in crate::repair) fn request(scene: &Scene<'_, '_>, drop: usize) -> Option<Candidate> {
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
                    ..Candidate::correction(Operator::AddPeer, "http-request", vec![(policy.value.tree().file, change)], blame)
                });
            }
        }
    }
    None
}

fn request_item<'s>(list: &PortList<'s>, request: &Request) -> Option<(Value<'s>, Datum, String)> {
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
