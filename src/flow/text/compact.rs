//! `hubble observe`, compact: its default output (`flow-formats.md` 2.1, 2.5).

use std::sync::LazyLock;

use regex::Regex;

use super::host::{Host, Identity};
use super::observed::Observed;
use super::{Clock, Told};

static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?P<time>N/A|[A-Z][a-z]{2} [ 0-9]?[0-9] \d{2}:\d{2}:\d{2}\.\d{3}",
        r"|[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}",
        r"|\d{4}-\d{2}-\d{2}(?:T[0-9:.]*(?:Z|[+-]\d{2}:?\d{2})?)?)",
        r"(?: \[(?P<node>[^\]]*)\])?: ",
        r"(?P<a>\S*)(?: \((?P<aid>[^()]*)\))? (?P<arrow>->|<-|<>) (?P<b>\S*)(?: \((?P<bid>[^()]*)\))? ",
        r"(?P<kind>.+?) (?P<verdict>VERDICT_UNKNOWN|FORWARDED|DROPPED|ERROR|AUDIT|AUDITED|REDIRECTED|TRACED",
        r"|TRANSLATED|ALLOWED|DENIED)(?: BY (?P<by>.+?\)))? \((?P<summary>.*)\)$",
    ))
    .ok()
});

/// Reads a line; `None` if it is not of this format.
pub(crate) fn read(line: &str, clock: Clock) -> Option<Told> {
    let found = LINE.as_ref()?.captures(line)?;
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    let host = |name, identity| Host::read(part(name), Identity::read(part(identity)));
    let (left, right) = match (host("a", "aid"), host("b", "bid")) {
        (Ok(left), Ok(right)) => (left, right),
        (Err(why), _) | (_, Err(why)) => return Some(Told::Broken(why)),
    };
    let is_reply = part("arrow") == "<-";
    // The client is printed on the left, also of the packets that it is sent.
    let (source, destination) = if is_reply { (right, left) } else { (left, right) };
    let observed = Observed {
        time: clock.read(part("time")),
        source,
        destination,
        kind: part("kind"),
        verdict: part("verdict"),
        by: part("by"),
        summary: part("summary"),
        reply: (part("arrow") != "<>").then_some(is_reply),
        tells_verdicts: found.name("aid").is_some() || found.name("bid").is_some(),
    };
    Some(observed.record().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Denial, Event, Outcome, Record, Request};
    use crate::traffic::{IcmpFamily, Packet, Side, Transport};

    fn record(line: &str) -> Record {
        match read(line, Clock("2026-06-01T00:00:00Z".parse().unwrap())) {
            Some(Told::Record(record)) => *record,
            _ => panic!("no record: {line}"),
        }
    }

    #[test]
    fn the_expression_compiles() {
        assert!(LINE.is_some());
    }

    #[test]
    fn a_denied_verdict_and_its_drop_say_the_same_flow() {
        let verdict = record(
            "May  3 10:11:12.131: shop/cart-0:41000 (ID:3000) <> pay/gate-7f-x2:8443 (ID:3001) policy-verdict:none INGRESS DENIED (TCP Flags: SYN)",
        );
        assert_eq!(verdict.flow.outcome, Outcome::Denied(Denial::Default));
        assert_eq!((verdict.flow.side, verdict.event), (Some(Side::Ingress), Event::Verdict));
        assert_eq!(verdict.flow.packet, Packet::Port(Transport::Tcp, 8443));
        assert_eq!(verdict.time.unwrap().to_string(), "2026-05-03T10:11:12.131Z");
        let drop = record(
            "May  3 10:11:12.131 [n1]: shop/cart-0:41000 (ID:3000) <> pay/gate-7f-x2:8443 (ID:3001) Policy denied DROPPED (TCP Flags: SYN)",
        );
        assert_eq!((drop.event, drop.flow.side), (Event::Drop, None));
        assert_eq!(drop.flow.source, verdict.flow.source);
    }

    #[test]
    fn a_match_on_a_denial_is_a_deny_rule_or_authentication() {
        let line = |kind: &str, tail: &str| {
            record(&format!(
                "May  3 10:11:12.131: a/b:1 (ID:300) <> c/d:2 (ID:301) policy-verdict:{kind} EGRESS DENIED{tail}"
            ))
        };
        let rule = line("L3-Only", " BY no-way (CiliumNetworkPolicy) (UDP)");
        assert_eq!(rule.flow.outcome, Outcome::Denied(Denial::Rule));
        assert_eq!(rule.flow.denied_by[0].name.as_ref(), "no-way");
        let auth = line("L3-L4", " (TCP Flags: SYN; Auth: SPIRE)");
        assert_eq!(auth.flow.outcome, Outcome::Denied(Denial::Authentication));
    }

    #[test]
    fn the_arrow_of_an_answer_turns_the_ends_round() {
        let answer = record(
            "May  3 10:11:12.131: a/client:40000 (ID:300) <- b/dns:53 (ID:301) dns-response proxy FORWARDED (DNS Answer \"192.0.2.1,192.0.2.2\" TTL: 30 (Proxy www.example.org. A))",
        );
        assert_eq!(answer.flow.source.pod.as_deref(), Some("dns"));
        assert!(answer.flow.reply);
        assert_eq!(answer.answers.len(), 2);
        assert_eq!(answer.answers[1].1.as_ref(), "www.example.org");
    }

    #[test]
    fn a_refused_request_is_a_denial_of_the_request() {
        let http = record(
            "May  3 10:11:12.131: a/b:46000 (ID:300) -> c/d:80 (ID:301) http-request DROPPED (HTTP/1.1 PUT http://d.c/v1/x)",
        );
        assert_eq!(http.flow.outcome, Outcome::Denied(Denial::Request));
        assert_eq!(http.flow.request, Some(Request::http("PUT", "http://d.c/v1/x")));
        let dns = record(
            "May  3 10:11:12.131: a/b:46000 (ID:300) -> c/d:53 (ID:301) dns-request proxy DROPPED (DNS Query www.example.org. A)",
        );
        assert_eq!(dns.flow.request, Some(Request::dns("www.example.org")));
        assert_eq!(dns.flow.side, Some(Side::Egress));
    }

    #[test]
    fn old_printers_tell_neither_identities_nor_verdicts() {
        let line =
            "May  3 10:11:12.131: 10.1.2.3:43006 <> shop/cart:8087(x) Policy denied DROPPED (TCP Flags: SYN)";
        assert_eq!(record(line).event, Event::Unstated);
    }

    #[test]
    fn icmp_has_types_and_no_ports() {
        let line = "May  3 10:11:12.131: a/b (ID:300) <> c/d (ID:301) policy-verdict:none INGRESS DENIED (ICMPv4 EchoRequest)";
        assert_eq!(record(line).flow.packet, Packet::Icmp(IcmpFamily::V4, 8));
    }
}
