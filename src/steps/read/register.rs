//! A register for the service: one establishment a row, with its headcount, activity, year-end, source and place.

use std::collections::HashMap;

use super::points::{BadCell, Misplaced, PlaceColumns, Places, PointColumns};
use super::table::{Input, Kind, Table, WHOLE_BYTES_MAX, Whole, whole};
use crate::model::crs::Declared;
use crate::model::establishment::Unplaced;
use crate::model::headcount::HEADCOUNT_MAX;
use crate::model::id::BadId;
use crate::model::{Crs, Establishment, Headcount, Naf, Read, Reject, Siret, Source, Unreadable};

const SIRET_NAMES: [&str; 1] = ["siret"];
const HEADCOUNT_NAMES: [&str; 3] = ["effectif", "headcount", "effectifs"];
const NAF_NAMES: [&str; 4] = ["naf", "ape", "activiteprincipaleetablissement", "apet700"];
const VINTAGE_NAMES: [&str; 4] = ["millesime", "annee", "vintage", "year"];
const SOURCE_NAMES: [&str; 1] = ["source"];

/// Years a vintage may name: Sirene was created in 1973 (decree 73-314), and no year-end can be reported from far ahead.
pub const VINTAGES: std::ops::RangeInclusive<u16> = 1973..=2100;

/// What the operator says of a register, for the cells the file leaves out.
#[derive(Debug, Clone, Default)]
pub struct RegisterOptions {
    /// The year whose 31 December the headcounts describe.
    pub vintage: Option<u16>,
    /// Who sent them.
    pub source: Option<Source>,
    /// The system of the coordinates of rows which do not state their own.
    pub crs: Option<Crs>,
}

/// Reads a register. A row is either accepted or rejected, never both; an establishment without a usable place is
/// accepted, since it counts, and says why it has none.
pub fn register(name: &str, input: Input, options: &RegisterOptions) -> Result<Read<Establishment>, Unreadable> {
    let mut table = Table::open(name, input, WHOLE_BYTES_MAX)?;
    let siret = table.require_among("column_missing", &SIRET_NAMES)?;
    let headcount = table.require_among("column_missing", &HEADCOUNT_NAMES)?;
    let naf = table.require_among("column_missing", &NAF_NAMES)?;
    let optional = |names: &[&str], known: bool| match table.column_among(names) {
        Some(at) => Ok(Some(at)),
        None if known => Ok(None),
        None => table.require_among("column_missing", names).map(Some),
    };
    let vintage = optional(&VINTAGE_NAMES, options.vintage.is_some())?;
    let source = optional(&SOURCE_NAMES, options.source.is_some())?;
    let place = PlaceColumns::find(&table, &PointColumns::default(), options.crs.as_ref())?;

    let mut wanted = vec![(siret, Kind::Text), (headcount, Kind::Text), (naf, Kind::Text)];
    wanted.extend(vintage.map(|at| (at, Kind::Text)));
    wanted.extend(source.map(|at| (at, Kind::Text)));
    let first_place = wanted.len();
    wanted.extend(place.wanted());
    table.select(&wanted)?;

    let header = |at: usize| table.headers()[at].clone();
    let fields = Fields {
        siret: header(siret),
        headcount: header(headcount),
        naf: header(naf),
        vintage: vintage.map_or(VINTAGE_NAMES[0].to_owned(), header),
        source: source.map_or(SOURCE_NAMES[0].to_owned(), header),
    };
    let mut read = Read { accepted: Vec::new(), rejected: Vec::new() };
    let mut seen: HashMap<(Siret, u16, Source), usize> = HashMap::new();
    while let Some(mut batch) = table.next_batch()? {
        let places = Places::read(&mut batch, first_place, &place);
        let (sirets, headcounts, nafs) = (batch.take_texts(0), batch.take_texts(1), batch.take_texts(2));
        let vintages = vintage.map(|_| batch.take_texts(3));
        let sources = source.map(|_| batch.take_texts(3 + usize::from(vintage.is_some())));
        let mut broken = std::mem::take(&mut batch.broken).into_iter().peekable();
        for (index, &row) in batch.places.iter().enumerate() {
            if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                read.rejected.push(broken.reject);
                continue;
            }
            let establishment = || -> Result<Establishment, Refusal> {
                let siret = siret_of(&sirets[index]).map_err(|refusal| refusal.of(&fields.siret))?;
                let headcount = headcount_of(&headcounts[index]).map_err(|refusal| refusal.of(&fields.headcount))?;
                let naf = naf_of(&nafs[index]).map_err(|refusal| refusal.of(&fields.naf))?;
                let vintage = vintage_of(vintages.as_ref().map_or("", |v| &v[index]), options.vintage)
                    .map_err(|refusal| refusal.of(&fields.vintage))?;
                let source = source_of(sources.as_ref().map_or("", |s| &s[index]), options.source)
                    .map_err(|refusal| refusal.of(&fields.source))?;
                let place = match places.at(index) {
                    Ok(at) if at.random_in_commune => Err(Unplaced::RandomInCommune),
                    Ok(at) => {
                        let crs = at.epsg.map_or_else(|| place.crs.clone(), Crs::Epsg);
                        Ok(Declared { crs, geometry: (at.x, at.y) })
                    }
                    Err(Misplaced::Unplaced(why)) => Err(why),
                    Err(Misplaced::Bad(cell)) => return Err(Refusal::Cell(cell)),
                };
                Ok(Establishment { siret, headcount, naf, vintage, source, place })
            };
            match establishment() {
                Ok(new) => match seen.entry((new.siret, new.vintage, new.source)) {
                    std::collections::hash_map::Entry::Occupied(first) => {
                        let found = format!("the SIRET, vintage and source of row {}", first.get());
                        let expected = "each SIRET once for a vintage and source";
                        let refusal = Refusal::new("duplicate_siret", found, expected).of(&fields.siret);
                        read.rejected.push(refusal.reject(&table, &place, row));
                    }
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(row);
                        read.accepted.push(new);
                    }
                },
                Err(refusal) => read.rejected.push(refusal.reject(&table, &place, row)),
            }
        }
    }
    Ok(read)
}

/// The names of the columns, for messages.
struct Fields {
    siret: String,
    headcount: String,
    naf: String,
    vintage: String,
    source: String,
}

/// Why a row is refused, before its place is known. Never the value itself: a SIRET or a headcount may stand there.
enum Refusal {
    Field { code: &'static str, field: String, found: String, expected: String },
    Cell(BadCell),
}

impl Refusal {
    fn new(code: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Field { code, field: String::new(), found: found.into(), expected: expected.into() }
    }
    fn of(self, name: &str) -> Self {
        match self {
            Self::Field { code, found, expected, .. } => Self::Field { code, field: name.to_owned(), found, expected },
            Self::Cell(cell) => Self::Cell(cell),
        }
    }
    fn reject(self, table: &Table, place: &PlaceColumns, row: usize) -> Reject {
        match self {
            Self::Field { code, field, found, expected } => {
                Reject { code, file: table.name().to_owned(), row: Some(row), field: Some(field), found, expected }
            }
            Self::Cell(cell) => cell.reject(table.name(), table, place, row),
        }
    }
}

/// A SIRET, possibly printed in groups; what a spreadsheet does to one is named.
fn siret_of(cell: &str) -> Result<Siret, Refusal> {
    let digits: String = cell.chars().filter(|c| !c.is_whitespace()).collect();
    let as_number = "14 digits; a spreadsheet has kept this SIRET as a number and rounded or reworded it: keep the \
                     column as text";
    if digits.bytes().any(|b| b == b'E' || b == b'e') && digits.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(Refusal::new("siret_digits", "a number in scientific notation", as_number));
    }
    if digits.contains(['.', ',']) && digits.replace(',', ".").parse::<f64>().is_ok() {
        return Err(Refusal::new("siret_digits", "a number with decimals", as_number));
    }
    digits.parse().map_err(|error| match error {
        BadId::Length { found: 0, .. } => Refusal::new("siret_length", "nothing", "14 digits"),
        BadId::Length { found: found @ 10..=13, .. } if digits.bytes().all(|b| b.is_ascii_digit()) => Refusal::new(
            "siret_length",
            format!("{found} digits"),
            "14 digits; a spreadsheet drops the leading zeros of a SIRET kept as a number: keep the column as text",
        ),
        BadId::Length { found, .. } => Refusal::new("siret_length", format!("{found} characters"), "14 digits"),
        BadId::NotADigit { position } => {
            let found = format!("a character that is not a digit at position {position}");
            Refusal::new("siret_digits", found, "14 digits")
        }
        BadId::Key => Refusal::new(
            "siret_key",
            "14 digits whose control key fails",
            "a key that holds (Luhn; La Poste has its own)",
        ),
    })
}

fn headcount_of(cell: &str) -> Result<Option<Headcount>, Refusal> {
    const EXPECTED: &str = "a whole number of employees, or nothing";
    let refuse = |code, found| Err(Refusal::new(code, found, EXPECTED));
    match whole(cell) {
        Whole::Empty => Ok(None),
        Whole::Negative => refuse("headcount_negative", "a number below zero"),
        Whole::Fraction => refuse("headcount_not_a_number", "a number with decimals"),
        Whole::NotANumber => refuse("headcount_not_a_number", "a text which is no whole number"),
        Whole::TooLarge => Err(headcount_too_large()),
        Whole::Value(employees) => {
            u32::try_from(employees).ok().and_then(Headcount::new).map(Some).ok_or_else(headcount_too_large)
        }
    }
}

fn headcount_too_large() -> Refusal {
    let expected = format!("{HEADCOUNT_MAX} employees at most in one establishment");
    Refusal::new("headcount_too_large", "a larger number than any establishment has", expected)
}

/// The activity. An unknown code is repeated only when it looks like one: columns may have been swapped.
fn naf_of(cell: &str) -> Result<Naf, Refusal> {
    cell.parse().map_err(|_| {
        let cell = cell.trim();
        let found = match cell.chars().count() {
            0 => "nothing".to_owned(),
            1..=6 if cell.chars().any(|c| c.is_ascii_alphabetic()) && cell.is_ascii() => format!("`{cell}`"),
            n => format!("{n} characters"),
        };
        Refusal::new("naf_unknown", found, "one of the 732 sub-classes of NAF rév. 2, such as 47.11F or 4711F")
    })
}

fn vintage_of(cell: &str, known: Option<u16>) -> Result<u16, Refusal> {
    let expected = format!("a year from {} to {}", VINTAGES.start(), VINTAGES.end());
    let refuse = |found: &str| Err(Refusal::new("vintage_range", found, expected));
    match (whole(cell), known) {
        (Whole::Empty, Some(known)) => Ok(known),
        (Whole::Empty, None) => refuse("nothing"),
        (Whole::Value(year), _) => match u16::try_from(year) {
            Ok(year) if VINTAGES.contains(&year) => Ok(year),
            _ => refuse("a number outside these years"),
        },
        (Whole::Negative | Whole::Fraction | Whole::TooLarge | Whole::NotANumber, _) => refuse("no year"),
    }
}

fn source_of(cell: &str, known: Option<Source>) -> Result<Source, Refusal> {
    let refuse = |found| Err(Refusal::new("source_unknown", found, "`urssaf` or `msa`"));
    match (cell.trim().is_empty(), known) {
        (true, Some(known)) => Ok(known),
        (true, None) => refuse("nothing"),
        (false, _) => Source::from_code(cell).map_or_else(|| refuse("another text"), Ok),
    }
}
