//! Objects that policies refer to: CIDR groups and Services.

use std::net::IpAddr;

use ipnet::IpNet;

use super::matcher::Matcher;
use crate::label::{CLUSTER, NAMESPACE};
use crate::manifest::Text;
use crate::policy::Selector;
use crate::policy::cidr_group::CidrGroup;
use crate::policy::peer::ServicePeer;
use crate::policy::selector::{Operator, Origin, Requirement};
use crate::source::{FileId, Span, Spanned};
use crate::version::CiliumVersion;

/// What the engine resolves references with.
#[derive(Debug, Default)]
pub struct Resolver {
    pub(super) groups: Vec<Group>,
    pub(super) services: Vec<ServiceFacts>,
}

impl Resolver {
    /// From the CIDR groups and Services that are known.
    pub fn new(groups: &[CidrGroup<'_>], services: Vec<ServiceFacts>) -> Self {
        let group = |group: &CidrGroup<'_>| Group {
            name: group.name.as_ref().into(),
            labels: group.labels.iter().map(|(k, v)| (k.as_ref().into(), v.as_ref().into())).collect(),
            prefixes: group.prefixes.clone(),
            incomplete: group.incomplete,
        };
        Self { groups: groups.iter().map(group).collect(), services }
    }
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Box<str>,
    labels: Vec<(Box<str>, Box<str>)>,
    pub(super) prefixes: Vec<IpNet>,
    pub(super) incomplete: bool,
}

impl Group {
    /// Whether a `cidrGroupSelector` chooses this group: labels of source
    /// `cidrgroup`, the group's own and its name (4.4).
    pub(super) fn matches(&self, selector: &Selector<'_>) -> bool {
        selector.requirements.iter().all(|requirement| {
            let sourced = matches!(requirement.source.as_ref(), "any" | "cidrgroup");
            let own = self.labels.iter().find(|(key, _)| key.as_ref() == requirement.key);
            let named = requirement
                .key
                .strip_prefix("io.cilium.policy.cidrgroupname/")
                .is_some_and(|name| name == self.name.as_ref());
            let value = if !sourced {
                None
            } else if named {
                Some("")
            } else {
                own.map(|(_, value)| value.as_ref())
            };
            let listed = value.is_some_and(|value| requirement.values.iter().any(|own| own.value == value));
            match requirement.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

/// What a Service says that `toServices` depends on.
#[derive(Debug, Clone, Default)]
pub struct ServiceFacts {
    /// `metadata.namespace`.
    pub namespace: Box<str>,
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.labels`.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// `spec.selector`; `None` when it has none and its endpoints are listed by hand.
    pub selector: Option<Vec<(Box<str>, Box<str>)>>,
    /// The addresses behind a Service without selector.
    pub addresses: Vec<IpAddr>,
}

impl ServiceFacts {
    /// Whether an item of `toServices` means this Service.
    pub(super) fn is(&self, peer: &ServicePeer<'_>) -> bool {
        let namespace = peer
            .namespace
            .as_ref()
            .is_none_or(|own| own.value.is_empty() || own.value == self.namespace.as_ref());
        let by_name = peer.name.as_ref().is_some_and(|name| name.value == self.name.as_ref());
        let by_label = peer.selector.as_ref().is_some_and(|selector| {
            !selector.requirements.is_empty() && selector.requirements.iter().all(|r| self.has(r))
        });
        namespace && (by_name || by_label)
    }

    fn has(&self, requirement: &Requirement<'_>) -> bool {
        let own = self.labels.iter().find(|(key, _)| key.as_ref() == requirement.key);
        let listed =
            own.is_some_and(|(_, value)| requirement.values.iter().any(|v| v.value == value.as_ref()));
        match requirement.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => own.is_some(),
            Operator::DoesNotExist => own.is_none(),
        }
    }

    /// The pods behind the Service, in its own namespace.
    pub(super) fn matcher(
        &self,
        labels: &[(Box<str>, Box<str>)],
        version: CiliumVersion,
        cluster: &str,
    ) -> Matcher {
        let nowhere = Span::new(FileId(0), 0, 0);
        let is = |key: &str, value: &str| Requirement {
            source: Text::Borrowed("k8s"),
            key: Text::Owned(key.to_owned()),
            operator: Operator::In,
            values: vec![Spanned::new(Text::Owned(value.to_owned()), nowhere)],
            origin: Origin::Injected,
        };
        let mut requirements: Vec<_> = labels.iter().map(|(key, value)| is(key, value)).collect();
        requirements.push(is(NAMESPACE, &self.namespace));
        if version >= CiliumVersion::V1_19 {
            requirements.push(is(CLUSTER, cluster));
        }
        Matcher::new(&requirements, false)
    }
}
