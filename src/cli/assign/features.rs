//! GeoJSON files of single points, to lay over the map.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::output::WholeFile;
use crate::model::Unreadable;
use crate::steps::reproject::ToDegrees;

/// A GeoJSON file of points (RFC 7946: longitude and latitude), a feature a line.
pub(super) struct PointsFile {
    into: BufWriter<WholeFile>,
    target: PathBuf,
    back: ToDegrees,
    features: usize,
}

impl PointsFile {
    /// Begins a draft of the file, which appears once it is whole.
    pub(super) fn create(target: &Path) -> Result<Self, Unreadable> {
        let mut into = BufWriter::new(WholeFile::create(target)?);
        let target = target.to_owned();
        into.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[")
            .map_err(|error| unwritable(&target, &error))?;
        Ok(Self { into, target, back: ToDegrees::new()?, features: 0 })
    }

    /// Adds a point of EPSG:2154 metres; one without a usable coordinate has no geometry.
    pub(super) fn add(&mut self, x: f64, y: f64, properties: &Value) -> Result<(), Unreadable> {
        let geometry = self.back.point(x, y).map(|(lon, lat)| {
            // A tenth of a metre.
            let round = |v: f64| (v * 1e6).round() / 1e6;
            json!({"type": "Point", "coordinates": [round(lon), round(lat)]})
        });
        let feature = json!({"type": "Feature", "geometry": geometry, "properties": properties});
        let comma = if self.features > 0 { ",\n" } else { "\n" };
        write!(self.into, "{comma}{feature}").map_err(|error| unwritable(&self.target, &error))?;
        self.features += 1;
        Ok(())
    }

    /// The file, whole.
    pub(super) fn finish(mut self) -> Result<WholeFile, Unreadable> {
        let ended = self.into.write_all(b"\n]}\n");
        let ended = ended.and_then(|()| self.into.into_inner().map_err(std::io::Error::from));
        ended.map_err(|error| unwritable(&self.target, &error))
    }
}

fn unwritable(target: &Path, error: &std::io::Error) -> Unreadable {
    let file = target.display().to_string();
    Unreadable::file("output_unwritable", file, error.to_string(), "a place that can be written")
}
