//! Tables as Parquet: texts and measures by the library, words and whole numbers by [`super::pages`], since the usual way
//! would cost more than placing the points.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;

use super::pages::{WholePages, WordPages};
use super::{OutCells, OutColumn, OutKind, WholeFile};

/// Rows of a group: what readers expect, and a few megabytes in memory.
const GROUP_ROWS: usize = 1 << 20;

/// A Parquet table being written.
pub(super) struct ParquetTable {
    schema: SchemaRef,
    kinds: Vec<OutKind>,
    file: SerializedFileWriter<WholeFile>,
    writers: ArrowRowGroupWriterFactory,
    group: Vec<Column>,
    /// Rows of the group.
    rows: usize,
    /// Groups before it.
    groups: usize,
}

/// A column of the group in the making.
enum Column {
    Words(WordPages),
    Whole(WholePages),
    Others(Box<ArrowColumnWriter>),
}

impl ParquetTable {
    pub(super) fn create(file: WholeFile, columns: &[OutColumn]) -> Result<Self> {
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        // Readers see plain texts and numbers; our own types in memory are nobody's business.
        let types = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
        let file = SerializedFileWriter::new(file, types, Arc::new(properties()))?;
        let writers = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        let kinds = columns.iter().map(|column| column.kind).collect();
        Ok(Self { schema, kinds, file, writers, group: Vec::new(), rows: 0, groups: 0 })
    }

    pub(super) fn write(&mut self, columns: &[OutCells<'_>]) -> Result<()> {
        if self.group.is_empty() {
            let made = self.writers.create_column_writers(self.groups)?.into_iter().zip(&self.kinds);
            self.group = made
                .map(|(others, kind)| match kind {
                    OutKind::Word => Column::Words(WordPages::new()),
                    OutKind::Whole => Column::Whole(WholePages::new()),
                    OutKind::Text | OutKind::Metres => Column::Others(Box::new(others)),
                })
                .collect();
        }
        for ((column, cells), field) in self.group.iter_mut().zip(columns).zip(self.schema.fields()) {
            match (column, cells) {
                (Column::Words(pages), OutCells::Words(more, list)) => pages.write(more, &list.words)?,
                (Column::Whole(pages), OutCells::Whole(numbers)) => pages.write(numbers)?,
                (Column::Others(writer), cells) => {
                    for leaf in compute_leaves(field, &array(cells)?)? {
                        writer.write(&leaf)?;
                    }
                }
                (Column::Words(_) | Column::Whole(_), _) => return Err(other_cells()),
            }
        }
        self.rows += columns.first().map_or(0, OutCells::len);
        if self.rows >= GROUP_ROWS { self.close_group() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<WholeFile> {
        self.close_group()?;
        self.file.into_inner()
    }

    fn close_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let types = self.file.schema_descr().columns().to_vec();
        let mut group = self.file.next_row_group()?;
        for (column, of_type) in std::mem::take(&mut self.group).into_iter().zip(types) {
            let (bytes, close) = match column {
                Column::Others(writer) => {
                    writer.close()?.append_to_row_group(&mut group)?;
                    continue;
                }
                Column::Words(pages) => pages.close(of_type)?,
                Column::Whole(pages) => pages.close(of_type)?,
            };
            group.append_column(&bytes, close)?;
        }
        group.close()?;
        self.rows = 0;
        self.groups += 1;
        Ok(())
    }
}

fn field(column: &OutColumn) -> Field {
    let (kind, nullable) = match column.kind {
        OutKind::Text => (DataType::Utf8, false),
        OutKind::Word => (DataType::Utf8, true),
        OutKind::Whole => (DataType::Int64, true),
        OutKind::Metres => (DataType::Float64, true),
    };
    Field::new(&column.name, kind, nullable)
}

/// For texts that seldom repeat and for measures, looking for repetitions costs more than it saves.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("arpent ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

fn array(cells: &OutCells<'_>) -> Result<ArrayRef> {
    Ok(match cells {
        OutCells::Texts(texts) => Arc::new(StringArray::from_iter_values(texts.iter())),
        OutCells::Metres(metres) => {
            Arc::new(metres.iter().map(|m| (!m.is_nan()).then_some(*m)).collect::<Float64Array>())
        }
        OutCells::Words(..) | OutCells::Whole(_) => return Err(other_cells()),
    })
}

fn other_cells() -> ParquetError {
    ParquetError::General("a column has cells of another kind".to_owned())
}
