//! What a file holds: its columns, its rows and what there is to say of them. Every format is written from this, so that
//! all of them say the same.

use crate::http::ogc::query::meaning;
use crate::http::ogc::systems::System;
use crate::http::ogc::view;
use crate::steps::publish::{Release, ReleasedZone, ReleasedZoning, Selection};
use crate::steps::secrecy::{Cell, Coordinate, ProtectedTable};
use geo::orient::{Direction, Orient};
use geo::{MapCoords, MultiPolygon};
use std::collections::BTreeMap;

/// What is said of withheld figures in every file.
pub const SECRECY: &str = "Une valeur vide accompagnée du statut « secret » est couverte par le secret statistique : elle \
    n'est ni nulle ni manquante, et rien n'indique pourquoi elle n'est pas publiée. Le statut « ok » accompagne les \
    valeurs publiées, zéro compris.";

/// Code of a total.
const TOTAL: &str = "total";

/// A column of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, that of the property in the GeoJSON.
    pub name: &'static str,
    /// Its name in ten letters at most, which is all a shapefile takes.
    pub short: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it means, in French.
    pub meaning: &'static str,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, never missing.
    Text,
    /// A whole number, never missing.
    Year,
    /// A whole number, missing where it is withheld.
    Figure,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'r> {
    /// Text.
    Text(&'r str),
    /// A year, or a figure that is shown.
    Whole(u64),
    /// A figure that is withheld: its status stands in another column.
    Withheld,
}

/// A row: one value a column, and the contour where the file has contours.
pub struct Row<'r> {
    /// Values, in the order of the columns.
    pub values: Vec<Value<'r>>,
    zone: Option<&'r ReleasedZone>,
}

/// What a file holds.
pub struct Extract<'r> {
    release: &'r Release,
    /// What the rows are about, in words.
    pub title: String,
    /// Year of the 31 December described.
    pub vintage: u16,
    of: Of<'r>,
}

enum Of<'r> {
    /// The zones of a zoning, with the figures of a selection.
    Zones(&'r ReleasedZoning, Selection),
    /// Every cell published of a vintage.
    Tables,
}

const fn column(name: &'static str, short: &'static str, kind: Kind, meaning: &'static str) -> Column {
    Column { name, short, kind, meaning }
}

const ZONING: Column = column("decoupage", "decoupage", Kind::Text, "Découpage auquel la zone appartient");
const CODE: Column = column("code", "code", Kind::Text, "Code de la zone");
const LABEL: Column = column("libelle", "libelle", Kind::Text, "Nom de la zone");
const HEADCOUNT: [Column; 2] = [
    column("effectif", "effectif", Kind::Figure, "Effectif salarié au 31 décembre ; vide quand il est secret"),
    column("effectif_statut", "eff_statut", Kind::Text, "ok, ou secret : effectif couvert par le secret statistique"),
];
const ESTABLISHMENTS: [Column; 2] = [
    column("etablissements", "etab", Kind::Figure, "Nombre d'établissements ; vide quand il est secret"),
    column(
        "etablissements_statut",
        "etab_stat",
        Kind::Text,
        "ok, ou secret : nombre couvert par le secret statistique",
    ),
];
const VINTAGE: Column = column("millesime", "millesime", Kind::Year, "Année du 31 décembre décrit");
const SELECTED: [Column; 3] = [
    column("naf", "naf", Kind::Text, "Section ou division NAF rév. 2, ou total"),
    column("tranche", "tranche", Kind::Text, "Tranche d'effectif (code Sirene), ou total"),
    column("source_donnees", "source_don", Kind::Text, "urssaf, msa, ou total"),
];
const MENTIONS: [Column; 4] = [
    column("source", "source", Kind::Text, "Source des données"),
    column("derniere_mise_a_jour", "maj", Kind::Text, "Date de dernière mise à jour"),
    column("perimetre", "perimetre", Kind::Text, "Version du découpage"),
    column("licence", "licence", Kind::Text, "Licence de réutilisation"),
];
const NOTICE: Column = column("notice", "notice", Kind::Text, "À lire avec les chiffres");

impl<'r> Extract<'r> {
    /// The zones of a zoning with the figures of a selection.
    pub fn zones(release: &'r Release, zoning: &'r ReleasedZoning, selection: Selection) -> Self {
        Self { release, title: zoning.title.clone(), vintage: selection.vintage, of: Of::Zones(zoning, selection) }
    }

    /// Every cell published of a vintage, of every zoning; totals of zones without an establishment are listed too.
    pub fn tables(release: &'r Release, vintage: u16) -> Self {
        Self { release, title: "Tous les tableaux publiés".to_owned(), vintage, of: Of::Tables }
    }

    /// Name of the layer or sheet: letters, digits and `_`.
    pub fn layer(&self) -> String {
        let name = match &self.of {
            Of::Zones(zoning, _) => zoning.id.as_str(),
            Of::Tables => "tableaux",
        };
        name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
    }

    /// The columns; `notice` only where the release has one.
    pub fn columns(&self) -> Vec<Column> {
        let figures = || HEADCOUNT.into_iter().chain(ESTABLISHMENTS);
        let mut columns: Vec<Column> = match self.of {
            Of::Zones(..) => [CODE, LABEL].into_iter().chain(figures()).chain([VINTAGE]).chain(SELECTED).collect(),
            Of::Tables => [VINTAGE, ZONING, CODE, LABEL].into_iter().chain(SELECTED).chain(figures()).collect(),
        };
        columns.extend(MENTIONS);
        if !self.release.provenance.notice.is_empty() {
            columns.push(NOTICE);
        }
        columns
    }

    /// Whether rows have contours.
    pub fn has_contours(&self) -> bool {
        matches!(self.of, Of::Zones(..))
    }

    /// The rows, in the order of codes, each made when it is asked for: a country has 35 000 communes.
    pub fn rows(&self) -> Box<dyn Iterator<Item = Row<'_>> + '_> {
        match &self.of {
            Of::Zones(zoning, selection) => {
                Box::new(zoning.zones.iter().map(move |zone| self.zone(zoning, zone, selection)))
            }
            Of::Tables => Box::new(self.release.zonings.iter().flat_map(|zoning| self.cells(zoning))),
        }
    }

    /// What there is to say beside the rows: a name for programs, a title for people, the words.
    pub fn about(&self) -> Vec<(&'static str, &'static str, String)> {
        let about = &self.release.provenance;
        let perimeter = match &self.of {
            Of::Zones(zoning, _) => zoning.version.clone(),
            Of::Tables => {
                let versions = self.release.zonings.iter().map(|z| format!("{} {}", z.id, z.version));
                versions.collect::<Vec<_>>().join(" ; ")
            }
        };
        let mut said = vec![
            ("titre", "Titre", self.title.clone()),
            ("selection", "Sélection", self.selection()),
            ("millesime", "Millésime", format!("{} (situation au 31 décembre)", self.vintage)),
            ("perimetre", "Périmètre", perimeter),
            ("source", "Source", about.source.clone()),
            ("derniere_mise_a_jour", "Dernière mise à jour", about.updated.clone()),
            ("licence", "Licence", about.licence.clone()),
        ];
        if let Some(url) = view::licence_url(&about.licence) {
            said.push(("licence_url", "Texte de la licence", url));
        }
        said.push(("publication", "Publication", self.release.id.as_str().to_owned()));
        let policy = format!("version {}, empreinte SHA-256 {}", about.policy_version, about.policy);
        said.push(("politique", "Politique de secret", policy));
        said.push(("secret", "Secret statistique", SECRECY.to_owned()));
        if !about.notice.is_empty() {
            said.push(("notice", "Attention", about.notice.clone()));
        }
        said
    }

    /// When the figures were last updated: year, month, day.
    pub fn updated(&self) -> (u16, u8, u8) {
        day_of(&self.release.provenance.updated)
    }

    /// The same as RFC 3339 has it, at the start of that day in UTC.
    pub fn updated_at(&self) -> String {
        let (year, month, day) = self.updated();
        format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z")
    }

    fn selection(&self) -> String {
        match &self.of {
            Of::Tables => {
                "toutes les zones et tous les croisements publiés ; une combinaison absente n'a aucun établissement"
                    .to_owned()
            }
            Of::Zones(_, Selection { naf, tranche, source, .. }) => {
                let told = |name: &str, code: &Option<String>| {
                    let code = code.as_ref()?;
                    let meaning = meaning(name, code);
                    Some(if meaning.is_empty() { code.clone() } else { format!("{code} ({meaning})") })
                };
                let parts = [("naf", naf), ("tranche", tranche), ("source", source)];
                let told: Vec<String> = parts.into_iter().filter_map(|(name, code)| told(name, code)).collect();
                match told.is_empty() {
                    true => "toutes activités, tailles et sources".to_owned(),
                    false => told.join(" ; "),
                }
            }
        }
    }

    fn zone<'s>(&'s self, zoning: &'s ReleasedZoning, zone: &'s ReleasedZone, selection: &'s Selection) -> Row<'s> {
        let shown = view::figures(self.release, &zoning.id, zone.code.as_str(), selection);
        let total = |code: &'s Option<String>| text(code.as_deref().unwrap_or(TOTAL));
        let mut values = vec![text(zone.code.as_str()), text(zone.label.as_str())];
        values.extend(figures(shown));
        values.push(Value::Whole(u64::from(selection.vintage)));
        values.extend([total(&selection.naf), total(&selection.tranche), total(&selection.source)]);
        values.extend(self.mentions(zoning));
        Row { values, zone: Some(zone) }
    }

    /// The cells of a zoning in every table, each once: totals of zones stand in several tables.
    fn cells<'s>(&'s self, zoning: &'s ReleasedZoning) -> impl Iterator<Item = Row<'s>> {
        let tables = self.release.vintages.get(&self.vintage).into_iter().flat_map(|tables| tables.iter());
        let tables: Vec<&ProtectedTable> =
            tables.filter(|table| table.dimensions.iter().any(|d| d.name == zoning.id)).collect();
        let mut cells: BTreeMap<[&str; 4], Option<(u64, u64)>> = BTreeMap::new();
        for table in &tables {
            for (at, cell) in table.cells() {
                let shown = match cell {
                    Cell::Open { establishments, headcount } => Some((headcount, establishments)),
                    Cell::Suppressed => None,
                };
                let Some(place) = place(zoning, table, at) else { continue };
                // The same cell stands in several tables and says the same; should it not, it is withheld.
                let kept = cells.entry(place).or_insert(shown);
                *kept = kept.and(shown);
            }
        }
        if !tables.is_empty() {
            for zone in &zoning.zones {
                cells.entry([zone.code.as_str(), TOTAL, TOTAL, TOTAL]).or_insert(Some((0, 0)));
            }
        }
        let label = |code: &str| match zoning.zones.binary_search_by(|zone| zone.code.as_str().cmp(code)) {
            Ok(at) => zoning.zones[at].label.as_str(),
            Err(_) => "Ensemble des zones",
        };
        cells.into_iter().map(move |([code, naf, tranche, source], shown)| {
            let mut values = vec![Value::Whole(u64::from(self.vintage)), text(zoning.id.as_str())];
            values.extend([code, label(code), naf, tranche, source].map(text));
            values.extend(figures(shown));
            values.extend(self.mentions(zoning));
            Row { values, zone: None }
        })
    }

    fn mentions<'s>(&'s self, zoning: &'s ReleasedZoning) -> Vec<Value<'s>> {
        let about = &self.release.provenance;
        let mut mentions = vec![&about.source, &about.updated, &zoning.version, &about.licence];
        if !about.notice.is_empty() {
            mentions.push(&about.notice);
        }
        mentions.into_iter().map(|words| text(words)).collect()
    }
}

impl Row<'_> {
    /// The contour in degrees, longitude first, rounded as the GeoJSON has it; exterior rings counter-clockwise.
    pub fn contour(&self) -> Option<MultiPolygon> {
        let contour = self.zone?.contour.degrees().orient(Direction::Default);
        let round = |degrees| view::round(degrees, System::Crs84.decimals().1);
        Some(contour.map_coords(|c| geo::Coord { x: round(c.x), y: round(c.y) }))
    }
}

/// Code of the zone, activity, size and source of a cell; `None` for one that lies in another dimension besides.
fn place<'t>(zoning: &ReleasedZoning, table: &ProtectedTable, at: &'t [Coordinate]) -> Option<[&'t str; 4]> {
    let mut place = [TOTAL; 4];
    for (dimension, coordinate) in table.dimensions.iter().zip(at) {
        let Coordinate::Code { code, .. } = coordinate else { continue };
        match dimension.name.as_str() {
            name if name == zoning.id => place[0] = code,
            "naf" => place[1] = code,
            "tranche" => place[2] = code,
            "source" => place[3] = code,
            _ => return None,
        }
    }
    Some(place)
}

/// Headcount, its status, establishments, theirs.
fn figures(shown: Option<(u64, u64)>) -> [Value<'static>; 4] {
    let figure = |shown: Option<u64>| shown.map_or(Value::Withheld, Value::Whole);
    let status = || text(view::status(shown));
    [figure(shown.map(|s| s.0)), status(), figure(shown.map(|s| s.1)), status()]
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text)
}

/// The day of an RFC 3339 date; the first day of 1980, the oldest a zip can tell, when it is none.
fn day_of(rfc3339: &str) -> (u16, u8, u8) {
    let mut parts = rfc3339.split(['-', 'T']);
    let year = parts.next().and_then(|p| p.parse().ok()).filter(|year| (1980..=2107).contains(year));
    let month = parts.next().and_then(|p| p.parse().ok()).filter(|month| (1..=12).contains(month));
    let day = parts.next().and_then(|p| p.parse().ok()).filter(|day| (1..=28).contains(day) || month != Some(2));
    match (year, month, day.filter(|day| (1..=31).contains(day))) {
        (Some(year), Some(month), Some(day)) => (year, month, day),
        _ => (1980, 1, 1),
    }
}
