//! The same puzzle made small: atoms that what is shown fixes at once are taken out, and each sum shown is left with
//! what its parts shown do not already say.

use super::form::Puzzle;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// What an attacker still has to find out.
pub(super) struct Reduced {
    /// The atoms not fixed, by their number in the puzzle; below, an atom is its place in this list.
    pub atoms: Vec<u32>,
    /// Sums shown, ascending atoms each.
    pub equations: Vec<Vec<u32>>,
    /// For each attacked sum, its free atoms.
    pub targets: Vec<Vec<u32>>,
    /// What is left when smaller sums shown are taken from one shown: that sum, and atoms of the puzzle.
    pub remainders: Vec<(u32, Vec<u32>)>,
}

/// Reduces the puzzle, of which these rows are shown, to what an attacker needs for these sums; nothing is lost by it.
pub(super) fn reduce<'a>(puzzle: &Puzzle, shown: &[usize], attacked: impl Iterator<Item = &'a [u32]>) -> Reduced {
    let remainders: Vec<(u32, Vec<u32>)> =
        shown.iter().map(|&r| r as u32).zip(residuals(puzzle, shown)).filter(|r| !r.1.is_empty()).collect();
    let distinct: HashSet<&Vec<u32>> = remainders.iter().map(|r| &r.1).collect();
    let mut equations: Vec<Vec<u32>> = distinct.into_iter().cloned().collect();
    let mut fixed: Vec<bool> = puzzle.atoms.iter().map(|atom| atom.public().is_point()).collect();
    settle(puzzle, &mut fixed, &mut equations);
    equations.retain(|e| !e.is_empty());
    equations.sort_unstable();
    equations.dedup();

    let atoms: Vec<u32> = (0..fixed.len() as u32).filter(|&a| !fixed[a as usize]).collect();
    let mut renumbered = vec![0; fixed.len()];
    for (new, &old) in atoms.iter().enumerate() {
        renumbered[old as usize] = new as u32;
    }
    let renumber = |old: &[u32]| old.iter().map(|&a| renumbered[a as usize]).collect::<Vec<u32>>();
    let free = |all: &[u32]| renumber(&all.iter().copied().filter(|&a| !fixed[a as usize]).collect::<Vec<_>>());
    Reduced {
        equations: equations.iter().map(|e| renumber(e)).collect(),
        targets: attacked.map(free).collect(),
        atoms,
        remainders,
    }
}

/// Fixes the atoms that one equation fixes by itself, again and again: the only atom left in it, or all of them where
/// they sum to the least that is known of them (zero, as long as nothing else is) or to the most. Fixed atoms leave the
/// equations.
fn settle(puzzle: &Puzzle, fixed: &mut [bool], equations: &mut [Vec<u32>]) {
    loop {
        let before = fixed.iter().filter(|f| **f).count();
        for equation in equations.iter_mut() {
            equation.retain(|&a| !fixed[a as usize]);
            let sum: u64 = equation.iter().map(|&a| puzzle.atoms[a as usize].value).sum();
            let known = puzzle.known(equation, None);
            if equation.len() == 1 || sum == known.least || Some(sum) == known.most {
                equation.drain(..).for_each(|a| fixed[a as usize] = true);
            }
        }
        if fixed.iter().filter(|f| **f).count() == before {
            return;
        }
    }
}

/// For each sum shown, the atoms left once disjoint smaller sums shown are taken out. A sum's parts are smaller than it,
/// so that sums and residuals say the same.
fn residuals(puzzle: &Puzzle, shown: &[usize]) -> Vec<Vec<u32>> {
    let equations: Vec<&[u32]> = shown.iter().map(|&r| puzzle.rows[r].atoms.as_slice()).collect();
    let mut holders: Vec<Vec<u32>> = vec![Vec::new(); puzzle.atoms.len()];
    for (e, equation) in equations.iter().enumerate() {
        equation.iter().for_each(|&a| holders[a as usize].push(e as u32));
    }
    // What a cell says along each dimension, by equation and table, to prefer parts along one dimension.
    let keys: Vec<HashMap<u32, &[(u32, u32)]>> = shown
        .iter()
        .map(|&r| puzzle.rows[r].cells.iter().map(|(table, key)| (*table, key.as_slice())).collect())
        .collect();
    let mut met = vec![0_usize; equations.len()];
    let mut covered = vec![0_u32; puzzle.atoms.len()];
    let mut stamp = 0;
    let mut result = Vec::with_capacity(equations.len());
    for (e, equation) in equations.iter().enumerate() {
        let mut touched: Vec<u32> = Vec::new();
        for &part in equation.iter().flat_map(|&a| &holders[a as usize]) {
            if met[part as usize] == 0 {
                touched.push(part);
            }
            met[part as usize] += 1;
        }
        let mut parts: Vec<u32> = touched
            .iter()
            .copied()
            .filter(|&p| met[p as usize] == equations[p as usize].len() && met[p as usize] < equation.len())
            .collect();
        touched.iter().for_each(|&p| met[p as usize] = 0);
        parts.sort_by_key(|&p| (Reverse(equations[p as usize].len()), p));

        // One try along each dimension of each table that holds the sum; the least that is left wins.
        let mut least = equation.to_vec();
        let mut tries: Vec<(u32, usize)> =
            keys[e].iter().flat_map(|(&table, key)| (0..key.len()).map(move |d| (table, d))).collect();
        tries.sort_unstable();
        for (table, d) in tries {
            if parts.is_empty() || least.is_empty() {
                break;
            }
            let own = keys[e][&table];
            let along = |p: &u32| {
                let other = keys[*p as usize].get(&table);
                other.is_some_and(|key| (0..own.len()).all(|i| i == d || key[i] == own[i]))
            };
            let (near, far): (Vec<u32>, Vec<u32>) = parts.iter().partition(|p| along(p));
            stamp += 1;
            for p in near.into_iter().chain(far) {
                let atoms = equations[p as usize];
                if atoms.iter().all(|&a| covered[a as usize] != stamp) {
                    atoms.iter().for_each(|&a| covered[a as usize] = stamp);
                }
            }
            let left: Vec<u32> = equation.iter().copied().filter(|&a| covered[a as usize] != stamp).collect();
            if left.len() < least.len() {
                least = left;
            }
        }
        result.push(least);
    }
    result
}
