//! The cheapest pattern: a master program chooses what to withhold, attackers say why it is not enough, and again.
//!
//! What is withheld only helps, so a need that holds with the unsafe rows alone holds for good, and few are left. Each of
//! those gives *cuts* (see [`super::attack`]). The master, first relaxed to shares and then in whole rows, is a small
//! covering problem over the cuts; its bound is a bound on what any pattern costs. Each answer of the master is made
//! safe by the cheapest moves that meet what it leaves unmet, and the cheapest safe pattern is kept.

use super::super::lp::{self, Column, Constraint, Method, Program};
use super::attack::{Answer, Attack, Cut};
use super::kelly::Kelly;
use super::system::{Fate, System};
use super::witness::{Need, Pool, Unmet, Witness};
use super::{Hopeless, needs, rectangles};
use std::collections::HashSet;

/// Rounds of the relaxed master, and of the whole one.
const RELAXED_ROUNDS_MAX: usize = 6;
const WHOLE_ROUNDS_MAX: usize = 6;

/// The search ends when the pattern costs no more than this above the bound, as a share.
const GAP: f64 = 0.0075;

/// Nodes of one search of the master.
const NODES_MAX: i32 = 3_000;

/// What the search has found.
pub(super) struct Found {
    /// No safe pattern costs less.
    pub bound: f64,
    /// What this one costs.
    pub cost: f64,
}

struct Search<'s, 'a> {
    system: &'s mut System<'a>,
    pool: &'s mut Pool,
    attack: Attack,
    kelly: Option<Kelly>,
    /// Every cut found; each holds for every safe pattern.
    cuts: Vec<Cut>,
    known: HashSet<Vec<(u32, u64)>>,
}

/// Withholds rows until every need is met, as cheaply as the effort allows.
pub(super) fn optimise(system: &mut System<'_>, pool: &mut Pool) -> Result<Found, Hopeless> {
    let mut attack = Attack::new(system);
    for r in 0..system.raw.rows.len() as u32 {
        if !system.fate[r as usize].is_shown() {
            attack.set(r, 1.0);
        }
    }
    let mut search = Search { system, pool, attack, kelly: None, cuts: Vec::new(), known: HashSet::new() };
    let t = std::time::Instant::now();
    let hard = search.hard();
    eprintln!(
        "hard {} outsider {} cuts {} steps {:?} {:?}",
        hard.len(),
        hard.iter().filter(|h| h.attackers.is_empty()).count(),
        search.cuts.len(),
        search.attack.steps(),
        t.elapsed()
    );
    if hard.is_empty() {
        return Ok(Found { bound: 0.0, cost: 0.0 });
    }
    let relaxed = search.relax(&hard);
    eprintln!("relaxed {relaxed:.1} cuts {} steps {:?} {:?}", search.cuts.len(), search.attack.steps(), t.elapsed());
    let mut of: Vec<Need> = hard.iter().map(|u| u.need).collect();
    of.dedup();
    search.whole(&of, relaxed)
}

impl Search<'_, '_> {
    /// What primary rows alone leave unmet, one attacker at a time, with first cuts.
    fn hard(&mut self) -> Vec<Unmet> {
        let mut hard = Vec::new();
        for need in needs(self.system) {
            hard.extend(self.serve(need));
        }
        hard
    }

    /// Adds witnesses until a need is met, and gives what stays unmet.
    fn serve(&mut self, need: Need) -> Vec<Unmet> {
        let mut stuck: Vec<Unmet> = Vec::new();
        let mut avoided = false;
        loop {
            let Some(unmet) = self.pool.unmet(self.system, need) else { return stuck };
            if unmet.attackers.is_empty() {
                if stuck.iter().any(|s| s.attackers.is_empty()) || !self.meet(&unmet) {
                    return vec![unmet];
                }
                continue;
            }
            let given_up = |s: &u32| stuck.iter().any(|u| u.attackers == [*s]);
            let mut left: Vec<u32> = unmet.attackers.iter().copied().filter(|s| !given_up(s)).collect();
            if left.is_empty() {
                return stuck;
            }
            if left.len() > 1 && !avoided {
                avoided = true;
                let answer = self.attack.avoiding(self.system, &Unmet { attackers: left, ..unmet });
                if let Answer::Far(moves) = answer {
                    let family = Witness::family(self.system, &moves);
                    family.into_iter().for_each(|witness| self.pool.add(self.system, witness));
                }
                continue;
            }
            let one = Unmet { attackers: left[..1].to_vec(), ..unmet };
            if !self.meet(&one) {
                stuck.push(one);
            }
        }
    }

    /// Looks for a move; keeps it, or the cuts that say why there is none.
    fn meet(&mut self, wanted: &Unmet) -> bool {
        match self.attack.solve(self.system, wanted, true) {
            Answer::Far(moves) => {
                let family = Witness::family(self.system, &moves);
                let meets = family.first().is_some_and(|witness| witness.meets(wanted));
                if meets {
                    family.into_iter().for_each(|witness| self.pool.add(self.system, witness));
                }
                meets
            }
            Answer::Near(cuts) => {
                if wanted.attackers.len() <= 1 {
                    cuts.into_iter().for_each(|cut| self.keep(cut));
                }
                false
            }
            Answer::Unknown => false,
        }
    }

    fn keep(&mut self, cut: Cut) {
        if self.known.insert(cut.iter().map(|c| (c.0, c.1.to_bits())).collect()) {
            self.cuts.push(cut);
        }
    }

    /// Rounds of the relaxed master; gives its bound.
    fn relax(&mut self, hard: &[Unmet]) -> f64 {
        let rows = self.system.raw.rows.len();
        let open: Vec<bool> = self.system.fate.iter().map(|f| *f == Fate::Open).collect();
        let columns: Vec<Column> = (0..rows)
            .map(|r| Column::new(self.system.price[r], 0.0, if open[r] { 1.0 } else { 0.0 }))
            .map(|c| if c.greatest == 0.0 { Column::new(0.0, 0.0, 0.0) } else { c })
            .collect();
        let mut master = Program::minimise(&columns, &[], Method::Dual);
        let mut given = 0;
        let mut hot = vec![true; hard.len()];
        let mut bound = 0.0;
        for round in 0..RELAXED_ROUNDS_MAX {
            for cut in &self.cuts[given..] {
                master.add_row(&constraint(cut));
            }
            given = self.cuts.len();
            let Some(optimum) = master.solve().optimum() else { break };
            bound = optimum.cost;
            for r in (0..rows).filter(|&r| open[r]) {
                self.attack.set(r as u32, optimum.columns[r].clamp(0.0, 1.0));
            }
            // Those that were near in the round before come first; all are asked before the rounds end.
            for all in [false, true] {
                for (unmet, hot) in hard.iter().zip(&mut hot).filter(|(_, hot)| **hot != all) {
                    *hot = false;
                    if let Answer::Near(cuts) = self.attack.solve(self.system, unmet, false) {
                        for cut in cuts {
                            let holds: f64 = cut.iter().map(|&(r, w)| w * optimum.columns[r as usize]).sum();
                            if holds < 1.0 - 1e-6 {
                                *hot = true;
                                self.keep(cut);
                            }
                        }
                    }
                }
                if self.cuts.len() > given {
                    break;
                }
            }
            eprintln!("  relaxed {round}: {bound:.1} new {}", self.cuts.len() - given);
            if self.cuts.len() == given {
                break;
            }
        }
        for r in (0..rows).filter(|&r| open[r]) {
            self.attack.set(r as u32, 0.0);
        }
        bound
    }

    fn set(&mut self, row: u32, fate: Fate) {
        if self.system.fate[row as usize] == fate {
            return;
        }
        self.system.fate[row as usize] = fate;
        match fate {
            Fate::Open => self.pool.shown(row),
            _ => self.pool.withheld(row),
        }
        self.attack.set(row, if fate == Fate::Open { 0.0 } else { 1.0 });
        if let Some(kelly) = &mut self.kelly {
            kelly.set_price(row, if fate == Fate::Open { self.system.price[row as usize] } else { 0.0 });
        }
    }

    fn pattern(&self) -> Vec<u32> {
        let secondary = |r: &u32| self.system.fate[*r as usize] == Fate::Secondary;
        (0..self.system.raw.rows.len() as u32).filter(secondary).collect()
    }

    fn cost(&self) -> f64 {
        self.pattern().iter().map(|&r| self.system.price[r as usize]).sum()
    }

    fn take(&mut self, pattern: &[u32]) {
        for r in self.pattern() {
            if pattern.binary_search(&r).is_err() {
                self.set(r, Fate::Open);
            }
        }
        pattern.iter().for_each(|&r| self.set(r, Fate::Secondary));
    }

    /// Rounds of the master in whole rows.
    fn whole(&mut self, hard: &[Need], relaxed: f64) -> Result<Found, Hopeless> {
        let mut bound = relaxed;
        let mut best: Option<(f64, Vec<u32>)> = None;
        for round in 0..WHOLE_ROUNDS_MAX {
            let t = std::time::Instant::now();
            let mut rows: Vec<u32> = self.cuts.iter().flatten().map(|c| c.0).collect();
            rows.sort_unstable();
            rows.dedup();
            let costs: Vec<f64> = rows.iter().map(|&r| self.system.price[r as usize]).collect();
            let place = |r: u32| rows.binary_search(&r).expect("from the cuts") as u32;
            let constraints: Vec<Constraint> = self
                .cuts
                .iter()
                .map(|cut| constraint(&cut.iter().map(|&(r, w)| (place(r), w)).collect::<Vec<_>>()))
                .collect();
            let Some(choice) = lp::choose(&costs, &constraints, GAP / 2.0, NODES_MAX) else {
                eprintln!("no choice");
                break;
            };
            bound = f64::max(bound, choice.bound);
            let chosen: Vec<u32> = rows.iter().zip(&choice.taken).filter(|c| *c.1).map(|c| *c.0).collect();
            let tm = t.elapsed();
            eprintln!("   master {tm:?} rows {} cuts {}", rows.len(), self.cuts.len());
            self.take(&chosen);
            let of_master = self.cost();
            let before = self.cuts.len();
            rectangles::rectangles(self.system, self.pool);
            let stuck: Vec<Unmet> = hard.iter().flat_map(|&need| self.serve(need)).collect();
            let new = self.cuts.len() - before;
            let ts = t.elapsed();
            eprintln!("   serve {ts:?} stuck {} pool {}", stuck.len(), self.pool.len());
            self.repair(hard, &stuck)?;
            let tr = t.elapsed();
            eprintln!(
                "   repair {tr:?} pool {} kelly steps {:?}",
                self.pool.len(),
                self.kelly.as_ref().map(|k| k.steps())
            );
            self.release(hard);
            let cost = self.cost();
            eprintln!(
                "  whole {round}: bound {bound:.1} master {of_master:.1} stuck {} new {new} safe {cost:.1} cells {} steps {:?} master {tm:?} serve {ts:?} repair {tr:?} release {:?}",
                stuck.len(),
                self.pattern().len(),
                self.attack.steps(),
                t.elapsed()
            );
            if best.as_ref().is_none_or(|b| cost < b.0) {
                best = Some((cost, self.pattern()));
            }
            let close = best.as_ref().is_some_and(|b| b.0 <= bound * (1.0 + GAP));
            if close || stuck.is_empty() || new == 0 {
                break;
            }
        }
        let (cost, pattern) = match best {
            Some(best) => best,
            None => {
                self.repair(hard, &[])?;
                (self.cost(), self.pattern())
            }
        };
        self.take(&pattern);
        for &need in hard {
            if let Some(unmet) = self.serve(need).pop() {
                return Err(Hopeless { row: unmet.need.row });
            }
        }
        Ok(Found { bound, cost })
    }

    /// Withholds what the cheapest moves touch that meet what is unmet.
    fn repair(&mut self, hard: &[Need], stuck: &[Unmet]) -> Result<(), Hopeless> {
        let _ = stuck;
        for _ in 0..50 {
            let mut clean = true;
            for &need in hard {
                for wanted in self.serve(need) {
                    clean = false;
                    self.widen(&wanted)?;
                }
            }
            if clean {
                return Ok(());
            }
        }
        Err(Hopeless { row: hard[0].row })
    }

    fn widen(&mut self, wanted: &Unmet) -> Result<(), Hopeless> {
        let system = &*self.system;
        let kelly = self.kelly.get_or_insert_with(|| Kelly::new(system));
        let hopeless = Hopeless { row: wanted.need.row };
        let moves = kelly.solve(self.system, wanted).ok_or_else(|| hopeless.clone())?;
        let mut touched: std::collections::BTreeMap<u32, f64> = std::collections::BTreeMap::new();
        for &(a, by) in &moves {
            for &r in &self.system.rows_of[a as usize] {
                *touched.entry(r).or_default() += by;
            }
        }
        for (r, by) in touched {
            if by.abs() > 1e-6 {
                match self.system.fate[r as usize] {
                    Fate::Open => self.set(r, Fate::Secondary),
                    Fate::Locked => return Err(hopeless),
                    Fate::Primary | Fate::Secondary => {}
                }
            }
        }
        let witness = Witness::read(self.system, &moves).ok_or(hopeless)?;
        self.pool.add(self.system, witness);
        Ok(())
    }

    /// Shows again, dearest first, what no need asks for.
    fn release(&mut self, hard: &[Need]) {
        let mut pattern = self.pattern();
        pattern
            .sort_by(|&r, &s| self.system.price[s as usize].total_cmp(&self.system.price[r as usize]).then(r.cmp(&s)));
        for row in pattern {
            let taken = |r: u32| r != row && self.system.fate[r as usize] == Fate::Secondary;
            let holds = |cut: &Cut| cut.iter().filter(|c| taken(c.0)).map(|c| c.1).sum::<f64>() >= 1.0 - 1e-9;
            if !self.cuts.iter().filter(|cut| cut.iter().any(|c| c.0 == row)).all(holds) {
                continue;
            }
            let shaken = self.pool.leaning_on(self.system, row);
            self.set(row, Fate::Open);
            let all = hard.iter().filter(|need| shaken.binary_search(&need.row).is_ok());
            if all.copied().any(|need| !self.serve(need).is_empty()) {
                self.set(row, Fate::Secondary);
            }
        }
    }
}

fn constraint(cut: &[(u32, f64)]) -> Constraint {
    (1.0, f64::INFINITY, cut.to_vec())
}
