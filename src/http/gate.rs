//! The one gate: whatever is asked of whatever face, no answer holds a figure that its release does not hold, no answer
//! is a failure, and nothing tells a cell withheld by a rule from one withheld to protect it.
//!
//! The table of routes says which faces there are, so that a new one is asked from its first day on.

use super::downloads::FileFormat;
use super::tests::SPEC;
use super::{Shelf, Site, downloads, router, routes, tiles};
use crate::model::{ReleaseId, Wgs84};
use crate::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use crate::steps::seal::seal;
use crate::steps::secrecy::{Cell, Column, Microdata, ProtectedTables, Spec, protect, tabulate};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::LazyLock;
use tower::ServiceExt;

/// Questions to each route: some thousand in all, in some seconds.
const QUESTIONS: usize = 150;

/// Names under which every face shows figures.
const FIGURES: [&str; 2] = ["effectif", "etablissements"];

/// What may stand for each part of a path, the real ones first.
fn parts(name: &str) -> &'static [&'static str] {
    match name {
        "zoning" => {
            &["secteurs", "secteurs", "secteurs", "secteurs@0123456789abcdef", "secteurs@ffff", "iris", "@", "%FF", "é"]
        }
        "code" => &["S01", "S02", "S03", "S06", "S99", "total", "", "%00", "<b>"],
        "z" | "row" | "col" | "x" | "y" | "tileMatrix" | "tileRow" | "tileCol" => {
            &["0", "1", "2", "10", "526", "358", "-1", "99", "x", "184467440737095516150"]
        }
        "tms" | "tileMatrixSetId" => &["WebMercatorQuad", "WebMercatorQuad", "WorldCRS84Quad", "x"],
        "resource" => {
            &["Aggregats('x')", "Zones('secteurs.S03')", "Zones", "Aggregats(", "Aggregats%28%27%27%29", "x", "$count"]
        }
        "part" => &["$count", "effectif", "effectif/$value", "$ref", "x"],
        "file" => &[
            "secteurs.csv",
            "secteurs.xlsx",
            "secteurs.gpkg",
            "secteurs.fgb",
            "secteurs.parquet",
            "secteurs.shp.zip",
            "tableaux.csv",
            "tableaux.parquet",
            "secteurs@0123456789abcdef.csv",
            "iris.csv",
            "secteurs.exe",
            ".csv",
            "..",
        ],
        _ => &["0123456789abcdef", "secteurs", "2024", "1", "", "x", "%2e%2e", "'", "csv"],
    }
}

/// Parameters of every face, and values that some of them take.
const NAMES: &[&str] = &[
    "f",
    "limit",
    "offset",
    "bbox",
    "bbox-crs",
    "crs",
    "datetime",
    "properties",
    "skipGeometry",
    "millesime",
    "naf",
    "tranche",
    "source",
    "precision",
    "simplify",
    "filter",
    "filter-lang",
    "filter-crs",
    "quantization",
    "$filter",
    "$select",
    "$orderby",
    "$top",
    "$skip",
    "$count",
    "$search",
    "$apply",
    "$expand",
    "$skiptoken",
    "$format",
    "%24filter",
    "dialecte",
    "limite",
    "q",
    "",
];
const VALUES: &[&str] = &[
    "json",
    "html",
    "csv",
    "topojson",
    "tilejson",
    "mvt",
    "xlsx",
    "gpkg",
    "parquet",
    "fgb",
    "shp",
    "jsonld",
    "xml",
    "0",
    "1",
    "2",
    "3",
    "10",
    "10000",
    "99999999999999999999",
    "-1",
    "1e9",
    "NaN",
    "true",
    "false",
    "2023",
    "2024",
    "1999",
    "G",
    "C",
    "47",
    "10",
    "Z",
    "total",
    "msa",
    "urssaf",
    "insee",
    "5,47,6,48",
    "5,47,0,6,48,100",
    "170,47,-170,48",
    "1,2,3",
    "850000,6680000,860000,6700000",
    "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    "http://www.opengis.net/def/crs/EPSG/0/2154",
    "http://www.opengis.net/def/crs/EPSG/0/4326",
    "http://www.opengis.net/def/crs/EPSG/0/3857",
    "http://www.opengis.net/def/crs/EPSG/0/9999",
    "2024-12-31",
    "../2023-12-31",
    "2024-13-01",
    "../..",
    "code,effectif",
    "effectif",
    "etablissements",
    "code",
    "siret",
    "effectif%3E0",
    "effectif+%3E+1000+OR+effectif+%3C%3D+1000",
    "NOT+effectif+%3D+0",
    "code+IN+(%27S01%27,%27S03%27)",
    "effectif+IS+NULL",
    "effectif%20gt%200",
    "not(effectif%20le%20900000)",
    "effectif%20eq%20null",
    "contains(libelle,%27a%27)",
    "effectif%20desc",
    "code%20asc,effectif%20desc",
    "cql2-text",
    "odata",
    "excel-fr",
    "(((((",
    "%27%3B--",
    "%FF",
    "%00",
    "%F0%9F%92%A9",
    "",
];
const HEADERS: &[(&str, &[&str])] = &[
    ("accept", &["text/html", "application/json", "text/csv", "*/*", "application/geo+json;q=0", "image/png", ",,;q="]),
    ("range", &["bytes=0-9", "bytes=-5", "bytes=99999999-", "bytes=x"]),
    ("if-none-match", &["*", "\"x\"", "W/\"x\"", "\"", "é"]),
    ("host", &["emploi.test", "x\"><script>", "[::1]:80"]),
    ("prefer", &["odata.maxpagesize=2", "respond-async", "odata.maxpagesize=-1"]),
    ("odata-maxversion", &["4.0", "3.0", "x"]),
    ("x-forwarded-proto", &["https", "javascript"]),
    ("forwarded", &["for=6.6.6.6;host=other.test;proto=https"]),
];

#[tokio::test]
async fn whatever_is_asked_no_answer_holds_a_figure_that_is_not_published() {
    let planted = Planted::new();
    let shelf = Shelf::new();
    shelf.put(planted.release.clone());
    let house = router(shelf, Site::default());
    let mut dice = Pcg64Mcg::seed_from_u64(6);
    let mut contract = Contract::new();
    let mut statuses: BTreeMap<(&str, u16), usize> = BTreeMap::new();
    for (route, _) in routes() {
        for _ in 0..QUESTIONS {
            let (path, headers) = question(route, &mut dice);
            let Ok(request) = build(&path, &headers) else { continue };
            let (status, told, body) = answer(&house, request).await;
            let place = format!("{path} {headers:?}");
            assert!(!status.is_server_error(), "{place}: {status}");
            planted.judge(&told, &body, &place);
            if let Some(fault) = contract.fault(route, status, &told, &body) {
                panic!("{place}: {status}: {fault}");
            }
            *statuses.entry((route, status.as_u16())).or_default() += 1;
        }
        // Whatever names a row has, nobody finds it by chance.
        let found = route == "/odata/{resource}" || statuses.contains_key(&(route, 200));
        assert!(found, "{route} was never asked rightly: {statuses:?}");
    }
    let refused: usize = statuses.iter().filter(|((_, status), _)| (400..500).contains(status)).map(|(_, n)| n).sum();
    assert!(refused > QUESTIONS, "{statuses:?}");
}

/// The contract, and the judges of its schemas, made once each.
struct Contract {
    whole: Value,
    judges: BTreeMap<(String, u16, String), jsonschema::Validator>,
}

impl Contract {
    fn new() -> Self {
        Self { whole: serde_yaml_ng::from_str(include_str!("../../openapi.yaml")).unwrap(), judges: BTreeMap::new() }
    }

    /// What of an answer the contract does not say.
    fn fault(&mut self, route: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let status = status.as_u16();
        let mut response = &self.whole["paths"][route]["get"]["responses"][status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            response = self.whole.pointer(reference.trim_start_matches('#'))?;
        }
        if response.is_null() {
            return Some("a status that the contract does not have".to_owned());
        }
        let Some(contents) = response["content"].as_object() else {
            return (!body.is_empty()).then(|| "a body where the contract has none".to_owned());
        };
        let media = headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
        let named = contents.iter().find(|(name, _)| {
            *name == media || media.split(';').next() == Some(name.as_str()) || name.split(';').next() == Some(media)
        });
        // A part is of whatever the whole is.
        if status == 206 && contents.contains_key("*/*") {
            return None;
        }
        let Some((_, content)) = named else { return Some(format!("`{media}`, which the contract does not have")) };
        if !media.contains("json") {
            return None;
        }
        let judge = self.judges.entry((route.to_owned(), status, media.to_owned())).or_insert_with(|| {
            let mut schema = content["schema"].clone();
            schema["components"] = self.whole["components"].clone();
            jsonschema::validator_for(&schema).unwrap()
        });
        let json: Value = match serde_json::from_slice(body) {
            Ok(json) => json,
            Err(fault) => return Some(format!("no JSON: {fault}")),
        };
        judge.iter_errors(&json).next().map(|fault| format!("{}: {fault}", fault.instance_path()))
    }
}

/// The judge of the test above finds what it looks for.
#[test]
fn a_leak_is_seen_in_every_form() {
    let planted = Planted::new();
    let raw = *planted.withheld.first().unwrap();
    let shown = *planted.published.iter().max().unwrap();
    let spaced = |n: u64| {
        let digits = n.to_string();
        let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
        groups.join("\u{202f}")
    };
    let json =
        |n: u64| format!("{{\"features\":[{{\"properties\":{{\"effectif\":{n},\"effectif_statut\":\"ok\"}}}}]}}");
    let csv = |n: u64| format!("code,effectif,etablissements\r\nS01,{n},\r\n");
    for (media, leak, sound) in [
        ("application/geo+json", json(raw), json(shown)),
        ("application/geo+json", json(shown + 1), json(shown)),
        ("text/csv; charset=utf-8", csv(raw), csv(shown)),
        ("text/csv; charset=utf-8", csv(shown + 1), csv(shown)),
        ("text/html; charset=utf-8", format!("<td>{}</td>", spaced(raw)), format!("<td>{}</td>", spaced(shown))),
        ("application/problem+json", format!("{{\"found\":\"{raw}\"}}"), format!("{{\"found\":\"{shown}\"}}")),
    ] {
        let headers = HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, media.parse().unwrap())]);
        assert!(planted.leak(&headers, leak.as_bytes()).is_some(), "{media}: {leak}");
        assert_eq!(planted.leak(&headers, sound.as_bytes()), None, "{media}: {sound}");
    }
    for bytes in [raw.to_le_bytes().to_vec(), (raw as f64).to_le_bytes().to_vec(), (raw as f64).to_be_bytes().to_vec()]
    {
        let body = [&[1, 2, 3][..], &bytes, &[4]].concat();
        assert!(planted.leak(&HeaderMap::new(), &body).is_some(), "{bytes:?}");
    }
}

/// The same for files, packed ones too: those of other records show figures that this release does not hold.
#[tokio::test]
async fn a_leak_is_seen_in_every_file() {
    let planted = Planted::new();
    let other = protected(SPEC, &COLUMNS, &records(55));
    for (release, leaks) in [(planted.release.clone(), false), (release([(2024, other)].into()), true)] {
        let shelf = Shelf::new();
        shelf.put(release);
        let house = router(shelf, Site::default());
        let files = FileFormat::OF_ZONES.map(|format| format!("/telechargements/secteurs.{}", format.extension()));
        for path in files.into_iter().chain([
            "/telechargements/tableaux.parquet".to_owned(),
            "/collections/secteurs/tiles/WebMercatorQuad/10/358/526".to_owned(),
        ]) {
            let (status, headers, body) = answer(&house, build(&path, &[]).unwrap()).await;
            assert_eq!((status, body.is_empty()), (StatusCode::OK, false), "{path}");
            assert_eq!(planted.leak(&headers, &body).is_some(), leaks, "{path}");
        }
    }
}

/// S02 and S03 are withheld in both: one by a rule, the other to protect it, each in its turn.
///
/// Both releases are the same bytes once they are sealed, and the service serves what it opened from such bytes: whatever
/// it does with them, in whatever time, it cannot do by a reason that is not in them. So nothing is timed here.
#[tokio::test]
async fn nothing_tells_a_cell_withheld_by_a_rule_from_one_withheld_to_protect_it() {
    let house = |few: &str, many: &str| {
        let tables = alike(few, many);
        let withheld: Vec<String> = tables
            .iter()
            .flat_map(|table| table.cells().filter(|(_, cell)| matches!(cell, Cell::Suppressed)).collect::<Vec<_>>())
            .map(|(at, _)| format!("{at:?}"))
            .collect();
        assert_eq!(withheld.len(), 2, "{few}: {withheld:?}");
        let release = release([(2024, tables)].into());
        let sealed = seal(&release);
        let shelf = Shelf::new();
        shelf.put(release);
        (router(shelf, Site::default()), withheld, sealed)
    };
    let ((one, withheld, sealed), (other, same, alike)) = (house("S02", "S03"), house("S03", "S02"));
    assert_eq!(withheld, same);
    assert!(sealed == alike, "a release says why a cell is withheld");
    let mut dice = Pcg64Mcg::seed_from_u64(7);
    for (route, _) in routes().iter().filter(|(route, _)| *route != "/metrics") {
        for _ in 0..QUESTIONS / 5 {
            let (path, headers) = question(route, &mut dice);
            let (Ok(a), Ok(b)) = (build(&path, &headers), build(&path, &headers)) else { continue };
            let (mut a, mut b) = (answer(&one, a).await, answer(&other, b).await);
            for headers in [&mut a.1, &mut b.1] {
                headers.remove("x-request-id");
            }
            assert_eq!(a, b, "{path} {headers:?}");
        }
    }
}

/// A path of a route and headers, well chosen or not.
fn question(route: &str, dice: &mut impl Rng) -> (String, Vec<(&'static str, &'static str)>) {
    let mut path = String::new();
    for (i, piece) in route.split(['{', '}']).enumerate() {
        // The first ones are real: half of all questions get past the path.
        let from = if i % 2 == 0 { &[][..] } else { parts(piece) };
        match from.is_empty() {
            true => path.push_str(piece),
            false => path.push_str(from[if dice.random_bool(0.4) { 0 } else { dice.random_range(0..from.len()) }]),
        }
    }
    let parameters = [0, 0, 1, 1, 1, 2, 2, 3, 5][dice.random_range(0..9)];
    for i in 0..parameters {
        let (name, value) = (pick(NAMES, dice), pick(VALUES, dice));
        path.push_str(&format!("{}{name}={value}", if i == 0 { '?' } else { '&' }));
    }
    let headers = HEADERS.iter().filter(|_| dice.random_bool(0.1)).collect::<Vec<_>>();
    let headers = headers.into_iter().map(|(name, values)| (*name, pick(values, dice))).collect();
    (path, headers)
}

fn pick(from: &[&'static str], dice: &mut impl Rng) -> &'static str {
    from[dice.random_range(0..from.len())]
}

fn build(path: &str, headers: &[(&'static str, &'static str)]) -> Result<Request<Body>, axum::http::Error> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty())
}

async fn answer(house: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let answer = house.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
}

/// A release whose raw figures are known, and large enough not to be met by chance.
struct Planted {
    release: Release,
    published: BTreeSet<u64>,
    /// Headcounts that the records have and the release has not.
    withheld: BTreeSet<u64>,
}

/// Enterprises of each sector: some cells break the rule, and each needs another.
const ENTERPRISES: [(&str, u64); 5] = [("S01", 9), ("S02", 8), ("S03", 2), ("S04", 7), ("S05", 5)];

/// The columns of those records.
const COLUMNS: [&str; 4] = ["secteurs", "naf_section", "naf_division", "source"];

/// An establishment of each enterprise, and its headcount.
fn records(seed: u64) -> Vec<([&'static str; 4], u64)> {
    let mut dice = Pcg64Mcg::seed_from_u64(seed);
    let mut records = Vec::new();
    for (sector, n) in ENTERPRISES {
        for i in 0..n {
            let (section, division) = [("G", "47"), ("C", "10"), ("C", "25")][(i % 3) as usize];
            let source = if i % 4 == 0 { "msa" } else { "urssaf" };
            records.push(([sector, section, division, source], dice.random_range(1_000_000..3_000_000)));
        }
    }
    records
}

impl Planted {
    /// Protecting takes longer than answering, so the tests share one.
    fn new() -> &'static Self {
        static PLANTED: LazyLock<Planted> = LazyLock::new(|| {
            let records = records(5);
            let tables = protected(SPEC, &COLUMNS, &records);
            let cells = tables.iter().flat_map(|table| table.cells().map(|(_, cell)| cell).collect::<Vec<_>>());
            let mut published = BTreeSet::from([0]);
            for cell in cells {
                if let Cell::Open { establishments, headcount } = cell {
                    published.extend([establishments, headcount]);
                }
            }
            // Every sum that a face could be made to add: by any of its dimensions together.
            let mut raw: BTreeMap<[Option<&str>; 4], u64> = BTreeMap::new();
            for (codes, weight) in &records {
                for mask in 0..16_usize {
                    let kept = std::array::from_fn(|d| (mask >> d & 1 == 1).then_some(codes[d]));
                    *raw.entry(kept).or_default() += weight;
                }
            }
            let withheld: BTreeSet<u64> = raw.into_values().filter(|sum| !published.contains(sum)).collect();
            assert!(withheld.len() > 20 && published.len() > 20);
            Planted { release: release([(2024, tables)].into()), published, withheld }
        });
        &PLANTED
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8], place: &str) {
        if let Some(leak) = self.leak(headers, body) {
            panic!("{place}: {leak}");
        }
    }

    /// The same of a document or of the zones of a tile.
    fn leak_of(&self, json: &Value) -> Option<String> {
        let known = |n: u64| self.published.contains(&n);
        figures(json).into_iter().find(|n| !n.as_u64().is_some_and(known)).map(|n| format!("a figure: {n}"))
    }

    /// The same of a file, opened as its readers open it: each row, and each text that a zip holds.
    fn leak_of_file(&self, format: FileFormat, body: &[u8]) -> Option<String> {
        let rows = downloads::tests::read(format, body);
        assert!(!rows.is_empty(), "a file without a row shows nothing to anybody");
        let mut shown = rows.iter().flat_map(|row| FIGURES.map(|name| &row[name])).filter(|figure| !figure.is_empty());
        let strange = shown.find(|figure| !figure.parse().is_ok_and(|n: u64| self.published.contains(&n)));
        if let Some(figure) = strange {
            return Some(format!("a figure: {figure}"));
        }
        let zipped = matches!(format, FileFormat::Xlsx | FileFormat::Shapefile);
        let entries = if zipped { unzipped(body) } else { vec![body.to_vec()] };
        let hidden = |entry: &Vec<u8>| {
            let text = String::from_utf8_lossy(entry);
            let written = numbers(&text).find(|n| self.withheld.contains(n));
            written.or_else(|| self.withheld.iter().copied().find(|n| in_bytes(entry, *n)))
        };
        entries.iter().find_map(hidden).map(|n| format!("a figure in bytes: {n}"))
    }

    /// What an answer shows that it may not.
    fn leak(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let media = headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
        let head = headers.values().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join("\n");
        let text = std::str::from_utf8(body).ok();
        let known = |n: u64| self.published.contains(&n);
        let whole = !body.is_empty() && !headers.contains_key("content-range");
        if whole && media == tiles::view::MVT {
            let zones = tiles::tests::read(body);
            let properties: Value = zones.into_values().map(|zone| Value::Object(zone.properties)).collect();
            return self.leak_of(&properties);
        }
        // CSV is looked at as it is written, in both of its dialects.
        let of_file = FileFormat::OF_ZONES.into_iter().find(|f| *f != FileFormat::Csv && f.media() == media);
        if let Some(format) = of_file.filter(|_| whole) {
            return self.leak_of_file(format, body);
        }
        if let Some(n) = numbers(&head).chain(numbers(text.unwrap_or_default())).find(|n| self.withheld.contains(n)) {
            return Some(format!("a figure that is withheld: {n}"));
        }
        match text {
            // The examples of the contract are figures of nobody.
            Some(_) if media.contains("openapi") => None,
            Some(text) if media.contains("json") && !text.is_empty() => {
                // A page cut by a range is no JSON; its numbers were looked at above.
                self.leak_of(&serde_json::from_str(text).ok()?)
            }
            Some(text) if media.starts_with("text/csv") => {
                let delimiter = if text.lines().next().unwrap_or_default().contains(';') { b';' } else { b',' };
                let text = text.trim_start_matches('\u{feff}');
                let mut reader =
                    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
                let columns: Vec<usize> = reader
                    .headers()
                    .ok()?
                    .iter()
                    .enumerate()
                    .filter(|(_, name)| FIGURES.contains(name))
                    .map(|(i, _)| i)
                    .collect();
                let rows = reader.into_records().filter_map(Result::ok);
                rows.flat_map(|row| columns.iter().filter_map(|i| row.get(*i).map(str::to_owned)).collect::<Vec<_>>())
                    .find(|cell| !cell.is_empty() && !cell.parse().is_ok_and(known))
                    .map(|cell| format!("a figure: {cell}"))
            }
            _ => self.withheld.iter().find(|n| in_bytes(body, **n)).map(|n| format!("a figure in bytes: {n}")),
        }
    }
}

/// The files within a zip, whether packed or not.
fn unzipped(body: &[u8]) -> Vec<Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(body)).unwrap();
    let count = zip.len();
    let entry = |at| {
        let mut bytes = Vec::new();
        zip.by_index(at).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    (0..count).map(entry).collect()
}

/// Values of the properties that are figures, wherever they lie; a withheld one is null.
fn figures(json: &Value) -> Vec<&Value> {
    match json {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match FIGURES.contains(&name.as_str()) && !value.is_object() {
                true => vec![value].into_iter().filter(|value| value.is_number()).collect(),
                false => figures(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(figures).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Every whole number of a text, with or without the spaces by which French groups digits.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    let grouped = text.replace(['\u{202f}', '\u{a0}'], "").replace("&nbsp;", "");
    let all =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect::<Vec<u64>>();
    [all(text), all(&grouped)].concat().into_iter()
}

/// Whether bytes hold a number as a binary format writes it.
fn in_bytes(body: &[u8], n: u64) -> bool {
    let float = n as f64;
    let forms = [n.to_le_bytes(), n.to_be_bytes(), float.to_le_bytes(), float.to_be_bytes()];
    forms.iter().any(|form| body.windows(form.len()).any(|window| window == form))
}

/// Records as protected tables; the columns have these names.
fn protected<const N: usize>(spec: &str, names: &[&str; N], records: &[([&str; N], u64)]) -> ProtectedTables {
    let spec = Spec::parse(spec).unwrap();
    let ids: Vec<String> = (0..records.len()).map(|i| format!("E{i:03}")).collect();
    let column = |d: usize| records.iter().map(|(codes, _)| Some(codes[d].to_owned())).collect::<Vec<_>>();
    let columns = names.iter().enumerate().map(|(d, name)| Column::of(name, &column(d))).collect();
    let weights = records.iter().map(|record| record.1).collect();
    let micro = Microdata::new(ids.clone(), &ids, weights, columns);
    protect(&tabulate(&micro, &spec).unwrap(), &spec.rules, &spec.protection, &[]).unwrap().0
}

/// Sectors where `few` has two enterprises and `many` eight, so that what is published is the same either way.
fn alike(few: &str, many: &str) -> ProtectedTables {
    const ONE_TABLE: &str = r#"
        contributor = "siren"
        weight = "headcount"
        [rules]
        min_contributors = 3
        [dimensions.secteurs]
        levels = ["secteurs"]
        [[tables]]
        name = "secteurs"
        dimensions = ["secteurs"]
    "#;
    let sectors = [(few, 2, 500), (many, 8, 500), ("S01", 9, 5000), ("S04", 9, 6000), ("S05", 9, 7000)];
    let records: Vec<([&str; 1], u64)> =
        sectors.iter().flat_map(|(sector, n, weight)| (0..*n).map(|_| ([*sector], *weight))).collect();
    protected(ONE_TABLE, &["secteurs"], &records)
}

fn release(vintages: BTreeMap<u16, ProtectedTables>) -> Release {
    let square = |i: usize| {
        let (x, y) = (5.0 + 0.01 * i as f64, 47.3);
        let ring = vec![(x, y), (x + 0.01, y), (x + 0.01, y + 0.01), (x, y + 0.01), (x, y)];
        Wgs84::vouch(geo::MultiPolygon(vec![geo::Polygon::new(ring.into(), vec![])]))
    };
    let zones = (0..6).map(|i| ReleasedZone {
        code: format!("S{:02}", i + 1).parse().unwrap(),
        label: format!("Secteur {}", ["a", "b", "c", "d", "e", "f"][i]),
        contour: square(i),
    });
    Release {
        id: ReleaseId::from_digest("0123456789abcdef0123"),
        zonings: vec![ReleasedZoning {
            id: "secteurs".into(),
            title: "Secteurs d'emploi".into(),
            version: "2025".into(),
            zones: zones.collect(),
        }],
        vintages,
        provenance: Provenance {
            source: "Urssaf et MSA".into(),
            updated: "2026-03-01T00:00:00Z".into(),
            licence: "Licence Ouverte 2.0".into(),
            notice: "Données fictives.".into(),
            policy: "00".into(),
            policy_version: "1".to_owned(),
            inputs: BTreeMap::new(),
            arpent: "0.1.0".into(),
        },
    }
}
