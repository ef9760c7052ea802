//! The whole story on Montpellier with curl alone: the 31 real sous-quartiers as the town publishes them, and a seeded
//! fictitious register at real addresses. A cut is changed, its what-if read, an address corrected, and the first cut
//! served again.

use crate::command::shared;
use crate::desk::{Desk, WAIT, asked, done, draft_of, public, word};
use crate::whatif::siret;
use geo::{Area as _, BooleanOps as _, BoundingRect as _, MultiPolygon, Rect};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;

const SEED: u64 = 34_172;
/// Establishments of the register: some hundred in each sous-quartier.
const ESTABLISHMENTS: u32 = 6_000;

/// Where the addresses of the town stand, EPSG:2154 metres: the records of a shapefile of points.
fn addresses(zip: &Path) -> Vec<(f64, f64)> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let mut shp = Vec::new();
    archive.by_name("VilleMTP_MTP_PointAdresse.shp").unwrap().read_to_end(&mut shp).unwrap();
    let real = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
    shp[100..].chunks_exact(28).map(|record| (real(&record[12..20]), real(&record[20..28]))).collect()
}

/// Firms at addresses drawn at random, most of them small, some of them farms.
fn register(addresses: &[(f64, f64)]) -> String {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut text = "siret;effectif;naf;millesime;source;x;y;qualite_xy\n".to_owned();
    for n in 0..ESTABLISHMENTS {
        let (x, y) = addresses[random.random_range(0..addresses.len())];
        let heads = if random.random_bool(0.02) { random.random_range(50..800) } else { random.random_range(0..20) };
        let (naf, source) = [("01.21Z", "msa"), ("47.11D", "urssaf"), ("62.01Z", "urssaf"), ("86.21Z", "urssaf")]
            [random.random_range(0..4)];
        let quality = if random.random_bool(0.01) { 33 } else { 11 };
        text += &format!("{};{heads};{naf};2024;{source};{x:.2};{y:.2};{quality}\n", siret(n));
    }
    text
}

/// The largest zone of a layer gives its east to a neighbour: the codes of both, and the layer as it is then.
fn redrawn(mut layer: Value) -> (String, String, Value) {
    let features = layer["features"].as_array_mut().unwrap();
    let contour = |feature: &Value| -> MultiPolygon {
        let geometry: geojson::Geometry = serde_json::from_value(feature["geometry"].clone()).unwrap();
        MultiPolygon::try_from(geometry).unwrap()
    };
    let contours: Vec<MultiPolygon> = features.iter().map(contour).collect();
    let area = |zone: &usize| contours[*zone].unsigned_area();
    let largest = (0..contours.len()).max_by(|a, b| area(a).total_cmp(&area(b))).unwrap();
    let extent = contours[largest].bounding_rect().unwrap();
    let middle = (extent.center().x, extent.min().y - 1.0);
    let east = Rect::new(middle, (extent.max().x + 1.0, extent.max().y + 1.0)).to_polygon();
    let given = contours[largest].intersection(&east);
    let left = contours[largest].difference(&east);
    // A neighbour is one whose ground and the given part make no more parts than it had.
    let grown = (0..contours.len()).filter(|zone| *zone != largest).find_map(|zone| {
        let union = contours[zone].union(&given);
        (union.0.len() == contours[zone].0.len()).then_some((zone, union))
    });
    let (neighbour, grown) = grown.expect("a neighbour in the east");
    for (zone, contour) in [(largest, left), (neighbour, grown)] {
        features[zone]["geometry"] = serde_json::to_value(geojson::Geometry::from(&contour)).unwrap();
    }
    let code = |zone: usize| features[zone]["properties"]["code"].as_str().unwrap().to_owned();
    let codes = (code(largest), code(neighbour));
    (codes.0, codes.1, layer)
}

#[test]
fn the_sous_quartiers_of_montpellier_are_sent_redrawn_corrected_published_and_gone_back_to_with_curl_alone() {
    let Some(town) = shared("territories/montpellier") else { return };
    let file = |name: &str| format!("file=@{}", town.join(name).display());
    let desk = Desk::new("approvals = ['urssaf', 'metropole']\nexpected = { secteurs = 31 }");
    let [gis, owner, urssaf, metropole] = ["gis", "owner", "partner:urssaf", "partner:metropole"].map(|r| desk.key(r));
    let service = desk.serve();
    let versions = "/api/v1/zonings/secteurs/versions";

    // Wrong at first: quartiers are no sous-quartiers, and the short code stands twice.
    let form = |fields: &[&str]| -> Vec<String> {
        let wait = WAIT.iter().map(ToString::to_string);
        wait.chain(fields.iter().flat_map(|field| ["-F".to_owned(), (*field).to_owned()])).collect()
    };
    let send = |fields: &[&str]| {
        let fields = form(&[fields, &["title=Sous-quartiers", "reason=premier envoi"]].concat());
        asked(&service, &gis, versions, &fields.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let sub_quarters = file("VilleMTP_MTP_SousQuartiers.zip");
    for (fields, told) in [
        ([file("VilleMTP_MTP_Quartiers.zip"), "code_field=QUARTIER".to_owned()], "31"),
        ([sub_quarters.clone(), "code_field=SQUARTMNO".to_owned()], "MIP"),
    ] {
        let (status, refused) = send(&[&fields[0], &fields[1], "version=2014"]);
        assert_eq!((status, &refused["code"]), (422, &json!("zoning_refused")), "{refused}");
        assert!(refused["rejects"]["listed"].to_string().contains(told), "{refused}");
    }
    // Its own limit is smaller than its sous-quartiers: another edition, which the check says before anything is kept.
    let commune = format!("territory=@{}", town.join("VilleMTP_MTP_LimiteCommune.zip").display());
    let fields = form(&[&sub_quarters, "code_field=SQUARTIER_", &commune]);
    let check: Vec<&str> = fields.iter().map(String::as_str).collect();
    let checked = done(&service, &gis, "/api/v1/zonings/secteurs/check", &check);
    let findings = checked["report"]["topology"]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["kind"] == "beyond_territory"), "{checked}");
    assert_eq!(checked["report"]["territory"]["file"], "VilleMTP_MTP_LimiteCommune.zip");

    let (status, first) = send(&[&sub_quarters, "code_field=SQUARTIER_", "label_field=LIBSQUART", "version=2014"]);
    assert_eq!((status, &first["report"]["topology"]["zones"]), (201, &json!(31)), "{first}");
    std::fs::write(desk.file("register.csv"), register(&addresses(&town.join("VilleMTP_MTP_PointAdresse.zip"))))
        .unwrap();
    let body = format!("@{}", desk.text("register.csv"));
    let sent = done(
        &service,
        &gis,
        "/api/v1/registers?file_name=register.csv",
        &[&WAIT[..], &["--data-binary", &body]].concat(),
    );
    assert_eq!(sent["report"]["accepted"], ESTABLISHMENTS, "{sent}");
    let register = word(&sent, "digest");

    let post = ["-X", "POST"];
    let at = |draft: &Value, act: &str| format!("/api/v1/drafts/{}{act}", word(draft, "id"));
    let drafted = |version: &str| {
        done(&service, &gis, "/api/v1/drafts", &[&WAIT[..], &["-d", &draft_of(version, &register)]].concat())
    };
    let published = |draft: &Value| {
        assert_eq!(asked(&service, &owner, &at(draft, "/publish"), &post).0, 409, "nobody approved");
        for key in [&urssaf, &metropole] {
            done(&service, key, &at(draft, "/approve"), &post);
        }
        word(&done(&service, &owner, &at(draft, "/publish"), &post), "release")
    };
    let draft = drafted("2014");
    let one = published(&draft);
    assert_eq!(public(&service), Ok("2014".to_owned()));
    let shown = service.json("/collections/secteurs/items?limit=100&skipGeometry=true");
    assert_eq!(shown["numberMatched"], 31);
    let placed = &draft["report"]["placed"]["secteurs"];
    assert!(placed["inside"].as_u64() > Some(5_900) && draft["report"]["unplaced"].as_u64() > Some(0), "{draft}");

    // A changed cut, drawn over the one that is kept; what it would change is read before anything does.
    let items = done(&service, &gis, &format!("{versions}/2014/items"), &[]);
    let (giving, taking, layer) = redrawn(items);
    std::fs::write(desk.file("redrawn.geojson"), layer.to_string()).unwrap();
    let changed = format!("file=@{}", desk.text("redrawn.geojson"));
    let (status, second) = send(&[&changed, "code_field=code", "label_field=libelle", "version=2026"]);
    assert_eq!(status, 201, "{second}");
    let mut redrawn: Vec<String> =
        second["report"]["since"]["redrawn"].as_array().unwrap().iter().map(|zone| word(zone, "code")).collect();
    redrawn.sort();
    let mut both = [giving.clone(), taking.clone()];
    both.sort();
    assert_eq!(redrawn, both);
    let what_if = |form: &str| done(&service, &gis, &format!("{versions}/2026/what-if{form}"), &WAIT);
    let told = what_if("");
    let pairs = told["establishments"].as_array().unwrap();
    assert!(!pairs.is_empty() && public(&service) == Ok("2014".to_owned()), "{told}");
    assert_eq!(what_if("?f=geojson")["features"][0]["properties"]["from"], giving.as_str());
    let movers = what_if("?f=csv");
    assert!(movers.as_str().unwrap().lines().count() > 10, "{movers}");

    // One address is corrected: whoever could not be placed stands beside the largest of another sous-quartier.
    let worklist =
        |query: &str| done(&service, &gis, &format!("/api/v1/review?zoning=secteurs&version=2026{query}"), &[]);
    let lost = &worklist("&list=ambiguous&limit=1")["lines"][0];
    let beside = &worklist(&format!("&list=largest&zone={taking}&limit=1"))["lines"][0];
    let decision = json!({
        "siret": lost["siret"], "decision": "move", "x": beside["x"], "y": beside["y"], "epsg": 2154,
        "reason": "vu sur place",
    });
    done(&service, &gis, "/api/v1/decisions", &["-d", &decision.to_string()]);
    let after = worklist("");
    let is_there = |line: &Value| line["siret"] == lost["siret"] && line["zone"] == taking.as_str();
    assert!(after["lines"].as_array().unwrap().iter().any(is_there), "{decision}");

    let draft = drafted("2026");
    assert_eq!(draft["report"]["decided"]["moved"], 1, "{draft}");
    let two = published(&draft);
    assert_eq!(public(&service), Ok("2026".to_owned()));

    let reason = ["-d", r#"{"reason":"le périmètre de 2026 était provisoire"}"#];
    done(&service, &owner, &format!("/api/v1/releases/{one}/rollback"), &reason);
    assert_eq!(public(&service), Ok("2014".to_owned()));
    let again = service.json("/collections/secteurs/items?limit=100&skipGeometry=true");
    assert_eq!(again["features"], shown["features"], "as it was");
    let named = |release: &str| asked(&service, "", &format!("/collections/secteurs@{release}/items?limit=1"), &[]).0;
    assert_eq!((named(&one), named(&two)), (200, 200));

    let log = service.stop();
    assert!(!log.contains("VilleMTP") && !log.contains(&lost["siret"].as_str().unwrap()[..9]), "{log}");
}
