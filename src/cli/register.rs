//! `arpent register`: how a register would be read, before anybody imports it.

use super::inspect::epsg;
use super::output::{kept_apart, print, write_together};
use crate::model::establishment::Trust;
use crate::model::{Crs, Establishment, Reject, Rejects, Source, Unreadable};
use crate::steps::read::columns::{ColumnReport, Mapping};
use crate::steps::read::register::{RegisterOptions, RegisterRead, Tally, read_register};
use crate::steps::read::table::Input;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Says how registers would be read: columns, rows accepted and refused, places, nomenclatures.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registers: CSV or text (gzipped, or alone in a zip), XLSX, XLS, ODS or Parquet
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How to read them
    #[command(flatten)]
    pub reading: Reading,
    /// Where to write the refused rows, as CSV: file, line, field, code, found, expected
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How registers are to be read.
#[derive(Debug, Clone, clap::Args)]
pub struct Reading {
    /// The year whose 31 December the headcounts describe, where the file does not say
    #[arg(long, value_name = "YEAR")]
    pub vintage: Option<u16>,
    /// Who sent the headcounts, where the file does not say: urssaf or msa
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    pub source: Option<Source>,
    /// The system of the coordinates of rows which do not state their own
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    pub crs: Option<Crs>,
    /// The column of a role, as in siret=NUM_SIRET; again for others
    #[arg(long = "map", value_name = "ROLE=COLUMN")]
    pub map: Vec<String>,
    /// A file of such lines
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Which geocodes are placed: street (all but 33), sure-street (11, 12) or number (11)
    /// [default: street]
    #[arg(long, value_name = "QUALITY", value_parser = trust)]
    pub trust: Option<Trust>,
}

/// The source of a code.
pub fn source(text: &str) -> Result<Source, String> {
    Source::from_code(text).ok_or_else(|| "expected `urssaf` or `msa`".to_owned())
}

/// The trust of a code.
pub fn trust(text: &str) -> Result<Trust, String> {
    Trust::from_code(text).ok_or_else(|| "expected `street`, `sure-street` or `number`".to_owned())
}

/// Largest file of a mapping, in bytes.
const MAPPING_BYTES_MAX: u64 = 1 << 16;

impl Reading {
    /// An option that was given, if one was.
    pub fn said(&self) -> Option<&'static str> {
        let said = [
            ("--vintage", self.vintage.is_some()),
            ("--source", self.source.is_some()),
            ("--crs", self.crs.is_some()),
            ("--map", !self.map.is_empty()),
            ("--mapping", self.mapping.is_some()),
            ("--trust", self.trust.is_some()),
        ];
        said.into_iter().find(|(_, said)| *said).map(|(option, _)| option)
    }

    /// The options they make.
    pub fn options(&self) -> Result<RegisterOptions, String> {
        let mapping = mapping(&self.map, self.mapping.as_deref())?;
        let Self { vintage, source, crs, trust, .. } = self.clone();
        Ok(RegisterOptions { vintage, source, crs, mapping, trust: trust.unwrap_or_default() })
    }
}

/// The mapping that arguments and a file make together.
pub fn mapping(said: &[String], file: Option<&Path>) -> Result<Mapping, String> {
    let mut text = String::new();
    if let Some(path) = file {
        let refuse = |found: String| format!("{}: found {found}, expected a text file of mappings", path.display());
        let size = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?.len();
        if size > MAPPING_BYTES_MAX {
            return Err(refuse(format!("{size} bytes")));
        }
        text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
        text.push('\n');
    }
    text += &said.join("\n");
    Mapping::parse(&text).map_err(|e| e.to_string())
}

/// 0 when the files can be read, whatever rows are refused; 2 when one cannot.
pub fn run(args: &Args) -> ExitCode {
    match report(args) {
        Ok(text) => print("register", &text, ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("arpent register: {why}");
            ExitCode::from(2)
        }
    }
}

fn report(args: &Args) -> Result<String, String> {
    kept_apart(args.files.iter().chain(&args.reading.mapping), &args.rejects).map_err(|e| e.to_string())?;
    let options = args.reading.options()?;
    let mut reports = Vec::new();
    let mut all = Rejects::default();
    for path in &args.files {
        let (name, input) = open(path).map_err(|e| e.to_string())?;
        let read = read_register(&name, input, &options).map_err(|e| e.to_string())?;
        all.append(&read.rejected);
        reports.push((name, Summary::of(&read), read));
    }
    if let Some(path) = &args.rejects {
        write_together(&[(path, all.csv().as_bytes(), false)]).map_err(|e| e.to_string())?;
    }
    if args.json {
        let files: Vec<Value> = reports.iter().map(|(name, summary, read)| summary.json(name, read)).collect();
        return Ok(format!("{:#}\n", json!({ "files": files })));
    }
    Ok(reports.iter().map(|(name, summary, read)| summary.text(name, read)).collect::<Vec<_>>().join("\n"))
}

/// Opens an input, named as the user named it.
pub fn open(path: &Path) -> Result<(String, Input), Unreadable> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((name, Input::File(file))),
        Err(error) => {
            let found = format!("a file that cannot be opened ({error})");
            Err(Unreadable::file("input_unreadable", name, found, "a file that can be read"))
        }
    }
}

/// Refused rows printed; the others are in the file that `--rejects` writes.
const REJECTS_PRINTED: usize = 10;

/// A register in counts.
struct Summary {
    by_vintage: BTreeMap<(u16, &'static str), usize>,
    placed: usize,
    unplaced: BTreeMap<&'static str, usize>,
    without_headcount: usize,
    by_code: BTreeMap<&'static str, usize>,
}

impl Summary {
    fn of(read: &RegisterRead) -> Self {
        let mut summary = Self {
            by_vintage: BTreeMap::new(),
            placed: 0,
            unplaced: BTreeMap::new(),
            without_headcount: 0,
            by_code: by_code(&read.rejected.kept),
        };
        for Establishment { vintage, source, place, headcount, .. } in &read.accepted {
            *summary.by_vintage.entry((*vintage, source.code())).or_default() += 1;
            match place {
                Ok(_) => summary.placed += 1,
                Err(why) => *summary.unplaced.entry(why.code()).or_default() += 1,
            }
            summary.without_headcount += usize::from(headcount.is_none());
        }
        summary
    }

    fn text(&self, name: &str, read: &RegisterRead) -> String {
        let mut text = String::new();
        let mut line = |what: &str, said: String| {
            writeln!(text, "{what:<10}{said}").expect("a String takes all that is written");
        };
        line("file", format!("{name} ({})", read.format));
        columns(&read.columns, &mut line);
        line("rows", format!("{} accepted, {} refused", read.accepted.len(), read.rejected.len()));
        let vintages: Vec<String> =
            self.by_vintage.iter().map(|((year, source), n)| format!("{year} {source}: {n}")).collect();
        line("vintages", joined(&vintages));
        line("places", format!("{} with coordinates", self.placed));
        self.unplaced.iter().for_each(|(why, n)| line("", format!("{n} without: {why}")));
        line("headcount", format!("{} rows have none, and will not be counted", self.without_headcount));
        let Tally { other_nomenclature, not_of_rev2, with_naf_2025, closed_today, unknown_quality, .. } = read.tally;
        line("activity", format!("NAF rév. 2; {with_naf_2025} rows with NAF 2025 beside it, kept apart"));
        if read.tally.is_mixed() {
            let said = format!(
                "{other_nomenclature} rows say another nomenclature, {not_of_rev2} have a code that NAF rév. 2 has not: \
                 nomenclatures are mixed, and these rows are refused"
            );
            line("", said);
        }
        if closed_today + unknown_quality > 0 {
            line("notes", format!("{closed_today} closed today, {unknown_quality} of a qualite_xy that INSEE has not"));
        }
        rejected(&read.rejected, &mut line);
        text
    }

    fn json(&self, name: &str, read: &RegisterRead) -> Value {
        let Tally { other_nomenclature, not_of_rev2, with_naf_2025, closed_today, not_diffused, unknown_quality } =
            read.tally;
        let vintages: Vec<Value> = self
            .by_vintage
            .iter()
            .map(|((year, source), n)| json!({ "vintage": year, "source": source, "rows": n }))
            .collect();
        json!({
            "file": name,
            "format": read.format,
            "columns": columns_json(&read.columns),
            "accepted": read.accepted.len(),
            "rejected": rejected_json(&read.rejected),
            "rejected_by_code": self.by_code,
            "vintages": vintages,
            "placed": self.placed,
            "unplaced": self.unplaced,
            "without_headcount": self.without_headcount,
            "nomenclature": {
                "naf_rev2": read.accepted.len(), "with_naf_2025": with_naf_2025, "mixed": read.tally.is_mixed(),
                "other_nomenclature": other_nomenclature, "not_of_rev2": not_of_rev2,
            },
            "closed_today": closed_today,
            "not_diffused": not_diffused,
            "unknown_quality": unknown_quality,
        })
    }
}

fn joined(parts: &[String]) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn by_code(rejects: &[Reject]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    rejects.iter().for_each(|reject| *counts.entry(reject.code).or_default() += 1);
    counts
}

/// Says which column was taken for what, and which were left.
pub fn columns(report: &ColumnReport, line: &mut dyn FnMut(&str, String)) {
    let taken: Vec<String> = report.taken.iter().map(|(role, column)| format!("{}={column}", role.name())).collect();
    line("columns", joined(&taken));
    let mut ignored: Vec<String> = report.ignored.iter().take(IGNORED_PRINTED).cloned().collect();
    if report.ignored.len() > IGNORED_PRINTED {
        ignored.push(format!("and {} more", report.ignored.len() - IGNORED_PRINTED));
    }
    line("ignored", joined(&ignored));
}

/// Columns printed that were not read; Sirene's stock file has some fifty. The JSON report has all.
const IGNORED_PRINTED: usize = 12;

/// Says which rows are refused: how many by code, and the first of them.
pub fn rejected(rejects: &Rejects, line: &mut dyn FnMut(&str, String)) {
    by_code(&rejects.kept).into_iter().for_each(|(code, n)| line("refused", format!("{n} {code}")));
    rejects.kept.iter().take(REJECTS_PRINTED).for_each(|reject| line("", reject.to_string()));
    if rejects.len() > REJECTS_PRINTED {
        line("", format!("and {} more; --rejects FILE lists them", rejects.len() - REJECTS_PRINTED));
    }
}

/// The same as JSON.
pub fn columns_json(report: &ColumnReport) -> Value {
    let taken: serde_json::Map<String, Value> =
        report.taken.iter().map(|(role, column)| (role.name().to_owned(), json!(column))).collect();
    json!({ "taken": taken, "ignored": report.ignored })
}

/// The same as JSON.
pub fn rejected_json(rejects: &Rejects) -> Value {
    let rows: Vec<Value> = rejects
        .kept
        .iter()
        .map(|r| {
            json!({ "file": r.file, "row": r.row, "field": r.field, "code": r.code, "found": r.found,
                    "expected": r.expected })
        })
        .collect();
    json!({ "count": rejects.len(), "rows": rows, "more": rejects.more })
}
