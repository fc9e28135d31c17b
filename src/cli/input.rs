//! The options that several commands share, and what they read.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Streams;
use super::config::{Config, ConfigError};
use crate::engine::{self, Enforcement};
use crate::flow::{self, Flow, Input};
use crate::gitops::{self, FaultKind};
use crate::load::{self, Naming, Problem};
use crate::model::{Inference, Model, Settings, parse_all};
use crate::report::visible::visible;
use crate::source::{FileId, Sources};
use crate::version::CiliumVersion;
use crate::yaml::Tree;

/// What manifests to read, and how the cluster is set up.
#[derive(Debug, Args)]
pub(super) struct TreeArguments {
    /// Files or folders with manifests
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// Output of `kubectl get pods,svc,endpointslices,ns,cep,cnp,ccnp,netpol -A -o json` (or yaml); outranks what the manifests suggest
    #[arg(long, value_name = "FILE")]
    pub inventory: Vec<PathBuf>,
    /// The Cilium release that runs in the cluster, 1.14 to 1.20 [default: the newest]
    #[arg(long, value_name = "VERSION")]
    pub cilium_version: Option<CiliumVersion>,
    /// `policy-enforcement` of the agents: default, always or never [default: default]
    #[arg(long, value_name = "MODE")]
    pub enforcement: Option<Enforcement>,
    /// The name of the local cluster [default: what the flows say, else default]
    #[arg(long, value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// The namespace of policies that name none [default: default]
    #[arg(long, value_name = "NAME")]
    pub default_namespace: Option<String>,
    /// Which of several overlays to judge that cannot share a cluster, by the name of its folder [default: the first]
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Tell all that is wrong with the tree, and which policies nothing applies
    #[arg(short, long)]
    pub verbose: bool,
    /// The configuration [default: the nearest policyfix.toml, from the first PATH upwards]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name files relative to the current folder, for `patch -p1`, and not to the root of the git work tree
    #[arg(long)]
    pub relative: bool,
}

/// Files as they were read.
pub(super) struct Files {
    /// Manifests, then the rest of their repository, then inventories.
    pub sources: Sources,
    /// The first file that was not asked for, but lies in the same repository.
    pub first_around: FileId,
    /// The first file that is an inventory.
    pub first_inventory: FileId,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// How files are named.
    pub naming: Naming,
}

/// What was typed, with what the configuration says where nothing was.
pub(super) struct Setup<'a> {
    arguments: &'a TreeArguments,
    /// What the configuration says.
    pub config: Config,
    /// The folder of the configuration.
    pub folder: PathBuf,
}

impl TreeArguments {
    /// Puts the configuration behind what was typed.
    pub(super) fn with_configuration(&self) -> Result<Setup<'_>, ConfigError> {
        let first = self.paths.first().map_or(Path::new("."), PathBuf::as_path);
        let near = if first.is_dir() { first } else { first.parent().unwrap_or(first) };
        let near = if near.as_os_str().is_empty() { Path::new(".") } else { near };
        let path = self.config.clone().or_else(|| Config::find(near));
        let config = path.as_deref().map_or(Ok(Config::default()), Config::read)?;
        let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
        Ok(Setup { arguments: self, config, folder })
    }

    /// The same; `None`, after telling why, when the configuration cannot be used.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn setup(&self, streams: &mut Streams<'_>) -> io::Result<Option<Setup<'_>>> {
        match self.with_configuration() {
            Ok(setup) => Ok(Some(setup)),
            Err(error) => {
                writeln!(streams.err, "error: {error}")?;
                Ok(None)
            }
        }
    }
}

impl Setup<'_> {
    /// Reads all files.
    pub(super) fn read(&self) -> Files {
        let paths = &self.arguments.paths;
        let naming = self.naming();
        let (mut sources, mut problems) = load::manifests(paths, &naming);
        let first_around = FileId(sources.len() as u32);
        load::surroundings(paths, &naming, &mut sources);
        let first_inventory = FileId(sources.len() as u32);
        problems.extend(load::inventories(&self.inventories(), &mut sources));
        Files { sources, first_around, first_inventory, problems, naming }
    }

    fn naming(&self) -> Naming {
        Naming::new(&std::env::current_dir().unwrap_or_default(), self.arguments.relative)
    }

    fn inventories(&self) -> Vec<PathBuf> {
        if !self.arguments.inventory.is_empty() {
            return self.arguments.inventory.clone();
        }
        self.config.inventory.iter().map(|path| self.folder.join(path)).collect()
    }

    /// The release, where one was said.
    pub(super) fn version(&self) -> Option<CiliumVersion> {
        self.arguments.cilium_version.or(self.config.version().ok().flatten())
    }

    /// How the cluster is set up.
    pub(super) fn engine_options(&self) -> engine::Options {
        let (typed, config) = (self.arguments, &self.config);
        let default = || "default".to_owned();
        engine::Options {
            version: self.version().unwrap_or_default(),
            enforcement: typed.enforcement.or(config.enforcement().ok().flatten()).unwrap_or_default(),
            cluster: typed.cluster_name.clone().or(config.cluster_name.clone()).unwrap_or_else(default),
        }
    }

    /// How the cluster is set up, as far as its log can tell: its name is what
    /// the flows say it is, where nobody said it. Tells of it.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn engine_options_for<'f>(
        &self,
        flows: impl IntoIterator<Item = &'f Flow>,
        streams: &mut Streams<'_>,
    ) -> io::Result<engine::Options> {
        let options = self.engine_options();
        let told = if self.says_cluster() { None } else { flow::local_cluster(flows) };
        let Some(cluster) = told.filter(|told| *told != options.cluster) else { return Ok(options) };
        writeln!(
            streams.err,
            "note: the flows were decided in cluster {0}, so {0} is taken for the name of the local one; --cluster-name names another",
            visible(cluster)
        )?;
        Ok(engine::Options { cluster: cluster.to_owned(), ..options })
    }

    /// Whether somebody named the cluster.
    pub(super) fn says_cluster(&self) -> bool {
        self.arguments.cluster_name.is_some() || self.config.cluster_name.is_some()
    }

    /// What reading manifests depends on.
    pub(super) fn settings(&self) -> Settings {
        let (typed, config) = (self.arguments, &self.config);
        let naming = self.naming();
        let components = |name: &str| name.split('/').map(str::to_owned).collect::<Vec<_>>();
        let namespace = typed.default_namespace.clone().or(config.default_namespace.clone());
        Settings {
            default_namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            variants: match typed.variant.as_ref().or(config.variant.as_ref()) {
                Some(name) => vec![name.clone()],
                None => typed.paths.iter().flat_map(|path| components(&naming.name(path))).collect(),
            },
            root: naming.base().to_owned(),
        }
    }
}

impl Files {
    /// Reads the files into trees.
    pub(super) fn trees(&self) -> Vec<Tree<'_>> {
        parse_all(&self.sources)
    }

    /// Makes a model of the trees.
    pub(super) fn model<'s>(&self, trees: &'s [Tree<'s>], settings: &Settings) -> Model<'s> {
        Model::read(&self.sources, trees, self.firsts(), settings)
    }

    /// The first file that was not asked for, and the first inventory.
    pub(super) fn firsts(&self) -> [FileId; 2] {
        [self.first_around, self.first_inventory]
    }

    /// Tells what could not be read. Whether the run can go on: no when
    /// something that was named is missing.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn tell_problems(&self, streams: &mut Streams<'_>) -> io::Result<bool> {
        for problem in &self.problems {
            let word = if problem.named { "error" } else { "warning" };
            let path = visible(&problem.path.display().to_string());
            writeln!(streams.err, "{word}: cannot read {path}: {}", problem.why)?;
        }
        if self.problems.iter().any(|problem| problem.named) {
            return Ok(false);
        }
        if self.sources.is_empty() {
            writeln!(
                streams.err,
                "error: there are no manifests here: no file ends in .yaml, .yml or .json"
            )?;
        }
        Ok(!self.sources.is_empty())
    }
}

impl Files {
    /// Tells which documents are no YAML. Templates are passed over in silence:
    /// they are not meant to be.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn tell_broken(&self, trees: &[Tree<'_>], streams: &mut Streams<'_>) -> io::Result<()> {
        for error in trees.iter().flat_map(|tree| &tree.errors) {
            let source = &self.sources[error.span.file];
            if source.text.contains("{{") || error.span.file >= self.first_around {
                continue;
            }
            let (line, column) = source.position(error.span.start);
            writeln!(
                streams.err,
                "warning: {}:{line}:{column}: cannot read this as YAML: {}",
                visible(&source.name),
                visible(&error.message)
            )?;
        }
        Ok(())
    }
}

impl Files {
    /// Tells which of several overlays that cannot share a cluster is judged.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn tell_variants(&self, model: &Model<'_>, streams: &mut Streams<'_>) -> io::Result<()> {
        for (judged, rivals) in model.variants() {
            let mut names = rivals;
            names.push(judged);
            names.sort_unstable();
            writeln!(
                streams.err,
                "note: {} cannot share a cluster; {} is judged (--variant chooses another)",
                visible(&names.join(" and ")),
                visible(judged)
            )?;
        }
        Ok(())
    }

    /// Tells which namespaces were inferred.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn tell_inferred(&self, inferred: &[Inference], streams: &mut Streams<'_>) -> io::Result<()> {
        for inference in inferred {
            writeln!(
                streams.err,
                "note: {}: nothing says the namespace of policy {}; {} is inferred, the only one in which it selects an endpoint that was seen",
                visible(&self.sources.place(inference.place).to_string()),
                visible(&inference.policy),
                visible(&inference.namespace)
            )?;
        }
        Ok(())
    }

    /// Tells what the tree gets wrong: where that bears on policies, or all of it.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub(super) fn tell_tree(
        &self,
        model: &Model<'_>,
        verbose: bool,
        streams: &mut Streams<'_>,
    ) -> io::Result<()> {
        let place = |span| visible(&self.sources.place(span).to_string());
        let faults: Vec<&gitops::Fault> =
            if verbose { model.tree().faults.iter().collect() } else { model.faults().collect() };
        for fault in faults {
            write!(streams.err, "warning: {}: {}", place(fault.place), visible(&fault.kind.to_string()))?;
            match &fault.kind {
                FaultKind::DuplicateObject { first, .. } => writeln!(streams.err, ", see {}", place(*first))?,
                _ => writeln!(streams.err)?,
            }
        }
        for policy in model.policies.iter().filter(|_| verbose) {
            let Some(left_out) = &policy.not_applied else { continue };
            let title = visible(&policy.title());
            let (at, why) = (place(policy.place()), &left_out.why);
            writeln!(streams.err, "note: {at}: policy {title} is not applied: {why}")?;
        }
        for (policy, change) in model.changed() {
            writeln!(
                streams.err,
                "warning: {}: this changes policy {} in a way that is not evaluated; {}",
                place(change),
                visible(&policy.title().to_string()),
                match policy.unsure.is_nothing() {
                    true => "it is judged as it is written",
                    false => "what hangs on the parts that it reaches is undecided",
                }
            )?;
        }
        Ok(())
    }
}

/// Where flows come from.
#[derive(Debug, Args)]
pub(super) struct FlowArguments {
    /// A log with flows, in any form in which Cilium and Hubble write them; `-` is standard input
    #[arg(long, value_name = "FILE", required = true)]
    pub flows: Vec<PathBuf>,
}

impl FlowArguments {
    /// The inputs, in order.
    pub(super) fn inputs(&self) -> Vec<Input> {
        self.flows.iter().map(Input::from_argument).collect()
    }
}

impl FlowArguments {
    /// What messages call the inputs.
    pub(super) fn names(&self) -> Vec<String> {
        self.inputs().iter().map(Input::name).collect()
    }
}
