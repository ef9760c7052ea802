//! An establishment that both schemes declare at one year-end is counted once.

use std::collections::BTreeMap;

use crate::model::{Headcount, Register, Siret, Source};

/// Whose figure is kept of an establishment that Urssaf and MSA both declare. The two are never added up: most such pairs
/// are the same people, declared to the scheme they left and to the one they joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BothSources {
    /// That of Urssaf: the register of the general scheme is the fuller one.
    #[default]
    KeepUrssaf,
    /// That of MSA.
    KeepMsa,
}

impl BothSources {
    /// The source that is kept.
    pub fn kept(self) -> Source {
        match self {
            Self::KeepUrssaf => Source::Urssaf,
            Self::KeepMsa => Source::Msa,
        }
    }
    /// The rule that keeps a source.
    pub fn keeping(source: Source) -> Self {
        match source {
            Source::Urssaf => Self::KeepUrssaf,
            Source::Msa => Self::KeepMsa,
        }
    }
}

/// An establishment that both declared, with both figures. For the owner alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InBoth {
    /// Its number.
    pub siret: Siret,
    /// The year-end.
    pub vintage: u16,
    /// What Urssaf declared.
    pub urssaf: Option<Headcount>,
    /// What MSA declared.
    pub msa: Option<Headcount>,
}

/// Keeps one figure of each establishment at each year-end, and lists those that had two, by SIRET and year.
pub fn reconcile(register: &mut Register, rule: BothSources) -> Vec<InBoth> {
    type Figures = [Option<Option<Headcount>>; 2];
    let mut figures: BTreeMap<(Siret, u16), Figures> = BTreeMap::new();
    for e in &register.establishments {
        figures.entry((e.siret, e.vintage)).or_default()[usize::from(e.source == Source::Msa)] = Some(e.headcount);
    }
    figures.retain(|_, of| of.iter().all(Option::is_some));
    let twice = |siret, vintage| figures.contains_key(&(siret, vintage));
    register.establishments.retain(|e| e.source == rule.kept() || !twice(e.siret, e.vintage));
    let listed = |(&(siret, vintage), of): (&(Siret, u16), &Figures)| {
        let [urssaf, msa] = of.map(Option::flatten);
        InBoth { siret, vintage, urssaf, msa }
    };
    figures.iter().map(listed).collect()
}

/// The list as CSV: `siret,millesime,urssaf,msa`. Raw figures: for the owner alone.
pub fn csv(in_both: &[InBoth]) -> String {
    let employees = |headcount: Option<Headcount>| headcount.map_or(String::new(), |h| h.employees().to_string());
    let line =
        |both: &InBoth| format!("{},{},{},{}\n", both.siret, both.vintage, employees(both.urssaf), employees(both.msa));
    let lines: String = in_both.iter().map(line).collect();
    format!("siret,millesime,urssaf,msa\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::read::register::{RegisterOptions, register};

    #[test]
    fn a_siret_in_both_is_counted_once_by_the_rule_and_listed_with_both_figures() {
        let text = "siret,effectif,naf,millesime,source,x,y\n\
                    73282932000074,10,4711F,2024,urssaf,1,2\n\
                    73282932000074,3,4711F,2024,msa,1,2\n\
                    73282932000074,4,4711F,2023,msa,1,2\n\
                    35600000049837,7,5310Z,2024,msa,1,2\n";
        for (rule, kept) in [(BothSources::KeepUrssaf, [10, 4, 7]), (BothSources::KeepMsa, [3, 4, 7])] {
            let read = register("r", text.as_bytes().to_vec().into(), &RegisterOptions::default()).unwrap();
            let mut all = Register { establishments: read.accepted };
            let both = reconcile(&mut all, rule);
            let found: Vec<u32> = all.establishments.iter().map(|e| e.headcount.unwrap().employees()).collect();
            assert_eq!(found, kept);
            let (siret, vintage) = ("73282932000074".parse().unwrap(), 2024);
            assert_eq!(csv(&both), "siret,millesime,urssaf,msa\n73282932000074,2024,10,3\n");
            assert_eq!(both, [InBoth { siret, vintage, urssaf: Headcount::new(10), msa: Headcount::new(3) }]);
        }
    }
}
