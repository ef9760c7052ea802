//! Records of fixed width (`.asc`) and what their columns are (`.rda`).

use super::{Decimal, byte_lines, lines, text};
use crate::model::Unreadable;
use std::fmt;
use std::fmt::Write as _;

/// Longest line of records, in bytes.
pub const WIDTH_MAX: usize = 10_000;

/// Most records read.
pub const RECORDS_MAX: usize = 20_000_000;

/// A variable as a `.rda` declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its first column, from 1.
    pub position: usize,
    /// Its columns.
    pub width: usize,
    /// Codes that mean a missing one, two at most.
    pub missing: Vec<String>,
    /// What it is for.
    pub role: Role,
    /// The code of its total (`<TOTCODE>`).
    pub total: Option<String>,
    /// How its codes lie above each other.
    pub levels: Levels,
    /// Digits after the point.
    pub decimals: u32,
}

/// What a variable is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A code that tables may be cut by (`<RECODEABLE>`).
    Code,
    /// A number that may be summed (`<NUMERIC>`).
    Number,
    /// The weight of the record in the sample (`<WEIGHT>`).
    Weight,
    /// Who the record belongs to; records of one holder follow each other (`<HOLDING>`).
    Holding,
    /// Whether the holder asked for protection (`<REQUEST>`).
    Request,
}

impl Role {
    fn tag(self) -> &'static str {
        match self {
            Self::Code => "<RECODEABLE>",
            Self::Number => "<NUMERIC>",
            Self::Weight => "<WEIGHT>",
            Self::Holding => "<HOLDING>",
            Self::Request => "<REQUEST>",
        }
    }
}

/// How the codes of a variable lie above each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Levels {
    /// They do not.
    Flat,
    /// By their first digits: how many each level adds (`<HIERLEVELS>`).
    Digits(Vec<usize>),
    /// By a file and the string that marks a level in it (`<HIERCODELIST>`, `<HIERLEADSTRING>`).
    File(String, String),
}

/// Reads a `.rda` of records of fixed width.
///
/// # Errors
/// A tag out of place or unknown, a column that is no number, by place, found and expected.
pub fn read_rda(file: &str, bytes: &[u8]) -> Result<Vec<Variable>, Unreadable> {
    let mut variables: Vec<Variable> = Vec::new();
    for (i, line) in lines(file, bytes)?.iter().enumerate() {
        let refuse =
            |found: &str, expected: &str| Unreadable::record("rda_line", file, i + 1, found, expected.to_owned());
        let tokens = tokens(line).ok_or_else(|| refuse("a quotation without its end", "quotation marks in pairs"))?;
        let Some((first, rest)) = tokens.split_first() else { continue };
        if !first.starts_with('<') {
            let whole = |at: usize| rest.get(at).and_then(|t| t.parse::<usize>().ok()).filter(|n| *n > 0);
            let (Some(position), Some(width)) = (whole(0), whole(1)) else {
                return Err(refuse("a variable without its columns", "its name, first column and width"));
            };
            if position > WIDTH_MAX || width > WIDTH_MAX {
                return Err(refuse("a column too far right", &format!("{WIDTH_MAX} columns at most")));
            }
            if variables.iter().any(|v| v.name == *first) {
                return Err(refuse("a variable met before", "each variable once"));
            }
            variables.push(Variable {
                name: first.clone(),
                position,
                width,
                missing: rest.iter().skip(2).take(2).cloned().collect(),
                role: Role::Code,
                total: None,
                levels: Levels::Flat,
                decimals: 0,
            });
            continue;
        }
        if first == "<SEPARATOR>" || first == "<SPSS>" {
            return Err(refuse("records that are not of fixed width", "a `.rda` of records of fixed width"));
        }
        let variable = variables.last_mut().ok_or_else(|| refuse("a tag first", "a variable, then its tags"))?;
        let one = || rest.first().cloned().ok_or_else(|| refuse("a tag without its value", "a value after the tag"));
        match first.as_str() {
            "<RECODEABLE>" | "<RECODABLE>" => variable.role = Role::Code,
            "<NUMERIC>" => variable.role = Role::Number,
            "<WEIGHT>" => variable.role = Role::Weight,
            "<HOLDING>" => variable.role = Role::Holding,
            "<REQUEST>" => variable.role = Role::Request,
            "<TOTCODE>" => variable.total = Some(one()?),
            "<DECIMALS>" => {
                let places = one()?.parse().ok().filter(|p| *p <= super::PLACES_MAX);
                variable.decimals = places.ok_or_else(|| refuse("other decimals", "a whole number, 9 at most"))?;
            }
            // A hierarchy is told by its file or by its digits.
            "<HIERARCHICAL>" => {}
            "<HIERCODELIST>" => {
                let mark = match &variable.levels {
                    Levels::File(_, mark) => mark.clone(),
                    Levels::Flat | Levels::Digits(_) => ".".to_owned(),
                };
                variable.levels = Levels::File(one()?, mark);
            }
            "<HIERLEADSTRING>" => {
                let name = match &variable.levels {
                    Levels::File(name, _) => name.clone(),
                    Levels::Flat | Levels::Digits(_) => String::new(),
                };
                variable.levels = Levels::File(name, one()?);
            }
            "<HIERLEVELS>" => {
                let digits: Option<Vec<usize>> = rest.iter().map(|t| t.parse().ok()).collect();
                let digits = digits.map(|d| d.into_iter().filter(|n| *n > 0).collect::<Vec<_>>());
                let fits = |d: &Vec<usize>| {
                    let sum = d.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n));
                    sum == Some(variable.width) && d.len() <= super::hierarchy::LEVELS_MAX
                };
                let digits = digits.filter(fits);
                let digits = digits.ok_or_else(|| refuse("other digits", "numbers that sum to the width"))?;
                variable.levels = Levels::Digits(digits);
            }
            // Labels, distances between codes and truncation serve the screen alone.
            "<CODELIST>" | "<DISTANCE>" | "<TRUNCABLE>" => {}
            _ => return Err(refuse("an unknown tag", "a tag of records of fixed width")),
        }
    }
    if let Some(v) = variables.iter().find(|v| matches!(&v.levels, Levels::File(name, _) if name.is_empty())) {
        let place = format!("{file}, variable `{}`", v.name);
        return Err(Unreadable::file("rda_variable", place, "a leading string without a file", "`<HIERCODELIST>` too"));
    }
    if variables.is_empty() {
        return Err(Unreadable::file("rda_empty", file, "no variable", "one variable or more"));
    }
    Ok(variables)
}

/// Words and quotations of a line; `None` when a quotation does not end.
pub(super) fn tokens(line: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (token, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len())),
        };
        tokens.push(token.to_owned());
        rest = after.trim_start();
    }
    Some(tokens)
}

/// Writes a `.rda`, as [`read_rda`] takes it.
pub fn write_rda(variables: &[Variable]) -> Vec<u8> {
    let mut out = String::new();
    for v in variables {
        let _ = write!(out, "{} {} {}", v.name, v.position, v.width);
        v.missing.iter().for_each(|code| out.push_str(&format!(" \"{code}\"")));
        let _ = write!(out, "\n  {}\n", v.role.tag());
        if let Some(total) = &v.total {
            let _ = writeln!(out, "  <TOTCODE> \"{total}\"");
        }
        out.push_str(&written(&v.levels));
        if matches!(v.role, Role::Number | Role::Weight) {
            let _ = writeln!(out, "  <DECIMALS> {}", v.decimals);
        }
    }
    out.into_bytes()
}

/// The lines of a `.rda` on how codes lie above each other.
pub(super) fn written(levels: &Levels) -> String {
    match levels {
        Levels::Flat => String::new(),
        Levels::Digits(digits) => {
            let digits: Vec<String> = digits.iter().map(usize::to_string).collect();
            format!("  <HIERARCHICAL>\n  <HIERLEVELS> {}\n", digits.join(" "))
        }
        Levels::File(name, mark) => {
            format!("  <HIERARCHICAL>\n  <HIERCODELIST> \"{name}\"\n  <HIERLEADSTRING> \"{mark}\"\n")
        }
    }
}

/// Records: a text for each variable, spaces around it left out. `Debug` shows counts only.
#[derive(Clone, PartialEq, Eq)]
pub struct Records {
    /// One a record; each has one text a variable.
    pub rows: Vec<Vec<String>>,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, values withheld", self.rows.len())
    }
}

/// Reads an `.asc` by its variables.
///
/// Columns are bytes, as τ-ARGUS counts them.
///
/// # Errors
/// A line too short for a variable, a number that is none, holders that are not together, by place, found, expected.
pub fn read_asc(file: &str, bytes: &[u8], variables: &[Variable]) -> Result<Records, Unreadable> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let holding = variables.iter().position(|v| v.role == Role::Holding);
    let mut holders = std::collections::HashSet::new();
    for (i, line) in byte_lines(file, bytes)?.enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let refuse = |v: &Variable, found: &str, expected: String| {
            let mut refused = Unreadable::record("asc_line", file, i + 1, found, expected);
            refused.0.field = Some(v.name.clone());
            refused
        };
        if rows.len() == RECORDS_MAX {
            return Err(Unreadable::record(
                "asc_line",
                file,
                i + 1,
                "too many records",
                format!("{RECORDS_MAX} at most"),
            ));
        }
        let mut row = Vec::with_capacity(variables.len());
        for v in variables {
            let end = v.position - 1 + v.width;
            // Old files cut the spaces at the end of a line, so the last columns may be missing, but not all of them.
            let field = line.get(v.position - 1..end.min(line.len()));
            let expected = || format!("columns {} to {end}", v.position);
            let field = text(field.ok_or_else(|| refuse(v, "a line too short", expected()))?.trim_ascii());
            if matches!(v.role, Role::Number | Role::Weight) && Decimal::read(&field).is_none() {
                return Err(refuse(v, "no number", format!("a number in columns {} to {end}", v.position)));
            }
            row.push(field);
        }
        if let Some(h) = holding
            && rows.last().is_none_or(|last| last[h] != row[h])
            && !holders.insert(row[h].clone())
        {
            return Err(refuse(&variables[h], "a holder met before", "the records of one holder together".to_owned()));
        }
        rows.push(row);
    }
    Ok(Records { rows })
}

/// Lays texts out in columns, a space between them: the variables with their places, and the lines. Raw figures: for
/// the owner alone.
pub fn write_asc(mut variables: Vec<Variable>, records: &Records) -> (Vec<Variable>, Vec<u8>) {
    let mut position = 1;
    for (i, v) in variables.iter_mut().enumerate() {
        v.width = records.rows.iter().map(|row| row[i].len()).max().unwrap_or(0).max(1);
        v.position = position;
        position += v.width + 1;
    }
    let mut out = String::new();
    for row in &records.rows {
        for (i, (v, text)) in variables.iter().zip(row).enumerate() {
            let space = if i == 0 { "" } else { " " };
            let _ = write!(out, "{space}{}{text}", " ".repeat(v.width - text.len()));
        }
        out.push('\n');
    }
    (variables, out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, role: Role, levels: Levels) -> Variable {
        let total = (role == Role::Code).then(|| "Total".to_owned());
        let name = name.to_owned();
        Variable { name, position: 1, width: 1, missing: Vec::new(), role, total, levels, decimals: 0 }
    }

    #[test]
    fn records_are_written_and_read_back() {
        let variables = vec![
            variable("who", Role::Holding, Levels::Flat),
            variable("naf", Role::Code, Levels::File("naf.hrc".into(), "@".into())),
            variable("place", Role::Code, Levels::Digits(vec![2, 1])),
            variable("heads", Role::Number, Levels::Flat),
        ];
        let row = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
        let records = Records {
            rows: vec![row(["1", "01", "671", "5"]), row(["1", "A2", "672", "1200"]), row(["22", "01", "671", "0"])],
        };
        let (variables, asc) = write_asc(variables, &records);
        assert_eq!(asc, b" 1 01 671    5\n 1 A2 672 1200\n22 01 671    0\n");
        let rda = write_rda(&variables);
        assert_eq!(read_rda("m.rda", &rda).unwrap(), variables);
        assert!(read_asc("m.asc", &asc, &variables).unwrap() == records);
    }

    #[test]
    fn a_description_that_is_none_is_refused_by_its_line() {
        for (text, row, found) in [
            ("<RECODEABLE>\n", Some(1), "a tag first"),
            ("a 1\n", Some(1), "a variable without its columns"),
            ("a 0 2\n", Some(1), "a variable without its columns"),
            ("a 1 99999999999999999999\n", Some(1), "a variable without its columns"),
            ("a 1 20000\n", Some(1), "a column too far right"),
            ("a 1 2\n<NUMERIC>\na 3 2\n", Some(3), "a variable met before"),
            ("a 1 2\n  <COLOUR>\n", Some(2), "an unknown tag"),
            ("a 1 2\n  <TOTCODE>\n", Some(2), "a tag without its value"),
            ("a 1 2\n  <TOTCODE> \"T\n", Some(2), "a quotation without its end"),
            ("a 1 2\n  <DECIMALS> 99\n", Some(2), "other decimals"),
            ("a 1 2\n  <HIERLEVELS> 1 2\n", Some(2), "other digits"),
            ("a 1 2\n  <HIERLEVELS> 18446744073709551615 3\n", Some(2), "other digits"),
            ("a 1 2\n  <HIERLEADSTRING> \"@\"\n", None, "a leading string without a file"),
            ("<SEPARATOR> \";\"\na\n", Some(1), "records that are not of fixed width"),
            ("", None, "no variable"),
        ] {
            let error = read_rda("m.rda", text.as_bytes()).unwrap_err().0;
            assert_eq!((error.row, error.found.as_str()), (row, found), "{text:?}");
        }
    }

    #[test]
    fn a_torn_record_is_refused_by_its_line() {
        let variables = read_rda("m.rda", b"who 1 2\n<HOLDING>\nz 4 1\nheads 6 3\n<NUMERIC>\n").unwrap();
        let read = |text: &str| read_asc("m.asc", text.as_bytes(), &variables);
        assert_eq!(read(" 1 A  12\n\n 1 B  13\n 2 A 1\n").unwrap().rows.len(), 3);
        for (text, row, field, found) in [
            (" 1 A  12\n 1\n", 2, "z", "a line too short"),
            (" 1 A  12\n 2 A NaN\n", 2, "heads", "no number"),
            (" 1 A  12\n 2 A\n", 2, "heads", "a line too short"),
            (" 1 A  12\n 2 A  13\n 1 A  14\n", 3, "who", "a holder met before"),
        ] {
            let error = read(text).unwrap_err().0;
            let place = (error.row, error.field.as_deref(), error.found.as_str());
            assert_eq!(place, (Some(row), Some(field), found), "{text:?}");
        }
    }
}
