//! What is published for partners, from a policy that gives them more to a release that is taken back, with curl.

use crate::desk::{Desk, done, word};
use arpent::model::Siret;
use serde_json::{Value, json};
use std::process::Command;

/// Squares side by side, each with a number of establishments; the second has two, which the public is not told.
const ZONES: [(&str, usize); 4] = [("S01", 6), ("S02", 2), ("S03", 7), ("S04", 5)];

fn zones() -> String {
    let zone = |(i, (code, _)): (usize, &(&str, usize))| {
        let (west, east) = (5.0 + 0.01 * i as f64, 5.0 + 0.01 * (i + 1) as f64);
        let ring = [[west, 47.3], [east, 47.3], [east, 47.31], [west, 47.31], [west, 47.3]];
        json!({ "type": "Feature", "properties": { "CODE": code },
                "geometry": { "type": "Polygon", "coordinates": [ring] } })
    };
    let features: Vec<Value> = ZONES.iter().enumerate().map(zone).collect();
    json!({ "type": "FeatureCollection", "features": features }).to_string()
}

/// Establishments of as many enterprises, of headcounts near each other.
fn register() -> String {
    let valid = |siren: u32| (0..100).map(|n| format!("{siren:09}{n:05}")).find(|s| s.parse::<Siret>().is_ok());
    let mut sirets = (100_000_000..).filter_map(valid);
    let mut text = "siret;effectif;naf;millesime;source;longitude;latitude;qualite_xy\n".to_owned();
    for (i, (_, n)) in ZONES.iter().enumerate() {
        for k in 0..*n {
            let (siret, longitude) = (sirets.next().unwrap(), 5.005 + 0.01 * i as f64);
            text += &format!("{siret};{};47.11F;2024;urssaf;{longitude};47.305;11\n", 20 + k);
        }
    }
    text
}

#[test]
fn partners_read_a_figure_that_the_public_does_not_and_a_release_taken_back_is_gone_for_both() {
    let with_partners = |policy: String| {
        let policy = policy.replace("\n[tables]\n", "\n[partner]\nrules = { min_contributors = 2 }\n\n[tables]\n");
        assert!(policy.contains("\n[partner]\n"));
        policy
    };
    let desk = Desk::with_policy("", with_partners);
    for (name, text) in [("zones.geojson", zones()), ("register.csv", register())] {
        std::fs::write(desk.file(name), text).unwrap();
    }
    let (zones, register) = (desk.text("zones.geojson"), desk.text("register.csv"));
    desk.act(&["import", "zoning", &zones, "--name", "secteurs", "--version", "2025", "--reason", "périmètre"]);
    desk.act(&["import", "register", &register, "--crs", "4326"]);
    desk.act(&["publish", "--zoning", "secteurs=2025", "--vintage", "2024", "--title", "un"]);
    let [partner, owner, gis] = ["partner:urssaf", "owner", "gis"].map(|role| desk.key(role));
    let service = desk.serve();

    let items = "/collections/secteurs/items?skipGeometry=true";
    let rows = "/odata/Aggregats?$filter=zone_id%20eq%20%27secteurs.S02%27";
    let bytes = |path: &str, headers: &str| {
        let (status, head, body) = service.ask("GET", path, headers);
        assert_eq!(status, 200, "{path}: {body}");
        let tag = head.lines().find(|line| line.starts_with("etag: ")).map(str::to_owned);
        (tag, body)
    };
    let of_zone = |body: &str| {
        let told: Value = serde_json::from_str(body).unwrap();
        let zone = told["features"].as_array().unwrap().iter().find(|zone| zone["id"] == "S02").unwrap().clone();
        zone["properties"].clone()
    };
    let public = [bytes(items, ""), bytes(rows, "")];
    let withheld = of_zone(&public[0].1);
    assert_eq!((&withheld["effectif"], &withheld["effectif_statut"]), (&Value::Null, &json!("secret")));
    assert!(public[1].1.contains("secret"), "{}", public[1].1);

    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    for headers in [bearer(&partner), bearer(&owner), format!("X-API-Key: {partner}\r\n")] {
        for _ in 0..2 {
            let shown = of_zone(&bytes(items, &headers).1);
            assert_eq!((&shown["effectif"], &shown["etablissements"]), (&json!(41), &json!(2)), "{shown}");
            assert!(!bytes(rows, &headers).1.contains("secret"));
            // What is kept for the public is what it was, whoever asked in between.
            assert_eq!([bytes(items, ""), bytes(rows, "")], public);
        }
    }
    let in_address = bytes(&format!("{items}&api_key={partner}"), "").1;
    assert_eq!(of_zone(&in_address)["effectif"], 41);
    let address = format!("http://{}{items}", service.address);
    let by_password = Command::new("curl").args(["-sS", "-u", &format!("x:{partner}"), &address]).output().unwrap();
    assert_eq!(of_zone(&String::from_utf8(by_password.stdout).unwrap())["effectif"], 41, "as a password");
    assert_eq!(bytes(items, &bearer(&gis)), public[0], "GIS staff look at drafts, not at what partners are given");
    let (_, head, _) = service.ask("GET", items, &bearer(&partner));
    assert!(head.contains("\r\ncache-control: private, no-store") && !head.contains("\r\netag:"), "{head}");
    assert!(head.lines().any(|line| line.starts_with("vary: ") && line.contains("authorization")), "{head}");

    // The name of what is for partners is told to nobody else.
    let listed = done(&service, &partner, "/odata/Publications", &[]);
    let theirs = word(&listed["value"][0], "id");
    for path in ["/", "/collections", "/odata/Publications", "/catalogue", "/api", "/metrics", "/telechargements"] {
        assert!(!bytes(path, "").1.contains(&theirs), "{path}");
    }

    let release = word(&service.json("/odata/Publications")["value"][0], "id");
    assert_ne!(release, theirs);
    done(&service, &owner, &format!("/api/v1/releases/{release}/withdraw"), &["-d", r#"{"reason":"Une erreur"}"#]);
    for key in ["", &partner, &owner] {
        let headers = if key.is_empty() { String::new() } else { bearer(key) };
        for path in [items, rows, &format!("/collections/secteurs@{release}/items")] {
            let (status, _, body) = service.ask("GET", path, &headers);
            assert!(status == 410 && body.contains("Une erreur"), "{path}: {status} {body}");
        }
    }
    let log = service.stop();
    for secret in [&theirs, partner.rsplit_once('_').unwrap().1] {
        assert!(!log.contains(secret), "a key or the name of what is for partners is in the log");
    }
}
