//! Files that were damaged on purpose: whatever the bytes, every reader answers, and takes no more memory than it may.
//!
//! Mutants are drawn from a seed, so that one which fails can be made again. `make fuzz` draws them for some minutes.

use arpent::http::filter::{Kind, Queryable, cql2, odata};
use arpent::model::Crs;
use arpent::steps::intake::{Wanted, take_in, territory};
use arpent::steps::read::groups::groups;
use arpent::steps::read::microdata::microdata;
use arpent::steps::read::points::{PointColumns, points};
use arpent::steps::read::register::{RegisterOptions, register};
use arpent::steps::read::table::Input;
use arpent::steps::read::{Files, ZoneOptions, inspect};
use arpent::steps::repair::Repair;
use arpent::steps::secrecy::argus::{apriori, fixed, hierarchy, jj, table};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::io::{Cursor, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

fn meet(sample: &Sample, seed: u64) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let bytes = mutant(sample.name, &sample.bytes, &mut random);
    let kept = bytes.clone();
    let read = catch_unwind(AssertUnwindSafe(|| (sample.read)(sample.name, bytes)));
    if read.is_err() {
        let path = std::env::temp_dir().join(format!("arpent-mutant-{seed}-{}", sample.name));
        let _ = std::fs::write(&path, kept);
        panic!("{} with seed {seed} makes its reader panic; it was kept as {}", sample.name, path.display());
    }
}

/// A zip is damaged within its entries half of the time, since a reader that checks sums would see nothing else.
fn mutant(name: &str, bytes: &[u8], random: &mut Pcg64Mcg) -> Vec<u8> {
    if !name.ends_with(".zip") || random.random_bool(0.3) {
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
    let (squares, wkt) = (shapefile(), shapefile_with(br#"PROJCS["RGF93_CC47",GEOGCS["GCS_RGF_1993",DATUM["D_RGF_1993",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],PARAMETER["False_Easting",700000.0],PARAMETER["False_Northing",6600000.0],PARAMETER["Central_Meridian",3.0],PARAMETER["Standard_Parallel_1",44.0],PARAMETER["Standard_Parallel_2",49.0],PARAMETER["Latitude_Of_Origin",46.5],UNIT["Meter",1.0]]"#));
    let text = |text: &str| text.as_bytes().to_vec();
    let geojson = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","id":1,"properties":{"code":"A","nom":"Pré","n":1.5},"geometry":{"type":"Polygon","coordinates":[[[5,47],[5.01,47],[5.01,47.01],[5,47.01],[5,47]]]}},
        {"type":"Feature","id":2,"properties":{"code":"B","nom":null},"geometry":{"type":"MultiPolygon","coordinates":[[[[5.01,47],[5.02,47],[5.02,47.01],[5.01,47.01],[5.01,47]],[[5.012,47.002],[5.012,47.004],[5.014,47.004],[5.012,47.002]]]]}}]}"#;
    let csv = "siret;siren;effectif;naf;annee;source;x;y;epsg;sector\n73282932000074;732829320;12;6201Z;2024;urssaf;853000;6692000;2154;S1\n73282932000082;732829320;\"5\";4711D;2024;msa;853100;6692100;2154;S2\n";
    let sample = |name, bytes, read| Sample { name, bytes, read };
    vec![
        sample("squares.zip", squares, read_zones),
        sample("wkt.zip", wkt, read_zones),
        sample("zones.geojson", text(geojson), read_zones),
        sample("zones.gpkg", geopackage(), read_zones),
        sample("groups.csv", text("iris;quartier;nom\n1;A;Nord\n2;A;\"Nord\"\n3;B;Sud\n"), |name, bytes| {
            drop(groups(name, bytes))
        }),
        sample("register.csv", text(csv), read_tables),
        sample("register.csv.gz", gzipped(csv.as_bytes()), read_tables),
        sample("register.parquet", parquet(), read_tables),
        sample(
            "t.rda",
            text("SIRET 1 14\n<RECODEABLE>\nHEAD 15 6\n<NUMERIC>\n<DECIMALS> 1\n<WEIGHT>\n"),
            |name, bytes| {
                if let Ok(variables) = fixed::read_rda(name, &bytes) {
                    drop(fixed::read_asc(name, b"73282932000074   12.5\n73282932000082    5.0\n", &variables));
                }
                drop(table::read_rda(name, &bytes));
            },
        ),
        sample("t.hrc", text("A\n@A1\n@A2\n@@A21\nB\n@B1\n"), |name, bytes| drop(hierarchy::read(name, &bytes, "@"))),
        sample("t.hst", text("\"A\";\"X\";U\n\"B\";\"Y\";C;5\n\"C\";\"Y\";PL;1;2\n"), |name, bytes| {
            drop(apriori::read(name, &bytes, ';', 2))
        }),
        sample(
            "t.jj",
            text("0\n3\n0 10 5 s 0 20 0 0 0\n1 4 2 u 0 8 1 1 0\n2 6 3 s 0 12 0 0 0\n1\n0 3 : 0 (-1) 1 (1) 2 (1)\n"),
            |name, bytes| {
                drop(jj::read(name, &bytes));
            },
        ),
        sample(
            "filter.odata",
            text(
                "not (zone eq 'S''1' or contains(zone,'a')) and effectif in (1,2.5) and date_maj ge 2024-01-01T00:00:00Z",
            ),
            |_, bytes| drop(odata::parse(&String::from_utf8_lossy(&bytes), &QUERYABLES)),
        ),
        sample(
            "filter.cql2",
            text(
                "NOT (\"zone\" = 'S''1' OR zone LIKE 'a\\%%') AND effectif BETWEEN 1 AND 2.5 AND date_maj >= DATE('2024-01-01')",
            ),
            |_, bytes| drop(cql2::parse(&String::from_utf8_lossy(&bytes), &QUERYABLES)),
        ),
    ]
}

const QUERYABLES: [Queryable; 3] = [
    Queryable { name: "zone", kind: Kind::Text },
    Queryable { name: "effectif", kind: Kind::Number },
    Queryable { name: "date_maj", kind: Kind::DateTime },
];

fn read_zones(name: &str, bytes: Vec<u8>) {
    let files = Files { name: name.into(), parts: vec![(name.into(), bytes)] };
    let _ = inspect(&files);
    for (crs, snap_m) in [(None, None), (Some(Crs::LAMBERT93), Some(0.5))] {
        let options = ZoneOptions { crs, ..ZoneOptions::default() };
        let _ = territory(&files, &options);
        let repair = Repair { snap_m, make_valid: snap_m.is_some() };
        let _ = take_in(&files, &Wanted { options, repair, ..Wanted::default() });
    }
}

fn read_tables(name: &str, bytes: Vec<u8>) {
    let _ = register(name, Input::from(bytes.clone()), &RegisterOptions::default());
    let _ = microdata(name, Input::from(bytes.clone()), &["sector", "naf"], "siren", "effectif");
    if let Ok(mut read) = points(name, Input::from(bytes), &PointColumns::default(), None) {
        while let Ok(Some(_)) = read.next_batch() {}
    }
}

fn shapefile() -> Vec<u8> {
    shapefile_with(br#"PROJCS["RGF93_Lambert_93",GEOGCS["GCS_RGF_1993"]]"#)
}

/// Squares of 100 m side by side, the second with a hole, zipped with all their files.
fn shapefile_with(prj: &[u8]) -> Vec<u8> {
    let codes = ["A", "B", "C"];
    let (mut shp, mut shx) = (vec![0_u8; 100], vec![0_u8; 100]);
    for i in 0..codes.len() {
        let (x, y) = (853_000.0 + 100.0 * i as f64, 6_692_000.0);
        let outer = [(x, y), (x, y + 100.0), (x + 100.0, y + 100.0), (x + 100.0, y), (x, y)];
        let hole = [(x + 10.0, y + 10.0), (x + 20.0, y + 10.0), (x + 20.0, y + 20.0), (x + 10.0, y + 10.0)];
        let rings: &[&[(f64, f64)]] = if i == 1 { &[&outer, &hole] } else { &[&outer] };
        let mut content = 5_i32.to_le_bytes().to_vec();
        content.extend([x, y, x + 100.0, y + 100.0].iter().flat_map(|v| v.to_le_bytes()));
        content.extend((rings.len() as i32).to_le_bytes());
        content.extend((rings.iter().map(|r| r.len()).sum::<usize>() as i32).to_le_bytes());
        let mut start = 0_i32;
        for ring in rings {
            content.extend(start.to_le_bytes());
            start += ring.len() as i32;
        }
        content
            .extend(rings.iter().flat_map(|r| r.iter()).flat_map(|(x, y)| [x.to_le_bytes(), y.to_le_bytes()].concat()));
        shx.extend([(shp.len() / 2) as i32, (content.len() / 2) as i32].iter().flat_map(|n| n.to_be_bytes()));
        shp.extend((i as i32 + 1).to_be_bytes());
        shp.extend(((content.len() / 2) as i32).to_be_bytes());
        shp.extend(content);
    }
    for file in [&mut shp, &mut shx] {
        let words = (file.len() / 2) as i32;
        file[..4].copy_from_slice(&9994_i32.to_be_bytes());
        file[24..28].copy_from_slice(&words.to_be_bytes());
        file[28..32].copy_from_slice(&1000_i32.to_le_bytes());
        file[32..36].copy_from_slice(&5_i32.to_le_bytes());
    }
    let mut dbf = vec![3, 124, 1, 1];
    dbf.extend((codes.len() as u32).to_le_bytes());
    dbf.extend([97, 0, 15, 0]);
    dbf.resize(32, 0);
    dbf[29] = 0x57;
    dbf.extend(b"CODE\0\0\0\0\0\0\0C\0\0\0\0\x04");
    dbf.resize(64, 0);
    dbf.extend(b"NOM\0\0\0\0\0\0\0\0C\0\0\0\0\x0a");
    dbf.resize(96, 0);
    dbf.push(0x0d);
    for code in codes {
        dbf.extend(format!(" {code:<4}").bytes());
        dbf.extend(b"Pr\xe9 Nord  \x20");
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("a.shp", &shp[..]), ("a.shx", &shx), ("a.dbf", &dbf), ("a.prj", prj), ("a.cpg", b"1252")] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
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
            "filter.odata" => assert!(odata::parse(str::from_utf8(&bytes).unwrap(), &QUERYABLES).is_ok()),
            "filter.cql2" => assert!(cql2::parse(str::from_utf8(&bytes).unwrap(), &QUERYABLES).is_ok()),
            "t.jj" => assert_eq!(jj::read(name, &bytes).map(drop).map_err(|e| e.to_string()), Ok(())),
            _ => {
                let read = register(name, Input::from(bytes), &RegisterOptions::default()).unwrap();
                assert_eq!((read.accepted.len(), read.rejected.len()), (2, 0), "{name}: {:?}", read.rejected);
            }
        }
    }
}
