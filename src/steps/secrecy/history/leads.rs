//! Where the search for the next release begins: the witnesses of one before, over its own records.
//!
//! A witness moves atoms, and what an atom is depends on all tables in view. So each atom that a kept witness moves is kept
//! as the *set* of the records in it: with more tables in view it falls into smaller atoms, of which the best may move in
//! its place. Nothing rests on what is kept: a witness counts once it has been checked again.

use super::super::certificate::Certificate;
use super::super::microdata::{Column, Microdata};
use super::super::secondary::Lead;
use super::super::secondary::witness::DENOMINATOR_MAX;
use super::super::tabulate::RawTables;
use super::Earlier;
use crate::steps::bytes::{Damaged, Opened, Sealer};
use std::collections::HashMap;
use std::sync::Arc;

/// The leads of all earlier releases over the atoms of the puzzle that has them all; `row_in` has for each of them the row
/// of each record.
pub(super) fn of_all(
    earlier: &[&Earlier],
    row_in: &[Vec<Option<u32>>],
    raw: &RawTables,
    records: &Microdata,
) -> Vec<Lead> {
    if earlier.iter().all(|release| release.leads.witnesses.is_empty()) {
        return Vec::new();
    }
    let atom_of = raw.atom_of_each(records);
    let of_release = |(release, row_in): (&&Earlier, &Vec<Option<u32>>)| {
        let mut atoms = vec![None; release.micro.len()];
        for (row, atom) in row_in.iter().zip(&atom_of) {
            row.iter().for_each(|&row| atoms[row as usize] = Some(*atom));
        }
        release.leads.over(|record| atoms.get(record).copied().flatten())
    };
    earlier.iter().zip(row_in).flat_map(of_release).collect()
}

/// The witnesses of a release, which name no atom but sets of its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leads {
    /// The set of each record; `None` where no witness moves it.
    set_of: Vec<Option<u32>>,
    /// For each witness its scale and how far it moves sets.
    witnesses: Vec<(i64, Vec<(u32, i64)>)>,
}

impl Leads {
    /// The witnesses of a proof over `records`, of which the first `n` are those of the release. One that moves anything
    /// else is left out.
    pub(super) fn of(proof: &Certificate, records: &Microdata, n: usize) -> Self {
        let columns: Option<Vec<&Column>> = proof.levels().iter().map(|level| records.column(level)).collect();
        let Some(columns) = columns else { return Self::default() };
        let mut numbers: Vec<HashMap<&str, u32>> = Vec::with_capacity(columns.len());
        for column in &columns {
            numbers.push((0..).zip(&column.labels).map(|(number, label)| (label.as_str(), number)).collect());
        }
        let numbered = |codes: &[Option<String>]| -> Vec<Option<u32>> {
            codes.iter().zip(&numbers).map(|(code, of)| of.get(code.as_deref()?).copied()).collect()
        };
        let places: HashMap<Vec<Option<u32>>, usize> =
            proof.atoms().iter().enumerate().map(|(place, codes)| (numbered(codes), place)).collect();
        let mut sets: HashMap<usize, u32> = HashMap::new();
        let mut set_of = Vec::with_capacity(n);
        let mut codes = Vec::with_capacity(columns.len());
        for record in 0..n {
            codes.clear();
            codes.extend(columns.iter().map(|column| column.codes[record]));
            set_of.push(places.get(&codes).map(|&place| {
                let next = sets.len() as u32;
                *sets.entry(place).or_insert(next)
            }));
        }
        let of_sets = |(scale, moves): &(i64, Vec<(usize, i64)>)| {
            let moves = moves.iter().map(|&(place, by)| Some((*sets.get(&place)?, by)));
            let mut moves: Vec<(u32, i64)> = moves.collect::<Option<_>>()?;
            moves.sort_unstable();
            Some((*scale, moves))
        };
        Self { set_of, witnesses: proof.moves().iter().filter_map(of_sets).collect() }
    }

    /// The same over the atoms of a puzzle, which has an atom for each record of the release.
    fn over(&self, atom_of: impl Fn(usize) -> Option<u32>) -> Vec<Lead> {
        let mut atoms: HashMap<u32, Vec<u32>> = HashMap::new();
        for (record, set) in self.set_of.iter().enumerate() {
            if let (Some(set), Some(atom)) = (*set, atom_of(record)) {
                atoms.entry(set).or_default().push(atom);
            }
        }
        let one_each = |(set, mut atoms): (u32, Vec<u32>)| {
            atoms.sort_unstable();
            atoms.dedup();
            (set, Arc::from(atoms))
        };
        let atoms: HashMap<u32, Arc<[u32]>> = atoms.into_iter().map(one_each).collect();
        let lead = |(scale, moves): &(i64, Vec<(u32, i64)>)| {
            let moves = moves.iter().map(|(set, by)| Some((Arc::clone(atoms.get(set)?), *by)));
            Some(Lead { scale: *scale, moves: moves.collect::<Option<_>>()? })
        };
        self.witnesses.iter().filter_map(lead).collect()
    }

    /// Writes them after the records they are about.
    pub(in super::super) fn write(&self, out: &mut Sealer) {
        out.count(self.set_of.len());
        self.set_of.iter().for_each(|set| out.number(set.map_or(0, |set| u64::from(set) + 1)));
        out.count(self.witnesses.len());
        for (scale, moves) in &self.witnesses {
            out.signed(*scale);
            out.count(moves.len());
            for (set, by) in moves {
                out.number(u64::from(*set));
                out.signed(*by);
            }
        }
    }

    /// Reads back what [`Self::write`] wrote about `n` records.
    ///
    /// # Errors
    /// [`Damaged`] when the bytes are not of this form.
    pub(in super::super) fn read(opened: &mut Opened<'_>, n: usize) -> Result<Self, Damaged> {
        let n_sets = opened.count()?;
        if n_sets != n && n_sets != 0 {
            return Err(opened.damaged("another number of sets than of records", "the set of each record, or none"));
        }
        let set = |number: u64, opened: &Opened<'_>| match u32::try_from(number) {
            Ok(set) if (set as usize) < n => Ok(set),
            _ => Err(opened.damaged("an unknown set of records", "a set of the records")),
        };
        let mut set_of = Vec::new();
        for _ in 0..n_sets {
            set_of.push(opened.number()?.checked_sub(1).map(|number| set(number, opened)).transpose()?);
        }
        let mut witnesses = Vec::new();
        for _ in 0..opened.count()? {
            let scale = opened.signed()?;
            if !(1..=DENOMINATOR_MAX).contains(&scale) {
                return Err(opened.damaged("a scale that no witness has", "so many steps to the unit"));
            }
            let mut moves: Vec<(u32, i64)> = Vec::new();
            for _ in 0..opened.count()? {
                let number = opened.number()?;
                let set = set(number, opened)?;
                if moves.last().is_some_and(|last| last.0 >= set) {
                    return Err(opened.damaged("sets out of order", "each set once, ascending"));
                }
                moves.push((set, opened.signed()?));
            }
            witnesses.push((scale, moves));
        }
        Ok(Self { set_of, witnesses })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::secondary::system::{Fate, System};
    use super::super::super::{Past, Spec, protect_in, tabulate};
    use super::super::{EarlierTable, combine, join, locked, prefixes};
    use super::*;

    fn spec(zone: &str) -> Spec {
        let text = format!(
            "contributor='c'\nweight='w'\nrules={{ min_contributors = 3 }}\n[dimensions.{zone}]\nlevels=['{zone}']\n\
             [dimensions.act]\nlevels=['act']\n[[tables]]\nname='t'\ndimensions=['{zone}','act']"
        );
        Spec::parse(&text).unwrap()
    }

    /// Records by zones of an old and of a new cut.
    fn records(seed: u64) -> Microdata {
        let mut state = seed;
        let mut draw = |codes: &[&'static str]| -> Vec<&'static str> {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize
            };
            (0..24).map(|_| codes[next() % codes.len()]).collect()
        };
        let column = |name: &str, codes: &[&str]| Column::of(name, &codes.iter().map(|c| Some(*c)).collect::<Vec<_>>());
        let columns = vec![
            column("old", &draw(&["P", "Q", "R"])),
            column("new", &draw(&["1", "2", "3"])),
            column("act", &draw(&["k", "l"])),
        ];
        let who = draw(&["f", "g", "h", "i", "j", "k", "l", "m"]);
        let weight = draw(&["0", "1", "2", "5"]).iter().map(|w| w.parse().unwrap()).collect();
        Microdata::new((0..24).map(|i| i.to_string()).collect(), &who, weight, columns)
    }

    #[test]
    fn every_witness_of_a_release_holds_in_the_puzzle_of_another_cut_unless_that_shows_a_zero() {
        let (mut held, mut fell_apart) = (0, 0);
        for seed in 0..120 {
            let micro = records(seed);
            let (before, now) = (spec("old"), spec("new"));
            let Ok(made) = protect_in(&micro, &before, &Past::default()) else { continue };
            let earlier = Earlier {
                name: "first".to_owned(),
                micro: micro.clone(),
                spec: before,
                tables: EarlierTable::of_all(&made.tables),
                leads: made.leads,
                for_partners: false,
            };
            let joined = join(&micro, &[&earlier]).unwrap();
            let (all, joint) = combine(&micro, &now, &[&earlier], &joined, &prefixes(&now, 1));
            let raw = tabulate(&all, &joint).unwrap();
            let locked = locked(&raw, 1, &[&earlier]).unwrap();
            let mut system = System::new(&raw, &now.rules, &now.protection, &locked);
            system.fate.iter_mut().filter(|f| **f == Fate::Open).for_each(|fate| *fate = Fate::Secondary);
            let leads = of_all(&[&earlier], &joined.row_in[1..], &raw, &all);
            assert_eq!(leads.len(), earlier.leads.witnesses.len());
            for lead in leads {
                fell_apart += usize::from(lead.moves.iter().any(|m| m.0.len() > 1));
                // A cell of zero that the new cut has says of all in it that they are zero.
                let known_zero = |m: &(Arc<[u32]>, i64)| m.0.iter().all(|&a| system.is_known_zero(a));
                let holds = lead.witness(&system).is_some();
                assert_eq!(holds, !lead.moves.iter().any(known_zero), "seed {seed}");
                held += usize::from(holds);
            }
        }
        assert!(held > 150 && fell_apart > 100, "{held} witnesses, {fell_apart} over atoms that fell apart");
    }

    #[test]
    fn a_witness_that_moves_what_the_records_do_not_hold_is_left_out() {
        let micro = records(1);
        let made = protect_in(&micro, &spec("old"), &Past::default()).unwrap();
        assert_ne!(made.leads.witnesses, []);
        let of_first = |n: usize| Leads::of(&made.dossier.proof, &micro, n).witnesses.len();
        let counts: Vec<usize> = (0..=micro.len()).map(of_first).collect();
        assert!(counts.is_sorted() && counts[0] == 0, "{counts:?}");
        assert_eq!(counts[micro.len()], made.dossier.proof.witnesses());
    }
}
