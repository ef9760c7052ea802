//! The policy as data: who may loosen it, and each of its rules as a reader of the tables sees it.

use crate::command::{arpent, rows, said};
use std::path::PathBuf;

struct Desk(tempfile::TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(desk.path(name), text).unwrap();
        }
        desk
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn protect(&self, spec: &str, out: &str, more: &[&str]) -> std::process::Output {
        let path = |name: &str| self.path(name).display().to_string();
        let mut line = vec!["protect".to_owned()];
        for (flag, name) in [("--micro", "m.csv"), ("--spec", spec), ("--out", out)] {
            line.extend([flag.to_owned(), path(name)]);
        }
        line.extend(more.iter().map(|word| (*word).to_owned()));
        arpent(line)
    }
    /// The status of a cell by its codes; `None` when it is not listed.
    fn status(&self, out: &str, codes: &[&str]) -> Option<String> {
        let table = rows(&self.path(out).join("tables/t.csv"));
        let found = table.iter().find(|row| codes.iter().enumerate().all(|(d, code)| row[2 * d] == *code));
        found.map(|row| row.last().unwrap().clone())
    }
}

const POLICY: &str = include_str!("../../data/policy.toml");

/// siret, siren, headcount, commune, iris: three communes of two IRIS.
const MICRO: &str = "siret,siren,headcount,commune,iris\n\
    1,A,10,X,X1\n2,B,10,X,X1\n3,C,10,X,X1\n4,D,10,X,X2\n5,E,10,X,X2\n6,F,10,X,X2\n\
    7,G,1,Y,Y1\n8,H,1,Y,Y1\n9,I,1,Y,Y1\n10,J,10,Y,Y2\n11,K,10,Y,Y2\n12,L,10,Y,Y2\n\
    13,M,0,Z,Z1\n14,N,10,Z,Z2\n15,O,10,Z,Z2\n16,P,10,Z,Z2\n17,Q,10,Z,Z3\n18,R,10,Z,Z3\n19,S,10,Z,Z3\n";

fn spec(head: &str) -> String {
    format!(
        "contributor = 'siren'\nweight = 'headcount'\n{head}\n[dimensions.iris]\nlevels = ['commune', 'iris']\n[[tables]]\n\
         name = 't'\ndimensions = ['iris']\n"
    )
}

const INSEE: &str = "rules = { min_contributors = 3, dominance = { n = 1, share = 0.85 } }";

#[test]
fn a_looser_policy_needs_the_owners_key() {
    let desk = Desk::new(&[("strict.toml", ""), ("loose.toml", "")]);
    let path = |name: &str| desk.path(name).display().to_string();
    let key = arpent(["policy", "key"]);
    let hash = said(&key).split('"').nth(1).unwrap().to_owned();
    std::fs::write(desk.path("key"), &key.stdout).unwrap();
    assert!(!String::from_utf8_lossy(&key.stdout).contains(&hash));
    let strict = format!("owner_key = \"{hash}\"\n{POLICY}");
    std::fs::write(desk.path("strict.toml"), &strict).unwrap();
    let loose = strict.replace("min_contributors = 3\n", "min_contributors = 2\n");
    assert_ne!(loose, strict);
    std::fs::write(desk.path("loose.toml"), loose.replace("version = \"2026-1\"", "version = \"loose\"")).unwrap();
    let stricter = strict.replace("share = 0.85", "share = 0.8");
    std::fs::write(desk.path("stricter.toml"), stricter).unwrap();

    let compare = |one: &str, other: &str| arpent(["policy", "compare", &path(one), "--with", &path(other)]);
    assert_eq!(compare("stricter.toml", "strict.toml").status.code(), Some(0));
    let looser = compare("loose.toml", "strict.toml");
    assert_eq!(looser.status.code(), Some(1));
    assert!(said(&looser).contains("public: min_contributors 3"), "{}", said(&looser));

    let set = |file: &str, key: Option<&str>| {
        let mut line = vec!["policy".to_owned(), "set".into(), path(file), "--data".into(), path("data")];
        line.extend(key.into_iter().flat_map(|key| ["--owner-key".to_owned(), path(key)]));
        arpent(line)
    };
    let in_force = || said(&arpent(["policy", "show", "--data", &path("data")]));
    assert!(in_force().contains("no policy"), "{}", in_force());
    assert_eq!(set("strict.toml", None).status.code(), Some(0));
    let refused = set("loose.toml", None);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("min_contributors 3"), "{}", said(&refused));
    std::fs::write(desk.path("wrong-key"), "arpent-owner-0000\n").unwrap();
    assert_eq!(set("loose.toml", Some("wrong-key")).status.code(), Some(1));
    assert!(in_force().contains("2026-1"), "{}", in_force());
    assert_eq!(set("stricter.toml", None).status.code(), Some(0), "a stricter one needs no key");
    assert_eq!(set("loose.toml", Some("key")).status.code(), Some(0));
    assert!(in_force().contains("version loose"), "{}", in_force());
    assert_eq!(set("missing.toml", None).status.code(), Some(2));
    // The store holds the hash and not the key.
    let database = std::fs::read(desk.path("data/arpent.db")).unwrap();
    let secret = String::from_utf8(key.stdout).unwrap().trim().to_owned();
    assert!(!database.windows(secret.len()).any(|w| w == secret.as_bytes()));
}

#[test]
fn a_specification_keeps_the_policy_or_shows_the_owners_key() {
    let key = arpent(["policy", "key"]);
    let hash = said(&key).split('"').nth(1).unwrap().to_owned();
    let desk = Desk::new(&[
        ("m.csv", MICRO),
        ("policy.toml", &format!("owner_key = \"{hash}\"\n{POLICY}")),
        ("good.toml", &spec(INSEE)),
        ("loose.toml", &spec("rules = { min_contributors = 2, dominance = { n = 1, share = 0.85 } }")),
        ("key", &String::from_utf8_lossy(&key.stdout)),
    ]);
    let (policy, key) = (desk.path("policy.toml").display().to_string(), desk.path("key").display().to_string());
    let output = desk.protect("good.toml", "good", &["--policy", &policy]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let release: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(desk.path("good/release.json")).unwrap()).unwrap();
    assert_eq!(release["policy"]["version"], "2026-1");
    assert_eq!(release["policy"]["fingerprint"].as_str().unwrap().len(), 64);
    let output = desk.protect("loose.toml", "loose", &["--policy", &policy]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("table `t`: min_contributors 3") && !desk.path("loose").exists());
    let output = desk.protect("loose.toml", "loose", &["--policy", &policy, "--owner-key", &key]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("by the owner's key"), "{}", said(&output));
}

#[test]
fn nothing_is_shown_of_a_zone_below_the_least_inhabitants() {
    let population = "[population.iris]\nleast = 100\n";
    let desk = Desk::new(&[
        ("m.csv", MICRO),
        ("s.toml", &spec(&format!("{INSEE}\n{population}"))),
        ("people.csv", "code,inhabitants\nX1,99\nX2,100\nY1,500\nY2,500\nZ1,500\nZ2,500\nZ3,500\n"),
        ("fewer.csv", "code,inhabitants\nX1,99\n"),
    ]);
    let people = |file: &str| format!("iris={}", desk.path(file).display());
    let output = desk.protect("s.toml", "out", &["--inhabitants", &people("people.csv")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(desk.status("out", &["X1"]).as_deref(), Some("withheld"), "99 inhabitants");
    let reasons = rows(&desk.path("out/private/reasons.csv"));
    let of = |cell: &str| reasons.iter().find(|r| r[1] == cell).unwrap()[3].clone();
    assert_eq!((of("iris=X1"), of("iris=X2")), ("population".to_owned(), String::new()), "100 inhabitants are enough");
    let output = desk.protect("s.toml", "again", &["--inhabitants", &people("fewer.csv")]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("X2"), "the zone is named: {}", said(&output));
}

#[test]
fn below_five_a_zone_gives_way_to_its_commune() {
    let desk = Desk::new(&[
        ("m.csv", MICRO),
        ("plain.toml", &spec("rules = { min_count = 5, min_count_of = 'persons' }")),
        (
            "s.toml",
            &spec("rules = { min_count = 5, min_count_of = 'persons' }\nfallback.iris = { least = 5, of = 'persons' }"),
        ),
    ]);
    assert!(desk.protect("s.toml", "out", &[]).status.success());
    let status = |code: &str| desk.status("out", &[code]).unwrap();
    // Y1 counts three: both IRIS of Y are blank, and Y alone is given. X has no such zone.
    assert_eq!(["Y1", "Y2", "Y"].map(status), ["withheld", "withheld", "published"]);
    assert_eq!(["X1", "X2", "X"].map(status), ["published", "published", "published"]);
}

#[test]
fn a_protected_zero_is_withheld_and_a_known_one_is_shown() {
    let desk = Desk::new(&[
        ("m.csv", MICRO),
        ("known.toml", &spec(INSEE)),
        ("protected.toml", &spec(&format!("{INSEE}\nprotection.zeros = 'protected'"))),
    ]);
    for (spec, expected) in [("known.toml", "published"), ("protected.toml", "withheld")] {
        let output = desk.protect(spec, spec.trim_end_matches(".toml"), &[]);
        assert_eq!(output.status.code(), Some(0), "{spec}: {}", said(&output));
        // One enterprise, which employs nobody.
        assert_eq!(desk.status(spec.trim_end_matches(".toml"), &["Z1"]).as_deref(), Some(expected));
    }
    // Someone else must be able to hold what the zero hides.
    let withheld = ["Z2", "Z3", "Z"].iter().filter(|c| desk.status("protected", &[c]).as_deref() == Some("withheld"));
    assert!(withheld.count() >= 1);
}

#[test]
fn a_group_counts_as_one_contributor_and_so_does_an_establishment_when_told_so() {
    let desk =
        Desk::new(&[("m.csv", MICRO), ("s.toml", &spec(INSEE)), ("groups.csv", "siren,group\nA,holding\nB,holding\n")]);
    let groups = desk.path("groups.csv").display().to_string();
    assert!(desk.protect("s.toml", "alone", &[]).status.success());
    assert_eq!(desk.status("alone", &["X1"]).as_deref(), Some("published"), "three enterprises");
    let output = desk.protect("s.toml", "grouped", &["--groups", &groups]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(desk.status("grouped", &["X1"]).as_deref(), Some("withheld"), "two of them are one");
    // What the owner keeps counts groups too, so that it can be audited and followed.
    let kept = std::fs::read_to_string(desk.path("grouped/private/microdata.csv")).unwrap();
    assert!(kept.contains(",holding,") && !kept.contains(",A,"));
    let path = |name: &str| desk.path(name).display().to_string();
    let audit = arpent([
        "audit",
        "--micro",
        &path("grouped/private/microdata.csv"),
        "--spec",
        &path("s.toml"),
        "--release",
        &path("grouped"),
    ]);
    assert_eq!(audit.status.code(), Some(0), "{}", said(&audit));
}

#[test]
fn establishments_have_rules_of_their_own_and_are_withheld_with_the_headcount() {
    let head = "rules = { establishments = { min_count = 4 } }";
    let desk = Desk::new(&[("m.csv", MICRO), ("s.toml", &spec(head))]);
    assert!(desk.protect("s.toml", "out", &[]).status.success());
    let table = rows(&desk.path("out/tables/t.csv"));
    let x1 = table.iter().find(|r| r[0] == "X1").unwrap();
    assert_eq!((x1[2].as_str(), x1[3].as_str(), x1[4].as_str()), ("", "", "withheld"), "three establishments");
    let all = table.iter().find(|r| r[0] == "TOTAL").unwrap();
    assert_eq!((all[2].as_str(), all[3].as_str(), all[4].as_str()), ("19", "153", "published"));
}

/// Attacks a release and verifies its certificate, by a specification.
fn audit(desk: &Desk, spec: &str, release: &str, more: &[&str]) -> std::process::Output {
    let mut line: Vec<String> = ["audit", "--certificate", "--json"].map(str::to_owned).to_vec();
    for (flag, name) in [("--micro", "m.csv"), ("--spec", spec), ("--release", release)] {
        line.extend([flag.to_owned(), desk.path(name).display().to_string()]);
    }
    line.extend(more.iter().map(|word| (*word).to_owned()));
    arpent(line)
}

#[test]
fn what_each_option_withholds_the_audit_wants_withheld() {
    let brackets = "siret,siren,headcount,commune,iris,size\n";
    let bracket = |line: &str| {
        let heads: u64 = line.split(',').nth(2).unwrap().parse().unwrap();
        format!("{line},{}\n", ["00", "01", "11"][usize::from(heads > 0) + usize::from(heads > 9)])
    };
    let micro: String = brackets.to_owned() + &MICRO.lines().skip(1).map(bracket).collect::<String>();
    let desk = Desk::new(&[
        ("m.csv", &micro),
        ("people.csv", "code,inhabitants\nX1,99\nX2,100\nY1,9\nY2,500\nZ1,1\nZ2,500\nZ3,500\n"),
    ]);
    let people = format!("iris={}", desk.path("people.csv").display());
    for (name, head, of_table, cell) in [
        ("table", "", "rules = [{ min_contributors = 4 }]", "X1"),
        ("establishments", "rules = { establishments = { min_count = 4 } }", "", "X1"),
        ("population", "population.iris.least = 100", "", "X1"),
        ("fallback", "fallback.iris = { least = 5, of = 'persons' }", "", "Y2"),
        ("zeros", "rules = { min_contributors = 3 }\nprotection.zeros = 'protected'", "", "Z1"),
    ] {
        std::fs::write(desk.path("s.toml"), format!("{}{of_table}\n", spec(head))).unwrap();
        let more: &[&str] = if name == "population" { &["--inhabitants", &people] } else { &[] };
        let output = desk.protect("s.toml", name, more);
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert_eq!(desk.status(name, &[cell]).as_deref(), Some("withheld"), "{name}");
        let output = audit(&desk, "s.toml", name, more);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));

        // The same release with the cell shown by hand.
        let inside = |line: &&str| line.split(',').nth(4) == Some(cell);
        let heads = |line: &str| line.split(',').nth(2).unwrap().parse::<u64>().unwrap();
        let records: Vec<&str> = MICRO.lines().filter(inside).collect();
        let sum: u64 = records.iter().map(|line| heads(line)).sum();
        let path = desk.path(name).join("tables/t.csv");
        let hidden = format!("{cell},iris,,,withheld");
        let table = std::fs::read_to_string(&path).unwrap();
        assert!(table.contains(&hidden), "{name}: {table}");
        let shown = format!("{cell},iris,{},{sum},published", records.len());
        std::fs::write(&path, table.replace(&hidden, &shown)).unwrap();
        let output = audit(&desk, "s.toml", name, more);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let faults = verdict["faults"]["listed"].as_array().unwrap();
        let named = |f: &&serde_json::Value| f["kind"] == "published_unsafe" && f["cell"] == format!("iris={cell}");
        assert!(faults.iter().any(|f| named(&f)), "{name}: {verdict:#}");
    }
    // Without the inhabitants there is no verdict.
    std::fs::write(desk.path("s.toml"), spec("population.iris.least = 100")).unwrap();
    let output = audit(&desk, "s.toml", "population", &[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("inhabitants"), "{}", said(&output));
}
