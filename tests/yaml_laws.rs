//! The laws of the YAML room, on generated text: no edit changes nothing, an
//! edit changes nothing else, and what is read is what libyaml's family reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use granit_parser::{Event, Parser, ScalarStyle};
use policyfix::source::FileId;
use policyfix::yaml::{
    Change, Datum, EditError, Editor, Kind, Patch, Refusal, Sharing, Style, Tree, Value, parse,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A YAML text with every detail of its layout chosen by chance.
#[derive(Debug, Clone)]
enum Node {
    Scalar(&'static str),
    Empty,
    Anchored(Box<Node>),
    Alias,
    Block(Vec<Member>, Layout),
    Flow(Vec<Node>, FlowLayout),
}

#[derive(Debug, Clone)]
struct Member {
    above: Above,
    behind: bool,
    node: Node,
}

#[derive(Debug, Clone, Copy)]
enum Above {
    Nothing,
    Comment,
    DeepComment,
    Blank,
}

#[derive(Debug, Clone)]
struct Layout {
    keys: bool,
    offset: usize,
    padding: usize,
}

#[derive(Debug, Clone)]
struct FlowLayout {
    keys: bool,
    lines: bool,
    spaces: bool,
    comma: bool,
}

const SCALARS: &[&str] = &[
    "web",
    "80",
    "\"80\"",
    "'it''s'",
    "on",
    "10.0.0.0/8",
    "k8s:app",
    "\"a: b\"",
    "größe",
    "~",
    "'*.x'",
    "017",
    "\"\\u00e9 \\\"\"",
    "1_000",
    "\"\"",
];
const BLOCK_SCALARS: &[&str] = &["|\n one\n\n  two\n", "|-\n one\n", ">+\n one\n two\n\n", ">-\n one\n"];

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        8 => prop::sample::select(SCALARS).prop_map(Node::Scalar),
        1 => prop::sample::select(BLOCK_SCALARS).prop_map(Node::Scalar),
        1 => Just(Node::Empty),
        1 => Just(Node::Alias),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let above = prop_oneof![
            6 => Just(Above::Nothing),
            1 => Just(Above::Comment),
            1 => Just(Above::DeepComment),
            1 => Just(Above::Blank)
        ];
        let member = (above, prop::bool::weighted(0.2), inner.clone())
            .prop_map(|(above, behind, node)| Member { above, behind, node });
        let layout = (any::<bool>(), 0..5_usize, 1..5_usize).prop_map(|(keys, offset, padding)| Layout {
            keys,
            offset,
            padding,
        });
        let flow = (any::<bool>(), prop::bool::weighted(0.3), any::<bool>(), any::<bool>())
            .prop_map(|(keys, lines, spaces, comma)| FlowLayout { keys, lines, spaces, comma });
        prop_oneof![
            4 => (vec(member, 1..5), layout).prop_map(|(members, layout)| Node::Block(members, layout)),
            2 => (vec(inner.clone(), 0..4), flow).prop_map(|(nodes, layout)| Node::Flow(nodes, layout)),
            1 => inner.prop_map(|node| Node::Anchored(Box::new(node))),
        ]
    })
}

/// Writes a [`Node`] down.
#[derive(Default)]
struct Emitter {
    out: String,
    anchored: bool,
}

impl Emitter {
    fn document(&mut self, node: &Node) {
        match node {
            Node::Block(members, layout) => self.members(members, layout, 0),
            Node::Flow(..) => {
                self.flow(node, 0);
                self.out.push('\n');
            }
            _ => self.out.push_str("only: text\n"),
        }
    }

    /// What stands behind a colon or a dash, up to the end of its line or lines.
    fn value(&mut self, node: &Node, column: usize, dash: Option<usize>, behind: bool) {
        let comment = if behind { " # behind" } else { "" };
        match node {
            Node::Block(members, layout) => {
                let inner = match dash {
                    Some(padding) => column + 1 + padding,
                    None if layout.keys => column + layout.offset.max(1),
                    None => column + layout.offset,
                };
                match dash {
                    Some(padding) if !behind => self.out.push_str(&" ".repeat(padding)),
                    _ => {
                        let _ = write!(self.out, "{comment}\n{:inner$}", "");
                    }
                }
                let at = self.out.len();
                self.members(members, layout, inner);
                let lead = self.out[at..].len() - self.out[at..].trim_start_matches(' ').len();
                self.out.replace_range(at..at + lead, "");
            }
            Node::Scalar(text) if text.contains('\n') => {
                let text = text.trim_end_matches('\n').replace('\n', &format!("\n{:column$} ", ""));
                let kept = if text.starts_with(">+") { "\n\n" } else { "\n" };
                let text = text.replace(&format!("{:column$} \n", ""), "\n");
                let _ = write!(self.out, " {text}{kept}");
            }
            Node::Scalar(text) => {
                let _ = writeln!(self.out, " {text}{comment}");
            }
            Node::Empty => {
                let _ = writeln!(self.out, "{comment}");
            }
            Node::Alias if self.anchored => {
                let _ = writeln!(self.out, " *x{comment}");
            }
            Node::Alias => {
                let _ = writeln!(self.out, " none{comment}");
            }
            Node::Anchored(inner) => {
                if matches!(**inner, Node::Scalar(_) | Node::Flow(..)) {
                    self.out.push_str(" &x");
                    self.value(inner, column, None, behind);
                    self.anchored = true;
                } else {
                    self.value(inner, column, dash, behind);
                }
            }
            Node::Flow(..) => {
                self.out.push(' ');
                self.flow(node, column + 1);
                let _ = writeln!(self.out, "{comment}");
            }
        }
    }

    fn members(&mut self, members: &[Member], layout: &Layout, column: usize) {
        for (index, member) in members.iter().enumerate() {
            match member.above {
                _ if index == 0 => {}
                Above::Nothing => {}
                Above::Blank => self.out.push('\n'),
                Above::Comment => {
                    let _ = writeln!(self.out, "{:column$}# above", "");
                }
                Above::DeepComment => {
                    let _ = writeln!(self.out, "{:column$}   # deep", "");
                }
            }
            let _ = write!(self.out, "{:column$}", "");
            if layout.keys {
                let _ = write!(self.out, "k{index}:");
                self.value(&member.node, column, None, member.behind);
            } else {
                self.out.push('-');
                self.value(&member.node, column, Some(layout.padding), member.behind);
            }
        }
    }

    fn flow(&mut self, node: &Node, column: usize) {
        match node {
            Node::Flow(nodes, layout) => {
                let (open, close) = if layout.keys { ('{', '}') } else { ('[', ']') };
                let inner = column + 2;
                let space = match (layout.lines, layout.spaces) {
                    (true, _) => format!("\n{:inner$}", ""),
                    (false, true) => " ".to_owned(),
                    (false, false) => String::new(),
                };
                let between = if layout.lines { space.as_str() } else { " " };
                self.out.push(open);
                for (index, node) in nodes.iter().enumerate() {
                    self.out.push_str(if index == 0 { &space } else { between });
                    if layout.keys {
                        let _ = write!(self.out, "f{index}: ");
                    }
                    self.flow(node, inner);
                    if index + 1 < nodes.len() || layout.comma {
                        self.out.push(',');
                    }
                }
                match layout.lines && !nodes.is_empty() {
                    true => {
                        let _ = write!(self.out, "\n{:column$} ", "");
                    }
                    false if layout.spaces => self.out.push(' '),
                    false => {}
                }
                self.out.push(close);
            }
            Node::Scalar(text) if !text.contains('\n') => self.out.push_str(text),
            _ => self.out.push_str("plain"),
        }
    }
}

/// A file of one to three documents, with its line ends, byte-order mark and end.
fn file() -> impl Strategy<Value = String> {
    (vec(node(), 1..3), any::<[bool; 4]>()).prop_map(|(documents, [marker, crlf, bom, open_end])| {
        let mut emitter = Emitter::default();
        for (index, document) in documents.iter().enumerate() {
            if index > 0 || marker {
                emitter.out.push_str("---\n");
            }
            emitter.anchored = false;
            emitter.document(document);
        }
        let mut text = emitter.out;
        if open_end && !text.ends_with("\n\n") {
            text.pop();
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if bom { format!("\u{feff}{text}") } else { text }
    })
}

/// Pieces of YAML in any order: mostly nonsense, all of it to be survived.
fn soup() -> impl Strategy<Value = String> {
    let pieces = &[
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        " # c",
        "'x'",
        "\"y\"",
        "|\n",
        ">+\n ",
        "&x ",
        "*x",
        "\n---\n",
        ": ",
        "? ",
        "\r\n",
        "\u{feff}",
        "é",
        "!t ",
        "<<: ",
        "\t",
        "...\n",
        "-",
        ":",
        "\r",
        "{{",
        "\\",
        "\"",
        "'",
        "%YAML 1.2\n",
        "a: b\n",
        "- c\n",
    ];
    vec(prop::sample::select(&pieces[..]), 0..24).prop_map(|pieces| pieces.concat())
}

/// One thing to do, at a place given by numbers that fit any tree.
type Action = (u8, usize, usize, u8);

fn datum(kind: u8) -> Datum {
    match kind % 7 {
        0 => "new".into(),
        1 => "8080".into(),
        2 => Datum::Int(1),
        3 => Datum::map([("app", "x, y"), ("k8s:b", "*.c")]),
        4 => Datum::seq(["one"]),
        5 => Datum::map([("n1", Datum::seq([Datum::map([("n2", Datum::Seq(Vec::new()))])]))]),
        _ => Datum::Null,
    }
}

fn change(tree: &Tree<'_>, (operation, node, index, kind): Action) -> Option<Result<Change, Refusal>> {
    let mut nodes = Vec::new();
    for (_, root) in tree.roots() {
        collect(root, &mut nodes);
    }
    let value = *nodes.get(node % nodes.len().max(1))?;
    let editor = Editor { sharing: if kind < 128 { Sharing::Refuse } else { Sharing::Allow } };
    let count = value.items().len() + value.written_entries().len();
    let index = index % (count + 1);
    Some(match operation % 8 {
        0 => editor.replace(value, datum(kind)),
        1 | 2 if value.is_mapping() => editor.insert_entry(value, index, "zz", datum(kind)),
        1 | 2 => editor.insert_item(value, index, datum(kind)),
        3 | 4 if value.is_mapping() => editor.remove_entry(&value.written_entries().nth(index)?),
        3 | 4 => editor.remove_item(value, index),
        5 => editor.rename_key(&value.written_entries().nth(index)?, "key: x"),
        6 => editor.append_document(tree, datum(kind)),
        _ => editor.remove_document(tree, index),
    })
}

fn collect<'t>(value: Value<'t>, nodes: &mut Vec<Value<'t>>) {
    nodes.push(value);
    if matches!(value.kind(), Kind::Alias(_)) {
        return;
    }
    for entry in value.written_entries() {
        collect(entry.value, nodes);
    }
    for item in value.items() {
        collect(item.value, nodes);
    }
}

/// The tree as a flat list that two readers can be compared by.
fn our_events(tree: &Tree<'_>) -> Vec<String> {
    fn walk(value: Value<'_>, events: &mut Vec<String>) {
        match value.kind() {
            Kind::Alias(_) => events.push("*".into()),
            Kind::Mapping { .. } => {
                events.push("{".into());
                for entry in value.written_entries() {
                    walk(entry.key, events);
                    walk(entry.value, events);
                }
                events.push("}".into());
            }
            Kind::Sequence { .. } => {
                events.push("[".into());
                value.items().for_each(|item| walk(item.value, events));
                events.push("]".into());
            }
            Kind::Empty => events.push("=".into()),
            Kind::Scalar(style) => {
                let text = value.text().unwrap();
                let plain = style == Style::Plain && (text.is_empty() || text == "~");
                events.push(if plain { "=".into() } else { format!("{style:?} {text}") });
            }
        }
    }
    let mut all = Vec::new();
    for (_, root) in tree.roots() {
        let mut events = Vec::new();
        walk(root, &mut events);
        all.extend(said(events));
    }
    all
}

/// The oracle finds a null in a document that holds nothing.
fn said(events: Vec<String>) -> Vec<String> {
    if events == ["="] { Vec::new() } else { events }
}

/// The oracle adds a break to a block scalar at the end of a file that ends
/// without one; libyaml, and so kubectl and we, do not.
fn closed(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

fn oracle_events(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut events = Vec::new();
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        events.push(match event.ok()?.0 {
            Event::Alias(_) => "*".to_owned(),
            Event::MappingStart(..) => "{".into(),
            Event::MappingEnd => "}".into(),
            Event::SequenceStart(..) => "[".into(),
            Event::SequenceEnd => "]".into(),
            Event::Scalar(text, style, ..) => {
                let style = match style {
                    ScalarStyle::Plain if text.is_empty() || text == "~" => {
                        events.push("=".into());
                        continue;
                    }
                    ScalarStyle::Plain => "Plain",
                    ScalarStyle::SingleQuoted => "Single",
                    ScalarStyle::DoubleQuoted => "Double",
                    ScalarStyle::Literal => "Literal",
                    ScalarStyle::Folded => "Folded",
                };
                format!("{style} {text}")
            }
            Event::DocumentEnd => {
                all.extend(said(std::mem::take(&mut events)));
                continue;
            }
            _ => continue,
        });
    }
    Some(all)
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2048), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn generated_files_are_read_as_the_oracle_reads_them(text in file()) {
        let text = closed(&text);
        let tree = parse(FileId(0), &text);
        prop_assert!(tree.errors.is_empty(), "{:?}", tree.errors);
        prop_assert_eq!(Some(our_events(&tree)), oracle_events(&text));
    }

    #[test]
    fn an_edit_says_what_was_meant_and_touches_nothing_else(
        text in file(),
        actions in vec(any::<Action>(), 1..4),
    ) {
        let tree = parse(FileId(0), &text);
        let changes: Vec<Change> =
            actions.into_iter().filter_map(|action| change(&tree, action)).filter_map(Result::ok).collect();
        match Patch::checked_text(&tree, &changes) {
            Ok(written) => {
                let patch = Patch::new(&tree, &changes).unwrap();
                let mut at = 0;
                let mut rest = written.as_str();
                for edit in patch.edits() {
                    let kept = &text[at..edit.range.start];
                    prop_assert!(rest.starts_with(kept));
                    rest = rest[kept.len()..].strip_prefix(edit.text.as_str()).unwrap();
                    at = edit.range.end;
                }
                prop_assert_eq!(rest, &text[at..]);
                prop_assert_eq!(written.starts_with('\u{feff}'), text.starts_with('\u{feff}'));
                let block_scalar = text.contains(['|', '>']);
                prop_assert!(block_scalar || written.ends_with('\n') == text.ends_with('\n'));
                if text.contains("\r\n") {
                    prop_assert_eq!(written.matches('\n').count(), written.matches("\r\n").count());
                } else {
                    prop_assert!(!written.contains('\r'));
                }
            }
            Err(EditError::Mismatch(mismatch)) => {
                let wrong = Patch::new(&tree, &changes).unwrap().apply(&text);
                prop_assert!(false, "{}\n{}\n=>\n{}\n{:?}", mismatch, text, wrong, changes);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn no_edit_changes_no_byte_of_any_text(text in prop_oneof![soup(), any::<String>()]) {
        let tree = parse(FileId(0), &text);
        prop_assert_eq!(Patch::checked_text(&tree, []), Ok(text.clone()));
    }

    #[test]
    fn nonsense_is_survived_and_read_as_the_oracle_reads_it(
        text in soup(),
        actions in vec(any::<Action>(), 1..3),
    ) {
        let closed = closed(&text);
        let tree = parse(FileId(0), &closed);
        if let (true, Some(events)) = (tree.errors.is_empty(), oracle_events(&closed)) {
            prop_assert_eq!(our_events(&tree), events);
        }
        let tree = parse(FileId(0), &text);
        let changes: Vec<Change> =
            actions.into_iter().filter_map(|action| change(&tree, action)).filter_map(Result::ok).collect();
        let _ = Patch::checked_text(&tree, &changes);
    }
}

/// JSON is often indented with tabs, which no block may be. (Brackets within a
/// block must stand deeper than it, by spaces; libyaml does not ask that.)
#[test]
fn tabs_are_taken_where_libyaml_takes_them() {
    for (text, fine) in [
        ("{\n\t\"a\": [\n\t\t1\n\t]\n}\n", true),
        ("[\n\t{\n\t\t\"a\": 1\n\t}\n]\n", true),
        ("a: [\n  \t1,\n  \t2\n  ]\n", true),
        ("a: \"x\n  \ty\"\n", true),
        ("{\n\t\"a\": \"x\n\ty\"}\n", true),
        ("a:\n\tb: 1\n", false),
        ("a: x\n\ty\n", false),
        ("a: [1]\n\t\nb: 1\n", false),
        ("a: |\n  x\n\ty\n", false),
    ] {
        assert_eq!(parse(FileId(0), text).errors.is_empty(), fine, "{text:?}");
        assert_eq!(serde_yaml::from_str::<serde_yaml::Value>(text).is_ok(), fine, "{text:?}");
    }
}
