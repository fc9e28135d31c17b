//! What every mend must hold, over all manifests of this repository: a second
//! run changes nothing more, both readers read the text, and neither schema nor
//! agent has more against it than before. A slip made in a good manifest is
//! mended back to the byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use policyfix::finding::Safety;
use policyfix::lint::{Choice, Options, fix};
use policyfix::manifest::objects;
use policyfix::model::Settings;
use policyfix::policy::{Context, Namespace, decode, refuse};
use policyfix::schema::{self, Kind};
use policyfix::source::{FileId, Source, Sources};
use policyfix::version::CiliumVersion;
use policyfix::yaml::parse;
use proptest::prelude::*;
use walkdir::WalkDir;

/// The text with its mends made, alone in its tree.
fn mended(text: &str, safety: Safety) -> String {
    let mut sources = Sources::default();
    sources.add(Source::new(PathBuf::from("k8s/x.yaml"), "k8s/x.yaml".into(), text.to_owned()));
    let choice = Choice::new(&[], &[], true).unwrap();
    let end = FileId(sources.len() as u32);
    let mended = fix::mend(&sources, [end; 2], &Settings::default(), &Options::default(), &choice, safety);
    mended[FileId(0)].text.clone()
}

/// What reader, schema and agent have against a text.
fn faults(text: &str) -> Vec<String> {
    let tree = parse(FileId(0), text);
    let mut faults: Vec<String> = tree.errors.iter().map(|error| error.message.clone()).collect();
    let version = CiliumVersion::NEWEST;
    for object in objects(&tree) {
        if let Some(kind) = Kind::of(&object) {
            faults.extend(schema::check(kind, version, object.value).into_iter().map(|error| error.message));
        }
        let context = Context { namespace: Namespace::Clusterwide, substitute: &|text| text };
        let refused = decode(&object, context).map(|policy| refuse::refusals(&policy, version));
        faults.extend(refused.into_iter().flatten().map(|fault| fault.message));
    }
    faults
}

/// Every document as the second reader reads it; `None` when it cannot.
fn second_reading(text: &str) -> Option<Vec<serde_yaml::Value>> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde::Deserialize::deserialize(document).ok())
        .collect()
}

/// The text of every manifest of this repository, and of every page's example.
fn manifests() -> &'static [String] {
    static MANIFESTS: OnceLock<Vec<String>> = OnceLock::new();
    MANIFESTS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = Vec::new();
        for folder in ["tests", "examples", "policies", "src/explain"] {
            let walk = WalkDir::new(root.join(folder)).sort_by_file_name();
            for entry in walk.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file()) {
                let Ok(text) = fs::read_to_string(entry.path()) else { continue };
                match entry.path().extension().and_then(|ending| ending.to_str()) {
                    Some("yaml" | "yml") if text.contains("olicy") => texts.push(text),
                    Some("md") => texts.extend(examples(&text)),
                    _ => {}
                }
            }
        }
        texts.sort();
        texts.dedup();
        assert!(texts.len() > 200, "{}", texts.len());
        texts
    })
}

/// The YAML blocks of a page.
fn examples(page: &str) -> impl Iterator<Item = String> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split_once("```"));
    blocks.map(|(text, _)| text.to_owned())
}

#[test]
fn a_second_run_changes_nothing_and_both_readers_take_the_first() {
    let mut changed = 0;
    for text in manifests() {
        for safety in [Safety::Safe, Safety::Unsafe] {
            let once = mended(text, safety);
            if once == *text {
                continue;
            }
            changed += 1;
            assert_eq!(mended(&once, safety), once, "{text}");
            assert!(second_reading(&once).is_some() || second_reading(text).is_none(), "{once}");
            let (before, after) = (faults(text), faults(&once));
            assert!(after.len() <= before.len(), "{before:?}\n{after:?}\n{once}");
        }
    }
    assert!(changed > 20, "{changed}");
}

/// Slips as people make them: right and wrong.
const SLIPS: [(&str, &str); 14] = [
    ("protocol: TCP", "protocol: tcp"),
    ("port: \"8080\"", "port: 8080"),
    ("port: \"53\"", "port: 53"),
    ("toPorts:", "toPort:"),
    ("fromEndpoints:", "fromEndpoint:"),
    ("toEndpoints:", "toEndpont:"),
    ("matchLabels:", "matchlabels:"),
    ("endpointSelector:", "endPointSelector:"),
    ("kind: CiliumNetworkPolicy", "kind: CiliumNetworkPolcy"),
    ("kind: CiliumClusterwideNetworkPolicy", "kind: CiliumClusterWideNetworkPolicy"),
    ("apiVersion: cilium.io/v2\n", "apiVersion: cilium.io/v1\n"),
    ("k8s:io.kubernetes.pod.namespace:", "k8s:io.kubernetes.pod.namespce:"),
    ("- kube-apiserver", "- kube-api-server"),
    ("matchPattern: \"*.", "matchName: \"*."),
];

/// Manifests without any fault, which lint leaves as they are.
fn good() -> &'static [String] {
    static GOOD: OnceLock<Vec<String>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let is_good = |text: &&String| {
            let tree = parse(FileId(0), text);
            let all = objects(&tree);
            // Of a line with a variable nothing is said.
            let is_certain = !text.contains("${");
            // Policies alone: no text of a patch, no values of a release.
            let are_policies = !all.is_empty() && all.iter().all(|object| Kind::of(object).is_some());
            is_certain
                && are_policies
                && all.len() == text.matches("apiVersion").count()
                && faults(text).is_empty()
                && mended(text, Safety::Safe) == **text
        };
        let good: Vec<String> = manifests().iter().filter(is_good).cloned().collect();
        assert!(good.len() > 50, "{}", good.len());
        good
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slip_is_mended_back_to_the_byte(
        at in any::<prop::sample::Index>(),
        slips in prop::collection::vec((0..SLIPS.len(), any::<prop::sample::Index>()), 1..4),
    ) {
        let right = at.get(good());
        let mut wrong = right.clone();
        for (slip, place) in slips {
            let (good, bad) = SLIPS[slip];
            let is_code = |at: &usize| !wrong[..*at].lines().next_back().unwrap_or_default().contains('#');
            let places: Vec<usize> = wrong.match_indices(good).map(|(at, _)| at).filter(is_code).collect();
            if !places.is_empty() {
                let at = *place.get(&places);
                wrong.replace_range(at..at + good.len(), bad);
            }
        }
        let mended = mended(&wrong, Safety::Safe);
        prop_assert_eq!(&mended, right, "{}", wrong);
        prop_assert!(faults(&mended).is_empty());
    }
}
