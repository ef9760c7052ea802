//! Tiles (OGC 20-057), and tile matrix sets with the metadata of tile sets (OGC 17-083r4).

use super::*;
use crate::http::tests::send;
use crate::http::tiles::tests::read;
use crate::http::tiles::view::{MVT, TILESETS_REL};
use crate::steps::tiling::{ZOOM_MAX, tile_at};

const SET: &str = "/collections/secteurs/tiles/WebMercatorQuad";
const TILE: &str = "/collections/{zoning}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}";
const TILING_SCHEME_REL: &str = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme";
const SET_URI: &str = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad";

/// The address of a tile by the template of a tile set, below that of the service.
fn filled(set: &Value, zoom: u8, row: u32, column: u32) -> String {
    let link = set["links"].as_array().unwrap().iter().find(|link| link["rel"] == "item").unwrap();
    assert_eq!((&link["templated"], &link["type"]), (&json!(true), &json!(MVT)));
    let template = link["href"].as_str().unwrap().strip_prefix(BASE).unwrap();
    [("{tileMatrix}", zoom.to_string()), ("{tileRow}", row.to_string()), ("{tileCol}", column.to_string())]
        .iter()
        .fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
}

/// /conf/core/conformance-success
#[tokio::test]
async fn conf_core_conformance_success() {
    conforms_to("ogcapi-tiles-1/1.0/conf/core").await;
}

/// /conf/core/tc-op, /conf/core/tc-success, /conf/mvt/content: a template filled in is a tile, and holds the zones that lie
/// there.
#[tokio::test]
async fn conf_core_tc_success() {
    let set = json_of(SET).await;
    for zoom in [0, 7, 12] {
        let tile = tile_at(5.015, 47.305, zoom);
        let answer = get(&filled(&set, zoom, tile.row, tile.column)).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, MVT), "{zoom}");
        assert!(zoom == 0 || read(&answer.body).contains_key("S02"), "{zoom}");
    }
}

/// /conf/core/tc-tilematrix-definition, /conf/core/tc-tilerow-definition, /conf/core/tc-tilecol-definition
#[tokio::test]
async fn conf_core_tc_definitions() {
    let listed = parameters(TILE).await;
    for (name, kind) in [("tileMatrix", "string"), ("tileRow", "integer"), ("tileCol", "integer")] {
        let found = listed.iter().find(|parameter| parameter["name"] == name).unwrap();
        assert_eq!((&found["in"], &found["required"]), (&json!("path"), &json!(true)), "{name}");
        assert_eq!(found["schema"]["type"], kind, "{name}");
    }
}

/// /conf/core/tc-error, /conf/tilematrixsetlimits/model, /conf/json-tilematrixsetlimits/model: the limits of a tile set are
/// those of what is answered.
#[tokio::test]
async fn conf_core_tc_error() {
    let set = json_of(SET).await;
    let limits = set["tileMatrixSetLimits"].as_array().unwrap();
    assert_eq!(limits.len(), usize::from(ZOOM_MAX) + 1);
    for zoom in [0, 5, 10, ZOOM_MAX] {
        let limit = |name: &str| limits[usize::from(zoom)][name].as_u64().unwrap() as u32;
        assert_eq!(limits[usize::from(zoom)]["tileMatrix"], zoom.to_string());
        let (north, south) = (limit("minTileRow"), limit("maxTileRow"));
        let (west, east) = (limit("minTileCol"), limit("maxTileCol"));
        for (row, column, status) in [
            (north, west, StatusCode::OK),
            (south, east, StatusCode::OK),
            (north.wrapping_sub(1), west, StatusCode::NOT_FOUND),
            (south + 1, east, StatusCode::NOT_FOUND),
            (north, west.wrapping_sub(1), StatusCode::NOT_FOUND),
            (south, east + 1, StatusCode::NOT_FOUND),
        ] {
            let path = filled(&set, zoom, row, column);
            assert_eq!(get(&path).await.status, status, "{path}");
        }
    }
    assert_eq!(get(&filled(&set, ZOOM_MAX + 1, 0, 0)).await.status, StatusCode::NOT_FOUND);
    let empty = get(&format!("{}?datetime=1999-12-31", filled(&set, 0, 0, 0))).await;
    assert_eq!((empty.status, empty.body.len()), (StatusCode::OK, 0), "within the limits, without a zone");
}

/// /conf/tileset/description, /conf/tilematrixsetmetadata/identifier, /conf/tilematrixsetmetadata/model,
/// /conf/json-tilesetmetadata/media-type, /conf/json-tilesetmetadata/model
#[tokio::test]
async fn conf_tileset_description() {
    let answer = send(&library(), Method::GET, SET, &[("accept", "application/json")]).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let set = answer.json();
    for member in ["dataType", "crs", "tileMatrixSetURI", "links", "layers", "boundingBox", "centerPoint"] {
        assert!(!set[member].is_null(), "{member}");
    }
    assert_eq!((&set["dataType"], &set["tileMatrixSetURI"]), (&json!("vector"), &json!(SET_URI)));
    let matrices = json_of(&linked(&set, TILING_SCHEME_REL).unwrap()).await;
    assert_eq!((&matrices["uri"], &matrices["crs"]), (&set["tileMatrixSetURI"], &set["crs"]));
    assert_eq!(set["layers"][0]["id"], "secteurs");
}

/// /conf/tilesets-list/tileset-links, /conf/geodata-tilesets/desc-links, /conf/geodata-tilesets/operation
#[tokio::test]
async fn conf_tilesets_list_tileset_links() {
    for id in collections().await {
        let collection = json_of(&format!("/collections/{id}")).await;
        let path = linked(&collection, TILESETS_REL).unwrap();
        assert_eq!(path, format!("/collections/{id}/tiles"));
        let answer = send(&library(), Method::GET, &path, &[("accept", "application/json")]).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        for listed in answer.json()["tilesets"].as_array().unwrap() {
            assert_eq!(linked(listed, "self").unwrap(), format!("{path}/WebMercatorQuad"));
            let set = json_of(&linked(listed, "self").unwrap()).await;
            for member in ["dataType", "crs", "tileMatrixSetURI"] {
                assert_eq!(listed[member], set[member], "{id}: {member}");
            }
            assert_eq!(linked(listed, TILING_SCHEME_REL), linked(&set, TILING_SCHEME_REL));
        }
    }
}

/// /conf/oas30/completeness, /conf/oas30/operation-id
#[tokio::test]
async fn conf_oas30_operation_id() {
    let api = json_of("/api").await;
    for (path, suffix) in [
        ("/collections/{zoning}/tiles", ".collection.vector.getTileSetsList"),
        ("/collections/{zoning}/tiles/{tileMatrixSetId}", ".collection.vector.getTileSet"),
        (TILE, ".collection.vector.getTile"),
    ] {
        let operation = &api["paths"][path]["get"];
        assert!(operation["operationId"].as_str().unwrap().ends_with(suffix), "{path}: {}", operation["operationId"]);
        let named = parameters(path).await;
        let named: BTreeSet<&str> = named.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let asked = path.split('{').skip(1).map(|piece| piece.split('}').next().unwrap());
        assert!(asked.clone().all(|name| named.contains(name)), "{path}: {named:?}");
    }
}

/// /conf/tilematrixset/model, /conf/json-tilematrixset/media-type, /conf/json-tilematrixset/model: the figures are those of
/// annex D.1 of OGC 17-083r4.
#[tokio::test]
async fn conf_tilematrixset_model() {
    let listed = json_of("/tileMatrixSets").await;
    let answer = get(&linked(&listed["tileMatrixSets"][0], "self").unwrap()).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let matrices = answer.json()["tileMatrices"].as_array().unwrap().clone();
    for (level, scale, cell, across) in [
        (0, 559_082_264.028_717_9, 156_543.033_928_041, 1),
        (1, 279_541_132.014_358_9, 78_271.516_964_020_5, 2),
        (14, 34_123.673_341_597, 9.554_628_535_647, 16_384),
        (24, 33.323_899_747, 0.009_330_691_929, 16_777_216),
    ] {
        let matrix = &matrices[level];
        assert_eq!(matrix["id"], level.to_string());
        assert_eq!((&matrix["matrixWidth"], &matrix["matrixHeight"]), (&json!(across), &json!(across)));
        assert_eq!((&matrix["tileWidth"], &matrix["tileHeight"]), (&json!(256), &json!(256)));
        for (name, expected) in [("scaleDenominator", scale), ("cellSize", cell)] {
            assert!((matrix[name].as_f64().unwrap() / expected - 1.0).abs() < 1e-9, "{level} {name}: {}", matrix[name]);
        }
        for (i, side) in [-20_037_508.342_789_2, 20_037_508.342_789_2].into_iter().enumerate() {
            assert!((matrix["pointOfOrigin"][i].as_f64().unwrap() - side).abs() < 1e-6);
        }
    }
}
