//! The pattern of a large system, grown from the other end: everything is withheld at first, and rows are shown one by
//! one, the dearest first, as long as every need is still met.
//!
//! What can move while everything shown stays as it is forms a space; *circuits* are a basis of it, in whole numbers.
//! While nothing is shown each atom moves alone. Each row that is shown takes one circuit away, and the others that change
//! that row take it up, so that they change it no more: the elimination by which Langsrud (2024, "Secondary cell
//! suppression by Gaussian elimination") keeps unsafe cells from being worked out exactly. Here a circuit, as far as the
//! atoms it lowers allow, is a witness, so that intervals are kept, and contributors kept away, in the same pass. A witness
//! that a shown row breaks is mended in the same manner; where no single circuit goes far enough a linear program combines
//! those near by. It is small and starts from a point that satisfies it, since combinations of circuits need no equation.

use super::super::lp::{Column, Constraint, Program, in_whole_numbers};
use super::super::policy::Search;
use super::system::{Fate, System};
use super::witness::{Need, Pool, Side, Unmet, Witness, gcd};
use super::{Hopeless, needs};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Largest coefficient of a circuit; those of real tables stay below ten.
const COEFFICIENT_MAX: i64 = 10_000;

/// Circuits combined in one program, those that change the row and all: few at first, then more, then all there are.
const COMBINED: [(usize, usize); 3] = [(100, 300), (300, 600), (usize::MAX, usize::MAX)];

/// The same in the first program in whole numbers; and how many more than a combination in fractions takes are in the others.
const NEAR_WHOLE: (usize, usize) = (30, 60);
const BESIDE_WHOLE: [usize; 2] = [100, 600];

/// The same where more may be withheld, and how many rows may be.
const BESIDE_WIDER: usize = 200;
const WIDER_ROWS: [usize; 2] = [40, 160];

/// How far a whole combination may be from the smallest, and from the cheapest; after how many nodes its search
/// ends, times the circuits.
const WHOLE_GAP: f64 = 0.5;
const WIDER_GAP: f64 = 0.2;
const WHOLE_NODES_TIMES: i32 = 5_000;

/// How many times each circuit may take part: so many for each unit that is wanted; or so many times more or less than in a
/// combination that is near already. What one time costs beside the prices of rows.
const TIMES_EACH: f64 = 2.0;
const TIMES_NEAR: f64 = 10.0;
const TIMES_PRICE: f64 = 1e-3;

/// How far an open row may change: so many units for each that is wanted, and so many more.
const MOST_EACH: f64 = 2.0;
const MOST_MORE: f64 = 20.0;

/// Steps of the simplex method after which programs over more circuits than the first are given up, and after which all
/// are. A limit of steps and not of seconds: the pattern is the same on every machine. What is not decided by then is
/// still tried, by circuits and mending alone.
const STEPS_WIDE: u64 = 200_000;
pub(super) const STEPS_MAX: u64 = 500_000;

/// The same of a quick search, and of a glance.
const QUICK_WIDE: u64 = 20_000;
const QUICK_MAX: u64 = 50_000;
const GLANCE_WIDE: u64 = 5_000;
const GLANCE_MAX: u64 = 15_000;

/// Witnesses tried when one is to be mended, and circuits tried on each.
const BROKEN_MAX: usize = 10;
const WAYS_MAX: usize = 20;

/// Witnesses that are led around what an attacker knows, circuits tried for it, and atoms that one is led around.
const LED_MAX: usize = 5;
const DETOURS_MAX: usize = 10;
const CORNERS_MAX: usize = 3;

/// Attackers of one need met one after another.
pub(super) const TURNS_MAX: usize = 400;

/// Change of each atom that changes, ascending, without common divisor.
type Circuit = Vec<(u32, i64)>;

/// Withholds everything that may be and shows the rows again that no need asks for: the dearest first, and last those that
/// a master would withhold.
///
/// # Errors
/// A row that cannot be protected even with everything withheld: then what is withheld means nothing.
pub(super) fn show_most(
    system: &mut System<'_>,
    pool: &mut Pool,
    search: Search,
    last: &[u32],
) -> Result<(), Hopeless> {
    let mut rows: Vec<u32> =
        (0..system.raw.rows.len() as u32).filter(|&r| system.fate[r as usize] == Fate::Open).collect();
    rows.sort_by(|&r, &s| system.price[s as usize].total_cmp(&system.price[r as usize]).then(r.cmp(&s)));
    rows.sort_by_key(|r| last.binary_search(r).is_ok());
    for &row in &rows {
        system.fate[row as usize] = Fate::Secondary;
        pool.withheld(row);
    }
    // Whether there is any pattern is decided however long it takes.
    let mut circuits = Circuits::after(system)?.without_limits();
    if let Some(need) = needs(system).into_iter().find(|&need| !circuits.serve(system, pool, None, need)) {
        return Err(Hopeless::Row(need.row));
    }
    circuits.steps = 0;
    circuits.limits = match search {
        Search::Thorough => (STEPS_WIDE, STEPS_MAX),
        Search::Quick => (QUICK_WIDE, QUICK_MAX),
        Search::Glance => (GLANCE_WIDE, GLANCE_MAX),
    };
    circuits.show_each(system, pool, &rows, |_, _| true, Broken::Forgotten);
    Ok(())
}

/// Shows the rows again that no need asks for, where what is withheld is safe already.
pub(super) fn show_again(system: &mut System<'_>, pool: &mut Pool) {
    show_where(system, pool, |_, _| true, Broken::Forgotten);
}

/// [`show_again`], of those rows alone that may be shown as the pattern stands; gives the steps it took.
pub(super) fn show_where(
    system: &mut System<'_>,
    pool: &mut Pool,
    may: impl Fn(&System<'_>, u32) -> bool,
    broken: Broken,
) -> u64 {
    let Ok(mut circuits) = Circuits::standing(system) else { return 0 };
    let secondary = |r: &u32| system.fate[*r as usize] == Fate::Secondary;
    let mut rows: Vec<u32> = (0..system.raw.rows.len() as u32).filter(secondary).collect();
    rows.sort_by(|&r, &s| system.price[s as usize].total_cmp(&system.price[r as usize]).then(r.cmp(&s)));
    circuits.limits = (QUICK_WIDE, QUICK_MAX);
    circuits.show_each(system, pool, &rows, may, broken);
    circuits.steps
}

/// What becomes of witnesses that change a row which is shown for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// They take no more room.
    Forgotten,
    /// The row may be withheld again.
    Kept,
}

/// What circuits say of needs while the pattern stays as it is.
#[derive(Default)]
pub(super) struct Met {
    /// Needs, with one attacker or with none, that cannot be met.
    pub near: HashSet<(Need, Option<u32>)>,
    /// Steps of the simplex method.
    pub steps: u64,
}

/// See the top of this file.
#[derive(Clone)]
pub(super) struct Circuits {
    /// Empty once its freedom has been taken.
    circuits: Vec<Circuit>,
    /// Whether they are all the freedom there is: not once a row was withheld since.
    are_all: bool,
    /// How far each goes on both sides before an atom is empty.
    room: Vec<i64>,
    /// Circuits that change an atom, among some that did.
    of_atom: Vec<Vec<u32>>,
    /// Steps of the simplex method so far, and after how many only the first programs, and none, are asked.
    steps: u64,
    limits: (u64, u64),
    /// Work space: how much a circuit changes a row, once it has been met; the last turn which saw a circuit, or an atom;
    /// the place of an atom in a program.
    change: Vec<Option<i64>>,
    seen: Vec<u64>,
    seen_atom: Vec<u64>,
    place: Vec<u32>,
    turn: u64,
}

/// The circuits that showing a row has changed, as they were, and by how much they changed the row.
struct Before(Vec<(u32, i64, Circuit)>);

impl Circuits {
    /// Every atom that can move moves alone.
    fn new(system: &System<'_>) -> Self {
        let atoms = system.raw.atoms.len();
        let (mut circuits, mut of_atom) = (Vec::new(), vec![Vec::new(); atoms]);
        for a in 0..atoms as u32 {
            if system.limits(a, &[]) != (Some(0), 0) && !system.is_known_zero(a) {
                of_atom[a as usize].push(circuits.len() as u32);
                circuits.push(vec![(a, 1)]);
            }
        }
        let all = circuits.len();
        let room = circuits.iter().map(|circuit| room(system, circuit)).collect();
        Self {
            circuits,
            are_all: true,
            room,
            of_atom,
            steps: 0,
            limits: (STEPS_WIDE, STEPS_MAX),
            change: vec![None; all],
            seen: vec![0; all],
            seen_atom: vec![0; atoms],
            place: vec![0; atoms],
            turn: 0,
        }
    }

    /// However long programs take.
    pub fn without_limits(self) -> Self {
        Self { limits: (u64::MAX, u64::MAX), ..self }
    }

    /// Those that leave the rows alone which are shown for ever.
    ///
    /// # Errors
    /// A row that is beyond reckoning.
    pub fn after(system: &System<'_>) -> Result<Self, Hopeless> {
        Self::leaving(system, |row| system.fate[row as usize] == Fate::Locked)
    }

    /// Those that leave the rows alone which are shown, as the pattern stands.
    ///
    /// # Errors
    /// A row that is beyond reckoning.
    pub fn standing(system: &System<'_>) -> Result<Self, Hopeless> {
        Self::leaving(system, |row| system.fate[row as usize].is_shown())
    }

    /// Adds what circuits meet of these needs, one attacker at a time.
    /// After so many steps of programs, only single circuits are tried.
    pub fn meet(&mut self, system: &System<'_>, pool: &mut Pool, needs: &[Need], steps: u64) -> Met {
        let mut met = Met::default();
        (self.steps, self.limits) = (0, (steps.min(STEPS_WIDE), steps));
        for &need in needs {
            let mut given_up: Vec<u32> = Vec::new();
            while let Some(wanted) = pool.unmet(system, need) {
                let who = wanted.attackers.iter().copied().find(|s| !given_up.contains(s));
                if who.is_none() && !wanted.attackers.is_empty() {
                    break;
                }
                let one = Unmet { attackers: who.into_iter().collect(), ..wanted };
                let found = self.without_program(system, pool, &one);
                match found.map_or_else(|| self.combined(system, &one), Combined::Far) {
                    Combined::Far(witness) => pool.add(system, witness),
                    answer => {
                        if matches!(answer, Combined::Near) {
                            met.near.insert((need, who));
                        }
                        let Some(who) = who else { break };
                        given_up.push(who);
                    }
                }
            }
        }
        met.steps = self.steps;
        met
    }

    /// A row was withheld since, so that there is more freedom than these know.
    pub fn outgrown(&mut self) {
        self.are_all = false;
    }

    /// Takes up a move as one circuit more: rows withheld since these were made let it move.
    pub fn learn(&mut self, system: &System<'_>, moves: &[(u32, i64)]) {
        let common = moves.iter().fold(0, |common, m| gcd(common, m.1)).max(1);
        let circuit: Circuit = moves.iter().map(|&(a, by)| (a, by / common)).collect();
        if circuit.is_empty() || circuit.iter().any(|c| c.1.abs() > COEFFICIENT_MAX) {
            return;
        }
        let id = self.circuits.len() as u32;
        self.room.push(0);
        self.change.push(None);
        self.seen.push(0);
        self.circuits.push(Vec::new());
        self.replace(system, id, circuit);
    }

    /// A witness of a need by a single circuit, by one led around its attacker, or by a few combined; counts the steps.
    pub fn nearby(&mut self, system: &System<'_>, pool: &Pool, wanted: &Unmet, steps: &mut u64) -> Option<Witness> {
        let before = self.steps;
        let found = self.without_program(system, pool, wanted).or_else(|| {
            let across: Vec<u32> = self.across(system, wanted.need.row).into_iter().map(|c| c.0).collect();
            let (near, all) = COMBINED[0];
            let (ids, _) = self.near(wanted, &across, near, all);
            match self.combine(system, wanted, &ids) {
                Combined::Far(witness) => Some(witness),
                Combined::Near | Combined::Unknown => None,
            }
        });
        *steps += self.steps - before;
        found
    }

    fn without_program(&mut self, system: &System<'_>, pool: &Pool, wanted: &Unmet) -> Option<Witness> {
        self.single(system, wanted).or_else(|| self.led_around(system, pool, wanted))
    }

    /// Whether they are all the freedom there is, so that what is near for them is near.
    pub fn are_all(&self) -> bool {
        self.are_all
    }

    /// Those that leave these rows alone.
    fn leaving(system: &System<'_>, alone: impl Fn(u32) -> bool) -> Result<Self, Hopeless> {
        let mut circuits = Self::new(system);
        for (row, of) in (0_u32..).zip(&system.raw.rows) {
            if alone(row) && of.value > 0 && circuits.show(system, row).is_none() {
                return Err(Hopeless::Row(row));
            }
        }
        Ok(circuits)
    }

    /// Shows those of these rows that may be shown and that no need asks for, in this order.
    fn show_each(
        &mut self,
        system: &mut System<'_>,
        pool: &mut Pool,
        rows: &[u32],
        may: impl Fn(&System<'_>, u32) -> bool,
        of_broken: Broken,
    ) {
        // Needs that have stood in the way before do so most often again.
        let mut failed: HashMap<Need, u32> = HashMap::new();
        for &row in rows {
            if !may(system, row) {
                continue;
            }
            let Some(before) = self.show(system, row) else { continue };
            system.fate[row as usize] = Fate::Open;
            pool.shown(row);
            let mend = Mend::new(system, row, &before);
            let broken = pool.broken_by(system, row).into_iter();
            let mut broken: Vec<Need> = broken.flat_map(Need::both).collect();
            broken.sort_by_cached_key(|need| (Reverse(failed.get(need).copied()), *need));
            match broken.into_iter().find(|&need| !self.serve(system, pool, Some(&mend), need)) {
                None if of_broken == Broken::Forgotten => pool.forget(row),
                None => {}
                Some(need) => {
                    *failed.entry(need).or_default() += 1;
                    system.fate[row as usize] = Fate::Secondary;
                    pool.withheld(row);
                    self.undo(system, before);
                }
            }
        }
    }

    /// The circuits that change a row, and by how much.
    fn across(&mut self, system: &System<'_>, row: u32) -> Vec<(u32, i64)> {
        let Self { circuits, of_atom, change, seen, turn, .. } = self;
        let mut ids = Vec::new();
        for &a in &system.raw.rows[row as usize].atoms {
            *turn += 1;
            of_atom[a as usize].retain(|&id| {
                if std::mem::replace(&mut seen[id as usize], *turn) == *turn {
                    return false;
                }
                let circuit = &circuits[id as usize];
                let Ok(at) = circuit.binary_search_by_key(&a, |c| c.0) else { return false };
                let sum = change[id as usize].get_or_insert_with(|| {
                    ids.push(id);
                    0
                });
                *sum += circuit[at].1;
                true
            });
        }
        ids.sort_unstable();
        let across = ids.into_iter().map(|id| (id, change[id as usize].take().unwrap_or(0)));
        across.filter(|c| c.1 != 0).collect()
    }

    /// Takes away the freedom to change a row; `None` where numbers would grow too large.
    fn show(&mut self, system: &System<'_>, row: u32) -> Option<Before> {
        let across = self.across(system, row);
        // One with much room, and short: all the others take it up.
        let fitness = |&&(id, by): &&(u32, i64)| {
            (by.abs(), self.room[id as usize].leading_zeros(), self.circuits[id as usize].len(), id)
        };
        let Some(&(pivot, by_pivot)) = across.iter().min_by_key(fitness) else { return Some(Before(Vec::new())) };
        let taken = self.replace(system, pivot, Vec::new());
        let mut before = Vec::with_capacity(across.len());
        for &(id, by) in across.iter().filter(|c| c.0 != pivot) {
            let Some(next) = without(&self.circuits[id as usize], by, &taken, by_pivot) else {
                before.push((pivot, by_pivot, taken));
                self.undo(system, Before(before));
                return None;
            };
            before.push((id, by, self.replace(system, id, next)));
        }
        before.push((pivot, by_pivot, taken));
        Some(Before(before))
    }

    fn undo(&mut self, system: &System<'_>, before: Before) {
        for (id, _, circuit) in before.0 {
            self.replace(system, id, circuit);
        }
    }

    fn replace(&mut self, system: &System<'_>, id: u32, next: Circuit) -> Circuit {
        self.room[id as usize] = room(system, &next);
        let before = std::mem::replace(&mut self.circuits[id as usize], next);
        for &(a, _) in &self.circuits[id as usize] {
            if before.binary_search_by_key(&a, |c| c.0).is_err() {
                self.of_atom[a as usize].push(id);
            }
        }
        before
    }

    /// Adds witnesses until a need is met.
    fn serve(&mut self, system: &System<'_>, pool: &mut Pool, mend: Option<&Mend>, need: Need) -> bool {
        for _ in 0..TURNS_MAX {
            let Some(wanted) = pool.unmet(system, need) else { return true };
            let one = Unmet { attackers: wanted.attackers.iter().take(1).copied().collect(), ..wanted };
            let found = mend.and_then(|mend| mend.witness(system, pool, &one));
            match found.or_else(|| self.single(system, &one)).map_or_else(|| self.combined(system, &one), Combined::Far)
            {
                Combined::Far(witness) => pool.add(system, witness),
                Combined::Near | Combined::Unknown => return false,
            }
        }
        false
    }

    /// The shortest circuit that meets a need by itself.
    pub fn single(&mut self, system: &System<'_>, wanted: &Unmet) -> Option<Witness> {
        let mut across = self.across(system, wanted.need.row);
        across.sort_unstable_by_key(|&(id, _)| (self.circuits[id as usize].len(), id));
        across.into_iter().find_map(|(id, by)| far_enough(system, &self.circuits[id as usize], by, wanted))
    }

    /// A witness of the need that its attacker excludes, led around an atom that the attacker knows by one circuit or two.
    pub fn led_around(&self, system: &System<'_>, pool: &Pool, wanted: &Unmet) -> Option<Witness> {
        let row = &system.raw.rows[wanted.need.row as usize].atoms;
        let far = |by: i64| if wanted.need.side == Side::Up { by } else { -by } >= wanted.distance;
        let movers = pool.movers(wanted.need.row);
        let known = movers
            .filter(|&(_, witness, by)| witness.scale == 1 && far(by) && witness.is_excluded_by(&wanted.attackers));
        for (_, witness, _) in known.take(LED_MAX) {
            let mut moves = witness.moves.clone();
            for _ in 0..CORNERS_MAX {
                let Some(&(atom, by)) = moves.iter().find(|m| !system.can_move(m.0, m.1, &wanted.attackers)) else {
                    break;
                };
                let mut next: Option<Circuit> = None;
                for &id in self.of_atom[atom as usize].iter().rev().take(DETOURS_MAX) {
                    let circuit = &self.circuits[id as usize];
                    let Ok(at) = circuit.binary_search_by_key(&atom, |c| c.0) else { continue };
                    let Some(other) = without(&moves, by, circuit, circuit[at].1) else { continue };
                    let by = moves_by(row, &other);
                    if let Some(found) = far_enough(system, &other, by, wanted) {
                        return Some(found);
                    }
                    if by != 0 && next.as_ref().is_none_or(|next| other.len() < next.len()) {
                        next = Some(other);
                    }
                }
                match next {
                    Some(next) => moves = next,
                    None => break,
                }
            }
        }
        None
    }

    /// A combination of circuits near the row.
    pub fn combined(&mut self, system: &System<'_>, wanted: &Unmet) -> Combined {
        let across: Vec<u32> = self.across(system, wanted.need.row).into_iter().map(|c| c.0).collect();
        for (stage, (near, all)) in COMBINED.into_iter().enumerate() {
            if self.steps > if stage == 0 { self.limits.1 } else { self.limits.0 } {
                return Combined::Unknown;
            }
            let (ids, whole) = self.near(wanted, &across, near, all);
            match self.combine(system, wanted, &ids) {
                Combined::Near if !whole || !self.are_all => {}
                answer => return answer,
            }
        }
        Combined::Unknown
    }

    /// A witness in whole units: by a single circuit, or by a whole combination of circuits near the row, or near those that a
    /// combination in fractions takes.
    pub fn whole(&mut self, system: &System<'_>, pool: &Pool, wanted: &Unmet) -> Option<Witness> {
        if let Some(witness) = self.without_program(system, pool, wanted) {
            return Some(witness);
        }
        let across: Vec<u32> = self.across(system, wanted.need.row).into_iter().map(|c| c.0).collect();
        let (near, all) = NEAR_WHOLE;
        let (ids, _) = self.near(wanted, &across, near, all);
        let found = self.combine_whole(system, wanted, &ids, &[], &[]);
        if let Some(witness) = found.and_then(|moves| meeting(system, moves, wanted)) {
            return Some(witness);
        }
        let (taken, nearest) = self.taken(system, wanted)?;
        BESIDE_WHOLE.into_iter().find_map(|beside| {
            let (ids, _) = self.near(wanted, &taken, usize::MAX, taken.len() + beside);
            let found = self.combine_whole(system, wanted, &ids, &nearest, &[]);
            found.and_then(|moves| meeting(system, moves, wanted))
        })
    }

    /// The circuits of a combination in fractions that meets a need, and its nearest combination in whole numbers: these
    /// circuits, each so many times.
    fn taken(&mut self, system: &System<'_>, wanted: &Unmet) -> Option<(Vec<u32>, Vec<(u32, i64)>)> {
        let across: Vec<u32> = self.across(system, wanted.need.row).into_iter().map(|c| c.0).collect();
        COMBINED.into_iter().find_map(|(near, all)| {
            let (ids, _) = self.near(wanted, &across, near, all);
            let Farthest::Reached { times, .. } = self.farthest(system, wanted, &ids) else { return None };
            let taken = || ids.iter().copied().zip(&times).filter(|(_, times)| times.abs() > NOTHING);
            let nearest = taken().map(|(id, times)| (id, times.round() as i64)).filter(|one| one.1 != 0);
            Some((taken().map(|one| one.0).collect(), nearest.collect()))
        })
    }

    /// A cheap whole move that meets a need where more is withheld, and the rows that this takes: some of the cheapest near a
    /// combination in fractions.
    pub fn wider(&mut self, system: &System<'_>, wanted: &Unmet) -> Option<(Vec<(u32, i64)>, Vec<u32>)> {
        let (taken, _) = self.taken(system, wanted)?;
        let (ids, _) = self.near(wanted, &taken, usize::MAX, taken.len() + BESIDE_WIDER);
        let atoms = ids.iter().flat_map(|&id| &self.circuits[id as usize]).map(|c| c.0);
        let is_open = |r: &u32| system.fate[*r as usize] == Fate::Open && system.raw.rows[*r as usize].value > 0;
        let rows: BTreeSet<u32> =
            atoms.flat_map(|a| system.rows_of[a as usize].iter().copied()).filter(is_open).collect();
        let mut cheapest: Vec<u32> = rows.into_iter().collect();
        cheapest.sort_by(|&r, &s| system.price[r as usize].total_cmp(&system.price[s as usize]).then(r.cmp(&s)));
        WIDER_ROWS.into_iter().find_map(|most| {
            let mut open: Vec<u32> = cheapest.iter().copied().take(most).collect();
            open.sort_unstable();
            let stays = |row: u32| system.fate[row as usize].is_shown() && open.binary_search(&row).is_err();
            let mut freer = Self::leaving(system, stays).ok()?;
            let (taken, nearest) = freer.taken(system, wanted)?;
            let (ids, _) = freer.near(wanted, &taken, usize::MAX, taken.len() + BESIDE_WIDER);
            let moves = freer.combine_whole(system, wanted, &ids, &nearest, &open)?;
            open.retain(|&row| moves_by(&system.raw.rows[row as usize].atoms, &moves) != 0);
            Some((moves, open))
        })
    }

    /// A whole combination of these circuits that moves a row as far as wanted, near another one and at most so far from it,
    /// and that changes few of the open rows, at their price.
    fn combine_whole(
        &self,
        system: &System<'_>,
        wanted: &Unmet,
        ids: &[u32],
        near: &[(u32, i64)],
        open: &[u32],
    ) -> Option<Circuit> {
        let of_row = &system.raw.rows[wanted.need.row as usize].atoms;
        let sign = if wanted.need.side == Side::Up { 1.0 } else { -1.0 };
        let need = wanted.distance as f64;
        let far = if near.is_empty() { TIMES_EACH * need } else { TIMES_NEAR };
        // What the other one does already: it changes each atom so far.
        let mut done: BTreeMap<u32, i64> = BTreeMap::new();
        for &(id, times) in near {
            self.circuits[id as usize].iter().for_each(|&(a, by)| *done.entry(a).or_default() += by * times);
        }
        let of = |atoms: &[u32]| atoms.iter().filter_map(|a| done.get(a)).sum::<i64>() as f64;
        let mut reached: Vec<(u32, f64)> = Vec::new();
        // A column for each open row: whether it changes.
        let changes = 2 * ids.len() as u32;
        let mut of_open: BTreeMap<u32, (u32, Vec<(u32, f64)>)> =
            (changes..).zip(open).map(|(column, &row)| (row, (column, Vec::new()))).collect();
        let mut of_atoms: BTreeMap<u32, Vec<(u32, f64)>> = done.keys().map(|&a| (a, Vec::new())).collect();
        // Each circuit has two columns: how many times more it is taken, and how many times less.
        for (column, &id) in (0_u32..).step_by(2).zip(ids) {
            let circuit = &self.circuits[id as usize];
            let both = |by: i64| [(column, by as f64), (column + 1, -by as f64)];
            let mut moves_open: BTreeMap<u32, i64> = BTreeMap::new();
            for &(a, by) in circuit {
                for row in system.rows_of[a as usize].iter().filter(|row| of_open.contains_key(row)) {
                    *moves_open.entry(*row).or_default() += by;
                }
                of_atoms.entry(a).or_default().extend(both(by));
            }
            for (row, by) in moves_open.into_iter().filter(|m| m.1 != 0) {
                of_open.entry(row).and_modify(|(_, sum)| sum.extend(both(by)));
            }
            let by = moves_by(of_row, circuit);
            if by != 0 {
                reached.extend(both(by).map(|(column, by)| (column, sign * by)));
            }
        }
        let atoms = of_atoms.into_iter().map(|(a, sum)| {
            let (up, down) = system.limits(a, &wanted.attackers);
            let done = of(&[a]);
            (-(down as f64) - done, up.map_or(f64::INFINITY, |up| up as f64) - done, sum)
        });
        let mut rows: Vec<Constraint> = atoms.collect();
        rows.push((need - sign * of(of_row), f64::INFINITY, reached));
        let most = MOST_EACH * need + MOST_MORE;
        for (row, (column, sum)) in of_open {
            let done = of(&system.raw.rows[row as usize].atoms);
            let both_ways = [1.0, -1.0].map(|way| {
                let sum = sum.iter().map(|&(c, by)| (c, way * by));
                (f64::NEG_INFINITY, -way * done, sum.chain([(column, -most)]).collect())
            });
            rows.extend(both_ways);
        }
        let (each, gap) = if open.is_empty() { (1.0, WHOLE_GAP) } else { (TIMES_PRICE, WIDER_GAP) };
        let nodes = (WHOLE_NODES_TIMES / ids.len().max(1) as i32).max(1);
        let mut columns = vec![Column::new(each, 0.0, far); 2 * ids.len()];
        columns.extend(open.iter().map(|&row| Column::new(system.price[row as usize], 0.0, 1.0)));
        let times = in_whole_numbers(&columns, &rows, gap, nodes)?;
        for (times, &id) in times.chunks_exact(2).zip(ids) {
            let times = (times[0] - times[1]).round() as i64;
            self.circuits[id as usize].iter().for_each(|&(a, by)| *done.entry(a).or_default() += by * times);
        }
        Some(done.into_iter().filter(|m| m.1 != 0).collect())
    }

    /// Circuits that change the row, then those that share an atom with them: those with room first, then the shortest; at
    /// last all that hang together with the row. Whether these are all that can matter.
    fn near(&mut self, wanted: &Unmet, across: &[u32], near: usize, all: usize) -> (Vec<u32>, bool) {
        let Self { circuits, of_atom, room, seen, seen_atom, turn, .. } = self;
        let fitness = |id: &u32| (Reverse(room[*id as usize].min(wanted.distance)), circuits[*id as usize].len(), *id);
        let mut ids: Vec<u32> = across.to_vec();
        ids.sort_by_cached_key(fitness);
        let mut whole = ids.len() <= near;
        ids.truncate(near);
        *turn += 1;
        ids.iter().for_each(|&id| seen[id as usize] = *turn);
        let mut last = 0..ids.len();
        while !last.is_empty() {
            let mut more: Vec<u32> = Vec::new();
            for &(a, _) in ids[last.clone()].iter().flat_map(|&id| &circuits[id as usize]) {
                if std::mem::replace(&mut seen_atom[a as usize], *turn) == *turn {
                    continue;
                }
                for &id in &of_atom[a as usize] {
                    if std::mem::replace(&mut seen[id as usize], *turn) != *turn && !circuits[id as usize].is_empty() {
                        more.push(id);
                    }
                }
            }
            whole &= all == usize::MAX || more.is_empty();
            // Of very many only the fittest are taken.
            if let Some(left) = all.checked_sub(ids.len()).filter(|&left| left < more.len()) {
                more.select_nth_unstable_by_key(left, fitness);
                more.truncate(left);
            }
            more.sort_by_cached_key(fitness);
            last = ids.len()..ids.len() + more.len();
            ids.extend(more);
            if all < usize::MAX {
                ids.truncate(all);
                break;
            }
        }
        (ids, whole)
    }

    /// How many times each of these circuits takes part in the farthest move of a row, if it goes as far as wanted.
    fn farthest(&mut self, system: &System<'_>, wanted: &Unmet, ids: &[u32]) -> Farthest {
        let Self { circuits, seen_atom, place, turn, .. } = self;
        *turn += 1;
        let mut atoms: Vec<u32> = Vec::new();
        let of_circuits = || ids.iter().map(|&id| &circuits[id as usize]);
        for &(a, _) in of_circuits().flatten() {
            if std::mem::replace(&mut seen_atom[a as usize], *turn) != *turn {
                atoms.push(a);
            }
        }
        atoms.sort_unstable();
        (0_u32..).zip(&atoms).for_each(|(at, &a)| place[a as usize] = at);
        let of_row = &system.raw.rows[wanted.need.row as usize].atoms;
        let in_row: Vec<bool> = atoms.iter().map(|a| of_row.binary_search(a).is_ok()).collect();
        let bounds = |&a: &u32| {
            let (up, down) = system.limits(a, &wanted.attackers);
            (-(down as f64), up.map_or(f64::INFINITY, |up| up as f64))
        };
        let mut rows: Vec<(f64, f64)> = atoms.iter().map(bounds).collect();
        // What the row moves, less the progress, which is what counts.
        let progress = rows.len() as u32;
        rows.push((f64::NEG_INFINITY, 0.0));
        let need = wanted.distance as f64;
        let sign = if wanted.need.side == Side::Up { -1 } else { 1 };
        let mut coefficients: Vec<(u32, f64)> = Vec::new();
        let mut ends = Vec::with_capacity(ids.len() + 1);
        for circuit in of_circuits() {
            let mut moves_row = 0;
            for &(a, by) in circuit {
                let at = place[a as usize];
                coefficients.push((at, by as f64));
                moves_row += if in_row[at as usize] { sign * by } else { 0 };
            }
            if moves_row != 0 {
                coefficients.push((progress, moves_row as f64));
            }
            ends.push(coefficients.len());
        }
        coefficients.push((progress, 1.0));
        ends.push(coefficients.len());
        let free = Column::new(0.0, f64::NEG_INFINITY, f64::INFINITY);
        let kinds = std::iter::repeat_n(free, ids.len()).chain([Column::new(-1.0, 0.0, need)]);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let columns = kinds.zip(starts.zip(&ends)).map(|(kind, (start, &end))| (kind, &coefficients[start..end]));
        let mut program = Program::once(&rows, columns);
        let optimum = program.solve().optimum();
        self.steps += program.steps;
        let Some(mut times) = optimum.map(|optimum| optimum.columns) else { return Farthest::Unknown };
        if times.pop().is_none_or(|reached| reached < need - REACHED) {
            return Farthest::Near;
        }
        Farthest::Reached { atoms, times }
    }

    /// The farthest move of a row by these circuits, if it goes as far as wanted.
    fn combine(&mut self, system: &System<'_>, wanted: &Unmet, ids: &[u32]) -> Combined {
        let (atoms, times) = match self.farthest(system, wanted, ids) {
            Farthest::Reached { atoms, times } => (atoms, times),
            Farthest::Near => return Combined::Near,
            Farthest::Unknown => return Combined::Unknown,
        };
        let Self { circuits, place, .. } = self;
        let of_circuits = || ids.iter().map(|&id| &circuits[id as usize]).zip(&times);
        // Circuits are whole, so whole multiples of them are, and change nothing shown.
        let mut whole = vec![0_i64; atoms.len()];
        for (circuit, times) in of_circuits() {
            let times = times.round() as i64;
            circuit.iter().for_each(|&(a, by)| whole[place[a as usize] as usize] += by * times);
        }
        let whole = atoms.iter().copied().zip(whole).filter(|m| m.1 != 0).collect();
        if let Some(witness) = meeting(system, whole, wanted) {
            return Combined::Far(witness);
        }
        let mut moves = vec![0.0; atoms.len()];
        for (circuit, times) in of_circuits() {
            circuit.iter().for_each(|&(a, by)| moves[place[a as usize] as usize] += by as f64 * times);
        }
        let moves: Vec<(u32, f64)> = atoms.iter().copied().zip(moves).filter(|m| m.1.abs() > NOTHING).collect();
        let witness = Witness::read(system, &moves).filter(|witness| witness.meets(wanted));
        witness.map_or(Combined::Unknown, Combined::Far)
    }
}

/// What a combination of circuits comes to.
pub(super) enum Combined {
    Far(Witness),
    /// However far these circuits go, it is not far enough.
    Near,
    /// No verdict, or none that reads in fractions.
    Unknown,
}

/// How far a row goes by some circuits.
enum Farthest {
    /// As far as wanted: the atoms these circuits change, and how many times each takes part.
    Reached { atoms: Vec<u32>, times: Vec<f64> },
    /// Not far enough.
    Near,
    /// No verdict.
    Unknown,
}

/// What a solver's answer may lack of a whole unit; the exact check of the witness has the last word.
const REACHED: f64 = 1e-6;

/// Below this a move is nothing but rounding.
const NOTHING: f64 = 1e-9;

/// Ways to mend witnesses that a row, shown from now on, has broken.
struct Mend {
    row: u32,
    /// By how much circuits change the row, the best first.
    ways: Vec<(i64, Circuit)>,
}

impl Mend {
    fn new(system: &System<'_>, row: u32, before: &Before) -> Self {
        let mut order: Vec<(u32, usize, usize)> = (0..before.0.len())
            .map(|i| (room(system, &before.0[i].2).leading_zeros(), before.0[i].2.len(), i))
            .collect();
        order.sort_unstable();
        let ways = order.into_iter().take(WAYS_MAX).map(|(_, _, i)| (before.0[i].1, before.0[i].2.clone())).collect();
        Self { row, ways }
    }

    /// A broken witness of the need that takes up one of the circuits and so changes the row no more.
    fn witness(&self, system: &System<'_>, pool: &Pool, wanted: &Unmet) -> Option<Witness> {
        let row = &system.raw.rows[wanted.need.row as usize].atoms;
        let broken =
            pool.held_up(wanted.need.row, self.row).filter(|(witness, _)| !witness.is_excluded_by(&wanted.attackers));
        for (witness, change) in broken.take(BROKEN_MAX) {
            for (by, circuit) in &self.ways {
                let Some(moves) = without(&witness.moves, change, circuit, *by) else { continue };
                let by = moves_by(row, &moves);
                if let Some(mended) = far_enough(system, &moves, by, wanted) {
                    return Some(mended);
                }
            }
        }
        None
    }
}

/// By how much a circuit changes the row of these atoms.
fn moves_by(row: &[u32], circuit: &Circuit) -> i64 {
    circuit.iter().filter(|m| row.binary_search(&m.0).is_ok()).map(|m| m.1).sum()
}

/// The least multiple of a circuit that changes the row, which one changes by `by`, as far as wanted.
fn far_enough(system: &System<'_>, circuit: &Circuit, by: i64, wanted: &Unmet) -> Option<Witness> {
    if by == 0 {
        return None;
    }
    let times = (wanted.distance + by.abs() - 1) / by.abs();
    let times = if (by > 0) == (wanted.need.side == Side::Up) { times } else { -times };
    let moves = circuit.iter().map(|&(a, by)| Some((a, by.checked_mul(times)?)));
    meeting(system, moves.collect::<Option<Circuit>>()?, wanted)
}

fn meeting(system: &System<'_>, moves: Circuit, wanted: &Unmet) -> Option<Witness> {
    if !moves.iter().all(|&(a, by)| system.can_move(a, by, &wanted.attackers)) {
        return None;
    }
    Witness::check(system, 1, moves).filter(|witness| witness.meets(wanted))
}

/// How far a circuit goes on both sides before an atom is empty.
fn room(system: &System<'_>, circuit: &Circuit) -> i64 {
    circuit.iter().map(|&(a, by)| system.raw.atoms[a as usize].value as i64 / by.abs()).min().unwrap_or(0)
}

/// What is left of a circuit that changes a row by `by` once it has taken up another that changes it by `by_other`: a
/// multiple that changes the row no more.
fn without(circuit: &Circuit, by: i64, other: &Circuit, by_other: i64) -> Option<Circuit> {
    let common = gcd(by, by_other);
    let (times, times_other) = (by_other / common, by / common);
    let mut next: Circuit = Vec::with_capacity(circuit.len() + other.len());
    let (mut ours, mut theirs) = (circuit.iter().peekable(), other.iter().peekable());
    while let Some(atom) = [ours.peek(), theirs.peek()].into_iter().flatten().map(|c| c.0).min() {
        let mut sum = 0_i64;
        if let Some(c) = ours.next_if(|c| c.0 == atom) {
            sum = times.checked_mul(c.1)?;
        }
        if let Some(c) = theirs.next_if(|c| c.0 == atom) {
            sum = sum.checked_sub(times_other.checked_mul(c.1)?)?;
        }
        if sum != 0 {
            next.push((atom, sum));
        }
    }
    let common = next.iter().fold(0, |common, c| gcd(common, c.1));
    if common > 1 {
        next.iter_mut().for_each(|c| c.1 /= common);
    }
    next.iter().all(|c| c.1.abs() <= COEFFICIENT_MAX).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::super::cuts::tests::{cheapest_of_all, is_safe, ready, table};
    use super::*;

    #[test]
    fn what_is_withheld_is_safe_and_no_row_of_it_can_be_shown() {
        let mut withheld = 0;
        for seed in 1..40 {
            for insiders in [false, true] {
                let raw = table(seed);
                let (mut system, mut pool) = (ready(&raw, insiders), Pool::default());
                let open = system.fate.iter().filter(|f| **f == Fate::Open).count();
                let shown = show_most(&mut system, &mut pool, Search::Thorough, &[]);
                if open <= 10 {
                    // As many choices as can be tried one by one.
                    assert_eq!(shown.is_ok(), cheapest_of_all(&raw, insiders).is_some(), "{seed} {insiders}");
                }
                if shown.is_err() {
                    continue;
                }
                for need in needs(&system) {
                    assert_eq!(pool.unmet(&system, need), None, "{seed} {insiders}");
                }
                assert!(is_safe(&system), "{seed} {insiders}");
                for row in 0..raw.rows.len() {
                    if system.fate[row] == Fate::Secondary {
                        withheld += 1;
                        system.fate[row] = Fate::Open;
                        assert!(!is_safe(&system), "{seed} {insiders}: row {row} is withheld for nothing");
                        system.fate[row] = Fate::Secondary;
                    }
                }
            }
        }
        assert!(withheld > 50, "{withheld} rows withheld in all");
    }

    #[test]
    fn a_circuit_takes_up_another_and_changes_the_row_no_more() {
        let one = vec![(0, 2), (3, -1)];
        let other = vec![(1, 3), (3, 1)];
        // They change a row of atoms 0 and 1 by 2 and by 3.
        let next = without(&one, 2, &other, 3).unwrap();
        assert_eq!(next, [(0, 6), (1, -6), (3, -5)]);
        assert_eq!(without(&vec![(0, 2), (1, -2)], 2, &vec![(0, 1), (2, -1)], 1).unwrap(), [(1, -1), (2, 1)]);
        assert_eq!(without(&vec![(0, COEFFICIENT_MAX)], 1, &vec![(1, 1)], 2), None, "too large");
    }
}
