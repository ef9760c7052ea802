//! Sums that no table shows and that subtraction gives: a shown row less the shown rows of one table that lie within it,
//! one dimension of the table at all its levels, the others each at one.
//!
//! Each withheld cell in such a rest may be as hidden as it must be, and the rest belong to fewer contributors than a rule
//! allows, or to one of them for the most part. Where the rules call it unsafe, it becomes a row that no table shows,
//! with the level of its own and a need on each side, and more is withheld until witnesses move it: so it follows neither
//! from this subtraction nor from any other sum of what is shown. What turns out not to be needed is shown again (not at a
//! glance), and it is looked once more; at the end every need of every cell and rest is met, or there is no pattern.
//!
//! The search for a pattern of cells is told beforehand what rests ask for, by [`Guard`]: so that little is left to do here.
//!
//! Two disjoint sets of records that each pass the rules pass them together. So what is withheld on top later, of cells that
//! are safe, leaves no unsafe rest where there was none.

use super::super::policy::{Dominance, Protection, Rules, Search};
use super::super::primary::{self, Unsafe};
use super::super::tabulate::RawTables;
use super::attack::Cut;
use super::circuits::{self, Circuits};
use super::cubes::{self, Draft, Grid};
use super::kelly::{self, Kelly, Proposal};
use super::rectangles::{self, mix};
use super::system::{Fate, Sum, System};
use super::told::Lasting;
use super::witness::{Need, Pool, Side, Unmet, Witness};
use super::{ATOMS_MAX, Hopeless};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is withheld for one rest may leave another, and so may what is shown again; on the tables we know no more than three
/// rounds find any.
const ROUNDS_MAX: usize = 12;

/// Rounds after which what turns out not to be needed is shown again; showing may leave a rest for the next.
const ROUNDS_SHOWING: usize = 4;

/// Steps of programs over the whole system, times its rows: what cubes find near a row must do after these.
const STEPS_TIMES_ROWS: u64 = 200_000_000;

/// Steps of programs over circuits for rests that may be hidden already.
const STEPS_MET: u64 = 20_000;

/// What became of unsafe sums that no table shows; there is no third way, since nothing is published otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remainders {
    /// Kept as a cell is.
    pub hidden: usize,
    /// Not kept, or not from every contributor: rows that are shown for ever give them away by themselves.
    pub told: usize,
}

/// What judges a rest.
#[derive(Clone, Copy)]
pub(super) struct Guard<'r> {
    pub rules: &'r Rules,
    pub protection: &'r Protection,
}

/// Withholds more until nobody works out an unsafe rest.
///
/// # Errors
/// A rest that was not hidden and that rows shown for ever do not give away by themselves.
pub(super) fn hide(system: &mut System<'_>, pool: &mut Pool, guard: Guard<'_>) -> Result<Remainders, Hopeless> {
    hide_within(ROUNDS_MAX, system, pool, guard)
}

/// [`hide`] in so many rounds at most.
fn hide_within(
    rounds: usize,
    system: &mut System<'_>,
    pool: &mut Pool,
    guard: Guard<'_>,
) -> Result<Remainders, Hopeless> {
    let mut widener = Widener::default();
    // What one round withholds may leave a rest, so that after the last one it is looked once more.
    for round in 0..=rounds {
        let (mut perhaps, mut rows): (Vec<Need>, Vec<u32>) = Default::default();
        for rest in rests(system, pool, guard) {
            let row = system.hide(rest.atoms, rest.verdict);
            widener.wholes.insert(row, rest.whole);
            rows.push(row);
            if !rest.is_shown {
                perhaps.extend(Need::both(row));
            }
        }
        pool.watch(system, &rows);
        // What was withheld before may keep it already; small trades over what is withheld cost nothing.
        if !perhaps.is_empty() {
            rectangles::rectangles(system, pool);
            widener.circuits = Circuits::standing(system).ok();
            if let Some(circuits) = &mut widener.circuits {
                circuits.meet(system, pool, &perhaps, STEPS_MET);
            }
            widener.circuits.take_if(|_| system.raw.atoms.len() > ATOMS_MAX);
        }
        // Of cells and earlier rests too: a zero that is withheld takes back what its contributors were excused from.
        let mut needs = super::needs(system);
        needs.retain(|&need| unmet(system, pool, need).is_some());
        if round == rounds || needs.is_empty() {
            break;
        }
        // Large distances first: what they withhold serves small ones.
        needs.sort_by_cached_key(|&need| (std::cmp::Reverse(need.distance(system, None)), need));
        if widener.circuits.is_none() && system.raw.atoms.len() <= ATOMS_MAX {
            widener.circuits = Circuits::standing(system).ok();
        }
        for need in needs {
            widener.serve(system, pool, need)?;
        }
        widener.circuits = None;
        // Its columns are those of the rows there were.
        widener.steps += widener.kelly.take().map_or(0, |kelly| kelly.steps());
        // Once with all that was withheld before the rests were known, which takes longer than a glance.
        let with_all = round == 0 && system.raw.atoms.len() <= ATOMS_MAX;
        if with_all && guard.protection.search != Search::Glance {
            circuits::show_again(system, pool);
            widener.withheld.retain(|&row| system.fate[row as usize] == Fate::Secondary);
        } else if !with_all
            && round < ROUNDS_SHOWING
            && let Some(grid) = &widener.grid
        {
            cubes::show_again(grid, system, pool, std::mem::take(&mut widener.withheld));
        }
    }
    widener.account(system, pool)
}

/// A rest that would break a rule if it were a cell.
struct Rest {
    /// The row it is left of.
    whole: u32,
    atoms: Vec<u32>,
    verdict: Unsafe,
    /// The rows that were taken away, and whether they and the whole are shown; else rows that are withheld take part too,
    /// and perhaps anybody works those out.
    taken: Vec<u32>,
    is_shown: bool,
}

impl Guard<'_> {
    /// Whether a sum of these atoms would break a rule that holds everywhere if it were a cell, and by which level.
    fn judge(&self, raw: &RawTables, atoms: &[u32]) -> Option<Unsafe> {
        self.judge_in(raw, atoms, &[])
    }

    /// The same by the rules of these tables too.
    fn judge_in(&self, raw: &RawTables, atoms: &[u32], tables: &[u32]) -> Option<Unsafe> {
        primary::judge_sum(raw, atoms, self.rules, tables, self.protection)
    }

    /// Of each sum that a table shows: what else must be withheld of it for what is withheld anyhow not to be an unsafe rest.
    /// Each holds for every pattern that leaves none.
    pub fn cuts_of_sums(&self, system: &System<'_>) -> Vec<Cut> {
        if is_told(system) {
            return Vec::new();
        }
        let mut cuts = Vec::new();
        for Sum { whole, parts } in &system.sums {
            let of = |fate: Fate| parts.iter().copied().filter(move |&r| system.fate[r as usize] == fate);
            let rest: Vec<u32> = of(Fate::Primary).flat_map(|r| system.raw.rows[r as usize].atoms.clone()).collect();
            let is_unsafe = || self.judge(&system.raw, &rest).is_some();
            if system.fate[*whole as usize] != Fate::Primary && !rest.is_empty() && is_unsafe() {
                cuts.extend(self.cuts_of(system, &rest, *whole, &of(Fate::Open).collect::<Vec<_>>()));
            }
        }
        cuts
    }

    /// Of each unsafe rest that what is shown gives: one of the rows that give it must be withheld. Each holds for every
    /// pattern that leaves none.
    pub fn cuts(&self, system: &System<'_>, pool: &Pool) -> Vec<Cut> {
        if is_told(system) {
            return Vec::new();
        }
        let rests = rests(system, pool, *self).into_iter().filter(|rest| rest.is_shown);
        rests.flat_map(|rest| self.cuts_of(system, &rest.atoms, rest.whole, &rest.taken)).collect()
    }

    /// What must be withheld, of a row and of these rows within it, for this unsafe rest of them not to be told. Where it is
    /// unsafe with more of them, which are safe by themselves, it is with each choice of these, so that these do not help;
    /// where those that hold most of it are too large a share, what else is withheld must make up for it.
    fn cuts_of(&self, system: &System<'_>, rest: &[u32], whole: u32, taken: &[u32]) -> Vec<Cut> {
        let raw = &*system.raw;
        if may_be_told(system, rest, whole) {
            return Vec::new();
        }
        let is_open = |&r: &u32| system.fate[r as usize] == Fate::Open;
        let mut open: Vec<u32> = taken.iter().copied().filter(is_open).collect();
        open.sort_by_key(|&r| (raw.rows[r as usize].value, r));
        let mut with = rest.to_vec();
        let mut cut: Cut = Some(whole).filter(is_open).map(|r| (r, 1.0)).into_iter().collect();
        let mut by_weight = cut.clone();
        for &row in &open {
            let before = with.len();
            with.extend(&raw.rows[row as usize].atoms);
            if self.judge(raw, &with).is_none() {
                with.truncate(before);
                cut.push((row, 1.0));
            }
        }
        let mut cuts = vec![cut];
        if let Some(Dominance { n, share }) = self.rules.dominance {
            // As closely as the rule reads it.
            let share = share + SHARE_READ;
            let held = holdings(raw, rest);
            let mut largest: Vec<(u64, u32)> = held.iter().map(|(&who, &weight)| (weight, who)).collect();
            largest.sort_unstable_by_key(|&(weight, who)| (Reverse(weight), who));
            largest.truncate(n as usize);
            let all: u64 = held.values().sum();
            let of_largest = largest.iter().map(|one| one.0).sum::<u64>() as f64;
            let lacks = of_largest / share - all as f64;
            if lacks > 0.0 {
                for &row in &open {
                    let of_row = holdings(raw, &raw.rows[row as usize].atoms);
                    let own: u64 = largest.iter().filter_map(|one| of_row.get(&one.1)).sum();
                    let makes_up = raw.rows[row as usize].value as f64 - own as f64 / share;
                    if makes_up > 0.0 {
                        by_weight.push((row, (makes_up / lacks).min(1.0)));
                    }
                }
                cuts.push(by_weight);
            }
        }
        cuts.retain(|cut| !cut.is_empty());
        cuts.iter_mut().for_each(|cut| cut.sort_unstable_by_key(|c| c.0));
        cuts
    }
}

/// Whether some table has rules of its own: what is unsafe by these only, and safe by those of the cells it is joined with,
/// may be left by what is withheld on top.
pub(super) fn has_rules_of_tables(raw: &RawTables) -> bool {
    raw.tables.iter().any(|table| !table.rules.is_empty())
}

/// Whether nothing is asked of patterns beforehand. Rules of tables are left to the end, by which no bound is too high. And
/// rows of more than zero, or unsafe ones, that are shown for ever may tell any rest by themselves: what is told is asked of
/// nothing.
fn is_told(system: &System<'_>) -> bool {
    if has_rules_of_tables(&system.raw) {
        return true;
    }
    let tells = |row: usize| system.raw.rows[row].value > 0 || system.verdict[row].is_some();
    (0..system.fate.len()).any(|row| system.fate[row] == Fate::Locked && tells(row))
}

/// Whether nothing may be asked of a rest, or of one with more of its row: it may be no secret what it is, or zeros shown for
/// ever may keep it from moving.
fn may_be_told(system: &System<'_>, rest: &[u32], whole: u32) -> bool {
    let is_zero = |a: &u32| system.rows_of[*a as usize].iter().any(|&r| system.fate[r as usize] == Fate::Locked);
    let atom = |a: &u32| &system.raw.atoms[*a as usize];
    let moves_down = rest.iter().any(|a| atom(a).value > atom(a).least);
    let moves_up = rest.iter().any(|a| atom(a).greatest.is_none() && !is_zero(a));
    !moves_down || !moves_up && system.raw.rows[whole as usize].atoms.iter().any(is_zero)
}

/// What each contributor holds of these atoms.
fn holdings(raw: &RawTables, atoms: &[u32]) -> BTreeMap<u32, u64> {
    let mut held: BTreeMap<u32, u64> = BTreeMap::new();
    for &(who, weight) in atoms.iter().flat_map(|&a| &raw.atoms[a as usize].contributions) {
        *held.entry(who).or_default() += weight;
    }
    held
}

/// To which share a rule reads its own.
const SHARE_READ: f64 = 1e-9;

/// The rows that are shown, and those withheld that no witness is known to move: those may follow from what is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Shown,
    Perhaps,
    Hidden,
}

/// The row that an unsafe rest is left of, where there still is one.
pub(super) fn left(system: &System<'_>, pool: &Pool, guard: Guard<'_>) -> Option<u32> {
    rests(system, pool, guard).first().map(|rest| rest.whole)
}

/// Every unsafe rest that is no row, each once: by the rules that hold everywhere, those of the tables that show the whole,
/// and those of the table whose cells are taken away.
fn rests(system: &System<'_>, pool: &Pool, guard: Guard<'_>) -> Vec<Rest> {
    if *guard.rules == Rules::default() && !has_rules_of_tables(&system.raw) {
        return Vec::new();
    }
    let raw = &*system.raw;
    let known: Vec<Known> = (0_u32..)
        .zip(&system.fate)
        .map(|(row, fate)| match fate {
            Fate::Open | Fate::Locked => Known::Shown,
            Fate::Secondary if !pool.is_moved(row) => Known::Perhaps,
            Fate::Secondary | Fate::Primary => Known::Hidden,
        })
        .collect();
    let cells: HashSet<u128> = raw.rows.iter().map(|row| print(&row.atoms)).collect();
    let tables_of = primary::tables_with_rules(raw);
    let mut judged: HashSet<(u128, Vec<u32>)> = HashSet::new();
    let mut found: Vec<Rest> = Vec::new();
    let mut found_at: HashMap<u128, usize> = HashMap::new();
    for (table, part) in parts(system, &known) {
        let holders = Holders::of(system, part);
        let mut scratch = Scratch { met: vec![(0, 0); raw.rows.len()], turn: 0 };
        for (whole, of) in (0_u32..).zip(&raw.rows) {
            if known[whole as usize] == Known::Hidden || of.atoms.len() < 2 {
                continue;
            }
            let Some((atoms, taken)) = scratch.less(system, &holders, whole) else { continue };
            let print = print(&atoms);
            let mut tables = tables_of[whole as usize].clone();
            if !raw.tables[table].rules.is_empty() && !tables.contains(&(table as u32)) {
                tables.push(table as u32);
                tables.sort_unstable();
            }
            if cells.contains(&print) || judged.contains(&(print, tables.clone())) {
                continue;
            }
            if let Some(verdict) = guard.judge_in(raw, &atoms, &tables) {
                let is_shown = taken.iter().chain([&whole]).all(|&row| known[row as usize] == Known::Shown);
                match found_at.get(&print) {
                    // Left in another way too, by whose rules it may be kept farther.
                    Some(&at) => {
                        let known: &mut Rest = &mut found[at];
                        known.verdict = known.verdict.clone().and(verdict);
                    }
                    None => {
                        found_at.insert(print, found.len());
                        found.push(Rest { whole, atoms, verdict, taken, is_shown });
                    }
                }
            }
            judged.insert((print, tables));
        }
    }
    found
}

/// A name of a set of atoms; two sets that share one are as likely as a flaw of the machine, and the audit would notice.
fn print(atoms: &[u32]) -> u128 {
    atoms.iter().fold(0_u128, |sum, &a| {
        let mark = u128::from(mix(u64::from(a))) << 64 | u128::from(mix(!u64::from(a)));
        sum.wrapping_add(mark)
    })
}

/// Level along the free dimension, and row, of the known cells of one table with one dimension free and the others each at
/// one level: they are nested along that dimension.
type Part = Vec<(u8, u32)>;

/// Each with its table.
fn parts(system: &System<'_>, known: &[Known]) -> Vec<(usize, Part)> {
    let mut parts: BTreeMap<(usize, usize, Vec<u8>), Part> = BTreeMap::new();
    for (t, table) in system.raw.tables.iter().enumerate() {
        for cell in table.cells.iter().filter(|cell| known[cell.row as usize] != Known::Hidden) {
            for free in 0..cell.key.len() {
                let others = cell.key.iter().enumerate().map(|(d, k)| if d == free { u8::MAX } else { k.0 });
                parts.entry((t, free, others.collect())).or_default().push((cell.key[free].0, cell.row));
            }
        }
    }
    parts.into_iter().map(|(key, part)| (key.0, part)).collect()
}

/// The rows of a part that hold each atom, the largest first.
struct Holders {
    /// Where those of an atom begin among `rows`.
    begin: Vec<usize>,
    rows: Vec<u32>,
}

impl Holders {
    fn of(system: &System<'_>, part: Part) -> Self {
        let atoms_of = |row: u32| &system.raw.rows[row as usize].atoms;
        let mut all: Vec<(u32, u8, u32)> =
            part.into_iter().flat_map(|(level, row)| atoms_of(row).iter().map(move |&a| (a, level, row))).collect();
        all.sort_unstable();
        // One row may be a cell at two levels.
        all.dedup_by_key(|one| (one.0, one.2));
        let mut begin = vec![0; system.raw.atoms.len() + 1];
        all.iter().for_each(|one| begin[one.0 as usize + 1] += 1);
        for a in 0..system.raw.atoms.len() {
            begin[a + 1] += begin[a];
        }
        Self { begin, rows: all.into_iter().map(|one| one.2).collect() }
    }

    fn of_atom(&self, atom: u32) -> &[u32] {
        &self.rows[self.begin[atom as usize]..self.begin[atom as usize + 1]]
    }
}

struct Scratch {
    /// By row: the last turn that met it, and how many of its atoms.
    met: Vec<(u32, u32)>,
    turn: u32,
}

impl Scratch {
    /// A row less the largest rows of a part that lie within it, and these rows; `None` where there is none, or no rest.
    fn less(&mut self, system: &System<'_>, holders: &Holders, whole: u32) -> Option<(Vec<u32>, Vec<u32>)> {
        self.turn += 1;
        let atoms = &system.raw.rows[whole as usize].atoms;
        for &row in atoms.iter().flat_map(|&a| holders.of_atom(a)) {
            let met = &mut self.met[row as usize];
            *met = if met.0 == self.turn { (self.turn, met.1 + 1) } else { (self.turn, 1) };
        }
        let lies_within = |row: &&u32| {
            **row != whole && self.met[**row as usize].1 as usize == system.raw.rows[**row as usize].atoms.len()
        };
        let (mut rest, mut taken) = (Vec::new(), Vec::new());
        for &a in atoms {
            match holders.of_atom(a).iter().find(lies_within) {
                Some(&row) => taken.push(row),
                None => rest.push(a),
            }
        }
        taken.sort_unstable();
        taken.dedup();
        (!rest.is_empty() && !taken.is_empty()).then_some((rest, taken))
    }
}

/// Withholds what the cheapest moves touch, found near the row or by a program over everything.
#[derive(Default)]
struct Widener {
    grid: Option<Grid>,
    /// Those of the pattern as it stood when the round began, and what was found since.
    circuits: Option<Circuits>,
    kelly: Option<Kelly>,
    /// Steps of programs that were given up.
    steps: u64,
    /// Rows withheld since they were last shown again.
    withheld: Vec<u32>,
    /// The row of each rest, and the row of a table that it is left of.
    wholes: BTreeMap<u32, u32>,
    /// Rests that rows shown for ever give away, to one contributor at least.
    told: HashSet<u32>,
    lasting: Lasting,
}

impl Widener {
    /// Meets a need, one attacker after another.
    fn serve(&mut self, system: &mut System<'_>, pool: &mut Pool, need: Need) -> Result<(), Hopeless> {
        let mut turns = 0;
        while let Some(wanted) = unmet(system, pool, need) {
            if turns < circuits::TURNS_MAX && self.widen(system, pool, &wanted) {
                turns += 1;
            } else {
                self.give_up(system, wanted)?;
            }
        }
        Ok(())
    }

    /// What became of every cell and rest, by the witnesses there are at the end.
    fn account(mut self, system: &mut System<'_>, pool: &Pool) -> Result<Remainders, Hopeless> {
        for need in super::needs(system) {
            while let Some(wanted) = unmet(system, pool, need) {
                self.give_up(system, wanted)?;
            }
        }
        Ok(Remainders { hidden: self.wholes.len() - self.told.len(), told: self.told.len() })
    }

    /// Asks no more what rows shown for ever tell by themselves: of a row where they tell everybody, of a contributor where
    /// they tell one. Anything else that is not met may not be left so.
    fn give_up(&mut self, system: &mut System<'_>, wanted: Unmet) -> Result<(), Hopeless> {
        let Need { row, side } = wanted.need;
        // Of a cell that was found out before.
        let Some(&whole) = self.wholes.get(&row) else { return Err(Hopeless::Row(row)) };
        let who = wanted.attackers.first().copied();
        if !self.lasting.tells(system, &Unmet { attackers: who.into_iter().collect(), ..wanted }) {
            return Err(Hopeless::Rest(whole));
        }
        self.told.insert(row);
        match who {
            Some(who) => {
                system.already_known.insert((row, side == Side::Up, who));
            }
            None => system.verdict[row as usize] = None,
        }
        Ok(())
    }

    /// Withholds what the cheaper of two moves touches; where there is neither, what holds the rest.
    fn widen(&mut self, system: &mut System<'_>, pool: &mut Pool, wanted: &Unmet) -> bool {
        let one = Unmet { attackers: wanted.attackers.iter().take(1).copied().collect(), ..wanted.clone() };
        let nearby = self.circuits.as_mut().and_then(|circuits| circuits.nearby(system, pool, &one, &mut self.steps));
        if let Some(witness) = nearby {
            pool.add(system, witness);
            return true;
        }
        let mut proposals: Vec<Proposal> = self.near(system, wanted, &one).into_iter().collect();
        // Nothing is cheaper than nothing.
        if proposals.iter().all(|(_, withheld)| !withheld.is_empty()) {
            proposals.extend(self.anywhere(system, &one));
        }
        let price = |proposal: &Proposal| proposal.1.iter().map(|&r| system.price[r as usize]).sum::<f64>();
        proposals.sort_by(|a, b| price(a).total_cmp(&price(b)).then(a.0.len().cmp(&b.0.len())));
        proposals.extend(alone(system, &one));
        for (moves, withheld) in proposals {
            for &row in &withheld {
                system.fate[row as usize] = Fate::Secondary;
                pool.withheld(row);
            }
            let family = Witness::family(system, &moves);
            if family.first().is_some_and(|witness| witness.meets(&one)) {
                for &row in &withheld {
                    self.kelly.as_mut().into_iter().for_each(|kelly| kelly.set_price(row, 0.0));
                }
                self.withheld.extend(withheld);
                if let (Some(circuits), Some(witness)) = (&mut self.circuits, family.first()) {
                    circuits.learn(system, &witness.moves);
                }
                family.into_iter().for_each(|witness| pool.add(system, witness));
                return true;
            }
            for &row in &withheld {
                system.fate[row as usize] = Fate::Open;
                pool.shown(row);
            }
        }
        false
    }

    /// The cheapest cubes.
    fn near(&mut self, system: &System<'_>, wanted: &Unmet, one: &Unmet) -> Option<Proposal> {
        let grid = &*self.grid.get_or_insert_with(|| Grid::new(&system.raw));
        let of = |wanted| Draft::of(grid, system, wanted, f64::INFINITY);
        let found = of(wanted).or_else(|| (wanted.attackers.len() > 1).then(|| of(one)).flatten())?;
        let moves = found.moves.into_iter().map(|(a, by)| (a, by as f64)).collect();
        Some((moves, found.withheld))
    }

    /// The cheapest move by a program, while there are steps for it.
    fn anywhere(&mut self, system: &System<'_>, wanted: &Unmet) -> Option<Proposal> {
        let most = STEPS_TIMES_ROWS / (system.raw.rows.len() as u64).max(1);
        if self.steps + self.kelly.as_ref().map_or(0, Kelly::steps) > most {
            return None;
        }
        let kelly = self.kelly.get_or_insert_with(|| Kelly::new(system));
        kelly.solve(system, wanted).and_then(|moves| kelly::judged(system, wanted, moves))
    }
}

/// What a need still lacks; nothing where the rest is given up.
fn unmet(system: &System<'_>, pool: &Pool, need: Need) -> Option<Unmet> {
    system.verdict[need.row as usize].as_ref().and_then(|_| pool.unmet(system, need))
}

/// The rest moves and nothing makes up for it: every shown row is withheld that holds what moves, totals among them. It takes
/// no search, and fails only where rows shown for ever hold too much of the rest.
fn alone(system: &System<'_>, wanted: &Unmet) -> Option<Proposal> {
    let mut left = wanted.distance;
    let mut moves: Vec<(u32, f64)> = Vec::new();
    let free = |a: &&u32| system.rows_of[**a as usize].iter().all(|&r| system.fate[r as usize] != Fate::Locked);
    for &a in system.raw.rows[wanted.need.row as usize].atoms.iter().filter(free) {
        let (above, below) = system.limits(a, &wanted.attackers);
        let (room, sign) = if wanted.need.side == Side::Up { (above, 1.0) } else { (Some(below), -1.0) };
        let by = room.map_or(left, |room| left.min(room as i64));
        if by > 0 {
            moves.push((a, sign * by as f64));
            left -= by;
        }
    }
    (left == 0).then(|| kelly::judged(system, wanted, moves)).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::super::microdata::{Column, Microdata};
    use super::super::super::policy::Spec;
    use super::super::super::tabulate::{RawTables, Row, tabulate};
    use super::super::cuts::tests::{draws, is_safe};
    use super::super::{Pattern, Told, needs, of_rows, suppress};
    use super::*;

    fn spec(insiders: bool) -> Spec {
        Spec::parse(&format!(
            "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\ndominance={{n=1,share=0.85}}\n\
             [protection]\ninsiders={insiders}\n[dimensions.zone]\nlevels=['zone']\n[dimensions.act]\n\
             levels=['section','division']\n[[tables]]\nname='t'\ndimensions=['zone','act']"
        ))
        .unwrap()
    }

    const DIVISIONS: [(&str, &str); 5] = [("A", "A1"), ("A", "A2"), ("A", "A3"), ("B", "B1"), ("B", "B2")];

    /// A table of two zones and five divisions in two sections, most cells of few contributors, one of them in many.
    fn table(seed: u64) -> RawTables {
        table_of(seed, 1)
    }

    /// The same of weights that are so much at least.
    fn table_of(seed: u64, least: u64) -> RawTables {
        let mut draw = draws(seed);
        let (mut who, mut weight, mut codes) = (vec![], vec![], vec![]);
        for zone in ["x", "y"] {
            for (section, division) in DIVISIONS {
                for _ in 0..[1, 1, 2, 4, 5][draw(5) as usize] {
                    who.push(format!("{}", draw(3) * draw(14)));
                    let by = draw(40);
                    weight.push(if least == 0 && by < 16 { 0 } else { 1 + by });
                    codes.push((zone, section, division));
                }
            }
        }
        let column = |name: &str, of: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
            Column::of(name, &codes.iter().map(|c| Some(of(c))).collect::<Vec<_>>())
        };
        let columns = vec![column("zone", |c| c.0), column("section", |c| c.1), column("division", |c| c.2)];
        let ids = (0..who.len()).map(|i| i.to_string()).collect();
        tabulate(&Microdata::new(ids, &who, weight, columns), &spec(false)).unwrap()
    }

    /// Whether somebody who takes any choice of shown cells of the table away from a shown one, each within it and none
    /// twice, is left with an unsafe sum that is no row, and of which something is asked that zeros shown for ever allow.
    fn leaves_a_rest(raw: &RawTables, system: &System<'_>, guard: Guard<'_>) -> bool {
        let is_zero = |a: u32| system.rows_of[a as usize].iter().any(|&r| system.fate[r as usize] == Fate::Locked);
        let shown: Vec<&Vec<u32>> =
            (0..raw.rows.len()).filter(|&r| system.fate[r].is_shown()).map(|r| &raw.rows[r].atoms).collect();
        let breaks = |rest: &[u32]| {
            let (contributions, counts) = raw.largest_first(rest);
            let establishments = rest.iter().map(|&a| raw.atoms[a as usize].establishments).sum();
            let cell = primary::Cell { establishments, contributions: &contributions, counts: &counts };
            let Some(verdict) = primary::judge(&cell, guard.rules, guard.protection) else { return false };
            let of = |a: &u32| &raw.atoms[*a as usize];
            let up = |a: &u32| of(a).greatest.map_or(verdict.level, |end| end - of(a).value);
            let down: u64 = rest.iter().map(|a| of(a).value - of(a).least).sum();
            let asked = verdict.level.min(rest.iter().map(up).sum());
            let goes: u64 = rest.iter().filter(|a| !is_zero(**a)).map(up).sum();
            asked.max(verdict.level.min(down)) > 0 && asked <= goes
        };
        // Depth first: each shown cell in turn taken away or not.
        fn some(shown: &[&Vec<u32>], from: usize, rest: &[u32], is_left: &dyn Fn(&[u32]) -> bool) -> bool {
            (from..shown.len()).any(|i| {
                let within = shown[i].iter().all(|a| rest.binary_search(a).is_ok());
                if !within || shown[i].len() == rest.len() {
                    return false;
                }
                let less: Vec<u32> = rest.iter().copied().filter(|a| shown[i].binary_search(a).is_err()).collect();
                is_left(&less) || some(shown, i + 1, &less, is_left)
            })
        }
        let is_left = |rest: &[u32]| breaks(rest) && raw.rows.iter().all(|row| row.atoms != rest);
        shown.iter().any(|whole| some(&shown, 0, whole, &is_left))
    }

    #[test]
    fn no_choice_of_shown_cells_taken_from_a_shown_cell_leaves_an_unsafe_sum() {
        let (mut before, mut hidden) = (0, 0);
        for seed in 1..60 {
            let raw = table(seed);
            for insiders in [false, true] {
                let Spec { rules, protection, .. } = spec(insiders);
                let guard = Guard { rules: &rules, protection: &protection };
                let Ok(alone) = of_rows(&raw, &rules, &protection, &[], Told::default(), None) else { continue };
                before += usize::from(leaves_a_rest(&raw, &alone.system, guard));
                let pattern = suppress(&raw, &rules, &protection, &[], Told::default()).unwrap();
                assert!(!leaves_a_rest(&raw, &pattern.system, guard), "{seed} {insiders}");
                assert_eq!(pattern.remainders.told, 0, "{seed} {insiders}");
                hidden += pattern.remainders.hidden;
                // Rests have needs like those of cells; one by one they are asked of the outsider's program.
                for need in needs(&pattern.system) {
                    assert_eq!(pattern.pool.unmet(&pattern.system, need), None, "{seed} {insiders}");
                }
                assert!(insiders || is_safe(&pattern.system), "{seed}");
                // Where the rows alone leave no rest, guarding rests costs nothing but the gap of the search.
                let (with, without) = (pattern.system.cost(), alone.system.cost());
                assert!(
                    leaves_a_rest(&raw, &alone.system, guard) || with <= without * 1.0075 + 1e-6,
                    "{seed} {insiders}"
                );
            }
        }
        assert!(before > 10 && hidden > 10, "{before} tables with a rest, {hidden} rests");
    }

    /// Rules of every kind, zeros known and protected, and atoms of which everybody knows what they are.
    fn variants(seed: u64) -> (RawTables, Spec) {
        let mut spec = spec(false);
        let more = [
            "min_contributors=3\ndominance={n=1,share=0.85}",
            "p_percent=30",
            "min_count=4",
            "min_contributors=2\ndominance={n=2,share=0.9}",
            "[rules.establishments]\nmin_count=4",
        ];
        let mut raw = table_of(seed, seed % 3 % 2);
        if !seed.is_multiple_of(3) {
            let rules = more[(seed % 5) as usize];
            let rules = if rules.starts_with('[') { rules.to_string() } else { format!("[rules]\n{rules}") };
            let text = format!(
                "contributor='c'\nweight='w'\n{rules}\n[protection]\ninsiders=false\nzeros='{}'\n\
                 [dimensions.zone]\nlevels=['zone']\n[dimensions.act]\nlevels=['section','division']\n\
                 [[tables]]\nname='t'\ndimensions=['zone','act']",
                ["known", "protected"][(seed / 5 % 2) as usize],
            );
            spec = Spec::parse(&text).unwrap();
            for atom in raw.atoms.iter_mut().skip(seed as usize % 2).step_by(2).filter(|_| seed.is_multiple_of(2)) {
                (atom.least, atom.greatest) = (atom.value, Some(atom.value));
            }
            for row in &mut raw.rows {
                *row = Row::of(row.atoms.clone(), &raw.atoms);
            }
        }
        (raw, spec)
    }

    #[test]
    fn no_pattern_without_rests_breaks_a_cut_of_rests_or_costs_less_than_the_bound_with_them() {
        let (mut of_sums, mut of_patterns, mut bounds) = (0, 0, 0);
        for seed in 1..240 {
            let (raw, Spec { rules, protection, .. }) = variants(seed);
            let guard = Guard { rules: &rules, protection: &protection };
            let mut system = System::new(&raw, &rules, &protection, &[]);
            let open: Vec<u32> =
                (0..raw.rows.len() as u32).filter(|&r| system.fate[r as usize] == Fate::Open).collect();
            if open.len() > 10 {
                continue; // the choices to try double with each
            }
            let Ok(alone) = of_rows(&raw, &rules, &protection, &[], Told::default(), None) else { continue };
            let cuts = [guard.cuts_of_sums(&system), guard.cuts(&alone.system, &alone.pool)];
            let bound = |guard| {
                let pattern = of_rows(&raw, &rules, &protection, &[], Told::default(), guard).unwrap();
                pattern.found.unwrap().bound
            };
            let (bound, without) = (bound(Some(guard)), bound(None));
            bounds += usize::from(bound > without + 1e-6);
            for choice in 0..1_u32 << open.len() {
                for (i, &r) in open.iter().enumerate() {
                    system.fate[r as usize] = if choice >> i & 1 == 1 { Fate::Secondary } else { Fate::Open };
                }
                let taken = |&&(r, _): &&(u32, f64)| system.fate[r as usize] == Fate::Secondary;
                let holds = |cut: &Cut| cut.iter().filter(taken).map(|c| c.1).sum::<f64>() >= 1.0 - 1e-9;
                let broken = [0, 1].map(|i: usize| !cuts[i].iter().all(holds));
                if broken == [false, false] && system.cost() > bound - 1e-6 {
                    continue;
                }
                let leaves = leaves_a_rest(&raw, &system, guard);
                of_sums += usize::from(broken[0] && leaves);
                of_patterns += usize::from(broken[1] && leaves);
                assert!(leaves || !is_safe(&system), "{seed} {choice:b}: {broken:?}, {} of {bound}", system.cost());
            }
        }
        assert!(of_sums > 100 && of_patterns > 30 && bounds > 5, "{of_sums}, {of_patterns}, {bounds}");
    }

    #[test]
    fn what_everybody_knows_and_what_zeros_keep_from_moving_ask_for_no_cut() {
        let (mut asked, mut beside_zeros) = (0, 0);
        for seed in 1..80 {
            let Spec { rules, protection, .. } = spec(false);
            let guard = Guard { rules: &rules, protection: &protection };
            let mut raw = table_of(seed, 0);
            let refit = |raw: &mut RawTables, greatest: &dyn Fn(u64) -> u64, least: &dyn Fn(u64) -> u64| {
                for atom in &mut raw.atoms {
                    (atom.least, atom.greatest) = (least(atom.value), Some(greatest(atom.value)));
                }
                for row in &mut raw.rows {
                    *row = Row::of(row.atoms.clone(), &raw.atoms);
                }
            };
            refit(&mut raw, &|value| value + 1, &|_| 0);
            let system = System::new(&raw, &rules, &protection, &[]);
            let zeros: Vec<u32> = (0..raw.rows.len())
                .filter(|&r| system.fate[r] == Fate::Locked)
                .flat_map(|r| raw.rows[r].atoms.clone())
                .collect();
            for cut in guard.cuts_of_sums(&system) {
                asked += 1;
                let whole = cut.iter().map(|c| &raw.rows[c.0 as usize].atoms).max_by_key(|atoms| atoms.len()).unwrap();
                assert!(!whole.iter().any(|a| zeros.contains(a)), "{seed}: {cut:?}");
            }
            beside_zeros += usize::from(!zeros.is_empty());
            refit(&mut raw, &|value| value, &|value| value);
            assert!(guard.cuts_of_sums(&System::new(&raw, &rules, &protection, &[])).is_empty(), "{seed}");
        }
        assert!(asked > 20 && beside_zeros > 20, "{asked} cuts, {beside_zeros} tables with zeros");
    }

    #[test]
    fn what_is_withheld_for_rests_leaves_every_need_of_every_cell_met_beside_zeros_too() {
        let (mut hidden, mut zeros) = (0, 0);
        for seed in 1..80 {
            let raw = table_of(seed, 0);
            let Spec { rules, protection, .. } = spec(true);
            let Ok(pattern) = suppress(&raw, &rules, &protection, &[], Told::default()) else { continue };
            hidden += pattern.remainders.hidden;
            zeros += raw.rows.iter().filter(|row| row.value == 0).count();
            for need in needs(&pattern.system) {
                assert_eq!(pattern.pool.unmet(&pattern.system, need), None, "{seed}");
            }
        }
        assert!(hidden > 5 && zeros > 20, "{hidden} rests, {zeros} cells of nobody");
    }

    #[test]
    fn a_rest_that_is_public_for_ever_is_told_and_not_hidden() {
        // Nine firms in A1, one in each of A2 and A3: with A and A1 shown before, the two are left.
        let mut codes = vec!["A1"; 9];
        codes.extend(["A2", "A3", "B1", "B1", "B1"]);
        let columns = vec![
            Column::of("zone", &vec![Some("x"); codes.len()]),
            Column::of("section", &codes.iter().map(|c| Some(&c[..1])).collect::<Vec<_>>()),
            Column::of("division", &codes.iter().map(|c| Some(*c)).collect::<Vec<_>>()),
        ];
        let who: Vec<String> = (0..codes.len()).map(|i| i.to_string()).collect();
        let micro = Microdata::new(who.clone(), &who, vec![10; codes.len()], columns);
        let Spec { rules, protection, .. } = spec(false);
        let raw = tabulate(&micro, &spec(false)).unwrap();
        let of = |locked: &[bool]| suppress(&raw, &rules, &protection, locked, Told::default()).unwrap().remainders;
        assert_eq!(of(&[]), Remainders { hidden: 1, told: 0 });
        // All that is safe was shown: it holds three firms at least.
        let before: Vec<bool> = raw.rows.iter().map(|row| row.value >= 30).collect();
        assert_eq!(of(&before), Remainders { hidden: 0, told: 1 });
    }

    #[test]
    fn a_rest_that_is_left_when_rounds_are_over_is_neither_hidden_nor_told() {
        let (mut hidden, mut refused) = (0, 0);
        for seed in 1..60 {
            let raw = table(seed);
            let Spec { rules, protection, .. } = spec(true);
            let guard = Guard { rules: &rules, protection: &protection };
            let within = |rounds| {
                let Pattern { mut system, mut pool, .. } =
                    of_rows(&raw, &rules, &protection, &[], Told::default(), None).ok()?;
                let found = !rests(&system, &pool, guard).is_empty();
                let became = hide_within(rounds, &mut system, &mut pool, guard);
                if let Err(Hopeless::Row(_)) = became {
                    panic!("{seed}: a rest is refused, and no row");
                }
                let left = needs(&system).iter().any(|&need| pool.unmet(&system, need).is_some());
                assert!(became.is_err() || !left, "{seed}");
                // A row of a table, which a message can name.
                let names_a_row = |no: &Hopeless| (no.row() as usize) < raw.rows.len();
                assert!(became.as_ref().err().is_none_or(names_a_row), "{seed}");
                Some((found, became))
            };
            let (Some((found, none)), Some((_, all))) = (within(0), within(ROUNDS_MAX)) else { continue };
            let all = all.unwrap();
            assert_eq!((all.told, all.hidden > 0), (0, found), "{seed}");
            hidden += all.hidden;
            // What is withheld already may keep a rest: then no round is needed.
            refused += usize::from(none.is_err());
        }
        assert!(hidden > 4 && refused > 4, "{hidden} rests hidden, {refused} refused");
    }

    #[test]
    fn where_no_search_finds_a_move_all_that_holds_the_rest_is_withheld() {
        let mut moved = 0;
        for seed in 1..60 {
            let raw = table(seed);
            let Spec { rules, protection, .. } = spec(true);
            let Ok(Pattern { mut system, pool, .. }) = of_rows(&raw, &rules, &protection, &[], Told::default(), None)
            else {
                continue;
            };
            for rest in rests(&system, &pool, Guard { rules: &rules, protection: &protection }) {
                let row = system.hide(rest.atoms, rest.verdict);
                for need in Need::both(row) {
                    let Some(wanted) = pool.unmet(&system, need) else { continue };
                    let wanted = Unmet { attackers: wanted.attackers.into_iter().take(1).collect(), ..wanted };
                    let (moves, withheld) = alone(&system, &wanted).unwrap();
                    let fates = system.fate.clone();
                    withheld.iter().for_each(|&r| system.fate[r as usize] = Fate::Secondary);
                    assert!(Witness::read(&system, &moves).is_some_and(|witness| witness.meets(&wanted)), "{seed}");
                    system.fate = fates;
                    // What is shown for ever stays shown.
                    let total = rows_with(&system, moves[0].0);
                    total.iter().for_each(|&r| system.fate[r as usize] = Fate::Locked);
                    assert_eq!(alone(&system, &wanted).filter(|other| other.0 == moves), None, "{seed}");
                    total.iter().for_each(|&r| system.fate[r as usize] = Fate::Open);
                    moved += 1;
                }
            }
        }
        assert!(moved > 9, "{moved}");
    }

    /// The shown rows that hold an atom.
    fn rows_with(system: &System<'_>, atom: u32) -> Vec<u32> {
        let rows = system.rows_of[atom as usize].iter().copied();
        rows.filter(|&r| system.fate[r as usize] == Fate::Open).collect()
    }
}
