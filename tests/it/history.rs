//! Releases one after another: perimeters, corrections, years, partners beside the public, and what to do when the
//! answer is no.

use crate::command::{arpent, rows, said};
use arpent::cli::demo::order;
use arpent::pipeline::{self, NotPublished, ledger};
use arpent::steps::read::{Files, ZoneOptions};
use arpent::steps::secrecy::{Cell, NotProtected};
use arpent::store::{SqliteStore, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A folder with inputs and outputs.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| desk.put(name, text));
        desk
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
    /// `protect` with these options; words that name a file of the folder become paths.
    fn run(&self, line: &str) -> std::process::Output {
        let known = |word: &str| word.contains('.') || ["--", "audit", "protect"].iter().all(|k| !word.starts_with(k));
        let words = line.split_whitespace().map(|word| match known(word) {
            true => self.path(word).display().to_string(),
            false => word.to_owned(),
        });
        arpent(words)
    }
    fn done(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", said(&output));
        said(&output)
    }
    /// Coordinates without levels, then figures and status.
    fn cells(&self, table: &str) -> BTreeMap<Vec<String>, (String, String)> {
        let all = rows(&self.path(table));
        let cell = |row: &Vec<String>| {
            let n = (row.len() - 3) / 2;
            let at = (0..n).map(|d| row[2 * d].clone()).collect();
            (at, (row[row.len() - 2].clone(), row[row.len() - 1].clone()))
        };
        all[1..].iter().map(cell).collect()
    }
}

/// A spec over `sector` (or another column) by section.
fn spec(zone: &str, rules: &str) -> String {
    format!(
        "contributor = 'siren'\nweight = 'headcount'\n{rules}\n[dimensions.zone]\nlevels = ['{zone}']\n\
         [dimensions.naf]\nlevels = ['naf']\n[[tables]]\nname = 't'\ndimensions = ['zone', 'naf']\n"
    )
}

const INSEE: &str = "rules = { min_contributors = 3, dominance = { n = 1, share = 0.85 } }";

/// siret, siren, headcount, two perimeters, activity; by a small congruential rule.
fn establishments(n: u64, seed: u64) -> Vec<[String; 6]> {
    let mut state = seed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let row = |i: u64| {
        let (who, zone, naf) = (next(n), next(5), next(4));
        let headcount = if next(8) == 0 { 30 + next(90) } else { 1 + next(12) };
        let moved = if next(25) == 0 { (zone + 1) % 5 } else { zone };
        let text = [i.to_string(), format!("F{who}"), headcount.to_string(), format!("S{zone}"), format!("S{moved}")];
        let [a, b, c, d, e] = text;
        [a, b, c, d, e, format!("N{naf}")]
    };
    (0..n).map(row).collect()
}

fn csv(rows: &[[String; 6]]) -> String {
    let lines: String = rows.iter().map(|row| row.join(",") + "\n").collect();
    format!("siret,siren,headcount,v1,v2,naf\n{lines}")
}

#[test]
fn two_perimeters_published_one_after_the_other_hold_against_one_attack_on_both() {
    let mut moved = 0;
    for seed in 0..4 {
        let micro = establishments(120, seed);
        moved += micro.iter().filter(|row| row[3] != row[4]).count();
        let desk =
            Desk::new(&[("m.csv", &csv(&micro)), ("v1.toml", &spec("v1", INSEE)), ("v2.toml", &spec("v2", INSEE))]);
        desk.done("protect --micro m.csv --spec v1.toml --out one");
        let second = desk.run("protect --micro m.csv --spec v2.toml --out two --after one");
        if second.status.code() == Some(1) {
            assert!(said(&second).contains("earlier releases give away"), "{}", said(&second));
            assert!(!desk.path("two").exists());
            continue;
        }
        let text = said(&second);
        let audit = desk.run("audit --micro m.csv --spec v2.toml --release one two");
        // Only where releases before have told an insider may the attack succeed, and then as that insider alone.
        if text.contains("tell single contributors") {
            let faults = said(&audit);
            for kind in ["exact:", "too_narrow:", "published_unsafe:", "no_verdict:"] {
                assert!(!faults.contains(kind), "seed {seed}: {faults}");
            }
        } else {
            assert_eq!(audit.status.code(), Some(0), "seed {seed}: {}", said(&audit));
        }
    }
    assert!(moved > 5, "{moved} establishments lie elsewhere in the second perimeter");
}

#[test]
fn records_are_corrected_where_enough_contributors_change_and_nowhere_else() {
    let mut micro: Vec<[String; 6]> = Vec::new();
    for (zone, n) in [("S0", 6), ("S1", 6), ("S2", 2)] {
        for i in 0..n {
            let name = format!("{zone}{i}");
            micro.push([name.clone(), format!("F{name}"), "10".into(), zone.into(), zone.into(), "N0".into()]);
        }
    }
    let desk = Desk::new(&[("m.csv", &csv(&micro)), ("s.toml", &spec("v1", INSEE))]);
    desk.done("protect --micro m.csv --spec s.toml --out first");
    let before = desk.cells("first/tables/t.csv");
    let withheld = |cells: &BTreeMap<Vec<String>, (String, String)>| {
        let withheld = cells.iter().filter(|(_, cell)| cell.1 == "withheld");
        withheld.map(|(at, _)| at.clone()).collect::<BTreeSet<_>>()
    };
    assert!(!withheld(&before).is_empty());

    // One and two enterprises corrected in a zone that is shown, then three; and one more for the answer of a policy.
    let shown = ["S0", "S1"].into_iter().find(|z| before[&vec![(*z).to_owned(), "TOTAL".to_owned()]].1 == "published");
    let shown = shown.expect("a zone of six enterprises is shown");
    for (changed, accepted) in [(0, true), (1, false), (2, false), (3, true)] {
        let mut corrected = micro.clone();
        for row in corrected.iter_mut().filter(|row| row[3] == shown).take(changed) {
            row[2] = "12".into();
        }
        desk.put("n.csv", &csv(&corrected));
        let output = desk.run("protect --micro n.csv --spec s.toml --out second --revises first");
        assert_eq!(output.status.code(), Some(i32::from(!accepted)), "{changed}: {}", said(&output));
        if accepted {
            let after = desk.cells("second/tables/t.csv");
            assert_eq!(withheld(&after), withheld(&before), "the pattern is frozen");
            let total = &after[&vec![shown.to_owned(), "TOTAL".to_owned()]];
            assert_eq!(total.0, (60 + 2 * changed).to_string());
            std::fs::remove_dir_all(desk.path("second")).unwrap();
        } else {
            let text = said(&output);
            assert!(text.contains(&format!("t: v1={shown} & zone")) || text.contains(&format!("v1={shown}")), "{text}");
            assert!(!text.contains("12") && !desk.path("second").exists(), "{text}");
        }
    }
    // As an earlier release of the same people the corrected records are refused, as they always were.
    let output = desk.run("protect --micro n.csv --spec s.toml --out second --after first");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    // And a policy may refuse corrections altogether.
    desk.put("never.toml", &spec("v1", &format!("{INSEE}\nhistory = {{ revision = 'refuse' }}")));
    let output = desk.run("protect --micro n.csv --spec never.toml --out second --revises first");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    // Other tables correct nothing.
    desk.put("v2.toml", &spec("v2", INSEE));
    let output = desk.run("protect --micro n.csv --spec v2.toml --out second --revises first");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn what_was_withheld_last_year_is_withheld_while_the_same_contributors_make_it_up() {
    // Last year A held nearly all of S0; this year three share it fairly. In S1 a fourth enterprise has come.
    let year = |s0: [u64; 3], newcomer: bool| {
        let mut micro = "siret,siren,headcount,v1,naf\n".to_owned();
        for (i, heads) in s0.iter().enumerate() {
            micro.push_str(&format!("a{i},A{i},{heads},S0,N0\nb{i},B{i},{heads},S1,N0\n"));
        }
        if newcomer {
            micro.push_str("b9,B9,30,S1,N0\n");
        }
        for zone in ["S2", "S3", "S4"] {
            (0..5).for_each(|i| micro.push_str(&format!("{zone}{i},{zone}{i},20,{zone},N0\n")));
        }
        micro
    };
    let again = format!("{INSEE}\nhistory = {{ years = 'hide_again' }}");
    let desk = Desk::new(&[
        ("then.csv", &year([95, 2, 3], false)),
        ("now.csv", &year([30, 30, 30], true)),
        ("s.toml", &spec("v1", INSEE)),
        ("again.toml", &spec("v1", &again)),
    ]);
    desk.done("protect --micro then.csv --spec s.toml --out then");
    desk.done("protect --micro now.csv --spec s.toml --out alone");
    desk.done("protect --micro now.csv --spec again.toml --out now --last-year then");
    let status = |folder: &str, zone: &str| {
        desk.cells(&format!("{folder}/tables/t.csv"))[&vec![zone.to_owned(), "TOTAL".to_owned()]].1.clone()
    };
    for zone in ["S0", "S1"] {
        assert_eq!(status("then", zone), "withheld", "{zone}");
        assert_eq!(status("alone", zone), "published", "{zone}");
    }
    assert_eq!(status("now", "S0"), "withheld", "the same three as last year");
    let reasons = rows(&desk.path("now/private/reasons.csv"));
    let of = |cell: &str| reasons.iter().find(|r| r[1] == cell).unwrap()[3].clone();
    assert_eq!((of("v1=S0 & naf=TOTAL"), of("v1=S1 & naf=TOTAL")), ("last_year".to_owned(), String::new()));
    let remark = desk.done("protect --micro now.csv --spec again.toml --out forgotten");
    assert!(remark.contains("no `--last-year`"), "{remark}");
}

#[test]
fn partners_see_more_than_the_public_and_both_hold_together() {
    let public = spec("v1", "rules = { min_contributors = 4, min_count = 8 }");
    let partner = spec("v1", INSEE) + "[dimensions.v2]\nlevels = ['v2']\n[[tables]]\nname = 'u'\ndimensions = ['v2']\n";
    for seed in [5, 6] {
        let desk = Desk::new(&[
            ("m.csv", &csv(&establishments(150, seed))),
            ("public.toml", &public),
            ("partner.toml", &partner),
        ]);
        let text = desk.done(
            "protect --micro m.csv --spec public.toml --out public --partner partner.toml --partner-out partners",
        );
        assert!(text.contains("cells are shown to partners alone"), "{text}");
        let (of_public, of_partners) = (desk.cells("public/tables/t.csv"), desk.cells("partners/tables/t.csv"));
        let mut more = 0;
        for (at, cell) in &of_public {
            let other = &of_partners[at];
            assert!(cell.1 != "published" || other == cell, "the public sees {at:?} and partners do not");
            more += usize::from(cell.1 == "withheld" && other.1 == "published");
        }
        assert!(more > 0, "partners see more");
        // The partner, who has both folders, by the rules for partners; the public, by its own.
        let both = desk.run("audit --micro m.csv --spec partner.toml --release partners public");
        assert_eq!(both.status.code(), Some(0), "seed {seed}: {}", said(&both));
        let alone = desk.run("audit --micro m.csv --spec public.toml --release public");
        assert_eq!(alone.status.code(), Some(0), "seed {seed}: {}", said(&alone));

        // What partners know cannot be forgotten, nor taken for public.
        let output = desk.run("protect --micro m.csv --spec public.toml --out next --after public --after partners");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("--partner"), "{}", said(&output));
        desk.done(
            "protect --micro m.csv --spec public.toml --out next --partner partner.toml --partner-out more \
             --after public --after partners",
        );
        assert_eq!(desk.cells("next/tables/t.csv"), of_public, "the same again");
    }
}

#[test]
fn a_cut_that_cannot_be_protected_is_answered_with_a_change_that_makes_it_safe() {
    // The first release showed S1 as a whole, the second its small establishments: what is left of S1 is one enterprise.
    let rows = "1,A,9,S1,big,x\n2,B,2,S1,small,x\n3,C,8,S2,big,x\n4,D,3,S2,small,x\n5,E,7,S2,big,x\n6,F,3,S2,small,x\n";
    let rows = format!("{rows}7,G,5,S1,middle,x\n8,H,5,S1,middle,x\n");
    let header = "siret,siren,headcount,sector,size,all\n";
    let one = |zone: &str, rules: &str| {
        format!(
            "contributor='siren'\nweight='headcount'\n{rules}\n[dimensions.zone]\nlevels=['{zone}']\n[dimensions.all]\n\
             levels=['all']\n[[tables]]\nname='t'\ndimensions=['zone']\n[[tables]]\nname='a'\ndimensions=['all']\n"
        )
    };
    let crossed = "contributor='siren'\nweight='headcount'\nrules = { min_contributors = 2 }\n[dimensions.sector]\n\
                   levels=['sector']\n[dimensions.size]\nlevels=['size']\n[[tables]]\nname='t'\ndimensions=['sector','size']\n";
    let part = rows.lines().filter(|l| l.contains("small") || l.contains("middle")).collect::<Vec<_>>().join("\n");
    let desk = Desk::new(&[
        ("m.csv", &format!("{header}{rows}")),
        ("part.csv", &format!("{header}{part}\n")),
        ("open.toml", &one("sector", "")),
        ("crossed.toml", crossed),
    ]);
    desk.done("protect --micro m.csv --spec open.toml --out first");
    desk.done("protect --micro part.csv --spec open.toml --out second");
    let output = desk.run("protect --micro m.csv --spec crossed.toml --out third --after first --after second");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!desk.path("third").exists());
    assert!(text.contains("sector=S1") && text.contains("size=big"), "the zone and the code are named: {text}");
    let (_, change) = text.split_once("it would be safe to merge `").unwrap_or_else(|| panic!("no merger: {text}"));
    let (one, rest) = change.split_once("` and `").unwrap();
    let (other, rest) = rest.split_once("` of `").unwrap();
    let level = rest.split_once('`').unwrap().0;

    // The change works when it is done.
    let at = header.trim().split(',').position(|c| c == level).unwrap();
    let merged: String = rows
        .lines()
        .map(|line| {
            let mut fields: Vec<&str> = line.split(',').collect();
            if fields[at] == one || fields[at] == other {
                fields[at] = "merged";
            }
            fields.join(",") + "\n"
        })
        .collect();
    // The column of then is still there under another name for the releases of then, which bring their own records.
    desk.put("merged.csv", &format!("{header}{merged}"));
    desk.done("protect --micro merged.csv --spec crossed.toml --out third --after first --after second");
}

/// A second perimeter of the demo: vertices of a border that two sectors alone share are moved some sixty metres, where
/// that crosses no other border.
fn second_perimeter(release: &arpent::steps::publish::Release) -> (Vec<u8>, usize) {
    use geo::Intersects;
    const MOVED_MAX: usize = 60;
    let zones = &release.zoning("secteurs").unwrap().zones;
    type Key = (u64, u64);
    let key = |c: &geo::Coord| -> Key { (c.x.to_bits(), c.y.to_bits()) };
    let at = |k: Key| geo::Coord { x: f64::from_bits(k.0), y: f64::from_bits(k.1) };
    let mut owners: BTreeMap<Key, BTreeSet<&str>> = BTreeMap::new();
    let mut beside: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    let mut segments: BTreeSet<(Key, Key)> = BTreeSet::new();
    for zone in zones {
        for polygon in &zone.contour.degrees().0 {
            for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
                for pair in ring.0.windows(2) {
                    let (one, other) = (key(&pair[0]), key(&pair[1]));
                    owners.entry(one).or_default().insert(zone.code.as_str());
                    beside.entry(one).or_default().insert(other);
                    beside.entry(other).or_default().insert(one);
                    segments.insert((one.min(other), one.max(other)));
                }
            }
        }
    }
    let displaced = |c: geo::Coord| geo::Coord { x: c.x + 0.0007, y: c.y + 0.0003 };
    let mut moved: BTreeSet<Key> = BTreeSet::new();
    for (&vertex, _) in owners.iter().filter(|(_, zones)| zones.len() == 2) {
        let near: Vec<Key> = beside[&vertex].iter().copied().collect();
        if near.len() != 2 || near.iter().any(|n| moved.contains(n)) || moved.len() == MOVED_MAX {
            continue;
        }
        let new = near.iter().map(|n| geo::Line::new(displaced(at(vertex)), at(*n))).collect::<Vec<_>>();
        let settled = |k: Key| if moved.contains(&k) { displaced(at(k)) } else { at(k) };
        let crosses = |segment: &&(Key, Key)| {
            let line = geo::Line::new(settled(segment.0), settled(segment.1));
            // A segment that ends where a new one does may only meet the other new one.
            let meets =
                |(i, new): (usize, &geo::Line)| segment.0 != near[i] && segment.1 != near[i] && new.intersects(&line);
            segment.0 != vertex && segment.1 != vertex && new.iter().enumerate().any(meets)
        };
        if !segments.iter().any(|s| crosses(&s)) {
            moved.insert(vertex);
        }
    }
    let place = |x: f64, y: f64| {
        let corner = geo::Coord { x, y };
        let corner = if moved.contains(&key(&corner)) { displaced(corner) } else { corner };
        format!("[{},{}]", corner.x, corner.y)
    };
    let ring = |ring: &geo::LineString| {
        let corners: Vec<String> = ring.0.iter().map(|c| place(c.x, c.y)).collect();
        format!("[{}]", corners.join(","))
    };
    let features: Vec<String> = zones
        .iter()
        .map(|zone| {
            let polygons: Vec<String> = zone
                .contour
                .degrees()
                .0
                .iter()
                .map(|p| {
                    let rings: Vec<String> = std::iter::once(p.exterior()).chain(p.interiors()).map(ring).collect();
                    format!("[{}]", rings.join(","))
                })
                .collect();
            format!(
                r#"{{"type":"Feature","properties":{{"CODE":"{}"}},"geometry":{{"type":"MultiPolygon","coordinates":[{}]}}}}"#,
                zone.code.as_str(),
                polygons.join(",")
            )
        })
        .collect();
    let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","));
    (text.into_bytes(), moved.len())
}

#[tokio::test]
async fn the_demo_is_published_for_two_perimeters_and_the_ledger_remembers() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).await.unwrap();
    // The sectors alone, whose border moves: all zonings over both perimeters take minutes.
    let mut first = order("2026-06-01T00:00:00Z".to_owned()).unwrap();
    first.zonings.truncate(1);
    let one = pipeline::run_after(&first, &[]).unwrap();
    assert_eq!(one.release.provenance.policy_version, first.policy.version);
    assert_eq!(one.release.provenance.policy, first.policy.fingerprint());
    ledger::keep(&store, &first, &one, "test", "first perimeter").await.unwrap();

    let (layer, n_moved) = second_perimeter(&one.release);
    assert!(n_moved > 20, "{n_moved} vertices moved");
    let mut second = order("2026-07-01T00:00:00Z".to_owned()).unwrap();
    second.zonings.truncate(1);
    let name = "secteurs-2.geojson".to_owned();
    second.zonings[0].version = "demo-2".to_owned();
    second.zonings[0].files = Files { name: name.clone(), parts: vec![(name, layer)] };
    second.zonings[0].options = ZoneOptions { code_field: Some("CODE".to_owned()), ..ZoneOptions::default() };
    let past = ledger::past(&store).await.unwrap();
    assert_eq!(past.len(), 1);
    let two = pipeline::run_after(&second, &past).unwrap_or_else(|no| panic!("{no}"));
    ledger::keep(&store, &second, &two, "test", "second perimeter").await.unwrap();

    // Some sector has other people in it now.
    let tables = |made: &pipeline::Made| made.release.vintages[&2024].get("secteurs_source").unwrap().clone();
    let (before, after) = (tables(&one), tables(&two));
    let differing = |(at, cell): &(&[_], Cell)| before.cell(at) != Some(*cell);
    assert!(after.cells().filter(differing).count() > 5);
    // What the first perimeter hid and nobody moved in stays hidden: a cell shown in both perimeters with other figures
    // differs by three enterprises at least, or the difference would be one of the unsafe rows kept hidden.
    let told: usize = two.report.told.values().sum();
    eprintln!("perimeter 2: {:?}, told {told}", two.report.counts);

    // The first perimeter was withdrawn by the second, and is not forgotten: both are the past of a third publication.
    let past = ledger::past(&store).await.unwrap();
    assert_eq!(
        past.iter().map(|p| p.id.clone()).collect::<Vec<_>>(),
        [one.release.id.to_string(), two.release.id.to_string()]
    );
    assert_eq!(store.current().await.unwrap().unwrap().entry.id, two.release.id.to_string());
}

#[tokio::test]
async fn without_its_dossier_nothing_is_published_after_a_release() {
    let store = SqliteStore::in_memory().await.unwrap();
    let sealed = b"sealed".to_vec();
    let entry = arpent::store::ReleaseEntry {
        id: "0123456789ab".into(),
        created: "2026-06-01T00:00:00Z".into(),
        digest: pipeline::sha256_hex(&sealed),
    };
    store.put_release(&entry, sealed.into()).await.unwrap();
    let by = arpent::store::Stamp { at: "2026-06-01T00:00:00Z".into(), author: "test".into() };
    store.set_current(&entry.id, &by).await.unwrap();
    let refused = ledger::past(&store).await.err().unwrap();
    assert!(matches!(refused, ledger::NoPast::NoDossier { .. }), "{refused}");
}

/// A small order: the demo's sectors alone, by source.
fn small(register: &str) -> pipeline::Order {
    let mut order = order("2026-06-01T00:00:00Z".to_owned()).unwrap();
    order.zonings.truncate(1);
    order.registers[0].bytes = register.as_bytes().to_vec();
    order.registers[0].name = "register.csv".to_owned();
    order.policy.tables.get_mut("secteurs").unwrap().retain(|crossed| crossed == &["source".to_owned()]);
    order
}

#[tokio::test]
async fn the_service_corrects_a_register_where_enough_change_and_says_where_not() {
    let text = crate::command::text(&crate::command::demo("etablissements.csv.gz"));
    let (header, body) = text.split_once('\n').unwrap();
    let of_year: Vec<&str> = body.lines().filter(|l| l.split(';').nth(3) == Some("2024")).collect();
    let register = |rows: &[String]| format!("{header}\n{}\n", rows.join("\n"));
    let rows: Vec<String> = of_year.iter().map(|l| (*l).to_owned()).collect();
    let first = small(&register(&rows));
    let one = pipeline::run_after(&first, &[]).unwrap();
    let store = SqliteStore::in_memory().await.unwrap();
    ledger::keep(&store, &first, &one, "test", "first").await.unwrap();

    let column = header.split(';').position(|c| c.starts_with("effectif") || c == "headcount").unwrap();
    let corrected = |which: &dyn Fn(usize) -> bool| {
        let rows = rows.iter().enumerate().map(|(i, row)| {
            let mut fields: Vec<String> = row.split(';').map(str::to_owned).collect();
            if which(i)
                && let Ok(heads) = fields[column].parse::<u64>()
                && heads > 0
            {
                fields[column] = (heads + 1).to_string();
            }
            fields.join(";")
        });
        register(&rows.collect::<Vec<_>>())
    };
    let past = ledger::past(&store).await.unwrap();
    let employer = rows.iter().position(|r| {
        let fields: Vec<&str> = r.split(';').collect();
        fields[column].parse::<u64>().is_ok_and(|h| h > 0) && fields[4] == "urssaf" && !fields[5].is_empty()
    });
    let employer = employer.unwrap();
    match pipeline::run_after(&small(&corrected(&|i| i == employer)), &past) {
        Err(NotPublished::Secrecy { why, .. }) => {
            assert!(matches!(*why, NotProtected::NotRevisable { .. }), "{why}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("one corrected establishment can be subtracted"),
    }
    let many = small(&corrected(&|_| true));
    let two = pipeline::run_after(&many, &past).unwrap_or_else(|no| panic!("{no}"));
    assert_eq!(two.report.revised.get(&2024), Some(&one.release.id.to_string()));
    ledger::keep(&store, &many, &two, "test", "corrected").await.unwrap();
    // The correction stands for what it corrected: the same records again are published again.
    let past = ledger::past(&store).await.unwrap();
    let three = pipeline::run_after(&many, &past).unwrap_or_else(|no| panic!("{no}"));
    assert!(three.report.revised.is_empty());
    assert!(three.release.vintages == two.release.vintages);
}

/// Records of one enterprise each: how many, headcount, and the codes of two perimeters.
fn zones(parts: &[(u32, u32, &str, &str)]) -> String {
    let mut text = "siret,siren,headcount,v1,v2\n".to_owned();
    let mut next = 0;
    for (n, headcount, v1, v2) in parts {
        for _ in 0..*n {
            next += 1;
            text += &format!("{next},F{next},{headcount},{v1},{v2}\n");
        }
    }
    text
}

/// Two perimeters of one table with rules of its own, of which the first is published as `one`.
fn two_perimeters(micro: &str, rules: &str) -> Desk {
    let of = |perimeter: &str| {
        format!(
            "contributor = 'siren'\nweight = 'headcount'\nprotection = {{ insiders = false }}\n\
             [dimensions.zone]\nlevels = ['{perimeter}']\n[[tables]]\nname = 't'\ndimensions = ['zone']\n\
             rules = [{rules}]"
        )
    };
    let desk = Desk::new(&[("m.csv", micro), ("v1.toml", &of("v1")), ("v2.toml", &of("v2"))]);
    desk.done("protect --micro m.csv --spec v1.toml --out one");
    desk
}

#[test]
fn what_rules_of_a_table_withheld_stays_withheld_beside_another_perimeter() {
    // X and Y count three persons each; P is X and Z, Q is Y and W.
    let micro = zones(&[(3, 1, "X", "P"), (3, 1, "Y", "Q"), (5, 10, "Z", "P"), (5, 10, "W", "Q"), (5, 10, "V", "V")]);
    let desk = two_perimeters(&micro, "{ min_count = 5, min_count_of = 'persons' }");
    let first = desk.cells("one/tables/t.csv");
    let status = |cells: &BTreeMap<Vec<String>, (String, String)>, code: &str| cells[&vec![code.to_owned()]].1.clone();
    assert_eq!(
        ["X", "Y", "Z", "W"].map(|code| status(&first, code)),
        ["withheld", "withheld", "published", "published"]
    );
    desk.done("protect --micro m.csv --spec v2.toml --out alone");
    assert_eq!(status(&desk.cells("alone/tables/t.csv"), "P"), "published", "by itself it gives nothing away");
    desk.done("protect --micro m.csv --spec v2.toml --out two --after one");
    let second = desk.cells("two/tables/t.csv");
    assert_eq!(["P", "Q"].map(|code| status(&second, code)), ["withheld", "withheld"]);
    let audit = desk.run("audit --micro m.csv --spec v2.toml --release one two");
    assert!(audit.status.success(), "{}", said(&audit));
    assert!(!desk.run("audit --micro m.csv --spec v2.toml --release one alone").status.success());
}

#[test]
fn what_two_perimeters_isolate_is_judged_by_rules_of_tables_too() {
    // One firm passes from A to B.
    let micro = zones(&[(5, 10, "A", "A"), (1, 77, "A", "B"), (5, 10, "B", "B"), (5, 10, "C", "C")]);
    let desk = two_perimeters(&micro, "{ min_contributors = 3 }");
    let second = desk.run("protect --micro m.csv --spec v2.toml --out two --after one");
    assert!(second.status.success(), "{}", said(&second));
    let cells = desk.cells("two/tables/t.csv");
    assert_eq!(["A", "B"].map(|code| cells[&vec![code.to_owned()]].1.as_str()), ["withheld", "withheld"]);
    desk.done("protect --micro m.csv --spec v2.toml --out alone");
    let audit = desk.run("audit --micro m.csv --spec v2.toml --release one alone");
    assert_eq!(audit.status.code(), Some(1), "{}", said(&audit));
    assert!(said(&audit).contains("difference"), "{}", said(&audit));
}

/// Sixteen enterprises in four zones, of ten persons each but for some.
fn corrected(changes: &[(u32, u32)]) -> String {
    let mut text = "siret,siren,headcount,v1,naf\n".to_owned();
    for (at, zone) in ["A", "A", "D", "D"].iter().chain(&["B"; 6]).chain(&["C"; 6]).enumerate() {
        let headcount = changes.iter().find(|c| c.0 == at as u32).map_or(10, |c| c.1);
        text += &format!("{at},F{at},{headcount},{zone},N\n");
    }
    text
}

#[test]
fn a_correction_tells_of_no_few_by_subtraction_nor_by_what_it_takes_back() {
    let rules = "rules = { min_contributors = 3 }\nprotection = { insiders = false }";
    let by_zone = spec("v1", rules);
    let desk = Desk::new(&[
        ("first.csv", &corrected(&[])),
        // Three of B, which is shown, and one of A, which is withheld: the total less B is that one.
        ("one.csv", &corrected(&[(0, 17), (4, 12), (5, 12), (6, 12)])),
        ("three.csv", &corrected(&[(4, 12), (5, 12), (6, 12)])),
        // Two of the three are as they were, and one more is not: since the first release two have changed.
        ("back.csv", &corrected(&[(4, 12), (7, 9)])),
        ("more.csv", &corrected(&[(4, 12), (5, 13), (6, 14), (7, 9)])),
        ("s.toml", &by_zone),
        ("dominance.toml", &spec("v1", "rules = { dominance = { n = 1, share = 0.85 } }")),
    ]);
    desk.done("protect --micro first.csv --spec s.toml --out first");
    let refused = desk.run("protect --micro one.csv --spec s.toml --out no --revises first");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("once shown ones are subtracted"), "{}", said(&refused));
    assert!(!desk.path("no").exists());
    desk.done("protect --micro three.csv --spec s.toml --out second --revises first");

    let alone = desk.run("protect --micro more.csv --spec s.toml --out no --revises second");
    assert_eq!(alone.status.code(), Some(2), "{}", said(&alone));
    assert!(said(&alone).contains("the release that it corrects"), "{}", said(&alone));
    let back = desk.run("protect --micro back.csv --spec s.toml --out no --revises second --after first");
    assert_eq!(back.status.code(), Some(1), "{}", said(&back));
    desk.done("protect --micro more.csv --spec s.toml --out third --revises second --after first");

    // That records lie elsewhere is a change too, for a policy that wants none.
    let elsewhere = corrected(&[]).replacen(",B,", ",C,", 1);
    desk.put("elsewhere.csv", &elsewhere);
    desk.put(
        "never.toml",
        &format!("history = {{ revision = 'refuse' }}\n{}", spec("v1", "rules = { min_contributors = 1 }")),
    );
    desk.done("protect --micro first.csv --spec never.toml --out fixed");
    for (spec, release) in [("never.toml", "fixed"), ("s.toml", "first")] {
        let refused = desk.run(&format!("protect --micro elsewhere.csv --spec {spec} --out no --revises {release}"));
        assert_eq!(refused.status.code(), Some(1), "{spec}: {}", said(&refused));
    }

    // Nothing says how many must change at once.
    desk.done("protect --micro first.csv --spec dominance.toml --out other");
    let refused = desk.run("protect --micro three.csv --spec dominance.toml --out no --revises other");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("min_contributors"), "{}", said(&refused));
}
