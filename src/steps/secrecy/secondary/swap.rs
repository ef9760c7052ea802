//! Pass 2 in a large system: the cheapest exchange of two or four atoms that meets one need.
//!
//! An exchange moves one atom of the row by the whole distance, a neighbour the other way, and, where that would change a
//! dear row such as a total, a second pair of neighbours crosswise. Whole by nature, and so small that few contributors
//! can exclude it. What it costs is the price of the shown rows it changes.

use super::system::{Fate, System};
use super::witness::{Side, Unmet};

/// Neighbours are atoms that share a row of at most this many atoms.
const ROW_ATOMS_MAX: usize = 80;
/// Atoms of the row tried as first corner, neighbours tried as second.
const FIRST_MAX: usize = 3;
const SECOND_MAX: usize = 16;
/// Atoms anywhere kept as easy partners.
const EASY_MAX: usize = 150;
/// Atoms tried as third corner, for one dear row, and neighbours of each as fourth.
const THIRD_MAX: usize = 250;
const FOURTH_MAX: usize = 3;

/// Neighbours of every atom; they depend on the tables alone, so they are found once.
pub(super) struct Neighbours(Vec<Vec<u32>>);

impl Neighbours {
    pub fn new(system: &System<'_>) -> Self {
        let mut near: Vec<Vec<u32>> = vec![Vec::new(); system.raw.atoms.len()];
        for row in system.raw.rows.iter().filter(|row| row.atoms.len() <= ROW_ATOMS_MAX) {
            for &a in &row.atoms {
                near[a as usize].extend(row.atoms.iter().copied().filter(|&b| b != a));
            }
        }
        for others in &mut near {
            others.sort_unstable();
            others.dedup();
        }
        Self(near)
    }
}

/// A move of whole units and the rows it takes to withhold.
pub(super) type Exchange = (Vec<(u32, i64)>, Vec<u32>);

/// The cheapest exchange found; `None` when no atom of the row can move that far.
pub(super) fn exchange(system: &System<'_>, near: &Neighbours, ease: &[u64], wanted: &Unmet) -> Option<Exchange> {
    let row = &system.raw.rows[wanted.need.row as usize];
    let by = if wanted.need.side == Side::Up { wanted.distance } else { -wanted.distance };
    let can = |a: u32, by: i64| system.can_move(a, by, &wanted.attackers);
    let outside = |a: u32| row.atoms.binary_search(&a).is_err();
    // Atoms anywhere that are easy to move and can move that far: partners of a large establishment are seldom next door.
    let easy = |by: i64| {
        let mut atoms: Vec<u32> = (0..system.raw.atoms.len() as u32).filter(|&a| outside(a) && can(a, by)).collect();
        atoms.sort_unstable_by_key(|&a| (ease[a as usize], a));
        atoms.truncate(EASY_MAX);
        atoms
    };
    let easy_against = easy(-by);
    let mut best: Option<(f64, Vec<(u32, i64)>)> = None;
    let mut consider = |moves: &[(u32, i64)]| {
        let price = price(system, moves);
        if price.is_finite() && best.as_ref().is_none_or(|known| (price, moves) < (known.0, &known.1[..])) {
            best = Some((price, moves.to_vec()));
        }
    };
    let mut in_second = vec![false; system.raw.atoms.len()];
    let mut firsts: Vec<u32> = row.atoms.iter().copied().filter(|&a| can(a, by)).collect();
    firsts.sort_unstable_by_key(|&a| (std::cmp::Reverse(system.raw.atoms[a as usize].contributions.len()), a));
    for &a in firsts.iter().take(FIRST_MAX) {
        consider(&[(a, by)]);
        let mut seconds: Vec<(f64, u32)> = near.0[a as usize]
            .iter()
            .chain(&easy_against)
            .copied()
            .filter(|&b| outside(b) && can(b, -by))
            .map(|b| (price(system, &[(a, by), (b, -by)]), b))
            .collect();
        seconds.sort_unstable_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        seconds.dedup();
        for &(_, b) in seconds.iter().take(SECOND_MAX) {
            consider(&[(a, by), (b, -by)]);
            // The dearest row that only one of the two lies in: a second pair must undo the change there.
            let (Some(of_first), Some(of_second)) = (dearest(system, a, b), dearest(system, b, a)) else { continue };
            let of_second = &system.raw.rows[of_second as usize].atoms;
            for &c in of_second {
                in_second[c as usize] = c != a && c != b && outside(c) && can(c, by);
            }
            let thirds = system.raw.rows[of_first as usize].atoms.iter().copied();
            let thirds = thirds.filter(|&d| d != a && d != b && outside(d) && can(d, -by));
            for d in thirds.take(THIRD_MAX) {
                // The more rows two atoms share, the fewer a trade between them changes.
                let fourths = near.0[d as usize].iter().copied().filter(|&c| in_second[c as usize]);
                let mut fourths: Vec<(usize, u32)> = fourths.map(|c| (shared(system, c, d), c)).collect();
                fourths.sort_unstable_by_key(|&(n, c)| (std::cmp::Reverse(n), c));
                for &(_, c) in fourths.iter().take(FOURTH_MAX) {
                    consider(&[(a, by), (b, -by), (c, by), (d, -by)]);
                }
            }
            for &c in of_second {
                in_second[c as usize] = false;
            }
        }
    }
    let (_, moves) = best?;
    let mut withheld: Vec<u32> = Vec::new();
    for_each_change(system, &moves, |r| withheld.push(r));
    withheld.retain(|&r| system.fate[r as usize].is_shown());
    Some((moves, withheld))
}

/// How many rows two atoms share.
fn shared(system: &System<'_>, a: u32, b: u32) -> usize {
    let (mut ours, mut theirs) =
        (system.rows_of[a as usize].iter().peekable(), system.rows_of[b as usize].iter().peekable());
    let mut both = 0;
    while let (Some(r), Some(s)) = (ours.peek(), theirs.peek()) {
        match r.cmp(s) {
            std::cmp::Ordering::Less => drop(ours.next()),
            std::cmp::Ordering::Greater => drop(theirs.next()),
            std::cmp::Ordering::Equal => {
                both += 1;
                ours.next();
                theirs.next();
            }
        }
    }
    both
}

/// The dearest shown row that holds `a` and not `b`.
fn dearest(system: &System<'_>, a: u32, b: u32) -> Option<u32> {
    let theirs = &system.rows_of[b as usize];
    let own = system.rows_of[a as usize].iter().copied();
    own.filter(|r| system.fate[*r as usize].is_shown() && theirs.binary_search(r).is_err())
        .max_by(|&r, &s| system.price[r as usize].total_cmp(&system.price[s as usize]).then(r.cmp(&s)))
}

fn price(system: &System<'_>, moves: &[(u32, i64)]) -> f64 {
    let mut sum = 0.0;
    for_each_change(system, moves, |r| {
        sum += match system.fate[r as usize] {
            Fate::Open => system.price[r as usize],
            Fate::Locked => f64::INFINITY,
            Fate::Primary | Fate::Secondary => 0.0,
        };
    });
    sum
}

/// Calls `f` with each row that the moves change, in the order of rows.
fn for_each_change(system: &System<'_>, moves: &[(u32, i64)], mut f: impl FnMut(u32)) {
    // Four sorted lists at most are merged.
    let mut at = [0_usize; 4];
    loop {
        let next = |i: usize| system.rows_of[moves[i].0 as usize].get(at[i]).copied();
        let Some(least) = (0..moves.len()).filter_map(next).min() else { return };
        let mut change = 0;
        for i in 0..moves.len() {
            if system.rows_of[moves[i].0 as usize].get(at[i]) == Some(&least) {
                change += moves[i].1;
                at[i] += 1;
            }
        }
        if change != 0 {
            f(least);
        }
    }
}
