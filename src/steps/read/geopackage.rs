//! GeoPackage (OGC 12-128r19), read in memory and never trusted: plain tables only, no view, no generated column.

use super::dbf::number;
use super::zones::{FEATURES_MAX, Field, FieldType, LayerReport, Raw, Row, cells_fit};
use crate::model::{Crs, Reject, Unreadable};
use geo::{Coord, LineString, MultiPolygon, Polygon};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use std::io::Read as _;

/// An open GeoPackage.
pub(super) struct Package {
    file: String,
    db: Connection,
}

/// Opens the bytes as a read-only database in memory.
pub(super) fn open(file: &str, bytes: &[u8]) -> Result<Package, Unreadable> {
    let refuse = |e: rusqlite::Error| broken(file, &e);
    let mut db = Connection::open_in_memory().map_err(refuse)?;
    // Bytes 18 and 19 are 2 when the last writer used a write-ahead log, which a database in memory cannot have;
    // 1 stands for the ordinary journal, and the pages are the same.
    let head: Vec<u8> =
        bytes.iter().take(20).enumerate().map(|(i, &b)| if i >= 18 && b == 2 { 1 } else { b }).collect();
    let rest = bytes.get(head.len()..).unwrap_or_default();
    db.deserialize_read_exact("main", head.chain(rest), bytes.len(), true).map_err(refuse)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    ] {
        db.set_db_config(setting, on).map_err(refuse)?;
    }
    db.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;")
        .map_err(refuse)?;
    Ok(Package { file: file.to_owned(), db })
}

fn broken(file: &str, e: &rusqlite::Error) -> Unreadable {
    let why: String = e.to_string().chars().take(120).collect();
    Unreadable::file("not_a_geopackage", file, format!("a database that cannot be read ({why})"), "a GeoPackage")
}

/// A name as SQL quotes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Package {
    fn refuse(&self, e: &rusqlite::Error) -> Unreadable {
        broken(&self.file, e)
    }

    /// Names of the feature tables, in the order of the contents.
    fn tables(&self) -> Result<Vec<String>, rusqlite::Error> {
        let mut query = self.db.prepare(
            "SELECT c.table_name FROM gpkg_contents c JOIN gpkg_geometry_columns g ON g.table_name = c.table_name
             WHERE c.data_type = 'features' LIMIT 1000",
        )?;
        query.query_map([], |row| row.get(0))?.collect()
    }

    /// Name of the geometry column and its fields: ordinary columns of an ordinary table.
    fn columns(&self, table: &str) -> Result<(String, Vec<Field>), Unreadable> {
        let fail = |e| self.refuse(&e);
        let sql: Option<String> = self
            .db
            .query_row(
                "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
                [table],
                |r| r.get(0),
            )
            .optional()
            .map_err(fail)?;
        if !sql.is_some_and(|sql| sql.trim_start().to_ascii_uppercase().starts_with("CREATE TABLE")) {
            let expected = "an ordinary table";
            return Err(Unreadable::file(
                "gpkg_not_a_table",
                &self.file,
                format!("layer `{table}` that is a view or absent"),
                expected,
            ));
        }
        let geometry: String = self
            .db
            .query_row("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?1", [table], |r| r.get(0))
            .map_err(fail)?;
        let mut query = self.db.prepare("SELECT name, type, hidden FROM pragma_table_xinfo(?1)").map_err(fail)?;
        let columns = query
            .query_map([table], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, i64>(2)?)))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(fail)?;
        let mut columns: Vec<_> = columns.into_iter().filter(|c| c.2 == 0).collect();
        let Some(at) = columns.iter().position(|c| c.0.eq_ignore_ascii_case(&geometry)) else {
            return Err(Unreadable::file(
                "not_a_geopackage",
                &self.file,
                format!("layer `{table}` without its column `{geometry}`"),
                "a GeoPackage",
            ));
        };
        let geometry = columns.remove(at).0;
        Ok((geometry, columns.into_iter().map(|(name, kind, _)| Field { name, kind: field_type(&kind) }).collect()))
    }

    /// The system a layer declares.
    fn crs(&self, table: &str) -> Result<Crs, Unreadable> {
        let found: Option<(String, i64, String)> = self
            .db
            .query_row(
                "SELECT s.organization, s.organization_coordsys_id, s.definition FROM gpkg_geometry_columns g
                 JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id WHERE g.table_name = ?1",
                [table],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
            )
            .optional()
            .map_err(|e| self.refuse(&e))?;
        let (organization, code, definition) = found.unwrap_or_default();
        match u32::try_from(code) {
            Ok(code) if organization.eq_ignore_ascii_case("EPSG") && code > 0 => Ok(Crs::Epsg(code)),
            _ => super::wkt::crs(definition.as_bytes()).map_err(|found| {
                let expected = "an EPSG code or well-known text in gpkg_spatial_ref_sys, or EPSG:N given";
                Unreadable::file(
                    "unknown_crs",
                    &self.file,
                    format!("layer `{table}` with {found} for its system"),
                    expected,
                )
            }),
        }
    }
}

/// What each feature table holds.
pub(super) fn survey(package: &Package) -> Result<Vec<LayerReport>, Unreadable> {
    let fail = |e: rusqlite::Error| package.refuse(&e);
    let mut reports = Vec::new();
    for table in package.tables().map_err(fail)? {
        let mut problems = Vec::new();
        let mut note = |Unreadable(problem): Unreadable| problems.push(problem);
        let columns = package.columns(&table).map_err(&mut note).ok();
        let crs = package.crs(&table).map_err(&mut note).ok();
        let geometry: String = package
            .db
            .query_row("SELECT geometry_type_name FROM gpkg_geometry_columns WHERE table_name = ?1", [&table], |r| {
                r.get(0)
            })
            .map_err(fail)?;
        let extent = package
            .db
            .query_row("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = ?1", [&table], |r| {
                Ok([r.get::<_, Option<f64>>(0)?, r.get(1)?, r.get(2)?, r.get(3)?])
            })
            .unwrap_or_default();
        let features = match columns {
            None => 0,
            Some(_) => package
                .db
                .query_row(&format!("SELECT count(*) FROM {}", quoted(&table)), [], |r| r.get::<_, i64>(0))
                .map_err(fail)?,
        };
        let upper = geometry.to_ascii_uppercase();
        reports.push(LayerReport {
            name: table,
            format: "GeoPackage",
            polygonal: columns.is_some()
                && matches!(upper.as_str(), "POLYGON" | "MULTIPOLYGON" | "GEOMETRY" | "GEOMETRYCOLLECTION"),
            geometry,
            features: usize::try_from(features).unwrap_or_default(),
            fields: columns.map(|c| c.1).unwrap_or_default(),
            crs,
            encoding: "UTF-8".into(),
            extent: match extent {
                [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
                _ => None,
            },
            problems,
        });
    }
    if reports.is_empty() {
        return Err(Unreadable::file(
            "no_layer",
            &package.file,
            "no feature table in gpkg_contents",
            "a layer of polygons",
        ));
    }
    Ok(reports)
}

/// Every row of a feature table; `crs` is the system the operator names, which stands above the declared one.
pub(super) fn read(package: &Package, table: &str, crs: Option<&Crs>) -> Result<Raw, Unreadable> {
    let fail = |e: rusqlite::Error| package.refuse(&e);
    let crs = crs.cloned().map_or_else(|| package.crs(table), Ok)?;
    let (geometry, fields) = package.columns(table)?;
    let names: Vec<String> =
        std::iter::once(&geometry).chain(fields.iter().map(|f| &f.name)).map(|n| quoted(n)).collect();
    let mut query = package.db.prepare(&format!("SELECT {} FROM {}", names.join(", "), quoted(table))).map_err(fail)?;
    let mut found = query.query([]).map_err(fail)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(fail)? {
        let record = rows.len() + 1;
        if record > FEATURES_MAX {
            let expected = format!("{FEATURES_MAX} at most");
            return Err(Unreadable::file(
                "too_many_features",
                &package.file,
                format!("more than {FEATURES_MAX} rows"),
                expected,
            ));
        }
        cells_fit(&package.file, record, fields.len())?;
        let contour = match row.get_ref(0).map_err(fail)? {
            ValueRef::Blob(blob) => contour(&package.file, record, blob)?,
            _ => Err(reject(&package.file, record, "null_geometry", "a row without geometry".into())),
        };
        let cells =
            (1..=fields.len()).map(|i| row.get_ref(i).map(text)).collect::<Result<Vec<_>, _>>().map_err(fail)?;
        rows.push(Row { record, cells, contour });
    }
    Ok(Raw { fields, crs, rows, warnings: vec![] })
}

fn field_type(declared: &str) -> FieldType {
    let declared = declared.to_ascii_uppercase();
    match declared.split('(').next().unwrap_or_default().trim() {
        "TEXT" | "VARCHAR" | "CHAR" => FieldType::Text,
        "INTEGER" | "INT" | "MEDIUMINT" | "SMALLINT" | "TINYINT" | "BIGINT" => FieldType::Integer,
        "REAL" | "DOUBLE" | "FLOAT" => FieldType::Real,
        "DATE" | "DATETIME" => FieldType::Date,
        "BOOLEAN" => FieldType::Logical,
        _ => FieldType::Other,
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => None,
        ValueRef::Integer(i) => Some(i.to_string()),
        ValueRef::Real(r) => number(&r.to_string()),
        ValueRef::Text(t) => Some(String::from_utf8_lossy(t).trim().to_owned()).filter(|t| !t.is_empty()),
    }
}

fn reject(file: &str, record: usize, code: &'static str, found: String) -> Reject {
    Unreadable::record(code, file, record, found, "Polygon or MultiPolygon").0
}

/// The contour in a geometry blob; a row without a polygon is a reject, a broken blob stops the file.
fn contour(file: &str, record: usize, blob: &[u8]) -> Result<Result<MultiPolygon, Reject>, Unreadable> {
    let torn = |found: &str| Unreadable::record("bad_geometry", file, record, found, "a GeoPackage geometry");
    let (Some(b"GP"), Some(&flags)) = (blob.get(..2), blob.get(3)) else {
        return Err(torn("a blob that does not start with `GP`"));
    };
    let envelope = match (flags >> 1) & 7 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        _ => return Err(torn("an envelope of unknown kind")),
    };
    let mut wkb = Wkb { bytes: blob.get(8 + envelope..).ok_or_else(|| torn("a blob shorter than its header"))? };
    let shape = match wkb.multi_polygon() {
        Ok(shape) => shape,
        Err(Bad::Torn) => return Err(torn("counts that pass the end of the blob")),
        Err(Bad::Type(kind)) => {
            return Ok(Err(reject(file, record, "wrong_type", format!("a geometry of WKB type {kind}"))));
        }
        Err(Bad::NotFinite) => {
            return Err(Unreadable::record(
                "not_finite",
                file,
                record,
                "a coordinate that is no finite number",
                "finite coordinates",
            ));
        }
    };
    if shape.0.is_empty() || flags & 0x10 != 0 {
        return Ok(Err(reject(file, record, "null_geometry", "an empty geometry".into())));
    }
    Ok(Ok(shape))
}

enum Bad {
    Torn,
    Type(u32),
    NotFinite,
}

/// Well-known binary, consumed from the front. Every count is checked against the bytes left before memory is taken.
struct Wkb<'a> {
    bytes: &'a [u8],
}

impl Wkb<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(Bad::Torn)?;
        self.bytes = rest;
        Ok(*head)
    }
    fn integer(&mut self, little: bool) -> Result<u32, Bad> {
        self.take().map(if little { u32::from_le_bytes } else { u32::from_be_bytes })
    }
    fn double(&mut self, little: bool) -> Result<f64, Bad> {
        let value = self.take().map(if little { f64::from_le_bytes } else { f64::from_be_bytes })?;
        if value.is_finite() { Ok(value) } else { Err(Bad::NotFinite) }
    }
    /// A count of things that take at least `size` bytes each.
    fn count(&mut self, little: bool, size: usize) -> Result<usize, Bad> {
        let count = self.integer(little)? as usize;
        if count.checked_mul(size).is_some_and(|needed| needed <= self.bytes.len()) {
            Ok(count)
        } else {
            Err(Bad::Torn)
        }
    }
    /// Byte order, type without its dimensions, and how many numbers a position has.
    fn head(&mut self) -> Result<(bool, u32, usize), Bad> {
        let little = self.take::<1>()?[0] == 1;
        let kind = self.integer(little)?;
        let (flags, iso) = (kind >> 29, kind & 0x1fff_ffff);
        if flags & 1 != 0 {
            self.integer(little)?;
        }
        let dimensions = match iso / 1000 {
            0 => 2 + (flags >> 2 & 1) + (flags >> 1 & 1),
            1 | 2 => 3,
            3 => 4,
            _ => return Err(Bad::Type(kind)),
        };
        Ok((little, iso % 1000, dimensions as usize))
    }
    fn multi_polygon(&mut self) -> Result<MultiPolygon, Bad> {
        match self.head()? {
            (little, 3, dimensions) => Ok(MultiPolygon(self.polygon(little, dimensions)?.into_iter().collect())),
            (little, 6, _) => {
                let mut polygons = Vec::new();
                for _ in 0..self.count(little, 9)? {
                    match self.head()? {
                        (little, 3, dimensions) => polygons.extend(self.polygon(little, dimensions)?),
                        (_, kind, _) => return Err(Bad::Type(kind)),
                    }
                }
                Ok(MultiPolygon(polygons))
            }
            (_, kind, _) => Err(Bad::Type(kind)),
        }
    }
    fn polygon(&mut self, little: bool, dimensions: usize) -> Result<Option<Polygon>, Bad> {
        let mut rings = Vec::new();
        for _ in 0..self.count(little, 4)? {
            let count = self.count(little, 8 * dimensions)?;
            let mut ring = Vec::with_capacity(count);
            for _ in 0..count {
                ring.push(Coord { x: self.double(little)?, y: self.double(little)? });
                for _ in 2..dimensions {
                    self.take::<8>()?;
                }
            }
            rings.push(LineString::new(ring));
        }
        let mut rings = rings.into_iter();
        Ok(rings.next().map(|exterior| Polygon::new(exterior, rings.collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Files, ZoneOptions, inspect, zones};
    use super::*;
    use geozero::{CoordDimensions, ToGeo, ToWkb, wkb::GpkgWkb};
    use proptest::prelude::*;

    fn square(x: f64) -> Polygon {
        let hole = vec![(x + 5.0, 1.0), (x + 8.0, 1.0), (x + 8.0, 4.0), (x + 5.0, 1.0)];
        Polygon::new(vec![(x, 0.0), (x + 9.0, 0.0), (x + 9.0, 9.0), (x, 0.0)].into(), vec![hole.into()])
    }

    fn blob(geometry: impl Into<geo::Geometry>) -> Vec<u8> {
        geometry.into().to_gpkg_wkb(CoordDimensions::xy(), Some(2154), vec![]).unwrap()
    }

    /// A GeoPackage of one layer with a name that needs quoting, after some more SQL.
    fn package(sql: &str, geometries: &[Option<Vec<u8>>]) -> Vec<u8> {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            r#"CREATE TABLE gpkg_spatial_ref_sys (srs_name, srs_id INTEGER, organization, organization_coordsys_id INTEGER, definition);
               CREATE TABLE gpkg_contents (table_name, data_type, min_x, min_y, max_x, max_y, srs_id);
               CREATE TABLE gpkg_geometry_columns (table_name, column_name, geometry_type_name, srs_id);
               INSERT INTO gpkg_spatial_ref_sys VALUES ('L93', 7, 'epsg', 2154, 'undefined');
               INSERT INTO gpkg_contents VALUES ('les "zones"', 'features', 0, 0, 18, 9, 7), ('notes', 'attributes', 0, 0, 0, 0, 7);
               INSERT INTO gpkg_geometry_columns VALUES ('les "zones"', 'geom', 'POLYGON', 7);
               CREATE TABLE "les ""zones""" (fid INTEGER PRIMARY KEY, geom POLYGON, "code ""iris""" TEXT, nom TEXT(40), rang REAL);"#,
        )
        .unwrap();
        for (i, geometry) in geometries.iter().enumerate() {
            db.execute(
                r#"INSERT INTO "les ""zones""" VALUES (?1, ?2, ?3, 'Cité', 2.0)"#,
                (i, geometry, format!("Z{i}")),
            )
            .unwrap();
        }
        db.execute_batch(sql).unwrap();
        db.serialize("main").unwrap().to_vec()
    }

    fn read_zones(bytes: Vec<u8>) -> Result<super::super::ZoneLayer, Unreadable> {
        zones(&Files { name: "z.gpkg".into(), parts: vec![("z.gpkg".into(), bytes)] }, &ZoneOptions::default())
    }

    #[test]
    fn a_layer_is_read_whatever_its_name_and_journal() {
        let shapes = [Some(blob(square(0.0))), None, Some(blob(MultiPolygon(vec![square(0.0), square(9.0)])))];
        let bytes = package("", &shapes);
        let mut logged = bytes.clone();
        logged[18..20].fill(2);
        for bytes in [bytes, logged] {
            let layer = read_zones(bytes).unwrap();
            assert_eq!((layer.layer.as_str(), layer.crs.clone()), ("les \"zones\"", Crs::Epsg(2154)));
            assert_eq!((layer.code_field.as_str(), layer.label_field.as_deref()), ("code \"iris\"", Some("nom")));
            let first = &layer.records.accepted[0];
            assert_eq!((first.code.as_str(), first.label.as_deref()), ("Z0", Some("Cité")));
            assert_eq!(first.contour.geometry, MultiPolygon(vec![square(0.0)]));
            assert_eq!(layer.records.accepted[1].contour.geometry.0.len(), 2);
            assert_eq!((layer.records.rejected[0].row, layer.records.rejected[0].code), (Some(2), "null_geometry"));
        }
    }

    #[test]
    fn a_blob_gives_what_another_reader_gives_or_is_refused() {
        let good = blob(square(3.0));
        let geo::Geometry::Polygon(theirs) = GpkgWkb(good.clone()).to_geo().unwrap() else {
            panic!("a polygon went in")
        };
        let Ok(Ok(ours)) = contour("z", 1, &good) else { panic!("a sound blob") };
        assert_eq!(ours.0, [theirs]);
        for length in 0..good.len() {
            assert_eq!(contour("z", 4, &good[..length]).unwrap_err().0.code, "bad_geometry", "{length} bytes");
        }
        let head = good.len() - 4 - 2 * (4 + 4 * 16);
        let patch = |at: usize, bytes: &[u8]| {
            let mut blob = good.clone();
            blob[at..at + bytes.len()].copy_from_slice(bytes);
            match contour("z", 4, &blob) {
                Ok(Ok(_)) => "accepted",
                Ok(Err(reject)) => reject.code,
                Err(unreadable) => unreadable.0.code,
            }
        };
        assert_eq!(patch(head, &u32::MAX.to_le_bytes()), "bad_geometry", "rings");
        assert_eq!(patch(head + 4, &u32::MAX.to_le_bytes()), "bad_geometry", "points");
        assert_eq!(patch(head + 8, &f64::NAN.to_le_bytes()), "not_finite");
        assert_eq!(patch(head, &0_u32.to_le_bytes()), "null_geometry");
        assert_eq!(patch(head - 4, &2_u32.to_le_bytes()), "wrong_type");
        assert_eq!(patch(head - 4, &10_u32.to_le_bytes()), "wrong_type");
        for (kind, dimensions) in [(1003_u32, 3), (2003, 3), (3003, 4), (0x8000_0003, 3), (0xc000_0003, 4)] {
            let mut blob = b"GP\0\x01\0\0\0\0\x01".to_vec();
            blob.extend([kind, 1, 4].iter().flat_map(|n| n.to_le_bytes()));
            for (x, y) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)] {
                blob.extend([x, y, 8.0, 9.0].iter().take(dimensions).flat_map(|v: &f64| v.to_le_bytes()));
            }
            let Ok(Ok(shape)) = contour("z", 1, &blob) else { panic!("{kind}") };
            assert_eq!(shape.0[0].exterior().0[2], Coord { x: 1.0, y: 1.0 }, "{kind}");
        }
    }

    #[test]
    fn what_is_not_a_plain_table_is_not_run() {
        let shapes = [Some(blob(square(0.0)))];
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, NULL AS geom FROM n";
        for (sql, code) in [
            (format!(r#"DROP TABLE "les ""zones"""; CREATE VIEW "les ""zones""" AS {endless}"#), "not_polygonal"),
            (format!("DROP TABLE gpkg_contents; CREATE VIEW gpkg_contents AS {endless}"), "not_a_geopackage"),
            ("DROP TABLE gpkg_contents".to_owned(), "not_a_geopackage"),
            ("DELETE FROM gpkg_contents".to_owned(), "no_layer"),
            ("UPDATE gpkg_geometry_columns SET column_name = 'g'".to_owned(), "not_polygonal"),
            ("UPDATE gpkg_geometry_columns SET geometry_type_name = 'POINT'".to_owned(), "not_polygonal"),
            ("DELETE FROM gpkg_spatial_ref_sys".to_owned(), "unknown_crs"),
            (r#"ALTER TABLE "les ""zones""" ADD COLUMN big AS (zeroblob(1000000000))"#.to_owned(), "accepted"),
        ] {
            let found = read_zones(package(&sql, &shapes)).map_or_else(|e| e.0.code, |_| "accepted");
            assert_eq!(found, code, "{sql}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_damage_makes_the_reader_panic(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            keep in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = package("", &[Some(blob(square(0.0))), None]);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(keep.index(bytes.len()));
            }
            let files = Files { name: "z.gpkg".into(), parts: vec![("z.gpkg".into(), bytes)] };
            let _ = (inspect(&files), zones(&files, &ZoneOptions::default()));
        }
    }
}
