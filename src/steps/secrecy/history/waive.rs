//! What earlier releases tell by themselves: no pattern can take it back, so it is found out, named, and asked of none.
//!
//! For a row and a contributor it is settled by programs: with every row withheld that no earlier release shows, how far
//! can the row be from the truth, for someone who knows its own figures? Short of the distance the rules ask for, the
//! contributor knows already, and the need is waived, for that contributor and that side alone. Against outsiders nothing
//! is ever waived.

use super::super::lp::{Column, Outcome, Program};
use super::super::policy::{Protection, Zeros};
use super::super::primary::Unsafe;
use super::super::protect::Known;
use super::super::tabulate::{Atom, RawTables};

/// How far a solver's optimum may lie from the truth, relative to one unit of the weight.
const TOLERANCE: f64 = 1e-6;

/// What earlier releases tell of the rows looked at.
#[derive(Default)]
pub(super) struct Told {
    /// What single contributors know.
    pub insiders: Known,
    /// Rows that anybody knows too closely.
    pub all: Vec<u32>,
}

/// An attacker of the relaxed system: rows that earlier releases show, and nothing else.
pub(super) struct Relaxed<'a> {
    raw: &'a RawTables,
    verdicts: &'a [Option<Unsafe>],
    program: Program,
    /// Least and greatest move of each atom, for an outsider.
    room: Vec<(f64, f64)>,
    insiders: bool,
}

impl<'a> Relaxed<'a> {
    pub fn new(raw: &'a RawTables, verdicts: &'a [Option<Unsafe>], protection: &Protection, locked: &[bool]) -> Self {
        // More than anything could move by: an upper end that no public bound gives.
        let far = raw.atoms.iter().map(|a| a.value).sum::<u64>() as f64
            + 2.0 * verdicts.iter().flatten().map(|v| v.level).max().unwrap_or(0) as f64
            + 2.0;
        let room: Vec<(f64, f64)> =
            raw.atoms.iter().map(|atom| moves(atom, (atom.least, atom.greatest), far)).collect();
        let columns: Vec<Column> = room.iter().map(|&(least, greatest)| Column::new(0.0, least, greatest)).collect();
        let shown = |r: &usize| {
            let zero = raw.rows[*r].value == 0 && verdicts[*r].is_none() && protection.zeros == Zeros::Known;
            locked.get(*r) == Some(&true) || zero
        };
        let rows: Vec<_> = (0..raw.rows.len())
            .filter(shown)
            .map(|r| (0.0, 0.0, raw.rows[r].atoms.iter().map(|&a| (a, 1.0)).collect()))
            .collect();
        let program = Program::minimise(&columns, &rows);
        Self { raw, verdicts, program, room, insiders: protection.insiders }
    }

    /// What earlier releases tell of these rows.
    pub fn told(&mut self, rows: &[u32]) -> Told {
        let mut told = Told::default();
        for &row in rows {
            let Some(level) = self.verdicts[row as usize].as_ref().map(|v| v.level) else { continue };
            for up in [true, false] {
                let of = &self.raw.rows[row as usize];
                let need = |(least, greatest): (u64, Option<u64>)| match up {
                    true => greatest.map_or(level, |end| level.min(end - of.value)),
                    false => level.min(of.value - least),
                };
                let anybody = need((of.least, of.greatest));
                if anybody == 0 {
                    continue;
                }
                let Some((reach, moved)) = self.reach(row, up) else { continue };
                if short(reach, anybody) {
                    told.all.push(row);
                    continue;
                }
                if !self.insiders {
                    continue;
                }
                for who in self.suspects(&moved) {
                    let own = need(self.raw.known_to(of, who));
                    if own == 0 || !self.holds_others(row, who) {
                        continue;
                    }
                    self.know(who, true);
                    let reach = self.reach(row, up);
                    self.know(who, false);
                    if reach.is_some_and(|(reach, _)| short(reach, own)) {
                        told.insiders.insert((row, up, who));
                    }
                }
            }
        }
        told.all.sort_unstable();
        told.all.dedup();
        told
    }

    /// The greatest distance of a row, and the moves that reach it; `None` without a verdict.
    fn reach(&mut self, row: u32, up: bool) -> Option<(f64, Vec<f64>)> {
        let atoms = &self.raw.rows[row as usize].atoms;
        for &a in atoms {
            self.program.set_cost(a, if up { -1.0 } else { 1.0 });
        }
        let outcome = self.program.solve();
        for &a in atoms {
            self.program.set_cost(a, 0.0);
        }
        match outcome {
            Outcome::Optimal(moved) => Some((atoms.iter().map(|&a| moved[a as usize]).sum::<f64>().abs(), moved)),
            Outcome::Infeasible | Outcome::NoVerdict => None,
        }
    }

    /// Contributors who could exclude these moves, in order.
    fn suspects(&self, moved: &[f64]) -> Vec<u32> {
        let mut suspects = Vec::new();
        for (atom, by) in self.raw.atoms.iter().zip(moved).filter(|(_, by)| by.abs() > TOLERANCE) {
            let excludes = |place: &usize| {
                let (least, greatest) = moves(atom, atom.known_to(*place), f64::INFINITY);
                atom.contributions.len() == 1 || *by < least - TOLERANCE || *by > greatest + TOLERANCE
            };
            suspects.extend((0..atom.contributions.len()).filter(excludes).map(|place| atom.contributions[place].0));
        }
        suspects.sort_unstable();
        suspects.dedup();
        suspects
    }

    /// Whether a row holds anything that is not this contributor's own.
    fn holds_others(&self, row: u32, who: u32) -> bool {
        let atoms = self.raw.rows[row as usize].atoms.iter();
        atoms.flat_map(|&a| &self.raw.atoms[a as usize].contributions).any(|c| c.0 != who && c.1 > 0)
    }

    /// Adds what a contributor knows of its own, or takes it back.
    fn know(&mut self, who: u32, knows: bool) {
        for (a, atom) in self.raw.atoms.iter().enumerate() {
            let Ok(place) = atom.contributions.binary_search_by_key(&who, |c| c.0) else { continue };
            let room = self.room[a];
            let (least, greatest) = match knows {
                true => moves(atom, atom.known_to(place), room.1),
                false => room,
            };
            let lone = knows && atom.contributions.len() == 1;
            let (least, greatest) = if lone { (0.0, 0.0) } else { (least, greatest.min(room.1)) };
            self.program.set_bounds(a as u32, least, greatest);
        }
    }
}

/// The least and the greatest move of an atom within these ends.
fn moves(atom: &Atom, (least, greatest): (u64, Option<u64>), far: f64) -> (f64, f64) {
    let down = (atom.value - least) as f64;
    (-down, greatest.map_or(far, |end| (end - atom.value) as f64))
}

fn short(reach: f64, asked: u64) -> bool {
    reach < asked as f64 - TOLERANCE * asked.max(1) as f64
}
