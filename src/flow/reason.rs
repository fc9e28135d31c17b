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
    /// What it means, and what to look at.
    meaning: &'static str,
}

const fn reason(code: u16, name: &'static str, text: &'static str, meaning: &'static str) -> Reason {
    Reason { code, name, text, meaning }
}

/// All reasons, by code.
#[rustfmt::skip]
const REASONS: &[Reason] = &[
    reason(130, "INVALID_SOURCE_MAC", "Invalid source mac",
        "the packet has a source MAC that is not its endpoint's: look for a pod that forges frames or a stale interface"),
    reason(131, "INVALID_DESTINATION_MAC", "Invalid destination mac",
        "the packet was sent to a MAC that is not its endpoint's: look for stale neighbour entries, e.g. after a node was replaced"),
    reason(132, "INVALID_SOURCE_IP", "Invalid source ip",
        "the packet has a source address that is not its pod's; for IPv6 it is mostly link-local chatter and harmless: look at pods that send with addresses of their own"),
    reason(133, "POLICY_DENIED", "Policy denied",
        "no rule allows it on a side where policy is enforced"),
    reason(134, "INVALID_PACKET_DROPPED", "Invalid packet",
        "the packet is malformed: look at the network interface's offloads and at the sender"),
    reason(135, "CT_TRUNCATED_OR_INVALID_HEADER", "CT: Truncated or invalid header",
        "the transport header is cut short: look at the MTU along the path and at the sender"),
    reason(136, "CT_MISSING_TCP_ACK_FLAG", "Fragmentation needed",
        "the packet is larger than the path takes, or its TCP flags fit no connection: look at the MTU of tunnel and interfaces"),
    reason(137, "CT_UNKNOWN_L4_PROTOCOL", "CT: Unknown L4 protocol",
        "connection tracking knows TCP, UDP, SCTP and ICMP only: this protocol cannot pass a pod with policy"),
    reason(138, "CT_CANNOT_CREATE_ENTRY_FROM_PACKET", "CT: Can't create entry from packet",
        "connection tracking could not make an entry of the packet: look at `cilium-dbg bpf ct list global` and the map's size"),
    reason(139, "UNSUPPORTED_L3_PROTOCOL", "Unsupported L3 protocol",
        "the packet is neither IPv4 nor IPv6, or IPv6 is off in Cilium; router solicitations to ff02::2 are harmless"),
    reason(140, "MISSED_TAIL_CALL", "Missed tail call",
        "a program of the datapath was being replaced; passing while an agent restarts, else look at the agent's log"),
    reason(141, "ERROR_WRITING_TO_PACKET", "Error writing to packet",
        "the datapath could not rewrite the packet: report it with the kernel's version"),
    reason(142, "UNKNOWN_L4_PROTOCOL", "Unknown L4 protocol",
        "the transport protocol is not one that Cilium forwards: look at what the sender speaks"),
    reason(143, "UNKNOWN_ICMPV4_CODE", "Unknown ICMPv4 code",
        "an ICMP message with a code that Cilium does not answer: harmless mostly"),
    reason(144, "UNKNOWN_ICMPV4_TYPE", "Unknown ICMPv4 type",
        "an ICMP message of a type that Cilium does not answer: harmless mostly"),
    reason(145, "UNKNOWN_ICMPV6_CODE", "Unknown ICMPv6 code",
        "an ICMPv6 message with a code that Cilium does not answer: harmless mostly"),
    reason(146, "UNKNOWN_ICMPV6_TYPE", "Unknown ICMPv6 type",
        "an ICMPv6 message of a type that Cilium does not answer: harmless mostly"),
    reason(147, "ERROR_RETRIEVING_TUNNEL_KEY", "Error retrieving tunnel key",
        "the tunnel's header could not be read: look at the tunnel protocol, which must be the same on all nodes"),
    reason(148, "ERROR_RETRIEVING_TUNNEL_OPTIONS", "Error retrieving tunnel options",
        "the tunnel's options could not be read: look at the tunnel protocol, which must be the same on all nodes"),
    reason(149, "INVALID_GENEVE_OPTION", "Invalid Geneve option",
        "the Geneve option is not one of Cilium's: look for another sender on the tunnel's port"),
    reason(150, "UNKNOWN_L3_TARGET_ADDRESS", "Unknown L3 target address",
        "no endpoint or route is known for the address: look whether the pod is gone and DNS or the client still names it"),
    reason(151, "STALE_OR_UNROUTABLE_IP", "Stale or unroutable IP",
        "the address belonged to something that is gone: look whether the client holds on to an old pod's address"),
    reason(152, "NO_MATCHING_LOCAL_CONTAINER_FOUND", "No matching local container found",
        "no pod of this node has the address: look whether the pod is gone"),
    reason(153, "ERROR_WHILE_CORRECTING_L3_CHECKSUM", "Error while correcting L3 checksum",
        "the datapath could not correct the IP checksum: report it with the kernel's version"),
    reason(154, "ERROR_WHILE_CORRECTING_L4_CHECKSUM", "Error while correcting L4 checksum",
        "the datapath could not correct the transport checksum: report it with the kernel's version"),
    reason(155, "CT_MAP_INSERTION_FAILED", "CT: Map insertion failed",
        "the table of connections is full or was being replaced: look at `cilium-dbg bpf ct list global` and `bpf-ct-global-tcp-max`"),
    reason(156, "INVALID_IPV6_EXTENSION_HEADER", "Invalid IPv6 extension header",
        "the IPv6 extension headers are not ones that Cilium takes: look at the sender"),
    reason(157, "IP_FRAGMENTATION_NOT_SUPPORTED", "IP fragmentation not supported",
        "the packet is a fragment and tracking of fragments is off: look at the MTU, or turn on `enable-ipv4-fragment-tracking`"),
    reason(158, "SERVICE_BACKEND_NOT_FOUND", "Service backend not found",
        "the Service has no ready backend: look at the endpoints of the Service and the readiness of its pods"),
    reason(160, "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT", "No tunnel/encapsulation endpoint (datapath BUG!)",
        "no tunnel leads to the node of the destination: look at `cilium-dbg bpf tunnel list` and whether the node is known"),
    reason(161, "FAILED_TO_INSERT_INTO_PROXYMAP", "Failed to insert into proxymap",
        "the table of the proxy is full, or NAT46x64 is off: look at the agent's log"),
    reason(162, "REACHED_EDT_RATE_LIMITING_DROP_HORIZON", "Reached EDT rate-limiting drop horizon",
        "the packet came too late for its bandwidth limit: look at the annotation `kubernetes.io/egress-bandwidth` of the pod"),
    reason(163, "UNKNOWN_CONNECTION_TRACKING_STATE", "Unknown connection tracking state",
        "the packet fits no connection in a known state: look whether the path is asymmetric"),
    reason(164, "LOCAL_HOST_IS_UNREACHABLE", "Local host is unreachable",
        "the node's own stack does not answer: look at the routes and the firewall of the node"),
    reason(165, "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION", "No configuration available to perform policy decision",
        "the endpoint's policy was not loaded yet: passing while a pod starts, else look at `cilium-dbg endpoint list`"),
    reason(166, "UNSUPPORTED_L2_PROTOCOL", "Unsupported L2 protocol",
        "the frame is not Ethernet with IP or ARP: harmless mostly"),
    reason(167, "NO_MAPPING_FOR_NAT_MASQUERADE", "No mapping for NAT masquerade",
        "masquerading has no free port or entry: look at `bpf-nat-global-max` and at clients that open very many connections"),
    reason(168, "UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE", "Unsupported protocol for NAT masquerade",
        "masquerading knows TCP, UDP and ICMP only: this protocol cannot leave the cluster masqueraded"),
    reason(169, "FIB_LOOKUP_FAILED", "FIB lookup failed",
        "the kernel has no route or neighbour for the destination: look at `ip route get` on the node"),
    reason(170, "ENCAPSULATION_TRAFFIC_IS_PROHIBITED", "Encapsulation traffic is prohibited",
        "a pod sent tunnel traffic of its own, which Cilium forbids: look at what runs in that pod"),
    reason(171, "INVALID_IDENTITY", "Invalid identity",
        "the identity in the packet is not one that may arrive there: look at clocks and versions of both nodes, and at ClusterMesh"),
    reason(172, "UNKNOWN_SENDER", "Unknown sender",
        "the sender is not known to this node: look whether the node or cluster has just joined"),
    reason(173, "NAT_NOT_NEEDED", "NAT not needed",
        "the packet needs no translation: internal, harmless"),
    reason(174, "IS_A_CLUSTERIP", "Is a ClusterIP",
        "a ClusterIP was asked from outside, where it does not exist: use a LoadBalancer, NodePort or Ingress"),
    reason(175, "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND", "First logical datagram fragment not found",
        "a later fragment came without its first: look at the MTU and at packet loss"),
    reason(176, "FORBIDDEN_ICMPV6_MESSAGE", "Forbidden ICMPv6 message",
        "an ICMPv6 message that pods may not send: harmless mostly"),
    reason(177, "DENIED_BY_LB_SRC_RANGE_CHECK", "Denied by LB src range check",
        "the client is not in the Service's `loadBalancerSourceRanges`: change that list, not a policy"),
    reason(178, "SOCKET_LOOKUP_FAILED", "Socket lookup failed",
        "no local socket was found for the packet: look at the proxy in the agent's log"),
    reason(179, "SOCKET_ASSIGN_FAILED", "Socket assign failed",
        "the packet could not be given to the proxy's socket: look at the proxy in the agent's log"),
    reason(180, "PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL", "Proxy redirection not supported for protocol",
        "a rule with layer 7 parts was applied to a protocol that has no proxy: take `rules` off for that port"),
    reason(181, "POLICY_DENY", "Policy denied by denylist",
        "a deny rule matches it; no allow rule helps"),
    reason(182, "VLAN_FILTERED", "VLAN traffic disallowed by VLAN filter",
        "the packet has a VLAN tag that is not allowed: look at `vlan-bpf-bypass`"),
    reason(183, "INVALID_VNI", "Incorrect VNI from VTEP",
        "the VTEP sent another VNI than expected: look at the VTEP configuration"),
    reason(184, "INVALID_TC_BUFFER", "Failed to update or lookup TC buffer",
        "a buffer of the datapath could not be used: report it with the kernel's version"),
    reason(185, "NO_SID", "No SID was found for the IP address",
        "no SRv6 segment is known for the address: look at the SRv6 configuration"),
    reason(186, "MISSING_SRV6_STATE", "SRv6 state was removed during tail call",
        "SRv6 state was lost between programs: report it with the kernel's version"),
    reason(187, "NAT46", "L3 translation from IPv4 to IPv6 failed (NAT46)",
        "an IPv4 packet could not be translated to IPv6: look at the NAT46x64 gateway"),
    reason(188, "NAT64", "L3 translation from IPv6 to IPv4 failed (NAT64)",
        "an IPv6 packet could not be translated to IPv4: look at the NAT46x64 gateway"),
    reason(189, "AUTH_REQUIRED", "Authentication required",
        "a rule allows it after mutual authentication, which had not succeeded yet"),
    reason(190, "CT_NO_MAP_FOUND", "No conntrack map found",
        "the table of connections is not there: passing while an agent restarts, else look at its log"),
    reason(191, "SNAT_NO_MAP_FOUND", "No nat map found",
        "the table of translations is not there: passing while an agent restarts, else look at its log"),
    reason(192, "INVALID_CLUSTER_ID", "Invalid ClusterID",
        "the number of the cluster is not one that may be used: look at ClusterMesh"),
    reason(193, "UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP", "Unsupported packet protocol for DSR encapsulation",
        "direct server return cannot carry this protocol: look at `loadBalancer.mode`"),
    reason(194, "NO_EGRESS_GATEWAY", "No egress gateway found",
        "an egress gateway policy has no gateway node: look at the node selector of the CiliumEgressGatewayPolicy"),
    reason(195, "UNENCRYPTED_TRAFFIC", "Traffic is unencrypted",
        "strict encryption is on and the packet was not encrypted: look at WireGuard on both nodes"),
    reason(196, "TTL_EXCEEDED", "TTL exceeded",
        "the packet went round in circles or too far: look at the routes"),
    reason(197, "NO_NODE_ID", "No node ID found",
        "the node of the destination has no number yet: passing while a node joins"),
    reason(198, "DROP_RATE_LIMITED", "Rate limited",
        "a rate limit for such packets was reached: look at who sends so many"),
    reason(199, "IGMP_HANDLED", "IGMP handled",
        "an IGMP message was answered: harmless"),
    reason(200, "IGMP_SUBSCRIBED", "IGMP subscribed",
        "a multicast subscription was noted: harmless"),
    reason(201, "MULTICAST_HANDLED", "Multicast handled",
        "a multicast packet was delivered: harmless"),
    reason(202, "DROP_HOST_NOT_READY", "Host datapath not ready",
        "the node's datapath was not ready: passing while an agent starts"),
    reason(203, "DROP_EP_NOT_READY", "Endpoint policy program not available",
        "the endpoint's program was not ready: passing while a pod or agent starts"),
    reason(204, "DROP_NO_EGRESS_IP", "No Egress IP configured",
        "an egress gateway has no address on its node: look at `egressIP` or the interface of the CiliumEgressGatewayPolicy"),
    reason(205, "DROP_PUNT_PROXY", "Punt to proxy",
        "the packet went to the proxy through the node's stack: internal, harmless"),
];

/// What a drop for the reason of this name means and what to look at, in one
/// sentence without full stop. Names as [`super::Outcome::NotPolicy`] carries them.
pub fn explain(name: &str) -> &'static str {
    match REASONS.iter().find(|reason| reason.name == name) {
        Some(reason) => reason.meaning,
        None if name == PROXY_ERROR => {
            "the proxy failed on the request, which is no decision of policy: look at its errors in the agent's log"
        }
        None => "a reason that this program does not know: look it up in Cilium's `pkg/monitor/api/drop.go`",
    }
}

/// What a drop for the reason of this name means. Only three reasons are
/// decisions of policy; two of their names differ by two letters.
pub(crate) fn outcome(name: &str) -> Outcome {
    match name {
        "POLICY_DENIED" => Outcome::Denied(Denial::Default),
        "POLICY_DENY" => Outcome::Denied(Denial::Rule),
        "AUTH_REQUIRED" => Outcome::Denied(Denial::Authentication),
        "" | UNKNOWN => Outcome::Denied(Denial::Unstated),
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
        _ => outcome(text),
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
    fn each_reason_is_explained_in_one_sentence() {
        for (reason, next) in REASONS.iter().zip(&REASONS[1..]) {
            assert!(reason.code < next.code);
        }
        for reason in REASONS {
            assert!(reason.meaning.len() > 20 && !reason.meaning.ends_with('.'), "{}", reason.name);
        }
        assert!(explain("SERVICE_BACKEND_NOT_FOUND").contains("endpoints of the Service"));
        assert!(explain("SUNSPOTS").contains("does not know"));
    }

    #[test]
    fn old_texts_mean_what_they_meant_then() {
        assert_eq!(name_of_text("Policy denied (L4)"), Some("POLICY_DENIED"));
        assert_eq!(name_of_text("Policy denied by denylist"), Some("POLICY_DENY"));
        assert_eq!(name_of_text("Sunspots"), None);
        assert_eq!(outcome_of_text(" "), Outcome::Denied(Denial::Unstated));
    }
}
