//! New rules in a policy that is there. Peers with the same ports share one; what
//! works only together is one candidate.

use super::super::candidate::{Candidate, Operator};
use super::super::cause::addition_cause;
use super::super::want::{Group, Want, group};
use super::super::words::{self, PeerWords, PortWords, in_pairs};
use super::super::{dns, place};
use super::{Additions, lists, protocol_first};
use crate::finding::{Label, Safety};
use crate::policy::PolicyKind;
use crate::policy::ports::Literal;
use crate::source::FileId;
use crate::yaml::{Change, Datum, Editor, Refusal};

/// A rule to be written.
struct NewRule<'w> {
    group: Group,
    ports: Vec<PortWords>,
    datum: Datum,
    /// The first of the wants that it serves.
    want: &'w Want,
    /// Names matter to it, and no DNS answer of its subject passes the proxy.
    blind: bool,
}

impl NewRule<'_> {
    /// Whether it names hosts whose addresses would never be learned.
    fn must_learn(&self) -> bool {
        self.blind && self.group.peers.iter().any(PeerWords::is_name)
    }

    fn title(&self) -> String {
        let names: Vec<_> = self.group.peers.iter().map(PeerWords::title).collect();
        let ports: Vec<_> = self.ports.iter().map(|port| port.title()).collect();
        let ports = if ports.is_empty() { self.want.packet.to_string() } else { ports.join(", ") };
        format!("add a rule for {} on {ports}", names.join(" and "))
    }
}

impl Additions<'_, '_, '_> {
    /// New elements for all of these wants.
    pub(in crate::repair) fn rules(&self, wants: &[&Want]) -> Vec<Candidate> {
        let rules = group(self.scene, wants).into_iter().filter_map(|group| self.new_rule(group, wants));
        self.bundles(rules.collect()).into_iter().filter_map(|bundle| self.bundle(bundle)).collect()
    }

    fn new_rule<'w>(&self, group: Group, wants: &[&'w Want]) -> Option<NewRule<'w>> {
        let want = wants.iter().copied().find(|want| group.gaps.contains(&want.gap))?;
        let kind = self.policy.kind;
        let first_port = kind == PolicyKind::Knp;
        let protocol_first = self.elements().flat_map(lists).map(protocol_first).next().unwrap_or(first_port);
        let pairs = first_port || self.writes_pairs();
        let ports = if pairs { in_pairs(&group.ports) } else { group.ports.clone() };
        let datum = words::element(
            kind,
            self.side,
            &group.peers,
            &group.packets,
            &ports,
            self.manner(),
            protocol_first,
        )?;
        let names_matter =
            group.peers.iter().any(PeerWords::is_name) || !dns::listed_names(self.rule).is_empty();
        let blind = names_matter && !dns::passes_proxy(self.scene, self.subject(want));
        Some(NewRule { group, ports, datum, want, blind })
    }

    /// What belongs together: all, where their section is still to be made; names,
    /// and the DNS from which their addresses are learned.
    fn bundles<'w>(&self, rules: Vec<NewRule<'w>>) -> Vec<Vec<NewRule<'w>>> {
        if self.section().is_none() {
            return vec![rules];
        }
        let learning = rules.iter().any(NewRule::must_learn);
        let (mut together, apart): (Vec<NewRule<'_>>, Vec<NewRule<'_>>) =
            rules.into_iter().partition(|rule| learning && (rule.group.dns || rule.must_learn()));
        // The finding is about the names; DNS is what they need.
        together.sort_by_key(|rule| rule.group.dns);
        let mut bundles: Vec<Vec<NewRule<'_>>> = apart.into_iter().map(|rule| vec![rule]).collect();
        bundles.push(together);
        bundles
    }

    fn bundle(&self, mut rules: Vec<NewRule<'_>>) -> Option<Candidate> {
        let &NewRule { want, blind, .. } = rules.first()?;
        let mut title: Vec<String> = rules.iter().map(NewRule::title).collect();
        let mut edits: Vec<(FileId, Change)> = Vec::new();
        let mut dns_rule = None;
        let names_wait = blind && !dns::listed_names(self.rule).is_empty();
        if let Some(own) = rules.iter_mut().find(|rule| rule.group.dns && names_wait) {
            // The policy lists names already: their addresses are learned here.
            own.datum = dns::through_proxy(own.datum.clone(), &dns::every_name());
        } else if rules.iter().any(NewRule::must_learn) {
            title.push("send its DNS queries through the proxy".to_owned());
            if let Some(own) = rules.iter_mut().find(|rule| rule.group.dns) {
                own.datum = dns::through_proxy(own.datum.clone(), &dns::every_name());
            } else if let Some(list) = dns::list(self.rule) {
                edits.extend(dns::send_through_proxy(self.policy, list, dns::every_name())?);
            } else {
                dns_rule = Some(dns::rule(self.scene, self.manner(), &dns::every_name())?);
            }
        }
        let cause = addition_cause(self.scene, want, self.rule, None);
        let (changes, blame) = self.insert(&rules, dns_rule, want).ok()?;
        let file = self.policy.value.tree().file;
        edits.extend(changes.into_iter().map(|change| (file, change)));
        let guess = rules.iter().any(|rule| rule.want.is_caller_from_outside());
        let mut candidate = Candidate::new(Operator::AddRule, cause, edits, blame);
        candidate.why = self.why(want);
        candidate.title = title.join(", and ");
        if guess {
            candidate.safety = Safety::Unsafe;
            candidate.evidence = Some(
                "a caller from outside for whom no rule here speaks: whether it is meant to call is a guess"
                    .to_owned(),
            );
        }
        Some(candidate)
    }

    /// Puts rules beside their like, or into a section of their own.
    fn insert(
        &self,
        rules: &[NewRule<'_>],
        dns_rule: Option<Datum>,
        want: &Want,
    ) -> Result<(Vec<Change>, Label), Refusal> {
        let editor = Editor::default();
        let Some(section) = self.section() else {
            let elements = rules.iter().map(|rule| rule.datum.clone()).chain(dns_rule);
            let change =
                editor.insert_entry(self.rule.value, usize::MAX, self.side.as_str(), Datum::seq(elements))?;
            let text = format!("this policy says nothing of {}", self.side);
            return Ok((vec![change], Label { span: self.policy.place(), text }));
        };
        let list = section.entry.value.resolve();
        let index = |rule: &NewRule<'_>| {
            let subject = self.subject(want);
            place::element_index(
                self.scene,
                self.policy.kind,
                section,
                subject,
                &rule.group.peers,
                &rule.ports,
            )
        };
        let mut changes = rules
            .iter()
            .map(|rule| editor.insert_item(list, index(rule), rule.datum.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(dns_rule) = dns_rule {
            changes.push(editor.insert_item(list, usize::MAX, dns_rule)?);
        }
        let text = format!("no rule here admits {} on {}", self.peer_name(want), want.packet);
        Ok((changes, Label { span: section.entry.key.span(), text }))
    }

    /// Whether the file writes DNS ports as two entries and not as `ANY`.
    fn writes_pairs(&self) -> bool {
        let file = self.policy.value.tree().file;
        let policies = self.scene.model.policies.iter().filter(|policy| policy.value.tree().file == file);
        let lists = policies.flat_map(|p| &p.rules).flat_map(|r| &r.sections).flat_map(|s| s.port_lists());
        let mut dns = lists
            .flat_map(|list| &list.ports)
            .filter(|port| port.literal() == Literal::Number(53))
            .peekable();
        dns.peek().is_some() && dns.all(|port| port.protocol.as_ref().is_some_and(|p| p.value != "ANY"))
    }
}
