//! `arpent advise`: which change of a specification would show more, measured and ranked; applied only on request.
//!
//! It speaks to the owner of the data: what several versions would show, side by side, is more than one release tells.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::files::{self, ZoneArgs};
use super::output::{WholeFile, kept_apart, print};
use super::protect::Refusal;
use super::release::{self, ReadBack};
use crate::model::Unreadable;
use crate::steps::intake::{Wanted, take_in};
use crate::steps::neighbours::neighbours;
use crate::steps::read::microdata::{CodedColumn, MicroTable};
use crate::steps::secrecy::{
    Advice, Advised, Change, Column, Earlier, Layer, NotAdvisable, Past, Question, Shown, Spec, advise,
};

/// Ranks changes of a specification by the headcount they would show in addition: codes merged, a level or a table left out.
///
/// The answer is for the owner of the data. Each change is protected as `protect` does it; nothing is published.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Microdata, one row an establishment: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    pub micro: PathBuf,
    /// The specification, TOML
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
    /// An earlier release of the same people, which stays safe too; may be given several times
    #[arg(long, value_name = "DIR")]
    pub after: Vec<PathBuf>,
    /// The level whose codes are zones; other codes are merged only where they are ordered
    #[arg(long, value_name = "LEVEL")]
    pub zone_level: Option<String>,
    /// Contours of the zones of that level: only those that share a border are merged
    #[arg(long, value_name = "FILE", requires = "zone_level")]
    pub zones: Option<PathBuf>,
    /// What the file does not say
    #[command(flatten)]
    pub zone_args: ZoneArgs,
    /// A level whose codes have an order, that of their bytes; may be given several times. Codes with bounds are ordered
    #[arg(long, value_name = "LEVEL")]
    pub ordered: Vec<String>,
    /// Changes that are protected, at most; each takes as long as `protect` does
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tries: u32,
    /// Write the specification with the change of this rank
    #[arg(long, value_name = "K", requires = "out")]
    pub apply: Option<usize>,
    /// Where to write it
    #[arg(long, value_name = "FILE", requires = "apply")]
    pub out: Option<PathBuf>,
    /// Where to write the records for it, CSV with the columns it reads; needed where codes are merged
    #[arg(long, value_name = "FILE", requires = "apply")]
    pub out_micro: Option<PathBuf>,
    /// Print the report as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// 0 done, 2 the input or the usage is wrong.
pub fn run(args: &Args) -> ExitCode {
    match ranked(args, std::io::stderr().is_terminal()) {
        Ok(report) => {
            let told = if args.json { format!("{:#}\n", report.json()) } else { report.text() };
            print("advise", &told, ExitCode::SUCCESS)
        }
        Err(refusal) => {
            eprint!("arpent advise: {refusal}");
            refusal.exit_code()
        }
    }
}

fn ranked(args: &Args, show_progress: bool) -> Result<Report, Refusal> {
    refuse_overwriting(args)?;
    if args.zones.is_none() {
        args.zone_args.heeded_without_zones()?;
    }
    let spec_bytes = release::bytes_of(&args.spec)?;
    let spec = release::spec_of(&args.spec, &spec_bytes)?;
    let table = release::micro_of(&args.micro, release::bytes_of(&args.micro)?, &spec)?;
    let records = release::records(&table);
    let question = Question {
        zone_level: args.zone_level.clone(),
        neighbours: args.zones.as_deref().map(|path| zones_side_by_side(path, args)).transpose()?,
        ordered: args.ordered.clone(),
        tries: args.tries as usize,
    };
    let earlier = args.after.iter().map(|folder| release::read(folder)).collect::<Result<Vec<ReadBack>, _>>()?;
    if let Some(read) = earlier.iter().find(|read| read.earlier.for_partners) {
        let found = "a release for partners";
        return Err(Unreadable::file("partner_release", &read.earlier.name, found, "releases for the public").into());
    }
    let past = Past { earlier: earlier.iter().map(|read| &read.earlier).collect::<Vec<&Earlier>>(), last_year: None };

    let bar = super::progress_bar(show_progress, 1, "trying {pos}/{len} · {wide_msg}");
    let advised = advise(&records, &spec, &past, &question, &mut |done, total, change| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(change.to_string());
    });
    bar.finish_and_clear();
    let advised = advised.map_err(|no| refusal(no, args))?;
    let written = match args.apply {
        None => Vec::new(),
        Some(rank) => write_change(args, rank, &advised, &spec_bytes, &spec, table)?,
    };
    Ok(Report { records: records.len(), advised, written })
}

fn refusal(no: NotAdvisable, args: &Args) -> Refusal {
    match no {
        NotAdvisable::NotProtected(no) => super::protect::refusal(no, &args.micro),
        NotAdvisable::Question { place, found, expected } => {
            Unreadable::file("not_advisable", format!("{}: {place}", args.spec.display()), found, expected).into()
        }
    }
}

/// Pairs of zones that share a border, by code.
fn zones_side_by_side(path: &Path, args: &Args) -> Result<Vec<(String, String)>, Refusal> {
    let wanted = Wanted { options: args.zone_args.options(), ..Wanted::default() };
    let intake = take_in(&files::load(path)?, &wanted)?;
    let Some(zoning) = intake.zoning else {
        return Err(Refusal::Input(intake.errors.into_iter().chain(intake.rejected).collect()));
    };
    let zones = zoning.zones();
    let refuse = |found: String, expected: &str| {
        Refusal::from(Unreadable::file("zones_alone", path.display().to_string(), found, expected))
    };
    if zones.len() < 2 {
        return Err(refuse("one zone".to_owned(), "two zones or more, side by side"));
    }
    let code = |at: usize| zones[at].code.to_string();
    let pairs: Vec<_> = neighbours(&zoning).into_iter().map(|(one, other)| (code(one), code(other))).collect();
    if pairs.is_empty() {
        return Err(refuse(format!("{} zones that share no border", zones.len()), "zones side by side"));
    }
    Ok(pairs)
}

/// Writes the specification and, where codes are merged, the records; gives what was written.
fn write_change(
    args: &Args,
    rank: usize,
    advised: &Advised,
    spec_bytes: &[u8],
    spec: &Spec,
    mut table: MicroTable,
) -> Result<Vec<String>, Refusal> {
    let refuse = |place: &str, found: String, expected: String| {
        Refusal::from(Unreadable::file("not_applicable", place, found, expected))
    };
    let Some(advice) = rank.checked_sub(1).and_then(|at| advised.ranking.get(at)) else {
        let expected = match advised.ranking.len() {
            0 => "none: no change that was tried shows more".to_owned(),
            n => format!("a rank from 1 to {n}"),
        };
        return Err(refuse("--apply", rank.to_string(), expected));
    };
    let (_, changed) = advice.change.apply(&release::records(&table), spec);
    let text = rewritten(spec_bytes, &changed, &advice.change);
    let out = args.out.as_ref().expect("asked for with the rank");
    let mut files = vec![(out, text.into_bytes())];
    match (&advice.change, &args.out_micro) {
        (Change::Merge { .. }, None) => {
            let found = format!("a change of the records, {}, and no place for them", advice.change);
            return Err(refuse("--out-micro", found, "a file to write".to_owned()));
        }
        (Change::Coarser { .. } | Change::LeaveOut { .. }, None) => {}
        (change, Some(path)) => {
            if let Change::Merge { level, one, other } = change {
                merge(&mut table, spec, level, one, other);
            }
            files.push((path, release::micro_csv(&changed, &table)));
        }
    }
    let mut drafts = Vec::new();
    for (path, bytes) in &files {
        let mut draft = WholeFile::create(path)?;
        draft.fill(bytes)?;
        drafts.push(draft);
    }
    drafts.into_iter().try_for_each(WholeFile::commit)?;
    Ok(files.iter().map(|(path, _)| path.display().to_string()).collect())
}

/// Two codes of a level made one, in the records that are written.
fn merge(table: &mut MicroTable, spec: &Spec, level: &str, one: &str, other: &str) {
    let (name, is_new) = Change::merged_level(spec, level);
    let Some(at) = table.columns.iter().position(|column| column.name == level) else { return };
    let CodedColumn { name: known, codes, labels } = &table.columns[at];
    let column =
        Column { name: known.clone(), labels: labels.clone(), codes: codes.iter().copied().map(Some).collect() };
    let Column { name, labels, codes } = column.merged(&name, one, other);
    let merged = CodedColumn { name, labels, codes: codes.into_iter().flatten().collect() };
    if is_new {
        table.columns.push(merged);
    } else {
        table.columns[at] = merged;
    }
}

/// The text of a specification with tables, depths, levels and inhabitants of another one; all else stays.
fn rewritten(bytes: &[u8], changed: &Spec, change: &Change) -> String {
    use toml::Value as Toml;
    let text = std::str::from_utf8(bytes).expect("it was parsed");
    let mut root: toml::Table = text.parse().expect("it was parsed");
    if let Some(Toml::Array(tables)) = root.get_mut("tables") {
        let name = |table: &Toml| table.get("name").and_then(Toml::as_str).map(str::to_owned);
        tables.retain(|table| changed.tables.iter().any(|t| Some(&t.name) == name(table).as_ref()));
        for (written, table) in tables.iter_mut().zip(&changed.tables).filter(|(_, t)| !t.depth.is_empty()) {
            let depth = table.depth.iter().map(|(d, depth)| (d.clone(), Toml::Integer(*depth as i64)));
            if let Toml::Table(written) = written {
                written.insert("depth".to_owned(), Toml::Table(depth.collect()));
            }
        }
    }
    if let Some(Toml::Table(dimensions)) = root.get_mut("dimensions") {
        for (name, dimension) in &changed.dimensions {
            if let Some(Toml::Table(written)) = dimensions.get_mut(name) {
                let levels = dimension.levels.iter().cloned().map(Toml::String).collect();
                written.insert("levels".to_owned(), Toml::Array(levels));
            }
        }
    }
    if let Some(Toml::Table(population)) = root.get_mut("population") {
        for (level, known) in &changed.population {
            if let Some(Toml::Table(written)) = population.get_mut(level) {
                let number =
                    |(code, n): (&String, &u64)| (code.clone(), Toml::Integer(i64::try_from(*n).unwrap_or(i64::MAX)));
                let inhabitants = known.inhabitants.iter().map(number).collect();
                written.insert("inhabitants".to_owned(), Toml::Table(inhabitants));
            }
        }
    }
    let said = change.to_string().replace(char::is_control, " ");
    format!("# Written by arpent advise: {said}.\n{root}")
}

/// Outputs take the place of no input, nor of each other.
fn refuse_overwriting(args: &Args) -> Result<(), Unreadable> {
    kept_apart([&args.micro, &args.spec].into_iter().chain(&args.zones), args.out.iter().chain(&args.out_micro))
}

/// What the owner is told.
struct Report {
    records: usize,
    advised: Advised,
    written: Vec<String>,
}

impl Report {
    fn json(&self) -> Value {
        let Advised { before, stuck, ranking, candidates, tried, refused, cut_short } = &self.advised;
        let ranking = ranking.iter().enumerate().map(|(i, advice)| {
            json!({
                "rank": i + 1,
                "change": change_json(&advice.change),
                "says": advice.change.to_string(),
                "gain": i64::try_from(advice.gain).unwrap_or(i64::MAX),
                "given_up": advice.given_up,
                "after": shown_json(&advice.after),
            })
        });
        json!({
            "for": "the owner of the data alone",
            "arpent": env!("CARGO_PKG_VERSION"),
            "records": self.records,
            "before": shown_json(before),
            "stuck": stuck.as_ref().map(ToString::to_string),
            "candidates": candidates,
            "tried": tried,
            "not_protectable": refused,
            "lightest_codes_only": cut_short,
            "ranking": ranking.collect::<Vec<_>>(),
            "written": self.written,
        })
    }

    fn text(&self) -> String {
        let Advised { before, stuck, ranking, candidates, tried, refused, cut_short } = &self.advised;
        let mut lines = vec!["for the owner of the data alone".to_owned()];
        lines.push(format!("establishments: {}", self.records));
        lines.push(format!("as it is: {}", shown_text(before)));
        if let Some(why) = stuck {
            lines.push(format!("it cannot be protected as it is: {why}"));
        }
        lines.push(format!("changes: {candidates}, of which tried {tried}, not protectable {refused}"));
        for level in cut_short {
            lines.push(format!("  of `{level}` the lightest codes alone were paired; contours would tell neighbours"));
        }
        if ranking.is_empty() {
            lines.push("none of them shows more".to_owned());
        }
        for (i, advice) in ranking.iter().enumerate() {
            let Advice { change, gain, given_up, after } = advice;
            lines.push(format!("{}. {change}", i + 1));
            lines
                .push(format!("   {gain} heads more at the levels that both versions have, {given_up} given up in cells it no longer has"));
            lines.push(format!("   {}", shown_text(after)));
            let moved = after.layers.iter().filter_map(|layer| {
                let same = before.same(layer).filter(|same| same.headcount != layer.headcount)?;
                Some(format!("   {}: {} -> {}", named(layer), percent(same.share()), percent(layer.share())))
            });
            lines.extend(moved);
        }
        lines.extend(self.written.iter().map(|path| format!("written: {path}")));
        lines.push(String::new());
        lines.join("\n")
    }
}

fn named(layer: &Layer) -> String {
    format!("{}, {}", layer.table, layer.levels.join(" x "))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn shown_text(shown: &Shown) -> String {
    let (cells, withheld) = (shown.cells(), shown.withheld());
    format!("{cells} cells, {withheld} withheld, {} of the headcount shown, over all cells", percent(shown.share()))
}

fn shown_json(shown: &Shown) -> Value {
    let layer = |layer: &Layer| {
        json!({
            "table": layer.table,
            "levels": layer.levels,
            "cells": layer.cells,
            "withheld": layer.withheld,
            "headcount_shown": layer.headcount,
            "headcount_share": layer.share(),
        })
    };
    json!({
        "cells": shown.cells(),
        "withheld": shown.withheld(),
        "headcount_shown": u64::try_from(shown.headcount()).unwrap_or(u64::MAX),
        "headcount_share": shown.share(),
        "layers": shown.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn change_json(change: &Change) -> Value {
    match change {
        Change::Merge { level, one, other } => json!({ "merge": { "level": level, "codes": [one, other] } }),
        Change::Coarser { dimension, level, tables } => {
            json!({ "leave_out_level": { "dimension": dimension, "level": level, "tables": tables } })
        }
        Change::LeaveOut { table } => json!({ "leave_out_table": { "table": table } }),
    }
}
