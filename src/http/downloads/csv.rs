//! CSV (RFC 4180), and the dialect that a French Excel opens by a double click.

use super::Encoded;
use super::rows::{Extract, Value};
use std::borrow::Cow;

/// What Excel takes UTF-8 by.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// First letters by which a spreadsheet takes a text for a formula (OWASP, CSV injection).
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Commas, UTF-8, one line a row, lines that end as RFC 4180 has it.
pub fn plain(extract: &Extract<'_>) -> Encoded {
    write(extract, b',', Vec::new(), |text| Cow::Borrowed(text))
}

/// Semicolons and a byte order mark; a text that Excel would take for a formula begins with an apostrophe.
pub fn excel(extract: &Extract<'_>) -> Encoded {
    write(extract, b';', BYTE_ORDER_MARK.as_bytes().to_vec(), |text| match text.starts_with(FORMULA) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    })
}

/// A header and rows as lines, after some first bytes.
pub fn lines<F: AsRef<[u8]>>(
    delimiter: u8,
    start: Vec<u8>,
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<F>>,
) -> Encoded {
    let mut writer =
        csv::WriterBuilder::new().delimiter(delimiter).terminator(csv::Terminator::CRLF).from_writer(start);
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

fn write(extract: &Extract<'_>, delimiter: u8, start: Vec<u8>, guard: impl Fn(&str) -> Cow<'_, str>) -> Encoded {
    let field = |value: &Value<'_>| match value {
        Value::Text(text) => guard(text).into_owned(),
        Value::Whole(number) => number.to_string(),
        Value::Withheld => String::new(),
    };
    let columns: Vec<&str> = extract.columns().iter().map(|column| column.name).collect();
    lines(delimiter, start, &columns, extract.rows().map(|row| row.values.iter().map(field).collect()))
}
