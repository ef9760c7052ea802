//! The policy as data: rules by owner, dataset, zoning and measure, what each profile may see, and who may loosen it.

use crate::steps::bytes::sha256_hex;
use crate::steps::secrecy::{
    BadSpec, CountRules, Dimension, Fallback, HistoryRules, Population, Protection, Rules, Spec, Table, Terms,
    check_bounds,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The policy shipped, as `data/policy.toml` states it: it has no default in code.
pub const POLICY: &str = include_str!("../../data/policy.toml");

/// A policy: the rules, and the tables a release is cut into.
///
/// Rules add up: those of `[rules]` hold everywhere, and each entry of `[[also]]` holds beside them where its owner,
/// dataset, zoning and measure fit. Nothing switches a rule off.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its version, which each release carries with the fingerprint.
    pub version: String,
    /// SHA-256, hexadecimal, of the key without which nobody may loosen it; without one, nobody may.
    pub owner_key: Option<String>,
    /// Who counts as one contributor.
    pub unit: Unit,
    /// The rules that hold everywhere.
    pub rules: Rules,
    /// Rules that hold somewhere.
    #[serde(default)]
    pub also: Vec<Also>,
    /// How far from the truth attackers must stay.
    pub protection: Protection,
    /// By zoning, the least inhabitants of a zone of which anything is shown.
    #[serde(default)]
    pub population: BTreeMap<String, Least>,
    /// By zoning, the count below which its zones give way to the zone above.
    #[serde(default)]
    pub fallback: BTreeMap<String, Fallback>,
    /// What a release owes to those before it.
    #[serde(default)]
    pub history: HistoryRules,
    /// What an outsider knows of the headcount of an establishment from its public size bracket, by bracket.
    #[serde(default)]
    pub brackets: BTreeMap<String, Vec<u64>>,
    /// Tables of each zoning for the public: for each, the dimensions crossed with the zones.
    pub tables: BTreeMap<String, Vec<Vec<String>>>,
    /// What partners may see that the public may not.
    pub partner: Option<Partner>,
}

/// What partners may see: their own rules and tables, beside all that the public sees.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The rules for partners that hold everywhere.
    pub rules: Rules,
    /// Rules for partners that hold somewhere.
    #[serde(default)]
    pub also: Vec<Also>,
    /// Tables of each zoning, beside those of the public.
    #[serde(default)]
    pub tables: BTreeMap<String, Vec<Vec<String>>>,
}

/// Rules that hold where everything named here fits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// Owner of the data: `caf`.
    pub owner: Option<String>,
    /// Dataset: `allocataires`.
    pub dataset: Option<String>,
    /// Zoning: `iris`.
    pub zoning: Option<String>,
    /// What the rules count: persons (the weight) or establishments.
    #[serde(default)]
    pub measure: Measure,
    /// The rules.
    pub rules: Rules,
}

/// Least inhabitants of a zone.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Least {
    /// Inhabitants.
    pub least: u64,
}

/// Who counts as one contributor.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Each establishment.
    Siret,
    /// Each enterprise.
    Siren,
    /// Each group of enterprises, as a table of groups tells; an enterprise in none is its own.
    Group,
}

impl Unit {
    /// Its name, and the name of the column that holds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Siret => "siret",
            Self::Siren => "siren",
            Self::Group => "group",
        }
    }
}

/// What rules count.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Persons.
    #[default]
    Headcount,
    /// Establishments.
    Establishments,
}

/// Who looks at a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Anybody.
    Public,
    /// A partner, who sees what the public sees too.
    Partner,
}

/// The dimensions that zones may be crossed with, and their levels.
const DIMENSIONS: [&str; 4] = ["naf", "naf_section", "tranche", "source"];
const LEVELS: [&str; 4] = ["naf_section", "naf_division", "tranche", "source"];

/// What data a release is made from, for the rules that name owners and datasets.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The owners; rules of each of them hold.
    pub owners: Vec<String>,
    /// The dataset.
    pub dataset: String,
    /// Inhabitants by code, by zoning, for the zonings that have a population rule.
    pub inhabitants: BTreeMap<String, BTreeMap<String, u64>>,
    /// Group of each enterprise that is in one, for a policy that counts groups.
    pub groups: BTreeMap<String, String>,
}

fn bad(place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> BadSpec {
    BadSpec { place: place.into(), found: found.into(), expected: expected.into() }
}

impl Also {
    /// Whether it holds for a table of these data. What is not told fits whatever is named: in doubt a rule holds.
    fn fits(&self, owners: Option<&[String]>, dataset: Option<&str>, zonings: &[String]) -> bool {
        self.owner.as_ref().is_none_or(|owner| owners.is_none_or(|owners| owners.contains(owner)))
            && self.dataset.as_deref().is_none_or(|named| dataset.is_none_or(|dataset| dataset == named))
            && self.zoning.as_ref().is_none_or(|zoning| zonings.contains(zoning))
    }

    /// The rules, on the measure they count.
    fn of_measure(&self) -> Rules {
        match self.measure {
            Measure::Headcount => self.rules.clone(),
            Measure::Establishments => {
                let Rules { min_contributors, dominance, min_count, .. } = self.rules;
                Rules {
                    establishments: Some(CountRules { min_contributors, min_count, dominance }),
                    ..Rules::default()
                }
            }
        }
    }

    fn check(&self, place: &str) -> Result<(), BadSpec> {
        self.rules.check(&format!("{place}.rules"))?;
        let Rules { p_percent, establishments, .. } = &self.rules;
        if self.measure == Measure::Establishments && (p_percent.is_some() || establishments.is_some()) {
            let expected = "`min_contributors`, `min_count` or `dominance`, for rules that count establishments";
            return Err(bad(format!("{place}.rules"), "another rule", expected));
        }
        Ok(())
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// TOML that does not parse, an unknown key, a threshold outside its range, a key that is no SHA-256.
    pub fn parse(text: &str) -> Result<Self, BadSpec> {
        let policy: Self = toml::from_str(text)
            .map_err(|e| bad("policy", e.message().to_owned(), "a policy as data/policy.toml shows it"))?;
        let whole = |key: &String| key.len() == 64 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if policy.owner_key.as_ref().is_some_and(|key| !whole(key)) {
            return Err(bad(
                "owner_key",
                "another text",
                "a SHA-256 of 64 hexadecimal digits, as `arpent policy key` gives",
            ));
        }
        policy.rules.check("rules")?;
        policy.protection.check()?;
        check_bounds("brackets", &policy.brackets)?;
        for (i, also) in policy.also.iter().enumerate() {
            also.check(&format!("also[{i}]"))?;
        }
        if let Some(partner) = &policy.partner {
            partner.rules.check("partner.rules")?;
            for (i, also) in partner.also.iter().enumerate() {
                also.check(&format!("partner.also[{i}]"))?;
            }
        }
        Ok(policy)
    }

    /// The zonings that it has tables of.
    fn zonings_cut(&self) -> BTreeSet<&str> {
        let of_partners = self.partner.iter().flat_map(|partner| partner.tables.keys());
        self.tables.keys().chain(of_partners).map(String::as_str).collect()
    }

    /// The zonings that it has tables or rules of.
    fn zonings_named(&self) -> BTreeSet<&str> {
        let also = self.also.iter().chain(self.partner.iter().flat_map(|partner| &partner.also));
        let of_rules = also.filter_map(|also| also.zoning.as_ref()).chain(self.population.keys());
        self.zonings_cut().into_iter().chain(of_rules.map(String::as_str)).collect()
    }

    /// Whether a rule or a table names something that no release made by this policy has: it would be off in silence. A rule
    /// may name a zoning that the policy `before` does: it holds for what was published of it.
    ///
    /// # Errors
    /// The first name that stands for nothing.
    pub fn check_names(&self, before: Option<&Self>) -> Result<(), BadSpec> {
        let zonings = self.zonings_cut();
        let was_known = before.map(Self::zonings_named).unwrap_or_default();
        let listed = zonings.iter().copied().collect::<Vec<_>>().join(", ");
        let known = |place: String, zoning: &str| match zonings.contains(zoning) || was_known.contains(zoning) {
            true => Ok(()),
            false => Err(bad(place, format!("`{zoning}`"), format!("a zoning that has tables: {listed}"))),
        };
        for zoning in self.population.keys() {
            known("population".to_owned(), zoning)?;
        }
        for zoning in self.fallback.keys() {
            known("fallback".to_owned(), zoning)?;
        }
        let also = self.also.iter().map(|also| ("also", also));
        let of_partners_also = self.partner.iter().flat_map(|p| &p.also).map(|also| ("partner.also", also));
        for (place, zoning) in
            also.chain(of_partners_also).filter_map(|(place, also)| Some((place, also.zoning.as_ref()?)))
        {
            known(format!("{place}.zoning"), zoning)?;
        }
        let dimensions: BTreeSet<&str> = DIMENSIONS.into_iter().chain(zonings.iter().copied()).collect();
        let of_partners = self.partner.iter().flat_map(|partner| &partner.tables);
        for (zoning, tables) in self.tables.iter().chain(of_partners) {
            if let Some(stray) = tables.iter().flatten().find(|name| !dimensions.contains(name.as_str())) {
                let expected = format!("one of {}", dimensions.iter().copied().collect::<Vec<_>>().join(", "));
                return Err(bad(format!("tables.{zoning}"), format!("`{stray}`"), expected));
            }
        }
        let levels: BTreeSet<&str> = LEVELS.into_iter().chain(zonings).collect();
        match self.protection.weights.keys().find(|name| !levels.contains(name.as_str())) {
            None => Ok(()),
            Some(stray) => {
                let expected = format!("one of {}", levels.into_iter().collect::<Vec<_>>().join(", "));
                Err(bad("protection.weights", format!("`{stray}`"), expected))
            }
        }
    }

    /// The rules that hold everywhere and those that hold somewhere, for a profile. Without rules of their own partners
    /// see what the public sees.
    fn rules_of(&self, profile: Profile) -> (&Rules, &[Also]) {
        match (profile, &self.partner) {
            (Profile::Partner, Some(partner)) => (&partner.rules, &partner.also),
            (Profile::Public | Profile::Partner, _) => (&self.rules, &self.also),
        }
    }

    /// Every table of a zoning that a profile sees.
    fn tables_of(&self, profile: Profile, zoning: &str) -> Vec<&Vec<String>> {
        let more = match profile {
            Profile::Public => None,
            Profile::Partner => self.partner.as_ref().and_then(|p| p.tables.get(zoning)),
        };
        let mut tables: Vec<_> = self.tables.get(zoning).into_iter().chain(more).flatten().collect();
        let mut seen = BTreeSet::new();
        tables.retain(|table| seen.insert(*table));
        tables
    }

    /// The specification of one vintage for a profile, over the zonings it has.
    ///
    /// # Errors
    /// A table that names an unknown dimension; a fallback, which the zonings of the service cannot follow, since none
    /// lies above another.
    pub fn spec(&self, profile: Profile, about: &About, zonings: &[&str]) -> Result<Spec, BadSpec> {
        if self.unit == Unit::Group && about.groups.is_empty() {
            let expected = "`siret` or `siren`: without a table of groups each enterprise would count alone";
            return Err(bad("unit", "`group`, and no table of groups", expected));
        }
        if let Some(zoning) = self.fallback.keys().find(|z| zonings.contains(&z.as_str())) {
            let expected = "no fallback: zonings are published one beside the other, none above another";
            return Err(bad(format!("fallback.{zoning}"), "a zoning of this release", expected));
        }
        let one = |name: &str, levels: &[&str]| {
            let levels = levels.iter().map(|l| (*l).to_owned()).collect();
            (name.to_owned(), Dimension { levels, bounds: BTreeMap::new() })
        };
        let mut dimensions: BTreeMap<String, Dimension> = BTreeMap::from([
            one("naf", &["naf_section", "naf_division"]),
            one("tranche", &["tranche"]),
            one("source", &["source"]),
        ]);
        dimensions.extend(zonings.iter().map(|z| one(z, &[z])));
        let (everywhere, somewhere) = self.rules_of(profile);
        let mut tables = Vec::new();
        for zoning in zonings {
            for crossed in self.tables_of(profile, zoning) {
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
                let fits = |also: &&Also| also.fits(Some(&about.owners), Some(&about.dataset), &all[..1]);
                let rules = somewhere.iter().filter(fits).map(Also::of_measure).collect();
                tables.push(Table { name, dimensions: all, depth, rules });
            }
        }
        let used = |name: &String| tables.iter().any(|t: &Table| t.dimensions.contains(name));
        dimensions.retain(|name, _| used(name) || (name == "tranche" && !self.brackets.is_empty()));
        if let Some(tranche) = dimensions.get_mut("tranche") {
            tranche.bounds = self.brackets.clone();
        }
        let population =
            self.population.iter().filter(|(zoning, _)| zonings.contains(&zoning.as_str()) && used(zoning));
        let population = population.map(|(zoning, Least { least })| {
            let inhabitants = about.inhabitants.get(zoning).cloned().unwrap_or_default();
            (zoning.clone(), Population { least: *least, inhabitants })
        });
        let has_level = |name: &String| dimensions.values().any(|dimension| dimension.levels.contains(name));
        let weights = self.protection.weights.iter().filter(|one| has_level(one.0));
        let weights = weights.map(|(level, factor)| (level.clone(), *factor));
        // A rule of a zoning holds for what was published of it before, in whatever tables.
        let of_data = |also: &&Also| {
            let zoning: Vec<String> = also.zoning.iter().cloned().collect();
            also.fits(Some(&about.owners), Some(&about.dataset), &zoning)
        };
        let of_earlier = somewhere.iter().filter(of_data).map(|also| (also.zoning.clone(), also.of_measure()));
        let spec = Spec {
            version: Some(self.version.clone()),
            contributor: self.unit.name().to_owned(),
            weight: "effectif".to_owned(),
            rules: everywhere.clone(),
            protection: Protection { weights: weights.collect(), ..self.protection.clone() },
            population: population.collect(),
            fallback: BTreeMap::new(),
            history: self.history,
            of_earlier: of_earlier.collect(),
            dimensions,
            tables,
        };
        spec.check()?;
        Ok(spec)
    }

    /// The policy in one fixed form, for the fingerprint: equal policies, equal words, whatever their spelling.
    pub fn canonical(&self) -> String {
        let mut lines = vec![format!("unit {}", self.unit.name())];
        let mut rules = |name: &str, everywhere: &Rules, somewhere: &[Also]| {
            lines.extend(everywhere.lines().into_iter().map(|line| format!("{name} {line}")));
            for also in somewhere {
                let Also { owner, dataset, zoning, .. } = also;
                let place = format!("{name} also {owner:?} {dataset:?} {zoning:?}");
                lines.extend(also.of_measure().lines().into_iter().map(|line| format!("{place} {line}")));
            }
        };
        rules("public", &self.rules, &self.also);
        if let Some(partner) = &self.partner {
            rules("partner", &partner.rules, &partner.also);
            lines.push(format!("partner tables {:?}", partner.tables));
        }
        // Everything but the names of its version and of its key.
        // What is at rest leaves no word, so that a policy keeps its fingerprint when arpent learns another rule.
        let Protection { width, insiders, zeros, integrality, cost, totals, weights, search } = &self.protection;
        lines.push(format!(
            "protection Protection {{ width: {width:?}, insiders: {insiders:?}, zeros: {zeros:?}, cost: {cost:?}, \
             totals: {totals:?}, search: {search:?} }}"
        ));
        lines.extend(integrality.line());
        lines.extend(weights.iter().map(|(level, factor)| format!("weight {level:?} {factor}")));
        lines.push(format!("population {:?}", self.population));
        lines.push(format!("fallback {:?}", self.fallback));
        lines.push(format!("history {:?}", self.history));
        lines.push(format!("brackets {:?}", self.brackets));
        lines.push(format!("tables {:?}", self.tables));
        lines.join("\n")
    }

    /// SHA-256 of [`Policy::canonical`], hexadecimal: each release carries it beside the version.
    pub fn fingerprint(&self) -> String {
        sha256_hex(self.canonical().as_bytes())
    }

    /// Whether this is the owner's key. Only its hash is ever kept.
    pub fn opens(&self, key: &str) -> bool {
        self.owner_key.as_deref() == Some(sha256_hex(key.trim().as_bytes()).as_str())
    }

    /// What this policy lets through that `other` does not, each in words; empty when it is at least as strict.
    ///
    /// Policies are compared for each profile and each owner, dataset and zoning that one of them names, and for all
    /// they do not name; by the rules of [`Terms::looser_than`]. Another owner's key, and a table more, count as looser.
    pub fn looser_than(&self, other: &Self) -> Vec<String> {
        let mut looser: BTreeSet<String> = BTreeSet::new();
        if self.owner_key != other.owner_key {
            looser.insert("owner_key: another key".to_owned());
        }
        let all = |f: fn(&Also) -> Option<&String>| {
            let partner = |p: &Self| p.partner.iter().flat_map(|p| p.also.clone()).collect::<Vec<_>>();
            let of_partners = [partner(self), partner(other)].concat();
            let entries = self.also.iter().chain(&other.also).chain(&of_partners);
            // `None` stands for all that no entry names.
            let named: BTreeSet<Option<String>> = entries.filter_map(f).cloned().map(Some).collect();
            named.into_iter().chain([None]).collect::<Vec<Option<String>>>()
        };
        let (owners, datasets) = (all(|a| a.owner.as_ref()), all(|a| a.dataset.as_ref()));
        let zonings = all(|a| a.zoning.as_ref());
        for (profile, name) in [(Profile::Public, "public"), (Profile::Partner, "partner")] {
            for owner in &owners {
                for dataset in &datasets {
                    for zoning in &zonings {
                        let owner = owner.iter().cloned().collect::<Vec<_>>();
                        let dataset = dataset.as_deref().unwrap_or_default();
                        let zoning = zoning.iter().cloned().collect::<Vec<_>>();
                        let terms = |p: &Self| p.terms(profile, Some(&owner), Some(dataset), &zoning);
                        let more = terms(self).looser_than(&terms(other));
                        looser.extend(more.into_iter().map(|what| format!("{name}: {what}")));
                    }
                }
            }
            let tables = |p: &Self| {
                let more = p.partner.iter().filter(|_| profile == Profile::Partner).flat_map(|p| p.tables.keys());
                p.tables.keys().chain(more).cloned().collect::<BTreeSet<String>>()
            };
            for zoning in tables(self) {
                let known = other.tables_of(profile, &zoning);
                let new = self.tables_of(profile, &zoning).into_iter().filter(|table| !known.contains(table));
                looser.extend(new.map(|table| format!("{name}: a table of {zoning} by [{}]", table.join(", "))));
            }
        }
        looser.into_iter().collect()
    }

    /// What a specification lets through that this policy, for those who see it, does not, each in words.
    ///
    /// A dimension or a level of the specification is a zoning of the policy when it has its name. An owner or a dataset
    /// that is not told has every rule that names one.
    pub fn not_kept_by(
        &self,
        spec: &Spec,
        profile: Profile,
        owner: Option<&str>,
        dataset: Option<&str>,
    ) -> Vec<String> {
        let owners = owner.map(|owner| vec![owner.to_owned()]);
        let mut looser: BTreeSet<String> = BTreeSet::new();
        for table in &spec.tables {
            let levels = table.dimensions.iter().flat_map(|d| &spec.dimensions[d].levels);
            let names: Vec<String> = table.dimensions.iter().chain(levels).cloned().collect();
            let mut wanted = self.terms(profile, owners.as_deref(), dataset, &names);
            wanted.population.retain(|zoning, _| names.contains(zoning));
            wanted.fallback.retain(|zoning, _| names.contains(zoning));
            // Brackets bind where the specification has the column.
            let codes = |name: &str| spec.dimensions.get(name).is_some_and(|d| !d.levels.is_empty());
            if !codes("tranche") {
                wanted.bounds.clear();
            }
            let mut found = spec.terms();
            found.rules.extend(table.rules.iter().cloned());
            let more = found.looser_than(&wanted);
            looser.extend(more.into_iter().map(|what| format!("table `{}`: {what}", table.name)));
        }
        looser.into_iter().collect()
    }

    fn terms(&self, profile: Profile, owners: Option<&[String]>, dataset: Option<&str>, zonings: &[String]) -> Terms {
        let (everywhere, somewhere) = self.rules_of(profile);
        let fitting = somewhere.iter().filter(|also| also.fits(owners, dataset, zonings)).map(Also::of_measure);
        Terms {
            contributor: self.unit.name().to_owned(),
            rules: std::iter::once(everywhere.clone()).chain(fitting).collect(),
            protection: self.protection.clone(),
            population: self.population.iter().map(|(zoning, p)| (zoning.clone(), p.least)).collect(),
            fallback: self.fallback.clone(),
            bounds: self.brackets.clone(),
            history: self.history,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::secrecy::Dominance;

    fn about() -> About {
        About { owners: vec!["urssaf".into()], dataset: "effectifs".into(), ..About::default() }
    }

    #[test]
    fn a_name_that_stands_for_nothing_is_refused_and_so_is_a_number_out_of_range() {
        let parsed = |more: &str| Policy::parse(&format!("{POLICY}\n{more}")).unwrap();
        Policy::parse(POLICY).unwrap().check_names(None).unwrap();
        for (more, place) in [
            ("[population.irris]\nleast = 100", "population"),
            ("[fallback.irris]\nleast = 5", "fallback"),
            ("[[also]]\nzoning = 'secteur'\nrules = { min_count = 5 }", "also.zoning"),
            (
                "[partner]\nrules = { min_contributors = 3 }\n[[partner.also]]\nzoning = 'x'\nrules = { min_count = 5 }",
                "partner.also.zoning",
            ),
            ("[partner]\nrules = { min_contributors = 3 }\ntables = { iris = [['naf_sektion']] }", "tables.iris"),
        ] {
            assert_eq!(parsed(more).check_names(None).unwrap_err().place, place, "{more}");
        }
        // Iris has no tables any more, and a rule for what was published of it.
        let dropped = POLICY.replace("iris = [[]]", "");
        let dropped = format!("{dropped}\n[[also]]\nzoning = 'iris'\nrules = {{ min_count = 5 }}");
        let dropped = Policy::parse(&dropped).unwrap();
        assert_eq!(dropped.check_names(None).unwrap_err().place, "also.zoning");
        dropped.check_names(Some(&Policy::parse(POLICY).unwrap())).unwrap();
        dropped.check_names(Some(&dropped)).unwrap();
        parsed("[population.iris]\nleast = 100\n[[also]]\nowner = 'caf'\nrules = { min_count = 5 }")
            .check_names(None)
            .unwrap();
        for (from, to, place) in [
            ("width = 0.10", "width = -3", "protection.width"),
            ("totals = 200", "totals = 200\nweights = { communes = 0.5 }", "protection.weights.communes"),
            ("[history]", "[brackets]\n'01' = []\n[history]", "brackets.01"),
            ("[history]", "[brackets]\n'01' = [5, 1]\n[history]", "brackets.01"),
        ] {
            assert!(POLICY.contains(from));
            assert_eq!(Policy::parse(&POLICY.replace(from, to)).unwrap_err().place, place, "{to}");
        }
        let weighed = POLICY.replace("totals = 200", "totals = 200\nweights = { commune = 5 }");
        assert_eq!(Policy::parse(&weighed).unwrap().check_names(None).unwrap_err().place, "protection.weights");
        let weighed = Policy::parse(&weighed.replace("commune =", "communes =")).unwrap();
        weighed.check_names(None).unwrap();
        // A release without communes has nothing to weigh.
        assert!(weighed.spec(Profile::Public, &about(), &["iris"]).unwrap().protection.weights.is_empty());
        assert_eq!(weighed.spec(Profile::Public, &about(), &["communes"]).unwrap().protection.weights["communes"], 5.0);
    }

    #[test]
    fn groups_are_never_counted_as_enterprises_in_silence() {
        let policy = Policy::parse(&POLICY.replace("unit = \"siren\"", "unit = \"group\"")).unwrap();
        assert_eq!(policy.spec(Profile::Public, &about(), &["iris"]).unwrap_err().place, "unit");
        let groups = BTreeMap::from([("732829320".to_owned(), "holding".to_owned())]);
        assert!(policy.spec(Profile::Public, &About { groups, ..about() }, &["iris"]).is_ok());
    }

    #[test]
    fn a_rule_of_a_zoning_holds_for_what_was_published_of_it_before() {
        let policy = format!(
            "{POLICY}\n[[also]]\nzoning = 'iris'\nrules = {{ min_count = 5 }}\n\
                              [[also]]\nowner = 'caf'\nrules = {{ min_count = 7 }}\n\
                              [[also]]\nowner = 'urssaf'\nrules = {{ min_count = 6 }}"
        );
        let spec = Policy::parse(&policy).unwrap().spec(Profile::Public, &about(), &["communes"]).unwrap();
        let least: Vec<_> =
            spec.of_earlier.iter().map(|(zoning, rules)| (zoning.as_deref(), rules.min_count)).collect();
        assert_eq!(least, [(Some("iris"), Some(5)), (None, Some(6))]);
    }

    #[test]
    fn the_policy_shipped_states_the_rules_of_insee_for_business() {
        let policy = Policy::parse(POLICY).unwrap();
        assert_eq!(policy.rules.min_contributors, Some(3));
        assert_eq!(policy.rules.dominance, Some(Dominance { n: 1, share: 0.85 }));
        assert!(policy.protection.insiders);
        assert_eq!(policy.unit, Unit::Siren);
        let spec = policy.spec(Profile::Public, &about(), &["secteurs", "iris", "communes"]).unwrap();
        assert!(!spec.tables.is_empty());
        assert_eq!(spec.version, Some(policy.version));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Policy::parse(&POLICY.replace("min_contributors", "min_contributor")).is_err());
        assert!(Policy::parse(&format!("owner_key = 'ab'\n{POLICY}")).is_err());
        let entry = "\n[[also]]\nmeasure = 'establishments'\nrules = { p_percent = 10 }\n";
        assert_eq!(Policy::parse(&format!("{POLICY}{entry}")).unwrap_err().place, "also[0].rules");
    }

    fn with(more: &str) -> Policy {
        Policy::parse(&format!("{POLICY}\n{more}")).unwrap()
    }

    #[test]
    fn rules_add_up_by_owner_dataset_zoning_and_measure() {
        let policy = with(
            "[[also]]\nowner = 'caf'\nrules = { min_count = 5 }\n\
             [[also]]\nzoning = 'iris'\nrules = { p_percent = 10 }\n\
             [[also]]\ndataset = 'effectifs'\nmeasure = 'establishments'\nrules = { min_count = 3 }\n",
        );
        let rules = |about: &About, zoning: &str| {
            let spec = policy.spec(Profile::Public, about, &["iris", "secteurs"]).unwrap();
            assert_eq!(spec.rules.min_contributors, Some(3), "those of all hold");
            let table = spec.tables.iter().find(|t| t.dimensions[0] == zoning).unwrap();
            table.rules.iter().flat_map(Rules::lines).collect::<Vec<_>>()
        };
        assert_eq!(rules(&about(), "iris"), ["p_percent 10", "establishments min_count 3"]);
        assert_eq!(rules(&about(), "secteurs"), ["establishments min_count 3"]);
        let caf = About { owners: vec!["urssaf".into(), "caf".into()], ..About::default() };
        assert_eq!(rules(&caf, "secteurs"), ["min_count 5 both"]);
    }

    #[test]
    fn a_partner_sees_its_tables_and_those_of_the_public_by_its_own_rules() {
        let policy = with("[partner]\nrules = { min_contributors = 2 }\ntables = { secteurs = [['tranche']] }\n");
        let tables = |profile| {
            let spec = policy.spec(profile, &about(), &["secteurs"]).unwrap();
            (spec.rules.min_contributors, spec.tables.into_iter().map(|t| t.name).collect::<Vec<_>>())
        };
        let (least, public) = tables(Profile::Public);
        assert_eq!(least, Some(3));
        assert!(!public.contains(&"secteurs_tranche".to_owned()));
        let (least, partner) = tables(Profile::Partner);
        assert_eq!(least, Some(2));
        assert!(public.iter().all(|name| partner.contains(name)) && partner.contains(&"secteurs_tranche".to_owned()));
    }

    #[test]
    fn a_looser_policy_is_told_by_what_it_no_longer_asks() {
        let base = Policy::parse(POLICY).unwrap();
        let changed = |from: &str, to: &str| {
            assert!(POLICY.contains(from), "{from}");
            Policy::parse(&POLICY.replace(from, to)).unwrap()
        };
        let section = "secteurs = [[\"naf_section\"], [\"source\"]]";
        for (policy, expected) in [
            (changed("min_contributors = 3", "min_contributors = 4"), &[][..]),
            (
                changed("min_contributors = 3", "min_contributors = 2"),
                &["partner: min_contributors 3", "public: min_contributors 3"],
            ),
            (changed("share = 0.85", "share = 0.9"), &["partner: dominance 1 0.85", "public: dominance 1 0.85"]),
            (changed("insiders = true", "insiders = false"), &["partner: insiders true", "public: insiders true"]),
            (changed(section, "secteurs = [[\"source\"]]"), &[]),
            (
                changed(section, "secteurs = [[\"source\"], [\"tranche\"]]"),
                &["partner: a table of secteurs by [tranche]", "public: a table of secteurs by [tranche]"],
            ),
            (with("[[also]]\nzoning = 'iris'\nrules = { min_count = 5 }"), &[]),
            (with("[partner]\nrules = { min_contributors = 3 }"), &["partner: dominance 1 0.85"]),
            (
                Policy::parse(&format!("owner_key = '{}'\n{POLICY}", "a".repeat(64))).unwrap(),
                &["owner_key: another key"],
            ),
        ] {
            assert_eq!(policy.looser_than(&base), expected);
        }
        // An entry taken away is looser where it held, and only there.
        let strict = with("[[also]]\nowner = 'caf'\nzoning = 'iris'\nrules = { min_count = 5 }");
        assert_eq!(base.looser_than(&strict), ["partner: min_count 5 both", "public: min_count 5 both"]);
        let moved = with("[[also]]\nowner = 'caf'\nzoning = 'communes'\nrules = { min_count = 5 }");
        assert!(!moved.looser_than(&strict).is_empty());
        let wider = with("[[also]]\nowner = 'caf'\nrules = { min_count = 6 }");
        assert!(wider.looser_than(&strict).is_empty());
    }

    #[test]
    fn a_specification_keeps_the_policy_or_is_told_what_it_does_not_ask() {
        let policy = with("[population.iris]\nleast = 100\n[[also]]\nowner = 'caf'\nrules = { min_count = 5 }\n");
        let spec = |rules: &str, zone: &str, more: &str| {
            let text = format!(
                "contributor='siren'\nweight='w'\n{more}\nrules={rules}\n[dimensions.{zone}]\nlevels=['{zone}']\n\
                 [[tables]]\nname='t'\ndimensions=['{zone}']"
            );
            Spec::parse(&text).unwrap()
        };
        let insee = "{ min_contributors = 3, dominance = { n = 1, share = 0.85 } }";
        let kept = |spec: &Spec, owner| policy.not_kept_by(spec, Profile::Public, owner, None);
        assert_eq!(kept(&spec(insee, "secteurs", ""), Some("urssaf")), Vec::<String>::new());
        assert_eq!(kept(&spec(insee, "secteurs", ""), None), ["table `t`: min_count 5 both"]);
        assert_eq!(
            kept(&spec("{ min_contributors = 3 }", "secteurs", ""), Some("urssaf")),
            ["table `t`: dominance 1 0.85"]
        );
        assert_eq!(kept(&spec(insee, "iris", ""), Some("urssaf")), ["table `t`: population iris 100"]);
        let with_population = spec(insee, "iris", "population.iris.least = 100");
        assert_eq!(kept(&with_population, Some("urssaf")), Vec::<String>::new());
    }

    #[test]
    fn the_owners_key_is_known_by_its_hash_alone() {
        let key = "arpent-owner-0123";
        let policy = Policy::parse(&format!("owner_key = '{}'\n{POLICY}", sha256_hex(key.as_bytes()))).unwrap();
        assert!(policy.opens(key) && policy.opens(&format!("{key}\n")));
        assert!(!policy.opens("arpent-owner-0124") && !policy.opens("") && !policy.opens(&sha256_hex(key.as_bytes())));
        assert!(!Policy::parse(POLICY).unwrap().opens(""));
    }

    #[test]
    fn the_fingerprint_is_of_the_policy_and_not_of_its_spelling() {
        let base = Policy::parse(POLICY).unwrap();
        let version = format!("version = \"{}\"", base.version);
        let same = Policy::parse(&POLICY.replace(&version, "version = \"other\"")).unwrap();
        assert_eq!(base.fingerprint(), same.fingerprint());
        let spelled = Policy::parse(&POLICY.replace("share = 0.85", "share = 85e-2")).unwrap();
        assert_eq!(base.fingerprint(), spelled.fingerprint());
        assert_ne!(base.fingerprint(), with("[population.iris]\nleast = 100").fingerprint());
        assert_ne!(base.fingerprint(), with("[partner]\nrules = {}").fingerprint());
    }
}
