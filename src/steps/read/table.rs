//! One way to read a table, whatever its file: CSV, gzipped CSV or Parquet, told apart by their first bytes.
//!
//! A table is read in batches of columns, never one object a row, and only the columns asked for.
//! A row whose structure is broken keeps its place in its batch, beside a [`Reject`] saying what is wrong with it.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Index;

use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

use super::csv::CsvBody;
use super::parquet::ParquetBody;
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
#[derive(Debug)]
pub enum Input {
    /// An opened file.
    File(File),
    /// Bytes in memory, such as an upload.
    Bytes(Bytes),
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
}

/// What a column is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; a missing value is empty.
    Text,
    /// Finite or not, numbers with a decimal point, or a decimal comma where the comma is not the delimiter.
    Number,
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

impl Table {
    /// Opens a table of at most `bytes_max` uncompressed bytes and reads its header.
    /// `name` is what messages call it.
    pub fn open(name: &str, mut input: Input, bytes_max: u64) -> Result<Self, Unreadable> {
        let magic = input.magic().map_err(|error| unreadable_input(name, &error))?;
        let (headers, body) = if magic == *b"PAR1" {
            let (headers, body) = ParquetBody::open(name, input, bytes_max)?;
            (headers, Body::Parquet(Box::new(body)))
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
        }
    }

    /// Whether `6,17` is a number here: where the comma does not stand between fields.
    pub fn decimal_comma(&self) -> bool {
        matches!(self.format(), Format::Csv { delimiter, .. } if delimiter != b',')
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
        }
    }

    /// The next rows, at most [`BATCH_ROWS`]; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Unreadable> {
        let batch = match &mut self.body {
            Body::Csv(body) => body.next_batch(&self.name, &self.headers, self.next_row)?,
            Body::Parquet(body) => body.next_batch(&self.name, &self.headers, self.next_row)?,
        };
        if let Some(batch) = &batch {
            self.next_row += batch.places.len();
        }
        Ok(batch)
    }

    /// The share of the file already read, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.body {
            Body::Csv(body) => body.progress(),
            Body::Parquet(body) => body.progress(self.next_row - 1),
        }
    }
}

/// A column's name as messages show it. In a file without header the first row takes its place, so a name which holds
/// a run of digits long enough for a SIREN, or no letter at all, is not repeated.
fn shown(name: &str) -> String {
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
    /// The texts of a column that was selected as text; empties where it was not selected.
    pub(super) fn take_texts(&mut self, at: usize) -> Texts {
        match &mut self.columns[at] {
            Column::Text(texts) => std::mem::take(texts),
            Column::Number(_) => unreachable!("selected as numbers"),
        }
    }
    /// The numbers of a column that was selected as numbers.
    pub(super) fn take_numbers(&mut self, at: usize) -> Numbers {
        match &mut self.columns[at] {
            Column::Number(numbers) => std::mem::take(numbers),
            Column::Text(_) => unreachable!("selected as text"),
        }
    }
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Texts::default()),
            Kind::Number => Self::Number(Numbers::default()),
        }
    }
    /// Adds a cell from its text.
    pub(super) fn push(&mut self, cell: &str, decimal_comma: bool) {
        match self {
            Self::Text(texts) => texts.push(cell),
            Self::Number(numbers) => numbers.push_text(cell, decimal_comma),
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
    pub(super) fn push_fault(&mut self, fault: NumberFault) {
        self.values.push(f64::NAN);
        self.faults.push(Some(fault));
    }
    pub(super) fn push_text(&mut self, cell: &str, decimal_comma: bool) {
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
        }
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Bytes(bytes) => Length::len(bytes),
        }
    }
}

/// Ranges are checked against the length first: a damaged footer must not make us reserve memory for bytes which do
/// not exist.
impl ChunkReader for Input {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Self::T> {
        within(self, start, 0)?;
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes.slice(start as usize..))),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        within(self, start, length)?;
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Bytes(bytes) => Ok(bytes.slice(start as usize..start as usize + length)),
        }
    }
}

fn within(input: &Input, start: u64, length: usize) -> ::parquet::errors::Result<()> {
    match start.checked_add(length as u64) {
        Some(end) if end <= Length::len(input) => Ok(()),
        _ => Err(::parquet::errors::ParquetError::EOF("a range past the end of the file".to_owned())),
    }
}
