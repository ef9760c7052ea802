//! Advice for a system too large for the whole search: a few rounds of its masters, and their answer made safe by the
//! cheapest moves. The bound holds whatever becomes of the pattern.

use super::super::circuits;
use super::super::remainders::Guard;
use super::super::system::System;
use super::super::witness::{Need, Pool, Unmet};
use super::super::{needs, rectangles};
use super::{Effort, NEARLY, Search, movers};

/// Steps of the search of a large system, times the square of its rows: both the steps of a program and what each takes
/// grow with them. The moves that make its answer safe may take as many again.
const STEPS_TIMES_ROWS_SQUARED: u64 = 2_800_000_000_000;

/// Rounds of the whole master of a large system go on until so much of the steps is used.
const WHOLE_SHARE: u64 = 5;

/// Steps that one cheapest move takes, or more: where there are not so many for each unmet need, none is begun.
const REPAIR_STEPS: u64 = 500;

/// What the relaxed master says of a system that is too large for a search.
pub(in super::super) struct Advice {
    /// No safe pattern costs less.
    pub bound: f64,
    /// Rows that the master withholds, and some that make its answer safer; ascending.
    pub chosen: Vec<u32>,
    /// Whether these are withheld now, and safe; else nothing is withheld but unsafe rows.
    pub is_safe: bool,
}

/// Whether advice is worth its time, by measure. Where contributors attack too, and in linked tables, there are so many
/// needs that it takes longer than all the rest and withholds hardly less.
pub(in super::super) fn pays(system: &System<'_>) -> bool {
    !system.insiders && movers(system) == system.raw.rows.len()
}

/// Rounds of the relaxed master and of the whole one; the last answer is made safe by the cheapest moves, where the steps
/// allow, and what no need asks for is shown again.
pub(in super::super) fn advise(system: &mut System<'_>, pool: &mut Pool, guard: Option<Guard<'_>>) -> Advice {
    let effort = Effort::large(system);
    let mut search = Search::new(system, pool, effort).guarding(guard);
    let all = needs(search.system);
    search.ask_circuits(&all, effort.met);
    let hard: Vec<Unmet> = all.into_iter().flat_map(|need| search.left(need)).collect();
    let mut bound = search.relax(&hard);
    let mut of: Vec<Need> = hard.iter().map(|u| u.need).collect();
    of.dedup();
    let end = search.steps() + search.effort.steps / WHOLE_SHARE;
    while let Some((chosen, proved)) = search.master() {
        bound = bound.max(proved);
        search.take(&chosen);
        let before = search.cuts.len();
        rectangles::rectangles(search.system, search.pool);
        search.ask_circuits(&of, effort.met);
        let unmet: Vec<Unmet> = of.iter().flat_map(|&need| search.left(need).into_iter().take(1)).collect();
        search.keep_rests();
        if unmet.len() <= NEARLY || search.steps() > end {
            break;
        }
        let asked: Vec<&Unmet> = unmet.iter().collect();
        for (_, cuts) in search.attack.cuts_of_all(search.system, &asked, u64::MAX) {
            cuts.into_iter().for_each(|cut| search.keep(cut));
        }
        if search.cuts.len() == before {
            break;
        }
    }
    let unmet = of.iter().filter(|&&need| !search.left(need).is_empty()).count() as u64;
    let for_repair = search.effort.steps;
    let repaired = unmet * REPAIR_STEPS <= for_repair && search.repair_within(&of, search.steps() + for_repair);
    let is_safe = repaired && needs(search.system).iter().all(|&need| search.left(need).is_empty());
    if is_safe {
        search.release();
    }
    let chosen = search.pattern();
    if !is_safe {
        search.take(&[]);
    }
    Advice { bound, chosen, is_safe }
}

impl Effort {
    /// The masters of a large system, whose programs take long.
    fn large(system: &System<'_>) -> Self {
        let rows = (system.raw.rows.len() as u64).max(1);
        let steps = STEPS_TIMES_ROWS_SQUARED / (rows * rows);
        Self { gap: 0.03, steps, each: false, relaxed: 30, whole: 0, nodes: 100, met: steps / 10 }
    }
}

impl Search<'_, '_> {
    /// What circuits left unmet of a need: against the public, or one contributor at a time.
    fn left(&self, need: Need) -> Vec<Unmet> {
        let Some(unmet) = self.pool.unmet(self.system, need) else { return Vec::new() };
        if unmet.attackers.is_empty() {
            return vec![unmet];
        }
        unmet.attackers.iter().map(|&s| Unmet { attackers: vec![s], ..unmet.clone() }).collect()
    }

    /// Withholds what the cheapest moves touch that meet what is unmet, the farthest first; whether that ended within so
    /// many steps.
    fn repair_within(&mut self, hard: &[Need], steps: u64) -> bool {
        let mut hard = hard.to_vec();
        hard.sort_by_cached_key(|need| (std::cmp::Reverse(need.distance(self.system, None)), *need));
        let mut last = 0;
        loop {
            let mut stuck = 0;
            for &need in &hard {
                for _ in 0..circuits::TURNS_MAX {
                    let Some(wanted) = self.pool.unmet(self.system, need) else { break };
                    if self.steps() > steps {
                        return false;
                    }
                    let one = Unmet { attackers: wanted.attackers.iter().take(1).copied().collect(), ..wanted };
                    // What the others took to withhold may serve it.
                    let steps = &mut self.steps_met;
                    let nearby = self.circuits.as_mut().and_then(|c| c.nearby(self.system, self.pool, &one, steps));
                    if let Some(witness) = nearby {
                        self.pool.add(self.system, witness);
                        continue;
                    }
                    // Another distance has another answer, where one cannot be read.
                    let mut farther = [0, 1, 2, one.distance].into_iter();
                    if !farther.any(|more| self.widen(&Unmet { distance: one.distance + more, ..one.clone() }).is_ok())
                    {
                        stuck += 1;
                        break;
                    }
                }
            }
            if hard.iter().all(|&need| self.pool.unmet(self.system, need).is_none()) {
                return true;
            }
            // What the others took to withhold may have helped.
            if stuck == last {
                return false;
            }
            last = stuck;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::witness::Pool;
    use super::super::tests::{cheapest_of_all, is_safe, ready, table};
    use super::*;

    #[test]
    fn advice_has_a_bound_that_holds_and_is_safe_where_it_says_so() {
        let (mut safe, mut bounds) = (0, 0);
        for seed in 1..30 {
            for insiders in [false, true] {
                let raw = table(seed);
                let (mut system, mut pool) = (ready(&raw, insiders), Pool::default());
                let open = system.raw.rows.len() - needs(&system).len() / 2;
                let advice = advise(&mut system, &mut pool, None);
                if advice.is_safe {
                    safe += 1;
                    assert!(is_safe(&system), "{seed} {insiders}");
                }
                if open > 10 {
                    continue; // the choices to try double with each
                }
                let Some(least) = cheapest_of_all(&raw, insiders) else { continue };
                bounds += usize::from(advice.bound > 0.0);
                assert!(advice.bound <= least + 1e-6, "{seed} {insiders}: {}, cheapest {least}", advice.bound);
                assert!(system.cost() >= least - 1e-6 || !advice.is_safe, "{seed} {insiders}: cheapest {least}");
            }
        }
        assert!(safe > 30 && bounds > 10, "{safe} safe, {bounds} bounds");
    }
}
