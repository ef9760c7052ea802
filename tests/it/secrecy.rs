//! `arpent protect` and `arpent audit`: what is withheld, and that opening one cell of it is noticed.

use crate::command::{arpent, rows, said, shared};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

const SPEC: &str = r#"
contributor = "siren"
weight = "headcount"
[rules]
min_contributors = 3
dominance = { n = 1, share = 0.85 }
[protection]
width = 0.10
insiders = true
[dimensions.sector]
levels = ["sector"]
[dimensions.naf]
levels = ["naf_section", "naf_division"]
[[tables]]
name = "sector_naf"
dimensions = ["sector", "naf"]
"#;

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(micro: &str, spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("micro.csv"), micro).unwrap();
        std::fs::write(folder.path().join("spec.toml"), spec).unwrap();
        Self { folder }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn protect(&self, out: &str) -> std::process::Output {
        let path = |name: &str| self.path(name).display().to_string();
        arpent(["protect", "--micro", &path("micro.csv"), "--spec", &path("spec.toml"), "--out", &path(out)])
    }
    fn audit(&self, releases: &[&str]) -> std::process::Output {
        self.audit_and(releases, &[])
    }
    fn audit_and(&self, releases: &[&str], more: &[&str]) -> std::process::Output {
        let path = |name: &str| self.path(name).display().to_string();
        let mut arguments =
            vec!["audit".into(), "--micro".into(), path("micro.csv"), "--spec".into(), path("spec.toml")];
        arguments.push("--release".into());
        arguments.extend(releases.iter().map(|r| path(r)));
        arguments.extend(more.iter().map(|m| (*m).to_owned()));
        arpent(arguments)
    }
}

/// Establishments spread over sectors and activities by a small congruential rule: sparse enough that much is unsafe.
fn micro(establishments: u64, seed: u64) -> String {
    let mut state = seed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut csv = "siret,siren,headcount,sector,naf_section,naf_division\n".to_owned();
    for i in 0..establishments {
        let siren = if next(6) == 0 { next(establishments.max(2) / 2) } else { establishments + i };
        let division = next(12);
        let headcount = if next(20) == 0 { 50 + next(400) } else { next(12) };
        let section = ["A", "B", "C"][division as usize / 4];
        csv.push_str(&format!("{i:014},{siren:09},{headcount},S{:02},{section},{section}{division:02}\n", next(9)));
    }
    csv
}

#[test]
fn what_protect_writes_the_audit_finds_safe_and_an_opened_cell_it_does_not() {
    let case = Case::new(&micro(400, 3), SPEC);
    let output = case.protect("release");
    assert!(output.status.success(), "{}", said(&output));
    let output = case.audit(&["release"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    let table = case.path("release/tables/sector_naf.csv");
    let cells = rows(&table);
    assert_eq!(
        cells[0],
        ["sector", "sector_level", "naf", "naf_level", "establishments", "headcount", "status"],
        "the columns of the contract"
    );
    let withheld: Vec<usize> = (1..cells.len()).filter(|&i| cells[i][6] == "withheld").collect();
    assert!(!withheld.is_empty() && withheld.len() < cells.len() / 2, "{} of {}", withheld.len(), cells.len());
    assert!(withheld.iter().all(|&i| cells[i][4].is_empty() && cells[i][5].is_empty()));

    // The truth of a withheld cell whose rule is broken, shown again, must turn the audit red.
    let reasons = rows(&case.path("release/private/reasons.csv"));
    assert_eq!(reasons[0], ["table", "cell", "fate", "rules"]);
    let primary: BTreeSet<&str> = reasons.iter().filter(|r| r[2] == "primary").map(|r| r[1].as_str()).collect();
    let name = |cell: &[String]| {
        let part = |at: usize, dimension: &str| match cell[at].as_str() {
            "TOTAL" => format!("{dimension}=TOTAL"),
            code => format!("{}={code}", cell[at + 1]),
        };
        format!("{} & {}", part(0, "sector"), part(2, "naf"))
    };
    let withheld: Vec<usize> = withheld.into_iter().filter(|&i| primary.contains(name(&cells[i]).as_str())).collect();
    assert_eq!(withheld.len(), primary.len(), "every cell that breaks a rule is withheld");
    let mut opened = 0;
    for &i in withheld.iter().step_by(withheld.len().div_ceil(12)) {
        let (establishments, headcount) = truth(&case.path("micro.csv"), &cells[i]);
        let mut changed = cells.clone();
        changed[i][4] = establishments.to_string();
        changed[i][5] = headcount.to_string();
        changed[i][6] = "published".to_owned();
        std::fs::write(&table, changed.iter().map(|r| r.join(",") + "\n").collect::<String>()).unwrap();
        let output = case.audit(&["release"]);
        assert_eq!(output.status.code(), Some(1), "{:?}: {}", &cells[i][..4], said(&output));
        opened += 1;
    }
    assert!(opened >= 5);
}

#[test]
fn a_certificate_is_verified_without_a_solver_and_a_false_or_foreign_one_is_not() {
    let case = Case::new(&micro(400, 3), SPEC);
    assert!(case.protect("release").status.success());
    let verify = |more: &[&str]| {
        let mut arguments = vec!["--no-attack", "--json", "--certificate"];
        arguments.extend(more);
        let output = case.audit_and(&["release"], &arguments);
        let report: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        (output.status.code().unwrap(), report, said(&output))
    };
    let (code, report, text) = verify(&[]);
    assert_eq!(code, 0, "{text}");
    let certified = &report.unwrap()["certificate"];
    assert!(certified["ends"].as_u64().unwrap() > 50, "{certified}");
    assert_eq!((&certified["ends"], &certified["witnesses"]), (&certified["proved"], &certified["true"]));
    assert_eq!(certified["ends"], certified["whole"]);

    let good = text_of(&case.path("release/private/certificate.jsonl"));
    let lines: Vec<&str> = good.lines().collect();
    let witness = lines.iter().position(|l| l.starts_with("{\"witness\"")).unwrap();
    let mut one_unit: serde_json::Value = serde_json::from_str(lines[witness]).unwrap();
    one_unit["moves"][0][1] = (one_unit["moves"][0][1].as_i64().unwrap() + 1).into();
    let one_unit = good.replace(lines[witness], &one_unit.to_string());
    // No witness left, and the first line says so.
    let mut header: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    (header["witnesses"], header["cells"]) = (0.into(), 0.into());
    let none = format!("{header}\n{}\n", lines[1..witness].join("\n"));
    let elsewhere = Case::new(&micro(400, 4), SPEC);
    assert!(elsewhere.protect("release").status.success());
    let of_others = text_of(&elsewhere.path("release/private/certificate.jsonl"));
    let sections = Case::new(&micro(400, 3), &SPEC.replace("\"naf_section\", ", ""));
    assert!(sections.protect("release").status.success());
    let of_another_release = text_of(&sections.path("release/private/certificate.jsonl"));
    let half = good[..good.len() / 2].to_owned();
    for (name, text, code, wanted) in [
        ("one unit", one_unit, 1, "witness_changes_shown"),
        ("no witness", none, 1, "unproven"),
        ("other records", of_others, 1, "witness_"),
        ("another release", of_another_release, 2, "line 1: found atoms told apart by"),
        ("a line less", good.replacen(&format!("{}\n", lines[witness]), "", 1), 2, "expected witness 0"),
        ("torn", half, 2, "certificate, line"),
        ("foreign", "siret,siren\n".to_owned(), 2, "line 1: found another first line"),
        ("empty", String::new(), 2, "line 1: found"),
    ] {
        std::fs::write(case.path("other.jsonl"), text).unwrap();
        let (found, _, text) = verify(&[&case.path("other.jsonl").display().to_string()]);
        assert_eq!(found, code, "{name}: {text}");
        assert!(text.contains(wanted), "{name}: `{wanted}` is not in {text}");
    }
    assert_eq!(verify(&[&case.path("absent.jsonl").display().to_string()]).0, 2);
    // The same bytes again, and the digest of the certificate beside those of the other private files.
    assert!(case.protect("again").status.success());
    assert_eq!(good, text_of(&case.path("again/private/certificate.jsonl")));
    assert!(text_of(&case.path("release/private/SHA256SUMS")).contains("  certificate.jsonl\n"));
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_certificate_speaks_of_earlier_releases_too_and_wants_them_named() {
    let mut csv = String::new();
    for (i, line) in micro(400, 3).lines().enumerate() {
        // A second perimeter: one establishment of nine changes its sector.
        let sector = line.split(',').nth(3).unwrap();
        let second = if i == 0 {
            "sector_v2"
        } else if i % 9 == 0 {
            "S00"
        } else {
            sector
        };
        csv.push_str(&format!("{line},{second}\n"));
    }
    let case = Case::new(&csv, SPEC);
    assert!(case.protect("v1").status.success());
    let spec = SPEC.replace("levels = [\"sector\"]", "levels = [\"sector_v2\"]");
    std::fs::write(case.path("spec.toml"), spec.replace("insiders = true", "insiders = false")).unwrap();
    let path = |name: &str| case.path(name).display().to_string();
    let (m, s, v1, v2) = (path("micro.csv"), path("spec.toml"), path("v1"), path("v2"));
    let output = arpent(["protect", "--micro", &m, "--spec", &s, "--out", &v2, "--after", &v1]);
    assert!(output.status.success(), "{}", said(&output));
    let both = case.audit_and(&["v1", "v2"], &["--certificate"]);
    assert_eq!(both.status.code(), Some(0), "{}", said(&both));
    let alone = case.audit_and(&["v2"], &["--certificate"]);
    assert_eq!(alone.status.code(), Some(2), "{}", said(&alone));
    assert!(said(&alone).contains("needs them named too"), "{}", said(&alone));

    // Some left, some came: each release has records of its own.
    let without = |skip: usize| -> String {
        csv.lines()
            .enumerate()
            .filter(|(i, _)| *i == 0 || i % 50 != skip)
            .map(|(_, line)| format!("{line}\n"))
            .collect()
    };
    std::fs::write(case.path("micro.csv"), without(7)).unwrap();
    assert!(case.protect("w1").status.success());
    std::fs::write(case.path("micro.csv"), without(8)).unwrap();
    let (w1, w2) = (path("w1"), path("w2"));
    let output = arpent(["protect", "--micro", &m, "--spec", &s, "--out", &w2, "--after", &w1]);
    assert!(output.status.success(), "{}", said(&output));
    let both = case.audit_and(&["w1", "w2"], &["--certificate"]);
    assert_eq!(both.status.code(), Some(0), "{}", said(&both));
    let alone = case.audit_and(&["w2"], &["--certificate"]);
    assert_eq!(alone.status.code(), Some(2), "{}", said(&alone));
}

#[test]
fn a_withheld_cell_opened_at_random_turns_the_audit_red() {
    let case = Case::new(&micro(400, 3), SPEC);
    assert!(case.protect("release").status.success());
    let output = case.audit_and(&["release"], &["--mutate", "60", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |name: &str| report["mutations"][name].as_u64().unwrap();
    assert_eq!(count("primary_caught"), count("primary"));
    assert_eq!(count("primary") + count("secondary"), 60);
    // That an unsafe cell is shown is a fault by itself; the attack finds too what some of them give away of others.
    assert!(count("primary_attacked") >= 1, "{}", report["mutations"]);
    assert!(count("primary") >= 10 && count("secondary_caught") >= 1, "{}", report["mutations"]);
}

/// Establishments and headcount of a cell, by a plain loop over the records.
fn truth(micro: &Path, cell: &[String]) -> (u64, u64) {
    let records = rows(micro);
    let column = |name: &str| records[0].iter().position(|c| c == name).unwrap();
    let wanted: Vec<(usize, &str)> =
        [0, 2].into_iter().filter(|&d| cell[d] != "TOTAL").map(|d| (column(&cell[d + 1]), cell[d].as_str())).collect();
    let within = records[1..].iter().filter(|r| wanted.iter().all(|(c, code)| r[*c] == *code));
    within.fold((0, 0), |(n, sum), r| (n + 1, sum + r[2].parse::<u64>().unwrap()))
}

#[test]
fn every_published_figure_is_true_and_sums_over_each_axis_hold_before_secrecy() {
    let case = Case::new(
        &micro(400, 3),
        SPEC.replace("[rules]\nmin_contributors = 3\ndominance = { n = 1, share = 0.85 }", "[rules]").as_str(),
    );
    assert!(case.protect("open").status.success());
    let cells = rows(&case.path("open/tables/sector_naf.csv"));
    let mut by_level: HashMap<(String, String), u64> = HashMap::new();
    for cell in &cells[1..] {
        assert_eq!(cell[6], "published", "no rule, nothing withheld");
        assert_eq!((cell[4].parse().unwrap(), cell[5].parse().unwrap()), truth(&case.path("micro.csv"), cell));
        *by_level.entry((cell[1].clone(), cell[3].clone())).or_default() += cell[5].parse::<u64>().unwrap();
    }
    let sums: BTreeSet<u64> = by_level.values().copied().collect();
    assert_eq!((by_level.len(), sums.len()), (6, 1), "each pair of levels adds up to the same total");
}

#[test]
fn the_same_records_in_another_order_give_the_same_bytes() {
    let csv = micro(300, 11);
    let (header, body) = csv.split_once('\n').unwrap();
    let mut lines: Vec<&str> = body.lines().collect();
    let one = Case::new(&csv, SPEC);
    lines.reverse();
    let other = Case::new(&format!("{header}\n{}\n", lines.join("\n")), SPEC);
    for case in [&one, &other] {
        assert!(case.protect("release").status.success());
        assert!(case.protect("again").status.success());
        for file in ["tables/sector_naf.csv", "release.json"] {
            let read = |folder: &str| std::fs::read(case.path(folder).join(file)).unwrap();
            assert_eq!(read("release"), read("again"), "{file}: same inputs, same bytes");
        }
    }
    let table = |case: &Case| std::fs::read(case.path("release/tables/sector_naf.csv")).unwrap();
    assert_eq!(table(&one), table(&other));
}

#[test]
fn bad_input_is_answered_with_2_and_nothing_is_written() {
    let good = micro(40, 5);
    for (micro, spec, wanted) in [
        (good.clone(), SPEC.replace("naf_division", "division"), "division"),
        (good.clone(), SPEC.replace("min_contributors", "min_contributor"), "min_contributor"),
        (good.clone(), SPEC.replace("0.85", "1.85"), "share"),
        (good.replacen(",headcount,", ",heads,", 1), SPEC.to_owned(), "headcount"),
        (good.replacen(",S0", ",-1,S0", 1), SPEC.to_owned(), "expected"),
        (format!("{good}90000000000000,900000000,-3,S01,A,A00\n"), SPEC.to_owned(), "headcount"),
        (format!("{good}90000000000000,900000000,2.5,S01,A,A00\n"), SPEC.to_owned(), "headcount"),
        (format!("{good}90000000000000,900000000,,S01,A,A00\n"), SPEC.to_owned(), "headcount"),
        (
            format!("{good}90000000000000,900000000,3,S01,A,A99\n90000000000001,900000000,3,S01,B,A99\n"),
            SPEC.to_owned(),
            "A99",
        ),
        (format!("{good}90000000000000,900000000,3,TOTAL,A,A00\n"), SPEC.to_owned(), "TOTAL"),
    ] {
        let case = Case::new(&micro, &spec);
        let output = case.protect("release");
        assert_eq!(output.status.code(), Some(2), "{wanted}: {}", said(&output));
        assert!(said(&output).contains(wanted), "`{wanted}` is not in: {}", said(&output));
        assert!(!case.path("release").exists(), "{wanted}");
        assert!(!said(&output).contains("90000000000000"), "a SIRET is repeated");
    }
}

#[test]
fn the_strasbourg_register_is_tabulated_protected_and_audited() {
    let Some(extract) = shared("territories/bas-rhin/sirene_iris_ape_tranche.csv.gz") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut micro = "siret,siren,headcount,iris,naf_section,naf_division,tranche\n".to_owned();
    let text = crate::command::text(&extract);
    let mut kept = 0;
    for (row, line) in text.lines().skip(1).enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        let naf: arpent::model::Naf = fields[1].parse().unwrap();
        // Employers: the others have no headcount to protect. The bracket's lower end, and a little more by row.
        let Some((least, greatest)) = arpent::model::Bracket::from_code(fields[2]).map(arpent::model::Bracket::bounds)
        else {
            continue;
        };
        if least == 0 {
            continue;
        }
        let headcount = least + (row as u32 * 7919) % (greatest.min(2 * least) - least + 1);
        micro.push_str(&format!(
            "{row:014},{row:09},{headcount},{},{},{},{}\n",
            fields[0],
            naf.section(),
            naf.division(),
            fields[2]
        ));
        kept += 1;
    }
    assert!(kept > 15_000, "{kept} employers");
    let spec = SPEC.replace("sector", "iris").replace(
        "[[tables]]\nname = \"iris_naf\"",
        "[dimensions.size]\nlevels = [\"tranche\"]\n[[tables]]\nname = \"size\"\ndimensions = [\"size\"]\n[[tables]]\nname = \"iris_naf\"",
    );
    let case = Case { folder };
    std::fs::write(case.path("micro.csv"), micro).unwrap();
    std::fs::write(case.path("spec.toml"), spec).unwrap();
    let output = case.protect("release");
    assert!(output.status.success(), "{}", said(&output));
    let output = case.audit(&["release"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let cells = rows(&case.path("release/tables/iris_naf.csv"));
    let total = cells.iter().find(|c| c[0] == "TOTAL" && c[2] == "TOTAL").unwrap();
    assert_eq!((total[4].as_str(), total[6].as_str()), (kept.to_string().as_str(), "published"));
}

/// Every table of whole numbers that fits what is shown, by exhaustive search: at most 4 × 4 atoms of at most 6.
fn ends(
    cells: &BTreeMap<(usize, usize), u64>,
    sums: &[(Vec<(usize, usize)>, u64)],
    of: &[(usize, usize)],
) -> (u64, u64) {
    let atoms: Vec<(usize, usize)> = cells.keys().copied().collect();
    let mut values: HashMap<(usize, usize), u64> = HashMap::new();
    let mut found = (u64::MAX, 0);
    fn search(
        at: usize,
        atoms: &[(usize, usize)],
        values: &mut HashMap<(usize, usize), u64>,
        sums: &[(Vec<(usize, usize)>, u64)],
        of: &[(usize, usize)],
        found: &mut (u64, u64),
    ) {
        for (members, sum) in sums {
            let known: u64 = members.iter().filter_map(|m| values.get(m)).sum();
            let all = members.iter().all(|m| values.contains_key(m));
            if known > *sum || (all && known != *sum) {
                return;
            }
        }
        if at == atoms.len() {
            let value = of.iter().map(|m| values[m]).sum();
            *found = (found.0.min(value), found.1.max(value));
            return;
        }
        for value in 0..=14 {
            values.insert(atoms[at], value);
            search(at + 1, atoms, values, sums, of, found);
        }
        values.remove(&atoms[at]);
    }
    search(0, &atoms, &mut values, sums, of, &mut found);
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// On tables small enough to enumerate, no withheld unsafe cell has fewer than two possible values.
    #[test]
    fn exhaustive_search_never_pins_down_an_unsafe_cell(weights in prop::collection::vec(0_u64..5, 9)) {
        let mut csv = "siret,siren,headcount,sector,naf_section,naf_division\n".to_owned();
        let mut truth: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for (i, weight) in weights.iter().enumerate() {
            let (sector, division) = (i / 3, i % 3);
            // A weight of 4 stands for four establishments of one employee each: a safe cell among unsafe ones.
            let parts: Vec<u64> = if *weight == 4 { vec![1; 4] } else { vec![*weight] };
            for (j, part) in parts.iter().enumerate() {
                csv.push_str(&format!("{i}{j},{i}{j},{part},S{sector},A,A{division}\n"));
            }
            truth.insert((sector, division), *weight);
        }
        let case = Case::new(&csv, &SPEC.replace("insiders = true", "insiders = false"));
        let output = case.protect("release");
        prop_assert!(output.status.success(), "{}", said(&output));
        let cells = rows(&case.path("release/tables/sector_naf.csv"));
        let members = |cell: &[String]| -> Vec<(usize, usize)> {
            truth
                .keys()
                .copied()
                .filter(|(s, d)| {
                    (cell[0] == "TOTAL" || cell[0] == format!("S{s}"))
                        && (cell[2] == "TOTAL" || cell[3] == "naf_section" || cell[2] == format!("A{d}"))
                })
                .collect()
        };
        let sums: Vec<_> = cells[1..]
            .iter()
            .filter(|c| c[6] == "published")
            .map(|c| (members(c), c[5].parse().unwrap()))
            .collect();
        for cell in cells[1..].iter().filter(|c| c[6] == "withheld") {
            let of = members(cell);
            let value: u64 = of.iter().map(|m| truth[m]).sum();
            let contributors: u64 = of.iter().map(|m| match truth[m] { 0 => 0, 4 => 4, _ => 1 }).sum();
            if (1..3).contains(&contributors) {
                let (low, high) = ends(&truth, &sums, &of);
                prop_assert!(low < value.max(1) && value < high, "{:?}: [{low}, {high}] around {value}", &cell[..4]);
            }
        }
    }
}
