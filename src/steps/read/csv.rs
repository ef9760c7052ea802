//! Delimited text: `,`, `;` or tab, UTF-8 or Windows-1252, gzipped or not.
//!
//! Records follow RFC 4180, with the liberties files take: a quote inside an unquoted field is a character, lines end
//! with LF, CRLF or CR, blank lines are skipped. A quote which is never closed costs its own line and no other.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::parquet::file::reader::Length;
use flate2::read::MultiGzDecoder;

use super::table::{
    BATCH_ROWS, Batch, Broken, COLUMNS_MAX, Column, Encoding, FIELD_BYTES_MAX, Format, Input, Kind, unreadable_input,
};
use crate::model::{Reject, Unreadable};

/// Bytes asked of the file at a time, and the block on which the encoding is decided.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes a record may span before its quote is taken for torn; longer than any record of honest columns.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Torn quotes after which a file is given up: each may cost a second reading of [`RECORD_BYTES_MAX`] bytes.
const TORN_QUOTES_MAX: usize = 1_000;

/// What stands between fields, in the order preferred when the header line holds none or as many of each.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Whether a byte ends an unquoted field: the delimiter, LF or CR. One look-up a byte is what reading costs most.
type EndsField = [bool; 256];

pub(super) struct CsvBody {
    lines: Lines,
    gzipped: bool,
    encoding: Encoding,
    delimiter: u8,
    ends_field: EndsField,
    selected: Vec<(usize, Kind)>,
    torn_quotes: usize,
    fields: Vec<Field>,
}

impl CsvBody {
    pub(super) fn open(
        name: &str,
        input: Input,
        gzipped: bool,
        bytes_max: u64,
    ) -> Result<(Vec<String>, Self), Unreadable> {
        let mut lines = Lines::new(input, gzipped, bytes_max);
        lines.refill(name)?;
        let head = lines.rest();
        refuse_other_formats(name, head)?;
        let bom = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let encoding = encoding_of(head, lines.at_end);
        let delimiter = delimiter_of(&head[bom..]);
        lines.start += bom;

        let mut body = Self {
            lines,
            gzipped,
            encoding,
            delimiter,
            ends_field: std::array::from_fn(|b| [delimiter, b'\n', b'\r'].contains(&(b as u8))),
            selected: Vec::new(),
            torn_quotes: 0,
            fields: Vec::new(),
        };
        let headers = match body.next_record(name)? {
            Some(record) if record.fault.is_none() => {
                if body.fields.len() > COLUMNS_MAX {
                    let found = format!("{} columns", body.fields.len());
                    return Err(Unreadable::file("too_many_columns", name, found, format!("{COLUMNS_MAX} at most")));
                }
                let text = |field: &Field| body.text(field, record.start).map(|text| text.trim().to_owned());
                body.fields.iter().map(text).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        let headers = headers.ok_or_else(|| {
            let found = if body.lines.rest().is_empty() { "no line" } else { "a first line that cannot be read" };
            Unreadable::file("header_missing", name, found, "a first line naming each column once")
        })?;
        Ok((headers, body))
    }

    pub(super) fn format(&self) -> Format {
        Format::Csv { gzipped: self.gzipped, encoding: self.encoding, delimiter: self.delimiter }
    }

    /// A guess: rows of an identifier and two coordinates have some forty bytes, and gzip leaves a third of them.
    pub(super) fn rows_about(&self) -> u64 {
        self.lines.total / if self.gzipped { 13 } else { 40 }
    }

    pub(super) fn select(&mut self, wanted: &[(usize, Kind)]) {
        self.selected = wanted.to_vec();
    }

    pub(super) fn progress(&self) -> f64 {
        self.lines.consumed.load(Ordering::Relaxed) as f64 / self.lines.total.max(1) as f64
    }

    pub(super) fn next_batch(
        &mut self,
        name: &str,
        headers: &[String],
        first_row: usize,
    ) -> Result<Option<Batch>, Unreadable> {
        let mut batch = self.empty_batch(first_row);
        loop {
            self.plain_rows(headers.len(), &mut batch);
            if batch.len() >= BATCH_ROWS || !self.scanned_row(name, headers, &mut batch)? {
                break;
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn empty_batch(&self, first_row: usize) -> Batch {
        let columns = self.selected.iter().map(|&(_, kind)| Column::new(kind)).collect();
        Batch { first_row, places: Vec::new(), columns, broken: Vec::new() }
    }

    /// Takes one row, whatever is the matter with it; false after the last.
    fn scanned_row(&mut self, name: &str, headers: &[String], batch: &mut Batch) -> Result<bool, Unreadable> {
        let Some(mut record) = self.next_record(name)? else { return Ok(false) };
        if record.fault.is_none() && self.fields.len() != headers.len() {
            if record.spans_lines() {
                record = self.tear(name, &record)?;
            } else {
                record.fault = Some(Fault::Ragged { fields: self.fields.len() });
            }
        }
        let decimal_comma = self.delimiter != b',';
        let mut fault = record.fault.map(|fault| fault.reject(name, record.line, headers.len()));
        for (column, &(at, _)) in batch.columns.iter_mut().zip(&self.selected) {
            let mut cell = Cow::Borrowed("");
            if let Some(field) = self.fields.get(at) {
                let refused = match self.text(field, record.start) {
                    Some(text) if text.len() <= FIELD_BYTES_MAX => {
                        cell = text;
                        None
                    }
                    Some(_) => Some(Fault::LongField),
                    None => Some(Fault::NotUtf8),
                };
                if fault.is_none() {
                    fault = refused.map(|fault| {
                        let mut reject = fault.reject(name, record.line, headers.len());
                        reject.field = headers.get(at).cloned();
                        reject
                    });
                }
            }
            column.push(&cell, decimal_comma);
        }
        if let Some(reject) = fault {
            batch.broken.push(Broken { index: batch.places.len(), reject });
        }
        batch.places.push(record.line);
        Ok(true)
    }

    /// Takes rows as long as nothing is the matter with them, nearly all of them in most files: a line each, with as many
    /// fields as the header, their quotes around whole fields, and cells that need no decoding. What such a row gives is
    /// what [`Self::scanned_row`] would give.
    fn plain_rows(&mut self, n_fields: usize, batch: &mut Batch) {
        let Batch { places, columns, .. } = batch;
        let decimal_comma = self.delimiter != b',';
        let (mut at, mut line) = (0, self.lines.line);
        let bytes = self.lines.rest();
        let mut bounds = Vec::with_capacity(n_fields);
        let mut cells: Vec<&str> = Vec::with_capacity(self.selected.len());
        while places.len() < BATCH_ROWS {
            let rest = &bytes[at..];
            let Some(length) = plain_line(rest, self.delimiter, &self.ends_field, &mut bounds) else { break };
            if bounds != [(0, 0)] {
                if bounds.len() != n_fields {
                    break;
                }
                let cell = |&(at, _): &(usize, Kind)| {
                    let cell = rest.get(bounds[at].0..bounds[at].1)?;
                    let spelt = self.encoding == Encoding::Utf8 || cell.is_ascii();
                    std::str::from_utf8(cell).ok().filter(|_| spelt && cell.len() <= FIELD_BYTES_MAX)
                };
                cells.clear();
                cells.extend(self.selected.iter().map_while(cell));
                if cells.len() < self.selected.len() {
                    break;
                }
                columns.iter_mut().zip(&cells).for_each(|(column, cell)| column.push(cell, decimal_comma));
                places.push(line);
            }
            at += length;
            line += 1;
        }
        let lines = line - self.lines.line;
        self.lines.pass(at, lines);
    }

    /// The next record that is not a blank line; its fields are in `self.fields`.
    fn next_record(&mut self, name: &str) -> Result<Option<Record>, Unreadable> {
        loop {
            let line = self.lines.line;
            if self.lines.rest().is_empty() {
                self.lines.refill(name)?;
                if self.lines.rest().is_empty() {
                    return Ok(None);
                }
            }
            let start = self.lines.start;
            match scan(self.lines.rest(), self.lines.at_end, &self.ends_field, &mut self.fields) {
                Scan::Record { length, line_ends } => {
                    self.lines.pass(length, line_ends);
                    if self.fields.len() == 1 && self.fields[0].is_blank() {
                        continue;
                    }
                    return Ok(Some(Record { line, start, line_ends, fault: None }));
                }
                Scan::Incomplete if self.lines.rest().len() < RECORD_BYTES_MAX => self.lines.refill(name)?,
                Scan::Incomplete | Scan::OpenQuote => {
                    let record = Record { line, start, line_ends: 0, fault: None };
                    return self.tear(name, &record).map(Some);
                }
            }
        }
    }

    /// Takes the first line of a record for a row of its own, whose quote is torn, and reading up again after it.
    fn tear(&mut self, name: &str, record: &Record) -> Result<Record, Unreadable> {
        self.torn_quotes += 1;
        if self.torn_quotes > TORN_QUOTES_MAX {
            let found = format!("more than {TORN_QUOTES_MAX} lines whose quotes are not closed");
            return Err(Unreadable::record("quotes_torn", name, record.line, found, "quotes that are closed"));
        }
        self.lines.start = record.start;
        self.lines.line = record.line;
        let rest = self.lines.rest();
        let length = rest.iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(rest.len());
        let quoted = matches!(scan(&rest[..length], true, &self.ends_field, &mut self.fields), Scan::OpenQuote);
        let fault = if quoted { Fault::TornQuote } else { Fault::LongRecord };
        let ended = length < rest.len();
        let after = match &rest[length..] {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        self.lines.pass(length + after, usize::from(ended));
        if !ended && !self.lines.at_end {
            self.lines.skip_line(name)?;
            // The bytes of the fields are gone with the line.
            self.fields.clear();
        }
        Ok(Record { start: record.start, line: record.line, line_ends: 0, fault: Some(fault) })
    }

    /// The text of a field of the record that starts at `start`; `None` when it is not spelt as the file is.
    fn text(&self, field: &Field, start: usize) -> Option<Cow<'_, str>> {
        let bytes = &self.lines.buffer[start + field.start..start + field.end];
        let bytes = if field.escaped { Cow::Owned(unescape(bytes)) } else { Cow::Borrowed(bytes) };
        match (self.encoding, bytes) {
            (Encoding::Utf8, Cow::Borrowed(bytes)) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            (Encoding::Utf8, Cow::Owned(bytes)) => String::from_utf8(bytes).ok().map(Cow::Owned),
            (Encoding::Windows1252, bytes) => {
                let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes);
                Some(Cow::Owned(text.into_owned()))
            }
        }
    }
}

/// A record within the buffer, valid until the next one is read.
struct Record {
    line: usize,
    start: usize,
    line_ends: usize,
    fault: Option<Fault>,
}

impl Record {
    /// Whether a quoted field holds the end of a line, or the quote of one line closed on another.
    fn spans_lines(&self) -> bool {
        self.line_ends > 1
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Ragged { fields: usize },
    TornQuote,
    LongRecord,
    LongField,
    NotUtf8,
}

impl Fault {
    fn reject(self, name: &str, line: usize, columns: usize) -> Reject {
        let (code, found, expected) = match self {
            Self::Ragged { fields } => (
                "row_ragged",
                format!("{fields} field{}", if fields == 1 { "" } else { "s" }),
                format!("{columns}, as in the header"),
            ),
            Self::TornQuote => {
                ("quote_torn", "a quote that is not closed".to_owned(), "a closing quote in the record".to_owned())
            }
            Self::LongRecord => (
                "record_too_long",
                format!("a line longer than {RECORD_BYTES_MAX} bytes"),
                format!("{RECORD_BYTES_MAX} bytes at most"),
            ),
            Self::LongField => (
                "field_too_long",
                format!("a field longer than {FIELD_BYTES_MAX} bytes"),
                format!("{FIELD_BYTES_MAX} bytes at most"),
            ),
            Self::NotUtf8 => {
                ("not_utf8", "bytes that are not UTF-8".to_owned(), "UTF-8, as at the start of the file".to_owned())
            }
        };
        Reject { code, file: name.to_owned(), row: Some(line), field: None, found, expected }
    }
}

/// A field within its record: its outer quotes are left out, its inner ones not yet undone.
struct Field {
    start: usize,
    end: usize,
    quoted: bool,
    escaped: bool,
}

impl Field {
    fn is_blank(&self) -> bool {
        self.start == self.end && !self.quoted
    }
}

enum Scan {
    /// A record of that many bytes, its end included, with that many line ends in it (the last line may have none).
    Record { length: usize, line_ends: usize },
    /// The bytes stop before the record does.
    Incomplete,
    /// The file stops inside quotes; the fields before them were read.
    OpenQuote,
}

/// The bounds of the fields of a line, their quotes left out, and the bytes of the line with its end; `None` where the
/// bytes end first, and where [`scan`] is to say what there is: a quote within a quoted field or after it, a lone CR.
#[inline]
fn plain_line(bytes: &[u8], delimiter: u8, ends_field: &EndsField, bounds: &mut Vec<(usize, usize)>) -> Option<usize> {
    bounds.clear();
    let mut at = 0;
    loop {
        if *bytes.get(at)? == b'"' {
            let start = at + 1;
            let ends = |&b: &u8| b == b'"' || b == b'\n' || b == b'\r';
            at = start + bytes[start..].iter().position(ends)?;
            bounds.push((start, at));
            if bytes[at] != b'"' {
                return None;
            }
            at += 1;
        } else {
            let start = at;
            at += bytes[at..].iter().position(|b| ends_field[usize::from(*b)])?;
            bounds.push((start, at));
        }
        match *bytes.get(at)? {
            b'\n' => return Some(at + 1),
            b'\r' => return (*bytes.get(at + 1)? == b'\n').then_some(at + 2),
            b if b == delimiter => at += 1,
            _ => return None,
        }
    }
}

/// Finds the fields of the record at the start of `bytes`; `whole` says that nothing follows them.
fn scan(bytes: &[u8], whole: bool, ends_field: &EndsField, fields: &mut Vec<Field>) -> Scan {
    fields.clear();
    let ends_field = |b: &u8| ends_field[usize::from(*b)];
    let mut at = 0;
    let mut line_ends = 0;
    loop {
        let quoted = bytes.get(at) == Some(&b'"');
        if quoted {
            let start = at + 1;
            let mut escaped = false;
            at = start;
            let mut end = loop {
                let Some(length) = bytes[at..].iter().position(|&b| b == b'"') else {
                    return if whole { Scan::OpenQuote } else { Scan::Incomplete };
                };
                line_ends += line_ends_in(&bytes[at..at + length]);
                at += length + 1;
                match bytes.get(at) {
                    Some(b'"') => {
                        escaped = true;
                        at += 1;
                    }
                    None if !whole => return Scan::Incomplete,
                    _ => break at - 1,
                }
            };
            let tail = bytes[at..].iter().position(ends_field).unwrap_or(bytes.len() - at);
            if tail > 0 {
                escaped = true;
                at += tail;
                end = at;
            }
            fields.push(Field { start, end, quoted, escaped });
        } else {
            let length = bytes[at..].iter().position(ends_field).unwrap_or(bytes.len() - at);
            fields.push(Field { start: at, end: at + length, quoted, escaped: false });
            at += length;
        }
        match bytes.get(at) {
            Some(b'\n') => return Scan::Record { length: at + 1, line_ends: line_ends + 1 },
            Some(b'\r') => {
                return match bytes.get(at + 1) {
                    Some(b'\n') => Scan::Record { length: at + 2, line_ends: line_ends + 1 },
                    None if !whole => Scan::Incomplete,
                    _ => Scan::Record { length: at + 1, line_ends: line_ends + 1 },
                };
            }
            Some(_) => at += 1,
            None if whole => return Scan::Record { length: at, line_ends: line_ends + 1 },
            None => return Scan::Incomplete,
        }
    }
}

/// Line ends within quotes: LF, CRLF or CR, each once.
fn line_ends_in(bytes: &[u8]) -> usize {
    let lone_cr = |(at, &b): (usize, &u8)| b == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    bytes.iter().filter(|&&b| b == b'\n').count() + bytes.iter().enumerate().filter(|&pair| lone_cr(pair)).count()
}

/// Undoes the quotes of a field whose opening quote is already off: `""` is a quote, and what follows the closing one
/// is kept as it is.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&b| b == b'"') {
        plain.extend_from_slice(&rest[..at]);
        match rest.get(at + 1) {
            Some(b'"') => {
                plain.push(b'"');
                rest = &rest[at + 2..];
            }
            _ => {
                rest = &rest[at + 1..];
                break;
            }
        }
    }
    plain.extend_from_slice(rest);
    plain
}

/// The bytes of the file, a window at a time.
struct Lines {
    stream: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
    total: u64,
    buffer: Vec<u8>,
    /// Where the unread bytes begin in the buffer.
    start: usize,
    /// The line they are on, from 1.
    line: usize,
    at_end: bool,
    read: u64,
    bytes_max: u64,
}

impl Lines {
    fn new(input: Input, gzipped: bool, bytes_max: u64) -> Self {
        let consumed = Arc::new(AtomicU64::new(0));
        let total = Length::len(&input);
        let counted = Counted { stream: input.into_stream(), consumed: Arc::clone(&consumed) };
        let stream: Box<dyn Read + Send> =
            if gzipped { Box::new(MultiGzDecoder::new(counted)) } else { Box::new(counted) };
        Self { stream, consumed, total, buffer: Vec::new(), start: 0, line: 1, at_end: false, read: 0, bytes_max }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn pass(&mut self, length: usize, line_ends: usize) {
        self.start += length;
        self.line += line_ends;
    }

    /// Forgets what was read and adds a block; `at_end` once the file has no more.
    fn refill(&mut self, name: &str) -> Result<(), Unreadable> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let added = (&mut self.stream).take(BLOCK_BYTES as u64).read_to_end(&mut self.buffer).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    Unreadable::file("gzip_torn", name, "a gzip stream that stops before its end", "a whole gzip file")
                }
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                    let found = format!("a damaged gzip stream ({error})");
                    Unreadable::file("gzip_damaged", name, found, "a whole gzip file")
                }
                _ => unreadable_input(name, &error),
            }
        })?;
        self.at_end = added < BLOCK_BYTES;
        self.read += added as u64;
        if self.read > self.bytes_max {
            let found = format!("more than {} uncompressed bytes", self.bytes_max);
            return Err(Unreadable::file("too_large", name, found, format!("{} bytes at most", self.bytes_max)));
        }
        Ok(())
    }

    /// Passes the rest of a line which the buffer does not hold whole.
    fn skip_line(&mut self, name: &str) -> Result<(), Unreadable> {
        loop {
            match self.rest().iter().position(|&b| b == b'\n' || b == b'\r') {
                Some(at) => {
                    self.pass(at + 1, 1);
                    return Ok(());
                }
                None => {
                    self.start = self.buffer.len();
                    if self.at_end {
                        return Ok(());
                    }
                    self.refill(name)?;
                }
            }
        }
    }
}

/// Counts the bytes taken from the file, for progress.
struct Counted {
    stream: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.stream.read(into)?;
        self.consumed.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

fn refuse_other_formats(name: &str, head: &[u8]) -> Result<(), Unreadable> {
    let found = match head {
        [] => return Err(Unreadable::file("header_missing", name, "an empty file", "a first line naming each column")),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a zip archive or an Excel workbook",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text",
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "an old Excel workbook",
        head if head.contains(&0) => "bytes that are no text",
        _ => return Ok(()),
    };
    Err(Unreadable::file("not_a_table", name, found, "CSV in UTF-8 or Windows-1252, gzipped CSV, or Parquet"))
}

/// UTF-8 when the whole first block is, else Windows-1252. A character cut by the end of the block does not count.
fn encoding_of(head: &[u8], whole: bool) -> Encoding {
    match std::str::from_utf8(head) {
        Ok(_) => Encoding::Utf8,
        Err(error) if error.error_len().is_none() && !whole => Encoding::Utf8,
        Err(_) => Encoding::Windows1252,
    }
}

/// The delimiter which stands most often in the first line that is not blank, outside quotes.
fn delimiter_of(head: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    let start = head.iter().position(|&b| b != b'\n' && b != b'\r').unwrap_or(head.len());
    for &b in &head[start..] {
        match b {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(at) = DELIMITERS.iter().position(|&d| d == b) {
                    counts[at] += 1;
                }
            }
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    DELIMITERS[counts.iter().position(|&n| n == most).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is known of a table of three columns, the second of them read as a number and as a text: the lines of its rows,
    /// their cells with numbers bit by bit, and what is refused.
    type Told = (Vec<usize>, Vec<[String; 4]>, Vec<Broken>);

    /// All rows by `more`, which adds some to a batch and tells whether there are others, or what stopped the reading.
    fn told(
        bytes: &[u8],
        mut more: impl FnMut(&mut CsvBody, &[String], &mut Batch) -> Result<bool, Unreadable>,
    ) -> Result<Told, Unreadable> {
        let (headers, mut body) = CsvBody::open("t", bytes.to_vec().into(), false, 1 << 30)?;
        body.select(&[(0, Kind::Text), (1, Kind::Number), (1, Kind::Text), (2, Kind::Text)]);
        let mut batch = body.empty_batch(1);
        while more(&mut body, &headers, &mut batch)? {}
        let cell = |row: usize, column: &Column| match column {
            Column::Text(texts) => texts[row].to_owned(),
            Column::Number(numbers) => format!("{:x} {:?}", numbers.values[row].to_bits(), numbers.faults[row]),
            Column::Whole(_) => unreachable!("not selected"),
        };
        let row = |row: usize| std::array::from_fn(|at| cell(row, &batch.columns[at]));
        let rows = (0..batch.len()).map(row).collect();
        Ok((batch.places, rows, batch.broken))
    }

    /// Lines of nearly as many fields as the header, plain ones, quoted ones and torn ones, with every line end; some
    /// fields are too long, and some bytes are not UTF-8 where the file is.
    fn any_table() -> impl Strategy<Value = Vec<u8>> {
        let long = |more: usize| vec![b'z'; FIELD_BYTES_MAX + more];
        let cell = prop_oneof![
            12 => "-?[0-9]{0,4}([.,][0-9]{0,3})?".prop_map(String::into_bytes),
            8 => "\"[a1é,;\t ]{0,3}\"".prop_map(String::into_bytes),
            8 => "[a-z é]{0,3}".prop_map(String::into_bytes),
            4 => "[a1é,;\t\"\r\n]{0,6}".prop_map(String::into_bytes),
            1 => Just(b"\xe9".to_vec()),
            1 => (0..2_usize).prop_map(long),
        ];
        let end = prop::sample::select(vec!["\n", "\n", "\r\n", "\r", "\n\n", ""]);
        let fields = prop_oneof![6 => Just(3_usize), 1 => 0..6_usize];
        let line = (fields, prop::collection::vec(cell, 6), end);
        let header = prop::sample::select(vec!["a;b;c\n", "a,\"b\",c\r\n", "\u{feff}a\tb\tc\n", "é;b;c\n"]);
        (header, prop::collection::vec(line, 0..12)).prop_map(|(header, lines)| {
            let delimiter = delimiter_of(header.as_bytes());
            let mut bytes = header.as_bytes().to_vec();
            for (fields, cells, end) in lines {
                bytes.extend(cells[..fields].join(&delimiter));
                bytes.extend(end.as_bytes());
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_plain_way_gives_the_rows_and_the_refusals_that_the_scanner_gives(bytes in any_table()) {
            let both = told(&bytes, |body, headers, batch| {
                body.plain_rows(headers.len(), batch);
                body.scanned_row("t", headers, batch)
            });
            prop_assert_eq!(both, told(&bytes, |body, headers, batch| body.scanned_row("t", headers, batch)));
        }

        #[test]
        fn a_plain_line_has_the_fields_that_the_scanner_finds(
            body in prop_oneof!["[a1é]{0,3}(;[a1é]{0,3}){0,3}(\r\n|\n)[a;\"\n]{0,5}", "[a;\"\r\n\té]{0,16}"],
        ) {
            let ends_field: EndsField = std::array::from_fn(|b| b";\n\r".contains(&(b as u8)));
            let (mut bounds, mut fields) = (Vec::new(), Vec::new());
            if let Some(plain) = plain_line(body.as_bytes(), b';', &ends_field, &mut bounds) {
                let Scan::Record { length, line_ends } = scan(body.as_bytes(), true, &ends_field, &mut fields) else {
                    panic!("the scanner finds no record in {body:?}");
                };
                let scanned: Vec<_> = fields.iter().map(|field| (field.start, field.end)).collect();
                prop_assert_eq!((plain, 1, &bounds), (length, line_ends, &scanned));
                prop_assert!(fields.iter().all(|field| !field.escaped));
            }
        }
    }
}
