//! The routes of staff as keys meet them.

use super::routes;
use crate::http::{Shelf, Site, router_with_staff};
use crate::model::{Duty, Role};
use crate::pipeline::office::{Office, Settings, Who};
use crate::store::SqliteStore;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tower::ServiceExt;

struct House {
    router: Router,
    office: Office,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl House {
    async fn new() -> Self {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        let settings = Settings { approvals: vec!["urssaf".to_owned()], ..Settings::default() };
        let office = Office::new(store, settings, |_| ());
        Self { router: router_with_staff(Shelf::new(), Site::default(), office.clone()), office }
    }

    /// A key, and its public name.
    async fn key(&self, role: &str, expires: Option<&str>) -> (String, String) {
        let role: Role = role.parse().unwrap();
        let told = self.office.new_key(&Who::operator("test"), "Jeanne Martin", &role, expires).await.unwrap();
        (told["key"].as_str().unwrap().to_owned(), told["id"].as_str().unwrap().to_owned())
    }

    async fn send(&self, method: &Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, json: serde_json::from_slice(&body).unwrap_or_default() }
    }

    async fn with_key(&self, method: &Method, path: &str, key: &str, body: &str) -> Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {key}"))], body).await
    }
}

fn filled(path: &str) -> String {
    let names = [("{zoning}", "secteurs"), ("{version}", "1"), ("{digest}", "00"), ("{id}", "00")];
    names.into_iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[tokio::test]
async fn every_route_asks_for_a_key_whose_role_may() {
    let house = House::new().await;
    let mut keys = Vec::new();
    for role in ["gis", "owner", "partner:urssaf"] {
        keys.push((role.parse::<Role>().unwrap(), house.key(role, None).await.0));
    }
    for (path, method, duty, _) in routes() {
        let path = filled(path);
        let nobody = house.send(&method, &path, &[], "").await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(nobody.headers["www-authenticate"], "Bearer", "{method} {path}");
        assert_eq!(nobody.headers["content-type"], "application/problem+json", "{method} {path}");
        for (role, key) in &keys {
            let answer = house.with_key(&method, &path, key, "").await;
            let told = format!("{method} {path} by {role}: {}", answer.json);
            match role.may(duty) {
                true => {
                    assert!(![401, 403].contains(&answer.status.as_u16()) && answer.status.as_u16() < 500, "{told}")
                }
                false => assert_eq!(
                    (answer.status, &answer.json["code"]),
                    (StatusCode::FORBIDDEN, &json!("role_may_not")),
                    "{told}"
                ),
            }
            assert_eq!(answer.headers["cache-control"], "no-store", "{told}");
        }
    }
    assert_eq!(
        routes().iter().map(|r| r.2.as_str()).collect::<BTreeSet<_>>().len(),
        Duty::ALL.len(),
        "every duty has a route"
    );
}

#[tokio::test]
async fn only_a_key_that_works_opens_and_none_is_repeated() {
    let house = House::new().await;
    let me = async |header: String| house.send(&Method::GET, "/api/v1/me", &[("authorization", &header)], "").await;
    let (works, id) = house.key("gis", Some("2999-12-31")).await;
    let (ended, _) = house.key("gis", Some("2020-12-31")).await;
    let (other, _) = house.key("gis", None).await;
    let changed = format!("{}{}", &works[..works.len() - 1], if works.ends_with('0') { '1' } else { '0' });
    let mixed = format!("{}_{}", works.rsplit_once('_').unwrap().0, other.rsplit_once('_').unwrap().1);
    for (header, opens) in [
        (format!("Bearer {works}"), true),
        (format!("bearer {works}"), true),
        (format!("Basic {works}"), false),
        (works.clone(), false),
        (format!("Bearer {ended}"), false),
        (format!("Bearer {changed}"), false),
        (format!("Bearer {mixed}"), false),
        (format!("Bearer {}", works.to_uppercase()), false),
        ("Bearer ".to_owned(), false),
        ("Bearer arpent__".to_owned(), false),
    ] {
        let answer = me(header.clone()).await;
        assert_eq!(answer.status == StatusCode::OK, opens, "{header}: {}", answer.json);
        assert!(!answer.json.to_string().contains(works.rsplit_once('_').unwrap().1), "a key is repeated");
    }
    assert_eq!(me(format!("Bearer {works}")).await.json["name"], "Jeanne Martin");
    house.office.revoke_key(&Who::operator("test"), &id).await.unwrap();
    assert_eq!(me(format!("Bearer {works}")).await.status, StatusCode::UNAUTHORIZED, "at once");
    let told = house.office.keys().await.unwrap().to_string();
    assert!(told.contains("revoked") && !told.contains(works.rsplit_once('_').unwrap().1));
}

const TWO_ZONES: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","properties":{"CODE":"A"},"geometry":{"type":"Polygon","coordinates":[[[5.0,47.3],[5.01,47.3],[5.01,47.31],[5.0,47.31],[5.0,47.3]]]}},
    {"type":"Feature","properties":{"CODE":"B"},"geometry":{"type":"Polygon","coordinates":[[[5.01,47.3],[5.02,47.3],[5.02,47.31],[5.01,47.31],[5.01,47.3]]]}}]}"#;

#[tokio::test]
async fn a_request_with_a_name_is_done_once() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let bearer = format!("Bearer {key}");
    let path =
        |reason: &str| format!("/api/v1/zonings/secteurs/versions?version=1&file_name=z.geojson&reason={reason}");
    let send = |path: String, name: &'static str| {
        let (house, bearer) = (&house, &bearer);
        async move {
            let headers = [("authorization", bearer.as_str()), ("idempotency-key", name)];
            house.send(&Method::POST, &path, &headers, TWO_ZONES).await
        }
    };
    let refused = send(path(""), "n0").await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (422, &json!("reason_missing")));
    let first = send(path("first"), "n0").await;
    assert_eq!(first.status, StatusCode::CREATED, "what was refused leaves its name free: {}", first.json);
    assert_eq!(first.headers["location"], "/api/v1/zonings/secteurs/versions/1");
    assert_eq!((&first.json["new"], &first.json["report"]["topology"]["zones"]), (&json!(true), &json!(2)));
    let again = send(path("first"), "n0").await;
    assert_eq!((again.status, &again.json), (StatusCode::CREATED, &first.json));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = send(path("second"), "n0").await;
    assert_eq!((other.status.as_u16(), &other.json["code"]), (422, &json!("idempotency_key_reused")));
    let known = send(path("second"), "n1").await;
    assert_eq!((known.status, &known.json["new"]), (StatusCode::CREATED, &json!(false)), "the same content");
    let jobs = house.with_key(&Method::GET, "/api/v1/jobs", &key, "").await;
    assert_eq!(jobs.json["jobs"].as_array().unwrap().len(), 2, "the second request was no work");
}

#[tokio::test]
async fn a_file_in_parts_is_a_file_and_what_is_wrong_with_one_is_told_by_row() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let part =
        |name: &str, text: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    let file = |text: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\z.geojson\"\r\n\r\n{text}\r\n--b--\r\n"
        )
    };
    let send = |body: String| {
        let (house, bearer) = (&house, format!("Bearer {key}"));
        async move {
            let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=b")];
            house.send(&Method::POST, "/api/v1/zonings/secteurs/versions", &headers, &body).await
        }
    };
    let fields = part("version", "1") + &part("reason", "première") + &part("valid_from", "2026-01-01");
    let sent = send(fields.clone() + &file(TWO_ZONES)).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.json);
    assert_eq!((&sent.json["file"], &sent.json["valid_from"]), (&json!("z.geojson"), &json!("2026-01-01")));
    for (fields, file, status, code) in [
        (fields.clone() + &part("nom", "x"), file(TWO_ZONES), 422, "bad_request"),
        (fields.replace("2026-01-01", "hier"), file(TWO_ZONES), 422, "bad_date"),
        (fields.clone() + &part("expected", "48"), file(TWO_ZONES), 422, "zoning_refused"),
        (fields.clone(), file(&TWO_ZONES.replace("\"B\"", "\"A\"")), 422, "no_code_field"),
        (fields.clone(), file(&TWO_ZONES.replace("\"B\"", "\"C\"")), 409, "taken"),
        (fields.clone(), file("no GeoJSON"), 422, "not_geojson"),
        (fields.clone(), file(""), 422, "bad_request"),
    ] {
        let answer = send(fields + &file).await;
        assert_eq!((answer.status.as_u16(), &answer.json["code"]), (status, &json!(code)), "{}", answer.json);
        if code == "zoning_refused" {
            let reject = &answer.json["rejects"]["listed"][0];
            assert!(reject["found"].is_string() && reject["expected"].is_string(), "{}", answer.json);
        }
    }
    let versions = house.with_key(&Method::GET, "/api/v1/zonings/secteurs/versions", &key, "").await;
    assert_eq!(versions.json["versions"].as_array().unwrap().len(), 1, "what is refused is not kept");
}

#[tokio::test]
async fn the_contract_and_the_routes_of_staff_say_the_same() {
    let contract: Value = serde_yaml_ng::from_str(include_str!("../../../openapi.yaml")).unwrap();
    let mut written = BTreeSet::new();
    for (path, methods) in contract["paths"].as_object().unwrap().iter().filter(|(p, _)| p.starts_with("/api/v1")) {
        for (method, operation) in methods.as_object().unwrap() {
            written.insert((path.clone(), method.to_uppercase()));
            assert_eq!(operation["security"], json!([{ "key": [] }]), "{method} {path}");
            for status in ["401", "403"] {
                assert!(!operation["responses"][status].is_null(), "{method} {path}: {status}");
            }
        }
    }
    let served: BTreeSet<_> = routes().iter().map(|r| (r.0.to_owned(), r.1.to_string())).collect();
    assert_eq!(written, served);

    let house = House::new().await;
    let (key, _) = house.key("owner", None).await;
    let sent = "/api/v1/zonings/secteurs/versions?version=1&file_name=z.geojson&reason=first";
    assert_eq!(house.with_key(&Method::POST, sent, &key, TWO_ZONES).await.status, StatusCode::CREATED);
    let restore = "/api/v1/zonings/secteurs/versions/1/restore";
    let restored = house.with_key(&Method::POST, restore, &key, r#"{"reason":"back","version":"2"}"#).await;
    assert_eq!(restored.status, StatusCode::CREATED, "{}", restored.json);
    let read =
        routes().into_iter().filter(|r| r.1 == Method::GET && !r.0.ends_with("/file") && !r.0.ends_with("/events"));
    let (mut fitted, mut asked) = (0, 0);
    for (path, ..) in read {
        let query = if path.ends_with("/compare") { "?with=2" } else { "" };
        let answer = house.with_key(&Method::GET, &format!("{}{query}", filled(path)), &key, "").await;
        let mut response = &contract["paths"][path]["get"]["responses"][answer.status.as_str()];
        assert!(!response.is_null(), "{path}: {} is not in the contract", answer.status);
        if let Some(reference) = response["$ref"].as_str() {
            response = contract.pointer(reference.trim_start_matches('#')).unwrap();
        }
        let media = answer.headers["content-type"].to_str().unwrap();
        let mut schema = response["content"][media]["schema"].clone();
        assert!(!schema.is_null(), "{path}: {media} is not in the contract");
        schema["components"] = contract["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<String> = validator.iter_errors(&answer.json).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{path}: {faults:?} in {}", answer.json);
        fitted += usize::from(answer.status == StatusCode::OK);
        asked += 1;
    }
    assert!(fitted >= 11, "{fitted} of {asked} answered with what they are for");
}
