//! The verdict itself (`semantics.md` 3.1): deny beats allow, an allow beats
//! default deny, and nothing is ordered.

use super::compiled::{CompiledElement, CompiledRule};
use super::identity::Classes;
use super::truth::Truth;
use super::{ElementPlace, Enforcement, Engine, IdentityId, Overlay, Subject, l7};
use crate::policy::Action;
use crate::traffic::{Packet, Side};
use crate::version::CiliumVersion;

/// What becomes of a flow on its two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// At the source.
    pub egress: SideVerdict,
    /// At the destination.
    pub ingress: SideVerdict,
}

impl Judgement {
    /// The verdict of one side.
    pub fn on(&self, side: Side) -> SideVerdict {
        match side {
            Side::Egress => self.egress,
            Side::Ingress => self.ingress,
        }
    }

    /// Whether the flow passes on both sides for certain.
    pub fn passes(&self) -> bool {
        self.egress.passes() && self.ingress.passes()
    }
}

/// What one side says of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideVerdict {
    /// An element allows it.
    Allowed {
        /// Which one.
        by: ElementPlace,
        /// It goes through a proxy, which may still refuse the request (3.8).
        proxied: bool,
    },
    /// Nothing is enforced on this side: no policy speaks of it.
    NotEnforced,
    /// The node reaches its own pods whatever policy says (3.1).
    LocalHost,
    /// That side has no policy of its own: an address outside, another node …
    NotHere,
    /// Nothing allows it.
    Denied,
    /// A deny element matches.
    DeniedByRule(ElementPlace),
    /// It hangs on something unknown.
    Undecided(Unknown),
    /// The endpoint's policy cannot be computed; its last working one stays in force.
    Broken(&'static str),
}

/// What an undecided verdict hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The labels of an end are not known.
    Labels(IdentityId),
    /// An element that may or may not match.
    Element(ElementPlace),
    /// A rule that may or may not be about the endpoint.
    Rule {
        /// Which policy.
        policy: u32,
        /// Which of its rules.
        rule: u32,
    },
}

impl SideVerdict {
    /// Whether the packet passes on this side, for certain.
    pub fn passes(self) -> bool {
        matches!(self, Self::Allowed { .. } | Self::NotEnforced | Self::LocalHost | Self::NotHere)
    }

    /// Whether it is dropped on this side, for certain.
    pub fn drops(self) -> bool {
        matches!(self, Self::Denied | Self::DeniedByRule(_))
    }

    /// The word for it in JSON output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed { .. } | Self::NotEnforced | Self::LocalHost => "allow",
            Self::NotHere => "n/a",
            Self::Denied => "deny",
            Self::DeniedByRule(_) => "deny-rule",
            Self::Undecided(_) => "undecided",
            Self::Broken(_) => "error",
        }
    }
}

/// What the elements of one side add up to.
#[derive(Default)]
struct Found {
    enforced: Option<Truth>,
    default_deny: Option<Truth>,
    allow: Option<(Truth, ElementPlace)>,
    deny: Option<(Truth, ElementPlace)>,
    proxied: bool,
    unsure_rule: Option<(u32, u32)>,
    /// A rule that may allow or deny what is not written in it: allow, deny.
    anything: [Option<(u32, u32)>; 2],
}

impl Engine {
    /// Judges a flow on both sides.
    pub fn judge(&self, source: IdentityId, destination: IdentityId, packet: Packet) -> Judgement {
        self.judge_with(None, source, destination, packet)
    }

    /// Judges a flow as if the tree had been edited.
    pub fn judge_with(
        &self,
        overlay: Option<&Overlay>,
        source: IdentityId,
        destination: IdentityId,
        packet: Packet,
    ) -> Judgement {
        Judgement {
            egress: self.side(overlay, source, destination, Side::Egress, packet),
            ingress: self.side(overlay, destination, source, Side::Ingress, packet),
        }
    }

    /// Whether anything is enforced on a side of an endpoint with default deny.
    pub fn isolates(&self, overlay: Option<&Overlay>, subject: IdentityId, side: Side) -> bool {
        let subject = self.at(subject);
        match self.options.enforcement {
            Enforcement::Always => return true,
            Enforcement::Never => return false,
            Enforcement::Default => {}
        }
        self.rules_about(overlay, subject)
            .any(|(_, _, truth, rule)| truth == Truth::Yes && rule.sides[side as usize].default_deny)
    }

    /// Judges one side: `subject` is the endpoint whose policy is asked.
    pub fn side(
        &self,
        overlay: Option<&Overlay>,
        subject: IdentityId,
        peer: IdentityId,
        side: Side,
        packet: Packet,
    ) -> SideVerdict {
        let (subject_id, peer_id) = (subject, peer);
        let (subject, peer) = (self.at(subject), self.at(peer));
        let classes = subject.known.classes;
        if !subject.has_labels {
            return SideVerdict::Undecided(Unknown::Labels(subject_id));
        }
        if classes.has(Classes::HOST) || classes.has(Classes::HOST_KEY) {
            return SideVerdict::NotEnforced;
        }
        if !classes.has_policy() {
            return SideVerdict::NotHere;
        }
        if self.options.enforcement == Enforcement::Never {
            return SideVerdict::NotEnforced;
        }
        if let Some(why) = self.contradiction(overlay, subject) {
            return SideVerdict::Broken(why);
        }
        let found = self.gather(overlay, subject, peer, side, packet);
        self.decide(found, subject, peer, peer_id, side)
    }

    fn decide(
        &self,
        found: Found,
        subject: &Subject,
        peer: &Subject,
        peer_id: IdentityId,
        side: Side,
    ) -> SideVerdict {
        let always =
            self.options.enforcement == Enforcement::Always || subject.known.classes.has(Classes::INIT_KEY);
        let speaks = found.enforced.unwrap_or(Truth::No);
        let enforced = if always { Truth::Yes } else { speaks };
        let default_deny = if always { Truth::Yes } else { found.default_deny.unwrap_or(Truth::No) };
        if enforced == Truth::No {
            return SideVerdict::NotEnforced;
        }
        if !peer.has_labels {
            return SideVerdict::Undecided(Unknown::Labels(peer_id));
        }
        match found.deny {
            Some((Truth::Yes, place)) => return SideVerdict::DeniedByRule(place),
            Some((_, place)) => return SideVerdict::Undecided(Unknown::Element(place)),
            None => {}
        }
        let [may_allow, may_deny] =
            found.anything.map(|rule| rule.map(|(policy, rule)| Unknown::Rule { policy, rule }));
        if let Some(unknown) = may_deny {
            return SideVerdict::Undecided(unknown);
        }
        let allow = match found.allow {
            Some((Truth::Yes, by)) => return SideVerdict::Allowed { by, proxied: found.proxied },
            allow => allow,
        };
        // From 1.20 the local host is no exception where nothing speaks of ingress.
        let host_passes = speaks != Truth::No || self.options.version < CiliumVersion::V1_20;
        if side == Side::Ingress && peer.known.classes.has(Classes::HOST) && host_passes {
            return SideVerdict::LocalHost;
        }
        match (default_deny, allow, found.unsure_rule) {
            (Truth::No, ..) => SideVerdict::NotEnforced,
            _ if may_allow.is_some() => may_allow.map_or(SideVerdict::Denied, SideVerdict::Undecided),
            (_, Some((_, place)), _) => SideVerdict::Undecided(Unknown::Element(place)),
            (Truth::Maybe, None, Some((policy, rule))) => {
                SideVerdict::Undecided(Unknown::Rule { policy, rule })
            }
            _ => SideVerdict::Denied,
        }
    }

    /// Looks at every element of every rule that is about the subject.
    fn gather(
        &self,
        overlay: Option<&Overlay>,
        subject: &Subject,
        peer: &Subject,
        side: Side,
        packet: Packet,
    ) -> Found {
        let mut found = Found::default();
        let required = self.required(overlay, subject, peer, side);
        for (policy, number, about, rule) in self.rules_about(overlay, subject) {
            let rule = &rule.sides[side as usize];
            if !rule.speaks {
                continue;
            }
            if about == Truth::Maybe {
                found.unsure_rule.get_or_insert((policy, number));
            }
            let certain = about.and(rule.certainty(Action::Allow));
            found.enforced = found.enforced.max(Some(certain));
            if rule.default_deny {
                found.default_deny = found.default_deny.max(Some(certain));
            }
            for (slot, is_unsure) in found.anything.iter_mut().zip(rule.unsure) {
                if is_unsure {
                    slot.get_or_insert((policy, number));
                }
            }
            for element in &rule.elements {
                let slot = match element.action {
                    Action::Allow => &mut found.allow,
                    Action::Deny => &mut found.deny,
                };
                let settled = slot.is_some_and(|(truth, _)| truth == Truth::Yes);
                // A proxy beside a plain allow still gets the traffic (3.8).
                if settled && (found.proxied || element.l7.is_empty()) {
                    continue;
                }
                let (ports, proxied) = self.ports_match(element, subject, peer, side, packet);
                if ports == Truth::No {
                    continue;
                }
                let required = required.as_ref().map_or(Truth::Yes, |r| r.on(element));
                let truth = ports.and(self.peers_match(element, peer, required));
                let truth = truth.and(about).and(rule.certainty(element.action));
                if truth == Truth::Yes && element.action == Action::Allow {
                    found.proxied |= proxied;
                }
                if truth > slot.map_or(Truth::No, |(truth, _)| truth) {
                    *slot = Some((truth, element.place));
                }
            }
            // An explicit deny ends the matter.
            if found.deny.is_some_and(|(truth, _)| truth == Truth::Yes) {
                break;
            }
        }
        found
    }

    pub(super) fn at(&self, id: IdentityId) -> &Subject {
        &self.identities[id.0 as usize]
    }

    /// The rules about an endpoint: policy, number, certainty, rule.
    pub(super) fn rules_about<'e>(
        &'e self,
        overlay: Option<&'e Overlay>,
        subject: &'e Subject,
    ) -> impl Iterator<Item = (u32, u32, Truth, &'e CompiledRule)> + Clone {
        let own = subject
            .rules
            .iter()
            .filter(move |(policy, ..)| overlay.is_none_or(|overlay| !overlay.removed.contains(policy)))
            .map(|&(policy, rule, truth)| {
                (policy, rule, truth, &self.policies[policy as usize].rules[rule as usize])
            });
        let first = self.policies.len() as u32;
        let added = overlay
            .into_iter()
            .flat_map(|overlay| overlay.rules_about(subject.id))
            .map(move |(policy, number, truth, rule)| (first + policy, number, truth, rule));
        own.chain(added)
    }

    fn contradiction(&self, overlay: Option<&Overlay>, subject: &Subject) -> Option<&'static str> {
        match overlay {
            None => subject.contradiction,
            Some(_) => l7::contradiction(self.rules_about(overlay, subject).map(|(.., rule)| rule)),
        }
    }

    /// What `fromRequires` of all rules adds to every endpoint peer (3.9).
    fn required(
        &self,
        overlay: Option<&Overlay>,
        subject: &Subject,
        peer: &Subject,
        side: Side,
    ) -> Option<Required> {
        if self.options.version >= CiliumVersion::V1_19 {
            return None;
        }
        let mut required = Required { allow: Truth::Yes, deny: Truth::Yes };
        for (.., rule) in self.rules_about(overlay, subject) {
            for (action, matcher) in &rule.sides[side as usize].requires {
                let truth = matcher.matches(&peer.known);
                match action {
                    Action::Allow => required.allow = required.allow.and(truth),
                    Action::Deny => required.deny = required.deny.and(truth),
                }
            }
        }
        Some(required)
    }
}

/// What `fromRequires` demands of the peer, for allow and for deny elements.
struct Required {
    allow: Truth,
    deny: Truth,
}

impl Required {
    fn on(&self, element: &CompiledElement) -> Truth {
        match element.action {
            Action::Allow => self.allow,
            Action::Deny => self.deny,
        }
    }
}
