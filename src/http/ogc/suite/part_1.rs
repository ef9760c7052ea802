//! Part 1: core, GeoJSON, HTML, OpenAPI 3.0 (OGC 17-069r4).

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
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/geo+json"), "{id}");
        let json = answer.json();
        assert_eq!((&json["type"], codes(&answer).len()), (&json!("FeatureCollection"), 6), "{id}");
        assert!(json["features"].as_array().unwrap().iter().all(|f| f["type"] == "Feature"), "{id}");
    }
}

/// /conf/core/fc-links
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
        assert_eq!((&page["numberMatched"], &page["numberReturned"]), (&json!(matched), &json!(returned)), "{query}");
        assert_eq!(page["features"].as_array().unwrap().len(), returned, "{query}");
        assert_eq!(page["timeStamp"], "2026-03-01T00:00:00Z");
    }
}

/// /conf/core/fc-limit-definition, /conf/core/fc-limit-response
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
    for path in ["/", "/conformance", "/collections", "/collections/secteurs", ITEMS, "/collections/secteurs/items/S01"]
    {
        let page = send(&library(), Method::GET, path, &[("accept", "text/html")]).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"), "{path}");
        let same = send(&library(), Method::GET, path, &[("accept", "application/json")]).await;
        assert!(same.header("content-type").contains("json"), "{path}");
    }
}

/// /conf/core/crs84: places that nobody asked for in another system lie where they are in degrees.
#[tokio::test]
async fn conf_core_crs84() {
    for id in collections().await {
        let page = json_of(&format!("/collections/{id}/items")).await;
        let alone = json_of(&format!("/collections/{id}/items/S01")).await;
        for feature in page["features"].as_array().unwrap().iter().chain([&alone]) {
            let near = |[east, north]: &[f64; 2]| (5.0..=5.06).contains(east) && (47.3..=47.31).contains(north);
            assert!(corners(feature).iter().all(near), "{id}: {}", feature["id"]);
        }
        let extent = json_of(&format!("/collections/{id}")).await["extent"]["spatial"].clone();
        assert_eq!(extent["crs"], System::Crs84.uri(), "{id}");
    }
}

/// /conf/oas30/security: whoever offers a key, or must, finds how.
#[tokio::test]
async fn conf_oas30_security() {
    let api = json_of("/api").await;
    let schemes = api["components"]["securitySchemes"].as_object().unwrap();
    let mut named = BTreeSet::new();
    for (path, operations) in api["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            let asked = operation["security"].as_array().cloned().unwrap_or_default();
            assert_eq!(
                path.starts_with("/api/v1") || path.starts_with("/odata"),
                !asked.is_empty(),
                "{path}: keys are of these doors and of no other"
            );
            assert_eq!(path.starts_with("/odata"), asked.contains(&json!({})), "{path}: where a key is not needed");
            named.extend(asked.iter().flat_map(|way| way.as_object().unwrap().keys().cloned().collect::<Vec<_>>()));
        }
    }
    assert_eq!(named, schemes.keys().cloned().collect(), "each way to show a key is asked for somewhere");
}

/// /conf/oas30/oas-impl, /conf/oas30/completeness, /conf/oas30/exceptions-codes
#[tokio::test]
async fn conf_oas30_completeness() {
    let api = json_of("/api").await;
    for (path, operations) in api["paths"].as_object().unwrap() {
        for status in ["413", "414", "429", "431"] {
            let told = &operations["get"]["responses"];
            assert!(told.is_null() || told[status].is_object(), "{path}: {status}");
        }
    }
    for path in ["/", "/conformance", "/collections", "/collections/{zoning}", "/collections/{zoning}/items"] {
        let told = &api["paths"][path]["get"]["responses"];
        assert!(told["200"]["content"].is_object() && told["400"].is_object(), "{path}");
        let filled = path.replace("{zoning}", "secteurs");
        for (query, status) in [("", "200"), ("?inconnu=1", "400")] {
            assert_eq!(get(&format!("{filled}{query}")).await.status.as_str(), status, "{path}");
        }
    }
}
