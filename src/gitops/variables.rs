//! `${VAR}` in manifests: Flux puts values in their place after it has built a
//! folder. What the tree does not define stays unknown: it matches nothing for
//! certain and may match anything.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::source::{Span, Spanned};

/// The variables that are defined where a manifest is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<Box<str>, Spanned<Box<str>>>,
    others: Others,
}

/// What is known about variables that the tree does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// There are none.
    None,
    /// There may be some: in a Secret, in a ConfigMap of the cluster, or
    /// whatever else replaces them.
    Possible,
    /// Nothing is replaced: the text is meant as it stands.
    Literal,
}

/// A text with values in place of its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Substituted<'t> {
    /// The text that reaches the cluster.
    Known(Cow<'t, str>),
    /// It holds a variable whose value cannot be known.
    Unknown,
}

impl<'t> Substituted<'t> {
    /// The text, where it is known.
    pub fn known(self) -> Option<Cow<'t, str>> {
        match self {
            Substituted::Known(text) => Some(text),
            Substituted::Unknown => None,
        }
    }
}

impl Variables {
    /// Nothing is known of any variable.
    pub fn unseen() -> Self {
        Self { values: BTreeMap::new(), others: Others::Possible }
    }

    /// Nothing is substituted: a `${` is meant as it stands.
    pub fn literal() -> Self {
        Self { values: BTreeMap::new(), others: Others::Literal }
    }

    /// Variables that are defined in full unless [`Variables::may_hold_more`] is called.
    pub(super) fn complete() -> Self {
        Self { values: BTreeMap::new(), others: Others::None }
    }

    /// Some of the variables are defined where the tree does not show it.
    pub(super) fn may_hold_more(&mut self) {
        self.others = Others::Possible;
    }

    /// Defines a variable, over an earlier definition.
    pub(super) fn define(&mut self, name: &str, value: &str, place: Span) {
        self.values.insert(name.into(), Spanned::new(value.into(), place));
    }

    /// Takes a definition away: its value cannot be known.
    pub(super) fn forget(&mut self, name: &str) {
        self.values.remove(name);
        self.others = Others::Possible;
    }

    /// The value of a variable and the place that defines it.
    pub fn definition(&self, name: &str) -> Option<(&str, Span)> {
        self.values.get(name).map(|found| (found.value.as_ref(), found.span))
    }

    /// The names of the variables that a text asks for.
    pub fn names(text: &str) -> impl Iterator<Item = &str> {
        text.match_indices("${").filter_map(|(at, _)| {
            let name = text.get(at + 2..)?;
            name.get(..name_length(name)).filter(|name| !name.is_empty())
        })
    }
}

/// Puts values in place of `${VAR}`, `${VAR:=default}` and `${VAR:-default}`.
///
/// A default counts only where every definition is known: another one could
/// stand in a Secret. `$${VAR}` is an escaped `${VAR}`. Any other expression
/// is unknown, as is a variable that nothing defines.
pub fn substitute<'t>(text: impl Into<Cow<'t, str>>, variables: &Variables) -> Substituted<'t> {
    let text = text.into();
    if variables.others == Others::Literal || memchr::memmem::find(text.as_bytes(), b"${").is_none() {
        return Substituted::Known(text);
    }
    match replace(&text, variables) {
        Some(replaced) => Substituted::Known(replaced.into()),
        None => Substituted::Unknown,
    }
}

fn replace(text: &str, variables: &Variables) -> Option<String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, expression) = rest.split_at(at);
        let length = expression.find('}')? + 1;
        let (expression, after) = expression.split_at(length);
        match before.strip_suffix('$') {
            Some(before) => {
                replaced.push_str(before);
                replaced.push_str(expression);
            }
            None => {
                replaced.push_str(before);
                replaced.push_str(&evaluate(expression.get(2..length - 1)?, variables)?);
            }
        }
        rest = after;
    }
    replaced.push_str(rest);
    Some(replaced)
}

/// The value of what stands between the braces.
fn evaluate<'v>(expression: &'v str, variables: &'v Variables) -> Option<Cow<'v, str>> {
    let (name, operator) = expression.split_at(name_length(expression));
    if name.is_empty() {
        return None;
    }
    let default = [":=", ":-", "=", "-"].into_iter().find_map(|sign| operator.strip_prefix(sign));
    let replaces_empty = operator.starts_with(':');
    let defined = variables.values.get(name).map(|found| found.value.as_ref());
    match (defined, default) {
        (Some(value), Some(_)) if !value.is_empty() || !replaces_empty => Some(value.into()),
        (Some(value), None) if operator.is_empty() => Some(value.into()),
        (None, Some(_)) if variables.others != Others::None => None,
        (_, Some(default)) if !default.contains("${") => Some(default.into()),
        _ => None,
    }
}

fn name_length(text: &str) -> usize {
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { 0 } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn with(variables: &Variables, text: &'static str) -> Option<String> {
        substitute(text, variables).known().map(Cow::into_owned)
    }

    fn defined() -> Variables {
        let mut variables = Variables::complete();
        variables.define("NET", "10.0.0.0/8", Span::new(FileId(0), 0, 1));
        variables.define("EMPTY", "", Span::new(FileId(0), 0, 1));
        variables
    }

    #[test]
    fn what_the_tree_defines_is_put_in_place() {
        let variables = defined();
        assert_eq!(with(&variables, "a-${NET}-b").as_deref(), Some("a-10.0.0.0/8-b"));
        assert_eq!(with(&variables, "${NET:=x}${EMPTY}").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(with(&variables, "${EMPTY:-x}").as_deref(), Some("x"));
        assert_eq!(with(&variables, "${EMPTY-x}").as_deref(), Some(""));
        assert_eq!(with(&variables, "plain $VAR").as_deref(), Some("plain $VAR"));
    }

    #[test]
    fn a_default_counts_only_where_no_other_definition_is_possible() {
        let mut variables = defined();
        assert_eq!(with(&variables, "${X:=127.0.0.1/32}").as_deref(), Some("127.0.0.1/32"));
        variables.may_hold_more();
        assert_eq!(with(&variables, "${X:=127.0.0.1/32}"), None);
        assert_eq!(with(&Variables::unseen(), "${X:-d}"), None);
    }

    #[test]
    fn what_is_not_defined_or_not_understood_is_unknown() {
        let variables = defined();
        for text in
            ["${X}", "${NET^^}", "${self.x}", "${{ github.ref }}", "${NET", "${X:=${NET}}", "${}", "${1}"]
        {
            assert_eq!(with(&variables, text), None, "{text}");
        }
    }

    #[test]
    fn an_escaped_or_disabled_variable_stays_as_it_is_written() {
        assert_eq!(with(&defined(), "$${NET}").as_deref(), Some("${NET}"));
        assert_eq!(with(&Variables::literal(), "${X}").as_deref(), Some("${X}"));
    }

    #[test]
    fn the_names_of_variables_are_found() {
        assert_eq!(Variables::names("${A}-${B:=c}${1}").collect::<Vec<_>>(), ["A", "B"]);
    }
}
