//! The proof of a candidate: the engine judges the whole tree with the edit
//! made (DESIGN 4.7). Nothing can be ranked or printed but a [`Proven`].

use rustc_hash::FxHashSet;

use super::candidate::{Assumption, Candidate};
use super::elsewhere::Spread;
use crate::diagnose::{Gap, Observed, Scene};
use crate::engine::{IdentityId, Overlay, SideVerdict};
use crate::finding::{FileChange, Splice};
use crate::flow::Request;
use crate::policy::Policy;
use crate::policy::ports::Literal;
use crate::source::{FileId, Sources};
use crate::traffic::{IcmpFamily, Packet, Side, Transport};
use crate::yaml::{Change, Patch, Tree, parse};

/// A candidate whose proof holds.
#[derive(Debug)]
pub struct Proven {
    /// The candidate.
    pub candidate: Candidate,
    /// The denied sides that pass with it.
    pub mends: Vec<Gap>,
    /// What passes with it that nobody was seen to want.
    pub opened: Vec<Opened>,
    /// Where else the edit is one, and opens what is wanted for what is wanted.
    pub spread: Spread,
    /// How many flows that were seen to pass were judged again.
    pub guarded: usize,
    /// Other proven ways to mend the same drops, best first, in words with their cost.
    pub alternatives: Vec<String>,
}

impl Proven {
    /// The fix in words, with what it costs.
    pub fn in_words(&self) -> String {
        let opened = match self.opened.len() {
            0 => "opens nothing else".to_owned(),
            1 => "opens 1 more flow".to_owned(),
            more => format!("opens {more} more flows"),
        };
        format!("{} ({}): {opened}", self.candidate.title, self.candidate.safety.as_str())
    }
}

/// A flow that passes after an edit and did not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opened {
    /// Who may call.
    pub source: IdentityId,
    /// Whom.
    pub destination: IdentityId,
    /// On which port.
    pub packet: Packet,
}

/// Why a candidate is no fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disproof {
    /// The text cannot be edited.
    #[error("{0}")]
    NoEdit(String),
    /// No drop would pass.
    #[error("no drop would pass")]
    Useless,
    /// A flow that was seen to pass would be dropped.
    #[error("it would drop flows that pass now")]
    Loses,
    /// A side that is open would be closed to everybody not named.
    #[error("it would isolate an endpoint that is open now")]
    Isolates,
    /// A deny rule would not deny any more.
    #[error("it would undo an explicit deny")]
    UndoesDeny,
    /// Cilium would refuse the policy.
    #[error("Cilium would refuse the edited policy")]
    Refused,
}

/// Proves candidates against one scene.
pub struct Prover<'p, 'm, 's> {
    /// The scene.
    pub scene: &'p Scene<'m, 's>,
    /// All trees, by the number of their file.
    pub trees: &'s [Tree<'s>],
    /// All files.
    pub sources: &'p Sources,
    /// The drops and sides that a deny rule denies.
    denied: Vec<(usize, Side)>,
    /// What was seen to be wanted.
    wanted: FxHashSet<Opened>,
    /// Provers for the other clusters that the tree is for, by name.
    pub(super) beside: Vec<(String, Self)>,
}

impl<'p, 'm, 's> Prover<'p, 'm, 's> {
    /// A prover for a scene.
    pub fn new(scene: &'p Scene<'m, 's>, trees: &'s [Tree<'s>], sources: &'p Sources) -> Self {
        let denied_by_rule = |drop: &Observed, side| {
            let verdict = scene.engine.side(None, drop.subject(side), drop.peer(side), side, drop.packet());
            matches!(verdict, SideVerdict::DeniedByRule(_))
        };
        let sides =
            scene.drops.iter().enumerate().flat_map(|(i, drop)| Side::BOTH.map(|side| (i, drop, side)));
        let denied =
            sides.filter(|(_, drop, side)| denied_by_rule(drop, *side)).map(|(i, _, side)| (i, side));
        let wanted = scene.drops.iter().map(|drop| Opened {
            source: drop.source.identity,
            destination: drop.destination.identity,
            packet: drop.packet(),
        });
        Self { scene, trees, sources, denied: denied.collect(), wanted: wanted.collect(), beside: Vec::new() }
    }

    /// Makes edits in the texts: the files as they are with them, by name.
    ///
    /// # Errors
    /// When a place cannot be edited, or the edit would not read back as intended.
    pub fn files<'c>(
        &self,
        candidates: impl Iterator<Item = &'c Candidate> + Clone,
    ) -> Result<Vec<FileChange>, Disproof> {
        let mut ids: Vec<FileId> =
            candidates.clone().flat_map(|c| c.edits.iter().map(|(file, _)| *file)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut files = Vec::new();
        for id in ids {
            let mut changes: Vec<&Change> = Vec::new();
            for (_, change) in candidates.clone().flat_map(|c| &c.edits).filter(|(file, _)| *file == id) {
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            files.push(self.file(id, &changes)?);
        }
        for new in candidates.flat_map(|candidate| &candidate.new_files) {
            files.push(FileChange {
                file: None,
                path: new.path.clone(),
                name: new.name.clone(),
                before: String::new(),
                after: new.text.clone(),
                edits: Vec::new(),
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn file(&self, id: FileId, changes: &[&Change]) -> Result<FileChange, Disproof> {
        let tree = &self.trees[id.0 as usize];
        let no_edit = |error: crate::yaml::EditError| Disproof::NoEdit(error.to_string());
        let after = Patch::checked_text(tree, changes.iter().copied()).map_err(no_edit)?;
        let patch = Patch::new(tree, changes.iter().copied()).map_err(no_edit)?;
        let source = &self.sources[id];
        Ok(FileChange {
            file: Some(id),
            path: source.path.clone(),
            name: source.name.clone(),
            before: source.text.clone(),
            after,
            edits: patch
                .edits()
                .iter()
                .map(|edit| Splice { range: edit.range.clone(), text: edit.text.clone() })
                .collect(),
        })
    }

    /// The engine's view of the tree with these files, and every port that the
    /// changed policies name.
    pub(super) fn overlay(&self, files: &[FileChange]) -> Result<(Overlay, Vec<Packet>), Disproof> {
        let trees: Vec<Tree<'_>> =
            files.iter().map(|file| parse(file.file.unwrap_or(FileId(u32::MAX)), &file.after)).collect();
        let (removed, added) = self.changed_policies(files, &trees);
        let packets = named_packets(&added);
        let overlay = self.scene.engine.overlay(removed, &added);
        if (0..added.len()).any(|i| !overlay.refusals(i).is_empty()) {
            return Err(Disproof::Refused);
        }
        Ok((overlay, packets))
    }

    /// Proves a candidate against the denied sides that are still open.
    ///
    /// # Errors
    /// Says why it is no fix.
    pub fn prove(&self, candidate: Candidate, gaps: &[Gap]) -> Result<Proven, Disproof> {
        let files = self.files(std::iter::once(&candidate))?;
        let (overlay, packets) = self.overlay(&files)?;
        let mends = self.mended(&overlay, gaps, candidate.assumption.as_ref());
        if mends.is_empty() {
            return Err(Disproof::Useless);
        }
        let touched = self.touched(&overlay);
        let guarded = self.is_harmless(&overlay, &touched)?;
        let (opened, spread) = self.spread(&files, self.opened(&overlay, &touched, packets))?;
        Ok(Proven { candidate, mends, opened, spread, guarded, alternatives: Vec::new() })
    }

    /// Proves a mend for a request that a proxy refused: the edited rules cover
    /// it, and the packets fare as before.
    ///
    /// # Errors
    /// Says why it is no fix.
    pub fn prove_request(&self, candidate: Candidate, drop: usize) -> Result<Proven, Disproof> {
        let files = self.files(std::iter::once(&candidate))?;
        let (overlay, packets) = self.overlay(&files)?;
        let touched = self.touched(&overlay);
        let guarded = self.is_harmless(&overlay, &touched)?;
        let (opened, spread) = self.spread(&files, self.opened(&overlay, &touched, packets))?;
        let flow = &self.scene.drops[drop].distinct.flow;
        if !flow.request.as_ref().is_some_and(|request| self.covers(&files, request)) {
            return Err(Disproof::Useless);
        }
        let side = flow.side.unwrap_or(Side::Ingress);
        let mends = vec![Gap { drop, side }];
        Ok(Proven { candidate, mends, opened, spread, guarded, alternatives: Vec::new() })
    }

    /// Whether an L7 rule of the edited policies fits a request.
    fn covers(&self, files: &[FileChange], request: &Request) -> bool {
        let version = self.scene.engine.options().version;
        files.iter().any(|file| {
            let tree = parse(file.file.unwrap_or(FileId(u32::MAX)), &file.after);
            let policies = self.scene.model.policies_of(&tree);
            let rules = policies.iter().flat_map(|policy| &policy.rules).flat_map(|rule| &rule.sections);
            rules.flat_map(|section| section.port_lists()).any(|list| match request {
                Request::Http { method, path, host } => {
                    list.l7.http.iter().flatten().any(|rule| rule.covers(method, path, host))
                }
                Request::Dns { query } => {
                    list.l7.dns.iter().flatten().any(|rule| rule.matches(query, version))
                }
                Request::Other => false,
            })
        })
    }

    /// Proves again that several fixes together mend what each mends alone.
    ///
    /// # Errors
    /// When together they would not.
    pub fn prove_together<'c>(
        &self,
        fixes: impl Iterator<Item = &'c Proven> + Clone,
    ) -> Result<Vec<FileChange>, Disproof> {
        let files = self.files(fixes.clone().map(|fix| &fix.candidate))?;
        let (overlay, _) = self.overlay(&files)?;
        for fix in fixes {
            let mended = self.mended(&overlay, &fix.mends, fix.candidate.assumption.as_ref());
            if mended.len() < fix.mends.len() {
                return Err(Disproof::Useless);
            }
        }
        let touched = self.touched(&overlay);
        self.is_harmless(&overlay, &touched)?;
        self.spread(&files, Vec::new())?;
        Ok(files)
    }

    fn mended(&self, overlay: &Overlay, gaps: &[Gap], assumption: Option<&Assumption>) -> Vec<Gap> {
        let passes = |gap: &&Gap| {
            let drop = &self.scene.drops[gap.drop];
            let peer = match assumption {
                Some(_) => self.scene.assumed(drop.peer(gap.side)),
                None => drop.peer(gap.side),
            };
            self.scene
                .engine
                .side(Some(overlay), drop.subject(gap.side), peer, gap.side, drop.packet())
                .passes()
        };
        gaps.iter().filter(passes).copied().collect()
    }

    pub(super) fn touched(&self, overlay: &Overlay) -> Vec<IdentityId> {
        let everybody = self.scene.everybody.iter().copied();
        everybody.filter(|&id| overlay.touches(&self.scene.engine, id)).collect()
    }

    /// That an edit isolates nobody, keeps what passed and denies what was
    /// denied on purpose; how many flows that passed were judged again.
    pub(super) fn is_harmless(&self, overlay: &Overlay, touched: &[IdentityId]) -> Result<usize, Disproof> {
        self.isolates_nobody(overlay, touched)?;
        let guarded = self.keeps_what_passed(overlay, touched)?;
        self.keeps_denies(overlay)?;
        Ok(guarded)
    }

    /// What was seen to be wanted and not to pass.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Opened> {
        self.wanted.iter()
    }

    fn isolates_nobody(&self, overlay: &Overlay, touched: &[IdentityId]) -> Result<(), Disproof> {
        let engine = &self.scene.engine;
        let isolates = |&id: &IdentityId| {
            Side::BOTH
                .into_iter()
                .any(|side| !engine.isolates(None, id, side) && engine.isolates(Some(overlay), id, side))
        };
        if touched.iter().any(isolates) { Err(Disproof::Isolates) } else { Ok(()) }
    }

    /// Flows that were seen to pass, and that the manifests let pass, still do.
    fn keeps_what_passed(&self, overlay: &Overlay, touched: &[IdentityId]) -> Result<usize, Disproof> {
        let touched: FxHashSet<IdentityId> = touched.iter().copied().collect();
        let engine = &self.scene.engine;
        let mut guarded = 0;
        for passed in &self.scene.passed {
            for side in Side::BOTH {
                let (subject, peer) = (passed.subject(side), passed.peer(side));
                if !touched.contains(&subject)
                    || !engine.side(None, subject, peer, side, passed.packet()).passes()
                {
                    continue;
                }
                guarded += 1;
                if !engine.side(Some(overlay), subject, peer, side, passed.packet()).passes() {
                    return Err(Disproof::Loses);
                }
            }
        }
        Ok(guarded)
    }

    fn keeps_denies(&self, overlay: &Overlay) -> Result<(), Disproof> {
        let engine = &self.scene.engine;
        let undone = |(drop, side): &(usize, Side)| {
            let drop = &self.scene.drops[*drop];
            let after =
                engine.side(Some(overlay), drop.subject(*side), drop.peer(*side), *side, drop.packet());
            !matches!(after, SideVerdict::DeniedByRule(_))
        };
        if self.denied.iter().any(undone) { Err(Disproof::UndoesDeny) } else { Ok(()) }
    }

    /// Everything else that passes now: every touched endpoint with everybody, on
    /// the ports that the edited policies name, one beside each, and one that
    /// nobody names. Ports on which nothing listens do not count.
    pub(super) fn opened(
        &self,
        overlay: &Overlay,
        touched: &[IdentityId],
        mut packets: Vec<Packet>,
    ) -> Vec<Opened> {
        packets.extend([
            Packet::Port(Transport::Tcp, 9),
            Packet::Port(Transport::Udp, 9),
            Packet::Icmp(IcmpFamily::V4, 8),
        ]);
        packets.sort_unstable();
        packets.dedup();
        let mut opened = Vec::new();
        for &subject in touched {
            for side in Side::BOTH {
                // What an allow opens, it opens to its peers; only where default deny is gone is it everybody.
                let engine = &self.scene.engine;
                let closed = |overlay| engine.isolates(overlay, subject, side);
                let anybody = closed(None) && !closed(Some(overlay));
                for &peer in &self.scene.everybody {
                    if !anybody && !overlay.admits(engine, subject, peer, side) {
                        continue;
                    }
                    for &packet in &packets {
                        let (source, destination) =
                            if side == Side::Egress { (subject, peer) } else { (peer, subject) };
                        let flow = Opened { source, destination, packet };
                        if !self.wanted.contains(&flow)
                            && self.opens(overlay, flow, side)
                            && !self.is_wanted_of_its_workload(flow)
                        {
                            opened.push(flow);
                        }
                    }
                }
            }
        }
        opened.sort_unstable();
        opened.dedup();
        opened
    }

    /// Whether other pods of the same two workloads were seen to want it: a record
    /// may show fewer labels than the manifests do.
    fn is_wanted_of_its_workload(&self, flow: Opened) -> bool {
        let same = |a, b| self.scene.workloads().same(a, b);
        self.wanted.iter().any(|wanted| {
            wanted.packet == flow.packet
                && same(wanted.source, flow.source)
                && same(wanted.destination, flow.destination)
        })
    }

    fn opens(&self, overlay: &Overlay, flow: Opened, side: Side) -> bool {
        let engine = &self.scene.engine;
        if let Packet::Port(transport, port) = flow.packet
            && self.scene.listens(flow.destination, transport, port) == Some(false)
        {
            return false;
        }
        let (subject, peer) = if side == Side::Egress {
            (flow.source, flow.destination)
        } else {
            (flow.destination, flow.source)
        };
        let before = engine.side(None, subject, peer, side, flow.packet).passes();
        !before
            && engine.side(Some(overlay), subject, peer, side, flow.packet).passes()
            && engine.side(Some(overlay), peer, subject, side.other(), flow.packet).passes()
    }
}

/// The ports that policies name by number, and the ones just beyond.
fn named_packets(policies: &[Policy<'_>]) -> Vec<Packet> {
    let lists = policies.iter().flat_map(|p| &p.rules).flat_map(|r| &r.sections).flat_map(|s| s.port_lists());
    let mut packets = Vec::new();
    for port in lists.flat_map(|list| &list.ports) {
        let Literal::Number(number) = port.literal() else { continue };
        let end = port.end.and_then(|end| u16::try_from(end.value).ok()).unwrap_or(number).max(number);
        for &transport in port.transports().unwrap_or(&[]) {
            packets.extend([number, end, end.saturating_add(1)].map(|port| Packet::Port(transport, port)));
        }
    }
    packets
}
