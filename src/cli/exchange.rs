//! `arpent exchange`: the files of τ-ARGUS, and the instances of the literature.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{self, Readers, WholeFile, WholeFolder, kept_apart};
use super::protect::Refusal;
use super::release::{bytes_of, cells_of, micro_of, records, spec_of};
use crate::model::Unreadable;
use crate::steps::secrecy::argus::apriori;
use crate::steps::secrecy::argus::fixed::{self, Levels};
use crate::steps::secrecy::argus::hierarchy::{self, Hierarchy};
use crate::steps::secrecy::argus::jj::{self, Instance, Status};
use crate::steps::secrecy::argus::pose::pose;
use crate::steps::secrecy::argus::shield::{Unmet, shield, unmet};
use crate::steps::secrecy::argus::table::{self, Holds};
use crate::steps::secrecy::argus::unfold::{Unfolded, unfold};
use crate::steps::secrecy::argus::write::{OwnerFile, owner_files};
use crate::steps::secrecy::{EarlierTable, Spec, TableDimension, tabulate};

/// Cells named one by one when a pattern does not stand; the rest are counted.
const UNMET_LISTED: usize = 20;

/// Reads and writes the files of τ-ARGUS, so that a statistician can check us with another tool.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Act {
    /// Writes records, tables, statuses and instances for τ-ARGUS: raw figures, for the owner alone
    Write(WriteArgs),
    /// Reads records of τ-ARGUS as microdata: raw figures, for the owner alone
    Read(ReadArgs),
    /// Protects a JJ instance, or judges the pattern it states; 1 when a level cannot be reached
    Jj(JjArgs),
    /// Protects a table of τ-ARGUS, or judges the pattern it states; 1 when a level cannot be reached
    Tab(TabArgs),
}

#[derive(Debug, Clone, clap::Args)]
struct WriteArgs {
    /// The records: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    micro: PathBuf,
    /// The specification: rules, protection, dimensions and tables (TOML)
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// A folder that is not there yet, or an empty one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A release of these records: what it withholds beyond the rules is told as secondary
    #[arg(long, value_name = "DIR")]
    release: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
struct ReadArgs {
    /// The records
    #[arg(long, value_name = "FILE")]
    asc: PathBuf,
    /// What their columns are; hierarchies are looked for beside it
    #[arg(long, value_name = "FILE")]
    rda: PathBuf,
    /// Where the microdata go (CSV)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where a specification goes, with a dimension and a table for each variable; its rules are left to be stated
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// The number that is summed; the first of the file otherwise
    #[arg(long, value_name = "NAME")]
    response: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct JjArgs {
    /// The instance
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, Clone, clap::Args)]
struct TabArgs {
    /// The cells
    #[arg(long, value_name = "FILE")]
    tab: PathBuf,
    /// What their fields are; hierarchies are looked for beside it
    #[arg(long, value_name = "FILE")]
    rda: PathBuf,
    /// What is known of cells beside that: status, cost, levels
    #[arg(long, value_name = "FILE")]
    hst: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
}

/// What is wanted of an instance.
#[derive(Debug, Clone, clap::Args)]
struct Wanted {
    /// Where the pattern goes: a line a cell with its number or codes, its status and whether it is published or withheld (CSV)
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    out: Option<PathBuf>,
    /// Withhold nothing more: say whether what is `u` or `m` already reaches every level
    #[arg(long)]
    check: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// 0 done, 1 the answer is no, 2 the input is wrong.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.act {
        Act::Write(args) => write(args),
        Act::Read(args) => read(args),
        Act::Jj(args) => jj(args),
        Act::Tab(args) => tab(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprint!("arpent exchange: {refusal}");
            refusal.exit_code()
        }
    }
}

/// Writes the folder for τ-ARGUS.
fn write(args: &WriteArgs) -> Result<(), Refusal> {
    let spec = spec_of(&args.spec, &bytes_of(&args.spec)?)?;
    let table = micro_of(&args.micro, bytes_of(&args.micro)?, &spec)?;
    let micro = records(&table);
    let input = |code, found: String| {
        Unreadable::file(code, args.micro.display().to_string(), found, "records that fit the specification")
    };
    let raw = tabulate(&micro, &spec).map_err(|error| input("not_tabulable", error.to_string()))?;
    let released = args.release.as_deref().map(|folder| released(folder, &spec)).transpose()?;
    let files = owner_files(&micro, &spec, &raw, released.as_deref())
        .map_err(|e| Unreadable::file("not_exchangeable", e.place, e.found, e.expected))?;
    write_folder(&args.out, &files)?;
    eprintln!(
        "{} files in {}: raw figures, for the owner alone (mode 0600, folder 0700); never publish them",
        files.len(),
        args.out.display()
    );
    Ok(())
}

/// The tables of a release, as the specification cuts them.
fn released(folder: &Path, spec: &Spec) -> Result<Vec<EarlierTable>, Unreadable> {
    let of_table = |table: &crate::steps::secrecy::Table| {
        let path = folder.join(format!("tables/{}.csv", table.name));
        let dimension = |d: &String| TableDimension { name: d.clone(), levels: spec.dimensions[d].levels.clone() };
        let dimensions: Vec<TableDimension> = table.dimensions.iter().map(dimension).collect();
        let cells = cells_of(&path, &dimensions, &bytes_of(&path)?)?;
        Ok(EarlierTable { name: table.name.clone(), cells })
    };
    spec.tables.iter().map(of_table).collect()
}

/// Writes the folder whole or not at all.
fn write_folder(target: &Path, files: &[OwnerFile]) -> Result<(), Unreadable> {
    let cannot = |found: String| {
        let expected = "a folder that is not there yet, or an empty one";
        Unreadable::file("output_unwritable", target.display().to_string(), found, expected)
    };
    if std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(cannot("a folder with content".to_owned()));
    }
    let written = WholeFolder::create(target, Readers::Owner).and_then(|mut folder| {
        files.iter().try_for_each(|file| folder.add(&file.name, &file.bytes, Readers::Owner))?;
        folder.commit()
    });
    written.map_err(|error| cannot(error.to_string()))
}

/// Reads records of τ-ARGUS.
fn read(args: &ReadArgs) -> Result<(), Refusal> {
    kept_apart([&args.asc, &args.rda], [&args.out].into_iter().chain(&args.spec))?;
    let variables = fixed::read_rda(&args.rda.display().to_string(), &bytes_of(&args.rda)?)?;
    let asc = args.asc.display().to_string();
    let table = fixed::read_asc(&asc, &bytes_of(&args.asc)?, &variables)?;
    let hierarchies = hierarchies(&args.rda, variables.iter().map(|variable| (&variable.name, &variable.levels)))?;
    let micro = unfold(&asc, &variables, &table, args.response.as_deref(), &hierarchies)?;
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(&micro.header).chain(&micro.rows) {
        csv.write_record(row).expect("memory takes what is written");
    }
    let csv = csv.into_inner().expect("memory takes what is written");
    let mut outputs = vec![owned(&args.out, &csv)?];
    if let Some(path) = &args.spec {
        outputs.push(owned(path, specification(&micro).as_bytes())?);
    }
    outputs.into_iter().try_for_each(WholeFile::commit)?;
    let out = args.out.display();
    eprintln!("{} records in {out}: raw figures, for the owner alone (mode 0600)", micro.rows.len());
    Ok(())
}

/// The hierarchies that lie beside a `.rda`, by the name of the variable.
fn hierarchies<'a>(
    rda: &Path,
    variables: impl Iterator<Item = (&'a String, &'a Levels)>,
) -> Result<HashMap<String, Hierarchy>, Unreadable> {
    let mut hierarchies = HashMap::new();
    for (variable, levels) in variables {
        if let Levels::File(name, leading) = levels {
            // A path of another machine means nothing here: the file lies beside the `.rda`.
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
            let path = rda.with_file_name(name);
            let codes = hierarchy::read(&path.display().to_string(), &bytes_of(&path)?, leading)?;
            hierarchies.insert(variable.clone(), codes);
        }
    }
    Ok(hierarchies)
}

/// A file for the owner's account alone, not yet under its name.
fn owned(path: &Path, bytes: &[u8]) -> Result<WholeFile, Unreadable> {
    let mut file = WholeFile::create(path)?;
    file.restrict()?;
    file.fill(bytes)?;
    Ok(file)
}

/// A specification of a dimension and a table for each variable, without rules.
fn specification(micro: &Unfolded) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut spec = format!("contributor = {}\nweight = {}\n", quoted(&micro.header[1]), quoted(&micro.header[2]));
    spec.push_str("# State the rules here: without any, nothing is unsafe.\n[rules]\n");
    for (name, levels) in &micro.dimensions {
        let levels: Vec<String> = levels.iter().map(|level| quoted(level)).collect();
        spec.push_str(&format!("[dimensions.{}]\nlevels = [{}]\n", quoted(name), levels.join(", ")));
    }
    for name in micro.dimensions.keys() {
        let name = quoted(name);
        spec.push_str(&format!("[[tables]]\nname = {name}\ndimensions = [{name}]\n"));
    }
    spec
}

/// Protects or judges an instance of the literature.
fn jj(args: &JjArgs) -> Result<(), Refusal> {
    kept_apart([&args.file], &args.wanted.out)?;
    let file = args.file.display().to_string();
    let instance = jj::read(&file, &bytes_of(&args.file)?)?;
    let numbers: Vec<Vec<String>> = (0..instance.cells.len()).map(|number| vec![number.to_string()]).collect();
    judged(&args.wanted, &file, &instance, &["cell".to_owned()], &numbers)
}

/// Protects or judges a table of τ-ARGUS.
fn tab(args: &TabArgs) -> Result<(), Refusal> {
    kept_apart([&args.tab, &args.rda].into_iter().chain(&args.hst), &args.wanted.out)?;
    let file = args.tab.display().to_string();
    let form = table::read_rda(&args.rda.display().to_string(), &bytes_of(&args.rda)?)?;
    let table = table::read_tab(&file, &bytes_of(&args.tab)?, &form)?;
    let coded = form.fields.iter().filter_map(|field| match &field.holds {
        Holds::Code(_, levels) => Some((&field.name, levels)),
        _ => None,
    });
    let names: Vec<String> = coded.clone().map(|(name, _)| name.clone()).collect();
    let known = match &args.hst {
        None => Vec::new(),
        Some(hst) => apriori::read(&hst.display().to_string(), &bytes_of(hst)?, form.separator, names.len())?,
    };
    let instance = pose(&file, &form, &table, &known, &hierarchies(&args.rda, coded)?)?;
    let codes: Vec<Vec<String>> = table.cells.iter().map(|cell| cell.codes.clone()).collect();
    judged(&args.wanted, &file, &instance, &names, &codes)
}

/// Protects or judges an instance whose cells have these names, under these heads.
fn judged(
    args: &Wanted,
    file: &str,
    instance: &Instance,
    heads: &[String],
    names: &[Vec<String>],
) -> Result<(), Refusal> {
    let stated = |c: &jj::Cell| matches!(c.status, Status::Unsafe | Status::Withheld);
    if args.check {
        let missed = unmet(instance);
        let withheld: Vec<bool> = instance.cells.iter().map(stated).collect();
        if !missed.is_empty() {
            let few: Vec<String> = missed.iter().take(UNMET_LISTED).map(|unmet| said(unmet, names)).collect();
            let more = missed.len() - few.len();
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            return Err(Refusal::No(format!(
                "{file}: {} levels are not reached: {}{more}",
                missed.len(),
                few.join(", ")
            )));
        }
        return say(args, &report(instance, &withheld, None));
    }
    let shield = shield(instance).map_err(|unmet| {
        let what = said(&unmet, names);
        Refusal::No(format!("{file}: {what}: cannot be reached whatever else is withheld, or not proved exactly"))
    })?;
    if let Some(out) = &args.out {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let mut write = |name: &[String], rest: [&str; 2]| {
            let fields = name.iter().map(String::as_str).chain(rest);
            csv.write_record(fields).expect("memory takes what is written");
        };
        write(heads, ["status", "fate"]);
        for (name, (cell, withheld)) in names.iter().zip(instance.cells.iter().zip(&shield.withheld)) {
            let letter = if *withheld && cell.status == Status::Safe { 'm' } else { cell.status.letter() };
            write(name, [letter.to_string().as_str(), if *withheld { "withheld" } else { "published" }]);
        }
        let mut whole = WholeFile::create(out)?;
        whole.fill(&csv.into_inner().expect("memory takes what is written"))?;
        whole.commit()?;
    }
    say(args, &report(instance, &shield.withheld, Some((shield.programs, shield.witnesses))))
}

fn said(unmet: &Unmet, names: &[Vec<String>]) -> String {
    format!("{} of cell {}", unmet.side.level(), names[unmet.cell as usize].join(" & "))
}

/// Counts and costs of a pattern.
fn report(instance: &Instance, withheld: &[bool], work: Option<(u64, usize)>) -> Value {
    let unit = 10_f64.powi(instance.cost_places as i32);
    let of = |keep: &dyn Fn(Status) -> bool| {
        let kept = instance.cells.iter().zip(withheld).filter(|(c, w)| **w && keep(c.status));
        let (n, cost) = kept.fold((0_u64, 0_i128), |(n, cost), (c, _)| (n + 1, cost + i128::from(c.cost)));
        json!({ "cells": n, "cost": cost as f64 / unit })
    };
    let mut report = json!({
        "cells": instance.cells.len(),
        "equations": instance.equations.len(),
        "unsafe": of(&|status| status == Status::Unsafe),
        "secondary": of(&|status| status != Status::Unsafe),
        "withheld": of(&|_| true),
        "levels_reached": true,
    });
    if let Some((programs, witnesses)) = work {
        report["programs"] = json!(programs);
        report["witnesses"] = json!(witnesses);
    }
    report
}

/// Prints a report of counts.
fn say(args: &Wanted, report: &Value) -> Result<(), Refusal> {
    let pair = |name: &str| format!("{} cells, cost {}", report[name]["cells"], report[name]["cost"]);
    let mut text = format!(
        "{} cells, {} equations\nunsafe: {}\nsecondary: {}\nevery level is reached, checked in whole numbers\n",
        report["cells"],
        report["equations"],
        pair("unsafe"),
        pair("secondary")
    );
    if args.json {
        text = format!("{report:#}\n");
    }
    Ok(output::say(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const SPEC: &str = "contributor = 'siren'\nweight = 'headcount'\n[rules]\nmin_contributors = 3\n\
                        dominance = { n = 1, share = 0.85 }\n[dimensions.zone]\nlevels = ['zone']\n\
                        [dimensions.naf]\nlevels = ['section', 'division']\n\
                        [[tables]]\nname = 'zone_naf'\ndimensions = ['zone', 'naf']\n\
                        [[tables]]\nname = 'naf'\ndimensions = ['naf']\ndepth = { naf = 1 }\n";

    /// 90 establishments of 60 enterprises in 3 zones and 8 divisions of 3 sections.
    fn micro() -> String {
        let mut csv = String::from("siret,siren,headcount,zone,section,division\n");
        for i in 0..90_u64 {
            let division = (i * i * i + i / 7) % 8;
            let section = ["A", "A", "A", "B", "B", "B", "C", "C"][division as usize];
            let zone = ["X", "Y", "Z"][(i * 5 % 7 % 3) as usize];
            csv.push_str(&format!("s{i},e{},{},{zone},{section},0{division}\n", i * 37 % 60, (i * 13) % 17));
        }
        csv
    }

    struct Desk(tempfile::TempDir);

    impl Desk {
        fn new() -> Self {
            let desk = Self(tempfile::tempdir().unwrap());
            desk.put("m.csv", micro());
            desk.put("s.toml", SPEC);
            desk
        }
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
        fn put(&self, name: &str, content: impl AsRef<[u8]>) {
            std::fs::write(self.path(name), content).unwrap();
        }
        fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.path(name)).unwrap()
        }
        fn protect(&self, micro: &str, spec: &str, out: &str) {
            let path = |name: &str| self.path(name).display().to_string();
            let args = ["arpent", "protect", "--micro", &path(micro), "--spec", &path(spec), "--out", &path(out)]
                .map(str::to_owned);
            let Ok(crate::cli::Arguments { command: crate::cli::Command::Protect(args) }) =
                clap::Parser::try_parse_from(args)
            else {
                panic!("these arguments name `protect`")
            };
            crate::cli::protect::run(&args).unwrap();
        }
        fn write(&self, release: Option<&str>) -> Result<(), Refusal> {
            let release = release.map(|name| self.path(name));
            write(&WriteArgs { micro: self.path("m.csv"), spec: self.path("s.toml"), out: self.path("out"), release })
        }
        fn read(&self) -> Result<(), Refusal> {
            read(&ReadArgs {
                asc: self.path("out/micro.asc"),
                rda: self.path("out/micro.rda"),
                out: self.path("back.csv"),
                spec: Some(self.path("back.toml")),
                response: None,
            })
        }
        fn jj(&self, name: &str, out: Option<&str>, check: bool) -> Result<(), Refusal> {
            let out = out.map(|name| self.path(name));
            super::jj(&JjArgs { file: self.path(name), wanted: Wanted { out, check, json: true } })
        }
        fn tab(&self, name: &str, with_hst: bool, out: Option<&str>, check: bool) -> Result<(), Refusal> {
            let of = |end: &str| self.path(&format!("out/{name}.{end}"));
            let wanted = Wanted { out: out.map(|name| self.path(name)), check, json: true };
            super::tab(&TabArgs { tab: of("tab"), rda: of("rda"), hst: with_hst.then(|| of("hst")), wanted })
        }
    }

    #[test]
    fn records_written_for_another_tool_come_back_and_give_the_same_tables() {
        let desk = Desk::new();
        desk.write(None).unwrap();
        desk.read().unwrap();
        let spec = SPEC.replace("'section', 'division'", "'naf_1', 'naf'");
        desk.put("again.toml", &spec);
        desk.protect("m.csv", "s.toml", "first");
        desk.protect("back.csv", "again.toml", "second");
        for table in ["tables/zone_naf.csv", "tables/naf.csv"] {
            let renamed = desk.text(&format!("first/{table}")).replace("section", "naf_1").replace("division", "naf");
            assert_eq!(renamed, desk.text(&format!("second/{table}")), "{table}");
        }
        // The specification that comes with them fits them, once it has a rule.
        let spec = desk.text("back.toml").replace("[rules]", "[rules]\nmin_contributors = 3");
        desk.put("back.toml", spec);
        desk.protect("back.csv", "back.toml", "third");
        assert!(!desk.text("out/micro.asc").contains('s'), "no establishment has its number there");
    }

    #[test]
    fn what_is_written_is_for_the_owner_alone_and_never_over_anything() {
        let desk = Desk::new();
        desk.write(None).unwrap();
        desk.read().unwrap();
        let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("out"), 0o700);
        let mut names: Vec<String> = std::fs::read_dir(desk.path("out"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "joint.jj",
            "micro.asc",
            "micro.rda",
            "naf.hrc",
            "naf.hst",
            "naf.jj",
            "naf.rda",
            "naf.tab",
            "zone_naf.hst",
            "zone_naf.jj",
            "zone_naf.rda",
            "zone_naf.tab",
        ];
        assert_eq!(names, expected);
        for name in names {
            assert_eq!(mode(&format!("out/{name}")), 0o600, "{name}");
        }
        assert_eq!((mode("back.csv"), mode("back.toml")), (0o600, 0o600));
        let Err(Refusal::Input(faults)) = desk.write(None) else { panic!("the folder has content") };
        assert_eq!(faults[0].found, "a folder with content");
    }

    #[test]
    fn the_pattern_of_a_release_reaches_every_level_as_an_instance() {
        let desk = Desk::new();
        desk.protect("m.csv", "s.toml", "release");
        desk.write(Some("release")).unwrap();
        for name in ["zone_naf", "naf", "joint"] {
            let at = format!("out/{name}.jj");
            desk.jj(&at, None, true).unwrap();
            let instance = jj::read("a.jj", desk.text(&at).as_bytes()).unwrap();
            let withheld = |status| instance.cells.iter().filter(|c| c.status == status).count();
            if name == "zone_naf" {
                assert!(withheld(Status::Unsafe) > 0 && withheld(Status::Withheld) > 0);
                let told = desk.text("out/zone_naf.hst");
                assert_eq!(told.lines().filter(|l| l.ends_with(";U")).count(), withheld(Status::Unsafe));
                assert_eq!(told.lines().filter(|l| l.ends_with(";M")).count(), withheld(Status::Withheld));
                assert_eq!(told.lines().filter(|l| l.contains(";PL;")).count(), withheld(Status::Unsafe));
                // Cell i of the instance is line i + 1 of the table.
                let rows = desk.text("out/zone_naf.tab");
                let values: Vec<i64> = rows.lines().map(|l| l.split(';').nth(2).unwrap().parse().unwrap()).collect();
                assert_eq!(values, instance.cells.iter().map(|c| c.value).collect::<Vec<_>>());
                // What it withholds to protect others is needed: shown, some level is out of reach.
                let opened = desk.text(&at).replace(" m ", " s ");
                desk.put("opened.jj", opened);
                assert!(matches!(desk.jj("opened.jj", None, true), Err(Refusal::No(_))));
            }
        }
        // A release of other records is told apart.
        desk.put("m.csv", micro().replace("s3,e51,5,", "s3,e51,6,"));
        assert_ne!(desk.text("m.csv"), micro());
        std::fs::remove_dir_all(desk.path("out")).unwrap();
        let Err(Refusal::Input(faults)) = desk.write(Some("release")) else { panic!("figures differ") };
        assert_eq!(faults[0].found, "figures of other records");
        assert!(!desk.path("out").exists());
    }

    #[test]
    fn an_instance_is_protected_and_its_pattern_stands() {
        let desk = Desk::new();
        desk.write(None).unwrap();
        for name in ["zone_naf", "joint"] {
            let file = format!("out/{name}.jj");
            assert!(matches!(desk.jj(&file, None, true), Err(Refusal::No(_))), "primaries alone do not stand");
            desk.jj(&file, Some("pattern.csv"), false).unwrap();
            let mut instance = jj::read("a.jj", desk.text(&file).as_bytes()).unwrap();
            let pattern = desk.text("pattern.csv");
            assert_eq!(pattern.lines().next(), Some("cell,status,fate"));
            for (cell, line) in instance.cells.iter_mut().zip(pattern.lines().skip(1)) {
                assert_eq!(line.contains("withheld"), line.contains(",u,") || line.contains(",m,"), "{line}");
                if line.contains(",m,") {
                    cell.status = Status::Withheld;
                }
            }
            desk.put("stated.jj", jj::write(&instance));
            desk.jj("stated.jj", None, true).unwrap();
        }
    }

    #[test]
    fn a_table_with_what_is_known_of_its_cells_is_the_instance_that_is_written_beside_it() {
        let desk = Desk::new();
        desk.protect("m.csv", "s.toml", "release");
        desk.write(Some("release")).unwrap();
        for name in ["zone_naf", "naf"] {
            desk.tab(name, true, None, true).unwrap();
            desk.tab(name, true, Some("pattern.csv"), false).unwrap();
            desk.jj(&format!("out/{name}.jj"), Some("numbered.csv"), false).unwrap();
            // The same fates, cell by cell; by codes here, by number there.
            let fates = |file: &str| -> Vec<String> {
                let text = desk.text(file);
                text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().to_owned()).collect()
            };
            assert_eq!(fates("pattern.csv"), fates("numbered.csv"), "{name}");
            assert!(fates("pattern.csv").iter().any(|fate| fate == "withheld") || name == "naf");
        }
        assert!(desk.text("pattern.csv").starts_with("naf,status,fate\n"), "{}", desk.text("pattern.csv"));
        // With those shown that protect others, levels are out of reach.
        let told = desk.text("out/zone_naf.hst").replace(";M\n", ";S\n");
        desk.put("out/zone_naf.hst", told.clone());
        let Err(Refusal::No(said)) = desk.tab("zone_naf", true, None, true) else { panic!("levels are out of reach") };
        assert!(said.contains(" & "), "{said}");
        // An unsafe cell whose levels nobody tells.
        let lines = |name: &str, of: &dyn Fn(&str) -> Option<String>| {
            let kept: Vec<String> = desk.text(name).lines().filter_map(of).collect();
            desk.put(name, kept.join("\n"));
        };
        lines("out/zone_naf.hst", &|line| (!line.contains(";PL;")).then(|| line.to_owned()));
        lines("out/zone_naf.tab", &|line| Some(line.rsplitn(3, ';').last().unwrap().to_owned()));
        let of_levels = |line: &str| ["lower", "upper"].contains(&line) || line.contains("PL>");
        lines("out/zone_naf.rda", &|line| (!of_levels(line)).then(|| line.to_owned()));
        let Err(Refusal::Input(faults)) = desk.tab("zone_naf", true, None, true) else { panic!("no levels") };
        assert_eq!(faults[0].found, "an unsafe cell without levels");
        // One figure more at one place.
        let table = desk.text("out/naf.tab");
        let (first, rest) = table.split_once('\n').unwrap();
        let fields: Vec<&str> = first.split(';').collect();
        let more = (fields[1].parse::<u64>().unwrap() + 1).to_string();
        let changed: Vec<&str> =
            fields.iter().enumerate().map(|(i, f)| if i == 1 { more.as_str() } else { *f }).collect();
        desk.put("out/naf.tab", format!("{}\n{rest}", changed.join(";")));
        let Err(Refusal::Input(faults)) = desk.tab("naf", true, None, true) else { panic!("it does not add up") };
        assert_eq!((faults[0].code, faults[0].found.as_str()), ("tab_cell", "another figure"));
        assert!(!faults[0].to_string().contains(&more), "no figure is repeated");
    }

    #[test]
    fn what_another_tool_cannot_hold_is_refused() {
        for (from, to, place) in [
            ("X", "é", "dimension `zone`, column `zone`, code `é`"),
            ("X", "@X", "dimension `zone`, column `zone`, code `@X`"),
            ("X", "Total", "dimension `zone`, column `zone`, code `Total`"),
            (",A,", ",04,", "dimension `naf`, column `division`, code `04`"),
        ] {
            let desk = Desk::new();
            desk.put("m.csv", micro().replace(from, to));
            let Err(Refusal::Input(faults)) = desk.write(None) else { panic!("{to} is held") };
            assert_eq!((faults[0].code, faults[0].file.as_str()), ("not_exchangeable", place));
            assert!(!desk.path("out").exists());
        }
        let desk = Desk::new();
        desk.put("s.toml", SPEC.replace("'zone_naf'", "'zone naf'"));
        assert!(matches!(desk.write(None), Err(Refusal::Input(_))));
    }

    #[test]
    fn no_bytes_make_a_reader_panic() {
        use crate::steps::secrecy::argus::{apriori, table};
        let desk = Desk::new();
        desk.write(None).unwrap();
        let bytes = |name: &str| std::fs::read(desk.path(&format!("out/{name}"))).unwrap();
        let sources =
            ["zone_naf.jj", "micro.rda", "micro.asc", "naf.hrc", "zone_naf.tab", "zone_naf.rda", "zone_naf.hst"];
        let variables = fixed::read_rda("m", &bytes("micro.rda")).unwrap();
        let form = table::read_rda("t", &bytes("zone_naf.rda")).unwrap();
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut chance = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        let pieces: [&[u8]; 8] = [b"\n", b" ", b"\"", b";", b"-1", b"99999999999999999999", b"\xff\xfe", b"NaN"];
        let (mut refused, mut taken) = (0, 0);
        for _ in 0..300 {
            for name in sources {
                let mut mutated = bytes(name);
                for _ in 0..=chance(3) {
                    let at = chance(mutated.len() + 1);
                    match chance(4) {
                        0 => mutated.truncate(at),
                        1 => drop(mutated.splice(at..at, pieces[chance(pieces.len())].iter().copied())),
                        2 if at < mutated.len() => mutated[at] = chance(256) as u8,
                        _ if at < mutated.len() => drop(mutated.remove(at)),
                        _ => {}
                    }
                }
                let fine = [
                    jj::read("a", &mutated).is_ok(),
                    fixed::read_rda("a", &mutated).is_ok(),
                    fixed::read_asc("a", &mutated, &variables).is_ok(),
                    hierarchy::read("a", &mutated, "@").is_ok(),
                    table::read_rda("a", &mutated).is_ok(),
                    table::read_tab("a", &mutated, &form).is_ok(),
                    apriori::read("a", &mutated, ';', 2).is_ok(),
                ];
                let fine = fine.into_iter().filter(|fine| *fine).count();
                (refused, taken) = (refused + 7 - fine, taken + fine);
            }
        }
        assert!(refused > 1_000 && taken > 100, "{refused} {taken}");
    }
}
