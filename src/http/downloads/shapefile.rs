//! A zip of a shapefile (ESRI, 1998) with its table in UTF-8 and a page to read.

use super::rows::{Column, Extract, Kind, Value};
use super::{Encoded, Failure};
use ::shapefile::{Polygon, ShapeWriter};
use dbase::{FieldName, TableWriterBuilder, Unicode};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Most bytes of a text in a table of dBASE III.
const TEXT_BYTES: u8 = 254;

/// Digits of a figure: far more than the employees of a country.
const FIGURE_DIGITS: u8 = 12;
const YEAR_DIGITS: u8 = 4;

/// WGS 84 as ESRI writes it.
const PROJECTION: &str = "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137.0,298.257223563]],\
    PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]]";

/// A row of the table, written field by field in the order of the columns.
struct Record<'r>(Vec<(Column, Value<'r>)>);

impl dbase::WritableRecord for Record<'_> {
    fn write_using<W: Write>(&self, fields: &mut dbase::FieldWriter<'_, W>) -> Result<(), dbase::FieldError> {
        for (_, value) in &self.0 {
            match value {
                Value::Text(text) => fields.write_next_field_value(&whole_characters(text).to_owned())?,
                // Whole numbers below 2^53 are exact.
                Value::Whole(whole) => fields.write_next_field_value(&Some(*whole as f64))?,
                Value::Withheld => fields.write_next_field_value(&None::<f64>)?,
            }
        }
        Ok(())
    }
}

/// What the format cannot hold (long names, long texts, a licence) stands in `LISEZMOI.txt`.
///
/// One after the other is written and packed, contours and then the table, so that both never lie in memory at once.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let columns = extract.columns();
    let (year, month, day) = extract.updated();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::from_date_and_time(year, month, day, 0, 0, 0)?)
        .unix_permissions(0o644);
    let layer = extract.layer();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut pack = |name: &str, bytes: Vec<u8>| {
        zip.start_file(name, options)?;
        zip.write_all(&bytes)?;
        Ok::<(), Failure>(())
    };
    let (shapes, places) = contours(extract)?;
    pack(&format!("{layer}.shp"), shapes)?;
    pack(&format!("{layer}.shx"), places)?;
    pack(&format!("{layer}.dbf"), table(extract, &columns)?)?;
    pack(&format!("{layer}.prj"), PROJECTION.as_bytes().to_vec())?;
    pack(&format!("{layer}.cpg"), b"UTF-8".to_vec())?;
    pack("LISEZMOI.txt", read_me(extract, &columns).into_bytes())?;
    Ok(zip.finish()?.into_inner())
}

/// The contours, and where each begins.
fn contours(extract: &Extract<'_>) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (mut shapes, mut places) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
    {
        let mut writer = ShapeWriter::with_shx(&mut shapes, &mut places);
        for contour in extract.rows().filter_map(|row| row.contour()) {
            // Zonings have passed validation; the format's writer panics where there is no ring.
            if contour.0.is_empty() || contour.iter().any(|polygon| polygon.exterior().0.is_empty()) {
                return Err("found a zone without a ring, expected a contour".into());
            }
            writer.write_shape(&Polygon::from(contour))?;
        }
        writer.finalize()?;
    }
    Ok((shapes.into_inner(), places.into_inner()))
}

/// The table, each text as wide as the longest of its column: rows are of one length, and a country has 35 000 communes.
fn table(extract: &Extract<'_>, columns: &[Column]) -> Encoded {
    let mut widths = vec![1; columns.len()];
    for row in extract.rows() {
        for (width, value) in widths.iter_mut().zip(&row.values) {
            if let Value::Text(text) = value {
                *width = whole_characters(text).len().max(*width);
            }
        }
    }
    let mut builder = TableWriterBuilder::with_encoding(Unicode);
    for (column, width) in columns.iter().zip(widths) {
        let name = FieldName::try_from(column.short)?;
        builder = match column.kind {
            Kind::Text => builder.add_character_field(name, u8::try_from(width).unwrap_or(TEXT_BYTES)),
            Kind::Year => builder.add_numeric_field(name, YEAR_DIGITS, 0),
            Kind::Figure => builder.add_numeric_field(name, FIGURE_DIGITS, 0),
        };
    }
    let mut bytes = Cursor::new(Vec::new());
    {
        let mut writer = builder.build_with_dest(&mut bytes);
        for row in extract.rows() {
            writer.write_record(&Record(columns.iter().copied().zip(row.values).collect()))?;
        }
        writer.finalize()?;
    }
    let mut bytes = bytes.into_inner();
    let (year, month, day) = extract.updated();
    // The table says when it was made: the day of the release, so that the same release gives the same bytes.
    if let Some(date) = bytes.get_mut(1..4) {
        date.copy_from_slice(&[year.saturating_sub(1900).min(255) as u8, month, day]);
    }
    Ok(bytes)
}

/// The text, cut where it would not fit, between two characters.
fn whole_characters(text: &str) -> &str {
    let mut end = text.len().min(usize::from(TEXT_BYTES));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What to know of the file; lines end as Windows has it, since most readers of shapefiles are there.
fn read_me(extract: &Extract<'_>, columns: &[Column]) -> String {
    let mut lines = vec![format!("{}, {}", extract.title, extract.vintage), String::new()];
    lines.extend(extract.about().into_iter().map(|(_, title, words)| format!("{title} : {words}")));
    lines.push(String::new());
    lines.push("Contours en longitude et latitude (WGS 84) ; table en UTF-8.".to_owned());
    lines.push(format!(
        "Un nom de champ a 10 caractères au plus, un texte {TEXT_BYTES} octets ; un texte plus long est coupé."
    ));
    lines.push(String::new());
    lines.push("Champs :".to_owned());
    lines.extend(columns.iter().map(|c| match c.short == c.name {
        true => format!("  {} : {}", c.short, c.meaning),
        false => format!("  {} ({}) : {}", c.short, c.name, c.meaning),
    }));
    lines.push(String::new());
    lines.join("\r\n")
}
