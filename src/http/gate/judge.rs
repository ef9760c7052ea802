//! Who looks at answers: it knows every record, every figure published, and at which cell each of them is.

use super::super::downloads::{self, FileFormat};
use super::super::tests::SPEC;
use super::super::tiles;
use super::{FIGURES, protected, release};
use crate::steps::publish::Release;
use crate::steps::secrecy::{Cell, Coordinate, ProtectedTables};
use axum::http::HeaderMap;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::LazyLock;

/// What every headcount but zero is above: no coordinate, count, year or length of a file is, and SQLite writes it in
/// four bytes.
pub const HEADCOUNT_MIN: u64 = 1 << 24;

/// A zone, an activity and a source, each a code or a total.
type Place = [String; 3];

/// A release whose raw figures are known, and large enough not to be met by chance.
pub struct Planted {
    /// What is served.
    pub release: Release,
    /// Every figure it holds.
    pub published: BTreeSet<u64>,
    /// Headcounts that the records have and the release has not.
    pub withheld: BTreeSet<u64>,
    /// What it says of each of its cells: headcount and establishments, or nothing.
    cells: BTreeMap<Place, Option<[u64; 2]>>,
}

/// Enterprises of each sector: some cells break the rule, and each needs another.
const ENTERPRISES: [(&str, u64); 5] = [("S01", 9), ("S02", 8), ("S03", 2), ("S04", 7), ("S05", 5)];

/// The columns of those records.
pub const COLUMNS: [&str; 4] = ["secteurs", "naf_section", "naf_division", "source"];

/// An establishment of each enterprise, and its headcount.
pub fn records(seed: u64) -> Vec<([&'static str; 4], u64)> {
    let mut dice = Pcg64Mcg::seed_from_u64(seed);
    let mut records = Vec::new();
    for (sector, n) in ENTERPRISES {
        for i in 0..n {
            let (section, division) = [("G", "47"), ("C", "10"), ("C", "25")][(i % 3) as usize];
            let source = if i % 4 == 0 { "msa" } else { "urssaf" };
            records
                .push(([sector, section, division, source], dice.random_range(HEADCOUNT_MIN + 1..3 * HEADCOUNT_MIN)));
        }
    }
    records
}

impl Planted {
    /// Protecting takes longer than answering, so the tests share one.
    pub fn new() -> &'static Self {
        static PLANTED: LazyLock<Planted> = LazyLock::new(|| {
            let records = records(5);
            let tables = protected(SPEC, &COLUMNS, &records);
            let cells = cells(&tables);
            let mut published = BTreeSet::from([0]);
            published.extend(cells.values().flatten().flatten());
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
            assert!(withheld.iter().all(|sum| *sum > HEADCOUNT_MIN));
            Planted { release: release([(2024, tables)].into()), published, withheld, cells }
        });
        &PLANTED
    }

    /// Fails where an answer shows what it may not.
    pub fn judge(&self, path: &str, headers: &HeaderMap, body: &[u8], place: &str) {
        if let Some(leak) = self.leak(path, headers, body) {
            panic!("{place}: {leak}");
        }
    }

    /// What an answer shows that it may not.
    pub fn leak(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let media = headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
        let whole = !body.is_empty() && !headers.contains_key("content-range");
        let head = headers.values().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join("\n");
        if let Some(n) = numbers(&head).find(|n| self.withheld.contains(n)) {
            return Some(format!("a figure that is withheld, in a header: {n}"));
        }
        let asked = Asked(path);
        if whole && media == tiles::view::MVT {
            let zones = tiles::tests::read(body);
            return zones.into_values().find_map(|zone| self.leak_of_row(&texts(&zone.properties), &asked));
        }
        // CSV is looked at as it is written, in both of its dialects.
        let of_file = FileFormat::OF_ZONES.into_iter().find(|f| *f != FileFormat::Csv && f.media() == media);
        if let Some(format) = of_file.filter(|_| whole) {
            return self.leak_of_file(format, body, &asked);
        }
        let Ok(text) = std::str::from_utf8(body) else {
            return self.withheld.iter().find(|n| in_bytes(body, **n)).map(|n| format!("a figure in bytes: {n}"));
        };
        if let Some(n) = numbers(text).find(|n| self.withheld.contains(n)) {
            return Some(format!("a figure that is withheld: {n}"));
        }
        // The examples of the contract are figures of nobody.
        if media.contains("openapi") || !whole {
            return None;
        }
        // What the operator counts is nobody's.
        let counts = path.starts_with("/metrics");
        let strange = |n: &u64| *n > HEADCOUNT_MIN && !counts && !self.published.contains(n);
        if let Some(n) = whole_numbers(text).find(strange) {
            return Some(format!("a figure that nobody published: {n}"));
        }
        if media.contains("json") {
            return self.leak_of_json(&serde_json::from_str(text).ok()?, &asked);
        }
        if media.starts_with("text/csv") {
            let delimiter = if text.lines().next().unwrap_or_default().contains(';') { b';' } else { b',' };
            let text = text.trim_start_matches('\u{feff}');
            let reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
            let mut rows = reader.into_deserialize::<BTreeMap<String, String>>().filter_map(Result::ok);
            return rows.find_map(|row| self.leak_of_row(&row, &asked));
        }
        if media.starts_with("text/html") { self.leak_of_page(text, &asked) } else { None }
    }

    /// What a document shows that it may not.
    fn leak_of_json(&self, json: &Value, asked: &Asked<'_>) -> Option<String> {
        match json {
            Value::Object(members) => {
                let is_row = FIGURES
                    .iter()
                    .any(|name| members.get(*name).is_some_and(|value| value.is_number() || value.is_null()));
                let mut row = if is_row { texts(members) } else { BTreeMap::new() };
                // A feature is named beside its properties.
                if let (Some(id), Some(Value::Object(properties))) = (members.get("id"), members.get("properties")) {
                    row = texts(properties);
                    row.entry("code".to_owned()).or_insert(text(id));
                }
                let own = if row.is_empty() { None } else { self.leak_of_row(&row, asked) };
                own.or_else(|| members.values().find_map(|value| self.leak_of_json(value, asked)))
            }
            Value::Array(items) => items.iter().find_map(|item| self.leak_of_json(item, asked)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// What a row shows that it may not: another figure than that of its cell, or one of no cell. A row that does not say
    /// where it lies may show what is published anywhere.
    fn leak_of_row(&self, row: &BTreeMap<String, String>, asked: &Asked<'_>) -> Option<String> {
        let cell = self.cell_of(row, asked);
        for (at, name) in FIGURES.into_iter().enumerate() {
            let Some(shown) = row.get(name) else { continue };
            let status = row.get(&format!("{name}_statut")).map(String::as_str);
            let (figure, said) = match &cell {
                Some(cell) => {
                    (cell.map_or(String::new(), |c| c[at].to_string()), if cell.is_some() { "ok" } else { "secret" })
                }
                None if shown.is_empty() => (String::new(), "secret"),
                None if shown.parse().is_ok_and(|n: u64| self.published.contains(&n)) => (shown.clone(), "ok"),
                None => return Some(format!("a figure: {shown}")),
            };
            if *shown != figure || status.is_some_and(|status| status != said) {
                return Some(format!("{name} {shown:?} ({status:?}) where {figure:?} is published: {row:?}"));
            }
        }
        let mut all = row.values().flat_map(|value| numbers(value).collect::<Vec<_>>());
        all.find(|n| self.withheld.contains(n)).map(|n| format!("a figure that is withheld: {n}"))
    }

    /// The cell that a row is of; `None` where nobody says which.
    fn cell_of(&self, row: &BTreeMap<String, String>, asked: &Asked<'_>) -> Option<Option<[u64; 2]>> {
        let of_a_release = row.get("millesime").is_none_or(|year| year == "2024") && !asked.chooses_no_vintage();
        let zone = row.get("code").or_else(|| row.get("zone")).filter(|_| of_a_release)?;
        let code = |column: &str, parameter: &str| row.get(column).cloned().or_else(|| asked.chosen(parameter));
        Some(self.cell(zone, &code("naf", "naf")?, &code("source_donnees", "source")?))
    }

    /// What is published of a cell; where nobody is, that is zero.
    pub fn cell(&self, zone: &str, naf: &str, source: &str) -> Option<[u64; 2]> {
        self.cells.get(&[zone, naf, source].map(str::to_owned)).copied().unwrap_or(Some([0, 0]))
    }

    /// What a page for people shows that it may not: in the row of a zone, or as the figures of one.
    fn leak_of_page(&self, page: &str, asked: &Asked<'_>) -> Option<String> {
        let (Some(naf), Some(source)) = (asked.chosen("naf"), asked.chosen("source")) else { return None };
        if !asked.0.contains("/items") || asked.chooses_no_vintage() {
            return None;
        }
        let between = |text: &str, from: &str, to: &str| -> Vec<String> {
            text.split(from).skip(1).filter_map(|rest| rest.split(to).next().map(plain)).collect()
        };
        let mut shown: Vec<(String, Vec<String>)> = Vec::new();
        for row in page.split("<tr>").skip(1).filter(|row| row.contains("<th scope=\"row\">")) {
            let zone = between(row, "<td>", "</td>").into_iter().next().unwrap_or_default();
            shown.push((zone, between(row, "<td class=\"n\">", "</td>")));
        }
        if let Some(zone) = asked.zone().filter(|_| page.contains("<p class=\"big\">")) {
            let figures =
                between(page, "<p class=\"big\">", "</p>").into_iter().filter(|words| words != "Secret statistique");
            shown.push((zone.to_owned(), figures.collect()));
        }
        shown.into_iter().find_map(|(zone, shown)| {
            let published =
                self.cell(&zone, &naf, &source).map_or(Vec::new(), |cell| cell.map(|n| n.to_string()).to_vec());
            (shown != published).then(|| format!("{zone}: {shown:?} where {published:?} is published"))
        })
    }

    /// What a file shows that it may not, opened as its readers open it: each row, and each text that a zip holds.
    fn leak_of_file(&self, format: FileFormat, body: &[u8], asked: &Asked<'_>) -> Option<String> {
        let rows = downloads::tests::read(format, body);
        assert!(!rows.is_empty(), "a file without a row shows nothing to anybody");
        if let Some(leak) = rows.iter().find_map(|row| self.leak_of_row(row, asked)) {
            return Some(leak);
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
}

/// What was asked, by path and query.
struct Asked<'p>(&'p str);

impl Asked<'_> {
    /// The code that a parameter chooses, a total without it; `None` where rows say it themselves or nobody can tell.
    fn chosen(&self, name: &str) -> Option<String> {
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        let values: Vec<&str> =
            query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).collect();
        match (&values[..], self.0.starts_with("/odata") || self.0.contains('%')) {
            ([] | [""], false) => Some("total".to_owned()),
            ([code], false) => Some((*code).to_owned()),
            _ => None,
        }
    }

    /// Whether it may choose years of which nothing is said.
    fn chooses_no_vintage(&self) -> bool {
        self.0.contains("datetime=")
    }

    /// The zone whose own page this is.
    fn zone(&self) -> Option<&str> {
        self.0.split('?').next()?.split_once("/items/").map(|(_, zone)| zone)
    }
}

/// What the tables say of each cell.
fn cells(tables: &ProtectedTables) -> BTreeMap<Place, Option<[u64; 2]>> {
    let mut cells = BTreeMap::new();
    for table in tables.iter() {
        for (at, cell) in table.cells() {
            let code = |name: &str| {
                let at = table.dimensions.iter().position(|d| d.name == name).map(|d| &at[d]);
                match at {
                    Some(Coordinate::Code { code, .. }) => code.to_string(),
                    _ => "total".to_owned(),
                }
            };
            let figures = match cell {
                Cell::Open { establishments, headcount } => Some([headcount, establishments]),
                Cell::Suppressed => None,
            };
            cells.insert([code("secteurs"), code("naf"), code("source")], figures);
        }
    }
    cells
}

/// Members as texts, as the files have them.
fn texts(members: &serde_json::Map<String, Value>) -> BTreeMap<String, String> {
    members.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text of a page as it was before it was written for people.
fn plain(html: &str) -> String {
    html.replace(['\u{202f}', '\u{a0}'], "").replace("&nbsp;", "").trim().to_owned()
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

/// Every whole number of a text, with or without the spaces by which French groups digits.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    let all =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect::<Vec<u64>>();
    [all(text), all(&plain(text))].concat().into_iter()
}

/// Numbers that stand for themselves: of no name, digest, date or number with decimals.
fn whole_numbers(text: &str) -> impl Iterator<Item = u64> {
    let text = plain(text);
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "._-+%".contains(c);
    text.split(|c: char| !of_a_word(c)).filter_map(|word| word.parse().ok()).collect::<Vec<u64>>().into_iter()
}

/// Whether bytes hold a number as a binary format writes it.
fn in_bytes(body: &[u8], n: u64) -> bool {
    let float = n as f64;
    let wide = [n.to_le_bytes(), n.to_be_bytes(), float.to_le_bytes(), float.to_be_bytes()];
    let narrow = u32::try_from(n).ok().map(|n| [n.to_le_bytes(), n.to_be_bytes()]);
    wide.iter().any(|form| body.windows(form.len()).any(|window| window == form))
        || narrow.iter().flatten().any(|form| body.windows(form.len()).any(|window| window == form))
}
