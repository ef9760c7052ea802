//! How far an outsider can narrow each unsafe sum: linear programs over the atoms, no atom below zero, every sum shown
//! kept. The solver proposes tables; each is checked here before it settles anything.

use super::super::lp::{Column, Outcome, Program};
use super::exact::Random;
use super::{FaultKind, Verdict};
use std::collections::HashMap;

/// A sum to be kept wide.
pub(super) struct Target<'a> {
    /// Its free atoms.
    pub atoms: &'a [u32],
    /// The truth.
    pub value: u64,
    /// How far above it the upper end must reach; the lower end mirrors it, floored at zero.
    pub level: u64,
}

/// How far a proposed table may miss an equation or a bound, in units of the weight; levels are whole units.
const TOLERANCE: f64 = 1e-6;

/// Programs with random weights over all unsettled ends; each is worth hundreds of single ones at first.
const SHARED_MAX: usize = 40;

/// Shared programs stop once one of them settles a smaller part of what is left than this.
const SHARED_WORTH: f64 = 0.02;

/// Atoms move up this many times the highest level at most, so that no program is unbounded. A bound can only make an
/// interval narrower: errors are false alarms, never missed disclosures.
const UPWARD: f64 = 100.0;

/// What is wrong with each target, if anything; those `known` exactly are not tried.
pub(super) fn narrow(
    values: &[u64],
    equations: &[Vec<u32>],
    targets: &[Target<'_>],
    known: &[bool],
    random: &mut Random,
    verdict: &mut Verdict,
) -> Vec<Option<FaultKind>> {
    let mut faults = vec![None; targets.len()];
    // Both ends of each target: how far each must reach, nothing once it is settled.
    let mut ends: Vec<[Option<f64>; 2]> = targets
        .iter()
        .zip(known)
        .map(|(target, &known)| {
            let far = |by: u64| (by > 0 && !known).then_some(by as f64);
            [far(target.level), far(target.level.min(target.value))]
        })
        .collect();
    let open = |ends: &[[Option<f64>; 2]]| ends.iter().flatten().flatten().count();
    verdict.ends = open(&ends) as u64;
    if verdict.ends == 0 {
        return faults;
    }
    let mut system = System::new(values, equations, targets);
    for _ in 0..SHARED_MAX {
        let before = open(&ends);
        if before == 0 {
            return faults;
        }
        let weights: Vec<f64> = ends
            .iter()
            .map(|end| {
                let weight = random.share();
                let up = if random.share() < 0.5 { weight } else { -weight };
                match end {
                    [Some(a), Some(_)] => up / a,
                    [Some(a), None] => weight / a,
                    [None, Some(b)] => -weight / b,
                    [None, None] => 0.0,
                }
            })
            .collect();
        verdict.programs += 1;
        if let Some(table) = system.push(weights.iter().copied().enumerate().filter(|w| w.1 != 0.0)) {
            system.settle(&table, &mut ends);
        }
        let settled = before - open(&ends);
        verdict.ends_shared += settled as u64;
        if (settled as f64) < before as f64 * SHARED_WORTH {
            break;
        }
    }
    for target in 0..targets.len() {
        for side in [0, 1] {
            if ends[target][side].is_none() {
                continue;
            }
            let before = open(&ends);
            verdict.programs += 1;
            let weight = if side == 0 { 1.0 } else { -1.0 };
            let table = system.push([(target, weight)].into_iter());
            if let Some(table) = &table {
                system.settle(table, &mut ends);
            }
            verdict.ends_single += (before - open(&ends)) as u64;
            if ends[target][side].take().is_some() {
                // One fault a target says enough; the want of a verdict must not hide a narrow interval.
                let kind = if table.is_some() { FaultKind::TooNarrow } else { FaultKind::NoVerdict };
                faults[target] = match (faults[target], kind) {
                    (Some(FaultKind::TooNarrow), _) => Some(FaultKind::TooNarrow),
                    _ => Some(kind),
                };
            }
        }
    }
    faults
}

/// The attacker's program, in changes from the truth. Atoms in the same equations and targets are one column.
struct System {
    program: Program,
    /// The least change of each column: minus the truth.
    least: Vec<f64>,
    greatest: f64,
    equations: Vec<Vec<u32>>,
    targets: Vec<Vec<u32>>,
    /// Columns whose cost is not zero.
    costly: Vec<u32>,
}

impl System {
    fn new(values: &[u64], equations: &[Vec<u32>], targets: &[Target<'_>]) -> Self {
        let mut member_of: Vec<Vec<u32>> = vec![Vec::new(); values.len()];
        let sums = equations.iter().map(Vec::as_slice).chain(targets.iter().map(|t| t.atoms));
        for (s, atoms) in sums.enumerate() {
            atoms.iter().for_each(|&a| member_of[a as usize].push(s as u32));
        }
        let mut columns: HashMap<&[u32], u32> = HashMap::new();
        let mut least: Vec<f64> = Vec::new();
        let mut kept_equations = vec![Vec::new(); equations.len()];
        let mut kept_targets = vec![Vec::new(); targets.len()];
        for (member_of, &value) in member_of.iter().zip(values) {
            let next = least.len() as u32;
            let column = *columns.entry(member_of).or_insert(next);
            if column == next {
                least.push(0.0);
                for &s in member_of {
                    let s = s as usize;
                    match s.checked_sub(equations.len()) {
                        None => kept_equations[s].push(column),
                        Some(target) => kept_targets[target].push(column),
                    }
                }
            }
            least[column as usize] -= value as f64;
        }
        let highest = targets.iter().map(|t| t.level).max().unwrap_or(1);
        let greatest = UPWARD * highest as f64;
        let variables: Vec<Column> = least.iter().map(|&least| Column::new(0.0, least, greatest)).collect();
        let rows: Vec<_> = kept_equations
            .iter()
            .map(|columns| (0.0, 0.0, columns.iter().map(|&c| (c, 1.0)).collect::<Vec<_>>()))
            .collect();
        Self {
            program: Program::minimise(&variables, &rows),
            least,
            greatest,
            equations: kept_equations,
            targets: kept_targets,
            costly: Vec::new(),
        }
    }

    /// A table that fits all that is shown and pushes the weighted sum of targets as far up as it goes; `None` when the
    /// solver has no answer or the answer does not hold.
    fn push(&mut self, weights: impl Iterator<Item = (usize, f64)>) -> Option<Vec<f64>> {
        let mut costs: HashMap<u32, f64> = self.costly.drain(..).map(|c| (c, 0.0)).collect();
        for (target, weight) in weights {
            for &c in &self.targets[target] {
                *costs.entry(c).or_default() -= weight;
            }
        }
        let mut costs: Vec<(u32, f64)> = costs.into_iter().collect();
        costs.sort_unstable_by_key(|c| c.0);
        for &(column, cost) in &costs {
            self.program.set_cost(column, cost);
            if cost != 0.0 {
                self.costly.push(column);
            }
        }
        match self.program.solve() {
            Outcome::Optimal(table) => self.holds(&table).then_some(table),
            Outcome::Infeasible | Outcome::NoVerdict => None,
        }
    }

    /// Whether a table fits all that is shown, within [`TOLERANCE`].
    fn holds(&self, table: &[f64]) -> bool {
        let sum = |columns: &[u32]| columns.iter().map(|&c| table[c as usize]).sum::<f64>();
        table.len() == self.least.len()
            && table
                .iter()
                .zip(&self.least)
                .all(|(v, least)| *v >= least - TOLERANCE && *v <= self.greatest + TOLERANCE)
            && self.equations.iter().all(|equation| sum(equation).abs() <= TOLERANCE)
    }

    /// Strikes out the ends that a table reaches.
    fn settle(&self, table: &[f64], ends: &mut [[Option<f64>; 2]]) {
        for (target, end) in self.targets.iter().zip(ends) {
            if *end == [None, None] {
                continue;
            }
            let change: f64 = target.iter().map(|&c| table[c as usize]).sum();
            for (end, reach) in end.iter_mut().zip([change, -change]) {
                if end.is_some_and(|far| reach >= far - TOLERANCE) {
                    *end = None;
                }
            }
        }
    }
}
