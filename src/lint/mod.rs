//! Mistakes that can be seen without any flow: one file a rule, one registry.
//!
//! A rule reads the model and adds findings; it prints nothing and edits
//! nothing. What it finds is silent where the text is a template or holds a
//! variable, since nobody knows then what stands there.

pub mod baseline;
mod context;
pub mod fix;
mod found;
mod ignore;
mod matching;
mod population;
mod registry;
mod rules;
mod run;
mod subjects;

pub use context::{Context, Options};
pub use found::{Found, Mend};
pub use ignore::{Ignores, Unused};
pub use registry::{Check, Family, RULES, Rule, rule};
pub use run::{Choice, Outcome, UnknownName, run};
