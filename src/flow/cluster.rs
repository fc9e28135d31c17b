//! Whose log it is: the cluster whose agents wrote the flows. Peers without a
//! cluster mean the local one from 1.19 on (`semantics.md` 2.5), so its name counts.

use super::{Flow, Outcome};
use crate::label::{CLUSTER, k8s_value};
use crate::traffic::Side;

impl Flow {
    /// The cluster in which policy decided this flow, where it says so: the end
    /// whose policy was asked lives there, and its labels name its cluster.
    pub fn decided_in(&self) -> Option<&str> {
        let own = match self.side.filter(|_| matches!(self.outcome, Outcome::Denied(_) | Outcome::Audited))? {
            Side::Egress => &self.source,
            Side::Ingress => &self.destination,
        };
        k8s_value(&own.labels, CLUSTER)
    }
}

/// The cluster in which policy decided all of these flows, as far as they say;
/// `None` where they say nothing, or name two.
pub fn local_cluster<'f>(flows: impl IntoIterator<Item = &'f Flow>) -> Option<&'f str> {
    let mut names = flows.into_iter().filter_map(Flow::decided_in);
    let first = names.next()?;
    names.all(|name| name == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flow::{Denial, Endpoint};
    use crate::label::Label;
    use crate::traffic::{Packet, Transport};

    fn flow(source: &str, destination: &str, side: Side) -> Flow {
        let end = |cluster: &str| {
            Arc::new(Endpoint { labels: vec![Label::k8s(CLUSTER, cluster)], ..Endpoint::default() })
        };
        Flow {
            source: end(source),
            destination: end(destination),
            packet: Packet::Port(Transport::Tcp, 80),
            source_port: None,
            outcome: Outcome::Denied(Denial::Default),
            side: Some(side),
            request: None,
            denied_by: Vec::new(),
            reply: false,
        }
    }

    #[test]
    fn the_end_whose_policy_was_asked_names_the_cluster() {
        let flows = [flow("west", "east", Side::Ingress), flow("east", "west", Side::Egress)];
        assert_eq!(local_cluster(&flows), Some("east"));
    }

    #[test]
    fn nothing_is_taken_from_logs_that_say_two_things_or_none() {
        let two = [flow("west", "east", Side::Ingress), flow("west", "east", Side::Egress)];
        assert_eq!(local_cluster(&two), None);
        let passed = Flow { outcome: Outcome::Forwarded, ..flow("west", "east", Side::Ingress) };
        assert_eq!(local_cluster(&[passed]), None);
    }
}
