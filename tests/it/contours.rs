//! Zone files as the world sends them, through `arpent inspect`: what is accepted, refused, mended and grouped.

use crate::command::{arpent, demo, said, shared};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// File, arguments, exit code, and words that the answer must hold: the file, the record, the cure.
type Case = (&'static str, &'static str, i32, &'static [&'static str]);

/// Every file of the corpus, as its manifest asks or better.
const CASES: &[Case] = &[
    ("mtp-VilleMTP_MTP_AOC.zip", "", 2, &["VilleMTP_MTP_AOC.shp", "no .prj", "the system given by its code (EPSG:N)"]),
    ("mtp-VilleMTP_MTP_AOC.zip", "--zones-crs EPSG:2154 --zone-id SHAPE_AREA", 0, &["8 accepted, 0 records rejected"]),
    (
        "mtp-VilleMTP_MTP_AOC.zip",
        "--zones-crs EPSG:4326 --zone-id SHAPE_AREA",
        2,
        &["row 1", "EPSG:2154 is Lambert-93"],
    ),
    (
        "mtp-VilleMTP_MTP_AOC.zip",
        "--zones-crs EPSG:3947 --zone-id SHAPE_AREA",
        2,
        &["row 1", "like metres of Lambert-93"],
    ),
    ("mtp-VilleMTP_MTP_CameraSurv.zip", "", 2, &["Point", "Année (", "expected polygons"]),
    ("mtp-VilleMTP_MTP_TDF2013.zip", "", 2, &["TDF2013Arrivée", "TDF2013Départ", "PolyLine"]),
    ("mtp-RFF_LR_LGV.zip", "", 2, &["Bande_DUP_CNM", "Points_importants_CNM", "the name of one"]),
    ("mtp-RFF_LR_LGV.zip", "--layer bande_dup_cnm", 0, &["1 accepted"]),
    ("mtp-VilleMTP_MTP_ZAC.zip", "", 2, &["VilleMTP_MTP_ZAC.shp", "no unique field of codes"]),
    (
        "mtp-VilleMTP_MTP_ZAC.zip",
        "--zone-id NOMZAC",
        1,
        &["35 accepted", "row", "hole that encloses no area", "which record"],
    ),
    ("mtp-VilleMTP_MTP_BureauxVote.zip", "", 0, &["131 accepted", "code      Bureau"]),
    ("pyshp-corrupt_too_long/corrupt_too_long.shp", "", 2, &["PolyLine, 10 records", "5 stray bytes after record 10"]),
    ("pyshp-latin1/latin1.shp", "", 2, &["latin1.shp", "no .shx, no .prj", "EPSG:N"]),
    ("pyshp-empty_zipfile.zip", "", 2, &["pyshp-empty_zipfile.zip", "a .shp in the archive"]),
    ("pyshp-REL.zip", "", 2, &["PolygonZ, 1 record", "MGI_Austria_Lambert", "in France"]),
    ("pyshp-blockgroups.zip", "", 2, &["blockgroups.shp", "no .prj", "EPSG:N"]),
    ("shprs-file_cp936/file_cp936.shp", "", 2, &["PolyLine", "GBK (.cpg)"]),
    ("shprs-line/line.shp", "", 2, &["PolyLine", "no .dbf, no .prj"]),
    (
        "shprs-multi_polygon/multi_polygon.shp",
        "",
        2,
        &["multi_polygon.shp", "no .shx, no .dbf, no .prj", "all the files"],
    ),
    ("shprs-multipatch/multipatch.shp", "", 2, &["MultiPatch", "expected polygons"]),
    ("shprs-polygon_hole/polygon_hole.shp", "", 2, &["Polygon, 1 record", "no .dbf, no .prj"]),
    ("shprs-polygonm/polygonm.shp", "", 2, &["PolygonM, 1 record", "no .shx, no .dbf, no .prj"]),
    ("mbo-empty/empty.shp", "", 2, &["PolyLine, 0 records"]),
    ("mbo-null/null.shp", "", 2, &["Point, 9 records"]),
    ("mbo-latin1-property/latin1-property.shp", "", 2, &["Point", "windows-1252 (language byte)"]),
    ("mbo-utf8-property/utf8-property.shp", "", 2, &["Point", "UTF-8 (.cpg)"]),
    ("mbo-number-null-property/number-null-property.shp", "", 2, &["no .shx, no .prj", "EPSG:N"]),
    ("mbo-polygons/polygons.shp", "", 2, &["Polygon, 3 records", "polygons.shp: row 1", "EPSG:4326", "in France"]),
    ("mbo-polygonm/polygonm.shp", "", 2, &["PolygonM", "no .shx, no .dbf, no .prj"]),
    ("shpjs-LGA_2013_AUST/LGA_2013_AUST.shp", "", 2, &["13 records", "GCS_GDA_1994", "in France"]),
    ("shpjs-bad/bad.shp", "", 2, &["bad.shp", "file code 9994"]),
    ("shpjs-badzip.zip", "", 2, &["shpjs-badzip.zip", "a zip archive; pack or send it again"]),
    ("shpjs-htmlprj/htmlprj.shp", "", 2, &["htmlprj.prj", "<!DOCTYPE html>", "EPSG:N", "Point"]),
    ("shpjs-codepage/codepage.shp", "", 2, &["Point", "windows-1250 (.cpg)"]),
    ("shpjs-mixedcase.zip", "--zone-id SENDISTNUM", 2, &["40 records", "Massachusetts", "in France"]),
    ("shpjs-noshp.zip", "", 2, &["shpjs-noshp.zip", "counties.dbf", "a .shp in the archive"]),
    ("shpjs-SHP_Exclude.zip", "", 2, &["TestExclude.shp", "no .prj", "EPSG:N"]),
    ("shpjs-zero-len-line.zip", "", 2, &["PolyLine"]),
    ("shpjs-train_stations.zip", "", 2, &["Point, 361 records"]),
    (
        "shpjs-ipra_dresden_polygon/ipra_dresden_polygon.shp",
        "",
        2,
        &["ipra_dresden_polygon.shp: row 1", "224 bytes where the .shx says 544", "exported again"],
    ),
    ("slib-polygon/polygon.shp", "", 2, &["polygon.shp", "no .prj", "EPSG:N"]),
    ("slib-anno/anno.shp", "", 2, &["anno.shp", "no .prj", "EPSG:N"]),
    ("slib-csah/csah.shp", "", 2, &["PolyLine, 124 records"]),
    ("slib-3dpoints/3dpoints.shp", "", 2, &["PointZ, 22 records", "3dpoints.shx", "entry 6"]),
    (
        "fiona-coutwildrnp/coutwildrnp.shp",
        "--zone-id WILDRNP020",
        2,
        &["67 records", "windows-1252 (.cpg)", "in France"],
    ),
    ("derived/truncated-shp.zip", "", 2, &["sect.shp: row 20", "cut short, and must be sent again"]),
    ("derived/wrong-shx.zip", "", 0, &["31 accepted", "sect.shx", "7 entries"]),
    ("derived/dbf-deleted-rows.zip", "--zone-id SQUARTMNO", 0, &["28 accepted", "sect.dbf", "3 rows (4, 11, 31)"]),
    ("derived/no-dbf.zip", "", 2, &["sect.shp", "no .dbf", "send all the files"]),
    ("derived/prj-wgs84-lie.zip", "", 2, &["sect.shp: row 1", "EPSG:4326 declares", "EPSG:2154"]),
    ("derived/rings-reversed.zip", "", 0, &["31 accepted", "sect.shp", "the wrong way"]),
    ("derived/record-length-huge.zip", "", 2, &["sect.shp: row 10", "4294967294 bytes", "exported again"]),
    ("derived/self-intersection.zip", "", 1, &["31 accepted", "sect.shp: row 3", "zone `9`", "(771543.9, 6283178.5)"]),
    ("derived/self-intersection.zip", "--make-valid", 0, &["changed   made_valid: zone `9`", "m² before"]),
    ("derived/nan-vertex.zip", "", 2, &["sect.shp: row 7", "NaN", "export it again"]),
    ("derived/macosx-entries.zip", "", 0, &["31 accepted, 0 records rejected"]),
    ("derived/zip-slip.zip", "", 2, &["zip-slip.zip", "../../etc/sect.shp", "pack the files again"]),
    ("derived/utf8-without-cpg.zip", "", 0, &["31 accepted", "UTF-8, used instead"]),
    ("derived/overlap-and-gap.zip", "", 0, &["31 accepted", "warning: overlap of zones", "warning: gap beside"]),
];

#[test]
fn every_file_of_the_corpus_is_answered_with_its_place_and_its_cure() {
    let Some(corpus) = shared("shapefiles-corpus") else { return };
    for (file, arguments, code, words) in CASES {
        let path = corpus.join(file).display().to_string();
        let output = arpent(["inspect", &path].into_iter().chain(arguments.split_whitespace()));
        let said = said(&output);
        assert_eq!(output.status.code(), Some(*code), "{file} {arguments}: {said}");
        let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
        assert!(missing.is_empty(), "{file} {arguments}: nothing of {missing:?} in {said}");
    }
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.csv")).unwrap();
    let files: Vec<&str> = manifest.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(files.len(), 53);
    for file in files {
        assert!(CASES.iter().any(|case| case.0 == file), "{file} is not in the table");
    }
}

/// Zones of 100 m in Lambert-93 as GeoJSON of the 2008 draft: code and ring, places from a corner near Dijon.
fn layer(folder: &Path, name: &str, zones: &[(&str, &[(f64, f64)])]) -> PathBuf {
    let feature = |(code, ring): &(&str, &[(f64, f64)])| {
        let ring: Vec<[f64; 2]> = ring.iter().map(|(x, y)| [853_000.0 + x, 6_692_000.0 + y]).collect();
        json!({"type": "Feature", "properties": {"code": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    };
    let text = json!({"type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}},
        "features": zones.iter().map(feature).collect::<Vec<_>>()});
    let path = folder.join(name);
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

fn square(x: f64, y: f64, width: f64, height: f64) -> [(f64, f64); 5] {
    [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
}

fn inspect(file: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let path = file.display().to_string();
    let output = arpent(["inspect", &path, "--json"].iter().chain(more));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output))))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn findings_lie_on_the_map_where_the_defects_were_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (square(0.0, 0.0, 100.0, 100.0), square(90.0, 0.0, 110.0, 100.0), square(200.2, 0.0, 99.8, 100.0));
    let file = layer(folder.path(), "zones.geojson", &[("A", &a), ("B", &b), ("C", &c)]);
    let whole = layer(folder.path(), "town.geojson", &[("T", &square(0.0, 0.0, 300.0, 120.0))]);
    let map = folder.path().join("findings.geojson");
    let (code, report) = inspect(
        &file,
        &["--expected", "4", "--territory", whole.to_str().unwrap(), "--topology", map.to_str().unwrap()],
    );
    assert_eq!(code, Some(2), "three zones instead of four: {report}");
    let findings = report["zones"]["topology"]["findings"].as_array().unwrap();
    let found: Vec<_> = findings
        .iter()
        .map(|f| (f["severity"].as_str().unwrap(), f["kind"].as_str().unwrap(), f["area_m2"].as_f64().unwrap().round()))
        .collect();
    assert_eq!(
        found,
        [
            ("blocking", "zone_count", 0.0),
            ("warning", "overlap", 1_000.0),
            ("warning", "uncovered", 6_020.0),
            ("note", "detached", 9_980.0),
        ]
    );
    assert_eq!(findings[1]["zones"], json!(["A", "B"]));
    // Dijon, in degrees, and the same in metres.
    let (place, metres) = (&findings[1]["place"], &findings[1]["place_l93"]);
    assert!(
        (place[0].as_f64().unwrap() - 5.02).abs() < 0.1 && (place[1].as_f64().unwrap() - 47.3).abs() < 0.1,
        "{place}"
    );
    assert!((metres[0].as_f64().unwrap() - 853_095.0).abs() < 5.1, "{metres}");
    let map = json_of(&map);
    assert_eq!(map["features"].as_array().unwrap().len(), 4);
    let overlap = &map["features"][1];
    assert_eq!(
        (overlap["geometry"]["type"].as_str(), overlap["properties"]["kind"].as_str()),
        (Some("MultiPolygon"), Some("overlap"))
    );
    assert!(map["features"][0]["geometry"].is_null(), "a count has no place");
}

#[test]
fn a_repair_is_told_and_written_beside_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (square(0.0, 0.0, 100.0, 100.0), square(100.3, 0.0, 99.7, 100.0));
    let bow_tie = [(0.0, 200.0), (100.0, 300.0), (100.0, 200.0), (0.0, 300.0), (0.0, 200.0)];
    let file = layer(folder.path(), "zones.geojson", &[("A", &a), ("B", &b), ("C", &bow_tie)]);
    let before = std::fs::read(&file).unwrap();
    let out = folder.path().join("mended.geojson");
    let out_name = out.to_str().unwrap();
    assert_eq!(inspect(&file, &["--out", out_name]).0, Some(1), "a ring crosses itself");
    assert!(!out.exists(), "nothing is mended unasked");
    let (code, report) = inspect(&file, &["--snap", "0.5", "--make-valid", "--out", out_name]);
    assert_eq!(code, Some(0), "{report}");
    let changes = report["zones"]["changes"].as_array().unwrap();
    let told: Vec<_> = changes.iter().map(|c| (c["what"].as_str().unwrap(), c["zone"].as_str().unwrap())).collect();
    assert_eq!(told, [("made_valid", "C"), ("snapped", "B")]);
    assert!((changes[1]["moved_m"].as_f64().unwrap() - 0.3).abs() < 1e-6, "{changes:?}");
    let grown = changes[1]["area_after_m2"].as_f64().unwrap() - changes[1]["area_before_m2"].as_f64().unwrap();
    assert!((grown - 30.0).abs() < 0.01, "{grown}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let (code, again) = inspect(&out, &["--snap", "0.001"]);
    assert_eq!(
        (code, &again["zones"]["changes"]),
        (Some(0), &json!([])),
        "borders meet once it is read again: {again}"
    );
    let kinds: Vec<_> = again["zones"]["topology"]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect();
    assert!(!kinds.contains(&"sliver") && !kinds.contains(&"gap"), "{kinds:?}");
    let output = arpent(["inspect", file.to_str().unwrap(), "--make-valid", "--out", file.to_str().unwrap()]);
    assert!(output.status.code() == Some(2) && said(&output).contains("output_is_input"), "{}", said(&output));
    let output = arpent(["inspect", file.to_str().unwrap(), "--snap", "500"]);
    assert!(output.status.code() == Some(2) && said(&output).contains("up to 100 m"), "{}", said(&output));
}

#[test]
fn quarters_are_made_of_the_demo_iris_by_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let iris = demo("iris.zip");
    let all = folder.path().join("iris.geojson");
    let (code, report) = inspect(&iris, &["--out", all.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{report}");
    let written = json_of(&all);
    let features = written["features"].as_array().unwrap();
    let codes: Vec<&str> = features.iter().map(|f| f["properties"]["code"].as_str().unwrap()).collect();
    let area = |file: &Value| -> f64 {
        file["features"].as_array().unwrap().iter().map(|f| f["properties"]["area_m2"].as_f64().unwrap()).sum()
    };
    let table = |name: &str, rows: &mut dyn Iterator<Item = String>| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("code_iris;quartier;nom_quartier\n{}", rows.collect::<String>())).unwrap();
        path.display().to_string()
    };
    let row = |code: &&str| format!("{code};{};Commune {}\n", &code[..5], &code[..5]);
    let whole = table("whole.csv", &mut codes.iter().map(row));
    let quarters = folder.path().join("quarters.geojson");
    let (code, report) = inspect(&iris, &["--groups", &whole, "--out", quarters.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{report}");
    let made = json_of(&quarters);
    let mut communes: Vec<&str> = codes.iter().map(|code| &code[..5]).collect();
    communes.dedup();
    assert_eq!(made["features"].as_array().unwrap().len(), communes.len());
    assert!((area(&made) - area(&written)).abs() < 1.0, "{} {}", area(&made), area(&written));
    assert_eq!(report["zones"]["groups"].as_array().unwrap().len(), communes.len());
    for (name, rows, more, code, words) in [
        (
            "unknown.csv",
            format!("{}999999999;X;Y\n", codes.iter().map(row).collect::<String>()),
            "",
            1,
            "`999999999`, which is no zone",
        ),
        (
            "twice.csv",
            format!("{}{};X;Y\n", codes.iter().map(row).collect::<String>(), codes[0]),
            "",
            1,
            "which line 2 names too",
        ),
        ("forgotten.csv", codes[1..].iter().map(row).collect(), "", 1, "no line for 1 of"),
        ("forgotten.csv", codes[1..].iter().map(row).collect(), "--partial", 0, "verdict   accepted"),
    ] {
        let path = table(name, &mut std::iter::once(rows));
        let iris = iris.display().to_string();
        let output = arpent(["inspect", &iris, "--groups", &path].into_iter().chain(more.split_whitespace()));
        assert_eq!(output.status.code(), Some(code), "{name} {more}: {}", said(&output));
        assert!(said(&output).contains(words), "{name} {more}: {}", said(&output));
    }
}
