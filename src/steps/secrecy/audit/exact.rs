//! Exact answers to "do these sums fix that sum?": sparse elimination modulo a prime, then random null vectors.
//!
//! A sum follows from the known sums if and only if every change of the atoms that leaves the known sums alone leaves it
//! alone too. A random such change (a random vector of the null space) tells the two cases apart, except with a
//! probability of about one over the prime. Arithmetic is modular, hence exact: nothing is rounded.
//!
//! The same elimination proposes changes of the atoms that give sums asked values.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The field of whole numbers modulo the Mersenne prime 2^`BITS` − 1.
pub(super) struct Field<const BITS: u32>;

impl<const BITS: u32> Field<BITS> {
    pub const PRIME: u64 = (1 << BITS) - 1;

    pub fn add(a: u64, b: u64) -> u64 {
        let sum = a + b;
        if sum >= Self::PRIME { sum - Self::PRIME } else { sum }
    }

    pub fn subtract(a: u64, b: u64) -> u64 {
        if a >= b { a - b } else { a + Self::PRIME - b }
    }

    pub fn multiply(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        // 2^BITS is 1 in this field, so that the high part counts as units.
        Self::add(product as u64 & Self::PRIME, (product >> BITS) as u64)
    }

    /// By Fermat's little theorem; the inverse of zero is zero.
    pub fn invert(a: u64) -> u64 {
        let (mut power, mut exponent, mut inverse) = (a, Self::PRIME - 2, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                inverse = Self::multiply(inverse, power);
            }
            power = Self::multiply(power, power);
            exponent >>= 1;
        }
        inverse
    }

    /// A random change that leaves the sums `known` over `columns` atoms alone, `count` times over.
    ///
    /// The result holds one vector after the other, each with one entry an atom.
    pub fn null_vectors(columns: usize, known: &[Vec<u32>], count: usize, random: &mut Random) -> Vec<Vec<u64>> {
        let rows = known.iter().map(|row| row.iter().map(|&c| (c, 1)).collect()).collect();
        let Echelon { pivots, .. } = eliminate::<BITS>(columns, 0, rows);
        let mut is_pivot = vec![false; columns];
        for (column, _) in &pivots {
            is_pivot[*column as usize] = true;
        }
        (0..count)
            .map(|_| {
                let mut vector: Vec<u64> =
                    is_pivot.iter().map(|&pivot| if pivot { 0 } else { random.below(Self::PRIME) }).collect();
                Self::complete(&pivots, &mut vector);
                vector
            })
            .collect()
    }

    /// Changes of `columns` atoms that give each of `sums` the value beside it; `None` where no changes do.
    pub fn changes(columns: usize, sums: &[(Vec<u32>, u64)]) -> Option<Vec<u64>> {
        // The values are one column more, which changes by one.
        let row = |(sum, value): &(Vec<u32>, u64)| {
            let value = (columns as u32, Self::subtract(0, *value));
            let mut row: Sparse = sum.iter().map(|&c| (c, 1)).chain(Some(value).filter(|v| v.1 != 0)).collect();
            row.sort_unstable();
            row
        };
        let Echelon { pivots, consistent } = eliminate::<BITS>(columns, 1, sums.iter().map(row).collect());
        let mut vector = vec![0; columns + 1];
        vector[columns] = 1;
        Self::complete(&pivots, &mut vector);
        vector.truncate(columns);
        consistent.then_some(vector)
    }

    /// Fills in the columns of the pivots.
    fn complete(pivots: &[(u32, Sparse)], vector: &mut [u64]) {
        // A pivot's row holds free columns and columns that became pivots later.
        for (column, row) in pivots.iter().rev() {
            let sum = row.iter().fold(0, |sum, &(c, by)| Self::add(sum, Self::multiply(by, vector[c as usize])));
            vector[*column as usize] = Self::subtract(0, sum);
        }
    }

    /// A whole number in the field.
    pub fn of(number: i128) -> u64 {
        number.rem_euclid(i128::from(Self::PRIME)) as u64
    }

    /// The whole number nearest to zero that is this one in the field.
    pub fn nearest(a: u64) -> i128 {
        let a = i128::from(a);
        if a > i128::from(Self::PRIME / 2) { a - i128::from(Self::PRIME) } else { a }
    }

    /// The least denominator below 2^(`BITS` / 2 − 1) of a fraction that is `a` in the field and whose numerator is as small; one
    /// pair at most answers (Wang 1981). `None` where none does.
    pub fn denominator(a: u64) -> Option<u64> {
        let limit = i128::from(1_u64 << (BITS / 2 - 1));
        let (mut above, mut here) = (i128::from(Self::PRIME), i128::from(a));
        let (mut before, mut times) = (0_i128, 1_i128);
        while here >= limit {
            let quotient = above / here;
            (above, here) = (here, above - quotient * here);
            (before, times) = (times, before - quotient * times);
        }
        (times != 0 && times.abs() < limit).then_some(times.unsigned_abs() as u64)
    }

    /// Whether some of these rows are a combination of the others.
    pub fn are_dependent(rows: Vec<Vec<u64>>) -> bool {
        let mut reduced: Vec<(usize, Vec<u64>)> = Vec::new();
        rows.into_iter().any(|row| !Self::reduce(&mut reduced, row))
    }

    /// Adds a row to others in echelon form; whether it is no combination of them.
    fn reduce(reduced: &mut Vec<(usize, Vec<u64>)>, mut row: Vec<u64>) -> bool {
        for (pivot, other) in reduced.iter() {
            let by = row[*pivot];
            if by != 0 {
                for (mine, theirs) in row.iter_mut().zip(other) {
                    *mine = Self::subtract(*mine, Self::multiply(by, *theirs));
                }
            }
        }
        let Some(pivot) = row.iter().position(|&v| v != 0) else { return false };
        let inverse = Self::invert(row[pivot]);
        row.iter_mut().for_each(|v| *v = Self::multiply(*v, inverse));
        reduced.push((pivot, row));
        true
    }

    /// Weights that make the combination of the columns of `rows` vanish on every row, drawn at random among all such
    /// weights; `width` is the length of a row.
    pub fn annihilator(rows: &[Vec<u64>], width: usize, random: &mut Random) -> Vec<u64> {
        let mut reduced: Vec<(usize, Vec<u64>)> = Vec::new();
        for row in rows {
            Self::reduce(&mut reduced, row.clone());
        }
        let mut weights: Vec<u64> = (0..width).map(|_| random.below(Self::PRIME)).collect();
        // A later row holds nothing at the pivots of earlier ones, so that weights are settled from the last row back.
        for (pivot, row) in reduced.iter().rev() {
            weights[*pivot] = 0;
            let sum = row.iter().zip(&weights).fold(0, |sum, (v, w)| Self::add(sum, Self::multiply(*v, *w)));
            weights[*pivot] = Self::subtract(0, sum);
        }
        weights
    }
}

/// A row of the elimination: column and coefficient, by column.
type Sparse = Vec<(u32, u64)>;

/// Rows in echelon form.
struct Echelon {
    /// Each pivot's column with the rest of its row, whose pivot coefficient is one.
    pivots: Vec<(u32, Sparse)>,
    /// Whether no row is left that holds nothing but columns which are no pivots.
    consistent: bool,
}

/// Rows to echelon form; the last `carried` columns become no pivots.
///
/// The next pivot is in the column with the fewest entries and there in the shortest row, so that little fills in.
fn eliminate<const BITS: u32>(columns: usize, carried: usize, mut rows: Vec<Sparse>) -> Echelon {
    let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); columns + carried];
    for (r, row) in rows.iter().enumerate() {
        for (c, _) in row {
            rows_of[*c as usize].push(r as u32);
        }
    }
    let mut entries: Vec<u32> = rows_of.iter().map(|rows| rows.len() as u32).collect();
    let mut queue: BinaryHeap<Reverse<(u32, u32)>> =
        (entries.iter().enumerate().take(columns)).filter(|e| *e.1 > 0).map(|(c, &n)| Reverse((n, c as u32))).collect();
    let mut pivots = Vec::new();
    while let Some(Reverse((n, column))) = queue.pop() {
        if entries[column as usize] != n || n == 0 {
            continue; // an older state of this column
        }
        let mut holders = std::mem::take(&mut rows_of[column as usize]);
        holders.sort_unstable();
        holders.dedup();
        holders.retain(|&r| rows[r as usize].binary_search_by_key(&column, |e| e.0).is_ok());
        let Some(&pivot) = holders.iter().min_by_key(|&&r| (rows[r as usize].len(), r)) else { continue };
        let mut pivot_row = std::mem::take(&mut rows[pivot as usize]);
        let at = pivot_row.binary_search_by_key(&column, |e| e.0).expect("holders hold the column");
        let inverse = Field::<BITS>::invert(pivot_row.remove(at).1);
        pivot_row.iter_mut().for_each(|e| e.1 = Field::<BITS>::multiply(e.1, inverse));
        for &r in holders.iter().filter(|&&r| r != pivot) {
            let mut row = std::mem::take(&mut rows[r as usize]);
            let at = row.binary_search_by_key(&column, |e| e.0).expect("holders hold the column");
            let by = row.remove(at).1;
            rows[r as usize] = less::<BITS>(&row, &pivot_row, by, |c, appears| {
                let c = c as usize;
                if appears {
                    rows_of[c].push(r);
                    entries[c] += 1;
                } else {
                    entries[c] -= 1;
                }
            });
        }
        entries[column as usize] = 0;
        for (c, _) in &pivot_row {
            entries[*c as usize] -= 1;
            if entries[*c as usize] > 0 && (*c as usize) < columns {
                queue.push(Reverse((entries[*c as usize], *c)));
            }
        }
        pivots.push((column, pivot_row));
    }
    Echelon { pivots, consistent: rows.iter().all(Vec::is_empty) }
}

/// `row` less `by` times `other`; `changed` hears of every column that appears or vanishes.
fn less<const BITS: u32>(row: &Sparse, other: &Sparse, by: u64, mut changed: impl FnMut(u32, bool)) -> Sparse {
    let mut result = Vec::with_capacity(row.len() + other.len());
    let (mut i, mut j) = (0, 0);
    while i < row.len() || j < other.len() {
        let left = row.get(i).map_or(u32::MAX, |e| e.0);
        let right = other.get(j).map_or(u32::MAX, |e| e.0);
        if left < right {
            result.push(row[i]);
            i += 1;
            continue;
        }
        let term = Field::<BITS>::multiply(by, other[j].1);
        j += 1;
        if right < left {
            changed(right, true);
            result.push((right, Field::<BITS>::subtract(0, term)));
            continue;
        }
        let value = Field::<BITS>::subtract(row[i].1, term);
        i += 1;
        if value == 0 {
            changed(left, false);
        } else {
            result.push((left, value));
        }
    }
    result
}

/// Which of `sums` follow from `known`, over `columns` atoms; wrong with probability about one over the prime.
pub(super) fn determined<const BITS: u32>(vectors: &[Vec<u64>], sums: &[Vec<u32>]) -> Vec<bool> {
    sums.iter().map(|sum| vectors.iter().all(|vector| dot::<BITS>(sum, vector) == 0)).collect()
}

/// The change of a sum under a change of the atoms.
pub(super) fn dot<const BITS: u32>(sum: &[u32], vector: &[u64]) -> u64 {
    sum.iter().fold(0, |total, &a| Field::<BITS>::add(total, vector[a as usize]))
}

/// For each sum, the change under each vector, divided by its first change that is not zero: two sums with one answer
/// are multiples of each other, whatever else is known. `None` for a sum that no vector changes.
pub(super) fn direction<const BITS: u32>(changes: &[u64]) -> Option<Vec<u64>> {
    let first = changes.iter().copied().find(|&v| v != 0)?;
    let inverse = Field::<BITS>::invert(first);
    Some(changes.iter().map(|&v| Field::<BITS>::multiply(v, inverse)).collect())
}

/// Groups sums by direction.
pub(super) fn by_direction<const BITS: u32>(changes: &[Vec<u64>]) -> HashMap<Vec<u64>, Vec<u32>> {
    let mut groups: HashMap<Vec<u64>, Vec<u32>> = HashMap::new();
    for (i, changes) in changes.iter().enumerate() {
        if let Some(direction) = direction::<BITS>(changes) {
            groups.entry(direction).or_default().push(i as u32);
        }
    }
    groups
}

/// A small generator with a fixed seed (SplitMix64, Steele, Lea & Flood 2014): verdicts repeat.
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..limit`, up to a bias of `limit` over 2^64.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Uniform in 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_field_divides() {
        let mut random = Random(1);
        for _ in 0..100 {
            let a = random.below(Field::<61>::PRIME - 1) + 1;
            assert_eq!(Field::<61>::multiply(a, Field::<61>::invert(a)), 1);
            let a = random.below(Field::<31>::PRIME - 1) + 1;
            assert_eq!(Field::<31>::multiply(a, Field::<31>::invert(a)), 1);
        }
        let edge = Field::<61>::PRIME - 1;
        assert_eq!(Field::<61>::multiply(edge, edge), 1); // (-1) × (-1)
    }

    #[test]
    fn a_fraction_is_told_by_its_denominator() {
        for (numerator, denominator, expected) in [
            (0, 1, Some(1)),
            (5, 1, Some(1)),
            (-5, 1, Some(1)),
            (1, 7, Some(7)),
            (-22, 7, Some(7)),
            (22, 14, Some(7)),
            ((1 << 29) - 1, 96, Some(96)),
            (-1, (1 << 29) - 1, Some((1 << 29) - 1)),
        ] {
            let fraction = Field::<61>::multiply(Field::<61>::of(numerator), Field::<61>::invert(denominator));
            assert_eq!(Field::<61>::denominator(fraction), expected, "{numerator}/{denominator}");
        }
        assert_eq!(Field::<61>::nearest(Field::<61>::of(-3)), -3);
        assert_eq!(Field::<61>::nearest(Field::<61>::of(3)), 3);
    }

    /// Plain elimination of whole matrices in fractions of 128 bits.
    fn rank(rows: &[Vec<u32>], columns: usize) -> usize {
        let mut matrix: Vec<Vec<(i128, i128)>> =
            rows.iter().map(|row| (0..columns as u32).map(|c| (i128::from(row.contains(&c)), 1)).collect()).collect();
        fn reduced(a: i128, b: i128) -> (i128, i128) {
            let (mut x, mut y) = (a.abs(), b.abs());
            while y != 0 {
                (x, y) = (y, x % y);
            }
            let sign = if b < 0 { -1 } else { 1 };
            (sign * a / x.max(1), sign * b / x.max(1))
        }
        let mut rank = 0;
        for c in 0..columns {
            let Some(p) = (rank..matrix.len()).find(|&r| matrix[r][c].0 != 0) else { continue };
            matrix.swap(rank, p);
            let pivot = matrix[rank].clone();
            for row in matrix.iter_mut().skip(rank + 1) {
                let by = reduced(row[c].0 * pivot[c].1, row[c].1 * pivot[c].0);
                for (mine, theirs) in row.iter_mut().zip(&pivot) {
                    let term = reduced(by.0 * theirs.0, by.1 * theirs.1);
                    *mine = reduced(mine.0 * term.1 - term.0 * mine.1, mine.1 * term.1);
                }
            }
            rank += 1;
        }
        rank
    }

    fn sets(columns: u32, rows: usize) -> impl Strategy<Value = Vec<Vec<u32>>> {
        prop::collection::vec(prop::collection::btree_set(0..columns, 1..=columns as usize), 0..rows)
            .prop_map(|rows| rows.into_iter().map(|row| row.into_iter().collect()).collect())
    }

    proptest! {
        #[test]
        fn changes_are_found_exactly_where_there_are_some(
            sums in sets(8, 8), values in prop::collection::vec(-9_i128..10, 8), atoms in prop::collection::vec(-9_i128..10, 8)
        ) {
            type F = Field<61>;
            let met = |changes: &[u64], asked: &[(Vec<u32>, u64)]| asked.iter().all(|(sum, of)| dot::<61>(sum, changes) == *of);
            // The sums of some changes are met.
            let of = |sum: &Vec<u32>| F::of(sum.iter().map(|&a| atoms[a as usize]).sum());
            let asked: Vec<(Vec<u32>, u64)> = sums.iter().map(|sum| (sum.clone(), of(sum))).collect();
            prop_assert!(met(&F::changes(8, &asked).unwrap(), &asked));
            // Any values are met where each sum is free of those before it, and else where these agree with it.
            let mut asked: Vec<(Vec<u32>, u64)> = Vec::new();
            for (sum, value) in sums.iter().zip(&values) {
                let before: Vec<Vec<u32>> = asked.iter().map(|a| a.0.clone()).collect();
                let with: Vec<Vec<u32>> = before.iter().chain([sum]).cloned().collect();
                let follows = rank(&with, 8) == rank(&before, 8);
                let said = dot::<61>(sum, &F::changes(8, &asked).unwrap());
                asked.push((sum.clone(), F::of(*value)));
                match F::changes(8, &asked) {
                    Some(changes) => prop_assert!(met(&changes, &asked)),
                    None => {
                        prop_assert!(follows && said != F::of(*value));
                        asked.pop();
                    }
                }
            }
        }

        #[test]
        fn a_sum_is_determined_exactly_when_it_leaves_the_rank_unchanged(
            known in sets(8, 7), sums in sets(8, 6), seed in any::<u64>()
        ) {
            let expected: Vec<bool> = sums
                .iter()
                .map(|sum| {
                    let mut with = known.clone();
                    with.push(sum.clone());
                    rank(&with, 8) == rank(&known, 8)
                })
                .collect();
            let long = Field::<61>::null_vectors(8, &known, 1, &mut Random(seed));
            let short = Field::<31>::null_vectors(8, &known, 2, &mut Random(seed));
            prop_assert_eq!(determined::<61>(&long, &sums), expected.clone());
            prop_assert_eq!(determined::<31>(&short, &sums), expected);
        }

        #[test]
        fn what_an_insider_adds_is_told_from_the_vectors_of_the_outsider(
            known in sets(8, 5), sums in sets(8, 6), own in prop::collection::btree_set(0_u32..8, 1..4), seed in any::<u64>()
        ) {
            let own: Vec<u32> = own.into_iter().collect();
            let mut with = known.clone();
            with.extend(own.iter().map(|&a| vec![a]));
            let expected = determined::<61>(&Field::<61>::null_vectors(8, &with, 1, &mut Random(seed)), &sums);
            let count = own.len() + 1;
            let vectors = Field::<61>::null_vectors(8, &known, count, &mut Random(seed ^ 1));
            let changes = |sum: &[u32]| vectors.iter().map(|v| dot::<61>(sum, v)).collect::<Vec<_>>();
            let rows: Vec<Vec<u64>> = own.iter().map(|&a| changes(&[a])).collect();
            let weights = Field::<61>::annihilator(&rows, count, &mut Random(seed ^ 2));
            let found: Vec<bool> = sums
                .iter()
                .map(|sum| {
                    let combine = |t, (v, w): (&u64, &u64)| Field::<61>::add(t, Field::<61>::multiply(*v, *w));
                    changes(sum).iter().zip(&weights).fold(0, combine) == 0
                })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
