//! What two states of the same tables tell together: of each shown cell by how much it has changed, and with it every
//! weighted sum of such changes.
//!
//! A sum of changes in which fewer contributors take part than are asked for tells of these alone, whichever cells it is
//! put together from. Changes are split by the shown cells that records lie in. Some of the parts follow from what is shown
//! exactly when every change of all parts that leaves the shown cells alone leaves some weighted sum of them alone; so
//! random changes of that kind (null vectors modulo a prime) tell, except with a probability of about one over the prime.

use super::super::audit::{direction_of, fixes_some, null_vectors};
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
            if let Some(other) = in_step.insert(direction_of(&vectors, part), part) {
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

#[cfg(test)]
mod tests {
    use super::super::super::audit::fixes_some;
    use super::super::super::policy::Spec;
    use super::super::super::tabulate::tabulate;
    use super::*;
    use crate::steps::secrecy::Column;

    fn records(rows: &[(String, u64, usize, usize)]) -> Microdata {
        let column = |name: &str, of: fn(&(String, u64, usize, usize)) -> usize| {
            let codes: Vec<String> = rows.iter().map(|row| of(row).to_string()).collect();
            Column::of(name, &codes.iter().map(|code| Some(code.as_str())).collect::<Vec<_>>())
        };
        let who: Vec<String> = rows.iter().map(|row| row.0.clone()).collect();
        let ids = (0..rows.len()).map(|i| i.to_string()).collect();
        Microdata::new(
            ids,
            &who,
            rows.iter().map(|row| row.1).collect(),
            vec![column("i", |r| r.2), column("j", |r| r.3)],
        )
    }

    /// The rank of some columns of a matrix, in fractions of whole numbers.
    fn rank(matrix: &[Vec<i128>], columns: &[usize]) -> usize {
        let mut rows: Vec<Vec<i128>> = matrix.iter().map(|row| columns.iter().map(|&c| row[c]).collect()).collect();
        let mut rank = 0;
        for c in 0..columns.len() {
            let Some(pivot) = (rank..rows.len()).find(|&r| rows[r][c] != 0) else { continue };
            rows.swap(rank, pivot);
            let (above, below) = rows.split_at_mut(rank + 1);
            let row = &above[rank];
            for other in below {
                let (by, from) = (other[c], row[c]);
                other.iter_mut().zip(row).for_each(|(mine, theirs)| *mine = *mine * from - *theirs * by);
                let common = other.iter().fold(0_i128, |common, &n| gcd(common, n));
                other.iter_mut().filter(|_| common > 1).for_each(|n| *n /= common);
            }
            rank += 1;
        }
        rank
    }

    fn gcd(a: i128, b: i128) -> i128 {
        if b == 0 { a.abs() } else { gcd(b, a % b) }
    }

    /// A sum of the shown changes lies within some parts alone exactly when the others have a lower rank than all have.
    #[test]
    fn of_few_is_told_where_the_ranks_of_all_choices_of_few_say_so() {
        let spec = "contributor='c'\nweight='w'\n[dimensions.i]\nlevels=['i']\n[dimensions.j]\nlevels=['j']\n\
                    [[tables]]\nname='t'\ndimensions=['i','j']";
        let spec = Spec::parse(spec).unwrap();
        let (mut told_of_few, mut nothing) = (0, 0);
        for seed in 0..400 {
            let mut state = seed as u64;
            let mut draw = |below: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 33) % below) as usize
            };
            let n = 8 + draw(10);
            let mut rows: Vec<_> =
                (0..n).map(|_| (format!("f{}", draw(9)), 1 + draw(9) as u64, draw(3), draw(3))).collect();
            let before = records(&rows);
            for _ in 0..1 + draw(5) {
                let at = draw(n as u64);
                rows[at].1 += 1 + draw(3) as u64;
            }
            let after = records(&rows);
            let hidden: BTreeSet<Vec<Coordinate>> = {
                let raw = tabulate(&before, &spec).unwrap();
                let cells = raw.tables[0].cells.iter().filter(|_| draw(2) == 0);
                cells.map(|cell| place(&raw.tables[0], cell)).collect()
            };
            let shows = |_: usize, at: &[Coordinate]| !hidden.contains(at);
            let (raw_before, raw_after) = (tabulate(&before, &spec).unwrap(), tabulate(&after, &spec).unwrap());
            let then = State { raw: &raw_before, micro: &before, shows: &shows };
            let now = State { raw: &raw_after, micro: &after, shows: &shows };
            let (parts, _, n_cells) = parts([&now, &then]);
            let mut matrix = vec![vec![0_i128; parts.len()]; n_cells];
            for (p, part) in parts.iter().enumerate() {
                part.cells.iter().for_each(|&cell| matrix[cell as usize][p] = 1);
            }
            let everybody: BTreeSet<u32> = parts.iter().flat_map(|part| part.of.clone()).collect();
            let everybody: Vec<u32> = everybody.into_iter().collect();
            for least in 1..5 {
                let columns: Vec<usize> = (0..parts.len()).collect();
                let of_few = (0_u32..1 << everybody.len()).any(|choice| {
                    let few: Vec<u32> =
                        (0..everybody.len()).filter(|i| choice >> i & 1 == 1).map(|i| everybody[i]).collect();
                    let others = |&p: &usize| parts[p].of.iter().any(|who| !few.contains(who));
                    let others: Vec<usize> = columns.iter().copied().filter(others).collect();
                    few.len() < least && rank(&matrix, &others) < rank(&matrix, &columns)
                });
                let said = told([&now, &then], least);
                assert_eq!(matches!(said, Told::OfFew(_)), of_few, "{seed} {least}: {said:?}");
                if of_few { told_of_few += 1 } else { nothing += 1 }
            }
        }
        assert!(told_of_few > 100 && nothing > 100, "{told_of_few} {nothing}");
    }

    #[test]
    fn what_is_one_combination_of_the_others_is_noticed() {
        assert!(fixes_some(&[vec![0, 5], vec![0, 7]], &[0]), "it never changes");
        assert!(!fixes_some(&[vec![0, 5], vec![0, 7]], &[1]));
        let in_step = [vec![2, 6, 1], vec![5, 15, 2], vec![1, 3, 9]];
        assert!(fixes_some(&in_step, &[0, 1]) && !fixes_some(&in_step, &[0, 2]) && !fixes_some(&in_step, &[1, 2]));
    }
}
