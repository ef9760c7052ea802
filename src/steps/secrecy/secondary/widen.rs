//! Pass 2: the cheapest move that meets one need, where a shown row may be withheld at a price.

use super::super::lp::{Column, Method, Program};
use super::Hopeless;
use super::kelly::Kelly;
use super::swap::{self, Neighbours};
use super::system::{Fate, System};
use super::witness::{Pool, Side, Unmet, Witness, denominator};
use std::collections::HashMap;

/// A system with no more atoms than this is treated whole.
pub(super) const WHOLE_ATOMS: usize = 1_200;

/// Atoms a first local program may hold in a larger one; when it finds nothing the neighbourhood grows fourfold.
const LOCAL_ATOMS: usize = 250;

/// Against more attackers than this, a smaller move is looked for first.
const FEW_ATTACKERS: usize = 3;

/// Price of moving an atom by one, beside the price of withholding a row, which is one at least: among moves that
/// withhold the same, the smallest is best, since fewer contributors can exclude it.
const MOVE_PRICE: f64 = 1e-3;

/// Atoms of the row tried as one side of a trade.
const TRADERS_MAX: usize = 8;

/// When more needs than this hang on one row, it is kept.
const RETRIES_MAX: usize = 6;

/// The same in a large system, where a need is tried by an exchange.
const EXCHANGES_MAX: usize = 24;

/// Attackers of one need met one after another before the row is kept.
const ATTACKERS_IN_TURN: usize = 4;

/// A round of widening treats this share of the needs, then the pass before it gets another turn.
const SHARE_A_ROUND: usize = 8;

/// Meets the first needs in turn, withholding what their cheapest moves touch.
pub(super) fn widen(
    system: &mut System<'_>,
    pool: &mut Pool,
    mut kelly: Option<&mut Kelly>,
    near: &Neighbours,
    unmet: &[Unmet],
) -> Result<(), Hopeless> {
    let mut ease = ease(system);
    let least = (unmet.len() / SHARE_A_ROUND).max(20);
    let mut done = 0;
    for wanted in unmet {
        let Some(mut wanted) = pool.unmet(system, wanted.need) else { continue };
        if wanted.attackers.len() > FEW_ATTACKERS {
            // A move of few atoms leaves few contributors who can exclude it.
            let anyone = Unmet { attackers: Vec::new(), ..wanted.clone() };
            let small = cheapest(system, &ease, &anyone, false).and_then(|(moves, _)| Witness::read(system, &moves));
            if let Some(small) = small {
                pool.add(system, small);
            }
            let Some(left) = pool.unmet(system, wanted.need) else { continue };
            wanted = left;
        }
        wanted.attackers.truncate(FEW_ATTACKERS);
        let found = if let Some(kelly) = kelly.as_deref_mut() {
            kelly.solve(system, &wanted).and_then(|moves| judged(system, &wanted, moves, true))
        } else {
            let whole = swap::exchange(system, near, &ease, &wanted);
            whole.map(|(moves, withheld)| (moves.into_iter().map(|(a, by)| (a, by as f64)).collect(), withheld))
        };
        let found = found.or_else(|| cheapest(system, &ease, &wanted, true));
        let (moves, withheld) = found.ok_or(Hopeless { row: wanted.need.row })?;
        for row in withheld {
            system.fate[row as usize] = Fate::Secondary;
            pool.withheld(row);
            if let Some(kelly) = kelly.as_deref_mut() {
                kelly.withheld(row);
            }
            for &a in &system.raw.rows[row as usize].atoms {
                ease[a as usize] -= system.price[row as usize] as u64;
            }
        }
        let witness = Witness::read(system, &moves).ok_or(Hopeless { row: wanted.need.row })?;
        pool.add(system, witness);
        done += 1;
        if done >= least {
            break;
        }
    }
    Ok(())
}

/// Tries to meet every need with no further row withheld; adds what it finds.
pub(super) fn without(system: &System<'_>, pool: &mut Pool, near: &Neighbours, ease: &[u64], unmet: &[Unmet]) -> bool {
    let small = system.raw.atoms.len() <= WHOLE_ATOMS;
    if unmet.len() > if small { RETRIES_MAX } else { EXCHANGES_MAX } {
        return false;
    }
    unmet.iter().all(|wanted| {
        for _ in 0..ATTACKERS_IN_TURN {
            let Some(mut wanted) = pool.unmet(system, wanted.need) else { return true };
            wanted.attackers.truncate(FEW_ATTACKERS);
            let found = if small {
                cheapest(system, ease, &wanted, false).and_then(|(moves, _)| Witness::read(system, &moves))
            } else {
                let free = swap::exchange(system, near, ease, &wanted).filter(|(_, withheld)| withheld.is_empty());
                free.and_then(|(moves, _)| Witness::check(system, 1, moves))
            };
            let Some(witness) = found else { return false };
            pool.add(system, witness);
        }
        pool.unmet(system, wanted.need).is_none()
    })
}

/// For each atom what it would cost to withhold every row it lies in: the low ones make good neighbours.
pub(super) fn ease(system: &System<'_>) -> Vec<u64> {
    let price = |r: &u32| if system.fate[*r as usize] == Fate::Open { system.price[*r as usize] as u64 } else { 0 };
    system.rows_of.iter().map(|rows| rows.iter().map(price).sum()).collect()
}

/// A move, and the rows it takes to withhold.
pub(super) type Found = (Vec<(u32, f64)>, Vec<u32>);

fn cheapest(system: &System<'_>, ease: &[u64], wanted: &Unmet, may_withhold: bool) -> Option<Found> {
    let all = system.raw.atoms.len();
    let largest = all.min(WHOLE_ATOMS);
    let mut size = if all <= WHOLE_ATOMS { all } else { LOCAL_ATOMS };
    loop {
        let atoms = neighbourhood(system, ease, wanted.need.row, size);
        let whole = size >= largest;
        if let Some(found) = solve(system, &atoms, wanted, may_withhold) {
            return Some(found);
        }
        if whole
            && may_withhold
            && let Some(found) = trade(system, wanted).or_else(|| alone(system, wanted))
        {
            return Some(found);
        }
        if whole && wanted.attackers.len() > 1 {
            // No one move escapes all of them: one for each half, and so on.
            let half = Unmet { attackers: wanted.attackers[..wanted.attackers.len() / 2].to_vec(), ..wanted.clone() };
            return cheapest(system, ease, &half, may_withhold);
        }
        if whole || !may_withhold {
            return None;
        }
        size = (4 * size).min(largest);
    }
}

/// The move of the row's own atoms and nothing else, largest first, whatever it withholds.
fn alone(system: &System<'_>, wanted: &Unmet) -> Option<Found> {
    let mut atoms = system.raw.rows[wanted.need.row as usize].atoms.clone();
    atoms.sort_by_key(|&a| (std::cmp::Reverse(system.raw.atoms[a as usize].value), a));
    let mut left = wanted.distance;
    let mut moves = Vec::new();
    for a in atoms {
        let atom = &system.raw.atoms[a as usize];
        let known = atom.contributions.iter().filter(|c| wanted.attackers.binary_search(&c.0).is_ok()).map(|c| c.1);
        let free = match known.max() {
            Some(_) if atom.contributions.len() == 1 => 0,
            own if wanted.need.side == Side::Down => (atom.value - own.unwrap_or(0)) as i64,
            _ => left,
        };
        let by = free.min(left);
        left -= by;
        if by > 0 {
            moves.push((a, if wanted.need.side == Side::Up { by as f64 } else { -by as f64 }));
        }
    }
    let mut changed: Vec<u32> = moves.iter().flat_map(|&(a, _)| system.rows_of[a as usize].iter().copied()).collect();
    changed.retain(|&r| system.fate[r as usize].is_shown());
    changed.sort_unstable();
    changed.dedup();
    (left == 0 && changed.iter().all(|&r| system.fate[r as usize] == Fate::Open)).then_some((moves, changed))
}

/// The cheapest move of two atoms, or of one alone: whole by nature, so it is there when a program has no readable answer.
fn trade(system: &System<'_>, wanted: &Unmet) -> Option<Found> {
    let row = &system.raw.rows[wanted.need.row as usize];
    let by = if wanted.need.side == Side::Up { wanted.distance } else { -wanted.distance };
    let can = |a: u32, by: i64| system.can_move(a, by, &wanted.attackers);
    let mut in_first = vec![false; system.raw.rows.len()];
    let mut best: Option<(f64, u32, Option<u32>)> = None;
    let mut consider = |price: f64, a: u32, b: Option<u32>| {
        if price.is_finite() && best.is_none_or(|known| (price, a, b) < known) {
            best = Some((price, a, b));
        }
    };
    let price = |r: u32| match system.fate[r as usize] {
        Fate::Open => system.price[r as usize],
        Fate::Locked => f64::INFINITY,
        Fate::Primary | Fate::Secondary => 0.0,
    };
    for &a in row.atoms.iter().filter(|&&a| can(a, by)).take(TRADERS_MAX) {
        let own = &system.rows_of[a as usize];
        for &r in own {
            in_first[r as usize] = true;
        }
        consider(own.iter().map(|&r| price(r)).sum(), a, None);
        for b in (0..system.raw.atoms.len() as u32).filter(|&b| can(b, -by) && row.atoms.binary_search(&b).is_err()) {
            let theirs = &system.rows_of[b as usize];
            let shared = |r: &&u32| theirs.binary_search(r).is_ok();
            let only_first: f64 = own.iter().filter(|r| !shared(r)).map(|&r| price(r)).sum();
            let only_second: f64 = theirs.iter().filter(|&&r| !in_first[r as usize]).map(|&r| price(r)).sum();
            consider(only_first + only_second, a, Some(b));
        }
        for &r in own {
            in_first[r as usize] = false;
        }
    }
    let (_, a, b) = best?;
    let mut changed: Vec<u32> = system.rows_of[a as usize].clone();
    if let Some(b) = b {
        let theirs = &system.rows_of[b as usize];
        changed.retain(|r| theirs.binary_search(r).is_err());
        changed.extend(theirs.iter().filter(|r| system.rows_of[a as usize].binary_search(r).is_err()));
    }
    changed.retain(|&r| system.fate[r as usize].is_shown());
    changed.sort_unstable();
    let moves = std::iter::once((a, by as f64)).chain(b.map(|b| (b, -by as f64))).collect();
    Some((moves, changed))
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

fn solve(system: &System<'_>, atoms: &[u32], wanted: &Unmet, may_withhold: bool) -> Option<Found> {
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
        columns.push(Column { cost: price, least: 0.0, greatest });
        columns.push(Column { cost: price, least: 0.0, greatest: f64::min(cap, -least) });
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
            let price: f64 = of.iter().map(|&r| system.price[r as usize]).sum();
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
    let x = Program::minimise(&columns, &rows, Method::Dual).solve().optimum()?.columns;
    let moves: Vec<(u32, f64)> =
        atoms.iter().zip(x.chunks_exact(2)).map(|(&a, by)| (a, by[0] - by[1])).filter(|m| m.1.abs() > 1e-9).collect();
    judged(system, wanted, moves, may_withhold)
}

/// What a move takes to withhold, when it reaches its distance, may be had, and can be read in fractions.
pub(super) fn judged(system: &System<'_>, wanted: &Unmet, moves: Vec<(u32, f64)>, may_withhold: bool) -> Option<Found> {
    // The rows the move changes; the exact check of the witness has the last word.
    let mut changes: HashMap<u32, f64> = HashMap::new();
    for &(a, by) in &moves {
        for &r in &system.rows_of[a as usize] {
            *changes.entry(r).or_default() += by;
        }
    }
    let reached = changes.get(&wanted.need.row).copied().unwrap_or(0.0);
    let far_enough = (if wanted.need.side == Side::Up { reached } else { -reached }) >= wanted.distance as f64 - 1e-6;
    if !far_enough {
        return None;
    }
    let mut withheld: Vec<u32> = changes
        .into_iter()
        .filter(|&(r, by)| by.abs() > 1e-6 && system.fate[r as usize].is_shown())
        .map(|c| c.0)
        .collect();
    withheld.sort_unstable();
    let allowed = withheld.iter().all(|&r| may_withhold && system.fate[r as usize] == Fate::Open);
    (allowed && denominator(&moves).is_some()).then_some((moves, withheld))
}

/// The move of the atom at this place: a column for up, a column for down.
fn signed(at: usize) -> [(u32, f64); 2] {
    [(2 * at as u32, 1.0), (2 * at as u32 + 1, -1.0)]
}
