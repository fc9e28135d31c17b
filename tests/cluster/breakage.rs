//! Policies with one value broken: each number, label, namespace, protocol and
//! name another, each peer and each rule gone, one at a time, in any style of YAML.

use policyfix::source::FileId;
use policyfix::yaml::{Kind, Tree, Value, parse};

use super::Files;

/// A tree with one thing broken.
#[derive(Debug, Clone)]
pub(crate) struct Breakage {
    /// `wrong-port`, `missing-peer` …
    pub(crate) class: &'static str,
    /// The file and the path in it.
    pub(crate) place: String,
    /// What was done.
    pub(crate) what: String,
    /// The broken tree.
    pub(crate) files: Files,
}

struct Cut {
    class: &'static str,
    path: String,
    start: usize,
    end: usize,
    text: String,
}

/// All breakages of the policies of a tree, in order.
pub(crate) fn breakages(files: &Files) -> Vec<Breakage> {
    let mut all = Vec::new();
    for (name, text) in files.iter().filter(|(_, text)| text.contains("NetworkPolicy")) {
        let tree = parse(FileId(0), text);
        let mut cuts = Vec::new();
        for (document, root) in tree.roots() {
            for key in ["spec", "specs"] {
                let Some(entry) = root.entry(key) else { continue };
                walk(entry.value, &[key.to_owned()], &mut |cut| {
                    cuts.push(Cut { path: format!("{document}:{}", cut.path), ..cut });
                });
            }
        }
        for cut in cuts {
            let mut broken = files.clone();
            let before = &text[cut.start..cut.end];
            let what = if cut.text.is_empty() {
                format!("{:?} gone", before.trim())
            } else {
                format!("{before} -> {}", cut.text)
            };
            broken.insert(name.clone(), format!("{}{}{}", &text[..cut.start], cut.text, &text[cut.end..]));
            all.push(Breakage {
                class: cut.class,
                place: format!("{name} {}", cut.path),
                what,
                files: broken,
            });
        }
    }
    all
}

const PEERS: [&str; 8] =
    ["fromEndpoints", "toEndpoints", "fromEntities", "toEntities", "toFQDNs", "toCIDRSet", "from", "to"];
const RULES: [&str; 2] = ["ingress", "egress"];

fn walk(value: Value<'_>, path: &[String], found: &mut impl FnMut(Cut)) {
    let last = path.last().map_or("", String::as_str);
    match value.kind() {
        Kind::Mapping { .. } => {
            for entry in value.written_entries() {
                let Some(key) = entry.key.text() else { continue };
                let path = [path, &[key.to_string()]].concat();
                if let Some((class, text)) = wrong(&path, entry.value) {
                    let span = entry.value.span().range();
                    let text = requoted(entry.value.raw(), &text);
                    found(Cut { class, path: path.join("/"), start: span.start, end: span.end, text });
                }
                walk(entry.value, &path, found);
            }
        }
        Kind::Sequence { flow } => {
            let class = if PEERS.contains(&last) { "missing-peer" } else { "missing-rule" };
            let items: Vec<_> = value.items().collect();
            let removable = items.len() > 1 && (PEERS.contains(&last) || RULES.contains(&last));
            for (at, item) in items.iter().enumerate() {
                let path = [path, &[at.to_string()]].concat();
                if removable {
                    let span = item.span.range();
                    let before = at.checked_sub(1).map(|before| items[before].span.range().end);
                    let after = items.get(at + 1).map(|after| after.span.range().start);
                    let (start, end) = match (flow, before, after) {
                        (true, _, Some(after)) => (span.start, after),
                        (true, Some(before), None) => (before, span.end),
                        _ => lines(value.tree(), span.start, span.end),
                    };
                    found(Cut { class, path: path.join("/"), start, end, text: String::new() });
                }
                walk(item.value, &path, found);
            }
        }
        _ => {}
    }
}

/// Another value where one value counts.
fn wrong(path: &[String], value: Value<'_>) -> Option<(&'static str, String)> {
    if matches!(value.kind(), Kind::Alias(_)) {
        return None;
    }
    let text = value.text()?;
    let key = path.last()?.as_str();
    let of = |name: &str| path.iter().any(|own| own == name);
    Some(match key {
        "port" => match text.parse::<u16>() {
            Ok(number) => ("wrong-port", (number + 1).to_string()),
            Err(_) => ("wrong-named-port", format!("{text}s")),
        },
        "protocol" => ("wrong-protocol", if text == "UDP" { "TCP" } else { "UDP" }.to_owned()),
        "matchName" => ("wrong-name", format!("www.{text}")),
        "cidr" => ("wrong-cidr", text.replacen("10.20", "10.21", 1)),
        _ if key.ends_with("io.kubernetes.pod.namespace") => ("wrong-namespace", format!("{text}-old")),
        _ if of("matchLabels")
            && (of("endpointSelector") || path.get(1).is_some_and(|key| key == "podSelector")) =>
        {
            ("wrong-endpoint-selector", format!("{text}-v1"))
        }
        _ if of("matchLabels") => ("wrong-peer-selector", format!("{text}-v1")),
        _ => return None,
    })
}

/// A value in the quotes of the one before.
fn requoted(before: &str, text: &str) -> String {
    match before.chars().next().filter(|first| ['"', '\''].contains(first)) {
        Some(quote) => format!("{quote}{text}{quote}"),
        None => text.to_owned(),
    }
}

/// The whole lines of a block item; what precedes a dash on the first one stays.
fn lines(tree: &Tree<'_>, start: usize, end: usize) -> (usize, usize) {
    let line = tree.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = tree.text[end..].find('\n').map_or(tree.text.len(), |newline| end + newline + 1);
    (line, end)
}
