//! What goes on the wire beside the tiles: tile matrix sets, tile sets (OGC 17-083r4, in JSON), TileJSON 3.0.

use crate::http::ogc::query::{Ask, Format, SELECTORS, Wanted};
use crate::http::ogc::systems::{CRS84, System};
use crate::http::ogc::view::{JSON, Link, SCHEMA, link, mentions, property_schemas, round};
use crate::http::state::Place;
use crate::steps::tiling::{Tile, ZOOM_MAX, tile_at};
use geo::Rect;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Media type of vector tiles.
pub const MVT: &str = "application/vnd.mapbox-vector-tile";
/// Value of `f` for TileJSON.
pub const TILEJSON: &str = "tilejson";
/// The one tile matrix set.
pub const WEB_MERCATOR_QUAD: &str = "WebMercatorQuad";
/// Relation of the tile sets of a collection.
pub const TILESETS_REL: &str = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector";
/// Relation of the list of tile matrix sets.
pub const TILING_SCHEMES_REL: &str = "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes";

const TILING_SCHEME_REL: &str = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme";
const GEODATA_REL: &str = "http://www.opengis.net/def/rel/ogc/1.0/geodata";
const EPSG_3857: &str = "http://www.opengis.net/def/crs/EPSG/0/3857";
const SET_URI: &str = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad";
const SCALE_SET_URI: &str = "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible";
/// Half the side of the square that is the world, in metres: half the circumference of the WGS 84 equator.
const HALF_WORLD_M: f64 = 20_037_508.342_789_244;
/// Pixels across a tile, by the definition of WebMercatorQuad.
const TILE_PIXELS: u32 = 256;
/// A pixel by which OGC reckons scales, in metres.
const PIXEL_M: f64 = 0.000_28;
/// Deepest level of the definition of WebMercatorQuad; tiles go to [`ZOOM_MAX`].
const LEVEL_MAX: u8 = 24;

/// The list of tile matrix sets.
pub fn tile_matrix_sets(ask: &Ask) -> Value {
    json!({
        "links": [link(own(ask), "self", JSON, "Ce document")],
        "tileMatrixSets": [{
            "id": WEB_MERCATOR_QUAD,
            "title": "Google Maps Compatible for the World",
            "uri": SET_URI,
            "crs": EPSG_3857,
            "links": [link(set_address(ask), "self", JSON, "Définition de WebMercatorQuad")],
        }],
    })
}

/// WebMercatorQuad, as OGC registers it.
pub fn tile_matrix_set(ask: &Ask) -> Value {
    let matrices = (0..=LEVEL_MAX).map(|level| {
        let (cell, across) = (cell_m(level), 1_u32 << level);
        json!({
            "id": level.to_string(),
            "scaleDenominator": cell / PIXEL_M,
            "cellSize": cell,
            "cornerOfOrigin": "topLeft",
            "pointOfOrigin": [-HALF_WORLD_M, HALF_WORLD_M],
            "tileWidth": TILE_PIXELS,
            "tileHeight": TILE_PIXELS,
            "matrixWidth": across,
            "matrixHeight": across,
        })
    });
    json!({
        "id": WEB_MERCATOR_QUAD,
        "title": "Google Maps Compatible for the World",
        "uri": SET_URI,
        "crs": EPSG_3857,
        "orderedAxes": ["X", "Y"],
        "wellKnownScaleSet": SCALE_SET_URI,
        "links": [link(own(ask), "self", JSON, "Ce document")],
        "tileMatrices": matrices.collect::<Vec<_>>(),
    })
}

/// The tile sets of a zoning.
pub fn tile_sets(ask: &Ask, place: &Place) -> Value {
    let home = ask.href(&format!("{}/tiles/{WEB_MERCATOR_QUAD}", place.home()), &[]);
    json!({
        "links": [
            link(own(ask), "self", JSON, "Ce document"),
            link(ask.in_format(Format::Html), "alternate", "text/html", "Ce document en page"),
            link(ask.href(&place.home(), &[]), "collection", JSON, &place.title()),
        ],
        "tilesets": [{
            "title": place.title(),
            "dataType": "vector",
            "crs": EPSG_3857,
            "tileMatrixSetURI": SET_URI,
            "links": [
                link(home, "self", JSON, "Ce jeu de tuiles"),
                link(set_address(ask), TILING_SCHEME_REL, JSON, "WebMercatorQuad"),
                tile_link(ask, place),
            ],
        }],
    })
}

/// The tile set of a zoning.
pub fn tile_set(ask: &Ask, place: &Place, wanted: &Wanted) -> Value {
    let mut set = told(place, wanted);
    let zooms = 0..=ZOOM_MAX;
    set.extend([
        ("title".to_owned(), json!(place.title())),
        ("dataType".to_owned(), json!("vector")),
        ("crs".to_owned(), json!(EPSG_3857)),
        ("tileMatrixSetURI".to_owned(), json!(SET_URI)),
        (
            "links".to_owned(),
            json!([
                link(own(ask), "self", JSON, "Ce document"),
                link(ask.in_format(Format::Html), "alternate", "text/html", "Ce document en page"),
                link(set_in_format(ask, place, TILEJSON), "alternate", JSON, "Ce jeu de tuiles en TileJSON"),
                link(set_address(ask), TILING_SCHEME_REL, JSON, "WebMercatorQuad"),
                link(ask.href(&place.home(), &[]), GEODATA_REL, JSON, &place.title()),
                tile_link(ask, place),
            ]),
        ),
        (
            "layers".to_owned(),
            json!([{
                "id": place.zoning().id,
                "title": place.title(),
                "dataType": "vector",
                "geometryDimension": 2,
                "minTileMatrix": "0",
                "maxTileMatrix": ZOOM_MAX.to_string(),
                "propertiesSchema": { "type": "object", "properties": tile_schemas(place) },
                "links": [link(ask.href(&format!("{}/schema", place.home()), &[]), "describedby", SCHEMA, "Schéma")],
            }]),
        ),
    ]);
    if let Some(bounds) = bounds(place) {
        let limits = zooms.filter_map(|zoom| limits(place, zoom)).map(|(first, last)| {
            json!({
                "tileMatrix": first.zoom.to_string(),
                "minTileRow": first.row,
                "maxTileRow": last.row,
                "minTileCol": first.column,
                "maxTileCol": last.column,
            })
        });
        set.insert("tileMatrixSetLimits".to_owned(), limits.collect());
        set.insert(
            "boundingBox".to_owned(),
            json!({
                "lowerLeft": [bounds.min().x, bounds.min().y],
                "upperRight": [bounds.max().x, bounds.max().y],
                "crs": CRS84,
            }),
        );
        let zoom = whole_at(&bounds);
        set.insert(
            "centerPoint".to_owned(),
            json!({
                "coordinates": [bounds.center().x, bounds.center().y],
                "crs": CRS84,
                "tileMatrix": zoom.to_string(),
                "scaleDenominator": cell_m(zoom) / PIXEL_M,
                "cellSize": cell_m(zoom),
            }),
        );
    }
    Value::Object(set)
}

/// The same as TileJSON 3.0, for map libraries.
pub fn tile_json(ask: &Ask, place: &Place, wanted: &Wanted) -> Value {
    let fields: Map<String, Value> =
        tile_schemas(place).into_iter().map(|(name, schema)| (name, schema["title"].clone())).collect();
    let provenance = &place.release().provenance;
    let mut json = told(place, wanted);
    json.extend([
        ("tilejson".to_owned(), json!("3.0.0")),
        ("name".to_owned(), json!(place.title())),
        // Map libraries show it as HTML.
        ("attribution".to_owned(), json!(escaped(&[&provenance.source, &provenance.licence, &provenance.notice]))),
        ("version".to_owned(), json!("1.0.0")),
        ("scheme".to_owned(), json!("xyz")),
        ("tiles".to_owned(), json!([tile_address(ask, place, ["{z}", "{y}", "{x}"])])),
        ("minzoom".to_owned(), json!(0)),
        ("maxzoom".to_owned(), json!(ZOOM_MAX)),
        (
            "vector_layers".to_owned(),
            json!([{
                "id": place.zoning().id,
                "description": place.title(),
                "minzoom": 0,
                "maxzoom": ZOOM_MAX,
                "fields": fields,
            }]),
        ),
    ]);
    if let Some(bounds) = bounds(place) {
        let (low, high, centre) = (bounds.min(), bounds.max(), bounds.center());
        json.insert("bounds".to_owned(), json!([low.x, low.y, high.x, high.y]));
        json.insert("center".to_owned(), json!([centre.x, centre.y, whole_at(&bounds)]));
    }
    Value::Object(json)
}

/// What every answer about figures carries.
fn told(place: &Place, wanted: &Wanted) -> Map<String, Value> {
    let vintage = wanted.selection.as_ref().map(|selection| selection.vintage);
    let mentions = json!(mentions(place.release(), place.zoning(), vintage));
    mentions.as_object().cloned().unwrap_or_default()
}

/// The properties of zones in tiles: there is no null, and a figure that is withheld is absent beside its status.
pub fn tile_schemas(place: &Place) -> Map<String, Value> {
    let mut schemas = property_schemas(place.release());
    for figure in ["effectif", "etablissements"] {
        schemas.insert(
            figure.to_owned(),
            json!({ "type": "integer", "title": format!("Absent quand {figure}_statut est secret") }),
        );
    }
    schemas.insert("licence".to_owned(), json!({ "type": "string", "title": "Licence" }));
    schemas
}

/// The first and the last tile of a zoom that may hold zones, by rows and columns; none around a zoning without ground.
pub fn limits(place: &Place, zoom: u8) -> Option<(Tile, Tile)> {
    let bounds = bounds(place)?;
    Some((tile_at(bounds.min().x, bounds.max().y, zoom), tile_at(bounds.max().x, bounds.min().y, zoom)))
}

fn bounds(place: &Place) -> Option<Rect> {
    let whole = place.extent()?;
    let written = |c: geo::Coord| [c.x, c.y].map(|v| round(v, System::Crs84.decimals().1));
    Some(Rect::new(written(whole.min()), written(whole.max())))
}

/// The deepest zoom at which two tiles by two hold the whole.
fn whole_at(bounds: &Rect) -> u8 {
    let fits = |zoom: &u8| {
        let Tile { row, column, .. } = tile_at(bounds.min().x, bounds.max().y, *zoom);
        let last = tile_at(bounds.max().x, bounds.min().y, *zoom);
        last.row - row <= 1 && last.column - column <= 1
    };
    (0..=ZOOM_MAX).rev().find(fits).unwrap_or(0)
}

/// Metres across a pixel at the equator.
fn cell_m(level: u8) -> f64 {
    2.0 * HALF_WORLD_M / f64::from(TILE_PIXELS) / 2_f64.powi(i32::from(level))
}

fn tile_link(ask: &Ask, place: &Place) -> Link {
    let href = tile_address(ask, place, ["{tileMatrix}", "{tileRow}", "{tileCol}"]);
    Link { templated: true, ..link(href, "item", MVT, "Tuiles vectorielles") }
}

/// The address of tiles, with the figures that this request chose.
pub fn tile_address(ask: &Ask, place: &Place, [zoom, row, column]: [&str; 3]) -> String {
    ask.href(&format!("{}/tiles/{WEB_MERCATOR_QUAD}/{zoom}/{row}/{column}", place.home()), &chosen(ask))
}

/// The same of the tile set in another format.
pub fn set_in_format(ask: &Ask, place: &Place, format: &str) -> String {
    let mut params = chosen(ask);
    params.push(("f".to_owned(), format.to_owned()));
    ask.href(&format!("{}/tiles/{WEB_MERCATOR_QUAD}", place.home()), &params)
}

fn chosen(ask: &Ask) -> Vec<(String, String)> {
    let chosen = |(name, value): &&(String, String)| {
        !value.is_empty() && (SELECTORS.contains(&name.as_str()) || name == "datetime")
    };
    ask.params.iter().filter(chosen).cloned().collect()
}

/// The address of the tile matrix set.
pub fn set_address(ask: &Ask) -> String {
    ask.href(&format!("/tileMatrixSets/{WEB_MERCATOR_QUAD}"), &[])
}

fn own(ask: &Ask) -> String {
    ask.with(&[])
}

/// Sentences that are not empty, as HTML text.
fn escaped(sentences: &[&String]) -> String {
    let said: Vec<&str> = sentences.iter().map(|s| s.as_str()).filter(|s| !s.is_empty()).collect();
    said.join(" · ").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A topology: borders as they are, since as JSON values they take six times the room.
#[derive(Serialize)]
pub struct Topology {
    /// All but its borders.
    #[serde(flatten)]
    pub told: Value,
    /// Its borders.
    pub arcs: Arcs,
}

/// Borders of a topology.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Arcs {
    /// By their places.
    Places(Vec<Vec<[f64; 2]>>),
    /// By whole steps of a grid, each from the one before.
    Steps(Vec<Vec<[i64; 2]>>),
}
