//! Part 2: coordinate reference systems (OGC 18-058r1).

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
        let listed: Vec<&str> = collection["crs"].as_array().unwrap().iter().map(|crs| crs.as_str().unwrap()).collect();
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

/// /conf/crs/bbox-crs-parameter
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
    assert_eq!(codes(&get(&format!("{bare}&crs={}", System::Lambert93.uri())).await), ["S02"], "`crs` is not meant");
}
