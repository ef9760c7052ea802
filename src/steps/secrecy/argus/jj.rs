//! JJ instances: cells with bounds, costs and protection levels, and the equations between them.
//!
//! The form is the one that τ-ARGUS hands to its optimal method and that the instances of Fischetti and Salazar
//! (Management Science 47, 2001) are kept in: `0`; the number of cells; a line a cell with its number from 0, value, cost,
//! status, least and greatest value an outsider takes for possible, lower, upper and sliding protection level; the
//! number of equations; a line an equation, `right-hand side, number of terms : cell (coefficient) …`.

use super::{Decimal, PLACES_MAX, decimal, lines};
use crate::model::Unreadable;
use std::fmt;
use std::fmt::Write as _;

/// Most cells read: a hundred times the largest instance we know of.
pub const CELLS_MAX: usize = 2_000_000;

/// Most terms of all equations together.
pub const TERMS_MAX: usize = 20_000_000;

/// Largest coefficient of an equation; those of tables are 1 and -1.
const COEFFICIENT_MAX: i64 = 1_000_000;

/// An instance. Every figure is a whole number of units of 10^-`places`, so that nothing is lost to rounding; raw
/// figures, so `Debug` shows counts only.
#[derive(Clone, PartialEq, Eq)]
pub struct Instance {
    /// Digits after the point of values, bounds and levels.
    pub places: u32,
    /// Digits after the point of costs.
    pub cost_places: u32,
    /// The cells, in the order of their numbers.
    pub cells: Vec<Cell>,
    /// The equations that all values satisfy.
    pub equations: Vec<Equation>,
}

/// A cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Its true value.
    pub value: i64,
    /// What withholding it costs; never negative.
    pub cost: i64,
    /// What is known of its fate.
    pub status: Status,
    /// The least value that an outsider takes for possible.
    pub least: i64,
    /// The greatest.
    pub greatest: i64,
    /// How far below the value an outsider's interval must begin.
    pub lower: i64,
    /// How far above the value it must end.
    pub upper: i64,
    /// How wide it must be.
    pub sliding: i64,
}

/// What is known of a cell's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `s`: shown, unless others need it withheld.
    Safe,
    /// `u`: unsafe, so withheld, and to be protected as far as its levels ask.
    Unsafe,
    /// `m`: withheld already, to protect others.
    Withheld,
    /// `z`: shown in any case.
    Shown,
}

impl Status {
    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::Safe => 's',
            Self::Unsafe => 'u',
            Self::Withheld => 'm',
            Self::Shown => 'z',
        }
    }
}

/// A linear relation between cells.
#[derive(Clone, PartialEq, Eq)]
pub struct Equation {
    /// What the terms sum to.
    pub right: i64,
    /// Cells and coefficients; each cell once, no coefficient zero.
    pub terms: Vec<(u32, i64)>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cells and {} equations, values withheld", self.cells.len(), self.equations.len())
    }
}

/// Reads an instance; `file` is its name in faults.
///
/// # Errors
/// The first line that is no part of an instance, by place, found and expected: another number of fields or lines, a
/// figure that is no number, bounds that exclude the value, an equation that does not hold.
pub fn read(file: &str, bytes: &[u8]) -> Result<Instance, Unreadable> {
    let lines = lines(file, bytes)?;
    let mut lines = lines.iter().enumerate().map(|(i, line)| (i + 1, line.as_str())).filter(|l| !l.1.trim().is_empty());
    let refuse = |row: usize, found: &str, expected: &str| Unreadable::record("jj_line", file, row, found, expected);
    let ends = |expected: &str| Unreadable::file("jj_ends", file, "the end of the file", expected);

    let (row, first) = lines.next().ok_or_else(|| ends("`0`, the first line of an instance"))?;
    if first.trim() != "0" {
        return Err(refuse(row, "another first line", "`0`"));
    }
    let count = |(row, line): (usize, &str), most: usize, of: &str| match line.trim().parse::<usize>() {
        Ok(n) if n <= most => Ok(n),
        Ok(_) => Err(refuse(row, &format!("too many {of}"), &format!("{most} at most"))),
        Err(_) => Err(refuse(row, "no whole number", &format!("the number of {of}"))),
    };
    let n_cells = count(lines.next().ok_or_else(|| ends("the number of cells"))?, CELLS_MAX, "cells")?;
    let mut written: Vec<([Decimal; 7], Status)> = Vec::new();
    let mut rows = Vec::new();
    for number in 0..n_cells {
        let (row, line) = lines.next().ok_or_else(|| ends(&format!("{n_cells} cells, found {number}")))?;
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[name, value, cost, status, least, greatest, lower, upper, sliding] = fields.as_slice() else {
            let expected = "9: number, value, cost, status, two bounds, three levels";
            return Err(refuse(row, &format!("{} fields", fields.len()), expected));
        };
        if name.parse() != Ok(number) {
            return Err(refuse(row, "another number", &format!("cell {number}: cells are numbered from 0, in order")));
        }
        let status = match status {
            "s" | "S" => Status::Safe,
            "u" | "U" => Status::Unsafe,
            "m" | "M" => Status::Withheld,
            "z" | "Z" => Status::Shown,
            _ => return Err(refuse(row, "another status", "`s`, `u`, `m` or `z`")),
        };
        let mut figures = [Decimal { units: 0, places: 0 }; 7];
        let named = [("value", value), ("cost", cost), ("lower bound", least), ("upper bound", greatest)];
        let levels = [("lower level", lower), ("upper level", upper), ("sliding level", sliding)];
        for (figure, (what, text)) in figures.iter_mut().zip(named.into_iter().chain(levels)) {
            *figure = Decimal::read(text).ok_or_else(|| {
                let expected = format!("a number of at most 18 digits, {PLACES_MAX} after the point");
                refuse(row, &format!("a {what} that is none"), &expected)
            })?;
        }
        written.push((figures, status));
        rows.push(row);
    }

    let n_equations = count(lines.next().ok_or_else(|| ends("the number of equations"))?, TERMS_MAX, "equations")?;
    let mut equations: Vec<(Decimal, Vec<(u32, i64)>, usize)> = Vec::new();
    let mut n_terms = 0;
    for number in 0..n_equations {
        let (row, line) = lines.next().ok_or_else(|| ends(&format!("{n_equations} equations, found {number}")))?;
        let shape = "`right-hand side, number of terms : cell (coefficient) …`";
        let (head, terms) = line.split_once(':').ok_or_else(|| refuse(row, "no colon", shape))?;
        let head: Vec<&str> = head.split_ascii_whitespace().collect();
        let &[right, count] = head.as_slice() else { return Err(refuse(row, "another head", shape)) };
        let right = Decimal::read(right).ok_or_else(|| refuse(row, "a right-hand side that is no number", shape))?;
        let count: usize = count.parse().map_err(|_| refuse(row, "no whole number of terms", shape))?;
        let parts: Vec<&str> =
            terms.split(|c: char| c.is_ascii_whitespace() || c == '(' || c == ')').filter(|p| !p.is_empty()).collect();
        n_terms += parts.len() / 2;
        if n_terms > TERMS_MAX {
            return Err(refuse(row, "too many terms", &format!("{TERMS_MAX} at most")));
        }
        if parts.len() % 2 != 0 || parts.len() / 2 != count {
            return Err(refuse(row, "another number of terms", "as many as the line says, each `cell (coefficient)`"));
        }
        let mut terms = Vec::with_capacity(count);
        for pair in parts.chunks_exact(2) {
            let cell = pair[0].parse::<u32>().ok().filter(|c| (*c as usize) < n_cells);
            let cell = cell.ok_or_else(|| refuse(row, "a cell that is none", "a cell's number"))?;
            let coefficient = Decimal::read(pair[1]).filter(|c| c.places == 0 && c.units != 0);
            let coefficient = coefficient.map(|c| c.units).filter(|c| c.abs() <= COEFFICIENT_MAX);
            let expected = format!("a whole number, not zero, {COEFFICIENT_MAX} at most");
            terms.push((cell, coefficient.ok_or_else(|| refuse(row, "another coefficient", &expected))?));
        }
        terms.sort_unstable();
        if terms.windows(2).any(|w| w[0].0 == w[1].0) {
            return Err(refuse(row, "a cell twice", "each cell once an equation"));
        }
        equations.push((right, terms, row));
    }
    if let Some((row, _)) = lines.next() {
        return Err(refuse(row, "more lines", &format!("the end of the file after {n_equations} equations")));
    }

    let of_cost = |figures: &[Decimal; 7]| figures[1].places;
    let others = |figures: &[Decimal; 7]| [0, 2, 3, 4, 5, 6].map(|i| figures[i].places).into_iter().max().unwrap_or(0);
    let cost_places = written.iter().map(|w| of_cost(&w.0)).max().unwrap_or(0);
    let of_right = equations.iter().map(|e| e.0.places);
    let places = written.iter().map(|w| others(&w.0)).chain(of_right).max().unwrap_or(0);
    let mut cells = Vec::with_capacity(written.len());
    for ((figures, status), row) in written.into_iter().zip(rows) {
        let large = || refuse(row, "a number too large for its digits after the point", "18 digits in all");
        let at = |i: usize| figures[i].in_units_of(places).ok_or_else(large);
        let cost = figures[1].in_units_of(cost_places).ok_or_else(large)?;
        let (value, least, greatest) = (at(0)?, at(2)?, at(3)?);
        let (lower, upper, sliding) = (at(4)?, at(5)?, at(6)?);
        if !(least <= value && value <= greatest) {
            return Err(refuse(row, "bounds that exclude the value", "a lower bound, a value, an upper bound"));
        }
        if cost < 0 || lower < 0 || upper < 0 || sliding < 0 {
            return Err(refuse(row, "a negative cost or level", "zero or more"));
        }
        cells.push(Cell { value, cost, status, least, greatest, lower, upper, sliding });
    }
    let mut whole = Vec::with_capacity(equations.len());
    for (right, terms, row) in equations {
        let right = right.in_units_of(places).ok_or_else(|| refuse(row, "a right-hand side too large", "18 digits"))?;
        let sum: i128 = terms.iter().map(|&(c, by)| i128::from(cells[c as usize].value) * i128::from(by)).sum();
        if sum != i128::from(right) {
            return Err(refuse(row, "an equation that the values do not satisfy", "a table that adds up"));
        }
        whole.push(Equation { right, terms });
    }
    Ok(Instance { places, cost_places, cells, equations: whole })
}

/// Writes an instance, as [`read`] takes it. Raw figures: for the owner alone.
pub fn write(instance: &Instance) -> Vec<u8> {
    let mut out = format!("0\n{}\n", instance.cells.len());
    for (number, cell) in instance.cells.iter().enumerate() {
        let figure = |units| decimal(units, instance.places);
        let _ = writeln!(
            out,
            "{number} {} {} {} {} {} {} {} {}",
            figure(cell.value),
            decimal(cell.cost, instance.cost_places),
            cell.status.letter(),
            figure(cell.least),
            figure(cell.greatest),
            figure(cell.lower),
            figure(cell.upper),
            figure(cell.sliding)
        );
    }
    let _ = writeln!(out, "{}", instance.equations.len());
    for equation in &instance.equations {
        let _ = write!(out, "{} {} :", decimal(equation.right, instance.places), equation.terms.len());
        for (cell, by) in &equation.terms {
            let _ = write!(out, " {cell} ({by})");
        }
        out.push('\n');
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "0\n3\n0 10 10 s 0 100 0 0 0\n1 4.5 1.25 u 0 100 2 2.125 0\n2 5.5 3 z 0 1e3 0 0 0\n1\n\
                         0 3 : 0 (-1) 1 (1) 2 (1)\n";

    #[test]
    fn an_instance_is_read_and_written_back() {
        let instance = read("a.jj", SMALL.as_bytes()).unwrap();
        assert_eq!((instance.places, instance.cost_places), (3, 2));
        let c = instance.cells[1];
        assert_eq!((c.value, c.cost, c.upper, c.status), (4_500, 125, 2_125, Status::Unsafe));
        assert_eq!(instance.equations[0].terms, [(0, -1), (1, 1), (2, 1)]);
        let again = read("a.jj", &write(&instance)).unwrap();
        assert!(again == instance);
        assert_eq!(format!("{instance:?}"), "3 cells and 1 equations, values withheld");
        // As other tools write it: parentheses apart, carriage returns, blank lines.
        let other = SMALL.replace("(-1)", "( -1 )").replace('\n', "\r\n") + "\r\n";
        assert!(read("a.jj", other.as_bytes()).unwrap() == instance);
    }

    #[test]
    fn a_torn_or_contradictory_instance_is_refused_by_its_line() {
        for (from, to, row, found) in [
            ("0\n3", "1\n3", Some(1), "another first line"),
            ("\n3\n", "\n4\n", Some(6), "1 fields"),
            ("\n3\n", "\n2\n", Some(5), "no whole number"),
            ("\n3\n", "\nthree\n", Some(2), "no whole number"),
            ("\n3\n", "\n99999999\n", Some(2), "too many cells"),
            ("1 4.5 1.25 u 0 100 2 2.125 0", "1 4.5 1.25 u 0 10", Some(4), "6 fields"),
            ("1 4.5", "7 4.5", Some(4), "another number"),
            ("1 4.5", "1 NaN", Some(4), "a value that is none"),
            ("2.125", "inf", Some(4), "a upper level that is none"),
            ("4.5 1.25", "4.5 99999999999999999999", Some(4), "a cost that is none"),
            ("1e3", "4e18", Some(5), "a number too large for its digits after the point"),
            (" u ", " q ", Some(4), "another status"),
            ("4.5 1.25", "4.5 -1", Some(4), "a negative cost or level"),
            ("u 0 100", "u 5 100", Some(4), "bounds that exclude the value"),
            ("0 3 :", "0 4 :", Some(7), "another number of terms"),
            ("0 3 :", "0 3", Some(7), "no colon"),
            ("0 3 :", "x 3 :", Some(7), "a right-hand side that is no number"),
            ("0 3 :", "1 3 :", Some(7), "an equation that the values do not satisfy"),
            ("2 (1)", "3 (1)", Some(7), "a cell that is none"),
            ("2 (1)", "2 (0)", Some(7), "another coefficient"),
            ("2 (1)", "2 (0.5)", Some(7), "another coefficient"),
            ("2 (1)", "1 (1)", Some(7), "a cell twice"),
            ("2 (1)\n", "2 (1)\n0 0 :\n", Some(8), "more lines"),
            ("\n1\n", "\n2\n", None, "the end of the file"),
        ] {
            let text = SMALL.replacen(from, to, 1);
            assert_ne!(text, SMALL, "{from}");
            let error = read("a.jj", text.as_bytes()).unwrap_err().0;
            assert_eq!((error.row, error.found.as_str()), (row, found), "{from} -> {to}: {error}");
        }
        assert_eq!(read("a.jj", b"").unwrap_err().0.code, "jj_ends");
    }
}
