//! New text for a piece of data, written as the file around it writes.

use super::habits::{Bracket, Habits, Layout, Place};
use super::intent::Member;
use super::locate::Slot;
use super::{Datum, Style, quote};

/// Writes data in the habits of a file, for one place in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'h> {
    pub(super) habits: &'h Habits<'h>,
    pub(super) place: Option<&'h Place>,
}

impl Writer<'_> {
    /// A line break and the spaces up to a column.
    pub(super) fn new_line(&self, column: usize) -> String {
        format!("{}{:column$}", self.habits.newline(), "")
    }

    /// A new member of a block collection in `slot` whose dashes or keys stand
    /// at `column`. The first line comes without its indentation.
    pub(super) fn block_member(&self, slot: &Slot<'_>, member: &Member, column: usize) -> String {
        match member {
            Member::Item(datum) => self.block_item(slot, datum, column),
            Member::Entry(key, datum) => self.block_entry(key, datum, column),
        }
    }

    /// A new member of a collection in braces or brackets. `column` is that of
    /// the line where it begins; `layout` is the layout of the collection.
    pub(super) fn flow_member(
        &self,
        slot: &Slot<'_>,
        member: &Member,
        layout: Layout,
        column: usize,
    ) -> String {
        match member {
            Member::Item(datum) => self.within_flow(&slot.items(), datum, layout, column),
            Member::Entry(key, datum) => {
                let value = self.within_flow(&Slot::under(key.as_str()), datum, layout, column);
                format!("{}: {value}", self.key(key, true))
            }
        }
    }

    /// What stands after `key:`, with the space or the line break before it.
    pub(super) fn after_key(&self, slot: &Slot<'_>, datum: &Datum, key_column: usize) -> String {
        match self.layout(slot, datum) {
            _ if datum.len() == 0 => format!(" {}", self.scalar(slot, datum, false)),
            Layout::Block => {
                let columns = match datum {
                    Datum::Seq(_) => self.habits.sequence_offset(slot, self.place),
                    _ => self.habits.mapping_step(slot, self.place),
                };
                let column = key_column + columns;
                self.new_line(column) + &self.block(slot, datum, column)
            }
            layout => format!(" {}", self.in_layout(slot, datum, layout, key_column)),
        }
    }

    /// A value that stands alone: the root of a document, or what is written
    /// directly behind a dash. The first line comes without its indentation.
    pub(super) fn alone(&self, slot: &Slot<'_>, datum: &Datum, column: usize) -> String {
        match self.layout(slot, datum) {
            _ if datum.len() == 0 => self.scalar(slot, datum, false),
            Layout::Block => self.block(slot, datum, column),
            layout => self.in_layout(slot, datum, layout, column),
        }
    }

    /// A value within braces or brackets.
    pub(super) fn within_flow(
        &self,
        slot: &Slot<'_>,
        datum: &Datum,
        around: Layout,
        column: usize,
    ) -> String {
        match around {
            _ if datum.len() == 0 => self.scalar(slot, datum, true),
            Layout::Braced => {
                let layout = self.habits.braced_layout(slot, datum, self.place);
                self.in_layout(slot, datum, layout, column)
            }
            _ => self.inline(slot, datum),
        }
    }

    /// Whether a value would be written as lines rather than on the line of its key.
    pub(super) fn layout(&self, slot: &Slot<'_>, datum: &Datum) -> Layout {
        match datum.len() {
            0 => Layout::Inline,
            _ => self.habits.layout(slot, datum, self.place),
        }
    }

    /// A scalar in the style of its neighbours; an empty collection.
    pub(super) fn scalar(&self, slot: &Slot<'_>, datum: &Datum, in_flow: bool) -> String {
        match datum {
            Datum::Null => "null".to_owned(),
            Datum::Bool(value) => value.to_string(),
            Datum::Int(value) => value.to_string(),
            Datum::Float(value) => float(*value),
            Datum::String(text) => {
                let style = self.habits.value_style(slot, text, in_flow, self.place);
                quote::write(text, style, in_flow)
            }
            Datum::Map(_) | Datum::Seq(_) => self.empty(Bracket::of(datum)),
        }
    }

    /// `{}` or `[]`, with the spaces inside that the file puts there.
    pub(super) fn empty(&self, bracket: Bracket) -> String {
        let (open, close) = bracket.pair();
        let spaces = self.habits.inner_spaces(bracket, true, self.place);
        format!("{open}{:spaces$}{close}", "")
    }

    pub(super) fn key(&self, key: &str, in_flow: bool) -> String {
        quote::write(key, self.habits.key_style(key, in_flow), in_flow)
    }

    fn block(&self, slot: &Slot<'_>, datum: &Datum, column: usize) -> String {
        let members: Vec<String> = match datum {
            Datum::Map(entries) => {
                entries.iter().map(|(key, value)| self.block_entry(key, value, column)).collect()
            }
            Datum::Seq(items) => items.iter().map(|item| self.block_item(slot, item, column)).collect(),
            _ => vec![self.scalar(slot, datum, false)],
        };
        members.join(&self.new_line(column))
    }

    fn block_entry(&self, key: &str, datum: &Datum, column: usize) -> String {
        format!("{}:{}", self.key(key, false), self.after_key(&Slot::under(key), datum, column))
    }

    fn block_item(&self, slot: &Slot<'_>, datum: &Datum, column: usize) -> String {
        let items = slot.items();
        let block = self.layout(&items, datum) == Layout::Block;
        let padding = self.habits.dash_padding(&items, block, self.place);
        format!("-{:padding$}{}", "", self.alone(&items, datum, column + 1 + padding))
    }

    fn in_layout(&self, slot: &Slot<'_>, datum: &Datum, layout: Layout, column: usize) -> String {
        match layout {
            Layout::Braced => self.braced(slot, datum, column),
            Layout::Inline | Layout::Block => self.inline(slot, datum),
        }
    }

    fn inline(&self, slot: &Slot<'_>, datum: &Datum) -> String {
        let members = self.flow_members(slot, datum, Layout::Inline, 0);
        let (open, close) = Bracket::of(datum).pair();
        let spaces = self.habits.inner_spaces(Bracket::of(datum), false, self.place);
        let comma = if self.habits.trailing_comma(Layout::Inline, self.place) { "," } else { "" };
        format!("{open}{:spaces$}{}{comma}{:spaces$}{close}", "", members.join(", "), "")
    }

    fn braced(&self, slot: &Slot<'_>, datum: &Datum, column: usize) -> String {
        let (open, close) = Bracket::of(datum).pair();
        let holds_collections = matches!(datum, Datum::Seq(items) if items.iter().all(|item| item.len() > 0));
        if holds_collections && self.habits.cuddles(slot, self.place) {
            let members = self.flow_members(slot, datum, Layout::Braced, column);
            return format!("{open}{}{close}", members.join(", "));
        }
        let inside = column + self.habits.braced_step(slot, self.place);
        let members = self.flow_members(slot, datum, Layout::Braced, inside);
        let comma = if self.habits.trailing_comma(Layout::Braced, self.place) { "," } else { "" };
        let start = self.new_line(inside);
        let members = members.join(&format!(",{start}"));
        format!("{open}{start}{members}{comma}{}{close}", self.new_line(column))
    }

    fn flow_members(&self, slot: &Slot<'_>, datum: &Datum, layout: Layout, column: usize) -> Vec<String> {
        let member = |member: Member| self.flow_member(slot, &member, layout, column);
        match datum {
            Datum::Map(entries) => {
                entries.iter().map(|(key, value)| member(Member::Entry(key.clone(), value.clone()))).collect()
            }
            Datum::Seq(items) => items.iter().map(|item| member(Member::Item(item.clone()))).collect(),
            _ => Vec::new(),
        }
    }

    /// A string in the style of the scalar that it replaces, if it can stand so.
    pub(super) fn in_style(&self, slot: &Slot<'_>, text: &str, before: Style, in_flow: bool) -> String {
        match before {
            Style::Single | Style::Double => quote::write(text, before, in_flow),
            Style::Plain if !quote::needs_quotes(text, in_flow) => text.to_owned(),
            Style::Plain | Style::Literal | Style::Folded => {
                self.scalar(slot, &Datum::String(text.to_owned()), in_flow)
            }
        }
    }
}

fn float(value: f64) -> String {
    match value {
        value if value.is_nan() => ".nan".to_owned(),
        value if value.is_infinite() => if value > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        value => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    fn rule() -> Datum {
        let labels = Datum::map([("app", "web")]);
        let port = Datum::map([("port", "8080"), ("protocol", "TCP")]);
        Datum::map([
            ("fromEndpoints", Datum::seq([Datum::map([("matchLabels", labels)])])),
            ("toPorts", Datum::seq([Datum::map([("ports", Datum::seq([port]))])])),
        ])
    }

    fn written(example: &str, datum: &Datum) -> String {
        let tree = parse(FileId(0), example);
        let habits = Habits::of(&tree);
        Writer { habits: &habits, place: None }.alone(&Slot::ROOT, datum, 0)
    }

    #[test]
    fn without_an_example_the_common_manner_is_used() {
        let want = "fromEndpoints:
  - matchLabels:
      app: web
toPorts:
  - ports:
      - port: \"8080\"
        protocol: TCP";
        assert_eq!(written("", &rule()), want);
    }

    #[test]
    fn each_key_follows_its_own_example() {
        let example = "egress:
- toPorts: [ { ports: [ { port: '1', protocol: UDP } ] } ]
  fromEndpoints:
  -   matchLabels:
         app: x
";
        let want = "fromEndpoints:
-   matchLabels:
       app: web
toPorts: [ { ports: [ { port: '8080', protocol: TCP } ] } ]";
        assert_eq!(written(example, &rule()), want);
    }

    #[test]
    fn all_braces_stay_all_braces() {
        let example = "---
{
  spec: {
    ingress: [{
      fromEndpoints: [{
        matchLabels: {
          app: \"x\",
        },
      }],
      toEntities: [
        \"host\",
      ],
    }],
  },
}
";
        let want = "{
  fromEndpoints: [{
    matchLabels: {
      app: \"web\",
    },
  }],
  toPorts: [{
    ports: [{
      port: \"8080\",
      protocol: \"TCP\",
    }],
  }],
}";
        assert_eq!(written(example, &rule()), want);
    }

    #[test]
    fn numbers_read_back_as_they_are() {
        assert_eq!(float(1.0), "1.0");
        assert_eq!(float(1e300), "1e300");
        assert_eq!(float(f64::NEG_INFINITY), "-.inf");
    }
}
