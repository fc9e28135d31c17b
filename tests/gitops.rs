//! Whole repositories, built like real ones: what becomes of each object, as
//! a table that is compared with `expected.txt` of the fixture.
//! `SNAPSHOTS=overwrite` writes the tables anew.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use policyfix::gitops::{Applied, FaultKind, Namespace, Placement, Tree, Variables};
use policyfix::manifest::objects;
use policyfix::source::{Source, Sources};
use policyfix::yaml::parse;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops").join(name)
}

fn read(root: &Path) -> Sources {
    let mut sources = Sources::default();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap();
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if entry.file_type().is_file() && (is_manifest || name == "Kustomization") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let shown = entry.path().strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            sources.add(Source::new(entry.path().to_owned(), shown, text));
        }
    }
    sources
}

fn with_tree<T>(root: &Path, look: impl FnOnce(&Sources, &Tree<'_>) -> T) -> T {
    let sources = read(root);
    let documents: Vec<_> = sources.iter().map(|(id, source)| parse(id, &source.text)).collect();
    let objects = documents.iter().flat_map(objects).collect();
    look(&sources, &Tree::read(&sources, &documents, objects, root))
}

/// The faults of a tree that is made up on the spot.
fn faults_of(files: impl Iterator<Item = (String, String)>) -> Vec<FaultKind> {
    let mut sources = Sources::default();
    for (name, text) in files {
        sources.add(Source::new(name.clone().into(), name, text));
    }
    let documents: Vec<_> = sources.iter().map(|(id, source)| parse(id, &source.text)).collect();
    let objects = documents.iter().flat_map(objects).collect();
    Tree::read(&sources, &documents, objects, Path::new("")).faults.into_iter().map(|f| f.kind).collect()
}

fn table(sources: &Sources, tree: &Tree<'_>) -> String {
    let mut out = String::new();
    for (at, object) in tree.objects.iter().enumerate() {
        writeln!(out, "{} {}", sources.place(object.place()), object.kind).unwrap();
        for placement in tree.placements(at) {
            writeln!(out, "    {}", line(sources, tree, placement)).unwrap();
            let is_policy = object.kind.contains("NetworkPolicy");
            for name in Variables::names(object.value.raw()).filter(|_| is_policy) {
                let definition = placement.variables.definition(name);
                let value =
                    definition.map_or("?".to_owned(), |(v, at)| format!("{v} by {}", sources.place(at)));
                writeln!(out, "        {name}={value}").unwrap();
            }
        }
    }
    for release in &tree.releases {
        let namespace = release.namespace.as_deref().unwrap_or("?");
        writeln!(out, "release {namespace}/{} from {}", release.name, sources.place(release.place)).unwrap();
        for pods in &release.pods {
            let labels: Vec<_> = pods.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            writeln!(out, "    {} likely {}", pods.name, labels.join(",")).unwrap();
        }
    }
    for fault in &tree.faults {
        writeln!(out, "fault {} {}", sources.place(fault.place), fault.kind).unwrap();
    }
    out
}

fn line(sources: &Sources, tree: &Tree<'_>, placement: &Placement<'_>) -> String {
    let place = |span| sources.place(span);
    let mut line = match &placement.namespace {
        Namespace::Known { value, .. } => value.to_string(),
        Namespace::Unsaid => "(unsaid)".to_owned(),
        Namespace::Unknown(_) => "?".to_owned(),
    };
    write!(line, "/{}", placement.name.as_deref().unwrap_or("?")).unwrap();
    match &placement.namespace {
        Namespace::Known { from, .. } => write!(line, " by {}", place(*from)).unwrap(),
        Namespace::Unsaid => {}
        Namespace::Unknown(why) => write!(line, " because {why}").unwrap(),
    }
    match placement.applied {
        Applied::Yes => {}
        Applied::No(why) => write!(line, "; not applied: {why}").unwrap(),
        Applied::Unknown => line.push_str("; perhaps not applied"),
    }
    if let Some(variant) = placement.variant {
        write!(line, "; in {}", tree.variants[variant]).unwrap();
    }
    for label in &placement.labels {
        write!(line, "; {}={} {:?}", label.key, label.value, label.reach).unwrap();
    }
    for span in &placement.unevaluated {
        write!(line, "; changed by {}", place(*span)).unwrap();
    }
    line
}

/// Compares the table of a fixture with the one that was looked at and kept.
fn check(name: &str) {
    let root = fixture(name);
    let table = with_tree(&root, table);
    snapbox::assert_data_eq!(table, snapbox::Data::read_from(&root.join("expected.txt"), None).raw());
}

/// Kind, name, namespace and labels of an object after a build.
type Built = (String, String, Option<String>, Vec<(String, String)>);

/// What kustomize makes of a folder; `None` where it is not installed.
fn built_by_kustomize(folder: &Path) -> Option<BTreeSet<Built>> {
    let build = |program: &str, command: &str| Command::new(program).arg(command).arg(folder).output().ok();
    let output = build("kubectl", "kustomize").or_else(|| build("kustomize", "build"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let document = parse(policyfix::source::FileId(0), &text);
    let built = objects(&document).into_iter().map(|object| {
        let mut labels: Vec<_> = object.labels().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        labels.sort();
        let namespace = object.namespace.as_ref().map(|namespace| namespace.value.to_string());
        (object.kind.to_string(), object.name.as_ref().unwrap().value.to_string(), namespace, labels)
    });
    Some(built.collect())
}

/// What we make of everything that is applied, in one variant of several.
fn built_by_us(root: &Path, variant: Option<&str>) -> BTreeSet<Built> {
    with_tree(root, |_, tree| {
        let mut built = BTreeSet::new();
        for (at, object) in tree.objects.iter().enumerate() {
            let here = |placement: &&Placement<'_>| {
                let name = placement.variant.map(|variant| &*tree.variants[variant]);
                placement.applied == Applied::Yes && (variant.is_none() || name.is_none() || name == variant)
            };
            for placement in tree.placements(at).iter().filter(here) {
                let namespace = match &placement.namespace {
                    Namespace::Known { value, .. } => Some(value.to_string()),
                    _ => None,
                };
                let mut labels: std::collections::BTreeMap<String, String> =
                    object.labels().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
                let added = placement.labels.iter().filter(|label| label.reach.is_on_object());
                labels.extend(added.map(|label| (label.key.to_string(), label.value.to_string())));
                let name = placement.name.as_ref().unwrap().to_string();
                built.insert((object.kind.to_string(), name, namespace, labels.into_iter().collect()));
            }
        }
        built
    })
}

#[test]
fn overlays_of_one_base_are_each_a_truth() {
    check("overlays");
}

#[test]
fn flux_says_the_namespace_in_another_folder() {
    check("flux");
}

#[test]
fn argo_cd_says_the_namespace_of_what_names_none() {
    check("argo");
}

#[test]
fn policies_in_the_values_of_releases_land_where_the_release_does() {
    check("helm");
}

#[test]
fn faults_are_found_and_the_rest_goes_on() {
    check("faults");
}

#[test]
fn every_shape_of_file_is_read_and_look_alikes_are_not() {
    check("shapes");
}

#[test]
fn names_namespaces_and_labels_are_those_that_kustomize_gives() {
    let builds = [
        ("overlays", "overlays/staging", Some("staging")),
        ("overlays", "overlays/production", Some("production")),
        ("layers", "cluster", None),
    ];
    for (name, folder, variant) in builds {
        let root = fixture(name);
        let Some(expected) = built_by_kustomize(&root.join(folder)) else {
            println!("skipped: neither kubectl nor kustomize is installed");
            return;
        };
        assert_eq!(built_by_us(&root, variant), expected, "{name}/{folder}");
    }
}

#[test]
fn layers_of_kustomizations_work_in_the_order_of_kustomize() {
    check("layers");
}

#[test]
fn clusters_that_share_a_base_are_kept_apart() {
    check("clusters");
}

#[test]
fn a_chain_of_kustomizations_without_end_is_cut_off() {
    let link = |at: usize| {
        (format!("d{at}/kustomization.yaml"), format!("resources: [../d{}]\n", at.saturating_sub(1)))
    };
    let faults = faults_of((0..1_000).rev().map(link));
    assert!(faults.iter().any(|fault| matches!(fault, FaultKind::TooDeep(_))), "{faults:?}");
    assert!(faults.iter().any(|fault| matches!(fault, FaultKind::Cycle(_))), "{faults:?}");
}

#[test]
fn flux_kustomizations_that_deploy_each_other_come_to_an_end() {
    let steering = |at: usize| {
        let text = format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: k{at}}}\nspec: {{path: ./c, namePrefix: p-, sourceRef: {{name: a}}}}\n"
        );
        (format!("c/{at}.yaml"), text)
    };
    faults_of((0..3).map(steering));
}
