//! What stands under `toPorts` and `icmps`: ports, rules for proxies, ICMP types.

use super::decode::{Decoder, read_all};
use super::icmp::Field;
use super::l7::{HttpRule, Layer7, Listener, TlsContext};
use super::ports::Port;
use super::{Action, PortList};
use crate::manifest::Text;
use crate::source::Spanned;
use crate::traffic::{IcmpFamily, Transport};
use crate::yaml::Value;

impl<'s> Decoder<'_, 's> {
    pub(super) fn port_list(&mut self, value: Value<'s>, action: Action) -> PortList<'s> {
        let mut list = PortList { value, list: None, ports: Vec::new(), l7: Layer7::default() };
        for entry in value.entries() {
            let inner = entry.value.resolve();
            match (entry.key.text().as_deref(), action) {
                (Some("ports"), _) => {
                    list.list = Some(inner);
                    let items = self.items(inner, "ports");
                    list.ports = read_all(items, |item| self.port(item));
                }
                (Some("rules"), Action::Allow) if !inner.is_null() => {
                    list.l7.rules = Some(entry);
                    self.l7_rules(inner, &mut list.l7);
                }
                (Some("rules"), Action::Allow) => {}
                (Some("serverNames"), Action::Allow) => {
                    list.l7.server_names = self.strings(inner, "serverNames");
                }
                (Some("listener"), Action::Allow) if !inner.is_null() => {
                    list.l7.listener = Some(Box::new(self.listener(inner)));
                }
                (Some("terminatingTLS"), Action::Allow) if !inner.is_null() => {
                    list.l7.terminating =
                        Some(Box::new(TlsContext { value: inner, content: content(inner) }));
                }
                (Some("originatingTLS"), Action::Allow) if !inner.is_null() => {
                    list.l7.originating =
                        Some(Box::new(TlsContext { value: inner, content: content(inner) }));
                }
                (Some("listener" | "terminatingTLS" | "originatingTLS"), Action::Allow) => {}
                _ => self.unknown_field(entry.key, "an item of toPorts"),
            }
        }
        list
    }

    fn port(&mut self, value: Value<'s>) -> Port<'s> {
        let mut port =
            Port { value, port: None, end: None, protocol: None, default_transports: &Transport::ALL };
        for entry in value.entries() {
            match entry.key.text().as_deref() {
                Some("port") => port.port = self.string(entry.value, "port"),
                Some("endPort") => port.end = self.integer(entry.value, "endPort"),
                Some("protocol") => port.protocol = self.string(entry.value, "protocol"),
                _ => self.unknown_field(entry.key, "a port"),
            }
        }
        port.port.get_or_insert_with(|| Spanned::new(Text::default(), value.span()));
        port
    }

    fn l7_rules(&mut self, value: Value<'s>, l7: &mut Layer7<'s>) {
        for entry in value.entries() {
            let inner = entry.value.resolve();
            if inner.is_null() {
                continue;
            }
            match entry.key.text().as_deref() {
                Some("http") => {
                    l7.http_list = Some(inner);
                    let items = self.items(inner, "http");
                    l7.http = Some(read_all(items, |item| self.http_rule(item)));
                }
                Some("dns") => {
                    l7.dns_list = Some(inner);
                    let items = self.items(inner, "dns");
                    l7.dns = Some(read_all(items, |item| self.name_rule(item)));
                }
                Some("kafka") => l7.kafka = Some(self.items(inner, "kafka").collect()),
                Some("l7proto") => {
                    l7.protocol = self.string(inner, "l7proto").filter(|text| !text.value.is_empty());
                }
                Some("l7") => l7.generic = self.items(inner, "l7").collect(),
                _ => self.unknown_field(entry.key, "rules"),
            }
        }
    }

    fn http_rule(&mut self, value: Value<'s>) -> HttpRule<'s> {
        let mut rule = HttpRule { value, method: None, path: None, host: None, headers: false };
        for entry in value.entries() {
            match entry.key.text().as_deref() {
                Some("method") => rule.method = self.string(entry.value, "method"),
                Some("path") => rule.path = self.string(entry.value, "path"),
                Some("host") => rule.host = self.string(entry.value, "host"),
                Some("headers" | "headerMatches") => rule.headers |= !entry.value.is_null(),
                _ => self.unknown_field(entry.key, "an HTTP rule"),
            }
        }
        rule
    }

    fn listener(&mut self, value: Value<'s>) -> Listener<'s> {
        let part = |keys: &[&str]| value.path(keys).and_then(|v| v.text()).unwrap_or_default();
        let title = format!("{}/{}", part(&["envoyConfig", "name"]), part(&["name"]));
        Listener {
            value,
            config_kind: value.path(&["envoyConfig", "kind"]).and_then(|kind| self.text(kind)),
            title,
            priority: value.get("priority").and_then(|v| self.integer(v, "priority")).map_or(0, |p| p.value),
        }
    }

    pub(super) fn icmp_fields(&mut self, value: Value<'s>) -> Vec<Field<'s>> {
        let mut fields = Vec::new();
        for item in self.items(value, "icmps") {
            for entry in item.entries() {
                if entry.key.text().as_deref() != Some("fields") {
                    self.unknown_field(entry.key, "an item of icmps");
                    continue;
                }
                for field in self.items(entry.value.resolve(), "fields") {
                    fields.push(self.icmp_field(field));
                }
            }
        }
        fields
    }

    fn icmp_field(&mut self, value: Value<'s>) -> Field<'s> {
        let mut field = Field { value, family: Some(IcmpFamily::V4), kind: None };
        for entry in value.entries() {
            match entry.key.text().as_deref() {
                Some("type") => field.kind = self.text(entry.value),
                Some("family") => {
                    field.family = match entry.value.text().as_deref() {
                        None | Some("" | "IPv4") => Some(IcmpFamily::V4),
                        Some("IPv6") => Some(IcmpFamily::V6),
                        Some(_) => None,
                    }
                }
                _ => self.unknown_field(entry.key, "a field of icmps"),
            }
        }
        field
    }
}

/// The content of a small mapping, without comments and layout.
fn content(value: Value<'_>) -> String {
    if value.is_mapping() {
        let mut parts: Vec<String> = value
            .entries()
            .map(|entry| {
                format!("{}: {}", entry.key.text().unwrap_or_default(), content(entry.value.resolve()))
            })
            .collect();
        parts.sort();
        format!("{{{}}}", parts.join(", "))
    } else if value.is_sequence() {
        let parts: Vec<String> = value.items().map(|item| content(item.value.resolve())).collect();
        format!("[{}]", parts.join(", "))
    } else {
        format!("{:?}", value.text().unwrap_or_default())
    }
}
