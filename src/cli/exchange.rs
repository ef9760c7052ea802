//! `arpent exchange`: the files of τ-ARGUS, and the instances of the literature.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::WholeFile;
use super::protect::Refusal;
use super::release::bytes_of;
use crate::steps::secrecy::argus::jj::{self, Instance, Status};
use crate::steps::secrecy::argus::shield::{Unmet, shield, unmet};

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
    /// Protects a JJ instance, or judges the pattern it states; 1 when a level cannot be reached
    Jj(JjArgs),
}

#[derive(Debug, Clone, clap::Args)]
struct JjArgs {
    /// The instance
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Where the pattern goes: a line a cell with its number, its status and whether it is published or withheld (CSV)
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
        Act::Jj(args) => instance(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprint!("arpent exchange: {refusal}");
            refusal.exit_code()
        }
    }
}

/// Protects or judges an instance.
fn instance(args: &JjArgs) -> Result<(), Refusal> {
    let file = args.file.display().to_string();
    let instance = jj::read(&file, &bytes_of(&args.file)?)?;
    let stated = |c: &jj::Cell| matches!(c.status, Status::Unsafe | Status::Withheld);
    if args.check {
        let missed = unmet(&instance);
        let withheld: Vec<bool> = instance.cells.iter().map(stated).collect();
        if !missed.is_empty() {
            let few: Vec<String> = missed.iter().take(UNMET_LISTED).map(said).collect();
            let more = missed.len() - few.len();
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            return Err(Refusal::No(format!(
                "{file}: {} levels are not reached: {}{more}",
                missed.len(),
                few.join(", ")
            )));
        }
        say(args, &report(&instance, &withheld, None));
        return Ok(());
    }
    if let Some(out) = &args.out {
        refuse_overwriting(out, &[&args.file])?;
    }
    let shield = shield(&instance).map_err(|unmet| {
        let what = said(&unmet);
        Refusal::No(format!("{file}: {what}: cannot be reached whatever else is withheld, or not proved exactly"))
    })?;
    if let Some(out) = &args.out {
        let mut csv = String::from("cell,status,fate\n");
        for (number, (cell, withheld)) in instance.cells.iter().zip(&shield.withheld).enumerate() {
            let letter = if *withheld && cell.status == Status::Safe { 'm' } else { cell.status.letter() };
            let fate = if *withheld { "withheld" } else { "published" };
            csv.push_str(&format!("{number},{letter},{fate}\n"));
        }
        let mut whole = WholeFile::create(out)?;
        whole.fill(csv.as_bytes())?;
        whole.commit()?;
    }
    say(args, &report(&instance, &shield.withheld, Some((shield.programs, shield.witnesses))));
    Ok(())
}

fn said(unmet: &Unmet) -> String {
    format!("{} of cell {}", unmet.side.level(), unmet.cell)
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
fn say(args: &JjArgs, report: &Value) {
    use std::io::Write as _;
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
    // A reader that has gone away, such as `head`, changes nothing of the work done.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// No output may take the place of an input.
fn refuse_overwriting(out: &Path, inputs: &[&PathBuf]) -> Result<(), Refusal> {
    let Ok(out_at) = std::fs::canonicalize(out) else { return Ok(()) };
    if inputs.iter().any(|input| std::fs::canonicalize(input).is_ok_and(|input| input == out_at)) {
        let place = out.display().to_string();
        let refused =
            crate::model::Unreadable::file("output_is_input", place, "an input of this command", "another file");
        return Err(refused.into());
    }
    Ok(())
}
