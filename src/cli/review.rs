//! `arpent review`: the establishments that people should look at, and how far they have come; of files, or of a store.

use super::desk::in_office;
use super::files::{self, ZoneArgs};
use super::output::{kept_apart, print, write_together};
use super::register::{Reading, open, source};
use crate::model::{Register, Reject, Source, Unreadable, Zoning};
use crate::pipeline::office::{LINES_MAX, Office, ReviewAsked, Reviewed};
use crate::steps::intake::{Wanted, take_in};
use crate::steps::read::register::read_register;
use crate::steps::reconcile::{self, BothSources, reconcile};
use crate::steps::review::decisions::{Applied, Date, Decisions, apply};
use crate::steps::review::{NEAR_M, TOP, Terms, Worklist, done, rate, worklist};
use crate::store::sqlite;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Lists the largest establishments of each zone and those whose place is in doubt, with what was decided. The list names
/// establishments and their headcounts: it is written for the owner's account alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A register; again for others. With --data, one of the store by its digest [default there: those of the last draft,
    /// or the one there is]
    #[arg(long, value_name = "FILE|DIGEST", required_unless_present = "data")]
    pub register: Vec<PathBuf>,
    /// How to read it
    #[command(flatten)]
    pub reading: Reading,
    /// The zones: a shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    pub zones: Option<PathBuf>,
    /// Directory of a store: its registers as they are read there, its zones, and what was decided there
    #[arg(long, value_name = "DIR", requires = "zoning", conflicts_with_all = ["zones", "decisions"])]
    pub data: Option<PathBuf>,
    /// A zoning of the store and its version; the latest one without a version
    #[arg(long, value_name = "NAME[=VERSION]", requires = "data")]
    pub zoning: Option<String>,
    /// What the file does not say
    #[command(flatten)]
    pub zone_args: ZoneArgs,
    /// What was decided before: siret,decision,x,y,epsg,share,since,author,date,reason; x to since
    /// may be left out where no line uses them
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
    /// Whose figure is kept of an establishment that both sources declare [default: urssaf; with --data, as the last draft
    /// did whose registers are taken]
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    pub keep: Option<Source>,
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
    let outputs = [&args.out].into_iter().chain(&args.vanished).chain(&args.in_both);
    match (&args.data, &args.zoning) {
        (Some(data), Some(zoning)) => {
            if !data.join(sqlite::FILE_NAME).is_file() {
                return Err(vec![format!("{}: found no store, expected the directory of a store", data.display())]);
            }
            kept_apart(&sqlite::files(data), outputs).map_err(|unreadable| vec![unreadable.to_string()])?;
            of_store(args, data, zoning)
        }
        _ => {
            let inputs = args.register.iter().chain(&args.zones).chain(&args.decisions);
            kept_apart(inputs, outputs).map_err(|unreadable| vec![unreadable.to_string()])?;
            of_files(args)
        }
    }
}

/// The worklist of what a store holds, as `/api/v1/review` gives it.
fn of_store(args: &Args, data: &Path, zoning: &str) -> Result<String, Vec<String>> {
    let reading = args.reading.said().or(args.zone_args.said());
    if let Some(option) = reading {
        return Err(vec![format!(
            "{option}: found it beside --data, expected it where the file was sent: the store knows how its files are read"
        )]);
    }
    let (zoning, version) = match zoning.split_once('=') {
        Some((zoning, version)) => (zoning, Some(version.to_owned())),
        None => (zoning, None),
    };
    let asked = ReviewAsked {
        zoning: zoning.to_owned(),
        version,
        registers: args.register.iter().map(|digest| digest.display().to_string()).collect(),
        keep: args.keep,
        terms: Terms { top: args.top, near_m: args.near, since: args.since },
        list: None,
        zone: None,
        offset: 0,
        limit: LINES_MAX,
    };
    let work = async |office: Office| office.worklist(asked).await;
    let reviewed = in_office(data, work).map_err(|why| vec![why])?;
    write(args, &reviewed.csv(), &reviewed.applied, &reviewed.in_both_csv())?;
    let Reviewed { refused, keep, in_both, decisions, applied, list, zoning, .. } = &reviewed;
    let (in_both, decided) = (in_both.len(), decisions.len());
    Ok(Said { refused: *refused, keep: *keep, in_both, decided, applied, list, zoning }.told(args))
}

/// Writes the lists, all of them or none.
fn write(args: &Args, csv: &str, applied: &Applied, twice: &str) -> Result<(), Vec<String>> {
    let sirets: String = applied.vanished.iter().map(|siret| format!("{siret}\n")).collect();
    let vanished = format!("siret\n{sirets}");
    let mut outputs = vec![(args.out.as_path(), csv.as_bytes(), true)];
    outputs.extend(args.vanished.as_deref().map(|path| (path, vanished.as_bytes(), true)));
    outputs.extend(args.in_both.as_deref().map(|path| (path, twice.as_bytes(), true)));
    write_together(&outputs).map_err(|unreadable| vec![unreadable.to_string()])
}

fn of_files(args: &Args) -> Result<String, Vec<String>> {
    let one = |unreadable: Unreadable| vec![unreadable.to_string()];
    let every = |rejects: Vec<Reject>| rejects.iter().map(ToString::to_string).collect::<Vec<_>>();
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
    let keep = args.keep.unwrap_or(Source::Urssaf);
    let in_both = reconcile(&mut all, BothSources::keeping(keep));
    let applied = apply(&decisions, &mut all);
    let terms = Terms { top: args.top, near_m: args.near, since: args.since };
    let list = worklist(&all.establishments, &zoning, &decisions, &terms).map_err(one)?;
    let csv = list.csv(&all.establishments, &zoning, &decisions);
    write(args, &csv, &applied, &reconcile::csv(&in_both))?;
    let (in_both, decided) = (in_both.len(), decisions.len());
    Ok(Said { refused, keep, in_both, decided, applied: &applied, list: &list, zoning: &zoning }.told(args))
}

fn zoning(args: &Args) -> Result<Zoning, Vec<String>> {
    let one = |unreadable: Unreadable| vec![unreadable.to_string()];
    let every = |rejects: Vec<Reject>| rejects.iter().map(ToString::to_string).collect::<Vec<_>>();
    let zones = args.zones.as_deref().expect("clap asks for --zones where there is no --data");
    let files = files::load(zones).map_err(one)?;
    let wanted = Wanted { options: args.zone_args.options(), ..Wanted::default() };
    let intake = take_in(&files, &wanted).map_err(one)?;
    intake.whole().map_err(every)
}

/// What the operator reads: counts alone.
struct Said<'a> {
    refused: usize,
    keep: Source,
    in_both: usize,
    decided: usize,
    applied: &'a Applied,
    list: &'a Worklist,
    zoning: &'a Zoning,
}

impl Said<'_> {
    fn told(&self, args: &Args) -> String {
        if args.json { self.json() } else { self.text(args) }
    }

    fn text(&self, args: &Args) -> String {
        let mut text = String::new();
        let mut line = |what: &str, said: String| {
            writeln!(text, "{what:<11}{said}").expect("a String takes all that is written");
        };
        line("vintage", self.list.vintage.map_or("none".to_owned(), |year| year.to_string()));
        line("refused", format!("{} rows; arpent register names them", self.refused));
        line("in both", format!("{} establishments, counted as {} has them", self.in_both, self.keep.code()));
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
        line("largest", format!("{} listed, {} done", self.list.largest.len(), done(&self.list.largest)));
        line("ambiguous", format!("{} listed, {} done", self.list.ambiguous.len(), done(&self.list.ambiguous)));
        self.list.by_doubt().iter().for_each(|(doubt, n)| line("", format!("{n} {doubt}")));
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
                json!({ "zone": zone.code.as_str(), "listed": of, "done": done, "rate": rate(*done, *of) })
            })
            .collect();
        let Applied { confirmed, moved, closed, split, not_placed, vanished } = self.applied;
        let report = json!({
            "vintage": self.list.vintage,
            "refused": self.refused,
            "in_both": self.in_both,
            "keep": self.keep.code(),
            "decisions": {
                "read": self.decided, "confirmed": confirmed, "moved": moved, "closed": closed, "split": split,
                "not_placed": not_placed, "vanished": vanished.len(), "moved_since": self.list.moved_since.len(),
            },
            "largest": self.list.largest.len(),
            "ambiguous": self.list.ambiguous.len(),
            "doubts": self.list.by_doubt(),
            "zones": zones,
        });
        format!("{report:#}\n")
    }
}
