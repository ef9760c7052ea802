//! What a statistician needs to check us with τ-ARGUS, written from records and a specification, for the owner alone.

use super::super::history::EarlierTable;
use super::super::microdata::{Column, Microdata};
use super::super::policy::{Spec, Zeros};
use super::super::primary::{self, Unsafe};
use super::super::protect::{Cell as Shown, Coordinate};
use super::super::tabulate::{RawDimension, RawTable, RawTables};
use super::apriori::{self, Known, Set};
use super::fixed::{self, Levels, Records, Role, Variable};
use super::hierarchy::{self, Hierarchy};
use super::jj::{self, Equation, Instance, Status};
use super::table::{self, Cells, Fate, Field, Form, Holds};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// The code of every total.
pub const TOTAL: &str = "TOTAL";

/// What marks a level in a hierarchy.
pub const LEADING: &str = "@";

/// A file of raw figures, for the owner alone. `Debug` shows its name and size.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerFile {
    /// Its name, without a folder.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for OwnerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes, values withheld", self.name, self.bytes.len())
    }
}

/// What τ-ARGUS has no way to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: found {found}, expected {expected}")]
pub struct NotExchangeable {
    /// Where.
    pub place: String,
    /// What is there.
    pub found: String,
    /// What τ-ARGUS can say.
    pub expected: &'static str,
}

fn refuse(place: String, found: impl Into<String>, expected: &'static str) -> NotExchangeable {
    NotExchangeable { place, found: found.into(), expected }
}

/// Writes the records (`micro.asc`, `micro.rda`), a `.hrc` for each dimension of several levels, and for each table its
/// cells (`.tab`, `.rda`), what is known of them (`.hst`) and the instance (`.jj`); where there are several tables,
/// `joint.jj` is the instance of all of them together, a cell a distinct sum.
///
/// Establishments have no number there and contributors are numbered afresh: neither is needed to check a table.
/// Withholding a cell costs its value, one at least. Cell i of an instance is line i + 1 of the `.tab`. A cell is unsafe by
/// the rules of the specification; with `released`, the tables of a release, what it withholds besides is secondary.
///
/// # Errors
/// A name or a code that τ-ARGUS cannot hold, a release of other records or tables.
pub fn owner_files(
    micro: &Microdata,
    spec: &Spec,
    raw: &RawTables,
    released: Option<&[EarlierTable]>,
) -> Result<Vec<OwnerFile>, NotExchangeable> {
    let mut files: Vec<OwnerFile> = Vec::new();
    let mut trees: BTreeMap<&str, Tree<'_>> = BTreeMap::new();
    let used: BTreeSet<&String> = spec.tables.iter().flat_map(|t| &t.dimensions).collect();
    for name in used {
        let levels = &spec.dimensions[name].levels;
        let columns: Option<Vec<&Column>> = levels.iter().map(|level| micro.column(level)).collect();
        let columns = columns.ok_or_else(|| refuse(format!("dimension `{name}`"), "no such column", "its levels"))?;
        trees.insert(name, Tree::new(name, &columns)?);
    }
    let depths: BTreeSet<(&str, usize)> = spec
        .tables
        .iter()
        .flat_map(|t| t.dimensions.iter().map(|d| (d.as_str(), spec.depth(t, d))))
        .chain(trees.iter().map(|(name, tree)| (*name, tree.depth())))
        .collect();
    for (name, depth) in depths.into_iter().filter(|d| d.1 > 1) {
        let hierarchy = trees[name].hierarchy(depth);
        files.push(OwnerFile { name: trees[name].file(name, depth), bytes: hierarchy::write(&hierarchy, LEADING) });
    }
    files.extend(microdata(micro, spec, &trees)?);

    let verdicts = primary::judge_rows(raw, &spec.rules, &spec.protection);
    let fates = fates(spec, raw, &verdicts, released)?;
    let mut together = Vec::new();
    for table in &raw.tables {
        let equations = equations(table, &trees);
        together.extend(equations.iter().map(|terms| {
            let mut sum: BTreeMap<u32, i64> = BTreeMap::new();
            terms.iter().for_each(|&(cell, by)| *sum.entry(table.cells[cell as usize].row).or_default() += by);
            sum.into_iter().filter(|(_, by)| *by != 0).collect::<Vec<_>>()
        }));
        let rows: Vec<u32> = table.cells.iter().map(|c| c.row).collect();
        files.extend(of_table(spec, raw, table, &trees, &verdicts, &fates)?);
        let instance = instance(raw, spec, &verdicts, &fates, &rows, equations);
        files.push(OwnerFile { name: format!("{}.jj", table.name), bytes: jj::write(&instance) });
    }
    if raw.tables.len() > 1 {
        together.retain(|terms| !terms.is_empty());
        together.sort_unstable();
        together.dedup();
        let rows: Vec<u32> = (0..raw.rows.len() as u32).collect();
        let instance = instance(raw, spec, &verdicts, &fates, &rows, together);
        files.push(OwnerFile { name: "joint.jj".to_owned(), bytes: jj::write(&instance) });
    }
    let mut names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(refuse(format!("file `{}`", twice[0]), "two files of that name", "tables named otherwise"));
    }
    Ok(files)
}

/// The codes of a dimension, and which lies below which.
struct Tree<'a> {
    /// The codes of each level.
    labels: Vec<&'a [String]>,
    /// For each level but the first, the code above each code.
    above: Vec<HashMap<u32, u32>>,
}

impl<'a> Tree<'a> {
    fn new(name: &str, columns: &[&'a Column]) -> Result<Self, NotExchangeable> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (level, column) in columns.iter().enumerate() {
            for code in &column.labels {
                let place = || format!("dimension `{name}`, column `{}`, code `{code}`", column.name);
                let printable = code.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b';');
                if !printable || code.trim() != code || code.is_empty() || code.starts_with(LEADING) {
                    let expected = "printable ASCII without `\"` and `;`, not after `@`, no space at its ends";
                    return Err(refuse(place(), "a code that τ-ARGUS cannot hold", expected));
                }
                if code.eq_ignore_ascii_case(TOTAL) {
                    return Err(refuse(place(), "the code of the total", "another code"));
                }
                if seen.insert(code, level).is_some() {
                    return Err(refuse(
                        place(),
                        "the same code at two levels",
                        "a code at one level: τ-ARGUS knows it by its text",
                    ));
                }
            }
        }
        let above = columns.windows(2).map(|pair| {
            let coded = pair[1].codes.iter().zip(&pair[0].codes);
            coded.filter_map(|(fine, coarse)| Some(((*fine)?, (*coarse)?))).collect()
        });
        Ok(Self { labels: columns.iter().map(|c| c.labels.as_slice()).collect(), above: above.collect() })
    }

    fn depth(&self) -> usize {
        self.labels.len()
    }

    /// The file of the hierarchy down to so many levels.
    fn file(&self, name: &str, depth: usize) -> String {
        if depth == self.depth() { format!("{name}.hrc") } else { format!("{name}-{depth}.hrc") }
    }

    fn levels(&self, name: &str, depth: usize) -> Levels {
        if depth > 1 { Levels::File(self.file(name, depth), LEADING.to_owned()) } else { Levels::Flat }
    }

    fn hierarchy(&self, depth: usize) -> Hierarchy {
        let mut below: Vec<HashMap<u32, Vec<u32>>> = vec![HashMap::new(); depth];
        for (level, above) in self.above.iter().enumerate().take(depth - 1) {
            let mut pairs: Vec<(u32, u32)> = above.iter().map(|(fine, coarse)| (*coarse, *fine)).collect();
            pairs.sort_unstable();
            pairs.into_iter().for_each(|(coarse, fine)| below[level].entry(coarse).or_default().push(fine));
        }
        let mut codes = Vec::new();
        let mut ahead: Vec<(usize, u32)> = (0..self.labels[0].len() as u32).rev().map(|code| (0, code)).collect();
        while let Some((level, code)) = ahead.pop() {
            codes.push((self.labels[level][code as usize].clone(), level));
            if let Some(children) = below[level].get(&code) {
                ahead.extend(children.iter().rev().map(|child| (level + 1, *child)));
            }
        }
        Hierarchy::new(codes).expect("codes stand once, each below its own")
    }
}

/// A name that τ-ARGUS reads as one word.
fn name_fits(place: &str, name: &str) -> Result<(), NotExchangeable> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let expected = "letters, digits, `_`, `-` and `.`";
    if fits { Ok(()) } else { Err(refuse(format!("{place} `{name}`"), "a name that τ-ARGUS cannot hold", expected)) }
}

/// The records, those of one contributor together.
fn microdata(
    micro: &Microdata,
    spec: &Spec,
    trees: &BTreeMap<&str, Tree<'_>>,
) -> Result<[OwnerFile; 2], NotExchangeable> {
    let variable = |name: &str, role, levels| {
        let total = (role == Role::Code).then(|| TOTAL.to_owned());
        let name = name.to_owned();
        Variable { name, position: 1, width: 1, missing: Vec::new(), role, total, levels, decimals: 0 }
    };
    let mut variables = vec![variable(&spec.contributor, Role::Holding, Levels::Flat)];
    let mut columns = Vec::new();
    for (name, tree) in trees {
        variables.push(variable(name, Role::Code, tree.levels(name, tree.depth())));
        let finest = spec.dimensions[*name].levels.last().and_then(|level| micro.column(level));
        columns.push((*name, finest.ok_or_else(|| refuse(format!("dimension `{name}`"), "no column", "its levels"))?));
    }
    variables.push(variable(&spec.weight, Role::Number, Levels::Flat));
    for (i, v) in variables.iter().enumerate() {
        name_fits("variable", &v.name)?;
        if variables[..i].iter().any(|other| other.name.eq_ignore_ascii_case(&v.name)) {
            return Err(refuse(
                format!("variable `{}`", v.name),
                "that name twice",
                "columns and dimensions named apart",
            ));
        }
    }
    let mut order: Vec<usize> = (0..micro.len()).collect();
    order.sort_by(|&a, &b| (micro.contributor[a], &micro.ids[a]).cmp(&(micro.contributor[b], &micro.ids[b])));
    let mut rows = Vec::with_capacity(order.len());
    for record in order {
        let mut row = vec![(micro.contributor[record] + 1).to_string()];
        for (name, column) in &columns {
            let code = column.codes[record].ok_or_else(|| {
                refuse(format!("dimension `{name}`"), "a record without a code", "a code for each record")
            })?;
            row.push(column.labels[code as usize].clone());
        }
        row.push(micro.weight[record].to_string());
        rows.push(row);
    }
    let (variables, asc) = fixed::write_asc(variables, &Records { rows });
    let rda = fixed::write_rda(&variables);
    Ok([OwnerFile { name: "micro.asc".to_owned(), bytes: asc }, OwnerFile { name: "micro.rda".to_owned(), bytes: rda }])
}

/// What becomes of each row: unsafe by a rule, withheld besides by the release, shown for ever, or free.
fn fates(
    spec: &Spec,
    raw: &RawTables,
    verdicts: &[Option<Unsafe>],
    released: Option<&[EarlierTable]>,
) -> Result<Vec<Status>, NotExchangeable> {
    let by_rule = raw.rows.iter().zip(verdicts).map(|(row, verdict)| match verdict {
        Some(_) => Status::Unsafe,
        None if row.value == 0 && spec.protection.zeros == Zeros::Known => Status::Shown,
        None => Status::Safe,
    });
    let mut fates: Vec<Status> = by_rule.collect();
    let Some(released) = released else { return Ok(fates) };
    for table in &raw.tables {
        let place = || format!("release, table `{}`", table.name);
        let known = released.iter().find(|t| t.name == table.name);
        let known = known.ok_or_else(|| refuse(place(), "no such table", "a release of this specification"))?;
        for cell in &table.cells {
            let shown = known.cells.get(&at(table, &cell.key));
            let shown =
                shown.ok_or_else(|| refuse(place(), "a cell left out", "each cell that holds an establishment"))?;
            let row = &raw.rows[cell.row as usize];
            match shown {
                Shown::Open { headcount, establishments } => {
                    if (*headcount, *establishments) != (row.value, row.establishments) {
                        return Err(refuse(place(), "figures of other records", "a release of these records"));
                    }
                    // What is unsafe and public all the same, an earlier release told.
                    if fates[cell.row as usize] == Status::Unsafe {
                        fates[cell.row as usize] = Status::Shown;
                    }
                }
                Shown::Suppressed => {
                    if fates[cell.row as usize] != Status::Unsafe {
                        fates[cell.row as usize] = Status::Withheld;
                    }
                }
            }
        }
    }
    Ok(fates)
}

fn at(table: &RawTable, key: &[(u8, u32)]) -> Vec<Coordinate> {
    let of = |(&(level, code), dimension): (&(u8, u32), &RawDimension)| match level {
        0 => Coordinate::Total,
        _ => {
            let code = dimension.labels[level as usize - 1][code as usize].as_str().into();
            Coordinate::Code { level: level - 1, code }
        }
    };
    key.iter().zip(&table.dimensions).map(of).collect()
}

/// How far below and above an outsider's interval must reach; nobody is kept from knowing what is public besides.
fn levels(raw: &RawTables, verdicts: &[Option<Unsafe>], row: u32) -> (u64, u64) {
    let of = &raw.rows[row as usize];
    let level = verdicts[row as usize].as_ref().map_or(0, |v| v.level);
    (level.min(of.value - of.least), of.greatest.map_or(level, |end| level.min(end - of.value)))
}

/// The cells of a table, its form, and what is known of them.
fn of_table(
    spec: &Spec,
    raw: &RawTables,
    table: &RawTable,
    trees: &BTreeMap<&str, Tree<'_>>,
    verdicts: &[Option<Unsafe>],
    fates: &[Status],
) -> Result<Vec<OwnerFile>, NotExchangeable> {
    name_fits("table", &table.name)?;
    let mut fields: Vec<Field> = Vec::new();
    for d in &table.dimensions {
        let levels = trees[d.name.as_str()].levels(&d.name, d.levels.len());
        fields.push(Field { name: d.name.clone(), holds: Holds::Code(TOTAL.to_owned(), levels) });
    }
    let figures = [
        (spec.weight.as_str(), Holds::Value),
        ("establishments", Holds::Frequency),
        ("cost", Holds::Cost),
        ("status", Holds::Status),
        ("lower", Holds::Lower),
        ("upper", Holds::Upper),
    ];
    for (name, holds) in figures {
        if fields.iter().any(|f| f.name.eq_ignore_ascii_case(name)) {
            return Err(refuse(
                format!("table `{}`, field `{name}`", table.name),
                "that name twice",
                "dimensions named otherwise",
            ));
        }
        fields.push(Field { name: name.to_owned(), holds });
    }
    let form = Form { separator: ';', statuses: ["S", "U", "P"].map(str::to_owned), fields };
    let mut cells = Vec::new();
    let mut known = Vec::new();
    for cell in &table.cells {
        let row = &raw.rows[cell.row as usize];
        let codes: Vec<String> = at(table, &cell.key)
            .into_iter()
            .map(|c| match c {
                Coordinate::Total => TOTAL.to_owned(),
                Coordinate::Code { code, .. } => code.to_string(),
            })
            .collect();
        let (lower, upper) = levels(raw, verdicts, cell.row);
        let fate = match fates[cell.row as usize] {
            Status::Unsafe => Fate::Unsafe,
            Status::Safe | Status::Withheld | Status::Shown => Fate::Safe,
        };
        match fates[cell.row as usize] {
            Status::Unsafe => {
                known.push(Known { codes: codes.clone(), set: Set::Status(Fate::Unsafe) });
                known.push(Known { codes: codes.clone(), set: Set::Levels(lower.to_string(), upper.to_string()) });
            }
            Status::Withheld => known.push(Known { codes: codes.clone(), set: Set::Status(Fate::Secondary) }),
            Status::Safe | Status::Shown => {}
        }
        cells.push(table::Cell {
            codes,
            value: row.value.to_string(),
            frequency: Some(row.establishments),
            cost: Some(row.value.max(1).to_string()),
            fate: Some(fate),
            levels: Some((lower.to_string(), upper.to_string())),
        });
    }
    let file = |extension: &str, bytes| OwnerFile { name: format!("{}.{extension}", table.name), bytes };
    Ok(vec![
        file("tab", table::write_tab(&form, &Cells { cells })),
        file("rda", table::write_rda(&form)),
        file("hst", apriori::write(&known, ';')),
    ])
}

/// The sums of a table: each cell less those one level finer along one dimension, over places of cells.
fn equations(table: &RawTable, trees: &BTreeMap<&str, Tree<'_>>) -> Vec<Vec<(u32, i64)>> {
    let places: HashMap<&[(u8, u32)], u32> =
        table.cells.iter().enumerate().map(|(place, cell)| (cell.key.as_slice(), place as u32)).collect();
    let mut equations = Vec::new();
    for (d, dimension) in table.dimensions.iter().enumerate() {
        let tree = &trees[dimension.name.as_str()];
        let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (place, cell) in table.cells.iter().enumerate().filter(|(_, c)| c.key[d].0 > 0) {
            let (level, code) = cell.key[d];
            let mut key = cell.key.clone();
            key[d] = if level == 1 { (0, 0) } else { (level - 1, tree.above[level as usize - 2][&code]) };
            below.entry(places[key.as_slice()]).or_default().push(place as u32);
        }
        for (parent, children) in below {
            equations.push(std::iter::once((parent, -1)).chain(children.into_iter().map(|c| (c, 1))).collect());
        }
    }
    equations
}

/// An instance whose cells are these rows, in this order.
fn instance(
    raw: &RawTables,
    spec: &Spec,
    verdicts: &[Option<Unsafe>],
    fates: &[Status],
    rows: &[u32],
    equations: Vec<Vec<(u32, i64)>>,
) -> Instance {
    debug_assert!(spec.tables.len() == raw.tables.len());
    // Further than any level asks, so that it excludes nothing which the equations do not.
    let farthest = |row: &u32| raw.rows[*row as usize].value + levels(raw, verdicts, *row).1;
    let greatest = 10 * (rows.iter().map(farthest).max().unwrap_or(0) + 1);
    let cells = rows.iter().map(|&row| {
        let of = &raw.rows[row as usize];
        let status = fates[row as usize];
        let (lower, upper) = if status == Status::Unsafe { levels(raw, verdicts, row) } else { (0, 0) };
        jj::Cell {
            value: of.value as i64,
            cost: of.value.max(1) as i64,
            status,
            least: of.least as i64,
            greatest: of.greatest.unwrap_or(greatest) as i64,
            lower: lower as i64,
            upper: upper as i64,
            sliding: 0,
        }
    });
    let mut whole: Vec<Equation> = Vec::with_capacity(equations.len());
    for mut terms in equations {
        terms.sort_unstable();
        whole.push(Equation { right: 0, terms });
    }
    Instance { places: 0, cost_places: 0, cells: cells.collect(), equations: whole }
}
