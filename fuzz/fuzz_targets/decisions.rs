//! Decisions about establishments.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::decisions("a.csv", bytes.to_vec()));
