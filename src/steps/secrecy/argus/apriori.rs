//! What is known of cells before protection (`.hst`): a line names a cell by its codes, then what is set there.

use super::table::{Fate, split};
use super::{Decimal, decimal, lines};
use crate::model::Unreadable;
use std::fmt::Write as _;

/// Most lines read.
pub const LINES_MAX: usize = 20_000_000;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// A code a dimension, the total's code for totals.
    pub codes: Vec<String>,
    /// What is set.
    pub set: Set,
}

/// What is set of a cell. Figures are texts without needless zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// Its status: `S`, `U`, `P` or `M`.
    Status(Fate),
    /// What withholding it costs: `C`.
    Cost(String),
    /// Its lower and upper protection level: `PL`.
    Levels(String, String),
}

/// Reads an a-priori file for a table of so many dimensions.
///
/// # Errors
/// Another number of fields, an unknown word, a figure that is none, by place, found and expected.
pub fn read(file: &str, bytes: &[u8], separator: char, dimensions: usize) -> Result<Vec<Known>, Unreadable> {
    let mut known = Vec::new();
    for (i, line) in lines(file, bytes)?.iter().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let refuse = |found: &str, expected: &str| Unreadable::record("hst_line", file, i + 1, found, expected);
        if known.len() == LINES_MAX {
            return Err(refuse("too many lines", "20,000,000 at most"));
        }
        let shape = format!("{dimensions} codes, then `S`, `U`, `P`, `M`, `C` with a cost or `PL` with two levels");
        let fields = split(line, separator).filter(|f| f.len() > dimensions);
        let mut fields = fields.ok_or_else(|| refuse("another number of fields", &shape))?;
        let told = fields.split_off(dimensions);
        let told: Vec<&str> = told.iter().map(|t| t.trim()).collect();
        let number = |text: &str| {
            let read = Decimal::read(text).filter(|d| d.units >= 0);
            read.map(|d| decimal(d.units, d.places)).ok_or_else(|| refuse("no number", "a number, zero or more"))
        };
        let word = told[0].to_ascii_uppercase();
        let set = match (word.as_str(), &told[1..]) {
            ("S", []) => Set::Status(Fate::Safe),
            ("U", []) => Set::Status(Fate::Unsafe),
            ("P", []) => Set::Status(Fate::Protected),
            ("M" | "ML", []) => Set::Status(Fate::Secondary),
            ("C" | "W", [cost]) => Set::Cost(number(cost)?),
            ("PL", [lower, upper]) => Set::Levels(number(lower)?, number(upper)?),
            _ => return Err(refuse("another word, or another number of figures", &shape)),
        };
        known.push(Known { codes: fields.into_iter().map(|c| c.trim().to_owned()).collect(), set });
    }
    Ok(known)
}

/// Writes an a-priori file: statuses first, then costs, then levels, since a level is taken for an unsafe cell only.
/// Levels tell much of a value: for the owner alone.
pub fn write(known: &[Known], separator: char) -> Vec<u8> {
    let order = |set: &Set| match set {
        Set::Status(_) => 0,
        Set::Cost(_) => 1,
        Set::Levels(..) => 2,
    };
    let mut sorted: Vec<&Known> = known.iter().collect();
    sorted.sort_by_key(|k| order(&k.set));
    let mut out = String::new();
    for line in sorted {
        line.codes.iter().for_each(|code| out.push_str(&format!("{code}{separator}")));
        let _ = match &line.set {
            Set::Status(fate) => writeln!(out, "{}", fate.letter()),
            Set::Cost(cost) => writeln!(out, "C{separator}{cost}"),
            Set::Levels(lower, upper) => writeln!(out, "PL{separator}{lower}{separator}{upper}"),
        };
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_and_written_back() {
        let text = "A;01;U\nTotal;02;M\nB;Total;S\nA;02;P\nA;03;C;12.5\nA;01;PL;3;4.25\n";
        let known = read("t.hst", text.as_bytes(), ';', 2).unwrap();
        assert_eq!(known[1], Known { codes: vec!["Total".into(), "02".into()], set: Set::Status(Fate::Secondary) });
        assert_eq!(write(&known, ';'), text.as_bytes());
        // Quoted codes, other separators, small letters; statuses come first when written.
        let other = "\"A\",\"01\",pl,3,4.250\n\"A\",\"01\",u\n";
        let known = read("t.hst", other.as_bytes(), ',', 2).unwrap();
        assert_eq!(write(&known, ';'), b"A;01;U\nA;01;PL;3;4.25\n");
    }

    #[test]
    fn a_torn_line_is_refused() {
        for (line, found) in [
            ("A;01", "another number of fields"),
            ("\"A;01;U", "another number of fields"),
            ("A;01;Q", "another word, or another number of figures"),
            ("A;01;U;3", "another word, or another number of figures"),
            ("A;01;PL;3", "another word, or another number of figures"),
            ("A;01;C;NaN", "no number"),
            ("A;01;C;-1", "no number"),
            ("A;01;PL;1;1e40", "no number"),
        ] {
            let error = read("t.hst", format!("A;01;U\n{line}\n").as_bytes(), ';', 2).unwrap_err().0;
            assert_eq!((error.row, error.found.as_str()), (Some(2), found), "{line}");
        }
    }
}
