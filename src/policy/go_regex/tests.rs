//! What Go takes and refuses, and that both mean the same.

use super::*;

fn is_match(pattern: &str, text: &str) -> Option<bool> {
    let translated = translated(pattern)?;
    let regex = regex::Regex::new(&format!("^(?:{translated})$"));
    Some(regex.unwrap_or_else(|error| unreachable!("{pattern}: {error}")).is_match(text))
}

#[test]
fn what_go_takes_is_taken_and_means_the_same() {
    for (pattern, text, want) in [
        ("", "", true),
        ("/users/{id}", "/users/{id}", true),
        ("/users/{id}", "/users/7", false),
        ("/a{2}", "/aa", true),
        ("/a{2,}b{,2}", "/aaab{,2}", true),
        ("/a{02}", "/a{02}", true),
        (r"[\w-.]+", "a-b.c", true),
        (r"/v[0-9]+(/.*)?", "/v1/x", true),
        (r"\Q/a.b\E.", "/a.bc", true),
        (r"\Q/a.b\E.", "/axbc", false),
        (r"\/a\-b\_c", "/a-b_c", true),
        (r"[]a]+", "]a", true),
        (r"[[]", "[", true),
        (r"[a&&b]+", "&ab", true),
        (r"[^/]+", "ab", true),
        (r"[a-]", "-", true),
        (r"[[:alpha:]\d]+", "a1", true),
        (r"\d", "٣", false),
        (r"\pL+\x41\x{42}\101", "éABA", true),
        (r"(?i)get|(?P<x>po(?:st)?)", "GET", true),
        (r"(?<1a>x)(?s-i:.)", "x\n", true),
        (r"a*?b+?c??", "abb", true),
        (r"}]", "}]", true),
        ("GET|POST", "POST", true),
        ("||", "", true),
    ] {
        assert_eq!(is_match(pattern, text), Some(want), "{pattern} {text}");
    }
}

#[test]
fn what_go_refuses_is_refused() {
    for pattern in [
        "*",
        "a**",
        "a*+",
        "(",
        ")",
        "a)",
        "(a",
        "[",
        "[a",
        "[]",
        r"\",
        r"\1",
        r"\Z",
        r"\C",
        r"\y",
        "{2}",
        "a{2}{3}",
        "a{1001}",
        "a{3,2}",
        "(?=a)",
        "(?!a)",
        "(?x)a",
        "(?P<a",
        "(?P<>a)",
        "[b-a]",
        "[[:nope:]]",
        r"\p{Nope}",
        r"\x{110000}",
        r"\x{41",
        r"\p{Greek",
        r"\xg1",
        "(?i-)",
        "|*",
        "(*a)",
        "+1",
    ] {
        assert_eq!(translated(pattern), None, "{pattern}");
    }
}
