//! Primary rules: which cells are unsafe by themselves, and how far from the truth an attacker must stay.

use super::policy::{CountOf, Rules};

/// What the rules need to know of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// Establishments, of any weight.
    pub establishments: u64,
    /// Weights of the contributors above zero, largest first.
    pub contributions: &'a [u64],
}

/// An unsafe cell: the rules it breaks and the level it needs, in units of the weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsafe {
    /// Names of the rules broken, for the owner only.
    pub rules: Vec<&'static str>,
    /// An attacker's upper bound must reach the value plus this; the lower bound mirrors it, floored at zero.
    pub level: u64,
}

/// Shares are compared as parts per thousand million, so that no cell depends on the last bit of a division.
const PARTS: u128 = 1_000_000_000;

fn parts(share: f64) -> u128 {
    (share * PARTS as f64).round() as u128
}

/// Judges one cell; `None` means safe.
///
/// Levels (τ-ARGUS's conventions): a count rule asks for `width` of the value; dominance asks that the upper end reach
/// the n largest over k; p % asks that it reach the value plus p % of the largest less the remainder. The highest level
/// holds, and it is never below one unit: an interval of one point is a disclosure whatever the level.
pub(super) fn judge(cell: &Cell<'_>, rules: &Rules, width: f64) -> Option<Unsafe> {
    let value: u64 = cell.contributions.iter().sum();
    let contributors = cell.contributions.len() as u64;
    let mut broken = Vec::new();
    let mut level = 0_u64;
    let count_level = || ceil_div(u128::from(value) * parts(width), PARTS);

    if let Some(least) = rules.min_contributors
        && (1..u64::from(least)).contains(&contributors)
    {
        broken.push("min_contributors");
        level = level.max(count_level());
    }
    if let Some(dominance) = rules.dominance {
        let top: u64 = cell.contributions.iter().take(dominance.n as usize).sum();
        let share = parts(dominance.share);
        if u128::from(top) * PARTS > share * u128::from(value) {
            broken.push("dominance");
            level = level.max(ceil_div(u128::from(top) * PARTS, share).saturating_sub(value));
        }
    }
    if let Some(p) = rules.p_percent
        && let Some(&largest) = cell.contributions.first()
    {
        let remainder = value - largest - cell.contributions.get(1).copied().unwrap_or(0);
        let margin = ceil_div(u128::from(largest) * parts(p / 100.0), PARTS);
        if u128::from(remainder) * PARTS < u128::from(largest) * parts(p / 100.0) {
            broken.push("p_percent");
            level = level.max(margin.saturating_sub(remainder));
        }
    }
    if let Some(least) = rules.min_count {
        let few = 1..u64::from(least);
        let establishments = few.contains(&cell.establishments);
        let persons = few.contains(&value);
        let hit = match rules.min_count_of {
            CountOf::Establishments => establishments,
            CountOf::Persons => persons,
            CountOf::Both => establishments || persons,
        };
        if hit {
            broken.push("min_count");
            level = level.max(count_level());
        }
    }
    (!broken.is_empty()).then(|| Unsafe { rules: broken, level: level.max(1) })
}

fn ceil_div(a: u128, b: u128) -> u64 {
    u64::try_from(a.div_ceil(b)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::policy::Dominance;
    use super::*;

    fn insee() -> Rules {
        Rules { min_contributors: Some(3), dominance: Some(Dominance { n: 1, share: 0.85 }), ..Rules::default() }
    }

    fn verdict(contributions: &[u64], establishments: u64, rules: &Rules) -> Option<(Vec<&'static str>, u64)> {
        judge(&Cell { establishments, contributions }, rules, 0.10).map(|u| (u.rules, u.level))
    }

    #[test]
    fn a_cell_is_unsafe_below_three_enterprises_or_above_85_percent() {
        for (contributions, expected) in [
            (&[10, 10][..], Some((vec!["min_contributors"], 2))),
            (&[10, 10, 10][..], None),
            (&[85, 10, 5][..], None),                         // 85 % exactly is still open
            (&[86, 10, 4][..], Some((vec!["dominance"], 2))), // 86 / 0.85 = 101.2: the upper end must reach 102
            (&[20][..], Some((vec!["min_contributors", "dominance"], 4))), // 20 / 0.85 = 23.5
            (&[1][..], Some((vec!["min_contributors", "dominance"], 1))),
            (&[][..], None), // nobody there, nobody to protect
        ] {
            assert_eq!(verdict(contributions, 3, &insee()), expected, "{contributions:?}");
        }
    }

    #[test]
    fn the_p_percent_rule_compares_the_remainder_with_the_largest() {
        let rules = Rules { p_percent: Some(10.0), ..Rules::default() };
        for (contributions, expected) in [
            (&[100, 50, 10][..], None), // the remainder is 10 % exactly
            (&[100, 50, 9][..], Some((vec!["p_percent"], 1))),
            (&[100, 50][..], Some((vec!["p_percent"], 10))),
            (&[][..], None),
        ] {
            assert_eq!(verdict(contributions, 3, &rules), expected, "{contributions:?}");
        }
    }

    #[test]
    fn a_least_count_is_on_establishments_persons_or_both() {
        let rules = |min_count_of| Rules { min_count: Some(5), min_count_of, ..Rules::default() };
        for (contributions, establishments, of_establishments, of_persons) in [
            (&[4][..], 9, false, true),
            (&[5][..], 9, false, false),
            (&[9][..], 4, true, false),
            (&[][..], 4, true, false), // zero persons are shown, four establishments are not
            (&[][..], 0, false, false),
        ] {
            for (of, expected) in [
                (CountOf::Establishments, of_establishments),
                (CountOf::Persons, of_persons),
                (CountOf::Both, of_establishments || of_persons),
            ] {
                assert_eq!(verdict(contributions, establishments, &rules(of)).is_some(), expected, "{of:?}");
            }
        }
    }
}
