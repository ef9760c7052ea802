//! Parquet, GeoParquet 1.1 where there are contours: what pandas, DuckDB and Power BI read.

use super::rows::{Column, Extract, Kind, Row, Value};
use super::{Encoded, Failure};
use crate::http::state::around_both;
use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use geo::{BoundingRect, Rect};
use geozero::{CoordDimensions, ToWkb};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::json;
use std::sync::Arc;

/// The column of contours.
const GEOMETRY: &str = "geometry";

/// Rows made at a time: some megabytes of contours, whatever the zoning.
const BATCH_ROWS: usize = 1024;

/// Contours are WKB in CRS84, which GeoParquet takes unless told otherwise; what there is to say lies in the metadata.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let columns = extract.columns();
    let mut fields: Vec<Field> = columns.iter().map(field).collect();
    if extract.has_contours() {
        fields.push(Field::new(GEOMETRY, DataType::Binary, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let metadata = extract.about().into_iter().map(|(name, _, words)| KeyValue::new(name.to_owned(), words)).collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("arpent ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    let (mut rows, mut bounds) = (extract.rows(), None);
    loop {
        let batch: Vec<Row<'_>> = rows.by_ref().take(BATCH_ROWS).collect();
        if batch.is_empty() {
            break;
        }
        let mut arrays: Vec<ArrayRef> = columns.iter().enumerate().map(|(at, c)| values(&batch, at, c.kind)).collect();
        if extract.has_contours() {
            arrays.push(contours(&batch, &mut bounds)?);
        }
        writer.write(&RecordBatch::try_new(schema.clone(), arrays)?)?;
    }
    if extract.has_contours() {
        writer.append_key_value_metadata(KeyValue::new("geo".to_owned(), about_contours(bounds)));
    }
    Ok(writer.into_inner()?)
}

fn field(column: &Column) -> Field {
    let kind = match column.kind {
        Kind::Text => DataType::Utf8,
        Kind::Year => DataType::Int32,
        Kind::Figure => DataType::Int64,
    };
    let said = [("description".to_owned(), column.meaning.to_owned())];
    Field::new(column.name, kind, column.kind == Kind::Figure).with_metadata(said.into())
}

/// A column of a batch, by its place.
fn values(batch: &[Row<'_>], at: usize, kind: Kind) -> ArrayRef {
    let values = batch.iter().map(|row| &row.values[at]);
    let whole = |value: &Value<'_>| match value {
        Value::Whole(whole) => i64::try_from(*whole).ok(),
        Value::Text(_) | Value::Withheld => None,
    };
    match kind {
        Kind::Text => Arc::new(StringArray::from_iter_values(values.map(|value| match value {
            Value::Text(text) => text,
            Value::Whole(_) | Value::Withheld => "",
        }))),
        Kind::Year => {
            Arc::new(values.map(|value| whole(value).and_then(|w| i32::try_from(w).ok())).collect::<Int32Array>())
        }
        Kind::Figure => Arc::new(values.map(whole).collect::<Int64Array>()),
    }
}

/// The contours of a batch; the box around all so far grows by theirs.
fn contours(batch: &[Row<'_>], bounds: &mut Option<Rect>) -> Result<ArrayRef, Failure> {
    let mut column = BinaryBuilder::new();
    for row in batch {
        let contour = row.contour().ok_or("found a zone without a contour, expected one")?;
        *bounds = around_both(*bounds, contour.bounding_rect());
        column.append_value(geo::Geometry::MultiPolygon(contour).to_wkb(CoordDimensions::xy())?);
    }
    Ok(Arc::new(column.finish()))
}

/// What GeoParquet says of the column of contours.
fn about_contours(bounds: Option<Rect>) -> String {
    let mut told = json!({
        "encoding": "WKB", "geometry_types": ["MultiPolygon"], "orientation": "counterclockwise", "edges": "planar",
    });
    if let Some(bounds) = bounds {
        told["bbox"] = json!([bounds.min().x, bounds.min().y, bounds.max().x, bounds.max().y]);
    }
    json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": { GEOMETRY: told } }).to_string()
}
