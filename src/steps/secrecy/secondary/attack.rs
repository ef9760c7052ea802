//! The attacker's program: how far can a row move while everything shown stays as it is, and if not far enough, why not.
//!
//! Movers are the rows and the atoms that are no row, and each row of several atoms is the sum of its parts. One program
//! looks for the smallest move that goes as far as a need asks: the fewer it touches, the fewer contributors can exclude
//! it. Where there is none another finds how far the row can go, and the prices of its constraints tell which shown rows
//! stand in the way: a *cut*, one of which must be withheld whatever else is (Fischetti & Salazar 2000, "Models and
//! algorithms for optimizing cell suppression in tabular data with linear constraints"; for insiders Salazar 2008,
//! "Statistical confidentiality: optimization techniques to protect tables").

use super::super::lp::{Column, Constraint, Method, Outcome, Program};
use super::system::{Fate, Parts, System};
use super::witness::{Side, Unmet};

/// Prices of constraints are rounded to multiples of one over this: they are ratios of small whole numbers. A cut holds
/// for any prices, so that rounding can only weaken it.
const PRICE_PARTS: f64 = 12.0;

/// Price of moving what is better left alone, where anything else costs one.
const DEAR: f64 = 1_000.0;

/// Needs for which a second program beside the first is worth its making.
const SIDE_BY_SIDE_MIN: usize = 12;

/// Below this a coefficient is nothing but rounding.
const NOTHING: f64 = 1e-6;

/// Rows of which enough must be withheld: the weights of those withheld must sum to 1 at least.
pub(super) type Cut = Vec<(u32, f64)>;

/// What the program answers.
pub(super) enum Answer {
    /// The need is met by this move, by atom.
    Far(Vec<(u32, f64)>),
    /// It is not, and will not be before these cuts hold; the first is of the need itself.
    Near(Vec<Cut>),
    /// No verdict.
    Unknown,
}

/// A row, or an atom that is no row.
struct Mover {
    /// How far anybody knows it may go, up (perhaps without end) and down.
    up: f64,
    down: f64,
    /// How much of it may move.
    share: f64,
    /// Row, if it is one.
    row: Option<u32>,
}

impl Mover {
    /// How far it may move, up and down, by what anybody knows and its share.
    fn room(&self, cap: f64) -> (f64, f64) {
        (cap.min(self.up) * self.share, self.down * self.share)
    }
}

pub(super) struct Attack {
    /// Programs over the movers that move at all; none when one more does since they were built.
    programs: Option<Programs>,
    /// Mover of a row; `None` for those locked.
    row: Vec<Option<u32>>,
    /// Mover of an atom: the row that is this atom alone, if there is one.
    atom: Vec<Option<u32>>,
    movers: Vec<Mover>,
    /// Sums of movers which are zero.
    equations: Vec<Vec<(u32, f64)>>,
    /// Greatest move up of anything.
    cap: f64,
    /// Steps of the simplex method in programs that are gone.
    steps: u64,
}

struct Programs {
    /// How far a row can move: a column for each mover that moves.
    far: Program,
    /// The smallest move that goes so far: two columns for each, one up and one down, the first at twice that of `far`. Not
    /// made before a move is asked for.
    small: Option<Program>,
    /// Column of a mover in `far`.
    column: Vec<Option<u32>>,
    /// Equation of each constraint.
    equation: Vec<u32>,
}

impl Programs {
    fn new(movers: &[Mover], equations: &[Vec<(u32, f64)>], cap: f64) -> Self {
        let mut column: Vec<Option<u32>> = vec![None; movers.len()];
        let mut of_far = Vec::new();
        for (mover, column) in movers.iter().zip(&mut column).filter(|(mover, _)| mover.share > 0.0) {
            *column = Some(of_far.len() as u32);
            let (up, down) = mover.room(cap);
            of_far.push(Column::new(0.0, -down, up));
        }
        let mut equation = Vec::new();
        let mut in_far: Vec<Constraint> = Vec::new();
        for (e, sum) in (0_u32..).zip(equations) {
            let one = |&(m, by): &(u32, f64)| column[m as usize].map(|c| (c, by));
            let sum: Vec<(u32, f64)> = sum.iter().filter_map(one).collect();
            if !sum.is_empty() {
                equation.push(e);
                in_far.push((0.0, 0.0, sum));
            }
        }
        let far = Program::minimise(&of_far, &in_far, Method::Primal);
        Self { far, small: None, column, equation }
    }

    /// Makes the program of the smallest move, over the columns there are.
    fn make_small(&mut self, movers: &[Mover], equations: &[Vec<(u32, f64)>], cap: f64) {
        let moving = movers.iter().zip(&self.column).filter(|(_, column)| column.is_some());
        let columns: Vec<Column> = moving
            .map(|(mover, _)| mover.room(cap))
            .flat_map(|(up, down)| [up, down].map(|greatest| Column::new(1.0, 0.0, greatest)))
            .collect();
        let both = |&(m, by): &(u32, f64)| {
            let column = self.column[m as usize];
            column.into_iter().flat_map(move |c| [(2 * c, by), (2 * c + 1, -by)])
        };
        let sums = self.equation.iter().map(|&e| (0.0, 0.0, equations[e as usize].iter().flat_map(both).collect()));
        self.small = Some(Program::minimise(&columns, &sums.collect::<Vec<Constraint>>(), Method::Dual));
    }

    fn bound(&mut self, mover: u32, up: f64, down: f64) {
        if let Some(column) = self.column[mover as usize] {
            self.far.set_bounds(column, -down, up);
            if let Some(small) = &mut self.small {
                small.set_bounds(2 * column, 0.0, up);
                small.set_bounds(2 * column + 1, 0.0, down);
            }
        }
    }

    fn steps(&self) -> u64 {
        self.far.steps + self.small.as_ref().map_or(0, |small| small.steps)
    }
}

impl Attack {
    /// The program with nothing but bare atoms moving: [`Attack::set`] lets rows move.
    pub fn new(system: &System<'_>) -> Self {
        let highest = system.verdict.iter().flatten().map(|u| u.level).max().unwrap_or(1);
        let mut movers: Vec<Mover> = Vec::new();
        let mut mover = |value: u64, least: u64, greatest: Option<u64>, row: Option<u32>| {
            let up = greatest.map_or(f64::INFINITY, |end| (end - value) as f64);
            movers.push(Mover { up, down: (value - least) as f64, share: if row.is_some() { 0.0 } else { 1.0 }, row });
            movers.len() as u32 - 1
        };
        let mut atom: Vec<Option<u32>> = vec![None; system.raw.atoms.len()];
        let mut fixed = vec![false; system.raw.atoms.len()];
        let mut row = Vec::with_capacity(system.raw.rows.len());
        for (r, of) in system.raw.rows.iter().enumerate() {
            let locked = system.fate[r] == Fate::Locked;
            let own = (!locked).then(|| mover(of.value, of.least, of.greatest, Some(r as u32)));
            if of.atoms.len() == 1 {
                atom[of.atoms[0] as usize] = own;
            }
            if locked && (of.atoms.len() == 1 || of.value == 0) {
                of.atoms.iter().for_each(|&a| fixed[a as usize] = true);
            }
            row.push(own);
        }
        for (a, of) in system.raw.atoms.iter().enumerate() {
            if atom[a].is_none() && !fixed[a] {
                atom[a] = Some(mover(of.value, of.least, of.greatest, None));
            }
        }
        let mut equations = Vec::new();
        for (r, of) in system.raw.rows.iter().enumerate() {
            if of.atoms.len() == 1 {
                continue;
            }
            let mut sum: Vec<(u32, f64)> = match &system.parts[r] {
                Parts::Rows(parts) => parts.iter().filter_map(|&p| row[p as usize]).map(|m| (m, 1.0)).collect(),
                Parts::Atoms => of.atoms.iter().filter_map(|&a| atom[a as usize]).map(|m| (m, 1.0)).collect(),
            };
            sum.extend(row[r].map(|m| (m, -1.0)));
            equations.push(sum);
        }
        let cap = 8.0 * highest as f64 + 100.0;
        Self { programs: None, row, atom, movers, equations, cap, steps: 0 }
    }

    /// The program of a pattern as it stands: what is withheld moves.
    pub fn standing(system: &System<'_>) -> Self {
        let mut attack = Self::new(system);
        let withheld = (0..system.raw.rows.len() as u32).filter(|&r| !system.fate[r as usize].is_shown());
        withheld.for_each(|r| attack.set(r, 1.0));
        attack
    }

    /// Steps of the simplex method so far.
    pub fn steps(&self) -> u64 {
        self.steps + self.programs.as_ref().map_or(0, Programs::steps)
    }

    /// Lets a row move: not at all when it is shown, fully when it is withheld, in part in a relaxation.
    pub fn set(&mut self, row: u32, share: f64) {
        let Some(mover) = self.row[row as usize] else { return };
        if self.movers[mover as usize].share == share {
            return;
        }
        self.movers[mover as usize].share = share;
        if self.programs.as_ref().is_some_and(|p| share > 0.0 && p.column[mover as usize].is_none()) {
            self.steps = self.steps();
            self.programs = None;
        }
        self.free(mover);
    }

    fn free(&mut self, mover: u32) {
        let Mover { up, down, .. } = self.movers[mover as usize];
        self.bound(mover, self.cap.min(up), down);
    }

    fn bound(&mut self, mover: u32, up: f64, down: f64) {
        let share = self.movers[mover as usize].share;
        if let Some(programs) = &mut self.programs {
            programs.bound(mover, up * share, down * share);
        }
    }

    /// Makes the programs that are asked, where there are none.
    fn make(&mut self, moves: bool) {
        let Self { movers, equations, cap, .. } = self;
        let programs = self.programs.get_or_insert_with(|| Programs::new(movers, equations, *cap));
        if moves && programs.small.is_none() {
            programs.make_small(movers, equations, *cap);
        }
    }

    /// Solves one need against all the attackers it names at once, or against the public. The move is given when `moves`
    /// asks for it.
    pub fn solve(&mut self, system: &System<'_>, wanted: &Unmet, moves: bool) -> Answer {
        let Some(target) = self.row[wanted.need.row as usize] else { return Answer::Unknown };
        self.make(moves);
        let known = self.known(system, wanted);
        for &(mover, up, down) in &known {
            self.bound(mover, self.cap.min(up), down);
        }
        let of_target = known.iter().find(|k| k.0 == target);
        let Mover { up, down, .. } = self.movers[target as usize];
        let (up, down) = of_target.map_or((self.cap.min(up), down), |k| (k.1.min(self.cap), k.2));
        let share = self.movers[target as usize].share;
        let answer = self.ask(system, wanted, target, (up * share, down * share), &known, moves);
        self.free(target);
        for &(mover, _, _) in &known {
            self.free(mover);
        }
        answer
    }

    fn ask(
        &mut self,
        system: &System<'_>,
        wanted: &Unmet,
        target: u32,
        (up, down): (f64, f64),
        known: &[(u32, f64, f64)],
        moves: bool,
    ) -> Answer {
        let need = wanted.distance as f64;
        let Some(Programs { far, small, column, .. }) = &mut self.programs else { return Answer::Unknown };
        let Some(of_target) = column[target as usize] else { return Answer::Unknown };
        let is_up = wanted.need.side == Side::Up;
        let limit = if is_up { up } else { down };
        let could = need <= limit;
        if let Some(small) = small.as_mut().filter(|_| moves && could) {
            let (to, back) = if is_up { (0, 1) } else { (1, 0) };
            small.set_bounds(2 * of_target + to, need, need);
            small.set_bounds(2 * of_target + back, 0.0, 0.0);
            match small.solve() {
                Outcome::Optimal(optimum) => {
                    let x = &optimum.columns;
                    let by = |m: u32| column[m as usize].map(|c| x[2 * c as usize] - x[2 * c as usize + 1]);
                    let moves = (0_u32..).zip(&self.atom).filter_map(|(a, m)| Some((a, by((*m)?)?)));
                    return Answer::Far(moves.filter(|m| m.1.abs() > NOTHING).collect());
                }
                Outcome::Infeasible if wanted.attackers.len() > 1 => return Answer::Near(Vec::new()),
                Outcome::Infeasible => {}
                Outcome::NoVerdict => return Answer::Unknown,
            }
        }
        let sign = if is_up { 1.0 } else { -1.0 };
        let (least, greatest) = if is_up { (-down, need.min(limit)) } else { (-need.min(limit), up) };
        far.set_bounds(of_target, least, greatest);
        far.set_cost(of_target, -sign);
        let optimum = far.solve().optimum();
        far.set_cost(of_target, 0.0);
        let Some(optimum) = optimum else { return Answer::Unknown };
        if sign * optimum.columns[of_target as usize] >= need - 1e-6 {
            return if moves { Answer::Unknown } else { Answer::Far(Vec::new()) };
        }
        let cuts = self.cuts(system, wanted, need, known, &optimum.row_prices);
        if cuts.is_empty() { Answer::Unknown } else { Answer::Near(cuts) }
    }

    /// The cuts of these needs, by place among them: half of them by this program and half by one beside
    /// it, whatever the machine, so that the answer is the same everywhere. After so many steps no further one is asked.
    pub fn cuts_of_all(&mut self, system: &System<'_>, asked: &[&Unmet], most: u64) -> Vec<(usize, Vec<Cut>)> {
        let ask = |attack: &mut Self, part: usize, parts: usize| {
            let end = attack.steps().saturating_add(most / parts as u64);
            let mut found = Vec::new();
            for (place, wanted) in asked.iter().enumerate().skip(part).step_by(parts) {
                if attack.steps() >= end {
                    break;
                }
                found.push(match attack.solve(system, wanted, false) {
                    Answer::Near(cuts) => (place, cuts),
                    Answer::Far(_) | Answer::Unknown => (place, Vec::new()),
                });
            }
            found
        };
        if asked.len() < SIDE_BY_SIDE_MIN {
            return ask(self, 0, 1);
        }
        let shares: Vec<f64> = self.movers.iter().map(|mover| mover.share).collect();
        let other = || {
            let mut other = Self::new(system);
            other.movers.iter_mut().zip(&shares).for_each(|(mover, &share)| mover.share = share);
            (ask(&mut other, 1, 2), other.steps())
        };
        let (mut found, (others, steps)) = std::thread::scope(|scope| {
            let other = scope.spawn(other);
            let found = ask(self, 0, 2);
            (found, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        self.steps += steps;
        found.extend(others);
        found.sort_unstable_by_key(|one| one.0);
        found
    }

    /// A move that meets an outsider's need and avoids what these contributors know wherever it can, each atom of theirs
    /// being dear.
    pub fn avoiding(&mut self, system: &System<'_>, wanted: &Unmet) -> Answer {
        self.make(true);
        let known: Vec<u32> = self.known(system, wanted).iter().map(|k| k.0).collect();
        self.price(&known, DEAR);
        let outsider = Unmet { attackers: Vec::new(), ..wanted.clone() };
        let answer = self.solve(system, &outsider, true);
        self.price(&known, 1.0);
        answer
    }

    fn price(&mut self, movers: &[u32], price: f64) {
        let Some(Programs { small: Some(small), column, .. }) = &mut self.programs else { return };
        for column in movers.iter().filter_map(|&m| column[m as usize]) {
            small.set_cost(2 * column, price);
            small.set_cost(2 * column + 1, price);
        }
    }

    /// How far what the attackers know lets movers go, up and down.
    fn known(&self, system: &System<'_>, wanted: &Unmet) -> Vec<(u32, f64, f64)> {
        let mut atoms: Vec<u32> =
            wanted.attackers.iter().flat_map(|&s| system.atoms_of[s as usize].iter().copied()).collect();
        atoms.sort_unstable();
        atoms.dedup();
        let limits = atoms.into_iter().filter_map(|a| {
            let mover = self.atom[a as usize]?;
            let (up, down) = system.limits(a, &wanted.attackers);
            Some((mover, up.map_or(f64::INFINITY, |up| up as f64), down as f64))
        });
        let mut limits: Vec<_> = limits.collect();
        limits.sort_unstable_by_key(|k| k.0);
        limits
    }

    /// The cut of the need, and that of the other side of its row where it is as near.
    fn cuts(
        &self,
        system: &System<'_>,
        wanted: &Unmet,
        need: f64,
        known: &[(u32, f64, f64)],
        prices: &[f64],
    ) -> Vec<Cut> {
        let target = self.row[wanted.need.row as usize].expect("asked for");
        let mut slope = vec![0.0; self.movers.len()];
        let of_constraints = self.programs.iter().flat_map(|p| &p.equation);
        for (&e, price) in of_constraints.zip(prices) {
            let price = (price * PRICE_PARTS).round() / PRICE_PARTS;
            if price != 0.0 {
                self.equations[e as usize].iter().for_each(|&(m, by)| slope[m as usize] += price * by);
            }
        }
        let own = slope[target as usize];
        if own.abs() < NOTHING {
            return Vec::new();
        }
        // The sum of slope times move is zero: so far, and no further, do the others let the target go.
        slope.iter_mut().for_each(|s| *s /= -own);
        let other = match wanted.need.side {
            Side::Up => Side::Down,
            Side::Down => Side::Up,
        };
        let level = system.verdict[wanted.need.row as usize].as_ref().map_or(0.0, |v| v.level as f64);
        let Mover { up, down, .. } = self.movers[target as usize];
        let sides = [(wanted.need.side, need), (other, level.min(if other == Side::Up { up } else { down }))];
        let mut cuts = Vec::new();
        for (side, need) in sides {
            if side == other && (need <= 0.0 || !wanted.attackers.is_empty()) {
                continue;
            }
            match self.cut(system, target, side, need, known, &slope) {
                Some(cut) => cuts.push(cut),
                None if side == wanted.need.side => return cuts,
                None => {}
            }
        }
        cuts
    }

    fn cut(
        &self,
        system: &System<'_>,
        target: u32,
        side: Side,
        need: f64,
        known: &[(u32, f64, f64)],
        slope: &[f64],
    ) -> Option<Cut> {
        let mut rest = need;
        let mut cut = Vec::new();
        for (m, slope) in slope.iter().enumerate() {
            if m as u32 == target || slope.abs() < NOTHING {
                continue;
            }
            let (up, down) = match known.binary_search_by_key(&(m as u32), |k| k.0) {
                Ok(at) => (known[at].1, known[at].2),
                Err(_) => (self.movers[m].up, self.movers[m].down),
            };
            // What the row can lend the target.
            let goes = if (*slope > 0.0) == (side == Side::Up) { up } else { down };
            let lends = if goes > 0.0 { (slope.abs() * goes).min(need) } else { 0.0 };
            match self.movers[m].row {
                _ if lends <= 0.0 => {}
                Some(row) if system.fate[row as usize] != Fate::Primary => cut.push((row, lends)),
                Some(_) | None => rest -= lends,
            }
            if rest <= NOTHING {
                return None;
            }
        }
        cut.iter_mut().for_each(|c| c.1 = (c.1 / rest).min(1.0));
        Some(cut)
    }
}
