//! What two states of the same tables tell together: of each shown cell by how much it has changed, and with it every
//! weighted sum of such changes.
//!
//! A sum of changes in which fewer contributors take part than are asked for tells of these alone, whichever cells it is
//! put together from. Changes are split by the shown cells that records lie in. Some of the parts follow from what is shown
//! exactly when every change of all parts that leaves the shown cells alone leaves some weighted sum of them alone; so
//! random changes of that kind (null vectors modulo a prime) tell, except with a probability of about one over the prime.

use super::super::audit::{fixes_some, null_vectors};
use super::super::microdata::Microdata;
use super::super::protect::Coordinate;
use super::super::tabulate::RawTables;
use super::{place, text_of};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most groups of contributors tried; a correction that needs more is refused.
const GROUPS_MAX: usize = 5_000_000;

/// Most numbers in all null vectors together: 400 MB.
const NUMBERS_MAX: usize = 50_000_000;

/// One state of the tables.
pub(super) struct State<'a> {
    pub raw: &'a RawTables,
    pub micro: &'a Microdata,
    /// Whether a place of a table, by its number, is shown; where nobody is it counts as shown.
    pub shows: &'a dyn Fn(usize, &[Coordinate]) -> bool,
}

/// What the two states tell of too few.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// Of fewer contributors than asked for: shown cells they are in, by name.
    OfFew(Vec<String>),
    /// More changes than can be looked at.
    TooMany,
}

/// The changes of the records behind the same shown cells.
struct Part {
    /// The shown cells, by number.
    cells: Vec<u32>,
    /// Whose records changed, by number, ascending.
    of: Vec<u32>,
}

/// Looks for a sum of changes that follows from what both states show and in which some contributors take part, but fewer
/// than `least`. The tables of both states are the same.
pub(super) fn told(states: [&State<'_>; 2], least: usize) -> Told {
    let (parts, names, n_cells) = parts(states);
    let few: Vec<u32> = (0..parts.len() as u32).filter(|&p| parts[p as usize].of.len() < least).collect();
    if few.is_empty() {
        return Told::Nothing;
    }
    let mut sums: Vec<Vec<u32>> = vec![Vec::new(); n_cells];
    for (p, part) in (0_u32..).zip(&parts) {
        part.cells.iter().for_each(|&cell| sums[cell as usize].push(p));
    }
    sums.retain(|sum| !sum.is_empty());
    sums.sort_unstable();
    sums.dedup();
    let mut of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &p in &few {
        parts[p as usize].of.iter().for_each(|&who| of.entry(who).or_default().push(p));
    }
    let everybody: Vec<u32> = of.keys().copied().collect();
    // As many as the parts of the largest group, and one more.
    let mut sizes: Vec<usize> = of.values().map(Vec::len).collect();
    sizes.sort_unstable();
    let count = sizes.iter().rev().take(least.saturating_sub(1)).sum::<usize>() + 1;
    if count.saturating_mul(parts.len()) > NUMBERS_MAX {
        return Told::TooMany;
    }
    let vectors = null_vectors(parts.len(), &sums, count);
    let of_group = |group: &[u32]| -> Vec<u32> {
        let all: BTreeSet<u32> = group.iter().flat_map(|who| &of[who]).copied().collect();
        all.into_iter().filter(|&p| parts[p as usize].of.iter().all(|who| group.contains(who))).collect()
    };
    let said = |told: &[u32]| {
        let cells: BTreeSet<u32> = told.iter().flat_map(|&p| parts[p as usize].cells.iter().copied()).collect();
        Told::OfFew(cells.into_iter().map(|cell| names[cell as usize].clone()).collect())
    };
    // Two who have one part each, of their own, take part in a sum of both where the parts change in step: those are found
    // by name. Larger groups are tried one by one, but for two such.
    let is_simple = |who: &u32| of[who].len() == 1 && parts[of[who][0] as usize].of.len() == 1;
    let mut in_step: HashMap<Vec<u64>, u32> = HashMap::new();
    if least > 2 {
        for who in everybody.iter().filter(|who| is_simple(who)) {
            let part = of[who][0];
            if let Some(other) = in_step.insert(direction(&vectors, part), part) {
                return said(&[other, part]);
            }
        }
    }
    let mut tried = 0;
    let mut group: Vec<u32> = Vec::new();
    let mut told = |group: &[u32]| -> Option<Told> {
        if matches!(group, [one, other] if is_simple(one) && is_simple(other)) {
            return None;
        }
        tried += 1;
        if tried > GROUPS_MAX {
            return Some(Told::TooMany);
        }
        let own = of_group(group);
        (!own.is_empty() && fixes_some(&vectors, &own)).then(|| said(&own))
    };
    each(&everybody, least.saturating_sub(1), &mut group, &mut told).unwrap_or(Told::Nothing)
}

/// Tries each group of so many at most, until one answers.
fn each<T>(
    among: &[u32],
    most: usize,
    group: &mut Vec<u32>,
    try_one: &mut dyn FnMut(&[u32]) -> Option<T>,
) -> Option<T> {
    if group.len() == most {
        return None;
    }
    for (i, &who) in among.iter().enumerate() {
        group.push(who);
        let found = try_one(group).or_else(|| each(&among[i + 1..], most, group, try_one));
        group.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

/// What random changes do to a part, but for a factor: two parts that change in step have one direction.
fn direction(vectors: &[Vec<u64>], part: u32) -> Vec<u64> {
    let values: Vec<u64> = vectors.iter().map(|vector| vector[part as usize]).collect();
    super::super::audit::in_first(&values)
}

/// The parts of all changes, the names of the shown cells, and how many these are.
fn parts(states: [&State<'_>; 2]) -> (Vec<Part>, Vec<String>, usize) {
    let mut number: BTreeMap<(usize, Vec<Coordinate>), u32> = BTreeMap::new();
    let mut names = Vec::new();
    let mut held: HashMap<Vec<u32>, BTreeMap<&str, [(u64, u64); 2]>> = HashMap::new();
    for (s, state) in states.into_iter().enumerate() {
        let mut cells_of: Vec<Vec<u32>> = vec![Vec::new(); state.raw.atoms.len()];
        for (t, table) in state.raw.tables.iter().enumerate() {
            for cell in &table.cells {
                let at = place(table, cell);
                if !states.iter().all(|state| (state.shows)(t, &at)) {
                    continue;
                }
                let next = number.len() as u32;
                let cell_number = *number.entry((t, at.clone())).or_insert_with(|| {
                    let levels: Vec<&[String]> = table.dimensions.iter().map(|d| d.levels.as_slice()).collect();
                    let of: Vec<&str> = table.dimensions.iter().map(|d| d.name.as_str()).collect();
                    names.push(format!("{}: {}", table.name, text_of(&of, &levels, &at)));
                    next
                });
                let atoms = &state.raw.rows[cell.row as usize].atoms;
                atoms.iter().for_each(|&a| cells_of[a as usize].push(cell_number));
            }
        }
        for (atom, mut cells) in state.raw.atoms.iter().zip(cells_of) {
            cells.sort_unstable();
            let behind = held.entry(cells).or_default();
            for (c, count) in atom.contributions.iter().zip(&atom.counts) {
                let part = &mut behind.entry(state.micro.contributors[c.0 as usize].as_str()).or_default()[s];
                *part = (part.0 + c.1, part.1 + u64::from(*count));
            }
        }
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut all: Vec<(Vec<u32>, Vec<&str>)> = held
        .into_iter()
        .map(|(cells, by)| (cells, by.into_iter().filter(|one| one.1[0] != one.1[1]).map(|one| one.0).collect()))
        .filter(|(cells, of): &(Vec<u32>, Vec<&str>)| !cells.is_empty() && !of.is_empty())
        .collect();
    all.sort_unstable();
    let parts = all.into_iter().map(|(cells, of)| {
        let mut of: Vec<u32> = of
            .into_iter()
            .map(|who| {
                let next = numbers.len() as u32;
                *numbers.entry(who).or_insert(next)
            })
            .collect();
        of.sort_unstable();
        Part { cells, of }
    });
    (parts.collect(), names, number.len())
}
