//! What the parsers share: a place in the text, words and literals, limits, and the check of columns and kinds.

use super::{
    Comparison, Condition, DEPTH_MAX, FILTER_BYTES_MAX, Fault, Kind, Literal, NODES_MAX, Operand, Part, Queryable,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// Longest piece of the text that a fault repeats, in characters.
const FOUND_CHARS_MAX: usize = 24;

/// What a part of a filter turned out to be.
pub(super) enum Parsed {
    Condition(Condition),
    Operand(Operand),
    Null,
}

/// A place in the text of a filter.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    nodes: usize,
    fold_case: bool,
    queryables: &'t [Queryable],
}

impl<'t> Scanner<'t> {
    /// At the start of a text; `fold_case` says whether keywords may be in capitals.
    pub fn new(text: &'t str, queryables: &'t [Queryable], fold_case: bool) -> Result<Self, Fault> {
        let scanner = Self { text, at: 0, depth: 0, nodes: 0, fold_case, queryables };
        if text.len() > FILTER_BYTES_MAX {
            let found = format!("{} bytes", text.len());
            return Err(fault(1, found, format!("{FILTER_BYTES_MAX} bytes at most")));
        }
        Ok(scanner)
    }

    /// Reads the whole text as one condition.
    pub fn whole(mut self, any: fn(&mut Self) -> Result<Parsed, Fault>) -> Result<Condition, Fault> {
        let start = self.start();
        let parsed = any(&mut self)?;
        if !self.rest().is_empty() {
            return Err(self.fault(match parsed {
                Parsed::Condition(_) => "`and`, `or` or the end",
                Parsed::Operand(_) | Parsed::Null => "a comparison",
            }));
        }
        self.condition(parsed, start)
    }

    /// Parts with a word between them; one part alone stays what it is.
    pub fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Parsed, Fault>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Parsed, Fault> {
        let mut start = self.start();
        let first = part(self)?;
        if !self.keyword(word) {
            return Ok(first);
        }
        let mut parts = vec![self.condition(first, start)?];
        loop {
            start = self.start();
            let next = part(self)?;
            parts.push(self.condition(next, start)?);
            if !self.keyword(word) {
                return Ok(Parsed::Condition(join(parts)));
            }
        }
    }

    /// What stands in parentheses, the first of which was read.
    pub fn enclosed(&mut self, any: fn(&mut Self) -> Result<Parsed, Fault>) -> Result<Parsed, Fault> {
        let inside = self.deeper(any)?;
        self.expect(")")?;
        Ok(inside)
    }

    /// One level further down.
    pub fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(format!("{DEPTH_MAX} levels at most")));
        }
        self.depth += 1;
        let inside = part(self)?;
        self.depth -= 1;
        Ok(inside)
    }

    /// A condition, where one must stand.
    pub fn condition(&self, parsed: Parsed, start: usize) -> Result<Condition, Fault> {
        match parsed {
            Parsed::Condition(condition) => Ok(condition),
            Parsed::Operand(operand) if self.kind(&operand) == Kind::Bool => {
                Ok(Condition::Compare(operand, Comparison::Equal, Operand::Literal(Literal::Bool(true))))
            }
            Parsed::Operand(_) | Parsed::Null => Err(self.fault_at(start, "a condition, such as a comparison")),
        }
    }

    /// A comparison of two values of one kind.
    pub fn compare(
        &self,
        left: Operand,
        comparison: Comparison,
        right: Operand,
        start: usize,
    ) -> Result<Condition, Fault> {
        self.same_kind(&left, &right, start)?;
        Ok(Condition::Compare(left, comparison, right))
    }

    /// Refuses two values of different kinds; `start` is where the second stands.
    pub fn same_kind(&self, left: &Operand, right: &Operand, start: usize) -> Result<(), Fault> {
        let (left_kind, right_kind) = (self.kind(left), self.kind(right));
        if left_kind == right_kind {
            return Ok(());
        }
        let name = |operand: &Operand| match operand {
            Operand::Column(column) => {
                format!("`{}`, which is {}", self.queryables[*column].name, self.kind(operand).words())
            }
            Operand::Literal(literal) => literal.kind().words().to_owned(),
        };
        let expected = format!("{} to compare with {}", left_kind.words(), name(left));
        Err(fault(self.position(start), name(right), expected))
    }

    /// A list of values in parentheses, each of the kind of the first operand.
    pub fn list(
        &mut self,
        operand: &Operand,
        literal: impl Fn(&mut Self) -> Result<Parsed, Fault>,
    ) -> Result<Vec<Literal>, Fault> {
        self.expect("(")?;
        let mut list = Vec::new();
        loop {
            let start = self.start();
            match literal(self)? {
                Parsed::Operand(value @ Operand::Literal(_)) => {
                    self.same_kind(operand, &value, start)?;
                    if let Operand::Literal(value) = value {
                        list.push(value);
                    }
                }
                Parsed::Operand(Operand::Column(_)) | Parsed::Condition(_) | Parsed::Null => {
                    return Err(self.fault_at(start, "a value as written"));
                }
            }
            if !self.symbol(",") {
                self.expect(")")?;
                return Ok(list);
            }
        }
    }

    /// A condition on a text and a piece of it.
    pub fn text_part(&self, operand: Operand, part: Part, piece: Operand, start: usize) -> Result<Condition, Fault> {
        match (self.kind(&operand), piece) {
            (Kind::Text, Operand::Literal(Literal::Text(piece))) => Ok(Condition::Text(operand, part, piece)),
            _ => Err(self.fault_at(start, "a column of texts, then a text as written")),
        }
    }

    /// The column of this name.
    pub fn column(&mut self, name: &str, start: usize) -> Result<Parsed, Fault> {
        self.count()?;
        match self.queryables.iter().position(|q| q.name == name) {
            Some(column) => Ok(Parsed::Operand(Operand::Column(column))),
            None => {
                let known: Vec<&str> = self.queryables.iter().map(|q| q.name).collect();
                Err(fault(self.position(start), quoted(name), format!("one of the columns {}", known.join(", "))))
            }
        }
    }

    /// A literal, counted.
    pub fn literal(&mut self, literal: Literal) -> Result<Parsed, Fault> {
        self.count()?;
        Ok(Parsed::Operand(Operand::Literal(literal)))
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.nodes += 1;
        match self.nodes > NODES_MAX {
            true => Err(self.fault(format!("{NODES_MAX} columns and values at most"))),
            false => Ok(()),
        }
    }

    pub fn kind(&self, operand: &Operand) -> Kind {
        match operand {
            Operand::Column(column) => self.queryables[*column].kind,
            Operand::Literal(literal) => literal.kind(),
        }
    }

    /// Where the next thing starts, past the space before it.
    pub fn start(&mut self) -> usize {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.at
    }

    /// What is left, from the next thing on.
    pub fn rest(&mut self) -> &'t str {
        let start = self.start();
        &self.text[start..]
    }

    /// The word that comes next: letters, digits, `_` and `.`; empty when there is none.
    pub fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Passes over some bytes, which were looked at.
    pub fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Takes this word if it comes next.
    pub fn keyword(&mut self, keyword: &str) -> bool {
        let word = self.word();
        let taken = if self.fold_case { word.eq_ignore_ascii_case(keyword) } else { word == keyword };
        if taken {
            self.pass(word.len());
        }
        taken
    }

    /// Takes this sign if it comes next.
    pub fn symbol(&mut self, symbol: &str) -> bool {
        let taken = self.rest().starts_with(symbol);
        if taken {
            self.pass(symbol.len());
        }
        taken
    }

    /// Takes this sign, which must come next.
    pub fn expect(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.fault(format!("`{symbol}`"))) }
    }

    /// The text between two signs, in which the sign is written twice; the first sign comes next.
    pub fn between(&mut self, sign: char) -> Result<String, Fault> {
        self.text_between(sign, None)
    }

    /// The same, where the sign may also stand after an escape. Any other letter after an escape stays as it is written,
    /// escape and all: what it means is for the caller to say.
    pub fn text_between(&mut self, sign: char, escape: Option<char>) -> Result<String, Fault> {
        let rest = self.rest();
        let mut inside = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if Some(c) == escape {
                match chars.next() {
                    Some((_, next)) if next == sign => inside.push(sign),
                    next => inside.extend([Some(c), next.map(|next| next.1)].into_iter().flatten()),
                }
                continue;
            }
            if c == sign && chars.next_if(|(_, next)| *next == sign).is_none() {
                self.pass(at + c.len_utf8());
                return Ok(inside);
            }
            inside.push(c);
        }
        self.at = self.text.len();
        Err(self.fault(format!("`{sign}` after the text")))
    }

    /// A run of what numbers and dates are written with.
    pub fn run(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-' | '+')))
            .unwrap_or(rest.len());
        &rest[..end]
    }

    /// What stands next is not what may stand here.
    pub fn fault(&mut self, expected: impl Into<String>) -> Fault {
        let start = self.start();
        self.fault_at(start, expected)
    }

    /// What stands at a place is not what may stand there.
    pub fn fault_at(&self, start: usize, expected: impl Into<String>) -> Fault {
        let rest = &self.text[start..];
        let end = match rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))) {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(end) => end,
            None => rest.len(),
        };
        let found = if rest.is_empty() { "the end".to_owned() } else { quoted(&rest[..end]) };
        fault(self.position(start), found, expected.into())
    }

    fn position(&self, start: usize) -> usize {
        self.text[..start].chars().count() + 1
    }
}

fn fault(position: usize, found: String, expected: String) -> Fault {
    Fault { position, found, expected, beyond: false }
}

/// A piece of the text, cut to a few words.
fn quoted(piece: &str) -> String {
    match piece.char_indices().nth(FOUND_CHARS_MAX) {
        Some((cut, _)) => format!("`{}…`", &piece[..cut]),
        None => format!("`{piece}`"),
    }
}

/// A number: digits, with a sign, a fraction and an exponent if need be.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let written = plain.starts_with(|c: char| c.is_ascii_digit())
        && plain.ends_with(|c: char| c.is_ascii_digit())
        && plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|number: &f64| written && number.is_finite())
}

/// An instant of RFC 3339, its zone named.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc())
}

/// The first instant of a day, in UTC.
pub(super) fn day(text: &str) -> Option<DateTime<Utc>> {
    let shaped = text.len() == "2024-12-31".len();
    text.parse::<NaiveDate>().ok().filter(|_| shaped).map(|day| day.and_time(NaiveTime::MIN).and_utc())
}
