//! GeoJSON (RFC 7946), one feature at a time, so that a bad one does not lose the others.

use super::dbf::number;
use super::zones::{FEATURES_MAX, Field, FieldType, LayerReport, Raw, Row, cells_fit};
use crate::model::{Crs, Reject, Unreadable};
use geo::{Coord, LineString, MultiPolygon, Polygon};
use geojson::{Geometry, GeometryValue, PolygonType};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// A text whose features have been found, none of them judged yet.
pub(super) struct Document {
    file: String,
    features: Vec<Value>,
    /// The member `crs` of the 2008 draft, when there is one.
    crs: Option<Value>,
}

/// Bytes of one text: the IRIS of the whole country have half of it, and what is read takes several times the memory.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// Finds the features of a FeatureCollection, or the one Feature a text is.
pub(super) fn open(file: &str, text: &[u8]) -> Result<Document, Unreadable> {
    let refuse =
        |found: String| Unreadable::file("not_geojson", file, found, "GeoJSON: a FeatureCollection or a Feature");
    if text.len() > BYTES_MAX {
        let expected = format!("{BYTES_MAX} at most; a GeoPackage holds more");
        return Err(Unreadable::file("file_too_big", file, format!("{} bytes of GeoJSON", text.len()), expected));
    }
    let mut document: Value =
        serde_json::from_slice(text).map_err(|e| refuse(format!("text that is no JSON ({e})")))?;
    let crs = document.get_mut("crs").map(Value::take);
    let features = match document.get("type").and_then(Value::as_str) {
        Some("Feature") => vec![document],
        Some("FeatureCollection") => match document.get_mut("features").map(Value::take) {
            Some(Value::Array(features)) => features,
            _ => return Err(refuse("a FeatureCollection without an array `features`".into())),
        },
        Some(other) => return Err(refuse(format!("type `{}`", other.chars().take(40).collect::<String>()))),
        None => return Err(refuse("JSON without a `type`".into())),
    };
    if features.len() > FEATURES_MAX {
        let expected = format!("{FEATURES_MAX} at most");
        return Err(Unreadable::file("too_many_features", file, format!("{} features", features.len()), expected));
    }
    Ok(Document { file: file.to_owned(), features, crs })
}

/// What the text holds, without its contours.
pub(super) fn survey(document: &Document) -> LayerReport {
    let mut kinds: Vec<String> = Vec::new();
    let mut extent: Option<[f64; 4]> = None;
    for feature in &document.features {
        let Some(geometry) = feature.get("geometry").filter(|g| g.is_object()) else { continue };
        let kind =
            geometry.get("type").and_then(Value::as_str).unwrap_or("unknown").chars().take(40).collect::<String>();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        if let Some(coordinates) = geometry.get("coordinates") {
            widen(&mut extent, coordinates);
        }
    }
    let (crs, problems) = match declared(document) {
        Ok(crs) => (Some(crs), vec![]),
        Err(Unreadable(problem)) => (None, vec![problem]),
    };
    LayerReport {
        name: stem(&document.file),
        format: "GeoJSON",
        geometry: if kinds.is_empty() { "none".into() } else { kinds.join(", ") },
        polygonal: kinds.iter().any(|kind| kind == "Polygon" || kind == "MultiPolygon"),
        features: document.features.len(),
        fields: fields(document),
        crs,
        encoding: "UTF-8".into(),
        extent,
        problems,
    }
}

/// Every feature; `crs` is the system the operator names, which stands above the text's own.
pub(super) fn read(document: &Document, crs: Option<&Crs>) -> Result<Raw, Unreadable> {
    let crs = crs.cloned().map_or_else(|| declared(document), Ok)?;
    let fields = fields(document);
    cells_fit(&document.file, document.features.len(), fields.len())?;
    let mut warnings = Vec::new();
    let rows = document
        .features
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let record = i + 1;
            let cell = |field: &Field| value.get("properties").and_then(|p| p.get(&field.name)).and_then(scalar);
            let mut cells: Vec<Option<String>> = fields.iter().map(cell).collect();
            if let (Some(at), Some(id)) = (fields.iter().position(|f| f.name == "id"), value.get("id")) {
                cells[at] = cells[at].take().or_else(|| scalar(id));
            }
            Row { record, cells, contour: contour(&document.file, record, value) }
        })
        .collect();
    if document.crs.is_some() {
        let found = format!("a member `crs` of the 2008 draft ({crs})");
        let expected = "none: RFC 7946 knows longitude and latitude alone; it was believed".to_owned();
        warnings.push(Unreadable::file("crs_member", &document.file, found, expected).0);
    }
    Ok(Raw { fields, crs, rows, warnings })
}

/// File name without folder and extension.
fn stem(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.split_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

/// The system: CRS84 unless the text carries the member of the 2008 draft, which must then name a code.
fn declared(document: &Document) -> Result<Crs, Unreadable> {
    let Some(member) = document.crs.as_ref().filter(|crs| !crs.is_null()) else { return Ok(Crs::WGS84) };
    let name = member.pointer("/properties/name").and_then(Value::as_str).unwrap_or_default();
    let upper = name.to_ascii_uppercase();
    let code = upper.rsplit([':', '/']).next().and_then(|code| code.parse().ok()).filter(|_| upper.contains("EPSG"));
    match code {
        Some(code) => Ok(Crs::Epsg(code)),
        None if upper.contains("CRS84") => Ok(Crs::WGS84),
        None => {
            let found = format!("a member `crs` that names `{}`", name.chars().take(60).collect::<String>());
            Err(Unreadable::file("unknown_crs", &document.file, found, "a name such as urn:ogc:def:crs:EPSG::2154"))
        }
    }
}

/// The properties met in any feature, in the order met, then the member `id` when no property has that name.
fn fields(document: &Document) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for feature in &document.features {
        for (name, value) in feature.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let kind = kind(value);
            let Some(&at) = places.get(name.as_str()) else {
                places.insert(name, fields.len());
                fields.push(Field { name: name.clone(), kind: kind.unwrap_or(FieldType::Other) });
                continue;
            };
            fields[at].kind = match (fields[at].kind, kind) {
                (before, None) => before,
                (FieldType::Other, Some(now)) => now,
                (FieldType::Integer, Some(FieldType::Real)) => FieldType::Real,
                (FieldType::Real, Some(FieldType::Integer)) => FieldType::Real,
                (before, Some(now)) if before == now => before,
                (_, Some(_)) => FieldType::Text,
            };
        }
    }
    let has_id = fields.iter().any(|field| field.name.eq_ignore_ascii_case("id"));
    let mut ids = document.features.iter().filter_map(|f| kind(f.get("id")?));
    if let (false, Some(kind)) = (has_id, ids.next()) {
        fields.push(Field { name: "id".into(), kind });
    }
    fields
}

fn kind(value: &Value) -> Option<FieldType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(FieldType::Logical),
        Value::Number(n) if n.is_f64() => Some(FieldType::Real),
        Value::Number(_) => Some(FieldType::Integer),
        Value::String(_) => Some(FieldType::Text),
        Value::Array(_) | Value::Object(_) => Some(FieldType::Other),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(n) => number(&n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn contour(file: &str, record: usize, value: &Value) -> Result<MultiPolygon, Reject> {
    let reject = |code, found: String| Unreadable::record(code, file, record, found, "Polygon or MultiPolygon").0;
    let Some(geometry) = value.get("geometry").filter(|g| !g.is_null()) else {
        return Err(reject("null_geometry", "a feature without geometry".into()));
    };
    let geometry = Geometry::deserialize(geometry)
        .map_err(|e| reject("bad_geometry", e.to_string().chars().take(120).collect()))?;
    let polygons = match geometry.value {
        GeometryValue::Polygon { coordinates } => vec![coordinates],
        GeometryValue::MultiPolygon { coordinates } => coordinates,
        other => return Err(reject("wrong_type", other.type_name().into())),
    };
    if polygons.iter().all(Vec::is_empty) {
        return Err(reject("null_geometry", "a polygon without rings".into()));
    }
    let made: Option<Vec<Polygon>> = polygons.iter().map(polygon).collect();
    made.map(MultiPolygon).ok_or_else(|| reject("bad_geometry", "a position of fewer than two numbers".into()))
}

fn polygon(rings: &PolygonType) -> Option<Polygon> {
    let ring = |ring: &Vec<geojson::Position>| -> Option<LineString> {
        let coords = ring.iter().map(|p| Some(Coord { x: *p.as_slice().first()?, y: *p.as_slice().get(1)? }));
        coords.collect::<Option<Vec<_>>>().map(LineString::new)
    };
    let mut rings = rings.iter().map(ring).collect::<Option<Vec<_>>>()?.into_iter();
    Some(Polygon::new(rings.next().unwrap_or_else(|| LineString::new(vec![])), rings.collect()))
}

/// Widens a box by every position in nested arrays of numbers.
fn widen(extent: &mut Option<[f64; 4]>, coordinates: &Value) {
    let Value::Array(items) = coordinates else { return };
    match items[..] {
        [Value::Number(ref x), Value::Number(ref y), ..] => {
            let (Some(x), Some(y)) = (x.as_f64(), y.as_f64()) else { return };
            let [west, south, east, north] = extent.unwrap_or([x, y, x, y]);
            *extent = Some([west.min(x), south.min(y), east.max(x), north.max(y)]);
        }
        _ => items.iter().for_each(|item| widen(extent, item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: &str = "[[[0,0],[1,0],[1,1],[0,0]]]";

    fn parse(text: &str) -> Result<Raw, &'static str> {
        open("a.geojson", text.as_bytes()).and_then(|d| read(&d, None)).map_err(|e| e.0.code)
    }

    #[test]
    fn features_are_judged_one_by_one() {
        let polygon = format!(r#"{{"type":"Polygon","coordinates":{RING}}}"#);
        for (geometry, verdict) in [
            (polygon.as_str(), None),
            (r#"{"type":"MultiPolygon","coordinates":[[[[0,0,5],[1,0,5],[1,1,5],[0,0,5]]]]}"#, None),
            ("null", Some("null_geometry")),
            (r#"{"type":"Polygon","coordinates":[]}"#, Some("null_geometry")),
            (r#"{"type":"Point","coordinates":[0,0]}"#, Some("wrong_type")),
            (r#"{"type":"Polygon","coordinates":[[[0]]]}"#, Some("bad_geometry")),
            (r#"{"type":"Polygon","coordinates":[[["0","1"]]]}"#, Some("bad_geometry")),
            (r#"{"type":"Polygone"}"#, Some("bad_geometry")),
            ("7", Some("bad_geometry")),
        ] {
            let text = format!(
                r#"{{"type":"FeatureCollection","features":[
                    {{"type":"Feature","properties":{{"code":1.0}},"geometry":{geometry}}},
                    {{"type":"Feature","properties":{{"code":"2"}},"geometry":{polygon}}}]}}"#
            );
            let raw = parse(&text).unwrap();
            assert_eq!(raw.rows[0].contour.as_ref().err().map(|r| r.code), verdict, "{geometry}");
            assert!(raw.rows[1].contour.is_ok());
            assert_eq!(raw.rows[0].cells, [Some("1".to_owned())]);
        }
    }

    #[test]
    fn the_member_crs_is_believed_or_refused() {
        for (member, crs) in [
            ("", Ok(Crs::WGS84)),
            (r#""crs":null,"#, Ok(Crs::WGS84)),
            (r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}},"#, Ok(Crs::WGS84)),
            (r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::2154"}},"#, Ok(Crs::Epsg(2154))),
            (r#""crs":{"type":"name","properties":{"name":"EPSG:3947"}},"#, Ok(Crs::Epsg(3947))),
            (r#""crs":{"type":"name","properties":{"name":"Lambert"}},"#, Err("unknown_crs")),
            (r#""crs":{"type":"link"},"#, Err("unknown_crs")),
        ] {
            let text = format!(r#"{{"type":"FeatureCollection",{member}"features":[]}}"#);
            assert_eq!(parse(&text).map(|raw| raw.crs), crs, "{member}");
        }
    }

    #[test]
    fn what_is_no_geojson_is_said_to_be_none() {
        for text in
            ["{", "{}", r#"{"type":"Topology"}"#, r#"{"type":"FeatureCollection"}"#, r#"{"type":"Point"}"#, "[1e999]"]
        {
            assert_eq!(parse(text).err(), Some("not_geojson"), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(parse(&deep).err(), Some("not_geojson"), "nesting is bounded");
    }
}
