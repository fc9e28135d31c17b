//! What must hold for any input: the bodies of the fuzz targets, which
//! `tests/fuzz_replay.rs` runs over the corpus as well. A broken law panics.
//!
//! A target that reads manifests and flows takes both from one input: the
//! manifests, a line `%%%`, the flows.
#![allow(dead_code, reason = "each target is a program of its own and uses one of these")]
#![allow(clippy::unwrap_used, clippy::len_zero, reason = "a broken law panics")]

use std::io::Cursor;
use std::path::PathBuf;

use policyfix::engine;
use policyfix::flow::{self, Distinct, Input, Keep};
use policyfix::model::{Model, Settings, parse_all};
use policyfix::source::{FileId, Source, Sources};
use policyfix::suggest::{Suggestion, Wishes, suggest};
use policyfix::yaml::{Change, Datum, Editor, Kind, Patch, Sharing, Tree, Value, parse};

/// libFuzzer ends at any panic, also at one that is caught: the YAML parser's own
/// panics are part of what `yaml::parse` bears, and are no finding.
pub(crate) fn bear_panics_of_the_yaml_parser() {
    let fatal = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let of_parser = panic.location().is_some_and(|place| place.file().contains("oxc-yaml-parser"));
        if !of_parser {
            fatal(panic);
        }
    }));
}

/// Larger inputs find nothing that small ones do not, only later.
const LARGEST: usize = 16 << 10;

/// Reading ends, no edit changes no byte, and an edit touches nothing but its own places.
pub(crate) fn yaml(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let tree = parse(FileId(0), text);
    assert_eq!(Patch::checked_text(&tree, []).as_deref(), Ok(text));
    let seed =
        data.iter().fold(data.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    for step in 0..4 {
        let Some(change) = change(&tree, seed.wrapping_add(step * 7919)) else { continue };
        let Ok(patch) = Patch::new(&tree, [&change]) else { continue };
        if let Ok(written) = Patch::checked_text(&tree, [&change]) {
            assert_untouched(text, &written, &patch);
        }
    }
}

/// All bytes outside the edits of the patch are there, in order.
fn assert_untouched(text: &str, written: &str, patch: &Patch) {
    let mut rest = written;
    let mut at = 0;
    for edit in patch.edits() {
        let kept = &text[at..edit.range.start];
        rest = rest.strip_prefix(kept).expect("bytes before an edit are untouched");
        rest = rest.strip_prefix(edit.text.as_str()).expect("the edit is there");
        at = edit.range.end;
    }
    assert_eq!(rest, &text[at..], "bytes behind the last edit are untouched");
}

/// An edit that the number stands for.
fn change(tree: &Tree<'_>, number: usize) -> Option<Change> {
    let mut nodes = Vec::new();
    tree.roots().for_each(|(_, root)| collect(root, &mut nodes));
    let value = *nodes.get(number % nodes.len().max(1))?;
    let number = number / nodes.len().max(1);
    let editor = Editor { sharing: if number.is_multiple_of(2) { Sharing::Refuse } else { Sharing::Allow } };
    let number = number / 2;
    let index = (number / 7) % (value.items().len() + value.written_entries().len() + 1);
    let made = match number % 7 {
        0 => editor.replace(value, Datum::from("new")),
        1 if value.is_mapping() => editor.insert_entry(value, index, "zz", Datum::Int(1)),
        1 => editor.insert_item(value, index, Datum::map([("app", "x, y")])),
        2 if value.is_mapping() => editor.remove_entry(&value.written_entries().nth(index)?),
        2 => editor.remove_item(value, index),
        3 => editor.rename_key(&value.written_entries().nth(index)?, "key: x"),
        4 => editor.append_document(tree, Datum::map([("a", "b")])),
        5 => editor.remove_document(tree, index),
        _ => editor.replace(value, Datum::seq(["one"])),
    };
    made.ok()
}

fn collect<'t>(value: Value<'t>, nodes: &mut Vec<Value<'t>>) {
    nodes.push(value);
    if matches!(value.kind(), Kind::Alias(_)) {
        return;
    }
    value.written_entries().for_each(|entry| collect(entry.value, nodes));
    value.items().for_each(|item| collect(item.value, nodes));
}

/// Whatever stands in a manifest is decoded, compiled and checked without harm.
pub(crate) fn policy_decode(data: &[u8]) {
    let Some(text) = text(data) else { return };
    with_model(&sources(text), |model, _| {
        let engine = model.engine(engine::Options::default());
        for number in 0..model.policies.len() {
            let _ = engine.refusals(number);
        }
    });
}

/// Any bytes are read as a log; the rows of a log are read as themselves.
pub(crate) fn flow_lines(data: &[u8]) {
    if data.len() > LARGEST {
        return;
    }
    let rows = rows(data);
    assert_eq!(text_of(self::rows(rows.as_bytes())), text_of(rows));
}

fn text_of(rows: String) -> Vec<String> {
    rows.lines().map(str::to_owned).collect()
}

fn tally(data: &[u8]) -> flow::Tally {
    let input = Input::Stream("log".into(), Box::new(Cursor::new(data.to_vec())));
    flow::tally(vec![input], flow::Options::default(), Keep { include_audit: true, ..Keep::default() })
}

fn rows(data: &[u8]) -> String {
    let mut out = Vec::new();
    tally(data).write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The order of policies does not matter to any verdict.
pub(crate) fn engine_order(data: &[u8]) {
    let Some((manifests, flows)) = halves(data) else { return };
    with_model(&sources(manifests), |mut model, _| {
        let forward = verdicts(&model, &flows);
        model.policies.reverse();
        assert_eq!(forward, verdicts(&model, &flows));
    });
}

fn verdicts(model: &Model<'_>, flows: &[Distinct]) -> Vec<[String; 2]> {
    let mut engine = model.engine(engine::Options::default());
    let mut verdicts = Vec::new();
    for Distinct { flow, .. } in flows {
        let source = engine.take_in(&flow.source, &model.inventory).identity;
        let destination = engine.take_in(&flow.destination, &model.inventory).identity;
        let judgement = engine.judge(source, destination, flow.packet);
        verdicts.push([judgement.egress.word().to_owned(), judgement.ingress.word().to_owned()]);
    }
    verdicts
}

/// Every fix is YAML and mends something: with all of them applied, less is left to mend.
pub(crate) fn suggest_small(data: &[u8]) {
    let Some((manifests, flows)) = halves(data) else { return };
    let mut sources = sources(manifests);
    let first = suggestion(&sources, &flows);
    if first.tally.fixes == 0 {
        assert!(first.files.is_empty(), "no file changes without a fix");
        return;
    }
    let mut after = Sources::default();
    let mut new_files = Vec::new();
    for file in &first.files {
        match file.file {
            Some(_) => {
                after.add(Source::new(file.path.clone(), file.name.clone(), file.after.clone()));
            }
            None => new_files.push(Source::new(file.path.clone(), file.name.clone(), file.after.clone())),
        }
    }
    if after.len() == 0 {
        std::mem::swap(&mut after, &mut sources);
    }
    for file in new_files {
        after.add(file);
    }
    let second = suggestion(&after, &flows);
    assert!(second.tally.mended == 0, "what is mended needs no second mend: {:#?}", second.files);
}

fn suggestion(sources: &Sources, flows: &[Distinct]) -> Suggestion {
    let mut found = Suggestion::default();
    with_model(sources, |model, trees| {
        found =
            suggest(&model, trees, sources, engine::Options::default(), flows.to_vec(), Wishes::default());
    });
    found
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok().filter(|text| text.len() <= LARGEST)
}

/// Manifests and flows.
fn halves(data: &[u8]) -> Option<(&str, Vec<Distinct>)> {
    let (manifests, log) = text(data)?.split_once("\n%%%\n")?;
    Some((manifests, tally(log.as_bytes()).distinct()))
}

fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add(Source::new(PathBuf::from("file.yaml"), "file.yaml".into(), text.to_owned()));
    sources
}

fn with_model(sources: &Sources, look: impl FnOnce(Model<'_>, &[Tree<'_>])) {
    let trees = parse_all(sources);
    let none_beside = [FileId(sources.len() as u32); 2];
    look(Model::read(sources, &trees, none_beside, &Settings::default()), &trees);
}
