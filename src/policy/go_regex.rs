//! Regular expressions as the agent reads them: Go's syntax, put into that of
//! the regex crate. The two part where it matters for paths: `/users/{id}`,
//! `[\w-.]+` and `\Q…\E` are fine in Go and not here, `(?x)` and `[a&&b]` the
//! reverse (V39).

use std::iter::Peekable;
use std::str::Chars;

/// The expression in the syntax of the regex crate; `None` where Go refuses it.
pub(super) fn translated(pattern: &str) -> Option<String> {
    let mut reader = Reader { rest: pattern.chars().peekable(), text: String::new(), open: 0 };
    while reader.rest.peek().is_some() {
        reader.piece()?;
    }
    (reader.open == 0).then_some(reader.text)
}

/// Go refuses to repeat anything more often than this.
const MOST_REPEATS: u32 = 1000;

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    text: String,
    /// Groups that are not closed yet.
    open: usize,
}

/// What stands at one place.
enum Atom {
    /// One character.
    Literal(char),
    /// Several, in the syntax of a class of the regex crate.
    Set(String),
    /// A place between characters.
    Edge(&'static str),
}

impl Reader<'_> {
    /// One piece with what repeats it. What opens or parts groups cannot be repeated.
    fn piece(&mut self) -> Option<()> {
        match self.rest.next()? {
            '(' => return self.group(),
            '|' => {
                self.text.push('|');
                return Some(());
            }
            ')' => {
                self.open = self.open.checked_sub(1)?;
                self.text.push(')');
            }
            '*' | '+' | '?' => return None,
            '{' if size(self.rest.clone()).is_some() => return None,
            '[' => {
                let class = self.class()?;
                self.text.push_str(&class);
            }
            '\\' if self.rest.peek() == Some(&'Q') => return self.quoted(),
            '\\' => match self.escape()? {
                Atom::Literal(c) => self.literal(c),
                Atom::Set(set) => self.text.push_str(&format!("[{set}]")),
                Atom::Edge(edge) => self.text.push_str(edge),
            },
            c @ ('.' | '^' | '$') => self.text.push(c),
            c => self.literal(c),
        }
        self.repeats()
    }

    fn literal(&mut self, c: char) {
        self.text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// `*`, `+`, `?` or `{2,3}`, once, each perhaps with `?`.
    fn repeats(&mut self) -> Option<()> {
        if !self.repeat()? {
            return Some(());
        }
        if self.rest.next_if_eq(&'?').is_some() {
            self.text.push('?');
        }
        // A second one is an error, and so is one after `??`.
        let at = self.text.len();
        let again = self.repeat()?;
        self.text.truncate(at);
        (!again).then_some(())
    }

    fn repeat(&mut self) -> Option<bool> {
        match self.rest.peek() {
            Some(&c @ ('*' | '+' | '?')) => {
                self.rest.next();
                self.text.push(c);
            }
            Some('{') => {
                let mut ahead = self.rest.clone();
                ahead.next();
                let Some(Size { length, least, most }) = size(ahead) else { return Some(false) };
                if least.max(most.unwrap_or(0)) > MOST_REPEATS || most.is_some_and(|most| most < least) {
                    return None;
                }
                let written: String = self.rest.by_ref().take(length + 1).collect();
                self.text.push_str(&written);
            }
            _ => return Some(false),
        }
        Some(true)
    }

    /// Behind a `(`.
    fn group(&mut self) -> Option<()> {
        self.open += 1;
        if self.rest.next_if_eq(&'?').is_none() {
            self.text.push('(');
            return Some(());
        }
        let named = match self.rest.peek()? {
            'P' => {
                self.rest.next();
                self.rest.next_if_eq(&'<')?;
                true
            }
            '<' => self.rest.next().is_some(),
            _ => false,
        };
        if named { self.name() } else { self.flags() }
    }

    fn name(&mut self) -> Option<()> {
        let mut name = String::new();
        loop {
            match self.rest.next()? {
                '>' => break,
                c if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                _ => return None,
            }
        }
        // Names do not matter for what matches, and the regex crate allows fewer.
        self.text.push('(');
        (!name.is_empty()).then_some(())
    }

    fn flags(&mut self) -> Option<()> {
        self.text.push_str("(?");
        let (mut negative, mut flag_needed) = (false, false);
        loop {
            let c = self.rest.next()?;
            match c {
                'i' | 'm' | 's' | 'U' => flag_needed = false,
                '-' if !negative => (negative, flag_needed) = (true, true),
                ':' | ')' if !flag_needed => {
                    if self.text.ends_with("(?") && c == ')' {
                        // `(?)` sets nothing.
                        self.text.push_str(":)");
                    } else {
                        self.text.push(c);
                    }
                    self.open -= usize::from(c == ')');
                    return Some(());
                }
                _ => return None,
            }
            self.text.push(c);
        }
    }

    /// `\Q…\E`: everything between as it is written, to the end where `\E` is missing.
    fn quoted(&mut self) -> Option<()> {
        self.rest.next();
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            self.literal(c);
        }
        // The last character alone is what a repetition would be about.
        self.repeats()
    }

    /// Behind a `\`, outside of a class.
    fn escape(&mut self) -> Option<Atom> {
        let edge = match self.rest.peek()? {
            'A' => r"\A",
            'z' => r"\z",
            'b' => r"(?-u:\b)",
            'B' => r"(?-u:\B)",
            _ => return self.escaped(),
        };
        self.rest.next();
        Some(Atom::Edge(edge))
    }

    /// Behind a `\`, in a class or outside.
    fn escaped(&mut self) -> Option<Atom> {
        let c = self.rest.next()?;
        Some(match c {
            'd' => Atom::Set("0-9".into()),
            'D' => Atom::Set("^0-9".into()),
            'w' => Atom::Set("0-9A-Za-z_".into()),
            'W' => Atom::Set("^0-9A-Za-z_".into()),
            's' => Atom::Set(r"\t\n\f\r ".into()),
            'S' => Atom::Set(r"^\t\n\f\r ".into()),
            'p' | 'P' => Atom::Set(self.unicode_class(c)?),
            'a' => Atom::Literal('\u{7}'),
            'f' => Atom::Literal('\u{c}'),
            'n' => Atom::Literal('\n'),
            'r' => Atom::Literal('\r'),
            't' => Atom::Literal('\t'),
            'v' => Atom::Literal('\u{b}'),
            'x' => Atom::Literal(self.hexadecimal()?),
            '0'..='7' => Atom::Literal(self.octal(c)?),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Atom::Literal(c),
            _ => return None,
        })
    }

    /// Behind a `{`: what stands there up to the `}`, which must be there.
    fn braced(&mut self) -> Option<String> {
        let mut inside = String::new();
        loop {
            match self.rest.next()? {
                '}' => return Some(inside),
                c => inside.push(c),
            }
        }
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let digits: String = if self.rest.next_if_eq(&'{').is_some() {
            self.braced()?
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        char::from_u32(u32::from_str_radix(&digits, 16).ok().filter(|_| fine)?)
    }

    /// One digit but 0 alone would be a back reference, which Go does not have.
    fn octal(&mut self, first: char) -> Option<char> {
        let mut number = first.to_digit(8)?;
        let mut length = 1;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)).filter(|_| length < 3) {
            self.rest.next();
            number = number * 8 + digit;
            length += 1;
        }
        char::from_u32(number).filter(|_| first == '0' || length > 1)
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`: as a set of the regex crate, if that knows it.
    fn unicode_class(&mut self, letter: char) -> Option<String> {
        let name: String = match self.rest.next()? {
            '{' => self.braced()?,
            c => c.to_string(),
        };
        let bare = name.strip_prefix('^').unwrap_or(&name);
        let negative = (letter == 'P') != (bare.len() < name.len());
        let fine = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let set = format!(r"\{}{{{bare}}}", if negative { 'P' } else { 'p' });
        (fine && regex::Regex::new(&set).is_ok()).then_some(set)
    }

    /// Behind a `[`.
    fn class(&mut self) -> Option<String> {
        let mut class = String::from("[");
        if self.rest.next_if_eq(&'^').is_some() {
            class.push('^');
        }
        let mut first = true;
        loop {
            if !first && self.rest.next_if_eq(&']').is_some() {
                class.push(']');
                return Some(class);
            }
            first = false;
            if let Some(named) = self.named_class()? {
                class.push_str(&named);
                continue;
            }
            match self.class_item()? {
                Atom::Set(set) => class.push_str(&format!("[{set}]")),
                Atom::Literal(low) => {
                    let high = self.range_end(low)?;
                    class.push_str(&format!(r"\x{{{:x}}}-\x{{{:x}}}", u32::from(low), u32::from(high)));
                }
                Atom::Edge(_) => return None,
            }
        }
    }

    fn class_item(&mut self) -> Option<Atom> {
        match self.rest.next()? {
            '\\' => self.escaped(),
            c => Some(Atom::Literal(c)),
        }
    }

    /// The other end of a range, or the same character.
    fn range_end(&mut self, low: char) -> Option<char> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || ahead.next().is_none_or(|c| c == ']') {
            return Some(low);
        }
        self.rest.next();
        match self.class_item()? {
            Atom::Literal(high) if low <= high => Some(high),
            _ => None,
        }
    }

    /// `[:alpha:]` within a class.
    fn named_class(&mut self) -> Option<Option<String>> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        let rest: String = self.rest.clone().collect();
        let Some((name, _)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
            return Some(None);
        };
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return None;
        }
        Some(Some(self.rest.by_ref().take(name.len() + 4).collect()))
    }
}

/// How often something is repeated, as it stands behind a `{`.
struct Size {
    /// Characters up to the `}` and with it.
    length: usize,
    least: u32,
    most: Option<u32>,
}

/// The size in `2}`, `2,}` or `2,3}`; anything else leaves the brace before it a plain character.
fn size(text: Peekable<Chars<'_>>) -> Option<Size> {
    const LONGEST: usize = 24;
    let text: String = text.take(LONGEST).collect();
    let (inside, _) = text.split_once('}')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'));
        plain.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inside.split_once(',') {
        None => (number(inside)?, Some(number(inside)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some(Size { length: inside.len() + 1, least, most })
}

#[cfg(test)]
mod tests;
