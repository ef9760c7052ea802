//! Apache Parquet: only the columns asked for are decoded, and each is cast to what the table layer wants.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::table::{BATCH_ROWS, Batch, Broken, Column, FIELD_BYTES_MAX, Input, Kind, NumberFault};
use crate::model::{Reject, Unreadable};

pub(super) struct ParquetBody {
    builder: Option<ParquetRecordBatchReaderBuilder<Input>>,
    reader: Option<ParquetRecordBatchReader>,
    /// For each selected column, its place in the projection and its kind.
    selected: Vec<(usize, Kind)>,
    /// For each selected column, its place in the file.
    fields: Vec<usize>,
    rows: usize,
    bytes_max: u64,
}

impl ParquetBody {
    pub(super) fn open(name: &str, input: Input, bytes_max: u64) -> Result<(Vec<String>, Self), Unreadable> {
        // Parquet's own types are enough; the Arrow schema some writers add is one more thing that may be damaged.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = guarded(name, || ParquetRecordBatchReaderBuilder::try_new_with_options(input, options))?
            .map_err(|error| damaged(name, &error.to_string()))?;
        let headers = builder.schema().fields().iter().map(|field| field.name().trim().to_owned()).collect();
        let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let body =
            Self { builder: Some(builder), reader: None, selected: Vec::new(), fields: Vec::new(), rows, bytes_max };
        Ok((headers, body))
    }

    pub(super) fn select(
        &mut self,
        name: &str,
        headers: &[String],
        wanted: &[(usize, Kind)],
    ) -> Result<(), Unreadable> {
        let builder = self.builder.take().expect("columns are selected once");
        let fields = builder.schema().fields().clone();
        for &(at, _) in wanted {
            let found = fields[at].data_type();
            if !is_scalar(found) {
                let found = format!("the type {found}").chars().take(100).collect::<String>();
                let mut unreadable = Unreadable::file("column_type", name, found, "texts or numbers");
                unreadable.0.field = headers.get(at).cloned();
                return Err(unreadable);
            }
        }
        let mut projected: Vec<usize> = wanted.iter().map(|&(at, _)| at).collect();
        projected.sort_unstable();
        projected.dedup();
        let place = |at| projected.binary_search(&at).expect("every wanted column is projected");
        self.selected = wanted.iter().map(|&(at, kind)| (place(at), kind)).collect();
        self.fields = wanted.iter().map(|&(at, _)| at).collect();

        let mask = ProjectionMask::roots(builder.parquet_schema(), projected.iter().copied());
        let bytes: u64 = builder
            .metadata()
            .row_groups()
            .iter()
            .flat_map(|group| group.columns().iter().enumerate())
            .filter(|(leaf, _)| mask.leaf_included(*leaf))
            .map(|(_, column)| u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX))
            .fold(0, u64::saturating_add);
        if bytes > self.bytes_max {
            let found = format!("{bytes} uncompressed bytes");
            return Err(Unreadable::file("too_large", name, found, format!("{} bytes at most", self.bytes_max)));
        }
        let reader = guarded(name, || builder.with_projection(mask).with_batch_size(BATCH_ROWS).build())?
            .map_err(|error| damaged(name, &error.to_string()))?;
        self.reader = Some(reader);
        Ok(())
    }

    /// Whether a column holds whole numbers; asked before columns are selected.
    pub(super) fn is_whole(&self, column: usize) -> bool {
        let schema = self.builder.as_ref().map(|builder| builder.schema().clone());
        schema.is_some_and(|schema| {
            let found = schema.field(column).data_type();
            found.is_integer() && *found != DataType::UInt64
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn progress(&self, rows_read: usize) -> f64 {
        rows_read as f64 / self.rows.max(1) as f64
    }

    pub(super) fn next_batch(
        &mut self,
        name: &str,
        headers: &[String],
        first_row: usize,
    ) -> Result<Option<Batch>, Unreadable> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let Some(record) = guarded(name, || reader.next())? else { return Ok(None) };
        let record = record.map_err(|error| damaged(name, &error.to_string()))?;
        let rows = record.num_rows();
        let mut columns = Vec::with_capacity(self.selected.len());
        let mut broken: Vec<Broken> = Vec::new();
        for (&(place, kind), &at) in self.selected.iter().zip(&self.fields) {
            let array = record.column(place);
            let long = |index: usize| Broken {
                index,
                reject: Reject {
                    code: "field_too_long",
                    file: name.to_owned(),
                    row: Some(first_row + index),
                    field: headers.get(at).cloned(),
                    found: format!("a field longer than {FIELD_BYTES_MAX} bytes"),
                    expected: format!("{FIELD_BYTES_MAX} bytes at most"),
                },
            };
            columns.push(
                guarded(name, || column(array, kind, |index| broken.push(long(index))))?
                    .map_err(|error| damaged(name, &error.to_string()))?,
            );
        }
        broken.sort_by_key(|b| b.index);
        broken.dedup_by_key(|b| b.index);
        Ok(Some(Batch { first_row, places: (first_row..first_row + rows).collect(), columns, broken }))
    }
}

/// Casts an array to a column; `long` is told of the rows whose text is too long, which become empty.
fn column(array: &ArrayRef, kind: Kind, mut long: impl FnMut(usize)) -> Result<Column, arrow_schema::ArrowError> {
    if kind == Kind::Whole {
        let whole = arrow_cast::cast(array, &DataType::Int64)?;
        return Ok(Column::Whole(whole.as_primitive::<Int64Type>().clone()));
    }
    let mut column = Column::new(kind);
    if let (Column::Number(numbers), true) = (&mut column, array.data_type().is_numeric()) {
        let values = arrow_cast::cast(array, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        if values.null_count() == 0 {
            numbers.extend(values.values());
            return Ok(column);
        }
        for index in 0..values.len() {
            if values.is_null(index) {
                numbers.push_fault(NumberFault::Empty);
            } else {
                numbers.push(values.value(index));
            }
        }
        return Ok(column);
    }
    let texts = arrow_cast::cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    for index in 0..texts.len() {
        let text = if texts.is_null(index) { "" } else { texts.value(index) };
        if text.len() > FIELD_BYTES_MAX {
            long(index);
            column.push("", false);
        } else {
            column.push(text, false);
        }
    }
    Ok(column)
}

fn is_scalar(found: &DataType) -> bool {
    match found {
        DataType::Dictionary(_, values) => is_scalar(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Null | DataType::Boolean | DataType::Decimal128(..) | DataType::Decimal256(..) => true,
        found => found.is_numeric(),
    }
}

/// Damaged pages can trip assertions inside the decoder; such a file is unreadable, and must not take the service down.
fn guarded<T>(name: &str, read: impl FnOnce() -> T) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| damaged(name, "a page that breaks its own rules"))
}

fn damaged(name: &str, cause: &str) -> Unreadable {
    let cause: String = cause.chars().filter(|c| !c.is_control()).take(200).collect();
    Unreadable::file("parquet_damaged", name, format!("damaged Parquet ({cause})"), "a whole Parquet file")
}
