//! `arpent import`: a version of a zoning or a register into the store, as `/api/v1` takes them.

use super::desk::{self, Desk};
use super::files;
use super::register::{source, trust};
use crate::model::establishment::Trust;
use crate::model::{Crs, Source, Unreadable};
use crate::pipeline::office::{
    Fault, FaultKind, GroupReading, RegisterSent, Sending, Territory, ZoneReading, ZoningSent, parsed_mapping,
};
use crate::steps::repair::Repair;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Puts a version of a zoning or a register into the store, with its author and reason.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// A version of a zoning: a shapefile (.shp or .zip), GeoJSON or GeoPackage
    Zoning(Box<ZoningArgs>),
    /// A register of establishments
    Register(RegisterArgs),
    /// Decisions about establishments, as CSV: siret,decision,x,y,epsg,share,since,author,date,reason (x to since as needed)
    Decisions(DecisionsArgs),
}

#[derive(Debug, Clone, clap::Args)]
struct ZoningArgs {
    /// The file
    file: PathBuf,
    /// Name of the zoning in paths, such as secteurs
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Why it is sent, for the history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Name of the version [default: the day and the digest]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Name for people [default: that of the version before]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// First day on which it holds
    #[arg(long, value_name = "DAY")]
    valid_from: Option<String>,
    /// Last day on which it holds
    #[arg(long, value_name = "DAY")]
    valid_to: Option<String>,
    /// The layer, when the file holds several
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The field of the codes
    #[arg(long, value_name = "FIELD")]
    zone_id: Option<String>,
    /// The field of the names
    #[arg(long, value_name = "FIELD")]
    zone_label: Option<String>,
    /// The system of the coordinates, above what the file says
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    crs: Option<u32>,
    /// Move vertices onto the border of a neighbour that runs within so many metres, each time the file is read
    #[arg(long, value_name = "METRES")]
    snap: Option<f64>,
    /// Draw contours whose rings cross or disagree anew, around the same ground
    #[arg(long)]
    make_valid: bool,
    /// The file is a table of codes that groups the zones of this zoning
    #[arg(long, value_name = "NAME")]
    groups_of: Option<String>,
    /// The version whose zones are grouped [default: the latest]
    #[arg(long, value_name = "VERSION", requires = "groups_of")]
    groups_version: Option<String>,
    /// Leave out the zones that the table of groups does not name
    #[arg(long, requires = "groups_of")]
    partial: bool,
    /// A zone file of the territory: what lies beyond it, or is left uncovered, is reported
    #[arg(long, value_name = "FILE")]
    territory: Option<PathBuf>,
    /// Its layer, when it holds several
    #[arg(long, value_name = "NAME", requires = "territory")]
    territory_layer: Option<String>,
    /// The system of its coordinates, above what it says
    #[arg(long, value_name = "EPSG:N", value_parser = epsg, requires = "territory")]
    territory_crs: Option<u32>,
    /// How many zones there should be [default: the settings' number]
    #[arg(long, value_name = "N")]
    expect: Option<usize>,
    /// Accept another number of zones, which the report then says
    #[arg(long)]
    any_count: bool,
    #[command(flatten)]
    desk: Desk,
}

#[derive(Debug, Clone, clap::Args)]
struct RegisterArgs {
    /// The file
    file: PathBuf,
    /// The year whose 31 December it describes, where the file does not say
    #[arg(long, value_name = "YEAR")]
    vintage: Option<u16>,
    /// Who sent the headcounts, where the file does not say: urssaf or msa
    #[arg(long, value_name = "NAME", value_parser = source)]
    source: Option<Source>,
    /// The system of the coordinates, where the file does not say
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    crs: Option<u32>,
    /// The column of a role, as in siret=NUM_SIRET; again for others. It is remembered of the author
    #[arg(long = "map", value_name = "ROLE=COLUMN")]
    map: Vec<String>,
    /// Which geocodes are placed: street (all but 33), sure-street (11, 12) or number (11)
    /// [default: as it was said of this file before, or street]
    #[arg(long, value_name = "QUALITY", value_parser = trust)]
    trust: Option<Trust>,
    #[command(flatten)]
    desk: Desk,
}

#[derive(Debug, Clone, clap::Args)]
struct DecisionsArgs {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    desk: Desk,
}

/// 0 done, 1 the name is taken by other content, 2 the input is wrong.
pub fn run(args: &Args) -> ExitCode {
    match &args.what {
        What::Zoning(args) => desk::act("import", &args.desk, async |office, who| {
            let files = files::load(&args.file).map_err(unreadable)?;
            let territory = args.territory.as_deref().map(files::load).transpose().map_err(unreadable)?;
            let sent = ZoningSent {
                zoning: args.name.clone(),
                version: args.version.clone(),
                title: args.title.clone(),
                reason: args.reason.clone(),
                valid_from: args.valid_from.clone(),
                valid_to: args.valid_to.clone(),
                reading: ZoneReading {
                    layer: args.layer.clone(),
                    code_field: args.zone_id.clone(),
                    label_field: args.zone_label.clone(),
                    crs: args.crs,
                    repair: Repair { snap_m: args.snap, make_valid: args.make_valid },
                    groups: args.groups_of.clone().map(|zoning| GroupReading {
                        zoning,
                        version: args.groups_version.clone(),
                        partial: args.partial,
                    }),
                },
                expected: args.expect,
                any_count: args.any_count,
                territory: territory.map(|files| Territory::Sent {
                    files,
                    layer: args.territory_layer.clone(),
                    crs: args.territory_crs,
                }),
            };
            let sending = Sending { parts: files.parts, place: None };
            let told = office.send_zoning(&who, sent, sending).await?.end().await?;
            Ok((zoning(&told), told))
        }),
        What::Register(args) => desk::act("import", &args.desk, async |office, who| {
            let files = files::load(&args.file).map_err(unreadable)?;
            let mapping = (!args.map.is_empty()).then(|| parsed_mapping(&args.map.join("\n"))).transpose()?;
            let RegisterArgs { vintage, source, crs, trust, .. } = *args;
            let sent = RegisterSent { vintage, source, crs, trust, mapping };
            let parts = files.parts.into_iter().take(1).collect();
            let told = office.send_register(&who, sent, Sending { parts, place: None }).await?.end().await?;
            Ok((register(&told), told))
        }),
        What::Decisions(args) => desk::act("import", &args.desk, async |office, who| {
            let files = files::load(&args.file).map_err(unreadable)?;
            let (name, bytes) = files.parts.into_iter().next().unwrap_or_default();
            let told = office.decide_all(&who, &name, bytes).await?;
            Ok((format!("kept      {} decisions", told["kept"]), told))
        }),
    }
}

fn zoning(told: &Value) -> String {
    let word = |name: &str| told[name].as_str().unwrap_or_default();
    let (report, since) = (&told["report"], &told["report"]["since"]);
    let mut lines = vec![format!("kept      {} {} ({})", word("zoning"), word("version"), word("file"))];
    if told["new"] == json!(false) {
        lines.push("          the same content was kept before".to_owned());
    }
    lines.push(format!("zones     {}", report["topology"]["zones"]));
    lines.push(format!("topology  {} findings", report["topology"]["findings_count"]));
    if !since.is_null() {
        let count = |name: &str| since[name].as_array().map_or(0, Vec::len);
        lines.push(format!(
            "since     {}: {} appeared, {} vanished, {} renamed, {} redrawn, {} unchanged",
            since["with"].as_str().unwrap_or_default(),
            count("appeared"),
            count("vanished"),
            count("renamed"),
            count("redrawn"),
            since["unchanged"]
        ));
    }
    lines.push(format!("digest    {}", word("digest")));
    lines.join("\n")
}

fn register(told: &Value) -> String {
    let report = &told["report"];
    format!(
        "kept      {}\ncolumns   {}\nrows      {} accepted, {} refused\nunplaced  {}\ndigest    {}",
        told["file"].as_str().unwrap_or_default(),
        columns(&report["columns"]["taken"]),
        report["accepted"],
        report["refused"],
        report["unplaced"],
        told["digest"].as_str().unwrap_or_default()
    )
}

fn columns(taken: &Value) -> String {
    let taken = taken.as_object().into_iter().flatten();
    taken.map(|(role, column)| format!("{role}={}", column.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
}

fn unreadable(Unreadable(reject): Unreadable) -> Fault {
    Fault {
        kind: FaultKind::Wrong,
        code: reject.code,
        place: reject.file,
        found: reject.found,
        expected: reject.expected,
        rejects: Vec::new(),
        report: Value::Null,
    }
}

fn epsg(text: &str) -> Result<u32, String> {
    Crs::epsg_code(text).ok_or_else(|| format!("found `{text}`, expected EPSG:2154 or the number of another system"))
}
