//! Step 1: bytes become records.

pub mod files;
pub mod zones;

mod dbf;
mod encoding;
mod geojson;
mod geopackage;
pub(super) mod rings;
mod shapefile;
mod wkt;

pub mod table;

mod csv;
mod pages;
mod parquet;
mod spreadsheet;
mod xls;

pub mod columns;

pub mod headcounts;

pub mod groups;
pub mod microdata;
pub mod points;
pub mod register;
pub mod sirene;

pub use files::Files;
pub use zones::{Contours, Field, FieldType, LayerReport, ZoneLayer, ZoneOptions, contours, inspect, zones};
