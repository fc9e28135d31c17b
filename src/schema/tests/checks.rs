//! One test a rule of `semantics.md` 1.5: a manifest that breaks it, with the
//! place and the words, beside one that does not.

use super::*;

#[test]
fn s1_metadata_is_required() {
    fires(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nspecs: []\n",
        &["apiVersion: `metadata` is missing"],
    );
    silent(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: x, labels: {a: b}, finalizers: [c]}\n",
    );
}

#[test]
fn s2_a_rule_has_exactly_one_selector() {
    fires(
        &rule("{ingress: []}"),
        &["{ingress: []}: exactly one of `endpointSelector` and `nodeSelector` is needed, and none is there"],
    );
    fires(
        &rule("{endpointSelector: {}, nodeSelector: {}, ingress: []}"),
        &[
            "{endpointSelector: {}, nodeSelector: {}, ingress: []}: only one of `endpointSelector` and `nodeSelector` may be there",
        ],
    );
    fires(
        &rule("{endpointSelector: null, ingress: []}"),
        &[
            "{endpointSelector: null, ingress: []}: exactly one of `endpointSelector` and `nodeSelector` is needed, and none is there",
        ],
    );
    silent(&rule("{nodeSelector: {}, ingress: []}"));
}

#[test]
fn s3_a_rule_has_at_least_one_section() {
    fires(
        &rule("{endpointSelector: {}}"),
        &[
            "{endpointSelector: {}}: at least one of `ingress`, `ingressDeny`, `egress` and `egressDeny` is needed",
        ],
    );
    for section in ["ingress", "ingressDeny", "egress", "egressDeny"] {
        silent(&rule(&format!("{{endpointSelector: {{}}, {section}: []}}")));
    }
}

#[test]
fn s4_authentication_has_one_of_three_modes() {
    fires(&egress("{authentication: {}}"), &["{}: `mode` is missing"]);
    fires(
        &egress("{authentication: {mode: optional}}"),
        &["optional: `optional` is not possible here; possible are disabled, required and test-always-fail"],
    );
    silent(&egress("{authentication: {mode: test-always-fail}}"));
}

#[test]
fn s5_an_icmp_type_is_a_number_or_one_of_the_names() {
    let words = "an ICMP type is a number from 0 to 255 or a name such as EchoRequest, written exactly so";
    for kind in ["echo", "\"08\"", "\"256\"", "ExtendedEchoReply"] {
        let want = format!("{kind}: {words}");
        fires(&egress(&format!("{{icmps: [{{fields: [{{type: {kind}}}]}}]}}")), &[&want]);
    }
    fires(&egress("{icmps: [{fields: [{family: IPv4}]}]}"), &["{family: IPv4}: `type` is missing"]);
    fires(
        &egress("{icmps: [{fields: [{type: 8, family: ipv4}]}]}"),
        &["ipv4: `ipv4` is not possible here; did you mean IPv4?"],
    );
    let many = vec!["{type: 8}"; 41].join(", ");
    fires(
        &egress(&format!("{{icmps: [{{fields: [{many}]}}]}}")),
        &[&format!("[{many}]: at most 40 items are possible, and these are 41")],
    );
    silent(&egress("{icmps: [{fields: [{type: 300}, {type: EchoRequest, family: IPv6}, {type: \"255\"}]}]}"));
}

#[test]
fn s6_a_network_has_a_prefix_length() {
    let words = "a network is written with its prefix length, such as 203.0.113.7/32 or 2001:db8::/32";
    fires(&egress("{toCIDR: [10.0.0.1]}"), &[&format!("10.0.0.1: {words}")]);
    fires(&egress("{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.2.3]}]}"), &[&format!("10.1.2.3: {words}")]);
    silent(&egress("{toCIDR: [10.0.0.1/32, \"2001:db8::/32\"]}"));
}

#[test]
fn s7_an_entry_of_a_cidr_set_has_exactly_one_source() {
    fires(
        &egress("{toCIDRSet: [{except: [10.0.0.0/8]}]}"),
        &[
            "{except: [10.0.0.0/8]}: exactly one of `cidr`, `cidrGroupRef` and `cidrGroupSelector` is needed, and none is there",
        ],
    );
    fires(
        &egress("{toCIDRSet: [{cidr: 10.0.0.0/8, cidrGroupRef: a}]}"),
        &["{cidr: 10.0.0.0/8, cidrGroupRef: a}: only one of `cidr` and `cidrGroupRef` may be there"],
    );
    silent(&egress("{toCIDRSet: [{cidrGroupSelector: {matchLabels: {a: b}}}]}"));
}

#[test]
fn s8_a_group_is_named_by_a_dns_name() {
    fires(
        &egress("{toCIDRSet: [{cidrGroupRef: Office_Net}]}"),
        &["Office_Net: the name of a CiliumCIDRGroup is in lower case: letters, digits, `-` and `.`"],
    );
    silent(&egress("{toCIDRSet: [{cidrGroupRef: office.net-1}]}"));
}

#[test]
fn s9_selectors_have_the_form_of_kubernetes() {
    let words = "a label value is a string of at most 63 letters, digits, `-`, `_` and `.` that begins and ends with a letter or digit; quote numbers and words such as true";
    for value in ["true", "1", "-a", &"a".repeat(64)] {
        fires(
            &egress(&format!("{{toEndpoints: [{{matchLabels: {{app: {value}}}}}]}}")),
            &[&format!("{value}: {words}")],
        );
    }
    fires(
        &egress("{toEndpoints: [{matchExpressions: [{key: app, operator: in, values: [a]}]}]}"),
        &["in: `in` is not possible here; did you mean In?"],
    );
    fires(
        &egress("{toEndpoints: [{matchExpressions: [{operator: Exists}]}]}"),
        &["{operator: Exists}: `key` is missing"],
    );
    silent(&egress(
        "{toEndpoints: [{matchLabels: {app: \"1\", \"k8s:x/y\": \"\"}, matchExpressions: [{key: a, operator: DoesNotExist}]}]}",
    ));
}

#[test]
fn s10_entities_are_those_that_can_be_stored() {
    fires(&egress("{toEntities: [word]}"), &["word: `word` is not possible here; did you mean world?"]);
    assert_eq!(told(NEWEST, &egress("{toEntities: [world-ipv4]}")).len(), 1);
    silent(&egress("{toEntities: [all, kube-apiserver, remote-node]}"));
}

#[test]
fn s11_a_dns_name_is_a_name_or_a_pattern() {
    fires(
        &egress("{toFQDNs: [{matchName: a.b, matchPattern: \"*.b\"}]}"),
        &["{matchName: a.b, matchPattern: \"*.b\"}: only one of `matchName` and `matchPattern` may be there"],
    );
    let name = "a DNS name of at most 255 letters, digits, `-`, `_` and dots is needed; a name with `*` goes under matchPattern";
    for text in ["\"*.example.com\"", "https://example.com", "a..b", &"a".repeat(256)] {
        fires(&egress(&format!("{{toFQDNs: [{{matchName: {text}}}]}}")), &[&format!("{text}: {name}")]);
    }
    fires(
        &port_rule("{rules: {dns: [{matchPattern: \".example.com\"}]}}"),
        &["\".example.com\": a pattern of at most 255 letters, digits, `-`, `_`, `*` and dots is needed"],
    );
    silent(&egress(
        "{toFQDNs: [{matchName: api.example.com.}, {matchPattern: \"**.example.com\"}, {matchPattern: \"*\"}]}",
    ));
}

#[test]
fn s12_an_allow_entry_has_at_most_forty_ports() {
    let many = vec!["{port: \"1\"}"; 41].join(", ");
    fires(
        &port_rule(&format!("{{ports: [{many}]}}")),
        &[&format!("[{many}]: at most 40 items are possible, and these are 41")],
    );
    silent(&rule(&format!("{{endpointSelector: {{}}, egressDeny: [{{toPorts: [{{ports: [{many}]}}]}}]}}")));
}

#[test]
fn s13_a_port_is_a_string() {
    let words =
        "a port is a string in Cilium policies: write it in quotes, such as \"8080\", or give a port's name";
    for port in ["8080", "\"\"", "\"-\""] {
        fires(&port_rule(&format!("{{ports: [{{port: {port}}}]}}")), &[&format!("{port}: {words}")]);
    }
    // The API server takes these; the agent refuses them (V28).
    silent(&port_rule("{ports: [{port: \"80\"}, {port: http}, {port: 80-90}, {port: \"080\"}]}"));
}

#[test]
fn s14_an_end_port_is_a_port_number() {
    fires(&port_rule("{ports: [{port: \"1\", endPort: 65536}]}"), &["65536: this must be at most 65535"]);
    fires(
        &port_rule("{ports: [{port: \"1\", endPort: \"2\"}]}"),
        &["\"2\": a number is needed here, and this is a string: take the quotes away"],
    );
    silent(&port_rule("{ports: [{port: \"1\", endPort: 65535}]}"));
}

#[test]
fn s15_a_protocol_is_written_in_capitals() {
    fires(
        &port_rule("{ports: [{port: \"1\", protocol: tcp}]}"),
        &["tcp: `tcp` is not possible here; did you mean TCP?"],
    );
    silent(&port_rule("{ports: [{port: \"1\", protocol: ANY}]}"));
}

#[test]
fn s16_rules_speak_exactly_one_protocol() {
    fires(&port_rule("{rules: {}}"), &["{}: exactly one of `http` and `dns` is needed, and none is there"]);
    fires(
        &port_rule("{rules: {http: [], dns: []}}"),
        &["{http: [], dns: []}: only one of `http` and `dns` may be there"],
    );
    silent(&port_rule("{rules: {http: [{method: GET, path: /a}]}}"));
}

#[test]
fn s17_a_listener_names_its_configuration() {
    fires(&port_rule("{listener: {name: a}}"), &["{name: a}: `envoyConfig` is missing"]);
    fires(
        &port_rule("{listener: {name: \"\", priority: 101, envoyConfig: {name: a, kind: Envoy}}}"),
        &[
            "\"\": this must not be empty",
            "101: this must be at most 100",
            "Envoy: `Envoy` is not possible here; possible are CiliumEnvoyConfig and CiliumClusterwideEnvoyConfig",
        ],
    );
    silent(&port_rule("{listener: {name: a, priority: 1, envoyConfig: {name: a, kind: CiliumEnvoyConfig}}}"));
}

#[test]
fn s18_a_tls_context_names_its_secret() {
    fires(&port_rule("{terminatingTLS: {}}"), &["{}: `secret` is missing"]);
    fires(&port_rule("{originatingTLS: {secret: {namespace: a}}}"), &["{namespace: a}: `name` is missing"]);
    silent(&port_rule("{terminatingTLS: {secret: {name: a}, privateKey: b}}"));
}

#[test]
fn s19_a_header_match_has_a_name_and_one_of_four_actions() {
    fires(
        &port_rule("{rules: {http: [{headerMatches: [{name: \"\", mismatch: DROP}]}]}}"),
        &[
            "\"\": this must not be empty",
            "DROP: `DROP` is not possible here; possible are LOG, ADD, DELETE and REPLACE",
        ],
    );
    silent(&port_rule("{rules: {http: [{headerMatches: [{name: a, mismatch: LOG}]}]}}"));
}

#[test]
fn s20_a_host_is_not_checked() {
    silent(&port_rule("{rules: {http: [{host: \".*[.]example[.]com\"}]}}"));
}

#[test]
fn s21_kafka_rules_have_a_role_and_a_topic() {
    let text = port_rule("{rules: {kafka: [{role: consumer, topic: a}]}}");
    assert_eq!(
        told(CiliumVersion::V1_19, &text),
        ["consumer: `consumer` is not possible here; did you mean consume?"]
    );
    assert_eq!(
        told(CiliumVersion::V1_19, &port_rule("{rules: {kafka: [{role: produce, topic: a}]}}")),
        [""; 0]
    );
}

#[test]
fn s22_a_service_selector_has_a_selector() {
    fires(
        &egress("{toServices: [{k8sServiceSelector: {namespace: a}}]}"),
        &["{namespace: a}: `selector` is missing"],
    );
    silent(&egress(
        "{toServices: [{k8sServiceSelector: {selector: {matchLabels: {a: b}}}}, {k8sService: {serviceName: a}}]}",
    ));
}

#[test]
fn s23_labels_of_a_rule_are_mappings_with_a_key() {
    fires(
        &rule("{endpointSelector: {}, ingress: [], labels: [{value: a}]}"),
        &["{value: a}: `key` is missing"],
    );
    fires(
        &rule("{endpointSelector: {}, ingress: [], labels: [a=b]}"),
        &["a=b: a rule's label is a mapping with key, value and source"],
    );
    silent(&rule("{endpointSelector: {}, ingress: [], labels: [{key: a, value: b, source: k8s}]}"));
}

#[test]
fn s24_a_cidr_group_lists_networks() {
    let group = |spec: &str| {
        format!(
            "apiVersion: cilium.io/v2alpha1\nkind: CiliumCIDRGroup\nmetadata: {{name: a}}\nspec: {spec}\n"
        )
    };
    fires(&group("{}"), &["{}: `externalCIDRs` is missing"]);
    fires(
        &group("{externalCIDRs: [10.0.0.1]}"),
        &["10.0.0.1: a network is written with its prefix length, such as 203.0.113.7/32 or 2001:db8::/32"],
    );
    silent(&group("{externalCIDRs: []}"));
}
