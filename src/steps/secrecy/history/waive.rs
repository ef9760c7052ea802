//! What earlier releases tell by themselves: no pattern can take it back, so it is found out, named, and asked of none.
//!
//! For a row and a contributor it is settled by programs: with every row withheld that no earlier release shows, how far
//! can the row be from the truth, for someone who knows its own figures? Short of the distance the rules ask for, the
//! contributor knows already, and the need is waived, for that contributor and that side alone. Against outsiders nothing
//! is ever waived.

use super::super::lp::{Column, Method, Outcome, Program};
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
        let program = Program::minimise(&columns, &rows, Method::Primal);
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
            Outcome::Optimal(found) => {
                let moved = found.columns;
                Some((atoms.iter().map(|&a| moved[a as usize]).sum::<f64>().abs(), moved))
            }
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

    /// Whether a row holds anything that is not this contributor's own, be it a zero.
    fn holds_others(&self, row: u32, who: u32) -> bool {
        let atoms = self.raw.rows[row as usize].atoms.iter();
        atoms.flat_map(|&a| &self.raw.atoms[a as usize].contributions).any(|c| c.0 != who)
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

#[cfg(test)]
mod tests {
    use super::super::super::microdata::{Column as Codes, Microdata};
    use super::super::super::policy::Spec;
    use super::super::super::primary::judge_rows;
    use super::super::super::tabulate::tabulate;
    use super::*;

    const TEXT: &str = "contributor='c'\nweight='w'\nrules={ min_contributors = 3 }\n[dimensions.a]\nlevels=['a']\n\
                        [dimensions.b]\nlevels=['b']\n[[tables]]\nname='t'\ndimensions=['a','b']";

    /// Six records in a table of two by three.
    fn case(seed: u64) -> (RawTables, Spec, Vec<bool>) {
        let mut state = seed;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut draw = |codes: [&'static str; 3], n: u64| (0..6).map(|_| codes[next(n) as usize]).collect::<Vec<_>>();
        let (a, b) = (draw(["p", "q", ""], 2), draw(["x", "y", "z"], 3));
        let who = draw(["f", "g", "h"], 3);
        let weight = draw(["1", "2", "4"], 3).iter().map(|w| w.parse().unwrap()).collect();
        let column = |name: &str, codes: &[&str]| Codes::of(name, &codes.iter().map(|c| Some(*c)).collect::<Vec<_>>());
        let ids = (0..6).map(|i| i.to_string()).collect();
        let micro = Microdata::new(ids, &who, weight, vec![column("a", &a), column("b", &b)]);
        let spec = Spec::parse(TEXT).unwrap();
        let raw = tabulate(&micro, &spec).unwrap();
        let locked = (0..raw.rows.len()).map(|_| next(2) == 0).collect();
        (raw, spec, locked)
    }

    /// The farthest value of a row among all tables of whole numbers that fit the locked rows and what `who` knows.
    fn farthest(raw: &RawTables, locked: &[bool], row: u32, up: bool, who: Option<u32>) -> u64 {
        let most = raw.atoms.iter().map(|a| a.value).sum::<u64>() + 2;
        let ends: Vec<(u64, u64)> = raw
            .atoms
            .iter()
            .map(|atom| match who.and_then(|who| atom.contributions.iter().find(|c| c.0 == who)) {
                Some(own) if atom.contributions.len() == 1 => (own.1, own.1),
                Some(own) => (own.1, most),
                None => (0, most),
            })
            .collect();
        fn search(
            raw: &RawTables,
            locked: &[bool],
            ends: &[(u64, u64)],
            values: &mut Vec<u64>,
            see: &mut dyn FnMut(&[u64]),
        ) {
            let at = values.len();
            for (r, row) in raw.rows.iter().enumerate().filter(|(r, _)| locked[*r]) {
                let sum: u64 = row.atoms.iter().filter_map(|&a| values.get(a as usize)).sum();
                let whole = row.atoms.iter().all(|&a| (a as usize) < at);
                if sum > raw.rows[r].value || (whole && sum != raw.rows[r].value) {
                    return;
                }
            }
            if at == ends.len() {
                return see(values);
            }
            for value in ends[at].0..=ends[at].1 {
                values.push(value);
                search(raw, locked, ends, values, see);
                values.pop();
            }
        }
        let of = &raw.rows[row as usize];
        let mut far = 0;
        search(raw, locked, &ends, &mut Vec::new(), &mut |values| {
            let sum: u64 = of.atoms.iter().map(|&a| values[a as usize]).sum();
            far = far.max(if up { sum.saturating_sub(of.value) } else { of.value.saturating_sub(sum) });
        });
        far
    }

    #[test]
    fn what_is_said_to_be_known_is_known_by_exhaustive_search() {
        let (mut insiders, mut all, mut unknown) = (0, 0, 0);
        for seed in 0..60 {
            let (raw, spec, locked) = case(seed);
            if raw.atoms.len() > 4 || raw.atoms.iter().map(|a| a.value).sum::<u64>() > 14 {
                continue;
            }
            let verdicts = judge_rows(&raw, &spec.rules, &spec.protection);
            let asked: Vec<u32> = (0..raw.rows.len() as u32).filter(|&r| !locked[r as usize]).collect();
            let told = Relaxed::new(&raw, &verdicts, &spec.protection, &locked).told(&asked);
            for &row in &asked {
                let Some(verdict) = &verdicts[row as usize] else { continue };
                let value = raw.rows[row as usize].value;
                for up in [true, false] {
                    let need = if up { verdict.level } else { verdict.level.min(value) };
                    let known = farthest(&raw, &locked, row, up, None) < need;
                    assert!(!known || told.all.contains(&row), "seed {seed}, row {row}");
                    all += usize::from(known);
                    for who in 0..raw.n_contributors as u32 {
                        let own: u64 =
                            raw.contributions(&raw.rows[row as usize]).iter().filter(|c| c.0 == who).map(|c| c.1).sum();
                        let need = if up { need } else { need.min(value - own) };
                        let known = farthest(&raw, &locked, row, up, Some(who)) < need;
                        let said = told.insiders.contains(&(row, up, who));
                        assert!(!said || known, "seed {seed}: row {row} is not known to {who}");
                        insiders += usize::from(said);
                        unknown += usize::from(!known);
                    }
                }
            }
        }
        assert!(insiders > 5 && all > 5 && unknown > 50, "{insiders} {all} {unknown}");
    }
}
