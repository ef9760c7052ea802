//! The imperative shell: calls the steps in their order for one upload, passes time in as a value, and gives back the release.

use crate::config::{About, Policy, Profile};
use crate::model::{Establishment, Read, Register, Reject, ReleaseId, Source, Unreadable, Zoning};
use crate::steps::assign::{Placement, assign};
use crate::steps::index::ZoneIndex;
use crate::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use crate::steps::read::register::{RegisterOptions, register};
use crate::steps::read::table::Input;
use crate::steps::read::{self, Files, ZoneOptions};
use crate::steps::reproject::{self, Reprojector};
use crate::steps::seal;
use crate::steps::secrecy::{
    BadSpec, Column, Counts, Microdata, NotAuditable, NotProtectable, NotTabulable, ProtectedTables, ReleasedTables,
    audit, protect, tabulate,
};
use crate::steps::validate::validate;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One zoning to publish: its file and what the file does not say.
pub struct ZoningUpload {
    /// Name in paths: `secteurs`.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Version of the perimeter.
    pub version: String,
    /// The bytes.
    pub files: Files,
    /// How to read them.
    pub options: ZoneOptions,
    /// How many zones the contract of the layer names.
    pub expected: Option<usize>,
}

/// A register to publish.
pub struct RegisterUpload {
    /// Name of the file.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How to read them.
    pub options: RegisterOptions,
}

/// Everything a release is made from.
pub struct Order {
    /// The zonings, in the order shown.
    pub zonings: Vec<ZoningUpload>,
    /// The registers; rows of all of them are one set.
    pub registers: Vec<RegisterUpload>,
    /// The policy in force.
    pub policy: Policy,
    /// What data these are, for the rules that name owners and datasets.
    pub about: About,
    /// Exact source string.
    pub source: String,
    /// Licence.
    pub licence: String,
    /// A sentence people must see, or nothing.
    pub notice: String,
    /// The time of the act, RFC 3339 UTC.
    pub now: String,
}

/// What the operator reads of a run; counts only.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rows refused, by file.
    pub rejected: Vec<Reject>,
    /// By zoning: inside, on a border, outside.
    pub placed: BTreeMap<String, [usize; 3]>,
    /// Establishments without a usable place.
    pub unplaced: usize,
    /// Establishments sent by both sources for one vintage: the Urssaf figure is kept.
    pub in_both_sources: usize,
    /// Establishments without a headcount, left out of the tables.
    pub without_headcount: usize,
    /// Cells and withheld cells, by vintage.
    pub counts: BTreeMap<u16, Counts>,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// A file is of no use.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A zoning is refused.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Zoning(Vec<Reject>),
    /// The policy does not fit.
    #[error("policy, {0}")]
    Policy(#[from] BadSpec),
    /// Records and tables do not fit.
    #[error(transparent)]
    Tables(#[from] NotTabulable),
    /// The tables cannot be protected.
    #[error(transparent)]
    Secrecy(#[from] NotProtectable),
    /// The audit gave no verdict.
    #[error("the audit gave no verdict: {0}; nothing is published")]
    NoVerdict(#[from] NotAuditable),
    /// The audit found a leak: a fault of ours, and nothing is published.
    #[error("vintage {vintage}: the audit refuses the tables ({faults} faults); nothing is published")]
    Audit {
        /// The vintage.
        vintage: u16,
        /// How many cells it names.
        faults: usize,
    },
    /// No establishment to count.
    #[error("registers: found no usable establishment, expected at least one; nothing is published")]
    Empty,
}

/// Runs steps 1 to 8.
///
/// # Errors
/// [`NotPublished`]: then there is no release.
pub fn run(order: &Order) -> Result<(Release, Report), NotPublished> {
    let mut report = Report::default();
    let mut inputs = BTreeMap::new();
    let mut zonings: Vec<(&ZoningUpload, Zoning)> = Vec::new();
    for upload in &order.zonings {
        for (part, bytes) in &upload.files.parts {
            inputs.insert(part.clone(), sha256_hex(bytes));
        }
        let zoning = zoning_of(upload, &mut report)?;
        zonings.push((upload, zoning));
    }

    let mut all = Register::default();
    for upload in &order.registers {
        inputs.insert(upload.name.clone(), sha256_hex(&upload.bytes));
        let Read { accepted, rejected } = register(&upload.name, Input::from(upload.bytes.clone()), &upload.options)?;
        all.establishments.extend(accepted);
        report.rejected.extend(rejected);
    }
    reconcile(&mut all, &mut report);
    let (x, y) = places(&all, &mut report)?;

    let mut placements = Vec::new();
    for (upload, zoning) in &zonings {
        let found = assign(&ZoneIndex::new(zoning), &x, &y);
        let count = |f: fn(&Placement) -> bool| found.iter().zip(&x).filter(|(p, x)| !x.is_nan() && f(p)).count();
        let counts = [
            count(|p| matches!(p, Placement::Inside(_))),
            count(|p| matches!(p, Placement::OnBorder { .. })),
            count(|p| matches!(p, Placement::Outside)),
        ];
        report.placed.insert(upload.id.clone(), counts);
        placements.push(found);
    }

    let names: Vec<&str> = order.zonings.iter().map(|z| z.id.as_str()).collect();
    let spec = order.policy.spec(Profile::Public, &order.about, &names)?;
    let mut vintages = BTreeMap::new();
    let years: std::collections::BTreeSet<u16> = all.establishments.iter().map(|e| e.vintage).collect();
    // Years share no cell, so each is a puzzle of its own; a few of them fit in memory side by side.
    let (all, zonings_of, placements, spec) = (&all, &zonings, &placements, &spec);
    let protected = std::thread::scope(|scope| {
        let work = |year| scope.spawn(move || vintage(all, year, zonings_of, placements, spec));
        let threads: Vec<_> = years.iter().map(|&year| (year, work(year))).collect();
        let join = |(year, thread): (u16, std::thread::ScopedJoinHandle<'_, _>)| (year, thread.join());
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    for (year, made) in protected {
        let (tables, counts) = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        report.counts.insert(year, counts);
        vintages.insert(year, tables);
    }
    if vintages.is_empty() {
        return Err(NotPublished::Empty);
    }

    let provenance = Provenance {
        source: order.source.clone(),
        updated: order.now.clone(),
        licence: order.licence.clone(),
        notice: order.notice.clone(),
        policy: order.policy.fingerprint(),
        policy_version: order.policy.version.clone(),
        inputs,
        arpent: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let zonings = zonings.into_iter().map(|(upload, zoning)| released(upload, &zoning)).collect::<Result<_, _>>()?;
    let mut release = Release { id: ReleaseId::from_digest(""), zonings, vintages, provenance };
    release.id = ReleaseId::from_digest(&sha256_hex(&seal::seal(&release)));
    Ok((release, report))
}

fn zoning_of(upload: &ZoningUpload, report: &mut Report) -> Result<Zoning, NotPublished> {
    let layer = read::zones(&upload.files, &upload.options)?;
    if !layer.records.rejected.is_empty() {
        return Err(NotPublished::Zoning(layer.records.rejected));
    }
    report.rejected.extend(layer.warnings);
    let Read { accepted, rejected } = reproject::zones(layer.records.accepted)?;
    if !rejected.is_empty() {
        return Err(NotPublished::Zoning(rejected));
    }
    let (zoning, _topology) =
        validate(&layer.layer, accepted, upload.expected).map_err(|refused| NotPublished::Zoning(refused.errors))?;
    Ok(zoning)
}

/// A SIRET sent by both sources for one vintage is counted once, as Urssaf has it: the general scheme's register is the
/// fuller one, and the two are never added up.
fn reconcile(all: &mut Register, report: &mut Report) {
    let urssaf: std::collections::HashSet<(crate::model::Siret, u16)> =
        all.establishments.iter().filter(|e| e.source == Source::Urssaf).map(|e| (e.siret, e.vintage)).collect();
    let before = all.establishments.len();
    all.establishments.retain(|e| e.source == Source::Urssaf || !urssaf.contains(&(e.siret, e.vintage)));
    report.in_both_sources = before - all.establishments.len();
    report.without_headcount = all.establishments.iter().filter(|e| e.headcount.is_none()).count();
    all.establishments.retain(|e| e.headcount.is_some());
}

/// Columns of EPSG:2154 metres; NaN where there is no usable place.
fn places(all: &Register, report: &mut Report) -> Result<(Vec<f64>, Vec<f64>), Unreadable> {
    let mut ways: Vec<(crate::model::Crs, Reprojector)> = Vec::new();
    let mut columns = (Vec::with_capacity(all.establishments.len()), Vec::with_capacity(all.establishments.len()));
    for establishment in &all.establishments {
        let place = match &establishment.place {
            Err(_) => None,
            Ok(declared) => {
                let at = match ways.iter().position(|w| w.0 == declared.crs) {
                    Some(at) => at,
                    None => {
                        ways.push((declared.crs.clone(), Reprojector::new(&declared.crs)?));
                        ways.len() - 1
                    }
                };
                ways[at].1.point(declared.geometry.0, declared.geometry.1)
            }
        };
        report.unplaced += usize::from(place.is_none());
        let (x, y) = place.unwrap_or((f64::NAN, f64::NAN));
        columns.0.push(x);
        columns.1.push(y);
    }
    Ok(columns)
}

fn vintage(
    all: &Register,
    year: u16,
    zonings: &[(&ZoningUpload, Zoning)],
    placements: &[Vec<Placement>],
    spec: &crate::steps::secrecy::Spec,
) -> Result<(ProtectedTables, Counts), NotPublished> {
    let of_year: Vec<(usize, &Establishment)> =
        all.establishments.iter().enumerate().filter(|(_, e)| e.vintage == year).collect();
    let by = |f: &dyn Fn(&Establishment) -> &'static str| of_year.iter().map(|(_, e)| Some(f(e))).collect::<Vec<_>>();
    let headcount = |e: &Establishment| e.headcount.unwrap_or_default();
    let mut columns = vec![
        Column::of("naf_section", &by(&|e| e.naf.section())),
        Column::of("naf_division", &by(&|e| e.naf.division())),
        Column::of("tranche", &by(&|e| crate::model::Bracket::of(headcount(e)).code())),
        Column::of("source", &by(&|e| e.source.code())),
    ];
    for ((upload, zoning), placements) in zonings.iter().zip(placements) {
        let code = |i: usize| Some(zoning.zones()[placements[i].zone()? as usize].code.as_str());
        columns.push(Column::of(&upload.id, &of_year.iter().map(|(i, _)| code(*i)).collect::<Vec<_>>()));
    }
    let ids = of_year.iter().map(|(_, e)| format!("{}/{}", e.siret, e.source.code())).collect();
    let siren: Vec<String> = of_year.iter().map(|(_, e)| e.siret.siren().to_string()).collect();
    let weight = of_year.iter().map(|(_, e)| u64::from(headcount(e).employees())).collect();
    let micro = Microdata::new(ids, &siren, weight, columns);
    let (tables, dossier) = protect(&tabulate(&micro, spec)?, &spec.rules, &spec.protection, &[])?;
    let verdict = audit(&micro, spec, &[ReleasedTables::of("release", &tables)])?;
    if !verdict.is_safe() {
        return Err(NotPublished::Audit { vintage: year, faults: verdict.faults.len() });
    }
    Ok((tables, dossier.counts))
}

fn released(upload: &ZoningUpload, zoning: &Zoning) -> Result<ReleasedZoning, Unreadable> {
    let contours: Vec<_> = zoning.zones().iter().map(|z| &z.contour).collect();
    let zones = zoning.zones().iter().zip(reproject::to_wgs84(&contours)?).map(|(zone, contour)| ReleasedZone {
        code: zone.code.clone(),
        label: zone.label.clone(),
        contour,
    });
    Ok(ReleasedZoning {
        id: upload.id.clone(),
        title: upload.title.clone(),
        version: upload.version.clone(),
        zones: zones.collect(),
    })
}

/// SHA-256 in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
