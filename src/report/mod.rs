//! Findings and verdicts to text: one file a format, and the only code that formats.

pub mod diff;
pub mod flows;
#[cfg(test)]
mod testing;
pub mod verdict;
