//! `policyfix explain`: the page of one finding.

use std::io;

use clap::Args;

use super::{Exit, Streams};
use crate::explain::{PAGES, page, suggest_nearest};

/// Shows what a finding means, how Cilium decides, an example and the mend
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The id of the finding, as it stands in brackets in a message; without it all ids are listed
    id: Option<String>,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let Some(id) = &arguments.id else {
        let widest = PAGES.iter().map(|page| page.id.len()).max().unwrap_or(0);
        for page in PAGES {
            writeln!(streams.out, "{:widest$}  {}", page.id, page.title)?;
        }
        return Ok(Exit::Clean);
    };
    match page(id) {
        Some(page) => {
            write!(streams.out, "{}", page.text)?;
            Ok(Exit::Clean)
        }
        None => {
            let hint = suggest_nearest(id).map_or(String::new(), |near| format!("; did you mean {near}?"));
            writeln!(streams.err, "error: there is no finding {id:?}{hint}")?;
            writeln!(streams.err, "`policyfix explain` lists them all")?;
            Ok(Exit::Unusable)
        }
    }
}
