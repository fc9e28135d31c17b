//! Lines no longer than a width, broken at spaces. Every character counts as one
//! column, which is right for what policyfix says of itself.

/// The lines of a text; a word longer than the width has a line of its own, and
/// a line break in the text stays one.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut columns = 0;
        for word in paragraph.split_whitespace() {
            let word_columns = word.chars().count();
            if columns > 0 && columns + 1 + word_columns > width {
                lines.push(std::mem::take(&mut line));
                columns = 0;
            }
            if columns > 0 {
                line.push(' ');
                columns += 1;
            }
            line.push_str(word);
            columns += word_columns;
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one\ntwo", 20), ["one", "two"]);
        assert_eq!(wrapped("a verylongword b", 4), ["a", "verylongword", "b"]);
        assert_eq!(wrapped("ünü →→ x", 6), ["ünü →→", "x"]);
        assert_eq!(wrapped("", 6), [""]);
    }
}
