//! The cheapest move that meets one need, where a shown row may be withheld at a price: each time a program over everything, from nothing moved.
//!
//! Columns: each atom's move up and down, each row's move up and down at the row's price (nothing once it is withheld).
//! Constraints: each row's move is the sum of its parts. After Kelly, Golden & Assad (1992), "Cell suppression:
//! disclosure protection for sensitive tabular data".

use super::super::lp::{Column, Constraint, Method, Program};
use super::system::{Fate, Parts, System};
use super::witness::{Side, Unmet, denominator};
use std::collections::HashMap;

/// Price of moving an atom by one, beside the price of withholding a row, which is one at least: among moves that
/// withhold the same, the smallest is best, since fewer contributors can exclude it.
const MOVE_PRICE: f64 = 1e-2;

/// Dearest price in the program: a wider range would cost the solver its digits.
const PRICE_MAX: f64 = 1e6;

pub(super) struct Kelly {
    columns: Vec<Column>,
    constraints: Vec<Constraint>,
    /// Steps of the simplex method so far.
    steps: u64,
    /// Column of the atom's move up; the next one is down.
    atom: Vec<u32>,
    /// Column of the row's move up; the next one is down. None for locked rows, which do not move.
    row: Vec<Option<u32>>,
    /// Greatest move of an atom up.
    cap: f64,
}

impl Kelly {
    pub fn new(system: &System<'_>) -> Self {
        let highest = system.verdict.iter().flatten().map(|u| u.level).max().unwrap_or(1);
        let cap = 2.0 * highest as f64 + 4.0;
        let mut columns = Vec::new();
        let mut atom = Vec::with_capacity(system.raw.atoms.len());
        for a in &system.raw.atoms {
            atom.push(columns.len() as u32);
            let up = a.greatest.map_or(cap, |end| cap.min((end - a.value) as f64));
            columns.push(Column::new(MOVE_PRICE, 0.0, up));
            columns.push(Column::new(MOVE_PRICE, 0.0, (a.value - a.least) as f64));
        }
        let mut row = Vec::with_capacity(system.raw.rows.len());
        for (r, fate) in system.fate.iter().enumerate() {
            let price = match fate {
                Fate::Locked => {
                    row.push(None);
                    continue;
                }
                Fate::Open => system.price[r].min(PRICE_MAX),
                Fate::Primary | Fate::Secondary => 0.0,
            };
            row.push(Some(columns.len() as u32));
            columns.push(Column::new(price, 0.0, f64::INFINITY));
            columns.push(Column::new(price, 0.0, f64::INFINITY));
        }
        let mut rows = Vec::with_capacity(system.raw.rows.len());
        for (r, of) in system.raw.rows.iter().enumerate() {
            let mut sum: Vec<(u32, f64)> = match &system.parts[r] {
                Parts::Rows(parts) => parts.iter().filter_map(|&p| row[p as usize]).flat_map(signed).collect(),
                Parts::Atoms => of.atoms.iter().map(|&a| atom[a as usize]).flat_map(signed).collect(),
            };
            if let Some(column) = row[r] {
                sum.extend([(column, -1.0), (column + 1, 1.0)]);
            }
            rows.push((0.0, 0.0, sum));
        }
        Self { columns, constraints: rows, steps: 0, atom, row, cap }
    }

    /// Steps of the simplex method so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What it costs to move a row by one.
    pub fn set_price(&mut self, row: u32, price: f64) {
        if let Some(column) = self.row[row as usize] {
            for one in &mut self.columns[column as usize..][..2] {
                one.cost = price.min(PRICE_MAX);
            }
        }
    }

    /// The cheapest move that meets a need, by atom; `None` when there is none or the solver gives no verdict.
    pub fn solve(&mut self, system: &System<'_>, wanted: &Unmet) -> Option<Vec<(u32, f64)>> {
        let target = self.row[wanted.need.row as usize]?;
        let distance = wanted.distance as f64;
        let (far, near) = if wanted.need.side == Side::Up { (target, target + 1) } else { (target + 1, target) };
        let mut columns = self.columns.clone();
        columns[far as usize].least = distance;
        columns[near as usize].greatest = 0.0;
        for a in known(system, &wanted.attackers) {
            let (up, down) = system.limits(a, &wanted.attackers);
            let column = self.atom[a as usize] as usize;
            columns[column].greatest = up.map_or(self.cap, |up| self.cap.min(up as f64));
            columns[column + 1].greatest = down as f64;
        }
        // From nothing moved, which is near every cheap move: the last one's basis is farther, by measure twice as far.
        let mut program = Program::minimise(&columns, &self.constraints, Method::Dual).unreduced();
        let optimum = program.solve().optimum();
        self.steps += program.steps;
        let x = optimum?.columns;
        let moves = self.atom.iter().enumerate().map(|(a, &c)| (a as u32, x[c as usize] - x[c as usize + 1]));
        Some(moves.filter(|m| m.1.abs() > 1e-9).collect())
    }
}

fn signed(column: u32) -> [(u32, f64); 2] {
    [(column, 1.0), (column + 1, -1.0)]
}

/// Atoms of which an attacker knows something.
fn known(system: &System<'_>, attackers: &[u32]) -> Vec<u32> {
    let mut atoms: Vec<u32> = attackers.iter().flat_map(|&s| system.atoms_of[s as usize].iter().copied()).collect();
    atoms.sort_unstable();
    atoms.dedup();
    atoms
}

/// A move, and the rows it takes to withhold.
pub(super) type Proposal = (Vec<(u32, f64)>, Vec<u32>);

/// What a move takes to withhold, when it reaches its distance, may be had, and can be read in fractions.
pub(super) fn judged(system: &System<'_>, wanted: &Unmet, moves: Vec<(u32, f64)>) -> Option<Proposal> {
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
    let allowed = withheld.iter().all(|&r| system.fate[r as usize] == Fate::Open);
    (allowed && denominator(&moves).is_some()).then_some((moves, withheld))
}
