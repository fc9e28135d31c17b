//! How long it takes to find out what becomes of every object of a large tree:
//! 2,000 kustomizations among 10,000 files, laid out as home clusters with Flux
//! are, and the same as overlays of bases. The bar is 0.5 s.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use policyfix::gitops::{Namespace, Tree};
use policyfix::manifest::objects;
use policyfix::source::{Source, Sources};
use policyfix::yaml::parse;

const BAR: Duration = Duration::from_millis(500);
const NAMESPACES: usize = 100;
const APPS: usize = 19;

fn main() {
    for (layout, sources) in [("flux", flux()), ("overlays", overlays())] {
        measure(layout, &sources);
    }
}

fn measure(layout: &str, sources: &Sources) {
    let start = Instant::now();
    let documents: Vec<_> = sources.iter().map(|(id, source)| parse(id, &source.text)).collect();
    let parsed = start.elapsed();
    let kustomizations =
        sources.iter().filter(|(_, source)| source.name.ends_with("kustomization.yaml")).count();
    let mut best = Duration::MAX;
    let mut known = 0;
    for _ in 0..5 {
        let objects: Vec<_> = documents.iter().flat_map(objects).collect();
        let start = Instant::now();
        let tree = Tree::read(sources, &documents, objects, Path::new(""));
        best = best.min(start.elapsed());
        assert_eq!(tree.faults, []);
        let placements = (0..tree.objects.len()).flat_map(|at| tree.placements(at));
        known = placements.filter(|p| matches!(p.namespace, Namespace::Known { .. })).count();
    }
    println!(
        "{layout}: {} files, {kustomizations} kustomizations: parsed in {parsed:?}, resolved in {best:?}, {known} namespaces known",
        sources.len()
    );
    if best > BAR {
        println!("{layout}: slower than the bar of {BAR:?}; is the machine busy?");
    }
}

fn add(sources: &mut Sources, name: String, text: String) {
    sources.add(Source::new(name.clone().into(), name, text));
}

fn policy(name: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: {name}\nspec:\n  endpointSelector:\n    matchLabels:\n      app.kubernetes.io/name: {name}\n  ingress:\n    - fromCIDR: [\"${{NODE_CIDR}}\"]\n"
    )
}

fn release(name: &str) -> String {
    let values: String = (0..30).map(|at| format!("    key{at}: {{nested: [{at}, text]}}\n")).collect();
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: {name}\nspec:\n  chartRef: {{kind: OCIRepository, name: app-template}}\n  values:\n{values}"
    )
}

fn flux() -> Sources {
    let mut sources = Sources::default();
    let ks = |name: &str, path: &str, target: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: &app {name}\n  namespace: flux-system\nspec:\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{target}"
        )
    };
    let patch = "  patches:\n    - target: {kind: Kustomization}\n      patch: |\n        apiVersion: kustomize.toolkit.fluxcd.io/v1\n        kind: Kustomization\n        metadata: {name: any}\n        spec: {postBuild: {substituteFrom: [{kind: ConfigMap, name: settings}]}}\n";
    add(&mut sources, "flux/ks.yaml".into(), ks("apps", "./apps", patch));
    add(
        &mut sources,
        "flux/settings.yaml".into(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: flux-system}\ndata: {NODE_CIDR: 10.0.0.0/8}\n".into(),
    );
    for namespace in (0..NAMESPACES).map(|at| format!("space{at}")) {
        let apps: Vec<_> = (0..APPS).map(|at| format!("app{at}")).collect();
        let listed: String = apps.iter().map(|app| format!("  - ./{app}/ks.yaml\n")).collect();
        let text = format!("namespace: {namespace}\nresources:\n{listed}");
        add(&mut sources, format!("apps/{namespace}/kustomization.yaml"), text);
        for app in apps {
            let folder = format!("apps/{namespace}/{app}");
            let target = format!("  targetNamespace: {namespace}\n");
            add(&mut sources, format!("{folder}/ks.yaml"), ks(&app, &format!("./{folder}/app"), &target));
            add(
                &mut sources,
                format!("{folder}/app/kustomization.yaml"),
                "resources: [release.yaml, policy.yaml, pvc.yaml]\n".into(),
            );
            add(&mut sources, format!("{folder}/app/release.yaml"), release(&app));
            add(&mut sources, format!("{folder}/app/policy.yaml"), policy(&app));
            add(
                &mut sources,
                format!("{folder}/app/pvc.yaml"),
                "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {}\n".into(),
            );
        }
    }
    sources
}

fn overlays() -> Sources {
    let mut sources = Sources::default();
    for app in (0..660).map(|at| format!("app{at}")) {
        let files: Vec<_> = (0..12).map(|at| format!("part{at}.yaml")).collect();
        let base = format!("resources: [{}]\nlabels: [{{pairs: {{app: {app}}}}}]\n", files.join(", "));
        add(&mut sources, format!("{app}/base/kustomization.yaml"), base);
        for file in &files {
            add(
                &mut sources,
                format!("{app}/base/{file}"),
                policy(&format!("{app}-{}", &file[..file.len() - 5])),
            );
        }
        for stage in ["staging", "production"] {
            let text = format!(
                "namespace: {app}\nresources: [../../base]\npatches:\n- target: {{name: {app}-part1}}\n  patch: '[{{op: add, path: /spec/egress, value: [{{}}]}}]'\n"
            );
            add(&mut sources, format!("{app}/overlays/{stage}/kustomization.yaml"), text);
        }
    }
    sources
}
