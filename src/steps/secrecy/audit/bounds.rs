//! What everybody knows of a weight before any table is shown: the public codes of the specification, read again.
//!
//! A specification may say of a code how much an establishment that has it weighs at least and at most. That is then known
//! of each establishment with the code, and so of each sum of establishments; its own weight everybody knows exactly.

use super::super::microdata::Microdata;
use super::super::policy::Spec;
use super::NotAuditable;

/// A room above this is no bound: no change that counts is as large.
const ROOM_MAX: u64 = 1 << 50;

/// What is known of a figure: it is no less than `least`, and no more than `most` where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub least: u64,
    pub most: Option<u64>,
}

impl Ends {
    /// No headcount is below zero: all that is known of one without a public code.
    pub const NOTHING: Self = Self { least: 0, most: None };

    /// A figure known exactly.
    pub fn point(value: u64) -> Self {
        Self { least: value, most: Some(value) }
    }

    /// Both are known of one figure.
    fn also(self, other: Self) -> Self {
        let most = match (self.most, other.most) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { least: self.least.max(other.least), most }
    }

    /// What is known of the sum of two figures.
    pub fn plus(self, other: Self) -> Self {
        let most = self.most.zip(other.most).and_then(|(a, b)| a.checked_add(b));
        Self { least: self.least.saturating_add(other.least), most }
    }

    /// What is known of a sum.
    pub fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::point(0), Self::plus)
    }

    /// Whether the figure is known exactly.
    pub fn is_point(self) -> bool {
        self.most == Some(self.least)
    }

    /// How far below its true value the figure might be.
    pub fn below(self, value: u64) -> u64 {
        value.saturating_sub(self.least)
    }

    /// How far above its true value the figure might be; `None` for as far as one likes.
    pub fn above(self, value: u64) -> Option<u64> {
        self.most.map(|most| most.saturating_sub(value)).filter(|room| *room < ROOM_MAX)
    }

    /// Whether the figure might be `parts` of `scale`.
    pub fn allow(self, parts: i128, scale: i128) -> bool {
        i128::from(self.least) * scale <= parts && self.most.is_none_or(|most| parts <= i128::from(most) * scale)
    }
}

/// What everybody knows of each record's weight.
///
/// # Errors
/// [`NotAuditable::OutOfBounds`] where a weight is not what its public code says: the code is no knowledge then.
pub(super) fn of_records(micro: &Microdata, spec: &Spec) -> Result<Vec<Ends>, NotAuditable> {
    let mut known = vec![Ends::NOTHING; micro.len()];
    for (name, dimension) in &spec.dimensions {
        let Some(column) = dimension.levels.last().and_then(|finest| micro.column(finest)) else { continue };
        for (code, ends) in &dimension.bounds {
            let Ok(code_at) = column.labels.binary_search(code) else { continue };
            let said = match ends[..] {
                [least, most, ..] => Ends { least, most: Some(most) },
                [least] => Ends { least, most: None },
                [] => Ends::NOTHING,
            };
            for (record, known) in known.iter_mut().enumerate() {
                if column.codes[record] != Some(code_at as u32) {
                    continue;
                }
                if !said.allow(i128::from(micro.weight[record]), 1) {
                    return Err(NotAuditable::OutOfBounds { dimension: name.clone(), code: code.clone() });
                }
                *known = known.also(said);
            }
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(least: u64, most: u64) -> Ends {
        Ends { least, most: Some(most) }
    }

    #[test]
    fn what_is_known_adds_up_and_leaves_room() {
        assert_eq!(Ends::sum([ends(3, 5), ends(10, 19)].into_iter()), ends(13, 24));
        assert_eq!(ends(3, 5).plus(Ends::NOTHING), Ends { least: 3, most: None });
        assert_eq!(Ends::sum(std::iter::empty()), Ends::point(0));
        assert_eq!(ends(3, 9).also(Ends { least: 5, most: None }), ends(5, 9));
        assert_eq!((ends(10, 19).below(12), ends(10, 19).above(12)), (2, Some(7)));
        assert_eq!((Ends::NOTHING.below(12), Ends::NOTHING.above(12)), (12, None));
        assert!(ends(4, 4).is_point() && !ends(4, 5).is_point() && !Ends::NOTHING.is_point());
        for (parts, scale, expected) in [(9, 1, false), (10, 1, true), (19, 1, true), (20, 1, false), (39, 2, false)] {
            assert_eq!(ends(10, 19).allow(parts, scale), expected, "{parts}/{scale}");
        }
    }
}
