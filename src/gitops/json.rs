//! Patches as data: YAML values as JSON, merged and edited the way kustomize does.
//!
//! Only what steers the tree itself is evaluated so (the objects of Flux and
//! Argo CD); the edits of policyfix never go through here.

use serde_json::{Map, Value as Json};

use crate::yaml::{Resolved, Value};

/// How many nodes a value may unfold to; aliases can make a small file huge.
const MOST_NODES: usize = 100_000;
/// How deep a value may nest once aliases are followed.
const DEEPEST: usize = 256;

/// The value as JSON, aliases followed; `None` when it unfolds to too much.
pub(super) fn to_json(value: Value<'_>) -> Option<Json> {
    let mut budget = MOST_NODES;
    convert(value, 0, &mut budget)
}

fn convert(value: Value<'_>, depth: usize, budget: &mut usize) -> Option<Json> {
    *budget = budget.checked_sub(1)?;
    if depth == DEEPEST {
        return None;
    }
    if value.is_mapping() {
        let mut map = Map::new();
        let entries: Vec<_> = value.entries().collect();
        let merged_last = entries.iter().filter(|e| e.merged).chain(entries.iter().filter(|e| !e.merged));
        for entry in merged_last {
            if let Some(key) = entry.key.text() {
                map.insert(key.into_owned(), convert(entry.value, depth + 1, budget)?);
            }
        }
        return Some(Json::Object(map));
    }
    if value.is_sequence() {
        let items = value.items().map(|item| convert(item.value, depth + 1, budget));
        return items.collect::<Option<Vec<_>>>().map(Json::Array);
    }
    Some(match value.resolved()? {
        Resolved::Null => Json::Null,
        Resolved::Bool(truth) => truth.into(),
        Resolved::Int(number) => number.into(),
        Resolved::Float(number) => number.into(),
        Resolved::String(text) => text.into_owned().into(),
    })
}

/// Merges a patch into a value: mappings key by key, `null` takes a key away,
/// anything else replaces. That is what a strategic merge does to objects
/// whose lists have no merge keys, which is all custom resources.
pub(super) fn merge(target: &mut Json, patch: &Json) {
    let (Json::Object(target), Json::Object(patch)) = (&mut *target, patch) else {
        return *target = patch.clone();
    };
    for (key, value) in patch {
        match value {
            Json::Null => {
                target.remove(key);
            }
            value => merge(target.entry(key.clone()).or_insert_with(|| Json::Object(Map::new())), value),
        }
    }
}

/// Carries out one operation of a JSON patch, as far as it needs nothing but
/// its own path. Whether it could.
pub(super) fn operate(target: &mut Json, operation: &Json) -> bool {
    let text = |key: &str| operation.get(key).and_then(Json::as_str);
    let (Some(op), Some(path)) = (text("op"), text("path")) else { return false };
    let Some((parent, last)) = path.rsplit_once('/') else { return false };
    let key = last.replace("~1", "/").replace("~0", "~");
    let Some(parent) = target.pointer_mut(parent) else { return false };
    match (op, parent, operation.get("value")) {
        ("add" | "replace", Json::Object(map), Some(value)) => {
            map.insert(key, value.clone());
            true
        }
        ("add", Json::Array(list), Some(value)) if key == "-" => {
            list.push(value.clone());
            true
        }
        ("add", Json::Array(list), Some(value)) => {
            let at = key.parse().ok().filter(|at| *at <= list.len());
            at.map(|at| list.insert(at, value.clone())).is_some()
        }
        ("replace", Json::Array(list), Some(value)) => {
            let item = key.parse::<usize>().ok().and_then(|at| list.get_mut(at));
            item.map(|item| *item = value.clone()).is_some()
        }
        ("remove", Json::Object(map), _) => map.remove(&key).is_some(),
        ("remove", Json::Array(list), _) => {
            let at = key.parse().ok().filter(|at| *at < list.len());
            at.map(|at| list.remove(at)).is_some()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    fn json(text: &str) -> Json {
        let tree = parse(FileId(0), text);
        to_json(tree.roots().next().unwrap().1).unwrap()
    }

    #[test]
    fn a_merge_goes_key_by_key_and_null_takes_away() {
        let mut target = json("spec: {a: 1, b: {c: 2}, l: [1, 2]}");
        merge(&mut target, &json("spec: {a: null, b: {d: 3}, l: [9], n: {x: null, y: 1}}"));
        assert_eq!(target, json("spec: {b: {c: 2, d: 3}, l: [9], n: {y: 1}}"));
    }

    #[test]
    fn operations_edit_mappings_and_lists() {
        let mut target = json("spec: {a: 1, l: [1, 2]}");
        assert!(operate(&mut target, &json("{op: add, path: /spec/x~1y, value: 2}")));
        assert!(operate(&mut target, &json("{op: add, path: /spec/l/-, value: 3}")));
        assert!(operate(&mut target, &json("{op: remove, path: /spec/a}")));
        assert!(operate(&mut target, &json("{op: replace, path: /spec/l/0, value: 0}")));
        assert_eq!(target, json("spec: {x/y: 2, l: [0, 2, 3]}"));
        for refused in [
            "{op: remove, path: /spec/l/9}",
            "{op: add, path: /no/where, value: 1}",
            "{op: copy, path: /a}",
            "7",
        ] {
            assert!(!operate(&mut target, &json(refused)), "{refused}");
        }
    }
}
