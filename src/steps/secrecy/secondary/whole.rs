//! Whole numbers: what is proved by moves in fractions of a unit of the weight is proved again by moves in whole ones.
//!
//! Everybody knows that a headcount is whole. A move in fractions leads to a table that nobody takes for true, so that it says
//! nothing to an attacker who counts in whole employees. Most moves are whole by themselves, since most of what is
//! withheld hangs together as a network does. For each need that only fractions meet, circuits, which are whole, are
//! combined in whole numbers; where none is found, cubes withhold more. Where those find none either, which earlier
//! releases can bring about, the need stays met in fractions, and is counted.

use super::ATOMS_MAX;
use super::circuits::Circuits;
use super::cubes::{Draft, Grid};
use super::system::{Fate, System};
use super::witness::{Need, Pool, Unmet, Witness};

/// Has each need met by whole moves where that can be had: those in fractions are taken out of the pool, but for those that
/// nothing else replaces. Gives the needs that these alone meet.
///
/// What is withheld for it on top, cells that are safe and not zero, asks for nothing more: neither of rests, nor of
/// contributors that known zeros excuse.
pub(super) fn settle(system: &mut System<'_>, pool: &mut Pool) -> Vec<Need> {
    let fractions = pool.take_fractions();
    let mut lacking = if fractions.is_empty() { Vec::new() } else { super::needs(system) };
    lacking.retain(|&need| pool.unmet(system, need).is_some());
    if !lacking.is_empty() {
        let mut circuits = if system.raw.atoms.len() > ATOMS_MAX { None } else { Circuits::standing(system).ok() };
        let grid = Grid::new(&system.raw);
        lacking.retain(|&need| !is_met(system, pool, circuits.as_mut(), &grid, need));
    }
    let moves = |witness: &Witness, need: &Need| witness.rows.binary_search_by_key(&need.row, |r| r.0).is_ok();
    let kept = fractions.into_iter().filter(|witness| lacking.iter().any(|need| moves(witness, need)));
    kept.for_each(|witness| pool.add(system, witness));
    lacking
}

/// Adds whole witnesses until a need is met, whatever it takes to withhold; whether it is.
fn is_met(
    system: &mut System<'_>,
    pool: &mut Pool,
    mut circuits: Option<&mut Circuits>,
    grid: &Grid,
    need: Need,
) -> bool {
    while let Some(wanted) = pool.unmet(system, need) {
        let one = Unmet { attackers: wanted.attackers.into_iter().take(1).collect(), ..wanted };
        let found = circuits.as_mut().and_then(|circuits| circuits.whole(system, pool, &one));
        let Some(witness) = found.or_else(|| widened(system, pool, grid, &one)) else { return false };
        if let Some(circuits) = &mut circuits {
            circuits.learn(system, &witness.moves);
        }
        pool.add(system, witness);
    }
    true
}

/// The witness of the cheapest cubes; what they take to withhold is withheld.
fn widened(system: &mut System<'_>, pool: &mut Pool, grid: &Grid, wanted: &Unmet) -> Option<Witness> {
    let Draft { moves, withheld } = Draft::of(grid, system, wanted, f64::INFINITY)?;
    if withheld.iter().any(|&row| system.raw.rows[row as usize].value == 0) {
        return None;
    }
    withheld.iter().for_each(|&row| system.fate[row as usize] = Fate::Secondary);
    let witness = Witness::check(system, 1, moves).filter(|witness| witness.meets(wanted));
    match witness {
        Some(_) => withheld.iter().for_each(|&row| pool.withheld(row)),
        None => withheld.iter().for_each(|&row| system.fate[row as usize] = Fate::Open),
    }
    witness
}
