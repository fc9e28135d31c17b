//! The YAML room: text to a tree with the byte span of every node, and edits as
//! byte splices. It knows YAML and no word of Cilium or Kubernetes.
//!
//! A file is parsed once; the typed policies, the messages and the edits all
//! read the same [`Tree`]. Nothing is ever emitted anew but what is inserted.
//!
//! An edit is said in terms of the tree as it was read and of plain data: an
//! [`Editor`] makes [`Change`]s, all of one file together become a [`Patch`], and
//! [`Patch::checked_text`] gives the new text once both readers have found in it
//! what was meant. What cannot be done is a [`Refusal`].

mod block;
mod build;
mod datum;
mod edit;
#[cfg(test)]
mod edit_cases;
mod flow;
mod fragment;
mod guard;
mod habits;
mod intent;
mod lifted;
mod lines;
mod locate;
mod parse;
mod patch;
mod quote;
pub mod scalar;
mod second_reader;
mod stream;
mod tree;
mod unfolded;
mod value;
mod whole;

pub use datum::{Datum, TooLarge};
pub use edit::{Change, Editor, Refusal, Sharing};
pub use habits::Habits;
pub use patch::{EditError, Patch};
pub use second_reader::Mismatch;
pub use stream::new_file;

pub use parse::{SyntaxError, catches_panics, parse};
pub use scalar::{Resolved, Style};
pub use tree::{Comment, Document, Kind, NodeId, Tree};
pub use value::{Entries, Entry, Item, Items, Value};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn tree(text: &str) -> Tree<'_> {
        parse(FileId(0), text)
    }

    fn first<'t>(tree: &'t Tree<'t>) -> Value<'t> {
        tree.roots().next().unwrap().1
    }

    #[test]
    fn every_node_has_its_exact_span() {
        let text = "a: \"1\" # one\nb:\n- x\n- {c: 'd'}\n";
        let tree = tree(text);
        let root = first(&tree);
        assert_eq!(root.get("a").unwrap().raw(), "\"1\"");
        assert_eq!(root.get("a").unwrap().text().unwrap(), "1");
        let items: Vec<_> = root.get("b").unwrap().items().collect();
        assert_eq!(&text[items[0].span.range()], "- x");
        assert_eq!(items[1].value.get("c").unwrap().raw(), "'d'");
        assert_eq!(tree.comments.len(), 1);
        assert!(!tree.comments[0].own_line);
    }

    #[test]
    fn aliases_and_merge_keys_read_as_what_they_stand_for() {
        let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nsame: *b\n";
        let tree = tree(text);
        let root = first(&tree);
        let used = root.get("use").unwrap();
        assert_eq!(used.get("x").unwrap().raw(), "1");
        assert_eq!(used.get("y").unwrap().raw(), "3");
        let keys: Vec<_> = used.entries().map(|e| (e.key.text().unwrap(), e.merged)).collect();
        assert_eq!(keys, [("y".into(), false), ("x".into(), true)]);
        assert_eq!(root.path(&["same", "y"]).unwrap().raw(), "2");
    }

    #[test]
    fn a_duplicate_key_is_visible_and_the_last_one_counts() {
        let tree = tree("a: 1\na: 2\n");
        let root = first(&tree);
        assert_eq!(root.written_entries().count(), 2);
        assert_eq!(root.get("a").unwrap().raw(), "2");
    }

    #[test]
    fn empty_and_comment_only_documents_have_no_root() {
        let tree = tree("# only words\n---\n---\na: 1\n--- # more\n# words\n");
        assert!(tree.errors.is_empty());
        assert_eq!(tree.roots().count(), 1);
    }

    #[test]
    fn one_broken_document_does_not_hide_its_neighbours() {
        let tree = tree("a: 1\n---\nb: [1\n---\nc: 3\n");
        assert_eq!(tree.errors.len(), 1);
        let keys: Vec<_> = tree.roots().map(|(_, v)| v.written_entries().next().unwrap().key.raw()).collect();
        assert_eq!(keys, ["a", "c"]);
        assert_eq!(tree.documents.iter().filter(|d| d.broken).count(), 1);
    }

    #[test]
    fn an_alias_to_nothing_is_an_error_and_not_a_value() {
        let tree = tree("a: *.example.com\n");
        assert_eq!(tree.errors.len(), 1);
    }

    #[test]
    fn a_pair_that_would_lose_its_first_key_is_an_error() {
        let text = "a: &x 1\nb: [*x: c: d]\n";
        assert_eq!(tree(text).errors.len(), 1);
        let good = "[a: 1, {b: 2}, # c\n  ? c : 3, \"d\": 4]\n";
        assert!(tree(good).errors.is_empty());
    }

    #[test]
    fn a_closing_bracket_may_stand_in_the_column_of_its_key() {
        let text = "spec:\n  a: [\n    \"x\", # c\n  ]\n  b: {\n    \"k\": \"v\"\n\n  }\nc: d\n";
        let tree = tree(text);
        assert!(tree.errors.is_empty(), "{:?}", tree.errors);
        let spec = first(&tree).get("spec").unwrap();
        assert_eq!(spec.get("a").unwrap().raw(), "[\n    \"x\", # c\n  ]");
        assert_eq!(spec.get("b").unwrap().get("k").unwrap().raw(), "\"v\"");
        assert_eq!(&text[tree.comments[0].start as usize..tree.comments[0].end as usize], "# c");
        for stray in ["a: \"b\"\n]\n", "a: b\n]\n", "a:\n  - b\n ]\n"] {
            assert_eq!(self::tree(stray).errors.len(), 1, "{stray:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_stack_overflow() {
        for text in ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(20_000), "? ".repeat(20_000)] {
            assert_eq!(tree(&text).errors.len(), 1);
        }
        let mut staircase = String::new();
        for depth in 0..2_000 {
            staircase.push_str(&" ".repeat(depth));
            staircase.push_str("a:\n");
        }
        assert_eq!(tree(&staircase).errors.len(), 1);
    }
}
