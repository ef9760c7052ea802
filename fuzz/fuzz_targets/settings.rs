//! Specifications, policies, settings, mappings.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::settings("a.toml", bytes.to_vec()));
