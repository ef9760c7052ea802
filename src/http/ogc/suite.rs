//! The abstract test suites of the standards that `/conformance` names: each test that applies bears its identifier, and
//! [`SUITES`] holds both to it. The texts are OGC 17-069r4, 18-058r1 and 19-079r2 (Features, Parts 1 to 3), 21-065r2 (CQL2),
//! 20-057 (Tiles) and 17-083r4 (tile matrix sets).
//!
//! Left out are tests of what a service has not (functions and geometries in filters, XML).

mod cql2;
mod natural_earth;
mod part_1;
mod part_2;
mod part_3;
mod tiles;

use super::query::{PROPERTIES, encode};
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

/// The classes declared, with the tests of their texts that apply, each as it is written there, by the file of them.
const SUITES: [(&str, &[(&str, &[&str])]); 5] = [
    (
        include_str!("suite/part_1.rs"),
        &[
            (
                "ogcapi-features-1/1.0/conf/core",
                &[
                    "/conf/core/http",
                    "/conf/core/root-op",
                    "/conf/core/root-success",
                    "/conf/core/api-definition-op",
                    "/conf/core/api-definition-success",
                    "/conf/core/conformance-op",
                    "/conf/core/conformance-success",
                    "/conf/core/query-param-unknown",
                    "/conf/core/query-param-invalid",
                    "/conf/core/crs84",
                    "/conf/core/fc-md-op",
                    "/conf/core/fc-md-success",
                    "/conf/core/fc-md-links",
                    "/conf/core/fc-md-items",
                    "/conf/core/fc-md-items-links",
                    "/conf/core/fc-md-extent",
                    "/conf/core/fc-md-extent-multi",
                    "/conf/core/sfc-md-op",
                    "/conf/core/sfc-md-success",
                    "/conf/core/fc-op",
                    "/conf/core/fc-limit-definition",
                    "/conf/core/fc-limit-response",
                    "/conf/core/fc-bbox-definition",
                    "/conf/core/fc-bbox-response",
                    "/conf/core/fc-time-definition",
                    "/conf/core/fc-time-response",
                    "/conf/core/fc-response",
                    "/conf/core/fc-links",
                    "/conf/core/fc-timeStamp",
                    "/conf/core/fc-numberMatched",
                    "/conf/core/fc-numberReturned",
                    "/conf/core/f-op",
                    "/conf/core/f-success",
                    "/conf/core/f-links",
                ],
            ),
            ("ogcapi-features-1/1.0/conf/geojson", &["/conf/geojson/definition", "/conf/geojson/content"]),
            ("ogcapi-features-1/1.0/conf/html", &["/conf/html/definition", "/conf/html/content"]),
            (
                "ogcapi-features-1/1.0/conf/oas30",
                &[
                    "/conf/oas30/completeness",
                    "/conf/oas30/exceptions-codes",
                    "/conf/oas30/oas-definition-1",
                    "/conf/oas30/oas-definition-2",
                    "/conf/oas30/oas-impl",
                    "/conf/oas30/security",
                ],
            ),
        ],
    ),
    (
        include_str!("suite/part_2.rs"),
        &[(
            "ogcapi-features-2/1.0/conf/crs",
            &[
                "/conf/crs/crs-uri",
                "/conf/crs/default-crs",
                "/conf/crs/storageCrs",
                "/conf/crs/crs-parameter",
                "/conf/crs/crs-parameter-invalid",
                "/conf/crs/crs-parameter-default",
                "/conf/crs/crs-parameter-transform",
                "/conf/crs/bbox-crs-parameter",
                "/conf/crs/bbox-crs-parameter-invalid",
                "/conf/crs/bbox-crs-parameter-default",
            ],
        )],
    ),
    (
        include_str!("suite/part_3.rs"),
        &[
            (
                "ogcapi-features-3/1.0/conf/queryables",
                &[
                    "/conf/queryables/get-conformance",
                    "/conf/queryables/get-queryables-uris",
                    "/conf/queryables/get-queryables",
                ],
            ),
            // Not `filter-crs-wgs84` and `filter-crs-param`, which are of spatial queryables, nor `get-functions`.
            (
                "ogcapi-features-3/1.0/conf/filter",
                &[
                    "/conf/filter/get-conformance",
                    "/conf/filter/filter-param",
                    "/conf/filter/filter-lang-default",
                    "/conf/filter/expression-construction",
                ],
            ),
            (
                "ogcapi-features-3/1.0/conf/features-filter",
                &[
                    "/conf/features-filter/get-conformance",
                    "/conf/features-filter/get-collections",
                    "/conf/features-filter/get-collection",
                    "/conf/features-filter/filter-on-items",
                    "/conf/features-filter/mixing-expression",
                ],
            ),
        ],
    ),
    (
        concat!(include_str!("suite/cql2.rs"), include_str!("suite/natural_earth.rs")),
        &[
            ("cql2/1.0/conf/cql2-text", &["/conf/cql2-text/validate", "/conf/cql2-text/escaping"]),
            (
                "cql2/1.0/conf/basic-cql2",
                &[
                    "/conf/basic-cql2/basic-test",
                    "/conf/basic-cql2/comparison",
                    "/conf/basic-cql2/is-null",
                    "/conf/basic-cql2/boolean",
                    "/conf/basic-cql2/test-data",
                    "/conf/basic-cql2/logical",
                ],
            ),
            (
                "cql2/1.0/conf/advanced-comparison-operators",
                &[
                    "/conf/advanced-comparison-operators/like",
                    "/conf/advanced-comparison-operators/between",
                    "/conf/advanced-comparison-operators/in",
                    "/conf/advanced-comparison-operators/test-data",
                    "/conf/advanced-comparison-operators/logical",
                ],
            ),
        ],
    ),
    (
        include_str!("suite/tiles.rs"),
        &[
            (
                "ogcapi-tiles-1/1.0/conf/core",
                &[
                    "/conf/core/conformance-success",
                    "/conf/core/tc-op",
                    "/conf/core/tc-tilematrix-definition",
                    "/conf/core/tc-tilerow-definition",
                    "/conf/core/tc-tilecol-definition",
                    "/conf/core/tc-success",
                    "/conf/core/tc-error",
                ],
            ),
            ("ogcapi-tiles-1/1.0/conf/tileset", &["/conf/tileset/description"]),
            ("ogcapi-tiles-1/1.0/conf/tilesets-list", &["/conf/tilesets-list/tileset-links"]),
            (
                "ogcapi-tiles-1/1.0/conf/geodata-tilesets",
                &["/conf/geodata-tilesets/desc-links", "/conf/geodata-tilesets/operation"],
            ),
            ("ogcapi-tiles-1/1.0/conf/mvt", &["/conf/mvt/content"]),
            ("ogcapi-tiles-1/1.0/conf/oas30", &["/conf/oas30/completeness", "/conf/oas30/operation-id"]),
            ("tms/2.0/conf/tilematrixset", &["/conf/tilematrixset/model"]),
            ("tms/2.0/conf/tilematrixsetlimits", &["/conf/tilematrixsetlimits/model"]),
            (
                "tms/2.0/conf/tilesetmetadata",
                &["/conf/tilematrixsetmetadata/identifier", "/conf/tilematrixsetmetadata/model"],
            ),
            (
                "tms/2.0/conf/json-tilematrixset",
                &["/conf/json-tilematrixset/media-type", "/conf/json-tilematrixset/model"],
            ),
            ("tms/2.0/conf/json-tilematrixsetlimits", &["/conf/json-tilematrixsetlimits/model"]),
            (
                "tms/2.0/conf/json-tilesetmetadata",
                &["/conf/json-tilesetmetadata/media-type", "/conf/json-tilesetmetadata/model"],
            ),
        ],
    ),
];

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

/// What a filter keeps, of all zones.
async fn kept(filter: &str) -> Vec<String> {
    let filter = encode(filter, "");
    let answer = get(&format!("{ITEMS}?filter-lang=cql2-text&filter={filter}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{filter}: {}", answer.text());
    codes(&answer)
}

#[tokio::test]
async fn each_class_that_is_declared_is_held_by_the_tests_of_its_text_and_no_other_is_declared() {
    let declared = json_of("/conformance").await["conformsTo"].clone();
    let declared: Vec<&str> = declared.as_array().unwrap().iter().map(|class| class.as_str().unwrap()).collect();
    let classes =
        SUITES.iter().flat_map(|suite| suite.1).map(|class| format!("http://www.opengis.net/spec/{}", class.0));
    assert_eq!(declared, classes.collect::<Vec<_>>());
    for (source, classes) in SUITES {
        let borne: BTreeSet<&str> = source
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("/// "))
            .flat_map(|line| line.split([' ', ',', ':', '.']))
            .filter(|word| word.starts_with("/conf/"))
            .collect();
        let told: BTreeSet<&str> = classes.iter().flat_map(|class| class.1).copied().collect();
        assert_eq!(borne, told);
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
