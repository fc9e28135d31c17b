//! Lines no longer than a width, broken at spaces. Every character counts as one
//! column, which is right for what policyfix says of itself.

/// The lines of a text; a word longer than the width has a line of its own, and
/// a line break in the text stays one, and a line that begins with a space is
/// taken for code and left as it is.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        if paragraph.starts_with(' ') {
            lines.push(paragraph.to_owned());
            continue;
        }
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

    #[test]
    fn code_is_left_as_it_is() {
        assert_eq!(wrapped("add this:\n  - port:  \"53\"", 5), ["add", "this:", "  - port:  \"53\""]);
    }
}
