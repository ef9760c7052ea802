//! The routes of staff as keys meet them.

mod partners;
mod waiting;

use super::routes;
use crate::http::tests::{possible, told_parameters};
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

#[tokio::test]
async fn the_contract_names_the_parameters_that_each_act_takes_and_others_are_refused() {
    let contract: Value = serde_yaml_ng::from_str(include_str!("../../../openapi.yaml")).unwrap();
    let house = House::new().await;
    let mut keys = Vec::new();
    for role in ["owner", "gis", "partner:urssaf"] {
        keys.push((role.parse::<Role>().unwrap(), house.key(role, None).await.0));
    }
    let mut compared = 0;
    for (path, method, duty, _) in routes() {
        let key = &keys.iter().find(|(role, _)| role.may(duty)).unwrap().1;
        let answer = house.with_key(&method, &format!("{}?nope=1", filled(path)), key, TWO_ZONES).await;
        if answer.status == StatusCode::NOT_FOUND && path.contains("/drafts/{id}/collections/") {
            continue;
        }
        assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.json);
        let found = answer.json["found"].as_str().unwrap_or_default();
        assert!(found.contains("`nope`"), "{method} {path}: {}", answer.json);
        let operation = &contract["paths"][path][method.as_str().to_lowercase()];
        let mut told = told_parameters(&contract, operation);
        // What a raw body is called is no field of what is made of it.
        told.remove("file_name");
        assert_eq!(possible(&answer.json), told, "{method} {path}");
        compared += 1;
    }
    assert_eq!(compared + 1, routes().len());
}

/// Two establishments in A, one of them 20 m from B, and one that nobody can place; and a row that is none.
const REGISTER: &str = "siret;effectif;naf;millesime;source;longitude;latitude;qualite_xy\n\
    99000012700011;30;47.11F;2024;urssaf;5.005;47.305;11\n\
    99000012700029;10;47.11F;2024;urssaf;5.00974;47.305;11\n\
    73282932000074;20;47.11F;2024;urssaf;5.015;47.305;33\n\
    99000012700012;10;47.11F;2024;urssaf;5.005;47.305;11\n";

async fn with_zones_and_register(house: &House, key: &str) -> String {
    let zones = "/api/v1/zonings/secteurs/versions?version=1&file_name=z.geojson&reason=first";
    assert_eq!(house.with_key(&Method::POST, zones, key, TWO_ZONES).await.status, StatusCode::CREATED);
    let sent = house.with_key(&Method::POST, "/api/v1/registers?file_name=r.csv&crs=4326", key, REGISTER).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.json);
    sent.json["digest"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_people_decide_changes_the_worklist_and_stays_with_those_who_may_see_it() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let none = house.with_key(&Method::GET, "/api/v1/review?zoning=secteurs", &key, "").await;
    assert_eq!((none.status.as_u16(), &none.json["code"]), (404, &json!("unknown")));
    with_zones_and_register(&house, &key).await;
    let review = async |query: &str| {
        let answer = house.with_key(&Method::GET, &format!("/api/v1/review?zoning=secteurs{query}"), &key, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
        answer.json
    };
    let said = |list: &Value| -> Vec<String> {
        let line = |line: &Value| {
            let word = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            let (list, zone, siret) = (word("list"), word("zone"), word("siret"));
            format!("{list} {zone} {} {} {}", &siret[12..], line["doubts"][0].as_str().unwrap_or("-"), line["done"])
        };
        list["lines"].as_array().unwrap().iter().map(line).collect()
    };
    let first = review("&near=25").await;
    assert_eq!(
        said(&first),
        [
            "largest A 11 - false",
            "largest A 29 near_border false",
            "ambiguous - 74 random_in_commune false",
            "ambiguous A 29 near_border false"
        ]
    );
    let zones = |list: &Value| {
        let zone = |z: &Value| format!("{} {} of {}", z["zone"].as_str().unwrap(), z["done"], z["listed"]);
        list["completion"].as_array().unwrap().iter().map(zone).collect::<Vec<_>>()
    };
    assert_eq!(zones(&first), ["A 0 of 2", "B 0 of 0"]);

    for (body, field) in [
        (r#"{"siret":"99000012700012","decision":"close","reason":"gone"}"#, "`siret`"),
        (r#"{"siret":"99000012700011","decision":"shut","reason":"gone"}"#, "`decision`"),
        (r#"{"siret":"99000012700011","decision":"close","reason":" "}"#, "`reason`"),
        (r#"{"siret":"99000012700011","decision":"move","x":5.0,"reason":"moved"}"#, "`epsg`"),
        (r#"{"siret":"99000012700011","decision":"move","x":5,"y":47,"epsg":2154,"reason":"moved"}"#, "`x` and `y`"),
        (r#"{"siret":"99000012700011","decision":"move","x":5,"y":47,"epsg":999999,"reason":"moved"}"#, "`epsg`"),
        (r#"{"siret":"99000012700011","decision":"split","reason":"two"}"#, "`sites`"),
        (r#"{"siret":"99000012700011","decision":"close","reason":"gone","author":"Ana"}"#, "body"),
    ] {
        let refused = house.with_key(&Method::POST, "/api/v1/decisions", &key, body).await;
        assert_eq!((refused.status.as_u16(), &refused.json["place"]), (422, &json!(field)), "{}", refused.json);
        assert!(!refused.json.to_string().contains("990000127000"), "{}", refused.json);
    }
    let moved =
        r#"{"siret":"99000012700029","decision":"move","x":5.015,"y":47.305,"epsg":4326,"reason":"=seen there"}"#;
    let kept = house.with_key(&Method::POST, "/api/v1/decisions", &key, moved).await;
    assert_eq!((kept.status, &kept.json["decision"]["author"]), (StatusCode::CREATED, &json!("Jeanne Martin")));
    let of_a_file = "siret,decision,x,y,epsg,share,since,author,date,reason\n\
                     99000012700011,confirm,,,,,,Ana,2026-03-15,seen on site\n";
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "text/csv")];
    let of_tomorrow = of_a_file.replace("2026-03-15", "2999-03-15");
    let refused = house.send(&Method::POST, "/api/v1/decisions", &headers, &of_tomorrow).await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (422, &json!("bad_date")));
    let elsewhere = of_a_file.to_owned() + "99000012700011,move,850000,47,2154,,,Ana,2026-03-15,seen on site\n";
    for (text, place) in [
        (of_a_file.replace(",reason", ""), "decisions.csv"),
        (of_a_file.replace(",since", ",from"), "decisions.csv"),
        (of_a_file.replace("confirm", "confirmed"), "decisions.csv: row 2, field `decision`"),
        (elsewhere, "decisions.csv: row 3, field `x`"),
    ] {
        let refused = house.send(&Method::POST, "/api/v1/decisions", &headers, &text).await;
        assert_eq!((refused.status.as_u16(), &refused.json["place"]), (422, &json!(place)), "{}", refused.json);
    }
    let sent = house.send(&Method::POST, "/api/v1/decisions", &headers, of_a_file).await;
    assert_eq!((sent.status, &sent.json["kept"]), (StatusCode::CREATED, &json!(1)), "{}", sent.json);

    let after = review("&near=25").await;
    assert_eq!(zones(&after), ["A 1 of 1", "B 1 of 1"]);
    assert_eq!(
        said(&after),
        ["largest A 11 - true", "largest B 29 - true", "ambiguous - 74 random_in_commune false"],
        "whom somebody placed is in doubt no more"
    );
    assert_eq!(after["applied"]["moved"], 1);
    let page = review("&list=largest&zone=B&limit=1").await;
    assert_eq!((&page["numberMatched"], &page["lines"][0]["zone"]), (&json!(1), &json!("B")));

    let listed = house.with_key(&Method::GET, "/api/v1/decisions", &key, "").await.json;
    let decisions = listed["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 2);
    assert_eq!((&decisions[1]["author"], &decisions[1]["sent_by"]), (&json!("Ana"), &json!("Jeanne Martin")));
    let (partner, _) = house.key("partner:urssaf", None).await;
    for path in ["/api/v1/decisions", "/api/v1/review?zoning=secteurs"] {
        assert_eq!(house.with_key(&Method::GET, path, &partner, "").await.status, StatusCode::FORBIDDEN);
    }
    let history = house.with_key(&Method::GET, "/api/v1/history", &partner, "").await.json.to_string();
    assert!(history.contains("decision.taken") && !history.contains("990000127") && !history.contains("seen"));
}

#[tokio::test]
async fn the_columns_of_a_sender_are_shown_remembered_and_corrected() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let renamed = REGISTER.replace("siret;effectif", "Etab;Agents");
    let path = |map: &str| format!("/api/v1/registers?file_name=r.csv&crs=4326{map}");
    let send = async |map: &str, text: &str| house.with_key(&Method::POST, &path(map), &key, text).await;
    let unknown = send("", &renamed).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json["code"]), (422, &json!("column_missing")));
    let none = send("&map=taille%3DAgents", &renamed).await;
    assert_eq!((none.status.as_u16(), &none.json["code"]), (422, &json!("bad_mapping")));
    let told = send("&map=siret%3DEtab&map=effectif%3DAgents", &renamed).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.json);
    let report = &told.json["report"];
    assert_eq!((&report["accepted"], &report["refused"]), (&json!(3), &json!(1)));
    assert_eq!((&report["columns"]["taken"]["siret"], &report["mapping"]["from"]), (&json!("Etab"), &json!("request")));

    let rejects = format!("/api/v1/registers/{}/rejects", told.json["digest"].as_str().unwrap());
    let request = Request::get(&rejects).header("authorization", format!("Bearer {key}")).body(Body::empty());
    let answer = house.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let csv = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let csv = std::str::from_utf8(&csv).unwrap();
    assert!(csv.starts_with("file,line,field,code,found,expected\nr.csv,5,Etab,siret_key,"), "{csv}");
    assert!(!csv.contains("9900001270"), "{csv}");

    let next = send("", &renamed.replace(";30;", ";31;")).await;
    assert_eq!((next.status, &next.json["report"]["mapping"]["from"]), (StatusCode::CREATED, &json!("remembered")));
    // Two columns might be the headcount: the other one is taken from now on, and the report says so.
    let two =
        renamed.replace("qualite_xy\n", "qualite_xy;Postes\n").replace(";11\n", ";11;5\n").replace(";33\n", ";33;5\n");
    assert_eq!(send("", &two).await.json["report"]["columns"]["taken"]["effectif"], "Agents");
    let corrected = send("&map=siret%3DEtab&map=effectif%3DPostes", &two).await;
    assert_eq!((&corrected.json["new"], &corrected.json["read_again"]), (&json!(false), &json!(true)));
    let kept = format!("/api/v1/registers/{}", corrected.json["digest"].as_str().unwrap());
    let kept = house.with_key(&Method::GET, &kept, &key, "").await.json;
    assert_eq!(kept["report"]["columns"]["taken"]["effectif"], "Postes");

    let (other, _) = house.key("owner", None).await;
    let mapping = house.with_key(&Method::GET, "/api/v1/mapping", &other, "").await.json;
    assert_eq!(mapping["mapping"], json!({ "siret": "Etab", "effectif": "Postes" }), "of the person, whatever the key");
    let forgotten = house.with_key(&Method::POST, "/api/v1/mapping", &key, "{}").await.json;
    assert_eq!(forgotten["mapping"], Value::Null);
    let unknown = send("", &renamed.replace(";30;", ";32;")).await;
    assert_eq!(unknown.json["code"], "column_missing");
}

#[tokio::test]
async fn a_file_can_be_checked_mended_and_grouped_and_what_is_wrong_laid_over_a_map() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    // B begins 70 m within A.
    let overlapping = TWO_ZONES
        .replace("[5.01,47.3],[5.02", "[5.009,47.3],[5.02")
        .replace("[5.01,47.31],[5.01,47.3]]]}}]", "[5.009,47.31],[5.009,47.3]]]}}]");
    let post = async |path: &str, body: &str| house.with_key(&Method::POST, path, &key, body).await;
    let check = |query: &str| format!("/api/v1/zonings/secteurs/check?file_name=z.geojson{query}");
    let told = post(&check(""), &overlapping).await;
    assert_eq!((told.status, &told.json["verdict"]), (StatusCode::OK, &json!("accepted")), "{}", told.json);
    let map = post(&check("&f=geojson"), &overlapping).await;
    assert_eq!(map.headers["content-type"], "application/geo+json");
    assert_eq!(map.json["features"][0]["properties"]["kind"], "overlap", "{}", map.json);
    assert_eq!(map.json["features"][0]["geometry"]["type"], "MultiPolygon");
    let refused = post(&check("&expected=3"), TWO_ZONES).await;
    assert_eq!((refused.status, &refused.json["verdict"]), (StatusCode::OK, &json!("refused")));
    let mended = post(&check("&snap=90"), &overlapping).await.json;
    assert!(mended["report"]["changes"]["count"].as_u64() > Some(0), "{mended}");
    assert_eq!(post(&check("&snap=far"), TWO_ZONES).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&check("&partial=true"), TWO_ZONES).await.json["code"], "not_heeded");
    let none = house.with_key(&Method::GET, "/api/v1/zonings", &key, "").await;
    assert_eq!(none.json["zonings"], json!([]), "a check keeps nothing");

    let send = |zoning: &str, version: &str, more: &str| {
        format!("/api/v1/zonings/{zoning}/versions?version={version}&reason=r{more}")
    };
    let first = post(&send("secteurs", "1", "&file_name=z.geojson&snap=90"), &overlapping).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.json);
    assert_eq!(first.json["reading"]["repair"]["snap_m"], 90.0);
    let topology = house.with_key(&Method::GET, "/api/v1/zonings/secteurs/versions/1/topology", &key, "").await.json;
    let overlaps =
        |topology: &Value| topology["findings"].as_array().unwrap().iter().filter(|f| f["kind"] == "overlap").count();
    assert_eq!(overlaps(&topology), 0, "mended each time it is read: {topology}");
    let file = house.with_key(&Method::GET, "/api/v1/zonings/secteurs/versions/1/file", &key, "").await;
    assert_eq!(file.json, serde_json::from_str::<Value>(&overlapping).unwrap(), "and the file is as it was sent");

    let table = "secteur;quartier;nom_quartier\nA;Q;Centre\nB;Q;Centre\n";
    for (more, body, code) in [
        ("&groups_of=communes", table, "unknown"),
        ("&groups_of=secteurs&crs=2154", table, "not_heeded"),
        ("&groups_of=secteurs", "secteur;quartier\nA;Q\nC;Q\n", "zoning_refused"),
        ("&groups_of=secteurs", "secteur;quartier\nA;Q\n", "zoning_refused"),
    ] {
        let answer = post(&send("quartiers", "1", &format!("&file_name=q.csv{more}")), body).await;
        assert_eq!(answer.json["code"], code, "{}", answer.json);
    }
    let grouped = post(&send("quartiers", "1", "&file_name=q.csv&groups_of=secteurs"), table).await;
    assert_eq!(grouped.status, StatusCode::CREATED, "{}", grouped.json);
    assert_eq!(grouped.json["reading"]["groups"], json!({ "zoning": "secteurs", "version": "1", "partial": false }));
    assert_eq!(grouped.json["report"]["groups"], json!({ "Q": ["A", "B"] }));
    let of_groups = post(&send("faubourgs", "1", "&file_name=q.csv&groups_of=quartiers"), "m;g\nQ;F\n").await;
    assert_eq!(of_groups.json["code"], "groups_of_groups");
    let left_out = send("quartiers", "2", "&file_name=q.csv&groups_of=secteurs&partial=true");
    let partial = post(&left_out, "secteur;quartier\nA;Q\n").await.json;
    assert_eq!(partial["report"]["since"]["redrawn"][0]["code"], "Q", "{partial}");
    let items = house.with_key(&Method::GET, "/api/v1/zonings/quartiers/versions/1/items", &key, "").await.json;
    assert_eq!(items["features"][0]["properties"]["libelle"], "Centre");
    let again = post("/api/v1/zonings/quartiers/versions/1/restore", r#"{"reason":"back","version":"3"}"#).await;
    assert_eq!(again.json["reading"]["groups"]["version"], "1", "{}", again.json);
}

/// Twenty kilometres around the two zones, in EPSG:2154.
const TERRITORY_IN_METRES: &str = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"CODE":"T"},
    "geometry":{"type":"Polygon","coordinates":[[[840000,6680000],[860000,6680000],[860000,6700000],[840000,6700000],[840000,6680000]]]}}]}"#;

#[tokio::test]
async fn zones_are_held_against_a_territory_that_is_sent_with_them_or_kept() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    // From the west of A to the middle of B.
    let territory = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"CODE":"T"},"geometry":
        {"type":"Polygon","coordinates":[[[5.0,47.3],[5.015,47.3],[5.015,47.31],[5.0,47.31],[5.0,47.3]]]}}]}"#;
    let post = async |path: &str, body: &str| house.with_key(&Method::POST, path, &key, body).await;
    let keep = |zoning: &str, more: &str| {
        format!("/api/v1/zonings/{zoning}/versions?version=1&file_name=z.geojson&reason=r{more}")
    };
    assert_eq!(post(&keep("communes", ""), territory).await.status, StatusCode::CREATED);
    let beyond = |topology: &Value| -> Vec<String> {
        let of = topology["findings"].as_array().unwrap().iter().filter(|f| f["kind"] == "beyond_territory");
        of.map(|f| f["zones"].to_string()).collect()
    };
    let check = |more: &str| format!("/api/v1/zonings/secteurs/check?file_name=z.geojson{more}");
    let alone = post(&check(""), TWO_ZONES).await.json;
    assert_eq!((beyond(&alone["report"]["topology"]).len(), &alone["report"]["territory"]), (0, &Value::Null));
    let held = post(&check("&territory=communes"), TWO_ZONES).await.json;
    assert_eq!(beyond(&held["report"]["topology"]), [r#"["B"]"#], "{held}");
    let kept = json!({ "zoning": "communes", "version": "1" });
    assert_eq!(held["report"]["territory"], kept);
    let sent = post(&keep("secteurs", "&territory=communes"), TWO_ZONES).await;
    assert_eq!((sent.status, &sent.json["report"]["territory"]), (StatusCode::CREATED, &kept), "{}", sent.json);
    for (query, found) in [("", 0), ("?territory=communes&territory_version=1", 1)] {
        let path = format!("/api/v1/zonings/secteurs/versions/1/topology{query}");
        let topology = house.with_key(&Method::GET, &path, &key, "").await.json;
        assert_eq!(beyond(&topology).len(), found, "{topology}");
    }

    let part = |name: &str, file: &str, text: &str| {
        let file = if file.is_empty() { String::new() } else { format!("; filename=\"{file}\"") };
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
    };
    let form = async |path: &str, parts: &[String]| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=b")];
        house.send(&Method::POST, path, &headers, &format!("{}--b--\r\n", parts.concat())).await
    };
    let (zones, ground) = (part("file", "z.geojson", TWO_ZONES), part("territory", "t.geojson", territory));
    let told = form("/api/v1/zonings/secteurs/check", &[zones.clone(), ground.clone()]).await.json;
    assert_eq!(beyond(&told["report"]["topology"]).len(), 1, "{told}");
    assert_eq!(told["report"]["territory"], json!({ "file": "t.geojson" }));
    let unchosen = form("/api/v1/zonings/secteurs/check", &[zones.clone(), part("territory", "t", "")]).await.json;
    assert_eq!(unchosen["report"]["territory"], Value::Null, "as forms send what was not chosen");
    // A GeoJSON in metres without a word of its system: the refusal names the cure, and the cure cures.
    let in_metres = part("territory", "t.geojson", TERRITORY_IN_METRES);
    let unsaid = form("/api/v1/zonings/secteurs/check", &[zones.clone(), in_metres.clone()]).await;
    assert_eq!(unsaid.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unsaid.json);
    assert!(unsaid.json["expected"].as_str().unwrap().contains("give the system"), "{}", unsaid.json);
    let system = part("territory_crs", "", "EPSG:2154");
    let told = form("/api/v1/zonings/secteurs/check", &[zones.clone(), in_metres, system]).await;
    assert_eq!((told.status, beyond(&told.json["report"]["topology"]).len()), (StatusCode::OK, 0), "{}", told.json);
    let layer = part("territory_layer", "", "communes");
    let none = form("/api/v1/zonings/secteurs/check", &[zones.clone(), ground.clone(), layer]).await;
    assert_eq!(none.json["code"], "no_such_layer", "{}", none.json);
    let by_name = part("territory", "", "communes");
    let both = form("/api/v1/zonings/secteurs/check", &[zones.clone(), ground.clone(), by_name]).await;
    assert_eq!((both.status.as_u16(), &both.json["code"]), (422, &json!("not_heeded")), "{}", both.json);
    for (more, status, code) in [
        ("&territory_version=1", 422, "not_heeded"),
        ("&territory=communes&territory_crs=2154", 422, "not_heeded"),
        ("&territory_layer=communes", 422, "not_heeded"),
        ("&territory=quartiers", 404, "unknown"),
        ("&territory=communes&territory_version=2", 404, "unknown"),
    ] {
        let answer = post(&check(more), TWO_ZONES).await;
        assert_eq!((answer.status.as_u16(), &answer.json["code"]), (status, &json!(code)), "{more}");
    }
    let register = form("/api/v1/registers", &[part("file", "r.csv", REGISTER), ground]).await;
    assert_eq!((register.status.as_u16(), &register.json["found"]), (422, &json!("field `territory`")));
}

#[tokio::test]
async fn how_far_geocodes_are_trusted_and_whose_figure_counts_is_said_and_kept() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let post = async |path: &str, body: &str| house.with_key(&Method::POST, path, &key, body).await;
    let zones = "/api/v1/zonings/secteurs/versions?version=1&file_name=z.geojson&reason=first";
    assert_eq!(post(zones, TWO_ZONES).await.status, StatusCode::CREATED);
    // The first establishment is declared twice, the second stands somewhere on its street.
    let text = "siret;effectif;naf;millesime;source;longitude;latitude;qualite_xy\n\
        99000012700011;30;47.11F;2024;urssaf;5.005;47.305;11\n\
        99000012700011;4;47.11F;2024;msa;5.005;47.305;11\n\
        99000012700029;10;47.11F;2024;urssaf;5.015;47.305;12\n";
    let send = async |more: &str| post(&format!("/api/v1/registers?file_name=r.csv&crs=4326{more}"), text).await;
    let first = send("").await.json;
    assert_eq!((&first["reading"]["trust"], &first["report"]["unplaced"]), (&json!("street"), &json!(0)), "{first}");
    let less = send("&trust=number").await.json;
    assert_eq!((&less["read_again"], &less["report"]["unplaced_for"]["poor_geocode"]), (&json!(true), &json!(1)));
    assert_eq!(send("&trust=blind").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    // The same file once more, with nothing said of it: what was said before stands.
    let untold = post("/api/v1/registers?file_name=r.csv", text).await.json;
    assert_eq!((&untold["new"], &untold["read_again"]), (&json!(false), &json!(false)), "{untold}");
    let kept = house.with_key(&Method::GET, "/api/v1/registers", &key, "").await.json;
    let reading = &kept["registers"][0]["reading"];
    assert_eq!((&reading["trust"], &reading["crs"]), (&json!("number"), &json!({ "epsg": 4326 })), "{kept}");
    let back = send("&trust=street").await.json;
    assert_eq!((&back["read_again"], &back["report"]["unplaced"]), (&json!(true), &json!(0)), "{back}");

    let review = async |more: &str| {
        house.with_key(&Method::GET, &format!("/api/v1/review?zoning=secteurs{more}"), &key, "").await
    };
    let largest = async |more: &str| review(&format!("&list=largest&limit=1{more}")).await.json;
    let usual = largest("").await;
    assert_eq!(
        (&usual["lines"][0]["headcount"], &usual["keep"], &usual["in_both"]),
        (&json!(30), &json!("urssaf"), &json!(1))
    );
    let other = largest("&keep=msa").await;
    assert_eq!((&other["lines"][0]["headcount"], &other["keep"]), (&json!(4), &json!("msa")), "{other}");
    assert_eq!(review("&keep=caf").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(review("&list=in_both").await.status, StatusCode::BAD_REQUEST);
    let request = Request::get("/api/v1/review?zoning=secteurs&list=in_both&f=csv");
    let request = request.header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap();
    let answer = house.router.clone().oneshot(request).await.unwrap();
    let csv = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert_eq!(csv, "siret,millesime,urssaf,msa\n99000012700011,2024,30,4\n");

    let draft = r#"{"title":"t","zonings":{"secteurs":null},"registers":["00"],"keep":"caf","source":"s","licence":"l","owners":["o"],"dataset":"d"}"#;
    let digest = first["digest"].as_str().unwrap();
    let refused = post("/api/v1/drafts", &draft.replace("\"00\"", &format!("\"{digest}\""))).await;
    assert_eq!((refused.status.as_u16(), &refused.json["place"]), (422, &json!("`keep`")), "{}", refused.json);
}
