//! Whole runs of the program as people see them: what it prints to both streams,
//! and its exit code. `TRYCMD=overwrite` writes what is expected anew.

#[test]
fn runs_print_what_is_expected() {
    trycmd::TestCases::new().case("tests/cli/*.toml");
}
