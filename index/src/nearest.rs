//! The distance to the nearest edge, asked of cells: outwards ring by ring, until no ring can hold a nearer one.

use crate::cells::{COUNT_MAX, Cells, FINER, LEAF, Page, View, unanswered};
use crate::exact;

/// Sides of a cell by which an edge may stand from a cell that names it, and more than coordinates are rounded by.
const SLACK: f64 = 1.0 / 16_384.0;

impl Cells {
    /// Metres from a point to the nearest edge that a leaf names; infinite when there is none.
    pub fn distance_m(&self, x: f64, y: f64) -> f64 {
        let grid = &self.grid;
        let (u, v) = grid.in_cells(x, y);
        let mut nearest = Nearest { cells: self.view(), point: (x, y), at: (u, v), least: f64::INFINITY };
        let (columns, rows) = (i64::from(grid.columns), i64::from(grid.rows));
        let home = |u: f64, n: i64| (u.max(0.0) as i64).min(n - 1);
        let (column, row) = (home(u, columns), home(v, rows));
        for ring in 0..columns.max(rows) {
            let (west, east, south, north) = (column - ring, column + ring, row - ring, row + ring);
            let sides = [
                (west >= 0, u - (west + 1) as f64),
                (east < columns, east as f64 - u),
                (south >= 0, v - (south + 1) as f64),
                (north < rows, north as f64 - v),
            ];
            if !sides.iter().any(|&(exists, gap)| exists && nearest.may_be_within(gap, 0.0)) {
                break;
            }
            for row in south.max(0)..=north.min(rows - 1) {
                if row == south || row == north {
                    (west.max(0)..=east.min(columns - 1)).for_each(|column| nearest.cell(column as u32, row as u32));
                } else {
                    let ends = [west, east].into_iter().filter(|column| (0..columns).contains(column));
                    ends.for_each(|column| nearest.cell(column as u32, row as u32));
                }
            }
        }
        nearest.least.sqrt()
    }
}

/// The search around a point.
struct Nearest<'a> {
    cells: View<'a>,
    point: (f64, f64),
    /// The point, counted in cells.
    at: (f64, f64),
    /// The square of the least distance so far, in metres.
    least: f64,
}

impl Nearest<'_> {
    /// Whether what stands so many cells away may be nearer than the nearest so far.
    fn may_be_within(&self, east: f64, north: f64) -> bool {
        let metres = |gap: f64| (gap - SLACK).max(0.0) * self.cells.grid.side_m;
        metres(east).powi(2) + metres(north).powi(2) <= self.least
    }

    fn cell(&mut self, column: u32, row: u32) {
        let (left, foot) = (f64::from(column), f64::from(row));
        let word = self.cells.words[(row * self.cells.grid.columns + column) as usize];
        let (u, v) = self.at;
        if !unanswered(word) || !self.may_be_within(gap(u, left, left + 1.0), gap(v, foot, foot + 1.0)) {
            return;
        }
        if word & FINER == 0 {
            return self.leaf(word);
        }
        let [start, side] = self.cells.finer[(word & !FINER) as usize];
        let part = 1.0 / f64::from(side);
        for j in 0..side {
            let foot = foot + f64::from(j) * part;
            let north = gap(v, foot, foot + part);
            if !self.may_be_within(0.0, north) {
                continue;
            }
            for i in 0..side {
                let left = left + f64::from(i) * part;
                let word = self.cells.finer_words[(start + j * side + i) as usize];
                if unanswered(word) && self.may_be_within(gap(u, left, left + part), north) {
                    self.leaf(word);
                }
            }
        }
    }

    fn leaf(&mut self, word: u32) {
        let mut next = Some((word & !LEAF) as usize);
        while let Some(at) = next {
            let page = Page::read(self.cells.leaves, at);
            for edge in page.edges {
                let at = (edge & COUNT_MAX as u32) as usize;
                let (a, b) = (self.cells.vertices[at], self.cells.vertices[at + 1]);
                self.least = self.least.min(exact::distance_squared(a, b, self.point.0, self.point.1));
            }
            next = page.next;
        }
    }
}

/// How far a coordinate stands from an interval; zero within it.
fn gap(u: f64, from: f64, to: f64) -> f64 {
    (from - u).max(u - to).max(0.0)
}
