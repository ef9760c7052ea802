//! The pattern of a system too large for circuits, a country for instance: what one row needs is sought near the row alone.
//!
//! A *cube* flips the codes of an atom in some dimensions: along one dimension two atoms trade, along two the corners of a
//! rectangle, along three those of a cube, each corner against its neighbours (the hypercubes of Repsilber 1994, "Preservation
//! of confidentiality in aggregated data", here with room and contributors looked at). Whatever sums the flips stay within
//! remain as they are. Needs are met one by one by the cubes that withhold least; at last rows are shown again which no
//! need leans on. Every move is checked as everywhere, and at any moment work and memory go with what is near.

use super::super::tabulate::{RawLevel, RawTables};
use super::circuits::TURNS_MAX;
use super::system::{Fate, System};
use super::witness::{Need, Pool, Side, Unmet, Witness};
use super::{Hopeless, needs};
use std::collections::HashMap;

/// Partners kept of an atom along one dimension: those of which least rows are shown, and those of which these are cheapest.
const PARTNERS_MAX: usize = 5;
const CHEAP_MAX: usize = 3;

/// Atoms of a row that cubes are built on.
const BASES_MAX: usize = 3;

/// Partners looked at along one dimension, evenly spread over those there are.
const LOOKED_AT_MAX: usize = 400;

/// Cubes that one move may be made of, where no single one has room enough; each goes on by one part of so many at least,
/// as far as there is room.
const CUBES_MAX: usize = 200;
const CUBE_PARTS: i64 = 20;

/// A row that more witnesses lean on is not shown again.
const LEANING_MAX: usize = 2_000;

/// Withholds what cubes touch until every need is met.
///
/// # Errors
/// A row that no cube protects: another way may.
pub(super) fn withhold(system: &mut System<'_>, pool: &mut Pool) -> Result<(), Hopeless> {
    let grid = Grid::new(&system.raw);
    let mut all: Vec<Need> = needs(system);
    // Large distances first: what they withhold serves small ones.
    all.sort_by_cached_key(|&need| (std::cmp::Reverse(need.distance(system, None)), need));
    for need in all {
        if !serve(&grid, system, pool, need, f64::INFINITY) {
            return Err(Hopeless::Row(need.row));
        }
    }
    let secondary = |r: &u32| system.fate[*r as usize] == Fate::Secondary;
    let rows = (0..system.raw.rows.len() as u32).filter(secondary).collect();
    show_again(&grid, system, pool, rows);
    Ok(())
}

/// Shows those of these rows again, all withheld for others, that are not leant on, the dearest first.
pub(super) fn show_again(grid: &Grid, system: &mut System<'_>, pool: &mut Pool, mut rows: Vec<u32>) {
    rows.sort_by(|&r, &s| system.price[s as usize].total_cmp(&system.price[r as usize]).then(r.cmp(&s)));
    for row in rows {
        if pool.leaning(row) > LEANING_MAX {
            continue;
        }
        let shaken = pool.leaning_on(system, row);
        system.fate[row as usize] = Fate::Open;
        pool.shown(row);
        let mut shaken = shaken.into_iter().flat_map(Need::both);
        if shaken.all(|need| serve(grid, system, pool, need, 0.0)) {
            pool.forget(row);
        } else {
            system.fate[row as usize] = Fate::Secondary;
            pool.withheld(row);
        }
    }
}

/// Adds witnesses until a need is met, each withholding rows of this price at most.
fn serve(grid: &Grid, system: &mut System<'_>, pool: &mut Pool, need: Need, price_max: f64) -> bool {
    for _ in 0..TURNS_MAX {
        let Some(wanted) = pool.unmet(system, need) else { return true };
        let several = wanted.attackers.len() > 1;
        let one = Unmet { attackers: wanted.attackers.iter().take(1).copied().collect(), ..wanted.clone() };
        let found = Draft::of(grid, system, &wanted, price_max);
        let found = if several { found.or_else(|| Draft::of(grid, system, &one, price_max)) } else { found };
        let Some(draft) = found else { return false };
        for &row in &draft.withheld {
            system.fate[row as usize] = Fate::Secondary;
            pool.withheld(row);
        }
        let Some(witness) = Witness::check(system, 1, draft.moves.clone()) else { return false };
        pool.add(system, witness);
        // The move back serves the other sides of the same rows.
        if let Some(back) = Witness::check(system, 1, draft.moves.iter().map(|&(a, by)| (a, -by)).collect()) {
            pool.add(system, back);
        }
    }
    false
}

/// Where atoms lie.
pub(super) struct Grid {
    /// For each dimension its levels, coarse to fine: the code of each atom.
    dimensions: Vec<Vec<Vec<u32>>>,
    /// The atom of these codes, one a dimension.
    atom: HashMap<Box<[u32]>, u32>,
    /// Atoms alike in all dimensions but one, and there under one code: by dimension, level of that code, the code, and the
    /// codes of the other dimensions.
    alike: HashMap<Box<[u32]>, Vec<u32>>,
}

/// In place of the code of an atom outside a dimension.
const OUTSIDE: u32 = u32::MAX;

impl Grid {
    pub fn new(raw: &RawTables) -> Self {
        let mut named: Vec<(&str, &[String])> = Vec::new();
        for dimension in raw.tables.iter().flat_map(|t| &t.dimensions) {
            match named.iter_mut().find(|(name, _)| *name == dimension.name) {
                Some((_, levels)) if levels.len() >= dimension.levels.len() => {}
                Some((_, levels)) => *levels = &dimension.levels,
                None => named.push((&dimension.name, &dimension.levels)),
            }
        }
        let codes = |level: &RawLevel| level.codes.iter().map(|code| code.unwrap_or(OUTSIDE)).collect::<Vec<u32>>();
        let level = |name: &String| raw.levels.iter().find(|level| level.name == *name).map(codes);
        let dimensions = named.iter().map(|(_, levels)| levels.iter().filter_map(level).collect()).collect();
        let mut grid = Self { dimensions, atom: HashMap::new(), alike: HashMap::new() };
        for a in 0..raw.atoms.len() as u32 {
            grid.atom.insert(grid.codes(a), a);
            for d in 0..grid.dimensions.len() {
                for level in 0..grid.dimensions[d].len() {
                    grid.alike.entry(grid.place(a, d, level)).or_default().push(a);
                }
            }
        }
        grid
    }

    fn finest(&self, atom: u32, dimension: usize) -> u32 {
        self.dimensions[dimension].last().map_or(OUTSIDE, |codes| codes[atom as usize])
    }

    fn codes(&self, atom: u32) -> Box<[u32]> {
        (0..self.dimensions.len()).map(|d| self.finest(atom, d)).collect()
    }

    /// The key of an atom in `alike`: level 0 is the whole dimension.
    fn place(&self, atom: u32, dimension: usize, level: usize) -> Box<[u32]> {
        let above = if level == 0 { 0 } else { self.dimensions[dimension][level - 1][atom as usize] };
        let others = (0..self.dimensions.len()).filter(|&d| d != dimension).map(|d| self.finest(atom, d));
        [dimension as u32, level as u32, above].into_iter().chain(others).collect()
    }

    /// The corner opposite to the first in these dimensions, where the others tell the codes there.
    fn corner(&self, base: u32, flips: &[(usize, u32)]) -> Option<u32> {
        let mut codes = self.codes(base);
        for &(d, partner) in flips {
            codes[d] = self.finest(partner, d);
        }
        self.atom.get(&codes).copied()
    }
}

/// A move in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub moves: Vec<(u32, i64)>,
    /// Rows it takes to withhold.
    pub withheld: Vec<u32>,
}

/// A cube that could be added to a draft.
struct Cube {
    moves: Vec<(u32, i64)>,
    withheld: Vec<u32>,
    /// How far it moves the row.
    far: i64,
    /// What it withholds.
    price: f64,
}

impl Draft {
    /// The cheapest cubes found that meet a need together.
    pub fn of(grid: &Grid, system: &System<'_>, wanted: &Unmet, price_max: f64) -> Option<Self> {
        let mut draft = Self::default();
        let mut left = wanted.distance;
        let mut price = 0.0;
        for _ in 0..CUBES_MAX {
            let cube = draft.cube(grid, system, wanted, left)?;
            price += cube.price;
            if price > price_max {
                return None;
            }
            left -= cube.far;
            for (a, by) in cube.moves {
                match draft.moves.binary_search_by_key(&a, |m| m.0) {
                    Ok(at) => draft.moves[at].1 += by,
                    Err(at) => draft.moves.insert(at, (a, by)),
                }
            }
            draft.withheld.extend(cube.withheld);
            draft.withheld.sort_unstable();
            if left == 0 {
                return Some(draft);
            }
        }
        None
    }

    /// How far an atom can go on one side, as far as the attackers can tell and after what is drafted.
    fn room(&self, system: &System<'_>, wanted: &Unmet, atom: u32, up: bool) -> i64 {
        let (above, below) = system.limits(atom, &wanted.attackers);
        let moved = self.moves.binary_search_by_key(&atom, |m| m.0).map_or(0, |at| self.moves[at].1);
        if up { above.map_or(i64::MAX, |end| end as i64 - moved) } else { below as i64 + moved }
    }

    fn is_shown(&self, system: &System<'_>, row: u32) -> bool {
        system.fate[row as usize].is_shown() && self.withheld.binary_search(&row).is_err()
    }

    fn cube(&self, grid: &Grid, system: &System<'_>, wanted: &Unmet, left: i64) -> Option<Cube> {
        let up = wanted.need.side == Side::Up;
        let row = &system.raw.rows[wanted.need.row as usize].atoms;
        let mut bases: Vec<(i64, u32)> = row
            .iter()
            .map(|&a| (self.room(system, wanted, a, up).min(left), a))
            .filter(|base| base.0 > 0)
            .map(|(room, a)| (-room, a))
            .collect();
        bases.sort_unstable();
        bases.truncate(BASES_MAX);
        // Many small steps would not end.
        let least = (wanted.distance / CUBE_PARTS).min(left).min(-bases.first()?.0);
        let mut best: Option<Cube> = None;
        for (_, base) in bases {
            let partners: Vec<Vec<u32>> =
                (0..grid.dimensions.len()).map(|d| self.partners(grid, system, wanted, base, d)).collect();
            let mut flips: Vec<(usize, u32)> = Vec::new();
            self.flip(grid, system, wanted, left, base, &partners, (least, 0), &mut flips, &mut best);
            if best.as_ref().is_some_and(|cube| cube.price == 0.0 && cube.far == left) {
                break;
            }
        }
        best
    }

    /// Atoms that could trade with another along one dimension, those that would show least first.
    fn partners(&self, grid: &Grid, system: &System<'_>, wanted: &Unmet, base: u32, dimension: usize) -> Vec<u32> {
        let row = &system.raw.rows[wanted.need.row as usize].atoms;
        let up = wanted.need.side == Side::Up;
        let mut found: Vec<(usize, i64, u32)> = Vec::new();
        let mut cheap: Vec<(f64, u32)> = Vec::new();
        // Within the same code of the finest level first, where that leaves the row.
        for level in (0..grid.dimensions[dimension].len()).rev() {
            let Some(alike) = grid.alike.get(&grid.place(base, dimension, level)) else { continue };
            for &a in alike.iter().step_by(alike.len().div_ceil(LOOKED_AT_MAX)) {
                let room = self.room(system, wanted, a, !up).min(wanted.distance);
                if a == base || room <= 0 || row.binary_search(&a).is_ok() {
                    continue;
                }
                let of_base = &system.rows_of[base as usize];
                let more = system.rows_of[a as usize].iter().filter(|r| of_base.binary_search(r).is_err());
                let prices = more.filter(|&&r| self.is_shown(system, r)).map(|&r| system.price[r as usize]);
                let (shown, price) = prices.fold((0, 0.0), |(n, sum), price| (n + 1, sum + price));
                found.push((shown, -room, a));
                cheap.push((price, a));
            }
            if found.len() >= PARTNERS_MAX {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        // The farthest-reaching one is kept too: the first may be too small.
        let widest = found.iter().min_by_key(|f| (f.1, f.0, f.2)).map(|f| f.2);
        cheap.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let mut kept: Vec<u32> = found.iter().take(PARTNERS_MAX).map(|f| f.2).collect();
        for a in cheap.into_iter().take(CHEAP_MAX).map(|c| c.1).chain(widest) {
            if !kept.contains(&a) {
                kept.push(a);
            }
        }
        kept
    }

    /// Tries the cube of these flips, and all that flip later dimensions too.
    #[expect(clippy::too_many_arguments, reason = "a search that carries its place")]
    fn flip(
        &self,
        grid: &Grid,
        system: &System<'_>,
        wanted: &Unmet,
        left: i64,
        base: u32,
        partners: &[Vec<u32>],
        (least, from): (i64, usize),
        flips: &mut Vec<(usize, u32)>,
        best: &mut Option<Cube>,
    ) {
        if let Some(cube) = self.priced(grid, system, wanted, left, base, flips).filter(|cube| cube.far >= least) {
            let better = |than: &Cube| {
                // By the unit, since what is left needs more.
                let (one, other) = (cube.price * than.far as f64, than.price * cube.far as f64);
                one < other || (one == other && (cube.far, than.moves.len()) > (than.far, cube.moves.len()))
            };
            if best.as_ref().is_none_or(better) {
                *best = Some(cube);
            }
        }
        for d in from..partners.len() {
            for &partner in &partners[d] {
                if best.as_ref().is_some_and(|cube| cube.price == 0.0 && cube.far == left) {
                    return;
                }
                flips.push((d, partner));
                self.flip(grid, system, wanted, left, base, partners, (least, d + 1), flips, best);
                flips.pop();
            }
        }
    }

    /// The cube of these flips, as far as there is room in it; none where a row that is shown for ever stands in its way.
    fn priced(
        &self,
        grid: &Grid,
        system: &System<'_>,
        wanted: &Unmet,
        left: i64,
        base: u32,
        flips: &[(usize, u32)],
    ) -> Option<Cube> {
        let up = wanted.need.side == Side::Up;
        let mut far = left;
        let mut corners: Vec<(u32, bool)> = Vec::with_capacity(1 << flips.len());
        for which in 0..1_u32 << flips.len() {
            let chosen: Vec<(usize, u32)> =
                flips.iter().enumerate().filter(|(i, _)| which >> i & 1 == 1).map(|(_, f)| *f).collect();
            let corner = grid.corner(base, &chosen)?;
            let with = (which.count_ones() % 2 == 0) == up;
            far = far.min(self.room(system, wanted, corner, with));
            if far <= 0 {
                return None;
            }
            corners.push((corner, with));
        }
        let sign = |with: bool| if with { 1 } else { -1 };
        let touched = corners.iter().flat_map(|&(a, with)| system.rows_of[a as usize].iter().map(move |&r| (r, with)));
        let mut changes: Vec<(u32, i64)> = touched.map(|(row, with)| (row, sign(with))).collect();
        changes.sort_unstable();
        let (mut withheld, mut price) = (Vec::new(), 0.0);
        for of_row in changes.chunk_by(|one, other| one.0 == other.0) {
            let (row, by) = (of_row[0].0, of_row.iter().map(|c| c.1).sum::<i64>());
            if row == wanted.need.row && by != sign(up) {
                return None;
            }
            if by != 0 && self.is_shown(system, row) {
                if system.fate[row as usize] == Fate::Locked {
                    return None;
                }
                withheld.push(row);
                price += system.price[row as usize];
            }
        }
        corners.sort_unstable();
        let moves = corners.into_iter().map(|(a, with)| (a, sign(with) * far)).collect();
        Some(Cube { moves, withheld, far, price })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cuts::tests::{cheapest_of_all, is_safe, ready, table};
    use super::*;

    #[test]
    fn what_cubes_withhold_is_safe() {
        let (mut withheld, mut met) = (0, 0);
        for seed in 1..40 {
            for insiders in [false, true] {
                let raw = table(seed);
                let (mut system, mut pool) = (ready(&raw, insiders), Pool::default());
                let open = system.fate.iter().filter(|f| **f == Fate::Open).count();
                if withhold(&mut system, &mut pool).is_err() {
                    continue;
                }
                met += 1;
                for need in needs(&system) {
                    assert_eq!(pool.unmet(&system, need), None, "{seed} {insiders}");
                }
                assert!(is_safe(&system), "{seed} {insiders}");
                withheld += system.fate.iter().filter(|f| **f == Fate::Secondary).count();
                if open <= 10 {
                    let least = cheapest_of_all(&raw, insiders).expect("cubes found one");
                    assert!(system.cost() >= least - 1e-6, "{seed} {insiders}");
                }
            }
        }
        assert!(met > 60 && withheld > 50, "{met} tables, {withheld} rows withheld in all");
    }
}
