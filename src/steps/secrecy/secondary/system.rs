//! The system an attacker faces: atoms, rows over them, what is open, and which moves keep everything open unchanged.

use super::super::policy::{Cost, Protection, Rules, Zeros};
use super::super::primary::{self, Unsafe};
use super::super::tabulate::{RawDimension, RawTables, Row};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fate {
    /// Shown.
    Open,
    /// Shown for ever: an earlier release holds it, or its value is zero and hiding it would protect nothing.
    Locked,
    /// Withheld because a rule says so.
    Primary,
    /// Withheld so that nobody works out another row.
    Secondary,
}

impl Fate {
    pub fn is_shown(self) -> bool {
        matches!(self, Self::Open | Self::Locked)
    }
}

/// How the move of a row follows from smaller ones.
#[derive(Clone)]
pub(super) enum Parts {
    /// It is the sum of these rows, which share no atom.
    Rows(Vec<u32>),
    /// It is the sum of its atoms.
    Atoms,
}

/// A row and the rows that it is the sum of, which share no atom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub whole: u32,
    pub parts: Vec<u32>,
}

/// The raw tables made ready for attack and defence.
#[derive(Clone)]
pub(in super::super) struct System<'a> {
    /// Those of the tables, and after them sums that no table shows: see [`System::hide`].
    pub raw: Cow<'a, RawTables>,
    pub fate: Vec<Fate>,
    pub verdict: Vec<Option<Unsafe>>,
    /// Rows each atom lies in.
    pub rows_of: Vec<Vec<u32>>,
    /// Atoms each contributor has a part in.
    pub atoms_of: Vec<Vec<u32>>,
    /// What withholding a row costs: its value, dearer for totals, so that margins stay open.
    pub price: Vec<f64>,
    pub(super) parts: Vec<Parts>,
    /// Every sum that some table shows.
    pub(super) sums: Vec<Sum>,
    pub insiders: bool,
    /// What contributors know already, whatever is withheld: (row, whether the upper side, contributor).
    pub already_known: HashSet<(u32, bool, u32)>,
}

impl<'a> System<'a> {
    /// Judges every row. `locked` rows are already public.
    pub fn new(raw: &'a RawTables, rules: &Rules, protection: &Protection, locked: &[bool]) -> Self {
        let verdict: Vec<Option<Unsafe>> = primary::judge_rows(raw, rules, protection);
        let fate = raw
            .rows
            .iter()
            .enumerate()
            .map(|(r, row)| match &verdict[r] {
                _ if locked.get(r) == Some(&true) => Fate::Locked,
                Some(_) => Fate::Primary,
                None if row.value == 0 && protection.zeros == Zeros::Known => Fate::Locked,
                None => Fate::Open,
            })
            .collect();
        let mut rows_of = vec![Vec::new(); raw.atoms.len()];
        for (r, row) in raw.rows.iter().enumerate() {
            for &a in &row.atoms {
                rows_of[a as usize].push(r as u32);
            }
        }
        let mut atoms_of = vec![Vec::new(); raw.n_contributors];
        for (a, atom) in raw.atoms.iter().enumerate() {
            for &(who, _) in &atom.contributions {
                atoms_of[who as usize].push(a as u32);
            }
        }
        let sums = sums(raw);
        Self {
            raw: Cow::Borrowed(raw),
            fate,
            verdict,
            rows_of,
            atoms_of,
            price: prices(raw, protection),
            parts: parts(raw, &sums),
            sums,
            insiders: protection.insiders,
            already_known: HashSet::new(),
        }
    }

    /// Adds a sum that no table shows and that nobody is to work out, and gives its row. Witnesses found before count for it
    /// once [`super::witness::Pool::watch`] has noted it.
    pub(super) fn hide(&mut self, atoms: Vec<u32>, verdict: Unsafe) -> u32 {
        let row = self.raw.rows.len() as u32;
        atoms.iter().for_each(|&a| self.rows_of[a as usize].push(row));
        let of = Row::of(atoms, &self.raw.atoms);
        self.raw.to_mut().rows.push(of);
        self.fate.push(Fate::Primary);
        self.verdict.push(Some(verdict));
        self.price.push(0.0);
        self.parts.push(Parts::Atoms);
        row
    }

    /// What the rows cost that are withheld to protect others.
    pub(super) fn cost(&self) -> f64 {
        let fates = self.fate.iter().zip(&self.price);
        fates.filter(|(fate, _)| **fate == Fate::Secondary).map(|(_, price)| price).sum()
    }

    /// Whether a shown row of value zero says that the atom is zero.
    pub fn is_known_zero(&self, atom: u32) -> bool {
        let mut rows = self.rows_of[atom as usize].iter();
        rows.any(|&r| self.fate[r as usize].is_shown() && self.raw.rows[r as usize].value == 0)
    }

    /// Whether a row holds more than what one of its contributors knows to be its own.
    pub fn holds_others(&self, row: u32, contributor: u32) -> bool {
        self.raw.rows[row as usize].atoms.iter().any(|&a| {
            let others = self.raw.atoms[a as usize].contributions.iter().any(|c| c.0 != contributor);
            others && !self.is_known_zero(a)
        })
    }

    /// Whether an atom may move by so much as far as these attackers (ascending) can tell.
    pub(super) fn can_move(&self, atom: u32, by: i64, attackers: &[u32]) -> bool {
        let (up, down) = self.limits(atom, attackers);
        if by > 0 { up.is_none_or(|up| by as u64 <= up) } else { by.unsigned_abs() <= down }
    }

    /// How far an atom may move up and down as far as these attackers (ascending) can tell: everybody knows its public
    /// bounds, one who alone makes it up knows it, and the others know that it holds their own. No limit up is `None`.
    pub(super) fn limits(&self, atom: u32, attackers: &[u32]) -> (Option<u64>, u64) {
        let atom = &self.raw.atoms[atom as usize];
        let (mut least, mut greatest) = (atom.least, atom.greatest);
        for (i, c) in atom.contributions.iter().enumerate() {
            if attackers.binary_search(&c.0).is_ok() {
                let (low, high) = atom.known_to(i);
                least = least.max(low);
                greatest = match (greatest, high) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        (greatest.map(|end| end - atom.value), atom.value - least)
    }
}

/// What the reader loses with a row: every cell that is this row, at its weight or as one, dearer for totals and at levels
/// that the specification names. A little
/// more for each, so that of two equal patterns the one with fewer cells is taken.
fn prices(raw: &RawTables, protection: &Protection) -> Vec<f64> {
    let mut price = vec![0.0; raw.rows.len()];
    for table in &raw.tables {
        for cell in &table.cells {
            let one = match protection.cost {
                Cost::Headcount => raw.rows[cell.row as usize].value as f64 + 0.01,
                Cost::Cells => 1.0,
            };
            let factor = |(k, dimension): (&(u8, u32), &RawDimension)| match k.0.checked_sub(1) {
                None => protection.totals,
                Some(level) => protection.weights.get(&dimension.levels[usize::from(level)]).copied().unwrap_or(1.0),
            };
            let factors = cell.key.iter().zip(&table.dimensions).map(factor);
            price[cell.row as usize] += (one * factors.product::<f64>()).min(PRICE_MAX);
        }
    }
    price
}

/// Dearest cell: a wider range of prices would cost the solver its digits.
const PRICE_MAX: f64 = 1e9;

/// For each row the refinement with the fewest parts, among all tables and dimensions that refine it.
fn parts(raw: &RawTables, sums: &[Sum]) -> Vec<Parts> {
    let mut best: Vec<Option<&Sum>> = vec![None; raw.rows.len()];
    for sum in sums {
        let known = &mut best[sum.whole as usize];
        if known.is_none_or(|k| sum.parts.len() < k.parts.len()) {
            *known = Some(sum);
        }
    }
    best.into_iter()
        .zip(&raw.rows)
        .map(|(sum, row)| match sum {
            Some(sum) if sum.parts.len() < row.atoms.len() => Parts::Rows(sum.parts.clone()),
            _ => Parts::Atoms,
        })
        .collect()
}

/// Every sum that a table shows: each cell and the cells which share it out along one dimension, one level finer.
fn sums(raw: &RawTables) -> Vec<Sum> {
    let mut sums = Vec::new();
    for table in &raw.tables {
        for d in 0..table.dimensions.len() {
            let mut children: HashMap<Vec<(u8, u32)>, Vec<u32>> = HashMap::new();
            let parent_code = parent_codes(raw, table, d);
            for cell in table.cells.iter().filter(|c| c.key[d].0 > 0) {
                let mut key = cell.key.clone();
                let (level, code) = key[d];
                key[d] = if level == 1 { (0, 0) } else { (level - 1, parent_code[&(level, code)]) };
                children.entry(key).or_default().push(cell.row);
            }
            for cell in &table.cells {
                // One part only is the row itself.
                let Some(parts) = children.remove(&cell.key).filter(|parts| !parts.contains(&cell.row)) else {
                    continue;
                };
                sums.push(Sum { whole: cell.row, parts });
            }
        }
    }
    sums.sort_unstable_by(|one, other| (one.whole, &one.parts).cmp(&(other.whole, &other.parts)));
    sums.dedup();
    sums
}

/// The coarse code above each fine code, by (level, code), read off the cells that refine dimension `d` alone.
fn parent_codes(raw: &RawTables, table: &super::super::tabulate::RawTable, d: usize) -> HashMap<(u8, u32), u32> {
    let mut of_atom: HashMap<(u8, u32), u32> = HashMap::new();
    let mut above: HashMap<(u8, u32), u32> = HashMap::new();
    let others_total = |key: &[(u8, u32)]| key.iter().enumerate().all(|(i, k)| i == d || k.0 == 0);
    for cell in table.cells.iter().filter(|c| others_total(&c.key)) {
        let (level, code) = cell.key[d];
        for &a in &raw.rows[cell.row as usize].atoms {
            of_atom.insert((level, a), code);
        }
    }
    for cell in table.cells.iter().filter(|c| others_total(&c.key) && c.key[d].0 > 1) {
        let (level, code) = cell.key[d];
        let atom = raw.rows[cell.row as usize].atoms[0];
        above.insert((level, code), of_atom[&(level - 1, atom)]);
    }
    above
}

#[cfg(test)]
mod tests {
    use super::super::super::microdata::{Column, Microdata};
    use super::super::super::policy::Spec;
    use super::super::super::tabulate::tabulate;
    use super::*;

    #[test]
    fn a_cell_costs_as_many_times_more_as_its_levels_weigh_and_totals_by_their_own_factor() {
        let spec = "contributor='c'\nweight='w'\n[protection]\ntotals=3\nweights={ commune=50, naf=2 }\n\
                    [dimensions.zone]\nlevels=['commune','sector']\n[dimensions.naf]\nlevels=['naf']\n\
                    [[tables]]\nname='t'\ndimensions=['zone','naf']";
        let spec = Spec::parse(spec).unwrap();
        let column = |name: &str, codes: [&str; 4]| Column::of(name, &codes.map(Some));
        let columns = vec![
            column("commune", ["C", "C", "C", "D"]),
            column("sector", ["C1", "C1", "C2", "D1"]),
            column("naf", ["A", "B", "A", "A"]),
        ];
        let names = ["1", "2", "3", "4"].map(str::to_owned);
        let micro = Microdata::new(names.to_vec(), &names, vec![10, 20, 40, 80], columns);
        let raw = tabulate(&micro, &spec).unwrap();
        let price = prices(&raw, &spec.protection);
        let of = |key: [(u8, &str); 2]| {
            let table = &raw.tables[0];
            let named = |(d, k): (usize, &(u8, u32))| match k.0.checked_sub(1) {
                None => "",
                Some(level) => table.dimensions[d].labels[usize::from(level)][k.1 as usize].as_str(),
            };
            let is = |cell: &&super::super::super::tabulate::RawCell| {
                cell.key.iter().enumerate().zip(key).all(|(k, asked)| (k.1.0, named(k)) == asked)
            };
            let row = table.cells.iter().find(is).unwrap().row as usize;
            (price[row], raw.rows[row].value)
        };
        for (key, factor, value) in [
            ([(2, "C1"), (1, "A")], 2.0, 10),
            ([(1, "C"), (1, "A")], 100.0, 50),
            ([(1, "C"), (0, "")], 150.0, 70),
            ([(0, ""), (0, "")], 9.0, 150),
        ] {
            let (price, found) = of(key);
            assert_eq!(found, value);
            assert!((price / (value as f64 + 0.01) - factor).abs() < 1e-9, "{key:?}: {price}");
        }
    }
}
