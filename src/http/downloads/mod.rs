//! Files to take away: one zoning with the figures of one selection, or every cell published of a vintage, in the formats
//! that spreadsheets, map programs and data programs read. Each file says its source, its dates and its licence.

pub mod csv;
mod flatgeobuf;
mod geopackage;
mod geoparquet;
mod kept;
mod rows;
mod shapefile;
mod view;
mod xlsx;

pub use kept::Files;
pub use rows::SECRECY;
pub use view::{Listed, TITLE};

use super::App;
use super::answer::document;
use super::ogc::query::{Ask, Format, SELECTORS};
use super::ogc::view::Link;
use super::ogc::{self, json};
use super::page;
use super::problem::Problem;
use super::state::{AT, OnShelf, Place, Shelved};
use crate::steps::publish::{Published, Selection};
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use rows::Extract;
use std::error::Error;
use std::sync::Arc;

/// A failure of an encoder is ours, since what it is given is sound.
type Failure = Box<dyn Error + Send + Sync>;

/// What an encoder gives back.
type Encoded = Result<Vec<u8>, Failure>;

/// Name, before the extension, of the files that hold every cell of a vintage.
pub const TABLES: &str = "tableaux";

/// The dialect of CSV that a French Excel opens.
const EXCEL: &str = "excel";

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values.
    Csv,
    /// A workbook of Excel 2007 and later.
    Xlsx,
    /// GeoPackage.
    GeoPackage,
    /// A zip of a shapefile.
    Shapefile,
    /// FlatGeobuf.
    FlatGeobuf,
    /// GeoParquet; Parquet alone where there are no contours.
    Parquet,
}

impl FileFormat {
    /// The formats of a zoning.
    pub const OF_ZONES: [Self; 6] =
        [Self::Csv, Self::Xlsx, Self::GeoPackage, Self::Shapefile, Self::FlatGeobuf, Self::Parquet];
    /// The formats of every cell of a vintage, which has no contours.
    pub const OF_TABLES: [Self; 2] = [Self::Csv, Self::Parquet];

    /// What a file name ends with.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::GeoPackage => "gpkg",
            // GDAL and QGIS open a zip that is named so without unpacking it.
            Self::Shapefile => "shp.zip",
            Self::FlatGeobuf => "fgb",
            Self::Parquet => "parquet",
        }
    }

    /// Its media type; those with `vnd.` or `+` are IANA's, FlatGeobuf has none and takes that of its authors.
    pub fn media(self) -> &'static str {
        match self {
            Self::Csv => ogc::view::CSV,
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::GeoPackage => "application/geopackage+sqlite3",
            Self::Shapefile => "application/zip",
            Self::FlatGeobuf => "application/flatgeobuf",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Xlsx => "Excel (XLSX)",
            Self::GeoPackage => "GeoPackage",
            Self::Shapefile => "Shapefile (ZIP)",
            Self::FlatGeobuf => "FlatGeobuf",
            Self::Parquet => "Parquet",
        }
    }

    /// What opens it, for people.
    pub fn opened_by(self) -> &'static str {
        match self {
            Self::Csv => "programmes, LibreOffice",
            Self::Xlsx => "Excel, LibreOffice",
            Self::GeoPackage => "QGIS, ArcGIS",
            Self::Shapefile => "anciens logiciels de cartographie",
            Self::FlatGeobuf => "cartes en ligne",
            Self::Parquet => "Python, R, DuckDB",
        }
    }
}

/// A file that is asked for: its format, its dialect, and what it holds.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Name before the extension: that of a collection or of all tables, in the current release or in one for good.
    name: String,
    of: Of,
    format: FileFormat,
    excel: bool,
}

#[derive(Debug, Clone)]
enum Of {
    /// A zoning of the release, with the figures of a selection.
    Zones(String, Selection),
    /// Every cell of this vintage.
    Tables(u16),
}

/// `/telechargements`
pub async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    ask.only(&[&["f"][..], &SELECTORS].concat())?;
    let format = ask.format(&[Format::Json, Format::Html])?;
    let shelved = app.shelf.shelved()?;
    let listed = Listed::of(&ask, &shelved)?;
    let release = &shelved.release;
    document(&ask, release.id.as_str(), ogc::view::media_of(format, ogc::view::JSON), || match format {
        Format::Html => page::downloads(&ask, &shelved, &listed),
        Format::Json | Format::Csv | Format::Topojson => json(&view::list(&ask, release, &listed)),
    })
}

/// `/telechargements/{file}`
pub async fn file(app: App, Path(file): Path<String>, ask: Ask) -> Result<Response, Problem> {
    let (shelved, wanted) = Wanted::read(&ask, &app.shelf.look(), &file)?;
    let (id, media) = (shelved.release.id.as_str(), wanted.format.media());
    // Asked once without a body: who holds the file needs none, and then none is made.
    let mut needed = false;
    let held = document(&ask, id, media, || {
        needed = true;
        Ok(Bytes::new())
    })?;
    if !needed {
        return Ok(held);
    }
    let bytes = app.files.of(&shelved, &wanted).await?;
    let mut reply = document(&ask, id, media, || Ok(bytes))?;
    if let Ok(disposition) = HeaderValue::from_str(&wanted.disposition()) {
        reply.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(reply)
}

/// Links of a collection to its files (RFC 4287, `enclosure`), which always give the latest vintage.
pub fn enclosures(ask: &Ask, place: &Place) -> Vec<Link> {
    let link = |format: FileFormat| {
        let href = Wanted::totals(place, format)?.lasting_href(ask);
        let media = format.media().split(';').next().unwrap_or_default();
        Some(ogc::view::link(href, "enclosure", media, &format!("Totaux de chaque zone, {}", format.title())))
    };
    FileFormat::OF_ZONES.into_iter().filter_map(link).collect()
}

impl Wanted {
    /// The file of a zoning in a format, its figures those of a selection.
    pub fn zones(place: &Place, selection: Selection, format: FileFormat) -> Self {
        let of = Of::Zones(place.zoning().id.clone(), selection);
        Self { name: place.id.clone(), of, format, excel: false }
    }

    /// The file of a zoning with its totals in the latest vintage; `None` where they are not published.
    pub fn totals(place: &Place, format: FileFormat) -> Option<Self> {
        let selection = Selection { vintage: place.release().latest()?, ..Selection::default() };
        let published = place.release().figures(&place.zoning().id, "", &selection) != Published::NotPublished;
        published.then(|| Self::zones(place, selection, format))
    }

    /// Every cell of a vintage of the current release in a format.
    pub fn tables(vintage: u16, format: FileFormat) -> Self {
        Self { name: TABLES.to_owned(), of: Of::Tables(vintage), format, excel: false }
    }

    /// What a request asks: the name of the file says what, of which release and how, the parameters which figures.
    fn read(ask: &Ask, on_shelf: &OnShelf, file: &str) -> Result<(Arc<Shelved>, Self), Problem> {
        let unknown = |start: &str, formats: &[FileFormat]| {
            let extensions: Vec<&str> = formats.iter().map(|format| format.extension()).collect();
            let expected = format!("{start}, then one of .{}", extensions.join(", ."));
            Problem::refused(StatusCode::NOT_FOUND, "unknown_file", "path", format!("file `{file}`"), expected)
        };
        let named = |format: &FileFormat| Some((file.strip_suffix(format.extension())?.strip_suffix('.')?, *format));
        let Some((name, format)) = FileFormat::OF_ZONES.iter().find_map(named) else {
            return Err(unknown(&format!("a collection or `{TABLES}`"), &FileFormat::OF_ZONES));
        };
        let dialect: &[&str] = if format == FileFormat::Csv { &["dialecte"] } else { &[] };
        let (start, release) = name.split_once(AT).map_or((name, None), |(start, release)| (start, Some(release)));
        if start == TABLES {
            if !FileFormat::OF_TABLES.contains(&format) {
                return Err(unknown(&format!("`{TABLES}`"), &FileFormat::OF_TABLES));
            }
            ask.only(&[&["millesime"], dialect].concat())?;
            let shelved = release.map_or_else(|| on_shelf.shelved(), |id| on_shelf.release(id))?;
            let of = Of::Tables(ask.vintage(&shelved.release)?);
            return Ok((shelved, Self { name: name.to_owned(), of, format, excel: excel(ask)? }));
        }
        ask.only(&[&SELECTORS, dialect].concat())?;
        let place = on_shelf.place(name)?;
        let selection = ask.wanted(&place)?.selection.ok_or_else(Problem::nothing_published)?;
        Ok((place.shelved.clone(), Self { excel: excel(ask)?, ..Self::zones(&place, selection, format) }))
    }

    /// The address of the file.
    pub fn href(&self, ask: &Ask) -> String {
        let mut params = Vec::new();
        let mut set =
            |name: &str, code: Option<&String>| params.extend(code.map(|code| (name.to_owned(), code.clone())));
        let vintage = match &self.of {
            Of::Zones(_, selection) => selection.vintage,
            Of::Tables(vintage) => *vintage,
        };
        set("millesime", Some(&vintage.to_string()));
        if let Of::Zones(_, selection) = &self.of {
            set("naf", selection.naf.as_ref());
            set("tranche", selection.tranche.as_ref());
            set("source", selection.source.as_ref());
        }
        set("dialecte", self.excel.then_some(&EXCEL.to_owned()));
        ask.href(&self.path(), &params)
    }

    /// The address that always gives the latest vintage, totals of everything.
    pub fn lasting_href(&self, ask: &Ask) -> String {
        ask.href(&self.path(), &[])
    }

    fn path(&self) -> String {
        format!("/telechargements/{}.{}", super::ogc::query::encode(&self.name, "@"), self.format.extension())
    }

    /// The same figures for a French Excel.
    pub fn for_excel(&self) -> Self {
        Self { excel: true, ..self.clone() }
    }

    /// Name of the file on a disk: what it holds, the vintage, then what was chosen.
    pub fn file_name(&self) -> String {
        let mut parts = vec![self.name.replace(AT, "-")];
        match &self.of {
            Of::Tables(vintage) => parts.push(vintage.to_string()),
            Of::Zones(_, selection) => {
                parts.push(selection.vintage.to_string());
                let Selection { naf, tranche, source, .. } = selection;
                for (name, code) in [("naf", naf), ("tranche", tranche), ("source", source)] {
                    parts.extend(code.iter().map(|code| format!("{name}-{code}")));
                }
            }
        }
        parts.extend(self.excel.then(|| EXCEL.to_owned()));
        format!("{}.{}", parts.join("-"), self.format.extension())
    }

    /// `Content-Disposition` (RFC 6266): the name in ASCII, and as it is.
    fn disposition(&self) -> String {
        let name = self.file_name();
        let plain: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        match plain == name {
            true => format!("attachment; filename=\"{plain}\""),
            false => {
                let exact = super::ogc::query::encode(&name, "");
                format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
            }
        }
    }

    /// The bytes of the file.
    fn encode(&self, shelved: &Shelved) -> Encoded {
        let release = &shelved.release;
        let extract = match &self.of {
            Of::Tables(vintage) => Extract::tables(release, *vintage),
            Of::Zones(zoning, selection) => {
                let zoning = release.zoning(zoning).ok_or("the zoning of a file is no more in its release")?;
                Extract::zones(release, zoning, selection.clone())
            }
        };
        match self.format {
            FileFormat::Csv if self.excel => csv::excel(&extract),
            FileFormat::Csv => csv::plain(&extract),
            FileFormat::Xlsx => xlsx::encode(&extract),
            FileFormat::GeoPackage => geopackage::encode(&extract),
            FileFormat::Shapefile => shapefile::encode(&extract),
            FileFormat::FlatGeobuf => flatgeobuf::encode(&extract),
            FileFormat::Parquet => geoparquet::encode(&extract),
        }
    }
}

fn excel(ask: &Ask) -> Result<bool, Problem> {
    match ask.get("dialecte") {
        None => Ok(false),
        Some(EXCEL) => Ok(true),
        Some(other) => Err(Problem::bad_parameter("dialecte", other, EXCEL)),
    }
}

#[cfg(test)]
pub mod tests;
