//! `Policy verdict log:`: what one side decided (`flow-formats.md` 3.2).

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::connection::Connection;
use super::part;
use crate::flow::record::Event;
use crate::flow::text::Told;
use crate::flow::text::host::Identity;
use crate::flow::{Denial, Outcome};
use crate::traffic::Side;

pub(super) static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^Policy verdict log: flow 0x(?P<hash>[0-9a-f]+) local EP ID (?P<endpoint>\d+), ",
        r"remote ID (?P<remote>[^,]+)(?:, dst port (?P<port>\d+))?, proto (?P<protocol>\d+), ",
        r"(?P<direction>ingress true|ingress false|ingress|egress), action (?P<action>allow|deny|redirect|audit)",
        r"(?:, auth: (?P<auth>[^,]+))?, match (?P<match>[^,]+), (?P<connection>.*)$",
    ))
    .ok()
});

pub(super) fn told(found: &Captures<'_>) -> Result<Told, String> {
    let protocol = part(found, "protocol").parse().ok();
    let connection = Connection::read(part(found, "connection"), protocol)?;
    let remote = Identity::read(part(found, "remote"));
    let side = match part(found, "direction") {
        "ingress" | "ingress true" => Side::Ingress,
        _ => Side::Egress,
    };
    let identities = match side {
        Side::Ingress => [remote, Identity::default()],
        Side::Egress => [Identity::default(), remote],
    };
    let outcome = match (part(found, "action"), part(found, "match"), part(found, "auth")) {
        ("allow" | "redirect", ..) => Outcome::Forwarded,
        ("audit", ..) => Outcome::Audited,
        (_, "none", _) => Outcome::Denied(Denial::Default),
        (_, _, "" | "disabled") => Outcome::Denied(Denial::Rule),
        _ => Outcome::Denied(Denial::Authentication),
    };
    connection.told(identities, outcome, Some(side), Event::Verdict)
}
