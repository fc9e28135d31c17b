//! Reasons for which Cilium drops packets: code, name in Hubble, text in
//! `hubble observe` and `cilium-dbg monitor` (`flow-formats.md` 1.4).

use super::{Denial, Outcome};

/// The name that stands for "no reason".
pub(crate) const UNKNOWN: &str = "DROP_REASON_UNKNOWN";

/// Our name for a request that a proxy failed on: Hubble's verdict `ERROR`.
pub(crate) const PROXY_ERROR: &str = "PROXY_ERROR";

/// One reason.
struct Reason {
    code: u16,
    name: &'static str,
    text: &'static str,
}

const fn reason(code: u16, name: &'static str, text: &'static str) -> Reason {
    Reason { code, name, text }
}

/// All reasons, by code.
const REASONS: &[Reason] = &[
    reason(130, "INVALID_SOURCE_MAC", "Invalid source mac"),
    reason(131, "INVALID_DESTINATION_MAC", "Invalid destination mac"),
    reason(132, "INVALID_SOURCE_IP", "Invalid source ip"),
    reason(133, "POLICY_DENIED", "Policy denied"),
    reason(134, "INVALID_PACKET_DROPPED", "Invalid packet"),
    reason(135, "CT_TRUNCATED_OR_INVALID_HEADER", "CT: Truncated or invalid header"),
    reason(136, "CT_MISSING_TCP_ACK_FLAG", "Fragmentation needed"),
    reason(137, "CT_UNKNOWN_L4_PROTOCOL", "CT: Unknown L4 protocol"),
    reason(138, "CT_CANNOT_CREATE_ENTRY_FROM_PACKET", "CT: Can't create entry from packet"),
    reason(139, "UNSUPPORTED_L3_PROTOCOL", "Unsupported L3 protocol"),
    reason(140, "MISSED_TAIL_CALL", "Missed tail call"),
    reason(141, "ERROR_WRITING_TO_PACKET", "Error writing to packet"),
    reason(142, "UNKNOWN_L4_PROTOCOL", "Unknown L4 protocol"),
    reason(143, "UNKNOWN_ICMPV4_CODE", "Unknown ICMPv4 code"),
    reason(144, "UNKNOWN_ICMPV4_TYPE", "Unknown ICMPv4 type"),
    reason(145, "UNKNOWN_ICMPV6_CODE", "Unknown ICMPv6 code"),
    reason(146, "UNKNOWN_ICMPV6_TYPE", "Unknown ICMPv6 type"),
    reason(147, "ERROR_RETRIEVING_TUNNEL_KEY", "Error retrieving tunnel key"),
    reason(148, "ERROR_RETRIEVING_TUNNEL_OPTIONS", "Error retrieving tunnel options"),
    reason(149, "INVALID_GENEVE_OPTION", "Invalid Geneve option"),
    reason(150, "UNKNOWN_L3_TARGET_ADDRESS", "Unknown L3 target address"),
    reason(151, "STALE_OR_UNROUTABLE_IP", "Stale or unroutable IP"),
    reason(152, "NO_MATCHING_LOCAL_CONTAINER_FOUND", "No matching local container found"),
    reason(153, "ERROR_WHILE_CORRECTING_L3_CHECKSUM", "Error while correcting L3 checksum"),
    reason(154, "ERROR_WHILE_CORRECTING_L4_CHECKSUM", "Error while correcting L4 checksum"),
    reason(155, "CT_MAP_INSERTION_FAILED", "CT: Map insertion failed"),
    reason(156, "INVALID_IPV6_EXTENSION_HEADER", "Invalid IPv6 extension header"),
    reason(157, "IP_FRAGMENTATION_NOT_SUPPORTED", "IP fragmentation not supported"),
    reason(158, "SERVICE_BACKEND_NOT_FOUND", "Service backend not found"),
    reason(160, "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT", "No tunnel/encapsulation endpoint (datapath BUG!)"),
    reason(161, "FAILED_TO_INSERT_INTO_PROXYMAP", "Failed to insert into proxymap"),
    reason(162, "REACHED_EDT_RATE_LIMITING_DROP_HORIZON", "Reached EDT rate-limiting drop horizon"),
    reason(163, "UNKNOWN_CONNECTION_TRACKING_STATE", "Unknown connection tracking state"),
    reason(164, "LOCAL_HOST_IS_UNREACHABLE", "Local host is unreachable"),
    reason(
        165,
        "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION",
        "No configuration available to perform policy decision",
    ),
    reason(166, "UNSUPPORTED_L2_PROTOCOL", "Unsupported L2 protocol"),
    reason(167, "NO_MAPPING_FOR_NAT_MASQUERADE", "No mapping for NAT masquerade"),
    reason(168, "UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE", "Unsupported protocol for NAT masquerade"),
    reason(169, "FIB_LOOKUP_FAILED", "FIB lookup failed"),
    reason(170, "ENCAPSULATION_TRAFFIC_IS_PROHIBITED", "Encapsulation traffic is prohibited"),
    reason(171, "INVALID_IDENTITY", "Invalid identity"),
    reason(172, "UNKNOWN_SENDER", "Unknown sender"),
    reason(173, "NAT_NOT_NEEDED", "NAT not needed"),
    reason(174, "IS_A_CLUSTERIP", "Is a ClusterIP"),
    reason(175, "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND", "First logical datagram fragment not found"),
    reason(176, "FORBIDDEN_ICMPV6_MESSAGE", "Forbidden ICMPv6 message"),
    reason(177, "DENIED_BY_LB_SRC_RANGE_CHECK", "Denied by LB src range check"),
    reason(178, "SOCKET_LOOKUP_FAILED", "Socket lookup failed"),
    reason(179, "SOCKET_ASSIGN_FAILED", "Socket assign failed"),
    reason(
        180,
        "PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL",
        "Proxy redirection not supported for protocol",
    ),
    reason(181, "POLICY_DENY", "Policy denied by denylist"),
    reason(182, "VLAN_FILTERED", "VLAN traffic disallowed by VLAN filter"),
    reason(183, "INVALID_VNI", "Incorrect VNI from VTEP"),
    reason(184, "INVALID_TC_BUFFER", "Failed to update or lookup TC buffer"),
    reason(185, "NO_SID", "No SID was found for the IP address"),
    reason(186, "MISSING_SRV6_STATE", "SRv6 state was removed during tail call"),
    reason(187, "NAT46", "L3 translation from IPv4 to IPv6 failed (NAT46)"),
    reason(188, "NAT64", "L3 translation from IPv6 to IPv4 failed (NAT64)"),
    reason(189, "AUTH_REQUIRED", "Authentication required"),
    reason(190, "CT_NO_MAP_FOUND", "No conntrack map found"),
    reason(191, "SNAT_NO_MAP_FOUND", "No nat map found"),
    reason(192, "INVALID_CLUSTER_ID", "Invalid ClusterID"),
    reason(193, "UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP", "Unsupported packet protocol for DSR encapsulation"),
    reason(194, "NO_EGRESS_GATEWAY", "No egress gateway found"),
    reason(195, "UNENCRYPTED_TRAFFIC", "Traffic is unencrypted"),
    reason(196, "TTL_EXCEEDED", "TTL exceeded"),
    reason(197, "NO_NODE_ID", "No node ID found"),
    reason(198, "DROP_RATE_LIMITED", "Rate limited"),
    reason(199, "IGMP_HANDLED", "IGMP handled"),
    reason(200, "IGMP_SUBSCRIBED", "IGMP subscribed"),
    reason(201, "MULTICAST_HANDLED", "Multicast handled"),
    reason(202, "DROP_HOST_NOT_READY", "Host datapath not ready"),
    reason(203, "DROP_EP_NOT_READY", "Endpoint policy program not available"),
    reason(204, "DROP_NO_EGRESS_IP", "No Egress IP configured"),
    reason(205, "DROP_PUNT_PROXY", "Punt to proxy"),
];

/// What a drop for the reason of this name means. Only three reasons are
/// decisions of policy; two of their names differ by two letters.
pub(crate) fn outcome(name: &str) -> Outcome {
    match name {
        "POLICY_DENIED" => Outcome::Denied(Denial::Default),
        "POLICY_DENY" => Outcome::Denied(Denial::Rule),
        "AUTH_REQUIRED" => Outcome::Denied(Denial::Authentication),
        _ => Outcome::NotPolicy(name.into()),
    }
}

/// What a drop with this code means; a code that we do not know is its own name.
pub(crate) fn outcome_of_code(code: u64) -> Outcome {
    match REASONS.iter().find(|reason| u64::from(reason.code) == code) {
        Some(reason) => outcome(reason.name),
        None => Outcome::NotPolicy(code.to_string().into()),
    }
}

/// The name of a reason that is given as text, in the words of any version.
pub(crate) fn name_of_text(text: &str) -> Option<&'static str> {
    if matches!(text, "Policy denied (L3)" | "Policy denied (L4)" | "Policy denied (CIDR)") {
        return Some("POLICY_DENIED");
    }
    REASONS.iter().find(|reason| reason.text.eq_ignore_ascii_case(text)).map(|reason| reason.name)
}

/// What a drop means whose reason is given as text: `Policy denied`, `n, 0`
/// for a code without text, or `Reason, n` with an extended error.
pub(crate) fn outcome_of_text(text: &str) -> Outcome {
    let text = text.trim();
    if let Some(name) = name_of_text(text) {
        return outcome(name);
    }
    match text.rsplit_once(", ") {
        Some((code, _)) if code.parse::<u64>().is_ok() => outcome_of_code(code.parse().unwrap_or_default()),
        Some((text, error)) if error.parse::<i64>().is_ok() => outcome_of_text(text),
        _ => Outcome::NotPolicy(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_reasons_are_policys_and_no_other() {
        let policys: Vec<&str> = REASONS
            .iter()
            .filter(|reason| matches!(outcome(reason.name), Outcome::Denied(_)))
            .map(|reason| reason.name)
            .collect();
        assert_eq!(policys, ["POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED"]);
        assert_eq!(outcome_of_code(181), Outcome::Denied(Denial::Rule));
        assert_eq!(outcome_of_code(999), Outcome::NotPolicy("999".into()));
    }

    #[test]
    fn old_texts_mean_what_they_meant_then() {
        assert_eq!(name_of_text("Policy denied (L4)"), Some("POLICY_DENIED"));
        assert_eq!(name_of_text("Policy denied by denylist"), Some("POLICY_DENY"));
        assert_eq!(name_of_text("Sunspots"), None);
    }
}
