//! The one gate: whatever is asked of whatever face, no answer holds a figure that its release does not hold, no answer
//! is a failure, and nothing tells a cell withheld by a rule from one withheld to protect it.
//!
//! The table of routes says which faces there are, so that a new one is asked from its first day on.

mod judge;
mod questions;

use super::downloads::FileFormat;
use super::tests::SPEC;
use super::{Shelf, Site, has_figures, router, routes};
use crate::model::{ReleaseId, Wgs84};
use crate::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use crate::steps::seal::seal;
use crate::steps::secrecy::{Cell, Column, Microdata, ProtectedTables, Spec, protect, tabulate};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use judge::{COLUMNS, Planted, records};
use questions::{question, right};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tower::ServiceExt;

/// Questions to each route: some thousand in all, in some seconds.
const QUESTIONS: usize = 150;

/// Names under which every face shows figures.
const FIGURES: [&str; 2] = ["effectif", "etablissements"];

#[tokio::test]
async fn whatever_is_asked_no_answer_holds_a_figure_that_is_not_published() {
    let planted = Planted::new();
    let shelf = Shelf::new();
    shelf.put(planted.release.clone());
    let house = router(shelf, Site::default());
    let mut dice = Pcg64Mcg::seed_from_u64(6);
    let mut contract = Contract::new();
    let mut statuses: BTreeMap<(&str, u16), usize> = BTreeMap::new();
    let chance = routes().into_iter().flat_map(|(route, _)| (0..QUESTIONS).map(move |_| route));
    let asked: Vec<_> = chance.map(|route| (route, question(route, &mut dice))).collect();
    let rightly = right().into_iter().map(|(route, path)| (route, (path, Vec::new())));
    for (route, (path, headers)) in rightly.chain(asked) {
        let Ok(request) = build(&path, &headers) else { continue };
        let (status, told, body) = answer(&house, request).await;
        let place = format!("{path} {headers:?}");
        assert!(!status.is_server_error(), "{place}: {status}");
        planted.judge(&path, &told, &body, &place);
        if let Some(fault) = contract.fault(route, status, &told, &body) {
            panic!("{place}: {status}: {fault}");
        }
        *statuses.entry((route, status.as_u16())).or_default() += 1;
    }
    for (route, _) in routes() {
        assert!(statuses.contains_key(&(route, 200)), "{route} was never asked rightly: {statuses:?}");
    }
    let refused: usize = statuses.iter().filter(|((_, status), _)| (400..500).contains(status)).map(|(_, n)| n).sum();
    assert!(refused > QUESTIONS, "{statuses:?}");
}

/// What is asked rightly is answered, and by every type of answer that the contract knows.
#[tokio::test]
async fn every_face_is_asked_rightly() {
    let shelf = Shelf::new();
    shelf.put(Planted::new().release.clone());
    let house = router(shelf, Site::default());
    let mut met: BTreeSet<String> = BTreeSet::new();
    for (route, path) in right() {
        let (status, headers, body) = answer(&house, build(&path, &[]).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        if !body.is_empty() {
            met.insert(format!("{route} {}", headers["content-type"].to_str().unwrap().split(';').next().unwrap()));
        }
    }
    // Documents of OData that say what rows there are hold none.
    let is_face = |route: &str| {
        has_figures(route)
            || route == "/catalogue"
            || route.starts_with("/odata/") && !["/odata/", "/odata/$metadata"].contains(&route)
    };
    let contract = Contract::new().whole;
    for (route, _) in routes().iter().filter(|(route, _)| is_face(route)) {
        for media in contract["paths"][route]["get"]["responses"]["200"]["content"].as_object().unwrap().keys() {
            let face = format!("{route} {}", media.split(';').next().unwrap());
            assert!(met.contains(&face), "never asked: {face}");
        }
    }
}

/// The contract, and the judges of its schemas, made once each.
struct Contract {
    whole: Value,
    judges: BTreeMap<(String, u16, String), jsonschema::Validator>,
}

impl Contract {
    fn new() -> Self {
        Self { whole: serde_yaml_ng::from_str(include_str!("../../openapi.yaml")).unwrap(), judges: BTreeMap::new() }
    }

    /// What of an answer the contract does not say.
    fn fault(&mut self, route: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let status = status.as_u16();
        let mut response = &self.whole["paths"][route]["get"]["responses"][status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            response = self.whole.pointer(reference.trim_start_matches('#'))?;
        }
        if response.is_null() {
            return Some("a status that the contract does not have".to_owned());
        }
        let Some(contents) = response["content"].as_object() else {
            return (!body.is_empty()).then(|| "a body where the contract has none".to_owned());
        };
        let media = headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
        let named = contents.iter().find(|(name, _)| {
            *name == media || media.split(';').next() == Some(name.as_str()) || name.split(';').next() == Some(media)
        });
        // A part is of whatever the whole is.
        if status == 206 && contents.contains_key("*/*") {
            return None;
        }
        let Some((_, content)) = named else { return Some(format!("`{media}`, which the contract does not have")) };
        if !media.contains("json") {
            return None;
        }
        let judge = self.judges.entry((route.to_owned(), status, media.to_owned())).or_insert_with(|| {
            let mut schema = content["schema"].clone();
            schema["components"] = self.whole["components"].clone();
            jsonschema::validator_for(&schema).unwrap()
        });
        let json: Value = match serde_json::from_slice(body) {
            Ok(json) => json,
            Err(fault) => return Some(format!("no JSON: {fault}")),
        };
        judge.iter_errors(&json).next().map(|fault| format!("{}: {fault}", fault.instance_path()))
    }
}

/// The judge of the test above finds what it looks for.
#[test]
fn a_leak_is_seen_in_every_form() {
    let planted = Planted::new();
    let raw = *planted.withheld.first().unwrap();
    let shown = *planted.published.iter().max().unwrap();
    let spaced = |n: u64| {
        let digits = n.to_string();
        let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
        groups.join("\u{202f}")
    };
    let (zone, [headcount, establishments]) = ["S01", "S02", "S04", "S05"]
        .into_iter()
        .find_map(|zone| planted.cell(zone, "total", "total").map(|figures| (zone, figures)))
        .unwrap();
    assert_eq!(planted.cell("S03", "total", "total"), None, "two enterprises");
    let json =
        |n: u64| format!("{{\"features\":[{{\"properties\":{{\"effectif\":{n},\"effectif_statut\":\"ok\"}}}}]}}");
    let row = |zone: &str, figures: &str| {
        format!("{{\"zone\":\"{zone}\",\"naf\":\"total\",\"source_donnees\":\"total\",{figures}}}")
    };
    let secret = || row("S03", "\"effectif\":null,\"effectif_statut\":\"secret\"");
    let csv = |n: u64| format!("code,effectif,etablissements\r\n{zone},{n},{establishments}\r\n");
    let page = |zone: &str, figures: &str| format!("<tr><td>{zone}</td><th scope=\"row\">Nom</th>{figures}</tr>");
    let cells = |n: u64, m: u64| format!("<td class=\"n\">{}</td><td class=\"n\">{m}</td>", spaced(n));
    let hidden = "<td class=\"n\" colspan=\"2\">secret</td>";
    let items = "/collections/secteurs/items";
    for (media, path, leak, sound) in [
        ("application/geo+json", items, json(raw), json(shown)),
        ("application/geo+json", items, json(shown + 1), json(shown)),
        ("application/json", "/odata", row("S03", &format!("\"effectif\":{headcount}")), secret()),
        ("application/json", "/odata", row("S03", "\"effectif\":0"), secret()),
        ("application/json", "/odata", row("S03", "\"etablissements\":2"), secret()),
        ("application/json", "/odata", row("S03", "\"effectif\":null,\"effectif_statut\":\"ok\""), secret()),
        ("application/json", "/odata", row(zone, "\"effectif\":null"), row(zone, &format!("\"effectif\":{headcount}"))),
        ("application/json", "/odata", format!("{{\"somme\":{}}}", shown + 1), format!("{{\"somme\":{shown}}}")),
        ("text/csv; charset=utf-8", items, csv(raw), csv(headcount)),
        ("text/csv; charset=utf-8", items, csv(shown + 1), csv(headcount)),
        ("text/html; charset=utf-8", "/", format!("<p>{}", spaced(raw)), format!("<p>{}", spaced(shown))),
        ("text/html; charset=utf-8", "/", format!("<p>{}", spaced(shown + 1)), format!("<p>{}", spaced(shown))),
        ("text/html; charset=utf-8", items, page("S03", &cells(0, 2)), page("S03", hidden)),
        ("text/html; charset=utf-8", items, page(zone, hidden), page(zone, &cells(headcount, establishments))),
        ("application/problem+json", "/", format!("{{\"found\":\"{raw}\"}}"), format!("{{\"found\":\"{shown}\"}}")),
    ] {
        let headers = HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, media.parse().unwrap())]);
        assert!(planted.leak(path, &headers, leak.as_bytes()).is_some(), "{media}: {leak}");
        assert_eq!(planted.leak(path, &headers, sound.as_bytes()), None, "{media}: {sound}");
    }
    for bytes in [raw.to_le_bytes().to_vec(), (raw as f64).to_le_bytes().to_vec(), (raw as f64).to_be_bytes().to_vec()]
    {
        let body = [&[1, 0xff, 3][..], &bytes, &[4]].concat();
        assert!(planted.leak("/", &HeaderMap::new(), &body).is_some(), "{bytes:?}");
    }
}

/// The same for files, packed ones too: those of other records show figures that this release does not hold.
#[tokio::test]
async fn a_leak_is_seen_in_every_file() {
    let planted = Planted::new();
    let other = protected(SPEC, &COLUMNS, &records(55));
    for (release, leaks) in [(planted.release.clone(), false), (release([(2024, other)].into()), true)] {
        let shelf = Shelf::new();
        shelf.put(release);
        let house = router(shelf, Site::default());
        let files = FileFormat::OF_ZONES.map(|format| format!("/telechargements/secteurs.{}", format.extension()));
        for path in files.into_iter().chain([
            "/telechargements/tableaux.parquet".to_owned(),
            "/collections/secteurs/tiles/WebMercatorQuad/10/358/526".to_owned(),
        ]) {
            let (status, headers, body) = answer(&house, build(&path, &[]).unwrap()).await;
            assert_eq!((status, body.is_empty()), (StatusCode::OK, false), "{path}");
            assert_eq!(planted.leak(&path, &headers, &body).is_some(), leaks, "{path}");
        }
    }
}

/// S02 and S03 are withheld in both: one by a rule, the other to protect it, each in its turn.
///
/// Both releases are the same bytes once they are sealed, and the service serves what it opened from such bytes: whatever
/// it does with them, in whatever time, it cannot do by a reason that is not in them. So nothing is timed here.
#[tokio::test]
async fn nothing_tells_a_cell_withheld_by_a_rule_from_one_withheld_to_protect_it() {
    let house = |few: &str, many: &str| {
        let tables = alike(few, many);
        let withheld: Vec<String> = tables
            .iter()
            .flat_map(|table| table.cells().filter(|(_, cell)| matches!(cell, Cell::Suppressed)).collect::<Vec<_>>())
            .map(|(at, _)| format!("{at:?}"))
            .collect();
        assert_eq!(withheld.len(), 2, "{few}: {withheld:?}");
        let release = release([(2024, tables)].into());
        let sealed = seal(&release);
        let shelf = Shelf::new();
        shelf.put(release);
        (router(shelf, Site::default()), withheld, sealed)
    };
    let ((one, withheld, sealed), (other, same, alike)) = (house("S02", "S03"), house("S03", "S02"));
    assert_eq!(withheld, same);
    assert!(sealed == alike, "a release says why a cell is withheld");
    let (differing, answered) = told_apart(&one, &other).await;
    assert_eq!(differing, BTreeMap::new());
    assert!(answered > right().len() / 8, "{answered} answers");
}

/// The judge of the test above sees, at every face of figures, that one cell is not what it is elsewhere.
#[tokio::test]
async fn a_cell_that_is_told_apart_is_seen_at_every_face() {
    let house = |tables: ProtectedTables| {
        let shelf = Shelf::new();
        shelf.put(release([(2024, tables)].into()));
        router(shelf, Site::default())
    };
    let (withheld, shown) = (alike("S02", "S03"), of_sectors(&[("S02", 8, 500), ("S03", 8, 500)]));
    let (differing, _) = told_apart(&house(withheld), &house(shown)).await;
    for face in [
        "/collections/{zoning}/items",
        "/collections/{zoning}/items/{code}",
        "/collections/{zoning}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}",
        "/telechargements/{file}",
        "/odata/Aggregats",
        "/odata/AggregatsHistorique",
        "/odata/{resource}",
    ] {
        assert!(differing.contains_key(face), "{face} shows no difference: {differing:?}");
    }
}

/// The routes at which two houses do not answer alike, headers included, each with a question; and how many questions the
/// first one answered with 200.
async fn told_apart(one: &Router, other: &Router) -> (BTreeMap<&'static str, String>, usize) {
    let mut dice = Pcg64Mcg::seed_from_u64(7);
    let others = routes().into_iter().map(|(route, _)| route).filter(|route| *route != "/metrics");
    let chance = others.flat_map(|route| (0..QUESTIONS / 5).map(move |_| route));
    let asked: Vec<_> = chance.map(|route| (route, question(route, &mut dice))).collect();
    let rightly = right().into_iter().map(|(route, path)| (route, (path, Vec::new())));
    let (mut differing, mut answered) = (BTreeMap::new(), 0);
    for (route, (path, headers)) in rightly.chain(asked) {
        let (Ok(a), Ok(b)) = (build(&path, &headers), build(&path, &headers)) else { continue };
        let (mut a, mut b) = (answer(one, a).await, answer(other, b).await);
        for headers in [&mut a.1, &mut b.1] {
            headers.remove("x-request-id");
        }
        if a != b {
            differing.entry(route).or_insert(format!("{path} {headers:?}"));
        }
        answered += usize::from(a.0 == StatusCode::OK);
    }
    (differing, answered)
}

fn build(path: &str, headers: &[(&'static str, &'static str)]) -> Result<Request<Body>, axum::http::Error> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty())
}

async fn answer(house: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let answer = house.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
}

/// Records as protected tables; the columns have these names.
fn protected<const N: usize>(spec: &str, names: &[&str; N], records: &[([&str; N], u64)]) -> ProtectedTables {
    let spec = Spec::parse(spec).unwrap();
    let ids: Vec<String> = (0..records.len()).map(|i| format!("E{i:03}")).collect();
    let column = |d: usize| records.iter().map(|(codes, _)| Some(codes[d].to_owned())).collect::<Vec<_>>();
    let columns = names.iter().enumerate().map(|(d, name)| Column::of(name, &column(d))).collect();
    let weights = records.iter().map(|record| record.1).collect();
    let micro = Microdata::new(ids.clone(), &ids, weights, columns);
    protect(&tabulate(&micro, &spec).unwrap(), &spec.rules, &spec.protection, &[]).unwrap().0
}

/// Sectors where `few` has two enterprises and `many` eight, so that what is published is the same either way.
fn alike(few: &str, many: &str) -> ProtectedTables {
    of_sectors(&[(few, 2, 500), (many, 8, 500)])
}

/// One table of these sectors and three large ones: enterprises of each, and their headcounts.
fn of_sectors(some: &[(&str, usize, u64)]) -> ProtectedTables {
    const ONE_TABLE: &str = r#"
        contributor = "siren"
        weight = "headcount"
        [rules]
        min_contributors = 3
        [dimensions.secteurs]
        levels = ["secteurs"]
        [[tables]]
        name = "secteurs"
        dimensions = ["secteurs"]
    "#;
    let sectors = [some, &[("S01", 9, 5000), ("S04", 9, 6000), ("S05", 9, 7000)]].concat();
    let records: Vec<([&str; 1], u64)> =
        sectors.iter().flat_map(|(sector, n, weight)| (0..*n).map(|_| ([*sector], *weight))).collect();
    protected(ONE_TABLE, &["secteurs"], &records)
}

fn release(vintages: BTreeMap<u16, ProtectedTables>) -> Release {
    let square = |i: usize| {
        let (x, y) = (5.0 + 0.01 * i as f64, 47.3);
        let ring = vec![(x, y), (x + 0.01, y), (x + 0.01, y + 0.01), (x, y + 0.01), (x, y)];
        Wgs84::vouch(geo::MultiPolygon(vec![geo::Polygon::new(ring.into(), vec![])]))
    };
    let zones = (0..6).map(|i| ReleasedZone {
        code: format!("S{:02}", i + 1).parse().unwrap(),
        label: format!("Secteur {}", ["a", "b", "c", "d", "e", "f"][i]),
        contour: square(i),
    });
    Release {
        id: ReleaseId::from_digest("0123456789abcdef0123"),
        zonings: vec![ReleasedZoning {
            id: "secteurs".into(),
            title: "Secteurs d'emploi".into(),
            version: "2025".into(),
            zones: zones.collect(),
        }],
        vintages,
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
