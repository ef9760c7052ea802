//! CQL2 text (OGC 21-065r2), the conditions of its basic class and of advanced comparisons: `AND`, `OR`, `NOT`, the six
//! comparisons, `IN`, `BETWEEN`, `LIKE`, `IS NULL`, `DATE('…')` and `TIMESTAMP('…')`.

use super::scan::{Parsed, Scanner, day, instant};
use super::{Comparison, Condition, Fault, Filter, Kind, Literal, Nulls, Operand, Queryable, like};

/// Stands before a letter that is meant otherwise than it looks.
const ESCAPE: char = '\\';

/// Letters that mean a control character after [`ESCAPE`] (/req/cql2-text/escaping).
const CONTROLS: [(char, char); 7] =
    [('a', '\u{7}'), ('b', '\u{8}'), ('t', '\t'), ('n', '\n'), ('v', '\u{b}'), ('f', '\u{c}'), ('r', '\r')];

/// Signs of comparison; those of two characters come first.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<>", Comparison::NotEqual),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("=", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// Words that are no columns unless they are quoted.
const KEYWORDS: [&str; 8] = ["and", "or", "not", "in", "between", "like", "is", "null"];

/// Reads a filter in CQL2 text.
///
/// ```
/// use arpent::http::filter::{Kind, Queryable, cql2};
/// let queryables = [Queryable { name: "libelle", kind: Kind::Text }];
/// assert!(cql2::parse("libelle LIKE 'Gare%' AND NOT libelle IS NULL", &queryables).is_ok());
/// assert!(cql2::parse("libelle > 3", &queryables).is_err());
/// ```
///
/// # Errors
/// The first thing that cannot stand where it does, with what could.
pub fn parse(text: &str, queryables: &[Queryable]) -> Result<Filter, Fault> {
    let condition = Scanner::new(text, queryables, true)?.whole(any)?;
    Ok(Filter { condition, nulls: Nulls::Unknown })
}

fn any(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    s.joined("or", all, Condition::Any)
}

fn all(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    s.joined("and", unary, Condition::All)
}

fn unary(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    if !s.keyword("not") {
        return comparison(s);
    }
    s.deeper(|s| {
        let start = s.start();
        let inside = unary(s)?;
        Ok(Parsed::Condition(not(s.condition(inside, start)?)))
    })
}

fn comparison(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    let parsed = primary(s)?;
    if !matches!(parsed, Parsed::Null) && s.keyword("is") {
        let negated = s.keyword("not");
        if !s.keyword("null") {
            return Err(s.fault("`NULL`"));
        }
        let is_null = match parsed {
            Parsed::Condition(part) => Condition::IsUnknown(Box::new(part)),
            Parsed::Operand(left) => Condition::IsNull(left),
            Parsed::Null => return Ok(Parsed::Null),
        };
        return Ok(Parsed::Condition(if negated { not(is_null) } else { is_null }));
    }
    let left = match parsed {
        Parsed::Operand(left) => left,
        other @ (Parsed::Condition(_) | Parsed::Null) => return Ok(other),
    };
    if let Some((sign, comparison)) = COMPARISONS.iter().find(|(sign, _)| s.rest().starts_with(sign)) {
        s.pass(sign.len());
        let start = s.start();
        let right = operand(s)?;
        return s.compare(left, *comparison, right, start).map(Parsed::Condition);
    }
    let negated = s.keyword("not");
    let condition = if s.keyword("in") {
        let kind = s.kind(&left);
        let list = s.list(&left, |s| listed(s, kind))?;
        Condition::In(left, list)
    } else if s.keyword("between") {
        let start = s.start();
        let low = operand(s)?;
        s.same_kind(&left, &low, start)?;
        if !s.keyword("and") {
            return Err(s.fault("`AND` and the upper bound"));
        }
        let start = s.start();
        let high = operand(s)?;
        s.same_kind(&left, &high, start)?;
        Condition::Between(left, low, high)
    } else if s.keyword("like") {
        let start = s.start();
        if s.kind(&left) != Kind::Text || !s.rest().starts_with('\'') {
            return Err(s.fault_at(start, "a text such as 'Gare%', after a text"));
        }
        let pattern = unescaped(&s.text_between('\'', Some(ESCAPE))?, true);
        match left {
            // Asked once and not of each row: it has one answer.
            Operand::Literal(Literal::Text(text)) => match like(&text, &pattern) {
                true => Condition::All(Vec::new()),
                false => Condition::Any(Vec::new()),
            },
            left => Condition::Like(left, pattern),
        }
    } else if negated {
        return Err(s.fault("`IN`, `BETWEEN` or `LIKE`"));
    } else {
        return Ok(Parsed::Operand(left));
    };
    Ok(Parsed::Condition(if negated { not(condition) } else { condition }))
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn operand(s: &mut Scanner<'_>) -> Result<Operand, Fault> {
    let start = s.start();
    match s.deeper(primary)? {
        Parsed::Operand(operand) => Ok(operand),
        Parsed::Condition(_) | Parsed::Null => Err(s.fault_at(start, "a column or a value (`IS NULL` asks for null)")),
    }
}

fn primary(s: &mut Scanner<'_>) -> Result<Parsed, Fault> {
    if s.symbol("(") {
        return s.enclosed(any);
    }
    let start = s.start();
    match s.rest().chars().next() {
        Some('\'') => {
            let text = s.text_between('\'', Some(ESCAPE))?;
            s.literal(Literal::Text(unescaped(&text, false)))
        }
        Some('"') => {
            let name = s.between('"')?;
            s.column(&name, start)
        }
        Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => {
            let run = s.run();
            let Some(number) = number(run) else {
                return Err(s.fault("a number such as 12 or 1.5 (dates are written DATE('2024-12-31'))"));
            };
            s.pass(run.len());
            s.literal(Literal::Number(number))
        }
        Some(c) if c.is_alphabetic() || c == '_' => {
            let word = s.word();
            let folded = word.to_ascii_lowercase();
            if folded == "null" {
                s.pass(word.len());
                return Ok(Parsed::Null);
            }
            if KEYWORDS.contains(&folded.as_str()) {
                return Err(s.fault("a column, a value, `NOT` or `(`"));
            }
            s.pass(word.len());
            match folded.as_str() {
                "true" => s.literal(Literal::Bool(true)),
                "false" => s.literal(Literal::Bool(false)),
                _ if s.rest().starts_with('(') => moment(s, &folded, start),
                _ => s.column(word, start),
            }
        }
        _ => Err(s.fault("a column, a value, `NOT` or `(`")),
    }
}

/// A value of a list. The abstract test of lists writes instants as texts, so that these are taken beside instants.
fn listed(s: &mut Scanner<'_>, kind: Kind) -> Result<Parsed, Fault> {
    match primary(s)? {
        Parsed::Operand(Operand::Literal(Literal::Text(text))) if kind == Kind::DateTime => {
            let moment = instant(&text).or_else(|| day(&text));
            Ok(Parsed::Operand(Operand::Literal(moment.map_or(Literal::Text(text), Literal::DateTime))))
        }
        other => Ok(other),
    }
}

/// A text without its escapes. A pattern keeps those that are its own: `\%`, `\_` and `\\`.
fn unescaped(text: &str, pattern: bool) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != ESCAPE {
            plain.push(letter);
            continue;
        }
        let next = letters.next();
        match next.and_then(|next| CONTROLS.iter().find(|control| control.0 == next)) {
            Some((_, control)) => plain.push(*control),
            None if next == Some(ESCAPE) && !pattern => plain.push(ESCAPE),
            None => plain.extend([Some(ESCAPE), next].into_iter().flatten()),
        }
    }
    plain
}

/// A number: digits with or without a sign, a point before, between or after them, and an exponent.
fn number(text: &str) -> Option<f64> {
    let written = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|number: &f64| written && number.is_finite())
}

/// `DATE('…')` or `TIMESTAMP('…')`: a day is its first instant, in UTC.
fn moment(s: &mut Scanner<'_>, name: &str, start: usize) -> Result<Parsed, Fault> {
    let read = match name {
        "date" => day,
        "timestamp" => instant,
        _ => {
            let fault = s.fault_at(start, "one of the functions DATE, TIMESTAMP");
            return Err(Fault { beyond: true, ..fault });
        }
    };
    s.expect("(")?;
    let place = s.start();
    let expected = "a text such as '2024-12-31' for DATE, '2024-12-31T00:00:00Z' for TIMESTAMP";
    if !s.rest().starts_with('\'') {
        return Err(s.fault(expected));
    }
    let Some(instant) = read(&s.between('\'')?) else { return Err(s.fault_at(place, expected)) };
    s.expect(")")?;
    s.literal(Literal::DateTime(instant))
}
