//! One layer of a vector tile as bytes (Mapbox Vector Tile 2.1, in Protocol Buffers).

use crate::steps::tiling::EXTENT;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Version of the specification.
const VERSION: u64 = 2;
/// The geometry type of polygons.
const POLYGON: u64 = 3;

/// Fields of the messages Tile, Layer, Feature and Value.
const TILE_LAYER: u64 = 3;
const LAYER_NAME: u64 = 1;
const LAYER_FEATURE: u64 = 2;
const LAYER_KEY: u64 = 3;
const LAYER_VALUE: u64 = 4;
const LAYER_EXTENT: u64 = 5;
const LAYER_VERSION: u64 = 15;
const FEATURE_TAGS: u64 = 2;
const FEATURE_TYPE: u64 = 3;
const FEATURE_GEOMETRY: u64 = 4;
const VALUE_STRING: u64 = 1;
const VALUE_DOUBLE: u64 = 3;
const VALUE_UINT: u64 = 5;
const VALUE_BOOL: u64 = 7;

/// Commands of a geometry.
const MOVE_TO: u32 = 1;
const LINE_TO: u32 = 2;
const CLOSE_PATH: u32 = 7;

/// A layer being filled; keys and values are written once and named by number.
#[derive(Default)]
pub struct Layer {
    features: Vec<u8>,
    keys: HashMap<String, u32>,
    values: HashMap<Vec<u8>, u32>,
}

impl Layer {
    /// Adds a zone: parts, each an exterior ring and its holes, and properties. A property that is null has no form in a
    /// vector tile and is left out.
    pub fn add(&mut self, parts: &[Vec<Vec<[i32; 2]>>], properties: &Map<String, Value>) {
        let mut tags = Vec::new();
        for (key, value) in properties {
            if let Some(value) = value_message(value) {
                tags.push(number_of(&mut self.keys, key.clone()));
                tags.push(number_of(&mut self.values, value));
            }
        }
        let mut feature = Vec::new();
        packed(&mut feature, FEATURE_TAGS, &tags);
        number(&mut feature, FEATURE_TYPE, POLYGON);
        packed(&mut feature, FEATURE_GEOMETRY, &commands(parts));
        bytes(&mut self.features, LAYER_FEATURE, &feature);
    }

    /// The tile that has this layer alone; without a feature, no byte at all.
    pub fn into_tile(self, name: &str) -> Vec<u8> {
        if self.features.is_empty() {
            return Vec::new();
        }
        let mut layer = Vec::new();
        number(&mut layer, LAYER_VERSION, VERSION);
        bytes(&mut layer, LAYER_NAME, name.as_bytes());
        layer.extend(self.features);
        for key in in_order(self.keys) {
            bytes(&mut layer, LAYER_KEY, key.as_bytes());
        }
        for value in in_order(self.values) {
            bytes(&mut layer, LAYER_VALUE, &value);
        }
        number(&mut layer, LAYER_EXTENT, EXTENT as u64);
        let mut tile = Vec::new();
        bytes(&mut tile, TILE_LAYER, &layer);
        tile
    }
}

fn number_of<T: Eq + std::hash::Hash>(known: &mut HashMap<T, u32>, thing: T) -> u32 {
    let next = known.len() as u32;
    *known.entry(thing).or_insert(next)
}

fn in_order<T>(known: HashMap<T, u32>) -> Vec<T> {
    let mut things: Vec<(T, u32)> = known.into_iter().collect();
    things.sort_by_key(|(_, number)| *number);
    things.into_iter().map(|(thing, _)| thing).collect()
}

fn value_message(value: &Value) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    match value {
        Value::String(text) => bytes(&mut message, VALUE_STRING, text.as_bytes()),
        Value::Bool(yes) => number(&mut message, VALUE_BOOL, u64::from(*yes)),
        Value::Number(figure) => match figure.as_u64() {
            Some(whole) => number(&mut message, VALUE_UINT, whole),
            None => {
                varint(&mut message, VALUE_DOUBLE << 3 | 1);
                message.extend(figure.as_f64()?.to_le_bytes());
            }
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(message)
}

/// Rings as commands; each place is told from the one before.
fn commands(parts: &[Vec<Vec<[i32; 2]>>]) -> Vec<u32> {
    let mut commands = Vec::new();
    let mut last = [0, 0];
    let mut go = |commands: &mut Vec<u32>, to: [i32; 2]| {
        commands.extend([zigzag(to[0] - last[0]), zigzag(to[1] - last[1])]);
        last = to;
    };
    for ring in parts.iter().flatten() {
        let [start, others @ ..] = &ring[..] else { continue };
        commands.push(MOVE_TO | 1 << 3);
        go(&mut commands, *start);
        commands.push(LINE_TO | (others.len() as u32) << 3);
        for place in others {
            go(&mut commands, *place);
        }
        commands.push(CLOSE_PATH | 1 << 3);
    }
    commands
}

fn zigzag(number: i32) -> u32 {
    ((number << 1) ^ (number >> 31)) as u32
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn packed(out: &mut Vec<u8>, field: u64, values: &[u32]) {
    let mut message = Vec::new();
    for value in values {
        varint(&mut message, u64::from(*value));
    }
    bytes(out, field, &message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polygon_is_written_as_in_the_specification() {
        // The example of Mapbox Vector Tile 2.1, 4.3.5.5 (a polygon), and its multipolygon's first two rings.
        assert_eq!(
            commands(&[vec![vec![[3, 6], [8, 12], [20, 34]]]]),
            [9, 6, 12, 18, 10, 12, 24, 44, 15],
            "one move, two lines, closed"
        );
        let square = vec![[0, 0], [10, 0], [10, 10], [0, 10]];
        let other = vec![[11, 11], [20, 11], [20, 20], [11, 20]];
        assert_eq!(
            commands(&[vec![square], vec![other]]),
            [9, 0, 0, 26, 20, 0, 0, 20, 19, 0, 15, 9, 22, 2, 26, 18, 0, 0, 18, 17, 0, 15]
        );
    }

    #[test]
    fn equal_keys_and_values_are_written_once() {
        let ring = vec![vec![vec![[0, 0], [10, 0], [10, 10]]]];
        let mut layer = Layer::default();
        for code in ["S01", "S02"] {
            let properties = serde_json::json!({"code": code, "effectif": null, "millesime": 2024, "statut": "secret"});
            layer.add(&ring, properties.as_object().unwrap());
        }
        let tile = layer.into_tile("secteurs");
        for (word, times) in
            [("code", 1), ("S01", 1), ("S02", 1), ("effectif", 0), ("millesime", 1), ("secret", 1), ("secteurs", 1)]
        {
            let found = tile.windows(word.len()).filter(|w| *w == word.as_bytes()).count();
            assert_eq!(found, times, "{word}");
        }
        assert_eq!(Layer::default().into_tile("secteurs"), [0_u8; 0], "an empty tile has no byte");
    }
}
