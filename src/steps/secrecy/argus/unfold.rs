//! Records of fixed width as microdata: each hierarchical variable becomes one column a level.

use super::Decimal;
use super::fixed::{Levels, Records, Role, Variable};
use super::hierarchy::Hierarchy;
use crate::model::Unreadable;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Microdata as a table of texts: who holds, what is summed, then the codes. `Debug` shows counts only.
pub struct Unfolded {
    /// The columns: an identifier, the holder, what is summed, and the codes.
    pub header: Vec<String>,
    /// The records.
    pub rows: Vec<Vec<String>>,
    /// The dimensions, each with its levels from coarse to fine.
    pub dimensions: BTreeMap<String, Vec<String>>,
}

impl fmt::Debug for Unfolded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records of {} columns, values withheld", self.rows.len(), self.header.len())
    }
}

/// How the codes of one variable unfold.
enum Unfold<'a> {
    Flat,
    Digits(&'a [usize]),
    Paths(HashMap<&'a str, Vec<&'a str>>, usize),
}

/// Unfolds records. `response` names what is summed; without it the first number is. `hierarchies` are those of the
/// variables that have a file, by variable; a code less deep than others stands at every level below its own. Without a
/// holder every record is its own.
///
/// # Errors
/// No number to sum, a weight of a sample, a negative or fractional number, a code that its hierarchy does not have.
pub fn unfold(
    file: &str,
    variables: &[Variable],
    records: &Records,
    response: Option<&str>,
    hierarchies: &HashMap<String, Hierarchy>,
) -> Result<Unfolded, Unreadable> {
    let refuse = |found: &str, expected: &str| Unreadable::file("asc_variables", file, found, expected);
    let is = |role: Role| move |v: &&Variable| v.role == role;
    if variables.iter().any(|v| v.role == Role::Weight) {
        return Err(refuse("weights of a sample (`<WEIGHT>`)", "records that each count once"));
    }
    let wanted = |v: &&Variable| response.is_none_or(|name| v.name == name);
    let summed = variables.iter().filter(is(Role::Number)).find(wanted);
    let summed = summed.ok_or_else(|| refuse("no number to sum", "a `<NUMERIC>` variable, that is named if any is"))?;
    let holder = variables.iter().find(is(Role::Holding));
    let place = |v: &Variable| variables.iter().position(|other| other.name == v.name).expect("it is one of them");

    let mut header = vec!["siret".to_owned()];
    header.push(holder.map_or_else(|| "siren".to_owned(), |v| v.name.clone()));
    header.push(summed.name.clone());
    let mut dimensions = BTreeMap::new();
    let mut unfolds = Vec::new();
    for v in variables.iter().filter(is(Role::Code)) {
        let (unfold, depth) = match &v.levels {
            Levels::Flat => (Unfold::Flat, 1),
            Levels::Digits(digits) => (Unfold::Digits(digits), digits.len().max(1)),
            Levels::File(name, _) => {
                let missing = || refuse(&format!("no hierarchy `{name}`"), "the file that the `.rda` names");
                let hierarchy = hierarchies.get(&v.name).ok_or_else(missing)?;
                (Unfold::Paths(hierarchy.paths(), hierarchy.depth()), hierarchy.depth())
            }
        };
        let mut levels: Vec<String> = (1..depth).map(|level| format!("{}_{level}", v.name)).collect();
        levels.push(v.name.clone());
        header.extend(levels.iter().cloned());
        dimensions.insert(v.name.clone(), levels);
        unfolds.push((place(v), v, unfold));
    }
    if let Some((at, name)) = header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)) {
        let found = format!("two columns `{name}` (the second is column {})", at + 1);
        return Err(refuse(&found, "variables named otherwise"));
    }

    let mut rows = Vec::with_capacity(records.rows.len());
    for (i, record) in records.rows.iter().enumerate() {
        let fault = |v: &Variable, found: &str, expected: &str| {
            let mut refused = Unreadable::record("asc_record", file, i + 1, found, expected);
            refused.0.field = Some(v.name.clone());
            refused
        };
        let id = (i + 1).to_string();
        let value = Decimal::read(&record[place(summed)]).and_then(Decimal::whole);
        let value = value.ok_or_else(|| fault(summed, "another number", "a whole number, zero or more"))?;
        let mut row = vec![id.clone(), holder.map_or(id, |v| record[place(v)].clone()), value.to_string()];
        for (at, v, unfold) in &unfolds {
            let code = record[*at].as_str();
            match unfold {
                Unfold::Flat => row.push(code.to_owned()),
                Unfold::Digits(digits) => {
                    // A code of fixed width; the first digits of a shorter one are what is there.
                    let mut end = 0;
                    for n in *digits {
                        end += n;
                        row.push(code.chars().take(end).collect());
                    }
                }
                Unfold::Paths(paths, depth) => {
                    let path = paths.get(code);
                    let path =
                        path.ok_or_else(|| fault(v, "another code", "a code with none below it in the `.hrc`"))?;
                    let levels = path.iter().chain(std::iter::repeat(path.last().expect("a path has its code")));
                    row.extend(levels.take(*depth).map(|code| (*code).to_owned()));
                }
            }
        }
        rows.push(row);
    }
    Ok(Unfolded { header, rows, dimensions })
}

#[cfg(test)]
mod tests {
    use super::super::{fixed, hierarchy};
    use super::*;

    const RDA: &str = "who 1 1\n<HOLDING>\nnaf 3 2\n<HIERCODELIST> \"naf.hrc\"\n<HIERLEADSTRING> \"@\"\nplace 6 3\n\
                       <HIERLEVELS> 2 1\nsize 10 1\nheads 12 2\n<NUMERIC>\nother 15 1\n<NUMERIC>\n";

    fn unfolded(rda: &str, asc: &str, response: Option<&str>) -> Result<Unfolded, Unreadable> {
        let variables = fixed::read_rda("m.rda", rda.as_bytes())?;
        let records = fixed::read_asc("m.asc", asc.as_bytes(), &variables)?;
        let naf = hierarchy::read("naf.hrc", b"A\n@01\n@02\nB\n", "@")?;
        unfold("m.asc", &variables, &records, response, &HashMap::from([("naf".to_owned(), naf)]))
    }

    #[test]
    fn each_level_becomes_a_column() {
        let table = unfolded(RDA, "x 01 671 s 12 1\nx  B 672 t  0 2\n", None).unwrap();
        assert_eq!(table.header, ["siret", "who", "heads", "naf_1", "naf", "place_1", "place", "size"]);
        assert_eq!(table.rows[0], ["1", "x", "12", "A", "01", "67", "671", "s"]);
        assert_eq!(table.rows[1], ["2", "x", "0", "B", "B", "67", "672", "t"]);
        assert_eq!(table.dimensions["naf"], ["naf_1", "naf"]);
        let other = unfolded(RDA, "x 01 671 s 12 1\n", Some("other")).unwrap();
        assert_eq!((other.header[2].as_str(), other.rows[0][2].as_str()), ("other", "1"));
        let alone = unfolded(&RDA.replace("<HOLDING>", ""), "x 01 671 s 12 1\n", None).unwrap();
        assert_eq!(alone.header[..4], ["siret", "siren", "heads", "who"]);
    }

    #[test]
    fn records_that_are_no_microdata_are_refused() {
        for (rda, asc, response, found) in [
            (RDA.to_owned(), "x 01 671 s -1 1\n", None, "another number"),
            (RDA.to_owned(), "x 01 671 s .5 1\n", None, "another number"),
            (RDA.to_owned(), "x  A 671 s 12 1\n", None, "another code"),
            (RDA.to_owned(), "x 01 671 s 12 1\n", Some("size"), "no number to sum"),
            (
                RDA.replace("size 10 1\n", "size 10 1\n<WEIGHT>\n"),
                "x 01 671 1 12 1\n",
                None,
                "weights of a sample (`<WEIGHT>`)",
            ),
            (RDA.replace("size", "naf_1"), "x 01 671 s 12 1\n", None, "two columns `naf_1` (the second is column 8)"),
            (RDA.replace("naf 3", "nace 3"), "x 01 671 s 12 1\n", None, "no hierarchy `naf.hrc`"),
        ] {
            assert_eq!(unfolded(&rda, asc, response).unwrap_err().0.found, found, "{asc:?} {response:?}");
        }
    }
}
