//! The objects in a file: every mapping that carries `apiVersion` and `kind`,
//! lists flattened (`semantics.md` 1.1). What the objects mean is said in
//! `policy` and `inventory`; what the tree does to them, in `gitops`.

use std::borrow::Cow;

use crate::source::{Span, Spanned};
use crate::yaml::{Resolved, Tree, Value};

/// Text borrowed from the source where it is written out in full.
pub type Text<'s> = Cow<'s, str>;

/// One Kubernetes object as it stands in a file.
#[derive(Debug, Clone)]
pub struct Object<'s> {
    /// `apiVersion`.
    pub api_version: Text<'s>,
    /// `kind`.
    pub kind: Text<'s>,
    /// `metadata.name`, as written.
    pub name: Option<Spanned<Text<'s>>>,
    /// `metadata.namespace`, as written.
    pub namespace: Option<Spanned<Text<'s>>>,
    /// The whole object.
    pub value: Value<'s>,
    /// Which document of its file it stands in.
    pub document: usize,
}

impl<'s> Object<'s> {
    /// The API group: what stands before the `/` of `apiVersion`, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether it is of this group and kind, in any version.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group() == group && self.kind == kind
    }

    /// `metadata.labels`.
    pub fn labels(&self) -> impl Iterator<Item = (Text<'s>, Text<'s>)> {
        string_map(self.value.path(&["metadata", "labels"]))
    }

    /// A place to point at: the name, else the start of the object.
    pub fn place(&self) -> Span {
        self.name.as_ref().map_or_else(|| self.value.span(), |name| name.span)
    }
}

/// The string entries of a mapping; what is no string is left out.
pub fn string_map<'s>(map: Option<Value<'s>>) -> impl Iterator<Item = (Text<'s>, Text<'s>)> {
    map.into_iter()
        .flat_map(|map| map.entries())
        .filter_map(|entry| Some((entry.key.text()?, entry.value.text()?)))
}

/// All objects of a file, in order; the items of `List` kinds one by one.
pub fn objects<'s>(tree: &'s Tree<'s>) -> Vec<Object<'s>> {
    let mut found = Vec::new();
    for (document, root) in tree.roots() {
        collect(root, document, 0, &mut found);
    }
    found
}

/// Lists of lists are followed a few levels; kubectl writes one.
const DEEPEST_LIST: usize = 4;

fn collect<'s>(value: Value<'s>, document: usize, depth: usize, found: &mut Vec<Object<'s>>) {
    if value.is_sequence() {
        if depth < DEEPEST_LIST {
            value.items().for_each(|item| collect(item.value.resolve(), document, depth + 1, found));
        }
        return;
    }
    let (mut api_version, mut kind, mut metadata, mut items) = (None, None, None, None);
    for entry in value.entries() {
        match entry.key.text().as_deref() {
            Some("apiVersion") => api_version = entry.value.text(),
            Some("kind") => kind = entry.value.text(),
            Some("metadata") => metadata = Some(entry.value.resolve()),
            Some("items") => items = Some(entry.value.resolve()),
            _ => {}
        }
    }
    let Some(kind) = kind else { return };
    if let Some(items) = items.filter(|items| kind.ends_with("List") && items.is_sequence()) {
        return collect(items, document, depth + 1, found);
    }
    let field = |key| {
        let value = metadata?.get(key)?;
        let text = match value.resolved()? {
            Resolved::Null => return None,
            _ => value.text()?,
        };
        Some(Spanned::new(text, value.span()))
    };
    found.push(Object {
        api_version: api_version.unwrap_or_default(),
        kind,
        name: field("name"),
        namespace: field("namespace"),
        value,
        document,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;
    use crate::yaml::parse;

    #[test]
    fn lists_are_flattened_and_documents_without_kind_are_none() {
        let tree = parse(
            FileId(0),
            "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n}}\n- {apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy}\n---\nfoo: 1\n",
        );
        let objects = objects(&tree);
        assert_eq!(objects.len(), 2);
        assert!(objects[0].is("", "Pod"));
        assert_eq!(objects[0].namespace.as_ref().unwrap().value, "n");
        assert!(objects[1].is("cilium.io", "CiliumNetworkPolicy"));
        assert_eq!(objects[1].document, 0);
    }
}
