//! Pass 2: the cheapest move that meets one need, where a shown row may be withheld at a price.

use super::super::lp::{Column, Outcome, Program};
use super::Hopeless;
use super::system::{Fate, System};
use super::witness::{Pool, Side, Unmet, Witness};
use std::collections::HashMap;

/// A system with no more atoms than this is treated whole.
const WHOLE_ATOMS: usize = 2_500;

/// Atoms a first local program may hold in a larger one; when it finds nothing the neighbourhood grows fourfold.
const LOCAL_ATOMS: usize = 600;

/// Against more attackers than this, a smaller move is looked for first.
const FEW_ATTACKERS: usize = 3;

/// Price of moving an atom by one, beside the price of withholding a row, which is one at least: among moves that
/// withhold the same, the smallest is best, since fewer contributors can exclude it.
const MOVE_PRICE: f64 = 1e-3;

/// When more needs than this hang on one row, it is kept.
const RETRIES_MAX: usize = 6;

/// A round of widening treats this share of the needs, then the pass before it gets another turn.
const SHARE_A_ROUND: usize = 4;

/// Meets the first needs in turn, withholding what their cheapest moves touch.
pub(super) fn widen(system: &mut System<'_>, pool: &mut Pool, unmet: &[Unmet]) -> Result<(), Hopeless> {
    let ease = ease(system);
    let least = (unmet.len() / SHARE_A_ROUND).max(20);
    let mut done = 0;
    for wanted in unmet {
        let Some(mut wanted) = pool.unmet(system, wanted.need) else { continue };
        if wanted.attackers.len() > FEW_ATTACKERS {
            // A move of few atoms leaves few contributors who can exclude it.
            let anyone = Unmet { attackers: Vec::new(), ..wanted.clone() };
            let small = cheapest(system, &ease, &anyone, false).and_then(|(moves, _)| Witness::check(system, moves));
            if let Some(small) = small {
                pool.add(system, small);
            }
            let Some(left) = pool.unmet(system, wanted.need) else { continue };
            wanted = left;
        }
        wanted.attackers.truncate(FEW_ATTACKERS);
        let (moves, withheld) = cheapest(system, &ease, &wanted, true).ok_or(Hopeless { row: wanted.need.row })?;
        for row in withheld {
            system.fate[row as usize] = Fate::Secondary;
        }
        let witness = Witness::check(system, moves).ok_or(Hopeless { row: wanted.need.row })?;
        pool.add(system, witness);
        done += 1;
        if done >= least {
            break;
        }
    }
    Ok(())
}

/// Tries to meet every need with no further row withheld; adds what it finds.
pub(super) fn without(system: &System<'_>, pool: &mut Pool, unmet: &[Unmet]) -> bool {
    if unmet.len() > RETRIES_MAX || system.raw.atoms.len() > WHOLE_ATOMS {
        return false;
    }
    let ease = ease(system);
    unmet.iter().all(|wanted| {
        let Some(wanted) = pool.unmet(system, wanted.need) else { return true };
        let found = cheapest(system, &ease, &wanted, false).and_then(|(moves, _)| Witness::check(system, moves));
        found.is_some_and(|witness| {
            pool.add(system, witness);
            pool.unmet(system, wanted.need).is_none()
        })
    })
}

/// For each atom what it would cost to withhold every row it lies in: the low ones make good neighbours.
fn ease(system: &System<'_>) -> Vec<u64> {
    let price = |r: &u32| if system.fate[*r as usize] == Fate::Open { system.raw.rows[*r as usize].value } else { 0 };
    system.rows_of.iter().map(|rows| rows.iter().map(price).sum()).collect()
}

type Found = (Vec<(u32, i64)>, Vec<u32>);

fn cheapest(system: &System<'_>, ease: &[u64], wanted: &Unmet, may_withhold: bool) -> Option<Found> {
    let all = system.raw.atoms.len();
    let mut size = if all <= WHOLE_ATOMS { all } else { LOCAL_ATOMS };
    loop {
        let atoms = neighbourhood(system, ease, wanted.need.row, size);
        let whole = atoms.len() == all;
        for integers in [false, true] {
            if let Some(found) = solve(system, &atoms, wanted, may_withhold, integers) {
                return Some(found);
            }
        }
        if whole && wanted.attackers.len() > 1 {
            // No one move escapes all of them: one for each half, and so on.
            let half = Unmet { attackers: wanted.attackers[..wanted.attackers.len() / 2].to_vec(), ..wanted.clone() };
            return cheapest(system, ease, &half, may_withhold);
        }
        if whole || !may_withhold {
            return None;
        }
        size *= 4;
    }
}

/// The atoms of the row, and the easiest others: first those that share its closest parents.
fn neighbourhood(system: &System<'_>, ease: &[u64], row: u32, size: usize) -> Vec<u32> {
    let all = system.raw.atoms.len();
    if all <= size {
        return (0..all as u32).collect();
    }
    let own = &system.raw.rows[row as usize].atoms;
    // Rows which hold the whole row: its parents; the smaller, the closer.
    let mut parents: Vec<u32> = system.rows_of[own[0] as usize]
        .iter()
        .copied()
        .filter(|&r| r != row && system.raw.rows[r as usize].atoms.len() > own.len())
        .filter(|&r| {
            let atoms = &system.raw.rows[r as usize].atoms;
            own.iter().all(|a| atoms.binary_search(a).is_ok())
        })
        .collect();
    parents.sort_unstable_by_key(|&r| (system.raw.rows[r as usize].atoms.len(), r));
    let mut taken = vec![false; all];
    let mut atoms: Vec<u32> = own.clone();
    for &a in own {
        taken[a as usize] = true;
    }
    let share = (size / parents.len().max(1)).max(20);
    for (i, &parent) in parents.iter().enumerate() {
        let mut near: Vec<u32> =
            system.raw.rows[parent as usize].atoms.iter().copied().filter(|&a| !taken[a as usize]).collect();
        near.sort_unstable_by_key(|&a| (ease[a as usize], a));
        let room = if i + 1 == parents.len() { size.saturating_sub(atoms.len()) } else { share };
        for a in near.into_iter().take(room) {
            taken[a as usize] = true;
            atoms.push(a);
        }
    }
    atoms.sort_unstable();
    atoms
}

fn solve(system: &System<'_>, atoms: &[u32], wanted: &Unmet, may_withhold: bool, integers: bool) -> Option<Found> {
    let target = &system.raw.rows[wanted.need.row as usize];
    let mut columns: Vec<Column> = Vec::with_capacity(2 * atoms.len());
    let cap = 2.0 * wanted.distance as f64 + 4.0;
    for &a in atoms {
        let atom = &system.raw.atoms[a as usize];
        let known = atom.contributions.iter().filter(|c| wanted.attackers.binary_search(&c.0).is_ok());
        let (least, greatest) = match known.map(|c| c.1).max() {
            Some(_) if atom.contributions.len() == 1 => (0.0, 0.0),
            Some(own) => (-((atom.value - own) as f64), cap),
            None => (-(atom.value as f64), cap),
        };
        let price = if atom.contributions.len() == 1 { MOVE_PRICE } else { MOVE_PRICE / 10.0 };
        columns.push(Column { cost: price, least: 0.0, greatest, whole: integers });
        columns.push(Column { cost: price, least: 0.0, greatest: f64::min(cap, -least), whole: integers });
    }
    // Rows that cut the neighbourhood alike are one constraint; if one of them is locked all are.
    let mut cuts: HashMap<u32, Vec<u32>> = HashMap::new();
    for (column, &a) in atoms.iter().enumerate() {
        for &r in &system.rows_of[a as usize] {
            if system.fate[r as usize].is_shown() {
                cuts.entry(r).or_default().push(column as u32);
            }
        }
    }
    let mut alike: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
    for (row, cut) in cuts {
        alike.entry(cut).or_default().push(row);
    }
    let mut alike: Vec<(Vec<u32>, Vec<u32>)> = alike.into_iter().collect();
    alike.sort_unstable();
    let mut rows: Vec<(f64, f64, Vec<(u32, f64)>)> = Vec::with_capacity(alike.len() + 1);
    for (cut, of) in &alike {
        let mut sum: Vec<(u32, f64)> = cut.iter().flat_map(|&c| signed(c as usize)).collect();
        if may_withhold && of.iter().all(|&r| system.fate[r as usize] == Fate::Open) {
            let price: f64 = of.iter().map(|&r| system.raw.rows[r as usize].value as f64 + 1.0).sum();
            for sign in [-1.0, 1.0] {
                sum.push((columns.len() as u32, sign));
                columns.push(Column::new(price, 0.0, f64::INFINITY));
            }
        }
        rows.push((0.0, 0.0, sum));
    }
    let of_target: Vec<(u32, f64)> =
        target.atoms.iter().filter_map(|a| atoms.binary_search(a).ok()).flat_map(signed).collect();
    let distance = wanted.distance as f64;
    rows.push(match wanted.need.side {
        Side::Up => (distance, distance, of_target),
        Side::Down => (-distance, -distance, of_target),
    });
    let Outcome::Optimal(x) = Program::minimise(&columns, &rows).solve() else { return None };
    let moves: Vec<(u32, i64)> = atoms
        .iter()
        .zip(x.chunks_exact(2))
        .map(|(&a, by)| (a, (by[0] - by[1]).round() as i64))
        .filter(|m| m.1 != 0)
        .collect();
    // The rows the rounded move changes; exact arithmetic has the last word.
    let mut changes: HashMap<u32, i64> = HashMap::new();
    for &(a, by) in &moves {
        for &r in &system.rows_of[a as usize] {
            *changes.entry(r).or_default() += by;
        }
    }
    let reached = changes.get(&wanted.need.row).copied().unwrap_or(0);
    let far_enough = match wanted.need.side {
        Side::Up => reached >= wanted.distance,
        Side::Down => -reached >= wanted.distance,
    };
    if !far_enough {
        return None;
    }
    let mut withheld: Vec<u32> =
        changes.into_iter().filter(|&(r, by)| by != 0 && system.fate[r as usize].is_shown()).map(|c| c.0).collect();
    withheld.sort_unstable();
    let allowed = withheld.iter().all(|&r| may_withhold && system.fate[r as usize] == Fate::Open);
    allowed.then_some((moves, withheld))
}

/// The move of the atom at this place: a column for up, a column for down.
fn signed(at: usize) -> [(u32, f64); 2] {
    [(2 * at as u32, 1.0), (2 * at as u32 + 1, -1.0)]
}
