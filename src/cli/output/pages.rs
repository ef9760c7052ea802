//! Columns as pages of Parquet, encoded batch by batch as they come: nothing waits for its group but bytes that are small
//! already, and no letter or number is looked at twice.
//!
//! Encodings by the Apache Parquet format: `RLE_DICTIONARY` over a `PLAIN` dictionary for words of a list,
//! `DELTA_BINARY_PACKED` for whole numbers, `RLE` for what is missing.

use std::sync::Arc;

use arrow_array::{Array, Int64Array, StringArray};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// Rows of a page: a batch, as readers give it.
const PAGE_ROWS: usize = 1 << 16;

/// Pages of a column of a group.
struct Pages {
    bytes: TrackedWrite<Vec<u8>>,
    /// Rows, place and length of each.
    places: Vec<(usize, u64, usize)>,
    rows: usize,
    nulls: usize,
}

impl Pages {
    fn new() -> Self {
        Self { bytes: TrackedWrite::new(Vec::new()), places: Vec::new(), rows: 0, nulls: 0 }
    }

    /// Adds a page, whose bytes begin with what is missing in it.
    fn add(&mut self, page: Vec<u8>, rows: usize, nulls: usize, encoding: Encoding) -> Result<()> {
        let length = page.len();
        let page = Page::DataPage {
            buf: page.into(),
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = SerializedPageWriter::new(&mut self.bytes).write_page(CompressedPage::new(page, length))?;
        self.places.push((rows, page.offset, page.compressed_size));
        self.rows += rows;
        self.nulls += nulls;
        Ok(())
    }

    /// The column of the group, behind its dictionary if it has one: how many words, and their bytes.
    fn close(
        self,
        of_type: ColumnDescPtr,
        dictionary: Option<(u32, Vec<u8>)>,
        encodings: Vec<Encoding>,
        statistics: Statistics,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut front = TrackedWrite::new(Vec::new());
        let has_dictionary = dictionary.is_some();
        if let Some((num_values, bytes)) = dictionary {
            let length = bytes.len();
            let (encoding, is_sorted) = (Encoding::PLAIN, false);
            let page = Page::DictionaryPage { buf: bytes.into(), num_values, encoding, is_sorted };
            SerializedPageWriter::new(&mut front).write_page(CompressedPage::new(page, length))?;
        }
        let mut bytes = front.into_inner()?;
        let begin = bytes.len();
        bytes.extend(self.bytes.into_inner()?);
        let mut index = OffsetIndexBuilder::new();
        for (rows, offset, length) in self.places {
            index.append_row_count(rows as i64);
            index.append_offset_and_size((begin as u64 + offset) as i64, length as i32);
        }
        let metadata = ColumnChunkMetaData::builder(of_type)
            .set_encodings(encodings)
            .set_compression(Compression::UNCOMPRESSED)
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(bytes.len() as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_data_page_offset(begin as i64)
            .set_statistics(statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok((bytes.into(), close))
    }
}

/// A column of words of a list.
pub(super) struct WordPages {
    pages: Pages,
    list: Option<Arc<StringArray>>,
    /// For each word of the list its place in the dictionary of the group, [`UNUSED`] before it occurs; then one more, for
    /// all places beyond the list.
    numbers: Vec<u32>,
    /// The words of the dictionary, as places in the list.
    used: Vec<u32>,
}

const UNUSED: u32 = u32::MAX;
const MISSING: u32 = u32::MAX - 1;
/// Words whose numbers are looked up before any is judged.
const LOOKED_UP_TOGETHER: usize = 64;

impl WordPages {
    pub(super) fn new() -> Self {
        Self { pages: Pages::new(), list: None, numbers: vec![MISSING], used: Vec::new() }
    }

    /// Adds rows: for each the place of its word in the list, the same list for all rows of a group.
    pub(super) fn write(&mut self, words: &[u32], list: &Arc<StringArray>) -> Result<()> {
        if self.list.as_ref().is_some_and(|before| !Arc::ptr_eq(before, list)) {
            return Err(ParquetError::General("a column of words has two lists".to_owned()));
        }
        if self.list.is_none() {
            self.numbers = vec![UNUSED; list.len()];
            self.numbers.push(MISSING);
            self.list = Some(Arc::clone(list));
        }
        let beyond = self.numbers.len() - 1;
        for words in words.chunks(PAGE_ROWS) {
            let (mut of_page, mut there) = (vec![0; words.len()], 0);
            for words in words.chunks(LOOKED_UP_TOGETHER) {
                // Nearly always all of them are there and known, and then no number waits for the one before.
                let mut greatest = 0;
                for (number, &word) in of_page[there..].iter_mut().zip(words) {
                    *number = self.numbers[(word as usize).min(beyond)];
                    greatest = greatest.max(*number);
                }
                if greatest < MISSING {
                    there += words.len();
                    continue;
                }
                // Each is written behind those that are there; one that is missing is written over by the next.
                for &word in words {
                    let word = (word as usize).min(beyond);
                    let mut number = self.numbers[word];
                    if number == UNUSED {
                        number = self.used.len() as u32;
                        self.numbers[word] = number;
                        self.used.push(word as u32);
                    }
                    of_page[there] = number;
                    there += usize::from(number != MISSING);
                }
            }
            of_page.truncate(there);
            let nulls = words.len() - there;
            let mut page = missing(words.len(), nulls, || words.iter().map(|&word| word as usize >= beyond));
            let width = (32 - (self.used.len() as u32).saturating_sub(1).leading_zeros()).max(1);
            page.push(width as u8);
            runs(&of_page, width, &mut page);
            self.pages.add(page, words.len(), nulls, Encoding::RLE_DICTIONARY)?;
        }
        Ok(())
    }

    /// The column of the group: those words of the list that occur, once each, then their numbers row by row.
    pub(super) fn close(self, of_type: ColumnDescPtr) -> Result<(Bytes, ColumnCloseResult)> {
        let mut dictionary = Vec::new();
        let (mut least, mut greatest): (Option<&str>, Option<&str>) = (None, None);
        let words = self.list.iter().flat_map(|list| self.used.iter().map(|&at| list.value(at as usize)));
        for word in words {
            dictionary.extend((word.len() as u32).to_le_bytes());
            dictionary.extend_from_slice(word.as_bytes());
            least = Some(least.map_or(word, |least| least.min(word)));
            greatest = Some(greatest.map_or(word, |greatest| greatest.max(word)));
        }
        let bound = |word: Option<&str>| word.map(|word| word.as_bytes().to_vec().into());
        let nulls = Some(self.pages.nulls as u64);
        let statistics = Statistics::byte_array(bound(least), bound(greatest), None, nulls, false);
        let encodings = vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
        self.pages.close(of_type, Some((self.used.len() as u32, dictionary)), encodings, statistics)
    }
}

/// A column of whole numbers.
pub(super) struct WholePages {
    pages: Pages,
    /// The least and the greatest.
    range: Option<(i64, i64)>,
}

impl WholePages {
    pub(super) fn new() -> Self {
        Self { pages: Pages::new(), range: None }
    }

    pub(super) fn write(&mut self, numbers: &Int64Array) -> Result<()> {
        for from in (0..numbers.len()).step_by(PAGE_ROWS) {
            let rows = numbers.slice(from, PAGE_ROWS.min(numbers.len() - from));
            let nulls = rows.null_count();
            let mut page = missing(rows.len(), nulls, || (0..rows.len()).map(|row| rows.is_null(row)));
            if nulls == 0 {
                self.add(rows.values(), &mut page);
            } else {
                self.add(&rows.iter().flatten().collect::<Vec<i64>>(), &mut page);
            }
            self.pages.add(page, rows.len(), nulls, Encoding::DELTA_BINARY_PACKED)?;
        }
        Ok(())
    }

    fn add(&mut self, numbers: &[i64], page: &mut Vec<u8>) {
        if let (Some(&least), Some(&greatest)) = (numbers.iter().min(), numbers.iter().max()) {
            let before = self.range.unwrap_or((least, greatest));
            self.range = Some((before.0.min(least), before.1.max(greatest)));
        }
        differences(numbers, page);
    }

    pub(super) fn close(self, of_type: ColumnDescPtr) -> Result<(Bytes, ColumnCloseResult)> {
        let (least, greatest) = self.range.unzip();
        let statistics = Statistics::int64(least, greatest, None, Some(self.pages.nulls as u64), false);
        self.pages.close(of_type, None, vec![Encoding::RLE, Encoding::DELTA_BINARY_PACKED], statistics)
    }
}

/// The beginning of a page of a column that may be empty: which rows are, behind its length in bytes.
fn missing<I: Iterator<Item = bool>>(rows: usize, nulls: usize, is_missing: impl FnOnce() -> I) -> Vec<u8> {
    let mut page = vec![0; 4];
    if nulls == 0 {
        repeated(1, rows, 1, &mut page);
    } else {
        runs(&is_missing().map(|missing| u32::from(!missing)).collect::<Vec<_>>(), 1, &mut page);
    }
    let length = (page.len() - 4) as u32;
    page[..4].copy_from_slice(&length.to_le_bytes());
    page
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
    bits(numbers.iter().map(|&number| u64::from(number)), width, eights * width as usize, into);
}

/// Writes the lowest bits of numbers one after the other, and zeros up to so many bytes.
fn bits(numbers: impl Iterator<Item = u64>, width: u32, bytes: usize, into: &mut Vec<u8>) {
    let end = into.len() + bytes;
    into.reserve(bytes + size_of::<u64>());
    let (mut waiting, mut filled) = (0_u64, 0);
    for number in numbers {
        waiting |= number << filled;
        filled += width;
        if filled >= u64::BITS {
            into.extend_from_slice(&waiting.to_le_bytes());
            filled -= u64::BITS;
            // What did not fit of it.
            waiting = number.checked_shr(width - filled).unwrap_or(0);
        }
    }
    into.extend_from_slice(&waiting.to_le_bytes());
    into.resize(end, 0);
}

/// Numbers of a block of differences, and of each of its parts, which have a width of their own.
const BLOCK: usize = 128;
const PART: usize = 32;

/// Writes whole numbers as the first one and the differences of neighbours.
fn differences(numbers: &[i64], into: &mut Vec<u8>) {
    varint(BLOCK as u64, into);
    varint((BLOCK / PART) as u64, into);
    varint(numbers.len() as u64, into);
    let (first, rest) = numbers.split_first().map_or((0, numbers), |(first, rest)| (*first, rest));
    zigzag(first, into);
    let mut before = first;
    for block in rest.chunks(BLOCK) {
        let mut steps = [0_i64; BLOCK];
        for (step, &number) in steps.iter_mut().zip(block) {
            *step = number.wrapping_sub(before);
            before = number;
        }
        let steps = &steps[..block.len()];
        let least = steps.iter().copied().min().unwrap_or(0);
        zigzag(least, into);
        let above = |step: &i64| step.wrapping_sub(least) as u64;
        let widths = into.len();
        into.resize(widths + BLOCK / PART, 0);
        for (part, steps) in steps.chunks(PART).enumerate() {
            let width = u64::BITS - steps.iter().map(above).fold(0, |all, step| all | step).leading_zeros();
            into[widths + part] = width as u8;
            if width > 0 {
                bits(steps.iter().map(above), width, PART / EIGHT * width as usize, into);
            }
        }
    }
}

fn zigzag(number: i64, into: &mut Vec<u8>) {
    varint((number << 1 ^ number >> (i64::BITS - 1)) as u64, into);
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
    use super::super::{OutCells, OutColumn, OutKind, TableWriter, WordList};
    use crate::steps::read::table::{Column, Input, Kind, Table};

    /// Rows of a group are this many at least.
    const GROUP: usize = 1 << 20;

    fn random() -> impl FnMut() -> u32 {
        let mut state = 7_u32;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        }
    }

    /// Runs, mixtures, nulls, one word and many, over several pages and groups, as a reader finds them again.
    #[test]
    fn words_are_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = random();
        for (words, rows) in [(1, 1), (1, 70_000), (2, 9), (3, 65_536), (300, 65_537), (49_000, GROUP + 70_001), (5, 0)]
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
            // Groups of nothing but what is missing, too.
            if rows == 9 {
                cells.fill(u32::MAX);
            }
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

    /// Steps of every width up to 64 bits, with nulls and without, as a reader finds them again.
    #[test]
    fn whole_numbers_are_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = random();
        let mut wide = move || (0..3).fold(0_u64, |all, _| all << 24 | u64::from(random())) as i64;
        let mut columns: Vec<Vec<Option<i64>>> = vec![
            vec![],
            vec![None],
            vec![Some(i64::MIN)],
            vec![Some(i64::MIN), Some(i64::MAX), None, Some(0), Some(i64::MIN)],
            (0..GROUP as i64 + 70_001).map(|row| Some(row * 3)).collect(),
            (0..300).map(|row| (row % 7 > 0).then_some(row * row)).collect(),
        ];
        for width in 0..64 {
            columns
                .push((0..161 + width).map(|row| (width % 2 == 0 || row % 5 > 0).then(|| wide() >> width)).collect());
        }
        for numbers in columns {
            let target = folder.path().join("numbers.parquet");
            let column = OutColumn { name: "id".to_owned(), kind: OutKind::Whole };
            let mut writer = TableWriter::create(&target, &[column]).unwrap();
            for part in numbers.chunks(70_001) {
                writer.write(&[OutCells::Whole(&part.iter().copied().collect())]).unwrap();
            }
            writer.finish().unwrap().commit().unwrap();

            let file = Input::File(std::fs::File::open(&target).unwrap());
            let mut table = Table::open("numbers", file, 1 << 30).unwrap();
            table.select(&[(0, Kind::Whole)]).unwrap();
            let mut found: Vec<Option<i64>> = Vec::new();
            while let Some(batch) = table.next_batch().unwrap() {
                let Column::Whole(part) = &batch.columns[0] else { panic!("another kind of column") };
                found.extend(part.iter());
            }
            assert!(found == numbers, "{} numbers from {:?}", numbers.len(), numbers.first());
        }
    }
}
