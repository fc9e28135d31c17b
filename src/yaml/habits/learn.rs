//! The walk through a document that writes down how it is written.

use super::{Bracket, Habits, Layout, Seen, Shape, layout_of};
use crate::yaml::lines::{column, indent, is_first_on_line};
use crate::yaml::locate::Slot;
use crate::yaml::quote::needs_quotes;
use crate::yaml::{Kind, Resolved, Style, Value};

/// Walks one document and writes down what it sees.
pub(super) struct Learner<'h, 't> {
    pub(super) habits: &'h mut Habits<'t>,
    pub(super) tree: usize,
    pub(super) document: usize,
}

impl<'t> Learner<'_, 't> {
    fn seen<T>(&self, slot: &Slot<'t>, at: usize, fact: T) -> Seen<'t, T> {
        Seen { slot: slot.clone(), tree: self.tree, document: self.document, at, fact }
    }

    /// `key_column` is the column of the key that the node stands under.
    pub(super) fn node(
        &mut self,
        value: Value<'t>,
        slot: &Slot<'t>,
        key_column: Option<usize>,
        in_flow: bool,
    ) {
        match value.kind() {
            Kind::Mapping { flow } => {
                self.collection(value, slot, key_column, in_flow);
                for entry in value.written_entries() {
                    let under = Slot::under(entry.key.text().unwrap_or_default());
                    let start = entry.span.start as usize;
                    if let Some(style) = entry.key.style() {
                        let seen = self.seen(&under, start, (needs_quotes(&under.key, false), style));
                        self.habits.keys.push(seen);
                    }
                    self.node(entry.value, &under, Some(column(value.tree().text, start)), flow);
                }
            }
            Kind::Sequence { flow } => {
                self.collection(value, slot, key_column, in_flow);
                let items = slot.items();
                for item in value.items() {
                    if !flow {
                        self.padding(item.span.start as usize, item.value, &items);
                    }
                    self.node(item.value, &items, None, flow);
                }
            }
            Kind::Scalar(style @ (Style::Plain | Style::Single | Style::Double)) => {
                if let Some(Resolved::String(text)) = value.resolved() {
                    let at = value.span().start as usize;
                    let seen = self.seen(slot, at, (needs_quotes(&text, false), style));
                    self.habits.quotes.push(seen);
                }
            }
            _ => {}
        }
    }

    fn collection(&mut self, value: Value<'t>, slot: &Slot<'t>, key_column: Option<usize>, in_flow: bool) {
        let text = value.tree().text;
        let at = value.span().start as usize;
        if let Some(shape) = shape_of(value) {
            let layout = layout_of(value);
            let seen = self.seen(slot, at, (shape, layout, in_flow));
            self.habits.layouts.push(seen);
            match layout {
                Layout::Block => self.indentation(value, slot, key_column),
                Layout::Inline | Layout::Braced => self.braces(value, slot, layout),
            }
        } else if value.is_flow() && layout_of(value) == Layout::Inline {
            let inside = text[value.span().range()].len().saturating_sub(2);
            let bracket = if value.is_mapping() { Bracket::Brace } else { Bracket::Square };
            let seen = self.seen(slot, at, (bracket, true, inside));
            self.habits.spaces.push(seen);
        }
    }

    fn indentation(&mut self, value: Value<'t>, slot: &Slot<'t>, key_column: Option<usize>) {
        let text = value.tree().text;
        let at = value.span().start as usize;
        let columns = key_column.filter(|_| is_first_on_line(text, at));
        let Some(columns) = columns.and_then(|key| column(text, at).checked_sub(key)) else { return };
        let seen = self.seen(slot, at, columns);
        if value.is_mapping() {
            self.habits.steps.push(seen);
        } else {
            self.habits.offsets.push(seen);
        }
    }

    fn padding(&mut self, dash: usize, item: Value<'t>, items: &Slot<'t>) {
        let text = item.tree().text;
        let between = text.get(dash + 1..item.full_span().start as usize).unwrap_or("\n");
        if item.kind() != Kind::Empty && between.bytes().all(|byte| byte == b' ') {
            let collection = item.is_mapping() || item.is_sequence();
            let seen = self.seen(items, dash, (collection && !item.is_flow(), between.len()));
            self.habits.paddings.push(seen);
        }
    }

    fn braces(&mut self, value: Value<'t>, slot: &Slot<'t>, layout: Layout) {
        let text = value.tree().text;
        let span = value.span().range();
        let bracket = if value.is_mapping() { Bracket::Brace } else { Bracket::Square };
        let first = value.written_entries().next().map(|entry| entry.span);
        let first = first.or_else(|| value.items().next().map(|item| item.span));
        let Some(first) = first.filter(|_| text[span.clone()].starts_with(bracket.pair().0)) else { return };
        let first = first.start as usize;
        let comma = text[span.clone()].trim_end_matches(bracket.pair().1).trim_end().ends_with(',');
        let seen = self.seen(slot, span.start, (layout, comma));
        self.habits.commas.push(seen);
        if layout == Layout::Inline {
            let seen = self.seen(slot, span.start, (bracket, false, first.saturating_sub(span.start + 1)));
            self.habits.spaces.push(seen);
        } else if is_first_on_line(text, first) {
            let seen =
                self.seen(slot, span.start, column(text, first).saturating_sub(indent(text, span.start)));
            self.habits.braced_steps.push(seen);
        }
        if layout == Layout::Braced && value.items().next().is_some_and(|item| item.value.is_flow()) {
            let seen = self.seen(slot, span.start, !is_first_on_line(text, first));
            self.habits.cuddled.push(seen);
        }
    }
}

fn shape_of(value: Value<'_>) -> Option<Shape> {
    let filled = |value: Value<'_>| value.written_entries().len() + value.items().len() > 0;
    let (bracket, count, nested) = match value.kind() {
        Kind::Mapping { .. } => {
            let nested = value.written_entries().any(|entry| filled(entry.value));
            (Bracket::Brace, value.written_entries().len(), nested)
        }
        _ => (Bracket::Square, value.items().len(), value.items().any(|item| filled(item.value))),
    };
    (count > 0).then_some(Shape { bracket, nested, several: count > 1 })
}
