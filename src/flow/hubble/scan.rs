//! The entries of a JSON object as raw text, in one pass and without a tree.
//!
//! Every record of a log goes through here and most of its text is the same as
//! in a record before it, so nothing is parsed until someone asks. What is
//! passed over must be made of JSON's words and have its brackets in pairs;
//! when that fails, `serde_json` is asked for the reason.

use super::familiar;

/// The entries of an object: keys without quotes (escapes stay), values as they stand.
pub(crate) struct Entries<'a> {
    text: &'a str,
    at: usize,
    state: State,
    /// It is a value in the text, which goes on behind it.
    is_inner: bool,
}

#[derive(PartialEq, Eq)]
enum State {
    First,
    Next,
    Ended,
}

/// The text is no JSON, or it ends too early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl<'a> Entries<'a> {
    /// The entries of `text`, which must be an object and nothing after it.
    pub(crate) fn of(text: &'a str) -> Self {
        let at = if text.starts_with('{') { 1 } else { usize::MAX };
        Self { text, at, state: State::First, is_inner: false }
    }

    /// The next entry; `None` at the end of the object.
    pub(crate) fn next(&mut self) -> Result<Option<(&'a str, &'a str)>, NotJson> {
        let Some(key) = self.next_key()? else { return Ok(None) };
        Ok(Some((key, self.take_value()?)))
    }

    /// Whether the value of the key that was given last is null.
    pub(crate) fn is_null(&self) -> bool {
        self.text.as_bytes().get(self.at) == Some(&b'n')
    }

    /// The value of the key that was given last.
    pub(crate) fn take_value(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at;
        self.at = self.value(start)?;
        self.slice(start, self.at)
    }

    /// The same for an end of a flow, which is mostly one that was just read;
    /// with its number if it is.
    pub(crate) fn take_end(&mut self) -> Result<(&'a str, Option<u64>), NotJson> {
        let start = self.at;
        if let Some((length, number)) = familiar::end(self.rest()?) {
            self.at = start + length;
            return Ok((self.slice(start, self.at)?, Some(number)));
        }
        Ok((self.take_value()?, None))
    }

    /// Passes over all that is left of a flow, if it is mostly the same: `each`
    /// takes the entries of it that tell something. Whether it was.
    pub(crate) fn take_tail(&mut self, mut each: impl FnMut(&'a str, &'a str)) -> Result<bool, NotJson> {
        let rest = self.rest()?;
        let length = familiar::tail(rest, |(key, value)| {
            if let (Some(key), Some(value)) = (rest.get(key.clone()), rest.get(value.clone())) {
                each(key, value);
            }
        });
        let Some(length) = length else { return Ok(false) };
        self.at += length;
        self.state = State::Ended;
        if self.is_complete() { Ok(true) } else { Err(NotJson) }
    }

    /// Remembers what stands from `start` up to here, and those of its entries that tell something.
    pub(crate) fn remember_tail(&self, start: usize, entries: &[(&'a str, &'a str)]) {
        let Ok(tail) = self.slice(start, self.at) else { return };
        let range = |part: &str| {
            let at = (part.as_ptr() as usize).wrapping_sub(tail.as_ptr() as usize);
            at..at.wrapping_add(part.len())
        };
        let entries = entries.iter().map(|(key, value)| (range(key), range(value))).collect();
        familiar::remember_tail(tail, entries);
    }

    /// How far the text was read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The value of the key that was given last, as an object whose entries `each` takes.
    pub(crate) fn take_object<T>(
        &mut self,
        each: impl FnOnce(&mut Entries<'a>) -> Result<T, NotJson>,
    ) -> Result<T, NotJson> {
        if self.byte(self.at)? != b'{' {
            return Err(NotJson);
        }
        let mut inner = Entries { text: self.text, at: self.at + 1, state: State::First, is_inner: true };
        let taken = each(&mut inner)?;
        self.at = inner.at;
        Ok(taken)
    }

    /// The next key; `None` at the end of the object. Its value must be taken next.
    pub(crate) fn next_key(&mut self) -> Result<Option<&'a str>, NotJson> {
        if self.state == State::Ended {
            return Ok(None);
        }
        let mut at = self.space(self.at);
        match (self.byte(at)?, &self.state) {
            (b'}', _) => {
                self.state = State::Ended;
                self.at = at + 1;
                return if self.is_complete() { Ok(None) } else { Err(NotJson) };
            }
            (b',', State::Next) => at = self.space(at + 1),
            (_, State::First) => {}
            _ => return Err(NotJson),
        }
        self.state = State::Next;
        let key_end = self.string(at)?;
        let key = self.slice(at + 1, key_end - 1)?;
        at = self.space(key_end);
        if self.byte(at)? != b':' {
            return Err(NotJson);
        }
        self.at = self.space(at + 1);
        Ok(Some(key))
    }

    /// Calls `each` for the entries of the value of the key that was given last;
    /// it must take their values. What is no object has no entries.
    pub(crate) fn within(
        &mut self,
        mut each: impl FnMut(&'a str, &mut Self) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        if self.byte(self.at)? != b'{' {
            return self.take_value().map(|_| ());
        }
        self.take_object(|entries| {
            while let Some(key) = entries.next_key()? {
                each(key, entries)?;
            }
            Ok(())
        })
    }

    /// Whether the text may end where the object does.
    fn is_complete(&self) -> bool {
        self.is_inner || self.space(self.at) == self.text.len()
    }

    fn rest(&self) -> Result<&'a str, NotJson> {
        self.text.get(self.at..).ok_or(NotJson)
    }

    fn byte(&self, at: usize) -> Result<u8, NotJson> {
        self.text.as_bytes().get(at).copied().ok_or(NotJson)
    }

    fn slice(&self, start: usize, end: usize) -> Result<&'a str, NotJson> {
        self.text.get(start..end).ok_or(NotJson)
    }

    fn space(&self, mut at: usize) -> usize {
        while matches!(self.text.as_bytes().get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            at += 1;
        }
        at
    }

    /// Where the value that begins at `at` ends.
    fn value(&self, at: usize) -> Result<usize, NotJson> {
        match self.byte(at)? {
            b'"' => self.string(at),
            b'{' | b'[' => self.nested(at),
            _ => self.scalar(at),
        }
    }

    fn string(&self, at: usize) -> Result<usize, NotJson> {
        if self.byte(at)? != b'"' {
            return Err(NotJson);
        }
        let bytes = self.text.as_bytes();
        let mut from = at + 1;
        loop {
            let rest = bytes.get(from..).ok_or(NotJson)?;
            let found = from + quote_or_escape(rest).ok_or(NotJson)?;
            if self.byte(found)? == b'"' {
                return Ok(found + 1);
            }
            from = found + 2;
        }
    }

    fn scalar(&self, at: usize) -> Result<usize, NotJson> {
        if !matches!(self.byte(at)?, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
            return Err(NotJson);
        }
        let rest = self.text.as_bytes().get(at..).ok_or(NotJson)?;
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let length = rest.iter().position(|b| !is_part(b)).ok_or(NotJson)?;
        Ok(at + length)
    }

    fn nested(&self, mut at: usize) -> Result<usize, NotJson> {
        let mut depth = 0u32;
        loop {
            at = match self.byte(at)? {
                b'"' => self.string(at)?,
                b'{' | b'[' => {
                    depth += 1;
                    at + 1
                }
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                    at + 1
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => at + 1,
                _ => self.scalar(at)?,
            };
        }
    }
}

/// Where the first quote or backslash stands. Strings of a record are short,
/// so eight bytes at a time in a register beat a search by vectors.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
        let word = u64::from_le_bytes(eight);
        let zero_in = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
        let found = zero_in(word ^ (LOW * b'"' as u64)) | zero_in(word ^ (LOW * b'\\' as u64));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|&byte| byte == b'"' || byte == b'\\').map(|found| at + found)
}

/// Calls `each` for the entries of an object; entries of what is none are none.
pub(crate) fn for_each<'a>(object: &'a str, mut each: impl FnMut(&'a str, &'a str)) {
    let mut entries = Entries::of(object);
    while let Ok(Some((key, value))) = entries.next() {
        each(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Result<Vec<(&str, &str)>, NotJson> {
        let mut entries = Entries::of(text);
        let mut all = Vec::new();
        while let Some(entry) = entries.next()? {
            all.push(entry);
        }
        Ok(all)
    }

    #[test]
    fn entries_are_given_as_they_stand() {
        let text = r#"{ "a":1 ,"b" : "x\"}" ,"c":{"d":["}",{}]},"e":null}"#;
        let expected = [("a", "1"), ("b", r#""x\"}""#), ("c", r#"{"d":["}",{}]}"#), ("e", "null")];
        assert_eq!(entries(text).unwrap(), expected);
        assert_eq!(entries("{}").unwrap(), []);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            "{}}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1,}",
            "{,\"a\":1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":[…]}",
            "{\"a\":[...]}",
            "{\"a\":{\"b\":1}",
            "{\"a\":\"b}",
            "{\"a\\",
            "{\"a\":\"\\",
        ] {
            assert_eq!(entries(text), Err(NotJson), "{text}");
        }
    }
}
