//! What goes on the wire: the only types of this face that serialise.

use super::drawings::Contours;
use super::query::{Ask, Format, PROPERTIES, Wanted};
use super::queryables::ZoneRow;
use super::systems::{CRS84, System};
use crate::http::catalogue::JSON_LD;
use crate::http::downloads::{csv, enclosures};
use crate::http::problem::Problem;
use crate::http::state::{OnShelf, Place};
use crate::http::tiles::view::{TILESETS_REL, TILING_SCHEMES_REL};
use crate::steps::publish::{Published, Release, ReleasedZone, ReleasedZoning, Selection};
use geo::MultiPolygon;
use geo::orient::{Direction, Orient};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// Media type of GeoJSON (RFC 7946).
pub const GEOJSON: &str = "application/geo+json";
/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Media type of the OpenAPI document, as GDAL and QGIS ask for it.
pub const OPENAPI: &str = "application/vnd.oai.openapi+json;version=3.0";
/// Media type of JSON Schema.
pub const SCHEMA: &str = "application/schema+json";
/// Media type of CSV; the first row names the columns.
pub const CSV: &str = "text/csv; charset=utf-8; header=present";

/// The relation of a list of properties that a filter may name (OGC API Features, Part 3).
pub const QUERYABLES_REL: &str = "http://www.opengis.net/def/rel/ogc/1.0/queryables";

/// The conformance classes met.
pub const CONFORMANCE: [&str; 23] = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixsetlimits",
    "http://www.opengis.net/spec/tms/2.0/conf/tilesetmetadata",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixsetlimits",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilesetmetadata",
];

/// A link (RFC 8288).
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// Absolute address.
    pub href: String,
    /// Relation.
    pub rel: &'static str,
    /// Media type of what is there.
    #[serde(rename = "type")]
    pub media: &'static str,
    /// In French, for people.
    pub title: String,
    /// Whether the address has names between braces, to be filled in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub templated: bool,
}

/// What every answer about figures carries.
#[derive(Debug, Clone, Serialize)]
pub struct Mentions {
    source: String,
    derniere_mise_a_jour: String,
    millesime: Option<u16>,
    perimetre: String,
    licence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

/// The landing page.
#[derive(Serialize)]
pub struct Landing {
    title: &'static str,
    description: &'static str,
    attribution: String,
    derniere_mise_a_jour: String,
    licence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    links: Vec<Link>,
}

/// The classes of requirements met.
#[derive(Serialize)]
pub struct Conformance {
    #[serde(rename = "conformsTo")]
    conforms_to: [&'static str; CONFORMANCE.len()],
}

/// Every zoning.
#[derive(Serialize)]
pub struct Collections {
    links: Vec<Link>,
    collections: Vec<Collection>,
}

/// One zoning.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    id: String,
    title: String,
    description: String,
    attribution: String,
    item_type: &'static str,
    crs: [&'static str; System::ALL.len()],
    storage_crs: &'static str,
    extent: Extent,
    publication: String,
    #[serde(flatten)]
    mentions: Mentions,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Extent {
    #[serde(skip_serializing_if = "Option::is_none")]
    spatial: Option<Spatial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporal: Option<Temporal>,
}

#[derive(Serialize)]
struct Spatial {
    bbox: [[f64; 4]; 1],
    crs: &'static str,
}

#[derive(Serialize)]
struct Temporal {
    interval: [[String; 2]; 1],
}

/// A page of zones.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureCollection<'p> {
    #[serde(rename = "type")]
    kind: &'static str,
    number_matched: usize,
    number_returned: usize,
    time_stamp: String,
    #[serde(flatten)]
    mentions: Mentions,
    /// Links of the page.
    pub links: Vec<Link>,
    features: Features<'p>,
}

/// Zones of a page, each made while it is written: thousands of contours never lie beside what is written of them.
struct Features<'p> {
    place: &'p Place,
    wanted: &'p Wanted,
    numbers: &'p [usize],
    contours: Option<Contours<'p>>,
}

impl Serialize for Features<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { place, wanted, numbers, contours } = self;
        serializer.collect_seq(numbers.iter().map(|number| feature(place, *number, contours.as_ref(), wanted)))
    }
}

/// One zone.
#[derive(Serialize)]
pub struct Feature {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    geometry: Option<Geometry>,
    /// Properties, in our order.
    pub properties: Map<String, Value>,
    /// Links of the zone, when it is answered alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// Always a multipolygon, so that every reader finds one type.
#[derive(Serialize)]
struct Geometry {
    #[serde(rename = "type")]
    kind: &'static str,
    coordinates: Vec<Vec<Vec<[f64; 2]>>>,
}

/// A page of zones, chosen.
pub struct Page<'r> {
    /// Zones that match, before paging.
    pub matched: usize,
    /// Zones of this page, in the order of codes.
    pub zones: Vec<&'r ReleasedZone>,
    /// The same, by their place in the zoning.
    pub numbers: Vec<usize>,
}

/// Chooses the zones of a page.
pub fn page<'r>(place: &'r Place, wanted: &Wanted) -> Page<'r> {
    let zoning = place.zoning();
    let within: Vec<bool> = match &wanted.area {
        None => vec![true; zoning.zones.len()],
        Some(area) => {
            let contours = place.contours(area.system(), 0);
            (0..zoning.zones.len()).map(|number| area.touches(contours.get(number))).collect()
        }
    };
    let kept = |number: usize, selection: &Selection| match &wanted.filter {
        None => true,
        Some(filter) => filter.keeps(&ZoneRow::of(place, &zoning.zones[number], selection)),
    };
    let matches = |number: &usize| within[*number] && wanted.selection.as_ref().is_some_and(|s| kept(*number, s));
    let matched: Vec<usize> = (0..zoning.zones.len()).filter(matches).collect();
    let numbers: Vec<usize> = matched.iter().copied().skip(wanted.offset).take(wanted.limit).collect();
    let zones = numbers.iter().map(|number| &zoning.zones[*number]).collect();
    Page { matched: matched.len(), zones, numbers }
}

/// The landing page.
pub fn landing(ask: &Ask, release: &Release) -> Landing {
    let link = |path: &str, rel, media, title: &str| link(ask.href(path, &[]), rel, media, title);
    let mut links = representations(ask, Format::Json, &[Format::Json, Format::Html], JSON);
    links.push(link("/api", "service-desc", OPENAPI, "Définition de l'API (OpenAPI 3.0)"));
    links.push(link("/api?f=html", "service-doc", "text/html", "Documentation de l'API"));
    links.push(link("/conformance", "conformance", JSON, "Classes de conformité OGC"));
    links.push(link("/collections", "data", JSON, "Découpages publiés"));
    links.push(link("/tileMatrixSets", TILING_SCHEMES_REL, JSON, "Grilles des tuiles"));
    links.push(link("/telechargements", "related", JSON, "Fichiers à télécharger"));
    links.push(link("/catalogue", "describedby", JSON_LD, "Catalogue (DCAT-AP)"));
    Landing {
        title: TITLE,
        description: DESCRIPTION,
        attribution: release.provenance.source.clone(),
        derniere_mise_a_jour: release.provenance.updated.clone(),
        licence: release.provenance.licence.clone(),
        notice: notice(release),
        links,
    }
}

/// Name of the service for people.
pub const TITLE: &str = "Emploi salarié par secteur";
/// What it is, in a sentence.
pub const DESCRIPTION: &str =
    "Effectifs salariés et établissements par zone, au 31 décembre, protégés par le secret statistique.";

/// The conformance classes.
pub fn conformance() -> Conformance {
    Conformance { conforms_to: CONFORMANCE }
}

/// Every zoning of the current release, then those of the earlier ones.
pub fn collections(ask: &Ask, on_shelf: &OnShelf) -> Collections {
    Collections {
        links: representations(ask, Format::Json, &[Format::Json, Format::Html], JSON),
        collections: on_shelf.places().iter().map(|place| collection(ask, on_shelf, place)).collect(),
    }
}

/// One zoning of a release.
pub fn collection(ask: &Ask, on_shelf: &OnShelf, place: &Place) -> Collection {
    let (release, zoning, home) = (place.release(), place.zoning(), place.home());
    let at = |path: &str, f: &str| {
        let f = [("f".to_owned(), f.to_owned())];
        ask.href(&format!("{home}{path}"), if f[0].1.is_empty() { &[] } else { &f })
    };
    let year_end = |vintage: u16| format!("{vintage}-12-31T00:00:00Z");
    let first = release.vintages.keys().next().copied();
    let degrees = |value: f64| round(value, System::Crs84.decimals().1);
    let mut links = vec![
        link(at("", ""), "self", JSON, "Ce découpage"),
        link(at("", "html"), "alternate", "text/html", "Ce découpage, en page"),
        link(at("/items", ""), "items", GEOJSON, "Zones et chiffres, en GeoJSON"),
        link(at("/items", "html"), "items", "text/html", "Zones et chiffres, en page"),
        link(at("/items", "csv"), "items", "text/csv", "Zones et chiffres, en CSV"),
        link(at("/items", "topojson"), "items", JSON, "Zones et chiffres, en TopoJSON"),
        link(at("/tiles", ""), TILESETS_REL, JSON, "Tuiles vectorielles"),
        link(at("/schema", ""), "describedby", SCHEMA, "Schéma des zones"),
        queryables_link(ask, place),
        licence_link(ask, release),
    ];
    links.extend(enclosures(ask, place));
    links.extend(version_links(ask, on_shelf, place));
    Collection {
        id: place.id.clone(),
        title: place.title(),
        description: format!(
            "{} : effectif salarié et nombre d'établissements de chaque zone au 31 décembre ; périmètre {}.",
            zoning.title, zoning.version
        ),
        attribution: release.provenance.source.clone(),
        item_type: "feature",
        crs: System::ALL.map(System::uri),
        storage_crs: CRS84,
        extent: Extent {
            spatial: place.extent().map(|b| Spatial {
                bbox: [[degrees(b.min().x), degrees(b.min().y), degrees(b.max().x), degrees(b.max().y)]],
                crs: CRS84,
            }),
            temporal: first
                .zip(release.latest())
                .map(|(first, last)| Temporal { interval: [[year_end(first), year_end(last)]] }),
        },
        publication: release.id.to_string(),
        mentions: mentions(release, zoning, release.latest()),
        links,
    }
}

/// The same zoning in other releases (RFC 5829), and the address that means this release for good.
fn version_links(ask: &Ask, on_shelf: &OnShelf, place: &Place) -> Vec<Link> {
    let of = |other: &Place, rel| link(ask.href(&other.home(), &[]), rel, JSON, &other.title());
    let versions = on_shelf.versions(&place.zoning().id);
    let here = versions.iter().position(|version| version.id == place.permanent_id());
    let mut links: Vec<Link> = here.iter().map(|at| of(&versions[*at], "bookmark")).collect();
    if let Ok(current) = on_shelf.place(&place.zoning().id) {
        links.push(of(&current, "latest-version"));
    }
    links.extend(here.and_then(|at| versions.get(at + 1)).map(|older| of(older, "predecessor-version")));
    links.extend(here.and_then(|at| versions.get(at.checked_sub(1)?)).map(|newer| of(newer, "successor-version")));
    links
}

/// Where a program finds which properties a filter may name.
pub fn queryables_link(ask: &Ask, place: &Place) -> Link {
    let href = ask.href(&format!("{}/queryables", place.home()), &[]);
    link(href, QUERYABLES_REL, SCHEMA, "Propriétés qu'un filtre peut nommer")
}

/// A page of zones as GeoJSON.
pub fn items<'p>(ask: &Ask, place: &'p Place, wanted: &'p Wanted, page: &'p Page<'_>) -> FeatureCollection<'p> {
    let features = Features { place, wanted, numbers: &page.numbers, contours: contours(place, wanted) };
    let (release, zoning) = (place.release(), place.zoning());
    FeatureCollection {
        kind: "FeatureCollection",
        number_matched: page.matched,
        number_returned: page.zones.len(),
        time_stamp: release.provenance.updated.clone(),
        mentions: mentions(release, zoning, wanted.selection.as_ref().map(|s| s.vintage)),
        links: page_links(ask, place, wanted, page, Format::Json),
        features,
    }
}

/// One zone, by number, as GeoJSON, alone.
pub fn item(ask: &Ask, place: &Place, number: usize, wanted: &Wanted) -> Feature {
    let mut feature = feature(place, number, contours(place, wanted).as_ref(), wanted);
    feature.links = representations(ask, Format::Json, &[Format::Json, Format::Html], GEOJSON);
    feature.links.push(collection_link(ask, place));
    feature
}

/// One row a zone, the same properties as columns (RFC 4180). A withheld figure is an empty field beside its status.
pub fn csv(place: &Place, wanted: &Wanted, page: &Page<'_>) -> Result<String, Problem> {
    let field = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let row = |zone: &&ReleasedZone| {
        properties(place, zone, wanted).into_iter().map(|(_, value)| field(value)).collect::<Vec<_>>()
    };
    let lines = csv::lines(b',', Vec::new(), &wanted.properties, page.zones.iter().map(row));
    lines.and_then(|bytes| Ok(String::from_utf8(bytes)?)).map_err(|e| Problem::failure(&e.to_string()))
}

/// The links of a page of zones; `next` and `prev` keep every filter.
pub fn page_links(ask: &Ask, place: &Place, wanted: &Wanted, page: &Page<'_>, format: Format) -> Vec<Link> {
    let media = link_type(format, GEOJSON);
    let mut links = representations(ask, format, &[Format::Json, Format::Html, Format::Csv, Format::Topojson], GEOJSON);
    let at = |offset: usize| ask.with(&[("limit", wanted.limit.to_string()), ("offset", offset.to_string())]);
    let end = wanted.offset.saturating_add(page.zones.len());
    if end < page.matched {
        links.push(link(at(end), "next", media, "Page suivante"));
    }
    if wanted.offset > 0 {
        let previous = wanted.offset.min(page.matched).saturating_sub(wanted.limit);
        links.push(link(at(previous), "prev", media, "Page précédente"));
    }
    links.push(collection_link(ask, place));
    links
}

/// The schema of a zone (JSON Schema 2020-12), the same for every page, an empty one included.
///
/// GDAL knows one type a property and follows references from the root of the document, JSON Schema from the nearest
/// `$id`: so a figure is a whole number to the one, and a whole number or null to the other.
pub fn schema(ask: &Ask, place: &Place) -> Value {
    let mut properties = property_schemas(place.release());
    for (name, property) in &mut properties {
        if is_figure(name) {
            *property = json!({ "$ref": "#/$defs/figure", "title": property["title"] });
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ask.href(&format!("{}/schema", place.home()), &[]),
        "title": place.title(),
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": { "const": "Feature" },
            "id": { "type": "string" },
            "geometry": {
                "type": ["object", "null"],
                "properties": { "type": { "const": "MultiPolygon" }, "coordinates": { "type": "array" } },
            },
            "properties": {
                "$id": "schema/properties",
                "type": "object",
                "properties": properties,
                "$defs": { "figure": { "type": ["integer", "null"] } },
            },
        },
        "$defs": { "figure": { "type": "integer" } },
    })
}

/// The properties that a filter may name, and their types (JSON Schema 2020-12; OGC API Features, Part 3).
pub fn queryables(ask: &Ask, place: &Place) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ask.href(&format!("{}/queryables", place.home()), &[]),
        "title": place.title(),
        "type": "object",
        "properties": property_schemas(place.release()),
        "additionalProperties": false,
    })
}

/// The properties of a zone by name, each with the type of what is shown of it, in our order.
pub fn property_schemas(release: &Release) -> Map<String, Value> {
    let mut properties = Map::new();
    for name in PROPERTIES.iter().filter(|p| **p != "notice" || notice(release).is_some()) {
        let (kind, title) = match *name {
            "code" => ("string", "Code de la zone"),
            "libelle" => ("string", "Nom de la zone"),
            "effectif" => ("integer", "Effectif salarié au 31 décembre ; null quand il est secret"),
            "etablissements" => ("integer", "Nombre d'établissements ; null quand il est secret"),
            "effectif_statut" => ("string", "ok, ou secret : effectif couvert par le secret statistique"),
            "etablissements_statut" => ("string", "ok, ou secret : nombre couvert par le secret statistique"),
            "millesime" => ("integer", "Année du 31 décembre décrit"),
            "naf" => ("string", "Section ou division NAF rév. 2, ou total"),
            "tranche" => ("string", "Tranche d'effectif (code Sirene), ou total"),
            "source_donnees" => ("string", "urssaf, msa, ou total"),
            "source" => ("string", "Source des données"),
            "derniere_mise_a_jour" => ("string", "Date de dernière mise à jour"),
            "perimetre" => ("string", "Version du découpage"),
            _ => ("string", "À lire avec les chiffres"),
        };
        let mut property = json!({ "type": kind, "title": title });
        if name.ends_with("_statut") {
            property["enum"] = json!(["ok", "secret"]);
        } else if *name == "derniere_mise_a_jour" {
            property["format"] = "date-time".into();
        }
        properties.insert((*name).to_owned(), property);
    }
    properties
}

/// Whether a property is null where it is withheld.
fn is_figure(name: &str) -> bool {
    ["effectif", "etablissements"].contains(&name)
}

/// Where the licence is read.
pub fn licence_link(ask: &Ask, release: &Release) -> Link {
    link(licence(ask, release).0, "license", "text/html", &release.provenance.licence)
}

/// The address of the licence and whether it is the licence's own page.
pub fn licence(ask: &Ask, release: &Release) -> (String, bool) {
    match licence_url(&release.provenance.licence) {
        Some(url) => (url, true),
        None => (format!("{}/?f=html#licence", ask.base), false),
    }
}

/// The page of a licence, where its name says which it is.
pub fn licence_url(name: &str) -> Option<String> {
    /// Licences of open data in France, by a piece of their names in small letters, with their pages.
    const KNOWN: [(&str, &str); 5] = [
        ("licence ouverte", "https://www.etalab.gouv.fr/licence-ouverte-open-licence"),
        ("etalab-2.0", "https://www.etalab.gouv.fr/licence-ouverte-open-licence"),
        ("odbl", "https://opendatacommons.org/licenses/odbl/1-0/"),
        ("cc0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("cc-by-4.0", "https://creativecommons.org/licenses/by/4.0/"),
    ];
    if name.starts_with("https://") || name.starts_with("http://") {
        return Some(name.to_owned());
    }
    let folded = name.to_lowercase();
    KNOWN.iter().find(|known| folded.contains(known.0)).map(|known| known.1.to_owned())
}

/// What a zone's figures are, or `None` when they are withheld.
pub fn figures(release: &Release, zoning: &str, zone: &str, selection: &Selection) -> Option<(u64, u64)> {
    match release.figures(zoning, zone, selection) {
        Published::Open { establishments, headcount } => Some((headcount, establishments)),
        // The crossing was checked when the request was read; were it lost since, nothing is shown.
        Published::Secret | Published::NotPublished => None,
    }
}

/// What stands beside a figure: that it is shown, or that it is withheld, and nothing of why.
pub fn status(figures: Option<(u64, u64)>) -> &'static str {
    if figures.is_some() { "ok" } else { "secret" }
}

/// Media type of a format, given that of its JSON.
pub fn media_of(format: Format, json: &'static str) -> &'static str {
    match format {
        Format::Json => json,
        Format::Html => crate::http::page::HTML,
        Format::Csv => CSV,
        Format::Topojson => JSON,
    }
}

/// The contours as asked for; none where nobody asked for contours.
fn contours<'p>(place: &'p Place, wanted: &Wanted) -> Option<Contours<'p>> {
    (!wanted.skip_geometry).then(|| place.contours(wanted.system, wanted.simplify_m))
}

fn feature(place: &Place, number: usize, contours: Option<&Contours<'_>>, wanted: &Wanted) -> Feature {
    let zone = &place.zoning().zones[number];
    Feature {
        kind: "Feature",
        id: zone.code.as_str().to_owned(),
        geometry: contours.map(|contours| geometry(contours.get(number), wanted)),
        properties: properties(place, zone, wanted),
        links: Vec::new(),
    }
}

/// The properties of a zone, in our order.
pub fn properties(place: &Place, zone: &ReleasedZone, wanted: &Wanted) -> Map<String, Value> {
    wanted.properties.iter().map(|name| ((*name).to_owned(), value(place, zone, wanted, name))).collect()
}

/// One property of a zone.
fn value(place: &Place, zone: &ReleasedZone, wanted: &Wanted, name: &str) -> Value {
    let (release, zoning, selection) = (place.release(), place.zoning(), wanted.selection.as_ref());
    let shown = || selection.and_then(|s| figures(release, &zoning.id, zone.code.as_str(), s));
    let or_total = |code: Option<&String>| Value::from(code.map_or("total", String::as_str));
    match name {
        "code" => zone.code.as_str().into(),
        "libelle" => zone.label.as_str().into(),
        "effectif" => shown().map(|s| s.0).into(),
        "etablissements" => shown().map(|s| s.1).into(),
        "effectif_statut" | "etablissements_statut" => status(shown()).into(),
        "millesime" => selection.map(|s| s.vintage).into(),
        "naf" => or_total(selection.and_then(|s| s.naf.as_ref())),
        "tranche" => or_total(selection.and_then(|s| s.tranche.as_ref())),
        "source_donnees" => or_total(selection.and_then(|s| s.source.as_ref())),
        "source" => release.provenance.source.as_str().into(),
        "derniere_mise_a_jour" => release.provenance.updated.as_str().into(),
        "perimetre" => zoning.version.as_str().into(),
        _ => release.provenance.notice.as_str().into(),
    }
}

/// Exterior rings counter-clockwise, holes clockwise (RFC 7946, 3.1.6), as x and y see it. A corner that rounding brings
/// onto the one before is written once, and a ring that rounding leaves without ground is left out: of one border both
/// neighbours then write the same.
fn geometry(contour: &MultiPolygon, wanted: &Wanted) -> Geometry {
    let ring = |line: &geo::LineString| {
        let rounded = line.coords().map(|c| [round(c.x, wanted.decimals), round(c.y, wanted.decimals)]);
        let mut written: Vec<[f64; 2]> = rounded.map(|[x, y]| wanted.system.written(x, y)).collect();
        written.dedup();
        written
    };
    let rings = |polygon: &geo::Polygon| -> Vec<Vec<[f64; 2]>> {
        let exterior = ring(polygon.exterior());
        let holes = polygon.interiors().iter().map(ring).filter(|hole| has_ground(hole));
        if has_ground(&exterior) { std::iter::once(exterior).chain(holes).collect() } else { Vec::new() }
    };
    let coordinates = contour.orient(Direction::Default).iter().map(rings).filter(|rings| !rings.is_empty()).collect();
    Geometry { kind: "MultiPolygon", coordinates }
}

/// Whether a closed ring has three corners at least: RFC 7946, 3.1.6, asks for four positions.
fn has_ground(ring: &[[f64; 2]]) -> bool {
    ring.len() >= 4
}

/// A coordinate with so many decimals.
pub fn round(value: f64, decimals: i32) -> f64 {
    let steps = 10_f64.powi(decimals);
    (value * steps).round() / steps
}

/// What every answer about figures carries.
pub fn mentions(release: &Release, zoning: &ReleasedZoning, millesime: Option<u16>) -> Mentions {
    Mentions {
        source: release.provenance.source.clone(),
        derniere_mise_a_jour: release.provenance.updated.clone(),
        millesime,
        perimetre: zoning.version.clone(),
        licence: release.provenance.licence.clone(),
        notice: notice(release),
    }
}

fn notice(release: &Release) -> Option<String> {
    Some(release.provenance.notice.clone()).filter(|n| !n.is_empty())
}

/// A link, with what it leads to in French.
pub fn link(href: String, rel: &'static str, media: &'static str, title: &str) -> Link {
    Link { href, rel, media, title: title.to_owned(), templated: false }
}

fn collection_link(ask: &Ask, place: &Place) -> Link {
    link(ask.href(&place.home(), &[]), "collection", JSON, &place.title())
}

/// The media type a link names: that of the answer, without its parameters.
fn link_type(format: Format, json: &'static str) -> &'static str {
    match format {
        Format::Json => json,
        Format::Html => "text/html",
        Format::Csv => "text/csv",
        Format::Topojson => JSON,
    }
}

/// `self`, then `alternate` for each other format of the same request.
fn representations(ask: &Ask, here: Format, offered: &[Format], json: &'static str) -> Vec<Link> {
    let own = link(ask.with(&[]), "self", link_type(here, json), "Ce document");
    let others = offered.iter().filter(|f| **f != here).map(|f| {
        let title = match f {
            Format::Json => "Ce document en JSON",
            Format::Html => "Ce document en page",
            Format::Csv => "Ce document en CSV",
            Format::Topojson => "Ce document en TopoJSON",
        };
        link(ask.in_format(*f), "alternate", link_type(*f, json), title)
    });
    std::iter::once(own).chain(others).collect()
}
