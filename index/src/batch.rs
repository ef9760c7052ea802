//! Columns of points placed in batches: cells first, then the leaves among them.
//!
//! Where the index outgrows a processor's cache, points in random order wait for memory at each step. They are then sorted
//! by tiles of cells first, by counting, which costs less than the waiting.

use bytemuck::Pod;

use crate::cells::{Cells, FORMS, LEAF, View, unanswered};
use crate::large::Large;

/// Points taken together: their cells stay in the first cache.
const BATCH: usize = 1024;
/// Bytes of an index that the second cache of one core holds beside the points.
const CACHED_BYTES: usize = 8 << 20;
/// Bytes of the index under one tile.
const TILE_BYTES: usize = 64 << 10;
/// Points a tile below which sorting by tile brings nothing, by measure.
const POINTS_A_TILE_MIN: usize = 64;
/// Points sorted together: 28 MiB a million.
const SORTED_MAX: usize = 1 << 22;
/// Steps from one point to the next that are looked at to see whether points come sorted.
const STEPS_LOOKED_AT: usize = 1000;

impl Cells {
    /// Places points one after the other or by tiles, whichever costs less: for each the number of its zone, with
    /// [`crate::BORDER`] or [`crate::OVERLAP`] set, or [`crate::NONE`]. The columns are of one length.
    pub fn place(&self, x: &[f64], y: &[f64], answers: &mut [u32]) {
        let cells = &self.view();
        let tiling = Tiling::new(cells);
        let mut room = Sorting::default();
        let parts = x.chunks(SORTED_MAX).zip(y.chunks(SORTED_MAX)).zip(answers.chunks_mut(SORTED_MAX));
        for ((x, y), answers) in parts {
            if tiling.pays(cells, x, y) {
                place_by_tiles(cells, &tiling, x, y, answers, &mut room);
            } else {
                place_in_order(cells, x, y, answers);
            }
        }
    }

    /// The same, sorted by tiles first whether it pays or not.
    pub fn place_sorted(&self, x: &[f64], y: &[f64], answers: &mut [u32]) {
        let cells = &self.view();
        place_by_tiles(cells, &Tiling::new(cells), x, y, answers, &mut Sorting::default());
    }
}

/// Places points in the order given.
fn place_in_order(cells: &View<'_>, x: &[f64], y: &[f64], answers: &mut [u32]) {
    let mut room = Room::new();
    let mut codes = [0_u32; BATCH];
    let parts = x.chunks(BATCH).zip(y.chunks(BATCH)).zip(answers.chunks_mut(BATCH));
    for ((x, y), answers) in parts {
        for ((code, &x), &y) in codes.iter_mut().zip(x).zip(y) {
            *code = cells.grid.cell(x, y);
        }
        let mut n = 0;
        for (i, (answer, &code)) in (0_u32..).zip(answers.iter_mut().zip(&codes)) {
            let word = cells.words[code as usize];
            *answer = word;
            room.open[n % BATCH] = Open { place: i, word };
            n += usize::from(unanswered(word));
        }
        room.finish(cells, n, |i| (x[i as usize], y[i as usize]), answers);
    }
}

/// A point whose cell leaves work to do.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    place: u32,
    word: u32,
}

/// Room for the points of a batch that their cells leave open.
struct Room {
    open: [Open; BATCH],
    at: [u32; BATCH],
    edges: [(u32, u32); BATCH],
    /// The points that leaves decide, those of leaves of one form together.
    by_form: [Open; BATCH],
}

impl Room {
    fn new() -> Self {
        Self {
            open: [Open::default(); BATCH],
            at: [0; BATCH],
            edges: [(0, 0); BATCH],
            by_form: [Open::default(); BATCH],
        }
    }

    /// Answers the first `n` open points, each in its place of the batch. Each step is taken for all of them before the
    /// next: the loads of a step wait for memory together, and not one for the other.
    #[inline(always)]
    fn finish(&mut self, cells: &View<'_>, n: usize, point: impl Fn(u32) -> (f64, f64), answers: &mut [u32]) {
        let open = &mut self.open[..n.min(BATCH)];
        let at = &mut self.at[..n.min(BATCH)];
        for (open, at) in open.iter().zip(at.iter_mut()) {
            let (x, y) = point(open.place);
            *at = cells.finer_at(open.word, x, y);
        }
        bring_near(at.iter().map(|&at| cells.finer_words[at as usize]));
        let mut m = 0;
        for i in 0..open.len() {
            let Open { place, word } = open[i];
            let word = cells.finer_word(word, at[i]);
            answers[place as usize] = word;
            open[m] = Open { place, word: word & !LEAF };
            m += usize::from(unanswered(word));
        }
        let open = &open[..m];
        bring_near(open.iter().map(|open| cells.leaves[open.word as usize]));
        let forms = &mut self.at[..m];
        let mut ends = [0_usize; FORMS + 1];
        for ((open, edges), form) in open.iter().zip(self.edges.iter_mut()).zip(forms.iter_mut()) {
            *edges = cells.outer_edges(open.word);
            *form = cells.form(open.word);
            ends[*form as usize + 1] += 1;
        }
        bring_near(self.edges[..m].iter().map(|edges| cells.touch(edges.0) ^ cells.touch(edges.1)));
        // A loop over leaves of one form is never wrong about how many edges come.
        for form in 1..ends.len() {
            ends[form] += ends[form - 1];
        }
        for (open, &form) in open.iter().zip(forms.iter()) {
            let at = &mut ends[form as usize];
            self.by_form[*at] = *open;
            *at += 1;
        }
        let mut start = 0;
        for (form, &end) in ends[..FORMS].iter().enumerate() {
            let open = &self.by_form[start..end];
            start = end;
            match form {
                1 => decide(open, &point, answers, |leaf, x, y| cells.judge_between::<1>(leaf, x, y)),
                2 => decide(open, &point, answers, |leaf, x, y| cells.judge_between::<2>(leaf, x, y)),
                3 => decide(open, &point, answers, |leaf, x, y| cells.judge_between::<3>(leaf, x, y)),
                4 => decide(open, &point, answers, |leaf, x, y| cells.judge_between::<4>(leaf, x, y)),
                5 => decide(open, &point, answers, |leaf, x, y| cells.judge_between::<5>(leaf, x, y)),
                6 => decide(open, &point, answers, |leaf, x, y| cells.judge_between::<6>(leaf, x, y)),
                _ => decide(open, &point, answers, |leaf, x, y| cells.judge(leaf, x, y)),
            }
        }
    }
}

/// Answers points by their leaves.
#[inline(always)]
fn decide(
    open: &[Open],
    point: impl Fn(u32) -> (f64, f64),
    answers: &mut [u32],
    judge: impl Fn(usize, f64, f64) -> u32,
) {
    for open in open {
        let (x, y) = point(open.place);
        answers[open.place as usize] = judge(open.word as usize, x, y);
    }
}

/// Loads for nothing but to have them near: so short a loop waits for many loads at once.
#[inline(always)]
fn bring_near<T: std::ops::BitXor<Output = T> + Default>(words: impl Iterator<Item = T>) {
    std::hint::black_box(words.fold(T::default(), |all, word| all ^ word));
}

/// Squares of cells that are placed together.
#[derive(Debug, Clone, Copy)]
struct Tiling {
    /// Cells of a tile's side, as a power of two.
    shift: u32,
    across: u32,
    tiles: usize,
}

impl Tiling {
    fn new(cells: &View<'_>) -> Self {
        let wanted = (cells.bytes() / TILE_BYTES).max(1);
        let mut shift = 0;
        loop {
            let across = |n: u32| ((n - 1) >> shift) + 1;
            let tiling = Self {
                shift,
                across: across(cells.grid.columns),
                // And one for what lies beyond.
                tiles: across(cells.grid.columns) as usize * across(cells.grid.rows) as usize + 1,
            };
            if tiling.tiles <= wanted + 1 {
                return tiling;
            }
            shift += 1;
        }
    }

    #[inline(always)]
    /// The cell of a point, as `Grid::cell` has it, and its tile.
    fn cell_and_tile(&self, cells: &View<'_>, x: f64, y: f64) -> (u32, u32) {
        let (column, row) = cells.grid.rounded(x, y);
        let part = |n: u32| n.wrapping_shr(self.shift);
        let tile = part(row).wrapping_mul(self.across).wrapping_add(part(column));
        (cells.grid.cell(x, y), if cells.grid.holds(x, y) { tile } else { (self.tiles as u32).wrapping_sub(1) })
    }

    /// Whether sorting costs less than waiting for memory.
    fn pays(&self, cells: &View<'_>, x: &[f64], y: &[f64]) -> bool {
        if cells.bytes() <= CACHED_BYTES || x.len() < self.tiles * POINTS_A_TILE_MIN {
            return false;
        }
        let tile = |i: usize| self.cell_and_tile(cells, x[i], y[i]).1;
        let stride = (x.len() / STEPS_LOOKED_AT).max(1);
        let steps = (1..x.len()).step_by(stride);
        let (mut looked_at, mut far) = (0, 0);
        for i in steps {
            looked_at += 1;
            far += usize::from(tile(i - 1) != tile(i));
        }
        far * 2 > looked_at
    }
}

/// A point on its way through its tile.
#[derive(Debug, Clone, Copy)]
struct Sorted {
    x: f64,
    y: f64,
    place: u32,
    word: u32,
}

impl Sorted {
    /// As bits, which memory of any kind may hold.
    #[inline(always)]
    fn bits(self) -> [u64; 3] {
        [self.x.to_bits(), self.y.to_bits(), u64::from(self.word) << 32 | u64::from(self.place)]
    }
    #[inline(always)]
    fn of([x, y, more]: [u64; 3]) -> Self {
        Self { x: f64::from_bits(x), y: f64::from_bits(y), place: more as u32, word: (more >> 32) as u32 }
    }
}

/// Room for sorting, which is used again.
#[derive(Debug, Default)]
struct Sorting {
    tiles: Option<Large<u32>>,
    sorted: Option<Large<[u64; 3]>>,
}

/// The first `n` of an array, which is made anew when it is shorter; `None` when there is no memory.
fn at_least<T: Pod>(room: &mut Option<Large<T>>, n: usize) -> Option<&mut [T]> {
    if room.as_ref().is_none_or(|room| room.slice().len() < n) {
        *room = Large::zeros(n);
    }
    room.as_mut().map(|room| &mut room.slice_mut()[..n])
}

/// Answers what cells answer, sorts the other points by tile, and gives each answer back to its place.
fn place_by_tiles(cells: &View<'_>, tiling: &Tiling, x: &[f64], y: &[f64], answers: &mut [u32], room: &mut Sorting) {
    let Sorting { tiles, sorted } = room;
    let Some(tiles) = at_least(tiles, x.len()) else {
        return place_in_order(cells, x, y, answers);
    };
    let mut next = vec![0_u32; tiling.tiles + 1];
    let mut codes = [0_u32; BATCH];
    let parts = x.chunks(BATCH).zip(y.chunks(BATCH)).zip(answers.chunks_mut(BATCH)).zip(tiles.chunks_mut(BATCH));
    for (((x, y), answers), tiles) in parts {
        for (((code, tile), &x), &y) in codes.iter_mut().zip(tiles.iter_mut()).zip(x).zip(y) {
            (*code, *tile) = tiling.cell_and_tile(cells, x, y);
        }
        for (answer, &code) in answers.iter_mut().zip(&codes) {
            *answer = cells.words[code as usize];
        }
        for (answer, &tile) in answers.iter().zip(tiles.iter()) {
            next[tile as usize + 1] += u32::from(unanswered(*answer));
        }
    }
    for tile in 1..next.len() {
        next[tile] += next[tile - 1];
    }
    let Some(sorted) = at_least(sorted, next[tiling.tiles] as usize) else {
        return place_in_order(cells, x, y, answers);
    };
    for ((place, (&word, (&x, &y))), &tile) in (0_u32..).zip(answers.iter().zip(x.iter().zip(y))).zip(tiles.iter()) {
        if unanswered(word) {
            let at = &mut next[tile as usize];
            sorted[*at as usize] = Sorted { x, y, place, word }.bits();
            *at += 1;
        }
    }
    // Tiles are no longer asked for, and their room lies in larger pages than that of answers may.
    let found = tiles;
    let mut room = Room::new();
    for batch in sorted.chunks(BATCH) {
        let sorted = |i: u32| Sorted::of(batch[i as usize]);
        for (open, place) in room.open.iter_mut().zip(0..batch.len() as u32) {
            *open = Open { place, word: sorted(place).word };
        }
        let point = |i: u32| (sorted(i).x, sorted(i).y);
        room.finish(cells, batch.len(), point, &mut codes);
        for (i, &answer) in (0..batch.len() as u32).zip(&codes) {
            found[sorted(i).place as usize] = answer;
        }
    }
    for (answer, &found) in answers.iter_mut().zip(found.iter()) {
        *answer = if unanswered(*answer) { found } else { *answer };
    }
}
