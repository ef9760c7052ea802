//! Step 1: bytes become records.

pub mod files;
pub mod zones;

mod dbf;
mod encoding;
mod geojson;
mod geopackage;
mod rings;
mod shapefile;
mod wkt;

pub mod table;

mod csv;
mod parquet;
mod spreadsheet;
mod xls;

pub mod columns;

pub mod headcounts;

pub mod microdata;
pub mod points;
pub mod register;
pub mod sirene;

pub use files::Files;
pub use zones::{Field, FieldType, LayerReport, ZoneLayer, ZoneOptions, inspect, zones};
