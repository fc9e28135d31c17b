//! Nasty places and the exact bytes that an edit there must leave.

use super::{Change, Datum, EditError, Editor, Patch, Refusal, Sharing, Value, parse};
use crate::source::FileId;

fn edited(text: &str, changes: impl FnOnce(Value<'_>, Editor) -> Vec<Change>) -> String {
    let tree = parse(FileId(0), text);
    assert!(tree.errors.is_empty(), "{:?}", tree.errors);
    let root = tree.roots().next().unwrap().1;
    let changes = changes(root, Editor::default());
    Patch::checked_text(&tree, &changes).unwrap_or_else(|error| {
        panic!("{error}\n{}", Patch::new(&tree, &changes).map_or_else(|e| e.to_string(), |p| p.apply(text)))
    })
}

fn at<'t>(root: Value<'t>, path: &str) -> Value<'t> {
    path.split('.').filter(|part| !part.is_empty()).fold(root, |value, part| match part.parse::<usize>() {
        Ok(index) => value.items().nth(index).unwrap().value,
        Err(_) => value.entry(part).unwrap().value,
    })
}

fn insert(path: &str, index: usize, item: impl Into<Datum>, text: &str) -> String {
    edited(text, |root, editor| vec![editor.insert_item(at(root, path), index, item).unwrap()])
}

fn add(path: &str, index: usize, key: &str, value: impl Into<Datum>, text: &str) -> String {
    edited(text, |root, editor| vec![editor.insert_entry(at(root, path), index, key, value).unwrap()])
}

fn remove(path: &str, indexes: &[usize], text: &str) -> String {
    edited(text, |root, editor| {
        indexes.iter().map(|index| editor.remove_item(at(root, path), *index).unwrap()).collect()
    })
}

fn drop_key(path: &str, key: &str, text: &str) -> String {
    edited(text, |root, editor| vec![editor.remove_entry(&at(root, path).entry(key).unwrap()).unwrap()])
}

fn replace(path: &str, value: impl Into<Datum>, text: &str) -> String {
    edited(text, |root, editor| vec![editor.replace(at(root, path), value).unwrap()])
}

fn port(port: &str) -> Datum {
    Datum::map([("port", port), ("protocol", "TCP")])
}

#[test]
fn a_replaced_scalar_keeps_its_quotes_and_gets_them_where_needed() {
    for (text, value, want) in [
        ("a: \"80\" # c\n", "8080", "a: \"8080\" # c\n"),
        ("a: '80'\r\nb: 1\r\n", "it's", "a: 'it''s'\r\nb: 1\r\n"),
        ("a: http", "8080", "a: \"8080\""),
        ("a: http\nb: 'x'\n", "8080", "a: '8080'\nb: 'x'\n"),
        ("\u{feff}a: x\n", "y1", "\u{feff}a: y1\n"),
        ("{a: x, b: y}\n", "p,q", "{a: \"p,q\", b: y}\n"),
        ("a: |\n  old\nb: 1\n", "new", "a: new\nb: 1\n"),
        ("a: >-\n  old\n  text\n\nb: 1\n", "new", "a: new\n\nb: 1\n"),
        ("a: one\n  two\nb: 1\n", "new", "a: new\nb: 1\n"),
        ("a: &x 1\n", "new", "a: &x new\n"),
        ("a:\n  old # c\n", "new", "a:\n  new # c\n"),
        ("a:\nb: 1\n", "new", "a: new\nb: 1\n"),
        ("a: # why\nb: 1\n", "new", "a: new # why\nb: 1\n"),
        ("{b: 1, a}\n", "new", "{b: 1, a: new}\n"),
        ("{b: 1, a: }\n", "new", "{b: 1, a: new }\n"),
    ] {
        assert_eq!(replace("a", value, text), want, "{text:?}");
    }
    assert_eq!(replace("a", 80_i64, "a: \"http\"\n"), "a: 80\n");
}

#[test]
fn a_renamed_key_keeps_its_quotes() {
    let rename = |text: &str, key: &str| {
        edited(text, |root, editor| {
            vec![editor.rename_key(&root.written_entries().next().unwrap(), key).unwrap()]
        })
    };
    assert_eq!(rename("\"k8s:a\": x\n", "k8s:b"), "\"k8s:b\": x\n");
    assert_eq!(rename("app: x\n", "on"), "\"on\": x\n");
    assert_eq!(rename("{app: x}\n", "k8s:app"), "{k8s:app: x}\n");
    assert_eq!(rename("? app\n: x\n", "b"), "? b\n: x\n");
}

#[test]
fn an_item_is_inserted_at_the_dashes_of_its_list() {
    let list = "a:\n  - x\n  - y\n  # end\nb: 1\n";
    assert_eq!(insert("a", 0, "w", list), "a:\n  - w\n  - x\n  - y\n  # end\nb: 1\n");
    assert_eq!(insert("a", 1, "w", list), "a:\n  - x\n  - w\n  - y\n  # end\nb: 1\n");
    assert_eq!(insert("a", 9, "w", list), "a:\n  - x\n  - y\n  - w\n  # end\nb: 1\n");
    for (text, want) in [
        ("a:\n- x\nb: 1\n", "a:\n- x\n- w\nb: 1\n"),
        ("a:\n- x", "a:\n- x\n- w"),
        ("a:\r\n  - x # c\r\n\r\nb: 1\r\n", "a:\r\n  - x # c\r\n  - w\r\n\r\nb: 1\r\n"),
        ("\u{feff}a:\n-   x\n", "\u{feff}a:\n-   x\n-   w\n"),
        ("a:\n  - x\n    # about x\n  # end\n", "a:\n  - x\n    # about x\n  - w\n  # end\n"),
        ("a:\n  - |\n    text\n\nb: 1\n", "a:\n  - |\n    text\n  - w\n\nb: 1\n"),
        ("a:\n  - |+\n    text\n\nb: 1\n", "a:\n  - |+\n    text\n\n  - w\nb: 1\n"),
        ("a:\n  - one\n    two\n", "a:\n  - one\n    two\n  - w\n"),
        ("a:\n  -\nb: 1\n", "a:\n  -\n  - w\nb: 1\n"),
        ("a:\n  - x\n\n  - y\nb: 1\n", "a:\n  - x\n\n  - y\n\n  - w\nb: 1\n"),
        ("a: &l\n  - x\n", "a: &l\n  - x\n  - w\n"),
    ] {
        assert_eq!(insert("a", 9, "w", text), want, "{text:?}");
    }
}

#[test]
fn a_comment_above_an_item_stays_with_it() {
    let text = "a:\n  # about x\n  - x\n  # about y\n  - y\n";
    assert_eq!(insert("a", 0, "w", text), "a:\n  - w\n  # about x\n  - x\n  # about y\n  - y\n");
    assert_eq!(insert("a", 1, "w", text), "a:\n  # about x\n  - x\n  - w\n  # about y\n  - y\n");
    assert_eq!(remove("a", &[0], text), "a:\n  # about y\n  - y\n");
    assert_eq!(remove("a", &[1], text), "a:\n  # about x\n  - x\n");
    let dash_comment = "a:\n  - # about x\n    k: x\n";
    let item = Datum::map([("k", "w")]);
    assert_eq!(insert("a", 1, item.clone(), dash_comment), "a:\n  - # about x\n    k: x\n  - k: w\n");
    assert_eq!(insert("a", 0, item, dash_comment), "a:\n  - k: w\n  - # about x\n    k: x\n");
}

#[test]
fn lists_in_lists_stay_compact() {
    let text = "a:\n- - x\n  - y\n- - z\n";
    assert_eq!(insert("a.0", 0, "w", text), "a:\n- - w\n  - x\n  - y\n- - z\n");
    assert_eq!(insert("a.1", 1, "w", text), "a:\n- - x\n  - y\n- - z\n  - w\n");
    assert_eq!(insert("a", 1, Datum::seq(["w", "m"]), text), "a:\n- - x\n  - y\n- - w\n  - m\n- - z\n");
    assert_eq!(remove("a.0", &[0], text), "a:\n- - y\n- - z\n");
    assert_eq!(remove("a.1", &[0], text), "a:\n- - x\n  - y\n- []\n");
}

#[test]
fn a_lone_empty_list_becomes_lines() {
    for (text, want) in [
        ("a: []\nb: 1\n", "a:\n  - w\nb: 1\n"),
        ("a: [] # none\nb: 1\n", "a: # none\n  - w\nb: 1\n"),
        ("a:\n  # none\n  []\nb: 1\n", "a:\n  # none\n  - w\nb: 1\n"),
        ("a:\nb: 1\n", "a:\n  - w\nb: 1\n"),
        ("a: null # none\nb: 1\n", "a: # none\n  - w\nb: 1\n"),
        ("a:\n  # none yet\nb: 1\n", "a:\n  # none yet\n  - w\nb: 1\n"),
        ("a: &x []\nb: 1\n", "a: &x\n  - w\nb: 1\n"),
        ("a: []", "a:\n  - w"),
        ("b: [x]\na: []\n", "b: [x]\na: [w]\n"),
        ("{a: []}\n", "{a: [w]}\n"),
        ("{a: [ ], b: [ x ]}\n", "{a: [ w ], b: [ x ]}\n"),
        ("b:\n- x\na: []\n", "b:\n- x\na:\n- w\n"),
        ("x:\r\n    a: []\r\na: []\r\n", "x:\r\n    a: []\r\na:\r\n    - w\r\n"),
    ] {
        assert_eq!(insert("a", 0, "w", text), want, "{text:?}");
    }
    let both = edited("a: []\n", |root, editor| {
        ["w", "m"].map(|item| editor.insert_item(at(root, "a"), 0, item).unwrap()).to_vec()
    });
    assert_eq!(both, "a:\n  - w\n  - m\n");
    assert_eq!(insert("a.0", 0, "w", "a:\n- []\n"), "a:\n- - w\n");
    assert_eq!(add("a.0", 0, "k", "w", "a:\n- {} # c\n"), "a:\n- k: w # c\n");
    assert_eq!(add("a.0", 0, "k", "w", "a:\n  -\n"), "a:\n  - k: w\n");
    assert_eq!(add("", 0, "k", "w", "--- {}\n"), "---\nk: w\n");
}

#[test]
fn the_last_member_leaves_empty_brackets() {
    assert_eq!(remove("a", &[0], "a:\n  # about x\n  - x # c\nb: 1\n"), "a: []\nb: 1\n");
    assert_eq!(
        remove("a", &[0, 1], "a: # why\n- x\n- y\nb: {  }\nc: [ ]\n"),
        "a: [ ] # why\nb: {  }\nc: [ ]\n"
    );
    assert_eq!(remove("a", &[0], "a:\n  - x"), "a: []");
    assert_eq!(remove("a", &[0, 1], "a: [x, y]\n"), "a: []\n");
    assert_eq!(remove("a", &[0], "a: [\n  x, # c\n]\n"), "a: []\n");
    assert_eq!(drop_key("a", "x", "a:\n  x: 1\nb: 1\n"), "a: {}\nb: 1\n");
    assert_eq!(drop_key("a.0", "x", "a:\n- x: 1 # c\n- y: 1\n"), "a:\n- {}\n- y: 1\n");
    assert_eq!(drop_key("", "x", "x: 1\n"), "{}\n");
}

#[test]
fn items_are_removed_with_their_lines() {
    let text = "a:\n  - x # c\n  - k: 1\n    # inner\n    l: 2\n  - z\nb: 1\n";
    assert_eq!(remove("a", &[0], text), "a:\n  - k: 1\n    # inner\n    l: 2\n  - z\nb: 1\n");
    assert_eq!(remove("a", &[1], text), "a:\n  - x # c\n  - z\nb: 1\n");
    assert_eq!(remove("a", &[2], text), "a:\n  - x # c\n  - k: 1\n    # inner\n    l: 2\nb: 1\n");
    assert_eq!(remove("a", &[0, 2], text), "a:\n  - k: 1\n    # inner\n    l: 2\nb: 1\n");
    assert_eq!(remove("a", &[0, 1], text), "a:\n  - z\nb: 1\n");
    assert_eq!(remove("a", &[1], "a:\n- x\n- y"), "a:\n- x");
    assert_eq!(remove("a", &[1], "a:\r\n- x\r\n- y"), "a:\r\n- x");
    assert_eq!(remove("a", &[1], "a:\n- x\n\n- y\n\n- z\n"), "a:\n- x\n\n- z\n");
    assert_eq!(remove("a", &[0], "a:\n- x\n\n- y\n"), "a:\n- y\n");
}

#[test]
fn the_first_entry_on_a_dash_line_keeps_the_dash() {
    let text = "a:\n  - x: 1 # c\n    # about y\n    y: 2\n";
    assert_eq!(drop_key("a.0", "x", text), "a:\n  - # about y\n    y: 2\n");
    assert_eq!(drop_key("a.0", "y", text), "a:\n  - x: 1 # c\n");
    assert_eq!(add("a.0", 0, "w", "0a", text), "a:\n  - w: 0a\n    x: 1 # c\n    # about y\n    y: 2\n");
    assert_eq!(add("a.0", 2, "z", "k", text), "a:\n  - x: 1 # c\n    # about y\n    y: 2\n    z: k\n");
    let swapped = edited("a:\n-   x: 1\n    y: 2\n", |root, editor| {
        let item = at(root, "a.0");
        vec![
            editor.insert_entry(item, 0, "w", "o").unwrap(),
            editor.remove_entry(&item.entry("x").unwrap()).unwrap(),
        ]
    });
    assert_eq!(swapped, "a:\n-   w: o\n    y: 2\n");
}

#[test]
fn flow_collections_keep_their_commas() {
    for (text, index, want) in [
        ("a: [x, y]\n", 0, "a: [w, x, y]\n"),
        ("a: [x, y]\n", 1, "a: [x, w, y]\n"),
        ("a: [x, y]\n", 2, "a: [x, y, w]\n"),
        ("a: [ x, ] # c\n", 1, "a: [ x, w, ] # c\n"),
        ("a: [\n  x,\n  y # c\n]\n", 2, "a: [\n  x,\n  y, # c\n  w\n]\n"),
        ("a: [\n  x,\n  y, # c\n]\n", 2, "a: [\n  x,\n  y, # c\n  w,\n]\n"),
        ("a: [\n  # about x\n  x,\n]\n", 0, "a: [\n  w,\n  # about x\n  x,\n]\n"),
        ("a: [\n  x,\n  y ]\n", 2, "a: [\n  x,\n  y,\n  w ]\n"),
        ("a: [x,\n    y]\n", 1, "a: [x, w,\n    y]\n"),
    ] {
        assert_eq!(insert("a", index, "w", text), want, "{text:?}");
    }
    assert_eq!(remove("a", &[0], "a: [x, y]\n"), "a: [y]\n");
    assert_eq!(remove("a", &[1], "a: [x, y]\n"), "a: [x]\n");
    assert_eq!(remove("a", &[1], "a: [x, y,]\n"), "a: [x,]\n");
    assert_eq!(remove("a", &[1], "a: [\n  x,\n  y # c\n]\n"), "a: [\n  x\n]\n");
    assert_eq!(remove("a", &[0], "a: [\n  x,\n  y,\n]\n"), "a: [\n  y,\n]\n");
    assert_eq!(add("a", 1, "k", "v", "a: { x: 1 }\n"), "a: { x: 1, k: v }\n");
    let two = edited("a: [x]\n", |root, editor| {
        ["w", "m"].map(|item| editor.insert_item(at(root, "a"), 1, item).unwrap()).to_vec()
    });
    assert_eq!(two, "a: [x, w, m]\n");
}

#[test]
fn all_braces_get_braces() {
    let text = "---
{
  spec: {
    egress: [{
      toEntities: [
        \"host\",
      ],
      toPorts: [{
        ports: [{
          port: \"80\",
          protocol: \"TCP\",
        }],
      }],
    }],
  },
}
";
    let ports = insert("spec.egress.0.toPorts.0.ports", 1, port("443"), text);
    assert_eq!(
        ports,
        text.replace(
            "          protocol: \"TCP\",\n        }],",
            "          protocol: \"TCP\",\n        }, {\n          port: \"443\",\n          protocol: \"TCP\",\n        }],"
        )
    );
    let entity = insert("spec.egress.0.toEntities", 0, "world", text);
    assert_eq!(entity, text.replace("        \"host\",", "        \"world\",\n        \"host\","));
    let labels = Datum::map([("app", "web")]);
    let rule = Datum::map([("toEndpoints", Datum::seq([Datum::map([("matchLabels", labels)])]))]);
    let rule = insert("spec.egress", 1, rule, text);
    assert_eq!(
        rule,
        text.replace(
            "    }],\n  },",
            "    }, {
      toEndpoints: [{
        matchLabels: {
          app: \"web\",
        },
      }],
    }],
  },"
        )
    );
}

#[test]
fn changes_at_the_same_byte_keep_inside_and_outside_apart() {
    let text = "a:\n  - b:\n    - x\nc: []\n";
    let outer_first = edited(text, |root, editor| {
        vec![
            editor.insert_entry(root, 1, "d", "new").unwrap(),
            editor.insert_item(at(root, "a"), 1, "second").unwrap(),
            editor.insert_item(at(root, "a.0.b"), 1, "y1").unwrap(),
            editor.insert_entry(at(root, "a.0"), 1, "e", "f").unwrap(),
        ]
    });
    assert_eq!(outer_first, "a:\n  - b:\n    - x\n    - y1\n    e: f\n  - second\nd: new\nc: []\n");
    let removed = edited("a:\n  - b:\n    - x\n    - y1\n", |root, editor| {
        vec![
            editor.remove_item(at(root, "a.0.b"), 1).unwrap(),
            editor.insert_item(at(root, "a"), 1, "z").unwrap(),
        ]
    });
    assert_eq!(removed, "a:\n  - b:\n    - x\n  - z\n");
}

#[test]
fn overlapping_changes_are_refused() {
    let tree = parse(FileId(0), "a: {b: 1}\n");
    let root = tree.roots().next().unwrap().1;
    let editor = Editor::default();
    let outer = editor.replace(at(root, "a"), "x").unwrap();
    let inner = editor.replace(at(root, "a.b"), "y1").unwrap();
    let other = editor.replace(at(root, "a.b"), "z").unwrap();
    assert!(matches!(Patch::new(&tree, [&outer, &inner]), Err(EditError::Overlap(_))));
    assert!(matches!(Patch::new(&tree, [&inner, &other]), Err(EditError::Overlap(_))));
    assert_eq!(Patch::checked_text(&tree, [&inner, &inner]).unwrap(), "a: {b: y1}\n");
    assert_eq!(Patch::checked_text(&tree, []).unwrap(), tree.text);
    let elsewhere = parse(FileId(1), "a: {b: 1}\n");
    assert_eq!(Patch::checked_text(&elsewhere, [&inner]), Err(EditError::OtherFile));
}

#[test]
fn places_that_mean_more_than_they_show_are_refused() {
    let refused = |text: &str, path: &str| {
        let tree = parse(FileId(0), text);
        let value = at(tree.roots().next().unwrap().1, path);
        Editor::default().replace(value, "x").unwrap_err()
    };
    assert!(matches!(refused("a: &x [1]\nb: *x\n", "a.0"), Refusal::Shared(_)));
    assert!(matches!(refused("a: &x [1]\nb: *x\n", "b"), Refusal::Alias(_)));
    assert!(matches!(refused("a: &x {k: 1}\nb: {<<: *x}\n", "b.k"), Refusal::Shared(_)));
    assert!(matches!(refused("b: {<<: {k: 1}}\n", "b.k"), Refusal::MergeSource(_)));
    assert!(matches!(refused("b: !secret {k: 1}\n", "b.k"), Refusal::Tagged(_)));
    assert!(matches!(refused("a: 1\nb: \"{{ .Values.b }}\"\n", "a"), Refusal::Template(_)));
    assert!(matches!(refused("a: {k: &x 1}\nb: *x\n", "a"), Refusal::AnchorNeeded(_)));
    let tree = parse(FileId(0), "a: &x [1]\nb: *x\nc: {k: 1}\n");
    let root = tree.roots().next().unwrap().1;
    let editor = Editor::default();
    assert!(matches!(editor.remove_entry(&root.entry("a").unwrap()), Err(Refusal::AnchorNeeded(_))));
    assert!(matches!(editor.insert_entry(root, 0, "c", "x"), Err(Refusal::KeyExists(_))));
    assert!(matches!(editor.insert_item(root, 0, "x"), Err(Refusal::NoSuchPlace(_))));
    assert!(matches!(editor.remove_item(at(root, "b"), 0), Err(Refusal::Alias(_))));
    assert!(matches!(editor.remove_document(&tree, 0), Err(Refusal::OnlyDocument(_))));
}

#[test]
fn a_shared_anchor_can_be_edited_when_the_caller_answers_for_it() {
    let text = "dns: &dns\n  - x\nuse: *dns\nmerged:\n  <<: &m {k: 1}\nmore: *m\n";
    let tree = parse(FileId(0), text);
    let root = tree.roots().next().unwrap().1;
    let editor = Editor { sharing: Sharing::Allow };
    let changes = [
        editor.insert_item(root.get("use").unwrap(), 1, "w").unwrap(),
        editor.replace(root.path(&["merged", "k"]).unwrap(), "new").unwrap(),
    ];
    let written = Patch::checked_text(&tree, &changes).unwrap();
    assert_eq!(written, text.replace("  - x\n", "  - x\n  - w\n").replace("k: 1", "k: new"));
}

#[test]
fn documents_are_added_in_the_manner_of_the_stream() {
    let append = |text: &str| {
        let tree = parse(FileId(0), text);
        let change = Editor::default().append_document(&tree, Datum::map([("k", "v")])).unwrap();
        Patch::checked_text(&tree, [&change]).unwrap()
    };
    assert_eq!(append("a: 1\n"), "a: 1\n---\nk: v\n");
    assert_eq!(append("---\na: 1"), "---\na: 1\n---\nk: v");
    assert_eq!(
        append("a: 1\r\n\r\n---\r\n\r\nb: 1\r\n"),
        "a: 1\r\n\r\n---\r\n\r\nb: 1\r\n\r\n---\r\n\r\nk: v\r\n"
    );
    assert_eq!(append("# words\n"), "# words\n---\nk: v\n");
    assert_eq!(append("{\n  a: \"x\",\n}\n"), "{\n  a: \"x\",\n}\n---\n{\n  k: \"v\",\n}\n");
}

#[test]
fn documents_are_removed_with_their_marker() {
    let remove = |text: &str, index: usize| {
        let tree = parse(FileId(0), text);
        let change = Editor::default().remove_document(&tree, index).unwrap();
        Patch::checked_text(&tree, [&change]).unwrap()
    };
    let text = "a: 1\n\n---\n\nb: 2\n\n---\n\nc: 3\n";
    assert_eq!(remove(text, 0), "b: 2\n\n---\n\nc: 3\n");
    assert_eq!(remove(text, 1), "a: 1\n\n---\n\nc: 3\n");
    assert_eq!(remove(text, 2), "a: 1\n\n---\n\nb: 2\n");
    assert_eq!(remove("---\na: 1\n---\nb: 2", 1), "---\na: 1");
    assert_eq!(remove("---\na: 1\n---\nb: 2", 0), "---\nb: 2");
    assert_eq!(remove("\u{feff}a: 1\n--- # two\nb: 2\n", 0), "\u{feff}--- # two\nb: 2\n");
}

#[test]
fn a_document_that_cannot_be_read_neither_changes_nor_hinders() {
    let text = "a: [1\n---\nb: x\n---\nc: {{ .Values.c }}\n";
    let tree = parse(FileId(0), text);
    let root = tree.roots().next().unwrap().1;
    let change = Editor::default().replace(root.get("b").unwrap(), "z").unwrap();
    assert_eq!(Patch::checked_text(&tree, [&change]).unwrap(), text.replace("b: x", "b: z"));
}
