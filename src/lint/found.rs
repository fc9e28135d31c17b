//! What a rule says: a finding whose mend is still a set of changes, so that
//! several mends of one file can be made together.

use crate::finding::{Label, Note, Safety, Severity};
use crate::source::Span;
use crate::yaml::{Change, Editor, Refusal, Sharing};

use super::Rule;

/// For mends of what is wrong wherever it is used: where aliases repeat the
/// node, all of its uses are mended. A mend by which another object of the file
/// is worse off is not made.
pub(in crate::lint) const EVERY_USE: Editor = Editor { sharing: Sharing::Allow };

/// One finding of a rule.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which rule found it.
    pub rule: &'static Rule,
    /// How grave it is here; never graver than the rule.
    pub severity: Severity,
    /// What is wrong, in a sentence without full stop.
    pub title: String,
    /// The place that is blamed.
    pub primary: Label,
    /// The key and the value of the entry that the finding is about, where it
    /// points at one of them only.
    pub entry: Option<(Span, Span)>,
    /// Other places that matter.
    pub related: Vec<Label>,
    /// Why, and what to do.
    pub notes: Vec<Note>,
    /// How to mend it.
    pub mend: Option<Mend>,
}

/// A mend: changes of the file in which the finding is.
#[derive(Debug, Clone)]
pub struct Mend {
    /// What it does, in a few words.
    pub title: String,
    /// How far it may be trusted.
    pub safety: Safety,
    /// The changes; none where the text cannot be edited.
    pub changes: Vec<Change>,
}

/// Where the findings of one rule are put.
pub struct Findings<'f> {
    rule: &'static Rule,
    list: &'f mut Vec<Found>,
}

impl<'f> Findings<'f> {
    /// For the findings of this rule.
    pub fn of(rule: &'static Rule, list: &'f mut Vec<Found>) -> Self {
        Self { rule, list }
    }

    /// Adds a finding: the place, what is wrong there, and a few words for the place.
    pub fn add(&mut self, span: Span, title: impl Into<String>, here: impl Into<String>) -> &mut Found {
        self.list.push(Found {
            rule: self.rule,
            severity: self.rule.severity,
            title: title.into(),
            primary: Label { span, text: here.into() },
            entry: None,
            related: Vec::new(),
            notes: Vec::new(),
            mend: None,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

impl Found {
    /// Says why it is so.
    pub fn why(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(Note { heading: "why", text: text.into() });
        self
    }

    /// Says what can be done where no mend is certain.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(Note { heading: "help", text: text.into() });
        self
    }

    /// Points at another place.
    pub fn also(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Makes it only worth knowing here.
    pub fn as_note(&mut self) -> &mut Self {
        self.severity = Severity::Note;
        self
    }

    /// Offers a mend. Where the text refuses the edit, the mend is described only.
    pub fn mend(
        &mut self,
        safety: Safety,
        title: impl Into<String>,
        changes: impl IntoIterator<Item = Result<Change, Refusal>>,
    ) -> &mut Self {
        let (safety, changes) = match changes.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(changes) => (safety, changes),
            Err(refusal) => {
                self.help(format!("the mend must be made by hand: {refusal}"));
                (Safety::DisplayOnly, Vec::new())
            }
        };
        self.mend = Some(Mend { title: title.into(), safety, changes });
        self
    }
}

/// Words in a row, as a sentence lists them: `a`, `a and b`, `a, b and c`; the
/// rest of a long row is counted.
pub(in crate::lint) fn listed(words: &[String]) -> String {
    const MOST: usize = 4;
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if words.len() <= MOST => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", words[..MOST - 1].join(", "), words.len() - MOST + 1),
    }
}
