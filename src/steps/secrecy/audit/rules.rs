//! The primary rules, read again from their text (levels by the conventions of τ-ARGUS) and judged on the records.

use super::super::policy::{CountOf, Protection, Rules, Zeros};

/// What the records say of one cell.
pub(super) struct Judged {
    /// Establishments, of any weight.
    pub establishments: u64,
    /// The weight of each contributor, in any order; zeros count for nothing, unless zeros are protected.
    pub weights: Vec<u64>,
    /// The establishments of each contributor, in any order; of any weight.
    pub owned: Vec<u64>,
}

/// Shares are whole parts of this many, so that comparisons are exact.
const WHOLE: u128 = 1_000_000_000;

fn in_parts(share: f64) -> u128 {
    (share * 1e9).round() as u128
}

/// The level that a count asks for: a share of the value, upwards.
pub(super) fn share_of(value: u64, width: f64) -> u64 {
    u64::try_from((u128::from(value) * in_parts(width)).div_ceil(WHOLE)).unwrap_or(u64::MAX)
}

/// Whether a count that is there is less than asked. Persons are there from one on; where zeros are protected, from zero
/// on, as long as there is an establishment.
pub(super) fn few(persons: u64, establishments: u64, least: u32, of: CountOf, zeros: Zeros) -> bool {
    let less = |count: u64| count < u64::from(least);
    let few_establishments = establishments > 0 && less(establishments);
    let persons_are_there = match zeros {
        Zeros::Known => persons > 0,
        Zeros::Protected => persons > 0 || establishments > 0,
    };
    let few_persons = persons_are_there && less(persons);
    match of {
        CountOf::Establishments => few_establishments,
        CountOf::Persons => few_persons,
        CountOf::Both => few_establishments || few_persons,
    }
}

/// The level of an unsafe cell: how far from the truth an outsider must stay. `None` for a safe one.
pub(super) fn level(cell: &Judged, rules: &Rules, protection: &Protection) -> Option<u64> {
    let mut weights: Vec<u128> = cell.weights.iter().filter(|&&w| w > 0).map(|&w| u128::from(w)).collect();
    weights.sort_unstable();
    weights.reverse();
    let total: u128 = weights.iter().sum();
    let share_of_total = (total * in_parts(protection.width)).div_ceil(WHOLE);
    let mut levels: Vec<u128> = Vec::new();

    if let Some(least) = rules.min_contributors {
        // Who is there with nothing counts only where that nothing is to be hidden.
        let hidden_zero = protection.zeros == Zeros::Protected && total == 0;
        let present = if hidden_zero { cell.owned.len() } else { weights.len() } as u64;
        if present > 0 && present < u64::from(least) {
            levels.push(share_of_total);
        }
    }
    if let Some(rule) = rules.dominance {
        let largest: u128 = weights.iter().take(rule.n as usize).sum();
        let allowed = in_parts(rule.share);
        if largest * WHOLE > allowed * total {
            // The upper end must reach the total of which `largest` is just the share allowed.
            let reach = (largest * WHOLE).checked_div(allowed).map(|_| (largest * WHOLE).div_ceil(allowed));
            levels.push(reach.unwrap_or(u128::MAX).saturating_sub(total));
        }
    }
    if let Some(percent) = rules.p_percent
        && let Some(first) = weights.first()
    {
        let rest: u128 = weights.iter().skip(2).sum();
        let asked = first * in_parts(percent / 100.0);
        if rest * WHOLE < asked {
            levels.push(asked.div_ceil(WHOLE).saturating_sub(rest));
        }
    }
    if let Some(least) = rules.min_count {
        let persons = u64::try_from(total).unwrap_or(u64::MAX);
        if few(persons, cell.establishments, least, rules.min_count_of, protection.zeros) {
            levels.push(share_of_total);
        }
    }
    if let Some(of) = &rules.establishments {
        let mut owned = cell.owned.clone();
        owned.sort_unstable();
        let too_few = |least: Option<u32>, count: u64| count > 0 && least.is_some_and(|least| count < u64::from(least));
        let one_sided = of.dominance.is_some_and(|rule| {
            let largest: u64 = owned.iter().rev().take(rule.n as usize).sum();
            u128::from(largest) * WHOLE > in_parts(rule.share) * u128::from(cell.establishments)
        });
        if too_few(of.min_contributors, owned.len() as u64) || too_few(of.min_count, cell.establishments) || one_sided {
            levels.push(share_of_total);
        }
    }
    // An interval of one point discloses whatever the level: at least one unit.
    levels.into_iter().max().map(|level| u64::try_from(level).unwrap_or(u64::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::Dominance;
    use super::*;

    #[test]
    fn each_rule_breaks_at_its_limit_and_asks_for_its_level() {
        let off = Rules::default();
        let three = Rules { min_contributors: Some(3), ..off.clone() };
        let dominance = |n, share| Rules { dominance: Some(Dominance { n, share }), ..off.clone() };
        let p = |p| Rules { p_percent: Some(p), ..off.clone() };
        let count = |of| Rules { min_count: Some(5), min_count_of: of, ..off.clone() };
        let (d85, two90) = (dominance(1, 0.85), dominance(2, 0.9));
        for (rules, establishments, weights, expected) in [
            (&off, 1, &[7][..], None),
            (&three, 9, &[10, 10], Some(2)),
            (&three, 9, &[10, 10, 0], Some(2)), // a weight of zero is nobody
            (&three, 9, &[10, 10, 1], None),
            (&three, 2, &[0, 0], None),
            (&d85, 3, &[10, 85, 5], None),    // 85 % exactly is allowed
            (&d85, 3, &[10, 86, 4], Some(2)), // 86 / 0.85 = 101.2
            (&d85, 1, &[20], Some(4)),
            (&two90, 4, &[50, 40, 10], None),
            (&two90, 4, &[50, 41, 9], Some(2)), // 91 / 0.9 = 101.1
            (&p(10.0), 3, &[100, 50, 10], None),
            (&p(10.0), 3, &[100, 50, 9], Some(1)),
            (&p(10.0), 2, &[100, 50], Some(10)),
            (&count(CountOf::Establishments), 4, &[100], Some(10)),
            (&count(CountOf::Establishments), 5, &[1], None),
            (&count(CountOf::Persons), 1, &[5], None),
            (&count(CountOf::Persons), 9, &[4], Some(1)),
            (&count(CountOf::Persons), 9, &[], None),
            (&count(CountOf::Both), 4, &[], Some(1)),
            (&count(CountOf::Both), 5, &[5], None),
        ] {
            let owned = vec![1; establishments as usize];
            let cell = Judged { establishments, weights: weights.to_vec(), owned };
            assert_eq!(level(&cell, rules, &Protection::default()), expected, "{rules:?} {establishments} {weights:?}");
        }
    }
}
