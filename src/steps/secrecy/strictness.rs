//! Whether one set of terms is looser than another: the order that decides who may change a policy.
//!
//! Terms are compared rule by rule. A rule is *at least as strict* as another when every cell which the other makes
//! unsafe is unsafe by it, at the same level or a higher one. Where neither of two rules is at least as strict as the
//! other they are incomparable, and what is incomparable counts as looser.
//!
//! | rule | at least as strict |
//! |---|---|
//! | `min_contributors`, `min_count`, population, fallback | a least count not below the other's |
//! | `min_count_of` | the same, or `both` |
//! | `dominance` (n, k) | n not below the other's and k not above it |
//! | `p_percent` | a percentage not below the other's |
//! | `width` | a width not below the other's |
//! | `insiders`, `zeros`, `integrality`, `revision`, `years` | the same, or the one that protects more |
//! | contributor | the same, or a coarser unit: SIRET, then SIREN, then group |
//! | `bounds` of public codes | known wherever the other knows some, and as close or closer |
//!
//! Several rules may hold at once; then each of the other's must have one that is at least as strict.

use super::policy::{CountOf, CountRules, Dominance, Fallback, HistoryRules, Protection, Rules};
use std::collections::BTreeMap;

/// Everything that decides how strictly a table is protected.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Who counts as one.
    pub contributor: String,
    /// Rules; all of them hold.
    pub rules: Vec<Rules>,
    /// How far from the truth attackers must stay.
    pub protection: Protection,
    /// Least inhabitants, by level of zones.
    pub population: BTreeMap<String, u64>,
    /// Counts below which zones give way to the zone above, by level.
    pub fallback: BTreeMap<String, Fallback>,
    /// What is known of the weight behind a public code, by code.
    pub bounds: BTreeMap<String, Vec<u64>>,
    /// What a release owes to those before it.
    pub history: HistoryRules,
}

/// Units from fine to coarse: fewer and larger contributors, so that more cells are unsafe.
const UNITS: [&str; 3] = ["siret", "siren", "group"];

impl Terms {
    /// The rules of `other` that these terms do not keep, each in words; empty when they are at least as strict.
    pub fn looser_than(&self, other: &Self) -> Vec<String> {
        let mut looser = Vec::new();
        let mut say = |kept: bool, what: String| {
            if !kept {
                looser.push(what);
            }
        };
        let unit = |name: &str| UNITS.iter().position(|u| *u == name);
        let coarser = unit(&self.contributor).zip(unit(&other.contributor)).is_some_and(|(mine, its)| mine >= its);
        say(self.contributor == other.contributor || coarser, format!("contributor {}", other.contributor));
        for rules in &other.rules {
            let Rules { min_contributors, dominance, p_percent, min_count, min_count_of, establishments } = rules;
            let some = |kept: &dyn Fn(&Rules) -> bool| self.rules.iter().any(kept);
            if let Some(least) = min_contributors {
                say(
                    *least <= 1 || some(&|r| r.min_contributors.is_some_and(|n| n >= *least)),
                    format!("min_contributors {least}"),
                );
            }
            if let Some(its) = dominance {
                say(some(&|r| r.dominance.is_some_and(|mine| covers(mine, *its))), said(*its));
            }
            if let Some(p) = p_percent {
                say(some(&|r| r.p_percent.is_some_and(|mine| mine >= *p)), format!("p_percent {p}"));
            }
            if let Some(least) = min_count {
                let kept =
                    |r: &Rules| r.min_count.is_some_and(|n| n >= *least) && counts(r.min_count_of, *min_count_of);
                say(some(&kept), format!("min_count {least} {}", min_count_of.name()));
            }
            if let Some(CountRules { min_contributors, min_count, dominance }) = establishments {
                let mine = |kept: &dyn Fn(&CountRules) -> bool| some(&|r| r.establishments.as_ref().is_some_and(kept));
                if let Some(least) = min_contributors {
                    let kept = mine(&|c| c.min_contributors.is_some_and(|n| n >= *least));
                    say(kept, format!("establishments min_contributors {least}"));
                }
                if let Some(least) = min_count {
                    let kept = mine(&|c| c.min_count.is_some_and(|n| n >= *least));
                    say(kept, format!("establishments min_count {least}"));
                }
                if let Some(its) = dominance {
                    let kept = mine(&|c| c.dominance.is_some_and(|mine| covers(mine, *its)));
                    say(kept, format!("establishments {}", said(*its)));
                }
            }
        }
        let (mine, its) = (&self.protection, &other.protection);
        say(mine.width >= its.width, format!("width {}", its.width));
        say(mine.insiders >= its.insiders, "insiders true".to_owned());
        say(mine.zeros >= its.zeros, "zeros protected".to_owned());
        say(mine.integrality >= its.integrality, format!("integrality {}", its.integrality.name()));
        for (level, least) in &other.population {
            let kept = self.population.get(level).is_some_and(|mine| mine >= least);
            say(kept, format!("population {level} {least}"));
        }
        for (level, its) in &other.fallback {
            let kept = |mine: &Fallback| mine.least >= its.least && counts(mine.of, its.of);
            let what = format!("fallback {level} {} {}", its.least, its.of.name());
            say(self.fallback.get(level).is_some_and(kept), what);
        }
        for (code, its) in &other.bounds {
            let end = |ends: &[u64]| ends.get(1).copied().unwrap_or(u64::MAX);
            let kept = |mine: &Vec<u64>| mine[0] >= its[0] && end(mine) <= end(its);
            say(self.bounds.get(code).is_some_and(kept), format!("bounds {code}"));
        }
        say(self.history.revision >= other.history.revision, "revision refuse".to_owned());
        say(self.history.years >= other.history.years, "years hide_again".to_owned());
        looser
    }
}

fn covers(mine: Dominance, its: Dominance) -> bool {
    mine.n >= its.n && mine.share <= its.share
}

fn counts(mine: CountOf, its: CountOf) -> bool {
    mine == its || mine == CountOf::Both
}

fn said(Dominance { n, share }: Dominance) -> String {
    format!("dominance {n} {share}")
}

#[cfg(test)]
mod tests {
    use super::super::policy::Spec;
    use super::super::primary::{Cell, judge};
    use super::*;

    const REST: &str = "[dimensions.zone]\nlevels=['commune','zone']\n[[tables]]\nname='t'\ndimensions=['zone']";

    fn terms(head: &str) -> Terms {
        let (contributor, head) = head.strip_prefix("by ").and_then(|h| h.split_once('\n')).unwrap_or(("siren", head));
        Spec::parse(&format!("contributor='{contributor}'\nweight='w'\n{head}\n{REST}")).unwrap().terms()
    }

    #[test]
    fn each_rule_has_its_order_and_what_is_incomparable_counts_as_looser() {
        // The first is at least as strict as the second; and back.
        for (one, other, forth, back) in [
            ("", "", true, true),
            ("rules.min_contributors = 4", "rules.min_contributors = 3", true, false),
            ("rules.min_contributors = 3", "", true, false),
            ("rules.min_contributors = 1", "", true, true),
            ("rules.dominance = { n = 1, share = 0.8 }", "rules.dominance = { n = 1, share = 0.85 }", true, false),
            ("rules.dominance = { n = 2, share = 0.85 }", "rules.dominance = { n = 1, share = 0.85 }", true, false),
            ("rules.dominance = { n = 2, share = 0.9 }", "rules.dominance = { n = 1, share = 0.85 }", false, false),
            ("rules.p_percent = 15", "rules.p_percent = 10", true, false),
            ("rules = { min_count = 5 }", "rules = { min_count = 5, min_count_of = 'persons' }", true, false),
            (
                "rules = { min_count = 9, min_count_of = 'establishments' }",
                "rules = { min_count = 5, min_count_of = 'persons' }",
                false,
                false,
            ),
            ("rules.establishments.min_count = 5", "rules.establishments.min_count = 3", true, false),
            ("rules.establishments.min_count = 5", "rules.min_count = 5", false, false),
            ("protection.width = 0.2", "protection.width = 0.1", true, false),
            ("", "protection.insiders = false", true, false),
            ("protection.zeros = 'protected'", "", true, false),
            ("", "protection.integrality = 'outsiders'", true, false),
            ("protection.integrality = 'outsiders'", "protection.integrality = 'nobody'", true, false),
            ("by group\n", "by siren\n", true, false),
            ("by siren\n", "by siret\n", true, false),
            ("by owner\n", "by siren\n", false, false),
            ("by owner\n", "by owner\n", true, true),
            ("population.zone.least = 200", "population.zone.least = 100", true, false),
            ("population.zone.least = 200", "population.commune.least = 100", false, false),
            ("fallback.zone.least = 5", "fallback.zone.least = 3", true, false),
            ("fallback.zone.least = 5", "fallback.zone = { least = 5, of = 'persons' }", true, false),
            ("history.revision = 'refuse'", "", true, false),
            ("history.years = 'hide_again'", "", true, false),
            ("history = { years = 'hide_again' }", "history = { revision = 'refuse' }", false, false),
        ] {
            let (one_terms, other_terms) = (terms(one), terms(other));
            assert_eq!(one_terms.looser_than(&other_terms).is_empty(), forth, "{one} / {other}");
            assert_eq!(other_terms.looser_than(&one_terms).is_empty(), back, "{other} / {one}");
        }
        let bounded = |ends: &str| {
            let size = format!("[dimensions.size]\nlevels=['size']\nbounds={{ a = {ends} }}");
            Spec::parse(&format!("contributor='c'\nweight='w'\n{REST}\n{size}")).unwrap().terms()
        };
        assert!(bounded("[3, 5]").looser_than(&bounded("[2]")).is_empty());
        assert_eq!(bounded("[2, 5]").looser_than(&bounded("[3, 5]")), ["bounds a"]);
    }

    /// The table of the order, tried on every small cell: where it says at least as strict, no cell is unsafe by the
    /// other rule alone, and no level is lower.
    #[test]
    fn at_least_as_strict_means_every_cell_is_at_least_as_well_protected() {
        let mut all: Vec<(Terms, String)> = Vec::new();
        for text in [
            "min_contributors = 2",
            "min_contributors = 3",
            "dominance = { n = 1, share = 0.85 }",
            "dominance = { n = 1, share = 0.6 }",
            "dominance = { n = 2, share = 0.6 }",
            "dominance = { n = 2, share = 0.9 }",
            "p_percent = 10",
            "p_percent = 60",
            "min_count = 3",
            "min_count = 5\nmin_count_of = 'persons'",
            "min_count = 5\nmin_count_of = 'establishments'",
            "establishments.min_count = 4",
            "establishments.min_contributors = 3",
        ] {
            for zeros in ["known", "protected"] {
                let head = format!("protection = {{ zeros = '{zeros}' }}\n[rules]\n{text}");
                all.push((terms(&head), head));
            }
        }
        let mut cells = Vec::new();
        for a in 0..7_u64 {
            for b in 0..=a {
                for c in 0..=b {
                    for owners in 0..=3_usize {
                        let counts = vec![1; owners];
                        let weights: Vec<u64> = [a, b, c].into_iter().take(owners).filter(|w| *w > 0).collect();
                        cells.push((weights, counts));
                    }
                }
            }
        }
        let mut pairs = 0;
        for (one, one_text) in &all {
            for (other, other_text) in &all {
                if !one.looser_than(other).is_empty() {
                    continue;
                }
                pairs += 1;
                for (contributions, counts) in &cells {
                    let cell = Cell { establishments: counts.len() as u64, contributions, counts };
                    let of = |terms: &Terms| judge(&cell, &terms.rules[0], &terms.protection).map(|u| u.level);
                    assert!(of(one) >= of(other), "{one_text}\n{other_text}\n{contributions:?} {counts:?}");
                }
            }
        }
        assert!(pairs > all.len(), "{pairs}: some pairs beside each with itself");
    }
}
