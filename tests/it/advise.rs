//! `arpent advise`: the ranking as the owner reads it, and a change that keeps its promise once it is made.

use crate::command::{arpent, rows, said};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;

struct Desk(tempfile::TempDir);

impl Desk {
    fn new(micro: &str, spec: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("m.csv", micro);
        desk.put("s.toml", spec);
        desk
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
    /// Words that name a file of the desk begin with `@`.
    fn run(&self, line: &[&str]) -> Output {
        arpent(line.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).display().to_string(),
            None => (*word).to_owned(),
        }))
    }
    fn advise(&self, more: &[&str]) -> Output {
        self.run(&[&["advise", "--micro", "@m.csv", "--spec", "@s.toml"], more].concat())
    }
    fn report(&self, more: &[&str]) -> Value {
        let output = self.advise(&[more, &["--json"]].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
    /// Cells, cells withheld and headcount shown of a release, from its tables.
    fn counted(&self, release: &str) -> (u64, u64, u64) {
        let (mut cells, mut withheld, mut headcount) = (0, 0, 0);
        for table in std::fs::read_dir(self.path(release).join("tables")).unwrap() {
            let table = rows(&table.unwrap().path());
            let (header, body) = table.split_first().unwrap();
            let at = header.iter().position(|name| name == "headcount").unwrap();
            for row in body {
                cells += 1;
                withheld += u64::from(row.last().unwrap() == "withheld");
                headcount += row[at].parse::<u64>().unwrap_or(0);
            }
        }
        (cells, withheld, headcount)
    }
}

const SPEC: &str = r#"
contributor = "siren"
weight = "headcount"
[rules]
min_contributors = 3
dominance = { n = 1, share = 0.85 }
[population.sector]
least = 10
inhabitants = { S0 = 60, S1 = 40, S2 = 30, S3 = 50, S4 = 20, S5 = 10 }
[dimensions.sector]
levels = ["sector"]
[dimensions.naf]
levels = ["section", "division"]
[dimensions.size]
levels = ["size"]
bounds = { "1-9" = [0, 200], "10+" = [1, 400], "none" = [0, 200] }
[[tables]]
name = "sector_naf"
dimensions = ["sector", "naf"]
[[tables]]
name = "sector_size"
dimensions = ["sector", "size"]
"#;

/// Establishments drawn by a small congruential rule, sparse in the last sectors.
fn micro(n: u64) -> String {
    let mut state = 5_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut csv = "siret,siren,headcount,sector,section,division,size,note\n".to_owned();
    for i in 0..n {
        let (sector, division) = (next(6).min(next(6)), next(6));
        let (headcount, size) = match next(3) {
            0 => (1 + next(3), "none"),
            1 => (1 + next(9), "1-9"),
            _ => (10 + next(30), "10+"),
        };
        let section = if division < 3 { "A" } else { "B" };
        csv.push_str(&format!("{i:014},{i:09},{headcount},S{sector},{section},{section}{division},{size},x\n"));
    }
    csv
}

#[test]
fn each_change_once_applied_shows_exactly_what_was_promised() {
    let desk = Desk::new(&micro(160), SPEC);
    let inputs = (desk.text("m.csv"), desk.text("s.toml"));
    let report = desk.report(&["--tries", "30"]);
    let before = |report: &Value| {
        let n = |field: &str| report[field].as_u64().unwrap();
        (n("cells"), n("withheld"), n("headcount_shown"))
    };
    let output = desk.run(&["protect", "--micro", "@m.csv", "--spec", "@s.toml", "--out", "@as-it-is"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(desk.counted("as-it-is"), before(&report["before"]));
    let ranking = report["ranking"].as_array().unwrap();
    let gains: Vec<i64> = ranking.iter().map(|a| a["gain"].as_i64().unwrap()).collect();
    assert!(gains.is_sorted_by(|a, b| a >= b) && gains.iter().all(|gain| *gain > 0), "{gains:?}");

    let of_kind = |kind: &str| ranking.iter().position(|a| a["change"].get(kind).is_some());
    let bounded = ranking.iter().position(|a| a["change"]["merge"]["level"] == "size");
    let sectors = ranking.iter().position(|a| a["change"]["merge"]["level"] == "sector");
    let chosen = [of_kind("leave_out_level"), of_kind("leave_out_table"), bounded, sectors];
    // Which kinds help depends on how little is withheld to begin with.
    assert!(chosen.iter().flatten().count() >= 2, "several kinds of change are among them: {ranking:#?}");
    for at in chosen.into_iter().flatten() {
        let rank = (at + 1).to_string();
        let line = ["--tries", "30", "--apply", &rank, "--out", "@new.toml", "--out-micro", "@new.csv"];
        let output = desk.advise(&line);
        assert!(output.status.success(), "{}", said(&output));
        let release = format!("release-{rank}");
        let out = format!("@{release}");
        let output = desk.run(&["protect", "--micro", "@new.csv", "--spec", "@new.toml", "--out", &out]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(desk.counted(&release), before(&ranking[at]["after"]), "{}", ranking[at]["says"]);
        // What an audit by another path says of the changed cut.
        let output = desk.run(&["audit", "--micro", "@new.csv", "--spec", "@new.toml", "--release", &out]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    assert_eq!(inputs, (desk.text("m.csv"), desk.text("s.toml")), "the inputs stay as they are");
}

#[test]
fn a_cut_that_cannot_be_protected_gets_the_changes_which_make_it_safe() {
    // The first release showed S1 as a whole, the second all of it but its big establishment, which is one enterprise.
    let rows = "1,A,9,S1,big\n2,B,2,S1,small\n3,C,8,S2,big\n4,D,3,S2,small\n5,E,7,S2,big\n6,F,3,S2,small\n7,G,5,S1,middle\n\
                8,H,5,S1,middle\n";
    let header = "siret,siren,headcount,sector,size\n";
    let spec = |rules: &str, more: &str| {
        format!(
            "contributor='siren'\nweight='headcount'\n{rules}\n[dimensions.sector]\nlevels=['sector']\n[dimensions.size]\n\
             levels=['size']\n[[tables]]\nname='t'\ndimensions=['sector'{more}]\n"
        )
    };
    let desk = Desk::new(&format!("{header}{rows}"), &spec("rules = { min_contributors = 2 }", ",'size'"));
    let part: String = rows.lines().filter(|l| !l.contains("S1,big")).map(|l| format!("{l}\n")).collect();
    desk.put("part.csv", &format!("{header}{part}"));
    desk.put("open.toml", &spec("", ""));
    for (micro, out) in [("@m.csv", "@first"), ("@part.csv", "@second")] {
        let output = desk.run(&["protect", "--micro", micro, "--spec", "@open.toml", "--out", out]);
        assert!(output.status.success(), "{}", said(&output));
    }
    let after = ["--after", "@first", "--after", "@second"];
    let protect = |micro, spec, out| {
        desk.run(&[&["protect", "--micro", micro, "--spec", spec, "--out", out], &after[..]].concat())
    };
    assert_eq!(protect("@m.csv", "@s.toml", "@third").status.code(), Some(1));

    let report = desk.report(&after);
    assert!(report["stuck"].as_str().unwrap().contains("sector=S1"), "{report:#}");
    assert_eq!(
        (&report["before"]["headcount_shown"], &report["before"]["cells"]),
        (&0.into(), &report["before"]["withheld"])
    );
    // Everything shown then is gained, and nothing is given up, since nothing could be shown.
    let best = &report["ranking"][0];
    assert_eq!((&best["gain"], &best["given_up"]), (&best["after"]["headcount_shown"], &0.into()));
    let apply = ["--apply", "1", "--out", "@new.toml", "--out-micro", "@new.csv"];
    let output = desk.advise(&[&after[..], &apply].concat());
    assert!(output.status.success(), "{}", said(&output));
    let output = protect("@new.csv", "@new.toml", "@third");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(Some(desk.counted("third").2), best["gain"].as_u64());
}

/// Two enterprises each in A and D, which hide each other; four in each other sector.
fn tiny() -> (String, String) {
    let mut csv = "siret,siren,headcount,sector\n".to_owned();
    for (i, sector) in "AADDBBBBCCCC".chars().enumerate() {
        csv.push_str(&format!("{i},{i},10,{sector}\n"));
    }
    let spec = "contributor='siren'\nweight='headcount'\nrules = { min_contributors = 3 }\n[dimensions.sector]\n\
                levels=['sector']\n[[tables]]\nname='t'\ndimensions=['sector']\n";
    (csv, spec.to_owned())
}

/// A square of a kilometre for each code, from west to east; a dot leaves a gap.
fn row_of_zones(codes: &str) -> String {
    let zone = |(i, code): (usize, char)| {
        let (west, east) = (2.0 + 0.01 * i as f64, 2.01 + 0.01 * i as f64);
        format!(
            "{{\"type\":\"Feature\",\"properties\":{{\"code\":\"{code}\"}},\"geometry\":{{\"type\":\"Polygon\",\"coordinates\":\
             [[[{west},48.0],[{east},48.0],[{east},48.01],[{west},48.01],[{west},48.0]]]}}}}"
        )
    };
    let zones: Vec<String> = codes.chars().enumerate().filter(|(_, code)| *code != '.').map(zone).collect();
    format!("{{\"type\":\"FeatureCollection\",\"features\":[{}]}}", zones.join(","))
}

#[test]
fn tiny_sectors_are_merged_where_they_lie_side_by_side() {
    let (csv, spec) = tiny();
    let desk = Desk::new(&csv, &spec);
    let says = |report: &Value| -> Vec<String> {
        report["ranking"].as_array().unwrap().iter().map(|a| a["says"].as_str().unwrap().to_owned()).collect()
    };
    let free = desk.report(&["--tries", "100"]);
    assert_eq!((free["candidates"].as_u64(), free["tried"].as_u64()), (Some(6), Some(6)));
    assert_eq!(says(&free)[0], "merge `A` and `D` of `sector`");
    assert_eq!(free["ranking"][0]["gain"], 40);
    let zones = ["--zone-level", "sector", "--zones", "@z.geojson"];
    for (row, candidates, best) in [("ADBC", 3, true), ("DABC", 3, true), ("ABDC", 3, false), ("ADX", 1, true)] {
        desk.put("z.geojson", &row_of_zones(row));
        let report = desk.report(&zones);
        assert_eq!(report["candidates"], candidates, "{row}");
        assert_eq!(
            says(&report).first().is_some_and(|s| s == "merge `A` and `D` of `sector`"),
            best,
            "{row}: {report:#}"
        );
    }
    // Text says the same, and that it is for the owner; no figure of a cell withheld is in it.
    let output = desk.advise(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("for the owner of the data alone\n") && text.contains("1. merge `A` and `D`"), "{text}");
    assert!(output.stderr.is_empty(), "quiet in a pipe");
}

#[test]
fn what_cannot_be_advised_on_is_answered_with_place_found_and_expected() {
    let (csv, spec) = tiny();
    let desk = Desk::new(&csv, &spec);
    desk.put("one.geojson", &row_of_zones("A"));
    desk.put("other.geojson", &row_of_zones("XYZ"));
    desk.put("apart.geojson", &row_of_zones("A.D"));
    let zones = |file: &'static str| vec!["--zone-level", "sector", "--zones", file];
    let apply = |rank: &'static str, more: &[&'static str]| {
        [&["--tries", "9", "--apply", rank, "--out", "@new.toml"], more].concat()
    };
    for (line, found, expected) in [
        (vec!["--zone-level", "iris"], "level: found `iris`", "one of sector"),
        (vec!["--ordered", "size"], "level: found `size`", "one of sector"),
        (zones("@one.geojson"), "found one zone", "two zones or more"),
        (zones("@other.geojson"), "found 2 pairs of zones", "zones whose codes the level has"),
        (zones("@apart.geojson"), "found 2 zones that share no border", "zones side by side"),
        (zones("@absent.geojson"), "found no such file", "a file that can be read"),
        (apply("0", &[]), "--apply: found 0", "a rank from 1 to"),
        (apply("99", &[]), "--apply: found 99", "a rank from 1 to"),
        (apply("1", &[]), "--out-micro: found a change of the records", "a file to write"),
        (apply("1", &["--out-micro", "@m.csv"]), "found a file this command already uses", "another file"),
        (apply("1", &["--out-micro", "@new.toml"]), "found a file this command already uses", "another file"),
        (apply("1", &["--out-micro", "@absent/new.csv"]), "absent/new.csv: found", "a place that can be written"),
        (vec!["--apply", "1"], "--out", ""),
        (vec!["--tries", "0"], "--tries", ""),
        (vec!["--zones", "@one.geojson"], "--zone-level", ""),
    ] {
        let output = desk.advise(&line);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains(found) && said.contains(expected), "{line:?}: {said}");
        assert!(!desk.path("new.toml").exists(), "nothing is half-written: {line:?}");
    }
    // One table of one level with two codes: there is nothing to change.
    desk.put("m.csv", "siret,siren,headcount,sector\n1,1,10,A\n2,2,10,A\n3,3,10,B\n");
    let output = desk.advise(&[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("found 1 table(s), 1 level(s)"), "{}", said(&output));
    // Where everything is shown no change shows more: that is an answer.
    let all = "ABCDABCDABCD".chars().enumerate().map(|(i, c)| format!("{i},{i},10,{c}\n")).collect::<String>();
    desk.put("m.csv", &format!("siret,siren,headcount,sector\n{all}"));
    let output = desk.advise(&[]);
    assert!(output.status.success() && said(&output).contains("none of them shows more"), "{}", said(&output));
    let output = desk.advise(&["--apply", "1", "--out", "@new.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("expected none: no change that was tried shows more"), "{}", said(&output));
}
