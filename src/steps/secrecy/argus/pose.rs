//! A table of τ-ARGUS (`.tab`, and perhaps what is known of its cells, `.hst`) as an instance: its cells, and that each
//! code of a dimension is the sum of those right below it.

use super::Decimal;
use super::apriori::{Known, Set};
use super::fixed::Levels;
use super::hierarchy::Hierarchy;
use super::jj::{self, Equation, Instance, Status};
use super::table::{Cells, Fate, Form, Holds};
use crate::model::Unreadable;
use std::collections::{BTreeMap, HashMap};

/// Most digits after the point.
const PLACES_MAX: u32 = 6;

/// How the codes of one dimension lie above each other.
struct Dimension<'a> {
    name: &'a str,
    total: &'a str,
    above: Above<'a>,
}

enum Above<'a> {
    Flat,
    Digits(&'a [usize]),
    Listed(HashMap<&'a str, &'a str>),
}

impl<'a> Dimension<'a> {
    /// The code right above another one; the total's own has none.
    fn above<'c>(&self, code: &'c str) -> Result<Option<&'c str>, &'static str>
    where
        'a: 'c,
    {
        if code == self.total {
            return Ok(None);
        }
        match &self.above {
            Above::Flat => Ok(Some(self.total)),
            Above::Listed(above) => above.get(code).copied().map(Some).ok_or("a code that its hierarchy does not have"),
            Above::Digits(digits) => {
                let mut length = 0_usize;
                for &step in *digits {
                    let above = length;
                    length = length.saturating_add(step);
                    if code.len() == length {
                        let prefix = code.get(..above).ok_or("a code of other characters than digits stand for")?;
                        return Ok(Some(if prefix.is_empty() { self.total } else { prefix }));
                    }
                }
                Err("a code of another length than its levels have")
            }
        }
    }
}

/// Poses a table as an instance, cell by cell in its order. A cell of zero that nothing calls unsafe is
/// taken to be known; the others an outsider takes for anything from zero to ten times the largest figure, unless they are
/// below zero. Levels of the table give way to those of `known`.
///
/// # Errors
/// An unsafe cell without levels, a code that lies nowhere, one without that above it, a code that is not the sum of those
/// below it, by place, found and expected; no figure is repeated.
pub fn pose(
    file: &str,
    form: &Form,
    table: &Cells,
    known: &[Known],
    hierarchies: &HashMap<String, Hierarchy>,
) -> Result<Instance, Unreadable> {
    let named = |codes: &[String]| format!("{file}: cell {}", codes.join(" & "));
    let refuse = |codes: &[String], found: &str, expected: &str| {
        Unreadable::file("tab_cell", named(codes), found.to_owned(), expected.to_owned())
    };
    let dimensions: Vec<Dimension<'_>> = form
        .fields
        .iter()
        .filter_map(|field| match &field.holds {
            Holds::Code(total, levels) => {
                let above = match levels {
                    Levels::Flat => Above::Flat,
                    Levels::Digits(digits) => Above::Digits(digits),
                    Levels::File(..) => Above::Listed(listed(hierarchies.get(&field.name)?, total)),
                };
                Some(Dimension { name: &field.name, total, above })
            }
            _ => None,
        })
        .collect();

    let mut at: HashMap<&[String], usize> = HashMap::new();
    table.cells.iter().enumerate().for_each(|(i, cell)| {
        at.insert(&cell.codes, i);
    });
    let mut cells: Vec<super::table::Cell> = table.cells.clone();
    for Known { codes, set } in known {
        let cell = at.get(codes.as_slice()).map(|&i| &mut cells[i]);
        let cell = cell.ok_or_else(|| refuse(codes, "no such cell", "cells of the table in its a-priori file"))?;
        match set {
            Set::Status(fate) => cell.fate = Some(*fate),
            Set::Cost(cost) => cell.cost = Some(cost.clone()),
            Set::Levels(lower, upper) => cell.levels = Some((lower.clone(), upper.clone())),
        }
    }

    let read = |codes: &[String], text: &str| {
        let read = Decimal::read(text).filter(|d| d.places <= PLACES_MAX);
        read.ok_or_else(|| refuse(codes, "a figure out of range", "at most six digits after the point"))
    };
    let (mut places, mut cost_places) = (0, 0);
    for cell in &cells {
        let figures = std::iter::once(&cell.value).chain(cell.levels.iter().flat_map(|(lower, upper)| [lower, upper]));
        for text in figures {
            places = places.max(read(&cell.codes, text)?.places);
        }
        if let Some(cost) = &cell.cost {
            cost_places = cost_places.max(read(&cell.codes, cost)?.places);
        }
    }
    let whole = |codes: &[String], text: &str, places: u32| {
        let Decimal { units, places: own } = read(codes, text)?;
        let units = units.checked_mul(10_i64.pow(places - own)).filter(|units| units.abs() < i64::MAX / 100);
        units.ok_or_else(|| refuse(codes, "a figure out of range", "a smaller one"))
    };
    let values: Vec<i64> =
        cells.iter().map(|cell| whole(&cell.codes, &cell.value, places)).collect::<Result<_, _>>()?;
    // Beyond whatever is asked of any cell.
    let mut farthest = 10 * (values.iter().map(|value| value.abs()).max().unwrap_or(0) + 1);
    for (cell, value) in cells.iter().zip(&values) {
        if let Some((_, upper)) = &cell.levels {
            farthest = farthest.max(value.saturating_add(whole(&cell.codes, upper, places)?));
        }
    }
    let farthest = farthest;
    let mut posed = Vec::with_capacity(cells.len());
    for (cell, &value) in cells.iter().zip(&values) {
        let status = match cell.fate {
            Some(Fate::Unsafe) => Status::Unsafe,
            Some(Fate::Secondary) => Status::Withheld,
            Some(Fate::Protected) => Status::Shown,
            Some(Fate::Safe) | None if value == 0 => Status::Shown,
            Some(Fate::Safe) | None => Status::Safe,
        };
        let (lower, upper) = match (status, &cell.levels) {
            (Status::Unsafe, levels) => {
                let whole = |text: &String| whole(&cell.codes, text, places);
                let levels = levels.as_ref().map(|(lower, upper)| Ok((whole(lower)?, whole(upper)?))).transpose()?;
                match levels {
                    Some((lower, upper)) if lower >= 0 && upper >= 0 && lower + upper > 0 => (lower, upper),
                    _ => {
                        let expected = "its lower and upper protection level, in fields of their own or in a line `PL` of an \
                                        a-priori file, and one of them above zero";
                        return Err(refuse(&cell.codes, "an unsafe cell without levels", expected));
                    }
                }
            }
            (_, _) => (0, 0),
        };
        let least = if value < 0 { -farthest } else { 0 };
        let cost = match &cell.cost {
            Some(cost) => whole(&cell.codes, cost, cost_places)?.max(0),
            None => value.abs().saturating_mul(10_i64.pow(cost_places)) / 10_i64.pow(places),
        };
        // No end goes further than what an outsider takes for possible.
        let lower = lower.min(value - least);
        posed.push(jj::Cell { value, cost, status, least, greatest: farthest, lower, upper, sliding: 0 });
    }

    let mut below: BTreeMap<(usize, Vec<String>), Vec<u32>> = BTreeMap::new();
    for (i, cell) in (0_u32..).zip(&cells) {
        if cell.codes.len() != dimensions.len() {
            let expected = "a hierarchy for each dimension that names a file of codes";
            return Err(refuse(&cell.codes, "a dimension without its hierarchy", expected));
        }
        for (d, dimension) in dimensions.iter().enumerate() {
            let above = dimension.above(&cell.codes[d]).map_err(|found| {
                refuse(&cell.codes, found, &format!("codes of `{}` that lie below each other", dimension.name))
            })?;
            if let Some(above) = above {
                let mut codes = cell.codes.clone();
                codes[d] = above.to_owned();
                below.entry((d, codes)).or_default().push(i);
            }
        }
    }
    let mut equations = Vec::with_capacity(below.len());
    for ((d, codes), parts) in below {
        let Some(&whole) = at.get(codes.as_slice()) else {
            let expected = format!("for each code of `{}` the one above it too", dimensions[d].name);
            return Err(refuse(&codes, "no such cell", &expected));
        };
        let sum: i128 = parts.iter().map(|&part| i128::from(posed[part as usize].value)).sum();
        if sum != i128::from(posed[whole].value) {
            let expected = format!("the sum of those below it along `{}`", dimensions[d].name);
            return Err(refuse(&codes, "another figure", &expected));
        }
        let mut terms: Vec<(u32, i64)> = parts.into_iter().map(|part| (part, -1)).collect();
        terms.push((whole as u32, 1));
        terms.sort_unstable();
        equations.push(Equation { right: 0, terms });
    }
    Ok(Instance { places, cost_places, cells: posed, equations })
}

/// For each code of a hierarchy the one right above it.
fn listed<'a>(hierarchy: &'a Hierarchy, total: &'a str) -> HashMap<&'a str, &'a str> {
    let mut path: Vec<&str> = vec![total];
    let mut above = HashMap::new();
    for (code, depth) in hierarchy.codes() {
        path.truncate(depth + 1);
        above.insert(code.as_str(), *path.last().expect("the total stands above all"));
        path.push(code);
    }
    above
}
