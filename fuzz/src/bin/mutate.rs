//! The laws of the fuzz targets without a fuzzer, for toolchains that have
//! none: seeds of the corpus are mutated by a fixed sequence of numbers.
//!
//! `mutate TARGET SECONDS [SEED]`; what breaks a law is left in `broken-TARGET`.
#![allow(clippy::print_stdout, reason = "it is a tool for people")]

#[path = "../laws.rs"]
mod laws;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// Pieces that mean something to one of the readers.
const PIECES: &[&str] = &[
    ": ", "- ", "\n", "\n  ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: ", "|\n", ">-\n", "'", "\"", "#", "---\n", "? ",
    "!t ", "~", "{}", "[]", "null", "0", "-1", "65536", "4294967296", "0.0.0.0/0", "::/0", "*", "**.", "${A}", "{{",
    "true", "k8s:", "any:", "reserved:", "matchLabels", "matchExpressions", "toPorts", "ingressDeny", "egress", "icmps",
    "fromEntities", "toServices", "enableDefaultDeny", "specs", "\\u0000", "\\ud800", "\u{feff}", "\r\n", "\t", "é", "\0",
    "DROPPED", "FORWARDED", "AUDIT", "POLICY_DENY", "\"count\":0", "L7", "SCTP", "ICMPv6", "protocol", "endPort", "world",
];

/// Xorshift: the same sequence everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, target, seconds, rest @ ..] = arguments.as_slice() else {
        println!("usage: mutate TARGET SECONDS [SEED]");
        process::exit(2);
    };
    let law: fn(&[u8]) = match target.as_str() {
        "yaml" => laws::yaml,
        "policy_decode" => laws::policy_decode,
        "flow_lines" => laws::flow_lines,
        "engine_order" => laws::engine_order,
        "suggest_small" => laws::suggest_small,
        _ => process::exit(2),
    };
    let seed = rest.first().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap_or(60));
    let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.into_iter().filter_map(|file| fs::read(file).ok()).collect();
    let mut numbers = Numbers(seed);
    let (mut runs, mut broken, mut slowest) = (0_u64, 0, Duration::ZERO);
    while Instant::now() < end {
        let input = mutated(&seeds, &mut numbers);
        let start = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| law(&input))).is_err() {
            let file = format!("broken-{target}-{broken}");
            let _ = fs::write(file, &input);
            broken += 1;
            if broken == 10 {
                break;
            }
        }
        slowest = slowest.max(start.elapsed());
        runs += 1;
    }
    println!("{target}: {runs} inputs, {broken} broke a law, the slowest took {slowest:?}");
}

/// A seed with one to six mutations.
fn mutated(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seeds.get(numbers.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(input.len() + 1);
        let end = (at + numbers.below(24)).min(input.len());
        match numbers.below(7) {
            0 => drop(input.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
            1 => drop(input.splice(at..end, PIECES[numbers.below(PIECES.len())].bytes())),
            2 => drop(input.drain(at..end)),
            3 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(200)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            4 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            5 => {
                // A line elsewhere.
                let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
                let line = lines[numbers.below(lines.len()).min(lines.len().saturating_sub(1))].to_vec();
                let place: usize = lines[..numbers.below(lines.len() + 1)].iter().map(|line| line.len()).sum();
                input.splice(place..place, line);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = numbers.below(256) as u8;
                }
            }
        }
        if input.is_empty() {
            break;
        }
    }
    input
}
