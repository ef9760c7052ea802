//! Which sums the specification makes unsafe, and how far from the truth each must be kept: the rules that hold
//! everywhere, those of the tables that show the sum, zones with too few inhabitants, and zones that give way to the zone
//! above.

use super::super::microdata::{Column, Microdata};
use super::super::policy::{Rules, Spec};
use super::NotAuditable;
use super::form::{Key, Puzzle, Row};
use super::rules;
use std::collections::{BTreeMap, HashMap};

/// The level of each sum of the puzzle; `None` for a safe one.
///
/// # Errors
/// [`NotAuditable::NoPopulation`] where the inhabitants of a zone decide and nobody told them.
pub(super) fn levels(puzzle: &Puzzle, micro: &Microdata, spec: &Spec) -> Result<Vec<Option<u64>>, NotAuditable> {
    let of_tables = rules_of_tables(puzzle, spec);
    let by_rules = |row: &Row| {
        let cell = puzzle.judged(&row.atoms, row.establishments);
        let of_tables = row.cells.iter().flat_map(|(t, _)| of_tables[*t as usize].iter().copied());
        let all = std::iter::once(&spec.rules).chain(of_tables);
        all.filter_map(|rules| rules::level(&cell, rules, &spec.protection)).max()
    };
    let mut levels: Vec<Option<u64>> = puzzle.rows.iter().map(by_rules).collect();
    let zones = Zones::new(puzzle, micro, spec);
    population(&zones, &mut levels)?;
    fallback(&zones, &mut levels);
    Ok(levels)
}

/// The rules of each table of the puzzle beside those that hold everywhere. Where one release is judged, those of every
/// table hold for one that the specification does not name; other releases may have been made by other specifications.
pub(super) fn rules_of_tables<'s>(puzzle: &Puzzle, spec: &'s Spec) -> Vec<Vec<&'s Rules>> {
    let of_one = |t: u32| match spec.tables.iter().find(|table| table.name == puzzle.table(t).1) {
        Some(table) => table.rules.iter().collect(),
        None if puzzle.is_one_release() => spec.tables.iter().flat_map(|table| &table.rules).collect(),
        None => Vec::new(),
    };
    (0..puzzle.tables()).map(of_one).collect()
}

/// Where each level stands: which dimension of the specification, and how many levels are above it.
struct Zones<'a> {
    puzzle: &'a Puzzle,
    micro: &'a Microdata,
    spec: &'a Spec,
    place_of: BTreeMap<&'a str, (&'a str, usize)>,
}

/// One zone that a cell names: the row, the table, the whole key and which of its parts names the zone, and where the level
/// of that zone stands.
struct Named<'a> {
    row: usize,
    table: u32,
    key: &'a Key,
    part: usize,
    dimension: &'a str,
    depth: usize,
}

impl<'a> Zones<'a> {
    fn new(puzzle: &'a Puzzle, micro: &'a Microdata, spec: &'a Spec) -> Self {
        let levels = spec.dimensions.iter().flat_map(|(name, dimension)| {
            dimension.levels.iter().enumerate().map(move |(depth, level)| (level.as_str(), (name.as_str(), depth)))
        });
        Self { puzzle, micro, spec, place_of: levels.collect() }
    }

    /// Every zone that some cell names, totals aside.
    fn named(&self) -> impl Iterator<Item = Named<'a>> {
        let Self { puzzle, .. } = *self;
        let cells = puzzle.rows.iter().enumerate().flat_map(|(r, row)| row.cells.iter().map(move |cell| (r, cell)));
        let place_of = self.place_of.clone();
        cells.flat_map(move |(row, (table, key))| {
            let place_of = place_of.clone();
            (0..key.len()).filter_map(move |part| {
                let &(dimension, depth) = place_of.get(puzzle.level(*table, part, key[part].0)?)?;
                Some(Named { row, table: *table, key, part, dimension, depth })
            })
        })
    }

    /// The column of a level.
    fn column(&self, level: &str) -> Option<&'a Column> {
        self.micro.column(level)
    }

    /// The code that the records of a row have in a column: all of them one code, where the column is of a zone around
    /// them.
    fn code(&self, row: usize, column: &Column) -> Option<u32> {
        let first = *self.puzzle.rows[row].atoms.first()?;
        column.codes[self.puzzle.atoms[first as usize].record as usize]
    }
}

fn raise(level: &mut Option<u64>, to: u64) {
    *level = Some(level.unwrap_or(0).max(to).max(1));
}

/// A zone with fewer inhabitants than asked shows nothing, and neither does any part of it.
fn population(zones: &Zones<'_>, levels: &mut [Option<u64>]) -> Result<(), NotAuditable> {
    for (level, population) in &zones.spec.population {
        let (Some(&(dimension, depth)), Some(column)) = (zones.place_of.get(level.as_str()), zones.column(level))
        else {
            continue;
        };
        for at in zones.named().filter(|at| at.dimension == dimension && at.depth >= depth) {
            let Some(zone) = zones.code(at.row, column) else { continue };
            let zone = &column.labels[zone as usize];
            let Some(inhabitants) = population.inhabitants.get(zone) else {
                return Err(NotAuditable::NoPopulation { level: level.clone(), code: zone.clone() });
            };
            if *inhabitants < population.least {
                let value = zones.puzzle.rows[at.row].value;
                raise(&mut levels[at.row], rules::share_of(value, zones.spec.protection.width));
            }
        }
    }
    Ok(())
}

/// Where one zone counts too few, it and all others under the same zone above are withheld in that crossing, with all that
/// lies below them.
fn fallback(zones: &Zones<'_>, levels: &mut [Option<u64>]) {
    for (level, fallback) in &zones.spec.fallback {
        let Some(&(dimension, depth)) = zones.place_of.get(level.as_str()) else { continue };
        let above = depth.checked_sub(1).map(|above| &zones.spec.dimensions[dimension].levels[above]);
        let Some(above) = above.and_then(|above| zones.column(above)) else { continue };
        // A family: one table, one part of the key left open, the zone above in its place.
        let mut families: HashMap<(u32, Key), (bool, Vec<usize>)> = HashMap::new();
        for at in zones.named().filter(|at| at.dimension == dimension && at.depth >= depth) {
            let mut key = at.key.clone();
            key[at.part] = (u32::MAX, zones.code(at.row, above).map_or(u32::MAX, |code| code));
            let (gives_way, members) = families.entry((at.table, key)).or_default();
            let row = &zones.puzzle.rows[at.row];
            let zeros = zones.spec.protection.zeros;
            *gives_way |=
                at.depth == depth && rules::few(row.value, row.establishments, fallback.least, fallback.of, zeros);
            members.push(at.row);
        }
        for row in families.into_values().filter(|family| family.0).flat_map(|family| family.1) {
            raise(&mut levels[row], 1);
        }
    }
}
