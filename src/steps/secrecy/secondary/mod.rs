//! Secondary suppression: withhold more rows until every unsafe row has, on each side and against each attacker, a
//! witness that lets it be as far from the truth as its level asks.
//!
//! The work is in one system, all tables together. *Rectangles* find moves over what is withheld already by hashing, two
//! or four atoms at a time. Then *cuts* choose the cheapest rows to withhold, with a bound on what any pattern costs.
//! A system too large for that goes through passes:
//! 1. *rectangles* again, and *harvest*: linear programs, each of which moves many unsafe rows at once;
//! 2. *widen*: for each need no witness meets, the cheapest move that meets it if rows may be opened to it at a price
//!    (after Kelly, Golden & Assad 1992), by a program over a small system, by an exchange of few atoms in a large one;
//!    the rows it touches are withheld;
//! 3. *clean up*: rows that turn out not to be needed are shown again, dearest first.
//!
//! Solvers propose, exact arithmetic disposes: a move counts only once [`witness::Witness::check`] has checked it in
//! whole numbers against everything shown. No verdict means withheld.

pub(super) mod system;
pub(super) mod witness;

mod attack;
mod cuts;
mod harvest;
mod kelly;
mod rectangles;
mod swap;
mod widen;

use super::policy::{Protection, Rules};
use super::tabulate::RawTables;
pub(super) use cuts::Found;
use kelly::Kelly;
use std::collections::HashSet;
use swap::Neighbours;
use system::{Fate, System};
use witness::{Need, Pool, Side};

/// What was withheld, and the proof.
pub(super) struct Pattern<'a> {
    pub system: System<'a>,
    pub pool: Pool,
    /// What a search has proved of its cost, where there was one.
    pub found: Option<Found>,
}

/// A need that nothing can meet: too much is public already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hopeless {
    pub row: u32,
}

/// Rounds of widening; each round strictly withholds more or ends, so this only bounds a mistake of ours.
const ROUNDS_MAX: usize = 1_000;

/// Protects every unsafe row. `locked` rows are public for ever; nothing is asked against contributors who already know a
/// row on one side (row, whether the upper one, contributor).
pub(super) fn suppress<'a>(
    raw: &'a RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
    already_known: &HashSet<(u32, bool, u32)>,
) -> Result<Pattern<'a>, Hopeless> {
    let fresh = || {
        let mut system = System::new(raw, rules, protection, locked);
        system.already_known.clone_from(already_known);
        (system, Pool::default())
    };
    let (mut system, mut pool) = fresh();
    rectangles::rectangles(&system, &mut pool);
    if let Some(effort) = cuts::Effort::of(&system, &pool) {
        match cuts::optimise(&mut system, &mut pool, effort) {
            Ok(Some(found)) => return Ok(Pattern { system, pool, found: Some(found) }),
            // What is left is for the faster way.
            Ok(None) => {}
            // No verdict of the solver, or none that reads in fractions: the other way has more to try.
            Err(_) => (system, pool) = fresh(),
        }
    }
    let mut kelly = (raw.atoms.len() <= widen::WHOLE_ATOMS).then(|| Kelly::new(&system));
    let near = Neighbours::new(&system);
    for _ in 0..ROUNDS_MAX {
        rectangles::rectangles(&system, &mut pool);
        let small = system.raw.atoms.len() <= widen::WHOLE_ATOMS;
        if small {
            harvest::harvest(&system, &mut pool);
        }
        let mut unmet: Vec<_> = needs(&system).into_iter().filter_map(|need| pool.unmet(&system, need)).collect();
        if unmet.is_empty() {
            clean_up(&mut system, &mut pool, &near);
            return Ok(Pattern { system, pool, found: None });
        }
        // In a large system the least demanding first: what they withhold makes room for the others. In a small one the
        // other way round, since one program sees the whole and its answer often serves the others.
        unmet.sort_by_key(|u| (if small { -u.distance } else { u.distance }, u.need));
        widen::widen(&mut system, &mut pool, kelly.as_mut(), &near, &unmet)?;
    }
    Err(Hopeless { row: 0 })
}

/// Every need of every unsafe row, in the order of rows.
pub(super) fn needs(system: &System<'_>) -> Vec<Need> {
    let rows = (0..system.raw.rows.len() as u32)
        .filter(|&r| system.verdict[r as usize].is_some() && !system.fate[r as usize].is_shown());
    rows.flat_map(|row| [Side::Up, Side::Down].map(|side| Need { row, side })).collect()
}

/// Shows again each secondary row without which every need is still met, dearest first.
fn clean_up(system: &mut System<'_>, pool: &mut Pool, near: &Neighbours) {
    let ease = widen::ease(system);
    let mut secondary: Vec<u32> =
        (0..system.raw.rows.len() as u32).filter(|&r| system.fate[r as usize] == Fate::Secondary).collect();
    secondary.sort_by(|&r, &s| system.price[s as usize].total_cmp(&system.price[r as usize]).then(r.cmp(&s)));
    for row in secondary {
        let shaken = pool.leaning_on(system, row);
        system.fate[row as usize] = Fate::Open;
        pool.shown(row);
        let both = |&row: &u32| [Side::Up, Side::Down].map(|side| Need { row, side });
        let unmet: Vec<_> = shaken.iter().flat_map(both).filter_map(|need| pool.unmet(system, need)).collect();
        if !unmet.is_empty() && !widen::without(system, pool, near, &ease, &unmet) {
            system.fate[row as usize] = Fate::Secondary;
            pool.withheld(row);
        }
    }
}
