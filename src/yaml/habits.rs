//! How a file writes things: indentation, the column of lists, quotes, braces or
//! lines. Every fact keeps the key under which it was seen and where, so that
//! new text follows the nearest example of its own kind.

use std::ops::Range;

use super::lines::{column, indent, is_first_on_line};
use super::locate::{Location, Slot};
use super::quote::needs_quotes;
use super::{Datum, Kind, Resolved, Style, Tree, Value};

/// How a collection is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Lines with dashes or keys.
    Block,
    /// Braces or brackets on one line.
    Inline,
    /// Braces or brackets over several lines.
    Braced,
}

/// Braces or brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    Brace,
    Square,
}

impl Bracket {
    pub(super) fn of(datum: &Datum) -> Self {
        if matches!(datum, Datum::Map(_)) { Bracket::Brace } else { Bracket::Square }
    }

    pub(super) fn pair(self) -> (char, char) {
        match self {
            Bracket::Brace => ('{', '}'),
            Bracket::Square => ('[', ']'),
        }
    }
}

/// What of a collection decides whether another one is written like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    bracket: Bracket,
    nested: bool,
    several: bool,
}

impl Shape {
    fn of(datum: &Datum) -> Self {
        Self { bracket: Bracket::of(datum), nested: datum.is_nested(), several: datum.len() > 1 }
    }
}

/// A fact and where it was seen.
#[derive(Debug, Clone)]
struct Seen<'t, T> {
    slot: Slot<'t>,
    tree: usize,
    document: usize,
    at: usize,
    fact: T,
}

/// Where new text will stand: what is near it is the better example.
#[derive(Debug, Clone)]
pub(super) struct Place {
    document: usize,
    /// The bytes of the collection that is altered.
    within: Range<usize>,
    at: usize,
}

impl Place {
    pub(super) fn new(location: &Location<'_>, within: Range<usize>, at: usize) -> Self {
        Self { document: location.document, within, at }
    }

    /// 0 in the same collection, 1 in the same document, 2 elsewhere.
    fn tier<T>(&self, seen: &Seen<'_, T>) -> usize {
        match seen {
            seen if seen.tree != 0 || seen.document != self.document => 2,
            seen if self.within.contains(&seen.at) => 0,
            _ => 1,
        }
    }
}

/// Everything that is known about how a file, or a few files, are written.
#[derive(Debug, Default)]
pub struct Habits<'t> {
    layouts: Vec<Seen<'t, (Shape, Layout, bool)>>,
    offsets: Vec<Seen<'t, usize>>,
    steps: Vec<Seen<'t, usize>>,
    braced_steps: Vec<Seen<'t, usize>>,
    paddings: Vec<Seen<'t, (bool, usize)>>,
    quotes: Vec<Seen<'t, (bool, Style)>>,
    keys: Vec<Seen<'t, (bool, Style)>>,
    spaces: Vec<Seen<'t, (Bracket, bool, usize)>>,
    commas: Vec<Seen<'t, (Layout, bool)>>,
    cuddled: Vec<Seen<'t, bool>>,
    line_breaks: usize,
    carriage_returns: usize,
    files: usize,
    opened_with_marker: usize,
}

/// The indentation where nothing was seen.
const STEP: usize = 2;

impl<'t> Habits<'t> {
    /// The habits of one file.
    pub fn of(tree: &'t Tree<'t>) -> Self {
        Self::of_all(&[tree])
    }

    /// The habits of several files, for a new one beside them. With none, the
    /// common manner: two spaces, lists indented under their key, double quotes.
    pub fn of_all(trees: &[&'t Tree<'t>]) -> Self {
        let mut habits = Self { files: trees.len(), ..Self::default() };
        for (index, &tree) in trees.iter().enumerate() {
            habits.line_breaks += tree.text.matches('\n').count();
            habits.carriage_returns += tree.text.matches("\r\n").count();
            let opens = tree.documents.first().is_some_and(|document| document.marker.is_some());
            habits.opened_with_marker += usize::from(opens);
            for (document, root) in tree.roots() {
                let mut learner = Learner { habits: &mut habits, tree: index, document };
                learner.node(root, &Slot::ROOT, None, false);
            }
        }
        habits
    }

    /// The line break.
    pub(super) fn newline(&self) -> &'static str {
        if self.carriage_returns * 2 > self.line_breaks { "\r\n" } else { "\n" }
    }

    /// Whether files begin with `---`.
    pub(super) fn opens_with_marker(&self) -> bool {
        self.opened_with_marker * 2 > self.files
    }

    /// How a new collection in this slot is laid out where lines may stand.
    pub(super) fn layout(&self, slot: &Slot<'_>, datum: &Datum, place: Option<&Place>) -> Layout {
        self.like(slot, datum, place, |_| true).unwrap_or(Layout::Block)
    }

    /// How a new collection within braces over several lines is laid out.
    pub(super) fn braced_layout(&self, slot: &Slot<'_>, datum: &Datum, place: Option<&Place>) -> Layout {
        self.like(slot, datum, place, |layout| layout != Layout::Block).unwrap_or(Layout::Braced)
    }

    /// The layout of the best example: of the same slot, shape and size, near
    /// and freely chosen rather than inside other braces. Flat collections may
    /// follow others of their shape.
    fn like(
        &self,
        slot: &Slot<'_>,
        datum: &Datum,
        place: Option<&Place>,
        allowed: impl Fn(Layout) -> bool,
    ) -> Option<Layout> {
        let shape = Shape::of(datum);
        let chosen = choose(&self.layouts, place, |seen, tier| {
            let (known, layout, forced) = seen.fact;
            let same_slot = seen.slot == *slot;
            let flat_like_it = known == shape && !shape.nested && seen.slot.item == slot.item;
            let fits = known.bracket == shape.bracket && (same_slot || flat_like_it) && allowed(layout);
            fits.then_some((
                !same_slot,
                known.nested != shape.nested,
                known.several != shape.several,
                tier,
                forced,
            ))
        });
        chosen.map(|(_, layout, _)| *layout)
    }

    /// Columns from a key to the dashes of the list under it.
    pub(super) fn sequence_offset(&self, slot: &Slot<'_>, place: Option<&Place>) -> usize {
        let seen = choose(&self.offsets, place, |seen, tier| Some((seen.slot != *slot, tier)));
        seen.copied().unwrap_or_else(|| self.mapping_step(slot, place))
    }

    /// Columns from a key to the keys of the mapping under it.
    pub(super) fn mapping_step(&self, slot: &Slot<'_>, place: Option<&Place>) -> usize {
        let seen = choose(&self.steps, place, |seen, tier| Some((seen.slot != *slot, tier)));
        seen.copied().unwrap_or(STEP).max(1)
    }

    /// Columns from the line of an opening brace to what is inside.
    pub(super) fn braced_step(&self, slot: &Slot<'_>, place: Option<&Place>) -> usize {
        let seen = choose(&self.braced_steps, place, |seen, tier| Some((seen.slot != *slot, tier)));
        seen.copied().unwrap_or(STEP).max(1)
    }

    /// Spaces between a dash and its item, which is a collection or a scalar.
    pub(super) fn dash_padding(&self, slot: &Slot<'_>, collection: bool, place: Option<&Place>) -> usize {
        let seen = choose(&self.paddings, place, |seen, tier| {
            (seen.fact.0 == collection).then_some((tier > 0, seen.slot != *slot, tier))
        });
        seen.map_or(1, |(_, spaces)| *spaces).max(1)
    }

    /// Spaces inside braces or brackets on one line.
    pub(super) fn inner_spaces(&self, bracket: Bracket, empty: bool, place: Option<&Place>) -> usize {
        let seen = choose(&self.spaces, place, |seen, tier| {
            let (known, known_empty, _) = seen.fact;
            (known == bracket && known_empty == empty).then_some(tier)
        });
        seen.map_or(0, |(_, _, spaces)| *spaces)
    }

    /// Whether a comma follows the last member.
    pub(super) fn trailing_comma(&self, layout: Layout, place: Option<&Place>) -> bool {
        let seen = choose(&self.commas, place, |seen, tier| (seen.fact.0 == layout).then_some(tier));
        seen.map_or(layout == Layout::Braced, |(_, present)| *present)
    }

    /// Whether a list of braces over several lines is written `[{`.
    pub(super) fn cuddles(&self, slot: &Slot<'_>, place: Option<&Place>) -> bool {
        choose(&self.cuddled, place, |seen, tier| Some((seen.slot != *slot, tier))).copied().unwrap_or(true)
    }

    /// The style of a new string.
    pub(super) fn value_style(
        &self,
        slot: &Slot<'_>,
        text: &str,
        in_flow: bool,
        place: Option<&Place>,
    ) -> Style {
        let needed = needs_quotes(text, in_flow);
        let default = if needed { Style::Double } else { Style::Plain };
        let sibling = choose(&self.quotes, place, |seen, tier| {
            (place.is_some() && tier == 0 && seen.slot == *slot && fits(seen.fact, needed)).then_some(())
        });
        let fitting = || self.quotes.iter().filter(|seen| fits(seen.fact, needed));
        let beside = || fitting().filter(|seen| place.is_some_and(|place| !needed && place.tier(seen) == 0));
        sibling
            .map(|(_, style)| *style)
            .or_else(|| undisputed(fitting().filter(|seen| seen.slot == *slot).map(|seen| seen.fact.1)))
            .or_else(|| majority(beside().map(|seen| seen.fact.1)))
            .or_else(|| majority(fitting().map(|seen| seen.fact.1)))
            .unwrap_or(default)
    }

    /// The style of a new key: as the same key elsewhere, else as other keys
    /// with or without a prefix.
    pub(super) fn key_style(&self, key: &str, in_flow: bool) -> Style {
        let needed = needs_quotes(key, in_flow);
        let default = if needed { Style::Double } else { Style::Plain };
        let fitting = || self.keys.iter().filter(|seen| fits(seen.fact, needed));
        let alike = || fitting().filter(|seen| seen.slot.key.contains(':') == key.contains(':'));
        let values = || self.quotes.iter().filter(|seen| needed && fits(seen.fact, needed));
        majority(fitting().filter(|seen| seen.slot.key == key).map(|seen| seen.fact.1))
            .or_else(|| majority(alike().map(|seen| seen.fact.1)))
            .or_else(|| majority(values().map(|seen| seen.fact.1)))
            .unwrap_or(default)
    }
}

/// Whether a known style is an example for text that needs quotes, or needs none.
fn fits((known_needed, style): (bool, Style), needed: bool) -> bool {
    if needed { style != Style::Plain } else { !known_needed }
}

/// The fact with the lowest rank; of several the nearest one, or the commonest
/// where nothing is near.
fn choose<'a, T: PartialEq, R: Ord>(
    seen: &'a [Seen<'_, T>],
    place: Option<&Place>,
    rank: impl Fn(&Seen<'_, T>, usize) -> Option<R>,
) -> Option<&'a T> {
    let ranked = seen.iter().filter_map(|seen| {
        let tier = place.map_or(2, |place| place.tier(seen));
        let distance = match place {
            Some(place) if tier < 2 => seen.at.abs_diff(place.at),
            _ => 0,
        };
        rank(seen, tier).map(|rank| ((rank, distance), &seen.fact))
    });
    let ranked: Vec<_> = ranked.collect();
    let best = ranked.iter().map(|(rank, _)| rank).min()?;
    majority(ranked.iter().filter(|(rank, _)| rank == best).map(|(_, fact)| *fact))
}

/// The commonest; of equally common ones the first to be seen; `None` for none.
fn majority<T: PartialEq>(facts: impl Iterator<Item = T>) -> Option<T> {
    counted(facts).into_iter().rev().max_by_key(|(_, count)| *count).map(|(fact, _)| fact)
}

/// The commonest, unless another one is as common.
fn undisputed<T: PartialEq>(facts: impl Iterator<Item = T>) -> Option<T> {
    let mut counts = counted(facts);
    counts.sort_by_key(|(_, count)| *count);
    let (fact, most) = counts.pop()?;
    counts.last().is_none_or(|(_, next)| *next < most).then_some(fact)
}

fn counted<T: PartialEq>(facts: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for fact in facts {
        match counts.iter_mut().find(|(known, _)| *known == fact) {
            Some((_, count)) => *count += 1,
            None => counts.push((fact, 1)),
        }
    }
    counts
}

/// Walks one document and writes down what it sees.
struct Learner<'h, 't> {
    habits: &'h mut Habits<'t>,
    tree: usize,
    document: usize,
}

impl<'t> Learner<'_, 't> {
    fn seen<T>(&self, slot: &Slot<'t>, at: usize, fact: T) -> Seen<'t, T> {
        Seen { slot: slot.clone(), tree: self.tree, document: self.document, at, fact }
    }

    /// `key_column` is the column of the key that the node stands under.
    fn node(&mut self, value: Value<'t>, slot: &Slot<'t>, key_column: Option<usize>, in_flow: bool) {
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

/// How a collection is laid out where it stands.
pub(super) fn layout_of(value: Value<'_>) -> Layout {
    match (value.is_flow(), value.raw().contains('\n')) {
        (false, _) => Layout::Block,
        (true, false) => Layout::Inline,
        (true, true) => Layout::Braced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    #[test]
    fn each_key_keeps_its_own_manner() {
        let tree = parse(
            FileId(0),
            "a:\n- - x\n  - y1\nb:\n    c:\n      -   d: {  }\nport: '80'\nname: \"web\"\n\"k8s:e\": \"*\"\n",
        );
        let habits = Habits::of(&tree);
        assert_eq!(habits.sequence_offset(&Slot::under("a"), None), 0);
        assert_eq!(habits.sequence_offset(&Slot::under("c"), None), 2);
        assert_eq!(habits.mapping_step(&Slot::under("b"), None), 4);
        assert_eq!(habits.dash_padding(&Slot::under("c").items(), true, None), 3);
        assert_eq!(habits.inner_spaces(Bracket::Brace, true, None), 2);
        assert_eq!(habits.value_style(&Slot::under("port"), "81", false, None), Style::Single);
        assert_eq!(habits.value_style(&Slot::under("name"), "api", false, None), Style::Double);
        assert_eq!(habits.value_style(&Slot::under("other"), "*.x", false, None), Style::Double);
        assert_eq!(habits.key_style("k8s:f", false), Style::Double);
        assert_eq!(habits.key_style("f", false), Style::Plain);
    }

    #[test]
    fn the_layout_depends_on_the_size_and_on_what_is_near() {
        let text = "labels: {a: b}\n---\nx:\n  labels:\n    a: b\n    c: d\n---\ny:\n  labels: {a: b}\n";
        let tree = parse(FileId(0), text);
        let habits = Habits::of(&tree);
        let labels = Slot::under("labels");
        let one = Datum::map([("k", "v")]);
        let two = Datum::map([("k", "v"), ("l", "w")]);
        assert_eq!(habits.layout(&labels, &one, None), Layout::Inline);
        assert_eq!(habits.layout(&labels, &two, None), Layout::Block);
        assert_eq!(habits.layout(&Slot::under("unheard"), &Datum::seq(["a"]), None), Layout::Block);
    }
}
