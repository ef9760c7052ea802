//! Step 1: bytes become records.

mod dbf;
mod encoding;
pub mod files;
mod geojson;
mod geopackage;
mod rings;
mod shapefile;
mod wkt;
pub mod zones;

pub use files::Files;
pub use zones::{Field, FieldType, LayerReport, ZoneLayer, ZoneOptions, inspect, zones};
