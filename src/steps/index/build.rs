//! Scan conversion: edges become cells.
//!
//! Edges are sorted into cells by counting, without an allocation for each. Then rows are swept from west to east: a
//! reference point stands a hair east of each cell at the foot of its row, and the zones that hold it follow from those
//! that held the one before and the edges of the cell between them. All sides are decided exactly.

use super::cells::{
    BORDER, COUNT_MAX, COVERED, Cells, FINER, FIRST_EAST, Finer, Grid, LEAF, MORE, NONE, PAGE_EDGES_MAX, PAGE_ZONES,
    SECOND_EAST, UNIFORM, unanswered,
};
use super::exact::{self, Vertex};

/// Cells for each vertex of the zoning, by measure: more cost memory and building, fewer cost comparisons.
const CELLS_A_VERTEX: usize = 5;
/// Cells of a grid: a word each makes 16 MiB, which a processor's last cache still holds.
const CELLS_MAX: usize = 1 << 22;
/// Rows of cells that are worth a thread of their own.
const BAND_ROWS_MIN: usize = 12;
/// Threads that build together: the sorting before them is done by one.
const BANDS_MAX: usize = 4;
/// Cells of a grid at least.
const CELLS_MIN: usize = 1 << 10;
/// Edges above which a cell is cut into finer ones, by measure.
const LEAF_EDGES: usize = 6;
/// Finer cells for each edge of a cell, by measure.
const FINER_CELLS_AN_EDGE: usize = 2;
/// Finer cells along a side at most: a town in the middle of a country.
const FINER_SIDE_MAX: usize = 1024;
/// How far a leaf reaches over its cell, in sides of that cell: far more than coordinates are rounded by.
const REACH: f64 = 1.0 / 65_536.0;
/// How far an edge may stand from a cell and still be counted to it: more than leaves reach.
const MARGIN: f64 = 2.0 * REACH;
/// The least side of a cell, as a share of the greatest coordinate: below, rounding would be felt.
const SIDE_MIN: f64 = 1.0 / (1_u64 << 28) as f64;

/// The rings of all zones laid end to end.
#[derive(Debug, Default)]
pub(super) struct Rings {
    pub(super) vertices: Vec<Vertex>,
    /// Where each ring ends among the vertices, and its zone.
    pub(super) ends: Vec<(u32, u32)>,
}

impl Rings {
    pub(super) fn push(&mut self, zone: u32, ring: impl Iterator<Item = Vertex>) {
        self.vertices.extend(ring);
        self.ends.push((self.vertices.len() as u32, zone));
    }
}

/// The cells over some rings; `None` when they are more than the words of cells can number.
pub(super) fn build(rings: &Rings) -> Option<Cells> {
    if rings.vertices.len() > COUNT_MAX || rings.ends.iter().any(|&(_, zone)| zone as usize >= COUNT_MAX) {
        return None;
    }
    let grid = grid(rings);
    let (starts, edges) = sorted_by_cell(rings, &grid);
    let zone_near = zone_near(rings);
    let mut words = vec![NONE; grid.cells() + 1];
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bands = (grid.rows as usize / BAND_ROWS_MIN).clamp(1, cores.min(BANDS_MAX));
    let band_cells = (grid.rows as usize).div_ceil(bands) * grid.columns as usize;
    let made: Vec<Made> = std::thread::scope(|scope| {
        let (grid, starts, edges, zone_near) = (&grid, &starts[..], &edges[..], &zone_near[..]);
        let cells = grid.cells();
        let bands: Vec<_> = words[..cells]
            .chunks_mut(band_cells)
            .enumerate()
            .map(|(number, words)| {
                let first = number * band_cells;
                scope.spawn(move || sweep(rings, grid, starts, edges, zone_near, first, words))
            })
            .collect();
        bands.into_iter().map(|band| band.join().expect("a sweep does not panic")).collect()
    });
    drop((starts, edges));

    // Cells which are not cut share the first square, so that looking one up is always possible.
    let (mut finer, mut finer_words) = (vec![Finer { start: 0, side: 1 }], vec![NONE]);
    let mut leaves = Vec::with_capacity(made.iter().map(|made| made.leaves.len()).sum());
    let mut kept = vec![0; rings.vertices.len().div_ceil(64)];
    for (made, words) in made.into_iter().zip(words[..grid.cells()].chunks_mut(band_cells)) {
        let places = [
            finer.len() + made.finer.len(),
            finer_words.len() + made.finer_words.len(),
            leaves.len() + made.leaves.len(),
        ];
        if places.iter().any(|&n| n > COUNT_MAX) {
            return None;
        }
        let (finer_before, words_before, leaves_before) =
            (finer.len() as u32, finer_words.len() as u32, leaves.len() as u32);
        let moved = |word: u32| match unanswered(word) {
            true if word & FINER != 0 => word + finer_before,
            true => word + leaves_before,
            false => word,
        };
        words.iter_mut().for_each(|word| *word = moved(*word));
        finer.extend(made.finer.iter().map(|f| Finer { start: f.start + words_before, side: f.side }));
        finer_words.extend(made.finer_words.into_iter().map(moved));
        leaves.extend(made.leaves);
        kept.iter_mut().zip(made.kept).for_each(|(kept, more)| *kept |= more);
    }
    finer_words.shrink_to_fit();
    let mut cells = Cells { grid, words, finer, finer_words, leaves, vertices: Vec::new() };
    keep_vertices(&mut cells, rings, &kept);
    Some(cells)
}

/// What a sweep over some rows makes, its places counted from its own beginning.
struct Made {
    finer: Vec<Finer>,
    finer_words: Vec<u32>,
    leaves: Vec<u32>,
    kept: Vec<u64>,
}

/// Sweeps whole rows, from the cell `first`, and fills in their words.
fn sweep(
    rings: &Rings,
    grid: &Grid,
    starts: &[u32],
    edges: &[u32],
    zone_near: &[u32],
    first: usize,
    words: &mut [u32],
) -> Made {
    let mut maker = Maker {
        rings,
        zone_near,
        finer: Vec::new(),
        finer_words: Vec::new(),
        leaves: Vec::new(),
        edges: Vec::new(),
        kept: vec![0; rings.vertices.len().div_ceil(64)],
        candidates: Vec::new(),
        page: Vec::new(),
        part_starts: Vec::new(),
        part_edges: Vec::new(),
    };
    let mut held = Held::default();
    for (number, word) in words.iter_mut().enumerate() {
        let cell = first + number;
        let (row, column) = (cell as u32 / grid.columns, cell as u32 % grid.columns);
        if column == 0 {
            held.zones.clear();
        }
        let here = &edges[starts[cell] as usize..starts[cell + 1] as usize];
        *word = if here.is_empty() { held.least() } else { maker.cell(grid, column, row, here, &mut held) };
    }
    let Maker { finer, finer_words, leaves, kept, .. } = maker;
    Made { finer, finer_words, leaves, kept }
}

fn grid(rings: &Rings) -> Grid {
    let (mut least, mut greatest) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for v in &rings.vertices {
        least = [least[0].min(v[0]), least[1].min(v[1])];
        greatest = [greatest[0].max(v[0]), greatest[1].max(v[1])];
    }
    if rings.vertices.is_empty() {
        // No point is within: the least lies above the greatest.
        let (least, greatest) = ([1.0; 2], [0.0; 2]);
        return Grid { least, greatest, corner: [0.0; 2], side_m: 1.0, cells_a_metre: 1.0, columns: 1, rows: 1 };
    }
    let (width, height) = (greatest[0] - least[0], greatest[1] - least[1]);
    let wanted = (rings.vertices.len() * CELLS_A_VERTEX).clamp(CELLS_MIN, CELLS_MAX) as f64;
    let farthest = [least, greatest].iter().flatten().fold(0.0_f64, |m, c| m.max(c.abs()));
    // A flat zoning still gets cells along its length.
    let side_m = (width * height / wanted).sqrt().max(width.max(height) / wanted).max(farthest * SIDE_MIN);
    let side_m = if side_m > 0.0 { side_m } else { 1.0 };
    // Half a cell of room on each side keeps rounding away from the ends.
    let cells_a_metre = 1.0 / side_m;
    let count = |length: f64| (length * cells_a_metre).ceil() as u32 + 1;
    Grid {
        least,
        greatest,
        corner: [least[0] - side_m / 2.0, least[1] - side_m / 2.0],
        side_m,
        cells_a_metre,
        columns: count(width),
        rows: count(height),
    }
}

/// Calls with the column and row of each cell that an edge may touch; coordinates are counted in cells.
#[inline]
fn cells_along(a: (f64, f64), b: (f64, f64), columns: u32, rows: u32, mut call: impl FnMut(u32, u32)) {
    let first = |u: f64| (u - MARGIN) as u32;
    let last = |u: f64, n: u32| ((u + MARGIN) as u32).min(n - 1);
    let (left, right) = (a.0.min(b.0), a.0.max(b.0));
    let (low, high) = if a.1 <= b.1 { (a, b) } else { (b, a) };
    if right < -MARGIN || high.1 < -MARGIN {
        return;
    }
    let (c0, c1) = (first(left), last(right, columns));
    let (r0, r1) = (first(low.1), last(high.1, rows));
    let rise = high.1 - low.1;
    if c0 >= c1 || r0 >= r1 || rise < 0.01 {
        for row in r0..=r1 {
            for column in c0..=c1 {
                call(column, row);
            }
        }
        return;
    }
    let slope = (high.0 - low.0) / rise;
    let at = |y: f64| low.0 + (y.clamp(low.1, high.1) - low.1) * slope;
    for row in r0..=r1 {
        let (p, q) = (at(f64::from(row) - MARGIN), at(f64::from(row) + 1.0 + MARGIN));
        for column in first(p.min(q)).max(c0)..=last(p.max(q), columns).min(c1) {
            call(column, row);
        }
    }
}

/// Edges by cell: those of cell `i` are `edges[starts[i]..starts[i + 1]]`.
fn sorted_by_cell(rings: &Rings, grid: &Grid) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; grid.cells() + 2];
    each_cell(rings, grid, |cell, _| starts[cell + 2] += 1);
    for cell in 2..starts.len() {
        starts[cell] += starts[cell - 1];
    }
    let mut edges = vec![0_u32; starts[starts.len() - 1] as usize];
    each_cell(rings, grid, |cell, edge| {
        let at = &mut starts[cell + 1];
        edges[*at as usize] = edge;
        *at += 1;
    });
    (starts, edges)
}

/// Calls with every cell of every edge.
#[inline(always)]
fn each_cell(rings: &Rings, grid: &Grid, mut call: impl FnMut(usize, u32)) {
    let mut start = 0;
    for &(end, _) in &rings.ends {
        let ring = &rings.vertices[start as usize..end as usize];
        let Some(&first) = ring.first() else { continue };
        let mut before = first;
        let mut at_before = grid.in_cells(first[0], first[1]);
        let mut home_before = home(at_before);
        for (edge, &vertex) in (start..).zip(&ring[1..]) {
            let at = grid.in_cells(vertex[0], vertex[1]);
            let home = home(at);
            if home.is_some() && home == home_before {
                if vertex != before {
                    let (column, row) = home.unwrap_or_default();
                    call((row * grid.columns + column) as usize, edge);
                }
            } else {
                cells_along(at_before, at, grid.columns, grid.rows, |column, row| {
                    call((row * grid.columns + column) as usize, edge);
                });
            }
            (before, at_before, home_before) = (vertex, at, home);
        }
        start = end;
    }
}

/// The column and row of the only cell that a vertex may touch; none close to the lines between cells.
#[inline(always)]
fn home(at: (f64, f64)) -> Option<(u32, u32)> {
    let (column, row) = (at.0 as u32, at.1 as u32);
    let clear = |u: f64, whole: u32| {
        let part = u - f64::from(whole);
        (part > MARGIN) & (part < 1.0 - MARGIN)
    };
    (clear(at.0, column) & clear(at.1, row)).then_some((column, row))
}

/// Vertices for which one ring is noted.
const NEAR: usize = 32;

/// For every [`NEAR`] vertices, the ring of the first of them.
fn zone_near(rings: &Rings) -> Vec<u32> {
    let mut near = Vec::with_capacity(rings.vertices.len() / NEAR + 1);
    for (ring, &(end, _)) in rings.ends.iter().enumerate() {
        while near.len() * NEAR < end as usize {
            near.push(ring as u32);
        }
    }
    near
}

/// The zones that hold a reference point.
#[derive(Debug, Default, Clone)]
struct Held {
    zones: Vec<u32>,
}

impl Held {
    fn toggle(&mut self, zone: u32) {
        match self.zones.iter().position(|&held| held == zone) {
            Some(at) => {
                self.zones.swap_remove(at);
            }
            None => self.zones.push(zone),
        }
    }
    fn least(&self) -> u32 {
        self.zones.iter().copied().min().unwrap_or(NONE)
    }
}

/// An edge as a cell sees it, with the one or two zones it bounds.
#[derive(Debug, Clone, Copy)]
struct LocalEdge {
    a: Vertex,
    b: Vertex,
    edge: u32,
    zones: [u32; 2],
}

impl LocalEdge {
    fn ends(&self) -> [Vertex; 2] {
        if (self.a[1], self.a[0]) <= (self.b[1], self.b[0]) { [self.a, self.b] } else { [self.b, self.a] }
    }
    /// Whether a ray from the point to the east crosses it.
    #[inline]
    fn crosses(&self, x: f64, y: f64) -> bool {
        let (from_a, from_b) = (y >= self.a[1], y >= self.b[1]);
        if from_a == from_b {
            return false;
        }
        let side = exact::side(self.a, self.b, x, y);
        side != 0.0 && (side > 0.0) == from_a
    }
    fn toggle(&self, held: &mut Held) {
        held.toggle(self.zones[0]);
        if self.zones[1] != NONE {
            held.toggle(self.zones[1]);
        }
    }
}

/// A cell with its reach.
#[derive(Debug, Clone, Copy)]
struct Frame {
    east: f64,
    foot: f64,
    head: f64,
}

impl Frame {
    /// Whether an end of an edge changes bits at its height, by lying to the east.
    fn has_east(&self, v: Vertex) -> bool {
        v[0] > self.east && v[1] > self.foot && v[1] <= self.head
    }
    /// Whether an edge changes the bits of its zones at a point of the frame: as `Cells::meet` has it.
    fn changes(&self, edge: &LocalEdge, x: f64, y: f64) -> bool {
        let ends = (y >= edge.a[1] && self.has_east(edge.a)) ^ (y >= edge.b[1] && self.has_east(edge.b));
        edge.crosses(x, y) ^ ends
    }
}

struct Maker<'a> {
    rings: &'a Rings,
    zone_near: &'a [u32],
    finer: Vec<Finer>,
    finer_words: Vec<u32>,
    leaves: Vec<u32>,
    /// Edges that leaves name, a bit each.
    kept: Vec<u64>,
    // Room that is used again.
    edges: Vec<LocalEdge>,
    candidates: Vec<u32>,
    page: Vec<(u32, u8)>,
    part_starts: Vec<u32>,
    part_edges: Vec<u32>,
}

impl Maker<'_> {
    /// The word of a cell with edges. `held` comes as the zones that hold the reference point to its west, and leaves as
    /// those that hold its own.
    fn cell(&mut self, grid: &Grid, column: u32, row: u32, here: &[u32], held: &mut Held) -> u32 {
        let mut edges = std::mem::take(&mut self.edges);
        self.gather(here, &mut edges);
        let (c, r) = (f64::from(column), f64::from(row));
        let x = |c: f64| grid.corner[0] + c * grid.side_m;
        let y = |r: f64| grid.corner[1] + r * grid.side_m;
        let frame = Frame { east: x(c + 1.0 + REACH), foot: y(r - REACH), head: y(r + 1.0 + REACH) };
        for edge in &edges {
            if edge.crosses(x(c + REACH), frame.foot) {
                edge.toggle(held);
            }
        }
        // `held` is now what the zones would be at the foot, were there no edge in the cell.
        let word = if edges.len() <= LEAF_EDGES {
            self.leaf(edges.iter(), &frame, held)
        } else {
            self.finer(&edges, grid, column, row, &frame, held)
        };
        for edge in &edges {
            if edge.crosses(frame.east, frame.foot) {
                edge.toggle(held);
            }
        }
        self.edges = edges;
        word
    }

    /// The edges of a cell, those shared by two zones once.
    fn gather(&self, here: &[u32], edges: &mut Vec<LocalEdge>) {
        edges.clear();
        for &edge in here {
            let at = edge as usize;
            let mut ring = self.zone_near[at / NEAR] as usize;
            while self.rings.ends[ring].0 <= edge {
                ring += 1;
            }
            let zone = self.rings.ends[ring].1;
            edges.push(LocalEdge {
                a: self.rings.vertices[at],
                b: self.rings.vertices[at + 1],
                edge,
                zones: [zone, NONE],
            });
        }
        if edges.len() > 24 {
            edges.sort_unstable_by(|p, q| {
                let key = |e: &LocalEdge| e.ends();
                let ([p1, p2], [q1, q2]) = (key(p), key(q));
                let order = |p: Vertex, q: Vertex| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1]));
                order(p1, q1).then_with(|| order(p2, q2)).then(p.edge.cmp(&q.edge))
            });
            edges.dedup_by(|next, kept| join(kept, next));
        } else {
            let mut n = 0;
            for i in 0..edges.len() {
                let edge = edges[i];
                if !edges[..n].iter_mut().any(|kept| join(kept, &edge)) {
                    edges[n] = edge;
                    n += 1;
                }
            }
            edges.truncate(n);
        }
    }

    fn finer(&mut self, edges: &[LocalEdge], grid: &Grid, column: u32, row: u32, outer: &Frame, held: &Held) -> u32 {
        let side = (((edges.len() * FINER_CELLS_AN_EDGE) as f64).sqrt().ceil() as usize).clamp(2, FINER_SIDE_MAX);
        let n = side as f64;
        let (c, r) = (f64::from(column), f64::from(row));
        let mut starts = std::mem::take(&mut self.part_starts);
        let mut parts = std::mem::take(&mut self.part_edges);
        starts.clear();
        starts.resize(side * side + 2, 0);
        let part = |v: Vertex| {
            let (u, v) = grid.in_cells(v[0], v[1]);
            ((u - c) * n, (v - r) * n)
        };
        let across = side as u32;
        for edge in edges {
            cells_along(part(edge.a), part(edge.b), across, across, |i, j| starts[(j * across + i) as usize + 2] += 1);
        }
        for cell in 2..starts.len() {
            starts[cell] += starts[cell - 1];
        }
        parts.clear();
        parts.resize(starts[starts.len() - 1] as usize, 0);
        for (number, edge) in (0..).zip(edges) {
            cells_along(part(edge.a), part(edge.b), across, across, |i, j| {
                let at = &mut starts[(j * across + i) as usize + 1];
                parts[*at as usize] = number;
                *at += 1;
            });
        }

        let x = |i: f64| grid.corner[0] + (c + i / n) * grid.side_m;
        let y = |j: f64| grid.corner[1] + (r + j / n) * grid.side_m;
        let start = self.finer_words.len() as u32;
        // Each row of finer cells begins on the west side of the cell.
        let west = x(0.0);
        let mut row_held = held.clone();
        for edge in edges.iter().filter(|edge| outer.changes(edge, west, y(-REACH))) {
            edge.toggle(&mut row_held);
        }
        for j in 0..side {
            let (foot, head) = (y(j as f64 - REACH), y(j as f64 + 1.0 + REACH));
            let mut part_held = row_held.clone();
            for i in 0..side {
                let cell = j * side + i;
                let here = &parts[starts[cell] as usize..starts[cell + 1] as usize];
                if here.is_empty() {
                    self.finer_words.push(part_held.least());
                    continue;
                }
                let frame = Frame { east: x(i as f64 + 1.0 + REACH), foot, head };
                let before = if i == 0 { west } else { x(i as f64 + REACH) };
                let local = || here.iter().map(|&at| &edges[at as usize]);
                for edge in local().filter(|edge| edge.crosses(before, foot)) {
                    edge.toggle(&mut part_held);
                }
                let word = self.leaf(local(), &frame, &part_held);
                self.finer_words.push(word);
                if i == 0 {
                    row_held.zones.clone_from(&part_held.zones);
                    // The foot of the next row.
                    let above = y(j as f64 + 1.0 - REACH);
                    for edge in local().filter(|edge| frame.changes(edge, west, above)) {
                        edge.toggle(&mut row_held);
                    }
                }
                for edge in local().filter(|edge| edge.crosses(frame.east, foot)) {
                    edge.toggle(&mut part_held);
                }
            }
        }
        self.part_starts = starts;
        self.part_edges = parts;
        self.finer.push(Finer { start, side: side as u32 });
        FINER | (self.finer.len() - 1) as u32
    }

    /// Writes a leaf and gives its word; `base` are the zones as they would be, were there no edge in the cell.
    fn leaf<'e>(&mut self, edges: impl Iterator<Item = &'e LocalEdge> + Clone, frame: &Frame, base: &Held) -> u32 {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        for zone in edges.clone().flat_map(|edge| edge.zones).filter(|&zone| zone != NONE) {
            if !candidates.contains(&zone) {
                candidates.push(zone);
            }
        }
        candidates.sort_unstable();
        let covering = base.zones.iter().copied().filter(|zone| candidates.binary_search(zone).is_err());
        let covered_by = covering.min().unwrap_or(NONE);
        // A zone whose code comes after that of a zone which covers the cell never gets a point here.
        candidates.truncate(candidates.partition_point(|&zone| zone < covered_by));
        if candidates.is_empty() {
            self.candidates = candidates;
            return covered_by;
        }
        let word = LEAF | self.leaves.len() as u32;
        let mut page = std::mem::take(&mut self.page);
        let pages = candidates.len().div_ceil(PAGE_ZONES);
        for (number, zones) in candidates.chunks(PAGE_ZONES).enumerate() {
            page.clear();
            let mut uniform = true;
            for edge in edges.clone() {
                let place = |zone: u32| zones.binary_search(&zone).ok().map(|at| at as u8);
                let (first, second) = match (place(edge.zones[0]), place(edge.zones[1])) {
                    (Some(p), Some(q)) => (p, q),
                    (Some(p), None) | (None, Some(p)) => (p, p),
                    (None, None) => continue,
                };
                uniform &= zones.len() == 1 || (zones.len() == 2 && first != second);
                let mut named = edge.edge;
                named |= if frame.has_east(edge.a) { FIRST_EAST } else { 0 };
                named |= if frame.has_east(edge.b) { SECOND_EAST } else { 0 };
                page.push((named, first | second << 4));
                self.kept[edge.edge as usize / 64] |= 1 << (edge.edge % 64);
            }
            assert!(page.len() <= PAGE_EDGES_MAX);
            let last = number + 1 == pages;
            let mut head = page.len() as u32;
            head |= if uniform { UNIFORM } else { 0 };
            head |= if last && covered_by != NONE { COVERED } else { 0 };
            head |= if last { 0 } else { MORE };
            let bits =
                zones.iter().enumerate().filter(|(_, zone)| base.zones.contains(zone)).fold(0, |b, (i, _)| b | 1 << i);
            self.leaves.push(head);
            self.leaves.push((zones.len() as u32) << 16 | bits);
            self.leaves.extend_from_slice(zones);
            if last && covered_by != NONE {
                self.leaves.push(covered_by);
            }
            self.leaves.extend(page.iter().map(|&(named, _)| named));
            if !uniform {
                let packed = page
                    .chunks(4)
                    .map(|four| four.iter().rev().fold(0, |word, &(_, pair)| word << 8 | u32::from(pair)));
                self.leaves.extend(packed);
            }
        }
        self.candidates = candidates;
        self.page = page;
        debug_assert!(word & BORDER == 0);
        word
    }
}

/// Makes one edge of two that have the same ends and bound two zones.
fn join(kept: &mut LocalEdge, other: &LocalEdge) -> bool {
    let same = (kept.a == other.b && kept.b == other.a) || (kept.a == other.a && kept.b == other.b);
    let joined = same && kept.zones[1] == NONE && kept.zones[0] != other.zones[0];
    if joined {
        kept.zones[1] = other.zones[0];
    }
    joined
}

/// Takes over the ends of the edges that leaves name, and renames the edges.
fn keep_vertices(cells: &mut Cells, rings: &Rings, kept: &[u64]) {
    // An edge keeps both of its ends.
    let mut ends = kept.to_vec();
    let mut carried = 0;
    for (word, &edges) in ends.iter_mut().zip(kept) {
        *word = edges | edges << 1 | carried;
        carried = edges >> 63;
    }
    let mut before = Vec::with_capacity(ends.len());
    let mut count = 0;
    for word in &ends {
        before.push(count);
        count += word.count_ones();
    }
    cells.vertices.reserve_exact(count as usize);
    for (i, word) in ends.iter().enumerate() {
        let mut bits = *word;
        while bits != 0 {
            cells.vertices.push(rings.vertices[i * 64 + bits.trailing_zeros() as usize]);
            bits &= bits - 1;
        }
    }
    let renamed = |edge: u32| {
        let at = edge as usize & COUNT_MAX;
        let below = ends[at / 64] & ((1 << (at % 64)) - 1);
        edge & !(COUNT_MAX as u32) | (before[at / 64] + below.count_ones())
    };
    let mut at = 0;
    while at < cells.leaves.len() {
        let (head, second) = (cells.leaves[at], cells.leaves[at + 1]);
        let n = head as usize & PAGE_EDGES_MAX;
        at += 2 + (second >> 16) as usize + usize::from(head & COVERED != 0);
        for edge in &mut cells.leaves[at..at + n] {
            *edge = renamed(*edge);
        }
        at += n + if head & UNIFORM != 0 { 0 } else { n.div_ceil(4) };
    }
}
