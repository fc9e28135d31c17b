//! What is common to the tests of shapes, and those that are about no single
//! check of the API server.

mod checks;

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
