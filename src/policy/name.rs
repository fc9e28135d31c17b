//! DNS names and patterns in `toFQDNs` and `rules.dns` (`semantics.md` 4.6).

use crate::manifest::Text;
use crate::source::Spanned;
use crate::version::CiliumVersion;
use crate::yaml::Value;

/// One item of `toFQDNs` or `rules.dns`.
#[derive(Debug, Clone)]
pub struct NameRule<'s> {
    /// The item.
    pub value: Value<'s>,
    /// `matchName`.
    pub name: Option<Spanned<Text<'s>>>,
    /// `matchPattern`.
    pub pattern: Option<Spanned<Text<'s>>>,
}

impl NameRule<'_> {
    /// Whether the rule covers this name, in this release.
    pub fn matches(&self, name: &str, version: CiliumVersion) -> bool {
        self.name.as_ref().is_some_and(|own| same_name(&own.value, name))
            || self.pattern.as_ref().is_some_and(|own| pattern_matches(&own.value, name, version))
    }

    /// What is written, name or pattern.
    pub fn text(&self) -> Option<&Spanned<Text<'_>>> {
        self.name.as_ref().or(self.pattern.as_ref())
    }
}

/// Names are compared without case, and both with a final dot.
pub fn same_name(a: &str, b: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').map_or(name.len(), str::len);
    a[..bare(a)].eq_ignore_ascii_case(&b[..bare(b)])
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether the pattern covers the name: `*` is any number of letters, digits,
/// `-` and `_` but no dot; alone it is every name. From 1.19 a leading `**.` is
/// one or more labels, and stars alone are every name.
pub fn pattern_matches(pattern: &str, name: &str, version: CiliumVersion) -> bool {
    if pattern == "*" {
        return true;
    }
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if version >= CiliumVersion::V1_19 {
        if !pattern.is_empty() && pattern.bytes().all(|b| b == b'*') {
            return true;
        }
        let stars = pattern.bytes().take_while(|&b| b == b'*').count();
        if stars >= 2 && pattern[stars..].starts_with('.') {
            let rest = &pattern.as_bytes()[stars + 1..];
            return (0..name.len())
                .filter(|&dot| name.as_bytes()[dot] == b'.')
                .any(|dot| dot > 0 && whole_labels(&name[..dot]) && glob(rest, &name.as_bytes()[dot + 1..]));
        }
    }
    glob(pattern.as_bytes(), name.as_bytes())
}

fn whole_labels(text: &str) -> bool {
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_name_byte))
}

/// Matches greedily with one place to go back to: linear but for the last star.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p + 1, n));
            p += 1;
        } else if n < name.len() && p < pattern.len() && pattern[p] == name[n] {
            p += 1;
            n += 1;
        } else if n == name.len() && p == pattern.len() {
            return true;
        } else if let Some((after, from)) =
            star.filter(|&(_, from)| from < name.len() && is_name_byte(name[from]))
        {
            star = Some((after, from + 1));
            p = after;
            n = from + 1;
        } else {
            return false;
        }
    }
}

/// Whether the characters are allowed: letters, digits, `-`, `_`, `.`, and `*` in a pattern (V25).
pub fn has_allowed_characters(text: &str, pattern: bool) -> bool {
    !text.is_empty() && text.bytes().all(|b| is_name_byte(b) || b == b'.' || (pattern && b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_cilium_matches_them() {
        let old = CiliumVersion::V1_18;
        let new = CiliumVersion::V1_20;
        for (pattern, name, in_old, in_new) in [
            ("*", "a.b.c", true, true),
            ("*.example.com", "a.example.com", true, true),
            ("*.example.com", "example.com", false, false),
            ("*.example.com", "b.a.example.com", false, false),
            ("*example.com", "example.com", true, true),
            ("*example.com", "a-example.com", true, true),
            ("*example.com", "a.example.com", false, false),
            ("sub*.example.com", "suba.example.com", true, true),
            ("sub*.example.com", "a.sub.example.com", false, false),
            ("**.example.com", "a.example.com", true, true),
            ("**.example.com", "b.a.example.com", false, true),
            ("**.example.com", "example.com", false, false),
            ("*.*", "example.com", true, true),
            ("*.*", "a.example.com", false, false),
            ("**", "com", true, true),
            ("**", "example.com", false, true),
            ("*.", "example.com", false, true),
            ("a.**.com", "a.b.com", true, true),
            ("a.**.com", "a.b.c.com", false, false),
            (".example.com", "a.example.com", false, false),
            ("*.Example.com", "A.EXAMPLE.com.", true, true),
            ("*.s3.*.aws.com", "x.s3.eu.aws.com", true, true),
        ] {
            assert_eq!(pattern_matches(pattern, name, old), in_old, "{pattern} {name} in {old}");
            assert_eq!(pattern_matches(pattern, name, new), in_new, "{pattern} {name} in {new}");
        }
    }

    #[test]
    fn names_ignore_case_and_the_final_dot() {
        assert!(same_name("Github.com", "github.com."));
        assert!(!same_name("github.com", "api.github.com"));
    }
}
