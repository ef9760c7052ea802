//! Filters over what a release shows: one tree and one evaluator, and a parser for each language that says them.
//!
//! A filter chooses rows and makes no figure. What is withheld is null here, as it is on the wire, so that no condition
//! can be told from another by what it hides.

pub mod cql2;
pub mod odata;
mod scan;

use chrono::{DateTime, Utc};
use std::fmt;

/// Longest text of a filter, in bytes: hundreds of codes in a list, within what proxies let through as an address.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;

/// Deepest nesting: people write three or four levels, programs some more.
pub const DEPTH_MAX: usize = 32;

/// Most conditions and values in one filter, since each is asked of each row.
pub const NODES_MAX: usize = 1000;

/// A filter whose columns exist and whose types agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The condition.
    pub condition: Condition,
    /// How it takes null.
    pub nulls: Nulls,
}

/// A condition on a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Each of them holds.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// Two values of one kind, compared.
    Compare(Operand, Comparison, Operand),
    /// A value is one of a list.
    In(Operand, Vec<Literal>),
    /// A value lies between two others, both included.
    Between(Operand, Operand, Operand),
    /// A text matches a pattern: `%` stands for any text, `_` for one character, `\` takes the next one as it is.
    Like(Operand, String),
    /// A text has another in it.
    Text(Operand, Part, String),
    /// There is no value, or it is withheld.
    IsNull(Operand),
    /// A condition is unknown.
    IsUnknown(Box<Condition>),
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A column, by its place among the queryables.
    Column(usize),
    /// A value as written.
    Literal(Literal),
}

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A text.
    Text(String),
    /// A number; figures are far below 2^53, so that a float holds them exactly.
    Number(f64),
    /// An instant.
    DateTime(DateTime<Utc>),
    /// True or false.
    Bool(bool),
}

/// Ways to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Alike.
    Equal,
    /// Not alike.
    NotEqual,
    /// Smaller or before.
    Less,
    /// Smaller, before or alike.
    AtMost,
    /// Greater or after.
    Greater,
    /// Greater, after or alike.
    AtLeast,
}

/// Where a text is looked for in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Anywhere.
    Anywhere,
    /// At the start.
    Start,
    /// At the end.
    End,
}

/// How a language takes null; comparisons by order are unknown in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// A comparison with null is unknown, as in SQL and CQL2.
    Unknown,
    /// Null equals itself alone (OData 4.0 part 2, 5.1.1.1), as it does in Power Query, so that a figure is the same
    /// whether the service or the program filters.
    Values,
}

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// An instant.
    DateTime,
    /// True or false.
    Bool,
}

/// A column that filters may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queryable {
    /// Its name, case and all.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a row has in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'r> {
    /// Nothing, or something withheld.
    Null,
    /// A text.
    Text(&'r str),
    /// A number.
    Number(f64),
    /// An instant.
    DateTime(DateTime<Utc>),
    /// True or false.
    Bool(bool),
}

/// A row that filters look at.
pub trait Row {
    /// Its value in a column, by the column's place among the queryables.
    fn value(&self, column: usize) -> Value<'_>;
}

/// Why a text is no filter: where, what was found there, what would have been accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The character of the text, from 1.
    pub position: usize,
    /// What stands there.
    pub found: String,
    /// What might have stood there.
    pub expected: String,
    /// Whether it is a thing of the language that we do not do, rather than a slip.
    pub beyond: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: found {}, expected {}", self.position, self.found, self.expected)
    }
}

impl Filter {
    /// Whether a row is kept: its condition holds, and is not unknown.
    pub fn keeps(&self, row: &impl Row) -> bool {
        self.condition.holds(row, self.nulls) == Some(true)
    }
}

impl Condition {
    /// Whether it holds; `None` is unknown, and so is its opposite.
    fn holds(&self, row: &impl Row, nulls: Nulls) -> Option<bool> {
        match self {
            Self::All(parts) => {
                let mut all = Some(true);
                for part in parts {
                    match part.holds(row, nulls) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => all = None,
                    }
                }
                all
            }
            Self::Any(parts) => {
                let mut any = Some(false);
                for part in parts {
                    match part.holds(row, nulls) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                any
            }
            Self::Not(part) => part.holds(row, nulls).map(|holds| !holds),
            Self::Compare(left, comparison, right) => comparison.holds(left.value(row), right.value(row), nulls),
            Self::In(operand, list) => match (operand.value(row), nulls) {
                (Value::Null, Nulls::Unknown) => None,
                (value, _) => Some(list.iter().any(|literal| literal.value() == value)),
            },
            Self::Between(operand, low, high) => {
                let value = operand.value(row);
                let above = Comparison::AtLeast.holds(value, low.value(row), nulls)?;
                Some(above & Comparison::AtMost.holds(value, high.value(row), nulls)?)
            }
            Self::Like(operand, pattern) => operand.text(row).map(|text| like(text, pattern)),
            Self::Text(operand, part, piece) => operand.text(row).map(|text| match part {
                Part::Anywhere => text.contains(piece.as_str()),
                Part::Start => text.starts_with(piece.as_str()),
                Part::End => text.ends_with(piece.as_str()),
            }),
            Self::IsNull(operand) => Some(operand.value(row) == Value::Null),
            Self::IsUnknown(part) => Some(part.holds(row, nulls).is_none()),
        }
    }
}

impl Comparison {
    fn holds(self, left: Value<'_>, right: Value<'_>, nulls: Nulls) -> Option<bool> {
        if left == Value::Null || right == Value::Null {
            return match (self, nulls) {
                (Self::Equal, Nulls::Values) => Some(left == right),
                (Self::NotEqual, Nulls::Values) => Some(left != right),
                (_, Nulls::Unknown) | (Self::Less | Self::AtMost | Self::Greater | Self::AtLeast, Nulls::Values) => {
                    None
                }
            };
        }
        let order = left.order(right)?;
        Some(match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        })
    }
}

impl Operand {
    fn value<'v>(&'v self, row: &'v impl Row) -> Value<'v> {
        match self {
            Self::Column(column) => row.value(*column),
            Self::Literal(literal) => literal.value(),
        }
    }

    fn text<'v>(&'v self, row: &'v impl Row) -> Option<&'v str> {
        match self.value(row) {
            Value::Text(text) => Some(text),
            // The parsers let texts alone come here.
            Value::Null | Value::Number(_) | Value::DateTime(_) | Value::Bool(_) => None,
        }
    }
}

impl Literal {
    /// The same, borrowed.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(*number),
            Self::DateTime(instant) => Value::DateTime(*instant),
            Self::Bool(bool) => Value::Bool(*bool),
        }
    }

    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Number(_) => Kind::Number,
            Self::DateTime(_) => Kind::DateTime,
            Self::Bool(_) => Kind::Bool,
        }
    }
}

impl<'r> Value<'r> {
    /// The order of two values of one kind; `None` for null and for two kinds.
    pub fn order(self, other: Value<'r>) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => one.partial_cmp(&other),
            (Self::DateTime(one), Self::DateTime(other)) => Some(one.cmp(&other)),
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(&other)),
            (Self::Null | Self::Text(_) | Self::Number(_) | Self::DateTime(_) | Self::Bool(_), _) => None,
        }
    }
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::DateTime => "a date and time",
            Self::Bool => "true or false",
        }
    }
}

/// Whether a text matches a pattern. Only the last `%` is gone back to, so that no pattern takes long.
fn like(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    let mut back: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut rest = pattern.clone();
        let wanted = rest.next();
        if wanted == Some('%') {
            pattern = rest;
            back = Some((text.clone(), pattern.clone()));
            continue;
        }
        let wanted = match wanted {
            Some('\\') => Some(Some(rest.next().unwrap_or('\\'))),
            Some('_') => Some(None),
            Some(plain) => Some(Some(plain)),
            None => None,
        };
        let mut next = text.clone();
        match (wanted, next.next()) {
            (None, None) => return true,
            (Some(wanted), Some(c)) if wanted.is_none_or(|wanted| wanted == c) => (text, pattern) = (next, rest),
            (Some(_), None) => return false,
            _ => {
                let Some((from, after)) = &mut back else { return false };
                if from.next().is_none() {
                    return false;
                }
                (text, pattern) = (from.clone(), after.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
