//! Several fixes laid over each other. Each fix is made for the files as they
//! were read; one that wants bytes which another fix has already changed is
//! refused, so that the text is never a mixture that nobody proved.

use std::collections::BTreeMap;

use crate::finding::{FileChange, Finding, Fix};
use crate::report::Run;
use crate::source::Splice;

/// Why a fix was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: another fix changes the same place as \"{title}\"; apply the first and run policyfix again")]
pub struct Conflict {
    /// The file that both change.
    pub file: String,
    /// The fix that is left out.
    pub title: String,
}

/// Files with fixes in them, in the order of their names.
#[derive(Debug, Default)]
pub struct Merge {
    files: BTreeMap<String, Merged>,
}

/// A file from its text as read to its text with all fixes.
#[derive(Debug, Clone)]
struct Merged {
    change: FileChange,
    /// The splices so far; `None` after a fix that was made for the text with earlier fixes in it.
    splices: Option<Vec<Splice>>,
}

impl Merge {
    /// Lays over each other all fixes that the run offers, and says which had to be left out.
    pub fn of(findings: &[Finding], run: &Run) -> (Self, Vec<Conflict>) {
        let mut merge = Self::default();
        let fixes = findings.iter().filter_map(|finding| run.offered(finding));
        let conflicts = fixes.filter_map(|fix| merge.add(fix).err()).collect();
        (merge, conflicts)
    }

    /// Adds a fix: the step that it makes of each file, from the text with all
    /// earlier fixes to the text with this one too. Files that have it already
    /// make no step.
    ///
    /// # Errors
    /// When the fix wants bytes that another one changed. Then nothing of it is added.
    pub fn add(&mut self, fix: &Fix) -> Result<Vec<FileChange>, Conflict> {
        let mut next = Vec::new();
        let mut steps = Vec::new();
        for change in &fix.files {
            let conflict = || Conflict { file: change.name.clone(), title: fix.title.clone() };
            let merged = match self.files.get(&change.name) {
                None => Merged { change: change.clone(), splices: Some(splices(change)) },
                Some(merged) => merged.with(change).ok_or_else(conflict)?,
            };
            let before = self.files.get(&change.name).map_or(&change.before, |merged| &merged.change.after);
            if *before != merged.change.after || !self.files.contains_key(&change.name) {
                let (before, after) = (before.clone(), merged.change.after.clone());
                steps.push(FileChange { before, after, edits: Vec::new(), ..change.clone() });
            }
            next.push(merged);
        }
        self.files.extend(next.into_iter().map(|merged| (merged.change.name.clone(), merged)));
        Ok(steps)
    }

    /// The files with all fixes.
    pub fn into_files(self) -> Vec<FileChange> {
        self.files.into_values().map(|merged| merged.change).collect()
    }
}

impl Merged {
    /// The file with one more change, where that can be.
    fn with(&self, change: &FileChange) -> Option<Self> {
        let known = &self.change;
        if change.after == known.after {
            return Some(self.clone());
        }
        let is_known = change.file.is_some();
        if is_known
            && change.before == known.before
            && let Some(so_far) = &self.splices
        {
            let splices = laid_over(so_far, splices(change))?;
            let after = applied(&known.before, &splices)?;
            let change = FileChange { after, edits: splices.clone(), ..known.clone() };
            return Some(Self { change, splices: Some(splices) });
        }
        // A fix made for the text with the earlier fixes in it.
        let follows = is_known && change.before == known.after;
        let change = FileChange { after: change.after.clone(), edits: Vec::new(), ..known.clone() };
        follows.then_some(Self { change, splices: None })
    }
}

/// The splices of a change; one for all of the text where it does not name them.
pub(super) fn splices(change: &FileChange) -> Vec<Splice> {
    if change.edits.is_empty() && change.before != change.after {
        return vec![Splice { range: 0..change.before.len(), text: change.after.clone() }];
    }
    change.edits.clone()
}

/// Both lists in one, sorted; `None` where they want the same bytes. The same
/// splice twice is one, and two insertions at one byte cannot be told which comes first.
fn laid_over(so_far: &[Splice], more: Vec<Splice>) -> Option<Vec<Splice>> {
    let mut all = so_far.to_vec();
    all.extend(more.into_iter().filter(|splice| !so_far.contains(splice)));
    all.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let apart = |pair: &[Splice]| match pair {
        [a, b] => a.range.end <= b.range.start && a.range != b.range,
        _ => true,
    };
    all.windows(2).all(apart).then_some(all)
}

fn applied(text: &str, splices: &[Splice]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for splice in splices {
        out.push_str(text.get(at..splice.range.start)?);
        out.push_str(&splice.text);
        at = splice.range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::finding::Safety;
    use crate::source::FileId;

    const TEXT: &str = "a: 1\nb: 2\nc: 3\n";

    fn fix(edits: &[(Range<usize>, &str)]) -> Fix {
        let edits: Vec<Splice> =
            edits.iter().map(|(range, text)| Splice { range: range.clone(), text: (*text).into() }).collect();
        fix_of(TEXT, &applied(TEXT, &edits).unwrap(), edits)
    }

    fn fix_of(before: &str, after: &str, edits: Vec<Splice>) -> Fix {
        let change = FileChange {
            file: Some(FileId(0)),
            path: "a.yaml".into(),
            name: "a.yaml".into(),
            before: before.into(),
            after: after.into(),
            edits,
        };
        Fix { title: "mend".into(), safety: Safety::Safe, files: vec![change] }
    }

    fn new_file(text: &str) -> Fix {
        let mut fix = fix_of("", text, Vec::new());
        fix.files[0].file = None;
        fix
    }

    fn texts(steps: &[FileChange]) -> Vec<(&str, &str)> {
        steps.iter().map(|step| (step.before.as_str(), step.after.as_str())).collect()
    }

    #[test]
    fn each_step_starts_where_the_one_before_ended() {
        let mut merge = Merge::default();
        let first = merge.add(&fix(&[(13..14, "30")])).unwrap();
        let second = merge.add(&fix(&[(3..4, "10")])).unwrap();
        assert_eq!(texts(&first), [(TEXT, "a: 1\nb: 2\nc: 30\n")]);
        assert_eq!(texts(&second), [("a: 1\nb: 2\nc: 30\n", "a: 10\nb: 2\nc: 30\n")]);
        assert_eq!(texts(&merge.into_files()), [(TEXT, "a: 10\nb: 2\nc: 30\n")]);
    }

    #[test]
    fn the_same_change_twice_is_made_once() {
        let mut merge = Merge::default();
        merge.add(&fix(&[(5..5, "x: 0\n")])).unwrap();
        assert_eq!(merge.add(&fix(&[(5..5, "x: 0\n")])).unwrap(), []);
        merge.add(&fix(&[(5..5, "x: 0\n"), (13..14, "30")])).unwrap();
        assert_eq!(texts(&merge.into_files()), [(TEXT, "a: 1\nx: 0\nb: 2\nc: 30\n")]);
    }

    #[test]
    fn two_fixes_never_change_the_same_bytes() {
        let mut merge = Merge::default();
        merge.add(&fix(&[(3..4, "10"), (10..10, "x: 0\n")])).unwrap();
        for other in [(3..4, "11"), (0..5, ""), (10..10, "y: 0\n"), (8..12, "")] {
            let conflict = merge.add(&fix(&[other, (13..14, "30")])).unwrap_err();
            assert_eq!(conflict.file, "a.yaml");
        }
        // Nothing of the refused fixes was added.
        assert_eq!(texts(&merge.into_files()), [(TEXT, "a: 10\nb: 2\nx: 0\nc: 3\n")]);
    }

    #[test]
    fn a_fix_may_be_made_for_the_text_with_earlier_fixes() {
        let mut merge = Merge::default();
        merge.add(&fix(&[(3..4, "10")])).unwrap();
        let steps = merge.add(&fix_of("a: 10\nb: 2\nc: 3\n", "a: 10\nc: 3\n", Vec::new())).unwrap();
        assert_eq!(texts(&steps), [("a: 10\nb: 2\nc: 3\n", "a: 10\nc: 3\n")]);
        assert!(merge.add(&fix(&[(13..14, "30")])).is_err());
        assert_eq!(texts(&merge.into_files()), [(TEXT, "a: 10\nc: 3\n")]);
    }

    #[test]
    fn a_new_file_is_made_once() {
        let mut merge = Merge::default();
        assert_eq!(merge.add(&new_file("a: 1\n")).unwrap().len(), 1);
        assert_eq!(merge.add(&new_file("a: 1\n")).unwrap().len(), 0);
        assert!(merge.add(&new_file("a: 2\n")).is_err());
        assert_eq!(merge.into_files()[0].file, None);
    }
}
