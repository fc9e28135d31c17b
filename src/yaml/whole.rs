//! Whole nodes: a value that gives way to another, and keys renamed. Where lines
//! take the place of what stood behind a key, the comment there stays.

use super::fragment::Writer;
use super::habits::{Layout, Place, layout_of};
use super::lines::{self, column, is_first_on_line, next_line};
use super::locate::{Holder, Location, Slot};
use super::patch::Splicer;
use super::{Datum, Kind, Value, quote};

impl Splicer<'_> {
    /// Gives a key another text, in its quotes where it has some.
    pub(super) fn rename(&mut self, key: Value<'_>, text: &str) {
        let Some(location) = Location::of(key) else { return };
        let in_flow = location.in_flow();
        let style = match key.style() {
            Some(style) if style != super::Style::Plain || !quote::needs_quotes(text, in_flow) => style,
            _ => self.habits.key_style(text, in_flow),
        };
        self.splice(key.span().range(), quote::write(text, style, in_flow), location.depth());
    }

    /// Puts data in the place of a node.
    pub(super) fn replace(&mut self, value: Value<'_>, datum: &Datum) {
        let Some(location) = Location::of(value) else { return };
        let span = value.span().range();
        let place = Place::new(&location, span.clone(), span.start);
        let writer = Writer { habits: self.habits, place: Some(&place) };
        let around = location.ancestors.last().copied();
        Replacement { value, datum, location: &location, writer, depth: location.depth() + 1 }
            .write(self, around);
    }
}

/// A node, what takes its place, and the hand that writes it.
struct Replacement<'r> {
    value: Value<'r>,
    datum: &'r Datum,
    location: &'r Location<'r>,
    writer: Writer<'r>,
    depth: usize,
}

impl Replacement<'_> {
    fn write(&self, splicer: &mut Splicer<'_>, around: Option<Value<'_>>) {
        let scalar_for_scalar = matches!(self.value.kind(), Kind::Scalar(_)) && !self.datum.is_collection();
        match around.filter(|around| around.is_flow()) {
            _ if scalar_for_scalar => self.scalar(splicer),
            Some(around) => self.in_flow(splicer, layout_of(around)),
            None if self.becomes_lines() => self.lines(splicer),
            None => self.on_line(splicer),
        }
    }

    fn slot(&self) -> &Slot<'_> {
        &self.location.slot
    }

    fn becomes_lines(&self) -> bool {
        self.datum.len() > 0 && self.writer.layout(self.slot(), self.datum) == Layout::Block
    }

    /// Where content begins behind colon or dash, anchor and tag.
    fn head(&self) -> usize {
        let (full, content) = (self.value.full_span(), self.value.span());
        let properties = self.value.tree().text[full.start as usize..content.start as usize].trim_end();
        match self.location.holder {
            _ if !properties.is_empty() => full.start as usize + properties.len(),
            Holder::Entry { head, .. } | Holder::Item { head } => head,
            Holder::Document | Holder::Key => content.start as usize,
        }
    }

    fn scalar(&self, splicer: &mut Splicer<'_>) {
        let in_flow = self.location.in_flow();
        let text = match (self.datum, self.value.style()) {
            (Datum::String(text), Some(style)) => self.writer.in_style(self.slot(), text, style, in_flow),
            _ => self.writer.scalar(self.slot(), self.datum, in_flow),
        };
        splicer.splice(self.value.span().range(), text, self.depth);
    }

    fn in_flow(&self, splicer: &mut Splicer<'_>, around: Layout) {
        let span = self.value.span().range();
        let column = self.location.base_column(self.value, span.start);
        let text = self.writer.within_flow(self.slot(), self.datum, around, column);
        match self.location.holder {
            Holder::Entry { head, colon, .. } if self.value.kind() == Kind::Empty => {
                let colon = if colon { "" } else { ":" };
                splicer.insert(head, format!("{colon} {text}"), self.depth);
            }
            _ => splicer.splice(span, text, self.depth),
        }
    }

    /// The new value is written as lines.
    fn lines(&self, splicer: &mut Splicer<'_>) {
        let text = self.value.tree().text;
        let start = self.value.span().start as usize;
        let head = self.head();
        let on_own_line = self.value.kind() != Kind::Empty && is_first_on_line(text, start);
        match self.location.holder {
            Holder::Entry { start: key, .. } if !on_own_line => {
                let end = (self.value.full_span().end as usize).max(head);
                let key_column = column(text, key);
                let close = splicer.tree.closing(end, key_column);
                splicer.delete(head..end.min(close), self.depth);
                let new = self.writer.after_key(self.slot(), self.datum, key_column);
                splicer.insert(close, new, self.depth);
            }
            Holder::Item { head: dash } if self.value.kind() == Kind::Empty => {
                let padding = splicer.habits.dash_padding(self.slot(), true, self.writer.place);
                let new = self.writer.alone(self.slot(), self.datum, column(text, dash) + padding);
                splicer.insert(dash, format!("{:padding$}{new}", ""), self.depth);
            }
            holder if on_own_line || holder == (Holder::Item { head }) => {
                // A list may stand in the column of its key, a mapping may not.
                let column = column(text, start);
                let deeper = match (holder, self.datum) {
                    (Holder::Entry { start: key, .. }, Datum::Map(_))
                        if lines::column(text, key) == column =>
                    {
                        splicer.habits.mapping_step(self.slot(), self.writer.place)
                    }
                    _ => 0,
                };
                let new = self.writer.alone(self.slot(), self.datum, column + deeper);
                splicer.splice(start..self.end(), format!("{:deeper$}{new}", ""), self.depth);
            }
            // Behind an anchor, or on the line of `---`.
            holder => {
                let full = self.value.full_span().start as usize;
                let column = if holder == Holder::Document { 0 } else { column(text, full) };
                let new = self.writer.new_line(column) + &self.writer.alone(self.slot(), self.datum, column);
                splicer.splice(text[..start].trim_end().len()..self.end(), new, self.depth);
            }
        }
    }

    /// The new value fits on the line of its key or dash.
    fn on_line(&self, splicer: &mut Splicer<'_>) {
        let text = self.value.tree().text;
        let start = self.value.span().start as usize;
        let head = self.head();
        let new = self.writer.alone(self.slot(), self.datum, self.location.base_column(self.value, start));
        let is_block = !self.value.is_flow() && (self.value.is_mapping() || self.value.is_sequence());
        if self.value.kind() == Kind::Empty {
            splicer.insert(head, format!(" {new}"), self.depth);
        } else if is_block && is_first_on_line(text, start) && self.location.holder != Holder::Document {
            splicer.insert(head, format!(" {new}"), self.depth);
            splicer.delete(self.whole_lines(splicer), self.depth);
        } else {
            splicer.splice(start..self.end(), new, self.depth);
        }
    }

    /// Where the old value ends; for lines that go, with the comment behind them.
    fn end(&self) -> usize {
        let tree = self.value.tree();
        match self.value.kind() {
            Kind::Mapping { flow: false } | Kind::Sequence { flow: false } => {
                tree.closing(self.value.content_end(), column(tree.text, self.value.span().start as usize))
            }
            _ => self.value.full_span().end as usize,
        }
    }

    /// The lines of a block collection that goes, with its comments.
    fn whole_lines(&self, splicer: &Splicer<'_>) -> std::ops::Range<usize> {
        let text = splicer.tree.text;
        let start = splicer.tree.start_with_comments(self.value.span().start as usize);
        let end = next_line(text, self.end());
        splicer.tree.to_open_end(start..end)
    }
}
