//! The pages of `policyfix explain`: what a finding means, how Cilium decides,
//! an example, the mend, and when it is something else. One page an id, in the
//! order in which people meet them (`causes.md` 2.2).

use crate::spelling;

/// One page.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The id of the finding, as messages print it in brackets.
    pub id: &'static str,
    /// What the finding says, in one line.
    pub title: &'static str,
    /// The page, in Markdown.
    pub text: &'static str,
}

impl Page {
    const fn new(id: &'static str, title: &'static str, text: &'static str) -> Self {
        Self { id, title, text }
    }
}

/// Every page; the order is that of lists shown to people.
pub const PAGES: &[Page] = &[
    Page::new(
        "other-side-missing",
        "one side allows the flow, the other does not",
        include_str!("other-side-missing.md"),
    ),
    Page::new("peer-missing", "no rule names this peer", include_str!("peer-missing.md")),
    Page::new(
        "external-host-missing",
        "no rule names this host outside the cluster",
        include_str!("external-host-missing.md"),
    ),
    Page::new("dns-not-allowed", "the cluster's DNS is not allowed", include_str!("dns-not-allowed.md")),
    Page::new("dns-port", "the DNS pods listen on another port than 53", include_str!("dns-port.md")),
    Page::new(
        "fqdn-without-dns-rule",
        "a rule names the host, but Cilium never learns its address",
        include_str!("fqdn-without-dns-rule.md"),
    ),
    Page::new(
        "fqdn-pattern",
        "the name in the rule does not cover the name that was called",
        include_str!("fqdn-pattern.md"),
    ),
    Page::new(
        "service-port",
        "the rule has the Service's port, policy wants the pod's",
        include_str!("service-port.md"),
    ),
    Page::new("wrong-port", "a rule names the peer, but on another port", include_str!("wrong-port.md")),
    Page::new(
        "wrong-protocol",
        "a rule names peer and port, but another protocol",
        include_str!("wrong-protocol.md"),
    ),
    Page::new(
        "port-range-too-short",
        "the port lies outside the rule's range",
        include_str!("port-range-too-short.md"),
    ),
    Page::new(
        "named-port",
        "the rule's port name stands for no port, or for another",
        include_str!("named-port.md"),
    ),
    Page::new(
        "peer-label",
        "a label in the peer selector does not match the peer",
        include_str!("peer-label.md"),
    ),
    Page::new(
        "subject-label",
        "endpointSelector does not select the pod it was meant for",
        include_str!("subject-label.md"),
    ),
    Page::new(
        "namespace-missing",
        "the peer lives in another namespace and the rule does not say so",
        include_str!("namespace-missing.md"),
    ),
    Page::new(
        "wrong-namespace",
        "the peer's namespace in the rule is another than the pod's",
        include_str!("wrong-namespace.md"),
    ),
    Page::new(
        "policy-namespace",
        "the policy lives in another namespace than the pods it was written for",
        include_str!("policy-namespace.md"),
    ),
    Page::new(
        "api-server-entity",
        "the API server is named by an address, and needs its entity",
        include_str!("api-server-entity.md"),
    ),
    Page::new(
        "wrong-entity",
        "the rule names another entity than the peer's",
        include_str!("wrong-entity.md"),
    ),
    Page::new(
        "cidr-managed",
        "a CIDR was meant to match a pod or a node, and never does",
        include_str!("cidr-managed.md"),
    ),
    Page::new("wrong-cidr", "the rule's network does not contain the address", include_str!("wrong-cidr.md")),
    Page::new(
        "gateway-in-path",
        "the public name leads to a gateway inside the cluster",
        include_str!("gateway-in-path.md"),
    ),
    Page::new(
        "ingress-identity",
        "traffic comes through Cilium's ingress proxy",
        include_str!("ingress-identity.md"),
    ),
    Page::new(
        "policy-refused",
        "Cilium refuses the policy, so none of its rules is in force",
        include_str!("policy-refused.md"),
    ),
    Page::new(
        "default-deny-side-effect",
        "a policy for one purpose closed everything else",
        include_str!("default-deny-side-effect.md"),
    ),
    Page::new("udp-twin", "TCP is open on this port and UDP is not", include_str!("udp-twin.md")),
    Page::new("multicast", "discovery by multicast or broadcast", include_str!("multicast.md")),
    Page::new(
        "node-entity",
        "a node, a probe or the API server calls the pod",
        include_str!("node-entity.md"),
    ),
    Page::new(
        "rule-split",
        "one dash too many: two rules where one was meant",
        include_str!("rule-split.md"),
    ),
    Page::new("snat-source", "a load balancer hides the client's address", include_str!("snat-source.md")),
    Page::new("icmp", "ICMP needs a rule of its own", include_str!("icmp.md")),
    Page::new(
        "explicit-deny",
        "a deny rule stops the flow, and no allow can help",
        include_str!("explicit-deny.md"),
    ),
    Page::new(
        "cluster-label",
        "the peer lives in another cluster of the mesh",
        include_str!("cluster-label.md"),
    ),
    Page::new(
        "service-vip",
        "the packet went to a Service's address that leads nowhere",
        include_str!("service-vip.md"),
    ),
    Page::new("not-policy", "policy did not drop this packet", include_str!("not-policy.md")),
    Page::new("reply", "an answer was dropped, which policy never asks about", include_str!("reply.md")),
    Page::new("http-request", "an HTTP rule does not list this request", include_str!("http-request.md")),
    Page::new(
        "authentication",
        "the rule demands authentication that did not happen",
        include_str!("authentication.md"),
    ),
    Page::new("already-allowed", "the manifests allow this flow already", include_str!("already-allowed.md")),
    Page::new("node-local-dns", "DNS goes to a cache on the node", include_str!("node-local-dns.md")),
    Page::new(
        "mesh-port",
        "the service mesh carries the traffic on its own port",
        include_str!("mesh-port.md"),
    ),
    Page::new(
        "several-policies",
        "policies of several kinds select the pod, and all of them count",
        include_str!("several-policies.md"),
    ),
    Page::new(
        "version-change",
        "the policy was right for another release of Cilium",
        include_str!("version-change.md"),
    ),
    Page::new(
        "missing-policy",
        "the pod is closed, and no policy here could be mended",
        include_str!("missing-policy.md"),
    ),
    Page::new(
        "not-applied",
        "the policy is in the repository and not in the cluster",
        include_str!("not-applied.md"),
    ),
    Page::new("undecided", "policyfix cannot tell what Cilium decides", include_str!("undecided.md")),
    Page::new("unreadable-yaml", "a file is no YAML", include_str!("unreadable-yaml.md")),
    Page::new(
        "unknown-kind",
        "the kind or apiVersion of a policy is misspelt",
        include_str!("unknown-kind.md"),
    ),
    Page::new(
        "unquoted-port",
        "a port of a Cilium policy is a number and must be text",
        include_str!("unquoted-port.md"),
    ),
    Page::new(
        "unquoted-label",
        "a label value is read as a number or a truth value",
        include_str!("unquoted-label.md"),
    ),
    Page::new(
        "foreign-field",
        "a field belongs to the other kind of policy",
        include_str!("foreign-field.md"),
    ),
    Page::new(
        "unknown-field",
        "a field is misspelt or stands at the wrong place",
        include_str!("unknown-field.md"),
    ),
    Page::new(
        "wrong-shape",
        "a value has not the shape that the API server demands",
        include_str!("wrong-shape.md"),
    ),
    Page::new("empty-list-as-deny", "an empty section denies nothing", include_str!("empty-list-as-deny.md")),
    Page::new(
        "conflicting-rules",
        "policies of the same pods contradict each other",
        include_str!("conflicting-rules.md"),
    ),
    Page::new("colliding-keys", "two keys of a selector become one", include_str!("colliding-keys.md")),
    Page::new(
        "impossible-selector",
        "two conditions of a selector contradict each other",
        include_str!("impossible-selector.md"),
    ),
    Page::new(
        "misspelt-label-key",
        "a selector asks for a key that is almost one of Cilium's",
        include_str!("misspelt-label-key.md"),
    ),
    Page::new(
        "filtered-label",
        "a selector asks for a label that Cilium keeps out of identities",
        include_str!("filtered-label.md"),
    ),
    Page::new(
        "per-pod-label",
        "a selector asks for a label that changes with each run or release",
        include_str!("per-pod-label.md"),
    ),
    Page::new(
        "selector-without-workload",
        "no workload of the namespace has the labels of a selector",
        include_str!("selector-without-workload.md"),
    ),
    Page::new(
        "negative-selector",
        "a peer only says what it is not, and reaches nodes and the internet",
        include_str!("negative-selector.md"),
    ),
    Page::new(
        "foreign-namespace",
        "endpointSelector names another namespace than the policy's",
        include_str!("foreign-namespace.md"),
    ),
    Page::new(
        "unknown-port-name",
        "a rule names a port that no pod declares",
        include_str!("unknown-port-name.md"),
    ),
    Page::new("backward-range", "an endPort lies below its port", include_str!("backward-range.md")),
    Page::new(
        "api-server-address",
        "the API server is named by the address or port of its Service",
        include_str!("api-server-address.md"),
    ),
    Page::new(
        "excepted-network",
        "the exceptions take away the whole network",
        include_str!("excepted-network.md"),
    ),
    Page::new(
        "zero-network",
        "a network that no host is in, such as 0.0.0.0/8",
        include_str!("zero-network.md"),
    ),
    Page::new(
        "search-domain-name",
        "toFQDNs names the cluster's own domain",
        include_str!("search-domain-name.md"),
    ),
    Page::new(
        "impossible-name",
        "a name or pattern that no DNS name matches",
        include_str!("impossible-name.md"),
    ),
    Page::new(
        "dns-over-udp-only",
        "DNS is open over UDP and not over TCP",
        include_str!("dns-over-udp-only.md"),
    ),
    Page::new(
        "egress-without-dns",
        "the first rule for egress closes DNS",
        include_str!("egress-without-dns.md"),
    ),
    Page::new(
        "null-section",
        "a key without value is as if it were not there",
        include_str!("null-section.md"),
    ),
    Page::new("empty-peer-list", "an empty list of peers means nobody", include_str!("empty-peer-list.md")),
    Page::new("dangling-cidr-group", "a CIDR group is not there", include_str!("dangling-cidr-group.md")),
    Page::new("repeated-rule", "a rule has no effect beside another one", include_str!("repeated-rule.md")),
    Page::new(
        "unlisted-policy-type",
        "policyTypes leaves out a direction that has rules",
        include_str!("unlisted-policy-type.md"),
    ),
    Page::new("duplicate-object", "two manifests for one policy", include_str!("duplicate-object.md")),
];

/// The page of an id.
pub fn page(id: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.id == id)
}

/// The id that was probably meant by one that does not exist.
pub fn suggest_nearest(id: &str) -> Option<&'static str> {
    spelling::nearest(id, PAGES.iter().map(|page| page.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::objects;
    use crate::schema::{self, Kind};
    use crate::source::FileId;
    use crate::version::CiliumVersion;
    use crate::yaml::parse;

    /// The fenced blocks of a page in this language.
    fn blocks<'p>(page: &'p Page, language: &str) -> Vec<&'p str> {
        let fence = format!("```{language}\n");
        page.text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
    }

    #[track_caller]
    fn has_the_shape_of_its_kind(page: &Page, text: &str) {
        let tree = parse(FileId(0), text);
        assert!(tree.errors.is_empty(), "{}: {:?}\n{text}", page.id, tree.errors);
        for object in objects(&tree) {
            let Some(kind) = Kind::of(&object) else { continue };
            let errors = schema::check(kind, CiliumVersion::default(), object.value);
            assert!(errors.is_empty(), "{}: {errors:?}\n{text}", page.id);
        }
    }

    /// The lines of a diff that were there before, and those that are there after.
    fn sides(diff: &str) -> (String, String) {
        let side = |gone: char| -> String {
            let lines = diff.lines().filter(|line| !line.starts_with(gone));
            lines.map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect()
        };
        (side('+'), side('-'))
    }

    #[test]
    fn every_page_has_its_title_and_its_five_parts() {
        for page in PAGES {
            let headings: Vec<&str> = page.text.lines().filter(|line| line.starts_with('#')).collect();
            let id = format!("# {}", page.id);
            let mut want = vec![id.as_str()];
            want.extend(["## What it means", "## How Cilium decides", "## Example", "## Mend"]);
            want.push("## When it is not this");
            let headings: Vec<&str> = headings.into_iter().filter(|line| want.contains(line)).collect();
            assert_eq!(headings, want);
        }
    }

    #[test]
    fn every_example_is_valid_and_so_is_what_its_mend_makes_of_it() {
        let mut mended = 0;
        for page in PAGES {
            let examples = blocks(page, "yaml");
            examples.iter().for_each(|example| has_the_shape_of_its_kind(page, example));
            for diff in blocks(page, "diff") {
                let (before, after) = sides(diff);
                let example = examples.first().expect("an example beside the diff");
                assert_eq!(example.matches(&before).count(), 1, "{}:\n{before}", page.id);
                has_the_shape_of_its_kind(page, &example.replace(&before, &after));
                mended += 1;
            }
        }
        assert!(mended > 30);
    }

    #[test]
    fn every_page_that_a_page_refers_to_is_there() {
        for from in PAGES {
            for part in from.text.split("see `").skip(1) {
                let id = part.split('`').next().unwrap();
                assert!(page(id).is_some(), "{} refers to {id}", from.id);
            }
        }
    }

    #[test]
    fn an_unknown_id_is_answered_with_the_nearest() {
        assert!(page("service-port").is_some());
        assert!(page("service-prot").is_none());
        assert_eq!(suggest_nearest("service-prot"), Some("service-port"));
        assert_eq!(suggest_nearest("xyz"), None);
    }
}
