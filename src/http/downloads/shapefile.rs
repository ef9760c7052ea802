//! A zip of a shapefile (ESRI, 1998) with its table in UTF-8 and a page to read.

use super::Encoded;
use super::rows::{Column, Extract, Kind, Value};
use ::shapefile::{Polygon, ShapeWriter, Writer};
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
                Value::Text(text) => fields.write_next_field_value(&whole_characters(text))?,
                // Whole numbers below 2^53 are exact.
                Value::Whole(whole) => fields.write_next_field_value(&Some(*whole as f64))?,
                Value::Withheld => fields.write_next_field_value(&None::<f64>)?,
            }
        }
        Ok(())
    }
}

/// What the format cannot hold (long names, long texts, a licence) stands in `LISEZMOI.txt`.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let columns = extract.columns();
    let (mut shp, mut shx, mut dbf) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()), Cursor::new(Vec::new()));
    let mut table = TableWriterBuilder::with_encoding(Unicode);
    for column in &columns {
        let name = FieldName::try_from(column.short)?;
        table = match column.kind {
            Kind::Text => table.add_character_field(name, TEXT_BYTES),
            Kind::Year => table.add_numeric_field(name, YEAR_DIGITS, 0),
            Kind::Figure => table.add_numeric_field(name, FIGURE_DIGITS, 0),
        };
    }
    {
        let mut writer = Writer::new(ShapeWriter::with_shx(&mut shp, &mut shx), table.build_with_dest(&mut dbf));
        for row in extract.rows() {
            let Some(contour) = row.contour() else { continue };
            // Zonings have passed validation; the format's writer panics where there is no ring.
            if contour.0.is_empty() || contour.iter().any(|polygon| polygon.exterior().0.is_empty()) {
                return Err("found a zone without a ring, expected a contour".into());
            }
            let record = Record(columns.iter().copied().zip(row.values).collect());
            writer.write_shape_and_record(&Polygon::from(contour), &record)?;
        }
    }
    let mut dbf = dbf.into_inner();
    let (year, month, day) = extract.updated();
    // The table says when it was made: the day of the release, so that the same release gives the same bytes.
    if let Some(date) = dbf.get_mut(1..4) {
        date.copy_from_slice(&[year.saturating_sub(1900).min(255) as u8, month, day]);
    }
    let layer = extract.layer();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::from_date_and_time(year, month, day, 0, 0, 0)?)
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [
        (format!("{layer}.shp"), shp.into_inner()),
        (format!("{layer}.shx"), shx.into_inner()),
        (format!("{layer}.dbf"), dbf),
        (format!("{layer}.prj"), PROJECTION.as_bytes().to_vec()),
        (format!("{layer}.cpg"), b"UTF-8".to_vec()),
        ("LISEZMOI.txt".to_owned(), read_me(extract, &columns).into_bytes()),
    ] {
        zip.start_file(name, options)?;
        zip.write_all(&bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The text, cut where it would not fit, between two characters.
fn whole_characters(text: &str) -> String {
    let mut end = text.len().min(usize::from(TEXT_BYTES));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
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
