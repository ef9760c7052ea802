//! Cuts that need no program: in every sum that a table shows, what one row moves the others must take up.
//!
//! The members of a sum are a row and the rows it is shared out to. Where one of them must be able to move so far, those
//! that are withheld whatever else is take up some of it; what is left asks for others (the bridgeless inequalities of
//! Fischetti & Salazar 2000, with the room of each row as its weight). A contributor knows more, so that less is taken up.

use super::attack::Cut;
use super::system::{Fate, Sum, System};
use super::witness::{Need, Side};
use std::collections::BTreeSet;

/// Contributors whose cuts are kept beside that of the public, for one need in one sum: those who ask for most.
const CONTRIBUTORS_KEPT: usize = 3;

/// The cuts of every sum: each holds for every safe pattern.
pub(super) fn cuts(system: &System<'_>) -> Vec<Cut> {
    system.sums.iter().flat_map(|sum| Members::of(system, sum).cuts()).collect()
}

/// What no safe pattern costs less than, by these cuts alone and without a program: each cut in turn is paid by its rows
/// as far as their prices go, which is a feasible point of the dual of the master.
pub(super) fn bound(system: &System<'_>) -> f64 {
    let mut cuts = cuts(system);
    cuts.sort_by_key(Vec::len);
    let mut left = system.price.clone();
    let mut bound = 0.0;
    for cut in cuts {
        let paid = cut.iter().map(|&(row, weight)| left[row as usize] / weight).fold(f64::INFINITY, f64::min);
        cut.iter().for_each(|&(row, weight)| left[row as usize] = (left[row as usize] - paid * weight).max(0.0));
        bound += paid;
    }
    bound * (1.0 - ROUNDING)
}

/// What sums of numbers of two may lose, as a share.
const ROUNDING: f64 = 1e-9;

struct Members<'s, 'a> {
    system: &'s System<'a>,
    whole: u32,
    /// Withheld whatever else is, those that hold most first.
    unsafe_rows: Vec<u32>,
    /// Those that may be withheld.
    open: Vec<u32>,
}

impl<'s, 'a> Members<'s, 'a> {
    fn of(system: &'s System<'a>, sum: &Sum) -> Self {
        let all = || sum.parts.iter().copied().chain([sum.whole]);
        let fate = |r: u32| system.fate[r as usize];
        let mut unsafe_rows: Vec<u32> = all().filter(|&r| fate(r) == Fate::Primary).collect();
        unsafe_rows.sort_by_key(|&r| (std::cmp::Reverse(system.raw.rows[r as usize].value), r));
        let open = all().filter(|&r| matches!(fate(r), Fate::Open | Fate::Secondary)).collect();
        Self { system, whole: sum.whole, unsafe_rows, open }
    }

    fn cuts(&self) -> Vec<Cut> {
        let needs = self.unsafe_rows.iter().flat_map(|&row| Need::both(row));
        needs.flat_map(|need| self.cuts_of(need)).collect()
    }

    fn cuts_of(&self, need: Need) -> Vec<Cut> {
        let (rest, asked) = self.left(need, None);
        let mut all: Vec<(i64, Cut)> = Vec::new();
        if self.system.insiders {
            // Nobody else knows more of the rows that are enough for the public.
            let inside = asked.iter().flat_map(|&row| {
                let atoms = &self.system.raw.rows[row as usize].atoms;
                atoms.iter().flat_map(|&a| self.system.raw.atoms[a as usize].contributions.iter().map(|c| c.0))
            });
            for who in inside.collect::<BTreeSet<u32>>() {
                let (left, _) = self.left(need, Some(who));
                if left > 0 && left >= rest {
                    all.push((left, self.cut(need, Some(who), left)));
                }
            }
            all.sort_by_key(|one| std::cmp::Reverse(one.0));
            all.dedup();
            all.truncate(CONTRIBUTORS_KEPT);
        }
        if rest > 0 {
            all.push((rest, self.cut(need, None, rest)));
        }
        all.dedup();
        all.into_iter().map(|one| one.1).filter(|cut| !cut.is_empty()).collect()
    }

    /// What rows that are withheld anyhow do not take up of a need, and the row with those among them that were asked.
    fn left(&self, need: Need, who: Option<u32>) -> (i64, Vec<u32>) {
        let mut asked = vec![need.row];
        let mut left = need.distance(self.system, who);
        let far = left;
        for &row in self.unsafe_rows.iter().filter(|&&row| row != need.row) {
            if left <= 0 {
                break;
            }
            asked.push(row);
            left -= self.takes(need, row, who, far);
        }
        (left, asked)
    }

    fn cut(&self, need: Need, who: Option<u32>, left: i64) -> Cut {
        let far = need.distance(self.system, who);
        let weights = self.open.iter().map(|&row| (row, self.takes(need, row, who, far)));
        weights.filter(|w| w.1 > 0).map(|(row, takes)| (row, (takes as f64 / left as f64).min(1.0))).collect()
    }

    /// How much of a need a row takes up, as far as someone can tell.
    fn takes(&self, need: Need, row: u32, who: Option<u32>, far: i64) -> i64 {
        // Parts move against each other, and with the whole.
        let with = (need.row == self.whole) != (row == self.whole);
        let up = (need.side == Side::Up) == with;
        let of = &self.system.raw.rows[row as usize];
        let (least, greatest) = who.map_or((of.least, of.greatest), |who| self.system.raw.known_to(of, who));
        match greatest {
            None if up => far,
            Some(greatest) if up => far.min(i64::try_from(greatest - of.value).unwrap_or(far)),
            _ => far.min(i64::try_from(of.value - least).unwrap_or(far)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cuts::tests::{is_safe, ready, table};
    use super::*;

    /// One in so many choices of rows is tried.
    const CHOICES_APART: usize = 13;

    #[test]
    fn every_safe_pattern_satisfies_the_cuts_of_every_sum() {
        let (mut found, mut safe) = (0, 0);
        for seed in 1..40 {
            for insiders in [false, true] {
                let raw = table(seed);
                let mut system = ready(&raw, insiders);
                let open: Vec<u32> =
                    (0..raw.rows.len() as u32).filter(|&r| system.fate[r as usize] == Fate::Open).collect();
                if open.len() > 10 {
                    continue; // the choices to try double with each
                }
                let bound = bound(&system);
                let cuts = cuts(&system);
                found += cuts.len();
                // Few of the smaller choices are safe: from the last on, which withholds everything.
                for choice in (0..1_u32 << open.len()).rev().step_by(CHOICES_APART) {
                    let taken = |r: u32| open.iter().position(|&o| o == r).is_some_and(|i| choice >> i & 1 == 1);
                    for &r in &open {
                        system.fate[r as usize] = if taken(r) { Fate::Secondary } else { Fate::Open };
                    }
                    if is_safe(&system) {
                        safe += 1;
                        assert!(system.cost() >= bound, "{seed} {insiders}: {choice:b} costs less than {bound}");
                        for cut in &cuts {
                            let sum: f64 = cut.iter().filter(|c| taken(c.0)).map(|c| c.1).sum();
                            assert!(sum >= 1.0 - 1e-9, "{seed} {insiders}: {choice:b} leaves {cut:?}");
                        }
                    }
                }
            }
        }
        assert!(found > 20 && safe > 50, "{found} cuts, {safe} safe patterns");
    }
}
