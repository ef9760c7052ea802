//! `arpent audit`: attacks one or several releases together, and prints the verdict.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::print;
use crate::model::{Reject, Unreadable};
use crate::steps::read::microdata::{MicroTable, microdata};
use crate::steps::read::table::Input;
use crate::steps::secrecy::{
    Checks, Column, Microdata, NotAuditable, ReleasedTable, ReleasedTables, Spec, Verdict, examine,
};

/// Largest table of a release read, in bytes: ten million rows, a hundred times the tables we know.
const TABLE_BYTES_MAX: u64 = 1 << 30;

/// Most cells opened in one run: each is an attack of its own.
const MUTATIONS_MAX: u64 = 100_000;

/// Attacks releases together, and says whether anything withheld can be worked out from what they show.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The records the releases were made from: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    pub micro: PathBuf,
    /// The specification: rules, protection, dimensions and tables (TOML)
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
    /// A release, as `arpent protect` writes it; all that are named are attacked together, the one to judge last: which of
    /// the others were published before it, and which were made beside it, its `release.json` says
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    pub release: Vec<PathBuf>,
    /// Verify the certificate too, in whole numbers and without a solver; by default the one of the release named last,
    /// which must have been made after all the others. A release alone that was made after no other is verified unasked
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub certificate: Option<Option<PathBuf>>,
    /// Check the rows and the certificate, and leave the attack out
    #[arg(long, requires = "certificate", conflicts_with = "mutate")]
    pub no_attack: bool,
    /// Open as many withheld cells, one at a time, drawn with a fixed seed: the attack must notice
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=MUTATIONS_MAX))]
    pub mutate: u64,
    /// Groups of contributors, as `arpent protect` takes them, for records that do not count groups already: a table with the
    /// columns `siren` and `group`
    #[arg(long, value_name = "FILE")]
    pub groups: Option<PathBuf>,
    /// Inhabitants by zone, for a population rule, as `arpent protect` takes them: `iris=FILE` names the level
    #[arg(long, value_name = "LEVEL=FILE")]
    pub inhabitants: Vec<String>,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the verdict; 0 when nothing can be worked out and every row is true, 1 when not, 2 when there is no verdict.
pub fn run(args: &Args) -> ExitCode {
    match judge(args, io::stderr().is_terminal()) {
        Ok(verdict) => {
            let text = if args.json { format!("{:#}\n", json(&verdict)) } else { text(&verdict) };
            print("audit", &text, ExitCode::from(u8::from(!verdict.is_safe())))
        }
        Err(faults) => {
            for fault in faults {
                eprintln!("arpent audit: {fault}");
            }
            ExitCode::from(2)
        }
    }
}

/// Reads everything and attacks.
fn judge(args: &Args, show_progress: bool) -> Result<Verdict, Vec<String>> {
    let one = |error: Unreadable| vec![error.to_string()];
    let spec_name = args.spec.display().to_string();
    let text = std::fs::read_to_string(&args.spec).map_err(|e| one(cannot_read(&args.spec, &e)))?;
    let mut spec = Spec::parse(&text).map_err(|error| vec![format!("{spec_name}: {error}")])?;
    super::protect::people(&args.inhabitants, &mut spec).map_err(|e| vec![e.to_string().trim_end().to_owned()])?;
    let mut releases: Vec<ReleasedTables> =
        args.release.iter().map(|folder| release(folder)).collect::<Result<_, _>>().map_err(one)?;

    let kinship = Kinship::of(&args.release).map_err(one)?;
    let last = args.release.last().map(|folder| folder.join(super::release::CERTIFICATE)).unwrap_or_default();
    let path = match &args.certificate {
        Some(named) => Some(named.clone().unwrap_or(last)),
        None => Some(last).filter(|path| kinship.is_by_itself && path.exists()),
    };
    let certificate = match path {
        None => None,
        Some(path) => {
            let bytes = super::release::bytes_of(&path).map_err(one)?;
            Some((path, bytes))
        }
    };
    let earlier = match &certificate {
        None => Vec::new(),
        Some((_, bytes)) => earlier_records(bytes, &args.release, &kinship)?,
    };
    for (at, prefix, renamed, _) in &earlier {
        rename_levels(&mut releases[*at], prefix, renamed);
    }

    let mut wanted = spec.columns();
    for level in releases.iter().flat_map(ReleasedTables::levels) {
        let own = earlier.iter().any(|(_, prefix, _, _)| level.starts_with(prefix.as_str()));
        if !own && !wanted.contains(&level) {
            wanted.push(level);
        }
    }
    let micro_name = args.micro.display().to_string();
    let file = File::open(&args.micro).map_err(|e| one(cannot_read(&args.micro, &e)))?;
    let mut records = microdata(&micro_name, Input::File(file), &wanted, &spec.contributor, &spec.weight)
        .map_err(|rejects| rejects.iter().map(Reject::to_string).collect::<Vec<_>>())?;
    if let Some(path) = &args.groups {
        let refused = |refusal: super::protect::Refusal| vec![refusal.to_string().trim_end().to_owned()];
        super::protect::regroup(&mut records, &super::protect::groups(path).map_err(refused)?.0);
    }
    let micro = joined(records, &earlier)?;
    if show_progress {
        eprintln!("{} records, {} releases: attacking", micro.len(), releases.len());
    }
    let before = kinship.before();
    let checks = Checks {
        attack: !args.no_attack,
        certificate: certificate.as_ref().map(|c| c.1.as_slice()),
        mutations: args.mutate,
        before: &before,
        is_correction: kinship.is_correction,
        ..Checks::default()
    };
    examine(&micro, &spec, &releases, &checks).map_err(|error| match (&error, &certificate) {
        (NotAuditable::BadCertificate { .. }, Some((path, _))) => vec![format!("{}: {error}", path.display())],
        _ => vec![error.to_string()],
    })
}

/// How the releases hang together, as the one named last says.
struct Kinship {
    /// For each release that it was made after, in its own order, the places among those named where it is.
    after: Vec<Vec<usize>>,
    /// Whether it is alone, and corrects a release.
    is_correction: bool,
    /// Whether it is alone, and its proof speaks of nothing else: of none published before, and of no public release beside
    /// one for partners.
    is_by_itself: bool,
}

impl Kinship {
    fn of(folders: &[PathBuf]) -> Result<Self, Unreadable> {
        let last: Value = match folders.last() {
            Some(last) => serde_json::from_slice(&summary(last)?).unwrap_or_default(),
            None => Value::Null,
        };
        let made_after = last["inputs"]["after"].as_array().map_or(&[][..], Vec::as_slice);
        let is_correction = folders.len() == 1 && last["inputs"]["revises"].is_string();
        let is_first = folders.len() == 1 && made_after.is_empty() && last["profile"] != "partner";
        let digests = match made_after {
            [] => Vec::new(),
            _ => {
                let digest = |folder: &PathBuf| Ok(super::release::digest(&summary(folder)?));
                folders.iter().map(digest).collect::<Result<Vec<_>, Unreadable>>()?
            }
        };
        let places = |of: &Value| {
            let is_it = |at: &usize| of.as_str() == Some(digests[*at].as_str());
            (0..digests.len()).filter(is_it).collect()
        };
        Ok(Self {
            after: made_after.iter().map(places).collect(),
            is_correction,
            is_by_itself: is_correction || is_first,
        })
    }

    /// The places of those that it was made after; the others were made beside it.
    fn before(&self) -> Vec<usize> {
        let mut before = self.after.concat();
        before.sort_unstable();
        before
    }
}

/// The `release.json` of a release; nothing where tables alone are there.
fn summary(folder: &Path) -> Result<Vec<u8>, Unreadable> {
    let path = folder.join("release.json");
    match path.exists() {
        true => super::release::bytes_of(&path),
        false => Ok(Vec::new()),
    }
}

/// An earlier release whose records are not those of `--micro`: its place among those named, what its columns begin with
/// in the certificate, which columns do, and its own records.
type EarlierRecords = (usize, String, Vec<String>, MicroTable);

/// The earlier releases whose columns a certificate keeps under names of their own (`after1/sector`), with the records
/// that their owner kept; those that are not named are left to the verifier to miss.
fn earlier_records(
    certificate: &[u8],
    folders: &[PathBuf],
    kinship: &Kinship,
) -> Result<Vec<EarlierRecords>, Vec<String>> {
    let one = |error: Unreadable| vec![error.to_string()];
    let first = certificate.split(|b| *b == b'\n').next().unwrap_or_default();
    let header: Value = serde_json::from_slice(first).unwrap_or_default();
    let levels: Vec<&str> = header["levels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    for (k, places) in kinship.after.iter().enumerate() {
        let prefix = format!("after{}/", k + 1);
        let renamed: Vec<String> =
            levels.iter().filter_map(|level| level.strip_prefix(prefix.as_str())).map(str::to_owned).collect();
        if renamed.is_empty() {
            continue;
        }
        for &at in places {
            let path = |name: &str| folders[at].join("private").join(name);
            let spec_bytes = super::release::bytes_of(&path("spec.toml")).map_err(one)?;
            let spec = super::release::spec_of(&path("spec.toml"), &spec_bytes).map_err(one)?;
            let bytes = super::release::bytes_of(&path("microdata.csv")).map_err(one)?;
            let table = super::release::micro_of(&path("microdata.csv"), bytes, &spec)
                .map_err(|rejects| rejects.iter().map(Reject::to_string).collect::<Vec<_>>())?;
            found.push((at, prefix.clone(), renamed.clone(), table));
        }
    }
    Ok(found)
}

/// Gives the levels of a release the names that the certificate has for them.
fn rename_levels(release: &mut ReleasedTables, prefix: &str, renamed: &[String]) {
    for table in &mut release.tables {
        let dimensions = table.header.len().saturating_sub(3) / 2;
        for row in &mut table.rows {
            for level in row.iter_mut().take(2 * dimensions).skip(1).step_by(2) {
                if renamed.contains(level) {
                    *level = format!("{prefix}{level}");
                }
            }
        }
    }
}

/// One set of records: those of `--micro`, and those of earlier releases, matched by identifier; a record lies in no cell
/// of a release that did not have it.
fn joined(present: MicroTable, earlier: &[EarlierRecords]) -> Result<Microdata, Vec<String>> {
    if earlier.is_empty() {
        return Ok(gathered(present));
    }
    let mut place: HashMap<&str, usize> = HashMap::new();
    let (mut ids, mut who, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows_of: Vec<Vec<Option<usize>>> = Vec::new();
    let tables = || std::iter::once(&present).chain(earlier.iter().map(|e| &e.3));
    for table in tables() {
        let mut rows = vec![None; ids.len()];
        for (row, id) in table.ids.iter().enumerate() {
            let (name, weight) =
                (table.contributor_names[table.contributors[row] as usize].as_str(), table.weights[row]);
            let at = *place.entry(id).or_insert_with(|| {
                ids.push(id.clone());
                who.push(name);
                weights.push(weight);
                rows.push(None);
                ids.len() - 1
            });
            if (who[at], weights[at]) != (name, weight) {
                let text = "microdata: found an establishment with another contributor or weight than in an earlier \
                            release, expected the same people";
                return Err(vec![text.to_owned()]);
            }
            rows[at] = Some(row);
        }
        rows_of.push(rows);
    }
    let mut columns = Vec::new();
    for (t, table) in tables().enumerate() {
        for column in &table.columns {
            let name = match t.checked_sub(1).map(|e| &earlier[e]) {
                None => column.name.clone(),
                Some((_, prefix, renamed, _)) if renamed.contains(&column.name) => format!("{prefix}{}", column.name),
                Some(_) => continue,
            };
            let code = |at: usize| Some(column.codes[(*rows_of[t].get(at)?)?]);
            let codes = (0..ids.len()).map(code).collect();
            columns.push(Column { name, labels: column.labels.clone(), codes });
        }
    }
    Ok(Microdata::new(ids, &who, weights, columns))
}

/// Records as the strongroom takes them.
fn gathered(table: MicroTable) -> Microdata {
    let who: Vec<&str> = table.contributors.iter().map(|&c| table.contributor_names[c as usize].as_str()).collect();
    let columns = table
        .columns
        .into_iter()
        .map(|c| Column { name: c.name, labels: c.labels, codes: c.codes.into_iter().map(Some).collect() })
        .collect();
    Microdata::new(table.ids, &who, table.weights, columns)
}

/// Every table of a release's folder, in the order of names.
fn release(folder: &Path) -> Result<ReleasedTables, Unreadable> {
    let tables = folder.join("tables");
    let entries = std::fs::read_dir(&tables).map_err(|e| cannot_read(&tables, &e))?;
    let mut paths = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| cannot_read(&tables, &e))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    paths.sort();
    if paths.is_empty() {
        let place = tables.display().to_string();
        return Err(Unreadable::file("release_empty", place, "no table", "at least one `<name>.csv`"));
    }
    let tables = paths.iter().map(|path| table(path)).collect::<Result<_, _>>()?;
    Ok(ReleasedTables { name: folder.display().to_string(), tables })
}

fn table(path: &Path) -> Result<ReleasedTable, Unreadable> {
    let file = path.display().to_string();
    let size = std::fs::metadata(path).map_err(|e| cannot_read(path, &e))?.len();
    if size > TABLE_BYTES_MAX {
        let expected = format!("{TABLE_BYTES_MAX} at most");
        return Err(Unreadable::file("file_too_big", file, format!("{size} bytes"), expected));
    }
    // Rows of any length are taken: a row with too few fields is a fault of the release, named as such.
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(|e| not_a_table(path, &e))?;
    let fields = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = reader.headers().map(fields).map_err(|e| not_a_table(path, &e))?;
    let rows = reader
        .records()
        .map(|record| record.map(|r| fields(&r)))
        .collect::<Result<_, _>>()
        .map_err(|e| not_a_table(path, &e))?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(ReleasedTable { name, header, rows })
}

fn not_a_table(path: &Path, error: &csv::Error) -> Unreadable {
    // The reader's own text would repeat the row.
    let found = match error.position() {
        Some(at) => format!("a row that cannot be read, at line {}", at.line()),
        None => "a file that cannot be read".to_owned(),
    };
    Unreadable::file("table_unreadable", path.display().to_string(), found, "a table in UTF-8, comma between fields")
}

fn cannot_read(path: &Path, error: &io::Error) -> Unreadable {
    let found = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    };
    Unreadable::file("input_unreadable", path.display().to_string(), found, "a file that can be read")
}

fn text(verdict: &Verdict) -> String {
    let mut text = String::new();
    let v = verdict;
    let _ = writeln!(text, "{} releases, {} tables", v.releases, v.tables);
    if !v.tables_absent.is_empty() {
        let _ = writeln!(text, "not released, so not judged: {}", v.tables_absent.join(", "));
    }
    let _ = writeln!(text, "{} cells listed: {} published, {} withheld", v.cells, v.published, v.withheld);
    let _ =
        writeln!(text, "{} distinct sums, {} unsafe by a rule, {} of them attacked", v.sums, v.unsafe_sums, v.attacked);
    if v.attack {
        attack_text(&mut text, v);
    }
    if let Some(c) = v.certified {
        let _ = writeln!(
            text,
            "certificate: {} witnesses, {} true; {} ends of unsafe sums, {} proved, {} of them in whole employees",
            c.witnesses, c.witnesses_true, c.ends, c.ends_proved, c.ends_whole
        );
    }
    if v.certified.is_none() {
        text.push_str(
            "no certificate verified: how near insiders come to what they do not know exactly is not judged\n",
        );
    }
    if let Some(m) = v.mutations {
        let _ = writeln!(
            text,
            "opened one at a time: {} unsafe cells, {} noticed, {} of them by what they give away of others; {} others, {} \
             noticed, the rest gave nothing away",
            m.primary, m.primary_caught, m.primary_attacked, m.secondary, m.secondary_caught
        );
    }
    for (kind, n) in &v.by_kind {
        let _ = writeln!(text, "{}: {n}", kind.name());
    }
    for fault in &v.faults {
        let _ = writeln!(text, "  {} {}: {} [{}]", fault.release, fault.table, fault.cell, fault.kind.name());
    }
    let more = v.n_faults() - v.faults.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text.push_str(if v.is_safe() { "safe\n" } else { "NOT SAFE\n" });
    text
}

fn attack_text(text: &mut String, v: &Verdict) {
    let _ = writeln!(
        text,
        "exact: {} sums against {} equations over {} free atoms of {}, modulo two primes",
        v.attacked, v.equations, v.free_atoms, v.atoms
    );
    let _ = writeln!(text, "insiders: {} contributors tried", v.insiders);
    let _ = writeln!(
        text,
        "intervals: {} ends, {} reached by exchanges, {} by {} programs",
        v.ends, v.ends_exchanged, v.ends_solved, v.programs
    );
    let _ = writeln!(text, "differences: {} tried", v.differences);
    if v.differences_cut > 0 {
        let _ = writeln!(text, "  unions too many to try them all: {} pairs of zonings", v.differences_cut);
    }
    if v.unsafe_remainders > 0 {
        let _ = writeln!(text, "note: {} of them would break a rule, and are no faults", v.unsafe_remainders);
        for (rest, why) in &v.remainders {
            let kind = rest.kind.name();
            let _ = writeln!(text, "  {} {}: {} [{kind}; {}]", rest.release, rest.table, rest.cell, why.name());
        }
    }
}

fn json(verdict: &Verdict) -> Value {
    let v = verdict;
    let by_kind: serde_json::Map<String, Value> =
        v.by_kind.iter().map(|(kind, n)| (kind.name().to_owned(), json!(n))).collect();
    let faults: Vec<Value> = v
        .faults
        .iter()
        .map(|f| json!({"release": f.release, "table": f.table, "cell": f.cell, "kind": f.kind.name()}))
        .collect();
    json!({
        "safe": v.is_safe(),
        "releases": v.releases,
        "tables": v.tables,
        "tables_absent": v.tables_absent,
        "cells": {"listed": v.cells, "published": v.published, "withheld": v.withheld},
        "sums": {"distinct": v.sums, "unsafe": v.unsafe_sums, "attacked": v.attacked},
        "exact": {"sums": v.attacked, "equations": v.equations, "free_atoms": v.free_atoms, "atoms": v.atoms},
        "insiders": v.insiders,
        "intervals": {
            "ends": v.ends, "by_exchanges": v.ends_exchanged, "by_programs": v.ends_solved, "programs": v.programs,
        },
        "differences": {
            "tried": v.differences, "pairs_cut": v.differences_cut, "unsafe_remainders": v.unsafe_remainders,
        },
        "certificate": v.certified.map(|c| json!({
            "witnesses": c.witnesses, "true": c.witnesses_true, "ends": c.ends, "proved": c.ends_proved,
            "whole": c.ends_whole,
        })),
        "mutations": v.mutations.map(|m| json!({
            "primary": m.primary, "primary_caught": m.primary_caught, "primary_attacked": m.primary_attacked,
            "secondary": m.secondary, "secondary_caught": m.secondary_caught,
        })),
        "faults": {"total": v.n_faults(), "by_kind": by_kind, "listed": faults},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "contributor = 'siren'\nweight = 'headcount'\n[rules]\nmin_contributors = 3\n\
                        [dimensions.zone]\nlevels = ['zone']\n[[tables]]\nname = 't'\ndimensions = ['zone']\n";
    const HEADER: &str = "zone,zone_level,establishments,headcount,status\n";

    /// Zones X and Y of two firms each, zone Z of three.
    const MICRO: &str =
        "siret,siren,headcount,zone\n1,a,10,X\n2,b,20,X\n3,c,15,Y\n4,d,15,Y\n5,e,5,Z\n6,f,5,Z\n7,g,5,Z\n";

    fn audited(micro: &str, spec: &str, tables: &[&str]) -> Result<Verdict, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("m.csv"), micro).unwrap();
        std::fs::write(at("s.toml"), spec).unwrap();
        let release = |(i, table): (usize, &&str)| {
            let release = at(&format!("r{i}"));
            std::fs::create_dir_all(release.join("tables")).unwrap();
            std::fs::write(release.join("tables").join("t.csv"), table).unwrap();
            release
        };
        let release = tables.iter().enumerate().map(release).collect();
        judge(
            &Args {
                micro: at("m.csv"),
                spec: at("s.toml"),
                release,
                certificate: None,
                no_attack: false,
                mutate: 0,
                groups: None,
                inhabitants: Vec::new(),
                json: false,
            },
            false,
        )
    }

    #[test]
    fn a_release_is_read_and_attacked() {
        let safe = format!(
            "{HEADER}TOTAL,TOTAL,7,75,published\nX,zone,,,withheld\nY,zone,,,withheld\nZ,zone,3,15,published\n"
        );
        let verdict = audited(MICRO, SPEC, &[&safe]).unwrap();
        assert!(verdict.is_safe(), "{}", text(&verdict));
        assert_eq!((verdict.cells, verdict.published, verdict.withheld, verdict.attacked), (4, 2, 2, 2));
        assert_eq!(json(&verdict)["safe"], true);

        // An earlier release showed Y: then X is what is left.
        let earlier = safe.replace("Y,zone,,,withheld", "Y,zone,2,30,published");
        let verdict = audited(MICRO, SPEC, &[&safe, &earlier]).unwrap();
        let kinds: Vec<_> = verdict.by_kind.keys().map(|k| k.name()).collect();
        assert_eq!(kinds, ["published_unsafe", "exact"]);
        let said = text(&verdict);
        assert!(said.contains("t: zone=X [exact]") && said.ends_with("NOT SAFE\n"), "{said}");
        assert_eq!(json(&verdict)["faults"]["by_kind"]["exact"], 1);
    }

    #[test]
    fn which_releases_came_before_is_what_the_last_says_and_not_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let release = |name: &str, inputs: Value| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            let text = json!({ "name": name, "inputs": inputs }).to_string();
            std::fs::write(path.join("release.json"), &text).unwrap();
            (path, crate::steps::bytes::sha256_hex(text.as_bytes()))
        };
        let (first, digest) = release("first", json!({ "after": [] }));
        let (partner, _) = release("partner", json!({ "after": [digest] }));
        let (public, _) = release("public", json!({ "after": [digest] }));
        let (correction, _) = release("correction", json!({ "after": [], "revises": digest }));
        let bare = folder.path().join("bare");
        for (folders, before, is_correction) in [
            (vec![&first, &partner, &public], vec![0], false),
            (vec![&partner, &first, &public], vec![1], false),
            // Made together: neither came before the other.
            (vec![&public, &partner], vec![], false),
            (vec![&public, &first], vec![], false),
            (vec![&correction], vec![], true),
            (vec![&first, &correction], vec![], false),
            (vec![&correction, &first], vec![], false),
            (vec![&first, &bare], vec![], false),
        ] {
            let folders: Vec<PathBuf> = folders.into_iter().cloned().collect();
            let found = Kinship::of(&folders).unwrap();
            assert_eq!((found.before(), found.is_correction), (before, is_correction), "{folders:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let table = format!("{HEADER}TOTAL,TOTAL,7,75,published\n");
        for (micro, spec, tables, expected) in [
            (MICRO.replace("zone", "area"), SPEC.to_owned(), vec![table.clone()], "expected a column `zone`"),
            (
                MICRO.to_owned(),
                SPEC.to_owned(),
                vec![table.replace("TOTAL,TOTAL", "Q,quarter")],
                "expected a column `quarter`",
            ),
            (MICRO.to_owned(), SPEC.replace("min_contributors", "min_contributor"), vec![table.clone()], "line 3"),
            (
                MICRO.to_owned(),
                SPEC.to_owned(),
                vec![table.replace("headcount", "heads")],
                "table `t`: found other columns",
            ),
            (MICRO.to_owned(), SPEC.to_owned(), vec![String::new()], "table `t`: found other columns"),
        ] {
            let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
            let faults = audited(&micro, &spec, &tables).unwrap_err().join("\n");
            assert!(faults.contains(expected), "{faults}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(release(folder.path()).unwrap_err().0.code, "input_unreadable");
        std::fs::create_dir(folder.path().join("tables")).unwrap();
        assert_eq!(release(folder.path()).unwrap_err().0.code, "release_empty");
        std::fs::write(folder.path().join("tables").join("t.csv"), b"a,b\n\xff,1\n").unwrap();
        assert_eq!(release(folder.path()).unwrap_err().0.code, "table_unreadable");
    }
}
