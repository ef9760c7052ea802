//! Files that were damaged on purpose: whatever the bytes, every reader answers, and takes no more memory than it may.
//!
//! Mutants are drawn from a seed, so that one which fails can be made again. `make fuzz` draws them for some minutes.

use crate::entries;
use arpent::config::Policy;
use arpent::http::filter::{cql2, odata};
use arpent::model::{ReleaseId, Source, Zoning};
use arpent::pipeline::sha256_hex;
use arpent::steps::index::{KeptIndex, ZoneIndex};
use arpent::steps::intake::{Wanted, take_in};
use arpent::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use arpent::steps::read::Files;
use arpent::steps::read::columns::Mapping;
use arpent::steps::read::groups::groups;
use arpent::steps::read::headcounts::headcounts;
use arpent::steps::read::register::{RegisterOptions, register};
use arpent::steps::read::table::Input;
use arpent::steps::reproject::to_wgs84;
use arpent::steps::review::decisions::Decisions;
use arpent::steps::seal::{seal, unseal};
use arpent::steps::secrecy::argus::{apriori, fixed, hierarchy, jj};
use arpent::steps::secrecy::{earlier_of, reopen};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeSet;
use std::io::{Cursor, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A small sound file that its reader accepts, and which reader that is.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    read: fn(&str, Vec<u8>),
}

/// Every reader meets this many mutants in the ordinary tests: a second or two in all.
const MUTANTS: u64 = 40;
/// Memory that a run over small files stays below.
const MEMORY_MAX_KIB: u64 = 1024 * 1024;

#[test]
fn no_mutant_of_a_sound_file_makes_a_reader_panic() {
    for (i, sample) in samples().iter().enumerate() {
        (sample.read)(sample.name, sample.bytes.clone());
        for seed in 0..MUTANTS {
            meet(sample, seed * 1_000 + i as u64);
        }
    }
}

/// For `make fuzz`: other mutants each time, until the time is up.
#[test]
#[ignore = "runs for ARPENT_FUZZ_MINUTES minutes: `make fuzz`"]
fn no_mutant_makes_a_reader_panic_for_minutes() {
    let minutes: f64 = std::env::var("ARPENT_FUZZ_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(3.0);
    let start = std::time::SystemTime::now();
    let mut seed = start.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs()) << 20;
    let samples = samples();
    let (mut met, mut slowest) = (0_u64, (0.0, String::new()));
    let elapsed = |since: std::time::SystemTime| since.elapsed().map_or(0.0, |d| d.as_secs_f64());
    while elapsed(start) < minutes * 60.0 {
        for sample in &samples {
            let since = std::time::SystemTime::now();
            meet(sample, seed);
            let seconds = elapsed(since);
            if seconds > slowest.0 {
                slowest = (seconds, format!("{} seed {seed}", sample.name));
                eprintln!("slowest: {seconds:.2} s, {}", slowest.1);
            }
            (seed, met) = (seed + 1, met + 1);
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak_kib: u64 =
        status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    eprintln!(
        "{met} mutants of {} samples; slowest {:.2} s ({}); {} MiB",
        samples.len(),
        slowest.0,
        slowest.1,
        peak_kib / 1024
    );
    assert!(peak_kib < MEMORY_MAX_KIB, "{peak_kib} KiB, expected less than {MEMORY_MAX_KIB}");
}

/// Of each sample, the target that it is a file for.
const TARGETS: [(&str, &str); 30] = [
    ("squares.zip", "zip"),
    ("wkt.zip", "zip"),
    ("a.shp", "shp"),
    ("a.shx", "shx"),
    ("a.dbf", "dbf"),
    ("a.cpg", "cpg"),
    ("a.prj", "prj"),
    ("zones.geojson", "geojson"),
    ("zones.gpkg", "geopackage"),
    ("register.csv", "csv"),
    ("register.csv.gz", "csv"),
    ("register.xls", "xls"),
    ("register.xlsx", "xlsx"),
    ("register.ods", "ods"),
    ("register.parquet", "parquet"),
    ("sirene.csv", "sirene"),
    ("groups.csv", "groups"),
    ("decisions.csv", "decisions"),
    ("policy.toml", "settings"),
    ("t.jsonl", "certificate"),
    ("t.tables", "sealed"),
    ("t.records", "sealed"),
    ("t.release", "sealed"),
    ("zones.index", "index"),
    ("t.rda", "argus_rda"),
    ("t.hrc", "argus_hrc"),
    ("t.hst", "argus_hst"),
    ("t.jj", "argus_jj"),
    ("filter.odata", "odata"),
    ("filter.cql2", "cql2"),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Whatever the libFuzzer targets read is read here too, damaged, in the ordinary tests.
#[test]
fn each_target_has_a_sample() {
    let files = std::fs::read_dir(fuzz().join("fuzz_targets")).unwrap();
    let targets: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(targets, TARGETS.iter().map(|(_, target)| (*target).to_owned()).collect());
    let samples: BTreeSet<&str> = samples().iter().map(|sample| sample.name).collect();
    assert_eq!(samples, TARGETS.iter().map(|(name, _)| *name).collect());
}

/// For `make fuzz-seeds`: the samples where `cargo fuzz` looks for something to begin with.
#[test]
#[ignore = "writes fuzz/corpus: `make fuzz-seeds`"]
fn each_target_gets_the_samples_of_its_kind() {
    let root = fuzz();
    for sample in samples() {
        let (_, target) = TARGETS.iter().find(|(name, _)| *name == sample.name).unwrap();
        let corpus = root.join("corpus").join(target);
        std::fs::create_dir_all(&corpus).unwrap();
        std::fs::write(corpus.join(sample.name), sample.bytes).unwrap();
    }
}

fn meet(sample: &Sample, seed: u64) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let bytes = mutant(&sample.bytes, &mut random);
    let kept = bytes.clone();
    let read = catch_unwind(AssertUnwindSafe(|| (sample.read)(sample.name, bytes)));
    if read.is_err() {
        let path = std::env::temp_dir().join(format!("arpent-mutant-{seed}-{}", sample.name));
        let _ = std::fs::write(&path, kept);
        panic!("{} with seed {seed} makes its reader panic; it was kept as {}", sample.name, path.display());
    }
}

/// A zip is damaged within its entries half of the time, since a reader that checks sums would see nothing else.
fn mutant(bytes: &[u8], random: &mut Pcg64Mcg) -> Vec<u8> {
    if !bytes.starts_with(b"PK") || random.random_bool(0.3) {
        return damaged(bytes.to_vec(), random);
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let chosen = random.random_range(0..archive.len());
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if i == chosen {
            content = damaged(content, random);
        }
        writer.start_file(entry.name().unwrap().into_owned(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Some to several changes of every kind we thought of.
fn damaged(mut bytes: Vec<u8>, random: &mut Pcg64Mcg) -> Vec<u8> {
    const TELLING: [u32; 12] = [0, 1, 2, 5, 127, 255, 256, 65_535, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
    const REALS: [f64; 8] = [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e308, -1e308, 5e-324, 0.0, -0.0];
    const WORDS: [&[u8]; 12] =
        [b"null", b"[", b"]", b"{}", b"\"", b";", b"\n", b"1e999", b"-", b"\xff", b"\xef\xbb\xbf", b"\0\0\0\0"];
    for _ in 0..random.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        let put = |bytes: &mut Vec<u8>, new: &[u8]| {
            let end = (at + new.len()).min(bytes.len());
            let length = end - at;
            bytes[at..end].copy_from_slice(&new[..length]);
        };
        match random.random_range(0..10) {
            0 | 1 => bytes[at] = (random.next_u32() & 0xff) as u8,
            2 => bytes[at] ^= 1 << random.random_range(0..8),
            3 => put(&mut bytes, &TELLING[random.random_range(0..TELLING.len())].to_le_bytes()),
            4 => put(&mut bytes, &TELLING[random.random_range(0..TELLING.len())].to_be_bytes()),
            5 => put(&mut bytes, &REALS[random.random_range(0..REALS.len())].to_le_bytes()),
            6 => bytes.truncate(at),
            7 => {
                let end = (at + random.random_range(1..64)).min(bytes.len());
                bytes.drain(at..end);
            }
            8 => {
                let end = (at + random.random_range(1..64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                let times = random.random_range(1..4);
                bytes.splice(to..to, piece.repeat(times));
            }
            _ => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes
}

fn samples() -> Vec<Sample> {
    let (squares, wkt) = (zipped(&entries::squares(entries::PRJ)), zipped(&entries::squares(br#"PROJCS["RGF93_CC47",GEOGCS["GCS_RGF_1993",DATUM["D_RGF_1993",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],PARAMETER["False_Easting",700000.0],PARAMETER["False_Northing",6600000.0],PARAMETER["Central_Meridian",3.0],PARAMETER["Standard_Parallel_1",44.0],PARAMETER["Standard_Parallel_2",49.0],PARAMETER["Latitude_Of_Origin",46.5],UNIT["Meter",1.0]]"#)));
    let text = |text: &str| text.as_bytes().to_vec();
    let geojson = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","id":1,"properties":{"code":"A","nom":"Pré","n":1.5},"geometry":{"type":"Polygon","coordinates":[[[5,47],[5.01,47],[5.01,47.01],[5,47.01],[5,47]]]}},
        {"type":"Feature","id":2,"properties":{"code":"B","nom":null},"geometry":{"type":"MultiPolygon","coordinates":[[[[5.01,47],[5.02,47],[5.02,47.01],[5.01,47.01],[5.01,47]],[[5.012,47.002],[5.012,47.004],[5.014,47.004],[5.012,47.002]]]]}}]}"#;
    let csv = "siret;siren;effectif;naf;annee;source;x;y;epsg;sector\n73282932000074;732829320;12;6201Z;2024;urssaf;853000;6692000;2154;S1\n73282932000082;732829320;\"5\";4711D;2024;msa;853100;6692100;2154;S2\n";
    let sirene = "siret;effectif;activitePrincipaleEtablissement;nomenclatureActivitePrincipaleEtablissement;\
        statutDiffusionEtablissement;etatAdministratifEtablissement;x;y;qualite_xy;epsg;plg_code_commune;plg_iris\n\
        73282932000074;12;62.01Z;NAFRev2;O;A;853000;6692000;11;2154;21231;0101\n\
        73282932000082;5;47.11D;NAFRev2;P;F;853100;6692100;33;2154;21231;HZ\n";
    let decisions = "siret,decision,x,y,epsg,share,since,author,date,reason\n\
        73282932000074,move,850436,6687036,2154,,2024-06-01,Ana,2026-03-15,moved\n\
        73282932000082,close,,,,,,Ana,2026-03-15,\"gone, for good\"\n";
    let part = |extension: &str| {
        let mut files = entries::squares(entries::PRJ).into_iter();
        files.find(|(name, _)| name.ends_with(extension)).unwrap().1
    };
    let sample = |name, bytes, read| Sample { name, bytes, read };
    vec![
        sample("squares.zip", squares, entries::zones),
        sample("wkt.zip", wkt, entries::zones),
        sample("zones.geojson", text(geojson), entries::zones),
        sample("a.shp", part(".shp"), |_, bytes| entries::part_of_shapefile(".shp", bytes)),
        sample("a.shx", part(".shx"), |_, bytes| entries::part_of_shapefile(".shx", bytes)),
        sample("a.cpg", part(".cpg"), |_, bytes| entries::part_of_shapefile(".cpg", bytes)),
        sample("a.dbf", part(".dbf"), |_, bytes| entries::part_of_shapefile(".dbf", bytes)),
        sample("a.prj", part(".prj"), |_, bytes| entries::part_of_shapefile(".prj", bytes)),
        sample("zones.gpkg", geopackage(), entries::zones),
        sample("groups.csv", text("iris;quartier;nom\n1;A;Nord\n2;A;\"Nord\"\n3;B;Sud\n"), entries::groups_table),
        sample("register.csv", text(csv), entries::tables),
        sample("register.csv.gz", gzipped(csv.as_bytes()), entries::tables),
        sample("register.parquet", parquet(), entries::tables),
        // The same rows as xlwt 1.3 writes them, a foreign hand for a form that we do not write.
        sample("register.xls", include_bytes!("register.xls").to_vec(), entries::tables),
        sample("register.xlsx", xlsx(csv), entries::tables),
        sample("register.ods", ods(csv), entries::tables),
        sample("sirene.csv", text(sirene), entries::sirene),
        sample("decisions.csv", text(decisions), entries::decisions),
        sample(
            "t.rda",
            text("SIRET 1 14\n<RECODEABLE>\nHEAD 15 6\n<NUMERIC>\n<DECIMALS> 1\n<WEIGHT>\n"),
            entries::argus_rda,
        ),
        sample("t.hrc", text("A\n@A1\n@A2\n@@A21\nB\n@B1\n"), entries::argus_hrc),
        sample("t.hst", text("\"A\";\"X\";U\n\"B\";\"Y\";C;5\n\"C\";\"Y\";PL;1;2\n"), entries::argus_hst),
        sample(
            "t.jj",
            text("0\n3\n0 10 5 s 0 20 0 0 0\n1 4 2 u 0 8 1 1 0\n2 6 3 s 0 12 0 0 0\n1\n0 3 : 0 (-1) 1 (1) 2 (1)\n"),
            entries::argus_jj,
        ),
        sample("policy.toml", include_bytes!("../../data/policy.toml").to_vec(), entries::settings),
        sample("t.jsonl", entries::small().certificate.clone(), entries::certificate),
        sample("t.tables", entries::small().tables.clone(), entries::sealed),
        sample("t.records", entries::small().records.clone(), entries::sealed),
        sample("t.release", release(), entries::sealed),
        sample("zones.index", kept_index(), entries::kept_index),
        sample(
            "filter.odata",
            text(
                "not (zone eq 'S''1' or contains(zone,'a')) and effectif in (1,2.5) and date_maj ge 2024-01-01T00:00:00Z",
            ),
            entries::odata_filter,
        ),
        sample(
            "filter.cql2",
            text(
                "NOT (\"zone\" = 'S''1' OR zone LIKE 'a\\%%') AND effectif BETWEEN 1 AND 2.5 AND date_maj >= DATE('2024-01-01')",
            ),
            entries::cql2_text,
        ),
    ]
}

/// The same table as a workbook.
fn xlsx(csv: &str) -> Vec<u8> {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, line) in (0..).zip(csv.lines()) {
        for (column, cell) in (0..).zip(line.split(';')) {
            sheet.write(row, column, cell.trim_matches('"')).unwrap();
        }
    }
    workbook.save_to_buffer().unwrap()
}

fn ods(csv: &str) -> Vec<u8> {
    let cell = |cell: &str| {
        format!(
            "<table:table-cell office:value-type=\"string\"><text:p>{}</text:p></table:table-cell>",
            cell.trim_matches('"')
        )
    };
    let row =
        |line: &str| format!("<table:table-row>{}</table:table-row>", line.split(';').map(cell).collect::<String>());
    let content = format!(
        "<?xml version=\"1.0\"?><office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
         xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" \
         xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:spreadsheet>\
         <table:table table:name=\"a\">{}</table:table></office:spreadsheet></office:body></office:document-content>",
        csv.lines().map(row).collect::<String>()
    );
    let media = "application/vnd.oasis.opendocument.spreadsheet";
    let files = [("mimetype", media), ("META-INF/manifest.xml", "<manifest:manifest/>"), ("content.xml", &content)];
    zipped(&files.map(|(name, text)| (name.to_owned(), text.into())))
}

/// Three squares.
fn zoning() -> Zoning {
    let files = Files { name: "a.shp".into(), parts: entries::squares(entries::PRJ) };
    take_in(&files, &Wanted::default()).unwrap().zoning.unwrap()
}

/// A release of three squares and small tables.
fn release() -> Vec<u8> {
    let zoning = zoning();
    let contours: Vec<_> = zoning.zones().iter().map(|zone| &zone.contour).collect();
    let zones = zoning.zones().iter().zip(to_wgs84(&contours).unwrap());
    let zones =
        zones.map(|(zone, contour)| ReleasedZone { code: zone.code.clone(), label: zone.label.clone(), contour });
    let word = |word: &str| word.to_owned();
    let provenance = Provenance {
        source: word("Urssaf et MSA"),
        updated: word("2026-03-01T08:00:00Z"),
        licence: word("CC0-1.0"),
        notice: String::new(),
        policy: sha256_hex(b"policy"),
        policy_version: word("1"),
        inputs: [(word("register"), sha256_hex(b"register"))].into(),
        arpent: word("0"),
    };
    let zoning = ReleasedZoning { id: word("zone"), title: word("Zones"), version: word("1"), zones: zones.collect() };
    let vintages = [(2024, reopen(&entries::small().tables).unwrap())].into();
    seal(&Release { id: ReleaseId::from_digest("00"), zonings: vec![zoning], vintages, provenance })
}

/// The index of three squares.
fn kept_index() -> Vec<u8> {
    let zoning = zoning();
    let codes: Vec<_> = zoning.zones().iter().map(|zone| &zone.code).collect();
    let mut bytes = Vec::new();
    assert!(ZoneIndex::new(&zoning).keep(&codes, "{}", &mut bytes).unwrap());
    bytes
}

/// A shapefile in one zip.
fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn geopackage() -> Vec<u8> {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE gpkg_spatial_ref_sys (srs_name, srs_id INTEGER, organization, organization_coordsys_id INTEGER, definition);
         CREATE TABLE gpkg_contents (table_name, data_type, min_x, min_y, max_x, max_y, srs_id);
         CREATE TABLE gpkg_geometry_columns (table_name, column_name, geometry_type_name, srs_id);
         INSERT INTO gpkg_spatial_ref_sys VALUES ('L93', 7, 'epsg', 2154, 'undefined');
         INSERT INTO gpkg_contents VALUES ('zones', 'features', 0, 0, 18, 9, 7);
         INSERT INTO gpkg_geometry_columns VALUES ('zones', 'geom', 'POLYGON', 7);
         CREATE TABLE zones (fid INTEGER PRIMARY KEY, geom POLYGON, code_iris TEXT, nom_iris TEXT(40), rang REAL);",
    )
    .unwrap();
    for i in 0..3 {
        let (x, y) = (853_000.0 + 100.0 * f64::from(i), 6_692_000.0);
        let mut blob = b"GP\0\x01\x6a\x08\0\0\x01".to_vec();
        blob.extend([3_u32, 1, 5].iter().flat_map(|n| n.to_le_bytes()));
        for (dx, dy) in [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0), (0.0, 0.0)] {
            blob.extend([x + dx, y + dy].iter().flat_map(|v: &f64| v.to_le_bytes()));
        }
        db.execute("INSERT INTO zones VALUES (?1, ?2, ?3, 'Cité', 2.0)", (i, blob, format!("Z{i}"))).unwrap();
    }
    db.serialize("main").unwrap().to_vec()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// The points of a few rows in Parquet, as `arpent assign` writes it.
fn parquet() -> Vec<u8> {
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let text = |cells: &[&str]| Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
    let real = |cells: &[f64]| Arc::new(Float64Array::from(cells.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("siret", text(&["73282932000074", "73282932000082"])),
        ("siren", text(&["732829320", "732829320"])),
        ("effectif", text(&["12", "5"])),
        ("naf", text(&["6201Z", "4711D"])),
        ("annee", text(&["2024", "2024"])),
        ("source", text(&["urssaf", "msa"])),
        ("sector", text(&["S1", "S2"])),
        ("x", real(&[853_000.0, 853_100.0])),
        ("y", real(&[6_692_000.0, 6_692_100.0])),
    ])
    .unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The samples themselves are sound: a mutant of a file that nobody accepts tries little.
#[test]
fn each_sample_is_accepted_as_it_is() {
    let as_zones = |name: &str, bytes: Vec<u8>| {
        let files = Files { name: name.into(), parts: vec![(name.into(), bytes)] };
        take_in(&files, &Wanted::default())
            .map(|intake| (intake.accepted, intake.errors.len()))
            .map_err(|e| e.to_string())
    };
    for sample in samples() {
        let (name, bytes) = (sample.name, sample.bytes);
        match name {
            "zones.geojson" => assert_eq!(as_zones(name, bytes), Ok((2, 0)), "{name}"),
            "squares.zip" | "zones.gpkg" => assert_eq!(as_zones(name, bytes), Ok((3, 0)), "{name}"),
            "wkt.zip" => assert!(as_zones(name, bytes).unwrap_err().contains("for EPSG:3947"), "{name}"),
            "groups.csv" => assert_eq!(groups(name, bytes).unwrap().members.accepted.len(), 3),
            "t.rda" => assert_eq!(fixed::read_rda(name, &bytes).map(|v| v.len()).map_err(|e| e.to_string()), Ok(2)),
            "t.hrc" => assert!(hierarchy::read(name, &bytes, "@").is_ok()),
            "t.hst" => {
                assert_eq!(apriori::read(name, &bytes, ';', 2).map(|k| k.len()).map_err(|e| e.to_string()), Ok(3))
            }
            "filter.odata" => assert!(odata::parse(str::from_utf8(&bytes).unwrap(), &entries::QUERYABLES).is_ok()),
            "filter.cql2" => assert!(cql2::parse(str::from_utf8(&bytes).unwrap(), &entries::QUERYABLES).is_ok()),
            "sirene.csv" => {
                let read = headcounts(name, bytes.into(), Source::Urssaf, Some(2024), &Mapping::default()).unwrap();
                assert_eq!(read.establishments.len(), 2, "{:?}", read.rejected);
            }
            "decisions.csv" => assert_eq!(Decisions::read(name, bytes.into()).map(|read| read.len()), Ok(2)),
            "policy.toml" => assert!(Policy::parse(str::from_utf8(&bytes).unwrap()).is_ok()),
            "a.shp" | "a.shx" | "a.dbf" | "a.prj" | "a.cpg" => {
                let files = Files { name: "a.shp".into(), parts: entries::squares(entries::PRJ) };
                assert!(files.parts.iter().any(|part| part.1 == bytes));
                assert_eq!(take_in(&files, &Wanted::default()).map(|read| read.accepted).ok(), Some(3));
            }
            "t.jsonl" => {
                let told = entries::verified(&bytes);
                assert!(told.is_ok_and(|faults| faults == 0), "its own certificate holds");
            }
            "t.tables" => assert!(reopen(&bytes).is_ok()),
            "t.records" => {
                let tables = reopen(&entries::small().tables).unwrap();
                assert!(earlier_of("a", &bytes, &tables).is_ok());
            }
            "t.release" => assert_eq!(unseal(&bytes).map(|release| release.zonings[0].zones.len()), Ok(3)),
            "zones.index" => assert_eq!(KeptIndex::read(&bytes[..]).map(|kept| kept.codes.len()), Ok(3)),
            "t.jj" => assert_eq!(jj::read(name, &bytes).map(drop).map_err(|e| e.to_string()), Ok(())),
            _ => {
                let read = register(name, Input::from(bytes), &RegisterOptions::default()).unwrap();
                assert_eq!((read.accepted.len(), read.rejected.len()), (2, 0), "{name}: {:?}", read.rejected);
            }
        }
    }
}
