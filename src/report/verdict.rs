//! Verdicts of single flows: a table for people, one JSON object a flow for programs.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::engine::{ElementPlace, End, Engine, Judgement, SideVerdict};
use crate::flow::Flow;
use crate::model::Model;
use crate::naming::{element, name, why_unknown};
use crate::policy::{Action, Namespace};
use crate::source::{Sources, Span};
use crate::traffic::Side;
use crate::version::CiliumVersion;

/// An overlay that cannot share a cluster with those that are judged.
pub struct OtherCluster<'m> {
    /// Its name.
    pub name: &'m str,
    /// What is known of its cluster.
    pub model: &'m Model<'m>,
    /// The judge of its cluster.
    pub engine: Engine,
}

/// A flow and what becomes of it.
pub struct Judged<'f> {
    flow: &'f Flow,
    judgement: Judgement,
    /// Per side: the policies whose elements decide.
    by: [Vec<ElementPlace>; 2],
    /// Per side: the policies that make the side enforced, where nothing decides.
    enforcing: [Vec<u32>; 2],
    /// Per side: releases that decide otherwise, with their word.
    otherwise: [Vec<(CiliumVersion, &'static str)>; 2],
    /// Per side: overlays that decide otherwise, with their word.
    elsewhere: [Vec<(&'f str, &'static str)>; 2],
}

impl<'f> Judged<'f> {
    /// Judges a flow; `others` are engines of other releases to compare with,
    /// `clusters` those of other overlays.
    pub fn new<'c: 'f>(
        engine: &mut Engine,
        others: &mut [Engine],
        clusters: &mut [OtherCluster<'c>],
        model: &Model<'_>,
        flow: &'f Flow,
    ) -> Self {
        let source = engine.take_in(&flow.source, &model.inventory);
        let destination = engine.take_in(&flow.destination, &model.inventory);
        let judgement = engine.judge(source.identity, destination.identity, flow.packet);
        let by = Side::BOTH.map(|side| deciding(engine, judgement.on(side), source, destination, side, flow));
        let enforcing = Side::BOTH.map(|side| {
            let subject = if side == Side::Egress { source } else { destination };
            match judgement.on(side) {
                SideVerdict::Denied => engine.enforcing(subject.identity, side),
                _ => Vec::new(),
            }
        });
        let releases = others.iter_mut().map(|engine| (engine.options().version, engine, model));
        let otherwise = disagreeing(releases, flow, &judgement);
        let clusters = clusters.iter_mut().map(|other| (other.name, &mut other.engine, other.model));
        let elsewhere = disagreeing(clusters, flow, &judgement);
        Self { flow, judgement, by, enforcing, otherwise, elsewhere }
    }

    /// The policies that it names, in order.
    fn policies(&self) -> BTreeSet<u32> {
        let by = self.by.iter().flatten().map(|place| place.policy);
        by.chain(self.enforcing.iter().flatten().copied()).collect()
    }
}

/// The releases or overlays that decide a side in another way.
fn disagreeing<'e, 'm: 'e, T: Copy>(
    others: impl Iterator<Item = (T, &'e mut Engine, &'e Model<'m>)>,
    flow: &Flow,
    judgement: &Judgement,
) -> [Vec<(T, &'static str)>; 2] {
    let mut found: [Vec<(T, &'static str)>; 2] = [Vec::new(), Vec::new()];
    for (name, engine, model) in others {
        let source = engine.take_in(&flow.source, &model.inventory);
        let destination = engine.take_in(&flow.destination, &model.inventory);
        let other = engine.judge(source.identity, destination.identity, flow.packet);
        for side in Side::BOTH {
            let word = other.on(side).word();
            if word != judgement.on(side).word() {
                found[side as usize].push((name, word));
            }
        }
    }
    found
}

/// All elements that decide a side the way it is decided.
fn deciding(
    engine: &Engine,
    verdict: SideVerdict,
    source: End,
    destination: End,
    side: Side,
    flow: &Flow,
) -> Vec<ElementPlace> {
    let wanted = match verdict {
        SideVerdict::Allowed { .. } => Action::Allow,
        SideVerdict::DeniedByRule(_) => Action::Deny,
        _ => return Vec::new(),
    };
    let (subject, peer) = if side == Side::Egress { (source, destination) } else { (destination, source) };
    let matching = engine.matching(None, subject.identity, peer.identity, side, flow.packet);
    matching.into_iter().filter(|(action, _)| *action == wanted).map(|(_, place)| place).collect()
}

fn span(model: &Model<'_>, place: ElementPlace) -> Option<Span> {
    Some(element(model, place)?.value.span())
}

/// The object that one line of `--format json` shows.
pub fn json_line(judged: &Judged<'_>, model: &Model<'_>) -> String {
    let mut object = json!({});
    for side in Side::BOTH {
        let verdict = judged.judgement.on(side);
        object[side.as_str()] = verdict.word().into();
        object[format!("{side}_by")] = titles(&judged.by[side as usize], model);
        if let SideVerdict::Allowed { proxied: true, .. } = verdict {
            object[format!("{side}_proxied")] = true.into();
        }
        for (version, word) in &judged.otherwise[side as usize] {
            object[format!("{side}_in")][version.to_string()] = (*word).into();
        }
        for (name, word) in &judged.elsewhere[side as usize] {
            object[format!("{side}_variants")][*name] = (*word).into();
        }
        if let SideVerdict::Undecided(unknown) = verdict {
            object[format!("{side}_unknown")] = why_unknown(unknown, model).into();
        }
        if let SideVerdict::Broken(why) = verdict {
            object[format!("{side}_error")] = why.into();
        }
    }
    object.to_string()
}

fn titles(places: &[ElementPlace], model: &Model<'_>) -> Value {
    let mut titles: Vec<String> =
        places.iter().filter_map(|place| Some(model.policies.get(place.policy as usize)?.title())).collect();
    titles.dedup();
    titles.into()
}

/// A few lines of the table: the flow, then a line for each side.
pub fn table_row(judged: &Judged<'_>, model: &Model<'_>, sources: &Sources) -> String {
    let flow = judged.flow;
    let mut row = format!("{} → {} {}\n", name(&flow.source), name(&flow.destination), flow.packet);
    for side in Side::BOTH {
        let verdict = judged.judgement.on(side);
        let _ = write!(row, "  {:8} {}", side.as_str(), words(verdict));
        for (i, place) in judged.by[side as usize].iter().enumerate() {
            let title =
                model.policies.get(place.policy as usize).map_or(String::new(), |policy| policy.title());
            let at = span(model, *place).map_or(String::new(), |span| sources.place(span));
            let _ = write!(row, "{} {title} ({at})", if i == 0 { " by" } else { "," });
        }
        if let SideVerdict::Undecided(unknown) = verdict {
            let _ = write!(row, ": {}", why_unknown(unknown, model));
        }
        if let SideVerdict::Broken(why) = verdict {
            let _ = write!(row, ": {why}; the endpoint keeps its last working policy");
        }
        for (i, policy) in judged.enforcing[side as usize].iter().enumerate() {
            let title = model.policies.get(*policy as usize).map_or(String::new(), |policy| policy.title());
            let _ = write!(row, "{} {title}", if i == 0 { "; enforced by" } else { "," });
        }
        let versions =
            judged.otherwise[side as usize].iter().map(|(version, word)| format!("{word} in {version}"));
        let versions: Vec<String> = versions.collect();
        if !versions.is_empty() {
            let _ = write!(
                row,
                " [hangs on the release: {}; name yours with --cilium-version]",
                versions.join(", ")
            );
        }
        let variants = judged.elsewhere[side as usize].iter().map(|(name, word)| format!("{word} in {name}"));
        let variants: Vec<String> = variants.collect();
        if !variants.is_empty() {
            let _ = write!(row, " [hangs on the overlay: {}]", variants.join(", "));
        }
        row.push('\n');
    }
    for policy in judged.policies() {
        let Some(policy) = model.policies.get(policy as usize) else { continue };
        if let Namespace::Inferred(namespace) = &policy.namespace {
            let _ = writeln!(row, "  note     {}: namespace {namespace} is inferred", policy.title());
        }
        if let Some(from) = policy.namespace_from() {
            let namespace = policy.namespace.name().unwrap_or_default();
            let title = policy.title();
            let _ = writeln!(row, "  note     {title}: namespace {namespace} from {}", sources.place(from));
        }
    }
    row
}

fn words(verdict: SideVerdict) -> &'static str {
    match verdict {
        SideVerdict::Allowed { proxied: false, .. } => "allowed",
        SideVerdict::Allowed { proxied: true, .. } => "allowed, a proxy decides on the request,",
        SideVerdict::NotEnforced => "allowed: no policy speaks of this side",
        SideVerdict::LocalHost => "allowed: a node reaches its own pods",
        SideVerdict::NotHere => "n/a: no endpoint with a policy of its own",
        SideVerdict::Denied => "denied: nothing allows it",
        SideVerdict::DeniedByRule(_) => "denied by rule",
        SideVerdict::Undecided(_) => "undecided",
        SideVerdict::Broken(_) => "not computable",
    }
}
