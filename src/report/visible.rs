//! Text from manifests and flow logs, made fit for a terminal, a mail or a log:
//! whoever can name a label must not be able to command what shows it.

/// A line with control characters, and those that turn the direction of
/// writing, made visible. Tabs stay.
pub(crate) fn visible(line: &str) -> String {
    let visible = |char: char| match char {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '␡',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        char => char,
    };
    line.chars().map(visible).collect()
}

/// As [`visible`], with line ends kept.
pub(super) fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_a_terminal() {
        assert_eq!(visible("a\tä\u{1b}[2J\r\u{9b}\u{202e}\n"), "a\tä␛[2J␍\u{fffd}\u{fffd}␊");
        assert_eq!(visible_lines("a\u{7f}\nb"), "a␡\nb");
    }
}
