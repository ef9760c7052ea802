//! Witnesses: moves in whole numbers that keep every shown row unchanged, and so prove what an attacker cannot exclude.

use super::system::System;
use std::collections::{BTreeMap, HashMap};

/// Largest denominator tried for a move that is not whole: those of a vertex are minors of a matrix of ones, most often
/// below ten.
pub(in super::super) const DENOMINATOR_MAX: i64 = 5_040;

/// How far from a whole number a solver's answer may lie; the exact check has the last word.
const ROUNDING: f64 = 1e-6;

/// A move is enlarged at most so many times.
const FAMILY_TIMES_MAX: i64 = 1_000;

/// In place of the number of shown rows that a witness changes: it is dropped, and its number free.
const FORGOTTEN: u32 = u32::MAX;

/// One end of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) enum Side {
    Up,
    Down,
}

/// A move: how much each atom changes, in fractions of one unit. Checked by exact arithmetic before it counts.
#[derive(Clone)]
pub(in super::super) struct Witness {
    /// The denominator of every figure below; 1 in a move of whole units.
    pub scale: i64,
    /// Change of each atom that changes, ascending: the move itself, for whoever checks it again.
    pub moves: Vec<(u32, i64)>,
    /// Change of each row that changes, by row.
    pub rows: Vec<(u32, i64)>,
    /// Contributors whose own knowledge excludes this move, ascending.
    pub spoiled_by: Vec<u32>,
}

impl Witness {
    /// Reads a move off a solver's answer: the smallest denominator that makes it whole, then the exact check.
    pub fn read(system: &System<'_>, moves: &[(u32, f64)]) -> Option<Self> {
        let scale = denominator(moves)?;
        let whole = moves.iter().map(|&(a, by)| (a, (by * scale as f64).round() as i64)).collect();
        Self::check(system, scale, whole)
    }

    /// The same move read off a solver's answer, and what follows from it for nothing: the move back, and both as far as
    /// the atoms that go down allow, which serve rows of higher levels. The first is the move itself.
    pub fn family(system: &System<'_>, moves: &[(u32, f64)]) -> Vec<Self> {
        let Some(scale) = denominator(moves) else { return Vec::new() };
        let whole: Vec<(u32, i64)> =
            moves.iter().map(|&(a, by)| (a, (by * scale as f64).round() as i64)).filter(|m| m.1 != 0).collect();
        let Some(first) = Self::check(system, scale, whole) else { return Vec::new() };
        let kin = first.kin(system);
        std::iter::once(first).chain(kin).collect()
    }

    /// What follows from it for nothing: see [`Self::family`].
    pub fn kin(&self, system: &System<'_>) -> Vec<Self> {
        let mut kin = Vec::new();
        for sign in [1, -1] {
            // How many times over the move fits.
            let times = self.moves.iter().filter(|m| sign * m.1 < 0).map(|&(a, by)| {
                let value = (system.raw.atoms[a as usize].value as i64).saturating_mul(self.scale);
                value / by.abs()
            });
            let times = times.min().unwrap_or(1).min(FAMILY_TIMES_MAX);
            for times in [1, times] {
                if (sign, times) != (1, 1) && times > 0 && (times > 1 || kin.len() < 2) {
                    let moves = self.moves.iter().map(|&(a, by)| Some((a, by.checked_mul(sign * times)?)));
                    kin.extend(moves.collect::<Option<_>>().and_then(|moves| Self::check(system, self.scale, moves)));
                }
            }
        }
        kin
    }

    /// Checks a move against everything shown; `None` when it is no witness.
    pub fn check(system: &System<'_>, mut scale: i64, mut moves: Vec<(u32, i64)>) -> Option<Self> {
        moves.retain(|m| m.1 != 0);
        moves.sort_unstable();
        if moves.is_empty() {
            return None;
        }
        let common = moves.iter().fold(scale, |common, m| gcd(common, m.1));
        scale /= common;
        moves.iter_mut().for_each(|m| m.1 /= common);
        let mut rows: Vec<(u32, i64)> = Vec::new();
        let mut spoiled_by = Vec::new();
        for &(a, by) in &moves {
            let atom = &system.raw.atoms[a as usize];
            let left = (atom.value as i64).checked_mul(scale)?.checked_add(by)?;
            // What anybody knows of the atom: its public bounds, and nothing below zero.
            let within = |(least, greatest): (u64, Option<u64>)| {
                let above = i128::from(least) * i128::from(scale) <= i128::from(left);
                above && greatest.is_none_or(|end| i128::from(left) <= i128::from(end) * i128::from(scale))
            };
            if !within((atom.least, atom.greatest)) {
                return None;
            }
            rows.extend(system.rows_of[a as usize].iter().map(|&r| (r, by)));
            if let [only] = atom.contributions.as_slice() {
                spoiled_by.push(only.0);
            } else {
                let spoilers = atom.contributions.iter().enumerate().filter(|(i, _)| !within(atom.known_to(*i)));
                spoiled_by.extend(spoilers.map(|(_, c)| c.0));
            }
        }
        rows.sort_unstable_by_key(|r| r.0);
        rows.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        rows.retain(|r| r.1 != 0);
        if rows.iter().any(|r| system.fate[r.0 as usize].is_shown()) {
            return None;
        }
        spoiled_by.sort_unstable();
        spoiled_by.dedup();
        Some(Self { scale, moves, rows, spoiled_by })
    }

    /// Whether it meets a need against all the attackers it names.
    pub fn meets(&self, wanted: &Unmet) -> bool {
        let by = self.rows.binary_search_by_key(&wanted.need.row, |r| r.0).map_or(0, |at| self.rows[at].1);
        let by = if wanted.need.side == Side::Up { by } else { -by };
        by >= wanted.distance * self.scale && !self.is_excluded_by(&wanted.attackers)
    }

    /// Whether one of these contributors knows better.
    pub fn is_excluded_by(&self, attackers: &[u32]) -> bool {
        attackers.iter().any(|s| self.spoiled_by.binary_search(s).is_ok())
    }
}

/// The greatest common divisor, of a number and 0 the number.
pub(super) fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The smallest denominator that makes a move whole.
pub(super) fn denominator(moves: &[(u32, f64)]) -> Option<i64> {
    (1..=DENOMINATOR_MAX).find(|&d| {
        moves.iter().all(|m| {
            let scaled = m.1 * d as f64;
            (scaled - scaled.round()).abs() < (ROUNDING * d as f64).min(0.01)
        })
    })
}

/// What a row needs on one side: how far some table that fits everything shown must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct Need {
    pub row: u32,
    pub side: Side,
}

impl Need {
    /// Both sides of a row.
    pub fn both(row: u32) -> [Self; 2] {
        [Side::Up, Side::Down].map(|side| Self { row, side })
    }

    /// How far it must reach between the least and the greatest value that somebody takes for possible, whatever is shown:
    /// nobody is kept from knowing what is known beside all tables.
    pub fn between(self, system: &System<'_>, (least, greatest): (u64, Option<u64>)) -> i64 {
        let value = system.raw.rows[self.row as usize].value;
        let level = system.verdict[self.row as usize].as_ref().map_or(0, |verdict| verdict.level);
        let room = match self.side {
            Side::Up => greatest.map_or(level, |end| end - value),
            Side::Down => value - least,
        };
        i64::try_from(level.min(room)).unwrap_or(i64::MAX)
    }

    /// How far it must reach against a contributor, or against the public; 0 where nothing is asked.
    pub fn distance(self, system: &System<'_>, who: Option<u32>) -> i64 {
        let row = &system.raw.rows[self.row as usize];
        let far = self.between(system, (row.least, row.greatest));
        let Some(who) = who else { return far };
        let known = system.already_known.contains(&(self.row, self.side == Side::Up, who));
        let inside =
            || row.atoms.iter().any(|&a| system.raw.atoms[a as usize].contributions.iter().any(|c| c.0 == who));
        match far {
            0 => 0,
            _ if known => 0,
            _ if !inside() => far,
            // A row that is a contributor's own figure is nobody else's secret to keep from it; of any other it knows
            // that its own weight is in it.
            _ if !system.holds_others(self.row, who) => 0,
            _ => far.min(self.between(system, system.raw.known_to(row, who))),
        }
    }
}

/// Why a need is not met yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Unmet {
    pub need: Need,
    /// The attackers that every witness fails against, ascending; empty when even an outsider is one.
    pub attackers: Vec<u32>,
    /// The distance the move must reach.
    pub distance: i64,
}

/// Every witness found so far, and which needs they meet.
#[derive(Default, Clone)]
pub(in super::super) struct Pool {
    witnesses: Vec<Witness>,
    /// How many shown rows each witness changes; it holds while there is none.
    blocked: Vec<u32>,
    /// Witnesses that change a row; by row.
    users: HashMap<u32, Vec<u32>>,
    /// Witnesses that move a row that has needs, with the size of the move; by row.
    by_row: HashMap<u32, Vec<(u32, i64)>>,
    /// Numbers of witnesses that were dropped, to be given again.
    free: Vec<u32>,
}

impl Pool {
    pub fn add(&mut self, system: &System<'_>, witness: Witness) {
        let id = self.free.pop().unwrap_or(self.witnesses.len() as u32);
        for &(row, by) in &witness.rows {
            if system.verdict[row as usize].is_some() {
                // Towards zero: a part of a unit that is left over proves nothing more.
                self.by_row.entry(row).or_default().push((id, by / witness.scale));
            }
        }
        let blocked = witness.rows.iter().filter(|r| system.fate[r.0 as usize].is_shown()).count();
        for &(row, _) in &witness.rows {
            self.users.entry(row).or_default().push(id);
        }
        if id as usize == self.witnesses.len() {
            self.blocked.push(blocked as u32);
            self.witnesses.push(witness);
        } else {
            self.blocked[id as usize] = blocked as u32;
            self.witnesses[id as usize] = witness;
        }
    }

    /// Notes which witnesses found before move rows that have joined the system, ascending: each has needs and is never
    /// shown.
    pub fn watch(&mut self, system: &System<'_>, rows: &[u32]) {
        let Some(&first) = rows.first() else { return };
        for (id, witness) in (0_u32..).zip(&mut self.witnesses) {
            let mut moved: BTreeMap<u32, i64> = BTreeMap::new();
            for &(a, by) in &witness.moves {
                let joined = system.rows_of[a as usize].iter().rev().take_while(|row| **row >= first);
                joined.for_each(|&row| *moved.entry(row).or_default() += by);
            }
            for (row, by) in moved.into_iter().filter(|m| m.1 != 0) {
                witness.rows.push((row, by));
                self.by_row.entry(row).or_default().push((id, by / witness.scale));
                self.users.entry(row).or_default().push(id);
            }
        }
    }

    /// Takes out the witnesses that move parts of units.
    pub fn take_fractions(&mut self) -> Vec<Witness> {
        let ids = (0..self.witnesses.len() as u32).filter(|&id| self.witnesses[id as usize].scale > 1).collect();
        self.take_out(ids)
    }

    /// How many witnesses it has, where none was dropped.
    pub fn len(&self) -> usize {
        self.witnesses.len()
    }

    /// Every witness, in the order in which they came, where none was dropped.
    pub fn into_witnesses(self) -> Vec<Witness> {
        self.witnesses
    }

    /// The witnesses that move a row, by name, with how far they move it in units of the weight.
    pub fn movers(&self, row: u32) -> impl Iterator<Item = (u32, &Witness, i64)> {
        self.by_row.get(&row).into_iter().flatten().filter_map(|&(id, by)| Some((id, self.alive(id)?, by)))
    }

    /// The witness of this number, if it holds.
    pub fn alive(&self, id: u32) -> Option<&Witness> {
        (self.blocked[id as usize] == 0).then(|| &self.witnesses[id as usize])
    }

    /// The witnesses that move an unsafe row and would hold if one shown row might change, and by how much they change it.
    pub fn held_up(&self, of: u32, by: u32) -> impl Iterator<Item = (&Witness, i64)> {
        let ids = self.by_row.get(&of).into_iter().flatten().map(|m| m.0);
        ids.filter(|&id| self.blocked[id as usize] == 1).filter_map(move |id| {
            let witness = &self.witnesses[id as usize];
            let at = witness.rows.binary_search_by_key(&by, |r| r.0).ok()?;
            Some((witness, witness.rows[at].1))
        })
    }

    /// Unsafe rows that some witness moves which rests since this row, and no other, is shown; ascending.
    pub fn broken_by(&self, system: &System<'_>, row: u32) -> Vec<u32> {
        let broken = self.users.get(&row).into_iter().flatten().filter(|id| self.blocked[**id as usize] == 1);
        let moved = broken.flat_map(|&id| self.witnesses[id as usize].rows.iter().map(|r| r.0));
        let mut rows: Vec<u32> = moved.filter(|&r| system.verdict[r as usize].is_some()).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Drops the witnesses that change a row which stays shown for good.
    pub fn forget(&mut self, row: u32) {
        let dropped = self.users.remove(&row).unwrap_or_default();
        self.take_out(dropped);
    }

    fn take_out(&mut self, dropped: Vec<u32>) -> Vec<Witness> {
        let nothing = || Witness { scale: 1, moves: Vec::new(), rows: Vec::new(), spoiled_by: Vec::new() };
        let mut taken: Vec<Witness> = Vec::with_capacity(dropped.len());
        for &id in &dropped {
            self.blocked[id as usize] = FORGOTTEN;
            taken.push(std::mem::replace(&mut self.witnesses[id as usize], nothing()));
        }
        let mut rows: Vec<u32> = taken.iter().flat_map(|witness| &witness.rows).map(|r| r.0).collect();
        rows.sort_unstable();
        rows.dedup();
        for row in rows {
            if let Some(users) = self.users.get_mut(&row) {
                users.retain(|&id| self.blocked[id as usize] != FORGOTTEN);
            }
            if let Some(movers) = self.by_row.get_mut(&row) {
                movers.retain(|m| self.blocked[m.0 as usize] != FORGOTTEN);
            }
        }
        self.free.extend(dropped);
        taken
    }

    /// Counts a row as shown from now on: the witnesses that change it rest.
    pub fn shown(&mut self, row: u32) {
        for &id in self.users.get(&row).into_iter().flatten() {
            self.blocked[id as usize] += 1;
        }
    }

    /// Counts a row as withheld from now on: witnesses that change it may hold again.
    pub fn withheld(&mut self, row: u32) {
        for &id in self.users.get(&row).into_iter().flatten() {
            self.blocked[id as usize] -= 1;
        }
    }

    /// Whether some witness that holds changes a row.
    pub fn is_moved(&self, row: u32) -> bool {
        self.users.get(&row).into_iter().flatten().any(|&id| self.blocked[id as usize] == 0)
    }

    /// How many witnesses change a row.
    pub fn leaning(&self, row: u32) -> usize {
        self.users.get(&row).map_or(0, Vec::len)
    }

    /// Unsafe rows that a witness moves which rests on this row.
    pub fn leaning_on(&self, system: &System<'_>, row: u32) -> Vec<u32> {
        let witnesses = self.users.get(&row).into_iter().flatten().map(|&id| &self.witnesses[id as usize]);
        let mut rows: Vec<u32> = witnesses
            .flat_map(|w| w.rows.iter().map(|r| r.0))
            .filter(|&r| system.verdict[r as usize].is_some())
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// How far a row moves at most among the witnesses, in units of the weight.
    pub fn reach(&self, row: u32, side: Side) -> u64 {
        let moves = self.by_row.get(&row).into_iter().flatten().filter(|m| self.alive(m.0).is_some());
        let far = moves.map(|m| if side == Side::Up { m.1 } else { -m.1 }).max().unwrap_or(0);
        u64::try_from(far).unwrap_or(0)
    }

    /// What a need still lacks: a witness at all, or one for contributors who can exclude all those there are.
    pub fn unmet(&self, system: &System<'_>, need: Need) -> Option<Unmet> {
        let row = &system.raw.rows[need.row as usize];
        let far = need.between(system, (row.least, row.greatest));
        if far == 0 {
            return None;
        }
        let empty = Vec::new();
        let movers = self.by_row.get(&need.row).unwrap_or(&empty);
        let reach = |by: i64| if need.side == Side::Up { by } else { -by };
        let meeting =
            |distance: i64| movers.iter().filter(move |m| reach(m.1) >= distance).filter_map(|m| self.alive(m.0));
        let mut spoilers: Option<Vec<u32>> = None;
        for witness in meeting(far) {
            match &mut spoilers {
                None => spoilers = Some(witness.spoiled_by.clone()),
                Some(all) => all.retain(|s| witness.spoiled_by.binary_search(s).is_ok()),
            }
            if !system.insiders || spoilers.as_ref().is_some_and(Vec::is_empty) {
                return None;
            }
        }
        let Some(mut spoilers) = spoilers else {
            return Some(Unmet { need, attackers: Vec::new(), distance: far });
        };
        let inside = system.raw.contributions(row);
        let own = |s: u32| inside.binary_search_by_key(&s, |c| c.0).ok().map(|i| inside[i].1 as i64);
        // A row that is a contributor's own figure is nobody else's secret to keep from it.
        spoilers.retain(|&s| own(s).is_none() || system.holds_others(need.row, s));
        let up = need.side == Side::Up;
        spoilers.retain(|&s| !system.already_known.contains(&(need.row, up, s)));
        // A contributor inside the row cannot be kept from knowing that the row holds its own weight.
        let less =
            |s: u32| if own(s).is_none() { far } else { far.min(need.between(system, system.raw.known_to(row, s))) };
        spoilers.retain(|&s| {
            let distance = less(s);
            distance == far || (distance > 0 && !meeting(distance).any(|w| w.spoiled_by.binary_search(&s).is_err()))
        });
        match spoilers.iter().position(|&s| less(s) == far) {
            Some(_) => {
                spoilers.retain(|&s| less(s) == far);
                Some(Unmet { need, attackers: spoilers, distance: far })
            }
            None => spoilers.first().map(|&s| Unmet { need, attackers: vec![s], distance: less(s) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cuts::tests::{ready, table};
    use super::super::needs;
    use super::*;

    #[test]
    fn a_public_end_beyond_63_bits_takes_nothing_from_a_need() {
        let mut asked = 0;
        for seed in 1..9 {
            let raw = table(seed);
            let mut system = ready(&raw, false);
            system.raw.to_mut().rows.iter_mut().for_each(|row| row.greatest = Some(u64::MAX));
            for need in needs(&system).into_iter().filter(|need| need.side == Side::Up) {
                let level = system.verdict[need.row as usize].as_ref().map(|verdict| verdict.level as i64);
                assert_eq!(Some(need.distance(&system, None)), level, "{seed}");
                assert_eq!(Pool::default().unmet(&system, need).map(|unmet| unmet.distance), level, "{seed}");
                asked += 1;
            }
        }
        assert!(asked > 20, "{asked}");
    }
}
