//! Tables (`.tab`): a line a cell with its codes, figures, status and levels, and the `.rda` that names the fields.

use super::fixed::{Levels, tokens, written};
use super::{Decimal, decimal, lines};
use crate::model::Unreadable;
use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;

/// Most cells of a table.
pub const CELLS_MAX: usize = 20_000_000;

/// Most fields of a line.
const FIELDS_MAX: usize = 100;

/// The fields of a table, in the order of each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What stands between fields.
    pub separator: char,
    /// The texts of the status field, for a safe, an unsafe and a protected cell.
    pub statuses: [String; 3],
    /// The fields.
    pub fields: Vec<Field>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A code of a dimension: the code of its total, and how its codes lie above each other.
    Code(String, Levels),
    /// What is summed (`<NUMERIC>`).
    Value,
    /// How many contribute (`<FREQUENCY>`).
    Frequency,
    /// What withholding the cell costs (`<NUMERIC> <COSTVAR>`).
    Cost,
    /// What dominance is judged by (`<NUMERIC> <SHADOW>`).
    Shadow,
    /// One of the largest contributions (`<MAXSCORE>`).
    Largest,
    /// The status (`<STATUS>`).
    Status,
    /// How far below the value an outsider's interval must begin (`<NUMERIC> <LOWERPL>`).
    Lower,
    /// How far above it must end (`<NUMERIC> <UPPERPL>`).
    Upper,
}

/// What becomes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// `S`: nothing keeps it from being shown.
    Safe,
    /// `U`: a rule makes it unsafe.
    Unsafe,
    /// `P`: it must stay shown.
    Protected,
    /// `M`: withheld to protect others, as τ-ARGUS writes it after suppression.
    Secondary,
}

impl Fate {
    /// Its letter.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Safe => "S",
            Self::Unsafe => "U",
            Self::Protected => "P",
            Self::Secondary => "M",
        }
    }
}

/// A cell; figures a table does not have are absent. Whole units of 10^-places, as in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Cell {
    /// A code a dimension, the total's code for totals.
    pub codes: Vec<String>,
    /// What is summed, as text without needless zeros.
    pub value: String,
    /// How many contribute.
    pub frequency: Option<u64>,
    /// What withholding it costs.
    pub cost: Option<String>,
    /// Its status.
    pub fate: Option<Fate>,
    /// Its lower and upper protection level.
    pub levels: Option<(String, String)>,
}

/// A table read. `Debug` shows counts only.
#[derive(Clone, PartialEq, Eq)]
pub struct Cells {
    /// In the order of the file.
    pub cells: Vec<Cell>,
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cells, values withheld", self.cells.len())
    }
}

/// Reads the `.rda` of a table.
///
/// # Errors
/// A tag out of place or unknown, by place, found and expected.
pub fn read_rda(file: &str, bytes: &[u8]) -> Result<Form, Unreadable> {
    let mut form = Form { separator: ';', statuses: ["S", "U", "P"].map(str::to_owned), fields: Vec::new() };
    for (i, line) in lines(file, bytes)?.iter().enumerate() {
        let refuse = |found: &str, expected: &str| Unreadable::record("rda_line", file, i + 1, found, expected);
        let tokens = tokens(line).ok_or_else(|| refuse("a quotation without its end", "quotation marks in pairs"))?;
        let Some((first, rest)) = tokens.split_first() else { continue };
        if !first.starts_with('<') {
            if form.fields.len() == FIELDS_MAX || form.fields.iter().any(|f| f.name == *first) {
                return Err(refuse("a field met before, or too many", "each field once, 100 at most"));
            }
            form.fields.push(Field { name: first.clone(), holds: Holds::Value });
            continue;
        }
        let one = || rest.first().cloned().ok_or_else(|| refuse("a tag without its value", "a value after the tag"));
        match first.as_str() {
            "<SEPARATOR>" => {
                let text = one()?;
                let mut letters = text.chars();
                form.separator = match (letters.next(), letters.next()) {
                    (Some(only), None) if only != '"' => only,
                    _ => return Err(refuse("another separator", "one character")),
                };
                continue;
            }
            "<SAFE>" => form.statuses[0] = one()?,
            "<UNSAFE>" => form.statuses[1] = one()?,
            "<PROTECT>" => form.statuses[2] = one()?,
            _ => {
                let field = form.fields.last_mut().ok_or_else(|| refuse("a tag first", "a field, then its tags"))?;
                tag(field, first, rest, one).map_err(|(found, expected)| match found {
                    "" => one().err().unwrap_or_else(|| refuse("another value", expected)),
                    _ => refuse(found, expected),
                })?;
            }
        }
    }
    let none = |found: &str, expected: &str| Err(Unreadable::file("rda_fields", file, found, expected));
    let count = |holds: &dyn Fn(&Holds) -> bool| form.fields.iter().filter(|f| holds(&f.holds)).count();
    if count(&|h| matches!(h, Holds::Code(..))) == 0 {
        return none("no dimension", "one `<RECODEABLE>` field or more");
    }
    if count(&|h| *h == Holds::Value) != 1 {
        return none("another number of values", "one plain `<NUMERIC>` field");
    }
    for one in [Holds::Frequency, Holds::Cost, Holds::Status, Holds::Lower, Holds::Upper] {
        if count(&|h| *h == one) > 1 {
            return none("a kind of field twice", "one frequency, cost, status, lower and upper level at most");
        }
    }
    Ok(form)
}

/// Applies a tag to a field; the fault is found and expected, found empty for a tag without its value.
fn tag(
    field: &mut Field,
    tag: &str,
    rest: &[String],
    one: impl Fn() -> Result<String, Unreadable>,
) -> Result<(), (&'static str, &'static str)> {
    let value = || one().map_err(|_| ("", "a value after the tag"));
    let not_code = ("a tag of dimensions", "`<RECODEABLE>` before it");
    match tag {
        "<RECODEABLE>" | "<RECODABLE>" => field.holds = Holds::Code("Total".to_owned(), Levels::Flat),
        "<TOTCODE>" => match &mut field.holds {
            Holds::Code(total, _) => *total = value()?,
            _ => return Err(not_code),
        },
        "<HIERCODELIST>" => match &mut field.holds {
            Holds::Code(_, levels) => *levels = Levels::File(value()?, ".".to_owned()),
            _ => return Err(not_code),
        },
        "<HIERLEADSTRING>" => match &mut field.holds {
            Holds::Code(_, Levels::File(_, mark)) => *mark = value()?,
            _ => return Err(("a leading string", "`<HIERCODELIST>` before it")),
        },
        "<HIERLEVELS>" => match &mut field.holds {
            Holds::Code(_, levels) => {
                let digits: Option<Vec<usize>> = rest.iter().map(|t| t.parse().ok()).collect();
                *levels = Levels::Digits(digits.ok_or(("other digits", "whole numbers"))?);
            }
            _ => return Err(not_code),
        },
        "<NUMERIC>" => {
            field.holds = match rest.first().map(String::as_str) {
                None => Holds::Value,
                Some("<SHADOW>") => Holds::Shadow,
                Some("<COST>" | "<COSTVAR>") => Holds::Cost,
                Some("<LOWERPL>") => Holds::Lower,
                Some("<UPPERPL>") => Holds::Upper,
                Some(_) => return Err(("another kind of number", "`<SHADOW>`, `<COSTVAR>`, `<LOWERPL>`, `<UPPERPL>`")),
            }
        }
        "<FREQUENCY>" => field.holds = Holds::Frequency,
        "<MAXSCORE>" => field.holds = Holds::Largest,
        "<STATUS>" => field.holds = Holds::Status,
        // Decimals are read off the figures; labels, distances and the word for a hierarchy serve the screen alone.
        "<DECIMALS>" | "<DISTANCE>" | "<CODELIST>" | "<HIERARCHICAL>" => {}
        _ => return Err(("an unknown tag", "a tag of tables")),
    }
    Ok(())
}

/// Writes the `.rda` of a table, as [`read_rda`] takes it.
pub fn write_rda(form: &Form) -> Vec<u8> {
    let mut out = format!("  <SEPARATOR> \"{}\"\n", form.separator);
    for (tag, text) in ["SAFE", "UNSAFE", "PROTECT"].iter().zip(&form.statuses) {
        let _ = writeln!(out, "  <{tag}> \"{text}\"");
    }
    for field in &form.fields {
        let _ = writeln!(out, "{}", field.name);
        match &field.holds {
            Holds::Code(total, levels) => {
                let _ = write!(out, "  <RECODEABLE>\n  <TOTCODE> \"{total}\"\n{}", written(levels));
            }
            Holds::Value => out.push_str("  <NUMERIC>\n  <DECIMALS> 0\n"),
            Holds::Frequency => out.push_str("  <FREQUENCY>\n"),
            Holds::Cost => out.push_str("  <NUMERIC> <COSTVAR>\n"),
            Holds::Shadow => out.push_str("  <NUMERIC> <SHADOW>\n"),
            Holds::Largest => out.push_str("  <MAXSCORE>\n"),
            Holds::Status => out.push_str("  <STATUS>\n"),
            Holds::Lower => out.push_str("  <NUMERIC> <LOWERPL>\n"),
            Holds::Upper => out.push_str("  <NUMERIC> <UPPERPL>\n"),
        }
    }
    out.into_bytes()
}

/// Reads the cells of a table by its form.
///
/// # Errors
/// Another number of fields, a figure that is none, an unknown status, a cell twice, by place, found and expected.
pub fn read_tab(file: &str, bytes: &[u8], form: &Form) -> Result<Cells, Unreadable> {
    let mut cells = Vec::new();
    let mut seen = HashSet::new();
    for (i, line) in lines(file, bytes)?.iter().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let refuse = |field: Option<&Field>, found: &str, expected: &str| {
            let mut refused = Unreadable::record("tab_line", file, i + 1, found, expected);
            refused.0.field = field.map(|f| f.name.clone());
            refused
        };
        if cells.len() == CELLS_MAX {
            return Err(refuse(None, "too many cells", "20,000,000 at most"));
        }
        let texts = split(line, form.separator);
        let texts = texts.filter(|t| t.len() == form.fields.len());
        let texts = texts.ok_or_else(|| refuse(None, "another number of fields", "the fields of the `.rda`"))?;
        let mut cell =
            Cell { codes: Vec::new(), value: String::new(), frequency: None, cost: None, fate: None, levels: None };
        let (mut lower, mut upper) = (None, None);
        for (field, text) in form.fields.iter().zip(&texts) {
            let text = text.trim();
            let number = || {
                let read = Decimal::read(text).map(|d| decimal(d.units, d.places));
                read.ok_or_else(|| refuse(Some(field), "no number", "a number"))
            };
            match &field.holds {
                Holds::Code(total, _) => {
                    cell.codes.push(if text.is_empty() { total.clone() } else { text.to_owned() });
                }
                Holds::Value => cell.value = number()?,
                Holds::Frequency => {
                    let count = Decimal::read(text).and_then(Decimal::whole);
                    cell.frequency = Some(count.ok_or_else(|| refuse(Some(field), "no count", "a whole number"))?);
                }
                Holds::Cost => cell.cost = Some(number()?),
                Holds::Shadow | Holds::Largest => {
                    number()?;
                }
                Holds::Status => {
                    let [safe, of_rule, shown] = &form.statuses;
                    cell.fate = Some(match text {
                        _ if text == safe => Fate::Safe,
                        _ if text == of_rule => Fate::Unsafe,
                        _ if text == shown => Fate::Protected,
                        "M" | "D" => Fate::Secondary,
                        _ => return Err(refuse(Some(field), "another status", "a status the `.rda` names, or `M`")),
                    });
                }
                Holds::Lower => lower = Some(number()?),
                Holds::Upper => upper = Some(number()?),
            }
        }
        cell.levels = lower.zip(upper);
        if !seen.insert(cell.codes.clone()) {
            return Err(refuse(None, "a cell met before", "each cell once"));
        }
        cells.push(cell);
    }
    Ok(Cells { cells })
}

/// The fields of a line; quotation marks are taken off. `None` when one does not end.
pub(super) fn split(line: &str, separator: char) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches(' ');
        let (field, after) = match trimmed.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(field, after)| (field, after.trim_start_matches(' ')))?,
            None => rest.split_at(rest.find(separator).unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// Writes the cells of a table by its form; figures a cell does not have are zero. Raw figures: for the owner alone.
pub fn write_tab(form: &Form, cells: &Cells) -> Vec<u8> {
    let mut out = String::new();
    for cell in &cells.cells {
        let mut codes = cell.codes.iter();
        for (i, field) in form.fields.iter().enumerate() {
            if i > 0 {
                out.push(form.separator);
            }
            let levels = cell.levels.as_ref();
            let text = match &field.holds {
                Holds::Code(..) => format!("\"{}\"", codes.next().map_or("", String::as_str)),
                Holds::Value => cell.value.clone(),
                Holds::Frequency => cell.frequency.unwrap_or(0).to_string(),
                Holds::Cost => cell.cost.clone().unwrap_or_else(|| "0".to_owned()),
                Holds::Shadow | Holds::Largest => "0".to_owned(),
                Holds::Status => match cell.fate.unwrap_or(Fate::Safe) {
                    Fate::Safe => form.statuses[0].clone(),
                    Fate::Unsafe => form.statuses[1].clone(),
                    Fate::Protected => form.statuses[2].clone(),
                    Fate::Secondary => "M".to_owned(),
                },
                Holds::Lower => levels.map_or_else(|| "0".to_owned(), |l| l.0.clone()),
                Holds::Upper => levels.map_or_else(|| "0".to_owned(), |l| l.1.clone()),
            };
            out.push_str(&text);
        }
        out.push('\n');
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RDA: &str = "  <SEPARATOR> \";\"\n  <SAFE> \"S\"\n  <UNSAFE> \"U\"\n  <PROTECT> \"P\"\nsize\n  <RECODEABLE>\n  \
                       <TOTCODE> \"T\"\nnaf\n  <RECODEABLE>\n  <TOTCODE> \"T\"\n  <HIERARCHICAL>\n  <HIERCODELIST> \
                       \"naf.hrc\"\n  <HIERLEADSTRING> \"@\"\nheads\n  <NUMERIC>\n  <DECIMALS> 0\nfirms\n  \
                       <FREQUENCY>\ncost\n  <NUMERIC> <COSTVAR>\nstatus\n  <STATUS>\nlow\n  <NUMERIC> \
                       <LOWERPL>\nhigh\n  <NUMERIC> <UPPERPL>\n";

    #[test]
    fn a_table_is_read_and_written_back() {
        let form = read_rda("t.rda", RDA.as_bytes()).unwrap();
        assert_eq!(write_rda(&form), RDA.as_bytes());
        let text = "\"T\";\"T\";30;4;30;S;0;0\n\"1;2\";\"A\";10.5;1;10;U;1;2.25\n\"1;2\";\"01\";19.5;3;0;M;0;0\n";
        let cells = read_tab("t.tab", text.as_bytes(), &form).unwrap();
        assert_eq!(cells.cells[1].codes, ["1;2", "A"]);
        assert_eq!(cells.cells[1].fate, Some(Fate::Unsafe));
        assert_eq!(cells.cells[1].levels, Some(("1".to_owned(), "2.25".to_owned())));
        assert_eq!(write_tab(&form, &cells), text.as_bytes());
        assert_eq!(format!("{cells:?}"), "3 cells, values withheld");
        // As others write it: a comma for the point, a total left empty, spaces in a code's quotation.
        let other = "\"\";\"\";30,00;4;30;S;0;0\n\"1;2\";\" A\";10,5;1;10;U;1;2,25\n\"1;2\";\"01\";19,5;3;0;M;0;0\n";
        assert!(read_tab("t.tab", other.as_bytes(), &form).unwrap() == cells);
    }

    #[test]
    fn a_torn_table_is_refused_by_its_line() {
        let form = read_rda("t.rda", RDA.as_bytes()).unwrap();
        for (line, field, found) in [
            ("\"T\";\"T\";30;4;30;S;0", None, "another number of fields"),
            ("\"T\";\"T;30;4;30;S;0;0", None, "another number of fields"),
            ("\"T\"x;\"T\";30;4;30;S;0;0", None, "another number of fields"),
            ("\"T\";\"T\";NaN;4;30;S;0;0", Some("heads"), "no number"),
            ("\"T\";\"T\";30;4.5;30;S;0;0", Some("firms"), "no count"),
            ("\"T\";\"T\";30;4;30;Q;0;0", Some("status"), "another status"),
            ("\"T\";\"T\";30;4;1e99;S;0;0", Some("cost"), "no number"),
            ("\"A\";\"B\";30;4;30;S;0;0", None, "a cell met before"),
        ] {
            let text = format!("\"A\";\"B\";30;4;30;S;0;0\n{line}\n");
            let error = read_tab("t.tab", text.as_bytes(), &form).unwrap_err().0;
            let place = (error.row, error.field.as_deref(), error.found.as_str());
            assert_eq!(place, (Some(2), field, found), "{line}");
        }
        for (text, found) in [
            ("a\n<NUMERIC>\n", "no dimension"),
            ("a\n<RECODEABLE>\n", "another number of values"),
            ("a\n<RECODEABLE>\nb\nc\n<STATUS>\nd\n<STATUS>\n", "a kind of field twice"),
            ("a\n<TOTCODE> \"T\"\n", "a tag of dimensions"),
            ("a\n<RECODEABLE>\n<TOTCODE>\n", "a tag without its value"),
            ("a\n<NUMERIC> <PINK>\n", "another kind of number"),
            ("<SEPARATOR> \";;\"\n", "another separator"),
            ("a\na\n", "a field met before, or too many"),
        ] {
            assert_eq!(read_rda("t.rda", text.as_bytes()).unwrap_err().0.found, found, "{text:?}");
        }
    }
}
