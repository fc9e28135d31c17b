//! policyfix finds out why Cilium dropped a flow and mends the manifest that caused it.
//!
//! The data goes one way: files are read (`load`, `yaml`, `flow`) and modelled
//! (`policy`, `inventory`, `gitops`, `model`), the flows are judged (`engine`), what
//! is denied is diagnosed (`diagnose`), mends are proposed, proven and ranked
//! (`repair`), and what is left is written (`report`). `suggest` tells this story;
//! `lint` tells the one that needs no flow.
pub mod cli;
pub mod diagnose;
pub mod engine;
pub mod explain;
pub mod finding;
pub mod flow;
pub mod gitops;
pub mod inventory;
pub mod label;
pub mod lint;
pub mod load;
pub mod manifest;
pub mod model;
pub mod naming;
pub mod policy;
pub mod repair;
pub mod report;
pub mod schema;
pub mod source;
pub mod spelling;
pub mod suggest;
pub mod traffic;
pub mod version;
pub mod yaml;
