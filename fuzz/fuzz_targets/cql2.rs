//! CQL2 text.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::cql2_text("a", bytes.to_vec()));
