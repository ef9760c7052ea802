//! Series and evolutions: the figures of several year-ends on one perimeter, and what lies between two of them.
//!
//! An evolution is taken between two figures that are both shown, and anybody can take it: it tells nothing that they do
//! not, so no secrecy of its own is needed. Where either is withheld, so is the evolution.

use super::publish::Release;
use super::secrecy::{Cell, Coordinate, ProtectedTable, TableDimension};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One table at several year-ends, all on one perimeter.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The zoning.
    pub zoning: String,
    /// The version of its perimeter.
    pub version: String,
    /// The table.
    pub table: String,
    /// The dimensions of its cells.
    pub dimensions: Vec<TableDimension>,
    /// Year-ends, in order.
    pub vintages: Vec<u16>,
    /// Each cell that holds an establishment in some year, with a figure a year-end.
    pub cells: BTreeMap<Vec<Coordinate>, Vec<Figure>>,
}

/// What is shown of a cell at one year-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Shown; zero where no establishment is.
    Shown {
        /// Establishments.
        establishments: u64,
        /// Employees.
        headcount: u64,
    },
    /// Withheld by statistical secrecy.
    Secret,
}

/// What lies between two year-ends of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evolution {
    /// Both figures are shown.
    Shown {
        /// Of the number of establishments.
        establishments: Step,
        /// Of the number of employees.
        headcount: Step,
    },
    /// One of the two is withheld, and so is what lies between them.
    Secret,
}

/// A difference of two shown figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The later figure less the earlier one.
    pub difference: i64,
    /// The difference in percent of the earlier figure; `None` where that is zero.
    pub percent: Option<f64>,
}

/// Why there is no series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSeries {
    /// Its year-ends were cut on different perimeters.
    #[error(
        "zoning `{zoning}`: found {}, expected one perimeter for all year-ends; recompute the past on today's perimeter",
        spoken(.versions)
    )]
    MixedPerimeters {
        /// The zoning.
        zoning: String,
        /// The version of each year-end.
        versions: BTreeMap<u16, String>,
    },
    /// A release has no such zoning.
    #[error("zoning `{zoning}`: found none of this name at {vintage}, expected one of {}", .known.join(", "))]
    NoZoning {
        /// The zoning.
        zoning: String,
        /// The year-end.
        vintage: u16,
        /// Those there are.
        known: Vec<String>,
    },
    /// A release has no such table, or another one under its name.
    #[error("table `{table}`: found none of this shape at {vintage}, expected one of {}", .known.join(", "))]
    NoTable {
        /// The table.
        table: String,
        /// The year-end.
        vintage: u16,
        /// Those there are.
        known: Vec<String>,
    },
    /// Fewer than two year-ends.
    #[error("zoning `{zoning}`: found {found} year-end, expected two at least")]
    TooFew {
        /// The zoning.
        zoning: String,
        /// Year-ends found.
        found: usize,
    },
}

fn spoken(versions: &BTreeMap<u16, String>) -> String {
    versions.iter().map(|(year, version)| format!("{year} on `{version}`")).collect::<Vec<_>>().join(", ")
}

/// The series of a table of a zoning, from the release that shows each year-end.
///
/// # Errors
/// See [`NoSeries`]; year-ends on different perimeters are never put side by side.
pub fn series(of: &BTreeMap<u16, &Release>, zoning: &str, table: &str) -> Result<Series, NoSeries> {
    let version = perimeter(of, zoning)?;
    let mut found: Vec<(u16, &ProtectedTable)> = Vec::new();
    for (&vintage, release) in of {
        let tables = release.vintages.get(&vintage);
        let fits = |t: &&ProtectedTable| {
            t.dimensions.iter().any(|d| d.name == zoning)
                && found.first().is_none_or(|(_, first)| first.dimensions == t.dimensions)
        };
        let known = || tables.into_iter().flat_map(|t| t.iter().map(|t| t.name.clone())).collect();
        let none = || NoSeries::NoTable { table: table.to_owned(), vintage, known: known() };
        found.push((vintage, tables.and_then(|t| t.get(table)).filter(fits).ok_or_else(none)?));
    }
    let places: BTreeSet<&[Coordinate]> = found.iter().flat_map(|(_, t)| t.cells().map(|(at, _)| at)).collect();
    let figure = |cell: Option<Cell>| match cell {
        Some(Cell::Open { establishments, headcount }) => Figure::Shown { establishments, headcount },
        Some(Cell::Suppressed) => Figure::Secret,
        None => Figure::Shown { establishments: 0, headcount: 0 },
    };
    Ok(Series {
        zoning: zoning.to_owned(),
        version,
        table: table.to_owned(),
        dimensions: found[0].1.dimensions.clone(),
        vintages: found.iter().map(|(vintage, _)| *vintage).collect(),
        cells: places
            .into_iter()
            .map(|at| (at.to_vec(), found.iter().map(|(_, t)| figure(t.cell(at))).collect()))
            .collect(),
    })
}

/// The version of the perimeter that all year-ends share.
///
/// # Errors
/// See [`NoSeries`].
pub fn perimeter(of: &BTreeMap<u16, &Release>, zoning: &str) -> Result<String, NoSeries> {
    let mut versions = BTreeMap::new();
    for (&vintage, release) in of {
        let none = || NoSeries::NoZoning {
            zoning: zoning.to_owned(),
            vintage,
            known: release.zonings.iter().map(|z| z.id.clone()).collect(),
        };
        versions.insert(vintage, release.zoning(zoning).ok_or_else(none)?.version.clone());
    }
    let mut different: Vec<&String> = versions.values().collect();
    different.dedup();
    match different[..] {
        [one] if versions.len() > 1 => Ok(one.clone()),
        [] | [_] => Err(NoSeries::TooFew { zoning: zoning.to_owned(), found: versions.len() }),
        [_, _, ..] => Err(NoSeries::MixedPerimeters { zoning: zoning.to_owned(), versions }),
    }
}

impl Series {
    /// What lies between each year-end and the one before it, for each cell.
    pub fn evolutions(&self) -> impl Iterator<Item = (&[Coordinate], Vec<Evolution>)> {
        self.cells
            .iter()
            .map(|(at, figures)| (at.as_slice(), figures.windows(2).map(|two| evolution(two[0], two[1])).collect()))
    }
}

/// What lies between two figures of one cell.
pub fn evolution(before: Figure, after: Figure) -> Evolution {
    let (Figure::Shown { establishments: e0, headcount: h0 }, Figure::Shown { establishments: e1, headcount: h1 }) =
        (before, after)
    else {
        return Evolution::Secret;
    };
    Evolution::Shown { establishments: Step::of(e0, e1), headcount: Step::of(h0, h1) }
}

impl Step {
    fn of(before: u64, after: u64) -> Self {
        // Sums of headcounts stay far below 2^53, so both numbers are exact.
        let difference = after as i64 - before as i64;
        Self { difference, percent: (before > 0).then(|| 100.0 * difference as f64 / before as f64) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent {
            Some(percent) => write!(f, "{:+} ({percent:+.1} %)", self.difference),
            None => write!(f, "{:+}", self.difference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReleaseId;
    use crate::steps::publish::{Provenance, ReleasedZoning};
    use crate::steps::secrecy::{Column, Microdata, Spec, protect, tabulate};

    /// A release of one year with the zones A and B: A has so many establishments of one employee each, B always three.
    fn release(vintage: u16, version: &str, in_a: usize) -> Release {
        let text = "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\n[dimensions.z]\nlevels=['z']\n\
                    [[tables]]\nname='t'\ndimensions=['z']";
        let spec = Spec::parse(text).unwrap();
        let n = in_a + 3;
        let who: Vec<String> = (0..n).map(|i| format!("{i}")).collect();
        let zones: Vec<Option<&str>> = (0..n).map(|i| Some(if i < in_a { "A" } else { "B" })).collect();
        let micro = Microdata::new(who.clone(), &who, vec![1; n], vec![Column::of("z", &zones)]);
        let raw = tabulate(&micro, &spec).unwrap();
        let (tables, _) = protect(&raw, &spec.rules, &spec.protection, &[]).unwrap();
        let zoning = ReleasedZoning { id: "z".into(), title: "Z".into(), version: version.into(), zones: Vec::new() };
        let provenance = Provenance {
            source: String::new(),
            updated: String::new(),
            licence: String::new(),
            notice: String::new(),
            policy: String::new(),
            policy_version: String::new(),
            inputs: BTreeMap::new(),
            arpent: String::new(),
        };
        let vintages = BTreeMap::from([(vintage, tables)]);
        Release { id: ReleaseId::from_digest("0"), zonings: vec![zoning], vintages, provenance }
    }

    #[test]
    fn an_evolution_is_shown_where_both_year_ends_are() {
        let step = |difference, percent| Step { difference, percent };
        for (in_a, expected) in [
            ([4, 5], vec![Evolution::Shown { establishments: step(1, Some(25.0)), headcount: step(1, Some(25.0)) }]),
            (
                [5, 0],
                vec![Evolution::Shown { establishments: step(-5, Some(-100.0)), headcount: step(-5, Some(-100.0)) }],
            ),
            ([0, 3], vec![Evolution::Shown { establishments: step(3, None), headcount: step(3, None) }]),
            ([4, 1], vec![Evolution::Secret]),
            ([2, 4], vec![Evolution::Secret]),
        ] {
            let (one, two) = (release(2023, "v1", in_a[0]), release(2024, "v1", in_a[1]));
            let series = series(&BTreeMap::from([(2023, &one), (2024, &two)]), "z", "t").unwrap();
            let a = [Coordinate::Code { level: 0, code: "A".into() }];
            let found = series.evolutions().find(|(at, _)| *at == a).unwrap().1;
            assert_eq!(found, expected, "{in_a:?}");
        }
    }

    #[test]
    fn year_ends_on_different_perimeters_are_never_put_side_by_side() {
        let (one, two, three) = (release(2022, "v1", 4), release(2023, "v1", 4), release(2024, "v2", 4));
        let all = BTreeMap::from([(2022, &one), (2023, &two), (2024, &three)]);
        let refused = series(&all, "z", "t").unwrap_err();
        let versions = BTreeMap::from([(2022, "v1".into()), (2023, "v1".into()), (2024, "v2".into())]);
        assert_eq!(refused, NoSeries::MixedPerimeters { zoning: "z".into(), versions });
        assert!(refused.to_string().contains("2022 on `v1`, 2023 on `v1`, 2024 on `v2`"), "{refused}");
        let two_years = BTreeMap::from([(2022, &one), (2023, &two)]);
        for (zoning, table, code) in [("y", "t", "zoning `y`"), ("z", "u", "table `u`")] {
            assert!(series(&two_years, zoning, table).unwrap_err().to_string().starts_with(code));
        }
        let one_year = series(&BTreeMap::from([(2022, &one)]), "z", "t").unwrap_err();
        assert_eq!(one_year, NoSeries::TooFew { zoning: "z".into(), found: 1 });
    }
}
