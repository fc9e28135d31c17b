//! What lint rules ask about: the policies of the tree, the workloads that
//! their selectors match, and what is certain enough to speak of.

use std::sync::OnceLock;

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::matching::matches;
use super::population::{Member, Population};
use super::subjects::RuleSubject;
use crate::engine::{self, Engine, Truth};
use crate::gitops::{Applied, KUSTOMIZATION, NotApplied, is_archived};
use crate::inventory::Workload;
use crate::manifest::Object;
use crate::model::Model;
use crate::policy::selector::Requirement;
use crate::policy::{
    Element, Fault, Namespace, Policy, PolicyKind, Rule, Section, Selector, Subject, injection, refuse,
};
use crate::schema::{self, Kind, SchemaError};
use crate::source::{FileId, Source, Sources};
use crate::version::CiliumVersion;
use crate::yaml::Tree;

/// What the rules depend on beside the manifests.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the cluster is set up.
    pub engine: engine::Options,
    /// Whether the release was said, and not assumed to be the newest.
    pub version_is_given: bool,
    /// The files to report on; all of them when `None`. The others are only judged with.
    pub reported: Option<FxHashSet<FileId>>,
    /// Addresses of pods and Services, where they are configured.
    pub managed: Vec<ipnet::IpNet>,
}

/// Everything a rule can ask.
pub struct Context<'c, 's> {
    /// The manifests.
    pub model: &'c Model<'s>,
    /// Their trees, in the order of the files.
    pub trees: &'s [Tree<'s>],
    /// Their texts.
    pub sources: &'c Sources,
    /// What else counts.
    pub options: &'c Options,
    /// Which files belong to the tree and are no archive; the others are not listed.
    live: Vec<bool>,
    /// Whether the tree is deployed by tools that can change namespaces.
    deployed_by_tools: bool,
    population: OnceLock<Population<'c>>,
    subjects: OnceLock<Vec<RuleSubject<'c, 's>>>,
    shape: OnceLock<Vec<(usize, Vec<SchemaError>)>>,
}

/// An element of a policy with all that it stands in.
#[derive(Clone, Copy)]
pub(in crate::lint) struct ElementAt<'p, 's> {
    /// The rule.
    pub rule: &'p Rule<'s>,
    /// The section.
    pub section: &'p Section<'s>,
    /// The element.
    pub element: &'p Element<'s>,
}

/// Every element of a policy, in order.
pub(in crate::lint) fn elements<'p, 's>(policy: &'p Policy<'s>) -> impl Iterator<Item = ElementAt<'p, 's>> {
    policy.rules.iter().flat_map(|rule| {
        rule.sections.iter().flat_map(move |section| {
            section.elements.iter().map(move |element| ElementAt { rule, section, element })
        })
    })
}

/// The selector of endpoints of a rule.
pub(in crate::lint) fn subject_selector<'p, 's>(rule: &'p Rule<'s>) -> Option<&'p Selector<'s>> {
    match &rule.subject {
        Subject::Endpoints(selector) => Some(selector),
        Subject::Nodes(_) | Subject::Unclear => None,
    }
}

impl<'c, 's> Context<'c, 's> {
    /// Over a model and the trees that it was read from.
    pub fn new(
        model: &'c Model<'s>,
        trees: &'s [Tree<'s>],
        sources: &'c Sources,
        first_inventory: FileId,
        options: &'c Options,
    ) -> Self {
        let is_own_kustomization =
            |(file, source): (FileId, &Source)| model.is_asked_for(file) && is_kustomization(&source.name);
        let deployed_by_tools = model.hangs_on_surroundings()
            || model.counting_objects().any(|(_, object)| is_deployment_tool(object))
            || sources.iter().any(is_own_kustomization);
        let live = |(file, source): (FileId, &Source)| file < first_inventory && !is_archived(&source.name);
        let live = sources.iter().map(live).collect();
        Self {
            model,
            trees,
            sources,
            options,
            live,
            deployed_by_tools,
            population: OnceLock::new(),
            subjects: OnceLock::new(),
            shape: OnceLock::new(),
        }
    }

    /// The same tree as another cluster gets it.
    pub(in crate::lint) fn of<'o>(&'o self, model: &'o Model<'s>) -> Context<'o, 's> {
        Context::new(model, self.trees, self.sources, self.model.first_inventory, self.options)
    }

    /// The release that is linted for.
    pub fn version(&self) -> CiliumVersion {
        self.options.engine.version
    }

    /// The policies of the tree that can be in force: none of those that lie in
    /// an archive, and none that only the cluster knows.
    pub fn policies(&self) -> impl Iterator<Item = &'c Policy<'s>> {
        self.model.policies.iter().filter(|policy| self.is_live(policy.value.tree().file))
    }

    /// Whether a file belongs to the tree and is no archive.
    pub fn is_live(&self, file: FileId) -> bool {
        self.live.get(file.0 as usize).copied().unwrap_or(false)
    }

    /// Whether findings in this file are wanted.
    pub fn is_reported(&self, file: FileId) -> bool {
        self.is_live(file)
            && self.model.is_asked_for(file)
            && self.options.reported.as_ref().is_none_or(|files| files.contains(&file))
    }

    /// What each object has against the schema of its kind, for objects in
    /// reported files that are more than a patch of another: index into the model's objects, and the errors.
    pub fn shape(&self) -> &[(usize, Vec<SchemaError>)] {
        self.shape.get_or_init(|| {
            self.model
                .objects()
                .par_iter()
                .enumerate()
                .filter_map(|(at, object)| {
                    let wanted = self.is_reported(object.value.tree().file) && !self.is_patch(at);
                    let kind = Kind::of(object).filter(|_| wanted)?;
                    let errors = schema::check(kind, self.version(), object.value);
                    (!errors.is_empty()).then_some((at, errors))
                })
                .collect()
        })
    }

    /// Whether an object is only a part, that kustomize puts into another one.
    fn is_patch(&self, at: usize) -> bool {
        let placements = self.model.tree().placements(at);
        !placements.is_empty()
            && placements.iter().all(|p| matches!(p.applied, Applied::No(NotApplied::Patch(_))))
    }

    /// What agents have against a policy.
    pub fn refusals(&self, policy: &Policy<'s>) -> Vec<Fault> {
        refuse::refusals(policy, self.version())
    }

    /// The namespace of a policy, where it is certain: written, said by the
    /// tree, or `default` in a tree that nothing deploys but kubectl.
    pub fn namespace<'p>(&self, policy: &'p Policy<'s>) -> Option<&'p str> {
        match &policy.namespace {
            Namespace::Known(name, place)
                if (place.is_some() || !self.deployed_by_tools) && !crate::policy::is_unknown(name) =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// Whether tools that can change namespaces deploy the tree.
    pub fn is_deployed_by_tools(&self) -> bool {
        self.deployed_by_tools
    }

    /// The requirements of the subject of a rule, the namespace included. A
    /// namespace that is not certain stands there as unknown.
    pub fn subject(&self, policy: &Policy<'s>, rule: &Rule<'s>) -> Option<Vec<Requirement<'s>>> {
        let selector = subject_selector(rule).filter(|selector| selector.invalid.is_none())?;
        let mut requirements = injection::subject(policy, selector);
        self.hide_uncertain_namespace(policy, &mut requirements);
        Some(requirements)
    }

    /// Whom each rule is about, in every policy of the tree and of the cluster.
    pub(in crate::lint) fn subjects(&self) -> &[RuleSubject<'c, 's>] {
        self.subjects.get_or_init(|| RuleSubject::all(self))
    }

    /// Those of the rules that findings are wanted about, in order.
    pub(in crate::lint) fn reported_subjects(&self) -> impl Iterator<Item = &RuleSubject<'c, 's>> {
        self.subjects().iter().filter(|subject| self.is_reported(subject.file()))
    }

    /// The requirements of a peer of a rule, with all that Cilium adds.
    pub fn peer(
        &self,
        policy: &Policy<'s>,
        rule: &Rule<'s>,
        selector: &Selector<'s>,
    ) -> Vec<Requirement<'s>> {
        let engine = &self.options.engine;
        let mut requirements =
            injection::peer(policy, subject_selector(rule), selector, engine.version, &engine.cluster);
        self.hide_uncertain_namespace(policy, &mut requirements);
        requirements
    }

    fn hide_uncertain_namespace(&self, policy: &Policy<'s>, requirements: &mut [Requirement<'s>]) {
        use crate::policy::selector::Origin;
        if policy.kind == PolicyKind::Ccnp || self.namespace(policy).is_some() {
            return;
        }
        for requirement in requirements.iter_mut().filter(|r| matches!(r.origin, Origin::Injected)) {
            if requirement.key == crate::label::NAMESPACE {
                for value in &mut requirement.values {
                    value.value = injection::UNKNOWN_NAMESPACE.into();
                }
            }
        }
    }

    /// The workloads of the tree and what is certain about them.
    pub fn population(&self) -> &Population<'c> {
        self.population
            .get_or_init(|| Population::of(self.model, &self.options.engine, self.deployed_by_tools))
    }

    /// The workloads that meet the requirements for certain, with their labels.
    pub fn members(&self, requirements: &[Requirement<'_>]) -> Vec<&Member<'c>> {
        let candidates = self.population().candidates(requirements);
        candidates.filter(|member| matches(requirements, &member.labels) == Truth::Yes).collect()
    }

    /// The workloads that meet the requirements for certain.
    pub fn workloads(&self, requirements: &[Requirement<'_>]) -> Vec<&'c Workload> {
        self.members(requirements).into_iter().map(|member| member.workload).collect()
    }
}

/// An engine over all policies, made when the first rule asks for it.
pub struct Judge<'j, 'c, 's> {
    context: &'j Context<'c, 's>,
    engine: Option<Engine>,
}

impl<'j, 'c, 's> Judge<'j, 'c, 's> {
    /// No engine yet.
    pub fn new(context: &'j Context<'c, 's>) -> Self {
        Self { context, engine: None }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        let context = self.context;
        self.engine.get_or_insert_with(|| context.model.engine(context.options.engine.clone()))
    }
}

fn is_kustomization(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    KUSTOMIZATION.contains(&file) || file == "Chart.yaml"
}

fn is_deployment_tool(object: &Object<'_>) -> bool {
    matches!(
        object.group(),
        "kustomize.toolkit.fluxcd.io" | "kustomize.config.k8s.io" | "helm.toolkit.fluxcd.io" | "argoproj.io"
    )
}
