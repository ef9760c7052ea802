//! What must stay hidden, how far, and which tables are cut: the specification of a protection, read from TOML.

use super::strictness::Terms;
use crate::steps::bytes::sha256_hex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Longest specification accepted, in bytes; a real one has a few hundred.
pub const SPEC_BYTES_MAX: usize = 1 << 20;

/// Most tables in one specification: a bound on work, far above any publication we know.
pub const TABLES_MAX: usize = 200;

/// Most levels of one dimension: a bound on work, far above any hierarchy we know.
pub const LEVELS_MAX: usize = 100;

/// Longest version of a policy, in bytes.
pub const VERSION_BYTES_MAX: usize = 100;

/// A specification: who must stay hidden, what is summed, the rules, the dimensions and the tables.
///
/// All its tables are one puzzle and are protected jointly. Unknown keys are refused: a misspelled rule would be a rule
/// left out in silence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Version of the policy that the rules below state, for the release to carry.
    #[serde(default)]
    pub version: Option<String>,
    /// Column of the contributor, who must stay hidden: the enterprise (`siren`), or a group of enterprises.
    pub contributor: String,
    /// Column of the weight that is summed: the headcount, in employees.
    pub weight: String,
    /// The primary rules.
    #[serde(default)]
    pub rules: Rules,
    /// How far from the truth an outsider must stay.
    #[serde(default)]
    pub protection: Protection,
    /// The dimensions, by name.
    pub dimensions: BTreeMap<String, Dimension>,
    /// The tables to cut.
    pub tables: Vec<Table>,
    /// By level of a dimension: the least inhabitants a zone must have for anything to be shown of it.
    #[serde(default)]
    pub population: BTreeMap<String, Population>,
    /// By level of a dimension: the count below which its zones give way to the zone above.
    #[serde(default)]
    pub fallback: BTreeMap<String, Fallback>,
    /// What a release owes to those before it, of other records.
    #[serde(default)]
    pub history: HistoryRules,
    /// Rules that tables of earlier releases are judged by, beside those that hold everywhere and those of their own: for
    /// tables whose first dimension has this name, or for all.
    #[serde(skip)]
    pub of_earlier: Vec<(Option<String>, Rules)>,
}

/// Nothing is shown of a zone with fewer inhabitants (agreements of 2010 on social observation, art. 6: 100).
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// Least inhabitants of a zone.
    pub least: u64,
    /// Inhabitants of each zone, by code; a zone without any number here refuses the tabulation.
    #[serde(default)]
    pub inhabitants: BTreeMap<String, u64>,
}

/// Where a zone counts too few, all zones of the zone above it are withheld in that crossing, and the zone above alone is
/// given (agreement of 2010 with CAF, art. 5: below 5, the commune).
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Least count of a zone.
    pub least: u32,
    /// What is counted.
    #[serde(default)]
    pub of: CountOf,
}

/// What a release owes to those before it, of other records.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct HistoryRules {
    /// Whether records of a vintage already published may be corrected.
    #[serde(default)]
    pub revision: Revision,
    /// What last year's release asks of this year's.
    #[serde(default)]
    pub years: Years,
}

/// Whether records of a vintage already published may be corrected.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Revision {
    /// What was withheld stays withheld, and a shown figure changes only where enough contributors changed.
    #[default]
    Freeze,
    /// Never.
    Refuse,
}

/// What last year's release asks of this year's.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Years {
    /// Nothing: headcounts of another year are other figures.
    #[default]
    Independent,
    /// A cell withheld last year is withheld again while the same contributors make it up, and an unsafe cell shown last
    /// year stays away from last year's figure too.
    HideAgain,
}

/// A dimension: columns from coarse to fine. A total above the coarsest is implied.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Columns from coarse to fine; each fine code lies under exactly one coarse code.
    pub levels: Vec<String>,
    /// By code of the finest level, what an outsider knows of the weight of an establishment that has it: the least and
    /// the greatest, or the least alone. It declares that each establishment's code is public, as its size bracket is in
    /// Sirene, whether a table shows it or not.
    #[serde(default)]
    pub bounds: BTreeMap<String, Vec<u64>>,
}

/// A table: the crossing of its dimensions at all their levels, totals included.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Names the file `tables/<name>.csv`: letters, digits, `_` and `-`.
    pub name: String,
    /// Names of dimensions.
    pub dimensions: Vec<String>,
    /// How many levels of a dimension the table goes down, where that is not all of them.
    #[serde(default)]
    pub depth: BTreeMap<String, usize>,
    /// Rules that hold for its cells beside those of the specification: each of them must hold.
    #[serde(default)]
    pub rules: Vec<Rules>,
}

/// The primary rules; an absent rule is off.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Least number of distinct contributors with a weight above zero (INSEE: 3 enterprises).
    pub min_contributors: Option<u32>,
    /// The (n, k) rule (INSEE: n = 1, k = 85 %).
    pub dominance: Option<Dominance>,
    /// The p % rule: what is left beside the two largest must reach p % of the largest.
    pub p_percent: Option<f64>,
    /// Least count shown, on what `min_count_of` says.
    pub min_count: Option<u32>,
    /// What `min_count` counts; both when it does not say (agreements of 2010 on social observation, art. 6).
    #[serde(default)]
    pub min_count_of: CountOf,
    /// Rules of the other measure, the number of establishments. The two measures of a cell are withheld together.
    pub establishments: Option<CountRules>,
}

/// Rules on the number of establishments of each contributor, of any weight.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CountRules {
    /// Least number of distinct contributors with an establishment.
    pub min_contributors: Option<u32>,
    /// Least number of establishments.
    pub min_count: Option<u32>,
    /// The (n, k) rule over establishments.
    pub dominance: Option<Dominance>,
}

/// The `n` largest contributors together must not exceed `share` of the cell.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Dominance {
    /// How many contributors are added up.
    pub n: u32,
    /// Their greatest share of the cell, between 0 and 1, itself allowed.
    pub share: f64,
}

/// What `min_count` counts.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum CountOf {
    /// Establishments in the cell.
    Establishments,
    /// Persons: the weight itself, where it is above zero.
    Persons,
    /// Either.
    #[default]
    Both,
}

impl CountOf {
    /// Its name in a specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Establishments => "establishments",
            Self::Persons => "persons",
            Self::Both => "both",
        }
    }
}

/// How far from the truth attackers must stay.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// For a cell that breaks a count rule: the share of its value by which both ends of the interval must be away.
    #[serde(default = "Protection::tau_argus_width")]
    pub width: f64,
    /// Whether each contributor, who knows its own figures, is an attacker too.
    #[serde(default = "Protection::insiders_too")]
    pub insiders: bool,
    /// What outsiders may know of cells whose value is zero.
    #[serde(default)]
    pub zeros: Zeros,
    /// From whom it is assumed that they use that weights are whole numbers.
    #[serde(default)]
    pub integrality: Integrality,
    /// What withholding a cell beside the unsafe ones costs; it decides which, never whether.
    #[serde(default)]
    pub cost: Cost,
    /// A total over one dimension costs so many times as much, over two that many times more: readers look at totals first.
    #[serde(default = "Protection::totals_as_others")]
    pub totals: f64,
    /// By level of a dimension: how many times more it costs to withhold a cell at that level, so that communes stay open
    /// where sectors need not.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// How long a cheap pattern is sought; every pattern is as safe.
    #[serde(default)]
    pub search: Search,
}

/// How long a cheap pattern is sought.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Search {
    /// As long as a publication deserves.
    #[default]
    Thorough,
    /// A fraction of that, for a first look: two to three times as much is withheld.
    Quick,
    /// Less still, for an answer in seconds from which nothing is published: no policy asks for it.
    #[serde(skip)]
    Glance,
}

/// What withholding a cell costs.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Its weight.
    #[default]
    Headcount,
    /// One, whatever its weight.
    Cells,
}

/// What outsiders may know of cells that hold establishments and whose value is zero.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Zeros {
    /// They are shown.
    #[default]
    Known,
    /// Rules that count contributors or persons hold for them too, and they may be withheld as others are. A cell without
    /// any establishment is empty by itself and stays known.
    Protected,
}

/// From whom it is assumed that they use that weights are whole numbers: against them ends are kept by tables of whole
/// numbers, which withholds more, against all others by tables that may hold fractions of a unit.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Integrality {
    /// From nobody.
    Nobody,
    /// From those who know no more than what is shown.
    Outsiders,
    /// From each contributor too.
    #[default]
    Everyone,
}

impl Integrality {
    /// Its name in a specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Outsiders => "outsiders",
            Self::Everyone => "everyone",
        }
    }

    /// Its line in the fixed form of a policy: none, where everyone is meant.
    pub fn line(self) -> Option<String> {
        (self != Self::default()).then(|| format!("integrality {}", self.name()))
    }
}

impl Default for Protection {
    fn default() -> Self {
        Self {
            width: Self::tau_argus_width(),
            insiders: Self::insiders_too(),
            zeros: Zeros::default(),
            integrality: Integrality::default(),
            cost: Cost::default(),
            totals: 1.0,
            weights: BTreeMap::new(),
            search: Search::default(),
        }
    }
}

impl Protection {
    /// 10 %, the margin of τ-ARGUS's FREQ rule.
    fn tau_argus_width() -> f64 {
        0.10
    }
    fn insiders_too() -> bool {
        true
    }
    fn totals_as_others() -> f64 {
        1.0
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// A number outside its range.
    pub fn check(&self) -> Result<(), BadSpec> {
        if !(0.0..=10.0).contains(&self.width) {
            return Err(bad("protection.width", self.width.to_string(), "a share between 0 and 10"));
        }
        let is_factor = |factor: f64| (1.0..=1e4).contains(&factor);
        if !is_factor(self.totals) {
            return Err(bad("protection.totals", self.totals.to_string(), "a factor between 1 and 10000"));
        }
        match self.weights.iter().find(|(_, factor)| !is_factor(**factor)) {
            None => Ok(()),
            Some((level, factor)) => {
                let place = format!("protection.weights.{level}");
                Err(bad(place, factor.to_string(), "a factor between 1 and 10000"))
            }
        }
    }
}

/// The specification is wrong; nothing was computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: found {found}, expected {expected}")]
pub struct BadSpec {
    /// Key of the specification.
    pub place: String,
    /// What was found.
    pub found: String,
    /// What would have been accepted.
    pub expected: String,
}

/// Checks what is public of the weights behind codes; `place` names them in the error.
///
/// # Errors
/// A code without ends, with more than two, or with the greatest below the least.
pub fn check_bounds(place: &str, bounds: &BTreeMap<String, Vec<u64>>) -> Result<(), BadSpec> {
    for (code, ends) in bounds {
        if !matches!(ends[..], [_] | [_, _]) || ends.last() < ends.first() {
            let found = format!("{} numbers", ends.len());
            let expected = "the least weight and the greatest, not below it, or the least alone";
            return Err(bad(format!("{place}.{code}"), found, expected));
        }
    }
    Ok(())
}

fn bad(place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> BadSpec {
    BadSpec { place: place.into(), found: found.into(), expected: expected.into() }
}

impl Spec {
    /// Reads and checks a specification.
    ///
    /// # Errors
    /// TOML that does not parse, an unknown key, a value outside its range, a table that names no dimension.
    pub fn parse(text: &str) -> Result<Self, BadSpec> {
        if text.len() > SPEC_BYTES_MAX {
            return Err(bad("spec", format!("{} bytes", text.len()), format!("{SPEC_BYTES_MAX} bytes at most")));
        }
        let spec: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            bad(format!("line {line}"), e.message().to_owned(), "a specification as the README shows one")
        })?;
        spec.check()?;
        Ok(spec)
    }

    /// Checks ranges and names, for a specification made by hand.
    ///
    /// # Errors
    /// The first key that does not fit.
    pub fn check(&self) -> Result<(), BadSpec> {
        self.rules.check("rules")?;
        if self.version.as_ref().is_some_and(|v| v.is_empty() || v.len() > VERSION_BYTES_MAX || v.contains('\n')) {
            return Err(bad("version", "another text", format!("one line of 1 to {VERSION_BYTES_MAX} bytes")));
        }
        if self.contributor == self.weight {
            return Err(bad("weight", format!("`{}`, the contributor", self.weight), "the column that is summed"));
        }
        self.protection.check()?;
        let levels = || self.dimensions.values().flat_map(|d| &d.levels);
        if let Some(stray) = self.protection.weights.keys().find(|name| levels().all(|level| level != *name)) {
            let known: Vec<&str> = levels().map(String::as_str).collect();
            return Err(bad(
                format!("protection.weights.{stray}"),
                "no such level",
                format!("one of {}", known.join(", ")),
            ));
        }
        let mut columns = BTreeSet::new();
        for (name, dimension) in &self.dimensions {
            if dimension.levels.is_empty() || dimension.levels.len() > LEVELS_MAX {
                let (found, expected) =
                    (format!("{} levels", dimension.levels.len()), format!("1 to {LEVELS_MAX} columns"));
                return Err(bad(format!("dimensions.{name}.levels"), found, expected));
            }
            for level in &dimension.levels {
                if !columns.insert(level) {
                    return Err(bad(
                        format!("dimensions.{name}.levels"),
                        format!("`{level}` twice"),
                        "each column once",
                    ));
                }
                if level == "TOTAL" {
                    return Err(bad(format!("dimensions.{name}.levels"), "`TOTAL`", "a column; totals are implied"));
                }
            }
            check_bounds(&format!("dimensions.{name}.bounds"), &dimension.bounds)?;
        }
        if self.tables.is_empty() || self.tables.len() > TABLES_MAX {
            return Err(bad("tables", self.tables.len().to_string(), format!("1 to {TABLES_MAX} tables")));
        }
        let mut names = BTreeSet::new();
        for table in &self.tables {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if table.name.is_empty() || table.name.len() > 100 || !table.name.chars().all(plain) {
                return Err(bad("tables.name", format!("`{}`", table.name), "1 to 100 letters, digits, `_` or `-`"));
            }
            if !names.insert(&table.name) {
                return Err(bad("tables.name", format!("`{}` twice", table.name), "each name once"));
            }
            let place = format!("tables.{}.dimensions", table.name);
            if table.dimensions.is_empty() {
                return Err(bad(place, "none", "at least one dimension"));
            }
            if let Some(stray) = table.depth.keys().find(|d| !table.dimensions.contains(d)) {
                let place = format!("tables.{}.depth", table.name);
                return Err(bad(place, format!("`{stray}`"), "dimensions of the table"));
            }
            for (i, rules) in table.rules.iter().enumerate() {
                rules.check(&format!("tables.{}.rules[{i}]", table.name))?;
            }
            for (i, dimension) in table.dimensions.iter().enumerate() {
                if !self.dimensions.contains_key(dimension) {
                    let known: Vec<_> = self.dimensions.keys().map(String::as_str).collect();
                    return Err(bad(place, format!("`{dimension}`"), format!("one of {}", known.join(", "))));
                }
                let levels = self.dimensions[dimension].levels.len();
                if let Some(depth) = table.depth.get(dimension).filter(|d| !(1..=levels).contains(*d)) {
                    let place = format!("tables.{}.depth.{dimension}", table.name);
                    return Err(bad(place, depth.to_string(), format!("1 to {levels}")));
                }
                if table.dimensions[..i].contains(dimension) {
                    return Err(bad(place, format!("`{dimension}` twice"), "each dimension once"));
                }
            }
        }
        for level in self.population.keys() {
            if !columns.contains(level) {
                return Err(bad(format!("population.{level}"), "no such level", "a level of a dimension"));
            }
        }
        for level in self.fallback.keys() {
            if !self.dimensions.values().any(|d| d.levels.iter().skip(1).any(|l| l == level)) {
                return Err(bad(
                    format!("fallback.{level}"),
                    "no such level, or one with none above it",
                    "a level of a dimension below another, such as `iris` in levels = [\"commune\", \"iris\"]",
                ));
            }
        }
        Ok(())
    }

    /// Everything that decides how strictly its tables are protected, apart from rules of single tables.
    pub fn terms(&self) -> Terms {
        let bounds = self.dimensions.values().flat_map(|d| d.bounds.clone());
        Terms {
            contributor: self.contributor.clone(),
            rules: vec![self.rules.clone()],
            protection: self.protection.clone(),
            population: self.population.iter().map(|(level, p)| (level.clone(), p.least)).collect(),
            fallback: self.fallback.clone(),
            bounds: bounds.collect(),
            history: self.history,
        }
    }

    /// How many levels of its dimension a table goes down.
    pub fn depth(&self, table: &Table, dimension: &str) -> usize {
        table.depth.get(dimension).copied().unwrap_or_else(|| self.dimensions[dimension].levels.len())
    }

    /// SHA-256 of the policy, hexadecimal: rules and protection in one fixed form, so that the same policy written in
    /// another way has the same fingerprint, and no other policy has.
    ///
    /// ```
    /// # use arpent::steps::secrecy::Spec;
    /// # let rest = "[dimensions.z]\nlevels=['z']\n[[tables]]\nname='t'\ndimensions=['z']";
    /// # let with = |rules: &str| Spec::parse(&format!("contributor='c'\nweight='w'\n{rules}\n{rest}")).unwrap();
    /// let one = with("[rules]\np_percent = 10\n[protection]\nwidth = 0.10");
    /// let same = with("rules = { p_percent = 10.0 }");
    /// let other = with("[rules]\np_percent = 10\n[protection]\nwidth = 0.11");
    /// assert_eq!(one.policy_fingerprint(), same.policy_fingerprint());
    /// assert_ne!(one.policy_fingerprint(), other.policy_fingerprint());
    /// ```
    pub fn policy_fingerprint(&self) -> String {
        let mut lines = self.policy_lines();
        lines.push(String::new());
        sha256_hex(lines.join("\n").as_bytes())
    }

    /// The policy in one fixed form, a line a rule.
    pub fn policy_lines(&self) -> Vec<String> {
        let mut lines = vec!["arpent policy 1".to_owned()];
        lines.extend(self.rules.lines());
        // What cells cost, and how long the cheapest are sought, is no rule: every unsafe cell is as safe.
        let Protection { width, insiders, zeros, integrality, cost: _, totals: _, weights: _, search: _ } =
            &self.protection;
        // Adding zero makes one zero of the two.
        lines.push(format!("width {}", width + 0.0));
        lines.push(format!("insiders {insiders}"));
        // What is at rest leaves no line, so that a policy keeps its fingerprint when arpent learns another rule.
        lines.extend((*zeros == Zeros::Protected).then(|| "zeros protected".to_owned()));
        lines.extend(integrality.line());
        for table in &self.tables {
            let of_table = table.rules.iter().flat_map(Rules::lines);
            lines.extend(of_table.map(|line| format!("table {} {line}", table.name)));
        }
        for (name, dimension) in &self.dimensions {
            let ends = dimension.bounds.iter();
            lines.extend(ends.map(|(code, ends)| format!("bounds {name} {code:?} {ends:?}")));
        }
        let population = self.population.iter();
        lines.extend(population.map(|(level, p)| format!("population {level} {}", p.least)));
        lines.extend(self.fallback.iter().map(|(level, f)| format!("fallback {level} {} {}", f.least, f.of.name())));
        let HistoryRules { revision, years } = self.history;
        lines.extend((revision == Revision::Refuse).then(|| "revision refuse".to_owned()));
        lines.extend((years == Years::HideAgain).then(|| "years hide_again".to_owned()));
        lines
    }

    /// Every column the specification reads besides the contributor and the weight, each once, in order of dimension.
    pub fn columns(&self) -> Vec<&str> {
        self.dimensions.values().flat_map(|d| d.levels.iter().map(String::as_str)).collect()
    }
}

impl Rules {
    /// Checks the ranges of the thresholds; `place` names the rules in the error.
    ///
    /// # Errors
    /// A threshold outside its range.
    pub fn check(&self, place: &str) -> Result<(), BadSpec> {
        let count = |name: &str, least: Option<u32>| match least {
            Some(0) => Err(bad(format!("{place}.{name}"), "0", "1 or more, or no such rule")),
            _ => Ok(()),
        };
        count("min_contributors", self.min_contributors)?;
        check_dominance(place, self.dominance)?;
        if let Some(p) = self.p_percent
            && !(p > 0.0 && p <= 1000.0)
        {
            return Err(bad(format!("{place}.p_percent"), p.to_string(), "a percentage above 0, 1000 at most"));
        }
        if let Some(CountRules { min_contributors, min_count: _, dominance }) = self.establishments {
            count("establishments.min_contributors", min_contributors)?;
            check_dominance(&format!("{place}.establishments"), dominance)?;
        }
        Ok(())
    }

    /// One line a rule that is on, in one fixed form: equal rules, equal lines.
    pub fn lines(&self) -> Vec<String> {
        let Self { min_contributors, dominance, p_percent, min_count, min_count_of, establishments } = self;
        let mut lines = Vec::new();
        // Rust writes the shortest decimal that gives the same number back.
        lines.extend(min_contributors.map(|least| format!("min_contributors {least}")));
        lines.extend(dominance.map(|Dominance { n, share }| format!("dominance {n} {share}")));
        lines.extend(p_percent.map(|p| format!("p_percent {p}")));
        lines.extend(min_count.map(|least| format!("min_count {least} {}", min_count_of.name())));
        if let Some(CountRules { min_contributors, min_count, dominance }) = establishments {
            lines.extend(min_contributors.map(|least| format!("establishments min_contributors {least}")));
            lines.extend(min_count.map(|least| format!("establishments min_count {least}")));
            lines.extend(dominance.map(|Dominance { n, share }| format!("establishments dominance {n} {share}")));
        }
        lines
    }
}

fn check_dominance(place: &str, dominance: Option<Dominance>) -> Result<(), BadSpec> {
    let Some(Dominance { n, share }) = dominance else { return Ok(()) };
    if n == 0 {
        return Err(bad(format!("{place}.dominance.n"), "0", "1 or more"));
    }
    if !(share > 0.0 && share <= 1.0) {
        return Err(bad(format!("{place}.dominance.share"), share.to_string(), "a share above 0, 1 at most"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        contributor = "siren"
        weight = "headcount"
        [rules]
        min_contributors = 3
        dominance = { n = 1, share = 0.85 }
        [dimensions.sector]
        levels = ["sector"]
        [[tables]]
        name = "t"
        dimensions = ["sector"]
    "#;

    #[test]
    fn the_fingerprint_is_of_the_policy_and_not_of_its_spelling() {
        let before = Spec::parse(GOOD).unwrap().policy_fingerprint();
        for (from, to, same) in [
            ("share = 0.85", "share = 85e-2", true),
            ("share = 0.85", "share = 0.86", false),
            ("n = 1", "n = 2", false),
            ("min_contributors = 3", "min_contributors = 4", false),
            ("min_contributors = 3", "", false),
            ("[rules]", "protection = { insiders = true, width = 1e-1 }\n[rules]", true),
            ("[rules]", "protection = { insiders = false }\n[rules]", false),
            ("[rules]", "protection = { width = 0.2 }\n[rules]", false),
            ("[rules]", "[rules]\nmin_count_of = \"persons\"", true), // of a rule that is off
            ("[rules]", "[rules]\nmin_count = 5", false),
            ("name = \"t\"", "name = \"u\"", true), // a table is no rule
            ("name = \"t\"", "name = \"t\"\nrules = [{ min_contributors = 4 }]", false),
            ("[rules]", "version = \"7\"\n[rules]", true), // a name is no rule
            ("[rules]", "protection = { zeros = \"protected\" }\n[rules]", false),
            ("[rules]", "protection = { zeros = \"known\" }\n[rules]", true),
            ("[rules]", "protection = { integrality = \"outsiders\" }\n[rules]", false),
            ("[rules]", "protection = { integrality = \"everyone\" }\n[rules]", true),
            ("[rules]", "population = { sector = { least = 100 } }\n[rules]", false),
            ("[rules]", "history = { years = \"hide_again\" }\n[rules]", false),
            ("levels = [\"sector\"]", "levels = [\"sector\"]\nbounds = { a = [4, 5] }", false),
        ] {
            let after = Spec::parse(&GOOD.replace(from, to)).unwrap().policy_fingerprint();
            assert_eq!(after == before, same, "{to}");
        }
        let counted = |of| GOOD.replace("[rules]", &format!("[rules]\nmin_count = 5\nmin_count_of = \"{of}\""));
        let fingerprints = ["establishments", "persons", "both"].map(|of| {
            assert_eq!(Spec::parse(&counted(of)).unwrap().rules.min_count_of.name(), of);
            Spec::parse(&counted(of)).unwrap().policy_fingerprint()
        });
        assert!(fingerprints[0] != fingerprints[1] && fingerprints[1] != fingerprints[2]);
    }

    #[test]
    fn a_specification_is_read_whole_or_refused_with_its_place() {
        let spec = Spec::parse(GOOD).unwrap();
        assert_eq!((spec.protection.width, spec.protection.insiders), (0.10, true));
        for (from, to, place) in [
            ("share = 0.85", "share = 0.0", "rules.dominance.share"),
            ("share = 0.85", "share = 1.01", "rules.dominance.share"),
            ("n = 1", "n = 0", "rules.dominance.n"),
            ("min_contributors = 3", "min_contributors = 0", "rules.min_contributors"),
            ("min_contributors", "min_contributor", "line 5"),
            ("name = \"t\"", "name = \"../t\"", "tables.name"),
            ("dimensions = [\"sector\"]", "dimensions = [\"sectr\"]", "tables.t.dimensions"),
            ("dimensions = [\"sector\"]", "dimensions = []", "tables.t.dimensions"),
            ("levels = [\"sector\"]", "levels = []", "dimensions.sector.levels"),
            ("levels = [\"sector\"]", "levels = [\"sector\"]\nbounds = { a = [5, 4] }", "dimensions.sector.bounds.a"),
            ("levels = [\"sector\"]", "levels = [\"sector\"]\nbounds = { a = [] }", "dimensions.sector.bounds.a"),
            ("[rules]", "fallback = { sector = { least = 5 } }\n[rules]", "fallback.sector"),
            ("[rules]", "population = { iris = { least = 100 } }\n[rules]", "population.iris"),
            ("[rules]", "version = ''\n[rules]", "version"),
            ("[rules]", "[rules]\nestablishments = { min_contributors = 0 }", "rules.establishments.min_contributors"),
            ("name = \"t\"", "name = \"t\"\nrules = [{ p_percent = 0 }]", "tables.t.rules[0].p_percent"),
        ] {
            let error = Spec::parse(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!(error.place, place, "{to}");
        }
    }
}
