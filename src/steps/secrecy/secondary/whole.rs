//! Whole numbers: what is proved by moves in fractions of a unit of the weight is proved again by moves in whole ones.
//!
//! Everybody knows that a headcount is whole. A move in fractions leads to a table that nobody takes for true, so that
//! it says nothing to an attacker who counts in whole employees. Most moves are whole by themselves, since most of what
//! is withheld hangs together as a network does. For each need that only fractions meet, circuits, which are whole, are
//! combined in whole numbers; where none is found, cheap rows near are withheld too. Where that finds none either, as
//! beside rows that are shown for ever, the need stays met in fractions, and is counted. So do those which the policy
//! asks nothing more of ([`Integrality`]).

use super::super::policy::{Integrality, Protection, Search};
use super::ATOMS_MAX;
use super::circuits::Circuits;
use super::cubes::{Draft, Grid};
use super::system::{Fate, System};
use super::witness::{Need, Pool, Unmet, Witness};

/// Has each need met by whole moves where that can be had, against those whom the policy names; at a glance against nobody.
/// Moves in fractions are taken out of the pool, but for those of rows with a need that whole ones do not meet against
/// everybody. Gives these needs.
///
/// What is withheld for it on top, cells that are safe and not zero, asks for nothing more, whichever of them are:
/// neither of rests, nor of contributors that known zeros excuse.
pub(super) fn settle(system: &mut System<'_>, pool: &mut Pool, protection: &Protection) -> Vec<Need> {
    let against = if protection.search == Search::Glance { Integrality::Nobody } else { protection.integrality };
    let fractions = pool.take_fractions();
    let mut lacking = if fractions.is_empty() { Vec::new() } else { super::needs(system) };
    lacking.retain(|&need| pool.unmet(system, need).is_some());
    if lacking.iter().any(|&need| asked(system, pool, need, against).is_some()) {
        let mut circuits = if system.raw.atoms.len() > ATOMS_MAX { None } else { Circuits::standing(system).ok() };
        let grid = Grid::new(&system.raw);
        let before = system.fate.clone();
        let mut given_up = Vec::new();
        for &need in &lacking {
            let fates = system.fate.clone();
            if !is_met(system, pool, circuits.as_mut(), &grid, need, against) {
                show(system, pool, withheld_since(system, &fates));
                given_up.push(need);
            }
        }
        let mut withheld = withheld_since(system, &before);
        withheld.sort_by(|&r, &s| system.price[s as usize].total_cmp(&system.price[r as usize]).then(r.cmp(&s)));
        for row in withheld {
            let leaning = pool.leaning_on(system, row);
            show(system, pool, vec![row]);
            let mut needs = leaning.into_iter().flat_map(Need::both).filter(|need| !given_up.contains(need));
            if needs.any(|need| asked(system, pool, need, against).is_some()) {
                system.fate[row as usize] = Fate::Secondary;
                pool.withheld(row);
            }
        }
    }
    lacking.retain(|&need| pool.unmet(system, need).is_some());
    let moves = |witness: &Witness, need: &Need| witness.rows.binary_search_by_key(&need.row, |r| r.0).is_ok();
    let kept = fractions.into_iter().filter(|witness| lacking.iter().any(|need| moves(witness, need)));
    kept.for_each(|witness| pool.add(system, witness));
    lacking
}

/// What a need lacks against those of whom it is asked.
fn asked(system: &System<'_>, pool: &Pool, need: Need, against: Integrality) -> Option<Unmet> {
    pool.unmet(system, need).filter(|unmet| match against {
        Integrality::Nobody => false,
        Integrality::Outsiders => unmet.attackers.is_empty(),
        Integrality::Everyone => true,
    })
}

/// The rows that are withheld to protect others and were not.
fn withheld_since(system: &System<'_>, fates: &[Fate]) -> Vec<u32> {
    let rows = 0..fates.len() as u32;
    rows.filter(|&r| system.fate[r as usize] == Fate::Secondary && fates[r as usize] == Fate::Open).collect()
}

fn show(system: &mut System<'_>, pool: &mut Pool, rows: Vec<u32>) {
    for row in rows {
        system.fate[row as usize] = Fate::Open;
        pool.shown(row);
    }
}

/// Adds whole witnesses until a need is met, whatever it takes to withhold; whether it is.
fn is_met(
    system: &mut System<'_>,
    pool: &mut Pool,
    mut circuits: Option<&mut Circuits>,
    grid: &Grid,
    need: Need,
    against: Integrality,
) -> bool {
    while let Some(wanted) = asked(system, pool, need, against) {
        let one = Unmet { attackers: wanted.attackers.into_iter().take(1).collect(), ..wanted };
        let found = circuits.as_mut().and_then(|circuits| circuits.whole(system, pool, &one));
        let Some(witness) = found.or_else(|| widened(system, pool, circuits.as_deref_mut(), grid, &one)) else {
            return false;
        };
        if let Some(circuits) = &mut circuits {
            circuits.learn(system, &witness.moves);
        }
        pool.add(system, witness);
    }
    true
}

/// The witness of the cheaper of two moves, by circuits and by cubes; what it takes to withhold is withheld.
fn widened(
    system: &mut System<'_>,
    pool: &mut Pool,
    circuits: Option<&mut Circuits>,
    grid: &Grid,
    wanted: &Unmet,
) -> Option<Witness> {
    let mut found: Vec<(Vec<(u32, i64)>, Vec<u32>)> = Vec::new();
    found.extend(circuits.and_then(|circuits| circuits.wider(system, wanted)));
    let cubes = Draft::of(grid, system, wanted, f64::INFINITY);
    found.extend(cubes.map(|Draft { moves, withheld }| (moves, withheld)));
    found.retain(|(_, withheld)| withheld.iter().all(|&row| system.raw.rows[row as usize].value > 0));
    let price = |withheld: &[u32]| withheld.iter().map(|&row| system.price[row as usize]).sum::<f64>();
    found.sort_by(|one, other| price(&one.1).total_cmp(&price(&other.1)));
    found.into_iter().find_map(|(moves, withheld)| {
        withheld.iter().for_each(|&row| system.fate[row as usize] = Fate::Secondary);
        let witness = Witness::check(system, 1, moves).filter(|witness| witness.meets(wanted));
        match witness {
            Some(_) => withheld.iter().for_each(|&row| pool.withheld(row)),
            None => withheld.iter().for_each(|&row| system.fate[row as usize] = Fate::Open),
        }
        witness
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::microdata::{Column, Microdata};
    use super::super::super::policy::Spec;
    use super::super::super::tabulate::{RawTables, tabulate};
    use super::super::cuts::tests::{ready, table};
    use super::super::cuts::{Effort, optimise};
    use super::super::needs;
    use super::super::witness::Side;
    use super::*;

    /// The same moves of a row half as far again, where that is in fractions.
    fn half_as_far_again(system: &System<'_>, found: &Pool, row: u32) -> Vec<Witness> {
        let farther = found.movers(row).filter_map(|(_, witness, _)| {
            let moves = witness.moves.iter().map(|&(a, by)| (a, 3 * by)).collect();
            Witness::check(system, 2 * witness.scale, moves)
        });
        farther.filter(|witness| witness.scale > 1).collect()
    }

    #[test]
    fn what_fractions_meet_in_a_table_of_two_dimensions_is_met_in_whole_numbers_by_what_is_withheld() {
        let mut replaced = 0;
        for seed in 1..60 {
            let raw = table(seed);
            for insiders in [false, true] {
                let (mut system, mut found) = (ready(&raw, insiders), Pool::default());
                if optimise(&mut system, &mut found, Effort::FULL, None).is_err() {
                    continue;
                }
                let mut pool = Pool::default();
                for need in needs(&system) {
                    half_as_far_again(&system, &found, need.row)
                        .into_iter()
                        .for_each(|witness| pool.add(&system, witness));
                }
                let met: Vec<Need> = needs(&system).into_iter().filter(|n| pool.unmet(&system, *n).is_none()).collect();
                let fates = system.fate.clone();
                assert_eq!(settle(&mut system, &mut pool, &Protection::default()), [], "{seed} {insiders}");
                assert_eq!(system.fate, fates, "{seed} {insiders}");
                for need in met {
                    replaced += 1;
                    assert_eq!(pool.unmet(&system, need), None, "{seed} {insiders} {need:?}");
                    assert!(
                        pool.movers(need.row).all(|(_, witness, _)| witness.scale == 1),
                        "{seed} {insiders} {need:?}"
                    );
                }
            }
        }
        assert!(replaced > 100, "{replaced}");
    }

    #[test]
    fn whole_numbers_are_asked_for_against_those_alone_whom_the_policy_names() {
        let mut fewer = 0;
        for seed in 1..60 {
            let raw = table(seed);
            let (mut ready_made, mut found) = (ready(&raw, true), Pool::default());
            if optimise(&mut ready_made, &mut found, Effort::FULL, None).is_err() {
                continue;
            }
            let left = [Integrality::Nobody, Integrality::Outsiders, Integrality::Everyone].map(|integrality| {
                let (mut system, mut pool) = (ready(&raw, true), Pool::default());
                system.fate.clone_from(&ready_made.fate);
                for need in needs(&system) {
                    half_as_far_again(&system, &found, need.row)
                        .into_iter()
                        .for_each(|witness| pool.add(&system, witness));
                }
                let met: Vec<Need> = needs(&system).into_iter().filter(|n| pool.unmet(&system, *n).is_none()).collect();
                let protection = Protection { integrality, ..Protection::default() };
                let left = settle(&mut system, &mut pool, &protection);
                for &need in &met {
                    assert_eq!(pool.unmet(&system, need), None, "{seed} {integrality:?} {need:?}");
                }
                let fractions = pool.take_fractions();
                for &need in &met {
                    let lacks = asked(&system, &pool, need, integrality);
                    assert_eq!(lacks, None, "{seed} {integrality:?} {need:?}");
                    let counted = left.contains(&need);
                    assert_eq!(pool.unmet(&system, need).is_some(), counted, "{seed} {integrality:?} {need:?}");
                }
                assert!(!left.is_empty() || fractions.is_empty(), "{seed} {integrality:?}");
                left.len()
            });
            assert!(left[0] >= left[1] && left[1] >= left[2] && left[2] == 0, "{seed} {left:?}");
            fewer += usize::from(left[0] > left[1]) + usize::from(left[1] > left[2]);
        }
        assert!(fewer > 20, "{fewer}");
    }

    /// Four atoms of which {a, b}, {a, c} and {b, c, d} are shown: whatever d moves, the others move by half of it, so
    /// that d, which is 1, is odd for whoever counts in whole employees.
    fn odd() -> RawTables {
        let text = "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\n[protection]\ninsiders=false\n\
                    [dimensions.i]\nlevels=['i']\n[dimensions.p]\nlevels=['p']\n[dimensions.q]\nlevels=['q']\n\
                    [dimensions.r]\nlevels=['r']\n[[tables]]\nname='i'\ndimensions=['i']\n[[tables]]\nname='p'\n\
                    dimensions=['p']\n[[tables]]\nname='q'\ndimensions=['q']\n[[tables]]\nname='r'\ndimensions=['r']";
        let spec = Spec::parse(text).unwrap();
        let records: Vec<(&str, &str, &str, &str)> = ["a", "a", "a", "b", "b", "b", "c", "c", "c", "d"]
            .map(|i| {
                let of = |codes: &str, with: &'static str, without: &'static str| {
                    if codes.contains(i) { with } else { without }
                };
                (i, of("ab", "P", "other p"), of("ac", "Q", "other q"), of("bcd", "R", "other r"))
            })
            .into();
        let column = |name: &str, of: fn(&(&'static str, &'static str, &'static str, &'static str)) -> &'static str| {
            Column::of(name, &records.iter().map(|r| Some(of(r))).collect::<Vec<_>>())
        };
        let columns = vec![column("i", |r| r.0), column("p", |r| r.1), column("q", |r| r.2), column("r", |r| r.3)];
        let who: Vec<String> = (0..records.len()).map(|n| n.to_string()).collect();
        let weights = vec![5, 5, 5, 5, 5, 5, 5, 5, 5, 1];
        tabulate(&Microdata::new(who.clone(), &who, weights, columns), &spec).unwrap()
    }

    /// The row of `d`, with {a, b}, {a, c} and {b, c, d} shown so, and everything else withheld.
    fn with_shown(raw: &RawTables, shown: Fate) -> (System<'_>, u32) {
        let mut system = ready(raw, false);
        let row = |codes: &str| {
            let of = |a: u32| raw.levels[0].labels[raw.levels[0].codes[a as usize].unwrap() as usize].as_str();
            let is = |row: &[u32]| row.len() == codes.len() && row.iter().all(|&a| codes.contains(of(a)));
            raw.rows.iter().position(|row| is(&row.atoms)).unwrap()
        };
        for (row, fate) in system.fate.iter_mut().enumerate() {
            *fate = if system.verdict[row].is_some() { Fate::Primary } else { Fate::Secondary };
        }
        ["ab", "ac", "bcd"].iter().for_each(|codes| system.fate[row(codes)] = shown);
        (system, row("d") as u32)
    }

    /// Both moves of `d` by one.
    fn halves(system: &System<'_>, d: u32) -> Pool {
        let mut pool = Pool::default();
        let atom = system.raw.rows[d as usize].atoms[0];
        for sign in [1.0, -1.0] {
            let by = |a: u32| {
                if a == atom {
                    sign
                } else if is_with(system, a, atom) {
                    -sign / 2.0
                } else {
                    sign / 2.0
                }
            };
            let moves: Vec<(u32, f64)> = (0..4).map(|a| (a, by(a))).collect();
            pool.add(system, Witness::read(system, &moves).unwrap());
        }
        pool
    }

    /// Whether both lie in the shown row of three.
    fn is_with(system: &System<'_>, a: u32, d: u32) -> bool {
        let holds = |r: &u32, atom: u32| system.raw.rows[*r as usize].atoms.contains(&atom);
        system.rows_of[a as usize].iter().any(|r| system.raw.rows[*r as usize].atoms.len() == 3 && holds(r, d))
    }

    #[test]
    fn where_whole_numbers_need_more_withheld_it_is_withheld() {
        let raw = odd();
        let (mut system, d) = with_shown(&raw, Fate::Open);
        let mut pool = halves(&system, d);
        Need::both(d).iter().for_each(|&need| assert_eq!(pool.unmet(&system, need), None));
        let before = system.cost();
        assert_eq!(settle(&mut system, &mut pool, &Protection::default()), []);
        assert!(system.cost() > before);
        for need in Need::both(d) {
            assert_eq!(pool.unmet(&system, need), None);
        }
        assert!(pool.movers(d).all(|(_, witness, _)| witness.scale == 1));
    }

    #[test]
    fn an_end_that_whole_numbers_cannot_meet_beside_what_is_shown_for_ever_is_counted() {
        let raw = odd();
        let (mut system, d) = with_shown(&raw, Fate::Locked);
        let mut pool = halves(&system, d);
        // Two up is whole, and farther than one; two down is below zero.
        assert_eq!(settle(&mut system, &mut pool, &Protection::default()), [Need { row: d, side: Side::Down }]);
        for need in Need::both(d) {
            assert_eq!(pool.unmet(&system, need), None, "what fractions prove stays proved");
        }
    }

    #[test]
    fn a_glance_withholds_nothing_for_whole_numbers_and_counts_what_fractions_prove() {
        let raw = odd();
        let (mut system, d) = with_shown(&raw, Fate::Open);
        let mut pool = halves(&system, d);
        let before = system.cost();
        let glance = Protection { search: Search::Glance, ..Protection::default() };
        assert_eq!(settle(&mut system, &mut pool, &glance), Need::both(d));
        assert!(system.cost() == before && Need::both(d).iter().all(|&need| pool.unmet(&system, need).is_none()));
    }
}
