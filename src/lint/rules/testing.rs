//! What the tests of the rules share: a tree from one text, what one rule finds
//! in it, and the text with every mend made.

use std::path::PathBuf;

use crate::finding::{Safety, Severity};
use crate::lint::{Choice, Context, Found, Options, fix, run};
use crate::model::{Model, Settings, parse_all};
use crate::source::{FileId, Source, Sources};
use crate::version::CiliumVersion;

/// A CiliumNetworkPolicy of namespace `shop` with this spec, indented by two.
pub(in crate::lint) fn cnp(spec: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: x\n  namespace: shop\nspec:\n  {spec}"
    )
}

/// A workload of a namespace with these pod labels and container ports.
pub(in crate::lint) fn deployment(namespace: &str, name: &str, labels: &str, ports: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{template: {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: c, ports: [{ports}]}}]}}}}}}\n"
    )
}

/// A tree of one file.
pub(in crate::lint) fn sources(text: &str) -> Sources {
    tree(&[("k8s/x.yaml", text)])
}

/// A tree of these files.
fn tree(files: &[(&str, &str)]) -> Sources {
    let mut sources = Sources::default();
    for (name, text) in files {
        sources.add(Source::new(PathBuf::from(name), (*name).to_owned(), (*text).to_owned()));
    }
    sources
}

/// A finding in short: rule, severity, and the text that it points at.
pub(in crate::lint) type Told = (&'static str, Severity, String);

/// What all rules tell of a tree, with their notes.
pub(in crate::lint) fn found(sources: &Sources) -> Vec<Found> {
    found_in(None, sources)
}

fn found_in(version: Option<CiliumVersion>, sources: &Sources) -> Vec<Found> {
    let trees = parse_all(sources);
    let end = FileId(sources.len() as u32);
    let model = Model::read(sources, &trees, [end; 2], &Settings::default());
    let mut options = Options { version_is_given: version.is_some(), ..Options::default() };
    options.engine.version = version.unwrap_or_default();
    let context = Context::new(&model, &trees, sources, end, &options);
    let choice = Choice::new(&[], &[], true).unwrap();
    run(&context, &choice).findings
}

/// What all rules tell of a text in a release.
pub(in crate::lint) fn told_in(version: Option<CiliumVersion>, text: &str) -> Vec<Told> {
    told_in_tree(version, &sources(text))
}

/// What all rules tell of a tree of these files.
pub(in crate::lint) fn told_of(files: &[(&str, &str)]) -> Vec<Told> {
    told_in_tree(None, &tree(files))
}

pub(in crate::lint) fn told_in_tree(version: Option<CiliumVersion>, sources: &Sources) -> Vec<Told> {
    let text = |found: &Found| sources.text(found.primary.span).to_owned();
    let found = found_in(version, sources);
    found.iter().map(|found| (found.rule.id, found.severity, text(found))).collect()
}

/// The places that a rule tells of, in order; there must be some.
#[track_caller]
pub(in crate::lint) fn fires(id: &str, text: &str, places: &[&str]) {
    fires_in(None, id, text, places);
}

/// The same in a release that was said.
#[track_caller]
pub(in crate::lint) fn fires_in(version: Option<CiliumVersion>, id: &str, text: &str, places: &[&str]) {
    assert!(!places.is_empty());
    let told = told_in(version, text);
    let own: Vec<&str> =
        told.iter().filter(|(rule, ..)| *rule == id).map(|(.., text)| text.as_str()).collect();
    assert_eq!(own, places, "{told:?}\n{text}");
}

/// That nothing graver than a note is told of a text.
#[track_caller]
pub(in crate::lint) fn silent(text: &str) {
    silent_in(None, text);
}

/// The same in a release that was said.
#[track_caller]
pub(in crate::lint) fn silent_in(version: Option<CiliumVersion>, text: &str) {
    let mut told = told_in(version, text);
    told.retain(|(_, severity, _)| *severity > Severity::Note);
    assert!(told.is_empty(), "{told:?}\n{text}");
}

/// The text with all mends made, unsafe ones too, until nothing changes.
#[track_caller]
pub(in crate::lint) fn mended(text: &str) -> String {
    mended_as_far_as(Safety::Unsafe, text)
}

/// The text with all mends made that may be trusted so far. Making them twice changes nothing more.
#[track_caller]
pub(in crate::lint) fn mended_as_far_as(safety: Safety, text: &str) -> String {
    let once = mend_once(safety, text);
    assert_eq!(mend_once(safety, &once), once, "a second run changes nothing");
    once
}

fn mend_once(safety: Safety, text: &str) -> String {
    let sources = sources(text);
    let end = FileId(sources.len() as u32);
    let choice = Choice::new(&[], &[], true).unwrap();
    let mended = fix::mend(&sources, [end; 2], &Settings::default(), &Options::default(), &choice, safety);
    mended[FileId(0)].text.clone()
}
