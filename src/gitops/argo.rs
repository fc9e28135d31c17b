//! Argo CD: what an Application deploys and where, and which Applications an
//! ApplicationSet makes from lists and from the folders of the repository.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::files::{Files, join};
use super::kustomization::{AddedLabel, LabelReach, Layer};
use super::patch::Patch;
use super::steering::Steering;
use crate::source::Spanned;

/// Argo CD's API group.
pub(super) const GROUP: &str = "argoproj.io";

/// How many Applications one ApplicationSet may make.
const MOST_APPLICATIONS: usize = 10_000;

/// One Application: its `spec`, and where that is written.
pub(super) struct Application {
    pub(super) name: String,
    pub(super) spec: Json,
    /// The pointer to the `spec` in the object.
    pub(super) at: &'static str,
}

impl Application {
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.spec.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// `source` and `sources`, each with its pointer below `spec`.
    pub(super) fn sources(&self) -> Vec<(String, &Json)> {
        let one = self.spec.get("source").map(|source| ("/source".to_owned(), source));
        let several = self.spec.get("sources").and_then(Json::as_array).into_iter().flatten();
        let several = several.enumerate().map(|(at, source)| (format!("/sources/{at}"), source));
        one.into_iter().chain(several).collect()
    }
}

/// The Applications that an object stands for.
pub(super) fn applications(steering: &Steering<'_, '_>, files: &Files) -> Vec<Application> {
    let json = &steering.json;
    let name = |object: &Json| {
        object.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    match steering.object.kind.as_ref() {
        "Application" => {
            let spec = json.get("spec").cloned().unwrap_or_default();
            vec![Application { name: name(json), spec, at: "/spec" }]
        }
        _ => {
            let Some(template) = json.pointer("/spec/template") else { return Vec::new() };
            let made = steering.list("/spec/generators").iter().flat_map(|g| parameters(g, files, 0));
            made.take(MOST_APPLICATIONS)
                .map(|parameters| {
                    let mut template = template.clone();
                    fill(&mut template, &parameters);
                    let spec = template.get("spec").cloned().unwrap_or_default();
                    Application { name: name(&template), spec, at: "/spec/template/spec" }
                })
                .collect()
        }
    }
}

/// What a kustomize source of an Application does beside building its folder.
pub(super) fn layer<'t>(source: &Json, at: &str, steering: &Steering<'_, 't>) -> Layer<'t> {
    let Some(options) = source.get("kustomize") else { return Layer::default() };
    let text = |key: &str| {
        options.get(key).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let place = |key: &str| steering.place(&format!("{at}/kustomize/{key}"));
    let labels = options.get("commonLabels").and_then(Json::as_object).into_iter().flatten();
    let reach = match options.get("labelWithoutSelector").and_then(Json::as_bool) {
        Some(true) => LabelReach::Metadata,
        _ => LabelReach::Selectors,
    };
    let patches = options.get("patches").and_then(Json::as_array).into_iter().flatten();
    Layer {
        patches: patches.map(|patch| Patch::from_json(patch, place("patches"))).collect(),
        namespace: text("namespace").map(|text| Spanned::new(text.into(), place("namespace"))),
        prefix: text("namePrefix").map(Cow::Owned),
        suffix: text("nameSuffix").map(Cow::Owned),
        labels: labels
            .filter_map(|(key, value)| {
                Some(AddedLabel {
                    key: key.clone().into(),
                    value: value.as_str()?.to_owned().into(),
                    reach,
                    from: place("commonLabels"),
                })
            })
            .collect(),
        ..Layer::default()
    }
}

type Parameters = Map<String, Json>;

/// The sets of parameters that a generator makes. Generators that ask the
/// cluster or a server make one set without parameters: what hangs on them
/// stays unknown.
fn parameters(generator: &Json, files: &Files, depth: usize) -> Vec<Parameters> {
    const DEEPEST_MATRIX: usize = 2;
    if let Some(elements) = generator.pointer("/list/elements").and_then(Json::as_array) {
        return elements.iter().filter_map(Json::as_object).cloned().collect();
    }
    if let Some(patterns) = generator.pointer("/git/directories").and_then(Json::as_array) {
        return directories(patterns, files);
    }
    let inner = |kind: &str| generator.pointer(&format!("/{kind}/generators")).and_then(Json::as_array);
    if let Some(generators) = inner("matrix").filter(|_| depth < DEEPEST_MATRIX) {
        return generators.iter().fold(vec![Parameters::new()], |sets, generator| {
            let with: Vec<_> = parameters(generator, files, depth + 1);
            let product = sets.iter().flat_map(|set| {
                with.iter().map(|more| set.clone().into_iter().chain(more.clone()).collect())
            });
            product.take(MOST_APPLICATIONS).collect()
        });
    }
    if let Some(generators) = inner("merge").filter(|_| depth < DEEPEST_MATRIX) {
        return generators.first().map_or(Vec::new(), |first| parameters(first, files, depth + 1));
    }
    vec![Parameters::new()]
}

/// The folders that fit a pattern and none of the excluding ones.
fn directories(patterns: &[Json], files: &Files) -> Vec<Parameters> {
    let pattern = |pattern: &Json| Some(join("", pattern.get("path")?.as_str()?));
    let excludes = |entry: &&Json| entry.get("exclude").and_then(Json::as_bool) == Some(true);
    let excluded: Vec<String> = patterns.iter().filter(excludes).filter_map(pattern).collect();
    let included: Vec<String> = patterns.iter().filter(|p| !excludes(p)).filter_map(pattern).collect();
    files
        .folders()
        .map(|(path, _)| path)
        .filter(|path| included.iter().any(|pattern| fits(pattern, path)))
        .filter(|path| !excluded.iter().any(|pattern| fits(pattern, path)))
        .map(|path| {
            let segments: Vec<Json> = path.split('/').map(Json::from).collect();
            let last = path.rsplit('/').next().unwrap_or(path);
            let folder = serde_json::json!({
                "path": path,
                "basename": last,
                "basenameNormalized": last.replace(['.', '_'], "-").to_ascii_lowercase(),
                "segments": segments,
            });
            Parameters::from_iter([("path".to_owned(), folder)])
        })
        .collect()
}

/// Whether a path fits a pattern of `*` and `?` within its components, which
/// may begin at any folder above: the root of what was read may lie higher
/// than the repository's.
fn fits(pattern: &str, path: &str) -> bool {
    let wanted: Vec<&str> = pattern.split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    wanted.len() == parts.len()
        && wanted.iter().zip(&parts).all(|(pattern, part)| component_fits(pattern, part))
}

fn component_fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => {
            pattern.chars().count() == text.chars().count()
                && pattern.chars().zip(text.chars()).all(|(p, t)| p == '?' || p == t)
        }
        Some((before, after)) => {
            let Some(rest) = text.strip_prefix(before) else { return false };
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            !text.starts_with('.')
                && ends.filter_map(|at| rest.get(at..)).any(|rest| component_fits(after, rest))
        }
    }
}

/// Puts parameters in place of `{{ name }}` in every text; what has no
/// parameter stays as it is.
fn fill(json: &mut Json, parameters: &Parameters) {
    match json {
        Json::String(text) if text.contains("{{") => *text = filled(text, parameters),
        Json::Array(items) => items.iter_mut().for_each(|item| fill(item, parameters)),
        Json::Object(map) => map.values_mut().for_each(|value| fill(value, parameters)),
        _ => {}
    }
}

fn filled(text: &str, parameters: &Parameters) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("{{") {
        let Some((expression, after)) = from.split_once("}}") else { break };
        out.push_str(before);
        match look_up(expression.trim().trim_matches('-').trim(), parameters) {
            Some(value) => out.push_str(&value),
            None => out.extend(["{{", expression, "}}"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `path.basename`, `.path.path`, `path[1]`, `index .path.segments 1`, or the
/// name of a list element's field.
fn look_up(expression: &str, parameters: &Parameters) -> Option<String> {
    if let Some((list, at)) = expression.strip_prefix("index ").and_then(|rest| rest.rsplit_once(' ')) {
        return text_of(walk(list.trim(), parameters)?.get(at.parse::<usize>().ok()?)?);
    }
    if let Some(at) = expression.strip_prefix("path[").and_then(|rest| rest.strip_suffix(']')) {
        return text_of(walk("path.segments", parameters)?.get(at.parse::<usize>().ok()?)?);
    }
    match walk(expression, parameters)? {
        Json::Object(folder) => text_of(folder.get("path")?),
        value => text_of(value),
    }
}

fn walk<'p>(expression: &str, parameters: &'p Parameters) -> Option<&'p Json> {
    let mut parts = expression.trim_start_matches('.').split('.');
    let first = parameters.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_within_one_folder() {
        for (pattern, path, fits_) in [
            ("apps/*", "apps/web", true),
            ("apps/*", "apps/web/base", false),
            ("apps/*/overlays/pr?d", "apps/web/overlays/prod", true),
            ("apps/*-x", "apps/web-x", true),
            ("apps/*-x", "apps/web", false),
            ("*", ".git", false),
        ] {
            assert_eq!(fits(pattern, path), fits_, "{pattern} {path}");
        }
    }

    #[test]
    fn both_template_languages_are_filled_and_what_is_unknown_stays() {
        let json = serde_json::json!({"cluster": "prod", "path": {"path": "apps/web", "basename": "web", "segments": ["apps", "web"]}});
        let Json::Object(parameters) = json else { unreachable!() };
        for (text, expected) in [
            ("{{path}}", "apps/web"),
            ("{{ .path.path }}", "apps/web"),
            ("x-{{path.basename}}-{{cluster}}", "x-web-prod"),
            ("{{ index .path.segments 1 }}", "web"),
            ("{{path[0]}}", "apps"),
            ("{{ .cluster | upper }}", "{{ .cluster | upper }}"),
            ("{{broken", "{{broken"),
        ] {
            assert_eq!(filled(text, &parameters), expected);
        }
    }
}
