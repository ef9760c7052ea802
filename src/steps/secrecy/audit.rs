//! The attack on releases, on a path of its own: it shares the rules' text with [`protect`](super::protect()) and
//! nothing of its work. Cells, sums and rules are computed afresh from the records, then it tries to work out what is
//! withheld:
//! 1. *form*: each row says what the records say, and no cell is left out;
//! 2. *rules*: no cell that the specification makes unsafe is shown: by the rules that hold everywhere or for its table,
//!    for want of inhabitants, or because it gives way to the zone above;
//! 3. *exact*: no unsafe cell follows from what is shown (elimination modulo two primes, nothing rounded);
//! 4. *insiders*: nor from that and what a contributor knows of itself;
//! 5. *intervals*: every unsafe cell can be as far from the truth as its level asks, in some table that fits all that
//!    is shown;
//! 6. *differences*: no sum shown, less other sums shown, is the figure of people whom a rule would hide. A sum that follows
//!    from what is shown counts as shown.
//!
//! Beside the attack, a certificate can be verified (no solver), and single cells opened at random to see that the attack
//! would notice.
//!
//! Several releases are attacked together, as their readers read them together. A verdict names cells and kinds of
//! fault, never figures.
//!
//! What an insider knows: the atoms that hold its own records alone, or beside them only weights that are public. Its part
//! of another atom is no equation, since the rest of that atom is unknown to it; in the intervals the attacker is the
//! outsider, who knows what the public codes of establishments say of their weights.

#[cfg(test)]
mod agreement;
mod bounds;
mod demands;
mod difference;
mod exact;
mod form;
mod interval;
mod mend;
mod mutate;
mod proof;
mod reduce;
mod rules;
mod solver;

use super::microdata::Microdata;
use super::policy::{Rules, Spec};
use super::protect::{Cell, Coordinate, ProtectedTables};
use difference::Guarded;
use exact::{Field, Random, by_direction, direction, dot};
use form::Puzzle;
use reduce::Reduced;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub use mutate::Mutations;
pub use proof::Certified;

/// Faults listed one by one; the rest are counted.
pub const FAULTS_LISTED: usize = 100;

/// The code and the level of a total.
const TOTAL: &str = "TOTAL";

/// Seed of every draw, so that the same release gets the same verdict.
const SEED: u64 = 0x6172_7065_6e74;

/// A release as its readers have it: tables of texts.
#[derive(Debug, Clone, Default)]
pub struct ReleasedTables {
    /// How faults name this release: its folder, or its identifier.
    pub name: String,
    /// Its tables.
    pub tables: Vec<ReleasedTable>,
}

/// A released table: for each dimension the columns `<dim>` and `<dim>_level`, then `establishments`, `headcount` and
/// `status`.
#[derive(Debug, Clone, Default)]
pub struct ReleasedTable {
    /// Its name in the specification.
    pub name: String,
    /// The names of its columns.
    pub header: Vec<String>,
    /// Its rows, field by field.
    pub rows: Vec<Vec<String>>,
}

impl ReleasedTables {
    /// What a reader would see of protected tables.
    pub fn of(name: &str, tables: &ProtectedTables) -> Self {
        let tables = tables
            .iter()
            .map(|table| {
                let mut header: Vec<String> =
                    table.dimensions.iter().flat_map(|d| [d.name.clone(), format!("{}_level", d.name)]).collect();
                header.extend(["establishments", "headcount", "status"].map(str::to_owned));
                let row = |(at, cell): (&[Coordinate], Cell)| {
                    let mut fields: Vec<String> = Vec::with_capacity(header.len());
                    for (coordinate, dimension) in at.iter().zip(&table.dimensions) {
                        match coordinate {
                            Coordinate::Total => fields.extend([TOTAL.to_owned(), TOTAL.to_owned()]),
                            Coordinate::Code { level, code } => {
                                let level = dimension.levels.get(usize::from(*level)).cloned().unwrap_or_default();
                                fields.extend([code.to_string(), level]);
                            }
                        }
                    }
                    match cell {
                        Cell::Open { establishments, headcount } => {
                            fields.extend([establishments.to_string(), headcount.to_string(), "published".to_owned()]);
                        }
                        Cell::Suppressed => fields.extend([String::new(), String::new(), "withheld".to_owned()]),
                    }
                    fields
                };
                ReleasedTable { name: table.name.clone(), rows: table.cells().map(row).collect(), header }
            })
            .collect();
        Self { name: name.to_owned(), tables }
    }

    /// Every level that some row names, totals aside: columns the microdata must have.
    pub fn levels(&self) -> BTreeSet<&str> {
        let columns = |table: &ReleasedTable| table.header.len().saturating_sub(3) / 2;
        self.tables
            .iter()
            .flat_map(|table| table.rows.iter().map(move |row| (columns(table), row)))
            .flat_map(|(dimensions, row)| (0..dimensions).filter_map(|d| row.get(2 * d + 1)))
            .map(String::as_str)
            .filter(|level| *level != TOTAL && !level.is_empty())
            .collect()
    }
}

/// What is wrong with a cell of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The row cannot be read: fields are missing, or a value shown is no whole number.
    MalformedRow,
    /// The status is neither `published` nor `withheld`.
    UnknownStatus,
    /// A withheld row has a value.
    ValueInWithheldRow,
    /// The cell is listed twice in one table.
    DuplicateCell,
    /// The cell holds an establishment and is not listed.
    MissingCell,
    /// A level of the specification appears in no release of the table.
    MissingLevel,
    /// The level is no column of the microdata.
    UnknownLevel,
    /// No record lies in the cell, and yet the row says otherwise.
    UnknownCell,
    /// The value shown is not the records' value.
    WrongValue,
    /// A rule makes the cell unsafe, and it is shown.
    PublishedUnsafe,
    /// The cell follows exactly from what is shown.
    Exact,
    /// The cell follows exactly from what is shown and what one contributor knows of itself.
    Insider,
    /// An outsider can prove more about the cell than its level allows.
    TooNarrow,
    /// The solver gave no verdict on the interval: taken as a failure.
    NoVerdict,
    /// A cell shown less its shown parts along one dimension: the rest would break a rule if it were a cell.
    PooledRemainder,
    /// Cells shown less other cells shown, of another table or of another release: the rest would break a rule.
    Difference,
    /// The certificate moves an atom that no record makes up.
    WitnessUnknownAtom,
    /// A witness makes an atom negative.
    WitnessBelowZero,
    /// A witness makes an atom another than the public codes of its establishments allow.
    WitnessOutOfBounds,
    /// A witness changes a cell that is shown.
    WitnessChangesShown,
    /// No true witness of the certificate moves the cell as far as its level asks.
    Unproven,
    /// Some contributor can exclude each witness that moves the cell far enough.
    UnprovenInsider,
    /// The cell was opened to try the attack, and the attack noticed nothing.
    MutationMissed,
}

impl FaultKind {
    /// A stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedRow => "malformed_row",
            Self::UnknownStatus => "unknown_status",
            Self::ValueInWithheldRow => "value_in_withheld_row",
            Self::DuplicateCell => "duplicate_cell",
            Self::MissingCell => "missing_cell",
            Self::MissingLevel => "missing_level",
            Self::UnknownLevel => "unknown_level",
            Self::UnknownCell => "unknown_cell",
            Self::WrongValue => "wrong_value",
            Self::PublishedUnsafe => "published_unsafe",
            Self::Exact => "exact",
            Self::Insider => "insider",
            Self::TooNarrow => "too_narrow",
            Self::NoVerdict => "no_verdict",
            Self::PooledRemainder => "pooled_remainder",
            Self::Difference => "difference",
            Self::WitnessUnknownAtom => "witness_unknown_atom",
            Self::WitnessBelowZero => "witness_below_zero",
            Self::WitnessOutOfBounds => "witness_out_of_bounds",
            Self::WitnessChangesShown => "witness_changes_shown",
            Self::Unproven => "unproven",
            Self::UnprovenInsider => "unproven_insider",
            Self::MutationMissed => "mutation_missed",
        }
    }
}

/// One fault: which cell of which table of which release, never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The release.
    pub release: String,
    /// The table.
    pub table: String,
    /// The coordinates, as `level=code` or `dimension=TOTAL`, joined by ` & `; or the row, where they cannot be read.
    pub cell: String,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Releases attacked together.
    pub releases: u64,
    /// Tables in them.
    pub tables: u64,
    /// Tables of the specification that no release holds: nothing was said about them.
    pub tables_absent: Vec<String>,
    /// Rows listed.
    pub cells: u64,
    /// Rows listed as published.
    pub published: u64,
    /// Rows listed as withheld.
    pub withheld: u64,
    /// Distinct sums behind the cells: two cells with the same records are one.
    pub sums: u64,
    /// Sums that a rule makes unsafe.
    pub unsafe_sums: u64,
    /// Whether the releases were attacked at all.
    pub attack: bool,
    /// Unsafe sums that are withheld everywhere, each of them attacked.
    pub attacked: u64,
    /// Groups of records that no cell tells apart.
    pub atoms: u64,
    /// Atoms that what is shown does not fix at once.
    pub free_atoms: u64,
    /// Equations left about free atoms.
    pub equations: u64,
    /// Contributors tried as insiders: those alone in some free atom.
    pub insiders: u64,
    /// Ends of intervals to be reached.
    pub ends: u64,
    /// Ends settled by exchanges between atoms that no sum shown tells apart.
    pub ends_exchanged: u64,
    /// Ends settled by linear programs.
    pub ends_solved: u64,
    /// Linear programs solved.
    pub programs: u64,
    /// Sums shown less other sums shown, each judged as if it were a cell.
    pub differences: u64,
    /// Pairs of zonings whose unions were too many to try all.
    pub differences_cut: u64,
    /// Differences that would break a rule, where they are notes and no faults: see [`Noted`].
    pub unsafe_remainders: u64,
    /// The first [`FAULTS_LISTED`] of them, and why they are notes.
    pub remainders: Vec<(Fault, Noted)>,
    /// What a certificate proved, where one was verified.
    pub certified: Option<Certified>,
    /// How the attack fared against cells opened at random, where it was tried.
    pub mutations: Option<Mutations>,
    /// How many faults of each kind.
    pub by_kind: BTreeMap<FaultKind, u64>,
    /// The first [`FAULTS_LISTED`] faults.
    pub faults: Vec<Fault>,
}

impl Verdict {
    /// Whether nothing was found.
    pub fn is_safe(&self) -> bool {
        self.by_kind.is_empty()
    }

    /// Faults of every kind, listed or not.
    pub fn n_faults(&self) -> u64 {
        self.by_kind.values().sum()
    }

    fn add(&mut self, kind: FaultKind, fault: impl FnOnce() -> Fault) {
        *self.by_kind.entry(kind).or_default() += 1;
        if self.faults.len() < FAULTS_LISTED {
            self.faults.push(fault());
        }
    }
}

/// The releases cannot be attacked: nothing is known of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAuditable {
    /// No table at all.
    #[error("releases: found no table, expected at least one")]
    NothingReleased,
    /// The microdata lacks a level of the specification.
    #[error("microdata: found no column `{0}`, expected every level of the specification")]
    NoColumn(String),
    /// A table has other columns than a release has.
    #[error("release `{release}`, table `{table}`: found other columns, expected {expected}")]
    BadHeader {
        /// The release.
        release: String,
        /// The table.
        table: String,
        /// The columns expected.
        expected: String,
    },
    /// The certificate is torn, or is of something else.
    #[error("certificate, line {line}: found {found}, expected {expected}")]
    BadCertificate {
        /// The line, from 1.
        line: usize,
        /// What was found.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
    /// The weights sum too high for exact comparison.
    #[error("microdata: found weights that sum above {}, expected less", form::WEIGHT_SUM_MAX)]
    TooHeavy,
    /// A weight that its public code excludes.
    #[error("dimension `{dimension}`: found a record of code `{code}` with a weight outside its bounds, expected none")]
    OutOfBounds {
        /// The dimension.
        dimension: String,
        /// The code.
        code: String,
    },
    /// A zone whose inhabitants nobody told.
    #[error("population of `{level}`: found no number for zone `{code}`, expected the inhabitants of each zone")]
    NoPopulation {
        /// The level.
        level: String,
        /// The zone.
        code: String,
    },
}

/// Attacks releases together, knowing the records they were made from.
///
/// A record with no code in a column lies in no cell of a table which uses that dimension, totals included.
///
/// # Errors
/// [`NotAuditable`]: there is no verdict then, and whoever publishes must not.
pub fn audit(micro: &Microdata, spec: &Spec, releases: &[ReleasedTables]) -> Result<Verdict, NotAuditable> {
    examine(micro, spec, releases, &Checks::default())
}

/// Whether differences that would break a rule, and that a protection guards, are faults or notes.
///
/// What is guarded is one cell shown less the cells shown of one table that lie in it, one dimension of that table at all its
/// levels and the others each at one. Differences of several cells are notes: [`Noted::Several`].
/// One cell of a release less one cell of another release is a fault always: `protect --after` guards those.
pub const REMAINDERS_ARE_FAULTS: bool = true;

/// Why a difference that would break a rule is a note and no fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It takes several cells together, or takes cells of several tables or dimensions away: no protection guards those.
    Several,
    /// Releases published before give it away by themselves.
    Told,
    /// The release corrects another one, whose pattern it keeps.
    Frozen,
    /// Nobody asked for faults.
    NotAsked,
}

impl Noted {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Several => "a sum of several cells, which no protection guards",
            Self::Told => "told already by releases published before",
            Self::Frozen => "left by the pattern of the release that is corrected, which is kept",
            Self::NotAsked => "not asked for",
        }
    }
}

/// What an audit does.
#[derive(Debug, Clone, Copy)]
pub struct Checks<'a> {
    /// The attack: rules, exact, insiders, intervals, differences. Form is always checked.
    pub attack: bool,
    /// The bytes of a certificate to verify.
    pub certificate: Option<&'a [u8]>,
    /// How many withheld cells are opened, one at a time, each attacked anew; seeded.
    pub mutations: u64,
    /// Whether differences that would break a rule are faults, where a protection guards them: [`REMAINDERS_ARE_FAULTS`].
    pub remainders_are_faults: bool,
    /// The places of releases that were published before the others and cannot be changed: a difference that these give
    /// away by themselves is a note.
    pub before: &'a [usize],
    /// Whether what is judged corrects a release and keeps its pattern: what is left of one cell is a note then.
    pub is_correction: bool,
    /// What releases published before tell single contributors by themselves: nothing is asked for that any more.
    pub told: &'a [ToldEnd],
}

/// An end of an unsafe cell that one contributor knows more closely than its level from releases published before,
/// whatever is withheld now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToldEnd {
    /// The cell, as `table: coordinates`.
    pub cell: String,
    /// Whether it is the upper end.
    pub upper: bool,
    /// The contributor, by its place in [`Microdata::contributors`].
    pub contributor: u32,
}

/// [`Checks::told`] by sum: the sum, whether its upper end, the contributor.
type ToldEnds = HashSet<(u32, bool, u32)>;

impl Default for Checks<'_> {
    fn default() -> Self {
        Self {
            attack: true,
            certificate: None,
            mutations: 0,
            remainders_are_faults: REMAINDERS_ARE_FAULTS,
            before: &[],
            is_correction: false,
            told: &[],
        }
    }
}

/// Attacks releases together, verifies their certificate, and tries the attack itself, as `checks` asks.
///
/// # Errors
/// [`NotAuditable`]: there is no verdict then, and whoever publishes must not.
pub fn examine(
    micro: &Microdata,
    spec: &Spec,
    releases: &[ReleasedTables],
    checks: &Checks<'_>,
) -> Result<Verdict, NotAuditable> {
    let mut verdict = Verdict::default();
    let proof = checks.certificate.map(proof::Proof::read).transpose()?;
    let puzzle = form::read(micro, spec, releases, &mut verdict)?;
    let levels = demands::levels(&puzzle, micro, spec)?;
    verdict.sums = puzzle.rows.len() as u64;
    verdict.atoms = puzzle.atoms.len() as u64;
    verdict.unsafe_sums = levels.iter().flatten().count() as u64;
    for shown in &puzzle.shown {
        if levels[shown.row as usize].is_some() {
            verdict.add(FaultKind::PublishedUnsafe, || puzzle.fault(shown, FaultKind::PublishedUnsafe));
        }
    }
    let told = told_ends(&puzzle, checks.told);
    if checks.attack {
        attack(&puzzle, spec, &levels, checks, &told, &mut verdict);
    }
    if let Some(proof) = &proof {
        proof::verify(&puzzle, &levels, spec.protection.insiders, &told, proof, &mut verdict)?;
    }
    if checks.mutations > 0 && verdict.is_safe() {
        mutate::mutate(micro, spec, releases, &puzzle, &levels, checks, &mut verdict)?;
    }
    Ok(verdict)
}

/// The sums whose cells are named; a cell that no release lists is none of them, nor are several that share a name.
fn told_ends(puzzle: &Puzzle, told: &[ToldEnd]) -> ToldEnds {
    let mut of_cell: HashMap<&str, Vec<(bool, u32)>> = HashMap::new();
    told.iter().for_each(|told| of_cell.entry(&told.cell).or_default().push((told.upper, told.contributor)));
    let mut ends = ToldEnds::new();
    if of_cell.is_empty() {
        return ends;
    }
    let mut named: HashMap<String, Vec<u32>> = HashMap::new();
    for (r, row) in (0..).zip(&puzzle.rows) {
        for name in row.cells.iter().map(|(table, key)| puzzle.cell_name(*table, key)) {
            if of_cell.contains_key(name.as_str()) {
                named.entry(name).or_default().push(r);
            }
        }
    }
    for (name, rows) in named {
        if let [r] = rows[..] {
            ends.extend(of_cell[name.as_str()].iter().map(|&(upper, who)| (r, upper, who)));
        }
    }
    ends
}

/// Tries to work out what is withheld.
fn attack(
    puzzle: &Puzzle,
    spec: &Spec,
    levels: &[Option<u64>],
    checks: &Checks<'_>,
    told: &ToldEnds,
    verdict: &mut Verdict,
) {
    let attacked: Vec<u32> = (0..puzzle.rows.len() as u32)
        .filter(|&r| levels[r as usize].is_some() && !puzzle.rows[r as usize].shown)
        .collect();
    verdict.attack = true;
    verdict.attacked = attacked.len() as u64;
    let shown: Vec<usize> = (0..puzzle.rows.len()).filter(|&r| puzzle.rows[r].shown).collect();
    let reduced = reduce::reduce(puzzle, &shown, attacked.iter().map(|&r| puzzle.rows[r as usize].atoms.as_slice()));
    verdict.free_atoms = reduced.atoms.len() as u64;
    verdict.equations = reduced.equations.len() as u64;
    differences(puzzle, spec, levels, &shown, &reduced, checks, verdict);

    // What is public beside all tables is no secret of theirs.
    let level = |row: u32| levels[row as usize].unwrap_or(1);
    let far: Vec<[u64; 2]> = attacked.iter().map(|&r| puzzle.far(&puzzle.rows[r as usize], level(r), None)).collect();
    let mut random = Random(SEED);
    let mut known = exactly_known::<61>(&reduced, &mut random);
    // A second prime: a fluke of the first would have to repeat.
    for (known, again) in known.iter_mut().zip(exactly_known::<31>(&reduced, &mut random)) {
        *known |= again;
    }
    known.iter_mut().zip(&far).for_each(|(known, far)| *known &= *far != [0, 0]);
    // Both ends, or the one there is to keep, are no secret from who was told them: nothing is asked of them any more, and a
    // firm that was told nearly may learn exactly.
    let knows = |t: usize, who: u32| {
        let sides = far[t].into_iter().zip([true, false]);
        sides.filter(|(far, _)| *far > 0).all(|(_, upper)| told.contains(&(attacked[t], upper, who)))
    };
    let breached = match spec.protection.insiders {
        true => insiders(puzzle, &attacked, &reduced, &known, &knows, &mut random, verdict),
        false => vec![false; attacked.len()],
    };
    let targets: Vec<interval::Target<'_>> =
        reduced.targets.iter().zip(&far).map(|(atoms, &far)| interval::Target { atoms, far }).collect();
    let room = |&a: &u32| {
        let atom = &puzzle.atoms[a as usize];
        let public = atom.public();
        interval::Room { down: public.below(atom.value), up: public.above(atom.value) }
    };
    let rooms: Vec<interval::Room> = reduced.atoms.iter().map(room).collect();
    let narrow = interval::narrow(&rooms, &reduced.equations, &targets, &known, &mut random, verdict);
    for (i, &row) in attacked.iter().enumerate() {
        let place = puzzle.place(row);
        let kinds = [
            known[i].then_some(FaultKind::Exact),
            (breached[i] && !known[i]).then_some(FaultKind::Insider),
            narrow[i].filter(|_| !known[i]),
        ];
        for kind in kinds.into_iter().flatten() {
            verdict.add(kind, || puzzle.fault(place, kind));
        }
    }
}

/// Judges sums shown less other sums shown; safe sums that are withheld and follow from what is shown count as shown.
fn differences(
    puzzle: &Puzzle,
    spec: &Spec,
    levels: &[Option<u64>],
    shown: &[usize],
    reduced: &Reduced,
    checks: &Checks<'_>,
    verdict: &mut Verdict,
) {
    let mut random = Random(SEED);
    let mut follows =
        |shown: &[usize], sums: &[&[u32]]| follow(&reduce::reduce(puzzle, shown, sums.iter().copied()), &mut random);
    let is_safe = |&r: &usize| levels[r].is_none() && !puzzle.rows[r].shown;
    let withheld: Vec<usize> = (0..puzzle.rows.len()).filter(is_safe).collect();
    let sums: Vec<&[u32]> = withheld.iter().map(|&r| puzzle.rows[r].atoms.as_slice()).collect();
    let followed = withheld.iter().zip(follows(shown, &sums)).filter(|f| f.1).map(|f| *f.0);
    let mut known = vec![false; puzzle.rows.len()];
    shown.iter().copied().chain(followed).for_each(|r| known[r] = true);

    let rules_of = demands::rules_of_tables(puzzle, spec);
    let breaks = |judged: &rules::Judged, of_tables: &[&Rules]| {
        let mut all = std::iter::once(&spec.rules).chain(of_tables.iter().copied());
        all.any(|rules| rules::level(judged, rules, &spec.protection).is_some())
    };
    let found = difference::differences(puzzle, &known, &rules_of, &breaks, &reduced.remainders);
    verdict.differences = found.tried;
    verdict.differences_cut = found.untried;
    let mut told = vec![false; found.rests.len()];
    if !checks.before.is_empty() && !found.rests.is_empty() {
        let shown_before = puzzle.shown.iter().filter(|place| checks.before.contains(&puzzle.release_of(place.table)));
        let before: Vec<usize> =
            shown_before.map(|place| place.row as usize).collect::<BTreeSet<_>>().into_iter().collect();
        told = follows(&before, &found.rests.iter().map(|rest| rest.atoms.as_slice()).collect::<Vec<_>>());
    }
    for (rest, told) in found.rests.into_iter().zip(told) {
        let noted = match rest.guarded {
            Guarded::Always => None,
            _ if !checks.remainders_are_faults => Some(Noted::NotAsked),
            Guarded::Not => Some(Noted::Several),
            Guarded::UnlessTold if told => Some(Noted::Told),
            Guarded::UnlessTold => checks.is_correction.then_some(Noted::Frozen),
        };
        match noted {
            None => verdict.add(rest.fault.kind, || rest.fault),
            Some(why) => {
                verdict.unsafe_remainders += 1;
                if verdict.remainders.len() < FAULTS_LISTED {
                    verdict.remainders.push((rest.fault, why));
                }
            }
        }
    }
}

/// Random changes of so many values that leave all these sums of them alone: [`exact::Field::null_vectors`] modulo
/// 2^61 − 1.
pub(super) fn null_vectors(columns: usize, sums: &[Vec<u32>], count: usize) -> Vec<Vec<u64>> {
    Field::<61>::null_vectors(columns, sums, count, &mut Random(SEED))
}

/// Whether every such change leaves some weighted sum of these values alone, as far as the vectors tell: there must be more
/// of them than values.
pub(super) fn fixes_some(vectors: &[Vec<u64>], values: &[u32]) -> bool {
    let rows = values.iter().map(|&v| vectors.iter().map(|vector| vector[v as usize]).collect());
    Field::<61>::are_dependent(rows.collect())
}

/// What the vectors do to a value, but for a factor: two values that change in step have one direction.
pub(super) fn direction_of(vectors: &[Vec<u64>], value: u32) -> Vec<u64> {
    let changes: Vec<u64> = vectors.iter().map(|vector| vector[value as usize]).collect();
    direction::<61>(&changes).unwrap_or_default()
}

/// Which sums follow from what is shown, as both primes say.
fn follow(reduced: &Reduced, random: &mut Random) -> Vec<bool> {
    let one = exactly_known::<61>(reduced, random);
    one.into_iter().zip(exactly_known::<31>(reduced, random)).map(|(one, other)| one && other).collect()
}

/// Which sums follow from what is shown.
fn exactly_known<const BITS: u32>(reduced: &Reduced, random: &mut Random) -> Vec<bool> {
    /// With the smaller prime one vector would raise a false alarm once in 2^31 sums; two never do.
    const VECTORS: usize = 2;
    let vectors = Field::<BITS>::null_vectors(reduced.atoms.len(), &reduced.equations, VECTORS, random);
    exact::determined::<BITS>(&vectors, &reduced.targets)
}

/// An insider with more free atoms of its own than this gets an elimination of its own: vectors for all of them would
/// take more memory than the system.
const VECTORS_MAX: usize = 64;

/// Which attacked sums follow from what is shown and what some contributor knows of itself. A sum made of one
/// contributor's records alone is its own to know, and one that it `knows` already no secret.
fn insiders(
    puzzle: &form::Puzzle,
    attacked: &[u32],
    reduced: &Reduced,
    known: &[bool],
    knows: &dyn Fn(usize, u32) -> bool,
    random: &mut Random,
    verdict: &mut Verdict,
) -> Vec<bool> {
    type F = Field<61>;
    let mut own: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (i, &a) in reduced.atoms.iter().enumerate() {
        if let Some(only) = puzzle.atoms[a as usize].lone() {
            own.entry(only).or_default().push(i as u32);
        }
    }
    verdict.insiders = own.len() as u64;
    // A sum whose open part is one contributor's alone tells that contributor nothing about anybody else: the rest of it
    // is public already.
    let lone = |i: &u32| puzzle.atoms[reduced.atoms[*i as usize] as usize].lone();
    let sole: Vec<Option<u32>> = (reduced.targets.iter())
        .map(|free| lone(free.first()?).filter(|who| free.iter().all(|i| lone(i) == Some(*who))))
        .collect();
    let mut breached = vec![false; attacked.len()];
    let most = own.values().map(Vec::len).filter(|&n| n <= VECTORS_MAX).max().unwrap_or(0);
    let vectors = F::null_vectors(reduced.atoms.len(), &reduced.equations, most + 1, random);
    let changes: Vec<Vec<u64>> =
        reduced.targets.iter().map(|sum| vectors.iter().map(|v| dot::<61>(sum, v)).collect()).collect();
    let of_atom = |a: u32| vectors.iter().map(|v| v[a as usize]).collect::<Vec<_>>();

    // One known atom fixes the sums that change in proportion to it, found by their common direction.
    let pairs: Vec<Vec<u64>> = changes.iter().map(|c| c.iter().take(2).copied().collect()).collect();
    let alike: HashMap<Vec<u64>, Vec<u32>> = by_direction::<61>(&pairs);
    for (&who, atoms) in &own {
        let mut breach = |t: usize| {
            let before = || puzzle.known(&puzzle.rows[attacked[t] as usize].atoms, Some(who)).is_point();
            if !known[t] && sole[t] != Some(who) && !before() && !knows(t, who) {
                breached[t] = true;
            }
        };
        if let [atom] = atoms[..] {
            let pair: Vec<u64> = of_atom(atom).into_iter().take(2).collect();
            let same = direction::<61>(&pair).and_then(|d| alike.get(&d));
            same.into_iter().flatten().for_each(|&t| breach(t as usize));
        } else if atoms.len() <= VECTORS_MAX {
            // The combination of vectors that leaves all its atoms alone is a null vector of all it knows.
            let width = atoms.len() + 1;
            let rows: Vec<Vec<u64>> = atoms.iter().map(|&a| of_atom(a)[..width].to_vec()).collect();
            let weights = F::annihilator(&rows, width, random);
            for (t, change) in changes.iter().enumerate() {
                let combine = |sum, (c, w): (&u64, &u64)| F::add(sum, F::multiply(*c, *w));
                if change.iter().zip(&weights).fold(0, combine) == 0 {
                    breach(t);
                }
            }
        } else {
            let mut with = reduced.equations.clone();
            with.extend(atoms.iter().map(|&a| vec![a]));
            let vectors = F::null_vectors(reduced.atoms.len(), &with, 1, random);
            let determined = exact::determined::<61>(&vectors, &reduced.targets);
            determined.iter().enumerate().filter(|d| *d.1).for_each(|d| breach(d.0));
        }
    }
    breached
}

#[cfg(test)]
mod tests {
    use super::super::microdata::Column;
    use super::super::{NotProtectable, protect, tabulate};
    use super::*;
    use proptest::prelude::*;
    use rules::Judged;

    pub(super) const ZONES: &str = "contributor = 'who'\nweight = 'heads'\n[rules]\nmin_contributors = 3\n[protection]\ninsiders = true\n\
                         [dimensions.zone]\nlevels = ['zone']\n[[tables]]\nname = 't'\ndimensions = ['zone']\n";
    const ZONES_ACTS: &str = "contributor = 'who'\nweight = 'heads'\n[rules]\nmin_contributors = 3\n\
                              dominance = { n = 1, share = 0.85 }\n\
                              [dimensions.zone]\nlevels = ['zone']\n[dimensions.act]\nlevels = ['act']\n\
                              [[tables]]\nname = 't'\ndimensions = ['zone', 'act']\n";

    /// One record a word: `contributor:weight:zone` or `contributor:weight:zone:act`; `-` is no code.
    pub(super) fn records(text: &str) -> Microdata {
        let fields: Vec<Vec<&str>> = text.split_whitespace().map(|r| r.split(':').collect()).collect();
        let who: Vec<&str> = fields.iter().map(|f| f[0]).collect();
        let weight = fields.iter().map(|f| f[1].parse().unwrap()).collect();
        let code = |f: &Vec<&str>, at: usize| f.get(at).filter(|c| **c != "-").map(|c| (*c).to_owned());
        let column = |name, at| Column::of(name, &fields.iter().map(|f| code(f, at)).collect::<Vec<_>>());
        let ids = (0..fields.len()).map(|i| i.to_string()).collect();
        Microdata::new(ids, &who, weight, vec![column("zone", 2), column("act", 3)])
    }

    /// A release of one table by zone, a row a line; ` ` stands for the two empty fields of a withheld row.
    pub(super) fn zones(rows: &str) -> ReleasedTables {
        let header = ["zone", "zone_level", "establishments", "headcount", "status"].map(str::to_owned).to_vec();
        let rows = rows.split_whitespace().map(|row| row.split(',').map(str::to_owned).collect()).collect();
        ReleasedTables { name: "r".into(), tables: vec![ReleasedTable { name: "t".into(), header, rows }] }
    }

    pub(super) fn found(verdict: &Verdict) -> Vec<String> {
        let mut found: Vec<String> = verdict.faults.iter().map(|f| format!("{} {}", f.cell, f.kind.name())).collect();
        found.sort();
        found
    }

    #[test]
    fn every_fault_of_form_is_named_with_its_cell() {
        let micro = records("a:10:X b:20:X c:15:Y d:15:Y e:5:Z f:5:Z g:5:Z");
        let spec = Spec::parse(ZONES).unwrap();
        let good = "TOTAL,TOTAL,7,75,published X,zone,,,withheld Y,zone,,,withheld Z,zone,3,15,published";
        for (from, to, expected) in [
            ("", "", vec![]),
            ("7,75", "7,76", vec!["zone=TOTAL wrong_value"]),
            ("3,15", "2,15", vec!["zone=Z wrong_value"]),
            ("3,15", "3,+15", vec!["zone=Z malformed_row"]),
            ("3,15", "3,", vec!["zone=Z malformed_row"]),
            ("Z,zone,3,15,published", "Z,zone,3,published", vec!["row 4 malformed_row", "zone=Z missing_cell"]),
            ("Z,zone,3,15,published", "", vec!["zone=Z missing_cell"]),
            ("Z,zone,3,15,published", "Z,zone,3,15,open", vec!["zone=Z unknown_status"]),
            ("Z,zone", "Z,zone,3,15,published Z,zone", vec!["zone=Z duplicate_cell"]),
            ("Z,zone", "Q,zone,0,0,published Z,zone", vec![]),
            ("Z,zone", "Q,zone,0,0,published Q,zone,0,0,published Z,zone", vec!["row 5 duplicate_cell"]),
            ("Z,zone", "Q,zone,1,0,published Z,zone", vec!["row 4 unknown_cell"]),
            ("Z,zone", "Q,zone,,,withheld Z,zone", vec!["row 4 unknown_cell"]),
            ("Z,zone", "Q,area,0,0,published Z,zone", vec!["row 4 unknown_level"]),
            (
                "X,zone,,",
                "X,zone,2,30",
                vec!["zone=X published_unsafe", "zone=X value_in_withheld_row", "zone=Y exact"],
            ),
            ("X,zone,,,withheld", "X,zone,2,30,published", vec!["zone=X published_unsafe", "zone=Y exact"]),
            (
                "X,zone,,,withheld Y,zone,,,withheld Z,zone,3,15,published",
                "",
                vec!["zone missing_level", "zone=X missing_cell", "zone=Y missing_cell", "zone=Z missing_cell"],
            ),
        ] {
            let verdict = audit(&micro, &spec, &[zones(&good.replace(from, to))]).unwrap();
            assert_eq!(found(&verdict), expected, "{from} -> {to}");
            assert_eq!(verdict.is_safe(), expected.is_empty());
        }
    }

    #[test]
    fn what_is_withheld_is_attacked_from_outside_and_inside() {
        for (micro, withheld, insiders, expected) in [
            // Alone in its line: the total gives it away.
            ("a:10:X b:20:X c:15:Y d:15:Y e:5:Y", "X", false, vec!["zone=X exact"]),
            ("a:10:X b:20:X c:15:Y d:15:Y", "X Y", true, vec![]),
            // Two cells of one head each hide one another from outside, and from nobody inside.
            ("a:1:X b:1:Y", "X Y", false, vec![]),
            ("a:1:X b:1:Y", "X Y", true, vec!["zone=X insider", "zone=Y insider"]),
            // A second record of weight zero is enough that nobody knows the whole cell.
            ("a:1:X a2:0:X b:1:Y b2:0:Y", "X Y", true, vec![]),
            // One firm alone in two cells knows the third; were it not alone in one of them, it would not.
            ("s:10:P s:10:Q t:10:R u:10:R", "P Q R", true, vec!["zone=R insider"]),
            ("s:10:P s:5:Q v:5:Q t:10:R u:10:R", "P Q R", true, vec![]),
            // Two firms, each alone in a cell: each lacks the other's.
            ("s:10:P w:10:Q t:10:R u:10:R", "P Q R", true, vec![]),
            // 100 ± 10 asked, 0 to 103 found; one more head in the other cell each time until it does.
            ("a:50:X b:50:X c:1:Y d:1:Y e:1:Y", "X Y", false, vec!["zone=X too_narrow"]),
            ("a:50:X b:50:X c:7:Y d:1:Y e:1:Y", "X Y", false, vec!["zone=X too_narrow"]),
            ("a:50:X b:50:X c:8:Y d:1:Y e:1:Y", "X Y", false, vec![]),
        ] {
            // A zone that is shown, so that the total is safe.
            let micro = records(&format!("{micro} x:9:Shown y:9:Shown z:9:Shown"));
            let mut spec = Spec::parse(ZONES).unwrap();
            spec.protection.insiders = insiders;
            let rows = released(&micro, |code| withheld.split(' ').any(|w| w == code));
            let checks = Checks { remainders_are_faults: false, ..Checks::default() };
            let verdict = examine(&micro, &spec, &[zones(&rows)], &checks).unwrap();
            assert_eq!(found(&verdict), expected, "{rows}");
        }
    }

    /// A true table by zone, with the zones `withheld`.
    pub(super) fn released(micro: &Microdata, withheld: impl Fn(&str) -> bool) -> String {
        let column = micro.column("zone").unwrap();
        let sums = |code: Option<u32>| {
            let inside = |r: &usize| column.codes[*r].is_some() && (code.is_none() || column.codes[*r] == code);
            let records: Vec<usize> = (0..micro.len()).filter(inside).collect();
            (records.len(), records.iter().map(|&r| micro.weight[r]).sum::<u64>())
        };
        let (n, heads) = sums(None);
        let mut rows = format!("TOTAL,TOTAL,{n},{heads},published");
        for (c, code) in column.labels.iter().enumerate() {
            let (n, heads) = sums(Some(c as u32));
            match withheld(code) {
                true => rows += &format!(" {code},zone,,,withheld"),
                false => rows += &format!(" {code},zone,{n},{heads},published"),
            }
        }
        rows
    }

    #[test]
    fn a_record_outside_a_dimension_is_in_no_cell() {
        let micro = records("a:1:X b:2:X c:3:X d:9:-");
        let spec = Spec::parse(ZONES).unwrap();
        for (total, expected) in [("3,6", vec![]), ("4,15", vec!["zone=TOTAL wrong_value"])] {
            let release = zones(&format!("TOTAL,TOTAL,{total},published X,zone,3,6,published"));
            assert_eq!(found(&audit(&micro, &spec, &[release]).unwrap()), expected);
        }
    }

    #[test]
    fn two_zonings_are_one_puzzle() {
        // The same people cut by `zone` now and by `act` before: A is X without one lone firm.
        let micro = records("a:5:X:A b:5:X:A c:5:X:A d:9:X:B e:5:Y:B f:5:Y:B g:5:Y:B");
        let spec = Spec::parse(&ZONES.replace("insiders = true", "insiders = false")).unwrap();
        let now = zones("TOTAL,TOTAL,7,39,published X,zone,4,24,published Y,zone,3,15,published");
        let mut before = zones("TOTAL,TOTAL,7,39,published A,act,3,15,published B,act,4,24,published");
        before.name = "before".into();
        for releases in [vec![now.clone()], vec![now, before]] {
            // No cell of either is unsafe; what lies between the two is the lone firm.
            let verdict = audit(&micro, &spec, &releases).unwrap();
            let expected = ["(t: zone=X) less (t: act=A) difference", "(t: act=B) less (t: zone=Y) difference"];
            let expected = if releases.len() == 1 { &[][..] } else { &expected[..1] };
            assert_eq!(found(&verdict), expected);
            assert_eq!(verdict.unsafe_remainders, 0);
        }
        // Hidden in one, shown in the other.
        let micro = records("a:5:X:A b:5:X:A c:9:Y:B d:9:Y:B e:9:Z:C f:9:Z:C g:9:Z:C h:9:Z:C");
        let now = zones("TOTAL,TOTAL,8,64,published X,zone,,,withheld Y,zone,,,withheld Z,zone,4,36,published");
        let before = zones("TOTAL,TOTAL,8,64,published A,act,2,10,published B,act,,,withheld C,act,4,36,published");
        assert!(audit(&micro, &spec, std::slice::from_ref(&now)).unwrap().is_safe());
        let verdict = audit(&micro, &spec, &[now, before]).unwrap();
        assert_eq!(found(&verdict), ["act=A published_unsafe", "zone=Y exact"]);
    }

    #[test]
    fn there_is_no_verdict_without_tables_or_columns() {
        let micro = records("a:1:X");
        let spec = Spec::parse(ZONES).unwrap();
        assert_eq!(audit(&micro, &spec, &[]), Err(NotAuditable::NothingReleased));
        let other = Spec::parse(&ZONES.replace("['zone']\n[[", "['area']\n[[")).unwrap();
        assert_eq!(audit(&micro, &other, &[zones("")]), Err(NotAuditable::NoColumn("area".into())));
        let heavy = |w: u64| audit(&records(&format!("a:{w}:X")), &spec, &[zones("")]);
        assert_eq!(heavy(form::WEIGHT_SUM_MAX + 1), Err(NotAuditable::TooHeavy));
        assert!(heavy(form::WEIGHT_SUM_MAX).is_ok());
    }

    /// Every cell of a table by zone and act: its name, its atoms among `cells`, its contributors, its coordinates.
    fn tables_of(cells: &[Vec<(u8, u64)>], zones: usize) -> Vec<(String, Vec<usize>, [String; 4])> {
        let acts = cells.len() / zones;
        let code = |letter: &str, at: Option<usize>| at.map_or(TOTAL.to_owned(), |i| format!("{letter}{i}"));
        let level = |name: &str, at: Option<usize>| at.map_or(TOTAL.to_owned(), |_| name.to_owned());
        let all = |n: usize| std::iter::once(None).chain((0..n).map(Some));
        let mut found = Vec::new();
        for (z, a) in all(zones).flat_map(|z| all(acts).map(move |a| (z, a))) {
            let inside = |i: usize| z.is_none_or(|z| i / acts == z) && a.is_none_or(|a| i % acts == a);
            let atoms: Vec<usize> = (0..cells.len()).filter(|&i| !cells[i].is_empty() && inside(i)).collect();
            if !atoms.is_empty() {
                let at = [code("z", z), level("zone", z), code("a", a), level("act", a)];
                found.push((format!("zone={} & act={}", at[0], at[2]), atoms, at));
            }
        }
        found
    }

    fn micro_of(cells: &[Vec<(u8, u64)>], zones: usize) -> Microdata {
        let acts = cells.len() / zones;
        let text: Vec<String> = cells
            .iter()
            .enumerate()
            .flat_map(|(i, cell)| cell.iter().map(move |(who, w)| format!("f{who}:{w}:z{}:a{}", i / acts, i % acts)))
            .collect();
        records(&text.join(" "))
    }

    /// Every way to give `atoms` whole numbers that sum to `total`.
    fn compositions(atoms: usize, total: u64, visit: &mut impl FnMut(&[u64])) {
        fn fill(table: &mut Vec<u64>, at: usize, left: u64, visit: &mut impl FnMut(&[u64])) {
            if at + 1 == table.len() {
                table[at] = left;
                return visit(table);
            }
            for value in 0..=left {
                table[at] = value;
                fill(table, at + 1, left - value, visit);
            }
        }
        fill(&mut vec![0; atoms], 0, total, visit);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// The sets of a two-way table are two nested families, so that the ends of its intervals are whole: the linear
        /// programs and the list of all tables in whole numbers must agree on every cell.
        #[test]
        fn small_tables_are_judged_as_the_list_of_all_tables_judges_them(
            cells in prop::collection::vec(prop::collection::vec((0..4_u8, 0..4_u64), 0..3), 6),
            hide in any::<u64>(),
        ) {
            let value = |i: usize| cells[i].iter().map(|c| c.1).sum::<u64>();
            let total: u64 = (0..6).map(value).sum();
            prop_assume!(cells.iter().any(|c| !c.is_empty()) && total <= 10);
            let spec = Spec::parse(ZONES_ACTS).unwrap();
            let judged = |atoms: &[usize]| {
                let mut weights: BTreeMap<u8, u64> = BTreeMap::new();
                atoms.iter().flat_map(|&i| &cells[i]).for_each(|(who, w)| *weights.entry(*who).or_default() += w);
                let establishments = atoms.iter().map(|&i| cells[i].len() as u64).sum();
                let mut owned: BTreeMap<u8, u64> = BTreeMap::new();
                atoms.iter().flat_map(|&i| &cells[i]).for_each(|(who, _)| *owned.entry(*who).or_default() += 1);
                let (weights, owned) = (weights.into_values().collect(), owned.into_values().collect());
                rules::level(&Judged { establishments, weights, owned }, &spec.rules, &spec.protection)
            };
            let listed = tables_of(&cells, 2);
            let everything: Vec<usize> = (0..6).filter(|&i| !cells[i].is_empty()).collect();
            // Equal sets have one fate; the grand total is shown, so that the list of tables ends.
            let fate: HashMap<&Vec<usize>, bool> = listed
                .iter()
                .enumerate()
                .map(|(i, (_, atoms, _))| (atoms, *atoms != everything && (judged(atoms).is_some() || hide >> i & 1 == 1)))
                .collect();
            let rows = listed.iter().map(|(_, atoms, at)| {
                let mut row = at.to_vec();
                if fate[atoms] {
                    row.extend(["", "", "withheld"].map(str::to_owned));
                } else {
                    let n: usize = atoms.iter().map(|&i| cells[i].len()).sum();
                    let heads: u64 = atoms.iter().map(|&i| value(i)).sum();
                    row.extend([n.to_string(), heads.to_string(), "published".to_owned()]);
                }
                row
            });
            let header = ["zone", "zone_level", "act", "act_level", "establishments", "headcount", "status"];
            let table = ReleasedTable {
                name: "t".into(), header: header.map(str::to_owned).to_vec(), rows: rows.collect(),
            };
            let release = ReleasedTables { name: "r".into(), tables: vec![table] };
            let verdict = audit(&micro_of(&cells, 2), &spec, &[release]).unwrap();

            let mut tables: Vec<Vec<u64>> = Vec::new();
            compositions(everything.len(), total, &mut |table| {
                let mut full = vec![0; 6];
                everything.iter().zip(table).for_each(|(&i, v)| full[i] = *v);
                let fits = |(atoms, hidden): (&&Vec<usize>, &bool)| {
                    *hidden || atoms.iter().map(|&i| full[i]).sum::<u64>() == atoms.iter().map(|&i| value(i)).sum::<u64>()
                };
                if fate.iter().all(fits) {
                    tables.push(full);
                }
            });
            let mut seen = BTreeSet::new();
            for (name, atoms, _) in listed.iter().filter(|l| fate[&l.1]) {
                let Some(level) = judged(atoms) else { continue };
                if !seen.insert(atoms) {
                    continue; // named by its first cell
                }
                let truth: u64 = atoms.iter().map(|&i| value(i)).sum();
                let ends = |tables: &mut dyn Iterator<Item = &Vec<u64>>| {
                    tables.fold((truth, truth), |(low, high), t| {
                        let v = atoms.iter().map(|&i| t[i]).sum::<u64>();
                        (low.min(v), high.max(v))
                    })
                };
                let (low, high) = ends(&mut tables.iter());
                let faults: Vec<FaultKind> =
                    verdict.faults.iter().filter(|f| f.cell == *name).map(|f| f.kind).collect();
                let close = faults.contains(&FaultKind::Exact) || faults.contains(&FaultKind::TooNarrow);
                prop_assert_eq!(close, high < truth + level || low > truth - level.min(truth), "{} {:?}", name, faults);
                prop_assert!(!faults.contains(&FaultKind::Exact) || low == high, "{}", name);
                if faults.contains(&FaultKind::Insider) {
                    // Somebody, knowing the cells where it is alone, is left with one value.
                    let alone = |i: &usize, who: u8| !cells[*i].is_empty() && cells[*i].iter().all(|c| c.0 == who);
                    let told = (0..4_u8).any(|who| {
                        let own: Vec<usize> = (0..6).filter(|i| alone(i, who)).collect();
                        let mut fitting = tables.iter().filter(|t| own.iter().all(|&i| t[i] == value(i)));
                        let (low, high) = ends(&mut fitting);
                        low == high && !atoms.iter().all(|i| alone(i, who))
                    });
                    prop_assert!(told, "{}", name);
                }
            }
        }

        /// The two halves of the strongroom agree: what one protects, the other cannot open; and it notices when one
        /// more cell is opened.
        #[test]
        fn what_is_protected_passes_and_one_opened_cell_turns_the_verdict(
            cells in prop::collection::vec(prop::collection::vec((0..30_u8, 0..40_u64), 0..5), 20),
            pick in any::<prop::sample::Index>(),
        ) {
            prop_assume!(cells.iter().any(|c| !c.is_empty()));
            let spec = Spec::parse(ZONES_ACTS).unwrap();
            let micro = micro_of(&cells, 4);
            let raw = tabulate(&micro, &spec).unwrap();
            let (tables, dossier) = match protect(&raw, &spec.rules, &spec.protection, &[]) {
                Ok(protected) => protected,
                Err(NotProtectable::Hopeless { .. }) => return Ok(()),
                Err(refused @ NotProtectable::Remainder { .. }) => panic!("{refused}"),
            };
            let mut release = ReleasedTables::of("r", &tables);
            let proof = dossier.proof.bytes();
            let checks = Checks { certificate: Some(&proof), mutations: 2, ..Checks::default() };
            let verdict = examine(&micro, &spec, std::slice::from_ref(&release), &checks).unwrap();
            prop_assert_eq!(found(&verdict), Vec::<String>::new());
            let certified = verdict.certified.unwrap();
            prop_assert_eq!(certified.ends_proved, certified.ends);
            prop_assert!(certified.ends - certified.ends_whole <= dossier.in_fractions as u64, "{:?}", certified);
            prop_assert_eq!(certified.witnesses_true, certified.witnesses);
            let mutations = verdict.mutations.unwrap();
            prop_assert_eq!(mutations.primary_caught, mutations.primary);
            let hidden: Vec<usize> =
                (0..dossier.reasons.len()).filter(|&i| dossier.reasons[i].fate == "primary").collect();
            prop_assume!(!hidden.is_empty());
            let opened = hidden[pick.index(hidden.len())];
            let at = release.tables[0].rows[opened].clone();
            let inside = |code: &str, own: String| code == TOTAL || code == own;
            let records: Vec<u64> = cells
                .iter()
                .enumerate()
                .filter(|(i, _)| inside(&at[0], format!("z{}", i / 5)) && inside(&at[2], format!("a{}", i % 5)))
                .flat_map(|(_, cell)| cell.iter().map(|c| c.1))
                .collect();
            let row = &mut release.tables[0].rows[opened];
            row[4] = records.len().to_string();
            row[5] = records.iter().sum::<u64>().to_string();
            row[6] = "published".to_owned();
            let verdict = audit(&micro, &spec, &[release]).unwrap();
            prop_assert!(verdict.by_kind.contains_key(&FaultKind::PublishedUnsafe));
            prop_assert!(!verdict.by_kind.contains_key(&FaultKind::WrongValue));
        }
    }
}
