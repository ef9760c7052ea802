//! Primary rules: which cells are unsafe by themselves, and how far from the truth an attacker must stay.

use super::policy::{CountOf, CountRules, Dominance, Protection, Rules, Zeros};
use super::tabulate::RawTables;

/// What the rules need to know of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// Establishments, of any weight.
    pub establishments: u64,
    /// Weights of the contributors above zero, largest first.
    pub contributions: &'a [u64],
    /// Establishments of each contributor, of any weight, largest first.
    pub counts: &'a [u64],
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
///
/// With [`Zeros::Protected`], a cell whose value is zero and that holds establishments is judged by its contributors of
/// any weight, and no persons are few persons.
pub(super) fn judge(cell: &Cell<'_>, rules: &Rules, protection: &Protection) -> Option<Unsafe> {
    let value: u64 = cell.contributions.iter().sum();
    let contributors = cell.contributions.len() as u64;
    let mut broken = Vec::new();
    let mut level = 0_u64;
    let count_level = || share_of(value, protection.width);
    let contributors = match protection.zeros {
        Zeros::Protected if value == 0 => cell.counts.len() as u64,
        Zeros::Protected | Zeros::Known => contributors,
    };

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
    if let Some(least) = rules.min_count
        && is_few(value, cell.establishments, least, rules.min_count_of, protection.zeros)
    {
        broken.push("min_count");
        level = level.max(count_level());
    }
    if let Some(CountRules { min_contributors, min_count, dominance }) = rules.establishments {
        let owners = cell.counts.len() as u64;
        let few = |least: Option<u32>, n: u64| least.is_some_and(|least| (1..u64::from(least)).contains(&n));
        let dominated = dominance.is_some_and(|Dominance { n, share }| {
            let top: u64 = cell.counts.iter().take(n as usize).sum();
            u128::from(top) * PARTS > parts(share) * u128::from(cell.establishments)
        });
        if few(min_contributors, owners) || few(min_count, cell.establishments) || dominated {
            broken.push("establishments");
            level = level.max(count_level());
        }
    }
    (!broken.is_empty()).then(|| Unsafe { rules: broken, level: level.max(1) })
}

/// Whether a count that is there is below its least.
pub(super) fn is_few(value: u64, establishments: u64, least: u32, of: CountOf, zeros: Zeros) -> bool {
    let below = |count: u64, from: u64| (from..u64::from(least)).contains(&count);
    let persons = below(value, if zeros == Zeros::Protected && establishments > 0 { 0 } else { 1 });
    match of {
        CountOf::Establishments => below(establishments, 1),
        CountOf::Persons => persons,
        CountOf::Both => below(establishments, 1) || persons,
    }
}

/// The level of a count rule: `width` of the value, in whole units, upwards.
pub(super) fn share_of(value: u64, width: f64) -> u64 {
    ceil_div(u128::from(value) * parts(width), PARTS)
}

/// By row: the tables that show it and have rules of their own, ascending.
pub(super) fn tables_with_rules(raw: &RawTables) -> Vec<Vec<u32>> {
    let mut of_row: Vec<Vec<u32>> = vec![Vec::new(); raw.rows.len()];
    for (t, table) in raw.tables.iter().enumerate().filter(|(_, t)| !t.rules.is_empty()) {
        for cell in &table.cells {
            let tables = &mut of_row[cell.row as usize];
            if tables.last() != Some(&(t as u32)) {
                tables.push(t as u32);
            }
        }
    }
    of_row
}

/// Judges a sum of atoms by the rules that hold everywhere and by those of some tables. The highest level holds.
pub(super) fn judge_sum(
    raw: &RawTables,
    atoms: &[u32],
    rules: &Rules,
    tables: &[u32],
    protection: &Protection,
) -> Option<Unsafe> {
    let (contributions, counts) = raw.largest_first(atoms);
    let establishments = atoms.iter().map(|&a| raw.atoms[a as usize].establishments).sum();
    let cell = Cell { establishments, contributions: &contributions, counts: &counts };
    let of_tables = tables.iter().flat_map(|&t| &raw.tables[t as usize].rules);
    let judged = std::iter::once(rules).chain(of_tables).filter_map(|rules| judge(&cell, rules, protection));
    judged.reduce(Unsafe::and)
}

/// Judges every row: by the rules that hold everywhere, by those of the tables that show it, and by what the
/// specification demands of it by name (population, fallback, last year). The highest level holds.
pub(super) fn judge_rows(raw: &RawTables, rules: &Rules, protection: &Protection) -> Vec<Option<Unsafe>> {
    let tables = tables_with_rules(raw);
    let judged =
        raw.rows.iter().zip(&tables).map(|(row, tables)| judge_sum(raw, &row.atoms, rules, tables, protection));
    let mut verdicts: Vec<Option<Unsafe>> = judged.collect();
    for demand in &raw.demands {
        let asked = Unsafe { rules: vec![demand.rule], level: demand.level.max(1) };
        let verdict = &mut verdicts[demand.row as usize];
        *verdict = Some(match verdict.take() {
            Some(known) => known.and(asked),
            None => asked,
        });
    }
    verdicts
}

impl Unsafe {
    /// Both verdicts together: every rule once, the highest level.
    pub fn and(mut self, other: Self) -> Self {
        for rule in other.rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
        Self { rules: self.rules, level: self.level.max(other.level) }
    }
}

fn ceil_div(a: u128, b: u128) -> u64 {
    u64::try_from(a.div_ceil(b)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insee() -> Rules {
        Rules { min_contributors: Some(3), dominance: Some(Dominance { n: 1, share: 0.85 }), ..Rules::default() }
    }

    fn verdict(contributions: &[u64], establishments: u64, rules: &Rules) -> Option<(Vec<&'static str>, u64)> {
        let counts = vec![1; establishments as usize];
        let cell = Cell { establishments, contributions, counts: &counts };
        judge(&cell, rules, &Protection::default()).map(|u| (u.rules, u.level))
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

    #[test]
    fn a_zero_that_is_protected_is_judged_by_those_who_are_there() {
        let rules = |text: &str| toml::from_str::<Rules>(text).unwrap();
        for (text, contributions, counts, known, protected) in [
            ("min_contributors = 3", &[][..], &[1, 1][..], false, true),
            ("min_contributors = 3", &[][..], &[1, 1, 1][..], false, false),
            ("min_contributors = 3", &[][..], &[][..], false, false),
            ("min_contributors = 3", &[5, 5][..], &[1, 1, 1][..], true, true),
            ("min_count = 5\nmin_count_of = 'persons'", &[][..], &[9][..], false, true),
            ("min_count = 5\nmin_count_of = 'persons'", &[][..], &[][..], false, false),
        ] {
            for (zeros, expected) in [(Zeros::Known, known), (Zeros::Protected, protected)] {
                let protection = Protection { zeros, ..Protection::default() };
                let cell = Cell { establishments: counts.iter().sum(), contributions, counts };
                assert_eq!(judge(&cell, &rules(text), &protection).is_some(), expected, "{text} {counts:?} {zeros:?}");
            }
        }
    }

    #[test]
    fn establishments_have_rules_of_their_own() {
        for (text, counts, expected) in [
            ("min_contributors = 3", &[4, 4][..], true),
            ("min_contributors = 3", &[1, 1, 1][..], false),
            ("min_count = 5", &[2, 1, 1][..], true),
            ("min_count = 5", &[2, 2, 1][..], false),
            ("dominance = { n = 1, share = 0.5 }", &[3, 2, 1][..], false),
            ("dominance = { n = 1, share = 0.5 }", &[4, 2, 1][..], true),
            ("min_count = 5", &[][..], false),
        ] {
            let rules = Rules { establishments: Some(toml::from_str(text).unwrap()), ..Rules::default() };
            let cell = Cell { establishments: counts.iter().sum(), contributions: &[100, 100, 100], counts };
            let verdict = judge(&cell, &rules, &Protection::default());
            assert_eq!(verdict.map(|v| (v.rules, v.level)), expected.then(|| (vec!["establishments"], 30)), "{text}");
        }
    }
}
