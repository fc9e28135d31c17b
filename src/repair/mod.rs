//! From causes to fixes: propose, prove, choose. Corrections of dead values
//! come first, since one of them may mend many drops; what is left is added,
//! beside its like (DESIGN 4).

mod add;
mod candidate;
mod cause;
mod correct;
mod create;
mod dns;
mod elsewhere;
mod listing;
mod manner;
mod place;
mod prove;
mod refused;
mod special;
mod want;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use add::Additions;
pub use candidate::{Assumption, Candidate, NewFile, Operator};
use correct::Case;
pub use elsewhere::{Fate, Spread};
pub use listing::not_applied;
pub use prove::{Disproof, Opened, Proven, Prover};
use want::Want;

use crate::diagnose::{Gap, Miss, NearMiss, Scene, near_misses};
use crate::engine::IdentityId;
use crate::finding::Safety;
use crate::source::Span;
use crate::traffic::Packet;

/// What to favour where evidence leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefer {
    /// As the evidence says.
    #[default]
    Evidence,
    /// Values are corrected, also ones that something else may use.
    Correct,
    /// Values are corrected only where nothing can be added.
    Add,
}

/// One fix: edits that belong together because they serve the same drops.
#[derive(Debug)]
pub struct Fix {
    /// Its parts, the most telling first.
    pub parts: Vec<Proven>,
}

impl Fix {
    /// The drops that it mends, in order.
    pub fn drops(&self) -> BTreeSet<usize> {
        self.parts.iter().flat_map(|part| &part.mends).map(|gap| gap.drop).collect()
    }

    /// How far it may be trusted: as far as the least of its parts.
    pub fn safety(&self) -> Safety {
        let least = self.parts.iter().map(|part| part.candidate.safety).max();
        least.unwrap_or(Safety::Safe)
    }
}

/// A denied side for which there is no fix, and why.
#[derive(Debug)]
pub struct Unmended {
    /// The side.
    pub gap: Gap,
    /// Why.
    pub why: NoFix,
}

/// Why there is no fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFix {
    /// Nothing was found that could be proven.
    Nothing,
    /// A Service has put a node's address in the client's place.
    ChangedAddress {
        /// Its namespace and name.
        service: String,
        /// The Service.
        place: Span,
        /// The rule that means the client.
        rule: Span,
    },
}

/// All fixes for a scene.
#[derive(Debug, Default)]
pub struct Plan {
    /// What mends drops, most drops first.
    pub fixes: Vec<Fix>,
    /// What nothing mends.
    pub unmended: Vec<Unmended>,
}

/// Proposes, proves and chooses.
pub fn plan(prover: &Prover<'_, '_, '_>, gaps: &[Gap], requests: &[usize], prefer: Prefer) -> Plan {
    let mut planner = Planner {
        prover,
        open: gaps.iter().copied().collect(),
        chosen: Vec::new(),
        unmended: Vec::new(),
        prefer,
    };
    planner.correct(gaps);
    planner.withhold();
    planner.extend();
    planner.create();
    planner.requests(requests);
    planner.finish()
}

struct Planner<'p, 'm, 's> {
    prover: &'p Prover<'p, 'm, 's>,
    open: BTreeSet<Gap>,
    chosen: Vec<Proven>,
    unmended: Vec<Unmended>,
    prefer: Prefer,
}

impl<'m, 's> Planner<'_, 'm, 's> {
    fn scene(&self) -> &Scene<'m, 's> {
        self.prover.scene
    }

    fn near(&self, gap: Gap) -> Vec<NearMiss<'m, 's>> {
        let drop = &self.scene().drops[gap.drop];
        near_misses(self.scene(), drop.subject(gap.side), drop.peer(gap.side), gap.side, drop.packet())
    }

    fn take(&mut self, proven: Proven) {
        let proven = self.doubted(proven);
        for gap in &proven.mends {
            self.open.remove(gap);
        }
        self.chosen.push(proven);
    }

    /// Corrections: all that can be proven are weighed against each other, and
    /// the one that mends most goes first.
    fn correct(&mut self, gaps: &[Gap]) {
        let mut proposed: Vec<Candidate> = Vec::new();
        for &gap in gaps {
            for candidate in self.proposals(gap) {
                if !proposed.iter().any(|known| known.edits == candidate.edits) {
                    proposed.push(candidate);
                }
            }
        }
        let mut proven: Vec<Proven> =
            proposed.into_iter().filter_map(|c| self.prover.prove(c, gaps).ok()).collect();
        loop {
            for fix in &mut proven {
                fix.mends.retain(|gap| self.open.contains(gap));
            }
            proven.retain(|fix| !fix.mends.is_empty());
            let rank = |fix: &Proven| {
                (
                    fix.candidate.safety,
                    std::cmp::Reverse(fix.mends.len()),
                    fix.candidate.operator,
                    fix.opened.len(),
                )
            };
            let Some(best) = proven.iter().map(rank).min() else { break };
            let equal: Vec<usize> = (0..proven.len()).filter(|&i| rank(&proven[i]) == best).collect();
            // Two corrections that are equally good for the same drops: neither is certain.
            let rivals = equal.iter().any(|&i| i != equal[0] && proven[i].mends == proven[equal[0]].mends);
            let mut fix = proven.remove(equal[0]);
            fix.alternatives =
                proven.iter().filter(|other| serves(other, &fix)).map(Proven::in_words).collect();
            if rivals {
                let mends = fix.mends;
                proven.retain(|other| other.mends != mends);
                continue;
            }
            self.take(fix);
        }
    }

    fn proposals(&self, gap: Gap) -> Vec<Candidate> {
        let scene = self.scene();
        let mut found = Vec::new();
        if self.prefer != Prefer::Add {
            for near in self.near(gap) {
                match near.miss {
                    Miss::Refused => found.extend(refused::mend(scene, gap, &near)),
                    Miss::NotApplied => found.extend(listing::list(self.prover, &near)),
                    _ => found.extend(correct::corrections(&Case {
                        scene,
                        gap,
                        near: &near,
                        even_alive: self.prefer == Prefer::Correct,
                    })),
                }
            }
            found.extend(correct::api_server(scene, gap));
        }
        found.extend(special::open_side(scene, gap));
        found.extend(special::split_rule(scene, gap));
        found.extend(special::names_without_dns(scene, gap));
        found
    }

    /// Where the caller that was seen is not the caller that was meant, adding
    /// it would let in every node.
    fn withhold(&mut self) {
        for gap in self.open.clone() {
            let near = self.near(gap);
            if let Some((service, rule)) = special::changed_address(self.scene(), gap, &near) {
                let name = format!("{}/{}", service.namespace.as_deref().unwrap_or_default(), service.name);
                let why = NoFix::ChangedAddress { service: name, place: service.place, rule };
                self.open.remove(&gap);
                self.unmended.push(Unmended { gap, why });
            }
        }
    }

    fn wants(&self, namespace: impl Fn(Gap) -> Option<String>) -> Vec<Want> {
        let scene = self.scene();
        self.open
            .iter()
            .filter_map(|&gap| {
                let drop = &scene.drops[gap.drop];
                let peer = words::name_peer(scene, drop.peer(gap.side), namespace(gap).as_deref())?;
                Some(Want { gap, peer, packet: drop.packet() })
            })
            .collect()
    }

    /// Additions to policies that already select the subject.
    fn extend(&mut self) {
        let targets: BTreeMap<Gap, add::Target> =
            self.open.iter().filter_map(|&gap| Some((gap, add::target(self.prover.scene, gap)?))).collect();
        let policy_of = |target: &add::Target| &self.prover.scene.model.policies[target.policy];
        let wants = self.wants(|gap| Some(policy_of(targets.get(&gap)?).namespace.name()?.to_owned()));
        let mut by_rule: BTreeMap<(add::Target, crate::traffic::Side), Vec<Want>> = BTreeMap::new();
        for want in wants {
            if let Some(target) = targets.get(&want.gap) {
                by_rule.entry((*target, want.gap.side)).or_default().push(want);
            }
        }
        for ((target, side), wants) in by_rule {
            let policy = &self.prover.scene.model.policies[target.policy];
            let additions =
                Additions { scene: self.prover.scene, policy, rule: &policy.rules[target.rule], side };
            self.extend_rule(&additions, &wants);
        }
    }

    fn extend_rule(&mut self, additions: &Additions<'_, 'm, 's>, wants: &[Want]) {
        for want in wants {
            if !self.open.contains(&want.gap) {
                continue;
            }
            let open: Vec<Gap> = self.open.iter().copied().collect();
            let (mut tight, wide): (Vec<Proven>, Vec<Proven>) = additions
                .extensions(want)
                .into_iter()
                .filter_map(|candidate| self.prover.prove(candidate, &open).ok())
                .filter(|proven| proven.mends.contains(&want.gap))
                .partition(|proven| self.is_tight(proven));
            tight.sort_by_key(|proven| proven.candidate.operator);
            let mut tight = tight.into_iter();
            if let Some(mut best) = tight.next() {
                best.alternatives = tight.chain(wide).map(|other| other.in_words()).collect();
                self.take(best);
            }
        }
        let left: Vec<&Want> = wants.iter().filter(|want| self.open.contains(&want.gap)).collect();
        for candidate in additions.rules(&left) {
            let open: Vec<Gap> = self.open.iter().copied().collect();
            if let Ok(proven) = self.prover.prove(candidate, &open) {
                self.take(proven);
            }
        }
    }

    /// Whether an extension opens nothing but what is wanted. The other transport
    /// of a wanted port is part of it for DNS; and a port that is open to these
    /// peers by one transport may open by the other.
    fn is_tight(&self, proven: &Proven) -> bool {
        match proven.candidate.cause {
            "udp-twin" => true,
            "dns-port" | "dns-not-allowed" => {
                proven.opened.iter().all(|opened| self.is_wanted_otherwise(*opened))
            }
            _ => proven.opened.is_empty() && proven.spread.surplus.is_empty(),
        }
    }

    /// Whether the same two ends were dropped on this port by another transport.
    fn is_wanted_otherwise(&self, opened: Opened) -> bool {
        self.scene().drops.iter().any(|drop| {
            drop.source.identity == opened.source
                && drop.destination.identity == opened.destination
                && matches!((drop.packet(), opened.packet), (Packet::Port(_, a), Packet::Port(_, b)) if a == b)
        })
    }

    /// An addition that reaches further than what was seen is a guess.
    fn doubted(&self, mut proven: Proven) -> Proven {
        let surplus = proven.opened.iter().any(|opened| !self.is_wanted_otherwise(*opened))
            || !proven.spread.surplus.is_empty();
        if surplus && !proven.candidate.corrects && proven.candidate.cause != "udp-twin" {
            proven.candidate.safety = proven.candidate.safety.max(Safety::Unsafe);
        }
        proven
    }

    /// New policies for workloads that no policy is about.
    fn create(&mut self) {
        let scene = self.prover.scene;
        let namespace =
            |gap: Gap| scene.namespace(scene.drops[gap.drop].subject(gap.side)).map(str::to_owned);
        let wants = self.wants(namespace);
        let mut by_subject: Vec<(IdentityId, Vec<&Want>)> = Vec::new();
        for want in &wants {
            let subject = scene.drops[want.gap.drop].subject(want.gap.side);
            match by_subject.iter_mut().find(|(known, _)| scene.workloads().same(*known, subject)) {
                Some((_, list)) => list.push(want),
                None => by_subject.push((subject, vec![want])),
            }
        }
        for (subject, wants) in by_subject {
            let open: Vec<Gap> = self.open.iter().copied().collect();
            let Some(candidate) = create::new_policy(self.prover, subject, &wants) else { continue };
            if let Ok(proven) = self.prover.prove(candidate, &open) {
                self.take(proven);
            }
        }
    }

    fn requests(&mut self, requests: &[usize]) {
        for &drop in requests {
            let Some(candidate) = special::request(self.prover.scene, drop) else { continue };
            if self.chosen.iter().any(|known| known.candidate.edits == candidate.edits) {
                continue;
            }
            if let Ok(proven) = self.prover.prove_request(candidate, drop) {
                self.chosen.push(proven);
            }
        }
    }

    /// Parts that serve the same drop on its two sides are one fix.
    fn finish(mut self) -> Plan {
        for &gap in &self.open {
            self.unmended.push(Unmended { gap, why: NoFix::Nothing });
        }
        // Where the fix of a drop lies; fixes that turn out to be one are moved together.
        let mut fixes: Vec<Fix> = Vec::new();
        let mut of_drop: BTreeMap<usize, usize> = BTreeMap::new();
        for proven in self.chosen {
            let linked: BTreeSet<usize> =
                proven.mends.iter().filter_map(|gap| of_drop.get(&gap.drop).copied()).collect();
            let into = linked.first().copied().unwrap_or(fixes.len());
            let mut parts: Vec<Proven> = Vec::new();
            for &index in &linked {
                parts.append(&mut fixes[index].parts);
            }
            parts.push(proven);
            for gap in parts.iter().flat_map(|part| &part.mends) {
                of_drop.insert(gap.drop, into);
            }
            match fixes.get_mut(into) {
                Some(fix) => fix.parts = parts,
                None => fixes.push(Fix { parts }),
            }
        }
        fixes.retain(|fix| !fix.parts.is_empty());
        fixes.sort_by_key(|fix| fix.parts[0].mends.first().copied());
        Plan { fixes, unmended: self.unmended }
    }
}

/// Whether one fix mends something that another mends too.
fn serves(one: &Proven, other: &Proven) -> bool {
    one.mends.iter().any(|gap| other.mends.contains(gap))
}

/// How an identity is called in messages: namespace and workload, else what it is.
pub fn identity_name(scene: &Scene<'_, '_>, id: IdentityId) -> String {
    let identity = scene.engine.identity(id);
    if let Some(namespace) = scene.namespace(id) {
        let labels = words::identifying_labels(scene, id);
        return labels
            .first()
            .map_or_else(|| format!("a pod in {namespace}"), |(_, value)| format!("{namespace}/{value}"));
    }
    if let Some(entity) = words::entity(identity) {
        return entity.to_owned();
    }
    match (identity.names.first(), identity.ip) {
        (Some(name), _) => name.to_string(),
        (None, Some(ip)) => ip.to_string(),
        (None, None) => "an unknown end".to_owned(),
    }
}
