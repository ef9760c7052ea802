//! Workbooks of Excel 97 to 2003.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::tables("a.xls", bytes.to_vec()));
