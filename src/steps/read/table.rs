//! One way to read a table, whatever its file: CSV (gzipped, or alone in a zip), a spreadsheet or Parquet, told apart by
//! their first bytes.
//!
//! A table is read in batches of columns, never one object a row, and only the columns asked for.
//! A row whose structure is broken keeps its place in its batch, beside a [`Reject`] saying what is wrong with it.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Index;

use ::parquet::file::reader::Length;
use arrow_array::Int64Array;
use bytes::Bytes;

use super::csv::CsvBody;
use super::parquet::ParquetBody;
use super::spreadsheet::{self, SheetBody, Zipped};
use crate::model::{Reject, Unreadable};

/// Rows in a batch: a column of coordinates is then 512 KiB, which stays in a second-level cache.
pub const BATCH_ROWS: usize = 65_536;
/// Columns a table may have; the widest public file we know (INSEE's census by IRIS) has under 500.
pub const COLUMNS_MAX: usize = 4_096;
/// Bytes a field may have; a name or a code has under 200, and a larger field is a torn quote more often than a value.
pub const FIELD_BYTES_MAX: usize = 65_536;
/// Uncompressed bytes of a table which is read as a stream: ten times the geolocation of every Sirene establishment.
pub const STREAM_BYTES_MAX: u64 = 64 << 30;
/// Uncompressed bytes of a table which is kept in memory: a register of ten million rows has about 1 GiB, and a
/// compressed upload must not be able to fill the machine.
pub const WHOLE_BYTES_MAX: u64 = 4 << 30;
/// Columns listed in a message, so that it stays readable.
const COLUMNS_SHOWN: usize = 40;
/// Characters of a column's name in a message.
const NAME_SHOWN: usize = 40;

/// Where the bytes come from. Steps open no file: the caller hands over the opened one.
pub enum Input {
    /// An opened file.
    File(File),
    /// Bytes in memory, such as an upload.
    Bytes(Bytes),
    /// A text that is unpacked while it is read.
    Stream {
        /// Its bytes, from first to last.
        stream: Box<dyn Read + Send + Sync>,
        /// About how many there are.
        bytes: u64,
    },
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an input of {} bytes", Length::len(self))
    }
}

impl From<Vec<u8>> for Input {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delimited text, possibly gzipped.
    Csv {
        /// Whether it was gzipped.
        gzipped: bool,
        /// How its bytes spell characters.
        encoding: Encoding,
        /// What stands between two fields: `,`, `;` or a tab.
        delimiter: u8,
    },
    /// Apache Parquet.
    Parquet,
    /// A spreadsheet.
    Sheet {
        /// Of which kind.
        format: SheetFormat,
        /// How many sheets people see in it; the first that holds something is read.
        sheets: usize,
    },
}

/// The kinds of spreadsheets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetFormat {
    /// Office Open XML.
    Xlsx,
    /// Excel 97 to 2003.
    Xls,
    /// OpenDocument.
    Ods,
}

/// How a text file spells characters, decided once on its first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// Windows-1252, which every other byte sequence is taken for.
    Windows1252,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parquet => f.write_str("Parquet"),
            Self::Sheet { format, sheets } => {
                let format = match format {
                    SheetFormat::Xlsx => "XLSX",
                    SheetFormat::Xls => "XLS",
                    SheetFormat::Ods => "ODS",
                };
                match sheets {
                    0 | 1 => f.write_str(format),
                    more => write!(f, "{format}, the first sheet of {more} that holds something"),
                }
            }
            Self::Csv { gzipped, encoding, delimiter } => {
                let encoding = match encoding {
                    Encoding::Utf8 => "UTF-8",
                    Encoding::Windows1252 => "Windows-1252",
                };
                let delimiter = if *delimiter == b'\t' { "tab".to_owned() } else { char::from(*delimiter).to_string() };
                write!(f, "{}CSV, {encoding}, delimiter {delimiter}", if *gzipped { "gzipped " } else { "" })
            }
        }
    }
}

/// A table opened for reading: its header is known, its rows come in batches.
pub struct Table {
    name: String,
    headers: Vec<String>,
    body: Body,
    next_row: usize,
}

pub(super) enum Body {
    Csv(Box<CsvBody>),
    Parquet(Box<ParquetBody>),
    Sheet(Box<SheetBody>),
}

/// What a column is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; a missing value is empty.
    Text,
    /// Finite or not, numbers with a decimal point, or a decimal comma where the comma is not the delimiter.
    Number,
    /// Whole numbers of a Parquet column, as they are: see [`Table::is_whole`].
    Whole,
}

/// Consecutive rows, column by column.
pub struct Batch {
    /// Number of the first row among the data rows of the table, from 1.
    pub first_row: usize,
    /// For each row, its place as a [`Reject`] names it: the line of a text file, the row of a Parquet file, from 1.
    pub places: Vec<usize>,
    /// The selected columns, in the order of the selection.
    pub columns: Vec<Column>,
    /// Rows whose structure is broken, by rising index in the batch. Their readable cells are in the columns.
    pub broken: Vec<Broken>,
}

/// A row whose structure is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its index in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reject: Reject,
}

/// A column of a batch.
pub enum Column {
    /// Read as text.
    Text(Texts),
    /// Read as numbers.
    Number(Numbers),
    /// Read as whole numbers.
    Whole(Int64Array),
}

/// Texts laid end to end. `Debug` shows how many, never what.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Texts {
    text: String,
    ends: Vec<usize>,
}

/// Numbers; where one is missing or malformed its value is NaN and its fault says which.
#[derive(Debug, Default, Clone)]
pub struct Numbers {
    /// The values.
    pub values: Vec<f64>,
    /// `None` where a number was read, be it finite or not.
    pub faults: Vec<Option<NumberFault>>,
}

/// Why a cell is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    /// The cell is empty.
    Empty,
    /// The cell holds a text which is no number.
    NotANumber,
}

/// How files begin that people take for tables, and what they are.
const NO_TABLES: [(&[u8], &str); 9] = [
    (b"%PDF", "a PDF document"),
    (b"{\\rt", "a document of rich text"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"Rar!", "an archive of RAR"),
    (b"7z\xbc\xaf", "an archive of 7-Zip"),
    (b"<!DO", "a web page"),
    (b"<htm", "a web page"),
    (b"<?xm", "an XML document"),
];

impl Table {
    /// Opens a table of at most `bytes_max` uncompressed bytes and reads its header.
    /// `name` is what messages call it.
    pub fn open(name: &str, mut input: Input, bytes_max: u64) -> Result<Self, Unreadable> {
        let magic = input.magic().map_err(|error| unreadable_input(name, &error))?;
        let (headers, body) = if magic == *b"PAR1" {
            let (headers, body) = ParquetBody::open(name, input, bytes_max)?;
            (headers, Body::Parquet(Box::new(body)))
        } else if magic == [b'P', b'K', 3, 4] || magic == [b'P', b'K', 5, 6] {
            match spreadsheet::open_zip(name, input)? {
                Zipped::Sheet(headers, body) => (headers, Body::Sheet(Box::new(body))),
                Zipped::Text(stream) => {
                    let (headers, body) = CsvBody::open(name, stream, false, bytes_max)?;
                    (headers, Body::Csv(Box::new(body)))
                }
            }
        } else if magic == [0xd0, 0xcf, 0x11, 0xe0] {
            let (headers, body) = spreadsheet::open_xls(name, input)?;
            (headers, Body::Sheet(Box::new(body)))
        } else if let Some((_, found)) = NO_TABLES.iter().find(|(start, _)| magic.starts_with(start)) {
            let expected = "a table: CSV or TXT, XLSX, XLS, ODS or Parquet";
            return Err(Unreadable::file("not_a_table", name, *found, expected));
        } else {
            let (headers, body) = CsvBody::open(name, input, magic.starts_with(&[0x1f, 0x8b]), bytes_max)?;
            (headers, Body::Csv(Box::new(body)))
        };
        let table = Self { name: name.to_owned(), headers, body, next_row: 1 };
        table.check_header()?;
        Ok(table)
    }

    fn check_header(&self) -> Result<(), Unreadable> {
        const EXPECTED: &str = "a first line naming each column once";
        let refuse = |code, found: String| Err(Unreadable::file(code, &self.name, found, EXPECTED));
        if self.headers.len() > COLUMNS_MAX {
            let expected = format!("{COLUMNS_MAX} columns at most");
            return Err(Unreadable::file(
                "too_many_columns",
                &self.name,
                format!("{} columns", self.headers.len()),
                expected,
            ));
        }
        if self.headers.iter().all(|name| name.is_empty()) {
            return refuse("header_missing", "no header".to_owned());
        }
        if let Some(at) = self.headers.iter().position(|name| name.is_empty()) {
            return refuse("header_empty", format!("no name for column {} of {}", at + 1, self.headers.len()));
        }
        let mut seen = std::collections::HashMap::new();
        for (at, name) in self.headers.iter().enumerate() {
            if let Some(before) = seen.insert(name.to_lowercase(), at) {
                let found =
                    format!("the name {} for column {} and again for column {}", shown(name), before + 1, at + 1);
                return refuse("header_duplicate", format!("{found}, capitals aside"));
            }
        }
        Ok(())
    }

    /// What messages call the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the columns, in the order of the file.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// What the file turned out to be.
    pub fn format(&self) -> Format {
        match &self.body {
            Body::Csv(body) => body.format(),
            Body::Parquet(_) => Format::Parquet,
            Body::Sheet(body) => {
                let (format, sheets) = body.format();
                Format::Sheet { format, sheets }
            }
        }
    }

    /// Whether `6,17` is a number here: where the comma does not stand between fields.
    pub fn decimal_comma(&self) -> bool {
        match self.format() {
            Format::Csv { delimiter, .. } => delimiter != b',',
            Format::Parquet => false,
            Format::Sheet { .. } => true,
        }
    }

    /// Whether a column holds whole numbers of 64 bits at most, which [`Kind::Whole`] takes as they are.
    pub fn is_whole(&self, column: usize) -> bool {
        match &self.body {
            Body::Csv(_) | Body::Sheet(_) => false,
            Body::Parquet(body) => body.is_whole(column),
        }
    }

    /// About how many rows there are: what a Parquet file says of itself, or a guess by the length of the file.
    pub fn rows_about(&self) -> u64 {
        match &self.body {
            Body::Csv(body) => body.rows_about(),
            Body::Parquet(body) => body.rows() as u64,
            Body::Sheet(body) => body.rows() as u64,
        }
    }

    /// The column of that name, capitals aside.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|h| h == name).or_else(|| {
            let name = name.to_lowercase();
            self.headers.iter().position(|h| h.to_lowercase() == name)
        })
    }

    /// The first of these names which is a column.
    pub fn column_among(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.column(name))
    }

    /// The column of that name, or what was found instead.
    pub fn require(&self, name: &str) -> Result<usize, Unreadable> {
        self.require_among("column_missing", &[name])
    }

    /// The first of these names which is a column, or what was found instead.
    pub fn require_among(&self, code: &'static str, names: &[&str]) -> Result<usize, Unreadable> {
        self.column_among(names).ok_or_else(|| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            self.header_refused(code, &format!("a column {}", names.join(" or ")))
        })
    }

    /// The refusal of a header: the columns found beside what was expected.
    pub fn header_refused(&self, code: &'static str, expected: &str) -> Unreadable {
        let mut found: Vec<String> = self.headers.iter().take(COLUMNS_SHOWN).map(|name| shown(name)).collect();
        if self.headers.len() > COLUMNS_SHOWN {
            found.push(format!("and {} more", self.headers.len() - COLUMNS_SHOWN));
        }
        Unreadable::file(code, &self.name, format!("the columns {}", found.join(", ")), expected)
    }

    /// Chooses the columns that [`next_batch`](Self::next_batch) gives, and their order. Call it once, before reading.
    pub fn select(&mut self, wanted: &[(usize, Kind)]) -> Result<(), Unreadable> {
        match &mut self.body {
            Body::Csv(body) => {
                body.select(wanted);
                Ok(())
            }
            Body::Parquet(body) => body.select(&self.name, &self.headers, wanted),
            Body::Sheet(body) => {
                body.select(wanted);
                Ok(())
            }
        }
    }

    /// The next rows, at most [`BATCH_ROWS`]; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Unreadable> {
        let batch = match &mut self.body {
            Body::Csv(body) => body.next_batch(&self.name, &self.headers, self.next_row)?,
            Body::Parquet(body) => body.next_batch(&self.name, &self.headers, self.next_row)?,
            Body::Sheet(body) => body.next_batch(&self.headers, self.next_row),
        };
        if let Some(batch) = &batch {
            self.next_row += batch.places.len();
        }
        Ok(batch)
    }

    /// Lets batches have no more than so many rows, where the format leaves a choice (Parquet): small ones stay in the
    /// caches of a processor from one stage to the next.
    pub fn in_batches_of(&mut self, rows: usize) {
        if let Body::Parquet(body) = &mut self.body {
            body.batch_rows = rows.clamp(1, BATCH_ROWS);
        }
    }

    /// The table in parts that can be read side by side, each as a table that begins where the one before ends: groups of
    /// rows of a Parquet file, and any other table whole.
    pub fn parts(self) -> Parts {
        Parts { left: Some(self) }
    }

    /// In how many [`Self::parts`] it comes, and how many batches the largest one has, where that is known.
    pub fn parts_and_batches(&self) -> (usize, Option<usize>) {
        match &self.body {
            Body::Csv(_) | Body::Sheet(_) => (1, None),
            Body::Parquet(body) => {
                let (parts, batches) = body.parts();
                (parts, Some(batches))
            }
        }
    }

    /// The share of the file already read, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.body {
            Body::Csv(body) => body.progress(),
            Body::Parquet(body) => body.progress(self.next_row - 1),
            Body::Sheet(body) => body.progress(),
        }
    }
}

/// The parts of a table, in their order.
pub struct Parts {
    left: Option<Table>,
}

impl Iterator for Parts {
    type Item = Table;

    fn next(&mut self) -> Option<Table> {
        let left = self.left.as_mut()?;
        let Body::Parquet(body) = &mut left.body else { return self.left.take() };
        let Some((body, rows)) = body.split_off() else { return self.left.take() };
        let (name, headers, next_row) = (left.name.clone(), left.headers.clone(), left.next_row);
        left.next_row += rows;
        Some(Table { name, headers, body: Body::Parquet(Box::new(body)), next_row })
    }
}

/// A column's name as messages show it. In a file without header the first row takes its place, so a name which holds
/// a run of digits long enough for a SIREN, or no letter at all, is not repeated.
pub(super) fn shown(name: &str) -> String {
    let longest_run = name.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if longest_run >= 9 || !name.chars().any(char::is_alphabetic) {
        return "(a name without letters)".to_owned();
    }
    let mut text: String = name.chars().take(NAME_SHOWN).filter(|c| !c.is_control()).collect();
    if name.chars().count() > NAME_SHOWN {
        text.push('…');
    }
    format!("`{text}`")
}

pub(super) fn unreadable_input(name: &str, error: &std::io::Error) -> Unreadable {
    Unreadable::file("input_unreadable", name, format!("a read that failed ({error})"), "a file that can be read")
}

impl Batch {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.places.len()
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
    /// The texts of a column that was selected as text.
    pub fn texts(&self, at: usize) -> &Texts {
        match &self.columns[at] {
            Column::Text(texts) => texts,
            Column::Number(_) | Column::Whole(_) => unreachable!("selected as numbers"),
        }
    }
    /// Takes the texts of a column that was selected as text.
    pub(super) fn take_texts(&mut self, at: usize) -> Texts {
        match &mut self.columns[at] {
            Column::Text(texts) => std::mem::take(texts),
            Column::Number(_) | Column::Whole(_) => unreachable!("selected as numbers"),
        }
    }
    /// Takes the numbers of a column that was selected as numbers.
    pub(super) fn take_numbers(&mut self, at: usize) -> Numbers {
        match &mut self.columns[at] {
            Column::Number(numbers) => std::mem::take(numbers),
            Column::Text(_) | Column::Whole(_) => unreachable!("not selected as numbers"),
        }
    }
    /// Takes a column that was selected as text or as whole numbers.
    pub(super) fn take(&mut self, at: usize) -> Column {
        std::mem::replace(&mut self.columns[at], Column::Text(Texts::default()))
    }
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Texts::default()),
            Kind::Number => Self::Number(Numbers::default()),
            Kind::Whole => Self::Whole(Int64Array::from(Vec::<i64>::new())),
        }
    }
    /// Adds a cell from its text.
    pub(super) fn push(&mut self, cell: &str, decimal_comma: bool) {
        match self {
            Self::Text(texts) => texts.push(cell),
            Self::Number(numbers) => numbers.push_text(cell, decimal_comma),
            Self::Whole(_) => unreachable!("a column of Parquet is taken whole"),
        }
    }
}

impl Texts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| &self[at])
    }
}

impl Index<usize> for Texts {
    type Output = str;
    fn index(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut all = Self::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} texts", self.len())
    }
}

impl Numbers {
    pub(super) fn push(&mut self, value: f64) {
        self.values.push(value);
        self.faults.push(None);
    }
    /// Numbers without a fault.
    pub(super) fn sound(values: Vec<f64>) -> Self {
        Self { faults: vec![None; values.len()], values }
    }
    pub(super) fn push_fault(&mut self, fault: NumberFault) {
        self.values.push(f64::NAN);
        self.faults.push(Some(fault));
    }
    pub(super) fn push_text(&mut self, cell: &str, decimal_comma: bool) {
        // Nearly every cell is a plain number, and is one at the first attempt.
        if let Some(value) = plain_number(cell.as_bytes()).or_else(|| cell.parse().ok()) {
            return self.push(value);
        }
        let cell = cell.trim();
        if cell.is_empty() {
            return self.push_fault(NumberFault::Empty);
        }
        let with_point = || (decimal_comma && !cell.contains('.')).then(|| cell.replacen(',', ".", 1).parse().ok());
        match cell.parse().ok().or_else(|| with_point().flatten()) {
            Some(value) => self.push(value),
            None => self.push_fault(NumberFault::NotANumber),
        }
    }
}

/// Digits, at most fifteen, perhaps with a sign before and a point among them: the double nearest to it, since both the
/// digits as a whole number and the power of ten below are doubles without rounding, and a division rounds once (Clinger,
/// How to read floating point numbers accurately, 1990).
fn plain_number(cell: &[u8]) -> Option<f64> {
    const DIGITS_MAX: usize = 15;
    const POWERS: [f64; DIGITS_MAX + 1] =
        [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, cell),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX + 1 {
        return None;
    }
    let (mut whole, mut point) = (0_u64, None);
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let n_digits = digits.len() - usize::from(point.is_some());
    if n_digits == 0 || n_digits > DIGITS_MAX {
        return None;
    }
    let value = whole as f64 / POWERS[point.map_or(0, |at| digits.len() - 1 - at)];
    Some(if negative { -value } else { value })
}

/// A whole number as text gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Value(u64),
    Empty,
    Negative,
    Fraction,
    TooLarge,
    NotANumber,
}

/// Largest whole number accepted in a table: beyond it a double, which Parquet files use for columns with gaps, skips
/// numbers.
pub(super) const WHOLE_MAX: u64 = 1 << 53;

/// Reads a whole number: digits, possibly followed by the `.0` that a column of doubles gets when written as text.
/// Three decimals could be thousands, so they are no number.
pub(super) fn whole(cell: &str) -> Whole {
    // Fifteen digits are always below `WHOLE_MAX`.
    if (1..=15).contains(&cell.len()) && cell.bytes().all(|b| b.is_ascii_digit()) {
        return Whole::Value(cell.bytes().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')));
    }
    let cell = cell.trim();
    let unsigned = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let (digits, decimals) = unsigned.split_once(['.', ',']).unwrap_or((unsigned, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if cell.is_empty() {
        Whole::Empty
    } else if digits.is_empty() || !all_digits(digits) || !all_digits(decimals) {
        match cell.parse::<f64>() {
            Ok(value) if !value.is_finite() => Whole::NotANumber,
            Ok(value) if value < 0.0 => Whole::Negative,
            Ok(value) if value.fract() != 0.0 => Whole::Fraction,
            Ok(value) if value > WHOLE_MAX as f64 => Whole::TooLarge,
            Ok(value) => Whole::Value(value as u64),
            Err(_) => Whole::NotANumber,
        }
    } else if decimals.len() == 3 {
        Whole::NotANumber
    } else if cell.starts_with('-') && cell.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        Whole::Negative
    } else if decimals.bytes().any(|b| b != b'0') {
        Whole::Fraction
    } else {
        match digits.parse() {
            Ok(value) if value <= WHOLE_MAX => Whole::Value(value),
            _ => Whole::TooLarge,
        }
    }
}

impl Input {
    /// The first four bytes, fewer replaced by zeros; the input stays at its start.
    fn magic(&mut self) -> std::io::Result<[u8; 4]> {
        let mut magic = [0; 4];
        match self {
            Self::Bytes(bytes) => {
                let n = bytes.len().min(4);
                magic[..n].copy_from_slice(&bytes[..n]);
            }
            Self::Stream { .. } => {}
            Self::File(file) => {
                file.seek(SeekFrom::Start(0))?;
                let mut head = Vec::with_capacity(4);
                file.take(4).read_to_end(&mut head)?;
                magic[..head.len()].copy_from_slice(&head);
                file.seek(SeekFrom::Start(0))?;
            }
        }
        Ok(magic)
    }

    /// The bytes from first to last.
    pub(super) fn into_stream(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes)),
            Self::Stream { stream, .. } => stream,
        }
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Bytes(bytes) => Length::len(bytes),
            Self::Stream { bytes, .. } => *bytes,
        }
    }
}

#[cfg(test)]
pub(super) mod samples {
    use std::io::Write;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch};
    use flate2::{Compression, write::GzEncoder};

    pub fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    pub fn texts(cells: &[&str]) -> ArrayRef {
        Arc::new(arrow_array::StringArray::from(cells.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Float32Array, Int16Array, Int64Array, LargeStringArray, StringViewArray};
    use proptest::prelude::*;

    use super::samples::{gz, parquet, texts};
    use super::*;

    const MAX: u64 = 1 << 30;

    /// Every row as text, and the places and codes of broken rows.
    type Rows = (Vec<Vec<String>>, Vec<(usize, &'static str)>);

    fn rows(input: impl Into<Input>) -> Result<Rows, Unreadable> {
        let mut table = Table::open("t", input.into(), MAX)?;
        let all: Vec<_> = (0..table.headers().len()).map(|at| (at, Kind::Text)).collect();
        table.select(&all)?;
        let (mut rows, mut broken) = (Vec::new(), Vec::new());
        while let Some(mut batch) = table.next_batch()? {
            assert_eq!(batch.first_row, rows.len() + 1);
            let columns: Vec<Texts> = (0..all.len()).map(|at| batch.take_texts(at)).collect();
            rows.extend((0..batch.len()).map(|row| columns.iter().map(|c| c[row].to_owned()).collect::<Vec<_>>()));
            broken.extend(batch.broken.iter().map(|b| (b.reject.row.unwrap(), b.reject.code)));
        }
        Ok((rows, broken))
    }

    #[test]
    fn every_format_gives_the_same_rows() {
        let expected = vec![
            vec!["é1".to_owned(), "12".into(), "0.5".into()],
            vec!["a,b;c\td".into(), "".into(), "-3".into()],
            vec!["say \"hi\"\nthere".into(), "7".into(), "".into()],
        ];
        let comma = "name,n,x\né1,12,0.5\n\"a,b;c\td\",,-3\n\"say \"\"hi\"\"\nthere\",7,\n";
        let semicolon = "name;n;x\r\né1;12;0.5\r\n\"a,b;c\td\";;-3\r\n\"say \"\"hi\"\"\nthere\";7;\r\n";
        let tab = "name\tn\tx\né1\t12\t0.5\n\n\"a,b;c\td\"\t\t-3\n\"say \"\"hi\"\"\nthere\"\t7\t";
        let ansi: Vec<u8> = comma.chars().map(|c| if c == 'é' { 0xe9 } else { c as u8 }).collect();
        let with_bom = [b"\xef\xbb\xbf", semicolon.as_bytes()].concat();
        let (head, tail) = comma.as_bytes().split_at(17);
        let names = ["é1", "a,b;c\td", "say \"hi\"\nthere"];
        let numbers = Arc::new(Int64Array::from(vec![Some(12), None, Some(7)]));
        let floats = Arc::new(Float32Array::from(vec![Some(0.5), Some(-3.0), None]));
        let plain = texts(&["0.5", "-3", ""]);
        let small = Arc::new(Int16Array::from(vec![Some(12), None, Some(7)]));
        let coded: DictionaryArray<Int32Type> = names.into_iter().collect();
        let large = Arc::new(LargeStringArray::from(names.to_vec()));
        let view = Arc::new(StringViewArray::from(names.to_vec()));
        for (what, bytes) in [
            ("comma", comma.as_bytes().to_vec()),
            ("semicolon, CRLF", semicolon.as_bytes().to_vec()),
            ("semicolon, CRLF, byte order mark", with_bom),
            ("tab, blank line, no line end at the end", tab.as_bytes().to_vec()),
            ("Windows-1252", ansi.clone()),
            ("gzip", gz(comma.as_bytes())),
            ("gzip in two members", [gz(head), gz(tail)].concat()),
            ("gzip of Windows-1252", gz(&ansi)),
            ("Parquet", parquet(vec![("name", texts(&names)), ("n", numbers.clone()), ("x", plain.clone())])),
            ("Parquet, dictionary", parquet(vec![("name", Arc::new(coded)), ("n", small), ("x", plain.clone())])),
            ("Parquet, large texts", parquet(vec![("name", large), ("n", numbers.clone()), ("x", plain.clone())])),
            ("Parquet, views", parquet(vec![("name", view), ("n", numbers.clone()), ("x", plain)])),
        ] {
            assert_eq!(rows(bytes), Ok((expected.clone(), vec![])), "{what}");
        }
        let floating = rows(parquet(vec![("name", texts(&names)), ("n", numbers), ("x", floats)])).unwrap().0;
        assert_eq!(floating.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(), ["0.5", "-3.0", ""]);
    }

    #[test]
    fn an_opened_file_reads_as_its_bytes_do() {
        for bytes in
            [b"a,b\n1,2\n".to_vec(), gz(b"a,b\n1,2\n"), parquet(vec![("a", texts(&["1"])), ("b", texts(&["2"]))])]
        {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            assert_eq!(rows(Input::File(file)), rows(bytes));
        }
    }

    #[test]
    fn a_broken_row_costs_itself_and_no_other() {
        let long = "z".repeat(FIELD_BYTES_MAX + 1);
        let fits = "z".repeat(FIELD_BYTES_MAX);
        let endless = "z".repeat(3 << 20);
        for (what, body, kept, broken) in [
            ("too few", "1,2\n3\n4,5\n".to_owned(), vec!["1", "3", "4"], vec![(3, "row_ragged")]),
            ("too many", "1,2\n3,4,5\n6,7\n".into(), vec!["1", "3", "6"], vec![(3, "row_ragged")]),
            ("quote torn", "1,2\n3,\"4\n5,6\n7,8\n".into(), vec!["1", "3", "5", "7"], vec![(3, "quote_torn")]),
            ("torn at the end", "1,2\n3,\"4".into(), vec!["1", "3"], vec![(3, "quote_torn")]),
            // The quote of line 3 closes on that of line 4, which is read again alone.
            (
                "closed by the next",
                "1,2\n3,\"4\n\"5\",6\n7,8\n".into(),
                vec!["1", "3", "5", "7"],
                vec![(3, "quote_torn")],
            ),
            ("long field", format!("1,2\n3,{long}\n4,5\n"), vec!["1", "3", "4"], vec![(3, "field_too_long")]),
            ("long enough", format!("1,2\n3,{fits}\n4,5\n"), vec!["1", "3", "4"], vec![]),
            ("endless line", format!("1,2\n3,{endless}\n4,5\n"), vec!["1", "", "4"], vec![(3, "record_too_long")]),
            ("lines in quotes", "\"1\n2\r\n3\",2\n4\n".into(), vec!["1\n2\r\n3", "4"], vec![(5, "row_ragged")]),
            ("text after a quote", "\"1\"2,3\n".into(), vec!["12"], vec![]),
            ("quote in the middle", "5\",3\n".into(), vec!["5\""], vec![]),
            ("lone CR", "1,2\r3,4\r5\r".into(), vec!["1", "3", "5"], vec![(4, "row_ragged")]),
        ] {
            let (found, found_broken) = rows(format!("a,b\n{body}").into_bytes()).unwrap();
            assert_eq!(found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), kept, "{what}");
            assert_eq!(found_broken, broken, "{what}");
        }
    }

    #[test]
    fn the_encoding_of_the_first_block_holds_for_the_file() {
        let mut bytes = b"a,b\n".to_vec();
        bytes.extend("1,2\n".repeat(400_000).bytes());
        bytes.extend(b"caf\xe9,2\n3,4\n");
        let (found, broken) = rows(bytes).unwrap();
        assert_eq!(found.len(), 400_002);
        assert_eq!(broken, [(400_002, "not_utf8")]);
        assert_eq!(rows(b"a,b\ncaf\xe9 \x80,2\n".to_vec()).unwrap().0[0][0], "café €");
    }

    #[test]
    fn a_file_without_a_proper_header_is_unreadable() {
        let wide = |n: usize| (0..n).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",").into_bytes();
        for (bytes, code, found) in [
            (b"".to_vec(), "header_missing", "an empty file"),
            (b"%PDF-1.4\n%\xe2\xe3\n".to_vec(), "not_a_table", "a PDF document"),
            (b"<html><table>".to_vec(), "not_a_table", "a web page"),
            (b"\n\r\n\n".to_vec(), "header_missing", "no line"),
            (b"a,,c\n1,2,3\n".to_vec(), "header_empty", "no name for column 2 of 3"),
            (
                b"a,b,A\n".to_vec(),
                "header_duplicate",
                "the name `A` for column 1 and again for column 3, capitals aside",
            ),
            (b"a,\"b\n1,2\n".to_vec(), "header_missing", "a first line that cannot be read"),
            (wide(COLUMNS_MAX + 1), "too_many_columns", "4097 columns"),
            (b"PK\x03\x04whatever".to_vec(), "not_a_table", "a damaged zip archive"),
            (b"\xd0\xcf\x11\xe0whatever".to_vec(), "spreadsheet_damaged", "a damaged or protected spreadsheet"),
            (b"\xff\xfea\0,\0".to_vec(), "not_a_table", "UTF-16 text"),
            (b"a,b\n\0\0\n".to_vec(), "not_a_table", "bytes that are no text"),
            (gz(b"a,b\n1,2\n")[..20].to_vec(), "gzip_torn", "a gzip stream that stops before its end"),
        ] {
            let Unreadable(reject) = rows(bytes).unwrap_err();
            assert_eq!((reject.code, reject.found.as_str()), (code, found));
        }
        assert!(rows(wide(COLUMNS_MAX)).is_ok());
        let damaged = rows(b"PAR1 and nothing more PAR1".to_vec()).unwrap_err();
        assert_eq!(damaged.0.code, "parquet_damaged");
    }

    #[test]
    fn an_input_has_a_limit_on_its_uncompressed_size() {
        let text = "a\n".to_owned() + &"1\n".repeat(999);
        let column = parquet(vec![("a", texts(&["1"; 999]))]);
        let read_all = |bytes: Vec<u8>, max| -> Result<(), Unreadable> {
            let mut table = Table::open("t", bytes.into(), max)?;
            table.select(&[(0, Kind::Text)])?;
            while table.next_batch()?.is_some() {}
            Ok(())
        };
        for bytes in [text.clone().into_bytes(), gz(text.as_bytes())] {
            assert_eq!(read_all(bytes.clone(), 2000), Ok(()));
            assert_eq!(read_all(bytes, 1999).unwrap_err().0.code, "too_large");
        }
        assert_eq!(read_all(column.clone(), 1 << 20), Ok(()));
        assert_eq!(read_all(column, 10).unwrap_err().0.code, "too_large");
    }

    #[test]
    fn a_missing_column_is_named_beside_those_found_but_digits_of_a_row_taken_for_a_header_are_not() {
        let table = Table::open("t.csv", b"73282932000074,Nom,12\n".to_vec().into(), MAX).unwrap();
        assert_eq!(
            table.require_among("column_missing", &["siret", "id"]).unwrap_err().to_string(),
            "t.csv: found the columns (a name without letters), `Nom`, (a name without letters), \
             expected a column `siret` or `id` [column_missing]"
        );
    }

    #[test]
    fn a_number_has_a_point_or_where_it_cannot_delimit_a_comma() {
        for (cell, decimal_comma, expected) in [
            ("6.17", false, Ok(6.17)),
            (" -3 ", false, Ok(-3.0)),
            ("1e3", false, Ok(1000.0)),
            ("6,17", true, Ok(6.17)),
            ("6,17", false, Err(NumberFault::NotANumber)),
            ("1.234,5", true, Err(NumberFault::NotANumber)),
            ("1,234,5", true, Err(NumberFault::NotANumber)),
            ("[ND]", true, Err(NumberFault::NotANumber)),
            ("  ", true, Err(NumberFault::Empty)),
        ] {
            let mut numbers = Numbers::default();
            numbers.push_text(cell, decimal_comma);
            assert_eq!(numbers.faults[0].map_or(Ok(numbers.values[0]), Err), expected, "{cell}");
        }
    }

    #[test]
    fn a_whole_number_is_never_guessed() {
        for (cell, expected) in [
            ("0", Whole::Value(0)),
            ("-0", Whole::Value(0)),
            (" 12 ", Whole::Value(12)),
            ("12.0", Whole::Value(12)),
            ("12,00", Whole::Value(12)),
            ("1e3", Whole::Value(1000)),
            ("1.200", Whole::NotANumber), // thousands, or decimals?
            ("1,000", Whole::NotANumber),
            ("12.5", Whole::Fraction),
            ("1e-3", Whole::Fraction),
            ("-1", Whole::Negative),
            ("-0.5", Whole::Negative),
            ("", Whole::Empty),
            ("nan", Whole::NotANumber),
            ("inf", Whole::NotANumber),
            ("1 200", Whole::NotANumber),
            ("9007199254740992", Whole::Value(1 << 53)),
            ("9007199254740993", Whole::TooLarge),
            ("999999999999999", Whole::Value(999_999_999_999_999)),
            ("1000000000000000", Whole::Value(1_000_000_000_000_000)),
            ("99999999999999999999999", Whole::TooLarge),
        ] {
            assert_eq!(whole(cell), expected, "{cell}");
        }
    }

    /// The same rows by the csv crate, blank lines and limits aside.
    fn by_csv_crate(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn blocks_may_end_anywhere_in_a_record() {
        let mut text = "a,b,c\r\n".to_owned();
        for i in 0..60_000_usize {
            let quoted = "\"\"x\r\n,".repeat(i % 7);
            text += &format!("{i},\"{quoted}\",{}\r\n", "é".repeat(i % 23));
        }
        assert!(text.len() > 2 << 20, "several blocks");
        let (found, broken) = rows(text.clone().into_bytes()).unwrap();
        assert_eq!(broken, []);
        assert!(found == by_csv_crate(text.as_bytes()));
        assert!(rows(gz(text.as_bytes())).unwrap().0 == found);
    }

    fn any_rows() -> impl Strategy<Value = Vec<Vec<String>>> {
        let cell = prop_oneof!["[a-z0-9]{0,4}", "[ -~é\r\n\t\"]{0,8}"];
        prop::collection::vec(prop::collection::vec(cell, 3), 0..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_another_writer_wrote_is_read_back(written in any_rows()) {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in &written {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            prop_assert_eq!(rows(bytes).unwrap(), (written, vec![]));
        }

        #[test]
        fn a_number_is_the_double_nearest_to_its_digits(cell in "-?[0-9]{0,9}(\\.[0-9]{0,9})?") {
            if let Some(value) = plain_number(cell.as_bytes()) {
                prop_assert_eq!(value.to_bits(), cell.parse::<f64>().unwrap().to_bits());
            }
            let plain = cell.bytes().filter(u8::is_ascii_digit).count();
            prop_assert_eq!(plain_number(cell.as_bytes()).is_some(), (1..=15).contains(&plain));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(
            start in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08\0", b"PAR1", b"\xef\xbb\xbf", b"a;b\n", b"a,\"b\"\n"]),
            body in prop::collection::vec(any::<u8>(), 0..300),
            end in prop::sample::select(vec![&b""[..], b"\x10\0\0\0PAR1", b"\"", b"\n"]),
        ) {
            let _ = rows([start, &body, end].concat());
        }

        #[test]
        fn no_text_however_torn_swallows_the_row_after_it(body in "[a,;\"\r\n\té]{0,200}") {
            let (rows, broken) = rows(format!("x,y\n{body}\nlast,row\n").into_bytes()).unwrap();
            prop_assert_eq!(rows.last().unwrap(), &["last", "row"]);
            prop_assert!(broken.len() < rows.len());
        }

        #[test]
        fn a_damaged_file_does_not_make_a_reader_panic(
            which in 0..3_usize,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let text = "a,b\n".to_owned() + &"1,x\n".repeat(50);
            let numbers = Arc::new(Int64Array::from_iter_values(0..50));
            let mut bytes = match which {
                0 => text.into_bytes(),
                1 => gz(text.as_bytes()),
                _ => parquet(vec![("a", numbers), ("b", texts(&["x"; 50]))]),
            };
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = rows(bytes);
        }
    }
}
