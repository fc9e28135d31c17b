//! The run over all rules: which are wanted, in which order they look, and what
//! is silenced.

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::context::{Context, Judge};
use super::found::{Findings, Found};
use super::ignore::{Ignores, Unused};
use super::registry::{Check, Family, RULES, Rule, rule};
use crate::finding::Severity;
use crate::source::{FileId, Span};
use crate::spelling::nearest;

/// Which rules are wanted.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    select: Vec<&'static Rule>,
    named: Vec<&'static Rule>,
    ignore: Vec<&'static Rule>,
    pedantic: bool,
}

/// A name that is neither a rule's nor a family's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule and no family {name:?}{hint}; `policyfix lint --list-rules` shows them")]
pub struct UnknownName {
    name: String,
    hint: String,
}

impl Choice {
    /// The rules of these ids and families, all where `select` is empty, but
    /// not the ignored ones. A rule that is selected by its own id tells its
    /// notes too.
    ///
    /// # Errors
    /// When a name is neither a rule's nor a family's.
    pub fn new(select: &[String], ignore: &[String], pedantic: bool) -> Result<Self, UnknownName> {
        let select_all: Vec<_> = select.iter().map(|name| named(name)).collect::<Result<_, _>>()?;
        let ignore: Vec<_> = ignore.iter().map(|name| named(name)).collect::<Result<_, _>>()?;
        Ok(Self {
            select: select_all.into_iter().flatten().collect(),
            named: select.iter().filter_map(|name| rule(name)).collect(),
            ignore: ignore.into_iter().flatten().collect(),
            pedantic,
        })
    }

    /// Whether a rule is to be asked.
    pub fn wants(&self, rule: &Rule) -> bool {
        let among = |rules: &[&'static Rule]| rules.iter().any(|own| own.id == rule.id);
        (self.select.is_empty() || among(&self.select)) && !among(&self.ignore)
    }

    fn tells(&self, found: &Found) -> bool {
        found.severity > Severity::Note
            || self.pedantic
            || self.named.iter().any(|own| own.id == found.rule.id)
    }
}

fn named(name: &str) -> Result<Vec<&'static Rule>, UnknownName> {
    if let Some(rule) = rule(name) {
        return Ok(vec![rule]);
    }
    if let Some((_, family)) = Family::NAMES.iter().find(|(own, _)| *own == name) {
        return Ok(RULES.iter().filter(|rule| rule.family == *family).collect());
    }
    let known = RULES.iter().map(|rule| rule.id).chain(Family::NAMES.iter().map(|(name, _)| *name));
    let hint = nearest(name, known).map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(UnknownName { name: name.to_owned(), hint })
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The findings, in the order of files and places.
    pub findings: Vec<Found>,
    /// Comments that silence nothing.
    pub unused: Vec<Unused>,
}

impl Outcome {
    /// Adds what was found in another cluster. What silences something in one of
    /// them is not unused.
    fn add(&mut self, other: Self) {
        let key = |found: &Found| (found.rule.id, found.primary.span);
        let known: FxHashSet<_> = self.findings.iter().map(key).collect();
        self.findings.extend(other.findings.into_iter().filter(|found| !known.contains(&key(found))));
        self.findings.sort_by_key(place_in_order);
        self.unused.retain(|own| other.unused.iter().any(|unused| unused.span == own.span));
    }
}

fn place_in_order(found: &Found) -> (FileId, u32, usize) {
    (found.primary.span.file, found.primary.span.start, place_of(found.rule))
}

/// Asks all wanted rules, in each of the clusters that the tree is for: an
/// overlay may hold policies of its own.
pub fn run(context: &Context<'_, '_>, choice: &Choice) -> Outcome {
    let mut outcome = run_in(context, choice);
    for (_, other) in context.model.others() {
        outcome.add(run_in(&context.of(&other), choice));
    }
    outcome
}

fn run_in(context: &Context<'_, '_>, choice: &Choice) -> Outcome {
    // Read before the rules share out their work, since they wait for it.
    context.shape();
    let ((mut found, of_trees), of_verdicts) = rayon::join(
        || rayon::join(|| ask_policies(context, choice), || ask_trees(context, choice)),
        || ask_for_verdicts(context, choice),
    );
    found.extend(of_trees);
    found.extend(of_verdicts);
    found.retain(|found| {
        choice.tells(found)
            && context.is_reported(found.primary.span.file)
            && !is_hidden(context, found.primary.span)
    });
    found.sort_by_key(place_in_order);
    found.dedup_by(|b, a| a.rule.id == b.rule.id && a.primary.span == b.primary.span);
    tell_shapes_once(&mut found);
    let mut ignores = Ignores::of(context, choice);
    found.retain(|found| !ignores.silence(context, found));
    Outcome { findings: found, unused: ignores.unused() }
}

fn ask_policies(context: &Context<'_, '_>, choice: &Choice) -> Vec<Found> {
    let rules: Vec<_> = RULES
        .iter()
        .filter(|rule| choice.wants(rule))
        .filter_map(|rule| match rule.check {
            Check::Policy(check) => Some((rule, check)),
            Check::Tree(_) | Check::Verdicts(_) => None,
        })
        .collect();
    let policies: Vec<_> =
        context.policies().filter(|policy| context.is_reported(policy.value.tree().file)).collect();
    let asked: Vec<Vec<Found>> = policies
        .into_par_iter()
        .map(|policy| {
            let mut found = Vec::new();
            for (rule, check) in &rules {
                check(context, policy, &mut Findings::of(rule, &mut found));
            }
            found
        })
        .collect();
    asked.into_iter().flatten().collect()
}

fn ask_trees(context: &Context<'_, '_>, choice: &Choice) -> Vec<Found> {
    let asked = RULES.par_iter().filter(|rule| choice.wants(rule)).map(|rule| {
        let mut found = Vec::new();
        if let Check::Tree(check) = rule.check {
            check(context, &mut Findings::of(rule, &mut found));
        }
        found
    });
    asked.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn ask_for_verdicts(context: &Context<'_, '_>, choice: &Choice) -> Vec<Found> {
    let mut found = Vec::new();
    let mut judge = Judge::new(context);
    for rule in RULES.iter().filter(|rule| choice.wants(rule)) {
        if let Check::Verdicts(check) = rule.check {
            check(context, &mut judge, &mut Findings::of(rule, &mut found));
        }
    }
    found
}

fn place_of(rule: &Rule) -> usize {
    RULES.iter().position(|own| own.id == rule.id).unwrap_or(RULES.len())
}

/// Nothing is said of a place that holds a variable, nor of a document with
/// template braces: nobody knows what stands there.
fn is_hidden(context: &Context<'_, '_>, span: Span) -> bool {
    let Some(tree) = context.trees.get(span.file.0 as usize) else { return false };
    if lines_of(tree.text, span).contains("${") {
        return true;
    }
    let document = tree.documents.iter().find(|d| (d.start..d.end.max(d.start + 1)).contains(&span.start));
    document.is_some_and(|document| {
        tree.text.get(document.start as usize..document.end as usize).is_some_and(|text| text.contains("{{"))
    })
}

/// The whole lines in which a span lies.
fn lines_of(text: &str, span: Span) -> &str {
    let before = text.get(..span.start as usize).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let after = text.get(span.end as usize..).unwrap_or_default();
    let end = span.end as usize + after.find('\n').unwrap_or(after.len());
    text.get(start..end).unwrap_or_default()
}

/// What two findings about one place are compared by.
#[derive(Clone, Copy)]
struct Claim {
    span: Span,
    /// The entry whose key or value is the place.
    entry: Option<(Span, Span)>,
    /// Whether it is about shape, or refused for it.
    shape: bool,
    /// Whether its rule tells of many different faults.
    general: bool,
    severity: Severity,
    /// That with a mend first, else in the order of the rules.
    rank: (bool, usize),
}

impl Claim {
    fn of(found: &Found) -> Self {
        let family = found.rule.family;
        Self {
            span: found.primary.span,
            entry: found.entry,
            shape: matches!(family, Family::Shape | Family::Refused) || found.rule.id == "empty-list-as-deny",
            general: matches!(found.rule.id, "wrong-shape" | "policy-refused"),
            severity: found.severity,
            rank: (found.mend.is_none(), place_of(found.rule)),
        }
    }

    /// Whether it is about the key or the value of an entry.
    fn is_of(&self, entry: Option<(Span, Span)>) -> bool {
        entry.is_some_and(|(key, value)| self.span == key || self.span == value)
    }

    /// Whether nothing is lost without this one where the other is told.
    fn is_told_by(&self, other: &Self) -> bool {
        let near = overlaps(other.span, self.span) || self.is_of(other.entry) || other.is_of(self.entry);
        let better = other.shape && other.rank < self.rank && near;
        let special = self.general && !other.general && other.span == self.span;
        (better || special) && other.severity >= self.severity
    }
}

/// Shape and refusal are looked at from several sides: of the findings about
/// one place, or a part of it, one is told: that with a mend, else the first
/// rule's. What another rule tells of exactly that place says it better, where
/// it is as grave.
fn tell_shapes_once(found: &mut Vec<Found>) {
    let claims: Vec<(Span, Claim)> = found.iter().map(|f| (f.primary.span, Claim::of(f))).collect();
    let mut own = claims.iter();
    found.retain(|_| {
        let Some((span, own)) = own.next() else { return true };
        !own.shape || !neighbours(&claims, *span).iter().any(|(_, other)| own.is_told_by(other))
    });
}

/// Those of the same file; the list is sorted by file.
fn neighbours<T>(places: &[(Span, T)], span: Span) -> &[(Span, T)] {
    let first = places.partition_point(|(other, _)| other.file < span.file);
    let end = places.partition_point(|(other, _)| other.file <= span.file);
    places.get(first..end).unwrap_or_default()
}

fn overlaps(a: Span, b: Span) -> bool {
    a == b || (a.start < b.end && b.start < a.end)
}
