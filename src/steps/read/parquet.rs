//! Apache Parquet: only the columns asked for are decoded, and each is cast to what the table layer wants.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::pages::{PageReader, Source};
use super::table::{BATCH_ROWS, Batch, Broken, Column, FIELD_BYTES_MAX, Input, Kind, NumberFault, Numbers};
use crate::model::{Reject, Unreadable};

pub(super) struct ParquetBody {
    source: Arc<Source>,
    metadata: ArrowReaderMetadata,
    /// The groups of rows that are left to be read.
    groups: Range<usize>,
    selection: Option<Arc<Selection>>,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows of the whole file.
    rows: usize,
    /// Rows of a batch, at most.
    pub(super) batch_rows: usize,
    bytes_max: u64,
}

/// The columns that are read.
struct Selection {
    mask: ProjectionMask,
    /// For each of them, its place in the projection and its kind.
    selected: Vec<(usize, Kind)>,
    /// For each of them, its place in the file.
    fields: Vec<usize>,
}

impl ParquetBody {
    pub(super) fn open(name: &str, input: Input, bytes_max: u64) -> Result<(Vec<String>, Self), Unreadable> {
        // Parquet's own types are enough; the Arrow schema some writers add is one more thing that may be damaged.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let source = Source::new(input);
        let metadata = guarded(name, || ArrowReaderMetadata::load(&PageReader::new(&source), options))?
            .map_err(|error| damaged(name, &error.to_string()))?;
        let headers = metadata.schema().fields().iter().map(|field| field.name().trim().to_owned()).collect();
        let rows = usize::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let groups = 0..metadata.metadata().num_row_groups();
        let (selection, reader, batch_rows) = (None, None, BATCH_ROWS);
        Ok((headers, Self { source, metadata, groups, selection, reader, rows, batch_rows, bytes_max }))
    }

    pub(super) fn select(
        &mut self,
        name: &str,
        headers: &[String],
        wanted: &[(usize, Kind)],
    ) -> Result<(), Unreadable> {
        let fields = self.metadata.schema().fields();
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

        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), projected.iter().copied());
        let bytes: u64 = self
            .metadata
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
        self.selection = Some(Arc::new(Selection {
            mask,
            selected: wanted.iter().map(|&(at, kind)| (place(at), kind)).collect(),
            fields: wanted.iter().map(|&(at, _)| at).collect(),
        }));
        Ok(())
    }

    /// Takes off the first groups of rows that fill a batch, with how many rows they say they have; none when all that is
    /// left fits in one, or is being read.
    pub(super) fn split_off(&mut self) -> Option<(Self, usize)> {
        let (end, sum) = self.first_part(self.groups.start);
        if end == self.groups.end || self.reader.is_some() {
            return None;
        }
        let first = Self {
            source: Arc::clone(&self.source),
            metadata: self.metadata.clone(),
            groups: self.groups.start..end,
            selection: self.selection.clone(),
            reader: None,
            rows: self.rows,
            batch_rows: self.batch_rows,
            bytes_max: self.bytes_max,
        };
        self.groups.start = end;
        Some((first, sum))
    }

    /// Whether a column holds whole numbers; asked before columns are selected.
    pub(super) fn is_whole(&self, column: usize) -> bool {
        let found = self.metadata.schema().field(column).data_type();
        found.is_integer() && *found != DataType::UInt64
    }

    /// How many parts [`Self::split_off`] makes of what is left, and how many batches the largest one has.
    pub(super) fn parts(&self) -> (usize, usize) {
        let (mut parts, mut most, mut start) = (0, 0, self.groups.start);
        while start < self.groups.end {
            let (end, rows) = self.first_part(start);
            (parts, most, start) = (parts + 1, most.max(rows), end);
        }
        (parts, most.div_ceil(self.batch_rows.max(1)))
    }

    /// Where the groups from one on end that fill a batch, and how many rows they say they have.
    fn first_part(&self, start: usize) -> (usize, usize) {
        let rows = |group| usize::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0);
        let (mut end, mut sum) = (start, 0_usize);
        while end < self.groups.end && sum < BATCH_ROWS {
            sum = sum.saturating_add(rows(end));
            end += 1;
        }
        (end, sum)
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
        let Some(selection) = self.selection.clone() else { return Ok(None) };
        if self.reader.is_none() {
            let input = PageReader::new(&self.source);
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, self.metadata.clone())
                .with_projection(selection.mask.clone())
                .with_row_groups(self.groups.clone().collect())
                .with_batch_size(self.batch_rows);
            let reader = guarded(name, || builder.build())?;
            self.reader = Some(reader.map_err(|error| damaged(name, &error.to_string()))?);
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let Some(record) = guarded(name, || reader.next())? else { return Ok(None) };
        let record = record.map_err(|error| damaged(name, &error.to_string()))?;
        let rows = record.num_rows();
        let (_, arrays, _) = record.into_parts();
        // The last to ask for an array owns it, and may then take over its memory.
        let mut arrays: Vec<Option<ArrayRef>> = arrays.into_iter().map(Some).collect();
        let mut columns = Vec::with_capacity(selection.selected.len());
        let mut broken: Vec<Broken> = Vec::new();
        for (number, (&(place, kind), &at)) in selection.selected.iter().zip(&selection.fields).enumerate() {
            let asked_again = selection.selected[number + 1..].iter().any(|&(other, _)| other == place);
            let array = if asked_again { arrays[place].clone() } else { arrays[place].take() };
            let array = array.expect("an array is taken by the last who asks for it");
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
fn column(array: ArrayRef, kind: Kind, mut long: impl FnMut(usize)) -> Result<Column, arrow_schema::ArrowError> {
    if kind == Kind::Whole {
        let whole = cast(array, &DataType::Int64)?;
        return Ok(Column::Whole(whole.as_primitive::<Int64Type>().clone()));
    }
    let mut column = Column::new(kind);
    if let (Column::Number(numbers), true) = (&mut column, array.data_type().is_numeric()) {
        let values = cast(array, &DataType::Float64)?;
        if values.null_count() == 0 {
            *numbers = Numbers::sound(numbers_of(values));
            return Ok(column);
        }
        let values = values.as_primitive::<Float64Type>();
        for index in 0..values.len() {
            if values.is_null(index) {
                numbers.push_fault(NumberFault::Empty);
            } else {
                numbers.push(values.value(index));
            }
        }
        return Ok(column);
    }
    let texts = cast(array, &DataType::Utf8)?;
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

fn cast(array: ArrayRef, to: &DataType) -> Result<ArrayRef, arrow_schema::ArrowError> {
    if array.data_type() == to { Ok(array) } else { arrow_cast::cast(&array, to) }
}

/// The values of an array without gaps, in its own memory where nobody else holds it.
fn numbers_of(array: ArrayRef) -> Vec<f64> {
    let values = array.as_primitive::<Float64Type>().clone();
    drop(array);
    let (_, values, _) = values.into_parts();
    values.into_inner().into_vec().unwrap_or_else(|shared| shared.typed_data().to_vec())
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
