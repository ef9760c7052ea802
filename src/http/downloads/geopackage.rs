//! GeoPackage 1.3 (OGC 12-128r17), written in memory: the one file QGIS likes best.

use super::Encoded;
use super::rows::{Extract, Kind, Value};
use crate::http::state::around_both;
use geo::{BoundingRect, Rect};
use geozero::{CoordDimensions, ToWkb};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, params, params_from_iter};
use serde_json::{Map, Value as Json};

/// `GPKG`, then the version 1.3 (requirement 2).
const APPLICATION_ID: i64 = 0x4750_4B47;
const USER_VERSION: i64 = 10300;

/// WGS 84; coordinates are longitude, latitude, as the format has it.
const WGS84: i32 = 4326;

/// A file that SQLite holds in memory as it is, not page by page, so that no third copy of it is made when it is taken
/// out. Nobody else sees it: only names that begin with `/` are shared.
const IN_ONE_PIECE: &str = "file:geopackage?vfs=memdb";

/// The tables every GeoPackage has, and those of the metadata extension (annex F.8).
const TABLES: &str = "
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
  md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT, row_id_value INTEGER,
  timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), md_file_id INTEGER NOT NULL,
  md_parent_id INTEGER, CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id));
INSERT INTO gpkg_spatial_ref_sys VALUES
  ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', 'undefined Cartesian coordinate reference system'),
  ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', 'undefined geographic coordinate reference system'),
  ('WGS 84 geodetic', 4326, 'EPSG', 4326, 'GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563,AUTHORITY[\"EPSG\",\"7030\"]],AUTHORITY[\"EPSG\",\"6326\"]],PRIMEM[\"Greenwich\",0,AUTHORITY[\"EPSG\",\"8901\"]],UNIT[\"degree\",0.0174532925199433,AUTHORITY[\"EPSG\",\"9122\"]],AUTHORITY[\"EPSG\",\"4326\"]]', 'longitude and latitude in degrees');
INSERT INTO gpkg_extensions VALUES
  ('gpkg_metadata', NULL, 'gpkg_metadata', 'http://www.geopackage.org/spec130/#extension_metadata', 'read-write'),
  ('gpkg_metadata_reference', NULL, 'gpkg_metadata', 'http://www.geopackage.org/spec130/#extension_metadata', 'read-write');
";

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Whole(whole) => ToSqlOutput::from(i64::try_from(*whole).unwrap_or(i64::MAX)),
            Self::Withheld => ToSqlOutput::Borrowed(ValueRef::Null),
        })
    }
}

/// Times within are those of the release, so that the same release gives the same bytes.
pub fn encode(extract: &Extract<'_>) -> Encoded {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_URI;
    let mut file = Connection::open_with_flags(IN_ONE_PIECE, flags)?;
    file.pragma_update(None, "application_id", APPLICATION_ID)?;
    file.pragma_update(None, "user_version", USER_VERSION)?;
    let work = file.transaction()?;
    work.execute_batch(TABLES)?;
    let layer = extract.layer();
    let columns = extract.columns();
    let declared: Vec<String> = columns
        .iter()
        .map(|column| match column.kind {
            Kind::Text => format!("{} TEXT NOT NULL", column.name),
            Kind::Year => format!("{} INTEGER NOT NULL", column.name),
            Kind::Figure => format!("{} INTEGER", column.name),
        })
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    // The name of the layer holds letters, digits and `_` alone.
    work.execute_batch(&format!(
        "CREATE TABLE \"{layer}\" (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom MULTIPOLYGON, {})",
        declared.join(", ")
    ))?;
    let mut bounds = None;
    {
        let places = vec!["?"; names.len() + 1].join(", ");
        let mut insert =
            work.prepare(&format!("INSERT INTO \"{layer}\" (geom, {}) VALUES ({places})", names.join(", ")))?;
        for row in extract.rows() {
            let Some(contour) = row.contour() else { continue };
            let own = contour.bounding_rect();
            bounds = around_both(bounds, own);
            let envelope = own.map(|r| vec![r.min().x, r.max().x, r.min().y, r.max().y]).unwrap_or_default();
            let contour =
                geo::Geometry::MultiPolygon(contour).to_gpkg_wkb(CoordDimensions::xy(), Some(WGS84), envelope)?;
            let geom: [&dyn ToSql; 1] = [&contour];
            insert.execute(params_from_iter(
                geom.into_iter().chain(row.values.iter().map(|value| value as &dyn ToSql)),
            ))?;
        }
    }
    let about = extract.about();
    let description = about.iter().map(|(_, title, words)| format!("{title} : {words}")).collect::<Vec<_>>().join("\n");
    let metadata: Map<String, Json> =
        about.iter().map(|(name, _, words)| ((*name).to_owned(), words.as_str().into())).collect();
    let at = extract.updated_at();
    let bounds = bounds.map_or([None; 4], |b: Rect| [b.min().x, b.min().y, b.max().x, b.max().y].map(Some));
    work.execute(
        "INSERT INTO gpkg_contents VALUES (?1, 'features', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![layer, extract.title, description, at, bounds[0], bounds[1], bounds[2], bounds[3], WGS84],
    )?;
    work.execute(
        "INSERT INTO gpkg_geometry_columns VALUES (?1, 'geom', 'MULTIPOLYGON', ?2, 0, 0)",
        params![layer, WGS84],
    )?;
    work.execute(
        "INSERT INTO gpkg_metadata VALUES (1, 'dataset', 'https://www.w3.org/TR/vocab-dcat-3/', 'application/json', ?1)",
        params![Json::Object(metadata).to_string()],
    )?;
    work.execute(
        "INSERT INTO gpkg_metadata_reference VALUES ('table', ?1, NULL, NULL, ?2, 1, NULL)",
        params![layer, at],
    )?;
    work.commit()?;
    Ok(file.serialize("main")?.to_vec())
}
