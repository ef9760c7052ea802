//! The system query options of OData 4.0 (part 2, 5.1), read strictly: what is not done is refused by name.

use super::edm::{Edm, Heading, Table, headings, queryables};
use crate::http::filter::{self, Filter};
use crate::http::ogc::query::Ask;
use crate::http::problem::Problem;
use axum::http::{HeaderMap, StatusCode};
use std::collections::HashSet;

/// Options of OData that we know and do not do.
const NOT_DONE: [&str; 11] = [
    "$apply",
    "$search",
    "$expand",
    "$compute",
    "$levels",
    "$index",
    "$schemaversion",
    "$deltatoken",
    "$id",
    "$inlinecount",
    "$entity",
];

/// A key may be offered as a parameter, where Power BI puts it; the gate has looked at it.
const KEY: &str = "api_key";

/// Options of a set.
pub const OF_A_SET: [&str; 8] = ["$filter", "$select", "$orderby", "$top", "$skip", "$count", "$skiptoken", "$format"];
/// Options of a number of rows.
pub const OF_A_COUNT: [&str; 2] = ["$filter", "$format"];
/// Options of one row.
pub const OF_A_ROW: [&str; 2] = ["$select", "$format"];
/// Options of a document.
pub const OF_A_DOCUMENT: [&str; 1] = ["$format"];

/// What a request asks of a set.
pub struct Options {
    /// Which rows; all without one.
    pub filter: Option<Filter>,
    /// Which columns, by their places in order; `None` is all of them.
    pub select: Option<Vec<usize>>,
    /// Columns to order by, and whether from the last to the first.
    pub order: Vec<(usize, bool)>,
    /// Most rows over all pages.
    pub top: Option<usize>,
    /// Rows passed over.
    pub skip: usize,
    /// Whether the number of rows is told.
    pub count: bool,
    /// Rows given on earlier pages, and the name of what they were taken from.
    pub token: Option<(String, usize)>,
}

/// Refuses an option outside this list and one given twice; those of OData that we do not do are named as such.
pub fn only(ask: &Ask, known: &[&str]) -> Result<(), Problem> {
    ask.readable()?;
    for (i, (name, _)) in ask.params.iter().enumerate() {
        let refused = |code, place: &str, found: &str, expected: String| {
            Err(Problem::refused(StatusCode::BAD_REQUEST, code, place, found, expected))
        };
        let all = || format!("only {}", [known, &[KEY]].concat().join(", "));
        if NOT_DONE.contains(&name.as_str()) || name.starts_with('@') {
            return refused("not_supported", "query", &format!("the option `{name}`, which is not done here"), all());
        }
        if !known.contains(&name.as_str()) && name != KEY {
            return refused("unknown_parameter", "query", &format!("parameter `{name}`"), all());
        }
        if ask.params[..i].iter().any(|p| p.0 == *name) {
            return refused("repeated_parameter", &format!("parameter `{name}`"), "several values", "one value".into());
        }
    }
    Ok(())
}

/// Refuses a format other than the one there is. Parameters of JSON (OData JSON 4.0, 3) are of no other format.
pub fn format(ask: &Ask, short: &str, media: &str) -> Result<(), Problem> {
    let Some(asked) = value(ask, "$format") else { return Ok(()) };
    let mut parts = asked.split(';').map(|part| part.trim_matches(' '));
    let named = parts.next().is_some_and(|name| name == short || name == media);
    let is_json = short == "json";
    let minimal = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "odata.metadata" => is_json && value == "minimal",
            "odata.streaming" => is_json && matches!(value, "true" | "false"),
            "IEEE754Compatible" => is_json && value == "false",
            "charset" => value.eq_ignore_ascii_case("utf-8"),
            _ => false,
        }
    };
    match named && parts.all(minimal) {
        true => Ok(()),
        false => {
            let expected = format!("{short}, or {media}{}", if is_json { " with minimal metadata" } else { "" });
            let (place, found) = ("parameter `$format`", format!("`{asked}`"));
            Err(Problem::refused(StatusCode::NOT_ACCEPTABLE, "bad_format", place, found, expected))
        }
    }
}

impl Options {
    /// Reads the options of a set whose columns these are.
    pub fn read<T: Table>(ask: &Ask) -> Result<Self, Problem> {
        let headings = headings::<T>();
        Ok(Self {
            filter: value(ask, "$filter").map(filter::<T>).transpose()?,
            select: select(ask, &headings)?,
            order: value(ask, "$orderby").map(|text| order(text, &headings)).transpose()?.unwrap_or_default(),
            top: whole(ask, "$top")?,
            skip: whole(ask, "$skip")?.unwrap_or(0),
            count: match value(ask, "$count") {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => return Err(Problem::bad_parameter("$count", other, "true or false")),
            },
            token: value(ask, "$skiptoken").map(token).transpose()?,
        })
    }
}

/// The rows a page should have at most, as the client prefers (part 1, 8.2.8.5), within what there is.
pub fn preferred_rows(headers: &HeaderMap, most: usize) -> Option<usize> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let asked = preferences.flat_map(|line| line.split([',', ';'])).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let named = matches!(name.as_str(), "odata.maxpagesize" | "maxpagesize");
        value.trim().trim_matches('"').parse::<usize>().ok().filter(|rows| named && *rows > 0)
    });
    asked.map(|rows| rows.min(most))
}

/// The columns selected: in our order, each figure with its status, so that a null is known to be withheld.
pub fn select(ask: &Ask, headings: &[Heading]) -> Result<Option<Vec<usize>>, Problem> {
    let Some(text) = value(ask, "$select") else { return Ok(None) };
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names == ["*"] {
        return Ok(None);
    }
    let known = |name: &&&str| headings.iter().any(|heading| heading.name == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(unknown_column("$select", unknown, headings, |_| true));
    }
    let status_of = |name: &str| name.strip_suffix("_statut").is_some_and(|figure| names.contains(&figure));
    let chosen = headings.iter().enumerate().filter(|(_, h)| names.contains(&h.name) || status_of(h.name));
    Ok(Some(chosen.map(|(place, _)| place).collect()))
}

/// What a filter keeps.
fn filter<T: Table>(text: &str) -> Result<Filter, Problem> {
    filter::odata::parse(text, &queryables::<T>()).map_err(|fault| {
        let code = if fault.beyond { "not_supported" } else { "bad_filter" };
        let place = format!("parameter `$filter`, character {}", fault.position);
        Problem::refused(StatusCode::BAD_REQUEST, code, place, fault.found, fault.expected)
    })
}

fn order(text: &str, headings: &[Heading]) -> Result<Vec<(usize, bool)>, Problem> {
    let sortable = |heading: &Heading| heading.edm != Edm::LongText;
    let one = |item: &str| {
        let mut words = item.split_whitespace();
        let name = words.next().unwrap_or_default();
        let column = headings.iter().position(|heading| heading.name == name && sortable(heading));
        let Some(column) = column else { return Err(unknown_column("$orderby", name, headings, sortable)) };
        match (words.next(), words.next()) {
            (None | Some("asc"), None) => Ok((column, false)),
            (Some("desc"), None) => Ok((column, true)),
            _ => Err(Problem::bad_parameter("$orderby", item.trim(), "a column, then asc or desc")),
        }
    };
    let order: Vec<(usize, bool)> = text.split(',').map(one).collect::<Result<_, Problem>>()?;
    let mut met = HashSet::new();
    match order.iter().find(|(column, _)| !met.insert(*column)) {
        Some((column, _)) => Err(Problem::bad_parameter("$orderby", headings[*column].name, "each column once")),
        None => Ok(order),
    }
}

fn unknown_column(option: &str, found: &str, headings: &[Heading], may: fn(&Heading) -> bool) -> Problem {
    let names: Vec<&str> = headings.iter().filter(|heading| may(heading)).map(|heading| heading.name).collect();
    Problem::bad_parameter(option, found, format!("some of the columns {}", names.join(", ")))
}

/// What [`super::write`] put in the link to the next page: the name of what is read, then the rows given so far.
fn token(text: &str) -> Result<(String, usize), Problem> {
    let read = text.rsplit_once('-').and_then(|(name, given)| Some((name.to_owned(), given.parse().ok()?)));
    read.ok_or_else(|| {
        Problem::bad_parameter("$skiptoken", text, "the one of a link to the next page, as it was given")
    })
}

fn whole(ask: &Ask, name: &str) -> Result<Option<usize>, Problem> {
    let Some(text) = value(ask, name) else { return Ok(None) };
    match !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(Some(text.parse().unwrap_or(usize::MAX))),
        false => Err(Problem::bad_parameter(name, text, "a whole number, 0 or more")),
    }
}

/// The value of an option, an empty one included.
fn value<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    ask.params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}
