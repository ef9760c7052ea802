//! Which rows answer, and their JSON, written straight into bytes: a page of ten thousand rows costs some milliseconds.

use super::edm::{Cell, Column, Edm, Face, Heading, Table};
use super::options::Options;
use crate::http::filter::{Row, Value};
use chrono::{DateTime, SecondsFormat, Utc};
use std::cmp::Ordering;
use std::io::Write;
use std::ops::Range;

/// About what a row takes, in bytes, so that the body is not moved often while it grows.
const ROW_BYTES: usize = 700;

/// Rows chosen for a page.
pub struct Page {
    /// Their places in the table.
    pub rows: Vec<usize>,
    /// Rows that match, over all pages, when they were asked for.
    pub matched: Option<usize>,
    /// Rows given once this page is, when there are more.
    pub given: Option<usize>,
}

/// A row of a table, as filters look at it.
struct At<'t, T>(&'t T, &'t [Column<T>], usize);

impl<T> Row for At<'_, T> {
    fn value(&self, column: usize) -> Value<'_> {
        value(self.0, self.1, self.2, column)
    }
}

/// How many rows a filter keeps.
pub fn matched<T: Table>(table: &T, options: &Options) -> usize {
    (0..table.rows()).filter(|row| keeps(table, options, *row)).count()
}

/// Chooses the rows of a page; `page_rows` is the most it holds.
pub fn page<T: Table>(table: &T, options: &Options, page_rows: usize) -> Page {
    let earlier = options.token.as_ref().map_or(0, |(_, given)| *given);
    let start = options.skip.saturating_add(earlier);
    let left = options.top.map_or(usize::MAX, |top| top.saturating_sub(earlier));
    let wanted = left.min(page_rows);
    let end = start.saturating_add(wanted);
    let kept = (0..table.rows()).filter(|row| keeps(table, options, *row));
    let (rows, matched) = if options.order.is_empty() {
        // One row more than the page tells whether another page follows.
        let most = if options.count { usize::MAX } else { end.saturating_add(1) };
        let (mut rows, mut matched) = (Vec::with_capacity(wanted.min(table.rows())), 0);
        for row in kept.take(most) {
            if (start..end).contains(&matched) {
                rows.push(row);
            }
            matched += 1;
        }
        (rows, matched)
    } else {
        let mut all: Vec<usize> = kept.collect();
        let matched = all.len();
        let end = end.min(matched);
        let before = |one: &usize, other: &usize| order(table, options, *one, *other);
        // Rows after the page need no order among themselves.
        if end < matched {
            all.select_nth_unstable_by(end, before);
            all.truncate(end);
        }
        all.sort_unstable_by(before);
        (all.split_off(start.min(all.len())), matched)
    };
    let more = rows.len() == wanted && wanted < left && start.saturating_add(rows.len()) < matched;
    Page { given: more.then_some(earlier + rows.len()), matched: options.count.then_some(matched), rows }
}

/// A page as JSON: its context, the number of rows if it was asked for, the rows, the link to the next page.
pub fn collection<T: Table>(
    table: &T,
    select: Option<&[usize]>,
    context: &str,
    page: &Page,
    next: Option<&str>,
) -> Vec<u8> {
    let mut pen = Pen { out: Vec::with_capacity(page.rows.len() * ROW_BYTES), last: None };
    pen.bytes(b"{\"@odata.context\":");
    pen.text(context);
    if let Some(matched) = page.matched {
        pen.bytes(format!(",\"@odata.count\":{matched}").as_bytes());
    }
    pen.bytes(b",\"value\":[");
    let mut columns = members::<T>(select);
    for (i, row) in page.rows.iter().enumerate() {
        pen.bytes(if i == 0 { b"{" } else { b",{" });
        pen.row(table, &mut columns, *row);
        pen.bytes(b"}");
    }
    pen.bytes(b"]");
    if let Some(next) = next {
        pen.bytes(b",\"@odata.nextLink\":");
        pen.text(next);
    }
    pen.bytes(b"}");
    pen.out
}

/// One row as JSON.
pub fn entity<T: Table>(table: &T, select: Option<&[usize]>, context: &str, row: usize) -> Vec<u8> {
    let mut pen = Pen { out: Vec::with_capacity(ROW_BYTES), last: None };
    pen.bytes(b"{\"@odata.context\":");
    pen.text(context);
    pen.bytes(b",");
    pen.row(table, &mut members::<T>(select), row);
    pen.bytes(b"}");
    pen.out
}

/// The row of a key, given as values of the face's key columns.
pub fn find<T: Table>(table: &T, face: &Face, key: &[String]) -> Option<usize> {
    let columns = T::columns();
    let places: Vec<usize> =
        face.key.iter().filter_map(|name| columns.iter().position(|c| c.heading.name == *name)).collect();
    let is = |row: &usize| {
        places.iter().zip(key).all(|(place, wanted)| value(table, columns, *row, *place) == Value::Text(wanted))
    };
    (0..table.rows()).find(is)
}

/// The names of the columns selected, for the context.
pub fn selected(headings: &[Heading], select: &[usize]) -> String {
    select.iter().map(|place| headings[*place].name).collect::<Vec<_>>().join(",")
}

fn keeps<T: Table>(table: &T, options: &Options, row: usize) -> bool {
    options.filter.as_ref().is_none_or(|filter| filter.keeps(&At(table, T::columns(), row)))
}

/// Null comes before everything (part 1, 11.2.5.2), and the place in the table, which is that of the key, settles ties.
fn order<T: Table>(table: &T, options: &Options, one: usize, other: usize) -> Ordering {
    for (column, last_first) in &options.order {
        let (a, b) = (value(table, T::columns(), one, *column), value(table, T::columns(), other, *column));
        let order = match (a, b) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            (a, b) => a.order(b).unwrap_or(Ordering::Equal),
        };
        let order = if *last_first { order.reverse() } else { order };
        if order.is_ne() {
            return order;
        }
    }
    one.cmp(&other)
}

fn value<'t, T>(table: &'t T, columns: &[Column<T>], row: usize, column: usize) -> Value<'t> {
    match (columns[column].get)(table, row) {
        Cell::Value(value) => value,
        // Long texts are no queryables.
        Cell::Made(_) => Value::Null,
    }
}

/// A column to be written.
struct Member<'t, T: 'static> {
    /// Its name as JSON has it, with the comma before it.
    name: String,
    column: &'static Column<T>,
    /// The text written last, and where: rows that follow each other mostly share theirs.
    last: Option<(&'t str, Range<usize>)>,
}

/// The columns to be written.
fn members<'t, T: Table>(select: Option<&[usize]>) -> Vec<Member<'t, T>> {
    let columns = T::columns();
    let places = select.map_or_else(|| (0..columns.len()).collect(), <[usize]>::to_vec);
    let member = |(i, place): (usize, usize)| {
        let comma = if i == 0 { "" } else { "," };
        let name = format!("{comma}\"{}\":", columns[place].heading.name);
        Member { name, column: &columns[place], last: None }
    };
    places.into_iter().enumerate().map(member).collect()
}

/// What writes.
struct Pen {
    out: Vec<u8>,
    /// The instant written last, since rows mostly share theirs.
    last: Option<(DateTime<Utc>, String)>,
}

impl Pen {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn row<'t, T>(&mut self, table: &'t T, members: &mut [Member<'t, T>], row: usize) {
        for Member { name, column, last } in members {
            match (column.get)(table, row) {
                Cell::Value(Value::Text(text)) => match last {
                    // The very same text, not only an equal one: to tell so takes no look at it.
                    Some((known, written)) if std::ptr::eq(*known, text) => {
                        self.out.extend_from_within(written.clone());
                    }
                    _ => {
                        let start = self.out.len();
                        self.bytes(name.as_bytes());
                        self.text(text);
                        *last = Some((text, start..self.out.len()));
                    }
                },
                Cell::Value(value) => {
                    self.bytes(name.as_bytes());
                    self.value(value, column.heading.edm);
                }
                Cell::Made(text) => {
                    self.bytes(name.as_bytes());
                    self.text(&text);
                }
            }
        }
    }

    fn value(&mut self, value: Value<'_>, edm: Edm) {
        // Writing to a vector cannot fail.
        match value {
            Value::Null => self.bytes(b"null"),
            Value::Text(text) => self.text(text),
            Value::Number(number) if edm == Edm::Double => {
                let _ = write!(self.out, "{number}");
            }
            Value::Number(number) => {
                let _ = serde_json::to_writer(&mut self.out, &(number as i64));
            }
            Value::DateTime(instant) => {
                if self.last.as_ref().is_none_or(|(last, _)| *last != instant) {
                    self.last = Some((instant, instant.to_rfc3339_opts(SecondsFormat::Secs, true)));
                }
                if let Some((_, text)) = &self.last {
                    let _ = write!(self.out, "\"{text}\"");
                }
            }
            Value::Bool(yes) => self.bytes(if yes { b"true" } else { b"false" }),
        }
    }

    fn text(&mut self, text: &str) {
        // A text is JSON whatever it holds, and a vector takes all.
        let _ = serde_json::to_writer(&mut self.out, text);
    }
}
