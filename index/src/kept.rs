//! Cells as bytes, to be kept beside their zoning and read back in one go.
//!
//! The form is little-endian: a line with its name and version, counts, then each array whole, then a CRC-32 of all that
//! precedes, which tells of damage and costs a tenth of a cryptographic digest. Nothing read is trusted: once the sum
//! holds, every number that leads elsewhere is followed to its end, so that bytes made by another program cannot make a
//! look-up leave its array.

use std::io::{self, Read, Write};

use bytemuck::Pod;
use flate2::Crc;

use crate::cells::{
    BORDER, COUNT_MAX, COVERED, Cells, FINER, Finer, Grid, LEAF, MORE, NONE, PAGE_EDGES_MAX, PAGE_ZONES, UNIFORM, View,
    unanswered,
};
use crate::large::Large;

/// The name and the version of the form. Another version is refused, and the index built again.
const FORM: &[u8; 16] = b"arpent index 03\n";
/// Bytes moved at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes of the text about an index.
const ABOUT_BYTES_MAX: usize = 1 << 24;
/// Words of an array: those which a word can number.
const WORDS_MAX: usize = COUNT_MAX;

/// Cells with what is needed to use them without their zoning.
pub struct Kept {
    /// The cells.
    pub cells: Cells,
    /// The codes of their zones, in their order.
    pub codes: Vec<String>,
    /// What the keeper wrote about it, such as the digest of the file it was built from.
    pub about: String,
}

impl Cells {
    /// Writes the cells with the codes of their zones and a text about them.
    pub fn keep<'a>(&self, codes: impl Iterator<Item = &'a str>, about: &str, into: impl Write) -> io::Result<()> {
        let mut out = Out { into, sum: Crc::new() };
        out.bytes(FORM)?;
        let View { grid, words, finer, finer_words, leaves, vertices } = self.view();
        for v in [grid.least, grid.greatest, grid.corner, [grid.side_m, grid.cells_a_metre]].as_flattened() {
            out.bytes(&v.to_le_bytes())?;
        }
        out.bytes(&grid.columns.to_le_bytes())?;
        out.bytes(&grid.rows.to_le_bytes())?;
        let mut texts: Vec<u8> = about.as_bytes().to_vec();
        let mut ends = vec![texts.len() as u32];
        for code in codes {
            texts.extend(code.as_bytes());
            ends.push(texts.len() as u32);
        }
        let arrays = [&ends, finer.as_flattened(), words, finer_words, leaves];
        for length in arrays.map(<[u32]>::len).into_iter().chain([vertices.len(), texts.len()]) {
            out.bytes(&(length as u64).to_le_bytes())?;
        }
        out.bytes(&texts)?;
        for array in arrays {
            out.numbers(array, u32::to_le_bytes)?;
        }
        out.numbers(vertices.as_flattened(), f64::to_le_bytes)?;
        out.into.write_all(&out.sum.sum().to_le_bytes())
    }
}

impl Kept {
    /// Reads back what [`Cells::keep`] wrote, from its first byte to its last.
    ///
    /// # Errors
    /// What cannot be read, or is not whole, or is of another form or version: the message says which.
    pub fn read(from: impl Read) -> Result<Self, String> {
        let mut input = In { from, sum: Crc::new(), block: vec![0; BLOCK_BYTES] };
        let form: [u8; 16] = input.array()?;
        if form != *FORM {
            return Err("bytes of another form or version".to_owned());
        }
        let mut v = [0.0; 8];
        for v in &mut v {
            *v = f64::from_le_bytes(input.array()?);
        }
        let (columns, rows) = (u32::from_le_bytes(input.array()?), u32::from_le_bytes(input.array()?));
        let grid = Grid {
            least: [v[0], v[1]],
            greatest: [v[2], v[3]],
            corner: [v[4], v[5]],
            side_m: v[6],
            cells_a_metre: v[7],
            columns,
            rows,
        };
        let mut lengths = [0_usize; 7];
        for length in &mut lengths {
            *length = usize::try_from(u64::from_le_bytes(input.array()?)).unwrap_or(usize::MAX);
        }
        let texts_max = ABOUT_BYTES_MAX + COUNT_MAX;
        if lengths[..6].iter().any(|&n| n > WORDS_MAX) || lengths[6] > texts_max {
            return Err("a count above what an index may have".to_owned());
        }
        let texts = input.bytes(lengths[6])?;
        let ends = input.numbers(lengths[0], u32::from_le_bytes)?;
        if !lengths[1].is_multiple_of(2) {
            return Err("half a square of finer cells".to_owned());
        }
        let finer = input.large(lengths[1] / 2, u32::from_le_bytes)?;
        let words = input.large(lengths[2], u32::from_le_bytes)?;
        let finer_words = input.large(lengths[3], u32::from_le_bytes)?;
        let leaves = input.large(lengths[4], u32::from_le_bytes)?;
        let vertices = input.large(lengths[5], f64::from_le_bytes)?;
        let sum = input.sum.sum();
        if u32::from_le_bytes(input.array()?) != sum {
            return Err("bytes that changed since they were written".to_owned());
        }
        let cells = Cells { grid, words, finer, finer_words, leaves, vertices };
        let (about, codes) = split(&texts, &ends).ok_or("texts that are torn")?;
        check(&cells.view(), codes.len()).map_err(|what| format!("{what} that leads nowhere"))?;
        Ok(Self { cells, codes, about })
    }
}

fn split(texts: &[u8], ends: &[u32]) -> Option<(String, Vec<String>)> {
    let mut start = 0;
    let mut parts = Vec::with_capacity(ends.len());
    for &end in ends {
        parts.push(std::str::from_utf8(texts.get(start..end as usize)?).ok()?);
        start = end as usize;
    }
    let (about, codes) = parts.split_first()?;
    Some(((*about).to_owned(), codes.iter().map(|code| (*code).to_owned()).collect()))
}

/// Follows every number that leads elsewhere.
fn check(cells: &View<'_>, zones: usize) -> Result<(), &'static str> {
    let grid = cells.grid;
    let numbers = [grid.least, grid.greatest, grid.corner, [grid.side_m, grid.cells_a_metre]];
    let room = grid.columns.checked_mul(grid.rows).is_some_and(|n| n > 0 && n as usize + 1 == cells.words.len());
    let (low, high) = (grid.in_cells(grid.least[0], grid.least[1]), grid.in_cells(grid.greatest[0], grid.greatest[1]));
    let within = |u: f64, n: u32| u >= 0.25 && u <= f64::from(n) - 0.25;
    let finite = numbers.as_flattened().iter().all(|v| v.is_finite());
    let empty = grid.least[0] > grid.greatest[0];
    let placed = empty || [low, high].iter().all(|p| within(p.0, grid.columns) && within(p.1, grid.rows));
    let sound = room && placed && finite && grid.side_m > 0.0;
    if !sound {
        return Err("a grid");
    }
    if cells.vertices.as_flattened().iter().any(|v| !v.is_finite()) {
        return Err("a vertex");
    }
    let leaf_starts = check_leaves(cells, zones).ok_or("a leaf")?;
    let is_zone = |word: u32| word == NONE || (word as usize) < zones;
    let is_leaf = |word: u32| {
        let at = (word & !LEAF) as usize;
        leaf_starts.get(at / 64).is_some_and(|starts| starts >> (at % 64) & 1 != 0)
    };
    let sound = |word: u32| if unanswered(word) { word & BORDER == 0 && is_leaf(word) } else { is_zone(word) };
    if !cells.finer_words.iter().all(|&word| sound(word)) {
        return Err("a finer cell");
    }
    let square = |&[start, side]: &Finer| {
        let cells_of = u64::from(side) * u64::from(side);
        side > 0 && u64::from(start) + cells_of <= cells.finer_words.len() as u64
    };
    if cells.finer.is_empty() || !cells.finer.iter().all(square) {
        return Err("a square of finer cells");
    }
    let finer = |word: u32| unanswered(word) && word & FINER != 0;
    let sound = |word: u32| if finer(word) { ((word & !FINER) as usize) < cells.finer.len() } else { sound(word) };
    if cells.words.iter().all(|&word| sound(word)) { Ok(()) } else { Err("a cell") }
}

/// Walks all leaves; gives a bit for each word at which one begins.
fn check_leaves(cells: &View<'_>, zones: usize) -> Option<Vec<u64>> {
    let leaves = cells.leaves;
    let mut starts = vec![0_u64; leaves.len() / 64 + 1];
    let mut at = 0;
    let mut begins = true;
    while at < leaves.len() {
        if begins {
            starts[at / 64] |= 1 << (at % 64);
        }
        let (head, second) = (leaves[at], *leaves.get(at + 1)?);
        let (n, k) = ((head & PAGE_EDGES_MAX as u32) as usize, (second >> 16) as usize);
        let candidates_end = at + 2 + k;
        let edges_start = candidates_end + usize::from(head & COVERED != 0);
        let edges_end = edges_start + n;
        let bounds = if head & UNIFORM != 0 { 0 } else { n.div_ceil(4) };
        let end = edges_end + bounds;
        let zoned = leaves.get(at + 2..edges_start)?.iter().all(|&zone| (zone as usize) < zones);
        let edge = |edge: u32| (edge & COUNT_MAX as u32) as usize + 1 < cells.vertices.len();
        let edged = leaves.get(edges_start..edges_end)?.iter().all(|&e| edge(e));
        let pair = |i: usize| leaves[edges_end + i / 4] >> (8 * (i % 4));
        let bounded = leaves.get(edges_end..end).is_some()
            && (bounds == 0 || (0..n).all(|i| (pair(i) & 15) < k as u32 && (pair(i) >> 4 & 15) < k as u32));
        let edged = edged && (n > 0 || !cells.vertices.is_empty());
        let counted = k > 0 && k <= PAGE_ZONES && second & 0xffff < 1 << k;
        if !(zoned && edged && bounded && counted) {
            return None;
        }
        begins = head & MORE == 0;
        at = end;
    }
    begins.then_some(starts)
}

fn too_short() -> String {
    "an end too early".to_owned()
}

struct Out<W> {
    into: W,
    sum: Crc,
}

impl<W: Write> Out<W> {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.into.write_all(bytes)
    }
    fn numbers<T: Copy, const N: usize>(&mut self, numbers: &[T], bytes_of: impl Fn(T) -> [u8; N]) -> io::Result<()> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        for part in numbers.chunks(BLOCK_BYTES / N) {
            block.clear();
            block.extend(part.iter().flat_map(|&number| bytes_of(number)));
            self.bytes(&block)?;
        }
        Ok(())
    }
}

struct In<R> {
    from: R,
    sum: Crc,
    block: Vec<u8>,
}

impl<R: Read> In<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(|_| too_short())?;
        self.sum.update(&bytes);
        Ok(bytes)
    }
    /// Reads block by block, so that a false count asks for no more memory than there are bytes.
    fn bytes(&mut self, n: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        self.blocks(n, |block| all.extend_from_slice(block))?;
        Ok(all)
    }
    fn numbers<T, const N: usize>(&mut self, n: usize, of: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
        let mut all = Vec::new();
        self.blocks(n * N, |block| all.extend(block.as_chunks::<N>().0.iter().map(|&bytes| of(bytes))))?;
        Ok(all)
    }
    /// So many items of a kind, each of one number or a few.
    fn large<Item: Pod, T: Pod, const N: usize>(
        &mut self,
        n: usize,
        of: impl Fn([u8; N]) -> T,
    ) -> Result<Large<Item>, String> {
        let mut all = Large::zeros(n).ok_or("more than this machine has memory for")?;
        let mut into = bytemuck::cast_slice_mut::<Item, T>(all.slice_mut()).iter_mut();
        self.blocks(into.len() * N, |block| {
            block.as_chunks::<N>().0.iter().zip(&mut into).for_each(|(&bytes, into)| *into = of(bytes));
        })?;
        Ok(all)
    }
    fn blocks(&mut self, mut left: usize, mut take: impl FnMut(&[u8])) -> Result<(), String> {
        while left > 0 {
            let n = left.min(BLOCK_BYTES);
            let block = &mut self.block[..n];
            self.from.read_exact(block).map_err(|_| too_short())?;
            self.sum.update(block);
            take(block);
            left -= n;
        }
        Ok(())
    }
}
