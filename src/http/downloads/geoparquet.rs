//! Parquet, GeoParquet 1.1 where there are contours: what pandas, DuckDB and Power BI read.

use super::Encoded;
use super::rows::{Extract, Kind, Row, Value};
use crate::http::state::around;
use arrow_array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use geozero::{CoordDimensions, ToWkb};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::json;
use std::error::Error;
use std::sync::Arc;

/// The column of contours.
const GEOMETRY: &str = "geometry";

/// Contours are WKB in CRS84, which GeoParquet takes unless told otherwise; what there is to say lies in the metadata.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let rows = extract.rows();
    let columns = extract.columns();
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let values = rows.iter().map(|row| &row.values[at]);
        let whole = |value: &Value<'_>| match value {
            Value::Whole(whole) => i64::try_from(*whole).ok(),
            Value::Text(_) | Value::Withheld => None,
        };
        let array: ArrayRef = match column.kind {
            Kind::Text => Arc::new(StringArray::from_iter_values(values.map(|value| match value {
                Value::Text(text) => text.as_ref(),
                Value::Whole(_) | Value::Withheld => "",
            }))),
            Kind::Year => {
                Arc::new(values.map(|value| whole(value).and_then(|w| i32::try_from(w).ok())).collect::<Int32Array>())
            }
            Kind::Figure => Arc::new(values.map(whole).collect::<Int64Array>()),
        };
        let said = [("description".to_owned(), column.meaning.to_owned())];
        let field = Field::new(column.name, array.data_type().clone(), column.kind == Kind::Figure);
        fields.push(field.with_metadata(said.into()));
        arrays.push(array);
    }
    let mut metadata: Vec<KeyValue> =
        extract.about().into_iter().map(|(name, _, words)| KeyValue::new(name.to_owned(), words)).collect();
    if let Some((contours, geo)) = contours(&rows)? {
        fields.push(Field::new(GEOMETRY, DataType::Binary, true));
        arrays.push(contours);
        metadata.push(KeyValue::new("geo".to_owned(), geo));
    }
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("arpent ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    writer.write(&RecordBatch::try_new(schema, arrays)?)?;
    Ok(writer.into_inner()?)
}

/// The column of contours, and what GeoParquet says of it; `None` when no row has one.
fn contours(rows: &[Row<'_>]) -> Result<Option<(ArrayRef, String)>, Box<dyn Error + Send + Sync>> {
    let Some(contours) = rows.iter().map(Row::contour).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let bounds = around(contours.iter());
    let mut column = Vec::new();
    for contour in contours {
        column.push(geo::Geometry::MultiPolygon(contour).to_wkb(CoordDimensions::xy())?);
    }
    let mut told = json!({
        "encoding": "WKB", "geometry_types": ["MultiPolygon"], "orientation": "counterclockwise", "edges": "planar",
    });
    if let Some(bounds) = bounds {
        told["bbox"] = json!([bounds.min().x, bounds.min().y, bounds.max().x, bounds.max().y]);
    }
    let geo = json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": { GEOMETRY: told } });
    Ok(Some((Arc::new(BinaryArray::from_iter_values(column)), geo.to_string())))
}
