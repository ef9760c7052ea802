//! `arpent protect`: tabulates microdata, protects the tables, and writes what may be shown beside what its owner keeps.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::output::print;
use super::release::{self, Content, ReadBack};
use crate::config::Profile;
use crate::model::{Reject, Unreadable};
use crate::steps::read::microdata::MicroTable;
use crate::steps::secrecy::{
    BothProfiles, Cell, Coordinate, Counts, Dimension, Dossier, Earlier, Integrality, Microdata, NotProtected, Past,
    ProtectedAfter, ProtectedTable, ProtectedTables, Search, Spec, Years, protect_in, protect_profiles,
    protect_revision, seen_by_partners_alone,
};

/// Tabulates and protects: every cell of the tables is published or withheld, and what is withheld cannot be worked out.
#[derive(Debug, Clone, clap::Args)]
pub struct ProtectArgs {
    /// Microdata, one row an establishment: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    pub micro: PathBuf,
    /// The specification, TOML: contributor, weight, rules, dimensions, tables
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
    /// The folder to write; an earlier output there is replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// An earlier release of the same people, which stays safe too; may be given several times. With --revises: what that
    /// release corrected itself, so that nothing is told by what changed since then either
    #[arg(long, value_name = "DIR")]
    pub after: Vec<PathBuf>,
    /// The release of the same tables that these records correct; what it withheld stays withheld
    #[arg(long, value_name = "DIR", conflicts_with_all = ["partner", "last_year"])]
    pub revises: Option<PathBuf>,
    /// Last year's release of the same tables: what it withheld is withheld again while the same contributors make it up
    #[arg(long, value_name = "DIR")]
    pub last_year: Option<PathBuf>,
    /// A specification of what partners may see beside the public; both are protected together
    #[arg(long, value_name = "FILE", requires = "partner_out")]
    pub partner: Option<PathBuf>,
    /// The folder to write for partners
    #[arg(long, value_name = "DIR", requires = "partner")]
    pub partner_out: Option<PathBuf>,
    /// The policy that the specification must keep; a looser one needs the owner's key
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Owner of the data, for rules of the policy that name one; all of them hold when it is not told
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub owner: Option<String>,
    /// Dataset, likewise
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub dataset: Option<String>,
    /// A file with the owner's key; otherwise the environment's ARPENT_OWNER_KEY
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub owner_key: Option<PathBuf>,
    /// Seconds after which the search for a cheap pattern ends: what a quick search withholds is written then. Without it the
    /// pattern is the same on every machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// Groups of contributors: a table with the columns `siren` and `group`; each group counts as one contributor
    #[arg(long, value_name = "FILE")]
    pub groups: Option<PathBuf>,
    /// Inhabitants by zone, for a population rule: a table with the columns `code` and `inhabitants`; `iris=FILE` names the
    /// level
    #[arg(long, value_name = "LEVEL=FILE")]
    pub inhabitants: Vec<String>,
    /// Print the report as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The answer is no: nothing can be published. Exit code 1.
    No(String),
    /// The input or the usage is wrong. Exit code 2.
    Input(Vec<Reject>),
}

impl Refusal {
    /// 1 when the answer is no, 2 when the input is wrong.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::No(_) => ExitCode::from(1),
            Self::Input(_) => ExitCode::from(2),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No(why) => writeln!(f, "{why}"),
            Self::Input(rejects) => rejects.iter().try_for_each(|reject| writeln!(f, "{reject}")),
        }
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Input(vec![unreadable.0])
    }
}

impl From<Vec<Reject>> for Refusal {
    fn from(rejects: Vec<Reject>) -> Self {
        Self::Input(rejects)
    }
}

/// Runs the command and prints its report: text on standard error, or JSON on standard output with `--json`.
/// A refusal says what to tell the user and the exit code; no output was written then.
pub fn run(args: &ProtectArgs) -> Result<ExitCode, Refusal> {
    let report = protect(args)?;
    if args.json {
        return Ok(print("protect", &format!("{:#}\n", report.json()), ExitCode::SUCCESS));
    }
    let _ = write!(std::io::stderr(), "{}", report.text());
    Ok(ExitCode::SUCCESS)
}

/// Protects, writes the folder, and gives the report.
fn protect(args: &ProtectArgs) -> Result<Report, Refusal> {
    refuse_overwriting(args)?;
    for out in std::iter::once(&args.out).chain(&args.partner_out) {
        release::refuse_foreign(out)?;
    }
    let inhabitants = inhabitants(&args.inhabitants)?;
    let public = Wanted::read(&args.spec, &inhabitants)?;
    let partner = args.partner.as_deref().map(|path| Wanted::read(path, &inhabitants)).transpose()?;
    let mut remarks = Vec::new();
    let version = keep_policy(args, &public.spec, Profile::Public, &mut remarks)?.or(public.spec.version.clone());
    if let Some(partner) = &partner {
        keep_policy(args, &partner.spec, Profile::Partner, &mut remarks)?;
    }
    let groups = args.groups.as_deref().map(groups).transpose()?;
    let micro_bytes = release::bytes_of(&args.micro)?;
    let micro_digest = release::digest(&micro_bytes);
    let table_of = |spec: &Spec| -> Result<MicroTable, Refusal> {
        let mut table = release::micro_of(&args.micro, micro_bytes.clone(), spec)?;
        if let Some((groups, _)) = &groups {
            regroup(&mut table, groups);
        }
        Ok(table)
    };
    let table = table_of(&public.spec)?;
    // Partners' columns are read with the public's: one set of records, each once.
    let everything = partner.as_ref().map(|partner| public.with_columns_of(&partner.spec));
    let records = match &everything {
        None => release::records(&table),
        Some(joint) => release::records(&table_of(joint)?),
    };

    let mut earlier: Vec<ReadBack> = Vec::new();
    for folder in &args.after {
        let mut read = release::read(folder)?;
        // What was asked of zones then is asked again.
        tell(&inhabitants, &mut read.earlier.spec);
        // A release named twice is one release.
        if earlier.iter().all(|known| known.digest != read.digest) {
            earlier.push(read);
        }
    }
    if let Some(read) = earlier.iter().find(|read| read.earlier.for_partners).filter(|_| partner.is_none()) {
        let expected = "`--partner` with what partners may see: what is published now must be safe from them too";
        return Err(Unreadable::file("partner_missing", &read.earlier.name, "a release for partners", expected).into());
    }
    let revises = args.revises.as_deref().map(release::read).transpose()?;
    if let Some(revised) = &revises {
        corrected_before(revised, &earlier)?;
    }
    let last_year = args.last_year.as_deref().map(release::read).transpose()?;
    remarks.extend(self::remarks(&public.spec, &earlier));
    if public.spec.history.years == Years::HideAgain && last_year.is_none() {
        remarks.push("found years = \"hide_again\" and no `--last-year`: nothing is asked of this year".to_owned());
    }

    let partner_spec = partner.as_ref().map(|partner| partner.spec.clone());
    let work =
        Arc::new(Work { records, public: public.spec.clone(), partner: partner_spec, earlier, revises, last_year });
    let (found, is_quick) = work.protected_within(args.seconds).map_err(|no| refusal(no, &args.micro))?;
    if is_quick {
        remarks.push("time ran out: what a quick search withholds, which is as safe".to_owned());
    }
    let (protected, for_partners) = match (found, &partner) {
        (Found::Both(both), Some(partner)) => {
            remarks.push(format!("{} cells are shown to partners alone", seen_by_partners_alone(&both)));
            (both.public, Some((partner, both.partner)))
        }
        (Found::Both(both), None) => (both.public, None),
        (Found::Public(protected), _) => (*protected, None),
    };
    let Work { earlier, revises, last_year, .. } = &*work;
    let partners = for_partners.as_ref().map(|(of, protected)| (" (with what partners see)", &of.spec, protected));
    for (seen, spec, ProtectedAfter { told, dossier, .. }) in
        [("", &public.spec, &protected)].into_iter().chain(partners)
    {
        if !told.is_empty() {
            let told = told.len();
            remarks.push(format!(
                "earlier releases alone tell single contributors one end of an unsafe cell or difference, {told} times, \
                 whatever is withheld now{seen}; the tables are proved against outsiders, and against insiders everywhere \
                 else"
            ));
        }
        let ends = dossier.in_fractions;
        if ends > 0 {
            let who = match spec.protection.integrality {
                Integrality::Outsiders => "a contributor who",
                Integrality::Nobody | Integrality::Everyone => "whoever",
            };
            remarks.push(format!(
                "{ends} ends of unsafe cells or differences are proved in fractions of an employee alone, and may be narrower \
                 for {who} uses that headcounts are whole{seen}"
            ));
        }
        let gone = dossier.remainders.told;
        if gone > 0 {
            remarks.push(format!(
                "{gone} sums that no table shows, of too few or one-sided contributors, are left when cells that are shown \
                 for ever are taken from such cells, whatever is withheld now{seen}"
            ));
        }
    }

    let digests = |reads: &mut dyn Iterator<Item = &ReadBack>| reads.map(|r| r.digest.clone()).collect::<Vec<_>>();
    let mut inputs = json!({ "micro": micro_digest, "after": digests(&mut earlier.iter()) });
    let mut note = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            inputs[name] = json!(value);
        }
    };
    note("groups", groups.as_ref().map(|(_, digest)| digest.clone()));
    note("revises", revises.as_ref().map(|read| read.digest.clone()));
    note("last_year", last_year.as_ref().map(|read| read.digest.clone()));
    for (level, (_, digest)) in &inhabitants {
        note(&format!("inhabitants {level}"), Some(digest.clone()));
    }
    if let Some((partner, protected)) = for_partners {
        let out = args.partner_out.as_ref().expect("asked for with the specification");
        let table = table_of(&partner.spec)?;
        let version = partner.spec.version.clone();
        write_folder(out, partner, &table, &protected, version.as_deref(), "partner", inputs.clone())?;
    }
    let summary = write_folder(&args.out, &public, &table, &protected, version.as_deref(), "public", inputs)?;
    Ok(Report {
        out: args.out.display().to_string(),
        records: work.records.len(),
        earlier: earlier.len(),
        already_public: already_public(&protected.dossier),
        counts: protected.dossier.counts,
        cost_and_bound: protected.dossier.cost_and_bound,
        summary,
        remarks,
    })
}

/// A specification as it was read.
struct Wanted {
    spec: Spec,
    bytes: Vec<u8>,
    headers: Vec<Vec<String>>,
}

impl Wanted {
    fn read(path: &Path, inhabitants: &Inhabitants) -> Result<Self, Refusal> {
        let bytes = release::bytes_of(path)?;
        let mut spec = release::spec_of(path, &bytes)?;
        let headers = spec.tables.iter().map(release::header).collect::<Result<Vec<_>, _>>()?;
        tell(inhabitants, &mut spec);
        Ok(Self { spec, bytes, headers })
    }

    /// The specification with the columns of another one beside its own, to read the records by.
    fn with_columns_of(&self, other: &Spec) -> Spec {
        let mut joint = self.spec.clone();
        let known: Vec<String> = self.spec.columns().into_iter().map(str::to_owned).collect();
        for (name, dimension) in &other.dimensions {
            let mut levels = dimension.levels.clone();
            levels.retain(|level| !known.contains(level));
            if !levels.is_empty() {
                joint.dimensions.insert(format!("partner/{name}"), Dimension { levels, bounds: BTreeMap::new() });
            }
        }
        joint
    }
}

/// Writes the folder of a release, and gives its summary.
fn write_folder(
    out: &Path,
    wanted: &Wanted,
    table: &MicroTable,
    protected: &ProtectedAfter,
    version: Option<&str>,
    profile: &str,
    mut inputs: Value,
) -> Result<Value, Refusal> {
    let Wanted { spec, bytes, headers } = wanted;
    let ProtectedAfter { tables, dossier, .. } = protected;
    let mut contents: Vec<Content> = Vec::new();
    for (header, table) in headers.iter().zip(tables.iter()) {
        contents.push((format!("tables/{}.csv", table.name), release::table_csv(header, table)));
    }
    inputs["spec"] = json!(release::digest(bytes));
    let mut summary = release_json(spec, tables, inputs, &contents);
    if let Some(version) = version {
        summary["policy"]["version"] = json!(version);
    }
    if profile != "public" {
        summary["profile"] = json!(profile);
    }
    let mut owned: Vec<Content> = vec![
        ("release.json".to_owned(), format!("{summary:#}\n").into_bytes()),
        ("private/spec.toml".to_owned(), bytes.clone()),
        ("private/microdata.csv".to_owned(), release::micro_csv(spec, table)),
        ("private/reasons.csv".to_owned(), release::reasons_csv(dossier)),
        ("private/certificate.csv".to_owned(), release::certificate_csv(dossier)),
        (release::CERTIFICATE.to_owned(), protected.certificate().bytes()),
    ];
    owned.push(("private/SHA256SUMS".to_owned(), release::sums(&owned)));
    contents.extend(owned);
    release::write(out, &contents)?;
    Ok(summary)
}

/// Refuses a specification that does not keep the policy, unless the owner's key is there; gives the policy's version.
fn keep_policy(
    args: &ProtectArgs,
    spec: &Spec,
    profile: Profile,
    remarks: &mut Vec<String>,
) -> Result<Option<String>, Refusal> {
    let Some(path) = &args.policy else { return Ok(None) };
    let wrong = |why: String| {
        Refusal::from(Unreadable::file("policy_wrong", path.display().to_string(), why, "a policy and a key file"))
    };
    let (policy, _) = super::policy::read(path).map_err(wrong)?;
    let looser = policy.not_kept_by(spec, profile, args.owner.as_deref(), args.dataset.as_deref());
    if looser.is_empty() {
        return Ok(Some(policy.version));
    }
    let key = super::policy::owner_key(args.owner_key.as_deref()).map_err(wrong)?;
    if !key.is_some_and(|key| policy.opens(&key)) {
        return Err(Refusal::No(format!(
            "{}: found a specification looser than policy version `{}` ({}), expected the owner's key or one at least as \
             strict; nothing is published",
            args.spec.display(),
            policy.version,
            looser.join("; ")
        )));
    }
    remarks.push(format!("looser than policy version `{}`, by the owner's key: {}", policy.version, looser.join("; ")));
    Ok(None)
}

/// All that protection needs.
struct Work {
    records: Microdata,
    public: Spec,
    partner: Option<Spec>,
    earlier: Vec<ReadBack>,
    revises: Option<ReadBack>,
    last_year: Option<ReadBack>,
}

/// Protected tables, for the public or for both profiles.
enum Found {
    Public(Box<ProtectedAfter>),
    Both(Box<BothProfiles>),
}

impl Work {
    /// Searches as the specifications ask, or otherwise.
    fn protected(&self, search: Option<Search>) -> Result<Found, NotProtected> {
        let with_search = |spec: &Spec| {
            let mut spec = spec.clone();
            spec.protection.search = search.unwrap_or(spec.protection.search);
            spec
        };
        let of = |for_partners: bool| {
            let all = self.earlier.iter().map(|read| &read.earlier);
            all.filter(|earlier| earlier.for_partners == for_partners).collect::<Vec<&Earlier>>()
        };
        let past = Past { earlier: of(false), last_year: self.last_year.as_ref().map(|read| &read.earlier) };
        let spec = with_search(&self.public);
        match (&self.revises, &self.partner) {
            (Some(read), _) => protect_revision(&self.records, &spec, &read.earlier, &of(false))
                .map(|one| Found::Public(Box::new(one))),
            (None, None) => protect_in(&self.records, &spec, &past).map(|one| Found::Public(Box::new(one))),
            (None, Some(partner)) => protect_profiles(&self.records, &spec, &with_search(partner), &past, &of(true))
                .map(|both| Found::Both(Box::new(both))),
        }
    }

    /// Searches as the specification asks, and for so many seconds at most where that is given: what a quick search found
    /// meanwhile is the answer then, however long that takes, since it is as safe. Whether it is.
    fn protected_within(self: &Arc<Self>, seconds: Option<u64>) -> Result<(Found, bool), NotProtected> {
        let Some(seconds) = seconds else {
            return self.protected(None).map(|found| (found, false));
        };
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let searched = |search: Option<Search>| {
            let (work, (sender, receiver)) = (Arc::clone(self), mpsc::channel());
            // Nobody waits for it when time has run out: it ends with the command.
            std::thread::spawn(move || sender.send(work.protected(search)));
            receiver
        };
        let (quick, whole) = (searched(Some(Search::Quick)), searched(None));
        match whole.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(found) => found.map(|found| (found, false)),
            Err(mpsc::RecvTimeoutError::Timeout) => match quick.recv() {
                Ok(found) => found.map(|found| (found, true)),
                Err(mpsc::RecvError) => self.protected(Some(Search::Quick)).map(|found| (found, true)),
            },
            // It panicked, and has said so: the same once more, for whoever waits here.
            Err(mpsc::RecvTimeoutError::Disconnected) => self.protected(None).map(|found| (found, false)),
        }
    }
}

/// Refuses a correction of a correction without every release that was corrected before, or with any other one.
fn corrected_before(revised: &ReadBack, given: &[ReadBack]) -> Result<(), Refusal> {
    let mut chain: Vec<&str> = Vec::new();
    let mut last = revised;
    while let Some(digest) = last.revises.as_deref().filter(|digest| !chain.contains(digest)) {
        chain.push(digest);
        last = given.iter().find(|read| read.digest == digest).ok_or_else(|| {
            let expected = "`--after` with the release that it corrects: what changed since then must be safe too";
            Unreadable::file("revised_missing", &last.earlier.name, "the correction of a release not given", expected)
        })?;
    }
    match given.iter().find(|read| !chain.contains(&read.digest.as_str())) {
        None => Ok(()),
        Some(other) => {
            let expected = "with `--revises` those releases alone that it corrects itself";
            Err(Unreadable::file("after_wrong", &other.earlier.name, "another release", expected).into())
        }
    }
}

/// Reads the inhabitants of zones, as `--inhabitants` names them, into a specification.
pub(super) fn people(wanted: &[String], spec: &mut Spec) -> Result<(), Refusal> {
    tell(&inhabitants(wanted)?, spec);
    Ok(())
}

fn tell(inhabitants: &Inhabitants, spec: &mut Spec) {
    for (level, population) in &mut spec.population {
        if let Some((known, _)) = inhabitants.get(level) {
            population.inhabitants.extend(known.clone());
        }
    }
}

/// Inhabitants by code, and the digest of the file they come from, by level.
type Inhabitants = BTreeMap<String, (BTreeMap<String, u64>, String)>;

fn inhabitants(wanted: &[String]) -> Result<Inhabitants, Refusal> {
    let mut all = Inhabitants::new();
    for text in wanted {
        let refuse = |found: String, expected: &str| Unreadable::file("inhabitants_wrong", text, found, expected);
        let Some((level, path)) = text.split_once('=') else {
            return Err(
                refuse("no level".to_owned(), "`--inhabitants LEVEL=FILE`, such as `iris=population.csv`").into()
            );
        };
        let bytes = release::bytes_of(Path::new(path))?;
        let mut known = BTreeMap::new();
        for (row, [code, number]) in pairs(Path::new(path), &bytes, ["code", "inhabitants"])?.into_iter().enumerate() {
            let number = number
                .parse()
                .map_err(|_| refuse(format!("another text at row {}", row + 2), "a whole number of inhabitants"))?;
            if known.insert(code, number).is_some() {
                return Err(refuse(format!("a zone met before at row {}", row + 2), "each zone once").into());
            }
        }
        all.insert(level.to_owned(), (known, release::digest(&bytes)));
    }
    Ok(all)
}

pub(super) fn groups(path: &Path) -> Result<(BTreeMap<String, String>, String), Refusal> {
    let bytes = release::bytes_of(path)?;
    let mut groups = BTreeMap::new();
    for (row, [siren, group]) in pairs(path, &bytes, ["siren", "group"])?.into_iter().enumerate() {
        if groups.insert(siren, group).is_some() {
            let found = format!("an enterprise met before at row {}", row + 2);
            return Err(Unreadable::file("groups_wrong", path.display().to_string(), found, "each once").into());
        }
    }
    Ok((groups, release::digest(&bytes)))
}

/// Two columns of a small CSV file, row by row.
fn pairs(path: &Path, bytes: &[u8], names: [&str; 2]) -> Result<Vec<[String; 2]>, Refusal> {
    let refuse = |found: String| {
        let expected = format!("CSV in UTF-8 with the columns `{}` and `{}`", names[0], names[1]);
        Refusal::from(Unreadable::file("table_wrong", path.display().to_string(), found, expected))
    };
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().map_err(|_| refuse("no header that can be read".to_owned()))?.clone();
    let at = names.map(|name| header.iter().position(|column| column == name));
    let [Some(one), Some(other)] = at else { return Err(refuse("other columns".to_owned())) };
    let mut pairs = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|_| refuse(format!("a row that cannot be read, row {}", row + 2)))?;
        pairs.push([record[one].to_owned(), record[other].to_owned()]);
    }
    Ok(pairs)
}

/// Each group counts as one contributor; who is in none stays alone.
pub(super) fn regroup(table: &mut MicroTable, groups: &BTreeMap<String, String>) {
    let name = |name: &String| groups.get(name).unwrap_or(name).clone();
    let of_each: Vec<String> = table.contributor_names.iter().map(name).collect();
    let mut names = of_each.clone();
    names.sort_unstable();
    names.dedup();
    let place = |name: &String| names.binary_search(name).expect("each name is among the names") as u32;
    let places: Vec<u32> = of_each.iter().map(place).collect();
    table.contributors.iter_mut().for_each(|who| *who = places[*who as usize]);
    table.contributor_names = names;
}

pub(super) fn refusal(refused: NotProtected, micro: &Path) -> Refusal {
    match refused {
        NotProtected::NotProtectable(_) | NotProtected::GivenAway { .. } | NotProtected::NotRevisable { .. } => {
            Refusal::No(refused.to_string())
        }
        NotProtected::NotTabulable(wrong) => {
            // Its text is place, found and expected already; the file is what it lacks.
            let text = wrong.to_string();
            let (place, text) = text.split_once(": found ").unwrap_or(("records", &text));
            let (found, expected) = text.split_once(", expected ").unwrap_or((text, "records that can be tabulated"));
            Unreadable::file("not_tabulable", format!("{}: {place}", micro.display()), found, expected).into()
        }
        NotProtected::OtherMicrodata { release, found, expected } => {
            Unreadable::file("other_microdata", release, found, expected).into()
        }
    }
}

/// No output may take the place of an input.
fn refuse_overwriting(args: &ProtectArgs) -> Result<(), Unreadable> {
    let others = args.after.iter().chain(&args.revises).chain(&args.last_year).chain(&args.partner);
    let others = others.chain(&args.policy).chain(&args.owner_key).chain(&args.groups);
    if let Some(partner_out) = &args.partner_out {
        let (public, partner) = (whole_path(&args.out), whole_path(partner_out));
        if public.starts_with(&partner) || partner.starts_with(&public) {
            let place = partner_out.display().to_string();
            let found = "the folder of the public release, one within it or one around it";
            return Err(Unreadable::file("output_is_output", place, found, "a folder apart"));
        }
    }
    let inputs: Vec<&PathBuf> = [&args.micro, &args.spec].into_iter().chain(others).collect();
    for target in std::iter::once(&args.out).chain(&args.partner_out) {
        let Ok(out) = std::fs::canonicalize(target) else { continue };
        if inputs.iter().any(|input| std::fs::canonicalize(input).is_ok_and(|input| input.starts_with(&out))) {
            let place = target.display().to_string();
            return Err(Unreadable::file("output_is_input", place, "an input of this command", "another folder"));
        }
    }
    Ok(())
}

/// A path without detours, whether it is there already or not.
fn whole_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = absolute.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    match there {
        Some((above, real)) => real.join(absolute.strip_prefix(above).unwrap_or(Path::new(""))),
        None => absolute,
    }
}

/// What the owner should know of the releases named.
fn remarks(spec: &Spec, earlier: &[ReadBack]) -> Vec<String> {
    let mut remarks = Vec::new();
    for read in earlier {
        let name = &read.earlier.name;
        let missing = read.after.iter().filter(|d| earlier.iter().all(|known| known.digest != **d)).count();
        // A correction stands for what it corrects.
        if missing > 0 && read.revises.is_none() {
            remarks.push(format!(
                "{name}: found {missing} releases it was made after and which `--after` does not name, expected all of \
                 them: what they show is not taken into account"
            ));
        }
        if read.policy != spec.policy_fingerprint() {
            remarks.push(format!("{name}: found another policy; the present one judges its cells too"));
        }
    }
    remarks
}

/// Cells of the present tables that are unsafe by the present rules, and that an earlier release shows.
fn already_public(dossier: &Dossier) -> usize {
    dossier.reasons.iter().filter(|reason| reason.fate == "open" && !reason.rules.is_empty()).count()
}

/// `release.json`. It tells nothing that the tables beside it do not: every count and share is worked out from them.
fn release_json(spec: &Spec, tables: &ProtectedTables, inputs: Value, contents: &[Content]) -> Value {
    let withheld = |table: &ProtectedTable| table.cells().filter(|(_, cell)| *cell == Cell::Suppressed).count() as u64;
    let n_cells: u64 = tables.iter().map(|table| table.cells().count() as u64).sum();
    let n_withheld: u64 = tables.iter().map(withheld).sum();
    let by_table = tables.iter().map(|table| {
        let (cells, withheld) = (table.cells().count() as u64, withheld(table));
        json!({ "name": table.name, "cells": cells, "published": cells - withheld, "withheld": withheld })
    });
    let outputs: Map<String, Value> =
        contents.iter().map(|(path, bytes)| (path.clone(), json!(release::digest(bytes)))).collect();
    json!({
        "format": release::FORMAT,
        "arpent": env!("CARGO_PKG_VERSION"),
        "counts": {
            "tables": spec.tables.len(),
            "cells": n_cells,
            "published": n_cells - n_withheld,
            "withheld": n_withheld,
        },
        "withheld_share": {
            "cells": share(n_withheld.into(), n_cells.into()),
            "headcount": headcount_withheld(tables).map(|(part, whole)| share(part, whole)),
        },
        "tables": by_table.collect::<Vec<_>>(),
        "policy": policy_json(spec),
        "inputs": inputs,
        "outputs": outputs,
    })
}

fn policy_json(spec: &Spec) -> Value {
    let mut rules = Map::new();
    let mut put = |name: &str, value: Option<Value>| rules.extend(value.map(|value| (name.to_owned(), value)));
    put("min_contributors", spec.rules.min_contributors.map(Value::from));
    put("dominance", spec.rules.dominance.map(|d| json!({ "n": d.n, "share": d.share })));
    put("p_percent", spec.rules.p_percent.map(Value::from));
    put("min_count", spec.rules.min_count.map(Value::from));
    put("min_count_of", spec.rules.min_count.map(|_| spec.rules.min_count_of.name().into()));
    // Every other rule in the words of the fingerprint, so that a reader of the release knows all that was asked.
    let more: Vec<String> = spec.policy_lines().into_iter().filter(|line| !said_above(line)).collect();
    put("more", (!more.is_empty()).then(|| more.into()));
    json!({
        "contributor": spec.contributor,
        "weight": spec.weight,
        "rules": rules,
        "protection": { "width": spec.protection.width, "insiders": spec.protection.insiders },
        "fingerprint": spec.policy_fingerprint(),
    })
}

/// Whether `policy` of `release.json` has a field of its own for this line of the fingerprint.
fn said_above(line: &str) -> bool {
    ["min_contributors ", "dominance ", "p_percent ", "min_count ", "width ", "insiders ", "arpent policy "]
        .iter()
        .any(|known| line.starts_with(known))
}

/// Headcount withheld and in all, over all cells of all tables; from what is published alone.
///
/// The cells of a table that lie at the same levels share out its total, so what they withhold together is that total
/// less what they show. Where a table withholds its total there is no answer: the sum would give it away.
fn headcount_withheld(tables: &ProtectedTables) -> Option<(u128, u128)> {
    let (mut part, mut whole) = (0_u128, 0_u128);
    for table in tables.iter() {
        let total = match table.cell(&vec![Coordinate::Total; table.dimensions.len()]) {
            None => continue, // no establishment at all
            Some(Cell::Suppressed) => return None,
            Some(Cell::Open { headcount, .. }) => u128::from(headcount),
        };
        let mut shown: std::collections::BTreeMap<Vec<Option<u8>>, u128> = std::collections::BTreeMap::new();
        for (at, cell) in table.cells() {
            let level = |coordinate: &Coordinate| match coordinate {
                Coordinate::Total => None,
                Coordinate::Code { level, .. } => Some(*level),
            };
            let shown = shown.entry(at.iter().map(level).collect()).or_default();
            match cell {
                Cell::Open { headcount, .. } => *shown += u128::from(headcount),
                Cell::Suppressed => {}
            }
        }
        whole += total * shown.len() as u128;
        part += shown.values().map(|shown| total - shown).sum::<u128>();
    }
    Some((part, whole))
}

/// A share rounded to four decimals, in whole numbers up to the last step, so that it is the same everywhere.
fn share(part: u128, whole: u128) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let ten_thousandths = (part * 20_000 + whole) / (2 * whole);
    ten_thousandths as f64 / 10_000.0
}

/// What the owner is told.
struct Report {
    out: String,
    records: usize,
    earlier: usize,
    already_public: usize,
    counts: Counts,
    cost_and_bound: Option<(f64, f64)>,
    summary: Value,
    remarks: Vec<String>,
}

impl Report {
    /// The summary of the release, and beside it what is for the owner alone.
    fn json(&self) -> Value {
        let mut report = self.summary.clone();
        report["out"] = json!(self.out);
        report["owner"] = json!({
            "records": self.records,
            "primary": self.counts.primary,
            "secondary": self.counts.secondary,
            "secondary_headcount": self.counts.secondary_headcount,
            "secondary_cost": self.cost_and_bound.map(|c| c.0),
            "secondary_cost_bound": self.cost_and_bound.map(|c| c.1),
            "earlier_releases": self.earlier,
            "already_public": self.already_public,
            "remarks": self.remarks,
        });
        report
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string cannot fail");
        let (counts, shares) = (&self.summary["counts"], &self.summary["withheld_share"]);
        line(format!("establishments: {}", self.records));
        line(format!("tables: {}, cells: {}", counts["tables"], counts["cells"]));
        line(format!("published: {}", counts["published"]));
        line(format!("withheld: {}, {} of the cells", counts["withheld"], percent(&shares["cells"])));
        line(format!("  by a rule: {}, to protect those: {}", self.counts.primary, self.counts.secondary));
        match self.cost_and_bound {
            Some((cost, bound)) if cost > 0.0 => {
                let gap = 100.0 * (cost - bound) / cost;
                let needed = 100.0 - gap;
                line(format!("  of what those cost every safe pattern costs {needed:.1} % at least: gap {gap:.1} %"));
            }
            Some(_) => {}
            None => line("  no bound on what that must cost was proved".to_owned()),
        }
        line(format!("  {} of the headcount, over all cells", percent(&shares["headcount"])));
        if self.earlier > 0 {
            line(format!("earlier releases: {}", self.earlier));
            line(format!("already public: {} unsafe cells, which stay shown", self.already_public));
        }
        self.remarks.iter().for_each(|remark| line(format!("  {remark}")));
        line(format!("policy: {}", self.summary["policy"]["fingerprint"].as_str().unwrap_or_default()));
        line(format!("written: {}", self.out));
        text
    }
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or("an untold share".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        protect: ProtectArgs,
    }

    const SPEC: &str = r#"
        contributor = "siren"
        weight = "headcount"
        [rules]
        min_contributors = 3
        dominance = { n = 1, share = 0.85 }
        [dimensions.sector]
        levels = ["sector"]
        [dimensions.naf]
        levels = ["naf_section", "naf_division"]
        [[tables]]
        name = "sector_naf"
        dimensions = ["sector", "naf"]
        [[tables]]
        name = "naf"
        dimensions = ["naf"]
    "#;

    /// A folder with the inputs of a protection.
    struct Desk(tempfile::TempDir);

    impl Desk {
        fn new() -> Self {
            let desk = Self(tempfile::tempdir().unwrap());
            desk.put("m.csv", &csv(&establishments()));
            desk.put("s.toml", SPEC);
            desk
        }
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
        fn put(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }
        fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.path(name)).unwrap()
        }
        fn protect(&self, micro: &str, spec: &str, out: &str, after: &[&str]) -> Result<Report, Refusal> {
            let path = |name: &str| self.path(name).display().to_string();
            let mut line = vec!["protect".to_owned()];
            for (flag, name) in [("--micro", &micro), ("--spec", &spec), ("--out", &out)] {
                line.extend([flag.to_owned(), path(name)]);
            }
            after.iter().for_each(|name| line.extend(["--after".to_owned(), path(name)]));
            protect(&Line::parse_from(line).protect)
        }
        /// The codes of a refusal, and nothing but the inputs left behind.
        fn refused(&self, micro: &str, spec: &str, out: &str, after: &[&str]) -> Vec<&'static str> {
            let before = self.names();
            let refused = self.protect(micro, spec, out, after).err().expect("a refusal");
            assert_eq!(self.names(), before);
            match refused {
                Refusal::No(_) => vec!["no"],
                Refusal::Input(rejects) => rejects.iter().map(|reject| reject.code).collect(),
            }
        }
        fn names(&self) -> Vec<String> {
            let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
            let mut names: Vec<_> = std::fs::read_dir(self.0.path()).unwrap().map(name).collect();
            names.sort();
            names
        }
        /// The rows of a released table: coordinates, establishments, headcount, status.
        fn rows(&self, table: &str) -> Vec<Vec<String>> {
            let text = self.text(table);
            text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
        }
    }

    /// siret, siren, headcount, sector, a second perimeter of sectors, section, division.
    type Establishment = [String; 7];

    /// Ninety establishments of seventy enterprises in five sectors; three of them lie elsewhere in the second perimeter.
    fn establishments() -> Vec<Establishment> {
        let mut seed = 11_u64;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let establishment = |i: u64| {
            let (who, sector, division) = (draw(70), draw(5), draw(7));
            let headcount = if draw(6) == 0 { 40 + draw(200) } else { draw(12) };
            let moved = if i % 30 == 4 { (sector + 1) % 5 } else { sector };
            let section = ["C", "F", "G"][division as usize / 3];
            [
                format!("{i:014}"),
                format!("{who:09}"),
                headcount.to_string(),
                format!("S{sector}"),
                format!("S{moved}"),
                section.to_owned(),
                format!("{section}{division}"),
            ]
        };
        (0..90).map(establishment).collect()
    }

    fn csv(rows: &[Establishment]) -> String {
        let header = "siret,siren,headcount,sector,sector_v2,naf_section,naf_division\n".to_owned();
        header + &rows.iter().map(|row| row.join(",") + "\n").collect::<String>()
    }

    #[test]
    fn when_time_runs_out_what_a_quick_search_withholds_is_written() {
        let desk = Desk::new();
        let public = Spec::parse(SPEC).unwrap();
        let bytes = release::bytes_of(&desk.path("m.csv")).unwrap();
        let records = release::records(&release::micro_of(&desk.path("m.csv"), bytes, &public).unwrap());
        let (partner, revises, last_year) = (None, None, None);
        let work = Arc::new(Work { records, public, partner, earlier: Vec::new(), revises, last_year });
        let withheld = |found: Found| {
            let Found::Public(protected) = found else { panic!("one profile") };
            let all = protected.tables.iter().flat_map(|table| table.cells().map(|(at, cell)| (at.to_vec(), cell)));
            all.filter(|cell| cell.1 == Cell::Suppressed).map(|cell| cell.0).collect::<Vec<_>>()
        };
        let (whole, is_quick) = work.protected_within(Some(86_400)).unwrap();
        assert!(!is_quick && withheld(whole) == withheld(work.protected(None).unwrap()));
        let quick = withheld(work.protected(Some(Search::Quick)).unwrap());
        let (found, is_quick) = work.protected_within(Some(0)).unwrap();
        let thorough = withheld(work.protected(None).unwrap());
        // The whole search may be over before anybody looks.
        assert_eq!(withheld(found), if is_quick { quick } else { thorough });
    }

    #[test]
    fn a_release_holds_what_may_be_shown_and_apart_from_it_what_its_owner_keeps() {
        let desk = Desk::new();
        let report = desk.protect("m.csv", "s.toml", "out", &[]).unwrap();
        assert_eq!(desk.names(), ["m.csv", "out", "s.toml"]);
        let header = "sector,sector_level,naf,naf_level,establishments,headcount,status\nTOTAL,TOTAL,TOTAL,TOTAL,90,";
        assert!(desk.text("out/tables/sector_naf.csv").starts_with(header));

        // Every row is a plain count of the records, or empty; every cell that holds an establishment is there.
        let records = establishments();
        let mut cells = 0;
        for row in desk.rows("out/tables/sector_naf.csv") {
            let holds = |e: &&Establishment| {
                (row[0] == "TOTAL" || row[0] == e[3]) && (row[2] == "TOTAL" || row[2] == e[5] || row[2] == e[6])
            };
            let inside: Vec<_> = records.iter().filter(holds).collect();
            let headcount: u64 = inside.iter().map(|e| e[2].parse::<u64>().unwrap()).sum();
            let sirens: BTreeSet<&str> = inside.iter().filter(|e| e[2] != "0").map(|e| e[1].as_str()).collect();
            match row[6].as_str() {
                "published" => {
                    assert_eq!((row[4].clone(), row[5].clone()), (inside.len().to_string(), headcount.to_string()));
                    assert!(sirens.is_empty() || sirens.len() >= 3, "{row:?}");
                }
                "withheld" => assert_eq!((row[4].as_str(), row[5].as_str()), ("", "")),
                other => panic!("status {other}"),
            }
            cells += 1;
        }
        let coordinates = records.iter().flat_map(|e| {
            let sectors = ["TOTAL", &e[3]];
            sectors.into_iter().flat_map(move |s| ["TOTAL", &e[5], &e[6]].map(|n| (s, n)))
        });
        assert_eq!(cells, coordinates.collect::<BTreeSet<_>>().len());

        // What is private is so on the disk too, and its digests hold.
        let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("out/private"), 0o700);
        for name in ["spec.toml", "microdata.csv", "reasons.csv", "certificate.csv", "SHA256SUMS"] {
            assert_eq!(mode(&format!("out/private/{name}")), 0o600, "{name}");
        }
        for line in desk.text("out/private/SHA256SUMS").lines() {
            let (digest, name) = line.split_once("  ").unwrap();
            assert_eq!(release::digest(desk.text(&format!("out/private/{name}")).as_bytes()), digest, "{name}");
        }
        assert_eq!(desk.text("out/private/reasons.csv").lines().count(), 1 + report.counts.cells as usize);
        for line in desk.text("out/private/certificate.csv").lines().skip(1) {
            let fields: Vec<&str> = line.rsplit(',').take(6).collect();
            let [means, level_high, level_low, proven_high, proven_low, value] = fields[..] else { panic!("{line}") };
            let number = |text: &str| text.parse::<u64>().unwrap();
            assert_eq!(means, "witness");
            assert!(number(proven_high) >= number(level_high) && number(level_high) > number(value), "{line}");
            // Insiders aside, the lower end reaches its level; a value of zero has none below it.
            assert!(number(proven_low) <= number(level_low), "{line}");
        }
    }

    #[test]
    fn release_json_tells_nothing_that_the_tables_do_not() {
        let desk = Desk::new();
        let report = desk.protect("m.csv", "s.toml", "out", &[]).unwrap();
        let json: Value = serde_json::from_str(&desk.text("out/release.json")).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = "format arpent counts withheld_share tables policy inputs outputs";
        assert_eq!(keys.join(" "), expected);
        let Counts { cells, primary, secondary, headcount, headcount_withheld, .. } = report.counts;
        assert!(primary > 0 && secondary > 0);
        let withheld = primary + secondary;
        let counts = json!({ "tables": 2, "cells": cells, "published": cells - withheld, "withheld": withheld });
        assert_eq!(json["counts"], counts);
        let expected = [(withheld, cells), (headcount_withheld, headcount)].map(|(a, b)| share(a.into(), b.into()));
        let found = ["cells", "headcount"].map(|name| json["withheld_share"][name].as_f64().unwrap());
        assert_eq!(found, expected);
        assert_eq!(json["inputs"]["micro"], release::digest(desk.text("m.csv").as_bytes()));
        assert_eq!(json["inputs"]["spec"], release::digest(SPEC.as_bytes()));
        for name in ["tables/sector_naf.csv", "tables/naf.csv"] {
            let bytes = desk.text(&format!("out/{name}"));
            assert_eq!(json["outputs"][name], release::digest(bytes.as_bytes()), "{name}");
        }
        assert_eq!(json["policy"]["fingerprint"], Spec::parse(SPEC).unwrap().policy_fingerprint());
        let text = report.text();
        assert!(text.contains(&format!("withheld: {withheld}, ")), "{text}");
        assert_eq!(report.json()["owner"]["primary"], primary);
    }

    #[test]
    fn a_share_is_rounded_to_four_decimals_and_untold_where_it_would_tell_a_withheld_total() {
        for (part, whole, expected) in [
            (0, 0, 0.0),
            (0, 7, 0.0),
            (7, 7, 1.0),
            (1, 3, 0.3333),
            (2, 3, 0.6667),
            (1, 20_000, 0.0001),
            (1, 20_001, 0.0),
        ] {
            assert_eq!(share(part, whole), expected, "{part} of {whole}");
        }
        let desk = Desk::new();
        let two: Vec<Establishment> = establishments().into_iter().take(2).collect();
        desk.put("two.csv", &csv(&two));
        let report = desk.protect("two.csv", "s.toml", "out", &[]).unwrap();
        assert_eq!(report.summary["withheld_share"], json!({ "cells": 1.0, "headcount": null }));
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_and_the_order_of_rows_changes_no_table() {
        let desk = Desk::new();
        desk.protect("m.csv", "s.toml", "out", &[]).unwrap();
        std::fs::create_dir(desk.path("elsewhere")).unwrap();
        std::fs::copy(desk.path("m.csv"), desk.path("elsewhere/n.csv")).unwrap();
        desk.protect("elsewhere/n.csv", "s.toml", "elsewhere/again", &[]).unwrap();
        let mut rows = establishments();
        rows.sort_by_key(|row| row[0].bytes().rev().collect::<Vec<_>>());
        assert_ne!(rows, establishments());
        desk.put("shuffled.csv", &csv(&rows));
        desk.protect("shuffled.csv", "s.toml", "shuffled", &[]).unwrap();

        let tables = ["tables/sector_naf.csv", "tables/naf.csv", "private/reasons.csv", "private/certificate.csv"];
        let all = ["release.json", "private/spec.toml", "private/microdata.csv", "private/SHA256SUMS"];
        for name in tables.iter().chain(&all) {
            let first = desk.text(&format!("out/{name}"));
            assert_eq!(first, desk.text(&format!("elsewhere/again/{name}")), "{name}");
        }
        for name in tables {
            assert_eq!(desk.text(&format!("out/{name}")), desk.text(&format!("shuffled/{name}")), "{name}");
        }
    }

    #[test]
    fn wrong_inputs_are_refused_with_their_place_and_nothing_is_written() {
        let desk = Desk::new();
        let micro = csv(&establishments());
        let line = micro.lines().nth(4).unwrap();
        let with = |fault: &str| {
            let mut fields: Vec<&str> = line.split(',').collect();
            fields[2] = fault;
            micro.replace(line, &fields.join(","))
        };
        let torn = line.replace(",C,", ",G,").replace(",F,", ",G,");
        for (micro, spec, code, place) in [
            (with("-3"), SPEC.to_owned(), "weight_negative", "row 5, field `headcount`"),
            (with("2.5"), SPEC.to_owned(), "weight_fraction", "row 5, field `headcount`"),
            (with(""), SPEC.to_owned(), "weight_missing", "row 5, field `headcount`"),
            (micro.replace(line, &torn), SPEC.to_owned(), "not_tabulable", "dimension `naf`"),
            (micro.clone(), SPEC.replace("[\"sector\"]", "[\"iris\"]"), "column_missing", "a column `iris`"),
            (micro.clone(), SPEC.replace("siren", "group"), "column_missing", "a column `group`"),
            (micro.clone(), SPEC.replace("share = 0.85", "share = 85"), "spec_wrong", "rules.dominance.share"),
            (micro.clone(), SPEC.replace("[rules]", "[rule]"), "spec_wrong", "line 4"),
            (
                micro.clone(),
                SPEC.replace("naf]", "naf_level]")
                    .replace("\"naf\"", "\"naf_level\"")
                    .replace("sector]", "naf]")
                    .replace("[\"sector\",", "[\"naf\","),
                "output_column_twice",
                "naf_level",
            ),
        ] {
            desk.put("bad.csv", &micro);
            desk.put("bad.toml", &spec);
            let refused = desk.protect("bad.csv", "bad.toml", "out", &[]).err().expect(code);
            let Refusal::Input(rejects) = &refused else { panic!("{refused}") };
            assert_eq!(rejects[0].code, code);
            assert!(refused.to_string().contains(place), "{refused}");
            assert!(!desk.path("out").exists());
        }
        assert_eq!(desk.refused("absent.csv", "s.toml", "out", &[]), ["input_unreadable"]);
        assert_eq!(desk.refused("m.csv", "absent.toml", "out", &[]), ["input_unreadable"]);
        assert_eq!(desk.refused("m.csv", "s.toml", "absent/out", &[]), ["output_unwritable"]);
        assert_eq!(desk.refused("m.csv", "s.toml", "out", &["absent"]), ["input_unreadable"]);
    }

    #[test]
    fn only_an_empty_folder_or_an_earlier_output_is_replaced() {
        let desk = Desk::new();
        std::fs::create_dir(desk.path("out")).unwrap();
        desk.protect("m.csv", "s.toml", "out", &[]).unwrap();
        desk.put("other.toml", &SPEC.replace("name = \"naf\"", "name = \"by_naf\""));
        desk.protect("m.csv", "other.toml", "out", &[]).unwrap();
        assert!(desk.path("out/tables/by_naf.csv").exists() && !desk.path("out/tables/naf.csv").exists());
        assert_eq!(desk.names(), ["m.csv", "other.toml", "out", "s.toml"]);

        desk.put("out/notes.txt", "mine");
        assert_eq!(desk.refused("m.csv", "s.toml", "out", &[]), ["output_foreign"]);
        assert_eq!(desk.text("out/notes.txt"), "mine");
        std::fs::create_dir(desk.path("foreign")).unwrap();
        for content in ["{}", "not JSON", "{\"format\": \"arpent protected tables 0\"}"] {
            desk.put("foreign/release.json", content);
            assert_eq!(desk.refused("m.csv", "s.toml", "foreign", &[]), ["output_foreign"], "{content}");
        }
        desk.put("file", "");
        assert_eq!(desk.refused("m.csv", "s.toml", "file", &[]), ["output_foreign"]);
        assert_eq!(desk.refused("m.csv", "s.toml", "m.csv", &[]), ["output_is_input"]);

        std::fs::remove_file(desk.path("out/notes.txt")).unwrap();
        assert_eq!(desk.refused("m.csv", "s.toml", "out", &["out"]), ["output_is_input"]);
        assert_eq!(desk.refused("out/private/microdata.csv", "s.toml", "out", &[]), ["output_is_input"]);
    }

    /// Which establishments each published row of a release sums, in the perimeter of that column.
    fn published(desk: &Desk, table: &str, sector: usize) -> Vec<BTreeSet<usize>> {
        let records = establishments();
        let rows = desk.rows(table).into_iter().filter(|row| row[6] == "published");
        let sum = |row: Vec<String>| {
            let holds = |e: &Establishment| {
                (row[0] == "TOTAL" || row[0] == e[sector]) && (row[2] == "TOTAL" || row[2] == e[5] || row[2] == e[6])
            };
            (0..records.len()).filter(|i| holds(&records[*i])).collect()
        };
        rows.map(sum).collect()
    }

    /// The establishments of fewer than three enterprises that one published sum less another isolates.
    fn isolated(sums: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
        let records = establishments();
        let mut found = Vec::new();
        for large in sums {
            for small in sums.iter().filter(|small| small.is_subset(large)) {
                let rest: BTreeSet<usize> =
                    large.difference(small).copied().filter(|i| records[*i][2] != "0").collect();
                let sirens: BTreeSet<&str> = rest.iter().map(|i| records[*i][1].as_str()).collect();
                if (1..3).contains(&sirens.len()) {
                    found.push(rest);
                }
            }
        }
        found
    }

    /// The establishments whose headcount is some combination of published sums: those whose unit vector lies in the
    /// space of rows, by elimination modulo a prime, where whatever holds over the fractions holds too.
    fn worked_out(sums: &[BTreeSet<usize>]) -> Vec<usize> {
        const P: i128 = (1 << 61) - 1;
        let n = establishments().len();
        let power = |base: i128| {
            let (mut base, mut exponent, mut result) = (base, P - 2, 1);
            while exponent > 0 {
                if exponent & 1 == 1 {
                    result = result * base % P;
                }
                base = base * base % P;
                exponent >>= 1;
            }
            result
        };
        let mut basis: BTreeMap<usize, Vec<i128>> = BTreeMap::new();
        let reduce = |basis: &BTreeMap<usize, Vec<i128>>, row: &mut Vec<i128>| {
            for (pivot, with) in basis {
                let by = row[*pivot];
                if by != 0 {
                    row.iter_mut().zip(with).for_each(|(x, y)| *x = (*x - by * y).rem_euclid(P));
                }
            }
        };
        for sum in sums {
            let mut row: Vec<i128> = (0..n).map(|i| i128::from(sum.contains(&i))).collect();
            reduce(&basis, &mut row);
            if let Some(pivot) = row.iter().position(|x| *x != 0) {
                let by = power(row[pivot]);
                row.iter_mut().for_each(|x| *x = *x * by % P);
                basis.insert(pivot, row);
            }
        }
        let unit = |i: usize| (0..n).map(|j| i128::from(i == j)).collect::<Vec<_>>();
        (0..n)
            .filter(|&i| {
                let mut row = unit(i);
                reduce(&basis, &mut row);
                row.iter().all(|x| *x == 0)
            })
            .collect()
    }

    #[test]
    fn two_perimeters_one_after_the_other_give_nobody_away() {
        let desk = Desk::new();
        desk.put("v2.toml", &SPEC.replace("levels = [\"sector\"]", "levels = [\"sector_v2\"]"));
        desk.protect("m.csv", "s.toml", "v1", &[]).unwrap();
        desk.protect("m.csv", "v2.toml", "alone", &[]).unwrap();
        let report = desk.protect("m.csv", "v2.toml", "v2", &["v1"]).unwrap();

        let table = |out: &str| format!("{out}/tables/sector_naf.csv");
        let both = |second: &str| {
            let mut sums = published(&desk, &table("v1"), 3);
            sums.extend(published(&desk, &table(second), 4));
            sums
        };
        // Each release alone is safe; side by side they isolate those that moved, unless the second knows of the first.
        assert!(isolated(&published(&desk, &table("v1"), 3)).is_empty());
        assert!(isolated(&published(&desk, &table("alone"), 4)).is_empty());
        assert!(!isolated(&both("alone")).is_empty());
        assert_eq!(isolated(&both("v2")), Vec::<BTreeSet<usize>>::new());
        let records = establishments();
        let known = worked_out(&both("v2"));
        assert!(known.iter().all(|i| records[*i][2] == "0"), "{known:?}");

        assert_eq!((report.earlier, report.already_public), (1, 0));
        let mut names: Vec<_> =
            std::fs::read_dir(desk.path("v2/tables")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["naf.csv", "sector_naf.csv"]);
        let cells: usize = names.iter().map(|name| desk.rows(&format!("v2/tables/{}", name.display())).len()).sum();
        assert_eq!(
            (report.counts.cells, desk.text("v2/private/reasons.csv").lines().count()),
            (cells as u64, cells + 1)
        );
        // `naf` is the same table in both perimeters: what was shown is shown again.
        let before = desk.rows("v1/tables/naf.csv");
        assert!(before.iter().zip(desk.rows("v2/tables/naf.csv")).all(|(v1, v2)| v1[4] == "withheld" || *v1 == v2));

        // A third release which names the second alone is told that there was a first.
        let forgotten = |after: &[&str]| {
            let report = desk.protect("m.csv", "s.toml", "v3", after).unwrap();
            report.remarks.iter().filter(|remark| remark.contains("made after")).count()
        };
        assert_eq!((forgotten(&["v2"]), forgotten(&["v1", "v2", "v1"])), (1, 0));
    }

    #[test]
    fn what_an_earlier_release_showed_stays_shown_even_where_it_is_unsafe_now() {
        let desk = Desk::new();
        desk.put(
            "open.toml",
            &SPEC
                .replace("[rules]", "[rules]\nmin_count = 1")
                .replace("min_contributors = 3", "")
                .replace("dominance = { n = 1, share = 0.85 }", ""),
        );
        let open = desk.protect("m.csv", "open.toml", "open", &[]).unwrap();
        assert_eq!(open.counts.primary, 0);
        let alone = desk.protect("m.csv", "s.toml", "alone", &[]).unwrap();
        let after = desk.protect("m.csv", "s.toml", "after", &["open"]).unwrap();
        assert_eq!((after.counts.primary, after.counts.secondary), (0, 0));
        assert_eq!(after.already_public as u64, alone.counts.primary);
        assert_eq!(after.remarks.len(), 1, "{:?}", after.remarks);
        assert!(desk.text("after/private/certificate.csv").contains(",already public\n"));
        assert!(!desk.text("after/private/certificate.csv").contains(",witness\n"));
    }

    #[test]
    fn the_answer_is_no_when_what_is_public_gives_an_unsafe_cell_away() {
        // S1 was shown; either of its two enterprises knows itself, and so the other, whatever is withheld now. Once the
        // second was shown too, everybody knows the first.
        let desk = Desk::new();
        let header = "siret,siren,headcount,sector,size\n";
        let rows = "1,A,9,S1,big\n2,B,2,S1,small\n3,C,8,S2,big\n4,D,3,S2,small\n5,E,7,S2,big\n6,F,3,S2,small\n";
        desk.put("two.csv", &format!("{header}{rows}"));
        let spec = |rules: &str, sizes: &str| {
            format!(
                "contributor='siren'\nweight='headcount'\n{rules}\n[dimensions.sector]\nlevels=['sector']\n\
                 [dimensions.size]\nlevels=['size']\n[[tables]]\nname='t'\ndimensions=['sector'{sizes}]"
            )
        };
        desk.put("first.toml", &spec("", ""));
        desk.put("second.toml", &spec("rules = { min_contributors = 2 }", ", 'size'"));
        desk.protect("two.csv", "first.toml", "first", &[]).unwrap();
        desk.put("part.csv", &format!("{header}2,B,2,S1,small\n"));
        desk.protect("part.csv", "first.toml", "part", &[]).unwrap();
        assert_eq!(desk.refused("two.csv", "second.toml", "second", &["first", "part"]), ["no"]);
        for (after, to_insiders) in [(&["first"][..], true), (&["part"], false), (&[], false)] {
            let report = desk.protect("two.csv", "second.toml", "second", after).unwrap();
            let told = report.remarks.iter().any(|remark| remark.contains("against outsiders"));
            assert_eq!(told, to_insiders, "{after:?}");
            assert!(desk.text("second/tables/t.csv").contains("S1,sector,big,size,,,withheld\n"), "{after:?}");
        }
    }

    #[test]
    fn a_column_may_serve_twice_and_codes_may_hold_any_text() {
        let desk = Desk::new();
        let spec = "contributor='siret'\nweight='headcount'\n[dimensions.'a,b']\n\
                    levels=['sec\"tor']\n[dimensions.who]\nlevels=['siret']\n[[tables]]\nname='t'\ndimensions=['a,b']\n\
                    [[tables]]\nname='w'\ndimensions=['who']";
        desk.put("twice.toml", spec);
        desk.put("twice.csv", "siret,headcount,\"sec\"\"tor\"\n1,5,\"x, y\"\n2,6,\"x, y\"\n3,7,\"say \"\"é\"\"\"\n4,1,\"say \"\"é\"\"\"\n");
        desk.protect("twice.csv", "twice.toml", "first", &[]).unwrap();
        assert!(desk.text("first/tables/t.csv").contains("\"x, y\",\"sec\"\"tor\",2,11,published\n"));
        assert!(desk.text("first/private/microdata.csv").starts_with("siret,headcount,\"sec\"\"tor\"\n1,5,\"x, y\"\n"));
        desk.protect("twice.csv", "twice.toml", "second", &["first"]).unwrap();
        assert_eq!(desk.text("second/tables/t.csv"), desk.text("first/tables/t.csv"));
    }

    #[test]
    fn an_earlier_release_of_other_people_or_a_damaged_one_is_refused() {
        let desk = Desk::new();
        desk.protect("m.csv", "s.toml", "first", &[]).unwrap();
        let rows = establishments();
        type Change = fn(&mut Vec<Establishment>);
        let changes: [(Change, bool); 6] = [
            (|rows| rows[7][2] = format!("{}1", rows[7][2]), false), // another weight
            (|rows| rows[7][1] = "987654321".to_owned(), false),     // another contributor
            (|rows| rows.iter_mut().for_each(|row| row[0] += "x"), false), // nobody in common
            (|rows| rows[7][3] = "S9".to_owned(), true),             // another code: the same people all the same
            (|rows| drop(rows.pop()), true),
            (|rows| rows.push(["x", "987654321", "5", "S1", "S1", "C", "C0"].map(str::to_owned)), true),
        ];
        for (at, (change, accepted)) in changes.into_iter().enumerate() {
            let mut rows = rows.clone();
            change(&mut rows);
            desk.put("n.csv", &csv(&rows));
            if accepted {
                assert!(desk.protect("n.csv", "s.toml", "second", &["first"]).is_ok(), "{at}");
                std::fs::remove_dir_all(desk.path("second")).unwrap();
            } else {
                assert_eq!(desk.refused("n.csv", "s.toml", "second", &["first"]), ["other_microdata"], "{at}");
                let refused = desk.protect("n.csv", "s.toml", "second", &["first"]).err().unwrap().to_string();
                assert!(refused.contains("an earlier release made from other microdata"), "{refused}");
                assert!(!refused.contains("987654321") && !refused.contains(&rows[7][0]), "{refused}");
            }
        }
        for name in ["release.json", "tables/naf.csv", "private/spec.toml", "private/microdata.csv"] {
            let path = format!("first/{name}");
            let good = desk.text(&path);
            desk.put(&path, &format!("{good} "));
            assert_eq!(desk.refused("m.csv", "s.toml", "second", &["first"]), ["release_damaged"], "{name}");
            std::fs::remove_file(desk.path(&path)).unwrap();
            assert_eq!(desk.refused("m.csv", "s.toml", "second", &["first"]), ["input_unreadable"], "{name}");
            desk.put(&path, &good);
        }
        assert!(desk.protect("m.csv", "s.toml", "second", &["first"]).is_ok());
    }
}
