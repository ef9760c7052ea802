//! The system an attacker faces: atoms, rows over them, what is open, and which moves keep everything open unchanged.

use super::super::policy::{Cost, Protection, Rules, Zeros};
use super::super::primary::{self, Unsafe};
use super::super::tabulate::RawTables;
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
pub(super) enum Parts {
    /// It is the sum of these rows, which share no atom.
    Rows(Vec<u32>),
    /// It is the sum of its atoms.
    Atoms,
}

/// The raw tables made ready for attack and defence.
pub(in super::super) struct System<'a> {
    pub raw: &'a RawTables,
    pub fate: Vec<Fate>,
    pub verdict: Vec<Option<Unsafe>>,
    /// Rows each atom lies in.
    pub rows_of: Vec<Vec<u32>>,
    /// Atoms each contributor has a part in.
    pub atoms_of: Vec<Vec<u32>>,
    /// What withholding a row costs: its value, dearer for totals, so that margins stay open.
    pub price: Vec<f64>,
    pub(super) parts: Vec<Parts>,
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
        Self {
            raw,
            fate,
            verdict,
            rows_of,
            atoms_of,
            price: prices(raw, protection),
            parts: parts(raw),
            insiders: protection.insiders,
            already_known: HashSet::new(),
        }
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

/// What the reader loses with a row: every cell that is this row, at its weight or as one, dearer for totals. A little
/// more for each, so that of two equal patterns the one with fewer cells is taken.
fn prices(raw: &RawTables, protection: &Protection) -> Vec<f64> {
    let mut price = vec![0.0; raw.rows.len()];
    for table in &raw.tables {
        for cell in &table.cells {
            let one = match protection.cost {
                Cost::Headcount => raw.rows[cell.row as usize].value as f64 + 0.01,
                Cost::Cells => 1.0,
            };
            let totals = cell.key.iter().filter(|k| k.0 == 0).count();
            price[cell.row as usize] += (one * protection.totals.powi(totals as i32)).min(PRICE_MAX);
        }
    }
    price
}

/// Dearest cell: a wider range of prices would cost the solver its digits.
const PRICE_MAX: f64 = 1e9;

/// For each row the refinement with the fewest parts, among all tables and dimensions that refine it.
fn parts(raw: &RawTables) -> Vec<Parts> {
    let mut best: Vec<Option<Vec<u32>>> = (0..raw.rows.len()).map(|_| None).collect();
    for table in &raw.tables {
        for d in 0..table.dimensions.len() {
            // Cells that differ in dimension d alone, one level finer than their parent there.
            let depth = table.dimensions[d].levels.len() as u8;
            let mut children: HashMap<Vec<(u8, u32)>, Vec<u32>> = HashMap::new();
            let parent_code = parent_codes(raw, table, d);
            for cell in table.cells.iter().filter(|c| c.key[d].0 > 0) {
                let mut key = cell.key.clone();
                let (level, code) = key[d];
                debug_assert!(level <= depth);
                key[d] = if level == 1 { (0, 0) } else { (level - 1, parent_code[&(level, code)]) };
                children.entry(key).or_default().push(cell.row);
            }
            for cell in &table.cells {
                let Some(rows) = children.get(&cell.key) else { continue };
                if rows.contains(&cell.row) {
                    continue; // one part only, the row itself
                }
                let known = &mut best[cell.row as usize];
                if known.as_ref().is_none_or(|k| rows.len() < k.len()) {
                    *known = Some(rows.clone());
                }
            }
        }
    }
    best.into_iter()
        .zip(&raw.rows)
        .map(|(rows, row)| match rows {
            Some(rows) if rows.len() < row.atoms.len() => Parts::Rows(rows),
            _ => Parts::Atoms,
        })
        .collect()
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
