//! Scan conversion: edges become cells.
//!
//! Threads take bands of rows. The edges of a band are sorted into cells by counting, without an allocation for each.
//! Then its rows are swept from west to east: a reference point stands a hair east of each cell at the foot of its row,
//! and the zones that hold it follow from those that held the one before and the edges of the cell between them. All
//! sides are decided exactly. What bands made is laid end to end in their order, so that no number of threads changes it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use geo_types::Coord;

use crate::cells::{
    COUNT_MAX, COVERED, Cells, FINER, FIRST_EAST, Finer, Grid, LEAF, MORE, NONE, PAGE_EDGES_MAX, PAGE_ZONES,
    SECOND_EAST, UNIFORM, unanswered,
};
use crate::exact::{self, Vertex};
use crate::large::Large;

/// Cells for each vertex of the zoning, by measure: more cost memory and building, fewer cost comparisons.
const CELLS_A_VERTEX: usize = 5;
/// Cells of a grid: a word each makes 16 MiB, which a processor's last cache still holds.
const CELLS_MAX: usize = 1 << 22;
/// Cells of a band, which one thread sorts and sweeps: what belongs to it stays in the second cache.
const BAND_CELLS: usize = 1 << 16;
/// Words of leaves that an index may have at least, 64 MiB, and more for each vertex: a coverage takes five.
const LEAF_WORDS_MIN: usize = 1 << 24;
const LEAF_WORDS_A_VERTEX: usize = 64;
/// Cells of a grid at least.
const CELLS_MIN: usize = 1 << 10;
/// Edges above which a cell is cut into finer ones, by measure.
const LEAF_EDGES: usize = 6;
/// Edges of a cell up to which each is held against each, to find those that two zones share; above, they are sorted.
const EDGES_COMPARED: usize = 24;
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

/// The rings of all zones laid end to end: an edge is named by the place of its first vertex among all.
#[derive(Debug, Default)]
pub struct Rings<'a> {
    /// Ring by ring, in the order of zones.
    pub(crate) rings: Vec<Ring<'a>>,
    /// Vertices of all of them.
    pub(crate) vertices: usize,
}

/// A ring of a zone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring<'a> {
    pub(crate) zone: u32,
    /// The place of its first vertex.
    pub(crate) start: usize,
    pub(crate) coords: &'a [Coord],
}

impl<'a> Rings<'a> {
    /// Adds a ring of a zone, closed, in metres. Zones come in their order.
    pub fn push(&mut self, zone: u32, coords: &'a [Coord]) {
        self.rings.push(Ring { zone, start: self.vertices, coords });
        self.vertices += coords.len();
    }
}

impl Ring<'_> {
    /// The least and the greatest coordinates.
    fn bounds(&self) -> [Vertex; 2] {
        self.coords.iter().fold([[f64::INFINITY; 2], [f64::NEG_INFINITY; 2]], |[least, greatest], c| {
            [[least[0].min(c.x), least[1].min(c.y)], [greatest[0].max(c.x), greatest[1].max(c.y)]]
        })
    }
}

impl Cells {
    /// The cells over some rings; `None` when they are more than the words of cells can number, or lie over each other so
    /// much that a [`crate::Tree`] costs less, or there is no memory for them. The bytes do not depend on the number of
    /// threads.
    pub fn new(rings: &Rings<'_>) -> Option<Self> {
        build(rings)
    }
}

fn build(rings: &Rings<'_>) -> Option<Cells> {
    if rings.vertices > COUNT_MAX || rings.rings.iter().any(|ring| ring.zone as usize >= COUNT_MAX) {
        return None;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let blocks = rings.rings.chunks(RINGS_A_BLOCK);
    let (bounds, _) =
        shared_out(threads, blocks, || (), |(), block| block.iter().map(Ring::bounds).collect::<Vec<_>>());
    let bounds = bounds.concat();
    let grid = grid(rings.vertices, &bounds);
    let rows = (BAND_CELLS / grid.columns as usize).max(1);
    let bands = bands(rings, &bounds, &grid, rows);
    let mut all_words = Large::zeros(grid.cells() + 1)?;
    let words = all_words.slice_mut();
    words[grid.cells()] = NONE;
    let of_bands = words[..grid.cells()].chunks_mut(rows * grid.columns as usize).zip(&bands).enumerate();
    let maker = || Maker::new(rings, grid);
    // Where many zones lie over each other each leaf names them all: beyond some room the other form costs less.
    let room = LEAF_WORDS_MIN + LEAF_WORDS_A_VERTEX * rings.vertices;
    let used = AtomicUsize::new(0);
    let (made, makers) = shared_out(threads, of_bands, maker, |maker, (band, (words, rings))| {
        let full = || used.load(Ordering::Relaxed) > room;
        let made = maker.sweep(band * rows, rings, words, full);
        used.fetch_add(made.leaves.len(), Ordering::Relaxed);
        made
    });
    if used.into_inner() > room {
        return None;
    }

    // An edge keeps both of its ends.
    let mut kept = vec![0; rings.vertices.div_ceil(64)];
    for maker in makers {
        kept.iter_mut().zip(maker.kept).for_each(|(kept, more)| *kept |= more);
    }
    let kept = Kept::ends_of(&kept);
    let counts = |made: &Made| [made.finer.len(), made.finer_words.len(), made.leaves.len()];
    // Cells which are not cut share the first square, so that looking one up is always possible.
    let mut total = [1, 1, 0];
    made.iter().for_each(|made| total.iter_mut().zip(counts(made)).for_each(|(total, n)| *total += n));
    if total.iter().any(|&n| n > COUNT_MAX) {
        return None;
    }
    let (mut finer, mut finer_words, mut leaves) =
        (Large::zeros(total[0])?, Large::zeros(total[1])?, Large::zeros(total[2])?);
    finer.slice_mut()[0] = [0, 1];
    finer_words.slice_mut()[0] = NONE;
    let mut before = [1_u32, 1, 0];
    let (mut finer_left, mut finer_words_left, mut leaves_left) =
        (&mut finer.slice_mut()[1..], &mut finer_words.slice_mut()[1..], leaves.slice_mut());
    let of_bands = words[..grid.cells()].chunks_mut(rows * grid.columns as usize).zip(made).map(|(words, made)| {
        let n = counts(&made);
        let part = Part {
            words,
            finer: first(&mut finer_left, n[0]),
            finer_words: first(&mut finer_words_left, n[1]),
            leaves: first(&mut leaves_left, n[2]),
            before,
        };
        before.iter_mut().zip(n).for_each(|(before, n)| *before += n as u32);
        (part, made)
    });
    shared_out(threads, of_bands, || (), |(), (part, made)| part.take(made, &kept));

    let mut vertices = Large::zeros(kept.count())?;
    let mut vertices_left = vertices.slice_mut();
    let blocks = rings.rings.chunks(RINGS_A_BLOCK).map(|block| {
        let last = block[block.len() - 1];
        let range = block[0].start..last.start + last.coords.len();
        (block, first(&mut vertices_left, (kept.rank(range.end) - kept.rank(range.start)) as usize))
    });
    shared_out(threads, blocks, || (), |(), (block, into)| kept.copy(block, into));
    Some(Cells { grid, words: all_words, finer, finer_words, leaves, vertices })
}

/// Rings that one thread takes at a time, where it takes them as they come.
const RINGS_A_BLOCK: usize = 1024;

/// Takes the first places of what is left.
fn first<'a, T>(left: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(left).split_at_mut(n);
    *left = rest;
    first
}

/// Hands items out to threads, each with a state of its own; gives what they make, in the order of the items, and the
/// states.
fn shared_out<T: Send, S: Send, R: Send>(
    threads: usize,
    items: impl ExactSizeIterator<Item = T> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> R + Sync,
) -> (Vec<R>, Vec<S>) {
    let threads = threads.min(items.len());
    let mut made = Vec::with_capacity(items.len());
    let mut states = Vec::with_capacity(threads);
    let queue = Mutex::new(items.enumerate());
    let next = || queue.lock().expect("handing out does not panic").next();
    let one = || {
        let mut state = state();
        let mut made = Vec::new();
        while let Some((number, item)) = next() {
            made.push((number, work(&mut state, item)));
        }
        (made, state)
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        let (mine, state) = one();
        made.extend(mine);
        states.push(state);
        for other in others {
            let (theirs, state) = other.join().expect("a thread of the build does not panic");
            made.extend(theirs);
            states.push(state);
        }
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    (made.into_iter().map(|(_, made)| made).collect(), states)
}

/// For each band of so many rows, the rings that may touch it.
fn bands(rings: &Rings<'_>, bounds: &[[Vertex; 2]], grid: &Grid, rows: usize) -> Vec<Vec<u32>> {
    let mut bands = vec![Vec::new(); (grid.rows as usize).div_ceil(rows)];
    for (number, (ring, [least, greatest])) in (0..).zip(rings.rings.iter().zip(bounds)) {
        if ring.coords.len() > 1 {
            let row = |y: f64| (y.max(0.0) as usize).min(grid.rows as usize - 1);
            let (low, high) =
                (row(grid.in_cells(0.0, least[1]).1 - MARGIN), row(grid.in_cells(0.0, greatest[1]).1 + MARGIN));
            bands[low / rows..=high / rows].iter_mut().for_each(|band| band.push(number));
        }
    }
    bands
}

/// What a sweep over a band makes, its places counted from its own beginning.
struct Made {
    finer: Vec<Finer>,
    finer_words: Vec<u32>,
    leaves: Vec<u32>,
}

/// Where what a band made belongs among all.
struct Part<'a> {
    words: &'a mut [u32],
    finer: &'a mut [Finer],
    finer_words: &'a mut [u32],
    leaves: &'a mut [u32],
    /// Squares, their words and words of leaves before those of the band.
    before: [u32; 3],
}

impl Part<'_> {
    /// Takes over what a band made.
    fn take(self, made: Made, kept: &Kept) {
        let [finer_before, words_before, leaves_before] = self.before;
        let moved = |word: u32| match unanswered(word) {
            true if word & FINER != 0 => word + finer_before,
            true => word + leaves_before,
            false => word,
        };
        self.words.iter_mut().for_each(|word| *word = moved(*word));
        for (into, [start, side]) in self.finer.iter_mut().zip(&made.finer) {
            *into = [start + words_before, *side];
        }
        self.finer_words.iter_mut().zip(&made.finer_words).for_each(|(into, word)| *into = moved(*word));
        let leaves = self.leaves;
        leaves.copy_from_slice(&made.leaves);
        let mut at = 0;
        while at < leaves.len() {
            let (head, second) = (leaves[at], leaves[at + 1]);
            let n = head as usize & PAGE_EDGES_MAX;
            at += 2 + (second >> 16) as usize + usize::from(head & COVERED != 0);
            for edge in &mut leaves[at..at + n] {
                *edge = *edge & !(COUNT_MAX as u32) | kept.rank(*edge as usize & COUNT_MAX);
            }
            at += n + if head & UNIFORM != 0 { 0 } else { n.div_ceil(4) };
        }
    }
}

/// The vertices that leaves need, a bit each, and how many come before each word of bits.
struct Kept {
    bits: Vec<u64>,
    before: Vec<u32>,
}

impl Kept {
    /// The ends of some edges, a bit each.
    fn ends_of(edges: &[u64]) -> Self {
        let mut kept = Self { bits: Vec::with_capacity(edges.len()), before: Vec::with_capacity(edges.len() + 1) };
        let (mut carried, mut count) = (0, 0);
        for edges in edges {
            let ends = edges | edges << 1 | carried;
            carried = edges >> 63;
            kept.bits.push(ends);
            kept.before.push(count);
            count += ends.count_ones();
        }
        kept.before.push(count);
        kept
    }
    fn count(&self) -> usize {
        self.before[self.bits.len()] as usize
    }
    /// How many are kept before a vertex.
    #[inline(always)]
    fn rank(&self, vertex: usize) -> u32 {
        let bits = self.bits.get(vertex / 64).map_or(0, |bits| bits & ((1 << (vertex % 64)) - 1));
        self.before[vertex / 64] + bits.count_ones()
    }
    /// Copies the vertices of some rings that are kept.
    fn copy(&self, rings: &[Ring<'_>], into: &mut [Vertex]) {
        let mut into = into.iter_mut();
        for ring in rings {
            for (vertex, coord) in (ring.start..).zip(ring.coords) {
                if self.bits[vertex / 64] >> (vertex % 64) & 1 != 0 {
                    *into.next().expect("as many places as vertices") = [coord.x, coord.y];
                }
            }
        }
    }
}

fn grid(vertices: usize, bounds: &[[Vertex; 2]]) -> Grid {
    let (mut least, mut greatest) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for [low, high] in bounds {
        least = [least[0].min(low[0]), least[1].min(low[1])];
        greatest = [greatest[0].max(high[0]), greatest[1].max(high[1])];
    }
    if vertices == 0 {
        // No point is within: the least lies above the greatest.
        let (least, greatest) = ([1.0; 2], [0.0; 2]);
        return Grid { least, greatest, corner: [0.0; 2], side_m: 1.0, cells_a_metre: 1.0, columns: 1, rows: 1 };
    }
    let (width, height) = (greatest[0] - least[0], greatest[1] - least[1]);
    let wanted = (vertices * CELLS_A_VERTEX).clamp(CELLS_MIN, CELLS_MAX) as f64;
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

/// An edge in a cell: the number of its ring, and its place in it.
#[derive(Debug, Clone, Copy, Default)]
struct Named {
    ring: u32,
    at: u32,
}

/// Calls with every cell that the edges of some rings may touch, its place counted from the first row of a band.
#[inline(always)]
fn each_cell(
    all: &Rings<'_>,
    rings: &[u32],
    grid: &Grid,
    rows: std::ops::Range<u32>,
    mut call: impl FnMut(u32, Named),
) {
    for &number in rings {
        let coords = all.rings[number as usize].coords;
        let mut before = coords[0];
        let mut at_before = grid.in_cells(before.x, before.y);
        let mut home_before = home(at_before);
        for (edge, &vertex) in (0..).zip(&coords[1..]) {
            let at = grid.in_cells(vertex.x, vertex.y);
            let home = home(at);
            let named = Named { ring: number, at: edge };
            let mut touches = |column, row: u32| {
                if rows.contains(&row) {
                    call((row - rows.start) * grid.columns + column, named);
                }
            };
            if home.is_some() && home == home_before {
                if vertex != before {
                    let (column, row) = home.unwrap_or_default();
                    touches(column, row);
                }
            } else {
                cells_along(at_before, at, grid.columns, grid.rows, touches);
            }
            (before, at_before, home_before) = (vertex, at, home);
        }
    }
}

/// Sorts what was found in cells by counting: that of cell `i` becomes `sorted[starts[i]..starts[i + 1]]`, in its order.
fn by_cell<T: Copy + Default>(found: &[(u32, T)], cells: usize, starts: &mut Vec<u32>, sorted: &mut Vec<T>) {
    starts.clear();
    starts.resize(cells + 2, 0);
    for &(cell, _) in found {
        starts[cell as usize + 2] += 1;
    }
    for cell in 2..starts.len() {
        starts[cell] += starts[cell - 1];
    }
    sorted.clear();
    sorted.resize(found.len(), T::default());
    for &(cell, item) in found {
        let at = &mut starts[cell as usize + 1];
        sorted[*at as usize] = item;
        *at += 1;
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

/// The zones that hold a reference point.
#[derive(Debug, Default)]
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
    /// The same for edges of the same ends, whichever comes first; hardly ever for others.
    fn mark(&self) -> u64 {
        let [x, y] = [0, 1].map(|i| self.a[i].to_bits() ^ self.b[i].to_bits());
        x ^ y.rotate_left(21)
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

/// Makes cells, band by band.
struct Maker<'a> {
    rings: &'a Rings<'a>,
    grid: Grid,
    finer: Vec<Finer>,
    finer_words: Vec<u32>,
    leaves: Vec<u32>,
    /// Edges that leaves name, a bit each.
    kept: Vec<u64>,
    // Room that is used again.
    starts: Vec<u32>,
    found: Vec<(u32, Named)>,
    named: Vec<Named>,
    edges: Vec<LocalEdge>,
    candidates: Vec<u32>,
    page: Vec<(u32, u8)>,
    held: Vec<u32>,
    part_starts: Vec<u32>,
    part_found: Vec<(u32, u32)>,
    part_edges: Vec<u32>,
    row_held: Held,
    part_held: Held,
    /// The leaf of the cell without edges that was made last, and the zones which cover it.
    bare: Option<(u32, Vec<u32>)>,
}

impl<'a> Maker<'a> {
    fn new(rings: &'a Rings<'a>, grid: Grid) -> Self {
        Self {
            rings,
            grid,
            finer: Vec::new(),
            finer_words: Vec::new(),
            leaves: Vec::new(),
            kept: vec![0; rings.vertices.div_ceil(64)],
            starts: Vec::new(),
            found: Vec::new(),
            named: Vec::new(),
            edges: Vec::new(),
            candidates: Vec::new(),
            page: Vec::new(),
            held: Vec::new(),
            part_starts: Vec::new(),
            part_found: Vec::new(),
            part_edges: Vec::new(),
            row_held: Held::default(),
            part_held: Held::default(),
            bare: None,
        }
    }

    /// Sweeps the rows of a band, which some rings may touch, and fills in their words.
    /// It ends early once what it makes is not wanted, or more than all may have.
    fn sweep(&mut self, first_row: usize, rings: &[u32], words: &mut [u32], full: impl Fn() -> bool) -> Made {
        let columns = self.grid.columns as usize;
        self.sort(first_row as u32..(first_row + words.len() / columns) as u32, rings, words.len());
        let mut held = Held::default();
        let most = LEAF_WORDS_MIN + LEAF_WORDS_A_VERTEX * self.rings.vertices;
        for (row, words) in words.chunks_mut(columns).enumerate() {
            if full() || self.leaves.len() > most {
                break;
            }
            held.zones.clear();
            for (column, word) in words.iter_mut().enumerate() {
                let cell = row * columns + column;
                let here = self.starts[cell] as usize..self.starts[cell + 1] as usize;
                *word = if here.is_empty() {
                    self.bare(&held)
                } else {
                    self.cell(column as u32, (first_row + row) as u32, here, &mut held)
                };
            }
        }
        // The places of leaves count from the beginning of a band.
        self.bare = None;
        let Self { finer, finer_words, leaves, .. } = self;
        Made { finer: std::mem::take(finer), finer_words: std::mem::take(finer_words), leaves: std::mem::take(leaves) }
    }

    /// Sorts edges by cell: those of cell `i` are `named[starts[i]..starts[i + 1]]`.
    fn sort(&mut self, rows: std::ops::Range<u32>, rings: &[u32], cells: usize) {
        let Self { starts, found, named, .. } = self;
        found.clear();
        each_cell(self.rings, rings, &self.grid, rows, |cell, edge| found.push((cell, edge)));
        by_cell(found, cells, starts, named);
    }

    /// The word of a cell with edges. `held` comes as the zones that hold the reference point to its west, and leaves as
    /// those that hold its own.
    fn cell(&mut self, column: u32, row: u32, here: std::ops::Range<usize>, held: &mut Held) -> u32 {
        let grid = self.grid;
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
            self.finer(&edges, column, row, &frame, held)
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
    fn gather(&self, here: std::ops::Range<usize>, edges: &mut Vec<LocalEdge>) {
        edges.clear();
        for &Named { ring, at } in &self.named[here] {
            let ring = self.rings.rings[ring as usize];
            let (a, b) = (ring.coords[at as usize], ring.coords[at as usize + 1]);
            edges.push(LocalEdge {
                a: [a.x, a.y],
                b: [b.x, b.y],
                edge: (ring.start + at as usize) as u32,
                zones: [ring.zone, NONE],
            });
        }
        if edges.len() > EDGES_COMPARED {
            edges.sort_unstable_by(|p, q| {
                let key = |e: &LocalEdge| e.ends();
                let ([p1, p2], [q1, q2]) = (key(p), key(q));
                let order = |p: Vertex, q: Vertex| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1]));
                order(p1, q1).then_with(|| order(p2, q2)).then(p.edge.cmp(&q.edge))
            });
            edges.dedup_by(|next, kept| join(kept, next));
        } else {
            let mut marks = [0; EDGES_COMPARED];
            let mut n = 0;
            for i in 0..edges.len() {
                let edge = edges[i];
                let mark = edge.mark();
                let joined = (0..n).any(|k| marks[k] == mark && join(&mut edges[k], &edge));
                if !joined {
                    (edges[n], marks[n]) = (edge, mark);
                    n += 1;
                }
            }
            edges.truncate(n);
        }
    }

    fn finer(&mut self, edges: &[LocalEdge], column: u32, row: u32, outer: &Frame, held: &Held) -> u32 {
        let grid = self.grid;
        let side = (((edges.len() * FINER_CELLS_AN_EDGE) as f64).sqrt().ceil() as usize).clamp(2, FINER_SIDE_MAX);
        let n = side as f64;
        let (c, r) = (f64::from(column), f64::from(row));
        let mut starts = std::mem::take(&mut self.part_starts);
        let mut found = std::mem::take(&mut self.part_found);
        let mut parts = std::mem::take(&mut self.part_edges);
        found.clear();
        let part = |v: Vertex| {
            let (u, v) = grid.in_cells(v[0], v[1]);
            ((u - c) * n, (v - r) * n)
        };
        let across = side as u32;
        for (number, edge) in (0..).zip(edges) {
            cells_along(part(edge.a), part(edge.b), across, across, |i, j| found.push((j * across + i, number)));
        }
        by_cell(&found, side * side, &mut starts, &mut parts);

        let x = |i: f64| grid.corner[0] + (c + i / n) * grid.side_m;
        let y = |j: f64| grid.corner[1] + (r + j / n) * grid.side_m;
        let start = self.finer_words.len() as u32;
        // Each row of finer cells begins on the west side of the cell.
        let west = x(0.0);
        let mut row_held = std::mem::take(&mut self.row_held);
        let mut part_held = std::mem::take(&mut self.part_held);
        row_held.zones.clone_from(&held.zones);
        for edge in edges.iter().filter(|edge| outer.changes(edge, west, y(-REACH))) {
            edge.toggle(&mut row_held);
        }
        for j in 0..side {
            let (foot, head) = (y(j as f64 - REACH), y(j as f64 + 1.0 + REACH));
            part_held.zones.clone_from(&row_held.zones);
            for i in 0..side {
                let cell = j * side + i;
                let here = &parts[starts[cell] as usize..starts[cell + 1] as usize];
                if here.is_empty() {
                    let word = self.bare(&part_held);
                    self.finer_words.push(word);
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
        (self.row_held, self.part_held) = (row_held, part_held);
        self.part_starts = starts;
        self.part_found = found;
        self.part_edges = parts;
        self.finer.push([start, side as u32]);
        FINER | (self.finer.len() - 1) as u32
    }

    /// The word of a cell without edges, which some zones cover: that of one zone, or a leaf of several.
    fn bare(&mut self, held: &Held) -> u32 {
        match &held.zones[..] {
            [] => NONE,
            [zone] => *zone,
            zones => match &self.bare {
                Some((word, same)) if same == zones => *word,
                _ => {
                    let nowhere = Frame { east: 0.0, foot: 0.0, head: 0.0 };
                    let word = self.leaf(std::iter::empty(), &nowhere, held);
                    self.bare = Some((word, zones.to_vec()));
                    word
                }
            },
        }
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
        let bounded = candidates.len();
        for &zone in &base.zones {
            if candidates[..bounded].binary_search(&zone).is_err() {
                candidates.push(zone);
            }
        }
        // One zone that covers the cell, and whose code comes last, is no candidate: it gets what the others leave.
        let alone =
            candidates.len() == bounded + 1 && candidates[..bounded].iter().all(|&zone| zone < candidates[bounded]);
        let covered_by = if alone { candidates.pop().unwrap_or(NONE) } else { NONE };
        if candidates.is_empty() {
            self.candidates = candidates;
            return covered_by;
        }
        candidates.sort_unstable();
        let word = LEAF | self.leaves.len() as u32;
        let mut page = std::mem::take(&mut self.page);
        let mut held = std::mem::take(&mut self.held);
        held.clone_from(&base.zones);
        held.sort_unstable();
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
            let held = |zone: &u32| held.binary_search(zone).is_ok();
            let bits = zones.iter().enumerate().filter(|(_, zone)| held(zone)).fold(0, |b, (i, _)| b | 1 << i);
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
        self.held = held;
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
