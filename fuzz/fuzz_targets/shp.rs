//! The contours of a shapefile.
#![no_main]

#[path = "../../tests/it/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::part_of_shapefile(".shp", bytes.to_vec()));
