//! policyfix finds out why Cilium dropped a flow and mends the manifest that caused it.
pub mod engine;
pub mod explain;
pub mod flow;
pub mod gitops;
pub mod inventory;
pub mod label;
pub mod load;
pub mod manifest;
pub mod model;
pub mod policy;
pub mod schema;
pub mod source;
pub mod spelling;
pub mod traffic;
pub mod version;
pub mod yaml;
