//! Spreadsheets: the first visible sheet that holds something, as a table. The only file that names calamine.
//!
//! The first row with two cells or more names the columns: a title above it is passed over. Cells are read as what they
//! hold, whatever their format shows: a SIRET kept as a number has all its digits, a date is `2024-12-31`.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Sheet, SheetType, SheetVisible, Xlsx};
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::table::{BATCH_ROWS, Batch, Broken, Column, FIELD_BYTES_MAX, Input, Kind, SheetFormat, unreadable_input};
use super::xls;
use crate::model::{Reject, Unreadable};

/// Bytes of a spreadsheet as a file: a full sheet of a million rows and twenty columns has about 100 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of its parts, inflated.
const PARTS_BYTES_MAX: u64 = 2 << 30;
/// Inflated bytes of the one part of an ODS file, which is held whole.
const ODS_BYTES_MAX: u64 = 512 << 20;
/// Parts of a zip archive: a workbook has some dozens.
const PARTS_MAX: usize = 10_000;
/// Cells that hold something: a million rows of twenty columns.
const CELLS_MAX: usize = 20_000_000;
/// Bytes of their texts.
const TEXT_BYTES_MAX: usize = 1 << 30;
/// Rows passed over before the names of columns: a title, a date, a blank line.
const TITLE_ROWS_MAX: usize = 20;

/// What a zip archive turned out to hold.
pub(super) enum Zipped {
    /// A spreadsheet.
    Sheet(Vec<String>, SheetBody),
    /// One text file, to be read as a stream.
    Text(Input),
}

/// Opens a zip archive: an XLSX or ODS workbook, or one text file, as INSEE sends Sirene's.
pub(super) fn open_zip(name: &str, input: Input) -> Result<Zipped, Unreadable> {
    match input {
        Input::File(mut file) => {
            let member = archive(name, &file).and_then(|mut archive| member(name, &mut archive))?;
            let start = member.as_ref().map_or(0, |member| member.start);
            file.seek(SeekFrom::Start(start)).map_err(|error| unreadable_input(name, &error))?;
            let Some(Member { packed, size, stored, .. }) = member else {
                return workbook(name, whole(name, Input::File(file))?);
            };
            Ok(Zipped::Text(unpacked(file.take(packed), size, stored)))
        }
        Input::Bytes(bytes) => {
            let member = archive(name, Cursor::new(&bytes)).and_then(|mut archive| member(name, &mut archive))?;
            let Some(Member { start, packed, size, stored }) = member else { return workbook(name, bytes) };
            let end = start.saturating_add(packed).min(bytes.len() as u64);
            let packed = Cursor::new(bytes.slice(start.min(end) as usize..end as usize));
            Ok(Zipped::Text(unpacked(packed, size, stored)))
        }
        stream @ Input::Stream { .. } => workbook(name, whole(name, stream)?),
    }
}

/// Opens an old workbook, `.xls`.
pub(super) fn open_xls(name: &str, input: Input) -> Result<(Vec<String>, SheetBody), Unreadable> {
    let bytes = whole(name, input)?;
    let mut cells = Cells::new(name);
    let sheets = guarded(name, || xls::read(name, &bytes, &mut cells))??;
    cells.table(SheetFormat::Xls, sheets)
}

/// The one text file of an archive, by its place.
struct Member {
    start: u64,
    packed: u64,
    size: u64,
    stored: bool,
}

fn archive<R: Read + Seek>(name: &str, reader: R) -> Result<ZipArchive<R>, Unreadable> {
    let archive = ZipArchive::new(reader).map_err(|_| not_a_table(name, "a damaged zip archive"))?;
    if archive.len() > PARTS_MAX {
        return Err(too_large(name, format!("{} parts", archive.len()), format!("{PARTS_MAX} at most")));
    }
    Ok(archive)
}

/// `None` for a workbook.
fn member<R: Read + Seek>(name: &str, archive: &mut ZipArchive<R>) -> Result<Option<Member>, Unreadable> {
    let names = names(archive);
    if names.iter().any(|part| part == "[content_types].xml" || part == "content.xml") {
        return Ok(None);
    }
    let is_text = |part: &str| {
        let file = part.rsplit('/').next().unwrap_or(part);
        let known = [".csv", ".txt", ".tsv"].iter().any(|extension| file.ends_with(extension));
        known && !file.starts_with('.') && !part.starts_with("__macosx/")
    };
    let mut texts = (0..names.len()).filter(|&at| is_text(&names[at]));
    let (first, second) = (texts.next(), texts.next());
    let (Some(at), None) = (first, second) else {
        let found =
            if first.is_none() { "a zip archive without a text file" } else { "a zip archive of several text files" };
        return Err(not_a_table(name, found));
    };
    let damaged = |_| not_a_table(name, "a damaged zip archive");
    let part = archive.by_index_raw(at).map_err(damaged)?;
    if part.encrypted() {
        return Err(not_a_table(name, "a zip archive protected by a password"));
    }
    let stored = match part.compression() {
        CompressionMethod::Stored => true,
        CompressionMethod::Deflated => false,
        other => return Err(not_a_table(name, &format!("a zip archive compressed by {other}"))),
    };
    let Some(start) = part.data_start() else { return Err(not_a_table(name, "a damaged zip archive")) };
    Ok(Some(Member { start, packed: part.compressed_size(), size: part.size(), stored }))
}

/// The names of the parts in small letters, in their order; empty where a name is no text.
fn names<R: Read + Seek>(archive: &ZipArchive<R>) -> Vec<String> {
    let name = |at| archive.name_for_index(at).and_then(Result::ok).map_or(String::new(), |name| name.to_lowercase());
    (0..archive.len()).map(name).collect()
}

fn unpacked(packed: impl Read + Send + Sync + 'static, bytes: u64, stored: bool) -> Input {
    let stream: Box<dyn Read + Send + Sync> =
        if stored { Box::new(packed) } else { Box::new(DeflateDecoder::new(packed)) };
    Input::Stream { stream, bytes }
}

fn whole(name: &str, input: Input) -> Result<Bytes, Unreadable> {
    let bytes = match input {
        Input::Bytes(bytes) => bytes,
        input @ (Input::File(_) | Input::Stream { .. }) => {
            let mut bytes = Vec::new();
            let read = input.into_stream().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
            read.map_err(|error| unreadable_input(name, &error))?;
            bytes.into()
        }
    };
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let found = format!("a spreadsheet of more than {FILE_BYTES_MAX} bytes");
        return Err(too_large(name, found, "a smaller one, or the same table as CSV".to_owned()));
    }
    Ok(bytes)
}

fn workbook(name: &str, bytes: Bytes) -> Result<Zipped, Unreadable> {
    let mut archive = archive(name, Cursor::new(&bytes))?;
    let names = names(&archive);
    if names.iter().any(|part| part.ends_with("workbook.bin")) {
        return Err(not_a_table(name, "a binary workbook (.xlsb)"));
    }
    let mut cells = Cells::new(name);
    let is_ods = names.iter().any(|part| part == "content.xml");
    if is_ods {
        check_ods(name, &mut archive)?;
    } else {
        check_xlsx(name, &mut archive)?;
    }
    let sheets =
        guarded(name, || if is_ods { ods(name, &bytes, &mut cells) } else { xlsx(name, &bytes, &mut cells) })??;
    let format = if is_ods { SheetFormat::Ods } else { SheetFormat::Xlsx };
    let (headers, body) = cells.table(format, sheets)?;
    Ok(Zipped::Sheet(headers, body))
}

/// Inflates every part once, before anything is kept: sizes that archives declare are not believed. A workbook that says
/// it shares more strings than its bytes can hold is refused, since memory is reserved for as many.
fn check_xlsx<R: Read + Seek>(name: &str, archive: &mut ZipArchive<R>) -> Result<(), Unreadable> {
    let mut left = PARTS_BYTES_MAX;
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).map_err(|_| damaged(name))?;
        let (mut size, mut shared) = (0_u64, 0_u64);
        let mut block = vec![0; 1 << 16];
        let mut kept = 0;
        loop {
            let read = part.read(&mut block[kept..]).map_err(|_| damaged(name))?;
            if read == 0 {
                break;
            }
            size += read as u64;
            if size > left {
                let found = format!("more than {PARTS_BYTES_MAX} bytes once inflated");
                return Err(too_large(name, found, "a smaller table, or the same as CSV".to_owned()));
            }
            let seen = &block[..kept + read];
            shared = shared.max(count_said(seen));
            // The name may be cut by the end of the block.
            kept = seen.len().min(COUNT_REACH);
            let from = seen.len() - kept;
            block.copy_within(from..from + kept, 0);
        }
        left -= size;
        if shared > size {
            return Err(damaged(name));
        }
    }
    Ok(())
}

/// Bytes from the name of the count to the end of its number, blanks included.
const COUNT_REACH: usize = 256;

/// The largest number after `uniqueCount`.
fn count_said(text: &[u8]) -> u64 {
    const NAME: &[u8] = b"uniqueCount";
    let mut most = 0;
    let mut rest = text;
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        rest = &rest[at + NAME.len()..];
        let digits: Vec<u8> = rest
            .iter()
            .take(COUNT_REACH)
            .copied()
            .skip_while(|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'"' | b'\''))
            .take_while(u8::is_ascii_digit)
            .collect();
        let number = std::str::from_utf8(&digits).ok().filter(|digits| !digits.is_empty());
        most = most.max(number.map_or(0, |digits| digits.parse().unwrap_or(u64::MAX)));
    }
    most
}

fn xlsx(name: &str, bytes: &Bytes, cells: &mut Cells) -> Result<usize, Unreadable> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|_| damaged(name))?;
    let sheets = sheets_of(workbook.sheets_metadata());
    for sheet in &sheets {
        let mut reader = workbook.worksheet_cells_reader(sheet).map_err(|_| damaged(name))?;
        while let Some(cell) = reader.next_cell().map_err(|_| damaged(name))? {
            let (row, column) = cell.get_position();
            match cell.get_value() {
                DataRef::Empty => {}
                DataRef::SharedString(text) => cells.push(row, column, text)?,
                DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                    cells.push(row, column, text)?;
                }
                DataRef::Int(number) => cells.push(row, column, &number.to_string())?,
                DataRef::Float(number) => cells.push(row, column, &number_text(*number))?,
                DataRef::Bool(truth) => cells.push(row, column, if *truth { "true" } else { "false" })?,
                DataRef::DateTime(date) => cells.push(row, column, &date_text(date))?,
                DataRef::Error(error) => cells.push(row, column, &error.to_string())?,
            }
        }
        if !cells.is_empty() {
            break;
        }
    }
    Ok(sheets.len())
}

fn ods(name: &str, bytes: &Bytes, cells: &mut Cells) -> Result<usize, Unreadable> {
    let mut workbook: Ods<_> = Ods::new(Cursor::new(bytes)).map_err(|_| damaged(name))?;
    let sheets = sheets_of(workbook.sheets_metadata());
    for sheet in &sheets {
        let range = workbook.worksheet_range(sheet).map_err(|_| damaged(name))?;
        let (first_row, first_column) = range.start().unwrap_or_default();
        for (row, column, cell) in range.used_cells() {
            let (row, column) = (first_row + row as u32, first_column + column as u32);
            match cell {
                Data::Empty => {}
                Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
                    cells.push(row, column, text)?
                }
                Data::Int(number) => cells.push(row, column, &number.to_string())?,
                Data::Float(number) => cells.push(row, column, &number_text(*number))?,
                Data::Bool(truth) => cells.push(row, column, if *truth { "true" } else { "false" })?,
                Data::DateTime(date) => cells.push(row, column, &date_text(date))?,
                Data::Error(error) => cells.push(row, column, &error.to_string())?,
            }
        }
        if !cells.is_empty() {
            break;
        }
    }
    Ok(sheets.len())
}

fn sheets_of(all: &[Sheet]) -> Vec<String> {
    let shown = |sheet: &&Sheet| sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet;
    all.iter().filter(shown).map(|sheet| sheet.name.clone()).collect()
}

/// A number without exponent; a whole one without decimals.
pub(super) fn number_text(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { format!("{number}") }
}

fn date_text(date: &ExcelDateTime) -> String {
    if date.is_duration() {
        return number_text(date.as_f64());
    }
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    match (hour, minute, second) {
        (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        (hour, minute, second) => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
    }
}

/// Reads the part that holds the sheets once, before anything is kept: a few bytes may ask for a million equal rows.
fn check_ods<R: Read + Seek>(name: &str, archive: &mut ZipArchive<R>) -> Result<(), Unreadable> {
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(|_| damaged(name))?;
        let is_content = part.name_raw() == b"content.xml";
        let mut text = Vec::new();
        let mut bounded = part.take(ODS_BYTES_MAX + 1);
        let size = if is_content {
            bounded.read_to_end(&mut text).map(|size| size as u64)
        } else {
            std::io::copy(&mut bounded, &mut std::io::sink())
        };
        if size.map_err(|_| damaged(name))? > ODS_BYTES_MAX {
            let found = format!("more than {ODS_BYTES_MAX} bytes once inflated");
            return Err(too_large(name, found, "a smaller table, or the same as CSV".to_owned()));
        }
        if is_content {
            let Some(asked) = OdsSize::of(&text) else { return Err(damaged(name)) };
            if asked.cells > CELLS_MAX || asked.bytes > TEXT_BYTES_MAX {
                let found = format!("a sheet that repeats its cells {} times", asked.cells);
                return Err(too_large(name, found, format!("{CELLS_MAX} cells at most")));
            }
        }
    }
    Ok(())
}

/// What a `content.xml` asks to be held, repetitions included; never less than what is.
#[derive(Debug, Default, PartialEq, Eq)]
struct OdsSize {
    cells: usize,
    bytes: usize,
    /// Of the sheet being read: rows down to the last that holds something, and the widest of them.
    rows: usize,
    width: usize,
    /// Empty rows since.
    empty_rows: usize,
}

/// Columns and rows that a sheet has at most.
const ODS_COLUMNS: usize = 16_384;
const ODS_ROWS: usize = 1_048_576;

impl OdsSize {
    /// `None` for a text that is not the XML of a sheet in UTF-8, nests rows, or leaves an element open: readers wait for its
    /// end for ever.
    fn of(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut size = Self::default();
        let mut row: Option<OdsRow> = None;
        let mut open: Vec<&str> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            if let Some(row) = &mut row {
                row.cell_bytes += at;
            }
            rest = &rest[at..];
            let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
            if let Some((_, end)) = skipped.iter().find(|(start, _)| rest.starts_with(start)) {
                let length = rest.find(end)? + end.len();
                let said = rest[..length].to_ascii_lowercase();
                if said.starts_with("<?xml") && said.contains("encoding") && !said.contains("utf-8") {
                    return None;
                }
                if let Some(row) = &mut row {
                    row.cell_bytes += length;
                }
                rest = &rest[length..];
                continue;
            }
            let tag = &rest[..tag_length(rest)?];
            rest = &rest[tag.len()..];
            if let Some(row) = &mut row {
                row.cell_bytes += tag.len();
            }
            let closed = tag.ends_with("/>");
            let element = tag[1..].split(|c: char| c.is_whitespace() || c == '>').next()?.trim_end_matches('/');
            match element.strip_prefix('/') {
                Some(ended) if open.pop() != Some(ended) => return None,
                None if !closed && !element.starts_with('!') => open.push(element),
                Some(_) | None => {}
            }
            match element {
                "table:table-row" if row.is_some() => return None,
                "table:table-row" => {
                    let repeated = repeated(tag, "table:number-rows-repeated")?.min(ODS_ROWS);
                    if closed {
                        size.empty_rows = size.empty_rows.saturating_add(repeated);
                    } else {
                        row = Some(OdsRow { repeated, ..OdsRow::default() });
                    }
                }
                "/table:table-row" => size.end_row(row.take()?),
                "/table:table" => size.end_sheet(),
                "table:table-cell" | "table:covered-table-cell" => {
                    let row = row.as_mut()?;
                    row.end_cell();
                    let repeated = repeated(tag, "table:number-columns-repeated")?.min(ODS_COLUMNS);
                    row.width = (row.width + row.empty).min(ODS_COLUMNS);
                    row.empty = 0;
                    if !closed || tag.contains("office:") || tag.contains("table:formula") {
                        row.holds = true;
                        row.width = (row.width + repeated).min(ODS_COLUMNS);
                        (row.cell, row.cell_bytes) = (repeated, tag.len());
                    } else {
                        row.empty = repeated;
                    }
                }
                _ => {}
            }
        }
        size.end_sheet();
        open.is_empty().then_some(size)
    }

    fn end_row(&mut self, mut row: OdsRow) {
        row.end_cell();
        self.cells = self.cells.saturating_add(row.width);
        if !row.holds {
            self.empty_rows = self.empty_rows.saturating_add(row.repeated);
            return;
        }
        self.rows += self.empty_rows.min(ODS_ROWS) + row.repeated;
        self.empty_rows = 0;
        self.width = self.width.max(row.width);
        self.bytes = self.bytes.saturating_add(row.bytes.saturating_mul(row.repeated));
    }

    fn end_sheet(&mut self) {
        self.cells = self.cells.saturating_add(self.rows.saturating_mul(self.width));
        (self.rows, self.width, self.empty_rows) = (0, 0, 0);
    }
}

/// A row being read.
#[derive(Default)]
struct OdsRow {
    repeated: usize,
    width: usize,
    /// Whether a cell holds something.
    holds: bool,
    /// Empty cells since the last that holds something.
    empty: usize,
    bytes: usize,
    /// How often the cell being read is repeated, and its bytes.
    cell: usize,
    cell_bytes: usize,
}

impl OdsRow {
    fn end_cell(&mut self) {
        self.bytes = self.bytes.saturating_add(self.cell.saturating_mul(self.cell_bytes));
        (self.cell, self.cell_bytes) = (0, 0);
    }
}

/// The length of the tag at the start, `>` within quotes passed over.
fn tag_length(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The number of an attribute, 1 without it; `None` when it is there and no plain number.
fn repeated(tag: &str, attribute: &str) -> Option<usize> {
    let Some(at) = tag.find(attribute) else { return Some(1) };
    let value = tag[at + attribute.len()..].trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let digits = value[1..].split(quote).next()?;
    let plain = (1..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// A damaged part can trip assertions inside the decoder; such a file is unreadable, and must not take the service down.
fn guarded<T>(name: &str, read: impl FnOnce() -> T) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| damaged(name))
}

pub(super) fn damaged(name: &str) -> Unreadable {
    Unreadable::file("spreadsheet_damaged", name, "a damaged or protected spreadsheet", "one that a spreadsheet opens")
}

fn too_large(name: &str, found: String, expected: String) -> Unreadable {
    Unreadable::file("too_large", name, found, expected)
}

pub(super) fn not_a_table(name: &str, found: &str) -> Unreadable {
    const EXPECTED: &str = "CSV in UTF-8 or Windows-1252 (gzipped, or alone in a zip), XLSX, XLS, ODS or Parquet";
    Unreadable::file("not_a_table", name, found, EXPECTED)
}

/// The cells of a sheet that hold something, their texts laid end to end.
pub(super) struct Cells {
    name: String,
    text: String,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy)]
struct Cell {
    row: u32,
    column: u32,
    start: usize,
    end: usize,
}

impl Cells {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), text: String::new(), cells: Vec::new() }
    }
    fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }
    /// Adds a cell; rows and columns are counted from 0.
    pub(super) fn push(&mut self, row: u32, column: u32, text: &str) -> Result<(), Unreadable> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if self.cells.len() == CELLS_MAX || self.text.len() + text.len() > TEXT_BYTES_MAX {
            let found = format!("a sheet of more than {CELLS_MAX} cells or {TEXT_BYTES_MAX} bytes of text");
            return Err(too_large(&self.name, found, "a smaller table, or the same as CSV".to_owned()));
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.cells.push(Cell { row, column, start, end: self.text.len() });
        Ok(())
    }

    /// The table: its header, and its rows below it.
    fn table(mut self, format: SheetFormat, sheets: usize) -> Result<(Vec<String>, SheetBody), Unreadable> {
        if self.cells.is_empty() {
            let found = "a workbook whose sheets are empty";
            return Err(Unreadable::file("header_missing", &self.name, found, "a first line naming each column"));
        }
        self.cells.sort_by_key(|cell| (cell.row, cell.column));
        self.cells.dedup_by_key(|cell| (cell.row, cell.column));
        let mut rows: Vec<(u32, usize)> = Vec::new();
        for (at, cell) in self.cells.iter().enumerate() {
            if rows.last().is_none_or(|&(row, _)| row != cell.row) {
                rows.push((cell.row, at));
            }
        }
        let end = |at: usize| rows.get(at + 1).map_or(self.cells.len(), |&(_, first)| first);
        let titles = rows.iter().enumerate().take(TITLE_ROWS_MAX + 1);
        let header = titles.into_iter().find(|&(at, &(_, first))| end(at) - first > 1).map_or(0, |(at, _)| at);
        let mut columns: Vec<u32> = self.cells[rows[header].1..].iter().map(|cell| cell.column).collect();
        columns.sort_unstable();
        columns.dedup();
        // A column without a name that holds something is called by its letter.
        let mut headers: Vec<String> = columns.iter().map(|&column| format!("column {}", letters(column))).collect();
        for cell in &self.cells[rows[header].1..end(header)] {
            let at = columns.binary_search(&cell.column).expect("every column was gathered");
            headers[at] = self.text[cell.start..cell.end].to_owned();
        }
        let rows = rows.split_off(header + 1);
        let body = SheetBody { sheet: self, rows, columns, selected: Vec::new(), next: 0, format, sheets };
        Ok((headers, body))
    }
}

/// `A`, `B`, … `Z`, `AA`: as spreadsheets name columns.
fn letters(column: u32) -> String {
    let mut name = Vec::new();
    let mut left = u64::from(column) + 1;
    while left > 0 {
        name.push(b'A' + ((left - 1) % 26) as u8);
        left = (left - 1) / 26;
    }
    name.iter().rev().map(|&letter| char::from(letter)).collect()
}

/// The rows of a sheet below its header.
pub(super) struct SheetBody {
    sheet: Cells,
    /// The number of each row in its sheet, from 0, and its first cell.
    rows: Vec<(u32, usize)>,
    /// The number of each column in its sheet, ascending.
    columns: Vec<u32>,
    selected: Vec<(usize, Kind)>,
    next: usize,
    format: SheetFormat,
    sheets: usize,
}

impl SheetBody {
    pub(super) fn format(&self) -> (SheetFormat, usize) {
        (self.format, self.sheets)
    }
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }
    pub(super) fn select(&mut self, wanted: &[(usize, Kind)]) {
        self.selected = wanted.to_vec();
    }
    pub(super) fn progress(&self) -> f64 {
        self.next as f64 / self.rows.len().max(1) as f64
    }

    pub(super) fn next_batch(&mut self, headers: &[String], first_row: usize) -> Option<Batch> {
        let last = (self.next + BATCH_ROWS).min(self.rows.len());
        let rows = self.next..last;
        if rows.is_empty() {
            return None;
        }
        let mut columns: Vec<Column> = self.selected.iter().map(|&(_, kind)| Column::new(kind)).collect();
        let (mut places, mut broken) = (Vec::with_capacity(rows.len()), Vec::new());
        for at in rows {
            let (row, first) = self.rows[at];
            let end = self.rows.get(at + 1).map_or(self.sheet.cells.len(), |&(_, first)| first);
            let cells = &self.sheet.cells[first..end];
            let place = row as usize + 1;
            for (column, &(wanted, _)) in columns.iter_mut().zip(&self.selected) {
                let found = cells.binary_search_by_key(&self.columns[wanted], |cell| cell.column);
                let mut text = found.map_or("", |at| &self.sheet.text[cells[at].start..cells[at].end]);
                if text.len() > FIELD_BYTES_MAX {
                    text = "";
                    let reject = Reject {
                        code: "field_too_long",
                        file: self.sheet.name.clone(),
                        row: Some(place),
                        field: headers.get(wanted).cloned(),
                        found: format!("a field longer than {FIELD_BYTES_MAX} bytes"),
                        expected: format!("{FIELD_BYTES_MAX} bytes at most"),
                    };
                    broken.push(Broken { index: places.len(), reject });
                }
                column.push(text, true);
            }
            places.push(place);
        }
        broken.dedup_by_key(|broken| broken.index);
        self.next = last;
        Some(Batch { first_row, places, columns, broken })
    }
}

/// Small workbooks, as tests write them.
#[cfg(test)]
pub(super) mod samples {
    use std::io::Write;

    #[derive(Clone, Copy)]
    pub enum Cell {
        Text(&'static str),
        Number(f64),
        /// Days since 1899-12-30, and the same in ISO 8601.
        Date(u32, &'static str),
        Nothing,
    }
    use Cell::{Date, Nothing, Number, Text};

    pub fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in parts {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    pub fn xlsx(rows: &[Vec<Cell>]) -> Vec<u8> {
        let mut shared = Vec::new();
        let mut body = String::new();
        for (row, cells) in (1..).zip(rows) {
            body += &format!("<row r=\"{row}\">");
            for (column, cell) in (0..).zip(cells) {
                let at = format!("{}{row}", super::letters(column));
                body += &match cell {
                    Text(text) => {
                        shared.push(format!("<si><t>{text}</t></si>"));
                        format!("<c r=\"{at}\" t=\"s\"><v>{}</v></c>", shared.len() - 1)
                    }
                    Number(number) => format!("<c r=\"{at}\"><v>{number:E}</v></c>"),
                    Date(serial, _) => format!("<c r=\"{at}\" s=\"1\"><v>{serial}</v></c>"),
                    Nothing => String::new(),
                };
            }
            body += "</row>";
        }
        let (count, shared) = (shared.len(), shared.concat());
        xlsx_of(&format!("<sheetData>{body}</sheetData>"), &format!("uniqueCount=\"{count}\">{shared}"))
    }

    pub fn xlsx_of(sheet: &str, shared: &str) -> Vec<u8> {
        const MAIN: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
        const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        const PACKAGE: &str = "xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"";
        let relation = |id: &str, kind: &str, target: &str| {
            format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
        };
        let root = relation("rId1", "officeDocument", "xl/workbook.xml");
        let parts = relation("rId1", "worksheet", "worksheets/sheet1.xml")
            + &relation("rId2", "sharedStrings", "sharedStrings.xml")
            + &relation("rId3", "styles", "styles.xml");
        zipped(&[
            ("[Content_Types].xml", "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"),
            ("_rels/.rels", &format!("<Relationships {PACKAGE}>{root}</Relationships>")),
            (
                "xl/workbook.xml",
                &format!(
                    "<workbook {MAIN} xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"Feuil1\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
                ),
            ),
            ("xl/_rels/workbook.xml.rels", &format!("<Relationships {PACKAGE}>{parts}</Relationships>")),
            ("xl/worksheets/sheet1.xml", &format!("<worksheet {MAIN}>{sheet}</worksheet>")),
            ("xl/sharedStrings.xml", &format!("<sst {MAIN} {shared}</sst>")),
            (
                "xl/styles.xml",
                &format!(
                    "<styleSheet {MAIN}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
                ),
            ),
        ])
    }

    pub fn ods(rows: &[Vec<Cell>]) -> Vec<u8> {
        let mut body = String::new();
        for cells in rows {
            body += "<table:table-row>";
            for cell in cells {
                body += &match cell {
                    Text(text) => format!(
                        "<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>"
                    ),
                    Number(number) => format!(
                        "<table:table-cell office:value-type=\"float\" office:value=\"{number}\"><text:p>seen</text:p></table:table-cell>"
                    ),
                    Date(_, date) => format!(
                        "<table:table-cell office:value-type=\"date\" office:date-value=\"{date}\"><text:p>seen</text:p></table:table-cell>"
                    ),
                    Nothing => "<table:table-cell/>".to_owned(),
                };
            }
            body += "<table:table-cell table:number-columns-repeated=\"16000\"/></table:table-row>";
        }
        body += "<table:table-row table:number-rows-repeated=\"1048000\"><table:table-cell/>\
                 <table:table-cell table:number-columns-repeated=\"16383\"/></table:table-row>";
        ods_of(&body)
    }

    pub fn ods_of(rows: &str) -> Vec<u8> {
        let content = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content><office:body><office:spreadsheet>\
             <table:table table:name=\"Feuille1\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
        );
        zipped(&[
            ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
            ("META-INF/manifest.xml", "<manifest:manifest/>"),
            ("content.xml", &content),
        ])
    }

    /// A compound file of one stream, in sectors of 512 bytes.
    pub fn compound(stream: &[u8]) -> Vec<u8> {
        let mut stream = stream.to_vec();
        stream.resize(stream.len().next_multiple_of(512).max(4_096), 0);
        let sectors = stream.len() / 512;
        let tables = (sectors + 1).div_ceil(127);
        let mut file = vec![0xff_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
        put(8, &[0; 68]);
        put(24, &[0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0]);
        put(44, &(tables as u32).to_le_bytes());
        put(48, &(tables as u32).to_le_bytes());
        put(56, &4_096_u32.to_le_bytes());
        put(60, &0xffff_fffe_u32.to_le_bytes());
        put(68, &0xffff_fffe_u32.to_le_bytes());
        (0..tables).for_each(|at| put(76 + 4 * at, &(at as u32).to_le_bytes()));
        let first = tables as u32 + 1;
        let mut fat: Vec<u32> = vec![0xffff_fffd; tables];
        fat.push(0xffff_fffe);
        fat.extend((0..sectors as u32).map(|at| if at + 1 == sectors as u32 { 0xffff_fffe } else { first + at + 1 }));
        fat.resize(tables * 128, 0xffff_ffff);
        fat.iter().for_each(|next| file.extend(next.to_le_bytes()));
        let entry = |name: &str, kind: u8, start: u32, size: u32| {
            let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            entry.resize(128, 0);
            entry[64] = 2 * (name.len() as u8 + 1);
            entry[66] = kind;
            entry[116..120].copy_from_slice(&start.to_le_bytes());
            entry[120..124].copy_from_slice(&size.to_le_bytes());
            entry
        };
        file.extend(entry("Root Entry", 5, 0xffff_fffe, 0));
        file.extend(entry("Workbook", 2, first, stream.len() as u32));
        file.extend([0; 256]);
        file.extend(stream);
        file
    }

    pub fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
    }

    pub fn xls(rows: &[Vec<Cell>]) -> Vec<u8> {
        let mut strings: Vec<u8> = Vec::new();
        let mut count = 0_u32;
        let mut sheet = record(0x0809, &[0, 6, 0x10, 0]);
        for (row, cells) in (0_u16..).zip(rows) {
            for (column, cell) in (0_u16..).zip(cells) {
                let place =
                    |format: u16| [row, column, format].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
                match cell {
                    Text(text) => {
                        let units: Vec<u16> = text.encode_utf16().collect();
                        strings.extend((units.len() as u16).to_le_bytes());
                        strings.push(1);
                        strings.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
                        sheet.extend(record(0x00fd, &[place(0), count.to_le_bytes().to_vec()].concat()));
                        count += 1;
                    }
                    Number(number) => {
                        sheet.extend(record(0x0203, &[place(0), number.to_le_bytes().to_vec()].concat()));
                    }
                    Date(serial, _) => {
                        let bits = ((*serial as i32) << 2 | 2).to_le_bytes();
                        sheet.extend(record(0x027e, &[place(1), bits.to_vec()].concat()));
                    }
                    Nothing => {}
                }
            }
        }
        sheet.extend(record(0x000a, &[]));
        let shared = [count.to_le_bytes().to_vec(), count.to_le_bytes().to_vec(), strings].concat();
        // The second part begins within the characters of a string, and says again how wide they are.
        let (head, tail) = shared.split_at(8 + 3 + 4);
        let mut globals = record(0x0809, &[0, 6, 5, 0]);
        globals.extend(record(0x00e0, &[0, 0, 0, 0]));
        globals.extend(record(0x00e0, &[0, 0, 14, 0]));
        let bound = |at: u32| record(0x0085, &[&at.to_le_bytes()[..], &[0, 0, 1, 0], b"F"].concat());
        let rest = [record(0x00fc, head), record(0x003c, &[&[1], tail].concat()), record(0x000a, &[])].concat();
        let start = globals.len() + bound(0).len() + rest.len();
        globals.extend(bound(start as u32));
        compound(&[globals, rest, sheet].concat())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::table::Table;
    use super::samples::Cell::{Date, Nothing, Number, Text};
    use super::samples::{Cell, compound, ods, ods_of, record, xls, xlsx, xlsx_of, zipped};
    use super::*;

    /// The header, and every row with its number.
    type Read = (Vec<String>, Vec<(usize, Vec<String>)>);

    fn read(bytes: Vec<u8>) -> Result<Read, Unreadable> {
        let mut table = Table::open("t", bytes.into(), 1 << 30)?;
        let all: Vec<_> = (0..table.headers().len()).map(|at| (at, Kind::Text)).collect();
        table.select(&all)?;
        let mut rows = Vec::new();
        while let Some(batch) = table.next_batch()? {
            for (index, &place) in batch.places.iter().enumerate() {
                rows.push((place, (0..all.len()).map(|at| batch.texts(at)[index].to_owned()).collect()));
            }
        }
        Ok((table.headers().to_vec(), rows))
    }

    fn refused(bytes: Vec<u8>) -> &'static str {
        read(bytes).map_or_else(|unreadable| unreadable.0.code, |_| "accepted")
    }

    const WRITERS: [fn(&[Vec<Cell>]) -> Vec<u8>; 3] = [xlsx, ods, xls];

    #[test]
    fn an_ods_that_leaves_an_element_open_is_refused_and_not_read_for_ever() {
        for inside in ["<office:annotation>", "<office:annotation><text:p>", "</text:p>"] {
            let cell = format!("<table:table-cell office:value-type=\"string\">{inside}</table:table-cell>");
            let bytes = ods_of(&format!("<table:table-row>{cell}</table:table-row>"));
            let refused = Table::open("a.ods", bytes.into(), 1 << 20).err().unwrap();
            assert_eq!(refused.0.code, "spreadsheet_damaged", "{inside}");
        }
    }

    #[test]
    fn a_cell_is_what_it_holds_whatever_the_workbook() {
        let rows = [
            vec![Text("Effectifs au 31/12"), Nothing, Nothing],
            vec![Nothing, Nothing, Nothing],
            vec![Text("siret"), Text("é"), Text("date"), Nothing],
            vec![Number(73282932000074.0), Number(0.5), Date(45657, "2024-12-31")],
            vec![Nothing, Nothing, Nothing],
            vec![Text("35600000049837"), Number(-12.0), Nothing, Text("note")],
        ];
        for writer in WRITERS {
            let (headers, found) = read(writer(&rows)).unwrap();
            assert_eq!(headers, ["siret", "é", "date", "column D"]);
            let row = |place, cells: [&str; 4]| (place, cells.map(str::to_owned).to_vec());
            let expected =
                [row(4, ["73282932000074", "0.5", "2024-12-31", ""]), row(6, ["35600000049837", "-12", "", "note"])];
            assert_eq!(found, expected);
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &writer(&rows)).unwrap();
            let table = Table::open("t", Input::File(file), 1 << 30).unwrap();
            assert_eq!((table.headers(), table.rows_about()), (&headers[..], 2));
        }
    }

    #[test]
    fn a_workbook_that_asks_for_more_than_it_holds_is_refused_before_anything_is_kept() {
        let cell = "<table:table-cell office:value-type=\"float\" office:value=\"1\"";
        let wide = |n: usize| format!("{cell} table:number-columns-repeated=\"{n}\"/>");
        let row = |n: usize, cells: &str| {
            format!("<table:table-row table:number-rows-repeated=\"{n}\">{cells}</table:table-row>")
        };
        let one = "<row r=\"1\"><c r=\"A1\"><v>1</v></c><c r=\"B1\"><v>1</v></c></row>";
        let far = "<row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>";
        for (what, bytes, code) in [
            ("repeated rows", ods_of(&row(100, &wide(200))), "header_duplicate"),
            ("a million repeated rows", ods_of(&row(1_048_576, &wide(200))), "too_large"),
            ("repeated columns", ods_of(&row(2_000, &wide(16_384))), "too_large"),
            (
                "hidden in a comment",
                ods_of(&format!("<!-- {} -->{}", "</table:table-row>", row(2_000, &wide(16_384)))),
                "too_large",
            ),
            (
                "empty rows down to the last",
                ods_of(&(row(1_048_000, "<table:table-cell/>") + &row(1, &wide(200)))),
                "too_large",
            ),
            (
                "a number that is none",
                ods_of(&row(1, &format!("{cell} table:number-columns-repeated=\"&#49;\"/>"))),
                "spreadsheet_damaged",
            ),
            ("rows in rows", ods_of(&row(1, &row(1, &wide(2)))), "spreadsheet_damaged"),
            (
                "far cells",
                xlsx_of(&format!("<sheetData>{one}{far}</sheetData>"), "uniqueCount=\"0\">"),
                "header_duplicate",
            ),
            (
                "strings that are not there",
                xlsx_of("<sheetData/>", "uniqueCount = \"99999999999\">"),
                "spreadsheet_damaged",
            ),
            ("an empty sheet", xlsx_of("<sheetData/>", "uniqueCount=\"0\">"), "header_missing"),
            ("a binary workbook", zipped(&[("[Content_Types].xml", ""), ("xl/workbook.bin", "")]), "not_a_table"),
            ("a chain that goes in circles", circle(), "spreadsheet_damaged"),
            ("a circle of a sector at the very end, of no bytes", circle()[..1024].to_vec(), "spreadsheet_damaged"),
            (
                "a password",
                compound(&[record(0x0809, &[0, 6, 5, 0]), record(0x002f, &[1, 0])].concat()),
                "spreadsheet_damaged",
            ),
        ] {
            assert_eq!(refused(bytes), code, "{what}");
        }
    }

    /// The directory's chain leads to itself.
    fn circle() -> Vec<u8> {
        let mut file = compound(&[]);
        file[512 + 4..512 + 8].copy_from_slice(&1_u32.to_le_bytes());
        file
    }

    #[test]
    fn one_text_in_a_zip_is_read_as_it_is() {
        let text = "siret;x\n1;2\n";
        let alone = zipped(&[("__MACOSX/._a.csv", "x"), ("StockEtablissement_utf8.csv", text), ("lisez-moi.pdf", "")]);
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &alone).unwrap();
        let expected = (vec!["siret".to_owned(), "x".to_owned()], vec![(2, vec!["1".to_owned(), "2".to_owned()])]);
        assert_eq!(read(alone), Ok(expected));
        let mut table = Table::open("t", Input::File(file), 1 << 20).unwrap();
        table.select(&[(1, Kind::Text)]).unwrap();
        assert_eq!(&table.next_batch().unwrap().unwrap().texts(0)[0], "2");
        assert_eq!(refused(zipped(&[("a.csv", text), ("b.csv", text)])), "not_a_table");
        assert_eq!(refused(zipped(&[("a.pdf", text)])), "not_a_table");
        let endless = "1\n".repeat(1 << 20);
        let mut table = Table::open("t", zipped(&[("a.csv", &endless)]).into(), 1 << 20).unwrap();
        table.select(&[(0, Kind::Text)]).unwrap();
        let read = std::iter::from_fn(|| table.next_batch().transpose()).find_map(Result::err);
        assert_eq!(read.map(|unreadable| unreadable.0.code), Some("too_large"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn a_damaged_workbook_does_not_make_a_reader_panic(
            which in 0..3_usize,
            cut in any::<prop::sample::Index>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let rows = [vec![Text("a"), Text("b")], vec![Number(1.0), Date(45657, "2024-12-31")]];
            let mut bytes = WRITERS[which](&rows);
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if damage.len() % 2 == 1 {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = read(bytes);
        }
    }
}
