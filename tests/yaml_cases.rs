//! Each folder of `tests/yaml` holds a file before and after an edit that a
//! person made. The changes are worked out from the data alone; the writer has
//! to come to the same bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use policyfix::source::FileId;
use policyfix::yaml::{Change, Datum, Editor, Patch, Refusal, Value, parse};

/// Cases whose bytes nobody could know from the file before.
const UNKNOWABLE: &[&str] = &[
    // The only port with single quotes was in the rule that is gone.
    "missing-rule-015",
    // The only ports in braces were in the rule that is gone.
    "missing-rule-018",
    // A comment is no data.
    "missing-rule-019",
];

#[test]
fn edits_come_out_as_a_person_would_have_written_them() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let (before, after) = (read("before.yaml"), read("after.yaml"));
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let written = edited(&before, &after).unwrap_or_else(|error| error);
        if (written == after) == UNKNOWABLE.contains(&name.as_str()) {
            wrong.push(format!("{name}:\n{}", written));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The text before with the changes that lead to the data after.
fn edited(before: &str, after: &str) -> Result<String, String> {
    let before = parse(FileId(0), before);
    let after = parse(FileId(1), after);
    let mut changes = Vec::new();
    assert_eq!(before.roots().count(), after.roots().count());
    for ((_, before), (_, after)) in before.roots().zip(after.roots()) {
        changes_between(before, &Datum::of(after).unwrap(), &mut changes)
            .map_err(|error| error.to_string())?;
    }
    Patch::checked_text(&before, &changes).map_err(|error| error.to_string())
}

fn changes_between(before: Value<'_>, after: &Datum, changes: &mut Vec<Change>) -> Result<(), Refusal> {
    let editor = Editor::default();
    if Datum::of(before).unwrap() == *after {
        return Ok(());
    }
    match after {
        Datum::Map(entries) if before.is_mapping() => {
            let mut index = 0;
            for (key, datum) in entries {
                let known = before.written_entries().position(|entry| entry.key.text().unwrap() == *key);
                match known {
                    Some(at) => {
                        changes_between(before.get(key).unwrap(), datum, changes)?;
                        index = at + 1;
                    }
                    None => changes.push(editor.insert_entry(before, index, key, datum.clone())?),
                }
            }
            let gone =
                before.written_entries().filter(|entry| after.get(&entry.key.text().unwrap()).is_none());
            for entry in gone {
                changes.push(editor.remove_entry(&entry)?);
            }
            Ok(())
        }
        Datum::Seq(items) if before.is_sequence() => sequence_changes(before, items, changes),
        _ => {
            changes.push(editor.replace(before, after.clone())?);
            Ok(())
        }
    }
}

/// Items that stayed keep their place; what is between them was altered,
/// inserted or removed.
fn sequence_changes(before: Value<'_>, after: &[Datum], changes: &mut Vec<Change>) -> Result<(), Refusal> {
    let editor = Editor::default();
    let old: Vec<Datum> = before.items().map(|item| Datum::of(item.value).unwrap()).collect();
    let same_front = old.iter().zip(after).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(after.len()) - same_front;
    let same_back = old.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - same_back, after.len() - same_back);
    let altered = (old_end - same_front).min(new_end - same_front);
    for (item, datum) in before.items().zip(after).skip(same_front).take(altered) {
        changes_between(item.value, datum, changes)?;
    }
    for item in &after[same_front + altered..new_end] {
        changes.push(editor.insert_item(before, old_end, item.clone())?);
    }
    for index in same_front + altered..old_end {
        changes.push(editor.remove_item(before, index)?);
    }
    Ok(())
}
