//! `openapi.yaml`, written by hand in OpenAPI 3.1, and its translation to 3.0, which GDAL and QGIS read.

use crate::http::state::{OnShelf, Shelved};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

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

/// The same for what lies on the shelf: its address, and the vintages and codes that its releases have, so that a program
/// offers those and no others.
pub fn served_at(base: &str, on_shelf: &OnShelf) -> Value {
    let mut contract = openapi_30().clone();
    contract["servers"] = json!([{ "url": base }]);
    let releases: Vec<&Arc<Shelved>> = on_shelf.releases().collect();
    if releases.is_empty() {
        return contract;
    }
    let vintages: BTreeSet<u16> =
        releases.iter().flat_map(|shelved| shelved.release.vintages.keys()).copied().collect();
    offer(&mut contract, "millesime", vintages.into_iter().rev().map(Value::from));
    for dimension in ["naf", "tranche", "source"] {
        let codes: BTreeSet<&str> = releases.iter().flat_map(|shelved| shelved.menu.codes(dimension)).collect();
        offer(&mut contract, dimension, ["total"].into_iter().chain(codes).map(Value::from));
    }
    contract
}

/// Tells the values that a parameter takes, the first of them as its example.
fn offer(contract: &mut Value, parameter: &str, values: impl Iterator<Item = Value>) {
    let values: Vec<Value> = values.collect();
    let schema = &mut contract["components"]["parameters"][parameter]["schema"];
    schema["example"] = values.first().cloned().unwrap_or_default();
    schema["enum"] = values.into();
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
        let served = served_at("https://emploi.example.fr", &OnShelf::default());
        assert_eq!(
            (&served["openapi"], &served["servers"][0]["url"]),
            (&json!("3.0.3"), &json!("https://emploi.example.fr"))
        );
        // Examples are answers, and may hold what a contract may not.
        let mut bare = served.clone();
        bare["components"].as_object_mut().unwrap().remove("examples");
        let text = bare.to_string();
        for word in ["\"null\"]", "\"const\":", "\"examples\":[", "\"identifier\":"] {
            assert!(!text.contains(word), "{word} is not of OpenAPI 3.0");
        }
    }

    fn contract() -> Value {
        serde_yaml_ng::from_str(OPENAPI_YAML).unwrap()
    }

    /// A node, its reference followed.
    fn followed<'c>(contract: &'c Value, node: &'c Value) -> &'c Value {
        match node["$ref"].as_str() {
            Some(reference) => {
                contract.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"))
            }
            None => node,
        }
    }

    /// The examples of a parameter or of the content of an answer, those of its schema too.
    fn examples<'c>(contract: &'c Value, node: &'c Value) -> Vec<&'c Value> {
        let named = node["examples"].as_object().into_iter().flat_map(|named| named.values());
        let own = named.map(|example| &followed(contract, example)["value"]);
        let of_schema = followed(contract, &node["schema"])["examples"].as_array().into_iter().flatten();
        own.chain(of_schema).collect()
    }

    /// Operations with their path.
    fn operations(contract: &Value) -> Vec<(String, &Value)> {
        let paths = contract["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    /// Of what no example is given: pages for people, and files that are no text.
    fn is_shown(media: &str) -> bool {
        media.contains("json") || ["text/plain", "text/csv", "text/event-stream", "application/xml"].contains(&media)
    }

    #[test]
    fn every_parameter_and_every_answer_has_an_example_that_its_schema_takes() {
        let contract = contract();
        let mut judged = 0;
        let mut fit = |place: &str, node: &Value| {
            let found = examples(&contract, node);
            assert!(!found.is_empty(), "{place}: no example");
            let mut schema = node["schema"].clone();
            schema["components"] = contract["components"].clone();
            let judge = jsonschema::validator_for(&schema).unwrap();
            for example in found {
                let fault =
                    judge.iter_errors(example).next().map(|fault| format!("{}: {fault}", fault.instance_path()));
                assert_eq!(fault, None, "{place}");
                judged += 1;
            }
        };
        for (operation, told) in operations(&contract) {
            for parameter in told["parameters"].as_array().into_iter().flatten() {
                let parameter = followed(&contract, parameter);
                fit(&format!("{operation}: parameter {}", parameter["name"]), parameter);
            }
            for (status, answer) in told["responses"].as_object().unwrap().iter().filter(|told| told.0.starts_with('2'))
            {
                let contents = followed(&contract, answer)["content"].as_object().into_iter().flatten();
                for (media, content) in contents.filter(|content| is_shown(content.0)) {
                    fit(&format!("{operation}: {status} {media}"), content);
                }
            }
        }
        assert!(judged > 250, "{judged} examples");
    }

    /// What is met before any handler is told at each of them.
    #[test]
    fn every_operation_tells_the_refusals_of_the_front() {
        let contract = contract();
        for (operation, told) in operations(&contract) {
            let is_document = !["/api/v1", "/livez", "/readyz", "/metrics"].iter().any(|door| operation.contains(door));
            let parts = if is_document { &["206", "416"][..] } else { &[] };
            for status in ["413", "414", "429", "431", "503"].iter().chain(parts) {
                assert!(told["responses"][status].is_object(), "{operation}: {status}");
            }
        }
    }

    /// Of two members of one name a reader of JSON sees the last one alone.
    #[test]
    fn no_name_stands_twice() {
        assert!(serde_yaml_ng::from_str::<serde_yaml_ng::Value>(OPENAPI_YAML).is_ok());
        assert!(serde_yaml_ng::from_str::<serde_yaml_ng::Value>("a: 1\na: 2").is_err());
    }
}
