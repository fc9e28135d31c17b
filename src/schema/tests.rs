//! One test a rule of `semantics.md` 1.5: a manifest that breaks it, with the
//! place and the words, beside one that does not.

use serde_json::Value as JsonValue;

use super::*;
use crate::manifest::objects;
use crate::source::FileId;
use crate::yaml::parse;

const NEWEST: CiliumVersion = CiliumVersion::V1_20;

/// Checks every object of a text; each error as `pointed-at text: message`.
fn told(version: CiliumVersion, text: &str) -> Vec<String> {
    let tree = parse(FileId(0), text);
    assert!(tree.errors.is_empty(), "{text}\n{:?}", tree.errors);
    let mut told = Vec::new();
    for object in objects(&tree) {
        let kind = Kind::of(&object).expect("a kind that has a schema");
        for error in check(kind, version, object.value) {
            told.push(format!("{}: {}", &text[error.span.range()], error.message));
        }
    }
    told
}

/// A CiliumNetworkPolicy with this rule, written in flow style.
fn rule(rule: &str) -> String {
    format!("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: x}}\nspec: {rule}\n")
}

/// An egress rule of all pods with this item.
fn egress(item: &str) -> String {
    rule(&format!("{{endpointSelector: {{}}, egress: [{item}]}}"))
}

/// An egress rule of all pods with this item under `toPorts`.
fn port_rule(item: &str) -> String {
    egress(&format!("{{toPorts: [{item}]}}"))
}

/// A NetworkPolicy with this spec.
fn network_policy(spec: &str) -> String {
    format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: x}}\nspec: {spec}\n")
}

#[track_caller]
fn fires(text: &str, want: &[&str]) {
    assert_eq!(told(NEWEST, text), want, "{text}");
}

#[track_caller]
fn silent(text: &str) {
    fires(text, &[]);
}

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

#[test]
fn network_policies_have_ports_as_numbers_or_names() {
    let port = |port: &str| network_policy(&format!("{{podSelector: {{}}, ingress: [{{ports: [{port}]}}]}}"));
    let words = "a port is a number from 1 to 65535 without quotes, or the name of a container port: at most 15 lower-case letters, digits and dashes";
    for value in ["\"80\"", "0", "65536", "HTTP", "a-name-too-long-to-be-one"] {
        fires(&port(&format!("{{port: {value}}}")), &[&format!("{value}: {words}")]);
    }
    fires(&port("{port: http, endPort: 90}"), &["http: endPort needs a number as port"]);
    fires(&port("{endPort: 90}"), &["{endPort: 90}: `port` is missing"]);
    silent(&port("{port: 80, endPort: 90}, {port: http-alt, protocol: UDP}, {protocol: SCTP}"));
}

#[test]
fn a_peer_of_a_network_policy_has_selectors_or_an_ip_block() {
    let peer = |peer: &str| network_policy(&format!("{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}"));
    fires(&peer("{}"), &["{}: a peer needs a podSelector, a namespaceSelector or an ipBlock"]);
    fires(
        &peer("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}"),
        &[
            "{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}: ipBlock stands alone in a peer: put the selectors into a peer of their own",
        ],
    );
    silent(&peer(
        "{podSelector: {}, namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}",
    ));
}

#[test]
fn an_unknown_field_is_told_at_its_key_with_what_was_meant() {
    fires(
        &rule("{endpointSelector: {}, egres: []}"),
        &["egres: `egres` is no field here; did you mean `egress`?"],
    );
    fires(
        &egress("{fromEndpoints: [], toPorts: []}"),
        &["fromEndpoints: `fromEndpoints` is no field here, but elsewhere: check its place and indentation"],
    );
    fires(
        &rule("{endpointSelector: {}, ingress: [{from: []}]}"),
        &["from: `from` is no field here: it belongs to a NetworkPolicy"],
    );
    fires(
        &network_policy("{podSelector: {}, ingress: [{fromEndpoints: []}]}"),
        &["fromEndpoints: `fromEndpoints` is no field here: it belongs to a CiliumNetworkPolicy"],
    );
    fires(&egress("{icmps: [{zzz: 1}]}"), &["zzz: `zzz` is no field here; possible are `fields`"]);
}

#[test]
fn a_block_is_pointed_at_by_its_key_and_not_by_all_its_lines() {
    let text = "apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: x
spec:
  endpointSelector:
    matchLabels:
      app: a
  egress:
  - toEndpoints:
      matchLabels:
        app: b
  - toCIDRSet:
    - except:
      - 10.0.0.0/8
";
    fires(
        text,
        &[
            "toEndpoints: a list is needed here, and this is a mapping: begin it with `- `",
            "except: exactly one of `cidr`, `cidrGroupRef` and `cidrGroupSelector` is needed, and none is there",
        ],
    );
    let tree = parse(FileId(0), text);
    let errors = check(Kind::CiliumNetworkPolicy, NEWEST, tree.roots().next().unwrap().1);
    assert_eq!(errors[0].pointer, "/spec/egress/0/toEndpoints");
    assert_eq!(errors[1].pointer, "/spec/egress/1/toCIDRSet/0");
}

#[test]
fn a_value_that_is_put_in_later_is_never_wrong() {
    silent(&egress("{toCIDR: [\"${NODE}\", \"${NET}/16\"], toEntities: [\"${WHO}\"]}"));
    silent(&port_rule("{ports: [{port: \"${PORT}\", protocol: \"${PROTOCOL:=TCP}\", endPort: \"${END}\"}]}"));
    silent(&port_rule("{ports: \"${PORTS}\"}"));
    silent(&egress("{toEndpoints: [{matchLabels: {app: \"${APP}\"}}], \"${MORE}\": 1}"));
    silent(&network_policy("{podSelector: {}, ingress: [{ports: [{port: \"${PORT}\"}]}]}"));
}

#[test]
fn null_is_absent_as_the_api_server_reads_it() {
    silent(&rule("{endpointSelector: {}, nodeSelector: null, ingress: [], egress: ~}"));
}

#[test]
fn merged_keys_and_aliases_count_as_written() {
    silent(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: &m {name: x}\nspec:\n  endpointSelector: &s {matchLabels: {a: b}}\n  ingress:\n  - &i\n    fromEndpoints: [*s]\n  - <<: *i\n    toPorts: []\n",
    );
}

#[test]
fn releases_differ_as_the_table_says() {
    use CiliumVersion as V;
    let log = rule("{endpointSelector: {}, ingress: [], log: {value: a}}");
    assert_eq!(told(V::V1_17, &log), ["log: `log` is no field here: log came in 1.18"]);
    assert_eq!(told(V::V1_18, &log), [""; 0]);
    let kafka = port_rule("{rules: {kafka: []}}");
    assert_eq!(
        told(V::V1_20, &kafka),
        ["kafka: `kafka` is no field here: Kafka rules and generic parsers went in 1.20"]
    );
    assert_eq!(told(V::V1_19, &kafka), [""; 0]);
    let requires = egress("{toRequires: [{}]}");
    assert_eq!(told(V::V1_18, &requires), [""; 0]);
    assert_eq!(
        told(V::V1_19, &requires),
        ["[{}]: toRequires no longer exists since Cilium 1.19: move its labels into toEndpoints"]
    );
    let vrrp = port_rule("{ports: [{protocol: VRRP}]}");
    assert_eq!(told(V::V1_19, &vrrp), [""; 0]);
    assert_eq!(told(V::V1_18, &vrrp).len(), 2);
    let deny = rule("{endpointSelector: {}, ingress: [], enableDefaultDeny: {ingress: false}}");
    assert_eq!(told(V::V1_16, &deny), [""; 0]);
    assert_eq!(told(V::V1_15, &deny).len(), 1);
    assert_eq!(told(V::V1_15, &rule("{}")), [""; 0]);
}

#[test]
fn every_schema_compiles_for_every_release() {
    for kind in Kind::ALL {
        for version in CiliumVersion::ALL {
            assert!(schema_of(kind, version).is_some(), "{kind:?} {version}");
        }
    }
}

/// Calls `look` with every part of a schema that describes a field, and its name.
fn each_field(schema: &JsonValue, look: &mut impl FnMut(&str, &JsonValue)) {
    if let Some(fields) = schema.get("properties").and_then(JsonValue::as_object) {
        fields.iter().for_each(|(name, field)| look(name, field));
    }
    match schema {
        JsonValue::Object(map) => {
            let inner = map.iter().filter(|(key, _)| *key != "dependentSchemas");
            inner.for_each(|(_, inner)| each_field(inner, look));
        }
        JsonValue::Array(items) => items.iter().for_each(|inner| each_field(inner, look)),
        _ => {}
    }
}

#[test]
fn every_field_is_described_in_itself_or_in_its_definition() {
    for kind in Kind::ALL {
        let schema: JsonValue = serde_json::from_str(compiled::source(kind).1).unwrap();
        each_field(&schema, &mut |name, field| {
            let definition = field["$ref"].as_str().and_then(|at| schema.pointer(at.strip_prefix('#')?));
            let described =
                [Some(field), definition].into_iter().flatten().any(|part| part["description"].is_string());
            assert!(described, "{kind:?} {name}");
        });
    }
}

#[test]
fn a_definition_that_stands_in_both_cilium_schemas_is_the_same_in_both() {
    let definitions = |kind| -> serde_json::Map<String, JsonValue> {
        let mut schema: JsonValue = serde_json::from_str(compiled::source(kind).1).unwrap();
        let mut definitions = schema["$defs"].as_object_mut().map(std::mem::take).unwrap();
        definitions.remove("metadata");
        definitions
    };
    assert_eq!(definitions(Kind::CiliumNetworkPolicy), definitions(Kind::CiliumClusterwideNetworkPolicy));
}

#[test]
fn every_ready_made_policy_has_the_shape_of_its_kind() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut checked = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        silent(&text);
        checked += objects(&parse(FileId(0), &text)).len();
    }
    assert_eq!(checked, 5);
}
