//! What is told of a fix, and of a drop that nothing mends.

use std::collections::BTreeSet;

use super::Teller;
use crate::diagnose::Gap;
use crate::engine::IdentityId;
use crate::finding::{Finding, Fix, Label, Note, Severity};
use crate::policy::Namespace;
use crate::repair::{self, NoFix, Opened, identity_name};
use crate::source::Span;

impl Teller<'_, '_, '_, '_> {
    /// The finding of a fix, and whether its parts hold together.
    pub(super) fn fix(&self, fix: &repair::Fix) -> (Finding, bool) {
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

    /// What a fix opens, in words: the drops, and what nobody was seen to want.
    fn opens(&self, fix: &repair::Fix, drops: &[usize]) -> String {
        let mut wanted: Vec<String> = drops.iter().map(|&drop| self.flow(&self.scene.drops[drop])).collect();
        wanted.dedup();
        let alike: BTreeSet<&String> = fix.parts.iter().flat_map(|part| &part.spread.alike).collect();
        let mut wanted = listed(&wanted);
        if !alike.is_empty() {
            let alike: Vec<String> = alike.into_iter().cloned().collect();
            wanted.push_str(&format!(", and the same in {}", listed(&alike)));
        }
        let mut surplus: Vec<Opened> =
            fix.parts.iter().flat_map(|part| part.opened.iter().copied()).collect();
        surplus.sort_unstable();
        surplus.dedup();
        let elsewhere = fix.parts.iter().flat_map(|part| part.spread.surplus.iter().cloned());
        let elsewhere: Vec<String> = elsewhere.collect();
        if surplus.is_empty() && elsewhere.is_empty() {
            // L7 rules hold for every peer of their element.
            let asked = drops.iter().any(|&drop| self.scene.drops[drop].distinct.flow.request.is_some());
            let whom = if asked { " and whoever else the rule admits" } else { "" };
            return format!("{wanted}{whom}, nothing else");
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

    pub(super) fn unmended(&self, unmended: &repair::Unmended) -> Finding {
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
}

/// At most three of a list, and how many more.
fn listed(items: &[String]) -> String {
    let shown = items.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
