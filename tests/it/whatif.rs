//! A changed cut before it changes anything: what it would move, show and withhold, and the series it would break.

use crate::command::{arpent, heard_and_unheard, said, shared};
use arpent::config::{About, Policy};
use arpent::model::Zoning;
use arpent::model::establishment::Trust;
use arpent::pipeline::whatif::{Reader, Verdict, what_if};
use arpent::pipeline::{self, Order, RegisterUpload, ZoningUpload, inputs, ledger, sha256_hex};
use arpent::steps::read::register::RegisterOptions;
use arpent::steps::read::{self, Files, ZoneOptions};
use arpent::steps::reconcile::BothSources;
use arpent::steps::repair::Repair;
use arpent::steps::validate::validate_alone;
use arpent::steps::whatif::compare;
use arpent::steps::{reproject, seal};
use arpent::store::{SqliteStore, Stamp, Store};
use serde_json::{Value, json};
use std::path::Path;

/// Strips of a street in Lambert-93: a code and where it begins, in metres; each ends where the next begins, the last at
/// 600 m.
fn street(version: &str, strips: &[(&str, f64)]) -> ZoningUpload {
    let end = |i: usize| strips.get(i + 1).map_or(600.0, |next| next.1);
    let feature = |(i, (code, start)): (usize, &(&str, f64))| {
        let (west, east, y) = (600_000.0 + start, 600_000.0 + end(i), 6_600_000.0);
        let ring = [[west, y], [east, y], [east, y + 100.0], [west, y + 100.0], [west, y]];
        json!({ "type": "Feature", "properties": { "CODE": code },
                "geometry": { "type": "Polygon", "coordinates": [ring] } })
    };
    let layer = json!({
        "type": "FeatureCollection",
        "crs": { "type": "name", "properties": { "name": "urn:ogc:def:crs:EPSG::2154" } },
        "features": strips.iter().enumerate().map(feature).collect::<Vec<_>>(),
    });
    let name = format!("{version}.geojson");
    ZoningUpload {
        id: "secteurs".into(),
        title: "Secteurs".into(),
        version: version.into(),
        files: Files { name: name.clone(), parts: vec![(name, layer.to_string().into_bytes())] },
        options: ZoneOptions::default(),
        expected: None,
        repair: Repair::default(),
        groups: None,
    }
}

/// A SIRET whose key holds.
pub fn siret(n: u32) -> String {
    let digits = format!("99{n:07}0001");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let value = u32::from(d - b'0') * if i % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// One firm each ten metres, from 5 m to 595 m; the one between 200 m and 300 m stands there alone, with 50 jobs.
fn register(vintage: u16) -> RegisterUpload {
    let mut text = String::from("siret,effectif,naf,millesime,source,x,y,epsg\n");
    for n in 0..60_u32 {
        let x = f64::from(n) * 10.0 + 5.0;
        if (200.0..300.0).contains(&x) && n != 25 {
            continue;
        }
        let heads = if n == 25 { 50 } else { 1 + n % 7 + u32::from(vintage % 2) };
        let (siret, x) = (siret(n), 600_000.0 + x);
        text += &format!("{siret},{heads},4711F,{vintage},urssaf,{x},6600050,2154\n");
    }
    RegisterUpload {
        name: format!("register-{vintage}.csv"),
        bytes: text.into_bytes(),
        options: RegisterOptions::default(),
    }
}

fn policy(least: u32) -> String {
    format!(
        "version = 'least-{least}'\nunit = 'siren'\nrules = {{ min_contributors = {least} }}\n\
         protection = {{ width = 0.1, insiders = true }}\n[tables]\nsecteurs = [[]]\n"
    )
}

fn order(zoning: ZoningUpload, vintages: &[u16], least: u32) -> Order {
    Order {
        zonings: vec![zoning],
        registers: vintages.iter().map(|year| register(*year)).collect(),
        vintages: Default::default(),
        keep: Default::default(),
        decisions: Default::default(),
        policy: Policy::parse(&policy(least)).unwrap(),
        about: About { owners: vec!["urssaf".into()], dataset: "effectifs".into(), ..About::default() },
        source: "Urssaf".into(),
        licence: "CC0-1.0".into(),
        notice: String::new(),
        now: "2026-06-01T00:00:00Z".into(),
    }
}

#[test]
fn registers_that_overlap_are_refused_and_nothing_is_counted_twice() {
    let why = |vintages: &[u16]| {
        let order = order(street("2025", &[("A", 100.0), ("B", 300.0)]), vintages, 3);
        pipeline::run(&order).err().map_or(String::new(), |no| no.to_string())
    };
    let twice = "establishments that two files hold for one year and source";
    assert!(why(&[2024, 2024]).contains(twice), "{}", why(&[2024, 2024]));
    assert!(!why(&[2023, 2024]).contains(twice), "{}", why(&[2023, 2024]));
}

/// Publishes an order in a store, and puts its policy in force.
async fn publish(store: &SqliteStore, order: &Order, least: u32) {
    let by = Stamp { at: order.now.clone(), author: "test".into() };
    ledger::put_in_force(store, &policy(least), None, &by).await.unwrap();
    let past = ledger::past(store).await.unwrap();
    let made = pipeline::run_after(order, &past).unwrap_or_else(|no| panic!("{no}"));
    ledger::keep(store, order, &made, "test", "a perimeter").await.unwrap();
}

const FIRST: [(&str, f64); 2] = [("A", 0.0), ("B", 300.0)];
const SECOND: [(&str, f64); 2] = [("A", 0.0), ("B", 200.0)];

/// Everything a store holds, as one digest.
async fn digest(store: &SqliteStore) -> String {
    let mut all = format!("{:?} {:?}", store.zonings().await.unwrap(), store.registers().await.unwrap());
    for release in store.releases().await.unwrap() {
        let dossier = store.dossier(&release.id).await.unwrap().map(|kept| kept.entry);
        all += &format!("{release:?} {dossier:?}");
    }
    let current = store.current().await.unwrap().map(|kept| kept.entry);
    let policy = store.policy().await.unwrap().map(|kept| kept.entry);
    let (jobs, ledger) = (store.jobs(100).await.unwrap(), store.verify_ledger().await.unwrap());
    sha256_hex(format!("{all} {current:?} {policy:?} {jobs:?} {ledger:?}").as_bytes())
}

#[tokio::test]
async fn a_cut_is_asked_about_and_the_store_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let data = path("data");
    let store = SqliteStore::open(&data).await.unwrap();
    publish(&store, &order(street("v1", &FIRST), &[2024], 3), 3).await;
    let proposal = street("proposed", &[("A", 0.0), ("C", 280.0), ("B", 320.0)]);
    std::fs::write(path("cut.geojson"), &proposal.files.parts[0].1).unwrap();
    let ask = |more: &[&str]| {
        let words = ["what-if", "--zoning", "secteurs", "--data"].map(str::to_owned);
        let words = words.into_iter().chain([data.display().to_string(), path("cut.geojson").display().to_string()]);
        arpent(words.chain(more.iter().map(|word| (*word).to_owned())))
    };
    let before = digest(&store).await;
    let output = ask(&["--quick"]);
    assert!(output.status.success() && said(&output).ends_with("verdict   not asked\n"), "{}", said(&output));
    let output = ask(&[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "zones     0 unchanged, 2 moved, 1 appeared, 0 vanished, 0 renamed",
        "  A → C: 2000 m²",
        "  B → C: 2000 m²",
        "moves     2024: 2 establishments with 7 jobs change zone",
        "  new_withheld 2024 secteurs: secteurs=C",
        "verdict   safe",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }

    let (map, moves) = (path("map.geojson").display().to_string(), path("moves.csv").display().to_string());
    let output = ask(&["--json", "--map", &map, "--moves", &moves]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(digest(&store).await, before, "the store changed");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["verdict"], "safe");
    assert_eq!(json["cells"]["count"]["lost"], 1, "one of A and B goes with C: {json:#}");
    let map: Value = serde_json::from_str(&std::fs::read_to_string(map).unwrap()).unwrap();
    assert_eq!(map["features"][0]["properties"], json!({ "from": "A", "to": "C", "area_m2": 2000.0 }));
    let corner = &map["features"][0]["geometry"]["coordinates"][0][0][0];
    assert!(corner[0].as_f64().is_some_and(|lon| (1.0..3.0).contains(&lon)), "{corner}");
    let moves = std::fs::read_to_string(moves).unwrap();
    let movers: Vec<&str> = moves.lines().skip(1).collect();
    assert_eq!(movers.len(), 2);
    let number = movers[0].split(',').next().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains(number), "a SIRET stands in the summary");

    // A file that is refused names each fault, and nothing is written.
    std::fs::write(path("cut.geojson"), street("x", &[("A", 0.0), ("A", 300.0)]).files.parts[0].1.clone()).unwrap();
    let again = path("again.geojson").display().to_string();
    let output = ask(&["--zone-id", "CODE", "--map", &again]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("duplicate_code") && !path("again.geojson").exists(), "{}", said(&output));
}

#[tokio::test]
async fn a_cut_that_lets_someone_subtract_is_refused_with_the_zones_and_what_would_be_safe() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).await.unwrap();
    // Two perimeters that differ by one firm, published under a policy that let it through.
    publish(&store, &order(street("v1", &FIRST), &[2024], 1), 1).await;
    let mut second = order(street("v2", &SECOND), &[2024], 1);
    (second.keep, second.registers[0].options.trust) = (BothSources::KeepMsa, Trust::SureStreet);
    publish(&store, &second, 1).await;
    let served = seal::unseal(&store.current().await.unwrap().unwrap().bytes).unwrap();
    let today = Policy::parse(&policy(3)).unwrap();
    let now = inputs::order_of(&store, &served, today, "2026-07-01T00:00:00Z".into()).await.unwrap();
    assert_eq!((now.zonings[0].version.as_str(), now.about.dataset.as_str()), ("v2", "effectifs"));
    assert_eq!((now.keep, now.registers[0].options.trust), (BothSources::KeepMsa, Trust::SureStreet));
    let past = ledger::past(&store).await.unwrap();

    let apart = street("proposed", &[("A", 0.0), ("C", 200.0), ("B", 300.0)]);
    let answer = what_if(&now, &apart, Some(&served), &past).unwrap_or_else(|no| panic!("{no}"));
    let Verdict::Refused(refusal) = &answer.verdict else { panic!("C is the first A less the second") };
    assert!(refusal.zones.contains(&"C".to_owned()), "{:?}", refusal.zones);
    assert!(refusal.changes.iter().any(|c| c.starts_with("merge `") && c.contains("`C`")), "{:?}", refusal.changes);
    let (owner, partner) = (answer.json(Reader::Owner), answer.json(Reader::Partner));
    assert_eq!(owner["establishments"][0]["headcount"], 50);
    assert_eq!(partner["refusal"]["zones"], owner["refusal"]["zones"]);
    let text = partner.to_string();
    assert!(partner.get("establishments").is_none() && !text.contains("50") && !text.contains("secteurs=C"), "{text}");

    // The command says so too, once the stricter policy is in force.
    let by = Stamp { at: now.now.clone(), author: "test".into() };
    ledger::put_in_force(&store, &policy(3), None, &by).await.unwrap();
    let file = home.path().join("cut.geojson");
    std::fs::write(&file, &apart.files.parts[0].1).unwrap();
    let (data, file) = (home.path().display().to_string(), file.display().to_string());
    let output = arpent(["what-if", "--data", &data, "--zoning", "secteurs", &file]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for line in ["verdict   refused at 2024: ", "  zones concerned: ", "  it would be safe to merge `"] {
        assert!(said(&output).contains(line), "{line}\n{}", said(&output));
    }

    // The same cut as today's moves nothing.
    let same = what_if(&now, &street("again", &SECOND), Some(&served), &past).unwrap_or_else(|no| panic!("{no}"));
    assert!(!same.changes.any() && same.movers.is_empty());
}

#[tokio::test]
async fn a_series_stands_on_one_perimeter_and_the_past_is_recomputed_through_the_same_gate() {
    let home = tempfile::tempdir().unwrap();
    let series = |more: &[&str]| {
        let data = home.path().display().to_string();
        arpent(["series", "--data", &data, "--zoning", "secteurs"].iter().chain(more))
    };
    let store = SqliteStore::open(home.path()).await.unwrap();
    publish(&store, &order(street("v1", &FIRST), &[2023], 3), 3).await;
    publish(&store, &order(street("v2", &SECOND), &[2024], 3), 3).await;
    let output = series(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("2023 on `v1`, 2024 on `v2`"), "{}", said(&output));
    let output = series(&["--recompute"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("safe: these year-ends could be published"), "{}", said(&output));
    assert_eq!(ledger::past(&store).await.unwrap().len(), 2, "nothing was published");

    let past = ledger::past(&store).await.unwrap();
    let both = order(street("v2", &SECOND), &[2023, 2024], 3);
    let made = pipeline::run_after(&both, &past).unwrap_or_else(|no| panic!("{no}"));
    ledger::keep(&store, &both, &made, "test", "recomputed").await.unwrap();
    let output = series(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let (data, cut) = (home.path().display().to_string(), home.path().join("cut.geojson"));
    std::fs::write(&cut, &street("v2", &SECOND).files.parts[0].1).unwrap();
    let (series, cut) = (["series", "--data", &data, "--zoning", "secteurs"], cut.display().to_string());
    let what_if = ["what-if", "--data", &data, "--zoning", "secteurs", "--quick", &cut];
    for line in [&series[..], &what_if] {
        for more in [&[][..], &["--json"]] {
            let line = [line, more].concat();
            assert_eq!(heard_and_unheard(&line), (Some(0), Some(2)), "{line:?}");
        }
    }
    let recomputed = arpent([&series[..], &["--recompute", "--json"]].concat());
    let recomputed: Value = serde_json::from_slice(&recomputed.stdout).unwrap();
    assert_eq!(recomputed["verdict"], "nothing_to_recompute");
    for (more, found) in [
        (["--out", &data], "found a folder"),
        (["--out", &format!("{data}/arpent.db")], "found a file this command already uses"),
    ] {
        let refused = arpent([&series[..], &more].concat());
        assert_eq!((refused.status.code(), said(&refused).contains(found)), (Some(2), true), "{}", said(&refused));
    }
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["perimetre"], &json["millesimes"]), (&json!("v2"), &json!([2023, 2024])));
    let total = json["cells"].as_array().unwrap().iter().find(|c| c["cell"]["secteurs"] == "TOTAL").unwrap();
    // Each of the 51 firms but the lone one had a job more in 2023.
    assert_eq!(total["evolutions"]["2023-2024"]["effectif"]["difference"], -50);
    assert_eq!(total["evolutions"]["2023-2024"]["etablissements"], json!({ "difference": 0, "percent": 0.0 }));
}

#[test]
fn real_contours_in_two_systems_are_one_zoning_and_a_finer_cut_conserves_their_ground() {
    let read = |path: &Path, code: &str| -> Zoning {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let files = Files { name: name.clone(), parts: vec![(name, std::fs::read(path).unwrap())] };
        let layer =
            read::zones(&files, &ZoneOptions { code_field: Some(code.into()), ..ZoneOptions::default() }).unwrap();
        let zones = reproject::zones(layer.records.accepted).unwrap();
        validate_alone(&layer.layer, zones.accepted, None).unwrap().0
    };
    let of = |file: &str, code: &str| {
        shared(&format!("territories/montpellier/VilleMTP_MTP_{file}")).map(|path| read(&path, code))
    };
    let (Some(shapes), Some(degrees), Some(finer)) =
        (of("Quartiers.zip", "QUARTMNO"), of("Quartiers.geojson", "QUARTMNO"), of("SousQuartiers.zip", "OBJECTID"))
    else {
        return;
    };
    let same = compare(Some(&shapes), &degrees);
    assert!(!same.any() && same.count("unchanged") == shapes.zones().len(), "{:?}", same.zones);

    let cut = compare(Some(&shapes), &finer);
    let area = |zoning: &Zoning| zoning.zones().iter().map(|z| z.contour.area_m2()).sum::<f64>();
    let sum = |at: &dyn Fn(&arpent::steps::whatif::Ground) -> bool| -> f64 {
        cut.ground.iter().filter(|g| at(g)).map(|g| g.area_m2).sum()
    };
    let off = area(&finer) - area(&shapes) - sum(&|g| g.from.is_none()) + sum(&|g| g.to.is_none());
    assert!(off.abs() <= cut.noise.area_m2 + 1.0, "{off} m² beside {:?}", cut.noise);
    assert!(cut.count("appeared") + cut.count("renamed") > shapes.zones().len());
}
