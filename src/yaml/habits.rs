//! How a file writes things: indentation, the column of lists, quotes, braces or
//! lines. Every fact keeps the key under which it was seen and where, so that
//! new text follows the nearest example of its own kind.

mod learn;

use std::ops::Range;

use learn::Learner;

use super::locate::{Location, Slot};
use super::quote::needs_quotes;
use super::{Datum, Style, Tree, Value};

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
