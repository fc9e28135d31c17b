//! `xx drop (…)`: a packet that was dropped (`flow-formats.md` 3.1).

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::connection::Connection;
use super::part;
use crate::flow::reason;
use crate::flow::record::Event;
use crate::flow::text::Told;
use crate::flow::text::host::Identity;
use crate::traffic::Side;

pub(super) static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^xx drop \((?P<reason>.+?)\)(?: flow 0x(?P<hash>[0-9a-f]+))? to endpoint (?P<endpoint>\d+)",
        r"(?:, ifindex (?P<ifindex>\d+))?(?:, file (?P<file>[^,]+?))?,(?: ,)? ",
        r"identity (?P<source>[^ ]+?)->(?P<destination>[^ :]+): ?(?P<connection>.*)$",
    ))
    .ok()
});

pub(super) fn told(found: &Captures<'_>) -> Result<Told, String> {
    let connection = Connection::read(part(found, "connection"), None)?;
    let (source, destination) =
        (Identity::read(part(found, "source")), Identity::read(part(found, "destination")));
    // An endpoint of 0 is no proof of egress.
    let side = (part(found, "endpoint") != "0").then_some(Side::Ingress);
    let outcome = reason::outcome_of_text(part(found, "reason"));
    connection.told([source, destination], outcome, side, Event::Drop)
}
