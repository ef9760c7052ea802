//! Protects an instance directly: cells and equations, no records, one outsider.
//!
//! Each unsafe cell and side asks for a witness: a move of withheld cells that keeps every equation and every bound and
//! takes the cell as far as its level. A linear program finds the cheapest one where withholding more has its price
//! (after Kelly, Golden and Assad 1992); then cells that turn out not to be needed are shown again, dearest first.
//! A solver proposes, exact arithmetic disposes: a witness counts once it holds in whole numbers.

use super::super::lp::{Column, Method, Outcome, Program};
use super::jj::{Instance, Status};
use std::collections::BTreeMap;

/// Largest denominator tried for a move that is not whole.
const DENOMINATOR_MAX: i64 = 5_040;

/// How far from a whole number a solver's answer may lie; the exact check has the last word.
const ROUNDING: f64 = 1e-6;

/// Price of moving a cell by one unit beside the dearest cell, [`DEAREST`]: among moves that withhold the same, the
/// smallest is best.
const MOVE_PRICE: f64 = 1e-3;

/// Price in the program of the dearest cell: a wider range would cost the solver its digits.
const DEAREST: f64 = 1e4;

/// Programs solved in showing cells again. It bounds the time, and being a count it does not depend on the machine.
const CLEANING_PROGRAMS: u64 = 20_000;

/// A pattern that protects every unsafe cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shield {
    /// For each cell whether it is withheld.
    pub withheld: Vec<bool>,
    /// Linear programs solved.
    pub programs: u64,
    /// Witnesses that prove the pattern, each checked exactly.
    pub witnesses: usize,
}

/// What a cell asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// That the interval ends far enough above the value.
    Up,
    /// That it begins far enough below.
    Down,
    /// That it is wide enough.
    Width,
}

impl Side {
    /// The name of its level.
    pub fn level(self) -> &'static str {
        match self {
            Self::Up => "upper level",
            Self::Down => "lower level",
            Self::Width => "sliding level",
        }
    }
}

/// A cell that does not reach a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmet {
    /// Its number.
    pub cell: u32,
    /// What it misses.
    pub side: Side,
}

/// Protects every unsafe cell.
///
/// # Errors
/// The first cell that cannot reach a level whatever is withheld, or for which the solver gave no answer that holds
/// exactly. Then there is no pattern.
pub fn shield(instance: &Instance) -> Result<Shield, Unmet> {
    let mut work = Work::new(instance);
    let mut open = work.program(true);
    for need in work.needs() {
        if work.is_met(need) {
            continue;
        }
        let found = work.meet(&mut open, need);
        work.add(found.ok_or(need)?);
        for cell in work.withhold() {
            open.set_cost(2 * cell, MOVE_PRICE);
            open.set_cost(2 * cell + 1, MOVE_PRICE);
        }
    }
    drop(open);
    work.clean_up();
    if let Some(unmet) = work.needs().into_iter().find(|need| !work.is_met(*need)) {
        return Err(unmet);
    }
    let witnesses = work.alive.iter().filter(|alive| **alive).count();
    Ok(Shield { withheld: work.withheld, programs: work.programs, witnesses })
}

/// The levels that the pattern an instance states (`u` and `m` withheld, all else shown) does not reach, as far as
/// witnesses can be found.
pub fn unmet(instance: &Instance) -> Vec<Unmet> {
    let mut work = Work::new(instance);
    let mut closed = work.program(false);
    let mut missed = Vec::new();
    for need in work.needs() {
        if work.is_met(need) {
            continue;
        }
        match work.meet(&mut closed, need) {
            Some(found) => work.add(found),
            None => missed.push(need),
        }
    }
    missed.sort_by_key(|need| (need.cell, need.side));
    missed
}

/// A move that keeps every equation and bound, in fractions of one unit.
struct Witness {
    scale: i64,
    /// By cell, ascending; none is zero.
    moves: Vec<(u32, i64)>,
}

struct Work<'a> {
    instance: &'a Instance,
    /// Equations of each cell, with its coefficient.
    equations_of: Vec<Vec<(u32, i64)>>,
    withheld: Vec<bool>,
    witnesses: Vec<Witness>,
    alive: Vec<bool>,
    /// Witnesses that move a cell, by cell.
    moving: Vec<Vec<u32>>,
    /// Greatest move of a cell in a program, in units.
    cap: f64,
    programs: u64,
}

impl<'a> Work<'a> {
    fn new(instance: &'a Instance) -> Self {
        let n = instance.cells.len();
        let mut equations_of = vec![Vec::new(); n];
        for (e, equation) in instance.equations.iter().enumerate() {
            for &(cell, by) in &equation.terms {
                equations_of[cell as usize].push((e as u32, by));
            }
        }
        let asked = |c: &super::jj::Cell| c.upper.max(c.lower).max(c.sliding);
        let highest = instance.cells.iter().filter(|c| c.status == Status::Unsafe).map(asked).max().unwrap_or(1);
        let withheld = instance.cells.iter().map(|c| matches!(c.status, Status::Unsafe | Status::Withheld)).collect();
        Self {
            instance,
            equations_of,
            withheld,
            witnesses: Vec::new(),
            alive: Vec::new(),
            moving: vec![Vec::new(); n],
            cap: 16.0 * highest as f64 + 16.0,
            programs: 0,
        }
    }

    /// Every level asked for, highest first.
    fn needs(&self) -> Vec<Unmet> {
        let cells = self.instance.cells.iter().enumerate().filter(|(_, c)| c.status == Status::Unsafe);
        let mut needs: Vec<(i64, Unmet)> = cells
            .flat_map(|(cell, c)| {
                let asked = [(Side::Up, c.upper), (Side::Down, c.lower), (Side::Width, c.sliding)];
                asked.map(|(side, level)| (level, Unmet { cell: cell as u32, side }))
            })
            .filter(|(level, _)| *level > 0)
            .collect();
        needs.sort_by_key(|(level, need)| (need.side == Side::Width, -level, need.cell, need.side));
        needs.into_iter().map(|(_, need)| need).collect()
    }

    /// How far some witness takes a cell, in whole units.
    fn reach(&self, cell: u32, side: Side) -> i64 {
        let alive = self.moving[cell as usize].iter().filter(|w| self.alive[**w as usize]);
        let far = alive.map(|&w| {
            let witness = &self.witnesses[w as usize];
            let at = witness.moves.binary_search_by_key(&cell, |m| m.0).expect("it moves the cell");
            let by = witness.moves[at].1 / witness.scale;
            if side == Side::Up { by } else { -by }
        });
        far.max().unwrap_or(0).max(0)
    }

    fn is_met(&self, need: Unmet) -> bool {
        let cell = &self.instance.cells[need.cell as usize];
        match need.side {
            Side::Up => self.reach(need.cell, Side::Up) >= cell.upper,
            Side::Down => self.reach(need.cell, Side::Down) >= cell.lower,
            Side::Width => {
                let both = [Side::Up, Side::Down].map(|side| i128::from(self.reach(need.cell, side)));
                both[0] + both[1] >= i128::from(cell.sliding)
            }
        }
    }

    /// The program of moves: for each cell one up and one down, every equation kept. Where withholding more is allowed
    /// it has its price; otherwise what is shown does not move.
    fn program(&self, may_withhold: bool) -> Program {
        let dearest = self.instance.cells.iter().map(|c| c.cost).max().unwrap_or(0).max(1) as f64;
        let mut columns = Vec::with_capacity(2 * self.instance.cells.len());
        for (cell, (c, withheld)) in self.instance.cells.iter().zip(&self.withheld).enumerate() {
            let moves = *withheld || (may_withhold && c.status == Status::Safe);
            // A cell that costs nothing is still dearer than one withheld already.
            let price = if *withheld { MOVE_PRICE } else { 2.0 * MOVE_PRICE + c.cost as f64 / dearest * DEAREST };
            for room in self.room(cell) {
                columns.push(Column::new(price, 0.0, if moves { room } else { 0.0 }));
            }
        }
        let rows: Vec<_> = self
            .instance
            .equations
            .iter()
            .map(|equation| {
                let sum = equation.terms.iter().flat_map(|&(c, by)| [(2 * c, by as f64), (2 * c + 1, -(by as f64))]);
                (0.0, 0.0, sum.collect())
            })
            .collect();
        Program::minimise(&columns, &rows, Method::Dual)
    }

    /// How far a cell may move up and down in a program.
    fn room(&self, cell: usize) -> [f64; 2] {
        let c = &self.instance.cells[cell];
        [c.greatest as f64 - c.value as f64, c.value as f64 - c.least as f64].map(|room| room.min(self.cap))
    }

    /// A witness that meets a need; for a width, one that meets it together with those known.
    fn meet(&mut self, program: &mut Program, need: Unmet) -> Option<Witness> {
        let c = &self.instance.cells[need.cell as usize];
        let (cell, upper, lower, sliding) = (need.cell, c.upper, c.lower, c.sliding);
        match need.side {
            Side::Up => self.solve(program, cell, Side::Up, upper),
            Side::Down => self.solve(program, cell, Side::Down, lower),
            Side::Width => {
                for (side, other) in [(Side::Up, Side::Down), (Side::Down, Side::Up)] {
                    let rest = sliding - self.reach(cell, other);
                    if let Some(found) = self.solve(program, cell, side, rest) {
                        return Some(found);
                    }
                }
                // Neither side alone is wide enough beside what is known: the farthest up, then the rest down.
                let far = self.farthest(program, cell)?;
                let up = self.solve(program, cell, Side::Up, far)?;
                self.add(up);
                self.solve(program, cell, Side::Down, sliding - far)
            }
        }
    }

    /// The cheapest move that takes a cell so far on one side.
    fn solve(&mut self, program: &mut Program, cell: u32, side: Side, level: i64) -> Option<Witness> {
        let rooms = self.room(cell as usize);
        let (far, near) = if side == Side::Up { (0, 1) } else { (1, 0) };
        if level as f64 > rooms[far] {
            return None;
        }
        program.set_bounds(2 * cell + far as u32, level as f64, rooms[far]);
        program.set_bounds(2 * cell + near as u32, 0.0, 0.0);
        let outcome = program.solve();
        self.programs += 1;
        for (side, room) in rooms.into_iter().enumerate() {
            program.set_bounds(2 * cell + side as u32, 0.0, room);
        }
        match outcome {
            Outcome::Optimal(found) => self.read(&found.columns),
            Outcome::Infeasible | Outcome::NoVerdict => None,
        }
    }

    /// How far up a cell can go, in whole units.
    fn farthest(&mut self, program: &mut Program, cell: u32) -> Option<i64> {
        let room = self.room(cell as usize)[1];
        program.set_cost(2 * cell, -1e3 * DEAREST);
        program.set_bounds(2 * cell + 1, 0.0, 0.0);
        let outcome = program.solve();
        self.programs += 1;
        program.set_cost(2 * cell, MOVE_PRICE);
        program.set_bounds(2 * cell + 1, 0.0, room);
        match outcome {
            Outcome::Optimal(found) => Some((found.columns[2 * cell as usize] + ROUNDING).floor() as i64),
            Outcome::Infeasible | Outcome::NoVerdict => None,
        }
    }

    /// Reads a move off a solver's answer: the smallest denominator that makes it whole, then the exact check.
    fn read(&self, x: &[f64]) -> Option<Witness> {
        let moves = x.chunks_exact(2).enumerate().map(|(cell, by)| (cell as u32, by[0] - by[1]));
        let moves: Vec<(u32, f64)> = moves.filter(|m| m.1.abs() > ROUNDING).collect();
        let scale = (1..=DENOMINATOR_MAX).find(|&d| {
            moves.iter().all(|m| {
                let scaled = m.1 * d as f64;
                (scaled - scaled.round()).abs() < (ROUNDING * d as f64).min(0.01)
            })
        })?;
        let whole = moves.iter().map(|&(cell, by)| (cell, (by * scale as f64).round() as i64));
        let witness = Witness { scale, moves: whole.filter(|m| m.1 != 0).collect() };
        self.holds(&witness).then_some(witness)
    }

    /// Whether a move keeps every equation and every bound, and moves nothing that is shown in any case.
    fn holds(&self, witness: &Witness) -> bool {
        let scale = i128::from(witness.scale);
        let mut sums: BTreeMap<u32, i128> = BTreeMap::new();
        for &(cell, by) in &witness.moves {
            let c = &self.instance.cells[cell as usize];
            let left = i128::from(c.value) * scale + i128::from(by);
            let within = i128::from(c.least) * scale <= left && left <= i128::from(c.greatest) * scale;
            if !within || c.status == Status::Shown {
                return false;
            }
            for &(equation, coefficient) in &self.equations_of[cell as usize] {
                *sums.entry(equation).or_default() += i128::from(by) * i128::from(coefficient);
            }
        }
        sums.values().all(|sum| *sum == 0)
    }

    /// Takes a witness in, and the opposite move where it holds too.
    fn add(&mut self, witness: Witness) {
        let opposite =
            Witness { scale: witness.scale, moves: witness.moves.iter().map(|&(cell, by)| (cell, -by)).collect() };
        let both = self.holds(&opposite).then_some(opposite);
        for witness in std::iter::once(witness).chain(both) {
            let name = self.witnesses.len() as u32;
            witness.moves.iter().for_each(|m| self.moving[m.0 as usize].push(name));
            self.witnesses.push(witness);
            self.alive.push(true);
        }
    }

    /// Withholds what the last witnesses move; gives the cells that were shown before.
    fn withhold(&mut self) -> Vec<u32> {
        let mut more = Vec::new();
        for witness in self.witnesses.iter().rev().take(4) {
            for &(cell, _) in &witness.moves {
                if !std::mem::replace(&mut self.withheld[cell as usize], true) {
                    more.push(cell);
                }
            }
        }
        more
    }

    /// Shows again each cell without which every level is still reached, dearest first.
    fn clean_up(&mut self) {
        let cells = &self.instance.cells;
        let chosen = |cell: &u32| self.withheld[*cell as usize] && cells[*cell as usize].status == Status::Safe;
        let mut secondary: Vec<u32> = (0..cells.len() as u32).filter(chosen).collect();
        secondary.sort_by_key(|&cell| (-cells[cell as usize].cost, cell));
        let mut closed = self.program(false);
        let end = self.programs + CLEANING_PROGRAMS;
        for cell in secondary {
            if self.programs >= end {
                return;
            }
            let benched: Vec<u32> =
                self.moving[cell as usize].iter().copied().filter(|w| self.alive[*w as usize]).collect();
            benched.iter().for_each(|&w| self.alive[w as usize] = false);
            self.withheld[cell as usize] = false;
            for side in 0..2 {
                closed.set_bounds(2 * cell + side, 0.0, 0.0);
            }
            let mut shaken: Vec<u32> =
                benched.iter().flat_map(|&w| &self.witnesses[w as usize].moves).map(|m| m.0).collect();
            shaken.sort_unstable();
            shaken.dedup();
            shaken.retain(|c| cells[*c as usize].status == Status::Unsafe);
            let needs: Vec<Unmet> = shaken
                .into_iter()
                .flat_map(|cell| [Side::Up, Side::Down, Side::Width].map(|side| Unmet { cell, side }))
                .filter(|need| !self.is_met(*need))
                .collect();
            let met = needs.into_iter().all(|need| {
                self.is_met(need)
                    || match self.meet(&mut closed, need) {
                        Some(found) => {
                            self.add(found);
                            true
                        }
                        None => false,
                    }
            });
            if !met {
                self.withheld[cell as usize] = true;
                benched.into_iter().for_each(|w| self.alive[w as usize] = true);
                for (side, room) in self.room(cell as usize).into_iter().enumerate() {
                    closed.set_bounds(2 * cell + side as u32, 0.0, room);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::jj;
    use super::*;

    /// A table of `rows` by `columns` with its totals; values below `most`, each cell unsafe with some chance.
    pub(super) fn random_table(seed: u64, rows: usize, columns: usize, most: u64) -> Instance {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut chance = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % below
        };
        let at = |r: usize, c: usize| (r * (columns + 1) + c) as u32; // row 0 and column 0 hold the totals
        let mut values = vec![0_i64; (rows + 1) * (columns + 1)];
        for r in 1..=rows {
            for c in 1..=columns {
                let value = chance(most) as i64;
                for place in [at(r, c), at(r, 0), at(0, c), at(0, 0)] {
                    values[place as usize] += value;
                }
            }
        }
        let cells = values.iter().enumerate().map(|(place, &value)| {
            let inner = place > columns && place % (columns + 1) != 0;
            let status = match (inner, chance(10)) {
                (true, 0..=2) if value > 0 => Status::Unsafe,
                (_, 3) => Status::Shown,
                (true, _) => Status::Safe,
                (false, _) => Status::Safe,
            };
            let level = (value / 3).max(1);
            let (lower, upper, sliding) = match (status, chance(4)) {
                (Status::Unsafe, 0) => (0, 0, level),
                (Status::Unsafe, _) => (level.min(value), level, 0),
                _ => (0, 0, 0),
            };
            let greatest = if inner { most as i64 } else { 1_000 };
            jj::Cell { value, cost: value + 1, status, least: 0, greatest, lower, upper, sliding }
        });
        let cells = cells.collect();
        let mut equations = Vec::new();
        for r in 0..=rows {
            let terms = (0..=columns).map(|c| (at(r, c), if c == 0 { -1 } else { 1 })).collect();
            equations.push(jj::Equation { right: 0, terms });
        }
        for c in 0..=columns {
            let terms = (0..=rows).map(|r| (at(r, c), if r == 0 { -1 } else { 1 })).collect();
            equations.push(jj::Equation { right: 0, terms });
        }
        Instance { places: 0, cost_places: 0, cells, equations }
    }

    /// The least and greatest value of each cell over every table in whole numbers that fits what is shown, by going
    /// through all inner cells.
    fn intervals(instance: &Instance, rows: usize, columns: usize, withheld: &[bool]) -> Vec<(i64, i64)> {
        let n = instance.cells.len();
        let mut found = vec![(i64::MAX, i64::MIN); n];
        let inner: Vec<usize> = (columns + 1..n).filter(|p| p % (columns + 1) != 0).collect();
        let ends = |p: usize| {
            let c = &instance.cells[p];
            if withheld[p] { (c.least, c.greatest) } else { (c.value, c.value) }
        };
        let mut values: Vec<i64> = inner.iter().map(|&p| ends(p).0).collect();
        loop {
            let mut whole = vec![0; n];
            for (&p, &value) in inner.iter().zip(&values) {
                let (r, c) = (p / (columns + 1), p % (columns + 1));
                for place in [p, r * (columns + 1), c, 0] {
                    whole[place] += value;
                }
            }
            if (0..n).all(|p| (ends(p).0..=ends(p).1).contains(&whole[p])) {
                for (seen, value) in found.iter_mut().zip(&whole) {
                    *seen = (seen.0.min(*value), seen.1.max(*value));
                }
            }
            // The next combination, as a counter of unequal wheels.
            let mut wheel = 0;
            while wheel < inner.len() && values[wheel] == ends(inner[wheel]).1 {
                values[wheel] = ends(inner[wheel]).0;
                wheel += 1;
            }
            if wheel == inner.len() {
                assert_eq!(rows * columns, inner.len());
                return found;
            }
            values[wheel] += 1;
        }
    }

    fn reaches(instance: &Instance, intervals: &[(i64, i64)]) -> bool {
        let unsafe_cells = instance.cells.iter().zip(intervals).filter(|(c, _)| c.status == Status::Unsafe);
        unsafe_cells
            .into_iter()
            .all(|(c, (low, high))| high - c.value >= c.upper && c.value - low >= c.lower && high - low >= c.sliding)
    }

    #[test]
    fn every_level_is_reached_and_no_cell_is_withheld_in_vain() {
        let (mut protected, mut hopeless, mut secondary) = (0, 0, 0);
        for seed in 1..=120 {
            let instance = random_table(seed, 2, 3, 6);
            let unsafe_cells = instance.cells.iter().filter(|c| c.status == Status::Unsafe).count();
            let Ok(shield) = shield(&instance) else {
                // Even with all that may be withheld, some level is out of reach.
                let all: Vec<bool> = instance.cells.iter().map(|c| c.status != Status::Shown).collect();
                assert!(!reaches(&instance, &intervals(&instance, 2, 3, &all)), "seed {seed}");
                hopeless += 1;
                continue;
            };
            assert!(reaches(&instance, &intervals(&instance, 2, 3, &shield.withheld)), "seed {seed}");
            for (p, cell) in instance.cells.iter().enumerate() {
                assert!(!(shield.withheld[p] && cell.status == Status::Shown), "seed {seed}");
                assert!(shield.withheld[p] || cell.status != Status::Unsafe, "seed {seed}");
                if shield.withheld[p] && cell.status == Status::Safe {
                    let mut without = shield.withheld.clone();
                    without[p] = false;
                    let still = reaches(&instance, &intervals(&instance, 2, 3, &without));
                    assert!(!still, "seed {seed}: cell {p} is withheld in vain");
                    secondary += 1;
                }
            }
            protected += usize::from(unsafe_cells > 0);
        }
        assert!(protected > 20 && hopeless > 5 && secondary > 40, "{protected} {hopeless} {secondary}");
    }

    #[test]
    fn a_pattern_that_is_stated_is_judged_as_going_through_all_tables_judges_it() {
        let (mut good, mut bad) = (0, 0);
        for seed in 200..=320 {
            let mut instance = random_table(seed, 2, 2, 8);
            for (p, cell) in instance.cells.iter_mut().enumerate() {
                if cell.status == Status::Safe && (seed as usize * 7 + p) % 3 != 0 {
                    cell.status = Status::Withheld;
                }
            }
            let stated: Vec<bool> =
                instance.cells.iter().map(|c| matches!(c.status, Status::Unsafe | Status::Withheld)).collect();
            let safe = reaches(&instance, &intervals(&instance, 2, 2, &stated));
            assert_eq!(unmet(&instance).is_empty(), safe, "seed {seed}");
            *(if safe { &mut good } else { &mut bad }) += 1;
        }
        assert!(good > 20 && bad > 20, "{good} {bad}");
    }

    #[test]
    fn a_larger_table_is_protected_the_same_way_twice_and_its_pattern_stands() {
        let mut instance = random_table(7, 15, 12, 200);
        for cell in &mut instance.cells {
            cell.greatest = 1_000_000;
            if cell.status == Status::Shown {
                cell.status = Status::Safe;
            }
        }
        let first = shield(&instance).unwrap();
        assert!(shield(&instance).unwrap() == first);
        for (cell, withheld) in instance.cells.iter_mut().zip(&first.withheld) {
            if *withheld && cell.status == Status::Safe {
                cell.status = Status::Withheld;
            }
        }
        assert_eq!(unmet(&instance), []);
        let opened = instance.cells.iter().position(|c| c.status == Status::Withheld).unwrap();
        instance.cells[opened].status = Status::Safe;
        assert!(!unmet(&instance).is_empty());
    }
}
