#![no_main]

#[path = "../src/laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(init: laws::bear_panics_of_the_yaml_parser(), |data: &[u8]| laws::flow_lines(data));
