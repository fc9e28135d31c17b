//! The laws of the fuzz targets on their corpus: seeds of our own, and what
//! once broke a law.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and says on which file")]

#[path = "../fuzz/src/laws.rs"]
mod laws;

use std::fs;
use std::path::Path;

fn replay(target: &str, law: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        law(&fs::read(file).unwrap());
    }
}

#[test]
fn yaml_reads_and_edits_its_corpus() {
    replay("yaml", laws::yaml);
}

#[test]
fn policies_of_the_corpus_are_decoded() {
    replay("policy_decode", laws::policy_decode);
}

#[test]
fn logs_of_the_corpus_are_read_and_their_rows_as_themselves() {
    replay("flow_lines", laws::flow_lines);
}

#[test]
fn order_of_policies_does_not_matter_in_the_corpus() {
    replay("engine_order", laws::engine_order);
}

#[test]
fn fixes_of_the_corpus_mend() {
    replay("suggest_small", laws::suggest_small);
}
