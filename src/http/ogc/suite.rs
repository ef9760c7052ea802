//! The abstract test suites of OGC API Features, Parts 1 to 3, and of CQL2: each test that applies bears its identifier.
//!
//! Left out: what a server without a body to parse cannot do wrong, and the classes that `/conformance` does not name.

use super::query::PROPERTIES;
use super::queryables::QUERYABLES;
use super::systems::System;
use super::view::QUERYABLES_REL;
use crate::http::filter::Kind;
use crate::http::tests::{Answer, ITEMS, ask, codes, release, send};
use crate::http::{Shelf, Site, TakenBack, router};
use crate::model::ReleaseId;
use crate::steps::publish::Release;
use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const BASE: &str = "https://emploi.example.fr";
const EARLIER: &str = "secteurs@aaaaaaaaaaaaaaaa";
const CURRENT: &str = "secteurs@0123456789abcdef";
const WITHDRAWN: &str = "secteurs@bbbbbbbbbbbbbbbb";

/// The service with an earlier release, one that was taken back, and the current one.
fn library() -> Router {
    let shelf = Shelf::new();
    let mut earlier = release();
    earlier.id = ReleaseId::from_digest("aaaaaaaaaaaaaaaa");
    earlier.provenance.updated = "2025-03-01T00:00:00Z".to_owned();
    earlier.zonings[0].version = "2024".to_owned();
    earlier.vintages.remove(&2024);
    let mut withdrawn = earlier.clone();
    withdrawn.id = ReleaseId::from_digest("bbbbbbbbbbbbbbbb");
    shelf.put(earlier);
    shelf.put(withdrawn);
    shelf.take_back(TakenBack {
        release: "bbbbbbbbbbbbbbbb".to_owned(),
        at: "2025-04-01T09:00:00Z".to_owned(),
        reason: "une erreur de géocodage".to_owned(),
    });
    shelf.put(release());
    router(shelf, Site { public_url: Some(BASE.to_owned()) })
}

async fn get(path: &str) -> Answer {
    send(&library(), Method::GET, path, &[]).await
}

/// A document that must be there, as JSON.
async fn json_of(path: &str) -> Value {
    let answer = get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

/// The names of the collections listed.
async fn collections() -> Vec<String> {
    let listed = json_of("/collections").await;
    listed["collections"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
}

/// The address of the first link of a relation, below that of the service.
fn linked(document: &Value, rel: &str) -> Option<String> {
    let links = document["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["rel"] == rel)?;
    Some(link["href"].as_str().unwrap().strip_prefix(BASE).unwrap().to_owned())
}

async fn conforms_to(class: &str) {
    let declared = json_of("/conformance").await;
    let uri = format!("http://www.opengis.net/spec/{class}");
    assert!(declared["conformsTo"].as_array().unwrap().contains(&json!(uri)), "{uri}");
}

/// The parameters that the contract gives for an operation, references followed.
async fn parameters(path: &str) -> Vec<Value> {
    let api = json_of("/api").await;
    let listed = api["paths"][path]["get"]["parameters"].as_array().unwrap().clone();
    let followed = listed.into_iter().map(|parameter| match parameter["$ref"].as_str() {
        Some(reference) => api.pointer(reference.trim_start_matches('#')).unwrap().clone(),
        None => parameter,
    });
    followed.collect()
}

async fn parameter(name: &str) -> Value {
    let listed = parameters("/collections/{zoning}/items").await;
    listed.into_iter().find(|parameter| parameter["name"] == name).unwrap_or_else(|| panic!("no parameter {name}"))
}

/// Refused with a problem that says place, found and expected.
fn is_refused(answer: &Answer, told: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{told}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{told}");
}

fn corners(feature: &Value) -> Vec<[f64; 2]> {
    let parts: Vec<Vec<Vec<[f64; 2]>>> = serde_json::from_value(feature["geometry"]["coordinates"].clone()).unwrap();
    parts.into_iter().flatten().flatten().collect()
}

mod part_1 {
    use super::*;

    /// /conf/core/http
    #[tokio::test]
    async fn conf_core_http() {
        for path in ["/", "/conformance", "/api", "/collections", ITEMS] {
            let head = send(&library(), Method::HEAD, path, &[]).await;
            assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        }
        assert_eq!(get("/nowhere").await.status, StatusCode::NOT_FOUND);
        assert_eq!(send(&library(), Method::POST, ITEMS, &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }

    /// /conf/core/root-op, /conf/core/root-success
    #[tokio::test]
    async fn conf_core_root_success() {
        let root = json_of("/").await;
        for rel in ["service-desc", "service-doc", "conformance", "data"] {
            let path = linked(&root, rel).unwrap_or_else(|| panic!("no link {rel}"));
            assert_eq!(get(&path).await.status, StatusCode::OK, "{rel}");
        }
    }

    /// /conf/core/api-definition-op, /conf/core/api-definition-success, /conf/oas30/oas-definition-1,
    /// /conf/oas30/oas-definition-2
    #[tokio::test]
    async fn conf_core_api_definition_success() {
        let root = json_of("/").await;
        let answer = get(&linked(&root, "service-desc").unwrap()).await;
        assert_eq!(answer.header("content-type"), "application/vnd.oai.openapi+json;version=3.0");
        assert!(answer.json()["openapi"].as_str().unwrap().starts_with("3.0."));
        let page = get(&linked(&root, "service-doc").unwrap()).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    }

    /// /conf/core/conformance-op, /conf/core/conformance-success
    #[tokio::test]
    async fn conf_core_conformance_success() {
        for class in ["core", "geojson", "html", "oas30"] {
            conforms_to(&format!("ogcapi-features-1/1.0/conf/{class}")).await;
        }
    }

    /// /conf/core/fc-md-op, /conf/core/fc-md-success, /conf/core/fc-md-links
    #[tokio::test]
    async fn conf_core_fc_md_success() {
        let listed = json_of("/collections").await;
        for rel in ["self", "alternate"] {
            let path = linked(&listed, rel).unwrap();
            assert_eq!(get(&path).await.status, StatusCode::OK, "{rel}");
        }
        assert!(listed["links"].as_array().unwrap().iter().all(|l| l["rel"].is_string() && l["type"].is_string()));
    }

    /// /conf/core/fc-md-items, /conf/core/fc-md-items-links
    #[tokio::test]
    async fn conf_core_fc_md_items() {
        assert_eq!(collections().await, ["secteurs", EARLIER], "the current release first");
        for collection in json_of("/collections").await["collections"].as_array().unwrap() {
            assert!(collection["title"].is_string() && collection["itemType"] == "feature");
            let items: Vec<&Value> =
                collection["links"].as_array().unwrap().iter().filter(|l| l["rel"] == "items").collect();
            let media: BTreeSet<&str> = items.iter().map(|l| l["type"].as_str().unwrap()).collect();
            assert!(media.contains("application/geo+json") && media.contains("text/html"), "{media:?}");
            for link in items {
                let path = link["href"].as_str().unwrap().strip_prefix(BASE).unwrap();
                assert_eq!(get(path).await.status, StatusCode::OK, "{path}");
            }
        }
    }

    /// /conf/core/fc-md-extent, /conf/core/fc-md-extent-multi
    #[tokio::test]
    async fn conf_core_fc_md_extent() {
        for id in collections().await {
            let extent = json_of(&format!("/collections/{id}")).await["extent"].clone();
            let [west, south, east, north]: [f64; 4] =
                serde_json::from_value(extent["spatial"]["bbox"][0].clone()).unwrap();
            for feature in json_of(&format!("/collections/{id}/items")).await["features"].as_array().unwrap() {
                let within = |[x, y]: &[f64; 2]| (west..=east).contains(x) && (south..=north).contains(y);
                assert!(corners(feature).iter().all(within), "{id}");
            }
            assert_eq!(extent["temporal"]["interval"][0][0], "2023-12-31T00:00:00Z", "{id}");
        }
    }

    /// /conf/core/sfc-md-op, /conf/core/sfc-md-success
    #[tokio::test]
    async fn conf_core_sfc_md_success() {
        for listed in json_of("/collections").await["collections"].as_array().unwrap() {
            let alone = json_of(&format!("/collections/{}", listed["id"].as_str().unwrap())).await;
            assert_eq!(alone, *listed);
        }
    }

    /// /conf/core/fc-op, /conf/core/fc-response, /conf/geojson/content
    #[tokio::test]
    async fn conf_core_fc_response() {
        for id in collections().await {
            let answer = get(&format!("/collections/{id}/items")).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (StatusCode::OK, "application/geo+json"),
                "{id}"
            );
            let json = answer.json();
            assert_eq!((&json["type"], codes(&answer).len()), (&json!("FeatureCollection"), 6), "{id}");
            assert!(json["features"].as_array().unwrap().iter().all(|f| f["type"] == "Feature"), "{id}");
        }
    }

    /// /conf/core/fc-links, /conf/core/fc-rel-type
    #[tokio::test]
    async fn conf_core_fc_links() {
        let page = json_of(&format!("{ITEMS}?limit=2&offset=2")).await;
        for rel in ["self", "alternate", "next", "prev", "collection"] {
            let path = linked(&page, rel).unwrap_or_else(|| panic!("no link {rel}"));
            assert_eq!(get(&path).await.status, StatusCode::OK, "{path}");
        }
        assert!(page["links"].as_array().unwrap().iter().all(|l| l["rel"].is_string() && l["type"].is_string()));
    }

    /// /conf/core/fc-timeStamp, /conf/core/fc-numberMatched, /conf/core/fc-numberReturned
    #[tokio::test]
    async fn conf_core_fc_number_matched_and_returned() {
        for (query, matched, returned) in
            [("", 6, 6), ("?limit=4", 6, 4), ("?limit=4&offset=4", 6, 2), ("?offset=9", 6, 0), ("?bbox=0,0,1,1", 0, 0)]
        {
            let page = json_of(&format!("{ITEMS}{query}")).await;
            assert_eq!(
                (&page["numberMatched"], &page["numberReturned"]),
                (&json!(matched), &json!(returned)),
                "{query}"
            );
            assert_eq!(page["features"].as_array().unwrap().len(), returned, "{query}");
            assert_eq!(page["timeStamp"], "2026-03-01T00:00:00Z");
        }
    }

    /// /conf/core/fc-limit-definition, /conf/core/fc-limit-response-1, /conf/core/fc-limit-response-2
    #[tokio::test]
    async fn conf_core_fc_limit_response() {
        let limit = parameter("limit").await;
        assert_eq!((&limit["in"], &limit["schema"]["type"]), (&json!("query"), &json!("integer")));
        assert_eq!((&limit["style"], &limit["explode"]), (&json!("form"), &json!(false)));
        for (limit, returned) in [("1", 1), ("6", 6), ("7", 6), ("10000", 6), ("10001", 6)] {
            assert_eq!(codes(&get(&format!("{ITEMS}?limit={limit}")).await).len(), returned, "{limit}");
        }
        is_refused(&get(&format!("{ITEMS}?limit=0")).await, "limit=0");
    }

    /// /conf/core/fc-bbox-definition, /conf/core/fc-bbox-response
    #[tokio::test]
    async fn conf_core_fc_bbox_response() {
        let bbox = parameter("bbox").await;
        assert_eq!(
            (&bbox["in"], &bbox["schema"]["type"], &bbox["explode"]),
            (&json!("query"), &json!("array"), &json!(false))
        );
        for (bbox, kept) in [
            ("5.001,47.301,5.015,47.302", vec!["S01", "S02"]),
            ("5.001,47.301,0,5.015,47.302,500", vec!["S01", "S02"]),
            ("170,47.301,5.005,47.302", vec!["S01"]),
            ("6,47,7,48", vec![]),
        ] {
            assert_eq!(codes(&get(&format!("{ITEMS}?bbox={bbox}")).await), kept, "{bbox}");
        }
        for bbox in ["5,47", "5,47,6,48,1", "5,48,6,47", "a,b,c,d"] {
            is_refused(&get(&format!("{ITEMS}?bbox={bbox}")).await, bbox);
        }
    }

    /// /conf/core/fc-time-definition, /conf/core/fc-time-response
    #[tokio::test]
    async fn conf_core_fc_time_response() {
        let datetime = parameter("datetime").await;
        assert_eq!((&datetime["in"], &datetime["schema"]["type"]), (&json!("query"), &json!("string")));
        for (datetime, vintage) in [
            ("2023-12-31T00:00:00Z", json!(2023)),
            ("2023-01-01T00:00:00Z/2023-12-31T23:59:59Z", json!(2023)),
            ("../2023-12-31", json!(2023)),
            ("2024-01-01/..", json!(2024)),
            ("2030-01-01/..", Value::Null),
        ] {
            let page = json_of(&format!("{ITEMS}?datetime={datetime}")).await;
            assert_eq!(page["millesime"], vintage, "{datetime}");
            assert_eq!(page["numberMatched"], if vintage.is_null() { 0 } else { 6 }, "{datetime}");
        }
        is_refused(&get(&format!("{ITEMS}?datetime=hier")).await, "hier");
    }

    /// /conf/core/query-param-invalid, /conf/core/query-param-unknown
    #[tokio::test]
    async fn conf_core_query_param_unknown() {
        let listed = ["/", "/conformance", "/api", "/collections", "/collections/secteurs", ITEMS];
        for path in listed.into_iter().chain(["/collections/secteurs/items/S01", "/collections/secteurs/queryables"]) {
            is_refused(&get(&format!("{path}?inconnu=1")).await, path);
            is_refused(&get(&format!("{path}?f=inconnu")).await, path);
        }
    }

    /// /conf/core/f-op, /conf/core/f-success, /conf/core/f-links
    #[tokio::test]
    async fn conf_core_f_success() {
        for id in collections().await {
            let page = json_of(&format!("/collections/{id}/items")).await;
            for listed in page["features"].as_array().unwrap() {
                let path = format!("/collections/{id}/items/{}", listed["id"].as_str().unwrap());
                let alone = json_of(&path).await;
                for member in ["id", "geometry", "properties"] {
                    assert_eq!(alone[member], listed[member], "{path}");
                }
                for rel in ["self", "alternate", "collection"] {
                    assert_eq!(get(&linked(&alone, rel).unwrap()).await.status, StatusCode::OK, "{path} {rel}");
                }
            }
        }
    }

    /// /conf/geojson/definition, /conf/html/definition, /conf/html/content
    #[tokio::test]
    async fn conf_html_content() {
        for path in
            ["/", "/conformance", "/collections", "/collections/secteurs", ITEMS, "/collections/secteurs/items/S01"]
        {
            let page = send(&library(), Method::GET, path, &[("accept", "text/html")]).await;
            assert_eq!(
                (page.status, page.header("content-type")),
                (StatusCode::OK, "text/html; charset=utf-8"),
                "{path}"
            );
            let same = send(&library(), Method::GET, path, &[("accept", "application/json")]).await;
            assert!(same.header("content-type").contains("json"), "{path}");
        }
    }

    /// /conf/oas30/oas-impl, /conf/oas30/completeness, /conf/oas30/exceptions-codes
    #[tokio::test]
    async fn conf_oas30_completeness() {
        let api = json_of("/api").await;
        for path in ["/", "/conformance", "/collections", "/collections/{zoning}", "/collections/{zoning}/items"] {
            let told = &api["paths"][path]["get"]["responses"];
            assert!(told["200"]["content"].is_object() && told["400"].is_object(), "{path}");
            let filled = path.replace("{zoning}", "secteurs");
            for (query, status) in [("", "200"), ("?inconnu=1", "400")] {
                assert_eq!(get(&format!("{filled}{query}")).await.status.as_str(), status, "{path}");
            }
        }
    }
}

mod part_2 {
    use super::*;

    /// The corners of a zone in a system, as written.
    async fn zone_in(path: &str, system: System) -> (Answer, Vec<[f64; 2]>) {
        let answer = get(&format!("{path}?crs={}", system.uri())).await;
        let json = answer.json();
        let feature = if json["features"].is_array() { json["features"][0].clone() } else { json };
        (answer, corners(&feature))
    }

    /// /conf/crs/crs-uri, /conf/crs/default-crs, /conf/crs/storageCrs
    #[tokio::test]
    async fn conf_crs_crs_uri_default_crs_storage_crs() {
        conforms_to("ogcapi-features-2/1.0/conf/crs").await;
        for collection in json_of("/collections").await["collections"].as_array().unwrap() {
            let listed: Vec<&str> =
                collection["crs"].as_array().unwrap().iter().map(|crs| crs.as_str().unwrap()).collect();
            assert_eq!(listed, System::ALL.map(System::uri));
            assert!(listed.iter().all(|uri| uri.starts_with("http://www.opengis.net/def/crs/")));
            assert_eq!(listed[0], "http://www.opengis.net/def/crs/OGC/1.3/CRS84", "some clients take the first");
            assert!(listed.contains(&collection["storageCrs"].as_str().unwrap()));
        }
    }

    /// /conf/crs/crs-parameter
    #[tokio::test]
    async fn conf_crs_crs_parameter() {
        assert_eq!(parameter("crs").await["in"], "query");
        for path in [ITEMS, "/collections/secteurs/items/S01", "/collections/secteurs@aaaaaaaaaaaaaaaa/items"] {
            for system in System::ALL {
                let (answer, _) = zone_in(path, system).await;
                assert_eq!(answer.status, StatusCode::OK, "{path} {system:?}");
                assert_eq!(answer.header("content-crs"), format!("<{}>", system.uri()), "{path}");
            }
        }
    }

    /// /conf/crs/crs-parameter-invalid
    #[tokio::test]
    async fn conf_crs_crs_parameter_invalid() {
        for path in [ITEMS, "/collections/secteurs/items/S01"] {
            for crs in ["http://www.opengis.net/def/crs/EPSG/0/27572", "EPSG:2154", "CRS84"] {
                is_refused(&get(&format!("{path}?crs={crs}")).await, crs);
            }
        }
    }

    /// /conf/crs/crs-parameter-default
    #[tokio::test]
    async fn conf_crs_crs_parameter_default() {
        for path in [ITEMS, "/collections/secteurs/items/S01"] {
            let answer = get(path).await;
            assert_eq!(answer.header("content-crs"), "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>");
            let named = get(&format!("{path}?crs={}", System::Crs84.uri())).await;
            assert_eq!(named.json()["geometry"], answer.json()["geometry"]);
        }
    }

    /// /conf/crs/crs-parameter-transform: the corner 5° E, 47.3° N, where PROJ's cs2cs puts it.
    #[tokio::test]
    async fn conf_crs_crs_parameter_transform() {
        for (system, corner, tolerance) in [
            (System::Crs84, [5.0, 47.3], 1e-9),
            (System::LatitudeFirst, [47.3, 5.0], 1e-9),
            (System::Lambert93, [851_112.823_3, 6_690_767.230_1], 0.011),
            (System::ConicZone47, [1_851_231.171_8, 6_235_279.986_5], 0.011),
            (System::WebMercator, [556_597.454, 5_991_179.924_7], 0.011),
        ] {
            for path in [ITEMS, "/collections/secteurs/items/S01"] {
                let (_, corners) = zone_in(path, system).await;
                let near = |c: &[f64; 2]| (c[0] - corner[0]).abs() < tolerance && (c[1] - corner[1]).abs() < tolerance;
                assert!(corners.iter().any(near), "{path} {system:?}: {corners:?}");
            }
        }
    }

    /// /conf/crs/bbox-crs-parameter, /conf/crs/bbox-crs-action
    #[tokio::test]
    async fn conf_crs_bbox_crs_parameter() {
        assert_eq!(parameter("bbox-crs").await["in"], "query");
        // Five metres around the middle of the second zone, and a box that takes in the third too, in each system.
        for system in System::ALL {
            let (_, zone) = zone_in("/collections/secteurs/items/S02", system).await;
            let (_, next) = zone_in("/collections/secteurs/items/S03", system).await;
            let middle = |corners: &[[f64; 2]]| {
                let sum = corners[1..].iter().fold([0.0, 0.0], |sum, c| [sum[0] + c[0], sum[1] + c[1]]);
                sum.map(|sum| sum / (corners.len() - 1) as f64)
            };
            let (one, two) = (middle(&zone), middle(&next));
            let reach = if system.way().is_some() { 5.0 } else { 5e-5 };
            for (to, kept) in [(one, vec!["S02"]), (two, vec!["S02", "S03"])] {
                let (low, high) = ([one[0].min(to[0]), one[1].min(to[1])], [one[0].max(to[0]), one[1].max(to[1])]);
                let sides = [low[0] - reach, low[1] - reach, high[0] + reach, high[1] + reach].map(|n| n.to_string());
                let heights = [&sides[0], &sides[1], "-10", &sides[2], &sides[3], "4000"].join(",");
                for bbox in [sides.join(","), heights] {
                    let answer = get(&format!("{ITEMS}?bbox={bbox}&bbox-crs={}", system.uri())).await;
                    assert_eq!(codes(&answer), kept, "{system:?} {bbox}");
                    assert_eq!(answer.header("content-crs"), "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>");
                }
            }
        }
    }

    /// /conf/crs/bbox-crs-parameter-invalid
    #[tokio::test]
    async fn conf_crs_bbox_crs_parameter_invalid() {
        for crs in ["http://www.opengis.net/def/crs/EPSG/0/27572", "EPSG:2154"] {
            is_refused(&get(&format!("{ITEMS}?bbox=5,47,6,48&bbox-crs={crs}")).await, crs);
        }
        let reversed = format!("{ITEMS}?bbox=854000,6692000,853000,6693000&bbox-crs={}", System::Lambert93.uri());
        is_refused(&get(&reversed).await, "no antimeridian in metres");
    }

    /// /conf/crs/bbox-crs-parameter-default
    #[tokio::test]
    async fn conf_crs_bbox_crs_parameter_default() {
        let (bare, named) = (format!("{ITEMS}?bbox=5.011,47.301,5.012,47.302"), System::Crs84.uri());
        assert_eq!(codes(&get(&bare).await), ["S02"]);
        assert_eq!(codes(&get(&format!("{bare}&bbox-crs={named}")).await), ["S02"]);
        assert_eq!(
            codes(&get(&format!("{bare}&crs={}", System::Lambert93.uri())).await),
            ["S02"],
            "`crs` is not meant"
        );
    }
}

mod part_3 {
    use super::*;

    /// What a filter keeps, of all zones.
    async fn kept(filter: &str) -> Vec<String> {
        let filter = super::super::query::encode(filter, "");
        let answer = get(&format!("{ITEMS}?filter-lang=cql2-text&filter={filter}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{filter}: {}", answer.text());
        codes(&answer)
    }

    /// /conf/queryables/get-conformance, /conf/filter/get-conformance, /conf/features-filter/get-conformance
    #[tokio::test]
    async fn conf_queryables_get_conformance() {
        for class in ["queryables", "filter", "features-filter"] {
            conforms_to(&format!("ogcapi-features-3/1.0/conf/{class}")).await;
        }
        for class in ["cql2-text", "basic-cql2"] {
            conforms_to(&format!("cql2/1.0/conf/{class}")).await;
        }
    }

    /// /conf/queryables/get-queryables-uris, /conf/features-filter/get-collection
    #[tokio::test]
    async fn conf_queryables_get_queryables_uris() {
        for id in collections().await {
            let uri = format!("{BASE}/collections/{id}/queryables");
            let described = json_of(&format!("/collections/{id}")).await;
            assert_eq!(linked(&described, QUERYABLES_REL), Some(format!("/collections/{id}/queryables")));
            for path in [format!("/collections/{id}"), format!("/collections/{id}/items")] {
                let head = send(&library(), Method::HEAD, &path, &[]).await;
                let links: Vec<&str> = head.headers.get_all("link").iter().map(|l| l.to_str().unwrap()).collect();
                let named = format!("<{uri}>; rel=\"{QUERYABLES_REL}\"");
                assert!(links.iter().any(|link| link.starts_with(&named)), "{path}: {links:?}");
            }
        }
    }

    /// /conf/queryables/get-queryables
    #[tokio::test]
    async fn conf_queryables_get_queryables() {
        assert_eq!(QUERYABLES.map(|queryable| queryable.name), PROPERTIES);
        for id in collections().await {
            let answer = get(&format!("/collections/{id}/queryables")).await;
            assert_eq!(answer.header("content-type"), "application/schema+json");
            let schema = answer.json();
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            assert_eq!(schema["$id"], format!("{BASE}/collections/{id}/queryables"));
            assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
            let properties = schema["properties"].as_object().unwrap();
            for (name, kind) in QUERYABLES.map(|queryable| (queryable.name, queryable.kind)) {
                let (told, format) = match kind {
                    Kind::Number => ("integer", Value::Null),
                    Kind::DateTime => ("string", json!("date-time")),
                    Kind::Text | Kind::Bool => ("string", Value::Null),
                };
                assert_eq!(
                    (&properties[name]["type"], &properties[name]["format"]),
                    (&json!(told), &format),
                    "{id} {name}"
                );
            }
            assert_eq!(properties.len(), PROPERTIES.len(), "{id}");
            jsonschema::validator_for(&schema).unwrap();
        }
    }

    /// /conf/filter/filter-param, /conf/filter/filter-lang-param, /conf/filter/filter-crs-param
    #[tokio::test]
    async fn conf_filter_filter_param() {
        for (name, value) in [("filter", "string"), ("filter-lang", "string")] {
            assert_eq!(parameter(name).await["schema"]["type"], value, "{name}");
        }
        assert_eq!(parameter("filter-lang").await["schema"]["enum"], json!(["cql2-text"]));
        assert_eq!(parameter("filter-crs").await["in"], "query");
    }

    /// /conf/filter/expression-construction, /conf/filter/mixing-expressions, /conf/features-filter/filter-on-items,
    /// /conf/features-filter/mixing-expression
    #[tokio::test]
    async fn conf_filter_mixing_expressions() {
        let filter = "filter=code%20%3E%20%27S01%27";
        assert_eq!(codes(&get(&format!("{ITEMS}?{filter}")).await), ["S02", "S03", "S04", "S05", "S06"]);
        assert_eq!(codes(&get(&format!("{ITEMS}?{filter}&bbox=5.001,47.301,5.012,47.302")).await), ["S02"]);
        assert_eq!(codes(&get(&format!("{ITEMS}?{filter}&limit=2&offset=1")).await), ["S03", "S04"]);
        let page = json_of(&format!("{ITEMS}?{filter}&limit=2")).await;
        assert_eq!((&page["numberMatched"], linked(&page, "next").unwrap().contains(filter)), (&json!(5), true));
        assert_eq!(codes(&get(&format!("{ITEMS}?{filter}&datetime=2030-01-01/..")).await), Vec::<String>::new());
    }

    /// /conf/filter/invalid-expression: the answer names the place and the properties there are.
    #[tokio::test]
    async fn conf_filter_invalid_expression() {
        for filter in
            ["effectif>", "emplois>1", "libelle>1", "code='S01", "effectif>1)", "S_INTERSECTS(geometry,POINT(5 47))"]
        {
            let answer = get(&format!("{ITEMS}?filter={}", super::super::query::encode(filter, ""))).await;
            is_refused(&answer, filter);
            assert!(answer.json()["place"].as_str().unwrap().contains("`filter`"), "{filter}");
        }
        let told = get(&format!("{ITEMS}?filter=emplois%3E1")).await.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains("emplois") && told.contains("effectif") && told.contains("libelle"), "{told}");
    }

    /// /conf/basic-cql2/comparison, /conf/basic-cql2/is-null, /conf/basic-cql2/logical
    #[tokio::test]
    async fn conf_basic_cql2_comparison() {
        for (filter, zones) in [
            ("code = 'S01'", vec!["S01"]),
            ("code <> 'S01' AND code < 'S03'", vec!["S02"]),
            ("code >= 'S05' OR code <= 'S01'", vec!["S01", "S05", "S06"]),
            ("NOT code > 'S01'", vec!["S01"]),
            ("libelle = 'Gare, \"nord\"'", vec!["S03"]),
            ("libelle LIKE 'C%'", vec!["S01"]),
            ("etablissements = 0", vec!["S06"]),
            ("effectif BETWEEN 0 AND 10", vec!["S06"]),
            ("code IN ('S06', 'S01', 'S99')", vec!["S01", "S06"]),
            ("millesime = 2024 AND naf = 'total' AND code = 'S02'", vec!["S02"]),
            ("derniere_mise_a_jour > DATE('2026-02-28') AND code = 'S02'", vec!["S02"]),
            ("perimetre <> '2025'", vec![]),
            ("notice IS NULL", vec![]),
        ] {
            assert_eq!(kept(filter).await, zones, "{filter}");
        }
    }

    /// A withheld figure is unknown to every comparison and to its opposite, whichever rule withholds it.
    #[tokio::test]
    async fn a_filter_tells_nothing_of_what_is_withheld() {
        let page = json_of(ITEMS).await;
        let (withheld, shown): (Vec<&Value>, Vec<&Value>) =
            page["features"].as_array().unwrap().iter().partition(|f| f["properties"]["effectif"].is_null());
        let codes = |features: Vec<&Value>| -> Vec<String> {
            features.iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect()
        };
        let (withheld, shown) = (codes(withheld), codes(shown));
        assert!(withheld.len() >= 2 && !shown.is_empty());
        for figure in ["effectif", "etablissements"] {
            for bound in [-1, 0, 2, 5, 1000, 5000, 1_000_000] {
                for condition in [
                    format!("{figure} >= {bound}"),
                    format!("{figure} = {bound}"),
                    format!("{figure} IN ({bound}, 3)"),
                    format!("{figure} BETWEEN 0 AND {bound}"),
                ] {
                    let (mut sides, opposite) = (kept(&condition).await, kept(&format!("NOT ({condition})")).await);
                    assert!(sides.iter().chain(&opposite).all(|code| !withheld.contains(code)), "{condition}");
                    sides.extend(opposite);
                    sides.sort();
                    assert_eq!(sides, shown, "{condition}");
                }
            }
            assert_eq!(kept(&format!("{figure} IS NULL")).await, withheld);
            assert_eq!(kept(&format!("{figure}_statut = 'secret'")).await, withheld);
        }
    }
}

/// What arpent adds: releases under names that stay, and contours drawn more coarsely.
mod releases_and_contours {
    use super::*;

    #[tokio::test]
    async fn a_release_is_read_under_its_own_name_until_it_is_withdrawn() {
        for (id, vintage, perimeter) in [("secteurs", 2024, "2025"), (CURRENT, 2024, "2025"), (EARLIER, 2023, "2024")] {
            let page = json_of(&format!("/collections/{id}/items")).await;
            assert_eq!((&page["millesime"], &page["perimetre"]), (&json!(vintage), &json!(perimeter)), "{id}");
            let described = json_of(&format!("/collections/{id}")).await;
            assert_eq!((&described["id"], &described["perimetre"]), (&json!(id), &json!(perimeter)));
            assert_eq!(linked(&described, "latest-version").unwrap(), "/collections/secteurs");
        }
        let current = json_of("/collections/secteurs").await;
        assert_eq!(linked(&current, "bookmark").unwrap(), format!("/collections/{CURRENT}"));
        assert_eq!(linked(&current, "predecessor-version").unwrap(), format!("/collections/{EARLIER}"));
        let earlier = json_of(&format!("/collections/{EARLIER}")).await;
        assert_eq!(linked(&earlier, "successor-version").unwrap(), format!("/collections/{CURRENT}"));
        assert!(earlier["title"].as_str().unwrap().contains("1er mars 2025"), "{}", earlier["title"]);
        for tail in ["", "/schema", "/queryables", "/items", "/items/S01"] {
            let gone = get(&format!("/collections/{WITHDRAWN}{tail}")).await;
            assert_eq!(
                (gone.status, gone.header("content-type")),
                (StatusCode::GONE, "application/problem+json"),
                "{tail}"
            );
            assert_eq!(gone.json()["reason"], "une erreur de géocodage");
            for (id, code) in
                [("secteurs@cccccccccccccccc", "unknown_release"), ("iris@aaaaaaaaaaaaaaaa", "unknown_collection")]
            {
                let unknown = get(&format!("/collections/{id}{tail}")).await;
                assert_eq!(
                    (unknown.status, &unknown.json()["code"]),
                    (StatusCode::NOT_FOUND, &json!(code)),
                    "{id}{tail}"
                );
            }
        }
        let page = get("/collections?f=html").await.text();
        assert!(page.contains("Publications antérieures") && page.contains("une erreur de géocodage"));
    }

    #[tokio::test]
    async fn earlier_releases_outlive_the_current_one() {
        let shelf = Shelf::new();
        let house = router(shelf.clone(), Site::default());
        let mut earlier = release();
        earlier.id = ReleaseId::from_digest("aaaaaaaaaaaaaaaa");
        shelf.put(earlier);
        shelf.put(release());
        let back = |release: &str| TakenBack { release: release.into(), at: "2026".into(), reason: "erreur".into() };
        let status =
            async |id: &str| send(&house, Method::GET, &format!("/collections/{id}/items"), &[]).await.status.as_u16();
        shelf.take_back(back("0123456789abcdef"));
        assert_eq!((status("secteurs").await, status(CURRENT).await, status(EARLIER).await), (410, 410, 200));
        shelf.take_back(back("aaaaaaaaaaaaaaaa"));
        assert_eq!((status("secteurs").await, status(CURRENT).await, status(EARLIER).await), (410, 410, 410));
    }

    /// GDAL follows `#/$defs/…` from the root, and takes a property of two types for a text.
    #[tokio::test]
    async fn a_figure_is_a_number_to_a_reader_that_knows_one_type() {
        let schema = json_of("/collections/secteurs/schema").await;
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut feature = json_of(&format!("{ITEMS}/S01")).await;
        for figure in ["effectif", "etablissements"] {
            let reference =
                schema["properties"]["properties"]["properties"][figure]["$ref"].as_str().unwrap().to_owned();
            assert_eq!(schema.pointer(reference.trim_start_matches('#')).unwrap()["type"], "integer");
            for (value, fits) in [(json!(3), true), (Value::Null, true), (json!("3"), false), (json!(1.5), false)] {
                feature["properties"][figure] = value.clone();
                assert_eq!(validator.is_valid(&feature), fits, "{figure} {value}");
            }
            feature["properties"][figure] = Value::Null;
        }
    }

    #[tokio::test]
    async fn a_long_past_is_listed_in_part_and_read_whole() {
        let shelf = Shelf::new();
        let house = router(shelf.clone(), Site { public_url: Some(BASE.to_owned()) });
        let id = |number: usize| format!("{number:016x}");
        for number in 0..16 {
            shelf.put(Release { id: ReleaseId::from_digest(&id(number)), ..release() });
        }
        let listed = send(&house, Method::GET, "/collections", &[]).await.json();
        let listed: Vec<&str> =
            listed["collections"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
        let expected: Vec<String> = (3..15).rev().map(|number| format!("secteurs@{}", id(number))).collect();
        assert_eq!(
            (listed[0], &listed[1..]),
            ("secteurs", &expected.iter().map(String::as_str).collect::<Vec<_>>()[..])
        );
        let (mut path, mut steps) = ("/collections/secteurs".to_owned(), 0);
        while let Some(older) = linked(&send(&house, Method::GET, &path, &[]).await.json(), "predecessor-version") {
            (path, steps) = (older, steps + 1);
        }
        assert_eq!((path, steps), (format!("/collections/secteurs@{}", id(0)), 15));
    }

    #[tokio::test]
    async fn neighbours_share_their_border_however_coarsely_it_is_drawn() {
        for query in
            ["", "precision=3", "simplify=200", "simplify=10000&precision=4", "precision=0&simplify=50&crs=2154"]
        {
            let query = query.replace("crs=2154", &format!("crs={}", System::Lambert93.uri()));
            let page = json_of(&format!("{ITEMS}?{query}")).await;
            let zones: Vec<Vec<[f64; 2]>> = page["features"].as_array().unwrap().iter().map(corners).collect();
            for (one, next) in zones.iter().zip(&zones[1..]) {
                let shared = one[1..].iter().filter(|corner| next.contains(corner)).count();
                assert_eq!(shared, 2, "{query}: {one:?} {next:?}");
            }
            let alone = json_of(&format!("{ITEMS}/S02?{query}")).await;
            assert_eq!(alone["geometry"], page["features"][1]["geometry"], "{query}: alone as among the others");
        }
        let decimals = get(&format!("{ITEMS}?precision=3")).await.text();
        assert!(decimals.contains("[5.01,47.3]"), "{decimals}");
    }

    #[tokio::test]
    async fn a_listing_changes_its_tag_with_what_it_lists() {
        let shelf = Shelf::new();
        let house = router(shelf.clone(), Site::default());
        let mut tags = BTreeSet::new();
        let mut earlier = release();
        earlier.id = ReleaseId::from_digest("aaaaaaaaaaaaaaaa");
        shelf.put(earlier);
        shelf.put(release());
        tags.insert(send(&house, Method::GET, "/collections", &[]).await.header("etag").to_owned());
        shelf.take_back(TakenBack { release: "aaaaaaaaaaaaaaaa".into(), at: "2026".into(), reason: "erreur".into() });
        shelf.put(release());
        tags.insert(send(&house, Method::GET, "/collections", &[]).await.header("etag").to_owned());
        assert_eq!(tags.len(), 2);
        assert_eq!(ask("/collections").await.json()["collections"].as_array().unwrap().len(), 1);
    }
}
