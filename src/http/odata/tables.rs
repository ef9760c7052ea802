//! What the sets hold: the cells of releases as rows, the zones, the publications. Nothing is summed here.

use super::edm::{Cell, Column, Edm, Table, column, nullable};
use crate::http::filter::Value;
use crate::http::ogc::query::meaning;
use crate::http::ogc::view;
use crate::http::state::{OnShelf, Shelved};
use crate::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use crate::steps::secrecy::{self, Coordinate, ProtectedTable};
use chrono::{DateTime, SubsecRound, Utc};
use geo::{Area, BoundingRect, MultiPolygon};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;

/// The code of a total, as on the other faces.
const TOTAL: &str = "total";

/// The name of a total, for people.
const ALL: &str = "Ensemble";

/// A degree has a hundred thousand of these: about a metre, which a map in a report does not show.
const WKT_STEPS_A_DEGREE: f64 = 1e5;

/// The cells of one release, in the order of their names; made once a release.
pub struct Rows {
    names: String,
    rows: Vec<Row>,
    zones: Vec<ZoneWords>,
    codes: Vec<CodeWords>,
    updated: Option<DateTime<Utc>>,
}

/// One cell: where its name ends among the names, its places among the words, its figures unless it is withheld.
struct Row {
    name_end: u32,
    vintage: u16,
    zone: u32,
    naf: u32,
    tranche: u32,
    source: u32,
    figures: Option<(u64, u64)>,
}

/// A zone, or all of a zoning.
struct ZoneWords {
    id: String,
    zoning: String,
    version: String,
    code: String,
    label: String,
}

/// A code of a dimension, or its total.
struct CodeWords {
    code: String,
    label: String,
    level: &'static str,
}

/// Where a cell lies: vintage, zone and codes by their places among the words.
type Place = (u16, u32, u32, u32, u32);

impl Rows {
    /// The cells of every table of a release, each once, and a zero for each zone where nobody is.
    pub fn of(release: &Release) -> Self {
        let mut words = Words::default();
        let mut cells: BTreeMap<Place, Option<(u64, u64)>> = BTreeMap::new();
        let total = words.code("", TOTAL);
        for zoning in &release.zonings {
            words.zone(zoning, TOTAL, ALL);
            for zone in &zoning.zones {
                words.zone(zoning, zone.code.as_str(), &zone.label);
            }
        }
        for (vintage, tables) in &release.vintages {
            for table in tables.iter() {
                let Some(zoning) = table.dimensions.iter().find_map(|d| release.zoning(&d.name)) else { continue };
                for (at, cell) in table.cells() {
                    let Some(place) = words.place(*vintage, zoning, table, at) else { continue };
                    let figures = match cell {
                        secrecy::Cell::Open { establishments, headcount } => Some((establishments, headcount)),
                        secrecy::Cell::Suppressed => None,
                    };
                    // The same cell stands in several tables and says the same; should it not, it is withheld.
                    let kept = cells.entry(place).or_insert(figures);
                    *kept = kept.and(figures);
                }
                for zone in &zoning.zones {
                    let zone = words.zone(zoning, zone.code.as_str(), &zone.label);
                    cells.entry((*vintage, zone, total, total, total)).or_insert(Some((0, 0)));
                }
            }
        }
        words.arranged(cells, instant(&release.provenance.updated))
    }

    fn name(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].name_end as usize);
        &self.names[start..self.rows[row].name_end as usize]
    }
}

/// Words met, each once.
#[derive(Default)]
struct Words {
    zones: Vec<ZoneWords>,
    zone_places: HashMap<String, u32>,
    codes: Vec<CodeWords>,
    code_places: HashMap<(&'static str, String), u32>,
}

impl Words {
    /// Where a cell lies; `None` when it crosses a dimension that has no column here.
    fn place(
        &mut self,
        vintage: u16,
        zoning: &ReleasedZoning,
        table: &ProtectedTable,
        at: &[Coordinate],
    ) -> Option<Place> {
        let mut zone = (TOTAL, ALL);
        let mut codes = [("", TOTAL); 3];
        for (dimension, coordinate) in table.dimensions.iter().zip(at) {
            let Coordinate::Code { code, .. } = coordinate else { continue };
            match dimension.name.as_str() {
                name if name == zoning.id => zone = (code, code),
                "naf" => codes[0] = ("naf", code),
                "tranche" => codes[1] = ("tranche", code),
                "source" => codes[2] = ("source", code),
                _ => return None,
            }
        }
        let zone = self.zone(zoning, zone.0, zone.1);
        let [naf, tranche, source] = codes.map(|(dimension, code)| self.code(dimension, code));
        Some((vintage, zone, naf, tranche, source))
    }

    /// A zone or the total of a zoning, under the label it was first met with.
    fn zone(&mut self, zoning: &ReleasedZoning, code: &str, label: &str) -> u32 {
        let id = zone_id(&zoning.id, code);
        if let Some(place) = self.zone_places.get(&id) {
            return *place;
        }
        let place = self.zones.len() as u32;
        self.zone_places.insert(id.clone(), place);
        let (zoning, version) = (zoning.id.clone(), zoning.version.clone());
        self.zones.push(ZoneWords { id, zoning, version, code: code.to_owned(), label: label.to_owned() });
        place
    }

    /// A code; the total is one word for all dimensions.
    fn code(&mut self, dimension: &'static str, code: &str) -> u32 {
        let next = self.codes.len() as u32;
        let place = *self.code_places.entry((dimension, code.to_owned())).or_insert(next);
        if place == next {
            let (label, level) = match (dimension, code.len()) {
                ("", _) => (ALL.to_owned(), TOTAL),
                (_, 1) => (meaning(dimension, code), "section"),
                (_, _) => (meaning(dimension, code), "division"),
            };
            self.codes.push(CodeWords { code: code.to_owned(), label, level });
        }
        place
    }

    /// Every cell with its name, in the order of names.
    fn arranged(self, cells: BTreeMap<Place, Option<(u64, u64)>>, updated: Option<DateTime<Utc>>) -> Rows {
        let code = |place: u32| self.codes[place as usize].code.as_str();
        let mut named: Vec<(String, Row)> = cells
            .into_iter()
            .map(|((vintage, zone, naf, tranche, source), figures)| {
                let words = &self.zones[zone as usize];
                let codes = [code(naf), code(tranche), code(source)].join(".");
                let name = format!("{vintage}.{}.{codes}", words.id);
                (name, Row { name_end: 0, vintage, zone, naf, tranche, source, figures })
            })
            .collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        let mut names = String::new();
        let rows = named.into_iter().map(|(name, row)| {
            names.push_str(&name);
            Row { name_end: names.len() as u32, ..row }
        });
        let rows = rows.collect();
        Rows { names, rows, zones: self.zones, codes: self.codes, updated }
    }
}

/// The cells of one release or of several, one after the other.
pub struct Aggregates {
    parts: Vec<Arc<Shelved>>,
    /// Where each part ends.
    ends: Vec<usize>,
}

impl Aggregates {
    /// The cells of these releases, in this order.
    pub fn of(parts: Vec<Arc<Shelved>>) -> Self {
        let lengths = parts.iter().scan(0, |end, part| {
            *end += part.rows().rows.len();
            Some(*end)
        });
        let ends = lengths.collect();
        Self { parts, ends }
    }

    fn at(&self, row: usize) -> (&Rows, &Release, usize) {
        // Most sets are of one part.
        let part = if self.ends.len() == 1 { 0 } else { self.ends.partition_point(|end| *end <= row) };
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.parts[part].rows(), &self.parts[part].release, row - start)
    }

    fn row(&self, row: usize) -> (&Rows, &Row) {
        let (rows, _, row) = self.at(row);
        (rows, &rows.rows[row])
    }

    fn zone(&self, row: usize) -> &ZoneWords {
        let (rows, row) = self.row(row);
        &rows.zones[row.zone as usize]
    }

    fn naf(&self, row: usize) -> &CodeWords {
        let (rows, row) = self.row(row);
        &rows.codes[row.naf as usize]
    }

    fn figures(&self, row: usize) -> Option<(u64, u64)> {
        self.row(row).1.figures
    }

    fn provenance(&self, row: usize) -> &Provenance {
        &self.at(row).1.provenance
    }
}

impl Table for Aggregates {
    fn columns() -> &'static [Column<Self>] {
        const COLUMNS: [Column<Aggregates>; 23] = [
            column("id", Edm::Text, |t, i| {
                let (rows, _, row) = t.at(i);
                text(rows.name(row))
            }),
            column("publication", Edm::Text, |t, i| text(t.at(i).1.id.as_str())),
            column("millesime", Edm::Int32, |t, i| number(f64::from(t.row(i).1.vintage))),
            column("zonage", Edm::Text, |t, i| text(&t.zone(i).zoning)),
            column("perimetre", Edm::Text, |t, i| text(&t.zone(i).version)),
            column("zone_id", Edm::Text, |t, i| text(&t.zone(i).id)),
            column("zone", Edm::Text, |t, i| text(&t.zone(i).code)),
            column("libelle", Edm::Text, |t, i| text(&t.zone(i).label)),
            column("naf", Edm::Text, |t, i| text(&t.naf(i).code)),
            column("naf_niveau", Edm::Text, |t, i| text(t.naf(i).level)),
            column("naf_libelle", Edm::Text, |t, i| text(&t.naf(i).label)),
            column("tranche", Edm::Text, |t, i| {
                let (rows, row) = t.row(i);
                text(&rows.codes[row.tranche as usize].code)
            }),
            column("tranche_libelle", Edm::Text, |t, i| {
                let (rows, row) = t.row(i);
                text(&rows.codes[row.tranche as usize].label)
            }),
            column("source_donnees", Edm::Text, |t, i| {
                let (rows, row) = t.row(i);
                text(&rows.codes[row.source as usize].code)
            }),
            nullable("effectif", Edm::Int64, |t, i| figure(t.figures(i).map(|(_, headcount)| headcount))),
            column("effectif_statut", Edm::Text, |t, i| status(t.figures(i))),
            nullable("etablissements", Edm::Int64, |t, i| {
                figure(t.figures(i).map(|(establishments, _)| establishments))
            }),
            column("etablissements_statut", Edm::Text, |t, i| status(t.figures(i))),
            column("source", Edm::Text, |t, i| text(&t.provenance(i).source)),
            nullable("derniere_mise_a_jour", Edm::DateTime, |t, i| moment(t.row(i).0.updated)),
            nullable("date_maj", Edm::DateTime, |t, i| moment(t.row(i).0.updated)),
            column("licence", Edm::Text, |t, i| text(&t.provenance(i).licence)),
            nullable("notice", Edm::Text, |t, i| filled(&t.provenance(i).notice)),
        ];
        &COLUMNS
    }

    fn rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }
}

/// The zones of a release.
pub struct Zones {
    release: Arc<Release>,
    updated: Option<DateTime<Utc>>,
    /// Names, with the places of the zoning and of the zone.
    rows: Vec<(String, usize, usize)>,
}

impl Zones {
    /// In the order of their names.
    pub fn of(release: Arc<Release>) -> Self {
        let mut rows = Vec::new();
        for (z, zoning) in release.zonings.iter().enumerate() {
            let named = |(i, zone): (usize, &ReleasedZone)| (zone_id(&zoning.id, zone.code.as_str()), z, i);
            rows.extend(zoning.zones.iter().enumerate().map(named));
        }
        rows.sort();
        let updated = instant(&release.provenance.updated);
        Self { release, updated, rows }
    }

    fn zoning(&self, row: usize) -> &ReleasedZoning {
        &self.release.zonings[self.rows[row].1]
    }

    fn zone(&self, row: usize) -> &ReleasedZone {
        &self.zoning(row).zones[self.rows[row].2]
    }

    /// A point within the zone, where a map may put its figure.
    fn point(&self, row: usize) -> Option<(f64, f64)> {
        let (x, y) = within(self.zone(row).contour.degrees())?;
        Some((rounded(x), rounded(y)))
    }
}

impl Table for Zones {
    fn columns() -> &'static [Column<Self>] {
        const COLUMNS: [Column<Zones>; 12] = [
            column("id", Edm::Text, |t, i| text(&t.rows[i].0)),
            column("zonage", Edm::Text, |t, i| text(&t.zoning(i).id)),
            column("zonage_libelle", Edm::Text, |t, i| text(&t.zoning(i).title)),
            column("perimetre", Edm::Text, |t, i| text(&t.zoning(i).version)),
            column("code", Edm::Text, |t, i| text(t.zone(i).code.as_str())),
            column("libelle", Edm::Text, |t, i| text(&t.zone(i).label)),
            nullable("longitude", Edm::Double, |t, i| t.point(i).map_or(NULL, |point| number(point.0))),
            nullable("latitude", Edm::Double, |t, i| t.point(i).map_or(NULL, |point| number(point.1))),
            column("publication", Edm::Text, |t, _| text(t.release.id.as_str())),
            column("source", Edm::Text, |t, _| text(&t.release.provenance.source)),
            nullable("derniere_mise_a_jour", Edm::DateTime, |t, _| moment(t.updated)),
            column("licence", Edm::Text, |t, _| text(&t.release.provenance.licence)),
        ];
        &COLUMNS
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// The contours of the zones.
pub struct Contours(pub Zones);

impl Table for Contours {
    fn columns() -> &'static [Column<Self>] {
        const COLUMNS: [Column<Contours>; 8] = [
            column("id", Edm::Text, |t, i| text(&t.0.rows[i].0)),
            column("zonage", Edm::Text, |t, i| text(&t.0.zoning(i).id)),
            column("perimetre", Edm::Text, |t, i| text(&t.0.zoning(i).version)),
            column("code", Edm::Text, |t, i| text(t.0.zone(i).code.as_str())),
            column("source", Edm::Text, |t, _| text(&t.0.release.provenance.source)),
            nullable("derniere_mise_a_jour", Edm::DateTime, |t, _| moment(t.0.updated)),
            column("licence", Edm::Text, |t, _| text(&t.0.release.provenance.licence)),
            column("wkt", Edm::LongText, |t, i| Cell::Made(wkt(t.0.zone(i).contour.degrees()))),
        ];
        &COLUMNS
    }

    fn rows(&self) -> usize {
        self.0.rows()
    }
}

/// How a publication stands, in French: the public is served it, it was served, it was taken back.
const CURRENT: &str = "publiee";
const REPLACED: &str = "remplacee";
const WITHDRAWN: &str = "retiree";

/// Every publication: those that may be read, and what is left of those that were withdrawn.
pub struct Publications(Vec<Publication>);

struct Publication {
    id: String,
    status: &'static str,
    /// What was made, unless it was withdrawn or is not open yet.
    release: Option<Arc<Release>>,
    updated: Option<DateTime<Utc>>,
    vintages: String,
    withdrawn: Option<DateTime<Utc>>,
    reason: String,
}

impl Publications {
    /// What lies on the shelf, in the order of names.
    pub fn of(on_shelf: &OnShelf) -> Self {
        let named = |id: &str, status| Publication {
            id: id.to_owned(),
            status,
            release: None,
            updated: None,
            vintages: String::new(),
            withdrawn: None,
            reason: String::new(),
        };
        let readable = on_shelf.releases().map(|shelved| {
            let release = shelved.release.clone();
            let vintages: Vec<String> = release.vintages.keys().map(u16::to_string).collect();
            let status = if on_shelf.is_current(&release) { CURRENT } else { REPLACED };
            Publication {
                updated: instant(&release.provenance.updated),
                vintages: vintages.join(", "),
                release: Some(release.clone()),
                ..named(release.id.as_str(), status)
            }
        });
        let closed = on_shelf.closed().iter().map(|id| named(id, REPLACED));
        let withdrawn = on_shelf.withdrawn().iter().map(|taken_back| Publication {
            withdrawn: instant(&taken_back.at),
            reason: taken_back.reason.clone(),
            ..named(&taken_back.release, WITHDRAWN)
        });
        let mut all: Vec<Publication> = readable.chain(closed).chain(withdrawn).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        Self(all)
    }

    fn provenance(&self, row: usize, get: fn(&Provenance) -> &str) -> Cell<'_> {
        self.0[row].release.as_ref().map_or(NULL, |release| filled(get(&release.provenance)))
    }
}

impl Table for Publications {
    fn columns() -> &'static [Column<Self>] {
        const COLUMNS: [Column<Publications>; 11] = [
            column("id", Edm::Text, |t, i| text(&t.0[i].id)),
            column("statut", Edm::Text, |t, i| text(t.0[i].status)),
            column("actuelle", Edm::Bool, |t, i| yes(t.0[i].status == CURRENT)),
            nullable("derniere_mise_a_jour", Edm::DateTime, |t, i| moment(t.0[i].updated)),
            nullable("date_maj", Edm::DateTime, |t, i| moment(t.0[i].updated)),
            nullable("millesimes", Edm::Text, |t, i| filled(&t.0[i].vintages)),
            nullable("source", Edm::Text, |t, i| t.provenance(i, |p| &p.source)),
            nullable("licence", Edm::Text, |t, i| t.provenance(i, |p| &p.licence)),
            nullable("notice", Edm::Text, |t, i| t.provenance(i, |p| &p.notice)),
            nullable("retiree_le", Edm::DateTime, |t, i| moment(t.0[i].withdrawn)),
            nullable("motif", Edm::Text, |t, i| filled(&t.0[i].reason)),
        ];
        &COLUMNS
    }

    fn rows(&self) -> usize {
        self.0.len()
    }
}

const NULL: Cell<'static> = Cell::Value(Value::Null);

fn text(text: &str) -> Cell<'_> {
    Cell::Value(Value::Text(text))
}

fn filled(text: &str) -> Cell<'_> {
    Cell::Value(if text.is_empty() { Value::Null } else { Value::Text(text) })
}

fn number(number: f64) -> Cell<'static> {
    Cell::Value(Value::Number(number))
}

fn yes(yes: bool) -> Cell<'static> {
    Cell::Value(Value::Bool(yes))
}

fn moment(moment: Option<DateTime<Utc>>) -> Cell<'static> {
    Cell::Value(moment.map_or(Value::Null, Value::DateTime))
}

/// A figure: the strongroom sums up to 2^40, which a float holds exactly.
fn figure(figure: Option<u64>) -> Cell<'static> {
    Cell::Value(figure.map_or(Value::Null, |figure| Value::Number(figure as f64)))
}

fn status(figures: Option<(u64, u64)>) -> Cell<'static> {
    text(view::status(figures))
}

/// The name of a zone among those of all zonings: one column, since relations of Power BI have one.
fn zone_id(zoning: &str, code: &str) -> String {
    format!("{zoning}.{code}")
}

/// An instant to the second, as `Edm.DateTimeOffset` has it without a precision.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc().trunc_subsecs(0))
}

/// The middle of the widest stretch within the largest part, half way up.
fn within(contour: &MultiPolygon) -> Option<(f64, f64)> {
    let largest = contour.iter().max_by(|one, other| one.unsigned_area().total_cmp(&other.unsigned_area()))?;
    let y = largest.bounding_rect()?.center().y;
    let rings = std::iter::once(largest.exterior()).chain(largest.interiors());
    let crossings = rings.flat_map(|ring| ring.lines()).filter(|line| (line.start.y <= y) != (line.end.y <= y));
    let mut at: Vec<f64> =
        crossings.map(|l| l.start.x + (y - l.start.y) / (l.end.y - l.start.y) * (l.end.x - l.start.x)).collect();
    at.sort_by(f64::total_cmp);
    let stretches = at.chunks_exact(2).map(|ends| (ends[0], ends[1]));
    let (west, east) = stretches.max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)))?;
    Some(((west + east) / 2.0, y))
}

fn rounded(degrees: f64) -> f64 {
    (degrees * WKT_STEPS_A_DEGREE).round() / WKT_STEPS_A_DEGREE
}

/// A contour as text (OGC 06-103r4, 7), longitude first.
fn wkt(contour: &geo::MultiPolygon) -> String {
    let mut text = String::from("MULTIPOLYGON (");
    for (p, polygon) in contour.iter().enumerate() {
        text.push_str(if p == 0 { "(" } else { ", (" });
        for (r, ring) in std::iter::once(polygon.exterior()).chain(polygon.interiors()).enumerate() {
            text.push_str(if r == 0 { "(" } else { ", (" });
            for (c, place) in ring.coords().enumerate() {
                let comma = if c == 0 { "" } else { ", " };
                // Writing to a text cannot fail.
                let _ = write!(text, "{comma}{} {}", rounded(place.x), rounded(place.y));
            }
            text.push(')');
        }
        text.push(')');
    }
    text.push(')');
    text
}
