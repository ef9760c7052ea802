//! Each reader of foreign bytes as its callers meet it, by one function a kind: the mutants of `mutants.rs` come here, and
//! the targets under `fuzz/`. Whatever the bytes, a reader answers.

use arpent::config::{Config, Policy};
use arpent::http::filter::{Kind, Queryable, cql2, odata};
use arpent::model::{Crs, Siret, Source};
use arpent::pipeline::sha256_hex;
use arpent::steps::index::KeptIndex;
use arpent::steps::intake::{Wanted, take_in, territory};
use arpent::steps::read::columns::Mapping;
use arpent::steps::read::headcounts::headcounts;
use arpent::steps::read::microdata::microdata;
use arpent::steps::read::points::{PointColumns, points};
use arpent::steps::read::register::{RegisterOptions, register};
use arpent::steps::read::sirene::{Sought, geolocation, stock};
use arpent::steps::read::table::Input;
use arpent::steps::read::{Files, ZoneOptions, groups, inspect};
use arpent::steps::repair::Repair;
use arpent::steps::review::decisions::Decisions;
use arpent::steps::seal::unseal;
use arpent::steps::secrecy::argus::{apriori, fixed, hierarchy, jj, table};
use arpent::steps::secrecy::{
    Checks, Column, Microdata, NotAuditable, Past, ReleasedTables, Spec, earlier_of, examine, keep, protect_in, reopen,
    store,
};
use std::sync::OnceLock;

/// The system that a sound shapefile states.
pub const PRJ: &[u8] = br#"PROJCS["RGF93_Lambert_93",GEOGCS["GCS_RGF_1993"]]"#;

/// A zone file: a zip of a shapefile, GeoJSON or a GeoPackage.
pub fn zones(name: &str, bytes: Vec<u8>) {
    zone_files(Files { name: name.into(), parts: vec![(name.into(), bytes)] });
}

/// One file of a shapefile, by its extension, beside sound ones.
pub fn part_of_shapefile(extension: &str, bytes: Vec<u8>) {
    let mut parts = squares(PRJ);
    let part = parts.iter_mut().find(|(name, _)| name.ends_with(extension));
    part.expect("an extension of a shapefile").1 = bytes;
    zone_files(Files { name: "a.shp".into(), parts });
}

fn zone_files(files: Files) {
    let _ = inspect(&files);
    for (crs, snap_m) in [(None, None), (Some(Crs::LAMBERT93), Some(0.5))] {
        let options = ZoneOptions { crs, ..ZoneOptions::default() };
        let _ = territory(&files, &options);
        let repair = Repair { snap_m, make_valid: snap_m.is_some() };
        let _ = take_in(&files, &Wanted { options, repair, ..Wanted::default() });
    }
}

/// A table in any format: as a register, as microdata and as points.
pub fn tables(name: &str, bytes: Vec<u8>) {
    let _ = register(name, Input::from(bytes.clone()), &RegisterOptions::default());
    let _ = microdata(name, Input::from(bytes.clone()), &["sector", "naf"], "siren", "effectif");
    if let Ok(mut read) = points(name, Input::from(bytes), &PointColumns::default(), None) {
        while let Ok(Some(_)) = read.next_batch() {}
    }
}

/// The headcounts of a scheme, and the public files of Sirene beside them.
pub fn sirene(name: &str, bytes: Vec<u8>) {
    let (mapping, input) = (Mapping::default(), || Input::from(bytes.clone()));
    let sirets = ["73282932000074", "73282932000082"].map(|siret| siret.parse::<Siret>().expect("a SIRET"));
    let sought = Sought::new(sirets.into_iter());
    let _ = headcounts(name, input(), Source::Urssaf, Some(2024), &mapping);
    let _ = geolocation(name, input(), &sought, &mapping, &mut |_| ());
    let _ = stock(name, input(), &sought, &mapping, &mut |_| ());
}

/// A table of groups.
pub fn groups_table(name: &str, bytes: Vec<u8>) {
    let _ = groups::groups(name, bytes);
}

/// Decisions about establishments.
pub fn decisions(name: &str, bytes: Vec<u8>) {
    let _ = Decisions::read(name, bytes.into());
}

/// The description of records or of a table of τ-ARGUS, and records read by it.
pub fn argus_rda(name: &str, bytes: Vec<u8>) {
    if let Ok(variables) = fixed::read_rda(name, &bytes) {
        let _ = fixed::read_asc(name, b"73282932000074   12.5\n73282932000082    5.0\n", &variables);
    }
    if let Ok(form) = table::read_rda(name, &bytes) {
        let _ = table::read_tab(name, b"A;X;12;3;U\n", &form);
    }
}

/// A hierarchy of τ-ARGUS.
pub fn argus_hrc(name: &str, bytes: Vec<u8>) {
    let _ = hierarchy::read(name, &bytes, "@");
}

/// What τ-ARGUS is told of cells beforehand.
pub fn argus_hst(name: &str, bytes: Vec<u8>) {
    let _ = apriori::read(name, &bytes, ';', 2);
}

/// A JJ instance.
pub fn argus_jj(name: &str, bytes: Vec<u8>) {
    let _ = jj::read(name, &bytes);
}

/// What operators write: a specification, a policy, settings, a mapping of columns.
pub fn settings(_: &str, bytes: Vec<u8>) {
    let text = String::from_utf8_lossy(&bytes);
    let _ = Spec::parse(&text);
    let _ = Policy::parse(&text);
    let _ = Config::parse(&text);
    let _ = Mapping::parse(&text);
}

/// The certificate of a small release, verified beside it.
pub fn certificate(_: &str, bytes: Vec<u8>) {
    let _ = verified(&bytes);
}

/// How many faults the small release has by this certificate.
pub fn verified(certificate: &[u8]) -> Result<u64, NotAuditable> {
    let Small { micro, spec, released, .. } = small();
    let checks = Checks { attack: false, certificate: Some(certificate), ..Checks::default() };
    let verdict = examine(micro, spec, std::slice::from_ref(released), &checks)?;
    Ok(verdict.by_kind.values().sum())
}

/// A small release.
pub struct Small {
    micro: Microdata,
    spec: Spec,
    released: ReleasedTables,
    /// Its tables, as a store keeps them.
    pub tables: Vec<u8>,
    /// Its records, as the owner's store keeps them.
    pub records: Vec<u8>,
    /// Its certificate.
    pub certificate: Vec<u8>,
}

/// A release of twelve firms in four zones, one of which must be withheld, and with it another.
pub fn small() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| {
        let text = "contributor = \"siren\"\nweight = \"headcount\"\n[rules]\nmin_contributors = 3\n[protection]\n\
                    width = 0.1\ninsiders = true\n[dimensions.zone]\nlevels = [\"zone\"]\n[[tables]]\nname = \"t\"\n\
                    dimensions = [\"zone\"]\n";
        let spec = Spec::parse(text).expect("a specification");
        let zones = ["A", "A", "A", "A", "B", "B", "C", "C", "C", "D", "D", "D"].map(Some);
        let ids: Vec<String> = (0..zones.len()).map(|n| format!("e{n}")).collect();
        let weight = (0..zones.len() as u64).map(|n| 5 + n % 4).collect();
        let micro = Microdata::new(ids.clone(), &ids, weight, vec![Column::of("zone", &zones)]);
        let made = protect_in(&micro, &spec, &Past::default()).expect("tables that can be protected");
        let released = ReleasedTables::of("t", &made.tables);
        let (tables, records) = (store(&made.tables), keep(&micro, &spec, &made.leads));
        Small { released, tables, records, certificate: made.dossier.proof.bytes(), micro, spec }
    })
}

/// An index that was kept.
pub fn kept_index(_: &str, bytes: Vec<u8>) {
    let _ = KeptIndex::read(&bytes[..]);
}

/// A release, tables and records as a store keeps them: as they are, and with a digest that holds, as somebody would write
/// them who knows the form.
pub fn sealed(_: &str, bytes: Vec<u8>) {
    let tables = reopen(&small().tables).expect("tables that were stored");
    for bytes in [closed(&bytes), bytes] {
        let _ = unseal(&bytes);
        let _ = reopen(&bytes);
        let _ = earlier_of("a", &bytes, &tables);
    }
}

/// Bytes whose last 32 are the SHA-256 of those before.
fn closed(bytes: &[u8]) -> Vec<u8> {
    let mut closed = bytes[..bytes.len().saturating_sub(32)].to_vec();
    let digits = sha256_hex(&closed);
    closed.extend((0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hexadecimal digits")));
    closed
}

/// A filter of OData.
pub fn odata_filter(_: &str, bytes: Vec<u8>) {
    let _ = odata::parse(&String::from_utf8_lossy(&bytes), &QUERYABLES);
}

/// A filter in CQL2 text.
pub fn cql2_text(_: &str, bytes: Vec<u8>) {
    let _ = cql2::parse(&String::from_utf8_lossy(&bytes), &QUERYABLES);
}

/// What filters may name.
pub const QUERYABLES: [Queryable; 3] = [
    Queryable { name: "zone", kind: Kind::Text },
    Queryable { name: "effectif", kind: Kind::Number },
    Queryable { name: "date_maj", kind: Kind::DateTime },
];

/// Squares of 100 m side by side, the second with a hole: a shapefile, in its files.
pub fn squares(prj: &[u8]) -> Vec<(String, Vec<u8>)> {
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
    let files = [("a.shp", shp), ("a.shx", shx), ("a.dbf", dbf), ("a.prj", prj.to_vec()), ("a.cpg", b"1252".to_vec())];
    files.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}
