//! How far an outsider can narrow each unsafe sum: tables over the atoms, each atom within what everybody knows of it (not
//! below zero, and within its public bounds), every sum shown kept.
//!
//! An end of a sum is settled by a table that moves the sum as far as its level asks. Three ways find tables, each less
//! cheap than the one before:
//! - exchanges between atoms that no sum shown tells apart, in whole numbers, with no solver;
//! - programs with random weights over all ends that are open, each of which settles many;
//! - a program that asks for one end alone.
//!
//! A solver's point is rounded to whole numbers, or to fractions with a small denominator; where no such table is near, to
//! fine fractions, and what they miss of the sums shown is taken back exactly ([`super::mend`]). It counts only if every sum
//! shown is then kept exactly, each atom is within its bounds, and the level is reached: nothing is taken within a tolerance. What
//! no table settles is a fault, whatever the reason.

use super::exact::Random;
use super::mend::{Fractions, mended};
use super::solver::{Program, Proposal};
use super::{FaultKind, Verdict};
use std::collections::HashMap;

/// A sum to be kept wide.
pub(super) struct Target<'a> {
    /// Its free atoms.
    pub atoms: &'a [u32],
    /// How far above the truth its upper end must reach, and how far below it its lower end.
    pub far: [u64; 2],
}

/// How far below and above its true value everybody can believe an atom to be; `None` for as far as one likes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub down: u64,
    pub up: Option<u64>,
}

/// Rooms together: infinite is the largest number there is.
fn up(rooms: impl Iterator<Item = Room>) -> u64 {
    rooms.fold(0, |sum, room| sum.saturating_add(room.up.unwrap_or(u64::MAX)))
}

fn down(rooms: impl Iterator<Item = Room>) -> u64 {
    rooms.map(|room| room.down).sum()
}

/// Programs with random weights over all unsettled ends; each is worth hundreds of single ones at first.
const SHARED_MAX: usize = 60;

/// Shared programs stop once one of them settles a smaller part of what is left than this, or fewer ends than two.
const SHARED_WORTH: f64 = 0.02;

/// Programs for one end alone, each with other random costs and so with another corner, before it is given up.
const CORNERS_MAX: usize = 8;

/// Denominators tried for a corner that is not whole.
const DENOMINATORS: [i128; 10] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 60];

/// A point beyond this is no table of people.
const FAR: f64 = 1e15;

/// Largest change of a column, in parts: sums of millions of them stay far below what 128 bits hold, and so do rooms.
const PARTS_MAX: i128 = 1 << 90;

/// What is wrong with each target, if anything; those `known` exactly are not tried.
pub(super) fn narrow(
    rooms: &[Room],
    equations: &[Vec<u32>],
    targets: &[Target<'_>],
    known: &[bool],
    random: &mut Random,
    verdict: &mut Verdict,
) -> Vec<Option<FaultKind>> {
    let mut faults = vec![None; targets.len()];
    let mut ends: Vec<[Option<u64>; 2]> = (targets.iter().zip(known))
        .map(|(target, &known)| {
            let far = |by: u64| (by > 0 && !known).then_some(by);
            target.far.map(far)
        })
        .collect();
    verdict.ends = open(&ends);
    let system = System::new(rooms, equations, targets);
    system.exchange(&mut ends);
    verdict.ends_exchanged = verdict.ends - open(&ends);
    if open(&ends) > 0 {
        system.share(&mut ends, random, verdict);
    }
    for target in 0..targets.len() {
        for side in [0, 1] {
            let Some(far) = ends[target][side] else { continue };
            let mut infeasible = false;
            for _ in 0..CORNERS_MAX {
                verdict.programs += 1;
                match system.single(target, side, far, random) {
                    Single::Table(table) => system.settle(&table, &mut ends),
                    Single::Infeasible => infeasible = true,
                    Single::Nothing => {}
                }
                if infeasible || ends[target][side].is_none() {
                    break;
                }
            }
            if ends[target][side].take().is_some() {
                // One fault a target says enough; the want of a verdict must not hide a narrow interval.
                let kind = if infeasible { FaultKind::TooNarrow } else { FaultKind::NoVerdict };
                faults[target] = match faults[target] {
                    Some(FaultKind::TooNarrow) => Some(FaultKind::TooNarrow),
                    _ => Some(kind),
                };
            }
        }
    }
    let failed = faults.iter().flatten().count() as u64;
    verdict.ends_solved = (verdict.ends - verdict.ends_exchanged).saturating_sub(failed);
    faults
}

fn open(ends: &[[Option<u64>; 2]]) -> u64 {
    ends.iter().flatten().flatten().count() as u64
}

/// A table: the change of each atom, and the denominator of all of them.
struct Moved {
    changes: Vec<i128>,
    scale: i128,
}

enum Single {
    Table(Moved),
    Infeasible,
    Nothing,
}

/// What the attacker faces, in changes from the truth.
struct System<'a> {
    rooms: &'a [Room],
    targets: &'a [Target<'a>],
    /// Atoms in the same equations are one class.
    class_of: Vec<u32>,
    classes: Vec<Vec<u32>>,
    /// The classes of each equation, and the equations of each class.
    equations: Vec<Vec<u32>>,
    equations_of: Vec<Vec<u32>>,
}

impl<'a> System<'a> {
    fn new(rooms: &'a [Room], equations: &[Vec<u32>], targets: &'a [Target<'a>]) -> Self {
        let mut member_of: Vec<Vec<u32>> = vec![Vec::new(); rooms.len()];
        for (e, atoms) in equations.iter().enumerate() {
            atoms.iter().for_each(|&a| member_of[a as usize].push(e as u32));
        }
        let mut by_equations: HashMap<Vec<u32>, u32> = HashMap::new();
        let (mut classes, mut equations_of): (Vec<Vec<u32>>, Vec<Vec<u32>>) = (Vec::new(), Vec::new());
        let mut kept = vec![Vec::new(); equations.len()];
        let class = |(a, member_of): (usize, Vec<u32>)| {
            let class = *by_equations.entry(member_of).or_insert_with_key(|member_of| {
                member_of.iter().for_each(|&e| kept[e as usize].push(classes.len() as u32));
                equations_of.push(member_of.clone());
                classes.push(Vec::new());
                classes.len() as u32 - 1
            });
            classes[class as usize].push(a as u32);
            class
        };
        let class_of = member_of.into_iter().enumerate().map(class).collect();
        Self { rooms, targets, class_of, classes, equations: kept, equations_of }
    }

    /// The atoms of a target by class.
    fn inside(&self, target: &Target<'_>) -> Vec<(u32, Vec<u32>)> {
        let mut atoms: Vec<(u32, u32)> = target.atoms.iter().map(|&a| (self.class_of[a as usize], a)).collect();
        atoms.sort_unstable();
        atoms.chunk_by(|a, b| a.0 == b.0).map(|class| (class[0].0, class.iter().map(|c| c.1).collect())).collect()
    }

    fn of<'b>(&'b self, atoms: &'b [u32]) -> impl Iterator<Item = Room> + 'b {
        atoms.iter().map(|&a| self.rooms[a as usize])
    }

    /// The least and the greatest change of atoms together, for the solver.
    fn ends(&self, atoms: &[u32]) -> (f64, Option<f64>) {
        let most = up(self.of(atoms));
        (-(down(self.of(atoms)) as f64), (most < u64::MAX).then_some(most as f64))
    }

    /// Within a class, what one atom loses another may gain: up by all that is outside the target, down by all inside.
    fn exchange(&self, ends: &mut [[Option<u64>; 2]]) {
        for (target, end) in self.targets.iter().zip(ends).filter(|(_, end)| **end != [None, None]) {
            let mut reach = [0_u64; 2];
            for (class, inside) in self.inside(target) {
                let all = &self.classes[class as usize];
                let within = [up(self.of(&inside)), down(self.of(&inside))];
                let gives: [u64; 2] = if self.equations_of[class as usize].is_empty() {
                    // Nothing shown speaks of these atoms.
                    within
                } else {
                    let outside: Vec<u32> = all.iter().copied().filter(|a| inside.binary_search(a).is_err()).collect();
                    let beside = [down(self.of(&outside)), up(self.of(&outside))];
                    [within[0].min(beside[0]), within[1].min(beside[1])]
                };
                reach = [reach[0].saturating_add(gives[0]), reach[1].saturating_add(gives[1])];
            }
            for (end, reach) in end.iter_mut().zip(reach) {
                if end.is_some_and(|far| reach >= far) {
                    *end = None;
                }
            }
        }
    }

    /// Programs over all open ends at once, as long as they are worth it.
    fn share(&self, ends: &mut [[Option<u64>; 2]], random: &mut Random, verdict: &mut Verdict) {
        // A column is the atoms in the same equations and the same open targets.
        let mut targets_of: Vec<Vec<u32>> = vec![Vec::new(); self.rooms.len()];
        for (t, target) in self.targets.iter().enumerate().filter(|(t, _)| ends[*t] != [None, None]) {
            target.atoms.iter().for_each(|&a| targets_of[a as usize].push(t as u32));
        }
        let mut columns: HashMap<(u32, &[u32]), u32> = HashMap::new();
        let mut members: Vec<Vec<u32>> = Vec::new();
        let mut of_class: Vec<Vec<u32>> = vec![Vec::new(); self.classes.len()];
        for (a, &class) in self.class_of.iter().enumerate().filter(|c| !self.equations_of[*c.1 as usize].is_empty()) {
            let column = *columns.entry((class, &targets_of[a])).or_insert_with(|| {
                of_class[class as usize].push(members.len() as u32);
                members.push(Vec::new());
                members.len() as u32 - 1
            });
            members[column as usize].push(a as u32);
        }
        let bounds: Vec<_> = members.iter().map(|m| self.ends(m)).collect();
        let sums: Vec<Vec<u32>> = (self.equations.iter())
            .map(|classes| classes.iter().flat_map(|&c| of_class[c as usize].iter().copied()).collect())
            .collect();
        let equations: Vec<(&[u32], f64)> = sums.iter().map(|sum| (sum.as_slice(), 0.0)).collect();
        let mut program = Program::new(&bounds, &equations);
        for _ in 0..SHARED_MAX {
            let before = open(ends);
            if before == 0 {
                return;
            }
            let mut weights = vec![0.0; self.targets.len()];
            for (weight, end) in weights.iter_mut().zip(ends.iter()) {
                let by = random.share();
                let up = random.share() < 0.5;
                *weight = match *end {
                    [Some(a), Some(_)] if up => by / a as f64,
                    [_, Some(b)] => -by / b as f64,
                    [Some(a), None] => by / a as f64,
                    [None, None] => 0.0,
                };
            }
            let cost = |m: &Vec<u32>| {
                -targets_of[m[0] as usize].iter().map(|&t| weights[t as usize]).sum::<f64>() + 1e-4 * random.share()
            };
            let costs: Vec<f64> = members.iter().map(cost).collect();
            verdict.programs += 1;
            if let Proposal::Point(point) = program.minimise(&costs)
                && let Some(table) = self.table_near(&members, &bounds, &equations, &point)
            {
                self.settle(&table, ends);
            }
            let settled = before - open(ends);
            if settled < 2 || (settled as f64) < before as f64 * SHARED_WORTH {
                return;
            }
        }
    }

    /// A table that moves one target by `far`, at a corner drawn at random.
    fn single(&self, target: usize, side: usize, far: u64, random: &mut Random) -> Single {
        let inside = self.inside(&self.targets[target]);
        // The classes that equations tie to the target, one after another.
        let mut reached: Vec<u32> = inside.iter().map(|i| i.0).collect();
        let mut met = vec![false; self.classes.len()];
        let mut equation_met = vec![false; self.equations.len()];
        reached.iter().for_each(|&c| met[c as usize] = true);
        let mut next = 0;
        let mut equations_met: Vec<u32> = Vec::new();
        while let Some(&class) = reached.get(next) {
            next += 1;
            for &e in &self.equations_of[class as usize] {
                if !std::mem::replace(&mut equation_met[e as usize], true) {
                    equations_met.push(e);
                    for &c in &self.equations[e as usize] {
                        if !std::mem::replace(&mut met[c as usize], true) {
                            reached.push(c);
                        }
                    }
                }
            }
        }
        let mut members: Vec<Vec<u32>> = Vec::new();
        let mut of_class: HashMap<u32, [Option<u32>; 2]> = HashMap::new();
        let inside: HashMap<u32, Vec<u32>> = inside.into_iter().collect();
        let mut asked: Vec<u32> = Vec::new();
        for &class in &reached {
            let own = inside.get(&class).cloned().unwrap_or_default();
            let rest = self.classes[class as usize].iter().copied().filter(|a| own.binary_search(a).is_err());
            let rest: Vec<u32> = rest.collect();
            let mut columns = [None, None];
            for (column, atoms) in columns.iter_mut().zip([own, rest]) {
                if !atoms.is_empty() {
                    *column = Some(members.len() as u32);
                    members.push(atoms);
                }
            }
            asked.extend(columns[0]);
            of_class.insert(class, columns);
        }
        let sums: Vec<Vec<u32>> = (equations_met.iter())
            .map(|&e| self.equations[e as usize].iter().flat_map(|c| of_class[c].into_iter().flatten()).collect())
            .collect();
        let far = if side == 0 { far as f64 } else { -(far as f64) };
        let mut equations: Vec<(&[u32], f64)> = sums.iter().map(|sum| (sum.as_slice(), 0.0)).collect();
        equations.push((&asked, far));
        let bounds: Vec<_> = members.iter().map(|m| self.ends(m)).collect();
        // Costs above zero: every column has a least value, so that the program is bounded.
        let costs: Vec<f64> = members.iter().map(|_| 0.1 + random.share()).collect();
        match Program::new(&bounds, &equations).minimise(&costs) {
            Proposal::Point(point) => {
                let table = self.table_near(&members, &bounds, &equations, &point);
                table.map_or(Single::Nothing, Single::Table)
            }
            Proposal::Infeasible => Single::Infeasible,
            Proposal::Nothing => Single::Nothing,
        }
    }

    /// The table near a point: rounded, or mended where that is not enough.
    fn table_near(
        &self,
        members: &[Vec<u32>],
        bounds: &[(f64, Option<f64>)],
        equations: &[(&[u32], f64)],
        point: &[f64],
    ) -> Option<Moved> {
        if point.iter().any(|by| by.abs() > FAR) {
            return None;
        }
        let rounded = |&scale: &i128| {
            let parts = point.iter().map(|by| (by * scale as f64).round() as i128).collect();
            Fractions { parts, scale }
        };
        let mut near = DENOMINATORS.iter().map(rounded).chain(mended(bounds, equations, point));
        near.find_map(|fractions| self.checked(members, &fractions))
    }

    /// The table that changes columns so, if every sum shown is kept and each atom is within its bounds.
    fn checked(&self, members: &[Vec<u32>], Fractions { parts, scale }: &Fractions) -> Option<Moved> {
        let scale = *scale;
        let mut changes = vec![0_i128; self.rooms.len()];
        for (atoms, &by) in members.iter().zip(parts) {
            if by.abs() > PARTS_MAX {
                return None;
            }
            // Atoms of a column are alike: each in turn gains or loses what it can.
            let mut by = by;
            for &a in atoms {
                let Room { down, up } = self.rooms[a as usize];
                let most = up.map_or(i128::MAX, |up| i128::from(up) * scale);
                let changed = by.clamp(-i128::from(down) * scale, most);
                changes[a as usize] = changed;
                by -= changed;
            }
            if by != 0 {
                return None;
            }
        }
        let change = |class: &u32| self.classes[*class as usize].iter().map(|&a| changes[a as usize]).sum::<i128>();
        let kept = self.equations.iter().all(|classes| classes.iter().map(change).sum::<i128>() == 0);
        kept.then_some(Moved { changes, scale })
    }

    /// Strikes out the ends that a table reaches.
    fn settle(&self, table: &Moved, ends: &mut [[Option<u64>; 2]]) {
        for (target, end) in self.targets.iter().zip(ends).filter(|(_, end)| **end != [None, None]) {
            let change: i128 = target.atoms.iter().map(|&a| table.changes[a as usize]).sum();
            for (end, reach) in end.iter_mut().zip([change, -change]) {
                if end.is_some_and(|far| reach >= i128::from(far) * table.scale) {
                    *end = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with the last of `n` + 1 atoms when each of `n` sums is shown that leave one of the other atoms out:
    /// when it gains `n` − 1, each other loses one.
    fn narrowed(n: u32, far: [u64; 2], room: Room) -> Option<FaultKind> {
        let sums: Vec<Vec<u32>> = (0..n).map(|i| (0..=n).filter(|a| *a != i).collect()).collect();
        let mut rooms = vec![room; n as usize];
        rooms.push(Room { down: 1_000, up: None });
        let targets = [Target { atoms: &[n], far }];
        narrow(&rooms, &sums, &targets, &[false], &mut Random(1), &mut Verdict::default())[0]
    }

    #[test]
    fn an_end_is_settled_by_a_table_in_fractions_of_any_denominator() {
        let (too_narrow, wide) = (Some(FaultKind::TooNarrow), Room { down: 1_000, up: None });
        let down = |down| Room { down, ..wide };
        let up = |up| Room { up: Some(up), ..wide };
        for (n, far, room, expected) in [
            (4, [1, 1], wide, None),
            (8, [1, 1], wide, None),
            (24, [1, 0], wide, None),
            (24, [0, 1], wide, None),
            (98, [5, 6], wide, None),
            // Each loses seven sevenths, and more than there is.
            (8, [7, 0], down(1), None),
            (8, [8, 0], down(1), too_narrow),
            (8, [1, 0], down(1), None),
            (8, [1, 0], down(0), too_narrow),
            // Each gains so much.
            (8, [0, 14], up(2), None),
            (8, [0, 15], up(2), too_narrow),
            (8, [0, 13], up(2), None),
        ] {
            assert_eq!(narrowed(n, far, room), expected, "{n} {far:?} {room:?}");
        }
    }
}
