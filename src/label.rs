//! A label of an identity: `source:key=value`.
//!
//! This is how Cilium prints labels in flows and how identities carry them
//! (`semantics.md` 2.1). Selectors ask for labels; see `policy::selector`.

use std::fmt;

/// The label key that holds a pod's namespace.
pub const NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// The prefix under which an identity carries the labels of its Namespace object.
pub const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";
/// The label key that holds the name of the cluster.
pub const CLUSTER: &str = "io.cilium.k8s.policy.cluster";
/// The label key that holds the service account.
pub const SERVICE_ACCOUNT: &str = "io.cilium.k8s.policy.serviceaccount";

/// Whether a key is one that Cilium itself puts on the identities of pods.
pub fn is_given(key: &str) -> bool {
    matches!(key, NAMESPACE | CLUSTER | SERVICE_ACCOUNT) || key.starts_with(NAMESPACE_LABELS)
}

/// The value of a Kubernetes label among those of an identity.
pub fn k8s_value<'l>(labels: &'l [Label], key: &str) -> Option<&'l str> {
    let found = labels.iter().find(|label| &*label.source == "k8s" && &*label.key == key);
    found.map(|label| label.value.as_ref())
}

/// One label of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// `k8s`, `reserved`, `cidr`, `fqdn`, `container` …
    pub source: Box<str>,
    /// The key, without its source.
    pub key: Box<str>,
    /// The value; empty where none is written.
    pub value: Box<str>,
}

impl Label {
    /// A label of any source.
    pub fn new(source: &str, key: &str, value: &str) -> Self {
        Self { source: source.into(), key: key.into(), value: value.into() }
    }

    /// A Kubernetes label.
    pub fn k8s(key: &str, value: &str) -> Self {
        Self::new("k8s", key, value)
    }

    /// `reserved:<name>`: a class of identity that is no pod.
    pub fn reserved(name: &str) -> Self {
        Self::new("reserved", name, "")
    }

    /// Reads `source:key=value`, the form in flows: split at the first `:`,
    /// then at the first `=`; without a source it is `unspec`.
    pub fn parse(text: &str) -> Self {
        let (source, rest) = text.split_once(':').unwrap_or(("unspec", text));
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        Self::new(source, key, value)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.key)?;
        if !self.value.is_empty() {
            write!(f, "={}", self.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reads_and_prints_as_cilium_writes_it() {
        for text in ["k8s:app=web", "reserved:world", "k8s:a/b=c:d=e", "cidr:1.1.1.1/32"] {
            assert_eq!(Label::parse(text).to_string(), text);
        }
        assert_eq!(Label::parse("k8s:a=b=c"), Label::k8s("a", "b=c"));
        assert_eq!(Label::parse("app=x"), Label::new("unspec", "app", "x"));
    }
}
