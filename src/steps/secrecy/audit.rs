//! The attack on releases, on a path of its own: it shares the rules' text with [`protect`](super::protect()) and
//! nothing of its work. Cells, sums and rules are computed afresh from the records, then it tries to work out what is
//! withheld:
//! 1. *form*: each row says what the records say, and no cell is left out;
//! 2. *rules*: no cell that a rule makes unsafe is shown;
//! 3. *exact*: no unsafe cell follows from what is shown (elimination modulo two primes, nothing rounded);
//! 4. *insiders*: nor from that and what a contributor knows of itself;
//! 5. *intervals*: every unsafe cell can be as far from the truth as its level asks, in some table that fits all that
//!    is shown.
//!
//! Several releases are attacked together, as their readers read them together. A verdict names cells and kinds of
//! fault, never figures.
//!
//! What an insider knows: the atoms that hold its own records alone. Its part of an atom it shares is no equation, since
//! the rest of that atom is unknown to it; in the intervals the attacker is the outsider.

mod exact;
mod form;
mod interval;
mod reduce;
mod rules;

use super::microdata::Microdata;
use super::policy::Spec;
use super::protect::{Cell, Coordinate, ProtectedTables};
use exact::{Field, Random, by_direction, direction, dot};
use reduce::Reduced;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// Unsafe sums that are withheld everywhere, each of them attacked.
    pub attacked: u64,
    /// Groups of records that no cell tells apart.
    pub atoms: u64,
    /// Atoms that what is shown does not fix, and independent-looking equations about them.
    pub free_atoms: u64,
    /// Equations left about free atoms.
    pub equations: u64,
    /// Contributors tried as insiders: those alone in some free atom.
    pub insiders: u64,
    /// Ends of intervals to be reached.
    pub ends: u64,
    /// Ends settled by programs shared by many cells.
    pub ends_shared: u64,
    /// Ends settled by a program for the cell alone.
    pub ends_single: u64,
    /// Linear programs solved.
    pub programs: u64,
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
    /// The weights sum too high for exact comparison.
    #[error("microdata: found weights that sum above {}, expected less", form::WEIGHT_SUM_MAX)]
    TooHeavy,
}

/// Attacks releases together, knowing the records they were made from.
///
/// A record with no code in a column lies in no cell of a table which uses that dimension, totals included.
///
/// # Errors
/// [`NotAuditable`]: there is no verdict then, and whoever publishes must not.
pub fn audit(micro: &Microdata, spec: &Spec, releases: &[ReleasedTables]) -> Result<Verdict, NotAuditable> {
    let mut verdict = Verdict::default();
    let puzzle = form::read(micro, spec, releases, &mut verdict)?;
    let levels: Vec<Option<u64>> = puzzle
        .rows
        .iter()
        .map(|row| rules::level(&puzzle.cell(row), &spec.rules, spec.protection.width))
        .collect();
    verdict.sums = puzzle.rows.len() as u64;
    verdict.atoms = puzzle.atoms.len() as u64;
    verdict.unsafe_sums = levels.iter().flatten().count() as u64;
    for shown in &puzzle.shown {
        if levels[shown.row as usize].is_some() {
            verdict.add(FaultKind::PublishedUnsafe, || puzzle.fault(shown, FaultKind::PublishedUnsafe));
        }
    }

    let attacked: Vec<u32> =
        (0..puzzle.rows.len() as u32).filter(|&r| levels[r as usize].is_some() && !puzzle.rows[r as usize].shown).collect();
    verdict.attacked = attacked.len() as u64;
    let reduced = reduce::reduce(&puzzle, &attacked);
    verdict.free_atoms = reduced.atoms.len() as u64;
    verdict.equations = reduced.equations.len() as u64;

    let mut random = Random(SEED);
    let mut known = exactly_known::<61>(&reduced, &mut random);
    // A second prime: a fluke of the first would have to repeat.
    for (known, again) in known.iter_mut().zip(exactly_known::<31>(&reduced, &mut random)) {
        *known |= again;
    }
    let breached = match spec.protection.insiders {
        true => insiders(&puzzle, &attacked, &reduced, &known, &mut random, &mut verdict),
        false => vec![false; attacked.len()],
    };
    let targets: Vec<interval::Target<'_>> = attacked
        .iter()
        .zip(&reduced.targets)
        .map(|(&row, atoms)| interval::Target {
            atoms,
            value: puzzle.rows[row as usize].value,
            level: levels[row as usize].unwrap_or(1),
        })
        .collect();
    let values: Vec<u64> = reduced.atoms.iter().map(|&a| puzzle.atoms[a as usize].value).collect();
    let narrow = interval::narrow(&values, &reduced.equations, &targets, &known, &mut random, &mut verdict);
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
    Ok(verdict)
}

/// Which attacked sums follow from what is shown.
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
/// contributor's records alone is its own to know.
fn insiders(
    puzzle: &form::Puzzle,
    attacked: &[u32],
    reduced: &Reduced,
    known: &[bool],
    random: &mut Random,
    verdict: &mut Verdict,
) -> Vec<bool> {
    type F = Field<61>;
    let mut own: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (i, &a) in reduced.atoms.iter().enumerate() {
        if let [(only, _)] = puzzle.atoms[a as usize].contributions[..] {
            own.entry(only).or_default().push(i as u32);
        }
    }
    verdict.insiders = own.len() as u64;
    let sole: Vec<Option<u32>> = attacked.iter().map(|&row| puzzle.sole_contributor(row)).collect();
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
            if !known[t] && sole[t] != Some(who) {
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
