//! The imperative shell: calls the steps in their order for one upload, passes time in as a value, and gives back the release.

pub mod findings;
pub mod inputs;
pub mod ledger;
pub mod office;
pub mod whatif;

use crate::config::{About, Policy, Profile, Unit};
use crate::model::{Establishment, Lambert93, Read, Register, Reject, ReleaseId, Unreadable, Zoning};
use crate::steps::assign::{Placement, assign};
pub use crate::steps::bytes::sha256_hex;
use crate::steps::groups::GroupOptions;
use crate::steps::index::ZoneIndex;
use crate::steps::intake::{Intake, Wanted, take_in};
use crate::steps::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use crate::steps::read::groups::groups;
use crate::steps::read::register::{RegisterOptions, register};
use crate::steps::read::table::Input;
use crate::steps::read::{Files, ZoneOptions};
use crate::steps::reconcile::{BothSources, reconcile};
use crate::steps::repair::Repair;
use crate::steps::reproject::{self, Reprojector};
use crate::steps::review::decisions::{Applied, Decisions, apply};
use crate::steps::seal;
use crate::steps::secrecy::{
    BadSpec, BothProfiles, Checks, Column, Counts, Earlier, EarlierTable, FaultKind, Leads, Microdata, NotAuditable,
    NotProtected, Past, ProtectedAfter, ProtectedTables, ReleasedTables, Revision, SAME_RECORDS, Search, Spec, Years,
    examine, keep, protect_in, protect_profiles, protect_revision, published_together, refuse_given_away,
    seen_by_partners,
};
use geo::MultiPolygon;
use ledger::Dossier;
use std::collections::{BTreeMap, BTreeSet, HashSet};

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
    /// What is mended.
    pub repair: Repair,
    /// The table that makes groups of the zones of the file; then the groups are the zoning.
    pub groups: Option<GroupsUpload>,
}

/// A table of codes that makes a zoning of another one.
pub struct GroupsUpload {
    /// The zoning of the members.
    pub zoning: String,
    /// Its version.
    pub version: String,
    /// Name of the table's file.
    pub name: String,
    /// The table.
    pub bytes: Vec<u8>,
    /// Whether zones that the table does not name are left out.
    pub partial: bool,
}

impl ZoningUpload {
    /// Steps 1 to 3; the zones are held against a territory, where there is one.
    ///
    /// # Errors
    /// As [`take_in`], and a table of groups that is none.
    pub fn take_in(&self, territory: Option<&Lambert93<MultiPolygon>>) -> Result<Intake, Unreadable> {
        let read = |upload: &GroupsUpload| groups(&upload.name, upload.bytes.clone());
        let table = self.groups.as_ref().map(read).transpose()?;
        let options = |upload: &GroupsUpload| GroupOptions { partial: upload.partial };
        let wanted = Wanted {
            options: self.options.clone(),
            expected: self.expected,
            territory,
            repair: self.repair,
            groups: table.as_ref().zip(self.groups.as_ref().map(options)),
        };
        take_in(&self.files, &wanted)
    }
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
    /// The vintages wanted, by the year of their 31 December; every one of the registers when none is named.
    pub vintages: BTreeSet<u16>,
    /// Whose figure is kept of an establishment that both sources declare.
    pub keep: BothSources,
    /// What people decided about establishments, applied before they are placed.
    pub decisions: Decisions,
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
    /// Establishments sent by both sources for one vintage, of which one figure is kept.
    pub in_both_sources: usize,
    /// What the decisions did.
    pub decided: Applied,
    /// Establishments without a headcount, left out of the tables.
    pub without_headcount: usize,
    /// Cells and withheld cells, by vintage.
    pub counts: BTreeMap<u16, Counts>,
    /// Vintages whose published records are corrected, with the release that is.
    pub revised: BTreeMap<u16, String>,
    /// By vintage, how often releases before tell a single contributor one end of an unsafe cell, whatever is withheld.
    pub told: BTreeMap<u16, usize>,
    /// By vintage, how many unsafe sums that no table shows releases before give away, whatever is withheld.
    pub remainders_told: BTreeMap<u16, usize>,
    /// The same of what partners see: [`Report::told`].
    pub partner_told: BTreeMap<u16, usize>,
    /// The same of what partners see: [`Report::remainders_told`].
    pub partner_remainders_told: BTreeMap<u16, usize>,
    /// By vintage, how many ends of unsafe cells and sums are proved against those alone who do not use that headcounts are
    /// whole.
    pub in_fractions: BTreeMap<u16, usize>,
    /// The same of what partners see: [`Report::in_fractions`].
    pub partner_in_fractions: BTreeMap<u16, usize>,
}

/// A release published before, as the next ones must reckon with it.
pub struct Published {
    /// Its id.
    pub id: String,
    /// Whether partners alone were shown it.
    pub partners_only: bool,
    /// By vintage, its records and tables, and the id of the release they correct.
    pub vintages: BTreeMap<u16, (Earlier, Option<String>)>,
}

/// What a run made.
pub struct Made {
    /// What anybody may see.
    pub release: Release,
    /// What the owner keeps of it.
    pub dossier: Dossier,
    /// What partners may see, where the policy gives them more.
    pub partner: Option<(Release, Dossier)>,
    /// Counts for the operator.
    pub report: Report,
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
    /// The tables cannot be protected, alone or with what was published before.
    #[error("vintage {vintage}: {why}")]
    Secrecy {
        /// The vintage.
        vintage: u16,
        /// Why not.
        why: Box<NotProtected>,
    },
    /// Partners were shown more than the public, and this policy does not say what partners may see.
    #[error(
        "policy: found no `[partner]`, expected one: partners were given release {release}, and what is published now must \
         be safe from them too"
    )]
    PartnersForgotten {
        /// The partners' release.
        release: String,
    },
    /// The audit gave no verdict.
    #[error("the audit gave no verdict: {0}; nothing is published")]
    NoVerdict(#[from] NotAuditable),
    /// The audit found a leak: a fault of ours, and nothing is published.
    #[error("vintage {vintage}: the audit refuses the tables ({faults} faults); nothing is published")]
    Audit {
        /// The vintage.
        vintage: u16,
        /// How many faults it found, in the tables and in their certificate.
        faults: u64,
    },
    /// Registers overlap, and their figures would be counted twice.
    #[error(
        "registers: found {count} establishments that two files hold for one year and source, expected each of them once; \
         nothing is published"
    )]
    MetTwice {
        /// How many.
        count: usize,
    },
    /// No establishment to count.
    #[error("registers: found no usable establishment, expected at least one; nothing is published")]
    Empty,
}

/// Runs steps 1 to 8, when nothing was published before.
///
/// # Errors
/// [`NotPublished`]: then there is no release.
pub fn run(order: &Order) -> Result<(Release, Report), NotPublished> {
    run_after(order, &[]).map(|made| (made.release, made.report))
}

/// Runs steps 1 to 8, protected against everything published before, withdrawn releases included.
///
/// # Errors
/// [`NotPublished`]: then there is no release.
pub fn run_after(order: &Order, past: &[Published]) -> Result<Made, NotPublished> {
    publish(prepare(order, &order.zonings.iter().collect::<Vec<_>>())?, past, Purpose::Publication)
}

/// Steps 1 to 5 of an order: everything read, and each establishment in its zones.
struct Prepared<'a> {
    order: &'a Order,
    report: Report,
    inputs: BTreeMap<String, String>,
    zonings: Vec<(&'a ZoningUpload, Zoning)>,
    all: Register,
    /// Where the establishments stand, in EPSG:2154 metres; NaN where nobody can say.
    x: Vec<f64>,
    y: Vec<f64>,
    placements: Vec<Vec<Placement>>,
}

fn prepare<'a>(order: &'a Order, uploads: &[&'a ZoningUpload]) -> Result<Prepared<'a>, NotPublished> {
    let mut report = Report::default();
    let mut inputs = BTreeMap::new();
    let mut zonings: Vec<(&ZoningUpload, Zoning)> = Vec::new();
    for &upload in uploads {
        for (part, bytes) in &upload.files.parts {
            inputs.insert(part.clone(), sha256_hex(bytes));
        }
        if let Some(table) = &upload.groups {
            inputs.insert(table.name.clone(), sha256_hex(&table.bytes));
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
    if !order.vintages.is_empty() {
        all.establishments.retain(|e| order.vintages.contains(&e.vintage));
    }
    if !order.decisions.is_empty() {
        inputs.insert("decisions.csv".to_owned(), sha256_hex(order.decisions.csv().as_bytes()));
    }
    let mut met = HashSet::new();
    let count = all.establishments.iter().filter(|e| !met.insert((e.siret, e.vintage, e.source))).count();
    if count > 0 {
        return Err(NotPublished::MetTwice { count });
    }
    settle(&mut all, order, &mut report);
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

    Ok(Prepared { order, report, inputs, zonings, all, x, y, placements })
}

/// What tables are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be shown: the cheapest pattern is sought as long as the policy says, and everything is audited.
    Publication,
    /// A first look: every unsafe cell is proved safe all the same, and nothing is kept.
    Preview,
}

/// Steps 6 to 8.
fn publish(prepared: Prepared<'_>, past: &[Published], purpose: Purpose) -> Result<Made, NotPublished> {
    let Prepared { order, mut report, inputs, zonings, all, placements, .. } = prepared;
    let names: Vec<&str> = zonings.iter().map(|(upload, _)| upload.id.as_str()).collect();
    let spec = |profile| {
        let mut spec = order.policy.spec(profile, &order.about, &names)?;
        if purpose == Purpose::Preview {
            spec.protection.search = Search::Glance;
        }
        Ok::<_, BadSpec>(spec)
    };
    let (public, partner) = (spec(Profile::Public)?, order.policy.partner.as_ref().map(|_| spec(Profile::Partner)));
    let partner = partner.transpose()?;
    let to_partners = past.iter().find(|p| p.partners_only).filter(|_| partner.is_none());
    if let Some(release) = to_partners {
        return Err(NotPublished::PartnersForgotten { release: release.id.clone() });
    }
    let years: BTreeSet<u16> = all.establishments.iter().map(|e| e.vintage).collect();
    let work = Work { all: &all, zonings: &zonings, placements: &placements, order, public: &public, past, purpose };
    let work = &work;
    let partner = partner.as_ref();
    let mut results: BTreeMap<u16, Vintage> = BTreeMap::new();
    match order.policy.history.years {
        // Years share no cell, so each is a puzzle of its own; a few of them fit in memory side by side.
        Years::Independent => {
            // A year that cannot be published is known in a moment: the others, if there are any, need no pattern then.
            if partner.is_none() && years.len() > 1 {
                side_by_side(&years, |year| given_away(work, year)).into_iter().try_for_each(|(_, found)| found)?;
            }
            for (year, made) in side_by_side(&years, |year| vintage(work, partner, year, None)) {
                results.insert(year, made?);
            }
        }
        Years::HideAgain => {
            for &year in &years {
                let before = year.checked_sub(1);
                let published = || {
                    let mut releases = past.iter().rev().filter(|p| !p.partners_only);
                    releases.find_map(|p| Some(&p.vintages.get(&before?)?.0))
                };
                let just_made = before.and_then(|before| results.get(&before)).map(|made| made.as_earlier(&public));
                let made = vintage(work, partner, year, just_made.as_ref().or_else(published))?;
                results.insert(year, made);
            }
        }
    }
    if results.is_empty() {
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
    let zonings: Vec<ReleasedZoning> =
        zonings.into_iter().map(|(upload, zoning)| released(upload, &zoning)).collect::<Result<_, _>>()?;
    let (mut public_tables, mut partner_tables) = (BTreeMap::new(), BTreeMap::new());
    let mut dossier = Dossier { partners_only: false, vintages: BTreeMap::new() };
    let mut partner_dossier = Dossier { partners_only: true, vintages: BTreeMap::new() };
    for (year, made) in results {
        report.counts.insert(year, made.counts);
        report.tell(year, made.told, made.partner_told);
        report.revised.extend(made.revises.clone().map(|id| (year, id)));
        dossier.vintages.insert(year, (keep(&made.micro, &public, &made.leads), made.revises));
        public_tables.insert(year, made.tables);
        if let (Some(tables), Some(spec)) = (made.partner, partner) {
            partner_dossier.vintages.insert(year, (keep(&made.micro, spec, &made.partner_leads), None));
            partner_tables.insert(year, tables);
        }
    }
    let release = |vintages| {
        let (zonings, provenance) = (zonings.clone(), provenance.clone());
        let mut release = Release { id: ReleaseId::from_digest(""), zonings, vintages, provenance };
        release.id = ReleaseId::from_digest(&sha256_hex(&seal::seal(&release)));
        release
    };
    let partner = (!partner_tables.is_empty()).then(|| (release(partner_tables), partner_dossier));
    Ok(Made { release: release(public_tables), dossier, partner, report })
}

fn zoning_of(upload: &ZoningUpload, report: &mut Report) -> Result<Zoning, NotPublished> {
    let mut intake = upload.take_in(None)?;
    report.rejected.append(&mut intake.layer.warnings);
    intake.whole().map_err(NotPublished::Zoning)
}

/// One record an establishment or site: what both sources sent is counted once, what people decided is applied, and who has
/// no headcount is not counted.
fn settle(all: &mut Register, order: &Order, report: &mut Report) {
    report.in_both_sources = reconcile(all, order.keep).len();
    report.decided = apply(&order.decisions, all);
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

/// What every vintage of an order is made from.
struct Work<'a> {
    all: &'a Register,
    zonings: &'a [(&'a ZoningUpload, Zoning)],
    placements: &'a [Vec<Placement>],
    order: &'a Order,
    public: &'a Spec,
    past: &'a [Published],
    purpose: Purpose,
}

/// One vintage, protected and audited.
struct Vintage {
    micro: Microdata,
    tables: ProtectedTables,
    partner: Option<ProtectedTables>,
    counts: Counts,
    revises: Option<String>,
    told: Reservations,
    /// The same of what partners see.
    partner_told: Reservations,
    leads: Leads,
    /// The same of what partners see.
    partner_leads: Leads,
}

/// What protection does not give, in counts: what releases published before give away by themselves, and what is proved against
/// those alone who do not count in whole employees.
#[derive(Debug, Clone, Copy, Default)]
struct Reservations {
    /// Ends of unsafe cells, each to a single contributor.
    ends: usize,
    /// Unsafe sums that no table shows.
    remainders: usize,
    /// Ends of unsafe cells and sums that are proved in fractions alone.
    in_fractions: usize,
}

impl Reservations {
    fn of(protected: &ProtectedAfter) -> Self {
        let ProtectedAfter { told, dossier, .. } = protected;
        Self { ends: told.len(), remainders: dossier.remainders.told, in_fractions: dossier.in_fractions }
    }
}

impl Report {
    /// Says what is not protected of a vintage from the public and from partners.
    fn tell(&mut self, year: u16, public: Reservations, partner: Reservations) {
        for (said, n) in [
            (&mut self.told, public.ends),
            (&mut self.remainders_told, public.remainders),
            (&mut self.partner_told, partner.ends),
            (&mut self.partner_remainders_told, partner.remainders),
            (&mut self.in_fractions, public.in_fractions),
            (&mut self.partner_in_fractions, partner.in_fractions),
        ] {
            if n > 0 {
                said.insert(year, n);
            }
        }
    }
}

impl Vintage {
    fn as_earlier(&self, spec: &Spec) -> Earlier {
        Earlier {
            name: "the year before".to_owned(),
            micro: self.micro.clone(),
            spec: spec.clone(),
            tables: EarlierTable::of_all(&self.tables),
            leads: Leads::default(),
            for_partners: false,
        }
    }
}

fn microdata(work: &Work<'_>, year: u16) -> Microdata {
    let of_year: Vec<(usize, &Establishment)> =
        work.all.establishments.iter().enumerate().filter(|(_, e)| e.vintage == year).collect();
    let by = |f: &dyn Fn(&Establishment) -> &'static str| of_year.iter().map(|(_, e)| Some(f(e))).collect::<Vec<_>>();
    let headcount = |e: &Establishment| e.headcount.unwrap_or_default();
    let mut columns = vec![
        Column::of("naf_section", &by(&|e| e.naf.section())),
        Column::of("naf_division", &by(&|e| e.naf.division())),
        Column::of("tranche", &by(&|e| crate::model::Bracket::of(headcount(e)).code())),
        Column::of("source", &by(&|e| e.source.code())),
    ];
    for ((upload, zoning), placements) in work.zonings.iter().zip(work.placements) {
        let code = |i: usize| Some(zoning.zones()[placements[i].zone()? as usize].code.as_str());
        columns.push(Column::of(&upload.id, &of_year.iter().map(|(i, _)| code(*i)).collect::<Vec<_>>()));
    }
    // The sites of a split establishment are records of their own.
    let id = |e: &Establishment| match e.site {
        0 => format!("{}/{}", e.siret, e.source.code()),
        site => format!("{}/{}/{site}", e.siret, e.source.code()),
    };
    let ids = of_year.iter().map(|(_, e)| id(e)).collect();
    let contributor = |e: &Establishment| {
        let siren = e.siret.siren().to_string();
        match work.order.policy.unit {
            Unit::Siret => e.siret.to_string(),
            Unit::Siren => siren,
            Unit::Group => work.order.about.groups.get(&siren).cloned().unwrap_or(siren),
        }
    };
    let contributors: Vec<String> = of_year.iter().map(|(_, e)| contributor(e)).collect();
    let weight = of_year.iter().map(|(_, e)| u64::from(headcount(e).employees())).collect();
    Microdata::new(ids, &contributors, weight, columns)
}

/// Does the same for each year, each on a thread of its own.
fn side_by_side<T: Send>(years: &BTreeSet<u16>, of: impl Fn(u16) -> T + Sync) -> Vec<(u16, T)> {
    let of = &of;
    std::thread::scope(|scope| {
        let threads: Vec<_> = years.iter().map(|&year| (year, scope.spawn(move || of(year)))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, T>| match thread.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(|(year, thread)| (year, join(thread))).collect()
    })
}

/// What was published of a year.
struct PublishedOf<'a> {
    /// Releases whose records were corrected, by their corrections: these show the same sums and stand for them.
    corrected: Vec<&'a str>,
    /// To everybody.
    shown: Vec<(&'a str, &'a Earlier)>,
    /// To partners alone.
    shown_to_partners: Vec<(&'a str, &'a Earlier)>,
}

impl<'a> PublishedOf<'a> {
    fn year(past: &'a [Published], year: u16) -> Self {
        let corrected: Vec<&str> = past.iter().filter_map(|p| p.vintages.get(&year)?.1.as_deref()).collect();
        let of_year = |partners_only: bool| {
            let past = past.iter().filter(move |p| p.partners_only == partners_only);
            let live = past.filter(|p| !corrected.contains(&p.id.as_str()));
            live.filter_map(|p| Some((p.id.as_str(), &p.vintages.get(&year)?.0))).collect::<Vec<_>>()
        };
        let (shown, shown_to_partners) = (of_year(false), of_year(true));
        Self { corrected, shown, shown_to_partners }
    }
}

impl PublishedOf<'_> {
    /// What a release of a year corrected, what that one did, and so on.
    fn corrected_before<'a>(past: &'a [Published], year: u16, id: &str) -> Vec<&'a Earlier> {
        let of_year = |id: &str| past.iter().find(|p| p.id == id).and_then(|p| p.vintages.get(&year));
        let mut found: Vec<&Earlier> = Vec::new();
        let mut last = of_year(id);
        while let Some(older) = last.and_then(|(_, revises)| of_year(revises.as_deref()?)) {
            found.push(&older.0);
            // Each corrects one that was there before it.
            last = Some(older).filter(|_| found.len() < past.len());
        }
        found
    }
}

/// Refuses what a year gives away together with what was published of it before; anything else is for [`vintage`] to say.
fn given_away(work: &Work<'_>, year: u16) -> Result<(), NotPublished> {
    let published = PublishedOf::year(work.past, year);
    if published.shown.is_empty() {
        return Ok(());
    }
    let past = Past { earlier: published.shown.iter().map(|(_, e)| *e).collect(), last_year: None };
    refuse_given_away(&microdata(work, year), work.public, &past)
        .map_err(|why| NotPublished::Secrecy { vintage: year, why: Box::new(why) })
}

fn vintage(
    work: &Work<'_>,
    partner: Option<&Spec>,
    year: u16,
    last_year: Option<&Earlier>,
) -> Result<Vintage, NotPublished> {
    let refused = |why: NotProtected| NotPublished::Secrecy { vintage: year, why: Box::new(why) };
    let micro = microdata(work, year);
    let spec = work.public;
    let PublishedOf { corrected, shown, shown_to_partners } = PublishedOf::year(work.past, year);
    let earlier: Vec<&Earlier> = shown.iter().map(|(_, e)| *e).collect();
    let past = Past { earlier: earlier.clone(), last_year };
    let mut revises = None;
    let (mut public, mut of_partner) = match partner {
        Some(partner) => {
            let known: Vec<&Earlier> = shown_to_partners.iter().map(|(_, e)| *e).collect();
            let both = protect_profiles(&micro, spec, partner, &past, &known).map_err(|why| match why {
                NotProtected::OtherMicrodata { release, expected: SAME_RECORDS, .. } => refused(NotProtected::NotRevisable {
                    release,
                    why: "other records, and a policy with `[partner]`, by which nothing published can be corrected",
                    cells: Vec::new(),
                    more: 0,
                }),
                other => refused(other),
            })?;
            let BothProfiles { public, partner } = both;
            (public, Some(partner))
        }
        None => match protect_in(&micro, spec, &past) {
            Ok(protected) => (protected, None),
            // Records that differ from those published are a correction, where there is one release to correct.
            Err(NotProtected::OtherMicrodata { .. })
                if shown.len() == 1 && spec.history.revision == Revision::Freeze =>
            {
                let (id, published) = shown[0];
                revises = Some(id.to_owned());
                let older = PublishedOf::corrected_before(work.past, year, id);
                (protect_revision(&micro, spec, published, &older).map_err(refused)?, None)
            }
            Err(other) => return Err(refused(other)),
        },
    };
    let audit = Audit { year, purpose: work.purpose };
    if revises.is_some() {
        // The proof is of the tables as they were found, of which what was shown before may not pass any more.
        let proof = public.dossier.proof.bytes();
        let checks = Checks { attack: false, certificate: Some(&proof), ..Checks::default() };
        audit.of(&micro, spec, &[ReleasedTables::of("release", &public.tables)], &checks, PublishedUnsafe::Before)?;
    }
    let corrections = work.past.iter().filter(|p| !p.partners_only && !corrected.contains(&p.id.as_str()));
    for (correction, revised) in corrections.filter_map(|p| p.vintages.get(&year)) {
        if revised.is_some() {
            public.withhold_as(correction);
        }
    }
    public.withhold_unsafe();
    let told = Reservations::of(&public);
    let partner_told = of_partner.as_ref().map(Reservations::of).unwrap_or_default();
    let counts = public.dossier.counts;
    if !earlier.is_empty() {
        audit.alone(&micro, spec, &public.tables)?;
    }
    if revises.is_none() {
        let all = || published_together(&micro, spec, &public.tables, &earlier).map_err(refused);
        audit.together(all, &public)?;
    }
    let partner_leads = of_partner.as_mut().map(|seen| std::mem::take(&mut seen.leads)).unwrap_or_default();
    let of_partner = match (of_partner, partner) {
        (Some(mut protected), Some(partner)) => {
            protected.withhold_unsafe();
            let known: Vec<&Earlier> = earlier.into_iter().chain(shown_to_partners.iter().map(|(_, e)| *e)).collect();
            if !known.is_empty() {
                audit.alone(&micro, partner, &protected.tables)?;
            }
            let tables = [&public.tables, &protected.tables];
            let all = || seen_by_partners(&micro, [spec, partner], tables, &known).map_err(refused);
            audit.together(all, &protected)?;
            Some(protected.tables)
        }
        _ => None,
    };
    let ProtectedAfter { tables, leads, .. } = public;
    Ok(Vintage { micro, tables, partner: of_partner, counts, revises, told, partner_told, leads, partner_leads })
}

/// What is asked of the tables of a vintage before they are published; of a preview, nothing.
struct Audit {
    year: u16,
    purpose: Purpose,
}

/// Whose fault a cell is that is shown though a rule makes it unsafe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PublishedUnsafe {
    /// That of the tables which are judged.
    Now,
    /// That of what was shown before, by a looser policy: it cannot be taken back.
    Before,
}

impl Audit {
    fn of(
        &self,
        micro: &Microdata,
        spec: &Spec,
        releases: &[ReleasedTables],
        checks: &Checks<'_>,
        published_unsafe: PublishedUnsafe,
    ) -> Result<(), NotPublished> {
        if self.purpose == Purpose::Preview {
            return Ok(());
        }
        let verdict = examine(micro, spec, releases, checks)?;
        let excused = match published_unsafe {
            PublishedUnsafe::Now => None,
            PublishedUnsafe::Before => verdict.by_kind.get(&FaultKind::PublishedUnsafe),
        };
        match verdict.n_faults() - excused.copied().unwrap_or_default() {
            0 => Ok(()),
            faults => Err(NotPublished::Audit { vintage: self.year, faults }),
        }
    }

    /// Tables by themselves, where others were published before. What is left of cells beside others may have been told then:
    /// [`Self::together`] knows, and a correction shows the sums that were shown.
    fn alone(&self, micro: &Microdata, spec: &Spec, tables: &ProtectedTables) -> Result<(), NotPublished> {
        let checks = Checks { remainders_are_faults: false, ..Checks::default() };
        self.of(micro, spec, &[ReleasedTables::of("release", tables)], &checks, PublishedUnsafe::Now)
    }

    /// All that some reader has of the vintage, the present tables first: attacked as one, and the proof verified that speaks of
    /// all of it.
    fn together(
        &self,
        all: impl FnOnce() -> Result<(Microdata, Spec, Vec<ReleasedTables>), NotPublished>,
        protected: &ProtectedAfter,
    ) -> Result<(), NotPublished> {
        if self.purpose == Purpose::Preview {
            return Ok(());
        }
        let (records, spec, releases) = all()?;
        let before: Vec<usize> = (1..releases.len()).collect();
        let proof = protected.dossier.proof.bytes();
        let checks = Checks { certificate: Some(&proof), before: &before, told: &protected.told, ..Checks::default() };
        let published_unsafe = if before.is_empty() { PublishedUnsafe::Now } else { PublishedUnsafe::Before };
        self.of(&records, &spec, &releases, &checks, published_unsafe)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::secrecy::Certificate;

    const SPEC: &str = "contributor = 'who'\nweight = 'heads'\nrules = { min_contributors = 3 }\n[dimensions.zone]\n\
                        levels = ['zone']\n[dimensions.act]\nlevels = ['act']\n[[tables]]\n";

    #[test]
    fn what_is_published_after_others_or_beside_partners_needs_a_proof_of_all_of_it() {
        let spec = |table: &str| Spec::parse(&format!("{SPEC}{table}")).unwrap();
        let by_zone = spec("name = 't'\ndimensions = ['zone']");
        let by_act = spec("name = 'u'\ndimensions = ['act']");
        // One firm of each act in P and in Q, and three in R.
        let codes: Vec<[&str; 2]> =
            ["P", "Q", "R"].iter().flat_map(|zone| ["k", "l"].map(|act| [*zone, act])).collect();
        let records: Vec<[&str; 2]> = codes.iter().flat_map(|c| vec![*c; if c[0] == "R" { 3 } else { 1 }]).collect();
        let column = |name, at: usize| Column::of(name, &records.iter().map(|r| Some(r[at])).collect::<Vec<_>>());
        let names: Vec<String> = (0..records.len()).map(|i| i.to_string()).collect();
        let micro =
            Microdata::new(names.clone(), &names, vec![20; names.len()], vec![column("zone", 0), column("act", 1)]);

        let first = protect_in(&micro, &by_zone, &Past::default()).unwrap();
        let earlier = Earlier {
            name: "first".to_owned(),
            micro: micro.clone(),
            spec: by_zone.clone(),
            tables: EarlierTable::of_all(&first.tables),
            leads: first.leads.clone(),
            for_partners: false,
        };
        let after = Past { earlier: vec![&earlier], last_year: None };
        let audit = Audit { year: 2024, purpose: Purpose::Publication };

        let protected = || protect_in(&micro, &by_act, &after).unwrap();
        let judged = |protected: &ProtectedAfter| {
            let all = || Ok(published_together(&micro, &by_act, &protected.tables, &after.earlier).unwrap());
            audit.together(all, protected)
        };
        assert!(judged(&protected()).is_ok());
        // None, and one that speaks of the present tables alone.
        let alone = protect_in(&micro, &by_act, &Past::default()).unwrap().dossier.proof;
        for proof in [Certificate::default(), alone] {
            let mut unproved = protected();
            unproved.dossier.proof = proof;
            assert!(matches!(judged(&unproved), Err(NotPublished::NoVerdict(NotAuditable::BadCertificate { .. }))));
        }

        let BothProfiles { public, mut partner } = protect_profiles(&micro, &by_act, &by_zone, &after, &[]).unwrap();
        let judged = |partner: &ProtectedAfter| {
            let tables = [&public.tables, &partner.tables];
            let all = || Ok(seen_by_partners(&micro, [&by_act, &by_zone], tables, &after.earlier).unwrap());
            audit.together(all, partner)
        };
        assert!(judged(&partner).is_ok());
        for proof in [Certificate::default(), protected().dossier.proof] {
            partner.dossier.proof = proof;
            assert!(matches!(judged(&partner), Err(NotPublished::NoVerdict(NotAuditable::BadCertificate { .. }))));
        }
    }
}
