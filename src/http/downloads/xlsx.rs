//! XLSX: a sheet of figures, and one that says where they come from and what secrecy means.

use super::Encoded;
use super::rows::{Extract, Kind, Value};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

/// Narrowest and widest column, in characters: names of zones are read whole, sentences are not.
const WIDTH: (usize, usize) = (9, 40);

/// Widths of the sheet of sources: a title, then a sentence.
const ABOUT_WIDTHS: [f64; 2] = [28.0, 100.0];

/// Figures are written as numbers and texts as texts, so that nothing is taken for a formula.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let mut workbook = Workbook::new();
    let (year, month, day) = extract.updated();
    // The day of the release, not that of the request: the same release gives the same bytes.
    let made = ExcelDateTime::from_ymd(year, month, day)?;
    let about = extract.about();
    let words = |name: &str| about.iter().find(|said| said.0 == name).map_or("", |said| said.2.as_str());
    let properties = DocProperties::new()
        .set_title(format!("{}, {}", extract.title, extract.vintage))
        .set_author(words("source"))
        .set_comment(format!("Licence : {}. {}", words("licence"), words("notice")))
        .set_creation_datetime(&made);
    workbook.set_properties(&properties);
    figures(workbook.add_worksheet(), extract)?;
    sources(workbook.add_worksheet(), extract)?;
    Ok(workbook.save_to_buffer()?)
}

fn figures(sheet: &mut Worksheet, extract: &Extract<'_>) -> Result<(), XlsxError> {
    sheet.set_name("Chiffres")?;
    let head = Format::new().set_bold();
    let number = Format::new().set_num_format("#,##0");
    let columns = extract.columns();
    let mut widths: Vec<usize> = columns.iter().map(|column| column.name.chars().count()).collect();
    for (at, column) in (0..).zip(&columns) {
        sheet.write_string_with_format(0, at, column.name, &head)?;
    }
    let mut last = 0;
    for (line, row) in (1..).zip(extract.rows()) {
        for ((at, value), width) in (0..).zip(&row.values).zip(&mut widths) {
            match value {
                Value::Text(text) => {
                    *width = text.chars().count().max(*width);
                    sheet.write_string(line, at, *text)?;
                }
                // Figures of a territory are far below 2^53, up to which a cell holds whole numbers exactly.
                Value::Whole(whole) if columns[usize::from(at)].kind == Kind::Figure => {
                    sheet.write_number_with_format(line, at, *whole as f64, &number)?;
                }
                Value::Whole(whole) => {
                    sheet.write_number(line, at, *whole as f64)?;
                }
                Value::Withheld => {}
            }
        }
        last = line;
    }
    for (at, width) in (0..).zip(&widths) {
        sheet.set_column_width(at, (*width).clamp(WIDTH.0, WIDTH.1) as f64 + 1.0)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.autofilter(0, 0, last, columns.len().saturating_sub(1) as u16)?;
    Ok(())
}

fn sources(sheet: &mut Worksheet, extract: &Extract<'_>) -> Result<(), XlsxError> {
    sheet.set_name("Sources et secret")?;
    let head = Format::new().set_bold().set_align(FormatAlign::Top);
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for (at, width) in (0..).zip(ABOUT_WIDTHS) {
        sheet.set_column_width(at, width)?;
    }
    let said = extract.about().into_iter().map(|(_, title, words)| (title.to_owned(), words));
    let columns = extract.columns().into_iter().map(|c| (format!("Colonne « {} »", c.name), c.meaning.to_owned()));
    for (line, (title, words)) in (0..).zip(said.chain(columns)) {
        sheet.write_string_with_format(line, 0, title, &head)?;
        sheet.write_string_with_format(line, 1, words, &wrapped)?;
    }
    Ok(())
}
