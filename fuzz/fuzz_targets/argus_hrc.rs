//! Its hierarchies.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::argus_hrc("a.hrc", bytes.to_vec()));
