//! Descriptions of τ-ARGUS, and records read by them.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::argus_rda("a.rda", bytes.to_vec()));
