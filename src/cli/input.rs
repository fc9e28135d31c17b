//! The options that several commands share, and what they read.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::Streams;
use crate::engine::{self, Enforcement};
use crate::flow::Input;
use crate::load::{self, Naming, Problem};
use crate::model::{Model, Settings, parse_all};
use crate::report::visible::visible;
use crate::source::{FileId, Sources};
use crate::version::CiliumVersion;
use crate::yaml::Tree;

/// What manifests to read, and how the cluster is set up.
#[derive(Debug, Args)]
pub struct TreeArguments {
    /// Files or folders with manifests
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// Output of `kubectl get pods,svc,endpointslices,ns,cep,cnp,ccnp,netpol -A -o json` (or yaml); outranks what the manifests suggest
    #[arg(long, value_name = "FILE")]
    pub inventory: Vec<PathBuf>,
    /// The Cilium release that runs in the cluster, 1.14 to 1.20 [default: the newest]
    #[arg(long, value_name = "VERSION")]
    pub cilium_version: Option<CiliumVersion>,
    /// `policy-enforcement` of the agents: default, always or never
    #[arg(long, value_name = "MODE", default_value_t)]
    pub enforcement: Enforcement,
    /// The name of the local cluster
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster_name: String,
    /// The namespace of policies that name none
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub default_namespace: String,
    /// Name files relative to the current folder, for `patch -p1`, and not to the root of the git work tree
    #[arg(long)]
    pub relative: bool,
}

/// Files as they were read.
pub struct Files {
    /// Manifests, then inventories.
    pub sources: Sources,
    /// The first file that is an inventory.
    pub first_inventory: FileId,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// How files are named.
    pub naming: Naming,
}

impl TreeArguments {
    /// Reads all files.
    pub fn read(&self) -> Files {
        let naming = Naming::new(&std::env::current_dir().unwrap_or_default(), self.relative);
        let (mut sources, mut problems) = load::manifests(&self.paths, &naming);
        let first_inventory = FileId(sources.len() as u32);
        problems.extend(load::inventories(&self.inventory, &mut sources));
        Files { sources, first_inventory, problems, naming }
    }

    /// How the cluster is set up.
    pub fn engine_options(&self) -> engine::Options {
        engine::Options {
            version: self.cilium_version.unwrap_or_default(),
            enforcement: self.enforcement,
            cluster: self.cluster_name.clone(),
        }
    }

    /// What reading manifests depends on.
    pub fn settings(&self) -> Settings {
        Settings { default_namespace: self.default_namespace.clone() }
    }
}

impl Files {
    /// Reads the files into trees.
    pub fn trees(&self) -> Vec<Tree<'_>> {
        parse_all(&self.sources)
    }

    /// Makes a model of the trees.
    pub fn model<'s>(&self, trees: &'s [Tree<'s>], settings: &Settings) -> Model<'s> {
        Model::read(trees, self.first_inventory, settings)
    }

    /// Tells what could not be read. Whether the run can go on: no when
    /// something that was named is missing.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub fn tell_problems(&self, streams: &mut Streams<'_>) -> io::Result<bool> {
        for problem in &self.problems {
            writeln!(
                streams.err,
                "error: cannot read {}: {}",
                visible(&problem.path.display().to_string()),
                problem.why
            )?;
        }
        Ok(!self.problems.iter().any(|problem| problem.named))
    }
}

impl Files {
    /// Tells which documents are no YAML. Templates are passed over in silence:
    /// they are not meant to be.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub fn tell_broken(&self, trees: &[Tree<'_>], streams: &mut Streams<'_>) -> io::Result<()> {
        for error in trees.iter().flat_map(|tree| &tree.errors) {
            let source = &self.sources[error.span.file];
            if source.text.contains("{{") {
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

/// Where flows come from.
#[derive(Debug, Args)]
pub struct FlowArguments {
    /// A log with flows, in any form in which Cilium and Hubble write them; `-` is standard input
    #[arg(long, value_name = "FILE", required = true)]
    pub flows: Vec<PathBuf>,
}

impl FlowArguments {
    /// The inputs, in order.
    pub fn inputs(&self) -> Vec<Input> {
        self.flows.iter().map(Input::from_argument).collect()
    }
}

impl FlowArguments {
    /// What messages call the inputs.
    pub fn names(&self) -> Vec<String> {
        self.inputs().iter().map(Input::name).collect()
    }
}
