//! Cilium's verdict: given all policies of a tree, whether a flow passes at its
//! source and at its destination (`semantics.md` 3.1).
//!
//! Policies are compiled once; each identity is taken in once, and remembers
//! which selectors match it and which rules are about it. A flow is then judged
//! from these without looking at any text. The engine knows no file and prints
//! nothing.

mod census;
mod compile;
mod compiled;
mod identity;
mod judge;
mod l7;
mod matcher;
mod matching;
mod observed;
mod overlay;
mod resolve;
pub mod trace;
mod truth;

use std::fmt;
use std::str::FromStr;

use rustc_hash::FxHashMap;

use census::Census;
use compiled::{CompiledPolicy, Selectors};
use identity::Known;
pub use identity::{Identity, IdentityId, NamedPort};
pub use judge::{Judgement, SideVerdict, Unknown};
pub use observed::End;
pub use overlay::Overlay;
pub use resolve::{Resolver, ServiceFacts};
pub use truth::Truth;

use crate::policy::{Fault, Policy};
use crate::version::CiliumVersion;

/// `policy-enforcement` of the agents (`semantics.md` 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforcement {
    /// A side is enforced when a policy speaks of it.
    #[default]
    Default,
    /// Both sides of every endpoint are enforced.
    Always,
    /// Nothing is enforced.
    Never,
}

impl FromStr for Enforcement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(format!("{text:?} is no enforcement mode: use default, always or never")),
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// What verdicts depend on beside policies and flows.
#[derive(Debug, Clone)]
pub struct Options {
    /// The release whose rules apply.
    pub version: CiliumVersion,
    /// The agents' mode.
    pub enforcement: Enforcement,
    /// The name of the local cluster.
    pub cluster: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: CiliumVersion::NEWEST,
            enforcement: Enforcement::Default,
            cluster: "default".to_owned(),
        }
    }
}

/// An element of a policy: indexes into the policies the engine was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementPlace {
    /// Which policy.
    pub policy: u32,
    /// Which of its rules.
    pub rule: u32,
    /// Which section of the rule.
    pub section: u32,
    /// Which element of the section.
    pub element: u32,
}

/// All policies, ready to judge.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    resolver: Resolver,
    policies: Vec<CompiledPolicy>,
    selectors: Index,
    rules: Index,
    identities: Vec<Subject>,
    numbers: FxHashMap<Identity, IdentityId>,
    census: Census,
}

/// Which of a list of selectors can match in which namespace.
#[derive(Debug, Default)]
struct Index {
    by_namespace: FxHashMap<Box<str>, Vec<u32>>,
    anywhere: Vec<u32>,
    list: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Selector(matcher::Matcher),
    Rule { policy: u32, rule: u32 },
}

impl Index {
    fn add(&mut self, entry: Entry, namespaces: Option<&[Box<str>]>) {
        let number = self.list.len() as u32;
        self.list.push(entry);
        match namespaces {
            None => self.anywhere.push(number),
            Some(namespaces) => {
                for namespace in namespaces {
                    self.by_namespace.entry(namespace.clone()).or_default().push(number);
                }
            }
        }
    }

    fn candidates<'n>(&self, namespaces: impl Iterator<Item = &'n str>) -> impl Iterator<Item = u32> {
        let here = namespaces.filter_map(|namespace| self.by_namespace.get(namespace));
        self.anywhere.iter().chain(here.flatten()).copied()
    }
}

/// An identity with all that is remembered of it.
#[derive(Debug)]
struct Subject {
    id: IdentityId,
    known: Known,
    /// Whether its labels are known at all.
    has_labels: bool,
    /// Two bits for each selector: matches, may match.
    matches: Vec<u64>,
    /// The rules that are about it, in order, and whether that is certain.
    rules: Vec<(u32, u32, Truth)>,
    /// Why its policy cannot be computed, if so.
    contradiction: Option<&'static str>,
}

impl Engine {
    /// Compiles all policies of a tree.
    pub fn new(policies: &[Policy<'_>], resolver: Resolver, options: Options) -> Self {
        let mut selectors = Selectors::default();
        let mut compiled = Vec::with_capacity(policies.len());
        for (i, policy) in policies.iter().enumerate() {
            let mut policy = compile::compile(policy, i as u32, &options, &resolver);
            selectors.number(&mut policy);
            compiled.push(policy);
        }
        let mut selector_index = Index::default();
        for matcher in selectors.list {
            let namespaces = matcher.namespaces().map(<[_]>::to_vec);
            selector_index.add(Entry::Selector(matcher), namespaces.as_deref());
        }
        let mut rules = Index::default();
        for (p, policy) in compiled.iter().enumerate() {
            for (r, rule) in policy.rules.iter().enumerate() {
                let entry = Entry::Rule { policy: p as u32, rule: r as u32 };
                rules.add(entry, rule.subject.namespaces());
            }
        }
        Self {
            options,
            resolver,
            policies: compiled,
            selectors: selector_index,
            rules,
            identities: Vec::new(),
            numbers: FxHashMap::default(),
            census: Census::default(),
        }
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Why a policy is not in force; empty when it is.
    pub fn refusals(&self, policy: usize) -> &[Fault] {
        &self.policies[policy].refusals
    }

    /// Takes an identity in, once for all equal ones.
    pub fn identify(&mut self, identity: Identity) -> IdentityId {
        if let Some(&id) = self.numbers.get(&identity) {
            return id;
        }
        let id = IdentityId(self.identities.len() as u32);
        let subject = self.subject(id, identity.clone());
        self.census.add(id, subject.known.namespaces(), subject.rules.iter().map(|(policy, ..)| *policy));
        self.identities.push(subject);
        self.numbers.insert(identity, id);
        id
    }

    /// The identity behind a number.
    pub fn identity(&self, id: IdentityId) -> &Identity {
        &self.identities[id.0 as usize].known.identity
    }

    /// All identities taken in so far.
    pub fn identities(&self) -> impl Iterator<Item = IdentityId> + use<> {
        (0..self.identities.len() as u32).map(IdentityId)
    }

    fn subject(&self, id: IdentityId, identity: Identity) -> Subject {
        let has_labels = !identity.labels.is_empty();
        let known = Known::new(identity, &self.options.cluster);
        let mut matches = vec![0; self.selectors.list.len().div_ceil(32)];
        for number in self.selectors.candidates(known.namespaces()) {
            let Entry::Selector(matcher) = &self.selectors.list[number as usize] else { continue };
            let bits = match matcher.matches(&known) {
                Truth::No => 0,
                Truth::Maybe => 1,
                Truth::Yes => 2,
            };
            matches[number as usize / 32] |= bits << (number % 32 * 2);
        }
        let mut rules: Vec<_> = self
            .rules
            .candidates(known.namespaces())
            .filter_map(|number| match self.rules.list[number as usize] {
                Entry::Rule { policy, rule } => {
                    let truth = self.policies[policy as usize].rules[rule as usize].is_about(&known);
                    (truth != Truth::No).then_some((policy, rule, truth))
                }
                Entry::Selector(_) => None,
            })
            .collect();
        rules.sort_unstable();
        rules.dedup();
        let selected = rules.iter().map(|&(p, r, _)| &self.policies[p as usize].rules[r as usize]);
        let contradiction = l7::contradiction(selected);
        Subject { id, known, has_labels, matches, rules, contradiction }
    }
}
