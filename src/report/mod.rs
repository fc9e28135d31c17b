//! Findings and verdicts to text: one file a format, and the only code that formats.

pub mod flows;
pub mod tally;
pub mod verdict;
