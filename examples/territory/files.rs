//! Writing: zipped shapefiles and a gzipped CSV, the same bytes at every run.

use std::io::{Cursor, Write};

use dbase::{FieldName, FieldValue, Record, TableWriterBuilder};
use flate2::{Compression, GzBuilder};
use shapefile::{Point, Polygon, PolygonRing, ShapeWriter};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::mesh::Spot;
use crate::register::{Establishment, VINTAGES};

type Failure = Box<dyn std::error::Error>;

/// Lambert-93 as ESRI writes it in a `.prj`.
const PRJ: &str = "PROJCS[\"RGF_1993_Lambert_93\",GEOGCS[\"GCS_RGF_1993\",DATUM[\"D_RGF_1993\",\
    SPHEROID[\"GRS_1980\",6378137.0,298.257222101]],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]],\
    PROJECTION[\"Lambert_Conformal_Conic\"],PARAMETER[\"False_Easting\",700000.0],\
    PARAMETER[\"False_Northing\",6600000.0],PARAMETER[\"Central_Meridian\",3.0],\
    PARAMETER[\"Standard_Parallel_1\",49.0],PARAMETER[\"Standard_Parallel_2\",44.0],\
    PARAMETER[\"Latitude_Of_Origin\",46.5],UNIT[\"Meter\",1.0]]";
/// The date in every header, as years since 1900, month and day: the libraries would write today's.
const DBF_DATE: [u8; 3] = [125, 1, 1];

/// A field of a layer: its name and its width in bytes.
pub type Field = (&'static str, u8);

/// One zone: its attributes in the order of the fields, and its rings, the outer one first.
pub struct Feature {
    pub attributes: Vec<String>,
    pub rings: Vec<Vec<Spot>>,
}

/// A zip archive holding `<name>.shp`, `.shx`, `.dbf`, `.prj` and `.cpg`.
pub fn zipped_shapefile(name: &str, fields: &[Field], features: &[Feature]) -> Result<Vec<u8>, Failure> {
    let (mut shp, mut shx, mut dbf) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()), Cursor::new(Vec::new()));
    {
        let mut table = TableWriterBuilder::new();
        for &(field, width) in fields {
            table = table.add_character_field(FieldName::try_from(field)?, width);
        }
        let shapes = ShapeWriter::with_shx(&mut shp, &mut shx);
        let mut writer = Shapes { shapes, table: table.build_with_dest(&mut dbf) };
        for feature in features {
            writer.write(fields, feature)?;
        }
        writer.shapes.finalize()?;
        writer.table.finalize()?;
    }
    let mut dbf = dbf.into_inner();
    dbf[1..4].copy_from_slice(&DBF_DATE);

    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::from_date_and_time(2025, 1, 1, 0, 0, 0)?)
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (extension, bytes) in [
        ("shp", shp.into_inner()),
        ("shx", shx.into_inner()),
        ("dbf", dbf),
        ("prj", PRJ.as_bytes().to_vec()),
        ("cpg", b"UTF-8".to_vec()),
    ] {
        zip.start_file(format!("{name}.{extension}"), options)?;
        zip.write_all(&bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

struct Shapes<'a> {
    shapes: ShapeWriter<&'a mut Cursor<Vec<u8>>>,
    table: dbase::TableWriter<&'a mut Cursor<Vec<u8>>>,
}

impl Shapes<'_> {
    fn write(&mut self, fields: &[Field], feature: &Feature) -> Result<(), Failure> {
        let mut record = Record::default();
        for (&(field, width), value) in fields.iter().zip(&feature.attributes) {
            assert!(value.len() <= usize::from(width), "{field} is too narrow for {value}");
            record.insert(field.to_owned(), FieldValue::Character(Some(value.clone())));
        }
        let rings = feature.rings.iter().enumerate().map(|(k, ring)| {
            // Our rings keep the zone on their left; a shapefile wants it on the right.
            let mut points: Vec<Point> = ring.iter().rev().map(|s| Point::new(s.metres().0, s.metres().1)).collect();
            points.push(points[0]);
            if k == 0 { PolygonRing::Outer(points) } else { PolygonRing::Inner(points) }
        });
        self.shapes.write_shape(&Polygon::with_rings(rings.collect()))?;
        self.table.write_record(&record)?;
        Ok(())
    }
}

/// The register, a row for each establishment, year-end and source, sorted, gzipped.
pub fn zipped_register(list: &[Establishment]) -> Result<(Vec<u8>, usize), Failure> {
    let mut rows = Vec::new();
    for (year, vintage) in VINTAGES.iter().enumerate() {
        for one in list {
            let Some(employees) = one.employees[year] else { continue };
            let (x, y) = match one.spot {
                Some(spot) => (decimal(spot.x), decimal(spot.y)),
                None => (String::new(), String::new()),
            };
            let mut row = |employees: u32, source: &str| {
                rows.push(format!(
                    "{};{employees};{};{vintage};{source};{x};{y};2154;{}\n",
                    one.siret, one.naf, one.quality
                ));
            };
            let main = if one.msa { "msa" } else { "urssaf" };
            row(employees, main);
            if one.both {
                row(employees / 4 + 1, if one.msa { "urssaf" } else { "msa" });
            }
        }
    }
    let key = |row: &str| {
        let cells: Vec<&str> = row.split(';').collect();
        (cells[3].to_owned(), cells[0].to_owned(), cells[4].to_owned())
    };
    rows.sort_by_cached_key(|row| key(row));
    let mut gz = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gz.write_all(b"siret;effectif;naf;millesime;source;x;y;epsg;qualite_xy\n")?;
    gz.write_all(rows.concat().as_bytes())?;
    Ok((gz.finish()?, rows.len()))
}

/// Centimetres as metres with two decimals.
fn decimal(cm: i64) -> String {
    format!("{}.{:02}", cm / 100, cm % 100)
}
