//! `arpent protect`: tabulates microdata, protects the tables, and writes what may be shown beside what its owner keeps.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::release::{self, Content, ReadBack};
use crate::model::{Reject, Unreadable};
use crate::steps::secrecy::{
    Cell, Coordinate, Counts, Dossier, NotProtected, ProtectedTable, ProtectedTables, Spec, protect_after,
};

/// Tabulates and protects: every cell of the tables is published or withheld, and what is withheld cannot be worked out.
#[derive(Debug, Clone, clap::Args)]
pub struct ProtectArgs {
    /// Microdata, one row an establishment: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    pub micro: PathBuf,
    /// The specification, TOML: contributor, weight, rules, dimensions, tables
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
    /// The folder to write; an earlier output there is replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// An earlier release of the same people, which stays safe too; may be given several times
    #[arg(long, value_name = "DIR")]
    pub after: Vec<PathBuf>,
    /// Print the report as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The answer is no: nothing can be published. Exit code 1.
    No(String),
    /// The input or the usage is wrong. Exit code 2.
    Input(Vec<Reject>),
}

impl Refusal {
    /// 1 when the answer is no, 2 when the input is wrong.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::No(_) => ExitCode::from(1),
            Self::Input(_) => ExitCode::from(2),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No(why) => writeln!(f, "{why}"),
            Self::Input(rejects) => rejects.iter().try_for_each(|reject| writeln!(f, "{reject}")),
        }
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Input(vec![unreadable.0])
    }
}

impl From<Vec<Reject>> for Refusal {
    fn from(rejects: Vec<Reject>) -> Self {
        Self::Input(rejects)
    }
}

/// Runs the command and prints its report: text on standard error, or JSON on standard output with `--json`.
/// A refusal says what to tell the user and the exit code; no output was written then.
pub fn run(args: &ProtectArgs) -> Result<(), Refusal> {
    let report = protect(args)?;
    // A reader that has gone away, such as `head`, is no fault of the work done.
    let _ = if args.json {
        writeln!(std::io::stdout(), "{:#}", report.json())
    } else {
        write!(std::io::stderr(), "{}", report.text())
    };
    Ok(())
}

/// Protects, writes the folder, and gives the report.
fn protect(args: &ProtectArgs) -> Result<Report, Refusal> {
    refuse_overwriting(args)?;
    release::refuse_foreign(&args.out)?;
    let spec_bytes = release::bytes_of(&args.spec)?;
    let spec = release::spec_of(&args.spec, &spec_bytes)?;
    let headers = spec.tables.iter().map(release::header).collect::<Result<Vec<_>, _>>()?;
    let micro_bytes = release::bytes_of(&args.micro)?;
    let micro_digest = release::digest(&micro_bytes);
    let table = release::micro_of(&args.micro, micro_bytes, &spec)?;
    let records = release::records(&table);
    let mut earlier: Vec<ReadBack> = Vec::new();
    for folder in &args.after {
        let read = release::read(folder)?;
        // A release named twice is one release.
        if earlier.iter().all(|known| known.digest != read.digest) {
            earlier.push(read);
        }
    }
    let remarks = remarks(&spec, &earlier);
    let after: Vec<String> = earlier.iter().map(|read| read.digest.clone()).collect();
    let earlier: Vec<_> = earlier.into_iter().map(|read| read.earlier).collect();
    let (tables, dossier) =
        protect_after(&records, &spec, &earlier).map_err(|refused| refusal(refused, &args.micro))?;

    let mut contents: Vec<Content> = Vec::new();
    for (header, table) in headers.iter().zip(tables.iter()) {
        contents.push((format!("tables/{}.csv", table.name), release::table_csv(header, table)));
    }
    let inputs = json!({ "micro": micro_digest, "spec": release::digest(&spec_bytes), "after": after });
    let summary = release_json(&spec, &tables, inputs, &contents);
    let mut owned: Vec<Content> = vec![
        ("release.json".to_owned(), format!("{summary:#}\n").into_bytes()),
        ("private/spec.toml".to_owned(), spec_bytes),
        ("private/microdata.csv".to_owned(), release::micro_csv(&spec, &table)),
        ("private/reasons.csv".to_owned(), release::reasons_csv(&dossier)),
        ("private/certificate.csv".to_owned(), release::certificate_csv(&dossier)),
    ];
    owned.push(("private/SHA256SUMS".to_owned(), release::sums(&owned)));
    contents.extend(owned);
    release::write(&args.out, &contents)?;
    Ok(Report {
        out: args.out.display().to_string(),
        records: records.len(),
        earlier: earlier.len(),
        already_public: already_public(&dossier),
        counts: dossier.counts,
        summary,
        remarks,
    })
}

fn refusal(refused: NotProtected, micro: &Path) -> Refusal {
    match refused {
        NotProtected::NotProtectable(no) => Refusal::No(no.to_string()),
        NotProtected::NotTabulable(wrong) => {
            // Its text is place, found and expected already; the file is what it lacks.
            let text = wrong.to_string();
            let (found, expected) = text.split_once(", expected ").unwrap_or((&text, "records that can be tabulated"));
            Unreadable::file("not_tabulable", micro.display().to_string(), found, expected).into()
        }
        NotProtected::OtherMicrodata { release, found, expected } => {
            Unreadable::file("other_microdata", release, found, expected).into()
        }
    }
}

/// No output may take the place of an input.
fn refuse_overwriting(args: &ProtectArgs) -> Result<(), Unreadable> {
    let Ok(out) = std::fs::canonicalize(&args.out) else { return Ok(()) };
    for input in [&args.micro, &args.spec].into_iter().chain(&args.after) {
        if std::fs::canonicalize(input).is_ok_and(|input| input.starts_with(&out)) {
            let place = args.out.display().to_string();
            return Err(Unreadable::file("output_is_input", place, "an input of this command", "another folder"));
        }
    }
    Ok(())
}

/// What the owner should know of the releases named.
fn remarks(spec: &Spec, earlier: &[ReadBack]) -> Vec<String> {
    let mut remarks = Vec::new();
    for read in earlier {
        let name = &read.earlier.name;
        let missing = read.after.iter().filter(|d| earlier.iter().all(|known| known.digest != **d)).count();
        if missing > 0 {
            remarks.push(format!(
                "{name}: found {missing} releases it was made after and which `--after` does not name, expected all of \
                 them: what they show is not taken into account"
            ));
        }
        if read.policy != spec.policy_fingerprint() {
            remarks.push(format!("{name}: found another policy; the present one judges its cells too"));
        }
    }
    remarks
}

/// Cells of the present tables that are unsafe by the present rules, and that an earlier release shows.
fn already_public(dossier: &Dossier) -> usize {
    dossier.reasons.iter().filter(|reason| reason.fate == "open" && !reason.rules.is_empty()).count()
}

/// `release.json`. It tells nothing that the tables beside it do not: every count and share is worked out from them.
fn release_json(spec: &Spec, tables: &ProtectedTables, inputs: Value, contents: &[Content]) -> Value {
    let withheld = |table: &ProtectedTable| table.cells().filter(|(_, cell)| *cell == Cell::Suppressed).count() as u64;
    let n_cells: u64 = tables.iter().map(|table| table.cells().count() as u64).sum();
    let n_withheld: u64 = tables.iter().map(withheld).sum();
    let by_table = tables.iter().map(|table| {
        let (cells, withheld) = (table.cells().count() as u64, withheld(table));
        json!({ "name": table.name, "cells": cells, "published": cells - withheld, "withheld": withheld })
    });
    let outputs: Map<String, Value> =
        contents.iter().map(|(path, bytes)| (path.clone(), json!(release::digest(bytes)))).collect();
    json!({
        "format": release::FORMAT,
        "arpent": env!("CARGO_PKG_VERSION"),
        "counts": {
            "tables": spec.tables.len(),
            "cells": n_cells,
            "published": n_cells - n_withheld,
            "withheld": n_withheld,
        },
        "withheld_share": {
            "cells": share(n_withheld.into(), n_cells.into()),
            "headcount": headcount_withheld(tables).map(|(part, whole)| share(part, whole)),
        },
        "tables": by_table.collect::<Vec<_>>(),
        "policy": policy_json(spec),
        "inputs": inputs,
        "outputs": outputs,
    })
}

fn policy_json(spec: &Spec) -> Value {
    let mut rules = Map::new();
    let mut put = |name: &str, value: Option<Value>| rules.extend(value.map(|value| (name.to_owned(), value)));
    put("min_contributors", spec.rules.min_contributors.map(Value::from));
    put("dominance", spec.rules.dominance.map(|d| json!({ "n": d.n, "share": d.share })));
    put("p_percent", spec.rules.p_percent.map(Value::from));
    put("min_count", spec.rules.min_count.map(Value::from));
    put("min_count_of", spec.rules.min_count.map(|_| spec.rules.min_count_of.name().into()));
    json!({
        "contributor": spec.contributor,
        "weight": spec.weight,
        "rules": rules,
        "protection": { "width": spec.protection.width, "insiders": spec.protection.insiders },
        "fingerprint": spec.policy_fingerprint(),
    })
}

/// Headcount withheld and in all, over all cells of all tables; from what is published alone.
///
/// The cells of a table that lie at the same levels share out its total, so what they withhold together is that total
/// less what they show. Where a table withholds its total there is no answer: the sum would give it away.
fn headcount_withheld(tables: &ProtectedTables) -> Option<(u128, u128)> {
    let (mut part, mut whole) = (0_u128, 0_u128);
    for table in tables.iter() {
        let total = match table.cell(&vec![Coordinate::Total; table.dimensions.len()]) {
            None => continue, // no establishment at all
            Some(Cell::Suppressed) => return None,
            Some(Cell::Open { headcount, .. }) => u128::from(headcount),
        };
        let mut shown: std::collections::BTreeMap<Vec<Option<u8>>, u128> = std::collections::BTreeMap::new();
        for (at, cell) in table.cells() {
            let level = |coordinate: &Coordinate| match coordinate {
                Coordinate::Total => None,
                Coordinate::Code { level, .. } => Some(*level),
            };
            let shown = shown.entry(at.iter().map(level).collect()).or_default();
            match cell {
                Cell::Open { headcount, .. } => *shown += u128::from(headcount),
                Cell::Suppressed => {}
            }
        }
        whole += total * shown.len() as u128;
        part += shown.values().map(|shown| total - shown).sum::<u128>();
    }
    Some((part, whole))
}

/// A share rounded to four decimals, in whole numbers up to the last step, so that it is the same everywhere.
fn share(part: u128, whole: u128) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let ten_thousandths = (part * 20_000 + whole) / (2 * whole);
    ten_thousandths as f64 / 10_000.0
}

/// What the owner is told.
struct Report {
    out: String,
    records: usize,
    earlier: usize,
    already_public: usize,
    counts: Counts,
    summary: Value,
    remarks: Vec<String>,
}

impl Report {
    /// The summary of the release, and beside it what is for the owner alone.
    fn json(&self) -> Value {
        let mut report = self.summary.clone();
        report["out"] = json!(self.out);
        report["owner"] = json!({
            "records": self.records,
            "primary": self.counts.primary,
            "secondary": self.counts.secondary,
            "earlier_releases": self.earlier,
            "already_public": self.already_public,
            "remarks": self.remarks,
        });
        report
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string cannot fail");
        let (counts, shares) = (&self.summary["counts"], &self.summary["withheld_share"]);
        line(format!("establishments: {}", self.records));
        line(format!("tables: {}, cells: {}", counts["tables"], counts["cells"]));
        line(format!("published: {}", counts["published"]));
        line(format!("withheld: {}, {} of the cells", counts["withheld"], percent(&shares["cells"])));
        line(format!("  by a rule: {}, to protect those: {}", self.counts.primary, self.counts.secondary));
        line(format!("  {} of the headcount, over all cells", percent(&shares["headcount"])));
        if self.earlier > 0 {
            line(format!("earlier releases: {}", self.earlier));
            line(format!("already public: {} unsafe cells, which stay shown", self.already_public));
        }
        self.remarks.iter().for_each(|remark| line(format!("  {remark}")));
        line(format!("policy: {}", self.summary["policy"]["fingerprint"].as_str().unwrap_or_default()));
        line(format!("written: {}", self.out));
        text
    }
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or("an untold share".to_owned(), |share| format!("{:.2} %", share * 100.0))
}
