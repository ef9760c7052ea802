//! Corrected records of tables already published: the pattern is frozen, and a figure changes only where enough
//! contributors changed.
//!
//! Who reads both releases can subtract them cell by cell, so each shown difference must be as safe as a cell: it
//! touches no contributor at all, or at least as many as `min_contributors` asks for, and so must every sum that follows
//! from shown differences ([`changes`]). What was withheld stays withheld, so that the two releases show the same sums and
//! their difference has the freedom that each of them has.

use super::super::microdata::{Column, Microdata};
use super::super::policy::{Revision, Spec};
use super::super::protect::{Cell, Coordinate, protect_knowing};
use super::super::secondary;
use super::super::tabulate::{RawTable, RawTables, tabulate};
use super::changes::{self, State, Told};
use super::years::least_contributors;
use super::{Earlier, Leads, NotProtected, ProtectedAfter, locked, place, text_of, withhold};
use std::collections::{HashMap, HashSet};

/// Cells named in a refusal; the rest are counted.
const CELLS_NAMED: usize = 20;

/// Protects corrected records of tables that `published` shows, by the specification of then or a stricter one. `older` are
/// the releases that it corrected itself, and those that these corrected: what has changed since each of them is as safe.
///
/// # Errors
/// [`NotProtected::NotRevisable`] names the cells that cannot change; [`NotProtected::OtherMicrodata`] when the tables
/// are not the same or `published` is not what its own records give.
pub fn protect_revision(
    micro: &Microdata,
    spec: &Spec,
    published: &Earlier,
    older: &[&Earlier],
) -> Result<ProtectedAfter, NotProtected> {
    let refuse = |found: &str, expected| NotProtected::OtherMicrodata {
        release: published.name.clone(),
        found: found.to_owned(),
        expected,
    };
    let shape = |s: &Spec| {
        let tables = s.tables.iter();
        let table = |t: &super::Table| {
            let levels = t.dimensions.iter().map(|d| s.dimensions[d].levels[..s.depth(t, d)].to_vec());
            (t.name.clone(), t.dimensions.clone(), levels.collect::<Vec<_>>())
        };
        tables.map(table).collect::<Vec<_>>()
    };
    let why_not = |why: &'static str, mut cells: Vec<String>| {
        let more = cells.len().saturating_sub(CELLS_NAMED);
        cells.truncate(CELLS_NAMED);
        NotProtected::NotRevisable { release: published.name.clone(), why, cells, more }
    };
    if shape(spec) != shape(&published.spec) {
        return Err(refuse("other tables", "the tables of the release that is corrected"));
    }
    let raw = tabulate(micro, spec)?;
    let before = published.cut()?;
    locked(&before, 0, &[published])?;

    let least = u64::from(least_contributors(spec));
    if least == 0 && micro_differs(micro, &published.micro) {
        let why = "no rule with `min_contributors`, which says how many must change at once";
        return Err(why_not(why, Vec::new()));
    }
    let mut frozen = vec![false; raw.rows.len()];
    let mut hidden: HashSet<u32> = HashSet::new();
    let mut refused: Vec<String> = Vec::new();
    let verdicts = super::primary::judge_rows(&raw, &spec.rules, &spec.protection);
    for ((table, table_before), released) in raw.tables.iter().zip(&before.tables).zip(&spec.tables).map(|(pair, t)| {
        let released = published.tables.iter().find(|r| r.name == t.name).expect("the figures were compared");
        (pair, released)
    }) {
        let rows_before: HashMap<Vec<Coordinate>, u32> =
            table_before.cells.iter().map(|c| (place(table_before, c), c.row)).collect();
        let cells: HashMap<Vec<Coordinate>, u32> = table.cells.iter().map(|c| (place(table, c), c.row)).collect();
        let places: std::collections::BTreeSet<&Vec<Coordinate>> = rows_before.keys().chain(cells.keys()).collect();
        for at in places {
            let (now, then) = (cells.get(at).copied(), rows_before.get(at).copied());
            let changed = changed((&raw, now, micro), (&before, then, &published.micro));
            let may_change = changed == 0 || changed >= least;
            let mut refuse = || refused.push(named(table, at));
            match (released.cells.get(at), now) {
                (Some(Cell::Suppressed), Some(row)) => {
                    hidden.insert(row);
                }
                (Some(Cell::Suppressed), None) => {}
                (Some(Cell::Open { .. }), Some(row)) => {
                    // A figure that has become unsafe cannot be shown, and not to show it would tell that it has.
                    if !may_change || (verdicts[row as usize].is_some() && changed > 0) {
                        refuse();
                    }
                    frozen[row as usize] = true;
                }
                (Some(Cell::Open { .. }), None) if !may_change => refuse(),
                (Some(Cell::Open { .. }), None) => {}
                // Nobody was there.
                (None, Some(row)) => {
                    if !may_change || verdicts[row as usize].is_some() {
                        hidden.insert(row);
                    }
                }
                (None, None) => {}
            }
        }
    }
    if spec.history.revision == Revision::Refuse && micro_differs(micro, &published.micro) {
        return Err(why_not("a policy that lets nothing published be corrected", Vec::new()));
    }
    // One sum may stand in two tables: what one shows, the other cannot hide.
    hidden.retain(|row| !frozen[*row as usize]);
    if !refused.is_empty() {
        return Err(why_not("a change that touches too few contributors, or a figure that becomes unsafe", refused));
    }
    let (tables, mut dossier) =
        protect_knowing(&raw, &spec.rules, &spec.protection, &frozen, secondary::Told::default())
            .map_err(|hopeless| hopeless.said(&raw))?;
    let tables = withhold(&raw, &tables, &mut dossier, |row, _, _| hidden.contains(&row));
    let names: Vec<&str> = raw.tables.iter().map(|table| table.name.as_str()).collect();
    let shows_now =
        |t: usize, at: &[Coordinate]| tables.get(names[t]).and_then(|t| t.cell(at)) != Some(Cell::Suppressed);
    let now = State { raw: &raw, micro, shows: &shows_now };
    let told_since = |release: &Earlier, raw_then: &RawTables| {
        let cell = |t: usize, at: &[Coordinate]| {
            release.tables.iter().find(|table| table.name == names[t]).and_then(|table| table.cells.get(at))
        };
        let shown = |t: usize, at: &[Coordinate]| cell(t, at) != Some(&Cell::Suppressed);
        let then = State { raw: raw_then, micro: &release.micro, shows: &shown };
        match changes::told([&now, &then], least as usize) {
            Told::Nothing => Ok(()),
            Told::OfFew(cells) => {
                Err(why_not("changes that touch too few contributors once shown ones are subtracted", cells))
            }
            Told::TooMany => Err(why_not("more changes than can be looked at together", Vec::new())),
        }
    };
    told_since(published, &before)?;
    for release in older.iter().filter(|release| shape(&release.spec) == shape(spec)) {
        told_since(release, &release.cut()?)?;
    }
    let n_present = raw.tables.len();
    let plain_names = dossier.proof.levels().to_vec();
    let leads = Leads::of(&dossier.proof, micro, micro.len());
    let dossier = super::of_present(&raw, n_present, dossier);
    Ok(ProtectedAfter { tables, dossier, told: Vec::new(), leads, plain_names })
}

/// How many contributors have another weight or another number of establishments in a cell.
fn changed(now: (&RawTables, Option<u32>, &Microdata), then: (&RawTables, Option<u32>, &Microdata)) -> u64 {
    let parts = |(raw, row, micro): (&RawTables, Option<u32>, &Microdata)| {
        let mut parts: HashMap<String, (u64, u64)> = HashMap::new();
        let atoms = row.map(|row| raw.rows[row as usize].atoms.as_slice()).unwrap_or_default();
        for &a in atoms {
            let atom = &raw.atoms[a as usize];
            for (c, n) in atom.contributions.iter().zip(&atom.counts) {
                let part = parts.entry(micro.contributors[c.0 as usize].clone()).or_default();
                *part = (part.0 + c.1, part.1 + u64::from(*n));
            }
        }
        parts
    };
    let (now, then) = (parts(now), parts(then));
    let differs = |(who, part): &(&String, &(u64, u64))| then.get(*who) != Some(*part);
    let gone = then.keys().filter(|who| !now.contains_key(*who)).count();
    (now.iter().filter(differs).count() + gone) as u64
}

/// Whether records, or the places they lie in, are others.
fn micro_differs(one: &Microdata, other: &Microdata) -> bool {
    let rows = |m: &Microdata| {
        let code = |column: &Column, r: usize| column.codes[r].map(|code| column.labels[code as usize].clone());
        let row = |r: usize| {
            let codes: Vec<_> = m.columns.iter().map(|column| (column.name.clone(), code(column, r))).collect();
            (m.ids[r].clone(), m.contributors[m.contributor[r] as usize].clone(), m.weight[r], codes)
        };
        (0..m.len()).map(row).collect::<std::collections::BTreeSet<_>>()
    };
    rows(one) != rows(other)
}

fn named(table: &RawTable, at: &[Coordinate]) -> String {
    let levels: Vec<&[String]> = table.dimensions.iter().map(|d| d.levels.as_slice()).collect();
    let names: Vec<&str> = table.dimensions.iter().map(|d| d.name.as_str()).collect();
    format!("{}: {}", table.name, text_of(&names, &levels, at))
}
