//! From a solver's point to fractions that meet every equation exactly.
//!
//! A point is near a table, and rounding it breaks sums by a few parts. Columns that lie at one of their bounds stay there; the
//! others have room to take back what is missing, which is found by elimination modulo a prime, where nothing is rounded.
//! What comes out is a proposal too: whoever asks checks it in whole numbers.

use super::exact::Field;

/// Parts of one employee that a point is rounded to, finer than what a solver's point is worth.
const PARTS: i128 = 1 << 24;

/// Columns nearer to a bound than this are taken to be at it; one after another, as solvers stop more or less close to it.
const NEAR: [f64; 4] = [1e-6, 1e-4, 1e-3, 1e-2];

/// Largest common denominator of what is taken back: numbers stay far below what 128 bits hold.
const DENOMINATOR_MAX: u64 = 1 << 40;

/// Fractions near a point: numerators, and the denominator of all.
pub(super) struct Fractions {
    pub parts: Vec<i128>,
    pub scale: i128,
}

/// Fractions near the point that meet each equation (columns, and the value of their sum), a proposal for each idea of what
/// is at its bounds.
pub(super) fn mended<'a>(
    bounds: &'a [(f64, Option<f64>)],
    equations: &'a [(&'a [u32], f64)],
    point: &'a [f64],
) -> impl Iterator<Item = Fractions> + 'a {
    NEAR.iter().filter_map(move |&near| mend(bounds, equations, point, near))
}

fn mend(bounds: &[(f64, Option<f64>)], equations: &[(&[u32], f64)], point: &[f64], near: f64) -> Option<Fractions> {
    type F = Field<61>;
    let mut parts: Vec<i128> = Vec::with_capacity(point.len());
    let mut free: Vec<Option<u32>> = Vec::with_capacity(point.len());
    let mut columns: Vec<usize> = Vec::new();
    for (c, (&value, &(least, greatest))) in point.iter().zip(bounds).enumerate() {
        let end = match greatest {
            _ if value - least < near => Some(least),
            Some(greatest) if greatest - value < near => Some(greatest),
            Some(_) | None => None,
        };
        parts.push((end.unwrap_or(value) * PARTS as f64).round() as i128);
        free.push(end.is_none().then_some(columns.len() as u32));
        columns.extend(end.is_none().then_some(c));
    }
    let missing = |&(sum, value): &(&[u32], f64)| {
        let is: i128 = sum.iter().map(|&c| parts[c as usize]).sum();
        let of: Vec<u32> = sum.iter().filter_map(|&c| free[c as usize]).collect();
        (of, F::of(value as i128 * PARTS - is))
    };
    let taken = F::changes(columns.len(), &equations.iter().map(missing).collect::<Vec<_>>())?;
    let mut denominator = 1_u64;
    for &by in taken.iter().filter(|by| **by != 0) {
        denominator = denominator.checked_mul(F::denominator(F::multiply(by, denominator))?)?;
        if denominator > DENOMINATOR_MAX {
            return None;
        }
    }
    let scale = i128::from(denominator);
    parts.iter_mut().for_each(|part| *part *= scale);
    for (&c, &by) in columns.iter().zip(&taken) {
        parts[c] += F::nearest(F::multiply(by, denominator));
    }
    Some(Fractions { parts, scale: PARTS * scale })
}
