//! What the agent has against rules for proxies (V8, V30 to V48).

use super::go_regex::translated;
use super::l7::Layer7;
use super::ports::{Literal, Port};
use super::refuse::Check;
use super::{Fault, PortList, Rule, Section, Subject, is_unknown};
use crate::source::Span;
use crate::traffic::{Side, Transport};
use crate::version::CiliumVersion;

impl<'s> Check<'_, 's> {
    pub(super) fn layer7(&mut self, rule: &Rule<'s>, section: &Section<'s>, list: &PortList<'s>) {
        let l7 = &list.l7;
        let place = l7.place().unwrap_or_else(|| list.value.span());
        self.l7_protocols(rule, section, list, place);
        self.l7_rule_texts(l7);
        if l7.protocol.is_none() && !l7.generic.is_empty() {
            self.fail("V37", place, "l7 needs l7proto");
        }
        let kinds = [l7.http.is_some(), l7.kafka.is_some(), l7.dns.is_some(), l7.protocol.is_some()];
        if l7.has_rules() && kinds.into_iter().filter(|&written| written).count() > 1 {
            self.fail("V38", place, "rules takes one of http, kafka, dns and l7proto");
        }
        if let Some(name) = l7.server_names.iter().find(|name| name.value.is_empty()) {
            self.fail("V45", name.span, "a server name is empty");
        }
        if !l7.server_names.is_empty() && l7.has_rules() && l7.terminating.is_none() {
            self.fail("V46", place, "serverNames with L7 rules needs terminatingTLS");
        }
        if let Some(listener) = &l7.listener {
            if section.side == Side::Ingress {
                self.fail("V47", listener.value.span(), "a listener works on egress only");
            }
            if l7.has_rules() {
                self.fail("V48", listener.value.span(), "a listener and L7 rules cannot stand together");
            }
        }
        if self.version >= CiliumVersion::V1_20
            && (l7.kafka.is_some() || l7.protocol.is_some() || !l7.generic.is_empty())
        {
            self.fail(
                "V49",
                place,
                "Cilium 1.20 has no Kafka and no generic L7 rules: the object is refused",
            );
        }
    }

    fn l7_protocols(&mut self, rule: &Rule<'s>, section: &Section<'s>, list: &PortList<'s>, place: Span) {
        let l7 = &list.l7;
        let dns = l7.dns.as_ref().is_some_and(|rules| !rules.is_empty());
        if dns && section.side == Side::Ingress {
            self.fail("V31", place, "DNS rules work on egress only");
        }
        if dns && list.ports.is_empty() {
            self.fail("V35", place, "DNS rules need ports");
        }
        if dns && self.version >= CiliumVersion::V1_17 && list.ports.iter().any(ends_later) {
            self.fail("V36", place, "DNS rules take no range of ports");
        }
        if dns && matches!(rule.subject, Subject::Nodes(_)) && self.version < CiliumVersion::V1_17 {
            self.fail("V32", place, "the host firewall has DNS rules from Cilium 1.17 on");
        }
        if !l7.has_rules() || dns {
            return;
        }
        for port in &list.ports {
            if port.transports() != Some(&[Transport::Tcp][..]) {
                self.fail("V33", port.value.span(), "L7 rules need protocol TCP, written out");
            }
            if port.literal() == Literal::Number(0) {
                self.fail("V34", port.value.span(), "L7 rules need a port");
            }
        }
    }

    fn l7_rule_texts(&mut self, l7: &Layer7<'s>) {
        for rule in l7.dns.iter().flatten() {
            self.name_characters(rule);
            // The agent takes both here; the API server looks since 1.16.
            if rule.name.is_some() && rule.pattern.is_some() && self.version >= CiliumVersion::V1_16 {
                let message = "matchName and matchPattern cannot stand in one item";
                self.faults.push(Fault::api_server("V24", rule.value.span(), message));
            }
        }
        for rule in l7.http.iter().flatten() {
            for text in [&rule.path, &rule.method].into_iter().flatten() {
                if !is_unknown(&text.value) && translated(&text.value).is_none() {
                    self.fail("V39", text.span, format!("{:?} is no regular expression", text.value));
                }
            }
        }
        for rule in l7.kafka.iter().flatten() {
            self.kafka(*rule);
        }
        for rule in &l7.generic {
            if let Some(entry) =
                rule.entries().find(|entry| entry.key.text().is_some_and(|key| key.is_empty()))
            {
                self.fail("V44", entry.span, "a rule of l7 has an empty key");
            }
        }
    }

    fn kafka(&mut self, rule: crate::yaml::Value<'s>) {
        let text = |key| rule.get(key).and_then(|v| v.text()).filter(|text| !text.is_empty());
        let span = rule.span();
        let (role, key) = (text("role"), text("apiKey"));
        if role.is_some() && key.is_some() {
            self.fail("V41", span, "role and apiKey cannot stand together");
        }
        if let Some(key) = key.filter(|key| !KAFKA_KEYS.contains(&key.to_ascii_lowercase().as_str())) {
            self.fail("V42", span, format!("Kafka has no apiKey {key:?}"));
        }
        let role_is_wrong =
            role.is_some_and(|role| !["produce", "consume"].contains(&role.to_ascii_lowercase().as_str()));
        let version_is_wrong = text("apiVersion")
            .is_some_and(|v| !v.bytes().all(|b| b.is_ascii_digit()) || v.parse::<i16>().is_err());
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '\\');
        let topic_is_wrong =
            text("topic").is_some_and(|topic| topic.len() > 255 || !topic.chars().all(allowed));
        if role_is_wrong || version_is_wrong || topic_is_wrong {
            self.fail("V43", span, "a Kafka rule has a role, apiVersion or topic that Kafka does not know");
        }
    }
}

fn ends_later(port: &Port<'_>) -> bool {
    match (port.literal(), &port.end) {
        (Literal::Number(number), Some(end)) => end.value > i64::from(number),
        _ => false,
    }
}

const KAFKA_KEYS: [&str; 34] = [
    "produce",
    "fetch",
    "offsets",
    "metadata",
    "leaderandisr",
    "stopreplica",
    "updatemetadata",
    "controlledshutdown",
    "offsetcommit",
    "offsetfetch",
    "findcoordinator",
    "joingroup",
    "heartbeat",
    "leavegroup",
    "syncgroup",
    "describegroups",
    "listgroups",
    "saslhandshake",
    "apiversions",
    "createtopics",
    "deletetopics",
    "deleterecords",
    "initproducerid",
    "offsetforleaderepoch",
    "addpartitionstotxn",
    "addoffsetstotxn",
    "endtxn",
    "writetxnmarkers",
    "txnoffsetcommit",
    "describeacls",
    "createacls",
    "deleteacls",
    "describeconfigs",
    "alterconfigs",
];
