//! Tables as Parquet. Words of a list are written by their place in it: nobody looks at their letters row by row, which
//! would cost more than placing the points.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, ColumnPath};

use super::{OutCells, OutColumn, OutKind, WholeFile};

/// Rows of a group: what readers expect, and a few megabytes in memory.
const GROUP_ROWS: usize = 1 << 20;
/// Rows of a page of words.
const PAGE_ROWS: usize = 1 << 16;

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
    Words { words: Vec<u32>, list: Option<Arc<StringArray>> },
    Others(ArrowColumnWriter),
}

impl ParquetTable {
    pub(super) fn create(file: WholeFile, columns: &[OutColumn]) -> Result<Self> {
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        // Readers see plain texts and numbers; our own types in memory are nobody's business.
        let types = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
        let file = SerializedFileWriter::new(file, types, Arc::new(properties(columns)))?;
        let writers = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        let kinds = columns.iter().map(|column| column.kind).collect();
        Ok(Self { schema, kinds, file, writers, group: Vec::new(), rows: 0, groups: 0 })
    }

    pub(super) fn write(&mut self, columns: &[OutCells<'_>]) -> Result<()> {
        if self.group.is_empty() {
            let made = self.writers.create_column_writers(self.groups)?.into_iter().zip(&self.kinds);
            self.group = made
                .map(|(others, kind)| match kind {
                    OutKind::Word => Column::Words { words: Vec::new(), list: None },
                    OutKind::Text | OutKind::Whole | OutKind::Metres => Column::Others(others),
                })
                .collect();
        }
        for ((column, cells), field) in self.group.iter_mut().zip(columns).zip(self.schema.fields()) {
            match (column, cells) {
                (Column::Words { words, list }, OutCells::Words(more, all)) => {
                    words.extend_from_slice(more);
                    list.get_or_insert_with(|| Arc::clone(&all.words));
                }
                (Column::Others(writer), cells) => {
                    for leaf in compute_leaves(field, &array(cells)?)? {
                        writer.write(&leaf)?;
                    }
                }
                (Column::Words { .. }, _) => {
                    return Err(ParquetError::General("a column of words has others".to_owned()));
                }
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
            match column {
                Column::Others(writer) => writer.close()?.append_to_row_group(&mut group)?,
                Column::Words { words, list } => {
                    let list = list.unwrap_or_else(|| Arc::new(StringArray::new_null(0)));
                    let (bytes, close) = chunk(&words, &list, of_type)?;
                    group.append_column(&bytes, close)?;
                }
            }
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

/// For columns other than words, looking for repetitions costs more than it saves.
fn properties(columns: &[OutColumn]) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("arpent ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in columns.iter().filter(|column| column.kind == OutKind::Whole) {
        let path = ColumnPath::from(vec![column.name.clone()]);
        properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

fn array(cells: &OutCells<'_>) -> Result<ArrayRef> {
    Ok(match cells {
        OutCells::Texts(texts) => Arc::new(StringArray::from_iter_values(texts.iter())),
        OutCells::Whole(numbers) => Arc::new((*numbers).clone()) as Arc<Int64Array>,
        OutCells::Metres(metres) => {
            Arc::new(metres.iter().map(|m| (!m.is_nan()).then_some(*m)).collect::<Float64Array>())
        }
        OutCells::Words(..) => return Err(ParquetError::General("a column of others has words".to_owned())),
    })
}

/// A column of a group: those words of the list that occur, once each, then their numbers row by row (Apache Parquet
/// format, encodings `PLAIN`, `RLE` and `RLE_DICTIONARY`). A place beyond the list is a null.
fn chunk(words: &[u32], list: &StringArray, of_type: ColumnDescPtr) -> Result<(Bytes, ColumnCloseResult)> {
    const UNUSED: u32 = u32::MAX;
    let mut numbers = vec![UNUSED; list.len()];
    for &word in words {
        if let Some(number) = numbers.get_mut(word as usize) {
            *number = 0;
        }
    }
    let (mut dictionary, mut used) = (Vec::new(), 0);
    let (mut least, mut greatest): (Option<&str>, Option<&str>) = (None, None);
    for (at, number) in numbers.iter_mut().enumerate().filter(|(_, number)| **number != UNUSED) {
        let word = list.value(at);
        dictionary.extend((word.len() as u32).to_le_bytes());
        dictionary.extend_from_slice(word.as_bytes());
        least = Some(least.map_or(word, |least| least.min(word)));
        greatest = Some(greatest.map_or(word, |greatest| greatest.max(word)));
        *number = used;
        used += 1;
    }
    let width = (32 - used.saturating_sub(1).leading_zeros()).max(1);

    let mut sink = TrackedWrite::new(Vec::new());
    let mut pages = SerializedPageWriter::new(&mut sink);
    let length = dictionary.len();
    let page =
        Page::DictionaryPage { buf: dictionary.into(), num_values: used, encoding: Encoding::PLAIN, is_sorted: false };
    let dictionary = pages.write_page(CompressedPage::new(page, length))?;
    let mut of_page = Vec::with_capacity(words.len().min(PAGE_ROWS));
    let mut levels = Vec::new();
    let mut nulls = 0;
    let mut places = OffsetIndexBuilder::new();
    for rows in words.chunks(PAGE_ROWS) {
        of_page.clear();
        of_page.extend(rows.iter().filter_map(|&word| numbers.get(word as usize)));
        let mut page = vec![0; 4];
        if of_page.len() == rows.len() {
            repeated(1, rows.len(), 1, &mut page);
        } else {
            nulls += (rows.len() - of_page.len()) as u64;
            levels.clear();
            levels.extend(rows.iter().map(|&word| u32::from((word as usize) < numbers.len())));
            runs(&levels, 1, &mut page);
        }
        let length = (page.len() - 4) as u32;
        page[..4].copy_from_slice(&length.to_le_bytes());
        page.push(width as u8);
        runs(&of_page, width, &mut page);
        let length = page.len();
        let page = Page::DataPage {
            buf: page.into(),
            num_values: rows.len() as u32,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = pages.write_page(CompressedPage::new(page, length))?;
        places.append_row_count(rows.len() as i64);
        places.append_offset_and_size(page.offset as i64, page.compressed_size as i32);
    }
    pages.close()?;
    let bytes = sink.into_inner()?;
    let bound = |word: Option<&str>| word.map(|word| word.as_bytes().to_vec().into());
    let statistics = Statistics::byte_array(bound(least), bound(greatest), None, Some(nulls), false);
    let metadata = ColumnChunkMetaData::builder(of_type)
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
        .set_compression(Compression::UNCOMPRESSED)
        .set_num_values(words.len() as i64)
        .set_total_compressed_size(bytes.len() as i64)
        .set_total_uncompressed_size(bytes.len() as i64)
        .set_dictionary_page_offset(Some(0))
        .set_data_page_offset(dictionary.bytes_written as i64)
        .set_statistics(statistics)
        .build()?;
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: words.len() as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(places.build()),
    };
    Ok((bytes.into(), close))
}

/// Numbers that are packed, or counted, together.
const EIGHT: usize = 8;

/// Writes numbers of so many bits as runs of one number and as packed ones, whichever is shorter.
fn runs(numbers: &[u32], width: u32, into: &mut Vec<u8>) {
    let (mut packed_from, mut at) = (0, 0);
    while at + EIGHT <= numbers.len() {
        let first = numbers[at];
        if numbers[at..at + EIGHT].iter().any(|&number| number != first) {
            at += EIGHT;
            continue;
        }
        packed(&numbers[packed_from..at], width, into);
        let length = numbers[at..].iter().take_while(|&&number| number == first).count();
        repeated(first, length, width, into);
        at += length;
        packed_from = at;
    }
    packed(&numbers[packed_from..], width, into);
}

/// Writes one number that stands so many times.
fn repeated(number: u32, times: usize, width: u32, into: &mut Vec<u8>) {
    varint((times << 1) as u64, into);
    into.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Writes numbers bit by bit, filled up to whole eights with zeros.
fn packed(numbers: &[u32], width: u32, into: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let eights = numbers.len().div_ceil(EIGHT);
    varint((eights << 1 | 1) as u64, into);
    let end = into.len() + eights * width as usize;
    into.reserve(end - into.len() + EIGHT);
    let (mut bits, mut filled) = (0_u64, 0);
    for &number in numbers {
        bits |= u64::from(number) << filled;
        filled += width;
        if filled >= 32 {
            into.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            filled -= 32;
        }
    }
    into.extend_from_slice(&bits.to_le_bytes());
    into.resize(end, 0);
}

/// Writes a whole number, seven bits a byte.
fn varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::super::{TableWriter, WordList};
    use super::*;
    use crate::steps::read::table::{Input, Kind, Table};

    /// Runs, mixtures, nulls, one word and many, over several pages and groups, as a reader finds them again.
    #[test]
    fn words_are_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = 7_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for (words, rows) in
            [(1, 1), (1, 70_000), (2, 9), (3, 65_536), (300, 65_537), (49_000, GROUP_ROWS + 70_001), (5, 0)]
        {
            let spelt: Vec<String> = (0..words).map(|word| format!("zone {word} é")).collect();
            let list = WordList::new(spelt.iter().map(String::as_str));
            let mut cells: Vec<u32> = Vec::with_capacity(rows);
            while cells.len() < rows {
                let word = if random() % 10 == 0 { u32::MAX } else { random() % words };
                let times = if random() % 3 == 0 { random() % 40 } else { 1 };
                cells.extend(std::iter::repeat_n(word, times as usize));
            }
            cells.truncate(rows);
            let target = folder.path().join("words.parquet");
            let column = OutColumn { name: "zone".to_owned(), kind: OutKind::Word };
            let mut writer = TableWriter::create(&target, &[column]).unwrap();
            for part in cells.chunks(60_001) {
                writer.write(&[OutCells::Words(part, &list)]).unwrap();
            }
            writer.finish().unwrap().commit().unwrap();

            let file = Input::File(std::fs::File::open(&target).unwrap());
            let mut table = Table::open("words", file, 1 << 30).unwrap();
            table.select(&[(0, Kind::Text)]).unwrap();
            let mut found = 0;
            while let Some(batch) = table.next_batch().unwrap() {
                for (text, word) in batch.texts(0).iter().zip(&cells[found..]) {
                    assert_eq!(text, spelt.get(*word as usize).map_or("", String::as_str), "{words} words");
                }
                found += batch.len();
            }
            assert_eq!(found, rows, "{words} words");
        }
    }
}
