//! The cheapest pattern: a master program chooses what to withhold, attackers say why it is not enough, and again.
//!
//! What is withheld only helps, so a need that holds with the unsafe rows alone holds for good, and few are left. Each
//! of those gives *cuts* (see [`super::attack`]), and so do sums that subtraction would give (see
//! [`super::remainders`]). The master, first relaxed to shares and then in whole rows, is a small covering problem over
//! the cuts; its bound is a bound on what any pattern costs. Each answer of the master is made safe by the cheapest
//! moves that meet what it leaves unmet, and the cheapest safe pattern is kept.

pub(super) mod large;

use super::super::lp::{self, Column, Constraint, Method, Program};
use super::attack::{Answer, Attack, Cut};
use super::circuits::{self, Broken, Circuits};
use super::kelly::{self, Kelly};
use super::remainders::Guard;
use super::system::{Fate, System};
use super::witness::{Need, Pool, Unmet, Witness};
use super::{Hopeless, balance, needs, rectangles};
use std::collections::{HashMap, HashSet};

/// Needs still unmet, times rows and bare atoms, in a search: the first counts the programs, the second what each takes.
const WORK_MAX: usize = 4_000_000;

/// Needs that may stay unmet in a master's answer for it to be worth making safe.
const NEARLY: usize = 12;

/// Below this a share of the relaxed master is nothing but rounding.
const SHARE_LEAST: f64 = 1e-6;

/// Steps of an attacker's program that take as long as one of a whole master, about.
const MASTERED: u64 = 2;

/// Rows, and atoms that are no row, above which a single program over all of them takes too long, however few needs there
/// are.
const MOVERS_MAX: usize = 6_000;

/// Steps of all programs together after which a repair is given up, and with it the search: where public brackets tell each
/// contributor much of the others, most needs take a program for each of many. The tables we know take half of it at most.
const REPAIR_STEPS: u64 = 800_000;

/// Rounds of repair at most; each withholds more or ends, so this only bounds a mistake of ours.
const REPAIRS_MAX: usize = 50;

/// How hard a search tries. Limits are steps and rounds, never seconds: the answer is the same on every machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// The search ends when the pattern costs no more than this above the bound, as a share.
    gap: f64,
    /// Steps of the simplex method after which no further round starts.
    steps: u64,
    /// Whether each need is asked in the rounds of the relaxed master, or those alone that are unmet with everything
    /// withheld of which its first answer takes a share; of these, one that was met once is not asked again.
    each: bool,
    /// Rounds of the relaxed master, and of the whole one.
    relaxed: usize,
    whole: usize,
    /// Nodes of one search of a component of the master.
    nodes: i32,
    /// Steps of programs over circuits.
    met: u64,
}

impl Effort {
    /// Masters and cuts.
    pub(super) const FULL: Self =
        Self { gap: 0.0075, steps: 200_000, each: true, relaxed: 30, whole: 30, nodes: 200, met: circuits::STEPS_MAX };

    /// What a system allows; `None` when single programs over all of it already take too long.
    pub fn of(system: &System<'_>, pool: &Pool) -> Option<Self> {
        let unmet = needs(system).into_iter().filter(|&need| pool.unmet(system, need).is_some()).count();
        let movers = movers(system);
        (movers <= MOVERS_MAX && movers * unmet <= WORK_MAX).then_some(Self::FULL)
    }
}

/// Rows, and atoms that are no row.
fn movers(system: &System<'_>) -> usize {
    let single = system.raw.rows.iter().filter(|row| row.atoms.len() == 1).count();
    system.raw.rows.len() + system.raw.atoms.len().saturating_sub(single)
}

/// What the search has found, as prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Found {
    /// No safe pattern costs less.
    pub bound: f64,
    /// What this one costs.
    pub cost: f64,
}

/// Whether cuts are asked of what stays unmet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Asked,
    Unasked,
}

struct Search<'s, 'a> {
    system: &'s mut System<'a>,
    pool: &'s mut Pool,
    attack: Attack,
    kelly: Option<Kelly>,
    /// Those of the pattern as it stood when they were made, and the needs asked about as it stands.
    circuits: Option<Circuits>,
    asked: HashSet<Need>,
    /// What circuits have shown that nothing meets as the pattern stands.
    near: HashSet<(Need, Option<u32>)>,
    /// Steps of their programs.
    steps_met: u64,
    /// Steps of whole masters.
    steps_mastered: u64,
    /// Of rests too, where they are guarded.
    guard: Option<Guard<'s>>,
    /// Every cut found; each holds for every safe pattern.
    cuts: Vec<Cut>,
    known: HashSet<Vec<(u32, u64)>>,
    effort: Effort,
}

/// Withholds rows until every need is met, as cheaply as the effort allows.
///
/// # Errors
/// A row for which the solver gave no move; what was found so far then means nothing.
pub(super) fn optimise(
    system: &mut System<'_>,
    pool: &mut Pool,
    effort: Effort,
    guard: Option<Guard<'_>>,
) -> Result<Found, Hopeless> {
    let mut search = Search::new(system, pool, effort).guarding(guard);
    let hard = search.hard();
    if hard.is_empty() && search.keep_rests() == 0.0 {
        return Ok(Found { bound: 0.0, cost: 0.0 });
    }
    let relaxed = search.relax(&hard);
    let mut of: Vec<Need> = hard.iter().map(|u| u.need).collect();
    of.dedup();
    search.whole(&of, relaxed)
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(system: &'s mut System<'a>, pool: &'s mut Pool, effort: Effort) -> Self {
        let attack = Attack::standing(system);
        let (near, cuts, known) = (HashSet::new(), Vec::new(), HashSet::new());
        let (circuits, asked) = Default::default();
        let steps_met = 0;
        let mut search = Self {
            system,
            pool,
            attack,
            kelly: None,
            circuits,
            asked,
            near,
            steps_met,
            steps_mastered: 0,
            guard: None,
            cuts,
            known,
            effort,
        };
        balance::cuts(search.system).into_iter().for_each(|cut| search.keep(cut));
        search
    }

    /// With the cuts of rests.
    fn guarding(mut self, guard: Option<Guard<'s>>) -> Self {
        let of_sums = guard.map(|guard| guard.cuts_of_sums(self.system));
        of_sums.into_iter().flatten().for_each(|cut| self.keep(cut));
        Self { guard, ..self }
    }

    /// What primary rows alone leave unmet, one attacker at a time, with first cuts.
    fn hard(&mut self) -> Vec<Unmet> {
        let mut hard = Vec::new();
        let all = needs(self.system);
        self.ask_circuits(&all, self.effort.met);
        for need in all {
            hard.extend(self.serve(need, Why::Asked));
        }
        hard
    }

    /// Small programs over circuits first: they answer most needs in a fraction of what a program over everything takes.
    fn ask_circuits(&mut self, needs: &[Need], steps: u64) {
        self.asked.extend(needs);
        if !self.circuits.as_ref().is_some_and(Circuits::are_all) {
            self.circuits = Circuits::standing(self.system).ok();
        }
        let Some(circuits) = &mut self.circuits else { return };
        let met = circuits.meet(self.system, self.pool, needs, steps);
        self.near.extend(met.near);
        self.steps_met += met.steps;
    }

    /// Adds witnesses until a need is met, and gives what stays unmet, with cuts that say why, if that is asked.
    fn serve(&mut self, need: Need, why: Why) -> Vec<Unmet> {
        let mut stuck: Vec<Unmet> = Vec::new();
        let mut avoided = false;
        if !self.asked.contains(&need) && self.pool.unmet(self.system, need).is_some() {
            self.ask_circuits(&[need], self.effort.met.saturating_sub(self.steps_met));
        }
        loop {
            let Some(unmet) = self.pool.unmet(self.system, need) else { return stuck };
            if unmet.attackers.is_empty() {
                if !self.meet(&unmet, why) {
                    return vec![unmet];
                }
                continue;
            }
            let given_up = |s: &u32| stuck.iter().any(|u| u.attackers == [*s]);
            let left: Vec<u32> = unmet.attackers.iter().copied().filter(|s| !given_up(s)).collect();
            if left.is_empty() {
                return stuck;
            }
            // What is near for one attacker is for several, of whom it is one.
            let far: Vec<u32> = left.iter().copied().filter(|&s| !self.near.contains(&(need, Some(s)))).collect();
            if far.len() > 1 && !avoided {
                avoided = true;
                let answer = self.attack.avoiding(self.system, &Unmet { attackers: far, ..unmet });
                if let Answer::Far(moves) = answer {
                    let family = Witness::family(self.system, &moves);
                    family.into_iter().for_each(|witness| self.pool.add(self.system, witness));
                }
                continue;
            }
            let one = Unmet { attackers: left[..1].to_vec(), ..unmet };
            if !self.meet(&one, why) {
                stuck.push(one);
            }
        }
    }

    /// Looks for a move; keeps it, or the cuts that say why there is none.
    fn meet(&mut self, wanted: &Unmet, why: Why) -> bool {
        let who = wanted.attackers.first().copied();
        let near = wanted.attackers.len() <= 1 && self.near.contains(&(wanted.need, who));
        if near && why == Why::Unasked {
            return false;
        }
        match self.attack.solve(self.system, wanted, !near) {
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
        for round in 0..self.effort.relaxed {
            for cut in &self.cuts[given..] {
                master.add_row(&constraint(cut));
            }
            given = self.cuts.len();
            let Some(optimum) = master.solve().optimum() else { break };
            bound = optimum.cost;
            let shares = optimum.columns;
            let for_whole = if self.effort.whole > 0 { self.effort.steps / 2 } else { 0 };
            if round > 2 && self.steps() > self.effort.steps - for_whole {
                break;
            }
            if round == 0 && !self.effort.each {
                let support: Vec<u32> = (0..rows as u32).filter(|&r| shares[r as usize] > SHARE_LEAST).collect();
                hot = self.unmet_with(&support, hard);
            }
            for r in (0..rows).filter(|&r| open[r]) {
                self.attack.set(r as u32, shares[r].clamp(0.0, 1.0));
            }
            // Those that were near in the round before come first; all are asked before the rounds end, if each is.
            for all in if self.effort.each { &[false, true][..] } else { &[false] } {
                let places: Vec<usize> = (0..hard.len()).filter(|&at| hot[at] != *all).collect();
                let asked: Vec<&Unmet> = places.iter().map(|&at| &hard[at]).collect();
                let most = self.effort.steps.saturating_sub(self.steps());
                for (at, cuts) in self.attack.cuts_of_all(self.system, &asked, most) {
                    hot[places[at]] = false;
                    for cut in cuts {
                        let holds: f64 = cut.iter().map(|&(r, w)| w * shares[r as usize]).sum();
                        if holds < 1.0 - 1e-6 {
                            hot[places[at]] = true;
                            self.keep(cut);
                        }
                    }
                }
                if self.cuts.len() > given {
                    break;
                }
            }
            if self.cuts.len() == given {
                break;
            }
        }
        for r in (0..rows).filter(|&r| open[r]) {
            self.attack.set(r as u32, 0.0);
        }
        bound
    }

    /// Which of these circuits leave unmet when these rows are withheld.
    fn unmet_with(&mut self, rows: &[u32], hard: &[Unmet]) -> Vec<bool> {
        self.take(rows);
        rectangles::rectangles(self.system, self.pool);
        let needs: Vec<Need> = hard.iter().map(|u| u.need).collect();
        self.ask_circuits(&needs, self.effort.met);
        let unmet = needs.into_iter().map(|need| self.pool.unmet(self.system, need).is_some()).collect();
        self.take(&[]);
        unmet
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
        self.follow(row);
    }

    /// Lets the programs know of a row that was shown or withheld.
    fn follow(&mut self, row: u32) {
        let fate = self.system.fate[row as usize];
        self.asked.clear();
        match (fate, &mut self.circuits) {
            (Fate::Open, circuits) => *circuits = None,
            (_, Some(circuits)) => circuits.outgrown(),
            (_, None) => {}
        }
        self.attack.set(row, if fate == Fate::Open { 0.0 } else { 1.0 });
        if fate != Fate::Open {
            self.near.clear();
        }
        if let Some(kelly) = &mut self.kelly {
            kelly.set_price(row, if fate == Fate::Open { self.system.price[row as usize] } else { 0.0 });
        }
    }

    fn pattern(&self) -> Vec<u32> {
        let secondary = |r: &u32| self.system.fate[*r as usize] == Fate::Secondary;
        (0..self.system.raw.rows.len() as u32).filter(secondary).collect()
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
        let Effort { gap, steps, whole, .. } = self.effort;
        let mut bound = relaxed;
        let mut best: Option<(f64, bool, Vec<u32>)> = None;
        for round in 0..whole {
            let Some((chosen, proved)) = self.master() else { break };
            bound = bound.max(proved);
            self.take(&chosen);
            let before = self.cuts.len();
            rectangles::rectangles(self.system, self.pool);
            self.ask_circuits(hard, self.effort.met);
            let stuck = hard.iter().map(|&need| self.serve(need, Why::Asked).len()).sum::<usize>();
            let is_safe = self.keep_rests() == 0.0 && stuck == 0;
            // Until the master's answer is nearly safe, or there is no more time, its cuts are all that counts.
            let over = self.steps() + self.steps_mastered * MASTERED > steps;
            let last = is_safe || self.cuts.len() == before || round + 1 == whole || over;
            if last || stuck <= NEARLY {
                self.repair(hard)?;
                self.release();
                let lacks = self.keep_rests();
                let cost = self.system.cost() + lacks;
                if best.as_ref().is_none_or(|b| cost < b.0) {
                    best = Some((cost, lacks == 0.0, self.pattern()));
                }
            }
            if last || best.as_ref().is_some_and(|b| b.1 && b.0 <= bound * (1.0 + gap)) {
                break;
            }
        }
        match &best {
            Some((_, _, pattern)) => self.take(pattern),
            None => {
                self.repair(hard)?;
            }
        }
        for need in needs(self.system) {
            if let Some(unmet) = self.serve(need, Why::Unasked).pop() {
                return Err(Hopeless::Row(unmet.need.row));
            }
        }
        Ok(Found { bound, cost: self.system.cost() })
    }

    /// Keeps the cuts of rests that the pattern leaves; gives about what it costs to satisfy them.
    fn keep_rests(&mut self) -> f64 {
        let Some(guard) = self.guard else { return 0.0 };
        let cuts = guard.cuts(self.system, self.pool);
        let price = |cut: &Cut| cut.iter().map(|c| self.system.price[c.0 as usize]).fold(f64::INFINITY, f64::min);
        let mut priced: Vec<(f64, &Cut)> = cuts.iter().map(|cut| (price(cut), cut)).collect();
        priced.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.len().cmp(&other.1.len())));
        // Those that share a row may share its price.
        let mut met: HashSet<u32> = HashSet::new();
        let mut costs = 0.0;
        for (price, cut) in priced {
            if cut.iter().all(|c| !met.contains(&c.0)) {
                costs += price;
                met.extend(cut.iter().map(|c| c.0));
            }
        }
        cuts.into_iter().for_each(|cut| self.keep(cut));
        costs
    }

    /// The cheapest rows that satisfy every cut, ascending, and what the search has proved of them all.
    fn master(&mut self) -> Option<(Vec<u32>, f64)> {
        let (mut chosen, mut bound) = (Vec::new(), 0.0);
        for cuts in apart(&self.cuts) {
            let mut rows: Vec<u32> = cuts.iter().copied().flatten().map(|c| c.0).collect();
            rows.sort_unstable();
            rows.dedup();
            let costs: Vec<f64> = rows.iter().map(|&r| self.system.price[r as usize]).collect();
            let place = |r: u32| rows.binary_search(&r).expect("from the cuts") as u32;
            let placed = |cut: &&Cut| constraint(&cut.iter().map(|&(r, w)| (place(r), w)).collect::<Vec<_>>());
            let constraints: Vec<Constraint> = cuts.iter().map(placed).collect();
            let choice = lp::choose(&costs, &constraints, self.effort.gap / 2.0, self.effort.nodes)?;
            chosen.extend(rows.iter().zip(&choice.taken).filter(|c| *c.1).map(|c| *c.0));
            bound += choice.bound;
            self.steps_mastered += choice.steps;
        }
        chosen.sort_unstable();
        Some((chosen, bound))
    }

    /// Withholds what the cheapest moves touch that meet what is unmet; no, when it takes more steps than that.
    fn repair(&mut self, hard: &[Need]) -> Result<(), Hopeless> {
        for _ in 0..REPAIRS_MAX {
            let mut clean = true;
            for &need in hard {
                for wanted in self.serve(need, Why::Unasked) {
                    clean = false;
                    // Another's answer may have served it meanwhile.
                    if self.pool.unmet(self.system, need).is_some() {
                        self.widen(&wanted)?;
                    }
                    if self.steps() > REPAIR_STEPS {
                        return Err(Hopeless::Row(need.row));
                    }
                }
            }
            if clean {
                return Ok(());
            }
        }
        Err(Hopeless::Row(hard[0].row))
    }

    fn steps(&self) -> u64 {
        self.attack.steps() + self.steps_met + self.kelly.as_ref().map_or(0, Kelly::steps)
    }

    fn widen(&mut self, wanted: &Unmet) -> Result<(), Hopeless> {
        let system = &*self.system;
        let kelly = self.kelly.get_or_insert_with(|| Kelly::new(system));
        let hopeless = Hopeless::Row(wanted.need.row);
        let found = kelly.solve(system, wanted).and_then(|moves| kelly::judged(system, wanted, moves));
        let (moves, withheld) = found.ok_or(hopeless)?;
        withheld.into_iter().for_each(|row| self.set(row, Fate::Secondary));
        let witness = Witness::read(self.system, &moves).ok_or(hopeless)?;
        if let Some(circuits) = &mut self.circuits {
            circuits.learn(self.system, &witness.moves);
        }
        self.pool.add(self.system, witness);
        Ok(())
    }

    /// Shows again, dearest first, what no need asks for.
    fn release(&mut self) {
        let pattern = self.pattern();
        // A cut holds for every safe pattern.
        let may = |system: &System<'_>, row: u32| {
            let taken = |r: u32| r != row && system.fate[r as usize] == Fate::Secondary;
            let holds = |cut: &Cut| cut.iter().filter(|c| taken(c.0)).map(|c| c.1).sum::<f64>() >= 1.0 - 1e-9;
            self.cuts.iter().filter(|cut| cut.iter().any(|c| c.0 == row)).all(holds)
        };
        self.steps_met += circuits::show_where(self.system, self.pool, may, Broken::Kept);
        for row in pattern {
            if self.system.fate[row as usize] == Fate::Open {
                self.follow(row);
            }
        }
    }
}

/// The connected components of cuts: those of one share rows, and no row with those of another.
fn apart(cuts: &[Cut]) -> Vec<Vec<&Cut>> {
    let mut of_row: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, cut) in cuts.iter().enumerate() {
        cut.iter().for_each(|c| of_row.entry(c.0).or_default().push(at));
    }
    let mut met = vec![false; cuts.len()];
    let mut components = Vec::new();
    for first in 0..cuts.len() {
        if std::mem::replace(&mut met[first], true) {
            continue;
        }
        let (mut component, mut next) = (vec![&cuts[first]], 0);
        while let Some(cut) = component.get(next) {
            next += 1;
            let others: Vec<usize> = cut.iter().filter_map(|c| of_row.remove(&c.0)).flatten().collect();
            component
                .extend(others.into_iter().filter(|&at| !std::mem::replace(&mut met[at], true)).map(|at| &cuts[at]));
        }
        components.push(component);
    }
    components
}

fn constraint(cut: &[(u32, f64)]) -> Constraint {
    (1.0, f64::INFINITY, cut.to_vec())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::microdata::{Column, Microdata};
    use super::super::super::policy::Spec;
    use super::super::super::tabulate::{RawTables, tabulate};
    use super::super::witness::Side;
    use super::*;

    fn spec(insiders: bool) -> Spec {
        Spec::parse(&format!(
            "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\ndominance={{n=1,share=0.85}}\n\
             [protection]\ninsiders={insiders}\n[dimensions.a]\nlevels=['a']\n[dimensions.b]\nlevels=['b']\n\
             [[tables]]\nname='t'\ndimensions=['a','b']"
        ))
        .unwrap()
    }

    /// Numbers below a bound, by a small generator: the same for the same seed.
    pub fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move |n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        }
    }

    /// A table of three by three, some cells with few contributors; numbers by a small generator.
    pub fn table(seed: u64) -> RawTables {
        let mut draw = draws(seed);
        let (mut ids, mut who, mut weight, mut a, mut b) = (vec![], vec![], vec![], vec![], vec![]);
        for i in 0..3 {
            for j in 0..3 {
                for _ in 0..[1, 2, 4, 6][draw(4) as usize] {
                    ids.push(ids.len().to_string());
                    who.push(format!("{}", draw(30)));
                    weight.push(1 + draw(40));
                    a.push(Some(["x", "y", "z"][i]));
                    b.push(Some(["p", "q", "r"][j]));
                }
            }
        }
        let micro = Microdata::new(ids, &who, weight, vec![Column::of("a", &a), Column::of("b", &b)]);
        tabulate(&micro, &spec(false)).unwrap()
    }

    pub fn ready<'a>(raw: &'a RawTables, insiders: bool) -> System<'a> {
        let spec = spec(insiders);
        System::new(raw, &spec.rules, &spec.protection, &[])
    }

    /// Whether every attacker stays far enough from every unsafe row, asked of the attackers' programs one by one.
    pub fn is_safe(system: &System<'_>) -> bool {
        let raw = &system.raw;
        let everyone: Vec<u32> = if system.insiders { (0..raw.n_contributors as u32).collect() } else { Vec::new() };
        let mut attack = Attack::standing(system);
        needs(system).into_iter().all(|need| {
            let row = &raw.rows[need.row as usize];
            let level = system.verdict[need.row as usize].as_ref().unwrap().level as i64;
            let inside = raw.contributions(row);
            let asked = |attackers: Vec<u32>| {
                let own = attackers.first().and_then(|s| inside.iter().find(|c| c.0 == *s)).map_or(0, |c| c.1 as i64);
                let distance = if need.side == Side::Up { level } else { level.min(row.value as i64 - own) };
                let theirs = attackers.first().is_some_and(|&s| own > 0 && !system.holds_others(need.row, s));
                (distance > 0 && !theirs).then_some(Unmet { need, attackers, distance })
            };
            let all = std::iter::once(Vec::new()).chain(everyone.iter().map(|&s| vec![s]));
            all.filter_map(asked).all(|unmet| matches!(attack.solve(system, &unmet, false), Answer::Far(_)))
        })
    }

    /// The least cost of all choices of rows under which every attacker stays far enough, by trying them all.
    pub fn cheapest_of_all(raw: &RawTables, insiders: bool) -> Option<f64> {
        let mut system = ready(raw, insiders);
        let open: Vec<u32> = (0..raw.rows.len() as u32).filter(|&r| system.fate[r as usize] == Fate::Open).collect();
        let mut choices: Vec<u32> = (0..1_u32 << open.len()).collect();
        let cost = |choice: u32, system: &System<'_>| -> f64 {
            let taken = open.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1);
            taken.map(|(_, &r)| system.price[r as usize]).sum()
        };
        choices.sort_by(|&one, &other| cost(one, &system).total_cmp(&cost(other, &system)));
        choices.into_iter().find_map(|choice| {
            for (i, &r) in open.iter().enumerate() {
                system.fate[r as usize] = if choice >> i & 1 == 1 { Fate::Secondary } else { Fate::Open };
            }
            let safe = is_safe(&system);
            safe.then(|| cost(choice, &system))
        })
    }

    #[test]
    fn nothing_is_called_out_of_reach_that_circuits_of_the_pattern_as_it_stands_reach() {
        let mut called = 0;
        for seed in 1..40 {
            let raw = table(seed);
            let (mut system, mut pool) = (ready(&raw, true), Pool::default());
            let mut search = Search::new(&mut system, &mut pool, Effort::FULL);
            search.hard();
            let open = |r: &u32| search.system.fate[*r as usize] == Fate::Open;
            let chosen: Vec<u32> = (0..raw.rows.len() as u32).filter(open).step_by(2).collect();
            search.take(&chosen);
            let all = needs(search.system);
            search.ask_circuits(&all, circuits::STEPS_MAX);
            let mut fresh = Circuits::standing(search.system).unwrap();
            let near = fresh.meet(search.system, &mut Pool::default(), &all, circuits::STEPS_MAX).near;
            called += search.near.len();
            assert!(search.near.is_subset(&near), "{seed}");
        }
        assert!(called > 20, "{called}");
    }

    #[test]
    fn cuts_of_many_needs_are_the_same_each_time_and_every_safe_pattern_satisfies_them() {
        let mut found = 0;
        for seed in 1..12 {
            let raw = table(seed);
            let system = ready(&raw, false);
            let of_all = || {
                let mut attack = Attack::standing(&system);
                let unmet = |need: Need| Unmet { need, attackers: Vec::new(), distance: need.distance(&system, None) };
                let once: Vec<Unmet> = needs(&system).into_iter().map(unmet).filter(|u| u.distance > 0).collect();
                // So many that they are asked in two parts.
                let asked: Vec<&Unmet> = once.iter().cycle().take(64 * usize::from(!once.is_empty())).collect();
                (asked.len(), attack.cuts_of_all(&system, &asked, u64::MAX))
            };
            let (asked, cuts) = of_all();
            assert_eq!((cuts.len(), &cuts), (asked, &of_all().1), "{seed}");
            // With every row withheld that may be, a table that can be safe is.
            let weights = |cut: &Cut| cut.iter().map(|c| c.1).sum::<f64>();
            for cut in cuts.iter().flat_map(|one| &one.1) {
                found += 1;
                assert!(cheapest_of_all(&raw, false).is_none() || weights(cut) >= 1.0 - 1e-9, "{seed}");
            }
        }
        assert!(found > 20, "{found}");
    }

    #[test]
    fn components_hold_each_cut_once_and_share_no_row() {
        let mut draw = draws(7);
        let mut several = 0;
        for _ in 0..200 {
            let cuts: Vec<Cut> =
                (0..draw(12)).map(|_| (0..1 + draw(3)).map(|_| (draw(20) as u32, 1.0)).collect()).collect();
            let components = apart(&cuts);
            several += usize::from(components.len() > 1);
            let all: HashSet<*const Cut> = components.iter().flatten().map(|cut| std::ptr::from_ref(*cut)).collect();
            assert_eq!((all.len(), components.iter().map(Vec::len).sum()), (cuts.len(), cuts.len()));
            let rows = |component: &[&Cut]| component.iter().copied().flatten().map(|c| c.0).collect::<HashSet<u32>>();
            for (i, one) in components.iter().enumerate() {
                assert!(components[..i].iter().all(|other| rows(other).is_disjoint(&rows(one))));
                // No part of it shares no row with what is left of it.
                for cut in one.iter().filter(|_| one.len() > 1) {
                    let rest: Vec<&Cut> = one.iter().copied().filter(|other| !std::ptr::eq(*other, *cut)).collect();
                    assert!(!rows(&rest).is_disjoint(&rows(&[cut])));
                }
            }
        }
        assert!(several > 50, "{several}");
    }

    #[test]
    fn the_pattern_lies_between_its_bound_and_the_gap_above_the_cheapest_of_all() {
        let mut searched = 0;
        for seed in 1..40 {
            for insiders in [false, true] {
                let raw = table(seed);
                let mut system = ready(&raw, insiders);
                let open = system.fate.iter().filter(|f| **f == Fate::Open).count();
                if open > 10 {
                    continue; // the choices to try double with each
                }
                let least = cheapest_of_all(&raw, insiders);
                let mut pool = Pool::default();
                let found = optimise(&mut system, &mut pool, Effort::FULL, None);
                let Some(least) = least else {
                    assert!(found.is_err(), "{seed} {insiders}: nothing protects it, and a pattern was given");
                    continue;
                };
                let found = found.unwrap();
                searched += usize::from(least > 0.0);
                assert!(found.bound <= least + 1e-6, "{seed} {insiders}: {found:?}, cheapest {least}");
                assert!(found.cost >= least - 1e-6, "{seed} {insiders}: {found:?}, cheapest {least}");
                assert!(found.cost <= least * 1.0075 + 1e-6, "{seed} {insiders}: {found:?}, cheapest {least}");
                for need in needs(&system) {
                    assert_eq!(pool.unmet(&system, need), None, "{seed} {insiders}");
                }
            }
        }
        assert!(searched > 10, "{searched} tables need anything withheld");
    }
}
