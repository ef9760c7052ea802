//! `arpent what-if`: what another version of a zoning would change, asked before anything does.

use super::files;
use super::inspect::epsg;
use super::output::{WholeFile, kept_apart, print};
use super::protect::Refusal;
use super::serve;
use crate::model::reject::parted;
use crate::model::{Crs, Reject, Unreadable, ZoneCode};
use crate::pipeline::inputs::order_of;
use crate::pipeline::ledger::{self, policy_in_force};
use crate::pipeline::whatif::{Reader, Shown, Verdict, WhatIf, look};
use crate::pipeline::{NotPublished, Order, Published, ZoningUpload};
use crate::steps::publish::Release;
use crate::steps::read::ZoneOptions;
use crate::steps::repair::Repair;
use crate::steps::seal;
use crate::steps::whatif::Fate;
use crate::steps::whatif::cells::CellFate;
use crate::store::{SqliteStore, Store, sqlite};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Says what another version of a zoning would change, against the release served now: zones, ground, establishments,
/// cells lost and gained to secrecy, and whether someone could subtract it from what is published.
///
/// Nothing is published, and the store stays as it is. The answer holds raw sums: it is for the owner of the data.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The proposed contours: a shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    pub file: PathBuf,
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value = "var")]
    pub data: PathBuf,
    /// The zoning that would change, such as `secteurs`
    #[arg(long, value_name = "NAME")]
    pub zoning: String,
    /// The layer, when the file holds several
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// The field that holds the code of each zone
    #[arg(long, value_name = "FIELD")]
    pub zone_id: Option<String>,
    /// The field that holds the name of each zone
    #[arg(long, value_name = "FIELD")]
    pub zone_label: Option<String>,
    /// The system of the coordinates, whatever the file says
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    pub crs: Option<Crs>,
    /// The number of zones there must be
    #[arg(long, value_name = "N")]
    pub expect: Option<usize>,
    /// Write the ground that changes zone, as GeoJSON to lay over a map
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Write the establishments that change zone, as CSV. For the owner of the data alone
    #[arg(long, value_name = "FILE")]
    pub moves: Option<PathBuf>,
    /// Look at zones, ground and establishments alone, in a moment; secrecy takes as long as a publication
    #[arg(long)]
    pub quick: bool,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// 0 it could be published, or nobody asked; 1 secrecy refuses it, 2 the input or the usage is wrong.
pub fn run(args: &Args) -> ExitCode {
    match asked(args) {
        Ok(answer) => {
            let told = if args.json { format!("{:#}\n", answer.json(Reader::Owner)) } else { text(&answer) };
            print("what-if", &told, ExitCode::from(u8::from(answer.is_refused())))
        }
        Err(refusal) => {
            eprint!("arpent what-if: {refusal}");
            refusal.exit_code()
        }
    }
}

fn asked(args: &Args) -> Result<WhatIf, Refusal> {
    kept_apart(sqlite::files(&args.data).iter().chain([&args.file]), args.map.iter().chain(&args.moves))?;
    let files = files::load(&args.file)?;
    let Today { order, served, past } = today(&args.data)?;
    let known = order.zonings.iter().find(|z| z.id == args.zoning);
    let Some(known) = known else {
        let known: Vec<&str> = order.zonings.iter().map(|z| z.id.as_str()).collect();
        return Err(wrong(
            "no_such_zoning",
            "--zoning",
            format!("`{}`", args.zoning),
            format!("one of {}", known.join(", ")),
        ));
    };
    let proposed = ZoningUpload {
        id: known.id.clone(),
        title: known.title.clone(),
        version: "proposed".to_owned(),
        files,
        options: ZoneOptions {
            layer: args.layer.clone(),
            code_field: args.zone_id.clone(),
            label_field: args.zone_label.clone(),
            crs: args.crs.clone(),
        },
        expected: args.expect,
        repair: Repair::default(),
        groups: None,
    };
    let looked = look(&order, &proposed).map_err(refused)?;
    let answer = match args.quick {
        true => looked.unjudged(),
        false => {
            if std::io::stderr().is_terminal() {
                eprintln!("protecting the cut as a publication would be: it takes as long");
            }
            looked.judged(Some(&served), &past).map_err(refused)?
        }
    };
    let mut drafts = Vec::new();
    if let Some(path) = &args.map {
        let mut file = WholeFile::create(path)?;
        file.fill(format!("{}\n", answer.geojson()).as_bytes())?;
        drafts.push(file);
    }
    if let Some(path) = &args.moves {
        let mut file = WholeFile::create(path)?;
        file.restrict()?;
        file.fill(answer.movers_csv().as_bytes())?;
        drafts.push(file);
        eprintln!("{} names single establishments: it is for the owner of the data alone", path.display());
    }
    drafts.into_iter().try_for_each(WholeFile::commit)?;
    Ok(answer)
}

/// A pipeline's refusal as this face says it: 1 where secrecy says no, 2 where an input is wrong.
pub(super) fn refused(why: NotPublished) -> Refusal {
    match why {
        NotPublished::Unreadable(unreadable) => Refusal::Input(vec![unreadable.0]),
        NotPublished::Zoning(rejects) => Refusal::Input(rejects),
        NotPublished::Policy(_)
        | NotPublished::PartnersForgotten { .. }
        | NotPublished::MetTwice { .. }
        | NotPublished::Empty => said("not_publishable", "store", &why.to_string(), "inputs that can be published"),
        NotPublished::Secrecy { .. } | NotPublished::NoVerdict(_) | NotPublished::Audit { .. } => {
            Refusal::No(why.to_string())
        }
    }
}

/// A refusal of a sentence, which may say itself what was found where and what was expected.
pub(super) fn said(code: &'static str, place: &str, sentence: &str, expected: &str) -> Refusal {
    match parted(sentence) {
        Some((of, found, expected)) => {
            wrong(code, if of.is_empty() { place } else { of }, found.to_owned(), expected.to_owned())
        }
        None => wrong(code, place, sentence.to_owned(), expected.to_owned()),
    }
}

pub(super) fn wrong(code: &'static str, place: &str, found: String, expected: String) -> Refusal {
    Refusal::Input(vec![Unreadable::file(code, place, found, expected).0])
}

/// What is served now, what it was made from, and everything ever published.
pub(super) struct Today {
    pub order: Order,
    pub served: Release,
    pub past: Vec<Published>,
}

/// Reads a store that is there already; it stays as it is.
pub(super) fn today(data: &Path) -> Result<Today, Refusal> {
    let name = data.display().to_string();
    if !data.join(sqlite::FILE_NAME).is_file() {
        return Err(wrong("no_store", &name, "no store".to_owned(), "the directory of a store".to_owned()));
    }
    let mut found = None;
    let read = serve::run_async(async {
        let said = |e: &dyn std::fmt::Display| e.to_string();
        let store = SqliteStore::open(data).await.map_err(|e| said(&e))?;
        let kept = store.current().await.map_err(|e| said(&e))?;
        let kept = kept.ok_or_else(|| "nothing published".to_owned())?;
        let served = seal::unseal(&kept.bytes).map_err(|e| format!("release {}: {e}", kept.entry.id))?;
        let policy = policy_in_force(&store).await.map_err(|e| said(&e))?;
        let policy = policy.ok_or_else(|| "no policy in force".to_owned())?;
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let order = order_of(&store, &served, policy, now).await.map_err(|e| said(&e))?;
        let past = ledger::past(&store).await.map_err(|e| said(&e))?;
        found = Some(Today { order, served, past });
        Ok(())
    });
    match (read, found) {
        (Ok(()), Some(today)) => Ok(today),
        (Err(why), _) => Err(said("store", &name, &why, "a store with a release and its inputs")),
        (Ok(()), None) => Err(wrong("store", &name, "nothing".to_owned(), "a release".to_owned())),
    }
}

/// Lines of one kind that a text shows: as many as a person reads through; JSON has them all.
const LINES_SHOWN: usize = 20;

fn text(answer: &WhatIf) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all that is written");
    let changes = &answer.changes;
    line(format!(
        "zoning    {}: {} → {}",
        answer.zoning,
        answer.version_before.as_deref().unwrap_or("none"),
        answer.version
    ));
    answer.warnings.iter().for_each(|warning: &Reject| line(format!("warning   {warning}")));
    let count = |fate| changes.count(fate);
    line(format!(
        "zones     {} unchanged, {} moved, {} appeared, {} vanished, {} renamed",
        count("unchanged"),
        count("moved"),
        count("appeared"),
        count("vanished"),
        count("renamed")
    ));
    let zones = changes.zones.iter().filter_map(|zone| {
        let area = || format!("gains {:.0} m², loses {:.0} m²", zone.gained_m2, zone.lost_m2);
        let said = match &zone.fate {
            Fate::Renamed { before } => format!("same contour as `{before}` had"),
            Fate::Appeared | Fate::Vanished | Fate::Moved => area(),
            Fate::Unchanged => format!("was named {}", zone.label_before.as_ref()?),
        };
        Some(format!("  {:<9} {} ({}): {said}", zone.fate.code(), zone.code, zone.label))
    });
    some(zones, &mut line);
    if !changes.ground.is_empty() {
        line(format!("ground    {:.0} m² change zone", changes.area_m2()));
    }
    let mut ground: Vec<_> = changes.ground.iter().collect();
    ground.sort_by(|a, b| b.area_m2.total_cmp(&a.area_m2));
    some(ground.iter().map(|g| format!("  {}: {:.0} m²", pair(&g.from, &g.to), g.area_m2)), &mut line);
    if changes.noise.parts > 0 {
        let noise = changes.noise;
        line(format!(
            "noise     {} parts, {:.0} m² in all, are borders drawn twice and no change",
            noise.parts, noise.area_m2
        ));
    }
    let flows = answer.flows();
    let mut years: Vec<u16> = flows.iter().map(|f| f.vintage).collect();
    years.dedup();
    for year in years.into_iter().rev() {
        let mut of_year: Vec<_> = flows.iter().filter(|f| f.vintage == year).collect();
        of_year.sort_by_key(|f| std::cmp::Reverse((f.headcount, f.establishments)));
        let sum = |of: &dyn Fn(&&crate::steps::whatif::Flow) -> u64| of_year.iter().map(of).sum::<u64>();
        line(format!(
            "moves     {year}: {} establishments with {} jobs change zone",
            sum(&|f| f.establishments),
            sum(&|f| f.headcount)
        ));
        let said = |f: &&crate::steps::whatif::Flow| {
            format!("  {}: {} establishments, {} jobs", pair(&f.from, &f.to), f.establishments, f.headcount)
        };
        some(of_year.iter().map(said), &mut line);
    }
    match &answer.verdict {
        Verdict::NotAsked => line("verdict   not asked".to_owned()),
        Verdict::Safe(shown) => {
            cells(shown, &mut line);
            line("verdict   safe: it could be published beside everything published before".to_owned());
        }
        Verdict::Refused(refusal) => {
            let year = refusal.vintage.map(|year| format!(" at {year}")).unwrap_or_default();
            line(format!("verdict   refused{year}: {}", refusal.said));
            if !refusal.zones.is_empty() {
                line(format!("  zones concerned: {}", refusal.zones.join(", ")));
            }
            refusal.changes.iter().for_each(|change| line(format!("  it would be safe to {change}")));
        }
    }
    text
}

fn cells(shown: &Shown, line: &mut impl FnMut(String)) {
    for (year, after) in shown.after.iter().rev() {
        let of_year = |fate| shown.cells.iter().filter(|c| c.vintage == *year && c.fate == fate).count();
        let before = shown.before.get(year).copied().unwrap_or_default();
        line(format!(
            "cells     {year}: {} of {} withheld now, {} of {} then; {} lost, {} gained, {} gone, {} new, {} new and withheld",
            before.withheld,
            before.cells,
            after.withheld,
            after.cells,
            of_year(CellFate::Lost),
            of_year(CellFate::Gained),
            of_year(CellFate::Gone),
            of_year(CellFate::New),
            of_year(CellFate::NewWithheld)
        ));
    }
    for fate in CellFate::ALL {
        let of_fate = shown.cells.iter().filter(|c| c.fate == fate);
        some(of_fate.map(|c| format!("  {:<9} {} {}: {}", c.fate.code(), c.vintage, c.table, c.cell)), line);
    }
}

fn pair(from: &Option<ZoneCode>, to: &Option<ZoneCode>) -> String {
    let code = |code: &Option<ZoneCode>| code.as_ref().map_or("no zone".to_owned(), ToString::to_string);
    format!("{} → {}", code(from), code(to))
}

/// The first lines, and how many more there are.
fn some(lines: impl Iterator<Item = String>, line: &mut impl FnMut(String)) {
    let mut more = 0;
    for (i, said) in lines.enumerate() {
        if i < LINES_SHOWN { line(said) } else { more += 1 }
    }
    if more > 0 {
        line(format!("  and {more} more; --json has them all"));
    }
}
