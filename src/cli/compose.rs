//! `arpent compose`: headcounts and the public files of Sirene become one register.

use super::output::{kept_apart, print, write_together};
use super::register::{columns, columns_json, mapping, open, rejected, rejected_json};
use crate::model::{Source, Unreadable};
use crate::steps::compose::{Composed, PublicFiles, compose};
use crate::steps::read::headcounts::{Headcounts, headcounts};
use crate::steps::read::sirene::Passed;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Composes a register from headcounts by SIRET and the public files of Sirene. It names establishments and their headcounts:
/// it is written for the owner's account alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Headcounts of Urssaf; again for others
    #[arg(long, value_name = "FILE", required_unless_present = "msa")]
    pub urssaf: Vec<PathBuf>,
    /// Headcounts of MSA; again for others
    #[arg(long, value_name = "FILE")]
    pub msa: Vec<PathBuf>,
    /// The geolocation file of Sirene, as INSEE gives it
    #[arg(long, value_name = "FILE")]
    pub geolocation: PathBuf,
    /// The stock file of Sirene's establishments, as INSEE gives it
    #[arg(long, value_name = "FILE")]
    pub stock: PathBuf,
    /// The year whose 31 December the headcounts describe, where their files do not say
    #[arg(long, value_name = "YEAR")]
    pub vintage: Option<u16>,
    /// The column of a role in the headcounts, as in siret=NUM_SIRET; again for others
    #[arg(long = "map", value_name = "ROLE=COLUMN")]
    pub map: Vec<String>,
    /// A file of such lines
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Where to write the register, as CSV
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where to write the refused rows, as CSV: file, line, field, code, found, expected
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Where to write the SIRET whose accounts were summed; for the owner's account alone
    #[arg(long, value_name = "FILE")]
    pub summed: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// 0 when the register is written, 2 when a file cannot be used.
pub fn run(args: &Args) -> ExitCode {
    match composed(args) {
        Ok(report) => print("compose", &report, ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("arpent compose: {why}");
            ExitCode::from(2)
        }
    }
}

fn composed(args: &Args) -> Result<String, String> {
    let said = |unreadable: Unreadable| unreadable.to_string();
    let inputs = args.urssaf.iter().chain(&args.msa).chain([&args.geolocation, &args.stock]).chain(&args.mapping);
    kept_apart(inputs, [&args.out].into_iter().chain(&args.rejects).chain(&args.summed)).map_err(said)?;
    let of_headcounts = mapping(&args.map, args.mapping.as_deref())?;
    let mut files = Vec::new();
    let sent = [(Source::Urssaf, &args.urssaf), (Source::Msa, &args.msa)];
    for (source, path) in sent.into_iter().flat_map(|(source, paths)| paths.iter().map(move |path| (source, path))) {
        let (name, input) = open(path).map_err(said)?;
        files.push(headcounts(&name, input, source, args.vintage, &of_headcounts).map_err(said)?);
    }
    let public = PublicFiles {
        geolocation: open(&args.geolocation).map_err(said)?,
        stock: open(&args.stock).map_err(said)?,
        mapping: Default::default(),
    };
    const STEPS: u64 = 1_000;
    let bar = super::progress_bar(std::io::stderr().is_terminal(), STEPS, "{msg} {wide_bar} {percent} % {eta}");
    let made = compose(&files, public, &mut |file, share| {
        bar.set_message(file.to_owned());
        bar.set_position((share * STEPS as f64) as u64);
    });
    bar.finish_and_clear();
    let made = made.map_err(said)?;
    let mut all = made.rejected.clone();
    files.iter().for_each(|file| all.append(&file.rejected));
    let (rejects, list) = (all.csv(), made.summed.iter().map(|siret| format!("{siret}\n")).collect::<String>());
    let summed = format!("siret\n{list}");
    let mut outputs = vec![(args.out.as_path(), made.csv.as_bytes(), true)];
    outputs.extend(args.rejects.as_deref().map(|path| (path, rejects.as_bytes(), false)));
    outputs.extend(args.summed.as_deref().map(|path| (path, summed.as_bytes(), true)));
    write_together(&outputs).map_err(said)?;
    Ok(if args.json { json(&files, &made) } else { text(args, &files, &made) })
}

fn text(args: &Args, files: &[Headcounts], made: &Composed) -> String {
    let mut text = String::new();
    let mut line = |what: &str, said: String| {
        writeln!(text, "{what:<10}{said}").expect("a String takes all that is written");
    };
    for file in files {
        let said = format!(
            "{} ({}): {} rows, {} establishments, {} refused",
            file.name,
            file.source.code(),
            file.rows,
            file.establishments.len(),
            file.rejected.len()
        );
        line("headcount", said);
        columns(&file.columns, &mut line);
        rejected(&file.rejected, &mut line);
    }
    for (what, passed) in [("place", &made.origin.geolocation), ("activity", &made.origin.stock)] {
        let Passed { name, format, rows, again, .. } = passed;
        line(what, format!("{name} ({format}): {rows} rows, {again} of an establishment that was there already"));
        columns(&passed.columns, &mut line);
    }
    let origin = &made.origin;
    line("register", format!("{} rows, {} with coordinates", origin.rows, origin.with_coordinates));
    line("", format!("{} absent from the geolocation file", origin.not_located));
    line("", format!("{} whose enterprise does not show its address: counted, never placed", origin.withheld));
    line("", format!("{} closed today", origin.closed_today));
    line(
        "",
        format!("{} with the activity of the headcounts, the stock file having none", origin.activity_of_headcounts),
    );
    line("", format!("{} with several accounts, summed", made.summed.len()));
    line("", format!("{} left out, or refused in the public files", made.rejected.len()));
    rejected(&made.rejected, &mut line);
    line(
        "written",
        format!("{}, for the owner alone: it names establishments and their headcounts", args.out.display()),
    );
    text
}

fn json(files: &[Headcounts], made: &Composed) -> String {
    let files: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({ "file": file.name, "source": file.source.code(), "rows": file.rows,
                    "establishments": file.establishments.len(), "columns": columns_json(&file.columns),
                    "rejected": rejected_json(&file.rejected) })
        })
        .collect();
    let passed = |passed: &Passed| {
        json!({ "file": passed.name, "format": passed.format, "rows": passed.rows, "again": passed.again,
                "columns": columns_json(&passed.columns) })
    };
    let origin = &made.origin;
    let report = json!({
        "headcounts": files,
        "geolocation": passed(&origin.geolocation),
        "stock": passed(&origin.stock),
        "register": {
            "rows": origin.rows, "with_coordinates": origin.with_coordinates, "not_located": origin.not_located,
            "not_diffused": origin.withheld, "closed_today": origin.closed_today,
            "activity_of_headcounts": origin.activity_of_headcounts, "several_accounts": made.summed.len(),
        },
        "rejected": rejected_json(&made.rejected),
    });
    format!("{report:#}\n")
}
