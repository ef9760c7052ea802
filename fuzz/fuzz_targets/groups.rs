//! Tables of groups.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::groups_table("a.csv", bytes.to_vec()));
