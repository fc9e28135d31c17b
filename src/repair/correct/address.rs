//! Peers of a near miss that are no selectors: entities, names and addresses.

use super::{Case, is_near};
use crate::finding::Label;
use crate::manifest::Text;
use crate::policy::name::{NameRule, pattern_matches};
use crate::policy::peer::{Addresses, Entity, parse_cidr};
use crate::policy::{Peer, PeerItem};
use crate::repair::candidate::{Candidate, Operator};
use crate::repair::words::entity;
use crate::source::Spanned;
use crate::spelling::slips;
use crate::traffic::Side;
use crate::version::CiliumVersion;
use crate::yaml::Editor;

impl<'s> Case<'_, '_, 's> {
    /// Corrections of peers that are no selectors: entities, names, addresses.
    pub(super) fn other_peer(&self) -> Vec<Candidate> {
        let mut found = Vec::new();
        for item in self.near.element.peers.iter().flat_map(|field| &field.items) {
            match &item.peer {
                Peer::Entity(name) => found.extend(self.entity_value(item, name)),
                Peer::Name(rule) => found.extend(self.name_value(rule)),
                Peer::Addresses(addresses) => found.extend(self.address_value(addresses)),
                _ => {}
            }
        }
        found
    }

    /// An entity that nothing uses gives way to the one that was seen. `host` on
    /// ingress is never used: a node reaches its own pods without a rule.
    fn entity_value(&self, item: &PeerItem<'s>, name: &Spanned<Text<'s>>) -> Option<Candidate> {
        let seen = entity(self.scene.engine.identity(self.peer()))?;
        let written = Entity::parse(&name.value)?;
        let idle = self.side() == Side::Ingress && name.value == "host";
        let mut passed = self.scene.passed_on(self.subject(), self.side()).peekable();
        let spoken = passed.peek().is_some();
        let used = passed.any(|passed| self.scene.engine.is_entity(passed.peer(self.side()), written));
        if !idle && (!spoken || used) {
            return None;
        }
        let blame = Label { span: name.span, text: format!("{} is entity {seen}", self.name(self.peer())) };
        let candidate = self.candidate(
            Operator::SwapPeer,
            "wrong-entity",
            Editor::default().replace(item.value, seen),
            blame,
        )?;
        let evidence = if idle {
            "a node reaches its own pods without a rule, so nothing is lost".to_owned()
        } else {
            format!("of the flows that passed here, none was with entity {}", name.value)
        };
        Some(Candidate {
            why: format!(
                "the rule admits entity {}; {} is entity {seen}",
                name.value,
                self.name(self.peer())
            ),
            title: format!("change the entity {} to {seen}", name.value),
            evidence: Some(evidence),
            ..candidate
        })
    }

    /// A name or pattern in which exactly one label is another, and that nothing used.
    fn name_value(&self, rule: &NameRule<'s>) -> Option<Candidate> {
        let written = rule.text()?;
        let observed = &self.scene.engine.identity(self.peer()).names;
        let version = self.scene.engine.options().version;
        let used = self.scene.passed_on(self.subject(), self.side()).any(|passed| {
            self.scene
                .engine
                .identity(passed.peer(self.side()))
                .names
                .iter()
                .any(|name| rule.matches(name, version))
        });
        let spoken = self.scene.passed_on(self.subject(), self.side()).next().is_some();
        let corrected = observed.iter().find_map(|name| one_label_right(&written.value, name))?;
        let near = is_near(&written.value, &corrected);
        if used
            || !(spoken || near)
            || !observed.iter().any(|name| pattern_matches(&corrected, name, version))
        {
            return None;
        }
        let value = rule.value.get(if rule.name.is_some() { "matchName" } else { "matchPattern" })?;
        let blame = Label { span: written.span, text: "does not cover the name that was called".to_owned() };
        let change = Editor::default().replace(value, corrected.as_str());
        let candidate = self.candidate(Operator::CorrectValue, "fqdn-pattern", change, blame)?;
        Some(Candidate {
            why: format!("the rule names {}; what was called is {}", written.value, observed.join(", ")),
            title: format!("change {} to {corrected}", written.value),
            evidence: Some("no flow that was seen used the name as it is written".to_owned()),
            ..candidate
        })
    }

    /// A prefix in which one number is one slip away from the address.
    fn address_value(&self, addresses: &Addresses<'s>) -> Option<Candidate> {
        let written = addresses.cidr.as_ref()?;
        let ip = self.scene.engine.identity(self.peer()).ip?;
        let net = parse_cidr(&written.value)?;
        let used = self.scene.passed_on(self.subject(), self.side()).any(|passed| {
            self.scene.engine.identity(passed.peer(self.side())).ip.is_some_and(|ip| net.contains(&ip))
        });
        let right = ipnet::IpNet::new(ip, net.prefix_len()).ok()?.trunc();
        let (from, to) = (net.addr().to_string(), right.addr().to_string());
        if used || net.contains(&ip) || net.prefix_len() < 8 || slips(&from, &to) != Some(1) {
            return None;
        }
        let value =
            self.near.element.peers.iter().flat_map(|f| &f.items).find_map(|item| match &item.peer {
                Peer::Addresses(own) if own.cidr.as_ref().is_some_and(|cidr| cidr.span == written.span) => {
                    Some(item.value.get("cidr").unwrap_or(item.value))
                }
                _ => None,
            })?;
        let blame = Label { span: written.span, text: format!("does not hold {ip}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "wrong-cidr",
            Editor::default().replace(value, right.to_string()),
            blame,
        )?;
        Some(Candidate {
            why: format!("{} does not hold {ip}", written.value),
            title: format!("change {} to {right}", written.value),
            evidence: Some(
                "the two differ in one slip, and no flow that was seen used it as it is written".to_owned(),
            ),
            ..candidate
        })
    }
}

/// The written name or pattern with the one label put right in which it and the
/// observed name differ.
fn one_label_right(written: &str, observed: &str) -> Option<String> {
    let (written, observed): (Vec<&str>, Vec<&str>) =
        (written.split('.').collect(), observed.split('.').collect());
    if written.len() != observed.len() {
        return None;
    }
    let covers = |own: &str, name: &str| {
        own.eq_ignore_ascii_case(name)
            || (own.contains('*') && pattern_matches(own, name, CiliumVersion::NEWEST))
    };
    let wrong: Vec<usize> = (0..written.len()).filter(|&i| !covers(written[i], observed[i])).collect();
    let [only] = wrong.as_slice() else { return None };
    if written[*only].contains('*') {
        return None;
    }
    let mut right = written.clone();
    right[*only] = observed[*only];
    Some(right.join("."))
}
