//! Witnesses of two and four atoms, found by hashing, without any program.
//!
//! An atom's *signature* is the set of shown rows it lies in. Two atoms with one signature can trade with each other; two
//! pairs whose signatures differ alike can trade crosswise, as the corners of a rectangle do in a table of two
//! dimensions. Such moves are so small that few contributors can exclude them.

use super::needs;
use super::system::{Fate, System};
use super::witness::{Pool, Side, Unmet, Witness};
use std::collections::HashMap;

/// Pairs are sought within shown rows that hold at most this many atoms that can move; larger rows add few new ones.
const ROW_ATOMS_MAX: usize = 80;

/// Candidates tried for one need, and witnesses of one need.
const TRIES_MAX: usize = 300;

/// Longest list kept of pairs that differ alike.
const ALIKE_MAX: usize = 64;

/// Adds small witnesses for as many needs as it can.
pub(super) fn rectangles(system: &System<'_>, pool: &mut Pool) {
    let unmet: Vec<Unmet> = needs(system).into_iter().filter_map(|n| pool.unmet(system, n)).collect();
    if unmet.is_empty() {
        return;
    }
    let finder = Finder::new(system);
    for wanted in unmet {
        finder.serve(system, pool, wanted);
    }
}

struct Finder {
    /// Sum of the marks of the shown rows an atom lies in; `None` when a shown row fixes the atom.
    signature: Vec<Option<u64>>,
    /// Atoms close to each atom.
    near: Vec<Vec<u32>>,
    /// Ordered pairs by the difference of their signatures.
    alike: HashMap<u64, Vec<(u32, u32)>>,
}

impl Finder {
    fn new(system: &System<'_>) -> Self {
        let atoms = system.raw.atoms.len();
        let fixes = |r: u32| {
            let row = &system.raw.rows[r as usize];
            let fate = system.fate[r as usize];
            fate.is_shown() && (row.atoms.len() == 1 || (fate == Fate::Locked && row.value == 0))
        };
        let signature: Vec<Option<u64>> = (0..atoms)
            .map(|a| {
                let rows = &system.rows_of[a];
                if rows.iter().any(|&r| fixes(r)) {
                    return None;
                }
                let shown = rows.iter().filter(|&&r| system.fate[r as usize].is_shown());
                Some(shown.fold(0_u64, |sum, &r| sum.wrapping_add(mix(u64::from(r)))))
            })
            .collect();
        let mut near: Vec<Vec<u32>> = vec![Vec::new(); atoms];
        let mut alike: HashMap<u64, Vec<(u32, u32)>> = HashMap::new();
        for (r, row) in system.raw.rows.iter().enumerate() {
            if !system.fate[r].is_shown() {
                continue;
            }
            let free: Vec<u32> = row.atoms.iter().copied().filter(|&a| signature[a as usize].is_some()).collect();
            if free.len() > ROW_ATOMS_MAX {
                continue;
            }
            for &a in &free {
                near[a as usize].extend(free.iter().copied().filter(|&b| b != a));
            }
        }
        for (a, others) in near.iter_mut().enumerate() {
            others.sort_unstable();
            others.dedup();
            for &b in others.iter() {
                let (Some(one), Some(other)) = (signature[a], signature[b as usize]) else { continue };
                let pairs = alike.entry(one.wrapping_sub(other)).or_default();
                if pairs.len() < ALIKE_MAX {
                    pairs.push((a as u32, b));
                }
            }
        }
        Self { signature, near, alike }
    }

    /// Tries small moves of the row's atoms until the need is met or the tries are used up.
    fn serve(&self, system: &System<'_>, pool: &mut Pool, mut wanted: Unmet) {
        let row = &system.raw.rows[wanted.need.row as usize];
        let by = if wanted.need.side == Side::Up { wanted.distance } else { -wanted.distance };
        let value = |a: u32| system.raw.atoms[a as usize].value as i64;
        let holds = |moves: &[(u32, i64)]| moves.iter().all(|&(a, by)| value(a) + by >= 0);
        let excluded = |moves: &[(u32, i64)], attackers: &[u32]| {
            moves.iter().any(|&(a, by)| {
                let atom = &system.raw.atoms[a as usize];
                let alone = atom.contributions.len() == 1;
                atom.contributions
                    .iter()
                    .any(|c| (alone || c.1 as i64 > atom.value as i64 + by) && attackers.binary_search(&c.0).is_ok())
            })
        };
        let mut tries = 0;
        for &a in &row.atoms {
            if self.signature[a as usize].is_none() || !holds(&[(a, by)]) {
                continue;
            }
            for &b in &self.near[a as usize] {
                if !holds(&[(b, -by)]) || row.atoms.binary_search(&b).is_ok() {
                    continue;
                }
                let (Some(one), Some(other)) = (self.signature[a as usize], self.signature[b as usize]) else {
                    continue;
                };
                let difference = one.wrapping_sub(other);
                let twins = (difference == 0).then(|| vec![(a, by), (b, -by)]);
                let crosswise = self.alike.get(&difference).into_iter().flatten().filter_map(|&(c, d)| {
                    let apart = c != a && d != b && c != b && d != a;
                    (apart && row.atoms.binary_search(&c).is_err() && row.atoms.binary_search(&d).is_err())
                        .then(|| vec![(a, by), (b, -by), (c, -by), (d, by)])
                });
                for moves in twins.into_iter().chain(crosswise) {
                    if !holds(&moves) || excluded(&moves, &wanted.attackers) {
                        continue;
                    }
                    tries += 1;
                    if tries > TRIES_MAX {
                        return;
                    }
                    let Some(witness) = Witness::check(system, 1, moves) else { continue };
                    pool.add(system, witness);
                    match pool.unmet(system, wanted.need) {
                        Some(left) if left.distance == wanted.distance => wanted = left,
                        _ => return,
                    }
                }
            }
        }
    }
}

/// SplitMix64's finaliser (Steele, Lea & Flood 2014): spreads a counter over 64 bits.
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
