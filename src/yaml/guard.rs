//! What kubectl refuses and the parser takes: control characters, tabs that
//! indent, nesting that no manifest has. Looked for in the text, before or after
//! it is parsed.

use super::tree::Node;

/// The deepest nesting that is read; kubectl's own objects stay below 20.
pub(super) const DEEPEST: usize = 256;

/// libyaml, and so kubectl, refuses control characters anywhere.
pub(super) fn check_characters(text: &str) -> Result<(), (&'static str, usize)> {
    match text.bytes().position(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        Some(at) => Err(("a control character, which YAML does not allow", at)),
        None => Ok(()),
    }
}

/// The first tab that would indent a line of a block. libyaml refuses it, and
/// does not within brackets and quotes: JSON is often indented so.
pub(super) fn lone_tab(text: &str, held: impl FnOnce() -> Vec<(usize, usize)>) -> Option<usize> {
    memchr::memchr(b'\t', text.as_bytes())?;
    let held = held();
    let is_held = |at: usize| {
        let after = held.partition_point(|(start, _)| *start < at);
        after.checked_sub(1).and_then(|last| held.get(last)).is_some_and(|(_, end)| at < *end)
    };
    let mut line_start = true;
    text.bytes().enumerate().find_map(|(at, byte)| {
        let tab = byte == b'\t' && line_start;
        line_start = matches!(byte, b'\n' | b'\r') || (line_start && matches!(byte, b' ' | b'\t'));
        (tab && !is_held(at)).then_some(at)
    })
}

/// The outermost ranges within brackets or quotes, in order, counted in the piece.
pub(super) fn held(nodes: &[Node], start: usize) -> Vec<(usize, usize)> {
    let nodes = nodes.iter().filter(|node| node.is_flow() || node.is_quoted());
    let mut ranges: Vec<_> = nodes.map(|n| (n.content as usize - start, n.end as usize - start)).collect();
    ranges.sort_unstable();
    let mut outermost: Vec<(usize, usize)> = Vec::new();
    for range in ranges {
        if outermost.last().is_none_or(|last| range.0 >= last.1) {
            outermost.push(range);
        }
    }
    outermost
}

/// An upper bound on nesting, without parsing: block levels are indents that
/// grow and indicators that begin a line; flow levels are open brackets. Text
/// in quotes or comments can only raise it.
pub(super) fn check_nesting(text: &str) -> Result<(), usize> {
    let mut indents: Vec<usize> = Vec::new();
    let mut open: usize = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        let blank = body.trim_end().is_empty() || body.starts_with('#');
        if !blank {
            while indents.last().is_some_and(|&last| last >= indent) {
                indents.pop();
            }
            indents.push(indent);
        }
        let mut leading = 0;
        let mut rest = body;
        while let Some(after) =
            rest.strip_prefix(['-', '?', ':']).filter(|after| after.starts_with([' ', '\n', '\r']))
        {
            leading += 1;
            rest = after.trim_start_matches(' ');
        }
        for byte in body.bytes() {
            match byte {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
            if indents.len() + leading + open > DEEPEST {
                return Err(at);
            }
        }
        at += line.len();
    }
    Ok(())
}
