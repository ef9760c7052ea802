//! `arpent series`: the figures of several year-ends on one perimeter, and what lies between them.

use super::output::{kept_apart, print, write_together};
use super::protect::Refusal;
use super::serve;
use super::whatif::{Today, refused, said, today};
use crate::pipeline;
use crate::pipeline::inputs::{order_of, recomputed};
use crate::pipeline::whatif::quoted;
use crate::steps::evolution::{Evolution, Figure, NoSeries, Series, Step, perimeter, series};
use crate::steps::publish::Release;
use crate::steps::seal;
use crate::steps::secrecy::Coordinate;
use crate::store::{SqliteStore, Store, sqlite};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Puts the published figures of several year-ends side by side, with their evolutions.
///
/// Each year-end is taken from the release served now, or else from the last one published that shows it. Year-ends on
/// different perimeters are refused; `--recompute` says whether the past could be published on today's perimeter.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value = "var")]
    pub data: PathBuf,
    /// The zoning, such as `secteurs`
    #[arg(long, value_name = "NAME")]
    pub zoning: String,
    /// The table; the first of the zoning unless told
    #[arg(long, value_name = "NAME", conflicts_with = "recompute")]
    pub table: Option<String>,
    /// Write the series there as CSV, instead of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "recompute")]
    pub out: Option<PathBuf>,
    /// Ask whether the past can be recomputed on today's perimeter, beside everything published; nothing is kept
    #[arg(long)]
    pub recompute: bool,
    /// Print as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// 0 done, 1 the year-ends do not fit together or secrecy refuses, 2 the input or the usage is wrong.
pub fn run(args: &Args) -> ExitCode {
    let apart = kept_apart(&sqlite::files(&args.data), &args.out).map_err(Refusal::from);
    let done = apart.and_then(|()| today(&args.data)).and_then(|today| match args.recompute {
        true => recompute(args, today),
        false => show(args, &today),
    });
    match done {
        Ok(text) => print("series", &text, ExitCode::SUCCESS),
        Err(refusal) => {
            eprint!("arpent series: {refusal}");
            refusal.exit_code()
        }
    }
}

/// What is to be printed.
fn show(args: &Args, today: &Today) -> Result<String, Refusal> {
    let others = others(today, &args.data)?;
    let of = by_vintage(&today.served, &others);
    let table = match &args.table {
        Some(table) => table.clone(),
        None => {
            let tables = today.served.vintages.values().flat_map(|tables| tables.iter());
            let mut of_zoning = tables.filter(|t| t.dimensions.iter().any(|d| d.name == args.zoning));
            of_zoning.next().map(|t| t.name.clone()).unwrap_or_default()
        }
    };
    let found = series(&of, &args.zoning, &table).map_err(unfit)?;
    let text = if args.json { format!("{:#}\n", as_json(&found)) } else { csv(&found) };
    match &args.out {
        Some(path) => {
            write_together(&[(path, text.as_bytes(), false)])?;
            Ok(String::new())
        }
        None => Ok(text),
    }
}

/// Every other public release ever published, the last one first.
fn others(today: &Today, data: &Path) -> Result<Vec<Release>, Refusal> {
    let ids = today.past.iter().rev().filter(|p| !p.partners_only && p.id != today.served.id.as_str());
    let ids: Vec<String> = ids.map(|p| p.id.clone()).collect();
    let mut releases = Vec::new();
    let read = serve::run_async(async {
        let store = SqliteStore::open(data).await.map_err(|e| e.to_string())?;
        for id in &ids {
            if let Some(kept) = store.release(id).await.map_err(|e| e.to_string())? {
                releases.push(seal::unseal(&kept.bytes).map_err(|e| format!("release {id}: {e}"))?);
            }
        }
        Ok(())
    });
    read.map_err(|why| said("store", "store", &why, "releases that can be read"))?;
    Ok(releases)
}

/// For each year-end, the release that shows it.
fn by_vintage<'a>(served: &'a Release, others: &'a [Release]) -> BTreeMap<u16, &'a Release> {
    let mut of = BTreeMap::new();
    for release in std::iter::once(served).chain(others) {
        for year in release.vintages.keys() {
            of.entry(*year).or_insert(release);
        }
    }
    of
}

fn unfit(why: NoSeries) -> Refusal {
    match why {
        NoSeries::MixedPerimeters { .. } => {
            Refusal::No(format!("{why}; `arpent series --recompute` says whether it can be published"))
        }
        NoSeries::NoZoning { .. } | NoSeries::NoTable { .. } | NoSeries::TooFew { .. } => {
            said("no_series", "series", &why.to_string(), "year-ends on one perimeter")
        }
    }
}

/// What is to be printed.
fn recompute(args: &Args, today: Today) -> Result<String, Refusal> {
    let others = others(&today, &args.data)?;
    let Today { order, served, past } = today;
    let of = by_vintage(&served, &others);
    match perimeter(&of, &args.zoning) {
        Err(NoSeries::MixedPerimeters { .. }) => {}
        Err(other) => return Err(unfit(other)),
        Ok(version) if args.json => {
            let told = json!({ "verdict": "nothing_to_recompute", "zoning": args.zoning, "perimetre": version });
            return Ok(format!("{told:#}\n"));
        }
        Ok(version) => return Ok(format!("all year-ends stand on `{version}`: nothing to recompute\n")),
    }
    let mut older = Vec::new();
    let read = serve::run_async(async {
        let store = SqliteStore::open(&args.data).await.map_err(|e| e.to_string())?;
        let mut seen: Vec<&str> = vec![served.id.as_str()];
        for release in of.values() {
            if !seen.contains(&release.id.as_str()) {
                seen.push(release.id.as_str());
                let inputs = order_of(&store, release, order.policy.clone(), order.now.clone()).await;
                older.push(inputs.map_err(|e| e.to_string())?);
            }
        }
        Ok(())
    });
    read.map_err(|why| said("store", "store", &why, "the inputs of every year-end"))?;
    let order = recomputed(order, older);
    let made = pipeline::run_after(&order, &past).map_err(refused)?;
    let years = made.report.counts.iter().map(|(year, counts)| {
        let withheld = counts.primary + counts.secondary;
        (year.to_string(), json!({ "cells": counts.cells, "withheld": withheld }))
    });
    let years: Map<String, Value> = years.collect();
    if args.json {
        return Ok(format!("{:#}\n", json!({ "verdict": "safe", "zoning": args.zoning, "vintages": years })));
    }
    let line = |(year, counts): (&String, &Value)| {
        format!("{year}: {} of {} cells withheld\n", counts["withheld"], counts["cells"])
    };
    let lines: String = years.iter().map(line).collect();
    let safe = "safe: these year-ends could be published on today's perimeter, beside everything published before";
    Ok(format!("{lines}{safe}\n"))
}

/// Codes by dimension, then a figure a year-end and an evolution a step; a withheld value is empty beside its status.
fn csv(series: &Series) -> String {
    let mut head: Vec<String> = series.dimensions.iter().map(|d| d.name.clone()).collect();
    let mut add = |what: &str, years: &str| {
        let units = ["etablissements", "effectif"].map(|unit| format!("{unit}{what}_{years}"));
        head.extend(units);
        head.push(format!("statut{what}_{years}"));
    };
    series.vintages.iter().for_each(|year| add("", &year.to_string()));
    for two in series.vintages.windows(2) {
        add("_evolution", &format!("{}_{}", two[0], two[1]));
    }
    let mut text = format!("{}\n", head.join(","));
    for ((at, figures), (_, evolutions)) in series.cells.iter().zip(series.evolutions()) {
        let mut row: Vec<String> = at.iter().map(|c| quoted(code(c))).collect();
        for figure in figures {
            match figure {
                Figure::Shown { establishments, headcount } => {
                    row.extend([establishments.to_string(), headcount.to_string(), "ok".to_owned()]);
                }
                Figure::Secret => row.extend([String::new(), String::new(), "secret".to_owned()]),
            }
        }
        for evolution in evolutions {
            match evolution {
                Evolution::Shown { establishments, headcount } => {
                    let difference = |step: Step| step.difference.to_string();
                    row.extend([difference(establishments), difference(headcount), "ok".to_owned()]);
                }
                Evolution::Secret => row.extend([String::new(), String::new(), "secret".to_owned()]),
            }
        }
        text += &format!("{}\n", row.join(","));
    }
    text
}

fn as_json(series: &Series) -> Value {
    let cells = series.cells.iter().zip(series.evolutions()).map(|((at, figures), (_, evolutions))| {
        let mut place = Map::new();
        for (dimension, coordinate) in series.dimensions.iter().zip(at) {
            place.insert(dimension.name.clone(), code(coordinate).into());
        }
        let figures = figures.iter().zip(&series.vintages).map(|(figure, year)| {
            let figure = match figure {
                Figure::Shown { establishments, headcount } => {
                    json!({ "etablissements": establishments, "effectif": headcount, "statut": "ok" })
                }
                Figure::Secret => json!({ "etablissements": null, "effectif": null, "statut": "secret" }),
            };
            (year.to_string(), figure)
        });
        let evolutions = evolutions.iter().zip(series.vintages.windows(2)).map(|(evolution, years)| {
            let step = |step: &Step| json!({ "difference": step.difference, "percent": step.percent.map(hundredths) });
            let evolution = match evolution {
                Evolution::Shown { establishments, headcount } => {
                    json!({ "etablissements": step(establishments), "effectif": step(headcount), "statut": "ok" })
                }
                Evolution::Secret => json!({ "etablissements": null, "effectif": null, "statut": "secret" }),
            };
            (format!("{}-{}", years[0], years[1]), evolution)
        });
        let (figures, evolutions): (Map<String, Value>, Map<String, Value>) = (figures.collect(), evolutions.collect());
        json!({ "cell": place, "figures": figures, "evolutions": evolutions })
    });
    json!({
        "zoning": series.zoning,
        "perimetre": series.version,
        "table": series.table,
        "millesimes": series.vintages,
        "cells": cells.collect::<Vec<_>>(),
    })
}

fn code(coordinate: &Coordinate) -> &str {
    match coordinate {
        Coordinate::Total => "TOTAL",
        Coordinate::Code { code, .. } => code,
    }
}

fn hundredths(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}
