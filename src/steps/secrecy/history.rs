//! Releases one after another: what was shown before, of the same people, belongs to the puzzle of today.
//!
//! Two perimeters that differ by one establishment publish that establishment by subtraction. So the tables of earlier
//! releases and those of today are cut from one set of records, what was shown is locked, and all are protected jointly.

use super::microdata::{Column, Microdata};
use super::policy::{Dimension, Protection, Spec, Table};
use super::primary;
use super::protect::{
    Cell, Coordinate, Counts, Dossier, NotProtectable, ProtectedTable, ProtectedTables, name_of, protect,
};
use super::tabulate::{NotTabulable, RawCell, RawDimension, RawTable, RawTables, Row, tabulate};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An earlier release: the records it was made from, its specification, and what it shows.
pub struct Earlier {
    /// Its name for messages.
    pub name: String,
    /// Its records.
    pub micro: Microdata,
    /// Its specification.
    pub spec: Spec,
    /// Its tables, as they were released.
    pub tables: Vec<EarlierTable>,
}

/// A table as it was released.
pub struct EarlierTable {
    /// Its name in the specification.
    pub name: String,
    /// Each cell that holds an establishment.
    pub cells: BTreeMap<Vec<Coordinate>, Cell>,
}

/// Why nothing was protected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProtected {
    /// Records and specification do not fit together.
    #[error(transparent)]
    NotTabulable(#[from] NotTabulable),
    /// An earlier release was made from other records, so what it shows cannot be taken into account.
    #[error("{release}: found {found}, expected {expected}")]
    OtherMicrodata {
        /// The earlier release.
        release: String,
        /// What differs, never a value.
        found: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The answer is no.
    #[error(transparent)]
    NotProtectable(#[from] NotProtectable),
}

/// Tables protected with earlier releases in view.
pub struct ProtectedAfter {
    /// The tables of the present specification.
    pub tables: ProtectedTables,
    /// Reasons and counts of those tables; the certificate speaks of earlier cells too, as `after1/<table>`.
    pub dossier: Dossier,
    /// No pattern was found that also holds, with every release in view, against contributors who know their own figures:
    /// most often what earlier releases show gives them an unsafe cell or difference whatever is withheld now. The tables
    /// are then proved against outsiders with every release in view, and against insiders at least for the present
    /// release alone.
    pub outsiders_only: bool,
}

/// Cuts and protects the tables of `spec`, jointly with everything that earlier releases of the same people show.
///
/// The rules of `spec` judge every cell, those of earlier releases too: a cell that an earlier release withheld and that
/// is unsafe stays as far from the truth as they ask. What an earlier release shows stays shown; where it is unsafe by
/// these rules, [`Dossier::reasons`] has it as `open` with the rules it breaks.
///
/// # Errors
/// See [`NotProtected`].
pub fn protect_after(micro: &Microdata, spec: &Spec, earlier: &[Earlier]) -> Result<ProtectedAfter, NotProtected> {
    let alone = || Ok::<_, NotProtected>(protect(&tabulate(micro, spec)?, &spec.rules, &spec.protection, &[])?);
    if earlier.is_empty() {
        let (tables, dossier) = alone()?;
        return Ok(ProtectedAfter { tables, dossier, outsiders_only: false });
    }
    let records = join(micro, earlier)?;
    let prefixes = prefixes(spec, earlier.len());
    let (all_records, joint) = combine(micro, spec, earlier, &records, &prefixes);
    let (rules, protection, n_present) = (&spec.rules, &spec.protection, spec.tables.len());
    let mut raw = tabulate(&all_records, &joint)?;
    let locked = locked(&raw, n_present, earlier)?;
    let mut with_differences = tabulate(&all_records, &joint)?;
    add_differences(&mut with_differences, n_present, spec);

    let (tables, mut dossier, outsiders_only) = match protect(&with_differences, rules, protection, &locked) {
        Ok((tables, dossier)) => (present(&tables, spec), dossier, false),
        // One enterprise of three that a published cell held has left the zone: it knew, and knows, what the two others
        // hold together. No pattern can take that back, and to refuse would only stop the new figures.
        Err(_) if protection.insiders => {
            let outsiders = Protection { insiders: false, ..protection.clone() };
            let (tables, dossier) = protect(&with_differences, rules, &outsiders, &locked)?;
            (present(&tables, spec), dossier, true)
        }
        Err(no) => return Err(no.into()),
    };
    let tables = if outsiders_only {
        let also = match protect(&raw, rules, protection, &locked) {
            Ok((also, _)) => present(&also, spec),
            Err(_) => alone()?.0,
        };
        raw.tables.truncate(n_present);
        withhold_too(&raw, &locked, &tables, &also, &mut dossier)
    } else {
        tables
    };
    Ok(ProtectedAfter { tables, dossier: of_present(&with_differences, n_present, dossier), outsiders_only })
}

/// Adds what two perimeters isolate together: each unsafe intersection of a cell of today with a cell of an earlier
/// release, and each unsafe difference of two that nest. No table shows them; they are rows to keep hidden all the same.
fn add_differences(raw: &mut RawTables, n_present: usize, spec: &Spec) {
    // Rows that both sides show hold nothing that one release alone does not.
    let mut sides = vec![(false, false); raw.rows.len()];
    for (t, table) in raw.tables.iter().enumerate() {
        for cell in &table.cells {
            let side = &mut sides[cell.row as usize];
            if t < n_present { side.0 = true } else { side.1 = true }
        }
    }
    let mut rows_of: Vec<(Vec<u32>, Vec<u32>)> = vec![Default::default(); raw.atoms.len()];
    for (r, row) in raw.rows.iter().enumerate() {
        for &a in &row.atoms {
            match sides[r] {
                (true, false) => rows_of[a as usize].0.push(r as u32),
                (false, true) => rows_of[a as usize].1.push(r as u32),
                (true, true) | (false, false) => {}
            }
        }
    }
    let mut common: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for (a, (now, before)) in rows_of.iter().enumerate() {
        for &p in now {
            before.iter().for_each(|&e| common.entry((p, e)).or_default().push(a as u32));
        }
    }
    let mut known: HashSet<Vec<u32>> = raw.rows.iter().map(|row| row.atoms.clone()).collect();
    let mut found: Vec<(String, Row)> = Vec::new();
    for ((p, e), common) in common {
        let without = |of: u32| -> Vec<u32> {
            let atoms = raw.rows[of as usize].atoms.iter().copied();
            atoms.filter(|a| common.binary_search(a).is_err()).collect()
        };
        let name = |row: u32| {
            let (table, cell) = name_of(raw, row);
            format!("{table}: {cell}")
        };
        let size = |row: u32| raw.rows[row as usize].atoms.len();
        let mut sets = Vec::new();
        if common.len() == size(p) {
            sets.push((without(e), format!("{} less {}", name(e), name(p))));
        } else if common.len() == size(e) {
            sets.push((without(p), format!("{} less {}", name(p), name(e))));
        } else {
            sets.push((common.clone(), format!("{} within {}", name(p), name(e))));
        }
        for (atoms, label) in sets {
            if atoms.is_empty() || known.contains(&atoms) {
                continue;
            }
            let row = Row::of(atoms.clone(), &raw.atoms);
            known.insert(atoms);
            let (contributions, counts) = raw.largest_first(&row.atoms);
            let cell =
                primary::Cell { establishments: row.establishments, contributions: &contributions, counts: &counts };
            if primary::judge(&cell, &spec.rules, &spec.protection).is_some() {
                found.push((label, row));
            }
        }
    }
    let (labels, rows): (Vec<String>, Vec<Row>) = found.into_iter().unzip();
    let first = raw.rows.len() as u32;
    let cells = (0..rows.len() as u32).map(|i| RawCell { key: vec![(1, i)], row: first + i }).collect();
    let dimensions = vec![RawDimension {
        name: "difference".to_owned(),
        levels: vec!["difference".to_owned()],
        labels: vec![labels],
    }];
    raw.rows.extend(rows);
    raw.tables.push(RawTable { name: "between releases".to_owned(), dimensions, cells, rules: Vec::new() });
}

/// The tables of the present specification, which come first.
fn present(tables: &ProtectedTables, spec: &Spec) -> ProtectedTables {
    ProtectedTables::gather(tables.iter().take(spec.tables.len()).cloned().collect())
}

/// Withholds what `also` withholds, unless an earlier release shows it. To show less never weakens a proof: each of its
/// witnesses keeps all that is shown unchanged.
fn withhold_too(
    raw: &RawTables,
    locked: &[bool],
    tables: &ProtectedTables,
    also: &ProtectedTables,
    dossier: &mut Dossier,
) -> ProtectedTables {
    let mut reasons = dossier.reasons.iter_mut();
    let widened = raw.tables.iter().zip(tables.iter()).zip(also.iter()).map(|((raw_table, table), also)| {
        let mut cells = BTreeMap::new();
        for raw_cell in &raw_table.cells {
            let reason = reasons.next().expect("each cell has a reason");
            let at = place(raw_table, raw_cell);
            let mut cell = table.cell(&at).expect("the same cells");
            if cell != Cell::Suppressed && also.cell(&at) == Some(Cell::Suppressed) && !locked[raw_cell.row as usize] {
                cell = Cell::Suppressed;
                reason.fate = "secondary";
            }
            cells.insert(at, cell);
        }
        ProtectedTable::gather(table.name.clone(), table.dimensions.clone(), cells)
    });
    ProtectedTables::gather(widened.collect())
}

/// All records, each once: the contributor's name, the weight, and the row it has in the present and in each earlier
/// release.
struct Records<'a> {
    ids: Vec<&'a str>,
    contributors: Vec<&'a str>,
    weight: Vec<u64>,
    /// One list a release, the present first; one entry a record.
    row_in: Vec<Vec<Option<u32>>>,
}

const SAME_RECORDS: &str = "the same contributor and weight for each establishment of both releases";

fn join<'a>(micro: &'a Microdata, earlier: &'a [Earlier]) -> Result<Records<'a>, NotProtected> {
    let mut records = Records { ids: vec![], contributors: vec![], weight: vec![], row_in: vec![] };
    let mut place: HashMap<&str, usize> = HashMap::new();
    let releases = std::iter::once(("the present release", micro)).chain(earlier.iter().map(|e| (&*e.name, &e.micro)));
    for (release, (name, micro)) in releases.enumerate() {
        let refuse =
            |found: String, expected| Err(NotProtected::OtherMicrodata { release: name.to_owned(), found, expected });
        let mut rows: Vec<Option<u32>> = vec![None; records.ids.len()];
        let (mut common, mut differing, mut twice) = (0_u64, 0_u64, 0_u64);
        for (row, id) in micro.ids.iter().enumerate() {
            let who = micro.contributors[micro.contributor[row] as usize].as_str();
            let weight = micro.weight[row];
            match place.get(id.as_str()) {
                Some(&at) => {
                    common += 1;
                    differing += u64::from((records.contributors[at], records.weight[at]) != (who, weight));
                    twice += u64::from(rows[at].replace(row as u32).is_some());
                }
                None => {
                    place.insert(id, records.ids.len());
                    records.ids.push(id);
                    records.contributors.push(who);
                    records.weight.push(weight);
                    rows.push(Some(row as u32));
                }
            }
        }
        if twice > 0 {
            return refuse(format!("{twice} establishments twice"), "each establishment once");
        }
        if differing > 0 {
            let found = format!(
                "an earlier release made from other microdata: {differing} of the {common} establishments it shares have \
                 another contributor or weight"
            );
            return refuse(found, SAME_RECORDS);
        }
        if release > 0 && common == 0 && !micro.is_empty() {
            let found = "an earlier release made from other microdata: no establishment in common";
            return refuse(found.to_owned(), "a release of the same people");
        }
        records.row_in.push(rows);
    }
    let n = records.ids.len();
    records.row_in.iter_mut().for_each(|rows| rows.resize(n, None));
    Ok(records)
}

/// `after1/`, `after2/`…: what the names of each earlier release begin with, and no name of the present one does.
fn prefixes(spec: &Spec, n: usize) -> Vec<String> {
    let mut end = "/".to_owned();
    let present = || spec.columns().into_iter().chain(spec.dimensions.keys().map(String::as_str));
    while present().any(|name| name.starts_with("after") && name.contains(&end)) {
        end.push('/');
    }
    (1..=n).map(|k| format!("after{k}{end}")).collect()
}

/// One set of records with the columns of every release, and one specification with the tables of every release, those
/// of the present first.
fn combine(
    micro: &Microdata,
    spec: &Spec,
    earlier: &[Earlier],
    records: &Records<'_>,
    prefixes: &[String],
) -> (Microdata, Spec) {
    let mut columns = Vec::new();
    let mut joint = spec.clone();
    let present = (micro, spec, "");
    let releases =
        std::iter::once(present).chain(earlier.iter().zip(prefixes).map(|(e, p)| (&e.micro, &e.spec, p.as_str())));
    for ((micro, spec, prefix), rows) in releases.zip(&records.row_in) {
        for column in &micro.columns {
            let code = |row: &Option<u32>| Some(column.labels[column.codes[(*row)? as usize]? as usize].as_str());
            let values: Vec<Option<&str>> = rows.iter().map(code).collect();
            columns.push(Column::of(&format!("{prefix}{}", column.name), &values));
        }
        if prefix.is_empty() {
            continue;
        }
        let named = |names: &[String]| names.iter().map(|name| format!("{prefix}{name}")).collect();
        let dimensions = spec.dimensions.iter();
        joint.dimensions.extend(dimensions.map(|(name, d)| {
            (format!("{prefix}{name}"), Dimension { levels: named(&d.levels), bounds: d.bounds.clone() })
        }));
        let tables = spec.tables.iter();
        joint.tables.extend(tables.map(|t| Table {
            name: format!("{prefix}{}", t.name),
            dimensions: named(&t.dimensions),
            depth: t.depth.iter().map(|(name, depth)| (format!("{prefix}{name}"), *depth)).collect(),
            rules: Vec::new(),
        }));
    }
    let ids = records.ids.iter().map(|id| (*id).to_owned()).collect();
    (Microdata::new(ids, &records.contributors, records.weight.clone(), columns), joint)
}

/// The rows that some earlier release shows. Every cell of its tables must be one we cut, with the figures we find.
fn locked(raw: &RawTables, n_present: usize, earlier: &[Earlier]) -> Result<Vec<bool>, NotProtected> {
    let mut locked = vec![false; raw.rows.len()];
    let mut cut = raw.tables[n_present..].iter();
    for release in earlier {
        for table in &release.spec.tables {
            let raw_table = cut.next().expect("each table of the joint specification is cut");
            let refuse = |found: &str| NotProtected::OtherMicrodata {
                release: release.name.clone(),
                found: format!("a table `{}` with {found}", table.name),
                expected: "the tables that its own microdata and specification give",
            };
            let Some(released) = release.tables.iter().find(|t| t.name == table.name) else {
                return Err(refuse("no cell"));
            };
            if released.cells.len() != raw_table.cells.len() {
                return Err(refuse("another number of cells"));
            }
            for cell in &raw_table.cells {
                let row = &raw.rows[cell.row as usize];
                match released.cells.get(&place(raw_table, cell)) {
                    None => return Err(refuse("other cells")),
                    Some(Cell::Suppressed) => {}
                    Some(&Cell::Open { establishments, headcount }) => {
                        if (establishments, headcount) != (row.establishments, row.value) {
                            return Err(refuse("other figures"));
                        }
                        locked[cell.row as usize] = true;
                    }
                }
            }
        }
    }
    Ok(locked)
}

fn place(table: &RawTable, cell: &RawCell) -> Vec<Coordinate> {
    let coordinate = |(d, &(level, code)): (usize, &(u8, u32))| match level.checked_sub(1) {
        None => Coordinate::Total,
        Some(level) => {
            let code = table.dimensions[d].labels[level as usize][code as usize].as_str();
            Coordinate::Code { level, code: code.into() }
        }
    };
    cell.key.iter().enumerate().map(coordinate).collect()
}

/// Keeps the reasons of the present tables, which come first, and counts again.
fn of_present(raw: &RawTables, n_present: usize, mut dossier: Dossier) -> Dossier {
    let cells = raw.tables[..n_present].iter().flat_map(|t| &t.cells);
    dossier.reasons.truncate(cells.clone().count());
    dossier.counts = Counts::default();
    for (cell, reason) in cells.zip(&dossier.reasons) {
        let value = raw.rows[cell.row as usize].value;
        let counts = &mut dossier.counts;
        counts.cells += 1;
        counts.headcount += value;
        match reason.fate {
            "primary" => counts.primary += 1,
            "secondary" => counts.secondary += 1,
            _ => continue,
        }
        counts.headcount_withheld += value;
    }
    dossier
}
