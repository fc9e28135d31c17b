//! Who there is, by namespace, and whom each policy is about: so that a question
//! about one policy does not ask every identity of the cluster.

use rustc_hash::FxHashMap;

use super::IdentityId;

/// All identities, found by what selectors ask first.
#[derive(Debug, Default)]
pub(super) struct Census {
    everybody: Vec<IdentityId>,
    by_namespace: FxHashMap<Box<str>, Vec<IdentityId>>,
    by_policy: FxHashMap<u32, Vec<IdentityId>>,
}

impl Census {
    /// Counts an identity whose labels name these namespaces, nearly always one
    /// or none, and that these policies are about.
    pub(super) fn add<'n>(
        &mut self,
        id: IdentityId,
        namespaces: impl Iterator<Item = &'n str>,
        policies: impl Iterator<Item = u32>,
    ) {
        self.everybody.push(id);
        for namespace in namespaces {
            self.by_namespace.entry(namespace.into()).or_default().push(id);
        }
        for policy in policies {
            let subjects = self.by_policy.entry(policy).or_default();
            // One policy may have several rules about an identity.
            if subjects.last() != Some(&id) {
                subjects.push(id);
            }
        }
    }

    /// Everybody in some namespaces; everybody there is where none are named.
    pub(super) fn within(&self, namespaces: Option<&[Box<str>]>) -> impl Iterator<Item = IdentityId> {
        let everybody = if namespaces.is_none() { self.everybody.as_slice() } else { &[] };
        let there = namespaces.into_iter().flatten().filter_map(|namespace| self.by_namespace.get(namespace));
        everybody.iter().chain(there.flatten()).copied()
    }

    /// Everybody whom a policy is about, or may be.
    pub(super) fn subjects_of(&self, policy: u32) -> impl Iterator<Item = IdentityId> {
        self.by_policy.get(&policy).into_iter().flatten().copied()
    }
}
