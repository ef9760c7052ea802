//! Headcounts, and the public files of Sirene.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::sirene("a.csv", bytes.to_vec()));
