//! What the operator settles: read once, handed down in parts; unknown keys are refused.

use crate::steps::secrecy::{BadSpec, Dimension, Dominance, HistoryRules, Protection, Rules, Spec, Table};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the service keeps its data and where it listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of the store.
    pub data: PathBuf,
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Address that links must show, when a proxy stands in front.
    pub public_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { data: "var".into(), listen: ([127, 0, 0, 1], 8080).into(), public_url: None }
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// TOML that does not parse, or an unknown key.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }
}

/// The policy in force, as `data/policy.toml` states it: it has no default in code.
pub const POLICY: &str = include_str!("../data/policy.toml");

/// A policy: the rules, and the tables a release is cut into.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The primary rules.
    pub rules: Rules,
    /// How far from the truth attackers must stay.
    pub protection: Protection,
    /// Tables of each zoning: for each, the dimensions crossed with the zones.
    pub tables: BTreeMap<String, Vec<Vec<String>>>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// TOML that does not parse, an unknown key, a threshold outside its range.
    pub fn parse(text: &str) -> Result<Self, BadSpec> {
        let policy: Self = toml::from_str(text).map_err(|e| BadSpec {
            place: "policy".to_owned(),
            found: e.message().to_owned(),
            expected: "a policy as data/policy.toml shows it".to_owned(),
        })?;
        policy.rules.check("rules")?;
        Ok(policy)
    }

    /// The specification of one vintage, over the zonings it has.
    ///
    /// # Errors
    /// A table that names an unknown dimension.
    pub fn spec(&self, zonings: &[&str]) -> Result<Spec, BadSpec> {
        let one = |name: &str, levels: &[&str]| {
            (
                name.to_owned(),
                Dimension { levels: levels.iter().map(|l| (*l).to_owned()).collect(), bounds: BTreeMap::new() },
            )
        };
        let mut dimensions: BTreeMap<String, Dimension> = BTreeMap::from([
            one("naf", &["naf_section", "naf_division"]),
            one("tranche", &["tranche"]),
            one("source", &["source"]),
        ]);
        dimensions.extend(zonings.iter().map(|z| one(z, &[z])));
        let mut tables = Vec::new();
        for zoning in zonings {
            for crossed in self.tables.get(*zoning).into_iter().flatten() {
                let name =
                    std::iter::once(*zoning).chain(crossed.iter().map(String::as_str)).collect::<Vec<_>>().join("_");
                let mut depth = BTreeMap::new();
                let named = crossed.iter().map(|dimension| match dimension.as_str() {
                    "naf_section" => {
                        depth.insert("naf".to_owned(), 1);
                        "naf".to_owned()
                    }
                    other => other.to_owned(),
                });
                let all: Vec<String> = std::iter::once((*zoning).to_owned()).chain(named).collect();
                tables.push(Table { name, dimensions: all, depth, rules: Vec::new() });
            }
        }
        let used = |name: &String| tables.iter().any(|t: &Table| t.dimensions.contains(name));
        dimensions.retain(|name, _| used(name));
        let spec = Spec {
            contributor: "siren".to_owned(),
            weight: "effectif".to_owned(),
            rules: self.rules.clone(),
            protection: self.protection.clone(),
            dimensions,
            tables,
            version: None,
            population: BTreeMap::new(),
            fallback: BTreeMap::new(),
            history: HistoryRules::default(),
        };
        spec.check()?;
        Ok(spec)
    }

    /// The rules in words, for the report and the fingerprint: equal rules, equal words.
    pub fn canonical(&self) -> String {
        let Rules { min_contributors, dominance, p_percent, min_count, min_count_of, establishments: _ } = &self.rules;
        let dominance = dominance.map(|Dominance { n, share }| format!("{n}:{share}"));
        format!(
            "min_contributors={min_contributors:?} dominance={dominance:?} p_percent={p_percent:?} \
             min_count={min_count:?} of={min_count_of:?} width={} insiders={} tables={:?}",
            self.protection.width, self.protection.insiders, self.tables
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_in_force_states_the_rules_of_insee_for_business() {
        let policy = Policy::parse(POLICY).unwrap();
        assert_eq!(policy.rules.min_contributors, Some(3));
        assert_eq!(policy.rules.dominance, Some(Dominance { n: 1, share: 0.85 }));
        assert!(policy.protection.insiders);
        assert!(!policy.spec(&["secteurs", "iris", "communes"]).unwrap().tables.is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Config::parse("listen = '127.0.0.1:1'").is_ok());
        assert!(Config::parse("lisen = '127.0.0.1:1'").is_err());
        assert!(Policy::parse(&POLICY.replace("min_contributors", "min_contributor")).is_err());
    }
}
