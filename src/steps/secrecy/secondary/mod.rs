//! Secondary suppression: withhold more rows until every unsafe row has, on each side and against each attacker, a
//! witness that lets it be as far from the truth as its level asks.
//!
//! The work is in one system, all tables together. *Rectangles* find moves over what is withheld already by hashing, two
//! or four atoms at a time. Then, where a search can be had, *cuts* choose the cheapest rows to withhold, with a bound on
//! what any pattern costs. In a larger system a few rounds of the same give advice and a bound, where that pays, and *circuits* show all
//! that they can of what is withheld, the dearest rows first. In one too large for either, *cubes* of a few atoms meet
//! needs one by one. What the sums of the tables alone say (*balance*) begins every search, and is a bound by itself.
//! At last *remainders*, which subtraction would give though no table shows them, are kept as cells are.
//!
//! Solvers propose, exact arithmetic disposes: a move counts only once [`witness::Witness::check`] has checked it in
//! whole numbers against everything shown. No verdict means withheld.

pub(super) mod system;
pub(super) mod witness;

mod attack;
mod balance;
mod circuits;
mod cubes;
mod cuts;
mod kelly;
mod rectangles;
mod remainders;
mod told;
mod whole;

use super::policy::{Protection, Rules, Search};
use super::tabulate::RawTables;
pub(super) use cuts::Found;
use remainders::Guard;
pub use remainders::Remainders;
use std::collections::HashSet;
use system::System;
pub(super) use told::Lead;
use witness::{Need, Pool, Witness};

/// Atoms above which everything that circuits and searches do over a whole system takes too long.
const ATOMS_MAX: usize = 40_000;

/// How often rests and whole numbers are looked at in turn.
const ROUNDS_MAX: usize = 4;

/// What was withheld, and the proof.
pub(super) struct Pattern<'a> {
    pub system: System<'a>,
    pub pool: Pool,
    /// What a search has proved of its cost, where there was one.
    pub found: Option<Found>,
    /// Unsafe sums that no table shows.
    pub remainders: Remainders,
    /// Needs, of cells and of such sums, that are met by moves in fractions of a unit alone.
    pub in_fractions: Vec<Need>,
}

impl<'a> Pattern<'a> {
    /// One of rows alone, before sums that no table shows are looked at, and whole numbers.
    fn of_rows(system: System<'a>, pool: Pool, found: Found) -> Self {
        Self { system, pool, found: Some(found), remainders: Remainders::default(), in_fractions: Vec::new() }
    }
}

/// Why there is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hopeless {
    /// A row with a need that nothing can meet: too much is public already.
    Row(u32),
    /// A row that leaves an unsafe rest for which nothing was found to withhold.
    Rest(u32),
}

impl Hopeless {
    /// The row, which is one of the tables.
    pub(super) fn row(self) -> u32 {
        match self {
            Self::Row(row) | Self::Rest(row) => row,
        }
    }
}

/// Protects every unsafe row, and every unsafe sum that subtraction would give. `locked` rows are public for ever; of what
/// they have told a contributor nothing is asked against it.
pub(super) fn suppress<'a>(
    raw: &'a RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
    told: Told,
) -> Result<Pattern<'a>, Hopeless> {
    let guard = Guard { rules, protection };
    let mut pattern = of_rows(raw, rules, protection, locked, told, Some(guard))?;
    let Pattern { system, pool, found, remainders, in_fractions } = &mut pattern;
    for round in 0.. {
        let Remainders { hidden, told } = remainders::hide(system, pool, guard)?;
        remainders.hidden += hidden;
        remainders.told += told;
        *in_fractions = whole::settle(system, pool, protection);
        // What whole numbers withhold on top may leave a sum that is unsafe by the rules of one table alone.
        if !remainders::has_rules_of_tables(raw) {
            break;
        }
        match remainders::left(system, pool, guard) {
            None => break,
            Some(row) if round == ROUNDS_MAX => return Err(Hopeless::Rest(row)),
            Some(_) => {}
        }
    }
    if let Some(found) = found {
        // What no pattern of the search costs less than, no safer one does.
        found.cost = system.cost();
    }
    Ok(pattern)
}

/// Protects every unsafe row, and has an eye to rests where there is a guard.
fn of_rows<'a>(
    raw: &'a RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
    told: Told,
    guard: Option<Guard<'_>>,
) -> Result<Pattern<'a>, Hopeless> {
    let Told { insiders: already_known, witnesses, .. } = told;
    let fresh = || {
        let mut system = System::new(raw, rules, protection, locked);
        system.already_known.clone_from(&already_known);
        (system, Pool::default())
    };
    let (mut system, mut pool) = fresh();
    if raw.atoms.len() > ATOMS_MAX {
        if cubes::withhold(&mut system, &mut pool).is_ok() {
            let found = Found { bound: balance::bound(&system), cost: system.cost() };
            return Ok(Pattern::of_rows(system, pool, found));
        }
        (system, pool) = fresh();
    }
    rectangles::rectangles(&system, &mut pool);
    let mut brief = protection.search != Search::Thorough || raw.atoms.len() > ATOMS_MAX;
    if let Some(effort) = cuts::Effort::of(&system, &pool).filter(|_| !brief) {
        // No verdict of the solver, or none that reads in fractions: the other way has more to try.
        if let Ok(found) = cuts::optimise(&mut system, &mut pool, effort, guard) {
            return Ok(Pattern::of_rows(system, pool, found));
        }
        (system, pool) = fresh();
        brief = true;
    }
    let advised = !brief && cuts::large::pays(&system);
    let advice = advised.then(|| cuts::large::advise(&mut system, &mut pool, guard));
    if advice.as_ref().is_none_or(|advice| !advice.is_safe) {
        let last = advice.as_ref().map_or(&[][..], |advice| &advice.chosen);
        // It begins where these were found, with everything withheld.
        witnesses.into_iter().for_each(|witness| pool.add(&system, witness));
        circuits::show_most(&mut system, &mut pool, protection.search, last)?;
    }
    let bound = advice.map_or_else(|| balance::bound(&system), |advice| advice.bound);
    let found = Found { bound, cost: system.cost() };
    Ok(Pattern::of_rows(system, pool, found))
}

/// What contributors know of rows, whatever is withheld: (row, whether the upper side, contributor).
pub(super) type Known = HashSet<(u32, bool, u32)>;

/// What rows that are shown for ever tell by themselves, with everything else withheld.
#[derive(Default)]
pub(super) struct Told {
    /// What single contributors know.
    pub insiders: Known,
    /// Rows of which anybody knows too much.
    pub all: Vec<u32>,
    /// Rows of which it was not found out.
    pub unknown: Vec<u32>,
    /// What keeps the others from being told.
    pub witnesses: Vec<Witness>,
}

/// Of whom it is asked what they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// Of those alone who know no more than what is shown: they decide whether there is a pattern.
    Outsiders,
    /// Of each contributor too.
    Everybody,
}

/// What `locked` rows tell of these rows by themselves; `leads` are tried before anything is sought.
///
/// # Errors
/// A row that is beyond reckoning.
pub(super) fn told(
    raw: &RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
    rows: &[u32],
    whom: Whom,
    leads: &[Lead],
) -> Result<Told, Hopeless> {
    told::told(&mut System::new(raw, rules, protection, locked), rows, whom, leads)
}

/// Every need of every unsafe row, in the order of rows.
pub(super) fn needs(system: &System<'_>) -> Vec<Need> {
    let rows = (0..system.raw.rows.len() as u32)
        .filter(|&r| system.verdict[r as usize].is_some() && !system.fate[r as usize].is_shown());
    rows.flat_map(Need::both).collect()
}
