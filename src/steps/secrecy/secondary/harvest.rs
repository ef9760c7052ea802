//! Pass 1: moves over what is withheld already, each meeting as many needs as one linear program can.

use super::super::lp::{Column, Method, Program};
use super::needs;
use super::system::{Fate, Parts, System};
use super::witness::{Pool, Side, Unmet, Witness};
use std::collections::HashMap;

/// How many programs in a row may bring little before the pass ends.
const IDLE_MAX: usize = 2;

/// Programs in one pass at most; beyond, single needs are cheaper to treat one by one.
const PROGRAMS_MAX: usize = 60;

/// Fills the pool until programs bring little more.
pub(super) fn harvest(system: &System<'_>, pool: &mut Pool) {
    let mut idle = 0;
    let mut before = usize::MAX;
    for round in 0..PROGRAMS_MAX {
        let unmet: Vec<Unmet> = needs(system).into_iter().filter_map(|n| pool.unmet(system, n)).collect();
        let lack: usize =
            unmet.iter().map(|u| if u.attackers.is_empty() { 40 } else { u.attackers.len().min(20) }).sum();
        if unmet.is_empty() {
            return;
        }
        idle = if lack as f64 > 0.9 * before as f64 { idle + 1 } else { 0 };
        if idle > IDLE_MAX {
            return;
        }
        before = lack;
        if let Some(witness) = one(system, &unmet, round as u64) {
            pool.add(system, witness);
        }
    }
}

/// One program for many needs, one side a row. While outsiders are unmet they come first, and the move avoids what
/// contributors can exclude only where that is free; afterwards a half of all contributors, another in each round, is
/// kept from knowing better: a need which two opposite halves have served is met against everyone.
fn one(system: &System<'_>, unmet: &[Unmet], round: u64) -> Option<Witness> {
    let insiders = system.insiders;
    let outsiders_first = round % 3 != 2 && unmet.iter().any(|u| u.attackers.is_empty());
    let half = |who: u32| !outsiders_first && mix((u64::from(who) << 16) | round) & 1 == 0;
    let mut targets: HashMap<u32, (Side, i64)> = HashMap::new();
    for u in unmet {
        if outsiders_first != u.attackers.is_empty() || (!outsiders_first && !u.attackers.iter().any(|&s| half(s))) {
            continue;
        }
        let flip = mix((u64::from(u.need.row) << 20) | round) & 1 == 0;
        let preferred = if flip { Side::Up } else { Side::Down };
        match targets.get_mut(&u.need.row) {
            Some(known) if u.need.side == preferred => *known = (u.need.side, u.distance),
            Some(_) => {}
            None => {
                targets.insert(u.need.row, (u.need.side, u.distance));
            }
        }
    }
    let farthest = targets.values().map(|t| t.1).max()? as f64;
    let mut targets: Vec<(u32, Side, i64)> = targets.into_iter().map(|(r, (s, d))| (r, s, d)).collect();
    targets.sort_unstable_by_key(|t| t.0);

    // Columns: moves of atoms that can move, sums of withheld rows, progress of targets.
    let mut columns: Vec<Column> = Vec::new();
    let mut rows: Vec<(f64, f64, Vec<(u32, f64)>)> = Vec::new();
    let mut atom_column: Vec<Option<u32>> = vec![None; system.raw.atoms.len()];
    let mut movable: Vec<u32> = Vec::new();
    for a in 0..system.raw.atoms.len() as u32 {
        let stuck = system.rows_of[a as usize]
            .iter()
            .any(|&r| system.fate[r as usize].is_shown() && system.raw.rows[r as usize].atoms.len() == 1)
            || system.rows_of[a as usize]
                .iter()
                .any(|&r| system.fate[r as usize] == Fate::Locked && system.raw.rows[r as usize].value == 0);
        let known = insiders && system.lone(a).is_some_and(half);
        if stuck || known {
            continue;
        }
        let down = match system.lone(a) {
            Some(_) => system.raw.atoms[a as usize].value as i64,
            None if insiders => system.slack_down(a),
            None => system.raw.atoms[a as usize].value as i64,
        };
        atom_column[a as usize] = Some(columns.len() as u32);
        movable.push(a);
        columns.push(Column::new(0.0, -(down as f64), 2.0 * farthest + 4.0));
    }
    let mut row_column: Vec<Option<u32>> = vec![None; system.raw.rows.len()];
    for r in 0..system.raw.rows.len() {
        if !system.fate[r].is_shown() {
            row_column[r] = Some(columns.len() as u32);
            columns.push(Column::new(0.0, f64::NEG_INFINITY, f64::INFINITY));
        }
    }
    for (r, row) in system.raw.rows.iter().enumerate() {
        let mut sum: Vec<(u32, f64)> = match &system.parts[r] {
            Parts::Rows(parts) => parts.iter().filter_map(|&p| Some((row_column[p as usize]?, 1.0))).collect(),
            Parts::Atoms => row.atoms.iter().filter_map(|&a| Some((atom_column[a as usize]?, 1.0))).collect(),
        };
        if let Some(column) = row_column[r] {
            sum.push((column, -1.0));
        }
        if !sum.is_empty() {
            rows.push((0.0, 0.0, sum));
        }
    }
    for &(row, side, distance) in &targets {
        let progress = columns.len() as u32;
        columns.push(Column::new(-1.0 / distance as f64, 0.0, distance as f64));
        let of_row = row_column[row as usize].expect("an unsafe row is withheld");
        let sign = if side == Side::Up { -1.0 } else { 1.0 };
        rows.push((f64::NEG_INFINITY, 0.0, vec![(progress, 1.0), (of_row, sign)]));
    }
    let x = Program::minimise(&columns, &rows, Method::Dual).solve().optimum()?.columns;
    let column = |a: u32| atom_column[a as usize].expect("movable") as usize;
    Witness::read(system, &movable.iter().map(|&a| (a, x[column(a)])).collect::<Vec<_>>())
}

/// SplitMix64's finaliser (Steele, Lea & Flood 2014): spreads a counter over 64 bits.
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
