//! `$filter` of OData 4.0 (part 2, 5.1.1): `and`, `or`, `not`, the six comparisons, `in`, `contains`, `startswith`,
//! `endswith`.

use super::scan::{Parsed, Scanner, day, instant, number};
use super::{Comparison, Condition, Fault, Filter, Literal, Nulls, Operand, Part, Queryable};

/// What may follow a value.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("eq", Comparison::Equal),
    ("ne", Comparison::NotEqual),
    ("gt", Comparison::Greater),
    ("ge", Comparison::AtLeast),
    ("lt", Comparison::Less),
    ("le", Comparison::AtMost),
];

/// The functions on texts.
const FUNCTIONS: [(&str, Part); 3] =
    [("contains", Part::Anywhere), ("startswith", Part::Start), ("endswith", Part::End)];

/// What of the language is not done, by its first word: said as such, since the client may then do it itself.
const BEYOND: [&str; 29] = [
    "length",
    "indexof",
    "substring",
    "tolower",
    "toupper",
    "trim",
    "concat",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "fractionalseconds",
    "date",
    "time",
    "totaloffsetminutes",
    "now",
    "mindatetime",
    "maxdatetime",
    "round",
    "floor",
    "ceiling",
    "cast",
    "isof",
    "geo.distance",
    "geo.length",
    "geo.intersects",
    "substringof",
];

/// Operators of arithmetic, which filters do not have: a filter compares what is published as it is.
const ARITHMETIC: [&str; 6] = ["add", "sub", "mul", "div", "mod", "has"];

/// Reads a `$filter`.
///
/// ```
/// use arpent::http::filter::{Kind, Queryable, odata};
/// let queryables = [Queryable { name: "effectif", kind: Kind::Number }];
/// assert!(odata::parse("effectif ge 100 and not (effectif in (120,130))", &queryables).is_ok());
/// let fault = odata::parse("effectif ge 'cent'", &queryables).unwrap_err();
/// assert_eq!((fault.position, fault.found.as_str()), (13, "a text"));
/// ```
///
/// # Errors
/// The first thing that cannot stand where it does, with what could.
pub fn parse(text: &str, queryables: &[Queryable]) -> Result<Filter, Fault> {
    let condition = Scanner::new(text, queryables, false)?.whole(any)?;
    Ok(Filter { condition, nulls: Nulls::Values })
}

fn any(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    s.joined("or", all, Condition::Any)
}

fn all(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    s.joined("and", unary, Condition::All)
}

/// `not` binds closer than a comparison (part 2, 5.1.1.9), so that parentheses follow it.
fn unary(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    if !s.keyword("not") {
        return comparison(s);
    }
    s.deeper(|s| {
        let start = s.start();
        let inside = if s.word() == "not" { unary(s)? } else { primary(s)? };
        Ok(Parsed::Condition(Condition::Not(Box::new(s.condition(inside, start)?))))
    })
}

fn comparison(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    let left = match primary(s)? {
        Parsed::Operand(left) => Some(left),
        Parsed::Null => None,
        condition @ Parsed::Condition(_) => return Ok(condition),
    };
    let word = s.word();
    if ARITHMETIC.contains(&word) {
        let names = COMPARISONS.map(|(name, _)| name).join(", ");
        return Err(Fault { beyond: true, ..s.fault(format!("one of {names}, in")) });
    }
    if word == "in" {
        let Some(left) = left else { return Err(s.fault("`eq` or `ne` after null")) };
        s.pass(word.len());
        let list = s.list(&left, primary)?;
        return Ok(Parsed::Condition(Condition::In(left, list)));
    }
    let Some((_, comparison)) = COMPARISONS.iter().find(|(name, _)| *name == word) else {
        return Ok(left.map_or(Parsed::Null, Parsed::Operand));
    };
    let (operator, comparison) = (s.start(), *comparison);
    s.pass(word.len());
    let start = s.start();
    let right = match primary(s)? {
        Parsed::Operand(right) => Some(right),
        Parsed::Null => None,
        Parsed::Condition(_) => return Err(s.fault_at(start, "a column or a value")),
    };
    let condition = match (left, right) {
        (Some(left), Some(right)) => s.compare(left, comparison, right, start)?,
        (Some(operand), None) | (None, Some(operand)) => match comparison {
            Comparison::Equal => Condition::IsNull(operand),
            Comparison::NotEqual => Condition::Not(Box::new(Condition::IsNull(operand))),
            Comparison::Less | Comparison::AtMost | Comparison::Greater | Comparison::AtLeast => {
                return Err(s.fault_at(operator, "`eq` or `ne` beside null"));
            }
        },
        (None, None) => return Err(s.fault_at(start, "a column beside null")),
    };
    Ok(Parsed::Condition(condition))
}

fn primary(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    if s.symbol("(") {
        return s.enclosed(any);
    }
    let start = s.start();
    match s.rest().chars().next() {
        Some('\'') => {
            let text = s.between('\'')?;
            s.literal(Literal::Text(text))
        }
        Some(c) if c.is_ascii_digit() || c == '-' => {
            let run = s.run();
            let literal = match (number(run), instant(run).or_else(|| day(run))) {
                (Some(number), _) => Literal::Number(number),
                (None, Some(instant)) => Literal::DateTime(instant),
                (None, None) => {
                    return Err(s.fault("a number such as 12 or 1.5, or an instant such as 2024-12-31T00:00:00Z"));
                }
            };
            s.pass(run.len());
            s.literal(literal)
        }
        Some(c) if c.is_alphabetic() || c == '_' => {
            let word = s.word();
            s.pass(word.len());
            match word {
                "null" => Ok(Parsed::Null),
                "true" => s.literal(Literal::Bool(true)),
                "false" => s.literal(Literal::Bool(false)),
                _ if s.rest().starts_with('(') => function(s, word, start),
                _ => s.column(word, start),
            }
        }
        _ => Err(s.fault("a column, a value, `not` or `(`")),
    }
}

fn function(s: &mut Scanner<'_>, name: &str, start: usize) -> Result<Parsed, Fault> {
    let Some((_, part)) = FUNCTIONS.iter().find(|(function, _)| *function == name) else {
        let names = FUNCTIONS.map(|(name, _)| name).join(", ");
        let fault = s.fault_at(start, format!("one of the functions {names}"));
        return Err(Fault { beyond: BEYOND.contains(&name), ..fault });
    };
    s.expect("(")?;
    let operand = argument(s)?;
    s.expect(",")?;
    let piece = argument(s)?;
    s.expect(")")?;
    s.text_part(operand, *part, piece, start).map(Parsed::Condition)
}

fn argument(s: &mut Scanner<'_>) -> Result<Operand, Fault> {
    let start = s.start();
    match s.deeper(primary)? {
        Parsed::Operand(operand) => Ok(operand),
        Parsed::Condition(_) | Parsed::Null => Err(s.fault_at(start, "a column or a text")),
    }
}
