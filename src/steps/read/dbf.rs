//! The attribute table of a shapefile (dBASE III), read in place with every offset checked against the bytes there are.

use super::encoding::TextEncoding;
use super::zones::{Field, FieldType, cells_fit};
use crate::model::Unreadable;

/// A table whose header holds: every row named by it lies within the bytes.
pub(super) struct Table<'a> {
    /// Rows, deleted ones included.
    pub rows: usize,
    /// The language byte, 0 when unset.
    pub language_byte: u8,
    columns: Vec<Column<'a>>,
    row_length: usize,
    body: &'a [u8],
}

struct Column<'a> {
    name: &'a [u8],
    kind: u8,
    decimals: u8,
    start: usize,
    end: usize,
}

/// Reads the header.
pub(super) fn open<'a>(file: &str, bytes: &'a [u8]) -> Result<Table<'a>, Unreadable> {
    let bad = |found: String, expected: &str| Unreadable::file("dbf_header", file, found, expected);
    let Some(header) = bytes.get(..32) else {
        return Err(bad(format!("{} bytes", bytes.len()), "a dBASE header of at least 32 bytes"));
    };
    let rows = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let header_length = usize::from(u16::from_le_bytes([header[8], header[9]]));
    let row_length = usize::from(u16::from_le_bytes([header[10], header[11]]));
    if row_length == 0 || header_length < 32 || header_length > bytes.len() {
        let found = format!("a header of {header_length} bytes and rows of {row_length} in a file of {}", bytes.len());
        return Err(bad(found, "lengths that fit the file"));
    }
    let body = &bytes[header_length..];
    if rows.checked_mul(row_length).is_none_or(|needed| needed > body.len()) {
        let found = format!("{rows} rows of {row_length} bytes announced and {} bytes left for them", body.len());
        return Err(Unreadable::file("dbf_truncated", file, found, "as many bytes as the header announces"));
    }
    let mut columns = Vec::new();
    let mut start = 1;
    for descriptor in bytes[32..header_length].chunks_exact(32).take_while(|d| d[0] != 0x0d) {
        let name = descriptor[..11].split(|&b| b == 0).next().unwrap_or_default();
        // Clipper keeps the high byte of a long text's width where others keep its decimals.
        let (width, decimals) = match descriptor[11] {
            b'C' => (usize::from(u16::from_le_bytes([descriptor[16], descriptor[17]])), 0),
            _ => (usize::from(descriptor[16]), descriptor[17]),
        };
        let end = start + width;
        if end > row_length {
            return Err(bad(format!("columns of {end} bytes in rows of {row_length}"), "columns that fit their row"));
        }
        columns.push(Column { name, kind: descriptor[11], decimals, start, end });
        start = end;
    }
    cells_fit(file, rows, columns.len().max(1))?;
    Ok(Table { rows, language_byte: header[29], columns, row_length, body })
}

impl<'a> Table<'a> {
    fn row(&self, row: usize) -> &'a [u8] {
        &self.body[row * self.row_length..][..self.row_length]
    }

    /// Whether a row carries the deletion mark.
    pub(super) fn is_deleted(&self, row: usize) -> bool {
        self.row(row)[0] == b'*'
    }

    /// Columns as a report shows them.
    pub(super) fn fields(&self, encoding: TextEncoding) -> Vec<Field> {
        let kind = |c: &Column<'_>| match c.kind {
            b'C' => FieldType::Text,
            b'N' | b'F' if c.decimals == 0 => FieldType::Integer,
            b'N' | b'F' | b'O' | b'B' => FieldType::Real,
            b'I' | b'+' => FieldType::Integer,
            b'D' | b'T' | b'@' => FieldType::Date,
            b'L' => FieldType::Logical,
            _ => FieldType::Other,
        };
        self.columns.iter().map(|c| Field { name: encoding.decode(c.name).trim().to_owned(), kind: kind(c) }).collect()
    }

    /// Every text of the table and the names of its columns: what the encoding is judged by.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let names = self.columns.iter().map(|c| c.name);
        let texts = self.columns.iter().filter(|c| c.kind == b'C');
        names.chain(texts.flat_map(move |c| (0..self.rows).map(move |row| trim(&self.row(row)[c.start..c.end]))))
    }

    /// The cells of a row; blank and unset cells are `None`, never zero and never an empty text.
    pub(super) fn cells(&self, row: usize, encoding: TextEncoding) -> Vec<Option<String>> {
        let row = self.row(row);
        self.columns.iter().map(|c| cell(c, &row[c.start..c.end], encoding)).collect()
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.split(|&b| b == 0).next().unwrap_or_default();
    bytes.trim_ascii()
}

fn cell(column: &Column<'_>, bytes: &[u8], encoding: TextEncoding) -> Option<String> {
    if let (b'I' | b'+', Ok(four)) = (column.kind, <[u8; 4]>::try_from(bytes)) {
        return Some(i32::from_le_bytes(four).to_string());
    }
    let bytes = trim(bytes);
    match column.kind {
        b'N' | b'F' => number(std::str::from_utf8(bytes).ok()?),
        b'L' => (!matches!(bytes, b"?" | b"")).then(|| String::from_utf8_lossy(bytes).into_owned()),
        _ if bytes.is_empty() => None,
        _ => Some(encoding.decode(bytes)).filter(|text| !text.trim().is_empty()),
    }
}

/// A number as a code would write it: whole numbers without a decimal part, anything else as it stands.
pub(super) fn number(text: &str) -> Option<String> {
    /// Whole numbers up to here are exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value: f64 = text.parse().ok().filter(|v: &f64| v.is_finite())?;
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
    Some(if !plain && value.fract() == 0.0 && value.abs() < EXACT {
        format!("{}", value as i64)
    } else {
        text.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_lose_their_decimals_and_nothing_else() {
        for (text, read) in [
            ("7", Some("7")),
            ("7.000", Some("7")),
            ("-7.0", Some("-7")),
            ("007", Some("7")),
            ("6.70010000000e+004", Some("67001")),
            ("7.5", Some("7.5")),
            ("12345678901234567890", Some("12345678901234567890")),
            ("", None),
            ("*******", None),
            ("nan", None),
            ("1e999", None),
        ] {
            assert_eq!(number(text).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn a_header_that_promises_more_than_the_file_holds_is_refused() {
        let mut bytes = vec![3, 0, 0, 0, 2, 0, 0, 0, 65, 0, 4, 0];
        bytes.resize(32, 0);
        bytes.extend(b"CODE\0\0\0\0\0\0\0C\0\0\0\0\x03\0");
        bytes.resize(64, 0);
        bytes.push(0x0d);
        bytes.extend(b" ABC*DEF");
        let table = open("t.dbf", &bytes).unwrap();
        let utf8 = TextEncoding::from_cpg(b"UTF-8").unwrap();
        assert_eq!((table.rows, table.is_deleted(0), table.is_deleted(1)), (2, false, true));
        assert_eq!(table.cells(0, utf8), [Some("ABC".to_owned())]);
        for (at, byte, code) in
            [(4, 3, "dbf_truncated"), (7, 255, "dbf_truncated"), (10, 0, "dbf_header"), (48, 4, "dbf_header")]
        {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert_eq!(open("t.dbf", &bytes).map(|t| t.rows).unwrap_err().0.code, code, "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(open("t.dbf", &bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
