//! What earlier releases tell by themselves: no pattern can take it back, so it is found out, named, and asked of none.
//!
//! With every row withheld that no earlier release shows, how far can a row be from the truth, for someone who knows its own
//! figures? Short of the distance the rules ask for, the contributor knows already, and the need is waived, for that
//! contributor and that side alone. Against outsiders nothing is ever waived.

use super::circuits::{Circuits, Combined};
use super::system::{Fate, System};
use super::witness::{Need, Pool, Side, Unmet, Witness};
use super::{Hopeless, Told, Whom};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What rows that are shown for ever tell of these rows by themselves, with everything else withheld. Contributors are
/// not asked where anybody knows too much, nor where `whom` says so. `leads` are tried first.
///
/// # Errors
/// A row that is beyond reckoning.
pub(super) fn told(system: &mut System<'_>, rows: &[u32], whom: Whom, leads: &[Lead]) -> Result<Told, Hopeless> {
    withhold_all(system);
    let mut circuits = Circuits::after(system)?.without_limits();
    let (mut pool, mut told) = (Pool::default(), Told::default());
    let mut known = HashSet::new();
    let led = leads.iter().filter_map(|lead| lead.witness(system));
    led.filter(|one| known.insert((one.scale, one.moves.clone()))).for_each(|one| pool.add(system, one));
    let asked = rows.iter().filter(|&&r| system.verdict[r as usize].is_some());
    let needs: Vec<Need> = asked.flat_map(|&row| Need::both(row)).collect();
    for &need in &needs {
        // With no attacker it is asked against outsiders, and one witness is enough.
        let Some(wanted) = pool.unmet(system, need).filter(|wanted| wanted.attackers.is_empty()) else { continue };
        match farthest(&mut circuits, system, &wanted) {
            Combined::Far(witness) => add_with_kin(system, &mut pool, witness),
            Combined::Near => told.all.push(need.row),
            Combined::Unknown => told.unknown.push(need.row),
        }
    }
    if whom == Whom::Everybody && told.all.is_empty() {
        // Always so many parts, so that no number of threads changes what is found.
        let parts: [Vec<Need>; PARTS] =
            std::array::from_fn(|part| needs.chunks(2).skip(part).step_by(PARTS).flatten().copied().collect());
        let ask = |needs: &[Need]| {
            let (system, circuits, pool) = (system.clone(), circuits.clone(), pool.clone());
            of_contributors(system, circuits, pool, needs)
        };
        let found = std::thread::scope(|scope| {
            let running = parts.each_ref().map(|needs| scope.spawn(|| ask(needs)));
            running.map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        for part in found {
            told.insiders.extend(part.insiders);
            told.unknown.extend(part.unknown);
            told.witnesses.extend(part.witnesses);
        }
    }
    told.witnesses.extend(pool.into_witnesses());
    told.all.dedup();
    told.unknown.sort_unstable();
    told.unknown.dedup();
    Ok(told)
}

/// A witness of an earlier release: how far it moves sets of records, of which an atom here may be a part.
pub(in super::super) struct Lead {
    /// So many steps to the unit.
    pub scale: i64,
    /// The atoms of each set, and by how many steps it moves.
    pub moves: Vec<(Arc<[u32]>, i64)>,
}

impl Lead {
    /// The witness, where it is one here too.
    pub fn witness(&self, system: &System<'_>) -> Option<Witness> {
        // No sum of moves is too large for a number then.
        self.moves.iter().try_fold(0_i64, |sum, m| sum.checked_add(m.1.checked_abs()?))?;
        let mut moves: BTreeMap<u32, i64> = BTreeMap::new();
        for (atoms, by) in &self.moves {
            for (atom, by) in self.shared_out(system, atoms, *by)? {
                *moves.entry(atom).or_default() += by;
            }
        }
        Witness::check(system, self.scale, moves.into_iter().collect())
    }

    /// The move of a set as moves of its atoms: of one that can bear it all, with as many contributors as can be, who
    /// cannot exclude it; else of the roomiest.
    fn shared_out(&self, system: &System<'_>, atoms: &[u32], by: i64) -> Option<Vec<(u32, i64)>> {
        let room = |a: u32| {
            let (up, down) = system.limits(a, &[]);
            let units = match by > 0 {
                true if system.is_known_zero(a) => Some(0),
                true => up,
                false => Some(down),
            };
            let units = units.map_or(i64::MAX, |units| i64::try_from(units).unwrap_or(i64::MAX));
            units.saturating_mul(self.scale)
        };
        let contributors = |a: u32| system.raw.atoms[a as usize].contributions.len();
        let bearing = atoms.iter().copied().filter(|&a| room(a) >= by.abs());
        if let Some(one) = bearing.max_by_key(|&a| (contributors(a), Reverse(a))) {
            return Some(vec![(one, by)]);
        }
        let mut roomiest: Vec<(i64, u32)> = atoms.iter().map(|&a| (room(a), a)).collect();
        roomiest.sort_unstable_by_key(|&(room, a)| (Reverse(room), a));
        let mut left = by.abs();
        let mut moves = Vec::new();
        for (room, a) in roomiest {
            let part = room.min(left);
            moves.push((a, part * by.signum()));
            left -= part;
        }
        (left == 0).then_some(moves)
    }
}

/// Parts in which contributors are asked, side by side.
const PARTS: usize = 2;

/// What single contributors are told of some needs, and the witnesses found beside those of the pool.
fn of_contributors(mut system: System<'_>, mut circuits: Circuits, mut pool: Pool, needs: &[Need]) -> Told {
    let (mut told, before) = (Told::default(), pool.len());
    for &need in needs {
        while let Some(wanted) = pool.unmet(&system, need) {
            let Some(&who) = wanted.attackers.first() else { break };
            let one = Unmet { attackers: vec![who], ..wanted };
            let around = circuits.led_around(&system, &pool, &one);
            match around.map_or_else(|| farthest(&mut circuits, &system, &one), Combined::Far) {
                Combined::Far(witness) => add_with_kin(&system, &mut pool, witness),
                Combined::Near => {
                    let known = (need.row, need.side == Side::Up, who);
                    told.insiders.insert(known);
                    system.already_known.insert(known);
                }
                Combined::Unknown => {
                    told.unknown.push(need.row);
                    break;
                }
            }
        }
    }
    told.witnesses = pool.into_witnesses().split_off(before);
    told
}

/// What is shown for ever, asked again and again what it tells by itself.
#[derive(Default)]
pub(super) struct Lasting(Option<Circuits>);

impl Lasting {
    /// Whether it keeps a need from being met, with everything else withheld. What is beyond reckoning it does not tell.
    pub fn tells(&mut self, system: &mut System<'_>, wanted: &Unmet) -> bool {
        let fates = system.fate.clone();
        withhold_all(system);
        if self.0.is_none() {
            self.0 = Circuits::after(system).ok().map(Circuits::without_limits);
        }
        let answer = self.0.as_mut().map(|circuits| farthest(circuits, system, wanted));
        system.fate = fates;
        matches!(answer, Some(Combined::Near))
    }
}

/// A witness and its kin: with everything withheld, the same move back most often holds too.
fn add_with_kin(system: &System<'_>, pool: &mut Pool, witness: Witness) {
    let kin = witness.kin(system);
    pool.add(system, witness);
    kin.into_iter().for_each(|witness| pool.add(system, witness));
}

fn withhold_all(system: &mut System<'_>) {
    system.fate.iter_mut().filter(|fate| **fate == Fate::Open).for_each(|fate| *fate = Fate::Secondary);
}

fn farthest(circuits: &mut Circuits, system: &System<'_>, wanted: &Unmet) -> Combined {
    circuits.single(system, wanted).map_or_else(|| circuits.combined(system, wanted), Combined::Far)
}

#[cfg(test)]
mod tests {
    use super::super::super::microdata::{Column as Codes, Microdata};
    use super::super::super::policy::Spec;
    use super::super::super::primary::judge_rows;
    use super::super::super::tabulate::{RawTables, tabulate};
    use super::super::system::System;
    use super::super::witness::Witness;
    use super::super::{Told, Whom, told};
    use super::withhold_all;

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
        let (mut insiders, mut all, mut unknown, mut found) = (0, 0, 0, 0);
        for seed in 0..60 {
            let (raw, spec, locked) = case(seed);
            if raw.atoms.len() > 4 || raw.atoms.iter().map(|a| a.value).sum::<u64>() > 14 {
                continue;
            }
            let verdicts = judge_rows(&raw, &spec.rules, &spec.protection);
            let asked: Vec<u32> = (0..raw.rows.len() as u32).filter(|&r| !locked[r as usize]).collect();
            let mut system = System::new(&raw, &spec.rules, &spec.protection, &locked);
            let Told { insiders: told, all: all_told, witnesses, .. } =
                told(&raw, &spec.rules, &spec.protection, &locked, &asked, Whom::Everybody, &[]).unwrap();
            // A search begins with these, where everything is withheld that is not locked.
            withhold_all(&mut system);
            for witness in &witnesses {
                let again = Witness::check(&system, witness.scale, witness.moves.clone()).expect("it still holds");
                assert!(again.rows == witness.rows && again.spoiled_by == witness.spoiled_by, "seed {seed}");
            }
            found += witnesses.len();
            for &row in &asked {
                let Some(verdict) = &verdicts[row as usize] else { continue };
                let value = raw.rows[row as usize].value;
                for up in [true, false] {
                    let need = if up { verdict.level } else { verdict.level.min(value) };
                    let known = farthest(&raw, &locked, row, up, None) < need;
                    assert!(!known || all_told.contains(&row), "seed {seed}, row {row}");
                    all += usize::from(known);
                    for who in 0..raw.n_contributors as u32 {
                        let own: u64 =
                            raw.contributions(&raw.rows[row as usize]).iter().filter(|c| c.0 == who).map(|c| c.1).sum();
                        let need = if up { need } else { need.min(value - own) };
                        let known = farthest(&raw, &locked, row, up, Some(who)) < need;
                        let said = told.contains(&(row, up, who));
                        assert!(!said || known, "seed {seed}: row {row} is not known to {who}");
                        insiders += usize::from(said);
                        unknown += usize::from(!known);
                    }
                }
            }
        }
        assert!(insiders > 5 && all > 5 && unknown > 50 && found > 20, "{insiders} {all} {unknown} {found}");
    }
}
