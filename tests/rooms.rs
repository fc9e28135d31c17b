//! The way of the data goes one way: a room uses only rooms to its left, and
//! nobody imports the program. The table is that of CONTRIBUTING.md.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use walkdir::WalkDir;

/// Every room, and the rooms that it may use, in the way of the data. What a
/// room uses stands above it, so no circle can be written down.
const ROOMS: &[(&str, &[&str])] = &[
    // Leaves: words that every room shares.
    ("source", &[]),
    ("spelling", &[]),
    ("version", &[]),
    ("label", &[]),
    ("traffic", &[]),
    ("finding", &["source"]),
    ("explain", &["spelling"]),
    // Read.
    ("load", &["source"]),
    ("yaml", &["source"]),
    ("manifest", &["source", "yaml"]),
    ("flow", &["label", "traffic"]),
    // Model.
    ("schema", &["manifest", "source", "spelling", "version", "yaml"]),
    ("policy", &["label", "manifest", "source", "traffic", "version", "yaml"]),
    ("gitops", &["manifest", "source", "yaml"]),
    ("inventory", &["flow", "label", "manifest", "source", "traffic", "version", "yaml"]),
    // Judge.
    ("engine", &["flow", "inventory", "label", "manifest", "policy", "source", "traffic", "version"]),
    (
        "model",
        &[
            "engine",
            "flow",
            "gitops",
            "inventory",
            "label",
            "manifest",
            "policy",
            "source",
            "version",
            "yaml",
        ],
    ),
    (
        "lint",
        &[
            "engine",
            "explain",
            "finding",
            "flow",
            "gitops",
            "inventory",
            "label",
            "manifest",
            "model",
            "policy",
            "schema",
            "source",
            "spelling",
            "traffic",
            "version",
            "yaml",
        ],
    ),
    ("naming", &["engine", "flow", "label", "model", "policy"]),
    // Diagnose.
    (
        "diagnose",
        &[
            "engine",
            "flow",
            "inventory",
            "label",
            "manifest",
            "model",
            "policy",
            "source",
            "spelling",
            "traffic",
            "version",
        ],
    ),
    // Propose, prove, rank.
    (
        "repair",
        &[
            "diagnose",
            "engine",
            "finding",
            "flow",
            "gitops",
            "inventory",
            "label",
            "manifest",
            "model",
            "policy",
            "source",
            "spelling",
            "traffic",
            "version",
            "yaml",
        ],
    ),
    (
        "suggest",
        &[
            "diagnose",
            "engine",
            "finding",
            "flow",
            "inventory",
            "label",
            "model",
            "naming",
            "policy",
            "repair",
            "source",
            "traffic",
            "yaml",
        ],
    ),
    // Write.
    (
        "report",
        &[
            "engine",
            "explain",
            "finding",
            "flow",
            "inventory",
            "label",
            "lint",
            "model",
            "naming",
            "policy",
            "source",
            "suggest",
            "traffic",
            "version",
        ],
    ),
    (
        "cli",
        &[
            "engine",
            "explain",
            "finding",
            "flow",
            "gitops",
            "inventory",
            "lint",
            "load",
            "model",
            "repair",
            "report",
            "source",
            "suggest",
            "version",
            "yaml",
        ],
    ),
];

/// Arrows that point the wrong way, each with the reason why it is borne.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// `src/yaml/edit.rs` lies in the room `yaml`, `src/label.rs` in `label`.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The program without its tests, comments and texts.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
        } else if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Passes over the item that an attribute stands before: up to its semicolon,
/// or to the brace that closes it, which rustfmt puts below its first line.
fn skip_item<'c>(lines: &mut impl Iterator<Item = &'c str>) {
    let Some(first) = lines.next() else { return };
    if first.ends_with(';') || first.ends_with('}') {
        return;
    }
    let indent = first.len() - first.trim_start().len();
    for line in lines {
        if line.len() > indent && line.starts_with(&" ".repeat(indent)) && line[indent..].starts_with('}') {
            return;
        }
    }
}

/// The first words behind every `crate::`, also of `use crate::{a, b::c}`.
fn used_rooms(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => used.extend(group_members(group)),
            None => used.extend(word(after)),
        }
    }
    used
}

/// The first words of a group of imports, of which the brace is open.
fn group_members(group: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut depth = 0;
    let mut starts = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts = true,
            _ if starts && !c.is_whitespace() => {
                members.extend(word(&group[at..]));
                starts = false;
            }
            _ => {}
        }
    }
    members
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// From each room to the rooms that it uses, with a file that does.
fn arrows() -> BTreeMap<(String, String), String> {
    let mut arrows = BTreeMap::new();
    for entry in WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "rs") || is_test_file(path) {
            continue;
        }
        let from = room(path);
        if from == "lib" || from == "main" {
            continue;
        }
        let code = without_tests(&std::fs::read_to_string(path).unwrap());
        for to in used_rooms(&code).into_iter().filter(|to| *to != from) {
            arrows.entry((from.clone(), to)).or_insert_with(|| path.display().to_string());
        }
    }
    arrows
}

/// Whether the file above declares this one under `#[cfg(test)]`.
fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let parent = path.with_file_name("mod.rs");
    let declared = std::fs::read_to_string(parent).unwrap_or_default();
    let lines: Vec<&str> = declared.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].trim_start_matches("pub(crate) ") == format!("mod {name};")
    })
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for ((from, to), file) in arrows() {
        let may = allowed.get(from.as_str()).unwrap_or_else(|| panic!("{file}: no such room in the table"));
        let borne = EXCEPTIONS.iter().any(|(a, b, _)| *a == from && *b == to);
        if !may.contains(&to.as_str()) && !borne {
            wrong.push(format!("{from} → {to} ({file})"));
        }
    }
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    let arrows = arrows();
    for (from, to, why) in EXCEPTIONS {
        let arrow = (String::from(*from), String::from(*to));
        assert!(arrows.contains_key(&arrow), "{from} → {to} is gone, and so is its exception: {why}");
    }
}

#[test]
fn the_table_has_no_circle() {
    for (at, (name, uses)) in ROOMS.iter().enumerate() {
        for used in *uses {
            let above = ROOMS[..at].iter().any(|(other, _)| other == used);
            assert!(above, "{name} uses {used}, which does not stand above it");
        }
    }
}

#[test]
fn imports_are_found_alone_in_groups_and_in_the_middle_of_code() {
    let code = "use crate::{a::{b, c}, d};\nuse crate::e::F;\nlet g = crate::h::i();\n// crate::j\n";
    let used = used_rooms(&without_tests(code));
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "d", "e", "h"]);
}

#[test]
fn what_only_tests_use_is_no_arrow() {
    let code = "use crate::a;\n#[cfg(test)]\nuse crate::b;\n#[cfg(test)]\nmod tests {\n    use crate::c;\n}\nuse crate::d;\n";
    let used = used_rooms(&without_tests(code));
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "d"]);
}
