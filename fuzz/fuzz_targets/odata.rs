//! `$filter`.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::odata_filter("a", bytes.to_vec()));
