//! Labels of a near miss: a value that no pod has, or a key under which none has it.

use super::{Case, is_near};
use crate::diagnose::{Scene, peer_requirements};
use crate::engine::IdentityId;
use crate::finding::Label;
use crate::label::{NAMESPACE, NAMESPACE_LABELS, k8s_value};
use crate::policy::selector::{Origin, Requirement};
use crate::policy::{PolicyKind, Selector, Subject, injection};
use crate::repair::candidate::{Candidate, Operator};
use crate::repair::words::identifying_labels;
use crate::spelling::slips;
use crate::yaml::Editor;

impl<'s> Case<'_, '_, 's> {
    pub(super) fn subject_label(&self, requirement: &Requirement<'s>) -> Option<Candidate> {
        let Subject::Endpoints(selector) = &self.near.rule.subject else { return None };
        if self.scene.anybody(&injection::subject(self.near.policy, selector)) {
            return None;
        }
        let who = self.subject();
        let text = "this selector matches no known pod";
        Some(Candidate {
            why: format!("the policy selects no pod, so it does not apply to {}", self.name(who)),
            evidence: Some("no known pod matches the selector as it is written".to_owned()),
            ..self.put_label_right(requirement, who, "subject-label", text)?
        })
    }

    pub(super) fn peer_label(
        &self,
        selector: &Selector<'s>,
        requirement: &Requirement<'s>,
    ) -> Option<Candidate> {
        let who = self.peer();
        let dead =
            !self.scene.anybody(&peer_requirements(self.scene, self.near.policy, self.near.rule, selector));
        let near = requirement.values.iter().any(|value| self.is_near(&value.value, requirement, who));
        let slip_in_list = near && requirement.values.len() > 1;
        if !dead && !slip_in_list {
            return None;
        }
        let text = "this peer matches no known pod";
        Some(Candidate {
            why: format!("the rule means other labels than {} has", self.name(who)),
            evidence: Some("no known pod matches the peer as it is written".to_owned()),
            ..self.put_label_right(requirement, who, "peer-label", text)?
        })
    }

    /// One typing slip away, or the observed value with something put on.
    fn is_near(&self, written: &str, requirement: &Requirement<'_>, who: IdentityId) -> bool {
        let Some(observed) = k8s_value(&self.scene.engine.identity(who).labels, &requirement.key) else {
            return false;
        };
        is_near(written, observed)
    }

    /// Corrects the value to the one that the endpoint has, or the key to the
    /// one under which it has the value.
    fn put_label_right(
        &self,
        requirement: &Requirement<'s>,
        who: IdentityId,
        cause: &'static str,
        text: &str,
    ) -> Option<Candidate> {
        let identity = self.scene.engine.identity(who);
        if let Some(observed) = k8s_value(&identity.labels, &requirement.key) {
            let value = self.value_to_replace(requirement, observed)?;
            let blame = Label { span: value.span(), text: text.to_owned() };
            let written = value.text().unwrap_or_default();
            let title = format!("change {} {written} to {observed}", requirement.key);
            let change = Editor::default().replace(value, observed);
            let candidate = self.candidate(Operator::CorrectValue, cause, change, blame)?;
            return Some(Candidate { title, ..candidate });
        }
        let Origin::Label(entry) = requirement.origin else {
            return self.expression_key(requirement, who, cause, text);
        };
        let written = requirement.values.first()?;
        let key = key_with_value(self.scene, who, &written.value)?;
        let prefix =
            if requirement.source == "k8s" && self.near.policy.kind != PolicyKind::Knp { "k8s:" } else { "" };
        let blame = Label { span: entry.key.span(), text: text.to_owned() };
        let change = Editor::default().rename_key(&entry, &format!("{prefix}{key}"));
        let title = format!("change the key {} to {prefix}{key}", requirement.key);
        Some(Candidate { title, ..self.candidate(Operator::CorrectKey, cause, change, blame)? })
    }

    fn expression_key(
        &self,
        requirement: &Requirement<'s>,
        who: IdentityId,
        cause: &'static str,
        text: &str,
    ) -> Option<Candidate> {
        let Origin::Expression(item) = requirement.origin else { return None };
        let key =
            requirement.values.iter().find_map(|value| key_with_value(self.scene, who, &value.value))?;
        let written = item.get("key")?;
        let prefix = if written.text().is_some_and(|own| own.starts_with("k8s:")) { "k8s:" } else { "" };
        let blame = Label { span: written.span(), text: text.to_owned() };
        let change = Editor::default().replace(written, format!("{prefix}{key}"));
        let title = format!("change the key {} to {prefix}{key}", requirement.key);
        Some(Candidate { title, ..self.candidate(Operator::CorrectKey, cause, change, blame)? })
    }

    /// The written value that stands where the observed one should: the only
    /// one, or the one nearest that nobody has.
    pub(super) fn value_to_replace(
        &self,
        requirement: &Requirement<'s>,
        observed: &str,
    ) -> Option<crate::yaml::Value<'s>> {
        match requirement.origin {
            Origin::Label(entry) => Some(entry.value.resolve()),
            Origin::Expression(item) => {
                let values = item.get("values")?;
                let dead = |text: &str| {
                    !self.scene.everybody.iter().any(|&id| {
                        k8s_value(&self.scene.engine.identity(id).labels, &requirement.key) == Some(text)
                    })
                };
                values
                    .items()
                    .map(|item| item.value.resolve())
                    .filter(|value| value.text().is_some_and(|text| dead(&text)))
                    .min_by_key(|value| slips(&value.text().unwrap_or_default(), observed))
            }
            Origin::Injected | Origin::Added => None,
        }
    }
}

/// The key under which an endpoint has this value, the usual ones first.
fn key_with_value(scene: &Scene<'_, '_>, who: IdentityId, value: &str) -> Option<String> {
    let identifying = identifying_labels(scene, who);
    let first = identifying.into_iter().find(|(_, own)| own == value).map(|(key, _)| key);
    first.or_else(|| {
        let labels = &scene.engine.identity(who).labels;
        let fits = |label: &&crate::label::Label| {
            &*label.source == "k8s"
                && &*label.value == value
                && !label.key.starts_with(NAMESPACE_LABELS)
                && &*label.key != NAMESPACE
        };
        labels.iter().find(fits).map(|label| label.key.to_string())
    })
}
