//! Secondary suppression: withhold more rows until every unsafe row has, on each side and against each attacker, a
//! witness that lets it be as far from the truth as its level asks.
//!
//! The work is in three passes over one system, all tables together:
//! 1. *harvest*: linear programs over what is withheld already, each of which moves many unsafe rows at once;
//! 2. *widen*: for each need no witness meets, the cheapest move that meets it if rows may be opened to it at a price
//!    (after Kelly, Golden & Assad 1992, and Castro's use of it); the rows it touches are withheld;
//! 3. *clean up*: rows that turn out not to be needed are shown again, dearest first.
//!
//! Solvers propose, exact arithmetic disposes: a move counts only once [`witness::Witness::check`] has checked it in
//! whole numbers against everything shown. No verdict means withheld.

pub(super) mod system;
pub(super) mod witness;

mod harvest;
mod rectangles;
mod widen;

use super::policy::{Protection, Rules};
use super::tabulate::RawTables;
use system::{Fate, System};
use witness::{Need, Pool, Side};

/// What was withheld, and the proof.
pub(super) struct Pattern<'a> {
    pub system: System<'a>,
    pub pool: Pool,
}

/// A need that nothing can meet: too much is public already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hopeless {
    pub row: u32,
}

/// Rounds of widening; each round strictly withholds more or ends, so this only bounds a mistake of ours.
const ROUNDS_MAX: usize = 1_000;

/// Protects every unsafe row. `locked` rows are public for ever.
pub(super) fn suppress<'a>(
    raw: &'a RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
) -> Result<Pattern<'a>, Hopeless> {
    let mut system = System::new(raw, rules, protection, locked);
    let mut pool = Pool::default();
    for _ in 0..ROUNDS_MAX {
        let t = std::time::Instant::now();
        rectangles::rectangles(&system, &mut pool);
        eprintln!(
            "rect {:?} unmet {}",
            t.elapsed(),
            needs(&system).into_iter().filter_map(|n| pool.unmet(&system, n)).count()
        );
        harvest::harvest(&system, &mut pool);
        let mut unmet: Vec<_> = needs(&system).into_iter().filter_map(|need| pool.unmet(&system, need)).collect();
        if unmet.is_empty() {
            let sec = |system: &System<'_>| {
                let mut v: Vec<u64> = (0..system.fate.len())
                    .filter(|&r| system.fate[r] == Fate::Secondary)
                    .map(|r| raw.rows[r].value)
                    .collect();
                v.sort();
                v.reverse();
                (v.len(), v.iter().sum::<u64>(), v[..v.len().min(12)].to_vec())
            };
            eprintln!("before clean {:?}", sec(&system));
            let t = std::time::Instant::now();
            clean_up(&mut system, &mut pool);
            eprintln!("after clean {:?} {:?}", sec(&system), t.elapsed());
            return Ok(Pattern { system, pool });
        }
        eprintln!(
            "harvested {:?} pool {} unmet {} outsider {} hidden {}",
            t.elapsed(),
            pool.witnesses.len(),
            unmet.len(),
            unmet.iter().filter(|u| u.attackers.is_empty()).count(),
            system.fate.iter().filter(|f| !f.is_shown()).count()
        );
        // The most demanding first: its witness often serves the others.
        unmet.sort_by_key(|u| (std::cmp::Reverse(u.distance), u.need));
        widen::widen(&mut system, &mut pool, &unmet)?;
    }
    Err(Hopeless { row: 0 })
}

/// Every need of every unsafe row, in the order of rows.
pub(super) fn needs(system: &System<'_>) -> Vec<Need> {
    let rows = (0..system.raw.rows.len() as u32)
        .filter(|&r| system.verdict[r as usize].is_some() && !system.fate[r as usize].is_shown());
    rows.flat_map(|row| [Side::Up, Side::Down].map(|side| Need { row, side })).collect()
}

/// Shows again each secondary row without which every need is still met, dearest first.
fn clean_up(system: &mut System<'_>, pool: &mut Pool) {
    let mut secondary: Vec<u32> =
        (0..system.raw.rows.len() as u32).filter(|&r| system.fate[r as usize] == Fate::Secondary).collect();
    secondary.sort_by_key(|&r| (std::cmp::Reverse(system.raw.rows[r as usize].value), r));
    for row in secondary {
        let benched = pool.bench(row);
        system.fate[row as usize] = Fate::Open;
        let mut shaken: Vec<u32> = benched
            .iter()
            .flat_map(|(_, w)| w.rows.iter().map(|r| r.0))
            .filter(|&r| system.verdict[r as usize].is_some())
            .collect();
        shaken.sort_unstable();
        shaken.dedup();
        let mut unmet = Vec::new();
        for &row in &shaken {
            for side in [Side::Up, Side::Down] {
                unmet.extend(pool.unmet(system, Need { row, side }));
            }
        }
        if !unmet.is_empty() && !widen::without(system, pool, &unmet) {
            system.fate[row as usize] = Fate::Secondary;
            pool.restore(benched);
        }
    }
}

#[cfg(test)]
mod scratch {
    use super::super::*;
    #[test]
    fn scratch() {
        let Ok(file) = std::env::var("SCRATCH") else { return };
        let spec = Spec::parse(&std::fs::read_to_string(std::env::var("SPEC").unwrap()).unwrap()).unwrap();
        let mut reader = csv::Reader::from_path(file).unwrap();
        let head = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(|r| r.unwrap()).collect();
        let get = |n: &str| {
            let i = head.iter().position(|h| h == n).unwrap();
            rows.iter().map(|r| r[i].to_owned()).collect::<Vec<_>>()
        };
        let cols =
            spec.columns().iter().map(|c| Column::of(c, &get(c).into_iter().map(Some).collect::<Vec<_>>())).collect();
        let micro = Microdata::new(
            get("siret"),
            &get(&spec.contributor),
            get(&spec.weight).iter().map(|w| w.parse().unwrap()).collect(),
            cols,
        );
        let t = std::time::Instant::now();
        let raw = tabulate(&micro, &spec).unwrap();
        eprintln!("{raw:?} {:?} nnz {}", t.elapsed(), raw.rows.iter().map(|r| r.atoms.len()).sum::<usize>());
        let p =
            super::suppress(&raw, &spec.rules, &spec.protection, &[]).unwrap_or_else(|h| panic!("hopeless {}", h.row));
        let n = |f| p.system.fate.iter().filter(|x| **x == f).count();
        let v: u64 = p
            .system
            .fate
            .iter()
            .zip(&raw.rows)
            .filter(|(f, _)| **f == super::system::Fate::Secondary)
            .map(|x| x.1.value)
            .sum();
        eprintln!(
            "primary {} secondary {} value {v} witnesses {} {:?}",
            n(super::system::Fate::Primary),
            n(super::system::Fate::Secondary),
            p.pool.witnesses.len(),
            t.elapsed()
        );
    }
}
