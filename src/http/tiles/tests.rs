//! Tiles and TopoJSON as their readers meet them.

use crate::http::tests::{ITEMS, ask, house, send};
use crate::steps::tiling::{EXTENT, ZOOM_MAX, tile_at};
use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TILES: &str = "/collections/secteurs/tiles";
const SET: &str = "/collections/secteurs/tiles/WebMercatorQuad";

/// One zone of a tile, as a map library reads it.
pub struct Shown {
    pub properties: Map<String, Value>,
    rings: Vec<Vec<[i64; 2]>>,
}

/// The fields of a message: number, and a varint or bytes.
enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    number
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (own, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(own)
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn numbers(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes));
    }
    numbers
}

/// The zones of a tile by code; its one layer must be named as the zoning and be of version 2.
pub fn read(tile: &[u8]) -> BTreeMap<String, Shown> {
    let (mut keys, mut values, mut features) = (Vec::new(), Vec::new(), Vec::new());
    for (_, layer) in fields(tile) {
        let Field::Bytes(layer) = layer else { panic!("a layer") };
        for field in fields(layer) {
            match field {
                (1, Field::Bytes(name)) => assert_eq!(name, b"secteurs"),
                (2, Field::Bytes(feature)) => features.push(feature),
                (3, Field::Bytes(key)) => keys.push(String::from_utf8(key.to_vec()).unwrap()),
                (4, Field::Bytes(value)) => values.push(match &fields(value)[..] {
                    [(1, Field::Bytes(text))] => json!(String::from_utf8(text.to_vec()).unwrap()),
                    [(5, Field::Number(number))] => json!(number),
                    _ => panic!("a text or a whole number"),
                }),
                (5, Field::Number(extent)) => assert_eq!(extent, EXTENT as u64),
                (15, Field::Number(version)) => assert_eq!(version, 2),
                (other, _) => panic!("field {other} of a layer"),
            }
        }
    }
    let shown = features.into_iter().map(|feature| {
        let mut shown = Shown { properties: Map::new(), rings: Vec::new() };
        for field in fields(feature) {
            match field {
                (2, Field::Bytes(tags)) => {
                    for pair in numbers(tags).chunks(2) {
                        shown.properties.insert(keys[pair[0] as usize].clone(), values[pair[1] as usize].clone());
                    }
                }
                (3, Field::Number(kind)) => assert_eq!(kind, 3, "polygons"),
                (4, Field::Bytes(commands)) => shown.rings = rings(&numbers(commands)),
                (other, _) => panic!("field {other} of a feature"),
            }
        }
        (shown.properties["code"].as_str().unwrap().to_owned(), shown)
    });
    shown.collect()
}

fn rings(commands: &[u64]) -> Vec<Vec<[i64; 2]>> {
    let (mut rings, mut at, mut here): (Vec<Vec<[i64; 2]>>, usize, [i64; 2]) = (Vec::new(), 0, [0, 0]);
    while at < commands.len() {
        let (command, count) = (commands[at] & 7, commands[at] >> 3);
        at += 1;
        match command {
            1 => rings.push(Vec::new()),
            2 => {}
            7 => continue,
            other => panic!("command {other}"),
        }
        for _ in 0..count {
            let step = |n: u64| (n >> 1) as i64 ^ -((n & 1) as i64);
            here = [here[0] + step(commands[at]), here[1] + step(commands[at + 1])];
            rings.last_mut().unwrap().push(here);
            at += 2;
        }
    }
    rings
}

/// The address of the tile of a zoom in the middle of the six sectors.
fn middle(zoom: u8) -> String {
    let tile = tile_at(5.03, 47.305, zoom);
    format!("{SET}/{}/{}/{}", tile.zoom, tile.row, tile.column)
}

#[tokio::test]
async fn a_tile_says_what_geojson_says_and_leaves_out_what_is_withheld() {
    for query in ["", "?naf=G", "?millesime=2023", "?source=msa", "?datetime=2023-12-31&naf=47"] {
        let features = ask(&format!("{ITEMS}{query}")).await.json()["features"].clone();
        let answer = ask(&format!("{}{query}", middle(10))).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, super::MVT), "{query}");
        let shown = read(&answer.body);
        assert_eq!(shown.len(), 6, "{query}");
        let mut withheld = 0;
        for feature in features.as_array().unwrap() {
            let mut told = feature["properties"].as_object().unwrap().clone();
            let secret = told["effectif_statut"] == "secret";
            withheld += usize::from(secret);
            assert_eq!(secret, told["effectif"].is_null());
            told.retain(|_, value| !value.is_null());
            told.insert("licence".to_owned(), json!("Licence Ouverte 2.0"));
            let properties = &shown[feature["id"].as_str().unwrap()].properties;
            assert_eq!(properties, &told, "{query}");
            for words in ["source", "derniere_mise_a_jour", "millesime", "perimetre", "notice"] {
                assert!(properties.contains_key(words), "{query}: {words}");
            }
        }
        assert!(withheld >= 2, "{query}");
    }
}

#[tokio::test]
async fn neighbours_share_their_border_at_every_zoom() {
    let mut met = 0;
    for zoom in 0..=ZOOM_MAX {
        let shown = read(&ask(&middle(zoom)).await.body);
        // The border between two sectors runs along a meridian, the upper one of each pair of sides.
        let sides = |code: &str, pick: fn(i64, i64) -> i64| -> BTreeSet<[[i64; 2]; 2]> {
            let Some(zone) = shown.get(code) else { return BTreeSet::new() };
            let x = zone.rings.iter().flatten().map(|at| at[0]).reduce(pick).unwrap();
            let edges = zone.rings.iter().flat_map(|ring| ring.iter().zip(ring.iter().cycle().skip(1)));
            edges.filter(|(a, b)| a[0] == x && b[0] == x).map(|(a, b)| [*a.min(b), *a.max(b)]).collect()
        };
        for (west, east) in [("S01", "S02"), ("S02", "S03"), ("S03", "S04"), ("S04", "S05"), ("S05", "S06")] {
            let (left, right) = (sides(west, i64::max), sides(east, i64::min));
            if !left.is_empty() && !right.is_empty() {
                assert_eq!(left, right, "{zoom}: {west} and {east}");
                met += 1;
            }
        }
    }
    assert!(met > 30, "{met} borders seen");
}

#[tokio::test]
async fn tiles_are_asked_strictly() {
    for (path, status, code) in [
        (middle(14), 200, ""),
        (format!("{SET}/0/0/0"), 200, ""),
        (format!("{SET}/0/0/0?f=mvt"), 200, ""),
        (format!("{SET}/0/0/1"), 404, "unknown_tile"),
        (format!("{SET}/0/1/0"), 404, "unknown_tile"),
        (format!("{SET}/14/16383/16383"), 404, "unknown_tile"),
        (format!("{SET}/14/16384/0"), 404, "unknown_tile"),
        (format!("{SET}/15/0/0"), 404, "unknown_tile"),
        (format!("{SET}/-1/0/0"), 404, "unknown_tile"),
        (format!("{SET}/+1/0/0"), 404, "unknown_tile"),
        (format!("{SET}/x/0/0"), 404, "unknown_tile"),
        (format!("{SET}/1/99999999999999999999/0"), 404, "unknown_tile"),
        (format!("{TILES}/WorldCRS84Quad/0/0/0"), 404, "unknown_tile_matrix_set"),
        (format!("{TILES}/WorldCRS84Quad"), 404, "unknown_tile_matrix_set"),
        ("/tileMatrixSets/WorldCRS84Quad".to_owned(), 404, "unknown_tile_matrix_set"),
        ("/collections/iris/tiles".to_owned(), 404, "unknown_collection"),
        (format!("{SET}/0/0/0?f=json"), 400, "bad_parameter"),
        (format!("{SET}?f=xml"), 400, "bad_parameter"),
        (format!("{TILES}?f=tilejson"), 400, "bad_parameter"),
        (format!("{SET}/0/0/0?limit=1"), 400, "unknown_parameter"),
        (format!("{SET}/0/0/0?naf=G&naf=C"), 400, "repeated_parameter"),
        (format!("{SET}/0/0/0?naf=Z"), 400, "bad_parameter"),
        (format!("{SET}/0/0/0?naf=G&source=msa"), 404, "crossing_not_published"),
        (format!("{SET}?f=tilejson&millesime=1999"), 400, "bad_parameter"),
        (format!("{ITEMS}?quantization=100"), 400, "bad_parameter"),
        (format!("{ITEMS}?f=topojson&quantization=1"), 400, "bad_parameter"),
        (format!("{ITEMS}?f=topojson&quantization=1000000001"), 400, "bad_parameter"),
        (format!("{ITEMS}?f=topojson&crs=http://www.opengis.net/def/crs/EPSG/0/2154"), 400, "bad_parameter"),
    ] {
        let answer = ask(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        if status != 200 {
            let json = answer.json();
            assert_eq!(json["code"], code, "{path}");
            assert!(["place", "found", "expected"].iter().all(|m| json[m].as_str().is_some_and(|m| !m.is_empty())));
        }
    }
}

#[tokio::test]
async fn a_tile_without_a_zone_has_no_byte_and_tiles_are_kept_by_tag() {
    let house = house();
    for (path, empty) in [(format!("{}?datetime=1999-12-31", middle(10)), true), (middle(10), false)] {
        let first = send(&house, Method::GET, &path, &[]).await;
        assert_eq!((first.status, first.body.is_empty()), (StatusCode::OK, empty), "{path}");
        let tag = first.header("etag").to_owned();
        let again = send(&house, Method::GET, &path, &[("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.header("etag")), (StatusCode::NOT_MODIFIED, tag.as_str()), "{path}");
    }
}

#[tokio::test]
async fn a_map_library_finds_the_tiles_and_what_they_hold() {
    let sets = ask(TILES).await.json();
    let item = |links: &Value| {
        let links = links.as_array().unwrap().iter();
        links.clone().find(|link| link["rel"] == "item").unwrap()["href"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        item(&sets["tilesets"][0]["links"]),
        format!("https://emploi.example.fr{SET}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}")
    );
    let set = ask(&format!("{SET}?naf=G")).await.json();
    assert_eq!(
        item(&set["links"]),
        format!("https://emploi.example.fr{SET}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}?naf=G")
    );
    let tile = tile_at(5.03, 47.305, 12);
    let limits = &set["tileMatrixSetLimits"][12];
    assert_eq!(limits["tileMatrix"], "12");
    assert!(limits["minTileRow"].as_u64() <= Some(u64::from(tile.row)));
    assert!(limits["maxTileCol"].as_u64() >= Some(u64::from(tile.column)));
    let json = ask(&format!("{SET}?f=tilejson&naf=G")).await.json();
    for about in [&set, &json] {
        assert_eq!(
            (&about["source"], &about["millesime"], &about["perimetre"]),
            (&json!("Urssaf et MSA"), &json!(2024), &json!("2025"))
        );
        assert_eq!((&about["licence"], &about["notice"]), (&json!("Licence Ouverte 2.0"), &json!("Données fictives.")));
    }
    assert_eq!(json["tilejson"], "3.0.0");
    assert_eq!(json["bounds"], json!([5.0, 47.3, 5.06, 47.31]));
    // A template filled in is a tile with the figures that were chosen, and its fields are those announced.
    let address = json["tiles"][0].as_str().unwrap().replace("https://emploi.example.fr", "");
    let address =
        address.replace("{z}", "12").replace("{y}", &tile.row.to_string()).replace("{x}", &tile.column.to_string());
    let shown = read(&ask(&address).await.body);
    let fields = json["vector_layers"][0]["fields"].as_object().unwrap();
    for zone in shown.values() {
        assert_eq!(zone.properties["naf"], "G");
        assert!(zone.properties.keys().all(|name| fields.contains_key(name)));
    }
    assert_eq!(json["vector_layers"][0]["id"], "secteurs");
    // Who looks around finds the way.
    let rels = |path: &'static str| async move {
        let links = ask(path).await.json()["links"].clone();
        links.as_array().unwrap().iter().map(|l| l["rel"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert!(rels("/").await.contains("http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes"));
    assert!(rels("/collections/secteurs").await.contains("http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"));
    let matrices = ask("/tileMatrixSets/WebMercatorQuad").await.json()["tileMatrices"].clone();
    // Figures of the annex of OGC 17-083r4.
    for (level, cell, scale) in [(0, 156_543.033_928, 559_082_264.028_7), (14, 9.554_628_535_6, 34_123.673_341_6)] {
        assert!((matrices[level]["cellSize"].as_f64().unwrap() / cell - 1.0).abs() < 1e-9);
        assert!((matrices[level]["scaleDenominator"].as_f64().unwrap() / scale - 1.0).abs() < 1e-9);
    }
}

#[tokio::test]
async fn a_person_reads_where_the_tiles_are_and_what_they_hold() {
    for path in [format!("{TILES}?f=html"), format!("{SET}?f=html&naf=G")] {
        let page = ask(&path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"), "{path}");
        let text = page.text().replace("&#x2f;", "/");
        for words in [format!("{SET}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"), "effectif_statut".to_owned()] {
            assert!(text.contains(&words), "{path}: {words}");
        }
        assert_eq!(text.contains("naf=G"), path.contains("naf=G"), "{path}: the figures chosen are those of the tiles");
    }
    let house = house();
    let by_browser = send(&house, Method::GET, SET, &[("accept", "text/html")]).await;
    assert_eq!(by_browser.header("content-type"), "text/html; charset=utf-8");
    let by_program = send(&house, Method::GET, SET, &[("accept", "*/*")]).await;
    assert_eq!(by_program.header("content-type"), "application/json");
}

#[tokio::test]
async fn topojson_writes_each_border_once_and_gives_the_same_zones() {
    let features = ask(ITEMS).await.json()["features"].clone();
    for (query, steps_a_degree) in [("", 1e7), ("&quantization=7", 1e7)] {
        let answer = ask(&format!("{ITEMS}?f=topojson{query}")).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.text().starts_with(r#"{"type":"Topology""#), "readers know it by its first words");
        let json = answer.json();
        let arcs = json["arcs"].as_array().unwrap();
        assert_eq!(arcs.len(), 15, "five borders shared, two ends, a top and a bottom of four");
        let (scale, origin) = match &json["transform"] {
            Value::Null => ([1.0, 1.0], [0.0, 0.0]),
            transform => {
                let pair = |name: &str| serde_json::from_value::<[f64; 2]>(transform[name].clone()).unwrap();
                (pair("scale"), pair("translate"))
            }
        };
        assert_eq!(json["transform"].is_null(), query.is_empty());
        let arc = |number: i64| -> Vec<[f64; 2]> {
            let written: Vec<[f64; 2]> =
                serde_json::from_value(arcs[if number < 0 { !number } else { number } as usize].clone()).unwrap();
            let mut sum = [0.0; 2];
            let mut places: Vec<[f64; 2]> = written
                .iter()
                .map(|p| {
                    sum = if query.is_empty() { *p } else { [sum[0] + p[0], sum[1] + p[1]] };
                    [sum[0] * scale[0] + origin[0], sum[1] * scale[1] + origin[1]]
                })
                .collect();
            if number < 0 {
                places.reverse();
            }
            places
        };
        let geometries = json["objects"]["secteurs"]["geometries"].as_array().unwrap();
        assert_eq!(geometries.len(), 6);
        for (geometry, feature) in geometries.iter().zip(features.as_array().unwrap()) {
            assert_eq!((&geometry["id"], &geometry["properties"]), (&feature["id"], &feature["properties"]));
            let numbers: Vec<Vec<Vec<i64>>> = serde_json::from_value(geometry["arcs"].clone()).unwrap();
            let mut ring: Vec<[f64; 2]> = Vec::new();
            for number in &numbers[0][0] {
                ring.pop();
                ring.extend(arc(*number));
            }
            assert_eq!(ring.first(), ring.last(), "closed");
            let twice_the_area: f64 = ring.windows(2).map(|w| w[0][0] * w[1][1] - w[1][0] * w[0][1]).sum();
            assert!(
                (twice_the_area - 2e-4).abs() < 1e-9,
                "{query}: counter-clockwise, a square of a hundredth of a degree"
            );
            let corners = |ring: &[[f64; 2]]| -> BTreeSet<[i64; 2]> {
                ring.iter().map(|at| at.map(|v| (v * steps_a_degree).round() as i64)).collect()
            };
            let given: Vec<[f64; 2]> =
                serde_json::from_value(feature["geometry"]["coordinates"][0][0].clone()).unwrap();
            assert_eq!(corners(&ring), corners(&given), "{query}");
        }
        for words in ["source", "derniere_mise_a_jour", "millesime", "perimetre", "licence", "numberMatched"] {
            assert!(!json[words].is_null(), "{words}");
        }
    }
    let page = ask(&format!("{ITEMS}?f=topojson&limit=2&offset=1&skipGeometry=true")).await.json();
    let geometries = &page["objects"]["secteurs"]["geometries"];
    assert_eq!((&geometries[0]["id"], &geometries[0]["type"]), (&json!("S02"), &Value::Null));
    assert_eq!((&page["numberReturned"], &page["arcs"]), (&json!(2), &json!([])));
    assert!(page["links"].as_array().unwrap().iter().any(|l| l["rel"] == "next"));
}
