//! The public face as its users meet it, over a small release made by the real door.

use super::{Shelf, Site, TakenBack, router, routes, whole};
use crate::model::{ReleaseId, Wgs84};
use crate::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use crate::steps::secrecy::{Column, Microdata, ProtectedTables, Spec, protect, tabulate};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use tower::ServiceExt;

pub(super) const SPEC: &str = r#"
    contributor = "siren"
    weight = "headcount"
    [rules]
    min_contributors = 3
    [dimensions.secteurs]
    levels = ["secteurs"]
    [dimensions.naf]
    levels = ["naf_section", "naf_division"]
    [dimensions.source]
    levels = ["source"]
    [[tables]]
    name = "secteurs_naf"
    dimensions = ["secteurs", "naf"]
    [[tables]]
    name = "secteurs_source"
    dimensions = ["secteurs", "source"]
"#;

/// Enterprises of each sector; S03 has two and is withheld, S06 has none.
const ENTERPRISES: [(&str, u64); 5] = [("S01", 9), ("S02", 8), ("S03", 2), ("S04", 7), ("S05", 6)];

fn tables(year: u64) -> ProtectedTables {
    let spec = Spec::parse(SPEC).unwrap();
    let (mut ids, mut sirens, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let mut columns: [Vec<Option<String>>; 4] = Default::default();
    for (s, (sector, n)) in ENTERPRISES.into_iter().enumerate() {
        for i in 0..n {
            let id = format!("{sector}-{i}");
            sirens.push(id.clone());
            ids.push(id);
            weights.push(500 + 10 * s as u64 + i + year % 10);
            let (section, division) = if i % 2 == 0 { ("G", "47") } else { ("C", "10") };
            let values = [sector, section, division, if i % 3 == 0 { "msa" } else { "urssaf" }];
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(Some(value.to_owned()));
            }
        }
    }
    let names = ["secteurs", "naf_section", "naf_division", "source"];
    let columns = names.iter().zip(&columns).map(|(name, values)| Column::of(name, values)).collect();
    let micro = Microdata::new(ids, &sirens, weights, columns);
    protect(&tabulate(&micro, &spec).unwrap(), &spec.rules, &spec.protection, &[]).unwrap().0
}

/// A square of a hundredth of a degree, its exterior given clockwise; it shares a side with the next one to the last bit.
fn square(i: usize) -> Wgs84<geo::MultiPolygon> {
    let ((west, east), y) = ((5.0 + 0.01 * i as f64, 5.0 + 0.01 * (i + 1) as f64), 47.3);
    let ring = vec![(west, y), (west, y + 0.01), (east, y + 0.01), (east, y), (west, y)];
    Wgs84::vouch(geo::MultiPolygon(vec![geo::Polygon::new(ring.into(), vec![])]))
}

/// Protecting takes longer than answering, so the tests share one release.
pub(super) fn release() -> Release {
    static RELEASE: LazyLock<Release> = LazyLock::new(build);
    RELEASE.clone()
}

fn build() -> Release {
    let labels = ["Centre", "<script>alert(1)</script>", "Gare, \"nord\"", "Parc", "Lac", "Friche"];
    let zones = labels
        .iter()
        .enumerate()
        .map(|(i, label)| ReleasedZone {
            code: format!("S{:02}", i + 1).parse().unwrap(),
            label: (*label).to_owned(),
            contour: square(i),
        })
        .collect();
    Release {
        id: ReleaseId::from_digest("0123456789abcdef0123"),
        zonings: vec![ReleasedZoning {
            id: "secteurs".into(),
            title: "Secteurs d'emploi".into(),
            version: "2025".into(),
            zones,
        }],
        vintages: [2023, 2024].map(|year| (year, tables(u64::from(year)))).into(),
        provenance: Provenance {
            source: "Urssaf et MSA".into(),
            updated: "2026-03-01T00:00:00Z".into(),
            licence: "Licence Ouverte 2.0".into(),
            notice: "Données fictives.".into(),
            policy: "00".into(),
            policy_version: "1".to_owned(),
            inputs: BTreeMap::new(),
            arpent: "0.1.0".into(),
        },
    }
}

/// The service with the release on its shelf.
pub(super) fn house() -> Router {
    let shelf = Shelf::new();
    shelf.put(release());
    router(shelf, Site { public_url: Some("https://emploi.example.fr/".into()) })
}

pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

pub(super) async fn send(house: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = house.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec() }
}

pub(super) async fn ask(path: &str) -> Answer {
    send(&house(), Method::GET, path, &[]).await
}

pub(super) const ITEMS: &str = "/collections/secteurs/items";

pub(super) fn codes(answer: &Answer) -> Vec<String> {
    answer.json()["features"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_withheld_figure_is_null_beside_secret_and_a_shown_one_is_a_number() {
    let answer = ask(ITEMS).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/geo+json"));
    let json = answer.json();
    assert_eq!((&json["numberMatched"], &json["numberReturned"]), (&json!(6), &json!(6)));
    let told = |i: usize| {
        let p = &json["features"][i]["properties"];
        (
            p["effectif"].clone(),
            p["effectif_statut"].clone(),
            p["etablissements"].clone(),
            p["etablissements_statut"].clone(),
        )
    };
    let secret = (Value::Null, json!("secret"), Value::Null, json!("secret"));
    assert_eq!(told(2), secret, "two enterprises");
    assert_eq!(told(5), (json!(0), json!("ok"), json!(0), json!("ok")), "nobody there, nobody to protect");
    let withheld: Vec<usize> = (0..6).filter(|i| told(*i) == secret).collect();
    assert!(withheld.len() >= 2, "the total of all sectors is public, so one more is withheld: {withheld:?}");
    for i in (0..6).filter(|i| !withheld.contains(i)) {
        assert!(told(i).0.is_u64() && told(i).1 == "ok" && told(i).2.is_u64() && told(i).3 == "ok", "{i}");
    }
    // Nothing beside code, name and place tells one withheld zone from another.
    let blurred: BTreeSet<String> = withheld
        .iter()
        .map(|i| {
            let mut properties = json["features"][*i]["properties"].clone();
            properties["code"] = Value::Null;
            properties["libelle"] = Value::Null;
            properties.to_string()
        })
        .collect();
    assert_eq!(blurred.len(), 1);
}

#[tokio::test]
async fn every_answer_about_figures_says_where_it_comes_from() {
    let page = ask(ITEMS).await.json();
    let zone = ask(&format!("{ITEMS}/S01")).await.json();
    for place in [&page, &page["features"][0]["properties"], &zone["properties"]] {
        assert_eq!(place["source"], "Urssaf et MSA");
        assert_eq!(place["derniere_mise_a_jour"], "2026-03-01T00:00:00Z");
        assert_eq!(place["millesime"], 2024);
        assert_eq!(place["perimetre"], "2025");
        assert_eq!(place["notice"], "Données fictives.");
    }
    for path in ["/?f=html", "/collections/secteurs/items?f=html", "/collections/secteurs/items/S03?f=html"] {
        let page = ask(path).await.text();
        for words in ["Urssaf et MSA", "1er mars 2026", "Données fictives.", "lang=\"fr\""] {
            assert!(page.contains(words), "{path}: {words}");
        }
    }
}

#[tokio::test]
async fn rings_turn_as_rfc_7946_says() {
    let ring = ask(&format!("{ITEMS}/S01")).await.json()["geometry"]["coordinates"][0][0].clone();
    let points: Vec<[f64; 2]> = serde_json::from_value(ring).unwrap();
    let twice_the_area: f64 = points.windows(2).map(|w| w[0][0] * w[1][1] - w[1][0] * w[0][1]).sum();
    assert!(twice_the_area > 0.0, "counter-clockwise");
    assert_eq!(points.first(), points.last());
}

#[tokio::test]
async fn parameters_are_read_strictly() {
    for (query, status, code) in [
        ("limit=1", 200, ""),
        ("limit=0", 400, "bad_parameter"),
        ("limit=-1", 400, "bad_parameter"),
        ("limit=ten", 400, "bad_parameter"),
        ("limit=", 400, "bad_parameter"),
        ("limit=10000", 200, ""),
        ("limit=10001", 200, ""),
        ("limit=99999999999999999999999999", 200, ""),
        ("offset=0", 200, ""),
        ("offset=-1", 400, "bad_parameter"),
        ("offset=1e3", 400, "bad_parameter"),
        ("limit=1&limit=2", 400, "repeated_parameter"),
        ("filter=libelle+LIKE+%27%25%FF%25%27", 400, "bad_encoding"),
        ("limite=1", 400, "unknown_parameter"),
        ("bbox=5,47,6", 400, "bad_parameter"),
        ("bbox=5,47,6,48", 200, ""),
        ("bbox=5,47,0,6,48,100", 200, ""),
        ("bbox=5,47,0,6,48", 400, "bad_parameter"),
        ("bbox=5,48,6,47", 400, "bad_parameter"),
        ("bbox=1,95,2,96", 400, "bad_parameter"),
        ("bbox=5,47,6,NaN", 400, "bad_parameter"),
        ("bbox=5,47,6,inf", 400, "bad_parameter"),
        ("bbox=5,47,6,48&bbox-crs=http://www.opengis.net/def/crs/OGC/1.3/CRS84", 200, ""),
        ("bbox=47,5,48,6&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/4326", 200, ""),
        ("bbox=5,47,6,48&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/27572", 400, "bad_parameter"),
        ("bbox-crs=http://www.opengis.net/def/crs/OGC/1.3/CRS84", 400, "bad_parameter"),
        ("crs=http://www.opengis.net/def/crs/EPSG/0/4326", 200, ""),
        ("crs=EPSG:4326", 400, "bad_parameter"),
        ("precision=2", 400, "bad_parameter"),
        ("precision=3", 200, ""),
        ("precision=7", 200, ""),
        ("precision=8", 400, "bad_parameter"),
        ("precision=2&crs=http://www.opengis.net/def/crs/EPSG/0/2154", 200, ""),
        ("precision=3&crs=http://www.opengis.net/def/crs/EPSG/0/2154", 400, "bad_parameter"),
        ("simplify=0", 200, ""),
        ("simplify=10000", 200, ""),
        ("simplify=10001", 400, "bad_parameter"),
        ("simplify=1.5", 400, "bad_parameter"),
        ("simplify=-1", 400, "bad_parameter"),
        ("filter=effectif%3E1", 200, ""),
        ("filter=effectif", 400, "bad_filter"),
        ("filter=emplois%3E1", 400, "bad_filter"),
        ("filter=effectif%3E1&filter-lang=cql2-text", 200, ""),
        ("filter=effectif%3E1&filter-lang=cql2-json", 400, "bad_parameter"),
        ("filter-lang=cql2-text", 400, "bad_parameter"),
        ("filter=effectif%3E1&filter-crs=http://www.opengis.net/def/crs/EPSG/0/2154", 200, ""),
        ("filter=effectif%3E1&filter-crs=EPSG:2154", 400, "bad_parameter"),
        ("datetime=2024-12-31", 200, ""),
        ("datetime=2024-12-31T00:00:00Z", 200, ""),
        ("datetime=2024-12-31T23:59:60.5%2B01:00", 200, ""),
        ("datetime=2024-12-31T24:00:00Z", 400, "bad_parameter"),
        ("datetime=2024-12-31T00:00:00", 400, "bad_parameter"),
        ("datetime=2023-02-29", 400, "bad_parameter"),
        ("datetime=2024-02-29", 200, ""),
        ("datetime=2024-12-32", 400, "bad_parameter"),
        ("datetime=2024", 400, "bad_parameter"),
        ("datetime=2024-01-02/2024-01-01", 400, "bad_parameter"),
        ("datetime=../..", 200, ""),
        ("millesime=2024", 200, ""),
        ("millesime=2022", 400, "bad_parameter"),
        ("naf=G", 200, ""),
        ("naf=47", 200, ""),
        ("naf=", 200, ""),
        ("naf=total", 200, ""),
        ("naf=B", 400, "bad_parameter"),
        ("naf=g", 400, "bad_parameter"),
        ("tranche=11", 400, "bad_parameter"),
        ("source=msa", 200, ""),
        ("source=insee", 400, "bad_parameter"),
        ("naf=G&source=msa", 404, "crossing_not_published"),
        ("properties=code,effectif", 200, ""),
        ("properties=siret", 400, "bad_parameter"),
        ("skipGeometry=true", 200, ""),
        ("skipGeometry=oui", 400, "bad_parameter"),
        ("f=json", 200, ""),
        ("f=xml", 400, "bad_parameter"),
        ("f=csv&skipGeometry=true", 200, ""),
        ("f=csv&bbox=5,47,6,48&bbox-crs=http://www.opengis.net/def/crs/OGC/1.3/CRS84", 200, ""),
        ("f=csv&crs=http://www.opengis.net/def/crs/OGC/1.3/CRS84", 400, "bad_parameter"),
        ("f=csv&precision=3", 400, "bad_parameter"),
        ("f=csv&simplify=0", 400, "bad_parameter"),
        ("f=csv&quantization=100", 400, "bad_parameter"),
    ] {
        let answer = ask(&format!("{ITEMS}?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
        if status != 200 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{query}");
            let json = answer.json();
            assert_eq!(json["code"], code, "{query}");
            for member in ["place", "found", "expected", "detail"] {
                assert!(json[member].as_str().is_some_and(|m| !m.is_empty()), "{query}: {member}");
            }
        }
    }
}

/// A link that would be refused leads nowhere.
#[tokio::test]
async fn links_to_other_formats_leave_out_what_these_have_no_place_for() {
    let house = house();
    let metres = "http://www.opengis.net/def/crs/EPSG/0/2154";
    for query in [
        format!("?crs={metres}&precision=1&simplify=50&naf=G"),
        format!("?f=html&crs={metres}&precision=1&naf=G"),
        "?f=topojson&quantization=100&precision=3&naf=G".to_owned(),
    ] {
        let answer = send(&house, Method::GET, &format!("{ITEMS}{query}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        let told = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap().to_owned());
        let told: Vec<String> = told.filter(|link| link.contains("rel=\"alternate\"")).collect();
        assert_eq!(told.len(), 3, "{query}: {told:?}");
        for link in told {
            let (href, _) = link.split_once('>').unwrap();
            let path = href.trim_start_matches("<https://emploi.example.fr");
            assert_eq!(send(&house, Method::GET, path, &[]).await.status, StatusCode::OK, "{query}: {path}");
            assert!(path.contains("naf=G"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_table_of_zones_says_its_licence_in_its_head() {
    for query in ["?f=csv", ""] {
        let answer = ask(&format!("{ITEMS}{query}")).await;
        let links: Vec<&str> = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
        let licence = "<https://www.etalab.gouv.fr/licence-ouverte-open-licence>; rel=\"license\"; type=\"text/html\"";
        assert!(links.contains(&licence), "{query}: {links:?}");
    }
}

#[tokio::test]
async fn a_refusal_lists_what_is_possible() {
    for (path, words) in [
        (format!("{ITEMS}?limite=1"), vec!["`limite`", "limit, offset", "millesime, naf, tranche, source"]),
        (format!("{ITEMS}?millesime=1999"), vec!["2023, 2024"]),
        (format!("{ITEMS}?naf=Z"), vec!["total, C, G, 10, 47"]),
        (format!("{ITEMS}?source=insee"), vec!["total, msa, urssaf"]),
        (
            format!("{ITEMS}?naf=G&source=msa"),
            vec!["naf=G × source=msa", "secteurs × naf (naf_section, naf_division)", "secteurs × source"],
        ),
        ("/collections/iris".to_owned(), vec!["`iris`", "one of secteurs"]),
        (format!("{ITEMS}/S99"), vec!["`S99`", "S01 to S06"]),
        ("/nowhere".to_owned(), vec!["`/nowhere`"]),
    ] {
        let detail = ask(&path).await.json()["detail"].as_str().unwrap().to_owned();
        for word in words {
            assert!(detail.contains(word), "{path}: {detail}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_404_and_what_is_not_done_a_405() {
    for path in [
        "/nowhere",
        "/collections/iris",
        "/collections/iris/items",
        "/collections/secteurs/items/S99",
        "/collections/iris/schema",
    ] {
        let answer = ask(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = send(&house(), method, ITEMS, &[]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!((answer.header("allow"), answer.json()["code"].clone()), ("GET,HEAD", json!("method_not_allowed")));
    }
    let answer = ask("/collections/%FF/items").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::BAD_REQUEST, "application/problem+json"));
}

#[tokio::test]
async fn a_body_too_large_is_refused_as_a_problem() {
    for (length, status) in
        [(super::BODY_BYTES_MAX, StatusCode::OK), (super::BODY_BYTES_MAX + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let request = Request::get("/").header("content-length", length).body(Body::from(vec![0; length])).unwrap();
        let answer = house().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{length}");
        if status != StatusCode::OK {
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
}

#[tokio::test]
async fn a_browser_is_refused_with_a_page_and_a_program_with_json() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, media) in [
        (browser, "text/html; charset=utf-8"),
        ("*/*", "application/problem+json"),
        ("application/json, text/html;q=0.5", "application/problem+json"),
        ("application/geo+json,application/json;q=0.9", "application/problem+json"),
    ] {
        let answer = send(&house(), Method::GET, "/collections/%3Cb%3E", &[("accept", accept)]).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::NOT_FOUND, media), "{accept}");
        assert!(!media.contains("html") || answer.text().contains("&lt;b&gt;"), "{accept}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_with_an_incident_number_and_says_nothing_else() {
    async fn broken() -> &'static str {
        panic!("the cause, for the log alone")
    }
    let mut broken_house = routes();
    broken_house.push(("/broken", get(broken)));
    let broken_house = whole(broken_house, Shelf::new(), Site::default(), None);
    let answer = send(&broken_house, Method::GET, "/broken", &[]).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["incident"].as_str().map(str::len), Some(16));
    assert!(!answer.text().contains("for the log alone"));
}

#[tokio::test]
async fn next_links_keep_every_filter_and_end() {
    let mut path = format!("{ITEMS}?limit=2&naf=G&bbox=5,47,6,48&properties=code");
    let mut seen = Vec::new();
    for turn in 0..3 {
        let answer = ask(&path).await;
        seen.extend(codes(&answer));
        let json = answer.json();
        let link = |rel: &str| json["links"].as_array().unwrap().iter().find(|l| l["rel"] == rel).cloned();
        assert_eq!(link("prev").is_some(), turn > 0);
        let Some(next) = link("next") else {
            assert_eq!(turn, 2);
            assert!(!answer.header("link").contains("rel=\"next\""));
            break;
        };
        let href = next["href"].as_str().unwrap();
        for kept in ["https://emploi.example.fr/collections", "limit=2", "naf=G", "bbox=5,47,6,48", "properties=code"] {
            assert!(href.contains(kept), "{href}");
        }
        let in_header = answer.headers.get_all("link").iter().any(|l| l.to_str().unwrap().contains(href));
        assert!(in_header, "{href} is a Link header too");
        path = href.trim_start_matches("https://emploi.example.fr").to_owned();
    }
    assert_eq!(seen, ["S01", "S02", "S03", "S04", "S05", "S06"]);
    assert_eq!(codes(&ask(&format!("{ITEMS}?offset=7")).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_box_keeps_the_zones_it_touches() {
    for (bbox, kept) in [
        ("5.001,47.301,5.002,47.302", vec!["S01"]),
        ("5.005,47.305,5.015,47.306", vec!["S01", "S02"]),
        ("5.055,47.305,5.2,47.4", vec!["S06"]),
        ("5.07,47.3,5.2,47.4", vec![]),
        ("5.055,47.305,-170,47.4", vec!["S06"]),
        ("170,47.305,5.005,47.4", vec!["S01"]),
    ] {
        let answer = ask(&format!("{ITEMS}?bbox={bbox}")).await;
        assert_eq!(codes(&answer), kept, "{bbox}");
        assert_eq!(answer.json()["numberMatched"], kept.len(), "{bbox}");
    }
}

#[tokio::test]
async fn a_date_chooses_the_latest_year_end_within() {
    for (query, vintage) in [
        ("datetime=../..", json!(2024)),
        ("datetime=2023-12-31", json!(2023)),
        ("datetime=2023-01-01/2024-12-30", json!(2023)),
        ("datetime=2023-01-01/2024-12-31", json!(2024)),
        ("datetime=2024-01-01T00:00:00Z/..", json!(2024)),
        ("datetime=/2023-12-31", json!(2023)),
        ("datetime=2024-06-30", Value::Null),
        ("datetime=2023-12-31&millesime=2023", json!(2023)),
        ("datetime=2023-12-31&millesime=2024", Value::Null),
        ("millesime=2023", json!(2023)),
    ] {
        let json = ask(&format!("{ITEMS}?{query}")).await.json();
        assert_eq!(json["millesime"], vintage, "{query}");
        assert_eq!(json["numberMatched"], if vintage.is_null() { 0 } else { 6 }, "{query}");
    }
}

#[tokio::test]
async fn a_selection_shows_in_the_figures_and_beside_them() {
    let of =
        |query: &'static str| async move { ask(&format!("{ITEMS}/S01?{query}")).await.json()["properties"].clone() };
    let (total, section, division) = (of("").await, of("naf=G").await, of("naf=47").await);
    assert_eq!(
        (&total["naf"], &total["tranche"], &total["source_donnees"]),
        (&json!("total"), &json!("total"), &json!("total"))
    );
    assert_eq!((&section["naf"], &division["naf"]), (&json!("G"), &json!("47")));
    assert_eq!(section["effectif"], division["effectif"], "one division in the section");
    assert!(section["effectif"].as_u64() < total["effectif"].as_u64());
    assert_eq!(of("source=msa").await["source_donnees"], "msa");
    assert_eq!(
        of("properties=effectif").await.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["effectif", "effectif_statut"]
    );
    let bare = ask(&format!("{ITEMS}?skipGeometry=true")).await.json();
    assert_eq!(bare["features"][0]["geometry"], Value::Null);
}

#[tokio::test]
async fn csv_has_one_row_a_zone_and_an_empty_field_where_a_figure_is_withheld() {
    let answer = ask(&format!("{ITEMS}?f=csv")).await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
    let text = answer.text();
    assert!(text.starts_with("code,libelle,effectif,effectif_statut,etablissements,") && text.contains("\r\n"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[2].iter().take(6).collect::<Vec<_>>(), ["S03", "Gare, \"nord\"", "", "secret", "", "secret"]);
    assert_eq!(rows[5].iter().take(6).collect::<Vec<_>>(), ["S06", "Friche", "0", "ok", "0", "ok"]);
}

#[tokio::test]
async fn a_label_cannot_write_html() {
    for path in ["/collections/secteurs/items?f=html", "/collections/secteurs/items/S02?f=html"] {
        let answer = ask(path).await;
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        let page = answer.text();
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{path}");
    }
}

#[tokio::test]
async fn a_page_writes_numbers_and_secrets_as_french_does() {
    let page = ask(&format!("{ITEMS}?f=html")).await.text();
    let shown = ask(ITEMS).await.json();
    let open = shown["features"].as_array().unwrap().iter().find_map(|f| f["properties"]["effectif"].as_u64()).unwrap();
    assert!(page.contains(&format!("{}\u{202f}{:03}", open / 1000, open % 1000)), "{open}");
    for words in
        ["secret statistique", "<caption>", "scope=\"col\"", "scope=\"row\"", "Aller au contenu", "url(#hachures)"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("src=\"") && !page.contains("@import"), "nothing is loaded from elsewhere");
}

#[tokio::test]
async fn public_answers_are_kept_by_tag() {
    let house = house();
    for path in
        ["/", "/conformance", "/api", "/collections", "/collections/secteurs", ITEMS, "/collections/secteurs/items/S01"]
    {
        let first = send(&house, Method::GET, path, &[]).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{path}: {tag}");
        assert_eq!(first.header("cache-control"), "public, max-age=300", "{path}");
        assert_eq!(first.header("vary").to_ascii_lowercase(), "accept, accept-encoding", "{path}");
        assert_eq!(first.headers.get_all("vary").iter().count(), 1, "{path}");
        for (held, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let again = send(&house, Method::GET, path, &[("if-none-match", &held)]).await;
            assert_eq!(again.status.as_u16(), status, "{path} {held}");
            assert_eq!(again.header("etag"), tag, "{path} {held}");
            assert_eq!(again.body.is_empty(), status == 304, "{path} {held}");
        }
        assert_eq!(send(&house, Method::GET, path, &[]).await.body, first.body, "{path}: same bytes under one tag");
    }
    let tags: BTreeSet<String> = {
        let mut tags = BTreeSet::new();
        for query in ["", "?limit=1", "?f=html", "?f=csv", "?naf=G"] {
            tags.insert(send(&house, Method::GET, &format!("{ITEMS}{query}"), &[]).await.header("etag").to_owned());
        }
        tags.insert(send(&house, Method::GET, ITEMS, &[("accept", "text/html")]).await.header("etag").to_owned());
        tags
    };
    assert_eq!(tags.len(), 6, "other bytes, other tag");
}

#[tokio::test]
async fn a_compressed_answer_has_its_own_tag_and_the_same_content() {
    let house = house();
    let plain = send(&house, Method::GET, ITEMS, &[]).await;
    for coding in ["gzip", "br", "zstd"] {
        let packed = send(&house, Method::GET, ITEMS, &[("accept-encoding", coding)]).await;
        assert_eq!(packed.header("content-encoding"), coding);
        assert!(packed.body.len() < plain.body.len());
        let tag = packed.header("etag").to_owned();
        assert_eq!(tag, format!("{}-{coding}\"", plain.header("etag").trim_end_matches('"')));
        let again = send(&house, Method::GET, ITEMS, &[("accept-encoding", coding), ("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.header("etag")), (StatusCode::NOT_MODIFIED, tag.as_str()));
    }
    let mut unpacked = String::new();
    let packed = send(&house, Method::GET, ITEMS, &[("accept-encoding", "gzip")]).await;
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked.as_bytes(), plain.body);
}

#[tokio::test]
async fn head_answers_as_get_without_a_body_and_other_sites_may_read() {
    let house = house();
    for path in ["/", ITEMS, "/livez"] {
        let (got, head) = (send(&house, Method::GET, path, &[]).await, send(&house, Method::HEAD, path, &[]).await);
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        for name in ["content-type", "etag", "content-crs", "access-control-allow-origin"] {
            assert_eq!(head.header(name), got.header(name), "{path} {name}");
        }
        assert_eq!(got.header("access-control-allow-origin"), "*");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert!(!got.header("x-request-id").is_empty());
    }
    assert_eq!(ask(ITEMS).await.header("content-crs"), "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>");
    let preflight = [("origin", "https://carte.example.fr"), ("access-control-request-method", "GET")];
    let answer = send(&house, Method::OPTIONS, ITEMS, &preflight).await;
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (StatusCode::OK, "GET,HEAD"));
}

#[tokio::test]
async fn a_kept_answer_is_the_answer_and_is_forgotten_with_its_release() {
    let shelf = Shelf::new();
    shelf.put(release());
    let house = router(shelf.clone(), Site::default());
    for coding in ["identity", "gzip", "br", "zstd"] {
        let headers = [("accept-encoding", coding), ("host", "emploi.test")];
        let (first, second) =
            (send(&house, Method::GET, ITEMS, &headers).await, send(&house, Method::GET, ITEMS, &headers).await);
        assert_eq!(first.body, second.body, "{coding}");
        let without_name = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            headers
        };
        assert_eq!(without_name(&first), without_name(&second), "{coding}");
        // A replica that keeps nothing yet names the same bytes alike.
        let replica = router(shelf.clone(), Site::default());
        assert_eq!(send(&replica, Method::GET, ITEMS, &headers).await.header("etag"), first.header("etag"), "{coding}");
    }
    // What decides an answer beside its address: who asks for what, and where it is seen from.
    for headers in [[("host", "emploi.test"), ("accept", "text/html")], [("host", "other.test"), ("accept", "*/*")]] {
        let plain = send(&house, Method::GET, ITEMS, &[("host", "emploi.test")]).await;
        assert_ne!(
            send(&house, Method::GET, ITEMS, &headers).await.header("etag"),
            plain.header("etag"),
            "{headers:?}"
        );
    }
    let metrics = send(&house, Method::GET, "/metrics", &[]).await.text();
    let used = metrics.lines().find_map(|line| line.strip_prefix("arpent_kept_used_total ")).unwrap();
    assert!(used.parse::<u32>().unwrap() >= 4, "{used}");
    let withdrawn = TakenBack { release: "0123456789abcdef".into(), at: "2026-04-01".into(), reason: "faute".into() };
    shelf.take_back(withdrawn);
    assert_eq!(send(&house, Method::GET, ITEMS, &[("host", "emploi.test")]).await.status, StatusCode::GONE);
    shelf.put(Release { provenance: Provenance { source: "Autre".into(), ..release().provenance }, ..release() });
    let other = send(&house, Method::GET, ITEMS, &[("host", "emploi.test")]).await;
    assert_eq!(other.json()["source"], "Autre");
}

#[tokio::test]
async fn a_part_of_an_answer_is_sent_alone_and_fits_the_others() {
    let house = house();
    let whole = send(&house, Method::GET, ITEMS, &[]).await;
    let (tag, length) = (whole.header("etag").to_owned(), whole.body.len());
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let middle = length / 2;
    let mut joined = Vec::new();
    for range in [format!("bytes=0-{}", middle - 1), format!("bytes={middle}-")] {
        // A download that goes on names the tag it began with, and may send what codings it knows.
        let headers = [("range", range.as_str()), ("if-range", &tag), ("accept-encoding", "gzip, br")];
        let part = send(&house, Method::GET, ITEMS, &headers).await;
        assert_eq!((part.status, part.header("content-encoding")), (StatusCode::PARTIAL_CONTENT, ""), "{range}");
        assert_eq!((part.header("etag"), part.header("content-type")), (tag.as_str(), "application/geo+json"));
        let said = format!("bytes {}-{}/{length}", joined.len(), joined.len() + part.body.len() - 1);
        assert_eq!(part.header("content-range"), said);
        joined.extend(part.body);
    }
    assert_eq!(joined, whole.body);
    for (range, if_range, status) in [
        ("bytes=0-9", "\"other\"", StatusCode::OK),
        ("bytes=0-1,4-5", &tag, StatusCode::OK),
        ("lines=1-2", &tag, StatusCode::OK),
        ("bytes=999999999-", &tag, StatusCode::RANGE_NOT_SATISFIABLE),
    ] {
        let answer = send(&house, Method::GET, ITEMS, &[("range", range), ("if-range", if_range)]).await;
        assert_eq!(answer.status, status, "{range} {if_range}");
        match status {
            StatusCode::OK => assert_eq!(answer.body.len(), length, "{range}"),
            _ => {
                assert_eq!(answer.header("content-range"), format!("bytes */{length}"));
                assert_eq!(answer.json()["code"], "range_outside");
            }
        }
    }
    let held = send(&house, Method::GET, ITEMS, &[("range", "bytes=0-9"), ("if-none-match", &tag)]).await;
    assert_eq!(held.status, StatusCode::NOT_MODIFIED);
    let head = send(&house, Method::HEAD, ITEMS, &[("range", "bytes=0-9")]).await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, length.to_string().as_str()));
}

#[tokio::test]
async fn who_holds_the_bytes_is_told_what_caches_need_and_nothing_twice() {
    let whole = ask(ITEMS).await;
    let tag = whole.header("etag");
    let house = house();
    // First the answer is made, and then it is the one that was kept.
    for turn in 1..=2 {
        let held = send(&house, Method::GET, ITEMS, &[("if-none-match", tag)]).await;
        assert_eq!((held.status, held.body.len()), (StatusCode::NOT_MODIFIED, 0));
        for name in ["etag", "cache-control", "vary", "access-control-allow-origin", "x-content-type-options"] {
            assert!(!held.header(name).is_empty(), "{turn}: {name}");
            assert_eq!(held.header(name), whole.header(name), "{turn}: {name}");
        }
        for name in ["content-type", "content-crs", "link", "accept-ranges"] {
            assert!(!whole.header(name).is_empty(), "{name}");
            assert!(!held.headers.contains_key(name), "{turn}: {name}");
        }
        assert!(!held.header("x-request-id").is_empty() && held.header("x-request-id") != whole.header("x-request-id"));
    }
}

#[tokio::test]
async fn what_is_too_long_is_refused_before_it_is_looked_at() {
    use super::front::{HEAD_BYTES_MAX, URL_BYTES_MAX};
    let house = house();
    let name = "/livez?x=";
    for (url, head, status, code) in [
        // What is not too long is looked at.
        (URL_BYTES_MAX, 0, 400, "unknown_parameter"),
        (URL_BYTES_MAX + 1, 0, 414, "url_too_long"),
        (0, HEAD_BYTES_MAX - "x-long".len(), 200, ""),
        (0, HEAD_BYTES_MAX - "x-long".len() + 1, 431, "head_too_large"),
    ] {
        let path = if url == 0 { "/livez".to_owned() } else { format!("{name}{}", "y".repeat(url - name.len())) };
        let long = "z".repeat(head);
        let headers: &[(&str, &str)] = if head == 0 { &[] } else { &[("x-long", &long)] };
        let answer = send(&house, Method::GET, &path, headers).await;
        assert_eq!(answer.status.as_u16(), status, "{url} {head}");
        if status != 200 {
            assert_eq!(answer.json()["code"], code);
            assert_eq!((answer.header("access-control-allow-origin"), answer.body.len() < 500), ("*", true));
        }
    }
}

#[tokio::test]
async fn a_request_has_a_name_and_belongs_to_the_trace_it_says() {
    let house = house();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    for path in [ITEMS, ITEMS, "/nowhere"] {
        let answer = send(&house, Method::GET, path, &[("x-request-id", "proxy-7"), ("traceparent", &parent)]).await;
        assert_eq!(answer.header("x-request-id"), "proxy-7", "{path}");
        assert!(answer.header("traceresponse").starts_with(&format!("00-{trace}-")), "{path}");
        let plain = send(&house, Method::GET, path, &[("x-request-id", "no word")]).await;
        assert_eq!((plain.header("x-request-id").len(), plain.header("traceresponse")), (16, ""), "{path}");
    }
}

#[tokio::test]
async fn links_are_absolute_and_follow_the_configured_address_then_proxies_then_the_host() {
    let shelf = Shelf::new();
    shelf.put(release());
    let house = router(shelf, Site::default());
    for (headers, base) in [
        (&[("host", "emploi.test:8080")][..], "http://emploi.test:8080/"),
        (
            &[("host", "inside"), ("x-forwarded-host", "public.fr"), ("x-forwarded-proto", "https")],
            "https://public.fr/",
        ),
        (&[("host", "inside"), ("forwarded", "for=1.2.3.4;host=other.test;proto=https")], "http://inside/"),
        (&[("host", "x\"><script>")], "http://localhost/"),
        (&[("host", "emploi.test"), ("x-forwarded-proto", "javascript")], "http://emploi.test/"),
    ] {
        for link in send(&house, Method::GET, "/", headers).await.json()["links"].as_array().unwrap() {
            assert!(link["href"].as_str().unwrap().starts_with(base), "{headers:?}: {link}");
        }
    }
}

#[tokio::test]
async fn the_page_of_the_api_lists_what_can_be_read_without_a_key() {
    let page = ask("/api?f=html").await.text().replace("&#x2f;", "/");
    for (path, _) in routes() {
        assert!(page.contains(&format!("<h2><code>GET {path}</code></h2>")), "{path}");
    }
    assert!(!page.contains("<h2><code>GET /api/v1"), "acts of staff are no reading");
    assert!(page.contains("<code>Accept</code>") && !page.contains('`'), "code stands between tags");
}

/// All that `Vary` names, in lower case.
fn varies(answer: &Answer) -> BTreeSet<String> {
    let lines = answer.headers.get_all("vary").iter().map(|line| line.to_str().unwrap());
    lines.flat_map(|line| line.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// A cache before us holds an answer under its address and what `Vary` names: where two requests are told different links,
/// one of those headers differs between them, and so do the tags. Also of an answer that is kept, a part and a 304.
#[tokio::test]
async fn what_decides_links_is_named_by_vary_and_other_links_have_other_tags() {
    let shelf = Shelf::new();
    shelf.put(release());
    let house = router(shelf.clone(), Site::default());
    let asked: [&[(&str, &str)]; 7] = [
        &[("host", "one.test")],
        &[("host", "two.test")],
        &[("host", "one.test"), ("x-forwarded-host", "public.fr")],
        &[("host", "one.test"), ("x-forwarded-host", "public.fr"), ("x-forwarded-proto", "https")],
        &[("host", "one.test"), ("x-forwarded-host", "public.fr, second.fr")],
        &[
            ("host", "one.test"),
            ("x-forwarded-host", "public.fr, second.fr"),
            ("x-forwarded-for", "192.0.2.7, 10.0.0.2"),
        ],
        &[("host", "one.test"), ("x-forwarded-proto", "https")],
    ];
    for path in ["/", "/api", ITEMS, "/collections/secteurs/items/S01?f=html", "/odata/Zones", "/catalogue"] {
        let mut told: Vec<(&[(&str, &str)], Answer)> = Vec::new();
        for headers in asked {
            let answer = send(&house, Method::GET, path, headers).await;
            let (tag, names) = (answer.header("etag").to_owned(), varies(&answer));
            assert!(names.contains("host") && names.contains("x-forwarded-host"), "{path} {headers:?}: {names:?}");
            for more in [("if-none-match", tag.as_str()), ("range", "bytes=0-3"), ("x-again", "kept")] {
                let again = send(&house, Method::GET, path, &[headers, &[more]].concat()).await;
                assert_eq!((again.header("etag"), varies(&again)), (tag.as_str(), names.clone()), "{path} {more:?}");
            }
            told.push((headers, answer));
        }
        for (i, j) in (0..told.len()).flat_map(|i| (0..told.len()).map(move |j| (i, j))) {
            let ((kept_for, kept), (by, own)) = (&told[i], &told[j]);
            let is_same = kept.body == own.body;
            assert_eq!(kept.header("etag") == own.header("etag"), is_same, "{path}: {kept_for:?} {by:?}");
            let value = |headers: &[(&str, &str)], name: &str| {
                headers.iter().find(|header| header.0 == name).map_or(String::new(), |header| header.1.to_owned())
            };
            let is_taken = varies(kept).iter().all(|name| value(kept_for, name) == value(by, name));
            assert!(is_same || !is_taken, "{path}: {by:?} is given what {kept_for:?} was told");
        }
        let bodies: BTreeSet<&[u8]> = told.iter().map(|(_, answer)| &answer.body[..]).collect();
        assert_eq!(bodies.len(), 6, "{path}");
    }
    let configured = router(shelf, Site { public_url: Some("https://emploi.example.fr".into()) });
    let tags: BTreeSet<(String, BTreeSet<String>)> = {
        let mut tags = BTreeSet::new();
        for headers in asked {
            let answer = send(&configured, Method::GET, ITEMS, headers).await;
            tags.insert((answer.header("etag").to_owned(), varies(&answer)));
        }
        tags
    };
    assert_eq!(tags.len(), 1, "links are the same for all: {tags:?}");
    assert!(!tags.iter().any(|(_, names)| names.contains("host")), "{tags:?}");
}

#[tokio::test]
async fn clients_find_what_they_look_for() {
    let landing = ask("/").await.json();
    let rels: BTreeSet<&str> =
        landing["links"].as_array().unwrap().iter().map(|l| l["rel"].as_str().unwrap()).collect();
    for rel in ["self", "alternate", "service-desc", "service-doc", "conformance", "data"] {
        assert!(rels.contains(rel), "{rel}");
    }
    let collection = ask("/collections").await.json()["collections"][0].clone();
    assert_eq!(collection["itemType"], "feature");
    assert_eq!(collection["crs"][0], "http://www.opengis.net/def/crs/OGC/1.3/CRS84");
    assert_eq!(collection["storageCrs"], collection["crs"][0]);
    assert_eq!(collection["extent"]["spatial"]["bbox"], json!([[5.0, 47.3, 5.06, 47.31]]));
    assert_eq!(collection["extent"]["temporal"]["interval"], json!([["2023-12-31T00:00:00Z", "2024-12-31T00:00:00Z"]]));
    // The lists that GDAL and QGIS send.
    for accept in [
        "application/vnd.oai.openapi+json;version=3.0, application/openapi+json;version=3.0, application/json",
        "application/vnd.oai.openapi+json;version=3.0",
        "*/*",
    ] {
        let api = send(&house(), Method::GET, "/api", &[("accept", accept)]).await;
        assert_eq!(api.header("content-type"), "application/vnd.oai.openapi+json;version=3.0", "{accept}");
        assert_eq!(api.json()["servers"][0]["url"], "https://emploi.example.fr");
    }
}

#[tokio::test]
async fn the_service_is_ready_once_a_release_is_shelved() {
    let shelf = Shelf::new();
    let house = router(shelf.clone(), Site::default());
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 503),
        ("/metrics", 200),
        ("/", 503),
        (ITEMS, 503),
        ("/api", 200),
        ("/conformance", 200),
    ] {
        assert_eq!(send(&house, Method::GET, path, &[]).await.status.as_u16(), status, "{path}");
    }
    let empty = send(&house, Method::GET, "/readyz", &[]).await;
    assert_eq!(empty.json()["code"], "nothing_published");
    assert!(!empty.header("retry-after").is_empty());
    shelf.put(release());
    for path in ["/livez", "/readyz", "/", ITEMS] {
        assert_eq!(send(&house, Method::GET, path, &[]).await.status, StatusCode::OK, "{path}");
    }
    let metrics = send(&house, Method::GET, "/metrics", &[]).await.text();
    for line in [
        "arpent_requests_total{route=\"/readyz\",status=\"5xx\"} 2",
        "arpent_requests_total{route=\"/readyz\",status=\"2xx\"} 1",
        "arpent_request_seconds_count{route=\"/collections/{zoning}/items\"} 2",
        "arpent_release_info{release=\"0123456789abcdef\",vintages=\"2023,2024\",zonings=\"1\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_withdrawn_release_is_gone_with_its_reason_until_another_is_served() {
    let shelf = Shelf::new();
    let house = router(shelf.clone(), Site::default());
    let reason = "Une erreur de géocodage <b>".to_owned();
    shelf.put(release());
    shelf.take_back(TakenBack {
        release: "0123".to_owned(),
        at: "2026-04-01T09:00:00Z".to_owned(),
        reason: reason.clone(),
    });
    for path in [
        "/",
        "/collections",
        "/collections/secteurs",
        "/collections/secteurs/schema",
        "/collections/secteurs/queryables",
        ITEMS,
        "/collections/secteurs/items/S01",
    ] {
        let answer = send(&house, Method::GET, path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::GONE, "application/problem+json"),
            "{path}"
        );
        let json = answer.json();
        assert_eq!(
            (&json["reason"], &json["code"], &json["withdrawn"]),
            (&json!(reason), &json!("withdrawn"), &json!("2026-04-01T09:00:00Z"))
        );
        let page = send(&house, Method::GET, path, &[("accept", "text/html")]).await;
        assert_eq!(page.status, StatusCode::GONE);
        let is_page = !path.ends_with("schema") && !path.ends_with("queryables");
        assert!(!is_page || page.text().contains("Une erreur de géocodage &lt;b&gt;"), "{path}");
    }
    assert_eq!(send(&house, Method::GET, "/readyz", &[]).await.status, StatusCode::OK, "ready to say so");
    shelf.put(release());
    assert_eq!(send(&house, Method::GET, ITEMS, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_contract_and_the_service_say_the_same() {
    let contract: Value = serde_yaml_ng::from_str(include_str!("../../openapi.yaml")).unwrap();
    // The routes of staff have a test of their own.
    let written: BTreeSet<&str> = contract["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .filter(|p| !p.starts_with("/api/v1"))
        .collect();
    let served: BTreeSet<&str> = routes().iter().map(|(path, _)| *path).collect();
    assert_eq!(written, served);
    assert!(nothing_is_null(&contract), "a key without a value is a slip of the pen");
    let fits = |schema: &Value, instance: &Value, place: &str| {
        let mut whole = schema.clone();
        whole["components"] = contract["components"].clone();
        let validator = jsonschema::validator_for(&whole).unwrap();
        let faults: Vec<String> =
            validator.iter_errors(instance).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{place}: {faults:?}");
    };
    for path in written {
        let filled = filled(path).replace("{file}", "secteurs.xlsx");
        let operation = &contract["paths"][path]["get"];
        for (query, status) in
            [("", "200"), ("?f=html", "200"), ("?f=csv", "200"), ("?nope=1", "400"), ("?f=json&offset=5", "200")]
        {
            let answer = ask(&format!("{filled}{query}")).await;
            let mut response = &operation["responses"][answer.status.as_str()];
            assert!(!response.is_null(), "{path}{query}: status {} is not in the contract", answer.status);
            if let Some(reference) = response["$ref"].as_str() {
                response = contract.pointer(reference.trim_start_matches('#')).unwrap();
            }
            let media = answer.header("content-type");
            let schema = response["content"]
                .as_object()
                .unwrap()
                .iter()
                .find(|(named, _)| *named == media || media.split(';').next() == Some(named.as_str()));
            let (_, content) = schema.unwrap_or_else(|| panic!("{path}{query}: {media} is not in the contract"));
            if media.contains("json") {
                fits(&content["schema"], &answer.json(), &format!("{path}{query}"));
            }
            assert!(answer.status.as_str() == status || answer.status == StatusCode::BAD_REQUEST, "{path}{query}");
        }
    }
    let schema = ask("/collections/secteurs/schema").await.json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for feature in ask(ITEMS).await.json()["features"].as_array().unwrap() {
        assert!(validator.is_valid(feature), "{feature}");
    }
}

/// The path of a route with something that there is in the place of each name, but that of a file.
fn filled(path: &str) -> String {
    path.replace("{zoning}", "secteurs")
        .replace("{code}", "S03")
        .replace("{resource}/{part}", "Zones/$count")
        .replace("{resource}", "Zones('secteurs.S03')")
        .replace("{tileMatrixSetId}", "WebMercatorQuad")
        .replace("{tileMatrix}/{tileRow}/{tileCol}", "9/179/263")
}

/// Names of the parameters in the query that the contract gives an operation; those of an object stand for themselves.
pub(super) fn told_parameters(contract: &Value, operation: &Value) -> BTreeSet<String> {
    fn followed<'c>(contract: &'c Value, node: &'c Value) -> &'c Value {
        node["$ref"].as_str().map_or(node, |to| contract.pointer(to.trim_start_matches('#')).unwrap())
    }
    fn properties(contract: &Value, schema: &Value) -> Vec<String> {
        let schema = followed(contract, schema);
        let own = schema["properties"].as_object().into_iter().flat_map(|named| named.keys().cloned());
        let parts = schema["allOf"].as_array().into_iter().flatten();
        own.chain(parts.flat_map(|part| properties(contract, part))).collect()
    }
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|p| followed(contract, p));
    let named = parameters.filter(|parameter| parameter["in"] == "query").flat_map(|parameter| {
        match properties(contract, &parameter["schema"]) {
            none if none.is_empty() => vec![parameter["name"].as_str().unwrap().to_owned()],
            properties => properties,
        }
    });
    named.collect()
}

/// The parameters that a refusal names as possible.
pub(super) fn possible(problem: &Value) -> BTreeSet<String> {
    let expected = problem["expected"].as_str().unwrap_or_else(|| panic!("{problem}"));
    if expected == "no parameter" {
        return BTreeSet::new();
    }
    expected.strip_prefix("only ").unwrap_or_else(|| panic!("{problem}")).split(", ").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_contract_names_the_parameters_that_each_route_takes() {
    let contract: Value = serde_yaml_ng::from_str(include_str!("../../openapi.yaml")).unwrap();
    // The doors of the operator take none, and look at none.
    for (path, _) in routes().iter().filter(|(path, _)| !["/livez", "/readyz", "/metrics"].contains(path)) {
        let answer = ask(&format!("{}?nope=1", filled(path).replace("{file}", "secteurs.csv"))).await.json();
        let problem = if path.starts_with("/odata") { &answer["error"]["innererror"] } else { &answer };
        assert_eq!(problem["code"], "unknown_parameter", "{path}: {answer}");
        assert_eq!(possible(problem), told_parameters(&contract, &contract["paths"][path]["get"]), "{path}");
    }
}

/// Outside examples the contract has no use for null.
fn nothing_is_null(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().all(nothing_is_null),
        Value::Object(members) => members.iter().all(|(key, value)| key == "examples" || nothing_is_null(value)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
