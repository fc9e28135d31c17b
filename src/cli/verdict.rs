//! `policyfix verdict`: what Cilium decides for each flow and side, and by which rule.

use std::io;

use clap::{Args, ValueEnum};

use super::input::{FlowArguments, Setup, TreeArguments};
use super::{Exit, Streams};
use crate::engine::{self, Engine};
use crate::flow::{self, Flow, Record, Summary};
use crate::model::Model;
use crate::report::verdict::{Judged, OtherCluster, json_line, table_row};
use crate::report::visible::visible;
use crate::version::CiliumVersion;

/// Tells what Cilium decides for each flow, at its source and at its destination
#[derive(Debug, Args)]
#[command(
    help_template = super::EXAMPLES_FIRST,
    after_help = "Examples:\n  policyfix verdict k8s/ --flows drops.jsonl\n  hubble observe -o jsonpb --last 100 | policyfix verdict k8s/ --flows - --format json"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    tree: TreeArguments,
    #[command(flatten)]
    flows: FlowArguments,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    #[default]
    Text,
    /// One JSON object a flow, in the order of the input
    Json,
}

/// All who are asked about a flow.
struct Judges<'m> {
    engine: Engine,
    /// Of other releases.
    releases: Vec<Engine>,
    /// Of other overlays.
    clusters: Vec<OtherCluster<'m>>,
}

impl<'m> Judges<'m> {
    fn judge<'f>(&mut self, model: &Model<'_>, flow: &'f Flow) -> Judged<'f>
    where
        'm: 'f,
    {
        Judged::new(&mut self.engine, &mut self.releases, &mut self.clusters, model, flow)
    }
}

impl Arguments {
    fn read(&self, each: &mut dyn FnMut(Flow)) -> Summary {
        flow::read(self.flows.inputs(), flow::Options::default(), &mut |record: Record| each(record.flow))
    }

    /// The releases at which verdicts changed (`semantics.md` 7), where none was
    /// named: a verdict that hangs on the release is told.
    fn other_versions(setup: &Setup<'_>, model: &Model<'_>) -> Vec<Engine> {
        if setup.version().is_some() {
            return Vec::new();
        }
        let options = |version| engine::Options { version, ..setup.engine_options() };
        [CiliumVersion::V1_15, CiliumVersion::V1_18, CiliumVersion::V1_19]
            .map(|version| model.engine(options(version)))
            .into()
    }
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let Some(setup) = arguments.tree.setup(streams)? else { return Ok(Exit::Unusable) };
    let files = setup.read();
    if !files.tell_problems(streams)? {
        return Ok(Exit::Unusable);
    }
    let trees = files.trees();
    let mut model = files.model(&trees, &setup.settings());
    files.tell_broken(&trees, streams)?;
    files.tell_tree(&model, arguments.tree.verbose, streams)?;
    files.tell_variants(&model, streams)?;
    let options = setup.engine_options();
    // Namespaces are inferred from all flows, so none can be judged before the last is read.
    let mut kept: Vec<Flow> = Vec::new();
    let summary = model.lacks_namespaces().then(|| arguments.read(&mut |flow| kept.push(flow)));
    let ends = kept.iter().flat_map(Flow::ends);
    files.tell_inferred(&model.infer_namespaces(ends, &options), streams)?;
    let clusters = model.others();
    let mut judges = Judges {
        engine: model.engine(options.clone()),
        releases: Arguments::other_versions(&setup, &model),
        clusters: clusters
            .iter()
            .map(|(name, model)| OtherCluster { name, engine: model.engine(options.clone()), model })
            .collect(),
    };
    let mut written = Ok(());
    let mut elsewhere: Option<String> = None;
    let out = &mut *streams.out;
    let mut tell = |flow: &Flow| {
        if elsewhere.is_none() && !setup.says_cluster() {
            elsewhere = flow.decided_in().filter(|name| *name != options.cluster).map(str::to_owned);
        }
        if written.is_ok() {
            let judged = judges.judge(&model, flow);
            written = match arguments.format {
                Format::Json => writeln!(out, "{}", json_line(&judged, &model)),
                Format::Text => out.write_all(table_row(&judged, &model, &files.sources).as_bytes()),
            };
        }
    };
    kept.iter().for_each(&mut tell);
    let summary = summary.unwrap_or_else(|| arguments.read(&mut |flow| tell(&flow)));
    written?;
    if let Some(cluster) = elsewhere {
        writeln!(
            streams.err,
            "warning: there are flows that were decided in cluster {0}, and all were judged as in {1}; say --cluster-name {0} if that is the local one",
            visible(&cluster),
            visible(&options.cluster)
        )?;
    }
    crate::report::flows::tell_summary(&summary, &arguments.flows.names(), streams.err)?;
    let usable = summary.unreadable.is_empty() && !summary.is_all_broken();
    Ok(if usable { Exit::Clean } else { Exit::Unusable })
}
