//! The same policies in many styles of YAML, each value broken in turn: the mend
//! is as good in every style, and is written in that style.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cluster;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cluster::breakage::{Breakage, breakages};
use cluster::{Call, Files, Shop, folder, folders, mend};
use policyfix::engine::Judgement;
use rayon::prelude::*;

/// What became of one breakage.
#[derive(Clone, Copy)]
struct Row {
    mended: bool,
    kept: bool,
    tight: bool,
    exact: bool,
}

#[test]
fn each_value_broken_in_each_style_is_mended_in_that_style() {
    let shop = Shop::new();
    let universe = shop.universe();
    // A quarter of the breakages in each style: each of them is met in one style or two.
    let share = if std::env::var_os("ALL_BREAKAGES").is_some() { 1 } else { 4 };
    let (mut table, mut unmended, mut all) = (String::new(), Vec::new(), Vec::new());
    let mut values = Vec::new();
    for (number, style) in folders(&folder("styles")).into_iter().enumerate() {
        let name = style.file_name().unwrap().to_str().unwrap();
        let healthy = shop.with_policies(&style);
        let passes = passing(&shop.endpoints.judge(&healthy, &universe));
        let breakages: Vec<Breakage> =
            breakages(&healthy).into_iter().skip(number % share).step_by(share).collect();
        let rows: Vec<(&Breakage, Row)> = breakages
            .par_iter()
            .filter_map(|breakage| Some((breakage, row(&shop, &healthy, breakage, &universe, &passes)?)))
            .collect();
        writeln!(table, "{name}: {}", rates(rows.iter().map(|(_, row)| *row))).unwrap();
        let mut classes: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for (breakage, row) in &rows {
            classes.entry(breakage.class).or_default().push(*row);
            if breakage.class.starts_with("wrong-") {
                values.push(*row);
            }
            let told = format!("{name} {} ({})", breakage.place, breakage.what);
            if !row.mended || !row.kept || !row.tight {
                unmended.push(format!("mended {} kept {} tight {}: {told}", row.mended, row.kept, row.tight));
            } else if !row.exact {
                writeln!(table, "    not exact: {told}").unwrap();
            }
        }
        for (class, rows) in classes {
            writeln!(table, "    {class:24} {}", rates(rows.into_iter())).unwrap();
        }
        all.extend(rows.into_iter().map(|(_, row)| row));
    }
    println!("{table}values: {}\nall: {}", rates(values.iter().copied()), rates(all.iter().copied()));
    assert!(unmended.is_empty(), "{unmended:#?}");
    // A rule that is gone may come back in another place or joined with its like.
    for (name, rows, least) in [("values", values, 87), ("all", all, 75)] {
        let exact = rows.iter().filter(|row| row.exact).count();
        assert!(
            exact * 100 >= rows.len() * least,
            "{exact} of {} {name} are exact, not {least} %",
            rows.len()
        );
    }
}

fn rates(rows: impl Iterator<Item = Row> + Clone) -> String {
    let count = |holds: fn(Row) -> bool| rows.clone().filter(|row| holds(*row)).count();
    format!(
        "{:3} mended {:3} kept {:3} tight {:3} exact {:3}",
        rows.clone().count(),
        count(|row| row.mended),
        count(|row| row.kept),
        count(|row| row.tight),
        count(|row| row.exact)
    )
}

fn passing(judgements: &[Judgement]) -> Vec<bool> {
    judgements.iter().map(Judgement::passes).collect()
}

/// `None` where the breakage keeps no call of the shop from passing.
fn row(shop: &Shop, healthy: &Files, breakage: &Breakage, universe: &[Call], passes: &[bool]) -> Option<Row> {
    let before = shop.endpoints.judge(&breakage.files, &shop.traffic);
    if before.iter().all(Judgement::passes) {
        return None;
    }
    let mended = mend(&breakage.files, shop.endpoints.observe(&shop.traffic, &before));
    let after = shop.endpoints.judge(&mended.files, &shop.traffic);
    let opened = shop.endpoints.judge(&mended.files, universe);
    Some(Row {
        mended: after.iter().zip(&before).all(|(after, before)| before.passes() || after.passes()),
        kept: after.iter().zip(&before).all(|(after, before)| !before.passes() || after.passes()),
        tight: opened.iter().zip(passes).all(|(after, healthy)| *healthy || !after.passes()),
        exact: mended.files == *healthy,
    })
}
