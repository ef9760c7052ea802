//! FlatGeobuf: one file that is read in parts over HTTP, with an index of places.

use super::Encoded;
use super::rows::{Extract, Kind, Value};
use flatgeobuf::{ColumnType, FgbCrs, FgbWriter, FgbWriterOptions, GeometryType};
use geozero::{ColumnValue, PropertyProcessor};
use serde_json::{Map, Value as Json};

/// Number of WGS 84 in the EPSG register; coordinates are longitude, latitude, as the format has it.
const WGS84: i32 = 4326;

/// A withheld figure has no value in its row, which readers show as null.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let about = extract.about();
    let metadata: Map<String, Json> =
        about.iter().map(|(name, _, words)| ((*name).to_owned(), words.as_str().into())).collect();
    let metadata = Json::Object(metadata).to_string();
    let description = about.iter().map(|(_, title, words)| format!("{title} : {words}")).collect::<Vec<_>>().join("\n");
    let title = format!("{}, {}", extract.title, extract.vintage);
    let layer = extract.layer();
    let mut writer = FgbWriter::create_with_options(
        &layer,
        GeometryType::MultiPolygon,
        FgbWriterOptions {
            crs: FgbCrs { org: Some("EPSG"), code: WGS84, name: Some("WGS 84"), ..FgbCrs::default() },
            title: Some(&title),
            description: Some(&description),
            metadata: Some(&metadata),
            ..FgbWriterOptions::default()
        },
    )?;
    let columns = extract.columns();
    for column in &columns {
        let kind = match column.kind {
            Kind::Text => ColumnType::String,
            Kind::Year => ColumnType::Int,
            Kind::Figure => ColumnType::Long,
        };
        writer.add_column(column.name, kind, |builder, told| {
            told.nullable = column.kind == Kind::Figure;
            told.description = Some(builder.create_string(column.meaning));
        });
    }
    for row in extract.rows() {
        let Some(contour) = row.contour() else { continue };
        let mut written = Ok(false);
        writer.add_feature_geom(geo::Geometry::MultiPolygon(contour), |feature| {
            for (at, (column, value)) in columns.iter().zip(&row.values).enumerate() {
                let value = match (value, column.kind) {
                    (Value::Text(text), _) => ColumnValue::String(text),
                    (Value::Whole(whole), Kind::Year) => ColumnValue::Int(*whole as i32),
                    (Value::Whole(whole), _) => ColumnValue::Long(*whole as i64),
                    (Value::Withheld, _) => continue,
                };
                written = feature.property(at, column.name, &value);
                if written.is_err() {
                    break;
                }
            }
        })?;
        written?;
    }
    let mut bytes = Vec::new();
    writer.write(&mut bytes)?;
    Ok(bytes)
}
