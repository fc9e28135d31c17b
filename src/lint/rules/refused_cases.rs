//! One input for each check of the agent (`semantics.md` 1.4, V1 to V49), and
//! some that look like it and are right.

use super::testing::told_in;
use crate::finding::Severity::{self, Error, Note, Warning};
use crate::version::CiliumVersion;

/// What is told of an object in a release: of the findings about shape and
/// refusal, each with the text that it points at.
#[track_caller]
fn told(minor: u8, check: &str, object: &str, want: &[(Severity, &str, &str)]) {
    let version = CiliumVersion::ALL.into_iter().find(|version| version.minor() == minor).unwrap();
    let mut told = told_in(Some(version), object);
    let about = ["policy-refused", "wrong-shape", "unknown-field", "empty-list-as-deny", "excepted-network"];
    told.retain(|(id, ..)| about.contains(id));
    let told: Vec<_> = told.iter().map(|(id, severity, place)| (*severity, *id, place.as_str())).collect();
    assert_eq!(told, want, "{check}\n{object}");
}

const REFUSED: &str = "policy-refused";
const SHAPE: &str = "wrong-shape";

fn object(kind: &str, rest: &str) -> String {
    let place = if kind == "CiliumNetworkPolicy" { ", namespace: shop" } else { "" };
    format!("apiVersion: cilium.io/v2\nkind: {kind}\nmetadata: {{name: x{place}}}\n{rest}\n")
}

fn cnp(rest: &str) -> String {
    object("CiliumNetworkPolicy", rest)
}

fn ccnp(rest: &str) -> String {
    object("CiliumClusterwideNetworkPolicy", rest)
}

fn ingress(item: &str) -> String {
    cnp(&format!("spec: {{endpointSelector: {{}}, ingress: [{item}]}}"))
}

fn egress(item: &str) -> String {
    cnp(&format!("spec: {{endpointSelector: {{}}, egress: [{item}]}}"))
}

/// An item with rules for a proxy on one port.
fn proxied(port: &str, protocol: &str, rules: &str) -> String {
    format!("{{toPorts: [{{ports: [{{port: \"{port}\", protocol: {protocol}}}], rules: {rules}}}]}}")
}

#[test]
fn objects_and_their_subjects() {
    let plain = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n";
    let spec = "spec: {endpointSelector: {}, ingress: [{}]}\n";
    let nameless = format!("{plain}metadata: {{namespace: shop}}\n{spec}");
    told(20, "V1", &nameless, &[(Error, REFUSED, nameless.trim_end())]);
    told(20, "V2", &cnp(""), &[(Error, REFUSED, "x")]);
    told(20, "V2", &cnp("specs: []"), &[]);
    told(20, "V3", &cnp("spec: {nodeSelector: {}, ingress: [{}]}"), &[(Error, REFUSED, "{}")]);
    let in_specs = cnp("specs: [{nodeSelector: {}, ingress: [{}]}]");
    told(19, "V3", &in_specs, &[(Error, REFUSED, "{}")]);
    told(18, "V3", &in_specs, &[(Warning, REFUSED, "nodeSelector")]);
    let empty = cnp("spec: {endpointSelector: {}, ingress: []}");
    told(18, "V4", &empty, &[(Error, "empty-list-as-deny", "ingress: []")]);
    told(17, "V4", &empty, &[(Warning, "empty-list-as-deny", "ingress: []")]);
    told(20, "V5", &cnp("spec: {ingress: [{}]}"), &[(Error, SHAPE, "{ingress: [{}]}")]);
    let null = cnp("spec:\n  endpointSelector:\n  ingress: [{}]");
    told(20, "V5", &null, &[(Error, SHAPE, "spec")]);
    let both = ccnp("spec:\n  endpointSelector: {}\n  nodeSelector: {}\n  ingress: [{}]");
    told(20, "V6", &both, &[(Error, SHAPE, "spec")]);
}

#[test]
fn label_selectors() {
    let (long, longest) = ("a".repeat(60), "a".repeat(59));
    let subject = |labels: &str| {
        cnp(&format!("spec: {{endpointSelector: {{matchLabels: {{{labels}}}}}, ingress: [{{}}]}}"))
    };
    told(20, "V7", &subject("app: -x"), &[(Error, SHAPE, "-x")]);
    told(20, "V7", &subject(&format!("{long}: x")), &[(Error, REFUSED, &long)]);
    told(20, "V7", &subject(&format!("{longest}: x")), &[]);
    told(20, "V7", &subject("Foo.com/x: x"), &[(Error, REFUSED, "Foo.com/x")]);
    let peer =
        |expression: &str| ingress(&format!("{{fromEndpoints: [{{matchExpressions: [{expression}]}}]}}"));
    for wrong in [
        "{key: a, operator: In}",
        "{key: a, operator: NotIn, values: []}",
        "{key: a, operator: Exists, values: [b]}",
    ] {
        told(20, "V7", &peer(wrong), &[(Error, REFUSED, wrong)]);
    }
    told(20, "V7", &peer("{key: a, operator: in, values: [b]}"), &[(Error, SHAPE, "in")]);
    let group = ingress("{fromCIDRSet: [{cidrGroupSelector: {matchLabels: {a: -b}}}]}");
    told(20, "V7", &group, &[(Error, SHAPE, "-b")]);
}

#[test]
fn peers() {
    told(
        20,
        "V9",
        &ingress("{fromEndpoints: [{}], fromEntities: [world]}"),
        &[(Error, REFUSED, "fromEntities")],
    );
    told(
        20,
        "V9",
        &egress("{toCIDR: [1.1.1.1/32], toCIDRSet: [{cidr: 2.2.2.2/32}]}"),
        &[(Error, REFUSED, "toCIDRSet")],
    );
    told(20, "V9", &egress("{toCIDR: [1.1.1.1/32], toEntities: []}"), &[]);
    told(
        20,
        "V10",
        &egress("{toNodes: [{matchLabels: {a: b}}]}"),
        &[(Note, REFUSED, "{matchLabels: {a: b}}")],
    );
    told(20, "V11", &egress("{toEntities: [wrld]}"), &[(Error, SHAPE, "wrld")]);
    told(20, "V11", &egress("{toEntities: [world-ipv4]}"), &[(Error, SHAPE, "world-ipv4")]);
    told(19, "V11", &egress("{toEntities: [cluster-mesh]}"), &[(Error, SHAPE, "cluster-mesh")]);
    told(20, "V11", &egress("{toEntities: [cluster-mesh]}"), &[]);
    let services = "{toServices: [{k8sService: {serviceName: a, namespace: b}}], toPorts: [{ports: [{port: \"80\", protocol: TCP}]}]}";
    told(16, "V17", &egress(services), &[(Error, REFUSED, "toServices")]);
    told(17, "V17", &egress(services), &[]);
}

#[test]
fn addresses() {
    for (check, id, cidr) in [
        ("V18", SHAPE, "\"\""),
        ("V18", REFUSED, "10.0.0.0/33"),
        ("V18", SHAPE, "10.0.0.0/255.0.0.0"),
        ("V18", REFUSED, "010.0.0.0/8"),
        ("V18", SHAPE, "198.51.100.7"),
    ] {
        told(20, check, &egress(&format!("{{toCIDR: [{cidr}]}}")), &[(Error, id, cidr)]);
    }
    told(20, "V18", &egress("{toCIDR: [198.51.100.7/24]}"), &[]);
    let set = |item: &str| egress(&format!("{{toCIDRSet: [{item}]}}"));
    told(20, "V19", &set("{except: [1.1.1.1/32]}"), &[(Error, SHAPE, "{except: [1.1.1.1/32]}")]);
    let two = "{cidr: 1.1.1.0/24, cidrGroupRef: a}";
    told(20, "V20", &set(two), &[(Error, SHAPE, two)]);
    told(20, "V21", &set("{cidr: 1.1.1.0}"), &[(Error, SHAPE, "1.1.1.0")]);
    told(20, "V22", &set("{cidr: 1.1.1.0/24, except: [1.1.1.1]}"), &[(Error, SHAPE, "1.1.1.1")]);
    told(20, "V23", &set("{cidr: 1.1.1.0/24, except: [1.1.2.1/32]}"), &[(Error, REFUSED, "1.1.2.1/32")]);
    told(
        20,
        "V23",
        &set("{cidr: 1.1.1.0/24, except: [2001:db8::/64]}"),
        &[(Error, REFUSED, "2001:db8::/64")],
    );
    told(
        20,
        "V23",
        &set("{cidr: 10.1.0.0/16, except: [10.1.0.0/8]}"),
        &[(Warning, "excepted-network", "10.1.0.0/16")],
    );
    told(20, "V23", &set("{cidrGroupRef: a, except: [1.1.1.1/32]}"), &[]);
}

#[test]
fn names() {
    let two = "{matchName: a.com, matchPattern: \"*.a.com\"}";
    told(20, "V24", &egress(&format!("{{toFQDNs: [{two}]}}")), &[(Error, SHAPE, two)]);
    told(20, "V25", &egress("{toFQDNs: [{matchName: \"*.a.com\"}]}"), &[(Error, REFUSED, "\"*.a.com\"")]);
    let dns = |rule: &str| egress(&proxied("53", "ANY", &format!("{{dns: [{rule}]}}")));
    told(20, "V24", &dns(two), &[(Error, SHAPE, two)]);
    told(15, "V24", &dns(two), &[]);
    told(20, "V25", &dns("{matchPattern: a/b}"), &[(Error, SHAPE, "a/b")]);
    told(20, "V25", &dns("{matchPattern: \"*.a_b.com.\"}"), &[]);
}

#[test]
fn icmp() {
    let both = "{icmps: [{fields: [{type: 8}]}], toPorts: [{ports: [{port: \"80\"}]}]}";
    told(20, "V12", &egress(both), &[(Error, REFUSED, "icmps")]);
    let field = |field: &str| egress(&format!("{{icmps: [{{fields: [{field}]}}]}}"));
    told(20, "V15", &field("{type: 8, family: ipv4}"), &[(Error, SHAPE, "ipv4")]);
    told(20, "V16", &field("{type: echoRequest}"), &[(Error, SHAPE, "echoRequest")]);
    told(20, "V16", &field("{family: IPv4}"), &[(Error, SHAPE, "{family: IPv4}")]);
    told(20, "V16", &field("{type: Photuris, family: IPv6}"), &[(Error, REFUSED, "Photuris")]);
    told(16, "V16", &field("{type: EchoRequest}"), &[]);
    told(15, "V16", &field("{type: EchoRequest}"), &[(Error, SHAPE, "EchoRequest")]);
    let fields = vec!["{type: 8}"; 41].join(", ");
    let list = format!("[{fields}]");
    told(20, "V14", &field(&fields), &[(Error, SHAPE, &list)]);
    told(20, "V14", &field(&vec!["{type: 8}"; 40].join(", ")), &[]);
}

#[test]
fn ports() {
    let ports = |ports: &str| egress(&format!("{{toPorts: [{{ports: [{ports}]}}]}}"));
    let many = vec!["{port: \"1\"}"; 41].join(", ");
    let list = format!("[{many}]");
    told(20, "V26", &ports(&many), &[(Error, SHAPE, &list)]);
    let item = format!("{{ports: {list}}}");
    let deny = cnp(&format!("spec: {{endpointSelector: {{}}, egressDeny: [{{toPorts: [{item}]}}]}}"));
    told(20, "V26", &deny, &[(Error, REFUSED, &item)]);
    told(20, "V27", &ports("{port: \"\"}"), &[(Error, SHAPE, "\"\"")]);
    told(20, "V27", &ports("{protocol: TCP}"), &[(Error, REFUSED, "{protocol: TCP}")]);
    for wrong in ["\"80-90\"", "\"080\"", "\"65536\"", "\"+80\"", "\"a--b\""] {
        let all = told_in(None, &ports(&format!("{{port: {wrong}}}")));
        let places: Vec<_> =
            all.iter().filter(|(_, severity, _)| *severity == Error).map(|(.., p)| p.as_str()).collect();
        assert_eq!(places, [wrong], "V28");
    }
    told(20, "V28", &ports("{port: \"0\"}, {port: HTTP}, {port: dns-tcp}"), &[]);
    told(20, "V29", &ports("{port: \"80\", protocol: ICMP}"), &[(Error, SHAPE, "ICMP")]);
    told(20, "V29", &ports("{port: \"0\", protocol: VRRP}"), &[(Note, REFUSED, "VRRP")]);
    told(18, "V29", &ports("{port: \"0\", protocol: VRRP}"), &[(Error, SHAPE, "VRRP")]);
}

#[test]
fn where_proxies_work() {
    let host = |side: &str, rules: &str| {
        ccnp(&format!("spec: {{nodeSelector: {{}}, {side}: [{}]}}", proxied("80", "TCP", rules)))
    };
    let list = |rules: &str| format!("{{ports: [{{port: \"80\", protocol: TCP}}], rules: {rules}}}");
    told(20, "V8", &host("ingress", "{http: [{}]}"), &[(Error, REFUSED, &list("{http: [{}]}"))]);
    told(20, "V32", &host("egress", "{http: [{}]}"), &[(Error, REFUSED, &list("{http: [{}]}"))]);
    told(17, "V32", &host("egress", "{dns: [{matchPattern: \"*\"}]}"), &[]);
    told(16, "V32", &host("egress", "{dns: [{matchPattern: \"*\"}]}"), &[(Error, REFUSED, "rules")]);
    let dns = "{dns: [{matchPattern: \"*\"}]}";
    told(20, "V31", &ingress(&proxied("53", "UDP", dns)), &[(Error, REFUSED, "rules")]);
    told(
        20,
        "V33",
        &ingress(&proxied("80", "ANY", "{http: [{}]}")),
        &[(Error, REFUSED, "{port: \"80\", protocol: ANY}")],
    );
    let omitted = "{toPorts: [{ports: [{port: \"80\"}], rules: {http: [{}]}}]}";
    told(20, "V33", &ingress(omitted), &[(Error, REFUSED, "{port: \"80\"}")]);
    told(
        20,
        "V34",
        &ingress(&proxied("0", "TCP", "{http: [{}]}")),
        &[(Error, REFUSED, "{port: \"0\", protocol: TCP}")],
    );
    told(20, "V35", &egress(&format!("{{toPorts: [{{rules: {dns}}}]}}")), &[(Error, REFUSED, "rules")]);
    let range =
        format!("{{toPorts: [{{ports: [{{port: \"53\", endPort: 60, protocol: ANY}}], rules: {dns}}}]}}");
    told(17, "V36", &egress(&range), &[(Error, REFUSED, "rules")]);
    told(16, "V36", &egress(&range), &[]);
    let named = |names: &str| {
        egress(&format!("{{toPorts: [{{ports: [{{port: \"443\", protocol: TCP}}], {names}}}]}}"))
    };
    told(20, "V45", &named("serverNames: [\"\"]"), &[(Error, SHAPE, "\"\"")]);
    told(20, "V46", &named("serverNames: [a.com], rules: {http: [{}]}"), &[(Error, REFUSED, "rules")]);
    told(
        20,
        "V46",
        &named("serverNames: [a.com], terminatingTLS: {secret: {name: s}}, rules: {http: [{}]}"),
        &[],
    );
    let listener = "{envoyConfig: {kind: CiliumEnvoyConfig, name: a}, name: b}";
    let on_ingress = ingress(&format!(
        "{{toPorts: [{{ports: [{{port: \"443\", protocol: TCP}}], listener: {listener}}}]}}"
    ));
    told(20, "V47", &on_ingress, &[(Error, REFUSED, listener)]);
    told(
        20,
        "V48",
        &named(&format!("rules: {{http: [{{}}]}}, listener: {listener}")),
        &[(Error, REFUSED, listener)],
    );
}

#[test]
fn what_proxies_are_told() {
    let http = |rule: &str| ingress(&proxied("80", "TCP", &format!("{{http: [{rule}]}}")));
    told(20, "V39", &http("{path: \"/(a\"}"), &[(Error, REFUSED, "\"/(a\"")]);
    told(20, "V39", &http("{path: \"/users/{id}/[\\\\w-.]+\", method: GET|POST, host: \"(\"}"), &[]);
    told(20, "V40", &http("{headerMatches: [{value: a}]}"), &[(Error, SHAPE, "{value: a}")]);
    told(20, "V40", &http("{headerMatches: [{name: a, mismatch: NO}]}"), &[(Error, SHAPE, "NO")]);
    told(
        20,
        "V40",
        &http("{headerMatches: [{name: a, secret: {namespace: b}}]}"),
        &[(Error, SHAPE, "{namespace: b}")],
    );
    let kafka = |rule: &str| ingress(&proxied("9092", "TCP", &format!("{{kafka: [{rule}]}}")));
    for (check, wrong) in [
        ("V41", "{role: produce, apiKey: fetch}"),
        ("V42", "{apiKey: ftch}"),
        ("V43", "{apiKey: fetch, apiVersion: x}"),
        ("V43", "{topic: a b}"),
    ] {
        told(18, check, &kafka(wrong), &[(Error, REFUSED, wrong)]);
    }
    told(18, "V43", &kafka("{role: eat}"), &[(Error, SHAPE, "eat")]);
    told(18, "V43", &kafka("{role: consume, topic: a.b-c_d}, {apiKey: Fetch, apiVersion: \"3\"}"), &[]);
    let generic = |rules: &str| ingress(&proxied("80", "TCP", rules));
    told(18, "V44", &generic("{l7proto: x, l7: [{\"\": b}]}"), &[(Error, REFUSED, "\"\": b")]);
    told(18, "V37", &generic("{l7: [{a: b}]}"), &[(Error, SHAPE, "{l7: [{a: b}]}")]);
    told(18, "V38", &generic("{http: [{}], dns: []}"), &[(Error, SHAPE, "{http: [{}], dns: []}")]);
}

#[test]
fn unknown_fields_and_wrong_types() {
    told(20, "V49", &egress("{toEndpoint: [{}]}"), &[(Error, "unknown-field", "toEndpoint")]);
    told(20, "V49", &egress("{toEntities: world}"), &[(Error, SHAPE, "world")]);
    told(19, "V49", &ingress("{fromRequires: [{}]}"), &[(Error, SHAPE, "[{}]")]);
    told(18, "V49", &ingress("{fromRequires: [{}]}"), &[]);
    told(
        20,
        "V49",
        &ingress(&proxied("80", "TCP", "{kafka: [{topic: a}]}")),
        &[(Error, "unknown-field", "kafka")],
    );
}

#[test]
fn network_policies() {
    let policy = |spec: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: x, namespace: shop}}\nspec: {{podSelector: {{}}, {spec}}}\n"
        )
    };
    let from = |peer: &str| policy(&format!("ingress: [{{from: [{peer}]}}]"));
    let mixed = "{ipBlock: {cidr: 1.1.1.0/24}, podSelector: {}}";
    told(20, "V9", &from(mixed), &[(Error, SHAPE, mixed)]);
    told(20, "1.6", &from("{}"), &[(Error, SHAPE, "{}")]);
    told(20, "1.6", &from("{ipBlock: {cidr: 1.1.1.1}}"), &[(Error, SHAPE, "1.1.1.1")]);
    let key = "a".repeat(29);
    told(
        18,
        "1.6",
        &from(&format!("{{namespaceSelector: {{matchLabels: {{{key}: b}}}}}}")),
        &[(Error, REFUSED, &key)],
    );
    told(20, "1.6", &policy("ingress: [{ports: [{port: 0}]}]"), &[(Error, SHAPE, "0")]);
    told(20, "1.6", &policy("policyTypes: [ingress]"), &[(Error, SHAPE, "ingress")]);
}
