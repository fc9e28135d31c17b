//! A tree of manifests in memory, the calls that are made in its cluster, and
//! what policyfix makes of both: what the tests of repair share.

#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod breakage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use policyfix::engine::{IdentityId, Judgement, Options};
use policyfix::flow::{Denial, Distinct, Endpoint, Flow, Input, Keep, Outcome, tally};
use policyfix::label::Label;
use policyfix::model::{Model, Settings, parse_all};
use policyfix::report::diff;
use policyfix::source::{FileId, Source, Sources};
use policyfix::suggest::{Suggestion, Wishes, suggest};
use policyfix::traffic::{IcmpFamily, Packet, Side, Transport};
use serde_json::Value;

/// Names and texts of the manifests.
pub(crate) type Files = BTreeMap<String, String>;

/// A folder of tests/.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The folders within a folder, in order.
pub(crate) fn folders(within: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(within).unwrap_or_else(|e| panic!("{}: {e}", within.display()));
    let mut folders: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The manifests of a folder.
pub(crate) fn read(root: &Path) -> Files {
    let files = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Lends the model of a tree.
pub(crate) fn with_model<T>(files: &Files, look: impl FnOnce(&Sources, &Model<'_>) -> T) -> T {
    let sources = sources(files);
    let trees = parse_all(&sources);
    let model = Model::read(&sources, &trees, [FileId(sources.len() as u32); 2], &Settings::default());
    look(&sources, &model)
}

fn sources(files: &Files) -> Sources {
    let mut sources = Sources::default();
    for (name, text) in files {
        sources.add(Source::new(name.into(), name.clone(), text.clone()));
    }
    sources
}

/// What comes of `suggest`.
pub(crate) struct Mended {
    /// All files with the accepted fixes.
    pub(crate) files: Files,
    /// The same as a diff.
    pub(crate) diff: String,
    /// What was found.
    pub(crate) suggestion: Suggestion,
}

/// Runs `suggest`.
pub(crate) fn mend(files: &Files, flows: Vec<Distinct>) -> Mended {
    let sources = sources(files);
    let trees = parse_all(&sources);
    let model = Model::read(&sources, &trees, [FileId(sources.len() as u32); 2], &Settings::default());
    let suggestion = suggest(&model, &trees, &sources, Options::default(), flows, Wishes::default());
    let mut mended = files.clone();
    for change in &suggestion.files {
        mended.insert(change.name.clone(), change.after.clone());
    }
    Mended { files: mended, diff: diff::unified(&suggestion.files), suggestion }
}

/// The distinct flows of a log.
pub(crate) fn log(path: &Path) -> Vec<Distinct> {
    let keep = Keep { include_audit: true, ..Keep::default() };
    tally(vec![Input::Path(path.to_owned())], policyfix::flow::Options::default(), keep).distinct()
}

/// Who calls whom, on which port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) packet: Packet,
}

/// Reads `[["web", "api", "TCP", 8080], …]`.
pub(crate) fn calls(list: &Value) -> Vec<Call> {
    let call = |call: &Value| {
        let port = u16::try_from(call[3].as_u64().unwrap()).unwrap();
        let packet = match call[2].as_str().unwrap() {
            "TCP" => Packet::Port(Transport::Tcp, port),
            "UDP" => Packet::Port(Transport::Udp, port),
            "SCTP" => Packet::Port(Transport::Sctp, port),
            "ICMP" => Packet::Icmp(IcmpFamily::V4, port as u8),
            other => panic!("{other}"),
        };
        Call { from: call[0].as_str().unwrap().to_owned(), to: call[1].as_str().unwrap().to_owned(), packet }
    };
    list.as_array().unwrap().iter().map(call).collect()
}

/// Everybody in the cluster and around it, by name.
pub(crate) struct Endpoints(BTreeMap<String, Endpoint>);

impl Endpoints {
    /// Reads the list that scenarios carry.
    pub(crate) fn new(list: &Value) -> Self {
        let list = list.as_array().unwrap();
        Self(list.iter().map(|end| (end["name"].as_str().unwrap().to_owned(), endpoint(end))).collect())
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// What the manifests say of each call.
    pub(crate) fn judge(&self, files: &Files, calls: &[Call]) -> Vec<Judgement> {
        with_model(files, |_, model| {
            let mut engine = model.engine(Options::default());
            let ids: BTreeMap<&str, IdentityId> = self
                .0
                .iter()
                .map(|(name, end)| (name.as_str(), engine.take_in(end, &model.inventory).identity))
                .collect();
            calls.iter().map(|call| engine.judge(ids[&*call.from], ids[&*call.to], call.packet)).collect()
        })
    }

    /// The sides that are closed by default.
    pub(crate) fn isolated(&self, files: &Files) -> Vec<(String, Side)> {
        with_model(files, |_, model| {
            let mut engine = model.engine(Options::default());
            let mut isolated = Vec::new();
            for (name, endpoint) in &self.0 {
                let id = engine.take_in(endpoint, &model.inventory).identity;
                let closed = Side::BOTH.into_iter().filter(|&side| engine.isolates(None, id, side));
                isolated.extend(closed.map(|side| (name.clone(), side)));
            }
            isolated
        })
    }

    /// Each call as Hubble would have shown it: at the first side that drops it, else as forwarded.
    pub(crate) fn observe(&self, calls: &[Call], judgements: &[Judgement]) -> Vec<Distinct> {
        calls.iter().zip(judgements).map(|(call, judgement)| self.distinct(call, *judgement)).collect()
    }

    fn distinct(&self, call: &Call, judgement: Judgement) -> Distinct {
        let dropped = Side::BOTH.into_iter().find(|&side| !judgement.on(side).passes());
        let flow = Flow {
            source: self.0[&call.from].clone().into(),
            destination: self.0[&call.to].clone().into(),
            packet: call.packet,
            source_port: Some(40_000),
            outcome: if dropped.is_some() { Outcome::Denied(Denial::Default) } else { Outcome::Forwarded },
            side: dropped.or(Some(Side::Ingress)),
            request: None,
            denied_by: Vec::new(),
            reply: false,
        };
        Distinct { flow, count: 1, span: None, examples: Vec::new(), ambiguous_names: false }
    }
}

fn endpoint(end: &Value) -> Endpoint {
    let texts = |key: &str| -> Vec<String> {
        end[key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut labels: Vec<Label> = texts("labels").iter().map(|label| Label::parse(label)).collect();
    if labels.is_empty() {
        labels.push(Label::reserved("world"));
    }
    labels.sort();
    let ip = end["ip"].as_str().or(end["address"].as_str());
    Endpoint {
        labels,
        pod: end["pod"].as_str().map(Into::into),
        ip: ip.map(|ip| ip.parse().unwrap()),
        names: texts("names").into_iter().map(Into::into).collect(),
        ..Endpoint::default()
    }
}

/// The shop: its workloads, everybody around it, and the calls that are made.
pub(crate) struct Shop {
    pub(crate) apps: Files,
    pub(crate) endpoints: Endpoints,
    pub(crate) traffic: Vec<Call>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let root = folder("scenarios/shop");
        let apps = read(&root.join("apps")).into_iter().map(|(name, text)| (format!("apps/{name}"), text));
        Self {
            apps: apps.collect(),
            endpoints: Endpoints::new(&json(&root.join("endpoints.json"))["endpoints"]),
            traffic: calls(&json(&root.join("traffic.json"))),
        }
    }

    /// The workloads together with policies.
    pub(crate) fn with_policies(&self, policies: &Path) -> Files {
        let policies = read(policies).into_iter().map(|(name, text)| (format!("policies/{name}"), text));
        self.apps.clone().into_iter().chain(policies).collect()
    }

    /// Every call that anybody could make to anybody on a port that is spoken of.
    pub(crate) fn universe(&self) -> Vec<Call> {
        let ports = [53, 80, 443, 3000, 5432, 6443, 6514, 6517, 6520, 8080, 9090, 9102, 50051];
        let tcp = ports.map(|port| Packet::Port(Transport::Tcp, port));
        let packets = [&tcp[..], &[53, 8080].map(|port| Packet::Port(Transport::Udp, port))].concat();
        let mut all = Vec::new();
        for from in self.endpoints.names() {
            for to in self.endpoints.names().filter(|to| *to != from) {
                let call = |&packet| Call { from: from.clone(), to: to.clone(), packet };
                all.extend(packets.iter().map(call));
            }
        }
        all
    }
}
