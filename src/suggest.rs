//! The story of `policyfix suggest`: read, model, judge, diagnose, propose,
//! prove, rank, write. What comes out is findings, and the files as they are
//! with every fix that may be trusted.

mod elsewhere;

pub use elsewhere::where_dropped;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnose::{Aside, Gap, Observed, Reason, Scene, sort_out};
use crate::engine::{self, ElementPlace, IdentityId};
use crate::finding::{FileChange, Finding, Fix, Label, Note, Safety, Severity};
use crate::flow::{Distinct, explain_reason};
use crate::model::Model;
use crate::policy::Namespace;
use crate::repair::{self, NoFix, Opened, Plan, Prefer, Prover, identity_name};
use crate::source::{Sources, Span};
use crate::traffic::Side;
use crate::yaml::Tree;

/// What to do with what is found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Fixes whose intent is a guess count too.
    pub unsafe_fixes: bool,
    /// What to favour.
    pub prefer: Prefer,
    /// Flows that passed only because policy was in audit mode count as drops.
    pub include_audit: bool,
    /// How many of the next best fixes to tell for each.
    pub alternatives: usize,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Suggestion {
    /// What is told to people, most important first.
    pub findings: Vec<Finding>,
    /// The files with every accepted fix applied.
    pub files: Vec<FileChange>,
    /// What it came to.
    pub tally: Tally,
}

/// The numbers of the last line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Drops that policy caused, by packets.
    pub drops: u64,
    /// Of these, how many the accepted fixes mend.
    pub mended: u64,
    /// Accepted fixes.
    pub fixes: usize,
    /// Fixes that are only told, because their intent is a guess.
    pub withheld: usize,
    /// Distinct drops that policy caused and nothing mends.
    pub unmended: usize,
    /// Distinct drops that policy did not cause or that no allow mends, by kind.
    pub asides: BTreeMap<&'static str, u64>,
    /// Distinct drops that are set aside for a deny rule or for want of knowledge.
    pub denied_on_purpose: usize,
}

/// Diagnoses every drop and mends what can be mended.
pub fn suggest<'s>(
    model: &Model<'s>,
    trees: &'s [Tree<'s>],
    sources: &Sources,
    options: engine::Options,
    flows: Vec<Distinct>,
    wishes: Wishes,
) -> Suggestion {
    let others = model.others();
    let beside: Vec<(String, Scene<'_, 's>)> = others
        .iter()
        .map(|(name, other)| (name.to_string(), Scene::new(other, options.clone(), flows.clone())))
        .collect();
    let scene = Scene::new(model, options, flows);
    let (gaps, requests, asides) = sort_out(&scene, wishes.include_audit);
    let provers = beside.iter().map(|(name, scene)| (name.clone(), Prover::new(scene, trees, sources)));
    let prover = Prover::new(&scene, trees, sources).beside(provers.collect());
    let plan = repair::plan(&prover, &gaps, &requests, wishes.prefer);
    Teller { scene: &scene, sources, prover: &prover, wishes }.tell(plan, &asides, requests)
}

struct Teller<'t, 'p, 'm, 's> {
    scene: &'t Scene<'m, 's>,
    sources: &'t Sources,
    prover: &'t Prover<'p, 'm, 's>,
    wishes: Wishes,
}

impl Teller<'_, '_, '_, '_> {
    fn tell(&self, plan: Plan, asides: &[Aside], requests: Vec<usize>) -> Suggestion {
        let mut outcome = Suggestion::default();
        let mut accepted: Vec<repair::Fix> = Vec::new();
        for fix in plan.fixes {
            let (finding, proven) = self.fix(&fix);
            let wanted = proven && (self.wishes.unsafe_fixes || fix.safety() == Safety::Safe);
            let packets = self.packets(&fix);
            outcome.tally.drops += packets;
            if wanted {
                outcome.tally.mended += packets;
                outcome.tally.fixes += 1;
                accepted.push(fix);
            } else {
                outcome.tally.withheld += 1;
            }
            outcome.findings.push(finding);
        }
        outcome.files = self.all_files(&mut accepted);
        let mut unmended_drops: Vec<usize> = Vec::new();
        for unmended in &plan.unmended {
            if !unmended_drops.contains(&unmended.gap.drop) {
                unmended_drops.push(unmended.gap.drop);
                outcome.tally.drops += self.scene.drops[unmended.gap.drop].distinct.count;
                outcome.findings.push(self.unmended(unmended));
            }
        }
        let mended_requests: Vec<usize> = accepted.iter().flat_map(|fix| fix.drops()).collect();
        for drop in requests.into_iter().filter(|drop| !mended_requests.contains(drop)) {
            unmended_drops.push(drop);
        }
        outcome.tally.unmended = unmended_drops.len();
        for aside in asides {
            *outcome.tally.asides.entry(kind(&aside.reason)).or_default() +=
                self.scene.drops[aside.drop].distinct.count;
            if matches!(aside.reason, Reason::ExplicitDeny { .. } | Reason::Undecided(_) | Reason::Broken(..))
            {
                outcome.tally.denied_on_purpose += 1;
            }
        }
        outcome.findings.extend(self.asides(asides));
        outcome
    }

    /// The files with all accepted fixes; a fix that does not go together with
    /// the ones before it is left for the next run.
    fn all_files(&self, accepted: &mut Vec<repair::Fix>) -> Vec<FileChange> {
        let together =
            |fixes: &[repair::Fix]| self.prover.prove_together(fixes.iter().flat_map(|fix| &fix.parts));
        let mut kept: Vec<repair::Fix> = Vec::new();
        let mut files = Vec::new();
        // Halves of what does not go together are tried in turn, so that one fix
        // in the way of many costs a few proofs and not one for each.
        let mut waiting = vec![std::mem::take(accepted)];
        while let Some(mut fixes) = waiting.pop() {
            let before = kept.len();
            kept.append(&mut fixes);
            match together(&kept) {
                Ok(all) => files = all,
                Err(_) => {
                    let mut first = kept.split_off(before);
                    if first.len() > 1 {
                        let second = first.split_off(first.len() / 2);
                        waiting.extend([second, first]);
                    }
                }
            }
        }
        *accepted = kept;
        files
    }

    fn packets(&self, fix: &repair::Fix) -> u64 {
        fix.drops().into_iter().map(|drop| self.scene.drops[drop].distinct.count).sum()
    }

    /// The finding of a fix, and whether its parts hold together.
    fn fix(&self, fix: &repair::Fix) -> (Finding, bool) {
        let first = &fix.parts[0];
        let drops: Vec<usize> = fix.drops().into_iter().collect();
        let files = match fix.parts.as_slice() {
            [part] => Ok(part.files.clone()),
            parts => self.prover.prove_together(parts.iter()),
        };
        let proven = files.is_ok();
        let titles: Vec<&str> = fix.parts.iter().map(|part| part.candidate.title.as_str()).collect();
        let title = titles.join("; ");
        let safety = fix.safety();
        let mut notes = vec![Note { heading: "why", text: self.why(fix) }];
        notes.push(Note { heading: "seen", text: self.seen(&drops) });
        notes.push(Note {
            heading: "fix",
            text: format!("{title} ({}): opens {}", safety.as_str(), self.opens(fix, &drops)),
        });
        notes.extend(
            fix.parts
                .iter()
                .filter_map(|part| part.candidate.evidence.clone())
                .map(|text| Note { heading: "for", text }),
        );
        notes.extend(self.namespace(first.candidate.blame.span, first.mends.first()));
        notes.push(Note { heading: "proof", text: self.proof(fix, proven) });
        notes.extend(self.elsewhere(fix, &drops));
        let others = fix.parts.iter().flat_map(|part| &part.alternatives).take(self.wishes.alternatives);
        notes.extend(others.map(|text| Note { heading: "else", text: text.clone() }));
        let mut related: Vec<Label> =
            fix.parts.iter().skip(1).map(|part| part.candidate.blame.clone()).collect();
        related.extend(fix.parts.iter().flat_map(|part| part.candidate.related.clone()));
        related.extend(repair::not_applied(self.scene, fix));
        let finding = Finding {
            id: first.candidate.cause,
            severity: Severity::Error,
            title: self.title(drops[0], first.mends.iter().map(|gap| gap.side).next(), drops.len() - 1),
            primary: Some(first.candidate.blame.clone()),
            related,
            notes,
            fix: Some(Fix { title, safety, files: files.unwrap_or_default() }),
        };
        (finding, proven)
    }

    /// Where the namespace of the blamed policy comes from, if not from its own text.
    fn namespace(&self, blamed: Span, gap: Option<&Gap>) -> Option<Note> {
        let holds =
            |span: Span| span.file == blamed.file && span.start <= blamed.start && blamed.end <= span.end;
        let subject = gap.and_then(|gap| {
            let drop = self.scene.drops.get(gap.drop)?;
            self.scene.namespace(drop.subject(gap.side))
        });
        // Of a policy that is applied in several namespaces, that of the drop.
        let held = || self.scene.model.policies.iter().filter(|policy| holds(policy.value.span()));
        let policy = held().find(|policy| policy.namespace.name() == subject).or_else(|| held().next())?;
        if let Namespace::Inferred(name) = &policy.namespace {
            let text =
                format!("namespace {name} is inferred: only there it selects an endpoint that was seen");
            return Some(Note { heading: "tree", text });
        }
        let (name, from) = (policy.namespace.name()?, policy.namespace_from()?);
        let text = format!("namespace {name} from {}", self.sources.place(from));
        Some(Note { heading: "tree", text })
    }

    fn why(&self, fix: &repair::Fix) -> String {
        let mut whys: Vec<&str> = Vec::new();
        for part in &fix.parts {
            if !whys.contains(&part.candidate.why.as_str()) {
                whys.push(&part.candidate.why);
            }
        }
        whys.join("; ")
    }

    fn title(&self, drop: usize, side: Option<Side>, more: usize) -> String {
        let observed = &self.scene.drops[drop];
        let side = side.or(observed.distinct.flow.side).map_or(String::new(), |side| format!(" at {side}"));
        let also = match more {
            0 => String::new(),
            1 => " (and 1 more flow)".to_owned(),
            more => format!(" (and {more} more flows)"),
        };
        format!("{} is dropped{side}{also}", self.flow(observed))
    }

    fn flow(&self, observed: &Observed) -> String {
        let name = |id| identity_name(self.scene, id);
        format!(
            "{} → {} {}",
            name(observed.source.identity),
            name(observed.destination.identity),
            observed.packet()
        )
    }

    fn seen(&self, drops: &[usize]) -> String {
        let count: u64 = drops.iter().map(|&drop| self.scene.drops[drop].distinct.count).sum();
        let last =
            drops.iter().filter_map(|&drop| self.scene.drops[drop].distinct.span).map(|(_, last)| last).max();
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        match last {
            Some(last) => format!("{times}, last on {}", last.strftime("%Y-%m-%d at %H:%M:%S")),
            None => times,
        }
    }

    /// What a fix opens, in words: the drops, and what nobody was seen to want.
    fn opens(&self, fix: &repair::Fix, drops: &[usize]) -> String {
        let mut wanted: Vec<String> = drops.iter().map(|&drop| self.flow(&self.scene.drops[drop])).collect();
        wanted.dedup();
        let alike: BTreeSet<&str> =
            fix.parts.iter().flat_map(|part| &part.spread.alike).map(String::as_str).collect();
        let mut wanted = listed(&wanted);
        if !alike.is_empty() {
            let alike: Vec<String> = alike.into_iter().map(str::to_owned).collect();
            wanted.push_str(&format!(", and the same in {}", listed(&alike)));
        }
        let mut surplus: Vec<Opened> =
            fix.parts.iter().flat_map(|part| part.opened.iter().copied()).collect();
        surplus.sort_unstable();
        surplus.dedup();
        let elsewhere = fix.parts.iter().flat_map(|part| part.spread.surplus.iter().cloned());
        let elsewhere: Vec<String> = elsewhere.collect();
        if surplus.is_empty() && elsewhere.is_empty() {
            return format!("{wanted}, nothing else");
        }
        let name = |id: IdentityId| identity_name(self.scene, id);
        let mut also: Vec<String> = surplus
            .iter()
            .map(|o| format!("{} → {} {}", name(o.source), name(o.destination), o.packet))
            .collect();
        also.extend(elsewhere);
        also.dedup();
        let own_word = if fix.parts.iter().all(|part| part.candidate.corrects) {
            ", which the policy says already"
        } else {
            ""
        };
        format!("{wanted}; and also {}{own_word}", listed(&also))
    }

    fn proof(&self, fix: &repair::Fix, proven: bool) -> String {
        if !proven {
            return "its parts do not hold together; nothing is changed".to_owned();
        }
        let guarded: usize = fix.parts.iter().map(|part| part.guarded).sum();
        let passes = if fix.drops().len() == 1 { "the flow passes" } else { "the flows pass" };
        let kept = match guarded {
            0 => "no flow that was seen to pass is concerned".to_owned(),
            1 => "1 flow that passed still passes".to_owned(),
            guarded => format!("{guarded} flows that passed still pass"),
        };
        let assumed = if fix.parts.iter().any(|part| part.candidate.assumption.is_some()) {
            ", if the address belongs to the name"
        } else {
            ""
        };
        format!("{passes} on both sides{assumed}; {kept}; nobody is newly isolated")
    }

    fn unmended(&self, unmended: &repair::Unmended) -> Finding {
        let drop = &self.scene.drops[unmended.gap.drop];
        let mut notes = vec![Note { heading: "seen", text: self.seen(&[unmended.gap.drop]) }];
        let title = self.title(unmended.gap.drop, Some(unmended.gap.side), 0);
        let enforcing = self.scene.engine.isolating(drop.subject(unmended.gap.side), unmended.gap.side);
        let isolating = enforcing.first().and_then(|index| self.scene.model.policies.get(*index as usize));
        let (id, primary, related) = match &unmended.why {
            NoFix::ChangedAddress { service, place, rule } => {
                notes.insert(0, Note {
                    heading: "why",
                    text: format!("Service {service} puts the address of a node in the place of the client's, so a rule for the client's address cannot match"),
                });
                notes.push(Note {
                    heading: "mend",
                    text: format!("set externalTrafficPolicy: Local on Service {service}, or let Cilium use DSR; admitting the entity remote-node would let in every node"),
                });
                let primary =
                    Label { span: *rule, text: "means the client, who is not seen here".to_owned() };
                (
                    "snat-source",
                    Some(primary),
                    vec![Label { span: *place, text: format!("Service {service}") }],
                )
            }
            NoFix::Nothing => {
                notes.insert(
                    0,
                    Note {
                        heading: "why",
                        text: "nothing allows it, and no edit could be proven to mend it without harm"
                            .to_owned(),
                    },
                );
                let primary = isolating.map(|policy| Label {
                    span: policy.place(),
                    text: format!("closes {}", unmended.gap.side),
                });
                ("missing-policy", primary, Vec::new())
            }
        };
        Finding { id, severity: Severity::Error, title, primary, related, notes, fix: None }
    }

    /// One finding for all drops that were set aside for the same reason.
    fn asides(&self, asides: &[Aside]) -> Vec<Finding> {
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
                let text = crate::report::verdict::why_unknown(*unknown, self.scene.model);
                finding.notes.push(Note { heading: "why", text: format!("undecided: {text}") });
            }
            Reason::Broken(_, why) => {
                finding.severity = Severity::Error;
                finding.notes.push(Note {
                    heading: "why",
                    text: format!("the endpoint's policy cannot be computed: {why}; it keeps its last working one"),
                });
            }
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
        let name = crate::report::verdict::name(end);
        format!(
            "the labels of {name} are not known: the record has none, and no manifest here makes such a pod; give `--inventory` with the output of `kubectl get pods -A -o json`"
        )
    }

    fn place(&self, place: ElementPlace) -> Option<Span> {
        Some(crate::report::verdict::element(self.scene.model, place)?.value.span())
    }
}

/// At most three of a list, and how many more.
fn listed(items: &[String]) -> String {
    let shown = items.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
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

fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::NotPolicy(_) | Reason::OtherProtocol => "not-policy",
        Reason::Reply => "reply",
        Reason::AlreadyAllowed { .. } => "already-allowed",
        Reason::ExplicitDeny { .. } => "explicit-deny",
        Reason::ServiceAddress { .. } => "service-vip",
        Reason::Authentication => "authentication",
        Reason::UnknownLabels(_) | Reason::Undecided(_) | Reason::Broken(..) => "undecided",
    }
}
