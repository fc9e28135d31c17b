//! Findings for the tests of all formats.

use std::ops::Range;
use std::path::PathBuf;

use crate::finding::{FileChange, Finding, Fix, Label, Note, Safety, Severity};
use crate::source::{FileId, Source, Sources, Span, Splice};

const LEDGER: &str = r#"apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ledger, namespace: payments}
spec:
  endpointSelector: {matchLabels: {app: ledger}}
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: api
            # the shop is in another namespace
            k8s:io.kubernetes.pod.namespace: shop
      toPorts:
        - ports:
            - port: "443"
              protocol: TCP
"#;

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: ledger
  namespace: payments
spec:
  ports:
    - port: 443
      targetPort: 50051
";

/// The sample of the plan: a Service's port where the pod's was meant.
pub(crate) fn service_port() -> (Finding, Sources) {
    let mut sources = Sources::default();
    let mut add = |name: &str, text: &str| {
        sources.add(Source::new(PathBuf::from(name), name.to_owned(), text.to_owned()))
    };
    let ledger = add("k8s/payments/ledger.yaml", LEDGER);
    let service = add("k8s/payments/service.yaml", SERVICE);
    let port = find(LEDGER, "\"443\"");
    let target = find(SERVICE, "50051");
    let label = |file: FileId, range: &Range<usize>, text: &str| Label {
        span: Span::new(file, range.start as u32, range.end as u32),
        text: text.to_owned(),
    };
    let note = |heading, text: &str| Note { heading, text: text.to_owned() };
    let finding = Finding {
        id: "service-port",
        severity: Severity::Error,
        title: "shop/api → payments/ledger TCP 50051 is dropped at ingress".to_owned(),
        primary: Some(label(ledger, &port, "this rule admits shop/api, but on 443")),
        related: vec![label(service, &target, "the pod listens here")],
        notes: vec![
            note(
                "why",
                "443 is the port of Service payments/ledger; policy is enforced at the pod, \
                 where it is targetPort 50051 (k8s/payments/service.yaml:9)",
            ),
            note("seen", "37 times, first on 2026-11-19 at 18:02:11, last on 2026-11-20 at 09:39:29"),
            note(
                "fix",
                "change \"443\" to \"50051\" (safe): opens payments/ledger TCP 50051 to shop/api, nothing else",
            ),
            note(
                "proof",
                "passes egress by shop/api-egress and ingress by payments/ledger; \
                 212 flows that passed still pass",
            ),
        ],
        fix: Some(Fix {
            title: "change \"443\" to \"50051\"".to_owned(),
            safety: Safety::Safe,
            files: vec![replacement(&sources, ledger, port, "\"50051\"")],
        }),
    };
    (finding, sources)
}

/// A finding at one place of one file `a.yaml`, without fix.
pub(crate) fn sample(text: &str, range: Range<usize>) -> (Finding, Sources) {
    let mut sources = Sources::default();
    let file = sources.add(Source::new("a.yaml".into(), "a.yaml".into(), text.into()));
    let label = Label { span: Span::new(file, range.start as u32, range.end as u32), text: "here".into() };
    let finding = Finding {
        id: "wrong-port",
        severity: Severity::Warning,
        title: "something is wrong".into(),
        primary: Some(label),
        related: Vec::new(),
        notes: Vec::new(),
        fix: None,
    };
    (finding, sources)
}

/// A finding that no manifest is blamed for, mended by a new file.
pub(crate) fn new_policy() -> Finding {
    let change = FileChange {
        file: None,
        path: PathBuf::from("k8s/new.yaml"),
        name: "k8s/new.yaml".to_owned(),
        before: String::new(),
        after: "kind: CiliumNetworkPolicy\n".to_owned(),
        edits: Vec::new(),
    };
    Finding {
        id: "missing-policy",
        severity: Severity::Error,
        title: "shop/web is closed and no policy speaks of it".to_owned(),
        primary: None,
        related: Vec::new(),
        notes: Vec::new(),
        fix: Some(Fix { title: "add a policy".to_owned(), safety: Safety::Safe, files: vec![change] }),
    }
}

/// One splice of one file.
pub(crate) fn replacement(sources: &Sources, file: FileId, range: Range<usize>, text: &str) -> FileChange {
    let source = &sources[file];
    let mut after = source.text.clone();
    after.replace_range(range.clone(), text);
    FileChange {
        file: Some(file),
        path: source.path.clone(),
        name: source.name.clone(),
        before: source.text.clone(),
        after,
        edits: vec![Splice { range, text: text.to_owned() }],
    }
}

fn find(text: &str, part: &str) -> Range<usize> {
    let start = text.find(part).unwrap();
    start..start + part.len()
}
