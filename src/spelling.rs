//! How far two words lie apart, counted in typing slips, and which known word
//! a misspelt one was probably meant to be.

/// Longer words are not compared: nobody misspells them by a slip, and the cost grows with the square.
const LONGEST: usize = 128;

/// The number of typing slips between two words: a letter put in, left out or
/// replaced, or two neighbours swapped. `None` for words too long to compare.
pub fn slips(one: &str, other: &str) -> Option<usize> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().max(other.len()) > LONGEST {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, &a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in other.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == other[j - 1] && one[i - 1] == b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied()
}

/// The known word that was probably meant: the nearest, at most one slip in
/// three letters away. Upper and lower case are alike. Of equals the first wins.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let limit = (length / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .filter_map(|candidate| Some((slips(&word, &candidate.to_lowercase())?, candidate)))
        .filter(|(slips, _)| *slips <= limit)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_slip_counts_once() {
        for (one, other, want) in [
            ("egress", "egress", 0),
            ("egres", "egress", 1),
            ("eggress", "egress", 1),
            ("agress", "egress", 1),
            ("ergess", "egress", 1),
            ("", "abc", 3),
            ("frontend", "front-end", 1),
        ] {
            assert_eq!(slips(one, other), Some(want), "{one} {other}");
        }
        assert_eq!(slips(&"a".repeat(200), "a"), None);
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["ingress", "egress", "toPorts"];
        assert_eq!(nearest("egres", known), Some("egress"));
        assert_eq!(nearest("toports", known), Some("toPorts"));
        assert_eq!(nearest("fromPorts", known), Some("toPorts"));
        assert_eq!(nearest("description", known), None);
    }
}
