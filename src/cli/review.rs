//! `arpent review`: the establishments that people should look at, and how far they have come.

use super::files::{self, ZoneArgs};
use super::output::{kept_apart, print, write_together};
use super::register::{Reading, open, source};
use crate::model::{Register, Reject, Source, Unreadable, Zoning};
use crate::steps::intake::{Wanted, take_in};
use crate::steps::read::register::read_register;
use crate::steps::reconcile::{self, BothSources, reconcile};
use crate::steps::review::decisions::{Applied, Date, Decisions, apply};
use crate::steps::review::{NEAR_M, TOP, Terms, Worklist, worklist};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Lists the largest establishments of each zone and those whose place is in doubt, with what was decided. The list names
/// establishments and their headcounts: it is written for the owner's account alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A register; again for others
    #[arg(long, value_name = "FILE", required = true)]
    pub register: Vec<PathBuf>,
    /// How to read it
    #[command(flatten)]
    pub reading: Reading,
    /// The zones: a shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    #[arg(long, value_name = "FILE")]
    pub zones: PathBuf,
    /// What the file does not say
    #[command(flatten)]
    pub zone_args: ZoneArgs,
    /// What was decided before: siret,decision,x,y,epsg,share,since,author,date,reason
    #[arg(long, value_name = "FILE")]
    pub decisions: Option<PathBuf>,
    /// How many of the largest of each zone
    #[arg(long, value_name = "N", default_value_t = TOP)]
    pub top: usize,
    /// Metres to a border within which a place is in doubt
    #[arg(long, value_name = "METRES", default_value_t = NEAR_M, value_parser = metres)]
    pub near: f64,
    /// The first day of the campaign, as 2026-01-01: decisions before it are not counted as done
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub since: Option<Date>,
    /// Whose figure is kept of an establishment that both sources declare
    #[arg(long, value_name = "SOURCE", default_value = "urssaf", value_parser = source)]
    pub keep: Source,
    /// Where to write the establishments that both sources declare, with both figures; for the owner's account alone
    #[arg(long, value_name = "FILE")]
    pub in_both: Option<PathBuf>,
    /// Where to write the list, as CSV
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where to write the SIRET that were decided upon and are in no register now; for the owner's account alone
    #[arg(long, value_name = "FILE")]
    pub vanished: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

fn metres(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|metres: &f64| metres.is_finite() && *metres >= 0.0);
    number.ok_or_else(|| "expected metres, such as 25".to_owned())
}

fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|()| "expected a day, such as 2026-01-01".to_owned())
}

/// 0 when the list is written, 2 when a file cannot be used.
pub fn run(args: &Args) -> ExitCode {
    match review(args) {
        Ok(report) => print("review", &report, ExitCode::SUCCESS),
        Err(why) => {
            why.iter().for_each(|why| eprintln!("arpent review: {why}"));
            ExitCode::from(2)
        }
    }
}

fn review(args: &Args) -> Result<String, Vec<String>> {
    let one = |unreadable: Unreadable| vec![unreadable.to_string()];
    let every = |rejects: Vec<Reject>| rejects.iter().map(ToString::to_string).collect::<Vec<_>>();
    let inputs = args.register.iter().chain([&args.zones]).chain(&args.decisions);
    kept_apart(inputs, [&args.out].into_iter().chain(&args.vanished).chain(&args.in_both)).map_err(one)?;
    let options = args.reading.options().map_err(|why| vec![why])?;
    let mut all = Register::default();
    let mut refused = 0;
    for path in &args.register {
        let (name, input) = open(path).map_err(one)?;
        let read = read_register(&name, input, &options).map_err(one)?;
        refused += read.rejected.len();
        all.establishments.extend(read.accepted);
    }
    let decisions = match &args.decisions {
        Some(path) => {
            let (name, input) = open(path).map_err(one)?;
            Decisions::read(&name, input).map_err(every)?
        }
        None => Decisions::default(),
    };
    let zoning = zoning(args)?;
    let in_both = reconcile(&mut all, BothSources::keeping(args.keep));
    let applied = apply(&decisions, &mut all);
    let terms = Terms { top: args.top, near_m: args.near, since: args.since };
    let list = worklist(&all.establishments, &zoning, &decisions, &terms).map_err(one)?;
    let csv = list.csv(&all.establishments, &zoning, &decisions);
    let sirets: String = applied.vanished.iter().map(|siret| format!("{siret}\n")).collect();
    let (vanished, twice) = (format!("siret\n{sirets}"), reconcile::csv(&in_both));
    let mut outputs = vec![(args.out.as_path(), csv.as_bytes(), true)];
    outputs.extend(args.vanished.as_deref().map(|path| (path, vanished.as_bytes(), true)));
    outputs.extend(args.in_both.as_deref().map(|path| (path, twice.as_bytes(), true)));
    write_together(&outputs).map_err(one)?;
    let in_both = in_both.len();
    let said = Said { refused, in_both, decided: decisions.len(), applied: &applied, list: &list, zoning: &zoning };
    Ok(if args.json { said.json() } else { said.text(args) })
}

fn zoning(args: &Args) -> Result<Zoning, Vec<String>> {
    let one = |unreadable: Unreadable| vec![unreadable.to_string()];
    let every = |rejects: Vec<Reject>| rejects.iter().map(ToString::to_string).collect::<Vec<_>>();
    let files = files::load(&args.zones).map_err(one)?;
    let wanted = Wanted { options: args.zone_args.options(), ..Wanted::default() };
    let intake = take_in(&files, &wanted).map_err(one)?;
    intake.whole().map_err(every)
}

/// What the operator reads: counts alone.
struct Said<'a> {
    refused: usize,
    in_both: usize,
    decided: usize,
    applied: &'a Applied,
    list: &'a Worklist,
    zoning: &'a Zoning,
}

impl Said<'_> {
    fn by_doubt(&self) -> std::collections::BTreeMap<&'static str, usize> {
        let mut counts = std::collections::BTreeMap::new();
        let doubts = self.list.ambiguous.iter().flat_map(|line| &line.doubts);
        doubts.for_each(|doubt| *counts.entry(doubt.code()).or_default() += 1);
        counts
    }

    fn text(&self, args: &Args) -> String {
        let mut text = String::new();
        let mut line = |what: &str, said: String| {
            writeln!(text, "{what:<11}{said}").expect("a String takes all that is written");
        };
        line("vintage", self.list.vintage.map_or("none".to_owned(), |year| year.to_string()));
        line("refused", format!("{} rows; arpent register names them", self.refused));
        line("in both", format!("{} establishments, counted as {} has them", self.in_both, args.keep.code()));
        let Applied { confirmed, moved, closed, split, not_placed, vanished } = self.applied;
        let said =
            format!("{} read: {confirmed} rows confirmed, {moved} moved, {closed} closed, {split} split", self.decided);
        line("decisions", said);
        line("", format!("{not_placed} rows not placed, since their enterprise does not show its address"));
        line("", format!("{} establishments decided upon that are in no register", vanished.len()));
        line(
            "",
            format!("{} confirmed establishments that the register now places elsewhere", self.list.moved_since.len()),
        );
        let done = |lines: &[crate::steps::review::Line]| lines.iter().filter(|line| line.done).count();
        line("largest", format!("{} listed, {} done", self.list.largest.len(), done(&self.list.largest)));
        line("ambiguous", format!("{} listed, {} done", self.list.ambiguous.len(), done(&self.list.ambiguous)));
        self.by_doubt().iter().for_each(|(doubt, n)| line("", format!("{n} {doubt}")));
        for (zone, (of, done)) in self.zoning.zones().iter().zip(&self.list.completion) {
            line("zone", format!("{}: {done} of {of}", zone.code));
        }
        line(
            "written",
            format!("{}, for the owner alone: it names establishments and their headcounts", args.out.display()),
        );
        text
    }

    fn json(&self) -> String {
        let zones: Vec<Value> = self
            .zoning
            .zones()
            .iter()
            .zip(&self.list.completion)
            .map(|(zone, (of, done))| {
                let rate = if *of == 0 { 1.0 } else { *done as f64 / *of as f64 };
                json!({ "zone": zone.code.as_str(), "listed": of, "done": done, "rate": rate })
            })
            .collect();
        let Applied { confirmed, moved, closed, split, not_placed, vanished } = self.applied;
        let report = json!({
            "vintage": self.list.vintage,
            "refused": self.refused,
            "in_both": self.in_both,
            "decisions": {
                "read": self.decided, "confirmed": confirmed, "moved": moved, "closed": closed, "split": split,
                "not_placed": not_placed, "vanished": vanished.len(), "moved_since": self.list.moved_since.len(),
            },
            "largest": self.list.largest.len(),
            "ambiguous": self.list.ambiguous.len(),
            "doubts": self.by_doubt(),
            "zones": zones,
        });
        format!("{report:#}\n")
    }
}
