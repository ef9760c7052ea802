//! What must stay hidden, how far, and which tables are cut: the specification of a protection, read from TOML.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Longest specification accepted, in bytes; a real one has a few hundred.
pub const SPEC_BYTES_MAX: usize = 1 << 20;

/// Most tables in one specification: a bound on work, far above any publication we know.
pub const TABLES_MAX: usize = 200;

/// A specification: who must stay hidden, what is summed, the rules, the dimensions and the tables.
///
/// All its tables are one puzzle and are protected jointly. Unknown keys are refused: a misspelled rule would be a rule
/// left out in silence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
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
}

/// A dimension: columns from coarse to fine. A total above the coarsest is implied.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Columns from coarse to fine; each fine code lies under exactly one coarse code.
    pub levels: Vec<String>,
}

/// A table: the crossing of its dimensions at all their levels, totals included.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Names the file `tables/<name>.csv`: letters, digits, `_` and `-`.
    pub name: String,
    /// Names of dimensions.
    pub dimensions: Vec<String>,
    /// How many levels of a dimension the table goes down, where that is not all of them.
    #[serde(default)]
    pub depth: BTreeMap<String, usize>,
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
}

impl Default for Protection {
    fn default() -> Self {
        Self { width: Self::tau_argus_width(), insiders: Self::insiders_too() }
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
        self.rules.check()?;
        if self.contributor == self.weight {
            return Err(bad("weight", format!("`{}`, the contributor", self.weight), "the column that is summed"));
        }
        let width = self.protection.width;
        if !(0.0..=10.0).contains(&width) {
            return Err(bad("protection.width", width.to_string(), "a share between 0 and 10"));
        }
        let mut columns = BTreeSet::new();
        for (name, dimension) in &self.dimensions {
            if dimension.levels.is_empty() {
                return Err(bad(format!("dimensions.{name}.levels"), "no level", "at least one column"));
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
        Ok(())
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
        let Rules { min_contributors, dominance, p_percent, min_count, min_count_of } = &self.rules;
        let Protection { width, insiders } = &self.protection;
        let mut lines = vec!["arpent policy 1".to_owned()];
        // Rust writes the shortest decimal that gives the same number back.
        lines.extend(min_contributors.map(|least| format!("min_contributors {least}")));
        lines.extend(dominance.map(|Dominance { n, share }| format!("dominance {n} {share}")));
        lines.extend(p_percent.map(|p| format!("p_percent {p}")));
        lines.extend(min_count.map(|least| format!("min_count {least} {}", min_count_of.name())));
        // Adding zero makes one zero of the two.
        lines.push(format!("width {}", width + 0.0));
        lines.push(format!("insiders {insiders}"));
        lines.push(String::new());
        format!("{:x}", Sha256::digest(lines.join("\n")))
    }

    /// Every column the specification reads besides the contributor and the weight, each once, in order of dimension.
    pub fn columns(&self) -> Vec<&str> {
        self.dimensions.values().flat_map(|d| d.levels.iter().map(String::as_str)).collect()
    }
}

impl Rules {
    /// Checks the ranges of the thresholds.
    ///
    /// # Errors
    /// A threshold outside its range.
    pub fn check(&self) -> Result<(), BadSpec> {
        if self.min_contributors == Some(0) {
            return Err(bad("rules.min_contributors", "0", "1 or more, or no such rule"));
        }
        if let Some(Dominance { n, share }) = self.dominance {
            if n == 0 {
                return Err(bad("rules.dominance.n", "0", "1 or more"));
            }
            if !(share > 0.0 && share <= 1.0) {
                return Err(bad("rules.dominance.share", share.to_string(), "a share above 0, 1 at most"));
            }
        }
        if let Some(p) = self.p_percent
            && !(p > 0.0 && p <= 1000.0)
        {
            return Err(bad("rules.p_percent", p.to_string(), "a percentage above 0, 1000 at most"));
        }
        Ok(())
    }
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
        ] {
            let error = Spec::parse(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!(error.place, place, "{to}");
        }
    }
}
