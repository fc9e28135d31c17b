//! How large a document is once its aliases are written out. Whoever reads the
//! tree follows aliases, so a document that unfolds to more than any manifest
//! holds is refused before anyone does.

use super::datum::MOST_NODES;
use super::tree::Node;
use super::{Kind, NodeId, Tree};
use crate::source::Span;

/// The alias that brings in most, if the aliases of the document whose nodes
/// begin at `first` bring in too much.
pub(super) fn too_large(tree: &Tree<'_>, first: usize) -> Option<Span> {
    let nodes = tree.nodes.get(first..)?;
    let is_alias = |node: &Node| matches!(node.kind, Kind::Alias(_));
    if !nodes.iter().any(is_alias) {
        return None;
    }
    let sizes = sizes(tree, nodes, first);
    let brought_in = sizes.last()?.saturating_sub(nodes.len());
    if brought_in <= MOST_NODES {
        return None;
    }
    let aliases = nodes.iter().zip(&sizes).filter(|(node, _)| is_alias(node));
    let (largest, _) = aliases.max_by_key(|(_, size)| **size)?;
    Some(tree.span(largest.start, largest.end))
}

/// The nodes that each node stands for. Children and anchors come before what
/// holds them and what stands for them.
fn sizes(tree: &Tree<'_>, nodes: &[Node], first: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let of = |id: NodeId| {
            (id.0 as usize).checked_sub(first).and_then(|at| sizes.get(at)).map_or(1, |size| *size)
        };
        let range = node.first as usize..(node.first as usize + node.count as usize);
        let size = match node.kind {
            Kind::Alias(target) => target.map_or(1, of),
            Kind::Mapping { .. } => {
                let entries = tree.entries.get(range).unwrap_or_default().iter();
                entries.fold(1_usize, |sum, entry| {
                    sum.saturating_add(of(entry.key)).saturating_add(of(entry.value))
                })
            }
            Kind::Sequence { .. } => {
                let items = tree.items.get(range).unwrap_or_default().iter();
                items.fold(1_usize, |sum, item| sum.saturating_add(of(item.node)))
            }
            Kind::Empty | Kind::Scalar(_) => 1,
        };
        sizes.push(size);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use crate::source::FileId;
    use crate::yaml::parse;

    fn bomb(levels: usize) -> String {
        let level = |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
        "a0: &a0 x\n".to_owned() + &(1..=levels).map(level).collect::<String>()
    }

    #[test]
    fn an_alias_bomb_is_refused_at_its_largest_alias() {
        let text = bomb(40) + "---\nb: c\n";
        let tree = parse(FileId(0), &text);
        assert_eq!(tree.errors.len(), 1, "{:?}", tree.errors);
        assert!(tree.errors[0].message.starts_with("aliases expand"));
        assert!(text[tree.errors[0].span.range()].starts_with('*'));
        assert_eq!(tree.roots().count(), 1, "the other document is there");
    }

    #[test]
    fn what_people_write_with_aliases_is_read() {
        assert!(parse(FileId(0), &bomb(4)).errors.is_empty());
        let shared = "- &a {app: x}\n".to_owned() + &"- *a\n".repeat(20_000);
        assert!(parse(FileId(0), &shared).errors.is_empty());
    }
}
