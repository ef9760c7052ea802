//! `openapi.yaml`, written by hand in OpenAPI 3.1, and its translation to 3.0, which GDAL and QGIS read.

use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The contract as written.
pub const OPENAPI_YAML: &str = include_str!("../../../openapi.yaml");

/// The contract in OpenAPI 3.0.
pub fn openapi_30() -> &'static Value {
    static TRANSLATED: LazyLock<Value> = LazyLock::new(|| {
        let contract = serde_yaml_ng::from_str(OPENAPI_YAML).expect("openapi.yaml is YAML, as its test checks");
        down(contract)
    });
    &TRANSLATED
}

/// The same, naming this service as its server.
pub fn served_at(base: &str) -> Value {
    let mut contract = openapi_30().clone();
    contract["servers"] = json!([{ "url": base }]);
    contract
}

/// Rewrites a 3.1 document as 3.0: what our contract uses, no more.
fn down(mut contract: Value) -> Value {
    contract["openapi"] = "3.0.3".into();
    if let Some(info) = contract["info"].as_object_mut() {
        info.remove("summary");
        if let Some(licence) = info.get_mut("license").and_then(Value::as_object_mut) {
            licence.remove("identifier");
        }
    }
    walk(contract)
}

/// Rewrites every schema within; names of properties are left alone, and so are examples.
fn walk(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(walk).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, value)| match (key.as_str(), value) {
                ("properties", Value::Object(named)) => {
                    (key, Value::Object(named.into_iter().map(|(name, schema)| (name, walk(schema))).collect()))
                }
                ("example" | "examples" | "default" | "enum" | "const", value) => (key, value),
                (_, value) => (key, walk(value)),
            });
            schema(members.collect())
        }
        plain => plain,
    }
}

fn schema(mut members: Map<String, Value>) -> Value {
    if let Some(Value::Array(types)) = members.get("type").cloned() {
        let nullable = types.contains(&json!("null"));
        let mut types: Vec<Value> = types.into_iter().filter(|t| *t != "null").collect();
        match types.len() {
            1 => {
                members.insert("type".into(), types.remove(0));
            }
            _ => {
                members.remove("type");
                members.insert("anyOf".into(), types.into_iter().map(|t| json!({ "type": t })).collect());
            }
        }
        if nullable {
            members.insert("nullable".into(), true.into());
        }
    }
    if members.remove("contentMediaType").is_some() {
        members.insert("format".into(), "binary".into());
    }
    if let Some(constant) = members.remove("const") {
        members.insert("enum".into(), json!([constant]));
    }
    // In a schema `examples` is a list; elsewhere it is a map, which 3.0 knows too.
    if let Some(Value::Array(examples)) = members.get("examples").cloned() {
        members.remove("examples");
        if let Some(first) = examples.into_iter().next() {
            members.insert("example".into(), first);
        }
    }
    for (bound, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(number) = members.get(bound).filter(|b| b.is_number()).cloned() {
            members.insert(limit.into(), number);
            members.insert(bound.into(), true.into());
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_3_1_says_is_said_in_3_0() {
        for (new, old) in [
            (json!({"type": ["integer", "null"]}), json!({"type": "integer", "nullable": true})),
            (json!({"type": ["integer", "string"]}), json!({"anyOf": [{"type": "integer"}, {"type": "string"}]})),
            (json!({"const": "Feature"}), json!({"enum": ["Feature"]})),
            (json!({"type": "string", "examples": ["a", "b"]}), json!({"type": "string", "example": "a"})),
            (json!({"examples": {"one": {"value": 1}}}), json!({"examples": {"one": {"value": 1}}})),
            (json!({"exclusiveMinimum": 0}), json!({"exclusiveMinimum": true, "minimum": 0})),
            (json!({"properties": {"const": {"const": 1}}}), json!({"properties": {"const": {"enum": [1]}}})),
        ] {
            assert_eq!(walk(new.clone()), old, "{new}");
        }
        let served = served_at("https://emploi.example.fr");
        assert_eq!(
            (&served["openapi"], &served["servers"][0]["url"]),
            (&json!("3.0.3"), &json!("https://emploi.example.fr"))
        );
        let text = served.to_string();
        for word in ["\"null\"]", "\"const\":", "\"examples\":[", "\"identifier\":"] {
            assert!(!text.contains(word), "{word} is not of OpenAPI 3.0");
        }
    }
}
