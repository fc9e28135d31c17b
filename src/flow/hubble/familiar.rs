//! Texts that were just read: a log is made of few ends, and what stands behind
//! them in a record is mostly the same, so most of a record is recognised by
//! comparing bytes, which is faster than finding where its values end.

use std::cell::RefCell;
use std::hash::Hasher;
use std::ops::Range;

use rustc_hash::FxHasher;

/// How many places there are for texts that begin alike; a power of two.
const PLACES: usize = 256;

/// How many texts that begin alike are kept.
const ALIKE: usize = 4;

/// The part of a text that chooses its place: long enough for an identity or a node.
const HEAD: usize = 40;

/// Texts longer than this are not kept.
const LONGEST: usize = 4096;

thread_local! {
    /// Ends that were read without a fault, with a number for each text.
    static ENDS: RefCell<Memory<u64>> = RefCell::new(Memory::default());
    /// What follows the destination up to the end of a flow.
    static TAILS: RefCell<Memory<Vec<Entry>>> = RefCell::new(Memory::default());
}

/// Key and value of an entry, counted from the beginning of a text.
pub(super) type Entry = (Range<usize>, Range<usize>);

/// Texts with what is known of each.
struct Memory<T> {
    texts: Vec<(String, T)>,
    /// Which of the texts that begin alike gives way next.
    turn: usize,
}

impl<T: Default> Default for Memory<T> {
    fn default() -> Self {
        let mut texts = Vec::new();
        texts.resize_with(PLACES * ALIKE, Default::default);
        Self { texts, turn: 0 }
    }
}

impl<T> Memory<T> {
    /// The known text that `text` begins with: its length, and what is known of it.
    fn find(&self, text: &str) -> Option<(usize, &T)> {
        let first = place(text)?;
        let alike = self.texts.get(first..first + ALIKE)?;
        let begins =
            |known: &&(String, T)| !known.0.is_empty() && text.as_bytes().starts_with(known.0.as_bytes());
        alike.iter().find(begins).map(|(known, what)| (known.len(), what))
    }

    fn remember(&mut self, text: &str, what: T) {
        let Some(first) = place(text).filter(|_| text.len() <= LONGEST) else { return };
        self.turn = (self.turn + 1) % ALIKE;
        if let Some(known) = self.texts.get_mut(first + self.turn) {
            known.0.clear();
            known.0.push_str(text);
            known.1 = what;
        }
    }
}

fn place(text: &str) -> Option<usize> {
    let head = text.as_bytes().get(..HEAD)?;
    Some(number(head) as usize % PLACES * ALIKE)
}

/// A number for bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// The end that `text` begins with, if it was read before: its length and number.
pub(super) fn end(text: &str) -> Option<(usize, u64)> {
    ENDS.with_borrow(|ends| ends.find(text).map(|(length, number)| (length, *number)))
}

/// Remembers an end that could be read.
pub(super) fn remember_end(text: &str) {
    ENDS.with_borrow_mut(|ends| ends.remember(text, number(text.as_bytes())));
}

/// The rest of a flow that `text` begins with, if it was read before: its length,
/// after its entries were given to `each`.
pub(super) fn tail(text: &str, mut each: impl FnMut(&Entry)) -> Option<usize> {
    TAILS.with_borrow(|tails| {
        let (length, entries) = tails.find(text)?;
        entries.iter().for_each(&mut each);
        Some(length)
    })
}

/// Remembers the rest of a flow with its entries that tell something.
pub(super) fn remember_tail(text: &str, entries: Vec<Entry>) {
    TAILS.with_borrow_mut(|tails| tails.remember(text, entries));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_recognised_by_its_whole_text() {
        let object = r#"{"identity":4711,"namespace":"shop","pod_name":"cart-0"}"#;
        assert_eq!(end(object), None);
        remember_end(object);
        let number = number(object.as_bytes());
        assert_eq!(end(&format!("{object},\"destination\":{{}}")), Some((object.len(), number)));
        assert_eq!(end(&object.replace("cart-0", "cart-1")), None);
        assert_eq!(end("{}"), None);
    }

    #[test]
    fn ends_that_begin_alike_are_kept_beside_each_other() {
        let pod = |n| format!(r#"{{"ID":12,"identity":4711,"namespace":"front","pod_name":"cart-{n}"}}"#);
        (0..ALIKE).for_each(|n| remember_end(&pod(n)));
        assert!((0..ALIKE).all(|n| end(&pod(n)).is_some()));
    }
}
