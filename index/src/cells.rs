//! Zones as a grid of cells: most hold one answer, the rest a few edges.
//!
//! A word of a cell is an answer (a zone or none), a leaf, or a square of finer cells. A leaf knows the edges through its
//! cell and, for each zone they bound, whether a ray to the east of the cell leaves it inside: base bits. Moving within
//! the cell changes a bit only at an edge of the leaf, or at the height of an end of one which lies to the east, so the
//! few edges of a leaf decide exactly, for coverages and for zones that overlap alike.
//!
//! A leaf is a run of words: a head, base bits, candidate zones in order, the zone that covers the whole cell if any,
//! edges, and for each edge the candidates it bounds. Candidates are taken sixteen at a time, a page for each. A cell
//! that several zones cover is a leaf too, perhaps without an edge: each of them is a candidate, so that nothing about a
//! point is left out where zones overlap.

use crate::Around;
use crate::exact::{self, Vertex};
use crate::large::Large;

/// No zone.
pub const NONE: u32 = u32::MAX;
/// Set in an answer when the point lies on the border of the zone.
pub const BORDER: u32 = 1 << 31;
/// Set in an answer when the point lies in the interior of the zone and of others too.
pub const OVERLAP: u32 = 1 << 30;
/// Zones, leaves, finer cells and vertices that can be numbered.
pub(crate) const COUNT_MAX: usize = (1 << 30) - 1;

/// Marks a word of a cell as a leaf, whose place is in the other bits.
pub(crate) const LEAF: u32 = 1 << 30;
/// Marks a word of a cell as a square of finer cells.
pub(crate) const FINER: u32 = 1 << 31;

/// Candidates of a page.
pub(crate) const PAGE_ZONES: usize = 16;
/// Edges that a page can count.
pub(crate) const PAGE_EDGES_MAX: usize = (1 << 28) - 1;
/// Forms of leaves that are told apart, from 0: see [`View::form`].
pub(crate) const FORMS: usize = EDGES_COUNTED + 1;
/// Edges of the longest form.
const EDGES_COUNTED: usize = 6;
/// In the head of a page: each edge bounds all of its candidates.
pub(crate) const UNIFORM: u32 = 1 << 31;
/// In the head of a page: a zone covers the whole cell.
pub(crate) const COVERED: u32 = 1 << 30;
/// In the head of a page: another follows.
pub(crate) const MORE: u32 = 1 << 29;

/// In the word of an edge: its first end lies to the east of the cell, at a height of the cell.
pub(crate) const FIRST_EAST: u32 = 1 << 31;
/// In the word of an edge: its second end does.
pub(crate) const SECOND_EAST: u32 = 1 << 30;

/// Adding it to a small number rounds that to the nearest whole one, which then stands in the low bits.
const ROUNDER: f64 = (1_u64 << 52) as f64;

/// Whether a word leaves work to do.
#[inline(always)]
pub(crate) fn unanswered(word: u32) -> bool {
    word.wrapping_sub(LEAF) < FINER
}

/// Where the cells of a grid lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grid {
    /// The least and greatest coordinates of any vertex: beyond them there is no zone.
    pub(crate) least: Vertex,
    pub(crate) greatest: Vertex,
    /// The corner of the first cell.
    pub(crate) corner: Vertex,
    /// The side of a cell, in metres.
    pub(crate) side_m: f64,
    pub(crate) cells_a_metre: f64,
    pub(crate) columns: u32,
    pub(crate) rows: u32,
}

impl Grid {
    pub(crate) fn cells(&self) -> usize {
        self.columns as usize * self.rows as usize
    }
    /// A coordinate counted in cells.
    #[inline(always)]
    pub(crate) fn in_cells(&self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.corner[0]) * self.cells_a_metre, (y - self.corner[1]) * self.cells_a_metre)
    }
    /// The cell of a point; one past the last for a point beyond all zones, and for NaN. A point on the line between two
    /// cells may be counted to either: leaves reach a little over their cell.
    #[inline(always)]
    pub(crate) fn cell(&self, x: f64, y: f64) -> u32 {
        let (column, row) = self.rounded(x, y);
        let cell = row.wrapping_mul(self.columns).wrapping_add(column);
        if self.holds(x, y) { cell } else { self.columns.wrapping_mul(self.rows) }
    }
    /// Whether it lies within the box of all zones.
    #[inline(always)]
    pub(crate) fn holds(&self, x: f64, y: f64) -> bool {
        (x >= self.least[0]) & (x <= self.greatest[0]) & (y >= self.least[1]) & (y <= self.greatest[1])
    }
    /// The column and row of its cell, when it has one.
    #[inline(always)]
    pub(crate) fn rounded(&self, x: f64, y: f64) -> (u32, u32) {
        let (u, v) = self.in_cells(x, y);
        ((u + (ROUNDER - 0.5)).to_bits() as u32, (v + (ROUNDER - 0.5)).to_bits() as u32)
    }
}

/// A square of finer cells: where its words begin, and how many cells its side has.
pub(crate) type Finer = [u32; 2];

/// The cells over a zoning, in EPSG:2154 metres.
#[derive(Debug, PartialEq)]
pub struct Cells {
    pub(crate) grid: Grid,
    pub(crate) words: Large<u32>,
    pub(crate) finer: Large<Finer>,
    pub(crate) finer_words: Large<u32>,
    pub(crate) leaves: Large<u32>,
    pub(crate) vertices: Large<Vertex>,
}

/// Cells as they are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) grid: &'a Grid,
    /// A word a cell, row by row, and one for what lies beyond.
    pub(crate) words: &'a [u32],
    pub(crate) finer: &'a [Finer],
    /// The words of finer cells, row by row.
    pub(crate) finer_words: &'a [u32],
    pub(crate) leaves: &'a [u32],
    /// Ends of edges: edge `i` goes from vertex `i` to the next.
    pub(crate) vertices: &'a [Vertex],
}

/// A page of a leaf, taken apart.
pub(crate) struct Page<'a> {
    head: u32,
    base: u32,
    pub(crate) candidates: &'a [u32],
    pub(crate) covered_by: u32,
    pub(crate) edges: &'a [u32],
    pub(crate) bounds: &'a [u32],
    /// Where the next page is.
    pub(crate) next: Option<usize>,
}

impl<'a> Page<'a> {
    #[inline(always)]
    pub(crate) fn read(leaves: &'a [u32], at: usize) -> Self {
        let (head, second) = (leaves[at], leaves[at + 1]);
        let n_edges = (head & PAGE_EDGES_MAX as u32) as usize;
        let candidates_start = at + 2;
        let candidates_end = candidates_start + (second >> 16) as usize;
        let candidates = &leaves[candidates_start..candidates_end];
        let (covered_by, edges_start) =
            if head & COVERED != 0 { (leaves[candidates_end], candidates_end + 1) } else { (NONE, candidates_end) };
        let edges_end = edges_start + n_edges;
        let edges = &leaves[edges_start..edges_end];
        let bounds_end = if head & UNIFORM != 0 { edges_end } else { edges_end + n_edges.div_ceil(4) };
        let bounds = &leaves[edges_end..bounds_end];
        let next = (head & MORE != 0).then_some(bounds_end);
        Self { head, base: second & 0xffff, candidates, covered_by, edges, bounds, next }
    }

    /// The candidates that an edge of the page bounds, as bits.
    #[inline(always)]
    fn bits(&self, at: usize) -> u32 {
        if self.head & UNIFORM != 0 {
            (1 << self.candidates.len()) - 1
        } else {
            let pair = self.bounds[at / 4] >> (8 * (at % 4));
            1 << (pair & 15) | 1 << (pair >> 4 & 15)
        }
    }
}

impl Cells {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.view().bytes()
    }

    /// The zones around a point.
    pub fn around(&self, x: f64, y: f64) -> Around {
        self.view().around(x, y)
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            grid: &self.grid,
            words: self.words.slice(),
            finer: self.finer.slice(),
            finer_words: self.finer_words.slice(),
            leaves: self.leaves.slice(),
            vertices: self.vertices.slice(),
        }
    }
}

impl View<'_> {
    pub(crate) fn bytes(&self) -> usize {
        let words = self.words.len() + self.finer_words.len() + self.leaves.len();
        words * size_of::<u32>() + size_of_val(self.finer) + size_of_val(self.vertices)
    }

    /// Where the finer cell of a point is, in a cell of that word; anywhere when the cell is not cut into finer ones.
    #[inline(always)]
    pub(crate) fn finer_at(&self, word: u32, x: f64, y: f64) -> u32 {
        let finer = self.finer[if word & FINER == 0 { 0 } else { (word & !FINER) as usize }];
        let (u, v) = self.grid.in_cells(x, y);
        let [start, across] = finer;
        let side = f64::from(across);
        // Within the cell, as `Grid::cell` found it: halves round to the even side there and here.
        let part = |u: f64| {
            let whole = (u + (ROUNDER - 0.5)) - ROUNDER;
            (((u - whole) * side) as u32).min(across - 1)
        };
        start + part(v) * across + part(u)
    }

    /// The word of the finer cell there, or the word itself when the cell is not cut.
    #[inline(always)]
    pub(crate) fn finer_word(&self, word: u32, at: u32) -> u32 {
        let finer = self.finer_words[at as usize];
        if word & FINER == 0 { word } else { finer }
    }

    /// The first and the last edge of a leaf, or of its first page.
    #[inline(always)]
    pub(crate) fn outer_edges(&self, leaf: u32) -> (u32, u32) {
        let at = leaf as usize;
        let head = self.leaves[at];
        if head as usize & PAGE_EDGES_MAX == 0 {
            return (0, 0);
        }
        let first = at + 2 + ((self.leaves[at + 1] >> 16) + u32::from(head & COVERED != 0)) as usize;
        let last = first + (head as usize & PAGE_EDGES_MAX) - 1;
        (self.leaves[first] & COUNT_MAX as u32, self.leaves[last] & COUNT_MAX as u32)
    }

    /// The form of a leaf: so many edges, at most [`EDGES_COUNTED`], all of which part the same two zones; 0 is any other.
    #[inline(always)]
    pub(crate) fn form(&self, leaf: u32) -> u32 {
        let at = leaf as usize;
        let n = self.leaves[at] ^ UNIFORM;
        if (n as usize <= EDGES_COUNTED) & (self.leaves[at + 1] >> 16 == 2) { n } else { 0 }
    }

    /// [`Self::judge`] for a leaf of form `N`.
    #[inline(always)]
    pub(crate) fn judge_between<const N: usize>(&self, leaf: usize, x: f64, y: f64) -> u32 {
        let words = &self.leaves[leaf..leaf + 4 + N];
        let (mut crossed, mut clear) = (false, true);
        for &edge in &words[4..] {
            let at = (edge & COUNT_MAX as u32) as usize;
            let ends = &self.vertices[at..at + 2];
            let (crosses, is_clear) = meet(edge, ends[0], ends[1], x, y);
            crossed ^= crosses;
            clear &= is_clear;
        }
        // One of the two zones, but where zones overlap, or the point lies as good as on an edge.
        match (words[1] & 3) ^ (u32::from(crossed) * 3) {
            1 if clear => words[2],
            2 if clear => words[3],
            _ => self.judge(leaf, x, y),
        }
    }

    /// Brings the ends of an edge near.
    #[inline(always)]
    pub(crate) fn touch(&self, edge: u32) -> u64 {
        self.vertices[edge as usize][0].to_bits()
    }

    /// Judges a point by the edges of a leaf.
    #[inline]
    pub(crate) fn judge(&self, leaf: usize, x: f64, y: f64) -> u32 {
        let mut on_border = NONE;
        let mut at = leaf;
        loop {
            let page = Page::read(self.leaves, at);
            let mut inside = page.base;
            let mut touched = 0;
            if page.head & UNIFORM != 0 {
                let mut crossed = false;
                for &edge in page.edges {
                    let (crosses, touches) = self.meet(edge, x, y);
                    crossed ^= crosses;
                    touched |= u32::from(touches);
                }
                let all = page.bits(0);
                inside ^= if crossed { all } else { 0 };
                touched *= all;
            } else {
                for (i, &edge) in page.edges.iter().enumerate() {
                    let (crosses, touches) = self.meet(edge, x, y);
                    let bits = page.bits(i);
                    inside ^= if crosses { bits } else { 0 };
                    touched |= if touches { bits } else { 0 };
                }
            }
            inside &= !touched;
            if inside != 0 {
                let zone = page.candidates[inside.trailing_zeros() as usize];
                let several = (inside & (inside - 1) != 0)
                    | (page.covered_by != NONE)
                    | page.next.is_some_and(|_| self.around(x, y).inside.len() > 1);
                return if several { zone | OVERLAP } else { zone };
            }
            if touched != 0 && on_border == NONE {
                on_border = page.candidates[touched.trailing_zeros() as usize] | BORDER;
            }
            match page.next {
                Some(next) => at = next,
                None if page.covered_by != NONE => return page.covered_by,
                None => return on_border,
            }
        }
    }

    /// Whether an edge changes the bits of its zones at a point, and whether the point lies on it.
    #[inline(always)]
    fn meet(&self, edge: u32, x: f64, y: f64) -> (bool, bool) {
        let at = (edge & COUNT_MAX as u32) as usize;
        let ends = &self.vertices[at..at + 2];
        let (a, b) = (ends[0], ends[1]);
        match meet(edge, a, b, x, y) {
            (crosses, true) => (crosses, false),
            (_, false) => near(edge, a, b, x, y),
        }
    }
}

/// Whether the ends of an edge to the east of a cell change the bits of its zones.
#[inline(always)]
fn ends_east(edge: u32, from_a: bool, from_b: bool) -> bool {
    (from_a & (edge & FIRST_EAST != 0)) ^ (from_b & (edge & SECOND_EAST != 0))
}

/// Whether an edge changes the bits of its zones at a point, and whether doubles can tell.
#[inline(always)]
fn meet(edge: u32, a: Vertex, b: Vertex, x: f64, y: f64) -> (bool, bool) {
    let (from_a, from_b) = (y >= a[1], y >= b[1]);
    let (side, clear) = exact::quick_side(a, b, x, y);
    (((from_a ^ from_b) & ((side > 0.0) == from_a)) ^ ends_east(edge, from_a, from_b), clear)
}

/// Finding what lies around, for few points.
impl View<'_> {
    fn around(&self, x: f64, y: f64) -> Around {
        let mut around = Around::default();
        let cell = self.grid.cell(x, y) as usize;
        let word = self.words[cell];
        let word = if unanswered(word) { self.finer_word(word, self.finer_at(word, x, y)) } else { word };
        if !unanswered(word) {
            around.inside.extend((word != NONE).then_some(word));
            return around;
        }
        let mut next = Some((word & !LEAF) as usize);
        while let Some(at) = next {
            let page = Page::read(self.leaves, at);
            let (mut inside, mut touched) = (page.base, 0);
            for (i, &edge) in page.edges.iter().enumerate() {
                let (crosses, touches) = self.meet(edge, x, y);
                inside ^= if crosses { page.bits(i) } else { 0 };
                touched |= if touches { page.bits(i) } else { 0 };
            }
            for (bit, &zone) in page.candidates.iter().enumerate() {
                if touched >> bit & 1 != 0 {
                    around.border.push(zone);
                } else if inside >> bit & 1 != 0 {
                    around.inside.push(zone);
                }
            }
            around.inside.extend((page.covered_by != NONE).then_some(page.covered_by));
            next = page.next;
        }
        around
    }
}

/// [`meet`] for a point so close to the line of the edge that doubles cannot tell its side, and whether it lies on it.
#[cold]
fn near(edge: u32, a: Vertex, b: Vertex, x: f64, y: f64) -> (bool, bool) {
    let side = exact::side(a, b, x, y);
    let (from_a, from_b) = (y >= a[1], y >= b[1]);
    let crosses = (from_a ^ from_b) & (side != 0.0) & ((side > 0.0) == from_a);
    (crosses ^ ends_east(edge, from_a, from_b), side == 0.0 && exact::between(a, b, x, y))
}
