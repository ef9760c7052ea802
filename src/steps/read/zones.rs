//! Zone layers: which layer of the file, which system, which field is the code; then one record a zone.

use super::files::{self, Files, Format};
use super::{geojson, geopackage, shapefile, wkt};
use crate::model::id::ZONE_CODE_MAX;
use crate::model::{Crs, Declared, Read, Reject, Unreadable, ZoneRecord, position_text};
use geo::{CoordsIter, MultiPolygon};
use std::collections::HashMap;

/// What the operator may say about a zone file; all of it may be left out.
#[derive(Debug, Clone, Default)]
pub struct ZoneOptions {
    /// The layer, when the file holds several; in any letter case.
    pub layer: Option<String>,
    /// The field of the codes; in any letter case.
    pub code_field: Option<String>,
    /// The field of the names; in any letter case.
    pub label_field: Option<String>,
    /// The system of the coordinates, which stands above what the file says.
    pub crs: Option<Crs>,
}

/// A layer of zones as read, not yet reprojected.
#[derive(Debug, Clone)]
pub struct ZoneLayer {
    /// Its name.
    pub layer: String,
    /// Where its records are, as messages name it: the `.shp` of a layer, the file of a GeoJSON text or GeoPackage.
    pub source: String,
    /// `shapefile`, `GeoJSON` or `GeoPackage`.
    pub format: &'static str,
    /// The encoding of its texts and where that is known from.
    pub encoding: String,
    /// All its fields.
    pub fields: Vec<Field>,
    /// The system of its coordinates.
    pub crs: Crs,
    /// The field taken for the code.
    pub code_field: String,
    /// The field taken for the name.
    pub label_field: Option<String>,
    /// One record a zone, and the records that are none.
    pub records: Read<ZoneRecord>,
    /// What the operator should know, though nothing was lost by it.
    pub warnings: Vec<Reject>,
}

/// What a file says of one of its layers.
#[derive(Debug, Clone)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// `shapefile`, `GeoJSON` or `GeoPackage`.
    pub format: &'static str,
    /// The type of its geometries, in the format's own words.
    pub geometry: String,
    /// Whether zones may be read from it.
    pub polygonal: bool,
    /// Records, those without geometry included.
    pub features: usize,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The system it declares; `None` when it declares none that can be read.
    pub crs: Option<Crs>,
    /// The encoding of its texts and where that is known from.
    pub encoding: String,
    /// West, south, east and north in units of its system.
    pub extent: Option<[f64; 4]>,
    /// What is missing or doubtful.
    pub problems: Vec<Reject>,
}

/// A field of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: FieldType,
}

/// The type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Text.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers with decimals.
    Real,
    /// Dates or times.
    Date,
    /// True or false.
    Logical,
    /// Anything else.
    Other,
}

impl FieldType {
    /// The word for it in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Date => "date",
            Self::Logical => "logical",
            Self::Other => "other",
        }
    }
}

/// Records accepted in one layer: France has 35 000 communes and 49 000 IRIS.
pub const FEATURES_MAX: usize = 200_000;
/// Cells of attributes accepted in one layer: the communes of France with a hundred fields are 3.5 million.
pub const CELLS_MAX: usize = 5_000_000;

/// A layer as its reader gives it, before the code field is known.
#[derive(Debug)]
pub(super) struct Raw {
    pub fields: Vec<Field>,
    pub crs: Crs,
    pub rows: Vec<Row>,
    pub warnings: Vec<Reject>,
}

/// A record: one cell for each field, blank cells `None`.
#[derive(Debug)]
pub(super) struct Row {
    pub record: usize,
    pub cells: Vec<Option<String>>,
    pub contour: Result<MultiPolygon, Reject>,
}

/// Refuses a table of more than [`CELLS_MAX`] cells.
pub(super) fn cells_fit(file: &str, rows: usize, fields: usize) -> Result<(), Unreadable> {
    if rows.saturating_mul(fields) <= CELLS_MAX {
        return Ok(());
    }
    let found = format!("{rows} rows of {fields} fields");
    Err(Unreadable::file("too_many_cells", file, found, format!("{CELLS_MAX} cells at most")))
}

enum Source<'a> {
    Shapefiles(Vec<files::Bundle<'a>>),
    GeoJson(geojson::Document),
    GeoPackage(geopackage::Package),
}

fn source(files: &Files) -> Result<Source<'_>, Unreadable> {
    Ok(match files::open(files)? {
        Format::Shapefiles(bundles) => Source::Shapefiles(bundles),
        Format::GeoJson(text) => Source::GeoJson(geojson::open(&files.name, text)?),
        Format::GeoPackage(bytes) => Source::GeoPackage(geopackage::open(&files.name, bytes)?),
    })
}

impl Source<'_> {
    fn survey(&self) -> Result<Vec<LayerReport>, Unreadable> {
        match self {
            Self::Shapefiles(bundles) => bundles.iter().map(shapefile::survey).collect(),
            Self::GeoJson(document) => Ok(vec![geojson::survey(document)]),
            Self::GeoPackage(package) => geopackage::survey(package),
        }
    }
}

/// Describes every layer of a file, polygonal or not.
///
/// Fails when the file is none that arpent reads; a layer that lacks something is described with its problems.
pub fn inspect(files: &Files) -> Result<Vec<LayerReport>, Unreadable> {
    source(files)?.survey()
}

/// Reads the zones of a file.
///
/// Fails when the file, its system, its layer or its code field cannot be told; records without a polygon or a code are
/// rejected one by one. Coordinates are checked against the globe when the system is in degrees.
pub fn zones(files: &Files, options: &ZoneOptions) -> Result<ZoneLayer, Unreadable> {
    let (report, taken, raw) = layer_of(files, options)?;
    let place = place_of(files, &report);
    let mut warnings: Vec<Reject> = taken.into_iter().chain(report.problems).chain(raw.warnings).collect();
    let code = match options.code_field.as_deref() {
        Some(name) => named_field(&place, &raw.fields, name)?,
        None => {
            let (code, notes) = choose_code(&place, &raw.fields, &raw.rows)?;
            warnings.extend(notes);
            code
        }
    };
    let label = match options.label_field.as_deref() {
        Some(name) => Some(named_field(&place, &raw.fields, name)?),
        None => choose_label(&raw.fields, code),
    };
    let mut records = Read { accepted: Vec::new(), rejected: Vec::new() };
    for mut row in raw.rows {
        let label = label.and_then(|at| if at == code { row.cells[at].clone() } else { row.cells[at].take() });
        match (row.contour, row.cells[code].take()) {
            (Ok(geometry), Some(code)) => {
                let contour = Declared { crs: raw.crs.clone(), geometry };
                records.accepted.push(ZoneRecord { record: row.record, code, label, contour });
            }
            (Ok(_), None) => {
                let blank = Unreadable::record("no_code", &place, row.record, "a blank", "a code").0;
                records.rejected.push(Reject { field: Some(raw.fields[code].name.clone()), ..blank });
            }
            (Err(reject), _) => records.rejected.push(reject),
        }
    }
    Ok(ZoneLayer {
        layer: report.name,
        source: place,
        format: report.format,
        encoding: report.encoding,
        crs: raw.crs,
        code_field: raw.fields[code].name.clone(),
        label_field: label.map(|at| raw.fields[at].name.clone()),
        fields: raw.fields,
        records,
        warnings,
    })
}

/// The contours of a layer, whatever its fields.
#[derive(Debug, Clone)]
pub struct Contours {
    /// Where its records are, as messages name it.
    pub source: String,
    /// One record a contour, its code the number of the record.
    pub records: Vec<ZoneRecord>,
}

/// Reads the contours of a file without asking for codes: of a territory, say.
///
/// # Errors
/// What [`zones`] fails for, the code field apart; and the first record without a polygon.
pub fn contours(files: &Files, options: &ZoneOptions) -> Result<Contours, Unreadable> {
    let (report, _, raw) = layer_of(files, options)?;
    let record = |row: Row| {
        let geometry = row.contour.map_err(Unreadable)?;
        let contour = Declared { crs: raw.crs.clone(), geometry };
        Ok(ZoneRecord { record: row.record, code: row.record.to_string(), label: None, contour })
    };
    Ok(Contours {
        source: place_of(files, &report),
        records: raw.rows.into_iter().map(record).collect::<Result<_, _>>()?,
    })
}

/// Chooses the layer and reads it whole.
fn layer_of(files: &Files, options: &ZoneOptions) -> Result<(LayerReport, Option<Reject>, Raw), Unreadable> {
    let source = source(files)?;
    let mut reports = source.survey()?;
    let (at, taken) = choose_layer(&files.name, &reports, options.layer.as_deref())?;
    let raw = match &source {
        Source::Shapefiles(bundles) => shapefile::read(&bundles[at], options.crs.as_ref())?,
        Source::GeoJson(document) => geojson::read(document, options.crs.as_ref())?,
        Source::GeoPackage(package) => geopackage::read(package, &reports[at].name, options.crs.as_ref())?,
    };
    let report = reports.swap_remove(at);
    let place = place_of(files, &report);
    if raw.rows.is_empty() {
        return Err(Unreadable::file("empty_layer", place, "0 features", "at least one zone"));
    }
    within_globe(&place, &raw)?;
    Ok((report, taken, raw))
}

/// Where the records of a layer are, as a person would look for them.
fn place_of(files: &Files, report: &LayerReport) -> String {
    match report.format {
        "shapefile" => format!("{}.shp", report.name),
        "GeoPackage" => format!("{}, layer `{}`", files.name, report.name),
        _ => files.name.clone(),
    }
}

/// What to send instead of points and lines.
const POLYGONS: &str = "polygons: the layer of the contours themselves";

/// The layer asked for, or the only one of polygons; a choice among several is said.
fn choose_layer(
    file: &str,
    reports: &[LayerReport],
    wanted: Option<&str>,
) -> Result<(usize, Option<Reject>), Unreadable> {
    let list = |all: &mut dyn Iterator<Item = &LayerReport>| -> String {
        all.take(20).map(|r| format!("`{}` ({})", r.name, r.geometry)).collect::<Vec<_>>().join(", ")
    };
    let not_polygonal = |report: &LayerReport| {
        Unreadable::file("not_polygonal", &report.name, format!("geometries of type {}", report.geometry), POLYGONS)
    };
    if let Some(wanted) = wanted {
        let Some(at) = reports.iter().position(|r| r.name.to_lowercase() == wanted.to_lowercase()) else {
            return Err(Unreadable::file(
                "no_such_layer",
                file,
                format!("no layer `{wanted}`"),
                format!("one of {}", list(&mut reports.iter())),
            ));
        };
        return if reports[at].polygonal { Ok((at, None)) } else { Err(not_polygonal(&reports[at])) };
    }
    let polygonal: Vec<usize> = (0..reports.len()).filter(|&i| reports[i].polygonal).collect();
    match (polygonal[..].iter().as_slice(), reports) {
        ([at], [_]) => Ok((*at, None)),
        ([at], _) => {
            let found = format!("{} layers: {}", reports.len(), list(&mut reports.iter()));
            let expected = format!("one; the only one of polygons, `{}`, was taken", reports[*at].name);
            Ok((*at, Some(Unreadable::file("layer_taken", file, found, expected).0)))
        }
        ([], [only]) => Err(not_polygonal(only)),
        ([], _) => {
            Err(Unreadable::file("not_polygonal", file, format!("layers {}", list(&mut reports.iter())), POLYGONS))
        }
        (several, _) => {
            let found = format!("{} layers of polygons", several.len());
            Err(Unreadable::file(
                "several_layers",
                file,
                found,
                format!("the name of one: {}", list(&mut several.iter().map(|&i| &reports[i]))),
            ))
        }
    }
}

/// Metres under a system in degrees are the commonest wrong `.prj`; degrees cannot pass 180 and 90.
fn within_globe(file: &str, raw: &Raw) -> Result<(), Unreadable> {
    /// Room for a contour drawn a little over the date line or a pole.
    const SLACK: f64 = 0.01;
    if !wkt::is_degrees(&raw.crs) {
        return Ok(());
    }
    for row in &raw.rows {
        let Ok(contour) = &row.contour else { continue };
        if let Some(c) = contour.coords_iter().find(|c| c.x.abs() > 180.0 + SLACK || c.y.abs() > 90.0 + SLACK) {
            let expected = format!(
                "longitude and latitude in degrees, as {} declares; give the system these coordinates are in (EPSG:2154 is \
                 Lambert-93)",
                raw.crs
            );
            return Err(Unreadable::record(
                "outside_crs",
                file,
                row.record,
                format!("the point {}", position_text(c.x, c.y)),
                expected,
            ));
        }
    }
    Ok(())
}

fn named_field(layer: &str, fields: &[Field], name: &str) -> Result<usize, Unreadable> {
    let exact = fields.iter().position(|f| f.name == name);
    exact.or_else(|| fields.iter().position(|f| f.name.to_lowercase() == name.to_lowercase())).ok_or_else(|| {
        let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).take(60).collect();
        Unreadable::file("no_such_field", layer, format!("no field `{name}`"), format!("one of {}", names.join(", ")))
    })
}

/// Usual names of a code, the most telling first.
const CODE_NAMES: [&str; 22] = [
    "code_iris",
    "dcomiris",
    "codeiris",
    "code_secteur",
    "codesecteur",
    "code_sect",
    "id_secteur",
    "secteur",
    "code_zone",
    "code_insee",
    "insee_com",
    "codeinsee",
    "codgeo",
    "code_commune",
    "depcom",
    "insee",
    "code",
    "code_dep",
    "insee_dep",
    "dep",
    "reg",
    "zone_id",
];
/// Names under which software numbers rows: taken for a code only when nothing else can be one.
const ROW_NUMBER_NAMES: [&str; 9] = ["id", "fid", "objectid", "ogc_fid", "gid", "__id", "rowid", "fid_1", "objectid_1"];
/// Usual names of a label, the most telling first.
const LABEL_NAMES: [&str; 20] = [
    "nom_iris",
    "lib_iris",
    "nomiris",
    "nom_secteur",
    "lib_secteur",
    "libelle_secteur",
    "nom_sect",
    "libsect",
    "nom_zone",
    "libelle",
    "lib",
    "nom_com",
    "libgeo",
    "nom_commune",
    "commune",
    "nom",
    "name",
    "label",
    "libquart",
    "libsquart",
];

/// Whether a field is named as a label: one of [`LABEL_NAMES`], or a start in `lib` or `nom`.
fn is_label_name(name: &str) -> bool {
    let name = name.to_lowercase();
    LABEL_NAMES.contains(&name.as_str()) || name.starts_with("lib") || name.starts_with("nom")
}

/// What the values of a field allow.
struct Use {
    blanks: usize,
    /// A value met twice, and the records it was met on.
    twin: Option<(String, usize, usize)>,
    distinct: usize,
    /// Whether every value looks like a code: letters, digits, `_`, `-`, `.`, no blank inside.
    code_like: bool,
}

impl Use {
    fn of(rows: &[Row], at: usize) -> Self {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut found = Self { blanks: 0, twin: None, distinct: 0, code_like: true };
        for row in rows {
            let Some(value) = row.cells[at].as_deref() else {
                found.blanks += 1;
                continue;
            };
            let sign = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            found.code_like &= value.chars().count() <= ZONE_CODE_MAX && value.chars().all(sign);
            if let Some(&first) = seen.get(value) {
                found.twin.get_or_insert_with(|| (value.to_owned(), first, row.record));
            } else {
                seen.insert(value, row.record);
            }
        }
        found.distinct = seen.len();
        found
    }
    fn unique(&self) -> bool {
        self.blanks == 0 && self.twin.is_none()
    }
}

/// The field of the codes when nobody names it, and what to say of the choice: a usual name first, else the only field
/// that is unique and looks like codes, else the row numbers; never one of several, never one with a value twice.
fn choose_code(layer: &str, fields: &[Field], rows: &[Row]) -> Result<(usize, Vec<Reject>), Unreadable> {
    let uses: Vec<Use> = (0..fields.len()).map(|at| Use::of(rows, at)).collect();
    let by_name = |name: &str| fields.iter().position(|f| f.name.to_lowercase() == name);
    let is_row_number = |at: usize| {
        let counts = |from: usize| {
            rows.iter().enumerate().all(|(i, r)| r.cells[at].as_deref() == Some(&*(i + from).to_string()))
        };
        let name = fields[at].name.to_lowercase();
        ROW_NUMBER_NAMES.contains(&name.as_str()) && (name != "id" || counts(0) || counts(1))
    };
    let may_be_code = |at: usize| matches!(fields[at].kind, FieldType::Text | FieldType::Integer) && uses[at].code_like;
    let is_label = |at: usize| is_label_name(&fields[at].name);
    // A text field of codes with one value twice is what the operator probably meant, and must be told about.
    let spoilt: Vec<usize> = (0..fields.len())
        .filter(|&at| {
            let mostly = rows.len() > 2 && uses[at].distinct * 10 >= rows.len() * 9;
            may_be_code(at) && !is_row_number(at) && !is_label(at) && !uses[at].unique() && mostly
        })
        .collect();
    let twin = |at: usize| match &uses[at].twin {
        Some((value, a, b)) => format!("`{}` has `{value}` twice, on records {a} and {b}", fields[at].name),
        None => format!("`{}` is blank on {} records", fields[at].name, uses[at].blanks),
    };
    let spoilt_notes = || spoilt.iter().map(|&at| twin(at)).collect::<Vec<_>>().join("; ");
    let taken = |at: usize, why: &str| {
        let mut found = format!("no field named for the code; `{}` was taken, {why}", fields[at].name);
        if !spoilt.is_empty() {
            found += &format!(" ({})", spoilt_notes());
        }
        Ok((at, vec![Unreadable::file("code_field_taken", layer, found, "the name of the code field, to be sure").0]))
    };

    let named = CODE_NAMES.iter().chain(&["id"]).filter_map(|name| by_name(name));
    if let Some(at) = named.into_iter().find(|&at| uses[at].unique() && may_be_code(at) && !is_row_number(at)) {
        return taken(at, "by its name");
    }
    let mut candidates: Vec<usize> =
        (0..fields.len()).filter(|&at| may_be_code(at) && uses[at].unique() && !is_row_number(at)).collect();
    if candidates.iter().any(|&at| !is_label(at)) {
        candidates.retain(|&at| !is_label(at));
    }
    match candidates[..] {
        [at] => return taken(at, "the only one that is unique and looks like codes"),
        [] => {}
        _ => {
            let names: Vec<String> = candidates.iter().map(|&at| format!("`{}`", fields[at].name)).collect();
            let mut found = format!("{} fields that could be the code: {}", names.len(), names.join(", "));
            if !spoilt.is_empty() {
                found += &format!(" ({})", spoilt_notes());
            }
            return Err(Unreadable::file("ambiguous_code_field", layer, found, "the name of the code field"));
        }
    }
    if !spoilt.is_empty() {
        let expected = "a field whose values are all there and all different";
        return Err(Unreadable::file("no_code_field", layer, spoilt_notes(), expected));
    }
    let numbers = ROW_NUMBER_NAMES.iter().filter_map(|name| by_name(name));
    if let Some(at) = numbers.into_iter().find(|&at| uses[at].unique() && may_be_code(at)) {
        return taken(at, "a number of rows, since nothing else could be the code");
    }
    let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).take(60).collect();
    let found = if names.is_empty() {
        "no field".to_owned()
    } else {
        format!("no unique field of codes among {}", names.join(", "))
    };
    Err(Unreadable::file("no_code_field", layer, found, "a field whose values are all there and all different"))
}

/// The field of the names: a usual name, else the only text field that starts with `lib` or `nom`.
fn choose_label(fields: &[Field], code: usize) -> Option<usize> {
    let text = |at: &usize| *at != code && fields[*at].kind == FieldType::Text;
    let by_name = |name: &&str| fields.iter().position(|f| f.name.to_lowercase() == *name);
    let named = LABEL_NAMES.iter().filter_map(by_name).find(text);
    let starts = |at: &usize| is_label_name(&fields[*at].name);
    let similar: Vec<usize> = (0..fields.len()).filter(text).filter(starts).collect();
    named.or(match similar[..] {
        [only] => Some(only),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::zip_of;
    use super::*;
    use geo::Area;
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};

    fn shared(path: &str) -> Option<PathBuf> {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
        if !path.exists() {
            println!("skipped: no ../shared");
        }
        path.exists().then_some(path)
    }

    /// A file, and for a `.shp` all that lies in its folder.
    fn load(path: &Path) -> Files {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let one = |path: &Path| (name(path), std::fs::read(path).unwrap());
        let parts = if path.extension().is_some_and(|e| e == "shp") {
            let stem = path.file_stem();
            let siblings = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
            siblings.filter(|p| p.file_stem() == stem).map(|p| one(&p)).collect()
        } else {
            vec![one(path)]
        };
        Files { name: name(path), parts }
    }

    fn with(code_field: &str, epsg: u32, layer: &str) -> ZoneOptions {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let crs = (epsg > 0).then_some(Crs::Epsg(epsg));
        ZoneOptions { layer: some(layer), code_field: some(code_field), crs, ..ZoneOptions::default() }
    }

    #[test]
    fn every_file_of_the_corpus_is_accepted_or_refused_as_its_manifest_says() {
        let Some(corpus) = shared("shapefiles-corpus") else { return };
        let table = corpus_cases();
        for (file, options, verdict) in &table {
            let read = zones(&load(&corpus.join(file)), options);
            let found = match &read {
                Ok(layer) => Ok((layer.records.accepted.len(), layer.records.rejected.len())),
                Err(e) => Err(e.0.code),
            };
            assert_eq!(found, *verdict, "{file} {options:?}: {:?}", read.err().map(|e| e.to_string()));
        }
        let manifest = std::fs::read_to_string(corpus.join("MANIFEST.csv")).unwrap();
        for line in manifest.lines().skip(1) {
            let file = line.split(',').next().unwrap();
            assert!(table.iter().any(|row| row.0 == file), "{file} is not in the table");
        }
    }

    /// File, options, and zones accepted and rejected or the code of the refusal.
    type Case = (&'static str, ZoneOptions, Result<(usize, usize), &'static str>);

    fn corpus_cases() -> Vec<Case> {
        let plain = || with("", 0, "");
        let lambert = || with("", 2154, "");
        vec![
            ("mtp-VilleMTP_MTP_AOC.zip", plain(), Err("missing_part")),
            ("mtp-VilleMTP_MTP_AOC.zip", lambert(), Err("no_code_field")),
            ("mtp-VilleMTP_MTP_AOC.zip", with("SHAPE_AREA", 2154, ""), Ok((8, 0))),
            ("mtp-VilleMTP_MTP_CameraSurv.zip", plain(), Err("not_polygonal")),
            ("mtp-VilleMTP_MTP_TDF2013.zip", plain(), Err("not_polygonal")),
            ("mtp-RFF_LR_LGV.zip", plain(), Err("several_layers")),
            ("mtp-RFF_LR_LGV.zip", with("", 0, "bande_dup_cnm"), Ok((1, 0))),
            ("mtp-RFF_LR_LGV.zip", with("", 0, "Points_importants_CNM"), Err("not_polygonal")),
            ("mtp-RFF_LR_LGV.zip", with("", 0, "Gares"), Err("no_such_layer")),
            ("mtp-VilleMTP_MTP_ZAC.zip", with("NOMZAC", 0, ""), Ok((35, 0))),
            ("mtp-VilleMTP_MTP_BureauxVote.zip", plain(), Ok((131, 0))),
            ("pyshp-corrupt_too_long/corrupt_too_long.shp", plain(), Err("not_polygonal")),
            ("pyshp-latin1/latin1.shp", plain(), Err("missing_part")),
            ("pyshp-latin1/latin1.shp", with("Name", 4326, ""), Ok((1, 0))),
            ("pyshp-empty_zipfile.zip", plain(), Err("no_shapefile")),
            ("pyshp-REL.zip", plain(), Ok((1, 0))),
            ("pyshp-blockgroups.zip", plain(), Err("missing_part")),
            ("pyshp-blockgroups.zip", with("BKG_KEY", 4326, ""), Ok((663, 0))),
            ("shprs-file_cp936/file_cp936.shp", plain(), Err("not_polygonal")),
            ("shprs-line/line.shp", plain(), Err("not_polygonal")),
            ("shprs-multi_polygon/multi_polygon.shp", plain(), Err("missing_part")),
            ("shprs-multipatch/multipatch.shp", plain(), Err("not_polygonal")),
            ("shprs-polygon_hole/polygon_hole.shp", plain(), Err("missing_part")),
            ("shprs-polygonm/polygonm.shp", plain(), Err("missing_part")),
            ("mbo-empty/empty.shp", plain(), Err("not_polygonal")),
            ("mbo-null/null.shp", plain(), Err("not_polygonal")),
            ("mbo-latin1-property/latin1-property.shp", plain(), Err("not_polygonal")),
            ("mbo-utf8-property/utf8-property.shp", plain(), Err("not_polygonal")),
            ("mbo-number-null-property/number-null-property.shp", plain(), Err("missing_part")),
            ("mbo-number-null-property/number-null-property.shp", with("name", 4326, ""), Ok((4, 0))),
            ("mbo-polygons/polygons.shp", plain(), Ok((3, 0))),
            ("mbo-polygonm/polygonm.shp", plain(), Err("missing_part")),
            ("shpjs-LGA_2013_AUST/LGA_2013_AUST.shp", plain(), Ok((1, 12))),
            ("shpjs-bad/bad.shp", plain(), Err("not_a_shapefile")),
            ("shpjs-badzip.zip", plain(), Err("not_a_zip")),
            ("shpjs-htmlprj/htmlprj.shp", plain(), Err("not_polygonal")),
            ("shpjs-codepage/codepage.shp", plain(), Err("not_polygonal")),
            ("shpjs-mixedcase.zip", with("SENDISTNUM", 0, ""), Ok((40, 0))),
            ("shpjs-noshp.zip", plain(), Err("no_shapefile")),
            ("shpjs-SHP_Exclude.zip", plain(), Err("missing_part")),
            ("shpjs-zero-len-line.zip", plain(), Err("not_polygonal")),
            ("shpjs-train_stations.zip", plain(), Err("not_polygonal")),
            ("shpjs-ipra_dresden_polygon/ipra_dresden_polygon.shp", plain(), Err("record_length")),
            ("slib-polygon/polygon.shp", plain(), Err("missing_part")),
            ("slib-polygon/polygon.shp", with("EAS_ID", 2154, ""), Ok((474, 0))),
            ("slib-anno/anno.shp", plain(), Err("missing_part")),
            ("slib-anno/anno.shp", with("NAME_", 2154, ""), Ok((201, 0))),
            ("slib-csah/csah.shp", plain(), Err("not_polygonal")),
            ("slib-3dpoints/3dpoints.shp", plain(), Err("not_polygonal")),
            ("fiona-coutwildrnp/coutwildrnp.shp", with("WILDRNP020", 0, ""), Ok((67, 0))),
            ("derived/truncated-shp.zip", plain(), Err("truncated")),
            ("derived/wrong-shx.zip", plain(), Ok((31, 0))),
            ("derived/dbf-deleted-rows.zip", plain(), Err("ambiguous_code_field")), // record 11 was one of the two `MIP`
            ("derived/dbf-deleted-rows.zip", with("SQUARTMNO", 0, ""), Ok((28, 0))),
            ("derived/no-dbf.zip", plain(), Err("missing_part")),
            ("derived/prj-wgs84-lie.zip", plain(), Err("outside_crs")),
            ("derived/rings-reversed.zip", plain(), Ok((31, 0))),
            ("derived/record-length-huge.zip", plain(), Err("record_length")),
            ("derived/self-intersection.zip", plain(), Ok((31, 0))),
            ("derived/nan-vertex.zip", plain(), Err("not_finite")),
            ("derived/macosx-entries.zip", plain(), Ok((31, 0))),
            ("derived/zip-slip.zip", plain(), Err("unsafe_path")),
            ("derived/utf8-without-cpg.zip", plain(), Ok((31, 0))),
            ("derived/overlap-and-gap.zip", plain(), Ok((31, 0))),
        ]
    }

    #[test]
    fn a_refusal_says_where_and_what() {
        let Some(corpus) = shared("shapefiles-corpus") else { return };
        for (file, words) in [
            ("derived/truncated-shp.zip", &["row 20", "cut short"][..]),
            ("derived/record-length-huge.zip", &["row 10", "bytes where"]),
            ("derived/nan-vertex.zip", &["row 7", "NaN", "finite"]),
            ("derived/no-dbf.zip", &["no .dbf"]),
            ("derived/prj-wgs84-lie.zip", &["row 1", "EPSG:4326", "degrees"]),
            ("derived/zip-slip.zip", &["../../etc/sect.shp"]),
            ("shprs-multi_polygon/multi_polygon.shp", &["no .shx, no .dbf, no .prj"]),
            ("shprs-multipatch/multipatch.shp", &["MultiPatch"]),
            ("mtp-VilleMTP_MTP_TDF2013.zip", &["TDF2013Arrivée", "TDF2013Départ", "PolyLine"]),
            ("mtp-RFF_LR_LGV.zip", &["Bande_DUP_CNM", "Trace_avant_projet_CNM_Avril2013"]),
            ("mtp-VilleMTP_MTP_AOC.zip", &["no .prj", "EPSG:N"]),
        ] {
            let message = zones(&load(&corpus.join(file)), &ZoneOptions::default()).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{file}: {message}");
        }
        let html = inspect(&load(&corpus.join("shpjs-htmlprj/htmlprj.shp"))).unwrap();
        assert!(html[0].problems.iter().any(|p| p.code == "prj_not_wkt"), "{html:?}");
    }

    #[test]
    fn what_was_repaired_is_said_and_the_areas_stay() {
        let Some(corpus) = shared("shapefiles-corpus") else { return };
        let read_with = |file: &str, options| zones(&load(&corpus.join(file)), &options).unwrap();
        let read = |file: &str| read_with(file, ZoneOptions::default());
        let codes = |layer: &ZoneLayer| layer.warnings.iter().map(|w| w.code).collect::<Vec<_>>();
        let area = |layer: &ZoneLayer| -> Vec<(String, String, f64)> {
            let zones = layer.records.accepted.iter();
            zones.map(|z| (z.code.clone(), z.label.clone().unwrap(), z.contour.geometry.unsigned_area())).collect()
        };
        let source = read("../territories/montpellier/VilleMTP_MTP_SousQuartiers.zip");
        assert_eq!((source.code_field.as_str(), source.label_field.as_deref()), ("SQUARTIER_", Some("LIBSQUART")));
        assert_eq!(source.crs, Crs::LAMBERT93);
        assert!(source.warnings.iter().any(|w| w.found.contains("`MIP` twice")), "{:?}", source.warnings);
        for (file, warning) in [
            ("derived/rings-reversed.zip", "ring_order"),
            ("derived/wrong-shx.zip", "wrong_shx"),
            ("derived/utf8-without-cpg.zip", "language_byte_wrong"),
        ] {
            let layer = read(file);
            assert!(codes(&layer).contains(&warning), "{file}: {:?}", layer.warnings);
            assert_eq!(area(&layer), area(&source), "{file}");
        }
        let deleted = read_with("derived/dbf-deleted-rows.zip", with("SQUARTIER_", 0, ""));
        let kept: Vec<_> =
            area(&source).into_iter().enumerate().filter(|(i, _)| ![3, 10, 30].contains(i)).map(|(_, z)| z).collect();
        assert_eq!(area(&deleted), kept);
        let note = deleted.warnings.iter().find(|w| w.code == "deleted_rows").unwrap();
        assert!(note.found.contains("3 rows (4, 11, 31)"), "{note}");
    }

    #[test]
    fn the_territories_are_read_whole() {
        let Some(territories) = shared("territories") else { return };
        for (file, count, code, label, first) in [
            ("bas-rhin/CONTOURS-IRIS_D067.shp", 742, "DCOMIRIS", Some("NOM_IRIS"), "671080000"),
            ("montpellier/VilleMTP_MTP_SousQuartiers.geojson", 31, "SQUARTIER_", Some("LIBSQUART"), "7"),
            ("montpellier/VilleMTP_MTP_Quartiers.zip", 7, "QUARTMNO", Some("LIBQUART"), "HO"),
            ("france/DEP_2020_CARTElette.zip", 101, "DEP", Some("nom"), "01"),
        ] {
            let options = with(if file.contains("/VilleMTP_MTP_Quartiers") { "quartmno" } else { "" }, 0, "");
            let layer = zones(&load(&territories.join(file)), &options).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!((layer.records.accepted.len(), layer.records.rejected.len()), (count, 0), "{file}");
            assert_eq!((layer.code_field.as_str(), layer.label_field.as_deref()), (code, label), "{file}");
            assert_eq!(layer.records.accepted[0].code, first, "{file}");
        }
    }

    #[test]
    fn the_rings_and_texts_are_those_another_reader_finds() {
        let Some(data) = shared("") else { return };
        for file in [
            "territories/bas-rhin/CONTOURS-IRIS_D067.shp",
            "shapefiles-corpus/fiona-coutwildrnp/coutwildrnp.shp",
            "shapefiles-corpus/mbo-polygons/polygons.shp",
            "shapefiles-corpus/slib-polygon/polygon.shp",
        ] {
            let options = with(
                if file.contains("coutwildrnp") {
                    "WILDRNP020"
                } else if file.contains("slib") {
                    "EAS_ID"
                } else {
                    ""
                },
                2154,
                "",
            );
            let files = load(&data.join(file));
            let Ok(layer) = zones(&files, &ZoneOptions { crs: Some(Crs::Epsg(3857)), ..options }) else {
                panic!("{file}")
            };
            let part =
                |end: &str| std::io::Cursor::new(&files.parts.iter().find(|(name, _)| name.ends_with(end)).unwrap().1);
            let mut shapes = ::shapefile::ShapeReader::new(part(".shp")).unwrap();
            let mut table = dbase::Reader::new(part(".dbf")).unwrap();
            let rows = table.read().unwrap();
            for ((zone, shape), row) in layer.records.accepted.iter().zip(shapes.iter_shapes()).zip(rows) {
                let Ok(::shapefile::Shape::Polygon(polygon)) = shape else { panic!("{file}") };
                let area = |ring: &::shapefile::PolygonRing<::shapefile::Point>| {
                    let points: Vec<(f64, f64)> = ring.points().iter().map(|p| (p.x, p.y)).collect();
                    let area = geo::Polygon::new(points.into(), vec![]).unsigned_area();
                    if matches!(ring, ::shapefile::PolygonRing::Outer(_)) { area } else { -area }
                };
                let theirs: f64 = polygon.rings().iter().map(area).sum();
                let (a, b) = (zone.contour.geometry.unsigned_area(), theirs);
                assert!((a - b).abs() <= 1e-9 * b, "{file} record {}: {a} and {b}", zone.record);
                let code = match row.get(&layer.code_field) {
                    Some(dbase::FieldValue::Character(Some(text))) => text.trim().to_owned(),
                    Some(dbase::FieldValue::Numeric(Some(number))) => number.to_string(),
                    other => panic!("{file}: {other:?}"),
                };
                assert_eq!(zone.code, code, "{file}");
            }
        }
    }

    /// A feature of GeoJSON.
    fn feature(properties: &str, shift: usize) -> String {
        let ring = format!("[[{shift},0],[{},0],[{shift},1],[{shift},0]]", shift + 1);
        format!(
            r#"{{"type":"Feature","properties":{properties},"geometry":{{"type":"Polygon","coordinates":[{ring}]}}}}"#
        )
    }

    fn collection(properties: &[&str]) -> Files {
        let features: Vec<String> = properties.iter().enumerate().map(|(i, p)| feature(p, i)).collect();
        let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","));
        Files { name: "zones.geojson".into(), parts: vec![("zones.geojson".into(), text.into_bytes())] }
    }

    #[test]
    fn the_code_field_is_found_or_asked_for() {
        for (properties, verdict) in [
            (&[r#"{"CODE_IRIS":"1","x":"a"}"#, r#"{"CODE_IRIS":"2","x":"b"}"#][..], Ok("CODE_IRIS")),
            (&[r#"{"id":"S2","nom":"A"}"#, r#"{"id":"S1","nom":"B"}"#], Ok("id")),
            (&[r#"{"id":1,"sect":"A"}"#, r#"{"id":2,"sect":"B"}"#], Ok("sect")),
            (&[r#"{"id":0}"#, r#"{"id":1}"#], Ok("id")),
            (&[r#"{"objectid":7,"nom":"Le Port"}"#, r#"{"objectid":9,"nom":"La Gare"}"#], Ok("objectid")),
            (&[r#"{"code":"A","sect":"1"}"#, r#"{"code":"A","sect":"2"}"#], Ok("sect")),
            (&[r#"{"a":"1","b":"2"}"#, r#"{"a":"2","b":"1"}"#], Err("ambiguous_code_field")),
            (&[r#"{"sect":"A","nom":"Port"}"#, r#"{"sect":"B","nom":"Gare"}"#], Ok("sect")),
            (&[r#"{"nom":"Port"}"#, r#"{"nom":"Gare"}"#], Ok("nom")),
            (&[r#"{"a":1.5}"#, r#"{"a":2.5}"#], Err("no_code_field")),
            (&[r#"{"a":"x y"}"#, r#"{"a":"y z"}"#], Err("no_code_field")),
            (&[r#"{"a":"x"}"#, r#"{"a":null}"#], Err("no_code_field")),
            (&["{}"], Err("no_code_field")),
            (&[], Err("not_polygonal")),
        ] {
            let read = zones(&collection(properties), &ZoneOptions::default());
            let found = read.as_ref().map(|layer| layer.code_field.as_str()).map_err(|e| e.0.code);
            assert_eq!(found, verdict, "{properties:?}");
        }
    }

    #[test]
    fn iris_are_known_by_their_old_and_new_names_in_any_case() {
        for [commune, name, iris, code, label, kind] in [
            ["DEPCOM", "NOM_COM", "IRIS", "DCOMIRIS", "NOM_IRIS", "TYP_IRIS"],
            ["INSEE_COM", "NOM_COM", "IRIS", "CODE_IRIS", "NOM_IRIS", "TYP_IRIS"],
            ["code_insee", "nom_commune", "iris", "code_iris", "nom_iris", "type_iris"],
            ["Insee_Com", "Nom_Com", "Iris", "Code_Iris", "Nom_Iris", "Typ_Iris"],
        ] {
            let row = |id: usize, last: &str| {
                format!(
                    r#"{{"cleabs":"IRIS{id}","{commune}":"21231","{name}":"Dijon","{iris}":"{last}","{code}":"21231{last}","{label}":"Nord {id}","{kind}":"H"}}"#
                )
            };
            let layer = zones(&collection(&[&row(1, "0101"), &row(2, "0102")]), &ZoneOptions::default()).unwrap();
            assert_eq!((layer.code_field.as_str(), layer.label_field.as_deref()), (code, Some(label)));
            assert_eq!(layer.records.accepted[1].code, "212310102");
        }
    }

    #[test]
    fn a_named_field_is_taken_in_any_case_and_blanks_are_rejected() {
        let files =
            collection(&[r#"{"Sect":"A","Nom":"x"}"#, r#"{"Sect":" ","Nom":"y"}"#, r#"{"Sect":7.0,"Nom":null}"#]);
        let layer = zones(&files, &ZoneOptions { label_field: Some("NOM".into()), ..with("SECT", 0, "") }).unwrap();
        let read: Vec<_> =
            layer.records.accepted.iter().map(|z| (z.record, z.code.as_str(), z.label.as_deref())).collect();
        assert_eq!(read, [(1, "A", Some("x")), (3, "7", None)]);
        assert_eq!((layer.records.rejected[0].code, layer.records.rejected[0].row), ("no_code", Some(2)));
        assert_eq!(zones(&files, &with("autre", 0, "")).unwrap_err().0.code, "no_such_field");
    }

    #[test]
    fn a_spoilt_code_names_its_twins() {
        let mut properties: Vec<String> = (0..20).map(|i| format!(r#"{{"fid":{i},"mno":"M{i}"}}"#)).collect();
        properties[9] = r#"{"fid":9,"mno":"M4"}"#.into();
        let properties: Vec<&str> = properties.iter().map(String::as_str).collect();
        let refused = zones(&collection(&properties), &ZoneOptions::default()).unwrap_err();
        assert_eq!(refused.0.code, "no_code_field");
        assert!(refused.to_string().contains("`mno` has `M4` twice, on records 5 and 10"), "{refused}");
    }

    /// A shapefile of squares, one for each code, zipped.
    fn squares(codes: &[&str]) -> Vec<u8> {
        let mut shp = vec![0; 100];
        for (i, _) in codes.iter().enumerate() {
            let mut content = 5_i32.to_le_bytes().to_vec();
            content.extend([0; 32]);
            content.extend([1_i32, 5, 0].iter().flat_map(|n| n.to_le_bytes()));
            for (x, y) in [(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)] {
                content.extend((f64::from(x) + i as f64).to_le_bytes());
                content.extend(f64::from(y).to_le_bytes());
            }
            shp.extend((i as i32 + 1).to_be_bytes());
            shp.extend((content.len() as i32 / 2).to_be_bytes());
            shp.extend(content);
        }
        let words = shp.len() as i32 / 2;
        shp[..4].copy_from_slice(&9994_i32.to_be_bytes());
        shp[24..28].copy_from_slice(&words.to_be_bytes());
        shp[32..36].copy_from_slice(&5_i32.to_le_bytes());
        let mut dbf = vec![3, 0, 0, 0];
        dbf.extend((codes.len() as u32).to_le_bytes());
        dbf.extend([65, 0, 5, 0]);
        dbf.resize(32, 0);
        dbf.extend(b"CODE\0\0\0\0\0\0\0C\0\0\0\0\x04");
        dbf.resize(64, 0);
        dbf.push(0x0d);
        codes.iter().for_each(|code| dbf.extend(format!(" {code:<4}").bytes()));
        let prj = br#"PROJCS["RGF93_Lambert_93",GEOGCS["GCS_RGF_1993"]]"#;
        zip_of(&[("a.shp", &shp), ("a.dbf", &dbf), ("a.prj", prj)])
    }

    fn unpacked(zip: &[u8]) -> Files {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
        let parts = (0..archive.len()).map(|i| {
            let mut entry = archive.by_index(i).unwrap();
            let mut bytes = Vec::new();
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            (name, bytes)
        });
        Files { name: "a.shp".into(), parts: parts.collect() }
    }

    #[test]
    fn a_torn_shapefile_names_the_record_and_the_fault() {
        let whole = unpacked(&squares(&["A", "B", "C"]));
        assert_eq!(zones(&whole, &ZoneOptions::default()).unwrap().records.accepted.len(), 3);
        let second = 100 + 8 + 128;
        let patch = |at: usize, bytes: &[u8]| {
            let mut files = whole.clone();
            files.parts[0].1[at..at + bytes.len()].copy_from_slice(bytes);
            files
        };
        let cut = |length: usize| {
            let mut files = whole.clone();
            files.parts[0].1.truncate(length);
            files
        };
        let int = |n: i32| n.to_le_bytes();
        for (files, verdict, row) in [
            (patch(0, &[0; 4]), Err("not_a_shapefile"), None),
            (cut(99), Err("not_a_shapefile"), None),
            (cut(second), Err("truncated"), Some(2)),
            (cut(second + 7), Err("truncated"), Some(2)),
            (cut(second + 8), Err("truncated"), Some(2)),
            (cut(second + 135), Err("truncated"), Some(2)),
            (patch(second + 4, &[0xff; 4]), Err("record_length"), Some(2)),
            (patch(second + 4, &[0, 0, 0, 0]), Err("record_length"), Some(2)),
            (patch(second + 8, &int(0)), Ok((2, 1)), Some(2)),
            (patch(second + 8, &int(3)), Ok((2, 1)), Some(2)),
            (patch(second + 8 + 36, &int(-1)), Err("record_length"), Some(2)),
            (patch(second + 8 + 36, &int(i32::MAX)), Err("record_length"), Some(2)),
            (patch(second + 8 + 40, &int(6)), Err("record_length"), Some(2)),
            (patch(second + 8 + 40, &int(i32::MAX)), Err("record_length"), Some(2)),
            (patch(second + 8 + 40, &int(0)), Ok((2, 1)), Some(2)),
            (patch(second + 8 + 44, &int(1)), Err("ring_starts"), Some(2)),
            (patch(second + 8 + 48, &f64::INFINITY.to_le_bytes()), Err("not_finite"), Some(2)),
            (patch(32, &int(1)), Err("not_polygonal"), None),
            (patch(24, &[0, 0, 0, 50]), Ok((3, 0)), None),
        ] {
            let read = zones(&files, &ZoneOptions::default());
            let found =
                read.as_ref().map(|l| (l.records.accepted.len(), l.records.rejected.len())).map_err(|e| e.0.code);
            assert_eq!(found, verdict);
            let at = match &read {
                Ok(layer) => layer.records.rejected.first().and_then(|r| r.row),
                Err(e) => e.0.row,
            };
            assert_eq!(at, row, "{verdict:?}");
        }
        let mut shorter = whole.clone();
        shorter.parts[1].1[4] = 2;
        assert_eq!(zones(&shorter, &ZoneOptions::default()).unwrap_err().0.code, "dbf_count");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), start in 0..5_usize) {
            let starts: [&[u8]; 5] = [b"", b"PK\x03\x04", b"SQLite format 3\0", b"{\"type\":", b"\0\0\x27\x0a"];
            let bytes = [starts[start], &bytes].concat();
            for name in ["a.zip", "a.shp", "a.gpkg"] {
                let files = Files { name: name.into(), parts: vec![(name.into(), bytes.clone())] };
                let _ = (inspect(&files), zones(&files, &ZoneOptions::default()));
            }
        }

        #[test]
        fn no_damage_makes_the_reader_panic_or_invent_zones(
            damage in proptest::collection::vec((0..3_usize, any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in proptest::option::of((0..3_usize, any::<prop::sample::Index>())),
        ) {
            let mut files = unpacked(&squares(&["A", "B", "C"]));
            for (part, at, byte) in damage {
                let bytes = &mut files.parts[part].1;
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some((part, at)) = cut {
                let bytes = &mut files.parts[part].1;
                let at = at.index(bytes.len());
                bytes.truncate(at);
            }
            let _ = inspect(&files);
            if let Ok(layer) = zones(&files, &with("CODE", 2154, "")) {
                prop_assert!(layer.records.accepted.len() + layer.records.rejected.len() <= 3);
            }
        }
    }
}
